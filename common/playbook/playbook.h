/* The compiled playbook: every threshold, table row, delay and message of DOMAIN.md as data. Made by playbook_compile from
 * YAML, immutable afterwards, shared by every customer; all memory belongs to the playbook.
 *
 * The engine reads this struct; it holds no pointer into YAML. The file format is documented in schemas/playbook.yaml itself
 * and in schemas/playbook.schema.json. */
#ifndef ORIORI_PLAYBOOK_PLAYBOOK_H
#define ORIORI_PLAYBOOK_PLAYBOOK_H

#include "common/base/buffer.h"
#include "common/base/timestamp.h"
#include "common/engine/event.h"
#include "common/engine/record.h"
#include "common/playbook/expression.h"
#include "common/playbook/known_rule.h"

/* ---- products (R17, R18) ---- */
enum role { ROLE_REGULAR, ROLE_TRIAL, ROLE_PREMIUM, ROLE_RELATED };
#define FIGURE_UNSTATED INT64_MIN

struct product {
    struct span name;
    struct span sku;            /* glob: * and ?, case-sensitive */
    enum role role;
    int64_t effect_after_ms;    /* FIGURE_UNSTATED: the playbook's default */
    int64_t supply_ms;
    int64_t transit_ms;
    int64_t settle_purchases;
};

/* ---- triggers and anchors (RULINGS.md D, H) ---- */
enum trigger_kind {
    TRIGGER_EVENT,             /* an order or delivery event: kinds is a bit set of enum event_kind (PLACED, RENEWED, FAILED) */
    TRIGGER_RESPONSE,          /* any response; purposes is a bit set of enum purpose */
    TRIGGER_CONCERN,           /* each concern of a response with one of purposes */
    TRIGGER_ENTERS,            /* a transition of dimension that comes to rest at value (R41) */
    TRIGGER_REACHES,           /* growth: the stage is passed or reached upward (R41) */
    TRIGGER_TIER_UP,           /* R37: a tier move up by an event, from one of from_tiers */
    TRIGGER_RETURNED,          /* R38 */
    TRIGGER_SEGMENT_UP,        /* a segment step up (not the first reading) */
    TRIGGER_REFERRAL_CONVERTED,/* R30 */
    TRIGGER_ANCHOR,            /* a fact that is re-read after every step (R49) */
    TRIGGER_CALENDAR           /* dates of the year at an hour in the customer's zone (R62) */
};
enum anchor_fact {
    ANCHOR_FIRST_DELIVERY,            /* of the cycle */
    ANCHOR_FIRST_PURCHASE_EVER,
    ANCHOR_FIRST_PURCHASE_OF_CYCLE,
    ANCHOR_LAST_PURCHASE,
    ANCHOR_EFFECT_FELT,
    ANCHOR_SUBSCRIPTION_SINCE
};
enum { ANCHOR_COUNT = ANCHOR_SUBSCRIPTION_SINCE + 1 };
struct calendar_date { int month; int day; }; /* from 1 */

struct trigger {
    enum trigger_kind kind;
    uint64_t kinds;         /* TRIGGER_EVENT: bit 1 << enum event_kind */
    uint32_t purposes;      /* TRIGGER_RESPONSE, _CONCERN: bit 1 << enum purpose; all bits = any response */
    enum dimension dimension;
    int value;              /* TRIGGER_ENTERS, _REACHES */
    bool unbroken;          /* TRIGGER_ENTERS: leaving the value ends the waiting run (R56) */
    uint32_t from_tiers;    /* TRIGGER_TIER_UP: bit 1 << enum tier */
    enum anchor_fact anchor;
    const struct calendar_date *dates;
    size_t date_count;
    int64_t time_of_day_ms; /* TRIGGER_CALENDAR: 09:00 = 9 h */
};

enum delay_kind { DELAY_FIXED, DELAY_EFFECT_AFTER, DELAY_SUPPLY }; /* the product figure of the anchor's order (R17) */
struct delay {
    enum delay_kind kind;
    int64_t ms; /* DELAY_FIXED */
};

/* R47: what the occurrence key is made of. */
enum once {
    ONCE_EVER, ONCE_CYCLE, ONCE_ORDER, ONCE_DELIVERY, ONCE_RESPONSE, ONCE_CONCERN, ONCE_FRIEND, ONCE_DATE, ONCE_TO
};
enum on_change { ON_CHANGE_KEEP, ON_CHANGE_RECOMPUTE, ON_CHANGE_DROP }; /* R81 */
enum on_cap { ON_CAP_DEFER, ON_CAP_DROP };                              /* R69 */

struct variant { struct span name; uint32_t until; }; /* cumulative share in 1/10000 (R72) */

/* R82; a measure for people, not for the engine. */
struct goal { struct span name; int64_t within_ms; };

struct rule {
    struct span name;           /* unique among the rules of the chosen strategy */
    int index;                  /* place in the playbook: the order of R2 */
    int known;                  /* its number among the known ones (known_rule.h); -1 = none of them */
    uint32_t name_hash;         /* lower half of XXH64 of the name: how the state knows the rule */
    struct trigger trigger;
    struct delay delay;
    const struct expression *conditions; /* tested in this order; the first that fails is the outcome's detail */
    size_t condition_count;
    bool repeats;
    int64_t every_ms;           /* R50 */
    int32_t times;              /* slots at most; 0 = no end */
    bool has_while;
    struct expression while_expression;
    uint64_t facts_read;        /* FACT_BITs of what the conditions and `while` name */
    enum once once;
    enum action_class class;
    enum audience audience;     /* customer; support and content for internal rules */
    enum channel channels[CHANNEL_COUNT]; /* in the rule's order */
    size_t channel_count;
    int64_t shelf_life_ms;      /* NEVER = never stale, never expires */
    int32_t priority;           /* high first */
    int64_t cooldown_ms;        /* R73; 0 = none */
    uint32_t holdout;           /* in 1/10000 (R72); 0 for non-marketing */
    const struct variant *variants;
    size_t variant_count;
    enum on_change on_change;
    enum on_cap on_cap;
    int64_t send_delay_ms;      /* R68: send_after = made_at + this; 0 by default */
    struct span template_name;
    struct span coupon;         /* playbook text, R80; "" = none */
    const struct span *contents; /* R62: rotation; count 0 = none */
    size_t content_count;
    struct span survey;         /* the purpose that the message asks for, "" = none (variable `survey`) */
    struct goal goal;           /* within_ms 0 = none */
};

