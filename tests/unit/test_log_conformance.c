/* Is the in-memory Kafka, on which the simulation stands, like the real one? The same scripted scenarios run on both
 * through the log seam and write down what each call says; the two texts must be equal to the one expected. The real
 * one only where ORIORI_TEST_KAFKA names its bootstrap servers (tests/commands/run does), else that half is skipped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/buffer.h"
#include "common/base/check.h"
#include "common/io/clock_scripted.h"
#include "common/io/kafka_client.h"
#include "common/io/log_kafka.h"
#include "common/io/log_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { TRIES_MAX = 400, STEP_MS = 100, HANDLES_MAX = 4 };

/* One Kafka of either kind, with topics and names of this scenario alone. */
struct stand {
    bool real;
    struct config base;
    struct config configs[HANDLES_MAX]; /* real: one per handle, for its transactional id */
    size_t handle_count;
    struct clock_scripted script;
    struct clock clock;
    struct memory_cluster *cluster;
    struct log logs[HANDLES_MAX];
    struct arena arena;
    char group[64], in_name[80], out_name[80], ids[HANDLES_MAX][80];
    const char *topics[1];
    struct buffer text;
};

static void topics_create_real(struct stand *stand)
{
    struct kafka_trouble trouble = {0};
    struct buffer error = {0};
    enum world world;
    rd_kafka_t *admin = kafka_new_admin(&stand->base, &trouble, &error);
    CHECK(admin);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(admin);
    rd_kafka_NewTopic_t *list[] = {rd_kafka_NewTopic_new(stand->in_name, 1, 1, NULL, 0),
                                   rd_kafka_NewTopic_new(stand->out_name, 1, 1, NULL, 0)};
    rd_kafka_CreateTopics(admin, list, 2, NULL, queue);
    rd_kafka_event_t *event = kafka_admin_wait(queue, 30000, &error, &world);
    CHECK(event);
    rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy_array(list, 2);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(admin);
}

static void stand_open(struct stand *stand, const char *scenario, bool real)
{
    struct buffer errors = {0};
    *stand = (struct stand){.real = real};
    arena_init(&stand->arena, 0);
    snprintf(stand->group, sizeof(stand->group), "like-%d-%s", getpid(), scenario);
    snprintf(stand->in_name, sizeof(stand->in_name), "%s-in", stand->group);
    snprintf(stand->out_name, sizeof(stand->out_name), "%s-out", stand->group);
    stand->topics[0] = stand->in_name;
    if (real) {
        setenv("ORIORI_KAFKA_BOOTSTRAP_SERVERS", getenv("ORIORI_TEST_KAFKA"), 1);
        CHECK(config_load(&stand->base, NULL, &errors));
        stand->base.group_id = stand->group;
        stand->base.timeout_transaction_ms = 10000;
        topics_create_real(stand);
        return;
    }
    stand->script = (struct clock_scripted){1700000000000, 0};
    stand->clock = clock_scripted_open(&stand->script);
    stand->cluster = memory_cluster_new(&(struct memory_cluster_config){
        .cluster_id = "like", .clock = &stand->clock, .session_timeout_ms = 60000, .transaction_timeout_ms = 10000});
    memory_cluster_topic_add(stand->cluster, stand->in_name, 1);
    memory_cluster_topic_add(stand->cluster, stand->out_name, 1);
}

static void stand_close(struct stand *stand)
{
    for (size_t i = 0; i < stand->handle_count; i++)
        log_close(&stand->logs[i]);
    if (stand->real)
        config_release(&stand->base);
    else
        memory_cluster_free(stand->cluster);
    arena_release(&stand->arena);
    buffer_release(&stand->text);
}

/* Another process of the same group; the same `id` twice is the same transactional id. */
static struct log *another(struct stand *stand, const char *id)
{
    size_t i = stand->handle_count++;
    struct buffer error = {0};
    CHECK(i < HANDLES_MAX);
    snprintf(stand->ids[i], sizeof(stand->ids[i]), "%s-%s", stand->group, id);
    if (stand->real) {
        stand->configs[i] = stand->base;
        stand->configs[i].transactional_id = stand->ids[i];
        assert_int_equal(log_kafka_open(&stand->configs[i], stand->topics, 1, &stand->logs[i], &error), WORLD_DONE);
    } else {
        stand->logs[i] =
            log_memory_open(stand->cluster, &(struct log_memory_config){stand->group, stand->ids[i], stand->topics, 1});
    }
    return &stand->logs[i];
}

static void pass_time(struct stand *stand)
{
    if (stand->real)
        nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000000L}, NULL);
    else
        clock_scripted_move(&stand->script, STEP_MS);
}

