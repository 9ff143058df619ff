/* What changed between two versions of an Avro schema that data or programs of the other version cannot bear: the
 * resolution of the Avro specification, walked over the schemas alone, every fault named with its field. The rules in
 * words are schemas/README.md. */
#ifndef ORIORI_CODEC_SCHEMA_CHANGE_H
#define ORIORI_CODEC_SCHEMA_CHANGE_H

#include "common/base/arena.h"
#include "common/base/buffer.h"

enum schema_promise {
    SCHEMA_READS_BEFORE = 1, /* the new schema reads what the old one wrote */
    SCHEMA_READ_BEFORE = 2,  /* readers that have the old schema read what the new one writes */
    SCHEMA_NAMES = 4,        /* records keep their names (or have aliases), as other Avro libraries want it */
    SCHEMA_UNCHANGED = 8     /* all but the words for people is as it was: it is read by position */
};

/* Appends a line "FIELD: what changed" for each change that breaks one of the promises; returns how many. Neither text
 * is trusted; what is no JSON of a schema is a line too. */
size_t schema_changes(struct span before, struct span now, unsigned promises, struct arena *arena,
                      struct buffer *ret_lines);

#endif
