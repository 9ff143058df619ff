#include "common/base/hash.h"

#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <xxhash.h>

uint64_t hash_xxh64(struct span bytes)
{
    return XXH64(bytes.data ? bytes.data : "", bytes.size, 0);
}

/* The constants and the tail of Kafka's org.apache.kafka.common.utils.Utils.murmur2, kept in unsigned arithmetic. */
int32_t hash_murmur2(struct span bytes)
{
    const uint32_t m = 0x5bd1e995;
    const unsigned char *data = (const unsigned char *)bytes.data;
    uint32_t size = (uint32_t)bytes.size;
    uint32_t h = 0x9747b28c ^ size;
    uint32_t whole = size & ~3u;
    for (uint32_t i = 0; i < whole; i += 4) {
        uint32_t k =
            (uint32_t)data[i] | (uint32_t)data[i + 1] << 8 | (uint32_t)data[i + 2] << 16 | (uint32_t)data[i + 3] << 24;
        k *= m;
        k ^= k >> 24;
        k *= m;
        h *= m;
        h ^= k;
    }
    for (uint32_t left = size & 3u; left > 0; left--)
        h ^= (uint32_t)data[whole + left - 1] << (8 * (left - 1));
    if ((size & 3u) != 0)
        h *= m;
    h ^= h >> 13;
    h *= m;
    h ^= h >> 15;
    return (int32_t)h;
}

uint32_t hash_home_shard(struct span customer_id, uint32_t shard_count)
{
    return ((uint32_t)hash_murmur2(customer_id) & 0x7fffffffu) % shard_count;
}

void hash_sha1(const struct span *parts, size_t count, unsigned char ret_digest[20])
{
    struct sha1_ctx context;
    sha1_init(&context);
    for (size_t i = 0; i < count; i++)
        if (parts[i].size > 0) /* no NULL for the library */
            sha1_update(&context, parts[i].size, (const uint8_t *)parts[i].data);
    sha1_digest(&context, SHA1_DIGEST_SIZE, ret_digest);
}

uint32_t hash_share(struct span prefix, struct span rule, struct span customer_id)
{
    unsigned char digest[SHA1_DIGEST_SIZE];
    hash_sha1((const struct span[]){prefix, SPAN("\x1f"), rule, SPAN("\x1f"), customer_id}, 5, digest);
    uint64_t h = 0;
    for (int i = 0; i < 8; i++)
        h = h << 8 | digest[i];
    return (uint32_t)(h % 10000);
}

void hash_sha256(struct span bytes, unsigned char ret_digest[32])
{
    struct sha256_ctx context;
    sha256_init(&context);
    sha256_update(&context, bytes.size, (const uint8_t *)bytes.data);
    sha256_digest(&context, SHA256_DIGEST_SIZE, ret_digest);
}
