#include "common/codec/event_json.h"

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
};

static const char field_occurred_at[] = "occurred_at";
static const char field_received_at[] = "received_at";
static const char field_event[] = "event";

/* A line without a time that can be read: occurred_at (so also without an event to have one) or received_at is at
 * fault. */
bool event_json_time_fault(enum reason reason, const char *field)
{
    if (reason == REASON_UNDECODABLE)
        return true;
    return (reason == REASON_BAD_TYPE || reason == REASON_BAD_TEXT || reason == REASON_OUT_OF_RANGE ||
            reason == REASON_MISSING_FIELD) &&
           (strcmp(field, field_occurred_at) == 0 || strcmp(field, field_received_at) == 0 ||
            strcmp(field, field_event) == 0);
}

static void note(struct fault *fault, enum reason reason, const char *field)
{
    bool first = fault->reason == REASON_NONE;
    bool worse = event_json_time_fault(reason, field) && !event_json_time_fault(fault->reason, fault->field);
    if (reason != REASON_NONE && (first || worse))
        *fault = (struct fault){reason, field};
}

/* R86: null and "" are absent. */
static bool is_absent(const struct json *value)
{
    return value == NULL || value->type == JSON_KIND_NULL || (value->type == JSON_KIND_TEXT && span_empty(value->text));
}

/* R86: integer ms within 0 .. 2^47, or ISO 8601 with an offset. */
static enum reason read_time(const struct json *value, int64_t *ret_time)
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

static enum reason read_integer(const struct event_field *field, const struct json *value, int64_t *ret_integer)
{
    if (value->type != JSON_KIND_INTEGER) /* R86: true and 5.0 are ill-typed */
        return REASON_BAD_TYPE;
    if (value->integer < field->low || value->integer > field->high)
        return REASON_OUT_OF_RANGE;
    *ret_integer = value->integer;
    return REASON_NONE;
}

static bool is_boolean(const struct json *value)
{
    return value->type == JSON_KIND_TRUE || value->type == JSON_KIND_FALSE;
}

static enum reason read_symbol(struct event_reader *r, const struct event_field *field, const struct json *value)
{
    if (value->type != JSON_KIND_TEXT)
        return REASON_BAD_TYPE;
    int symbol = event_field_symbol(field, r->event->topic, value->text);
    if (symbol < 0)
        return REASON_BAD_ENUM;
    event_field_set_symbol(field, r->event, symbol);
    return REASON_NONE;
}

static enum reason read_concerns(struct event_reader *r, const struct event_field *field, const struct json *value)
{
    if (value->type != JSON_KIND_ARRAY)
        return REASON_BAD_TYPE;
    for (const struct json *item = value->first; item != NULL; item = item->next) {
        enum reason reason = read_symbol(r, field, item);
        if (reason != REASON_NONE)
            return reason;
    }
    return REASON_NONE;
}

static enum reason read_line(const struct json *item, struct order_line *ret_line)
{
    if (item->type != JSON_KIND_OBJECT)
        return REASON_BAD_TYPE;
    *ret_line = (struct order_line){.quantity = 1, .unit_price = 0};
    for (const struct json *member = item->first; member != NULL; member = member->next) {
        if (is_absent(member))
            continue;
        if (span_equal(member->key, SPAN("sku"))) {
            if (member->type != JSON_KIND_TEXT)
                return REASON_BAD_TYPE;
            ret_line->sku = member->text;
        } else if (span_equal(member->key, SPAN("quantity")) || span_equal(member->key, SPAN("unit_price"))) {
            if (member->type != JSON_KIND_INTEGER)
                return REASON_BAD_TYPE;
            *(member->key.data[0] == 'q' ? &ret_line->quantity : &ret_line->unit_price) = member->integer;
        }
    }
    return REASON_NONE;
}

static enum reason read_lines(struct event_reader *r, const struct json *value)
{
    if (value->type != JSON_KIND_ARRAY)
        return REASON_BAD_TYPE;
    struct order_line *lines = ARENA_ARRAY(r->arena, struct order_line, value->count);
    size_t count = 0;
    for (const struct json *item = value->first; item != NULL; item = item->next) {
        enum reason reason = read_line(item, &lines[count++]);
        if (reason != REASON_NONE)
            return reason;
    }
    r->event->lines = lines;
    r->event->line_count = count;
    return REASON_NONE;
}

