/* A compiled mapping, between mapping_compile.c and mapping_run.c. */
#ifndef ORIORI_CODEC_MAPPING_RULE_H
#define ORIORI_CODEC_MAPPING_RULE_H

#include "common/codec/event_field.h"
#include "common/codec/mapping.h"

/* A JSON pointer (RFC 6901): "/a/b" and "" from the message, "./a" and "." from the item of an `each`. */
struct pointer {
    struct span text;
    bool from_item;
    const struct span *tokens;
    size_t token_count;
};

struct pointers {
    const struct pointer *items;
    size_t count;
};

/* Looks for the first item of a list that has a value somewhere: {list: /answers, by: /field/ref, is: nps}. */
struct find {
    bool given;
    struct pointer list, by;
    struct span is;
};

/* A piece of a text: letters as they are, then perhaps a value. */
struct piece {
    struct span letters;
    bool has_value;
    struct pointer value;
};

enum origin_kind { ORIGIN_NONE, ORIGIN_POINTERS, ORIGIN_HEADER, ORIGIN_CONSTANT, ORIGIN_PIECES };

struct origin {
    enum origin_kind kind;
    struct pointers pointers; /* the first that leads to something */
    struct find find;         /* then the pointers begin at what it found */
    struct span header;
    const struct json *constant;
    const struct piece *pieces;
    size_t piece_count;
};

struct translation {
    struct span from;
    const struct json *to;
};

enum time_form { TIME_NONE, TIME_ISO, TIME_SECONDS, TIME_MILLISECONDS, TIME_PATTERN };

struct amount { /* "409.94" to 40994 */
    bool given;
    int digits;              /* behind the point; -1 = as the currency has them */
    struct pointer currency; /* digits -1 */
};

struct value_rule {
    int line, column;
    struct origin origin;
    const struct translation *translations; /* count 0 = none */
    size_t translation_count;
    const struct json *otherwise; /* for what no translation names; NULL = that is refused */
    enum time_form time;
    struct span pattern;
    int64_t offset_ms; /* TIME_PATTERN: of the local time, east of UTC */
    struct amount amount;
    const struct json *initial; /* when there is nothing; NULL = then the field is absent */
    bool required;
};

enum test_kind { TEST_IS, TEST_NOT, TEST_PRESENT, TEST_ABSENT, TEST_STARTS };

struct condition {
    struct origin origin; /* pointers or header */
    enum test_kind test;
    const struct span *words; /* TEST_IS: any of them; TEST_NOT: none of them; TEST_STARTS: one */
    size_t word_count;
};

struct conditions {
    const struct condition *items; /* all must hold */
    size_t count;
};

struct line_rule { /* lines of an order */
    struct pointer each;
    struct conditions when;
    struct value_rule sku, quantity, unit_price;
};

struct field_rule {
    const struct event_field *field;
    struct value_rule value;
    const struct line_rule *lines; /* FIELD_LINES */
};

struct event_rule {
    int line, column;
    enum topic topic;
    bool has_each;
    struct pointer each;
    struct conditions when;
    const struct field_rule *fields;
    size_t field_count;
};

struct mapping {
    struct arena *memory; /* of everything in it */
    struct span name;
    const char *file_name;
    bool has_embedded;
    struct pointer embedded;
    struct conditions when;
    const struct event_rule *events;
    size_t event_count;
};

#endif
