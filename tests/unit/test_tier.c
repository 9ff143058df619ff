/* The five fan types (DOMAIN.md 3, R35 to R38, R45). */
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

struct row {
    bool registered;
    int purchases;
    bool trial;
    int days;
    bool subscription;
    int positive;
    enum tier expected;
};

static enum tier tier_of_row(const struct row *row)
{
    subject_forget(&subject);
    subject_apply(&subject, CUSTOMER(SUPPORT_CONTACTED, day(0)));
    if (row->registered)
        subject_apply(&subject, CUSTOMER(REGISTERED, day(0)));
    for (int i = 0; i < row->purchases; i++) {
        char id[16];
        snprintf(id, sizeof id, "o%d", i);
        struct event placed = PLACED(day(100 - i), id);
        const struct order_line trial = LINE("TRIAL-1", 1, 500);
        if (row->trial)
            placed.lines = &trial;
        subject_apply(&subject, placed);
    }
    if (row->subscription)
        subject_apply(&subject, SUBSCRIPTION(STARTED, day(100)));
    for (int i = 0; i < row->positive; i++) {
        char id[16];
        snprintf(id, sizeof id, "r%d", i);
        subject_apply(&subject, RESPONSE(day(100), id, MONTHLY, .nps = 9));
    }
    return subject_classes(&subject, day(100 + row->days)).tier;
}

static void r35_every_row_of_the_table(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {true, 2, false, 59, true, 3, TIER_PARTNER},     {true, 1, false, 59, true, 3, TIER_SUPPORTER},
        {true, 2, false, 60, true, 3, TIER_FOLLOWER},    {true, 1, false, 59, true, 2, TIER_SUPPORTER},
        {true, 1, false, 0, true, 1, TIER_FOLLOWER},     {true, 1, true, 59, false, 0, TIER_VISITOR},
        {true, 1, true, 60, false, 0, TIER_FOLLOWER},    {true, 1, true, 59, true, 0, TIER_FOLLOWER},
        {true, 1, false, 59, false, 4, TIER_FOLLOWER},   {true, 2, true, 59, false, 0, TIER_FOLLOWER},
        {true, 1, false, 89, false, 0, TIER_FOLLOWER},   {true, 1, false, 90, false, 1, TIER_LAPSED},
        {true, 3, false, 400, false, 4, TIER_LAPSED},    {true, 1, false, 90, false, 0, TIER_DORMANT},
        {true, 1, false, 900, true, 0, TIER_FOLLOWER},   {true, 0, false, 0, false, 4, TIER_PROSPECT},
        {false, 3, false, 10, true, 4, TIER_PROSPECT},   {true, 0, false, 0, true, 4, TIER_PROSPECT},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (tier_of_row(&rows[i]) != rows[i].expected)
            fail_msg("row %zu: %s", i, class_value_name(DIMENSION_TIER, (int)tier_of_row(&rows[i])));
}

static void r35_the_move_is_due_at_the_boundary(void **state)
{
    (void)state;
    const struct row visitor = {true, 1, true, 0, false, 0, TIER_VISITOR};
    assert_int_equal(tier_of_row(&visitor), TIER_VISITOR);
    assert_int_equal(subject.figures.next_change_at, day(160));
    assert_int_equal(subject_classes(&subject, day(160) - 1).tier, TIER_VISITOR);
    assert_int_equal(subject_classes(&subject, day(160)).tier, TIER_FOLLOWER);
    assert_int_equal(subject_classes(&subject, day(190) - 1).tier, TIER_FOLLOWER);
    assert_int_equal(subject_classes(&subject, day(190)).tier, TIER_DORMANT);
}

static void r36_direction_is_by_rank(void **state)
{
    (void)state;
    static const enum tier low_to_high[] = {TIER_PROSPECT, TIER_DORMANT,  TIER_LAPSED, TIER_VISITOR,
                                            TIER_FOLLOWER, TIER_SUPPORTER, TIER_PARTNER};
    for (size_t from = 0; from < COUNT_OF(low_to_high); from++)
        for (size_t to = 0; to < COUNT_OF(low_to_high); to++)
            if (from != to)
                assert_int_equal(classes_direction(subject.playbook, DIMENSION_TIER, (int)low_to_high[from],
                                                   (int)low_to_high[to]),
                                 to > from ? DIRECTION_UP : DIRECTION_DOWN);
    assert_int_equal(classes_direction(subject.playbook, DIMENSION_TIER, -1, TIER_PROSPECT), DIRECTION_ENTER);
}

static void r38_returned_is_from_lapsed_or_dormant(void **state)
{
    (void)state;
    for (enum tier from = 0; from < TIER_COUNT; from++)
        for (enum tier to = 0; to < TIER_COUNT; to++)
            assert_int_equal(tier_returns(subject.playbook, from, to),
                             (from == TIER_LAPSED || from == TIER_DORMANT) && to >= TIER_VISITOR);
}

static void r45_evidence_of_a_tier(void **state)
{
    (void)state;
    const struct row row = {true, 2, false, 59, true, 3, TIER_PARTNER};
    tier_of_row(&row);
    struct named_list evidence = classes_evidence(&subject.figures, &subject.arena, DIMENSION_TIER);
    static const struct { const char *name; int64_t value; } expected[] = {
        {"registered", 1}, {"purchases", 2}, {"trial", 0}, {"days_since_last_purchase", 59}, {"subscription", 1},
        {"positive_reactions", 3}};
    assert_int_equal(evidence.count, COUNT_OF(expected));
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        assert_true(span_equal(evidence.items[i].name, span_of(expected[i].name)));
        assert_int_equal(evidence.items[i].integer, expected[i].value);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(r35_every_row_of_the_table),
        TEST(r35_the_move_is_due_at_the_boundary),
        TEST(r36_direction_is_by_rank),
        TEST(r38_returned_is_from_lapsed_or_dormant),
        TEST(r45_evidence_of_a_tier),
    };
    return cmocka_run_group_tests_name("tier", tests, NULL, NULL);
}
