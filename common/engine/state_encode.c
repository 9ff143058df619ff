/* The facts' part of schemas/customer_state.avsc, written in the schema's order. A stamp's record of a higher version
 * (rare) stands in one array beside all others, in the order in which the marks say "edited"; so does what most orders
 * and parcels have not. */
#include "common/engine/state_parts.h"

struct edits {      /* of stamps, in the order in which they were written */
    int64_t *pairs; /* version, record_at */
    size_t count, capacity;
};

struct goods { /* what many orders share */
    struct span sku, currency;
};

struct encoder {
    struct state_writer *writer;
    const struct facts *facts;
    struct edits edits;
    uint32_t *source_index; /* by index in facts->sources: as written; only those in use */
    uint32_t *goods_index;  /* by index in facts->orders */
    uint64_t *surveys;      /* the answers', each once */
    uint32_t surveys_count;
};

enum { GOODS_LOOKED_AT = 16 }; /* of the newest: a long history must not cost the square of its length */

static bool edited(const struct stamp *stamp)
{
    return stamp->version != 0 || stamp->record_at != stamp->at;
}

static void note_edit(struct encoder *encoder, const struct stamp *stamp)
{
    struct edits *edits = &encoder->edits;
    if (edits->count == edits->capacity) {
        size_t capacity = edits->capacity ? edits->capacity * 2 : 8;
        int64_t *pairs = ARENA_ARRAY(encoder->writer->arena, int64_t, 2 * capacity);
        if (edits->count)
            memcpy(pairs, edits->pairs, 2 * edits->count * sizeof *pairs);
        edits->pairs = pairs;
        edits->capacity = capacity;
    }
    edits->pairs[2 * edits->count] = stamp->version;
    edits->pairs[2 * edits->count + 1] = stamp->record_at;
    edits->count++;
}

static void write_stamp_head(struct encoder *encoder, const struct stamp *stamp)
{
    state_write_time(encoder->writer, stamp->at);
    state_write_long(encoder->writer, (stamp->backfill ? MARK_BACKFILL : 0) | (stamp->folded ? MARK_FOLDED : 0) |
                                          (edited(stamp) ? MARK_EDITED : 0) |
                                          (int64_t)MARK_SOURCE * encoder->source_index[stamp->source]);
    if (edited(stamp))
        note_edit(encoder, stamp);
}

static void write_stamp(struct encoder *encoder, const struct stamp *stamp)
{
    write_stamp_head(encoder, stamp);
    state_write_fixed32(encoder->writer, (uint32_t)(stamp->hash >> 32));
}

static void write_identity_stamp(struct encoder *encoder, const struct stamp *stamp)
{
    write_stamp_head(encoder, stamp);
    state_write_fixed64(encoder->writer, stamp->hash);
}

static void write_optional_stamp(struct encoder *encoder, const struct stamp *stamp)
{
    state_write_long(encoder->writer, stamp_known(stamp));
    if (stamp_known(stamp))
        write_stamp(encoder, stamp);
}

static void write_optional_time(struct encoder *encoder, int64_t time)
{
    state_write_long(encoder->writer, time != NEVER);
    if (time != NEVER)
        state_write_time(encoder->writer, time);
}

static void write_optional_long(struct encoder *encoder, int64_t value)
{
    state_write_long(encoder->writer, value != FIGURE_UNSTATED);
    if (value != FIGURE_UNSTATED)
        state_write_long(encoder->writer, value);
}

static bool states_more(const struct order *order)
{
    bool figures = order->effect_after_ms != FIGURE_UNSTATED || order->supply_ms != FIGURE_UNSTATED ||
                   order->transit_ms != FIGURE_UNSTATED || order->settle_purchases != FIGURE_UNSTATED;
    return figures || order->campaign.size || order->referrer.size || order->time_zone.size || order->has_subscription;
}

static void write_order_more(struct encoder *encoder, uint32_t index)
{
    struct state_writer *writer = encoder->writer;
    const struct order *order = &encoder->facts->orders[index];
    state_write_long(writer, index);
    state_write_text(writer, order->campaign);
    state_write_text(writer, order->referrer);
    state_write_text(writer, order->time_zone);
    state_write_long(writer, order->has_subscription);
    if (order->has_subscription)
        state_write_fixed64(writer, order->subscription);
    write_optional_long(encoder, order->effect_after_ms);
    write_optional_long(encoder, order->supply_ms);
    write_optional_long(encoder, order->transit_ms);
    write_optional_long(encoder, order->settle_purchases);
}

