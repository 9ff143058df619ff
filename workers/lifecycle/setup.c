#include "workers/lifecycle/setup.h"

#include "common/base/check.h"
#include "common/codec/avro_write.h"
#include "common/codec/record_json.h"
#include "common/io/data_file.h"
#include "common/io/logger.h"
#include "common/io/mapping_file.h"
#include "common/io/zones_load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum {
    CALL_TIMEOUT_DIVISOR = 5, /* the flow tries a call several times: each may take a part of the whole */
    RECORD_TRIES = 3
};

/* ---- opening ---- */

bool setup_config(struct setup *setup, const char *path)
{
    struct buffer errors = {0};
    *setup = (struct setup){0};
    bool good = config_load(&setup->config, path, &errors);
    if (!good)
        fputs(errors.data, stderr);
    buffer_release(&errors);
    if (!good)
        return false;
    logger_init(setup->config.level, setup->config.format);
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        setup->subscription[topic] = setup->config.topic_inputs[topic];
    setup->subscription[TOPIC_COUNT] = config_topic(&setup->config, "forward");
    return true;
}

static bool open_playbook(struct setup *setup)
{
    struct buffer path = {0};
    struct playbook_errors errors = {0};
    if (setup->config.playbook[0])
        buffer_add_text(&path, setup->config.playbook);
    else if (!data_file_playbook(&path))
        fputs("oriori: the config names no playbook, and the shipped one is not found\n", stderr);
    if (path.size && !file_read(path.data, &setup->playbook_text))
        fprintf(stderr, "oriori: cannot read the playbook %s: %s\n", path.data, strerror(errno));
    else if (path.size)
        setup->playbook = playbook_compile(buffer_span(&setup->playbook_text), path.data, &errors);
    if (errors.count)
        fputs(errors.text.data, stderr);
    buffer_release(&errors.text);
    buffer_release(&path);
    return setup->playbook != NULL;
}

bool setup_world(struct setup *setup)
{
    char error[ZONES_ERROR_SIZE];
    if (!open_playbook(setup))
        return false;
    setup->zones = zones_load(setup->config.zones, error);
    if (setup->zones == NULL)
        fprintf(stderr, "oriori: %s\n", error);
    setup->world = (struct step_world){.playbook = setup->playbook, .zones = setup->zones};
    return setup->zones != NULL;
}

/* context: the folder, "" = the shipped files. */
static bool read_schema(void *context, const char *file_name, struct buffer *buffer)
{
    const char *folder = context;
    struct buffer path = {0};
    bool good = true;
    if (folder[0])
        buffer_format(&path, "%s/%s", folder, file_name);
    else
        good = data_file_find(file_name, &path);
    good = good && file_read(path.data, buffer);
    buffer_release(&path);
    return good;
}

static bool open_mappings(struct setup *setup, int topic)
{
    const char *words = setup->config.input_mappings[topic];
    struct input *input = &setup->inputs[topic];
    bool good = true;
    for (size_t size; *words && good; words += size + (words[size] == ' ')) {
        struct buffer name = {0}, error = {0};
        size = strcspn(words, " ");
        buffer_add(&name, words, size);
        if (input->mapping_count == SETUP_MAPPINGS_MAX)
            buffer_add_text(&error, "too many mappings for one input\n");
        else
            setup->mappings[topic][input->mapping_count] = mapping_file_open(name.data, &error);
        good = error.size == 0;
        input->mapping_count += good;
        fputs(error.data ? error.data : "", stderr);
        buffer_release(&name);
        buffer_release(&error);
    }
    if (input->mapping_count && input->form == INPUT_AVRO)
        fprintf(stderr, "oriori: mappings.%s read JSON, but its format is avro: set formats to json or auto\n",
                topic_name((enum topic)topic));
    return good && !(input->mapping_count && input->form == INPUT_AVRO);
}

static bool open_inputs(struct setup *setup)
{
    static const enum input_form forms[] = {
        [CONFIG_INPUT_AVRO] = INPUT_AVRO, [CONFIG_INPUT_JSON] = INPUT_JSON, [CONFIG_INPUT_AUTO] = INPUT_AUTO};
    bool good = true;
    for (int topic = 0; topic < TOPIC_COUNT; topic++) {
        setup->inputs[topic] = (struct input){.schemas = setup->schemas,
                                              .form = forms[setup->config.input_forms[topic]],
                                              .mappings = setup->mappings[topic]};
        good = open_mappings(setup, topic) && good;
    }
    return good;
}

