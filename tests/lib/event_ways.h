/* The two ways from JSON to an event, held against each other: event_json_read and event_json_read_bare go over the
 * text once and by hand; here a tree is read first (json_read_marking) and asked for its members, as a mapping's is.
 * Used by tests/unit/test_event_ways.c on seeded lines and by the fuzz target json. */
#ifndef ORIORI_TESTS_LIB_EVENT_WAYS_H
#define ORIORI_TESTS_LIB_EVENT_WAYS_H

#include "common/base/check.h"
#include "common/codec/event_field.h"
#include "common/codec/event_json.h"
#include "common/codec/json.h"

/* What a reading says. */
struct way {
    enum reason reason;
    const char *field;
    struct event event;
    int64_t received_at;
};

static inline bool way_absent(const struct json *value)
{
    return value == NULL || value->type == JSON_KIND_NULL || (value->type == JSON_KIND_TEXT && value->text.size == 0);
}

static inline enum reason way_time(const struct json *value, int64_t *ret_time)
{
    int64_t time;
    if (value->type == JSON_KIND_INTEGER)
        time = value->integer;
    else if (value->type != JSON_KIND_TEXT || !timestamp_parse(value->text, &time))
        return REASON_BAD_TYPE;
    if (time < 0 || time > TIMESTAMP_MAX)
        return REASON_OUT_OF_RANGE;
    *ret_time = time;
    return REASON_NONE;
}

/* The first fault stands, unless one of the times comes after it. */
static inline void way_fault(struct way *way, enum reason reason, const char *field)
{
    if (reason == REASON_NONE || (way->reason != REASON_NONE && (event_json_time_fault(way->reason, way->field) ||
                                                                 !event_json_time_fault(reason, field))))
        return;
    way->reason = reason;
    way->field = field;
}

static inline void way_event(struct way *way, bool has_topic, enum topic topic, const struct json *event,
                             struct arena *arena)
{
    const char *field;
    if (way_absent(event) || event->type != JSON_KIND_OBJECT) {
        way_fault(way, way_absent(event) ? REASON_MISSING_FIELD : REASON_BAD_TYPE, "event");
    } else if (has_topic) {
        enum reason reason = event_json_read_tree(topic, event, arena, &way->event, &field);
        way_fault(way, reason, field);
    } else {
        const struct json *time = json_member(event, SPAN("occurred_at"));
        enum reason reason = way_absent(time) ? REASON_MISSING_FIELD : way_time(time, &way->event.occurred_at);
        way_fault(way, reason, "occurred_at");
    }
}

static inline struct way way_of_tree(struct span line, struct arena *arena)
{
    struct way way = {.event = event_fields_blank(TOPIC_ORDERS), .received_at = NEVER};
    const struct json *root = json_read_marking(line, arena);
    if (root == NULL || root->type != JSON_KIND_OBJECT) {
        way.reason = REASON_UNDECODABLE;
        return way;
    }
    const struct json *received_at = json_member(root, SPAN("received_at")), *name = json_member(root, SPAN("topic"));
    enum topic topic = TOPIC_ORDERS;
    enum reason reason = REASON_MISSING_FIELD;
    if (!way_absent(received_at))
        way_fault(&way, way_time(received_at, &way.received_at), "received_at");
    if (!way_absent(name))
        reason = name->type != JSON_KIND_TEXT     ? REASON_BAD_TYPE
                 : topic_find(name->text, &topic) ? REASON_NONE
                                                  : REASON_UNKNOWN_TOPIC;
    way_fault(&way, reason, "topic");
    way_event(&way, reason == REASON_NONE, topic, json_member(root, SPAN("event")), arena);
    return way;
}

static inline bool way_same_lines(const struct event *a, const struct event *b)
{
    if (a->line_count != b->line_count)
        return false;
    for (size_t i = 0; i < a->line_count; i++)
        if (!span_equal(a->lines[i].sku, b->lines[i].sku) || a->lines[i].quantity != b->lines[i].quantity ||
            a->lines[i].unit_price != b->lines[i].unit_price)
            return false;
    return true;
}

static inline bool way_same_field(const struct event_field *field, const struct event *a, const struct event *b)
{
    const char *left = (const char *)a + field->offset, *right = (const char *)b + field->offset;
    switch (field->type) {
    case FIELD_TEXT:
        return span_equal(*(const struct span *)(const void *)left, *(const struct span *)(const void *)right);
    case FIELD_TIME:
    case FIELD_INTEGER:
        return memcmp(left, right, sizeof(int64_t)) == 0;
    case FIELD_BOOLEAN:
        return memcmp(left, right, sizeof(bool)) == 0;
    case FIELD_LINES:
        return way_same_lines(a, b);
    case FIELD_UNUSED_TEXT:
    case FIELD_UNUSED_TEXTS:
        return true;
    default: /* scores, answers, enums, concerns */
        return memcmp(left, right, sizeof(int32_t)) == 0;
    }
}

static inline bool way_same_event(const struct event *a, const struct event *b)
{
    size_t count;
    const struct event_field *fields = event_fields(&count);
    for (size_t i = 0; i < count; i++)
        if (!way_same_field(&fields[i], a, b))
            return false;
    return a->topic == b->topic;
}

static inline bool way_same(const struct way *a, const struct way *b)
{
    bool same_name = a->field == NULL || b->field == NULL ? a->field == b->field : strcmp(a->field, b->field) == 0;
    return a->reason == b->reason && same_name && a->received_at == b->received_at &&
           way_same_event(&a->event, &b->event);
}

/* A line with its topic, and the same text as a bare event of each topic. */
static inline bool ways_agree(struct span line, struct arena *arena)
{
    struct way tree = way_of_tree(line, arena), text;
    text.reason = event_json_read(line, arena, &text.event, &text.received_at, &text.field);
    if (!way_same(&text, &tree))
        return false;
    for (enum topic topic = 0; topic < TOPIC_COUNT; topic++) {
        tree.reason = event_json_read_tree(topic, json_read_marking(line, arena), arena, &tree.event, &tree.field);
        text.reason = event_json_read_bare(topic, line, arena, &text.event, &text.field);
        text.received_at = tree.received_at;
        if (tree.reason == REASON_UNDECODABLE) /* says nothing of the event */
            text.event = tree.event;
        if (!way_same(&text, &tree))
            return false;
    }
    return true;
}

#endif
