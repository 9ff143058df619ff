#include "workers/simulate/world.h"

#include "common/base/check.h"

void world_init(struct world *world, const struct step_world *step, size_t hot_size, struct arena *arena,
                void (*emit)(void *context, const struct record *record), void *context)
{
    *world = (struct world){.step = *step, .arena = arena, .emit = emit, .context = context};
    hot_init(&world->hot, hot_size);
    customers_init(&world->customers);
}

void world_take_in_turn(struct world *world)
{
    world->in_turn = world->customers.no_heap = true;
}

void world_release(struct world *world)
{
    hot_release(&world->hot);
    customers_release(&world->customers);
}

/* ---- open states ---- */

static void store(struct world *world, struct span id, struct span state, int64_t wake_at)
{
    world->stored_count++;
    world->stored_bytes += (int64_t)state.size;
    customers_store(&world->customers, id, state, wake_at);
}

static void close_open(struct world *world, struct hot *hot)
{
    struct span id = arena_copy(world->arena, customer_id(hot->customer)); /* the customer may move */
    store(world, id, step_close(&world->step, world->arena, hot_state(hot)), customer_wake_at(hot->customer));
    hot_free(&world->hot, hot);
}

void world_close_states(struct world *world)
{
    for (struct hot *hot; (hot = hot_oldest(&world->hot)) != NULL;) {
        close_open(world, hot);
        arena_reset(world->arena);
    }
}

struct customer_report world_report(const struct world *world, const struct customer *customer, int64_t now)
{
    struct customer_report report;
    struct hot *hot = customer_hot(customer);
    if (hot != NULL)
        return step_report_open(&world->step, world->arena, hot_state(hot), now);
    CHECK(step_report(&world->step, world->arena, customer_id(customer), customer_state(customer), now, &report));
    return report;
}

/* The visited customer's block from now on. */
static void keep_open(struct world *world, struct hot *hot, int64_t wake_at)
{
    struct hot *home = hot_settle(&world->hot, hot);
    if (home != hot)
        customer_set_hot(home->customer, home);
    customers_set_wake(&world->customers, home->customer, wake_at);
    hot_let_go(&world->hot, home);
    for (struct hot *oldest; world->hot.size > world->hot.size_max && (oldest = hot_oldest(&world->hot)) != NULL;)
        close_open(world, oldest);
}

static void open_new(struct world *world, struct span id, const struct open_state *state, int64_t wake_at)
{
    struct hot *hot = hot_new(&world->hot, state, NULL);
    hot->customer = customers_open(&world->customers, id, hot, wake_at);
    keep_open(world, hot, wake_at);
}

static void expect(const struct customer *customer)
{
    struct hot *hot = customer != NULL ? customer_hot(customer) : NULL;
    if (hot != NULL)
        hot_expect(hot);
}

void world_expect(const struct world *world, struct span id)
{
    if (!world->in_turn) /* else nothing comes before his event, and he is looked for once */
        expect(customers_find(&world->customers, id));
}

/* ---- visits ---- */

static void emit_records(struct world *world, const struct visit *visit, const struct visit_result *result)
{
    int64_t visits =
        (int64_t)result->fired_in_turn + (!result->unfinished && (visit->event_count > 0 || !visit->in_turn));
    world->visit_count += visits;
    world->changed_count += result->changed ? visits : 0;
    for (const struct record *record = result->records; record != NULL; record = record->next)
        world->emit(world->context, record);
}

static struct event_result apply(struct world *world, const struct event *event, int64_t now, bool alone,
                                 bool *ret_unknown_zone);

/* At the same clock (R12). */
static void apply_credits(struct world *world, const struct visit_result *result, int64_t now)
{
    for (const struct credit_out *credit = result->credits; credit != NULL; credit = credit->next) {
        bool unknown_zone;
        apply(world, &credit->event, now, false, &unknown_zone);
    }
}

/* Every visit decodes the state and encodes it again. */
static struct visit_result visit_stored(struct world *world, struct customer *customer, const struct visit *visit)
{
    struct visit_result result;
    struct visit with_state = *visit;
    if (customer !=
        NULL) /* a copy, because results may borrow from the blob, which is replaced before the credits go out */
        with_state.state = arena_copy(world->arena, customer_state(customer));
    CHECK(step_visit(&world->step, world->arena, &with_state, &result)); /* we store only what it gave us */
    emit_records(world, visit, &result);
    if (result.changed)
        store(world, visit->customer_id, result.state, result.wake_at);
    else if (customer != NULL)
        customers_set_wake(&world->customers, customer, result.wake_at);
    apply_credits(world, &result, visit->now);
    return result;
}

