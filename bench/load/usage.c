#include "usage.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "wire.h"

uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000ull + (uint64_t)time.tv_nsec;
}

/* utime and stime are the 14th and 15th fields; the 2nd is a name in parentheses that may hold anything (proc(5)). */
static double server_seconds(int server) {
    char path[64], line[4096];
    snprintf(path, sizeof path, "/proc/%d/stat", server);
    FILE *file = fopen(path, "r");
    if (!file) fail("the server, process %d, is gone", server);
    size_t length = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[length] = 0;
    char *name_end = strrchr(line, ')');
    unsigned long long user, system;
    if (!name_end || sscanf(name_end + 1, " %*c" " %*d %*d %*d %*d %*d" " %*u %*u %*u %*u %*u" " %llu %llu", &user, &system) != 2)
        fail("cannot read %s", path);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static double server_resident(int server) {
    char path[64], line[256];
    double kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", server);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) sscanf(line, "VmRSS: %lf", &kib);
    if (file) fclose(file);
    return kib;
}

usage usage_read(int server) {
    struct rusage own;
    getrusage(RUSAGE_SELF, &own);
    return (usage){
        .at = now(),
        .server = server ? server_seconds(server) : 0,
        .resident_kib = server ? server_resident(server) : 0,
        .generator = (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec) +
                     (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec) / 1e6,
    };
}
