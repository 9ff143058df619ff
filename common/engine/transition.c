/* The differences between a customer's classes before and after (R13, R41, R42). */
#include "common/engine/pass.h"

/* R3, R5. Only a phase's rung has an instant of its own by the facts' times. What time opens became true when it came,
 * also where a fact ahead of the clock (R6) had opened a higher rung already. */
static int64_t effective_at(struct pass *pass, enum dimension dimension, int to, bool fall)
{
    if (dimension == DIMENSION_PHASE && (pass->event || !fall)) {
        int64_t since = phase_effective_at(&pass->figures, (enum phase)to); /* R5 */
        if (since != NEVER && (pass->event || since <= pass->now))
            return since;
    }
    if (pass->event)
        return pass->event->occurred_at;
    if (pass->boundary_at == pass->now)
        return pass->now; /* nothing could change before, and at the last step it did not hold */
    return classes_held_since(&pass->figures, pass->arena, dimension, pass->head.evaluated_at); /* R3 */
}

static void publish(struct pass *pass, enum dimension dimension, int from, int to, bool rest)
{
    struct transition *transition;
    struct record *record = pass_record(pass, RECORD_TRANSITION);
    if (pass->transitions == NULL)
        pass->transitions = record;
    transition = &record->transition;
    pass->moments |= CLASS_BIT(dimension, to);
    transition->dimension = dimension;
    transition->from = from;
    transition->to = to;
    transition->direction = from < 0 ? DIRECTION_ENTER : classes_direction(pass->playbook, dimension, from, to);
    if (dimension == DIMENSION_SEGMENT && from == SEGMENT_UNKNOWN)
        transition->direction = DIRECTION_ENTER; /* R44 */
    transition->rest = rest;
    transition->cause = pass->event ? CAUSE_EVENT : CAUSE_TIME;
    transition->event_id = pass_event_id(pass);
    transition->effective_at = effective_at(pass, dimension, to, transition->direction == DIRECTION_DOWN);
    transition->cycle = pass->figures.cycle;
    transition->returned = dimension == DIMENSION_TIER && pass->event && from >= 0 &&
                           tier_returns(pass->playbook, (enum tier)from, (enum tier)to); /* R38 */
    transition->backfill = pass->event && pass->event->backfill;                         /* R7 */
    if (pass->world->counts == NULL)
        transition->evidence = classes_evidence(&pass->figures, pass->arena, dimension);
}

/* R41: upward rung by rung, of which the last is the one of rest; downward in one. */
static void climb(struct pass *pass, enum dimension dimension, int from, int to)
{
    if (to < from) {
        publish(pass, dimension, from, to, true);
        return;
    }
    for (int rung = from; rung < to; rung++)
        publish(pass, dimension, rung, rung + 1, rung + 1 == to);
}

void transitions_find(struct pass *pass)
{
    struct customer_classes before = pass->head.classes, after = pass_classes(pass);
    bool first = !pass->head.classified;
    if (first)
        before = (struct customer_classes){.phase = PHASE_ASSESS, .growth = GROWTH_NONE, .segment = SEGMENT_UNKNOWN};
    if (first || before.tier != after.tier)
        publish(pass, DIMENSION_TIER, first ? -1 : (int)before.tier, (int)after.tier, true); /* R13 */
    if (first)
        publish(pass, DIMENSION_PHASE, -1, PHASE_ASSESS, after.phase == PHASE_ASSESS);
    climb(pass, DIMENSION_PHASE, (int)before.phase, (int)after.phase);
    climb(pass, DIMENSION_GROWTH, (int)before.growth, (int)after.growth);
    if (before.segment != after.segment)
        publish(pass, DIMENSION_SEGMENT, (int)before.segment, (int)after.segment, true);
    if (pass->transitions != NULL)
        pass->dates_stale |=
            FACT_BIT(FACT_tier) | FACT_BIT(FACT_phase) | FACT_BIT(FACT_growth) | FACT_BIT(FACT_segment);
    pass->head.classes = after;
    pass->head.classified = true;
    pass->head.evaluated_at = pass->now;
}

const struct record *transitions_next(const struct record *record)
{
    while (record && record->type != RECORD_TRANSITION)
        record = record->next;
    return record;
}
