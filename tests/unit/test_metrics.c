/* What /metrics shows: the format, and that the figures are those of what happened. The real scrape with promtool is in
 * the suite `kafka`. */
#include "common/base/exposition.h"
#include "common/flow/metrics.h"
#include "common/io/kafka_stats.h"
#include "common/io/process_stats.h"
#include "common/io/store_metered.h"
#include "tests/sim/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

/* The sample's value; the whole name with its labels must stand at the line's beginning. */
static double sample(const struct buffer *text, const char *name)
{
    char line[256];
    snprintf(line, sizeof(line), "\n%s ", name);
    const char *at = strstr(text->data, line);
    if (!at)
        fail_msg("no sample %s", name);
    return strtod(at + strlen(line), NULL);
}

/* The sum over all samples of that metric, whatever their labels. */
static double sum(const struct buffer *text, const char *name)
{
    double total = 0;
    char head[128];
    int size = snprintf(head, sizeof(head), "\n%s{", name);
    for (const char *at = text->data; (at = strstr(at, head)); at += size)
        total += strtod(strstr(at, "} ") + 2, NULL);
    return total;
}

static void test_a_histogram_is_cumulative_and_ends_with_infinity(void **state)
{
    (void)state;
    struct histogram histogram = {0};
    struct buffer text = {0};
    static const double seconds[] = {-1, 0.0001, 0.0002, 0.5, 0.500001, 3600, 3601};
    for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++)
        histogram_observe(&histogram, seconds[i]);
    exposition_head(&text, EXPOSITION_HISTOGRAM, "x_seconds", "Help.");
    exposition_buckets(&text, "x_seconds", "call=\"a\"", &histogram);
    assert_int_equal(0, strncmp(text.data, "# HELP oriori_x_seconds Help.\n# TYPE oriori_x_seconds histogram\n", 64));
    assert_int_equal(2, sample(&text, "oriori_x_seconds_bucket{call=\"a\",le=\"0.0001\"}"));
    assert_int_equal(4, sample(&text, "oriori_x_seconds_bucket{call=\"a\",le=\"0.5\"}"));
    assert_int_equal(5, sample(&text, "oriori_x_seconds_bucket{call=\"a\",le=\"1\"}"));
    assert_int_equal(6, sample(&text, "oriori_x_seconds_bucket{call=\"a\",le=\"3600\"}"));
    assert_int_equal(7, sample(&text, "oriori_x_seconds_bucket{call=\"a\",le=\"+Inf\"}"));
    assert_int_equal(7, sample(&text, "oriori_x_seconds_count{call=\"a\"}"));
    assert_int_equal(7, histogram_count(&histogram));
    assert_true(sample(&text, "oriori_x_seconds_sum{call=\"a\"}") > 7202);
    buffer_release(&text);
}

static void test_label_values_are_escaped(void **state)
{
    (void)state;
    struct buffer labels = {0};
    exposition_label(&labels, "a", SPAN("x\"y\\z\nw"));
    exposition_label(&labels, "b", SPAN("1"));
    assert_string_equal("a=\"x\\\"y\\\\z\\nw\",b=\"1\"", labels.data);
    buffer_release(&labels);
}

/* One worker with the shop's own engine. */
static void begin(struct sim_world *world)
{
    struct sim_config config = {.seed = 5, .worker_count = 1, .real = true};
    sim_world_init(world, &config);
}

