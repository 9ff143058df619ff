/* A span is a borrowed run of bytes: it never owns, never ends in NUL by promise, and lives as long as what it
 * points into (a batch's arena, a message, a string literal). Ids, names and blobs travel as spans. */
#ifndef ORIORI_BASE_SPAN_H
#define ORIORI_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
    const char *data; /* may be NULL when size is 0 */
    size_t size;      /* bytes */
};

#define SPAN(literal) ((struct span){"" literal, sizeof(literal) - 1})
#define SPAN_NONE ((struct span){NULL, 0})

static inline struct span span_of(const char *text)
{
    return (struct span){text, text ? strlen(text) : 0};
}

static inline bool span_empty(struct span s)
{
    return s.size == 0;
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Bytewise order, the shorter first on a tie: the order of ids everywhere in RULINGS.md. */
static inline int span_compare(struct span a, struct span b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size ? memcmp(a.data, b.data, size) : 0;
    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

#endif
