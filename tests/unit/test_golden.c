/* Bytes as releases wrote them, read for ever: tests/golden/VERSION/NAME.hex. A version's files never change once it is
 * released; ORIORI_GOLDEN_WRITE=1 writes those of the version in work (0.1.0). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/codec/avro_write.h"
#include "common/codec/internal_records.h"
#include "common/codec/schema_set.h"
#include "common/engine/step.h"
#include "common/io/data_file.h"

#include <stdio.h>
#include <stdlib.h>

#define FOLDER ORIORI_SOURCE_DIR "/tests/golden/0.1.0/"

static struct arena arena;
static struct schema_set *schemas;
static struct step_world world;

static bool read_schema(void *context, const char *file_name, struct buffer *buffer)
{
    struct buffer path = {0};
    (void)context;
    buffer_format(&path, ORIORI_SOURCE_DIR "/schemas/%s", file_name);
    bool good = file_read(path.data, buffer);
    buffer_release(&path);
    return good;
}

static int setup(void **state)
{
    struct buffer error = {0}, text = {0};
    struct playbook_errors errors = {0};
    (void)state;
    arena_init(&arena, 0);
    schemas = schema_set_new();
    assert_true(schema_set_load(schemas, read_schema, NULL, &error));
    assert_true(read_schema(NULL, "playbook.yaml", &text));
    world = (struct step_world){.playbook = playbook_compile(buffer_span(&text), "playbook.yaml", &errors),
                                .zones = zones_new()};
    assert_non_null(world.playbook);
    buffer_release(&text);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    playbook_free((struct playbook *)world.playbook);
    zones_free((struct zones *)world.zones);
    schema_set_free(schemas);
    arena_release(&arena);
    return 0;
}

/* ---- files ---- */

static struct span read_hex(const char *path)
{
    struct buffer text = {0};
    if (!file_read(path, &text))
        fail_msg("%s cannot be read", path);
    unsigned char *bytes = arena_take(&arena, text.size / 2 + 1);
    size_t size = 0;
    unsigned value;
    for (size_t i = 0; i + 1 < text.size; i += 2 + (text.data[i + 2] == '\n')) {
        assert_int_equal(sscanf(text.data + i, "%2x", &value), 1);
        bytes[size++] = (unsigned char)value;
    }
    buffer_release(&text);
    return (struct span){(char *)bytes, size};
}

/* The golden bytes of the name; first written when asked for. */
static struct span golden(const char *name, struct span now)
{
    char path[512];
    snprintf(path, sizeof path, FOLDER "%s.hex", name);
    if (getenv("ORIORI_GOLDEN_WRITE")) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        for (size_t i = 0; i < now.size; i++)
            fprintf(file, "%02x%s", (unsigned char)now.data[i], i % 60 == 59 || i + 1 == now.size ? "\n" : "");
        fclose(file);
    }
    return read_hex(path);
}

static void same(const char *name, struct span golden_bytes, struct span now)
{
    if (!span_equal(golden_bytes, now))
        fail_msg("%s is written differently than the release in work did: a new schema, or a new id?", name);
}

/* ---- values ---- */

static struct event order(void)
{
    static const struct order_line lines[] = {{SPAN("DAILY-1"), 2, 3980}, {SPAN("TEA"), 1, 500}};
    struct event event = event_blank(TOPIC_ORDERS, EVENT_PLACED);
    event.event_id = SPAN("e1");
    event.customer_id = SPAN("花子");
    event.source = SPAN("shop");
    event.occurred_at = INT64_C(1709254800000);
    event.version = 3;
    event.order_id = SPAN("o1");
    event.lines = lines;
    event.line_count = 2;
    event.currency = SPAN("JPY");
    event.email_registered = ANSWER_TRUE;
    event.marketing_consent = ANSWER_TRUE;
    event.coupon = SPAN("SPRING");
    return event;
}

