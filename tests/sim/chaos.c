/* Bad times: calls fail, lie, or are a worker's last; a worker stalls in the middle of its flow while the others go on
 * (the paused VM that comes back as a zombie); clocks jump and stand; the store is wiped or falls back; the changelog
 * is compacted; workers leave and join; time jumps. Then the faults stop and the world must come to rest, and the
 * auditor must agree. */
#include "tests/sim/chaos.h"

#include "common/base/check.h"
#include "common/flow/batch.h"
#include "common/flow/quarantine.h"
#include "tests/sim/real_engine.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>

static const struct {
    uint64_t least;
    const char *text;
} situations[] = {
#define X(name, least, text) {least, text},
    SITUATIONS(X)
#undef X
};

static void reach(struct chaos *chaos, enum situation situation, bool reached)
{
    chaos->reached[situation] += reached;
}

__attribute__((format(printf, 3, 4))) static void tell(const struct chaos *chaos, int worker, const char *format, ...)
{
    FILE *file = chaos->world.config.trace;
    va_list arguments;
    if (!file)
        return;
    fprintf(file, "%lld ", (long long)chaos->world.script.wall_ms);
    fprintf(file, worker < 0 ? "world " : "w%d ", worker);
    va_start(arguments, format);
    vfprintf(file, format, arguments);
    va_end(arguments);
    fputc('\n', file);
}

/* ---- calls ---- */

