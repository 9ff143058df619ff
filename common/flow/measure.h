/* What is measured beside the plain counts of worker.h: by topic, by reason, by rule, and how long things take. Label
 * values are bounded: enums, and at most MEASURE_RULES rules of the playbooks that ran (the rest is "other"). */
#ifndef ORIORI_FLOW_MEASURE_H
#define ORIORI_FLOW_MEASURE_H

#include "common/base/histogram.h"
#include "common/engine/step.h"

enum { MEASURE_RULES = 128, MEASURE_NAME_SIZE = 64, MEASURE_STEPS = 12 };

struct batch;
struct worker;

struct rule_measure {
    char name[MEASURE_NAME_SIZE]; /* NUL-terminated; a longer one is cut */
    uint64_t outcomes[OUTCOME_COUNT];
    uint64_t sent, revoked; /* actions */
};

struct flow_measures { /* since start; zeroed = nothing yet */
    uint64_t events[TOPIC_COUNT][VERDICT_DEAD + 1];
    uint64_t letters[REASON_COUNT];
    uint64_t moves[DIMENSION_COUNT];
    uint64_t rebalances;
    int64_t step_ms[MEASURE_STEPS]; /* time spent in each step of the loop's list */
    struct histogram batch;         /* fetched until applied */
    struct histogram transaction;   /* begin until committed */
    struct histogram recovery;      /* from "forget all" until no shard waits */
    struct histogram timers_late;   /* of each step that visited timers: its oldest one, T against due */
    int64_t recovering_since;       /* monotonic ms; 0 = not recovering */
    struct rule_measure *rules;     /* owned; MEASURE_RULES + 1 of them, made with the first decision or action */
    size_t rule_count;
};

void measure_release(struct flow_measures *measures);

/* One transition, action or decision. */
void measure_record(struct flow_measures *measures, const struct record *record);

/* A batch that has just been committed. */
void measure_batch(struct worker *worker, const struct batch *batch);
/* A batch that has just been applied, fetched at began_ms (monotonic). */
void measure_applied(struct worker *worker, int64_t began_ms);
/* After a recovery's turn: is it over? */
void measure_recovery(struct worker *worker);

#endif
