/* JSON to an event by hand and by a tree (tests/lib/event_ways.h): the same of every line, or the same fault. Lines of
 * every field, cut at every byte, and 60,000 seeded mutations of them; a line that differs is shrunk and printed. */
#include "common/codec/event_names.h"
#include "tests/lib/event_ways.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { LINE_MAX_SIZE = 4096, MUTATIONS = 60000 };

static const char *const whole_lines[] = {
    "{\"topic\":\"orders\",\"received_at\":1291191975605,\"event\":{\"event_id\":\"order-536365\",\"customer_id\":"
    "\"17850\",\"occurred_at\":1291191960000,\"source\":\"shop\",\"kind\":\"PLACED\",\"order_id\":\"536365\","
    "\"currency\":\"GBP\",\"lines\":[{\"sku\":\"DAILY-02\",\"quantity\":1,\"unit_price\":6101},{\"sku\":\"DAILY-06\","
    "\"quantity\":12,\"unit_price\":7811}],\"campaign\":\"social\",\"line_registered\":true,\"marketing_consent\":true,"
    "\"time_zone\":\"Europe/London\"}}",
    "{\"topic\": \"crm.orders\", \"event\": {\"event_id\": \"e\", \"version\": 3, \"customer_id\": \"c\", "
    "\"occurred_at\": \"2024-01-31T09:00:00+09:00\", \"backfill\": true, \"test\": false, \"kind\": "
    "\"SUBSCRIPTION_CANCELLED\", \"order_id\": \"\\u6298\\u3005\", \"subscription_id\": \"sub\", "
    "\"referrer_customer_id\": \"ref\", \"coupon\": \"C\", \"lines\": [ { \"unit_price\" : 100 } , {\"sku\": null, "
    "\"what\": [1, {\"a\": 2.5e3}]} ], \"refund_amount\": -12, \"email_registered\": false}, \"received_at\": 7}",
    "{\"topic\":\"deliveries\",\"received_at\":1291209965501,\"event\":{\"event_id\":\"shipped-536365\",\"customer_"
    "id\":"
    "\"17850\",\"occurred_at\":1291209960000,\"source\":\"carrier\",\"kind\":\"SHIPPED\",\"estimated_at\":"
    "1291469160000,"
    "\"tracking\":\"RM536365GB\",\"order_id\":\"536365\",\"carrier\":\"royal-mail\",\"parcel_id\":\"p\"}}",
    "{\"topic\":\"surveys\",\"received_at\":1290588722313,\"event\":{\"event_id\":\"answer-536605-assess\","
    "\"customer_id\":\"13715\",\"occurred_at\":1290588720000,\"source\":\"survey\",\"survey_id\":\"assess\","
    "\"response_id\":\"536605-assess\",\"purpose\":\"FIRST_IMPRESSION\",\"satisfaction\":1,\"nps\":10,\"effect_felt\":"
    "false,\"goal\":\"\xe7\xbe\x8e\",\"consent_to_share\":true,\"comment\":\"x\\ty\",\"answers\":{\"q\":\"a\"},"
    "\"concerns\":[\"quality\",\"usage\"]}}",
    "{\"event\":{\"event_id\":\"open-13767-1\",\"customer_id\":\"13767\",\"occurred_at\":1291375320000,\"kind\":"
    "\"OPENED\","
    "\"agent\":\"HUMAN\",\"channel\":\"LINE\",\"action_id\":\"0123456789abcdef\",\"campaign\":\"mail-1\"},"
    "\"received_at\":1291375324280,\"topic\":\"email-opens\"}",
    "{\"topic\":\"customers\",\"key\":{\"a\":[null]},\"event\":{\"event_id\":\"r\",\"customer_id\":\"15694\","
    "\"occurred_at\":1291535340000,\"kind\":\"REFERRED\",\"referred_customer_id\":\"f\",\"channel\":\"EMAIL\","
    "\"marketing_consent\":false,\"note\":\"n\",\"nobody\":1,\"reads\":2}}"};

static const char *const values[] = {"null",
                                     "true",
                                     "false",
                                     "0",
                                     "00",
                                     "-1",
                                     "1.5",
                                     "5.0",
                                     "1e2",
                                     "9",
                                     "11",
                                     "65",
                                     "99999999",
                                     "123456789",
                                     "140737488355328",
                                     "140737488355329",
                                     "999999999999999",
                                     "1000000000000000",
                                     "9223372036854775807",
                                     "9223372036854775808",
                                     "\"\"",
                                     "\"\\u0041\"",
                                     "\"\\ud800\"",
                                     "\"\\ud83d\\ude00\"",
                                     "\"a\\\"b\"",
                                     "\"\x7f\"",
                                     "\"\xc3\xa9\"",
                                     "\"\xc3\"",
                                     "\"\x01\"",
                                     "\"PLACED\"",
                                     "\"EFFECT\"",
                                     "\"EMAIL\"",
                                     "\"orders\"",
                                     "\"surveys\"",
                                     "\"crm.customers\"",
                                     "\"nowhere\"",
                                     "\"2024-02-29T12:30Z\"",
                                     "\"2023-02-29T12:30:00Z\"",
                                     "[]",
                                     "{}",
                                     "[[]]",
                                     "[{}]",
                                     "[\"price\"]",
                                     "[\"price\",\"price\",1]",
                                     "[{\"sku\":\"a\",\"quantity\":1,\"sku\":\"b\"}]",
                                     "[{\"sku\":\"\",\"quantity\":-2}]",
                                     "[{\"quantity\":1.5}]",
                                     "{\"a\":1,\"a\":2}",
                                     "\"a text that is longer than the sixty-four bytes of a campaign, as it may be\""};