/* Asked some thirty times at every call: the letter behind "log." settles most. */
static inline bool call_is(const char *call, const char *name)
{
    return call[4] == name[4] && strcmp(call, name) == 0;
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

static void worker_act(struct chaos *chaos, int index);
static void records_expire(struct chaos *chaos, bool all);

/* The others go on, time passes, and only then this worker makes its call. */
static void stall(struct chaos *chaos, const struct sim_worker *worker, const char *call)
{
    struct sim_world *world = &chaos->world;
    reach(chaos, SITUATION_STALL, true);
    reach(chaos, SITUATION_STALL_IN_TRANSACTION, in_transaction(call));
    reach(chaos, SITUATION_STALL_BEFORE_COMMIT, call_is(call, "log.commit"));
    reach(chaos, SITUATION_STALL_IN_RECOVERY, in_recovery(call));
    chaos->stalled[worker->index] |= in_transaction(call);
    int turns = 1 + (int)sim_random(world, 40);
    int64_t longest = sim_random(world, 3) == 0 ? 1200 : 60;
    tell(chaos, worker->index, "stalls before %s for %d turns of the others", call, turns);
    chaos->depth++;
    for (int i = 0; i < turns; i++) {
        clock_scripted_move(&world->script, (int64_t)sim_random(world, (uint64_t)longest));
        if (world->config.brokers && sim_random(world, 4) == 0)
            sim_world_event(world);
        int other = (int)sim_random(world, (uint64_t)world->config.worker_count);
        if (other != worker->index)
            worker_act(chaos, other);
    }
    chaos->depth--;
    if (world->config.brokers) /* it stalled for longer than the log keeps */
        records_expire(chaos, true);
    tell(chaos, worker->index, "goes on with %s", call);
}

static bool sweeps(const struct sim_worker *worker)
{
    for (int32_t h = 0; worker->alive && h < SIM_SHARDS; h++)
        if (worker->worker.shards[h].phase == SHARD_READY && worker->worker.shards[h].control.sweeping)
            return true;
    return false;
}

static bool anyone_sweeps(const struct sim_world *world)
{
    bool any = false;
    for (int i = 0; i < world->config.worker_count; i++)
        any = any || sweeps(&world->workers[i]);
    return any;
}

static void store_suffers(struct chaos *chaos, const char *call)
{
    struct sim_world *world = &chaos->world;
    switch (sim_random(world, call_is(call, "store.load") ? 8 : 4)) {
    case 0:
        memory_server_mark(world->server);
        tell(chaos, -1, "the store's replica has all until here");
        break;
    case 1:
        memory_server_fall_back(world->server);
        reach(chaos, SITUATION_FALL_BACK, true);
        tell(chaos, -1, "the store falls back to its replica before %s", call);
        break;
    case 2:
        memory_server_wipe_shard(world->server, (int32_t)sim_random(world, SIM_SHARDS));
        tell(chaos, -1, "a shard of the store is wiped before %s", call);
        break;
    default:
        memory_server_wipe(world->server);
        reach(chaos, SITUATION_WIPE_IN_SWEEP, anyone_sweeps(world));
        reach(chaos, SITUATION_WIPE, true);
        reach(chaos, SITUATION_WIPE_BEFORE_LOAD, call_is(call, "store.load"));
        reach(chaos, SITUATION_WIPE_IN_RECOVERY, in_recovery(call));
        tell(chaos, -1, "the store is wiped before %s", call);
        break;
    }
}

/* ---- the brokers, and a Redis that is slow or loses single keys ---- */

static const char *any_topic(struct sim_world *world)
{
    const struct flow_config *flow = &world->flow;
    const char *names[] = {flow->state_topic,   flow->forward_topic, flow->steps_topic,
                           flow->actions_topic, flow->state_topic,   flow->forward_topic};
    uint64_t at = sim_random(world, COUNT_OF(names) + TOPIC_COUNT);
    return at < COUNT_OF(names) ? names[at] : flow->inputs[at - COUNT_OF(names)];
}

static void leader_changes(struct chaos *chaos, const char *topic, int32_t partition, const char *call)
{
    struct sim_world *world = &chaos->world;
    uint32_t slow = sim_random(world, 3) == 0 ? 60 : 10;
    memory_cluster_change_leader(world->cluster, topic, partition, (uint32_t)sim_random(world, slow),
                                 (uint32_t)sim_random(world, slow));
    reach(chaos, SITUATION_LEADER_CHANGED, true);
    tell(chaos, -1, "%s[%d] gets another leader before %s", topic, (int)partition, call);
}

/* A broker is gone: each of its partitions gets another leader, some at once; best where one is written to. */
static void leaders_change(struct chaos *chaos, const struct sim_worker *worker, const char *call)
{
    struct sim_world *world = &chaos->world;
    const struct log_message *message = call_is(call, "log.produce") ? worker->faults.message : NULL;
    if (message && message->partition >= 0)
        leader_changes(chaos, message->topic, message->partition, call);
    for (uint64_t n = 1 + sim_random(world, 6); n > 0; n--) {
        const char *topic = any_topic(world);
        int32_t count = memory_cluster_partition_count(world->cluster, topic);
        if (count > 0)
            leader_changes(chaos, topic, (int32_t)sim_random(world, (uint64_t)count), call);
    }
}

static void partition_expires(struct chaos *chaos, const char *topic, int32_t partition)
{
    struct memory_cluster *cluster = chaos->world.cluster;
    int64_t low, stable, high, before = memory_cluster_committed(cluster, SIM_GROUP, topic, partition, NULL);
    memory_cluster_watermarks(cluster, topic, partition, &low, &stable, &high);
    if (before <= low)
        return;
    memory_cluster_expire(cluster, topic, partition, before);
    reach(chaos, SITUATION_EXPIRED, true);
    tell(chaos, -1, "%s[%d] expires up to %lld", topic, (int)partition, (long long)before);
}

/* What the group has consumed goes. */
static void records_expire(struct chaos *chaos, bool all)
{
    const struct flow_config *flow = &chaos->world.flow;
    for (int t = 0; t <= TOPIC_COUNT; t++) {
        const char *topic = t < TOPIC_COUNT ? flow->inputs[t] : flow->forward_topic;
        for (int32_t p = 0; p < memory_cluster_partition_count(chaos->world.cluster, topic); p++)
            if (all || sim_random(&chaos->world, 2) == 0)
                partition_expires(chaos, topic, p);
    }
}

static void brokers_suffer(struct chaos *chaos, const struct sim_worker *worker, const char *call)
{
    struct sim_world *world = &chaos->world;
    int32_t shard = (int32_t)sim_random(world, SIM_SHARDS);
    switch (sim_random(world, 8)) {
    case 0:
    case 1:
        records_expire(chaos, false);
        break;
    case 2:
        memory_server_evict_meta(world->server, shard);
        reach(chaos, SITUATION_META_EVICTED, true);
        tell(chaos, -1, "the store loses the meta of shard %d", (int)shard);
        break;
    case 3:
        memory_server_delay(world->server, 1 + (int)sim_random(world, 12));
        tell(chaos, -1, "the store's next answer comes too late");
        break;
    default:
        leaders_change(chaos, worker, call);
        break;
    }
}

static void tally_add(struct chaos *chaos)
{
    const struct memory_tally *tally = memory_cluster_tally(chaos->world.cluster);
    chaos->reached[SITUATION_LEADER_QUEUED] += tally->queued;
    chaos->reached[SITUATION_LEADER_RESENT] += tally->resent;
    chaos->reached[SITUATION_LEADER_UNDELIVERED] += tally->undelivered;
    chaos->reached[SITUATION_LEADER_REFUSED] += tally->refused;
    chaos->reached[SITUATION_LEADER_BEHIND] += tally->beyond_end;
    chaos->reached[SITUATION_EXPIRED_UNDER] += tally->out_of_range;
    chaos->reached[SITUATION_ANSWER_LATE] += memory_server_late(chaos->world.server);
}

static void note_fault(struct chaos *chaos, enum fault_kind kind, const char *call)
{
    bool death = kind == FAULT_DIE_BEFORE || kind == FAULT_DIE_AFTER;
    reach(chaos, SITUATION_CALL_FAILED, kind == FAULT_FAIL);
    reach(chaos, SITUATION_COMMIT_FAILED, kind == FAULT_FAIL && call_is(call, "log.commit"));
    reach(chaos, SITUATION_APPLY_UNKNOWN, kind == FAULT_LIE && call_is(call, "store.apply"));
    reach(chaos, SITUATION_DEATH, death);
    reach(chaos, SITUATION_DEATH_IN_TRANSACTION, death && in_transaction(call));
    reach(chaos, SITUATION_DEATH_AFTER_COMMIT,
          (kind == FAULT_DIE_AFTER && call_is(call, "log.commit")) ||
              (kind == FAULT_DIE_BEFORE && call_is(call, "store.apply")));
}

/* Rare calls, where the rare interleavings are, are hit more often than polls and produces; in a small world, which has
 * few of them, the calls between the decisions and the next load more often still. */
static uint64_t odds(const struct chaos *chaos, const char *call)
{
    if (call_is(call, "log.poll") || call_is(call, "log.produce"))
        return (chaos->large ? 10 : 6) * chaos->odds;
    if (call_is(call, "store.note_write")) /* between it and the next one a death is blamed on what is tried */
        return 3;
    bool narrow = call_is(call, "log.send_offsets") || call_is(call, "log.commit") || call_is(call, "store.apply") ||
                  call_is(call, "store.load");
    return narrow && !chaos->large ? chaos->odds / 3 : chaos->odds;
}

/* Who stalls before a poll comes back to records that are gone by then. */
static uint64_t stall_odds(const struct chaos *chaos, const char *call)
{
    bool poll = chaos->world.config.brokers && call_is(call, "log.poll");
    return poll ? chaos->odds : odds(chaos, call);
}

static void compact(struct chaos *chaos)
{
    memory_cluster_compact(chaos->world.cluster, chaos->world.flow.state_topic);
    reach(chaos, SITUATION_COMPACTION, true);
    tell(chaos, -1, "the changelog is compacted");
}

/* ---- what a transaction is ---- */

static bool anyone_ready(const struct chaos *chaos, int32_t shard)
{
    for (int i = 0; i < chaos->world.config.worker_count; i++) {
        const struct sim_worker *worker = &chaos->world.workers[i];
        if (worker->alive && worker->worker.shards[shard].phase == SHARD_READY)
            return true;
    }
    return false;
}

/* A birth is a transaction that begins with a `__meta` for crm.state: all others write a step before it. */
static void note_produce(struct chaos *chaos, const struct sim_worker *worker, const struct log_message *message)
{
    const struct flow_config *flow = &chaos->world.flow;
    bool meta = strcmp(message->topic, flow->state_topic) == 0 && span_equal(message->key, meta_key());
    if (strcmp(message->topic, flow->forward_topic) == 0)
        reach(chaos, SITUATION_FORWARD_UNREADY, !anyone_ready(chaos, message->partition));
    if (strcmp(message->topic, flow->steps_topic) == 0)
        chaos->stepped[worker->index] = true;
    if (!meta || chaos->stepped[worker->index])
        return;
    chaos->births[worker->index] = true;
    uint32_t self = 1u << worker->index;
    reach(chaos, SITUATION_BIRTH_AGAIN, (chaos->tried[message->partition] & ~self) != 0);
    chaos->tried[message->partition] |= self;
}

static void note_end(struct chaos *chaos, const struct sim_worker *worker, bool commit, bool passed)
{
    bool stalled = chaos->stalled[worker->index];
    reach(chaos, commit ? SITUATION_COMMIT_REFUSED : SITUATION_SEND_REFUSED, !passed);
    reach(chaos, SITUATION_ZOMBIE_REFUSED, stalled && !passed);
    reach(chaos, SITUATION_ZOMBIE_PASSED, stalled && passed && commit);
    reach(chaos, SITUATION_BIRTH_REFUSED, chaos->births[worker->index] && !passed);
}

/* Between load and decide no call is made: a jump there is made as load answers. */
static void clock_jump(struct chaos *chaos, int index, bool in_batch)
{
    struct sim_world *world = &chaos->world;
    int64_t most = !in_batch && sim_random(world, 2) ? 50 * SECOND_MS : 12 * HOUR_MS;
    int64_t offset = (int64_t)sim_random(world, (uint64_t)(2 * most)) - most;
    sim_worker_clock_jump(world, index, offset);
    reach(chaos, SITUATION_CLOCK_JUMP, true);
    reach(chaos, SITUATION_CLOCK_JUMP_IN_BATCH, in_batch);
    tell(chaos, index, "its clock is off by %lld ms from here on", (long long)offset);
}

static bool quiet(const char *call)
{
    return call_is(call, "log.poll") || call_is(call, "log.produce") || call_is(call, "log.reader_next");
}

static void done(void *context, struct sim_worker *worker, const char *call, enum fault_kind kind, enum world outcome)
{
    struct chaos *chaos = context;
    bool honest = kind == FAULT_NONE, passed = outcome == WORLD_DONE, commit = call_is(call, "log.commit");
    static const char *const outcomes[] = {"done", "again", "recover", "replace", "stop"};
    if (!quiet(call))
        tell(chaos, worker->index, "%s: %s%s", call, outcomes[outcome],
             kind == FAULT_LIE ? ", but it hears a failure" : "");
    if (call_is(call, "log.begin")) {
        chaos->stalled[worker->index] = false;
        chaos->births[worker->index] = false;
        chaos->stepped[worker->index] = false;
    }
    if ((commit || call_is(call, "log.send_offsets")) && outcome != WORLD_AGAIN)
        note_end(chaos, worker, commit, passed);
    reach(chaos, SITUATION_COMMIT_UNKNOWN, commit && kind == FAULT_LIE && passed);
    reach(chaos, SITUATION_APPLY_REFUSED, call_is(call, "store.apply.refused"));
    reach(chaos, SITUATION_POISON_MET, call_is(call, "engine.visit"));
    reach(chaos, SITUATION_TAKEOVER_OPEN, call_is(call, "log.committed") && honest && outcome == WORLD_AGAIN);
    reach(chaos, SITUATION_TAKEOVER_FENCED, call_is(call, "log.fence") && passed);
    if (chaos->faults_on && chaos->world.config.clocks && call_is(call, "store.load") &&
        sim_random(&chaos->world, chaos->odds / 4) == 0)
        clock_jump(chaos, worker->index, true);
}

static void said(void *context, struct sim_worker *worker, const char *text)
{
    struct chaos *chaos = context;
    reach(chaos, SITUATION_VIEW_NOT_OURS, strstr(text, "epoch, pos or seq is not ours") != NULL);
    reach(chaos, SITUATION_SWITCHED, strstr(text, "is in force from here on") != NULL);
    reach(chaos, SITUATION_SWEPT, strstr(text, "all its customers are under playbook") != NULL);
    reach(chaos, SITUATION_PLAYBOOK_LACKED, strstr(text, "waits: its playbook") != NULL);
    reach(chaos, SITUATION_ISOLATED, strstr(text, "it becomes a dead letter") != NULL);
    reach(chaos, SITUATION_QUARANTINED, strstr(text, "he is quarantined") != NULL);
    reach(chaos, SITUATION_QUARANTINED_IN_SWEEP, strstr(text, "he is quarantined") && sweeps(worker));
    reach(chaos, SITUATION_CLOCKS_DIFFER, strstr(text, "clock and the store's differ") != NULL);
}

static enum fault_kind fault(void *context, struct sim_worker *worker, const char *call)
{
    struct chaos *chaos = context;
    struct sim_world *world = &chaos->world;
    if (call_is(call, "log.produce"))
        note_produce(chaos, worker, worker->faults.message);
    if (!chaos->faults_on)
        return FAULT_NONE;
    if (sim_random(world, odds(chaos, call)) == 0)
        store_suffers(chaos, call);
    if (world->config.brokers && sim_random(world, call_is(call, "log.produce") ? chaos->odds : odds(chaos, call)) == 0)
        brokers_suffer(chaos, worker, call);
    if (chaos->depth == 0 && sim_random(world, stall_odds(chaos, call)) == 0)
        stall(chaos, worker, call);
    if (world->config.clocks && call_is(call, "log.reader_next") && sim_random(world, 2 * chaos->odds) == 0) {
        compact(chaos);
        reach(chaos, SITUATION_COMPACTION_IN_RECOVERY, true);
    }
    if (sim_random(world, odds(chaos, call)) != 0)
        return FAULT_NONE;
    static const enum fault_kind dice[] = {FAULT_FAIL, FAULT_FAIL,       FAULT_FAIL,      FAULT_LIE,
                                           FAULT_LIE,  FAULT_DIE_BEFORE, FAULT_DIE_AFTER, FAULT_DIE_AFTER};
    enum fault_kind kind = dice[sim_random(world, COUNT_OF(dice))];
    static const char *const kinds[] = {"", "fails", "does it but hears a failure", "dies before", "dies after"};
    tell(chaos, worker->index, "!! %s: %s", call, kinds[kind]);
    note_fault(chaos, kind, call);
    reach(chaos, SITUATION_DEATH_IN_SWEEP, (kind == FAULT_DIE_BEFORE || kind == FAULT_DIE_AFTER) && sweeps(worker));
    return kind;
}

static void worker_act(struct chaos *chaos, int index)
{
    struct sim_world *world = &chaos->world;
    if (!world->workers[index].alive) {
        if (sim_random(world, 4) == 0) {
            sim_worker_start(world, index);
            tell(chaos, index, "starts");
        }
        return;
    }
    if (sim_random(world, 4 * chaos->odds) == 0) {
        reach(chaos, SITUATION_LEAVE, true);
        tell(chaos, index, "leaves");
        sim_worker_end(world, index);
        return;
    }
    sim_worker_turn(world, index);
}

/* ---- time ---- */

/* The real engine's timers are days away: the wall clocks of the whole world move, sessions do not notice. */
static void days_pass(struct chaos *chaos)
{
    struct sim_world *world = &chaos->world;
    if (!world->config.real || sim_random(world, chaos->odds / 5) != 0)
        return;
    sim_world_jump(world, (int64_t)sim_random(world, 4 * DAY_MS));
    reach(chaos, SITUATION_DAYS_PASSED, true);
}

/* A playbook is activated, now and then the one in force; its text may be seen later than its control records. */
static void activate(struct chaos *chaos)
{
    struct sim_world *world = &chaos->world;
    int variant = (int)sim_random(world, REAL_VARIANTS);
    reach(chaos, SITUATION_ACTIVATED, true);
    reach(chaos, SITUATION_ACTIVATED_IN_SWEEP, anyone_sweeps(world));
    tell(chaos, -1, "playbook %d is activated", variant);
    if (chaos->late_turns == 0 && sim_random(world, 3) == 0) {
        chaos->late_variant = variant;
        chaos->late_turns = 1 + (int)sim_random(world, 30);
    } else {
        sim_world_activate_text(world, variant);
    }
    sim_world_activate_control(world, variant);
}

static void late_text(struct chaos *chaos, int turns)
{
    int before = chaos->late_turns;
    chaos->late_turns = before > turns ? before - turns : 0;
    if (before > 0 && chaos->late_turns == 0)
        sim_world_activate_text(&chaos->world, chaos->late_variant);
}

static void clocks_suffer(struct chaos *chaos)
{
    struct sim_world *world = &chaos->world;
    if (!world->config.clocks)
        return;
    int index = (int)sim_random(world, (uint64_t)world->config.worker_count);
    switch (sim_random(world, chaos->odds * 4 / 5)) {
    case 0:
        clock_jump(chaos, index, false);
        break;
    case 1:
        sim_worker_clock_stand(world, index, true);
        reach(chaos, SITUATION_CLOCK_STOOD, true);
        tell(chaos, index, "its clock stands");
        break;
    case 2:
    case 3:
        sim_world_clocks_mend(world);
        break;
    default:
        break;
    }
}

/* As `oriori dlq redrive` does, but of anyone: who is not quarantined does not notice. */
static void release_someone(struct chaos *chaos)
{
    struct sim_world *world = &chaos->world;
    char customer[16];
    if (world->config.record_tries == 0 || sim_random(world, 20) != 0)
        return;
    snprintf(customer, sizeof(customer), "c%d", (int)sim_random(world, 12));
    sim_world_release_customer(world, span_of(customer));
}

/* Every so often: what is wrong for a while and mended later is found too. Not while a playbook's text is late: a
 * worker whose own file it is goes on with it, and the auditor, who reads crm.playbook, has not got it. */
static bool audit_now(struct chaos *chaos, int turn, char why[SIM_TEXT_SIZE])
{
    int often = chaos->large ? 100 : 25;
    if (!chaos->world.config.brokers || chaos->late_turns > 0 || turn % often != often - 1)
        return true;
    reach(chaos, SITUATION_AUDITED, true);
    return sim_world_audit_now(&chaos->world, why);
}

/* False: an audit on the way has failed. */
static bool bad_times(struct chaos *chaos, int turns, char why[SIM_TEXT_SIZE])
{
    bool good = true;
    struct sim_world *world = &chaos->world;
    chaos->faults_on = true;
    for (int i = 0; i < turns && good; i++) {
        for (uint64_t n = sim_random(world, chaos->large ? 3 : 2); n > 0; n--)
            sim_world_event(world);
        worker_act(chaos, (int)sim_random(world, (uint64_t)world->config.worker_count));
        clock_scripted_move(
            &world->script,
            (int64_t)sim_random(world, sim_random(world, world->config.record_tries ? 8 : 60) == 0 ? 8000 : 60));
        days_pass(chaos);
        clocks_suffer(chaos);
        if (sim_random(world, chaos->odds) == 0)
            compact(chaos);
        if (world->config.brokers && sim_random(world, chaos->odds) == 0)
            records_expire(chaos, false);
        if (world->config.activates && sim_random(world, chaos->large ? 30 : 10) == 0)
            activate(chaos);
        late_text(chaos, 1);
        release_someone(chaos);
        good = audit_now(chaos, i, why);
    }
    chaos->faults_on = false;
    if (world->config.activates)
        activate(chaos);
    late_text(chaos, INT_MAX);
    sim_world_clocks_mend(world);
    tell(chaos, -1, "the bad times are over");
    return good;
}

/* ---- one seed ---- */

/* Half of the seeds of each kind; none of those that were kept or that mutants are killed by before there were such
 * faults: they are still the same runs. */
enum { BROKER_SEEDS = 0x3BC1 };

/* Odd seeds have clocks of their own; seeds 3 and 6 of every 8 the real engine. Even ones are as they were before there
 * were such clocks, so that the first seeds kept are still the same runs. */
static struct sim_config config_of(uint64_t seed, FILE *trace)
{
    uint64_t x = seed * UINT64_C(0x9E3779B97F4A7C15) >> 32;
    enum sim_poison poison = seed % 3 == 1 ? (enum sim_poison)(x / 3840 % 3) : SIM_POISON_NONE;
    return (struct sim_config){.seed = seed,
                               .worker_count = 1 + (int)(x % 3),
                               .marker_lag_max = (uint32_t)(x / 3 % 4 * 4),
                               .stable_ids = x / 12 % 2,
                               /* with a small one a process is young for a batch or two: poison takes many lives */
                               .batch_records_max = poison ? 32 : 1 + x / 24 % 20,
                               .no_customers_topic = x / 480 % 4 == 0,
                               .real = seed % 8 == 3 || seed % 8 == 6,
                               .activates = (seed % 8 == 3 || seed % 8 == 6) && x / 1920 % 2,
                               .sends_per_second = x / 3840 % 4 == 2 ? 1 + (int64_t)(x / 15360 % 4) : 0,
                               .clocks = seed % 2 == 1,
                               .record_tries = seed % 3 == 1,
                               .brokers = BROKER_SEEDS >> seed % 16 & 1,
                               .poison = poison,
                               .poison_customer = (int)(x / 11520 % 12),
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
    uint64_t stops = world->totals.stopped_shards + world->totals.stopped_partitions;
    for (int i = 0; i < world->config.worker_count; i++)
        stops += world->workers[i].worker.counts.stopped_shards + world->workers[i].worker.counts.stopped_partitions;
    if (stops)
        snprintf(why, SIM_TEXT_SIZE, "%llu times a shard or a partition was stopped though nothing was lost",
                 (unsigned long long)stops);
    return stops == 0;
}

/* All counts are of one type: added as an array. */
static void totals_add(struct flow_counts *totals, const struct flow_counts *counts)
{
    uint64_t *to = (uint64_t *)totals;
    const uint64_t *from = (const uint64_t *)counts;
    for (size_t i = 0; i < sizeof(*totals) / sizeof(*to); i++)
        to[i] += from[i];
}

static void note_pace(struct chaos *chaos, const struct flow_counts *counts)
{
    reach(chaos, SITUATION_PACED, counts->paced_ms > 0);
    reach(chaos, SITUATION_CUT, counts->paced_steps > 0);
}

static void world_end(struct chaos *chaos)
{
    struct sim_world *world = &chaos->world;
    for (int i = 0; i < world->config.worker_count; i++)
        if (world->workers[i].alive)
            sim_worker_kill(world, i);
    note_pace(chaos, &world->totals);
    reach(chaos, SITUATION_TRACED_TIMER, world->traced_timers > 0);
    reach(chaos, SITUATION_TRACED_CREDIT, world->traced_credits > 0);
    totals_add(&chaos->totals, &world->totals);
    tally_add(chaos);
    sim_world_release(world);
}

static bool poison_held(const struct sim_world *world)
{
    struct span id, state;
    int64_t wake_at;
    char customer[16];
    snprintf(customer, sizeof(customer), "c%d", world->config.poison_customer);
    for (int32_t h = 0; h < SIM_SHARDS; h++)
        for (size_t i = 0; memory_server_customer(world->server, h, i, &id, &state, &wake_at); i++)
            if (span_equal(id, span_of(customer)))
                return quarantine_holds(state);
    return false;
}

/* The workers are mended and his letter is redriven: he must come back. In every other world he stays as he is. */
static bool mend(struct chaos *chaos)
{
    struct sim_world *world = &chaos->world;
    char customer[16];
    if (world->config.poison == SIM_POISON_NONE || sim_random(world, 2) == 0 || !poison_held(world))
        return true;
    world->config.poison = SIM_POISON_NONE;
    snprintf(customer, sizeof(customer), "c%d", world->config.poison_customer);
    sim_world_release_customer(world, span_of(customer));
    reach(chaos, SITUATION_MENDED, true);
    return sim_world_run(world, 5000) && !poison_held(world);
}

static bool come_to_rest(struct chaos *chaos)
{
    struct sim_world *world = &chaos->world;
    touch_all(world);
    bool good = sim_world_run(world, 5000);
    for (int i = 0; good && world->config.real && i < 3; i++) { /* and the timers of the weeks after */
        sim_world_jump(world, (int64_t)sim_random(world, 20 * DAY_MS));
        good = sim_world_run(world, 5000);
    }
    return good && mend(chaos);
}

/* Most worlds are small and dense: a rare interleaving needs few events and many faults, and so a thousand of them take
 * the time of a hundred large ones. One in 32 is large, with a history long enough for what only grows slowly. */
static int turns_of(struct chaos *chaos, uint64_t seed)
{
    struct sim_world *world = &chaos->world;
    chaos->large = (seed * UINT64_C(0xD6E8FEB86659FD93) >> 32) % 32 == 0;
    chaos->odds = chaos->large ? 150 : 20 + sim_random(world, 40);
    return chaos->large ? 150 + (int)sim_random(world, 250) : 20 + (int)sim_random(world, 50);
}

bool chaos_seed(struct chaos *chaos, uint64_t seed, int turns_max, FILE *trace, char ret_why[SIM_TEXT_SIZE])
{
    struct sim_config config = config_of(seed, trace);
    struct sim_world *world = &chaos->world;
    chaos->depth = 0;
    chaos->late_turns = 0;
    memset(chaos->tried, 0, sizeof(chaos->tried));
    sim_world_init(world, &config);
    world->fault = fault;
    world->done = done;
    world->said = said;
    world->fault_context = chaos;
    reach(chaos, SITUATION_REAL_ENGINE, config.real);
    int turns = turns_of(chaos, seed);
    bool audited = bad_times(chaos, turns_max && turns_max < turns ? turns_max : turns, ret_why);
    bool good = audited && come_to_rest(chaos);
    if (audited && !good)
        snprintf(ret_why, SIM_TEXT_SIZE, "the faults stopped but the world does not come to rest: %.400s",
                 world->workers[0].worker.trouble);
    good = good && sim_world_audit(world, ret_why) && stops_none(world, ret_why);
    world_end(chaos);
    return good;
}

int chaos_shrink(struct chaos *chaos, uint64_t seed)
{
    int good = 0, bad = 400; /* all seeds have fewer turns */
    char why[SIM_TEXT_SIZE];
    while (bad - good > 1) {
        int turns = (good + bad) / 2;
        if (chaos_seed(chaos, seed, turns, NULL, why))
            good = turns;
        else
            bad = turns;
    }
    return bad;
}

/* ---- the table ---- */

static void totals_print(const struct flow_counts *totals)
{
    const struct {
        uint64_t count;
        const char *text;
    } rows[] = {{totals->transactions, "transactions"},
                {totals->births, "births"},
                {totals->recoveries, "recoveries"},
                {totals->rebuilt_states, "states written again by recoveries"},
                {totals->forwarded_off_home, "records forwarded"},
                {totals->forwarded_credits, "credits forwarded"},
                {totals->timer_visits, "visits for timers"},
                {totals->swept, "customers swept"},
                {totals->histories_read, "decisions read back into histories"},
                {totals->dead_letters, "dead letters"},
                {totals->actions, "actions"},
                {totals->stopped_shards, "shards stopped"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        printf("%10llu  %s\n", (unsigned long long)rows[i].count, rows[i].text);
}

int chaos_report(const struct chaos *chaos, uint64_t seeds)
{
    int seldom = 0;
    printf("%10s  %10s\n", "reached", "at least");
    for (int i = 0; i < SITUATION_COUNT; i++) {
        uint64_t least = situations[i].least ? situations[i].least * seeds / 1000 : seeds / 10000;
        bool rare = situations[i].least < 10; /* a thousand seeds may have the worlds for it all in one lump, or none */
        bool missed = seeds >= (rare ? 10000 : 1000) && chaos->reached[i] < least;
        printf("%10llu  %10llu  %s%s\n", (unsigned long long)chaos->reached[i], (unsigned long long)least,
               situations[i].text, missed ? "   <-- TOO SELDOM" : "");
        seldom += missed;
    }
    totals_print(&chaos->totals);
    return seldom;
}
