#include "common/base/buffer.h"

#include "common/base/check.h"

#include <stdarg.h>
#include <stdlib.h>

enum { BUFFER_FIRST_SIZE = 256 };

void buffer_grow(struct buffer *buffer, size_t size)
{
    CHECK(size < SIZE_MAX / 4 && buffer->size < SIZE_MAX / 4);
    size_t needed = buffer->size + size + 1;
    size_t capacity = buffer->capacity ? buffer->capacity : BUFFER_FIRST_SIZE;
    while (capacity < needed)
        capacity *= 2;
    buffer->data = realloc(buffer->data, capacity);
    CHECK(buffer->data != NULL);
    buffer->capacity = capacity;
}

void buffer_release(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

void buffer_reset(struct buffer *buffer)
{
    buffer->size = 0;
    if (buffer->data != NULL)
        buffer->data[0] = '\0';
}

static void pair_put(char *at, uint64_t pair)
{
    at[0] = (char)('0' + pair / 10);
    at[1] = (char)('0' + pair % 10);
}

void buffer_add_integer(struct buffer *buffer, int64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    for (; rest >= 100; rest /= 100) {
        at -= 2;
        pair_put(digits + at, rest % 100);
    }
    if (rest >= 10)
        pair_put(digits + (at -= 2), rest);
    else
        digits[--at] = (char)('0' + rest);
    if (value < 0)
        digits[--at] = '-';
    buffer_add(buffer, digits + at, sizeof digits - at);
}

void buffer_format(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    CHECK(size >= 0);
    char *room = buffer_extend(buffer, (size_t)size);
    va_start(arguments, format);
    vsnprintf(room, (size_t)size + 1, format, arguments);
    va_end(arguments);
}
