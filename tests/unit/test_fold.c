/* The fold: which record of which fact counts, whatever order they come in (R1, R6, R8 to R11). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/hash.h"
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

static void r01_any_order_of_an_orders_life_gives_one_state(void **state)
{
    (void)state;
    struct event events[] = {
        PLACED(day(0), "o1", .email_registered = ANSWER_TRUE),
        DELIVERY(SHIPPED, day(1), "o1"),
        DELIVERY(DELIVERED, day(2), "o1"),
        RESPONSE(day(5), "r1", EARLY_EXPERIENCE, .nps = 9, .satisfaction = 5),
        PLACED(day(20), "o2"),
        CANCELLED(day(19), "o2"),
        REFUNDED(day(21), "o1", .refund_amount = 300),
    };
    assert_int_equal(assert_any_order(&subject, events, COUNT_OF(events), day(30)), 5040);
    assert_int_equal(subject.figures.purchases, 1);
    assert_int_equal(subject.figures.money_default, 700);
}

static void r01_any_order_of_edits_gives_one_state(void **state)
{
    (void)state;
    struct event events[] = {
        PLACED(day(0), "o1", .version = 1),
        PLACED(day(3), "o1", .version = 3, LINES(LINE("PREMIUM-1", 2, 5000))),
        PLACED(day(-2), "o1", .version = 2, .referrer_customer_id = ID("friend")),
        RESPONSE(day(4), "r1", EFFECT, .nps = 10, .effect_felt = ANSWER_TRUE, .goal = ID("sleep")),
        RESPONSE(day(4), "r1", EFFECT, .nps = 2, .version = 1, .goal = ID("run")),
        REFUNDED(day(5), "o1", .event_id = ID("f1"), .refund_amount = 10000),
        REFUNDED(day(6), "o1", .event_id = ID("f1"), .refund_amount = 10, .version = 4),
    };
    assert_int_equal(assert_any_order(&subject, events, COUNT_OF(events), day(30)), 5040);
    assert_int_equal(subject.figures.premium, 1);
    assert_int_equal(subject.figures.first_purchase.at, day(-2));
    assert_int_equal(subject.figures.last_nps, 2);
    assert_int_equal(subject.figures.money_default, 9990);
}

static void r01_any_order_of_subscription_and_contacts_gives_one_state(void **state)
{
    (void)state;
    struct event events[] = {
        RENEWED(day(0), "o1", .subscription_id = ID("a")),
        SUBSCRIPTION(PAUSED, day(10), .subscription_id = ID("a")),
        SUBSCRIPTION(RESUMED, day(20), .subscription_id = ID("a")),
        PLACED(day(120), "o2"),
        CUSTOMER(REGISTERED, day(1), .marketing_consent = ANSWER_TRUE, .time_zone = ID("Europe/London")),
        CUSTOMER(UNREGISTERED, day(1)),
        HUMAN(OPENED, day(100), .channel = EVENT_CHANNEL_LINE),
    };
    assert_int_equal(assert_any_order(&subject, events, COUNT_OF(events), day(130)), 5040);
    assert_int_equal(subject.figures.cycle, 1);
    assert_false(subject.figures.registered_email);
    assert_true(subject.figures.registered_line);
}

static void r01_any_order_of_parcels_gives_one_state(void **state)
{
    (void)state;
    struct event events[] = {
        PLACED(day(0), "o1"),
        DELIVERY(SHIPPED, day(1), "o1", .parcel_id = ID("p"), .estimated_at = day(3)),
        DELIVERY(FAILED, day(2), "o1", .parcel_id = ID("p")),
        DELIVERY(SHIPPED, day(4), "o1", .parcel_id = ID("p"), .version = 1),
        DELIVERY(DELIVERED, day(5), "o1", .parcel_id = ID("q")),
        DELIVERY(RETURNED, day(6), "o1", .parcel_id = ID("q")),
        DELIVERY(DELIVERED, day(9), "o1", .parcel_id = ID("q")),
    };
    assert_int_equal(assert_any_order(&subject, events, COUNT_OF(events), day(30)), 5040);
    assert_int_equal(subject.figures.delivered, 2);
    assert_int_equal(subject.figures.last_delivery.at, day(9));
}

static void r06_future_beyond_the_bound_is_refused(void **state)
{
    (void)state;
    subject.now = day(10);
    assert_int_equal(subject_apply(&subject, PLACED(day(11) + 1, "o1")), FOLD_REFUSED);
    assert_int_equal(subject.change.reason, REASON_FUTURE);
    assert_string_equal(subject.change.field, "occurred_at");
    assert_false(subject.facts.known);
    assert_int_equal(subject_apply(&subject, PLACED(day(11), "o1")), FOLD_APPLIED);
}

static void r06_a_fact_within_the_bound_counts_at_once(void **state)
{
    (void)state;
    subject.now = day(10);
    subject_apply(&subject, PLACED(day(10.5), "o1", .email_registered = ANSWER_TRUE));
    const struct figures *figures = subject_figures(&subject, day(10));
    struct fact_values values;
    figures_values(figures, ALL_FACTS, &values);
    assert_int_equal(values.value[FACT_days_since_last_purchase], -1);
    assert_int_equal(subject_classes(&subject, day(10)).tier, TIER_FOLLOWER);
}

static void r07_the_mark_is_that_of_the_record_that_counts(void **state)
{
    (void)state;
    struct event events[] = {
        PLACED(day(0), "o1", .backfill = true),
        PLACED(day(1), "o1", .version = 1),
    };
    assert_any_order(&subject, events, COUNT_OF(events), day(2));
    assert_false(subject.figures.first_purchase.backfill);
    assert_int_equal(subject.figures.first_purchase.at, day(0));
}

static void r08_a_test_event_is_not_applied(void **state)
{
    (void)state;
    assert_int_equal(subject_apply(&subject, PLACED(day(0), "o1", .test = true)), FOLD_TEST);
    assert_false(subject.facts.known);
    assert_int_equal(subject_apply(&subject, DELIVERY(DELIVERED, day(1), "o1")), FOLD_APPLIED);
    assert_int_equal(subject_figures(&subject, day(2))->purchases, 0);
}

static void r09_duplicate_changes_nothing(void **state)
{
    (void)state;
    struct event twice[] = {
        PLACED(day(0), "o1", .event_id = ID("e1")),
        CANCELLED(day(1), "o1", .event_id = ID("e2")),
        REFUNDED(day(1), "o1", .event_id = ID("e3")),
        SUBSCRIPTION(STARTED, day(1), .event_id = ID("e4")),
        DELIVERY(SHIPPED, day(1), "o1", .event_id = ID("e5")),
        DELIVERY(FAILED, day(1), "o1", .event_id = ID("e6")),
        RESPONSE(day(1), "r1", EFFECT, .event_id = ID("e7")),
        HUMAN(OPENED, day(1), .event_id = ID("e8")),
        EVENT(EMAIL_OPENS, OPENED, day(1), .agent = AGENT_MACHINE, .event_id = ID("e9")),
        CUSTOMER(SHARED, day(1), .event_id = ID("e10")),
        CUSTOMER(REFERRED, day(1), .event_id = ID("e11")),
    };
    for (size_t i = 0; i < COUNT_OF(twice); i++) {
        assert_int_equal(subject_apply(&subject, twice[i]), FOLD_APPLIED);
        assert_int_equal(subject_apply(&subject, twice[i]), FOLD_DUPLICATE);
    }
    for (size_t i = 0; i < COUNT_OF(twice); i++)
        assert_int_equal(subject_apply(&subject, twice[i]), FOLD_DUPLICATE);
}

static void r09_the_same_event_id_of_another_source_is_another_fact(void **state)
{
    (void)state;
    subject_apply(&subject, CUSTOMER(SHARED, day(1), .event_id = ID("e1"), .source = ID("shop")));
    subject_apply(&subject, CUSTOMER(SHARED, day(1), .event_id = ID("e1"), .source = ID("app")));
    subject_apply(&subject, CUSTOMER(SHARED, day(1), .event_id = ID("e1"), .source = ID("shop")));
    assert_int_equal(subject.change.verdict, FOLD_DUPLICATE);
    assert_int_equal(subject_figures(&subject, day(2))->shares, 2);
}

static void r09_a_tie_goes_to_the_higher_hash_of_the_id(void **state)
{
    (void)state;
    bool first = hash_xxh64(SPAN("a")) > hash_xxh64(SPAN("b"));
    subject_apply(&subject, PLACED(day(0), "o1", .event_id = ID("a"), .campaign = ID("of-a")));
    subject_apply(&subject, PLACED(day(0), "o1", .event_id = ID("b"), .campaign = ID("of-b")));
    assert_true(span_equal(subject.facts.orders[0].campaign, first ? SPAN("of-a") : SPAN("of-b")));
}

static void r09_an_edit_does_not_move_the_fact(void **state)
{
    (void)state;
    subject_apply(&subject, PLACED(day(5), "o1"));
    subject_apply(&subject, PLACED(day(9), "o1", .version = 1, LINES(LINE("TEA", 3, 1000))));
    const struct figures *figures = subject_figures(&subject, day(10));
    assert_int_equal(figures->first_purchase.at, day(5));
    assert_int_equal(figures->money_default, 3000);
}

static void r09_an_older_version_that_is_earlier_only_moves_the_time(void **state)
{
    (void)state;
    subject_apply(&subject, PLACED(day(5), "o1", .version = 2));
    assert_int_equal(subject_apply(&subject, PLACED(day(6), "o1", .version = 1)), FOLD_DUPLICATE);
    assert_int_equal(subject_apply(&subject, PLACED(day(4), "o1", .version = 1, LINES(LINE("TEA", 9, 1)))), FOLD_APPLIED);
    const struct figures *figures = subject_figures(&subject, day(10));
    assert_int_equal(figures->first_purchase.at, day(4));
    assert_int_equal(figures->money_default, 1000);
}

static void r09_placed_and_renewed_of_one_order_are_one_renewal(void **state)
{
    (void)state;
    struct event events[] = {
        PLACED(day(0), "o1", .version = 1),
        RENEWED(day(0), "o1"),
        RENEWED(day(1), "o2"), /* of the same subscription, the one without a name */
    };
    assert_any_order(&subject, events, COUNT_OF(events), day(1));
    assert_int_equal(subject.figures.purchases, 2);
    assert_int_equal(subject.figures.renewals, 2);
    assert_true(subject.figures.subscription);
}

