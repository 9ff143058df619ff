#include "workers/simulate/steps.h"

#include "common/codec/avro_write.h"
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

static enum world event_read(void *context, enum topic topic, struct span value, struct arena *arena,
                             struct event *ret_event, enum reason *ret_reason, const char **ret_field,
                             struct span *ret_message)
{
    *ret_message = SPAN_NONE;
    *ret_field = NULL;
    *ret_reason = schema_set_read_event(context, topic, value, arena, ret_event, ret_field);
    return WORLD_DONE;
}

static void record_write(void *context, const struct record *record, struct buffer *buffer)
{
    (void)context;
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
    struct schema_set *schemas = schema_set_new();
    struct buffer error = {0}, line = {0};
    struct replay_report report;
    int status = EXIT_FAILED;
    config.world = &world;
    config.formats = (struct formats){schemas, event_read, record_write};
    if (schema_set_load(schemas, read_schema, NULL, &error))
        status = print_outcome(replay_file_run(in, &config, summary ? NULL : print_record, &line, &report), &report);
    else
        fprintf(stderr, "oriori simulate: schemas: %s\n", error.data);
    buffer_release(&line);
    buffer_release(&error);
    schema_set_free(schemas);
    return status;
}
