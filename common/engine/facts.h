/* All facts of one customer, as the state keeps them: decoded from the blob into the batch's arena, changed by fold.c, read
 * by figures.c, encoded again by state_codec.c. Nothing here is derived from the clock.
 *
 * A fact is one or more records with one identity (R9). Its stamp keeps what decides between records; its content is that
 * of the record that counts. Order ids are kept as text, all other ids as XXH64 (RULINGS.md, head).
 *
 * Indexes (uint32_t) into the arrays are stable within a visit: facts_apply only appends; what is folded (R11) leaves the
 * arrays in facts_compact, which the codec's caller runs just before encoding. Pointers into the arrays are not stable over
 * facts_apply. All memory is the arena's; texts borrow from the blob or were copied to the arena. */
#ifndef ORIORI_ENGINE_FACTS_H
#define ORIORI_ENGINE_FACTS_H

#include "common/base/arena.h"
#include "common/engine/event.h"
#include "common/engine/text_room.h"
#include "common/playbook/playbook.h"

#define FACT_NONE UINT32_MAX /* no such index */

#define STAMP_TIE_MASK UINT64_C(0xffffffff00000000)

/* What decides between the records of a fact (R9). */
struct stamp {
    int64_t at;        /* the fact's time: the earliest occurred_at of its records; NEVER = the fact is not known */
    int64_t record_at; /* occurred_at of the record whose content counts */
    int64_t version;   /* its version */
    uint64_t hash;     /* XXH64 of its event_id; only the bits of STAMP_TIE_MASK where the identity is another id */
    uint32_t source;   /* its source: index into facts.sources, 0 = "" */
    bool backfill;     /* its mark (R7) */
    bool folded;       /* R11: frozen; a record of it is too late */
};

/* What the figures read of every order comes first: a step meets all of a customer's orders after days. */
struct order {
    struct span id;
    struct stamp placed;    /* PLACED or SUBSCRIPTION_RENEWED */
    struct stamp cancelled;
    int64_t refunded;       /* derived from the refunds, kept right by fold and codec: the stated amounts, minor units */
    bool refunded_whole;    /* and so is this: R14 */
    bool renewal;           /* any record is SUBSCRIPTION_RENEWED (R9) */
    bool all_trial;         /* has lines and all are trial (R18) */
    bool premium;
    bool related;
    bool has_subscription;  /* names one; a renewal without a name is of the one without a name (R86) */
    bool subscription_told; /* folded.subscriptions says it already */
    enum answer email_registered, line_registered, marketing_consent;
    struct span time_zone;  /* of a PLACED record (R33) */
    int64_t total;          /* minor units: sum of quantity x unit_price */
    struct span currency;   /* "" = the playbook's */
    int64_t effect_after_ms, supply_ms, transit_ms, settle_purchases; /* R17; FIGURE_UNSTATED = the playbook's default */
    uint64_t subscription;  /* XXH64 of its id; that of "" for the one without a name */
    struct span sku;        /* of the first line; "" = no lines */
    struct span campaign;
    struct span referrer;   /* customer id, never the buyer's own; "" = none */
};

struct refund { /* identity: event_id = stamp.hash */
    struct stamp stamp;
    uint32_t order;
    int64_t amount; /* minor units; REFUND_WHOLE = the whole order */
};

struct parcel {
    uint32_t order;
    uint64_t hash;          /* XXH64 of parcel_id */
    struct stamp shipped, delivered, returned;
    int64_t shipped_estimate; /* estimated_at of SHIPPED; NEVER = none */
};

struct failure { /* one FAILED; identity: event_id = stamp.hash */
    struct stamp stamp;
    uint32_t parcel;
    int64_t estimate;
};

struct subscription_change { /* identity: event_id = stamp.hash */
    struct stamp stamp;
    enum event_kind kind; /* STARTED, PAUSED, RESUMED, CANCELLED */
    uint64_t subscription;
};

