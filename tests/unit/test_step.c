/* The order of everything in one step (R2 to R7, R30, R31, R42), actions and revokes (RULINGS.md F), and the blob. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/engine/runs.h"
#include "tests/unit/shop.h"

#define RULE(name, trigger, more)                                                                                      \
    "  - {name: " name ", trigger: " trigger ", class: transactional, shelf: never, " more "}\n"

static const char *const no_caps[] = {"caps: {day: 2, week: 7}", "caps: {day: 99, week: 99}", NULL};

static void open_rules(struct shop *shop, const char *rules)
{
    shop_open(shop, shop_rules(rules, no_caps));
}

static void expect_order(const struct shop *shop, const char *const *parts)
{
    const char *at = shop->lines.data;
    for (; *parts; parts++) {
        const char *found = strstr(at, *parts);
        if (found == NULL)
            fail_msg("expected next: %s\nfound:%s", *parts, shop->lines.data);
        at = found + 1;
    }
}
#define EXPECT_ORDER(shop, ...) expect_order((shop), (const char *const[]){__VA_ARGS__, NULL})

static void r2_timers_before_the_event_and_those_due_now_after_it(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("remind", "{event: PLACED}", "once: order, priority: 9, delay: 2d"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    shop_event_at(&shop, shop_placed("O2"), D(1));
    shop_event_at(&shop, shop_order(EVENT_CANCELLED, "O1"), D(2)); /* in the same ms as the due reminder: it wins */
    EXPECT(&shop, "decision remind order:O1 1 cancelled (order_void) at=2d00:00");
    shop_event_at(&shop, shop_order(EVENT_CANCELLED, "O2"), D(3) + 1);
    EXPECT(&shop, "decision remind order:O2 1 sent at=3d00:00");
    shop_close(&shop);
}

static void r2_priority_then_place_then_key_then_n(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("c", "{concern: ASSESS}", "once: concern, priority: 5")
                          RULE("b", "{response: any}", "once: response, priority: 5")
                              RULE("a", "{response: any}", "once: response, priority: 7"));
    struct event answer = shop_answer("r1", PURPOSE_ASSESS, 5);
    answer.concerns = 1u << CONCERN_QUALITY | 1u << CONCERN_PRICE; /* in bytewise order of their keys */
    shop_event_at(&shop, answer, D(0));
    EXPECT_ORDER(&shop, "decision a", "decision c concern:price", "decision c concern:quality", "decision b");
    shop_close(&shop);
}

static void r2_a_next_slot_that_is_due_joins_by_its_priority(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("low", "{event: PLACED}", "once: order, priority: 1")
                          RULE("series", "first_purchase_of_cycle",
                               "once: cycle, priority: 5, repeat: {every: 1d, times: 3}"));
    struct event order = shop_placed("O1");
    order.occurred_at = D(-10);
    shop_event_at(&shop, order, D(0));
    EXPECT_ORDER(&shop, "decision series cycle:O1 1", "decision series cycle:O1 2", "decision series cycle:O1 3",
                 "decision low");
    shop_close(&shop);
}

