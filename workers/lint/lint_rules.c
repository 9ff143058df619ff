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
    [ANCHOR_FIRST_DELIVERY] = {FACT_delivered_in_cycle, FACT_days_since_first_delivery},
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

/* The most days that can have gone by at the decision, for what is later is stale (R74); INT64_MAX: no bound. */
static int64_t days_at_most(const struct rule *rule)
{
    if (rule->delay.kind != DELAY_FIXED || rule->shelf_life_ms == NEVER || rule->repeats)
        return INT64_MAX;
    return (rule->delay.ms + rule->shelf_life_ms) / DAY_MS;
}

/* An order that is placed counts at once, unless it was cancelled before. */
static bool of_purchase(const struct rule *rule)
{
    uint64_t orders = UINT64_C(1) << EVENT_PLACED | UINT64_C(1) << EVENT_SUBSCRIPTION_RENEWED;
    return rule->trigger.kind == TRIGGER_EVENT && (rule->trigger.kinds & orders);
}

/* The fact that the trigger itself makes 1 or more, and the days that run from it; FACT_COUNT: none. */
static enum fact made_by_trigger(const struct rule *rule, enum fact *ret_days)
{
    *ret_days = FACT_COUNT;
    if (of_purchase(rule)) {
        *ret_days = FACT_days_since_last_purchase;
        return FACT_purchases;
    }
    if (rule->trigger.kind != TRIGGER_ANCHOR)
        return FACT_COUNT;
    *ret_days = anchor_facts[rule->trigger.anchor].days;
    return anchor_facts[rule->trigger.anchor].fact;
}

static bool moment_allows(const struct rule *rule, const struct fact_values *values)
{
    enum fact days, fact = made_by_trigger(rule, &days);
    if (fact != FACT_COUNT && values->value[fact] < 1)
        return false;
    if (days == FACT_COUNT)
        return true;
    bool waited = values->value[days] >= days_of(rule) || of_purchase(rule); /* another order may have come since */
    return waited && values->value[days] <= days_at_most(rule);
}

/* R58: an answer to ASSESS is an answer for ever. */
static bool answer_allows(const struct test *test, const struct fact_values *values)
{
    bool assess = test->rule->trigger.purposes == UINT32_C(1) << PURPOSE_ASSESS;
    if (cells_has(test->cells, FACT_responses) && values->value[FACT_responses] < 1)
        return false;
    return !assess || !cells_has(test->cells, FACT_answered_assess) || values->value[FACT_answered_assess] == 1;
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
    if (has_response(test->rule))
        return answer_allows(test, values);
    return !test->implies || moment_allows(test->rule, values);
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
    enum fact days, fact = made_by_trigger(rule, &days);
    if (fact == FACT_COUNT)
        return;
    cells_add_cut(test->cells, fact, 1);
    if (days == FACT_COUNT)
        return;
    cells_add_cut(test->cells, days, days_of(rule));
    if (days_at_most(rule) != INT64_MAX)
        cells_add_cut(test->cells, days, days_at_most(rule) + 1);
}

/* What phase and segment are made of, cut where they turn, so that conditions on both are held against one another. */
static void add_related(struct test *test)
{
    const struct playbook *playbook = test->lint->playbook;
    if (cells_has(test->cells, FACT_segment)) {
        cells_add_cut(test->cells, FACT_last_nps, playbook->passive_nps);
        cells_add_cut(test->cells, FACT_last_nps, playbook->promoter_nps);
        cells_add_cut(test->cells, FACT_last_satisfaction, playbook->mid_satisfaction);
        cells_add_cut(test->cells, FACT_last_satisfaction, playbook->high_satisfaction);
    }
    if (cells_has(test->cells, FACT_phase) && cells_has(test->cells, FACT_days_since_first_delivery))
        cells_add_cut(test->cells, FACT_days_since_first_delivery, cells_acclimate_days(playbook));
}

