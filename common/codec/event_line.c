/* An event out of its text, once over it: event_json.c reads what is out of the ordinary. */
#include "common/codec/event_json.h"
#include "common/codec/event_json_private.h"
#include "common/codec/event_quick.h"
#include "common/codec/json_reader.h"

/* The time of a line whose event cannot be read as one of a topic. */
static void read_occurred_at(struct event_reader *r, const struct json *object)
{
    const struct json *value = json_member(object, SPAN("occurred_at"));
    enum reason reason =
        event_value_is_absent(value) ? REASON_MISSING_FIELD : event_read_time(value, &r->event->occurred_at);
    event_note(&r->fault, reason, "occurred_at");
}

static enum reason read_topic(const struct json *value, enum topic *ret_topic)
{
    if (event_value_is_absent(value))
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
    if (!event_value_is_absent(&value))
        event_note(&r->fault, event_read_field(r, field, &value), field->name.data);
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
    event_read_end(r);
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
    if (!event_value_is_absent(&value))
        event_note(&r->time_fault, event_read_time(&value, &r->received_at), "received_at");
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
    event_note(&r->event.fault, event_value_is_absent(&r->other) ? REASON_MISSING_FIELD : REASON_BAD_TYPE, "event");
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
    event_note(&fault, r.topic_fault.reason, r.topic_fault.field);
    event_note(&fault, r.event.fault.reason, r.event.fault.field);
    *ret_received_at = r.received_at;
    *ret_field = fault.field;
    return fault.reason;
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
