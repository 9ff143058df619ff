/* What the facts mean at one instant: orders, parcels, answers, contacts, subscriptions, referrals (R14 to R35). */
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

static const struct figures *after(const struct event *events, size_t count, int64_t now)
{
    subject_forget(&subject);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(subject_apply(&subject, events[i]), FOLD_APPLIED);
    return subject_figures(&subject, now);
}

#define AFTER(now, ...) \
    after((const struct event[]){__VA_ARGS__}, sizeof((const struct event[]){__VA_ARGS__}) / sizeof(struct event), now)

/* ---- orders ---- */

static void r14_cancelled_orders_count_nowhere(void **state)
{
    (void)state;
    const struct figures *figures =
        AFTER(day(9), CANCELLED(day(-3), "o1"), PLACED(day(0), "o1", LINES(LINE("PREMIUM-1", 1, 10))),
              DELIVERY(DELIVERED, day(2), "o1"), DELIVERY(FAILED, day(1), "o1"));
    assert_int_equal(figures->purchases, 0);
    assert_int_equal(figures->premium, 0);
    assert_int_equal(figures->delivered, 0);
    assert_int_equal(figures->failed, 0);
    size_t currencies = 1;
    figures_money(figures, &subject.arena, &currencies);
    assert_int_equal(currencies, 0);
    assert_int_equal(figures->first_delivery.at, NEVER);
}

static void r14_refunds_are_whole_when_they_reach_the_total(void **state)
{
    (void)state;
    enum { NONE = -7 };
    static const struct { int64_t total, first, second; bool live; int64_t money; } table[] = {
        {1000, 999, NONE, true, 1}, {1000, 1000, NONE, false, 0}, {1000, 400, 600, false, 0}, {1000, 400, 599, true, 1},
        {1000, REFUND_WHOLE, NONE, false, 0}, {0, 0, NONE, true, 0}, {0, 5, NONE, true, -5},
        {0, REFUND_WHOLE, NONE, false, 0},
        /* R86: below 0, too */
        {1000, -1, NONE, true, 1001}, {1000, 1100, -200, true, 100}, {1000, 1100, -100, false, 0}, {0, -5, NONE, true, 5},
        {-1000, -2000, NONE, true, 1000}, {1000, -1, REFUND_WHOLE, false, 0},
        /* what is beyond the numbers ends at the last one */
        {1000, INT64_MIN + 1, INT64_MIN + 1, true, INT64_MAX}, {-2, INT64_MAX, NONE, true, INT64_MIN},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        subject_forget(&subject);
        subject_apply(&subject, PLACED(day(0), "o1", LINES(LINE("TEA", 1, table[i].total))));
        subject_apply(&subject, REFUNDED(day(1), "o1", .refund_amount = table[i].first));
        if (table[i].second != NONE)
            subject_apply(&subject, REFUNDED(day(1), "o1", .refund_amount = table[i].second));
        const struct figures *figures = subject_figures(&subject, day(2));
        assert_int_equal(figures->purchases, table[i].live);
        assert_int_equal(figures->money_default, table[i].money);
    }
}

/* R1: a sum that leaves the numbers on its way is the same whichever refund came first. */
static void r14_refunds_beyond_the_numbers_sum_alike_in_any_order(void **state)
{
    (void)state;
    static const int64_t amounts[] = {INT64_MAX, -100, INT64_MAX};
    for (size_t first = 0; first < COUNT_OF(amounts); first++) {
        subject_forget(&subject);
        subject_apply(&subject, PLACED(day(0), "o1", LINES(LINE("TEA", 1, 0))));
        for (size_t i = 0; i < COUNT_OF(amounts); i++)
            subject_apply(&subject, REFUNDED(day(1), "o1", .refund_amount = amounts[(first + i) % COUNT_OF(amounts)]));
        assert_int_equal(subject_figures(&subject, day(2))->money_default, 100 - INT64_MAX);
    }
}

static void r14_an_edited_refund_makes_the_order_live_again(void **state)
{
    (void)state;
    const struct figures *figures =
        AFTER(day(3), PLACED(day(0), "o1"), REFUNDED(day(1), "o1", .event_id = ID("f")),
              REFUNDED(day(1), "o1", .event_id = ID("f"), .version = 1, .refund_amount = 100));
    assert_int_equal(figures->purchases, 1);
    assert_int_equal(figures->money_default, 900);
}

static void r15_a_returned_parcel_is_shipped_but_not_delivered(void **state)
{
    (void)state;
    const struct figures *figures = AFTER(day(30), PLACED(day(0), "o1"), DELIVERY(SHIPPED, day(1), "o1"),
                                          DELIVERY(DELIVERED, day(2), "o1"), DELIVERY(RETURNED, day(3), "o1"));
    assert_int_equal(figures->shipped, 1);
    assert_int_equal(figures->delivered, 0);
    assert_int_equal(figures->purchases, 1);
    assert_int_equal(figures->next_change_at, day(60)); /* nothing is assumed after a RETURNED */
    figures = AFTER(day(30), PLACED(day(0), "o1"), DELIVERY(RETURNED, day(3), "o1"));
    assert_int_equal(figures->shipped, 1); /* what came back had been shipped */
}

