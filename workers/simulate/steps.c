#include "workers/simulate/steps.h"

#include "common/codec/avro_write.h"
#include "common/codec/event_json.h"
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

static enum world event_read(void *context, enum topic topic, struct span value, struct arena *arena,
                             struct event *ret_event, enum reason *ret_reason, const char **ret_field,
                             struct span *ret_message)
{
    struct run_formats *formats = context;
    int64_t received_at;
    *ret_message = SPAN_NONE;
    *ret_field = NULL;
    formats->json = formats->json || (value.size && value.data[0] == '{');
    *ret_reason = formats->json ? event_json_read(value, arena, ret_event, &received_at, ret_field)
                                : schema_set_read_event(formats->schemas, topic, value, arena, ret_event, ret_field);
    if (formats->json && *ret_reason == REASON_NONE && ret_event->topic != topic)
        *ret_reason = REASON_UNKNOWN_TOPIC; /* as the demo reads its lines */
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
    config.formats = (struct formats){&formats, event_read, record_write};
    if (schema_set_load(formats.schemas, read_schema, NULL, &error))
        status = print_outcome(replay_file_run(in, &config, summary ? NULL : print_record, &line, &report), &report);
    else
        fprintf(stderr, "oriori simulate: schemas: %s\n", error.data);
    buffer_release(&line);
    buffer_release(&error);
    schema_set_free(formats.schemas);
    return status;
}
