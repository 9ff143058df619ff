/* The fold: one record into the facts, so that neither the order of arrival nor repetition matters (R1, R9). Each kind
 * of record finds its fact by identity, asks whether it may still be told (R11), and merges its stamp; only a record
 * that changes the stamp is applied. Meaning (live, cycle, delivered ...) is figures.c's. */
#include "common/engine/facts.h"

#include "common/base/hash.h"

struct fold {
    struct facts *facts;
    struct arena *arena;
    const struct playbook *playbook;
    const struct event *event;
    uint64_t hash; /* XXH64 of event_id */
    uint64_t tie;  /* of it what the fact's stamp keeps */
    struct fold_change *change;
};

enum merged { MERGED_NOTHING, MERGED_TIME, MERGED_CONTENT };

static void refuse(struct fold *fold, enum reason reason, const char *field)
{
    fold->change->verdict = FOLD_REFUSED;
    fold->change->reason = reason;
    fold->change->field = field;
}

/* A copy that lives as long as the facts: in their room as long as there is some, else in the arena. */
static struct span keep_text(const struct fold *fold, struct span text)
{
    struct facts *facts = fold->facts;
    if (span_empty(text))
        return SPAN("");
    if (facts->texts != NULL && text_room_bring(facts->texts, &text))
        return text;
    facts->texts_away = true;
    return arena_copy(fold->arena, text);
}

static uint32_t find_source(const struct facts *facts, struct span source)
{
    for (uint32_t i = 0; i < facts->sources_count; i++)
        if (span_equal(facts->sources[i], source))
            return i;
    return FACT_NONE;
}

static uint32_t take_source(struct fold *fold)
{
    uint32_t index = find_source(fold->facts, fold->event->source);
    if (index != FACT_NONE)
        return index;
    *FACT_APPEND(fold->facts, fold->arena, sources) = keep_text(fold, fold->event->source);
    return fold->facts->sources_count - 1;
}

/* R9: (version, occurred_at, XXH64 of event_id), the highest counts. */
static bool record_counts(const struct fold *fold, const struct stamp *stamp)
{
    const struct event *event = fold->event;
    if (event->version != stamp->version)
        return event->version > stamp->version;
    if (event->occurred_at != stamp->record_at)
        return event->occurred_at > stamp->record_at;
    return fold->tie > stamp->hash;
}

static enum merged merge_kept(struct fold *fold, struct stamp *stamp, uint64_t kept)
{
    const struct event *event = fold->event;
    fold->tie = fold->hash & kept;
    enum merged merged = MERGED_NOTHING;
    bool first = !stamp_known(stamp);
    if (first || record_counts(fold, stamp)) {
        fold->change->source_left |= !first;
        stamp->version = event->version;
        stamp->record_at = event->occurred_at;
        stamp->hash = fold->tie;
        stamp->source = take_source(fold);
        stamp->backfill = event->backfill; /* R7: the mark of the record that counts */
        merged = MERGED_CONTENT;
    }
    fold->change->counts = merged == MERGED_CONTENT;
    fold->change->edits = !first;
    if (first || event->occurred_at < stamp->at) {
        stamp->at = event->occurred_at; /* R9: the earliest, so that an edit does not move the fact */
        if (merged == MERGED_NOTHING)
            merged = MERGED_TIME;
    }
    if (merged != MERGED_NOTHING)
        fold->change->verdict = FOLD_APPLIED;
    return merged;
}

/* A fact whose identity is its event id keeps all of the hash; of the others the upper half is enough to break a tie
 * between records of the same version and time, and halves what the state stores. */
static enum merged merge(struct fold *fold, struct stamp *stamp)
{
    return merge_kept(fold, stamp, STAMP_TIE_MASK);
}

static enum merged merge_identity(struct fold *fold, struct stamp *stamp)
{
    return merge_kept(fold, stamp, UINT64_MAX);
}

/* ---- R11: what may still be told ---- */

/* A counted fact that is not known yet. */
static bool admit_new(struct fold *fold)
{
    const struct facts *facts = fold->facts;
    if (facts->folded.newest_at != NEVER && fold->event->occurred_at <= facts->folded.newest_at) {
        refuse(fold, REASON_TOO_LATE, "occurred_at");
        return false;
    }
    if (!history_has_room(facts, fold->playbook, fold->event->occurred_at)) {
        refuse(fold, REASON_TOO_MANY_FACTS, "customer_id");
        return false;
    }
    return true;
}

