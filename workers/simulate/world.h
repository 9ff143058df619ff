/* The engine's surroundings without Kafka and Redis: the customers, their wake-ups and the credits on their way (R30).
 * One visit at a time, whoever says the clock: `simulate` by R83, a replay by the recorded steps.
 *
 * Customers touch each other by credits alone, and these come of events, at the clock of the event. So where nobody
 * looks at the order of the records, a customer's timers need not fire when the clock passes them: they fire, each at
 * its own time, when the next event or credit reaches him, or at the end. Each state is then visited once an event, not
 * once a timer. */
#ifndef ORIORI_WORKERS_SIMULATE_WORLD_H
#define ORIORI_WORKERS_SIMULATE_WORLD_H

#include "common/base/arena.h"
#include "common/engine/step.h"
#include "workers/simulate/customers.h"
#include "workers/simulate/hot.h"

struct world {
    struct step_world step;
    struct customers customers;
    struct hot_list hot;                                      /* whose states are open */
    bool in_turn;                                             /* customers one by one: records in no order of time */
    struct arena *arena;                                      /* of the caller, who resets it between calls */
    void (*emit)(void *context, const struct record *record); /* every record, in the order made */
    void *context;
    int64_t visit_count, changed_count; /* how much it did: visits, those that changed something */
    int64_t stored_count, stored_bytes; /* states that were encoded */
};

/* hot_size: bytes for open states; 0 = every visit decodes and encodes. The results are the same. */
void world_init(struct world *world, const struct step_world *step, size_t hot_size, struct arena *arena,
                void (*emit)(void *context, const struct record *record), void *context);
void world_release(struct world *world);

/* From now on, of a world that knows nobody yet: each customer's records are the same, in the same order, but those of
 * different customers come in no order of time. world_apply then resets the arena between visits, so that its event
 * must not lie there. */
void world_take_in_turn(struct world *world);

/* Applies the event at the clock `now`; the referrer's credit follows at once, at the same clock (R12). Timers due at
 * now stay for world_fire (R2). ret_unknown_zone: the event was applied and named a time zone that the database lacks.
 */
struct event_result world_apply(struct world *world, const struct event *event, int64_t now, bool *ret_unknown_zone);

/* He will be visited soon. Changes nothing. */
void world_expect(const struct world *world, struct span id);

/* Fires every timer due <= until in the order of R2, each at its own due time but not before clock. The arena is reset
 * after each customer. In turn, it is only for the end: whom an event reaches has fired what was due before. */
void world_fire(struct world *world, int64_t clock, int64_t until);

/* Closes every state that is open: customer_state is then everybody's. */
void world_close_states(struct world *world);

/* The customer as he stands at `now`, open or not. In the arena. */
struct customer_report world_report(const struct world *world, const struct customer *customer, int64_t now);

#endif
