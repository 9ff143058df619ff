/* Questions about topics, and the group-less reader of one partition. */
#include "common/io/log_kafka_private.h"

#include "common/base/check.h"

#include <string.h>

/* ---- questions ---- */

enum world log_kafka_partition_count(void *context, const char *topic, int32_t *ret_count)
{
    struct log_kafka *log = log_kafka_fresh(context);
    const struct rd_kafka_metadata *metadata;
    rd_kafka_poll(log->admin, 0); /* serves its error callback */
    rd_kafka_topic_t *handle = rd_kafka_topic_new(log->admin, topic, NULL);
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(log->admin, 0, handle, &metadata, (int)log->config->timeout_request_ms);
    rd_kafka_topic_destroy(handle);
    rd_kafka_poll(log->admin, 0);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return log_kafka_fail(log, kafka_world(code), "topic %s: %s", topic, rd_kafka_err2str(code));
    CHECK(metadata->topic_cnt == 1);
    rd_kafka_resp_err_t topic_code = metadata->topics[0].err;
    *ret_count = topic_code == RD_KAFKA_RESP_ERR_NO_ERROR ? metadata->topics[0].partition_cnt : 0;
    rd_kafka_metadata_destroy(metadata);
    log->worked = true;
    if (topic_code == RD_KAFKA_RESP_ERR_NO_ERROR || topic_code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        return WORLD_DONE;
    return log_kafka_fail(log, kafka_world(topic_code), "topic %s: %s", topic, rd_kafka_err2str(topic_code));
}

enum world log_kafka_watermarks(void *context, const char *topic, int32_t partition, int64_t *ret_low,
                                int64_t *ret_high)
{
    struct log_kafka *log = log_kafka_fresh(context);
    rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(log->admin, topic, partition, ret_low, ret_high,
                                                                (int)log->config->timeout_request_ms);
    rd_kafka_poll(log->admin, 0);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return log_kafka_fail(log, kafka_world(code), "watermarks of %s[%d]: %s", topic, partition,
                              rd_kafka_err2str(code));
    log->worked = true;
    return WORLD_DONE;
}

static enum world deletion_result(struct log_kafka *log, rd_kafka_event_t *event)
{
    const rd_kafka_topic_partition_list_t *offsets =
        rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));
    for (int i = 0; offsets && i < offsets->cnt; i++)
        if (offsets->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
            return log_kafka_fail(log, kafka_world(offsets->elems[i].err), "delete records of %s[%d]: %s",
                                  offsets->elems[i].topic, offsets->elems[i].partition,
                                  rd_kafka_err2str(offsets->elems[i].err));
    return WORLD_DONE;
}

enum world log_kafka_delete_records(void *context, const char *topic, int32_t partition, int64_t before_offset)
{
    struct log_kafka *log = log_kafka_fresh(context);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = before_offset;
    rd_kafka_DeleteRecords_t *request = rd_kafka_DeleteRecords_new(list);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(log->admin);
    rd_kafka_DeleteRecords(log->admin, &request, 1, NULL, queue);
    struct buffer error = {0};
    enum world world = WORLD_DONE;
    rd_kafka_event_t *event = kafka_admin_wait(queue, (int)log->config->timeout_request_ms, &error, &world);
    if (event) {
        world = deletion_result(log, event);
        rd_kafka_event_destroy(event);
    } else {
        world = log_kafka_fail(log, world, "delete records of %s[%d]: %s", topic, partition, error.data);
    }
    buffer_release(&error);
    rd_kafka_DeleteRecords_destroy(request);
    rd_kafka_queue_destroy(queue);
    return world;
}

enum world log_kafka_cluster_id(void *context, struct arena *arena, struct span *ret_id)
{
    struct log_kafka *log = log_kafka_fresh(context);
    char *id = rd_kafka_clusterid(log->admin, (int)log->config->timeout_request_ms);
    rd_kafka_poll(log->admin, 0);
    if (id == NULL)
        return log_kafka_fail(log, WORLD_AGAIN, "no answer when asked for the cluster's id");
    *ret_id = arena_copy(arena, span_of(id));
    rd_kafka_mem_free(log->admin, id);
    log->worked = true;
    return WORLD_DONE;
}

