/* What must hold of every history, as simulate visits a customer and as a worker does that comes late and takes several
 * events at once. Seeded; a failure names its seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/codec/record_json.h"
#include "common/engine/open_state.h"
#include "common/engine/window.h"
#include "tests/unit/shop.h"

enum { HISTORIES = 150, EVENTS = 60, SENDS_MAX = 4096 };

struct send {
    struct uuid id;
    int64_t made_at;
    bool marketing, revoked;
};

struct watch {
    uint64_t dice;
    uint64_t seed;
    struct shop shop;
    struct send sends[SENDS_MAX];
    size_t send_count;
    int64_t seq;
    bool erased;
    struct open_state *open;    /* the same customer, kept open; malloc */
    struct open_state *in_turn; /* of a customer whom only his events reach; NULL = not met yet */
    int unfinished_count;       /* visits of his that had more timers before them than a visit takes */
};

static uint32_t roll(struct watch *watch, uint32_t sides)
{
    watch->dice = watch->dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(watch->dice >> 33) % sides;
}

#define MUST(watch, condition)                                                                                         \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            fail_msg("seed %llu: %s\n%s", (unsigned long long)(watch)->seed, #condition, (watch)->shop.lines.data);    \
    } while (0)

/* ---- random events ---- */

static const char *const order_ids[] = {"O1", "O2", "O3", "O4", "O5"};
static const char *const zone_names[] = {"", "Europe/London", "America/New_York", "Pacific/Auckland", "Nowhere/At-All"};

static struct event random_order(struct watch *watch, struct order_line *line)
{
    static const char *const skus[] = {"TRIAL-1", "PREMIUM-1", "RELATED-1", "SOAP"};
    static const enum event_kind kinds[] = {EVENT_PLACED,
                                            EVENT_PLACED,
                                            EVENT_PLACED,
                                            EVENT_SUBSCRIPTION_RENEWED,
                                            EVENT_CANCELLED,
                                            EVENT_REFUNDED,
                                            EVENT_SUBSCRIPTION_STARTED,
                                            EVENT_SUBSCRIPTION_PAUSED,
                                            EVENT_SUBSCRIPTION_CANCELLED};
    struct event event = shop_order(kinds[roll(watch, COUNT_OF(kinds))], order_ids[roll(watch, COUNT_OF(order_ids))]);
    *line = (struct order_line){span_of(skus[roll(watch, COUNT_OF(skus))]), 1, 1000};
    event.lines = line;
    event.line_count = 1;
    event.email_registered = roll(watch, 4) ? ANSWER_TRUE : ANSWER_ABSENT;
    event.line_registered = roll(watch, 3) ? ANSWER_ABSENT : ANSWER_TRUE;
    event.marketing_consent = roll(watch, 4) ? ANSWER_TRUE : ANSWER_ABSENT;
    event.refund_amount = roll(watch, 2) ? REFUND_WHOLE : (int64_t)(400 + roll(watch, 800));
    event.time_zone = span_of(zone_names[roll(watch, COUNT_OF(zone_names))]);
    event.version = roll(watch, 3) ? 0 : roll(watch, 4);
    return event;
}

static struct event random_record(struct watch *watch, struct order_line *line)
{
    uint32_t which = roll(watch, 20);
    if (which < 7)
        return random_order(watch, line);
    if (which < 12) {
        static const enum event_kind kinds[] = {EVENT_SHIPPED, EVENT_DELIVERED, EVENT_DELIVERED, EVENT_FAILED,
                                                EVENT_RETURNED};
        return shop_delivery(kinds[roll(watch, COUNT_OF(kinds))], order_ids[roll(watch, COUNT_OF(order_ids))]);
    }
    if (which < 16) {
        static const char *const answers[] = {"r1", "r2", "r3", "r4"};
        struct event event = shop_answer(answers[roll(watch, COUNT_OF(answers))],
                                         (enum purpose)roll(watch, PURPOSE_COUNT), (int)roll(watch, 12) - 1);
        event.version = roll(watch, 3);
        event.effect_felt = (enum answer)roll(watch, 3);
        event.concerns = roll(watch, 1u << CONCERN_COUNT);
        return event;
    }
    if (which < 18) {
        static const enum event_kind kinds[] = {EVENT_OPENED, EVENT_CLICKED, EVENT_UNSUBSCRIBED, EVENT_BOUNCED};
        struct event event = shop_blank(TOPIC_EMAIL_OPENS, kinds[roll(watch, COUNT_OF(kinds))]);
        event.agent = AGENT_HUMAN;
        return event;
    }
    static const enum event_kind kinds[] = {EVENT_REGISTERED, EVENT_CONSENTED, EVENT_CONSENTED, EVENT_REFERRED,
                                            EVENT_SHARED};
    return shop_customer(roll(watch, 60) ? kinds[roll(watch, COUNT_OF(kinds))] : EVENT_ERASED);
}