static void write_order(struct encoder *encoder, uint32_t index)
{
    struct state_writer *writer = encoder->writer;
    const struct order *order = &encoder->facts->orders[index];
    bool placed = stamp_known(&order->placed);
    state_write_text(writer, order->id);
    write_stamp(encoder, placed ? &order->placed : &(struct stamp){.at = writer->base, .record_at = writer->base});
    state_write_long(
        writer, (placed ? 0 : ORDER_UNPLACED) | (order->renewal ? ORDER_RENEWAL : 0) |
                    (order->all_trial ? ORDER_ALL_TRIAL : 0) | (order->premium ? ORDER_PREMIUM : 0) |
                    (order->related ? ORDER_RELATED : 0) | (order->has_subscription ? ORDER_SUBSCRIPTION : 0) |
                    (order->subscription_told ? ORDER_SUBSCRIPTION_TOLD : 0) | order->email_registered * ORDER_EMAIL |
                    order->line_registered * ORDER_LINE | order->marketing_consent * ORDER_CONSENT);
    state_write_long(writer, order->total);
    state_write_long(writer, encoder->goods_index[index]);
}

static void write_orders(struct encoder *encoder)
{
    const struct facts *facts = encoder->facts;
    struct state_writer *writer = encoder->writer;
    uint32_t cancelled = 0, more = 0;
    state_write_count(writer, facts->orders_count);
    for (uint32_t i = 0; i < facts->orders_count; i++) {
        write_order(encoder, i);
        cancelled += stamp_known(&facts->orders[i].cancelled);
        more += states_more(&facts->orders[i]);
    }
    state_write_array_end(writer, facts->orders_count);
    state_write_count(writer, cancelled);
    for (uint32_t i = 0; cancelled && i < facts->orders_count; i++) {
        if (!stamp_known(&facts->orders[i].cancelled))
            continue;
        state_write_long(writer, i);
        write_stamp(encoder, &facts->orders[i].cancelled);
    }
    state_write_array_end(writer, cancelled);
    state_write_count(writer, more);
    for (uint32_t i = 0; more && i < facts->orders_count; i++) {
        if (states_more(&facts->orders[i]))
            write_order_more(encoder, i);
    }
    state_write_array_end(writer, more);
}

static bool parcel_states_more(const struct parcel *parcel)
{
    return parcel->hash != HASH_OF_NOTHING || stamp_known(&parcel->returned) || parcel->shipped_estimate != NEVER;
}

static void write_parcel(struct encoder *encoder, const struct parcel *parcel)
{
    struct state_writer *writer = encoder->writer;
    const struct stamp *placed = &encoder->facts->orders[parcel->order].placed;
    state_write_long(writer, parcel->order);
    if (stamp_known(placed))
        writer->base = placed->at;
    write_optional_stamp(encoder, &parcel->shipped);
    write_optional_stamp(encoder, &parcel->delivered);
}

static void write_parcel_more(struct encoder *encoder, uint32_t index)
{
    struct state_writer *writer = encoder->writer;
    const struct parcel *parcel = &encoder->facts->parcels[index];
    state_write_long(writer, index);
    state_write_long(writer, parcel->hash != HASH_OF_NOTHING);
    if (parcel->hash != HASH_OF_NOTHING)
        state_write_fixed64(writer, parcel->hash);
    write_optional_stamp(encoder, &parcel->returned);
    write_optional_time(encoder, parcel->shipped_estimate);
}

static void write_parcels(struct encoder *encoder)
{
    const struct facts *facts = encoder->facts;
    struct state_writer *writer = encoder->writer;
    uint32_t more = 0;
    state_write_count(writer, facts->parcels_count);
    for (uint32_t i = 0; i < facts->parcels_count; i++) {
        write_parcel(encoder, &facts->parcels[i]);
        more += parcel_states_more(&facts->parcels[i]);
    }
    state_write_array_end(writer, facts->parcels_count);
    state_write_count(writer, more);
    for (uint32_t i = 0; more && i < facts->parcels_count; i++) {
        if (parcel_states_more(&facts->parcels[i]))
            write_parcel_more(encoder, i);
    }
    state_write_array_end(writer, more);
}

