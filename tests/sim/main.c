/* The seeded simulation: `sim --seeds A..B [--trace]`. One seed is one run, the same every time.
 *
 * While the faults last: calls fail, lie, or are a worker's last; a worker stalls in the middle of its flow while the
 * others go on (the paused VM that comes back as a zombie); the store is wiped or falls back; the changelog is
 * compacted; workers leave and join; time jumps. Then the faults stop and the world must come to rest, and the auditor
 * must agree. */
#include "common/base/check.h"
#include "common/io/log_memory.h"
#include "tests/sim/world.h"

#include <stdlib.h>

/* ---- what happened, over all seeds: each must be reached ---- */

#define SITUATIONS(X)                                                                                                  \
    X(CALL_FAILED, "a call failed")                                                                                    \
    X(COMMIT_FAILED, "a commit failed before it reached the log")                                                      \
    X(COMMIT_UNKNOWN, "a commit succeeded and said it failed")                                                         \
    X(APPLY_UNKNOWN, "an apply succeeded and said it failed")                                                          \
    X(DEATH, "a worker died")                                                                                          \
    X(DEATH_IN_TRANSACTION, "a worker died between produce and commit")                                                \
    X(DEATH_AFTER_COMMIT, "a worker died between commit and apply")                                                    \
    X(STALL, "a worker stalled while others went on")                                                                  \
    X(STALL_IN_TRANSACTION, "a worker stalled inside its transaction")                                                 \
    X(STALL_BEFORE_COMMIT, "a worker stalled between send_offsets and commit")                                         \
    X(STALL_IN_RECOVERY, "a worker stalled inside its recovery")                                                       \
    X(WIPE, "the store was wiped")                                                                                     \
    X(WIPE_BEFORE_LOAD, "the store was wiped right before a load")                                                     \
    X(WIPE_IN_RECOVERY, "the store was wiped during a recovery")                                                       \
    X(FALL_BACK, "the store lost its last writes")                                                                     \
    X(COMPACTION, "the changelog was compacted")                                                                       \
    X(LEAVE, "a worker left the group in peace")                                                                       \
    X(REAL_ENGINE, "a world ran the real engine")                                                                      \
    X(DAYS_PASSED, "days passed in a moment, so that timers were due")

enum situation {
#define X(name, text) SITUATION_##name,
    SITUATIONS(X)
#undef X
        SITUATION_COUNT
};

static const char *const situation_texts[] = {
#define X(name, text) text,
    SITUATIONS(X)
#undef X
};

struct run {
    struct sim_world world;
    bool faults_on;
    int depth; /* stalls within stalls */
    uint64_t reached[SITUATION_COUNT];
};

static bool call_is(const char *call, const char *name)
{
    return strcmp(call, name) == 0;
}

static bool in_transaction(const char *call)
{
    return call_is(call, "log.produce") || call_is(call, "log.send_offsets") || call_is(call, "log.commit");
}

static bool in_recovery(const char *call)
{
    return call_is(call, "store.take") || call_is(call, "log.committed") || call_is(call, "log.reader_next") ||
           call_is(call, "log.watermarks") || call_is(call, "log.reader_open");
}

/* ---- the world while it is bad ---- */

static void worker_act(struct run *run, int index);

/* The others go on, time passes, and only then this worker makes its call. */
static void stall(struct run *run, const struct sim_worker *worker, const char *call)
{
    struct sim_world *world = &run->world;
    run->reached[SITUATION_STALL]++;
    run->reached[SITUATION_STALL_IN_TRANSACTION] += in_transaction(call);
    run->reached[SITUATION_STALL_BEFORE_COMMIT] += call_is(call, "log.commit");
    run->reached[SITUATION_STALL_IN_RECOVERY] += in_recovery(call);
    int turns = 1 + (int)sim_random(world, 40);
    int64_t longest = sim_random(world, 3) == 0 ? 1200 : 60;
    run->depth++;
    for (int i = 0; i < turns; i++) {
        clock_scripted_move(&world->script, (int64_t)sim_random(world, (uint64_t)longest));
        int other = (int)sim_random(world, (uint64_t)world->config.worker_count);
        if (other != worker->index)
            worker_act(run, other);
    }
    run->depth--;
}

static void store_suffers(struct run *run, const char *call)
{
    struct sim_world *world = &run->world;
    switch (sim_random(world, 4)) {
    case 0:
        memory_server_mark(world->server);
        break;
    case 1:
        memory_server_fall_back(world->server);
        run->reached[SITUATION_FALL_BACK]++;
        break;
    case 2:
        memory_server_wipe_shard(world->server, (int32_t)sim_random(world, SIM_SHARDS));
        break;
    default:
        memory_server_wipe(world->server);
        run->reached[SITUATION_WIPE]++;
        run->reached[SITUATION_WIPE_BEFORE_LOAD] += call_is(call, "store.load");
        run->reached[SITUATION_WIPE_IN_RECOVERY] += in_recovery(call);
        break;
    }
}

