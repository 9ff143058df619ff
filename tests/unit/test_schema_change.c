/* Each kind of change to a schema, by the exact words in which it is reported. Patterns are what a release might do to
 * our own schemas. */
#include "common/base/check.h"
#include "common/codec/schema_change.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { READS = SCHEMA_READS_BEFORE, READ = SCHEMA_READ_BEFORE, BOTH = READS | READ, ALL = BOTH | SCHEMA_NAMES };

#define OLD_DATA              "; what was written before cannot be read\n"
#define OLD_READERS           "; readers of before cannot read it\n"
#define RECORD(fields)        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"
#define FIELD(name, type)     "{\"name\":\"" name "\",\"type\":" type "}"
#define OPTIONAL(name, type)  "{\"name\":\"" name "\",\"type\":[\"null\"," type "],\"default\":null}"
#define ENUM(symbols)         "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[" symbols "]}"
#define ENUM_DEFAULT(symbols) "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[" symbols "],\"default\":\"A\"}"
#define FIXED(size)           "{\"type\":\"fixed\",\"name\":\"F\",\"size\":" size "}"
#define ARRAY(items)          "{\"type\":\"array\",\"items\":" items "}"
#define MAP(values)           "{\"type\":\"map\",\"values\":" values "}"

static const struct {
    const char *before, *now;
    unsigned promises;
    const char *lines;
} rows[] = {
    /* what may be */
    {RECORD(FIELD("a", "\"string\"")), RECORD(FIELD("a", "\"string\"")), ALL | SCHEMA_UNCHANGED, ""},
    {RECORD(FIELD("a", "\"string\"")), RECORD(FIELD("a", "\"string\"") "," OPTIONAL("b", "\"long\"")), ALL, ""},
    {RECORD(FIELD("a", "\"string\"") "," OPTIONAL("b", "\"long\"")), RECORD(FIELD("a", "\"string\"")), ALL, ""},
    {RECORD(FIELD("a", "\"int\"") "," FIELD("b", "\"long\"")), RECORD(FIELD("b", "\"long\"") "," FIELD("a", "\"int\"")),
     ALL, ""},
    {RECORD(FIELD("a", "\"int\"")), RECORD(FIELD("a", "\"long\"")), READS, ""},
    {RECORD(FIELD("a", "\"string\"")), RECORD(FIELD("a", "\"bytes\"")), BOTH, ""},
    {RECORD(FIELD("a", "\"long\"")), RECORD(FIELD("a", "[\"null\",\"long\"]")), READS, ""},
    {RECORD(FIELD("a", "[\"null\",\"int\"]")), RECORD(FIELD("a", "[\"long\",\"null\"]")), READS, ""},
    {RECORD(FIELD("a", "\"string\"")),
     "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"b\",\"aliases\":[\"a\"],\"type\":\"string\"}]}",
     READS, ""},
    {RECORD(FIELD("a", "\"string\"")),
     "{\"type\":\"record\",\"name\":\"x.S\",\"aliases\":[\"R\"],\"fields\":[" FIELD("a", "\"string\"") "]}",
     READS | SCHEMA_NAMES, ""},
    {RECORD(FIELD("e", ENUM("\"A\",\"B\""))), RECORD(FIELD("e", ENUM("\"B\",\"A\",\"C\""))), READS, ""},
    {RECORD(FIELD("e", ENUM("\"A\",\"B\""))), RECORD(FIELD("e", ENUM_DEFAULT("\"A\""))), READS, ""},
    {RECORD(FIELD("e", ENUM("\"A\"")) "," FIELD("f", "\"E\"")),
     RECORD(FIELD("e", ENUM("\"A\"")) "," FIELD("f", "\"E\"")), ALL, ""},
    {RECORD(FIELD("r", "[\"null\",\"R\"]")), RECORD(FIELD("r", "[\"null\",\"R\"]")), ALL, ""},

    /* what may not */
    {RECORD(FIELD("a", "\"string\"")), RECORD(FIELD("a", "\"string\"") "," FIELD("b", "\"long\"")), ALL,
     "b: a new field without a default" OLD_DATA},
    {RECORD(FIELD("a", "\"string\"") "," FIELD("b", "\"long\"")), RECORD(FIELD("a", "\"string\"")), ALL,
     "b: a field without a default is gone" OLD_READERS},
    {RECORD(FIELD("a", "\"string\"")), RECORD(FIELD("b", "\"string\"")), ALL,
     "b: a new field without a default" OLD_DATA "a: a field without a default is gone" OLD_READERS},
    {RECORD(FIELD("a", "\"string\"")), RECORD(FIELD("a", "\"long\"")), ALL,
     "a: string became long" OLD_DATA "a: string became long" OLD_READERS},
    {RECORD(FIELD("a", "\"int\"")), RECORD(FIELD("a", "\"long\"")), BOTH, "a: int became long" OLD_READERS},
    {RECORD(FIELD("a", "\"double\"")), RECORD(FIELD("a", "\"float\"")), BOTH, "a: double became float" OLD_DATA},
    {RECORD(FIELD("a", "\"long\"")), RECORD(FIELD("a", "[\"null\",\"long\"]")), BOTH,
     "a: long became null" OLD_READERS},
    {RECORD(FIELD("a", "[\"null\",\"long\"]")), RECORD(FIELD("a", "[\"null\",\"string\"]")), READS,
     "a: long became [null, string]" OLD_DATA},
    {RECORD(FIELD("e", ENUM("\"A\",\"B\""))), RECORD(FIELD("e", ENUM("\"A\",\"C\""))), BOTH,
     "e: the symbol B is gone, and there is no default" OLD_DATA
     "e: the symbol C is new, and there is no default" OLD_READERS},
    {RECORD(FIELD("f", FIXED("4"))), RECORD(FIELD("f", FIXED("8"))), READS, "f: its size changed" OLD_DATA},
    {RECORD(FIELD("l", ARRAY(RECORD(FIELD("sku", "\"string\""))))),
     RECORD(FIELD("l", ARRAY(RECORD(FIELD("sku", "\"int\""))))), READS, "l[].sku: string became int" OLD_DATA},
    {RECORD(FIELD("m", MAP("\"string\""))), RECORD(FIELD("m", MAP("\"long\""))), READS,
     "m{}: string became long" OLD_DATA},
    {RECORD(FIELD("m", MAP("\"string\""))), RECORD(FIELD("m", ARRAY("\"string\""))), READS,
     "m: map became array" OLD_DATA},
    {RECORD(FIELD("t", "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}")),
     RECORD(FIELD("t", "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}")), READS,
     "t: its logical type \"timestamp-millis\" became \"timestamp-micros\"" OLD_DATA},
    {RECORD(FIELD("a", "\"string\"")), "{\"type\":\"record\",\"name\":\"S\",\"fields\":[" FIELD("a", "\"string\"") "]}",
     READS | SCHEMA_NAMES, "the schema: R was renamed to S without an alias" OLD_DATA},
    {RECORD(FIELD("a", "\"string\"")), "\"string\"", READS, "the schema: record became string" OLD_DATA},
    {RECORD(FIELD("a", "\"Nobody\"")), RECORD(FIELD("a", "\"string\"")), READS, "a: no type became string" OLD_DATA},
    {"{", RECORD(FIELD("a", "\"string\"")), BOTH, "the schema: no JSON\n"},

    /* what is read by position: words may change, nothing else */
    {RECORD(FIELD("a", "\"int\"")),
     "{\"type\":\"record\",\"name\":\"R\",\"doc\":\"new\",\"fields\":[" FIELD("a", "\"int\"") "]}", SCHEMA_UNCHANGED,
     ""},
    {RECORD(FIELD("a", "\"int\"")), RECORD(FIELD("a", "\"int\"") "," OPTIONAL("b", "\"int\"")), SCHEMA_UNCHANGED,
     "b: changed; it is read by position, so a change takes a new id or version\n"},
    {RECORD(FIELD("a", "\"int\"") "," FIELD("b", "\"int\"")), RECORD(FIELD("b", "\"int\"") "," FIELD("a", "\"int\"")),
     SCHEMA_UNCHANGED, "b: changed; it is read by position, so a change takes a new id or version\n"},
};

static void every_change_is_named(void **state)
{
    struct arena arena;
    (void)state;
    arena_init(&arena, 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buffer lines = {0};
        size_t count = schema_changes(span_of(rows[i].before), span_of(rows[i].now), rows[i].promises, &arena, &lines),
               ends = 0;
        const char *said = lines.data ? lines.data : "";
        for (const char *c = said; *c; c++)
            ends += *c == '\n';
        if (strcmp(said, rows[i].lines) != 0 || ends != count)
            fail_msg("row %zu: %s\n%s\nsays %zu: %s", i, rows[i].before, rows[i].now, count, said);
        buffer_release(&lines);
    }
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_change_is_named)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
