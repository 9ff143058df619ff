/* R15, R16: when a parcel was delivered, told or assumed, and what that makes of the cycle's parcels. */
#include "common/base/hash.h"
#include "common/engine/figures_parts.h"

static bool assumes_delivery(const struct facts *facts, const struct playbook *playbook, const struct parcel *parcel)
{
    struct span source = facts->sources[parcel->shipped.source];
    for (size_t i = 0; i < playbook->source_fallback_count; i++)
        if (span_equal(playbook->source_fallbacks[i].source, source))
            return playbook->source_fallbacks[i].after_ship;
    return playbook->fallback_after_ship;
}

/* An estimate and the record that states it: the latest stated counts. */
struct estimate {
    int64_t at;
    const struct stamp *stamp;
};

static void later_estimate(struct estimate *latest, int64_t at, const struct stamp *stamp, int64_t shipped_at)
{
    if (at == NEVER || at < shipped_at) /* R16: one before the shipment is none */
        return;
    if (latest->stamp && (stamp->record_at < latest->stamp->record_at ||
                          (stamp->record_at == latest->stamp->record_at && stamp->hash < latest->stamp->hash)))
        return;
    *latest = (struct estimate){at, stamp};
}

/* The instant at which the parcel will be, or was, assumed to be delivered; NEVER = nothing is assumed. */
static int64_t assumed_at(const struct facts *facts, const struct playbook *playbook, uint32_t index)
{
    const struct parcel *parcel = &facts->parcels[index];
    if (!stamp_known(&parcel->shipped) || stamp_known(&parcel->returned) /* R15 */ ||
        !assumes_delivery(facts, playbook, parcel))
        return NEVER;
    int64_t shipped_at =
        parcel->shipped.record_at; /* R16: the last SHIPPED; a first one that failed delivers nothing */
    struct estimate latest = {NEVER, NULL};
    later_estimate(&latest, parcel->shipped_estimate, &parcel->shipped, shipped_at);
    for (uint32_t i = 0; i < facts->failures_count; i++) {
        const struct failure *failure = &facts->failures[i];
        if (failure->parcel != index)
            continue;
        if (failure->stamp.at >= shipped_at)
            return NEVER; /* R16: a FAILED at or after the last SHIPPED */
        later_estimate(&latest, failure->estimate, &failure->stamp, shipped_at);
    }
    if (latest.stamp)
        return latest.at; /* R16: the latest stated */
    int64_t transit = facts->orders[parcel->order].transit_ms;
    return shipped_at + (transit == FIGURE_UNSTATED ? playbook->transit_ms : transit);
}

/* By what was told of it; NEVER = it came back. */
static int64_t told_at(const struct parcel *parcel)
{
    const struct stamp *delivered = &parcel->delivered, *returned = &parcel->returned;
    if (!stamp_known(returned) || delivered->at > returned->record_at)
        return delivered->at;
    if (delivered->record_at <= returned->record_at)
        return NEVER;            /* R15: it came back */
    return delivered->record_at; /* R15: delivered again, at that time */
}

/* ret_assumed_at: when it will be assumed to be. */
static int64_t delivered_at(const struct facts *facts, const struct playbook *playbook, uint32_t index, int64_t now,
                            int64_t *ret_assumed_at)
{
    *ret_assumed_at = NEVER;
    if (stamp_known(&facts->parcels[index].delivered))
        return told_at(&facts->parcels[index]);
    int64_t at = assumed_at(facts, playbook, index);
    if (at <= now)
        return at;
    *ret_assumed_at = at;
    return NEVER;
}

static struct figure_instant delivery_instant(const struct facts *facts, uint32_t index, int64_t at)
{
    const struct parcel *parcel = &facts->parcels[index];
    bool assumed = !stamp_known(&parcel->delivered);
    const struct stamp *stamp = assumed ? &parcel->shipped : &parcel->delivered;
    return (struct figure_instant){.at = at,
                                   .order = parcel->order,
                                   .fact = index,
                                   .backfill = stamp->backfill,
                                   .assumed = assumed,
                                   .hash = stamp_record(facts, stamp)};
}

/* A parcel and when it was delivered. */
struct delivery {
    uint32_t parcel;
    int64_t at; /* NEVER = there is none */
};

static struct figure_instant delivery_of(const struct facts *facts, const struct delivery *delivery)
{
    return delivery->at == NEVER ? figure_none : delivery_instant(facts, delivery->parcel, delivery->at);
}

