/* A bounded selection of librdkafka's statistics (its JSON, every few seconds): per client the requests, bytes, queues,
 * errors and round trips, summed over brokers and partitions. Nothing by broker, topic or partition: those are as many
 * as the cluster has. */
#ifndef ORIORI_IO_KAFKA_STATS_H
#define ORIORI_IO_KAFKA_STATS_H

#include "common/base/buffer.h"

#include <stdbool.h>
#include <stdint.h>

struct kafka_stats { /* zeroed = none yet */
    bool known;
    int64_t requests, request_bytes, response_bytes, messages; /* since the client was made */
    int64_t request_errors, timeouts, connects, disconnects;   /* over all brokers */
    int64_t queued_messages, queued_bytes;                     /* to be sent, or fetched and not yet taken */
    int64_t brokers_up;
    int64_t round_trip_p99_us; /* of the slowest broker, in the last window */
};

/* False: not the JSON of statistics; *stats is as it was. */
bool kafka_stats_read(struct span json, struct kafka_stats *stats);

void kafka_stats_write(const struct kafka_stats *consumer, const struct kafka_stats *producer, struct buffer *text);

#endif
