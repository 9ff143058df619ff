#include "common/codec/event_json.h"

#include "common/codec/event_field.h"
#include "common/codec/event_quick.h"
#include "common/codec/json_reader.h"

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
    if (reason == REASON_NONE)
        return;
    bool first = fault->reason == REASON_NONE;
    bool worse = event_json_time_fault(reason, field) && !event_json_time_fault(fault->reason, fault->field);
    if (first || worse)
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

/* When every member is read, also behind a fault: the clock needs occurred_at. */
static void end_event(struct event_reader *r)
{
    const char *field;
    if (r->event->occurred_at == NEVER) /* also when something else is wrong: the clock asks */
        note(&r->fault, REASON_MISSING_FIELD, field_occurred_at);
    if (r->fault.reason != REASON_NONE)
        return;
    enum reason reason = REASON_MISSING_FIELD;
    field = event_fields_missing(r->event);
    if (field == NULL)
        reason = r->is_plain ? event_validate_plain(r->event, &field) : event_validate(r->event, &field);
    note(&r->fault, reason, field);
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
        if (!is_absent(member))
            note(&r->fault, read_field(r, known, member), known->name.data);
    }
    end_event(r);
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

/* The members of an object that is read by hand. No key may be twice: the known ones have a bit each, of the others the
 * keys are kept. */
struct members {
    uint64_t seen;
    struct json others; /* as an object of them alone */
    struct json *last;
};

/* Behind the opening bracket. False: there are none, and the object ends here. */
static bool open_members(struct json_reader *in, struct members *members)
{
    members->seen = 0;
    members->others.count = 0;
    in->depth++; /* an event is two deep at most: what is in it is counted on */
    json_skip_space(in);
    return in->at == in->end || *in->at != '}';
}

static bool next_member(struct json_reader *in)
{
    json_skip_space(in);
    return json_take(in, ',');
}

static bool close_members(struct json_reader *in, const struct members *members)
{
    in->depth--;
    return json_take(in, '}') && (members->others.count == 0 || json_keys_differ(in, &members->others));
}

static bool is_first(struct members *members, uint32_t number)
{
    bool first = (members->seen >> number & 1) == 0;
    members->seen |= UINT64_C(1) << number;
    return first;
}

/* One of the names, as a key with its colon; NULL: it is none, or written strangely. */
static inline const struct name *quick_key(struct json_reader *in, const struct name_table *names)
{
    const unsigned char *at = json_space_end(in->at, in->end);
    const struct name *name = name_find(names, at, in->end);
    if (name != NULL)
        in->at = json_space_end(at + name->size, in->end);
    return name;
}

static bool take_key(struct json_reader *in, struct span *ret_key)
{
    json_skip_space(in);
    if (!json_take_text(in, ret_key))
        return false;
    json_skip_space(in);
    if (!json_take(in, ':'))
        return false;
    json_skip_space(in);
    return true;
}

/* The value of a member that nobody reads. */
static bool pass_value(struct json_reader *in, struct members *members, struct span key)
{
    struct json *other = ARENA_NEW(in->arena, struct json), value = {0};
    other->key = key;
    if (members->others.count++ == 0)
        members->others.first = other;
    else
        members->last->next = other;
    members->last = other;
    return json_take_value(in, &value);
}

static bool take_field(struct event_reader *r, struct json_reader *in, const struct event_names *names,
                       const struct event_field *field)
{
    const unsigned char *next = event_quick_value(names, field, in->at, in->end, r->arena, r->event);
    if (next != NULL) {
        in->at = next;
        return true;
    }
    struct json value = {0};
    if (!json_take_value(in, &value))
        return false;
    if (!is_absent(&value))
        note(&r->fault, read_field(r, field, &value), field->name.data);
    if (field->type == FIELD_TEXT)
        r->is_plain = false;
    return true;
}

static bool take_member(struct event_reader *r, struct json_reader *in, const struct event_names *names,
                        struct members *members)
{
    enum topic topic = r->event->topic;
    const struct name *name = quick_key(in, &names->fields[topic]);
    uint32_t number = name != NULL ? name->number : 0;
    if (name == NULL) {
        struct span key;
        if (!take_key(in, &key))
            return false;
        const struct event_field *field = event_field_find(topic, key, NULL);
        if (field == NULL)
            return pass_value(in, members, key);
        number = (uint32_t)(field - names->field_list);
    }
    return is_first(members, number) && take_field(r, in, names, &names->field_list[number]);
}

/* An event out of its text, at the opening bracket: the same as read_event of the tree that it would be. False: it is
 * no JSON. */
static bool take_event(struct event_reader *r, enum topic topic, struct json_reader *in,
                       const struct event_names *names)
{
    struct members members;
    *r->event = names->blank[topic];
    r->is_plain = true;
    in->at++;
    if (open_members(in, &members))
        do {
            if (!take_member(r, in, names, &members))
                return false;
        } while (next_member(in));
    if (!close_members(in, &members))
        return false;
    end_event(r);
    return true;
}

/* What a line says beside its event. */
struct line_reader {
    struct json_reader in;
    struct event_reader event;
    struct fault topic_fault;
    struct fault time_fault;
    enum topic topic;
    int64_t received_at;
    struct span event_text; /* of an object; "" = there is none */
    bool is_taken;          /* it was read; else its topic stands behind it, or has a fault */
    struct json other;      /* what the event is instead of an object */
};

static bool take_topic(struct line_reader *r, const struct event_names *names)
{
    struct json_reader *in = &r->in;
    const struct name *name = name_find(&names->topics, in->at, in->end);
    if (name != NULL) {
        r->topic = (enum topic)name->number;
        r->topic_fault = (struct fault){0};
        in->at += name->size;
        return true;
    }
    struct json value = {0};
    if (!json_take_value(in, &value))
        return false;
    r->topic_fault.reason = read_topic(&value, &r->topic);
    return true;
}

