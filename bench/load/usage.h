/* What the server and this process have used so far, as Linux accounts for it. */
#ifndef USAGE_H
#define USAGE_H
#include <stdint.h>

typedef struct {
    uint64_t at;             /* nanoseconds of the monotonic clock */
    double server, generator; /* CPU seconds, user and system */
    double resident_kib;      /* the server's */
} usage;

uint64_t now(void);
/* `server` is a process id; 0: there is none to look at. */
usage usage_read(int server);
#endif
