/* The step: the one place where a customer's state changes. Pure: no I/O, no clock, no logging, no memory but the arena.
 * The worker, `oriori simulate` and the tests all run this.
 *
 * The caller keeps the customer as an opaque blob (customer_state.avsc behind a version byte) and a wake-up time; the
 * blob's own timers are the truth, the wake-up is only an index of them (DESIGN.md 4). */
#ifndef ORIORI_ENGINE_STEP_H
#define ORIORI_ENGINE_STEP_H

#include "common/base/arena.h"
#include "common/base/zone.h"
#include "common/engine/event.h"
#include "common/engine/record.h"
#include "common/playbook/playbook.h"

/* What is the same for every customer of a step. */
struct step_world {
    const struct playbook *playbook;
    const struct zones *zones;
    const struct pauses *pauses; /* held rules (R66); NULL = none */
    /* By the rule's place in the playbook: decisions and sends are counted here instead of recorded, and other records
     * bear no action ids and no evidence. NULL = all is recorded. */
    struct rule_counts *counts;
};

struct rule_counts {
    int64_t outcomes[OUTCOME_COUNT];
    int64_t sends;
};

/* Which rules an operator holds. */
struct pauses {
    bool all_marketing;
    const struct span *rules;
    size_t rule_count;
};

enum verdict { VERDICT_APPLIED, VERDICT_DUPLICATE, VERDICT_TEST, VERDICT_ERASED, VERDICT_DEAD };

struct event_result {
    enum verdict verdict;
    enum reason reason;  /* VERDICT_DEAD: why */
    const char *field;   /* VERDICT_DEAD: which field, or NULL */
};

/* One customer's part of one step (R2): his timers due < now fire, then the events apply in order, then, when
 * fire_now, what is due <= now fires until nothing is. `simulate` visits with fire_now false for each event of an
 * instant and with no events and fire_now true after them. */
struct visit {
    struct span customer_id;
    struct span state; /* the blob; empty = not known */
    const struct event *events; /* all of this customer_id */
    size_t event_count;
    int64_t now; /* T */
    bool fire_now;
    /* His timers before T fire each at its own time, as if somebody had visited him at each, instead of late: for who
     * does not visit everybody in the order of time. When there are many, not all: the visit is unfinished. */
    bool in_turn;
};

struct credit_out { /* to be forwarded: an EVENT_CREDIT event of customer referrer (event.customer_id) */
    struct credit_out *next;
    struct event event;
};

struct visit_result {
    struct span state;   /* the new blob, in the arena; the caller's own span when nothing changed; empty = still unknown */
    bool changed;        /* the blob differs from the one given */
    uint32_t fired_in_turn; /* in_turn: at how many instants timers fired */
    bool unfinished;     /* in_turn: no event was applied and there are no results, the same visit must be made again */
    int64_t wake_at;     /* when the customer must be visited without an event; NEVER = not at all */
    struct record *records; /* in seq order; NULL = none */
    struct credit_out *credits;
    struct event_result *results; /* one per event */
    uint32_t unknown_time_zone_count; /* of the events applied: names that the database lacks (R33) */
};

/* False only when the blob is not one that any version of ours wrote; nothing else is touched then. */
bool step_visit(const struct step_world *world, struct arena *arena, const struct visit *visit,
                struct visit_result *ret_result);

/* The same for who keeps states open (open_state.h): visit->state is not read, result.state is empty and result.changed says
 * whether anything was touched. What is new lies in the arena until open_state_settle. */
struct open_state;
/* In the arena. NULL: as false above. */
struct open_state *step_open(const struct step_world *world, struct arena *arena, struct span state);
void step_visit_open(const struct step_world *world, struct arena *arena, const struct visit *visit,
                     struct open_state *state, struct visit_result *ret_result);
/* The blob; empty = nothing is known of him. */
struct span step_close(const struct step_world *world, struct arena *arena, const struct open_state *state);

/* The wake-up that a stored blob asks for (index repair); false as above. */
bool step_wake_at(const struct step_world *world, struct arena *arena, struct span customer_id, struct span state,
                  int64_t *ret_wake_at);

/* Is it the small record that an erasure leaves (R31)? False also for a blob that cannot be read. */
bool step_erased(struct span state);

/* R84, R85: the `state` record's figures at `now`. */
struct customer_money { struct span currency; int64_t minor; };
struct customer_report {
    bool erased;
    struct customer_classes classes;
    bool registered_email, registered_line, consent, subscription, effect_felt;
    int64_t purchases, trial, premium, related, renewals, shipped, delivered, failed, responses, positive, negative,
        opens_60d, clicks_60d, referrals, referrals_converted, shares, events_attended, support_contacts;
    const struct customer_money *money;
    size_t money_count;
    int64_t first_purchase_at, last_purchase_at, subscription_since, first_delivery_at, last_delivery_at,
        last_response_at, last_open_at; /* NEVER = null */
    int32_t last_satisfaction; /* 0 = null */
    int32_t last_nps;          /* -1 = null */
    /* beside R85, for people: what waits and what was sent */
    size_t fact_count, waiting_count, used_key_count;
    const struct span *traces; /* contexts of what waits, each once, as in struct event */
    size_t trace_count;
};
bool step_report(const struct step_world *world, struct arena *arena, struct span customer_id, struct span state,
                 int64_t now, struct customer_report *ret_report);
struct customer_report step_report_open(const struct step_world *world, struct arena *arena,
                                        const struct open_state *state, int64_t now);

#endif
