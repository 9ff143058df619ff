#include "workers/lifecycle/setup.h"

#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/codec/avro_binary.h"
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

/* NULL: it cannot be read, or does not compile: *errors has the text, and the reason was said. */
static struct playbook *playbook_open(const char *path, struct buffer *text, struct playbook_errors *errors)
{
    struct playbook *playbook = NULL;
    buffer_reset(text);
    if (!file_read(path, text))
        fprintf(stderr, "oriori: cannot read the playbook %s: %s\n", path, strerror(errno));
    else
        playbook = playbook_compile(buffer_span(text), path, errors);
    if (errors->count)
        fputs(errors->text.data, stderr);
    return playbook;
}

static bool open_playbook(struct setup *setup, struct playbook_errors *errors)
{
    struct buffer *path = &setup->playbook_path;
    if (setup->config.playbook[0])
        buffer_add_text(path, setup->config.playbook);
    else if (!data_file_playbook(path))
        fputs("oriori: the config names no playbook, and the shipped one is not found\n", stderr);
    if (path->size)
        setup->playbook = playbook_open(path->data, &setup->playbook_text, errors);
    hash_sha256(buffer_span(&setup->playbook_text), setup->file_hash);
    return setup->playbook != NULL;
}

/* The first error; the others were said on standard error. */
static void refusal_keep(struct setup *setup, const struct playbook_errors *errors)
{
    const char *text = errors->text.data;
    buffer_add_text(&setup->playbook_refusal, "the playbook file does not compile: ");
    buffer_add(&setup->playbook_refusal, text, strcspn(text, "\n"));
    logger(CONFIG_LEVEL_ERROR,
           "the playbook file does not compile: shards go on with what is in force, none is born until it is mended",
           LOG_TEXT("file", setup->playbook_path.data), LOG_TEXT("reason", setup->playbook_refusal.data));
}

static bool open_stand_in(struct setup *setup)
{
    struct buffer path = {0};
    struct playbook_errors errors = {0};
    if (data_file_find("playbook.yaml", &path)) /* not ORIORI_PLAYBOOK, which may be the broken one */
        setup->playbook = playbook_open(path.data, &setup->playbook_text, &errors);
    buffer_release(&path);
    buffer_release(&errors.text);
    return setup->playbook != NULL;
}

static bool open_zones(struct setup *setup)
{
    char error[ZONES_ERROR_SIZE];
    setup->zones = zones_load(setup->config.zones, error);
    if (setup->zones == NULL)
        fprintf(stderr, "oriori: %s\n", error);
    setup->world = (struct step_world){.playbook = setup->playbook, .zones = setup->zones};
    return setup->zones != NULL;
}

static bool open_world(struct setup *setup, bool with_stand_in)
{
    struct playbook_errors errors = {0};
    bool good = open_playbook(setup, &errors);
    if (!good && with_stand_in && errors.count) {
        good = open_stand_in(setup);
        if (good)
            refusal_keep(setup, &errors);
    }
    buffer_release(&errors.text);
    return good && open_zones(setup);
}

bool setup_world(struct setup *setup)
{
    return open_world(setup, false);
}

bool setup_world_or_wait(struct setup *setup)
{
    return open_world(setup, true);
}

bool setup_schema_file(const struct setup *setup, const char *file_name, struct buffer *buffer)
{
    const char *folder = setup->config.schemas;
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

static bool read_schema(void *context, const char *file_name, struct buffer *buffer)
{
    return setup_schema_file(context, file_name, buffer);
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
        setup->inputs[topic] = (struct input){.schemas = setup->registry ? setup->registered : setup->schemas,
                                              .form = forms[setup->config.input_forms[topic]],
                                              .mappings = setup->mappings[topic]};
        good = open_mappings(setup, topic) && good;
    }
    return good;
}

bool setup_registry(struct setup *setup)
{
    struct buffer error = {0};
    setup->registry = registry_open(&setup->config, &error);
    if (error.size)
        fprintf(stderr, "oriori: %s\n", error.data);
    bool good = error.size == 0;
    buffer_release(&error);
    if (setup->registry == NULL)
        return good;
    setup->registered = schema_set_new();
    setup->catalog = schema_catalog_new(setup->registry, setup->registered);
    return true;
}

/* What a registry's schemas are resolved to is our own files' word. */
static bool read_as_ours(struct setup *setup)
{
    bool good = true;
    for (int topic = 0; setup->registered && topic < TOPIC_COUNT; topic++) {
        struct buffer avsc = {0};
        good = good && setup_schema_file(setup, setup_input_file((enum topic)topic), &avsc) &&
               schema_set_read_as(setup->registered, (enum topic)topic, buffer_span(&avsc));
        buffer_release(&avsc);
    }
    return good;
}

