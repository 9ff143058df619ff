/* Bounded memory (R11): a customer whose old facts are folded has the same figures as one who forgets nothing and was told
 * the same facts (those that were not refused). Random histories, the seed printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/engine/classes.h"
#include "tests/lib/engine.h"

enum { HISTORY_EVENTS = 160, HISTORY_SEEDS = 150 };

static uint64_t random_state;

static uint32_t random_below(uint32_t bound)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((random_state >> 33) % bound);
}

/* Some events on around day `today`; ids are of a small set, so that records meet. */
static struct event random_event(int number, int today, char (*id)[32])
{
    static const struct order_line lines[] = {
        {{"TEA", 3}, 1, 1000}, {{"TRIAL-1", 7}, 1, 500}, {{"PREMIUM-1", 9}, 1, 9000}, {{"RELATED-1", 9}, 2, 700}};
    int64_t at = day(today) - (int64_t)random_below(5) * DAY_MS / 4;
    if (random_below(8) == 0)
        at -= (int64_t)random_below(90) * DAY_MS; /* late */
    snprintf(id[0], sizeof id[0], "e%d", number);
    snprintf(id[1], sizeof id[1], "o%d", number / 4);
    snprintf(id[2], sizeof id[2], "r%d", number);
    snprintf(id[3], sizeof id[3], "sub%u", random_below(2));
    struct event event = PLACED(at, id[1]);
    event.lines = &lines[random_below(4)];
    if (random_below(3) == 0)
        event.subscription_id = span_of(id[3]);
    if (random_below(6) == 0)
        event.email_registered = ANSWER_TRUE;
    switch (random_below(17)) {
    case 0: case 1: case 2: case 3: break;
    case 4: event.kind = EVENT_SUBSCRIPTION_RENEWED; event.subscription_id = span_of(id[3]); break;
    case 5: event.kind = EVENT_CANCELLED; break;
    case 6: event = REFUNDED(at, id[1], .refund_amount = (int64_t)random_below(1500)); break;
    case 7: event = SUBSCRIPTION(STARTED, at, .subscription_id = span_of(id[3])); break;
    case 8: event = SUBSCRIPTION(CANCELLED, at, .subscription_id = span_of(id[3])); break;
    case 9: event = DELIVERY(SHIPPED, at, id[1]); break;
    case 10: event = DELIVERY(DELIVERED, at, id[1]); break;
    case 11: event = DELIVERY(FAILED, at, id[1]); break;
    case 12: event = DELIVERY(RETURNED, at, id[1]); break;
    case 13: event = CUSTOMER(REFERRED, at); break;
    case 14:
        event = CUSTOMER(SHARED, at - (int64_t)random_below(300) * DAY_MS);
        break; /* never too late: uncounted */
    default:
        event = RESPONSE(at, id[2], MONTHLY, .nps = (int32_t)random_below(12) - 1,
                         .satisfaction = (int32_t)random_below(6));
        event.purpose = (enum purpose)random_below(PURPOSE_COUNT);
        event.effect_felt = (enum answer)random_below(3);
        break;
    }
    event.event_id = span_of(id[0]);
    return event;
}

/* All figures but the order by which a subscription began; of the rungs what R5 asks: since when each stands. */
static void text_without_spells(struct buffer *text, struct subject *subject, int64_t now)
{
    struct buffer whole = {0};
    text_of_figures(&whole, subject_figures(subject, now));
    for (char *line = strtok(whole.data, "\n"); line; line = strtok(NULL, "\n"))
        if (strncmp(line, "rung_since", 10) != 0 && strncmp(line, "subscription_since", 18) != 0 &&
            strncmp(line, "live", 4) != 0 && strncmp(line, "cycle_first", 11) != 0)
            buffer_format(text, "%s\n", line);
    buffer_format(text, "since %lld\n", (long long)subject->figures.subscription_since.at);
    for (enum phase phase = PHASE_ADMIT; phase < PHASE_COUNT; phase++)
        buffer_format(text, "rung %d since %lld\n", (int)phase,
                      (long long)phase_effective_at(&subject->figures, phase));
    buffer_release(&whole);
}

