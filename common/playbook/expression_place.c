/* From ops to tests: from the last op to the first, so that where a test's answers lead is known when it is written. */
#include "common/base/check.h"
#include "common/playbook/expression_op.h"

struct placing {
    const struct expression_op *ops;
    size_t ops_left; /* those behind are placed */
    struct expression_test *tests;
    uint16_t next; /* the test that was written last: the way into all that is placed */
};

/* Where the answers to a test lead. */
struct ways {
    uint16_t if_true, if_false;
};

static bool is_range(const struct expression_op *op)
{
    return !op->with_fact && fact_type(op->fact) != FACT_TEXT;
}

static size_t tests_of(const struct expression_op *op)
{
    if (op->kind != OP_COMPARE)
        return 0;
    if (!is_range(op))
        return 1;
    return op->comparison == COMPARE_UNEQUAL ? 2 : op->literal_count;
}

static struct expression_test *add(struct placing *placing, struct ways ways)
{
    struct expression_test *test = &placing->tests[--placing->next];
    test->if_true = ways.if_true;
    test->if_false = ways.if_false;
    return test;
}

/* From low to high, both in it. What is absent lies below every range. */
static void add_range(struct placing *placing, enum fact fact, int64_t low, int64_t high, struct ways ways)
{
    struct expression_test *test = add(placing, ways);
    test->kind = TEST_RANGE;
    test->fact = (uint16_t)fact;
    test->range.low = low;
    test->range.width = (uint64_t)high - (uint64_t)low;
}

static void place_range(struct placing *placing, const struct expression_op *op, struct ways ways)
{
    const int64_t least = FACT_ABSENT + 1, number = op->numbers[0];
    switch (op->comparison) {
    case COMPARE_EQUAL:
        add_range(placing, op->fact, number, number, ways);
        break;
    case COMPARE_LESS:
        add_range(placing, op->fact, least, number - 1, ways);
        break;
    case COMPARE_AT_MOST:
        add_range(placing, op->fact, least, number, ways);
        break;
    case COMPARE_GREATER:
        add_range(placing, op->fact, number + 1, INT64_MAX, ways);
        break;
    case COMPARE_AT_LEAST:
        add_range(placing, op->fact, number, INT64_MAX, ways);
        break;
    case COMPARE_UNEQUAL: /* below or above */
        add_range(placing, op->fact, number + 1, INT64_MAX, ways);
        add_range(placing, op->fact, least, number - 1, (struct ways){ways.if_true, placing->next});
        break;
    case COMPARE_IN:
        for (size_t i = op->literal_count; i-- > 0; ways.if_false = placing->next)
            add_range(placing, op->fact, op->numbers[i], op->numbers[i], ways);
        break;
    }
}

/* Of "and" and "or" the right side ends right before, and the left side before that: who gets past the left one goes on
 * to the right one. */
static void place(struct placing *placing, struct ways ways)
{
    const struct expression_op *op = &placing->ops[--placing->ops_left];
    if (op->kind == OP_NOT) {
        place(placing, (struct ways){ways.if_false, ways.if_true});
    } else if (op->kind == OP_COMPARE && is_range(op)) {
        place_range(placing, op, ways);
    } else if (op->kind == OP_COMPARE) {
        struct expression_test *test = add(placing, ways);
        test->kind = TEST_OP;
        test->op = op;
    } else {
        place(placing, ways);
        bool and = op->kind == OP_AND;
        place(placing, and? (struct ways){placing->next, ways.if_false} : (struct ways){ways.if_true, placing->next});
    }
}

void expression_place(struct arena *arena, struct expression *expression)
{
    size_t count = 0;
    for (size_t i = 0; i < expression->op_count; i++)
        count += tests_of(&expression->ops[i]);
    CHECK(count < TEST_FALSE); /* a test needs two letters of EXPRESSION_SIZE_MAX */
    struct placing placing = {.ops = expression->ops, .ops_left = expression->op_count, .next = (uint16_t)count};
    placing.tests = ARENA_ARRAY(arena, struct expression_test, count);
    place(&placing, (struct ways){TEST_TRUE, TEST_FALSE});
    CHECK(placing.next == 0 && placing.ops_left == 0);
    expression->tests = placing.tests;
    expression->test_count = count;
}
