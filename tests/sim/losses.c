#include "tests/sim/losses.h"

#include "common/base/check.h"
#include "tests/sim/world.h"

enum loss {
    STATE_CUT,         /* crm.state lost its end while a worker writes to it */
    STATE_CUT_RESTART, /* the same while nobody was there; the view still has it */
    FORWARD_CUT,
    INPUT_CUT,
    INPUT_EXPIRED, /* before it was read */
    FORWARD_EXPIRED,
    LOOSE_EXPIRED, /* a partition without a shard */
    KEYS_EVICTED,
    LOSS_COUNT
};

static const struct {
    const char *name, *phrase; /* what must be said */
} losses[LOSS_COUNT] = {
    {"the changelog lost its end under its writer", "records were lost"},
    {"the changelog lost its end between two owners", "records were lost"},
    {"crm.forward lost its end", "is gone (retention or truncation)"},
    {"an input lost its end", "is gone (retention or truncation)"},
    {"an input expired before it was read", "is gone (retention or truncation)"},
    {"crm.forward expired before it was read", "is gone (retention or truncation)"},
    {"a partition without a shard expired before it was read", "this partition is not read any more"},
    {"the store evicts keys", "noeviction"},
};

struct run {
    struct sim_world world;
    enum loss loss;
    const char *topic;
    int32_t shard; /* that was hit */
    bool said;     /* the phrase */
};

static void said(void *context, struct sim_worker *worker, const char *text)
{
    struct run *run = context;
    (void)worker;
    run->said = run->said || strstr(text, losses[run->loss].phrase) || strstr(text, "records were lost");
}

static void workers_start(struct sim_world *world)
{
    for (int i = 0; i < world->config.worker_count; i++)
        if (!world->workers[i].alive)
            sim_worker_start(world, i);
}

static void workers_kill(struct sim_world *world)
{
    for (int i = 0; i < world->config.worker_count; i++)
        if (world->workers[i].alive)
            sim_worker_kill(world, i);
}

/* As long as a session lasts, and then some. */
static void time_passes(struct sim_world *world)
{
    int64_t until = world->script.monotonic_ms + 20 * SECOND_MS;
    for (int turn = 0; turn < 5000 && world->script.monotonic_ms < until; turn++) {
        int32_t least = 1000;
        for (int i = 0; i < world->config.worker_count; i++) {
            int32_t wait = sim_worker_turn(world, i);
            least = wait < least ? wait : least;
        }
        clock_scripted_move(&world->script, least > 0 ? least : 1);
    }
}

/* ---- the loss ---- */

/* Up to six offsets, one record that counts among them. False: there is none. */
static bool cut(struct run *run, const char *topic, int32_t partition)
{
    struct memory_cluster *cluster = run->world.cluster;
    int64_t low, stable, high;
    struct log_record record;
    memory_cluster_watermarks(cluster, topic, partition, &low, &stable, &high);
    int64_t end = high - 1 - (int64_t)sim_random(&run->world, 6), at = end > low ? end : low;
    end = at;
    if (!memory_cluster_read(cluster, topic, partition, true, &at, &record))
        return false;
    memory_cluster_truncate(cluster, topic, partition, end);
    return true;
}

static bool expire(struct run *run, const char *topic, int32_t partition)
{
    struct memory_cluster *cluster = run->world.cluster;
    int64_t low, stable, high, next = memory_cluster_committed(cluster, SIM_GROUP, topic, partition, NULL);
    memory_cluster_watermarks(cluster, topic, partition, &low, &stable, &high);
    memory_cluster_expire(cluster, topic, partition, high);
    return high > next;
}

static bool evict(struct sim_world *world)
{
    memory_server_set_evicting(world->server, true);
    for (int32_t h = 0; h < SIM_SHARDS; h++) {
        memory_server_evict_customer(world->server, h, 0);
        memory_server_evict_wakes(world->server, h);
    }
    return true;
}

/* Of the inputs, 1, 2 and 4 have a partition for each shard, 0 and 3 have fewer. */
static bool lose(struct run *run)
{
    struct sim_world *world = &run->world;
    static const int aligned[] = {1, 2, 4}, loose[] = {0, 3};
    const char *input = world->flow.inputs[aligned[sim_random(world, 3)]];
    switch (run->loss) {
    case STATE_CUT:
    case STATE_CUT_RESTART:
        return cut(run, world->flow.state_topic, run->shard);
    case FORWARD_CUT:
        return cut(run, world->flow.forward_topic, run->shard);
    case INPUT_CUT:
        return cut(run, input, run->shard);
    case INPUT_EXPIRED:
        return expire(run, input, run->shard);
    case FORWARD_EXPIRED:
        return expire(run, world->flow.forward_topic, run->shard);
    case LOOSE_EXPIRED:
        return expire(run, world->flow.inputs[loose[sim_random(world, 2)]], (int32_t)sim_random(world, 3));
    default:
        return evict(world);
    }
}

