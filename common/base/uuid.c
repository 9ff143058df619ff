#include "common/base/uuid.h"

#include "common/base/hash.h"

#include <nettle/sha1.h>

const struct uuid uuid_action_namespace = {
    {0x15, 0x93, 0x59, 0x22, 0x06, 0x91, 0x58, 0x1b, 0x98, 0xac, 0x4c, 0x1d, 0x9e, 0xe2, 0x43, 0xc1}};

struct uuid uuid_v5(const struct uuid *name_space, struct span name)
{
    unsigned char digest[SHA1_DIGEST_SIZE];
    struct span space = {(const char *)name_space->bytes, sizeof name_space->bytes};
    hash_sha1((const struct span[]){space, name}, 2, digest);
    struct uuid uuid;
    memcpy(uuid.bytes, digest, sizeof uuid.bytes);
    uuid.bytes[6] = (unsigned char)((uuid.bytes[6] & 0x0f) | 0x50);
    uuid.bytes[8] = (unsigned char)((uuid.bytes[8] & 0x3f) | 0x80);
    return uuid;
}

void uuid_text(const struct uuid *uuid, char ret_text[UUID_TEXT_SIZE + 1])
{
    static const char hex[] = "0123456789abcdef";
    char *at = ret_text;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = hex[uuid->bytes[i] >> 4];
        *at++ = hex[uuid->bytes[i] & 15];
    }
    *at = '\0';
}
