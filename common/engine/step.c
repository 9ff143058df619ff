/* One visit to one customer: the order of everything (R2, R42). */
#include "common/engine/step.h"

#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/engine/open_state.h"
#include "common/engine/pass.h"
#include "common/engine/window.h"

/* ---- the stages of a pass, in the order of R42 ---- */

static void pass_run(struct pass *pass, bool fire)
{
    pass_read(pass);
    transitions_find(pass);
    revokes_make(pass);
    runs_cancel(pass);
    triggers_fire(pass);
    anchors_read(pass);
    calendar_read(pass, false);
    decisions_make(pass, fire);
    runs_sweep(&pass->runs);
    pass->runs.next_change_at = pass->figures.next_change_at;
}

/* Between two instants at which time alone changes the figures nothing but decisions can happen: every class, anchor
 * and order is as the pass before left it. Most timers fire so. What has ended is swept out once for many of them. */
static void pass_decide(struct pass *pass, bool fire)
{
    pass_read(pass);
    calendar_read(pass, true);
    decisions_make(pass, fire);
}

static void pass_timers(struct pass *pass, bool fire)
{
    pass->event = NULL;
    bool quiet = pass->runs.next_change_at == NEVER || pass->runs.next_change_at > pass->now;
    if (quiet && !pass->another_playbook)
        pass_decide(pass, fire);
    else
        pass_run(pass, fire);
}

/* ---- when ---- */

/* The state's own timers: runs that wait, and what time alone will change in the figures. */
static int64_t wake_at(const struct runs *runs)
{
    if (runs->next_change_at == NEVER || (runs->first_at != NEVER && runs->first_at < runs->next_change_at))
        return runs->first_at;
    return runs->next_change_at;
}

static bool due_before(const struct pass *pass, int64_t instant)
{
    int64_t at = wake_at(&pass->runs);
    return at != NEVER && at < instant;
}

/* ---- events ---- */

static void credits_add(struct visit_result *result, struct credit_out *credits)
{
    struct credit_out **end = &result->credits;
    while (*end)
        end = &(*end)->next;
    *end = credits;
}

/* What was read of the facts names them by places that are others now. */
static void facts_moved(struct pass *pass)
{
    pass->figures_parts = FIGURES_ALL;
    pass->figures_stand = false;
    pass->anchors_stand = 0;
}

static void apply_erasure(struct pass *pass)
{
    facts_moved(pass);
    runs_erase(pass); /* no transitions (R31) */
    runs_init(&pass->runs);
}

/* Of orders, deliveries and answers are the anchors made that a series may hang on. */
static bool may_anchor(const struct event *event)
{
    return event->topic == TOPIC_ORDERS || event->topic == TOPIC_DELIVERIES || event->topic == TOPIC_SURVEYS;
}

/* Which figures the event that was just applied can have changed, if those before it stood. An e-mail's record that was
 * known may have been of another kind before. */
static uint32_t figures_parts_of(const struct pass *pass, const struct event *event, bool note_new)
{
    if (!pass->figures_stand || event->kind == EVENT_CREDIT)
        return FIGURES_ALL;
    switch (event->topic) {
    case TOPIC_ORDERS:
        return FIGURES_ORDERS;
    case TOPIC_DELIVERIES:
        return FIGURES_DELIVERIES;
    case TOPIC_SURVEYS:
        return FIGURES_RESPONSES;
    case TOPIC_EMAIL_OPENS:
        return note_new ? FIGURES_CONTACTS : FIGURES_ALL;
    default:
        return FIGURES_ALL;
    }
}

static void facts_changed(struct pass *pass, uint32_t parts)
{
    pass->figures_parts = parts;
    pass->head.facts_bytes = SPAN_NONE;
    pass->facts_stand = pass->figures_stand = false;
}

static void apply_effects(struct pass *pass)
{
    if (pass->change.erased_now) {
        apply_erasure(pass);
        return;
    }
    if (pass->event->backfill && pass->change.counts && may_anchor(pass->event))
        runs_arrived(&pass->runs, pass->arena, event_record(pass->event), pass->now); /* R7 */
    pass->runs.playbook = pass->playbook->mark;
    pass_run(pass, false);
}

static struct event_result result_of(const struct fold_change *change)
{
    static const enum verdict verdicts[] = {[FOLD_APPLIED] = VERDICT_APPLIED,
                                            [FOLD_DUPLICATE] = VERDICT_DUPLICATE,
                                            [FOLD_TEST] = VERDICT_TEST,
                                            [FOLD_ERASED] = VERDICT_ERASED,
                                            [FOLD_REFUSED] = VERDICT_DEAD};
    return (struct event_result){verdicts[change->verdict], change->reason, change->field};
}

