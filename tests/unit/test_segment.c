/* Three segments, then nine (R44). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/engine.h"

static struct subject subject;

static int setup(void **state)
{
    (void)state;
    subject = subject_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    subject_free(&subject);
    return 0;
}

static enum segment segment_now(void)
{
    return subject_classes(&subject, day(100)).segment;
}

static void r44_class_and_height(void **state)
{
    (void)state;
    /* by nps -1 (absent), 0..10; by satisfaction 0 (absent), 1..5: the class and height of the names */
    for (int nps = -1; nps <= 10; nps++)
        for (int satisfaction = 0; satisfaction <= 5; satisfaction++) {
            subject_forget(&subject);
            subject_apply(&subject, RESPONSE(day(1), "r", LAPSE, .nps = nps, .satisfaction = satisfaction));
            const char *by_nps = nps >= 9 ? "promoter" : nps >= 7 ? "passive" : "detractor";
            const char *by_satisfaction = satisfaction >= 4 ? "promoter" : satisfaction == 3 ? "passive" : "detractor";
            const char *from_satisfaction = satisfaction >= 4 ? "high" : satisfaction == 3 ? "mid" : "low";
            const char *from_nps = nps >= 9 ? "high" : nps >= 7 ? "mid" : "low";
            char expected[32];
            snprintf(expected, sizeof expected, "%s_%s", nps >= 0 ? by_nps : by_satisfaction,
                     satisfaction ? from_satisfaction : from_nps);
            if (nps < 0 && !satisfaction)
                snprintf(expected, sizeof expected, "unknown");
            assert_string_equal(class_value_name(DIMENSION_SEGMENT, (int)segment_now()), expected);
        }
}

static void r44_the_last_answer_that_states_one_of_them(void **state)
{
    (void)state;
    struct event events[] = {
        RESPONSE(day(1), "r1", INITIAL, .nps = 10),
        RESPONSE(day(5), "r2", MONTHLY, .satisfaction = 3),
        RESPONSE(day(9), "r3", MONTHLY, .goal = ID("run")),
    };
    assert_any_order(&subject, events, COUNT_OF(events), day(100));
    assert_int_equal(segment_now(), SEGMENT_PASSIVE_MID);
}

static void r44_an_edited_or_late_answer_rereads_it(void **state)
{
    (void)state;
    subject_apply(&subject, RESPONSE(day(5), "r1", INITIAL, .nps = 10));
    assert_int_equal(segment_now(), SEGMENT_PROMOTER_HIGH);
    subject_apply(&subject, RESPONSE(day(3), "r2", INITIAL, .nps = 1));
    assert_int_equal(segment_now(), SEGMENT_PROMOTER_HIGH);
    subject_apply(&subject, RESPONSE(day(6), "r1", INITIAL, .version = 1, .nps = 7, .satisfaction = 5));
    assert_int_equal(segment_now(), SEGMENT_PASSIVE_HIGH);
}

static void r44_rank_is_class_then_height(void **state)
{
    (void)state;
    assert_int_equal(classes_direction(subject.playbook, DIMENSION_SEGMENT, SEGMENT_UNKNOWN, SEGMENT_DETRACTOR_LOW),
                     DIRECTION_ENTER);
    assert_int_equal(
        classes_direction(subject.playbook, DIMENSION_SEGMENT, SEGMENT_DETRACTOR_HIGH, SEGMENT_PASSIVE_LOW),
        DIRECTION_UP);
    assert_int_equal(
        classes_direction(subject.playbook, DIMENSION_SEGMENT, SEGMENT_PROMOTER_HIGH, SEGMENT_PROMOTER_MID),
        DIRECTION_DOWN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(r44_class_and_height),
        TEST(r44_the_last_answer_that_states_one_of_them),
        TEST(r44_an_edited_or_late_answer_rereads_it),
        TEST(r44_rank_is_class_then_height),
    };
    return cmocka_run_group_tests_name("segment", tests, NULL, NULL);
}
