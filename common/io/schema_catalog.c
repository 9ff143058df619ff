#include "common/io/schema_catalog.h"

#include "common/base/check.h"
#include "common/base/timestamp.h"

#include <stdlib.h>
#include <time.h>

enum {
    LOOKUPS_MS = 2000,  /* of one batch; the group must hear from us */
    UNKNOWN_MS = 60000, /* a registry's followers may lag behind its leader, but not for so long */
};

struct unknown {
    uint32_t id;
    int64_t at; /* monotonic ms */
    char *why;
};

struct schema_catalog {
    struct registry *registry;
    struct schema_set *set;
    struct unknown *unknown; /* by id */
    size_t unknown_count, unknown_capacity;
    int64_t spent_ms; /* on questions since the last batch was sent away */
    const char *trouble;
};

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND_MS + now.tv_nsec / 1000000;
}

/* ---- what is unknown ---- */

/* Where the id is, or where it belongs. */
static size_t unknown_place(const struct schema_catalog *catalog, uint32_t id)
{
    size_t low = 0, high = catalog->unknown_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (catalog->unknown[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct unknown *unknown_find(const struct schema_catalog *catalog, uint32_t id)
{
    size_t place = unknown_place(catalog, id);
    bool found = place < catalog->unknown_count && catalog->unknown[place].id == id;
    return found ? &catalog->unknown[place] : NULL;
}

static struct span unknown_add(struct schema_catalog *catalog, uint32_t id, const char *why)
{
    size_t place = unknown_place(catalog, id);
    if (catalog->unknown_count == catalog->unknown_capacity) {
        catalog->unknown_capacity = catalog->unknown_capacity ? 2 * catalog->unknown_capacity : 16;
        catalog->unknown = realloc(catalog->unknown, catalog->unknown_capacity * sizeof(*catalog->unknown));
        CHECK(catalog->unknown);
    }
    struct unknown *at = &catalog->unknown[place];
    memmove(at + 1, at, (catalog->unknown_count++ - place) * sizeof(*at));
    *at = (struct unknown){id, monotonic_ms(), strdup(why)};
    CHECK(at->why);
    return span_of(at->why);
}

void schema_catalog_expire(struct schema_catalog *catalog)
{
    int64_t now = monotonic_ms();
    size_t kept = 0;
    for (size_t i = 0; i < catalog->unknown_count; i++) {
        if (now - catalog->unknown[i].at < UNKNOWN_MS)
            catalog->unknown[kept++] = catalog->unknown[i];
        else
            free(catalog->unknown[i].why);
    }
    catalog->unknown_count = kept;
    catalog->spent_ms = 0;
}

/* ---- asking ---- */

static enum world send_away(struct schema_catalog *catalog, const char *trouble)
{
    catalog->trouble = trouble;
    catalog->spent_ms = 0;
    return WORLD_AGAIN;
}

static struct span learn(struct schema_catalog *catalog, uint32_t id, enum registry_answer answer, struct span avsc)
{
    struct buffer text = {0}, error = {0};
    struct span why = SPAN("");
    if (answer == REGISTRY_FOUND && !schema_set_add(catalog->set, id, avsc, &error))
        buffer_format(&text, "schema %u of the registry: %s", (unsigned)id, error.data);
    else if (answer != REGISTRY_FOUND)
        buffer_format(&text, "schema %u: %s", (unsigned)id, registry_text(catalog->registry));
    if (text.size)
        why = unknown_add(catalog, id, text.data);
    buffer_release(&error);
    buffer_release(&text);
    return why;
}

enum world schema_catalog_need(struct schema_catalog *catalog, uint32_t id, struct span *ret_why)
{
    const struct unknown *unknown = unknown_find(catalog, id);
    *ret_why = unknown ? span_of(unknown->why) : SPAN("");
    if (unknown || schema_set_has(catalog->set, id))
        return WORLD_DONE;
    if (catalog->spent_ms > LOOKUPS_MS)
        return send_away(catalog, "many schemas are being read from the registry");
    struct buffer avsc = {0};
    int64_t began_at = monotonic_ms();
    enum registry_answer answer = registry_schema(catalog->registry, id, &avsc);
    catalog->spent_ms += monotonic_ms() - began_at;
    if (answer != REGISTRY_AWAY)
        *ret_why = learn(catalog, id, answer, buffer_span(&avsc));
    buffer_release(&avsc);
    return answer == REGISTRY_AWAY ? send_away(catalog, registry_text(catalog->registry)) : WORLD_DONE;
}

const char *schema_catalog_trouble(const struct schema_catalog *catalog)
{
    return catalog->trouble;
}

/* ---- life ---- */

struct schema_catalog *schema_catalog_new(struct registry *registry, struct schema_set *set)
{
    struct schema_catalog *catalog = calloc(1, sizeof(*catalog));
    CHECK(catalog);
    *catalog = (struct schema_catalog){.registry = registry, .set = set, .trouble = ""};
    return catalog;
}

void schema_catalog_free(struct schema_catalog *catalog)
{
    if (catalog == NULL)
        return;
    for (size_t i = 0; i < catalog->unknown_count; i++)
        free(catalog->unknown[i].why);
    free(catalog->unknown);
    free(catalog);
}