static void r15_a_delivered_after_the_returned_delivers_again(void **state)
{
    (void)state;
    struct event events[] = {PLACED(day(0), "o1"), DELIVERY(DELIVERED, day(2), "o1"), DELIVERY(RETURNED, day(3), "o1"),
                             DELIVERY(DELIVERED, day(8), "o1")};
    assert_any_order(&subject, events, COUNT_OF(events), day(30));
    assert_int_equal(subject.figures.delivered, 1);
    assert_int_equal(subject.figures.first_delivery.at, day(8));
    assert_int_equal(AFTER(day(30), PLACED(day(0), "o1"), DELIVERY(RETURNED, day(3), "o1"),
                           DELIVERY(DELIVERED, day(3), "o1"))->delivered, 0); /* at the same instant: it came back */
}

static void r16_delivery_is_assumed_when_its_instant_has_come(void **state)
{
    (void)state;
    struct event placed = PLACED(day(0), "o1");
    const struct { struct event events[3]; int64_t at; } table[] = {
        {{DELIVERY(SHIPPED, day(1), "o1")}, day(3)},
        {{DELIVERY(SHIPPED, day(1), "o1", .estimated_at = day(7))}, day(7)},
        {{DELIVERY(SHIPPED, day(1), "o1", .estimated_at = day(1) - 1)}, day(3)}, /* before the shipment: none */
        {{DELIVERY(SHIPPED, day(1), "o1", .estimated_at = day(1))}, day(1)},
        {{DELIVERY(SHIPPED, day(1), "o1"), DELIVERY(FAILED, day(1), "o1")}, NEVER},
        {{DELIVERY(SHIPPED, day(1), "o1"), DELIVERY(FAILED, day(0.5), "o1")}, day(3)},
        {{DELIVERY(SHIPPED, day(1), "o1"), DELIVERY(FAILED, day(0.5), "o1", .estimated_at = day(9))}, day(9)},
        {{DELIVERY(SHIPPED, day(1), "o1", .parcel_id = ID("a")), DELIVERY(FAILED, day(2), "o1", .parcel_id = ID("b"))},
         day(3)},
        {{DELIVERY(SHIPPED, day(1), "o1"), DELIVERY(FAILED, day(2), "o1"),
          DELIVERY(SHIPPED, day(4), "o1", .estimated_at = day(6))}, day(6)}, /* shipped again */
        {{DELIVERY(SHIPPED, day(1), "o1"), DELIVERY(FAILED, day(2), "o1"), DELIVERY(SHIPPED, day(4), "o1")}, day(6)},
        {{DELIVERY(SHIPPED, day(1), "o1"), DELIVERY(DELIVERED, day(2), "o1")}, day(2)},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        subject_forget(&subject);
        subject_apply(&subject, placed);
        for (size_t e = 0; e < 3 && table[i].events[e].occurred_at; e++)
            subject_apply(&subject, table[i].events[e]);
        const struct figures *figures = subject_figures(&subject, day(100));
        assert_int_equal(figures->first_delivery.at, table[i].at);
        if (table[i].at == NEVER)
            continue;
        assert_int_equal(subject_figures(&subject, table[i].at)->delivered, 1);
        if (!figures->first_delivery.assumed)
            continue;
        assert_int_equal(subject_figures(&subject, table[i].at - 1)->delivered, 0);
        assert_int_equal(subject.figures.next_change_at, table[i].at);
    }
}

static void r16_the_fallback_may_be_off_and_differ_by_source(void **state)
{
    (void)state;
    struct event shipped = DELIVERY(SHIPPED, day(1), "o1", .source = ID("shop"));
    subject.playbook->fallback_after_ship = false;
    assert_int_equal(AFTER(day(9), PLACED(day(0), "o1"), shipped)->delivered, 0);
    struct source_fallback own = {ID("shop"), true};
    subject.playbook->source_fallbacks = &own;
    subject.playbook->source_fallback_count = 1;
    assert_int_equal(AFTER(day(9), PLACED(day(0), "o1"), shipped)->delivered, 1);
    subject.playbook->source_fallbacks = NULL;
    subject.playbook->source_fallback_count = 0;
}

static void r17_figures_are_those_of_the_first_line_that_states_them(void **state)
{
    (void)state;
    const struct figures *figures =
        AFTER(day(3), PLACED(day(0), "o1", LINES(LINE("NONE", 1, 1), LINE("RELATED-1", 1, 1), LINE("TRIAL-1", 1, 1))));
    assert_int_equal(order_supply(figures->facts, subject.playbook, 0), 14 * DAY_MS);
    assert_int_equal(order_effect_after(figures->facts, subject.playbook, 0), 14 * DAY_MS);
    assert_int_equal(order_supply(figures->facts, subject.playbook, FACT_NONE), 30 * DAY_MS);
    assert_int_equal(figures->settle_purchases, 2);
}

