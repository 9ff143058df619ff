/* `simulate` around the real engine: the clock (R83), what is printed and in which order (R84, R85), what is refused.
 */
#include "common/base/check.h"
#include "common/io/data_file.h"
#include "common/io/zone_files.h"
#include "workers/simulate/customers.h"
#include "workers/simulate/lines.h"
#include "workers/simulate/simulate.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct playbook *playbook;
static struct zones *zones;

struct replay {
    char *out, *errors;
    size_t out_size, errors_size;
    struct simulate_result result;
    json_t *records; /* each line */
    json_t *summary; /* the last of them; borrowed */
};

static int setup(void **state)
{
    struct buffer yaml = {0};
    struct playbook_errors errors = {0};
    const char *folder;
    (void)state;
    zones = zone_files_load(&folder);
    if (zones == NULL || !file_read(ORIORI_SOURCE_DIR "/schemas/playbook.yaml", &yaml))
        return -1;
    playbook = playbook_compile(buffer_span(&yaml), "playbook.yaml", &errors);
    buffer_release(&errors.text);
    buffer_release(&yaml);
    return playbook == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    playbook_free(playbook);
    zones_free(zones);
    return 0;
}

static struct replay run(struct simulate_options options, const char *lines)
{
    struct replay o = {0};
    FILE *in = fmemopen((char *)lines, strlen(lines), "r");
    FILE *out = open_memstream(&o.out, &o.out_size), *errors = open_memstream(&o.errors, &o.errors_size);
    assert_true(in != NULL && out != NULL && errors != NULL);
    o.result = simulate_run(&options, playbook, zones, in, out, errors);
    fclose(in);
    fclose(out);
    fclose(errors);
    return o;
}

/* The summary alone, for which the engine counts what it would record, says what is the last line of all. */
static void summarize(struct simulate_options options, const char *lines, const struct replay *whole)
{
    size_t size = strlen(whole->out), start = size - 1;
    while (start > 0 && whole->out[start - 1] != '\n')
        start--;
    options.summary = true;
    struct replay alone = run(options, lines);
    assert_string_equal(alone.out, whole->out + start);
    assert_string_equal(alone.errors, whole->errors);
    free(alone.out);
    free(alone.errors);
}

/* However much room there is for open states, the output is the same: for none, for one customer who has to go at once,
 * for a few, for all. */
