#include "tests/sim/poison.h"

#include "tests/sim/world.h"

#include <stdio.h>

static struct sim_worker *turning;
static struct engine engine_behind;

static bool is_poison(const struct sim_world *world, const struct visit *visit)
{
    char customer[16];
    snprintf(customer, sizeof(customer), "c%d", world->config.poison_customer);
    return !span_empty(visit->state) && span_equal(visit->customer_id, span_of(customer)) &&
           (world->config.poison == SIM_POISON_STATE || visit->event_count == 0);
}

static bool poison_visit(const struct step_world *step_world, struct arena *arena, const struct visit *visit,
                         struct visit_result *ret_result)
{
    if (turning && !turning->faults.dead && is_poison(turning->world, visit)) {
        turning->faults.dead = true;
        if (turning->world->done)
            turning->world->done(turning->world->fault_context, turning, "engine.visit", FAULT_DIE_AFTER, WORLD_STOP);
    }
    return engine_behind.visit(step_world, arena, visit, ret_result);
}

void sim_poison_install(struct sim_world *world)
{
    engine_behind = world->flow.engine;
    world->flow.engine.visit = poison_visit;
}

struct sim_worker *sim_poison_turn(struct sim_worker *worker)
{
    struct sim_worker *before = turning;
    turning = worker && worker->world->config.poison != SIM_POISON_NONE ? worker : NULL;
    return before;
}
