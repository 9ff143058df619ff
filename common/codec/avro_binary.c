#include "common/codec/avro_binary.h"

#include "common/base/check.h"
#include "common/base/timestamp.h"

static void put_header(char *bytes, uint32_t schema_id)
{
    bytes[0] = 0;
    for (int i = 0; i < 4; i++)
        bytes[1 + i] = (char)(schema_id >> (24 - 8 * i));
}

void wire_header_add(struct buffer *buffer, uint32_t schema_id)
{
    put_header(buffer_extend(buffer, WIRE_HEADER_SIZE), schema_id);
}

void wire_header_set(struct buffer *buffer, uint32_t schema_id)
{
    CHECK(buffer->size >= WIRE_HEADER_SIZE && buffer->data[0] == 0);
    put_header(buffer->data, schema_id);
}

bool wire_header_read(struct span value, uint32_t *ret_schema_id, struct span *ret_datum)
{
    if (value.size < WIRE_HEADER_SIZE || value.data[0] != 0)
        return false;
    uint32_t id = 0;
    for (int i = 0; i < 4; i++)
        id = id << 8 | (unsigned char)value.data[1 + i];
    *ret_schema_id = id;
    *ret_datum = (struct span){value.data + WIRE_HEADER_SIZE, value.size - WIRE_HEADER_SIZE};
    return true;
}

void avro_add_long(struct buffer *buffer, int64_t value)
{
    uint64_t rest = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    char bytes[10];
    size_t size = 0;
    for (; rest > 0x7f; rest >>= 7)
        bytes[size++] = (char)(rest | 0x80);
    bytes[size++] = (char)rest;
    buffer_add(buffer, bytes, size);
}

void avro_add_boolean(struct buffer *buffer, bool value)
{
    buffer_add_char(buffer, value ? 1 : 0);
}

void avro_add_bytes(struct buffer *buffer, struct span bytes)
{
    avro_add_long(buffer, (int64_t)bytes.size);
    buffer_add_span(buffer, bytes);
}

void avro_add_text(struct buffer *buffer, const char *text)
{
    avro_add_bytes(buffer, span_of(text));
}

void avro_add_optional_text(struct buffer *buffer, struct span text)
{
    avro_add_long(buffer, span_empty(text) ? 0 : 1);
    if (!span_empty(text))
        avro_add_bytes(buffer, text);
}

void avro_add_optional_time(struct buffer *buffer, int64_t time)
{
    avro_add_long(buffer, time == NEVER ? 0 : 1);
    if (time != NEVER)
        avro_add_long(buffer, time);
}

struct avro_cursor avro_cursor_of(struct span datum)
{
    const unsigned char *at = (const unsigned char *)(datum.data ? datum.data : "");
    return (struct avro_cursor){at, at + datum.size, false};
}

/* After a fault nothing is left, so that every loop over the cursor ends. */
static void spoil(struct avro_cursor *cursor)
{
    cursor->bad = true;
    cursor->at = cursor->end;
}

int64_t avro_read_long_whole(struct avro_cursor *cursor)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 70 && cursor->at < cursor->end; shift += 7) {
        unsigned char byte = *cursor->at++;
        if (shift == 63 && byte > 1)
            break; /* more than 64 bits */
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
    }
    spoil(cursor);
    return 0;
}

int32_t avro_read_int(struct avro_cursor *cursor)
{
    int64_t value = avro_read_long(cursor);
    if (value >= INT32_MIN && value <= INT32_MAX)
        return (int32_t)value;
    spoil(cursor);
    return 0;
}

bool avro_read_boolean(struct avro_cursor *cursor)
{
    if (cursor->at < cursor->end && *cursor->at <= 1)
        return *cursor->at++ == 1;
    spoil(cursor);
    return false;
}

struct span avro_read_fixed(struct avro_cursor *cursor, size_t size)
{
    if (cursor->bad || size > avro_cursor_left(cursor)) {
        spoil(cursor);
        return SPAN_NONE;
    }
    struct span bytes = {(const char *)cursor->at, size};
    cursor->at += size;
    return bytes;
}

struct span avro_read_bytes(struct avro_cursor *cursor)
{
    int64_t size = avro_read_long(cursor);
    if (size < 0) {
        spoil(cursor);
        return SPAN_NONE;
    }
    return avro_read_fixed(cursor, (size_t)size);
}

static size_t read_block(struct avro_cursor *cursor, size_t least_item_size, size_t count_max)
{
    int64_t count = avro_read_long(cursor);
    if (count < 0) { /* a negative count is followed by the block's size in bytes, of use to who skips */
        count = count == INT64_MIN ? INT64_MAX : -count;
        if (avro_read_long(cursor) < 0)
            spoil(cursor);
    }
    if (least_item_size != 0)
        count_max = avro_cursor_left(cursor) / least_item_size;
    if ((uint64_t)count > count_max)
        spoil(cursor);
    return cursor->bad ? 0 : (size_t)count;
}

size_t avro_read_block(struct avro_cursor *cursor, size_t least_item_size)
{
    return read_block(cursor, least_item_size, 0);
}

size_t avro_read_block_within(struct avro_cursor *cursor, size_t count_max)
{
    return read_block(cursor, 0, count_max);
}
