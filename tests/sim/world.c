#include "tests/sim/world.h"

#include "common/base/check.h"
#include "common/base/hash.h"
#include "tests/sim/real_engine.h"
#include "tests/sim/toy_engine.h"

#include <stdlib.h>

char sim_running[128];

static const int64_t start_ms = INT64_C(1700000000000);
/* Inputs of 3 and of S = 4 partitions: the first are never direct. */
static const int32_t input_partitions[TOPIC_COUNT] = {3, 4, 4, 3, 4};

static const struct engine real_engine = {step_visit, step_wake_at, step_erased};

static const char *const own_topics[] = {"forward", "state", "steps", "actions", "transitions", "decisions", "dead"};

uint64_t sim_random(struct sim_world *world, uint64_t below)
{
    uint64_t x = world->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    world->random = x;
    return (x * UINT64_C(0x2545F4914F6CDD1D) >> 11) % below;
}

/* ---- the shop ---- */

static void expect(struct sim_world *world, const char *customer, const char *rule, const char *key)
{
    char text[256];
    if (world->expected_count == world->expected_capacity) {
        world->expected_capacity = world->expected_capacity ? world->expected_capacity * 2 : 64;
        world->expected = realloc(world->expected, world->expected_capacity * sizeof(char *));
        CHECK(world->expected);
    }
    snprintf(text, sizeof(text), "%s|%s|%s", customer, rule, key);
    world->expected[world->expected_count++] = strdup(text);
}

static void expect_event(struct sim_world *world, const char *customer, const char *id, const char *referrer)
{
    char key[32];
    snprintf(key, sizeof(key), "%016llx", (unsigned long long)hash_xxh64(span_of(id)));
    expect(world, customer, "thank", id);
    expect(world, customer, "remind", key);
    if (strcmp(referrer, "-") != 0)
        expect(world, referrer, "reward", customer);
}

static void append(struct sim_world *world, const char *customer, const char *value)
{
    int topic;
    char wrong[32];
    do
        topic = (int)sim_random(world, TOPIC_COUNT);
    while (topic == TOPIC_CUSTOMERS && world->config.no_customers_topic);
    snprintf(wrong, sizeof(wrong), "wrong-%d", (int)sim_random(world, 100));
    struct log_message message = {.topic = world->flow.inputs[topic],
                                  .partition = LOG_PARTITION_BY_KEY,
                                  .key = span_of(sim_random(world, 10) == 0 ? wrong : customer),
                                  .value = span_of(value)};
    memory_cluster_append(world->cluster, &message);
}

/* The record says more than one thing, mostly of customers who are at home elsewhere. */
static void more_events(struct sim_world *world, const char *id, int64_t at, char *value, size_t capacity)
{
    for (int more = 1 + (int)sim_random(world, 2); more > 0; more--) {
        char customer[16], own[56];
        size_t size = strlen(value);
        snprintf(customer, sizeof(customer), "c%d", (int)sim_random(world, 12));
        snprintf(own, sizeof(own), "%s-%d", id, more);
        snprintf(value + size, capacity - size, ";%s %s %lld %d - -", own, customer, (long long)at,
                 (int)sim_random(world, 9000));
        expect_event(world, customer, own, "-");
    }
}

static void toy_shop_event(struct sim_world *world)
{
    char customer[16], referrer[16] = "-", id[48], value[256];
    int chance = (int)sim_random(world, 100);
    int64_t at = world->script.wall_ms - (int64_t)sim_random(world, 5000);
    size_t number = world->event_count++;
    snprintf(customer, sizeof(customer), "c%d", (int)sim_random(world, 12));
    snprintf(id, sizeof(id), "e%zu-%s", number, customer);
    if (chance >= 88 && chance < 90)
        append(world, customer, "nothing");
    if (chance < 4) { /* unreadable */
        world->dead_count++;
        append(world, customer, "garbage");
        return;
    }
    if (chance < 7) { /* from the future */
        world->dead_count++;
        at += 3 * DAY_MS;
    }
    if (chance >= 90)
        snprintf(referrer, sizeof(referrer), "c%d", (int)sim_random(world, 12));
    bool test = chance >= 7 && chance < 10;
    snprintf(value, sizeof(value), "%s %s %lld %d %s %s", id, customer, (long long)at, (int)sim_random(world, 9000),
             referrer, test ? "test" : "-");
    if (chance >= 7 && !test)
        expect_event(world, customer, id, referrer);
    if (chance >= 18 && chance < 26)
        more_events(world, id, at, value, sizeof(value));
    append(world, customer, value);
    if (chance >= 10 && chance < 18)
        append(world, customer, value); /* twice, perhaps by another topic */
}