/* Returns whether the event was applied. */
static bool apply_event(struct pass *pass, const struct event *event, struct event_result *ret_result,
                        struct visit_result *result)
{
    bool may_credit = event->topic == TOPIC_ORDERS || event->kind == EVENT_ERASED;
    struct credit_list before = {NULL, 0}, after = {NULL, 0};
    if (may_credit)
        before = credit_standings(&pass->facts, pass->arena);
    uint32_t failures = pass->facts.failures_count, notes = pass->facts.notes_count;
    pass->event = event;
    facts_apply(&pass->facts, pass->arena, pass->playbook, event, pass->now, &pass->change);
    *ret_result = result_of(&pass->change);
    if (ret_result->verdict != VERDICT_APPLIED)
        return false;
    facts_changed(pass, figures_parts_of(pass, event, pass->facts.notes_count > notes));
    pass->source_left |= pass->change.source_left;
    pass->failure_new = pass->facts.failures_count > failures;
    if (!span_empty(event->time_zone) && pass->world->zones && zones_find(pass->world->zones, event->time_zone) == NULL)
        result->unknown_time_zone_count++; /* R33 */
    apply_effects(pass);
    if (may_credit) {
        after = credit_standings(&pass->facts, pass->arena);
        credits_add(result,
                    credit_changes(pass->arena, pass->customer_id, event, before, after, pass->change.erased_now));
    }
    return true;
}

/* ---- the blob ---- */

static bool pass_decode(struct pass *pass, struct span blob)
{
    struct state_reader reader;
    if (!state_decode(blob, pass->arena, &pass->head, &pass->facts, &reader))
        return false;
    runs_init(&pass->runs);
    pass->figures_parts = FIGURES_ALL;
    pass->dates_at = NEVER;
    pass->facts_stand = !span_empty(pass->head.facts_bytes);
    if (blob.size == 0)
        return true;
    if (pass->facts.erased_at == NEVER && !runs_decode(&pass->runs, pass->playbook, &pass->facts, pass->arena, &reader))
        return false;
    return state_reader_finish(&reader);
}

static void pass_tidy(struct pass *pass)
{
    runs_sweep(&pass->runs);
    runs_expire(&pass->runs, pass->now);
    if (pass->now >= pass->runs.days_end_at)
        runs_expire_days(&pass->runs, pass->runs.days_count > 0 ? pass_today(pass) : 0);
    if (pass->facts_stand)
        return;
    uint32_t folded = pass->facts.folded.identity_count;
    struct facts_asked asked = {0};
    if (pass->facts.folded.newest_at != NEVER) /* few have so many facts */
        asked = runs_asked(&pass->runs, &pass->facts, pass->arena);
    if (facts_compact(&pass->facts, pass->arena, pass->playbook, &asked)) {
        facts_moved(pass);
        pass->source_left = true;
    }
    if (pass->facts.folded.identity_count != folded)
        runs_forget_folded(&pass->runs, &pass->facts);
}

/* expected: a guess at its bytes. */
static struct span encode(const struct step_world *world, struct arena *arena, const struct state_head *head,
                          const struct facts *facts, const struct runs *runs, size_t expected)
{
    struct state_writer writer;
    state_writer_init(&writer, arena, expected);
    state_encode(&writer, head, facts);
    if (facts->erased_at == NEVER)
        runs_encode(runs, world->playbook, facts, &writer);
    return state_writer_finish(&writer);
}

/* ---- the visit ---- */

static bool alive(const struct pass *pass)
{
    return pass->head.classified && pass->facts.erased_at == NEVER;
}

/* What was due before, at the clock of this visit; and what another playbook changes (R81). */
static bool timers_late(struct pass *pass)
{
    pass->another_playbook = pass->runs.playbook != pass->playbook->mark;
    if (!alive(pass) || !(pass->another_playbook || due_before(pass, pass->now)))
        return false;
    if (pass->another_playbook) {
        facts_changed(pass, FIGURES_ALL); /* what is kept of them may differ */
        facts_moved(pass);
        pass->dates_zone_known = false; /* the default zone may be another */
    }
    playbook_change(pass);
    pass_timers(pass, false);
    runs_sweep(&pass->runs);
    pass->another_playbook = false;
    return true;
}

static bool timers_now(struct pass *pass)
{
    if (!alive(pass) || !due_before(pass, pass->now + 1))
        return false;
    pass_timers(pass, true);
    return true;
}

/* What a visit's timers leave in the arena, and the runs that they ended, go when it is over. */
enum { IN_TURN_MAX = 64 };

/* Visits without events, one at each instant before `until` at which something is due; so many at the most. Returns at
 * how many. */
static uint32_t timers_in_turn(struct pass *pass, int64_t until)
{
    uint32_t count = 0;
    while (count < IN_TURN_MAX && alive(pass) && due_before(pass, until)) {
        pass->now = wake_at(&pass->runs);
        if (count++ == 0)
            timers_late(pass);
        timers_now(pass);
        if (!pass->facts_stand)
            pass_tidy(pass);
        CHECK(!due_before(pass, pass->now + 1)); /* else this would never end */
    }
    if (count > 0)
        pass_tidy(pass);
    return count;
}

/* R2: his own timers before T, the events in order, then what is due at T. Returns whether anything was touched. */
static bool visit_run(struct pass *pass, const struct visit *visit, struct visit_result *result)
{
    bool touched = timers_late(pass);
    for (size_t i = 0; i < visit->event_count; i++)
        touched |= apply_event(pass, &visit->events[i], &result->results[i], result);
    return (visit->fire_now && timers_now(pass)) || touched;
}

