/* One Avro schema out of several: a registry's schema may leave types to other subjects (Confluent's references). What
 * comes out has every type written where it is first used, and nothing outside of it.
 *
 * Names are written anew ("t1", "t2" ...): a type moved into another record would else fall into that one's namespace,
 * and no decode plan looks at a type's name. For the same reason only what tells how bytes are read is kept: names and
 * types of fields, symbols, sizes; no defaults, docs, logical types. */
#ifndef ORIORI_CODEC_SCHEMA_LINK_H
#define ORIORI_CODEC_SCHEMA_LINK_H

#include "common/base/arena.h"
#include "common/base/buffer.h"

/* Appends the whole schema. False: *error (appended to) says why, in words that follow "the schema": a type that none
 * of the texts defines, one that two of them define differently, no schema at all, or nesting without end. */
bool schema_link(struct span root, const struct span *others, size_t count, struct arena *arena, struct buffer *avsc,
                 struct buffer *error);

#endif