static void r3_a_late_visit_tells_when_it_became_true(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("remind", "{event: PLACED}", "once: order, priority: 9, delay: 5d"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    shop_visit(&shop, NULL, D(100), true); /* the worker was away */
    EXPECT(&shop, "transition tier follower>dormant down rest time at=100d00:00 effective=90d00:00");
    EXPECT(&shop, "decision remind order:O1 1 sent at=100d00:00 due=5d00:00");
    assert_int_equal(shop.wake_at, NEVER);
    shop_close(&shop);
}

static void r3_late_timers_go_before_the_events_of_the_step(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("remind", "{event: PLACED}", "once: order, priority: 9, delay: 5d"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    struct event cancelled = shop_order(EVENT_CANCELLED, "O1");
    cancelled.customer_id = span_of(shop.customer);
    cancelled.event_id = SPAN("x");
    cancelled.occurred_at = D(6);
    shop_visit(&shop, &cancelled, D(7), true);
    EXPECT_ORDER(&shop, "decision remind order:O1 1 sent at=7d00:00 due=5d00:00", "revoke remind order:O1 1");
    shop_close(&shop);
}

static void r4_a_delay_that_ends_in_the_past_is_due_at_once(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("remind", "{event: PLACED}", "once: order, priority: 9, delay: 5d"));
    struct event order = shop_placed("O1");
    order.occurred_at = D(-8);
    shop_event_at(&shop, order, D(0));
    EXPECT(&shop, "decision remind order:O1 1 sent at=0d00:00 due=-3d00:00");
    shop_close(&shop);
}

static void r5_a_rung_is_entered_by_the_facts_own_times(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("active", "{enters: {phase: activate}}", "once: cycle, priority: 9, delay: 2d"));
    struct event delivered = shop_delivery(EVENT_DELIVERED, "O1");
    delivered.occurred_at = D(-1);
    shop_event_at(&shop, delivered, D(0));
    struct event order = shop_placed("O1");
    order.occurred_at = D(-3);
    shop_event_at(&shop, order, D(0.5)); /* the order arrives last */
    EXPECT(&shop, "transition phase assess>admit up event at=0d12:00 effective=-3d00:00");
    EXPECT(&shop, "transition phase affirm>activate up rest event at=0d12:00 effective=-1d00:00");
    EXPECT(&shop, "transition growth none>purchaser up rest event at=0d12:00 effective=-3d00:00");
    shop_until(&shop, D(3));
    EXPECT(&shop, "decision active cycle:O1 1 sent at=1d00:00");
    shop_close(&shop);
}

static void r7_a_backfill_sends_nothing_and_says_so(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("thanks", "{event: PLACED}", "once: order, priority: 9")
                          RULE("later", "first_purchase_ever", "once: ever, priority: 9, delay: 14d")
                              RULE("enters", "{enters: {phase: admit}}", "once: cycle, priority: 9, delay: 14d"));
    struct event order = shop_placed("O1");
    order.backfill = true;
    order.occurred_at = D(-2);
    shop_event_at(&shop, order, D(0));
    EXPECT(&shop, "decision thanks order:O1 1 backfill at=0d00:00 due=-2d00:00");
    EXPECT(&shop, "decision later ever 1 backfill at=0d00:00 due=12d00:00"); /* its own step, the true due_at */
    EXPECT(&shop, "decision enters cycle:O1 1 backfill at=0d00:00 due=12d00:00");
    shop_until(&shop, D(40));
    EXPECT_COUNT(&shop, "\nsend", 0);
    EXPECT_COUNT(&shop, "\ndecision", 3);
    shop_close(&shop);
}

static void r7_a_series_on_a_backfill_fact_runs_on(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop,
               RULE("letter", "first_purchase_of_cycle", "once: cycle, priority: 9, delay: 10d, repeat: {every: 10d}"));
    struct event order = shop_placed("O1");
    order.backfill = true;
    order.occurred_at = D(-20);
    shop_event_at(&shop, order, D(0));
    EXPECT(&shop, "decision letter cycle:O1 1 backfill at=0d00:00 due=-10d00:00");
    EXPECT(&shop, "decision letter cycle:O1 2 backfill at=0d00:00 due=0d00:00");
    shop_until(&shop, D(11));
    EXPECT(&shop, "decision letter cycle:O1 3 sent at=10d00:00 due=10d00:00");
    shop_close(&shop);
}

/* Bytes of the arena that a visit takes to which an order comes so late. */
static size_t room_of_late_series(int64_t hours)
{
    struct shop shop;
    open_rules(&shop, RULE("letter", "first_purchase_of_cycle", "once: cycle, priority: 9, repeat: {every: 1h}"));
    struct event order = shop_placed("O1");
    order.customer_id = span_of(shop.customer);
    order.event_id = SPAN("late");
    order.occurred_at = D(0);
    shop_visit(&shop, &order, D(0) + hours * HOUR_MS, true);
    EXPECT_COUNT(&shop, "\ndecision", (int)hours + 1);
    size_t used = shop.arena.used;
    shop_close(&shop);
    return used;
}

static void r50_a_late_series_takes_room_by_its_slots(void **state)
{
    (void)state;
    assert_in_range(room_of_late_series(4000), 1, 3 * room_of_late_series(2000)); /* by their square: four times */
}

