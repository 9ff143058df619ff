#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "common/engine/record.h"
#include "common/playbook/expression_op.h"

static struct arena arena;

static bool compile(const char *text, struct expression *expression, struct expression_error *error)
{
    return expression_compile(&arena, span_of(text), NULL, expression, error);
}

static struct fact_values customer(void)
{
    struct fact_values values = {.campaign = SPAN("spring")};
    for (int i = 0; i < FACT_COUNT; i++)
        values.value[i] = 0;
    values.value[FACT_purchases] = 2;
    values.value[FACT_settle_purchases] = 2;
    values.value[FACT_subscription] = 1;
    values.value[FACT_days_since_last_purchase] = 60;
    values.value[FACT_tier] = TIER_FOLLOWER;
    values.value[FACT_phase] = PHASE_ADOPT;
    values.value[FACT_segment] = SEGMENT_PASSIVE_HIGH;
    values.value[FACT_last_nps] = FACT_ABSENT;
    return values;
}

static void truth(void **state)
{
    static const struct {
        const char *text;
        bool truth;
    } table[] = {
        {"purchases = 2", true},
        {"purchases != 2", false},
        {"purchases < 3", true},
        {"purchases <= 1", false},
        {"purchases > 1", true},
        {"purchases >= 3", false},
        {"purchases <= 2", true},
        {"purchases < 2", false},
        {"purchases > 2", false},
        {"purchases >= 2", true},
        {"purchases in (1, 2)", true},
        {"purchases in (1,3)", false},
        {"subscription", true},
        {"not subscription", false},
        {"not not subscription", true},
        {"subscription = false", false},
        {"tier = follower", true},
        {"tier in (lapsed, dormant)", false},
        {"not (tier in (lapsed, dormant))", true},
        {"phase >= accomplish", true},
        {"phase < adopt", false},
        {"segment > passive_mid", true},
        {"campaign = \"spring\"", true},
        {"campaign != 'spring'", false},
        {"campaign in (\"a\", \"spring\")", true},
        {"goal = \"x\"", false},
        {"goal != \"x\"", false}, /* absent: neither */
        {"last_nps >= 9", false},
        {"last_nps < 9", false},
        {"last_nps != 9", false},
        {"not last_nps >= 9", true},
        {"purchases >= settle_purchases", true},
        {"purchases > settle_purchases", false},
        {"purchases < last_nps", false},
        {"purchases != last_nps", false},
        {"days_since_last_purchase < 60", false},
        {"days_since_last_purchase >= 60", true},
        {"purchases > -1", true},
        /* and binds tighter than or */
        {"subscription or purchases = 9 and purchases = 8", true},
        {"(subscription or purchases = 9) and purchases = 8", false},
        {"purchases = 9 and subscription or purchases = 2", true},
        {"purchases = 9 or purchases = 8 or purchases = 2", true},
        {"not purchases = 9 and subscription", true},
        {"((((subscription))))", true},
        {"\tsubscription\n and  purchases=2", true},
    };
    struct fact_values values = customer();
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct expression expression;
        struct expression_error error = {0};
        if (!compile(table[i].text, &expression, &error))
            fail_msg("%s: %s", table[i].text, error.message.data);
        if (expression_true(&expression, &values) != table[i].truth)
            fail_msg("%s: expected %d", table[i].text, table[i].truth);
        assert_true(span_equal(expression.text, span_of(table[i].text)));
    }
}

