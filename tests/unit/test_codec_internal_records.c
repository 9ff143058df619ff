#include "common/base/check.h"
#include "common/codec/internal_records.h"
#include "common/codec/schema_id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena arena;
static struct buffer buffer;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    buffer_release(&buffer);
    return 0;
}

static void assert_span(struct span actual, struct span expected)
{
    assert_int_equal(actual.size, expected.size);
    if (expected.size != 0)
        assert_memory_equal(actual.data, expected.data, expected.size);
    assert_true((actual.data == NULL) == (expected.data == NULL));
}

static const struct header headers[] = {
    {SPAN("received_at"), SPAN("1700000000000")}, {SPAN("empty"), SPAN("")}, {SPAN("null"), {NULL, 0}}};
static const struct original original = {
    .topic = SPAN("crm.orders"),
    .partition = 3,
    .offset = INT64_C(1) << 40,
    .timestamp = -1,
    .key = SPAN(""),
    .value = SPAN("\x00\xff raw"),
    .headers = headers,
    .header_count = COUNT_OF(headers),
};

static void assert_original(const struct original *actual)
{
    assert_span(actual->topic, original.topic);
    assert_int_equal(actual->partition, 3);
    assert_true(actual->offset == INT64_C(1) << 40);
    assert_true(actual->timestamp == -1);
    assert_span(actual->key, original.key);
    assert_span(actual->value, original.value);
    assert_int_equal(actual->header_count, COUNT_OF(headers));
    for (size_t i = 0; i < COUNT_OF(headers); i++) {
        assert_span(actual->headers[i].name, headers[i].name);
        assert_span(actual->headers[i].value, headers[i].value);
    }
}

/* Every decoder must refuse every cut and every byte too many, and survive every single changed byte. */
#define ASSERT_ROBUST(decode, type)                                                                                    \
    do {                                                                                                               \
        type scratch;                                                                                                  \
        char *bytes = malloc(buffer.size + 1);                                                                    \
        for (size_t cut = 0; cut < buffer.size; cut++) {                                                               \
            char *exact = malloc(cut + 1);                                                                        \
            memcpy(exact, buffer.data, cut);                                                                           \
            assert_false(decode((struct span){exact, cut}, &arena, &scratch));                                         \
            free(exact);                                                                                          \
        }                                                                                                              \
        memcpy(bytes, buffer.data, buffer.size);                                                                       \
        bytes[buffer.size] = 0;                                                                                        \
        assert_false(decode((struct span){bytes, buffer.size + 1}, &arena, &scratch));                                 \
        for (size_t at = 0; at < buffer.size; at++)                                                                    \
            for (int value = 0; value < 256; value++) {                                                                \
                bytes[at] = (char)value;                                                                               \
                decode((struct span){bytes, buffer.size}, &arena, &scratch);                                           \
                bytes[at] = buffer.data[at];                                                                           \
                arena_reset(&arena);                                                                                   \
                assert_true(arena.used < 64 * 1024);                                                                   \
            }                                                                                                          \
        free(bytes);                                                                                              \
    } while (0)

static void forward_of_an_event_keeps_the_record(void **state)
{
    (void)state;
    struct forward forward = {.kind = FORWARD_EVENT, .original = original}, back;
    forward_encode(&forward, &buffer);
    assert_true(forward_decode(buffer_span(&buffer), &arena, &back));
    assert_int_equal(back.kind, FORWARD_EVENT);
    assert_original(&back.original);
    ASSERT_ROBUST(forward_decode, struct forward);
}

static void r30_forward_of_a_credit_keeps_it_whole(void **state)
{
    (void)state;
    struct forward forward = {.kind = FORWARD_CREDIT, .original = {.topic = SPAN("crm.orders"), .offset = 7}}, back;
    forward.credit = event_blank(TOPIC_ORDERS, EVENT_CREDIT);
    forward.credit.customer_id = SPAN("referrer");
    forward.credit.event_id = SPAN("e1");
    forward.credit.occurred_at = 1700000000123;
    forward.credit.backfill = true;
    forward.credit.credit = (struct credit){.friend_id = SPAN("friend"),
                                            .standing = true,
                                            .order_id = SPAN("o1"),
                                            .order_at = 1600000000000,
                                            .order_backfill = true};
    forward_encode(&forward, &buffer);
    assert_true(forward_decode(buffer_span(&buffer), &arena, &back));
    assert_int_equal(back.kind, FORWARD_CREDIT);
    assert_int_equal(back.credit.kind, EVENT_CREDIT);
    assert_int_equal(back.credit.topic, TOPIC_ORDERS);
    assert_span(back.credit.customer_id, SPAN("referrer"));
    assert_span(back.credit.event_id, SPAN("e1"));
    assert_true(back.credit.occurred_at == 1700000000123 && back.credit.backfill);
    assert_span(back.credit.credit.friend_id, SPAN("friend"));
    assert_true(back.credit.credit.standing && !back.credit.credit.by_erasure && back.credit.credit.order_backfill);
    assert_span(back.credit.credit.order_id, SPAN("o1"));
    assert_true(back.credit.credit.order_at == 1600000000000);
    ASSERT_ROBUST(forward_decode, struct forward);
}