/* One worker through a whole history: the figures by topic, reason and rule add up to the plain ones. */
static void test_the_figures_add_up(void **state)
{
    (void)state;
    struct sim_world world;
    struct buffer text = {0};
    begin(&world);
    for (int i = 0; i < 200; i++)
        sim_world_event(&world);
    assert_true(sim_world_run(&world, 3000));
    sim_world_jump(&world, 20 * DAY_MS); /* timers fall due */
    assert_true(sim_world_run(&world, 3000));
    const struct worker *worker = &world.workers[0].worker;
    const struct flow_counts *counts = &worker->counts;
    metrics_write(worker, "1.2.3", world.script.wall_ms, &text);
    double verdicts = 0;
    for (int i = 0; i <= VERDICT_DEAD; i++)
        verdicts += (double)counts->verdicts[i];
    assert_true(verdicts > 100 && counts->actions > 0 && counts->dead_letters > 0 && counts->timer_visits > 0);
    assert_int_equal(verdicts, sum(&text, "oriori_events_total"));
    assert_int_equal(counts->dead_letters, sum(&text, "oriori_dead_letters_by_reason_total"));
    assert_int_equal(counts->transitions, sum(&text, "oriori_moves_total"));
    assert_int_equal(counts->actions, sum(&text, "oriori_rule_actions_total"));
    assert_int_equal(counts->decisions, sum(&text, "oriori_rule_decisions_total"));
    assert_int_equal(counts->transactions, sample(&text, "oriori_transaction_seconds_count"));
    assert_int_equal(counts->transactions, sample(&text, "oriori_batch_seconds_count"));
    assert_int_equal(counts->recoveries, sample(&text, "oriori_recovery_seconds_count"));
    assert_true(sample(&text, "oriori_timer_lateness_seconds_count") > 0);
    assert_int_equal(1, sample(&text, "oriori_rebalances_total"));
    assert_true(sample(&text, "oriori_off_home_ratio") > 0);
    assert_non_null(strstr(text.data, "oriori_build_info{version=\"1.2.3\",playbook=\""));
    assert_null(strstr(text.data, "rule=\"other\""));
    buffer_release(&text);
    sim_world_release(&world);
}

static size_t samples_of(const struct worker *worker, struct buffer *text, const char *name)
{
    size_t count = 0;
    buffer_reset(text);
    metrics_write(worker, "1", 0, text);
    for (const char *at = text->data; (at = strstr(at, name)) != NULL; at += strlen(name))
        count += at > text->data && at[-1] == '\n';
    return count;
}

static int64_t end_heard(void *context, int topic, int32_t partition)
{
    (void)context, (void)topic, (void)partition;
    return 1000;
}

/* What nobody has heard yet is not 0: not before the group has answered, not before a partition's end is known. */
static void test_a_lag_that_is_not_known_is_not_shown(void **state)
{
    (void)state;
    struct sim_world world;
    struct buffer text = {0};
    begin(&world);
    struct worker *worker = &world.workers[0].worker;
    for (int i = 0; i < 50; i++)
        sim_world_event(&world);
    assert_true(sim_world_run(&world, 3000));
    assert_int_equal(samples_of(worker, &text, "oriori_lag_records{"), TOPIC_COUNT + 1);
    assert_int_equal(sum(&text, "oriori_lag_records"), 0);
    worker->assigned = false; /* as before the group has answered */
    assert_int_equal(samples_of(worker, &text, "oriori_lag_records{"), 0);
    worker->assigned = true;
    size_t source = 0;
    while (worker->sources[source].topic != TOPIC_ORDERS)
        source++;
    worker->sources[source].at_end = false; /* as after an assignment */
    assert_int_equal(samples_of(worker, &text, "oriori_lag_records{"), TOPIC_COUNT);
    assert_int_equal(samples_of(worker, &text, "oriori_lag_seconds{"), TOPIC_COUNT);
    struct log *log = worker->log, heard = *log;
    struct log_calls calls = *log->calls;
    calls.end = end_heard;
    heard.calls = &calls;
    worker->log = &heard;
    assert_int_equal(samples_of(worker, &text, "oriori_lag_records{"), TOPIC_COUNT + 1);
    assert_int_equal(sample(&text, "oriori_lag_records{topic=\"orders\"}"), 1000 - worker->sources[source].next);
    worker->log = log;
    buffer_release(&text);
    sim_world_release(&world);
}

