/* The customer's state between steps: one version byte, then Avro binary of schemas/customer_state.avsc, decodable by
 * any Avro library with that schema. Bytes from outside are hostile: every read is bounds-checked, and a blob that no
 * version of ours wrote is refused, never half-read.
 *
 * The record's last field is the runs'. The order of things is: state_encode (head, facts), then the runs' own encoder
 * on the same writer, then state_writer_finish; and state_decode, then the runs' decoder on the same reader, then
 * state_reader_finish. An erased customer has no runs. */
#ifndef ORIORI_ENGINE_STATE_CODEC_H
#define ORIORI_ENGINE_STATE_CODEC_H

#include "common/engine/facts.h"

#include <endian.h>

/* A release that first reads a version does not write it yet (schemas/README.md). Two test builds play the next two
 * releases (tests/rolling): there version 4 is version 3 under another number. */
#ifndef ORIORI_STATE_READ
#define ORIORI_STATE_READ    3
#define ORIORI_STATE_WRITTEN 3
#endif

enum {
    STATE_VERSION_FIRST = 1, /* read for ever, as is 2; their schemas are tests/golden/0.1.0/customer_state-N.avsc */
    STATE_VERSION_LAST = ORIORI_STATE_READ,
    STATE_VERSION = ORIORI_STATE_WRITTEN
};

/* The times that a state may hold. Events are of 0 .. 2^47 (R86) and delays are no less than 0, so nothing of ours is
 * before 1970 but by a time zone; a year is room enough. It is also a bound on work: a series is decided slot by slot,
 * and a due time of thousands of years ago would be hundreds of thousands of slots in one step. The upper end is well
 * beyond event times and well within int64_t when days are added. */
#define STATE_TIME_LEAST (-366 * DAY_MS)
#define STATE_TIME_MOST  (INT64_C(1) << 50)

/* What of a customer is neither fact nor run. */
struct state_head {
    int64_t seq;          /* of his last record (R85) */
    int64_t evaluated_at; /* the clock at which the classes were last read; NEVER = never */
    bool classified;      /* classes are set: the customer is known */
    struct customer_classes classes;
    struct span
        facts_bytes;    /* the facts as they were read, for as long as they stay as they are; "" = to be written anew */
    int64_t facts_base; /* the time written last in them */
};

/* ---- primitives, for the runs' codec too ---- */

struct state_writer {
    struct arena *arena;
    unsigned char *data;
    size_t size, capacity;
    int64_t base; /* times are written as differences to the time written before */
};
void state_writer_init(struct state_writer *writer, struct arena *arena, size_t expected); /* bytes: a guess */
void state_writer_grow(struct state_writer *writer, size_t size); /* room for so many more bytes */

static inline unsigned char *state_writer_extend(struct state_writer *writer, size_t size) /* bytes, uninitialised */
{
    if (writer->capacity - writer->size < size)
        state_writer_grow(writer, size);
    unsigned char *at = writer->data + writer->size;
    writer->size += size;
    return at;
}

void state_write_long_whole(struct state_writer *writer, int64_t value);
void state_write_time_whole(struct state_writer *writer, int64_t time);
void state_write_fixed(struct state_writer *writer, const void *bytes, size_t size);
void state_write_text(struct state_writer *writer, struct span text); /* Avro string, bytes */

/* Avro int, long, enum, union branch, count. Most are one byte: that way is short and inline. */
static inline void state_write_long(struct state_writer *writer, int64_t value)
{
    if (value >= -64 && value < 64 && writer->size < writer->capacity)
        writer->data[writer->size++] = (unsigned char)((uint64_t)value << 1 ^ (uint64_t)(value >> 63));
    else
        state_write_long_whole(writer, value);
}

/* The difference to the time before, in the largest of the units that it is a multiple of; never NEVER. */
static inline void state_write_time(struct state_writer *writer, int64_t time)
{
    if (time == writer->base)
        state_write_long(writer, 0);
    else
        state_write_time_whole(writer, time);
}

static inline void state_write_fixed64(struct state_writer *writer, uint64_t hash) /* Avro fixed(8), little-endian */
{
    uint64_t bytes = htole64(hash);
    memcpy(state_writer_extend(writer, sizeof bytes), &bytes, sizeof bytes);
}

