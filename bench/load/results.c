#include "results.h"

#include <math.h>
#include <stdio.h>

#include "latencies.h"
#include "wire.h"

static bytes line;

static void put(const char *name, const char *value) {
    int length = snprintf(NULL, 0, ", \"%s\": %s", name, value);
    char *to = bytes_room(&line, (size_t)length + 1);
    snprintf(to, (size_t)length + 1, "%s\"%s\": %s", line.length ? ", " : "", name, value);
    line.length += (size_t)length - (line.length ? 0 : 2);
}

void result_text(const char *name, const char *value) {
    char quoted[256];
    snprintf(quoted, sizeof quoted, "\"%s\"", value);
    put(name, quoted);
}

void result_number(const char *name, double value) {
    char text[64];
    if (value == floor(value) && fabs(value) < 1e15) snprintf(text, sizeof text, "%.0f", value);
    else snprintf(text, sizeof text, "%.6g", value);
    put(name, text);
}

void result_quantiles(void) {
    if (!latency_count()) return; /* nothing came */
    static const struct { const char *name; double share; } wanted[] = {
        {"p50_us", .5}, {"p90_us", .9}, {"p99_us", .99}, {"p999_us", .999}};
    for (unsigned i = 0; i < sizeof wanted / sizeof *wanted; i++) result_number(wanted[i].name, latency_quantile(wanted[i].share));
    result_number("maximum_us", latency_maximum());
}

void results_print(void) { printf("{%.*s}\n", (int)line.length, line.data); }
