/* `oriori shard adopt`: a born shard whose committed offsets are gone (expired while the workers were off, or reset by
 * a tool) gets them back from the last `__meta` of crm.state, in one transaction. */
#ifndef ORIORI_WORKERS_SHARD_ADOPT_H
#define ORIORI_WORKERS_SHARD_ADOPT_H

#include "common/io/config.h"

/* Says on standard output what it did, on standard error why it did nothing (false): the group has live members, the
 * offsets are there, the shard was never born, or Kafka does not answer. */
bool shard_adopt(struct config *config, int32_t shard);

#endif
