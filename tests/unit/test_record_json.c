#include "common/base/check.h"
#include "common/codec/record_json.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct named evidence[] = {
    {SPAN("registered"), NAMED_BOOLEAN, 1, {NULL, 0}},
    {SPAN("purchases"), NAMED_INTEGER, -2, {NULL, 0}},
    {SPAN("last_nps"), NAMED_NULL, 0, {NULL, 0}},
    {SPAN("note"), NAMED_TEXT, 0, SPAN("a\"b\n\xe3\x81\x82")},
};

static void assert_written(const struct record *record, const char *expected)
{
    struct buffer buffer = {0};
    json_error_t error;
    record_json_write(record, &buffer);
    assert_string_equal(buffer.data, expected);
    json_t *read = json_loadb(buffer.data, buffer.size, JSON_REJECT_DUPLICATES, &error);
    assert_non_null(read);
    json_decref(read);
    buffer_release(&buffer);
}

static void r85_transition_has_its_keys_in_order(void **state)
{
    (void)state;
    struct record record = {.type = RECORD_TRANSITION, .at = 10, .customer_id = SPAN("c\\1"), .seq = 3};
    record.transition = (struct transition){.dimension = DIMENSION_TIER,
                                            .from = -1,
                                            .to = TIER_VISITOR,
                                            .direction = DIRECTION_ENTER,
                                            .rest = true,
                                            .cause = CAUSE_EVENT,
                                            .event_id = SPAN("e1"),
                                            .effective_at = 9,
                                            .cycle = 1,
                                            .evidence = {evidence, 4}};
    assert_written(&record, "{\"type\":\"transition\",\"at\":10,\"customer_id\":\"c\\\\1\",\"seq\":3,\"dimension\":"
                            "\"tier\",\"from\":null,\"to\":\"visitor\","
                            "\"direction\":\"enter\",\"rest\":true,\"cause\":\"event\",\"event_id\":\"e1\",\"effective_"
                            "at\":9,\"cycle\":1,\"returned\":false,"
                            "\"backfill\":false,\"evidence\":{\"registered\":true,\"purchases\":-2,\"last_nps\":null,"
                            "\"note\":\"a\\\"b\\n\xe3\x81\x82\"}}");
    record.transition = (struct transition){.dimension = DIMENSION_SEGMENT,
                                            .from = SEGMENT_PROMOTER_HIGH,
                                            .to = SEGMENT_DETRACTOR_LOW,
                                            .direction = DIRECTION_DOWN,
                                            .cause = CAUSE_TIME,
                                            .returned = true,
                                            .backfill = true};
    assert_written(&record, "{\"type\":\"transition\",\"at\":10,\"customer_id\":\"c\\\\1\",\"seq\":3,\"dimension\":"
                            "\"segment\",\"from\":\"promoter_high\","
                            "\"to\":\"detractor_low\",\"direction\":\"down\",\"rest\":false,\"cause\":\"time\",\"event_"
                            "id\":null,\"effective_at\":0,\"cycle\":0,"
                            "\"returned\":true,\"backfill\":true,\"evidence\":{}}");
}