static inline void state_write_fixed32(struct state_writer *writer, uint32_t value) /* Avro fixed(4), little-endian */
{
    uint32_t bytes = htole32(value);
    memcpy(state_writer_extend(writer, sizeof bytes), &bytes, sizeof bytes);
}

struct span state_writer_finish(struct state_writer *writer); /* the blob, in the arena */

struct state_reader {
    const unsigned char *at, *end;
    int64_t base;
    unsigned char version; /* that the blob says */
    bool failed;           /* sticky: after it every read gives 0 or "" */
};
int64_t state_read_fail(struct state_reader *reader); /* marks it failed and at its end; 0 */
int64_t state_read_long_whole(struct state_reader *reader);
int64_t state_read_time_whole(struct state_reader *reader);
struct span state_read_text_whole(struct state_reader *reader);

static inline int64_t state_read_long(struct state_reader *reader)
{
    if (reader->at < reader->end && *reader->at < 0x80) {
        int64_t value = *reader->at++;
        return (value >> 1) ^ -(value & 1);
    }
    return state_read_long_whole(reader);
}

static inline int64_t state_read_range(struct state_reader *reader, int64_t least, int64_t most)
{
    int64_t value = state_read_long(reader);
    if (value >= least && value <= most)
        return value;
    state_read_fail(reader);
    return least; /* outside: failed, least */
}

/* Outside STATE_TIME_LEAST .. _MOST: failed. Many are the time before once more. */
static inline int64_t state_read_time(struct state_reader *reader)
{
    if (reader->at == reader->end || *reader->at != 0)
        return state_read_time_whole(reader);
    reader->at++;
    return reader->base;
}

static inline uint64_t state_read_fixed64(struct state_reader *reader)
{
    uint64_t bytes;
    if ((size_t)(reader->end - reader->at) < sizeof bytes)
        return (uint64_t)state_read_fail(reader);
    memcpy(&bytes, reader->at, sizeof bytes);
    reader->at += sizeof bytes;
    return le64toh(bytes);
}

static inline uint32_t state_read_fixed32(struct state_reader *reader)
{
    uint32_t bytes;
    if ((size_t)(reader->end - reader->at) < sizeof bytes)
        return (uint32_t)state_read_fail(reader);
    memcpy(&bytes, reader->at, sizeof bytes);
    reader->at += sizeof bytes;
    return le32toh(bytes);
}

static inline struct span state_read_text(struct state_reader *reader) /* borrowed from the blob */
{
    if (reader->at == reader->end || *reader->at != 0)
        return state_read_text_whole(reader);
    reader->at++;
    return SPAN_NONE;
}

/* A count of items that each take at least item_size_min bytes, so that a claim cannot make us allocate. Avro's array
 * is one block of that count (no negative counts), closed by a 0 that state_read_array_end takes; count 0 has no end.
 * Most arrays of most customers are empty.
 */
static inline uint32_t state_read_count(struct state_reader *reader, size_t item_size_min)
{
    int64_t count = state_read_range(reader, 0, INT32_MAX);
    if (count * (int64_t)item_size_min > reader->end - reader->at) /* what is left behind the count itself */
        return (uint32_t)state_read_fail(reader);
    return (uint32_t)count;
}

static inline void state_read_array_end(struct state_reader *reader, uint32_t count)
{
    if (count)
        state_read_range(reader, 0, 0);
}

static inline void state_write_count(struct state_writer *writer, size_t count)
{
    state_write_long(writer, (int64_t)count);
}

static inline void state_write_array_end(struct state_writer *writer, size_t count)
{
    if (count)
        state_write_long(writer, 0);
}

bool state_reader_finish(const struct state_reader *reader); /* nothing failed, nothing left over */

/* ---- the state ---- */

void state_encode(struct state_writer *writer, const struct state_head *head, const struct facts *facts);

bool state_erased(struct span blob); /* R31's small record; false also for what is none of ours */

/* blob empty: a customer of whom nothing is known, reader empty. False: not ours. Texts borrow from blob. */
bool state_decode(struct span blob, struct arena *arena, struct state_head *ret_head, struct facts *ret_facts,
                  struct state_reader *ret_reader);

#endif
