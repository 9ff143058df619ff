/* The facts' part of schemas/customer_state.avsc, written and read in the schema's order. A stamp's record of a higher
 * version (rare) stands in one array beside all others, in the order in which the marks say "edited". */
#include "common/engine/state_codec.h"

enum mark { MARK_BACKFILL = 1, MARK_FOLDED = 2, MARK_EDITED = 4, MARK_SOURCE = 8 /* times the source's index */ };
enum state_branch { BRANCH_ERASED, BRANCH_CUSTOMER };

enum order_flag {
    ORDER_RENEWAL = 1,
    ORDER_ALL_TRIAL = 2,
    ORDER_PREMIUM = 4,
    ORDER_RELATED = 8,
    ORDER_SUBSCRIPTION = 16,
    ORDER_EMAIL = 32, /* enum answer, two bits each */
    ORDER_LINE = 128,
    ORDER_CONSENT = 512,
    ORDER_SUBSCRIPTION_TOLD = 2048,
    ORDER_FLAGS = 4095
};

enum response_flag { RESPONSE_EFFECT = 1, RESPONSE_SHARE = 4, RESPONSE_CONCERNS = 16 }; /* answers: two bits each */
enum note_flag { NOTE_LINE = 1, NOTE_AGENT = 2, NOTE_CONSENT = 8, NOTE_FLAGS = 31 };

struct edits {      /* of stamps, in the order in which they were written */
    int64_t *pairs; /* version, record_at */
    size_t count, capacity;
};

struct encoder {
    struct state_writer *writer;
    const struct facts *facts;
    struct edits edits;
    uint32_t *source_index; /* by index in facts->sources: as written; only those in use */
};

/* ---- writing ---- */

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