static void r85_action_has_its_keys_in_order(void **state)
{
    (void)state;
    struct record record = {.type = RECORD_ACTION, .at = 10, .customer_id = SPAN("c"), .seq = 4};
    record.action = (struct action){.kind = ACTION_SEND,
                                    .rule = SPAN("thank_you"),
                                    .key = SPAN("order:o1"),
                                    .n = 1,
                                    .template_name = SPAN("thanks"),
                                    .channel = CHANNEL_LINE,
                                    .audience = AUDIENCE_CUSTOMER,
                                    .class = CLASS_TRANSACTIONAL,
                                    .classes = {TIER_VISITOR, PHASE_ADMIT, GROWTH_PURCHASER, SEGMENT_UNKNOWN, 1},
                                    .order_id = SPAN("o1"),
                                    .event_id = SPAN("e1"),
                                    .due_at = 1,
                                    .made_at = 2,
                                    .send_after = 3,
                                    .expires_at = NEVER,
                                    .variables = {evidence, 1},
                                    .playbook_version = SPAN("1")};
    memset(record.action.action_id.bytes, 0xab, 16);
    assert_written(
        &record,
        "{\"type\":\"action\",\"at\":10,\"customer_id\":\"c\",\"seq\":4,\"kind\":\"send\",\"action_id\":\"abababab-"
        "abab-abab-abab-abababababab\","
        "\"rule\":\"thank_you\",\"key\":\"order:o1\",\"n\":1,\"template\":\"thanks\",\"channel\":\"line\",\"audience\":"
        "\"customer\","
        "\"class\":\"transactional\",\"state\":{\"tier\":\"visitor\",\"phase\":\"admit\",\"growth\":\"purchaser\","
        "\"segment\":\"unknown\",\"cycle\":1},"
        "\"order_id\":\"o1\",\"event_id\":\"e1\",\"due_at\":1,\"made_at\":2,\"send_after\":3,\"expires_at\":null,"
        "\"variables\":{\"registered\":true},\"playbook_version\":\"1\",\"variant\":null,\"reason\":null}");
    record.action.kind = ACTION_REVOKE;
    record.action.reason = REVOKE_OPTED_OUT;
    record.action.order_id = record.action.event_id = SPAN_NONE;
    record.action.expires_at = 5;
    record.action.variant = SPAN("b");
    record.action.variables.count = 0;
    assert_written(&record,
                   "{\"type\":\"action\",\"at\":10,\"customer_id\":\"c\",\"seq\":4,\"kind\":\"revoke\",\"action_id\":"
                   "\"abababab-abab-abab-abab-abababababab\","
                   "\"rule\":\"thank_you\",\"key\":\"order:o1\",\"n\":1,\"template\":\"thanks\",\"channel\":\"line\","
                   "\"audience\":\"customer\","
                   "\"class\":\"transactional\",\"state\":{\"tier\":\"visitor\",\"phase\":\"admit\",\"growth\":"
                   "\"purchaser\",\"segment\":\"unknown\",\"cycle\":1},"
                   "\"order_id\":null,\"event_id\":null,\"due_at\":1,\"made_at\":2,\"send_after\":3,\"expires_at\":5,"
                   "\"variables\":{},\"playbook_version\":\"1\",\"variant\":\"b\",\"reason\":\"opted_out\"}");
}

static void r85_decision_has_its_keys_in_order(void **state)
{
    (void)state;
    struct record record = {.type = RECORD_DECISION, .at = 10, .customer_id = SPAN("c"), .seq = 5};
    record.decision = (struct decision){.rule = SPAN("tip"),
                                        .key = SPAN("cycle:o1"),
                                        .n = 2,
                                        .outcome = OUTCOME_DEFERRED,
                                        .detail = SPAN("quiet"),
                                        .due_at = 1,
                                        .until = 20,
                                        .playbook_version = SPAN("1")};
    assert_written(
        &record,
        "{\"type\":\"decision\",\"at\":10,\"customer_id\":\"c\",\"seq\":5,\"rule\":\"tip\",\"key\":\"cycle:o1\",\"n\":"
        "2,\"outcome\":\"deferred\","
        "\"detail\":\"quiet\",\"due_at\":1,\"until\":20,\"values\":{},\"playbook_version\":\"1\",\"event_id\":null}");
    record.decision.until = NEVER;
    record.decision.outcome = OUTCOME_WHILE;
    record.decision.detail = SPAN_NONE;
    record.decision.event_id = SPAN("e");
    assert_written(
        &record,
        "{\"type\":\"decision\",\"at\":10,\"customer_id\":\"c\",\"seq\":5,\"rule\":\"tip\",\"key\":\"cycle:o1\",\"n\":"
        "2,\"outcome\":\"while\","
        "\"detail\":null,\"due_at\":1,\"until\":null,\"values\":{},\"playbook_version\":\"1\",\"event_id\":\"e\"}");
}

