/* Trace contexts on their way through the engine: from an event into the runs that it makes, and out with what they
 * send, days later or at another customer (R30). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/trace_context.h"
#include "common/engine/open_state.h"
#include "common/engine/step.h"
#include "tests/lib/engine.h"

static struct subject subject;
static struct step_world world;
static struct span blob;
static struct record *records; /* of all visits since the last look */
static struct record **records_end;

static const char order_bytes[] = "the trace of his order..", parcel_bytes[] = "the trace of his parcel.",
                  other_bytes[] = "a trace of another event";
static const struct span order_trace = {order_bytes, TRACE_KEPT_SIZE}, parcel_trace = {parcel_bytes, TRACE_KEPT_SIZE},
                         other_trace = {other_bytes, TRACE_KEPT_SIZE};

static int setup(void **state)
{
    (void)state;
    subject = subject_new();
    world = (struct step_world){.playbook = subject.playbook, .zones = zones_new()};
    blob = SPAN_NONE;
    records = NULL;
    records_end = &records;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    zones_free((struct zones *)world.zones);
    subject_free(&subject);
    return 0;
}

/* The same visit to the blob and to the state kept open gives the same bytes. */
static struct visit_result visit_at(struct span customer_id, int64_t now, const struct event *event)
{
    struct visit visit = {customer_id, blob, event, event != NULL, now, true, false};
    struct visit_result result, open_result;
    assert_true(step_visit(&world, &subject.arena, &visit, &result));
    struct open_state *read = step_open(&world, &subject.arena, blob);
    size_t size = open_state_size(read);
    struct open_state *open = open_state_copy(read, arena_take(&subject.arena, size), size);
    step_visit_open(&world, &subject.arena, &visit, open, &open_result);
    size = open_state_size(open); /* as one that has outgrown its block */
    open = open_state_copy(open, arena_take(&subject.arena, size), size);
    assert_true(span_equal(step_close(&world, &subject.arena, open), result.state));
    blob = result.state;
    for (*records_end = result.records; *records_end;)
        records_end = &(*records_end)->next;
    return result;
}

static void rest_until(int64_t until)
{
    int64_t wake_at;
    while (step_wake_at(&world, &subject.arena, ID("c1"), blob, &wake_at) && wake_at != NEVER && wake_at < until)
        visit_at(ID("c1"), wake_at, NULL);
}

static struct visit_result lives(struct event event)
{
    rest_until(event.occurred_at);
    return visit_at(ID("c1"), event.occurred_at, &event);
}

/* The number-th action of the rule, from 0. */
static const struct action *action_of(const char *rule, enum action_kind kind, int number)
{
    for (const struct record *record = records; record; record = record->next)
        if (record->type == RECORD_ACTION && record->action.kind == kind &&
            span_equal(record->action.rule, span_of(rule)) && number-- == 0)
            return &record->action;
    fail_msg("no such action of %s", rule);
    return NULL;
}

static bool holds(struct span trace)
{
    for (size_t i = 0; i + trace.size <= blob.size; i++)
        if (memcmp(blob.data + i, trace.data, trace.size) == 0)
            return true;
    return false;
}

static void orders_and_receives(void)
{
    lives(PLACED(day(0.1), "o1", .event_id = ID("e1"), .trace = order_trace, .email_registered = ANSWER_TRUE,
                 .marketing_consent = ANSWER_TRUE));
    lives(DELIVERY(SHIPPED, day(1), "o1", .event_id = ID("e2")));
    lives(DELIVERY(DELIVERED, day(2), "o1", .event_id = ID("e3"), .trace = parcel_trace));
}

static void what_a_timer_fires_goes_on_with_the_trace(void **state)
{
    (void)state;
    orders_and_receives();
    assert_true(holds(parcel_trace));
    rest_until(day(40));
    const struct action *at_once = action_of("thank_you", ACTION_SEND, 0),
                        *later = action_of("setup_guide", ACTION_SEND, 0);
    assert_true(span_equal(at_once->event_id, ID("e1")) && span_equal(at_once->trace, order_trace));
    assert_true(span_empty(later->event_id) && later->made_at > day(2));
    assert_true(span_equal(later->trace, parcel_trace));
}