/* Now and then from another system, which may edit what the first one told. */
static struct event random_event(struct watch *watch, struct order_line *line)
{
    static const char *const sources[] = {"", "shop", "till"};
    struct event event = random_record(watch, line);
    event.source = span_of(sources[roll(watch, COUNT_OF(sources))]);
    return event;
}

/* ---- what is watched ---- */

static struct send *find_send(struct watch *watch, const struct uuid *id)
{
    for (size_t i = 0; i < watch->send_count; i++) {
        if (memcmp(&watch->sends[i].id, id, sizeof *id) == 0)
            return &watch->sends[i];
    }
    return NULL;
}

static void watch_send(struct watch *watch, const struct action *action)
{
    MUST(watch, find_send(watch, &action->action_id) == NULL); /* R47: at most once, ever */
    MUST(watch, watch->send_count < SENDS_MAX);
    struct send *send = &watch->sends[watch->send_count++];
    *send = (struct send){
        .id = action->action_id, .made_at = action->made_at, .marketing = action->class == CLASS_MARKETING};
    MUST(watch, action->expires_at == NEVER || action->made_at <= action->expires_at); /* R74 */
}

static void watch_revoke(struct watch *watch, const struct record *record)
{
    struct send *send = find_send(watch, &record->action.action_id);
    MUST(watch, send != NULL);
    MUST(watch, !send->revoked);
    MUST(watch, record->action.expires_at == NEVER || record->at < record->action.expires_at); /* R78 */
    send->revoked = true;
}

static void watch_marketing(struct watch *watch, const struct zone *zone, int64_t now)
{
    int64_t today = window_day(zone, now), week = 0, day = 0;
    for (size_t i = 0; i < watch->send_count; i++) {
        if (!watch->sends[i].marketing)
            continue;
        int64_t sent = window_day(zone, watch->sends[i].made_at);
        day += sent == today;
        week += sent > today - 7 && sent <= today;
    }
    MUST(watch, day <= 2 && week <= 7);                        /* R70 */
    MUST(watch, window_open(watch->shop.playbook, zone, now)); /* R71 */
}

static void watch_records(struct watch *watch, const struct visit_result *result, int64_t now, const struct zone *zone)
{
    bool marketing = false;
    for (const struct record *record = result->records; record; record = record->next) {
        shop_tell(&watch->shop, record);
        MUST(watch, record->seq == ++watch->seq);
        MUST(watch, record->at == now);
        MUST(watch, !watch->erased);
        if (record->type == RECORD_ACTION && record->action.kind == ACTION_SEND) {
            watch_send(watch, &record->action);
            marketing |= record->action.class == CLASS_MARKETING;
        } else if (record->type == RECORD_ACTION) {
            watch_revoke(watch, record);
        } else if (record->type == RECORD_DECISION && record->decision.outcome == OUTCOME_DEFERRED) {
            MUST(watch, record->decision.until > now);
        }
    }
    if (marketing && zone)
        watch_marketing(watch, zone, now);
}

/* ---- a state that stays open is the state that is closed and opened at every visit ---- */

static struct open_state *open_begin(struct watch *watch, const struct step_world *world)
{
    struct open_state *fresh = step_open(world, &watch->shop.arena, SPAN_NONE);
    size_t size = open_state_size(fresh);
    return open_state_copy(fresh, malloc(size), size);
}

/* Returns where the state lies now. */
static struct open_state *open_settle(struct watch *watch, struct open_state *old)
{
    if (open_state_settle(old))
        return old;
    size_t size = open_state_size(old), guess = open_state_guess_size(old);
    for (size_t small = sizeof *old; small < size / 2; small += size / 8) {
        void *tight = malloc(small); /* where a sanitizer sees what is written behind it */
        MUST(watch, open_state_copy(old, tight, small) == NULL);
        free(tight);
    }
    void *block = malloc(size > guess ? size : guess);
    struct open_state *copy = open_state_copy(old, block, guess);
    if (copy == NULL)
        copy = open_state_copy(old, block, size);
    MUST(watch, copy != NULL);
    free(old);
    return copy;
}

