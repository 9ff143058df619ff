/* What is between event_json.c (a field's value in whatever form, faults, an event out of a tree) and event_line.c (an
 * event out of its text). Nobody else includes this. */
#ifndef ORIORI_CODEC_EVENT_JSON_PRIVATE_H
#define ORIORI_CODEC_EVENT_JSON_PRIVATE_H

#include "common/base/arena.h"
#include "common/codec/event_field.h"
#include "common/codec/json.h"

/* The first fault of a line; one of its times replaces it (event_json.h). */
struct fault {
    enum reason reason;
    const char *field;
};

struct event_reader {
    struct arena *arena;
    struct event *event;
    struct fault fault;
    bool is_plain; /* all texts that were read into it are printable ASCII */
};

/* R86: null and "" are absent; NULL too. */
bool event_value_is_absent(const struct json *value);

/* R86: integer ms within 0 .. 2^47, or ISO 8601 with an offset. */
enum reason event_read_time(const struct json *value, int64_t *ret_time);

/* A value that is not absent into its field, by its type: the general way, which names what is wrong. */
enum reason event_read_field(struct event_reader *r, const struct event_field *field, const struct json *value);

/* When every member is read, also behind a fault: the clock needs occurred_at. */
void event_read_end(struct event_reader *r);

/* REASON_NONE is none. */
void event_note(struct fault *fault, enum reason reason, const char *field);

#endif