struct response {
    struct stamp stamp;
    uint64_t survey, response; /* XXH64 of survey_id, response_id */
    enum purpose purpose;
    int32_t satisfaction; /* 0 = absent */
    int32_t nps;          /* -1 = absent */
    enum answer effect_felt, consent_to_share;
    uint32_t concerns;    /* bit set of enum concern */
    struct span goal;
};

/* "All else" of R9: identity (source, event_id) whatever the kind, so that an edit may even change the kind. */
struct note {
    struct stamp stamp;
    enum event_kind kind; /* OPENED ... COMPLAINED, REGISTERED ... SUPPORT_CONTACTED */
    enum event_channel channel;
    enum event_agent agent;
    enum answer marketing_consent; /* REGISTERED */
    struct span time_zone;         /* REGISTERED */
    bool names_friend;             /* REFERRED */
    uint64_t friend_hash;
};

/* A friend's credit that stands (R30). */
struct friend_credit {
    uint64_t friend_hash;
    int64_t at;     /* the friend's earliest live order naming this customer */
    bool backfill;  /* that order is */
};

/* What the facts that were taken out of the arrays (R11, compact.c) still say. Those that a figure needs one by one (the
 * first purchase, the first delivery of the cycle, the last answer ...) stay in the arrays, marked folded. */
struct folded_money {
    struct span currency;
    int64_t minor;
};
struct folded_subscription { /* as it stood after the last of its facts that was taken out */
    uint64_t subscription;
    int64_t renewals; /* since its last cancellation */
    bool active;
};
struct folded {
    int64_t newest_at;            /* time of the newest folded fact; NEVER = nothing is folded */
    int64_t purchases, trial, premium, related; /* live orders taken out */
    int64_t cycle;                /* number of the cycle of the last purchase that was looked at; 0 = none was */
    int64_t cycle_start_at, cycle_last_at; /* that cycle's first purchase, that last purchase */
    int64_t adopt_at; /* since when two purchases of that cycle opened adopt (R5), not before its start; NEVER */
    int64_t cycle_purchases, cycle_shipped, cycle_delivered; /* of that cycle, taken out */
    int64_t shipped, delivered, failed;         /* parcels and failed attempts of live orders taken out */
    int64_t responses, positive, negative;
    int64_t referrals;            /* without a friend's name */
    uint32_t answered;            /* bit set of enum purpose */
    struct folded_money *money;
    uint32_t money_count;
    struct folded_subscription *subscriptions;
    uint32_t subscription_count;
    int64_t spell_at;             /* start of the spell that was open then (R20); NEVER = none */
    bool spell_backfill;
    uint64_t spell_hash;
    uint64_t *identities;         /* sorted: of every fact taken out (an order's covers all that names it) */
    uint32_t identity_count;
};

#define FACT_ARRAY(type, name) \
    type *name;                \
    uint32_t name##_count, name##_capacity

struct facts {
    bool known;            /* an event was applied (R13) */
    int64_t erased_at;     /* NEVER = not erased; else everything below is empty (R31) */
    int64_t first_seen_at; /* earliest occurred_at applied */

    /* Between these two lie all counted facts that are not frozen yet (R11); NEVER = not known. Not in the state. */
    int64_t unfrozen_from, unfrozen_to;

    /* Of facts that stay open, not in the state: */
    struct text_room *texts; /* where new texts go; NULL = into the arena */
    bool texts_away;         /* some lie elsewhere than in an open state's block */
    FACT_ARRAY(struct span, sources); /* [0] is "" */
    FACT_ARRAY(struct order, orders); /* everything that anything names, known or not */
    FACT_ARRAY(struct refund, refunds);
    FACT_ARRAY(struct parcel, parcels);
    FACT_ARRAY(struct failure, failures);
    FACT_ARRAY(struct subscription_change, changes);
    FACT_ARRAY(struct response, responses);
    FACT_ARRAY(struct note, notes);
    FACT_ARRAY(struct friend_credit, credits);
    struct folded folded;
};