/* ---- steps, each a line of the text ---- */

static void tell(struct stand *stand, const char *what, enum world outcome)
{
    static const char *const outcomes[] = {"done", "again", "recover", "replace", "stop"};
    buffer_format(&stand->text, "%s: %s\n", what, outcomes[outcome]);
}

/* AGAIN is a matter of time: the same call is made until it says something else. */
#define UNTIL(stand, outcome, call)                                                                                    \
    do {                                                                                                               \
        outcome = call;                                                                                                \
        for (int tries = 0; outcome == WORLD_AGAIN && tries < TRIES_MAX; tries++) {                                    \
            pass_time(stand);                                                                                          \
            outcome = call;                                                                                            \
        }                                                                                                              \
    } while (0)

static void producer_new(struct stand *stand, struct log *log, const char *who)
{
    enum world outcome;
    UNTIL(stand, outcome, log_producer_new(log, 5000));
    tell(stand, who, outcome);
}

static void begin(struct stand *stand, struct log *log)
{
    enum world outcome;
    UNTIL(stand, outcome, log_begin(log));
    tell(stand, "begin", outcome);
}

static void produce(struct stand *stand, struct log *log, const char *value)
{
    struct log_message message = {.topic = stand->out_name, .key = SPAN("k"), .value = span_of(value)};
    tell(stand, value, log_produce(log, &message, NULL));
}

static int64_t wait_high(struct stand *stand, struct log *log, int64_t wanted)
{
    int64_t low, high = -1;
    for (int tries = 0; high != wanted && tries < TRIES_MAX; tries++) {
        if (log_watermarks(log, stand->out_name, 0, &low, &high) != WORLD_DONE || high != wanted)
            pass_time(stand);
    }
    return high;
}

/* A client queues what is produced: until the broker has so many records of `out`. */
static void until_high(struct stand *stand, struct log *log, int64_t wanted)
{
    buffer_format(&stand->text, "high %lld\n", (long long)wait_high(stand, log, wanted));
}

/* What a read-committed reader sees from the start, and where it ends. A commit is answered before its markers are
 * written: only when the partition has `high` records and markers is everything there. */
static void read_out(struct stand *stand, struct log *log, int64_t high)
{
    struct log_event event = {0};
    wait_high(stand, log, high);
    assert_int_equal(log_reader_open(log, stand->out_name, 0, 0), WORLD_DONE);
    buffer_add_text(&stand->text, "read");
    for (int tries = 0; event.happening != LOG_END && tries < TRIES_MAX; tries++) {
        assert_int_equal(log_reader_next(log, 5000, &event), WORLD_DONE);
        if (event.happening == LOG_RECORD)
            buffer_format(&stand->text, " %lld=%.*s", (long long)event.record.offset, (int)event.record.value.size,
                          event.record.value.data);
    }
    buffer_format(&stand->text, " end %lld\n", (long long)event.offset);
    log_reader_close(log);
}

static void until_event(struct stand *stand, struct log *log, struct log *other, enum log_happening wanted)
{
    struct log_event event = {0}, passed_over;
    for (int tries = 0; event.happening != wanted && tries < TRIES_MAX; tries++) {
        assert_int_equal(log_poll(log, 50, &event), WORLD_DONE);
        if (other && event.happening != wanted)
            assert_int_equal(log_poll(other, 50, &passed_over), WORLD_DONE);
    }
    buffer_format(&stand->text, "%s\n",
                  event.happening != wanted ? "it did not happen"
                  : wanted == LOG_ASSIGNED  ? "assigned"
                                            : "revoked");
}

static void send_offsets(struct stand *stand, struct log *log, int64_t offset, const char *metadata)
{
    struct log_offset item = {0, 0, offset, span_of(metadata)};
    enum world outcome;
    UNTIL(stand, outcome, log_send_offsets(log, &item, 1));
    tell(stand, "send_offsets", outcome);
}

static void committed(struct stand *stand, struct log *log, bool patient)
{
    struct log_offset item = {.topic = 0, .partition = 0};
    enum world outcome = log_committed(log, &item, 1, 1000, &stand->arena);
    if (patient)
        UNTIL(stand, outcome, log_committed(log, &item, 1, 1000, &stand->arena));
    tell(stand, "committed", outcome);
    if (outcome == WORLD_DONE)
        buffer_format(&stand->text, "  %lld %.*s\n", (long long)item.offset, (int)item.metadata.size,
                      item.metadata.data ? item.metadata.data : "");
}

/* ---- the scenarios ---- */

struct scenario {
    const char *name;
    void (*run)(struct stand *stand);
    const char *expected;
};

