/* An arena holds what lives as long as one batch. Life-cycle: arena_init, then any number of (arena_take ...,
 * arena_reset), then arena_release. Chunks are kept over a reset, so the steady state allocates nothing.
 *
 * arena_take never returns NULL. When more than limit bytes are in use the sticky mark `overflow` is set (memory is still
 * handed out): the loop reads it after a batch was computed, throws the batch away and takes a smaller one. */
#ifndef ORIORI_BASE_ARENA_H
#define ORIORI_BASE_ARENA_H

#include "common/base/span.h"

#include <stdbool.h>
#include <stddef.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *first;
    struct arena_chunk *current;
    size_t used;  /* bytes handed out since the last reset */
    size_t limit; /* bytes; 0 = no limit */
    bool overflow;
};

void arena_init(struct arena *arena, size_t limit);
void arena_release(struct arena *arena);
void arena_reset(struct arena *arena);

/* Zeroed memory, aligned to 16, valid until reset. */
void *arena_take(struct arena *arena, size_t size);
void *arena_take_raw(struct arena *arena, size_t size); /* the same, not zeroed: for what is written at once */

/* A copy of the bytes, with a NUL after them that the span does not count. */
struct span arena_copy(struct arena *arena, struct span bytes);

#define ARENA_NEW(arena, type) ((type *)arena_take((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_take((arena), sizeof(type) * (count)))

#endif
