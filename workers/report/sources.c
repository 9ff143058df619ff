#include "workers/report/sources.h"

#include "common/base/base64.h"
#include "common/codec/internal_records.h"
#include "common/codec/json.h"
#include "common/io/run_folder.h"
#include "common/io/topic_reader.h"
#include "workers/simulate/simulate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- records as JSON ---- */

static struct span text_of(const struct json *object, struct span key)
{
    const struct json *member = json_member(object, key);
    return member != NULL && member->type == JSON_KIND_TEXT ? member->text : SPAN_NONE;
}

static int64_t integer_of(const struct json *object, struct span key)
{
    const struct json *member = json_member(object, key);
    return member != NULL && member->type == JSON_KIND_INTEGER ? member->integer : NEVER;
}

static void take_transition(struct outcomes *outcomes, const struct json *record)
{
    struct span name = text_of(record, SPAN("dimension"));
    for (enum dimension dimension = 0; dimension < DIMENSION_COUNT; dimension++) {
        int to;
        if (span_equal(name, span_of(dimension_name(dimension))) &&
            class_value_find(dimension, text_of(record, SPAN("to")), &to) &&
            !span_equal(text_of(record, SPAN("direction")), SPAN("down")))
            outcomes_add_transition(outcomes, text_of(record, SPAN("customer_id")), dimension, to,
                                    integer_of(record, SPAN("effective_at")));
    }
}

static void take_run(struct outcomes *outcomes, const struct json *record, bool held_out)
{
    outcomes_add(outcomes, &(struct outcome_run){.customer_id = text_of(record, SPAN("customer_id")),
                                                 .rule = text_of(record, SPAN("rule")),
                                                 .key = text_of(record, SPAN("key")),
                                                 .variant = held_out ? SPAN_NONE : text_of(record, SPAN("variant")),
                                                 .n = (int32_t)integer_of(record, SPAN("n")),
                                                 .held_out = held_out,
                                                 .at = integer_of(record, held_out ? SPAN("at") : SPAN("made_at"))});
}

void source_take_json(struct outcomes *outcomes, enum record_type type, struct span line, struct arena *arena)
{
    const struct json *record = json_read(line, arena);
    if (record == NULL || record->type != JSON_KIND_OBJECT)
        return;
    if (type == RECORD_TRANSITION)
        take_transition(outcomes, record);
    else if (type == RECORD_ACTION && span_equal(text_of(record, SPAN("kind")), SPAN("send")))
        take_run(outcomes, record, false);
    else if (type == RECORD_DECISION && span_equal(text_of(record, SPAN("outcome")), SPAN("holdout")))
        take_run(outcomes, record, true);
}

/* The topics that hold records; crm.state comes after them. */
static const struct {
    const char *topic;
    enum record_type type;
} record_topics[] = {{"transitions", RECORD_TRANSITION}, {"actions", RECORD_ACTION}, {"decisions", RECORD_DECISION}};

/* ---- crm.state ---- */

struct reading_states {
    struct outcomes *outcomes;
    struct arena arena;
    enum record_type type; /* of the lines in hand */
    int64_t clock;
};

/* One record of crm.state: a customer's state, or a shard's `__meta`, whose key is one byte 0 and which knows the time.
 */
static void take_state(struct reading_states *reading, struct span key, struct span value)
{
    struct meta meta;
    if (!span_equal(key, (struct span){"\0", 1}))
        outcomes_add_state(reading->outcomes, key, value);
    else if (meta_decode(value, &reading->arena, &meta) && meta.clock > reading->clock)
        reading->clock = meta.clock;
}

/* ---- a run's folder ---- */

static bool read_lines(struct setup *setup, const char *folder, const char *topic,
                       void (*take)(void *context, struct span line), struct reading_states *reading)
{
    struct buffer error = {0};
    bool good = run_folder_read(folder, config_topic(&setup->config, topic), take, reading, &error);
    if (!good)
        fprintf(stderr, "oriori report: %s\n", error.data);
    buffer_release(&error);
    return good;
}

static void take_line(void *context, struct span line)
{
    struct reading_states *reading = context;
    source_take_json(reading->outcomes, reading->type, line, &reading->arena);
    arena_reset(&reading->arena);
}

static struct span bytes_of(const struct json *record, struct span name, struct arena *arena)
{
    struct span bytes = SPAN_NONE;
    base64_read(text_of(record, name), arena, &bytes);
    return bytes;
}

static void take_state_line(void *context, struct span line)
{
    struct reading_states *reading = context;
    const struct json *record = json_read(line, &reading->arena);
    if (record != NULL && record->type == JSON_KIND_OBJECT)
        take_state(reading, bytes_of(record, SPAN("key"), &reading->arena),
                   bytes_of(record, SPAN("value"), &reading->arena));
    arena_reset(&reading->arena);
}

