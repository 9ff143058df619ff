/* Rules, each over the cells of its own conditions: can it fire at all, over which channels, and does it take "did not
 * open" for a fact. A tier or stage that a condition names is worked out from the tables, so that a condition which
 * contradicts its tier is found. */
#include "common/base/check.h"
#include "common/playbook/expression_op.h"
#include "workers/lint/lint.h"
#include "workers/lint/lint_cells.h"

/* What a rule's decision needs at once: its conditions, and of a series the while of the first slot. */
struct test {
    struct lint *lint;
    const struct rule *rule;
    struct cells *cells;
    bool tiers, growth; /* worked out from the tables */
    bool implies;       /* what the trigger says has cells of its own */
    bool consent_free;  /* the guard left aside (R66), to tell whose fault it is */
    enum phase highest; /* that a customer of this shop can reach */
};

static int tier_by_table(const struct playbook *playbook, const struct fact_values *values)
{
    for (size_t i = 0; i < playbook->tier_row_count; i++) {
        if (expression_true(&playbook->tier_rows[i].when, values))
            return (int)playbook->tier_rows[i].tier;
    }
    return TIER_PROSPECT;
}

static int growth_by_table(const struct playbook *playbook, const struct fact_values *values)
{
    int stage = GROWTH_NONE;
    while (stage + 1 < GROWTH_COUNT && expression_true(&playbook->growth_when[stage + 1], values))
        stage++;
    return stage;
}

static bool has_response(const struct rule *rule)
{
    return rule->trigger.kind == TRIGGER_RESPONSE || rule->trigger.kind == TRIGGER_CONCERN;
}

static bool of_response(enum fact fact)
{
    return fact == FACT_response_positive || fact == FACT_response_negative || fact == FACT_response_consent_to_share ||
           fact == FACT_response_effect_felt;
}

/* R48: whether its runs belong to an order; a date and a friend's purchase have none to give. */
static bool has_order(const struct rule *rule)
{
    return rule->once != ONCE_RESPONSE && rule->once != ONCE_CONCERN && rule->once != ONCE_FRIEND &&
           rule->once != ONCE_DATE && rule->trigger.kind != TRIGGER_CALENDAR &&
           rule->trigger.kind != TRIGGER_REFERRAL_CONVERTED;
}

static bool of_order(enum fact fact)
{
    return fact == FACT_order_live || fact == FACT_order_void || fact == FACT_order_first_of_cycle ||
           fact == FACT_campaign;
}

/* What an anchor says of the customer as long as the run waits, for a run whose anchor is gone ends (R49): so much of
 * the first, and of the second, unless it is FACT_COUNT, as many days as the delay has. */
static const struct {
    enum fact fact, days;
} anchor_facts[] = {
    [ANCHOR_FIRST_DELIVERY] = {FACT_delivered, FACT_days_since_first_delivery},
    [ANCHOR_FIRST_PURCHASE_EVER] = {FACT_purchases, FACT_days_since_first_purchase},
    [ANCHOR_FIRST_PURCHASE_OF_CYCLE] = {FACT_purchases_in_cycle, FACT_COUNT},
    [ANCHOR_LAST_PURCHASE] = {FACT_purchases, FACT_days_since_last_purchase},
    [ANCHOR_EFFECT_FELT] = {FACT_effect_felt, FACT_COUNT},
    [ANCHOR_SUBSCRIPTION_SINCE] = {FACT_subscription, FACT_COUNT},
};

static int64_t days_of(const struct rule *rule) /* at least; a product's own figure may be any */
{
    return rule->delay.kind == DELAY_FIXED ? rule->delay.ms / DAY_MS : 0;
}

static bool anchor_allows(const struct test *test, const struct fact_values *values)
{
    enum fact fact = anchor_facts[test->rule->trigger.anchor].fact,
              days = anchor_facts[test->rule->trigger.anchor].days;
    return values->value[fact] >= 1 && (days == FACT_COUNT || values->value[days] >= days_of(test->rule));
}