void sim_world_event(struct sim_world *world)
{
    (world->config.real ? real_shop_event : toy_shop_event)(world);
}

void sim_world_control(struct sim_world *world, const struct forward *control)
{
    struct buffer bytes = {0};
    forward_encode(control, &bytes);
    for (int32_t h = 0; h < SIM_SHARDS; h++) {
        struct log_message message = {.topic = world->flow.forward_topic, .partition = h, .value = buffer_span(&bytes)};
        memory_cluster_append(world->cluster, &message);
    }
    buffer_release(&bytes);
}

void sim_world_release_customer(struct sim_world *world, struct span customer_id)
{
    struct buffer bytes = {0};
    forward_encode(&(struct forward){.kind = FORWARD_RELEASE, .rule = customer_id}, &bytes);
    struct log_message message = {.topic = world->flow.forward_topic,
                                  .partition = (int32_t)hash_home_shard(customer_id, SIM_SHARDS),
                                  .value = buffer_span(&bytes)};
    memory_cluster_append(world->cluster, &message);
    buffer_release(&bytes);
}

void sim_world_activate_text(struct sim_world *world, int variant)
{
    const struct playbook *playbook = real_variant(variant)->playbook;
    struct playbook_entry entry = {
        .version = playbook->version, .activated_at = NEVER, .yaml = real_variant_text(variant)};
    struct buffer bytes = {0};
    char key[PLAYBOOK_KEY_SIZE];
    memcpy(entry.hash, playbook->hash, sizeof(entry.hash));
    playbook_entry_key(&entry, key);
    playbook_entry_encode(&entry, &bytes);
    struct log_message message = {
        .topic = world->flow.playbook_topic, .key = span_of(key), .value = buffer_span(&bytes)};
    memory_cluster_append(world->cluster, &message);
    buffer_release(&bytes);
}

void sim_world_activate_control(struct sim_world *world, int variant)
{
    const struct playbook *playbook = real_variant(variant)->playbook;
    struct forward control = {
        .kind = FORWARD_PLAYBOOK, .playbook_version = playbook->version, .activation = ++world->activation_count};
    memcpy(control.playbook_hash, playbook->hash, sizeof(control.playbook_hash));
    sim_world_control(world, &control);
    world->variant = variant;
}

void sim_world_activate(struct sim_world *world, int variant)
{
    sim_world_activate_text(world, variant);
    sim_world_activate_control(world, variant);
}

/* ---- the clocks ---- */

static int64_t broker_wall(void *context)
{
    const struct clock_scripted *script = context;
    return start_ms + script->monotonic_ms;
}

static int64_t broker_monotonic(void *context)
{
    const struct clock_scripted *script = context;
    return script->monotonic_ms;
}

static int64_t worker_wall(void *context)
{
    const struct sim_worker *worker = context;
    return (worker->clock_stands ? worker->wall_ms_stood : worker->world->script.wall_ms) + worker->clock_offset;
}

static int64_t worker_monotonic(void *context)
{
    const struct sim_worker *worker = context;
    return worker->clock_stands ? worker->monotonic_ms_stood : worker->world->script.monotonic_ms;
}

void sim_worker_clock_jump(struct sim_world *world, int index, int64_t offset_ms)
{
    world->workers[index].clock_offset = offset_ms;
}

void sim_worker_clock_stand(struct sim_world *world, int index, bool stands)
{
    struct sim_worker *worker = &world->workers[index];
    if (stands && !worker->clock_stands) {
        worker->wall_ms_stood = world->script.wall_ms;
        worker->monotonic_ms_stood = world->script.monotonic_ms;
    }
    worker->clock_stands = stands;
}

