/* One event as the engine sees it, whatever it was written in (Avro, JSON, a forward). Fields are those of RULINGS.md
 * R34; "" and null are absent (R86). Every span borrows from the batch.
 *
 * Decoders promise: required fields present (R86), enums known, nps 0..10, satisfaction 1..5, campaign and goal at most
 * 64 bytes, times 0 .. 2^47, ids valid UTF-8 without control characters, customer_id 1..128 bytes. event_validate checks
 * exactly that and is used by decoders, fuzzers and tests. What needs the clock or the state (future, too_late,
 * too_many_facts) is judged by the step. */
#ifndef ORIORI_ENGINE_EVENT_H
#define ORIORI_ENGINE_EVENT_H

#include "common/base/span.h"
#include "common/base/timestamp.h"

#include <stdint.h>

enum topic { TOPIC_ORDERS, TOPIC_DELIVERIES, TOPIC_SURVEYS, TOPIC_EMAIL_OPENS, TOPIC_CUSTOMERS, TOPIC_COUNT };

enum event_kind {
    /* orders */
    EVENT_PLACED, EVENT_CANCELLED, EVENT_REFUNDED, EVENT_SUBSCRIPTION_STARTED, EVENT_SUBSCRIPTION_RENEWED,
    EVENT_SUBSCRIPTION_PAUSED, EVENT_SUBSCRIPTION_RESUMED, EVENT_SUBSCRIPTION_CANCELLED,
    /* deliveries */
    EVENT_SHIPPED, EVENT_DELIVERED, EVENT_FAILED, EVENT_RETURNED,
    /* surveys */
    EVENT_RESPONSE,
    /* email-opens */
    EVENT_OPENED, EVENT_CLICKED, EVENT_UNSUBSCRIBED, EVENT_BOUNCED, EVENT_COMPLAINED,
    /* customers */
    EVENT_REGISTERED, EVENT_UNREGISTERED, EVENT_CONSENTED, EVENT_OPTED_OUT, EVENT_REFERRED, EVENT_SHARED,
    EVENT_EVENT_ATTENDED, EVENT_SUPPORT_CONTACTED, EVENT_ERASED,
    /* internal: a friend's credit on its way to the referrer (R30); never in an input topic, never counted as an event */
    EVENT_CREDIT,
    EVENT_KIND_COUNT
};

enum event_channel { EVENT_CHANNEL_EMAIL, EVENT_CHANNEL_LINE };
enum event_agent { AGENT_UNKNOWN, AGENT_HUMAN, AGENT_MACHINE };
enum purpose {
    PURPOSE_ASSESS, PURPOSE_INITIAL, PURPOSE_FIRST_IMPRESSION, PURPOSE_EARLY_EXPERIENCE, PURPOSE_EFFECT,
    PURPOSE_OTHERS_NOTICED, PURPOSE_MONTHLY, PURPOSE_LAPSE, PURPOSE_COUNT
};
enum concern {
    CONCERN_QUALITY, CONCERN_PRICE, CONCERN_SAFETY, CONCERN_EFFECT, CONCERN_USAGE, CONCERN_OTHER, CONCERN_COUNT
};
enum answer { ANSWER_ABSENT, ANSWER_FALSE, ANSWER_TRUE }; /* an optional boolean */

struct order_line {
    struct span sku;
    int64_t quantity;   /* absent = 1 */
    int64_t unit_price; /* minor units; absent = 0 */
};

/* What a friend's facts credit his referrer with, whole, never +1/-1 (R30). */
struct credit {
    struct span friend_id;
    bool standing;            /* false: no live order of the friend names the referrer (any more) */
    bool by_erasure;          /* the friend was erased: counts go back, nothing is revoked (R31) */
    struct span order_id;     /* earliest live order naming the referrer */
    int64_t order_at;         /* its time; the reward's anchor */
    bool order_backfill;      /* that order is a backfill fact (R7) */
};

