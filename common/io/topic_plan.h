/* The one place that says which topics there are and how they are set: `oriori topics create` makes them, `topics
 * check` compares, the embedded log takes its partition counts from here. */
#ifndef ORIORI_IO_TOPIC_PLAN_H
#define ORIORI_IO_TOPIC_PLAN_H

#include "common/io/config.h"

enum topic_role {
    TOPIC_INPUT,   /* somebody else's to fill; any partition count is correct, S is fast */
    TOPIC_OUTPUT,  /* ours to fill, for others */
    TOPIC_INTERNAL /* exactly S partitions, fixed for life; crm.playbook one */
};

struct topic_setting {
    const char *name; /* of Kafka's topic configuration */
    const char *value;
};

enum { TOPIC_SETTINGS_MAX = 8, TOPIC_PLAN_SIZE = TOPIC_COUNT + 9 };

struct topic_plan {
    const char *name;
    enum topic_role role;
    bool optional; /* the worker runs without it */
    int32_t partitions;
    struct topic_setting settings[TOPIC_SETTINGS_MAX];
    size_t setting_count;
    const char *text; /* one line for people */
};

/* Fills the plan: inputs in the order of enum topic, then outputs, then internal topics. Texts are in the config's
 * memory. */
void topic_plan_fill(struct config *config, struct topic_plan ret_plan[TOPIC_PLAN_SIZE]);

#endif
