/* WebSocket frames (RFC 6455, section 5), for both ends of the wire. */
#ifndef WIRE_H
#define WIRE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

#define HEADER_MAXIMUM 14
/* The nonce of RFC 6455, section 1.3, and its answer: one request for all, so that no end spends time on SHA-1. */
#define NONCE "dGhlIHNhbXBsZSBub25jZQ=="
#define NONCE_ACCEPTED "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

/* Bytes that grow. */
typedef struct {
    char *data;
    size_t length, capacity;
} bytes;

/* Room for `more` bytes behind what is there; where they go. */
char *bytes_room(bytes *buffer, size_t more);
void bytes_append(bytes *buffer, const void *data, size_t length);
void bytes_release(bytes *buffer);

typedef struct {
    int opcode;
    bool final, compressed, reserved, masked;
    unsigned char mask[4];
    size_t header;
    uint64_t length;
} frame;

/* Whether a whole header is there; then `found` has it. */
bool read_header(const char *data, size_t available, frame *found);

/* A whole frame behind what is there; `mask` is NULL where a server sends. */
void put_frame(bytes *buffer, int opcode, const void *payload, size_t length, const unsigned char *mask);

void apply_mask(char *payload, size_t length, const unsigned char *mask);

/* Ends the process with status 2 and a line on standard error. */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
#endif
