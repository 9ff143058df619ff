/* One record of an input topic, in whatever form the topic's config says, to the events that it says. */
#ifndef ORIORI_CODEC_INPUT_H
#define ORIORI_CODEC_INPUT_H

#include "common/codec/internal_records.h"
#include "common/codec/mapping.h"
#include "common/codec/schema_set.h"

enum input_form {
    INPUT_AVRO, /* Confluent's wire format */
    INPUT_JSON,
    INPUT_AUTO /* the first byte tells: wire format begins with 0x00, which no JSON does */
};

struct input {
    const struct schema_set *schemas;
    enum input_form form;
    struct mapping *const *mappings; /* of JSON; the first that takes a message reads it */
    size_t mapping_count;            /* what none takes is an event of our own schema */
};

struct input_events {
    struct event *events; /* in the arena; texts borrow from the record and the arena */
    size_t count;         /* 0: the record says nothing that matters here */
};

/* REASON_NONE and the events; else why not: the field (a literal or NULL) and a message for people (in the arena, or
 * "") that names the place. */
enum reason input_read(const struct input *input, enum topic topic, const struct original *original,
                       struct arena *arena, struct input_events *ret_events, const char **ret_field,
                       struct span *ret_message);

#endif