static bool test_build_with(struct test *test, bool implies)
{
    const struct playbook *playbook = test->lint->playbook;
    test->implies = implies;
    test->cells = cells_new();
    test->cells->never = test->lint->never;
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
    add_related(test);
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

/* R75: a subscriber's next parcel, or that of a live order of which nothing is shipped; what the cells do not know may
 * be so. Once a parcel is shipped or delivered, its order is not that one. */
static bool may_insert(const struct test *test, size_t cell, const struct fact_values *values)
{
    const struct cells *cells = test->cells;
    bool subscriber = !cells_has(cells, FACT_subscription) || values->value[FACT_subscription] == 1;
    static const enum fact parcels[] = {FACT_shipped, FACT_delivered, FACT_shipped_in_cycle, FACT_delivered_in_cycle};
    bool shipped = false;
    for (size_t i = 0; i < COUNT_OF(parcels); i++)
        shipped = shipped || (cells_has(cells, parcels[i]) && values->value[parcels[i]] >= 1);
    return subscriber || !cells_has(cells, FACT_purchases) || cells_can_be(cells, cell, FACT_purchases, 1 + shipped);
}

/* R75, as far as the cells know; what they do not know may be so. */
static bool may_reach(const struct test *test, enum channel channel, size_t cell, const struct fact_values *values)
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
    return channel != CHANNEL_INSERT || may_insert(test, cell, values);
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

/* The rule could fire if this shop made the facts that it never makes. */
static bool fires_with(const struct test *test)
{
    const bool *never = test->cells->never;
    struct test anywhere = *test;
    anywhere.highest = PHASE_COUNT - 1;
    test->cells->never = NULL;
    bool fired = fires(&anywhere);
    test->cells->never = never;
    return fired;
}

/* A fact of the conditions that this shop never makes; FACT_COUNT: none. */
static enum fact never_named(const struct test *test)
{
    for (int i = 0; i < FACT_COUNT; i++) {
        if (test->lint->never[i] && cells_has(test->cells, (enum fact)i))
            return (enum fact)i;
    }
    return FACT_COUNT;
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
        lint_say_rule(test->lint, LINT_WARNING, rule, "conditions", "can never fire: its %s, so %s is always %s",
                      of_response(fact) ? "trigger is no response" : "runs belong to no order", fact_name(fact),
                      of_response(fact) || fact == FACT_campaign ? "absent" : "false");
        return true;
    }
    return false;
}

static void say_why(struct test *test, bool alone_possible, struct buffer *why)
{
    enum fact fact = never_named(test);
    if (fires_elsewhere(test))
        buffer_add_text(why, "no customer of this shop reaches the phase of its conditions");
    else if (fact != FACT_COUNT && fires_with(test))
        buffer_format(why, "its conditions need %s, and %s", fact_name(fact), lint_never_why(fact));
    else if (fires_without_consent(test))
        buffer_add_text(why, "its conditions want customers without consent, to whom no marketing goes");
    else
        buffer_format(why, "its conditions contradict %s%s", alone_possible ? "its trigger" : "one another",
                      alone_possible && of_purchase(test->rule) ? " (whose order is a purchase already)" : "");
}

