/* Everything that the facts mean at one instant: counts, the live orders in order, the cycle, registrations, consent,
 * deliveries with those assumed (R16), subscription, renewals, referrals, opens. Computed whole from the facts; linear but
 * for one sort of the orders; no memory but the arena. Pure data: reading a field is all there is to it.
 *
 * Valid as long as the facts stand as they are and the clock is in [now, next_change_at): within it no field but `now`
 * would come out another (figures_hold). Facts are named by their index, so that the figures outlast a move of the
 * arrays. */
#ifndef ORIORI_ENGINE_FIGURES_H
#define ORIORI_ENGINE_FIGURES_H

#include "common/engine/facts.h"
#include "common/engine/step.h"

/* An instant that a fact gives, with what the trigger side needs of that fact. at NEVER = there is none. */
struct figure_instant {
    int64_t at;
    uint32_t order;    /* the order it belongs to; FACT_NONE = none */
    uint32_t fact;     /* parcel, response: index in its array; FACT_NONE otherwise */
    bool backfill;     /* R7: the record that counts is backfill (of an assumed delivery: the SHIPPED) */
    bool assumed;      /* a delivery by R16's fallback */
    uint64_t hash;     /* the counting record's: stamp_record; 0 = none */
};

struct figures {
    const struct facts *facts;
    const struct playbook *playbook;
    int64_t now;

    /* orders, in R19's order (time, order_id): live only */
    uint32_t *live;                    /* indexes into facts->orders; live[live_count - 1] is the last purchase */
    uint32_t live_count;
    uint32_t cycle_first;              /* position in live where the present cycle begins; = live_count when none */
    int64_t purchases, trial, premium, related, purchases_in_cycle; /* purchases may exceed live_count: R11's totals */
    int64_t settle_purchases;          /* of the last purchase's product (R43); the default without a purchase */
    int64_t money_default;             /* in the playbook's currency (R32); the others: figures_money */
    int32_t cycle;                     /* from 1 (R29) */
    int64_t cycle_start;               /* NEVER = no live purchase: no fact is "of the cycle" */
    struct figure_instant first_purchase, last_purchase, cycle_purchase; /* ever, ever, first of the cycle */

    /* parcels of live orders: ever, and of the cycle */
    int64_t shipped, delivered, failed, shipped_in_cycle, delivered_in_cycle;
    struct figure_instant first_delivery, last_delivery; /* of the cycle */
    int64_t first_effect_after_ms;     /* effect_after of first_delivery's order (R17), default resolved */

    /* responses */
    int64_t responses, positive, negative;
    int32_t last_satisfaction;         /* 0 = none (R28) */
    int32_t last_nps;                  /* -1 = none */
    int32_t last_nps_in_cycle;         /* -1 = none */
    uint32_t last_response;            /* index; FACT_NONE = none */
    int64_t last_response_at;
    uint32_t segment_response;         /* the last that states nps or satisfaction (R44); FACT_NONE = none */
    uint32_t answered_ever, answered_in_cycle; /* bit sets of enum purpose (R58) */
    bool responded_since_first_purchase;
    struct figure_instant effect_felt; /* in the cycle (R27) */
    uint32_t goal_response;            /* that stated a goal last: figures_goal; FACT_NONE = none */

    /* registration, consent, reach */
    bool registered_email, registered_line;
    bool bounced_email, bounced_line;
    bool consent;
    int64_t consent_at;                /* of what decides; NEVER = nothing known */
    uint32_t consent_source;           /* index; 0 = "" */
    uint32_t zone_order, zone_note;    /* which stated a time zone last: figures_time_zone; FACT_NONE = none of its kind */

    /* subscription (R20, R21) */
    bool subscription;
    struct figure_instant subscription_since;
    int64_t renewals;

    /* opens and clicks (R25) */
    int64_t opens_60d, clicks_60d;
    int64_t last_open_at;

    int64_t referrals, referrals_converted, shares, events_attended, support_contacts; /* life-long */
    int64_t referrals_in_cycle, shares_in_cycle;

    /* the instant from which each rung's own condition has held, unbroken, by the facts' own times; NEVER = it does not
     * hold now. [PHASE_ASSESS] is unused. (R5, R40) */
    int64_t rung_since[PHASE_COUNT];

