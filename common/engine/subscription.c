/* R20, R21: whether a subscription is active, since when, and how often it was renewed without a farewell. */
#include "common/engine/figures_parts.h"

/* Later in this list wins a tie (R20). */
enum rank { RANK_ORDER, RANK_STARTED, RANK_RESUMED, RANK_PAUSED, RANK_CANCELLED };

struct moment { /* one fact about one subscription */
    int64_t at;
    enum rank rank;
    uint64_t id; /* order by id among equals: the hash of a change, the place of an order among those that live (R19) */
    uint64_t subscription;
    uint32_t order;
    const struct stamp *stamp;
    bool renewal;
};

static enum rank change_rank(enum event_kind kind)
{
    switch (kind) {
    case EVENT_SUBSCRIPTION_STARTED: return RANK_STARTED;
    case EVENT_SUBSCRIPTION_RESUMED: return RANK_RESUMED;
    case EVENT_SUBSCRIPTION_PAUSED: return RANK_PAUSED;
    default: return RANK_CANCELLED;
    }
}

static bool moment_before(const struct moment *a, const struct moment *b)
{
    if (a->at != b->at)
        return a->at < b->at;
    if (a->rank != b->rank)
        return a->rank < b->rank;
    return a->id < b->id;
}

static void sift(struct moment *heap, size_t at, size_t count)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && moment_before(&heap[child], &heap[child + 1]))
            child++;
        if (!moment_before(&heap[at], &heap[child]))
            return;
        struct moment swap = heap[at];
        heap[at] = heap[child];
        heap[child] = swap;
    }
}

static void sort_moments(struct moment *moments, size_t count)
{
    size_t sorted = 1;
    while (sorted < count && !moment_before(&moments[sorted], &moments[sorted - 1]))
        sorted++;
    if (sorted >= count)
        return;
    for (size_t i = count / 2; i-- > 0;)
        sift(moments, i, count);
    for (size_t end = count - 1; end > 0; end--) {
        struct moment swap = moments[0];
        moments[0] = moments[end];
        moments[end] = swap;
        sift(moments, 0, end);
    }
}

static size_t gather(const struct figures *figures, struct moment *moments)
{
    const struct facts *facts = figures->facts;
    size_t count = 0;
    for (uint32_t i = 0; i < figures->live_count; i++) {
        const struct order *order = &facts->orders[figures->live[i]];
        if (order->has_subscription && !order->subscription_told) /* R20: a live order that names it */
            moments[count++] = (struct moment){
                order->placed.at, RANK_ORDER, i, order->subscription, figures->live[i], &order->placed, order->renewal};
    }
    for (uint32_t i = 0; i < facts->changes_count; i++) {
        const struct subscription_change *change = &facts->changes[i];
        moments[count++] = (struct moment){change->stamp.at,
                                           change_rank(change->kind),
                                           change->stamp.hash,
                                           change->subscription,
                                           FACT_NONE,
                                           &change->stamp,
                                           false};
    }
    sort_moments(moments, count);
    return count;
}

static struct folded_subscription *standing_of(struct folded_subscription *standings, uint32_t *count,
                                               uint64_t subscription)
{
    for (uint32_t i = 0; i < *count; i++)
        if (standings[i].subscription == subscription)
            return &standings[i];
    standings[*count] = (struct folded_subscription){.subscription = subscription};
    return &standings[(*count)++];
}

/* Walks the moments in order, from how things stood when the folded ones ended. */
struct walk {
    struct figures *figures;
    struct folded_subscription *standings;
    uint32_t standing_count;
    struct spell *spells;
    size_t spell_count;
    size_t active;
};

static void begin_spell(struct walk *walk, struct figure_instant since)
{
    walk->spells[walk->spell_count++] = (struct spell){since.at, INT64_MAX};
    walk->figures->subscription_since = since;
}

static void walk_folded(struct walk *walk, const struct folded *folded)
{
    for (uint32_t i = 0; i < folded->subscription_count; i++) {
        walk->standings[walk->standing_count++] = folded->subscriptions[i];
        walk->active += folded->subscriptions[i].active;
    }
    if (walk->active)
        begin_spell(walk, (struct figure_instant){.at = folded->spell_at,
                                                  .order = FACT_NONE,
                                                  .fact = FACT_NONE,
                                                  .backfill = folded->spell_backfill,
                                                  .hash = folded->spell_hash});
}

static void walk_moment(struct walk *walk, const struct moment *moment)
{
    struct folded_subscription *standing = standing_of(walk->standings, &walk->standing_count, moment->subscription);
    bool now_active = moment->rank <= RANK_RESUMED;
    if (now_active && !standing->active && walk->active++ == 0)
        begin_spell(walk, (struct figure_instant){.at = moment->at,
                                                  .order = moment->order,
                                                  .fact = FACT_NONE,
                                                  .backfill = moment->stamp->backfill,
                                                  .hash = stamp_record(walk->figures->facts, moment->stamp)});
    if (!now_active && standing->active && --walk->active == 0)
        walk->spells[walk->spell_count - 1].until = moment->at;
    standing->active = now_active;
    if (moment->rank == RANK_CANCELLED)
        standing->renewals = 0; /* R21: pauses do not break the run, a cancellation does */
    standing->renewals += moment->renewal;
}

void figures_subscription(struct figures_work *work)
{
    struct figures *figures = work->figures;
    const struct folded *folded = &figures->facts->folded;
    size_t most = figures->facts->changes_count;
    for (uint32_t i = 0; i < figures->live_count; i++)
        most += figures->facts->orders[figures->live[i]].has_subscription;
    figures->subscription = false;
    figures->subscription_since = figure_none;
    figures->renewals = 0;
    if (most + folded->subscription_count == 0)
        return;
    struct moment *moments = ARENA_ARRAY(work->arena, struct moment, most);
    struct walk walk = {.figures = figures};
    walk.standings = ARENA_ARRAY(work->arena, struct folded_subscription, most + folded->subscription_count);
    walk.spells = ARENA_ARRAY(work->arena, struct spell, most + 1);
    walk_folded(&walk, folded);
    size_t count = gather(figures, moments);
    for (size_t i = 0; i < count; i++)
        walk_moment(&walk, &moments[i]);
    figures->subscription = walk.active > 0;
    if (!figures->subscription)
        figures->subscription_since = figure_none;
    for (uint32_t i = 0; i < walk.standing_count; i++)
        if (walk.standings[i].renewals > figures->renewals)
            figures->renewals = walk.standings[i].renewals;
    work->spells = (struct spells){walk.spells, walk.spell_count};
    work->standings = walk.standings;
    work->standing_count = walk.standing_count;
}
