/* How figures.c is put together: each part fills its own fields of struct figures from the facts, in the order below; a
 * part may read what the parts before it filled. Not for anybody else. */
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

struct figures_work {
    struct figures *figures;
    struct arena *arena;
    bool *in_cycle;       /* by order: live and of the present cycle */
    bool folded_cycle;    /* the present cycle is the one of folded.cycle_... (R11) */
    struct spells spells; /* R20 */
    const struct folded_subscription *standings; /* R20, R21: of every subscription, after all its facts */
    uint32_t standing_count;
    const uint32_t *responses; /* in R28's order */
};

/* figures_compute, leaving its work behind for compact.c. */
void figures_compute_work(struct figures_work *work, const struct facts *facts, const struct playbook *playbook,
                          struct arena *arena, int64_t now, struct figures *ret_figures);

void figures_orders_sort(struct figures_work *work);   /* live */
void figures_subscription(struct figures_work *work);  /* spells, subscription, since, renewals */
void figures_orders(struct figures_work *work);        /* cycle, counts, money */
void figures_deliveries(struct figures_work *work);    /* parcels of the cycle */
void figures_responses(struct figures_work *work);
void figures_contacts(struct figures_work *work);      /* registration, consent, reach, opens, zone */
void figures_referrals(struct figures_work *work);
void figures_rungs(struct figures_work *work);         /* rung_since: phase.c */
void figures_rungs_of_parts(struct figures *figures);  /* of these those that deliveries, contacts and answers open */
void figures_rung_advocate(struct figures_work *work);

extern const struct figure_instant figure_none;

/* Lowers *least to at; NEVER is no instant. */
static inline void instant_lower(int64_t *least, int64_t at)
{
    if (at != NEVER && (*least == NEVER || at < *least))
        *least = at;
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
