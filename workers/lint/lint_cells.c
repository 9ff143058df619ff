#include "workers/lint/lint_cells.h"

#include "common/base/check.h"
#include "common/playbook/expression_op.h"

#include <stdlib.h>

/* ---- what a fact can be ---- */

static bool enum_of(enum fact_type type, enum dimension *ret_dimension, int64_t *ret_most)
{
    switch (type) {
    case FACT_TIER:
        *ret_dimension = DIMENSION_TIER, *ret_most = TIER_COUNT - 1;
        return true;
    case FACT_PHASE:
        *ret_dimension = DIMENSION_PHASE, *ret_most = PHASE_COUNT - 1;
        return true;
    case FACT_GROWTH:
        *ret_dimension = DIMENSION_GROWTH, *ret_most = GROWTH_COUNT - 1;
        return true;
    case FACT_SEGMENT:
        *ret_dimension = DIMENSION_SEGMENT, *ret_most = SEGMENT_COUNT - 1;
        return true;
    default:
        return false;
    }
}

static void fact_range(enum fact fact, const struct playbook *playbook, int64_t *ret_least, int64_t *ret_most)
{
    enum dimension dimension;
    *ret_least = fact == FACT_last_satisfaction || fact == FACT_settle_purchases || fact == FACT_cycle;
    *ret_most = INT64_MAX;
    if (fact_type(fact) == FACT_DAYS) /* R6: an event may be dated a little ahead */
        *ret_least = playbook->max_ahead_ms > 0 ? -(playbook->max_ahead_ms + DAY_MS - 1) / DAY_MS : 0;
    else if (fact_type(fact) == FACT_BOOLEAN)
        *ret_most = 1;
    else if (fact == FACT_last_nps)
        *ret_most = 10;
    else if (fact == FACT_last_satisfaction)
        *ret_most = 5;
    else
        enum_of(fact_type(fact), &dimension, ret_most);
}

static bool can_be_absent(enum fact fact)
{
    return fact_type(fact) == FACT_DAYS || fact == FACT_last_nps || fact == FACT_last_satisfaction ||
           fact == FACT_settle_purchases || fact == FACT_response_effect_felt;
}

/* ---- building ---- */

struct cells *cells_new(void)
{
    struct cells *cells = calloc(1, sizeof *cells);
    CHECK(cells != NULL);
    for (int i = 0; i < FACT_COUNT; i++)
        cells->linked_with[i] = i;
    return cells;
}

void cells_free(struct cells *cells)
{
    for (int i = 0; cells != NULL && i < FACT_COUNT; i++) {
        free(cells->cuts[i]);
        free(cells->texts[i]);
    }
    for (size_t i = 0; cells != NULL && i < cells->axis_count; i++) {
        free(cells->axes[i].low);
        free(cells->axes[i].high);
        free(cells->axes[i].customer);
    }
    free(cells);
}

static void cut_add(struct cells *cells, enum fact fact, int64_t at)
{
    size_t count = cells->cut_count[fact];
    cells->cuts[fact] = realloc(cells->cuts[fact], (count + 1) * sizeof at);
    CHECK(cells->cuts[fact] != NULL);
    cells->cuts[fact][count] = at;
    cells->cut_count[fact]++;
}

static void text_add(struct cells *cells, enum fact fact, struct span text)
{
    for (size_t i = 0; i < cells->text_count[fact]; i++) {
        if (span_equal(cells->texts[fact][i], text))
            return;
    }
    cells->texts[fact] = realloc(cells->texts[fact], (cells->text_count[fact] + 3) * sizeof text);
    CHECK(cells->texts[fact] != NULL);
    cells->texts[fact][cells->text_count[fact]++] = text;
}

static int link_root(const struct cells *cells, int fact)
{
    while (cells->linked_with[fact] != fact)
        fact = cells->linked_with[fact];
    return fact;
}

void cells_add_fact(struct cells *cells, enum fact fact)
{
    cells->named[fact] = true;
    if (fact_type(fact) == FACT_TEXT) {
        text_add(cells, fact, SPAN(""));
        text_add(cells, fact, SPAN("(another)"));
    }
}

void cells_add_cut(struct cells *cells, enum fact fact, int64_t at)
{
    cells_add_fact(cells, fact);
    cut_add(cells, fact, at);
}

