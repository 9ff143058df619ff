#include "common/io/log_kafka_private.h"

#include "common/base/check.h"
#include "common/io/logger.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t log_kafka_monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND_MS + now.tv_nsec / 1000000;
}

/* ---- outcomes ---- */

enum world log_kafka_fail(struct log_kafka *log, enum world world, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    buffer_reset(&log->error);
    buffer_format(&log->error, "Kafka: %s", text);
    if (log->trouble.text[0] && strstr(text, log->trouble.text) == NULL)
        buffer_format(&log->error, " (%s)", log->trouble.text);
    if (strstr(text, "Group authorization failed"))
        buffer_format(&log->error, " (group %s)", log->config->group_id);
    if (strstr(text, "Transactional Id authorization failed"))
        buffer_format(&log->error, " (transactional_id %s)", log->config->transactional_id);
    if (strstr(text, "fenced")) /* after an outage this is normal; again and again it is a wrong config */
        buffer_format(&log->error, " (does another worker use transactional_id %s?)", log->config->transactional_id);
    if (log->trouble.unauthorised) {
        log_kafka_name_unwritable(log);
        return WORLD_STOP;
    }
    if (world == WORLD_AGAIN && log->trouble.refused != RD_KAFKA_RESP_ERR_NO_ERROR && !log->worked)
        return WORLD_STOP;
    return world;
}

enum world log_kafka_fail_error(struct log_kafka *log, const char *what, rd_kafka_error_t *error)
{
    if (error == NULL)
        return WORLD_DONE;
    enum world world = kafka_error_world(error);
    world = log_kafka_fail(log, world, "%s: %s", what, rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return world;
}

static const char *log_kafka_error_text(void *context)
{
    struct log_kafka *log = context;
    return log->error.data ? log->error.data : "";
}

/* ---- membership ---- */

/* The generation is only for people and epochs, and librdkafka 2.0 has no call for it: it stands in the serialised
 * form, "CGMDv2:" then 32 bits. An unknown form gives 0. */
static int32_t generation_of(const rd_kafka_consumer_group_metadata_t *group)
{
    static const char magic[] = "CGMDv2:";
    void *bytes = NULL;
    size_t size = 0;
    int32_t generation = 0;
    rd_kafka_error_t *error = rd_kafka_consumer_group_metadata_write(group, &bytes, &size);
    if (error) {
        rd_kafka_error_destroy(error);
        return 0;
    }
    if (size >= sizeof(magic) - 1 + sizeof(generation) && memcmp(bytes, magic, sizeof(magic) - 1) == 0)
        memcpy(&generation, (char *)bytes + sizeof(magic) - 1, sizeof(generation));
    rd_kafka_mem_free(NULL, bytes);
    return generation;
}

static void drop_membership(struct log_kafka *log)
{
    if (log->group)
        rd_kafka_consumer_group_metadata_destroy(log->group);
    log->group = NULL;
    free(log->partitions);
    log->partitions = NULL;
    log->partition_count = 0;
}

static int find_topic(const struct log_kafka *log, const char *name)
{
    for (size_t i = 0; i < log->topic_count; i++)
        if (strcmp(log->topics[i], name) == 0)
            return (int)i;
    return -1;
}

static void keep_partitions(struct log_kafka *log, const rd_kafka_topic_partition_list_t *list)
{
    log->partitions = calloc((size_t)list->cnt + 1, sizeof(*log->partitions));
    CHECK(log->partitions);
    for (int i = 0; i < list->cnt; i++) {
        int topic = find_topic(log, list->elems[i].topic);
        CHECK(topic >= 0);
        log->partitions[log->partition_count++] = (struct log_partition){topic, list->elems[i].partition};
    }
}

/* Assigning an empty list here leaves it to the loop to recover first and to name explicit offsets. The group metadata
 * is taken exactly here: the broker checks it by generation and not by ownership, so metadata taken later would be
 * accepted for partitions that somebody else owns by then. */
static void take_membership(struct log_kafka *log, const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);
    rd_kafka_assign(log->consumer, none);
    rd_kafka_topic_partition_list_destroy(none);
    drop_membership(log);
    keep_partitions(log, list);
    log->group = rd_kafka_consumer_group_metadata(log->consumer);
    CHECK(log->group);
    log->generation = generation_of(log->group);
    log->assigned_waits = true;
}

static void rebalance_callback(rd_kafka_t *client, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list,
                               void *opaque)
{
    /* The opaque is the trouble, which is a member of the handle: one opaque per client serves all callbacks. */
    struct log_kafka *log = (struct log_kafka *)((char *)opaque - offsetof(struct log_kafka, trouble));
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        take_membership(log, list);
        return;
    }
    rd_kafka_assign(client, NULL);
    log->revoked_waits = log->revoked_waits || log->group != NULL;
    log->assigned_waits = false; /* revoked before anybody heard of it */
    drop_membership(log);
}

