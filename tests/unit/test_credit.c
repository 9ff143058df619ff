/* What a friend's orders credit to his referrer (R30, R31, R12's forwards). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/engine/step.h"
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

/* Applies the friend's event; the forwards that it causes. */
static const struct credit_out *credits_of(struct event event)
{
    event.event_id = ID("cause");
    struct credit_list before = credit_standings(&subject.facts, &subject.arena);
    facts_apply(&subject.facts, &subject.arena, subject.playbook, &event, subject.now, &subject.change);
    assert_int_equal(subject.change.verdict, FOLD_APPLIED);
    struct credit_list after = credit_standings(&subject.facts, &subject.arena);
    return credit_changes(&subject.arena, ID("c1"), &event, before, after, subject.change.erased_now);
}

static void r30_a_live_order_credits_once(void **state)
{
    (void)state;
    const struct credit_out *credit = credits_of(PLACED(day(5), "o1", .referrer_customer_id = ID("ref")));
    assert_non_null(credit);
    assert_null(credit->next);
    assert_int_equal(credit->event.kind, EVENT_CREDIT);
    assert_true(span_equal(credit->event.customer_id, ID("ref")));
    assert_true(span_equal(credit->event.event_id, ID("cause")));
    assert_int_equal(credit->event.occurred_at, day(5));
    assert_true(span_equal(credit->event.credit.friend_id, ID("c1")));
    assert_true(credit->event.credit.standing);
    assert_int_equal(credit->event.credit.order_at, day(5));
    assert_null(credits_of(PLACED(day(6), "o2", .referrer_customer_id = ID("ref"))));
}

static void r30_the_credit_is_whole_and_follows_the_earliest_live_order(void **state)
{
    (void)state;
    credits_of(PLACED(day(5), "o1", .referrer_customer_id = ID("ref")));
    const struct credit_out *credit = credits_of(PLACED(day(3), "o2", .referrer_customer_id = ID("ref")));
    assert_int_equal(credit->event.credit.order_at, day(3));
    credit = credits_of(CANCELLED(day(7), "o2"));
    assert_int_equal(credit->event.credit.order_at, day(5));
    assert_true(span_equal(credit->event.credit.order_id, ID("o1")));
    credit = credits_of(CANCELLED(day(7), "o1"));
    assert_false(credit->event.credit.standing);
    assert_false(credit->event.credit.by_erasure);
}

static void r30_nobody_refers_himself(void **state)
{
    (void)state;
    assert_null(credits_of(PLACED(day(5), "o1", .referrer_customer_id = ID("c1"))));
}

static void r30_an_edit_may_change_the_referrer(void **state)
{
    (void)state;
    credits_of(PLACED(day(5), "o1", .referrer_customer_id = ID("a")));
    const struct credit_out *credit = credits_of(PLACED(day(5), "o1", .version = 1, .referrer_customer_id = ID("b")));
    assert_true(span_equal(credit->event.customer_id, ID("a")));
    assert_false(credit->event.credit.standing);
    assert_true(span_equal(credit->next->event.customer_id, ID("b")));
    assert_true(credit->next->event.credit.standing);
}

static void r31_an_erasure_takes_the_credit_back(void **state)
{
    (void)state;
    credits_of(PLACED(day(5), "o1", .referrer_customer_id = ID("ref")));
    const struct credit_out *credit = credits_of(CUSTOMER(ERASED, day(9)));
    assert_false(credit->event.credit.standing);
    assert_true(credit->event.credit.by_erasure);
}

static struct event credit_event(bool standing, int64_t at)
{
    return EVENT(ORDERS, CREDIT, day(9), .credit = {ID("friend"), standing, false, ID("x1"), at, false});
}

static void r30_the_referrer_becomes_known_by_the_credit(void **state)
{
    (void)state;
    assert_int_equal(subject_apply(&subject, credit_event(false, day(5))), FOLD_DUPLICATE); /* nothing to withdraw */
    assert_false(subject.facts.known);
    assert_int_equal(subject_apply(&subject, credit_event(true, day(5))), FOLD_APPLIED);
    assert_true(subject.change.first_sight);
    assert_true(subject.change.credit_began);
    assert_int_equal(subject_figures(&subject, day(9))->referrals, 1);
    assert_int_equal(subject.figures.referrals_converted, 1);
}

static void r30_a_withdrawn_credit_takes_both_counts_back(void **state)
{
    (void)state;
    subject_apply(&subject, credit_event(true, day(5)));
    assert_int_equal(subject_apply(&subject, credit_event(true, day(5))), FOLD_DUPLICATE);
    subject_apply(&subject, credit_event(true, day(4)));
    assert_true(subject.change.credit_moved);
    subject_apply(&subject, credit_event(false, NEVER));
    assert_true(subject.change.credit_ended);
    assert_int_equal(subject_figures(&subject, day(9))->referrals, 0);
    assert_int_equal(subject.figures.referrals_converted, 0);
    subject_apply(&subject, CUSTOMER(REFERRED, day(1), .referred_customer_id = ID("friend")));
    assert_int_equal(subject_figures(&subject, day(9))->referrals, 1); /* alone it never converts */
    assert_int_equal(subject.figures.referrals_converted, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(r30_a_live_order_credits_once),
        TEST(r30_the_credit_is_whole_and_follows_the_earliest_live_order),
        TEST(r30_nobody_refers_himself),
        TEST(r30_an_edit_may_change_the_referrer),
        TEST(r30_the_referrer_becomes_known_by_the_credit),
        TEST(r30_a_withdrawn_credit_takes_both_counts_back),
        TEST(r31_an_erasure_takes_the_credit_back),
    };
    return cmocka_run_group_tests_name("credit", tests, NULL, NULL);
}
