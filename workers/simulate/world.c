#include "workers/simulate/world.h"

#include "common/base/check.h"

void world_init(struct world *world, const struct step_world *step, struct arena *arena,
                void (*emit)(void *context, const struct record *record), void *context)
{
    *world = (struct world){.step = *step, .arena = arena, .emit = emit, .context = context};
    customers_init(&world->customers);
}

void world_release(struct world *world)
{
    customers_release(&world->customers);
}

static void keep(struct world *world, struct span id, struct customer *customer, const struct visit_result *result)
{
    if (customer == NULL && span_empty(result->state))
        return; /* still unknown: a refused or test event makes nobody known (R8, R13) */
    if (customer == NULL || result->changed)
        customers_store(&world->customers, id, result->state, result->wake_at);
    else
        customers_set_wake(&world->customers, customer, result->wake_at);
}

static struct visit_result visit(struct world *world, const struct visit *visit)
{
    struct visit_result result;
    struct customer *customer = customers_find(&world->customers, visit->customer_id);
    struct visit with_state = *visit;
    if (customer !=
        NULL) /* a copy, because results may borrow from the blob, which is replaced before the credits go out */
        with_state.state = arena_copy(world->arena, customer_state(customer));
    CHECK(step_visit(&world->step, world->arena, &with_state, &result)); /* we store only what it gave us */
    world->visit_count++;
    world->stored_count += result.changed;
    world->stored_bytes += result.changed ? (int64_t)result.state.size : 0;
    for (const struct record *record = result.records; record != NULL; record = record->next)
        world->emit(world->context, record);
    keep(world, visit->customer_id, customer, &result);
    for (const struct credit_out *credit = result.credits; credit != NULL; credit = credit->next) {
        bool unknown_zone;
        world_apply(world, &credit->event, visit->now, &unknown_zone);
    }
    return result;
}

struct event_result world_apply(struct world *world, const struct event *event, int64_t now, bool *ret_unknown_zone)
{
    struct visit_result result =
        visit(world, &(struct visit){.customer_id = event->customer_id, .events = event, .event_count = 1, .now = now});
    *ret_unknown_zone = result.unknown_time_zone_count != 0;
    return result.results[0];
}

void world_fire(struct world *world, int64_t clock, int64_t until)
{
    struct customer *customer;
    while ((customer = customers_first(&world->customers)) != NULL && customer_wake_at(customer) <= until) {
        int64_t due = customer_wake_at(customer);
        int64_t now = due > clock ? due : clock;
        struct span id = arena_copy(world->arena, customer_id(customer)); /* the customer may move */
        struct visit_result result = visit(world, &(struct visit){.customer_id = id, .now = now, .fire_now = true});
        CHECK(result.wake_at == NEVER || result.wake_at > now); /* else this loop would never end */
        clock = now;
        arena_reset(world->arena);
    }
}
