#include "common/io/kafka_stats.h"

#include "common/base/check.h"
#include "common/base/exposition.h"

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

static int64_t integer(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name)); /* absent = 0 */
}

static void read_broker(const json_t *broker, struct kafka_stats *stats)
{
    const char *state = json_string_value(json_object_get(broker, "state"));
    int64_t p99 = integer(json_object_get(broker, "rtt"), "p99");
    if (integer(broker, "nodeid") < 0)
        return; /* a bootstrap address or the coordinator's alias: counted under its own name */
    stats->brokers_up += state && strcmp(state, "UP") == 0;
    stats->request_errors += integer(broker, "txerrs") + integer(broker, "rxerrs");
    stats->timeouts += integer(broker, "req_timeouts");
    stats->connects += integer(broker, "connects");
    stats->disconnects += integer(broker, "disconnects");
    if (p99 > stats->round_trip_p99_us)
        stats->round_trip_p99_us = p99;
}

static void read_partitions(const json_t *topic, struct kafka_stats *stats)
{
    const char *name;
    json_t *partition;
    json_object_foreach(json_object_get(topic, "partitions"), name, partition)
    {
        stats->queued_messages += integer(partition, "fetchq_cnt");
        stats->queued_bytes += integer(partition, "fetchq_size");
    }
}

bool kafka_stats_read(struct span json, struct kafka_stats *stats)
{
    const char *name;
    json_t *root = json_loadb(json.data, json.size, 0, NULL), *part;
    if (!json_is_object(root) || !json_object_get(root, "brokers")) {
        json_decref(root);
        return false;
    }
    *stats = (struct kafka_stats){.known = true,
                                  .requests = integer(root, "tx"),
                                  .request_bytes = integer(root, "tx_bytes"),
                                  .response_bytes = integer(root, "rx_bytes"),
                                  .messages = integer(root, "txmsgs") + integer(root, "rxmsgs"),
                                  .queued_messages = integer(root, "msg_cnt"),
                                  .queued_bytes = integer(root, "msg_size")};
    json_object_foreach(json_object_get(root, "brokers"), name, part) read_broker(part, stats);
    json_object_foreach(json_object_get(root, "topics"), name, part) read_partitions(part, stats);
    json_decref(root);
    return true;
}

#define ROW(name, type, member, scale, help)                                                                           \
    {                                                                                                                  \
        name, type, offsetof(struct kafka_stats, member), scale, help                                                  \
    }
static const struct {
    const char *name;
    enum exposition_type type;
    size_t offset;
    double scale;
    const char *help;
} rows[] = {
    ROW("kafka_requests_total", EXPOSITION_COUNTER, requests, 1, "Requests sent to brokers (librdkafka)."),
    ROW("kafka_request_bytes_total", EXPOSITION_COUNTER, request_bytes, 1, "Bytes sent to brokers."),
    ROW("kafka_response_bytes_total", EXPOSITION_COUNTER, response_bytes, 1, "Bytes received from brokers."),
    ROW("kafka_messages_total", EXPOSITION_COUNTER, messages, 1, "Messages fetched by the consumer, or produced."),
    ROW("kafka_request_errors_total", EXPOSITION_COUNTER, request_errors, 1, "Requests and responses that failed."),
    ROW("kafka_request_timeouts_total", EXPOSITION_COUNTER, timeouts, 1, "Requests without an answer in time."),
    ROW("kafka_connects_total", EXPOSITION_COUNTER, connects, 1, "Connections tried to brokers."),
    ROW("kafka_disconnects_total", EXPOSITION_COUNTER, disconnects, 1, "Connections to brokers that ended."),
    ROW("kafka_queued_messages", EXPOSITION_GAUGE, queued_messages, 1,
        "Messages fetched and not yet taken, or waiting to be sent."),
    ROW("kafka_queued_bytes", EXPOSITION_GAUGE, queued_bytes, 1, "The same in bytes."),
    ROW("kafka_brokers_up", EXPOSITION_GAUGE, brokers_up, 1, "Brokers with a working connection."),
    ROW("kafka_round_trip_p99_seconds", EXPOSITION_GAUGE, round_trip_p99_us, 1e-6,
        "99th percentile of the slowest broker's round trips in the last window."),
};

static double value_of(const struct kafka_stats *stats, size_t row)
{
    return (double)*(const int64_t *)((const char *)stats + rows[row].offset) * rows[row].scale;
}

void kafka_stats_write(const struct kafka_stats *consumer, const struct kafka_stats *producer, struct buffer *text)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        exposition_head(text, rows[i].type, rows[i].name, rows[i].help);
        exposition_sample(text, rows[i].name, "client=\"consumer\"", value_of(consumer, i));
        exposition_sample(text, rows[i].name, "client=\"producer\"", value_of(producer, i));
    }
}
