/* The trigger moments of one event or transition (R41, R47, R48, R60, R63). Anchors and dates are anchor.c's. */
#include "common/base/check.h"
#include "common/engine/pass.h"

/* ---- events ---- */

static bool order_placed_by(const struct pass *pass)
{
    enum event_kind kind = pass->event->kind;
    return kind == EVENT_PLACED || kind == EVENT_SUBSCRIPTION_RENEWED;
}

/* R60: an order's trigger moment is when it becomes known as placed; its edits are none. A FAILED is one fact, too. */
static bool event_is_moment(const struct pass *pass)
{
    if (order_placed_by(pass))
        return pass->change.order_new;
    return pass->event->kind != EVENT_FAILED || pass->failure_new;
}

static bool event_has_fact(const struct pass *pass)
{
    return pass->event->kind != EVENT_FAILED || pass->change.failure != FACT_NONE;
}

/* An edit is no moment, but it may make what a waiting run hangs on a backfill fact. */
static void silence_runs(struct pass *pass, const struct rule *rule, const struct occurrence *occurrence)
{
    if (!occurrence->backfill)
        return;
    struct span key = rule->once == ONCE_DELIVERY ? run_key(pass, rule, occurrence) : SPAN_NONE;
    for (uint32_t i = 0; i < pass->runs.waiting_count; i++) {
        struct run *run = &pass->runs.waiting[i];
        if (!run->ended && run->rule_index == rule->index && span_equal(run->order_id, occurrence->order_id) &&
            (span_empty(key) || span_equal(run->key, key)))
            run_silence(pass, rule, run, occurrence);
    }
}

/* The event's kind as a set. PLACED and RENEWED are records of one fact (R9): either may edit what the other triggered.
 */
static uint64_t event_kinds(const struct pass *pass)
{
    if (pass->event == NULL)
        return 0;
    if (order_placed_by(pass) && !pass->change.order_new)
        return UINT64_C(1) << EVENT_PLACED | UINT64_C(1) << EVENT_SUBSCRIPTION_RENEWED;
    return UINT64_C(1) << pass->event->kind;
}

static void trigger_event(struct pass *pass, const struct rule *rule)
{
    const struct event *event = pass->event;
    if (!event_has_fact(pass))
        return;
    struct occurrence occurrence = {
        .order_id = pass_order_id(pass, pass->change.order), .event_id = event->event_id, .arrived_at = pass->now};
    const struct stamp *stamp = NULL;
    if (order_placed_by(pass))
        stamp = &pass->facts.orders[pass->change.order].placed;
    else if (event->kind == EVENT_FAILED)
        stamp = &pass->facts.failures[pass->change.failure].stamp;
    occurrence.anchor_at = stamp ? stamp->at : event->occurred_at; /* R4, R9 */
    occurrence.backfill = stamp ? stamp->backfill : event->backfill;
    if (event_is_moment(pass))
        run_trigger(pass, rule, &occurrence);
    else
        silence_runs(pass, rule, &occurrence);
}

/* ---- answers (R63: an edit is a moment again) ---- */

static struct occurrence answer_occurrence(struct pass *pass, const struct rule *rule, const struct response *response)
{
    struct occurrence occurrence = {.anchor_at = response->stamp.at, .backfill = response->stamp.backfill};
    occurrence.arrived_at = pass->now;
    occurrence.has_response = true;
    occurrence.survey = response->survey;
    occurrence.response = response->response;
    if (rule->once == ONCE_RESPONSE)
        occurrence.answer_id = pass_text(pass, pass->event->survey_id, SPAN("/"), pass->event->response_id);
    occurrence.event_id = pass->event->event_id;
    occurrence.order_id = pass_cycle_order(pass); /* R48 */
    return occurrence;
}

static void trigger_answer(struct pass *pass, const struct rule *rule)
{
    if (pass->change.response == FACT_NONE)
        return;
    const struct response *response = &pass->facts.responses[pass->change.response];
    if (!(rule->trigger.purposes >> response->purpose & 1))
        return;
    struct occurrence occurrence = answer_occurrence(pass, rule, response);
    if (rule->trigger.kind == TRIGGER_RESPONSE) {
        run_trigger(pass, rule, &occurrence);
        return;
    }
    for (int concern = 0; concern < CONCERN_COUNT; concern++) {
        if (!(response->concerns >> concern & 1))
            continue;
        occurrence.concern = span_of(concern_name((enum concern)concern));
        run_trigger(pass, rule, &occurrence);
    }
}

/* ---- a referral converts (R30) ---- */

