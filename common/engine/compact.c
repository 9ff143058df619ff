/* Taking frozen facts out of the arrays (R11).
 *
 * Only a beginning of the customer's history is taken: the facts before a horizon, before which nothing can change any
 * more. The figures of that beginning alone say what must stay as it is: an order or answer that some figure names; and
 * with it what runs may still ask (struct facts_asked). All else goes into totals, and figures.c goes on from there, so
 * that the figures of the whole stay the same. */
#include "common/engine/figures_parts.h"

#include "common/base/hash.h"

#include <stdlib.h>

struct compacting {
    struct facts *facts;
    struct arena *arena;
    const struct playbook *playbook;
    int64_t newest_at;    /* of the counted facts: the clock was there at least */
    int64_t horizon;      /* only facts before it are taken */
    struct facts past;    /* the facts before the horizon */
    uint32_t *past_order; /* by index in past.orders: index in facts->orders */
    uint32_t *past_response;
    bool *order_past, *order_stays;       /* by index in facts->orders */
    bool *response_past, *response_stays; /* by index in facts->responses */
    struct figures figures;               /* of past */
    struct figures_work work;
};

/* order: of those before the horizon */
static bool in_cycle(const struct compacting *compacting, uint32_t order)
{
    return compacting->work.standing[order] == STANDING_IN_CYCLE;
}

/* ---- the horizon ---- */

static void lower(int64_t *least, int64_t at)
{
    if (at < *least)
        *least = at;
}

static void lower_to_unfolded(int64_t *horizon, int64_t *newest, const struct stamp *stamp)
{
    if (!stamp_known(stamp))
        return;
    if (!stamp->folded)
        lower(horizon, stamp->at);
    if (stamp->at > *newest)
        *newest = stamp->at;
}

/* An order with a fact that is not folded yet, or with a delivery still to be assumed, stays with all that came after
 * it. */
static void open_order(struct compacting *compacting, uint32_t order, const struct stamp *stamp)
{
    const struct stamp *placed = &compacting->facts->orders[order].placed;
    if (stamp_known(stamp) && !stamp->folded && stamp_known(placed))
        lower(&compacting->horizon, placed->at);
}

static void read_stamps(struct compacting *compacting)
{
    const struct facts *facts = compacting->facts;
    int64_t *horizon = &compacting->horizon, *newest = &compacting->newest_at;
    for (uint32_t i = 0; i < facts->orders_count; i++)
        lower_to_unfolded(horizon, newest, &facts->orders[i].placed);
    for (uint32_t i = 0; i < facts->refunds_count; i++) {
        lower_to_unfolded(horizon, newest, &facts->refunds[i].stamp);
        open_order(compacting, facts->refunds[i].order, &facts->refunds[i].stamp);
    }
    for (uint32_t i = 0; i < facts->parcels_count; i++) {
        const struct parcel *parcel = &facts->parcels[i];
        const struct stamp *stamps[] = {&parcel->shipped, &parcel->delivered, &parcel->returned};
        for (size_t s = 0; s < 3; s++) {
            lower_to_unfolded(horizon, newest, stamps[s]);
            open_order(compacting, parcel->order, stamps[s]);
        }
    }
    for (uint32_t i = 0; i < facts->failures_count; i++) {
        lower_to_unfolded(horizon, newest, &facts->failures[i].stamp);
        open_order(compacting, facts->parcels[facts->failures[i].parcel].order, &facts->failures[i].stamp);
    }
    for (uint32_t i = 0; i < facts->changes_count; i++)
        lower_to_unfolded(horizon, newest, &facts->changes[i].stamp);
    for (uint32_t i = 0; i < facts->responses_count; i++)
        lower_to_unfolded(horizon, newest, &facts->responses[i].stamp);
    for (uint32_t i = 0; i < facts->notes_count; i++)
        if (facts->notes[i].kind == EVENT_REFERRED)
            lower_to_unfolded(horizon, newest, &facts->notes[i].stamp);
}

