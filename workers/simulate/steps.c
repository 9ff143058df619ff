#include "workers/simulate/steps.h"

#include "common/codec/avro_write.h"
#include "common/codec/event_json.h"
#include "common/codec/input.h"
#include "common/codec/json.h"
#include "common/codec/record_json.h"
#include "common/codec/schema_set.h"
#include "common/flow/replay_file.h"
#include "common/io/data_file.h"
#include "workers/lifecycle/setup.h"
#include "workers/subcommand.h"

static bool read_schema(void *context, const char *file_name, struct buffer *buffer)
{
    struct buffer path = {0};
    (void)context;
    bool good = data_file_find(file_name, &path) && file_read(path.data, buffer);
    buffer_release(&path);
    return good;
}

/* A run on Kafka speaks Avro, its inputs perhaps JSON, as its config says; the embedded demo's topics hold JSON lines,
 * in and out. The first input tells. */
struct run_formats {
    struct schema_set *schemas;    /* by their fixed ids */
    struct schema_set *registered; /* by a registry's, out of the export; NULL = the run had none */
    const struct setup *setup;     /* NULL = no config given */
    bool json;
    struct buffer line;
};

/* What a registry's schemas are resolved to is our own files' word. */
static struct schema_set *registered_new(void)
{
    struct schema_set *set = schema_set_new();
    for (int topic = 0; topic < TOPIC_COUNT; topic++) {
        struct buffer avsc = {0};
        if (read_schema(NULL, setup_input_file((enum topic)topic), &avsc))
            schema_set_read_as(set, (enum topic)topic, buffer_span(&avsc));
        buffer_release(&avsc);
    }
    return set;
}

static bool schema_add(void *context, uint32_t id, struct span avsc, struct buffer *error)
{
    struct run_formats *formats = context;
    if (formats->registered == NULL)
        formats->registered = registered_new();
    return schema_set_add(formats->registered, id, avsc, error);
}

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
    struct input input = formats->setup ? formats->setup->inputs[topic] : (struct input){.form = INPUT_AUTO};
    struct input_events events;
    input.schemas = formats->registered ? formats->registered : formats->schemas;
    struct span value = original->value;
    *ret_reading = (struct reading){.events = ARENA_NEW(arena, struct event), .count = 1, .message = SPAN("")};
    const struct json *root =
        value.size && value.data[0] == '{' && formats->setup == NULL ? json_read(value, arena) : NULL;
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
    bool json_actions = formats->setup && formats->setup->config.actions_format == CONFIG_OUTPUT_JSON;
    if (formats->json || (json_actions && record->type == RECORD_ACTION))
        record_json_write(record, buffer);
    else
        record_avro_write(record, buffer);
}

static void print_record(void *context, const struct record *record)
{
    struct buffer *line = &((struct run_formats *)context)->line;
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

/* The run's own topics, mappings and formats. */
static bool open_config(struct setup *setup, const char *path, struct flow_config *config)
{
    if (!setup_config(setup, path) || !setup_schemas(setup))
        return false;
    struct flow_config of_run = setup_flow(setup);
    config->forward_topic = of_run.forward_topic;
    config->state_topic = of_run.state_topic;
    config->steps_topic = of_run.steps_topic;
    config->actions_topic = config_topic(&setup->config, "actions"); /* and its shadow, whichever was spoken to last */
    config->transitions_topic = of_run.transitions_topic;
    config->decisions_topic = of_run.decisions_topic;
    config->playbook_topic = of_run.playbook_topic;
    memcpy(config->inputs, of_run.inputs, sizeof config->inputs);
    return true;
}

int steps_run(FILE *in, const char *config_path, const struct playbook *playbook, const struct zones *zones,
              bool summary)
{
    struct step_world world = {.playbook = playbook, .zones = zones};
    struct flow_config config = flow_config_default();
    struct run_formats formats = {.schemas = schema_set_new()};
    struct replay_reader reader = {&formats, schema_add, summary ? NULL : print_record};
    struct setup setup = {0};
    struct buffer error = {0};
    struct replay_report report;
    int status = EXIT_FAILED;
    config.world = &world;
    config.formats = (struct formats){.context = &formats, .event_read = event_read, .record_write = record_write};
    bool good = config_path == NULL || open_config(&setup, config_path, &config);
    formats.setup = config_path ? &setup : NULL;
    if (good && schema_set_load(formats.schemas, read_schema, NULL, &error))
        status = print_outcome(replay_file_run(in, &config, &reader, &report), &report);
    else if (good)
        fprintf(stderr, "oriori simulate: schemas: %s\n", error.data);
    if (config_path)
        setup_close(&setup);
    buffer_release(&formats.line);
    buffer_release(&error);
    schema_set_free(formats.registered);
    schema_set_free(formats.schemas);
    return status;
}
