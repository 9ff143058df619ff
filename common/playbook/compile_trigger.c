/* A trigger is one word (first_delivery, returned) or a map with one key (enters: {phase: adopt}). */
#include "common/base/check.h"
#include "common/playbook/compile.h"
#include "common/playbook/nearest.h"

/* Triggers that need nothing more said. */
static const struct {
    const char *name;
    enum trigger_kind kind;
    enum anchor_fact anchor;
} plain_triggers[] = {
    {"first_delivery", TRIGGER_ANCHOR, ANCHOR_FIRST_DELIVERY},
    {"first_purchase_ever", TRIGGER_ANCHOR, ANCHOR_FIRST_PURCHASE_EVER},
    {"first_purchase_of_cycle", TRIGGER_ANCHOR, ANCHOR_FIRST_PURCHASE_OF_CYCLE},
    {"last_purchase", TRIGGER_ANCHOR, ANCHOR_LAST_PURCHASE},
    {"effect_felt", TRIGGER_ANCHOR, ANCHOR_EFFECT_FELT},
    {"subscription_since", TRIGGER_ANCHOR, ANCHOR_SUBSCRIPTION_SINCE},
    {"returned", TRIGGER_RETURNED, 0},
    {"segment_up", TRIGGER_SEGMENT_UP, 0},
    {"referral_converted", TRIGGER_REFERRAL_CONVERTED, 0},
};

static const char trigger_expected[] = "a trigger (event, response, concern, enters, reaches, tier_up, calendar, "
                                       "first_delivery, first_purchase_ever, first_purchase_of_cycle, last_purchase, "
                                       "effect_felt, subscription_since, returned, segment_up, referral_converted)";

static void read_event(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const char *const names[] = {"PLACED", "SUBSCRIPTION_RENEWED", "FAILED"};
    static const enum event_kind kinds[] = {EVENT_PLACED, EVENT_SUBSCRIPTION_RENEWED, EVENT_FAILED};
    static const struct words words = {"an event", names, COUNT_OF(names)};
    struct trigger *trigger = target;
    uint64_t set = 0;
    trigger->kind = TRIGGER_EVENT;
    if (!compile_word_set(compiler, node, place, &words, &set))
        return;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (set >> i & 1)
            trigger->kinds |= UINT64_C(1) << kinds[i];
    }
    if (trigger->kinds >> EVENT_FAILED & 1 && trigger->kinds != UINT64_C(1) << EVENT_FAILED)
        compile_error(compiler, node, place, "expected events of orders or FAILED, found both in one rule");
}

/* `any`, one purpose, or a list of them. */
static void read_purposes(struct compiler *compiler, const struct node *node, const struct place *place,
                          struct trigger *trigger)
{
    struct words words = words_of_purposes();
    uint64_t set = (UINT64_C(1) << PURPOSE_COUNT) - 1;
    bool any = node->kind == NODE_SCALAR && span_equal(node->text, SPAN("any"));
    words.what = "any or a survey's purpose";
    if (any || compile_word_set(compiler, node, place, &words, &set))
        trigger->purposes = (uint32_t)set;
}

static void read_response(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    ((struct trigger *)target)->kind = TRIGGER_RESPONSE;
    read_purposes(compiler, node, place, target);
}

static void read_concern(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    ((struct trigger *)target)->kind = TRIGGER_CONCERN;
    read_purposes(compiler, node, place, target);
}

struct enters {
    int value[DIMENSION_COUNT]; /* -1 = not named */
    bool unbroken;
};

static void read_enters_value(struct compiler *compiler, const struct node *node, const struct place *place,
                              enum dimension dimension, void *target)
{
    struct words words = words_of_dimension(dimension);
    if (!compile_word(compiler, node, place, &words, target))
        *(int *)target = 0; /* complained about; not to be missed a second time */
}

static void read_enters_tier(struct compiler *compiler, const struct node *node, const struct place *place,
                             void *target)
{
    read_enters_value(compiler, node, place, DIMENSION_TIER, target);
}

static void read_enters_phase(struct compiler *compiler, const struct node *node, const struct place *place,
                              void *target)
{
    read_enters_value(compiler, node, place, DIMENSION_PHASE, target);
}

static void read_enters_growth(struct compiler *compiler, const struct node *node, const struct place *place,
                               void *target)
{
    read_enters_value(compiler, node, place, DIMENSION_GROWTH, target);
}

static void read_enters_segment(struct compiler *compiler, const struct node *node, const struct place *place,
                                void *target)
{
    read_enters_value(compiler, node, place, DIMENSION_SEGMENT, target);
}

static void read_enters(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct field fields[] = {
        FIELD(struct enters, "tier", read_enters_tier, value[DIMENSION_TIER]),
        FIELD(struct enters, "phase", read_enters_phase, value[DIMENSION_PHASE]),
        FIELD(struct enters, "growth", read_enters_growth, value[DIMENSION_GROWTH]),
        FIELD(struct enters, "segment", read_enters_segment, value[DIMENSION_SEGMENT]),
        FIELD(struct enters, "unbroken", read_boolean, unbroken),
    };
    struct enters enters = {{-1, -1, -1, -1}, false};
    struct trigger *trigger = target;
    int named = 0;
    trigger->kind = TRIGGER_ENTERS;
    size_t errors_before = compiler->errors->count;
    if (!compile_map(compiler, node, place, fields, COUNT_OF(fields), &enters))
        return;
    for (int i = 0; i < DIMENSION_COUNT; i++) {
        if (enters.value[i] < 0)
            continue;
        named++;
        trigger->dimension = (enum dimension)i;
        trigger->value = enters.value[i];
    }
    trigger->unbroken = enters.unbroken;
    if (named != 1 && compiler->errors->count == errors_before)
        compile_error(compiler, node, place, "expected one of tier, phase, growth, segment, found %s",
                      named == 0 ? "none" : "more than one");
}