static void errors_say_where(void **state)
{
    static const struct {
        const char *text;
        size_t column;
        const char *message;
    } table[] = {
        {"", 1, "expected a fact, not or \"(\", found the end"},
        {"purchses = 1", 1, "expected a fact, found \"purchses\"; nearest: purchases"},
        {"purchases = one", 13, "expected a whole number or a number fact, found \"one\""},
        {"purchases = 1x", 13, "expected a whole number or a number fact, found \"1x\""},
        {"purchases = 99999999999999999999", 13,
         "expected a whole number or a number fact, found \"99999999999999999999\""},
        {"days_since_last_purchase < purchases", 28, "expected a whole number, found \"purchases\""},
        {"subscription = 1", 16, "expected true or false, found \"1\""},
        {"subscription and", 17, "expected a fact, not or \"(\", found the end"},
        {"subscription subscription", 14, "expected and, or or the end, found \"subscription\""},
        {"purchases in 1", 14, "expected \"(\" after in, found \"1\""},
        {"purchases in (1 2)", 17, "expected \",\" or \")\", found \"2\""},
        {"purchases in ()", 15, "expected a whole number or a number fact, found \")\""},
        {"tier < lapsed", 6, "expected = or != or in (this fact has no order), found \"<\""},
        {"campaign = \"spring", 12, "expected a text in quotes, found \"\"spring\""},
        {"purchases == 1", 11, "expected a comparison (= != < <= > >= in), found \"==\"; nearest: ="},
        {"purchases >= 1 Or consent", 16, "expected and, or or the end, found \"Or\"; nearest: or"},
        {"！consent", 1, "expected a fact, not or \"(\", found \"！\"; nearest: not"},
        {"purchases ~ 1", 11, "expected a comparison (= != < <= > >= in), found \"~\""},
        {"\xE8\xB3\xBC\xE5\x85\xA5 = 1", 1, "expected a fact, not or \"(\", found \"\xE8\xB3\xBC\""},
        {"campaign = \"\xE8\xB3\xBC\" x", 16, "expected and, or or the end, found \"x\""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct expression expression;
        struct expression_error error = {0};
        assert_false(compile(table[i].text, &expression, &error));
        assert_string_equal(error.message.data, table[i].message);
        assert_int_equal(error.column, table[i].column);
        buffer_release(&error.message);
    }
}

/* The deepest text that compiles must still be right. */
static void deepest_nesting(void **state)
{
    struct buffer text = {0};
    struct expression expression;
    struct expression_error error = {0};
    struct fact_values values = customer();
    (void)state;
    for (int i = 0; i < EXPRESSION_DEPTH_MAX; i++)
        buffer_add_text(&text, "purchases = 9 or subscription and (");
    buffer_add_text(&text, "purchases = 2");
    for (int i = 0; i < EXPRESSION_DEPTH_MAX; i++)
        buffer_add_char(&text, ')');
    assert_true(expression_compile(&arena, buffer_span(&text), NULL, &expression, &error));
    assert_true(expression_true(&expression, &values));
    values.value[FACT_purchases] = 3;
    assert_false(expression_true(&expression, &values));
    buffer_reset(&text);
    for (int i = 0; i <= EXPRESSION_DEPTH_MAX; i++)
        buffer_add_char(&text, '(');
    assert_false(expression_compile(&arena, buffer_span(&text), NULL, &expression, &error));
    buffer_release(&text);
    buffer_release(&error.message);
}

/* ---- the tests and their ways against the ops, read as what they are: postfix ---- */

static uint64_t dice_state = 1;

static unsigned dice(unsigned sides)
{
    dice_state = dice_state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (unsigned)(dice_state >> 33) % sides;
}

static void add_comparison(struct buffer *text)
{
    static const char *const comparisons[] = {
        "= 1", "!= 1", "< 1", "<= 1", "> 1", ">= 1", "= settle_purchases", "in (0, 2)", "!= settle_purchases"};
    buffer_format(text, "%s %s", dice(2) ? "purchases" : "last_nps", comparisons[dice(COUNT_OF(comparisons))]);
}

static void add_expression(struct buffer *text, int depth)
{
    static const char *const plain[] = {"subscription", "campaign = 'spring'", "campaign != 'spring'"};
    unsigned kind = depth == 0 ? dice(3) : dice(8);
    if (dice(3) == 0)
        buffer_add_text(text, "not ");
    if (kind == 0) {
        buffer_add_text(text, plain[dice(COUNT_OF(plain))]);
    } else if (kind < 3) {
        add_comparison(text);
    } else {
        buffer_add_char(text, '(');
        add_expression(text, depth - 1);
        for (unsigned more = dice(3); more > 0; more--) {
            buffer_add_text(text, dice(2) ? " and " : " or ");
            add_expression(text, depth - 1);
        }
        buffer_add_char(text, ')');
    }
}

static bool op_true(const struct expression_op *op, const struct fact_values *values)
{
    bool spring = span_equal(values->campaign, SPAN("spring"));
    if (op->fact != FACT_campaign)
        return expression_compare(op, values->value[op->fact], values->value[op->other]);
    return !span_empty(values->campaign) && spring == (op->comparison == COMPARE_EQUAL);
}

static bool postfix_true(const struct expression *expression, const struct fact_values *values)
{
    bool stack[64];
    size_t top = 0;
    for (size_t i = 0; i < expression->op_count; i++) {
        const struct expression_op *op = &expression->ops[i];
        assert_true(top < COUNT_OF(stack));
        if (op->kind == OP_COMPARE) {
            stack[top++] = op_true(op, values);
        } else if (op->kind == OP_NOT) {
            stack[top - 1] = !stack[top - 1];
        } else {
            top--;
            stack[top - 1] = op->kind == OP_AND ? stack[top - 1] && stack[top] : stack[top - 1] || stack[top];
        }
    }
    assert_int_equal(top, 1);
    return stack[0];
}

static void any_nesting_is_as_written(void **state)
{
    static const int64_t numbers[] = {FACT_ABSENT, FACT_ABSENT + 1, -1, 0, 1, 2, INT64_MAX};
    struct buffer text = {0};
    unsigned truths = 0;
    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct expression expression;
        struct expression_error error = {0};
        struct fact_values values = customer();
        buffer_reset(&text);
        add_expression(&text, 3);
        assert_true(expression_compile(&arena, buffer_span(&text), NULL, &expression, &error));
        values.value[FACT_purchases] = numbers[dice(COUNT_OF(numbers))];
        values.value[FACT_last_nps] = numbers[dice(COUNT_OF(numbers))];
        values.value[FACT_settle_purchases] = numbers[dice(COUNT_OF(numbers))];
        values.value[FACT_subscription] = dice(2);
        values.campaign = dice(3) == 0 ? SPAN_NONE : dice(2) ? SPAN("spring") : SPAN("autumn");
        bool truth = postfix_true(&expression, &values);
        if (expression_true(&expression, &values) != truth)
            fail_msg("%.*s is not %d", (int)text.size, text.data, truth);
        truths += truth;
        arena_reset(&arena);
    }
    assert_in_range(truths, 5000, 15000); /* else it shows little */
    buffer_release(&text);
}

