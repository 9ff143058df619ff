/* Schemas out of several texts: what comes out, what libavro makes of it, and what is refused. */
#include "common/base/check.h"
#include "common/codec/schema_link.h"

#include <avro.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { OTHERS_MAX = 3 };

struct row {
    const char *root;
    const char *others[OTHERS_MAX];
    const char *linked; /* NULL: refused */
    const char *error;
};

#define RECORD(name, fields) "{\"type\":\"record\"," name ",\"fields\":[" fields "]}"
#define T1(fields)           RECORD("\"name\":\"t1\"", fields)
#define NAMED(name)          "\"name\":\"" name "\""
#define FIELD(name, type)    "{\"name\":\"" name "\",\"type\":" type "}"
#define LINE                 RECORD(NAMED("Line") ",\"namespace\":\"shop\"", FIELD("sku", "\"string\""))
#define LINE_LINKED          RECORD(NAMED("t2"), FIELD("sku", "\"string\""))

static const struct row rows[] = {
    /* by its full name, and once only */
    {RECORD(NAMED("shop.Order"), FIELD("a", "\"shop.Line\"") "," FIELD("b", "\"shop.Line\"")),
     {LINE},
     T1(FIELD("a", LINE_LINKED) "," FIELD("b", "\"t2\"")),
     NULL},
    /* by its bare name in the same namespace; in arrays, maps, unions and behind {"type": } */
    {RECORD(NAMED("Order") ",\"namespace\":\"shop\"",
            FIELD("a", "{\"type\":\"array\",\"items\":\"Line\"}") "," FIELD("b", "{\"type\":\"map\",\"values\":"
                                                                                 "\"Line\"}") "," FIELD(
                "c", "[\"null\",\"Line\"]") "," FIELD("d", "{\"type\":\"Line\"}")),
     {LINE},
     T1(FIELD("a", "{\"type\":\"array\",\"items\":" LINE_LINKED "}") "," FIELD(
         "b", "{\"type\":\"map\",\"values\":\"t2\"}") "," FIELD("c", "[\"null\",\"t2\"]") "," FIELD("d", "\"t2\"")),
     NULL},
    /* a bare name that its own namespace has not is looked for without one; two of one bare name keep apart */
    {RECORD(NAMED("Order") ",\"namespace\":\"shop\"", FIELD("a", "\"Line\"") "," FIELD("b", "\"shop.Line\"")),
     {LINE, RECORD(NAMED("Line"), FIELD("n", "\"int\""))},
     T1(FIELD("a", LINE_LINKED) "," FIELD("b", "\"t2\"")),
     NULL},
    {RECORD(NAMED("Order"), FIELD("a", "\"Line\"") "," FIELD("b", "\"shop.Line\"")),
     {RECORD(NAMED("Line"), FIELD("n", "\"int\"")), LINE},
     T1(FIELD("a", RECORD(NAMED("t2"), FIELD("n", "\"int\""))) "," FIELD(
         "b", RECORD(NAMED("t3"), FIELD("sku", "\"string\"")))),
     NULL},
    /* what a reference refers to; a type within a referenced one; an order that is not theirs */
    {RECORD(NAMED("Order"), FIELD("a", "\"Parcel\"") "," FIELD("b", "\"Kind\"")),
     {LINE, RECORD(NAMED("Parcel"),
                   FIELD("line", "\"shop.Line\"") "," FIELD(
                       "kind", "{\"type\":\"enum\",\"name\":\"Kind\",\"symbols\":[\"P\",\"Q\"],\"default\":\"P\"}"))},
     T1(FIELD("a", RECORD(NAMED("t3"),
                          FIELD("line", LINE_LINKED) "," FIELD(
                              "kind",
                              "{\"type\":\"enum\",\"name\":\"t4\",\"symbols\":[\"P\",\"Q\"]}"))) "," FIELD("b",
                                                                                                           "\"t4\"")),
     NULL},
    /* a type that names itself, and two that name each other */
    {RECORD(NAMED("Order"), FIELD("a", "\"Left\"")),
     {RECORD(NAMED("Left"), FIELD("r", "[\"null\",\"Right\"]")),
      RECORD(NAMED("Right"), FIELD("l", "[\"null\",\"Left\"]"))},
     T1(FIELD("a",
              RECORD(NAMED("t2"), FIELD("r", "[\"null\"," RECORD(NAMED("t3"), FIELD("l", "[\"null\",\"t2\"]")) "]")))),
     NULL},
    /* a root that is but a name; logical types, defaults and docs do not matter to who reads */
    {"\"Order\"",
     {RECORD(NAMED("Order") ",\"doc\":\"d\"",
             "{\"name\":\"at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"},\"default\":0,\"doc\":"
             "\"x\"}," FIELD("f", "{\"type\":\"fixed\",\"name\":\"F\",\"size\":4}"))},
     T1(FIELD("at", "\"long\"") "," FIELD("f", "{\"type\":\"fixed\",\"name\":\"t2\",\"size\":4}")),
     NULL},
    /* the same type twice is one */
    {RECORD(NAMED("Order"), FIELD("a", "\"shop.Line\"")), {LINE, LINE}, T1(FIELD("a", LINE_LINKED)), NULL},
    {RECORD(NAMED("Order"), FIELD("a", "\"Line\"")),
     {LINE},
     NULL,
     "names a type that neither it nor what it refers to defines: Line"},
    {RECORD(NAMED("Order"), FIELD("a", "\"shop.Line\"")),
     {LINE, RECORD(NAMED("shop.Line"), FIELD("sku", "\"bytes\""))},
     NULL,
     "has two different types of one name: shop.Line"},
    {RECORD(NAMED("Order"), FIELD("a", "\"shop.Line\"")), {"{"}, NULL, "is not JSON, or refers to what is not"},
    {RECORD(NAMED("Order"), "{\"name\":\"a\"}"), {LINE}, NULL, "has a field without a type in Order"},
    {RECORD(NAMED("Order"), FIELD("a", "7")), {LINE}, NULL, "is no schema"},
    {"{\"type\":\"record\",\"fields\":[]}", {LINE}, NULL, "defines a type without a name"},
};

