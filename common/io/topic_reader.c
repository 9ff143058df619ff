#include "common/io/topic_reader.h"

enum { POLL_MS = 100, BATCH = 1000 };

static bool new_consumer(struct topic_reader *reader, struct buffer *error)
{
    rd_kafka_conf_t *conf = kafka_conf(reader->config, CONFIG_CLIENT_CONSUMER, &reader->trouble);
    kafka_set(conf, "isolation.level", "read_committed");
    kafka_set(conf, "enable.auto.commit", "false");
    kafka_set(conf, "enable.partition.eof", "true");
    kafka_set(conf, "auto.offset.reset", "earliest"); /* retention may be quicker than we are */
    reader->consumer = kafka_new(RD_KAFKA_CONSUMER, conf, error);
    return reader->consumer != NULL;
}

static bool ask_partitions(struct topic_reader *reader, struct buffer *error)
{
    const struct rd_kafka_metadata *metadata;
    reader->handle = rd_kafka_topic_new(reader->consumer, reader->topic, NULL);
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(reader->consumer, 0, reader->handle, &metadata, (int)reader->config->timeout_request_ms);
    rd_kafka_poll(reader->consumer, 0); /* its error callback */
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        code = metadata->topics[0].err;
        reader->partition_count = code ? 0 : metadata->topics[0].partition_cnt;
        rd_kafka_metadata_destroy(metadata);
    }
    if (reader->partition_count == 0)
        buffer_format(error, "topic %s: %s%s%s", reader->topic, rd_kafka_err2str(code),
                      reader->trouble.text[0] ? ": " : "", reader->trouble.text);
    return reader->partition_count > 0;
}

bool topic_reader_open(struct topic_reader *reader, const struct config *config, const char *topic, bool from_beginning,
                       struct buffer *error)
{
    *reader = (struct topic_reader){.config = config, .topic = topic};
    int64_t from = from_beginning ? RD_KAFKA_OFFSET_BEGINNING : RD_KAFKA_OFFSET_END;
    if (!new_consumer(reader, error) || !ask_partitions(reader, error))
        return false;
    reader->queue = rd_kafka_queue_new(reader->consumer);
    for (int32_t partition = 0; partition < reader->partition_count; partition++) {
        if (rd_kafka_consume_start_queue(reader->handle, partition, from, reader->queue) == 0)
            continue;
        buffer_format(error, "topic %s: %s", topic, rd_kafka_err2str(rd_kafka_last_error()));
        return false;
    }
    return true;
}

static bool note_error(struct topic_reader *reader, const rd_kafka_message_t *message, struct buffer *error)
{
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        reader->ended_count++; /* a follower passes the end again and again, and does not ask */
        reader->ended_at = message->offset;
    } else if (kafka_world(message->err) != WORLD_AGAIN)
        buffer_format(error, "topic %s: %s", reader->topic, rd_kafka_message_errstr(message));
    return error->size == 0;
}

bool topic_reader_run(struct topic_reader *reader, void (*take)(void *context, const rd_kafka_message_t *message),
                      void *context, struct buffer *error)
{
    rd_kafka_message_t *messages[BATCH];
    ssize_t count = rd_kafka_consume_batch_queue(reader->queue, POLL_MS, messages, BATCH);
    bool good = true;
    for (ssize_t i = 0; i < count; i++) {
        if (messages[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            take(context, messages[i]);
        else
            good = good && note_error(reader, messages[i], error);
        rd_kafka_message_destroy(messages[i]);
    }
    rd_kafka_poll(reader->consumer, 0);
    return good;
}

bool topic_reader_ended(const struct topic_reader *reader)
{
    return reader->ended_count >= reader->partition_count;
}

void topic_reader_close(struct topic_reader *reader)
{
    for (int32_t partition = 0; reader->queue && partition < reader->partition_count; partition++)
        rd_kafka_consume_stop(reader->handle, partition);
    if (reader->queue)
        rd_kafka_queue_destroy(reader->queue);
    if (reader->handle)
        rd_kafka_topic_destroy(reader->handle);
    if (reader->consumer)
        rd_kafka_destroy(reader->consumer);
    *reader = (struct topic_reader){0};
}

bool topic_read_to(const struct config *config, const char *topic,
                   void (*take)(void *context, const rd_kafka_message_t *message), void *context, int64_t *ret_end,
                   struct buffer *error)
{
    struct topic_reader reader;
    bool good = topic_reader_open(&reader, config, topic, true, error);
    while (good && !topic_reader_ended(&reader))
        good = topic_reader_run(&reader, take, context, error);
    *ret_end = reader.ended_at;
    topic_reader_close(&reader);
    return good;
}

bool topic_read(const struct config *config, const char *topic,
                void (*take)(void *context, const rd_kafka_message_t *message), void *context, struct buffer *error)
{
    int64_t end;
    return topic_read_to(config, topic, take, context, &end, error);
}
