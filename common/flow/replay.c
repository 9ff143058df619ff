#include "common/flow/replay.h"

#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/flow/quarantine.h"

#include <stdlib.h>

/* ---- states by customer ---- */

struct replay_customer {
    struct span id, state; /* owned; id empty = free */
};

static struct replay_customer *customer_slot(const struct replay *replay, struct span id)
{
    size_t mask = replay->customer_capacity - 1;
    for (size_t i = hash_xxh64(id) & mask;; i = (i + 1) & mask)
        if (span_empty(replay->customers[i].id) || span_equal(replay->customers[i].id, id))
            return &replay->customers[i];
}

static void customers_grow(struct replay *replay)
{
    struct replay_customer *old = replay->customers;
    size_t old_capacity = replay->customer_capacity;
    replay->customer_capacity = old_capacity ? old_capacity * 2 : 64;
    replay->customers = calloc(replay->customer_capacity, sizeof(*replay->customers));
    CHECK(replay->customers);
    for (size_t i = 0; i < old_capacity; i++)
        if (!span_empty(old[i].id))
            *customer_slot(replay, old[i].id) = old[i];
    free(old);
}

static struct span own(struct span bytes)
{
    char *copy = malloc(bytes.size + 1);
    CHECK(copy);
    if (bytes.size)
        memcpy(copy, bytes.data, bytes.size);
    return (struct span){copy, bytes.size};
}

void replay_state_set(struct replay *replay, struct span customer_id, struct span state)
{
    if (replay->customer_count * 2 >= replay->customer_capacity)
        customers_grow(replay);
    struct replay_customer *customer = customer_slot(replay, customer_id);
    if (span_empty(customer->id)) {
        customer->id = own(customer_id);
        replay->customer_count++;
    }
    struct span before = customer->state;
    customer->state = own(state);
    free((char *)before.data);
}

struct span replay_state(const struct replay *replay, struct span customer_id)
{
    return replay->customer_capacity ? customer_slot(replay, customer_id)->state : SPAN_NONE;
}

bool replay_customer_next(const struct replay *replay, size_t *at, struct span *ret_id, struct span *ret_state)
{
    while (*at < replay->customer_capacity && span_empty(replay->customers[*at].id))
        ++*at;
    if (*at >= replay->customer_capacity)
        return false;
    *ret_id = replay->customers[*at].id;
    *ret_state = replay->customers[(*at)++].state;
    return true;
}

bool replay_customer_at(const struct replay *replay, size_t index, struct span *ret_id, struct span *ret_state)
{
    for (size_t i = 0; i < replay->customer_capacity; i++) {
        if (span_empty(replay->customers[i].id) || index-- > 0)
            continue;
        *ret_id = replay->customers[i].id;
        *ret_state = replay->customers[i].state;
        return true;
    }
    return false;
}

/* ---- a step ---- */

static int topic_rank(const struct replay *replay, struct span name)
{
    for (int t = 0; t < TOPIC_COUNT; t++)
        if (span_equal(name, span_of(replay->inputs[t])))
            return t;
    return span_equal(name, span_of(replay->forward_topic)) ? TOPIC_COUNT : -1;
}

static enum world record_read(struct replay *replay, int32_t shard, const struct original *record, struct lane *lane)
{
    size_t first = lane->count;
    if (lane->rank == TOPIC_COUNT)
        return lane_read_forward(&replay->formats, &replay->arena, replay->inputs, record, replay->shard_count, lane);
    enum world outcome =
        lane_read_input(&replay->formats, &replay->arena, (enum topic)lane->rank, record, replay->shard_count, lane);
    for (size_t i = first; i < lane->count; i++)
        lane->items[i].away = lane->items[i].kind == ITEM_EVENT && lane->items[i].home != shard; /* forwarded */
    return outcome;
}

static bool lane_read(struct replay *replay, const struct step_log *step, const struct step_range *range,
                      struct lane *lane)
{
    int64_t offset = range->from;
    *lane = (struct lane){.rank = topic_rank(replay, range->topic), .partition = range->partition};
    if (lane->rank < 0 || range->next < range->from)
        return false;
    for (;;) {
        struct original *record = ARENA_NEW(&replay->arena, struct original);
        if (!replay->records.next(replay->records.context, range->topic, range->partition, &offset, range->next,
                                  record))
            break; /* markers and aborted records take offsets too */
        if (record_read(replay, step->shard, record, lane) != WORLD_DONE)
            return false;
    }
    return true;
}

static bool lanes_read(struct replay *replay, const struct step_log *step, struct lane *lanes)
{
    for (size_t i = 0; i < step->range_count; i++)
        if (!lane_read(replay, step, &step->ranges[i], &lanes[i]))
            return false;
    return true;
}

/* A copy for the step: the records that it gives borrow from the state that it began with. */
static struct span state_before(struct replay *replay, struct span customer_id)
{
    return arena_copy(&replay->arena, replay_state(replay, customer_id));
}