static void texts_are_linked_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct span others[OTHERS_MAX];
        struct buffer avsc = {0}, error = {0};
        struct arena arena;
        size_t count = 0;
        arena_init(&arena, 0);
        for (; count < OTHERS_MAX && rows[i].others[count]; count++)
            others[count] = span_of(rows[i].others[count]);
        bool good = schema_link(span_of(rows[i].root), others, count, &arena, &avsc, &error);
        assert_int_equal(good, rows[i].linked != NULL);
        if (good) {
            avro_schema_t schema;
            assert_string_equal(avsc.data, rows[i].linked);
            assert_int_equal(avro_schema_from_json_length(avsc.data, avsc.size, &schema), 0);
            avro_schema_decref(schema);
        } else {
            assert_string_equal(error.data, rows[i].error);
        }
        arena_release(&arena);
        buffer_release(&avsc);
        buffer_release(&error);
    }
}

static void nesting_without_end_is_refused(void **state)
{
    struct buffer deep = {0}, avsc = {0}, error = {0};
    struct arena arena;
    (void)state;
    arena_init(&arena, 0);
    for (int i = 0; i < 100; i++)
        buffer_add_text(&deep, "{\"type\":\"array\",\"items\":");
    buffer_add_text(&deep, "\"int\"");
    for (int i = 0; i < 100; i++)
        buffer_add_char(&deep, '}');
    assert_false(schema_link(buffer_span(&deep), NULL, 0, &arena, &avsc, &error));
    assert_string_equal(error.data, "is nested too deep");
    arena_release(&arena);
    buffer_release(&deep);
    buffer_release(&avsc);
    buffer_release(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_linked_or_refused),
        cmocka_unit_test(nesting_without_end_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
