/* The log seam (log.h) on a real Kafka, by librdkafka. The traps that the code steps around are those of DESIGN.md 5.
 *
 * A handle holds up to five librdkafka clients: the group consumer, the transactional producer, the changelog reader,
 * one for questions, and for a moment the one that fences. All are used by the one thread that calls. */
#ifndef ORIORI_IO_LOG_KAFKA_H
#define ORIORI_IO_LOG_KAFKA_H

#include "common/io/config.h"
#include "common/io/log.h"

/* Makes the clients and subscribes; Kafka need not be up yet. topics: index = log_record.topic; the names and the
 * config are borrowed for the handle's life. Not DONE: WORLD_STOP, *error is a sentence (wrong configuration). */
WORLD_MUST_USE enum world log_kafka_open(const struct config *config, const char *const *topics, size_t topic_count,
                                         struct log *ret_log, struct buffer *error);

/* Appends what librdkafka's statistics said last, for /metrics. The log must be one of log_kafka_open. */
void log_kafka_stats_write(const struct log *log, struct buffer *text);

#endif
