#include "common/base/buffer.h"

#include "common/base/check.h"

#include <stdarg.h>
#include <stdlib.h>

enum { BUFFER_FIRST_SIZE = 256 };

static void reserve(struct buffer *buffer, size_t more)
{
    CHECK(more < SIZE_MAX / 4 && buffer->size < SIZE_MAX / 4);
    size_t needed = buffer->size + more + 1;
    if (needed <= buffer->capacity)
        return;
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

char *buffer_extend(struct buffer *buffer, size_t size)
{
    reserve(buffer, size);
    char *room = buffer->data + buffer->size;
    buffer->size += size;
    buffer->data[buffer->size] = '\0';
    return room;
}

void buffer_add(struct buffer *buffer, const void *data, size_t size)
{
    char *room = buffer_extend(buffer, size);
    if (size != 0)
        memcpy(room, data, size);
}

void buffer_add_span(struct buffer *buffer, struct span bytes)
{
    buffer_add(buffer, bytes.data, bytes.size);
}

void buffer_add_text(struct buffer *buffer, const char *text)
{
    buffer_add(buffer, text, strlen(text));
}

void buffer_add_char(struct buffer *buffer, char c)
{
    *buffer_extend(buffer, 1) = c;
}

void buffer_add_integer(struct buffer *buffer, int64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (value < 0)
        buffer_add_char(buffer, '-');
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
