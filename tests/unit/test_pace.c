/* The cap of sends: a storm is spread, nothing is lost or decided otherwise, and what waits is not forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>

enum { CAP = 3, VISIT_SENDS = 1, CUSTOMERS = 200, MOMENTS_MAX = 100000 };

struct moment {
    int64_t at; /* monotonic ms */
    uint64_t actions;
};

/* After each turn of the one worker: how many actions there are. */
static size_t run_noting(struct sim_world *world, struct moment *moments)
{
    size_t count = 0;
    if (!world->workers[0].alive)
        sim_worker_start(world, 0);
    while (count < MOMENTS_MAX) {
        int32_t wait = sim_worker_turn(world, 0);
        moments[count++] = (struct moment){world->script.monotonic_ms, world->workers[0].worker.counts.actions};
        clock_scripted_move(&world->script, wait > 0 ? wait : 1);
        if (count % 8 == 0 && sim_world_settled(world))
            return count;
    }
    fail_msg("not settled: %s", world->workers[0].worker.trouble);
    return 0;
}

static void check_audit(struct sim_world *world)
{
    char why[SIM_TEXT_SIZE];
    if (!sim_world_audit(world, why))
        fail_msg("%s", why);
}

/* What all shards together publish within any stretch. */
static void check_cap(const struct moment *moments, size_t count)
{
    for (size_t from = 0; from < count; from++)
        for (size_t to = from; to < count && moments[to].at - moments[from].at <= 5000; to++) {
            int64_t most = SIM_SHARDS * (CAP * (moments[to].at - moments[from].at + 2000) / 1000 + VISIT_SENDS);
            if ((int64_t)(moments[to].actions - moments[from].actions) > most)
                fail_msg("%lld sends in %lld ms, the cap allows %lld",
                         (long long)(moments[to].actions - moments[from].actions),
                         (long long)(moments[to].at - moments[from].at), (long long)most);
        }
}

/* Two hundred customers of one event each: the toy thanks at once, and reminds all at the same instant later. */
static void shop(struct sim_world *world)
{
    for (int i = 0; i < CUSTOMERS; i++) {
        char customer[16], value[64];
        snprintf(customer, sizeof(customer), "u%d", i);
        snprintf(value, sizeof(value), "e%d %s %lld 60000 - -", i, customer, (long long)world->script.wall_ms);
        struct log_message message = {.topic = world->flow.inputs[TOPIC_DELIVERIES], /* has S partitions */
                                      .partition = LOG_PARTITION_BY_KEY,
                                      .key = span_of(customer),
                                      .value = span_of(value)};
        memory_cluster_append(world->cluster, &message);
    }
}

static void test_a_storm_is_spread(void **state)
{
    (void)state;
    struct moment *moments = calloc(MOMENTS_MAX, sizeof(*moments));
    struct sim_config config = {.seed = 11, .worker_count = 1, .sends_per_second = CAP, .batch_records_max = 64};
    struct sim_world world;
    assert_non_null(moments);
    sim_world_init(&world, &config);
    world.flow.batch_timers_max = 64;
    shop(&world);
    size_t count = run_noting(&world, moments);
    const struct flow_counts *counts = &world.workers[0].worker.counts;
    check_cap(moments, count);
    assert_int_equal(2 * CUSTOMERS, counts->actions);
    assert_int_equal(CUSTOMERS, counts->timer_visits);
    assert_true(counts->paced_ms > 5000 && counts->paced_steps > 5);
    sim_world_release(&world);
    free(moments);
}

/* The same history with a cap and without: every customer ends where he would have, and no message is lost. */
static void test_a_cap_loses_nothing(void **state)
{
    (void)state;
    for (int64_t cap = 1; cap <= 8; cap *= 2) {
        struct sim_config config = {.seed = 5 + (uint64_t)cap, .worker_count = 2, .sends_per_second = cap};
        struct sim_world world;
        sim_world_init(&world, &config);
        for (int i = 0; i < 80; i++)
            sim_world_event(&world);
        if (!sim_world_run(&world, 200000))
            fail_msg("cap %lld: not settled: %s", (long long)cap, world.workers[0].worker.trouble);
        check_audit(&world); /* the toy's auditor expects each action by name */
        sim_world_release(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_storm_is_spread),
        cmocka_unit_test(test_a_cap_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