/* The record that counts says backfill only later: what still waits for the fact is decided in the edit's step. */
static void r7_an_edit_that_is_a_backfill_ends_what_waits(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("insert", "{event: PLACED}", "once: order, priority: 9, delay: 5d")
                          RULE("later", "first_purchase_ever", "once: ever, priority: 9, delay: 14d")
                              RULE("letter", "first_purchase_of_cycle",
                                   "once: cycle, priority: 9, delay: 10d, repeat: {every: 10d}"));
    struct event order = shop_placed("O1");
    shop_event_at(&shop, order, D(0));
    shop_event_at(&shop, shop_placed("O2"), D(1));
    order.event_id = SPAN("again");
    order.version = 1;
    order.backfill = true;
    shop_event_at(&shop, order, D(2));
    EXPECT(&shop, "decision insert order:O1 1 backfill at=2d00:00 due=5d00:00");
    EXPECT(&shop, "decision later ever 1 backfill at=2d00:00 due=14d00:00");
    EXPECT_COUNT(&shop, "\ndecision", 2); /* O2 is live, and the letter's slot comes after the arrival */
    shop_until(&shop, D(11));
    EXPECT(&shop, "decision insert order:O2 1 sent at=6d00:00");
    EXPECT(&shop, "decision letter cycle:O1 1 sent at=10d00:00");
    EXPECT_COUNT(&shop, "\ndecision", 4);
    shop_close(&shop);
}

/* Three letters from a first delivery on; it arrives as backfill, 15 days after it happened. */
static void letters_delivered(struct shop *shop)
{
    open_rules(
        shop, RULE("letter", "first_delivery", "once: cycle, priority: 9, delay: 10d, repeat: {every: 10d, times: 3}"));
    struct event delivered = shop_delivery(EVENT_DELIVERED, "O1");
    delivered.backfill = true;
    delivered.occurred_at = D(-15);
    shop_event_at(shop, delivered, D(0));
}

/* Its order comes 20 days later: only now is it an anchor. */
static void letters_ordered(struct shop *shop)
{
    struct event order = shop_placed("O1");
    order.backfill = true;
    order.occurred_at = D(-16);
    shop_event_at(shop, order, D(20));
}

static void r7_the_arrival_is_the_anchors_own(void **state)
{
    (void)state;
    struct shop shop;
    letters_delivered(&shop);
    letters_ordered(&shop); /* slot 1 was due before the delivery arrived, slot 2 and 3 were not */
    EXPECT(&shop, "decision letter cycle:O1 1 backfill at=20d00:00 due=-5d00:00");
    EXPECT(&shop, "decision letter cycle:O1 2 sent at=20d00:00 due=5d00:00");
    EXPECT(&shop, "decision letter cycle:O1 3 sent at=20d00:00 due=15d00:00");
    shop_close(&shop);
}

/* More arrive than are kept one by one. */
static void r07_a_forgotten_arrival_is_the_latest_forgotten(void **state)
{
    (void)state;
    struct shop shop;
    letters_delivered(&shop);
    for (int i = 1; i <= 2 * RUNS_ARRIVALS_MAX; i++) { /* the last one forgotten is of day 6.5 */
        char id[16];
        snprintf(id, sizeof id, "r%d", i);
        struct event answer = shop_answer(id, PURPOSE_MONTHLY, 5);
        answer.backfill = true;
        answer.occurred_at = D(-14);
        shop_event_at(&shop, answer, D(0.05 * i));
    }
    letters_ordered(&shop);
    EXPECT(&shop, "decision letter cycle:O1 1 backfill at=20d00:00 due=-5d00:00");
    EXPECT(&shop, "decision letter cycle:O1 2 backfill at=20d00:00 due=5d00:00");
    EXPECT(&shop, "decision letter cycle:O1 3 sent at=20d00:00 due=15d00:00");
    shop_close(&shop);
}

static void r7_time_goes_on_after_a_backfill(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("miss", "{enters: {tier: dormant}}", "once: cycle, priority: 9"));
    struct event order = shop_placed("O1");
    order.backfill = true;
    shop_event_at(&shop, order, D(0));
    shop_until(&shop, D(90));
    EXPECT(&shop, "decision miss cycle:O1 1 sent at=90d00:00");
    shop_close(&shop);
}

