#include "common/base/base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_add(struct buffer *buffer, struct span bytes)
{
    char *out = buffer_extend(buffer, (bytes.size + 2) / 3 * 4);
    const unsigned char *in = (const unsigned char *)bytes.data;
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t group = (uint32_t)in[i] << 16;
        group |= left > 1 ? (uint32_t)in[i + 1] << 8 : 0;
        group |= left > 2 ? in[i + 2] : 0;
        *out++ = alphabet[group >> 18];
        *out++ = alphabet[group >> 12 & 63];
        *out++ = left > 1 ? alphabet[group >> 6 & 63] : '=';
        *out++ = left > 2 ? alphabet[group & 63] : '=';
    }
}

/* 0..63; -1 = none of the alphabet. */
static int sextet(char c)
{
    const char *at = c ? memchr(alphabet, c, sizeof(alphabet) - 1) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

bool base64_read(struct span text, struct arena *arena, struct span *ret_bytes)
{
    size_t padding = 0;
    if (text.size % 4 != 0)
        return false;
    while (padding < 2 && padding < text.size && text.data[text.size - 1 - padding] == '=')
        padding++;
    unsigned char *bytes = arena_take(arena, text.size / 4 * 3 + 1);
    size_t count = 0;
    uint32_t group = 0;
    for (size_t i = 0; i < text.size; i++) {
        bool pad = i >= text.size - padding;
        int value = pad ? 0 : sextet(text.data[i]);
        if (value < 0)
            return false;
        group = group << 6 | (uint32_t)value;
        if (i % 4 != 3)
            continue;
        bytes[count++] = (unsigned char)(group >> 16);
        bytes[count++] = (unsigned char)(group >> 8);
        bytes[count++] = (unsigned char)group;
        group = 0;
    }
    *ret_bytes = (struct span){(const char *)bytes, count - padding};
    return true;
}
