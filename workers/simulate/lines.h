/* The lines of a file, read by large blocks and lent where they lie: getline copies each. A line may be of any size;
 * the room grows with the longest. A block is waited for, so this is for files and pipes, not for a person's typing. */
#ifndef ORIORI_WORKERS_SIMULATE_LINES_H
#define ORIORI_WORKERS_SIMULATE_LINES_H

#include "common/base/span.h"

#include <stdio.h>

struct lines {
    FILE *in; /* borrowed */
    char *data;
    size_t capacity;
    size_t at;   /* what is before it has been lent */
    size_t size; /* bytes read */
    bool ended;
};

void lines_init(struct lines *lines, FILE *in);
void lines_release(struct lines *lines);

/* The next line without its newline; the last one need not have any. Lent until the next call. False: there is none, or
 * reading failed (ferror). */
bool lines_next(struct lines *lines, struct span *ret_line);

#endif
