/* The demo without Kafka: one process holds the in-memory log, the worker and the feeder's sink; Redis is a real one.
 * Flow, transactions and recovery are the worker's own. Values of inputs and outputs are JSON here instead of Avro, so
 * that the topics' files can be read as they are; forward, state and steps are the worker's own bytes.
 *
 * Life-cycle: embedded_open, the sink in use, embedded_save, embedded_close. */
#ifndef ORIORI_WORKERS_DEMO_EMBEDDED_H
#define ORIORI_WORKERS_DEMO_EMBEDDED_H

#include "common/io/log_memory.h"
#include "workers/demo/feeder.h"
#include "workers/lifecycle/setup.h"

struct embedded {
    const struct config *config; /* borrowed */
    struct flow_config flow;
    struct memory_cluster *cluster;
    struct clock clock;
    struct log log;
    struct store store;
    struct worker worker;
    const char *topics[TOPIC_COUNT + 1]; /* the subscription: inputs, then forward */
    char cluster_id[33];
    struct buffer bytes; /* of the record being written */
};

/* False: said on standard error why. The setup (config, world, schemas) is borrowed. */
bool embedded_open(struct embedded *embedded, struct setup *setup);
struct feeder_sink embedded_sink(struct embedded *embedded);
bool embedded_save(struct embedded *embedded, const char *folder);
void embedded_close(struct embedded *embedded);

#endif
