/* When rules are triggered, and what becomes of their runs (RULINGS.md D). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/shop.h"

#define RULE(name, trigger, more)                                                                                      \
    "  - {name: " name ", trigger: " trigger ", class: transactional, shelf: never, priority: 50, " more "}\n"

static const char *const default_edits[] = {"caps: {day: 2, week: 7}", "caps: {day: 99, week: 99}", NULL};

static void open_default(struct shop *shop)
{
    shop_open(shop, shop_playbook(default_edits));
}

static void open_rules(struct shop *shop, const char *rules)
{
    shop_open(shop, shop_rules(rules, default_edits));
}

static void bought_and_delivered(struct shop *shop, const char *order_id, double placed, double delivered)
{
    shop_event_at(shop, shop_placed(order_id), D(placed));
    shop_event_at(shop, shop_delivery(EVENT_DELIVERED, order_id), D(delivered));
}

static void r37_tier_up_is_a_move_up_by_an_event_from_three_tiers(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("up", "{tier_up: [visitor, follower, supporter]}", "once: to")
                          RULE("back", "returned", "once: cycle"));
    shop_event_at(&shop, shop_blank(TOPIC_ORDERS, EVENT_SUBSCRIPTION_PAUSED), D(0));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    EXPECT(&shop, "transition tier prospect>follower up");
    EXPECT_NONE(&shop, "decision up"); /* from prospect */
    shop_event_at(&shop, shop_placed("O2"), D(95));
    EXPECT(&shop, "transition tier dormant>follower up rest event returned");
    EXPECT_NONE(&shop, "decision up"); /* from dormant: that is R38's */
    EXPECT(&shop, "decision back cycle:O2 1 sent");
    shop_event_at(&shop, shop_answer("r1", PURPOSE_MONTHLY, 9), D(96));
    shop_event_at(&shop, shop_answer("r2", PURPOSE_MONTHLY, 9), D(96));
    shop_event_at(&shop, shop_blank(TOPIC_ORDERS, EVENT_SUBSCRIPTION_STARTED), D(97));
    EXPECT(&shop, "transition tier follower>supporter up");
    EXPECT(&shop, "decision up to:supporter:O2 1 sent");
    EXPECT_COUNT(&shop, "\ndecision up", 1);
    shop_close(&shop);
}

static void r41_only_the_rung_of_rest_is_entered(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("a", "{enters: {phase: admit}}", "once: ever")
                          RULE("b", "{enters: {phase: affirm}}", "once: ever"));
    shop_event_at(&shop, shop_delivery(EVENT_SHIPPED, "O1"), D(0));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    EXPECT(&shop, "transition phase assess>admit up event");
    EXPECT(&shop, "transition phase admit>affirm up rest event");
    EXPECT_NONE(&shop, "decision a");
    EXPECT(&shop, "decision b ever 1 sent");
    shop_close(&shop);
}

static void r41_a_fall_enters_nothing_but_lapsed(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop,
               RULE("a", "{enters: {phase: admit}}", "once: to") RULE("b", "{enters: {tier: lapsed}}", "once: ever"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    EXPECT_COUNT(&shop, "decision a", 1);
    shop_event_at(&shop, shop_answer("r", PURPOSE_MONTHLY, 9), D(1));
    struct event edited = shop_answer("r", PURPOSE_MONTHLY, 5);
    edited.version = 1;
    shop_event_at(&shop, edited, D(2));
    EXPECT(&shop, "transition phase affirm>admit down rest");
    EXPECT_COUNT(&shop, "decision a", 1);
    shop_event_at(&shop, shop_answer("r2", PURPOSE_MONTHLY, 9), D(3));
    shop_until(&shop, D(100));
    EXPECT(&shop, "transition tier follower>lapsed down rest time at=90d00:00 effective=90d00:00");
    EXPECT(&shop, "decision b ever 1 sent");
    shop_close(&shop);
}

static void r41_reaches_counts_passed_stages(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("a", "{reaches: purchaser}", "once: ever") RULE("b", "{reaches: customer}", "once: ever"));
    shop_event_at(&shop, shop_delivery(EVENT_SHIPPED, "O1"), D(0));
    shop_event_at(&shop, shop_order(EVENT_CANCELLED, "O1"), D(0));
    shop_event_at(&shop, shop_placed("O2"), D(0));
    EXPECT(&shop, "decision a ever 1 sent");
    shop_event_at(&shop, shop_placed("O3"), D(1));
    EXPECT(&shop, "decision b ever 1 sent");
    EXPECT_COUNT(&shop, "decision a", 1);
    shop_close(&shop);
}

