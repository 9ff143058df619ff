#include "common/codec/event_json.h"

#include "common/codec/event_json_private.h"

/* A line without a time that can be read: occurred_at (so also without an event to have one) or received_at is at
 * fault. */
bool event_json_time_fault(enum reason reason, const char *field)
{
    if (reason == REASON_UNDECODABLE)
        return true;
    return (reason == REASON_BAD_TYPE || reason == REASON_BAD_TEXT || reason == REASON_OUT_OF_RANGE ||
            reason == REASON_MISSING_FIELD) &&
           (strcmp(field, "occurred_at") == 0 || strcmp(field, "received_at") == 0 || strcmp(field, "event") == 0);
}

void event_note(struct fault *fault, enum reason reason, const char *field)
{
    if (reason == REASON_NONE)
        return;
    bool first = fault->reason == REASON_NONE;
    bool worse = event_json_time_fault(reason, field) && !event_json_time_fault(fault->reason, fault->field);
    if (first || worse)
        *fault = (struct fault){reason, field};
}

bool event_value_is_absent(const struct json *value)
{
    return value == NULL || value->type == JSON_KIND_NULL || (value->type == JSON_KIND_TEXT && span_empty(value->text));
}

enum reason event_read_time(const struct json *value, int64_t *ret_time)
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
        if (event_value_is_absent(member))
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

enum reason event_read_field(struct event_reader *r, const struct event_field *field, const struct json *value)
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
        return event_read_time(value, (int64_t *)(void *)to);
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

void event_read_end(struct event_reader *r)
{
    const char *field;
    if (r->event->occurred_at == NEVER) /* also when something else is wrong: the clock asks */
        event_note(&r->fault, REASON_MISSING_FIELD, "occurred_at");
    if (r->fault.reason != REASON_NONE)
        return;
    enum reason reason = REASON_MISSING_FIELD;
    field = event_fields_missing(r->event);
    if (field == NULL)
        reason = r->is_plain ? event_validate_plain(r->event, &field) : event_validate(r->event, &field);
    event_note(&r->fault, reason, field);
}

/* An event out of a tree, as a mapping makes one. */
static void read_event(struct event_reader *r, enum topic topic, const struct json *object)
{
    const struct event_field *before = NULL;
    *r->event = event_fields_blank(topic);
    r->is_plain = false; /* not known */
    for (const struct json *member = object->first; member != NULL; member = member->next) {
        const struct event_field *known = event_field_find(topic, member->key, before);
        if (known == NULL)
            continue;
        before = known;
        if (!event_value_is_absent(member))
            event_note(&r->fault, event_read_field(r, known, member), known->name.data);
    }
    event_read_end(r);
}

struct span event_json_line(struct span line, uint64_t number)
{
    static const char mark[] = "\xEF\xBB\xBF";
    bool marked = number == 1 && line.size >= 3 && memcmp(line.data, mark, 3) == 0;
    return marked ? (struct span){line.data + 3, line.size - 3} : line;
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