static void r09_a_parcel_fact_is_order_parcel_and_kind(void **state)
{
    (void)state;
    subject_apply(&subject, PLACED(day(0), "o1"));
    subject_apply(&subject, DELIVERY(SHIPPED, day(1), "o1", .parcel_id = ID("a")));
    subject_apply(&subject, DELIVERY(SHIPPED, day(2), "o1", .parcel_id = ID("a")));
    subject_apply(&subject, DELIVERY(SHIPPED, day(2), "o1", .parcel_id = ID("b")));
    subject_apply(&subject, DELIVERY(FAILED, day(3), "o1", .parcel_id = ID("b")));
    subject_apply(&subject, DELIVERY(FAILED, day(3), "o1", .parcel_id = ID("b")));
    const struct figures *figures = subject_figures(&subject, day(3));
    assert_int_equal(figures->shipped, 2);
    assert_int_equal(figures->failed, 2);
}

static void r09_an_edited_refund_may_move_to_another_order(void **state)
{
    (void)state;
    struct event events[] = {
        PLACED(day(0), "o1"),
        PLACED(day(1), "o2"),
        REFUNDED(day(2), "o1", .event_id = ID("f")),
        REFUNDED(day(3), "o2", .event_id = ID("f"), .version = 1),
    };
    assert_any_order(&subject, events, COUNT_OF(events), day(4));
    assert_int_equal(subject.figures.purchases, 1);
    assert_int_equal(subject.figures.first_purchase.at, day(0));
}

