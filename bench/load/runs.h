/* What is done with connections once they are open. */
#ifndef RUNS_H
#define RUNS_H
#include "connections.h"
#include "markers.h"
#include "options.h"

/* `all`: the clients, then the silent ones, then the publisher. */
void run_fanout(connection *all, const options *wanted);
void run_echo(connection *all, const options *wanted);

void fanout_message(connection *from, const char *data, size_t length);
void echo_message(connection *from, const char *data, size_t length);
void ignore_message(connection *from, const char *data, size_t length);

/* The stretch that is measured: after the warm-up, before the end. */
typedef struct {
    uint64_t begin, end; /* when */
    bool open;
    struct {
        double server, generator;
        uint64_t at, done, bytes, reads, frames;
    } first, last;
} stretch;

void stretch_plan(stretch *self, const options *wanted);
/* Opens it when its time has come; returns whether it has just opened. */
bool stretch_opens(stretch *self, int server, uint64_t time, uint64_t done);
void stretch_close(stretch *self, int server, uint64_t done);
void stretch_report(const stretch *self);
#endif
