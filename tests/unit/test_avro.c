/* What we write as Avro, libavro reads; what anyone writes, the plans read or refuse. */
#include "common/base/check.h"
#include "common/codec/avro_binary.h"
#include "common/codec/avro_plan_private.h"
#include "common/codec/avro_write.h"
#include "common/codec/event_field.h"
#include "common/codec/event_json.h"
#include "common/codec/internal_records.h"
#include "common/codec/record_json.h"
#include "common/codec/schema_id.h"
#include "common/codec/schema_set.h"
#include "common/io/data_file.h"

#include <avro.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena arena;
static struct schema_set *set;

static bool read_schema_file(void *context, const char *name, struct buffer *buffer)
{
    char path[512];
    (void)context;
    snprintf(path, sizeof path, "%s/schemas/%s", ORIORI_SOURCE_DIR, name);
    return file_read(path, buffer);
}

static int setup(void **state)
{
    struct buffer error = {0};
    (void)state;
    arena_init(&arena, 0);
    set = schema_set_new();
    bool loaded = schema_set_load(set, read_schema_file, NULL, &error);
    if (!loaded)
        print_message("%s\n", error.data);
    buffer_release(&error);
    return loaded ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    schema_set_free(set);
    arena_release(&arena);
    return 0;
}

/* ---- libavro as the oracle ---- */

static const char *file_of_id(uint32_t id)
{
    static const struct {
        uint32_t id;
        const char *file;
    } files[] = {{SCHEMA_ORDER, "order.avsc"},
                 {SCHEMA_DELIVERY, "delivery.avsc"},
                 {SCHEMA_SURVEY, "survey.avsc"},
                 {SCHEMA_EMAIL_OPEN, "email_open.avsc"},
                 {SCHEMA_CUSTOMER, "customer.avsc"},
                 {SCHEMA_ACTION, "action.avsc"},
                 {SCHEMA_TRANSITION, "transition.avsc"},
                 {SCHEMA_DECISION, "decision.avsc"},
                 {SCHEMA_DEAD_LETTER, "dead_letter.avsc"},
                 {SCHEMA_FORWARD, "forward.avsc"},
                 {SCHEMA_META, "meta.avsc"},
                 {SCHEMA_STEP, "step.avsc"},
                 {SCHEMA_META_2, "meta_2.avsc"},
                 {SCHEMA_FORWARD_2, "forward_2.avsc"},
                 {SCHEMA_PLAYBOOK_ENTRY, "playbook_entry.avsc"}};
    for (size_t i = 0; i < COUNT_OF(files); i++)
        if (files[i].id == id)
            return files[i].file;
    return NULL;
}

/* Unions come as {"branch": value} from libavro: taken off, where the schema says union. */
static json_t *unwrapped(avro_schema_t schema, json_t *value)
{
    json_t *result, *item;
    const char *key;
    size_t index;
    while (avro_typeof(schema) == AVRO_LINK)
        schema = avro_schema_link_target(schema);
    switch (avro_typeof(schema)) {
    case AVRO_UNION:
        if (json_is_null(value))
            return json_null();
        key = json_object_iter_key(json_object_iter(value));
        for (size_t i = 0; i < avro_schema_union_size(schema); i++) {
            avro_schema_t branch = avro_schema_union_branch(schema, (int)i);
            const char *dot = strrchr(key, '.');
            if (strcmp(avro_schema_type_name(branch), key) == 0 ||
                (dot && strcmp(avro_schema_type_name(branch), dot + 1) == 0))
                return unwrapped(branch, json_object_get(value, key));
        }
        fail_msg("union branch %s", key);
        return NULL;
    case AVRO_RECORD:
        result = json_object();
        json_object_foreach(value, key, item)
            json_object_set_new(result, key, unwrapped(avro_schema_record_field_get(schema, key), item));
        return result;
    case AVRO_MAP:
        result = json_object();
        json_object_foreach(value, key, item)
            json_object_set_new(result, key, unwrapped(avro_schema_map_values(schema), item));
        return result;
    case AVRO_ARRAY:
        result = json_array();
        json_array_foreach(value, index, item)
            json_array_append_new(result, unwrapped(avro_schema_array_items(schema), item));
        return result;
    default:
        return json_incref(value);
    }
}

/* The value as libavro's generic reader has it, by the schema file of its id; every byte must be consumed. */
static json_t *oracle_json(struct span value)
{
    uint32_t id;
    struct span datum;
    struct buffer avsc = {0};
    avro_schema_t schema;
    avro_value_t generic;
    char *text;
    assert_true(wire_header_read(value, &id, &datum));
    assert_non_null(file_of_id(id));
    assert_true(read_schema_file(NULL, file_of_id(id), &avsc));
    assert_int_equal(avro_schema_from_json_length(avsc.data, avsc.size, &schema), 0);
    avro_value_iface_t *iface = avro_generic_class_from_schema(schema);
    assert_int_equal(avro_generic_value_new(iface, &generic), 0);
    char *exact = malloc(datum.size + 1); /* one byte more would be read as a fault of ours */
    memcpy(exact, datum.data, datum.size);
    avro_reader_t reader = avro_reader_memory(exact, (int64_t)datum.size);
    assert_int_equal(avro_value_read(reader, &generic), 0);
    char rest;
    assert_int_not_equal(avro_read(reader, &rest, 1), 0);
    assert_int_equal(avro_value_to_json(&generic, 1, &text), 0);
    json_t *wrapped = json_loads(text, 0, NULL);
    assert_non_null(wrapped);
    json_t *result = unwrapped(schema, wrapped);
    json_decref(wrapped);
    free(text);
    avro_reader_free(reader);
    free(exact);
    avro_value_decref(&generic);
    avro_value_iface_decref(iface);
    avro_schema_decref(schema);
    buffer_release(&avsc);
    return result;
}

