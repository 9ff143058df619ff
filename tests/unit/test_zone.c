#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "common/base/timestamp.h"
#include "common/io/zones_load.h"
#include "tests/unit/zone_vectors.h"

static struct zones *zones;

static int load(void **state)
{
    char error[ZONES_ERROR_SIZE];
    (void)state;
    zones = zones_load(NULL, error);
    return zones == NULL ? -1 : 0;
}

static int unload(void **state)
{
    (void)state;
    zones_free(zones);
    return 0;
}

static const struct zone *zone_of(const char *name)
{
    const struct zone *zone = zones_find(zones, span_of(name));
    if (zone == NULL)
        fail_msg("no zone %s", name);
    return zone;
}

static int64_t at(const char *text)
{
    int64_t ms;
    CHECK(timestamp_parse(span_of(text), &ms));
    return ms;
}

static void offsets_agree_with_zoneinfo(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(offset_vectors); i++) {
        int64_t utc = offset_vectors[i].utc_s * 1000;
        int64_t offset = (zone_local(zone_of(offset_vectors[i].zone), utc) - utc) / 1000;
        if (offset != offset_vectors[i].offset_s)
            fail_msg("%s at %lld: %lld, expected %lld", offset_vectors[i].zone, (long long)utc / 1000,
                     (long long)offset, (long long)offset_vectors[i].offset_s);
    }
}

/* From change to change through a hundred years: up to its end an offset is what zone_local adds, and no longer. */
static void an_offset_holds_until_its_end(void **state)
{
    (void)state;
    static const char *const names[] = {"America/New_York", "Europe/London", "Pacific/Apia", "Asia/Tokyo"};
    int changes = 0;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const struct zone *zone = zone_of(names[i]);
        int64_t until;
        for (int64_t utc = at("1970-06-01T00:00:00.500Z"); utc < at("2070-01-01T00:00:00Z"); utc = until) {
            int64_t offset = zone_offset(zone, utc, &until);
            assert_int_equal(utc + offset, zone_local(zone, utc));
            if (until == INT64_MAX)
                break;
            assert_true(until > utc);
            for (int part = 1; part <= 8; part++) {
                int64_t between = utc + (until - 1 - utc) / 8 * part;
                assert_int_equal(between + offset, zone_local(zone, between));
            }
            assert_int_equal(until - 1 + offset, zone_local(zone, until - 1));
            changes += until + offset != zone_local(zone, until);
        }
    }
    assert_true(changes > 300);
    int64_t until;
    assert_int_equal(zone_offset(NULL, at("2020-01-01T00:00:00Z"), &until), 0);
    assert_int_equal(until, INT64_MAX);
}

static void local_times_agree_with_zoneinfo(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(local_vectors); i++) {
        int64_t utc = zone_utc(zone_of(local_vectors[i].zone), local_vectors[i].local_s * 1000) / 1000;
        if (utc != local_vectors[i].utc_s)
            fail_msg("%s, wall clock %lld: %lld, expected %lld", local_vectors[i].zone,
                     (long long)local_vectors[i].local_s, (long long)utc, (long long)local_vectors[i].utc_s);
    }
}

/* Readable ones beside the table. New York 2050: 02:30 on March 13 does not exist; 01:30 on November 6 is there twice.
 */
static void r71_gap_and_overlap(void **state)
{
    (void)state;
    const struct zone *new_york = zone_of("America/New_York");
    assert_int_equal(zone_utc(new_york, at("2050-03-13T02:30:00.250Z")), at("2050-03-13T07:00:00Z"));
    assert_int_equal(zone_utc(new_york, at("2050-11-06T01:30:00.250Z")), at("2050-11-06T05:30:00.250Z"));
    assert_int_equal(zone_local(new_york, at("2050-07-01T00:00:00.999Z")), at("2050-06-30T20:00:00.999Z"));
    assert_int_equal(zone_utc(zone_of("Asia/Tokyo"), at("2030-01-01T09:00:00Z")), at("2030-01-01T00:00:00Z"));
    /* Samoa had no 30 December 2011 at all. */
    assert_int_equal(zone_utc(zone_of("Pacific/Apia"), at("2011-12-30T12:00:00Z")), at("2011-12-30T10:00:00Z"));
}

static void round_trip(void **state)
{
    static const char *const names[] = {"Australia/Lord_Howe", "Africa/Casablanca", "Europe/London", "Asia/Tokyo"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const struct zone *zone = zone_of(names[i]);
        for (int64_t utc = 0; utc < at("2100-01-01T00:00:00Z"); utc += 7 * DAY_MS + 3 * HOUR_MS + 17) {
            int64_t back = zone_utc(zone, zone_local(zone, utc));
            assert_true(back == utc || (back < utc && zone_local(zone, back) == zone_local(zone, utc)));
        }
    }
}

static void utc_without_a_zone(void **state)
{
    (void)state;
    assert_int_equal(zone_local(NULL, 123), 123);
    assert_int_equal(zone_utc(NULL, 123), 123);
}

static void r33_names(void **state)
{
    (void)state;
    assert_null(zones_find(zones, SPAN("Asia/Edo")));
    assert_null(zones_find(zones, SPAN("asia/tokyo")));
    assert_null(zones_find(zones, SPAN("right/Asia/Tokyo")));
    assert_null(zones_find(zones, SPAN("posix/Asia/Tokyo")));
    assert_null(zones_find(zones, SPAN("")));
    assert_non_null(zones_find(zones, SPAN("UTC")));
    assert_true(zones_version(zones).size >= 5);
}

/* A one-transition file, cut at every length and with every byte turned over: refused or read, never a crash. */
static void bad_tables_are_refused(void **state)
{
    static const unsigned char head[44] = {'T', 'Z', 'i', 'f', '2', [39] = 1, [43] = 4};
    unsigned char file[44 + 10 + 44 + 9 + 10 + 7], changed[sizeof file];
    size_t size = 0;
    (void)state;
    memcpy(file, head, 44);
    memcpy(file + 44, "\0\0\0\0\0\0ABC", 10);
    size = 54;
    memcpy(file + size, head, 44);
    file[size + 35] = 1; /* one transition */
    size += 44;
    memcpy(file + size, "\0\0\0\0\1\0\0\0\0", 9);
    memcpy(file + size + 9, "\0\0\0\0\0\0ABC", 10);
    memcpy(file + size + 19, "\nABC-1\n", 7);
    size += 26;
    assert_int_equal(size, sizeof file);
    struct zones *set = zones_new();
    assert_true(zones_add(set, SPAN("X"), (struct span){(char *)file, size}));
    assert_int_equal(zone_local(zones_find(set, SPAN("X")), 0), 0);
    assert_int_equal(zone_local(zones_find(set, SPAN("X")), 20000000000), 20000000000 + HOUR_MS);
    for (size_t cut = 0; cut < size; cut++)
        assert_false(zones_add(set, SPAN("Y"), (struct span){(char *)file, cut}));
    for (size_t i = 0; i < size; i++) {
        memcpy(changed, file, size);
        changed[i] ^= 0xff;
        if (zones_add(set, SPAN("Z"), (struct span){(char *)changed, size}))
            zone_utc(zones_find(set, SPAN("Z")), 20000000000);
    }
    zones_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_agree_with_zoneinfo), cmocka_unit_test(local_times_agree_with_zoneinfo),
        cmocka_unit_test(r71_gap_and_overlap),         cmocka_unit_test(round_trip),
        cmocka_unit_test(utc_without_a_zone),          cmocka_unit_test(r33_names),
        cmocka_unit_test(bad_tables_are_refused),      cmocka_unit_test(an_offset_holds_until_its_end),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
