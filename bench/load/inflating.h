/* permessage-deflate, the client's half of reading (RFC 7692, section 7.2.2). */
#ifndef INFLATING_H
#define INFLATING_H
#include <stdbool.h>
#include <stddef.h>

struct inflater;

/* Whether this was built with zlib. */
extern const bool can_inflate;

/*
 * The text of a compressed message, valid until the next call; NULL if it is none. `window` is where a connection keeps
 * what its next message may refer to; NULL where every message stands for itself. Of those the same bytes are the same
 * text, so one that was inflated for another connection is not inflated again: what the generator spends must
 * not hide what the server does.
 */
const char *inflate_message(struct inflater **window, const char *data, size_t length, size_t *inflated);
#endif