static void r18_roles(void **state)
{
    (void)state;
    const struct figures *figures = AFTER(
        day(9), PLACED(day(0), "none", .lines = NULL, .line_count = 0),
        PLACED(day(1), "trial", LINES(LINE("TRIAL-1", 1, 1), LINE("TRIAL-2", 1, 1))),
        PLACED(day(2), "mixed", LINES(LINE("TRIAL-1", 1, 1), LINE("TEA", 1, 1))),
        PLACED(day(3), "both", LINES(LINE("PREMIUM-1", 1, 1), LINE("RELATED-1", 1, 1))),
        PLACED(day(4), "case", LINES(LINE("premium-1", 1, 1))));
    assert_int_equal(figures->purchases, 5);
    assert_int_equal(figures->trial, 1);
    assert_int_equal(figures->premium, 1);
    assert_int_equal(figures->related, 1);
}

static void r18_the_first_purchase_may_be_the_trial(void **state)
{
    (void)state;
    subject.playbook->first_purchase_is_trial = true;
    assert_int_equal(AFTER(day(9), PLACED(day(1), "o1"), PLACED(day(2), "o2"))->trial, 1);
    assert_int_equal(AFTER(day(9), PLACED(day(1), "o1"), PLACED(day(2), "o2", LINES(LINE("TRIAL-1", 1, 1))),
                           CANCELLED(day(3), "o1"))->trial, 1);
    assert_int_equal(AFTER(day(9), PLACED(day(1), "o1", LINES(LINE("TRIAL-1", 1, 1))))->trial, 1);
}

static void r19_first_and_last_by_time_then_order_id_bytewise(void **state)
{
    (void)state;
    struct event events[] = {PLACED(day(1), "b"), PLACED(day(1), "a"), PLACED(day(1), "B"), PLACED(day(0), "z"),
                             CANCELLED(day(0), "z")};
    assert_any_order(&subject, events, COUNT_OF(events), day(2));
    const struct facts *facts = &subject.facts;
    assert_true(span_equal(facts->orders[subject.figures.first_purchase.order].id, ID("B")));
    assert_true(span_equal(facts->orders[subject.figures.last_purchase.order].id, ID("b")));
}

static void r19_a_renewal_without_an_order_id_is_a_purchase(void **state)
{
    (void)state;
    const struct figures *figures = AFTER(day(9), RENEWED(day(1), "", .event_id = ID("e1")),
                                          RENEWED(day(2), "", .event_id = ID("e2")));
    assert_int_equal(figures->purchases, 2);
    assert_true(span_equal(figures->facts->orders[0].id, ID("renewal:e1")));
    assert_int_equal(subject_apply(&subject, RENEWED(day(2), "", .event_id = ID("e2"))), FOLD_DUPLICATE);
}

/* ---- subscriptions ---- */

static void r20_the_last_fact_decides_and_a_tie_goes_by_rank(void **state)
{
    (void)state;
    static const struct { enum event_kind first, second; bool active; } table[] = {
        {EVENT_SUBSCRIPTION_STARTED, EVENT_SUBSCRIPTION_PAUSED, false},
        {EVENT_SUBSCRIPTION_PAUSED, EVENT_SUBSCRIPTION_STARTED, false},
        {EVENT_SUBSCRIPTION_RESUMED, EVENT_SUBSCRIPTION_CANCELLED, false},
        {EVENT_SUBSCRIPTION_CANCELLED, EVENT_SUBSCRIPTION_RENEWED, false},
        {EVENT_SUBSCRIPTION_STARTED, EVENT_SUBSCRIPTION_RESUMED, true},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct event first = SUBSCRIPTION(STARTED, day(1)), second = first;
        first.kind = table[i].first;
        second.kind = table[i].second;
        second.order_id = ID("o1");
        assert_int_equal(AFTER(day(2), first, second)->subscription, table[i].active);
        second.occurred_at = day(1.5);
        assert_int_equal(AFTER(day(2), first, second)->subscription,
                         table[i].second == EVENT_SUBSCRIPTION_STARTED ||
                             table[i].second == EVENT_SUBSCRIPTION_RESUMED ||
                             table[i].second == EVENT_SUBSCRIPTION_RENEWED);
    }
}

static void r20_since_is_the_start_of_the_present_unbroken_spell(void **state)
{
    (void)state;
    struct event events[] = {
        SUBSCRIPTION(STARTED, day(1), .subscription_id = ID("a")),
        SUBSCRIPTION(CANCELLED, day(5), .subscription_id = ID("a")),
        PLACED(day(7), "o1", .subscription_id = ID("a")),
        SUBSCRIPTION(STARTED, day(9), .subscription_id = ID("b")),
        SUBSCRIPTION(PAUSED, day(12), .subscription_id = ID("a")),
        SUBSCRIPTION(STARTED, day(20), .subscription_id = ID("c")),
    };
    assert_any_order(&subject, events, COUNT_OF(events), day(30));
    assert_true(subject.figures.subscription);
    assert_int_equal(subject.figures.subscription_since.at, day(7));
    subject_apply(&subject, CANCELLED(day(8), "o1")); /* a void order says nothing */
    assert_int_equal(subject_figures(&subject, day(30))->subscription_since.at, day(9));
}

static void r20_an_order_without_a_subscription_id_names_none(void **state)
{
    (void)state;
    assert_false(AFTER(day(2), PLACED(day(1), "o1"))->subscription);
    assert_true(AFTER(day(2), RENEWED(day(1), "o1"))->subscription); /* R86: the one without a name */
}