/* A fact of which R11 counts none: a cancellation without its order, a note. Their number has a bound all the same. */
static bool admit_uncounted(struct fold *fold, uint32_t count)
{
    if (count < 2 * (uint64_t)fold->playbook->facts_max)
        return true;
    refuse(fold, REASON_TOO_MANY_FACTS, "customer_id");
    return false;
}

static bool admit_identity(struct fold *fold, uint64_t identity, const char *field)
{
    if (fold->facts->folded.identity_count == 0 || !facts_folded_identity(fold->facts, identity))
        return true;
    refuse(fold, REASON_TOO_LATE, field);
    return false;
}

static bool admit_stamp(struct fold *fold, const struct stamp *stamp, const char *field)
{
    if (!stamp->folded)
        return true;
    refuse(fold, REASON_TOO_LATE, field);
    return false;
}

/* The order that the record names: refused when folded; FACT_NONE in *ret_order when nobody named it before. */
static bool admit_order(struct fold *fold, struct span id, uint32_t *ret_order)
{
    *ret_order = facts_find_order(fold->facts, id);
    if (*ret_order != FACT_NONE)
        return admit_stamp(fold, &fold->facts->orders[*ret_order].placed, "order_id");
    if (fold->facts->folded.identity_count == 0)
        return true;
    return admit_identity(fold, fact_identity(IDENTITY_ORDER, hash_xxh64(id), 0, 0), "order_id");
}

/* ---- orders ---- */

static uint32_t take_order(struct fold *fold, struct span id, uint32_t found)
{
    struct fold_change *change = fold->change;
    if (found == FACT_NONE) {
        struct order *order = FACT_APPEND(fold->facts, fold->arena, orders);
        order->id = keep_text(fold, id);
        order->placed = order->cancelled = stamp_none;
        order->effect_after_ms = order->supply_ms = order->transit_ms = order->settle_purchases = FIGURE_UNSTATED;
        found = fold->facts->orders_count - 1;
    }
    change->order = found;
    change->order_was_void = order_void(&fold->facts->orders[found]);
    return found;
}

/* R17: the first product in playbook order whose pattern matches. */
static const struct product *product_of(const struct playbook *playbook, struct span sku)
{
    if (span_empty(sku))
        return NULL;
    for (size_t i = 0; i < playbook->product_count; i++)
        if (glob_match(playbook->products[i].sku, sku))
            return &playbook->products[i];
    return NULL;
}

static void state_figure(int64_t *figure, int64_t stated)
{
    if (*figure == FIGURE_UNSTATED)
        *figure = stated;
}

static int64_t line_total(const struct order_line *line)
{
    int64_t total;
    if (__builtin_mul_overflow(line->quantity, line->unit_price, &total))
        return (line->quantity < 0) == (line->unit_price < 0) ? INT64_MAX : INT64_MIN;
    return total;
}

/* Roles, product figures and money of the lines (R17, R18), resolved by the playbook of the day the record is applied.
 */
static void set_lines(const struct fold *fold, struct order *order)
{
    const struct event *event = fold->event;
    order->all_trial = event->line_count > 0;
    order->premium = order->related = false;
    order->total = 0;
    order->effect_after_ms = order->supply_ms = order->transit_ms = order->settle_purchases = FIGURE_UNSTATED;
    for (size_t i = 0; i < event->line_count; i++) {
        const struct product *product = product_of(fold->playbook, event->lines[i].sku);
        enum role role = product ? product->role : ROLE_REGULAR;
        order->all_trial &= role == ROLE_TRIAL;
        order->premium |= role == ROLE_PREMIUM;
        order->related |= role == ROLE_RELATED;
        order->total = amount_add(order->total, line_total(&event->lines[i]));
        if (!product)
            continue;
        state_figure(&order->effect_after_ms, product->effect_after_ms); /* R17: the first line that states it */
        state_figure(&order->supply_ms, product->supply_ms);
        state_figure(&order->transit_ms, product->transit_ms);
        state_figure(&order->settle_purchases, product->settle_purchases);
    }
}

