/* The ladder of a cycle (R5, R39, R40). */
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

static enum phase phase_after(const struct event *events, size_t count, int64_t now)
{
    subject_forget(&subject);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(subject_apply(&subject, events[i]), FOLD_APPLIED);
    return phase_of(subject_figures(&subject, now));
}

#define PHASE_AFTER(now, ...)                                                                                       \
    phase_after((const struct event[]){__VA_ARGS__}, sizeof((const struct event[]){__VA_ARGS__}) / sizeof(struct event), \
                now)
#define BOUGHT PLACED(day(0), "o1")
#define ARRIVED BOUGHT, DELIVERY(DELIVERED, day(2), "o1")

static int64_t since(enum phase phase)
{
    return phase_effective_at(&subject.figures, phase);
}

static void r40_assess_without_a_purchase(void **state)
{
    (void)state;
    assert_int_equal(PHASE_AFTER(day(1), HUMAN(OPENED, day(0))), PHASE_ASSESS);
    assert_int_equal(PHASE_AFTER(day(1), BOUGHT, CANCELLED(day(0), "o1")), PHASE_ASSESS);
    assert_int_equal(since(PHASE_ASSESS), NEVER);
}

static void r40_admit_and_affirm(void **state)
{
    (void)state;
    assert_int_equal(PHASE_AFTER(day(1), BOUGHT), PHASE_ADMIT);
    assert_int_equal(since(PHASE_ADMIT), day(0));
    assert_int_equal(PHASE_AFTER(day(1), BOUGHT, DELIVERY(SHIPPED, day(1), "o1")), PHASE_AFFIRM);
    assert_int_equal(PHASE_AFTER(day(1), BOUGHT, HUMAN(CLICKED, day(0))), PHASE_AFFIRM);
    assert_int_equal(PHASE_AFTER(day(1), BOUGHT, HUMAN(CLICKED, day(0) - 1)), PHASE_ADMIT);
    assert_int_equal(PHASE_AFTER(day(1), BOUGHT, EVENT(EMAIL_OPENS, OPENED, day(1), .agent = AGENT_MACHINE)),
                     PHASE_ADMIT);
    assert_int_equal(PHASE_AFTER(day(1), BOUGHT, RESPONSE(day(0), "r", INITIAL, .nps = 9)), PHASE_AFFIRM);
    assert_int_equal(PHASE_AFTER(day(1), BOUGHT, RESPONSE(day(0), "r", INITIAL, .nps = 8)), PHASE_ADMIT);
    assert_int_equal(PHASE_AFTER(day(1), BOUGHT, DELIVERY(SHIPPED, day(0), "other")), PHASE_ADMIT);
}

static void r40_activate_and_acclimate(void **state)
{
    (void)state;
    assert_int_equal(PHASE_AFTER(day(5) - 1, ARRIVED), PHASE_ACTIVATE);
    assert_int_equal(subject.figures.next_change_at, day(5));
    assert_int_equal(PHASE_AFTER(day(5), ARRIVED), PHASE_ACCLIMATE);
    assert_int_equal(since(PHASE_ACCLIMATE), day(5));
    assert_int_equal(PHASE_AFTER(day(2), ARRIVED, RESPONSE(day(2), "r", EARLY_EXPERIENCE)), PHASE_ACCLIMATE);
    assert_int_equal(PHASE_AFTER(day(2), BOUGHT, RESPONSE(day(2), "r", EARLY_EXPERIENCE)), PHASE_ADMIT);
}

static void r40_accomplish_by_effect_or_by_buying_after_it(void **state)
{
    (void)state;
    struct event late = PLACED(day(16), "o2"), early = PLACED(day(16) - 1, "o2");
    struct event felt = RESPONSE(day(9), "r", EFFECT, .effect_felt = ANSWER_TRUE);
    assert_int_equal(PHASE_AFTER(day(20), ARRIVED, felt), PHASE_ACCOMPLISH);
    assert_int_equal(since(PHASE_ACCOMPLISH), day(9));
    assert_int_equal(PHASE_AFTER(day(20), ARRIVED, late), PHASE_ADOPT); /* the second purchase opens adopt too */
    assert_int_equal(since(PHASE_ACCOMPLISH), day(16));
    assert_int_equal(PHASE_AFTER(day(20), ARRIVED, early), PHASE_ACCLIMATE);
}