static void r21_renewals_run_from_the_last_cancellation(void **state)
{
    (void)state;
    struct event events[] = {
        RENEWED(day(1), "o1", .subscription_id = ID("a")),
        RENEWED(day(2), "o2", .subscription_id = ID("a")),
        SUBSCRIPTION(PAUSED, day(3), .subscription_id = ID("a")),
        RENEWED(day(4), "o3", .subscription_id = ID("a")),
        RENEWED(day(4), "o4", .subscription_id = ID("b")),
        RENEWED(day(5), "o5", .subscription_id = ID("a")),
        CANCELLED(day(6), "o5"),
    };
    assert_any_order(&subject, events, COUNT_OF(events), day(30));
    assert_int_equal(subject.figures.renewals, 3);
    subject_apply(&subject, SUBSCRIPTION(CANCELLED, day(4), .subscription_id = ID("a"), .event_id = ID("x")));
    assert_int_equal(subject_figures(&subject, day(30))->renewals, 1); /* a stands cancelled: b's one */
    subject_apply(&subject, RENEWED(day(7), "o7", .subscription_id = ID("a")));
    subject_apply(&subject, RENEWED(day(8), "o8", .subscription_id = ID("a")));
    assert_int_equal(subject_figures(&subject, day(30))->renewals, 2);
}

/* ---- contacts ---- */

static void r22_the_last_explicit_word_decides_by_channel(void **state)
{
    (void)state;
    assert_true(AFTER(day(9), CUSTOMER(REGISTERED, day(1)))->registered_email);
    assert_false(subject.figures.registered_line);
    assert_false(AFTER(day(9), CUSTOMER(REGISTERED, day(1)), CUSTOMER(UNREGISTERED, day(1)))->registered_email);
    assert_true(AFTER(day(9), CUSTOMER(UNREGISTERED, day(1)), CUSTOMER(REGISTERED, day(2)))->registered_email);
    assert_true(AFTER(day(9), PLACED(day(1), "o1", .line_registered = ANSWER_TRUE), CANCELLED(day(2), "o1"))
                    ->registered_line); /* a void order's word stands */
    assert_true(AFTER(day(9), CUSTOMER(REGISTERED, day(1)), PLACED(day(2), "o1", .email_registered = ANSWER_FALSE))
                    ->registered_email); /* an empty box is not a farewell */
    assert_true(AFTER(day(9), CUSTOMER(REGISTERED, day(1)), EVENT(EMAIL_OPENS, UNSUBSCRIBED, day(2)))
                    ->registered_email);
}

static void r22_a_human_open_proves_only_where_nothing_explicit_is_known(void **state)
{
    (void)state;
    assert_true(AFTER(day(9), HUMAN(CLICKED, day(1)))->registered_email);
    assert_false(subject.figures.registered_line);
    assert_false(AFTER(day(9), CUSTOMER(UNREGISTERED, day(1)), HUMAN(OPENED, day(2)))->registered_email);
    assert_false(AFTER(day(9), EVENT(EMAIL_OPENS, OPENED, day(1), .agent = AGENT_MACHINE))->registered_email);
    assert_false(AFTER(day(9), EVENT(EMAIL_OPENS, OPENED, day(1)))->registered_email);
}

static void r23_consent_is_the_last_word_and_a_tie_refuses(void **state)
{
    (void)state;
    assert_false(AFTER(day(9), PLACED(day(1), "o1"))->consent);
    assert_true(AFTER(day(9), CUSTOMER(CONSENTED, day(1), .source = ID("app")))->consent);
    assert_true(span_equal(subject.facts.sources[subject.figures.consent_source], ID("app")));
    assert_int_equal(subject.figures.consent_at, day(1));
    assert_false(AFTER(day(9), CUSTOMER(CONSENTED, day(1)), CUSTOMER(OPTED_OUT, day(1)))->consent);
    assert_false(AFTER(day(9), CUSTOMER(CONSENTED, day(1)), EVENT(EMAIL_OPENS, COMPLAINED, day(2)))->consent);
    assert_true(AFTER(day(9), EVENT(EMAIL_OPENS, UNSUBSCRIBED, day(1)),
                      PLACED(day(2), "o1", .marketing_consent = ANSWER_TRUE))->consent);
    assert_true(AFTER(day(9), CUSTOMER(REGISTERED, day(1), .marketing_consent = ANSWER_TRUE),
                      PLACED(day(2), "o1", .marketing_consent = ANSWER_FALSE),
                      CUSTOMER(REGISTERED, day(3), .marketing_consent = ANSWER_FALSE))->consent);
}

static void r24_a_bounce_ends_with_a_later_proof(void **state)
{
    (void)state;
    struct event bounced = EVENT(EMAIL_OPENS, BOUNCED, day(5));
    assert_true(AFTER(day(9), bounced, CUSTOMER(REGISTERED, day(5)))->bounced_email);
    assert_false(AFTER(day(9), bounced, CUSTOMER(REGISTERED, day(6)))->bounced_email);
    assert_false(AFTER(day(9), bounced, HUMAN(OPENED, day(6)))->bounced_email);
    assert_true(AFTER(day(9), bounced, HUMAN(OPENED, day(6), .channel = EVENT_CHANNEL_LINE))->bounced_email);
    assert_false(subject.figures.bounced_line);
}