static void find_horizon(struct compacting *compacting)
{
    const struct facts *facts = compacting->facts;
    compacting->horizon = INT64_MAX;
    compacting->newest_at = NEVER;
    read_stamps(compacting);
    for (uint32_t i = 0; i < facts->parcels_count; i++) {
        const struct stamp *placed = &facts->orders[facts->parcels[i].order].placed;
        int64_t assumed_at;
        parcel_delivery(facts, compacting->playbook, i, compacting->newest_at, &assumed_at);
        if (assumed_at != NEVER && stamp_known(placed))
            lower(&compacting->horizon, placed->at);
    }
}

static bool is_past(const struct compacting *compacting, const struct stamp *stamp)
{
    return stamp_known(stamp) && stamp->folded && stamp->at < compacting->horizon;
}

/* ---- the past, as facts of its own ---- */

static void copy_past_orders(struct compacting *compacting)
{
    const struct facts *facts = compacting->facts;
    struct facts *past = &compacting->past;
    uint32_t *index = ARENA_ARRAY(compacting->arena, uint32_t, facts->orders_count);
    uint32_t *parcel_index = ARENA_ARRAY(compacting->arena, uint32_t, facts->parcels_count);
    for (uint32_t i = 0; i < facts->orders_count; i++) {
        compacting->order_past[i] = is_past(compacting, &facts->orders[i].placed);
        if (!compacting->order_past[i])
            continue;
        index[i] = past->orders_count;
        compacting->past_order[past->orders_count] = i;
        past->orders[past->orders_count++] = facts->orders[i];
    }
    for (uint32_t i = 0; i < facts->parcels_count; i++) {
        if (!compacting->order_past[facts->parcels[i].order])
            continue;
        parcel_index[i] = past->parcels_count;
        past->parcels[past->parcels_count] = facts->parcels[i];
        past->parcels[past->parcels_count++].order = index[facts->parcels[i].order];
    }
    for (uint32_t i = 0; i < facts->failures_count; i++) {
        if (!compacting->order_past[facts->parcels[facts->failures[i].parcel].order])
            continue;
        past->failures[past->failures_count] = facts->failures[i];
        past->failures[past->failures_count++].parcel = parcel_index[facts->failures[i].parcel];
    }
}

static void copy_past(struct compacting *compacting)
{
    const struct facts *facts = compacting->facts;
    struct facts *past = &compacting->past;
    struct arena *arena = compacting->arena;
    facts_init(past, arena);
    past->folded = facts->folded;
    past->sources = facts->sources;
    past->sources_count = facts->sources_count;
    past->orders = ARENA_ARRAY(arena, struct order, facts->orders_count);
    past->parcels = ARENA_ARRAY(arena, struct parcel, facts->parcels_count);
    past->failures = ARENA_ARRAY(arena, struct failure, facts->failures_count);
    past->changes = ARENA_ARRAY(arena, struct subscription_change, facts->changes_count);
    past->responses = ARENA_ARRAY(arena, struct response, facts->responses_count);
    compacting->past_order = ARENA_ARRAY(arena, uint32_t, facts->orders_count);
    compacting->past_response = ARENA_ARRAY(arena, uint32_t, facts->responses_count);
    compacting->order_past = ARENA_ARRAY(arena, bool, facts->orders_count);
    compacting->order_stays = ARENA_ARRAY(arena, bool, facts->orders_count);
    compacting->response_past = ARENA_ARRAY(arena, bool, facts->responses_count);
    compacting->response_stays = ARENA_ARRAY(arena, bool, facts->responses_count);
    copy_past_orders(compacting);
    for (uint32_t i = 0; i < facts->changes_count; i++)
        if (is_past(compacting, &facts->changes[i].stamp))
            past->changes[past->changes_count++] = facts->changes[i];
    for (uint32_t i = 0; i < facts->responses_count; i++) {
        compacting->response_past[i] = is_past(compacting, &facts->responses[i].stamp);
        if (!compacting->response_past[i])
            continue;
        compacting->past_response[past->responses_count] = i;
        past->responses[past->responses_count++] = facts->responses[i];
    }
}

