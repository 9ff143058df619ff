#include "common/base/check.h"
#include "common/codec/event_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct arena arena;
static struct event event;
static int64_t received_at;
static const char *field;

static enum reason read_line(const char *line)
{
    return event_json_read(span_of(line), &arena, &event, &received_at, &field);
}

static void assert_text(struct span actual, const char *expected)
{
    assert_true(span_equal(actual, span_of(expected)));
}

static void assert_fault(const char *line, enum reason reason, const char *expected_field)
{
    enum reason actual = read_line(line);
    if (actual != reason)
        print_message("%s: %s\n", line, reason_name(actual));
    assert_int_equal(actual, reason);
    if (expected_field == NULL)
        assert_null(field);
    else
        assert_string_equal(field, expected_field);
}

#define ORDER(more)                                                                                                    \
    "{\"topic\":\"orders\",\"event\":{\"event_id\":\"e\",\"customer_id\":\"c\",\"occurred_at\":5,\"kind\":\"PLACED\"," \
    "\"order_id\":\"o\"" more "}}"
#define SURVEY(more)                                                                                                   \
    "{\"topic\":\"surveys\",\"event\":{\"event_id\":\"e\",\"customer_id\":\"c\",\"occurred_at\":5,\"survey_id\":"      \
    "\"s\",\"response_id\":\"r\","                                                                                     \
    "\"purpose\":\"EFFECT\"" more "}}"

static void r34_every_field_of_an_order_is_read(void **state)
{
    (void)state;
    assert_int_equal(read_line(ORDER(",\"source\":\"shop\",\"version\":3,\"backfill\":true,\"test\":false,\"lines\":[{"
                                     "\"sku\":\"A\",\"quantity\":2,\"unit_price\":100},"
                                     "{\"sku\":\"B\"}],\"currency\":\"JPY\",\"subscription_id\":\"sub\",\"referrer_"
                                     "customer_id\":\"ref\",\"coupon\":\"C\",\"campaign\":\"ad\","
                                     "\"refund_amount\":0,\"email_registered\":true,\"line_registered\":false,"
                                     "\"marketing_consent\":true,\"time_zone\":\"Asia/Tokyo\"")),
                     REASON_NONE);
    assert_int_equal(event.topic, TOPIC_ORDERS);
    assert_int_equal(event.kind, EVENT_PLACED);
    assert_text(event.event_id, "e");
    assert_text(event.source, "shop");
    assert_true(event.occurred_at == 5 && event.version == 3 && event.backfill && !event.test);
    assert_int_equal(event.line_count, 2);
    assert_text(event.lines[0].sku, "A");
    assert_true(event.lines[0].quantity == 2 && event.lines[0].unit_price == 100);
    assert_true(event.lines[1].quantity == 1 && event.lines[1].unit_price == 0);
    assert_text(event.currency, "JPY");
    assert_text(event.subscription_id, "sub");
    assert_text(event.referrer_customer_id, "ref");
    assert_text(event.coupon, "C");
    assert_text(event.campaign, "ad");
    assert_true(event.refund_amount == 0);
    assert_true(event.email_registered == ANSWER_TRUE && event.line_registered == ANSWER_FALSE &&
                event.marketing_consent == ANSWER_TRUE);
    assert_text(event.time_zone, "Asia/Tokyo");
    assert_true(received_at == NEVER);
}