static bool take_received_at(struct line_reader *r)
{
    const unsigned char *next = event_quick_time(r->in.at, r->in.end, &r->received_at);
    if (next != NULL) {
        r->in.at = next;
        return true;
    }
    struct json value = {0};
    if (!json_take_value(&r->in, &value))
        return false;
    if (!is_absent(&value))
        note(&r->time_fault, read_time(&value, &r->received_at), field_received_at);
    return true;
}

/* Past an object, whose brackets are counted. Nothing else is looked at: who reads it later sees what else it is. */
static bool pass_object(struct json_reader *in)
{
    bool in_text = false;
    for (int depth = 0; in->at < in->end; in->at++) {
        if (in_text)
            in->at = json_plain_end(in->at, in->end);
        if (in->at == in->end)
            return false;
        if (*in->at == '"')
            in_text = !in_text;
        else if (in_text)
            in->at += *in->at == '\\' && in->end - in->at > 1;
        else if (*in->at == '{' || *in->at == '[')
            depth++;
        else if ((*in->at == '}' || *in->at == ']') && --depth == 0)
            return json_take(in, '}');
    }
    return false;
}

/* Read as it comes when its topic is known, as it mostly is; else its place is kept. */
static bool take_line_event(struct line_reader *r, const struct event_names *names)
{
    const unsigned char *at = r->in.at;
    if (at == r->in.end || *at != '{')
        return json_take_value(&r->in, &r->other);
    bool has_topic = r->topic_fault.reason == REASON_NONE;
    bool taken = has_topic ? take_event(&r->event, r->topic, &r->in, names) : pass_object(&r->in);
    r->event_text = (struct span){(const char *)at, (size_t)(r->in.at - at)};
    r->is_taken = has_topic;
    return taken;
}

static bool take_line_member(struct line_reader *r, const struct event_names *names, struct members *members)
{
    const struct name *name = quick_key(&r->in, &names->line);
    uint32_t member = name != NULL ? name->number : 0;
    struct span key;
    if (name == NULL) {
        if (!take_key(&r->in, &key))
            return false;
        while (member < LINE_MEMBER_COUNT && !span_equal(line_member_name((enum line_member)member), key))
            member++;
        if (member == LINE_MEMBER_COUNT)
            return pass_value(&r->in, members, key);
    }
    if (!is_first(members, member))
        return false;
    return member == LINE_TOPIC   ? take_topic(r, names)
           : member == LINE_EVENT ? take_line_event(r, names)
                                  : take_received_at(r);
}

static bool take_line(struct line_reader *r)
{
    const struct event_names *names = event_names();
    struct members members;
    json_skip_space(&r->in);
    if (!json_take(&r->in, '{'))
        return false;
    if (open_members(&r->in, &members))
        do {
            if (!take_line_member(r, names, &members))
                return false;
        } while (next_member(&r->in));
    return close_members(&r->in, &members) && json_at_end(&r->in);
}

/* The event whose place was kept. False: it is no JSON. */
static bool take_kept_event(struct line_reader *r)
{
    r->in.at = (const unsigned char *)r->event_text.data;
    r->in.end = r->in.at + r->event_text.size;
    r->in.depth = 1;
    if (r->topic_fault.reason == REASON_NONE) {
        if (!take_event(&r->event, r->topic, &r->in, event_names()))
            return false;
    } else {
        struct json object = {0};
        if (!json_take_value(&r->in, &object))
            return false;
        *r->event.event = event_fields_blank(TOPIC_ORDERS);
        read_occurred_at(&r->event, &object);
    }
    return r->in.at == r->in.end;
}

/* The line's event after the line. False: it is no JSON. */
static bool end_line(struct line_reader *r)
{
    if (!span_empty(r->event_text))
        return r->is_taken || take_kept_event(r);
    *r->event.event = event_fields_blank(TOPIC_ORDERS);
    note(&r->event.fault, is_absent(&r->other) ? REASON_MISSING_FIELD : REASON_BAD_TYPE, field_event);
    return true;
}

enum reason event_json_read(struct span line, struct arena *arena, struct event *ret_event, int64_t *ret_received_at,
                            const char **ret_field)
{
    struct line_reader r = {.in = json_reader_of(line, arena, true),
                            .event = {.arena = arena, .event = ret_event},
                            .topic_fault = {REASON_MISSING_FIELD, "topic"},
                            .received_at = NEVER};
    if (!take_line(&r) || !end_line(&r)) {
        *ret_event = event_fields_blank(TOPIC_ORDERS);
        *ret_received_at = NEVER;
        *ret_field = NULL;
        return REASON_UNDECODABLE;
    }
    struct fault fault = r.time_fault; /* in this order, wherever in the line they stand */
    note(&fault, r.topic_fault.reason, r.topic_fault.field);
    note(&fault, r.event.fault.reason, r.event.fault.field);
    *ret_received_at = r.received_at;
    *ret_field = fault.field;
    return fault.reason;
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
    struct json_reader in = json_reader_of(line, arena, true);
    struct event_reader r = {.arena = arena, .event = ret_event};
    *ret_field = NULL;
    json_skip_space(&in);
    if (in.at == in.end || *in.at != '{' || !take_event(&r, topic, &in, event_names()) || !json_at_end(&in)) {
        *ret_event = event_fields_blank(topic);
        return REASON_UNDECODABLE;
    }
    *ret_field = r.fault.field;
    return r.fault.reason;
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