void sim_world_clocks_mend(struct sim_world *world)
{
    for (int i = 0; i < SIM_WORKERS_MAX; i++) {
        world->workers[i].clock_offset = 0;
        world->workers[i].clock_stands = false;
    }
}

void sim_world_jump(struct sim_world *world, int64_t ms)
{
    world->script.wall_ms += ms;
}

/* ---- the workers ---- */

static enum fault_kind ask(void *context, const char *call)
{
    struct sim_worker *worker = context;
    struct sim_world *world = worker->world;
    return world->fault ? world->fault(world->fault_context, worker, call) : FAULT_NONE;
}

static void tell(void *context, const char *call, enum fault_kind kind, enum world outcome)
{
    struct sim_worker *worker = context;
    struct sim_world *world = worker->world;
    if (world->done)
        world->done(world->fault_context, worker, call, kind, outcome);
}

static void report(void *context, enum report_level level, const char *text)
{
    struct sim_worker *worker = context;
    static const char *const levels[] = {"info", "warning", "error"};
    if (worker->world->config.trace)
        fprintf(worker->world->config.trace, "%lld w%d %s: %s\n", (long long)worker->world->script.wall_ms,
                worker->index, levels[level], text);
    if (worker->world->said)
        worker->world->said(worker->world->fault_context, worker, text);
}

void sim_worker_start(struct sim_world *world, int index)
{
    struct sim_worker *worker = &world->workers[index];
    CHECK(!worker->alive);
    worker->world = world;
    worker->index = index;
    worker->incarnation++;
    worker->alive = true;
    worker->clock = (struct clock){.context = worker, .wall_ms = worker_wall, .monotonic_ms = worker_monotonic};
    snprintf(worker->transactional_id, sizeof(worker->transactional_id), "w%d-%d", index,
             world->config.stable_ids ? 0 : worker->incarnation);
    const char *topics[TOPIC_COUNT + 1];
    memcpy(topics, world->flow.inputs, sizeof(world->flow.inputs));
    topics[TOPIC_COUNT] = world->flow.forward_topic;
    struct log_memory_config log = {SIM_GROUP, worker->transactional_id, topics, TOPIC_COUNT + 1};
    worker->faults = (struct faults){.context = worker,
                                     .next = ask,
                                     .done = tell,
                                     .log = log_memory_open(world->cluster, &log),
                                     .store = store_memory_open(world->server)};
    worker->log = log_faulty(&worker->faults);
    worker->store = store_faulty(&worker->faults);
    struct flow_config flow = world->flow;
    flow.transactional_id = span_of(worker->transactional_id);
    flow.token = (uint64_t)worker->incarnation << 8 | (uint64_t)index;
    if (world->config.activates) { /* whatever its file says: only a shard's birth goes by it */
        int variant = (int)sim_random(world, 4) % REAL_VARIANTS;
        flow.world = real_variant(variant);
        flow.playbook_text = real_variant_text(variant);
    }
    flow.report = report;
    flow.report_context = worker;
    worker_init(&worker->worker, &flow, &worker->log, &worker->store, &worker->clock);
}

/* All counts are of one type: added as an array. */
static void counts_add(struct flow_counts *total, const struct flow_counts *counts)
{
    uint64_t *to = (uint64_t *)total;
    const uint64_t *from = (const uint64_t *)counts;
    for (size_t i = 0; i < sizeof(*total) / sizeof(*to); i++)
        to[i] += from[i];
}

static void worker_gone(struct sim_worker *worker)
{
    counts_add(&worker->world->totals, &worker->worker.counts);
    worker_release(&worker->worker);
    worker->alive = false;
}

void sim_worker_kill(struct sim_world *world, int index)
{
    struct sim_worker *worker = &world->workers[index];
    log_memory_abandon(&worker->faults.log);
    worker_gone(worker);
}

void sim_worker_end(struct sim_world *world, int index)
{
    struct sim_worker *worker = &world->workers[index];
    log_close(&worker->faults.log);
    worker_gone(worker);
}

