/* Reading JSON by hand: one value after another out of the text, without a tree of what is around them. json.c makes
 * its trees with it; event_line.c reads a line's members with it straight into an event.
 *
 * A reader that has met a fault is not read on: every json_take_... that says false leaves `at` anywhere. Who opens an
 * object by himself counts it in `depth`, and sees to it that no key is twice (json_keys_differ). */
#ifndef ORIORI_CODEC_JSON_READER_H
#define ORIORI_CODEC_JSON_READER_H

#include "common/codec/json.h"

#include <endian.h>

struct json_reader {
    const unsigned char *at;
    const unsigned char *end;
    struct arena *arena;
    int depth;
    bool marking; /* a lone surrogate is no fault of the whole */
    bool lone;    /* the text read last has one */
};

static inline struct json_reader json_reader_of(struct span text, struct arena *arena, bool marking)
{
    const unsigned char *at = (const unsigned char *)(text.data ? text.data : "");
    return (struct json_reader){.at = at, .end = at + text.size, .arena = arena, .marking = marking};
}

const unsigned char *json_space_end_whole(const unsigned char *at, const unsigned char *end);
static inline const unsigned char *json_space_end(const unsigned char *at, const unsigned char *end) /* mostly there */
{
    return at == end || *at > ' ' ? at : json_space_end_whole(at, end);
}

static inline void json_skip_space(struct json_reader *r)
{
    r->at = json_space_end(r->at, r->end);
}

static inline bool json_take(struct json_reader *r, char wanted)
{
    if (r->at == r->end || *r->at != (unsigned char)wanted)
        return false;
    r->at++;
    return true;
}

static inline bool json_at_end(struct json_reader *r) /* but for white space */
{
    json_skip_space(r);
    return r->at == r->end;
}

/* The first byte that a text does not just pass by: a quote, a backslash, what is no printable ASCII. By eights, of
 * whose marks only the lowest counts: a byte that is none may be marked, but only above one that is. */
static inline const unsigned char *json_plain_end(const unsigned char *at, const unsigned char *end)
{
    const uint64_t each = UINT64_C(0x0101010101010101);
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        word = le64toh(word);
        uint64_t found = word | (word + each) | (word - ' ' * each); /* above 0x7f, 0x7f, below 0x20 */
        found |= ((word ^ '"' * each) - each) | ((word ^ '\\' * each) - each);
        found &= 0x80 * each;
        if (found != 0)
            return at + __builtin_ctzll(found) / 8;
    }
    while (at < end && *at != '"' && *at != '\\' && *at >= 0x20 && *at < 0x7f)
        at++;
    return at;
}

/* A text at its opening quote. */
bool json_take_text(struct json_reader *r, struct span *ret_text);

/* Any value, with white space before it; *value is zeroed. */
bool json_take_value(struct json_reader *r, struct json *value);

/* No two of the members (by their keys and `count`) have one key. */
bool json_keys_differ(struct json_reader *r, const struct json *object);

#endif
