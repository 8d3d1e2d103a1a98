#include "markers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECIPIENT_DIGITS 6
#define POOL 16384

static uint16_t this_run;
static int8_t digits[256];
static char pool[POOL + 65536];

/* Words and numbers, which compress about as well as the texts that people send. */
static void fill_pool(void) {
    static const char *words[] = {"progress", "finished", "of", "step",   "files", "waiting", "tool",  "output",
                                  "done",     "user",     "at", "bytes",  "read",  "error",   "retry", "queue",
                                  "seconds",  "left",     "on", "worker", "build", "test",    "passed"};
    uint32_t random = 2463534242u;
    for (size_t at = 0; at < sizeof pool;) {
        random ^= random << 13, random ^= random >> 17, random ^= random << 5;
        char part[32];
        int length = random & 0x300 ? snprintf(part, sizeof part, "%s ", words[random % 23])
                                    : snprintf(part, sizeof part, "%u ", random >> 12);
        for (int i = 0; i < length && at < sizeof pool; i++) pool[at++] = part[i];
    }
}

void markers_begin(uint16_t run) {
    this_run = run;
    memset(digits, -1, sizeof digits);
    for (int i = 0; i < 16; i++) digits[(unsigned char)"0123456789abcdef"[i]] = (int8_t)i;
    fill_pool();
}

static const char *padding_of(uint32_t sequence) { return pool + sequence * 61 % POOL; }

static const char *only(const char *source, const char *name) {
    const char *at = strstr(source, name);
    if (at && strstr(at + 1, name)) fail("%s stands twice in the message", name);
    return at;
}

void template_parse(template *self, const char *source, size_t size) {
    const char *marker = only(source, "{M}"), *padding = only(source, "{PAD}"), *recipient = only(source, "{ID}");
    if (!marker) fail("the message has no {M}");
    if ((padding && padding < marker) || (recipient && recipient > marker)) fail("the order is {ID}, {M}, {PAD}");
    *self = (template){.addressed = recipient != NULL};
    const char *from = source;
    if (recipient) {
        bytes_append(&self->text, from, (size_t)(recipient - from));
        self->recipient = self->text.length;
        bytes_append(&self->text, "000000", RECIPIENT_DIGITS);
        from = recipient + 4;
    }
    bytes_append(&self->text, from, (size_t)(marker - from));
    self->marker = self->text.length;
    bytes_append(&self->text, "^rrrrssssssss$", MARKER_LENGTH);
    from = marker + 3;
    if (padding) {
        bytes_append(&self->text, from, (size_t)(padding - from));
        self->padding = self->text.length;
        from = padding + 5;
        size_t others = self->text.length + strlen(from);
        self->padding_length = size > others ? size - others : 0;
        if (self->padding_length > sizeof pool - POOL) fail("a message of %zu bytes is too large", size);
        memset(bytes_room(&self->text, self->padding_length), ' ', self->padding_length);
        self->text.length += self->padding_length;
    }
    bytes_append(&self->text, from, strlen(from));
}

static void write_hexadecimal(char *to, uint32_t value, int count) {
    for (int i = count - 1; i >= 0; i--, value >>= 4) to[i] = "0123456789abcdef"[value & 15];
}

void template_render(const template *self, bytes *message, uint32_t sequence, uint32_t recipient) {
    char *to = bytes_room(message, self->text.length);
    memcpy(to, self->text.data, self->text.length);
    write_hexadecimal(to + self->marker + 1, this_run, 4);
    write_hexadecimal(to + self->marker + 5, sequence, 8);
    if (self->padding_length) memcpy(to + self->padding, padding_of(sequence), self->padding_length);
    if (self->addressed)
        for (size_t i = RECIPIENT_DIGITS; i-- > 0; recipient /= 10) to[self->recipient + i] = (char)('0' + recipient % 10);
    message->length += self->text.length;
}

/* The number in `count` hexadecimal digits; negative where one is none. */
static inline int64_t read_hexadecimal(const char *from, int count) {
    int64_t value = 0;
    for (int i = 0; i < count; i++) {
        int8_t digit = digits[(unsigned char)from[i]];
        if (digit < 0) return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* Whether what follows the marker is what was published with it. */
static bool unaltered(const template *sent, const char *from, const char *end, uint32_t sequence) {
    if (sent->padding != sent->marker + MARKER_LENGTH) return true; /* none, or the server may have moved it */
    return (size_t)(end - from) >= sent->padding_length && !memcmp(from, padding_of(sequence), sent->padding_length);
}

void markers_find(const template *sent, const char *data, size_t length, found_marker found, void *owner, strays *others) {
    const char *end = data + length;
    while (end - data >= MARKER_LENGTH) {
        const char *at = memchr(data, '^', (size_t)(end - data) - MARKER_LENGTH + 1);
        if (!at) break;
        int64_t run = read_hexadecimal(at + 1, 4), sequence = read_hexadecimal(at + 5, 8);
        if (run < 0 || sequence < 0 || at[MARKER_LENGTH - 1] != '$') {
            data = at + 1;
            continue;
        }
        data = at + MARKER_LENGTH;
        if (run != this_run) others->foreign++;
        else if (!unaltered(sent, data, end, (uint32_t)sequence)) others->altered++;
        else found(owner, (uint32_t)sequence);
    }
}