bool setup_schemas(struct setup *setup)
{
    struct buffer error = {0};
    setup->schemas = schema_set_new();
    bool good = schema_set_load(setup->schemas, read_schema, setup, &error);
    if (!good)
        fprintf(stderr, "oriori: schemas%s%s: %s\n", setup->config.schemas[0] ? " in " : "", setup->config.schemas,
                error.data);
    buffer_release(&error);
    return good && setup_registry(setup) && read_as_ours(setup) && open_inputs(setup);
}

void setup_close(struct setup *setup)
{
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        for (size_t i = 0; i < setup->inputs[topic].mapping_count; i++)
            mapping_free(setup->mappings[topic][i]);
    schema_catalog_free(setup->catalog);
    schema_set_free(setup->registered);
    registry_close(setup->registry);
    schema_set_free(setup->schemas);
    zones_free(setup->zones);
    playbook_free(setup->playbook);
    buffer_release(&setup->playbook_text);
    buffer_release(&setup->playbook_refusal);
    buffer_release(&setup->playbook_path);
    config_release(&setup->config);
}

/* ---- a registry ---- */

static const struct {
    const char *topic;
    const char *file;
} outputs[SETUP_OUTPUT_COUNT] = {
    [SETUP_ACTIONS] = {"actions", "action.avsc"},
    [SETUP_TRANSITIONS] = {"transitions", "transition.avsc"},
    [SETUP_DECISIONS] = {"decisions", "decision.avsc"},
    [SETUP_DEAD] = {"dead", "dead_letter.avsc"},
};

static enum registry_answer register_output(struct setup *setup, enum setup_output output, const char **ret_subject)
{
    struct buffer avsc = {0}, subject = {0};
    buffer_format(&subject, "%s-value", config_topic(&setup->config, outputs[output].topic));
    CHECK(setup_schema_file(setup, outputs[output].file, &avsc)); /* read once already, for its fixed id */
    enum registry_answer answer =
        registry_register(setup->registry, subject.data, buffer_span(&avsc), &setup->output_ids[output]);
    *ret_subject = arena_copy(&setup->config.arena, buffer_span(&subject)).data;
    buffer_release(&subject);
    buffer_release(&avsc);
    return answer;
}

enum registry_answer setup_register_outputs(struct setup *setup, const char **ret_subject)
{
    enum registry_answer answer = REGISTRY_FOUND;
    if (setup->registry == NULL || setup->config.registry_outputs == CONFIG_REGISTERED_LOCAL)
        return answer;
    for (int output = 0; output < SETUP_OUTPUT_COUNT && answer == REGISTRY_FOUND; output++) {
        bool json = output == SETUP_ACTIONS && setup->config.actions_format == CONFIG_OUTPUT_JSON;
        if (!json && setup->output_ids[output] == 0)
            answer = register_output(setup, (enum setup_output)output, ret_subject);
    }
    return answer;
}

const char *setup_input_file(enum topic topic)
{
    static const char *const files[TOPIC_COUNT] = {
        [TOPIC_ORDERS] = "order.avsc",           [TOPIC_DELIVERIES] = "delivery.avsc", [TOPIC_SURVEYS] = "survey.avsc",
        [TOPIC_EMAIL_OPENS] = "email_open.avsc", [TOPIC_CUSTOMERS] = "customer.avsc",
    };
    return files[topic];
}

bool setup_input_id(struct setup *setup, enum topic topic, uint32_t *ret_id)
{
    bool local = setup->config.registry_outputs == CONFIG_REGISTERED_LOCAL;
    *ret_id = 0;
    if (setup->registry == NULL)
        return true;
    struct buffer avsc = {0}, subject = {0};
    buffer_format(&subject, "%s-value", setup->config.topic_inputs[topic]);
    bool good = setup_schema_file(setup, setup_input_file(topic), &avsc);
    if (!good)
        fprintf(stderr, "oriori: cannot read the schema %s\n", setup_input_file(topic));
    else if ((local ? registry_lookup : registry_register)(setup->registry, subject.data, buffer_span(&avsc), ret_id) !=
             REGISTRY_FOUND) {
        fprintf(stderr, "oriori: schema of %s: %s\n", subject.data, registry_text(setup->registry));
        good = false;
    }
    buffer_release(&subject);
    buffer_release(&avsc);
    return good;
}

