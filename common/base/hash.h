/* The hashes that rulings and formats name. All are of bytes, all are pure. */
#ifndef ORIORI_BASE_HASH_H
#define ORIORI_BASE_HASH_H

#include "common/base/span.h"

#include <stdint.h>

/* XXH64 with seed 0: the order of ids and what the state keeps of them (RULINGS.md, head). */
uint64_t hash_xxh64(struct span bytes);

/* murmur2 as Kafka's Java client computes it (signed 32 bits). */
int32_t hash_murmur2(struct span bytes);

/* The customer's home shard: (murmur2 & 0x7fffffff) % shard_count (DESIGN.md 2). */
uint32_t hash_home_shard(struct span customer_id, uint32_t shard_count);

/* R72: the first 8 bytes, big-endian, of SHA-1 over prefix 0x1F rule 0x1F customer_id, mod 10000. */
uint32_t hash_share(struct span prefix, struct span rule, struct span customer_id);

/* SHA-1 of the parts, one after the other. */
void hash_sha1(const struct span *parts, size_t count, unsigned char ret_digest[20]);

/* SHA-256, 32 bytes out: playbook hashes, truncated dead letters. */
void hash_sha256(struct span bytes, unsigned char ret_digest[32]);

#endif