/* The dimension that the trigger fixes at the decision, FACT_COUNT: none. Without a delay he is still there; unbroken
 * likewise (R56). */
static enum fact dimension_implied(const struct rule *rule)
{
    static const enum fact facts[] = {[DIMENSION_TIER] = FACT_tier,
                                      [DIMENSION_PHASE] = FACT_phase,
                                      [DIMENSION_GROWTH] = FACT_growth,
                                      [DIMENSION_SEGMENT] = FACT_segment};
    bool now = rule->delay.kind == DELAY_FIXED && rule->delay.ms == 0;
    if (rule->trigger.kind == TRIGGER_ENTERS && (now || rule->trigger.unbroken))
        return facts[rule->trigger.dimension];
    return rule->trigger.kind == TRIGGER_REACHES && now ? FACT_growth : FACT_COUNT;
}

/* Of growth the stage's own condition alone: the whole ladder has too many kinds of customers. NULL: no such trigger,
 * or the conditions name growth. */
static const struct expression *stage_implied(const struct test *test)
{
    int stage = test->rule->trigger.value;
    if (dimension_implied(test->rule) != FACT_growth || stage < GROWTH_PURCHASER || cells_has(test->cells, FACT_growth))
        return NULL;
    return &test->lint->playbook->growth_when[stage];
}

/* What the trigger itself says of the customer at the decision. */
static bool trigger_allows(const struct test *test, const struct fact_values *values)
{
    const struct trigger *trigger = &test->rule->trigger;
    enum fact dimension = dimension_implied(test->rule);
    if (dimension != FACT_COUNT && cells_has(test->cells, dimension))
        return trigger->kind == TRIGGER_REACHES ? values->value[dimension] >= trigger->value
                                                : values->value[dimension] == trigger->value;
    if (test->implies && stage_implied(test) != NULL)
        return expression_true(stage_implied(test), values);
    if (trigger->kind == TRIGGER_RESPONSE && cells_has(test->cells, FACT_responses))
        return values->value[FACT_responses] >= 1;
    return trigger->kind != TRIGGER_ANCHOR || !test->implies || anchor_allows(test, values);
}

static void names_response(enum fact fact, void *context)
{
    if (of_response(fact))
        *(enum fact *)context = fact;
}

static void names_order(enum fact fact, void *context)
{
    if (of_order(fact))
        *(enum fact *)context = fact;
}

/* Of a response, or of an order, that this rule's runs have none of; FACT_COUNT: the expression names none. */
static enum fact missing_fact(const struct rule *rule, const struct expression *expression)
{
    enum fact fact = FACT_COUNT;
    if (!has_response(rule))
        expression_facts(expression, names_response, &fact);
    if (fact == FACT_COUNT && !has_order(rule))
        expression_facts(expression, names_order, &fact);
    return fact;
}

/* No: lint_shop has said that nobody gets there. */
static bool dimension_reachable(const struct test *test)
{
    const struct playbook *playbook = test->lint->playbook;
    const struct trigger *trigger = &test->rule->trigger;
    if (trigger->dimension == DIMENSION_PHASE)
        return trigger->value <= (int)test->highest;
    bool found = trigger->dimension != DIMENSION_TIER || trigger->value == TIER_PROSPECT;
    for (size_t i = 0; i < playbook->tier_row_count; i++)
        found = found || (int)playbook->tier_rows[i].tier == trigger->value;
    return found;
}

/* The trigger's own facts, so that conditions which name none of them are held against it, too. */
static void add_implied(struct test *test)
{
    const struct rule *rule = test->rule;
    enum fact dimension = dimension_implied(rule);
    if (stage_implied(test) != NULL)
        cells_add(test->cells, stage_implied(test));
    else if (dimension != FACT_COUNT && dimension_reachable(test))
        cells_add_fact(test->cells, dimension);
    if (rule->trigger.kind != TRIGGER_ANCHOR)
        return;
    enum fact days = anchor_facts[rule->trigger.anchor].days;
    cells_add_cut(test->cells, anchor_facts[rule->trigger.anchor].fact, 1);
    if (days != FACT_COUNT)
        cells_add_cut(test->cells, days, days_of(rule));
}

