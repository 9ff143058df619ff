#include "common/engine/figures_parts.h"

#include <stdlib.h>

const struct figure_instant figure_none = {.at = NEVER, .order = FACT_NONE, .fact = FACT_NONE};

enum { INSERTION_MOST = 48 };

static void sort_by_insertion(uint32_t *indexes, uint32_t count, index_compare *compare, const struct facts *facts)
{
    for (uint32_t i = 1; i < count; i++) {
        uint32_t moving = indexes[i], at = i;
        for (; at > 0 && compare(moving, indexes[at - 1], facts) < 0; at--)
            indexes[at] = indexes[at - 1];
        indexes[at] = moving;
    }
}

static void merge_halves(const uint32_t *from, uint32_t *to, uint32_t half, uint32_t count, index_compare *compare,
                         const struct facts *facts)
{
    for (uint32_t left = 0, right = half, at = 0; at < count; at++) {
        bool take_right = left == half || (right < count && compare(from[right], from[left], facts) < 0);
        to[at] = from[take_right ? right++ : left++];
    }
}

static void sort_by_merging(uint32_t *indexes, uint32_t *spare, uint32_t count, index_compare *compare,
                            const struct facts *facts)
{
    if (count <= INSERTION_MOST) {
        sort_by_insertion(indexes, count, compare, facts);
        return;
    }
    uint32_t half = count / 2;
    sort_by_merging(indexes, spare, half, compare, facts);
    sort_by_merging(indexes + half, spare, count - half, compare, facts);
    if (compare(indexes[half], indexes[half - 1], facts) >= 0)
        return;
    memcpy(spare, indexes, count * sizeof *indexes);
    merge_halves(spare, indexes, half, count, compare, facts);
}

void index_sort(uint32_t *indexes, uint32_t count, struct arena *arena, index_compare *compare,
                const struct facts *facts)
{
    uint32_t *spare = count > INSERTION_MOST ? ARENA_ARRAY(arena, uint32_t, count) : NULL;
    sort_by_merging(indexes, spare, count, compare, facts);
}

/* ---- orders ---- */

/* R19: (time, order_id bytewise). */
static int compare_orders(uint32_t a, uint32_t b, const struct facts *facts)
{
    const struct order *left = &facts->orders[a], *right = &facts->orders[b];
    if (left->placed.at != right->placed.at)
        return left->placed.at < right->placed.at ? -1 : 1;
    return span_compare(left->id, right->id);
}

static void sort_orders(struct figures_work *work)
{
    struct figures *figures = work->figures;
    const struct facts *facts = figures->facts;
    figures->live = ARENA_ARRAY(work->arena, uint32_t, facts->orders_count);
    figures->live_count = 0;
    int64_t last_at = NEVER;
    bool sorted = true; /* most customers' orders come as they were placed */
    for (uint32_t i = 0; i < facts->orders_count; i++) {
        if (!order_live(&facts->orders[i]))
            continue;
        sorted &= facts->orders[i].placed.at > last_at;
        last_at = facts->orders[i].placed.at;
        figures->live[figures->live_count++] = i;
    }
    if (!sorted)
        index_sort(figures->live, figures->live_count, work->arena, compare_orders, facts);
}

/* R29: just before, so a farewell at the very instant comes too late to matter. */
static bool subscribed_before(const struct spells *spells, int64_t at)
{
    for (size_t i = spells->count; i-- > 0;)
        if (spells->items[i].from < at)
            return spells->items[i].until >= at;
    return false;
}

/* R11: between the folded purchases there may be gaps; their cycles are known. The position after them. */
static uint32_t skip_folded(struct figures *figures)
{
    const struct folded *folded = &figures->facts->folded;
    const struct order *orders = figures->facts->orders;
    figures->cycle = 1;
    figures->cycle_first = 0;
    if (folded->cycle == 0)
        return 1;
    uint32_t position = 0;
    figures->cycle = (int32_t)folded->cycle;
    while (position < figures->live_count && orders[figures->live[position]].placed.at < folded->cycle_start_at)
        position++;
    figures->cycle_first = position;
    while (position < figures->live_count && orders[figures->live[position]].placed.at <= folded->cycle_last_at)
        position++;
    return position ? position : 1;
}

