/* What this shop's platforms never send, its customers never do: phases, triggers and goals that wait for it are dead.
 */
#include "common/base/check.h"
#include "workers/lint/lint.h"

#define BIT(kind) (UINT64_C(1) << (kind))

#define PURCHASES (BIT(EVENT_PLACED) | BIT(EVENT_SUBSCRIPTION_RENEWED))
#define OPENS     (BIT(EVENT_OPENED) | BIT(EVENT_CLICKED))

static const uint64_t purchases = PURCHASES;
static const uint64_t responses = BIT(EVENT_RESPONSE);
static const uint64_t human_opens = OPENS;
static const uint64_t subscriptions = PURCHASES | BIT(EVENT_SUBSCRIPTION_STARTED) | BIT(EVENT_SUBSCRIPTION_RESUMED);

static bool any_fallback(const struct playbook *playbook)
{
    bool after_ship = playbook->fallback_after_ship;
    for (size_t i = 0; i < playbook->source_fallback_count; i++)
        after_ship = after_ship || playbook->source_fallbacks[i].after_ship;
    return after_ship;
}

static bool delivers(const struct lint *lint)
{
    return (lint->events & BIT(EVENT_DELIVERED)) ||
           ((lint->events & BIT(EVENT_SHIPPED)) && any_fallback(lint->playbook)); /* R16 */
}

/* R40, rung by rung; the ladder is a gate, so what is above an unreachable rung is unreachable too (R39). */
static bool rung_reachable(const struct lint *lint, enum phase phase)
{
    uint64_t events = lint->events;
    switch (phase) {
    case PHASE_ASSESS:
        return true;
    case PHASE_ADMIT:
        return events & purchases;
    case PHASE_AFFIRM:
        return events & (BIT(EVENT_SHIPPED) | BIT(EVENT_DELIVERED) | human_opens | responses);
    case PHASE_ACTIVATE:
    case PHASE_ACCLIMATE:
        return delivers(lint);
    case PHASE_ACCOMPLISH:
    case PHASE_ADOPT:
        return events & (purchases | responses);
    case PHASE_ADVOCATE: /* an order of a friend counts as a referral (R30) */
        return events & (responses | BIT(EVENT_REFERRED) | BIT(EVENT_SHARED) | BIT(EVENT_PLACED));
    case PHASE_COUNT:
        break;
    }
    return true;
}

enum phase lint_highest_phase(const struct lint *lint)
{
    enum phase phase = PHASE_ASSESS;
    while (phase + 1 < PHASE_COUNT && rung_reachable(lint, phase + 1))
        phase++;
    return phase;
}

static bool anchor_reachable(const struct lint *lint, enum anchor_fact anchor)
{
    switch (anchor) {
    case ANCHOR_FIRST_DELIVERY:
        return delivers(lint);
    case ANCHOR_FIRST_PURCHASE_EVER:
    case ANCHOR_FIRST_PURCHASE_OF_CYCLE:
    case ANCHOR_LAST_PURCHASE:
        return lint->events & purchases;
    case ANCHOR_EFFECT_FELT:
        return lint->events & responses;
    case ANCHOR_SUBSCRIPTION_SINCE:
        return lint->events & subscriptions;
    }
    return true;
}

static bool tier_has_row(const struct playbook *playbook, int tier)
{
    for (size_t i = 0; i < playbook->tier_row_count; i++) {
        if ((int)playbook->tier_rows[i].tier == tier)
            return true;
    }
    return tier == TIER_PROSPECT;
}

/* R36, R37: a tier that somebody is in, below another one. */
static bool tier_moves_up(const struct playbook *playbook, const struct trigger *trigger)
{
    for (int from = 0; from < TIER_COUNT; from++) {
        bool starts = (trigger->from_tiers >> from & 1) && tier_has_row(playbook, from);
        for (int to = 0; to < TIER_COUNT && starts; to++) {
            if (tier_has_row(playbook, to) && playbook->tier_rank[to] > playbook->tier_rank[from])
                return true;
        }
    }
    return false;
}

static bool some_row(const struct playbook *playbook, uint32_t tiers)
{
    for (int tier = 0; tier < TIER_COUNT; tier++) {
        if ((tiers >> tier & 1) && tier_has_row(playbook, tier))
            return true;
    }
    return false;
}

/* R38 */
static bool returns(const struct playbook *playbook)
{
    return some_row(playbook, playbook->returned_from) && some_row(playbook, playbook->returned_to);
}