static void op_add(struct cells *cells, const struct expression_op *op)
{
    cells_add_fact(cells, op->fact);
    if (op->with_fact) {
        cells_add_fact(cells, op->other);
        cells->linked_with[link_root(cells, (int)op->other)] = link_root(cells, (int)op->fact);
    }
    for (size_t i = 0; i < op->literal_count; i++) {
        if (fact_type(op->fact) == FACT_TEXT) {
            text_add(cells, op->fact, op->texts[i]);
            continue;
        }
        cut_add(cells, op->fact, op->numbers[i]);
        cut_add(cells, op->fact, op->numbers[i] + 1);
    }
}

void cells_add(struct cells *cells, const struct expression *expression)
{
    for (size_t i = 0; i < expression->op_count; i++) {
        if (expression->ops[i].kind == OP_COMPARE)
            op_add(cells, &expression->ops[i]);
    }
}

bool cells_has(const struct cells *cells, enum fact fact)
{
    return cells->named[fact];
}

static int compare_numbers(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void axis_add(struct axis *axis, int64_t low, int64_t high)
{
    int64_t *lists[] = {axis->low, axis->high, axis->customer};
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        lists[i] = realloc(lists[i], (axis->count + 1) * sizeof low);
        CHECK(lists[i] != NULL);
    }
    axis->low = lists[0], axis->high = lists[1], axis->customer = lists[2];
    axis->low[axis->count] = low;
    axis->high[axis->count] = high;
    axis->customer[axis->count] = low < 0 && low != FACT_ABSENT && high >= 0 ? 0 : low; /* 0 days is the readable one */
    axis->count++;
}

/* From one cut to the next; the first `singles` values of it each alone. */
static void axis_add_range(struct axis *axis, int64_t low, int64_t high, int singles)
{
    for (int i = 1; i < singles && low < high; i++, low++)
        axis_add(axis, low, low);
    axis_add(axis, low, high);
}

/* The cuts of the fact and of all that it is compared with. */
static int gather_cuts(struct cells *cells, enum fact fact, int64_t **ret_cuts, size_t *ret_count)
{
    int root = link_root(cells, (int)fact), linked = 0;
    size_t count = 0;
    int64_t *cuts = NULL;
    for (int i = 0; i < FACT_COUNT; i++) {
        if (!cells->named[i] || link_root(cells, i) != root)
            continue;
        linked++;
        cuts = realloc(cuts, (count + cells->cut_count[i] + 1) * sizeof *cuts);
        CHECK(cuts != NULL);
        if (cells->cut_count[i] > 0)
            memcpy(cuts + count, cells->cuts[i], cells->cut_count[i] * sizeof *cuts);
        count += cells->cut_count[i];
    }
    qsort(cuts, count, sizeof *cuts, compare_numbers);
    *ret_cuts = cuts;
    *ret_count = count;
    return linked;
}

static void axis_build(struct cells *cells, struct axis *axis, const struct playbook *playbook)
{
    int64_t least, most, *cuts;
    size_t cut_count;
    fact_range(axis->fact, playbook, &least, &most);
    if (can_be_absent(axis->fact))
        axis_add(axis, FACT_ABSENT, FACT_ABSENT);
    int singles = gather_cuts(cells, axis->fact, &cuts, &cut_count);
    bool each = fact_type(axis->fact) != FACT_NUMBER && fact_type(axis->fact) != FACT_DAYS;
    int64_t low = least;
    for (size_t i = 0; i < cut_count; i++) {
        if (cuts[i] <= low || cuts[i] > most)
            continue;
        axis_add_range(axis, low, cuts[i] - 1, each ? 100 : singles);
        low = cuts[i];
    }
    axis_add_range(axis, low, most, each ? 100 : singles);
    free(cuts);
}

bool cells_build(struct cells *cells, const struct playbook *playbook)
{
    cells->count = 1;
    cells->playbook = playbook;
    for (int i = 0; i < FACT_COUNT; i++) {
        if (!cells->named[i])
            continue;
        struct axis *axis = &cells->axes[cells->axis_count++];
        axis->fact = (enum fact)i;
        if (fact_type(axis->fact) == FACT_TEXT) {
            axis->texts = cells->texts[i];
            axis->count = cells->text_count[i];
        } else {
            axis_build(cells, axis, playbook);
        }
        if (axis->count > CELLS_MAX / cells->count)
            return false;
        cells->count *= axis->count;
    }
    return true;
}

size_t cells_stride(const struct cells *cells, size_t axis)
{
    size_t stride = 1;
    for (size_t i = 0; i < axis; i++)
        stride *= cells->axes[i].count;
    return stride;
}

