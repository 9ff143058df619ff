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

/* Under a fuzzer every piece is a chunk of its own: the address sanitizer sees a read from one into the next. */
#ifdef ORIORI_FUZZ
enum { ARENA_CHUNK_SIZE = 0, ARENA_ALIGN = 1 };
#else
enum { ARENA_CHUNK_SIZE = 256 * 1024, ARENA_ALIGN = 16 };
#endif

struct arena_chunk {
    struct arena_chunk *next;
    size_t size; /* of the bytes behind this head */
    size_t used;
    size_t pad; /* keeps bytes[] on a 16-byte boundary */
    char bytes[];
};

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

/* From a chunk that has room, a size that is aligned already; inside of arena_take_raw. */
static inline void *arena_cut(struct arena *arena, struct arena_chunk *chunk, size_t size)
{
    char *bytes = chunk->bytes + chunk->used;
    chunk->used += size;
    arena->used += size;
    if (arena->limit != 0 && arena->used > arena->limit)
        arena->overflow = true;
    return bytes;
}

void *arena_take_more(struct arena *arena, size_t size, size_t aligned); /* from another chunk than the current one */

/* The same as arena_take, but not zeroed: for what is written at once. Taken a few hundred times a step, so inline. */
static inline void *arena_take_raw(struct arena *arena, size_t size)
{
    size_t aligned = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    struct arena_chunk *chunk = arena->current;
    if (chunk == NULL || chunk->size - chunk->used < aligned || aligned < size)
        return arena_take_more(arena, size, aligned);
    return arena_cut(arena, chunk, aligned);
}

/* Zeroed memory, aligned to 16, valid until reset. */
static inline void *arena_take(struct arena *arena, size_t size)
{
    return memset(arena_take_raw(arena, size), 0, size);
}


/* A copy of the bytes, with a NUL after them that the span does not count. */
struct span arena_copy(struct arena *arena, struct span bytes);

#define ARENA_NEW(arena, type) ((type *)arena_take((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_take((arena), sizeof(type) * (count)))

#endif
