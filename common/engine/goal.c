#include "common/engine/goal.h"

#include "common/engine/figures_parts.h"
#include "common/engine/state_codec.h"

enum goal_kind {
    GOAL_PURCHASE,
    GOAL_PREMIUM_PURCHASE,
    GOAL_SUBSCRIPTION,
    GOAL_RESPONSE,
    GOAL_REGISTRATION,
    GOAL_REFERRAL,
    GOAL_SHARE,
    GOAL_EFFECT_FELT,
    GOAL_EVENT_ATTENDED,
    GOAL_COUNT
};

static const struct span goal_names[GOAL_COUNT] = {
    [GOAL_PURCHASE] = {"purchase", 8},
    [GOAL_PREMIUM_PURCHASE] = {"premium_purchase", 16},
    [GOAL_SUBSCRIPTION] = {"subscription", 12},
    [GOAL_RESPONSE] = {"response", 8},
    [GOAL_REGISTRATION] = {"registration", 12},
    [GOAL_REFERRAL] = {"referral", 8},
    [GOAL_SHARE] = {"share", 5},
    [GOAL_EFFECT_FELT] = {"effect_felt", 11},
    [GOAL_EVENT_ATTENDED] = {"event_attended", 14},
};

struct goal_moment {
    enum goal_kind kind;
    int64_t at;
};

struct gathering {
    struct goal_moment *moments;
    size_t count;
};

static void add(struct gathering *all, enum goal_kind kind, int64_t at)
{
    if (at != NEVER)
        all->moments[all->count++] = (struct goal_moment){kind, at};
}

/* R22: the box at the checkout registers whether the order lives or not. */
static void add_orders(struct gathering *all, const struct facts *facts)
{
    for (uint32_t i = 0; i < facts->orders_count; i++) {
        const struct order *order = &facts->orders[i];
        if (order->email_registered == ANSWER_TRUE || order->line_registered == ANSWER_TRUE)
            add(all, GOAL_REGISTRATION, order->placed.at);
        if (!order_live(order))
            continue;
        add(all, GOAL_PURCHASE, order->placed.at);
        if (order->premium)
            add(all, GOAL_PREMIUM_PURCHASE, order->placed.at);
    }
}

static void add_responses(struct gathering *all, const struct facts *facts, const struct playbook *playbook)
{
    for (uint32_t i = 0; i < facts->responses_count; i++) {
        const struct response *response = &facts->responses[i];
        add(all, GOAL_RESPONSE, response->stamp.at);
        if (response_tells_effect(playbook, response))
            add(all, GOAL_EFFECT_FELT, response->stamp.at);
    }
}

/* R30: a referral made, once per friend, is known by a REFERRED or by the friend's order, whichever is earlier. */
static int64_t referred_at(const struct facts *facts, uint64_t friend_hash)
{
    int64_t earliest = NEVER;
    for (uint32_t i = 0; i < facts->notes_count; i++)
        if (facts->notes[i].kind == EVENT_REFERRED && facts->notes[i].names_friend &&
            facts->notes[i].friend_hash == friend_hash)
            instant_lower(&earliest, facts->notes[i].stamp.at);
    for (uint32_t i = 0; i < facts->credits_count; i++)
        if (facts->credits[i].friend_hash == friend_hash)
            instant_lower(&earliest, facts->credits[i].at);
    return earliest;
}

static void add_notes(struct gathering *all, const struct facts *facts)
{
    for (uint32_t i = 0; i < facts->notes_count; i++) {
        const struct note *note = &facts->notes[i];
        if (note->kind == EVENT_REGISTERED)
            add(all, GOAL_REGISTRATION, note->stamp.at);
        else if (note->kind == EVENT_SHARED)
            add(all, GOAL_SHARE, note->stamp.at);
        else if (note->kind == EVENT_EVENT_ATTENDED)
            add(all, GOAL_EVENT_ATTENDED, note->stamp.at);
        else if (note->kind == EVENT_REFERRED)
            add(all, GOAL_REFERRAL, note->names_friend ? referred_at(facts, note->friend_hash) : note->stamp.at);
    }
    for (uint32_t i = 0; i < facts->credits_count; i++)
        add(all, GOAL_REFERRAL, referred_at(facts, facts->credits[i].friend_hash));
}

/* A subscription begins where a customer who had none active has one (R20): the beginnings of its spells. */
static void add_spells(struct gathering *all, const struct spells *spells)
{
    for (size_t i = 0; i < spells->count; i++)
        add(all, GOAL_SUBSCRIPTION, spells->items[i].from);
}

bool goal_facts_read(const struct step_world *world, struct arena *arena, struct span state,
                     struct goal_facts *ret_facts)
{
    struct state_head head;
    struct state_reader reader;
    struct facts facts;
    struct figures figures;
    struct figures_work work;
    if (!state_decode(state, arena, &head, &facts, &reader))
        return false;
    *ret_facts = (struct goal_facts){.erased = facts.erased_at != NEVER};
    if (!facts.known || ret_facts->erased)
        return true;
    int64_t now = head.evaluated_at != NEVER ? head.evaluated_at : 0; /* a spell does not depend on it */
    figures_compute_work(&work, &facts, world->playbook, arena, now, &figures);
    size_t most = (size_t)3 * facts.orders_count + (size_t)2 * facts.responses_count + facts.notes_count +
                  facts.credits_count + work.spells.count;
    struct gathering all = {ARENA_ARRAY(arena, struct goal_moment, most), 0};
    add_orders(&all, &facts);
    add_responses(&all, &facts, world->playbook);
    add_notes(&all, &facts);
    add_spells(&all, &work.spells);
    ret_facts->moments = all.moments;
    ret_facts->count = all.count;
    return true;
}

bool goal_happened(const struct goal_facts *facts, struct span goal, int64_t after, int64_t until)
{
    for (size_t i = 0; i < facts->count; i++) {
        const struct goal_moment *moment = &facts->moments[i];
        if (moment->at > after && moment->at <= until && span_equal(goal_names[moment->kind], goal))
            return true;
    }
    return false;
}

bool goal_is_class(struct span goal, enum dimension *ret_dimension, int *ret_value)
{
    static const enum dimension dimensions[] = {DIMENSION_PHASE, DIMENSION_GROWTH, DIMENSION_TIER};
    for (size_t i = 0; i < sizeof dimensions / sizeof dimensions[0]; i++) {
        if (class_value_find(dimensions[i], goal, ret_value)) {
            *ret_dimension = dimensions[i];
            return true;
        }
    }
    return false;
}