size_t cells_part(const struct cells *cells, size_t cell, size_t axis)
{
    return cell / cells_stride(cells, axis) % cells->axes[axis].count;
}

/* ---- who can exist ---- */

/* The first can never be more than the second. */
static const enum fact at_most[][2] = {
    {FACT_trial, FACT_purchases},
    {FACT_premium, FACT_purchases},
    {FACT_related, FACT_purchases},
    {FACT_purchases_in_cycle, FACT_purchases},
    {FACT_renewals, FACT_purchases},
    {FACT_cycle, FACT_purchases},
    {FACT_shipped_in_cycle, FACT_shipped},
    {FACT_delivered_in_cycle, FACT_delivered},
    {FACT_referrals_converted, FACT_referrals},
    {FACT_positive_reactions, FACT_responses},
    {FACT_negative_reactions, FACT_responses},
    {FACT_days_since_last_purchase, FACT_days_since_first_purchase},
    {FACT_days_since_last_delivery, FACT_days_since_first_delivery},
};

/* The second is known exactly when the first is above 0. */
static const enum fact known_with[][2] = {
    {FACT_purchases, FACT_days_since_first_purchase},
    {FACT_purchases, FACT_days_since_last_purchase},
    {FACT_purchases, FACT_phase},
    {FACT_purchases_in_cycle, FACT_days_since_last_purchase},
    {FACT_purchases_in_cycle, FACT_phase},
    {FACT_responses, FACT_days_since_last_response},
    {FACT_delivered_in_cycle, FACT_days_since_first_delivery},
    {FACT_delivered_in_cycle, FACT_days_since_last_delivery},
};

/* Of the two at most one. */
static const enum fact never_both[][2] = {
    {FACT_order_live, FACT_order_void},
    {FACT_response_positive, FACT_response_negative},
    {FACT_order_first_of_cycle, FACT_order_void},
};

/* The first implies that the second is above 0. */
static const enum fact needs[][2] = {
    {FACT_answered_assess, FACT_responses},
    {FACT_answered_initial, FACT_responses},
    {FACT_answered_first_impression, FACT_responses},
    {FACT_answered_early_experience, FACT_responses},
    {FACT_answered_effect, FACT_responses},
    {FACT_answered_others_noticed, FACT_responses},
    {FACT_answered_monthly, FACT_responses},
    {FACT_answered_lapse, FACT_responses},
    {FACT_responded_since_first_purchase, FACT_responses},
    {FACT_responded_since_first_purchase, FACT_purchases},
    {FACT_order_live, FACT_purchases},
    {FACT_order_first_of_cycle, FACT_order_live},
    {FACT_effect_felt, FACT_purchases},
    {FACT_response_positive, FACT_responses},
    {FACT_response_negative, FACT_responses},
};

static bool known(const struct cells *cells, const struct fact_values *values, enum fact fact)
{
    return cells->named[fact] && values->value[fact] != FACT_ABSENT;
}

bool cells_can_be(const struct cells *cells, size_t cell, enum fact fact, int64_t least)
{
    for (size_t i = 0; i < cells->axis_count; i++) {
        if (cells->axes[i].fact == fact)
            return cells->axes[i].high[cells_part(cells, cell, i)] >= least;
    }
    return false;
}

/* In a cell of numbers without an upper bound the second may grow to fit; elsewhere the cell is empty. */
static bool raise(const struct cells *cells, size_t cell, struct fact_values *values, enum fact fact, int64_t least)
{
    if (values->value[fact] >= least)
        return true;
    if (!cells_can_be(cells, cell, fact, least))
        return false;
    values->value[fact] = least;
    return true;
}

static int class_of(int64_t value, int64_t middle, int64_t high)
{
    return (value >= middle) + (value >= high);
}

/* R44: the segment is read from the last response that states either figure: from both, or from one of them alone. */
static bool segment_fits(const struct playbook *playbook, const int64_t *value)
{
    int64_t nps = value[FACT_last_nps], satisfaction = value[FACT_last_satisfaction];
    int by_nps = class_of(nps, playbook->passive_nps, playbook->promoter_nps);
    int by_satisfaction = class_of(satisfaction, playbook->mid_satisfaction, playbook->high_satisfaction);
    int64_t of_both = SEGMENT_DETRACTOR_LOW + 3 * by_nps + by_satisfaction, segment = value[FACT_segment];
    bool has_nps = nps != FACT_ABSENT, has_satisfaction = satisfaction != FACT_ABSENT;
    if (!has_nps && !has_satisfaction)
        return segment == SEGMENT_UNKNOWN;
    return (has_nps && has_satisfaction && segment == of_both) ||
           (has_nps && segment == SEGMENT_DETRACTOR_LOW + 4 * by_nps) ||
           (has_satisfaction && segment == SEGMENT_DETRACTOR_LOW + 4 * by_satisfaction);
}

