#include "results.h"
#include "runs.h"
#include "usage.h"

void stretch_plan(stretch *self, const options *wanted) {
    uint64_t start = now();
    *self = (stretch){.begin = start + (uint64_t)(wanted->warm_up * 1e9)};
    self->end = self->begin + (uint64_t)(wanted->seconds * 1e9);
}

#define NOTE(edge)                                            \
    do {                                                      \
        usage used = usage_read(server);                      \
        edge.server = used.server;                            \
        edge.generator = used.generator;                      \
        edge.at = used.at;                                    \
        edge.done = done;                                     \
        edge.bytes = tally.bytes_read;                        \
        edge.reads = tally.reads;                             \
        edge.frames = frames_read;                            \
    } while (0)

bool stretch_opens(stretch *self, int server, uint64_t time, uint64_t done) {
    if (self->open || time < self->begin) return false;
    self->open = true;
    NOTE(self->first);
    return true;
}

void stretch_close(stretch *self, int server, uint64_t done) {
    self->open = false;
    NOTE(self->last);
}

void stretch_report(const stretch *self) {
    double seconds = (double)(self->last.at - self->first.at) / 1e9, done = (double)(self->last.done - self->first.done);
    double server = self->last.server - self->first.server, each = done ? 1 / done : 0;
    result_number("seconds", seconds);
    result_number("done", done);
    result_number("per_second", done / seconds);
    result_number("cpu_seconds_per_million", server * 1e6 * each);
    result_number("server_busy", server / seconds);
    result_number("generator_busy", (self->last.generator - self->first.generator) / seconds);
    result_number("bytes_each", (double)(self->last.bytes - self->first.bytes) * each);
    result_number("reads_each", (double)(self->last.reads - self->first.reads) * each);
    result_number("frames_each", (double)(self->last.frames - self->first.frames) * each);
    result_quantiles();
}
