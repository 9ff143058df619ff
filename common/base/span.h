/* A span is a borrowed run of bytes: it never owns, never ends in NUL by promise, and lives as long as what it
 * points into (a batch's arena, a message, a string literal). Ids, names and blobs travel as spans. */
#ifndef ORIORI_BASE_SPAN_H
#define ORIORI_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
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

/* Whether the text begins with the prefix; *ret_rest: what is behind it, else as it was. */
static inline bool span_starts(struct span text, struct span prefix, struct span *ret_rest)
{
    if (text.size < prefix.size || memcmp(text.data, prefix.data, prefix.size) != 0)
        return false;
    *ret_rest = (struct span){text.data + prefix.size, text.size - prefix.size};
    return true;
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

/* Is every byte of the word printable ASCII? */
static inline bool span_word_plain(uint64_t word)
{
    const uint64_t each = UINT64_C(0x0101010101010101);
    /* a byte above 0x7f, below 0x20, or 0x7f */
    return ((word | (word - 0x20 * each) | (word + each)) & 0x80 * each) == 0;
}

static inline bool span_short_plain(struct span text) /* of 1 to 7 bytes: read into one word, some of them twice */
{
    uint32_t head = 0x20202020, tail = 0x20202020;
    if (text.size >= 4) {
        memcpy(&head, text.data, 4);
        memcpy(&tail, text.data + text.size - 4, 4);
    } else {
        memcpy(&head, text.data, 1);
        memcpy(&tail, text.data + text.size / 2, 1);
        memcpy((char *)&tail + 1, text.data + text.size - 1, 1);
    }
    return span_word_plain((uint64_t)head << 32 | tail);
}

/* How many bytes at the head are printable ASCII, looked at by eights (the last eight may overlap): all of the text
 * when it is plain, as ids and names mostly are; else a part, perhaps 0. What it stops at is for a slower look. */
static inline size_t span_plain(struct span text)
{
    if (text.size < 8)
        return text.size == 0 || span_short_plain(text) ? text.size : 0;
    for (size_t at = 0;;) {
        uint64_t word;
        memcpy(&word, text.data + at, sizeof word);
        if (!span_word_plain(word))
            return at;
        at += 8;
        if (at >= text.size)
            return text.size;
        if (text.size - at < 8)
            at = text.size - 8;
    }
}

#endif