int32_t sim_worker_turn(struct sim_world *world, int index)
{
    struct sim_worker *worker = &world->workers[index];
    struct sim_worker *before = sim_poison_turn(worker);
    int32_t wait = worker_turn(&worker->worker, 0);
    sim_poison_turn(before);
    if (worker->faults.dead)
        sim_worker_kill(world, index);
    return wait;
}

/* ---- settled? ---- */

static bool partition_consumed(const struct sim_world *world, const char *topic, int32_t partition)
{
    struct log_record record;
    int64_t offset = memory_cluster_committed(world->cluster, SIM_GROUP, topic, partition, NULL);
    int64_t low, stable, high;
    if (offset == LOG_OFFSET_NONE)
        return false;
    memory_cluster_watermarks(world->cluster, topic, partition, &low, &stable, &high);
    return stable == high && !memory_cluster_read(world->cluster, topic, partition, true, &offset, &record);
}

static bool topic_consumed(const struct sim_world *world, const char *topic)
{
    for (int32_t p = 0; p < memory_cluster_partition_count(world->cluster, topic); p++)
        if (!partition_consumed(world, topic, p))
            return false;
    return true;
}

/* No transaction of a dead worker hides what came after it. */
static bool topic_visible(const struct sim_world *world, const char *topic)
{
    int64_t low, stable, high;
    for (int32_t p = 0; p < memory_cluster_partition_count(world->cluster, topic); p++) {
        memory_cluster_watermarks(world->cluster, topic, p, &low, &stable, &high);
        if (stable != high)
            return false;
    }
    return true;
}

static bool anything_due(const struct sim_world *world)
{
    struct span id, state;
    int64_t wake_at;
    for (int32_t h = 0; h < SIM_SHARDS; h++)
        for (size_t i = 0; memory_server_customer(world->server, h, i, &id, &state, &wake_at); i++)
            if (wake_at != NEVER && (!world->config.real || wake_at <= world->script.wall_ms))
                return true;
    return false;
}

static bool anything_to_sweep(const struct sim_world *world)
{
    for (int i = 0; i < world->config.worker_count; i++)
        for (int32_t h = 0; world->workers[i].alive && h < SIM_SHARDS; h++)
            if (world->workers[i].worker.shards[h].control.sweeping)
                return true;
    return false;
}

static bool anything_to_read_back(const struct sim_world *world)
{
    for (int i = 0; i < world->config.worker_count && world->flow.history_max > 0; i++)
        for (int32_t h = 0; world->workers[i].alive && h < SIM_SHARDS; h++) {
            const struct shard *shard = &world->workers[i].worker.shards[h];
            if (shard->phase == SHARD_READY && !shard->history.whole)
                return true;
        }
    return false;
}

bool sim_world_settled(struct sim_world *world)
{
    int ready = 0;
    for (int i = 0; i < world->config.worker_count; i++)
        ready += world->workers[i].alive && worker_ready(&world->workers[i].worker);
    if (ready != world->config.worker_count || anything_due(world) || anything_to_sweep(world) ||
        anything_to_read_back(world))
        return false;
    memory_cluster_settle(world->cluster);
    for (int t = 0; t < TOPIC_COUNT; t++)
        if (!topic_consumed(world, world->flow.inputs[t]))
            return false;
    for (size_t i = 0; i < COUNT_OF(own_topics); i++)
        if (!topic_visible(world, own_topics[i]))
            return false;
    return topic_consumed(world, world->flow.forward_topic);
}

bool sim_world_run(struct sim_world *world, int turn_max)
{
    enum { STARTS_MAX = 200 }; /* who dies more often than that without a fault dies for ever */
    int starts = 0;
    for (int turn = 0; turn < turn_max; turn++) {
        int32_t least = 1000;
        for (int i = 0; i < world->config.worker_count; i++) {
            if (!world->workers[i].alive) {
                if (++starts > STARTS_MAX)
                    return false;
                sim_worker_start(world, i);
            }
            int32_t wait = sim_worker_turn(world, i);
            least = wait < least ? wait : least;
        }
        clock_scripted_move(&world->script, least > 0 ? least : 1);
        if (turn % 8 == 7 && sim_world_settled(world))
            return true;
    }
    return false;
}

