#include "common/base/hash.h"

#include "common/base/sha1.h"

#include <endian.h>
#include <sha1.h>
#include <sha2.h>
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

enum { SHA1_TAIL = 9, SHA1_AT_ONCE = 256 }; /* TAIL: a byte 0x80 and the length in bits */

static void sha1_long(const struct span *parts, size_t count, unsigned char ret_digest[20])
{
    SHA1_CTX context;
    SHA1Init(&context);
    for (size_t i = 0; i < count; i++)
        SHA1Update(&context, (const unsigned char *)parts[i].data, parts[i].size);
    SHA1Final(ret_digest, &context);
}

/* libmd pads byte by byte, which takes longer than the hash itself; short texts are padded here. */
void hash_sha1(const struct span *parts, size_t count, unsigned char ret_digest[20])
{
    unsigned char blocks[SHA1_AT_ONCE];
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += parts[i].size;
    if (size + SHA1_TAIL > sizeof blocks) {
        sha1_long(parts, count, ret_digest);
        return;
    }
    size_t whole = (size + SHA1_TAIL + SHA1_BLOCK_SIZE - 1) / SHA1_BLOCK_SIZE * SHA1_BLOCK_SIZE, at = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].size > 0)
            memcpy(blocks + at, parts[i].data, parts[i].size);
        at += parts[i].size;
    }
    memset(blocks + size, 0, whole - size);
    blocks[size] = 0x80;
    uint64_t bits = htobe64((uint64_t)size * 8);
    memcpy(blocks + whole - sizeof bits, &bits, sizeof bits);
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}; /* FIPS 180-4 */
    for (at = 0; at < whole; at += SHA1_BLOCK_SIZE)
        sha1_block(state, blocks + at);
    for (size_t i = 0; i < 5; i++) {
        uint32_t word = htobe32(state[i]);
        memcpy(ret_digest + i * sizeof word, &word, sizeof word);
    }
}

uint32_t hash_share(struct span prefix, struct span rule, struct span customer_id)
{
    unsigned char digest[SHA1_DIGEST_LENGTH];
    hash_sha1((const struct span[]){prefix, SPAN("\x1f"), rule, SPAN("\x1f"), customer_id}, 5, digest);
    uint64_t h = 0;
    for (int i = 0; i < 8; i++)
        h = h << 8 | digest[i];
    return (uint32_t)(h % 10000);
}

void hash_sha256(struct span bytes, unsigned char ret_digest[32])
{
    SHA2_CTX context;
    SHA256Init(&context);
    SHA256Update(&context, (const unsigned char *)bytes.data, bytes.size);
    SHA256Final(ret_digest, &context);
}
