/* How to read one writer's schema into struct event: the resolution of the Avro specification, done once, as a flat
 * array of nodes. libavro parses the schema; it does not decode, because its decoder allocates what a message claims
 * and resolves enum symbols by place.
 *
 * Fields are matched by name (event_field.h is the reader's schema), in any order; what the reader does not know is
 * skipped by a node that knows only its type. int widens to long, bytes and string stand for each other, any union may
 * be written for any field: each branch is resolved by itself, null is absent. A branch that does not resolve is a
 * fault only in a record that takes it. Enum symbols are resolved by name. Fields that are missing keep their defaults
 * (event_blank).
 *
 * Running a plan takes memory only for order lines, in the arena, at most a constant times the bytes of the datum. */
#ifndef ORIORI_CODEC_AVRO_PLAN_H
#define ORIORI_CODEC_AVRO_PLAN_H

#include "common/base/arena.h"
#include "common/engine/event.h"

#include <avro.h>

struct avro_plan;

/* NULL: the schema's root is no record. The schema need not live on. */
struct avro_plan *avro_plan_compile(avro_schema_t writer, enum topic topic);
void avro_plan_free(struct avro_plan *plan); /* NULL is fine */

/* REASON_NONE and a valid event, its texts borrowed from the datum; else why not, and the field's name (a literal) or
 * NULL. */
enum reason avro_plan_run(const struct avro_plan *plan, struct span datum, struct arena *arena, struct event *ret_event,
                          const char **ret_field);

#endif
