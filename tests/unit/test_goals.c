/* R82: which facts are a goal, when they count, and how the report counts runs and puts an interval around them. */
#include "workers/report/interval.h"
#include "workers/report/outcomes.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/engine.h"

static struct subject subject;
static struct step_world world;

static int setup(void **state)
{
    (void)state;
    subject = subject_new();
    world = (struct step_world){.playbook = subject.playbook};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    subject_free(&subject);
    return 0;
}

static struct span state_of(const struct facts *facts)
{
    struct state_writer writer;
    struct state_head head = {.evaluated_at = day(50)};
    state_writer_init(&writer, &subject.arena, 0);
    state_encode(&writer, &head, facts);
    return state_writer_finish(&writer);
}

/* The state of a fresh customer after the events. */
static struct span state_after(const struct event *events, size_t count)
{
    subject_forget(&subject);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(subject_apply(&subject, events[i]), FOLD_APPLIED);
    return state_of(&subject.facts);
}
#define STATE_AFTER(...)                                                                                               \
    state_after((const struct event[]){__VA_ARGS__}, sizeof((const struct event[]){__VA_ARGS__}) / sizeof(struct event))

/* The days (1 to 39) on which the goal happened, as text. */
static const char *days_of(struct span state, const char *goal)
{
    static char text[256];
    struct goal_facts facts;
    size_t size = 0;
    text[0] = '\0';
    assert_true(goal_facts_read(&world, &subject.arena, state, &facts));
    for (int i = 1; i < 40; i++)
        if (goal_happened(&facts, span_of(goal), day(i) - 1, day(i)))
            size += (size_t)snprintf(text + size, sizeof text - size, size ? " %d" : "%d", i);
    return text;
}

static void r82_purchases_are_live_orders(void **state)
{
    (void)state;
    struct span known = STATE_AFTER(PLACED(day(1), "o1"), PLACED(day(2), "o2"), CANCELLED(day(9), "o2"),
                                    RENEWED(day(3), "o3"), PLACED(day(4), "o4", LINES(LINE("PREMIUM-1", 1, 9000))));
    assert_string_equal(days_of(known, "purchase"), "1 3 4");
    assert_string_equal(days_of(known, "premium_purchase"), "4");
    assert_string_equal(days_of(known, "response"), "");
}

static void r82_a_subscription_is_one_that_begins(void **state)
{
    (void)state;
    struct span known =
        STATE_AFTER(SUBSCRIPTION(STARTED, day(2)), RENEWED(day(5), "o1"), SUBSCRIPTION(PAUSED, day(6)),
                    SUBSCRIPTION(RESUMED, day(8)), SUBSCRIPTION(CANCELLED, day(9)), SUBSCRIPTION(STARTED, day(20)));
    assert_string_equal(days_of(known, "subscription"), "2 8 20");
}

static void r82_answers_and_effect(void **state)
{
    (void)state;
    struct span known = STATE_AFTER(RESPONSE(day(1), "r1", MONTHLY), RESPONSE(day(2), "r2", EFFECT, .satisfaction = 5),
                                    RESPONSE(day(3), "r3", EFFECT, .effect_felt = ANSWER_FALSE),
                                    RESPONSE(day(4), "r4", ASSESS, .effect_felt = ANSWER_TRUE));
    assert_string_equal(days_of(known, "response"), "1 2 3 4");
    assert_string_equal(days_of(known, "effect_felt"), "2 4");
}

static void r82_registrations_at_the_checkout_and_by_hand(void **state)
{
    (void)state;
    struct span known =
        STATE_AFTER(PLACED(day(1), "o1"), PLACED(day(2), "o2", .email_registered = ANSWER_TRUE),
                    CANCELLED(day(3), "o2"), CUSTOMER(REGISTERED, day(7), .channel = EVENT_CHANNEL_LINE),
                    PLACED(day(9), "o3", .email_registered = ANSWER_FALSE), HUMAN(OPENED, day(10)));
    assert_string_equal(days_of(known, "registration"), "2 7");
}

static void r82_a_friend_is_one_referral(void **state)
{
    (void)state;
    struct span known =
        STATE_AFTER(CUSTOMER(REFERRED, day(4), .referred_customer_id = ID("f1")),
                    CUSTOMER(REFERRED, day(3), .referred_customer_id = ID("f1")), CUSTOMER(REFERRED, day(6)),
                    CUSTOMER(SHARED, day(7)), CUSTOMER(EVENT_ATTENDED, day(8)));
    assert_string_equal(days_of(known, "referral"), "3 6");
    assert_string_equal(days_of(known, "share"), "7");
    assert_string_equal(days_of(known, "event_attended"), "8");
}