/* ---- what stays ---- */

static void stay(struct compacting *compacting, uint32_t past_order)
{
    if (past_order != FACT_NONE)
        compacting->order_stays[compacting->past_order[past_order]] = true;
}

static void stay_at(struct compacting *compacting, uint32_t position)
{
    if (position < compacting->figures.live_count)
        stay(compacting, compacting->figures.live[position]);
}

static void response_stays(struct compacting *compacting, uint32_t response)
{
    compacting->response_stays[compacting->past_response[response]] = true;
}

/* The purchases and deliveries that figures name, of all time and of the last cycle. */
static void purchases_stay(struct compacting *compacting)
{
    const struct figures *figures = &compacting->figures;
    stay_at(compacting, 0);
    stay_at(compacting, figures->cycle_first);
    stay_at(compacting, figures->cycle_first + 1); /* R40: adopt */
    stay_at(compacting, figures->live_count - 1);
    stay(compacting, figures->first_delivery.order);
    stay(compacting, figures->last_delivery.order);
    for (uint32_t i = figures->cycle_first; i < figures->live_count && figures->first_delivery.at != NEVER; i++)
        if (compacting->past.orders[figures->live[i]].placed.at >=
            figures->first_delivery.at + figures->first_effect_after_ms) {
            stay_at(compacting, i); /* R40: accomplish */
            break;
        }
    for (uint32_t i = 0; i < compacting->past.parcels_count; i++) {
        const struct parcel *parcel = &compacting->past.parcels[i];
        const struct stamp *shipped = stamp_known(&parcel->shipped) ? &parcel->shipped : &parcel->returned;
        if (in_cycle(compacting, parcel->order) && shipped->at == compacting->work.figures->first_shipped)
            stay(compacting, parcel->order); /* R40: affirm */
    }
}

/* The last order that states a thing (R22, R23, R33), and the earliest live one that names a referrer (R30). */
static void statements_stay(struct compacting *compacting)
{
    uint32_t last[4] = {FACT_NONE, FACT_NONE, FACT_NONE, FACT_NONE};
    const struct facts *past = &compacting->past;
    for (uint32_t i = 0; i < past->orders_count; i++) {
        const struct order *order = &past->orders[i];
        const bool states[] = {order->email_registered == ANSWER_TRUE, order->line_registered == ANSWER_TRUE,
                               order->marketing_consent == ANSWER_TRUE, order->time_zone.size > 0};
        for (size_t s = 0; s < 4; s++)
            if (states[s] && (last[s] == FACT_NONE || order->placed.at > past->orders[last[s]].placed.at ||
                              (order->placed.at == past->orders[last[s]].placed.at &&
                               order->placed.hash > past->orders[last[s]].placed.hash)))
                last[s] = i;
    }
    for (size_t s = 0; s < 4; s++)
        stay(compacting, last[s]);
    struct credit_list credits = credit_standings(past, compacting->arena);
    for (size_t i = 0; i < credits.count; i++)
        stay(compacting, credits.items[i].order);
}

/* R75 asks only whether there is any, and a folded order is shipped no more: the newest will do. */
static void unshipped_stays(struct compacting *compacting)
{
    for (uint32_t i = compacting->figures.live_count; i-- > 0;)
        if (facts_unshipped(&compacting->past, compacting->figures.live[i])) {
            stay_at(compacting, i);
            return;
        }
}

/* A used key `cycle:` and the numbers of a series hold as long as their order is of the present cycle (R48, R50), and
 * that is the past's last one or one that began after the past. */