static void r25_only_human_opens_of_the_last_60_days_count(void **state)
{
    (void)state;
    const struct figures *figures =
        AFTER(day(60), HUMAN(OPENED, day(0)), HUMAN(OPENED, day(0) + 1), HUMAN(CLICKED, day(3)),
              EVENT(EMAIL_OPENS, OPENED, day(4), .agent = AGENT_MACHINE), EVENT(EMAIL_OPENS, OPENED, day(5)));
    assert_int_equal(figures->opens_60d, 1);
    assert_int_equal(figures->clicks_60d, 1);
    assert_int_equal(figures->last_open_at, day(3));
    assert_int_equal(subject_figures(&subject, day(60) + 1)->opens_60d, 0);
    assert_int_equal(subject_figures(&subject, day(900))->last_open_at, day(3));
}

static void r25_the_newest_32_are_kept(void **state)
{
    (void)state;
    for (int i = 40; i-- > 0;) /* the newest first, so that the others must make way or stay out */
        subject_apply(&subject, HUMAN(OPENED, day(1) + i));
    subject_apply(&subject, HUMAN(CLICKED, day(1) + 100));
    const struct figures *figures = subject_figures(&subject, day(2));
    assert_int_equal(figures->opens_60d, 31);
    assert_int_equal(figures->clicks_60d, 1);
    assert_int_equal(subject.facts.notes_count, 32);
}

static void r33_the_last_stated_zone(void **state)
{
    (void)state;
    const struct figures *figures = AFTER(day(9), CUSTOMER(REGISTERED, day(3), .time_zone = ID("Mars/Olympus")),
                                          PLACED(day(2), "o1", .time_zone = ID("Europe/London")),
                                          PLACED(day(4), "o2"));
    assert_true(span_equal(figures_time_zone(figures), ID("Mars/Olympus"))); /* unknown: the engine falls back to the default */
    assert_true(span_empty(figures_time_zone(AFTER(day(9), PLACED(day(2), "o1")))));
}

/* R10: an id is a source's own. Of one instant and one id the order of arrival decides nothing (R1). */
static void r33_two_zones_of_one_instant_and_id(void **state)
{
    (void)state;
    struct event told[] = {
        PLACED(day(2), "o1", .event_id = ID("e"), .time_zone = ID("Europe/London")),
        CUSTOMER(REGISTERED, day(2), .event_id = ID("e"), .time_zone = ID("Asia/Kolkata")),
        CUSTOMER(REGISTERED, day(2), .event_id = ID("e"), .source = ID("s"), .time_zone = ID("Asia/Tokyo")),
    };
    for (size_t first = 0; first < COUNT_OF(told); first++) {
        const struct figures *figures = AFTER(day(9), told[first], told[(first + 1) % 3], told[(first + 2) % 3]);
        assert_true(span_equal(figures_time_zone(figures), ID("Europe/London")));
        figures = AFTER(day(9), told[first], told[(first + 2) % 3], told[(first + 1) % 3]);
        assert_true(span_equal(figures_time_zone(figures), ID("Europe/London")));
        figures = AFTER(day(9), told[1 + first % 2], told[2 - first % 2]);
        assert_true(span_equal(figures_time_zone(figures), ID("Asia/Tokyo")));
    }
}

/* ---- answers ---- */

static void r26_positive_and_negative(void **state)
{
    (void)state;
    static const struct { int32_t nps, satisfaction; int positive, negative; } table[] = {
        {9, 0, 1, 0}, {8, 0, 0, 0}, {4, 0, 0, 1},  {5, 0, 0, 0}, {-1, 4, 1, 0}, {-1, 3, 0, 0}, {-1, 2, 0, 1},
        {7, 4, 1, 0}, {6, 4, 0, 0}, {9, 1, 0, 1},  {9, 3, 1, 0}, {4, 5, 0, 1},  {0, 0, 0, 1},  {-1, 0, 0, 0},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        const struct figures *figures =
            AFTER(day(2), RESPONSE(day(1), "r", LAPSE, .nps = table[i].nps, .satisfaction = table[i].satisfaction));
        assert_int_equal(figures->positive, table[i].positive);
        assert_int_equal(figures->negative, table[i].negative);
    }
}

static void r27_effect_felt_in_the_cycle(void **state)
{
    (void)state;
    struct event bought = PLACED(day(0), "o1");
    assert_int_equal(AFTER(day(9), bought, RESPONSE(day(2), "r", MONTHLY, .effect_felt = ANSWER_TRUE))->effect_felt.at,
                     day(2));
    assert_int_equal(AFTER(day(9), bought, RESPONSE(day(2), "r", EFFECT, .nps = 9))->effect_felt.at, day(2));
    assert_int_equal(AFTER(day(9), bought, RESPONSE(day(2), "r", MONTHLY, .nps = 9))->effect_felt.at, NEVER);
    assert_int_equal(AFTER(day(9), bought, RESPONSE(day(2), "r", EFFECT, .nps = 9, .effect_felt = ANSWER_FALSE))
                         ->effect_felt.at, NEVER);
    assert_int_equal(AFTER(day(9), bought, RESPONSE(day(-1), "r", EFFECT, .effect_felt = ANSWER_TRUE))->effect_felt.at,
                     NEVER);
}

