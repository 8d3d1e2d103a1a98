/*
 * What was published, and what came of it: each message is, for each who should get it, delivered once or lost. A second
 * one of the same number is a duplicate and never a delivery.
 */
#ifndef ACCOUNTS_H
#define ACCOUNTS_H
#include <stdbool.h>
#include <stdint.h>

#define MESSAGES_REMEMBERED (1u << 20)
#define NUMBERS_REMEMBERED 64

/* One receiver's: the highest number that came, and which of the 64 up to it did. */
typedef struct {
    int64_t highest;
    uint64_t came;
} receipts;

typedef struct {
    bool addressed;     /* message k is for receiver k % receivers alone, and its k / receivers-th */
    uint32_t receivers; /* of each message, or among whom they are dealt out */
    uint32_t published, in_flight;
    uint64_t delivered, duplicated, reordered, misdelivered;
    uint64_t too_late; /* more than 64 numbers behind: whether they came before is not known, so they are not counted */
    uint64_t unknown;  /* of this run, but never published */
} accounts;

extern accounts books;

void accounts_open(uint32_t receivers, bool addressed);
void receipts_begin(receipts *of);

/* The next message leaves; `due` is when it should have. Returns its number. */
uint32_t accounts_publish(uint64_t due);

/* A marker came to a receiver. Whether it is a delivery; then `due` is when it was due. */
bool accounts_receive(receipts *of, uint32_t receiver, uint32_t sequence, uint64_t *due);

uint64_t accounts_expected(void);
#endif