/* The survey's place in the table; a new one is added at its end. */
static uint32_t survey_number(struct encoder *encoder, uint64_t survey)
{
    uint32_t i = 0;
    while (i < encoder->surveys_count && encoder->surveys[i] != survey)
        i++;
    if (i == encoder->surveys_count)
        encoder->surveys[encoder->surveys_count++] = survey;
    return i;
}

static void write_surveys(struct encoder *encoder)
{
    const struct facts *facts = encoder->facts;
    encoder->surveys = arena_take_raw(encoder->writer->arena, facts->responses_count * sizeof *encoder->surveys);
    for (uint32_t i = 0; i < facts->responses_count; i++)
        survey_number(encoder, facts->responses[i].survey);
    state_write_count(encoder->writer, encoder->surveys_count);
    for (uint32_t i = 0; i < encoder->surveys_count; i++)
        state_write_fixed64(encoder->writer, encoder->surveys[i]);
    state_write_array_end(encoder->writer, encoder->surveys_count);
}

static void write_response(struct encoder *encoder, const struct response *response)
{
    struct state_writer *writer = encoder->writer;
    write_stamp(encoder, &response->stamp);
    state_write_long(writer, survey_number(encoder, response->survey));
    state_write_fixed64(writer, response->response);
    state_write_long(writer, response->purpose);
    state_write_long(writer, response->satisfaction);
    state_write_long(writer, response->nps);
    state_write_long(writer, response->effect_felt * RESPONSE_EFFECT | response->consent_to_share * RESPONSE_SHARE |
                                 (int64_t)response->concerns * RESPONSE_CONCERNS);
    state_write_text(writer, response->goal);
}

static void write_note(struct encoder *encoder, const struct note *note)
{
    struct state_writer *writer = encoder->writer;
    write_identity_stamp(encoder, &note->stamp);
    state_write_long(writer, note->kind);
    state_write_long(writer, (note->channel == EVENT_CHANNEL_LINE ? NOTE_LINE : 0) | note->agent * NOTE_AGENT |
                                 note->marketing_consent * NOTE_CONSENT);
    state_write_text(writer, note->time_zone);
    state_write_long(writer, note->names_friend);
    if (note->names_friend)
        state_write_fixed64(writer, note->friend_hash);
}

/* -1 = the whole order, as ever; so amounts below 0 begin at -2. */
static int64_t refund_mark(int64_t amount)
{
    return amount == REFUND_WHOLE ? -1 : amount < 0 ? amount - 1 : amount;
}

static void write_lists(struct encoder *encoder)
{
    const struct facts *facts = encoder->facts;
    struct state_writer *writer = encoder->writer;
    write_orders(encoder);
    state_write_count(writer, facts->refunds_count);
    for (uint32_t i = 0; i < facts->refunds_count; i++) {
        write_identity_stamp(encoder, &facts->refunds[i].stamp);
        state_write_long(writer, facts->refunds[i].order);
        state_write_long(writer, refund_mark(facts->refunds[i].amount));
    }
    state_write_array_end(writer, facts->refunds_count);
    write_parcels(encoder);
    state_write_count(writer, facts->failures_count);
    for (uint32_t i = 0; i < facts->failures_count; i++) {
        write_identity_stamp(encoder, &facts->failures[i].stamp);
        state_write_long(writer, facts->failures[i].parcel);
        write_optional_time(encoder, facts->failures[i].estimate);
    }
    state_write_array_end(writer, facts->failures_count);
    state_write_count(writer, facts->changes_count);
    for (uint32_t i = 0; i < facts->changes_count; i++) {
        write_identity_stamp(encoder, &facts->changes[i].stamp);
        state_write_long(writer, facts->changes[i].kind);
        state_write_fixed64(writer, facts->changes[i].subscription);
    }
    state_write_array_end(writer, facts->changes_count);
}

static void write_more_lists(struct encoder *encoder)
{
    const struct facts *facts = encoder->facts;
    struct state_writer *writer = encoder->writer;
    write_surveys(encoder);
    state_write_count(writer, facts->responses_count);
    for (uint32_t i = 0; i < facts->responses_count; i++)
        write_response(encoder, &facts->responses[i]);
    state_write_array_end(writer, facts->responses_count);
    state_write_count(writer, facts->notes_count);
    for (uint32_t i = 0; i < facts->notes_count; i++)
        write_note(encoder, &facts->notes[i]);
    state_write_array_end(writer, facts->notes_count);
    state_write_count(writer, facts->credits_count);
    for (uint32_t i = 0; i < facts->credits_count; i++) {
        state_write_fixed64(writer, facts->credits[i].friend_hash);
        state_write_time(writer, facts->credits[i].at);
        state_write_long(writer, facts->credits[i].backfill);
    }
    state_write_array_end(writer, facts->credits_count);
    state_write_count(writer, encoder->edits.count);
    for (size_t i = 0; i < encoder->edits.count; i++) {
        state_write_long(writer, encoder->edits.pairs[2 * i]);
        state_write_time(writer, encoder->edits.pairs[2 * i + 1]);
    }
    state_write_array_end(writer, encoder->edits.count);
}