static void r28_the_last_answer_that_states_it(void **state)
{
    (void)state;
    struct event events[] = {
        RESPONSE(day(1), "r1", MONTHLY, .nps = 3, .satisfaction = 5),
        RESPONSE(day(2), "r2", MONTHLY, .nps = 8),
        RESPONSE(day(3), "r3", MONTHLY, .goal = ID("run")),
        RESPONSE(day(2), "r4", MONTHLY, .nps = 6),
    };
    assert_any_order(&subject, events, COUNT_OF(events), day(9));
    assert_int_equal(subject.figures.last_satisfaction, 5);
    assert_int_equal(subject.figures.last_response_at, day(3));
    bool r2_is_last = hash_xxh64(ID("r2")) > hash_xxh64(ID("r4")); /* of two at one time the higher hash */
    assert_int_equal(subject.figures.last_nps, r2_is_last ? 8 : 6);
    assert_int_equal(subject.figures.responses, 4);
}

/* ---- cycles ---- */

static void r29_a_cycle_begins_at_90_days_without_a_subscription(void **state)
{
    (void)state;
    struct event bought = PLACED(day(0), "o1");
    assert_int_equal(AFTER(day(100), bought, PLACED(day(90) - 1, "o2"))->cycle, 1);
    assert_int_equal(AFTER(day(100), bought, PLACED(day(90), "o2"))->cycle, 2);
    assert_int_equal(subject.figures.cycle_start, day(90));
    assert_int_equal(subject.figures.purchases_in_cycle, 1);
    struct event started = SUBSCRIPTION(STARTED, day(10)), ended = SUBSCRIPTION(CANCELLED, day(90));
    assert_int_equal(AFTER(day(100), bought, started, PLACED(day(90), "o2"))->cycle, 1);
    assert_int_equal(AFTER(day(100), bought, started, ended, PLACED(day(90), "o2"))->cycle, 1); /* just before it */
    ended.occurred_at = day(90) - 1;
    assert_int_equal(AFTER(day(100), bought, started, ended, PLACED(day(90), "o2"))->cycle, 2);
    started.occurred_at = day(90);
    assert_int_equal(AFTER(day(100), bought, started, PLACED(day(90), "o2"))->cycle, 2); /* not before it */
}

static void r29_late_facts_merge_and_split_cycles(void **state)
{
    (void)state;
    assert_int_equal(AFTER(day(200), PLACED(day(0), "o1"), PLACED(day(100), "o2"), PLACED(day(50), "between"))->cycle, 1);
    assert_int_equal(AFTER(day(200), PLACED(day(0), "o1"), PLACED(day(50), "o2"), PLACED(day(100), "o3"),
                           CANCELLED(day(60), "o2"))->cycle, 2);
}

static void r29_parcels_belong_to_their_orders_cycle(void **state)
{
    (void)state;
    const struct figures *figures =
        AFTER(day(200), PLACED(day(0), "o1"), PLACED(day(100), "o2"), DELIVERY(DELIVERED, day(101), "o1"),
              DELIVERY(DELIVERED, day(99), "o2"), CUSTOMER(SHARED, day(99)), CUSTOMER(SHARED, day(100)));
    assert_int_equal(figures->delivered, 2); /* for life */
    assert_int_equal(figures->delivered_in_cycle, 1);
    assert_int_equal(figures->first_delivery.at, day(99));
    assert_int_equal(figures->shares, 2);
    assert_int_equal(figures->shares_in_cycle, 1);
}

static void r29_without_a_purchase_nothing_is_of_the_cycle(void **state)
{
    (void)state;
    const struct figures *figures = AFTER(day(5), RESPONSE(day(1), "r", ASSESS, .effect_felt = ANSWER_TRUE));
    assert_int_equal(figures->cycle, 1);
    assert_int_equal(figures->cycle_start, NEVER);
    assert_int_equal(figures->effect_felt.at, NEVER);
    assert_int_equal(figures->answered_in_cycle, 0);
    assert_int_equal(figures->answered_ever, 1 << PURPOSE_ASSESS);
}

/* ---- referrals, money, time ---- */

static void r30_one_referral_per_friend(void **state)
{
    (void)state;
    struct event events[] = {
        CUSTOMER(REFERRED, day(1), .referred_customer_id = ID("ann")),
        CUSTOMER(REFERRED, day(2), .referred_customer_id = ID("ann")),
        CUSTOMER(REFERRED, day(3)),
        CUSTOMER(REFERRED, day(4)),
        EVENT(ORDERS, CREDIT, day(5), .credit = {ID("ann"), true, false, ID("x1"), day(5), false}),
        EVENT(ORDERS, CREDIT, day(6), .credit = {ID("bob"), true, false, ID("x2"), day(6), false}),
    };
    assert_any_order(&subject, events, COUNT_OF(events), day(9));
    assert_int_equal(subject.figures.referrals, 4);
    assert_int_equal(subject.figures.referrals_converted, 2);
}

