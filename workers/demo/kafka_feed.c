#include "workers/demo/kafka_feed.h"

#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/codec/avro_write.h"
#include "common/codec/internal_records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    CALL_MS = 10000,
    WORKER_MS = 90000, /* without a commit of the worker for so long, it is taken for dead */
    ASK_AGAIN_NS = 1000000
};

/* ---- opening ---- */

static int topic_index(const struct kafka_feed *feed, const rd_kafka_topic_t *topic)
{
    for (int t = 0; t <= TOPIC_COUNT; t++)
        if (feed->topics[t] == topic)
            return t;
    return -1;
}

static void delivered(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct kafka_feed *feed = (struct kafka_feed *)((char *)opaque - offsetof(struct kafka_feed, trouble));
    int topic = topic_index(feed, message->rkt);
    (void)client;
    if (message->err || topic < 0) {
        feed->failed++;
        return;
    }
    int64_t *next = &feed->next[topic * feed->shards + message->partition];
    if (message->offset + 1 > *next)
        *next = message->offset + 1;
}

static bool complain(struct kafka_feed *feed, const char *what, const char *why)
{
    fprintf(stderr, "demo: %s: %s%s%s\n", what, why, feed->trouble.text[0] ? "; " : "", feed->trouble.text);
    return false;
}

