/*
 * A WebSocket load generator: one thread, one epoll set.
 *
 * What it promises: a delivery is a whole marker in a message that came whole and correctly framed, counted once for each
 * receiver; in the open loop a message's time runs from when it was due, however late it left; a run that could not do what
 * was asked says so and has no figures. See the headers beside this file; generator.py builds and runs it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "connections.h"
#include "inflating.h"
#include "latencies.h"
#include "options.h"
#include "results.h"
#include "runs.h"
#include "usage.h"

#define OPENING_NANOSECONDS 90000000000ull

static void allow_descriptors(uint32_t count) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < count + 16) fail("%u connections need more than the %ju descriptors allowed", count, (uintmax_t)limit.rlim_cur);
}

static connection *open_all(const options *wanted, bool publisher) {
    uint32_t readers = wanted->clients + wanted->silent, total = readers + publisher, begun = 0;
    connection *all = calloc(total, sizeof *all);
    if (!all) fail("no memory for %u connections", total);
    uint64_t deadline = now() + OPENING_NANOSECONDS;
    while (tally.ready < total) {
        while (begun < total && tally.opening < wanted->opening) {
            enum role role = begun < wanted->clients ? SUBSCRIBER : begun < readers ? SILENT : PUBLISHER;
            connection_start(&all[begun], role, begun - (role == PUBLISHER ? readers : 0));
            begun++;
        }
        connections_turn(20000000);
        if (tally.closed) fail("%u of %u connections were refused or ended", tally.closed, total);
        if (now() > deadline) fail("only %u of %u connections are ready", tally.ready, total);
    }
    return all;
}

static void report_opening(const usage *before, const usage *opened, const usage *settled, uint32_t count) {
    double seconds = (double)(opened->at - before->at) / 1e9;
    result_number("handshakes_per_second", count / seconds);
    result_number("cpu_us_per_handshake", (opened->server - before->server) * 1e6 / count);
    result_number("resident_kib_before", before->resident_kib);
    result_number("resident_kib_opened", settled->resident_kib);
    result_number("kib_per_connection", (settled->resident_kib - before->resident_kib) / count);
}

static void settle(double seconds) {
    uint64_t end = now() + (uint64_t)(seconds * 1e9), time;
    while ((time = now()) < end) connections_turn(end - time < 50000000 ? end - time : 50000000);
}

int main(int count, char **arguments) {
    options wanted = options_read(count, arguments);
    bool fanout = !strcmp(wanted.mode, "fanout"), echo = !strcmp(wanted.mode, "echo");
    signal(SIGPIPE, SIG_IGN);
    allow_descriptors(wanted.clients + wanted.silent + 1);
    if (wanted.deflate && !can_inflate) fail("built without zlib: compressed messages cannot be read");
    markers_begin((uint16_t)((uint32_t)getpid() * 2654435761u >> 8));
    plan how = {
        .port = wanted.port,
        .subscriber = {wanted.path, wanted.first, wanted.ready, wanted.deflate},
        .publisher = {wanted.publisher_path, NULL, wanted.publisher_ready, false},
        .handler = fanout ? fanout_message : echo ? echo_message : ignore_message,
    };
    connections_begin(&how);
    usage before = usage_read(wanted.server);
    connection *all = open_all(&wanted, fanout);
    usage opened = usage_read(wanted.server);
    settle(wanted.settle);
    usage settled = usage_read(wanted.server);
    result_text("mode", wanted.mode);
    result_number("clients", wanted.clients);
    report_opening(&before, &opened, &settled, wanted.clients + wanted.silent + fanout);
    if (fanout) run_fanout(all, &wanted);
    if (echo) run_echo(all, &wanted);
    result_number("closed", tally.closed);
    result_number("protocol_errors", (double)tally.wrong);
    results_print();
    return 0;
}