int64_t cells_acclimate_days(const struct playbook *playbook)
{
    return (playbook->acclimate_after_ms + DAY_MS - 1) / DAY_MS;
}

/* R39, R40: what of the rungs above the one where he stands would hold already, or of those below does not. */
static bool phase_fits(const struct cells *cells, const int64_t *value)
{
    const bool *named = cells->named;
    int64_t phase = value[FACT_phase], days = value[FACT_days_since_first_delivery];
    bool subscribed = named[FACT_subscription] && value[FACT_subscription] == 1;
    bool unsubscribed = named[FACT_subscription] && value[FACT_subscription] == 0;
    bool felt = named[FACT_effect_felt] && value[FACT_effect_felt] == 1;
    bool again = named[FACT_purchases_in_cycle] && value[FACT_purchases_in_cycle] >= 2;
    bool once = (named[FACT_purchases_in_cycle] && value[FACT_purchases_in_cycle] < 2) ||
                (named[FACT_purchases] && value[FACT_purchases] < 2);
    bool arrived = phase >= PHASE_ACTIVATE;
    if ((named[FACT_delivered_in_cycle] && (value[FACT_delivered_in_cycle] >= 1) != arrived) ||
        (named[FACT_days_since_first_delivery] && (days != FACT_ABSENT) != arrived))
        return false;
    if (named[FACT_shipped_in_cycle] && value[FACT_shipped_in_cycle] >= 1 && phase < PHASE_AFFIRM)
        return false;
    if (named[FACT_days_since_first_delivery] && phase == PHASE_ACTIVATE &&
        days >= cells_acclimate_days(cells->playbook))
        return false;
    if ((phase == PHASE_ACCLIMATE && felt) || (phase == PHASE_ACCOMPLISH && (again || subscribed)))
        return false;
    return phase < PHASE_ADOPT || !(unsubscribed && once);
}

/* What no event and no product of this shop ever makes. */
static bool made(const struct cells *cells, const int64_t *value)
{
    for (int i = 0; i < FACT_COUNT && cells->never != NULL; i++) {
        if (cells->named[i] && cells->never[i] && value[i] != FACT_ABSENT &&
            (value[i] != 0 || can_be_absent((enum fact)i)))
            return false;
    }
    return true;
}

/* Facts that a table of the classes ties together. */
static bool classes_fit(const struct cells *cells, const int64_t *value)
{
    const bool *named = cells->named;
    bool stated = (named[FACT_last_nps] && value[FACT_last_nps] != FACT_ABSENT) ||
                  (named[FACT_last_satisfaction] && value[FACT_last_satisfaction] != FACT_ABSENT);
    if (stated && named[FACT_responses] && value[FACT_responses] == 0)
        return false;
    if (named[FACT_segment] && named[FACT_last_nps] && named[FACT_last_satisfaction] &&
        !segment_fits(cells->playbook, value))
        return false;
    return !named[FACT_phase] || phase_fits(cells, value);
}

static bool possible(const struct cells *cells, size_t cell, struct fact_values *values)
{
    const int64_t *value = values->value;
    if (!made(cells, value) || !classes_fit(cells, value))
        return false;
    for (size_t i = 0; i < COUNT_OF(known_with); i++) {
        enum fact count = known_with[i][0], fact = known_with[i][1];
        bool there = fact == FACT_phase ? value[fact] > PHASE_ASSESS : value[fact] != FACT_ABSENT;
        if (cells->named[count] && cells->named[fact] && (value[count] > 0) != there)
            return false;
    }
    for (size_t i = 0; i < COUNT_OF(never_both); i++) {
        if (cells->named[never_both[i][0]] && cells->named[never_both[i][1]] && value[never_both[i][0]] == 1 &&
            value[never_both[i][1]] == 1)
            return false;
    }
    for (size_t i = 0; i < COUNT_OF(needs); i++) {
        if (cells->named[needs[i][0]] && cells->named[needs[i][1]] && value[needs[i][0]] == 1 &&
            value[needs[i][1]] <= 0)
            return false;
    }
    for (size_t i = 0; i < COUNT_OF(at_most); i++) {
        if (known(cells, values, at_most[i][0]) && known(cells, values, at_most[i][1]) &&
            !raise(cells, cell, values, at_most[i][1], value[at_most[i][0]]))
            return false;
    }
    bool ways = cells->named[FACT_registered_email] && cells->named[FACT_registered_line];
    bool either = (cells->named[FACT_registered_email] && value[FACT_registered_email] == 1) ||
                  (cells->named[FACT_registered_line] && value[FACT_registered_line] == 1);
    return !cells->named[FACT_registered] || (value[FACT_registered] == 1 ? either || !ways : !either); /* R22 */
}