static void aborted_reads(struct stand *stand)
{
    struct log *a = another(stand, "a");
    producer_new(stand, a, "producer a");
    begin(stand, a);
    produce(stand, a, "lost");
    until_high(stand, a, 1);
    tell(stand, "abort", log_abort(a));
    tell(stand, "abort, nothing open", log_abort(a));
    begin(stand, a);
    produce(stand, a, "kept");
    tell(stand, "commit", log_commit(a));
    read_out(stand, a, 4);
    until_high(stand, a, 4);
}

static void last_stable_offset(struct stand *stand)
{
    struct log *a = another(stand, "a"), *b = another(stand, "b");
    producer_new(stand, a, "producer a");
    producer_new(stand, b, "producer b");
    begin(stand, a);
    produce(stand, a, "open");
    until_high(stand, b, 1);
    begin(stand, b);
    produce(stand, b, "after");
    tell(stand, "commit b", log_commit(b));
    read_out(stand, b, 3);
    tell(stand, "commit a", log_commit(a));
    until_high(stand, b, 4);
    read_out(stand, b, 4);
}

static void fenced_by_id(struct stand *stand)
{
    struct log *a = another(stand, "a"), *b = another(stand, "b");
    enum world outcome;
    producer_new(stand, a, "producer a");
    begin(stand, a);
    produce(stand, a, "zombie");
    until_high(stand, b, 1);
    UNTIL(stand, outcome, log_fence(b, span_of(stand->ids[0]), 5000));
    tell(stand, "fence a", outcome);
    until_high(stand, b, 2);
    tell(stand, "commit a", log_commit(a));
    read_out(stand, b, 2);
    producer_new(stand, a, "producer a again");
    begin(stand, a);
    produce(stand, a, "back");
    tell(stand, "commit a", log_commit(a));
    read_out(stand, b, 4);
}

static void the_same_id_twice(struct stand *stand)
{
    struct log *old = another(stand, "a"), *new = another(stand, "a");
    producer_new(stand, old, "producer old");
    begin(stand, old);
    produce(stand, old, "zombie");
    until_high(stand, new, 1);
    producer_new(stand, new, "producer new");
    begin(stand, new);
    produce(stand, new, "alive");
    tell(stand, "commit new", log_commit(new));
    tell(stand, "commit old", log_commit(old));
    read_out(stand, new, 4);
}

static void pending_offsets(struct stand *stand)
{
    struct log *a = another(stand, "a");
    until_event(stand, a, NULL, LOG_ASSIGNED);
    committed(stand, a, true);
    producer_new(stand, a, "producer a");
    begin(stand, a);
    send_offsets(stand, a, 3, "seq=7");
    committed(stand, a, false);
    tell(stand, "commit", log_commit(a));
    committed(stand, a, true);
    begin(stand, a);
    send_offsets(stand, a, 9, "seq=8");
    tell(stand, "abort", log_abort(a));
    committed(stand, a, true);
}

static void stale_commit(struct stand *stand)
{
    struct log *a = another(stand, "a");
    until_event(stand, a, NULL, LOG_ASSIGNED);
    producer_new(stand, a, "producer a");
    begin(stand, a);
    produce(stand, a, "stale");
    until_high(stand, a, 1);
    struct log *b = another(stand, "b");
    until_event(stand, a, b, LOG_REVOKED);
    send_offsets(stand, a, 1, "seq=2");
    tell(stand, "abort", log_abort(a));
    until_event(stand, a, b, LOG_ASSIGNED);
    begin(stand, a);
    produce(stand, a, "fresh");
    send_offsets(stand, a, 1, "seq=2");
    tell(stand, "commit", log_commit(a));
    read_out(stand, a, 4);
    committed(stand, a, true);
}

static void transaction_timeout(struct stand *stand)
{
    struct log *a = another(stand, "a"), *b = another(stand, "b");
    producer_new(stand, a, "producer a");
    begin(stand, a);
    produce(stand, a, "slow");
    until_high(stand, b, 1);
    until_high(stand, b, 2); /* the abort's marker */
    tell(stand, "commit a", log_commit(a));
    read_out(stand, b, 2);
}

/* Retention, by DeleteRecords: what a reader before the beginning and one behind it see, and one whose offset was never
 * there. */
