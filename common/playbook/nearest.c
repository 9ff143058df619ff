#include "common/playbook/nearest.h"

#include <stdint.h>

enum { PART_SIZE_MIN = 5 }; /* a shorter part says little */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static char folded(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

size_t nearest_distance(struct span a, struct span b)
{
    if (a.size > NEAREST_SIZE_MAX || b.size > NEAREST_SIZE_MAX)
        return SIZE_MAX;
    size_t rows[3][NEAREST_SIZE_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b.size; j++)
        last[j] = before[j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            size_t changed = folded(a.data[i - 1]) != folded(b.data[j - 1]);
            row[j] = least(least(last[j], row[j - 1]) + 1, last[j - 1] + changed);
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
        size_t *free_row = before;
        before = last;
        last = row;
        row = free_row;
    }
    return last[b.size];
}

static bool begins_with(struct span text, size_t at, struct span part)
{
    for (size_t i = 0; i < part.size; i++) {
        if (folded(text.data[at + i]) != folded(part.data[i]))
            return false;
    }
    return true;
}

static bool contains(struct span text, struct span part)
{
    for (size_t at = 0; at + part.size <= text.size; at++) {
        if (begins_with(text, at, part))
            return true;
    }
    return false;
}

/* RENEWED for SUBSCRIPTION_RENEWED, effect_after_days for effect_after. */
static const char *part_of(struct span text, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct span name = span_of(names[i]);
        bool shorter = text.size < name.size;
        if ((shorter ? text : name).size >= PART_SIZE_MIN && contains(shorter ? name : text, shorter ? text : name))
            return names[i];
    }
    return NULL;
}

const char *nearest_name(struct span text, const char *const *names, size_t count)
{
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        struct span name = span_of(names[i]);
        size_t distance = nearest_distance(text, name);
        size_t allowed = name.size < 6 ? 1 : name.size / 3;
        if (distance <= allowed && distance < name.size && distance < best_distance) {
            best = names[i];
            best_distance = distance;
        }
    }
    return best != NULL ? best : part_of(text, names, count);
}
