/* The primitives of Avro's binary encoding, both ways, and the wire header in front of every datum: a zero byte and the
 * schema's id, 4 bytes big-endian (the form that Confluent's serializers use).
 *
 * Reading trusts nothing: a cursor knows its end, a length must fit what is left, and the first fault makes the cursor
 * bad for good (reads then give 0 and ""), so that a decoder may check once at its end. Spans read borrow from the
 * input. */
#ifndef ORIORI_CODEC_AVRO_BINARY_H
#define ORIORI_CODEC_AVRO_BINARY_H

#include "common/base/buffer.h"
#include "common/base/span.h"

#include <endian.h>
#include <stdint.h>

enum { WIRE_HEADER_SIZE = 5 };

void wire_header_add(struct buffer *buffer, uint32_t schema_id);
/* Another id in the header of the value that the buffer holds (a registry's instead of the fixed one). */
void wire_header_set(struct buffer *buffer, uint32_t schema_id);
/* False when there is no such header; else the id and what follows it. */
bool wire_header_read(struct span value, uint32_t *ret_schema_id, struct span *ret_datum);

void avro_add_long(struct buffer *buffer, int64_t value); /* int and enum index too */
void avro_add_boolean(struct buffer *buffer, bool value);
void avro_add_bytes(struct buffer *buffer, struct span bytes); /* string too */
void avro_add_text(struct buffer *buffer, const char *text);
/* A union of null and something: the branch, and the value when there is one. */
void avro_add_optional_text(struct buffer *buffer, struct span text); /* "" = null */
void avro_add_optional_time(struct buffer *buffer, int64_t time);     /* NEVER = null */

struct avro_cursor {
    const unsigned char *at;
    const unsigned char *end;
    bool bad;
};

struct avro_cursor avro_cursor_of(struct span datum);
int64_t avro_read_long_whole(struct avro_cursor *cursor);
static inline int64_t avro_read_long(struct avro_cursor *cursor) /* mostly one byte: that way is short and inline */
{
    if (cursor->at < cursor->end && *cursor->at < 0x80) {
        int64_t value = *cursor->at++;
        return (value >> 1) ^ -(value & 1);
    }
    return avro_read_long_whole(cursor);
}
/* A long without its zigzag out of at least eight readable bytes at once; its size in bytes, 0 = more than eight. */
static inline size_t avro_long_of_eight(const unsigned char *at, uint64_t *ret_value)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    word = le64toh(word);
    uint64_t ends = ~word & UINT64_C(0x8080808080808080);
    if (ends == 0)
        return 0;
    word &= (ends ^ (ends - 1)) & UINT64_C(0x7f7f7f7f7f7f7f7f); /* up to the first byte that ends; seven bits of each */
    word = (word & UINT64_C(0x007f007f007f007f)) | (word & UINT64_C(0x7f007f007f007f00)) >> 1; /* fourteen ... */
    word = (word & UINT64_C(0x00003fff00003fff)) | (word & UINT64_C(0x3fff00003fff0000)) >> 2;
    *ret_value = (word & UINT64_C(0x000000000fffffff)) | (word & UINT64_C(0x0fffffff00000000)) >> 4;
    return (size_t)__builtin_ctzll(ends) / 8 + 1;
}
int32_t avro_read_int(struct avro_cursor *cursor); /* a long outside 32 bits is bad */
bool avro_read_boolean(struct avro_cursor *cursor);
struct span avro_read_bytes(struct avro_cursor *cursor);
struct span avro_read_fixed(struct avro_cursor *cursor, size_t size);

/* The head of an array's or map's next block: its item count, 0 at the end. A count that could not fit into what is
 * left, every item taking at least least_item_size (> 0) bytes, is bad. */
size_t avro_read_block(struct avro_cursor *cursor, size_t least_item_size);
size_t avro_read_block_within(struct avro_cursor *cursor,
                              size_t count_max); /* the bound given, for items of no bytes */

static inline size_t avro_cursor_left(const struct avro_cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

#endif