struct figure_instant parcel_delivery(const struct facts *facts, const struct playbook *playbook, uint32_t index,
                                      int64_t now, int64_t *ret_assumed_at)
{
    int64_t assumed, at = delivered_at(facts, playbook, index, now, &assumed);
    if (ret_assumed_at)
        *ret_assumed_at = assumed;
    return at == NEVER ? figure_none : delivery_instant(facts, index, at);
}

/* Of two deliveries of one time: by order id, then parcel. */
static int compare_parcels(const struct facts *facts, uint32_t a, uint32_t b)
{
    const struct parcel *left = &facts->parcels[a], *right = &facts->parcels[b];
    int order = span_compare(facts->orders[left->order].id, facts->orders[right->order].id);
    return order != 0 ? order : (left->hash > right->hash) - (left->hash < right->hash);
}

struct deliveries { /* of the cycle */
    struct delivery first, last;
};

static void count_delivery(struct deliveries *deliveries, const struct facts *facts, uint32_t index, int64_t at)
{
    struct delivery *first = &deliveries->first, *last = &deliveries->last;
    if (first->at == NEVER || at < first->at || (at == first->at && compare_parcels(facts, index, first->parcel) < 0))
        *first = (struct delivery){index, at};
    if (last->at == NEVER || at > last->at || (at == last->at && compare_parcels(facts, index, last->parcel) > 0))
        *last = (struct delivery){index, at};
}

static void count_folded(struct figures *figures)
{
    const struct folded *folded = &figures->facts->folded;
    figures->shipped = folded->shipped;
    figures->delivered = folded->delivered;
    figures->failed = folded->failed;
    bool in_cycle = figures_cycle_folded(figures);
    figures->shipped_in_cycle = in_cycle ? folded->cycle_shipped : 0;
    figures->delivered_in_cycle = in_cycle ? folded->cycle_delivered : 0;
}

static void mark_orders(struct figures_work *work)
{
    const struct figures *figures = work->figures;
    work->standing = ARENA_ARRAY(work->arena, uint8_t, figures->facts->orders_count);
    for (uint32_t i = 0; i < figures->live_count; i++)
        work->standing[figures->live[i]] = i < figures->cycle_first ? STANDING_LIVE : STANDING_IN_CYCLE;
}

static void count_parcel(struct figures_work *work, struct deliveries *deliveries, uint32_t index)
{
    struct figures *figures = work->figures;
    const struct parcel *parcel = &figures->facts->parcels[index];
    enum standing standing = work->standing[parcel->order];
    if (standing == STANDING_NONE)
        return;
    bool shipped = parcel_shipped(parcel);
    int64_t will_be_at, at = delivered_at(figures->facts, figures->playbook, index, figures->now, &will_be_at);
    instant_lower(&figures->deliveries_change_at, will_be_at);
    figures->shipped += shipped;
    figures->delivered += at != NEVER;
    if (standing != STANDING_IN_CYCLE)
        return;
    figures->shipped_in_cycle += shipped;
    if (shipped)
        instant_lower(&figures->first_shipped,
                      stamp_known(&parcel->shipped) ? parcel->shipped.at : parcel->returned.at);
    if (at != NEVER) {
        figures->delivered_in_cycle++;
        count_delivery(deliveries, figures->facts, index, at);
    }
}

/* Parcels of live orders only (R14); counted ever, and of the cycle (R29). */
void figures_deliveries(struct figures_work *work)
{
    struct figures *figures = work->figures;
    const struct facts *facts = figures->facts;
    struct deliveries deliveries = {{FACT_NONE, NEVER}, {FACT_NONE, NEVER}};
    count_folded(figures);
    mark_orders(work);
    figures->first_shipped = figures->deliveries_change_at = NEVER;
    for (uint32_t i = 0; i < facts->parcels_count; i++)
        count_parcel(work, &deliveries, i);
    figures->first_delivery = delivery_of(facts, &deliveries.first);
    figures->last_delivery = delivery_of(facts, &deliveries.last);
    for (uint32_t i = 0; i < facts->failures_count; i++)
        figures->failed += work->standing[facts->parcels[facts->failures[i].parcel].order] != STANDING_NONE;
    figures->first_effect_after_ms = order_effect_after(facts, figures->playbook, figures->first_delivery.order);
}
