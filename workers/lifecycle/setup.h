/* From a config file to what a worker runs on: playbook, time zones, schemas, the flow's config. Shared by every
 * subcommand that needs more than the config itself. Everything wrong is said on standard error, once, by file. */
#ifndef ORIORI_WORKERS_LIFECYCLE_SETUP_H
#define ORIORI_WORKERS_LIFECYCLE_SETUP_H

#include "common/codec/input.h"
#include "common/codec/schema_set.h"
#include "common/flow/worker.h"
#include "common/io/config.h"

enum { SETUP_MAPPINGS_MAX = 16 };

struct setup {
    struct config config;
    struct buffer playbook_text;
    struct playbook *playbook;
    struct zones *zones;
    struct schema_set *schemas;
    struct step_world world;
    struct mapping *mappings[TOPIC_COUNT][SETUP_MAPPINGS_MAX];
    struct input inputs[TOPIC_COUNT];          /* how each is read; setup_schemas fills it */
    const char *subscription[TOPIC_COUNT + 1]; /* inputs in the order of enum topic, then crm.forward */
};

/* Each returns false when something is wrong and has been said. setup_config first; setup_close in any case. */
bool setup_config(struct setup *setup, const char *path); /* also starts the logger */
bool setup_world(struct setup *setup);   /* playbook and zones; the shipped playbook when none is named */
bool setup_schemas(struct setup *setup); /* the shipped ones when no folder is named; and the mappings */
void setup_close(struct setup *setup);

/* The flow's config: names, limits, Avro formats (setup_schemas first), a new token. report is the caller's to fill. */
struct flow_config setup_flow(struct setup *setup);

#endif
