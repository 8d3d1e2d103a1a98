/* Latencies, counted in buckets less than 1 % wide. */
#ifndef LATENCIES_H
#define LATENCIES_H
#include <stdint.h>

void latency_add(uint64_t nanoseconds);
uint64_t latency_count(void);
/* In microseconds; 0 where none was added. `share` of 0.5 is the median. */
double latency_quantile(double share);
double latency_maximum(void);
#endif