static struct replay simulate(struct simulate_options options, const char *lines)
{
    static const size_t hot_sizes[] = {1, 12000, HOT_SIZE_USUAL};
    struct replay o = run(options, lines);
    for (size_t i = 0; i < COUNT_OF(hot_sizes); i++) {
        options.hot_size = hot_sizes[i];
        struct replay hot = run(options, lines);
        assert_string_equal(hot.out, o.out);
        assert_string_equal(hot.errors, o.errors);
        free(hot.out);
        free(hot.errors);
    }
    summarize(options, lines, &o);
    o.records = json_array();
    for (char *line = o.out, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        json_t *record = json_loadb(line, (size_t)(end - line), JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(record);
        json_array_append_new(o.records, record);
    }
    assert_true(json_array_size(o.records) > 0);
    o.summary = json_array_get(o.records, json_array_size(o.records) - 1);
    assert_string_equal(json_string_value(json_object_get(o.summary, "type")), "summary");
    return o;
}

static void release(struct replay *o)
{
    json_decref(o->records);
    free(o->out);
    free(o->errors);
}

static int64_t clock_of(const struct replay *o)
{
    return json_integer_value(json_object_get(o->summary, "clock"));
}

static int64_t events_of(const struct replay *o, const char *name)
{
    json_t *count = json_object_get(json_object_get(o->summary, "events"), name);
    assert_non_null(count);
    return json_integer_value(count);
}

static const char *text_of(const json_t *record, const char *key)
{
    const char *text = json_string_value(json_object_get(record, key));
    return text != NULL ? text : "";
}

#define NOW    "1700000000000"
#define NOW_MS INT64_C(1700000000000)
#define EVENT(id, customer, at, more)                                                                                  \
    "{\"topic\":\"orders\",\"event\":{\"event_id\":\"" id "\",\"customer_id\":\"" customer "\",\"occurred_at\":" at    \
    "," more "}}\n"
#define PLACED(id, customer, at) EVENT(id, customer, at, "\"kind\":\"PLACED\",\"order_id\":\"o-" id "\"")
#define RECEIVED(id, customer, at, received)                                                                           \
    "{\"received_at\":" received ",\"topic\":\"orders\",\"event\":{\"event_id\":\"" id                                 \
    "\",\"customer_id\":\"" customer "\",\"occurred_at\":" at ",\"kind\":\"PLACED\",\"order_id\":\"o-" id "\"}}\n"

static void r83_clock_is_the_latest_time_seen(void **state)
{
    static const struct {
        const char *lines;
        int64_t clock, applied, dead;
    } cases[] = {
        {PLACED("a", "c", NOW) PLACED("b", "c", "1600000000000"), NOW_MS, 2, 0},
        {RECEIVED("a", "c", "1600000000000", NOW), NOW_MS, 1, 0},
        {PLACED("a", "c", NOW) PLACED("a", "c", NOW) "{\"topic\":\"x\",\"event\":{\"occurred_at\":1700000000009}}\n",
         NOW_MS + 9, 1, 1}, /* refused lines move it */
        {PLACED("a", "c", NOW) EVENT("b", "c", "true", "\"kind\":\"PLACED\""), NOW_MS, 1, 1}, /* but for their times */
        {PLACED("a", "c", NOW) "{\"received_at\":1800000000000,\"topic\":\"orders\",\"event\":{\"event_id\":\"b\","
                               "\"customer_id\":\"c\",\"kind\":\"PLACED\"}}\n",
         NOW_MS, 1, 1},
        {PLACED("a", "c", NOW) PLACED("b", "c", "1734560000000"), INT64_C(1734560000000), 2, 0}, /* 400 d ahead */
        {PLACED("a", "c", NOW) PLACED("b", "c", "1734560000001"), NOW_MS, 1, 1},                 /* and 1 ms */
        {PLACED("a", "c", "5") "garbage\n" PLACED("b", "c", "6"), 6, 2, 1}, /* the first line has no clock before it */
        {RECEIVED("a", "c", "1700086400000", NOW), NOW_MS, 1, 0},           /* R6: 24 h ahead */
        {PLACED("z", "c", "1699999999999") RECEIVED("a", "c", "1700086400001", NOW), NOW_MS - 1, 1, 1}, /* and 1 ms */
        {PLACED("a", "c", NOW) RECEIVED("b", "c", "1700086400000", "1600000000000"), NOW_MS, 2,
         0},                                                /* judged by the clock, not by the line */
        {" \t\n" PLACED("a", "c", NOW) "\n", NOW_MS, 1, 0}, /* blank lines are none */
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct replay o = simulate((struct simulate_options){.until = NEVER}, cases[i].lines);
        if (clock_of(&o) != cases[i].clock || events_of(&o, "dead_letter") != cases[i].dead)
            print_message("case %zu: %s", i, o.out);
        assert_true(clock_of(&o) == cases[i].clock);
        assert_true(events_of(&o, "dead_letter") == cases[i].dead && o.result.dead_letter_count == cases[i].dead);
        assert_true(events_of(&o, "applied") == cases[i].applied);
        release(&o);
    }
}

static void r83_until_is_inclusive(void **state)
{
    (void)state;
    struct replay o =
        simulate((struct simulate_options){.until = NOW_MS},
                 PLACED("a", "c", "1699999999999") PLACED("b", "c", "1700000000001") PLACED("d", "c", NOW));
    assert_true(events_of(&o, "read") == 2 && events_of(&o, "applied") == 2 && clock_of(&o) == NOW_MS);
    release(&o);
    /* the tier falls at 90 d exactly: by --until and no earlier */
    int64_t fall = NOW_MS + 90 * DAY_MS;
    static const char order[] =
        EVENT("a", "c", NOW, "\"kind\":\"PLACED\",\"order_id\":\"o\",\"email_registered\":true");
    for (int after = -1; after <= 0; after++) {
        o = simulate((struct simulate_options){.until = fall + after}, order);
        json_t *moves =
            json_object_get(json_object_get(json_object_get(o.summary, "transitions"), "tier"), "follower>dormant");
        assert_true(json_integer_value(moves) == (after == 0));
        assert_true(clock_of(&o) == fall + after);
        release(&o);
    }
}

static void r2_a_cancellation_at_a_timers_instant_wins(void **state)
{
    /* delivered; effect_reminder is due 14 d later, and the order is cancelled in that very millisecond, or one later
     */
    static const char history[] = EVENT("a", "c", NOW,
                                        "\"kind\":\"PLACED\",\"order_id\":\"o\",\"email_registered\":true,\"marketing_"
                                        "consent\":true") "{\"topic\":\"deliveries\",\"event\":{\"event_id\":\"b\","
                                                          "\"customer_id\":\"c\",\"occurred_at\":" NOW
                                                          ",\"kind\":\"DELIVERED\",\"order_id\":\"o\"}}\n";
    (void)state;
    for (int late = 0; late <= 1; late++) {
        char lines[2048];
        snprintf(lines, sizeof lines,
                 "%s{\"topic\":\"orders\",\"event\":{\"event_id\":\"d\",\"customer_id\":\"c\",\"occurred_at\":%lld,"
                 "\"kind\":\"CANCELLED\",\"order_id\":\"o\"}}\n",
                 history, (long long)(NOW_MS + 14 * DAY_MS + late));
        struct replay o = simulate((struct simulate_options){.until = NEVER, .decisions = true}, lines);
        json_t *outcomes = json_object_get(json_object_get(o.summary, "decisions"), "effect_reminder");
        json_t *deferred = json_object_get(outcomes, "deferred"); /* 07:13 in Tokyo */
        assert_int_equal(json_integer_value(json_object_get(outcomes, "cancelled")), 1);
        assert_int_equal(json_integer_value(deferred), late);
        assert_int_equal(json_object_size(outcomes), 1 + late);
        release(&o);
    }
}

static void r85_records_are_sorted_and_seq_counts_all(void **state)
{
    static const char lines[] = PLACED("a", "z", NOW) PLACED("b", "\\u00e9", NOW) PLACED("d", "a", NOW)
        PLACED("e", "z", NOW) PLACED("f", "B", "1700000000001");
    (void)state;
    for (int decisions = 0; decisions <= 1; decisions++) {
        struct replay o = simulate(
            (struct simulate_options){.until = NOW_MS + 100 * DAY_MS, .decisions = decisions != 0, .states = true},
            lines);
        int64_t last_at = 0, last_seq = 0;
        const char *last_id = "", *last_state = "";
        size_t index, decision_count = 0, state_count = 0;
        json_t *record;
        json_array_foreach(o.records, index, record)
        {
            const char *type = text_of(record, "type"), *id = text_of(record, "customer_id");
            decision_count += strcmp(type, "decision") == 0;
            if (strcmp(type, "summary") == 0)
                continue;
            if (strcmp(type, "state") == 0) {
                assert_true(strcmp(last_state, id) < 0);
                last_state = id;
                state_count++;
                continue;
            }
            assert_int_equal(state_count, 0); /* states come last */
            int64_t at = json_integer_value(json_object_get(record, "at")),
                    seq = json_integer_value(json_object_get(record, "seq"));
            int order = strcmp(last_id, id);
            assert_true(last_at < at || (last_at == at && (order < 0 || (order == 0 && last_seq < seq))));
            last_at = at;
            last_id = id;
            last_seq = seq;
        }
        assert_int_equal(state_count, 4);
        assert_true((decision_count > 0) == (decisions == 1));
        release(&o);
    }
    struct replay with = simulate((struct simulate_options){.until = NEVER, .decisions = true}, lines),
                  without = simulate((struct simulate_options){.until = NEVER}, lines);
    size_t index;
    json_t *record;
    size_t at = 0;
    json_array_foreach(with.records, index, record)
    {
        if (strcmp(text_of(record, "type"), "decision") != 0)
            assert_true(
                json_equal(record, json_array_get(without.records, at++))); /* the same seq, decisions printed or not */
    }
    assert_int_equal(at, json_array_size(without.records));
    release(&with);
    release(&without);
}

static void r84_summary_prints_nothing_else(void **state)
{
    (void)state;
    struct replay o =
        simulate((struct simulate_options){.until = NEVER, .summary = true, .states = true, .decisions = true},
                 PLACED("a", "c", NOW));
    assert_int_equal(json_array_size(o.records), 1);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(o.summary, "tiers"), "prospect")), 1);
    assert_int_equal(json_integer_value(json_object_get(
                         json_object_get(json_object_get(o.summary, "transitions"), "tier"), "null>prospect")),
                     1);
    release(&o);
    o = simulate((struct simulate_options){.until = NEVER}, "\n");
    assert_true(json_is_null(json_object_get(o.summary, "clock")) && events_of(&o, "read") == 0);
    release(&o);
}