static void a_series_carries_it_on_its_first_slot_alone(void **state)
{
    (void)state;
    orders_and_receives();
    rest_until(day(100));
    const struct action *first = action_of("progress_report", ACTION_SEND, 0),
                        *second = action_of("progress_report", ACTION_SEND, 1);
    assert_true(first->n == 1 && span_equal(first->trace, parcel_trace));
    assert_true(second->n == 2 && span_empty(second->trace));
    assert_false(holds(parcel_trace)); /* every run that had it was decided, every send has expired */
}

static void a_date_has_no_trace(void **state)
{
    (void)state;
    lives(RENEWED(day(0.1), "o1", .event_id = ID("e1"), .subscription_id = ID("s"), .trace = order_trace,
                  .email_registered = ANSWER_TRUE, .marketing_consent = ANSWER_TRUE));
    rest_until(day(60)); /* over 4 February */
    const struct action *letter = action_of("seasonal_letter", ACTION_SEND, 0);
    assert_true(span_equal(letter->key, ID("date:2024-02-04")) && span_empty(letter->trace));
}

static void a_referrers_reward_goes_on_with_the_friends_trace(void **state)
{
    (void)state;
    struct visit_result result = lives(
        PLACED(day(0.1), "o1", .event_id = ID("e1"), .trace = order_trace, .referrer_customer_id = ID("referrer")));
    assert_non_null(result.credits);
    const struct event credit = result.credits->event;
    assert_true(span_equal(credit.trace, order_trace));
    blob = SPAN_NONE;
    lives(PLACED(day(0.2), "p1", .event_id = ID("e2"), .email_registered = ANSWER_TRUE));
    visit_at(ID("c1"), day(0.3), &credit);
    assert_true(holds(order_trace));
    rest_until(day(60));
    assert_true(span_equal(action_of("referral_reward", ACTION_SEND, 0)->trace, order_trace));
}

static void a_revoke_goes_on_with_its_cause_or_its_send(void **state)
{
    (void)state;
    lives(PLACED(day(0.1), "o1", .event_id = ID("e1"), .trace = order_trace));
    lives(CANCELLED(day(0.2), "o1", .event_id = ID("e2")));
    assert_true(span_equal(action_of("thank_you", ACTION_REVOKE, 0)->trace, order_trace));
    lives(PLACED(day(0.3), "o2", .event_id = ID("e3"), .trace = order_trace));
    lives(CANCELLED(day(0.4), "o2", .event_id = ID("e4"), .trace = other_trace));
    assert_true(span_equal(action_of("thank_you", ACTION_REVOKE, 1)->trace, other_trace));
}

static void an_erased_customers_traces_are_gone(void **state)
{
    (void)state;
    orders_and_receives();
    assert_true(holds(order_trace) && holds(parcel_trace));
    lives(CUSTOMER(ERASED, day(2.5), .event_id = ID("e9"), .trace = other_trace));
    assert_true(step_erased(blob));
    assert_false(holds(order_trace) || holds(parcel_trace) || holds(other_trace));
}

/* Nothing is decided by it, and whoever has none pays nothing. */
static void decisions_do_not_depend_on_it(void **state)
{
    (void)state;
    struct event event = PLACED(day(0.1), "o1", .event_id = ID("e1"), .trace = order_trace);
    visit_at(ID("c1"), day(0.1), &event);
    struct span traced = blob;
    blob = event.trace = SPAN_NONE;
    visit_at(ID("c1"), day(0.1), &event);
    struct customer_report with, without;
    assert_true(step_report(&world, &subject.arena, ID("c1"), traced, day(1), &with));
    assert_true(step_report(&world, &subject.arena, ID("c1"), blob, day(1), &without));
    assert_int_equal(with.waiting_count, without.waiting_count);
    assert_int_equal(blob.data[blob.size - 1], 0); /* the field's null */
    assert_true(traced.size >= blob.size + TRACE_KEPT_SIZE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_a_timer_fires_goes_on_with_the_trace),
        TEST(a_series_carries_it_on_its_first_slot_alone),
        TEST(a_date_has_no_trace),
        TEST(a_referrers_reward_goes_on_with_the_friends_trace),
        TEST(a_revoke_goes_on_with_its_cause_or_its_send),
        TEST(an_erased_customers_traces_are_gone),
        TEST(decisions_do_not_depend_on_it),
    };
    return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
