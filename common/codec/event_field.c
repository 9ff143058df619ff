#include "common/codec/event_field.h"

#include "common/base/check.h"

#define ON(topic)  (1u << (topic))
#define ALL        (ON(TOPIC_COUNT) - 1)
#define ORDERS     ON(TOPIC_ORDERS)
#define DELIVERIES ON(TOPIC_DELIVERIES)
#define SURVEYS    ON(TOPIC_SURVEYS)
#define OPENS      ON(TOPIC_EMAIL_OPENS)
#define CUSTOMERS  ON(TOPIC_CUSTOMERS)
#define AT(member) offsetof(struct event, member)
#define ANY        INT64_MIN, INT64_MAX

static const struct event_field fields[] = {
    {SPAN("event_id"), ALL, FIELD_TEXT, AT(event_id), ANY},
    {SPAN("customer_id"), ALL, FIELD_TEXT, AT(customer_id), ANY},
    {SPAN("occurred_at"), ALL, FIELD_TIME, AT(occurred_at), ANY},
    {SPAN("source"), ALL, FIELD_TEXT, AT(source), ANY},
    {SPAN("version"), ALL, FIELD_INTEGER, AT(version), ANY},
    {SPAN("backfill"), ALL, FIELD_BOOLEAN, AT(backfill), ANY},
    {SPAN("test"), ALL, FIELD_BOOLEAN, AT(test), ANY},
    {SPAN("kind"), ALL & ~SURVEYS, FIELD_KIND, AT(kind), ANY},
    {SPAN("order_id"), ORDERS | DELIVERIES, FIELD_TEXT, AT(order_id), ANY},
    {SPAN("lines"), ORDERS, FIELD_LINES, AT(lines), ANY},
    {SPAN("currency"), ORDERS, FIELD_TEXT, AT(currency), ANY},
    {SPAN("subscription_id"), ORDERS, FIELD_TEXT, AT(subscription_id), ANY},
    {SPAN("referrer_customer_id"), ORDERS, FIELD_TEXT, AT(referrer_customer_id), ANY},
    {SPAN("coupon"), ORDERS, FIELD_TEXT, AT(coupon), ANY},
    {SPAN("campaign"), ORDERS | OPENS, FIELD_TEXT, AT(campaign), ANY},
    {SPAN("refund_amount"), ORDERS, FIELD_INTEGER, AT(refund_amount), REFUND_WHOLE + 1, INT64_MAX},
    {SPAN("email_registered"), ORDERS, FIELD_ANSWER, AT(email_registered), ANY},
    {SPAN("line_registered"), ORDERS, FIELD_ANSWER, AT(line_registered), ANY},
    {SPAN("marketing_consent"), ORDERS | CUSTOMERS, FIELD_ANSWER, AT(marketing_consent), ANY},
    {SPAN("time_zone"), ORDERS | CUSTOMERS, FIELD_TEXT, AT(time_zone), ANY},
    {SPAN("parcel_id"), DELIVERIES, FIELD_TEXT, AT(parcel_id), ANY},
    {SPAN("carrier"), DELIVERIES, FIELD_TEXT, AT(carrier), ANY},
    {SPAN("tracking"), DELIVERIES, FIELD_TEXT, AT(tracking), ANY},
    {SPAN("estimated_at"), DELIVERIES, FIELD_TIME, AT(estimated_at), ANY},
    {SPAN("survey_id"), SURVEYS, FIELD_TEXT, AT(survey_id), ANY},
    {SPAN("response_id"), SURVEYS, FIELD_TEXT, AT(response_id), ANY},
    {SPAN("purpose"), SURVEYS, FIELD_PURPOSE, AT(purpose), ANY},
    {SPAN("satisfaction"), SURVEYS, FIELD_SCORE, AT(satisfaction), 1, 5},
    {SPAN("nps"), SURVEYS, FIELD_SCORE, AT(nps), 0, 10},
    {SPAN("effect_felt"), SURVEYS, FIELD_ANSWER, AT(effect_felt), ANY},
    {SPAN("goal"), SURVEYS, FIELD_TEXT, AT(goal), ANY},
    {SPAN("concerns"), SURVEYS, FIELD_CONCERNS, AT(concerns), ANY},
    {SPAN("consent_to_share"), SURVEYS, FIELD_ANSWER, AT(consent_to_share), ANY},
    {SPAN("comment"), SURVEYS, FIELD_UNUSED_TEXT, 0, ANY},
    {SPAN("answers"), SURVEYS, FIELD_UNUSED_TEXTS, 0, ANY},
    {SPAN("action_id"), OPENS, FIELD_TEXT, AT(action_id), ANY},
    {SPAN("channel"), OPENS | CUSTOMERS, FIELD_CHANNEL, AT(channel), ANY},
    {SPAN("agent"), OPENS, FIELD_AGENT, AT(agent), ANY},
    {SPAN("referred_customer_id"), CUSTOMERS, FIELD_TEXT, AT(referred_customer_id), ANY},
    {SPAN("note"), CUSTOMERS, FIELD_UNUSED_TEXT, 0, ANY},
};