static void read_reaches(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    struct words words = words_of_dimension(DIMENSION_GROWTH);
    struct trigger *trigger = target;
    trigger->kind = TRIGGER_REACHES;
    trigger->dimension = DIMENSION_GROWTH;
    if (compile_word(compiler, node, place, &words, &trigger->value) && trigger->value == GROWTH_NONE)
        compile_expected(compiler, node, place, "a stage that can be reached", NULL);
}

static void read_tier_up(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    struct words words = words_of_dimension(DIMENSION_TIER);
    struct trigger *trigger = target;
    uint64_t set = 0;
    trigger->kind = TRIGGER_TIER_UP;
    trigger->dimension = DIMENSION_TIER;
    if (compile_word_set(compiler, node, place, &words, &set))
        trigger->from_tiers = (uint32_t)set;
}

static bool date_parse(struct span text, struct calendar_date *ret_date)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (text.size != 5 || text.data[2] != '-')
        return false;
    for (size_t i = 0; i < 5; i++) {
        if (i != 2 && (text.data[i] < '0' || text.data[i] > '9'))
            return false;
    }
    ret_date->month = (text.data[0] - '0') * 10 + text.data[1] - '0';
    ret_date->day = (text.data[3] - '0') * 10 + text.data[4] - '0';
    return ret_date->month >= 1 && ret_date->month <= 12 && ret_date->day >= 1 &&
           ret_date->day <= days[ret_date->month - 1];
}

static void read_dates(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    struct trigger *trigger = target;
    size_t count = compile_list(compiler, node, place, "a list of dates like \"02-04\""), index = 0;
    struct calendar_date *dates = ARENA_ARRAY(compiler->arena, struct calendar_date, count);
    for (const struct node *item = node->first; count > 0 && item != NULL; item = item->next, index++) {
        struct place inside = {.parent = place, .index = index};
        if (item->kind != NODE_SCALAR || !date_parse(item->text, &dates[index]))
            compile_expected(compiler, item, &inside, "a date of the year like \"02-04\" (month-day)", NULL);
        for (size_t i = 0; i < index; i++) {
            if (dates[i].month != 0 && dates[i].month == dates[index].month && dates[i].day == dates[index].day)
                compile_expected(compiler, item, &inside, "each date once", NULL);
        }
    }
    trigger->dates = dates;
    trigger->date_count = count;
}

/* 24:00 would be another date. */
static void read_calendar_time(struct compiler *compiler, const struct node *node, const struct place *place,
                               void *target)
{
    int64_t *time_ms = target;
    read_time_of_day(compiler, node, place, target);
    if (*time_ms >= DAY_MS)
        compile_expected(compiler, node, place, "a time of day before \"24:00\"", NULL);
}

static void read_calendar(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct field fields[] = {
        {"dates", read_dates, 0, true},
        FIELD_REQUIRED(struct trigger, "at", read_calendar_time, time_of_day_ms),
    };
    ((struct trigger *)target)->kind = TRIGGER_CALENDAR;
    compile_map(compiler, node, place, fields, COUNT_OF(fields), target);
}

static void read_plain(struct compiler *compiler, const struct node *node, const struct place *place,
                       struct trigger *trigger)
{
    const char *names[COUNT_OF(plain_triggers)];
    for (size_t i = 0; i < COUNT_OF(plain_triggers); i++) {
        names[i] = plain_triggers[i].name;
        if (span_equal(node->text, span_of(names[i]))) {
            trigger->kind = plain_triggers[i].kind;
            trigger->anchor = plain_triggers[i].anchor;
            trigger->dimension = trigger->kind == TRIGGER_SEGMENT_UP ? DIMENSION_SEGMENT : DIMENSION_TIER;
            return;
        }
    }
    compile_expected(compiler, node, place, trigger_expected, nearest_name(node->text, names, COUNT_OF(names)));
}

void read_trigger(struct compiler *compiler, const struct node *node, const struct place *place, void *target)
{
    static const struct field fields[] = {
        {"event", read_event, 0, false},       {"response", read_response, 0, false},
        {"concern", read_concern, 0, false},   {"enters", read_enters, 0, false},
        {"reaches", read_reaches, 0, false},   {"tier_up", read_tier_up, 0, false},
        {"calendar", read_calendar, 0, false},
    };
    if (node->kind == NODE_SCALAR) {
        read_plain(compiler, node, place, target);
        return;
    }
    if (node->kind == NODE_LIST) {
        compile_expected(compiler, node, place, trigger_expected, NULL);
        return;
    }
    if (node->first == NULL || node->first->next != NULL) {
        compile_error(compiler, node, place, "expected one trigger, found %s",
                      node->first ? "more than one" : "an empty map");
        return;
    }
    compile_map(compiler, node, place, fields, COUNT_OF(fields), target);
}