static void r84_r85_state_has_its_keys_in_order(void **state)
{
    (void)state;
    struct customer_money money[] = {{SPAN("EUR"), 5}, {SPAN("JPY"), -100}};
    struct customer_report report = {.classes = {TIER_PARTNER, PHASE_ADVOCATE, GROWTH_FAN, SEGMENT_PASSIVE_MID, 2},
                                     .registered_email = true,
                                     .consent = true,
                                     .purchases = 1,
                                     .trial = 2,
                                     .premium = 3,
                                     .related = 4,
                                     .money = money,
                                     .money_count = 2,
                                     .first_purchase_at = 5,
                                     .last_purchase_at = 6,
                                     .subscription = true,
                                     .subscription_since = 7,
                                     .renewals = 8,
                                     .shipped = 9,
                                     .delivered = 10,
                                     .failed = 11,
                                     .first_delivery_at = 12,
                                     .last_delivery_at = 13,
                                     .responses = 14,
                                     .last_satisfaction = 5,
                                     .last_nps = 0,
                                     .last_response_at = 15,
                                     .positive = 16,
                                     .negative = 17,
                                     .effect_felt = true,
                                     .last_open_at = 18,
                                     .opens_60d = 19,
                                     .clicks_60d = 20,
                                     .referrals = 21,
                                     .referrals_converted = 22,
                                     .shares = 23,
                                     .events_attended = 24,
                                     .support_contacts = 25};
    struct buffer buffer = {0};
    report_json_write(SPAN("c"), &report, &buffer);
    assert_string_equal(buffer.data, "{\"type\":\"state\",\"customer_id\":\"c\",\"tier\":\"partner\",\"phase\":"
                                     "\"advocate\",\"growth\":\"fan\",\"segment\":\"passive_mid\",\"cycle\":2,"
                                     "\"registered_email\":true,\"registered_line\":false,\"consent\":true,"
                                     "\"purchases\":1,\"trial\":2,\"premium\":3,\"related\":4,"
                                     "\"money\":{\"EUR\":5,\"JPY\":-100},\"first_purchase_at\":5,\"last_purchase_at\":"
                                     "6,\"subscription\":true,\"subscription_since\":7,"
                                     "\"renewals\":8,\"shipped\":9,\"delivered\":10,\"failed\":11,\"first_delivery_"
                                     "at\":12,\"last_delivery_at\":13,\"responses\":14,"
                                     "\"last_satisfaction\":5,\"last_nps\":0,\"last_response_at\":15,\"positive\":16,"
                                     "\"negative\":17,\"effect_felt\":true,\"last_open_at\":18,"
                                     "\"opens_60d\":19,\"clicks_60d\":20,\"referrals\":21,\"referrals_converted\":22,"
                                     "\"shares\":23,\"events_attended\":24,\"support_contacts\":25}");
    buffer_reset(&buffer);
    report.last_satisfaction = 0;
    report.last_nps = -1;
    report.last_open_at = NEVER;
    report_json_write(SPAN("c"), &report, &buffer);
    assert_non_null(strstr(buffer.data, "\"last_satisfaction\":null,\"last_nps\":null,"));
    assert_non_null(strstr(buffer.data, "\"last_open_at\":null,"));
    buffer_reset(&buffer);
    report.erased = true;
    report_json_write(SPAN("c"), &report, &buffer);
    assert_string_equal(buffer.data, "{\"type\":\"state\",\"customer_id\":\"c\",\"erased\":true}");
    buffer_release(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r85_transition_has_its_keys_in_order),
        cmocka_unit_test(r85_action_has_its_keys_in_order),
        cmocka_unit_test(r85_decision_has_its_keys_in_order),
        cmocka_unit_test(r84_r85_state_has_its_keys_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