static void r10_subscription_ids_are_the_customers_whatever_the_source(void **state)
{
    (void)state;
    subject_apply(&subject, SUBSCRIPTION(STARTED, day(0), .subscription_id = ID("a"), .source = ID("shop")));
    subject_apply(&subject, SUBSCRIPTION(CANCELLED, day(1), .subscription_id = ID("a"), .source = ID("app")));
    assert_false(subject_figures(&subject, day(2))->subscription);
}

static void many_orders(int count, double from_day, double step)
{
    for (int i = 0; i < count; i++) {
        char id[16];
        snprintf(id, sizeof id, "m%04d", i);
        assert_int_equal(subject_apply(&subject, PLACED(day(from_day + i * step), id)), FOLD_APPLIED);
    }
}

static void r11_within_64_facts_nothing_is_too_late(void **state)
{
    (void)state;
    many_orders(63, 0, 30);
    assert_int_equal(subject_apply(&subject, PLACED(day(-5000), "old")), FOLD_APPLIED);
    assert_int_equal(subject_apply(&subject, CANCELLED(day(1), "m0000")), FOLD_APPLIED);
}

static void r11_young_facts_are_never_folded(void **state)
{
    (void)state;
    many_orders(200, 0, 1);
    assert_int_equal(subject_apply(&subject, CANCELLED(day(1), "m0000")), FOLD_APPLIED);
    assert_int_equal(subject_figures(&subject, day(201))->purchases, 199);
}

