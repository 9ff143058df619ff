/* The seven stages of growth (R43). */
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

static enum growth growth_now(int64_t now)
{
    return subject_classes(&subject, now).growth;
}

static void r43_stage_by_stage(void **state)
{
    (void)state;
    subject_apply(&subject, CUSTOMER(REGISTERED, day(0)));
    assert_int_equal(growth_now(day(1)), GROWTH_NONE);
    subject_apply(&subject, PLACED(day(0), "o1", LINES(LINE("PREMIUM-1", 1, 1))));
    assert_int_equal(growth_now(day(1)), GROWTH_PURCHASER);
    subject_apply(&subject, PLACED(day(1), "o2", LINES(LINE("RELATED-1", 1, 1))));
    assert_int_equal(growth_now(day(1)), GROWTH_ENTHUSIAST);
    for (int i = 0; i < 4; i++)
        subject_apply(&subject, HUMAN(OPENED, day(2) + i));
    assert_int_equal(growth_now(day(3)), GROWTH_AUDIENCE);
    subject_apply(&subject, CUSTOMER(EVENT_ATTENDED, day(3)));
    assert_int_equal(growth_now(day(3)), GROWTH_FAN);
    for (int i = 0; i < 6; i++) {
        char id[16];
        snprintf(id, sizeof id, "r%d", i);
        subject_apply(&subject, RENEWED(day(4 + i), id));
    }
    assert_int_equal(growth_now(day(10)), GROWTH_MEMBER);
    for (int i = 0; i < 3; i++) {
        char id[16];
        snprintf(id, sizeof id, "f%d", i);
        subject_apply(&subject,
                      EVENT(ORDERS, CREDIT, day(11), .credit = {ID(id), true, false, ID("x"), day(11), false}));
    }
    assert_int_equal(growth_now(day(12)), GROWTH_EVANGELIST);
    assert_int_equal(growth_now(day(62)), GROWTH_ENTHUSIAST); /* an open has left the 60 days: all above fall */
}

static void r43_every_stage_needs_those_below(void **state)
{
    (void)state;
    subject_apply(&subject, PLACED(day(0), "o1"));
    subject_apply(&subject, RESPONSE(day(1), "r", MONTHLY, .nps = 10));
    subject_apply(&subject, HUMAN(CLICKED, day(1)));
    subject_apply(&subject, HUMAN(CLICKED, day(2)));
    assert_int_equal(growth_now(day(3)), GROWTH_PURCHASER);
    subject_apply(&subject, PLACED(day(1), "o2"));
    assert_int_equal(growth_now(day(3)), GROWTH_CUSTOMER);
    subject_apply(&subject, PLACED(day(2), "o3"));
    assert_int_equal(growth_now(day(3)), GROWTH_FAN);
}

static void r43_settled_by_the_last_purchases_product(void **state)
{
    (void)state;
    subject_apply(&subject, PLACED(day(0), "o1"));
    subject_apply(&subject, PLACED(day(1), "o2"));
    assert_int_equal(growth_now(day(2)), GROWTH_CUSTOMER);
    subject.playbook->settle_purchases = 3;
    assert_int_equal(growth_now(day(2)), GROWTH_PURCHASER);
    subject_apply(&subject, PLACED(day(2), "o3", LINES(LINE("SUB-30-A", 1, 1))));
    subject_apply(&subject, CANCELLED(day(2), "o1"));
    assert_int_equal(subject_figures(&subject, day(2))->settle_purchases, 2);
    assert_int_equal(growth_now(day(2)), GROWTH_CUSTOMER);
}

static void r43_growth_is_life_long(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        char id[16];
        snprintf(id, sizeof id, "o%d", i);
        subject_apply(&subject, PLACED(day(200 * i), id));
    }
    assert_int_equal(subject_figures(&subject, day(500))->cycle, 3);
    assert_int_equal(growth_now(day(500)), GROWTH_ENTHUSIAST);
    subject_apply(&subject, CANCELLED(day(500), "o1"));
    assert_int_equal(growth_now(day(500)), GROWTH_CUSTOMER); /* it can fall */
}

static void r25_the_fall_of_an_audience_is_on_time(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        char id[16];
        snprintf(id, sizeof id, "o%d", i);
        subject_apply(&subject, PLACED(day(i), id));
    }
    for (int i = 0; i < 5; i++)
        subject_apply(&subject, HUMAN(OPENED, day(10 + i)));
    int64_t now = day(20);
    for (int visits = 0; growth_now(now) == GROWTH_AUDIENCE; visits++) {
        assert_true(visits < 8);
        now = subject.figures.next_change_at;
        assert_int_not_equal(now, NEVER);
    }
    assert_int_equal(now, day(71)); /* five opens may lose one: the second leaves at 11 + 60 */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(r43_stage_by_stage),
        TEST(r43_every_stage_needs_those_below),
        TEST(r43_settled_by_the_last_purchases_product),
        TEST(r43_growth_is_life_long),
        TEST(r25_the_fall_of_an_audience_is_on_time),
    };
    return cmocka_run_group_tests_name("growth", tests, NULL, NULL);
}
