#include "common/engine/classes.h"

#include "common/base/check.h"

struct customer_classes classes_of(const struct figures *figures)
{
    struct fact_values values;
    figures_values(figures, figures->playbook->tier_facts | figures->playbook->growth_facts, &values);
    return (struct customer_classes){
        .tier = tier_of(figures, &values),
        .phase = phase_of(figures),
        .growth = growth_of(figures, &values),
        .segment = segment_of(figures),
        .cycle = figures->cycle,
    };
}

int classes_value(const struct customer_classes *classes, enum dimension dimension)
{
    switch (dimension) {
    case DIMENSION_TIER:
        return (int)classes->tier;
    case DIMENSION_PHASE:
        return (int)classes->phase;
    case DIMENSION_GROWTH:
        return (int)classes->growth;
    default:
        CHECK(dimension == DIMENSION_SEGMENT);
        return (int)classes->segment;
    }
}

enum direction classes_direction(const struct playbook *playbook, enum dimension dimension, int from, int to)
{
    if (from < 0 || (dimension == DIMENSION_SEGMENT && from == SEGMENT_UNKNOWN))
        return DIRECTION_ENTER; /* R13, R44: the first reading */
    if (dimension == DIMENSION_TIER)
        return playbook->tier_rank[to] > playbook->tier_rank[from] ? DIRECTION_UP : DIRECTION_DOWN; /* R36 */
    return to > from ? DIRECTION_UP : DIRECTION_DOWN;
}

int64_t classes_held_since(const struct figures *figures, struct arena *arena, enum dimension dimension, int64_t after)
{
    struct customer_classes classes = classes_of(figures);
    int wanted = classes_value(&classes, dimension);
    int64_t since = after, at = after;
    bool held = false;
    do {
        struct figures then;
        figures_compute(figures->facts, figures->playbook, arena, at, &then);
        classes = classes_of(&then);
        bool holds = classes_value(&classes, dimension) == wanted;
        if (holds && !held)
            since = at;
        held = holds;
        at = then.next_change_at;
    } while (at != NEVER && at <= figures->now);
    return since;
}

/* ---- evidence (R45) ---- */

struct evidence {
    struct named *items;
    size_t count;
};

static void add(struct evidence *evidence, const char *name, enum named_type type, int64_t value)
{
    evidence->items[evidence->count++] = (struct named){.name = span_of(name), .type = type, .integer = value};
}

static void add_optional(struct evidence *evidence, const char *name, bool known, int64_t value)
{
    add(evidence, name, known ? NAMED_INTEGER : NAMED_NULL, known ? value : 0);
}

static void tier_evidence(const struct figures *figures, struct evidence *evidence)
{
    bool bought = figures->last_purchase.at != NEVER;
    add(evidence, "registered", NAMED_BOOLEAN, figures->registered_email || figures->registered_line);
    add(evidence, "purchases", NAMED_INTEGER, figures->purchases);
    add(evidence, "trial", NAMED_INTEGER, figures->trial);
    add_optional(evidence, "days_since_last_purchase", bought,
                 bought ? floor_div(figures->now - figures->last_purchase.at, DAY_MS) : 0);
    add(evidence, "subscription", NAMED_BOOLEAN, figures->subscription);
    add(evidence, "positive_reactions", NAMED_INTEGER, figures->positive);
}

static void phase_evidence(const struct figures *figures, struct evidence *evidence)
{
    add(evidence, "purchases_in_cycle", NAMED_INTEGER, figures->purchases_in_cycle);
    add(evidence, "shipped", NAMED_INTEGER, figures->shipped_in_cycle);
    add_optional(evidence, "first_delivery_at", figures->first_delivery.at != NEVER, figures->first_delivery.at);
    add(evidence, "effect_felt", NAMED_BOOLEAN, figures->effect_felt.at != NEVER);
    add(evidence, "subscription", NAMED_BOOLEAN, figures->subscription);
    add_optional(evidence, "last_nps", figures->last_nps_in_cycle >= 0, figures->last_nps_in_cycle);
    add(evidence, "referrals", NAMED_INTEGER, figures->referrals_in_cycle);
    add(evidence, "shares", NAMED_INTEGER, figures->shares_in_cycle);
}

static void growth_evidence(const struct figures *figures, struct evidence *evidence)
{
    add(evidence, "purchases", NAMED_INTEGER, figures->purchases);
    add(evidence, "premium", NAMED_INTEGER, figures->premium);
    add(evidence, "related", NAMED_INTEGER, figures->related);
    add(evidence, "opens_60d", NAMED_INTEGER, figures->opens_60d);
    add(evidence, "clicks_60d", NAMED_INTEGER, figures->clicks_60d);
    add_optional(evidence, "last_nps", figures->last_nps >= 0, figures->last_nps);
    add(evidence, "referrals", NAMED_INTEGER, figures->referrals);
    add(evidence, "events_attended", NAMED_INTEGER, figures->events_attended);
    add(evidence, "renewals", NAMED_INTEGER, figures->renewals);
    add(evidence, "referrals_converted", NAMED_INTEGER, figures->referrals_converted);
}

static void segment_evidence(const struct figures *figures, struct arena *arena, struct evidence *evidence)
{
    if (figures->segment_response == FACT_NONE)
        return;
    const struct response *response = &figures->facts->responses[figures->segment_response];
    add_optional(evidence, "nps", response->nps >= 0, response->nps);
    add_optional(evidence, "satisfaction", response->satisfaction != 0, response->satisfaction);
    char hex[17]; /* the state keeps only the hash of an answer's id */
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)response->response);
    evidence->items[evidence->count++] = (struct named){
        .name = SPAN("response_id"), .type = NAMED_TEXT, .text = arena_copy(arena, (struct span){hex, 16})};
}

struct named_list classes_evidence(const struct figures *figures, struct arena *arena, enum dimension dimension)
{
    enum { EVIDENCE_MOST = 10 };
    struct evidence evidence = {ARENA_ARRAY(arena, struct named, EVIDENCE_MOST), 0};
    if (dimension == DIMENSION_TIER)
        tier_evidence(figures, &evidence);
    else if (dimension == DIMENSION_PHASE)
        phase_evidence(figures, &evidence);
    else if (dimension == DIMENSION_GROWTH)
        growth_evidence(figures, &evidence);
    else
        segment_evidence(figures, arena, &evidence);
    return (struct named_list){evidence.items, evidence.count};
}
