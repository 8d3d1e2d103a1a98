#include "latencies.h"

#define STEPS 128 /* buckets of each power of two */
#define STEP_BITS 7

static uint64_t counts[64 * STEPS], total, longest;

static unsigned bucket_of(uint64_t value) {
    if (value < STEPS) return (unsigned)value;
    int shift = 63 - __builtin_clzll(value) - STEP_BITS;
    return (unsigned)(shift + 1) * STEPS + (unsigned)(value >> shift) - STEPS;
}

uint64_t latency_count(void) { return total; }

static double middle_of(unsigned bucket) {
    if (bucket < STEPS) return bucket;
    unsigned shift = bucket / STEPS - 1;
    return (double)((uint64_t)(STEPS + bucket % STEPS) << shift) + (double)(1ull << shift) / 2;
}

void latency_add(uint64_t nanoseconds) {
    counts[bucket_of(nanoseconds)]++;
    total++;
    if (nanoseconds > longest) longest = nanoseconds;
}

double latency_quantile(double share) {
    uint64_t wanted = (uint64_t)(share * (double)total), before = 0;
    for (unsigned bucket = 0; bucket < sizeof counts / sizeof *counts; bucket++) {
        before += counts[bucket];
        if (before > wanted) return middle_of(bucket) / 1e3;
    }
    return latency_maximum();
}

double latency_maximum(void) { return (double)longest / 1e3; }
