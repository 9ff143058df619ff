/* How figures.c is put together: each part fills its own fields of struct figures from the facts, whatever was there, in
 * the order below; a part may read what the parts before it filled. Not for anybody else. */
#ifndef ORIORI_ENGINE_FIGURES_PARTS_H
#define ORIORI_ENGINE_FIGURES_PARTS_H

#include "common/engine/figures.h"

/* A stretch of time in which some subscription was active: [from, until), until INT64_MAX = it still is. */
struct spell {
    int64_t from, until;
};
struct spells {
    const struct spell *items; /* in time order, apart from each other */
    size_t count;
};

/* What an order is in the figures, in a byte: a parcel asks for it, and need not look at the order itself. */
enum standing { STANDING_NONE, STANDING_LIVE, STANDING_IN_CYCLE };

struct figures_work {
    struct figures *figures;
    struct arena *arena;
    uint8_t *standing;    /* enum standing by order; left by figures_deliveries */
    struct spells spells; /* R20 */
    const struct folded_subscription *standings; /* R20, R21: of every subscription, after all its facts */
    uint32_t standing_count;
    const uint32_t *responses; /* in R28's order */
};

/* figures_compute, leaving its work behind for compact.c. */
void figures_compute_work(struct figures_work *work, const struct facts *facts, const struct playbook *playbook,
                          struct arena *arena, int64_t now, struct figures *ret_figures);

void figures_orders(struct figures_work *work);        /* live orders, subscription, cycle, counts, money */
void figures_subscription(struct figures_work *work);  /* of these: spells, subscription, since, renewals */
void figures_deliveries(struct figures_work *work);    /* parcels of the cycle */
void figures_responses(struct figures_work *work);
void figures_contacts(struct figures_work *work);      /* registration, consent, reach, opens, zone */
bool order_tells_contacts(const struct order *order);  /* anything that figures_contacts reads */
void figures_referrals(struct figures_work *work);
void figures_rungs(struct figures_work *work, uint32_t parts); /* rung_since, after these parts: phase.c */

extern const struct figure_instant figure_none;

/* The present cycle is the one of folded.cycle_... (R11). */
static inline bool figures_cycle_folded(const struct figures *figures)
{
    const struct folded *folded = &figures->facts->folded;
    return folded->cycle == figures->cycle && folded->cycle > 0;
}

/* Lowers *least to at; NEVER is no instant. NEVER is the lowest number; counted from the one above it, without a sign,
 * it is the highest: so one comparison does, and no branch that nobody could foresee. */
static inline void instant_lower(int64_t *least, int64_t at)
{
    uint64_t zero = (uint64_t)NEVER + 1;
    *least = (uint64_t)at - zero < (uint64_t)*least - zero ? at : *least;
}

/* time alone changes something at at: kept when after now and the earliest. */
static inline void figures_change_at(struct figures *figures, int64_t at)
{
    if (at > figures->now)
        instant_lower(&figures->next_change_at, at);
}

/* Sorts indexes by compare(a, b, facts): by insertion while few or nearly sorted, else by merging. */
typedef int index_compare(uint32_t a, uint32_t b, const struct facts *facts);
void index_sort(uint32_t *indexes, uint32_t count, struct arena *arena, index_compare *compare,
                const struct facts *facts);

#endif