static struct event event_of(enum topic topic)
{
    static const enum event_kind kinds[] = {EVENT_PLACED, EVENT_SHIPPED, EVENT_RESPONSE, EVENT_CLICKED,
                                            EVENT_CONSENTED};
    struct event event = event_blank(topic, kinds[topic]);
    if (topic == TOPIC_ORDERS)
        return order();
    event.event_id = SPAN("e2");
    event.customer_id = SPAN("花子");
    event.occurred_at = INT64_C(1709341200000);
    if (topic == TOPIC_DELIVERIES) {
        event.order_id = SPAN("o1");
        event.parcel_id = SPAN("p1");
        event.estimated_at = INT64_C(1709427600000);
    } else if (topic == TOPIC_SURVEYS) {
        event.survey_id = SPAN("s1");
        event.response_id = SPAN("r1");
        event.purpose = PURPOSE_EFFECT;
        event.nps = 9;
        event.satisfaction = 5;
        event.effect_felt = ANSWER_TRUE;
        event.concerns = 1u << CONCERN_PRICE;
    } else {
        event.channel = EVENT_CHANNEL_LINE;
        event.agent = topic == TOPIC_EMAIL_OPENS ? AGENT_HUMAN : AGENT_UNKNOWN;
    }
    return event;
}

static struct original original(void)
{
    static const struct header headers[] = {{SPAN("h"), SPAN("v")}, {SPAN("null"), {NULL, 0}}};
    return (struct original){.topic = SPAN("crm.orders"),
                             .partition = 3,
                             .offset = 42,
                             .timestamp = INT64_C(1709254800000),
                             .key = SPAN("k"),
                             .value = SPAN("value"),
                             .headers = headers,
                             .header_count = 2};
}

/* ---- tests ---- */

static void events_of_every_release_are_read(void **state)
{
    (void)state;
    for (int topic = 0; topic < TOPIC_COUNT; topic++) {
        struct buffer bytes = {0}, again = {0};
        struct event event = event_of((enum topic)topic), read;
        const char *field;
        event_avro_write(&event, NULL, &bytes);
        struct span old = golden(topic_name((enum topic)topic), buffer_span(&bytes));
        assert_int_equal(schema_set_read_event(schemas, (enum topic)topic, old, &arena, &read, &field), REASON_NONE);
        event_avro_write(&read, NULL, &again);
        same(topic_name((enum topic)topic), old, buffer_span(&bytes));
        same(topic_name((enum topic)topic), old, buffer_span(&again));
        buffer_release(&bytes);
        buffer_release(&again);
    }
}

static void forwards_and_letters_of_every_release_are_read(void **state)
{
    struct forward forward = {.kind = FORWARD_EVENT, .original = original()}, read;
    struct buffer bytes = {0};
    struct dead_letter letter, letter_read;
    struct original record = original();
    (void)state;
    forward_encode(&forward, &bytes);
    struct span old = golden("forward", buffer_span(&bytes));
    same("forward", old, buffer_span(&bytes));
    assert_true(forward_decode(old, &arena, &read));
    assert_int_equal(read.original.offset, 42);
    assert_null(read.original.headers[1].value.data);
    buffer_reset(&bytes);
    letter = dead_letter_of(&record, REASON_BAD_ENUM, "kind", SPAN("why"), 3);
    dead_letter_encode(&letter, &bytes);
    old = golden("dead_letter", buffer_span(&bytes));
    same("dead_letter", old, buffer_span(&bytes));
    assert_true(dead_letter_decode(old, &arena, &letter_read));
    assert_true(letter_read.truncated && letter_read.size == 5 && letter_read.reason == REASON_BAD_ENUM);
    buffer_release(&bytes);
}

static void meta_and_steps_of_every_release_are_read(void **state)
{
    static const struct input_offset inputs[] = {{SPAN("crm.orders"), 3, 43}};
    static const struct step_range ranges[] = {{SPAN("crm.orders"), 3, 40, 43}};
    static const struct span timers[] = {{"c1", 2}}, paused[] = {{"tip", 3}};
    struct meta meta = {.shard = 3,
                        .seq = 7,
                        .clock = INT64_C(1709254800000),
                        .playbook_version = SPAN("1"),
                        .shard_count = 16,
                        .application_id = SPAN("oriori"),
                        .cluster_id = SPAN("cluster"),
                        .inputs = inputs,
                        .input_count = 1,
                        .forward_next = 5,
                        .paused_rules = paused,
                        .paused_rule_count = 1},
                meta_read;
    struct step_log step = {.shard = 3,
                            .seq = 7,
                            .now = INT64_C(1709254800000),
                            .tz_version = SPAN("2024a"),
                            .timer_customers = timers,
                            .timer_customer_count = 1,
                            .ranges = ranges,
                            .range_count = 1},
                    step_read;
    struct buffer bytes = {0};
    (void)state;
    meta_encode(&meta, &bytes);
    struct span old = golden("meta", buffer_span(&bytes));
    same("meta", old, buffer_span(&bytes));
    assert_true(meta_decode(old, &arena, &meta_read));
    assert_int_equal(meta_read.inputs[0].next, 43);
    buffer_reset(&bytes);
    step_log_encode(&step, &bytes);
    old = golden("step", buffer_span(&bytes));
    same("step", old, buffer_span(&bytes));
    assert_true(step_log_decode(old, &arena, &step_read));
    assert_int_equal(step_read.ranges[0].from, 40);
    buffer_release(&bytes);
}

