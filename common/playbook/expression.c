#include "common/playbook/expression.h"

#include "common/base/check.h"
#include "common/playbook/expression_op.h"

bool expression_compare(const struct expression_op *op, int64_t value, int64_t other)
{
    int64_t literal = op->with_fact ? other : op->numbers[0];
    if (value == FACT_ABSENT || literal == FACT_ABSENT) /* nobody knows: no comparison holds, nor its opposite */
        return false;
    switch (op->comparison) {
    case COMPARE_EQUAL:
        return value == literal;
    case COMPARE_UNEQUAL:
        return value != literal;
    case COMPARE_LESS:
        return value < literal;
    case COMPARE_AT_MOST:
        return value <= literal;
    case COMPARE_GREATER:
        return value > literal;
    case COMPARE_AT_LEAST:
        return value >= literal;
    case COMPARE_IN:
        for (size_t i = 0; i < op->literal_count; i++) {
            if (value == op->numbers[i])
                return true;
        }
        return false;
    }
    return false;
}

static bool compare_text(const struct expression_op *op, struct span value)
{
    if (span_empty(value))
        return false;
    bool found = false;
    for (size_t i = 0; i < op->literal_count; i++)
        found = found || span_equal(value, op->texts[i]);
    return op->comparison == COMPARE_UNEQUAL ? !found : found;
}

/* Rare; kept out of expression_true's loop, which then needs few registers. */
static __attribute__((noinline)) bool op_holds(const struct expression_op *op, const struct fact_values *values)
{
    if (op->fact == FACT_campaign || op->fact == FACT_goal)
        return compare_text(op, op->fact == FACT_campaign ? values->campaign : values->goal);
    return expression_compare(op, values->value[op->fact], values->value[op->other]);
}

static inline bool test_holds(const struct expression_test *test, const struct fact_values *values)
{
    if (test->kind == TEST_OP)
        return op_holds(test->op, values);
    return (uint64_t)values->value[test->fact] - (uint64_t)test->range.low <= test->range.width;
}

bool expression_true(const struct expression *expression, const struct fact_values *values)
{
    size_t at = 0;
    while (at < expression->test_count) {
        const struct expression_test *test = &expression->tests[at];
        at = test_holds(test, values) ? test->if_true : test->if_false;
    }
    return at == TEST_TRUE;
}

void expression_facts(const struct expression *expression, void (*visit)(enum fact fact, void *context), void *context)
{
    for (size_t i = 0; i < expression->op_count; i++) {
        const struct expression_op *op = &expression->ops[i];
        if (op->kind == OP_COMPARE)
            visit(op->fact, context);
        if (op->kind == OP_COMPARE && op->with_fact)
            visit(op->other, context);
    }
}

static void add_fact(enum fact fact, void *context)
{
    *(uint64_t *)context |= FACT_BIT(fact);
}

uint64_t expression_facts_set(const struct expression *expression)
{
    uint64_t facts = 0;
    expression_facts(expression, add_fact, &facts);
    return facts;
}

static size_t boundary_add(struct day_boundary *boundaries, size_t count, size_t capacity, enum fact fact, int64_t days)
{
    for (size_t i = 0; i < count; i++) {
        if (boundaries[i].fact == fact && boundaries[i].days == days)
            return count;
    }
    CHECK(count < capacity);
    boundaries[count] = (struct day_boundary){fact, days};
    return count + 1;
}

/* R35: "< 60" stops holding at X + 60 d; "<= 60" a day later; "= 60" begins and ends. */
static size_t op_boundaries(const struct expression_op *op, struct day_boundary *boundaries, size_t count,
                            size_t capacity)
{
    bool at = op->comparison != COMPARE_AT_MOST && op->comparison != COMPARE_GREATER;
    bool after = op->comparison != COMPARE_LESS && op->comparison != COMPARE_AT_LEAST;
    for (size_t i = 0; i < op->literal_count; i++) {
        if (at)
            count = boundary_add(boundaries, count, capacity, op->fact, op->numbers[i]);
        if (after)
            count = boundary_add(boundaries, count, capacity, op->fact, op->numbers[i] + 1);
    }
    return count;
}

size_t expression_boundaries(const struct expression *expression, struct day_boundary *boundaries, size_t count,
                             size_t capacity)
{
    for (size_t i = 0; i < expression->op_count; i++) {
        const struct expression_op *op = &expression->ops[i];
        if (op->kind == OP_COMPARE && fact_type(op->fact) == FACT_DAYS)
            count = op_boundaries(op, boundaries, count, capacity);
    }
    return count;
}