static void assert_json(json_t *actual, json_t *expected)
{
    if (!json_equal(actual, expected)) {
        char *a = json_dumps(actual, JSON_SORT_KEYS), *e = json_dumps(expected, JSON_SORT_KEYS);
        print_message("actual   %s\nexpected %s\n", a, e);
        free(a);
        free(e);
    }
    assert_true(json_equal(actual, expected));
}

/* libavro's view of the value, checked against our own walker's. */
static json_t *both_json(struct span value)
{
    struct buffer text = {0};
    json_t *theirs = oracle_json(value);
    assert_true(schema_set_json_write(set, value, &text));
    json_t *ours = json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    assert_json(ours, theirs);
    json_decref(ours);
    buffer_release(&text);
    return theirs;
}

/* ---- events ---- */

static const struct {
    enum topic topic;
    const char *json; /* every field of the schema that struct event carries, and the others absent */
} whole_events[] = {
    {TOPIC_ORDERS,
     "{\"event_id\":\"e\",\"customer_id\":\"\\u3042\",\"occurred_at\":1700000000000,\"source\":\"s\",\"version\":-3,"
     "\"backfill\":true,\"test\":true,"
     "\"kind\":\"SUBSCRIPTION_CANCELLED\",\"order_id\":\"o\",\"lines\":[{\"sku\":\"A\",\"quantity\":2,\"unit_price\":"
     "100},{\"sku\":null,\"quantity\":1,"
     "\"unit_price\":0}],\"currency\":\"JPY\",\"subscription_id\":\"sub\",\"referrer_customer_id\":\"r\",\"coupon\":"
     "\"c\",\"campaign\":\"k\",\"refund_amount\":-1,"
     "\"email_registered\":true,\"line_registered\":false,\"marketing_consent\":true,\"time_zone\":\"Asia/Tokyo\"}"},
    {TOPIC_DELIVERIES,
     "{\"event_id\":\"e\",\"customer_id\":\"c\",\"occurred_at\":1,\"source\":null,\"version\":null,\"backfill\":false,"
     "\"test\":false,\"kind\":\"RETURNED\","
     "\"order_id\":\"o\",\"parcel_id\":\"p\",\"carrier\":\"y\",\"tracking\":\"t\",\"estimated_at\":140737488355328}"},
    {TOPIC_SURVEYS, "{\"event_id\":\"e\",\"customer_id\":\"c\",\"occurred_at\":1,\"source\":null,\"version\":1,"
                    "\"backfill\":false,\"test\":false,\"survey_id\":\"s\","
                    "\"response_id\":\"r\",\"purpose\":\"LAPSE\",\"satisfaction\":5,\"nps\":0,\"effect_felt\":false,"
                    "\"goal\":\"g\",\"concerns\":[\"quality\",\"other\"],"
                    "\"consent_to_share\":true,\"comment\":null,\"answers\":{}}"},
    {TOPIC_EMAIL_OPENS, "{\"event_id\":\"e\",\"customer_id\":\"c\",\"occurred_at\":0,\"source\":null,\"version\":null,"
                        "\"backfill\":false,\"test\":false,\"kind\":\"COMPLAINED\","
                        "\"action_id\":\"a\",\"campaign\":\"k\",\"channel\":\"LINE\",\"agent\":\"MACHINE\"}"},
    {TOPIC_CUSTOMERS, "{\"event_id\":\"e\",\"customer_id\":\"c\",\"occurred_at\":1,\"source\":null,\"version\":null,"
                      "\"backfill\":false,\"test\":false,\"kind\":\"ERASED\","
                      "\"channel\":\"LINE\",\"marketing_consent\":false,\"referred_customer_id\":\"f\",\"time_zone\":"
                      "\"Europe/London\",\"note\":null}"},
    {TOPIC_ORDERS, "{\"event_id\":\"e\",\"customer_id\":\"c\",\"occurred_at\":1,\"source\":null,\"version\":null,"
                   "\"backfill\":false,\"test\":false,\"kind\":\"PLACED\","
                   "\"order_id\":\"o\",\"lines\":[],\"currency\":null,\"subscription_id\":null,\"referrer_customer_"
                   "id\":null,\"coupon\":null,\"campaign\":null,"
                   "\"refund_amount\":null,\"email_registered\":null,\"line_registered\":null,\"marketing_consent\":"
                   "null,\"time_zone\":null}"},
};

static struct event event_of(size_t index)
{
    struct event event;
    const char *field;
    assert_int_equal(
        event_json_read_bare(whole_events[index].topic, span_of(whole_events[index].json), &arena, &event, &field),
        REASON_NONE);
    return event;
}

static void libavro_reads_the_events_that_we_write(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(whole_events); i++) {
        struct event event = event_of(i);
        struct buffer value = {0};
        event_avro_write(&event, NULL, &value);
        json_t *actual = both_json(buffer_span(&value)), *expected = json_loads(whole_events[i].json, 0, NULL);
        assert_json(actual, expected);
        json_decref(actual);
        json_decref(expected);
        buffer_release(&value);
    }
}

/* Two events are the same when they are written to the same bytes: the writer was checked above. */
static void assert_same_event(const struct event *a, const struct event *b)
{
    struct buffer x = {0}, y = {0};
    event_avro_write(a, NULL, &x);
    event_avro_write(b, NULL, &y);
    assert_true(span_equal(buffer_span(&x), buffer_span(&y)));
    buffer_release(&x);
    buffer_release(&y);
}

static void the_plan_reads_the_events_that_we_write(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(whole_events); i++) {
        struct event event = event_of(i), back;
        struct buffer value = {0};
        const char *field;
        event_avro_write(&event, NULL, &value);
        assert_int_equal(schema_set_read_event(set, event.topic, buffer_span(&value), &arena, &back, &field),
                         REASON_NONE);
        assert_same_event(&event, &back);
        buffer_release(&value);
    }
}