static void set_order(const struct fold *fold, struct order *order)
{
    const struct event *event = fold->event;
    set_lines(fold, order);
    order->sku = event->line_count ? keep_text(fold, event->lines[0].sku) : SPAN_NONE;
    order->currency = keep_text(fold, event->currency);
    order->campaign = keep_text(fold, event->campaign);
    /* R30: nobody refers himself */
    bool self = span_equal(event->referrer_customer_id, event->customer_id);
    order->referrer = self ? SPAN_NONE : keep_text(fold, event->referrer_customer_id);
    order->email_registered = event->email_registered;
    order->line_registered = event->line_registered;
    order->marketing_consent = event->marketing_consent;
    /* R33: optional on PLACED */
    order->time_zone = event->kind == EVENT_PLACED ? keep_text(fold, event->time_zone) : SPAN_NONE;
    order->has_subscription = !span_empty(event->subscription_id);
    order->subscription = hash_xxh64(event->subscription_id);
}

/* R19: a renewal without an order id is a purchase of its own. */
static struct span order_id_of(const struct fold *fold)
{
    const struct event *event = fold->event;
    if (!span_empty(event->order_id) || event->kind != EVENT_SUBSCRIPTION_RENEWED)
        return event->order_id;
    static const char prefix[] = "renewal:";
    size_t size = sizeof prefix - 1 + event->event_id.size;
    char *text = arena_take(fold->arena, size + 1);
    memcpy(text, prefix, sizeof prefix - 1);
    memcpy(text + sizeof prefix - 1, event->event_id.data, event->event_id.size);
    return (struct span){text, size};
}

static void apply_placed(struct fold *fold)
{
    struct facts *facts = fold->facts;
    struct span id = order_id_of(fold);
    uint32_t index;
    if (!admit_order(fold, id, &index))
        return;
    bool is_new = index == FACT_NONE || !stamp_known(&facts->orders[index].placed);
    if (is_new && !admit_new(fold))
        return;
    index = take_order(fold, id, index);
    struct order *order = &facts->orders[index];
    if (merge(fold, &order->placed) == MERGED_CONTENT)
        set_order(fold, order);
    if (fold->event->kind == EVENT_SUBSCRIPTION_RENEWED && !order->renewal) {
        order->renewal = true; /* R9: a renewal when any record is RENEWED */
        fold->change->verdict = FOLD_APPLIED;
    }
    if (order->renewal && !order->has_subscription) { /* R86: of the one without a name */
        order->has_subscription = true;
        order->subscription = hash_xxh64(SPAN_NONE);
    }
    fold->change->order_new = is_new;
    facts_settle_refunds(facts);
}

static void apply_cancelled(struct fold *fold)
{
    struct facts *facts = fold->facts;
    uint32_t index;
    if (!admit_order(fold, fold->event->order_id, &index))
        return;
    if (index == FACT_NONE && !admit_uncounted(fold, facts->orders_count))
        return;
    index = take_order(fold, fold->event->order_id, index);
    merge(fold, &facts->orders[index].cancelled);
}

static uint32_t find_refund(const struct facts *facts, uint64_t hash)
{
    for (uint32_t i = 0; i < facts->refunds_count; i++)
        if (facts->refunds[i].stamp.hash == hash)
            return i;
    return FACT_NONE;
}

static void apply_refunded(struct fold *fold)
{
    struct facts *facts = fold->facts;
    uint32_t index, found = find_refund(facts, fold->hash);
    if (!admit_order(fold, fold->event->order_id, &index) ||
        !admit_identity(fold, fact_identity(IDENTITY_REFUND, fold->hash, 0, 0), "event_id"))
        return;
    if (found == FACT_NONE ? !admit_new(fold) : !admit_stamp(fold, &facts->refunds[found].stamp, "event_id"))
        return;
    struct refund *refund = found == FACT_NONE ? FACT_APPEND(facts, fold->arena, refunds) : &facts->refunds[found];
    if (found == FACT_NONE)
        *refund = (struct refund){.stamp = stamp_none, .order = FACT_NONE};
    uint32_t old_order = refund->order;
    if (merge_identity(fold, &refund->stamp) == MERGED_CONTENT) {
        if (old_order != FACT_NONE) {
            fold->change->other_order = old_order;
            fold->change->other_order_was_void = order_void(&facts->orders[old_order]);
        }
        refund->order = take_order(fold, fold->event->order_id, index);
        refund->amount = fold->event->refund_amount;
        if (old_order == refund->order)
            fold->change->other_order = FACT_NONE;
    } else {
        fold->change->order = refund->order;
        fold->change->order_was_void = order_void(&facts->orders[refund->order]);
    }
    facts_settle_refunds(facts);
}