static void r82_happens_after_the_message_and_within_its_time(void **state)
{
    (void)state;
    struct goal_facts facts;
    assert_true(goal_facts_read(&world, &subject.arena, STATE_AFTER(PLACED(day(10), "o1")), &facts));
    assert_false(goal_happened(&facts, SPAN("purchase"), day(10), day(20))); /* what caused the message */
    assert_true(goal_happened(&facts, SPAN("purchase"), day(10) - 1, day(20)));
    assert_true(goal_happened(&facts, SPAN("purchase"), day(1), day(10)));
    assert_false(goal_happened(&facts, SPAN("purchase"), day(1), day(10) - 1));
}

static void r82_every_goal_of_a_playbook_is_a_fact_or_a_class(void **state)
{
    (void)state;
    struct span known =
        STATE_AFTER(PLACED(day(2), "o1", LINES(LINE("PREMIUM-1", 1, 9000)), .email_registered = ANSWER_TRUE),
                    SUBSCRIPTION(STARTED, day(2)), RESPONSE(day(2), "r1", EFFECT, .effect_felt = ANSWER_TRUE),
                    CUSTOMER(REFERRED, day(2)), CUSTOMER(SHARED, day(2)), CUSTOMER(EVENT_ATTENDED, day(2)));
    size_t seen = 0;
    for (size_t i = 0; i < subject.playbook->rule_count; i++) {
        const struct goal *goal = &subject.playbook->rules[i].goal;
        enum dimension dimension;
        int value;
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)goal->name.size, goal->name.data ? goal->name.data : "");
        if (goal->within_ms == 0 || goal_is_class(goal->name, &dimension, &value))
            continue;
        assert_string_equal(days_of(known, name), "2");
        seen++;
    }
    assert_true(seen > 20);
}

static void r82_a_blob_of_nobody_is_refused(void **state)
{
    (void)state;
    struct goal_facts facts;
    assert_false(goal_facts_read(&world, &subject.arena, SPAN("\x01garbage"), &facts));
    assert_true(goal_facts_read(&world, &subject.arena, SPAN_NONE, &facts));
    assert_int_equal(facts.count, 0);
}

/* ---- counting ---- */

static struct outcomes outcomes;

static void add_run(const char *customer, const char *rule, const char *key, bool held_out, int64_t at)
{
    outcomes_add(&outcomes,
                 &(struct outcome_run){span_of(customer), span_of(rule), span_of(key), SPAN_NONE, 1, held_out, at});
}

static struct outcome_line line_of(const char *rule, const char *variant, int64_t clock)
{
    size_t count;
    struct outcome_line *lines = outcomes_count(&outcomes, clock, &subject.arena, &count);
    for (size_t i = 0; i < count; i++)
        if (span_equal(lines[i].rule, span_of(rule)) && span_equal(lines[i].variant, span_of(variant)))
            return lines[i];
    fail_msg("no line of %s", rule);
    return lines[0];
}

/* habit_reminder: purchase within 14 d. */
static void r82_counts_once_per_run_sent_or_held_out(void **state)
{
    (void)state;
    outcomes_init(&outcomes, &world);
    add_run("a", "habit_reminder", "order:1", false, day(1)); /* two purchases in time: once */
    add_run("a", "habit_reminder", "order:2", false, day(4));
    add_run("b", "habit_reminder", "order:3", false, day(1)); /* none in time */
    add_run("c", "habit_reminder", "order:4", true, day(9));  /* held out again at the next trigger: the first counts */
    add_run("c", "habit_reminder", "order:4", true, day(2));
    add_run("d", "habit_reminder", "order:5", true, day(1));
    outcomes_close(&outcomes);
    outcomes_add_state(&outcomes, SPAN("a"), STATE_AFTER(PLACED(day(5), "o1"), PLACED(day(6), "o2")));
    outcomes_add_state(&outcomes, SPAN("b"), STATE_AFTER(PLACED(day(16), "o1")));
    outcomes_add_state(&outcomes, SPAN("c"), STATE_AFTER(PLACED(day(7), "o1")));
    outcomes_add_state(&outcomes, SPAN("d"), STATE_AFTER(PLACED(day(1), "o1")));
    struct outcome_line line = line_of("habit_reminder", "", day(100));
    assert_int_equal(line.sent.runs, 3);
    assert_int_equal(line.sent.measured, 3);
    assert_int_equal(line.sent.reached, 2);
    assert_int_equal(line.sent.customers, 2);
    assert_int_equal(line.held_out.runs, 2);
    assert_int_equal(line.held_out.reached, 1);
    assert_true(line.compared);
    assert_true(fabs(line.difference - (2.0 / 3 - 0.5)) < 1e-9);
    assert_true(line.low < line.difference && line.difference < line.high);
    outcomes_release(&outcomes);
}