static void states_fill(struct replay *replay, const struct step_log *step, struct step_run *run)
{
    for (size_t i = 0; i < run->visit_count; i++)
        run->visits[i].state = state_before(replay, run->visits[i].customer_id);
    for (size_t i = 0; i < step->timer_customer_count; i++) {
        struct span id = step->timer_customers[i];
        bool quarantine = quarantine_named(&id);
        step_run_add_timer(run, id, state_before(replay, id));
        step_run_find(run, id)->quarantine = quarantine;
    }
}

static void states_keep(struct replay *replay, const struct step_run *run)
{
    for (size_t i = 0; i < run->visit_count; i++)
        if (run->visits[i].result.changed)
            replay_state_set(replay, run->visits[i].customer_id, run->visits[i].result.state);
}

static bool hash_is_blank(const unsigned char hash[32])
{
    static const unsigned char blank[32];
    return memcmp(hash, blank, sizeof(blank)) == 0;
}

/* The first step of a shard tells with which playbook it was born; every later one must have what the records before it
 * have put in force. */
static enum replay_fault playbook_pick(const struct replay *replay, const struct step_log *step,
                                       struct control *control, const struct step_world **ret_world)
{
    *ret_world = playbooks_find(&replay->playbooks, step->playbook_hash);
    if (!*ret_world)
        return REPLAY_PLAYBOOK;
    if (hash_is_blank(control->playbook_hash))
        memcpy(control->playbook_hash, step->playbook_hash, sizeof(control->playbook_hash));
    return memcmp(control->playbook_hash, step->playbook_hash, sizeof(step->playbook_hash)) == 0 ? REPLAY_DONE
                                                                                                 : REPLAY_SWITCH;
}

enum replay_fault replay_step(struct replay *replay, const struct step_log *step, struct step_run *ret_run)
{
    CHECK(step->shard >= 0 && step->shard < replay->shard_count);
    int64_t *seq = &replay->seqs[step->shard];
    struct control *control = &replay->controls[step->shard], after;
    struct span customer;
    if (*seq != 0 && step->seq != *seq + 1)
        return REPLAY_GAP;
    const struct step_world *world;
    enum replay_fault fault = playbook_pick(replay, step, control, &world);
    if (fault != REPLAY_DONE)
        return fault;
    arena_reset(&replay->arena);
    *ret_run = (struct step_run){0};
    struct lane *lanes = ARENA_ARRAY(&replay->arena, struct lane, step->range_count);
    if (!lanes_read(replay, step, lanes))
        return REPLAY_RECORD;
    step_run_merge(ret_run, &replay->arena, lanes, step->range_count);
    step_run_group(ret_run, &replay->arena, step->timer_customer_count);
    states_fill(replay, step, ret_run);
    step_run_control(ret_run, &replay->arena, control, &after);
    if (!step_run_decide(ret_run, &replay->arena, &replay->engine, world, &after, step->now, STEP_SENDS_ANY, &customer))
        return REPLAY_STATE;
    states_keep(replay, ret_run);
    if (after.rules != control->rules || after.playbook_version.data != control->playbook_version.data)
        /* they borrow from the step: seldom */
        after = control_copy(&after, &replay->memory);
    *control = after;
    *seq = step->seq;
    return REPLAY_DONE;
}

const char *replay_fault_text(enum replay_fault fault)
{
    static const char *const texts[] = {"done",
                                        "a step is missing before this one",
                                        "made with a playbook that is not in hand",
                                        "not made with the playbook that was put in force before it",
                                        "a record of its ranges cannot be read",
                                        "the engine refused its own state"};
    return texts[fault];
}

/* ---- life ---- */

void replay_init(struct replay *replay, const struct flow_config *config, struct replay_records records)
{
    size_t shards = (size_t)config->shard_count;
    *replay = (struct replay){.formats = config->formats,
                              .engine = config->engine,
                              .world = config->world,
                              .forward_topic = config->forward_topic,
                              .shard_count = config->shard_count,
                              .records = records};
    memcpy(replay->inputs, config->inputs, sizeof(replay->inputs));
    playbooks_borrow(&replay->playbooks, config->world);
    arena_init(&replay->arena, 0);
    arena_init(&replay->memory, 0);
    replay->controls = calloc(shards, sizeof(*replay->controls));
    replay->seqs = calloc(shards, sizeof(*replay->seqs));
    CHECK(replay->controls && replay->seqs);
    for (size_t i = 0; i < shards; i++)
        replay->controls[i] = control_blank();
}

bool replay_playbook_add(struct replay *replay, const struct playbook_entry *entry, struct buffer *error)
{
    return playbooks_add(&replay->playbooks, entry, replay->world->zones, error);
}

void replay_release(struct replay *replay)
{
    for (size_t i = 0; i < replay->customer_capacity; i++) {
        free((char *)replay->customers[i].id.data);
        free((char *)replay->customers[i].state.data);
    }
    free(replay->customers);
    playbooks_release(&replay->playbooks);
    free(replay->controls);
    free(replay->seqs);
    arena_release(&replay->arena);
    arena_release(&replay->memory);
    *replay = (struct replay){0};
}
