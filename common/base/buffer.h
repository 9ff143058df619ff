/* A growable run of bytes that somebody builds: one text line, one Avro datum. buffer_reset keeps the memory. The bytes
 * are always followed by a NUL that size does not count. Running out of memory is a CHECK. */
#ifndef ORIORI_BASE_BUFFER_H
#define ORIORI_BASE_BUFFER_H

#include "common/base/span.h"

#include <stdint.h>

struct buffer {
    char *data;
    size_t size;
    size_t capacity;
};

void buffer_release(struct buffer *buffer);
void buffer_reset(struct buffer *buffer);
void buffer_grow(struct buffer *buffer, size_t size); /* room for size more bytes; for buffer_extend */
void buffer_add_integer(struct buffer *buffer, int64_t value); /* decimal */
__attribute__((format(printf, 2, 3))) void buffer_format(struct buffer *buffer, const char *format, ...);

/* size more bytes, uninitialised; borrowed until the next call */
static inline char *buffer_extend(struct buffer *buffer, size_t size)
{
    if (size >= buffer->capacity - buffer->size)
        buffer_grow(buffer, size);
    char *room = buffer->data + buffer->size;
    buffer->size += size;
    buffer->data[buffer->size] = '\0';
    return room;
}

static inline void buffer_add(struct buffer *buffer, const void *data, size_t size)
{
    char *room = buffer_extend(buffer, size);
    if (size != 0)
        memcpy(room, data, size);
}

static inline void buffer_add_span(struct buffer *buffer, struct span bytes)
{
    buffer_add(buffer, bytes.data, bytes.size);
}

static inline void buffer_add_text(struct buffer *buffer, const char *text)
{
    buffer_add(buffer, text, strlen(text));
}

static inline void buffer_add_char(struct buffer *buffer, char c)
{
    *buffer_extend(buffer, 1) = c;
}

static inline struct span buffer_span(const struct buffer *buffer)
{
    return (struct span){buffer->data, buffer->size};
}

#endif