static void r47_only_publishing_uses_up_a_key(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("fan", "{response: any}", "once: cycle, conditions: [\"responses >= 2\"]"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    shop_event_at(&shop, shop_answer("r1", PURPOSE_MONTHLY, 5), D(1));
    EXPECT(&shop, "decision fan cycle:O1 1 condition (responses >= 2)");
    shop_event_at(&shop, shop_answer("r2", PURPOSE_MONTHLY, 5), D(2));
    EXPECT(&shop, "decision fan cycle:O1 1 sent");
    shop_event_at(&shop, shop_answer("r3", PURPOSE_MONTHLY, 5), D(3));
    EXPECT(&shop, "decision fan cycle:O1 1 once");
    EXPECT_COUNT(&shop, "\nsend fan", 1);
    shop_close(&shop);
}

static void r47_the_keys(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop,
               RULE("k_order", "{event: PLACED}", "once: order") RULE("k_cycle", "{event: PLACED}", "once: cycle")
                   RULE("k_ever", "{event: PLACED}", "once: ever") RULE("k_failed", "{event: FAILED}", "once: delivery")
                       RULE("k_answer", "{response: any}", "once: response")
                           RULE("k_concern", "{concern: ASSESS}", "once: concern")
                               RULE("k_up", "segment_up", "once: to"));
    shop_event_at(&shop, shop_answer("r0", PURPOSE_MONTHLY, 3), D(0));
    EXPECT(&shop, "decision k_answer response:S/r0 1 sent");
    struct event answer = shop_answer("r1", PURPOSE_ASSESS, 9);
    answer.concerns = 1u << CONCERN_PRICE | 1u << CONCERN_OTHER;
    shop_event_at(&shop, answer, D(0.1));
    EXPECT(&shop, "decision k_concern concern:price 1 sent");
    EXPECT(&shop, "decision k_concern concern:other 1 sent");
    EXPECT(&shop, "decision k_up to:promoter_high:- 1 sent");
    shop_event_at(&shop, shop_placed("O1"), D(1));
    EXPECT(&shop, "decision k_order order:O1 1 sent");
    EXPECT(&shop, "decision k_cycle cycle:O1 1 sent");
    EXPECT(&shop, "decision k_ever ever 1 sent");
    struct event failed = shop_delivery(EVENT_FAILED, "O1");
    failed.event_id = SPAN("f7");
    shop_event_at(&shop, failed, D(2));
    EXPECT(&shop, "decision k_failed delivery:f7 1 sent");
    shop_close(&shop);
}

static void r48_once_under_any_live_order_of_the_cycle(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("hello", "{event: PLACED}", "once: cycle"));
    shop_event_at(&shop, shop_placed("O2"), D(1));
    EXPECT(&shop, "decision hello cycle:O2 1 sent");
    struct event late = shop_placed("O1"); /* an earlier order that turns up late */
    late.occurred_at = D(0);
    shop_event_at(&shop, late, D(2));
    EXPECT(&shop, "decision hello cycle:O1 1 once");
    shop_event_at(&shop, shop_order(EVENT_CANCELLED, "O2"), D(3)); /* takes its "once" along */
    shop_event_at(&shop, shop_placed("O3"), D(4));
    EXPECT(&shop, "decision hello cycle:O3 1 sent");
    shop_event_at(&shop, shop_placed("O4"), D(104)); /* a new cycle */
    EXPECT(&shop, "decision hello cycle:O4 1 sent");
    shop_close(&shop);
}

static const char *const short_history[] = {"history: {facts: 64, days: 400, facts_max: 8192}",
                                            "history: {facts: 4, days: 20, facts_max: 8192}", NULL};

/* Orders of one cycle, five days apart; most are folded in the end. */
static void many_orders(struct shop *shop, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        char id[16];
        snprintf(id, sizeof id, "O%d", i);
        shop_event_at(shop, shop_placed(id), D(5 * i));
    }
}

static void r48_once_in_the_cycle_outlasts_folding(void **state)
{
    (void)state;
    struct shop shop;
    shop_open(&shop, shop_rules(RULE("hello", "{event: PLACED}", "once: cycle, conditions: [\"purchases >= 5\"]"),
                                short_history));
    many_orders(&shop, 1, 80);
    EXPECT(&shop, "decision hello cycle:O4 1 condition");
    EXPECT(&shop, "decision hello cycle:O5 1 sent");
    EXPECT(&shop, "decision hello cycle:O80 1 once");
    EXPECT_COUNT(&shop, " 1 sent", 1);
    shop_event_at(&shop, shop_placed("X"), D(500)); /* a new cycle */
    EXPECT(&shop, "decision hello cycle:X 1 sent");
    shop_close(&shop);
}

static void r11_folding_leaves_the_order_of_a_run_that_waits(void **state)
{
    (void)state;
    struct shop shop;
    shop_open(&shop, shop_rules(RULE("year", "{event: PLACED}", "once: order, delay: 300d, conditions: [order_live]"),
                                short_history));
    many_orders(&shop, 1, 60);
    shop_until(&shop, D(700));
    EXPECT(&shop, "decision year order:O5 1 sent at=325d00:00");
    EXPECT_COUNT(&shop, "\ndecision year", 60);
    EXPECT_COUNT(&shop, " 1 sent", 60);
    shop_close(&shop);
}

