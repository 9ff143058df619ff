/* The feeder's sink on a real Kafka: the events of a tick and the tick itself are one transaction; then it asks the
 * worker's group for its committed offsets until every partition written to is behind it.
 *
 * Life-cycle: kafka_feed_open, the sink in use, kafka_feed_close. */
#ifndef ORIORI_WORKERS_DEMO_KAFKA_FEED_H
#define ORIORI_WORKERS_DEMO_KAFKA_FEED_H

#include "common/io/kafka_client.h"
#include "workers/demo/feeder.h"
#include "workers/lifecycle/setup.h"

struct kafka_feed {
    struct setup *setup; /* borrowed */
    struct kafka_trouble trouble;
    rd_kafka_t *producer;
    rd_kafka_t *observer;                      /* asks for committed offsets; never joins the group */
    rd_kafka_topic_t *topics[TOPIC_COUNT + 1]; /* inputs, then forward */
    int64_t *next;                             /* per topic and partition: behind the last record written; 0 = none */
    int32_t shards;                            /* partitions of every one of them */
    struct buffer value;
    uint64_t failed; /* records that Kafka did not take */
    bool open;       /* a transaction is */
};

/* False: said on standard error why. setup_config is done. */
bool kafka_feed_open(struct kafka_feed *feed, struct setup *setup);
struct feeder_sink kafka_feed_sink(struct kafka_feed *feed);
void kafka_feed_close(struct kafka_feed *feed);

#endif
