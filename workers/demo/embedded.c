#include "workers/demo/embedded.h"

#include "common/base/check.h"
#include "common/codec/event_json.h"
#include "common/codec/json.h"
#include "common/codec/record_json.h"
#include "common/io/clock_wall.h"
#include "common/io/store_redis.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { TURNS_MAX = 100000 /* for one tick; far more than any needs */ };

/* ---- JSON instead of Avro ---- */

static enum world line_read(void *context, enum topic topic, const struct original *original, struct arena *arena,
                            struct reading *ret_reading)
{
    int64_t received_at;
    (void)context;
    *ret_reading = (struct reading){.events = ARENA_NEW(arena, struct event), .count = 1, .message = SPAN("")};
    ret_reading->reason =
        event_json_read(original->value, arena, ret_reading->events, &received_at, &ret_reading->field);
    if (ret_reading->reason == REASON_NONE && ret_reading->events->topic != topic) {
        ret_reading->reason = REASON_UNKNOWN_TOPIC;
        ret_reading->field = "topic";
    }
    return WORLD_DONE;
}

static void line_write(void *context, const struct record *record, struct buffer *buffer)
{
    (void)context;
    record_json_write(record, buffer);
}

/* ---- opening ---- */

static void say(void *context, enum report_level level, const char *text)
{
    (void)context;
    if (level != REPORT_INFO)
        fprintf(stderr, "demo: %s\n", text);
}

