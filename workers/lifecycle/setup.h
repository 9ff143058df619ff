/* From a config file to what a worker runs on: playbook, time zones, schemas, the flow's config. Shared by every
 * subcommand that needs more than the config itself. Everything wrong is said on standard error, once, by file. */
#ifndef ORIORI_WORKERS_LIFECYCLE_SETUP_H
#define ORIORI_WORKERS_LIFECYCLE_SETUP_H

#include "common/codec/input.h"
#include "common/codec/schema_set.h"
#include "common/flow/worker.h"
#include "common/io/config.h"
#include "common/io/registry.h"
#include "common/io/schema_catalog.h"

enum { SETUP_MAPPINGS_MAX = 16 };
enum setup_output { SETUP_ACTIONS, SETUP_TRANSITIONS, SETUP_DECISIONS, SETUP_DEAD, SETUP_OUTPUT_COUNT };

struct setup {
    struct config config;
    struct buffer playbook_path; /* setup_world: the config's file, or the shipped one */
    struct buffer playbook_text;
    struct playbook *playbook;
    unsigned char file_hash[32];    /* of the file's text, whatever it is */
    struct buffer playbook_refusal; /* why it does not compile, one line; empty = it does */
    struct zones *zones;
    struct schema_set *schemas;              /* of the files, by their fixed ids */
    struct registry *registry;               /* NULL = none */
    struct schema_set *registered;           /* of the registry, by its ids */
    struct schema_catalog *catalog;          /* fills it */
    struct span unknown_schema;              /* why the record in hand cannot be read; "" = it can */
    uint32_t output_ids[SETUP_OUTPUT_COUNT]; /* the registry's; 0 = the fixed ones */
    struct step_world world;
    struct mapping *mappings[TOPIC_COUNT][SETUP_MAPPINGS_MAX];
    struct input inputs[TOPIC_COUNT];          /* how each is read; setup_schemas fills it */
    const char *subscription[TOPIC_COUNT + 1]; /* inputs in the order of enum topic, then crm.forward */
};

/* Each returns false when something is wrong and has been said. setup_config first; setup_close in any case. */
bool setup_config(struct setup *setup, const char *path); /* also starts the logger */
bool setup_world(struct setup *setup); /* playbook and zones; the shipped playbook when none is named */
/* The same for a worker: a file that is there and does not compile is said, the shipped playbook stands in for it, and
 * the flow's config says so. Shards go on with what is in force; a restart must not need what running workers do not.
 */
bool setup_world_or_wait(struct setup *setup);
bool setup_schemas(struct setup *setup);  /* the shipped ones when no folder is named; the mappings; the registry */
bool setup_registry(struct setup *setup); /* alone, where no schema is read; part of setup_schemas */
void setup_close(struct setup *setup);

/* Appends a schema file of the config's folder, or a shipped one. */
bool setup_schema_file(const struct setup *setup, const char *file_name, struct buffer *buffer);

/* The ids of what the worker writes, where a registry gives them: registers under TOPIC-value. REGISTRY_FOUND: all are
 * there (at once without a registry); else *ret_subject is the one that is not, and registry_text says why. */
enum registry_answer setup_register_outputs(struct setup *setup, const char **ret_subject);

/* The file of an input's schema, and its id in a registry: registers it, or with registry.outputs: local finds what is
 * registered. *ret_id is 0 without a registry. False: said. */
const char *setup_input_file(enum topic topic);
bool setup_input_id(struct setup *setup, enum topic topic, uint32_t *ret_id);

/* The set that a record's schema is in, if anywhere; asks the registry. For commands that show records: internal topics
 * carry fixed ids always, and with registry.outputs: local outputs do. NULL: the registry is away. */
const struct schema_set *setup_schemas_of(struct setup *setup, const char *topic, struct span value);

/* The flow's config: names, limits, Avro formats (setup_schemas first), a new token. report is the caller's to fill. */
struct flow_config setup_flow(struct setup *setup);

#endif