static void r84_r31_an_erased_customer_is_only_a_mark(void **state)
{
    (void)state;
    struct replay o = simulate(
        (struct simulate_options){.until = NEVER, .states = true},
        PLACED("a", "c", NOW) "{\"topic\":\"customers\",\"event\":{\"event_id\":\"x\",\"customer_id\":\"c\",\"occurred_"
                              "at\":1700000000001,\"kind\":\"ERASED\"}}\n" PLACED("b", "c", "1700000000002"));
    assert_true(events_of(&o, "erased") == 1 && events_of(&o, "applied") == 2);
    json_t *expected = json_pack("{s:s,s:s,s:b}", "type", "state", "customer_id", "c", "erased", 1);
    assert_true(json_equal(json_array_get(o.records, json_array_size(o.records) - 2), expected));
    assert_int_equal(json_object_size(json_object_get(o.summary, "tiers")), 0);
    json_decref(expected);
    release(&o);
}

static void r86_dead_letters_name_line_and_field(void **state)
{
    (void)state;
    struct replay o =
        simulate((struct simulate_options){.until = NEVER},
                 "\n" EVENT("a", "c", NOW, "\"kind\":\"SOLD\"") "{\n" EVENT("b", "", NOW, "\"kind\":\"PLACED\""));
    assert_string_equal(o.errors, "line 2: dead letter: bad_enum: kind\nline 3: dead letter: undecodable\nline 4: dead "
                                  "letter: missing_field: customer_id\n");
    assert_true(o.result.dead_letter_count == 3 && events_of(&o, "read") == 3 && events_of(&o, "dead_letter") == 3);
    release(&o);
}