static void hostile_bytes_are_refused_with_bounded_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(whole_events); i++) {
        struct event event = event_of(i), back;
        struct buffer value = {0};
        const char *field;
        event_avro_write(&event, NULL, &value);
        for (size_t cut = 0; cut < value.size; cut++) {
            char *exact = malloc(cut + 1);
            memcpy(exact, value.data, cut);
            assert_int_equal(schema_set_read_event(set, event.topic, (struct span){exact, cut}, &arena, &back, &field),
                             REASON_UNDECODABLE);
            free(exact);
        }
        char *bytes = malloc(value.size + 1);
        memcpy(bytes, value.data, value.size);
        bytes[value.size] = 0;
        assert_int_equal(
            schema_set_read_event(set, event.topic, (struct span){bytes, value.size + 1}, &arena, &back, &field),
            REASON_UNDECODABLE);
        struct buffer text = {0};
        for (size_t at = 0; at < value.size; at++)
            for (int byte = 0; byte < 256; byte++) {
                arena_reset(&arena);
                bytes[at] = (char)byte;
                enum reason reason =
                    schema_set_read_event(set, event.topic, (struct span){bytes, value.size}, &arena, &back, &field);
                assert_true(reason != REASON_NONE || event_validate(&back, &field) == REASON_NONE);
                assert_true(arena.used < 100 * value.size + 1024);
                buffer_reset(&text);
                schema_set_json_write(set, (struct span){bytes, value.size}, &text);
                bytes[at] = value.data[at];
            }
        buffer_release(&text);
        free(bytes);
        buffer_release(&value);
        arena_reset(&arena);
    }
}

/* ---- the quick way ---- */

static struct avro_plan *plan_of(const char *json, enum topic topic)
{
    avro_schema_t schema;
    assert_int_equal(avro_schema_from_json_length(json, strlen(json), &schema), 0);
    struct avro_plan *plan = avro_plan_compile(schema, topic, NULL);
    avro_schema_decref(schema);
    assert_non_null(plan);
    return plan;
}

/* The same event, or the same refusal of the same field. */
static void assert_same_reading(struct avro_plan *const plans[2], struct span datum)
{
    struct event events[2];
    enum reason reasons[2];
    const char *fields[2];
    arena_reset(&arena);
    for (int i = 0; i < 2; i++)
        reasons[i] = avro_plan_run(plans[i], datum, &arena, &events[i], &fields[i]);
    assert_int_equal(reasons[0], reasons[1]);
    assert_true(fields[0] == fields[1]);
    assert_true(events[0].event_id.data == events[1].event_id.data &&
                events[0].event_id.size == events[1].event_id.size);
    assert_true(events[0].version == events[1].version);
    if (reasons[0] == REASON_NONE)
        assert_same_event(&events[0], &events[1]);
}

static void assert_same_readings_around(struct avro_plan *const plans[2], struct span datum)
{
    char *bytes = malloc(datum.size + 8);
    for (size_t cut = 0; cut <= datum.size; cut++) {
        char *exact = malloc(cut + 1); /* not cmocka's, which pads it: a sanitizer is to see a step beyond it */
        memcpy(exact + 1, datum.data, cut);
        assert_same_reading(plans, (struct span){exact + 1, cut});
        free(exact);
        memcpy(bytes, datum.data, cut);
        memset(bytes + cut, 'a', datum.size + 8 - cut); /* and without one, what would pass for more of a text */
        assert_same_reading(plans, (struct span){bytes, cut});
    }
    memcpy(bytes, datum.data, datum.size);
    for (size_t at = 0; at < datum.size; at++) {
        for (int byte = 0; byte < 256; byte++) {
            bytes[at] = (char)byte;
            assert_same_reading(plans, (struct span){bytes, datum.size});
        }
        bytes[at] = datum.data[at];
    }
    free(bytes);
}

/* Every cut and every changed byte of every event: the quick way gives what the general way gives. */
static void the_quick_way_agrees_with_the_general_way(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(whole_events); i++) {
        struct event event = event_of(i);
        struct buffer value = {0}, avsc = {0};
        uint32_t id;
        struct span datum;
        event_avro_write(&event, NULL, &value);
        assert_true(wire_header_read(buffer_span(&value), &id, &datum));
        assert_true(read_schema_file(NULL, file_of_id(id), &avsc));
        buffer_add_char(&avsc, 0);
        struct avro_plan *plans[2] = {plan_of(avsc.data, event.topic), plan_of(avsc.data, event.topic)};
        avro_plan_forget_quick(plans[1]);
        assert_same_readings_around(plans, datum);
        for (int p = 0; p < 2; p++)
            avro_plan_free(plans[p]);
        buffer_release(&avsc);
        buffer_release(&value);
    }
}