/* While an activation spreads each shard says which playbook it runs, and the file is not in force until all run it. */
static void test_shards_say_which_playbook_they_run(void **state)
{
    (void)state;
    struct sim_world world;
    struct buffer text = {0};
    begin(&world);
    assert_true(sim_world_run(&world, 3000));
    struct worker *worker = &world.workers[0].worker;
    char name[PLAYBOOK_SHORT_SIZE], line[128];
    metrics_write(worker, "1.2.3", world.script.wall_ms, &text);
    assert_int_equal(1, sample(&text, "oriori_playbook_file_in_force"));
    assert_int_equal(worker->config.shard_count, sum(&text, "oriori_playbook_info"));
    snprintf(line, sizeof(line), "oriori_playbook_info{shard=\"1\",hash=\"%s\"}",
             playbook_short(worker->config.world->playbook->hash, name));
    assert_int_equal(1, sample(&text, line));
    memset(worker->shards[1].control.playbook_hash, 0xab, sizeof(worker->shards[1].control.playbook_hash));
    buffer_reset(&text);
    metrics_write(worker, "1.2.3", world.script.wall_ms, &text);
    assert_int_equal(0, sample(&text, "oriori_playbook_file_in_force"));
    assert_int_equal(1, sample(&text, "oriori_playbook_info{shard=\"1\",hash=\"abababababab\"}"));
    assert_int_equal(worker->config.shard_count, sum(&text, "oriori_playbook_info"));
    memset(worker->file_hash, 0xab, sizeof(worker->file_hash)); /* the others are on their way */
    buffer_reset(&text);
    metrics_write(worker, "1.2.3", world.script.wall_ms, &text);
    assert_int_equal(0, sample(&text, "oriori_playbook_file_in_force"));
    buffer_release(&text);
    sim_world_release(&world);
}

/* As each shard knows it. */
static void test_shards_say_what_is_paused(void **state)
{
    (void)state;
    struct sim_world world;
    struct buffer text = {0};
    begin(&world);
    assert_true(sim_world_run(&world, 3000));
    struct worker *worker = &world.workers[0].worker;
    metrics_write(worker, "1.2.3", world.script.wall_ms, &text);
    assert_int_equal(0, sum(&text, "oriori_paused_marketing"));
    assert_int_equal(0, sum(&text, "oriori_paused_rules"));
    assert_int_equal(0, sample(&text, "oriori_actions_shadow"));
    worker->shards[1].control.pause_marketing = true;
    worker->shards[1].control.rule_count = 2;
    worker->config.actions_shadow = true;
    buffer_reset(&text);
    metrics_write(worker, "1.2.3", world.script.wall_ms, &text);
    assert_int_equal(0, sample(&text, "oriori_paused_marketing{shard=\"0\"}"));
    assert_int_equal(1, sample(&text, "oriori_paused_marketing{shard=\"1\"}"));
    assert_int_equal(2, sample(&text, "oriori_paused_rules{shard=\"1\"}"));
    assert_int_equal(2, sum(&text, "oriori_paused_rules"));
    assert_int_equal(1, sample(&text, "oriori_actions_shadow"));
    worker->shards[1].control.rule_count = 0; /* which are not there */
    buffer_release(&text);
    sim_world_release(&world);
}

/* The names that every dashboard knows, with figures that can be true. */
static void test_the_process_speaks_of_itself(void **state)
{
    (void)state;
    struct buffer text = {0};
    struct timespec now;
    process_stats_write(&text);
    double started = sample(&text, "process_start_time_seconds"), open = sample(&text, "process_open_fds");
    clock_gettime(CLOCK_REALTIME, &now);
    assert_true(started > (double)now.tv_sec - 3600 && started < (double)now.tv_sec + 5);
    assert_true(sample(&text, "process_resident_memory_bytes") > 256 * 1024);
    assert_true(sample(&text, "process_cpu_seconds_total") >= 0);
    assert_true(open >= 3 && open <= sample(&text, "process_max_fds"));
    FILE *one_more = fopen("/dev/null", "r");
    buffer_reset(&text);
    process_stats_write(&text);
    fclose(one_more);
    assert_int_equal(open + 1, sample(&text, "process_open_fds"));
    assert_true(started == sample(&text, "process_start_time_seconds"));
    buffer_release(&text);
}

/* Rules come from people: more of them than there is room for are one, and no name breaks a line. */
static void test_rules_are_bounded(void **state)
{
    (void)state;
    struct flow_measures measures = {0};
    struct buffer text = {0};
    for (int i = 0; i < MEASURE_RULES + 10; i++) {
        char name[16];
        snprintf(name, sizeof(name), "rule%d", i);
        struct record record = {.type = RECORD_DECISION};
        record.decision.rule = span_of(name);
        record.decision.outcome = OUTCOME_SENT;
        measure_record(&measures, &record);
        measure_record(&measures, &record);
    }
    metrics_write_rules(&measures, &text);
    assert_int_equal(2, sample(&text, "oriori_rule_decisions_total{rule=\"rule0\",outcome=\"sent\"}"));
    assert_int_equal(20, sample(&text, "oriori_rule_decisions_total{rule=\"other\",outcome=\"sent\"}"));
    assert_int_equal(2 * (MEASURE_RULES + 10), sum(&text, "oriori_rule_decisions_total"));
    measure_release(&measures);
    buffer_release(&text);
}