void facts_init(struct facts *facts, struct arena *arena); /* a customer of whom nothing is known */

static inline bool stamp_known(const struct stamp *stamp)
{
    return stamp->at != NEVER;
}

/* R14: placed or renewed, neither cancelled nor wholly refunded, whatever the times. */
static inline bool order_live(const struct order *order)
{
    return stamp_known(&order->placed) && !stamp_known(&order->cancelled) && !order->refunded_whole;
}

/* R14: cancelled or wholly refunded, whether its placement is known yet or not. */
static inline bool order_void(const struct order *order)
{
    return stamp_known(&order->cancelled) || order->refunded_whole;
}

static inline bool parcel_shipped(const struct parcel *parcel) /* R15: what came back had been shipped */
{
    return stamp_known(&parcel->shipped) || stamp_known(&parcel->returned);
}

/* By which its arrival is known (R7): event_id and source (R10). Of a live record, of which nobody asks, the hash
 * alone. */
uint64_t stamp_record(const struct facts *facts, const struct stamp *stamp);
uint64_t event_record(const struct event *event);                     /* the same of a record that arrives */
uint32_t facts_find_order(const struct facts *facts, struct span id); /* FACT_NONE = nobody named it */
uint32_t facts_find_response(const struct facts *facts, uint64_t survey, uint64_t response);
bool facts_unshipped(const struct facts *facts, uint32_t order); /* R75: nothing of the order was ever shipped */
bool response_positive(const struct playbook *playbook, const struct response *response); /* R26 */
bool response_negative(const struct playbook *playbook, const struct response *response);
bool response_tells_effect(const struct playbook *playbook, const struct response *response); /* R27 */
size_t facts_counted(const struct facts *facts); /* the unfolded counted facts of R11 */

/* ---- for fold.c, history.c and the codec ---- */

