/* The guards (RULINGS.md E). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/hash.h"
#include "tests/unit/shop.h"

#define RULE(name, class, more)        "  - {name: " name ", class: " class ", once: order, " more "}\n"
#define PLACED_RULE(name, class, more) RULE(name, class, "trigger: {event: PLACED}, " more)

static void open_rules(struct shop *shop, const char *rules)
{
    shop_open(shop, shop_rules(rules, NULL));
}

/* An order that says nothing of registration or consent. */
static struct event bare(const char *order_id)
{
    return shop_order(EVENT_PLACED, order_id);
}

static void r66_the_first_that_fails_is_the_outcome(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, PLACED_RULE("m", "marketing",
                                  "shelf: 1d, priority: 50, conditions: [\"purchases >= 1\", \"purchases >= 2\"]"));
    struct event old = bare("O1");
    old.occurred_at = D(-3);
    shop_event_at(&shop, old, D(0));
    EXPECT(&shop, "decision m order:O1 1 condition (purchases >= 2)"); /* before stale */
    old = bare("O2");
    old.occurred_at = D(-2);
    shop_event_at(&shop, old, D(0));
    EXPECT(&shop, "decision m order:O2 1 stale"); /* before consent */
    shop_event_at(&shop, bare("O3"), D(0));
    EXPECT(&shop, "decision m order:O3 1 consent"); /* before unreachable */
    struct event yes = bare("O4");
    yes.marketing_consent = ANSWER_TRUE;
    shop_event_at(&shop, yes, D(0));
    EXPECT(&shop, "decision m order:O4 1 unreachable");
    yes.order_id = SPAN("O5");
    shop_event_at(&shop, yes, D(0.5));
    EXPECT(&shop, "decision m order:O5 1 deferred (quiet)"); /* before unreachable */
    shop_close(&shop);
}

static void r66_backfill_comes_before_the_conditions(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, PLACED_RULE("t", "transactional", "shelf: 9d, priority: 50, conditions: [\"purchases >= 2\"]"));
    struct event imported = bare("O1");
    imported.backfill = true;
    shop_event_at(&shop, imported, D(0));
    EXPECT(&shop, "decision t order:O1 1 backfill");
    shop_close(&shop);
}

