#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/codec/avro_write.h"
#include "common/codec/input.h"
#include "common/io/data_file.h"

#include <string.h>

static struct arena arena;
static struct schema_set *schemas;
static struct mapping *mappings[1];

static bool read_schema(void *context, const char *file_name, struct buffer *buffer)
{
    struct buffer path = {0};
    (void)context;
    bool good = data_file_find(file_name, &path) && file_read(path.data, buffer);
    buffer_release(&path);
    return good;
}

static const char yaml[] = "mapping: test\n"
                           "when: [{at: /list, present: true}]\n"
                           "events:\n"
                           "  - topic: customers\n"
                           "    each: /list\n"
                           "    when: [{at: ./skip, present: false}]\n"
                           "    fields:\n"
                           "      event_id: ./id\n"
                           "      customer_id: ./who\n"
                           "      occurred_at: {at: /at, time: seconds}\n"
                           "      kind: {constant: SHARED}\n";

static int setup(void **state)
{
    struct buffer error = {0};
    struct playbook_errors errors = {0};
    (void)state;
    arena_init(&arena, 0);
    schemas = schema_set_new();
    assert_true(schema_set_load(schemas, read_schema, NULL, &error));
    mappings[0] = mapping_compile(span_of(yaml), "test.yaml", &errors);
    assert_non_null(mappings[0]);
    buffer_release(&error);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mapping_free(mappings[0]);
    schema_set_free(schemas);
    arena_release(&arena);
    return 0;
}

static enum reason read_as(enum input_form form, struct span value, struct input_events *events, struct span *message)
{
    struct input input = {.schemas = schemas, .form = form, .mappings = mappings, .mapping_count = 1};
    struct original original = {.value = value};
    const char *field;
    return input_read(&input, TOPIC_CUSTOMERS, &original, &arena, events, &field, message);
}

static const char own[] = "{\"event_id\":\"1\",\"customer_id\":\"hanako\",\"kind\":\"SHARED\",\"occurred_at\":1000}";

static void the_first_byte_tells_avro_from_json(void **state)
{
    struct event event = event_blank(TOPIC_CUSTOMERS, EVENT_SHARED);
    struct buffer avro = {0};
    struct input_events events;
    struct span message;
    (void)state;
    event.event_id = SPAN("1");
    event.customer_id = SPAN("hanako");
    event.occurred_at = 1000;
    event_avro_write(&event, NULL, &avro);
    assert_int_equal(read_as(INPUT_AUTO, buffer_span(&avro), &events, &message), REASON_NONE);
    assert_int_equal(events.count, 1);
    assert_int_equal(read_as(INPUT_AUTO, span_of(own), &events, &message), REASON_NONE);
    assert_int_equal(events.count, 1);
    assert_int_equal(events.events[0].kind, EVENT_SHARED);
    assert_int_equal(read_as(INPUT_AVRO, span_of(own), &events, &message), REASON_UNDECODABLE);
    assert_int_equal(read_as(INPUT_JSON, buffer_span(&avro), &events, &message), REASON_UNDECODABLE);
    assert_int_equal(read_as(INPUT_AUTO, SPAN(""), &events, &message), REASON_UNDECODABLE);
    buffer_release(&avro);
}

static void a_message_may_say_several_events_or_none(void **state)
{
    struct input_events events;
    struct span message;
    (void)state;
    assert_int_equal(
        read_as(INPUT_JSON,
                SPAN("{\"at\":5,\"list\":[{\"id\":1,\"who\":\"a\"},{\"skip\":1},{\"id\":2,\"who\":\"b\"}]}"), &events,
                &message),
        REASON_NONE);
    assert_int_equal(events.count, 2);
    assert_memory_equal(events.events[1].customer_id.data, "b", 1);
    assert_int_equal(events.events[1].occurred_at, 5000);
    assert_int_equal(read_as(INPUT_JSON, SPAN("{\"list\":[{\"skip\":true}]}"), &events, &message), REASON_NONE);
    assert_int_equal(events.count, 0);
}

static void one_wrong_event_refuses_the_message(void **state)
{
    struct input_events events;
    struct span message;
    (void)state;
    assert_int_equal(
        read_as(INPUT_JSON, SPAN("{\"at\":5,\"list\":[{\"id\":1,\"who\":\"a\"},{\"id\":2}]}"), &events, &message),
        REASON_MISSING_FIELD);
    assert_true(message.size > 0 && memcmp(message.data, "test.yaml:4:", 12) == 0);
    assert_int_equal(read_as(INPUT_JSON, SPAN("{\"at\":\"x\",\"list\":[{\"id\":1,\"who\":\"a\"}]}"), &events, &message),
                     REASON_BAD_TYPE);
    assert_memory_equal(message.data, "test.yaml:10:20: occurred_at: expected a time in seconds", 56);
}

static void more_events_than_a_batch_can_bear_are_refused(void **state)
{
    struct buffer text = {0};
    struct input_events events;
    struct span message;
    (void)state;
    buffer_add_text(&text, "{\"list\":[0");
    for (int i = 0; i < MAPPING_EVENTS_MAX; i++)
        buffer_add_text(&text, ",0");
    buffer_add_text(&text, "]}");
    assert_int_equal(read_as(INPUT_JSON, buffer_span(&text), &events, &message), REASON_TOO_LARGE);
    buffer_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_byte_tells_avro_from_json),
        cmocka_unit_test(a_message_may_say_several_events_or_none),
        cmocka_unit_test(one_wrong_event_refuses_the_message),
        cmocka_unit_test(more_events_than_a_batch_can_bear_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
