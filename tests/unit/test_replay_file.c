/* An exported run replays equal; anything changed in it is seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/base64.h"
#include "common/flow/replay_file.h"
#include "tests/sim/world.h"

#include <stdlib.h>

static const struct replay_reader nobody;

static void line_add(struct buffer *text, const char *topic, const struct log_record *record)
{
    buffer_format(text, "{\"topic\":\"%s\",\"partition\":%d,\"offset\":%lld,\"timestamp\":%lld,\"key\":\"", topic,
                  (int)record->partition, (long long)record->offset, (long long)record->timestamp);
    base64_add(text, record->key);
    buffer_add_text(text, "\",\"value\":\"");
    base64_add(text, record->value);
    buffer_add_text(text, "\",\"headers\":[]}\n");
}

/* Leaves out the skip-th record of one topic (from 0; -1 = none). */
static void export(const struct sim_world *world, const char *skip_topic, long skip, struct buffer *text)
{
    const struct flow_config *flow = &world->flow;
    const char *topics[] = {flow->inputs[0],         flow->inputs[1],     flow->inputs[2],      flow->inputs[3],
                            flow->inputs[4],         flow->forward_topic, flow->state_topic,    flow->steps_topic,
                            flow->transitions_topic, flow->actions_topic, flow->decisions_topic};
    struct log_record record;
    for (size_t t = 0; t < sizeof(topics) / sizeof(topics[0]); t++)
        for (int32_t p = 0; p < memory_cluster_partition_count(world->cluster, topics[t]); p++)
            for (int64_t offset = 0; memory_cluster_read(world->cluster, topics[t], p, true, &offset, &record);)
                if (!skip_topic || strcmp(topics[t], skip_topic) != 0 || skip-- != 0)
                    line_add(text, topics[t], &record);
}

static void run_world(struct sim_world *world)
{
    struct sim_config config = {.seed = 5, .worker_count = 2, .marker_lag_max = 3};
    sim_world_init(world, &config);
    for (int i = 0; i < 120; i++)
        sim_world_event(world);
    assert_true(sim_world_run(world, 3000));
}

static enum replay_outcome replay(const struct sim_world *world, const char *skip_topic, long skip,
                                  struct replay_report *report)
{
    struct buffer text = {0};
    export(world, skip_topic, skip, &text);
    FILE *in = fmemopen(text.data, text.size, "r");
    enum replay_outcome outcome = replay_file_run(in, &world->flow, &nobody, report);
    fclose(in);
    buffer_release(&text);
    return outcome;
}

static void an_exported_run_replays_equal(void **state)
{
    struct sim_world world;
    struct replay_report report;
    (void)state;
    run_world(&world);
    enum replay_outcome outcome = replay(&world, NULL, -1, &report);
    if (outcome != REPLAY_EQUAL)
        fail_msg("%s", report.text);
    assert_true(report.steps > 10 && report.actions > 100 && report.transitions > 80 && report.states > 20);
    sim_world_release(&world);
}

static void a_compacted_changelog_replays_equal(void **state)
{
    struct sim_world world;
    struct replay_report report;
    (void)state;
    run_world(&world);
    memory_cluster_compact(world.cluster, world.flow.state_topic);
    enum replay_outcome outcome = replay(&world, NULL, -1, &report);
    if (outcome != REPLAY_EQUAL)
        fail_msg("%s", report.text);
    sim_world_release(&world);
}

static void what_is_missing_is_seen(void **state)
{
    struct sim_world world;
    struct replay_report report;
    (void)state;
    run_world(&world);
    const char *topics[] = {"actions", "transitions", "steps"}; /* an input without effect may miss unseen */
    for (size_t t = 0; t < sizeof(topics) / sizeof(topics[0]); t++)
        for (long skip = 0; skip < 10; skip++)
            if (replay(&world, topics[t], skip, &report) != REPLAY_DIFFERS)
                fail_msg("record %ld of %s is missing, and the replay is content", skip, topics[t]);
    sim_world_release(&world);
}

static void a_file_that_is_no_export_is_refused(void **state)
{
    struct sim_world world;
    struct replay_report report;
    char text[] = "{\"topic\":\"orders\",\"partition\":0,\"offset\":0,\"timestamp\":1,\"key\":\"?\",\"value\":\"\"}\n";
    (void)state;
    run_world(&world);
    FILE *in = fmemopen(text, sizeof(text) - 1, "r");
    assert_int_equal(replay_file_run(in, &world.flow, &nobody, &report), REPLAY_UNREADABLE);
    assert_string_equal(report.text, "line 1 is no line of an export");
    fclose(in);
    sim_world_release(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exported_run_replays_equal),
        cmocka_unit_test(a_compacted_changelog_replays_equal),
        cmocka_unit_test(what_is_missing_is_seen),
        cmocka_unit_test(a_file_that_is_no_export_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