static void reader_meets(struct stand *stand, struct log *log, int64_t offset)
{
    static const char *const names[] = {"nothing", "a record", "the end", "assigned", "revoked", "it is broken"};
    struct log_event event = {0};
    assert_int_equal(log_reader_open(log, stand->out_name, 0, offset), WORLD_DONE);
    for (int tries = 0; event.happening == LOG_NOTHING && tries < TRIES_MAX; tries++)
        assert_int_equal(log_reader_next(log, 5000, &event), WORLD_DONE);
    buffer_format(&stand->text, "at %lld: %s\n", (long long)offset, names[event.happening]);
    log_reader_close(log);
}

static void expired_records(struct stand *stand)
{
    struct log *a = another(stand, "a");
    int64_t low = -1, high = -1;
    enum world outcome;
    producer_new(stand, a, "producer a");
    begin(stand, a);
    produce(stand, a, "one");
    produce(stand, a, "two");
    tell(stand, "commit", log_commit(a));
    until_high(stand, a, 3);
    UNTIL(stand, outcome, log_delete_records(a, stand->out_name, 0, 1));
    tell(stand, "delete before 1", outcome);
    UNTIL(stand, outcome, log_watermarks(a, stand->out_name, 0, &low, &high));
    buffer_format(&stand->text, "low %lld high %lld\n", (long long)low, (long long)high);
    reader_meets(stand, a, 0);
    reader_meets(stand, a, 1);
    reader_meets(stand, a, 3);
    reader_meets(stand, a, 4);
}

static const struct scenario scenarios[] = {
    {"aborted_reads", aborted_reads,
     "producer a: done\nbegin: done\nlost: done\nhigh 1\nabort: done\nabort, nothing open: done\n"
     "begin: done\nkept: done\ncommit: done\nread 2=kept end 4\nhigh 4\n"},
    {"last_stable_offset", last_stable_offset,
     "producer a: done\nproducer b: done\nbegin: done\nopen: done\nhigh 1\nbegin: done\nafter: done\n"
     "commit b: done\nread end 0\ncommit a: done\nhigh 4\nread 0=open 1=after end 4\n"},
    {"fenced_by_id", fenced_by_id,
     "producer a: done\nbegin: done\nzombie: done\nhigh 1\nfence a: done\nhigh 2\ncommit a: replace\n"
     "read end 2\nproducer a again: done\nbegin: done\nback: done\ncommit a: done\n"
     "read 2=back end 4\n"},
    {"the_same_id_twice", the_same_id_twice,
     "producer old: done\nbegin: done\nzombie: done\nhigh 1\nproducer new: done\nbegin: done\nalive: done\n"
     "commit new: done\ncommit old: replace\nread 2=alive end 4\n"},
    {"pending_offsets", pending_offsets,
     "assigned\ncommitted: done\n  -1 \nproducer a: done\nbegin: done\nsend_offsets: done\ncommitted: again\n"
     "commit: done\ncommitted: done\n  3 seq=7\nbegin: done\nsend_offsets: done\nabort: done\n"
     "committed: done\n  3 seq=7\n"},
    {"stale_commit", stale_commit,
     "assigned\nproducer a: done\nbegin: done\nstale: done\nhigh 1\nrevoked\nsend_offsets: recover\nabort: done\n"
     "assigned\nbegin: done\nfresh: done\nsend_offsets: done\ncommit: done\nread 2=fresh end 4\n"
     "committed: done\n  1 seq=2\n"},
    {"expired_records", expired_records,
     "producer a: done\nbegin: done\none: done\ntwo: done\ncommit: done\nhigh 3\ndelete before 1: done\nlow 1 high 3\n"
     "at 0: it is broken\nat 1: a record\nat 3: the end\nat 4: it is broken\n"},
    {"transaction_timeout", transaction_timeout,
     "producer a: done\nbegin: done\nslow: done\nhigh 1\nhigh 2\ncommit a: replace\nread end 2\n"},
};

static void all_on(bool real)
{
    for (size_t i = 0; i < COUNT_OF(scenarios); i++) {
        static struct stand stand;
        stand_open(&stand, scenarios[i].name, real);
        scenarios[i].run(&stand);
        buffer_add_char(&stand.text, '\0');
        if (strcmp(stand.text.data, scenarios[i].expected) != 0)
            fail_msg("%s on the %s Kafka says:\n%swanted:\n%s", scenarios[i].name, real ? "real" : "in-memory",
                     stand.text.data, scenarios[i].expected);
        stand_close(&stand);
    }
}

static void the_scripts_on_the_memory_kafka(void **state)
{
    (void)state;
    all_on(false);
}

static void the_scripts_on_the_real_kafka(void **state)
{
    (void)state;
    if (!getenv("ORIORI_TEST_KAFKA"))
        skip();
    all_on(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_scripts_on_the_memory_kafka),
        cmocka_unit_test(the_scripts_on_the_real_kafka),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
