/* The letters of crm.dead and what has been done with them.
 *
 * What was done stands in crm.dead too, as marks: records without a value and with the headers `letter`
 * (partition:offset of the letter) and `mark` (redriven or dropped). So a mark is as old as its topic lets it be, is
 * written in the same transaction as the redriven record, and needs no topic of its own. Readers of crm.dead skip
 * records with a `mark`. */
#ifndef ORIORI_WORKERS_DLQ_LETTERS_H
#define ORIORI_WORKERS_DLQ_LETTERS_H

#include "common/codec/internal_records.h"
#include "common/io/config.h"

enum letter_fate { LETTER_WAITS, LETTER_REDRIVEN, LETTER_DROPPED };

struct dead {
    int32_t partition;
    int64_t offset;
    int64_t at; /* ms: when the letter was written */
    struct span key;
    struct dead_letter letter;
    enum letter_fate fate;
    int64_t fate_at;
};

struct letters_filter {
    const char *reason;        /* NULL = any */
    const char *topic;         /* full name; NULL = any */
    int64_t from, to;          /* when written, [from, to); NEVER = open */
    const char *const *places; /* "3:17"; count 0 = all */
    size_t place_count;
};

struct letters {
    struct dead *items; /* in the order of (partition, offset) */
    size_t count, capacity;
    size_t unreadable; /* records of another program, or of another version */
    struct arena arena;
};

/* Reads all of crm.dead, read committed. False: *error says why. letters_release in any case. */
bool letters_read(struct letters *letters, struct config *config, const struct letters_filter *filter,
                  struct buffer *error);
void letters_release(struct letters *letters);

#endif