static void asked_orders_stay(struct compacting *compacting, const struct facts_asked *asked)
{
    for (uint32_t i = 0; i < asked->orders_count; i++)
        stay(compacting, facts_find_order(&compacting->past, asked->orders[i]));
    for (uint32_t i = 0; i < asked->cycle_orders_count; i++) {
        uint32_t order = facts_find_order(&compacting->past, asked->cycle_orders[i]);
        if (order != FACT_NONE && in_cycle(compacting, order))
            stay(compacting, order);
    }
}

static void asked_answers_stay(struct compacting *compacting, const struct facts_asked *asked)
{
    for (uint32_t i = 0; i < asked->answers_count; i++) {
        const struct asked_answer *answer = &asked->answers[i];
        uint32_t response = facts_find_response(&compacting->past, answer->survey, answer->response);
        if (response != FACT_NONE)
            response_stays(compacting, response);
    }
}

/* A share told late may lie in any spell in which the last NPS was an advocate's (R5), so all its turns stay. Bounded:
 * whoever turns more than that often within a cycle, and only after history.days, has the older ones forgotten. */
static void turns_stay(struct compacting *compacting)
{
    enum { TURNS_KEPT = 32 };
    const struct facts *past = &compacting->past;
    uint32_t turns[TURNS_KEPT], count = 0;
    bool advocate = false;
    for (uint32_t i = 0; i < past->responses_count; i++) {
        uint32_t index = compacting->work.responses[i];
        const struct response *response = &past->responses[index];
        if (response->nps < 0 || response->stamp.at < compacting->figures.cycle_start ||
            (response->nps >= compacting->playbook->advocate_nps) == advocate)
            continue;
        advocate = !advocate;
        turns[count++ % TURNS_KEPT] = index;
    }
    for (uint32_t i = 0; i < count && i < TURNS_KEPT; i++)
        response_stays(compacting, turns[i]);
}

static void responses_stay(struct compacting *compacting)
{
    const struct facts *past = &compacting->past;
    const struct figures *figures = &compacting->figures;
    enum { LAST_ANY, LAST_SATISFACTION, LAST_NPS, LAST_GOAL, FIRST_POSITIVE, FIRST_EARLY, FIRST_FELT, OF_PURPOSE };
    uint32_t kept[OF_PURPOSE + PURPOSE_COUNT];
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        kept[i] = FACT_NONE;
    for (uint32_t i = 0; i < past->responses_count; i++) {
        uint32_t index = compacting->work.responses[i];
        const struct response *response = &past->responses[index];
        bool of_cycle = figures->cycle_start != NEVER && response->stamp.at >= figures->cycle_start;
        kept[LAST_ANY] = index;
        kept[LAST_SATISFACTION] = response->satisfaction ? index : kept[LAST_SATISFACTION];
        kept[LAST_NPS] = response->nps >= 0 ? index : kept[LAST_NPS];
        kept[LAST_GOAL] = response->goal.size ? index : kept[LAST_GOAL];
        if (!of_cycle)
            continue;
        kept[OF_PURPOSE + response->purpose] = index; /* R58 */
        if (kept[FIRST_POSITIVE] == FACT_NONE && response_positive(compacting->playbook, response))
            kept[FIRST_POSITIVE] = index;
        if (kept[FIRST_EARLY] == FACT_NONE && response->purpose == PURPOSE_EARLY_EXPERIENCE)
            kept[FIRST_EARLY] = index;
    }
    kept[FIRST_FELT] = figures->effect_felt.fact;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (kept[i] != FACT_NONE)
            response_stays(compacting, kept[i]);
    if (figures->cycle_start != NEVER)
        turns_stay(compacting);
}

/* ---- totals ---- */

static void add_identity(struct compacting *compacting, uint64_t identity)
{
    struct folded *folded = &compacting->facts->folded;
    folded->identities[folded->identity_count++] = identity;
}