/* NULL: the trigger can happen in this shop; else why not. */
static const char *trigger_dead(const struct lint *lint, const struct trigger *trigger, enum phase highest)
{
    switch (trigger->kind) {
    case TRIGGER_EVENT:
        return lint->events & trigger->kinds ? NULL : "this shop never sends its event";
    case TRIGGER_RESPONSE:
    case TRIGGER_CONCERN:
    case TRIGGER_SEGMENT_UP:
        return lint->events & responses ? NULL : "this shop has no survey responses";
    case TRIGGER_ENTERS:
        if (trigger->dimension == DIMENSION_PHASE && trigger->value > (int)highest)
            return "no customer of this shop reaches its phase";
        if (trigger->dimension == DIMENSION_TIER && !tier_has_row(lint->playbook, trigger->value))
            return "no row of the tier table gives its tier";
        if (trigger->dimension == DIMENSION_SEGMENT && !(lint->events & responses))
            return "this shop has no survey responses";
        if ((trigger->dimension == DIMENSION_SEGMENT && trigger->value == SEGMENT_UNKNOWN) ||
            (trigger->dimension == DIMENSION_GROWTH && trigger->value == GROWTH_NONE))
            return "nobody ever moves up to it";
        if (trigger->dimension == DIMENSION_GROWTH && trigger->value > (int)lint->highest_stage)
            return "nobody reaches its stage";
        return NULL;
    case TRIGGER_REACHES:
        return trigger->value > (int)lint->highest_stage ? "nobody reaches its stage" : NULL;
    case TRIGGER_TIER_UP:
        return tier_moves_up(lint->playbook, trigger) ? NULL : "from these tiers nobody moves up";
    case TRIGGER_RETURNED:
        return returns(lint->playbook) ? NULL : "no row of the tier table gives tiers to return from, or to";
    case TRIGGER_REFERRAL_CONVERTED:
        return lint->events & BIT(EVENT_PLACED) ? NULL : "this shop has no orders";
    case TRIGGER_ANCHOR:
        return anchor_reachable(lint, trigger->anchor) ? NULL : "this shop never sends the fact that it waits for";
    default:
        return NULL;
    }
}

struct never {
    bool fact[FACT_COUNT];
    enum fact found;
};

static void names_never(enum fact fact, void *context)
{
    struct never *never = context;
    if (never->fact[fact])
        never->found = fact;
}

enum fact lint_never_fact(const struct lint *lint, const struct expression *expression)
{
    struct never never = {.found = FACT_COUNT};
    memcpy(never.fact, lint->never, sizeof never.fact);
    expression_facts(expression, names_never, &never);
    return never.found;
}

const char *lint_never_why(enum fact fact)
{
    return fact == FACT_trial     ? "no product has the role trial"
           : fact == FACT_premium ? "no product has the role premium"
           : fact == FACT_related ? "no product has the role related"
                                  : "no event of this shop makes that";
}

/* Any of these events makes the fact. Deliveries and roles are looked at apart. */
static const struct {
    enum fact fact;
    uint64_t events;
} makers[] = {
    {FACT_registered, BIT(EVENT_REGISTERED) | PURCHASES | OPENS},
    {FACT_registered_email, BIT(EVENT_REGISTERED) | PURCHASES | OPENS},
    {FACT_registered_line, BIT(EVENT_REGISTERED) | PURCHASES | OPENS},
    {FACT_consent, BIT(EVENT_CONSENTED) | BIT(EVENT_REGISTERED) | PURCHASES},
    {FACT_bounced_email, BIT(EVENT_BOUNCED)},
    {FACT_bounced_line, BIT(EVENT_BOUNCED)},
    {FACT_purchases, PURCHASES},
    {FACT_purchases_in_cycle, PURCHASES},
    {FACT_money, PURCHASES},
    {FACT_days_since_first_purchase, PURCHASES},
    {FACT_days_since_last_purchase, PURCHASES},
    {FACT_subscription, PURCHASES | BIT(EVENT_SUBSCRIPTION_STARTED) | BIT(EVENT_SUBSCRIPTION_RESUMED)},
    {FACT_renewals, BIT(EVENT_SUBSCRIPTION_RENEWED)},
    {FACT_shipped, BIT(EVENT_SHIPPED) | BIT(EVENT_RETURNED)},
    {FACT_shipped_in_cycle, BIT(EVENT_SHIPPED) | BIT(EVENT_RETURNED)},
    {FACT_failed, BIT(EVENT_FAILED)},
    {FACT_responses, BIT(EVENT_RESPONSE)},
    {FACT_days_since_last_response, BIT(EVENT_RESPONSE)},
    {FACT_last_satisfaction, BIT(EVENT_RESPONSE)},
    {FACT_last_nps, BIT(EVENT_RESPONSE)},
    {FACT_positive_reactions, BIT(EVENT_RESPONSE)},
    {FACT_negative_reactions, BIT(EVENT_RESPONSE)},
    {FACT_effect_felt, BIT(EVENT_RESPONSE)},
    {FACT_segment, BIT(EVENT_RESPONSE)},
    {FACT_days_since_last_open, OPENS},
    {FACT_opens_60d, BIT(EVENT_OPENED)},
    {FACT_clicks_60d, BIT(EVENT_CLICKED)},
    {FACT_referrals, BIT(EVENT_REFERRED) | BIT(EVENT_PLACED)},
    {FACT_referrals_converted, BIT(EVENT_PLACED)},
    {FACT_shares, BIT(EVENT_SHARED)},
    {FACT_events_attended, BIT(EVENT_EVENT_ATTENDED)},
    {FACT_support_contacts, BIT(EVENT_SUPPORT_CONTACTED)},
    {FACT_order_live, PURCHASES},
    {FACT_order_first_of_cycle, PURCHASES},
    {FACT_order_void, BIT(EVENT_CANCELLED) | BIT(EVENT_REFUNDED)},
};