/* Before the loss: who is there, and is there anything that was not read yet? */
static void prepare(struct run *run)
{
    struct sim_world *world = &run->world;
    bool unread = run->loss == INPUT_EXPIRED || run->loss == FORWARD_EXPIRED || run->loss == LOOSE_EXPIRED;
    if (unread || run->loss == STATE_CUT_RESTART || run->loss == KEYS_EVICTED || sim_random(world, 2))
        if (run->loss != STATE_CUT)
            workers_kill(world);
    for (int i = 0; unread && i < 80; i++)
        sim_world_event(world);
    if (unread)
        sim_world_control(world, &(struct forward){.kind = FORWARD_TICK, .tick_at = 1});
}

/* ---- what is promised still ---- */

static bool wrong(const struct run *run, char *why, const char *what)
{
    snprintf(why, SIM_TEXT_SIZE, "%s, shard %d: %s", losses[run->loss].name, (int)run->shard, what);
    return false;
}

static bool refused(const struct run *run, char *why)
{
    for (int i = 0; i < run->world.config.worker_count; i++)
        if (!worker_ended(&run->world.workers[i].worker))
            return wrong(run, why, "a worker runs on with such a store");
    return run->said || wrong(run, why, "it was not said");
}

/* Every shard has one owner, and is ready; the one that was hit is stopped. */
static bool shards_as_promised(const struct run *run, char *why)
{
    for (int32_t h = 0; h < SIM_SHARDS; h++) {
        bool must_stop = h == run->shard && run->loss != LOOSE_EXPIRED;
        int owners = 0;
        for (int i = 0; i < run->world.config.worker_count; i++) {
            const struct shard *shard = &run->world.workers[i].worker.shards[h];
            if (shard->phase == SHARD_ABSENT)
                continue;
            owners++;
            bool says = strstr(shard->trouble, losses[run->loss].phrase) || strstr(shard->trouble, "records were lost");
            if (must_stop && (shard->phase != SHARD_STOPPED || !says))
                return wrong(run, why, "the shard that was hit does not stop, or does not say why");
            if (!must_stop && shard->phase != SHARD_READY)
                return wrong(run, why, "another shard is not ready");
        }
        if (owners != 1)
            return wrong(run, why, "a shard has not one owner");
    }
    return true;
}

static bool as_promised(struct run *run, char *why)
{
    if (run->loss == KEYS_EVICTED)
        return refused(run, why);
    for (int i = 0; i < run->world.config.worker_count; i++)
        if (worker_ended(&run->world.workers[i].worker))
            return wrong(run, why, "a worker ended");
    if (!run->said)
        return wrong(run, why, "it was not said");
    if (!shards_as_promised(run, why))
        return false;
    memory_cluster_settle(run->world.cluster);
    for (int32_t h = 0; h < SIM_SHARDS; h++)
        if ((h != run->shard || run->loss == LOOSE_EXPIRED) && !sim_world_audit_shard(&run->world, h, why))
            return false;
    return true;
}

/* ---- one run ---- */

static struct sim_config config_of(uint64_t seed)
{
    return (struct sim_config){.seed = seed,
                               .worker_count = 1 + (int)(seed % 3),
                               .marker_lag_max = (uint32_t)(seed / 3 % 2 * 6),
                               .stable_ids = seed / 6 % 2,
                               .batch_records_max = 1 + seed % 9};
}

/* -1: such a loss cannot be had in this world. */
static int run_one(struct run *run, char why[SIM_TEXT_SIZE])
{
    struct sim_world *world = &run->world;
    for (int i = 0; i < 60; i++)
        sim_world_event(world);
    if (!sim_world_run(world, 5000))
        return wrong(run, why, "the world before it does not come to rest");
    run->shard = (int32_t)sim_random(world, SIM_SHARDS);
    prepare(run);
    if (!lose(run))
        return -1;
    workers_start(world);
    time_passes(world); /* whoever can notice it without anything new has */
    sim_world_control(world, &(struct forward){.kind = FORWARD_TICK, .tick_at = 2});
    time_passes(world);
    if (!as_promised(run, why))
        return 0;
    workers_kill(world);
    run->said = false;
    workers_start(world);
    time_passes(world);
    return as_promised(run, why);
}

void losses_run(uint64_t seed, struct losses_tally *tally)
{
    for (enum loss loss = 0; loss < LOSS_COUNT; loss++) {
        static struct run run;
        char why[SIM_TEXT_SIZE] = "";
        struct sim_config config = config_of(seed);
        run = (struct run){.loss = loss};
        snprintf(sim_running, sizeof(sim_running), "./tests/sim/run --losses %llu (kind %d)", (unsigned long long)seed,
                 (int)loss);
        sim_world_init(&run.world, &config);
        run.world.said = said;
        run.world.fault_context = &run;
        int outcome = run_one(&run, why);
        if (outcome == 0)
            printf("losses failed: seed %llu: %s\n", (unsigned long long)seed, why);
        tally->hit[loss] += outcome >= 0;
        tally->passed += outcome > 0;
        tally->failed += outcome == 0;
        sim_world_release(&run.world);
    }
}

bool losses_report(const struct losses_tally *tally)
{
    bool all = true;
    for (int loss = 0; loss < LOSS_COUNT; loss++) {
        printf("%10lu  %s\n", tally->hit[loss], losses[loss].name);
        all = all && tally->hit[loss] > 0;
    }
    return all;
}