static void r34_every_field_of_the_other_topics_is_read(void **state)
{
    (void)state;
    assert_int_equal(
        read_line(SURVEY(
            ",\"satisfaction\":4,\"nps\":0,\"effect_felt\":false,\"goal\":\"g\",\"concerns\":[\"price\",\"other\"],"
            "\"consent_to_share\":true,\"comment\":\"x\",\"answers\":{\"q\":\"a\"}")),
        REASON_NONE);
    assert_true(event.kind == EVENT_RESPONSE && event.purpose == PURPOSE_EFFECT && event.satisfaction == 4 &&
                event.nps == 0);
    assert_true(event.effect_felt == ANSWER_FALSE && event.consent_to_share == ANSWER_TRUE);
    assert_true(event.concerns == (1u << CONCERN_PRICE | 1u << CONCERN_OTHER));
    assert_text(event.goal, "g");
    assert_int_equal(read_line("{\"topic\":\"crm.deliveries\",\"event\":{\"event_id\":\"e\",\"customer_id\":\"c\","
                               "\"occurred_at\":5,\"kind\":\"SHIPPED\",\"order_id\":\"o\","
                               "\"parcel_id\":\"p\",\"carrier\":\"y\",\"tracking\":\"t\",\"estimated_at\":\"1970-01-"
                               "01T09:00:01+09:00\"},\"received_at\":7}"),
                     REASON_NONE);
    assert_true(event.topic == TOPIC_DELIVERIES && event.kind == EVENT_SHIPPED && event.estimated_at == 1000 &&
                received_at == 7);
    assert_text(event.parcel_id, "p");
    assert_int_equal(read_line("{\"topic\":\"email-opens\",\"event\":{\"event_id\":\"e\",\"customer_id\":\"c\","
                               "\"occurred_at\":5,\"kind\":\"OPENED\","
                               "\"action_id\":\"a\",\"campaign\":\"k\",\"channel\":\"LINE\",\"agent\":\"HUMAN\"}}"),
                     REASON_NONE);
    assert_true(event.channel == EVENT_CHANNEL_LINE && event.agent == AGENT_HUMAN);
    assert_text(event.action_id, "a");
    assert_int_equal(read_line("{\"topic\":\"customers\",\"event\":{\"event_id\":\"e\",\"customer_id\":\"c\","
                               "\"occurred_at\":5,\"kind\":\"REFERRED\","
                               "\"referred_customer_id\":\"f\",\"note\":\"n\",\"marketing_consent\":null}}"),
                     REASON_NONE);
    assert_true(event.kind == EVENT_REFERRED && event.channel == EVENT_CHANNEL_EMAIL &&
                event.marketing_consent == ANSWER_ABSENT);
    assert_text(event.referred_customer_id, "f");
}

static void r86_null_and_empty_are_absent(void **state)
{
    (void)state;
    assert_int_equal(
        read_line(SURVEY(",\"nps\":\"\",\"satisfaction\":null,\"effect_felt\":\"\",\"concerns\":null,\"goal\":\"\"")),
        REASON_NONE);
    assert_true(event.nps == -1 && event.satisfaction == 0 && event.effect_felt == ANSWER_ABSENT &&
                event.concerns == 0);
    assert_int_equal(read_line(ORDER(",\"lines\":\"\",\"refund_amount\":null")), REASON_NONE);
    assert_true(event.line_count == 0 && event.refund_amount == REFUND_WHOLE);
    assert_fault("{\"topic\":\"orders\",\"event\":{\"event_id\":\"\",\"customer_id\":\"c\",\"occurred_at\":5,\"kind\":"
                 "\"CANCELLED\",\"order_id\":\"o\"}}",
                 REASON_MISSING_FIELD, "event_id");
}

/* R86 names ranges for nps, satisfaction, campaign and goal; R10 speaks of ids, and a source is none. */
static void r86_a_refund_below_0_and_a_control_in_a_source_are_taken(void **state)
{
    (void)state;
    assert_int_equal(read_line(ORDER(",\"refund_amount\":-1,\"source\":\"a\\tb\"")), REASON_NONE);
    assert_true(event.refund_amount == -1);
    assert_text(event.source, "a\tb");
    assert_int_equal(read_line(ORDER(",\"refund_amount\":-9223372036854775807")), REASON_NONE);
    assert_fault("{\"topic\":\"orders\",\"event\":{\"event_id\":\"e\",\"customer_id\":\"c\",\"occurred_at\":5,\"kind\":"
                 "\"REFUNDED\",\"order_id\":\"o\",\"refund_amount\":-9223372036854775808}}",
                 REASON_OUT_OF_RANGE, "refund_amount");
}