static const char *const members[] = {"\"test\":true,",         "\"nps\":3,",         "\"\\u006eps\":4,",
                                      "\"event_id\":\"x\",",    "\"k\":\"v\",",       "\"\\ud800\":0,",
                                      "\"topic\":\"surveys\",", "\"topic\":1,",       "\"event\":{\"occurred_at\":4},",
                                      "\"received_at\":5,",     "\"occurred_at\":6,", "\"version\" : 7 ,"};
static const char *const pieces[] = {" ", "\t", "\r\n", ",", ":", "\"", "\\", "{", "}", "[", "]", "1E", "\x80"};

static struct arena arena;

/* The line in memory of just its size: a read behind it is seen by the address sanitizer. */
static bool agrees(const char *line, size_t size)
{
    char *exact = malloc(size > 0 ? size : 1);
    assert_non_null(exact);
    memcpy(exact, line, size);
    bool agree = ways_agree((struct span){exact, size}, &arena);
    free(exact);
    arena_reset(&arena);
    return agree;
}

/* Without any part that the difference does not need. */
static size_t shrink(char *line, size_t size)
{
    char less[LINE_MAX_SIZE];
    for (size_t part = size / 2; part > 0; part /= 2)
        for (size_t at = 0; at + part <= size;) {
            memcpy(less, line, at);
            memcpy(less + at, line + at + part, size - at - part);
            if (agrees(less, size - part)) {
                at++;
                continue;
            }
            size -= part;
            memcpy(line, less, size);
        }
    return size;
}

static void assert_agrees(const char *line, size_t size)
{
    char small[LINE_MAX_SIZE];
    if (agrees(line, size))
        return;
    memcpy(small, line, size);
    size = shrink(small, size);
    fail_msg("read otherwise by hand than by a tree: %.*s", (int)size, small);
}

static uint64_t random_below(uint64_t *seed, size_t bound)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (*seed >> 11) % bound;
}

/* Behind a random one of the signs, e.g. where a value begins. */
static size_t random_place(uint64_t *seed, const char *signs, const char *line, size_t size)
{
    size_t at = random_below(seed, size);
    for (size_t i = 0; i < size; i++, at = (at + 1) % size)
        if (strchr(signs, line[at]) != NULL)
            return at + 1;
    return at;
}

static size_t value_size(const char *at, size_t size)
{
    size_t end = 0;
    while (end < size && strchr(",}]", at[end]) == NULL)
        end++;
    return end;
}

static size_t replace(char *line, size_t size, size_t at, size_t gone, const char *with, size_t with_size)
{
    if (size - gone + with_size > LINE_MAX_SIZE)
        return size;
    memmove(line + at + with_size, line + at + gone, size - at - gone);
    memcpy(line + at, with, with_size);
    return size - gone + with_size;
}

#define ONE_OF(seed, list) ((list)[random_below((seed), COUNT_OF(list))])

static size_t insert(char *line, size_t size, size_t at, const char *text)
{
    return replace(line, size, at, 0, text, strlen(text));
}

static size_t mutate(uint64_t *seed, char *line, size_t size)
{
    char copy[LINE_MAX_SIZE];
    size_t at = random_place(seed, ":", line, size), from = random_place(seed, ":,", line, size);
    size_t gone = value_size(line + at, size - at), taken = value_size(line + from, size - from);
    const char *value = ONE_OF(seed, values);
    memcpy(copy, line + from, taken);
    switch (random_below(seed, 16)) {
    case 0:
        line[random_below(seed, size)] = (char)random_below(seed, 256);
        return size;
    case 1:
        return insert(line, size, random_below(seed, size), ONE_OF(seed, pieces));
    case 2: /* cut */
        return 1 + random_below(seed, size);
    case 3: /* a value, or a member, instead of a value */
        return replace(line, size, at, gone, copy, taken);
    case 4: /* a value or a member less */
        return replace(line, size, from, taken, "", 0);
    case 5:
    case 6: /* white space where it may be */
        return insert(line, size, random_place(seed, ":,{[", line, size), "  ");
    case 7:
    case 8:
    case 9: /* a member more, perhaps one that is there */
        return insert(line, size, random_place(seed, ",{", line, size), ONE_OF(seed, members));
    default:
        return replace(line, size, at, gone, value, strlen(value));
    }
}