static void r40_adopt_by_a_second_purchase_or_a_subscription(void **state)
{
    (void)state;
    struct event felt = RESPONSE(day(9), "r", EFFECT, .effect_felt = ANSWER_TRUE);
    assert_int_equal(PHASE_AFTER(day(20), ARRIVED, felt, PLACED(day(3), "o2")), PHASE_ADOPT);
    assert_int_equal(since(PHASE_ADOPT), day(9));
    assert_int_equal(PHASE_AFTER(day(20), ARRIVED, felt, SUBSCRIPTION(STARTED, day(12))), PHASE_ADOPT);
    assert_int_equal(since(PHASE_ADOPT), day(12));
    assert_int_equal(PHASE_AFTER(day(20), ARRIVED, felt, SUBSCRIPTION(STARTED, day(12)), SUBSCRIPTION(PAUSED, day(13))),
                     PHASE_ACCOMPLISH);
}

#define ADOPTED \
    ARRIVED, RESPONSE(day(9), "r", EFFECT, .effect_felt = ANSWER_TRUE), SUBSCRIPTION(STARTED, day(12))

static void r40_advocate_by_the_cycles_last_nps_a_referral_or_a_share(void **state)
{
    (void)state;
    struct event nine = RESPONSE(day(20), "n1", MONTHLY, .nps = 9), eight = RESPONSE(day(21), "n2", MONTHLY, .nps = 8);
    assert_int_equal(PHASE_AFTER(day(30), ADOPTED, nine), PHASE_ADVOCATE);
    assert_int_equal(since(PHASE_ADVOCATE), day(20));
    assert_int_equal(PHASE_AFTER(day(30), ADOPTED, nine, eight), PHASE_ADOPT);
    assert_int_equal(PHASE_AFTER(day(30), ADOPTED, CUSTOMER(SHARED, day(20))), PHASE_ADVOCATE);
    assert_int_equal(PHASE_AFTER(day(30), ADOPTED, CUSTOMER(REFERRED, day(20))), PHASE_ADVOCATE);
    assert_int_equal(PHASE_AFTER(day(30), ADOPTED, CUSTOMER(REFERRED, day(-1))), PHASE_ADOPT);
    struct event credit = EVENT(ORDERS, CREDIT, day(25), .credit = {ID("x"), true, false, ID("x1"), day(24), false});
    assert_int_equal(PHASE_AFTER(day(30), ADOPTED, credit), PHASE_ADVOCATE);
    assert_int_equal(since(PHASE_ADVOCATE), day(24));
}

static void r39_phase_is_a_gate(void **state)
{
    (void)state;
    /* all above acclimate holds, but nothing was ever delivered */
    assert_int_equal(PHASE_AFTER(day(50), BOUGHT, PLACED(day(20), "o2"), CUSTOMER(SHARED, day(21)),
                                 RESPONSE(day(9), "r", EFFECT, .nps = 10)),
                     PHASE_AFFIRM);
    /* the delivery arrives last and opens all rungs at once, each at its own time */
    subject_apply(&subject, DELIVERY(DELIVERED, day(3), "o1"));
    assert_int_equal(phase_of(subject_figures(&subject, day(50))), PHASE_ADVOCATE);
    assert_int_equal(since(PHASE_AFFIRM), day(3)); /* a delivered parcel affirms ... */
    assert_int_equal(since(PHASE_ACTIVATE), day(3));
    assert_int_equal(since(PHASE_ACCLIMATE), day(6));
    assert_int_equal(since(PHASE_ADOPT), day(20));
    subject_apply(&subject, DELIVERY(SHIPPED, day(1), "o1"));
    subject_figures(&subject, day(50));
    assert_int_equal(since(PHASE_AFFIRM), day(1)); /* ... and so does its shipment */
}

static void r39_a_new_cycle_begins_at_admit(void **state)
{
    (void)state;
    assert_int_equal(PHASE_AFTER(day(200), ARRIVED, PLACED(day(20), "o2"), CUSTOMER(SHARED, day(21)),
                                 PLACED(day(150), "o3")),
                     PHASE_ADMIT);
    assert_int_equal(since(PHASE_ADMIT), day(150));
}

