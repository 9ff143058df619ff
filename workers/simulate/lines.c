#include "workers/simulate/lines.h"

#include "common/base/check.h"

#include <stdlib.h>

enum { BLOCK_SIZE = 256 << 10 };

void lines_init(struct lines *lines, FILE *in)
{
    *lines = (struct lines){.in = in, .data = malloc(BLOCK_SIZE), .capacity = BLOCK_SIZE};
    CHECK(lines->data != NULL);
}

void lines_release(struct lines *lines)
{
    free(lines->data);
    *lines = (struct lines){0};
}

/* One more block behind what is left, which is part of a line. */
static void fill(struct lines *lines)
{
    size_t left = lines->size - lines->at;
    memmove(lines->data, lines->data + lines->at, left);
    if (left > lines->capacity / 2) {
        lines->capacity *= 2;
        lines->data = realloc(lines->data, lines->capacity);
        CHECK(lines->data != NULL);
    }
    size_t room = lines->capacity - left;
    size_t size = fread(lines->data + left, 1, room, lines->in);
    lines->ended = size < room;
    lines->at = 0;
    lines->size = left + size;
}

bool lines_next(struct lines *lines, struct span *ret_line)
{
    size_t seen = 0; /* of the line, without a newline in it */
    const char *end;
    while ((end = memchr(lines->data + lines->at + seen, '\n', lines->size - lines->at - seen)) == NULL) {
        seen = lines->size - lines->at;
        if (lines->ended)
            break;
        fill(lines);
    }
    const char *line = lines->data + lines->at;
    if (end == NULL && seen == 0)
        return false;
    *ret_line = (struct span){line, end != NULL ? (size_t)(end - line) : seen};
    lines->at += ret_line->size + (end != NULL);
    return true;
}