static bool has_fixed_ids(const struct setup *setup, const char *topic)
{
    static const char *const internal[] = {"forward", "state", "steps"};
    size_t prefix = strlen(setup->config.topic_prefix);
    const char *name = strncmp(topic, setup->config.topic_prefix, prefix) == 0 ? topic + prefix : "";
    bool local = setup->config.registry_outputs == CONFIG_REGISTERED_LOCAL;
    for (size_t i = 0; i < COUNT_OF(internal); i++)
        if (strcmp(name, internal[i]) == 0)
            return true;
    for (size_t i = 0; i < COUNT_OF(outputs); i++)
        if (strcmp(name, outputs[i].topic) == 0)
            return local;
    return setup->registry == NULL;
}

const struct schema_set *setup_schemas_of(struct setup *setup, const char *topic, struct span value)
{
    uint32_t id;
    struct span datum, why;
    if (setup->registry == NULL || has_fixed_ids(setup, topic))
        return setup->schemas;
    if (wire_header_read(value, &id, &datum) && schema_catalog_need(setup->catalog, id, &why) != WORLD_DONE)
        return NULL;
    return setup->registered;
}

/* ---- the flow's config ---- */

/* Before an input in Avro is read: its schema is fetched if it must be. */
static enum world schema_need(struct setup *setup, const struct input *input, struct span value)
{
    uint32_t id;
    struct span datum;
    setup->unknown_schema = SPAN("");
    if (setup->registry == NULL || input->form == INPUT_JSON || !wire_header_read(value, &id, &datum))
        return WORLD_DONE;
    return schema_catalog_need(setup->catalog, id, &setup->unknown_schema);
}

static enum world event_read(void *context, enum topic topic, const struct original *original, struct arena *arena,
                             struct reading *ret_reading)
{
    struct setup *setup = context;
    const struct input *input = &setup->inputs[topic];
    struct input_events events;
    enum world outcome = schema_need(setup, input, original->value);
    *ret_reading = (struct reading){0};
    if (outcome != WORLD_DONE)
        return outcome;
    ret_reading->reason =
        input_read(input, topic, original, arena, &events, &ret_reading->field, &ret_reading->message);
    ret_reading->events = events.events;
    ret_reading->count = events.count;
    if (ret_reading->reason == REASON_UNKNOWN_SCHEMA)
        ret_reading->message = arena_copy(arena, setup->unknown_schema);
    return WORLD_DONE;
}

static void record_write(void *context, const struct record *record, struct buffer *buffer)
{
    static const enum setup_output outputs_of[] = {
        [RECORD_TRANSITION] = SETUP_TRANSITIONS, [RECORD_ACTION] = SETUP_ACTIONS, [RECORD_DECISION] = SETUP_DECISIONS};
    const struct setup *setup = context;
    uint32_t id = setup->output_ids[outputs_of[record->type]];
    if (record->type == RECORD_ACTION && setup->config.actions_format == CONFIG_OUTPUT_JSON) {
        record_json_write(record, buffer);
        return;
    }
    record_avro_write(record, buffer);
    if (id)
        wire_header_set(buffer, id);
}

static const char *reading_trouble(void *context)
{
    const struct setup *setup = context;
    return schema_catalog_trouble(setup->catalog);
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
    flow->actions_topic = config_topic(config, config->actions == CONFIG_ACTIONS_SHADOW ? "actions.shadow" : "actions");
    flow->transitions_topic = config_topic(config, "transitions");
    flow->decisions_topic = config_topic(config, "decisions");
    flow->dead_topic = config_topic(config, "dead");
    flow->playbook_topic = config_topic(config, "playbook");
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
    flow.sends_per_second = config->sends_per_second;
    flow.actions_shadow = config->actions == CONFIG_ACTIONS_SHADOW;
    flow.history_max = (size_t)config->redis_history;
    flow.forward_keep_ms = config->topic_forward_keep_ms;
    flow.record_tries = config->clock == CONFIG_CLOCK_INPUT ? 0 : RECORD_TRIES; /* a demo's ticks bring timers along */
    flow.clock_input = config->clock == CONFIG_CLOCK_INPUT;
    flow.skew_max_ms = flow.clock_input ? 0 : flow.skew_max_ms;
    flow.world = &setup->world;
    flow.playbook_text = buffer_span(&setup->playbook_text);
    flow.playbook_refusal = setup->playbook_refusal.size ? setup->playbook_refusal.data : NULL;
    flow.playbook_watched = config->playbook_watch;
    flow.formats = (struct formats){setup,
                                    event_read,
                                    record_write,
                                    setup->registry ? reading_trouble : NULL,
                                    setup->output_ids[SETUP_DEAD],
                                    decision_avro_seq};
    CHECK(getrandom(&flow.token, sizeof(flow.token), 0) == sizeof(flow.token));
    return flow;
}
