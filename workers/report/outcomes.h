/* R82: what came of each rule's runs. Collects the runs of a published history (sends, and those held out) and the
 * transitions that a goal waits for; then each customer's state says which runs reached their goal within its time.
 *
 * Life-cycle: outcomes_init, records in any order, outcomes_close, states (one customer's again when a later one turns
 * up), outcomes_count as often as wanted, outcomes_release. Memory: about 60 bytes a run and the customers' ids. */
#ifndef ORIORI_WORKERS_REPORT_OUTCOMES_H
#define ORIORI_WORKERS_REPORT_OUTCOMES_H

#include "common/engine/goal.h"
#include "workers/report/names.h"

/* A run that was sent or held out: (customer, rule, key, n) counts once in each. */
struct outcome_run {
    struct span customer_id;
    struct span rule;
    struct span key;
    struct span variant; /* "" = none; a held-out run has none */
    int32_t n;
    bool held_out;
    int64_t at; /* made_at; of a held-out one the decision's time */
};

struct outcomes {
    const struct step_world *world;
    struct arena memory;  /* of the names */
    struct arena scratch; /* of one state */
    struct names customers, rules, variants;
    struct run_kept *runs; /* outcomes_close sorts them by customer */
    size_t run_count, run_capacity;
    struct move_kept *moves; /* transitions that some goal names; sorted likewise */
    size_t move_count, move_capacity;
    size_t *first_runs;   /* by customer: where his runs begin; one more than customers */
    unsigned char *known; /* by customer: enum outcome_known */
    size_t unreadable;    /* states that this version cannot read */
};

/* The world's playbook says the goals; it must outlive the outcomes. */
void outcomes_init(struct outcomes *outcomes, const struct step_world *world);
void outcomes_release(struct outcomes *outcomes);

void outcomes_add(struct outcomes *outcomes, const struct outcome_run *run); /* texts are copied */
void outcomes_add_transition(struct outcomes *outcomes, struct span customer_id, enum dimension dimension, int to,
                             int64_t effective_at);
void outcomes_add_record(struct outcomes *outcomes,
                         const struct record *record); /* whichever of these it is, or none */

void outcomes_close(struct outcomes *outcomes);
void outcomes_add_state(struct outcomes *outcomes, struct span customer_id, struct span state);

/* One group of runs of a rule: those sent, of one variant, or those held out. */
struct outcome_group {
    size_t runs;
    size_t open;            /* their time is not over at the report's clock: not in what follows */
    size_t unknown;         /* erased customers, or none whose state was found: nor these */
    size_t measured;        /* runs whose time is over */
    size_t reached;         /* of these: the goal happened in time */
    size_t customers;       /* that the measured runs belong to */
    double rate, low, high; /* reached / measured with its 95% interval; 0, 0, 1 when nothing was measured */
};

/* One line of the report: a rule, and where it has variants each of them. */
struct outcome_line {
    struct span rule;
    struct span variant;     /* "" = none */
    const struct goal *goal; /* NULL: the rule has none, or is not in the playbook */
    struct outcome_group sent;
    struct outcome_group held_out; /* of the rule, whatever the variant */
    bool compared;                 /* both groups have measured runs */
    double difference, low, high;  /* sent - held out, with its 95% interval */
};

/* Rules in the playbook's order with those of other strategies' or playbooks' behind them; in `memory`. clock: where
 * the history ends, UTC ms. */
struct outcome_line *outcomes_count(struct outcomes *outcomes, int64_t clock, struct arena *memory, size_t *ret_count);

#endif
