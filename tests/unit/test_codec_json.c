/* json.c against jansson: what one reads the other reads, to the same value; 200,000 seeded mutations of real lines. */
#include "common/base/check.h"
#include "common/codec/json.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena arena;

static bool same_value(const struct json *ours, const json_t *theirs);

static bool same_items(const struct json *ours, const json_t *theirs)
{
    size_t index = 0;
    if (ours->count != json_array_size(theirs))
        return false;
    for (const struct json *item = ours->first; item != NULL; item = item->next)
        if (!same_value(item, json_array_get(theirs, index++)))
            return false;
    return index == ours->count;
}

static bool same_members(const struct json *ours, const json_t *theirs)
{
    if (ours->count != json_object_size(theirs))
        return false;
    for (const struct json *member = ours->first; member != NULL; member = member->next) {
        char *key = strndup(member->key.data, member->key.size);
        bool same = same_value(member, json_object_get(theirs, key));
        free(key);
        if (!same)
            return false;
    }
    return true;
}

static bool same_value(const struct json *ours, const json_t *theirs)
{
    if (theirs == NULL)
        return false;
    switch (ours->type) {
    case JSON_KIND_NULL:
        return json_is_null(theirs);
    case JSON_KIND_FALSE:
        return json_is_false(theirs);
    case JSON_KIND_TRUE:
        return json_is_true(theirs);
    case JSON_KIND_INTEGER:
        return json_is_integer(theirs) && json_integer_value(theirs) == ours->integer;
    case JSON_KIND_NUMBER:
        return json_is_real(theirs);
    case JSON_KIND_TEXT:
        return json_is_string(theirs) &&
               span_equal(ours->text, (struct span){json_string_value(theirs), json_string_length(theirs)});
    case JSON_KIND_BAD_TEXT:
        return false;
    case JSON_KIND_ARRAY:
        return json_is_array(theirs) && same_items(ours, theirs);
    case JSON_KIND_OBJECT:
        return json_is_object(theirs) && same_members(ours, theirs);
    }
    return false;
}

/* jansson refuses numbers too large for it and NUL in keys; both are read by us and refused where they are used. */
static bool known_difference(const json_error_t *error)
{
    enum json_error_code code = json_error_code(error);
    return code == json_error_numeric_overflow || code == json_error_null_byte_in_key;
}

