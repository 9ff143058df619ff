#include "workers/simulate/steps.h"

#include "common/codec/avro_write.h"
#include "common/codec/event_json.h"
#include "common/codec/input.h"
#include "common/codec/json.h"
#include "common/codec/record_json.h"
#include "common/codec/schema_set.h"
#include "common/flow/replay_file.h"
#include "common/io/data_file.h"
#include "workers/subcommand.h"

static bool read_schema(void *context, const char *file_name, struct buffer *buffer)
{
    struct buffer path = {0};
    (void)context;
    bool good = data_file_find(file_name, &path) && file_read(path.data, buffer);
    buffer_release(&path);
    return good;
}

/* A run on Kafka speaks Avro; the embedded demo's topics hold JSON lines, in and out. The first input tells. */
struct run_formats {
    struct schema_set *schemas;
    bool json;
};

/* A demo's line: {"topic": ..., "event": {...}}. */
static enum reason line_read(enum topic topic, struct span value, struct arena *arena, struct reading *reading)
{
    int64_t received_at;
    enum reason reason = event_json_read(value, arena, reading->events, &received_at, &reading->field);
    return reason == REASON_NONE && reading->events->topic != topic ? REASON_UNKNOWN_TOPIC : reason;
}

static enum world event_read(void *context, enum topic topic, const struct original *original, struct arena *arena,
                             struct reading *ret_reading)
{
    struct run_formats *formats = context;
    struct input input = {.schemas = formats->schemas, .form = INPUT_AUTO};
    struct input_events events;
    struct span value = original->value;
    *ret_reading = (struct reading){.events = ARENA_NEW(arena, struct event), .count = 1, .message = SPAN("")};
    const struct json *root = value.size && value.data[0] == '{' ? json_read(value, arena) : NULL;
    formats->json = formats->json || (root != NULL && json_member(root, SPAN("event")) != NULL);
    if (formats->json) {
        ret_reading->reason = line_read(topic, value, arena, ret_reading);
        return WORLD_DONE;
    }
    ret_reading->reason =
        input_read(&input, topic, original, arena, &events, &ret_reading->field, &ret_reading->message);
    ret_reading->events = events.events;
    ret_reading->count = events.count;
    return WORLD_DONE;
}

static void record_write(void *context, const struct record *record, struct buffer *buffer)
{
    const struct run_formats *formats = context;
    if (formats->json)
        record_json_write(record, buffer);
    else
        record_avro_write(record, buffer);
}

static void print_record(void *context, const struct record *record)
{
    struct buffer *line = context;
    buffer_reset(line);
    record_json_write(record, line);
    buffer_add_char(line, '\n');
    fwrite(line->data, 1, line->size, stdout);
}

static int print_outcome(enum replay_outcome outcome, const struct replay_report *report)
{
    if (outcome == REPLAY_UNREADABLE)
        fprintf(stderr, "oriori simulate: %s\n", report->text);
    else if (outcome == REPLAY_DIFFERS)
        printf("differs after %llu steps: %s\n", (unsigned long long)report->steps, report->text);
    else
        printf("equal: %llu steps, %llu transitions, %llu actions, %llu decisions, %llu states\n",
               (unsigned long long)report->steps, (unsigned long long)report->transitions,
               (unsigned long long)report->actions, (unsigned long long)report->decisions,
               (unsigned long long)report->states);
    return outcome == REPLAY_EQUAL ? EXIT_DONE : EXIT_FAILED;
}

int steps_run(FILE *in, const struct playbook *playbook, const struct zones *zones, bool summary)
{
    struct step_world world = {.playbook = playbook, .zones = zones};
    struct flow_config config = flow_config_default();
    struct run_formats formats = {.schemas = schema_set_new()};
    struct buffer error = {0}, line = {0};
    struct replay_report report;
    int status = EXIT_FAILED;
    config.world = &world;
    config.formats = (struct formats){.context = &formats, .event_read = event_read, .record_write = record_write};
    if (schema_set_load(formats.schemas, read_schema, NULL, &error))
        status = print_outcome(replay_file_run(in, &config, summary ? NULL : print_record, &line, &report), &report);
    else
        fprintf(stderr, "oriori simulate: schemas: %s\n", error.data);
    buffer_release(&line);
    buffer_release(&error);
    schema_set_free(formats.schemas);
    return status;
}