static void apply_subscription_change(struct fold *fold)
{
    struct facts *facts = fold->facts;
    uint32_t index = 0;
    while (index < facts->changes_count && facts->changes[index].stamp.hash != fold->hash)
        index++;
    bool is_new = index == facts->changes_count;
    if (!admit_identity(fold, fact_identity(IDENTITY_CHANGE, fold->hash, 0, 0), "event_id"))
        return;
    if (is_new ? !admit_new(fold) : !admit_stamp(fold, &facts->changes[index].stamp, "event_id"))
        return;
    if (is_new)
        *FACT_APPEND(facts, fold->arena, changes) = (struct subscription_change){.stamp = stamp_none};
    struct subscription_change *change = &facts->changes[index];
    if (merge_identity(fold, &change->stamp) == MERGED_CONTENT) {
        change->kind = fold->event->kind;
        change->subscription = hash_xxh64(fold->event->subscription_id);
    }
    fold->change->subscription_change = index;
}

/* ---- deliveries ---- */

static uint32_t find_parcel(const struct facts *facts, uint32_t order, uint64_t hash)
{
    for (uint32_t i = 0; i < facts->parcels_count && order != FACT_NONE; i++)
        if (facts->parcels[i].order == order && facts->parcels[i].hash == hash)
            return i;
    return FACT_NONE;
}

static uint32_t take_parcel(struct fold *fold, uint32_t order, uint64_t hash)
{
    uint32_t index = find_parcel(fold->facts, order, hash);
    if (index == FACT_NONE) {
        *FACT_APPEND(fold->facts, fold->arena, parcels) = (struct parcel){
            .order = order,
            .hash = hash,
            .shipped = stamp_none,
            .delivered = stamp_none,
            .returned = stamp_none,
            .shipped_estimate = NEVER,
        };
        index = fold->facts->parcels_count - 1;
    }
    fold->change->parcel = index;
    return index;
}

static struct stamp *parcel_stamp(struct parcel *parcel, enum event_kind kind)
{
    return kind == EVENT_SHIPPED ? &parcel->shipped : kind == EVENT_DELIVERED ? &parcel->delivered : &parcel->returned;
}

/* SHIPPED, DELIVERED, RETURNED: one fact each per parcel (R9). */
static void apply_parcel(struct fold *fold)
{
    struct facts *facts = fold->facts;
    const struct event *event = fold->event;
    uint64_t hash = hash_xxh64(event->parcel_id);
    uint32_t order;
    if (!admit_order(fold, event->order_id, &order))
        return;
    uint32_t found = find_parcel(facts, order, hash);
    const struct stamp *stamp = found == FACT_NONE ? &stamp_none : parcel_stamp(&facts->parcels[found], event->kind);
    if (!admit_stamp(fold, stamp, "parcel_id") || (!stamp_known(stamp) && !admit_new(fold)))
        return;
    order = take_order(fold, event->order_id, order);
    uint32_t index = take_parcel(fold, order, hash); /* may move the array */
    struct parcel *parcel = &facts->parcels[index];
    if (merge(fold, parcel_stamp(parcel, event->kind)) != MERGED_CONTENT)
        return;
    if (event->kind == EVENT_SHIPPED)
        parcel->shipped_estimate = event->estimated_at;
}

static uint32_t find_failure(const struct facts *facts, uint64_t hash)
{
    for (uint32_t i = 0; i < facts->failures_count; i++)
        if (facts->failures[i].stamp.hash == hash)
            return i;
    return FACT_NONE;
}

static void apply_failed(struct fold *fold)
{
    struct facts *facts = fold->facts;
    const struct event *event = fold->event;
    uint32_t order, index = find_failure(facts, fold->hash);
    if (!admit_order(fold, event->order_id, &order) ||
        !admit_identity(fold, fact_identity(IDENTITY_FAILURE, fold->hash, 0, 0), "event_id"))
        return;
    if (index == FACT_NONE ? !admit_new(fold) : !admit_stamp(fold, &facts->failures[index].stamp, "event_id"))
        return;
    if (index == FACT_NONE) {
        *FACT_APPEND(facts, fold->arena, failures) = (struct failure){.stamp = stamp_none, .parcel = FACT_NONE};
        index = facts->failures_count - 1;
    }
    if (merge_identity(fold, &facts->failures[index].stamp) == MERGED_CONTENT) {
        order = take_order(fold, event->order_id, order);
        uint32_t parcel = take_parcel(fold, order, hash_xxh64(event->parcel_id));
        facts->failures[index].parcel = parcel;
        facts->failures[index].estimate = event->estimated_at;
    } else {
        fold->change->parcel = facts->failures[index].parcel;
        take_order(fold, event->order_id, facts->parcels[fold->change->parcel].order);
    }
    fold->change->failure = index;
}