static bool test_build_with(struct test *test, bool implies)
{
    const struct playbook *playbook = test->lint->playbook;
    test->implies = implies;
    test->cells = cells_new();
    for (size_t i = 0; i < test->rule->condition_count; i++)
        cells_add(test->cells, &test->rule->conditions[i]);
    if (test->rule->has_while)
        cells_add(test->cells, &test->rule->while_expression);
    if (implies)
        add_implied(test);
    test->tiers = cells_has(test->cells, FACT_tier);
    test->growth = cells_has(test->cells, FACT_growth);
    for (size_t i = 0; i < playbook->tier_row_count && test->tiers; i++)
        cells_add(test->cells, &playbook->tier_rows[i].when);
    for (int i = GROWTH_PURCHASER; i < GROWTH_COUNT && test->growth; i++)
        cells_add(test->cells, &playbook->growth_when[i]);
    if (cells_has(test->cells, FACT_registered)) {
        cells_add_fact(test->cells, FACT_registered_email);
        cells_add_fact(test->cells, FACT_registered_line);
    }
    return cells_build(test->cells, playbook);
}

/* Where the trigger's own facts make too many cells, those of the conditions alone must do. A rule without conditions
 * has nothing to hold against its trigger. */
static bool test_build(struct test *test)
{
    bool conditions = test->rule->condition_count > 0 || test->rule->has_while;
    if (conditions && test_build_with(test, true))
        return true;
    cells_free(test->cells);
    return test_build_with(test, false);
}

/* The facts of a response, or of an order, that the rule's runs have none of. */
static void take_missing(const struct rule *rule, struct fact_values *values)
{
    for (int i = 0; i < FACT_COUNT; i++) {
        if (of_response((enum fact)i) && !has_response(rule))
            values->value[i] = FACT_ABSENT;
        else if (of_order((enum fact)i) && !has_order(rule))
            values->value[i] = 0;
    }
    if (!has_order(rule))
        values->campaign = SPAN_NONE;
}

/* A customer of this cell for whom the rule could be decided at all. */
static bool test_customer(const struct test *test, size_t cell, struct fact_values *values)
{
    const struct playbook *playbook = test->lint->playbook;
    if (!cells_customer(test->cells, cell, values))
        return false;
    if (test->tiers && values->value[FACT_tier] != tier_by_table(playbook, values))
        return false;
    if (test->growth && values->value[FACT_growth] != growth_by_table(playbook, values))
        return false;
    if (cells_has(test->cells, FACT_phase) && values->value[FACT_phase] > (int64_t)test->highest)
        return false;
    take_missing(test->rule, values);
    if (test->rule->class == CLASS_MARKETING && cells_has(test->cells, FACT_consent) && !test->consent_free &&
        values->value[FACT_consent] == 0) /* R66 */
        return false;
    return trigger_allows(test, values);
}

static bool holds(const struct rule *rule, const struct fact_values *values)
{
    for (size_t i = 0; i < rule->condition_count; i++) {
        if (!expression_true(&rule->conditions[i], values))
            return false;
    }
    return !rule->has_while || expression_true(&rule->while_expression, values);
}

/* R75, as far as the cells know; what they do not know may be so. */
static bool may_reach(const struct test *test, enum channel channel, const struct fact_values *values)
{
    const struct cells *cells = test->cells;
    const int64_t *value = values->value;
    if (channel == CHANNEL_LINE)
        return (!cells_has(cells, FACT_registered_line) || value[FACT_registered_line] == 1) &&
               (!cells_has(cells, FACT_bounced_line) || value[FACT_bounced_line] == 0);
    if (channel == CHANNEL_EMAIL)
        return (test->rule->class == CLASS_TRANSACTIONAL || !cells_has(cells, FACT_registered_email) ||
                value[FACT_registered_email] == 1) &&
               (!cells_has(cells, FACT_bounced_email) || value[FACT_bounced_email] == 0);
    if (channel == CHANNEL_INSERT)
        return !cells_has(cells, FACT_purchases) || !cells_has(cells, FACT_subscription) || value[FACT_purchases] > 0 ||
               value[FACT_subscription] == 1;
    return true;
}

