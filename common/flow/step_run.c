#include "common/flow/step_run.h"

#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/flow/control.h"
#include "common/flow/quarantine.h"

/* ---- lanes ---- */

struct item *lane_add(struct arena *arena, struct lane *lane)
{
    if (lane->count == lane->capacity) {
        lane->capacity = lane->capacity ? lane->capacity * 2 : 4;
        struct item *items = ARENA_ARRAY(arena, struct item, lane->capacity);
        if (lane->count)
            memcpy(items, lane->items, lane->count * sizeof(*items));
        lane->items = items;
    }
    return &lane->items[lane->count++];
}

/* ---- merge ---- */

static bool head_before(const struct lane *a, size_t at_a, const struct lane *b, size_t at_b)
{
    if (a->items[at_a].timestamp != b->items[at_b].timestamp)
        return a->items[at_a].timestamp < b->items[at_b].timestamp;
    if (a->rank != b->rank)
        return a->rank < b->rank;
    return a->partition < b->partition;
}

void step_run_merge(struct step_run *run, struct arena *arena, const struct lane *lanes, size_t lane_count)
{
    size_t *at = ARENA_ARRAY(arena, size_t, lane_count + 1);
    run->item_count = 0;
    for (size_t i = 0; i < lane_count; i++)
        run->item_count += lanes[i].count;
    run->order = ARENA_ARRAY(arena, struct item *, run->item_count + 1);
    for (size_t n = 0; n < run->item_count; n++) {
        size_t best = lane_count;
        for (size_t i = 0; i < lane_count; i++)
            if (at[i] < lanes[i].count && (best == lane_count || head_before(&lanes[i], at[i], &lanes[best], at[best])))
                best = i;
        run->order[n] = &lanes[best].items[at[best]++];
    }
}

/* ---- group ---- */

static bool takes_part(const struct item *item)
{
    return !item->away && (item->kind == ITEM_EVENT || item->kind == ITEM_CREDIT);
}

static bool is_release(const struct item *item)
{
    return item->kind == ITEM_CONTROL && item->forward.kind == FORWARD_RELEASE;
}

static size_t slot_of(const struct step_run *run, struct span customer_id)
{
    size_t mask = run->slot_count - 1;
    for (size_t i = hash_xxh64(customer_id) & mask;; i = (i + 1) & mask)
        if (run->slots[i] == 0 || span_equal(run->visits[run->slots[i] - 1].customer_id, customer_id))
            return i;
}

static struct customer_visit *visit_take(struct step_run *run, struct span customer_id)
{
    size_t slot = slot_of(run, customer_id);
    if (run->slots[slot] != 0)
        return &run->visits[run->slots[slot] - 1];
    CHECK(run->visit_count < run->visit_capacity);
    struct customer_visit *visit = &run->visits[run->visit_count++];
    visit->customer_id = customer_id;
    run->slots[slot] = (uint32_t)run->visit_count;
    return visit;
}

void step_run_group(struct step_run *run, struct arena *arena, size_t timer_max)
{
    run->visit_capacity = run->item_count + timer_max;
    run->visits = ARENA_ARRAY(arena, struct customer_visit, run->visit_capacity + 1);
    for (run->slot_count = 16; run->slot_count < 2 * run->visit_capacity;)
        run->slot_count *= 2;
    run->slots = ARENA_ARRAY(arena, uint32_t, run->slot_count);
    for (size_t i = 0; i < run->item_count; i++) {
        if (takes_part(run->order[i]))
            visit_take(run, run->order[i]->event.customer_id)->event_count++;
        if (is_release(run->order[i]))
            visit_take(run, run->order[i]->forward.rule)->release = true;
    }
    for (size_t i = 0; i < run->visit_count; i++) {
        struct customer_visit *visit = &run->visits[i];
        visit->events = ARENA_ARRAY(arena, struct event, visit->event_count);
        visit->items = ARENA_ARRAY(arena, const struct item *, visit->event_count);
        visit->event_count = 0;
    }
    for (size_t i = 0; i < run->item_count; i++) {
        if (!takes_part(run->order[i]))
            continue;
        struct customer_visit *visit = visit_take(run, run->order[i]->event.customer_id);
        visit->events[visit->event_count] = run->order[i]->event;
        visit->items[visit->event_count++] = run->order[i];
    }
}

