/* One publisher, many subscribers: in a closed loop (so many messages on their way) or an open one (so many a second). */
#include "accounts.h"
#include "latencies.h"
#include "results.h"
#include "runs.h"
#include "usage.h"

#define STALL_NANOSECONDS 2000000000ull
#define LONGEST_TURN 20000000ull

static stretch measured;
static template message;
static bytes rendered;
/* From here on messages are measured, also those that come after the stretch has closed: they are the slowest. */
static uint32_t first_measured = UINT32_MAX, stalls;
static uint64_t latest;
static strays others;

void ignore_message(connection *from, const char *data, size_t length) { (void)from, (void)data, (void)length; }

static void on_marker(void *owner, uint32_t sequence) {
    connection *at = owner;
    uint64_t due;
    if (accounts_receive(&at->received, at->number, sequence, &due) && sequence >= first_measured)
        latency_add(tally.read_at - due);
}

void fanout_message(connection *from, const char *data, size_t length) {
    if (from->role == SUBSCRIBER) markers_find(&message, data, length, on_marker, from, &others);
}

static void publish(connection *publisher, uint64_t due) {
    uint32_t sequence = accounts_publish(due);
    rendered.length = 0;
    template_render(&message, &rendered, sequence, sequence % books.receivers);
    connection_say(publisher, TEXT, rendered.data, rendered.length);
}

/* Publishes what may leave now; returns how long nothing more may. */
static uint64_t publish_closed(connection *publisher, const options *wanted, uint64_t time) {
    static uint64_t progress_at, progress;
    if (books.delivered != progress || !books.in_flight) {
        progress = books.delivered;
        progress_at = time;
    } else if (time - progress_at > STALL_NANOSECONDS) { /* something is lost for good: go on without it */
        stalls++;
        books.in_flight = 0;
    }
    if (books.in_flight + wanted->burst <= wanted->window)
        while (books.in_flight < wanted->window) publish(publisher, now());
    return LONGEST_TURN;
}

static uint64_t publish_open(connection *publisher, const options *wanted, uint64_t time) {
    static uint64_t due;
    if (!due) due = time;
    for (; due <= time; due += (uint64_t)(1e9 / wanted->rate)) {
        if (measured.open && time - due > latest) latest = time - due;
        publish(publisher, due);
    }
    return due - time;
}

static void drive(connection *publisher, const options *wanted) {
    uint64_t time;
    while ((time = now()) < measured.end) {
        if (stretch_opens(&measured, wanted->server, time, books.delivered)) first_measured = books.published;
        uint64_t rest = wanted->rate ? publish_open(publisher, wanted, time) : publish_closed(publisher, wanted, time);
        if (publisher->state != READY) fail("the server closed the publisher");
        if (!publisher->awaits_room) connection_flush(publisher);
        uint64_t edge = (measured.open ? measured.end : measured.begin) - time;
        if (edge < rest) rest = edge;
        connections_turn(rest < LONGEST_TURN ? rest : LONGEST_TURN);
    }
    if (wanted->rate) publish_open(publisher, wanted, measured.end); /* due while this process was held up */
    connection_flush(publisher);
}

/* Waits for what is on its way, as long as anything comes. */
static void collect_rest(double patience) {
    uint64_t last = books.delivered, since = now();
    while (books.delivered < accounts_expected() && now() - since < (uint64_t)(patience * 1e9)) {
        connections_turn(LONGEST_TURN);
        if (books.delivered != last) {
            last = books.delivered;
            since = now();
        }
    }
}

static void report(const options *wanted) {
    usage end = usage_read(wanted->server);
    result_number("silent", wanted->silent);
    if (wanted->rate) {
        result_number("rate", wanted->rate);
        result_number("published_late_us", (double)latest / 1e3);
    } else {
        result_number("window", wanted->window);
    }
    stretch_report(&measured);
    result_number("published", books.published);
    result_number("expected", (double)accounts_expected());
    result_number("delivered", (double)books.delivered);
    result_number("lost", (double)(accounts_expected() - books.delivered));
    result_number("duplicated", (double)books.duplicated);
    result_number("reordered", (double)books.reordered);
    result_number("too_late", (double)books.too_late);
    result_number("misdelivered", (double)books.misdelivered);
    result_number("unknown", (double)(books.unknown + others.foreign));
    result_number("altered", (double)others.altered);
    result_number("stalls", stalls);
    result_number("pings", (double)tally.pings);
    result_number("resident_kib_end", end.resident_kib);
}

void run_fanout(connection *all, const options *wanted) {
    connection *publisher = &all[wanted->clients + wanted->silent];
    for (uint32_t i = 0; i < wanted->silent; i++) connection_ignore(&all[wanted->clients + i]);
    template_parse(&message, wanted->message, wanted->size);
    if (message.addressed != wanted->addressed) fail("--addressed goes with a {ID} in the message");
    accounts_open(wanted->clients, wanted->addressed);
    stretch_plan(&measured, wanted);
    drive(publisher, wanted);
    stretch_close(&measured, wanted->server, books.delivered);
    collect_rest(wanted->patience);
    report(wanted);
}