static void cluster_id_make(struct embedded *embedded)
{
    unsigned char bytes[16];
    CHECK(getrandom(bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(embedded->cluster_id + 2 * i, 3, "%02x", bytes[i]);
}

static void topics_add(struct embedded *embedded)
{
    const struct flow_config *flow = &embedded->flow;
    const char *others[] = {flow->state_topic,       flow->steps_topic,     flow->actions_topic,
                            flow->transitions_topic, flow->decisions_topic, flow->dead_topic};
    for (int t = 0; t < TOPIC_COUNT; t++)
        embedded->topics[t] = flow->inputs[t];
    embedded->topics[TOPIC_COUNT] = flow->forward_topic;
    for (size_t i = 0; i < COUNT_OF(embedded->topics); i++)
        memory_cluster_topic_add(embedded->cluster, embedded->topics[i], flow->shard_count);
    for (size_t i = 0; i < COUNT_OF(others); i++)
        memory_cluster_topic_add(embedded->cluster, others[i], flow->shard_count);
    memory_cluster_topic_add(embedded->cluster, flow->playbook_topic, 1);
}

bool embedded_open(struct embedded *embedded, struct setup *setup)
{
    struct config *config = &setup->config;
    struct buffer error = {0};
    *embedded = (struct embedded){.config = config, .clock = clock_wall_open(), .flow = setup_flow(setup)};
    if (store_redis_open(config, &embedded->store, &error) != WORLD_DONE) {
        fprintf(stderr, "demo: %s\n", error.data ? error.data : "Redis cannot be used");
        buffer_release(&error);
        return false;
    }
    cluster_id_make(embedded);
    embedded->flow.formats = (struct formats){.event_read = line_read, .record_write = line_write};
    embedded->flow.report = say;
    embedded->cluster = memory_cluster_new(
        &(struct memory_cluster_config){.cluster_id = embedded->cluster_id, .clock = &embedded->clock});
    topics_add(embedded);
    embedded->log =
        log_memory_open(embedded->cluster, &(struct log_memory_config){.group = config->group_id,
                                                                       .transactional_id = config->transactional_id,
                                                                       .topics = embedded->topics,
                                                                       .topic_count = COUNT_OF(embedded->topics)});
    worker_init(&embedded->worker, &embedded->flow, &embedded->log, &embedded->store, &embedded->clock);
    return true;
}

void embedded_close(struct embedded *embedded)
{
    if (!embedded->cluster)
        return;
    worker_release(&embedded->worker);
    log_close(&embedded->log);
    store_close(&embedded->store);
    memory_cluster_free(embedded->cluster);
    buffer_release(&embedded->bytes);
    embedded->cluster = NULL;
}

/* ---- the sink ---- */

static void append(struct embedded *embedded, const char *topic, int32_t partition, struct span key, struct span value)
{
    struct log_message message = {.topic = topic, .partition = partition, .key = key, .value = value};
    memory_cluster_append(embedded->cluster, &message);
}

static bool event_write(void *context, const struct feeder_event *event)
{
    struct embedded *embedded = context;
    append(embedded, embedded->topics[event->topic], LOG_PARTITION_BY_KEY, event->key, event->line);
    return true;
}

static bool topic_committed(const struct embedded *embedded, const char *topic)
{
    for (int32_t p = 0; p < embedded->flow.shard_count; p++) {
        int64_t low, stable, high;
        memory_cluster_watermarks(embedded->cluster, topic, p, &low, &stable, &high);
        int64_t committed = memory_cluster_committed(embedded->cluster, embedded->config->group_id, topic, p, NULL);
        struct log_record left;
        int64_t from = committed == LOG_OFFSET_NONE ? low : committed;
        /* behind the last record there may be the markers of transactions */
        if (memory_cluster_read(embedded->cluster, topic, p, true, &from, &left))
            return false;
    }
    return true;
}

/* Everything written so far is committed by the shard that owns it, what it forwarded too. */
static bool all_committed(const struct embedded *embedded)
{
    for (size_t i = COUNT_OF(embedded->topics); i-- > 0;) /* forward first: every tick is in it */
        if (!topic_committed(embedded, embedded->topics[i]))
            return false;
    return true;
}

static bool settle(struct embedded *embedded)
{
    for (int turns = 0; turns < TURNS_MAX; turns++) {
        int32_t wait_ms = worker_turn(&embedded->worker, 0);
        if (worker_ended(&embedded->worker)) {
            fprintf(stderr, "demo: the worker stopped: %s\n", embedded->worker.trouble);
            return false;
        }
        if (wait_ms > 0 && all_committed(embedded))
            return true;
        if (wait_ms > 0 && !worker_ready(&embedded->worker)) /* it backs off: Redis is away */
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    fprintf(stderr, "demo: a tick does not come to its end: %s\n", embedded->worker.trouble);
    return false;
}

static bool tick(void *context, int64_t at)
{
    struct embedded *embedded = context;
    struct forward forward = {.kind = FORWARD_TICK, .tick_at = at};
    buffer_reset(&embedded->bytes);
    forward_encode(&forward, &embedded->bytes);
    for (int32_t h = 0; h < embedded->flow.shard_count; h++)
        append(embedded, embedded->flow.forward_topic, h, SPAN_NONE, buffer_span(&embedded->bytes));
    return settle(embedded);
}

struct feeder_sink embedded_sink(struct embedded *embedded)
{
    return (struct feeder_sink){.context = embedded, .event_write = event_write, .tick = tick};
}

/* ---- the folder ---- */

static void dead_letter_json(struct span value, struct arena *arena, struct buffer *buffer)
{
    struct dead_letter letter;
    if (!dead_letter_decode(value, arena, &letter))
        return;
    buffer_format(buffer, "{\"reason\":\"%s\",\"field\":", reason_name(letter.reason));
    json_add_text(buffer, letter.field);
    buffer_add_text(buffer, ",\"message\":");
    json_add_text(buffer, letter.message);
    buffer_add_text(buffer, ",\"topic\":");
    json_add_text(buffer, letter.original.topic);
    buffer_format(buffer, ",\"partition\":%d,\"offset\":%lld,\"line\":", (int)letter.original.partition,
                  (long long)letter.original.offset);
    json_add_text(buffer, utf8_valid(letter.original.value) ? letter.original.value : SPAN(""));
    buffer_add_text(buffer, "}");
}

/* One topic's committed records, a line each, in the order of partitions and offsets. */
static bool topic_save(struct embedded *embedded, const char *topic, const char *folder, struct arena *arena)
{
    struct buffer *buffer = &embedded->bytes;
    bool dead = strcmp(topic, embedded->flow.dead_topic) == 0;
    buffer_reset(buffer);
    buffer_format(buffer, "%s/%s.jsonl", folder, topic);
    FILE *file = fopen(buffer->data, "w");
    if (!file)
        return false;
    for (int32_t p = 0; p < embedded->flow.shard_count; p++) {
        int64_t offset = 0;
        struct log_record record;
        while (memory_cluster_read(embedded->cluster, topic, p, true, &offset, &record)) {
            buffer_reset(buffer);
            arena_reset(arena);
            if (dead)
                dead_letter_json(record.value, arena, buffer);
            else
                buffer_add_span(buffer, record.value);
            buffer_add_char(buffer, '\n');
            fwrite(buffer->data, 1, buffer->size, file);
        }
    }
    return fclose(file) == 0;
}

bool embedded_save(struct embedded *embedded, const char *folder)
{
    const struct flow_config *flow = &embedded->flow;
    const char *outputs[] = {flow->actions_topic, flow->transitions_topic, flow->decisions_topic, flow->dead_topic};
    struct arena arena;
    arena_init(&arena, 0);
    memory_cluster_settle(embedded->cluster);
    buffer_reset(&embedded->bytes);
    buffer_format(&embedded->bytes, "%s/run.jsonl", folder); /* for `oriori simulate --steps`, before compaction */
    bool good = memory_cluster_export(embedded->cluster, embedded->bytes.data);
    memory_cluster_compact(embedded->cluster, flow->state_topic);
    good = good && memory_cluster_save(embedded->cluster, folder); /* forward, state, steps stay as they are: base64 */
    for (int t = 0; good && t < TOPIC_COUNT; t++)
        good = topic_save(embedded, flow->inputs[t], folder, &arena);
    for (size_t i = 0; good && i < COUNT_OF(outputs); i++)
        good = topic_save(embedded, outputs[i], folder, &arena);
    if (!good)
        fprintf(stderr, "demo: cannot write to %s: %s\n", folder, strerror(errno));
    arena_release(&arena);
    return good;
}