static void trigger_referral(struct pass *pass, const struct rule *rule)
{
    if (!pass->change.credit_began)
        return;
    const struct credit *credit = &pass->event->credit;
    struct occurrence occurrence = {.anchor_at = credit->order_at,
                                    .backfill = credit->order_backfill,
                                    .arrived_at = pass->now,
                                    .event_id = pass->event->event_id,
                                    .friend_id = credit->friend_id};
    run_trigger(pass, rule, &occurrence);
}

/* ---- transitions ---- */

static bool fall_counts(const struct transition *transition)
{
    return transition->dimension == DIMENSION_TIER &&
           (transition->to == TIER_LAPSED || transition->to == TIER_DORMANT); /* R41 */
}

static bool transition_matches(const struct trigger *trigger, const struct transition *transition)
{
    bool upward = transition->direction != DIRECTION_DOWN;
    switch (trigger->kind) {
    case TRIGGER_ENTERS:
        return transition->dimension == trigger->dimension && transition->to == trigger->value && transition->rest &&
               (upward || fall_counts(transition)); /* R41 */
    case TRIGGER_REACHES:
        return transition->dimension == trigger->dimension && transition->to == trigger->value && upward; /* R41 */
    case TRIGGER_TIER_UP:
        return transition->dimension == DIMENSION_TIER && transition->direction == DIRECTION_UP &&
               transition->cause == CAUSE_EVENT && trigger->from_tiers >> transition->from & 1; /* R37 */
    case TRIGGER_RETURNED:
        return transition->returned; /* R38 */
    case TRIGGER_SEGMENT_UP:
        return transition->dimension == DIMENSION_SEGMENT && transition->direction == DIRECTION_UP;
    default:
        return false;
    }
}

/* R48: the causing event's order when it is live, else the cycle's first live order. */
static struct span transition_order(struct pass *pass)
{
    uint32_t order = FACT_NONE;
    if (pass->event) {
        order = pass->change.order;
        if (order == FACT_NONE && pass->event->kind != EVENT_CREDIT)
            order = pass_order(pass, pass->event->order_id);
    }
    if (order != FACT_NONE && order_live(&pass->facts.orders[order]))
        return pass_order_id(pass, order);
    return pass_cycle_order(pass);
}

static void trigger_transitions(struct pass *pass, const struct rule *rule)
{
    for (const struct record *record = pass->transitions; record; record = transitions_next(record->next)) {
        const struct transition *transition = &record->transition;
        if (!transition_matches(&rule->trigger, transition))
            continue;
        struct occurrence occurrence = {.anchor_at = transition->effective_at,
                                        .backfill = transition->backfill,
                                        .arrived_at = pass->now,
                                        .event_id = pass_event_id(pass),
                                        .order_id = transition_order(pass)};
        occurrence.value = span_of(class_value_name(transition->dimension, transition->to));
        run_trigger(pass, rule, &occurrence);
    }
}

static void trigger_rule(struct pass *pass, const struct rule *rule)
{
    switch (rule->trigger.kind) {
    case TRIGGER_EVENT:
        trigger_event(pass, rule);
        break;
    case TRIGGER_RESPONSE:
    case TRIGGER_CONCERN:
        trigger_answer(pass, rule);
        break;
    case TRIGGER_REFERRAL_CONVERTED:
        trigger_referral(pass, rule);
        break;
    default:
        trigger_transitions(pass, rule);
    }
}

static void trigger_kind(struct pass *pass, enum event_kind kind)
{
    const struct playbook *playbook = pass->playbook;
    const struct rule_places *of_kind = &playbook->of_kind[kind];
    for (size_t i = 0; i < of_kind->count; i++)
        trigger_rule(pass, &playbook->rules[of_kind->places[i]]);
}

/* Most events are no moment of any rule, and most passes make no transition. */
void triggers_fire(struct pass *pass)
{
    const struct playbook *playbook = pass->playbook;
    uint64_t kinds = event_kinds(pass) & playbook->moment_kinds;
    if (kinds == 0 && pass->moments == 0)
        return;
    if (pass->moments == 0 && (kinds & (kinds - 1)) == 0) {
        trigger_kind(pass, (enum event_kind)__builtin_ctzll(kinds));
        return;
    }
    for (size_t i = 0; i < playbook->moment_count; i++) {
        const struct rule_moment *moment = &playbook->moments[i];
        if ((moment->kinds & kinds) || (moment->classes & pass->moments))
            trigger_rule(pass, &playbook->rules[moment->place]);
    }
}
