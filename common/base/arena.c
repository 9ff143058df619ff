#include "common/base/arena.h"

#include "common/base/check.h"

#include <stdint.h>
#include <stdlib.h>

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

void *arena_take_more(struct arena *arena, size_t size, size_t aligned)
{
    CHECK(size <= SIZE_MAX / 2);
    return arena_cut(arena, chunk_with_room(arena, aligned), aligned);
}

struct span arena_copy(struct arena *arena, struct span bytes)
{
    char *copy = arena_take_raw(arena, bytes.size + 1);
    if (bytes.size != 0)
        memcpy(copy, bytes.data, bytes.size);
    copy[bytes.size] = '\0';
    return (struct span){copy, bytes.size};
}
