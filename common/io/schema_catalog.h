/* The schemas of a registry, as far as inputs have named them: each id is asked for once and kept for ever (what an id
 * means never changes), also when a thousand records of a batch name it. What the registry does not know is remembered
 * too, until schema_catalog_expire, so that a batch of bad records does not ask for each.
 *
 * One thread. What it does to the loop is bounded: when the questions of one batch took LOOKUPS_MS, the batch is told
 * to come back; it then finds what was learned. */
#ifndef ORIORI_IO_SCHEMA_CATALOG_H
#define ORIORI_IO_SCHEMA_CATALOG_H

#include "common/codec/schema_set.h"
#include "common/io/registry.h"
#include "common/io/world.h"

struct schema_catalog;

/* Both are borrowed; the set is filled. */
struct schema_catalog *schema_catalog_new(struct registry *registry, struct schema_set *set);
void schema_catalog_free(struct schema_catalog *catalog); /* NULL is fine */

/* WORLD_DONE: the set has the schema and *ret_why is "", or nobody has it that we can read, and *ret_why says why
 * (borrowed until expire). WORLD_AGAIN: the registry is away, schema_catalog_trouble says how; ask again later. */
WORLD_MUST_USE enum world schema_catalog_need(struct schema_catalog *catalog, uint32_t id, struct span *ret_why);

/* Why the last need said WORLD_AGAIN. */
const char *schema_catalog_trouble(const struct schema_catalog *catalog);

/* Between two batches: forgets what was unknown for longer than a minute, for it may be known by now. */
void schema_catalog_expire(struct schema_catalog *catalog);

#endif