static void write_order_more(struct encoder *encoder, const struct order *order)
{
    struct state_writer *writer = encoder->writer;
    bool figures = order->effect_after_ms != FIGURE_UNSTATED || order->supply_ms != FIGURE_UNSTATED ||
                   order->transit_ms != FIGURE_UNSTATED || order->settle_purchases != FIGURE_UNSTATED;
    bool more = figures || order->currency.size || order->campaign.size || order->referrer.size ||
                order->time_zone.size || order->has_subscription;
    state_write_long(writer, more);
    if (!more)
        return;
    state_write_text(writer, order->currency);
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

static void write_order(struct encoder *encoder, const struct order *order)
{
    struct state_writer *writer = encoder->writer;
    state_write_text(writer, order->id);
    write_optional_stamp(encoder, &order->placed);
    write_optional_stamp(encoder, &order->cancelled);
    state_write_long(writer, (order->renewal ? ORDER_RENEWAL : 0) | (order->all_trial ? ORDER_ALL_TRIAL : 0) |
                                 (order->premium ? ORDER_PREMIUM : 0) | (order->related ? ORDER_RELATED : 0) |
                                 (order->has_subscription ? ORDER_SUBSCRIPTION : 0) |
                                 (order->subscription_told ? ORDER_SUBSCRIPTION_TOLD : 0) |
                                 order->email_registered * ORDER_EMAIL | order->line_registered * ORDER_LINE |
                                 order->marketing_consent * ORDER_CONSENT);
    state_write_long(writer, order->total);
    state_write_text(writer, order->sku);
    write_order_more(encoder, order);
}

static void write_parcel(struct encoder *encoder, const struct parcel *parcel)
{
    struct state_writer *writer = encoder->writer;
    state_write_long(writer, parcel->order);
    state_write_fixed64(writer, parcel->hash);
    write_optional_stamp(encoder, &parcel->shipped);
    write_optional_stamp(encoder, &parcel->delivered);
    write_optional_stamp(encoder, &parcel->returned);
    write_optional_time(encoder, parcel->shipped_estimate);
}

static void write_response(struct encoder *encoder, const struct response *response)
{
    struct state_writer *writer = encoder->writer;
    write_stamp(encoder, &response->stamp);
    state_write_fixed64(writer, response->survey);
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

static void write_lists(struct encoder *encoder)
{
    const struct facts *facts = encoder->facts;
    struct state_writer *writer = encoder->writer;
    state_write_count(writer, facts->orders_count);
    for (uint32_t i = 0; i < facts->orders_count; i++)
        write_order(encoder, &facts->orders[i]);
    state_write_array_end(writer, facts->orders_count);
    state_write_count(writer, facts->refunds_count);
    for (uint32_t i = 0; i < facts->refunds_count; i++) {
        write_identity_stamp(encoder, &facts->refunds[i].stamp);
        state_write_long(writer, facts->refunds[i].order);
        state_write_long(writer, facts->refunds[i].amount);
    }
    state_write_array_end(writer, facts->refunds_count);
    state_write_count(writer, facts->parcels_count);
    for (uint32_t i = 0; i < facts->parcels_count; i++)
        write_parcel(encoder, &facts->parcels[i]);
    state_write_array_end(writer, facts->parcels_count);
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

static void write_folded(struct encoder *encoder)
{
    const struct folded *folded = &encoder->facts->folded;
    struct state_writer *writer = encoder->writer;
    state_write_long(writer, folded->newest_at != NEVER);
    if (folded->newest_at == NEVER)
        return;
    state_write_time(writer, folded->newest_at);
    const int64_t totals[] = {folded->purchases,     folded->trial,           folded->premium,
                              folded->related,       folded->cycle,           folded->cycle_purchases,
                              folded->cycle_shipped, folded->cycle_delivered, folded->cycle_failed,
                              folded->responses,     folded->positive,        folded->negative,
                              folded->referrals,     folded->answered};
    for (size_t i = 0; i < sizeof totals / sizeof *totals; i++)
        state_write_long(writer, totals[i]);
    write_optional_time(encoder, folded->cycle ? folded->cycle_start_at : NEVER);
    write_optional_time(encoder, folded->cycle ? folded->cycle_last_at : NEVER);
    write_optional_time(encoder, folded->spell_at);
    state_write_long(writer, folded->spell_backfill);
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

static void use_source(struct encoder *encoder, const struct stamp *stamp)
{
    encoder->source_index[stamp->source] = 1;
}

static void use_sources(struct encoder *encoder)
{
    const struct facts *facts = encoder->facts;
    for (uint32_t i = 0; i < facts->orders_count; i++) {
        use_source(encoder, &facts->orders[i].placed);
        use_source(encoder, &facts->orders[i].cancelled);
    }
    for (uint32_t i = 0; i < facts->refunds_count; i++)
        use_source(encoder, &facts->refunds[i].stamp);
    for (uint32_t i = 0; i < facts->parcels_count; i++) {
        use_source(encoder, &facts->parcels[i].shipped);
        use_source(encoder, &facts->parcels[i].delivered);
        use_source(encoder, &facts->parcels[i].returned);
    }
    for (uint32_t i = 0; i < facts->failures_count; i++)
        use_source(encoder, &facts->failures[i].stamp);
    for (uint32_t i = 0; i < facts->changes_count; i++)
        use_source(encoder, &facts->changes[i].stamp);
    for (uint32_t i = 0; i < facts->responses_count; i++)
        use_source(encoder, &facts->responses[i].stamp);
    for (uint32_t i = 0; i < facts->notes_count; i++)
        use_source(encoder, &facts->notes[i].stamp);
}

/* Only the sources that a stamp still names, numbered anew; "" is number 0 and is not written. */
static void write_sources(struct encoder *encoder)
{
    const struct facts *facts = encoder->facts;
    encoder->source_index = ARENA_ARRAY(encoder->writer->arena, uint32_t, facts->sources_count);
    use_sources(encoder);
    uint32_t count = 0;
    encoder->source_index[0] = 0;
    for (uint32_t i = 1; i < facts->sources_count; i++)
        if (encoder->source_index[i])
            encoder->source_index[i] = ++count;
    state_write_count(encoder->writer, count);
    for (uint32_t i = 1; i < facts->sources_count; i++)
        if (encoder->source_index[i])
            state_write_text(encoder->writer, facts->sources[i]);
    state_write_array_end(encoder->writer, count);
}

static void write_classes(struct state_writer *writer, const struct state_head *head)
{
    state_write_long(writer, head->classified);
    if (!head->classified)
        return;
    state_write_long(writer, head->classes.tier);
    state_write_long(writer, head->classes.phase);
    state_write_long(writer, head->classes.growth);
    state_write_long(writer, head->classes.segment);
    state_write_long(writer, head->classes.cycle);
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
    int64_t base = writer->base;
    write_optional_time(&encoder, head->evaluated_at);
    writer->base = base; /* the facts' bytes do not depend on when they were read */
    write_classes(writer, head);
    if (!span_empty(head->facts_bytes)) {
        state_write_fixed(writer, head->facts_bytes.data, head->facts_bytes.size);
        writer->base = head->facts_base;
        return;
    }
    write_sources(&encoder);
    write_lists(&encoder);
    write_more_lists(&encoder);
    write_folded(&encoder);
}

/* ---- reading ---- */

struct decoder {
    struct state_reader *reader;
    struct arena *arena;
    struct facts *facts;
    struct stamp **edited; /* those marked so, in order */
    size_t edited_count, edited_capacity;
};

static bool read_flag(struct state_reader *reader)
{
    return state_read_range(reader, 0, 1) != 0;
}

static int64_t read_optional_time(struct state_reader *reader)
{
    return read_flag(reader) ? state_read_time(reader) : NEVER;
}

static int64_t read_optional_long(struct state_reader *reader)
{
    return read_flag(reader) ? state_read_long(reader) : FIGURE_UNSTATED;
}

static void mark_edited(struct decoder *decoder, struct stamp *stamp)
{
    if (decoder->edited_count == decoder->edited_capacity) {
        size_t capacity = decoder->edited_capacity ? decoder->edited_capacity * 2 : 8;
        struct stamp **grown = ARENA_ARRAY(decoder->arena, struct stamp *, capacity);
        if (decoder->edited_count)
            memcpy(grown, decoder->edited, decoder->edited_count * sizeof *grown);
        decoder->edited = grown;
        decoder->edited_capacity = capacity;
    }
    decoder->edited[decoder->edited_count++] = stamp;
}

static void read_stamp_head(struct decoder *decoder, struct stamp *stamp)
{
    struct state_reader *reader = decoder->reader;
    stamp->at = stamp->record_at = state_read_time(reader);
    int64_t mark = state_read_range(reader, 0, (int64_t)MARK_SOURCE * decoder->facts->sources_count - 1);
    stamp->backfill = mark & MARK_BACKFILL;
    stamp->folded = mark & MARK_FOLDED;
    stamp->source = (uint32_t)(mark / MARK_SOURCE);
    if (mark & MARK_EDITED)
        mark_edited(decoder, stamp);
}

static void read_stamp(struct decoder *decoder, struct stamp *stamp)
{
    read_stamp_head(decoder, stamp);
    stamp->hash = (uint64_t)state_read_fixed32(decoder->reader) << 32;
}

static void read_identity_stamp(struct decoder *decoder, struct stamp *stamp)
{
    read_stamp_head(decoder, stamp);
    stamp->hash = state_read_fixed64(decoder->reader);
}

static void read_optional_stamp(struct decoder *decoder, struct stamp *stamp)
{
    *stamp = stamp_none;
    if (read_flag(decoder->reader))
        read_stamp(decoder, stamp);
}

static void read_order_more(struct state_reader *reader, struct order *order)
{
    bool subscription = order->has_subscription;
    order->effect_after_ms = order->supply_ms = order->transit_ms = order->settle_purchases = FIGURE_UNSTATED;
    if (!read_flag(reader)) {
        reader->failed |= subscription;
        return;
    }
    order->currency = state_read_text(reader);
    order->campaign = state_read_text(reader);
    order->referrer = state_read_text(reader);
    order->time_zone = state_read_text(reader);
    if (read_flag(reader) != subscription)
        reader->failed = true;
    else if (subscription)
        order->subscription = state_read_fixed64(reader);
    order->effect_after_ms = read_optional_long(reader);
    order->supply_ms = read_optional_long(reader);
    order->transit_ms = read_optional_long(reader);
    order->settle_purchases = read_optional_long(reader);
}

static enum answer read_answer(struct state_reader *reader, int64_t flags, int shift_value)
{
    int64_t answer = flags / shift_value & 3;
    reader->failed |= answer > ANSWER_TRUE;
    return (enum answer)answer;
}

static void read_order(struct decoder *decoder, struct order *order)
{
    struct state_reader *reader = decoder->reader;
    order->id = state_read_text(reader);
    read_optional_stamp(decoder, &order->placed);
    read_optional_stamp(decoder, &order->cancelled);
    int64_t flags = state_read_range(reader, 0, ORDER_FLAGS);
    order->renewal = flags & ORDER_RENEWAL;
    order->all_trial = flags & ORDER_ALL_TRIAL;
    order->premium = flags & ORDER_PREMIUM;
    order->related = flags & ORDER_RELATED;
    order->has_subscription = flags & ORDER_SUBSCRIPTION;
    order->subscription_told = flags & ORDER_SUBSCRIPTION_TOLD;
    order->email_registered = read_answer(reader, flags, ORDER_EMAIL);
    order->line_registered = read_answer(reader, flags, ORDER_LINE);
    order->marketing_consent = read_answer(reader, flags, ORDER_CONSENT);
    order->total = state_read_long(reader);
    order->sku = state_read_text(reader);
    read_order_more(reader, order);
}

static uint32_t read_index(struct state_reader *reader, uint32_t count)
{
    if (count == 0)
        reader->failed = true;
    return (uint32_t)state_read_range(reader, 0, count ? count - 1 : 0);
}

static void read_parcel(struct decoder *decoder, struct parcel *parcel)
{
    struct state_reader *reader = decoder->reader;
    parcel->order = read_index(reader, decoder->facts->orders_count);
    parcel->hash = state_read_fixed64(reader);
    read_optional_stamp(decoder, &parcel->shipped);
    read_optional_stamp(decoder, &parcel->delivered);
    read_optional_stamp(decoder, &parcel->returned);
    parcel->shipped_estimate = read_optional_time(reader);
}

static void read_response(struct decoder *decoder, struct response *response)
{
    struct state_reader *reader = decoder->reader;
    read_stamp(decoder, &response->stamp);
    response->survey = state_read_fixed64(reader);
    response->response = state_read_fixed64(reader);
    response->purpose = (enum purpose)state_read_range(reader, 0, PURPOSE_COUNT - 1);
    response->satisfaction = (int32_t)state_read_range(reader, 0, 5);
    response->nps = (int32_t)state_read_range(reader, -1, 10);
    int64_t flags = state_read_range(reader, 0, ((int64_t)RESPONSE_CONCERNS << CONCERN_COUNT) - 1);
    response->effect_felt = read_answer(reader, flags, RESPONSE_EFFECT);
    response->consent_to_share = read_answer(reader, flags, RESPONSE_SHARE);
    response->concerns = (uint32_t)(flags / RESPONSE_CONCERNS);
    response->goal = state_read_text(reader);
}

static void read_note(struct decoder *decoder, struct note *note)
{
    struct state_reader *reader = decoder->reader;
    read_identity_stamp(decoder, &note->stamp);
    note->kind = (enum event_kind)state_read_range(reader, EVENT_OPENED, EVENT_SUPPORT_CONTACTED);
    int64_t flags = state_read_range(reader, 0, NOTE_FLAGS);
    note->channel = flags & NOTE_LINE ? EVENT_CHANNEL_LINE : EVENT_CHANNEL_EMAIL;
    note->agent = (enum event_agent)(flags / NOTE_AGENT & 3);
    reader->failed |= note->agent > AGENT_MACHINE;
    note->marketing_consent = read_answer(reader, flags, NOTE_CONSENT);
    note->time_zone = state_read_text(reader);
    note->names_friend = read_flag(reader);
    note->friend_hash = note->names_friend ? state_read_fixed64(reader) : 0;
}

/* The array's items, with room for a few more so that applying an event seldom copies it. Item sizes are the least that
 * the schema can write: a claim of more items than the bytes can hold is refused before any memory is taken. */
#define READ_ARRAY(decoder, name, item_size_min)                                                                       \
    do {                                                                                                               \
        struct facts *facts_ = (decoder)->facts;                                                                       \
        uint32_t count_ = state_read_count((decoder)->reader, (item_size_min));                                        \
        facts_->name##_capacity = count_ + 2;                                                                          \
        facts_->name = arena_take((decoder)->arena, facts_->name##_capacity * sizeof *facts_->name);                   \
        facts_->name##_count = count_;                                                                                 \
    } while (0)

enum {
    ORDER_SIZE_MIN = 7,
    REFUND_SIZE_MIN = 12,
    PARCEL_SIZE_MIN = 13,
    FAILURE_SIZE_MIN = 12,
    CHANGE_SIZE_MIN = 19,
    RESPONSE_SIZE_MIN = 27,
    NOTE_SIZE_MIN = 14,
    CREDIT_SIZE_MIN = 10
};

static void read_lists(struct decoder *decoder)
{
    struct facts *facts = decoder->facts;
    struct state_reader *reader = decoder->reader;
    READ_ARRAY(decoder, orders, ORDER_SIZE_MIN);
    for (uint32_t i = 0; i < facts->orders_count && !reader->failed; i++)
        read_order(decoder, &facts->orders[i]);
    state_read_array_end(reader, facts->orders_count);
    READ_ARRAY(decoder, refunds, REFUND_SIZE_MIN);
    for (uint32_t i = 0; i < facts->refunds_count && !reader->failed; i++) {
        read_identity_stamp(decoder, &facts->refunds[i].stamp);
        facts->refunds[i].order = read_index(reader, facts->orders_count);
        facts->refunds[i].amount = state_read_range(reader, -1, INT64_MAX);
    }
    state_read_array_end(reader, facts->refunds_count);
    READ_ARRAY(decoder, parcels, PARCEL_SIZE_MIN);
    for (uint32_t i = 0; i < facts->parcels_count && !reader->failed; i++)
        read_parcel(decoder, &facts->parcels[i]);
    state_read_array_end(reader, facts->parcels_count);
    READ_ARRAY(decoder, failures, FAILURE_SIZE_MIN);
    for (uint32_t i = 0; i < facts->failures_count && !reader->failed; i++) {
        read_identity_stamp(decoder, &facts->failures[i].stamp);
        facts->failures[i].parcel = read_index(reader, facts->parcels_count);
        facts->failures[i].estimate = read_optional_time(reader);
    }
    state_read_array_end(reader, facts->failures_count);
    READ_ARRAY(decoder, changes, CHANGE_SIZE_MIN);
    for (uint32_t i = 0; i < facts->changes_count && !reader->failed; i++) {
        read_identity_stamp(decoder, &facts->changes[i].stamp);
        facts->changes[i].kind =
            (enum event_kind)state_read_range(reader, EVENT_SUBSCRIPTION_STARTED, EVENT_SUBSCRIPTION_CANCELLED);
        facts->changes[i].subscription = state_read_fixed64(reader);
    }
    state_read_array_end(reader, facts->changes_count);
}

static void read_edits(struct decoder *decoder)
{
    struct state_reader *reader = decoder->reader;
    uint32_t count = state_read_count(reader, 2);
    if (count != decoder->edited_count)
        reader->failed = true;
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        decoder->edited[i]->version = state_read_long(reader);
        decoder->edited[i]->record_at = state_read_time(reader);
    }
    state_read_array_end(reader, count);
}

static void read_more_lists(struct decoder *decoder)
{
    struct facts *facts = decoder->facts;
    struct state_reader *reader = decoder->reader;
    READ_ARRAY(decoder, responses, RESPONSE_SIZE_MIN);
    for (uint32_t i = 0; i < facts->responses_count && !reader->failed; i++)
        read_response(decoder, &facts->responses[i]);
    state_read_array_end(reader, facts->responses_count);
    READ_ARRAY(decoder, notes, NOTE_SIZE_MIN);
    for (uint32_t i = 0; i < facts->notes_count && !reader->failed; i++)
        read_note(decoder, &facts->notes[i]);
    state_read_array_end(reader, facts->notes_count);
    READ_ARRAY(decoder, credits, CREDIT_SIZE_MIN);
    for (uint32_t i = 0; i < facts->credits_count && !reader->failed; i++) {
        facts->credits[i].friend_hash = state_read_fixed64(reader);
        facts->credits[i].at = state_read_time(reader);
        facts->credits[i].backfill = read_flag(reader);
    }
    state_read_array_end(reader, facts->credits_count);
    read_edits(decoder);
}

static void read_folded_lists(struct decoder *decoder, struct folded *folded)
{
    struct state_reader *reader = decoder->reader;
    folded->money_count = state_read_count(reader, 2);
    folded->money = ARENA_ARRAY(decoder->arena, struct folded_money, folded->money_count);
    for (uint32_t i = 0; i < folded->money_count && !reader->failed; i++) {
        folded->money[i].currency = state_read_text(reader);
        folded->money[i].minor = state_read_long(reader);
    }
    state_read_array_end(reader, folded->money_count);
    folded->subscription_count = state_read_count(reader, 10);
    folded->subscriptions = ARENA_ARRAY(decoder->arena, struct folded_subscription, folded->subscription_count);
    for (uint32_t i = 0; i < folded->subscription_count && !reader->failed; i++) {
        folded->subscriptions[i].subscription = state_read_fixed64(reader);
        folded->subscriptions[i].renewals = state_read_long(reader);
        folded->subscriptions[i].active = read_flag(reader);
    }
    state_read_array_end(reader, folded->subscription_count);
    folded->identity_count = state_read_count(reader, 8);
    folded->identities = ARENA_ARRAY(decoder->arena, uint64_t, folded->identity_count);
    for (uint32_t i = 0; i < folded->identity_count && !reader->failed; i++)
        folded->identities[i] = state_read_fixed64(reader);
    state_read_array_end(reader, folded->identity_count);
}

static void read_folded(struct decoder *decoder)
{
    struct folded *folded = &decoder->facts->folded;
    struct state_reader *reader = decoder->reader;
    if (!read_flag(reader))
        return;
    folded->newest_at = state_read_time(reader);
    int64_t *totals[] = {&folded->purchases,     &folded->trial,           &folded->premium,
                         &folded->related,       &folded->cycle,           &folded->cycle_purchases,
                         &folded->cycle_shipped, &folded->cycle_delivered, &folded->cycle_failed,
                         &folded->responses,     &folded->positive,        &folded->negative,
                         &folded->referrals};
    for (size_t i = 0; i < sizeof totals / sizeof *totals; i++)
        *totals[i] = state_read_range(reader, 0, INT32_MAX);
    folded->answered = (uint32_t)state_read_range(reader, 0, (1 << PURPOSE_COUNT) - 1);
    folded->cycle_start_at = read_optional_time(reader);
    folded->cycle_last_at = read_optional_time(reader);
    folded->spell_at = read_optional_time(reader);
    folded->spell_backfill = read_flag(reader);
    folded->spell_hash = state_read_fixed64(reader);
    read_folded_lists(decoder, folded);
}

static void read_sources(struct decoder *decoder)
{
    struct facts *facts = decoder->facts;
    uint32_t count = state_read_count(decoder->reader, 1);
    facts->sources_capacity = count + 3;
    facts->sources = ARENA_ARRAY(decoder->arena, struct span, facts->sources_capacity);
    facts->sources_count = count + 1;
    for (uint32_t i = 1; i <= count && !decoder->reader->failed; i++)
        facts->sources[i] = state_read_text(decoder->reader);
    state_read_array_end(decoder->reader, count);
}

static void read_classes(struct state_reader *reader, struct state_head *head)
{
    head->classified = read_flag(reader);
    if (!head->classified)
        return;
    head->classes.tier = (enum tier)state_read_range(reader, 0, TIER_COUNT - 1);
    head->classes.phase = (enum phase)state_read_range(reader, 0, PHASE_COUNT - 1);
    head->classes.growth = (enum growth)state_read_range(reader, 0, GROWTH_COUNT - 1);
    head->classes.segment = (enum segment)state_read_range(reader, 0, SEGMENT_COUNT - 1);
    head->classes.cycle = (int32_t)state_read_range(reader, 1, INT32_MAX);
}

bool state_decode(struct span blob, struct arena *arena, struct state_head *ret_head, struct facts *ret_facts,
                  struct state_reader *ret_reader)
{
    *ret_head = (struct state_head){.evaluated_at = NEVER};
    *ret_reader = (struct state_reader){0};
    memset(ret_facts, 0, sizeof *ret_facts);
    facts_init(ret_facts, arena);
    if (span_empty(blob))
        return true;
    struct state_reader *reader = ret_reader;
    reader->at = (const unsigned char *)blob.data;
    reader->end = reader->at + blob.size;
    if (*reader->at++ != STATE_VERSION)
        return false;
    ret_head->seq = state_read_range(reader, 0, INT64_MAX);
    if (state_read_range(reader, BRANCH_ERASED, BRANCH_CUSTOMER) == BRANCH_ERASED) {
        ret_facts->erased_at = state_read_time(reader);
        return !reader->failed;
    }
    struct decoder decoder = {.reader = reader, .arena = arena, .facts = ret_facts};
    ret_facts->known = true;
    ret_facts->first_seen_at = read_optional_time(reader);
    int64_t base = reader->base;
    ret_head->evaluated_at = read_optional_time(reader);
    reader->base = base;
    read_classes(reader, ret_head);
    const unsigned char *start = reader->at;
    read_sources(&decoder);
    read_lists(&decoder);
    read_more_lists(&decoder);
    read_folded(&decoder);
    if (reader->failed)
        return false;
    ret_head->facts_bytes = (struct span){(const char *)start, (size_t)(reader->at - start)};
    ret_head->facts_base = reader->base;
    facts_settle_refunds(ret_facts);
    return true;
}
