/* What a step says happened: transitions, actions, decisions, with the fields of R85 under the same names. Records live
 * in the batch's arena, in the order of R42 / seq; simulate prints them, the worker publishes them. */
#ifndef ORIORI_ENGINE_RECORD_H
#define ORIORI_ENGINE_RECORD_H

#include "common/base/span.h"
#include "common/base/timestamp.h"
#include "common/base/uuid.h"

#include <stdint.h>

enum dimension { DIMENSION_TIER, DIMENSION_PHASE, DIMENSION_GROWTH, DIMENSION_SEGMENT, DIMENSION_COUNT };
enum tier { TIER_PROSPECT, TIER_DORMANT, TIER_LAPSED, TIER_VISITOR, TIER_FOLLOWER, TIER_SUPPORTER, TIER_PARTNER, TIER_COUNT };
enum phase {
    PHASE_ASSESS, PHASE_ADMIT, PHASE_AFFIRM, PHASE_ACTIVATE, PHASE_ACCLIMATE, PHASE_ACCOMPLISH, PHASE_ADOPT,
    PHASE_ADVOCATE, PHASE_COUNT
};
enum growth {
    GROWTH_NONE, GROWTH_PURCHASER, GROWTH_CUSTOMER, GROWTH_ENTHUSIAST, GROWTH_AUDIENCE, GROWTH_FAN, GROWTH_MEMBER,
    GROWTH_EVANGELIST, GROWTH_COUNT
};
/* Ordered by (class, height): R44's rank. */
enum segment {
    SEGMENT_UNKNOWN,
    SEGMENT_DETRACTOR_LOW, SEGMENT_DETRACTOR_MID, SEGMENT_DETRACTOR_HIGH,
    SEGMENT_PASSIVE_LOW, SEGMENT_PASSIVE_MID, SEGMENT_PASSIVE_HIGH,
    SEGMENT_PROMOTER_LOW, SEGMENT_PROMOTER_MID, SEGMENT_PROMOTER_HIGH,
    SEGMENT_COUNT
};

/* The classes of all dimensions in one row. */
enum { CLASS_NUMBERS = 64, CLASSES_OF_A_DIMENSION = CLASS_NUMBERS / 4 };
#define CLASS_NUMBER(dimension, value) ((int)(dimension) * CLASSES_OF_A_DIMENSION + (int)(value))
#define CLASS_BIT(dimension, value)    (UINT64_C(1) << CLASS_NUMBER(dimension, value))            /* of a set of them */
#define CLASS_BITS(dimension)          ((CLASS_BIT(1, 0) - 1) << CLASS_NUMBER(dimension, 0))      /* all of a dimension */

enum direction { DIRECTION_ENTER, DIRECTION_UP, DIRECTION_DOWN };
enum cause { CAUSE_EVENT, CAUSE_TIME };
enum action_class { CLASS_MARKETING, CLASS_TRANSACTIONAL, CLASS_INTERNAL };
enum channel { CHANNEL_LINE, CHANNEL_EMAIL, CHANNEL_INSERT, CHANNEL_SERVICE, CHANNEL_COUNT };
enum audience { AUDIENCE_CUSTOMER, AUDIENCE_SUPPORT, AUDIENCE_CONTENT };
enum action_kind { ACTION_SEND, ACTION_REVOKE };
enum revoke_reason { REVOKE_NONE, REVOKE_ORDER_VOID, REVOKE_ERASED, REVOKE_OPTED_OUT, REVOKE_REFERRAL_WITHDRAWN };
enum outcome {
    OUTCOME_SENT, OUTCOME_DEFERRED, OUTCOME_PAUSED, OUTCOME_BACKFILL, OUTCOME_CONDITION, OUTCOME_WHILE, OUTCOME_STALE,
    OUTCOME_ERASED, OUTCOME_CONSENT, OUTCOME_HOLDOUT, OUTCOME_ONCE, OUTCOME_COOLDOWN, OUTCOME_CAPPED,
    OUTCOME_UNREACHABLE, OUTCOME_CANCELLED, OUTCOME_RULE_REMOVED, OUTCOME_DROPPED, OUTCOME_COUNT
};

/* One figure or word beside its name: evidence, values, variables. */
enum named_type { NAMED_NULL, NAMED_INTEGER, NAMED_BOOLEAN, NAMED_TEXT };
struct named {
    struct span name;
    enum named_type type;
    int64_t integer; /* also the boolean: 0 or 1 */
    struct span text;
};
struct named_list {
    const struct named *items;
    size_t count;
};

struct transition {
    enum dimension dimension;
    int from; /* enum of the dimension; -1 = null (first sight, R13) */
    int to;
    enum direction direction;
    bool rest; /* R41 */
    enum cause cause;
    struct span event_id; /* "" = null */
    int64_t effective_at; /* R3, R5 */
    int32_t cycle;
    bool returned; /* R38 */
    bool backfill; /* R7 */
    struct named_list evidence; /* R45 */
};

struct customer_classes { /* the state an action was decided in */
    enum tier tier;
    enum phase phase;
    enum growth growth;
    enum segment segment;
    int32_t cycle;
};

struct action {
    enum action_kind kind;
    struct uuid action_id; /* R77 */
    struct span rule;
    struct span key;
    int32_t n;
    struct span template_name;
    enum channel channel;
    enum audience audience;
    enum action_class class;
    struct customer_classes classes;
    struct span order_id; /* "" = null */
    struct span event_id; /* "" = null: a timer fired */
    int64_t due_at;
    int64_t made_at;
    int64_t send_after;
    int64_t expires_at; /* NEVER = null */
    struct named_list variables; /* R80 */
    struct span playbook_version;
    struct span variant; /* "" = null */
    enum revoke_reason reason;
    struct span trace; /* not of R85: the context that its message carries on, as in struct event; "" = none */
};

struct decision {
    struct span rule;
    struct span key;
    int32_t n;
    enum outcome outcome;
    struct span detail; /* "" = null */
    int64_t due_at;
    int64_t until; /* NEVER = null; of a deferral: when it is decided again */
    struct named_list values;
    struct span playbook_version;
    struct span event_id; /* "" = null */
};

enum record_type { RECORD_TRANSITION, RECORD_ACTION, RECORD_DECISION };

struct record {
    struct record *next;
    enum record_type type;
    int64_t at; /* the clock when it was noticed, UTC ms */
    struct span customer_id;
    int64_t seq; /* per customer, from 1, over all three types */
    union {
        struct transition transition;
        struct action action;
        struct decision decision;
    };
};

const char *dimension_name(enum dimension dimension);
const char *class_value_name(enum dimension dimension, int value); /* "visitor", "assess", "none", "promoter_high"; NULL for -1 */
bool class_value_find(enum dimension dimension, struct span name, int *ret_value);
const char *direction_name(enum direction direction);
const char *cause_name(enum cause cause);
const char *action_class_name(enum action_class class);
const char *channel_name(enum channel channel);
const char *audience_name(enum audience audience);
const char *action_kind_name(enum action_kind kind);
const char *revoke_reason_name(enum revoke_reason reason); /* NULL for REVOKE_NONE */
const char *outcome_name(enum outcome outcome);

#endif