/* ---- life ---- */

void sim_world_init(struct sim_world *world, const struct sim_config *config)
{
    *world = (struct sim_world){.config = *config};
    world->random = config->seed * UINT64_C(0x9E3779B97F4A7C15) | 1;
    world->script = (struct clock_scripted){start_ms, 1000};
    world->clock = clock_scripted_open(&world->script);
    world->broker_clock = (struct clock){&world->script, broker_wall, broker_monotonic};
    struct memory_cluster_config cluster = {.cluster_id = "simulated",
                                            .clock = &world->broker_clock,
                                            .session_timeout_ms = 6000,
                                            .transaction_timeout_ms = 10000,
                                            .marker_lag_max = config->marker_lag_max,
                                            .deaf_polls = config->brokers ? 10 : 0,
                                            .seed = config->seed};
    world->cluster = memory_cluster_new(&cluster);
    world->server = memory_server_new(SIM_SHARDS, &world->clock);
    world->zones = zones_new();
    world->playbook.version = SPAN("toy");
    world->step_world =
        config->real ? *real_step_world() : (struct step_world){.playbook = &world->playbook, .zones = world->zones};
    world->flow = (struct flow_config){.application_id = SPAN("sim"),
                                       .shard_count = SIM_SHARDS,
                                       .inputs = {"orders", "deliveries", "surveys", "email-opens", "customers"},
                                       .forward_topic = "forward",
                                       .state_topic = "state",
                                       .steps_topic = "steps",
                                       .actions_topic = "actions",
                                       .transitions_topic = "transitions",
                                       .decisions_topic = "decisions",
                                       .dead_topic = "dead",
                                       .playbook_topic = "playbook",
                                       .batch_records_max = config->batch_records_max ? config->batch_records_max : 16,
                                       .batch_bytes_max = 1 << 20,
                                       .batch_timers_max = config->activates ? 1 : 3, /* long sweeps */
                                       .arena_limit = 1 << 20,
                                       .dead_value_max = 1000,
                                       .portion_max = 3,
                                       .decisions = DECISIONS_ALL,
                                       .record_tries = config->record_tries,
                                       .forward_keep_ms = config->brokers ? 400 : 0,
                                       .sends_per_second = config->sends_per_second,
                                       .history_max = config->real ? config->seed % 16 < 8 ? 3 : 30
                                                                   : 0, /* the toy decides nothing */
                                       .skew_max_ms = 60000,
                                       .tries_max = 3,
                                       .backoff_ms = 50,
                                       .backoff_max_ms = 1000,
                                       .world = &world->step_world,
                                       .engine = config->real ? real_engine : toy_engine,
                                       .formats = config->real ? real_formats : toy_formats};
    if (config->poison != SIM_POISON_NONE)
        sim_poison_install(world);
    for (int t = 0; t < TOPIC_COUNT; t++)
        if (t != TOPIC_CUSTOMERS || !config->no_customers_topic)
            memory_cluster_topic_add(world->cluster, world->flow.inputs[t], input_partitions[t]);
    for (size_t i = 0; i < COUNT_OF(own_topics); i++)
        memory_cluster_topic_add(world->cluster, own_topics[i], SIM_SHARDS);
    if (config->activates)
        memory_cluster_topic_add(world->cluster, world->flow.playbook_topic, 1);
}

void sim_world_release(struct sim_world *world)
{
    for (int i = 0; i < SIM_WORKERS_MAX; i++)
        if (world->workers[i].alive)
            sim_worker_kill(world, i);
    for (size_t i = 0; i < world->expected_count; i++)
        free(world->expected[i]);
    free(world->expected);
    for (size_t i = 0; i < world->history_count; i++)
        free(world->history[i]);
    free(world->history);
    memory_cluster_free(world->cluster);
    memory_server_free(world->server);
    zones_free(world->zones);
    *world = (struct sim_world){0};
}
