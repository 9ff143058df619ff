/* What the flow does when the world is not as it was left: stops one shard loudly, or heals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/hash.h"
#include "common/flow/quarantine.h"
#include "tests/sim/toy_engine.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>

static void settle(struct sim_world *world)
{
    if (!sim_world_run(world, 3000))
        fail_msg("not settled: %s", world->workers[0].worker.trouble);
}

static void begin(struct sim_world *world, int events)
{
    struct sim_config config = {.seed = 11, .worker_count = 1, .stable_ids = true};
    config.trace = getenv("ORIORI_TEST_TRACE") ? stderr : NULL;
    sim_world_init(world, &config);
    for (int i = 0; i < events; i++)
        sim_world_event(world);
}

static void check(struct sim_world *world)
{
    char why[SIM_TEXT_SIZE];
    if (!sim_world_audit(world, why))
        fail_msg("%s", why);
}

static void turns(struct sim_world *world, int count)
{
    for (int i = 0; i < count; i++) {
        sim_worker_turn(world, 0);
        clock_scripted_move(&world->script, 200);
    }
}

static void restart(struct sim_world *world)
{
    sim_worker_end(world, 0);
    sim_worker_start(world, 0);
}

/* Shard `stopped` has stopped, for that reason; the others are ready and have consumed what came meanwhile. */
static void only_this_one_stopped(struct sim_world *world, int32_t stopped, const char *reason)
{
    for (int i = 0; i < 40; i++)
        sim_world_event(world);
    turns(world, 100);
    for (int32_t h = 0; h < SIM_SHARDS; h++) {
        const struct shard *shard = &world->workers[0].worker.shards[h];
        assert_int_equal(shard->phase, h == stopped ? SHARD_STOPPED : SHARD_READY);
        int64_t low, stable, high, offset;
        memory_cluster_watermarks(world->cluster, "forward", h, &low, &stable, &high);
        offset = memory_cluster_committed(world->cluster, SIM_GROUP, "forward", h, NULL);
        struct log_record record;
        bool behind =
            offset == LOG_OFFSET_NONE || memory_cluster_read(world->cluster, "forward", h, true, &offset, &record);
        assert_int_equal(behind, h == stopped);
    }
    if (!strstr(world->workers[0].worker.shards[stopped].trouble, reason))
        fail_msg("the shard says: %s", world->workers[0].worker.shards[stopped].trouble);
    assert_false(worker_ready(&world->workers[0].worker));
    assert_false(worker_ended(&world->workers[0].worker));
}

static void offsets_gone_stop_the_shard(void **state)
{
    struct sim_world world;
    (void)state;
    begin(&world, 60);
    settle(&world);
    memory_cluster_forget_committed(world.cluster, SIM_GROUP, "forward", 2);
    restart(&world);
    only_this_one_stopped(&world, 2, "has no committed offset but the shard was born");
    sim_world_release(&world);
}

/* With the view gone too, only the changelog still says that the shard was born: a second birth would forget everybody.
 */
static void offsets_and_view_gone_stop_the_shard(void **state)
{
    struct sim_world world;
    (void)state;
    begin(&world, 60);
    settle(&world);
    memory_cluster_forget_committed(world.cluster, SIM_GROUP, "forward", 2);
    memory_server_wipe(world.server);
    restart(&world);
    only_this_one_stopped(&world, 2, "has no committed offset but the shard was born");
    sim_world_release(&world);
}

/* Found by chaos: the offsets fell back by many steps while the store was empty. */
static void offsets_of_the_past_and_an_empty_view_stop_the_shard(void **state)
{
    const char *topics[] = {"forward", "orders", "deliveries", "surveys"};
    int64_t offsets[4];
    struct span metadata[4];
    struct sim_world world;
    struct arena arena;
    (void)state;
    begin(&world, 60);
    settle(&world);
    arena_init(&arena, 0);
    for (int i = 0; i < 4; i++) {
        offsets[i] = memory_cluster_committed(world.cluster, SIM_GROUP, topics[i], 2, &metadata[i]);
        metadata[i] = arena_copy(&arena, metadata[i]);
    }
    for (int i = 0; i < 60; i++)
        sim_world_event(&world);
    settle(&world);
    for (int i = 0; i < 4; i++)
        if (offsets[i] != LOG_OFFSET_NONE)
            memory_cluster_put_back(world.cluster, SIM_GROUP, topics[i], 2, offsets[i], metadata[i]);
    memory_server_wipe(world.server);
    restart(&world);
    only_this_one_stopped(&world, 2, "goes on after the committed seq");
    arena_release(&arena);
    sim_world_release(&world);
}