struct customer_visit *step_run_find(const struct step_run *run, struct span customer_id)
{
    uint32_t index = run->slots[slot_of(run, customer_id)];
    return index && index <= run->visit_count ? &run->visits[index - 1] : NULL;
}

void step_run_add_timer(struct step_run *run, struct span customer_id, struct span state)
{
    struct customer_visit *visit = step_run_find(run, customer_id);
    if (visit) {
        visit->due = true;
        return;
    }
    visit = visit_take(run, customer_id);
    visit->due = visit->timer_only = true;
    visit->state = state;
}

/* ---- decide ---- */

void step_run_control(const struct step_run *run, struct arena *arena, const struct control *before,
                      struct control *ret_control)
{
    *ret_control = *before;
    for (size_t i = 0; i < run->item_count; i++)
        if (run->order[i]->kind == ITEM_CONTROL)
            *ret_control = control_after(ret_control, &run->order[i]->forward, arena);
}

/* Nobody is asked: his events are dead, his state is as it was, or goes behind the mark. */
static void visit_hold(struct customer_visit *slot, struct arena *arena)
{
    bool held = quarantine_holds(slot->state);
    struct event_result *results = ARENA_ARRAY(arena, struct event_result, slot->event_count);
    for (size_t i = 0; i < slot->event_count; i++)
        results[i] = (struct event_result){.verdict = VERDICT_DEAD, .reason = REASON_QUARANTINED};
    slot->result = (struct visit_result){.state = held ? slot->state : quarantine_of(slot->state, arena),
                                         .changed = !held,
                                         .wake_at = NEVER,
                                         .results = results};
}

static bool visit_decide(struct customer_visit *slot, struct arena *arena, const struct engine *engine,
                         const struct step_world *world, int64_t now)
{
    bool held = quarantine_holds(slot->state), released = held && slot->release;
    if ((held && !released) || (slot->quarantine && !span_empty(slot->state))) {
        visit_hold(slot, arena);
        return true;
    }
    struct visit visit = {.customer_id = slot->customer_id,
                          .state = released ? quarantine_inside(slot->state) : slot->state,
                          .events = slot->events,
                          .event_count = slot->event_count,
                          .now = now,
                          .fire_now = true};
    if (!engine->visit(world, arena, &visit, &slot->result))
        return false;
    slot->result.changed = slot->result.changed || released;
    return true;
}

static size_t sends_of(const struct visit_result *result)
{
    size_t count = 0;
    for (const struct record *record = result->records; record; record = record->next)
        count += record->type == RECORD_ACTION && record->action.kind == ACTION_SEND;
    return count;
}

bool step_run_decide(struct step_run *run, struct arena *arena, const struct engine *engine,
                     const struct step_world *world, const struct control *control, int64_t now, int64_t sends_max,
                     struct span *ret_customer)
{
    struct pauses *pauses = ARENA_NEW(arena, struct pauses);
    *pauses = control_pauses(control);
    struct step_world shard_world = *world;
    shard_world.pauses = pauses;
    for (size_t i = 0; i < run->visit_count; i++) {
        struct customer_visit *slot = &run->visits[i];
        if (slot->timer_only && sends_max != STEP_SENDS_ANY && (int64_t)run->send_count >= sends_max) {
            run->visit_count = i; /* all behind him are for timers too */
            break;
        }
        if (!visit_decide(slot, arena, engine, &shard_world, now)) {
            *ret_customer = slot->customer_id;
            return false;
        }
        run->send_count += sends_of(&slot->result);
    }
    return true;
}