static void r11_records_of_folded_facts_are_too_late(void **state)
{
    (void)state;
    many_orders(100, 0, 30); /* 36 too many, all of them old enough */
    assert_int_equal(subject_figures(&subject, day(3000))->purchases, 100);
    assert_int_equal(subject.figures.money_default, 100000);
    assert_int_equal(subject.figures.first_purchase.at, day(0));
    struct event late[] = {
        PLACED(day(35 * 30), "m0035"),                /* a record of a folded fact, even a repeated one */
        CANCELLED(day(2999), "m0000"),                /* names a folded order */
        DELIVERY(DELIVERED, day(2999), "m0010"),
        REFUNDED(day(2999), "m0010", .refund_amount = 1),
        PLACED(day(35 * 30), "new"),                  /* not after the newest folded */
        RESPONSE(day(35 * 30), "r1", EFFECT),
        SUBSCRIPTION(STARTED, day(1)),
        CUSTOMER(REFERRED, day(1)),
    };
    for (size_t i = 0; i < COUNT_OF(late); i++) {
        assert_int_equal(subject_apply(&subject, late[i]), FOLD_REFUSED);
        assert_int_equal(subject.change.reason, REASON_TOO_LATE);
    }
    assert_int_equal(subject_apply(&subject, CANCELLED(day(2999), "m0036")), FOLD_APPLIED);
    assert_int_equal(subject_apply(&subject, HUMAN(OPENED, day(1))), FOLD_APPLIED);
    assert_int_equal(subject_apply(&subject, PLACED(day(35 * 30) + 1, "new")), FOLD_APPLIED);
}

static void r11_too_many_facts(void **state)
{
    (void)state;
    subject.playbook->facts_max = 10;
    many_orders(10, 0, 1);
    assert_int_equal(subject_apply(&subject, PLACED(day(10), "one-more")), FOLD_REFUSED);
    assert_int_equal(subject.change.reason, REASON_TOO_MANY_FACTS);
    assert_int_equal(subject_apply(&subject, PLACED(day(9), "m0009", .version = 1)), FOLD_APPLIED);
    assert_int_equal(subject_figures(&subject, day(20))->purchases, 10);
}