static void input_offset_gone_stops_the_shard(void **state)
{
    struct sim_world world;
    (void)state;
    begin(&world, 60);
    settle(&world);
    memory_cluster_forget_committed(world.cluster, SIM_GROUP, "deliveries", 1);
    restart(&world);
    only_this_one_stopped(&world, 1, "the committed offset of deliveries[1] is gone");
    sim_world_release(&world);
}

static void a_view_ahead_of_the_log_stops_the_shard(void **state)
{
    struct sim_world world;
    struct arena arena;
    struct store_meta before;
    (void)state;
    begin(&world, 60);
    settle(&world);
    struct store store = store_memory_open(world.server);
    arena_init(&arena, 0);
    memory_server_meta(world.server, 3, &before);
    struct store_apply apply = {.shard = 3, .epoch = arena_copy(&arena, before.epoch), .pos_expected = before.pos};
    apply.pos = before.pos + 1000000;
    apply.seq = before.seq;
    assert_int_equal(store_apply(&store, &apply, 1), WORLD_DONE);
    assert_true(apply.applied);
    restart(&world);
    only_this_one_stopped(&world, 3, "is ahead of crm.state[3]");
    arena_release(&arena);
    sim_world_release(&world);
}

static void lost_input_records_stop_the_shard(void **state)
{
    struct sim_world world;
    int64_t low, stable, high;
    (void)state;
    begin(&world, 60);
    settle(&world);
    sim_worker_end(&world, 0);
    for (int i = 0; i < 100; i++)
        sim_world_event(&world);
    memory_cluster_watermarks(world.cluster, "surveys", 0, &low, &stable, &high);
    assert_true(high > memory_cluster_committed(world.cluster, SIM_GROUP, "surveys", 0, NULL));
    const char *topics[] = {"surveys"};
    struct log tool = log_memory_open(world.cluster, &(struct log_memory_config){"tool", "tool", topics, 1});
    assert_int_equal(log_delete_records(&tool, "surveys", 0, high), WORLD_DONE); /* retention */
    log_close(&tool);
    sim_worker_start(&world, 0);
    only_this_one_stopped(&world, 0, "surveys[0]: the next offset");
    sim_world_release(&world);
}

static void another_worlds_store_is_refused(void **state)
{
    struct sim_world world;
    struct arena arena;
    struct store_meta before;
    (void)state;
    begin(&world, 5);
    struct store store = store_memory_open(world.server);
    arena_init(&arena, 0);
    for (int32_t h = 0; h < SIM_SHARDS; h++)
        assert_int_equal(store_take(&store, h, SPAN("e"), SPAN("o"), SPAN("other/4/elsewhere"), &arena, &before),
                         WORLD_DONE);
    sim_worker_start(&world, 0);
    turns(&world, 10);
    assert_true(worker_ended(&world.workers[0].worker));
    assert_non_null(strstr(world.workers[0].worker.trouble, "of another Kafka cluster or application"));
    arena_release(&arena);
    sim_world_release(&world);
}

static void an_evicting_store_is_refused(void **state)
{
    struct sim_world world;
    (void)state;
    begin(&world, 5);
    memory_server_set_evicting(world.server, true);
    sim_worker_start(&world, 0);
    turns(&world, 3);
    assert_true(worker_ended(&world.workers[0].worker));
    sim_world_release(&world);
}

static void another_shard_count_is_refused(void **state)
{
    struct sim_world world;
    (void)state;
    begin(&world, 5);
    world.flow.shard_count = 5;
    sim_worker_start(&world, 0);
    turns(&world, 3);
    assert_true(worker_ended(&world.workers[0].worker));
    assert_non_null(strstr(world.workers[0].worker.trouble, "4 partitions"));
    sim_world_release(&world);
}

static void a_wiped_store_is_rebuilt_from_the_changelog(void **state)
{
    struct sim_world world;
    (void)state;
    begin(&world, 100);
    settle(&world);
    uint64_t rebuilt = world.workers[0].worker.counts.rebuilt_states;
    memory_server_wipe(world.server);
    for (int i = 0; i < 60; i++)
        sim_world_event(&world);
    settle(&world);
    check(&world);
    assert_true(world.workers[0].worker.counts.rebuilt_states > rebuilt);
    sim_world_release(&world);
}

