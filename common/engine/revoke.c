/* What a step takes back: revokes (R78), runs of a voided order (R79), of a tier that was left (R56), of an erased
 * customer (R31). */
#include "common/engine/pass.h"

/* An order that became void in this pass; FACT_NONE = none. An event can void two: an edited refund moves over. */
struct voided {
    uint32_t orders[2];
};

static bool became_void(const struct pass *pass, uint32_t order, bool was_void)
{
    return order != FACT_NONE && !was_void && order_void(&pass->facts.orders[order]);
}

static struct voided voided_orders(const struct pass *pass)
{
    struct voided voided = {{FACT_NONE, FACT_NONE}};
    if (pass->event == NULL)
        return voided;
    const struct fold_change *change = &pass->change;
    if (became_void(pass, change->order, change->order_was_void))
        voided.orders[0] = change->order;
    if (became_void(pass, change->other_order, change->other_order_was_void))
        voided.orders[1] = change->other_order;
    return voided;
}

static bool any_voided(const struct voided *voided)
{
    return voided->orders[0] != FACT_NONE || voided->orders[1] != FACT_NONE;
}

static bool is_voided(const struct pass *pass, const struct voided *voided, struct span order_id)
{
    for (size_t i = 0; i < 2; i++) {
        if (voided->orders[i] != FACT_NONE && span_equal(pass->facts.orders[voided->orders[i]].id, order_id))
            return true;
    }
    return false;
}

/* ---- revokes (R78) ---- */

static bool names_friend(const struct pass *pass, const struct sent *sent)
{
    struct span prefix = SPAN("referral:"), friend_id = pass->event->credit.friend_id;
    return sent->key.size == prefix.size + friend_id.size && memcmp(sent->key.data, prefix.data, prefix.size) == 0 &&
           memcmp(sent->key.data + prefix.size, friend_id.data, friend_id.size) == 0;
}

static enum revoke_reason revoke_reason(const struct pass *pass, const struct voided *voided, const struct sent *sent,
                                        bool consent_ended)
{
    if (sent->expires_at != NEVER && pass->now >= sent->expires_at)
        return REVOKE_NONE;
    if (!span_empty(sent->order_id) && is_voided(pass, voided, sent->order_id))
        return REVOKE_ORDER_VOID;
    if (consent_ended && sent->class == CLASS_MARKETING && pass->now - sent->made_at < DAY_MS)
        return REVOKE_OPTED_OUT;
    bool withdrawn = pass->event && pass->change.credit_ended && !pass->event->credit.by_erasure; /* R30, R31 */
    if (withdrawn && names_friend(pass, sent))
        return REVOKE_REFERRAL_WITHDRAWN;
    return REVOKE_NONE;
}

void revokes_make(struct pass *pass)
{
    bool consent_ended = pass->runs.consent && !pass->figures.consent;
    pass->runs.consent = pass->figures.consent;
    if (pass->event == NULL)
        return;
    struct voided voided = voided_orders(pass);
    if (!consent_ended && !pass->change.credit_ended && !any_voided(&voided))
        return;
    for (uint32_t i = 0; i < pass->runs.sent_count; i++) {
        struct sent *sent = &pass->runs.sent[i];
        enum revoke_reason reason = sent->ended ? REVOKE_NONE : revoke_reason(pass, &voided, sent, consent_ended);
        if (reason == REVOKE_NONE)
            continue;
        sent->ended = true;
        pass->runs.sent_ends_at = NEVER;
        action_revoke(pass, sent, reason);
    }
}

/* ---- waiting runs that end (R42: in run order) ---- */

struct ending {
    struct run *run;
    struct span detail;
};
struct endings {
    struct ending *items;
    size_t count;
};

/* In the order of R2, by insertion: there are few. A run of a rule that is gone has no place in it and comes first. */
static void endings_add(const struct pass *pass, struct endings *endings, struct run *run, struct span detail)
{
    size_t place = endings->count++;
    for (; place > 0; place--) {
        const struct run *before = endings->items[place - 1].run;
        if (before->rule_index < 0 || (run->rule_index >= 0 && !run_before(pass, run, before)))
            break;
        endings->items[place] = endings->items[place - 1];
    }
    endings->items[place] = (struct ending){run, detail};
}

static void endings_publish(struct pass *pass, const struct endings *endings, enum outcome outcome)
{
    for (size_t i = 0; i < endings->count; i++) {
        runs_end(&pass->runs, endings->items[i].run);
        decision_publish(pass, endings->items[i].run, outcome, endings->items[i].detail, NEVER,
                         (struct named_list){NULL, 0});
    }
}

/* R56: an unbroken stay has ended. */
static bool has_left(const struct pass *pass, const struct run *run)
{
    if (run->rule_index < 0)
        return false;
    const struct trigger *trigger = &pass->playbook->rules[run->rule_index].trigger;
    return trigger->kind == TRIGGER_ENTERS && trigger->unbroken &&
           classes_value(&pass->head.classes, trigger->dimension) != trigger->value;
}

/* A stay ends by a transition of its dimension, or begins to count as unbroken with another playbook (R81). */
void runs_cancel(struct pass *pass)
{
    struct voided voided = voided_orders(pass);
    bool stays_end = (pass->moments & pass->playbook->stays) || pass->another_playbook;
    if (!any_voided(&voided) && !stays_end)
        return;
    struct endings endings = {ARENA_ARRAY(pass->arena, struct ending, pass->runs.waiting_count), 0};
    for (uint32_t i = 0; i < pass->runs.waiting_count; i++) {
        struct run *run = &pass->runs.waiting[i];
        if (run->ended)
            continue;
        if (!span_empty(run->order_id) && is_voided(pass, &voided, run->order_id))
            endings_add(pass, &endings, run, SPAN("order_void")); /* R79 */
        else if (has_left(pass, run))
            endings_add(pass, &endings, run, SPAN("left"));
    }
    endings_publish(pass, &endings, OUTCOME_CANCELLED);
}

/* ---- the end of a customer ---- */

void runs_erase(struct pass *pass)
{
    for (uint32_t i = 0; i < pass->runs.sent_count; i++) {
        struct sent *sent = &pass->runs.sent[i];
        if (!sent->ended && (sent->expires_at == NEVER || pass->now < sent->expires_at))
            action_revoke(pass, sent, REVOKE_ERASED); /* R78 b */
        sent->ended = true;
    }
    struct endings endings = {ARENA_ARRAY(pass->arena, struct ending, pass->runs.waiting_count), 0};
    for (uint32_t i = 0; i < pass->runs.waiting_count; i++) {
        if (!pass->runs.waiting[i].ended)
            endings_add(pass, &endings, &pass->runs.waiting[i], SPAN_NONE);
    }
    endings_publish(pass, &endings, OUTCOME_ERASED); /* R31 */
}
