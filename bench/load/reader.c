#include "reader.h"

#include "inflating.h"

uint64_t frames_read;

static const char *check(const reader *self, const frame *at) {
    if (at->masked) return "a masked frame";
    if (at->reserved) return "a reserved bit is set";
    if (at->opcode >= CLOSE) {
        if (at->opcode > PONG) return "an unknown control frame";
        if (!at->final || at->length > 125 || at->compressed) return "a malformed control frame";
        return NULL;
    }
    if (at->opcode > BINARY) return "an unknown data frame";
    if (at->opcode == CONTINUATION && !self->fragmented) return "a continuation of nothing";
    if (at->opcode != CONTINUATION && self->fragmented) return "a message inside another";
    if (at->compressed && !(self->deflate && at->opcode != CONTINUATION)) return "a compressed frame that was not agreed";
    return NULL;
}

static const char *finish(reader *self, const char *data, size_t length, const receiver *to, void *owner) {
    if (self->inflate) {
        data = inflate_message(self->takeover ? &self->own : NULL, data, length, &length);
        if (!data) return "a compressed message that cannot be inflated";
    }
    to->message(owner, data, length);
    return NULL;
}

static const char *take(reader *self, const frame *at, const char *payload, const receiver *to, void *owner) {
    if (at->opcode >= CLOSE) {
        to->control(owner, at->opcode, payload, at->length);
        return NULL;
    }
    if (at->opcode != CONTINUATION) self->inflate = at->compressed;
    if (at->final && !self->fragmented) return finish(self, payload, at->length, to, owner);
    bytes_append(&self->message, payload, at->length);
    self->fragmented = !at->final;
    if (!at->final) return NULL;
    size_t length = self->message.length;
    self->message.length = 0;
    return finish(self, self->message.data, length, to, owner);
}

const char *reader_feed(reader *self, const char *data, size_t length, size_t *used, const receiver *to, void *owner) {
    frame at;
    *used = 0;
    while (read_header(data + *used, length - *used, &at)) {
        const char *wrong = check(self, &at);
        if (wrong) return wrong;
        if (at.length > length - *used - at.header) break;
        wrong = take(self, &at, data + *used + at.header, to, owner);
        if (wrong) return wrong;
        frames_read++;
        *used += at.header + at.length;
    }
    return NULL;
}