/* R86: a dead letter names the field, and R83: its line moves the clock, for its time can be read. */
static void r86_a_lone_surrogate_is_a_fault_of_its_field_alone(void **state)
{
    (void)state;
    static const char *const orders[][2] = {
        {"\"campaign\":\"\\ud800\"", "campaign"},
        {"\"source\":\"a\\udc00b\"", "source"},
        {"\"coupon\":\"\\ud83d\\n\"", "coupon"},
        {"\"subscription_id\":\"\\ud83d\\ud83d\\ude00\"", "subscription_id"},
        {"\"lines\":[{\"sku\":\"\\ud800\"}]", "lines"},
        {"\"version\":\"\\ud800\"", "version"},
    };
    for (size_t i = 0; i < COUNT_OF(orders); i++) {
        char line[256];
        snprintf(line, sizeof line, ORDER(",%s"), orders[i][0]);
        assert_fault(line, REASON_BAD_TEXT, orders[i][1]);
        assert_int_equal(event.occurred_at, 5);
    }
    assert_fault(SURVEY(",\"comment\":\"\\ud800\""), REASON_BAD_TEXT, "comment");
    assert_fault(SURVEY(",\"answers\":{\"a\":[\"\\ud800\"]}"), REASON_BAD_TEXT, "answers");
    assert_fault(SURVEY(",\"answers\":{\"\\ud800\":1}"), REASON_BAD_TEXT, "answers");
    assert_fault("{\"topic\":\"surveys\",\"event\":{\"occurred_at\":\"\\ud800\"}}", REASON_BAD_TEXT, "occurred_at");
    assert_true(event_json_time_fault(REASON_BAD_TEXT, "occurred_at")); /* this one does not */
    assert_int_equal(read_line(ORDER(",\"nobody_reads\":\"\\ud800\",\"\\ud800\":{\"a\":1}")), REASON_NONE);
    assert_int_equal(read_line(ORDER(",\"campaign\":\"\\ud83d\\ude00\"")), REASON_NONE);
    assert_text(event.campaign, "\xf0\x9f\x98\x80");
    assert_fault(ORDER(",\"campaign\":\"\\ud800\\u00\""), REASON_UNDECODABLE, NULL);
}

/* R10: what Unicode calls one, C1 (U+0080 to U+009F) too; a line separator (Zl) or a format sign (Cf) is none. */
static void r10_control_characters_are_those_of_unicode(void **state)
{
    (void)state;
    static const char *const wrong[] = {"\\u0000", "\\u001f", "\\u007f", "\\u0080", "\\u0085", "\\u009f"};
    static const char *const good[] = {" ", "\\u00a0", "\\u2028", "\\u200b", "\\ufeff", "\\uffff"};
    char line[256];
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        snprintf(line, sizeof line, ORDER(",\"subscription_id\":\"a%s\""), wrong[i]);
        assert_fault(line, REASON_BAD_TEXT, "subscription_id");
        snprintf(line, sizeof line, ORDER(",\"campaign\":\"a%s\""), wrong[i]);
        assert_int_equal(read_line(line), REASON_NONE);
    }
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        snprintf(line, sizeof line, ORDER(",\"subscription_id\":\"a%s\""), good[i]);
        assert_int_equal(read_line(line), REASON_NONE);
    }
}