static const char *const channel_names[] = {[EVENT_CHANNEL_EMAIL] = "EMAIL", [EVENT_CHANNEL_LINE] = "LINE"};
static const char *const agent_names[] = {
    [AGENT_UNKNOWN] = "UNKNOWN", [AGENT_HUMAN] = "HUMAN", [AGENT_MACHINE] = "MACHINE"};

const struct event_field *event_fields(size_t *ret_count)
{
    *ret_count = COUNT_OF(fields);
    return fields;
}

static const struct event_field *find_between(enum topic topic, struct span name, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (fields[i].name.size == name.size && (fields[i].topics & ON(topic)) != 0 &&
            memcmp(fields[i].name.data, name.data, name.size) == 0)
            return &fields[i];
    return NULL;
}

const struct event_field *event_field_find(enum topic topic, struct span name, const struct event_field *before)
{
    size_t from = before != NULL ? (size_t)(before - fields) + 1 : 0;
    const struct event_field *field = find_between(topic, name, from, COUNT_OF(fields));
    return field != NULL ? field : find_between(topic, name, 0, from);
}

static int find_symbol(const char *const *names, int count, struct span name)
{
    for (int i = 0; i < count; i++)
        if (span_equal(span_of(names[i]), name))
            return i;
    return -1;
}

int event_field_symbol(const struct event_field *field, enum topic topic, struct span name)
{
    enum event_kind kind;
    enum purpose purpose;
    enum concern concern;
    switch (field->type) {
    case FIELD_KIND:
        return event_kind_find(topic, name, &kind) ? (int)kind : -1;
    case FIELD_PURPOSE:
        return purpose_find(name, &purpose) ? (int)purpose : -1;
    case FIELD_CONCERNS:
        return concern_find(name, &concern) ? (int)concern : -1;
    case FIELD_CHANNEL:
        return find_symbol(channel_names, COUNT_OF(channel_names), name);
    case FIELD_AGENT:
        return find_symbol(agent_names, COUNT_OF(agent_names), name);
    default:
        CHECK(!"a field with symbols");
        return -1; /* unreachable, but not for every compiler */
    }
}

const char *event_field_symbol_name(const struct event_field *field, int value)
{
    switch (field->type) {
    case FIELD_KIND:
        return event_kind_name((enum event_kind)value);
    case FIELD_PURPOSE:
        return purpose_name((enum purpose)value);
    case FIELD_CONCERNS:
        return concern_name((enum concern)value);
    case FIELD_CHANNEL:
        return channel_names[value];
    case FIELD_AGENT:
        return agent_names[value];
    default:
        CHECK(!"a field with symbols");
        return NULL; /* unreachable, but not for every compiler */
    }
}

void event_field_set_symbol(const struct event_field *field, struct event *event, int value)
{
    switch (field->type) {
    case FIELD_KIND:
        event->kind = (enum event_kind)value;
        break;
    case FIELD_PURPOSE:
        event->purpose = (enum purpose)value;
        break;
    case FIELD_CONCERNS:
        event->concerns |= 1u << value;
        break;
    case FIELD_CHANNEL:
        event->channel = (enum event_channel)value;
        break;
    case FIELD_AGENT:
        event->agent = (enum event_agent)value;
        break;
    default:
        CHECK(!"a field with symbols");
    }
}

struct event event_fields_blank(enum topic topic)
{
    struct event event = event_blank(topic, topic == TOPIC_SURVEYS ? EVENT_RESPONSE : EVENT_KIND_COUNT);
    event.purpose = topic == TOPIC_SURVEYS ? PURPOSE_COUNT : PURPOSE_ASSESS;
    return event;
}

const char *event_fields_missing(const struct event *event)
{
    if (event->kind == EVENT_KIND_COUNT)
        return "kind";
    if (event->purpose == PURPOSE_COUNT)
        return "purpose";
    return NULL;
}
