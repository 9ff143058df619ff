/* The log seam on a real Kafka. Runs where ORIORI_TEST_KAFKA names one (bootstrap servers), else skips: the suite
 * `kafka` sets it. Topics and groups carry the process id, so runs do not meet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "common/io/kafka_client.h"
#include "common/io/log_kafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WAIT_MS = 30000, PARTITIONS = 2 };

static char in_name[64], out_name[64], group_name[64];
static const char *topics[1];
static struct config config;
static struct arena arena;
static bool there;

static void create_topics(const char *const *names, size_t count)
{
    struct kafka_trouble trouble = {0};
    struct buffer error = {0};
    rd_kafka_t *admin = kafka_new_admin(&config, &trouble, &error);
    CHECK(admin);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(admin);
    rd_kafka_NewTopic_t *list[2];
    for (size_t i = 0; i < count; i++)
        list[i] = rd_kafka_NewTopic_new(names[i], PARTITIONS, 1, NULL, 0);
    rd_kafka_CreateTopics(admin, list, count, NULL, queue);
    enum world world;
    rd_kafka_event_t *event = kafka_admin_wait(queue, WAIT_MS, &error, &world);
    CHECK(event);
    rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy_array(list, count);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(admin);
}

static int setup(void **state)
{
    (void)state;
    const char *servers = getenv("ORIORI_TEST_KAFKA");
    struct buffer errors = {0};
    arena_init(&arena, 0);
    there = servers != NULL;
    if (!there)
        return 0;
    setenv("ORIORI_KAFKA_BOOTSTRAP_SERVERS", servers, 1);
    CHECK(config_load(&config, NULL, &errors));
    snprintf(in_name, sizeof(in_name), "test-%d-in", getpid());
    snprintf(out_name, sizeof(out_name), "test-%d-out", getpid());
    snprintf(group_name, sizeof(group_name), "test-%d", getpid());
    config.group_id = config.transactional_id = group_name;
    topics[0] = in_name;
    create_topics((const char *[]){in_name, out_name}, 2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (there)
        config_release(&config);
    arena_release(&arena);
    return 0;
}

#define NEEDS_KAFKA()                                                                                                  \
    do {                                                                                                               \
        (void)state;                                                                                                   \
        if (!there)                                                                                                    \
            skip();                                                                                                    \
    } while (0)

static struct log open_log(void)
{
    struct log log = {0};
    struct buffer error = {0};
    assert_int_equal(log_kafka_open(&config, topics, 1, &log, &error), WORLD_DONE);
    return log;
}

/* Polls until that happens; anything else is passed over. */
static struct log_event wait_for(struct log *log, enum log_happening happening)
{
    struct log_event event;
    for (int i = 0; i < WAIT_MS / 100; i++) {
        assert_int_equal(log_poll(log, 100, &event), WORLD_DONE);
        if (event.happening == happening)
            return event;
    }
    fail_msg("happening %d did not come", happening);
    return event;
}

static void new_producer(struct log *log)
{
    enum world world;
    do
        world = log_producer_new(log, WAIT_MS);
    while (world == WORLD_AGAIN);
    assert_int_equal(world, WORLD_DONE);
}

static int64_t produce(struct log *log, const char *topic, int32_t partition, const char *value)
{
    const struct log_header header = {SPAN("received_at"), SPAN("7")};
    struct log_message message = {.topic = topic,
                                  .partition = partition,
                                  .key = SPAN("k"),
                                  .value = span_of(value),
                                  .headers = &header,
                                  .header_count = 1};
    int64_t ticket;
    assert_int_equal(log_produce(log, &message, &ticket), WORLD_DONE);
    return ticket;
}

static int64_t produce_committed(struct log *log, const char *topic, int32_t partition, const char *value)
{
    int64_t offset;
    assert_int_equal(log_begin(log), WORLD_DONE);
    int64_t ticket = produce(log, topic, partition, value);
    assert_int_equal(log_commit(log), WORLD_DONE);
    assert_int_equal(log_delivered_offset(log, ticket, &offset), WORLD_DONE);
    return offset;
}

/* Values of the partition from an offset to its end, joined by spaces. */
static const char *read_all(struct log *log, const char *topic, int32_t partition, int64_t offset)
{
    static char text[256];
    struct log_event event;
    text[0] = '\0';
    assert_int_equal(log_reader_open(log, topic, partition, offset), WORLD_DONE);
    do {
        assert_int_equal(log_reader_next(log, WAIT_MS, &event), WORLD_DONE);
        if (event.happening == LOG_RECORD)
            snprintf(text + strlen(text), sizeof(text) - strlen(text), "%.*s ", (int)event.record.value.size,
                     event.record.value.data);
    } while (event.happening == LOG_RECORD);
    assert_int_equal(event.happening, LOG_END);
    log_reader_close(log);
    return text;
}