/* Some programs begin a UTF-8 file with one; anywhere else it is no JSON. */
static void r86_a_byte_order_mark_is_no_part_of_line_1(void **state)
{
    (void)state;
    struct replay o = simulate((struct simulate_options){.until = NEVER}, "\xEF\xBB\xBF" PLACED("a", "c", NOW));
    assert_int_equal(o.errors_size, 0);
    assert_int_equal(events_of(&o, "dead_letter"), 0);
    assert_true(clock_of(&o) == NOW_MS);
    release(&o);
    o = simulate((struct simulate_options){.until = NEVER}, PLACED("a", "c", NOW) "\xEF\xBB\xBF" PLACED("b", "c", NOW));
    assert_int_equal(events_of(&o, "dead_letter"), 1);
    release(&o);
    o = simulate((struct simulate_options){.until = NEVER}, "\xEF\xBB\xBF\n" PLACED("a", "c", NOW));
    assert_int_equal(events_of(&o, "dead_letter"), 0);
    release(&o);
}

static void r8_r9_tests_and_duplicates_are_counted(void **state)
{
    (void)state;
    struct replay o = simulate((struct simulate_options){.until = NEVER, .states = true},
                               EVENT("t", "nobody", NOW, "\"kind\":\"PLACED\",\"order_id\":\"o\",\"test\":true")
                                   PLACED("a", "c", NOW) PLACED("a", "c", NOW));
    assert_true(events_of(&o, "test") == 1 && events_of(&o, "duplicate") == 1 && events_of(&o, "applied") == 1);
    assert_null(strstr(o.out, "nobody")); /* a test event makes nobody known */
    release(&o);
}

static void r12_r30_a_credit_follows_at_the_same_clock(void **state)
{
    (void)state;
    struct replay o = simulate(
        (struct simulate_options){.until = NEVER, .states = true},
        EVENT("a", "friend", NOW, "\"kind\":\"PLACED\",\"order_id\":\"o\",\"referrer_customer_id\":\"a-referrer\""));
    json_t *first = json_array_get(o.records, 0);
    assert_string_equal(text_of(first, "customer_id"), "a-referrer");
    assert_true(json_integer_value(json_object_get(first, "at")) == NOW_MS);
    json_t *referrer = json_array_get(o.records, json_array_size(o.records) - 3);
    assert_string_equal(text_of(referrer, "customer_id"), "a-referrer");
    assert_int_equal(json_integer_value(json_object_get(referrer, "referrals_converted")), 1);
    assert_int_equal(events_of(&o, "applied"), 1); /* a credit is no event */
    release(&o);
}

static void r33_unknown_time_zones_count_by_name(void **state)
{
    (void)state;
    struct replay o = simulate(
        (struct simulate_options){.until = NEVER},
        EVENT("a", "c", NOW, "\"kind\":\"PLACED\",\"order_id\":\"a\",\"time_zone\":\"Mars/Base\"")
            EVENT("b", "d", NOW, "\"kind\":\"PLACED\",\"order_id\":\"b\",\"time_zone\":\"Mars/Base\"")
                EVENT("e", "d", NOW, "\"kind\":\"PLACED\",\"order_id\":\"e\",\"time_zone\":\"Mars/Far\"")
                    EVENT("f", "d", NOW, "\"kind\":\"PLACED\",\"order_id\":\"f\",\"time_zone\":\"Asia/Tokyo\""));
    assert_int_equal(json_integer_value(json_object_get(o.summary, "unknown_time_zones")), 2);
    release(&o);
}