bool source_folder(struct outcomes *outcomes, struct setup *setup, const char *folder, int64_t *ret_clock)
{
    struct reading_states reading = {.outcomes = outcomes, .clock = NEVER};
    bool good = true;
    arena_init(&reading.arena, 0);
    for (size_t i = 0; i < sizeof record_topics / sizeof record_topics[0] && good; i++) {
        reading.type = record_topics[i].type;
        good = read_lines(setup, folder, record_topics[i].topic, take_line, &reading);
    }
    outcomes_close(outcomes);
    good = good && read_lines(setup, folder, "state", take_state_line, &reading);
    arena_release(&reading.arena);
    *ret_clock = reading.clock;
    return good;
}

/* ---- the topics of a running system ---- */

struct reading_topic {
    struct reading_states states;
    const struct schema_set *schemas;
    struct buffer json;
};

/* Avro, or already JSON (actions_format: json). */
static void take_message(void *context, const rd_kafka_message_t *message)
{
    struct reading_topic *reading = context;
    struct span value = {message->payload, message->len};
    if (value.size > 0 && value.data[0] != '{') {
        buffer_reset(&reading->json);
        value =
            schema_set_json_write(reading->schemas, value, &reading->json) ? buffer_span(&reading->json) : SPAN_NONE;
    }
    source_take_json(reading->states.outcomes, reading->states.type, value, &reading->states.arena);
    arena_reset(&reading->states.arena);
}

static void take_state_message(void *context, const rd_kafka_message_t *message)
{
    struct reading_topic *reading = context;
    take_state(&reading->states, (struct span){message->key, message->key_len},
               (struct span){message->payload, message->len});
    arena_reset(&reading->states.arena);
}

static bool read_topic(struct setup *setup, const char *topic,
                       void (*take)(void *context, const rd_kafka_message_t *message), struct reading_topic *reading)
{
    struct buffer error = {0};
    bool good = topic_read(&setup->config, config_topic(&setup->config, topic), take, reading, &error);
    if (!good)
        fprintf(stderr, "oriori report: %s\n", error.data);
    buffer_release(&error);
    return good;
}

bool source_topics(struct outcomes *outcomes, struct setup *setup, int64_t *ret_clock)
{
    struct reading_topic reading = {.states = {.outcomes = outcomes, .clock = NEVER}};
    bool good = setup_schemas(setup);
    arena_init(&reading.states.arena, 0);
    reading.schemas = setup->schemas;
    for (size_t i = 0; i < sizeof record_topics / sizeof record_topics[0] && good; i++) {
        reading.states.type = record_topics[i].type;
        good = read_topic(setup, record_topics[i].topic, take_message, &reading);
    }
    outcomes_close(outcomes);
    good = good && read_topic(setup, "state", take_state_message, &reading);
    arena_release(&reading.states.arena);
    buffer_release(&reading.json);
    *ret_clock = reading.states.clock;
    return good;
}

/* ---- events, run through the engine ---- */

struct watching {
    struct outcomes *outcomes;
    int64_t clock;
};

static void watch_record(void *context, const struct record *record)
{
    struct watching *watching = context;
    outcomes_add_record(watching->outcomes, record);
}

static void watch_end(void *context, int64_t clock)
{
    struct watching *watching = context;
    watching->clock = clock;
    outcomes_close(watching->outcomes);
}

static void watch_state(void *context, struct span customer_id, struct span state)
{
    struct watching *watching = context;
    outcomes_add_state(watching->outcomes, customer_id, state);
}

bool source_events(struct outcomes *outcomes, struct setup *setup, const char *file, int64_t until, int64_t *ret_clock)
{
    struct watching watching = {outcomes, NEVER};
    struct simulate_watch watch = {&watching, watch_record, watch_end, watch_state};
    struct simulate_options options = {.until = until, .summary = true, .hot_size = HOT_SIZE_USUAL, .watch = &watch};
    FILE *in = strcmp(file, "-") == 0 ? stdin : fopen(file, "r");
    FILE *out = fopen("/dev/null", "w"); /* the summary, which nobody asked for */
    bool good = in != NULL && out != NULL;
    if (good)
        simulate_run(&options, setup->playbook, setup->zones, in, out, stderr);
    if (good && ferror(in))
        good = false;
    if (!good)
        fprintf(stderr, "oriori report: %s: %s\n", file, strerror(errno));
    if (in != NULL && in != stdin)
        fclose(in);
    if (out != NULL)
        fclose(out);
    *ret_clock = watching.clock;
    return good;
}