static bool has_role(const struct playbook *playbook, enum role role)
{
    for (size_t i = 0; i < playbook->product_count; i++) {
        if (playbook->products[i].role == role)
            return true;
    }
    return false;
}

void lint_facts(struct lint *lint)
{
    const struct playbook *playbook = lint->playbook;
    memset(lint->never, 0, sizeof lint->never);
    for (size_t i = 0; i < COUNT_OF(makers); i++)
        lint->never[makers[i].fact] = !(lint->events & makers[i].events);
    for (int i = FACT_answered_assess; i <= FACT_responded_since_first_purchase; i++)
        lint->never[i] = !(lint->events & BIT(EVENT_RESPONSE));
    for (int i = FACT_response_positive; i <= FACT_response_effect_felt; i++)
        lint->never[i] = !(lint->events & BIT(EVENT_RESPONSE));
    lint->never[FACT_delivered] = lint->never[FACT_delivered_in_cycle] = lint->never[FACT_days_since_first_delivery] =
        lint->never[FACT_days_since_last_delivery] = !delivers(lint);
    lint->never[FACT_trial] = !has_role(playbook, ROLE_TRIAL) && !playbook->first_purchase_is_trial;
    lint->never[FACT_premium] = !has_role(playbook, ROLE_PREMIUM);
    lint->never[FACT_related] = !has_role(playbook, ROLE_RELATED);
}

/* R82: a goal that nobody of this shop can reach is 0 of 100 for ever, whatever the rule does. */
static bool goal_reachable(const struct lint *lint, struct span goal, enum phase highest)
{
    static const struct {
        const char *name;
        uint64_t events;
    } facts[] = {{"purchase", PURCHASES},
                 {"premium_purchase", PURCHASES},
                 {"subscription", PURCHASES | BIT(EVENT_SUBSCRIPTION_STARTED) | BIT(EVENT_SUBSCRIPTION_RESUMED)},
                 {"response", BIT(EVENT_RESPONSE)},
                 {"registration", BIT(EVENT_REGISTERED) | PURCHASES | OPENS},
                 {"referral", BIT(EVENT_REFERRED) | BIT(EVENT_PLACED)},
                 {"share", BIT(EVENT_SHARED)},
                 {"effect_felt", BIT(EVENT_RESPONSE)},
                 {"event_attended", BIT(EVENT_EVENT_ATTENDED)}};
    int value;
    for (size_t i = 0; i < COUNT_OF(facts); i++) {
        if (span_equal(goal, span_of(facts[i].name)))
            return (lint->events & facts[i].events) && !(i == 1 && lint->never[FACT_premium]);
    }
    if (class_value_find(DIMENSION_PHASE, goal, &value))
        return value <= (int)highest;
    if (class_value_find(DIMENSION_GROWTH, goal, &value))
        return value <= (int)lint->highest_stage;
    return !class_value_find(DIMENSION_TIER, goal, &value) || tier_has_row(lint->playbook, value);
}

static void check_goal(struct lint *lint, const struct rule *rule, enum phase highest)
{
    if (rule->goal.within_ms == 0)
        return;
    if (!goal_reachable(lint, rule->goal.name, highest))
        lint_say_rule(lint, LINT_WARNING, rule, "goal", "its goal %.*s can never be reached in this shop",
                      (int)rule->goal.name.size, rule->goal.name.data);
    if (rule->goal.within_ms <= rule->send_delay_ms)
        lint_say_rule(lint, LINT_WARNING, rule, "goal", "its goal is over before it is sent (send_delay)");
}

void lint_shop(struct lint *lint)
{
    enum phase highest = lint_highest_phase(lint);
    for (int phase = (int)highest + 1; phase < PHASE_COUNT; phase++)
        lint_say(lint, LINT_WARNING, lint_top(lint, "phases"),
                 "phase %s can never be reached with this shop's events%s", class_value_name(DIMENSION_PHASE, phase),
                 phase == PHASE_ACTIVATE ? " (no DELIVERED, and no SHIPPED to assume it by)" : "");
    for (size_t i = 0; i < lint->playbook->rule_count; i++) {
        const struct rule *rule = &lint->playbook->rules[i];
        const char *why = trigger_dead(lint, &rule->trigger, highest);
        lint->dead[i] = why != NULL;
        if (why != NULL)
            lint_say_rule(lint, LINT_WARNING, rule, "trigger", "can never fire: %s", why);
        check_goal(lint, rule, highest);
    }
    for (int tier = 0; tier < TIER_COUNT; tier++) {
        if (!tier_has_row(lint->playbook, tier))
            lint_say(lint, LINT_NOTE, lint_top(lint, "tiers"), "tier %s has no row",
                     class_value_name(DIMENSION_TIER, tier));
    }
}