/* ---- records ---- */

void log_kafka_record(const rd_kafka_message_t *message, int topic, struct arena *headers,
                      struct log_record *ret_record)
{
    rd_kafka_timestamp_type_t type;
    *ret_record = (struct log_record){
        .topic = topic,
        .partition = message->partition,
        .offset = message->offset,
        .timestamp = rd_kafka_message_timestamp(message, &type),
        .key = {message->key, message->key_len},
        .value = {message->payload, message->len},
        .value_null = message->payload == NULL,
    };
    arena_reset(headers);
    rd_kafka_headers_t *list;
    if (rd_kafka_message_headers(message, &list) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    size_t count = rd_kafka_header_cnt(list);
    struct log_header *copies = ARENA_ARRAY(headers, struct log_header, count);
    for (size_t i = 0; i < count; i++) {
        const char *name;
        const void *value;
        size_t size;
        if (rd_kafka_header_get_all(list, i, &name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        copies[i] = (struct log_header){span_of(name), {value, size}};
        ret_record->header_count = i + 1;
    }
    ret_record->headers = copies;
}

bool log_kafka_offset_gone(rd_kafka_resp_err_t code)
{
#if RD_KAFKA_VERSION >= 0x020100ff /* earlier ones cannot tell */
    if (code == RD_KAFKA_RESP_ERR__LOG_TRUNCATION)
        return true;
#endif
    return code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || code == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;
}

static void drop_message(struct log_kafka *log)
{
    if (log->message)
        rd_kafka_message_destroy(log->message);
    log->message = NULL;
}

/* What the callbacks left behind, in the order in which it happened. */
static bool membership_event(struct log_kafka *log, struct log_event *ret_event)
{
    if (log->revoked_waits) {
        log->revoked_waits = false;
        ret_event->happening = LOG_REVOKED;
        return true;
    }
    if (log->assigned_waits) {
        log->assigned_waits = false;
        ret_event->happening = LOG_ASSIGNED;
        ret_event->partitions = log->partitions;
        ret_event->partition_count = log->partition_count;
        ret_event->generation = log->generation;
        return true;
    }
    return false;
}

/* A consumer's error message: of one partition, or of the whole client. */
static enum world error_event(struct log_kafka *log, struct log_event *ret_event)
{
    rd_kafka_resp_err_t code = log->message->err;
    int topic = log->message->rkt ? find_topic(log, rd_kafka_topic_name(log->message->rkt)) : -1;
    if (topic >= 0 && code == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        ret_event->happening = LOG_END;
    else if (topic >= 0 && log_kafka_offset_gone(code))
        ret_event->happening = LOG_BROKEN;
    if (ret_event->happening != LOG_NOTHING) {
        ret_event->partition = (struct log_partition){topic, log->message->partition};
        ret_event->offset = log->message->offset;
        return WORLD_DONE;
    }
    char text[256];
    if (rd_kafka_fatal_error(log->consumer, text, sizeof(text)) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return log_kafka_fail(log, WORLD_STOP, "the consumer is dead: %s", text);
    if (kafka_world(code) == WORLD_STOP)
        return log_kafka_fail(log, WORLD_STOP, "consuming: %s", rd_kafka_message_errstr(log->message));
    return WORLD_DONE; /* librdkafka heals the rest itself: an absent topic, a broker that went away */
}

static enum world log_kafka_poll(void *context, int32_t timeout_ms, struct log_event *ret_event)
{
    struct log_kafka *log = log_kafka_fresh(context);
    *ret_event = (struct log_event){.happening = LOG_NOTHING};
    drop_message(log);
    if (log->producer)
        rd_kafka_poll(log->producer, 0); /* late delivery reports, errors */
    if (membership_event(log, ret_event))
        return WORLD_DONE;
    log->message = rd_kafka_consumer_poll(log->consumer, timeout_ms);
    if (log->revoked_waits || log->assigned_waits) { /* a callback ran: a message of before does not count any more */
        drop_message(log);
        membership_event(log, ret_event);
        return WORLD_DONE;
    }
    if (log->message == NULL)
        return WORLD_DONE;
    if (log->message->err)
        return error_event(log, ret_event);
    log->worked = true;
    int topic = find_topic(log, rd_kafka_topic_name(log->message->rkt));
    CHECK(topic >= 0);
    log->trouble.text[0] = '\0';
    ret_event->happening = LOG_RECORD;
    log_kafka_record(log->message, topic, &log->headers, &ret_event->record);
    return WORLD_DONE;
}

/* ---- offsets ---- */

static rd_kafka_topic_partition_list_t *new_list(const struct log_kafka *log, const struct log_offset *offsets,
                                                 size_t count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, log->topics[offsets[i].topic], offsets[i].partition)->offset =
            offsets[i].offset;
    return list;
}

static enum world log_kafka_assign(void *context, const struct log_offset *offsets, size_t count)
{
    struct log_kafka *log = log_kafka_fresh(context);
    if (!log_kafka_believes(log)) /* revoked meanwhile */
        return log_kafka_fail(log, WORLD_RECOVER, "assign without a membership");
    rd_kafka_topic_partition_list_t *list = new_list(log, offsets, count);
    rd_kafka_resp_err_t code = rd_kafka_assign(log->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return log_kafka_fail(log, WORLD_RECOVER, "assign: %s", rd_kafka_err2str(code));
    return WORLD_DONE;
}

static struct span metadata_of(const rd_kafka_topic_partition_t *element, struct arena *arena)
{
    if (element->metadata_size == 0)
        return SPAN_NONE;
    return arena_copy(arena, (struct span){element->metadata, element->metadata_size}); /* not NUL-terminated */
}

/* A timeout leaves offset -1001 with no error of its own, which must never read as "never committed": the call's own
 * code comes first. */
static enum world read_committed_list(struct log_kafka *log, const rd_kafka_topic_partition_list_t *list,
                                      rd_kafka_resp_err_t code, struct log_offset *offsets, struct arena *arena)
{
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return log_kafka_fail(log, kafka_world(code), "committed offsets: %s", rd_kafka_err2str(code));
    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
            return log_kafka_fail(log, kafka_world(list->elems[i].err), "committed offset of %s[%d]: %s",
                                  list->elems[i].topic, list->elems[i].partition, rd_kafka_err2str(list->elems[i].err));
    for (int i = 0; i < list->cnt; i++) { /* the list keeps its order */
        offsets[i].offset = list->elems[i].offset >= 0 ? list->elems[i].offset : LOG_OFFSET_NONE;
        offsets[i].metadata = metadata_of(&list->elems[i], arena);
    }
    log->worked = true;
    return WORLD_DONE;
}

static enum world log_kafka_committed(void *context, struct log_offset *offsets, size_t count, int32_t timeout_ms,
                                      struct arena *arena)
{
    struct log_kafka *log = log_kafka_fresh(context);
    rd_kafka_topic_partition_list_t *list = new_list(log, offsets, count);
    rd_kafka_resp_err_t code = rd_kafka_committed(log->consumer, list, timeout_ms);
    enum world world = read_committed_list(log, list, code, offsets, arena);
    rd_kafka_topic_partition_list_destroy(list);
    return world;
}

/* What the last fetch brought along; the marker of a transaction counts as a record. */
static int64_t log_kafka_end(void *context, int topic, int32_t partition)
{
    struct log_kafka *log = context;
    int64_t low = RD_KAFKA_OFFSET_INVALID, high = RD_KAFKA_OFFSET_INVALID;
    if (rd_kafka_get_watermark_offsets(log->consumer, log->topics[topic], partition, &low, &high) !=
        RD_KAFKA_RESP_ERR_NO_ERROR)
        return LOG_OFFSET_NONE;
    return high >= 0 ? high : LOG_OFFSET_NONE;
}

/* An idle consumer calls nothing that could fail: without this line nobody would hear of an outage before there is
 * work. */
static void say_reach(struct log_kafka *log)
{
    bool up = log->consumer_stats.brokers_up > 0;
    if (!up && log->worked) /* before anything worked the worker's start says it */
        logger(CONFIG_LEVEL_ERROR, "Kafka: no broker can be reached; waiting for one",
               LOG_TEXT("why", log->trouble.text));
    else if (up && log->away)
        logger(CONFIG_LEVEL_INFO, "Kafka: a broker is reached again");
    log->away = !up;
}

static int stats_callback(rd_kafka_t *client, char *json, size_t size, void *opaque)
{
    struct log_kafka *log = (struct log_kafka *)((char *)opaque - offsetof(struct log_kafka, trouble));
    kafka_stats_read((struct span){json, size}, client == log->consumer ? &log->consumer_stats : &log->producer_stats);
    if (client == log->consumer)
        say_reach(log);
    return 0; /* librdkafka frees the text */
}

/* A user's interval stays. */
void log_kafka_want_stats(rd_kafka_conf_t *conf)
{
    char interval[24] = "";
    size_t size = sizeof(interval);
    rd_kafka_conf_set_stats_cb(conf, stats_callback);
    if (rd_kafka_conf_get(conf, "statistics.interval.ms", interval, &size) == RD_KAFKA_CONF_OK &&
        strcmp(interval, "0") == 0)
        kafka_set(conf, "statistics.interval.ms", "5000");
}

void log_kafka_stats_write(const struct log *kafka_log, struct buffer *text)
{
    const struct log_kafka *log = kafka_log->context;
    kafka_stats_write(&log->consumer_stats, &log->producer_stats, text);
}

/* ---- life ---- */

static void log_kafka_close(void *context)
{
    struct log_kafka *log = context;
    drop_message(log);
    log_kafka_reader_close(log);
    log_kafka_producer_drop(log);
    if (log->reader)
        rd_kafka_destroy(log->reader);
    if (log->consumer) {
        rd_kafka_consumer_close(log->consumer); /* a dynamic member leaves the group, a static one keeps its place */
        rd_kafka_destroy(log->consumer);
    }
    if (log->admin)
        rd_kafka_destroy(log->admin);
    drop_membership(log);
    free(log->delivered);
    buffer_release(&log->error);
    arena_release(&log->headers);
    arena_release(&log->reader_headers);
    free(log);
}

static const struct log_calls calls = {
    .poll = log_kafka_poll,
    .assign = log_kafka_assign,
    .committed = log_kafka_committed,
    .partition_count = log_kafka_partition_count,
    .watermarks = log_kafka_watermarks,
    .end = log_kafka_end,
    .delete_records = log_kafka_delete_records,
    .cluster_id = log_kafka_cluster_id,
    .producer_new = log_kafka_producer_new,
    .fence = log_kafka_fence,
    .begin = log_kafka_begin,
    .produce = log_kafka_produce,
    .send_offsets = log_kafka_send_offsets,
    .commit = log_kafka_commit,
    .abort = log_kafka_abort,
    .delivered_offset = log_kafka_delivered_offset,
    .reader_open = log_kafka_reader_open,
    .reader_next = log_kafka_reader_next,
    .reader_close = log_kafka_reader_close,
    .error_text = log_kafka_error_text,
    .close = log_kafka_close,
};

/* range is the only assignor that gives one member the same partition numbers of all topics. */
static rd_kafka_t *new_consumer(struct log_kafka *log, struct buffer *error)
{
    rd_kafka_conf_t *conf = kafka_conf(log->config, CONFIG_CLIENT_CONSUMER, &log->trouble);
    kafka_set(conf, "group.id", log->config->group_id);
    if (log->config->instance_id[0])
        kafka_set(conf, "group.instance.id", log->config->instance_id);
    kafka_set(conf, "partition.assignment.strategy", "range");
    kafka_set(conf, "isolation.level", "read_committed");
    kafka_set(conf, "enable.auto.commit", "false");
    kafka_set(conf, "enable.auto.offset.store", "false");
    kafka_set(conf, "auto.offset.reset", "error"); /* retention or truncation must be loud */
    kafka_set(conf, "enable.partition.eof", "true");
    rd_kafka_conf_set_rebalance_cb(conf, rebalance_callback);
    log_kafka_want_stats(conf);
    rd_kafka_t *consumer = kafka_new(RD_KAFKA_CONSUMER, conf, error);
    if (consumer)
        rd_kafka_poll_set_consumer(consumer);
    return consumer;
}

static enum world subscribe(struct log_kafka *log, struct buffer *error)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)log->topic_count);
    for (size_t i = 0; i < log->topic_count; i++)
        rd_kafka_topic_partition_list_add(list, log->topics[i], RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(log->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return WORLD_DONE;
    buffer_format(error, "Kafka: subscribe: %s", rd_kafka_err2str(code));
    return WORLD_STOP;
}

enum world log_kafka_open(const struct config *config, const char *const *topics, size_t topic_count,
                          struct log *ret_log, struct buffer *error)
{
    struct log_kafka *log = calloc(1, sizeof(*log));
    CHECK(log);
    log->config = config;
    log->topics = topics;
    log->topic_count = topic_count;
    arena_init(&log->headers, 0);
    arena_init(&log->reader_headers, 0);
    log->admin = kafka_new_admin(config, &log->trouble, error);
    if (log->admin)
        log->consumer = new_consumer(log, error);
    if (log->consumer == NULL || subscribe(log, error) != WORLD_DONE) {
        log_kafka_close(log);
        return WORLD_STOP;
    }
    *ret_log = (struct log){&calls, log};
    return WORLD_DONE;
}
