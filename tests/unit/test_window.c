/* Local days and the sending window (R62, R69 to R71). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/engine/window.h"
#include "tests/unit/shop.h"

static struct zones *zones;

static int load(void **state)
{
    char error[ZONES_ERROR_SIZE];
    (void)state;
    zones = zones_load(NULL, error);
    return zones == NULL ? -1 : 0;
}

static int64_t at(const char *text)
{
    int64_t ms;
    CHECK(timestamp_parse(span_of(text), &ms));
    return ms;
}

static const struct playbook nine_to_eight = {.window_start_ms = 9 * HOUR_MS, .window_end_ms = 20 * HOUR_MS};

static void r71_the_window_is_open_from_nine_to_just_before_eight(void **state)
{
    (void)state;
    const struct zone *tokyo = zones_find(zones, SPAN("Asia/Tokyo"));
    assert_false(window_open(&nine_to_eight, tokyo, at("2024-06-01T08:59:59.999+09:00")));
    assert_true(window_open(&nine_to_eight, tokyo, at("2024-06-01T09:00:00+09:00")));
    assert_true(window_open(&nine_to_eight, tokyo, at("2024-06-01T19:59:59.999+09:00")));
    assert_false(window_open(&nine_to_eight, tokyo, at("2024-06-01T20:00:00+09:00")));
}

static struct wall_clock clock_at(const struct zone *zone, int64_t now)
{
    struct wall_clock clock = {.zone = zone, .now = now};
    clock.local = now + zone_offset(zone, now, &clock.until);
    return clock;
}

static int64_t next_start(const struct playbook *playbook, const struct zone *zone, int64_t now)
{
    const struct wall_clock clock = clock_at(zone, now);
    return window_next_start(playbook, &clock);
}

static int64_t next_day_start(const struct playbook *playbook, const struct zone *zone, int64_t now)
{
    const struct wall_clock clock = clock_at(zone, now);
    return window_next_day_start(playbook, &clock);
}

static void r71_what_is_held_goes_at_the_next_nine(void **state)
{
    (void)state;
    const struct zone *tokyo = zones_find(zones, SPAN("Asia/Tokyo"));
    int64_t nine = at("2024-06-02T09:00:00+09:00");
    assert_int_equal(next_start(&nine_to_eight, tokyo, at("2024-06-01T20:00:00+09:00")), nine);
    assert_int_equal(next_start(&nine_to_eight, tokyo, at("2024-06-02T00:00:00+09:00")), nine);
    assert_int_equal(next_start(&nine_to_eight, tokyo, at("2024-06-02T08:59:59.999+09:00")), nine);
    assert_int_equal(next_day_start(&nine_to_eight, tokyo, at("2024-06-01T09:00:00+09:00")), nine); /* R69 */
    assert_int_equal(next_day_start(&nine_to_eight, tokyo, at("2024-06-02T00:00:00+09:00")), nine + DAY_MS);
}

/* A window that opens at 02:30, where the clocks change. */
static void r71_a_gap_gives_the_first_instant_after_an_overlap_the_earlier(void **state)
{
    (void)state;
    const struct playbook early = {.window_start_ms = 2 * HOUR_MS + 30 * MINUTE_MS, .window_end_ms = 20 * HOUR_MS};
    const struct zone *york = zones_find(zones, SPAN("America/New_York"));
    assert_int_equal(next_start(&early, york, at("2024-03-10T01:00:00-05:00")), at("2024-03-10T03:00:00-04:00"));
    const struct playbook overlap = {.window_start_ms = HOUR_MS + 30 * MINUTE_MS, .window_end_ms = 20 * HOUR_MS};
    assert_int_equal(next_start(&overlap, york, at("2024-11-03T00:00:00-04:00")), at("2024-11-03T01:30:00-04:00"));
    /* 01:10 for the second time: the earlier 01:30 is over, the wait must still end after now */
    int64_t second = at("2024-11-03T01:10:00-05:00");
    assert_int_equal(next_start(&overlap, york, second), at("2024-11-03T01:30:00-05:00"));
}

/* Every half hour of a year: where the clock is known to run on evenly, the tables say the same. */
static void r71_an_even_clock_gives_what_the_tables_give(void **state)
{
    (void)state;
    const struct zone *york = zones_find(zones, SPAN("America/New_York"));
    for (int64_t now = at("2024-01-01T00:10:00Z"); now < at("2025-01-01T00:00:00Z"); now += HOUR_MS / 2) {
        for (int64_t start = 0; start < 4 * HOUR_MS; start += HOUR_MS / 2) {
            const struct playbook playbook = {.window_start_ms = start, .window_end_ms = 20 * HOUR_MS};
            const struct wall_clock clock = clock_at(york, now);
            struct wall_clock unknown = clock;
            unknown.until = now;
            assert_int_equal(window_next_start(&playbook, &clock), window_next_start(&playbook, &unknown));
            assert_int_equal(window_next_day_start(&playbook, &clock), window_next_day_start(&playbook, &unknown));
        }
    }
}

