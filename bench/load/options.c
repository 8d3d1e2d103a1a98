#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

static const char USAGE[] =
    "generator --mode idle|fanout|echo --port P [--server-pid PID]\n"
    "  --path /p            where clients connect; --publisher-path /p  where the publisher does\n"
    "  --first TEXT         what a client says first, {ID} replaced by its number in six digits\n"
    "  --ready TEXT         a client is ready with the first message that has this in it; --publisher-ready TEXT\n"
    "  --clients N          of whom --opening N at once are being opened\n"
    "  --silent N           further clients that say --first and then never read\n"
    "  --message TEMPLATE   {M} is replaced by the marker, {PAD} by text up to --size bytes, {ID} by the recipient;\n"
    "                       {M}{PAD}: the text that comes is compared with what was published\n"
    "  --addressed          message k is for client k % N alone\n"
    "  --window N --burst N closed loop: up to N on their way, published N at a time; or --rate R  open loop, R a second\n"
    "  --size BYTES --seconds S --warm-up S --settle S --patience S --deflate\n";

static const char *value_of(int *at, int count, char **arguments) {
    if (*at + 1 >= count) fail("%s needs a value\n%s", arguments[*at], USAGE);
    return arguments[++*at];
}

static double number_of(const char *name, const char *text, double least, double most) {
    char *rest;
    double value = strtod(text, &rest);
    if (*rest || rest == text || !(value >= least && value <= most))
        fail("%s: expected a number from %g to %g, got '%s'", name, least, most, text);
    return value;
}

static void check(const options *read) {
    bool fanout = !strcmp(read->mode, "fanout");
    if (!fanout && strcmp(read->mode, "idle") && strcmp(read->mode, "echo")) fail("unknown mode '%s'\n%s", read->mode, USAGE);
    if (!read->port) fail("--port is missing\n%s", USAGE);
    if (fanout && !read->message) fail("--message is missing\n%s", USAGE);
    if (read->burst > read->window) fail("--burst %u is more than --window %u", read->burst, read->window);
}

options options_read(int count, char **arguments) {
    options read = {
        .mode = "", .path = "/", .publisher_path = "/", .clients = 100, .opening = 128, .window = 1, .burst = 1,
        .size = 256, .seconds = 5, .warm_up = 1, .settle = 0.5, .patience = 3,
    };
    for (int at = 1; at < count; at++) {
        const char *name = arguments[at];
#define TEXT_OPTION(text, field) else if (!strcmp(name, text)) read.field = value_of(&at, count, arguments);
#define NUMBER_OPTION(text, field, least, most) \
    else if (!strcmp(name, text)) read.field = (__typeof__(read.field))number_of(name, value_of(&at, count, arguments), least, most);
#define FLAG_OPTION(text, field) else if (!strcmp(name, text)) read.field = true;
        if (!*name) fail("an empty argument");
        TEXT_OPTION("--mode", mode)
        TEXT_OPTION("--path", path)
        TEXT_OPTION("--first", first)
        TEXT_OPTION("--ready", ready)
        TEXT_OPTION("--publisher-path", publisher_path)
        TEXT_OPTION("--publisher-ready", publisher_ready)
        TEXT_OPTION("--message", message)
        NUMBER_OPTION("--port", port, 1, 65535)
        NUMBER_OPTION("--server-pid", server, 1, 1 << 30)
        NUMBER_OPTION("--clients", clients, 1, 60000)
        NUMBER_OPTION("--silent", silent, 0, 60000)
        NUMBER_OPTION("--opening", opening, 1, 4096)
        NUMBER_OPTION("--window", window, 1, 65536)
        NUMBER_OPTION("--burst", burst, 1, 65536)
        NUMBER_OPTION("--size", size, 1, 65536)
        NUMBER_OPTION("--rate", rate, 0.01, 1e6)
        NUMBER_OPTION("--seconds", seconds, 0.01, 3600)
        NUMBER_OPTION("--warm-up", warm_up, 0, 3600)
        NUMBER_OPTION("--settle", settle, 0, 3600)
        NUMBER_OPTION("--patience", patience, 0.01, 3600)
        FLAG_OPTION("--addressed", addressed)
        FLAG_OPTION("--deflate", deflate)
        else fail("unknown option %s\n%s", name, USAGE);
    }
    check(&read);
    return read;
}