static struct event credit(const char *friend_id, bool standing, double at)
{
    struct event event = shop_blank(TOPIC_ORDERS, EVENT_CREDIT);
    event.credit = (struct credit){
        .friend_id = span_of(friend_id), .standing = standing, .order_id = SPAN("F1"), .order_at = D(at)};
    return event;
}

static const char reward[] = RULE("reward", "referral_converted", "once: friend, priority: 9");

static void r30_a_friends_first_order_is_rewarded_once(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, reward);
    shop_event_at(&shop, credit("bob", true, -1), D(0));
    EXPECT(&shop, "send reward referral:bob 1 email order=- event=e1");
    EXPECT(&shop, "decision reward referral:bob 1 sent at=0d00:00 due=-1d00:00");
    shop_event_at(&shop, credit("bob", true, -3), D(0.5)); /* an earlier order of his turned up: no new conversion */
    EXPECT_COUNT(&shop, "\ndecision reward", 1);
    shop_event_at(&shop, credit("bob", false, -1), D(1));
    EXPECT(&shop, "revoke reward referral:bob 1 email order=- event=e3 referral_withdrawn");
    shop_event_at(&shop, credit("bob", true, 1), D(2));
    EXPECT(&shop, "decision reward referral:bob 1 once"); /* revoked is still published */
    shop_event_at(&shop, credit("eve", true, 1), D(2));
    struct event erased = credit("eve", false, 1);
    erased.credit.by_erasure = true;
    shop_event_at(&shop, erased, D(3)); /* R31: counts only */
    EXPECT_COUNT(&shop, "\nrevoke", 1);
    shop_close(&shop);
}

static void r30_the_friends_step_forwards_his_credit(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, reward);
    struct event order = shop_placed("O1");
    order.referrer_customer_id = SPAN("ruth");
    shop_event_at(&shop, order, D(0));
    assert_true(shop.has_credit);
    shop_event_at(&shop, shop_placed("O2"), D(1));
    assert_false(shop.has_credit);
    shop_event_at(&shop, shop_customer(EVENT_ERASED), D(2));
    assert_true(shop.has_credit);
    shop_close(&shop);
}