static void a_batch_too_large_is_taken_in_smaller_ones(void **state)
{
    struct sim_world world;
    (void)state;
    begin(&world, 300);
    world.flow.batch_records_max = 1000;
    world.flow.arena_limit = 60000;
    settle(&world);
    check(&world);
    assert_true(world.workers[0].worker.counts.rewinds > 0);
    sim_world_release(&world);
}

static void consumed_forwards_are_trimmed_after_a_while(void **state)
{
    struct sim_world world;
    int64_t low, stable, high, trimmed = 0;
    (void)state;
    begin(&world, 60);
    world.flow.forward_keep_ms = 20000;
    settle(&world);
    turns(&world, 10); /* 2 s */
    for (int32_t h = 0; h < SIM_SHARDS; h++) {
        memory_cluster_watermarks(world.cluster, "forward", h, &low, &stable, &high);
        assert_int_equal(low, 0);
    }
    turns(&world, 120); /* 24 s */
    for (int32_t h = 0; h < SIM_SHARDS; h++) {
        memory_cluster_watermarks(world.cluster, "forward", h, &low, &stable, &high);
        assert_true(low <= memory_cluster_committed(world.cluster, SIM_GROUP, "forward", h, NULL));
        trimmed += low;
    }
    assert_true(trimmed > 10);
    restart(&world);
    for (int i = 0; i < 60; i++)
        sim_world_event(&world);
    settle(&world);
    assert_int_equal(world.workers[0].worker.counts.stopped_shards, 0);
    sim_world_release(&world);
}

/* ---- control ---- */

static size_t paused_decisions(const struct sim_world *world)
{
    size_t count = 0;
    struct log_record record;
    for (int32_t p = 0; p < SIM_SHARDS; p++)
        for (int64_t offset = 0; memory_cluster_read(world->cluster, "decisions", p, true, &offset, &record);)
            count++;
    return count;
}

static size_t actions_of_rule(const struct sim_world *world, const char *rule)
{
    size_t count = 0;
    struct log_record record;
    for (int32_t p = 0; p < SIM_SHARDS; p++)
        for (int64_t offset = 0; memory_cluster_read(world->cluster, "actions", p, true, &offset, &record);) {
            char text[256];
            snprintf(text, sizeof(text), "%.*s", (int)record.value.size, record.value.data);
            count += strstr(text, rule) != NULL;
        }
    return count;
}

static void r66_a_pause_outlives_the_worker_and_a_wiped_store(void **state)
{
    struct sim_world world;
    (void)state;
    begin(&world, 30);
    settle(&world);
    size_t thanked = actions_of_rule(&world, " thank ");
    assert_true(thanked > 0);
    sim_world_control(&world, &(struct forward){.kind = FORWARD_PAUSE});
    settle(&world);
    memory_server_wipe(world.server);
    restart(&world);
    for (int i = 0; i < 30; i++)
        sim_world_event(&world);
    settle(&world);
    assert_int_equal(actions_of_rule(&world, " thank "), thanked);
    size_t paused = paused_decisions(&world);
    assert_true(paused > 0);
    sim_world_control(&world, &(struct forward){.kind = FORWARD_RESUME});
    settle(&world);
    for (int i = 0; i < 30; i++)
        sim_world_event(&world);
    settle(&world);
    assert_true(actions_of_rule(&world, " thank ") > thanked);
    assert_int_equal(paused_decisions(&world), paused);
    sim_world_release(&world);
}

/* ---- a record that ends the process ---- */

static struct log_message deadly(const struct sim_world *world, enum topic topic, int32_t partition)
{
    return (struct log_message){
        .topic = world->flow.inputs[topic], .partition = partition, .key = SPAN("who"), .value = SPAN("deadly")};
}

/* WORLD_STOP from in here ends the worker as a crash does: nothing is committed, nothing taken back. */
static enum world deadly_read(void *context, enum topic topic, const struct original *original, struct arena *arena,
                              struct reading *ret_reading)
{
    if (span_equal(original->value, SPAN("deadly")))
        return WORLD_STOP;
    return toy_formats.event_read(context, topic, original, arena, ret_reading);
}