static enum reason read_field(struct event_reader *r, const struct event_field *field, const struct json *value)
{
    char *to = (char *)r->event + field->offset;
    int64_t integer;
    enum reason reason;
    if (value->type == JSON_KIND_BAD_TEXT || (value->first != NULL && json_has_bad_text(value)))
        return REASON_BAD_TEXT;
    switch (field->type) {
    case FIELD_TEXT:
        if (value->type != JSON_KIND_TEXT)
            return REASON_BAD_TYPE;
        *(struct span *)(void *)to = value->text;
        return REASON_NONE;
    case FIELD_TIME:
        return read_time(value, (int64_t *)(void *)to);
    case FIELD_INTEGER:
        return read_integer(field, value, (int64_t *)(void *)to);
    case FIELD_SCORE:
        reason = read_integer(field, value, &integer);
        if (reason == REASON_NONE)
            *(int32_t *)(void *)to = (int32_t)integer;
        return reason;
    case FIELD_BOOLEAN:
        *(bool *)(void *)to = value->type == JSON_KIND_TRUE;
        return is_boolean(value) ? REASON_NONE : REASON_BAD_TYPE;
    case FIELD_ANSWER:
        *(enum answer *)(void *)to = value->type == JSON_KIND_TRUE ? ANSWER_TRUE : ANSWER_FALSE;
        return is_boolean(value) ? REASON_NONE : REASON_BAD_TYPE;
    case FIELD_KIND:
    case FIELD_PURPOSE:
    case FIELD_CHANNEL:
    case FIELD_AGENT:
        return read_symbol(r, field, value);
    case FIELD_CONCERNS:
        return read_concerns(r, field, value);
    case FIELD_LINES:
        return read_lines(r, value);
    case FIELD_UNUSED_TEXT:
        return value->type == JSON_KIND_TEXT ? REASON_NONE : REASON_BAD_TYPE;
    case FIELD_UNUSED_TEXTS:
        return value->type == JSON_KIND_OBJECT ? REASON_NONE : REASON_BAD_TYPE;
    }
    return REASON_BAD_TYPE;
}

/* Reads every field, also behind a fault: the clock needs occurred_at. */
static void read_event(struct event_reader *r, enum topic topic, const struct json *object)
{
    const char *field = NULL;
    const struct event_field *before = NULL;
    *r->event = event_fields_blank(topic);
    for (const struct json *member = object->first; member != NULL; member = member->next) {
        const struct event_field *known = event_field_find(topic, member->key, before);
        if (known == NULL)
            continue;
        before = known;
        if (is_absent(member))
            continue;
        note(&r->fault, read_field(r, known, member), known->name.data);
    }
    if (r->event->occurred_at == NEVER) /* also when something else is wrong: the clock asks */
        note(&r->fault, REASON_MISSING_FIELD, field_occurred_at);
    if (r->fault.reason != REASON_NONE)
        return;
    field = event_fields_missing(r->event);
    enum reason reason = field != NULL ? REASON_MISSING_FIELD : event_validate(r->event, &field);
    note(&r->fault, reason, field);
}

/* The time of a line whose event cannot be read as one of a topic. */
static void read_occurred_at(struct event_reader *r, const struct json *object)
{
    const struct json *value = json_member(object, SPAN("occurred_at"));
    enum reason reason = is_absent(value) ? REASON_MISSING_FIELD : read_time(value, &r->event->occurred_at);
    note(&r->fault, reason, field_occurred_at);
}

static enum reason read_topic(const struct json *value, enum topic *ret_topic)
{
    if (is_absent(value))
        return REASON_MISSING_FIELD;
    if (value->type != JSON_KIND_TEXT)
        return REASON_BAD_TYPE;
    return topic_find(value->text, ret_topic) ? REASON_NONE : REASON_UNKNOWN_TOPIC;
}

enum reason event_json_read(struct span line, struct arena *arena, struct event *ret_event, int64_t *ret_received_at,
                            const char **ret_field)
{
    struct event_reader r = {.arena = arena, .event = ret_event};
    *ret_event = event_fields_blank(TOPIC_ORDERS);
    *ret_received_at = NEVER;
    *ret_field = NULL;
    const struct json *root = json_read_marking(line, arena);
    if (root == NULL || root->type != JSON_KIND_OBJECT)
        return REASON_UNDECODABLE;
    const struct json *received_at = json_member(root, SPAN("received_at"));
    if (!is_absent(received_at))
        note(&r.fault, read_time(received_at, ret_received_at), field_received_at);
    enum topic topic = TOPIC_ORDERS;
    enum reason topic_reason = read_topic(json_member(root, SPAN("topic")), &topic);
    note(&r.fault, topic_reason, "topic");
    const struct json *event = json_member(root, SPAN("event"));
    if (is_absent(event) || event->type != JSON_KIND_OBJECT)
        note(&r.fault, is_absent(event) ? REASON_MISSING_FIELD : REASON_BAD_TYPE, field_event);
    else if (topic_reason == REASON_NONE)
        read_event(&r, topic, event);
    else
        read_occurred_at(&r, event);
    *ret_field = r.fault.field;
    return r.fault.reason;
}

struct span event_json_line(struct span line, uint64_t number)
{
    static const char mark[] = "\xEF\xBB\xBF";
    bool marked = number == 1 && line.size >= 3 && memcmp(line.data, mark, 3) == 0;
    return marked ? (struct span){line.data + 3, line.size - 3} : line;
}

enum reason event_json_read_bare(enum topic topic, struct span line, struct arena *arena, struct event *ret_event,
                                 const char **ret_field)
{
    return event_json_read_tree(topic, json_read_marking(line, arena), arena, ret_event, ret_field);
}

enum reason event_json_read_tree(enum topic topic, const struct json *root, struct arena *arena,
                                 struct event *ret_event, const char **ret_field)
{
    struct event_reader r = {.arena = arena, .event = ret_event};
    *ret_field = NULL;
    if (root == NULL || root->type != JSON_KIND_OBJECT)
        return REASON_UNDECODABLE;
    read_event(&r, topic, root);
    *ret_field = r.fault.field;
    return r.fault.reason;
}
