/* A few names, each with a number, to be found where a JSON text begins: keys and enum values are short and known, and
 * looking each up here costs less than finding its end first. A hash of the first four bytes (the closing quote may be
 * one of them) says where to look; a name is compared by whole words, its quotes with it, and of a key the colon too.
 */
#ifndef ORIORI_CODEC_NAME_TABLE_H
#define ORIORI_CODEC_NAME_TABLE_H

#include "common/base/span.h"

enum {
    NAME_SIZE_LEAST = 3, /* bytes */
    NAME_WRITTEN_MAX = 24,
    NAMES_MAX = 32,
    NAME_SLOTS = 64 /* a power of two, twice NAMES_MAX: there is always a free one, where a search ends */
};

struct name {
    char written[NAME_WRITTEN_MAX]; /* as in the JSON: quotes and all */
    uint32_t size;                  /* of that */
    uint32_t number;
};

struct name_table {
    struct name slots[NAME_SLOTS]; /* size 0 = free; what finds its slot taken is in the next free one */
    uint32_t count;
};

/* The name must fit, and not be there yet. Behind it: "\"", or "\":" for a key. The table is zeroed before its first
 * name.
 */
void name_table_add(struct name_table *table, struct span name, const char *behind, unsigned number);

static inline size_t name_slot(const void *at)
{
    uint32_t head;
    memcpy(&head, at, sizeof head);
    return (head * UINT32_C(2654435761)) >> 26;
}

static inline bool name_same_eight(const void *a, const void *b)
{
    uint64_t left, right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return left == right;
}

/* Is that what the text begins with? Five of its bytes at least are readable. Words may overlap. */
static inline bool name_is(const struct name *name, const unsigned char *at, size_t readable)
{
    if (name->size > readable)
        return false;
    const unsigned char *end = at + name->size;
    const char *written_end = name->written + name->size;
    if (name->size < 8)
        return memcmp(at, name->written, 4) == 0 && memcmp(end - 4, written_end - 4, 4) == 0;
    return memcmp(at, name->written, 8) == 0 && memcmp(end - 8, written_end - 8, 8) == 0 &&
           (name->size <= 16 || memcmp(at + 8, name->written + 8, 8) == 0);
}

/* What the JSON says at its opening quote; NULL = none of the names, or one that is written with escapes (or, a key,
 * with white space before its colon). */
static inline const struct name *name_find(const struct name_table *table, const unsigned char *at,
                                           const unsigned char *end)
{
    if (end - at < 5 || *at != '"')
        return NULL;
    const struct name *name = &table->slots[name_slot(at + 1)];
    while (name->size != 0 && !name_is(name, at, (size_t)(end - at)))
        name = name == &table->slots[NAME_SLOTS - 1] ? table->slots : name + 1;
    return name->size != 0 ? name : NULL;
}

#endif
