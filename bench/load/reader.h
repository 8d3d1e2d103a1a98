/* What a server sends, as whole messages: frames checked, fragments joined, compressed messages inflated. */
#ifndef READER_H
#define READER_H
#include "wire.h"

struct inflater;

typedef struct {
    bytes message;            /* the fragments so far */
    bool fragmented, inflate; /* a message has begun; it is compressed */
    bool deflate, takeover;   /* permessage-deflate was agreed; with a window that goes on from message to message */
    struct inflater *own;     /* that window */
} reader;

typedef struct {
    void (*message)(void *owner, const char *data, size_t length);
    void (*control)(void *owner, int opcode, const char *data, size_t length);
} receiver;

/*
 * Hands on every whole frame of `data`. `used` is how many bytes those were. Returns NULL, or what the server did wrong:
 * then nothing after it may be believed.
 */
const char *reader_feed(reader *self, const char *data, size_t length, size_t *used, const receiver *to, void *owner);

/* Frames read, of all readers. */
extern uint64_t frames_read;
#endif