static void r66_a_full_day_comes_before_the_night(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, PLACED_RULE("m", "marketing", "shelf: 9d, priority: 50"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    shop_event_at(&shop, shop_placed("O2"), D(0.1));
    shop_event_at(&shop, shop_placed("O3"), D(0.5)); /* 22:00 of the same day */
    EXPECT(&shop, "decision m order:O3 1 deferred (capped) at=0d12:00 due=0d12:00 until=0d23:00");
    shop_close(&shop);
}

/* Only a playbook that changes its share can show it: who was sent to is held out now. */
static void r66_holdout_comes_before_once(void **state)
{
    (void)state;
#define ANSWERED(share)                                                                                                \
    "  - {name: m, trigger: {response: any}, class: marketing, shelf: 9d, priority: 5, once: response, "               \
    "holdout: " share "}\n"
    struct shop shop;
    open_rules(&shop, ANSWERED("0.0"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    struct event answer = shop_answer("r1", PURPOSE_MONTHLY, 9);
    shop_event_at(&shop, answer, D(0.1));
    EXPECT(&shop, "decision m response:S/r1 1 sent");
    answer.version = 1;
    shop_event_at(&shop, answer, D(0.2));
    EXPECT(&shop, "decision m response:S/r1 1 once");
    shop_change(&shop, shop_rules(ANSWERED("1.0"), NULL));
    answer.version = 2;
    shop_event_at(&shop, answer, D(0.3));
    EXPECT(&shop, "decision m response:S/r1 1 holdout");
    shop_close(&shop);
}

static void r66_a_paused_rule_waits_and_stale_judges_it(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, PLACED_RULE("m", "marketing", "shelf: 1d, priority: 50")
                          PLACED_RULE("t", "transactional", "shelf: 9d, priority: 40"));
    shop.pauses.all_marketing = true;
    shop_event_at(&shop, shop_placed("O1"), D(0));
    EXPECT(&shop, "decision m order:O1 1 paused");
    EXPECT(&shop, "decision t order:O1 1 sent");
    shop_until(&shop, D(0.2));
    EXPECT_COUNT(&shop, "\ndecision m", 1); /* told once */
    shop.pauses.all_marketing = false;
    shop_until(&shop, D(0.3));
    EXPECT(&shop, "decision m order:O1 1 sent");
    static const struct span held[] = {{"t", 1}};
    shop.pauses = (struct pauses){.rules = held, .rule_count = 1};
    shop_event_at(&shop, shop_placed("O2"), D(1));
    EXPECT(&shop, "decision t order:O2 1 paused");
    shop_until(&shop, D(11));
    shop.pauses.rule_count = 0;
    shop_until(&shop, D(12));
    EXPECT(&shop, "decision t order:O2 1 stale");
    shop_close(&shop);
}

static void r67_each_class_has_its_own_guards(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop,
               PLACED_RULE("m", "marketing", "shelf: 1d, priority: 90")
                   PLACED_RULE("t", "transactional", "shelf: 1d, priority: 80")
                       PLACED_RULE("i", "internal",
                                   "shelf: 1d, priority: 70, audience: support, channels: [service], cooldown: 30d"));
    shop_event_at(&shop, bare("O1"), D(0.5)); /* night, no consent, no registration */
    EXPECT(&shop, "decision m order:O1 1 consent");
    EXPECT(&shop, "decision t order:O1 1 sent");
    EXPECT(&shop, "send i order:O1 1 service");
    shop_event_at(&shop, bare("O2"), D(0.6));
    EXPECT(&shop, "send i order:O2 1 service"); /* no cooldown for internal rules */
    struct event late = bare("O3");
    late.occurred_at = D(-1);
    shop_event_at(&shop, late, D(0.7));
    EXPECT(&shop, "decision i order:O3 1 stale");
    EXPECT(&shop, "decision t order:O3 1 stale");
    shop_close(&shop);
}

static void r68_deferred_runs_meet_at_the_windows_start(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, PLACED_RULE("low", "marketing", "shelf: 2d, priority: 10")
                          PLACED_RULE("high", "marketing", "shelf: 2d, priority: 20")
                              PLACED_RULE("short", "marketing", "shelf: 6h, priority: 30"));
    shop_event_at(&shop, shop_placed("O1"), D(0.5)); /* 22:00 */
    EXPECT(&shop, "decision low order:O1 1 deferred (quiet) at=0d12:00 due=0d12:00 until=0d23:00");
    shop_until(&shop, D(2));
    const char *high = strstr(shop.lines.data, "decision high order:O1 1 sent at=0d23:00 due=0d12:00");
    const char *low = strstr(shop.lines.data, "decision low order:O1 1 sent at=0d23:00 due=0d12:00");
    assert_true(high && low && high < low);
    EXPECT(&shop, "decision short order:O1 1 stale at=0d23:00"); /* against its first due time */
    shop_close(&shop);
}

static void r68_conditions_are_read_again(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, PLACED_RULE("m", "marketing", "shelf: 2d, priority: 10, conditions: [\"purchases = 1\"]"));
    shop_event_at(&shop, shop_placed("O1"), D(0.5));
    shop_event_at(&shop, shop_placed("O2"), D(0.6));
    shop_until(&shop, D(1));
    EXPECT(&shop, "decision m order:O1 1 condition (purchases = 1) at=0d23:00");
    shop_close(&shop);
}