bool cells_customer(const struct cells *cells, size_t cell, struct fact_values *ret_values)
{
    *ret_values = (struct fact_values){.campaign = SPAN_NONE, .goal = SPAN_NONE};
    for (int i = 0; i < FACT_COUNT; i++)
        ret_values->value[i] = FACT_ABSENT;
    size_t rest = cell;
    for (size_t i = 0; i < cells->axis_count; i++) {
        const struct axis *axis = &cells->axes[i];
        size_t part = rest % axis->count;
        rest /= axis->count;
        if (axis->fact == FACT_campaign)
            ret_values->campaign = axis->texts[part];
        else if (axis->fact == FACT_goal)
            ret_values->goal = axis->texts[part];
        else
            ret_values->value[axis->fact] = axis->customer[part];
    }
    return possible(cells, cell, ret_values);
}

/* ---- words ---- */

void fact_value_text(enum fact fact, int64_t value, struct buffer *text)
{
    enum dimension dimension;
    int64_t most;
    if (value == FACT_ABSENT)
        buffer_add_text(text, "absent");
    else if (fact_type(fact) == FACT_BOOLEAN)
        buffer_add_text(text, value ? "true" : "false");
    else if (enum_of(fact_type(fact), &dimension, &most))
        buffer_add_text(text, class_value_name(dimension, (int)value));
    else
        buffer_add_integer(text, value);
}

void cells_describe(const struct cells *cells, const struct fact_values *values, struct buffer *text)
{
    for (size_t i = 0; i < cells->axis_count; i++) {
        enum fact fact = cells->axes[i].fact;
        buffer_format(text, "%s%s = ", i == 0 ? "" : ", ", fact_name(fact));
        if (fact_type(fact) == FACT_TEXT) {
            struct span value = fact == FACT_campaign ? values->campaign : values->goal;
            buffer_format(text, "\"%.*s\"", (int)value.size, value.data);
        } else {
            fact_value_text(fact, values->value[fact], text);
        }
    }
}

static void describe_range(const struct axis *axis, size_t first, size_t last, struct buffer *text)
{
    bool absent = axis->low[first] == FACT_ABSENT;
    if (absent && last > first)
        first++;
    bool least = first == (size_t)(axis->low[0] == FACT_ABSENT); /* nothing below it */
    int64_t low = axis->low[first], high = axis->high[last];
    buffer_add_text(text, fact_name(axis->fact));
    if (least && last + 1 == axis->count && low != FACT_ABSENT && low != high) { /* all but absent */
        buffer_add_text(text, " known");
    } else if (low == high || high == INT64_MAX) {
        buffer_add_text(text, low == high ? " = " : " >= ");
        fact_value_text(axis->fact, low, text);
    } else if (least && (fact_type(axis->fact) == FACT_DAYS || fact_type(axis->fact) == FACT_NUMBER)) {
        buffer_add_text(text, " < ");
        buffer_add_integer(text, high + 1);
    } else {
        buffer_add_char(text, ' ');
        fact_value_text(axis->fact, low, text);
        buffer_add_text(text, " to ");
        fact_value_text(axis->fact, high, text);
    }
    if (absent && low != FACT_ABSENT)
        buffer_add_text(text, " or absent");
}

void cells_describe_box(const struct cells *cells, const size_t first[], const size_t last[], struct buffer *text)
{
    size_t before = text->size;
    for (size_t i = 0; i < cells->axis_count; i++) {
        const struct axis *axis = &cells->axes[i];
        if (first[i] == 0 && last[i] + 1 == axis->count)
            continue;
        if (text->size > before)
            buffer_add_text(text, ", ");
        if (axis->texts != NULL)
            buffer_format(text, "%s of %zu kinds", fact_name(axis->fact), last[i] - first[i] + 1);
        else
            describe_range(axis, first[i], last[i], text);
    }
    if (text->size == before)
        buffer_add_text(text, "everybody");
}
