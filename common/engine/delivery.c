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

static struct figure_instant told(const struct facts *facts, uint32_t index)
{
    const struct parcel *parcel = &facts->parcels[index];
    const struct stamp *delivered = &parcel->delivered, *returned = &parcel->returned;
    struct figure_instant instant = {.at = delivered->at,
                                     .order = parcel->order,
                                     .fact = index,
                                     .backfill = delivered->backfill,
                                     .hash = stamp_record(facts, delivered)};
    if (!stamp_known(returned) || delivered->at > returned->record_at)
        return instant;
    if (delivered->record_at <= returned->record_at)
        return figure_none; /* R15: it came back */
    instant.at = delivered->record_at; /* R15: delivered again, at that time */
    return instant;
}

struct figure_instant parcel_delivery(const struct facts *facts, const struct playbook *playbook, uint32_t index,
                                      int64_t now, int64_t *ret_assumed_at)
{
    const struct parcel *parcel = &facts->parcels[index];
    if (ret_assumed_at)
        *ret_assumed_at = NEVER;
    if (stamp_known(&parcel->delivered))
        return told(facts, index);
    int64_t at = assumed_at(facts, playbook, index);
    if (at == NEVER)
        return figure_none;
    if (at > now) {
        if (ret_assumed_at)
            *ret_assumed_at = at;
        return figure_none;
    }
    return (struct figure_instant){.at = at,
                                   .order = parcel->order,
                                   .fact = index,
                                   .backfill = parcel->shipped.backfill,
                                   .assumed = true,
                                   .hash = stamp_record(facts, &parcel->shipped)};
}

static int compare_deliveries(const struct facts *facts, const struct figure_instant *a, const struct figure_instant *b)
{
    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    int order = span_compare(facts->orders[a->order].id, facts->orders[b->order].id);
    if (order != 0)
        return order;
    uint64_t left = facts->parcels[a->fact].hash, right = facts->parcels[b->fact].hash;
    return (left > right) - (left < right);
}

static void count_delivery(struct figures *figures, struct figure_instant delivery)
{
    if (delivery.at == NEVER)
        return;
    figures->delivered_in_cycle++;
    if (figures->first_delivery.at == NEVER ||
        compare_deliveries(figures->facts, &delivery, &figures->first_delivery) < 0)
        figures->first_delivery = delivery;
    if (figures->last_delivery.at == NEVER ||
        compare_deliveries(figures->facts, &delivery, &figures->last_delivery) > 0)
        figures->last_delivery = delivery;
}

static void count_folded(struct figures_work *work)
{
    struct figures *figures = work->figures;
    const struct folded *folded = &figures->facts->folded;
    figures->shipped = folded->shipped;
    figures->delivered = folded->delivered;
    figures->failed = folded->failed;
    if (work->folded_cycle) {
        figures->shipped_in_cycle = folded->cycle_shipped;
        figures->delivered_in_cycle = folded->cycle_delivered;
    }
}

static void count_parcel(struct figures_work *work, uint32_t index)
{
    struct figures *figures = work->figures;
    const struct parcel *parcel = &figures->facts->parcels[index];
    bool shipped = parcel_shipped(parcel), in_cycle = work->in_cycle[parcel->order];
    int64_t will_be_at;
    struct figure_instant delivery =
        parcel_delivery(figures->facts, figures->playbook, index, figures->now, &will_be_at);
    instant_lower(&figures->deliveries_change_at, will_be_at);
    figures->shipped += shipped;
    figures->delivered += delivery.at != NEVER;
    if (!in_cycle)
        return;
    figures->shipped_in_cycle += shipped;
    if (shipped)
        instant_lower(&figures->first_shipped,
                      stamp_known(&parcel->shipped) ? parcel->shipped.at : parcel->returned.at);
    count_delivery(figures, delivery);
}

/* Parcels of live orders only (R14); counted ever, and of the cycle (R29). */
void figures_deliveries(struct figures_work *work)
{
    struct figures *figures = work->figures;
    const struct facts *facts = figures->facts;
    count_folded(work);
    for (uint32_t i = 0; i < facts->parcels_count; i++)
        if (order_live(&facts->orders[facts->parcels[i].order]))
            count_parcel(work, i);
    figures_change_at(figures, figures->deliveries_change_at);
    for (uint32_t i = 0; i < facts->failures_count; i++)
        figures->failed += order_live(&facts->orders[facts->parcels[facts->failures[i].parcel].order]);
    figures->first_effect_after_ms = order_effect_after(facts, figures->playbook, figures->first_delivery.order);
}