static void activations_of_every_release_are_read(void **state)
{
    struct meta meta = {.shard = 3, .seq = 8, .activation = 2, .sweeping = true, .swept = SPAN("花子")}, meta_read;
    struct forward forward = {.kind = FORWARD_PLAYBOOK, .playbook_version = SPAN("2"), .activation = 2}, read;
    struct playbook_entry entry = {.hash = {1, 2},
                                   .version = SPAN("2"),
                                   .activated_at = NEVER,
                                   .yaml = SPAN("version: 2")},
                          entry_read;
    struct buffer bytes = {0};
    (void)state;
    meta_encode(&meta, &bytes);
    struct span old = golden("meta_2", buffer_span(&bytes));
    same("meta_2", old, buffer_span(&bytes));
    assert_true(meta_decode(old, &arena, &meta_read));
    assert_true(meta_read.activation == 2 && meta_read.sweeping && span_equal(meta_read.swept, SPAN("花子")));
    buffer_reset(&bytes);
    forward_encode(&forward, &bytes);
    old = golden("forward_2", buffer_span(&bytes));
    same("forward_2", old, buffer_span(&bytes));
    assert_true(forward_decode(old, &arena, &read));
    assert_int_equal(read.activation, 2);
    buffer_reset(&bytes);
    forward_encode(&(struct forward){.kind = FORWARD_RELEASE, .rule = SPAN("花子")}, &bytes);
    old = golden("forward_2-release", buffer_span(&bytes));
    same("forward_2-release", old, buffer_span(&bytes));
    assert_true(forward_decode(old, &arena, &read));
    assert_true(read.kind == FORWARD_RELEASE && span_equal(read.rule, SPAN("花子")));
    buffer_reset(&bytes);
    playbook_entry_encode(&entry, &bytes);
    old = golden("playbook_entry", buffer_span(&bytes));
    same("playbook_entry", old, buffer_span(&bytes));
    assert_true(playbook_entry_decode(old, &arena, &entry_read));
    assert_true(span_equal(entry_read.yaml, SPAN("version: 2")));
    buffer_release(&bytes);
}

/* The first record of each kind of a small history goes into its file; and the state that the history leaves. */
static void states_and_outputs_of_every_release_are_read(void **state)
{
    static const char *const names[] = {
        [RECORD_TRANSITION] = "transition", [RECORD_ACTION] = "action", [RECORD_DECISION] = "decision"};
    struct event events[] = {order(), event_of(TOPIC_SURVEYS)};
    struct visit visit = {.customer_id = SPAN("花子"),
                          .events = events,
                          .event_count = 2,
                          .now = INT64_C(1709341300000),
                          .fire_now = true};
    struct visit_result result;
    struct customer_report report;
    struct buffer bytes = {0}, text = {0};
    int64_t wake_at;
    bool seen[3] = {false};
    (void)state;
    assert_true(step_visit(&world, &arena, &visit, &result));
    const struct span olds[] = {read_hex(FOLDER "state-1.hex"), read_hex(FOLDER "state-2.hex"),
                                golden("state-3", result.state)};
    for (size_t i = 0; i < sizeof olds / sizeof *olds; i++) {
        assert_int_equal(olds[i].data[0], (int)i + 1); /* the version byte */
        assert_true(step_wake_at(&world, &arena, visit.customer_id, olds[i], &wake_at));
        assert_true(step_report(&world, &arena, visit.customer_id, olds[i], visit.now, &report));
        assert_int_equal(report.purchases, 1);
        assert_int_equal(report.last_nps, 9);
        assert_true(report.effect_felt && report.registered_email && report.consent);
    }
    same("state-3", olds[2], result.state);
    for (const struct record *record = result.records; record; record = record->next) {
        if (seen[record->type])
            continue;
        seen[record->type] = true;
        buffer_reset(&bytes);
        record_avro_write(record, &bytes);
        struct span old = golden(names[record->type], buffer_span(&bytes));
        assert_true(schema_set_json_write(schemas, old, &text));
        int64_t seq = 0;
        if (record->type == RECORD_DECISION)
            assert_true(decision_avro_seq(old, &seq) && seq == record->seq && !decision_avro_seq(SPAN("{}"), &seq));
    }
    assert_true(seen[RECORD_TRANSITION] && seen[RECORD_ACTION] && seen[RECORD_DECISION]);
    buffer_release(&bytes);
    buffer_release(&text);
}