static void test_librdkafkas_statistics(void **state)
{
    (void)state;
    struct buffer text = {0};
    struct kafka_stats stats = {0}, none = {0};
    struct span json =
        SPAN("{\"tx\":7,\"tx_bytes\":70,\"rx_bytes\":900,\"txmsgs\":0,\"rxmsgs\":5,\"msg_cnt\":0,\"msg_size\":0,"
             "\"brokers\":{"
             "\"b:1/bootstrap\":{\"nodeid\":-1,\"state\":\"UP\",\"txerrs\":50,\"rtt\":{\"p99\":99999999}},"
             "\"b:1/1\":{\"nodeid\":1,\"state\":\"UP\",\"txerrs\":1,\"rxerrs\":2,\"req_timeouts\":3,\"connects\":4,"
             "\"disconnects\":5,\"rtt\":{\"p99\":2500}},"
             "\"b:2/2\":{\"nodeid\":2,\"state\":\"TRY_CONNECT\",\"txerrs\":10,\"rtt\":{\"p99\":1000}}},"
             "\"topics\":{\"t\":{\"partitions\":{\"0\":{\"fetchq_cnt\":3,\"fetchq_size\":30},\"-1\":{}}}}}");
    assert_true(kafka_stats_read(json, &stats));
    assert_false(kafka_stats_read(SPAN("{}"), &stats));
    assert_false(kafka_stats_read(SPAN("[1"), &stats));
    kafka_stats_write(&stats, &none, &text);
    assert_int_equal(7, sample(&text, "oriori_kafka_requests_total{client=\"consumer\"}"));
    assert_int_equal(0, sample(&text, "oriori_kafka_requests_total{client=\"producer\"}"));
    assert_int_equal(13, sample(&text, "oriori_kafka_request_errors_total{client=\"consumer\"}"));
    assert_int_equal(1, sample(&text, "oriori_kafka_brokers_up{client=\"consumer\"}"));
    assert_int_equal(3, sample(&text, "oriori_kafka_queued_messages{client=\"consumer\"}"));
    assert_true(sample(&text, "oriori_kafka_round_trip_p99_seconds{client=\"consumer\"}") == 0.0025);
    buffer_release(&text);
}

static enum world check_fails(void *context)
{
    (void)context;
    return WORLD_RECOVER;
}

static void nothing(void *context)
{
    ++*(int *)context;
}

static void test_a_metered_store_counts_and_passes_on(void **state)
{
    (void)state;
    static const struct store_calls calls = {.check = check_fails, .close = nothing};
    int closed = 0;
    struct store store = {&calls, &closed};
    struct buffer text = {0};
    store_metered_open(&store);
    assert_int_equal(WORLD_RECOVER, store_check(&store));
    assert_int_equal(WORLD_RECOVER, store_check(&store));
    store_metered_write(&store, &text);
    assert_int_equal(2, sample(&text, "oriori_redis_errors_total{call=\"check\"}"));
    assert_int_equal(2, sample(&text, "oriori_redis_call_seconds_count{call=\"check\"}"));
    assert_int_equal(2, sum(&text, "oriori_redis_errors_total"));
    store_close(&store);
    assert_int_equal(1, closed);
    buffer_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_histogram_is_cumulative_and_ends_with_infinity),
        cmocka_unit_test(test_label_values_are_escaped),
        cmocka_unit_test(test_the_figures_add_up),
        cmocka_unit_test(test_a_lag_that_is_not_known_is_not_shown),
        cmocka_unit_test(test_shards_say_which_playbook_they_run),
        cmocka_unit_test(test_shards_say_what_is_paused),
        cmocka_unit_test(test_the_process_speaks_of_itself),
        cmocka_unit_test(test_rules_are_bounded),
        cmocka_unit_test(test_librdkafkas_statistics),
        cmocka_unit_test(test_a_metered_store_counts_and_passes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