static void whole_lines_are_read_alike_to_every_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(whole_lines); i++)
        for (size_t size = 0; size <= strlen(whole_lines[i]); size++)
            assert_agrees(whole_lines[i], size);
}

static void every_byte_may_be_another(void **state)
{
    (void)state;
    static const char bytes[] = "\"\\{}[],: \t09-.ex\x01\x7f\x80\xc3";
    char line[LINE_MAX_SIZE];
    for (size_t i = 0; i < COUNT_OF(whole_lines); i++) {
        size_t size = strlen(whole_lines[i]);
        for (size_t at = 0; at < size; at++)
            for (size_t byte = 0; byte < sizeof bytes; byte++) {
                memcpy(line, whole_lines[i], size);
                line[at] = bytes[byte];
                assert_agrees(line, size);
            }
    }
}

static void mutated_lines_are_read_alike(void **state)
{
    (void)state;
    const char *seed_text = getenv("ORIORI_TEST_SEED");
    uint64_t seed = seed_text != NULL ? strtoull(seed_text, NULL, 10) : 1;
    char line[LINE_MAX_SIZE];
    print_message("seed %llu\n", (unsigned long long)seed);
    seed = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (int i = 0; i < MUTATIONS; i++) {
        const char *whole = whole_lines[random_below(&seed, COUNT_OF(whole_lines))];
        size_t size = strlen(whole);
        memcpy(line, whole, size);
        for (size_t changes = 1 + random_below(&seed, 3); changes > 0 && size > 0; changes--)
            size = mutate(&seed, line, size);
        assert_agrees(line, size);
    }
}

/* An object of more keys than are compared pair by pair, and one as deep as a line may be, or deeper. */
static void many_keys_and_deep_values_are_read_alike(void **state)
{
    (void)state;
    for (int keys = 30; keys < 36; keys++)
        for (int twice = 0; twice < 2; twice++) {
            char line[LINE_MAX_SIZE];
            size_t size = (size_t)snprintf(line, sizeof line, "{\"topic\":\"orders\",\"event\":{\"occurred_at\":1");
            for (int i = 0; i < keys; i++)
                size +=
                    (size_t)snprintf(line + size, sizeof line - size, ",\"k%d\":%d", twice && i == keys - 1 ? 3 : i, i);
            size += (size_t)snprintf(line + size, sizeof line - size, "}}");
            assert_agrees(line, size);
        }
    for (int depth = 250; depth < 260; depth++) {
        char line[LINE_MAX_SIZE];
        size_t size =
            (size_t)snprintf(line, sizeof line, "{\"topic\":\"surveys\",\"event\":{\"occurred_at\":1,\"answers\":");
        memset(line + size, '[', (size_t)depth);
        memset(line + size + depth, ']', (size_t)depth);
        size += 2 * (size_t)depth;
        size += (size_t)snprintf(line + size, sizeof line - size, "}}");
        assert_agrees(line, size);
    }
}

static void assert_named(const struct name_table *table, const char *name, const char *behind, size_t number)
{
    char text[64];
    size_t size = (size_t)snprintf(text, sizeof text, "\"%s%s", name, behind);
    const unsigned char *at = (const unsigned char *)text;
    const struct name *found = name_find(table, at, at + size);
    assert_non_null(found);
    assert_true(found->number == number && found->size == size);
    assert_null(name_find(table, at, at + size - 1));
    text[1] ^= 1;
    assert_null(name_find(table, at, at + size));
}

/* Else lines were read rightly, but slowly. */
static void every_name_is_found_the_quick_way(void **state)
{
    (void)state;
    const struct event_names *names = event_names();
    size_t count;
    const struct event_field *fields = event_fields(&count);
    for (enum topic topic = 0; topic < TOPIC_COUNT; topic++) {
        enum event_kind kind;
        assert_named(&names->topics, topic_name(topic), "\"", topic);
        for (size_t i = 0; i < count; i++)
            if (event_field_find(topic, fields[i].name, NULL) != NULL)
                assert_named(&names->fields[topic], fields[i].name.data, "\":", i);
        for (enum event_kind i = 0; i < EVENT_KIND_COUNT; i++)
            if (event_kind_find(topic, span_of(event_kind_name(i)), &kind))
                assert_named(&names->kinds[topic], event_kind_name(i), "\"", i);
    }
    for (enum purpose i = 0; i < PURPOSE_COUNT; i++)
        assert_named(&names->purposes, purpose_name(i), "\"", i);
    for (enum concern i = 0; i < CONCERN_COUNT; i++)
        assert_named(&names->concerns, concern_name(i), "\"", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_lines_are_read_alike_to_every_cut),
        cmocka_unit_test(every_byte_may_be_another),
        cmocka_unit_test(mutated_lines_are_read_alike),
        cmocka_unit_test(many_keys_and_deep_values_are_read_alike),
        cmocka_unit_test(every_name_is_found_the_quick_way),
    };
    arena_init(&arena, 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_release(&arena);
    return failed;
}