/* Lengths of a text around the quick way's words and its one byte of size, each with a stranger at each place. */
static void texts_of_any_length_and_bytes_are_read(void **state)
{
    static const char *const schema =
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"event_id\",\"type\":\"string\"},"
        "{\"name\":\"x\",\"type\":[\"string\",\"null\"]},{\"name\":\"y\",\"type\":\"int\"},"
        "{\"name\":\"version\",\"type\":[\"long\",\"null\"]}]}";
    static const char *const strangers[] = {"", "\x1f", "\x7f", "\x80", "\xff", "é", "折", "\xed\xa0\x80"};
    struct avro_plan *plans[2] = {plan_of(schema, TOPIC_ORDERS), plan_of(schema, TOPIC_ORDERS)};
    (void)state;
    avro_plan_forget_quick(plans[1]);
    for (size_t size = 0; size <= 68; size++)
        for (size_t stranger = 0; stranger < COUNT_OF(strangers); stranger++)
            for (size_t place = 0; place <= size; place += 1 + (stranger == 0) * size) {
                struct buffer text = {0}, datum = {0};
                buffer_add(&text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ~!+-/", place);
                buffer_add_text(&text, strangers[stranger]);
                buffer_add(&text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ~!+-/abcdefghijklmnopqrstuvwxyz", size - place);
                avro_add_bytes(&datum, buffer_span(&text));
                avro_add_long(&datum, 0);
                avro_add_bytes(&datum, buffer_span(&text));
                avro_add_long(&datum, (int64_t)((uint64_t)place << (size % 40)));
                avro_add_long(&datum, 0);
                avro_add_long(&datum, (int64_t)((uint64_t)1 << (size < 64 ? size : 63)));
                assert_same_reading(plans, buffer_span(&datum));
                if (stranger == 0 && size % 20 == 5)
                    assert_same_readings_around(plans, buffer_span(&datum));
                buffer_release(&text);
                buffer_release(&datum);
            }
    for (int p = 0; p < 2; p++)
        avro_plan_free(plans[p]);
}

static void lengths_that_lie_are_refused(void **state)
{
    static const struct span values[] = {
        SPAN(""),
        SPAN("\x00"),
        SPAN("\x01\x00\x00\x00\x65"),
        SPAN("\x00\x00\x00\x00\x65"),
        SPAN("\x00\x00\x00\x00\x65\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),     /* a text of INT64_MIN bytes */
        SPAN("\x00\x00\x00\x00\x65\xfe\xff\xff\xff\x0f"),                         /* of 2 GiB */
        SPAN("\x00\x00\x00\x00\x65\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), /* a varint without end */
    };
    struct event event;
    const char *field;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(values); i++)
        assert_int_equal(schema_set_read_event(set, TOPIC_ORDERS, values[i], &arena, &event, &field),
                         REASON_UNDECODABLE);
    assert_int_equal(
        schema_set_read_event(set, TOPIC_ORDERS, SPAN("\x00\x00\x00\x27\x0f rest"), &arena, &event, &field),
        REASON_UNKNOWN_SCHEMA);
}

/* ---- resolution ---- */

struct resolution {
    const char *name;
    const char *fields; /* of the writer's record, beside event_id, customer_id, occurred_at and kind */
    struct span datum;  /* of those fields */
    enum reason reason;
    const char *field;
    const char *expected; /* the event's JSON beside the four, when the reason is none */
};

#define FOUR                                                                                                           \
    "{\"name\":\"event_id\",\"type\":\"string\"},{\"name\":\"customer_id\",\"type\":\"bytes\"},{\"name\":\"occurred_"  \
    "at\",\"type\":\"long\"}"
#define FOUR_JSON "{\"event_id\":\"e\",\"customer_id\":\"c\",\"occurred_at\":5"

static void assert_resolution(enum topic topic, const struct resolution *c)
{
    struct buffer avsc = {0}, error = {0}, value = {0}, expected_json = {0};
    struct event actual, expected;
    const char *field;
    struct schema_set *own = schema_set_new();
    buffer_format(&avsc, "{\"type\":\"record\",\"name\":\"Any\",\"fields\":[%s,%s]}", FOUR, c->fields);
    bool added = schema_set_add(own, 7, buffer_span(&avsc), &error);
    if (!added)
        print_message("%s: %s\n", c->name, error.data);
    assert_true(added);
    wire_header_add(&value, 7);
    avro_add_text(&value, "e");
    avro_add_text(&value, "c");
    avro_add_long(&value, 5);
    buffer_add_span(&value, c->datum);
    enum reason reason = schema_set_read_event(own, topic, buffer_span(&value), &arena, &actual, &field);
    if (reason != c->reason)
        print_message("%s: %s %s\n", c->name, reason_name(reason), field ? field : "");
    assert_int_equal(reason, c->reason);
    if (c->field != NULL)
        assert_string_equal(field, c->field);
    if (reason == REASON_NONE) {
        buffer_format(&expected_json, "%s,%s}", FOUR_JSON, c->expected);
        assert_int_equal(event_json_read_bare(topic, buffer_span(&expected_json), &arena, &expected, &field),
                         REASON_NONE);
        assert_same_event(&actual, &expected);
    }
    schema_set_free(own);
    buffer_release(&avsc);
    buffer_release(&error);
    buffer_release(&value);
    buffer_release(&expected_json);
}

#define KIND                                                                                                           \
    "{\"name\":\"kind\",\"type\":{\"type\":\"enum\",\"name\":\"K\",\"symbols\":[\"NEW\",\"CONSENTED\",\"REGISTERED\"]" \
    "}}"
#define ENUM_OF(name, symbols) "{\"type\":\"enum\",\"name\":\"" name "\",\"symbols\":[" symbols "]}"
#define PURPOSE                                                                                                        \
    "{\"name\":\"survey_id\",\"type\":\"string\"},{\"name\":\"response_id\",\"type\":\"string\"},{\"name\":"           \
    "\"purpose\",\"type\":" ENUM_OF("P", "\"LAPSE\",\"ASSESS\"") "}"
#define SURVEY_DATUM "\x02s\x02r\x02"
#define SURVEY_JSON  "\"survey_id\":\"s\",\"response_id\":\"r\",\"purpose\":\"ASSESS\""

static const struct resolution resolved_customers[] = {
    {"enum symbols by name, not by place", KIND, SPAN("\x04"), REASON_NONE, NULL, "\"kind\":\"REGISTERED\""},
    {"an unknown symbol", KIND, SPAN("\x00"), REASON_BAD_ENUM, "kind", NULL},
    {"an enum index beyond its symbols", KIND, SPAN("\x06"), REASON_UNDECODABLE, "kind", NULL},
    {"a missing kind", "{\"name\":\"note\",\"type\":\"string\"}", SPAN("\x00"), REASON_MISSING_FIELD, "kind", NULL},
    {"a kind that is a text", "{\"name\":\"kind\",\"type\":\"string\"}", SPAN("\x12REGISTERED"), REASON_BAD_TYPE,
     "kind", NULL},
    {"union the other way round, kind within a union",
     "{\"name\":\"note\",\"type\":[\"string\",\"null\"]},{\"name\":\"kind\",\"type\":[\"null\"," ENUM_OF(
         "K", "\"OPTED_OUT\"") "]}",
     SPAN("\x00\x02n\x02\x00"), REASON_NONE, NULL, "\"kind\":\"OPTED_OUT\""},
    {"null for a required enum", "{\"name\":\"kind\",\"type\":[\"null\"," ENUM_OF("K", "\"OPTED_OUT\"") "]}",
     SPAN("\x00"), REASON_MISSING_FIELD, "kind", NULL},
    {"a branch beyond the union", "{\"name\":\"note\",\"type\":[\"null\",\"string\"]}", SPAN("\x04"),
     REASON_UNDECODABLE, "note", NULL},
    {"int widens to long", "{\"name\":\"version\",\"type\":\"int\"}," KIND, SPAN("\x0e\x02"), REASON_NONE, NULL,
     "\"version\":7,\"kind\":\"CONSENTED\""},
    {"an int of more than 32 bits", "{\"name\":\"version\",\"type\":\"int\"}," KIND,
     SPAN("\x80\x80\x80\x80\x80\x01\x02"), REASON_UNDECODABLE, "version", NULL},
    {"double does not resolve to long", "{\"name\":\"version\",\"type\":\"double\"}," KIND,
     SPAN("\0\0\0\0\0\0\0\0\x02"), REASON_BAD_TYPE, "version", NULL},
    {"a branch that does not resolve, not taken", "{\"name\":\"version\",\"type\":[\"string\",\"long\"]}," KIND,
     SPAN("\x02\x0e\x02"), REASON_NONE, NULL, "\"version\":7,\"kind\":\"CONSENTED\""},
    {"the same branch taken", "{\"name\":\"version\",\"type\":[\"string\",\"long\"]}," KIND, SPAN("\x00\x02v\x02"),
     REASON_BAD_TYPE, "version", NULL},
    {"a boolean of two", "{\"name\":\"test\",\"type\":\"boolean\"}," KIND, SPAN("\x02\x02"), REASON_UNDECODABLE, "test",
     NULL},
    {"text that is no UTF-8", "{\"name\":\"time_zone\",\"type\":\"string\"}," KIND, SPAN("\x02\xff\x02"),
     REASON_BAD_TEXT, "time_zone", NULL},
    {"unknown fields of every type are skipped",
     "{\"name\":\"a\",\"type\":\"null\"},{\"name\":\"b\",\"type\":\"float\"},{\"name\":\"c\",\"type\":\"double\"},{"
     "\"name\":\"d\",\"type\":\"bytes\"},"
     "{\"name\":\"e\",\"type\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}},{\"name\":\"f\",\"type\":{\"type\":"
     "\"map\",\"values\":\"boolean\"}},"
     "{\"name\":\"g\",\"type\":{\"type\":\"array\",\"items\":[\"null\",\"int\"]}},{\"name\":\"h\",\"type\":\"F\"},{"
     "\"name\":\"lines\",\"type\":\"int\"}," KIND,
     SPAN("abcd12345678\x04xyFFF\x02\x02k\x01\x00\x03\x06\x00\x02\x0e\x00GGG\x08\x02"), REASON_NONE, NULL,
     "\"kind\":\"CONSENTED\""},
    {"an unknown list that names itself",
     "{\"name\":\"list\",\"type\":{\"type\":\"record\",\"name\":\"L\",\"fields\":[{\"name\":\"value\",\"type\":"
     "\"int\"},{\"name\":\"next\",\"type\":[\"null\",\"L\"]}]}}," KIND,
     SPAN("\x02\x02\x04\x02\x06\x00\x02"), REASON_NONE, NULL, "\"kind\":\"CONSENTED\""},
};

static const struct resolution resolved_surveys[] = {
    {"concerns by name in two blocks, one with its size",
     "{\"name\":\"concerns\",\"type\":{\"type\":\"array\",\"items\":" ENUM_OF(
         "C", "\"other\",\"price\",\"odd\"") "}}," PURPOSE,
     SPAN("\x02\x00\x01\x02\x02\x00" SURVEY_DATUM), REASON_NONE, NULL,
     "\"concerns\":[\"price\",\"other\"]," SURVEY_JSON},
    {"an unknown concern",
     "{\"name\":\"concerns\",\"type\":{\"type\":\"array\",\"items\":" ENUM_OF(
         "C", "\"other\",\"price\",\"odd\"") "}}," PURPOSE,
     SPAN("\x02\x04\x00" SURVEY_DATUM), REASON_BAD_ENUM, "concerns", NULL},
    {"a concern without its list", "{\"name\":\"concerns\",\"type\":" ENUM_OF("C", "\"other\"") "}," PURPOSE,
     SPAN("\x00" SURVEY_DATUM), REASON_BAD_TYPE, "concerns", NULL},
    {"nps beyond 10", "{\"name\":\"nps\",\"type\":[\"null\",\"int\"]}," PURPOSE, SPAN("\x02\x16" SURVEY_DATUM),
     REASON_OUT_OF_RANGE, "nps", NULL},
    {"nps of -1 is not absent", "{\"name\":\"nps\",\"type\":\"long\"}," PURPOSE, SPAN("\x01" SURVEY_DATUM),
     REASON_OUT_OF_RANGE, "nps", NULL},
    {"answers that are no texts", "{\"name\":\"answers\",\"type\":{\"type\":\"map\",\"values\":\"long\"}}," PURPOSE,
     SPAN("\x02\x02k\x02\x00" SURVEY_DATUM), REASON_BAD_TYPE, "answers", NULL},
    {"answers", "{\"name\":\"answers\",\"type\":{\"type\":\"map\",\"values\":\"string\"}}," PURPOSE,
     SPAN("\x02\x02k\x02v\x00" SURVEY_DATUM), REASON_NONE, NULL, SURVEY_JSON},
    {"nulls without end", "{\"name\":\"x\",\"type\":{\"type\":\"array\",\"items\":\"null\"}}," PURPOSE,
     SPAN("\xfe\xff\xff\xff\xff\xff\x03\x00" SURVEY_DATUM), REASON_UNDECODABLE, NULL, NULL},
};

static const struct resolution resolved_deliveries[] = {
    {"order lines are not read here",
     "{\"name\":\"order_id\",\"type\":\"bytes\"},{\"name\":\"lines\",\"type\":\"string\"},{\"name\":\"kind\","
     "\"type\":" ENUM_OF("K", "\"FAILED\"") "}",
     SPAN("\x02o\x02l\x00"), REASON_NONE, NULL, "\"order_id\":\"o\",\"kind\":\"FAILED\""},
    {"a time beyond 2^47", "{\"name\":\"estimated_at\",\"type\":\"long\"}", SPAN("\x82\x80\x80\x80\x80\x80\x40"),
     REASON_OUT_OF_RANGE, "estimated_at", NULL},
};

static const struct resolution resolved_orders[] = {
    {"lines with their fields in another order, and more of them",
     "{\"name\":\"lines\",\"type\":[\"null\",{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"X\","
     "\"fields\":[{\"name\":\"unit_price\",\"type\":\"int\"},"
     "{\"name\":\"title\",\"type\":\"string\"},{\"name\":\"sku\",\"type\":[\"string\",\"null\"]}]}}]},{\"name\":"
     "\"order_id\",\"type\":\"string\"},{\"name\":\"kind\",\"type\":" ENUM_OF("K", "\"PLACED\"") "}",
     SPAN("\x02\x02\x0a\x04tt\x00\x02"
          "A"
          "\x02\x08\x00\x02\x00\x02o\x00"),
     REASON_NONE, NULL,
     "\"lines\":[{\"sku\":\"A\",\"unit_price\":5},{\"unit_price\":4}],\"order_id\":\"o\",\"kind\":\"PLACED\""},
    {"a line without its list",
     "{\"name\":\"lines\",\"type\":{\"type\":\"record\",\"name\":\"X\",\"fields\":[{\"name\":\"sku\",\"type\":"
     "\"string\"}]}}",
     SPAN("\x02s"), REASON_BAD_TYPE, "lines", NULL},
    {"a null line",
     "{\"name\":\"lines\",\"type\":{\"type\":\"array\",\"items\":[\"null\",{\"type\":\"record\",\"name\":\"X\","
     "\"fields\":[{\"name\":\"sku\",\"type\":\"string\"}]}]}}",
     SPAN("\x02\x00\x00"), REASON_BAD_TYPE, "lines", NULL},
    {"a quantity that is a text",
     "{\"name\":\"lines\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"X\",\"fields\":[{"
     "\"name\":\"quantity\",\"type\":\"string\"}]}}}",
     SPAN("\x02\x02"
          "2\x00"),
     REASON_BAD_TYPE, "lines", NULL},
    {"a missing order id", "{\"name\":\"kind\",\"type\":" ENUM_OF("K", "\"PLACED\"") "}", SPAN("\x00"),
     REASON_MISSING_FIELD, "order_id", NULL},
};

static void writers_schemas_are_resolved(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(resolved_customers); i++)
        assert_resolution(TOPIC_CUSTOMERS, &resolved_customers[i]);
    for (size_t i = 0; i < COUNT_OF(resolved_surveys); i++)
        assert_resolution(TOPIC_SURVEYS, &resolved_surveys[i]);
    for (size_t i = 0; i < COUNT_OF(resolved_deliveries); i++)
        assert_resolution(TOPIC_DELIVERIES, &resolved_deliveries[i]);
    for (size_t i = 0; i < COUNT_OF(resolved_orders); i++)
        assert_resolution(TOPIC_ORDERS, &resolved_orders[i]);
}

static void nesting_without_end_is_refused(void **state)
{
    (void)state;
    struct buffer datum = {0};
    for (int i = 0; i < 1000; i++)
        buffer_add(&datum, "\x02\x02", 2);
    buffer_add(&datum, "\x02\x00\x02", 3);
    struct resolution deep = {"deep",
                              "{\"name\":\"list\",\"type\":{\"type\":\"record\",\"name\":\"L\",\"fields\":[{\"name\":"
                              "\"value\",\"type\":\"int\"},{\"name\":\"next\",\"type\":[\"null\",\"L\"]}]}}," KIND,
                              buffer_span(&datum),
                              REASON_UNDECODABLE,
                              NULL,
                              NULL};
    assert_resolution(TOPIC_CUSTOMERS, &deep);
    buffer_release(&datum);
}

/* ---- the files ---- */

static json_t *load_json(const char *name)
{
    struct buffer text = {0};
    assert_true(read_schema_file(NULL, name, &text));
    json_t *json = json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    buffer_release(&text);
    return json;
}

static void r34_the_schemas_have_the_fields_that_are_read(void **state)
{
    static const char *const files[] = {"order.avsc", "delivery.avsc", "survey.avsc", "email_open.avsc",
                                        "customer.avsc"};
    size_t field_count, index;
    const struct event_field *fields = event_fields(&field_count);
    json_t *member;
    (void)state;
    for (int topic = 0; topic < TOPIC_COUNT; topic++) {
        json_t *schema = load_json(files[topic]);
        size_t known = 0;
        for (size_t i = 0; i < field_count; i++)
            known += (fields[i].topics & 1u << topic) != 0;
        assert_int_equal(json_array_size(json_object_get(schema, "fields")), known);
        json_array_foreach(json_object_get(schema, "fields"), index, member)
        {
            assert_non_null(
                event_field_find((enum topic)topic, span_of(json_string_value(json_object_get(member, "name"))), NULL));
            assert_true(json_string_length(json_object_get(member, "doc")) > 5);
        }
        json_decref(schema);
    }
}

static void the_ids_of_the_file_are_those_of_the_code(void **state)
{
    (void)state;
    json_t *ids = load_json("ids.json"), *entry;
    size_t index;
    assert_int_equal(json_array_size(ids), 15);
    json_array_foreach(ids, index, entry)
    {
        const char *file = file_of_id((uint32_t)json_integer_value(json_object_get(entry, "id")));
        assert_non_null(file);
        assert_string_equal(json_string_value(json_object_get(entry, "file")), file);
    }
    json_decref(ids);
}

/* ---- outputs ---- */

static const struct named evidence[] = {{SPAN("registered"), NAMED_BOOLEAN, 1, {NULL, 0}},
                                        {SPAN("purchases"), NAMED_INTEGER, -2, {NULL, 0}},
                                        {SPAN("last_nps"), NAMED_NULL, 0, {NULL, 0}},
                                        {SPAN("note"), NAMED_TEXT, 0, SPAN("a\"b\xe3\x81\x82")}};

/* R85: the topic's record has the same fields under the same names as the JSON record, but for its type. */
static void assert_record(const struct record *record)
{
    struct buffer value = {0}, text = {0};
    record_avro_write(record, &value);
    record_json_write(record, &text);
    json_t *expected = json_loads(text.data, 0, NULL), *actual = both_json(buffer_span(&value));
    json_object_del(expected, "type");
    assert_json(actual, expected);
    json_decref(expected);
    json_decref(actual);
    buffer_release(&value);
    buffer_release(&text);
}

static void r85_libavro_reads_the_records_that_we_write(void **state)
{
    (void)state;
    struct record record = {.type = RECORD_TRANSITION, .at = 1700000000000, .customer_id = SPAN("c"), .seq = 3};
    record.transition = (struct transition){.dimension = DIMENSION_TIER,
                                            .from = -1,
                                            .to = TIER_VISITOR,
                                            .direction = DIRECTION_DOWN,
                                            .rest = true,
                                            .cause = CAUSE_TIME,
                                            .effective_at = -9,
                                            .cycle = 1,
                                            .evidence = {evidence, 4}};
    assert_record(&record);
    record.transition.from = TIER_PARTNER;
    record.transition.event_id = SPAN("e");
    record.transition.returned = record.transition.backfill = true;
    record.transition.evidence.count = 0;
    assert_record(&record);
    for (int reason = REVOKE_NONE; reason <= REVOKE_REFERRAL_WITHDRAWN; reason++) {
        record.type = RECORD_ACTION;
        record.action = (struct action){.kind = reason == REVOKE_NONE ? ACTION_SEND : ACTION_REVOKE,
                                        .rule = SPAN("r"),
                                        .key = SPAN("k"),
                                        .n = 2,
                                        .template_name = SPAN("t"),
                                        .channel = CHANNEL_SERVICE,
                                        .audience = AUDIENCE_CONTENT,
                                        .class = CLASS_INTERNAL,
                                        .classes = {TIER_LAPSED, PHASE_ADOPT, GROWTH_FAN, SEGMENT_DETRACTOR_MID, 3},
                                        .due_at = 1,
                                        .made_at = 2,
                                        .send_after = 3,
                                        .expires_at = reason == REVOKE_NONE ? NEVER : 4,
                                        .variables = {evidence, 4},
                                        .playbook_version = SPAN("1"),
                                        .reason = (enum revoke_reason)reason};
        if (reason != REVOKE_NONE)
            record.action.order_id = record.action.event_id = record.action.variant = SPAN("x");
        assert_record(&record);
    }
    for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++) {
        record.type = RECORD_DECISION;
        record.decision = (struct decision){.rule = SPAN("r"),
                                            .key = SPAN("k"),
                                            .n = 1,
                                            .outcome = (enum outcome)outcome,
                                            .due_at = 5,
                                            .until = outcome == OUTCOME_DEFERRED ? 9 : NEVER,
                                            .values = {evidence, 4},
                                            .playbook_version = SPAN("1")};
        if (outcome != OUTCOME_SENT)
            record.decision.detail = record.decision.event_id = SPAN("d");
        assert_record(&record);
    }
}

/* Without a zero byte: libavro's JSON cuts a text there. */
#define DIGEST "0123456789abcdef0123456789abcdef"

static struct header odd_headers[] = {{SPAN("h"), SPAN("\x01\xff")},
                                      {SPAN("n"), {NULL, 0}}}; /* libavro cuts at a NUL */
static const struct original odd_original = {.topic = SPAN("crm.orders"),
                                             .partition = 2,
                                             .offset = 3,
                                             .timestamp = 4,
                                             .key = {NULL, 0},
                                             .value = SPAN("\x80v"),
                                             .headers = odd_headers,
                                             .header_count = 2};

static void libavro_reads_a_forwarded_credit(void **state)
{
    (void)state;
    struct buffer value = {0};
    struct forward forward = {
        .kind = FORWARD_CREDIT, .original = odd_original, .credit = event_blank(TOPIC_CUSTOMERS, EVENT_CREDIT)};
    forward.credit.customer_id = SPAN("ref");
    forward.credit.event_id = SPAN("e");
    forward.credit.occurred_at = 5;
    forward.credit.credit =
        (struct credit){.friend_id = SPAN("f"), .standing = true, .order_id = SPAN("o"), .order_at = 6};
    forward_encode(&forward, &value);
    json_t *actual = both_json(buffer_span(&value));
    json_t *expected = json_loads("{\"kind\":\"credit\",\"original\":{\"topic\":\"crm.orders\",\"partition\":2,"
                                  "\"offset\":3,\"timestamp\":4,\"key\":null,\"value\":\"\\u0080v\","
                                  "\"headers\":[{\"name\":\"h\",\"value\":\"\\u0001\\u00ff\"},{\"name\":\"n\","
                                  "\"value\":null}]},\"credit\":{\"topic\":\"customers\","
                                  "\"referrer_customer_id\":\"ref\",\"event_id\":\"e\",\"source\":\"\",\"occurred_at\":"
                                  "5,\"backfill\":false,\"friend_id\":\"f\",\"standing\":true,"
                                  "\"by_erasure\":false,\"order_id\":\"o\",\"order_at\":6,\"order_backfill\":false},"
                                  "\"tick_at\":null,\"playbook\":null,\"rule\":null}",
                                  JSON_ALLOW_NUL, NULL);
    assert_non_null(expected);
    assert_json(actual, expected);
    json_decref(actual);
    json_decref(expected);
    buffer_release(&value);
}

static void libavro_reads_the_other_forwards(void **state)
{
    (void)state;
    struct buffer value = {0};
    static const struct forward others[] = {
        {.kind = FORWARD_TICK, .tick_at = 5},
        {.kind = FORWARD_PAUSE, .rule = SPAN("tip")},
        {.kind = FORWARD_RESUME},
        {.kind = FORWARD_PLAYBOOK, .playbook_version = SPAN("v"), .playbook_hash = DIGEST, .playbook_yaml = SPAN("y")}};
    static const char *const kinds[] = {"tick", "pause", "resume", "playbook"};
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        buffer_reset(&value);
        forward_encode(&others[i], &value);
        json_t *actual = both_json(buffer_span(&value));
        assert_string_equal(json_string_value(json_object_get(actual, "kind")), kinds[i]);
        json_decref(actual);
    }
    buffer_release(&value);
}