/* Starts the worker again each time it ends, until all is consumed; returns how often. */
static int restarts_until_settled(struct sim_world *world)
{
    int restarts = 0;
    for (int turn = 0; turn < 3000 && !sim_world_settled(world); turn++) {
        turns(world, 1);
        if (worker_ended(&world->workers[0].worker)) {
            sim_worker_kill(world, 0);
            sim_worker_start(world, 0);
            restarts++;
        }
    }
    assert_true(sim_world_settled(world));
    return restarts;
}

static size_t dead_letters_of(const struct sim_world *world, enum reason reason, struct span value)
{
    size_t count = 0;
    struct arena arena;
    struct log_record record;
    arena_init(&arena, 0);
    for (int32_t p = 0; p < memory_cluster_partition_count(world->cluster, "dead"); p++)
        for (int64_t offset = 0; memory_cluster_read(world->cluster, "dead", p, true, &offset, &record);) {
            struct dead_letter letter;
            assert_true(dead_letter_decode(record.value, &arena, &letter));
            count += letter.reason == reason && (!value.data || span_equal(letter.original.value, value));
        }
    arena_release(&arena);
    return count;
}

static void a_record_that_ends_the_process_is_isolated_alone(void **state)
{
    struct sim_world world;
    (void)state;
    begin(&world, 10);
    world.flow.formats.event_read = deadly_read;
    world.flow.record_tries = 3;
    world.flow.batch_records_max = 32;
    settle(&world);
    for (int i = 0; i < 60; i++) {
        sim_world_event(&world);
        if (i == 20 || i == 40) {
            struct log_message message = deadly(&world, TOPIC_ORDERS, i == 20 ? 1 : 2);
            memory_cluster_append(world.cluster, &message);
        }
    }
    int restarts = restarts_until_settled(&world);
    assert_in_range(restarts, 6, 16); /* three tries for each, and what it takes to find it */
    assert_int_equal(dead_letters_of(&world, REASON_QUARANTINED, SPAN("deadly")), 2);
    assert_int_equal(dead_letters_of(&world, REASON_QUARANTINED, SPAN_NONE), 2);
    world.flow.formats.event_read = toy_formats.event_read; /* to the auditor it is a record like any unreadable one */
    check(&world);
    sim_world_release(&world);
}

/* On a partition that is its shard's own: the step that steps over it does not name it, so that a replay does not read
 * it either. All else is as without it. */
static void an_isolated_record_is_in_no_step(void **state)
{
    struct sim_world world;
    (void)state;
    begin(&world, 10);
    world.flow.formats.event_read = deadly_read;
    world.flow.record_tries = 3;
    settle(&world);
    check(&world);
    struct log_message message = deadly(&world, TOPIC_DELIVERIES, 2);
    memory_cluster_append(world.cluster, &message);
    for (int i = 0; i < 60; i++)
        sim_world_event(&world);
    assert_in_range(restarts_until_settled(&world), 3, 8);
    assert_int_equal(dead_letters_of(&world, REASON_QUARANTINED, SPAN("deadly")), 1);
    world.flow.formats.event_read = toy_formats.event_read;
    check(&world);
    sim_world_release(&world);
}

/* ---- a customer who ends the process ---- */

static jmp_buf the_process; /* leaves the engine as a crash does: the worker is never turned again */
static const char *deadly_customer = "c3";
static bool deadly_timers_only;
static int crashes;

static bool deadly_visit(const struct step_world *world, struct arena *arena, const struct visit *visit,
                         struct visit_result *ret_result)
{
    if (span_equal(visit->customer_id, span_of(deadly_customer)) && !span_empty(visit->state) &&
        (visit->event_count == 0 || !deadly_timers_only))
        longjmp(the_process, 1);
    return toy_engine.visit(world, arena, visit, ret_result);
}

static void crash_until_settled(struct sim_world *world)
{
    for (volatile int turn = 0; turn < 4000 && !sim_world_settled(world); turn++) {
        if (setjmp(the_process) == 0) {
            turns(world, 1);
        } else {
            crashes++;
            sim_worker_kill(world, 0);
            sim_worker_start(world, 0);
        }
    }
    assert_true(sim_world_settled(world));
}

static struct span state_in_store(const struct sim_world *world, const char *customer)
{
    struct span id, state;
    int64_t wake_at;
    int32_t home = (int32_t)hash_home_shard(span_of(customer), SIM_SHARDS);
    for (size_t i = 0; memory_server_customer(world->server, home, i, &id, &state, &wake_at); i++)
        if (span_equal(id, span_of(customer)))
            return state;
    return SPAN_NONE;
}

