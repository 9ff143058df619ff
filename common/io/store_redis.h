/* The store seam (store.h) on a real Redis, by hiredis. Keys carry the shard as hash tag, so a shard lies on one node
 * and a script is atomic for it:
 *
 *     crm:{7}:c:<customer id>   the state blob
 *     crm:{7}:wake              sorted set: customer id by wake-up time, UTC ms
 *     crm:{7}:meta              hash: epoch, owner, identity, pos, seq, last
 */
#ifndef ORIORI_IO_STORE_REDIS_H
#define ORIORI_IO_STORE_REDIS_H

#include "common/base/buffer.h"
#include "common/io/config.h"
#include "common/io/store.h"

/* Does not connect yet. Not DONE: WORLD_STOP, *error is a sentence. The config is borrowed for the handle's life. */
WORLD_MUST_USE enum world store_redis_open(const struct config *config, struct store *ret_store, struct buffer *error);

#endif
