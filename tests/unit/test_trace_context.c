#include "common/base/trace_context.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define PARENT "b7ad6b7169203331"

static void test_what_is_read_is_written(void **state)
{
    (void)state;
    struct trace_context context;
    char text[TRACE_TEXT_SIZE + 1];
    assert_true(trace_context_parse(SPAN("00-" TRACE "-" PARENT "-01"), &context));
    assert_true(context.sampled);
    assert_int_equal(0x0a, context.trace_id[0]);
    assert_int_equal(0x31, context.span_id[7]);
    trace_context_text(&context, text);
    assert_string_equal("00-" TRACE "-" PARENT "-01", text);
    assert_true(trace_context_parse(SPAN("00-" TRACE "-" PARENT "-fe"), &context)); /* flags of which we know one */
    assert_false(context.sampled);
    assert_true(trace_context_parse(SPAN("01-" TRACE "-" PARENT "-01-more"), &context)); /* a later version */
}

static void test_what_may_not_be_followed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "00-" TRACE "-" PARENT "-0",
        "00-" TRACE "-" PARENT "-01-more",
        "01-" TRACE "-" PARENT "-01more",
        "ff-" TRACE "-" PARENT "-01",
        "00-00000000000000000000000000000000-" PARENT "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-" PARENT "-01",
        "00-0af7651916cd43dd8448eb211c80319g-" PARENT "-01",
        "00_" TRACE "-" PARENT "-01",
        "00-" TRACE "_" PARENT "-01",
        "00-" TRACE "-" PARENT "_01",
    };
    struct trace_context context = {.sampled = true};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (trace_context_parse(span_of(bad[i]), &context))
            fail_msg("taken: %s", bad[i]);
    assert_true(context.sampled); /* and left as it was */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_read_is_written),
        cmocka_unit_test(test_what_may_not_be_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