static void find_cycle(struct figures_work *work)
{
    struct figures *figures = work->figures;
    const struct order *orders = figures->facts->orders;
    for (uint32_t i = skip_folded(figures); i < figures->live_count; i++) {
        int64_t at = orders[figures->live[i]].placed.at, before = orders[figures->live[i - 1]].placed.at;
        if (at - before < figures->playbook->lapse_ms || subscribed_before(&work->spells, at))
            continue;
        figures->cycle++; /* R29 */
        figures->cycle_first = i;
    }
}

static struct figure_instant purchase_instant(const struct figures *figures, uint32_t position)
{
    if (position >= figures->live_count)
        return figure_none;
    const struct order *order = &figures->facts->orders[figures->live[position]];
    return (struct figure_instant){.at = order->placed.at,
                                   .order = figures->live[position],
                                   .fact = FACT_NONE,
                                   .backfill = order->placed.backfill,
                                   .hash = stamp_record(figures->facts, &order->placed)};
}

static struct span currency_of(const struct figures *figures, struct span stated)
{
    return span_empty(stated) ? figures->playbook->currency : stated; /* R86 */
}

/* R32: each currency is a sum of its own. Of `currency`, the folded purchases first. */
static int64_t money_in(const struct figures *figures, struct span currency)
{
    const struct facts *facts = figures->facts;
    int64_t minor = 0;
    for (uint32_t i = 0; i < facts->folded.money_count; i++)
        if (span_equal(currency_of(figures, facts->folded.money[i].currency), currency))
            minor = amount_add(minor, facts->folded.money[i].minor);
    for (uint32_t i = 0; i < figures->live_count; i++) {
        const struct order *order = &facts->orders[figures->live[i]];
        if (span_equal(currency_of(figures, order->currency), currency))
            minor = amount_add(minor, order_paid(order)); /* R14: a part refund */
    }
    return minor;
}

struct moneys {
    struct customer_money *items;
    size_t count;
};

static void money_name(const struct figures *figures, struct moneys *moneys, struct span stated)
{
    struct span currency = currency_of(figures, stated);
    size_t at = 0;
    while (at < moneys->count && span_compare(moneys->items[at].currency, currency) < 0)
        at++;
    if (at < moneys->count && span_equal(moneys->items[at].currency, currency))
        return;
    memmove(&moneys->items[at + 1], &moneys->items[at], (moneys->count - at) * sizeof *moneys->items);
    moneys->items[at] = (struct customer_money){currency, money_in(figures, currency)};
    moneys->count++;
}

const struct customer_money *figures_money(const struct figures *figures, struct arena *arena, size_t *ret_count)
{
    const struct facts *facts = figures->facts;
    struct moneys moneys = {NULL, 0};
    moneys.items = ARENA_ARRAY(arena, struct customer_money, figures->live_count + facts->folded.money_count);
    for (uint32_t i = 0; i < facts->folded.money_count; i++)
        money_name(figures, &moneys, facts->folded.money[i].currency);
    for (uint32_t i = 0; i < figures->live_count; i++)
        money_name(figures, &moneys, facts->orders[figures->live[i]].currency);
    *ret_count = moneys.count;
    return moneys.items;
}

void figures_orders(struct figures_work *work)
{
    struct figures *figures = work->figures;
    const struct facts *facts = figures->facts;
    const struct folded *folded = &facts->folded;
    sort_orders(work);
    figures_subscription(work);
    find_cycle(work);
    figures->purchases = folded->purchases + figures->live_count;
    figures->trial = folded->trial;
    figures->premium = folded->premium;
    figures->related = folded->related;
    for (uint32_t i = 0; i < figures->live_count; i++) {
        const struct order *order = &facts->orders[figures->live[i]];
        bool first = i == 0 && figures->playbook->first_purchase_is_trial; /* R18 */
        figures->trial += order->all_trial || first;
        figures->premium += order->premium;
        figures->related += order->related;
    }
    figures->purchases_in_cycle = figures->live_count - figures->cycle_first;
    figures->purchases_in_cycle += figures_cycle_folded(figures) ? folded->cycle_purchases : 0;
    figures->first_purchase = purchase_instant(figures, 0);
    figures->last_purchase = purchase_instant(figures, figures->live_count - 1);
    figures->cycle_purchase = purchase_instant(figures, figures->cycle_first);
    figures->cycle_start = figures->cycle_purchase.at;
    figures->settle_purchases = figures->playbook->settle_purchases;
    if (figures->live_count) {
        int64_t stated = facts->orders[figures->last_purchase.order].settle_purchases;
        figures->settle_purchases = stated == FIGURE_UNSTATED ? figures->settle_purchases : stated;
    }
    figures->money_default = money_in(figures, figures->playbook->currency);
}