static void r82_waits_for_the_end_of_the_time_and_leaves_out_whom_it_cannot_know(void **state)
{
    (void)state;
    outcomes_init(&outcomes, &world);
    add_run("a", "habit_reminder", "order:1", false, day(1));
    add_run("b", "habit_reminder", "order:2", false, day(1));
    add_run("c", "habit_reminder", "order:3", false, day(1));
    outcomes_close(&outcomes);
    outcomes_add_state(&outcomes, SPAN("a"), STATE_AFTER(PLACED(day(5), "o1")));
    outcomes_add_state(&outcomes, SPAN("b"), STATE_AFTER(PLACED(day(5), "o1"), CUSTOMER(ERASED, day(9))));
    struct outcome_line line = line_of("habit_reminder", "", day(15) - 1);
    assert_int_equal(line.sent.open, 1);
    assert_int_equal(line.sent.unknown, 2); /* b is erased, c's state was not found */
    assert_int_equal(line.sent.measured, 0);
    assert_false(line.compared);
    line = line_of("habit_reminder", "", day(15));
    assert_int_equal(line.sent.measured, 1);
    assert_int_equal(line.sent.reached, 1);
    outcomes_release(&outcomes);
}

static void r82_a_later_state_counts(void **state)
{
    (void)state;
    outcomes_init(&outcomes, &world);
    add_run("a", "habit_reminder", "order:1", false, day(1));
    outcomes_close(&outcomes);
    outcomes_add_state(&outcomes, SPAN("a"), STATE_AFTER(PLACED(day(5), "o1")));
    assert_int_equal(line_of("habit_reminder", "", day(90)).sent.reached, 1);
    outcomes_add_state(&outcomes, SPAN("a"), STATE_AFTER(PLACED(day(5), "o1"), CANCELLED(day(6), "o1")));
    assert_int_equal(line_of("habit_reminder", "", day(90)).sent.reached, 0);
    outcomes_release(&outcomes);
}

/* setup_guide: acclimate within 7 d; tip: accomplish within 30 d. */
static void r82_a_class_is_reached_by_its_transition(void **state)
{
    (void)state;
    outcomes_init(&outcomes, &world);
    add_run("a", "setup_guide", "cycle:1", false, day(1));
    add_run("b", "setup_guide", "cycle:2", false, day(1));
    add_run("c", "setup_guide", "cycle:3", false, day(1));
    add_run("c", "tip", "cycle:3", false, day(1));
    outcomes_add_transition(&outcomes, SPAN("a"), DIMENSION_PHASE, PHASE_ACCLIMATE, day(8));
    outcomes_add_transition(&outcomes, SPAN("b"), DIMENSION_PHASE, PHASE_ACCLIMATE, day(8) + 1);
    outcomes_add_transition(&outcomes, SPAN("c"), DIMENSION_PHASE, PHASE_ACCOMPLISH, day(3));
    struct record fall = {.type = RECORD_TRANSITION,
                          .customer_id = SPAN("c"),
                          .transition = {.dimension = DIMENSION_PHASE,
                                         .from = PHASE_ADOPT,
                                         .to = PHASE_ACCLIMATE,
                                         .direction = DIRECTION_DOWN,
                                         .effective_at = day(4)}};
    outcomes_add_record(&outcomes, &fall);
    outcomes_close(&outcomes);
    outcomes_add_state(&outcomes, SPAN("a"), STATE_AFTER(PLACED(day(1), "o1")));
    outcomes_add_state(&outcomes, SPAN("b"), STATE_AFTER(PLACED(day(1), "o1")));
    outcomes_add_state(&outcomes, SPAN("c"), STATE_AFTER(PLACED(day(1), "o1")));
    assert_int_equal(line_of("setup_guide", "", day(90)).sent.measured, 3);
    assert_int_equal(line_of("setup_guide", "", day(90)).sent.reached, 1);
    assert_int_equal(line_of("tip", "", day(90)).sent.reached, 1);
    outcomes_release(&outcomes);
}

