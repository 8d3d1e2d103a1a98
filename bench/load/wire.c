#include "wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("generator: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

char *bytes_room(bytes *buffer, size_t more) {
    size_t needed = buffer->length + more;
    if (needed > buffer->capacity) {
        buffer->capacity = needed < 512 ? 512 : needed + needed / 2;
        buffer->data = realloc(buffer->data, buffer->capacity);
        if (!buffer->data) fail("no memory for %zu bytes", buffer->capacity);
    }
    return buffer->data + buffer->length;
}

void bytes_append(bytes *buffer, const void *data, size_t length) {
    if (!length) return;
    memcpy(bytes_room(buffer, length), data, length);
    buffer->length += length;
}

void bytes_release(bytes *buffer) {
    free(buffer->data);
    *buffer = (bytes){0};
}

bool read_header(const char *data, size_t available, frame *found) {
    const unsigned char *octets = (const unsigned char *)data;
    if (available < 2) return false;
    unsigned indicator = octets[1] & 0x7f;
    size_t extended = indicator == 126 ? 2 : indicator == 127 ? 8 : 0;
    found->masked = octets[1] & 0x80;
    found->header = 2 + extended + (found->masked ? 4 : 0);
    if (available < found->header) return false;
    found->opcode = octets[0] & 0x0f;
    found->final = octets[0] & 0x80;
    found->compressed = octets[0] & 0x40;
    found->reserved = octets[0] & 0x30;
    found->length = extended ? 0 : indicator;
    for (size_t i = 0; i < extended; i++) found->length = found->length << 8 | octets[2 + i];
    if (found->masked) memcpy(found->mask, octets + 2 + extended, 4);
    return true;
}

void apply_mask(char *payload, size_t length, const unsigned char *mask) {
    uint32_t word;
    memcpy(&word, mask, 4);
    size_t at = 0;
    for (; at + 4 <= length; at += 4) {
        uint32_t part;
        memcpy(&part, payload + at, 4);
        part ^= word;
        memcpy(payload + at, &part, 4);
    }
    for (; at < length; at++) payload[at] = (char)(payload[at] ^ mask[at & 3]);
}

void put_frame(bytes *buffer, int opcode, const void *payload, size_t length, const unsigned char *mask) {
    char *start = bytes_room(buffer, length + HEADER_MAXIMUM), *to = start;
    unsigned char masked = mask ? 0x80 : 0;
    *to++ = (char)(0x80 | opcode);
    if (length < 126) {
        *to++ = (char)(masked | length);
    } else {
        int size = length < 65536 ? 2 : 8;
        *to++ = (char)(masked | (size == 2 ? 126 : 127));
        for (int shift = 8 * (size - 1); shift >= 0; shift -= 8) *to++ = (char)((uint64_t)length >> shift);
    }
    if (mask) {
        memcpy(to, mask, 4);
        to += 4;
    }
    memcpy(to, payload, length);
    if (mask) apply_mask(to, length, mask);
    buffer->length += (size_t)(to - start) + length;
}