static void control_records_come_back(void **state)
{
    (void)state;
    struct forward back;
    struct forward tick = {.kind = FORWARD_TICK, .tick_at = 42};
    forward_encode(&tick, &buffer);
    assert_true(forward_decode(buffer_span(&buffer), &arena, &back));
    assert_true(back.kind == FORWARD_TICK && back.tick_at == 42);

    buffer_reset(&buffer);
    struct forward playbook = {.kind = FORWARD_PLAYBOOK,
                               .playbook_version = SPAN("2"),
                               .playbook_hash = {1, 2, 3},
                               .playbook_yaml = SPAN("version: 2\n"),
                               .activation = 300};
    forward_encode(&playbook, &buffer);
    assert_true(forward_decode(buffer_span(&buffer), &arena, &back));
    assert_int_equal(back.kind, FORWARD_PLAYBOOK);
    assert_span(back.playbook_version, SPAN("2"));
    assert_memory_equal(back.playbook_hash, playbook.playbook_hash, 32);
    assert_span(back.playbook_yaml, SPAN("version: 2\n"));
    assert_int_equal(back.activation, 300);
    ASSERT_ROBUST(forward_decode, struct forward);

    for (int kind = FORWARD_PAUSE; kind <= FORWARD_RELEASE; kind++) {
        buffer_reset(&buffer);
        forward_encode(&(struct forward){.kind = (enum forward_kind)kind, .rule = SPAN("tip")}, &buffer);
        assert_true(forward_decode(buffer_span(&buffer), &arena, &back));
        assert_int_equal(back.kind, kind);
        assert_span(back.rule, SPAN("tip"));
    }
    assert_int_equal(buffer.data[3] << 8 | buffer.data[4], SCHEMA_FORWARD_2); /* the last one: a release */
    buffer.data[4] = (char)(SCHEMA_FORWARD & 0xff);                           /* that schema has no such symbol */
    assert_false(forward_decode(buffer_span(&buffer), &arena, &back));
}

static void meta_comes_back(void **state)
{
    (void)state;
    struct input_offset inputs[] = {{SPAN("crm.orders"), 7, 12}, {SPAN("crm.surveys"), 7, 0}};
    struct span rules[] = {SPAN("tip"), SPAN("newsletter")};
    struct meta meta = {.shard = 7,
                        .seq = 99,
                        .clock = 1700000000000,
                        .playbook_hash = {9},
                        .playbook_version = SPAN("v1"),
                        .shard_count = 16,
                        .application_id = SPAN("oriori"),
                        .cluster_id = SPAN("abc"),
                        .inputs = inputs,
                        .input_count = 2,
                        .forward_next = 5,
                        .pause_marketing = true,
                        .paused_rules = rules,
                        .paused_rule_count = 2};
    struct meta back;
    meta_encode(&meta, &buffer);
    assert_true(meta_decode(buffer_span(&buffer), &arena, &back));
    assert_true(back.shard == 7 && back.seq == 99 && back.clock == 1700000000000 && back.shard_count == 16);
    assert_memory_equal(back.playbook_hash, meta.playbook_hash, 32);
    assert_span(back.playbook_version, SPAN("v1"));
    assert_span(back.application_id, SPAN("oriori"));
    assert_span(back.cluster_id, SPAN("abc"));
    assert_int_equal(back.input_count, 2);
    assert_span(back.inputs[1].topic, SPAN("crm.surveys"));
    assert_true(back.inputs[0].partition == 7 && back.inputs[0].next == 12 && back.inputs[1].next == 0);
    assert_true(back.forward_next == 5 && back.pause_marketing);
    assert_int_equal(back.paused_rule_count, 2);
    assert_span(back.paused_rules[1], SPAN("newsletter"));
    ASSERT_ROBUST(meta_decode, struct meta);
}

/* The newer schema only when there is something that the older one cannot say. */
static void meta_says_how_far_a_sweep_is(void **state)
{
    (void)state;
    struct meta meta = {.seq = 3, .activation = 2, .sweeping = true, .swept = SPAN("hanako")}, back;
    meta_encode(&meta, &buffer);
    assert_int_equal((unsigned char)buffer.data[4], SCHEMA_META_2 & 0xff);
    assert_true(meta_decode(buffer_span(&buffer), &arena, &back));
    assert_true(back.activation == 2 && back.sweeping);
    assert_span(back.swept, SPAN("hanako"));
    ASSERT_ROBUST(meta_decode, struct meta);

    buffer_reset(&buffer);
    meta_encode(&(struct meta){.seq = 3, .activation = 2}, &buffer);
    assert_true(meta_decode(buffer_span(&buffer), &arena, &back));
    assert_true(back.activation == 2 && !back.sweeping && span_empty(back.swept));

    buffer_reset(&buffer);
    meta_encode(&(struct meta){.seq = 3}, &buffer);
    assert_int_equal((unsigned char)buffer.data[4], SCHEMA_META & 0xff);
    assert_true(meta_decode(buffer_span(&buffer), &arena, &back));
    assert_true(back.activation == 0 && !back.sweeping);
}