static void r32_money_is_kept_per_currency(void **state)
{
    (void)state;
    const struct figures *figures =
        AFTER(day(9), PLACED(day(0), "o1", .currency = ID("USD"), LINES(LINE("TEA", 2, 150))), PLACED(day(1), "o2"),
              PLACED(day(2), "o3", .currency = ID("EUR")), REFUNDED(day(3), "o3", .refund_amount = 1));
    size_t count = 0;
    const struct customer_money *money = figures_money(figures, &subject.arena, &count);
    assert_int_equal(count, 3);
    assert_true(span_equal(money[0].currency, ID("EUR")));
    assert_int_equal(money[0].minor, 999);
    assert_int_equal(money[1].minor, 1000);
    assert_int_equal(figures->money_default, 1000);
    assert_int_equal(money[2].minor, 300);
}

static void r35_days_are_whole_and_the_boundary_is_to_the_millisecond(void **state)
{
    (void)state;
    struct fact_values values;
    static const struct { double days; int64_t off, expected; } table[] = {
        {60, -1, 59}, {60, 0, 60}, {0, 0, 0}, {0, -1, -1}, {1, 0, 1}};
    AFTER(day(0), PLACED(day(0), "o1"));
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        figures_values(subject_figures(&subject, day(table[i].days) + table[i].off), ALL_FACTS, &values);
        assert_int_equal(values.value[FACT_days_since_last_purchase], table[i].expected);
    }
    assert_int_equal(subject_figures(&subject, day(59))->next_change_at, day(60));
    assert_int_equal(subject_figures(&subject, day(60))->next_change_at, day(90));
}

static void r34_absent_fields_read_as_their_defaults(void **state)
{
    (void)state;
    const struct figures *figures = AFTER(day(9), EVENT(ORDERS, PLACED, day(0), .order_id = ID("o1")));
    assert_int_equal(figures->purchases, 1);
    assert_int_equal(figures->money_default, 0);
    assert_int_equal(figures->trial, 0);
}

/* ---- time ---- */

static void assert_same_figures(const struct figures *held, const struct figures *fresh)
{
    struct buffer left = {0}, right = {0};
    text_of_figures(&left, held);
    text_of_figures(&right, fresh);
    assert_string_equal(left.data, right.data);
    buffer_release(&left);
    buffer_release(&right);
}

/* Hour by hour through a year and a half: as long as figures hold, computing them anew finds nothing else; and when they
 * hold no more, bringing up to date what the clock has changed gives what computing all gives. */
static void figures_hold_until_their_next_change(void **state)
{
    (void)state;
    const struct figures *fresh = AFTER(
        day(0), PLACED(day(0), "o1", .email_registered = ANSWER_TRUE), DELIVERY(SHIPPED, day(1), "o1"),
        HUMAN(OPENED, day(2)), HUMAN(CLICKED, day(9)), RESPONSE(day(20), "r1", EFFECT, .satisfaction = 5, .nps = 9),
        PLACED(day(30), "o2"), DELIVERY(SHIPPED, day(31), "o2", .estimated_at = day(40)), HUMAN(OPENED, day(33)),
        PLACED(day(200), "o3"), DELIVERY(DELIVERED, day(203), "o3"), CUSTOMER(SHARED, day(210)));
    struct figures held = *fresh;
    int changes = 0, hours = 0;
    for (int64_t now = day(0); now < day(550); now += HOUR_MS) {
        fresh = subject_figures(&subject, now);
        bool holds = figures_hold(&held, now);
        if (!holds)
            figures_follow(&subject.facts, &subject.arena, now, FIGURES_TIME, &held);
        changes += !holds;
        hours += holds;
        held.now = now;
        assert_same_figures(&held, fresh);
    }
    assert_true(changes >= 6 && hours > 10000);
}

static uint32_t part_of(enum topic topic)
{
    if (topic == TOPIC_SURVEYS)
        return FIGURES_RESPONSES;
    if (topic == TOPIC_ORDERS)
        return FIGURES_ORDERS;
    return topic == TOPIC_DELIVERIES ? FIGURES_DELIVERIES : FIGURES_CONTACTS;
}

/* Orders, deliveries, e-mails and answers change a part of the figures: bringing that part up to date gives what
 * computing all gives, also when the clock has changed another part meanwhile. */