static void note_fault(struct run *run, enum fault_kind kind, const char *call)
{
    bool death = kind == FAULT_DIE_BEFORE || kind == FAULT_DIE_AFTER;
    run->reached[SITUATION_CALL_FAILED] += kind == FAULT_FAIL;
    run->reached[SITUATION_COMMIT_FAILED] += kind == FAULT_FAIL && call_is(call, "log.commit");
    run->reached[SITUATION_COMMIT_UNKNOWN] += kind == FAULT_LIE && call_is(call, "log.commit");
    run->reached[SITUATION_APPLY_UNKNOWN] += kind == FAULT_LIE && call_is(call, "store.apply");
    run->reached[SITUATION_DEATH] += death;
    run->reached[SITUATION_DEATH_IN_TRANSACTION] += death && in_transaction(call);
    run->reached[SITUATION_DEATH_AFTER_COMMIT] += (kind == FAULT_DIE_AFTER && call_is(call, "log.commit")) ||
                                                  (kind == FAULT_DIE_BEFORE && call_is(call, "store.apply"));
}

/* Rare calls, where the rare interleavings are, are hit more often than polls and produces. */
static uint64_t odds(const char *call)
{
    return call_is(call, "log.poll") || call_is(call, "log.produce") ? 1500 : 150;
}

static enum fault_kind fault(void *context, struct sim_worker *worker, const char *call)
{
    struct run *run = context;
    struct sim_world *world = &run->world;
    if (!run->faults_on)
        return FAULT_NONE;
    if (sim_random(world, odds(call)) == 0)
        store_suffers(run, call);
    if (run->depth == 0 && sim_random(world, odds(call)) == 0)
        stall(run, worker, call);
    if (sim_random(world, odds(call)) != 0)
        return FAULT_NONE;
    enum fault_kind kind = (enum fault_kind)(1 + sim_random(world, FAULT_KIND_COUNT - 1));
    note_fault(run, kind, call);
    return kind;
}

static void worker_act(struct run *run, int index)
{
    struct sim_world *world = &run->world;
    if (!world->workers[index].alive) {
        if (sim_random(world, 4) == 0)
            sim_worker_start(world, index);
        return;
    }
    if (sim_random(world, 600) == 0) {
        run->reached[SITUATION_LEAVE]++;
        sim_worker_end(world, index);
        return;
    }
    sim_worker_turn(world, index);
}

/* The real engine's timers are days away: the wall clocks of the whole world move, sessions do not notice. */
static void days_pass(struct run *run)
{
    struct sim_world *world = &run->world;
    if (!world->config.real || sim_random(world, 30) != 0)
        return;
    sim_world_jump(world, (int64_t)sim_random(world, 4 * DAY_MS));
    run->reached[SITUATION_DAYS_PASSED]++;
}

static void bad_times(struct run *run, int turns)
{
    struct sim_world *world = &run->world;
    run->faults_on = true;
    for (int i = 0; i < turns; i++) {
        for (uint64_t n = sim_random(world, 3); n > 0; n--)
            sim_world_event(world);
        worker_act(run, (int)sim_random(world, (uint64_t)world->config.worker_count));
        clock_scripted_move(&world->script, (int64_t)sim_random(world, sim_random(world, 60) == 0 ? 8000 : 60));
        days_pass(run);
        if (sim_random(world, 200) == 0) {
            memory_cluster_compact(world->cluster, world->flow.state_topic);
            run->reached[SITUATION_COMPACTION]++;
        }
    }
    run->faults_on = false;
}

/* ---- one seed ---- */

static struct sim_config config_of(uint64_t seed, FILE *trace)
{
    uint64_t x = seed * UINT64_C(0x9E3779B97F4A7C15) >> 32;
    return (struct sim_config){.seed = seed,
                               .worker_count = 1 + (int)(x % 3),
                               .marker_lag_max = (uint32_t)(x / 3 % 4 * 4),
                               .stable_ids = x / 12 % 2,
                               .batch_records_max = 1 + x / 24 % 20,
                               .no_customers_topic = x / 480 % 4 == 0,
                               .real = seed % 8 == 3 || seed % 8 == 6,
                               .trace = trace};
}

/* A record for every shard: each must load once more, and see that its view is gone. */
static void touch_all(struct sim_world *world)
{
    sim_world_control(world, &(struct forward){.kind = FORWARD_TICK, .tick_at = 1});
}