static bool fires(const struct test *test)
{
    struct fact_values values;
    for (size_t cell = 0; cell < test->cells->count; cell++) {
        if (test_customer(test, cell, &values) && holds(test->rule, &values))
            return true;
    }
    return false;
}

/* The rule could fire if only customers got so far in this shop; lint_shop says so of triggers. */
static bool fires_elsewhere(const struct test *test)
{
    struct test anywhere = *test;
    anywhere.highest = PHASE_COUNT - 1;
    return fires(&anywhere);
}

static bool fires_without_consent(const struct test *test)
{
    struct test free = *test;
    free.consent_free = true;
    return fires(&free);
}

static bool say_missing(struct test *test)
{
    const struct rule *rule = test->rule;
    for (size_t i = 0; i < rule->condition_count; i++) {
        enum fact fact = missing_fact(rule, &rule->conditions[i]);
        if (fact == FACT_COUNT)
            continue;
        lint_say(test->lint, LINT_WARNING, test->lint->rule_lines[rule->index],
                 "rule %.*s can never fire: its %s, so %s is always %s", (int)rule->name.size, rule->name.data,
                 of_response(fact) ? "trigger is no response" : "runs belong to no order", fact_name(fact),
                 of_response(fact) || fact == FACT_campaign ? "absent" : "false");
        return true;
    }
    return false;
}

static void say_never(struct test *test, bool alone_possible)
{
    const struct rule *rule = test->rule;
    if (say_missing(test))
        return;
    const char *why = fires_elsewhere(test) ? "no customer of this shop reaches the phase of its conditions"
                      : fires_without_consent(test)
                          ? "its conditions want customers without consent, to whom no marketing goes"
                      : alone_possible ? "its conditions contradict its trigger"
                                       : "its conditions contradict one another";
    lint_say(test->lint, LINT_WARNING, test->lint->rule_lines[rule->index], "rule %.*s can never fire: %s",
             (int)rule->name.size, rule->name.data, why);
}

/* Without the trigger: whose fault it is. */
static bool possible_alone(const struct test *test)
{
    struct fact_values values;
    for (size_t cell = 0; cell < test->cells->count; cell++) {
        if (cells_customer(test->cells, cell, &values) &&
            (!test->tiers || values.value[FACT_tier] == tier_by_table(test->lint->playbook, &values)) &&
            holds(test->rule, &values))
            return true;
    }
    return false;
}

static void check_firing(struct test *test)
{
    const struct rule *rule = test->rule;
    bool fired = false, reaches[CHANNEL_COUNT] = {false};
    struct fact_values values;
    for (size_t cell = 0; cell < test->cells->count; cell++) {
        if (!test_customer(test, cell, &values) || !holds(rule, &values))
            continue;
        fired = true;
        for (size_t i = 0; i < rule->channel_count; i++)
            reaches[rule->channels[i]] = reaches[rule->channels[i]] || may_reach(test, rule->channels[i], &values);
    }
    if (!fired) {
        say_never(test, possible_alone(test));
        return;
    }
    for (size_t i = 0; i < rule->channel_count; i++) {
        if (!reaches[rule->channels[i]])
            lint_say(test->lint, LINT_WARNING, test->lint->rule_lines[rule->index],
                     "rule %.*s: channel %s can never be reached where its conditions hold", (int)rule->name.size,
                     rule->name.data, channel_name(rule->channels[i]));
    }
}

static void check_rule(struct lint *lint, const struct rule *rule)
{
    struct test test = {.lint = lint, .rule = rule, .highest = lint_highest_phase(lint)};
    if (test_build(&test))
        check_firing(&test);
    else
        lint_say(lint, LINT_WARNING, lint->rule_lines[rule->index],
                 "rule %.*s: too many kinds of customers to tell whether it can fire", (int)rule->name.size,
                 rule->name.data);
    cells_free(test.cells);
}