/* The same customer, when the order came with a trace. */
static void a_state_with_traces_is_read(void **state)
{
    static const char trace[] = "0123456789abcdef/span id"; /* 24 bytes */
    struct event event = order();
    struct visit visit = {.customer_id = SPAN("花子"),
                          .events = &event,
                          .event_count = 1,
                          .now = INT64_C(1709254900000),
                          .fire_now = true};
    struct visit_result result, later;
    int64_t wake_at;
    bool traced = false;
    (void)state;
    event.trace = (struct span){trace, 24};
    assert_true(step_visit(&world, &arena, &visit, &result));
    struct span old = golden("state-3-traced", result.state);
    same("state-3-traced", old, result.state);
    visit = (struct visit){.customer_id = SPAN("花子"), .state = old, .fire_now = true};
    for (int i = 0; i < 8; i++, visit.state = later.state) {
        assert_true(step_wake_at(&world, &arena, visit.customer_id, visit.state, &wake_at));
        visit.now = wake_at;
        assert_true(step_visit(&world, &arena, &visit, &later));
        for (const struct record *record = later.records; record; record = record->next)
            traced = traced || (record->type == RECORD_ACTION && span_equal(record->action.trace, event.trace));
    }
    assert_true(traced);
}

/* A customer of the demo's shop with a bit of everything, as an earlier version kept him: read, and kept in the present
 * version from his next step on, with nothing lost. */
static void a_full_state_goes_on(const char *path, int version, size_t facts, size_t waiting, size_t used_keys)
{
    struct span old = read_hex(path);
    struct customer_report before, after;
    struct visit visit = {.customer_id = SPAN("c"), .state = old, .fire_now = true};
    struct visit_result result;
    assert_int_equal(old.data[0], version);
    assert_true(step_wake_at(&world, &arena, visit.customer_id, old, &visit.now));
    assert_true(step_report(&world, &arena, visit.customer_id, old, visit.now, &before));
    assert_int_equal(before.purchases, 25);
    assert_int_equal(before.renewals, 23);
    assert_int_equal(before.delivered, 24);
    assert_int_equal(before.money[0].minor, 464077);
    assert_int_equal(before.fact_count, facts);
    assert_int_equal(before.waiting_count, waiting);
    assert_int_equal(before.used_key_count, used_keys);
    assert_true(step_visit(&world, &arena, &visit, &result));
    assert_int_equal(result.state.data[0], 3);
    assert_true(result.state.size < old.size);
    assert_true(step_report(&world, &arena, visit.customer_id, result.state, visit.now, &after));
    assert_int_equal(after.purchases, before.purchases);
    assert_int_equal(after.fact_count, before.fact_count);
    assert_int_equal(after.money[0].minor, before.money[0].minor);
    assert_int_equal(after.last_delivery_at, before.last_delivery_at);
    assert_in_range(after.used_key_count, before.used_key_count, before.used_key_count + 5);
}

static void full_states_of_every_version_go_on(void **state)
{
    (void)state;
    a_full_state_goes_on(FOLDER "state-1-shop.hex", 1, 85, 6, 81);
    a_full_state_goes_on(FOLDER "state-2-shop.hex", 2, 86, 5, 86);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_of_every_release_are_read),
        cmocka_unit_test(forwards_and_letters_of_every_release_are_read),
        cmocka_unit_test(meta_and_steps_of_every_release_are_read),
        cmocka_unit_test(activations_of_every_release_are_read),
        cmocka_unit_test(states_and_outputs_of_every_release_are_read),
        cmocka_unit_test(a_state_with_traces_is_read),
        cmocka_unit_test(full_states_of_every_version_go_on),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
