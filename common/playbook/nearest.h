/* The nearest valid name to a misspelt one, so that an error can say what was probably meant. */
#ifndef ORIORI_PLAYBOOK_NEAREST_H
#define ORIORI_PLAYBOOK_NEAREST_H

#include "common/base/span.h"

/* Smallest number of letters put in, left out, changed or swapped with the next one. Texts over NEAREST_SIZE_MAX bytes
 * count as far from everything. */
enum { NEAREST_SIZE_MAX = 64 };
size_t nearest_distance(struct span a, struct span b);

/* The nearest of the names, the first of equals; else the first that is a part of the text, or it of the name; NULL when
 * none is near enough to be meant (a third of its letters). */
const char *nearest_name(struct span text, const char *const *names, size_t count);

#endif