/* The table against a plain array: thousands of customers, blobs that grow and shrink, wake-ups that move. */
static void r2_customers_wake_by_time_then_id(void **state)
{
    enum { COUNT = 3000, ROUNDS = 60000 };
    static int64_t wakes[COUNT];
    static size_t sizes[COUNT];
    struct customers customers;
    uint64_t seed = 7;
    char id[32], blob[700];
    (void)state;
    customers_init(&customers);
    for (int round = 0; round < ROUNDS; round++) {
        seed = seed * UINT64_C(6364136223846793005) + 1;
        size_t who = (seed >> 33) % COUNT;
        sizes[who] = 1 + (seed >> 20) % sizeof blob;
        wakes[who] = (seed >> 40) % 4 == 0 ? NEVER : (int64_t)((seed >> 45) % 50);
        memset(blob, (int)who, sizes[who]);
        snprintf(id, sizeof id, "c%zu", who);
        customers_store(&customers, span_of(id), (struct span){blob, sizes[who]}, wakes[who]);
    }
    for (size_t who = 0; who < COUNT; who++) {
        snprintf(id, sizeof id, "c%zu", who);
        struct customer *customer = customers_find(&customers, span_of(id));
        assert_true((customer != NULL) == (sizes[who] != 0));
        if (customer == NULL)
            continue;
        assert_int_equal(customer_state(customer).size, sizes[who]);
        assert_true(customer_wake_at(customer) == wakes[who]);
        assert_int_equal((unsigned char)customer_state(customer).data[sizes[who] - 1], who & 0xff);
    }
    size_t woken = 0, waiting = 0;
    for (size_t who = 0; who < COUNT; who++)
        waiting += sizes[who] != 0 && wakes[who] != NEVER;
    int64_t last_at = -1;
    char last_id[32] = "";
    for (struct customer *customer; (customer = customers_first(&customers)) != NULL; woken++) {
        struct span name = customer_id(customer);
        int64_t at = customer_wake_at(customer);
        assert_true(at > last_at || (at == last_at && span_compare(span_of(last_id), name) < 0));
        last_at = at;
        snprintf(last_id, sizeof last_id, "%.*s", (int)name.size, name.data);
        customers_set_wake(&customers, customer, NEVER);
    }
    assert_int_equal(woken, waiting);
    customers_release(&customers);
}

static void assert_lines_of_getline(const char *text, size_t size)
{
    FILE *in = fmemopen((char *)text, size, "r"), *again = fmemopen((char *)text, size, "r");
    struct lines lines;
    struct span line;
    char *expected = NULL;
    size_t capacity = 0;
    assert_true(in != NULL && again != NULL);
    lines_init(&lines, in);
    for (ssize_t length; (length = getline(&expected, &capacity, again)) >= 0;) {
        length -= length > 0 && expected[length - 1] == '\n';
        assert_true(lines_next(&lines, &line));
        assert_true(span_equal(line, (struct span){expected, (size_t)length}));
    }
    assert_false(lines_next(&lines, &line));
    assert_false(lines_next(&lines, &line));
    lines_release(&lines);
    free(expected);
    fclose(again);
    fclose(in);
}

/* Short ones and none, with NUL and without a last newline; one that ends with its block, one longer than two. */
static void lines_are_those_of_getline(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 0, 261, 0, 0, 70000, 191877, 4, 262143, 1, 262144, 800000, 3, 100, 1300000, 7};
    size_t size = 0;
    char *text = malloc(3 << 20);
    assert_non_null(text);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        memset(text + size, i % 3 == 0 ? '\0' : 'a' + (int)i, sizes[i]);
        size += sizes[i];
        assert_lines_of_getline(text, size > 0 ? size : 1);
        text[size++] = '\n';
        assert_lines_of_getline(text, size);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r83_clock_is_the_latest_time_seen),
        cmocka_unit_test(r83_until_is_inclusive),
        cmocka_unit_test(r2_a_cancellation_at_a_timers_instant_wins),
        cmocka_unit_test(r85_records_are_sorted_and_seq_counts_all),
        cmocka_unit_test(r84_summary_prints_nothing_else),
        cmocka_unit_test(r84_r31_an_erased_customer_is_only_a_mark),
        cmocka_unit_test(r86_dead_letters_name_line_and_field),
        cmocka_unit_test(r86_a_byte_order_mark_is_no_part_of_line_1),
        cmocka_unit_test(r8_r9_tests_and_duplicates_are_counted),
        cmocka_unit_test(r12_r30_a_credit_follows_at_the_same_clock),
        cmocka_unit_test(r33_unknown_time_zones_count_by_name),
        cmocka_unit_test(r2_customers_wake_by_time_then_id),
        cmocka_unit_test(lines_are_those_of_getline),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
