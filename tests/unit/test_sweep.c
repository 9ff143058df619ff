/* A sweep goes on where the owner before left it: whoever takes the shard over visits nobody twice, nobody is left out,
 * and the ids come in order. (That each of them is under the new playbook at the end is the simulation's audit.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/sim/real_engine.h"
#include "tests/sim/world.h"

enum { EVENTS = 300, TURNS_MAX = 20000 };

static size_t customer_count(struct sim_world *world)
{
    struct span id, state;
    int64_t wake_at;
    size_t count = 0;
    for (int32_t h = 0; h < SIM_SHARDS; h++)
        for (size_t i = 0; memory_server_customer(world->server, h, i, &id, &state, &wake_at); i++)
            count++;
    return count;
}

static uint64_t swept(const struct sim_world *world)
{
    return world->totals.swept + (world->workers[0].alive ? world->workers[0].worker.counts.swept : 0);
}

/* Until so many customers were swept, or the world has come to rest. */
static void run_until_swept(struct sim_world *world, uint64_t wanted)
{
    for (int turn = 0; turn < TURNS_MAX && swept(world) < wanted; turn++) {
        if (!world->workers[0].alive)
            sim_worker_start(world, 0);
        int32_t wait = sim_worker_turn(world, 0);
        clock_scripted_move(&world->script, wait > 0 ? wait : 1);
    }
    assert_true(swept(world) >= wanted);
}

static void sweep_with(struct sim_world *world, int64_t cap, size_t portion)
{
    struct sim_config config = {.seed = 7, .worker_count = 1, .real = true, .activates = true, .sends_per_second = cap};
    sim_world_init(world, &config);
    world->flow.batch_timers_max = portion;
    for (int i = 0; i < EVENTS; i++)
        sim_world_event(world);
    assert_true(sim_world_run(world, TURNS_MAX));
    sim_world_activate(world, (world->workers[0].worker.shards[0].world == real_variant(1)) + 1);
}

static void check_audit(struct sim_world *world)
{
    char why[SIM_TEXT_SIZE];
    if (!sim_world_run(world, TURNS_MAX))
        fail_msg("not settled: %s", world->workers[0].worker.trouble);
    if (!sim_world_audit(world, why))
        fail_msg("%s", why);
}

static void test_the_next_owner_goes_on_from_the_cursor(void **state)
{
    (void)state;
    for (size_t portion = 1; portion <= 4; portion += 3) {
        struct sim_world world;
        sweep_with(&world, 0, portion);
        size_t customers = customer_count(&world);
        assert_true(customers >= 10);
        for (uint64_t kill_at = 2; kill_at + 4 < customers; kill_at += 3) {
            run_until_swept(&world, kill_at);
            sim_worker_kill(&world, 0);
        }
        check_audit(&world);
        assert_int_equal(customers, swept(&world));
        sim_world_release(&world);
    }
}

/* The cap of sends may end a portion early: the cursor stands before the first who was left out. */
static void test_a_portion_cut_short_is_not_passed_over(void **state)
{
    (void)state;
    struct sim_world world;
    sweep_with(&world, 1, 16);
    size_t customers = customer_count(&world);
    check_audit(&world);
    assert_int_equal(customers, swept(&world));
    sim_world_release(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_next_owner_goes_on_from_the_cursor),
        cmocka_unit_test(test_a_portion_cut_short_is_not_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