/* An answer of the transactional calls; NULL is fine. */
static bool fine(struct kafka_feed *feed, const char *what, rd_kafka_error_t *error)
{
    if (!error)
        return true;
    complain(feed, what, rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return false;
}

static bool producer_open(struct kafka_feed *feed, struct buffer *error)
{
    rd_kafka_conf_t *conf = kafka_conf(&feed->setup->config, CONFIG_CLIENT_PRODUCER, &feed->trouble);
    buffer_format(&feed->value, "%s-feeder", feed->setup->config.application_id);
    kafka_set(conf, "transactional.id", feed->value.data);
    kafka_set(conf, "linger.ms", "0");
    kafka_set(conf, "retry.backoff.ms", "2"); /* a transaction begun right after a commit is told to come again */
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    feed->producer = kafka_new(RD_KAFKA_PRODUCER, conf, error);
    return feed->producer != NULL;
}

static bool observer_open(struct kafka_feed *feed, struct buffer *error)
{
    rd_kafka_conf_t *conf = kafka_conf(&feed->setup->config, CONFIG_CLIENT_CONSUMER, &feed->trouble);
    kafka_set(conf, "group.id", feed->setup->config.group_id);
    /* read_committed would wait, 100 ms at a time, for the worker's open transaction; pending offsets do not show
     * either way */
    kafka_set(conf, "isolation.level", "read_uncommitted");
    feed->observer = kafka_new(RD_KAFKA_CONSUMER, conf, error);
    return feed->observer != NULL;
}

bool kafka_feed_open(struct kafka_feed *feed, struct setup *setup)
{
    struct buffer error = {0};
    *feed = (struct kafka_feed){.setup = setup, .shards = (int32_t)setup->config.shards};
    feed->next = calloc((size_t)(TOPIC_COUNT + 1) * (size_t)feed->shards, sizeof(*feed->next));
    CHECK(feed->next);
    bool good = producer_open(feed, &error) && observer_open(feed, &error);
    if (!good)
        complain(feed, "Kafka", error.data ? error.data : "cannot be used");
    buffer_release(&error);
    for (int t = 0; good && t < TOPIC_COUNT; t++)
        feed->topics[t] = rd_kafka_topic_new(feed->producer, setup->config.topic_inputs[t], NULL);
    if (good)
        feed->topics[TOPIC_COUNT] = rd_kafka_topic_new(feed->producer, config_topic(&setup->config, "forward"), NULL);
    return good && fine(feed, "Kafka", rd_kafka_init_transactions(feed->producer, CALL_MS * 3));
}

void kafka_feed_close(struct kafka_feed *feed)
{
    for (int t = 0; t <= TOPIC_COUNT; t++)
        if (feed->topics[t])
            rd_kafka_topic_destroy(feed->topics[t]);
    if (feed->producer)
        rd_kafka_destroy(feed->producer);
    if (feed->observer)
        rd_kafka_destroy(feed->observer);
    buffer_release(&feed->value);
    free(feed->next);
}

/* ---- writing ---- */

static bool transaction_begin(struct kafka_feed *feed)
{
    if (!feed->open)
        feed->open = fine(feed, "begin", rd_kafka_begin_transaction(feed->producer));
    return feed->open;
}

static bool write_value(struct kafka_feed *feed, int topic, int32_t partition, struct span key)
{
    rd_kafka_resp_err_t code;
    while ((code = rd_kafka_producev(
                feed->producer, RD_KAFKA_V_RKT(feed->topics[topic]), RD_KAFKA_V_PARTITION(partition),
                RD_KAFKA_V_KEY(key.data, key.size), RD_KAFKA_V_VALUE(feed->value.data, feed->value.size),
                RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        rd_kafka_poll(feed->producer, 10);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR || complain(feed, "produce", rd_kafka_err2str(code));
}

static bool event_write(void *context, const struct feeder_event *event)
{
    struct kafka_feed *feed = context;
    buffer_reset(&feed->value);
    event_avro_write(event->event, NULL, &feed->value);
    int32_t partition = (int32_t)hash_home_shard(event->key, (uint32_t)feed->shards);
    return transaction_begin(feed) && write_value(feed, (int)event->topic, partition, event->key);
}

/* ---- waiting ---- */

static rd_kafka_topic_partition_list_t *written_list(const struct kafka_feed *feed)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((TOPIC_COUNT + 1) * feed->shards);
    for (int t = 0; t <= TOPIC_COUNT; t++)
        for (int32_t p = 0; p < feed->shards; p++)
            if (feed->next[t * feed->shards + p])
                rd_kafka_topic_partition_list_add(list, rd_kafka_topic_name(feed->topics[t]), p);
    return list;
}

/* The list is in the order in which written_list went. */
static bool all_behind(const struct kafka_feed *feed, const rd_kafka_topic_partition_list_t *list)
{
    int at = 0;
    for (int i = 0; i < (TOPIC_COUNT + 1) * feed->shards; i++)
        if (feed->next[i] && list->elems[at++].offset < feed->next[i])
            return false;
    return true;
}

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND_MS + now.tv_nsec / 1000000;
}

static bool wait_committed(struct kafka_feed *feed)
{
    int64_t give_up_at = monotonic_ms() + WORKER_MS;
    rd_kafka_topic_partition_list_t *list = written_list(feed);
    bool behind = false;
    while (!behind && monotonic_ms() < give_up_at) {
        rd_kafka_poll(feed->producer, 0);
        rd_kafka_poll(feed->observer, 0);
        behind =
            rd_kafka_committed(feed->observer, list, CALL_MS) == RD_KAFKA_RESP_ERR_NO_ERROR && all_behind(feed, list);
        if (!behind)
            nanosleep(&(struct timespec){.tv_nsec = ASK_AGAIN_NS}, NULL);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return behind || complain(feed, "the worker", "has committed nothing for 90 s; does it run?");
}

static bool tick(void *context, int64_t at)
{
    struct kafka_feed *feed = context;
    struct forward forward = {.kind = FORWARD_TICK, .tick_at = at};
    buffer_reset(&feed->value);
    forward_encode(&forward, &feed->value);
    bool good = transaction_begin(feed);
    for (int32_t h = 0; good && h < feed->shards; h++)
        good = write_value(feed, TOPIC_COUNT, h, SPAN_NONE);
    good = good && fine(feed, "commit", rd_kafka_commit_transaction(feed->producer, CALL_MS));
    feed->open = false;
    if (good && feed->failed)
        return complain(feed, "produce", "records were not taken");
    return good && wait_committed(feed);
}

struct feeder_sink kafka_feed_sink(struct kafka_feed *feed)
{
    return (struct feeder_sink){.context = feed, .event_write = event_write, .tick = tick};
}