static void r31_erasure_ends_everything(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("now", "{event: PLACED}", "once: order, priority: 9")
                          RULE("later", "{event: PLACED}", "once: order, priority: 9, delay: 9d"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    shop_forget(&shop);
    assert_false(step_erased(buffer_span(&shop.state)));
    shop_event_at(&shop, shop_customer(EVENT_ERASED), D(1));
    EXPECT_ORDER(&shop, "revoke now order:O1 1 email order=O1 event=e2 erased", "decision later order:O1 1 erased");
    EXPECT_COUNT(&shop, "\ntransition", 0);
    assert_int_equal(shop.wake_at, NEVER);
    assert_true(step_erased(buffer_span(&shop.state)));
    assert_false(step_erased(SPAN("")) || step_erased(SPAN("\x09\x02\x00")));
    shop_event_at(&shop, shop_placed("O2"), D(2));
    assert_int_equal(shop.result.verdict, VERDICT_ERASED);
    shop_until(&shop, D(30));
    EXPECT_COUNT(&shop, "\n", 3); /* nothing more */
    shop_close(&shop);
}

static void r42_the_order_within_a_step(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("thanks", "{event: PLACED}", "once: order, priority: 9")
                          RULE("nudge", "{event: PLACED}", "once: order, priority: 8, delay: 9d")
                              RULE("after", "first_delivery", "once: cycle, priority: 7, delay: 9d")
                                  RULE("next", "first_purchase_of_cycle", "once: cycle, priority: 1"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    shop_event_at(&shop, shop_delivery(EVENT_DELIVERED, "O1"), D(1));
    shop_event_at(&shop, shop_placed("O2"), D(1.5));
    shop_event_at(&shop, shop_delivery(EVENT_DELIVERED, "O2"), D(1.6));
    shop_forget(&shop);
    shop_event_at(&shop, shop_order(EVENT_CANCELLED, "O1"), D(2));
    EXPECT_ORDER(&shop, "transition growth", "revoke thanks", "revoke next cycle:O1",
                 "decision nudge order:O1 1 cancelled (order_void)", "decision after cycle:O1 1 cancelled (order_void)",
                 "decision next cycle:O2 1 sent", "send next cycle:O2");
    shop_event_at(&shop, shop_delivery(EVENT_RETURNED, "O2"), D(3));
    EXPECT(&shop, "transition phase activate>affirm down rest event");
    EXPECT_ORDER(&shop, "transition phase activate", "decision after cycle:O2 1 cancelled (anchor_gone)");
    shop_close(&shop);
}

static void r77_the_same_cause_gives_the_same_id(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("thanks", "{event: PLACED}", "once: order, priority: 9"));
    struct event order = shop_placed("O1");
    order.customer_id = SPAN("anna");
    order.event_id = SPAN("e");
    order.occurred_at = D(0);
    struct step_world world = {.playbook = shop.playbook, .zones = shop.zones};
    struct visit visit = {.customer_id = SPAN("anna"), .events = &order, .event_count = 1, .now = D(0)};
    struct visit_result result;
    assert_true(step_visit(&world, &shop.arena, &visit, &result));
    const struct record *record = result.records;
    while (record && record->type != RECORD_ACTION)
        record = record->next;
    assert_non_null(record);
    struct uuid expected = uuid_v5(&uuid_action_namespace, SPAN("anna\x1Fthanks\x1Forder:O1\x1F"
                                                                "1"));
    assert_memory_equal(&record->action.action_id, &expected, sizeof expected);
    shop_close(&shop);
}

static void r78_a_voided_order_takes_its_unexpired_sends_back(void **state)
{
    (void)state;
    struct shop shop;
    shop_open(
        &shop,
        shop_rules(
            "  - {name: short, trigger: {event: PLACED}, class: transactional, shelf: 1d, once: order, priority: 9}\n"
            "  - {name: long, trigger: {event: PLACED}, class: transactional, shelf: 2d, once: order, priority: 8}\n"
            "  - {name: support, trigger: {event: PLACED}, class: internal, audience: support, channels: [service], "
            "shelf: 9d, once: order, priority: 7}\n",
            no_caps));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    shop_event_at(&shop, shop_placed("O2"), D(0));
    shop_forget(&shop);
    shop_event_at(&shop, shop_order(EVENT_REFUNDED, "O1"), D(1));                       /* no amount: whole */
    EXPECT_ORDER(&shop, "revoke long order:O1 1", "revoke support order:O1 1 service"); /* in order of sending */
    EXPECT_COUNT(&shop, "\nrevoke", 2);
    shop_event_at(&shop, shop_order(EVENT_CANCELLED, "O1"), D(1.1)); /* void already */
    EXPECT_COUNT(&shop, "\nrevoke", 2);
    shop_close(&shop);
}

static void r78_a_revoke_is_made_in_its_own_step(void **state)
{
    (void)state;
    struct shop shop;
    shop_open(&shop,
              shop_rules("  - {name: thanks, trigger: {event: PLACED}, class: transactional, shelf: 9d, once: order, "
                         "send_delay: 1d, priority: 9}\n",
                         no_caps));
    shop_event_at(&shop, shop_placed("O1"), D(1));
    shop_event_at(&shop, shop_order(EVENT_CANCELLED, "O1"), D(1.5));
    EXPECT(&shop, "revoke thanks order:O1 1 email order=O1 event=e2 order_void made=1d12:00 after=1d12:00 due=1d00:00");
    shop_close(&shop);
}

static void r78_a_part_refund_revokes_nothing_and_an_edit_may_revive(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("thanks", "{event: PLACED}", "once: order, priority: 9"));
    struct order_line line = {SPAN("X"), 2, 500};
    struct event order = shop_placed("O1");
    order.lines = &line;
    order.line_count = 1;
    shop_event_at(&shop, order, D(0));
    struct event refund = shop_order(EVENT_REFUNDED, "O1");
    refund.event_id = SPAN("refund");
    refund.refund_amount = 999;
    shop_event_at(&shop, refund, D(0.1));
    EXPECT_COUNT(&shop, "\nrevoke", 0);
    refund.refund_amount = 1000;
    refund.version = 1;
    shop_event_at(&shop, refund, D(0.2));
    EXPECT_COUNT(&shop, "\nrevoke", 1);
    refund.refund_amount = 1;
    refund.version = 2;
    shop_event_at(&shop, refund, D(0.3)); /* live again: what was revoked stays revoked */
    refund.refund_amount = 1000;
    refund.version = 3;
    shop_event_at(&shop, refund, D(0.4));
    EXPECT_COUNT(&shop, "\nrevoke", 1);
    EXPECT_COUNT(&shop, "\nsend", 1);
    shop_close(&shop);
}