/* His timer is due, or a record of his comes: he is found, his neighbours have all that is theirs (the auditor's rule),
 * a replay says the same; then he is released. */
static void customer_is_quarantined(bool with_records)
{
    struct sim_world world;
    begin(&world, 10);
    world.flow.record_tries = 3;
    world.flow.batch_records_max = 32;
    settle(&world);
    world.flow.engine.visit = deadly_visit;
    sim_worker_kill(&world, 0);
    sim_worker_start(&world, 0);
    deadly_timers_only = !with_records;
    crashes = 0;
    for (int i = 0; i < 80; i++)
        sim_world_event(&world);
    crash_until_settled(&world);
    assert_in_range(crashes, 3, 30);
    assert_true(quarantine_holds(state_in_store(&world, deadly_customer)));
    assert_int_equal(
        dead_letters_of(&world, REASON_QUARANTINED, quarantine_inside(state_in_store(&world, deadly_customer))), 1);
    int before = crashes;
    size_t letters = dead_letters_of(&world, REASON_QUARANTINED, SPAN_NONE);
    for (int i = 0; i < 60; i++)
        sim_world_event(&world);
    crash_until_settled(&world);
    assert_int_equal(crashes, before);
    assert_true(dead_letters_of(&world, REASON_QUARANTINED, SPAN_NONE) > letters);
    world.flow.engine.visit = toy_engine.visit;
    check(&world);
    world.workers[0].worker.config.engine.visit = toy_engine.visit; /* mended */
    sim_world_release_customer(&world, span_of(deadly_customer));
    settle(&world);
    assert_false(quarantine_holds(state_in_store(&world, deadly_customer)));
    check(&world);
    sim_world_release(&world);
}

static void a_customer_whose_timer_ends_the_process_is_quarantined(void **state)
{
    (void)state;
    customer_is_quarantined(false);
}

static void a_customer_whose_records_end_the_process_is_quarantined(void **state)
{
    (void)state;
    customer_is_quarantined(true);
}

/* A schema registry that is away: what it must explain is waited for, also by workers that are killed meanwhile. */
static bool schemas_away;
static int questions;

static enum world waiting_read(void *context, enum topic topic, const struct original *original, struct arena *arena,
                               struct reading *ret_reading)
{
    if (!schemas_away)
        return toy_formats.event_read(context, topic, original, arena, ret_reading);
    questions++;
    return WORLD_AGAIN;
}

static const char *waiting_for(void *context)
{
    (void)context;
    return "the schema registry is away";
}

static void schemas_that_cannot_be_had_condemn_no_record(void **state)
{
    struct sim_world world;
    (void)state;
    begin(&world, 12);
    world.flow.formats.event_read = waiting_read;
    world.flow.formats.trouble = waiting_for;
    world.flow.record_tries = 3;
    settle(&world);
    schemas_away = true;
    questions = 0;
    for (int i = 0; i < 40; i++)
        sim_world_event(&world);
    for (int process = 0; process < 8; process++) {
        int asked = questions;
        for (int turn = 0; turn < 300 && questions < asked + 3; turn++)
            turns(&world, 1);
        assert_true(questions >= asked + 3);
        assert_string_equal(world.workers[0].worker.trouble, "decode: the schema registry is away");
        sim_worker_kill(&world, 0);
        sim_worker_start(&world, 0);
    }
    schemas_away = false;
    settle(&world);
    assert_int_equal(dead_letters_of(&world, REASON_QUARANTINED, SPAN_NONE), 0);
    check(&world);
    sim_world_release(&world);
}

/* Ended forty times where no record is to blame, each time another process: nothing is isolated. */
static enum fault_kind die_at_commit(void *context, struct sim_worker *worker, const char *call)
{
    int *left = context;
    (void)worker;
    return strcmp(call, "log.commit") == 0 && (*left)-- > 0 ? FAULT_DIE_BEFORE : FAULT_NONE;
}

