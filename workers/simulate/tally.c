#include "workers/simulate/tally.h"

#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/codec/json.h"

enum { FIRST_ZONE_SLOTS = 64 };

void tally_init(struct tally *tally)
{
    *tally = (struct tally){0};
}

void tally_release(struct tally *tally)
{
    for (size_t i = 0; i < tally->rule_count; i++)
        free((char *)tally->rules[i].name.data);
    free(tally->rules);
    free(tally->unknown_zones);
    *tally = (struct tally){0};
}

void tally_verdict(struct tally *tally, enum verdict verdict)
{
    int64_t *const counts[] = {
        [VERDICT_APPLIED] = &tally->applied, [VERDICT_DUPLICATE] = &tally->duplicate, [VERDICT_TEST] = &tally->test,
        [VERDICT_ERASED] = &tally->erased,   [VERDICT_DEAD] = &tally->dead_letter,
    };
    CHECK(verdict < COUNT_OF(counts));
    ++*counts[verdict];
}

static struct tally_rule *rule_find(struct tally *tally, struct span name)
{
    for (size_t i = 0; i < tally->rule_count; i++)
        if (span_equal(tally->rules[i].name, name))
            return &tally->rules[i];
    return NULL;
}

static struct tally_rule *rule_new(struct tally *tally, struct span name)
{
    CHECK(tally->rule_count < RULES_MAX);
    tally->rules = realloc(tally->rules, (tally->rule_count + 1) * sizeof *tally->rules);
    char *copy = malloc(name.size + 1);
    CHECK(tally->rules != NULL && copy != NULL);
    memcpy(copy, name.data, name.size);
    tally->rules[tally->rule_count] = (struct tally_rule){.name = {copy, name.size}};
    return &tally->rules[tally->rule_count++];
}

/* Most names are the playbook's own texts, so where one lies mostly says which it is. */
static struct tally_rule *rule_of(struct tally *tally, struct span name)
{
    size_t place = ((uintptr_t)name.data >> 3 ^ (uintptr_t)name.data >> 9) % RULES_MET;
    uint32_t guess = tally->met[place].rule;
    if (tally->met[place].name == name.data && name.data != NULL && span_equal(tally->rules[guess].name, name))
        return &tally->rules[guess];
    struct tally_rule *rule = rule_find(tally, name);
    if (rule == NULL)
        rule = rule_new(tally, name);
    tally->met[place].name = name.data;
    tally->met[place].rule = (uint32_t)(rule - tally->rules);
    return rule;
}

void tally_record(struct tally *tally, const struct record *record)
{
    const struct transition *t = &record->transition;
    switch (record->type) {
    case RECORD_TRANSITION:
        CHECK(t->from >= -1 && t->from < CLASS_VALUES_MAX && t->to >= 0 && t->to < CLASS_VALUES_MAX);
        tally->transitions[t->dimension][t->from + 1][t->to]++;
        break;
    case RECORD_ACTION:
        if (record->action.kind == ACTION_REVOKE)
            tally->revokes++;
        else
            rule_of(tally, record->action.rule)->sends++;
        break;
    case RECORD_DECISION:
        rule_of(tally, record->decision.rule)->outcomes[record->decision.outcome]++;
        break;
    }
}

void tally_counts(struct tally *tally, const struct playbook *playbook, const struct rule_counts *counts)
{
    for (size_t i = 0; i < playbook->rule_count; i++) {
        struct tally_rule *rule = rule_of(tally, playbook->rules[i].name);
        for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++)
            rule->outcomes[outcome] += counts[i].outcomes[outcome];
        rule->sends += counts[i].sends;
    }
}

static bool zone_insert(uint64_t *slots, size_t slot_count, uint64_t hash)
{
    for (size_t i = hash & (slot_count - 1);; i = (i + 1) & (slot_count - 1)) {
        if (slots[i] == hash)
            return false;
        if (slots[i] == 0) {
            slots[i] = hash;
            return true;
        }
    }
}

static void zones_grow(struct tally *tally)
{
    size_t slot_count = tally->unknown_zone_slots ? 2 * tally->unknown_zone_slots : FIRST_ZONE_SLOTS;
    uint64_t *slots = calloc(slot_count, sizeof *slots);
    CHECK(slots != NULL);
    for (size_t i = 0; i < tally->unknown_zone_slots; i++)
        if (tally->unknown_zones[i] != 0)
            zone_insert(slots, slot_count, tally->unknown_zones[i]);
    free(tally->unknown_zones);
    tally->unknown_zones = slots;
    tally->unknown_zone_slots = slot_count;
}

void tally_unknown_zone(struct tally *tally, struct span name)
{
    if (2 * (tally->unknown_zone_count + 1) > tally->unknown_zone_slots)
        zones_grow(tally);
    uint64_t hash = hash_xxh64(name);
    tally->unknown_zone_count += zone_insert(tally->unknown_zones, tally->unknown_zone_slots, hash != 0 ? hash : 1);
}

void tally_customer(struct tally *tally, const struct customer_report *report)
{
    if (report->erased)
        return;
    tally->members[DIMENSION_TIER][report->classes.tier]++;
    tally->members[DIMENSION_PHASE][report->classes.phase]++;
    tally->members[DIMENSION_GROWTH][report->classes.growth]++;
    tally->members[DIMENSION_SEGMENT][report->classes.segment]++;
}

