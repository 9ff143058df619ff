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
void buffer_add(struct buffer *buffer, const void *data, size_t size);
void buffer_add_span(struct buffer *buffer, struct span bytes);
void buffer_add_text(struct buffer *buffer, const char *text);
void buffer_add_char(struct buffer *buffer, char c);
void buffer_add_integer(struct buffer *buffer, int64_t value); /* decimal */
__attribute__((format(printf, 2, 3))) void buffer_format(struct buffer *buffer, const char *format, ...);
char *buffer_extend(struct buffer *buffer, size_t size); /* size more bytes, uninitialised; borrowed until the next call */

static inline struct span buffer_span(const struct buffer *buffer)
{
    return (struct span){buffer->data, buffer->size};
}

#endif
