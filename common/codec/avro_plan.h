/* How to read one writer's schema into struct event: the resolution of the Avro specification, done once, as a flat
 * array of nodes. libavro parses the schema; it does not decode, because its decoder allocates what a message claims
 * and resolves enum symbols by place.
 *
 * Fields are matched by name (event_field.h is the reader's schema), in any order; what the reader does not know is
 * skipped by a node that knows only its type. int widens to long, bytes and string stand for each other, any union may
 * be written for any field: each branch is resolved by itself, null is absent. A branch that does not resolve is a
 * fault only in a record that takes it. Enum symbols are resolved by name, unknown ones to the enum's default when the
 * reader's schema has one. A field that the writer lacks is looked for under its aliases, and keeps its default
 * (event_blank) when there is none.
 *
 * Running a plan takes memory only for order lines, in the arena, at most a constant times the bytes of the datum. */
#ifndef ORIORI_CODEC_AVRO_PLAN_H
#define ORIORI_CODEC_AVRO_PLAN_H

#include "common/base/arena.h"
#include "common/engine/event.h"

#include <avro.h>

struct avro_plan;

/* The reader's own schema: what it says beside the names and types of event_field.h, which stand: aliases of the
 * event's and the order line's fields, defaults of enums. (Defaults of fields are event_blank's; records' names and
 * their aliases are not looked at: a topic holds one kind of record, whatever its writer calls it.) */
struct plan_reader;
struct plan_reader *plan_reader_new(struct span avsc); /* NULL: no JSON of a record */
void plan_reader_free(struct plan_reader *reader);     /* NULL is fine */

/* NULL: the schema's root is no record. Neither schema need live on. reader NULL: no aliases, no defaults. */
struct avro_plan *avro_plan_compile(avro_schema_t writer, enum topic topic, const struct plan_reader *reader);
void avro_plan_free(struct avro_plan *plan); /* NULL is fine */

/* REASON_NONE and a valid event, its texts borrowed from the datum; else why not, and the field's name (a literal) or
 * NULL. */
enum reason avro_plan_run(const struct avro_plan *plan, struct span datum, struct arena *arena, struct event *ret_event,
                          const char **ret_field);

#endif