static void playbook_entry_comes_back(void **state)
{
    (void)state;
    char key[PLAYBOOK_KEY_SIZE];
    struct playbook_entry entry = {.hash = {0xab, 1},
                                   .version = SPAN("v2"),
                                   .activated_at = NEVER,
                                   .yaml = SPAN("version: v2\n")},
                          back;
    playbook_entry_encode(&entry, &buffer);
    assert_true(playbook_entry_decode(buffer_span(&buffer), &arena, &back));
    assert_memory_equal(back.hash, entry.hash, sizeof(entry.hash));
    assert_span(back.version, SPAN("v2"));
    assert_span(back.yaml, SPAN("version: v2\n"));
    assert_true(back.activation == 0 && back.activated_at == NEVER);
    playbook_entry_key(&back, key);
    assert_int_equal(strlen(key), 64);
    assert_memory_equal(key, "ab0100", 6);
    ASSERT_ROBUST(playbook_entry_decode, struct playbook_entry);

    buffer_reset(&buffer);
    entry = (struct playbook_entry){
        .hash = {0xab, 1}, .version = SPAN("v2"), .activation = 7, .activated_at = 1700000000000};
    playbook_entry_encode(&entry, &buffer);
    assert_true(playbook_entry_decode(buffer_span(&buffer), &arena, &back));
    assert_true(back.activation == 7 && back.activated_at == 1700000000000 && span_empty(back.yaml));
    playbook_entry_key(&back, key);
    assert_string_equal(key, "activation/7");
}

static void step_log_comes_back(void **state)
{
    (void)state;
    struct span customers[] = {SPAN("c9"), SPAN("c1")};
    struct step_range ranges[] = {{SPAN("crm.orders"), 1, 10, 12}, {SPAN("crm.forward"), 1, 3, 3}};
    struct step_log step = {.shard = 1,
                            .seq = 4,
                            .now = 5,
                            .playbook_hash = {7},
                            .tz_version = SPAN("2024a"),
                            .timer_customers = customers,
                            .timer_customer_count = 2,
                            .ranges = ranges,
                            .range_count = 2};
    struct step_log back;
    step_log_encode(&step, &buffer);
    assert_true(step_log_decode(buffer_span(&buffer), &arena, &back));
    assert_true(back.shard == 1 && back.seq == 4 && back.now == 5);
    assert_span(back.tz_version, SPAN("2024a"));
    assert_int_equal(back.timer_customer_count, 2);
    assert_span(back.timer_customers[0], SPAN("c9"));
    assert_int_equal(back.range_count, 2);
    assert_span(back.ranges[1].topic, SPAN("crm.forward"));
    assert_true(back.ranges[0].partition == 1 && back.ranges[0].from == 10 && back.ranges[0].next == 12);
    ASSERT_ROBUST(step_log_decode, struct step_log);
}

static void dead_letter_comes_back_and_cuts_what_is_too_large(void **state)
{
    (void)state;
    struct dead_letter letter = dead_letter_of(&original, REASON_QUARANTINED, "nps", SPAN("why"), 2), back;
    dead_letter_encode(&letter, &buffer);
    assert_true(dead_letter_decode(buffer_span(&buffer), &arena, &back));
    assert_int_equal(back.reason, REASON_QUARANTINED);
    assert_span(back.message, SPAN("why"));
    assert_span(back.field, SPAN("nps"));
    assert_true(back.truncated && back.size == 6);
    assert_span(back.original.value, SPAN("\x00\xff"));
    assert_int_equal(back.original.header_count, 3);
    assert_memory_equal(back.sha256, letter.sha256, 32);
    ASSERT_ROBUST(dead_letter_decode, struct dead_letter);
    letter = dead_letter_of(&original, REASON_BAD_TYPE, NULL, SPAN_NONE, 6);
    assert_false(letter.truncated);
    assert_memory_equal(letter.sha256, back.sha256, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(forward_of_an_event_keeps_the_record, setup, teardown),
        cmocka_unit_test_setup_teardown(r30_forward_of_a_credit_keeps_it_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(control_records_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(meta_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(meta_says_how_far_a_sweep_is, setup, teardown),
        cmocka_unit_test_setup_teardown(playbook_entry_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(step_log_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(dead_letter_comes_back_and_cuts_what_is_too_large, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
