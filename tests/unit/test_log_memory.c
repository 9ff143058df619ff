/* The in-memory Kafka where exactly-once is decided. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/io/clock_scripted.h"
#include "common/io/log_memory.h"

#include <stdio.h>

struct fixture {
    struct clock_scripted script;
    struct clock clock;
    struct memory_cluster *cluster;
    struct log a, b;
    struct arena arena;
};

static const char *const topics[] = {"in"};

static void setup(struct fixture *fixture, uint32_t marker_lag_max)
{
    fixture->script = (struct clock_scripted){1700000000000, 0};
    fixture->clock = clock_scripted_open(&fixture->script);
    fixture->cluster = memory_cluster_new(&(struct memory_cluster_config){.cluster_id = "test",
                                                                          .clock = &fixture->clock,
                                                                          .session_timeout_ms = 6000,
                                                                          .transaction_timeout_ms = 10000,
                                                                          .marker_lag_max = marker_lag_max,
                                                                          .seed = 9});
    memory_cluster_topic_add(fixture->cluster, "in", 2);
    memory_cluster_topic_add(fixture->cluster, "out", 1);
    fixture->a = log_memory_open(fixture->cluster, &(struct log_memory_config){"g", "a", topics, 1});
    fixture->b = log_memory_open(fixture->cluster, &(struct log_memory_config){"g", "b", topics, 1});
    arena_init(&fixture->arena, 0);
}

static void teardown(struct fixture *fixture)
{
    arena_release(&fixture->arena);
    memory_cluster_free(fixture->cluster);
}

static void produce(struct log *log, const char *value)
{
    struct log_message message = {.topic = "out", .value = span_of(value)};
    assert_int_equal(log_produce(log, &message, NULL), WORLD_DONE);
}

static void begin(struct log *log, const char *value)
{
    assert_int_equal(log_begin(log), WORLD_DONE);
    produce(log, value);
}

/* The values of "out", joined. */
static const char *seen(const struct fixture *fixture, bool read_committed)
{
    static char text[200];
    struct log_record record;
    text[0] = 0;
    for (int64_t offset = 0; memory_cluster_read(fixture->cluster, "out", 0, read_committed, &offset, &record);)
        strncat(text, record.value.data, record.value.size);
    return text;
}

static int32_t join(struct log *log)
{
    struct log_event event = {0};
    for (int i = 0; i < 10 && event.happening != LOG_ASSIGNED; i++)
        assert_int_equal(log_poll(log, 0, &event), WORLD_DONE);
    assert_int_equal(event.happening, LOG_ASSIGNED);
    return event.generation;
}

static void an_open_transaction_hides_what_comes_after_it(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f, 0);
    assert_int_equal(log_producer_new(&f.a, 0), WORLD_DONE);
    assert_int_equal(log_producer_new(&f.b, 0), WORLD_DONE);
    begin(&f.a, "A");
    begin(&f.b, "B");
    assert_int_equal(log_commit(&f.b), WORLD_DONE);
    assert_string_equal(seen(&f, true), "");
    assert_string_equal(seen(&f, false), "AB");
    assert_int_equal(log_abort(&f.a), WORLD_DONE);
    assert_string_equal(seen(&f, true), "B");
    int64_t low, stable, high;
    memory_cluster_watermarks(f.cluster, "out", 0, &low, &stable, &high);
    assert_int_equal(high, 4); /* two records, two markers */
    teardown(&f);
}

static void a_fenced_producer_cannot_commit(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f, 0);
    assert_int_equal(log_producer_new(&f.a, 0), WORLD_DONE);
    begin(&f.a, "A");
    assert_int_equal(log_fence(&f.b, SPAN("a"), 0), WORLD_DONE);
    assert_int_equal(log_commit(&f.a), WORLD_REPLACE);
    assert_string_equal(seen(&f, true), "");
    assert_int_equal(log_begin(&f.a), WORLD_REPLACE);
    assert_int_equal(log_producer_new(&f.a, 0), WORLD_DONE);
    begin(&f.a, "C");
    assert_int_equal(log_commit(&f.a), WORLD_DONE);
    assert_string_equal(seen(&f, true), "C");
    teardown(&f);
}

static void a_transaction_times_out(void **state)
{
    struct fixture f;
    (void)state;
    setup(&f, 0);
    assert_int_equal(log_producer_new(&f.a, 0), WORLD_DONE);
    begin(&f.a, "A");
    clock_scripted_move(&f.script, 10001);
    assert_int_equal(log_commit(&f.a), WORLD_REPLACE);
    assert_string_equal(seen(&f, true), "");
    teardown(&f);
}