static void r78_a_cancellation_speaks_before_its_order(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop,
               RULE("trouble", "{event: FAILED}", "once: delivery, priority: 9, conditions: [\"not order_void\"]"));
    shop_event_at(&shop, shop_delivery(EVENT_FAILED, "O1"), D(0)); /* of an order nobody has told of */
    EXPECT(&shop, "send trouble delivery:e1 1 email order=O1");
    shop_event_at(&shop, shop_order(EVENT_CANCELLED, "O1"), D(1));
    EXPECT(&shop, "revoke trouble delivery:e1 1 email order=O1 event=e2 order_void");
    shop_event_at(&shop, shop_delivery(EVENT_FAILED, "O1"), D(2)); /* R14: void, whether or not it was placed */
    EXPECT(&shop, "decision trouble delivery:e3 1 condition (not order_void)");
    shop_event_at(&shop, shop_placed("O1"), D(3));
    EXPECT_COUNT(&shop, "\nrevoke", 1);
    shop_close(&shop);
}

static void r78_ended_consent_takes_back_the_last_day(void **state)
{
    (void)state;
    struct shop shop;
    shop_open(
        &shop,
        shop_rules(
            "  - {name: m, trigger: {event: PLACED}, class: marketing, shelf: 9d, once: order, priority: 9}\n"
            "  - {name: t, trigger: {event: PLACED}, class: transactional, shelf: 9d, once: order, priority: 8}\n",
            no_caps));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    shop_event_at(&shop, shop_placed("O2"), D(0) + 1);
    struct event out = shop_blank(TOPIC_EMAIL_OPENS, EVENT_UNSUBSCRIBED);
    shop_event_at(&shop, out, D(1));
    EXPECT(&shop, "revoke m order:O2 1 email order=O2 event=e3 opted_out");
    EXPECT_COUNT(&shop, "\nrevoke", 1);
    shop_event_at(&shop, shop_blank(TOPIC_EMAIL_OPENS, EVENT_COMPLAINED), D(1)); /* consent had ended */
    EXPECT_COUNT(&shop, "\nrevoke", 1);
    shop_close(&shop);
}

/* Of a shop's own rule, which does not ask for a live order, too. */
static void r78_placed_after_its_cancellation_sends_nothing_unasked(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("note", "{event: PLACED}", "once: order, priority: 9")
                          RULE("series", "{event: PLACED}", "once: order, priority: 8, repeat: {every: 10d}"));
    shop_event_at(&shop, shop_order(EVENT_CANCELLED, "O1"), D(0));
    shop_event_at(&shop, shop_placed("O1"), D(1));
    EXPECT(&shop, "decision note order:O1 1 cancelled (order_void)");
    EXPECT(&shop, "decision series order:O1 1 cancelled (order_void)");
    shop_event_at(&shop, shop_placed("O2"), D(2));
    EXPECT(&shop, "decision note order:O2 1 sent");
    shop_until(&shop, D(50));
    EXPECT_NONE(&shop, "series order:O1 2");
    shop_close(&shop);
}

static void r78_placed_after_its_cancellation_sends_nothing(void **state)
{
    (void)state;
    struct shop shop;
    shop_open(&shop, shop_playbook(NULL));
    shop_event_at(&shop, shop_order(EVENT_CANCELLED, "O1"), D(0));
    shop_forget(&shop);
    shop_event_at(&shop, shop_placed("O1"), D(1));
    EXPECT(&shop, "decision thank_you order:O1 1 condition (order_live)");
    EXPECT_COUNT(&shop, "\nsend", 0);
    shop_until(&shop, D(99));
    EXPECT_NONE(&shop, "send thank_you");
    shop_close(&shop);
}