static void libavro_reads_meta(void **state)
{
    (void)state;
    struct buffer value = {0};
    struct input_offset input = {SPAN("crm.orders"), 1, 2};
    struct span rules[] = {SPAN("tip")};
    meta_encode(&(struct meta){.shard = 1,
                               .playbook_hash = DIGEST,
                               .seq = 2,
                               .clock = 3,
                               .playbook_version = SPAN("v"),
                               .shard_count = 16,
                               .application_id = SPAN("a"),
                               .cluster_id = SPAN("c"),
                               .inputs = &input,
                               .input_count = 1,
                               .forward_next = 9,
                               .paused_rules = rules,
                               .paused_rule_count = 1},
                &value);
    json_t *actual = both_json(buffer_span(&value));
    assert_int_equal(json_integer_value(json_object_get(actual, "forward_next")), 9);
    assert_int_equal(json_array_size(json_object_get(actual, "paused_rules")), 1);
    json_decref(actual);

    buffer_reset(&value);
    meta_encode(&(struct meta){.playbook_hash = DIGEST, .activation = 4, .sweeping = true, .swept = SPAN("c7")},
                &value);
    actual = both_json(buffer_span(&value));
    assert_int_equal(json_integer_value(json_object_get(actual, "activation")), 4);
    json_decref(actual);
    buffer_release(&value);
}