/* Results borrow from the open state until the credits are out. */
static struct visit_result visit_hot(struct world *world, struct customer *customer, const struct visit *visit)
{
    struct visit_result result;
    struct hot *hot = customer != NULL ? customer_hot(customer) : NULL;
    struct open_state *state;
    if (hot != NULL) {
        hot_hold(&world->hot, hot);
        state = hot_state(hot);
    } else {
        struct span blob = customer != NULL ? arena_copy(world->arena, customer_state(customer)) : SPAN_NONE;
        state = step_open(&world->step, world->arena, blob);
        CHECK(state != NULL); /* we store only what it gave us */
    }
    step_visit_open(&world->step, world->arena, visit, state, &result);
    emit_records(world, visit, &result);
    apply_credits(world, &result, visit->now);
    if (hot != NULL)
        keep_open(world, hot, result.wake_at);
    else if (customer != NULL || result.changed)
        open_new(world, visit->customer_id, state, result.wake_at);
    /* else still unknown: a refused or test event makes nobody known (R8, R13) */
    return result;
}

/* customer: NULL, of whom nothing is known. */
static struct visit_result visit(struct world *world, struct customer *customer, const struct visit *visit)
{
    return world->hot.size_max > 0 ? visit_hot(world, customer, visit) : visit_stored(world, customer, visit);
}

/* The customer may move. */
static void fire(struct world *world, struct customer *customer, int64_t now)
{
    struct span id = arena_copy(world->arena, customer_id(customer));
    const struct visit at_now = {.customer_id = id, .now = now, .fire_now = true, .in_turn = world->in_turn};
    struct visit_result result = visit(world, customer, &at_now);
    CHECK(result.unfinished || result.wake_at == NEVER ||
          result.wake_at > now); /* else who fires until nothing is due would never end */
}

/* alone: nothing that lies in the arena is needed any more; not so for a credit, which lies there, as does the visit that
 * it comes of. */
static struct event_result apply(struct world *world, const struct event *event, int64_t now, bool alone,
                                 bool *ret_unknown_zone)
{
    struct customer *customer = customers_find(&world->customers, event->customer_id);
    if (world->in_turn)
        expect(customer);
    const struct visit at_now = {
        .customer_id = event->customer_id, .events = event, .event_count = 1, .now = now, .in_turn = world->in_turn};
    struct visit_result result = visit(world, customer, &at_now);
    while (result.unfinished) {
        if (alone)
            arena_reset(world->arena);
        result = visit(world, customers_find(&world->customers, event->customer_id), &at_now);
    }
    /* what was due before fired before or in this step: it must not go back behind this event (R2) */
    CHECK(!world->in_turn || result.wake_at == NEVER || result.wake_at >= now);
    *ret_unknown_zone = result.unknown_time_zone_count != 0;
    return result.results[0];
}

struct event_result world_apply(struct world *world, const struct event *event, int64_t now, bool *ret_unknown_zone)
{
    return apply(world, event, now, true, ret_unknown_zone);
}

static bool due_by(const struct customer *customer, int64_t until)
{
    int64_t due = customer_wake_at(customer);
    return due != NEVER && due <= until;
}

static void fire_in_turn(struct world *world, int64_t until)
{
    for (size_t i = 0; i < world->customers.count; i++) {
        if (i + 1 < world->customers.count)
            expect(customers_at(&world->customers, i + 1));
        for (struct customer *customer; due_by(customer = customers_at(&world->customers, i), until);) {
            fire(world, customer, until);
            arena_reset(world->arena);
        }
    }
}

void world_fire(struct world *world, int64_t clock, int64_t until)
{
    struct customer *customer;
    if (world->in_turn)
        fire_in_turn(world, until);
    while ((customer = customers_first(&world->customers)) != NULL && customer_wake_at(customer) <= until) {
        int64_t due = customer_wake_at(customer);
        int64_t now = due > clock ? due : clock;
        expect(customers_second(&world->customers));
        fire(world, customer, now);
        clock = now;
        arena_reset(world->arena);
    }
}
