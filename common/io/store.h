/* The store seam: all that the flow asks of Redis, which is only a view (DESIGN.md 4). Behind it: store_redis
 * (hiredis), store_memory (tests).
 *
 * A shard is a set of states by customer id, an index of wake-ups, a history of decisions by customer id, and one meta.
 * Every call on a shard is atomic for
 * that shard and never half done. Any I/O error is WORLD_RECOVER: the connection is dropped, the outcome unknown. Spans
 * that come out are in the arena passed; spans that go in are borrowed for the call. */
#ifndef ORIORI_IO_STORE_H
#define ORIORI_IO_STORE_H

#include "common/base/arena.h"
#include "common/base/span.h"
#include "common/base/timestamp.h"
#include "common/io/world.h"

#include <stdint.h>

#define STORE_POS_NONE INT64_C(-1)

/* How far the histories have come. */
struct store_place {
    int64_t next; /* offset of crm.decisions[h] not yet in them; STORE_POS_NONE = nothing was ever read */
    int64_t seq;  /* after this transaction of the shard they were whole */
    int64_t max;  /* entries kept of a customer since they were begun; a shorter history is all there was */
};

/* crm:{h}:meta. */
struct store_meta {
    struct span epoch;    /* who may write: a random token and the group generation; "" = nobody yet, or wiped */
    struct span owner;    /* that worker's transactional id */
    struct span identity; /* application id, S and cluster id in one text: must equal ours, or another shop's Redis */
    int64_t pos;          /* next offset of crm.state[h] not yet in the view; STORE_POS_NONE = no view at all */
    int64_t seq;          /* of the last whole transaction in the view; 0 with STORE_POS_NONE */
    struct span last;     /* value of the last `__meta` record in the view, as it lies in crm.state; "" = none */
    struct store_place place;
};

/* One shard's load. due: customers whose wake-up is < due_before, earliest (then bytewise) first, at most due_max. */
struct store_load {
    int32_t shard;
    const struct span *ids;
    size_t id_count;
    int64_t due_before; /* UTC ms */
    size_t due_max;
    /* answers */
    struct span *states; /* one per id; empty = not known */
    struct span *due_ids;
    struct span *due_states;
    size_t due_count;
    int64_t next_wake_at; /* earliest wake-up in the index that is not among due_ids; NEVER = none */
    struct span epoch;    /* of the same instant as the states: the caller compares all three */
    int64_t pos;
    int64_t seq;
};

struct store_write {
    struct span customer_id;
    struct span state;
    int64_t wake_at; /* NEVER = out of the index */
};

/* A decision on its way into its customer's history. */
struct store_entry {
    struct span customer_id;
    int64_t seq;       /* the record's (R85): an entry no newer than the newest that is there is passed over */
    struct span value; /* as it lies in crm.decisions; empty = his history goes (R31) */
};

/* One shard's apply: all or nothing, only if the meta's epoch, pos and place are the ones named. */
struct store_apply {
    int32_t shard;
    struct span epoch;
    int64_t pos_expected;             /* STORE_POS_NONE: the first portion of a rebuild, or a birth */
    int64_t pos;                      /* afterwards */
    int64_t seq;                      /* afterwards */
    struct span last;                 /* afterwards; empty = unchanged (a portion of a rebuild without a `__meta`) */
    const struct store_write *writes; /* several of one customer: the last counts */
    size_t write_count;
    const struct store_entry *entries; /* each customer's in the order of seq */
    size_t entry_count;
    size_t entries_kept;                      /* of a customer: the newest so many */
    const struct store_place *place;          /* afterwards; NULL = unchanged */
    const struct store_place *place_expected; /* NULL: any. It moves also where pos does not */
    /* answer */
    bool applied; /* false: epoch, pos or place differ, nothing was written */
};