static void libavro_reads_a_playbook_entry(void **state)
{
    (void)state;
    struct buffer value = {0};
    playbook_entry_encode(
        &(struct playbook_entry){
            .hash = DIGEST, .version = SPAN("v"), .activation = 4, .activated_at = 5, .yaml = SPAN("version: v\n")},
        &value);
    json_t *actual = both_json(buffer_span(&value));
    assert_int_equal(json_integer_value(json_object_get(actual, "activation")), 4);
    json_decref(actual);
    buffer_release(&value);
}

static void libavro_reads_a_step(void **state)
{
    (void)state;
    struct buffer value = {0};
    struct span timers[] = {SPAN("tip")};
    struct step_range range = {SPAN("crm.orders"), 1, 2, 3};
    step_log_encode(&(struct step_log){.shard = 1,
                                       .playbook_hash = DIGEST,
                                       .seq = 2,
                                       .now = 3,
                                       .tz_version = SPAN("z"),
                                       .timer_customers = timers,
                                       .timer_customer_count = 1,
                                       .ranges = &range,
                                       .range_count = 1},
                    &value);
    json_t *actual = both_json(buffer_span(&value));
    assert_int_equal(json_integer_value(json_object_get(json_array_get(json_object_get(actual, "ranges"), 0), "next")),
                     3);
    json_decref(actual);
    buffer_release(&value);
}

