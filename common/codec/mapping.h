/* A mapping: a platform's own JSON messages read as events, by a YAML file (schemas/mappings/README.md says its
 * language). Compiled once and strictly, with every error's file:line:column; then pure.
 *
 * A mapping never guesses. What it cannot read is refused as a whole with the mapping's line and the JSON pointer; a
 * message whose conditions hold for none of its events says nothing, and that is no error. */
#ifndef ORIORI_CODEC_MAPPING_H
#define ORIORI_CODEC_MAPPING_H

#include "common/codec/internal_records.h"
#include "common/codec/json.h"
#include "common/playbook/playbook.h"

struct mapping;

/* NULL when anything is wrong; all errors found are in *errors (file_name is for them and for messages; copied). */
struct mapping *mapping_compile(struct span yaml, const char *file_name, struct playbook_errors *errors);
void mapping_free(struct mapping *mapping); /* NULL is fine */

struct mapping_message {
    const struct json *body;
    const struct header *headers; /* the record's; names are compared without regard to case */
    size_t header_count;
};

/* The mapping's own conditions hold. *ret_inner: the message, or what it carries as a text (embedded). */
bool mapping_takes(const struct mapping *mapping, const struct mapping_message *message, struct arena *arena,
                   struct mapping_message *ret_inner);

enum { MAPPING_EVENTS_MAX = 1000 }; /* of one message */

/* What one event of the message is in JSON with the fields of R34, and where it goes. */
struct mapped {
    enum topic topic;
    int line; /* of the event in the mapping's file */
    const struct json *object;
};

struct mapping_fault {
    const char *field;   /* a literal or NULL */
    struct span message; /* in the arena: "shopify.yaml:12:7: occurred_at: expected ..., found ... at /created_at" */
};

/* The message that mapping_takes gave, as JSON of our own schemas. REASON_NONE, or why not, and the fault. */
enum reason mapping_run(const struct mapping *mapping, const struct mapping_message *inner, struct arena *arena,
                        struct mapped **ret_mapped, size_t *ret_count, struct mapping_fault *ret_fault);

const char *mapping_file(const struct mapping *mapping);

#endif
