#include "common/base/arena.h"

#include "common/base/check.h"

#include <stdint.h>
#include <stdlib.h>

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

static struct arena_chunk *chunk_new(size_t size)
{
    struct arena_chunk *chunk = malloc(sizeof *chunk + size);
    CHECK(chunk != NULL);
    chunk->next = NULL;
    chunk->size = size;
    chunk->used = 0;
    return chunk;
}

void arena_init(struct arena *arena, size_t limit)
{
    *arena = (struct arena){.limit = limit};
}

void arena_release(struct arena *arena)
{
    for (struct arena_chunk *chunk = arena->first, *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    *arena = (struct arena){0};
}

void arena_reset(struct arena *arena)
{
    for (struct arena_chunk *chunk = arena->first; chunk != NULL; chunk = chunk->next)
        chunk->used = 0;
    arena->current = arena->first;
    arena->used = 0;
    arena->overflow = false;
}

/* The next chunk with room, or a new one put in behind the current one. */
static struct arena_chunk *chunk_with_room(struct arena *arena, size_t size)
{
    struct arena_chunk *chunk = arena->current;
    while (chunk != NULL && chunk->size - chunk->used < size)
        chunk = chunk->next;
    if (chunk == NULL) {
        chunk = chunk_new(size > ARENA_CHUNK_SIZE ? size : ARENA_CHUNK_SIZE);
        if (arena->current != NULL) {
            chunk->next = arena->current->next;
            arena->current->next = chunk;
        } else {
            arena->first = chunk;
        }
    }
    arena->current = chunk;
    return chunk;
}

void *arena_take_raw(struct arena *arena, size_t size)
{
    CHECK(size <= SIZE_MAX / 2);
    size = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    struct arena_chunk *chunk = arena->current;
    if (chunk == NULL || chunk->size - chunk->used < size)
        chunk = chunk_with_room(arena, size);
    char *bytes = chunk->bytes + chunk->used;
    chunk->used += size;
    arena->used += size;
    if (arena->limit != 0 && arena->used > arena->limit)
        arena->overflow = true;
    return bytes;
}

void *arena_take(struct arena *arena, size_t size)
{
    return memset(arena_take_raw(arena, size), 0, size);
}

struct span arena_copy(struct arena *arena, struct span bytes)
{
    char *copy = arena_take_raw(arena, bytes.size + 1);
    if (bytes.size != 0)
        memcpy(copy, bytes.data, bytes.size);
    copy[bytes.size] = '\0';
    return (struct span){copy, bytes.size};
}
