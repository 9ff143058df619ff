/* The facts' part of schemas/customer_state.avsc, read in the schema's order; and of version 1, whose schema is
 * tests/golden/0.1.0/customer_state-1.avsc. */
#include "common/engine/state_parts.h"

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

static enum answer read_answer(struct state_reader *reader, int64_t flags, int shift_value)
{
    int64_t answer = flags / shift_value & 3;
    reader->failed |= answer > ANSWER_TRUE;
    return (enum answer)answer;
}

static uint32_t read_index(struct state_reader *reader, uint32_t count)
{
    if (count == 0)
        reader->failed = true;
    return (uint32_t)state_read_range(reader, 0, count ? count - 1 : 0);
}

static void order_unstated(struct order *order)
{
    order->effect_after_ms = order->supply_ms = order->transit_ms = order->settle_purchases = FIGURE_UNSTATED;
}

/* Behind the four texts, the currency or the order's index in front. */
static void read_order_rest(struct state_reader *reader, struct order *order)
{
    order->campaign = state_read_text(reader);
    order->referrer = state_read_text(reader);
    order->time_zone = state_read_text(reader);
    if (read_flag(reader) != order->has_subscription)
        reader->failed = true;
    else if (order->has_subscription)
        order->subscription = state_read_fixed64(reader);
    order->effect_after_ms = read_optional_long(reader);
    order->supply_ms = read_optional_long(reader);
    order->transit_ms = read_optional_long(reader);
    order->settle_purchases = read_optional_long(reader);
}

struct goods {
    struct span sku, currency;
};

static void read_order(struct decoder *decoder, struct order *order, const struct goods *goods, uint32_t goods_count)
{
    struct state_reader *reader = decoder->reader;
    order->id = state_read_text(reader);
    read_stamp(decoder, &order->placed);
    order->cancelled = stamp_none;
    int64_t flags = state_read_range(reader, 0, ORDER_FLAGS);
    if (flags & ORDER_UNPLACED)
        order->placed = stamp_none;
    order->renewal = flags & ORDER_RENEWAL;
    order->all_trial = flags & ORDER_ALL_TRIAL;
    order->premium = flags & ORDER_PREMIUM;
    order->related = flags & ORDER_RELATED;
    order->has_subscription = flags & ORDER_SUBSCRIPTION;
    order->subscription_told = flags & ORDER_SUBSCRIPTION_TOLD;
    order->email_registered = read_answer(reader, flags, ORDER_EMAIL);
    order->line_registered = read_answer(reader, flags, ORDER_LINE);
    order->marketing_consent = read_answer(reader, flags, ORDER_CONSENT);
    order_unstated(order);
    order->total = state_read_long(reader);
    int64_t number = state_read_range(reader, 0, goods_count);
    if (number > 0) {
        order->sku = goods[number - 1].sku;
        order->currency = goods[number - 1].currency;
    }
}

static void read_parcel(struct decoder *decoder, struct parcel *parcel)
{
    struct state_reader *reader = decoder->reader;
    parcel->order = read_index(reader, decoder->facts->orders_count);
    if (reader->failed)
        return;
    const struct stamp *placed = &decoder->facts->orders[parcel->order].placed;
    if (stamp_known(placed))
        reader->base = placed->at;
    parcel->hash = HASH_OF_NOTHING;
    read_optional_stamp(decoder, &parcel->shipped);
    read_optional_stamp(decoder, &parcel->delivered);
    parcel->returned = stamp_none;
    parcel->shipped_estimate = NEVER;
}

