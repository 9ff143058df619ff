#include "common/engine/record.h"

#include "common/base/check.h"

static const char *const tier_names[] = {"prospect", "dormant", "lapsed", "visitor", "follower", "supporter", "partner"};
static const char *const phase_names[] = {"assess",    "admit",      "affirm", "activate",
                                          "acclimate", "accomplish", "adopt",  "advocate"};
static const char *const growth_names[] = {"none",     "purchaser", "customer", "enthusiast",
                                           "audience", "fan",       "member",   "evangelist"};
static const char *const segment_names[] = {"unknown",      "detractor_low", "detractor_mid", "detractor_high", "passive_low",
                                            "passive_mid",  "passive_high",  "promoter_low",  "promoter_mid",
                                            "promoter_high"};
static const char *const dimension_names[] = {"tier", "phase", "growth", "segment"};
static const char *const direction_names[] = {"enter", "up", "down"};
static const char *const cause_names[] = {"event", "time"};
static const char *const action_class_names[] = {"marketing", "transactional", "internal"};
static const char *const channel_names[] = {"line", "email", "insert", "service"};
static const char *const audience_names[] = {"customer", "support", "content"};
static const char *const action_kind_names[] = {"send", "revoke"};
static const char *const revoke_reason_names[] = {NULL, "order_void", "erased", "opted_out", "referral_withdrawn"};
static const char *const outcome_names[] = {"sent",    "deferred",  "paused",       "backfill", "condition",  "while",
                                            "stale",   "erased",    "consent",      "holdout",  "once",       "cooldown",
                                            "capped",  "unreachable", "cancelled", "rule_removed", "dropped"};

static const struct {
    const char *const *names;
    int count;
} class_names[DIMENSION_COUNT] = {
    [DIMENSION_TIER] = {tier_names, TIER_COUNT},
    [DIMENSION_PHASE] = {phase_names, PHASE_COUNT},
    [DIMENSION_GROWTH] = {growth_names, GROWTH_COUNT},
    [DIMENSION_SEGMENT] = {segment_names, SEGMENT_COUNT},
};

static const char *name_at(const char *const *names, size_t count, size_t index)
{
    CHECK(index < count);
    return names[index];
}
#define NAME_AT(names, index) name_at((names), COUNT_OF(names), (size_t)(index))

const char *dimension_name(enum dimension dimension)
{
    return NAME_AT(dimension_names, dimension);
}

const char *class_value_name(enum dimension dimension, int value)
{
    CHECK(dimension < DIMENSION_COUNT);
    return value < 0 ? NULL : name_at(class_names[dimension].names, (size_t)class_names[dimension].count, (size_t)value);
}

bool class_value_find(enum dimension dimension, struct span name, int *ret_value)
{
    CHECK(dimension < DIMENSION_COUNT);
    for (int i = 0; i < class_names[dimension].count; i++) {
        if (span_equal(span_of(class_names[dimension].names[i]), name)) {
            *ret_value = i;
            return true;
        }
    }
    return false;
}

const char *direction_name(enum direction direction)
{
    return NAME_AT(direction_names, direction);
}

const char *cause_name(enum cause cause)
{
    return NAME_AT(cause_names, cause);
}

const char *action_class_name(enum action_class class)
{
    return NAME_AT(action_class_names, class);
}

const char *channel_name(enum channel channel)
{
    return NAME_AT(channel_names, channel);
}

const char *audience_name(enum audience audience)
{
    return NAME_AT(audience_names, audience);
}

const char *action_kind_name(enum action_kind kind)
{
    return NAME_AT(action_kind_names, kind);
}

const char *revoke_reason_name(enum revoke_reason reason)
{
    return NAME_AT(revoke_reason_names, reason);
}

const char *outcome_name(enum outcome outcome)
{
    return NAME_AT(outcome_names, outcome);
}