static int compare_identities(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Room for all that may come; the order is restored by settle_identities. */
static void room_for_identities(struct compacting *compacting)
{
    struct facts *facts = compacting->facts;
    size_t most = (size_t)facts->orders_count + facts->refunds_count + facts->failures_count + facts->changes_count +
                  facts->responses_count + facts->notes_count;
    uint64_t *grown = ARENA_ARRAY(compacting->arena, uint64_t, facts->folded.identity_count + most);
    if (facts->folded.identity_count)
        memcpy(grown, facts->folded.identities, facts->folded.identity_count * sizeof *grown);
    facts->folded.identities = grown;
}

static void add_money(struct compacting *compacting, struct span currency, int64_t minor)
{
    struct folded *folded = &compacting->facts->folded;
    for (uint32_t i = 0; i < folded->money_count; i++)
        if (span_equal(folded->money[i].currency, currency)) {
            folded->money[i].minor = amount_add(folded->money[i].minor, minor);
            return;
        }
    struct folded_money *grown = ARENA_ARRAY(compacting->arena, struct folded_money, folded->money_count + 1);
    if (folded->money_count)
        memcpy(grown, folded->money, folded->money_count * sizeof *grown);
    grown[folded->money_count] = (struct folded_money){currency, minor};
    folded->money = grown;
    folded->money_count++;
}

static void add_order(struct compacting *compacting, const struct order *order, bool of_cycle)
{
    struct folded *folded = &compacting->facts->folded;
    add_identity(compacting, fact_identity(IDENTITY_ORDER, hash_xxh64(order->id), 0, 0));
    if (!order_live(order))
        return;
    folded->purchases++;
    folded->trial += order->all_trial;
    folded->premium += order->premium;
    folded->related += order->related;
    folded->cycle_purchases += of_cycle;
    add_money(compacting, order->currency, order_paid(order));
}

/* The cycle of the past's last purchase; totals of an earlier one are done with. */
static void begin_cycle(struct compacting *compacting)
{
    struct folded *folded = &compacting->facts->folded;
    const struct figures *figures = &compacting->figures;
    if (figures->live_count == 0)
        return;
    if (folded->cycle != figures->cycle)
        folded->cycle_purchases = folded->cycle_shipped = folded->cycle_delivered = 0;
    int64_t adopt_at = figures->rung_since[PHASE_ADOPT];
    folded->adopt_at = figures->purchases_in_cycle < 2   ? NEVER
                       : adopt_at < figures->cycle_start ? figures->cycle_start
                                                         : adopt_at;
    folded->cycle = figures->cycle;
    folded->cycle_start_at = figures->cycle_start;
    folded->cycle_last_at = figures->last_purchase.at;
}

/* A live order of the past that is taken out now. */
static bool order_counts_no_more(const struct compacting *compacting, uint32_t order)
{
    return order_live(&compacting->past.orders[order]) && !compacting->order_stays[compacting->past_order[order]];
}

static void add_parcels(struct compacting *compacting)
{
    struct folded *folded = &compacting->facts->folded;
    const struct facts *past = &compacting->past;
    for (uint32_t i = 0; i < past->parcels_count; i++) {
        const struct parcel *parcel = &past->parcels[i];
        if (!order_counts_no_more(compacting, parcel->order))
            continue;
        bool shipped = parcel_shipped(parcel), of_cycle = in_cycle(compacting, parcel->order),
             delivered = parcel_delivery(past, compacting->playbook, i, compacting->newest_at, NULL).at != NEVER;
        folded->shipped += shipped;
        folded->delivered += delivered;
        folded->cycle_shipped += of_cycle && shipped;
        folded->cycle_delivered += of_cycle && delivered;
    }
    for (uint32_t i = 0; i < past->failures_count; i++)
        folded->failed += order_counts_no_more(compacting, past->parcels[past->failures[i].parcel].order);
}

static void add_subscriptions(struct compacting *compacting)
{
    struct folded *folded = &compacting->facts->folded;
    const struct figure_instant *since = &compacting->figures.subscription_since;
    folded->subscription_count = compacting->work.standing_count;
    folded->subscriptions = ARENA_ARRAY(compacting->arena, struct folded_subscription, folded->subscription_count);
    if (folded->subscription_count)
        memcpy(folded->subscriptions, compacting->work.standings,
               folded->subscription_count * sizeof *folded->subscriptions);
    folded->spell_at = since->at;
    folded->spell_backfill = since->backfill;
    folded->spell_hash = since->hash;
}

/* ---- taking out ---- */

static bool order_goes(const struct compacting *compacting, uint32_t order)
{
    return compacting->order_past[order] && !compacting->order_stays[order];
}

static void take_orders(struct compacting *compacting)
{
    for (uint32_t i = 0; i < compacting->past.orders_count; i++)
        if (!compacting->order_stays[compacting->past_order[i]])
            add_order(compacting, &compacting->past.orders[i], in_cycle(compacting, i));
    struct facts *facts = compacting->facts;
    for (uint32_t i = 0; i < facts->refunds_count; i++)
        if (order_goes(compacting, facts->refunds[i].order))
            add_identity(compacting, fact_identity(IDENTITY_REFUND, facts->refunds[i].stamp.hash, 0, 0));
    for (uint32_t i = 0; i < facts->failures_count; i++)
        if (order_goes(compacting, facts->parcels[facts->failures[i].parcel].order))
            add_identity(compacting, fact_identity(IDENTITY_FAILURE, facts->failures[i].stamp.hash, 0, 0));
}

/* Closes the gaps in the arrays of orders and what hangs on them; indexes are put right. */
static void close_orders(struct compacting *compacting)
{
    struct facts *facts = compacting->facts;
    uint32_t *order_index = ARENA_ARRAY(compacting->arena, uint32_t, facts->orders_count);
    uint32_t *parcel_index = ARENA_ARRAY(compacting->arena, uint32_t, facts->parcels_count);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < facts->failures_count; i++)
        if (!order_goes(compacting, facts->parcels[facts->failures[i].parcel].order))
            facts->failures[kept++] = facts->failures[i];
    facts->failures_count = kept;
    kept = 0;
    for (uint32_t i = 0; i < facts->refunds_count; i++)
        if (!order_goes(compacting, facts->refunds[i].order))
            facts->refunds[kept++] = facts->refunds[i];
    facts->refunds_count = kept;
    kept = 0;
    for (uint32_t i = 0; i < facts->parcels_count; i++) {
        parcel_index[i] = kept;
        if (!order_goes(compacting, facts->parcels[i].order))
            facts->parcels[kept++] = facts->parcels[i];
    }
    facts->parcels_count = kept;
    kept = 0;
    for (uint32_t i = 0; i < facts->orders_count; i++) {
        order_index[i] = kept;
        if (order_goes(compacting, i))
            continue;
        facts->orders[kept] = facts->orders[i];
        facts->orders[kept++].subscription_told |= compacting->order_past[i] && facts->orders[i].has_subscription;
    }
    facts->orders_count = kept;
    for (uint32_t i = 0; i < facts->parcels_count; i++)
        facts->parcels[i].order = order_index[facts->parcels[i].order];
    for (uint32_t i = 0; i < facts->refunds_count; i++)
        facts->refunds[i].order = order_index[facts->refunds[i].order];
    for (uint32_t i = 0; i < facts->failures_count; i++)
        facts->failures[i].parcel = parcel_index[facts->failures[i].parcel];
}