    /* of the cycle: times of what opens a rung, NEVER = nothing does */
    int64_t first_shipped, first_open, first_positive, first_early_experience, first_shared, first_referred;

    int64_t deliveries_change_at, contacts_change_at, days_change_at; /* what each gives to the next; NEVER = nothing */

    /* The next instant > now at which time alone may change a figure or a class: an assumed delivery, a day boundary of the
     * playbook, acclimate, effect_after, opens leaving the 60 days. NEVER = none. */
    int64_t next_change_at;
};

/* ret_figures borrows facts, playbook and arena. */
void figures_compute(const struct facts *facts, const struct playbook *playbook, struct arena *arena, int64_t now,
                     struct figures *ret_figures);

/* Parts of the figures, as a set: those that are read of orders, refunds and subscription changes; of parcels and
 * failures; of notes of the kinds of TOPIC_EMAIL_OPENS and of registrations; of answers; of credits and the other notes. */
enum figures_part {
    FIGURES_TIME = 0, /* none of them: nothing has changed but the clock */
    FIGURES_ORDERS = 1,
    FIGURES_DELIVERIES = 2,
    FIGURES_CONTACTS = 4,
    FIGURES_RESPONSES = 8,
    FIGURES_REFERRALS = 16,
    FIGURES_ALL = 31
};

/* Brings figures of an earlier clock up to date, since which of the facts no others have changed than those that `parts`
 * are read of: the same as figures_compute. Returns the parts that were read again: also those that the clock or these
 * facts have changed since. */
uint32_t figures_follow(const struct facts *facts, struct arena *arena, int64_t now, uint32_t parts,
                        struct figures *figures);

/* Of unchanged facts: the figures at `now` are these, but for the field of that name. */
static inline bool figures_hold(const struct figures *figures, int64_t now)
{
    return figures->now <= now && (figures->next_change_at == NEVER || now < figures->next_change_at);
}

/* Which anchors (a set of enum anchor_fact) are read from the same in both (R48, R49): their instants and orders. Of one
 * customer between two moves of his arrays, after no more than `parts` were read again. */
enum { ANCHORS_ALL = (1 << ANCHOR_COUNT) - 1 };
uint32_t figures_same_anchors(const struct figures *before, const struct figures *figures, uint32_t parts);
bool figures_same_live(const struct figures *a, const struct figures *b); /* orders, and which are of the cycle */

/* After `parts` were read again: which facts (a set of FACT_BITs) may make a comparison of the tier and growth tables
 * come out another way than before: numbers that differ; days that are counted from another instant or have passed a boundary; a goal always, for nobody
 * compares texts here. Of one customer, `before` as it was computed last. */
uint64_t figures_changed_facts(const struct figures *before, const struct figures *figures, uint32_t parts);

/* R32: what was paid per currency of a live order, also where it is 0; by currency bytewise, in the arena. */
const struct customer_money *figures_money(const struct figures *figures, struct arena *arena, size_t *ret_count);

struct span figures_goal(const struct figures *figures);      /* the last stated; "" = none */
struct span figures_time_zone(const struct figures *figures); /* as stated last, known to the database or not (R33) */

/* Of the customer's facts of fact.h those that `facts`, a set of FACT_BITs, names; the others stay as they are. Run facts
 * (order_*, response_*, campaign) and classes (tier ... segment) become FACT_ABSENT: the run's side fills them in. */
void figures_values(const struct figures *figures, uint64_t facts, struct fact_values *values);

/* A parcel's delivered time at now (R15, R16); at NEVER = not delivered (yet). ret_assumed_at: when it will be assumed to be,
 * if that lies after now, else NEVER; may be NULL. Says nothing of the order's liveness. */
struct figure_instant parcel_delivery(const struct facts *facts, const struct playbook *playbook, uint32_t parcel,
                                      int64_t now, int64_t *ret_assumed_at);

/* R17, defaults resolved; order FACT_NONE = the defaults. Milliseconds. */
int64_t order_effect_after(const struct facts *facts, const struct playbook *playbook, uint32_t order);
int64_t order_supply(const struct facts *facts, const struct playbook *playbook, uint32_t order);

/* The position in figures->live of an order; FACT_NONE = not live. */
uint32_t figures_live_position(const struct figures *figures, uint32_t order);

/* Live and of the present cycle (R29). */
bool figures_in_cycle(const struct figures *figures, uint32_t order);

#endif