struct rule_places { /* some of the rules, in playbook order */
    const uint32_t *places;
    size_t count;
};

/* A rule that events or transitions trigger: which of them at most. */
enum { MOMENT_KINDS = 64 };
struct rule_moment {
    uint64_t kinds;   /* bits 1 << enum event_kind */
    uint64_t classes; /* CLASS_BITs in which a transition ends */
    uint32_t place;   /* the rule's */
};

struct rule_anchor { /* a rule of TRIGGER_ANCHOR */
    enum anchor_fact anchor;
    uint32_t place; /* the rule's */
};

struct tier_row {
    enum tier tier;
    struct expression when;
};

struct playbook {
    struct span version;        /* as the file says */
    unsigned char hash[32];     /* SHA-256 of the file's bytes */
    uint64_t mark;              /* head of the hash, never 0: how a state knows its playbook */
    struct span currency;
    struct span time_zone;      /* IANA; the default for customers (R33) */
    int64_t window_start_ms, window_end_ms; /* R71: [start, end) of the local day */
    int32_t cap_day, cap_week;  /* R70 */
    uint32_t holdout;           /* in 1/10000: of marketing rules that state none (R72) */
    uint32_t global_control;    /* in 1/10000 (R72) */
    int64_t max_ahead_ms;       /* R6 */
    int64_t lapse_ms;           /* R29: lapse_days x 24 h */
    int64_t transit_ms, effect_after_ms, supply_ms, settle_purchases; /* the defaults of R17 */
    int64_t acclimate_after_ms; /* R40 */
    bool fallback_after_ship;   /* R16: delivery.fallback */
    const struct source_fallback { struct span source; bool after_ship; } *source_fallbacks;
    size_t source_fallback_count;
    bool first_purchase_is_trial;
    struct span strategy;       /* "educate", "commit_early" (R61); rules of other strategies are left out at compile time */
    int64_t history_facts, history_days; /* R11 */
    int64_t facts_max;          /* R11: 8192 */

    /* reactions (DOMAIN.md 3) and classes (R44) */
    int32_t positive_nps, positive_satisfaction, positive_satisfaction_nps; /* 9; 4 with nps >= 7 or absent */
    int32_t negative_nps, negative_satisfaction;                            /* <= 4; <= 2 */
    int32_t promoter_nps, passive_nps;                                      /* >= 9; >= 7 */
    int32_t high_satisfaction, mid_satisfaction;                            /* >= 4; >= 3 */
    int32_t advocate_nps;                                                   /* R40: 9 */

    const struct tier_row *tier_rows; /* from the top; the first that holds wins; no row = prospect */
    size_t tier_row_count;
    int32_t tier_rank[TIER_COUNT];    /* R36 */
    uint32_t returned_from;           /* R38: bit set of tiers: lapsed, dormant */
    uint32_t returned_to;             /* visitor, follower, supporter, partner */
    struct expression growth_when[GROWTH_COUNT]; /* own condition of each stage; [GROWTH_NONE] unused (R43) */

    uint64_t tier_facts, growth_facts; /* FACT_BITs of what the tables name */
    const struct day_boundary *boundaries; /* of the tier and growth tables: when time alone may move a customer */
    size_t boundary_count;

    const struct product *products; /* in playbook order */
    size_t product_count;
    const struct rule *rules;       /* in playbook order */
    size_t rule_count;
    const struct rule_anchor *anchored; /* in playbook order */
    size_t anchored_count;
    struct rule_places dated;       /* the rules of TRIGGER_CALENDAR */
    uint64_t stays;                 /* CLASS_BITs of the dimensions in which an unbroken stay counts for a rule (R56) */
    uint64_t dated_facts;           /* FACT_BITs of what the conditions of the latter name */
    const struct rule_moment *moments; /* of all rules but these, in playbook order */
    size_t moment_count;
    uint64_t moment_kinds;          /* all their kinds */
    struct rule_places of_kind[MOMENT_KINDS]; /* by enum event_kind: those of them that have it */
    struct known_rule known_rules[KNOWN_RULES]; /* by number: where each stands in this playbook */
};

/* One thing wrong with the file, for people: "playbook.yaml:12:7: rules[3].delay: expected a duration like 14d or
 * effect_after, found \"soon\"; nearest: ...". */
struct playbook_errors {
    struct buffer text; /* one line each */
    size_t count;
};

/* Compiles the YAML text. NULL when anything is wrong; all errors found are in *errors (file_name is only for them). */
struct playbook *playbook_compile(struct span yaml, const char *file_name, struct playbook_errors *errors);
void playbook_free(struct playbook *playbook); /* NULL is fine */

const struct rule *playbook_rule(const struct playbook *playbook, struct span name); /* NULL: none of that name */
bool glob_match(struct span pattern, struct span text); /* * and ?, case-sensitive */

#endif
