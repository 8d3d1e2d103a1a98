#include "inflating.h"

#include "wire.h"

#ifdef WITHOUT_ZLIB
const bool can_inflate = false;

const char *inflate_message(struct inflater **window, const char *data, size_t length, size_t *inflated) {
    (void)window, (void)data, (void)length, (void)inflated;
    return NULL;
}
#else
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

const bool can_inflate = true;

struct inflater {
    z_stream stream;
};

#define REMEMBERED 64

/* The newest compressed messages that stand for themselves, and their texts. */
static struct { bytes compressed, text; } known[REMEMBERED];
static unsigned oldest;
static bytes text;
static struct inflater *shared;

static struct inflater *new_inflater(void) {
    struct inflater *made = calloc(1, sizeof *made);
    if (!made || inflateInit2(&made->stream, -15) != Z_OK) fail("no memory to inflate");
    return made;
}

static bool run(z_stream *stream, const void *data, size_t length) {
    stream->next_in = (Bytef *)(uintptr_t)data;
    stream->avail_in = (uInt)length;
    for (;;) {
        stream->next_out = (Bytef *)bytes_room(&text, 65536);
        stream->avail_out = 65536;
        int result = inflate(stream, Z_SYNC_FLUSH);
        text.length += 65536 - stream->avail_out;
        if (result == Z_STREAM_END && inflateReset(stream) == Z_OK) result = Z_OK;
        if (result != Z_OK && result != Z_BUF_ERROR) return false;
        if (!stream->avail_in && stream->avail_out) return true;
        if (result == Z_BUF_ERROR && stream->avail_out) return false;
    }
}

const char *inflate_message(struct inflater **window, const char *data, size_t length, size_t *inflated) {
    static const unsigned char tail[4] = {0, 0, 0xff, 0xff};
    for (unsigned i = 0; !window && i < REMEMBERED; i++)
        if (known[i].compressed.length == length && !memcmp(data, known[i].compressed.data, length)) {
            *inflated = known[i].text.length;
            return known[i].text.data;
        }
    struct inflater **place = window ? window : &shared;
    if (!length) return NULL;
    if (!*place) *place = new_inflater();
    if (!window) inflateReset(&(*place)->stream);
    text.length = 0;
    if (!run(&(*place)->stream, data, length) || !run(&(*place)->stream, tail, sizeof tail)) return NULL;
    if (!window) {
        known[oldest].compressed.length = known[oldest].text.length = 0;
        bytes_append(&known[oldest].compressed, data, length);
        bytes_append(&known[oldest].text, text.data, text.length);
        oldest = (oldest + 1) % REMEMBERED;
    }
    *inflated = text.length;
    return text.data;
}
#endif
