#include "common/engine/event.h"

#include "common/base/check.h"

static const char *const topic_names[TOPIC_COUNT] = {
    [TOPIC_ORDERS] = "orders",
    [TOPIC_DELIVERIES] = "deliveries",
    [TOPIC_SURVEYS] = "surveys",
    [TOPIC_EMAIL_OPENS] = "email-opens",
    [TOPIC_CUSTOMERS] = "customers",
};

static const struct {
    enum topic topic;
    const char *name;
} kind_names[EVENT_KIND_COUNT] = {
    [EVENT_PLACED] = {TOPIC_ORDERS, "PLACED"},
    [EVENT_CANCELLED] = {TOPIC_ORDERS, "CANCELLED"},
    [EVENT_REFUNDED] = {TOPIC_ORDERS, "REFUNDED"},
    [EVENT_SUBSCRIPTION_STARTED] = {TOPIC_ORDERS, "SUBSCRIPTION_STARTED"},
    [EVENT_SUBSCRIPTION_RENEWED] = {TOPIC_ORDERS, "SUBSCRIPTION_RENEWED"},
    [EVENT_SUBSCRIPTION_PAUSED] = {TOPIC_ORDERS, "SUBSCRIPTION_PAUSED"},
    [EVENT_SUBSCRIPTION_RESUMED] = {TOPIC_ORDERS, "SUBSCRIPTION_RESUMED"},
    [EVENT_SUBSCRIPTION_CANCELLED] = {TOPIC_ORDERS, "SUBSCRIPTION_CANCELLED"},
    [EVENT_SHIPPED] = {TOPIC_DELIVERIES, "SHIPPED"},
    [EVENT_DELIVERED] = {TOPIC_DELIVERIES, "DELIVERED"},
    [EVENT_FAILED] = {TOPIC_DELIVERIES, "FAILED"},
    [EVENT_RETURNED] = {TOPIC_DELIVERIES, "RETURNED"},
    [EVENT_RESPONSE] = {TOPIC_SURVEYS, "RESPONSE"},
    [EVENT_OPENED] = {TOPIC_EMAIL_OPENS, "OPENED"},
    [EVENT_CLICKED] = {TOPIC_EMAIL_OPENS, "CLICKED"},
    [EVENT_UNSUBSCRIBED] = {TOPIC_EMAIL_OPENS, "UNSUBSCRIBED"},
    [EVENT_BOUNCED] = {TOPIC_EMAIL_OPENS, "BOUNCED"},
    [EVENT_COMPLAINED] = {TOPIC_EMAIL_OPENS, "COMPLAINED"},
    [EVENT_REGISTERED] = {TOPIC_CUSTOMERS, "REGISTERED"},
    [EVENT_UNREGISTERED] = {TOPIC_CUSTOMERS, "UNREGISTERED"},
    [EVENT_CONSENTED] = {TOPIC_CUSTOMERS, "CONSENTED"},
    [EVENT_OPTED_OUT] = {TOPIC_CUSTOMERS, "OPTED_OUT"},
    [EVENT_REFERRED] = {TOPIC_CUSTOMERS, "REFERRED"},
    [EVENT_SHARED] = {TOPIC_CUSTOMERS, "SHARED"},
    [EVENT_EVENT_ATTENDED] = {TOPIC_CUSTOMERS, "EVENT_ATTENDED"},
    [EVENT_SUPPORT_CONTACTED] = {TOPIC_CUSTOMERS, "SUPPORT_CONTACTED"},
    [EVENT_ERASED] = {TOPIC_CUSTOMERS, "ERASED"},
    [EVENT_CREDIT] = {TOPIC_COUNT, "CREDIT"}, /* of no topic: never found by name */
};

static const char *const purpose_names[PURPOSE_COUNT] = {
    [PURPOSE_ASSESS] = "ASSESS",
    [PURPOSE_INITIAL] = "INITIAL",
    [PURPOSE_FIRST_IMPRESSION] = "FIRST_IMPRESSION",
    [PURPOSE_EARLY_EXPERIENCE] = "EARLY_EXPERIENCE",
    [PURPOSE_EFFECT] = "EFFECT",
    [PURPOSE_OTHERS_NOTICED] = "OTHERS_NOTICED",
    [PURPOSE_MONTHLY] = "MONTHLY",
    [PURPOSE_LAPSE] = "LAPSE",
};

