/* The records of one instant, written as JSON lines, waiting to be put in order: by (customer id bytewise, seq), as R85
 * wants them. Instants come in order, so nothing else ever waits. */
#ifndef ORIORI_WORKERS_SIMULATE_STAGE_H
#define ORIORI_WORKERS_SIMULATE_STAGE_H

#include "common/base/buffer.h"
#include "common/engine/record.h"

#include <stdio.h>

struct staged;

struct stage {
    FILE *out;
    int64_t at; /* of what is staged */
    struct buffer text;
    struct staged *items;
    size_t count;
    size_t capacity;
};

void stage_init(struct stage *stage, FILE *out);
void stage_release(struct stage *stage);

void stage_add(struct stage *stage, const struct record *record); /* flushes when a new instant begins */
void stage_flush(struct stage *stage);

#endif