static void r05_a_rung_has_held_since_the_facts_own_times(void **state)
{
    (void)state;
    struct event events[] = {DELIVERY(DELIVERED, day(2), "o1"), RESPONSE(day(4), "r", EARLY_EXPERIENCE),
                             DELIVERY(SHIPPED, day(1), "o1"), BOUGHT};
    assert_any_order(&subject, events, COUNT_OF(events), day(30));
    assert_int_equal(since(PHASE_ADMIT), day(0));
    assert_int_equal(since(PHASE_AFFIRM), day(1));
    assert_int_equal(since(PHASE_ACTIVATE), day(2));
    assert_int_equal(since(PHASE_ACCLIMATE), day(4));
    assert_int_equal(since(PHASE_ACCOMPLISH), NEVER);
}

static void r05_what_ended_and_began_again_holds_since_it_began_again(void **state)
{
    (void)state;
    PHASE_AFTER(day(60), ADOPTED, SUBSCRIPTION(PAUSED, day(20)), SUBSCRIPTION(RESUMED, day(30)));
    assert_int_equal(since(PHASE_ADOPT), day(30));
    PHASE_AFTER(day(60), ADOPTED, SUBSCRIPTION(PAUSED, day(20)), SUBSCRIPTION(RESUMED, day(30)), PLACED(day(15), "o2"));
    assert_int_equal(since(PHASE_ADOPT), day(12)); /* the second purchase bridges the pause */
    PHASE_AFTER(day(60), ADOPTED, RESPONSE(day(20), "n1", MONTHLY, .nps = 9), RESPONSE(day(25), "n2", MONTHLY, .nps = 2),
                RESPONSE(day(30), "n3", MONTHLY, .nps = 9), RESPONSE(day(35), "n4", MONTHLY, .nps = 10));
    assert_int_equal(since(PHASE_ADVOCATE), day(30));
}

static void r25_a_rung_opened_by_an_old_open(void **state)
{
    (void)state;
    /* kept ones: the oldest in the cycle; older than 60 days: the last one's time */
    PHASE_AFTER(day(30), BOUGHT, HUMAN(OPENED, day(3)), HUMAN(OPENED, day(5)), HUMAN(OPENED, day(-1)));
    assert_int_equal(since(PHASE_AFFIRM), day(3));
    PHASE_AFTER(day(80), BOUGHT, HUMAN(OPENED, day(3)), HUMAN(OPENED, day(5)));
    assert_int_equal(since(PHASE_AFFIRM), day(5));
}

static void r03_held_since_walks_the_boundaries_back(void **state)
{
    (void)state;
    subject_apply(&subject, PLACED(day(0), "o1", .email_registered = ANSWER_TRUE));
    subject_apply(&subject, DELIVERY(SHIPPED, day(1), "o1"));
    const struct figures *figures = subject_figures(&subject, day(200)); /* unnoticed for long */
    assert_int_equal(phase_of(figures), PHASE_ACCLIMATE);
    assert_int_equal(since(PHASE_ACTIVATE), day(3)); /* assumed, R16 */
    assert_int_equal(since(PHASE_ACCLIMATE), day(6));
    assert_int_equal(classes_held_since(figures, &subject.arena, DIMENSION_TIER, day(1)), day(90));
    assert_int_equal(classes_held_since(figures, &subject.arena, DIMENSION_PHASE, day(1)), day(6));
    assert_int_equal(classes_held_since(figures, &subject.arena, DIMENSION_TIER, day(100)), day(100));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(r40_assess_without_a_purchase),
        TEST(r40_admit_and_affirm),
        TEST(r40_activate_and_acclimate),
        TEST(r40_accomplish_by_effect_or_by_buying_after_it),
        TEST(r40_adopt_by_a_second_purchase_or_a_subscription),
        TEST(r40_advocate_by_the_cycles_last_nps_a_referral_or_a_share),
        TEST(r39_phase_is_a_gate),
        TEST(r39_a_new_cycle_begins_at_admit),
        TEST(r05_a_rung_has_held_since_the_facts_own_times),
        TEST(r05_what_ended_and_began_again_holds_since_it_began_again),
        TEST(r25_a_rung_opened_by_an_old_open),
        TEST(r03_held_since_walks_the_boundaries_back),
    };
    return cmocka_run_group_tests_name("phase", tests, NULL, NULL);
}