/* ---- answers ---- */

static void set_response(const struct fold *fold, struct response *response)
{
    const struct event *event = fold->event;
    response->purpose = event->purpose;
    response->satisfaction = event->satisfaction;
    response->nps = event->nps;
    response->effect_felt = event->effect_felt;
    response->consent_to_share = event->consent_to_share;
    response->concerns = event->concerns;
    response->goal = keep_text(fold, event->goal);
}

static void apply_response(struct fold *fold)
{
    struct facts *facts = fold->facts;
    uint64_t survey = hash_xxh64(fold->event->survey_id), hash = hash_xxh64(fold->event->response_id);
    uint32_t index = facts_find_response(facts, survey, hash);
    if (!admit_identity(fold, fact_identity(IDENTITY_RESPONSE, survey, hash, 0), "response_id"))
        return;
    if (index == FACT_NONE ? !admit_new(fold) : !admit_stamp(fold, &facts->responses[index].stamp, "response_id"))
        return;
    if (index == FACT_NONE) {
        *FACT_APPEND(facts, fold->arena, responses) =
            (struct response){.stamp = stamp_none, .survey = survey, .response = hash, .nps = -1};
        index = facts->responses_count - 1;
    }
    if (merge(fold, &facts->responses[index].stamp) == MERGED_CONTENT)
        set_response(fold, &facts->responses[index]);
    fold->change->response = index;
}

/* ---- all else ---- */

static uint32_t find_note(const struct fold *fold)
{
    uint32_t source = find_source(fold->facts, fold->event->source);
    for (uint32_t i = fold->facts->notes_count; i-- > 0 && source != FACT_NONE;)
        if (fold->facts->notes[i].stamp.hash == fold->hash && fold->facts->notes[i].stamp.source == source)
            return i;
    return FACT_NONE;
}

static void set_note(const struct fold *fold, struct note *note)
{
    const struct event *event = fold->event;
    note->kind = event->kind;
    note->channel = event->channel;
    note->agent = event->agent;
    note->marketing_consent = event->kind == EVENT_REGISTERED ? event->marketing_consent : ANSWER_ABSENT;
    note->time_zone = event->kind == EVENT_REGISTERED ? keep_text(fold, event->time_zone) : SPAN_NONE;
    note->names_friend = event->kind == EVENT_REFERRED && !span_empty(event->referred_customer_id);
    note->friend_hash = note->names_friend ? hash_xxh64(event->referred_customer_id) : 0;
}

/* REFERRED is counted (R11); of the others only the number kept has a bound. */
static bool admit_note(struct fold *fold)
{
    const struct facts *facts = fold->facts;
    if (facts->folded.identity_count) {
        uint64_t source = hash_xxh64(fold->event->source);
        if (!admit_identity(fold, fact_identity(IDENTITY_NOTE, source, fold->hash, 0), "event_id"))
            return false;
    }
    return fold->event->kind == EVENT_REFERRED ? admit_new(fold) : admit_uncounted(fold, facts->notes_count);
}

static void apply_note(struct fold *fold)
{
    struct facts *facts = fold->facts;
    uint32_t index = find_note(fold);
    if (index == FACT_NONE ? !admit_note(fold) : !admit_stamp(fold, &facts->notes[index].stamp, "event_id"))
        return;
    if (index == FACT_NONE) {
        *FACT_APPEND(facts, fold->arena, notes) = (struct note){.stamp = stamp_none};
        index = facts->notes_count - 1;
    }
    if (fold->event->kind == EVENT_REFERRED)
        facts->unfrozen_from = NEVER; /* it may have been another kind, of long ago, that nobody counted */
    if (merge_identity(fold, &facts->notes[index].stamp) == MERGED_CONTENT)
        set_note(fold, &facts->notes[index]);
    fold->change->note = index;
}

