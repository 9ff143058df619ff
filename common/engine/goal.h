/* R82: whether what a rule hopes for happened. Not part of the step: the engine sends without it, and the state keeps
 * no record of it; a report asks afterwards, of the facts that a state holds. Goals that are a phase, a stage of growth
 * or a tier are told by the transitions instead. */
#ifndef ORIORI_ENGINE_GOAL_H
#define ORIORI_ENGINE_GOAL_H

#include "common/engine/step.h"

/* When each kind of fact happened to one customer, as far as he is known now: a voided order never was, an edited one
 * keeps its time (R9, R14). Facts that history has folded (R11) are no longer there. */
struct goal_facts {
    bool erased;                       /* R31: nothing of him is known any more */
    const struct goal_moment *moments; /* in the arena, in no order */
    size_t count;
};

/* False: the state is none that any version of ours wrote. An empty state is a customer without facts. */
bool goal_facts_read(const struct step_world *world, struct arena *arena, struct span state,
                     struct goal_facts *ret_facts);

/* A fact that the goal names happened in (after, until], UTC ms. The instant itself does not count: what causes a
 * message comes before it. */
bool goal_happened(const struct goal_facts *facts, struct span goal, int64_t after, int64_t until);

/* The goal is to be in a phase, a stage or a tier. */
bool goal_is_class(struct span goal, enum dimension *ret_dimension, int *ret_value);

#endif
