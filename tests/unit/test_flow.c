/* The flow on the memory seams with a toy engine: without faults, and with each fault at each call in turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>

static FILE *trace(void)
{
    return getenv("ORIORI_TEST_TRACE") ? stderr : NULL;
}

static void check(struct sim_world *world)
{
    char why[SIM_TEXT_SIZE];
    if (!sim_world_audit(world, why))
        fail_msg("%s", why);
}

static void flow_without_faults(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim_world world;
        struct sim_config config = {.seed = seed,
                                    .worker_count = 1 + (int)(seed % 3),
                                    .marker_lag_max = seed % 2 ? 0 : 5,
                                    .no_customers_topic = seed % 4 == 0,
                                    .trace = trace()};
        sim_world_init(&world, &config);
        for (int i = 0; i < 150; i++)
            sim_world_event(&world);
        if (!sim_world_run(&world, 3000))
            fail_msg("seed %llu: not settled: %s", (unsigned long long)seed, world.workers[0].worker.trouble);
        check(&world);
        sim_world_release(&world);
    }
}

/* ---- each fault at each call ---- */

struct one_fault {
    long at; /* the call, from 1, over all calls of all incarnations */
    long count;
    long repeats; /* how many calls of the same name, from there on, share its fate */
    enum fault_kind kind;
    char name[32]; /* the call that was hit */
};

static enum fault_kind hit(void *context, struct sim_worker *worker, const char *call)
{
    struct one_fault *fault = context;
    (void)worker;
    fault->count++;
    if (fault->count == fault->at)
        snprintf(fault->name, sizeof(fault->name), "%s", call);
    if (fault->count < fault->at || fault->repeats == 0 || strcmp(fault->name, call) != 0)
        return FAULT_NONE;
    fault->repeats--;
    return fault->kind;
}

static long run_with(struct one_fault fault, const struct sim_config *config)
{
    struct sim_world world;
    sim_world_init(&world, config);
    world.fault = hit;
    world.fault_context = &fault;
    for (int i = 0; i < 12; i++)
        sim_world_event(&world);
    char why[SIM_TEXT_SIZE] = "not settled";
    if (!sim_world_run(&world, 3000) || !sim_world_audit(&world, why))
        fail_msg("fault %d (times %ld left) at call %ld, %s, seed %llu: %s; %s", (int)fault.kind, fault.repeats,
                 fault.at, fault.name, (unsigned long long)config->seed, why, world.workers[0].worker.trouble);
    sim_world_release(&world);
    return fault.count;
}

static void every_call(enum fault_kind kind, long repeats, bool stable_ids)
{
    struct sim_config config = {.seed = 7, .worker_count = 1, .batch_records_max = 5, .stable_ids = stable_ids};
    config.trace = trace();
    long calls = run_with((struct one_fault){0}, &config);
    assert_true(calls > 200);
    for (long at = 1; at <= calls; at++)
        run_with((struct one_fault){.at = at, .kind = kind, .repeats = repeats}, &config);
}

static void every_call_fails_once(void **state)
{
    (void)state;
    every_call(FAULT_FAIL, 1, true);
}

static void every_call_fails_for_long(void **state)
{
    (void)state;
    every_call(FAULT_FAIL, 40, true);
}

static void every_call_succeeds_but_says_it_failed(void **state)
{
    (void)state;
    every_call(FAULT_LIE, 1, true);
}

static void death_before_every_call(void **state)
{
    (void)state;
    every_call(FAULT_DIE_BEFORE, 1, true);
}

static void death_after_every_call(void **state)
{
    (void)state;
    every_call(FAULT_DIE_AFTER, 1, true);
}

static void death_after_every_call_and_a_stranger_takes_over(void **state)
{
    (void)state;
    every_call(FAULT_DIE_AFTER, 1, false);
}

/* Imported history makes a decision for every run that it would have had: 30 a customer, said by none but `all`. */
static void backfill_is_published_among_all_decisions_only(void **state)
{
    (void)state;
    struct decision decision = {.outcome = OUTCOME_BACKFILL};
    assert_false(flow_decision_wanted(DECISIONS_SENT_AND_BLOCKED, &decision));
    assert_true(flow_decision_wanted(DECISIONS_ALL, &decision));
    decision.outcome = OUTCOME_PAUSED;
    assert_true(flow_decision_wanted(DECISIONS_SENT_AND_BLOCKED, &decision));
    assert_false(flow_decision_wanted(DECISIONS_OFF, &decision));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flow_without_faults),
        cmocka_unit_test(every_call_fails_once),
        cmocka_unit_test(every_call_fails_for_long),
        cmocka_unit_test(every_call_succeeds_but_says_it_failed),
        cmocka_unit_test(death_before_every_call),
        cmocka_unit_test(death_after_every_call),
        cmocka_unit_test(death_after_every_call_and_a_stranger_takes_over),
        cmocka_unit_test(backfill_is_published_among_all_decisions_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