static void figures_follow_what_changed(void **state)
{
    (void)state;
    const struct event events[] = {
        DELIVERY(SHIPPED, day(1), "o1", .estimated_at = day(5)),
        HUMAN(OPENED, day(2)),
        DELIVERY(SHIPPED, day(2), "o9"),
        DELIVERY(FAILED, day(3), "o1", .estimated_at = day(6)),
        HUMAN(CLICKED, day(3)),
        DELIVERY(DELIVERED, day(4), "o1"),
        EVENT(EMAIL_OPENS, BOUNCED, day(5)),
        HUMAN(OPENED, day(6)),
        DELIVERY(RETURNED, day(7), "o1"),
        EVENT(EMAIL_OPENS, UNSUBSCRIBED, day(8)),
        DELIVERY(SHIPPED, day(20), "o2"),
        DELIVERY(DELIVERED, day(21), "o2"),
        EVENT(EMAIL_OPENS, COMPLAINED, day(22)),
        RESPONSE(day(22), "r2", EFFECT, .satisfaction = 5, .nps = 9, .goal = SPAN("sleep")),
        RESPONSE(day(23), "r3", MONTHLY, .satisfaction = 1, .nps = 2),
        RESPONSE(day(24), "r2", EFFECT, .satisfaction = 2, .version = 2),
        RESPONSE(day(25), "r4", EARLY_EXPERIENCE, .nps = 10, .effect_felt = ANSWER_TRUE),
        HUMAN(OPENED, day(90)),
        DELIVERY(SHIPPED, day(91), "o2", .parcel_id = SPAN("p2")),
        RESPONSE(day(94), "r5", LAPSE, .satisfaction = 4),
        PLACED(day(95), "o3"), /* a cycle of its own: the parcels and answers before are of it no more */
        DELIVERY(DELIVERED, day(97), "o3"),
        PLACED(day(98), "o4", .line_registered = ANSWER_TRUE, .time_zone = SPAN("Asia/Seoul")),
        PLACED(day(98.5), "o5", .currency = ID("EUR")),
        RESPONSE(day(99), "r6", EFFECT, .satisfaction = 5, .nps = 10),
        DELIVERY(SHIPPED, day(99), "o6"),
        PLACED(day(99.5), "o6"), /* of which a parcel is known already */
        PLACED(day(94.5), "o7"), /* told late: the cycle began earlier */
        EVENT(ORDERS, SUBSCRIPTION_STARTED, day(100), .subscription_id = ID("s")),
        EVENT(ORDERS, CANCELLED, day(101), .order_id = ID("o3")),
        REFUNDED(day(102), "o6"),
        PLACED(day(98), "o4", .version = 2), /* with fewer words */
        EVENT(ORDERS, SUBSCRIPTION_CANCELLED, day(103), .subscription_id = ID("s")),
        PLACED(day(80), "o8"), /* bridges the two cycles */
        PLACED(day(120), "o9"), /* shipped on the second day, long before */
        PLACED(day(121), "o10", .subscription_id = ID("s")),
    };
    AFTER(day(0), PLACED(day(-200), "o0"), PLACED(day(0), "o1", .email_registered = ANSWER_TRUE), PLACED(day(0), "o2"),
          DELIVERY(DELIVERED, day(-199), "o0"), RESPONSE(day(0), "r1", EARLY_EXPERIENCE, .satisfaction = 5, .nps = 9),
          CUSTOMER(SHARED, day(0)), CUSTOMER(CONSENTED, day(0)));
    int64_t now = day(0);
    for (size_t i = 0; i < COUNT_OF(events); i++) {
        struct figures followed = *subject_figures(&subject, now);
        assert_int_equal(subject_apply(&subject, events[i]), FOLD_APPLIED);
        now = events[i].occurred_at > now ? events[i].occurred_at : now;
        figures_follow(&subject.facts, &subject.arena, now, part_of(events[i].topic), &followed);
        assert_same_figures(&followed, subject_figures(&subject, now));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(r14_cancelled_orders_count_nowhere),
        TEST(r14_refunds_are_whole_when_they_reach_the_total),
        TEST(r14_refunds_beyond_the_numbers_sum_alike_in_any_order),
        TEST(r14_an_edited_refund_makes_the_order_live_again),
        TEST(r15_a_returned_parcel_is_shipped_but_not_delivered),
        TEST(r15_a_delivered_after_the_returned_delivers_again),
        TEST(r16_delivery_is_assumed_when_its_instant_has_come),
        TEST(r16_the_fallback_may_be_off_and_differ_by_source),
        TEST(r17_figures_are_those_of_the_first_line_that_states_them),
        TEST(r18_roles),
        TEST(r18_the_first_purchase_may_be_the_trial),
        TEST(r19_first_and_last_by_time_then_order_id_bytewise),
        TEST(r19_a_renewal_without_an_order_id_is_a_purchase),
        TEST(r20_the_last_fact_decides_and_a_tie_goes_by_rank),
        TEST(r20_since_is_the_start_of_the_present_unbroken_spell),
        TEST(r20_an_order_without_a_subscription_id_names_none),
        TEST(r21_renewals_run_from_the_last_cancellation),
        TEST(r22_the_last_explicit_word_decides_by_channel),
        TEST(r22_a_human_open_proves_only_where_nothing_explicit_is_known),
        TEST(r23_consent_is_the_last_word_and_a_tie_refuses),
        TEST(r24_a_bounce_ends_with_a_later_proof),
        TEST(r25_only_human_opens_of_the_last_60_days_count),
        TEST(r25_the_newest_32_are_kept),
        TEST(r33_the_last_stated_zone),
        TEST(r33_two_zones_of_one_instant_and_id),
        TEST(r26_positive_and_negative),
        TEST(r27_effect_felt_in_the_cycle),
        TEST(r28_the_last_answer_that_states_it),
        TEST(r29_a_cycle_begins_at_90_days_without_a_subscription),
        TEST(r29_late_facts_merge_and_split_cycles),
        TEST(r29_parcels_belong_to_their_orders_cycle),
        TEST(r29_without_a_purchase_nothing_is_of_the_cycle),
        TEST(r30_one_referral_per_friend),
        TEST(r32_money_is_kept_per_currency),
        TEST(r35_days_are_whole_and_the_boundary_is_to_the_millisecond),
        TEST(r34_absent_fields_read_as_their_defaults),
        TEST(figures_hold_until_their_next_change),
        TEST(figures_follow_what_changed),
    };
    return cmocka_run_group_tests_name("figures", tests, NULL, NULL);
}
