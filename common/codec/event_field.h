/* The fields of the five inputs (R34, R86) and where each goes in struct event: one table that the JSON reader, the
 * Avro decoder and the Avro encoder share, so that they cannot differ in what they know. */
#ifndef ORIORI_CODEC_EVENT_FIELD_H
#define ORIORI_CODEC_EVENT_FIELD_H

#include "common/engine/event.h"

enum event_field_type {
    FIELD_TEXT,    /* struct span */
    FIELD_TIME,    /* int64_t, UTC ms, NEVER = absent */
    FIELD_INTEGER, /* int64_t */
    FIELD_SCORE,   /* int32_t within low .. high */
    FIELD_BOOLEAN, /* bool, absent = false */
    FIELD_ANSWER,  /* enum answer */
    FIELD_KIND,    /* enum event_kind of the topic */
    FIELD_PURPOSE,
    FIELD_CHANNEL,
    FIELD_AGENT,
    FIELD_CONCERNS,    /* array of text -> bit set */
    FIELD_LINES,       /* array of {sku, quantity, unit_price} */
    FIELD_UNUSED_TEXT, /* a text that the engine does not read; its type is checked (R86) */
    FIELD_UNUSED_TEXTS /* a map of texts, likewise */
};

struct event_field {
    struct span name; /* a literal */
    unsigned topics;  /* bit 1 << enum topic */
    enum event_field_type type;
    size_t offset;     /* in struct event */
    int64_t low, high; /* FIELD_SCORE, FIELD_INTEGER: what is allowed */
};

/* All fields in the order of the schemas; ret_count of them. */
const struct event_field *event_fields(size_t *ret_count);

/* NULL: the topic has no such field. before: the one found last, for most records have them in the schema's order; NULL =
 * none. It is only where the search begins. */
const struct event_field *event_field_find(enum topic topic, struct span name, const struct event_field *before);

/* Enum values by name; -1 = unknown. FIELD_KIND, _PURPOSE, _CHANNEL, _AGENT, and FIELD_CONCERNS for one item. */
int event_field_symbol(const struct event_field *field, enum topic topic, struct span name);
const char *event_field_symbol_name(const struct event_field *field, int value);

void event_field_set_symbol(const struct event_field *field, struct event *event, int value);

/* A blank event before its fields are read: kind and purpose are not known yet, see event_fields_missing. */
struct event event_fields_blank(enum topic topic);
/* The required enum that no field has set, as a literal; NULL = none. Then event_validate may be asked. */
const char *event_fields_missing(const struct event *event);

#endif
