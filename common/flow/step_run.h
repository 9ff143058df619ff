/* One step of one shard, without the outside world: the records of its ranges in lanes, merged into one order, grouped
 * by customer, each visited once by the engine. The worker (decide.c) and the replay of crm.steps (replay.c) both run
 * this, so that a replay cannot differ from the run but by a fault of the engine or of the log. */
#ifndef ORIORI_FLOW_STEP_RUN_H
#define ORIORI_FLOW_STEP_RUN_H

#include "common/codec/internal_records.h"
#include "common/engine/step.h"
#include "common/io/world.h"

struct control;
struct engine;
struct formats;

enum item_kind {
    ITEM_DEAD,   /* cannot be read: reason, field, message */
    ITEM_EVENT,  /* an event of a customer whose home is `home` */
    ITEM_CREDIT, /* the same, from a friend's step (R30) */
    ITEM_CONTROL /* for the shard itself */
};

struct item {
    enum item_kind kind;
    int64_t offset, timestamp;       /* of the record as it was read (a forward's, not its original's) */
    const struct original *original; /* what a dead letter shows */
    struct event event;
    int32_t home;
    bool away;              /* goes to crm.forward[home]: not part of this step */
    bool several;           /* one of several of its record; they follow each other in the lane */
    struct forward forward; /* ITEM_CONTROL; ITEM_CREDIT */
    enum reason reason;
    const char *field;
    struct span message;
};

/* A partition's records in order, an item for each event of a record; rank = topic rank, crm.forward last. */
struct lane {
    int rank;
    int32_t partition;
    struct item *items; /* in the arena; moves when the lane grows */
    size_t count, capacity;
};

struct customer_visit {
    struct span customer_id;
    struct span state; /* before; filled by the caller between step_run_group and step_run_decide */
    struct event *events;
    const struct item **items; /* one per event */
    size_t event_count;
    bool due;        /* the wake index named him */
    bool timer_only; /* due, and no record of his is in the step */
    bool quarantine; /* from this step on; the engine is not asked */
    bool release;    /* a record of the step ends his quarantine, for all of the step */
    struct visit_result result;
};

struct step_run {
    struct item **order; /* all items of the lanes, merged */
    size_t item_count;
    struct customer_visit *visits; /* customers with records in the order of their first, then those for timers */
    size_t visit_count, visit_capacity;
    size_t send_count; /* decided: sends of all visits */
    uint32_t *slots;   /* hash table: index + 1 into visits */
    size_t slot_count;
};

/* Merges by (record timestamp of the lanes' heads, rank, partition). */
void step_run_merge(struct step_run *run, struct arena *arena, const struct lane *lanes, size_t lane_count);
/* The visits of the merged items that are not away, not dead, and at home. timer_max more may be added. */
void step_run_group(struct step_run *run, struct arena *arena, size_t timer_max);
/* NULL: none, or left out by step_run_decide. */
struct customer_visit *step_run_find(const struct step_run *run, struct span customer_id);
/* A visit for timers only; a customer who is visited already is only marked due. */
void step_run_add_timer(struct step_run *run, struct span customer_id, struct span state);
/* What control items say, over what stood before; the latest tick wins. */
void step_run_control(const struct step_run *run, struct arena *arena, const struct control *before,
                      struct control *ret_control);
enum { STEP_SENDS_ANY = -1 };
/* Every visit through the engine, until sends_max sends were made: then those for timers alone are left out, and
 * visit_count says how many there were. A replay knows them by name, and leaves out none (STEP_SENDS_ANY). False: a
 * stored blob is unreadable; *ret_customer is whose. */
bool step_run_decide(struct step_run *run, struct arena *arena, const struct engine *engine,
                     const struct step_world *world, const struct control *control, int64_t now, int64_t sends_max,
                     struct span *ret_customer);

/* ---- reading records into items (decode.c) ---- */

/* Adds a record of an input topic to the lane: an item for each of its events, one dead one when it cannot be read,
 * none when it says nothing. WORLD_AGAIN as formats.event_read; the lane is then of no use. */
enum world lane_read_input(const struct formats *formats, struct arena *arena, enum topic topic,
                           const struct original *original, int32_t shard_count, struct lane *lane);
/* The same for a record of crm.forward. Of several events only those whose home this is: the record was forwarded to
 * each of its homes. topics: the names of the inputs, by enum topic. */
enum world lane_read_forward(const struct formats *formats, struct arena *arena, const char *const *topics,
                             const struct original *record, int32_t shard_count, struct lane *lane);
/* Another blank item at the lane's end. */
struct item *lane_add(struct arena *arena, struct lane *lane);

#endif