struct store_calls {
    /* Takes the shard: writes epoch, owner and, where there is none, identity; *ret_before is the meta as it was. When
     * the identity there is another one nothing is written (the caller compares). */
    enum world (*take)(void *context, int32_t shard, struct span epoch, struct span owner, struct span identity,
                       struct arena *arena, struct store_meta *ret_before);
    enum world (*meta)(void *context, int32_t shard, struct arena *arena, struct store_meta *ret_meta);
    /* One round trip for all shards. Where an implementation must split a shard into chunks, each chunk's epoch, pos
     * and seq are compared with the first's; a difference is WORLD_RECOVER. *ret_server_ms = the server's wall clock.
     */
    enum world (*load)(void *context, struct store_load *loads, size_t count, struct arena *arena,
                       int64_t *ret_server_ms);
    /* One round trip for all shards. A chunked implementation writes pos, seq and last with the last chunk only. */
    enum world (*apply)(void *context, struct store_apply *applies, size_t count);
    /* Forgets a shard's view whole (states, index, histories, meta): only by `oriori shard rebuild`, never by the flow
     * itself. */
    enum world (*drop)(void *context, int32_t shard);
    /* One customer, for people: empty = not known. */
    enum world (*customer)(void *context, int32_t shard, struct span customer_id, struct arena *arena,
                           struct span *ret_state);
    /* The newest of his decisions that are kept, at most max of them, oldest first: for people. */
    enum world (*history)(void *context, int32_t shard, struct span customer_id, size_t max, struct arena *arena,
                          struct span **ret_values, size_t *ret_count);
    /* A short text beside the view, by shard and name; empty = none. For what may be lost without harm: it may be old,
     * and it expires after some days. Written empty, it is removed. */
    enum world (*note_read)(void *context, int32_t shard, struct span name, struct arena *arena, struct span *ret_text);
    enum world (*note_write)(void *context, int32_t shard, struct span name, struct span text);
    /* May it be trusted? WORLD_STOP with error_text when its maxmemory-policy is not noeviction. */
    enum world (*check)(void *context);
    const char *(*error_text)(void *context); /* as in log.h */
    void (*close)(void *context);
};

struct store {
    const struct store_calls *calls;
    void *context;
};

WORLD_MUST_USE static inline enum world store_take(struct store *store, int32_t shard, struct span epoch,
                                                   struct span owner, struct span identity, struct arena *arena,
                                                   struct store_meta *ret_before)
{
    return store->calls->take(store->context, shard, epoch, owner, identity, arena, ret_before);
}

WORLD_MUST_USE static inline enum world store_read_meta(struct store *store, int32_t shard, struct arena *arena,
                                                        struct store_meta *ret_meta)
{
    return store->calls->meta(store->context, shard, arena, ret_meta);
}

WORLD_MUST_USE static inline enum world store_load(struct store *store, struct store_load *loads, size_t count,
                                                   struct arena *arena, int64_t *ret_server_ms)
{
    return store->calls->load(store->context, loads, count, arena, ret_server_ms);
}

WORLD_MUST_USE static inline enum world store_apply(struct store *store, struct store_apply *applies, size_t count)
{
    return store->calls->apply(store->context, applies, count);
}

WORLD_MUST_USE static inline enum world store_drop(struct store *store, int32_t shard)
{
    return store->calls->drop(store->context, shard);
}

WORLD_MUST_USE static inline enum world store_customer(struct store *store, int32_t shard, struct span customer_id,
                                                       struct arena *arena, struct span *ret_state)
{
    return store->calls->customer(store->context, shard, customer_id, arena, ret_state);
}

WORLD_MUST_USE static inline enum world store_history(struct store *store, int32_t shard, struct span customer_id,
                                                      size_t max, struct arena *arena, struct span **ret_values,
                                                      size_t *ret_count)
{
    return store->calls->history(store->context, shard, customer_id, max, arena, ret_values, ret_count);
}

WORLD_MUST_USE static inline enum world store_note_read(struct store *store, int32_t shard, struct span name,
                                                        struct arena *arena, struct span *ret_text)
{
    return store->calls->note_read(store->context, shard, name, arena, ret_text);
}

WORLD_MUST_USE static inline enum world store_note_write(struct store *store, int32_t shard, struct span name,
                                                         struct span text)
{
    return store->calls->note_write(store->context, shard, name, text);
}

WORLD_MUST_USE static inline enum world store_check(struct store *store)
{
    return store->calls->check(store->context);
}

static inline const char *store_error_text(struct store *store)
{
    return store->calls->error_text(store->context);
}

static inline void store_close(struct store *store)
{
    if (store->context)
        store->calls->close(store->context);
    store->context = NULL;
}

#endif