uint32_t figures_live_position(const struct figures *figures, uint32_t order)
{
    for (uint32_t i = figures->live_count; i-- > 0;)
        if (figures->live[i] == order)
            return i;
    return FACT_NONE;
}

bool figures_in_cycle(const struct figures *figures, uint32_t order)
{
    uint32_t position = figures_live_position(figures, order);
    return position != FACT_NONE && position >= figures->cycle_first;
}

int64_t order_effect_after(const struct facts *facts, const struct playbook *playbook, uint32_t order)
{
    int64_t stated = order == FACT_NONE ? FIGURE_UNSTATED : facts->orders[order].effect_after_ms;
    return stated == FIGURE_UNSTATED ? playbook->effect_after_ms : stated;
}

int64_t order_supply(const struct facts *facts, const struct playbook *playbook, uint32_t order)
{
    int64_t stated = order == FACT_NONE ? FIGURE_UNSTATED : facts->orders[order].supply_ms;
    return stated == FIGURE_UNSTATED ? playbook->supply_ms : stated;
}

/* ---- referrals, shares and the other contacts that are only counted ---- */

static int compare_hashes(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static int64_t distinct(uint64_t *hashes, size_t count)
{
    qsort(hashes, count, sizeof *hashes, compare_hashes);
    int64_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += i == 0 || hashes[i] != hashes[i - 1];
    return found;
}

/* R30: once per friend, whether a REFERRED, an order or both name him; a REFERRED without a name counts one. */
static void count_friends(struct figures_work *work, bool only_cycle, int64_t *ret_count)
{
    const struct figures *figures = work->figures;
    const struct facts *facts = figures->facts;
    uint64_t *friends = ARENA_ARRAY(work->arena, uint64_t, facts->credits_count + facts->notes_count + 1);
    size_t count = 0;
    for (uint32_t i = 0; i < facts->credits_count; i++)
        if (!only_cycle || facts->credits[i].at >= figures->cycle_start)
            friends[count++] = facts->credits[i].friend_hash;
    for (uint32_t i = 0; i < facts->notes_count; i++) {
        const struct note *note = &facts->notes[i];
        if (note->kind != EVENT_REFERRED || (only_cycle && note->stamp.at < figures->cycle_start))
            continue;
        if (note->names_friend)
            friends[count++] = note->friend_hash;
        else
            ++*ret_count;
    }
    *ret_count += count ? distinct(friends, count) : 0;
}

static bool since_cycle_start(const struct figures *figures, int64_t at)
{
    return figures->cycle_start != NEVER && at >= figures->cycle_start;
}

void figures_referrals(struct figures_work *work)
{
    struct figures *figures = work->figures;
    const struct facts *facts = figures->facts;
    bool any_referred = facts->credits_count > 0;
    figures->referrals = facts->folded.referrals;
    figures->referrals_converted = facts->credits_count;
    figures->events_attended = figures->support_contacts = figures->shares = 0;
    figures->referrals_in_cycle = figures->shares_in_cycle = 0;
    figures->first_shared = figures->first_referred = NEVER;
    for (uint32_t i = 0; i < facts->credits_count; i++)
        if (since_cycle_start(figures, facts->credits[i].at))
            instant_lower(&figures->first_referred, facts->credits[i].at);
    for (uint32_t i = 0; i < facts->notes_count; i++) {
        const struct note *note = &facts->notes[i];
        bool in_cycle = since_cycle_start(figures, note->stamp.at);
        figures->events_attended += note->kind == EVENT_EVENT_ATTENDED;
        figures->support_contacts += note->kind == EVENT_SUPPORT_CONTACTED;
        figures->shares += note->kind == EVENT_SHARED;
        any_referred |= note->kind == EVENT_REFERRED;
        if (note->kind == EVENT_REFERRED && in_cycle)
            instant_lower(&figures->first_referred, note->stamp.at);
        if (note->kind == EVENT_SHARED && in_cycle) {
            figures->shares_in_cycle++;
            instant_lower(&figures->first_shared, note->stamp.at);
        }
    }
    if (!any_referred)
        return;
    count_friends(work, false, &figures->referrals);
    if (figures->cycle_start != NEVER)
        count_friends(work, true, &figures->referrals_in_cycle);
}

/* ---- what runs hang on ---- */

static bool same_instant(const struct figure_instant *a, const struct figure_instant *b)
{
    return a->at == b->at && a->order == b->order && a->hash == b->hash && a->backfill == b->backfill;
}

bool figures_same_live(const struct figures *a, const struct figures *b)
{
    return a->live_count == b->live_count && a->cycle_first == b->cycle_first &&
           (a->live_count == 0 || memcmp(a->live, b->live, a->live_count * sizeof *a->live) == 0);
}

static uint32_t other_orders_anchors(const struct figures *a, const struct figures *b)
{
    return (uint32_t)!same_instant(&a->first_purchase, &b->first_purchase) << ANCHOR_FIRST_PURCHASE_EVER |
           (uint32_t)!same_instant(&a->cycle_purchase, &b->cycle_purchase) << ANCHOR_FIRST_PURCHASE_OF_CYCLE |
           (uint32_t)!same_instant(&a->last_purchase, &b->last_purchase) << ANCHOR_LAST_PURCHASE |
           (uint32_t)!same_instant(&a->subscription_since, &b->subscription_since) << ANCHOR_SUBSCRIPTION_SINCE;
}

uint32_t figures_same_anchors(const struct figures *before, const struct figures *figures, uint32_t parts)
{
    uint32_t others = (parts & FIGURES_ORDERS) ? other_orders_anchors(before, figures) : 0;
    if ((parts & FIGURES_DELIVERIES) && !same_instant(&before->first_delivery, &figures->first_delivery))
        others |= 1u << ANCHOR_FIRST_DELIVERY;
    if ((parts & FIGURES_RESPONSES) && !same_instant(&before->effect_felt, &figures->effect_felt))
        others |= 1u << ANCHOR_EFFECT_FELT;
    if (before->cycle_purchase.order != figures->cycle_purchase.order) /* R48: whose order these two take */
        others |= 1u << ANCHOR_EFFECT_FELT | 1u << ANCHOR_SUBSCRIPTION_SINCE;
    return ANCHORS_ALL & ~others;
}

/* ---- what the tables compare ---- */

#define CHANGED(fact, field) ((uint64_t)(a->field != b->field) << FACT_##fact)

static uint64_t changed_orders(const struct figures *a, const struct figures *b)
{
    return CHANGED(purchases, purchases) | CHANGED(trial, trial) | CHANGED(premium, premium) |
           CHANGED(related, related) | CHANGED(purchases_in_cycle, purchases_in_cycle) |
           CHANGED(settle_purchases, settle_purchases) | CHANGED(money, money_default) | CHANGED(cycle, cycle) |
           CHANGED(subscription, subscription) | CHANGED(renewals, renewals);
}

static uint64_t changed_referrals(const struct figures *a, const struct figures *b)
{
    return CHANGED(referrals, referrals) | CHANGED(referrals_converted, referrals_converted) | CHANGED(shares, shares) |
           CHANGED(events_attended, events_attended) | CHANGED(support_contacts, support_contacts);
}

static uint64_t changed_deliveries(const struct figures *a, const struct figures *b)
{
    return CHANGED(shipped, shipped) | CHANGED(delivered, delivered) | CHANGED(failed, failed) |
           CHANGED(shipped_in_cycle, shipped_in_cycle) | CHANGED(delivered_in_cycle, delivered_in_cycle);
}

static uint64_t changed_contacts(const struct figures *a, const struct figures *b)
{
    uint64_t email = CHANGED(registered_email, registered_email), line = CHANGED(registered_line, registered_line);
    return email | line | (email || line ? FACT_BIT(FACT_registered) : 0) | CHANGED(consent, consent) |
           CHANGED(bounced_email, bounced_email) | CHANGED(bounced_line, bounced_line) | CHANGED(opens_60d, opens_60d) |
           CHANGED(clicks_60d, clicks_60d);
}

/* All that answers tell but numbers changes where a bit of these sets does. */
static uint64_t changed_answers(const struct figures *a, const struct figures *b)
{
    const uint64_t asked = FACT_BIT(FACT_answered_initial) | FACT_BIT(FACT_answered_first_impression) |
                           FACT_BIT(FACT_answered_early_experience) | FACT_BIT(FACT_answered_effect) |
                           FACT_BIT(FACT_answered_others_noticed) | FACT_BIT(FACT_answered_monthly) |
                           FACT_BIT(FACT_answered_lapse);
    return CHANGED(answered_assess, answered_ever) | (a->answered_in_cycle != b->answered_in_cycle ? asked : 0) |
           CHANGED(responded_since_first_purchase, responded_since_first_purchase) | CHANGED(responses, responses) |
           CHANGED(last_satisfaction, last_satisfaction) | CHANGED(last_nps, last_nps) |
           CHANGED(positive_reactions, positive) | CHANGED(negative_reactions, negative) |
           CHANGED(effect_felt, effect_felt.at) | FACT_BIT(FACT_goal);
}

static uint64_t changed_days(const struct figures *a, const struct figures *b)
{
    if (a->days_change_at != NEVER && a->days_change_at <= b->now)
        return facts_of_days;
    return CHANGED(days_since_first_purchase, first_purchase.at) | CHANGED(days_since_last_purchase, last_purchase.at) |
           CHANGED(days_since_first_delivery, first_delivery.at) | CHANGED(days_since_last_delivery, last_delivery.at) |
           CHANGED(days_since_last_response, last_response_at) | CHANGED(days_since_last_open, last_open_at);
}

#undef CHANGED

uint64_t figures_changed_facts(const struct figures *before, const struct figures *figures, uint32_t parts)
{
    uint64_t changed = changed_days(before, figures);
    if (parts & FIGURES_ORDERS)
        changed |= changed_orders(before, figures);
    if (parts & FIGURES_DELIVERIES)
        changed |= changed_deliveries(before, figures);
    if (parts & FIGURES_CONTACTS)
        changed |= changed_contacts(before, figures);
    if (parts & FIGURES_RESPONSES)
        changed |= changed_answers(before, figures);
    if (parts & FIGURES_REFERRALS)
        changed |= changed_referrals(before, figures);
    return changed;
}

/* ---- time ---- */

/* Where the facts that are a field of the figures lie: numbers, and the instants from which days are counted. 0: no
 * such fact. */
#define IS_INT64(field) _Generic(((struct figures *)0)->field, int64_t : true)
#define FIELD(fact, field) [FACT_##fact] = IS_INT64(field) ? offsetof(struct figures, field) : 0
static const uint16_t number_fields[FACT_COUNT] = {
    FIELD(purchases, purchases),
    FIELD(trial, trial),
    FIELD(premium, premium),
    FIELD(related, related),
    FIELD(purchases_in_cycle, purchases_in_cycle),
    FIELD(settle_purchases, settle_purchases),
    FIELD(money, money_default),
    FIELD(renewals, renewals),
    FIELD(shipped, shipped),
    FIELD(delivered, delivered),
    FIELD(failed, failed),
    FIELD(shipped_in_cycle, shipped_in_cycle),
    FIELD(delivered_in_cycle, delivered_in_cycle),
    FIELD(responses, responses),
    FIELD(positive_reactions, positive),
    FIELD(negative_reactions, negative),
    FIELD(opens_60d, opens_60d),
    FIELD(clicks_60d, clicks_60d),
    FIELD(referrals, referrals),
    FIELD(referrals_converted, referrals_converted),
    FIELD(shares, shares),
    FIELD(events_attended, events_attended),
    FIELD(support_contacts, support_contacts),
};
static const uint16_t day_fields[FACT_COUNT] = {
    FIELD(days_since_first_purchase, first_purchase.at), FIELD(days_since_last_purchase, last_purchase.at),
    FIELD(days_since_first_delivery, first_delivery.at), FIELD(days_since_last_delivery, last_delivery.at),
    FIELD(days_since_last_response, last_response_at),   FIELD(days_since_last_open, last_open_at),
};
#undef FIELD
#undef IS_INT64

static int64_t field_at(const struct figures *figures, uint16_t at)
{
    return *(const int64_t *)((const char *)figures + at);
}

static int64_t days_anchor(const struct figures *figures, enum fact fact)
{
    return field_at(figures, day_fields[fact]);
}

/* R35: a comparison of days changes at X + days x 24 h, to the millisecond. */
static void add_boundaries(struct figures *figures)
{
    const struct playbook *playbook = figures->playbook;
    figures->days_change_at = NEVER;
    for (size_t i = 0; i < playbook->boundary_count; i++) {
        int64_t anchor = days_anchor(figures, playbook->boundaries[i].fact);
        int64_t at = anchor == NEVER ? NEVER : anchor + playbook->boundaries[i].days * DAY_MS;
        if (at > figures->now)
            instant_lower(&figures->days_change_at, at);
    }
    figures_change_at(figures, figures->days_change_at);
    if (figures->first_delivery.at != NEVER) /* R40: acclimate */
        figures_change_at(figures, figures->first_delivery.at + playbook->acclimate_after_ms);
}

static int64_t days_value(const struct figures *figures, enum fact fact)
{
    int64_t anchor = days_anchor(figures, fact);
    return anchor == NEVER ? FACT_ABSENT : floor_div(figures->now - anchor, DAY_MS);
}

static bool answered(uint32_t purposes, enum purpose purpose)
{
    return (purposes >> purpose & 1) != 0;
}

static int64_t answer_value(const struct figures *figures, enum fact fact)
{
    uint32_t in_cycle = figures->answered_in_cycle;
    switch (fact) {
    case FACT_answered_assess: return answered(figures->answered_ever, PURPOSE_ASSESS); /* R58 */
    case FACT_answered_initial: return answered(in_cycle, PURPOSE_INITIAL);
    case FACT_answered_first_impression: return answered(in_cycle, PURPOSE_FIRST_IMPRESSION);
    case FACT_answered_early_experience: return answered(in_cycle, PURPOSE_EARLY_EXPERIENCE);
    case FACT_answered_effect: return answered(in_cycle, PURPOSE_EFFECT);
    case FACT_answered_others_noticed: return answered(in_cycle, PURPOSE_OTHERS_NOTICED);
    case FACT_answered_monthly: return answered(in_cycle, PURPOSE_MONTHLY);
    case FACT_answered_lapse: return answered(in_cycle, PURPOSE_LAPSE);
    case FACT_responded_since_first_purchase: return figures->responded_since_first_purchase;
    case FACT_last_satisfaction: return figures->last_satisfaction ? figures->last_satisfaction : FACT_ABSENT;
    case FACT_last_nps: return figures->last_nps >= 0 ? figures->last_nps : FACT_ABSENT;
    case FACT_effect_felt: return figures->effect_felt.at != NEVER;
    default: return FACT_ABSENT;
    }
}

static int64_t flag_value(const struct figures *figures, enum fact fact)
{
    switch (fact) {
    case FACT_registered: return figures->registered_email || figures->registered_line;
    case FACT_registered_email: return figures->registered_email;
    case FACT_registered_line: return figures->registered_line;
    case FACT_consent: return figures->consent;
    case FACT_bounced_email: return figures->bounced_email;
    case FACT_bounced_line: return figures->bounced_line;
    case FACT_cycle: return figures->cycle;
    case FACT_subscription: return figures->subscription;
    default: return answer_value(figures, fact);
    }
}

static int64_t figure_value(const struct figures *figures, enum fact fact)
{
    if (number_fields[fact] != 0)
        return field_at(figures, number_fields[fact]);
    return day_fields[fact] != 0 ? days_value(figures, fact) : flag_value(figures, fact);
}

void figures_values(const struct figures *figures, uint64_t facts, struct fact_values *values)
{
    for (uint64_t left = facts & ALL_FACTS; left != 0; left &= left - 1) {
        enum fact fact = (enum fact)__builtin_ctzll(left);
        values->value[fact] = figure_value(figures, fact);
    }
    if (facts & FACT_BIT(FACT_goal))
        values->goal = figures_goal(figures);
    if (facts & FACT_BIT(FACT_campaign))
        values->campaign = SPAN_NONE;
}

/* ---- all, or a part anew ---- */

static bool has_parcel(const struct facts *facts, uint32_t order)
{
    for (uint32_t i = 0; i < facts->parcels_count; i++)
        if (facts->parcels[i].order == order)
            return true;
    return false;
}

/* One more purchase is live, the last one, in the cycle of those before it, and nothing was told of its parcels yet:
 * then parcels, answers and referrals mean what they meant. Most orders are such. */
static bool purchase_added(const struct figures *before, const struct figures *figures)
{
    uint32_t count = before->live_count;
    return count > 0 && figures->live_count == count + 1 && figures->cycle == before->cycle &&
           figures->cycle_first == before->cycle_first && figures->cycle_start == before->cycle_start &&
           figures->first_purchase.at == before->first_purchase.at &&
           memcmp(figures->live, before->live, count * sizeof *before->live) == 0 &&
           !has_parcel(figures->facts, figures->live[count]);
}

static bool has_come(int64_t at, int64_t now)
{
    return at != NEVER && at <= now;
}

/* What the live orders before and now say differently to the other parts. */
static uint32_t parts_of_orders(const struct figures *before, const struct figures *figures)
{
    if (!purchase_added(before, figures))
        return FIGURES_ALL;
    return order_tells_contacts(&figures->facts->orders[figures->last_purchase.order]) ? FIGURES_CONTACTS : FIGURES_TIME;
}

/* The parts to be read besides `parts`. */
static uint32_t parts_follow(struct figures_work *work, uint32_t parts)
{
    struct figures *figures = work->figures;
    if (parts & FIGURES_ORDERS) {
        const struct figures before = *figures;
        figures_orders(work);
        parts |= parts_of_orders(&before, figures);
    }
    if (has_come(figures->deliveries_change_at, figures->now))
        parts |= FIGURES_DELIVERIES;
    if (has_come(figures->contacts_change_at, figures->now))
        parts |= FIGURES_CONTACTS;
    return parts;
}

static uint32_t follow(struct figures_work *work, const struct facts *facts, int64_t now, uint32_t parts)
{
    struct figures *figures = work->figures;
    figures->facts = facts;
    figures->now = now;
    figures->next_change_at = NEVER;
    parts = parts_follow(work, parts);
    if (parts & FIGURES_DELIVERIES)
        figures_deliveries(work);
    if (parts & FIGURES_RESPONSES)
        figures_responses(work);
    if (parts & FIGURES_CONTACTS)
        figures_contacts(work);
    if (parts & FIGURES_REFERRALS)
        figures_referrals(work);
    figures_change_at(figures, figures->deliveries_change_at);
    figures_change_at(figures, figures->contacts_change_at);
    figures_rungs(work, parts);
    add_boundaries(figures);
    return parts;
}

void figures_compute_work(struct figures_work *work, const struct facts *facts, const struct playbook *playbook,
                          struct arena *arena, int64_t now, struct figures *ret_figures)
{
    memset(ret_figures, 0, sizeof *ret_figures);
    ret_figures->playbook = playbook;
    *work = (struct figures_work){.figures = ret_figures, .arena = arena};
    follow(work, facts, now, FIGURES_ALL);
}

void figures_compute(const struct facts *facts, const struct playbook *playbook, struct arena *arena, int64_t now,
                     struct figures *ret_figures)
{
    struct figures_work work;
    figures_compute_work(&work, facts, playbook, arena, now, ret_figures);
}

uint32_t figures_follow(const struct facts *facts, struct arena *arena, int64_t now, uint32_t parts,
                        struct figures *figures)
{
    struct figures_work work = {.figures = figures, .arena = arena};
    return follow(&work, facts, now, parts);
}