/* ---- "did not open" ---- */

static const enum fact open_facts[] = {FACT_opens_60d, FACT_clicks_60d, FACT_days_since_last_open};

/* How much opening this value shows: absent and long ago are none. */
static int64_t openness(enum fact fact, int64_t value)
{
    if (value == FACT_ABSENT)
        return INT64_MIN;
    return fact == FACT_days_since_last_open ? -value : value;
}

/* True of somebody, and false of the same customer had he opened more. */
static bool wants_unopened(const struct expression *expression, const struct cells *cells, size_t axis, size_t cell)
{
    struct fact_values values, more;
    const struct axis *opens = &cells->axes[axis];
    size_t stride = cells_stride(cells, axis), part = cells_part(cells, cell, axis);
    cells_customer(cells, cell, &values);
    if (!expression_true(expression, &values))
        return false;
    for (size_t i = 0; i < opens->count; i++) {
        if (openness(opens->fact, opens->customer[i]) <= openness(opens->fact, opens->customer[part]))
            continue;
        cells_customer(cells, cell + (i - part) * stride, &more);
        if (!expression_true(expression, &more))
            return true;
    }
    return false;
}

static bool is_open_fact(enum fact fact)
{
    for (size_t i = 0; i < COUNT_OF(open_facts); i++) {
        if (open_facts[i] == fact)
            return true;
    }
    return false;
}

/* The fact on whose lack the expression turns; FACT_COUNT: none. */
static enum fact unopened_fact(const struct lint *lint, const struct expression *expression)
{
    struct cells *cells = cells_new();
    enum fact found = FACT_COUNT;
    cells_add(cells, expression);
    bool built = cells_build(cells, lint->playbook);
    for (size_t axis = 0; built && axis < cells->axis_count && found == FACT_COUNT; axis++) {
        for (size_t cell = 0; is_open_fact(cells->axes[axis].fact) && cell < cells->count && found == FACT_COUNT;
             cell++) {
            if (wants_unopened(expression, cells, axis, cell))
                found = cells->axes[axis].fact;
        }
    }
    cells_free(cells);
    return found;
}

static void check_unopened(struct lint *lint, const struct expression *expression, int line, const char *where,
                           struct span name)
{
    enum fact fact = unopened_fact(lint, expression);
    if (fact != FACT_COUNT)
        lint_say(lint, LINT_WARNING, line,
                 "%s%.*s: \"%.*s\" takes \"did not open\" for a fact (%s), but a machine's open hides a human's", where,
                 (int)name.size, name.data, (int)expression->text.size, expression->text.data, fact_name(fact));
}

static void check_opens(struct lint *lint)
{
    const struct playbook *playbook = lint->playbook;
    for (size_t i = 0; i < playbook->rule_count; i++) {
        const struct rule *rule = &playbook->rules[i];
        for (size_t j = 0; j < rule->condition_count; j++)
            check_unopened(lint, &rule->conditions[j], lint->rule_lines[i], "rule ", rule->name);
        if (rule->has_while)
            check_unopened(lint, &rule->while_expression, lint->rule_lines[i], "rule ", rule->name);
    }
    for (size_t i = 0; i < playbook->tier_row_count; i++)
        check_unopened(lint, &playbook->tier_rows[i].when, lint->row_lines[i], "tier ",
                       span_of(class_value_name(DIMENSION_TIER, (int)playbook->tier_rows[i].tier)));
    for (int i = GROWTH_PURCHASER; i < GROWTH_COUNT; i++)
        check_unopened(lint, &playbook->growth_when[i], 0, "growth ", span_of(class_value_name(DIMENSION_GROWTH, i)));
}

void lint_rules(struct lint *lint)
{
    for (size_t i = 0; i < lint->playbook->rule_count; i++)
        check_rule(lint, &lint->playbook->rules[i]);
    check_opens(lint);
}
