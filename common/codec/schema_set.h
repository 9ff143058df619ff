/* The writers' schemas that this process knows, by wire id, each with its plan for each input topic. Filled at start
 * from files, or as ids are met from a registry (common/io/schema_catalog.h); one thread while it is being filled.
 *
 * The local set is schemas/ids.json beside its .avsc files: a list of {"id", "name", "file", "topic"}. A user adds an
 * older or own writer of an input topic as one more entry with an id of its own. */
#ifndef ORIORI_CODEC_SCHEMA_SET_H
#define ORIORI_CODEC_SCHEMA_SET_H

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/engine/event.h"

struct schema_set;

struct schema_set *schema_set_new(void);
void schema_set_free(struct schema_set *set); /* NULL is fine */

/* False: no Avro schema of a record, or the id is taken; *error (cleared first) says which, in a sentence. */
bool schema_set_add(struct schema_set *set, uint32_t id, struct span avsc, struct buffer *error);

/* Our own schema of an input: its aliases and enum defaults count for the writers' schemas added from then on. False:
 * it is none. schema_set_load does so with the fixed ids of the inputs. */
bool schema_set_read_as(struct schema_set *set, enum topic topic, struct span avsc);

bool schema_set_has(const struct schema_set *set, uint32_t id);

/* Reads a file of the set by its name, appending to the buffer: the one thing that is not memory. False: it cannot. */
typedef bool schema_read(void *context, const char *file_name, struct buffer *buffer);

/* Adds all of ids.json. False: *error says what is wrong with which file. */
bool schema_set_load(struct schema_set *set, schema_read *read, void *context, struct buffer *error);

/* An input record's value: wire header and datum. REASON_NONE and a valid event (texts borrow from the value, lines are
 * in the arena); else why not, and the field's name (a literal) or NULL. */
enum reason schema_set_read_event(const struct schema_set *set, enum topic topic, struct span value,
                                  struct arena *arena, struct event *ret_event, const char **ret_field);

/* Any value of a known schema as one line of JSON, by the writer's schema: for people. Bytes and fixed become text with
 * \u00XX as Avro's JSON has it; unions are written without their branch's name. False: undecodable. */
bool schema_set_json_write(const struct schema_set *set, struct span value, struct buffer *buffer);

#endif