/* R35: "< 60" changes at 60, "<= 60" at 61, "= 60" at both; other facts have no boundary; no repeats. */
static void r35_day_boundaries(void **state)
{
    struct expression expression;
    struct expression_error error = {0};
    struct day_boundary boundaries[16];
    (void)state;
    assert_true(
        compile("days_since_last_purchase < 60 or days_since_last_purchase >= 60 or days_since_last_open <= 7 or "
                "days_since_last_purchase = 90 or purchases >= 5 or days_since_last_open > 6",
                &expression, &error));
    size_t count = expression_boundaries(&expression, boundaries, 0, COUNT_OF(boundaries));
    static const struct day_boundary expected[] = {{FACT_days_since_last_purchase, 60},
                                                   {FACT_days_since_last_open, 8},
                                                   {FACT_days_since_last_purchase, 90},
                                                   {FACT_days_since_last_purchase, 91},
                                                   {FACT_days_since_last_open, 7}};
    assert_int_equal(count, COUNT_OF(expected));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(boundaries[i].fact, expected[i].fact);
        assert_int_equal(boundaries[i].days, expected[i].days);
    }
}

static void note_fact(enum fact fact, void *context)
{
    buffer_format(context, "%s ", fact_name(fact));
}

static void facts_in_order(void **state)
{
    struct expression expression;
    struct expression_error error = {0};
    struct buffer names = {0};
    (void)state;
    assert_true(compile("subscription and (purchases >= settle_purchases or subscription)", &expression, &error));
    expression_facts(&expression, note_fact, &names);
    assert_string_equal(names.data, "subscription purchases settle_purchases subscription ");
    buffer_release(&names);
}

static void every_fact_is_found(void **state)
{
    (void)state;
    for (int i = 0; i < FACT_COUNT; i++) {
        enum fact fact = FACT_COUNT;
        assert_true(fact_find(span_of(fact_name((enum fact)i)), &fact));
        assert_int_equal(fact, i);
    }
    enum fact fact;
    assert_false(fact_find(SPAN("purchase"), &fact));
}

/* The documentation's table of facts is this one. */
static void readme_names_every_fact(void **state)
{
    static const char *const kinds[] = {"number", "yes or no", "days", "tier", "phase", "stage", "segment", "text"};
    struct buffer readme = {0}, table = {0};
    char chunk[4096];
    size_t size;
    FILE *file = fopen(ORIORI_SOURCE_DIR "/common/playbook/README.md", "rb");
    (void)state;
    assert_non_null(file);
    while ((size = fread(chunk, 1, sizeof chunk, file)) > 0)
        buffer_add(&readme, chunk, size);
    fclose(file);
    for (int i = 0; i < FACT_COUNT; i++)
        buffer_format(&table, "| `%s` | %s | %s |\n", fact_name((enum fact)i), kinds[fact_type((enum fact)i)],
                      fact_text((enum fact)i));
    assert_non_null(strstr(readme.data, table.data));
    buffer_release(&readme);
    buffer_release(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(truth),
        cmocka_unit_test(errors_say_where),
        cmocka_unit_test(deepest_nesting),
        cmocka_unit_test(any_nesting_is_as_written),
        cmocka_unit_test(r35_day_boundaries),
        cmocka_unit_test(facts_in_order),
        cmocka_unit_test(every_fact_is_found),
        cmocka_unit_test(readme_names_every_fact),
    };
    arena_init(&arena, 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_release(&arena);
    return failed;
}