static void r13_first_sight_is_the_first_applied_event(void **state)
{
    (void)state;
    subject_apply(&subject, EVENT(EMAIL_OPENS, OPENED, day(1), .agent = AGENT_MACHINE));
    assert_true(subject.change.first_sight);
    subject_apply(&subject, PLACED(day(0), "o1"));
    assert_false(subject.change.first_sight);
    assert_int_equal(subject.facts.first_seen_at, day(0));
}

static void r31_erased_is_final(void **state)
{
    (void)state;
    subject_apply(&subject, PLACED(day(0), "o1"));
    assert_int_equal(subject_apply(&subject, CUSTOMER(ERASED, day(1))), FOLD_APPLIED);
    assert_true(subject.change.erased_now);
    assert_int_equal(subject.facts.erased_at, day(1));
    assert_int_equal(subject.facts.orders_count, 0);
    assert_true(subject.state_size < 16);
    assert_int_equal(subject_apply(&subject, PLACED(day(-1), "o2")), FOLD_ERASED);
    assert_int_equal(subject_apply(&subject, CUSTOMER(ERASED, day(1))), FOLD_ERASED);
    assert_int_equal(subject_apply(&subject, PLACED(day(-1), "o2", .test = true)), FOLD_TEST);
}

static void r14_what_an_event_did_to_its_order_is_told(void **state)
{
    (void)state;
    subject_apply(&subject, PLACED(day(0), "o1"));
    assert_true(subject.change.order_new);
    assert_false(subject.change.order_was_void);
    assert_true(order_live(&subject.facts.orders[subject.change.order]));
    subject_apply(&subject, CANCELLED(day(1), "o1"));
    assert_false(subject.change.order_was_void);
    assert_true(order_void(&subject.facts.orders[subject.change.order]));
    subject_apply(&subject, CANCELLED(day(2), "o2")); /* void before it is known to be placed */
    assert_true(order_void(&subject.facts.orders[subject.change.order]));
    subject_apply(&subject, PLACED(day(3), "o2"));
    assert_true(subject.change.order_new);
    assert_true(subject.change.order_was_void);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(r01_any_order_of_an_orders_life_gives_one_state),
        TEST(r01_any_order_of_edits_gives_one_state),
        TEST(r01_any_order_of_subscription_and_contacts_gives_one_state),
        TEST(r01_any_order_of_parcels_gives_one_state),
        TEST(r06_future_beyond_the_bound_is_refused),
        TEST(r06_a_fact_within_the_bound_counts_at_once),
        TEST(r07_the_mark_is_that_of_the_record_that_counts),
        TEST(r08_a_test_event_is_not_applied),
        TEST(r09_duplicate_changes_nothing),
        TEST(r09_the_same_event_id_of_another_source_is_another_fact),
        TEST(r09_a_tie_goes_to_the_higher_hash_of_the_id),
        TEST(r09_an_edit_does_not_move_the_fact),
        TEST(r09_an_older_version_that_is_earlier_only_moves_the_time),
        TEST(r09_placed_and_renewed_of_one_order_are_one_renewal),
        TEST(r09_a_parcel_fact_is_order_parcel_and_kind),
        TEST(r09_an_edited_refund_may_move_to_another_order),
        TEST(r10_subscription_ids_are_the_customers_whatever_the_source),
        TEST(r11_within_64_facts_nothing_is_too_late),
        TEST(r11_young_facts_are_never_folded),
        TEST(r11_records_of_folded_facts_are_too_late),
        TEST(r11_too_many_facts),
        TEST(r13_first_sight_is_the_first_applied_event),
        TEST(r14_what_an_event_did_to_its_order_is_told),
        TEST(r31_erased_is_final),
    };
    return cmocka_run_group_tests_name("fold", tests, NULL, NULL);
}