/* items with room for one more, zeroed: the same array, or a copy twice as large in the arena. */
void *facts_grow(struct arena *arena, void *items, uint32_t count, uint32_t *capacity, size_t item_size);
#define FACT_APPEND(facts, arena, name)                                                                              \
    ((facts)->name = facts_grow((arena), (facts)->name, (facts)->name##_count, &(facts)->name##_capacity,            \
                                sizeof(*(facts)->name)),                                                             \
     &(facts)->name[(facts)->name##_count++])

extern const struct stamp stamp_none;            /* a fact that is not known */
void facts_forget_sources(struct facts *facts, struct arena *arena); /* those that no stamp names: as the blob does */
int64_t amount_add(int64_t a, int64_t b);      /* minor units; ends at the last number there is */
int64_t order_paid(const struct order *order); /* its total less what was paid back (R14) */
void facts_settle_refunds(struct facts *facts);  /* the orders' derived fields, from the refunds */
bool facts_folded_identity(const struct facts *facts, uint64_t identity);

/* The identities that history keeps of folded facts, each of its own kind of fact. */
enum identity_kind { IDENTITY_ORDER, IDENTITY_REFUND, IDENTITY_PARCEL, IDENTITY_FAILURE, IDENTITY_CHANGE,
                     IDENTITY_RESPONSE, IDENTITY_NOTE };
uint64_t fact_identity(enum identity_kind kind, uint64_t first, uint64_t second, uint64_t third);

/* ---- fold.c ---- */

/* What one event did: the trigger side looks here instead of comparing everything. Indexes are FACT_NONE where the event
 * has nothing of the kind. */
struct fold_change {
    enum verdict_fold {
        FOLD_APPLIED,
        FOLD_DUPLICATE,
        FOLD_TEST,    /* R8 */
        FOLD_ERASED,  /* R31: refused */
        FOLD_REFUSED  /* a dead letter: reason, field */
    } verdict;
    enum reason reason;
    const char *field;
    bool first_sight;        /* the customer was not known before (R13) */
    bool erased_now;         /* the event is the ERASED that was applied; facts are empty now */
    uint32_t order;          /* that the record names: PLACED ... REFUNDED, deliveries */
    bool order_new;          /* PLACED, RENEWED: the order was not placed before */
    uint32_t other_order;    /* an edited refund left this one */
    bool order_was_void, other_order_was_void; /* before the event; compare with order_void now (R14, R78) */
    uint32_t parcel;
    uint32_t failure;        /* FAILED */
    uint32_t response;
    uint32_t subscription_change;
    uint32_t note;           /* the "all else" fact; R23: its kind may end consent */
    bool edits;              /* the fact had a record before */
    bool counts;             /* and now the content of this one counts (R9) */
    bool source_left;        /* a record of another source counts now: the one before may name nothing any more */
    bool credit_began;       /* EVENT_CREDIT: no credit of that friend stood before, one does now */
    bool credit_ended;       /* one stood, none does now */
    bool credit_moved;       /* it stood and stands, its order or time differs */
};

/* Judges and applies one event (R6, R8, R9, R11, R31) at the clock now. Counts nothing, writes no record; the caller
 * computes figures again. facts stays untouched unless FOLD_APPLIED. Never fails for lack of memory: the arena's overflow
 * mark says so. */
void facts_apply(struct facts *facts, struct arena *arena, const struct playbook *playbook, const struct event *event,
                 int64_t now, struct fold_change *ret_change);

/* ---- history.c ---- */

bool history_compact_notes(struct facts *facts, struct arena *arena); /* R22 to R25; false: nothing went */
/* R11: freezes the oldest facts while too many are unfolded. Called by facts_apply, after each event of whatever time `at`;
 * changes no figure. */
void history_freeze(struct facts *facts, const struct playbook *playbook, int64_t at);
/* Whether freezing would make room for one more counted fact at this time. */
bool history_has_room(const struct facts *facts, const struct playbook *playbook, int64_t at);

/* ---- compact.c ---- */

/* What runs may still ask of single facts; these stay in the arrays. Texts are borrowed. */
struct asked_answer {
    uint64_t survey, response; /* hashes, as in struct response */
};
struct facts_asked {
    const struct span *orders;       /* of runs that wait */
    const struct span *cycle_orders; /* asked for while they are of the present cycle (R48, R50) */
    const struct asked_answer *answers; /* of runs that wait */
    uint32_t orders_count, cycle_orders_count, answers_count;
};

/* Drops what R11 to R25 no longer need from the arrays, so that the state stays small. Indexes change; figures and
 * decisions do not: what figures name, what opened a rung (R5: the newest 32 turns of the last NPS at least), what runs
 * ask and one order that an insert may go into (R75) stay. (A parcel delivered days before its order was placed may yet
 * move the instant of accomplish.) asked NULL = nothing. False: there was nothing to drop. */
bool facts_compact(struct facts *facts, struct arena *arena, const struct playbook *playbook,
                   const struct facts_asked *asked);

/* ---- credit.c (R30) ---- */

struct credit_standing { /* to one referrer */
    struct span referrer;
    uint32_t order; /* earliest live order naming him */
    struct span order_id;
    int64_t order_at;
    bool order_backfill;
};
struct credit_list {
    struct credit_standing *items;
    size_t count;
};
/* Whom the customer's live orders credit now; in the arena, in order of first appearance. Take it before facts_apply. */
struct credit_list credit_standings(const struct facts *facts, struct arena *arena);

/* The forwards that bring every referrer from before to after, in that order, prepended to nothing: a fresh list or NULL.
 * friend_id is the customer; event is the one of the step (its event_id and occurred_at travel along). */
struct credit_out;
struct credit_out *credit_changes(struct arena *arena, struct span friend_id, const struct event *event,
                                  struct credit_list before, struct credit_list after, bool by_erasure);

#endif