static void r82_each_variant_beside_the_held_out(void **state)
{
    (void)state;
    outcomes_init(&outcomes, &world);
    const char *variants[] = {"warm", "plain"};
    for (int i = 0; i < 2; i++)
        outcomes_add(&outcomes, &(struct outcome_run){span_of(i ? "b" : "a"), SPAN("habit_reminder"), SPAN("order:1"),
                                                      span_of(variants[i]), 1, false, day(1)});
    add_run("c", "habit_reminder", "order:9", true, day(1));
    add_run("d", "a_rule_of_last_year", "ever", false, day(1));
    outcomes_close(&outcomes);
    outcomes_add_state(&outcomes, SPAN("a"), STATE_AFTER(PLACED(day(5), "o1")));
    outcomes_add_state(&outcomes, SPAN("b"), STATE_AFTER(RESPONSE(day(5), "r1", MONTHLY)));
    outcomes_add_state(&outcomes, SPAN("c"), STATE_AFTER(RESPONSE(day(5), "r1", MONTHLY)));
    struct outcome_line warm = line_of("habit_reminder", "warm", day(90));
    struct outcome_line plain = line_of("habit_reminder", "plain", day(90));
    assert_int_equal(warm.sent.runs, 1);
    assert_int_equal(warm.sent.reached, 1);
    assert_int_equal(plain.sent.reached, 0);
    assert_int_equal(warm.held_out.runs, 1);
    assert_int_equal(plain.held_out.runs, 1);
    struct outcome_line gone = line_of("a_rule_of_last_year", "", day(90));
    assert_null(gone.goal);
    assert_int_equal(gone.sent.runs, 1);
    outcomes_release(&outcomes);
}

/* ---- intervals ---- */

static struct share share_of(size_t customers, size_t reached)
{
    struct share share = {0};
    for (size_t i = 0; i < customers; i++)
        share_add(&share, 1, i < reached);
    return share;
}

#define ASSERT_NEAR(value, expected) assert_true(fabs((value) - (expected)) < 0.002)

/* Newcombe 1998's own example, 56 of 70 beside 48 of 80: +0.2 (0.0524 .. 0.3339). The ratio's variance has n - 1 where
 * his has n, hence the third digit. */
static void r82_intervals_of_independent_runs_are_newcombe_s(void **state)
{
    (void)state;
    struct share a = share_of(70, 56), b = share_of(80, 48);
    struct interval difference = share_difference(&a, &b), of_a = share_interval(&a);
    ASSERT_NEAR(difference.low, 0.0524);
    ASSERT_NEAR(difference.high, 0.3339);
    ASSERT_NEAR(of_a.low, 0.6918); /* Wilson */
    ASSERT_NEAR(of_a.high, 0.8770);
}

static void r82_runs_of_one_customer_are_not_independent(void **state)
{
    (void)state;
    struct share loyal = {0}, mixed = {0};
    for (int i = 0; i < 20; i++) {
        share_add(&loyal, 10, i < 10 ? 10 : 0); /* all or nothing: 20 readings, not 200 */
        share_add(&mixed, 10, 5);               /* nothing varies: as good as 200 runs, never better */
    }
    assert_true(fabs(share_effective_size(&loyal) - 19) < 0.01);
    assert_true(fabs(share_effective_size(&mixed) - 200) < 0.01);
    assert_true(share_interval(&loyal).low < 0.31 && share_interval(&loyal).high > 0.69);
}

static void r82_no_run_says_nothing(void **state)
{
    (void)state;
    struct share none = {0}, all = {0};
    assert_true(share_interval(&none).low == 0 && share_interval(&none).high == 1);
    for (int i = 0; i < 3; i++)
        share_add(&all, 100, 0); /* three customers who never do: far from never */
    assert_true(share_interval(&all).low == 0 && share_interval(&all).high > 0.5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(r82_purchases_are_live_orders),
        TEST(r82_a_subscription_is_one_that_begins),
        TEST(r82_answers_and_effect),
        TEST(r82_registrations_at_the_checkout_and_by_hand),
        TEST(r82_a_friend_is_one_referral),
        TEST(r82_happens_after_the_message_and_within_its_time),
        TEST(r82_every_goal_of_a_playbook_is_a_fact_or_a_class),
        TEST(r82_a_blob_of_nobody_is_refused),
        TEST(r82_counts_once_per_run_sent_or_held_out),
        TEST(r82_waits_for_the_end_of_the_time_and_leaves_out_whom_it_cannot_know),
        TEST(r82_a_later_state_counts),
        TEST(r82_a_class_is_reached_by_its_transition),
        TEST(r82_each_variant_beside_the_held_out),
        TEST(r82_intervals_of_independent_runs_are_newcombe_s),
        TEST(r82_runs_of_one_customer_are_not_independent),
        TEST(r82_no_run_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