/* False: it came to where nothing is promised. */
static bool compare_one(struct subject *short_lived, struct subject *full, uint64_t seed, size_t *refused)
{
    random_state = seed * 7919 + 1;
    subject_forget(short_lived);
    subject_forget(full);
    int today = 0;
    static char ids[HISTORY_EVENTS][4][32];
    for (int i = 0; i < HISTORY_EVENTS; i++) {
        today += (int)random_below(random_below(12) == 0 ? 120 : 4);
        struct event event = random_event(i, today, ids[i]);
        int64_t folded_at = short_lived->facts.folded.newest_at;
        enum verdict_fold verdict = subject_apply(short_lived, event);
        if (verdict == FOLD_REFUSED) {
            assert_int_equal(short_lived->change.reason, REASON_TOO_LATE);
            ++*refused;
            continue;
        }
        if (event.kind != EVENT_SHARED && event.kind != EVENT_CANCELLED && event.occurred_at <= folded_at)
            return false; /* a kept fact moved among the folded ones: R11 refuses only new ones, and nothing is promised
                             then */
        assert_int_equal(subject_apply(full, event), verdict);
        struct buffer left = {0}, right = {0};
        text_without_spells(&left, short_lived, day(today + 1));
        text_without_spells(&right, full, day(today + 1));
        if (strcmp(left.data, right.data) != 0)
            print_error("seed %llu, event %d\n", (unsigned long long)seed, i);
        assert_string_equal(left.data, right.data);
        buffer_release(&left);
        buffer_release(&right);
    }
    return true;
}

static void r11_folding_changes_no_figure(void **state)
{
    (void)state;
    struct subject short_lived = subject_new(), full = subject_new();
    short_lived.playbook->history_facts = 12;
    short_lived.playbook->history_days = 30;
    size_t refused = 0, folded = 0, wholes = 0;
    for (uint64_t seed = 1; seed <= HISTORY_SEEDS; seed++) {
        bool whole = compare_one(&short_lived, &full, seed, &refused);
        wholes += whole;
        folded += short_lived.facts.folded.identity_count;
        assert_true(!whole || facts_counted(&short_lived.facts) < facts_counted(&full.facts));
    }
    assert_true(refused > 0); /* the interesting lines were reached */
    assert_true(folded > 40 * HISTORY_SEEDS && wholes > HISTORY_SEEDS / 2);
    subject_free(&short_lived);
    subject_free(&full);
}

/* One cycle that never ends: what is folded leaves its identity (8 bytes) and nothing else. */
static void r11_memory_stays_bounded(void **state)
{
    (void)state;
    struct subject subject = subject_new();
    size_t size_at_300 = 0;
    enum { ORDERS = 900 };
    for (int i = 0; i < ORDERS; i++) {
        char id[16];
        snprintf(id, sizeof id, "o%04d", i);
        subject_apply(&subject, PLACED(day(i * 10), id));
        size_at_300 = i == 299 ? subject.state_size : size_at_300;
    }
    assert_in_range(size_at_300, 64 * 15, 64 * 40 + 300 * 9);
    assert_in_range(subject.state_size - size_at_300, 600 * 8 - 400, 600 * 8 + 400);
    assert_true(subject.facts.orders_count < 64 + 32);
    assert_int_equal(subject_figures(&subject, day(ORDERS * 10))->purchases, ORDERS);
    assert_int_equal(subject.figures.purchases_in_cycle, ORDERS);
    assert_int_equal(subject.figures.money_default, ORDERS * 1000);
    subject_free(&subject);
}

/* A state that stays open knows between which times its facts lie: as many are frozen as by one who looks at all of them. */
static void r11_facts_that_stay_are_frozen_as_those_read_anew(void **state)
{
    (void)state;
    struct subject subject = subject_new();
    subject.playbook->history_facts = 12;
    subject.playbook->history_days = 30;
    size_t frozen = 0;
    for (uint64_t seed = 1; seed <= HISTORY_SEEDS / 5; seed++) {
        random_state = seed;
        subject_forget(&subject);
        static char ids[HISTORY_EVENTS][4][32];
        for (int i = 0, today = 0; i < HISTORY_EVENTS; i++) {
            today += (int)random_below(random_below(12) == 0 ? 120 : 4);
            struct event event = random_event(i, today, ids[i]);
            facts_apply(&subject.facts, &subject.arena, subject.playbook, &event, subject.now, &subject.change);
            size_t counted = facts_counted(&subject.facts);
            struct facts again = subject.facts;
            again.unfrozen_from = NEVER;
            history_freeze(&again, subject.playbook, event.occurred_at);
            assert_int_equal(facts_counted(&again), counted);
        }
        frozen += subject.facts.folded.newest_at != NEVER;
    }
    assert_int_equal(frozen, HISTORY_SEEDS / 5);
    subject_free(&subject);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r11_folding_changes_no_figure),
        cmocka_unit_test(r11_memory_stays_bounded),
        cmocka_unit_test(r11_facts_that_stay_are_frozen_as_those_read_anew),
    };
    return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