static void r69_the_capped_wait_or_drop(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, PLACED_RULE("a", "marketing", "shelf: 5d, priority: 10")
                          PLACED_RULE("b", "marketing", "shelf: 5d, priority: 40")
                              PLACED_RULE("c", "marketing", "shelf: 5d, priority: 30")
                                  PLACED_RULE("d", "marketing", "shelf: 5d, priority: 20, on_cap: drop"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    EXPECT(&shop, "decision b order:O1 1 sent");
    EXPECT(&shop, "decision c order:O1 1 sent");
    EXPECT(&shop, "decision d order:O1 1 capped");
    EXPECT(&shop, "decision a order:O1 1 deferred (capped) at=0d00:00 due=0d00:00 until=0d23:00");
    shop_until(&shop, D(1));
    EXPECT(&shop, "decision a order:O1 1 sent at=0d23:00");
    shop_close(&shop);
}

static void r70_the_week_is_today_and_six_days_before(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, PLACED_RULE("m", "marketing", "shelf: 9d, priority: 10"));
    char ids[16][8];
    for (int day = 0; day < 7; day++) { /* one a day: the seventh fills the week */
        snprintf(ids[day], sizeof ids[day], "O%d", day);
        shop_event_at(&shop, shop_placed(ids[day]), D(day));
    }
    EXPECT_COUNT(&shop, "\nsend m", 7);
    shop_event_at(&shop, shop_placed("P"), D(6.01));
    EXPECT(&shop, "decision m order:P 1 deferred (capped) at=6d00:14 due=6d00:14 until=6d23:00");
    shop_event_at(&shop, shop_order(EVENT_CANCELLED, "O3"), D(6.02)); /* a revoked send still counts */
    shop_until(&shop, D(7));
    EXPECT(&shop, "decision m order:P 1 sent at=6d23:00"); /* day 0 has left the week */
    shop_event_at(&shop, shop_placed("Q"), D(7));
    EXPECT(&shop, "decision m order:Q 1 deferred (capped)");
    shop_close(&shop);
}

static void r70_transactional_sends_are_not_counted(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, PLACED_RULE("t", "transactional", "shelf: 9d, priority: 90")
                          PLACED_RULE("m", "marketing", "shelf: 9d, priority: 10"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    shop_event_at(&shop, shop_placed("O2"), D(0.01));
    shop_event_at(&shop, shop_placed("O3"), D(0.02));
    EXPECT_COUNT(&shop, "\nsend t", 3);
    EXPECT_COUNT(&shop, "\nsend m", 2);
    shop_close(&shop);
}

static void r71_marketing_keeps_the_quiet_hours(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, PLACED_RULE("t", "transactional", "shelf: 9d, priority: 90")
                          PLACED_RULE("m", "marketing", "shelf: 9d, priority: 10"));
    struct event order = shop_placed("O1");
    order.time_zone = SPAN("Europe/London"); /* 02:00 there */
    shop_event_at(&shop, order, D(0));
    EXPECT(&shop, "decision t order:O1 1 sent");
    EXPECT(&shop, "decision m order:O1 1 deferred (quiet) at=0d00:00 due=0d00:00 until=0d07:00");
    shop_event_at(&shop, shop_placed("O2"), D(1) + 17 * HOUR_MS - 1); /* the last millisecond before 20:00 in London */
    EXPECT(&shop, "decision m order:O2 1 sent");
    shop_event_at(&shop, shop_placed("O3"), D(2) + 18 * HOUR_MS);
    EXPECT(&shop, "decision m order:O3 1 deferred (quiet) at=2d18:00 due=2d18:00 until=3d07:00");
    shop_close(&shop);
}

static void r72_the_holdout_is_sticky_and_by_rule(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, PLACED_RULE("m", "marketing", "shelf: 9d, priority: 10, holdout: 0.5")
                          PLACED_RULE("t", "transactional", "shelf: 9d, priority: 10"));
    int held = 0;
    static char names[40][8];
    for (int i = 0; i < 40; i++) {
        snprintf(names[i], sizeof names[i], "c%d", i);
        shop.customer = names[i];
        buffer_reset(&shop.state);
        shop.wake_at = NEVER;
        shop_forget(&shop);
        shop_event_at(&shop, shop_placed("O1"), D(0));
        bool out = hash_share(SPAN("holdout"), SPAN("m"), span_of(names[i])) < 5000;
        EXPECT(&shop, out ? "decision m order:O1 1 holdout" : "decision m order:O1 1 sent");
        EXPECT(&shop, "decision t order:O1 1 sent");
        held += out;
    }
    assert_true(held > 8 && held < 32);
    shop_close(&shop);
}

/* h mod 10000 < round(share x 10000): who stands on the boundary is not held out. */
static void r72_the_holdouts_boundary_is_exact(void **state)
{
    (void)state;
    for (uint32_t above = 0; above <= 1; above++) {
        char rule[160];
        uint32_t share = hash_share(SPAN("holdout"), SPAN("m"), SPAN("anna")) + above;
        snprintf(rule, sizeof rule, PLACED_RULE("m", "marketing", "shelf: 9d, priority: 10, holdout: 0.%04u"),
                 (unsigned)share);
        struct shop shop;
        open_rules(&shop, rule);
        shop_event_at(&shop, shop_placed("O1"), D(0));
        EXPECT(&shop, above ? "decision m order:O1 1 holdout" : "decision m order:O1 1 sent");
        shop_close(&shop);
    }
}