static void r79_waiting_runs_of_a_voided_order_end(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("b", "{event: PLACED}", "once: order, priority: 5, delay: 2d")
                          RULE("a", "{event: PLACED}", "once: order, priority: 9, delay: 4d"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    shop_event_at(&shop, shop_placed("O2"), D(0));
    shop_event_at(&shop, shop_order(EVENT_CANCELLED, "O1"), D(1));
    EXPECT_ORDER(&shop, "decision a order:O1 1 cancelled", "decision b order:O1 1 cancelled"); /* run order */
    shop_until(&shop, D(9));
    EXPECT(&shop, "decision a order:O2 1 sent");
    EXPECT(&shop, "decision b order:O2 1 sent");
    EXPECT_COUNT(&shop, "\ndecision", 4);
    shop_close(&shop);
}

static void r80_variables_that_apply(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("v", "{event: PLACED}", "once: order, priority: 5, delay: 50h, coupon: TEN, survey: EFFECT")
                          RULE("c", "{concern: ASSESS}", "once: concern, priority: 4"));
    struct order_line line = {SPAN("SKU-1"), 1, 500};
    struct event order = shop_placed("O1");
    order.lines = &line;
    order.line_count = 1;
    order.campaign = SPAN("spring");
    shop_event_at(&shop, order, D(0));
    struct event answer = shop_answer("r1", PURPOSE_ASSESS, 5);
    answer.goal = SPAN("sleep");
    answer.concerns = 1u << CONCERN_PRICE;
    shop_event_at(&shop, answer, D(1));
    EXPECT(&shop, "send c concern:price 1 email order=- event=e2 days=0 concern=price goal=sleep");
    shop_until(&shop, D(3));
    EXPECT(&shop, "send v order:O1 1 email order=O1 event=- order_id=O1 product=SKU-1 campaign=spring coupon=TEN "
                  "days=2 survey=EFFECT goal=sleep");
    shop_close(&shop);
}