static void take_responses(struct compacting *compacting)
{
    struct facts *facts = compacting->facts;
    struct folded *folded = &facts->folded;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < facts->responses_count; i++) {
        const struct response *response = &facts->responses[i];
        if (!compacting->response_past[i] || compacting->response_stays[i]) {
            facts->responses[kept++] = *response;
            continue;
        }
        folded->responses++;
        folded->positive += response_positive(compacting->playbook, response);
        folded->negative += response_negative(compacting->playbook, response);
        folded->answered |= 1u << response->purpose;
        add_identity(compacting, fact_identity(IDENTITY_RESPONSE, response->survey, response->response, 0));
    }
    facts->responses_count = kept;
}

static void take_changes(struct compacting *compacting)
{
    struct facts *facts = compacting->facts;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < facts->changes_count; i++) {
        if (is_past(compacting, &facts->changes[i].stamp))
            add_identity(compacting, fact_identity(IDENTITY_CHANGE, facts->changes[i].stamp.hash, 0, 0));
        else
            facts->changes[kept++] = facts->changes[i];
    }
    facts->changes_count = kept;
}

/* A REFERRED that names nobody, of before the last cycle: a number is enough. One that names a friend stays: he may
 * buy. */
static void take_referrals(struct compacting *compacting)
{
    struct facts *facts = compacting->facts;
    int64_t cycle_start = compacting->figures.cycle_start;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < facts->notes_count; i++) {
        const struct note *note = &facts->notes[i];
        bool goes = note->kind == EVENT_REFERRED && !note->names_friend && is_past(compacting, &note->stamp) &&
                    (cycle_start == NEVER || note->stamp.at < cycle_start);
        if (!goes) {
            facts->notes[kept++] = *note;
            continue;
        }
        facts->folded.referrals++;
        uint64_t source = hash_xxh64(facts->sources[note->stamp.source]);
        add_identity(compacting, fact_identity(IDENTITY_NOTE, source, note->stamp.hash, 0));
    }
    facts->notes_count = kept;
}