/* ---- the reader ---- */

/* librdkafka's older consumer interface: the newer one cannot be used without a group. */
static enum world new_reader(struct log_kafka *log)
{
    rd_kafka_conf_t *conf = kafka_conf(log->config, CONFIG_CLIENT_CONSUMER, &log->trouble);
    struct buffer error = {0};
    kafka_set(conf, "isolation.level", "read_committed");
    kafka_set(conf, "enable.auto.commit", "false");
    kafka_set(conf, "auto.offset.reset", "error");
    kafka_set(conf, "enable.partition.eof", "true");
    log->reader = kafka_new(RD_KAFKA_CONSUMER, conf, &error);
    enum world world = log->reader ? WORLD_DONE : log_kafka_fail(log, WORLD_STOP, "%s", error.data);
    buffer_release(&error);
    return world;
}

enum world log_kafka_reader_open(void *context, const char *topic, int32_t partition, int64_t offset)
{
    struct log_kafka *log = log_kafka_fresh(context);
    log_kafka_reader_close(log);
    if (log->reader == NULL && new_reader(log) != WORLD_DONE)
        return WORLD_STOP;
    log->reader_topic = rd_kafka_topic_new(log->reader, topic, NULL);
    log->reader_partition = partition;
    if (rd_kafka_consume_start(log->reader_topic, partition, offset) == 0)
        return WORLD_DONE;
    rd_kafka_resp_err_t code = rd_kafka_last_error();
    rd_kafka_topic_destroy(log->reader_topic);
    log->reader_topic = NULL;
    return log_kafka_fail(log, kafka_world(code), "reading %s[%d]: %s", topic, partition, rd_kafka_err2str(code));
}

static void drop_message(struct log_kafka *log)
{
    if (log->reader_message)
        rd_kafka_message_destroy(log->reader_message);
    log->reader_message = NULL;
}

static enum world reader_error(struct log_kafka *log, struct log_event *ret_event)
{
    rd_kafka_resp_err_t code = log->reader_message->err;
    ret_event->partition = (struct log_partition){-1, log->reader_partition};
    ret_event->offset = log->reader_message->offset;
    if (code == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        ret_event->happening = LOG_END;
        return WORLD_DONE;
    }
    if (log_kafka_offset_gone(code)) {
        ret_event->happening = LOG_BROKEN;
        return WORLD_DONE;
    }
    enum world world = kafka_world(code);
    if (world == WORLD_AGAIN) /* librdkafka goes on by itself */
        return WORLD_DONE;
    return log_kafka_fail(log, world, "reading %s[%d]: %s", rd_kafka_topic_name(log->reader_topic),
                          log->reader_partition, rd_kafka_message_errstr(log->reader_message));
}

enum world log_kafka_reader_next(void *context, int32_t timeout_ms, struct log_event *ret_event)
{
    struct log_kafka *log = log_kafka_fresh(context);
    CHECK(log->reader_topic);
    *ret_event = (struct log_event){.happening = LOG_NOTHING};
    drop_message(log);
    rd_kafka_poll(log->reader, 0);
    log->reader_message = rd_kafka_consume(log->reader_topic, log->reader_partition, timeout_ms);
    if (log->reader_message == NULL)
        return WORLD_DONE;
    if (log->reader_message->err)
        return reader_error(log, ret_event);
    ret_event->happening = LOG_RECORD;
    log_kafka_record(log->reader_message, -1, &log->reader_headers, &ret_event->record);
    return WORLD_DONE;
}

void log_kafka_reader_close(void *context)
{
    struct log_kafka *log = context;
    drop_message(log);
    if (log->reader_topic == NULL)
        return;
    rd_kafka_consume_stop(log->reader_topic, log->reader_partition);
    rd_kafka_topic_destroy(log->reader_topic);
    log->reader_topic = NULL;
}