static void watch_report(struct watch *watch, const struct step_world *world, struct span closed, int64_t now)
{
    struct buffer line = {0}, expected_line = {0};
    struct customer_report report = step_report_open(world, &watch->shop.arena, watch->open, now), expected;
    MUST(watch, step_report(world, &watch->shop.arena, SPAN("anna"), closed, now, &expected));
    report_json_write(SPAN("anna"), &report, &line);
    report_json_write(SPAN("anna"), &expected, &expected_line);
    MUST(watch, span_equal(buffer_span(&line), buffer_span(&expected_line)));
    MUST(watch, report.erased == expected.erased && report.fact_count == expected.fact_count &&
                    report.waiting_count == expected.waiting_count && report.used_key_count == expected.used_key_count);
    buffer_release(&line);
    buffer_release(&expected_line);
}

static void watch_open_visit(struct watch *watch, const struct step_world *world, const struct visit *visit,
                             const struct visit_result *expected)
{
    struct buffer line = {0}, expected_line = {0};
    struct visit_result result;
    if (watch->open == NULL)
        watch->open = open_begin(watch, world);
    step_visit_open(world, &watch->shop.arena, visit, watch->open, &result);
    const struct record *record = result.records, *wanted = expected->records;
    for (; record != NULL && wanted != NULL; record = record->next, wanted = wanted->next) {
        buffer_reset(&line);
        buffer_reset(&expected_line);
        record_json_write(record, &line);
        record_json_write(wanted, &expected_line);
        MUST(watch, span_equal(buffer_span(&line), buffer_span(&expected_line)));
    }
    MUST(watch, record == NULL && wanted == NULL);
    MUST(watch, result.wake_at == expected->wake_at);
    watch->open = open_settle(watch, watch->open);
    struct span closed = step_close(world, &watch->shop.arena, watch->open);
    MUST(watch, span_equal(closed, expected->state));
    watch_report(watch, world, closed, visit->now);
    buffer_release(&line);
    buffer_release(&expected_line);
}

static struct visit_result watch_visit(struct watch *watch, const struct event *events, size_t count, int64_t now,
                                       bool fire, const struct zone *zone)
{
    struct shop *shop = &watch->shop;
    struct step_world world = {.playbook = shop->playbook, .zones = shop->zones};
    struct visit visit = {.customer_id = SPAN("anna"),
                          .state = buffer_span(&shop->state),
                          .events = events,
                          .event_count = count,
                          .now = now,
                          .fire_now = fire};
    struct visit_result result;
    MUST(watch, step_visit(&world, &shop->arena, &visit, &result));
    watch_records(watch, &result, now, zone);
    watch_open_visit(watch, &world, &visit, &result);
    MUST(watch, result.wake_at == NEVER || result.wake_at > now || !fire);
    for (size_t i = 0; i < count; i++)
        watch->erased |= events[i].kind == EVENT_ERASED && result.results[i].verdict == VERDICT_APPLIED;
    struct visit again = {.customer_id = visit.customer_id, .state = result.state, .now = now, .fire_now = fire};
    struct visit_result same;
    MUST(watch, step_visit(&world, &shop->arena, &again, &same)); /* nothing is left to do, and the state says so */
    MUST(watch, same.records == NULL && !same.changed && same.wake_at == result.wake_at);
    struct buffer state = {0};
    buffer_add_span(&state, result.state);
    buffer_release(&shop->state);
    shop->state = state;
    shop->wake_at = result.wake_at;
    return result;
}

/* The customer whom only his events reach, each of them behind the timers that were due before, is the one who was
 * visited at every timer. */
static void watch_in_turn(struct watch *watch, const struct event *event, int64_t now)
{
    struct shop *shop = &watch->shop;
    const struct step_world world = {.playbook = shop->playbook, .zones = shop->zones};
    const struct visit visit = {
        .customer_id = SPAN("anna"), .events = event, .event_count = 1, .now = now, .in_turn = true};
    struct visit_result result;
    if (watch->in_turn == NULL)
        watch->in_turn = open_begin(watch, &world);
    for (result.unfinished = true; result.unfinished;) {
        step_visit_open(&world, &shop->arena, &visit, watch->in_turn, &result);
        watch->in_turn = open_settle(watch, watch->in_turn);
        MUST(watch, result.unfinished == (result.results == NULL));
        watch->unfinished_count += result.unfinished;
    }
    MUST(watch, result.wake_at == shop->wake_at);
    MUST(watch, span_equal(step_close(&world, &shop->arena, watch->in_turn), buffer_span(&shop->state)));
}