static void ends_outside_the_tries_condemn_no_record(void **state)
{
    struct sim_world world;
    int left = 40;
    (void)state;
    begin(&world, 10);
    world.flow.record_tries = 3;
    settle(&world);
    for (int i = 0; i < 20; i++)
        sim_world_event(&world);
    world.fault = die_at_commit;
    world.fault_context = &left;
    settle(&world);
    assert_true(left <= 0);
    assert_int_equal(dead_letters_of(&world, REASON_QUARANTINED, SPAN_NONE), 0);
    check(&world);
    sim_world_release(&world);
}

/* ---- the watchdog's figure ---- */

static enum fault_kind no_load(void *context, struct sim_worker *worker, const char *call)
{
    (void)context;
    (void)worker;
    return strcmp(call, "store.load") == 0 ? FAULT_FAIL : FAULT_NONE;
}

/* Each recovery works, each batch after it fails, for ever: that is no progress. Nothing to do is. */
static void tries_are_no_progress_and_idleness_is(void **state)
{
    struct sim_world world;
    (void)state;
    begin(&world, 20);
    settle(&world);
    const struct worker *worker = &world.workers[0].worker;
    int64_t at = worker->progress_at;
    turns(&world, 20);
    assert_true(worker->progress_at > at);
    for (int i = 0; i < 10; i++)
        sim_world_event(&world);
    world.fault = no_load;
    turns(&world, 5);
    at = worker->progress_at;
    uint64_t recoveries = worker->counts.recoveries;
    turns(&world, 600); /* two minutes */
    assert_true(worker->counts.recoveries > recoveries + 5);
    assert_int_equal(worker->progress_at, at);
    world.fault = NULL;
    settle(&world);
    assert_true(worker->progress_at > at);
    sim_world_release(&world);
}

/* With clock: input T follows ticks alone: without one nothing is due however late the wall is. */
static void the_input_clock_stands_without_ticks(void **state)
{
    struct sim_world world;
    (void)state;
    begin(&world, 0);
    world.flow.clock_input = true;
    int64_t now = world.script.wall_ms;
    sim_world_control(&world, &(struct forward){.kind = FORWARD_TICK, .tick_at = now});
    sim_worker_start(&world, 0);
    turns(&world, 20);
    for (int i = 0; i < 40; i++)
        sim_world_event(&world);
    turns(&world, 50); /* 10 s of wall time */
    size_t early = actions_of_rule(&world, " remind ");
    turns(&world, 50);
    assert_int_equal(actions_of_rule(&world, " remind "), early);
    sim_world_control(&world, &(struct forward){.kind = FORWARD_TICK, .tick_at = now + HOUR_MS});
    turns(&world, 50);
    assert_true(actions_of_rule(&world, " remind ") > early);
    for (int32_t h = 0; h < SIM_SHARDS; h++) {
        int64_t clock = world.workers[0].worker.shards[h].clock;
        assert_true(clock >= now + HOUR_MS && clock < now + HOUR_MS + 1000);
    }
    sim_world_release(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_gone_stop_the_shard),
        cmocka_unit_test(offsets_and_view_gone_stop_the_shard),
        cmocka_unit_test(offsets_of_the_past_and_an_empty_view_stop_the_shard),
        cmocka_unit_test(input_offset_gone_stops_the_shard),
        cmocka_unit_test(a_view_ahead_of_the_log_stops_the_shard),
        cmocka_unit_test(lost_input_records_stop_the_shard),
        cmocka_unit_test(another_worlds_store_is_refused),
        cmocka_unit_test(an_evicting_store_is_refused),
        cmocka_unit_test(another_shard_count_is_refused),
        cmocka_unit_test(a_wiped_store_is_rebuilt_from_the_changelog),
        cmocka_unit_test(a_batch_too_large_is_taken_in_smaller_ones),
        cmocka_unit_test(consumed_forwards_are_trimmed_after_a_while),
        cmocka_unit_test(r66_a_pause_outlives_the_worker_and_a_wiped_store),
        cmocka_unit_test(a_record_that_ends_the_process_is_isolated_alone),
        cmocka_unit_test(an_isolated_record_is_in_no_step),
        cmocka_unit_test(a_customer_whose_timer_ends_the_process_is_quarantined),
        cmocka_unit_test(a_customer_whose_records_end_the_process_is_quarantined),
        cmocka_unit_test(schemas_that_cannot_be_had_condemn_no_record),
        cmocka_unit_test(ends_outside_the_tries_condemn_no_record),
        cmocka_unit_test(tries_are_no_progress_and_idleness_is),
        cmocka_unit_test(the_input_clock_stands_without_ticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