#define REFUND_WHOLE INT64_MIN /* no amount stated (R14) */

struct event {
    enum topic topic;
    enum event_kind kind;
    struct span event_id;
    struct span customer_id;
    struct span source;      /* "" when absent */
    int64_t occurred_at;     /* UTC ms */
    int64_t version;         /* 0 when absent */
    bool backfill;
    bool test;

    /* orders */
    struct span order_id;
    const struct order_line *lines;
    size_t line_count;
    struct span currency;    /* "" = the playbook's */
    struct span subscription_id;
    struct span referrer_customer_id;
    struct span coupon;
    int64_t refund_amount;   /* minor units, also below 0 (R86); REFUND_WHOLE = absent */
    enum answer email_registered;
    enum answer line_registered;

    /* orders and email-opens */
    struct span campaign;

    /* orders and customers */
    enum answer marketing_consent;
    struct span time_zone;

    /* deliveries */
    struct span parcel_id;   /* "" = the order's one parcel without a name */
    struct span carrier;
    struct span tracking;
    int64_t estimated_at;    /* NEVER = absent */

    /* surveys */
    struct span survey_id;
    struct span response_id;
    enum purpose purpose;
    int32_t satisfaction;    /* 1..5; 0 = absent */
    int32_t nps;             /* 0..10; -1 = absent */
    enum answer effect_felt;
    struct span goal;
    uint32_t concerns;       /* bit set of enum concern */
    enum answer consent_to_share;

    /* email-opens and customers */
    struct span action_id;
    enum event_channel channel;
    enum event_agent agent;
    struct span referred_customer_id;

    struct credit credit;    /* EVENT_CREDIT only */

    /* What the record says beside its value: the sampled W3C trace context of its header `traceparent`, as
     * trace_context_keep writes it; "" = none. Nothing is decided by it: it goes with what the event causes. */
    struct span trace;
};

/* Why a record is not applied: the reason codes of crm.dead, in words that never change. */
enum reason {
    REASON_NONE,
    REASON_UNDECODABLE,      /* bytes that are no Avro (or JSON) of the schema they claim */
    REASON_UNKNOWN_SCHEMA,
    REASON_UNKNOWN_TOPIC,
    REASON_MISSING_FIELD,
    REASON_BAD_TYPE,
    REASON_BAD_ENUM,
    REASON_OUT_OF_RANGE,     /* nps, satisfaction, time outside 0 .. 2^47, text too long */
    REASON_BAD_TEXT,         /* invalid UTF-8, control characters in an id (R10) */
    REASON_FUTURE,           /* R6 */
    REASON_TOO_LATE,         /* R11 */
    REASON_TOO_MANY_FACTS,   /* R11 */
    REASON_TOO_LARGE,
    REASON_QUARANTINED,
    REASON_COUNT
};

const char *topic_name(enum topic topic);           /* "orders" ... */
bool topic_find(struct span name, enum topic *ret_topic); /* "orders" and "crm.orders" (R86) */
const char *event_kind_name(enum event_kind kind);  /* "PLACED" ...; "SUBSCRIPTION_RENEWED" */
bool event_kind_find(enum topic topic, struct span name, enum event_kind *ret_kind);
const char *purpose_name(enum purpose purpose);     /* "ASSESS" ... */
bool purpose_find(struct span name, enum purpose *ret_purpose);
const char *concern_name(enum concern concern);     /* "quality" ... */
bool concern_find(struct span name, enum concern *ret_concern);
const char *reason_name(enum reason reason);        /* "undecodable" ... */

/* A new event with every optional field absent. */
struct event event_blank(enum topic topic, enum event_kind kind);

/* REASON_NONE when the promises above hold; else the reason, and the field's name in *ret_field (a literal). */
enum reason event_validate(const struct event *event, const char **ret_field);
/* The same for who knows already that every text of the event is printable ASCII, as most are. */
enum reason event_validate_plain(const struct event *event, const char **ret_field);

#endif
