/*
 * The markers that make a delivery provable, and the messages that carry them.
 *
 * A marker is `^`, four hexadecimal digits of the run, eight of the message's number, `$`. Times stay in the generator's own
 * table, by number: none travels, so none can be altered or misread. Padding depends on the number: where it stands right
 * behind the marker, each delivery is compared with what was published.
 */
#ifndef MARKERS_H
#define MARKERS_H
#include "wire.h"

#define MARKER_LENGTH 14

typedef struct {
    bytes text;
    size_t marker, padding, padding_length, recipient;
    bool addressed;
} template;

/* `source` with {M} once, then {PAD} at most once; {ID}, if it is there, before both. */
void template_parse(template *self, const char *source, size_t size);
/* The message number `sequence`, put behind `message`'s bytes. */
void template_render(const template *self, bytes *message, uint32_t sequence, uint32_t recipient);

void markers_begin(uint16_t run);

/* Markers that prove nothing: those of other runs, and those whose padding is not the one that was published. */
typedef struct {
    uint64_t foreign, altered;
} strays;

typedef void (*found_marker)(void *owner, uint32_t sequence);
/* Calls for each whole marker of this run that `sent` was published with; counts the others. */
void markers_find(const template *sent, const char *data, size_t length, found_marker found, void *owner, strays *others);
#endif