static void r86_faults_name_the_field(void **state)
{
    (void)state;
    assert_fault("{\"topic\":\"orders\"", REASON_UNDECODABLE, NULL);
    assert_fault("[]", REASON_UNDECODABLE, NULL);
    assert_fault("{\"topic\":\"parcels\",\"event\":{\"occurred_at\":1}}", REASON_UNKNOWN_TOPIC, "topic");
    assert_fault("{\"topic\":7,\"event\":{\"occurred_at\":1}}", REASON_BAD_TYPE, "topic");
    assert_fault("{\"event\":{\"occurred_at\":1}}", REASON_MISSING_FIELD, "topic");
    assert_fault("{\"topic\":\"orders\"}", REASON_MISSING_FIELD, "event");
    assert_fault("{\"topic\":\"orders\",\"event\":[]}", REASON_BAD_TYPE, "event");
    assert_fault("{\"topic\":\"orders\",\"event\":{\"event_id\":\"e\",\"customer_id\":\"c\",\"occurred_at\":5}}",
                 REASON_MISSING_FIELD, "kind");
    assert_fault("{\"topic\":\"surveys\",\"event\":{\"event_id\":\"e\",\"customer_id\":\"c\",\"occurred_at\":5,"
                 "\"survey_id\":\"s\",\"response_id\":\"r\"}}",
                 REASON_MISSING_FIELD, "purpose");
    assert_fault(ORDER(",\"version\":1.0"), REASON_BAD_TYPE, "version");
    assert_fault(ORDER(",\"version\":true"), REASON_BAD_TYPE, "version");
    assert_fault(ORDER(",\"version\":9223372036854775808"), REASON_BAD_TYPE, "version");
    assert_fault(ORDER(",\"test\":1"), REASON_BAD_TYPE, "test");
    assert_fault(ORDER(",\"coupon\":5"), REASON_BAD_TYPE, "coupon");
    assert_fault(ORDER(",\"lines\":{}"), REASON_BAD_TYPE, "lines");
    assert_fault(ORDER(",\"lines\":[{\"sku\":1}]"), REASON_BAD_TYPE, "lines");
    assert_fault(ORDER(",\"lines\":[{\"quantity\":\"2\"}]"), REASON_BAD_TYPE, "lines");
    assert_fault(SURVEY(",\"nps\":11"), REASON_OUT_OF_RANGE, "nps");
    assert_fault(SURVEY(",\"nps\":-1"), REASON_OUT_OF_RANGE, "nps");
    assert_fault(SURVEY(",\"nps\":5.0"), REASON_BAD_TYPE, "nps");
    assert_fault(SURVEY(",\"satisfaction\":0"), REASON_OUT_OF_RANGE, "satisfaction");
    assert_fault(SURVEY(",\"satisfaction\":6"), REASON_OUT_OF_RANGE, "satisfaction");
    assert_fault(SURVEY(",\"concerns\":[\"PRICE\"]"), REASON_BAD_ENUM, "concerns");
    assert_fault(SURVEY(",\"concerns\":[1]"), REASON_BAD_TYPE, "concerns");
    assert_fault(SURVEY(",\"comment\":1"), REASON_BAD_TYPE, "comment");
    assert_fault(SURVEY(",\"answers\":[]"), REASON_BAD_TYPE, "answers");
    assert_fault(SURVEY(",\"goal\":\"12345678901234567890123456789012345678901234567890123456789012345\""),
                 REASON_OUT_OF_RANGE, "goal");
    assert_fault("{\"topic\":\"orders\",\"event\":{\"event_id\":\"e\",\"customer_id\":\"c\",\"occurred_at\":5,\"kind\":"
                 "\"SHIPPED\"}}",
                 REASON_BAD_ENUM, "kind");
    assert_fault("{\"topic\":\"orders\",\"event\":{\"event_id\":\"e\",\"customer_id\":\"c\",\"occurred_at\":5,\"kind\":"
                 "\"PLACED\"}}",
                 REASON_MISSING_FIELD, "order_id");
    assert_fault("{\"topic\":\"orders\",\"event\":{\"event_id\":\"a\\u0007b\",\"customer_id\":\"c\",\"occurred_at\":5,"
                 "\"kind\":\"PLACED\",\"order_id\":\"o\"}}",
                 REASON_BAD_TEXT, "event_id");
}

static void r86_fields_of_other_topics_are_ignored(void **state)
{
    (void)state;
    assert_int_equal(read_line(ORDER(",\"nps\":\"many\",\"channel\":\"FAX\",\"purpose\":3,\"whatever\":[{}]")),
                     REASON_NONE);
    assert_int_equal(read_line(SURVEY(",\"kind\":7,\"order_id\":7")), REASON_NONE);
    assert_true(event.kind == EVENT_RESPONSE);
}