/* Below, whether a backfill fact began the spell; above, 0 or 1 + the time from the cycle's start to adopt_at. */
static int64_t spell_mark(const struct folded *folded)
{
    return 2 * (folded->adopt_at == NEVER ? 0 : folded->adopt_at - folded->cycle_start_at + 1) + folded->spell_backfill;
}

static void write_folded(struct encoder *encoder)
{
    const struct folded *folded = &encoder->facts->folded;
    struct state_writer *writer = encoder->writer;
    state_write_long(writer, folded->newest_at != NEVER);
    if (folded->newest_at == NEVER)
        return;
    state_write_time(writer, folded->newest_at);
    const int64_t totals[] = {
        folded->purchases, folded->trial,           folded->premium,       folded->related,
        folded->cycle,     folded->cycle_purchases, folded->cycle_shipped, folded->cycle_delivered,
        folded->failed,    folded->responses,       folded->positive,      folded->negative,
        folded->referrals, folded->answered,        folded->shipped,       folded->delivered};
    for (size_t i = 0; i < sizeof totals / sizeof *totals; i++)
        state_write_long(writer, totals[i]);
    write_optional_time(encoder, folded->cycle ? folded->cycle_start_at : NEVER);
    write_optional_time(encoder, folded->cycle ? folded->cycle_last_at : NEVER);
    write_optional_time(encoder, folded->spell_at);
    state_write_long(writer, spell_mark(folded));
    state_write_fixed64(writer, folded->spell_hash);
    state_write_count(writer, folded->money_count);
    for (uint32_t i = 0; i < folded->money_count; i++) {
        state_write_text(writer, folded->money[i].currency);
        state_write_long(writer, folded->money[i].minor);
    }
    state_write_array_end(writer, folded->money_count);
    state_write_count(writer, folded->subscription_count);
    for (uint32_t i = 0; i < folded->subscription_count; i++) {
        state_write_fixed64(writer, folded->subscriptions[i].subscription);
        state_write_long(writer, folded->subscriptions[i].renewals);
        state_write_long(writer, folded->subscriptions[i].active);
    }
    state_write_array_end(writer, folded->subscription_count);
    state_write_count(writer, folded->identity_count);
    for (uint32_t i = 0; i < folded->identity_count; i++)
        state_write_fixed64(writer, folded->identities[i]);
    state_write_array_end(writer, folded->identity_count);
}

/* Calls visit with every stamp. */
static inline void each_stamp(struct facts *facts, void (*visit)(struct stamp *stamp, uint32_t *index), uint32_t *index)
{
    for (uint32_t i = 0; i < facts->orders_count; i++) {
        visit(&facts->orders[i].placed, index);
        visit(&facts->orders[i].cancelled, index);
    }
    for (uint32_t i = 0; i < facts->refunds_count; i++)
        visit(&facts->refunds[i].stamp, index);
    for (uint32_t i = 0; i < facts->parcels_count; i++) {
        visit(&facts->parcels[i].shipped, index);
        visit(&facts->parcels[i].delivered, index);
        visit(&facts->parcels[i].returned, index);
    }
    for (uint32_t i = 0; i < facts->failures_count; i++)
        visit(&facts->failures[i].stamp, index);
    for (uint32_t i = 0; i < facts->changes_count; i++)
        visit(&facts->changes[i].stamp, index);
    for (uint32_t i = 0; i < facts->responses_count; i++)
        visit(&facts->responses[i].stamp, index);
    for (uint32_t i = 0; i < facts->notes_count; i++)
        visit(&facts->notes[i].stamp, index);
}

static void use_source(struct stamp *stamp, uint32_t *index)
{
    index[stamp->source] = 1;
}

static void renumber_source(struct stamp *stamp, uint32_t *index)
{
    stamp->source = index[stamp->source];
}