static void compact_past(struct facts *facts, struct arena *arena, const struct playbook *playbook,
                         const struct facts_asked *asked)
{
    struct compacting *compacting = ARENA_NEW(arena, struct compacting);
    compacting->facts = facts;
    compacting->arena = arena;
    compacting->playbook = playbook;
    find_horizon(compacting);
    copy_past(compacting);
    figures_compute_work(&compacting->work, &compacting->past, playbook, arena, compacting->newest_at,
                         &compacting->figures);
    purchases_stay(compacting);
    statements_stay(compacting);
    responses_stay(compacting);
    unshipped_stays(compacting);
    if (asked != NULL) {
        asked_orders_stay(compacting, asked);
        asked_answers_stay(compacting, asked);
    }
    room_for_identities(compacting);
    begin_cycle(compacting);
    add_parcels(compacting);
    add_subscriptions(compacting);
    take_orders(compacting);
    close_orders(compacting);
    take_responses(compacting);
    take_changes(compacting);
    take_referrals(compacting);
    qsort(facts->folded.identities, facts->folded.identity_count, sizeof *facts->folded.identities, compare_identities);
}

enum { COMPACT_LEAST = 16 }; /* folded facts in the arrays before it is worth the walk */

static size_t count_folded(const struct facts *facts)
{
    size_t count = 0;
    for (uint32_t i = 0; i < facts->orders_count; i++)
        count += facts->orders[i].placed.folded && !facts->orders[i].subscription_told;
    for (uint32_t i = 0; i < facts->responses_count; i++)
        count += facts->responses[i].stamp.folded;
    for (uint32_t i = 0; i < facts->changes_count; i++)
        count += facts->changes[i].stamp.folded;
    for (uint32_t i = 0; i < facts->notes_count; i++)
        count += facts->notes[i].stamp.folded && !facts->notes[i].names_friend;
    return count;
}

bool facts_compact(struct facts *facts, struct arena *arena, const struct playbook *playbook,
                   const struct facts_asked *asked)
{
    bool notes = history_compact_notes(facts, arena);
    bool past = facts->folded.newest_at != NEVER && count_folded(facts) >= COMPACT_LEAST;
    if (past)
        compact_past(facts, arena, playbook, asked);
    return notes || past;
}
