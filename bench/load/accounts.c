#include "accounts.h"

#include <stdlib.h>

#include "wire.h"

accounts books;

static uint64_t *due_times;
static uint32_t *missing;

void accounts_open(uint32_t receivers, bool addressed) {
    books = (accounts){.receivers = receivers, .addressed = addressed};
    due_times = calloc(MESSAGES_REMEMBERED, sizeof *due_times);
    missing = calloc(MESSAGES_REMEMBERED, sizeof *missing);
    if (!due_times || !missing) fail("no memory for the accounts");
}

void receipts_begin(receipts *of) {
    *of = (receipts){.highest = -1, .came = UINT64_MAX}; /* what is before the first can come no more */
}

uint32_t accounts_publish(uint64_t due) {
    uint32_t sequence = books.published++, place = sequence % MESSAGES_REMEMBERED;
    if (sequence == UINT32_MAX) fail("more messages than numbers");
    due_times[place] = due;
    missing[place] = books.addressed ? 1 : books.receivers;
    books.in_flight++;
    return sequence;
}

static bool first_time(receipts *of, int64_t number) {
    int64_t ahead = number - of->highest;
    if (ahead > 0) {
        of->came = ahead < NUMBERS_REMEMBERED ? of->came << ahead | 1 : 1;
        of->highest = number;
        return true;
    }
    if (-ahead >= NUMBERS_REMEMBERED) {
        books.too_late++;
        return false;
    }
    uint64_t bit = 1ull << -ahead;
    if (of->came & bit) {
        books.duplicated++;
        return false;
    }
    of->came |= bit;
    books.reordered++;
    return true;
}

bool accounts_receive(receipts *of, uint32_t receiver, uint32_t sequence, uint64_t *due) {
    if (sequence >= books.published) {
        books.unknown++;
        return false;
    }
    if (books.addressed && sequence % books.receivers != receiver) {
        books.misdelivered++;
        return false;
    }
    if (!first_time(of, books.addressed ? sequence / books.receivers : sequence)) return false;
    books.delivered++;
    uint32_t place = sequence % MESSAGES_REMEMBERED;
    *due = due_times[place];
    if (!--missing[place] && books.in_flight) books.in_flight--;
    return true;
}

uint64_t accounts_expected(void) {
    return books.addressed ? books.published : (uint64_t)books.published * books.receivers;
}
