/* What this shop's platforms never send, its customers never do: phases, triggers and goals that wait for it are dead.
 */
#include "common/base/check.h"
#include "workers/lint/lint.h"

#define BIT(kind) (UINT64_C(1) << (kind))

static const uint64_t purchases = BIT(EVENT_PLACED) | BIT(EVENT_SUBSCRIPTION_RENEWED);
static const uint64_t responses = BIT(EVENT_RESPONSE);
static const uint64_t human_opens = BIT(EVENT_OPENED) | BIT(EVENT_CLICKED);
static const uint64_t subscriptions = BIT(EVENT_PLACED) | BIT(EVENT_SUBSCRIPTION_RENEWED) |
                                      BIT(EVENT_SUBSCRIPTION_STARTED) | BIT(EVENT_SUBSCRIPTION_RESUMED);

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
        return NULL;
    case TRIGGER_REFERRAL_CONVERTED:
        return lint->events & BIT(EVENT_PLACED) ? NULL : "this shop has no orders";
    case TRIGGER_ANCHOR:
        return anchor_reachable(lint, trigger->anchor) ? NULL : "this shop never sends the fact that it waits for";
    default:
        return NULL;
    }
}

/* All that the second glob matches, the first does: its own * and ? are letters to it, of which a ? must not stand for
 * a *. */
static bool covers(struct span glob, struct span other)
{
    bool one = memchr(glob.data, '?', glob.size) != NULL, many = memchr(other.data, '*', other.size) != NULL;
    return !(one && many) && glob_match(glob, other);
}

/* R17: the first product that matches counts. */
static void check_products(struct lint *lint)
{
    const struct playbook *playbook = lint->playbook;
    for (size_t i = 0; i < playbook->product_count; i++) {
        const struct product *product = &playbook->products[i], *first = playbook->products;
        while (first < product && !covers(first->sku, product->sku))
            first++;
        if (first < product)
            lint_say(lint, LINT_NOTE, 0,
                     "product %.*s is never found: \"%.*s\" (%.*s) before it matches all of \"%.*s\"",
                     (int)product->name.size, product->name.data, (int)first->sku.size, first->sku.data,
                     (int)first->name.size, first->name.data, (int)product->sku.size, product->sku.data);
    }
}

void lint_shop(struct lint *lint)
{
    check_products(lint);
    enum phase highest = lint_highest_phase(lint);
    for (int phase = (int)highest + 1; phase < PHASE_COUNT; phase++)
        lint_say(lint, LINT_WARNING, 0, "phase %s can never be reached with this shop's events%s",
                 class_value_name(DIMENSION_PHASE, phase),
                 phase == PHASE_ACTIVATE ? " (no DELIVERED, and no SHIPPED to assume it by)" : "");
    for (size_t i = 0; i < lint->playbook->rule_count; i++) {
        const struct rule *rule = &lint->playbook->rules[i];
        const char *why = trigger_dead(lint, &rule->trigger, highest);
        if (why != NULL)
            lint_say(lint, LINT_WARNING, lint->rule_lines[i], "rule %.*s can never fire: %s", (int)rule->name.size,
                     rule->name.data, why);
    }
    for (int tier = 0; tier < TIER_COUNT; tier++) {
        if (!tier_has_row(lint->playbook, tier))
            lint_say(lint, LINT_NOTE, 0, "tier %s has no row", class_value_name(DIMENSION_TIER, tier));
    }
}