static void r72_the_global_control_gets_no_marketing(void **state)
{
    (void)state;
    static const char *const control[] = {"global_control: 0 ", "global_control: 1 ", NULL};
    struct shop shop;
    shop_open(&shop, shop_rules(PLACED_RULE("m", "marketing", "shelf: 9d, priority: 10"), control));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    EXPECT(&shop, "decision m order:O1 1 holdout (global_control)");
    shop_close(&shop);
}

static void r72_variants_share_the_customers(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, PLACED_RULE("t", "transactional", "shelf: 9d, priority: 10, variants: {a: 0.3, b: 0.7}"));
    struct step_world world = {.playbook = shop.playbook, .zones = shop.zones};
    struct event order = shop_placed("O1");
    order.event_id = SPAN("e");
    order.occurred_at = D(0);
    int first = 0;
    for (int i = 0; i < 60; i++) {
        char name[8];
        snprintf(name, sizeof name, "c%d", i);
        order.customer_id = span_of(name);
        struct visit visit = {.customer_id = order.customer_id, .events = &order, .event_count = 1, .now = D(0)};
        struct visit_result result;
        assert_true(step_visit(&world, &shop.arena, &visit, &result));
        const struct record *record = result.records;
        while (record && record->type != RECORD_ACTION)
            record = record->next;
        assert_non_null(record);
        bool a = hash_share(SPAN("variant"), SPAN("t"), span_of(name)) < 3000;
        assert_true(span_equal(record->action.variant, a ? SPAN("a") : SPAN("b")));
        first += a;
        arena_reset(&shop.arena);
    }
    assert_true(first > 8 && first < 30);
    shop_close(&shop);
}

static void r73_the_cooldown_ends_the_run(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, PLACED_RULE("t", "transactional", "shelf: 9d, priority: 10, cooldown: 3d"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    shop_event_at(&shop, shop_placed("O2"), D(3) - 1);
    shop_event_at(&shop, shop_placed("O3"), D(3));
    EXPECT(&shop, "decision t order:O1 1 sent");
    EXPECT(&shop, "decision t order:O2 1 cooldown");
    EXPECT(&shop, "decision t order:O3 1 sent");
    shop_close(&shop);
}

static void r74_stale_is_later_than_the_shelf_life(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, PLACED_RULE("t", "transactional", "shelf: 2d, priority: 10"));
    struct event order = shop_placed("O1");
    order.occurred_at = D(-2);
    shop_event_at(&shop, order, D(0));
    EXPECT(&shop, "decision t order:O1 1 sent");
    order.order_id = SPAN("O2");
    order.occurred_at = D(-2) - 1;
    shop_event_at(&shop, order, D(0));
    EXPECT(&shop, "decision t order:O2 1 stale");
    shop_close(&shop);
}

static struct event bounced(void)
{
    return shop_blank(TOPIC_EMAIL_OPENS, EVENT_BOUNCED);
}

static void r75_the_first_channel_that_reaches(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, PLACED_RULE("t", "transactional", "shelf: 2d, priority: 30")
                          PLACED_RULE("m", "marketing", "shelf: 2d, priority: 20")
                              PLACED_RULE("n", "marketing", "shelf: 2d, priority: 10, channels: [insert, email]"));
    struct event order = bare("O1");
    order.marketing_consent = ANSWER_TRUE;
    shop_event_at(&shop, order, D(0));
    EXPECT(&shop, "send t order:O1 1 email"); /* the shop has the order's address */
    EXPECT(&shop, "decision m order:O1 1 unreachable");
    EXPECT(&shop, "send n order:O1 1 insert");
    shop_event_at(&shop, shop_delivery(EVENT_SHIPPED, "O1"), D(1));
    struct event registered = shop_customer(EVENT_REGISTERED);
    registered.channel = EVENT_CHANNEL_LINE;
    shop_event_at(&shop, registered, D(1));
    order.order_id = SPAN("O2");
    shop_event_at(&shop, order, D(2));
    EXPECT(&shop, "send t order:O2 1 line");
    EXPECT(&shop, "send m order:O2 1 line");
    shop_event_at(&shop, bounced(), D(3));
    struct event line_bounced = bounced();
    line_bounced.channel = EVENT_CHANNEL_LINE;
    shop_event_at(&shop, line_bounced, D(3));
    order.order_id = SPAN("O3");
    shop_event_at(&shop, order, D(4));
    EXPECT(&shop, "decision t order:O3 1 unreachable");
    shop_close(&shop);
}