static void r48_an_order_takes_only_its_own_runs_along(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("answer", "{response: any}", "once: response, delay: 5d")
                          RULE("fan", "{response: any}", "once: cycle, delay: 5d"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    shop_event_at(&shop, shop_answer("r1", PURPOSE_MONTHLY, 5), D(1));
    shop_event_at(&shop, shop_order(EVENT_CANCELLED, "O1"), D(2));
    EXPECT(&shop, "decision fan cycle:O1 1 cancelled (order_void)");
    shop_until(&shop, D(9));
    EXPECT(&shop, "decision answer response:S/r1 1 sent at=6d00:00");
    shop_close(&shop);
}

static void r48_transitions_belong_to_the_causing_order_while_it_lives(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("adopted", "{enters: {phase: adopt}}", "once: cycle")
                          RULE("affirmed", "{enters: {phase: affirm}}", "once: to"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    struct event answer = shop_answer("r1", PURPOSE_MONTHLY, 9);
    shop_event_at(&shop, answer, D(1)); /* an event without an order: the cycle's first */
    EXPECT(&shop, "decision affirmed to:affirm:O1 1 sent");
    shop_close(&shop);
    open_rules(&shop, RULE("up", "{reaches: customer}", "once: to"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    shop_event_at(&shop, shop_placed("O2"), D(1));
    EXPECT(&shop, "decision up to:customer:O2 1 sent");
    shop_close(&shop);
    open_rules(&shop, RULE("in", "{enters: {tier: follower}}", "once: to"));
    struct event bare = shop_order(EVENT_PLACED, "O1");
    shop_event_at(&shop, bare, D(0));
    shop_event_at(&shop, shop_order(EVENT_CANCELLED, "O2"), D(1));
    shop_event_at(&shop, shop_placed("O2"), D(2)); /* void, but its registration counts (R22) */
    EXPECT(&shop, "transition tier prospect>follower up rest event");
    EXPECT(&shop, "decision in to:follower:O1 1 sent");
    shop_close(&shop);
}

static void r49_a_waiting_run_follows_its_anchor(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("after", "first_delivery", "once: cycle, delay: 5d"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    shop_event_at(&shop, shop_delivery(EVENT_SHIPPED, "O1"), D(1));
    shop_until(&shop, D(4)); /* assumed to be delivered at day 3 */
    struct event delivered = shop_delivery(EVENT_DELIVERED, "O1");
    delivered.occurred_at = D(2);
    shop_event_at(&shop, delivered, D(5));
    shop_until(&shop, D(20));
    EXPECT(&shop, "decision after cycle:O1 1 sent at=7d00:00 due=7d00:00");
    EXPECT_COUNT(&shop, "\ndecision", 1); /* moving is silent */
    shop_close(&shop);
}

static void r49_a_vanished_anchor_ends_the_run(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("after", "first_delivery", "once: cycle, delay: 5d"));
    bought_and_delivered(&shop, "O1", 0, 1);
    shop_event_at(&shop, shop_delivery(EVENT_RETURNED, "O1"), D(2));
    EXPECT(&shop, "decision after cycle:O1 1 cancelled (anchor_gone) at=2d00:00 due=6d00:00");
    struct event again = shop_delivery(EVENT_DELIVERED, "O1");
    again.version = 1;
    shop_event_at(&shop, again, D(3)); /* R15: delivered again */
    shop_until(&shop, D(20));
    EXPECT(&shop, "decision after cycle:O1 1 sent");
    EXPECT_COUNT(&shop, "\ndecision", 2);
    shop_close(&shop);
}

static void r49_decided_again_only_for_another_anchor(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("after", "first_delivery", "once: cycle, conditions: [\"purchases >= 2\"]"));
    bought_and_delivered(&shop, "O1", 0, 2);
    EXPECT(&shop, "decision after cycle:O1 1 condition");
    shop_event_at(&shop, shop_placed("O2"), D(3));
    EXPECT_COUNT(&shop, "\ndecision", 1); /* the anchor is the same */
    struct event early = shop_delivery(EVENT_DELIVERED, "O2");
    early.occurred_at = D(1);
    shop_event_at(&shop, early, D(4));
    EXPECT(&shop, "decision after cycle:O2 1 sent at=4d00:00 due=1d00:00");
    struct event earlier = shop_delivery(EVENT_DELIVERED, "O1");
    earlier.parcel_id = SPAN("P2");
    earlier.occurred_at = D(0.5);
    shop_event_at(&shop, earlier, D(5)); /* another anchor, but published */
    EXPECT_COUNT(&shop, "\ndecision", 2);
    shop_close(&shop);
}

static void r49_the_last_purchase_moves_silently(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("miss", "last_purchase", "once: order, delay: 30d"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    shop_event_at(&shop, shop_placed("O2"), D(10));
    shop_until(&shop, D(60));
    EXPECT(&shop, "decision miss order:O2 1 sent at=40d00:00");
    EXPECT_COUNT(&shop, "\ndecision", 1);
    shop_event_at(&shop, shop_placed("O3"), D(61));
    shop_event_at(&shop, shop_order(EVENT_CANCELLED, "O3"), D(62));
    EXPECT(&shop, "decision miss order:O3 1 cancelled (order_void)");
    shop_until(&shop, D(200)); /* O2 again, but published */
    EXPECT_COUNT(&shop, "\ndecision", 2);
    shop_close(&shop);
}

static const char monthly[] = RULE("monthly", "first_purchase_of_cycle",
                                   "once: cycle, delay: 10d, repeat: {every: 30d, while: \"purchases < 9\"}");

static void r50_slots_follow_one_another(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, monthly);
    shop_event_at(&shop, shop_placed("O1"), D(0));
    shop_until(&shop, D(75));
    EXPECT(&shop, "decision monthly cycle:O1 1 sent at=10d00:00");
    EXPECT(&shop, "decision monthly cycle:O1 2 sent at=40d00:00");
    EXPECT(&shop, "decision monthly cycle:O1 3 sent at=70d00:00");
    shop_event_at(&shop, shop_placed("O2"),
                  D(95)); /* another cycle: another series, the waiting slot is replaced silently */
    shop_until(&shop, D(106));
    EXPECT(&shop, "decision monthly cycle:O2 1 sent at=105d00:00");
    EXPECT_NONE(&shop, "decision monthly cycle:O1 4");
    EXPECT_COUNT(&shop, "\ndecision", 4);
    shop_close(&shop);
}

static void r50_a_moved_anchor_moves_the_waiting_slot(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, monthly);
    shop_event_at(&shop, shop_placed("O2"), D(0));
    shop_until(&shop, D(15));
    struct event late = shop_placed("O1");
    late.occurred_at = D(-5);
    shop_event_at(&shop, late, D(20));
    shop_until(&shop, D(50));
    EXPECT(&shop, "decision monthly cycle:O2 1 sent at=10d00:00");
    EXPECT(&shop, "decision monthly cycle:O1 2 sent at=35d00:00 due=35d00:00");
    EXPECT_COUNT(&shop, "\ndecision", 2);
    shop_close(&shop);
}

static void r50_an_anchor_that_comes_back_triggers_the_series_again(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("recall", "effect_felt", "once: cycle, delay: 10d, repeat: {every: 10d}"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    struct event felt = shop_answer("r1", PURPOSE_EFFECT, 5);
    felt.effect_felt = ANSWER_TRUE;
    felt.occurred_at = D(5);
    shop_event_at(&shop, felt, D(5));
    shop_until(&shop, D(16));
    EXPECT(&shop, "decision recall cycle:O1 1 sent at=15d00:00");
    felt.effect_felt = ANSWER_FALSE;
    felt.version = 1;
    shop_event_at(&shop, felt, D(17));
    EXPECT(&shop, "decision recall cycle:O1 2 cancelled (anchor_gone) at=17d00:00 due=25d00:00");
    felt.effect_felt = ANSWER_TRUE;
    felt.version = 2;
    shop_event_at(&shop, felt, D(18));
    EXPECT(&shop, "decision recall cycle:O1 2 sent at=18d00:00 due=15d00:00"); /* m = 2 */
    shop_until(&shop, D(26));
    EXPECT(&shop, "decision recall cycle:O1 3 sent at=25d00:00 due=25d00:00");
    shop_close(&shop);
}

/* A subscription of nobody's order, and its first letter. */
static void open_subscribed(struct shop *shop)
{
    open_rules(shop, RULE("letter", "subscription_since", "once: cycle, delay: 30d, repeat: {every: 30d}"));
    shop_event_at(shop, shop_blank(TOPIC_ORDERS, EVENT_SUBSCRIPTION_STARTED), D(0));
    shop_until(shop, D(31));
    EXPECT(shop, "decision letter cycle:- 1 sent at=30d00:00");
}

static void r50_the_first_order_only_names_the_anchor_anew(void **state)
{
    (void)state;
    struct shop shop;
    open_subscribed(&shop);
    shop_event_at(&shop, shop_placed("O1"), D(40));
    shop_until(&shop, D(61));
    EXPECT(&shop, "decision letter cycle:O1 2 sent at=60d00:00 due=60d00:00");
    EXPECT_COUNT(&shop, "\ndecision", 2);
    shop_close(&shop);
}

/* The anchor without an order was of the cycle that the order begins, also when the order moves it. */
static void r50_the_first_order_may_move_the_anchor(void **state)
{
    (void)state;
    struct shop shop;
    open_subscribed(&shop);
    struct event late = shop_order(EVENT_SUBSCRIPTION_RENEWED, "O1");
    late.occurred_at = D(-10);
    shop_event_at(&shop, late, D(40));
    EXPECT_COUNT(&shop, "\ndecision", 1);
    shop_until(&shop, D(61));
    EXPECT(&shop, "decision letter cycle:O1 2 sent at=50d00:00 due=50d00:00");
    EXPECT_COUNT(&shop, "\ndecision", 2);
    shop_close(&shop);
}

static void r50_a_key_remembers_its_slots(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, monthly);
    shop_event_at(&shop, shop_placed("O1"), D(0));
    shop_until(&shop, D(41)); /* slots 1 and 2 */
    shop_event_at(&shop, shop_placed("O2"), D(95));
    EXPECT_NONE(&shop, "decision monthly cycle:O1 4");
    shop_event_at(&shop, shop_order(EVENT_CANCELLED, "O2"), D(96)); /* the first cycle is the present one again */
    EXPECT(&shop, "decision monthly cycle:O2 1 cancelled (order_void)");
    EXPECT(&shop, "decision monthly cycle:O1 4 sent at=96d00:00 due=10d00:00");
    shop_close(&shop);
}

static void r50_a_moved_series_remembers_its_slots(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, monthly);
    shop_event_at(&shop, shop_placed("O2"), D(0));
    shop_until(&shop, D(15)); /* slot 1 under O2 */
    struct event late = shop_placed("O1");
    late.occurred_at = D(-5);
    shop_event_at(&shop, late, D(20)); /* slot 2 moves to O1 */
    shop_event_at(&shop, shop_order(EVENT_CANCELLED, "O1"), D(21));
    EXPECT(&shop, "decision monthly cycle:O1 2 cancelled (order_void)");
    EXPECT(&shop, "decision monthly cycle:O2 2 sent at=21d00:00 due=10d00:00");
    shop_close(&shop);
}

static void placed_before(struct shop *shop, const char *order_id, int64_t at, int64_t known_at)
{
    struct event late = shop_placed(order_id);
    late.occurred_at = at;
    shop_event_at(shop, late, known_at);
}

static void r50_a_series_that_passed_over_a_key_leaves_no_slots_there(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, monthly);
    shop_event_at(&shop, shop_placed("O3"), D(0));
    shop_until(&shop, D(15)); /* slot 1 under O3 */
    placed_before(&shop, "O2", D(-4), D(20)); /* slot 2 moves to O2 */
    placed_before(&shop, "O1", D(-5), D(20)); /* and on to O1 */
    shop_event_at(&shop, shop_order(EVENT_CANCELLED, "O3"), D(21));
    shop_event_at(&shop, shop_order(EVENT_CANCELLED, "O1"), D(21));
    EXPECT(&shop, "decision monthly cycle:O1 2 cancelled (order_void)");
    EXPECT(&shop, "decision monthly cycle:O2 1 sent at=21d00:00 due=6d00:00");
    shop_close(&shop);
}