static void a_transaction_moves_records_and_offsets(void **state)
{
    NEEDS_KAFKA();
    struct log log = open_log();
    new_producer(&log);
    int64_t first = produce_committed(&log, in_name, 0, "one");
    struct log_event event = wait_for(&log, LOG_ASSIGNED);
    assert_int_equal(event.partition_count, PARTITIONS);
    assert_true(event.generation > 0);

    struct log_offset offsets[] = {{.topic = 0, .partition = 0}, {.topic = 0, .partition = 1}};
    assert_int_equal(log_committed(&log, offsets, 2, WAIT_MS, &arena), WORLD_DONE);
    assert_true(offsets[0].offset == LOG_OFFSET_NONE && span_empty(offsets[0].metadata));
    offsets[0].offset = first;
    offsets[1].offset = 0;
    assert_int_equal(log_assign(&log, offsets, 2), WORLD_DONE);
    event = wait_for(&log, LOG_RECORD);
    assert_true(event.record.topic == 0 && event.record.partition == 0 && event.record.offset == first);
    assert_true(span_equal(event.record.value, SPAN("one")) && span_equal(event.record.key, SPAN("k")));
    assert_int_equal(event.record.header_count, 1);
    assert_true(span_equal(event.record.headers[0].value, SPAN("7")));
    event = wait_for(&log, LOG_END);

    assert_int_equal(log_begin(&log), WORLD_DONE);
    produce(&log, out_name, 1, "two");
    offsets[0] = (struct log_offset){0, 0, first + 1, SPAN("seq=5")};
    assert_int_equal(log_send_offsets(&log, offsets, 1), WORLD_DONE);
    assert_int_equal(log_commit(&log), WORLD_DONE);
    assert_int_equal(log_committed(&log, offsets, 2, WAIT_MS, &arena), WORLD_DONE);
    assert_true(offsets[0].offset == first + 1 && span_equal(offsets[0].metadata, SPAN("seq=5")));
    assert_true(offsets[1].offset == LOG_OFFSET_NONE);
    assert_string_equal(read_all(&log, out_name, 1, 0), "two ");
    log_close(&log);
}

static void an_aborted_transaction_is_never_seen(void **state)
{
    NEEDS_KAFKA();
    struct log log = open_log();
    new_producer(&log);
    int64_t before = produce_committed(&log, out_name, 0, "a");
    assert_int_equal(log_begin(&log), WORLD_DONE);
    produce(&log, out_name, 0, "lost");
    assert_int_equal(log_abort(&log), WORLD_DONE);
    assert_int_equal(log_abort(&log), WORLD_DONE); /* nothing open: fine */
    produce_committed(&log, out_name, 0, "b");
    assert_string_equal(read_all(&log, out_name, 0, before), "a b ");
    int64_t low, high;
    assert_int_equal(log_watermarks(&log, out_name, 0, &low, &high), WORLD_DONE);
    assert_true(low == 0 && high > before + 2); /* markers take offsets too */
    log_close(&log);
}

static void without_a_membership_no_offset_is_sent(void **state)
{
    NEEDS_KAFKA();
    struct log log = open_log();
    new_producer(&log);
    assert_int_equal(log_begin(&log), WORLD_DONE);
    struct log_offset offset = {0, 0, 0, SPAN_NONE};
    assert_int_equal(log_send_offsets(&log, &offset, 1), WORLD_RECOVER);
    assert_int_equal(log_assign(&log, &offset, 1), WORLD_RECOVER);
    assert_int_equal(log_abort(&log), WORLD_DONE);
    log_close(&log);
}

static void a_second_producer_of_the_id_fences_the_first(void **state)
{
    NEEDS_KAFKA();
    struct log old = open_log(), new = open_log();
    new_producer(&old);
    assert_int_equal(log_begin(&old), WORLD_DONE);
    produce(&old, out_name, 0, "zombie");
    new_producer(&new);
    int64_t offset = produce_committed(&new, out_name, 0, "alive");
    assert_int_equal(log_commit(&old), WORLD_REPLACE);
    new_producer(&old); /* which now fences the other */
    produce_committed(&old, out_name, 0, "back");
    assert_string_equal(read_all(&old, out_name, 0, offset), "alive back ");
    log_close(&new);
    log_close(&old);
}