/* ---- the record ---- */

/* `"key":` behind a comma, unless it is the first of its object. */
static void add_key(struct buffer *buffer, struct span key)
{
    if (buffer->data[buffer->size - 1] != '{')
        buffer_add_char(buffer, ',');
    json_add_text(buffer, key);
    buffer_add_char(buffer, ':');
}

static void add_count(struct buffer *buffer, const char *key, int64_t count)
{
    add_key(buffer, span_of(key));
    buffer_add_integer(buffer, count);
}

static void open_object(struct buffer *buffer, const char *key)
{
    add_key(buffer, span_of(key));
    buffer_add_char(buffer, '{');
}

static void add_events(const struct tally *tally, struct buffer *buffer)
{
    open_object(buffer, "events");
    add_count(buffer, "read", tally->read);
    add_count(buffer, "applied", tally->applied);
    add_count(buffer, "duplicate", tally->duplicate);
    add_count(buffer, "test", tally->test);
    add_count(buffer, "erased", tally->erased);
    add_count(buffer, "dead_letter", tally->dead_letter);
    buffer_add_char(buffer, '}');
}

static void add_dimension(const struct tally *tally, enum dimension dimension, struct buffer *buffer)
{
    char key[64];
    open_object(buffer, dimension_name(dimension));
    for (int from = -1; from < CLASS_VALUES_MAX; from++) {
        for (int to = 0; to < CLASS_VALUES_MAX; to++) {
            int64_t count = tally->transitions[dimension][from + 1][to];
            if (count == 0)
                continue;
            snprintf(key, sizeof key, "%s>%s", from < 0 ? "null" : class_value_name(dimension, from),
                     class_value_name(dimension, to));
            add_count(buffer, key, count);
        }
    }
    buffer_add_char(buffer, '}');
}

static int compare_rules(const void *a, const void *b)
{
    return span_compare((*(const struct tally_rule *const *)a)->name, (*(const struct tally_rule *const *)b)->name);
}

/* The rules by name, so that two runs can be compared as text. To be freed. */
static const struct tally_rule **sorted_rules(const struct tally *tally)
{
    const struct tally_rule **sorted = malloc((tally->rule_count + 1) * sizeof(*sorted));
    CHECK(sorted != NULL);
    for (size_t i = 0; i < tally->rule_count; i++)
        sorted[i] = &tally->rules[i];
    qsort(sorted, tally->rule_count, sizeof(*sorted), compare_rules);
    return sorted;
}

static void add_outcomes(const struct tally_rule *rule, struct buffer *buffer)
{
    int64_t sum = 0;
    for (int i = 0; i < OUTCOME_COUNT; i++)
        sum += rule->outcomes[i];
    if (sum == 0)
        return;
    add_key(buffer, rule->name);
    buffer_add_char(buffer, '{');
    for (int i = 0; i < OUTCOME_COUNT; i++)
        if (rule->outcomes[i] != 0)
            add_count(buffer, outcome_name((enum outcome)i), rule->outcomes[i]);
    buffer_add_char(buffer, '}');
}

static void add_rules(const struct tally *tally, struct buffer *buffer)
{
    const struct tally_rule **rules = sorted_rules(tally);
    open_object(buffer, "decisions");
    for (size_t i = 0; i < tally->rule_count; i++)
        add_outcomes(rules[i], buffer);
    buffer_add_char(buffer, '}');
    open_object(buffer, "actions");
    for (size_t i = 0; i < tally->rule_count; i++) {
        if (rules[i]->sends == 0)
            continue;
        add_key(buffer, rules[i]->name);
        buffer_add_integer(buffer, rules[i]->sends);
    }
    buffer_add_char(buffer, '}');
    add_count(buffer, "revokes", tally->revokes);
    free(rules);
}

static void add_members(const struct tally *tally, enum dimension dimension, const char *key, struct buffer *buffer)
{
    open_object(buffer, key);
    for (int value = 0; value < CLASS_VALUES_MAX; value++)
        if (tally->members[dimension][value] != 0)
            add_count(buffer, class_value_name(dimension, value), tally->members[dimension][value]);
    buffer_add_char(buffer, '}');
}

void tally_json_write(const struct tally *tally, int64_t clock, struct buffer *buffer)
{
    buffer_add_text(buffer, "{\"type\":\"summary\",\"clock\":");
    if (clock == NEVER)
        buffer_add_text(buffer, "null");
    else
        buffer_add_integer(buffer, clock);
    add_events(tally, buffer);
    open_object(buffer, "transitions");
    for (int dimension = 0; dimension < DIMENSION_COUNT; dimension++)
        add_dimension(tally, (enum dimension)dimension, buffer);
    buffer_add_char(buffer, '}');
    add_rules(tally, buffer);
    add_members(tally, DIMENSION_TIER, "tiers", buffer);
    add_members(tally, DIMENSION_PHASE, "phases", buffer);
    add_members(tally, DIMENSION_GROWTH, "growth", buffer);
    add_members(tally, DIMENSION_SEGMENT, "segments", buffer);
    add_count(buffer, "unknown_time_zones", (int64_t)tally->unknown_zone_count);
    buffer_add_char(buffer, '}');
}
