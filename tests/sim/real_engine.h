/* The engine of the worker in the simulated world: events as JSON lines, records as `simulate` prints them, the default
 * playbook, and a shop whose customers buy, receive, answer, refer each other, pause and are erased.
 *
 * What must come out cannot be said from the history alone, so the auditor has two witnesses: the replay of crm.steps,
 * record by record, and for the facts (R1a) a sequential run of the whole history, in the order it was written, at the
 * last clock of the run. */
#ifndef ORIORI_TESTS_SIM_REAL_ENGINE_H
#define ORIORI_TESTS_SIM_REAL_ENGINE_H

#include "common/flow/replay.h"
#include "tests/sim/world.h"

extern const struct formats real_formats;

/* The default playbook and the machine's zones: read once, shared by all worlds of the process. */
const struct step_world *real_step_world(void);
/* The default playbook (0) and others made from it: bounds of tiers, delays and a rule's name changed, waiting runs
 * recomputed (1) or dropped (2). */
enum { REAL_VARIANTS = 3 };
const struct step_world *real_variant(int variant);
struct span real_variant_text(int variant);

/* One event's line in the history, and written to its topic. */
void real_shop_event(struct sim_world *world);

/* The sequential run: states of all customers as if every record had come once, in order, at the clock `now`, under the
 * playbook activated last. */
void real_sequential(const struct sim_world *world, int64_t now, struct replay *states);
/* What is asked of a state (R1a): the figures and classes at `now`, as one line. */
void real_facts_text(const struct sim_world *world, struct span customer_id, struct span state, int64_t now,
                     struct buffer *text);

#endif
