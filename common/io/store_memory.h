/* An in-memory Redis for tests: scripts are atomic, replies come at once. What goes wrong is done to it from outside:
 * a wipe, a fail-over that loses the last writes (memory_server_mark, then memory_server_fall_back), keys that vanish
 * one by one, a script that runs long after its client gave up waiting, failing calls (fault.h). Shared by all workers
 * of one thread. Due customers are found by looking at all of a shard's: small tests.
 */
#ifndef ORIORI_IO_STORE_MEMORY_H
#define ORIORI_IO_STORE_MEMORY_H

#include "common/io/clock.h"
#include "common/io/store.h"

struct memory_server;

struct memory_server *memory_server_new(int32_t shard_count, const struct clock *clock); /* borrows the clock */
void memory_server_free(struct memory_server *server);
struct store store_memory_open(struct memory_server *server);

void memory_server_wipe(struct memory_server *server);
void memory_server_wipe_shard(struct memory_server *server, int32_t shard);
void memory_server_mark(struct memory_server *server);      /* what a replica has */
void memory_server_fall_back(struct memory_server *server); /* the replica takes over: back to the mark (or empty) */
/* One key vanishes (`maxmemory-policy`, or a hand): a shard's meta, whose loss every load sees; one customer's state or
 * a shard's index of wake-ups, whose loss nobody can see. */
void memory_server_evict_meta(struct memory_server *server, int32_t shard);
bool memory_server_evict_customer(struct memory_server *server, int32_t shard, size_t index); /* false: no such */
void memory_server_evict_wakes(struct memory_server *server, int32_t shard);
/* The next take or apply is read by the server only so many of such calls later, when its client has long heard of a
 * timeout (WORLD_RECOVER) and goes on by another connection. */
void memory_server_delay(struct memory_server *server, int calls);
uint64_t memory_server_late(const struct memory_server *server); /* how many were done late, and changed something */
void memory_server_set_evicting(struct memory_server *server, bool evicting); /* maxmemory-policy is not noeviction */

/* For auditors: the index-th customer of a shard, in no order; false: no more. */
bool memory_server_customer(const struct memory_server *server, int32_t shard, size_t index, struct span *ret_id,
                            struct span *ret_state, int64_t *ret_wake_at);
void memory_server_meta(const struct memory_server *server, int32_t shard, struct store_meta *ret_meta); /* borrowed */

#endif
