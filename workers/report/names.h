/* Texts numbered in order of first sight: ids of customers, names of rules. An open hash table. */
#ifndef ORIORI_WORKERS_REPORT_NAMES_H
#define ORIORI_WORKERS_REPORT_NAMES_H

#include "common/base/arena.h"

#include <stdint.h>

#define NAME_NONE UINT32_MAX

struct names {
    struct span *items;
    uint32_t count;
    uint32_t *slots; /* number + 1; 0 = free */
    size_t slot_count;
};

void names_release(struct names *names);
uint32_t names_add(struct names *names, struct arena *memory, struct span text); /* known or new; a copy is kept */
uint32_t names_find(const struct names *names, struct span text);                /* NAME_NONE: never added */

#endif