/* ---- between customers ---- */

/* R30: the friend's whole present credit replaces what stood. */
static void apply_credit(struct fold *fold)
{
    struct facts *facts = fold->facts;
    const struct credit *credit = &fold->event->credit;
    uint64_t friend_hash = hash_xxh64(credit->friend_id);
    uint32_t index = 0;
    while (index < facts->credits_count && facts->credits[index].friend_hash != friend_hash)
        index++;
    bool stood = index < facts->credits_count;
    if (!stood && !credit->standing)
        return;
    if (!credit->standing) {
        facts->credits_count--;
        memmove(&facts->credits[index], &facts->credits[index + 1],
                (facts->credits_count - index) * sizeof facts->credits[0]);
        fold->change->credit_ended = true;
    } else {
        struct friend_credit *kept = stood ? &facts->credits[index] : FACT_APPEND(facts, fold->arena, credits);
        if (stood && kept->at == credit->order_at && kept->backfill == credit->order_backfill)
            return;
        *kept = (struct friend_credit){friend_hash, credit->order_at, credit->order_backfill};
        fold->change->credit_began = !stood;
        fold->change->credit_moved = stood;
    }
    fold->change->verdict = FOLD_APPLIED;
}

/* R31: nothing but the tombstone stays. */
static void apply_erased(struct fold *fold)
{
    facts_init(fold->facts, fold->arena);
    fold->facts->erased_at = fold->event->occurred_at;
    fold->change->erased_now = true;
    fold->change->verdict = FOLD_APPLIED;
}

static void apply(struct fold *fold)
{
    switch (fold->event->kind) {
    case EVENT_PLACED:
    case EVENT_SUBSCRIPTION_RENEWED:
        apply_placed(fold);
        return;
    case EVENT_CANCELLED:
        apply_cancelled(fold);
        return;
    case EVENT_REFUNDED:
        apply_refunded(fold);
        return;
    case EVENT_SUBSCRIPTION_STARTED:
    case EVENT_SUBSCRIPTION_PAUSED:
    case EVENT_SUBSCRIPTION_RESUMED:
    case EVENT_SUBSCRIPTION_CANCELLED:
        apply_subscription_change(fold);
        return;
    case EVENT_SHIPPED:
    case EVENT_DELIVERED:
    case EVENT_RETURNED:
        apply_parcel(fold);
        return;
    case EVENT_FAILED:
        apply_failed(fold);
        return;
    case EVENT_RESPONSE:
        apply_response(fold);
        return;
    case EVENT_CREDIT:
        apply_credit(fold);
        return;
    case EVENT_ERASED:
        apply_erased(fold);
        return;
    default:
        apply_note(fold);
        return;
    }
}

static bool judged_without_facts(struct fold *fold, int64_t now)
{
    const struct event *event = fold->event;
    if (event->kind != EVENT_CREDIT && event->occurred_at > now + fold->playbook->max_ahead_ms) { /* R6 */
        refuse(fold, REASON_FUTURE, "occurred_at");
        return true;
    }
    if (event->test) { /* R8 */
        fold->change->verdict = FOLD_TEST;
        return true;
    }
    if (fold->facts->erased_at != NEVER) { /* R31 */
        fold->change->verdict = FOLD_ERASED;
        return true;
    }
    return false;
}

void facts_apply(struct facts *facts, struct arena *arena, const struct playbook *playbook, const struct event *event,
                 int64_t now, struct fold_change *ret_change)
{
    *ret_change = (struct fold_change){
        .verdict = FOLD_DUPLICATE,
        .order = FACT_NONE,
        .other_order = FACT_NONE,
        .parcel = FACT_NONE,
        .failure = FACT_NONE,
        .response = FACT_NONE,
        .subscription_change = FACT_NONE,
        .note = FACT_NONE,
    };
    struct fold fold = {facts, arena, playbook, event, hash_xxh64(event->event_id), 0, ret_change};
    if (judged_without_facts(&fold, now))
        return;
    apply(&fold);
    if (ret_change->verdict != FOLD_APPLIED || ret_change->erased_now)
        return;
    ret_change->first_sight = !facts->known; /* R13 */
    facts->known = true;
    if (facts->first_seen_at == NEVER || event->occurred_at < facts->first_seen_at)
        facts->first_seen_at = event->occurred_at;
    history_freeze(facts, playbook, event->occurred_at);
}
