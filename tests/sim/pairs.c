#include "tests/sim/pairs.h"

#include "common/base/check.h"

#include "tests/sim/world.h"

enum { EVENTS = 3, CALLS_MAX = 400 };

struct pair {
    unsigned long seed;
    bool real, stable_ids;
    long at[2]; /* the calls, from 1, over all calls of the commit path of all incarnations; 0 = none */
    enum fault_kind kinds[2];
};

struct pair_run {
    const struct pair *pair;
    long count;
    FILE *trace;
};

/* From the first record produced to the load that must notice what became of the last apply. */
static bool on_commit_path(const char *call)
{
    static const char *const calls[] = {"log.begin",  "log.produce", "log.send_offsets",
                                        "log.commit", "store.apply", "store.load"};
    for (size_t i = 0; i < COUNT_OF(calls); i++)
        if (strcmp(call, calls[i]) == 0)
            return true;
    return false;
}

static enum fault_kind hit(void *context, struct sim_worker *worker, const char *call)
{
    static const char *const kinds[] = {"", "fails", "does it but hears a failure", "dies before", "dies after"};
    struct pair_run *run = context;
    (void)worker;
    if (!on_commit_path(call))
        return FAULT_NONE;
    run->count++;
    for (int i = 0; i < 2; i++)
        if (run->pair->at[i] == run->count) {
            if (run->trace)
                fprintf(run->trace, "!! call %ld, %s: %s\n", run->count, call, kinds[run->pair->kinds[i]]);
            return run->pair->kinds[i];
        }
    return FAULT_NONE;
}

static void done(void *context, struct sim_worker *worker, const char *call, enum fault_kind kind, enum world outcome)
{
    static const char *const outcomes[] = {"done", "again", "recover", "replace", "stop"};
    const struct pair_run *run = context;
    (void)kind;
    if (run->trace && strcmp(call, "log.poll") != 0)
        fprintf(run->trace, "w%d-%d %s: %s\n", worker->index, worker->incarnation, call, outcomes[outcome]);
}

/* How many calls of the path there were, or -1: it went wrong. */
static long pair_try(const struct pair *pair, FILE *trace, char why[SIM_TEXT_SIZE])
{
    struct sim_world world;
    struct sim_config config = {.seed = pair->seed,
                                .worker_count = 1,
                                .batch_records_max = 2,
                                .stable_ids = pair->stable_ids,
                                .real = pair->real,
                                .trace = trace};
    struct pair_run run = {.pair = pair, .trace = trace};
    sim_world_init(&world, &config);
    world.fault = hit;
    world.done = done;
    world.fault_context = &run;
    for (int i = 0; i < EVENTS; i++)
        sim_world_event(&world);
    snprintf(why, SIM_TEXT_SIZE, "the world does not come to rest");
    bool good = sim_world_run(&world, 3000) && sim_world_audit(&world, why);
    if (good && world.totals.stopped_shards + world.workers[0].worker.counts.stopped_shards > 0) {
        snprintf(why, SIM_TEXT_SIZE, "a shard was stopped though nothing was lost");
        good = false;
    }
    sim_world_release(&world);
    return good ? run.count : -1;
}

static long pair_judge(const struct pair *pair, struct pairs_tally *tally)
{
    char why[SIM_TEXT_SIZE];
    snprintf(sim_running, sizeof(sim_running), "./tests/sim/run --pair %lu,%d,%d,%ld,%d,%ld,%d", pair->seed, pair->real,
             pair->stable_ids, pair->at[0], (int)pair->kinds[0], pair->at[1], (int)pair->kinds[1]);
    long count = pair_try(pair, NULL, why);
    tally->passed += count >= 0;
    tally->failed += count < 0;
    if (count < 0)
        printf("pair failed: %s\n  replay: %s\n", why, sim_running);
    return count;
}

/* The second fault at every call that there still is after the first one. */
static void seconds_run(struct pair pair, struct pairs_tally *tally)
{
    long calls = pair_judge(&pair, tally);
    for (long at = pair.at[0] + 1; at <= calls && at < CALLS_MAX; at++)
        for (enum fault_kind kind = FAULT_FAIL; kind < FAULT_KIND_COUNT; kind++) {
            pair.at[1] = at;
            pair.kinds[1] = kind;
            pair_judge(&pair, tally);
        }
}

void pairs_run(unsigned long seed, bool real, bool stable_ids, struct pairs_tally *tally)
{
    struct pair pair = {.seed = seed, .real = real, .stable_ids = stable_ids};
    long calls = pair_judge(&pair, tally);
    for (long at = 1; at <= calls; at++)
        for (enum fault_kind kind = FAULT_FAIL; kind < FAULT_KIND_COUNT; kind++) {
            pair.at[0] = at;
            pair.kinds[0] = kind;
            seconds_run(pair, tally);
        }
}

bool pairs_replay(const char *name, FILE *trace)
{
    struct pair pair = {0};
    int real, stable, first, second;
    char why[SIM_TEXT_SIZE];
    if (sscanf(name, "%lu,%d,%d,%ld,%d,%ld,%d", &pair.seed, &real, &stable, &pair.at[0], &first, &pair.at[1],
               &second) != 7)
        return false;
    pair.real = real;
    pair.stable_ids = stable;
    pair.kinds[0] = (enum fault_kind)first;
    pair.kinds[1] = (enum fault_kind)second;
    bool good = pair_try(&pair, trace, why) >= 0;
    printf("%s\n", good ? "passed" : why);
    return good;
}