static void watch_timers(struct watch *watch, int64_t until, const struct zone *zone)
{
    while (watch->shop.wake_at != NEVER && watch->shop.wake_at < until) {
        watch_visit(watch, NULL, 0, watch->shop.wake_at, true, zone);
        arena_reset(&watch->shop.arena);
    }
}

static void watch_open(struct watch *watch, uint64_t seed)
{
    *watch = (struct watch){.dice = seed * 7919 + 1, .seed = seed};
    shop_open(&watch->shop, shop_playbook(NULL));
}

static void watch_close(struct watch *watch)
{
    free(watch->open);
    free(watch->in_turn);
    shop_close(&watch->shop);
}

static void identify(struct watch *watch, struct event *event, char *id, size_t size, int64_t now)
{
    snprintf(id, size, "e%d", ++watch->shop.event_number);
    event->event_id = span_of(id);
    event->customer_id = SPAN("anna");
    event->occurred_at = now - (int64_t)roll(watch, 4) * (int64_t)roll(watch, 40) * 12 * HOUR_MS;
    event->backfill = roll(watch, 6) == 0;
}

/* zone: of all events; NULL = theirs differ. */
static void watch_event(struct watch *watch, int64_t now, const struct zone *zone)
{
    struct order_line line;
    char id[16];
    watch_timers(watch, now, zone);
    struct event event = random_event(watch, &line);
    if (zone != NULL)
        event.time_zone = SPAN_NONE;
    identify(watch, &event, id, sizeof id, now);
    watch_visit(watch, &event, 1, now, false, zone);
    watch_in_turn(watch, &event, now);
    arena_reset(&watch->shop.arena);
}

/* years: between the last event but one and the last. Returns how many visits in turn were unfinished. */
static int one_history(uint64_t seed, bool zones_differ, int years)
{
    static struct watch watch;
    watch_open(&watch, seed);
    const struct zone *zone = zones_differ ? NULL : zones_find(watch.shop.zones, SPAN("Asia/Tokyo"));
    int64_t now = D(0);
    for (int i = 0; i < EVENTS; i++) {
        now += (int64_t)roll(&watch, 3) * (int64_t)roll(&watch, 40) * 6 * HOUR_MS;
        watch_event(&watch, now, zone);
    }
    if (years > 0)
        watch_event(&watch, now += years * 365 * DAY_MS, zone);
    watch_timers(&watch, now + 400 * DAY_MS, zone);
    watch_close(&watch);
    return watch.unfinished_count;
}

static void r70_r71_caps_and_quiet_hours_hold_in_every_history(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= HISTORIES; seed++)
        one_history(seed, false, 0);
}

static void r33_and_in_changing_zones_nothing_goes_out_twice(void **state)
{
    (void)state;
    for (uint64_t seed = 1001; seed <= 1000 + HISTORIES; seed++)
        one_history(seed, true, 0);
}

static void r2_many_timers_in_turn_are_taken_in_many_visits(void **state)
{
    (void)state;
    int unfinished_count = 0;
    for (uint64_t seed = 3001; seed <= 3000 + HISTORIES / 10; seed++)
        unfinished_count += one_history(seed, seed % 2 == 0, 100);
    assert_true(unfinished_count > HISTORIES / 10);
}

/* A worker that is away for days and then takes several events in one step, all at one clock. */
static void r3_late_steps_keep_every_promise(void **state)
{
    (void)state;
    static struct watch watch;
    for (uint64_t seed = 2001; seed <= 2000 + HISTORIES; seed++) {
        watch_open(&watch, seed);
        const struct zone *tokyo = zones_find(watch.shop.zones, SPAN("Asia/Tokyo"));
        int64_t now = D(0);
        for (int step = 0; step < EVENTS / 3; step++) {
            struct order_line lines[3];
            struct event events[3];
            char ids[3][16];
            size_t count = roll(&watch, 4);
            now += (int64_t)roll(&watch, 50) * 7 * HOUR_MS + 1;
            for (size_t i = 0; i < count; i++) {
                events[i] = random_event(&watch, &lines[i]);
                events[i].time_zone = SPAN_NONE;
                identify(&watch, &events[i], ids[i], sizeof ids[i], now);
            }
            watch_visit(&watch, events, count, now, true, tokyo);
            arena_reset(&watch.shop.arena);
        }
        watch_close(&watch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r70_r71_caps_and_quiet_hours_hold_in_every_history),
        cmocka_unit_test(r33_and_in_changing_zones_nothing_goes_out_twice),
        cmocka_unit_test(r2_many_timers_in_turn_are_taken_in_many_visits),
        cmocka_unit_test(r3_late_steps_keep_every_promise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