static void compare(const char *text, size_t size)
{
    json_error_t error;
    char *exact = malloc(size + 1); /* so that the sanitizer sees a read behind the end */
    memcpy(exact, text, size);
    json_t *theirs = json_loadb(exact, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    const struct json *ours = json_read((struct span){exact, size}, &arena);
    bool same = theirs != NULL ? ours != NULL && same_value(ours, theirs) : ours == NULL || known_difference(&error);
    if (!same)
        print_message("differ (%s): %.*s\n", theirs ? "read" : error.text, (int)size, text);
    assert_true(same);
    json_decref(theirs);
    free(exact);
    arena_reset(&arena);
}

static const char *const texts[] = {
    "{\"topic\": \"orders\", \"event\": {\"event_id\": \"e1\", \"occurred_at\": \"2024-01-01T00:00:00Z\", \"lines\": "
    "[{\"sku\": "
    "\"A\\u00e9\\n\", \"quantity\": 2}], \"x\": null}, \"received_at\": 1700000000000}",
    "[true,false,null,0,-0,1.5,1e3,-2E-2,9223372036854775807,-9223372036854775808]",
    " {\"a\":\"\\ud83d\\ude00 \xf0\x9f\x98\x80 \xe3\x81\x82\",\"b\":[[],{}],\"c\":{\"d\":{\"e\":[1,[2,[3]]]}}} ",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\"",
};

static void reads_what_jansson_reads(void **state)
{
    (void)state;
    static const char *const more[] = {"",
                                       " ",
                                       "{",
                                       "[1,]",
                                       "{\"a\":1,}",
                                       "01",
                                       "-",
                                       "1.",
                                       "1e",
                                       "+1",
                                       ".5",
                                       "nul",
                                       "\"\\x\"",
                                       "\"\\ud800\"",
                                       "\"\\udc00\"",
                                       "\"\x01\"",
                                       "\"\xff\"",
                                       "\"\xc0\x80\"",
                                       "\"\xed\xa0\x80\"",
                                       "\"\xf4\x90\x80\x80\"",
                                       "{\"a\":1,\"a\":2}",
                                       "{\"a\":1 \"b\":2}",
                                       "[1 2]",
                                       "1 2",
                                       "\"open",
                                       "\"open\\",
                                       "\"open\\\"",
                                       "{\"a\"}",
                                       "{a:1}",
                                       "[\"\\u00\"]",
                                       "\"\\u0000\""};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        compare(texts[i], strlen(texts[i]));
    for (size_t i = 0; i < COUNT_OF(more); i++)
        compare(more[i], strlen(more[i]));
}

/* Read with marks, only the text itself is at fault; all else stays strict. */
static void a_lone_surrogate_may_be_marked(void **state)
{
    (void)state;
    const struct json *read = json_read_marking(
        SPAN("{\"a\":\"x\\ud800y\",\"b\":[\"\\udfff\\ud83d\\ude00\"],\"\\udc00\":1,\"c\":\"z\"}"), &arena);
    assert_non_null(read);
    assert_true(json_has_bad_text(read));
    const struct json *a = json_member(read, SPAN("a")), *b = json_member(read, SPAN("b"));
    assert_int_equal(a->type, JSON_KIND_BAD_TEXT);
    assert_true(span_equal(a->text, SPAN("x\xef\xbf\xbdy")));
    assert_int_equal(b->first->type, JSON_KIND_BAD_TEXT);
    assert_true(span_equal(b->first->text, SPAN("\xef\xbf\xbd\xf0\x9f\x98\x80")));
    assert_int_equal(b->next->type, JSON_KIND_BAD_TEXT); /* for its key */
    assert_true(span_equal(json_text_part(read, SPAN("c")), SPAN("z")));
    assert_false(json_has_bad_text(json_read_marking(SPAN("[\"\\ud83d\\ude00\"]"), &arena)));
    static const char *const wrong[] = {"\"\\ud800", "\"\\ud800\\u00\"", "\"\\ud800\\x\"", "\"\xed\xa0\x80\"",
                                        "\"\\ud8\""};
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_null(json_read_marking(span_of(wrong[i]), &arena));
    arena_reset(&arena);
}

static uint64_t random_next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

static void mutations_are_read_as_by_jansson(void **state)
{
    (void)state;
    static const char alphabet[] = "{}[]\",:\\u0123456789eE+-. tfnabdD\x80\xc3\xe3\xf0\x01";
    uint64_t seed = 20240131;
    for (int round = 0; round < 200000; round++) {
        char text[512];
        const char *base = texts[random_next(&seed) % COUNT_OF(texts)];
        size_t size = strlen(base);
        memcpy(text, base, size);
        for (uint64_t changes = 1 + random_next(&seed) % 3; changes > 0 && size > 0; changes--) {
            size_t at = random_next(&seed) % size;
            uint64_t kind = random_next(&seed) % 3;
            if (kind == 0) {
                text[at] = alphabet[random_next(&seed) % (sizeof alphabet - 1)];
            } else if (kind == 1) {
                memmove(text + at, text + at + 1, size - at - 1);
                size--;
            } else {
                size = at + 1;
            }
        }
        compare(text, size);
    }
}

static void many_keys_twice_are_found(void **state)
{
    (void)state;
    struct buffer text = {0};
    for (int twice = 0; twice < 2; twice++) {
        buffer_reset(&text);
        buffer_add_char(&text, '{');
        for (int i = 0; i < 5000; i++)
            buffer_format(&text, "\"k%d\":%d,", twice && i == 4999 ? 17 : i, i);
        text.data[text.size - 1] = '}';
        assert_true((json_read(buffer_span(&text), &arena) == NULL) == (twice == 1));
    }
    buffer_release(&text);
}

static void nesting_without_end_is_refused(void **state)
{
    (void)state;
    size_t size = 1000000;
    char *text = malloc(size);
    memset(text, '[', size);
    assert_null(json_read((struct span){text, size}, &arena));
    free(text);
}

static void texts_written_are_read_back(void **state)
{
    (void)state;
    struct buffer text = {0};
    char all[256];
    for (int i = 0; i < 128; i++)
        all[i] = (char)i;
    struct span written = {all, 128};
    json_add_text(&text, written);
    compare(text.data, text.size);
    const struct json *read = json_read(buffer_span(&text), &arena);
    assert_true(read != NULL && span_equal(read->text, written));
    buffer_release(&text);
}

/* Every byte at every place of three words, beside a text that needs two bytes a letter. */
static void what_needs_an_escape_is_found_anywhere(void **state)
{
    (void)state;
    struct buffer text = {0};
    char plain[27];
    for (size_t at = 0; at < 24; at++) {
        for (int c = 0; c < 128; c++) {
            for (size_t i = 0; i < sizeof plain - 3; i++)
                plain[i] = (char)('a' + i % 26);
            memcpy(plain + 24, "\xc3\xa9z", 3);
            plain[at] = (char)c;
            buffer_reset(&text);
            json_add_text(&text, (struct span){plain, sizeof plain});
            compare(text.data, text.size);
            const struct json *read = json_read(buffer_span(&text), &arena);
            assert_true(read != NULL && span_equal(read->text, (struct span){plain, sizeof plain}));
            bool escaped = c < 0x20 || c == '"' || c == '\\' || c == 0x7f;
            assert_int_equal(memchr(text.data, '\\', text.size) != NULL, escaped);
        }
        arena_reset(&arena);
    }
    buffer_release(&text);
}

static void assert_written(int64_t number)
{
    char expected[32];
    struct buffer text = {0};
    snprintf(expected, sizeof expected, "%lld", (long long)number);
    buffer_add_integer(&text, number);
    assert_string_equal(text.data, expected);
    buffer_release(&text);
}

static void numbers_are_written_at_every_length(void **state)
{
    (void)state;
    int64_t power = 1;
    for (int digits = 1; digits <= 19; digits++) {
        const int64_t around[] = {power - 1, power, power + 1, power / 7 * 9};
        for (size_t i = 0; i < COUNT_OF(around); i++) {
            assert_written(around[i]);
            assert_written(-around[i]);
        }
        power = digits < 19 ? power * 10 : power;
    }
    assert_written(INT64_MAX);
    assert_written(INT64_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_needs_an_escape_is_found_anywhere),
        cmocka_unit_test(numbers_are_written_at_every_length),
        cmocka_unit_test(reads_what_jansson_reads),
        cmocka_unit_test(mutations_are_read_as_by_jansson),
        cmocka_unit_test(a_lone_surrogate_may_be_marked),
        cmocka_unit_test(many_keys_twice_are_found),
        cmocka_unit_test(nesting_without_end_is_refused),
        cmocka_unit_test(texts_written_are_read_back),
    };
    arena_init(&arena, 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_release(&arena);
    return failed;
}