/* Only the sources that a stamp still names, numbered anew; "" is number 0 and is not counted. */
static uint32_t *number_sources(const struct facts *facts, struct arena *arena, uint32_t *ret_count)
{
    uint32_t *index = ARENA_ARRAY(arena, uint32_t, facts->sources_count), count = 0;
    each_stamp((struct facts *)facts, use_source, index);
    index[0] = 0;
    for (uint32_t i = 1; i < facts->sources_count; i++)
        if (index[i])
            index[i] = ++count;
    *ret_count = count;
    return index;
}

void facts_forget_sources(struct facts *facts, struct arena *arena)
{
    uint32_t count, *index = number_sources(facts, arena, &count);
    if (count + 1 == facts->sources_count)
        return;
    each_stamp(facts, renumber_source, index);
    for (uint32_t i = 1; i < facts->sources_count; i++)
        if (index[i])
            facts->sources[index[i]] = facts->sources[i];
    facts->sources_count = count + 1;
}

static void write_sources(struct encoder *encoder)
{
    const struct facts *facts = encoder->facts;
    uint32_t count;
    encoder->source_index = number_sources(facts, encoder->writer->arena, &count);
    state_write_count(encoder->writer, count);
    for (uint32_t i = 1; i < facts->sources_count; i++)
        if (encoder->source_index[i])
            state_write_text(encoder->writer, facts->sources[i]);
    state_write_array_end(encoder->writer, count);
}

static uint32_t goods_number(struct goods *goods, uint32_t *count, const struct goods *wanted)
{
    if (span_empty(wanted->sku) && span_empty(wanted->currency))
        return 0;
    for (uint32_t i = *count; i > 0 && i + GOODS_LOOKED_AT > *count; i--) {
        if (span_equal(goods[i - 1].sku, wanted->sku) && span_equal(goods[i - 1].currency, wanted->currency))
            return i;
    }
    goods[(*count)++] = *wanted;
    return *count;
}

/* Pairs of SKU and currency; each order has nothing but the pair's number. */
static void write_goods(struct encoder *encoder)
{
    const struct facts *facts = encoder->facts;
    struct state_writer *writer = encoder->writer;
    uint32_t goods_count = 0;
    struct goods *goods = arena_take_raw(writer->arena, facts->orders_count * sizeof *goods);
    encoder->goods_index = arena_take_raw(writer->arena, facts->orders_count * sizeof *encoder->goods_index);
    for (uint32_t i = 0; i < facts->orders_count; i++) {
        const struct goods wanted = {facts->orders[i].sku, facts->orders[i].currency};
        encoder->goods_index[i] = goods_number(goods, &goods_count, &wanted);
    }
    state_write_count(writer, goods_count);
    for (uint32_t i = 0; i < goods_count; i++) {
        state_write_text(writer, goods[i].sku);
        state_write_text(writer, goods[i].currency);
    }
    state_write_array_end(writer, goods_count);
}

/* What was last read of him, when: the facts' bytes do not depend on it, so the time before it counts for them. */
static void write_classes(struct state_writer *writer, const struct state_head *head)
{
    int64_t base = writer->base;
    state_write_long(writer, head->classified);
    if (!head->classified)
        return;
    state_write_time(writer, head->evaluated_at);
    state_write_long(writer, head->classes.tier);
    state_write_long(writer, head->classes.phase);
    state_write_long(writer, head->classes.growth);
    state_write_long(writer, head->classes.segment);
    state_write_long(writer, head->classes.cycle);
    writer->base = base;
}

void state_encode(struct state_writer *writer, const struct state_head *head, const struct facts *facts)
{
    static const unsigned char version = STATE_VERSION;
    state_write_fixed(writer, &version, 1);
    state_write_long(writer, head->seq);
    state_write_long(writer, facts->erased_at == NEVER ? BRANCH_CUSTOMER : BRANCH_ERASED);
    if (facts->erased_at != NEVER) {
        state_write_time(writer, facts->erased_at);
        return;
    }
    struct encoder encoder = {.writer = writer, .facts = facts};
    write_optional_time(&encoder, facts->first_seen_at);
    write_classes(writer, head);
    if (!span_empty(head->facts_bytes)) {
        state_write_fixed(writer, head->facts_bytes.data, head->facts_bytes.size);
        writer->base = head->facts_base;
        return;
    }
    write_sources(&encoder);
    write_goods(&encoder);
    write_lists(&encoder);
    write_more_lists(&encoder);
    write_folded(&encoder);
}