static const char *const concern_names[CONCERN_COUNT] = {
    [CONCERN_QUALITY] = "quality", [CONCERN_PRICE] = "price", [CONCERN_SAFETY] = "safety",
    [CONCERN_EFFECT] = "effect",   [CONCERN_USAGE] = "usage", [CONCERN_OTHER] = "other",
};

static const char *const reason_names[REASON_COUNT] = {
    [REASON_NONE] = "none",
    [REASON_UNDECODABLE] = "undecodable",
    [REASON_UNKNOWN_SCHEMA] = "unknown_schema",
    [REASON_UNKNOWN_TOPIC] = "unknown_topic",
    [REASON_MISSING_FIELD] = "missing_field",
    [REASON_BAD_TYPE] = "bad_type",
    [REASON_BAD_ENUM] = "bad_enum",
    [REASON_OUT_OF_RANGE] = "out_of_range",
    [REASON_BAD_TEXT] = "bad_text",
    [REASON_FUTURE] = "future",
    [REASON_TOO_LATE] = "too_late",
    [REASON_TOO_MANY_FACTS] = "too_many_facts",
    [REASON_TOO_LARGE] = "too_large",
    [REASON_QUARANTINED] = "quarantined",
};

static bool find_name(const char *const *names, size_t count, struct span name, size_t *ret_index)
{
    for (size_t i = 0; i < count; i++) {
        if (span_equal(span_of(names[i]), name)) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

const char *topic_name(enum topic topic)
{
    CHECK(topic < TOPIC_COUNT);
    return topic_names[topic];
}

bool topic_find(struct span name, enum topic *ret_topic)
{
    size_t index;
    if (name.size > 4 && memcmp(name.data, "crm.", 4) == 0)
        name = (struct span){name.data + 4, name.size - 4};
    if (!find_name(topic_names, TOPIC_COUNT, name, &index))
        return false;
    *ret_topic = (enum topic)index;
    return true;
}

const char *event_kind_name(enum event_kind kind)
{
    CHECK(kind < EVENT_KIND_COUNT);
    return kind_names[kind].name;
}

bool event_kind_find(enum topic topic, struct span name, enum event_kind *ret_kind)
{
    for (size_t i = 0; i < EVENT_KIND_COUNT; i++) {
        if (kind_names[i].topic == topic && span_equal(span_of(kind_names[i].name), name)) {
            *ret_kind = (enum event_kind)i;
            return true;
        }
    }
    return false;
}

const char *purpose_name(enum purpose purpose)
{
    CHECK(purpose < PURPOSE_COUNT);
    return purpose_names[purpose];
}

bool purpose_find(struct span name, enum purpose *ret_purpose)
{
    size_t index;
    if (!find_name(purpose_names, PURPOSE_COUNT, name, &index))
        return false;
    *ret_purpose = (enum purpose)index;
    return true;
}

const char *concern_name(enum concern concern)
{
    CHECK(concern < CONCERN_COUNT);
    return concern_names[concern];
}

bool concern_find(struct span name, enum concern *ret_concern)
{
    size_t index;
    if (!find_name(concern_names, CONCERN_COUNT, name, &index))
        return false;
    *ret_concern = (enum concern)index;
    return true;
}

const char *reason_name(enum reason reason)
{
    CHECK(reason < REASON_COUNT);
    return reason_names[reason];
}

struct event event_blank(enum topic topic, enum event_kind kind)
{
    return (struct event){
        .topic = topic,
        .kind = kind,
        .occurred_at = NEVER,
        .refund_amount = REFUND_WHOLE,
        .estimated_at = NEVER,
        .nps = -1,
        .channel = EVENT_CHANNEL_EMAIL,
        .agent = AGENT_UNKNOWN,
    };
}

enum { ID_SIZE_MAX = 128, LABEL_SIZE_MAX = 64 };

/* Valid UTF-8 (no overlong forms, no surrogates, at most U+10FFFF) without control characters (R10). */
static bool text_is_clean(struct span text)
{
    const unsigned char *at = (const unsigned char *)(text.data ? text.data : ""), *end = at + text.size;
    at += span_plain(text);
    while (at < end) {
        unsigned char first = *at++;
        if (first < 0x80) {
            if (first < 0x20 || first == 0x7f)
                return false;
            continue;
        }
        int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
        if (first < 0xc2 || first > 0xf4 || end - at < more)
            return false;
        uint32_t code = first & (0x3fu >> more);
        for (int i = 0; i < more; i++) {
            if ((at[i] & 0xc0) != 0x80)
                return false;
            code = code << 6 | (at[i] & 0x3fu);
        }
        static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        if (code < least[more] || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff || (code >= 0x80 && code < 0xa0))
            return false;
        at += more;
    }
    return true;
}

static bool time_in_range(int64_t ms)
{
    return ms >= 0 && ms <= TIMESTAMP_MAX;
}

static enum reason fault(enum reason reason, const char *field, const char **ret_field)
{
    *ret_field = field;
    return reason;
}

static enum reason validate_texts(const struct event *event, const char **ret_field)
{
    const struct {
        struct span text;
        const char *field;
    } ids[] = {
        {event->event_id, "event_id"},
        {event->customer_id, "customer_id"},
        {event->order_id, "order_id"},
        {event->subscription_id, "subscription_id"},
        {event->referrer_customer_id, "referrer_customer_id"},
        {event->parcel_id, "parcel_id"},
        {event->survey_id, "survey_id"},
        {event->response_id, "response_id"},
        {event->action_id, "action_id"},
        {event->referred_customer_id, "referred_customer_id"},
    };
    for (size_t i = 0; i < COUNT_OF(ids); i++)
        if (!text_is_clean(ids[i].text))
            return fault(REASON_BAD_TEXT, ids[i].field, ret_field);
    return REASON_NONE;
}

static enum reason validate_ids(const struct event *event, const char **ret_field)
{
    if (event->customer_id.size > ID_SIZE_MAX)
        return fault(REASON_OUT_OF_RANGE, "customer_id", ret_field);
    if (event->referrer_customer_id.size > ID_SIZE_MAX)
        return fault(REASON_OUT_OF_RANGE, "referrer_customer_id", ret_field);
    if (event->referred_customer_id.size > ID_SIZE_MAX)
        return fault(REASON_OUT_OF_RANGE, "referred_customer_id", ret_field);
    return REASON_NONE;
}

static bool needs_order_id(const struct event *event)
{
    return event->topic == TOPIC_DELIVERIES || event->kind == EVENT_PLACED || event->kind == EVENT_CANCELLED ||
           event->kind == EVENT_REFUNDED;
}

static enum reason validate_values(const struct event *event, const char **ret_field)
{
    if (span_empty(event->event_id))
        return fault(REASON_MISSING_FIELD, "event_id", ret_field);
    if (span_empty(event->customer_id))
        return fault(REASON_MISSING_FIELD, "customer_id", ret_field);
    if (event->occurred_at == NEVER)
        return fault(REASON_MISSING_FIELD, "occurred_at", ret_field);
    if (!time_in_range(event->occurred_at))
        return fault(REASON_OUT_OF_RANGE, "occurred_at", ret_field);
    if (needs_order_id(event) && span_empty(event->order_id))
        return fault(REASON_MISSING_FIELD, "order_id", ret_field);
    if (event->topic == TOPIC_SURVEYS && span_empty(event->survey_id))
        return fault(REASON_MISSING_FIELD, "survey_id", ret_field);
    if (event->topic == TOPIC_SURVEYS && span_empty(event->response_id))
        return fault(REASON_MISSING_FIELD, "response_id", ret_field);
    if (event->estimated_at != NEVER && !time_in_range(event->estimated_at))
        return fault(REASON_OUT_OF_RANGE, "estimated_at", ret_field);
    if (event->nps < -1 || event->nps > 10)
        return fault(REASON_OUT_OF_RANGE, "nps", ret_field);
    if (event->satisfaction < 0 || event->satisfaction > 5)
        return fault(REASON_OUT_OF_RANGE, "satisfaction", ret_field);
    if (event->campaign.size > LABEL_SIZE_MAX)
        return fault(REASON_OUT_OF_RANGE, "campaign", ret_field);
    if (event->goal.size > LABEL_SIZE_MAX)
        return fault(REASON_OUT_OF_RANGE, "goal", ret_field);
    return REASON_NONE;
}

enum reason event_validate_plain(const struct event *event, const char **ret_field)
{
    enum reason reason = validate_values(event, ret_field);
    return reason != REASON_NONE ? reason : validate_ids(event, ret_field);
}

enum reason event_validate(const struct event *event, const char **ret_field)
{
    enum reason reason = validate_values(event, ret_field);
    if (reason == REASON_NONE)
        reason = validate_texts(event, ret_field);
    return reason != REASON_NONE ? reason : validate_ids(event, ret_field);
}
