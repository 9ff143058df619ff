#include "workers/topics/export.h"

#include "common/base/base64.h"
#include "common/io/topic_plan.h"
#include "common/io/topic_reader.h"

struct export
{
    FILE *out;
    const char *topic;
    struct buffer line;
};

static void add_headers(struct buffer *line, const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t size;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        buffer_add_text(line, i ? ",[\"" : "[\"");
        base64_add(line, span_of(name));
        buffer_add_text(line, "\",\"");
        base64_add(line, (struct span){value, value ? size : 0});
        buffer_add_text(line, "\"]");
    }
}

static void write_record(void *context, const rd_kafka_message_t *message)
{
    struct export *export = context;
    struct buffer *line = &export->line;
    rd_kafka_timestamp_type_t type;
    buffer_reset(line);
    buffer_format(line, "{\"topic\":\"%s\",\"partition\":%d,\"offset\":%lld,\"timestamp\":%lld,\"key\":\"",
                  export->topic, message->partition, (long long)message->offset,
                  (long long)rd_kafka_message_timestamp(message, &type));
    base64_add(line, (struct span){message->key, message->key_len});
    buffer_add_text(line, "\",\"value\":\"");
    base64_add(line, (struct span){message->payload, message->len});
    buffer_add_text(line, "\",\"headers\":[");
    add_headers(line, message);
    buffer_add_text(line, "]}\n");
    fwrite(line->data, 1, line->size, export->out);
}

static bool export_topic(struct export *export, const struct config *config, const struct topic_plan *plan,
                         struct buffer *error)
{
    struct topic_reader reader;
    export->topic = plan->name;
    bool good = topic_reader_open(&reader, config, plan->name, true, error);
    bool absent = !good && plan->optional && reader.partition_count == 0;
    while (good && !topic_reader_ended(&reader))
        good = topic_reader_run(&reader, write_record, export, error);
    topic_reader_close(&reader);
    return good || absent;
}

bool topics_export(struct config *config, FILE *out)
{
    struct topic_plan plan[TOPIC_PLAN_SIZE];
    struct export export = {.out = out};
    struct buffer error = {0};
    bool good = true;
    topic_plan_fill(config, plan);
    for (size_t i = 0; i < TOPIC_PLAN_SIZE && good; i++) {
        buffer_reset(&error);
        good = export_topic(&export, config, &plan[i], &error);
    }
    if (!good)
        fprintf(stderr, "oriori: %s\n", error.data);
    good = fflush(out) == 0 && good;
    buffer_release(&export.line);
    buffer_release(&error);
    return good;
}