/* Nothing was lost that the log had promised to keep: a shard that stopped, stopped for a wrong reason. */
static bool stops_none(const struct sim_world *world, char why[SIM_TEXT_SIZE])
{
    uint64_t stops = world->totals.stopped_shards;
    for (int i = 0; i < world->config.worker_count; i++)
        stops += world->workers[i].worker.counts.stopped_shards;
    if (stops)
        snprintf(why, SIM_TEXT_SIZE, "%llu times a shard was stopped though nothing was lost",
                 (unsigned long long)stops);
    return stops == 0;
}

static bool seed_run(uint64_t seed, FILE *trace, struct run *run, char why[SIM_TEXT_SIZE])
{
    struct sim_config config = config_of(seed, trace);
    run->depth = 0;
    sim_world_init(&run->world, &config);
    run->world.fault = fault;
    run->world.fault_context = run;
    bad_times(run, 150 + (int)sim_random(&run->world, 250));
    touch_all(&run->world);
    run->reached[SITUATION_REAL_ENGINE] += config.real;
    bool good = sim_world_run(&run->world, 5000);
    for (int i = 0; good && config.real && i < 3; i++) { /* and the timers of the weeks after */
        sim_world_jump(&run->world, (int64_t)sim_random(&run->world, 20 * DAY_MS));
        good = sim_world_run(&run->world, 5000);
    }
    if (!good)
        snprintf(why, SIM_TEXT_SIZE, "the faults stopped but the world does not come to rest: %.400s",
                 run->world.workers[0].worker.trouble);
    return good && sim_world_audit(&run->world, why) && stops_none(&run->world, why);
}

/* ---- the command ---- */

static int usage(void)
{
    fprintf(stderr, "usage: sim --seeds A..B [--trace]\n");
    return 2;
}

/* All counts are of one type: added as an array. */
static void totals_add(struct flow_counts *totals, const struct flow_counts *counts)
{
    uint64_t *to = (uint64_t *)totals;
    const uint64_t *from = (const uint64_t *)counts;
    for (size_t i = 0; i < sizeof(*totals) / sizeof(*to); i++)
        to[i] += from[i];
}

static void totals_print(const struct flow_counts *totals)
{
    const struct {
        uint64_t count;
        const char *text;
    } rows[] = {{totals->transactions, "transactions"},
                {totals->births, "births"},
                {totals->fences, "fences of a previous owner"},
                {totals->recoveries, "recoveries"},
                {totals->rebuilt_states, "states written again by recoveries"},
                {totals->forwarded_off_home, "records forwarded"},
                {totals->forwarded_credits, "credits forwarded"},
                {totals->timer_visits, "visits for timers"},
                {totals->dead_letters, "dead letters"},
                {totals->actions, "actions"},
                {totals->stopped_shards, "shards stopped"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        printf("%10llu  %s\n", (unsigned long long)rows[i].count, rows[i].text);
}

static int situations_report(const struct run *run, const struct flow_counts *totals, uint64_t seeds)
{
    int missing = 0;
    for (int i = 0; i < SITUATION_COUNT; i++) {
        printf("%10llu  %s\n", (unsigned long long)run->reached[i], situation_texts[i]);
        missing += run->reached[i] == 0;
    }
    totals_print(totals);
    if (seeds >= 200 && missing) /* a range that never sees the interesting things proves nothing */
        printf("%d situations were never reached\n", missing);
    return seeds >= 200 ? missing : 0;
}

int main(int argc, char **argv)
{
    unsigned long long first, last, failed = 0;
    FILE *trace = argc == 4 && strcmp(argv[3], "--trace") == 0 ? stdout : NULL;
    struct run *run = calloc(1, sizeof(*run));
    struct flow_counts totals = {0};
    CHECK(run);
    if (argc < 3 || strcmp(argv[1], "--seeds") != 0 || sscanf(argv[2], "%llu..%llu", &first, &last) != 2 ||
        last < first)
        return usage();
    for (unsigned long long seed = first; seed <= last; seed++) {
        char why[SIM_TEXT_SIZE] = "";
        if (!seed_run(seed, trace, run, why)) {
            failed++;
            printf("seed %llu failed: %s\n  replay: ./tests/sim/run --seeds %llu..%llu --trace\n", seed, why, seed,
                   seed);
        }
        struct sim_world *world = &run->world;
        for (int i = 0; i < world->config.worker_count; i++)
            if (world->workers[i].alive)
                sim_worker_kill(world, i);
        totals_add(&totals, &world->totals);
        sim_world_release(world);
        fflush(stdout);
    }
    unsigned long long seeds = last - first + 1;
    int missing = situations_report(run, &totals, seeds);
    printf("%llu passed, %llu failed, 0 skipped\n", seeds - failed, failed);
    free(run);
    return failed || missing ? 1 : 0;
}