static void r75_an_insert_needs_something_to_go_into(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("n", "marketing", "trigger: first_delivery, shelf: 2d, priority: 10, channels: [insert]"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    shop_event_at(&shop, shop_delivery(EVENT_DELIVERED, "O1"), D(1));
    EXPECT(&shop, "decision n order:O1 1 unreachable");
    shop_event_at(&shop, shop_order(EVENT_CANCELLED, "O1"), D(2));
    shop_event_at(&shop, shop_blank(TOPIC_ORDERS, EVENT_SUBSCRIPTION_STARTED), D(2));
    shop_event_at(&shop, shop_placed("O2"), D(3));
    shop_event_at(&shop, shop_delivery(EVENT_DELIVERED, "O2"), D(4));
    EXPECT(&shop, "send n order:O2 1 insert");
    shop_close(&shop);
}

static void r75_an_unshipped_order_outlasts_folding(void **state)
{
    (void)state;
    struct shop shop;
    const char *const short_history[] = {"history: {facts: 64, days: 400, facts_max: 8192}",
                                         "history: {facts: 4, days: 20, facts_max: 8192}", NULL};
    shop_open(&shop, shop_rules("  - {name: n, class: transactional, once: response, trigger: {response: any}, "
                                "shelf: 2d, priority: 10, channels: [insert]}\n",
                                short_history));
    for (int i = 1; i <= 80; i++) {
        char id[16];
        snprintf(id, sizeof id, "O%d", i);
        shop_event_at(&shop, shop_placed(id), D(5 * i));
        if (i != 6)
            shop_event_at(&shop, shop_delivery(EVENT_DELIVERED, id), D(5 * i + 1));
        if (i == 5)
            shop_event_at(&shop, shop_answer("before", PURPOSE_MONTHLY, 5), D(5 * i + 2));
    }
    shop_event_at(&shop, shop_answer("after", PURPOSE_MONTHLY, 5), D(403));
    EXPECT(&shop, "decision n response:S/before 1 unreachable");
    EXPECT(&shop, "decision n response:S/after 1 sent");
    shop_close(&shop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r66_the_first_that_fails_is_the_outcome),
        cmocka_unit_test(r66_backfill_comes_before_the_conditions),
        cmocka_unit_test(r66_a_full_day_comes_before_the_night),
        cmocka_unit_test(r66_holdout_comes_before_once),
        cmocka_unit_test(r66_a_paused_rule_waits_and_stale_judges_it),
        cmocka_unit_test(r67_each_class_has_its_own_guards),
        cmocka_unit_test(r68_deferred_runs_meet_at_the_windows_start),
        cmocka_unit_test(r68_conditions_are_read_again),
        cmocka_unit_test(r69_the_capped_wait_or_drop),
        cmocka_unit_test(r70_the_week_is_today_and_six_days_before),
        cmocka_unit_test(r70_transactional_sends_are_not_counted),
        cmocka_unit_test(r71_marketing_keeps_the_quiet_hours),
        cmocka_unit_test(r72_the_holdout_is_sticky_and_by_rule),
        cmocka_unit_test(r72_the_holdouts_boundary_is_exact),
        cmocka_unit_test(r72_the_global_control_gets_no_marketing),
        cmocka_unit_test(r72_variants_share_the_customers),
        cmocka_unit_test(r73_the_cooldown_ends_the_run),
        cmocka_unit_test(r74_stale_is_later_than_the_shelf_life),
        cmocka_unit_test(r75_the_first_channel_that_reaches),
        cmocka_unit_test(r75_an_insert_needs_something_to_go_into),
        cmocka_unit_test(r75_an_unshipped_order_outlasts_folding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