static void r81_another_playbook_while_runs_wait(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("keep", "{event: PLACED}", "once: order, priority: 5, delay: 4d")
                          RULE("again", "{event: PLACED}", "once: order, priority: 5, delay: 4d")
                              RULE("drop", "{event: PLACED}", "once: order, priority: 5, delay: 4d")
                                  RULE("gone", "{event: PLACED}", "once: order, priority: 5, delay: 4d"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    shop_change(
        &shop,
        shop_rules(
            RULE("drop", "{event: PLACED}", "once: order, priority: 5, delay: 4d, on_change: drop")
                RULE("keep", "{event: PLACED}", "once: order, priority: 5, delay: 6d, conditions: [\"purchases = 2\"]")
                    RULE("again", "{event: PLACED}", "once: order, priority: 5, delay: 6d, on_change: recompute"),
            no_caps));
    struct event answer = shop_answer("r1", PURPOSE_MONTHLY, 5);
    shop_event_at(&shop, answer, D(1));
    EXPECT(&shop, "decision gone order:O1 1 rule_removed at=1d00:00 due=4d00:00");
    EXPECT(&shop, "decision drop order:O1 1 dropped at=1d00:00 due=4d00:00");
    shop_until(&shop, D(9));
    EXPECT(&shop, "decision keep order:O1 1 condition (purchases = 2) at=4d00:00 due=4d00:00");
    EXPECT(&shop, "decision again order:O1 1 sent at=6d00:00 due=6d00:00");
    EXPECT_COUNT(&shop, "\ndecision", 4);
    shop_close(&shop);
}

static void r81_a_new_rule_reads_its_anchor_at_the_next_timer(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("keep", "{event: PLACED}", "once: order, priority: 5, delay: 4d"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    shop_change(&shop, shop_rules(RULE("new", "last_purchase", "once: order, priority: 6, delay: 1d")
                                      RULE("keep", "{event: PLACED}", "once: order, priority: 5, delay: 4d"),
                                  no_caps));
    shop_until(&shop, D(5));
    EXPECT_ORDER(&shop, "decision new order:O1 1 sent at=4d00:00 due=1d00:00", "decision keep order:O1 1 sent");
    shop_close(&shop);
}

/* ---- the blob ---- */

static void the_blob_is_refused_where_it_is_cut_or_turned(void **state)
{
    (void)state;
    struct shop shop;
    shop_open(&shop, shop_playbook(NULL));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    shop_event_at(&shop, shop_delivery(EVENT_DELIVERED, "O1"), D(1));
    struct step_world world = {.playbook = shop.playbook, .zones = shop.zones};
    struct span blob = buffer_span(&shop.state);
    int64_t wake;
    assert_true(step_wake_at(&world, &shop.arena, SPAN("anna"), blob, &wake));
    assert_int_equal(wake, shop.wake_at);
    for (size_t size = 1; size < blob.size; size++)
        assert_false(step_wake_at(&world, &shop.arena, SPAN("anna"), (struct span){blob.data, size}, &wake));
    for (size_t i = 0; i < blob.size * 8; i++) { /* whatever it says, it is read within its bounds */
        shop.state.data[i / 8] ^= (char)(1 << i % 8);
        step_wake_at(&world, &shop.arena, SPAN("anna"), blob, &wake);
        shop.state.data[i / 8] ^= (char)(1 << i % 8);
        arena_reset(&shop.arena);
    }
    shop_close(&shop);
}

static void a_visit_without_news_changes_nothing(void **state)
{
    (void)state;
    struct shop shop;
    shop_open(&shop, shop_playbook(NULL));
    struct event order = shop_placed("O1");
    order.event_id = SPAN("once");
    shop_event_at(&shop, order, D(0));
    struct buffer before = {0};
    buffer_add_span(&before, buffer_span(&shop.state));
    shop_forget(&shop);
    order.occurred_at = D(0);
    shop_event_at(&shop, order, D(0.1));
    assert_int_equal(shop.result.verdict, VERDICT_DUPLICATE);
    assert_true(span_equal(buffer_span(&before), buffer_span(&shop.state)));
    EXPECT_COUNT(&shop, "\n", 1);
    buffer_release(&before);
    shop_close(&shop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r2_timers_before_the_event_and_those_due_now_after_it),
        cmocka_unit_test(r2_priority_then_place_then_key_then_n),
        cmocka_unit_test(r2_a_next_slot_that_is_due_joins_by_its_priority),
        cmocka_unit_test(r3_a_late_visit_tells_when_it_became_true),
        cmocka_unit_test(r3_late_timers_go_before_the_events_of_the_step),
        cmocka_unit_test(r4_a_delay_that_ends_in_the_past_is_due_at_once),
        cmocka_unit_test(r5_a_rung_is_entered_by_the_facts_own_times),
        cmocka_unit_test(r7_a_backfill_sends_nothing_and_says_so),
        cmocka_unit_test(r7_a_series_on_a_backfill_fact_runs_on),
        cmocka_unit_test(r50_a_late_series_takes_room_by_its_slots),
        cmocka_unit_test(r7_an_edit_that_is_a_backfill_ends_what_waits),
        cmocka_unit_test(r7_the_arrival_is_the_anchors_own),
        cmocka_unit_test(r07_a_forgotten_arrival_is_the_latest_forgotten),
        cmocka_unit_test(r7_time_goes_on_after_a_backfill),
        cmocka_unit_test(r30_a_friends_first_order_is_rewarded_once),
        cmocka_unit_test(r30_the_friends_step_forwards_his_credit),
        cmocka_unit_test(r31_erasure_ends_everything),
        cmocka_unit_test(r42_the_order_within_a_step),
        cmocka_unit_test(r77_the_same_cause_gives_the_same_id),
        cmocka_unit_test(r78_a_voided_order_takes_its_unexpired_sends_back),
        cmocka_unit_test(r78_a_revoke_is_made_in_its_own_step),
        cmocka_unit_test(r78_a_part_refund_revokes_nothing_and_an_edit_may_revive),
        cmocka_unit_test(r78_a_cancellation_speaks_before_its_order),
        cmocka_unit_test(r78_ended_consent_takes_back_the_last_day),
        cmocka_unit_test(r78_placed_after_its_cancellation_sends_nothing),
        cmocka_unit_test(r78_placed_after_its_cancellation_sends_nothing_unasked),
        cmocka_unit_test(r79_waiting_runs_of_a_voided_order_end),
        cmocka_unit_test(r80_variables_that_apply),
        cmocka_unit_test(r81_another_playbook_while_runs_wait),
        cmocka_unit_test(r81_a_new_rule_reads_its_anchor_at_the_next_timer),
        cmocka_unit_test(the_blob_is_refused_where_it_is_cut_or_turned),
        cmocka_unit_test(a_visit_without_news_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