bool setup_schemas(struct setup *setup)
{
    struct buffer error = {0};
    setup->schemas = schema_set_new();
    bool good = schema_set_load(setup->schemas, read_schema, (void *)setup->config.schemas, &error);
    if (!good)
        fprintf(stderr, "oriori: schemas%s%s: %s\n", setup->config.schemas[0] ? " in " : "", setup->config.schemas,
                error.data);
    buffer_release(&error);
    return good && open_inputs(setup);
}

void setup_close(struct setup *setup)
{
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        for (size_t i = 0; i < setup->inputs[topic].mapping_count; i++)
            mapping_free(setup->mappings[topic][i]);
    schema_set_free(setup->schemas);
    zones_free(setup->zones);
    playbook_free(setup->playbook);
    buffer_release(&setup->playbook_text);
    config_release(&setup->config);
}

/* ---- the flow's config ---- */

static enum world event_read(void *context, enum topic topic, const struct original *original, struct arena *arena,
                             struct reading *ret_reading)
{
    const struct setup *setup = context;
    struct input_events events;
    *ret_reading = (struct reading){0};
    ret_reading->reason =
        input_read(&setup->inputs[topic], topic, original, arena, &events, &ret_reading->field, &ret_reading->message);
    ret_reading->events = events.events;
    ret_reading->count = events.count;
    return WORLD_DONE;
}

static void record_write(void *context, const struct record *record, struct buffer *buffer)
{
    const struct setup *setup = context;
    if (record->type == RECORD_ACTION && setup->config.actions_format == CONFIG_OUTPUT_JSON)
        record_json_write(record, buffer);
    else
        record_avro_write(record, buffer);
}

static enum start start_of(enum config_start start)
{
    static const enum start starts[] = {[CONFIG_START_EARLIEST] = START_EARLIEST,
                                        [CONFIG_START_LATEST] = START_LATEST,
                                        [CONFIG_START_TIMESTAMP] = START_TIMESTAMP};
    return starts[start];
}

static enum decisions_published decisions_of(enum config_decisions decisions)
{
    static const enum decisions_published published[] = {[CONFIG_DECISIONS_OFF] = DECISIONS_OFF,
                                                         [CONFIG_DECISIONS_SENT_AND_BLOCKED] =
                                                             DECISIONS_SENT_AND_BLOCKED,
                                                         [CONFIG_DECISIONS_ALL] = DECISIONS_ALL};
    return published[decisions];
}

static void name_topics(struct config *config, struct flow_config *flow)
{
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        flow->inputs[topic] = config->topic_inputs[topic];
    flow->forward_topic = config_topic(config, "forward");
    flow->state_topic = config_topic(config, "state");
    flow->steps_topic = config_topic(config, "steps");
    flow->actions_topic = config_topic(config, "actions");
    flow->transitions_topic = config_topic(config, "transitions");
    flow->decisions_topic = config_topic(config, "decisions");
    flow->dead_topic = config_topic(config, "dead");
}

struct flow_config setup_flow(struct setup *setup)
{
    struct config *config = &setup->config;
    struct flow_config flow = flow_config_default();
    name_topics(config, &flow);
    flow.application_id = span_of(config->application_id);
    flow.transactional_id = span_of(config->transactional_id);
    flow.shard_count = (int32_t)config->shards;
    flow.start = start_of(config->start_kind);
    flow.start_ms = config->start_ms;
    flow.batch_records_max = (size_t)config->batch_records;
    flow.batch_bytes_max = (size_t)config->batch_bytes;
    flow.batch_wait_ms = (int32_t)config->batch_wait_ms;
    flow.batch_timers_max = (size_t)config->batch_timers;
    flow.dead_value_max = (size_t)config->topic_message_bytes_max;
    flow.call_timeout_ms = (int32_t)(config->timeout_request_ms / CALL_TIMEOUT_DIVISOR);
    flow.decisions = decisions_of(config->decisions);
    flow.record_tries = config->clock == CONFIG_CLOCK_INPUT ? 0 : RECORD_TRIES; /* a demo's ticks bring timers along */
    flow.clock_input = config->clock == CONFIG_CLOCK_INPUT;
    flow.skew_max_ms = flow.clock_input ? 0 : flow.skew_max_ms;
    flow.world = &setup->world;
    flow.formats = (struct formats){setup, event_read, record_write};
    CHECK(getrandom(&flow.token, sizeof(flow.token), 0) == sizeof(flow.token));
    return flow;
}