bool step_erased(struct span state)
{
    return state_erased(state);
}

static void pass_begin(struct pass *pass, const struct step_world *world, struct arena *arena, struct span customer_id)
{
    pass->world = world;
    pass->playbook = world->playbook;
    pass->arena = arena;
    pass->customer_id = customer_id;
    pass->event = NULL;
    pass->values = NULL;
    pass->cycle_key.key = pass->order_key.key = SPAN_NONE;
    pass->source_left = false;
    pass->texts.from = pass->texts.to = SPAN_NONE; /* the texts of the visit before are gone */
    pass->records = pass->records_last = pass->transitions = NULL;
}

static struct pass *pass_new(const struct step_world *world, struct arena *arena, struct span customer_id)
{
    struct pass *pass = ARENA_NEW(arena, struct pass);
    pass_begin(pass, world, arena, customer_id);
    return pass;
}

/* What comes at the visit's own time. */
static void visit_end(struct pass *pass, const struct visit *visit, struct visit_result *result)
{
    pass->now = visit->now;
    result->results = ARENA_ARRAY(pass->arena, struct event_result, visit->event_count);
    result->changed = visit_run(pass, visit, result);
    if (result->changed && pass->facts.erased_at == NEVER)
        pass_tidy(pass);
}

/* The visit on a pass that holds the customer. */
static struct visit_result visit_pass(struct pass *pass, const struct visit *visit)
{
    struct visit_result result = {.state = visit->state, .wake_at = NEVER};
    if (visit->in_turn) {
        result.fired_in_turn = timers_in_turn(pass, visit->now + visit->fire_now);
        result.unfinished = alive(pass) && due_before(pass, visit->now + visit->fire_now);
    }
    if (!result.unfinished)
        visit_end(pass, visit, &result);
    result.changed |= result.fired_in_turn > 0;
    result.records = pass->records;
    if (pass->facts.erased_at == NEVER)
        result.wake_at = wake_at(&pass->runs);
    return result;
}

bool step_visit(const struct step_world *world, struct arena *arena, const struct visit *visit,
                struct visit_result *ret_result)
{
    struct pass *pass = pass_new(world, arena, visit->customer_id);
    if (!pass_decode(pass, visit->state))
        return false;
    *ret_result = visit_pass(pass, visit);
    if (ret_result->changed) {
        ret_result->state = encode(world, arena, &pass->head, &pass->facts, &pass->runs, visit->state.size);
        ret_result->changed = !span_equal(ret_result->state, visit->state);
    }
    return true;
}

/* ---- states that stay open ---- */

struct open_state *step_open(const struct step_world *world, struct arena *arena, struct span state)
{
    struct open_state *open = ARENA_NEW(arena, struct open_state);
    pass_begin(&open->pass, world, arena, SPAN_NONE);
    if (!pass_decode(&open->pass, state))
        return NULL;
    return open;
}

/* What closing and opening again would change, so that a state kept open is the same at every visit. */
static void open_normalize(struct pass *pass)
{
    if (pass->facts.erased_at != NEVER) {
        int64_t erased_at = pass->facts.erased_at;
        pass->head = (struct state_head){.seq = pass->head.seq, .evaluated_at = NEVER};
        facts_init(&pass->facts, pass->arena);
        pass->facts.erased_at = erased_at;
        return;
    }
    if (pass->source_left) {
        uint32_t sources = pass->facts.sources_count;
        facts_forget_sources(&pass->facts, pass->arena);
        if (pass->facts.sources_count != sources)
            facts_moved(pass);
    }
}

void step_visit_open(const struct step_world *world, struct arena *arena, const struct visit *visit,
                     struct open_state *state, struct visit_result *ret_result)
{
    struct pass *pass = &state->pass;
    pass_begin(pass, world, arena, visit->customer_id);
    pass->figures.facts = &pass->facts;
    pass->facts.texts = pass->texts.block != NULL ? &pass->texts : NULL;
    *ret_result = visit_pass(pass, visit);
    ret_result->state = SPAN_NONE;
    if (!ret_result->changed)
        return;
    open_normalize(pass);
    pass->head.facts_bytes = SPAN_NONE;
    pass->facts_stand = true;
}

struct span step_close(const struct step_world *world, struct arena *arena, const struct open_state *state)
{
    const struct pass *pass = &state->pass;
    if (!pass->facts.known && pass->facts.erased_at == NEVER)
        return SPAN_NONE;
    return encode(world, arena, &pass->head, &pass->facts, &pass->runs, pass->texts.end);
}

/* ---- the wake-up ---- */

bool step_wake_at(const struct step_world *world, struct arena *arena, struct span customer_id, struct span state,
                  int64_t *ret_wake_at)
{
    struct pass *pass = pass_new(world, arena, customer_id);
    if (!pass_decode(pass, state))
        return false;
    *ret_wake_at = pass->facts.erased_at == NEVER ? wake_at(&pass->runs) : NEVER;
    return true;
}