static void offsets_wait_for_the_end_of_their_transaction(void **state)
{
    struct fixture f;
    struct log_offset offset = {.topic = 0, .partition = 0, .offset = 7, .metadata = SPAN("seq=1")}, read = {0};
    (void)state;
    setup(&f, 0);
    join(&f.a);
    assert_int_equal(log_producer_new(&f.a, 0), WORLD_DONE);
    assert_int_equal(log_committed(&f.b, &read, 1, 0, &f.arena), WORLD_DONE);
    assert_int_equal(read.offset, LOG_OFFSET_NONE);
    begin(&f.a, "A");
    assert_int_equal(log_send_offsets(&f.a, &offset, 1), WORLD_DONE);
    assert_int_equal(log_committed(&f.b, &read, 1, 0, &f.arena), WORLD_AGAIN);
    assert_int_equal(log_commit(&f.a), WORLD_DONE);
    assert_int_equal(log_committed(&f.b, &read, 1, 0, &f.arena), WORLD_DONE);
    assert_int_equal(read.offset, 7);
    assert_true(span_equal(read.metadata, SPAN("seq=1")));
    begin(&f.a, "B");
    offset.offset = 9;
    assert_int_equal(log_send_offsets(&f.a, &offset, 1), WORLD_DONE);
    assert_int_equal(log_abort(&f.a), WORLD_DONE);
    assert_int_equal(memory_cluster_committed(f.cluster, "g", "in", 0, NULL), 7);
    teardown(&f);
}

static void a_stale_member_cannot_send_offsets(void **state)
{
    struct fixture f;
    struct log_event event;
    struct log_offset offset = {.topic = 0, .partition = 0, .offset = 7};
    (void)state;
    setup(&f, 0);
    int32_t before = join(&f.a);
    assert_int_equal(log_producer_new(&f.a, 0), WORLD_DONE);
    clock_scripted_move(&f.script, 6001); /* a is paused for longer than the session */
    assert_true(join(&f.b) > before);
    assert_int_equal(log_begin(&f.a), WORLD_DONE);
    assert_int_equal(log_send_offsets(&f.a, &offset, 1), WORLD_RECOVER);
    assert_int_equal(log_abort(&f.a), WORLD_DONE);
    assert_int_equal(log_poll(&f.a, 0, &event), WORLD_DONE);
    assert_int_equal(event.happening, LOG_REVOKED);
    assert_int_equal(memory_cluster_committed(f.cluster, "g", "in", 0, NULL), LOG_OFFSET_NONE);
    teardown(&f);
}

/* The commit's answer comes before its markers: the next transaction waits, readers see nothing yet. */
static void markers_come_late(void **state)
{
    struct fixture f;
    bool late = false;
    (void)state;
    setup(&f, 6);
    enum world outcome;
    do
        outcome = log_producer_new(&f.a, 0);
    while (outcome == WORLD_AGAIN);
    for (int i = 0; i < 20; i++) {
        begin(&f.a, "A");
        assert_int_equal(log_commit(&f.a), WORLD_DONE);
        int64_t low, stable, high;
        memory_cluster_watermarks(f.cluster, "out", 0, &low, &stable, &high);
        late = late || stable < high;
        while ((outcome = log_begin(&f.a)) == WORLD_AGAIN)
            ;
        assert_int_equal(outcome, WORLD_DONE);
        memory_cluster_watermarks(f.cluster, "out", 0, &low, &stable, &high);
        assert_int_equal(stable, high);
        assert_int_equal(log_abort(&f.a), WORLD_DONE);
    }
    assert_true(late);
    teardown(&f);
}

static void compaction_keeps_the_last_of_each_key(void **state)
{
    struct fixture f;
    struct log_record record;
    int64_t offset = 0;
    (void)state;
    setup(&f, 0);
    const char *const keys[] = {"x", "y", "x"}, *const values[] = {"1", "2", "3"};
    for (int i = 0; i < 3; i++)
        memory_cluster_append(
            f.cluster, &(struct log_message){.topic = "out", .key = span_of(keys[i]), .value = span_of(values[i])});
    memory_cluster_compact(f.cluster, "out");
    assert_string_equal(seen(&f, true), "23");
    assert_true(memory_cluster_read(f.cluster, "out", 0, true, &offset, &record));
    assert_int_equal(record.offset, 1); /* offsets stay */
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_open_transaction_hides_what_comes_after_it),
        cmocka_unit_test(a_fenced_producer_cannot_commit),
        cmocka_unit_test(a_transaction_times_out),
        cmocka_unit_test(offsets_wait_for_the_end_of_their_transaction),
        cmocka_unit_test(a_stale_member_cannot_send_offsets),
        cmocka_unit_test(markers_come_late),
        cmocka_unit_test(compaction_keeps_the_last_of_each_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