static void say_never(struct test *test, bool alone_possible)
{
    const struct rule *rule = test->rule;
    struct buffer why = {0};
    if (say_missing(test))
        return;
    say_why(test, alone_possible, &why);
    lint_say_rule(test->lint, LINT_WARNING, rule, rule->condition_count > 0 ? "conditions" : "repeat",
                  "can never fire: %s", why.data);
    buffer_release(&why);
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

/* The rule's moment is one at which a parcel has arrived already. */
static bool after_delivery(const struct rule *rule)
{
    const struct trigger *trigger = &rule->trigger;
    return (trigger->kind == TRIGGER_ANCHOR && trigger->anchor == ANCHOR_FIRST_DELIVERY) ||
           (trigger->kind == TRIGGER_ENTERS && trigger->dimension == DIMENSION_PHASE &&
            trigger->value >= PHASE_ACTIVATE);
}

static void check_firing(struct test *test)
{
    const struct rule *rule = test->rule;
    bool fired = false, unsubscribed = false, reaches[CHANNEL_COUNT] = {false};
    struct fact_values values;
    for (size_t cell = 0; cell < test->cells->count; cell++) {
        if (!test_customer(test, cell, &values) || !holds(rule, &values))
            continue;
        fired = true;
        for (size_t i = 0; i < rule->channel_count; i++)
            reaches[rule->channels[i]] =
                reaches[rule->channels[i]] || may_reach(test, rule->channels[i], cell, &values);
        unsubscribed =
            unsubscribed || !cells_has(test->cells, FACT_subscription) || values.value[FACT_subscription] == 0;
    }
    if (!fired) {
        say_never(test, possible_alone(test));
        return;
    }
    for (size_t i = 0; i < rule->channel_count; i++) {
        enum channel channel = rule->channels[i];
        if (!reaches[channel])
            lint_say_rule(test->lint, LINT_WARNING, rule, "channels",
                          "channel %s can never be reached where its conditions hold", channel_name(channel));
        else if (channel == CHANNEL_INSERT && unsubscribed && after_delivery(rule))
            lint_say_rule(test->lint, rule->channel_count == 1 ? LINT_WARNING : LINT_NOTE, rule, "channels",
                          "channel insert: after a delivery only a subscriber has a parcel to come, or who has another "
                          "order that is not shipped yet");
    }
}

static void check_rule(struct lint *lint, const struct rule *rule)
{
    struct test test = {.lint = lint, .rule = rule, .highest = lint_highest_phase(lint)};
    if (test_build(&test))
        check_firing(&test);
    else
        lint_say_rule(lint, LINT_WARNING, rule, "conditions",
                      "too many kinds of customers to tell whether it can fire");
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

static void check_unopened(struct lint *lint, const struct expression *expression, const struct node *node,
                           const char *where, struct span name)
{
    enum fact fact = unopened_fact(lint, expression);
    if (fact != FACT_COUNT)
        lint_say(lint, LINT_WARNING, node,
                 "%s%.*s: \"%.*s\" takes \"did not open\" for a fact (%s), but a machine's open hides a human's", where,
                 (int)name.size, name.data, (int)expression->text.size, expression->text.data, fact_name(fact));
}

static const struct node *item_at(const struct node *list, size_t index)
{
    const struct node *item = list ? list->first : NULL;
    for (; item != NULL && index > 0; index--)
        item = item->next;
    return item;
}

static void check_opens(struct lint *lint)
{
    const struct playbook *playbook = lint->playbook;
    for (size_t i = 0; i < playbook->rule_count; i++) {
        const struct rule *rule = &playbook->rules[i];
        for (size_t j = 0; j < rule->condition_count; j++)
            check_unopened(lint, &rule->conditions[j], item_at(node_find(lint->rule_nodes[i], "conditions"), j),
                           "rule ", rule->name);
        if (rule->has_while)
            check_unopened(lint, &rule->while_expression, node_find(node_find(lint->rule_nodes[i], "repeat"), "while"),
                           "rule ", rule->name);
    }
    for (size_t i = 0; i < playbook->tier_row_count; i++)
        check_unopened(lint, &playbook->tier_rows[i].when, node_find(lint->row_nodes[i], "when"), "tier ",
                       span_of(class_value_name(DIMENSION_TIER, (int)playbook->tier_rows[i].tier)));
    for (int i = GROWTH_PURCHASER; i < GROWTH_COUNT; i++)
        check_unopened(lint, &playbook->growth_when[i],
                       node_find(lint_top(lint, "growth"), class_value_name(DIMENSION_GROWTH, i)), "growth ",
                       span_of(class_value_name(DIMENSION_GROWTH, i)));
}

void lint_rules(struct lint *lint)
{
    for (size_t i = 0; i < lint->playbook->rule_count; i++) {
        if (!lint->dead[i])
            check_rule(lint, &lint->playbook->rules[i]);
    }
    check_opens(lint);
}
