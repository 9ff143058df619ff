#include "workers/topics/export.h"

#include "common/base/base64.h"
#include "common/base/check.h"
#include "common/codec/avro_binary.h"
#include "common/codec/json.h"
#include "common/io/registry.h"
#include "common/io/topic_plan.h"
#include "common/io/topic_reader.h"

#include <stdlib.h>

struct export
{
    FILE *out;
    const char *topic;
    struct buffer line;
    bool is_input;
    struct registry *registry; /* NULL = none: ids are the fixed ones */
    uint32_t *ids;             /* that inputs name, each once, ascending */
    size_t id_count;
};

/* ---- schemas ---- */

static void note_schema(struct export *export, struct span value)
{
    uint32_t id;
    struct span datum;
    size_t low = 0, high = export->id_count;
    if (export->registry == NULL || !export->is_input || !wire_header_read(value, &id, &datum))
        return;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (export->ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < export->id_count && export->ids[low] == id)
        return;
    export->ids = realloc(export->ids, (export->id_count + 1) * sizeof *export->ids);
    CHECK(export->ids != NULL);
    memmove(export->ids + low + 1, export->ids + low, (export->id_count++ - low) * sizeof *export->ids);
    export->ids[low] = id;
}

/* What the ids mean, so that the file is read where no registry is. One that the registry does not know was a dead
 * letter, and is one again. */
static bool write_schemas(struct export *export, struct buffer *error)
{
    struct buffer avsc = {0};
    bool good = true;
    for (size_t i = 0; i < export->id_count && good; i++) {
        buffer_reset(&avsc);
        buffer_reset(&export->line);
        enum registry_answer answer = registry_schema(export->registry, export->ids[i], &avsc);
        good = answer != REGISTRY_AWAY;
        if (answer != REGISTRY_FOUND)
            continue;
        buffer_format(&export->line, "{\"id\":%u,\"schema\":", (unsigned)export->ids[i]);
        json_add_text(&export->line, buffer_span(&avsc));
        buffer_add_text(&export->line, "}\n");
        fwrite(export->line.data, 1, export->line.size, export->out);
    }
    if (!good)
        buffer_add_text(error, registry_text(export->registry));
    buffer_release(&avsc);
    return good;
}

/* ---- records ---- */

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
    note_schema(export, (struct span){message->payload, message->len});
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
    export.registry = registry_open(config, &error);
    bool good = error.size == 0;
    topic_plan_fill(config, plan);
    for (size_t i = 0; i < TOPIC_PLAN_SIZE && good; i++) {
        buffer_reset(&error);
        export.is_input = plan[i].role == TOPIC_INPUT;
        good = export_topic(&export, config, &plan[i], &error);
    }
    good = good && write_schemas(&export, &error);
    if (!good)
        fprintf(stderr, "oriori: %s\n", error.data);
    good = fflush(out) == 0 && good;
    registry_close(export.registry);
    free(export.ids);
    buffer_release(&export.line);
    buffer_release(&error);
    return good;
}
