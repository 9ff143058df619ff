/* A small strict JSON reader (RFC 8259) over one line, and what a writer needs.
 *
 * Why not jansson, which the tests use as the oracle: it takes a malloc for every value and key, and at 200,000 events
 * a second that alone is the whole second (tests/bench). Here values live in the batch's arena and texts without
 * escapes borrow from the line. Stricter than many: invalid UTF-8, lone surrogates, control characters in texts and a
 * key that is twice in one object are faults. A whole number that does not fit 64 bits is a JSON_KIND_NUMBER: a fault
 * only where it is used. */
#ifndef ORIORI_CODEC_JSON_H
#define ORIORI_CODEC_JSON_H

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/base/span.h"

#include <stdint.h>

enum json_type {
    JSON_KIND_NULL,
    JSON_KIND_FALSE,
    JSON_KIND_TRUE,
    JSON_KIND_INTEGER,
    JSON_KIND_NUMBER,
    JSON_KIND_TEXT,
    JSON_KIND_BAD_TEXT, /* only of json_read_marking: the text, or its member's key, has lone surrogates, now U+FFFD */
    JSON_KIND_ARRAY,
    JSON_KIND_OBJECT
};

struct json {
    enum json_type type;
    uint32_t count;           /* items or members */
    int64_t integer;          /* JSON_KIND_INTEGER */
    struct span text;         /* of texts: without escapes; numbers: as written */
    struct span key;          /* of an object's member */
    const struct json *first; /* item or member */
    const struct json *next;  /* in the same array or object */
};

/* The one value that the text is, with white space around it. NULL: it is none. */
const struct json *json_read(struct span text, struct arena *arena);

/* The same, but a lone surrogate makes a JSON_KIND_BAD_TEXT: a fault only where it is used, so that its field can be
 * named. */
const struct json *json_read_marking(struct span text, struct arena *arena);
bool json_has_bad_text(const struct json *value); /* or in what is in it */

const struct json *json_member(const struct json *object, struct span key); /* NULL: none */

/* For who does not know yet what the value is: NULL and a value of another kind have no members and no items. */
const struct json *json_part(const struct json *value, struct span key);
const struct json *json_part_of(const struct json *value, struct span key,
                                enum json_type type);                  /* NULL: of another type */
struct span json_text_part(const struct json *value, struct span key); /* of a text; else empty, never without data */
const struct json *json_first_item(const struct json *value);          /* of an array */

/* The value as one line of JSON; numbers as they were written. */
void json_add(struct buffer *buffer, const struct json *value);
void json_add_text(struct buffer *buffer, struct span text); /* with quotes and escapes; the text must be valid UTF-8 */

/* Length of the valid UTF-8 sequence at `at` (at < end), 0 when there is none. */
size_t utf8_sequence(const unsigned char *at, const unsigned char *end);
bool utf8_valid(struct span text);

#endif