static void a_dead_owner_is_fenced_by_his_id(void **state)
{
    NEEDS_KAFKA();
    struct log dead = open_log();
    new_producer(&dead);
    int64_t offset = produce_committed(&dead, out_name, 1, "done");
    assert_int_equal(log_begin(&dead), WORLD_DONE);
    produce(&dead, out_name, 1, "open");
    char other[80];
    snprintf(other, sizeof(other), "%s-other", group_name);
    const char *id = config.transactional_id;
    config.transactional_id = other;
    struct log log = open_log();
    enum world world;
    do
        world = log_fence(&log, span_of(id), WAIT_MS);
    while (world == WORLD_AGAIN);
    assert_int_equal(world, WORLD_DONE);
    assert_string_equal(read_all(&log, out_name, 1, offset), "done "); /* nothing hangs behind the open one */
    config.transactional_id = id;
    assert_int_equal(log_commit(&dead), WORLD_REPLACE);
    log_close(&log);
    log_close(&dead);
}

static void an_offset_that_is_gone_is_told(void **state)
{
    NEEDS_KAFKA();
    struct log log = open_log();
    struct log_event event;
    assert_int_equal(log_reader_open(&log, out_name, 0, 1000000), WORLD_DONE);
    do
        assert_int_equal(log_reader_next(&log, WAIT_MS, &event), WORLD_DONE);
    while (event.happening == LOG_NOTHING);
    assert_int_equal(event.happening, LOG_BROKEN);
    log_reader_close(&log);
    log_close(&log);
}

static void records_can_be_deleted(void **state)
{
    NEEDS_KAFKA();
    struct log log = open_log();
    new_producer(&log);
    int64_t last = 0, low, high;
    for (int i = 0; i < 3; i++)
        last = produce_committed(&log, in_name, 1, "x");
    assert_int_equal(log_delete_records(&log, in_name, 1, last), WORLD_DONE);
    assert_int_equal(log_watermarks(&log, in_name, 1, &low, &high), WORLD_DONE);
    assert_true(low == last && high >= last + 1);
    log_close(&log);
}

static void topics_are_counted(void **state)
{
    NEEDS_KAFKA();
    struct log log = open_log();
    int32_t count = -1;
    struct span id;
    assert_int_equal(log_partition_count(&log, in_name, &count), WORLD_DONE);
    assert_int_equal(count, PARTITIONS);
    assert_int_equal(log_partition_count(&log, "no-such-topic", &count), WORLD_DONE);
    assert_int_equal(count, 0);
    assert_int_equal(log_cluster_id(&log, &arena, &id), WORLD_DONE);
    assert_int_equal(id.size, 22);
    log_close(&log);
}

static void without_a_broker_calls_say_again(void **state)
{
    (void)state;
    struct config nowhere;
    struct buffer errors = {0};
    setenv("ORIORI_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1", 1);
    CHECK(config_load(&nowhere, NULL, &errors));
    nowhere.timeout_request_ms = 300;
    struct log log = {0};
    assert_int_equal(log_kafka_open(&nowhere, (const char *[]){"t"}, 1, &log, &errors), WORLD_DONE);
    int32_t count;
    assert_int_equal(log_partition_count(&log, "t", &count), WORLD_AGAIN);
    assert_non_null(strstr(log_error_text(&log), "refused"));
    assert_int_equal(log_producer_new(&log, 300), WORLD_AGAIN);
    assert_int_equal(log_producer_new(&log, 300), WORLD_AGAIN);
    log_close(&log);
    config_release(&nowhere);
}

static void without_servers_the_config_is_refused(void **state)
{
    (void)state;
    struct config empty;
    struct buffer errors = {0};
    unsetenv("ORIORI_KAFKA_BOOTSTRAP_SERVERS");
    CHECK(config_load(&empty, NULL, &errors));
    struct log log = {0};
    assert_int_equal(log_kafka_open(&empty, (const char *[]){"t"}, 1, &log, &errors), WORLD_STOP);
    assert_string_equal(errors.data, "the config names no Kafka: set kafka.bootstrap.servers");
    buffer_release(&errors);
    config_release(&empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transaction_moves_records_and_offsets),
        cmocka_unit_test(an_aborted_transaction_is_never_seen),
        cmocka_unit_test(without_a_membership_no_offset_is_sent),
        cmocka_unit_test(a_second_producer_of_the_id_fences_the_first),
        cmocka_unit_test(a_dead_owner_is_fenced_by_his_id),
        cmocka_unit_test(an_offset_that_is_gone_is_told),
        cmocka_unit_test(records_can_be_deleted),
        cmocka_unit_test(topics_are_counted),
        cmocka_unit_test(without_a_broker_calls_say_again),
        cmocka_unit_test(without_servers_the_config_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