static void r50_a_series_of_so_many_times(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("tip", "{enters: {phase: acclimate}}",
                           "once: cycle, delay: 2d, repeat: {every: 7d, times: 2, while: \"phase = acclimate\"}"));
    bought_and_delivered(&shop, "O1", 0, 1); /* acclimate at day 4 */
    shop_until(&shop, D(40));
    EXPECT(&shop, "decision tip cycle:O1 1 sent at=6d00:00");
    EXPECT(&shop, "decision tip cycle:O1 2 sent at=13d00:00");
    EXPECT_COUNT(&shop, "\ndecision", 2);
    shop_close(&shop);
}

static void r50_while_ends_the_series_and_a_trigger_goes_on_with_the_next(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("recap", "{enters: {phase: adopt}}",
                           "once: cycle, delay: 10d, repeat: {every: 10d, while: \"phase = adopt\"}"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    bought_and_delivered(&shop, "O1", 0, 0.1);
    shop_until(&shop, D(4));
    shop_event_at(&shop, shop_placed("O2"), D(16)); /* accomplish (effect_after) and adopt */
    shop_until(&shop, D(27));
    EXPECT(&shop, "decision recap cycle:O2 1 sent at=26d00:00");
    shop_event_at(&shop, shop_answer("r1", PURPOSE_MONTHLY, 9), D(28)); /* advocate */
    shop_until(&shop, D(60));
    EXPECT(&shop, "decision recap cycle:O2 2 while (phase = adopt) at=36d00:00");
    EXPECT_COUNT(&shop, "\ndecision", 2);
    struct event edited = shop_answer("r1", PURPOSE_MONTHLY, 5); /* back to adopt: a fall, no trigger */
    edited.version = 1;
    shop_event_at(&shop, edited, D(61));
    shop_event_at(&shop, shop_order(EVENT_CANCELLED, "O2"), D(62));
    shop_event_at(&shop, shop_placed("O3"),
                  D(63)); /* up to adopt again, under another order: the voided one took its n along */
    shop_until(&shop, D(74));
    EXPECT(&shop, "decision recap cycle:O3 1 sent at=73d00:00");
    shop_close(&shop);
}

static void r50_triggered_again_in_its_scope(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("recap", "{enters: {phase: adopt}}",
                           "once: cycle, delay: 10d, repeat: {every: 10d, while: \"phase = adopt\"}"));
    bought_and_delivered(&shop, "O1", 0, 0.1);
    struct event started = shop_blank(TOPIC_ORDERS, EVENT_SUBSCRIPTION_STARTED);
    struct event felt = shop_answer("r1", PURPOSE_EFFECT, 5);
    felt.effect_felt = ANSWER_TRUE;
    shop_event_at(&shop, felt, D(4));
    shop_event_at(&shop, started, D(5)); /* adopt */
    shop_until(&shop, D(16));
    EXPECT(&shop, "decision recap cycle:O1 1 sent at=15d00:00");
    shop_event_at(&shop, shop_blank(TOPIC_ORDERS, EVENT_SUBSCRIPTION_CANCELLED), D(17)); /* down */
    shop_event_at(&shop, started, D(18)); /* up again: slot 2 from here */
    shop_until(&shop, D(30));
    EXPECT(&shop, "decision recap cycle:O1 2 sent at=28d00:00 due=28d00:00");
    shop_until(&shop, D(39));
    EXPECT(&shop, "decision recap cycle:O1 3 sent at=38d00:00");
    EXPECT_COUNT(&shop, "\ndecision", 3);
    shop_close(&shop);
}

