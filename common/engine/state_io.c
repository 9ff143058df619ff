/* Avro's binary primitives over the arena, for the state's codecs. */
#include "common/engine/state_codec.h"

enum { WRITER_FIRST = 1024, VARINT_MOST = 10 };

void state_writer_init(struct state_writer *writer, struct arena *arena, size_t expected)
{
    size_t capacity = expected + WRITER_FIRST;
    *writer = (struct state_writer){.arena = arena, .data = arena_take_raw(arena, capacity), .capacity = capacity};
}

void state_writer_grow(struct state_writer *writer, size_t size)
{
    size_t capacity = writer->capacity * 2;
    while (capacity - writer->size < size)
        capacity *= 2;
    unsigned char *grown = arena_take_raw(writer->arena, capacity);
    if (writer->size)
        memcpy(grown, writer->data, writer->size);
    writer->data = grown;
    writer->capacity = capacity;
}

static inline void write_long(struct state_writer *writer, int64_t value)
{
    uint64_t rest = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63); /* zigzag */
    unsigned char *at = state_writer_extend(writer, VARINT_MOST);
    for (; rest >= 0x80; rest >>= 7)
        *at++ = (unsigned char)(rest | 0x80);
    *at++ = (unsigned char)rest;
    writer->size = (size_t)(at - writer->data);
}

void state_write_long_whole(struct state_writer *writer, int64_t value)
{
    write_long(writer, value);
}

/* Most times are whole seconds, many whole days after another: the two lowest bits of a number say in what unit the
 * rest of it counts. */
enum { UNIT_BITS = 2, UNIT_COUNT = 1 << UNIT_BITS };
static const int64_t time_units[UNIT_COUNT] = {1, SECOND_MS, MINUTE_MS, DAY_MS};

static int64_t in_units(int64_t delta)
{
    if (delta % SECOND_MS != 0)
        return delta * UNIT_COUNT;
    int64_t unit = delta % DAY_MS == 0 ? 3 : delta % MINUTE_MS == 0 ? 2 : 1;
    return delta / time_units[unit] * UNIT_COUNT + unit;
}

void state_write_time_whole(struct state_writer *writer, int64_t time)
{
    write_long(writer, in_units(time - writer->base));
    writer->base = time;
}

void state_write_fixed(struct state_writer *writer, const void *bytes, size_t size)
{
    unsigned char *at = state_writer_extend(writer, size);
    if (size)
        memcpy(at, bytes, size);
}

void state_write_text(struct state_writer *writer, struct span text)
{
    state_write_long(writer, (int64_t)text.size);
    state_write_fixed(writer, text.data, text.size);
}

struct span state_writer_finish(struct state_writer *writer)
{
    return (struct span){(const char *)writer->data, writer->size};
}

/* ---- reading ---- */

int64_t state_read_fail(struct state_reader *reader)
{
    reader->failed = true;
    reader->at = reader->end;
    return 0;
}

/* Eight bytes at once: the seven bits of each up to the last of the number, put together by halves. */
static uint64_t seven_bits(uint64_t bytes)
{
    bytes &= UINT64_C(0x7f7f7f7f7f7f7f7f);
    bytes = (bytes & UINT64_C(0x7f007f007f007f00)) >> 1 | (bytes & UINT64_C(0x007f007f007f007f));
    bytes = (bytes & UINT64_C(0x3fff00003fff0000)) >> 2 | (bytes & UINT64_C(0x00003fff00003fff));
    return (bytes & UINT64_C(0x0fffffff00000000)) >> 4 | (bytes & UINT64_C(0x000000000fffffff));
}

static inline int64_t read_long(struct state_reader *reader)
{
    uint64_t value = 0, bytes;
    if ((size_t)(reader->end - reader->at) >= sizeof bytes) {
        memcpy(&bytes, reader->at, sizeof bytes);
        bytes = le64toh(bytes);
        uint64_t last = ~bytes & UINT64_C(0x8080808080808080); /* the lowest bit: the number's last byte */
        if (last != 0) {
            value = seven_bits(bytes & (last ^ (last - 1)));
            reader->at += __builtin_ctzll(last) / 8 + 1;
            return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
        }
    }
    for (int shift = 0; shift < 64; shift += 7) {
        if (reader->at == reader->end)
            return state_read_fail(reader);
        unsigned char byte = *reader->at++;
        if (shift == 63 && byte > 1)
            return state_read_fail(reader);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
    }
    return state_read_fail(reader);
}

int64_t state_read_long_whole(struct state_reader *reader)
{
    return read_long(reader);
}

int64_t state_read_time_whole(struct state_reader *reader)
{
    int64_t delta = read_long(reader), time;
    if (reader->version != STATE_VERSION_FIRST &&
        __builtin_mul_overflow(delta >> UNIT_BITS, time_units[delta & (UNIT_COUNT - 1)], &delta))
        return state_read_fail(reader);
    if (__builtin_add_overflow(reader->base, delta, &time) || time < STATE_TIME_LEAST || time > STATE_TIME_MOST)
        return state_read_fail(reader);
    reader->base = time;
    return time;
}

struct span state_read_text_whole(struct state_reader *reader)
{
    int64_t size = state_read_range(reader, 0, reader->end - reader->at);
    if (reader->failed || size > reader->end - reader->at) {
        state_read_fail(reader);
        return SPAN_NONE;
    }
    struct span text = {(const char *)reader->at, (size_t)size};
    reader->at += size;
    return text;
}

bool state_reader_finish(const struct state_reader *reader)
{
    return !reader->failed && reader->at == reader->end;
}