static void r83_a_refused_line_still_says_its_times(void **state)
{
    (void)state;
    enum reason reason =
        read_line("{\"received_at\":9,\"topic\":\"surveys\",\"event\":{\"nps\":99,\"occurred_at\":7}}");
    assert_false(event_json_time_fault(reason, field));
    assert_true(event.occurred_at == 7 && received_at == 9);
    reason = read_line("{\"topic\":\"nowhere\",\"event\":{\"occurred_at\":\"1970-01-01T00:00:08Z\"}}");
    assert_int_equal(reason, REASON_UNKNOWN_TOPIC);
    assert_true(event.occurred_at == 8000 && received_at == NEVER);
}

static void r83_a_fault_of_the_times_wins(void **state)
{
    (void)state;
    static const char *const times[] = {
        "1.5", "true", "\"yesterday\"", "\"2024-01-01T00:00:00\"", "-1", "140737488355329", "[]"};
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        char line[256];
        snprintf(line, sizeof line,
                 "{\"received_at\":5,\"topic\":\"surveys\",\"event\":{\"nps\":99,\"occurred_at\":%s}}", times[i]);
        enum reason reason = read_line(line);
        assert_true(event_json_time_fault(reason, field));
        assert_string_equal(field, "occurred_at");
        snprintf(line, sizeof line,
                 "{\"topic\":\"surveys\",\"event\":{\"nps\":99,\"occurred_at\":5},\"received_at\":%s}", times[i]);
        reason = read_line(line);
        assert_true(event_json_time_fault(reason, field));
        assert_string_equal(field, "received_at");
    }
    static const char *const timeless[] = {"{\"received_at\":5,\"topic\":\"surveys\",\"event\":{\"nps\":99}}",
                                           "{\"received_at\":5,\"topic\":\"nowhere\",\"event\":{\"occurred_at\":\"\"}}",
                                           "{\"received_at\":5,\"topic\":\"surveys\"}",
                                           "{\"received_at\":5,\"topic\":\"surveys\",\"event\":[]}",
                                           "[]",
                                           "{"};
    for (size_t i = 0; i < COUNT_OF(timeless); i++) {
        enum reason reason = read_line(timeless[i]);
        assert_true(event_json_time_fault(reason, field));
    }
    assert_false(event_json_time_fault(REASON_MISSING_FIELD, "customer_id"));
}

static void a_bare_event_of_a_known_topic_is_read(void **state)
{
    (void)state;
    struct span line =
        SPAN("{\"event_id\":\"e\",\"customer_id\":\"c\",\"occurred_at\":140737488355328,\"kind\":\"CONSENTED\"}");
    assert_int_equal(event_json_read_bare(TOPIC_CUSTOMERS, line, &arena, &event, &field), REASON_NONE);
    assert_true(event.kind == EVENT_CONSENTED && event.occurred_at == TIMESTAMP_MAX);
    assert_int_equal(event_json_read_bare(TOPIC_ORDERS, line, &arena, &event, &field), REASON_BAD_ENUM);
    assert_string_equal(field, "kind");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r34_every_field_of_an_order_is_read),
        cmocka_unit_test(r34_every_field_of_the_other_topics_is_read),
        cmocka_unit_test(r86_null_and_empty_are_absent),
        cmocka_unit_test(r86_a_refund_below_0_and_a_control_in_a_source_are_taken),
        cmocka_unit_test(r86_a_lone_surrogate_is_a_fault_of_its_field_alone),
        cmocka_unit_test(r10_control_characters_are_those_of_unicode),
        cmocka_unit_test(r86_faults_name_the_field),
        cmocka_unit_test(r86_fields_of_other_topics_are_ignored),
        cmocka_unit_test(r83_a_refused_line_still_says_its_times),
        cmocka_unit_test(r83_a_fault_of_the_times_wins),
        cmocka_unit_test(a_bare_event_of_a_known_topic_is_read),
    };
    arena_init(&arena, 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_release(&arena);
    return failed;
}