static void libavro_reads_a_dead_letter_of_every_reason(void **state)
{
    (void)state;
    struct buffer value = {0};
    for (int reason = REASON_NONE + 1; reason < REASON_COUNT; reason++) {
        struct dead_letter letter = dead_letter_of(&odd_original, (enum reason)reason, "nps", SPAN("why"), 100);
        memcpy(letter.sha256, DIGEST, sizeof letter.sha256);
        buffer_reset(&value);
        dead_letter_encode(&letter, &value);
        json_t *actual = both_json(buffer_span(&value));
        assert_string_equal(json_string_value(json_object_get(actual, "reason")), reason_name((enum reason)reason));
        assert_string_equal(json_string_value(json_object_get(actual, "field")), "nps");
        json_decref(actual);
    }
    buffer_release(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(libavro_reads_the_events_that_we_write),
        cmocka_unit_test(the_plan_reads_the_events_that_we_write),
        cmocka_unit_test(hostile_bytes_are_refused_with_bounded_memory),
        cmocka_unit_test(the_quick_way_agrees_with_the_general_way),
        cmocka_unit_test(texts_of_any_length_and_bytes_are_read),
        cmocka_unit_test(lengths_that_lie_are_refused),
        cmocka_unit_test(writers_schemas_are_resolved),
        cmocka_unit_test(nesting_without_end_is_refused),
        cmocka_unit_test(r34_the_schemas_have_the_fields_that_are_read),
        cmocka_unit_test(the_ids_of_the_file_are_those_of_the_code),
        cmocka_unit_test(r85_libavro_reads_the_records_that_we_write),
        cmocka_unit_test(libavro_reads_a_forwarded_credit),
        cmocka_unit_test(libavro_reads_the_other_forwards),
        cmocka_unit_test(libavro_reads_meta),
        cmocka_unit_test(libavro_reads_a_playbook_entry),
        cmocka_unit_test(libavro_reads_a_step),
        cmocka_unit_test(libavro_reads_a_dead_letter_of_every_reason),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