/* surveys: the table of them; in version 1 each answer has its own. */
static void read_response(struct decoder *decoder, struct response *response, const uint64_t *surveys, uint32_t count)
{
    struct state_reader *reader = decoder->reader;
    read_stamp(decoder, &response->stamp);
    if (reader->version == STATE_VERSION_FIRST)
        response->survey = state_read_fixed64(reader);
    else if (count > 0)
        response->survey = surveys[state_read_range(reader, 0, count - 1)];
    else
        state_read_fail(reader);
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

/* Items not yet read, with room for a few more so that applying an event seldom copies the array; of what nobody told
 * there is none. */
static void *take_items(struct arena *arena, uint32_t count, size_t item_size, uint32_t *ret_capacity)
{
    *ret_capacity = count > 0 ? count + 2 : 0;
    if (count == 0)
        return NULL;
    void *items = arena_take_raw(arena, *ret_capacity * item_size);
    return memset(items, 0, count * item_size);
}

/* Item sizes are the least that the schema can write: a claim of more items than the bytes can hold is refused before
 * any memory is taken. */
#define READ_ARRAY(decoder, name, item_size_min)                                                                       \
    do {                                                                                                               \
        struct facts *facts_ = (decoder)->facts;                                                                       \
        uint32_t count_ = state_read_count((decoder)->reader, (item_size_min));                                        \
        facts_->name = take_items((decoder)->arena, count_, sizeof *facts_->name, &facts_->name##_capacity);           \
        facts_->name##_count = count_;                                                                                 \
    } while (0)

enum {
    GOODS_SIZE_MIN = 2,
    ORDER_SIZE_MIN = 10,
    CANCELLATION_SIZE_MIN = 7,
    ORDER_MORE_SIZE_MIN = 9,
    REFUND_SIZE_MIN = 12,
    PARCEL_SIZE_MIN = 3,
    PARCEL_MORE_SIZE_MIN = 4,
    FAILURE_SIZE_MIN = 12,
    CHANGE_SIZE_MIN = 19,
    RESPONSE_SIZE_MIN = 20,
    NOTE_SIZE_MIN = 14,
    CREDIT_SIZE_MIN = 10
};

static const struct goods *read_goods(struct decoder *decoder, uint32_t *ret_count)
{
    struct state_reader *reader = decoder->reader;
    uint32_t count = state_read_count(reader, GOODS_SIZE_MIN);
    struct goods *goods = arena_take_raw(decoder->arena, count * sizeof *goods);
    for (uint32_t i = 0; i < count; i++) {
        goods[i].sku = state_read_text(reader);
        goods[i].currency = state_read_text(reader);
    }
    state_read_array_end(reader, count);
    *ret_count = count;
    return goods;
}

/* An index of one of the arrays that say more of some: each above the one before. */
static uint32_t read_next(struct state_reader *reader, uint32_t next, uint32_t count)
{
    uint32_t index = read_index(reader, count);
    if (index < next)
        state_read_fail(reader);
    return index;
}

static void read_orders(struct decoder *decoder)
{
    struct facts *facts = decoder->facts;
    struct state_reader *reader = decoder->reader;
    uint32_t goods_count, unnamed = 0; /* unnamed: subscriptions of which only the flags tell as yet */
    const struct goods *goods = read_goods(decoder, &goods_count);
    READ_ARRAY(decoder, orders, ORDER_SIZE_MIN);
    for (uint32_t i = 0; i < facts->orders_count && !reader->failed; i++) {
        read_order(decoder, &facts->orders[i], goods, goods_count);
        unnamed += facts->orders[i].has_subscription;
    }
    state_read_array_end(reader, facts->orders_count);
    uint32_t cancelled = state_read_count(reader, CANCELLATION_SIZE_MIN);
    for (uint32_t i = 0, next = 0; i < cancelled && !reader->failed; i++, next++) {
        next = read_next(reader, next, facts->orders_count);
        if (!reader->failed)
            read_stamp(decoder, &facts->orders[next].cancelled);
    }
    state_read_array_end(reader, cancelled);
    uint32_t more = state_read_count(reader, ORDER_MORE_SIZE_MIN);
    for (uint32_t i = 0, next = 0; i < more && !reader->failed; i++, next++) {
        next = read_next(reader, next, facts->orders_count);
        if (reader->failed)
            break;
        read_order_rest(reader, &facts->orders[next]);
        unnamed -= facts->orders[next].has_subscription;
    }
    state_read_array_end(reader, more);
    reader->failed |= unnamed != 0;
}

static void read_parcels(struct decoder *decoder)
{
    struct facts *facts = decoder->facts;
    struct state_reader *reader = decoder->reader;
    READ_ARRAY(decoder, parcels, PARCEL_SIZE_MIN);
    for (uint32_t i = 0; i < facts->parcels_count && !reader->failed; i++)
        read_parcel(decoder, &facts->parcels[i]);
    state_read_array_end(reader, facts->parcels_count);
    uint32_t more = state_read_count(reader, PARCEL_MORE_SIZE_MIN);
    for (uint32_t i = 0, next = 0; i < more && !reader->failed; i++, next++) {
        next = read_next(reader, next, facts->parcels_count);
        if (reader->failed)
            break;
        struct parcel *parcel = &facts->parcels[next];
        if (read_flag(reader))
            parcel->hash = state_read_fixed64(reader);
        read_optional_stamp(decoder, &parcel->returned);
        parcel->shipped_estimate = read_optional_time(reader);
    }
    state_read_array_end(reader, more);
}

/* ---- version 1: what most orders and parcels have not stood in each of them ---- */

enum order_flag_1 {
    ORDER_1_RENEWAL = 1,
    ORDER_1_ALL_TRIAL = 2,
    ORDER_1_PREMIUM = 4,
    ORDER_1_RELATED = 8,
    ORDER_1_SUBSCRIPTION = 16,
    ORDER_1_EMAIL = 32,
    ORDER_1_LINE = 128,
    ORDER_1_CONSENT = 512,
    ORDER_1_SUBSCRIPTION_TOLD = 2048
};
enum { ORDER_1_SIZE_MIN = 7, PARCEL_1_SIZE_MIN = 13 };

static void read_order_1(struct decoder *decoder, struct order *order)
{
    struct state_reader *reader = decoder->reader;
    order->id = state_read_text(reader);
    read_optional_stamp(decoder, &order->placed);
    read_optional_stamp(decoder, &order->cancelled);
    int64_t flags = state_read_range(reader, 0, ORDER_FLAGS);
    order->renewal = flags & ORDER_1_RENEWAL;
    order->all_trial = flags & ORDER_1_ALL_TRIAL;
    order->premium = flags & ORDER_1_PREMIUM;
    order->related = flags & ORDER_1_RELATED;
    order->has_subscription = flags & ORDER_1_SUBSCRIPTION;
    order->subscription_told = flags & ORDER_1_SUBSCRIPTION_TOLD;
    order->email_registered = read_answer(reader, flags, ORDER_1_EMAIL);
    order->line_registered = read_answer(reader, flags, ORDER_1_LINE);
    order->marketing_consent = read_answer(reader, flags, ORDER_1_CONSENT);
    order->total = state_read_long(reader);
    order->sku = state_read_text(reader);
    order_unstated(order);
    bool more = read_flag(reader);
    if (more) {
        order->currency = state_read_text(reader);
        read_order_rest(reader, order);
    }
    reader->failed |= order->has_subscription && !more;
}

static void read_parcel_1(struct decoder *decoder, struct parcel *parcel)
{
    struct state_reader *reader = decoder->reader;
    parcel->order = read_index(reader, decoder->facts->orders_count);
    parcel->hash = state_read_fixed64(reader);
    read_optional_stamp(decoder, &parcel->shipped);
    read_optional_stamp(decoder, &parcel->delivered);
    read_optional_stamp(decoder, &parcel->returned);
    parcel->shipped_estimate = read_optional_time(reader);
}

static void read_orders_1(struct decoder *decoder)
{
    struct facts *facts = decoder->facts;
    READ_ARRAY(decoder, orders, ORDER_1_SIZE_MIN);
    for (uint32_t i = 0; i < facts->orders_count && !decoder->reader->failed; i++)
        read_order_1(decoder, &facts->orders[i]);
    state_read_array_end(decoder->reader, facts->orders_count);
}

static void read_parcels_1(struct decoder *decoder)
{
    struct facts *facts = decoder->facts;
    READ_ARRAY(decoder, parcels, PARCEL_1_SIZE_MIN);
    for (uint32_t i = 0; i < facts->parcels_count && !decoder->reader->failed; i++)
        read_parcel_1(decoder, &facts->parcels[i]);
    state_read_array_end(decoder->reader, facts->parcels_count);
}

/* ---- together ---- */

static int64_t refund_of_mark(int64_t mark) /* refund_mark's other way */
{
    return mark == -1 ? REFUND_WHOLE : mark < 0 ? mark + 1 : mark;
}

static void read_lists(struct decoder *decoder)
{
    struct facts *facts = decoder->facts;
    struct state_reader *reader = decoder->reader;
    if (reader->version == STATE_VERSION_FIRST)
        read_orders_1(decoder);
    else
        read_orders(decoder);
    READ_ARRAY(decoder, refunds, REFUND_SIZE_MIN);
    int64_t mark_min = reader->version < 3 ? -1 : INT64_MIN; /* 1 and 2 knew no amounts below 0 */
    for (uint32_t i = 0; i < facts->refunds_count && !reader->failed; i++) {
        read_identity_stamp(decoder, &facts->refunds[i].stamp);
        facts->refunds[i].order = read_index(reader, facts->orders_count);
        facts->refunds[i].amount = refund_of_mark(state_read_range(reader, mark_min, INT64_MAX));
    }
    state_read_array_end(reader, facts->refunds_count);
    if (reader->version == STATE_VERSION_FIRST)
        read_parcels_1(decoder);
    else
        read_parcels(decoder);
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

static const uint64_t *read_surveys(struct decoder *decoder, uint32_t *ret_count)
{
    uint32_t count = state_read_count(decoder->reader, sizeof(uint64_t));
    uint64_t *surveys = arena_take_raw(decoder->arena, count * sizeof *surveys);
    for (uint32_t i = 0; i < count; i++)
        surveys[i] = state_read_fixed64(decoder->reader);
    state_read_array_end(decoder->reader, count);
    *ret_count = count;
    return surveys;
}

static void read_more_lists(struct decoder *decoder)
{
    struct facts *facts = decoder->facts;
    struct state_reader *reader = decoder->reader;
    uint32_t surveys_count = 0;
    const uint64_t *surveys = NULL;
    if (reader->version != STATE_VERSION_FIRST)
        surveys = read_surveys(decoder, &surveys_count);
    READ_ARRAY(decoder, responses, RESPONSE_SIZE_MIN);
    for (uint32_t i = 0; i < facts->responses_count && !reader->failed; i++)
        read_response(decoder, &facts->responses[i], surveys, surveys_count);
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

static void read_spell_mark(struct state_reader *reader, struct folded *folded)
{
    bool adopts = reader->version >= 3 && folded->cycle > 0 && folded->cycle_start_at != NEVER;
    int64_t mark = state_read_range(reader, 0, adopts ? 2 * STATE_TIME_MOST : 1);
    folded->spell_backfill = mark % 2 != 0;
    folded->adopt_at = mark < 2 ? NEVER : folded->cycle_start_at + mark / 2 - 1;
    if (folded->adopt_at > STATE_TIME_MOST)
        state_read_fail(reader);
}

static void read_folded(struct decoder *decoder)
{
    struct folded *folded = &decoder->facts->folded;
    struct state_reader *reader = decoder->reader;
    if (!read_flag(reader))
        return;
    folded->newest_at = state_read_time(reader);
    int64_t *totals[] = {&folded->purchases, &folded->trial,           &folded->premium,       &folded->related,
                         &folded->cycle,     &folded->cycle_purchases, &folded->cycle_shipped, &folded->cycle_delivered,
                         &folded->failed,    &folded->responses,       &folded->positive,      &folded->negative,
                         &folded->referrals};
    for (size_t i = 0; i < sizeof totals / sizeof *totals; i++)
        *totals[i] = state_read_range(reader, 0, INT32_MAX);
    folded->answered = (uint32_t)state_read_range(reader, 0, (1 << PURPOSE_COUNT) - 1);
    bool of_cycle_alone = reader->version < 3; /* the parcels of earlier cycles were not counted */
    folded->shipped = of_cycle_alone ? folded->cycle_shipped : state_read_range(reader, 0, INT32_MAX);
    folded->delivered = of_cycle_alone ? folded->cycle_delivered : state_read_range(reader, 0, INT32_MAX);
    folded->cycle_start_at = read_optional_time(reader);
    folded->cycle_last_at = read_optional_time(reader);
    folded->spell_at = read_optional_time(reader);
    read_spell_mark(reader, folded);
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

/* In version 1 the time stands in front, known or not. */
static void read_classes(struct state_reader *reader, struct state_head *head)
{
    int64_t base = reader->base;
    bool first = reader->version == STATE_VERSION_FIRST;
    if (first)
        head->evaluated_at = read_optional_time(reader);
    head->classified = read_flag(reader);
    if (head->classified) {
        head->evaluated_at = first ? head->evaluated_at : state_read_time(reader);
        head->classes.tier = (enum tier)state_read_range(reader, 0, TIER_COUNT - 1);
        head->classes.phase = (enum phase)state_read_range(reader, 0, PHASE_COUNT - 1);
        head->classes.growth = (enum growth)state_read_range(reader, 0, GROWTH_COUNT - 1);
        head->classes.segment = (enum segment)state_read_range(reader, 0, SEGMENT_COUNT - 1);
        head->classes.cycle = (int32_t)state_read_range(reader, 1, INT32_MAX);
    }
    reader->base = base;
}

/* What a blob that is not empty begins with; false: no version of ours. */
static bool read_branch(struct span blob, struct state_reader *reader, int64_t *ret_seq, bool *ret_erased)
{
    reader->at = (const unsigned char *)blob.data;
    reader->end = reader->at + blob.size;
    reader->version = *reader->at++;
    if (reader->version < STATE_VERSION_FIRST || reader->version > STATE_VERSION_LAST)
        return false;
    *ret_seq = state_read_range(reader, 0, INT64_MAX);
    *ret_erased = state_read_range(reader, BRANCH_ERASED, BRANCH_CUSTOMER) == BRANCH_ERASED;
    return true;
}

bool state_erased(struct span blob)
{
    struct state_reader reader = {0};
    int64_t seq;
    bool erased;
    return !span_empty(blob) && read_branch(blob, &reader, &seq, &erased) && erased && !reader.failed;
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
    bool erased;
    if (!read_branch(blob, reader, &ret_head->seq, &erased))
        return false;
    if (erased) {
        ret_facts->erased_at = state_read_time(reader);
        return !reader->failed;
    }
    struct decoder decoder = {.reader = reader, .arena = arena, .facts = ret_facts};
    ret_facts->known = true;
    ret_facts->first_seen_at = read_optional_time(reader);
    read_classes(reader, ret_head);
    const unsigned char *start = reader->at;
    read_sources(&decoder);
    read_lists(&decoder);
    read_more_lists(&decoder);
    read_folded(&decoder);
    if (reader->failed)
        return false;
    if (reader->version == STATE_VERSION)
        ret_head->facts_bytes = (struct span){(const char *)start, (size_t)(reader->at - start)};
    ret_head->facts_base = reader->base;
    facts_settle_refunds(ret_facts);
    return true;
}