static void r51_conditions_are_read_when_the_timer_fires(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("later", "{event: PLACED}", "once: order, delay: 3d, conditions: [\"purchases = 2\"]"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    EXPECT_COUNT(&shop, "\ndecision", 0);
    shop_event_at(&shop, shop_placed("O2"), D(1));
    shop_until(&shop, D(3));
    EXPECT(&shop, "decision later order:O1 1 sent at=3d00:00");
    shop_close(&shop);
}

static void r52_only_stated_conditions_are_tested(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("later", "{enters: {phase: affirm}}", "once: cycle, delay: 3d"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    struct event shipped = shop_delivery(EVENT_SHIPPED, "O1");
    shop_event_at(&shop, shipped, D(1));
    shop_event_at(&shop, shop_delivery(EVENT_DELIVERED, "O1"), D(2)); /* the phase is another by then */
    shop_until(&shop, D(5));
    EXPECT(&shop, "decision later cycle:O1 1 sent at=4d00:00");
    shop_close(&shop);
}

static void r53_after_ninety_days_by_priority(void **state)
{
    (void)state;
    struct shop shop;
    open_default(&shop);
    shop_event_at(&shop, shop_placed("O1"), D(0));
    shop_event_at(&shop, shop_answer("r1", PURPOSE_MONTHLY, 9), D(1));
    shop_until(&shop, D(89.9));
    shop_forget(&shop);
    shop_until(&shop, D(90));
    const char *tier = strstr(shop.lines.data, "transition tier follower>lapsed");
    const char *winback = strstr(shop.lines.data, "decision winback_offer cycle:O1 1 sent");
    const char *survey = strstr(shop.lines.data, "decision lapse_survey order:O1 1 sent");
    const char *miss = strstr(shop.lines.data, "decision we_miss_you order:O1 1 condition (responses = 0)");
    assert_true(tier && winback && survey && miss);
    assert_true(tier < winback && winback < survey && survey < miss);
    shop_close(&shop);
}

static void r56_leaving_the_tier_ends_the_run(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("partner", "{enters: {tier: supporter, unbroken: true}}", "once: cycle, delay: 30d"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    shop_event_at(&shop, shop_answer("r1", PURPOSE_MONTHLY, 9), D(1));
    shop_event_at(&shop, shop_answer("r2", PURPOSE_MONTHLY, 9), D(2));
    shop_event_at(&shop, shop_blank(TOPIC_ORDERS, EVENT_SUBSCRIPTION_STARTED), D(3));
    EXPECT(&shop, "transition tier follower>supporter up");
    shop_event_at(&shop, shop_blank(TOPIC_ORDERS, EVENT_SUBSCRIPTION_CANCELLED), D(20));
    EXPECT(&shop, "decision partner cycle:O1 1 cancelled (left) at=20d00:00 due=33d00:00");
    shop_event_at(&shop, shop_blank(TOPIC_ORDERS, EVENT_SUBSCRIPTION_STARTED), D(21));
    shop_until(&shop, D(59));
    EXPECT(&shop, "decision partner cycle:O1 1 sent at=51d00:00");
    shop_close(&shop);
}

static void r58_checks_that_are_answered_and_the_first_purchase(void **state)
{
    (void)state;
    struct shop shop;
    open_default(&shop);
    bought_and_delivered(&shop, "O1", 0, 1);
    shop_event_at(&shop, shop_answer("r1", PURPOSE_FIRST_IMPRESSION, 5), D(1.5));
    shop_event_at(&shop, shop_placed("O2"), D(2));
    shop_until(&shop, D(5));
    EXPECT(&shop, "decision first_impression_check cycle:O1 1 condition (not answered_first_impression)");
    EXPECT(&shop, "decision early_experience_check cycle:O1 1 sent");
    EXPECT(&shop, "decision usage_insert cycle:O1 1 sent");
    EXPECT(&shop, "decision usage_insert cycle:O2 1 condition (order_first_of_cycle)");
    shop_close(&shop);
}

static void r60_an_edited_order_does_not_thank_again(void **state)
{
    (void)state;
    struct shop shop;
    open_default(&shop);
    shop_event_at(&shop, shop_placed("O1"), D(0));
    struct event edited = shop_placed("O1");
    edited.version = 2;
    edited.coupon = SPAN("X");
    edited.campaign = SPAN("spring");
    shop_event_at(&shop, edited, D(0.1));
    assert_int_equal(shop.result.verdict, VERDICT_APPLIED);
    struct event renewed = shop_order(EVENT_SUBSCRIPTION_RENEWED, "O1");
    renewed.version = 3;
    shop_event_at(&shop, renewed, D(0.2));
    EXPECT_COUNT(&shop, "\nsend thank_you order:O1", 1);
    EXPECT_COUNT(&shop, "\ndecision thank_you order:O1", 1);
    EXPECT_COUNT(&shop, "\ndecision usage_insert cycle:O1", 1);
    shop_event_at(&shop, shop_order(EVENT_SUBSCRIPTION_RENEWED, "O2"), D(0.3));
    EXPECT_COUNT(&shop, "\nsend thank_you order:O2", 1);
    shop_close(&shop);
}

static void r61_the_strategy_chooses(void **state)
{
    (void)state;
    static const char *const commit[] = {"strategy: educate ", "strategy: commit_early ", NULL};
    struct shop shop;
    shop_open(&shop, shop_playbook(commit));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    EXPECT(&shop, "decision premium_offer ever 1 sent");
    shop_close(&shop);
    open_default(&shop);
    shop_event_at(&shop, shop_placed("O1"), D(0));
    EXPECT_NONE(&shop, "decision premium_offer");
    shop_close(&shop);
}

static void r62_the_rotation_counts_on_over_later_series(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("letter", "first_purchase_of_cycle",
                           "once: cycle, delay: 30d, contents: [one, two, three], "
                           "repeat: {every: 30d, while: \"not (tier in (lapsed, dormant))\"}"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    shop_until(&shop, D(100));
    EXPECT(&shop, "send letter cycle:O1 1 email order=O1 event=- order_id=O1 days=30 content=one");
    EXPECT(&shop, "send letter cycle:O1 2 email order=O1 event=- order_id=O1 days=60 content=two");
    EXPECT(&shop, "decision letter cycle:O1 3 while");
    shop_event_at(&shop, shop_placed("O2"), D(101));
    shop_until(&shop, D(132));
    EXPECT(&shop, "send letter cycle:O2 4 email order=O2 event=- order_id=O2 days=30 content=one");
    shop_close(&shop);
}

static void r62_a_calendar_run_waits_only_while_its_conditions_hold(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("season", "{calendar: {dates: [\"06-11\", \"08-07\"], at: \"09:00\"}}",
                           "once: date, conditions: [subscription]"));
    shop_event_at(&shop, shop_placed("O1"), D(0));
    struct event started = shop_blank(TOPIC_ORDERS, EVENT_SUBSCRIPTION_STARTED);
    shop_event_at(&shop, started, D(1));
    shop_until(&shop, D(12)); /* 11 June, 09:00 */
    EXPECT(&shop, "decision season date:2024-06-11 1 sent at=9d23:00 due=9d23:00");
    shop_event_at(&shop, shop_blank(TOPIC_ORDERS, EVENT_SUBSCRIPTION_CANCELLED), D(20));
    shop_until(&shop, D(80)); /* 7 August passes: no decision */
    EXPECT_COUNT(&shop, "\ndecision", 1);
    shop_event_at(&shop, started, D(81));
    shop_until(&shop, D(380));
    EXPECT(&shop, "decision season date:2025-06-11 1 sent");
    EXPECT_COUNT(&shop, "\ndecision", 2);
    shop_close(&shop);
}

static void r62_conditions_that_begin_to_hold_at_the_hour_itself_are_in_time(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("season", "{calendar: {dates: [\"06-11\", \"08-07\"], at: \"09:00\"}}",
                           "once: date, conditions: [subscription]"));
    int64_t nine = D(10) - HOUR_MS; /* 11 June, 09:00 */
    shop_event_at(&shop, shop_placed("O1"), D(0));
    shop_event_at(&shop, shop_blank(TOPIC_ORDERS, EVENT_SUBSCRIPTION_STARTED), nine);
    EXPECT(&shop, "decision season date:2024-06-11 1 sent at=9d23:00 due=9d23:00");
    shop_event_at(&shop, shop_placed("O2"), nine);
    shop_until(&shop, D(80));
    EXPECT(&shop, "decision season date:2024-08-07 1 sent");
    EXPECT_COUNT(&shop, "\ndecision", 2); /* the event after it at the same instant began nothing */
    shop_close(&shop);
}

static void r62_the_calendar_follows_the_customers_zone(void **state)
{
    (void)state;
    struct shop shop;
    open_rules(&shop, RULE("season", "{calendar: {dates: [\"06-11\"], at: \"09:00\"}}", "once: date"));
    struct event order = shop_placed("O1");
    order.time_zone = SPAN("Europe/London");
    shop_event_at(&shop, order, D(0));
    shop_until(&shop, D(12)); /* 09:00 in London is 17:00 in Tokyo */
    EXPECT(&shop, "decision season date:2024-06-11 1 sent at=10d07:00");
    shop_close(&shop);
}

static void r63_an_edited_answer_is_a_moment_again(void **state)
{
    (void)state;
    struct shop shop;
    open_default(&shop);
    shop_event_at(&shop, shop_answer("r1", PURPOSE_MONTHLY, 6), D(0));
    EXPECT(&shop, "decision survey_thanks response:S/r1 1 sent");
    EXPECT(&shop, "decision care_followup response:S/r1 1 condition (response_negative)");
    struct event edited = shop_answer("r1", PURPOSE_MONTHLY, 2);
    edited.version = 1;
    shop_event_at(&shop, edited, D(1));
    EXPECT(&shop, "decision survey_thanks response:S/r1 1 once");
    EXPECT(&shop, "decision care_followup response:S/r1 1 sent");
    EXPECT_COUNT(&shop, "\nrevoke", 0);
    shop_close(&shop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r37_tier_up_is_a_move_up_by_an_event_from_three_tiers),
        cmocka_unit_test(r41_only_the_rung_of_rest_is_entered),
        cmocka_unit_test(r41_a_fall_enters_nothing_but_lapsed),
        cmocka_unit_test(r41_reaches_counts_passed_stages),
        cmocka_unit_test(r47_only_publishing_uses_up_a_key),
        cmocka_unit_test(r47_the_keys),
        cmocka_unit_test(r48_once_under_any_live_order_of_the_cycle),
        cmocka_unit_test(r48_once_in_the_cycle_outlasts_folding),
        cmocka_unit_test(r11_folding_leaves_the_order_of_a_run_that_waits),
        cmocka_unit_test(r48_an_order_takes_only_its_own_runs_along),
        cmocka_unit_test(r48_transitions_belong_to_the_causing_order_while_it_lives),
        cmocka_unit_test(r49_a_waiting_run_follows_its_anchor),
        cmocka_unit_test(r49_a_vanished_anchor_ends_the_run),
        cmocka_unit_test(r49_decided_again_only_for_another_anchor),
        cmocka_unit_test(r49_the_last_purchase_moves_silently),
        cmocka_unit_test(r50_slots_follow_one_another),
        cmocka_unit_test(r50_a_moved_anchor_moves_the_waiting_slot),
        cmocka_unit_test(r50_an_anchor_that_comes_back_triggers_the_series_again),
        cmocka_unit_test(r50_the_first_order_only_names_the_anchor_anew),
        cmocka_unit_test(r50_the_first_order_may_move_the_anchor),
        cmocka_unit_test(r50_a_key_remembers_its_slots),
        cmocka_unit_test(r50_a_moved_series_remembers_its_slots),
        cmocka_unit_test(r50_a_series_that_passed_over_a_key_leaves_no_slots_there),
        cmocka_unit_test(r50_a_series_of_so_many_times),
        cmocka_unit_test(r50_while_ends_the_series_and_a_trigger_goes_on_with_the_next),
        cmocka_unit_test(r50_triggered_again_in_its_scope),
        cmocka_unit_test(r51_conditions_are_read_when_the_timer_fires),
        cmocka_unit_test(r52_only_stated_conditions_are_tested),
        cmocka_unit_test(r53_after_ninety_days_by_priority),
        cmocka_unit_test(r56_leaving_the_tier_ends_the_run),
        cmocka_unit_test(r58_checks_that_are_answered_and_the_first_purchase),
        cmocka_unit_test(r60_an_edited_order_does_not_thank_again),
        cmocka_unit_test(r61_the_strategy_chooses),
        cmocka_unit_test(r62_the_rotation_counts_on_over_later_series),
        cmocka_unit_test(r62_a_calendar_run_waits_only_while_its_conditions_hold),
        cmocka_unit_test(r62_conditions_that_begin_to_hold_at_the_hour_itself_are_in_time),
        cmocka_unit_test(r62_the_calendar_follows_the_customers_zone),
        cmocka_unit_test(r63_an_edited_answer_is_a_moment_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
