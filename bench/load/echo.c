/* Each client has one message to and fro at a time. What comes back must be what was sent. */
#include <string.h>

#include "latencies.h"
#include "results.h"
#include "runs.h"
#include "usage.h"

#define LONGEST_TURN 20000000ull

static stretch measured;
static bytes payload;
static uint64_t round_trips, wrong;
static bool over;

static void ask(connection *client, uint64_t time) {
    client->asked = time;
    connection_say(client, TEXT, payload.data, payload.length);
    connection_flush(client);
}

void echo_message(connection *from, const char *data, size_t length) {
    if (!from->asked) return; /* a greeting */
    if (length != payload.length || memcmp(data, payload.data, length)) wrong++;
    else round_trips++;
    if (measured.open) latency_add(tally.read_at - from->asked);
    if (over) from->asked = 0;
    else ask(from, tally.read_at);
}

void run_echo(connection *all, const options *wanted) {
    for (uint32_t i = 0; i < wanted->size; i++) *bytes_room(&payload, 1) = (char)('a' + i % 26), payload.length++;
    stretch_plan(&measured, wanted);
    for (uint32_t i = 0; i < wanted->clients; i++) ask(&all[i], now());
    uint64_t time;
    while ((time = now()) < measured.end) {
        stretch_opens(&measured, wanted->server, time, round_trips);
        uint64_t edge = (measured.open ? measured.end : measured.begin) - time;
        connections_turn(edge < LONGEST_TURN ? edge : LONGEST_TURN);
    }
    stretch_close(&measured, wanted->server, round_trips);
    over = true;
    stretch_report(&measured);
    result_number("bad_echoes", (double)wrong);
}
