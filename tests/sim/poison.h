/* A customer who ends whatever worker visits him: a fault of the engine's that the same state always meets. The process
 * is dead from that visit on, for nothing that it still does reaches the world (fault.h). */
#ifndef ORIORI_TESTS_SIM_POISON_H
#define ORIORI_TESTS_SIM_POISON_H

#include "common/flow/worker.h"

enum sim_poison {
    SIM_POISON_NONE,
    SIM_POISON_TIMER, /* his visits without an event: timers, sweeps */
    SIM_POISON_STATE  /* each visit once he has a state */
};

struct sim_world;
struct sim_worker;

/* Puts itself before the world's engine; one world at a time. */
void sim_poison_install(struct sim_world *world);
/* Whose turn it is, which poison ends; NULL = nobody's, as in a replay. Returns who it was. */
struct sim_worker *sim_poison_turn(struct sim_worker *worker);

#endif