static void r70_a_day_is_the_customers_calendar_day(void **state)
{
    (void)state;
    int64_t noon = at("2024-06-01T12:00:00Z");
    int64_t day = timestamp_days_from_civil(2024, 6, 1);
    assert_int_equal(window_day(NULL, noon), day);
    assert_int_equal(window_day(zones_find(zones, SPAN("Pacific/Auckland")), noon), day + 1);
    assert_int_equal(window_day(zones_find(zones, SPAN("Pacific/Honolulu")), at("2024-06-01T09:59:59Z")), day - 1);
}

static struct trigger at_nine(const struct calendar_date *dates, size_t count)
{
    return (struct trigger){
        .kind = TRIGGER_CALENDAR, .dates = dates, .date_count = count, .time_of_day_ms = 9 * HOUR_MS};
}

static void r62_the_next_date_is_strictly_ahead(void **state)
{
    (void)state;
    static const struct calendar_date dates[] = {{2, 4}, {11, 7}};
    const struct trigger trigger = at_nine(dates, 2);
    const struct zone *tokyo = zones_find(zones, SPAN("Asia/Tokyo"));
    int64_t day;
    assert_int_equal(window_next_date(&trigger, tokyo, at("2024-02-04T08:59:59.999+09:00"), &day),
                     at("2024-02-04T09:00:00+09:00"));
    assert_int_equal(day, timestamp_days_from_civil(2024, 2, 4));
    assert_int_equal(window_next_date(&trigger, tokyo, at("2024-02-04T09:00:00+09:00"), &day),
                     at("2024-11-07T09:00:00+09:00"));
    assert_int_equal(window_next_date(&trigger, tokyo, at("2024-12-31T23:00:00+09:00"), &day),
                     at("2025-02-04T09:00:00+09:00"));
    assert_int_equal(day, timestamp_days_from_civil(2025, 2, 4));
}

static void r62_a_leap_day_comes_in_leap_years_only(void **state)
{
    (void)state;
    static const struct calendar_date dates[] = {{2, 29}};
    const struct trigger trigger = at_nine(dates, 1);
    const struct zone *tokyo = zones_find(zones, SPAN("Asia/Tokyo"));
    int64_t day;
    assert_int_equal(window_next_date(&trigger, tokyo, at("2022-01-01T03:00:00+09:00"), &day),
                     at("2024-02-29T09:00:00+09:00"));
    assert_int_equal(day, timestamp_days_from_civil(2024, 2, 29));
    assert_int_equal(window_next_date(&trigger, tokyo, at("2024-02-29T09:00:00+09:00"), &day),
                     at("2028-02-29T09:00:00+09:00"));
    assert_int_equal(window_next_date(&trigger, tokyo, at("2096-02-29T09:00:00+09:00"), &day),
                     at("2104-02-29T09:00:00+09:00")); /* none in 2100 */
    assert_int_equal(day, timestamp_days_from_civil(2104, 2, 29));
}

static void r33_an_unknown_zone_falls_back_to_the_playbooks(void **state)
{
    (void)state;
    const struct playbook playbook = {.time_zone = {"Asia/Tokyo", 10}};
    const struct zone *tokyo = zones_find(zones, SPAN("Asia/Tokyo"));
    assert_ptr_equal(window_zone(&playbook, zones, SPAN("Mars/Base"), tokyo), tokyo);
    assert_ptr_equal(window_zone(&playbook, zones, SPAN_NONE, NULL), tokyo);
    const struct zone *london = zones_find(zones, SPAN("Europe/London"));
    assert_ptr_equal(window_zone(&playbook, zones, SPAN("Europe/London"), tokyo), london);
    assert_ptr_equal(window_zone(&playbook, zones, SPAN("Europe/London"), london), london);
    assert_ptr_equal(window_zone(&playbook, zones, SPAN_NONE, london), tokyo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r71_the_window_is_open_from_nine_to_just_before_eight),
        cmocka_unit_test(r71_what_is_held_goes_at_the_next_nine),
        cmocka_unit_test(r71_a_gap_gives_the_first_instant_after_an_overlap_the_earlier),
        cmocka_unit_test(r71_an_even_clock_gives_what_the_tables_give),
        cmocka_unit_test(r70_a_day_is_the_customers_calendar_day),
        cmocka_unit_test(r62_the_next_date_is_strictly_ahead),
        cmocka_unit_test(r62_a_leap_day_comes_in_leap_years_only),
        cmocka_unit_test(r33_an_unknown_zone_falls_back_to_the_playbooks),
    };
    return cmocka_run_group_tests(tests, load, NULL);
}
