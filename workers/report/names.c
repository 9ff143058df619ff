#include "workers/report/names.h"

#include "common/base/check.h"
#include "common/base/hash.h"

#include <stdlib.h>

enum { FIRST_SLOTS = 256 };

void names_release(struct names *names)
{
    free(names->items);
    free(names->slots);
    *names = (struct names){0};
}

static uint32_t *slot_of(const struct names *names, struct span text)
{
    size_t at = hash_xxh64(text) & (names->slot_count - 1);
    while (names->slots[at] != 0 && !span_equal(names->items[names->slots[at] - 1], text))
        at = (at + 1) & (names->slot_count - 1);
    return &names->slots[at];
}

static void grow(struct names *names)
{
    names->slot_count = names->slot_count ? 2 * names->slot_count : FIRST_SLOTS;
    free(names->slots);
    names->slots = calloc(names->slot_count, sizeof *names->slots);
    names->items = realloc(names->items, names->slot_count / 2 * sizeof *names->items);
    CHECK(names->slots != NULL && names->items != NULL);
    for (uint32_t i = 0; i < names->count; i++)
        *slot_of(names, names->items[i]) = i + 1;
}

uint32_t names_add(struct names *names, struct arena *memory, struct span text)
{
    if (2 * (size_t)names->count >= names->slot_count)
        grow(names);
    uint32_t *slot = slot_of(names, text);
    if (*slot == 0) {
        names->items[names->count++] = arena_copy(memory, text);
        *slot = names->count;
    }
    return *slot - 1;
}

uint32_t names_find(const struct names *names, struct span text)
{
    return names->slot_count ? *slot_of(names, text) - 1 : NAME_NONE;
}
