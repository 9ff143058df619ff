#include "common/engine/facts.h"

#include "common/base/hash.h"

const struct stamp stamp_none = {.at = NEVER, .record_at = NEVER};

enum { GROW_FIRST = 8 };

void *facts_grow(struct arena *arena, void *items, uint32_t count, uint32_t *capacity, size_t item_size)
{
    if (count == *capacity) {
        *capacity = *capacity ? *capacity * 2 : GROW_FIRST;
        void *grown = arena_take_raw(arena, *capacity * item_size);
        if (count)
            memcpy(grown, items, count * item_size);
        items = grown;
    }
    memset((char *)items + count * item_size, 0, item_size);
    return items;
}

void facts_init(struct facts *facts, struct arena *arena)
{
    memset(facts, 0, sizeof *facts);
    facts->erased_at = NEVER;
    facts->first_seen_at = facts->unfrozen_from = NEVER;
    facts->folded.newest_at = facts->folded.spell_at = facts->folded.adopt_at = NEVER;
    *FACT_APPEND(facts, arena, sources) = SPAN_NONE;
}

static uint64_t record_of(uint64_t event_id, struct span source)
{
    return span_empty(source) ? event_id : event_id ^ hash_xxh64(source);
}

uint64_t stamp_record(const struct facts *facts, const struct stamp *stamp)
{
    return stamp->backfill ? record_of(stamp->hash, facts->sources[stamp->source]) : stamp->hash;
}

uint64_t event_record(const struct event *event)
{
    return record_of(hash_xxh64(event->event_id), event->source);
}

uint32_t facts_find_order(const struct facts *facts, struct span id)
{
    for (uint32_t i = facts->orders_count; i-- > 0;) /* the newest is asked for most */
        if (span_equal(facts->orders[i].id, id))
            return i;
    return FACT_NONE;
}

bool facts_unshipped(const struct facts *facts, uint32_t order)
{
    for (uint32_t i = 0; i < facts->parcels_count; i++) {
        const struct parcel *parcel = &facts->parcels[i];
        bool shipped =
            stamp_known(&parcel->shipped) || stamp_known(&parcel->delivered) || stamp_known(&parcel->returned);
        if (parcel->order == order && shipped)
            return false;
    }
    return true;
}

uint32_t facts_find_response(const struct facts *facts, uint64_t survey, uint64_t response)
{
    for (uint32_t i = facts->responses_count; i-- > 0;)
        if (facts->responses[i].response == response && facts->responses[i].survey == survey)
            return i;
    return FACT_NONE;
}

bool response_negative(const struct playbook *playbook, const struct response *response)
{
    return (response->nps >= 0 && response->nps <= playbook->negative_nps) ||
           (response->satisfaction > 0 && response->satisfaction <= playbook->negative_satisfaction);
}

bool response_positive(const struct playbook *playbook, const struct response *response)
{
    if (response_negative(playbook, response)) /* R26 */
        return false;
    if (response->nps >= playbook->positive_nps)
        return true;
    return response->satisfaction >= playbook->positive_satisfaction &&
           (response->nps < 0 || response->nps >= playbook->positive_satisfaction_nps);
}

int64_t amount_add(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? (b > 0 ? INT64_MAX : INT64_MIN) : sum;
}

int64_t order_paid(const struct order *order)
{
    int64_t paid;
    return !__builtin_sub_overflow(order->total, order->refunded, &paid) ? paid
           : order->refunded < 0                                         ? INT64_MAX
                                                                         : INT64_MIN;
}

/* Those above 0 first: a sum that ends at the last number there is ends there however the refunds came (R1). */
static void add_refunds(struct facts *facts, bool below)
{
    for (uint32_t i = 0; i < facts->refunds_count; i++) {
        int64_t amount = facts->refunds[i].amount;
        struct order *order = &facts->orders[facts->refunds[i].order];
        if (amount == REFUND_WHOLE)
            order->refunded_whole = true; /* R14: no amount stated */
        else if ((amount < 0) == below)
            order->refunded = amount_add(order->refunded, amount);
    }
}

void facts_settle_refunds(struct facts *facts)
{
    if (facts->refunds_count == 0) /* nor was there one of any of these orders */
        return;
    for (uint32_t i = 0; i < facts->orders_count; i++) {
        facts->orders[i].refunded = 0;
        facts->orders[i].refunded_whole = false;
    }
    add_refunds(facts, false);
    add_refunds(facts, true);
    for (uint32_t i = 0; i < facts->orders_count; i++) {
        struct order *order = &facts->orders[i];
        if (order->total > 0 && order->refunded >= order->total)
            order->refunded_whole = true; /* R14: the sum reaches the total */
    }
}

bool facts_folded_identity(const struct facts *facts, uint64_t identity)
{
    uint32_t low = 0, high = facts->folded.identity_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (facts->folded.identities[middle] == identity)
            return true;
        if (facts->folded.identities[middle] < identity)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

uint64_t fact_identity(enum identity_kind kind, uint64_t first, uint64_t second, uint64_t third)
{
    const uint64_t parts[] = {(uint64_t)kind, first, second, third};
    return hash_xxh64((struct span){(const char *)parts, sizeof parts});
}

size_t facts_counted(const struct facts *facts)
{
    size_t count = 0;
    for (uint32_t i = 0; i < facts->orders_count; i++) {
        const struct stamp *placed = &facts->orders[i].placed;
        count += stamp_known(placed) && !placed->folded;
    }
    for (uint32_t i = 0; i < facts->parcels_count; i++) {
        const struct parcel *parcel = &facts->parcels[i];
        count += stamp_known(&parcel->shipped) && !parcel->shipped.folded;
        count += stamp_known(&parcel->delivered) && !parcel->delivered.folded;
        count += stamp_known(&parcel->returned) && !parcel->returned.folded;
    }
    for (uint32_t i = 0; i < facts->refunds_count; i++)
        count += !facts->refunds[i].stamp.folded;
    for (uint32_t i = 0; i < facts->failures_count; i++)
        count += !facts->failures[i].stamp.folded;
    for (uint32_t i = 0; i < facts->changes_count; i++)
        count += !facts->changes[i].stamp.folded;
    for (uint32_t i = 0; i < facts->responses_count; i++)
        count += !facts->responses[i].stamp.folded;
    for (uint32_t i = 0; i < facts->notes_count; i++)
        count += facts->notes[i].kind == EVENT_REFERRED && !facts->notes[i].stamp.folded;
    return count;
}
