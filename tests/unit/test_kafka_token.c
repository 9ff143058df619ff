/* Tokens for Kafka: what is read out of a JWT, and that a bad one is said without being shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/base64.h"
#include "common/base/check.h"
#include "common/io/kafka_token.h"

#include <stdlib.h>
#include <string.h>

struct fixture {
    struct arena arena;
    struct buffer error, text;
    struct kafka_token token;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    arena_init(&fixture->arena, 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    arena_release(&fixture->arena);
    buffer_release(&fixture->error);
    buffer_release(&fixture->text);
    free(fixture);
    return 0;
}

/* A JWT with these claims: base64 with the URL's letters, no padding. */
static bool reads(struct fixture *fixture, const char *claims)
{
    struct buffer *text = &fixture->text;
    buffer_reset(text);
    buffer_reset(&fixture->error);
    buffer_add_text(text, "eyJhbGciOiJub25lIn0.");
    size_t start = text->size;
    base64_add(text, span_of(claims));
    while (text->data[text->size - 1] == '=')
        text->size--;
    for (size_t i = start; i < text->size; i++)
        text->data[i] = text->data[i] == '+' ? '-' : text->data[i] == '/' ? '_' : text->data[i];
    buffer_add_text(text, ".c2ln\n");
    return kafka_token_read(buffer_span(text), &fixture->arena, &fixture->token, &fixture->error);
}

static void its_end_and_its_owner_are_read(void **state)
{
    struct fixture *fixture = *state;
    /* The claims are of such a length that padding is missing, and have both letters that differ in URLs. */
    assert_true(reads(fixture, "{\"sub\":\"\xe5\xba\x97\xf0\x9f\x8f\xaf?~>\",\"exp\":1793000000}"));
    assert_int_equal(fixture->token.expires_ms, 1793000000000);
    assert_true(span_equal(fixture->token.principal, span_of("\xe5\xba\x97\xf0\x9f\x8f\xaf?~>")));
    assert_int_equal(fixture->token.text.size, fixture->text.size - 1); /* without the line's end */
    assert_true(reads(fixture, "{\"exp\":1}"));
    assert_true(span_equal(fixture->token.principal, span_of("oriori")));
}

static void what_is_no_token_is_said_and_not_shown(void **state)
{
    struct fixture *fixture = *state;
    static const char *const bad[] = {"", "\n", "secret", "secret.secret", "a.!!!!.c", "a.c2VjcmV0.c", ".."};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        buffer_reset(&fixture->error);
        assert_false(kafka_token_read(span_of(bad[i]), &fixture->arena, &fixture->token, &fixture->error));
        assert_non_null(strstr(fixture->error.data, "it is no JWT"));
        assert_null(strstr(fixture->error.data, "secret"));
    }
    static const char *const endless[] = {"{\"sub\":\"a\"}", "{\"exp\":\"1\"}", "{\"exp\":-1}",
                                          "{\"exp\":9223372036854775807}", "{\"exp\":1.5}"};
    for (size_t i = 0; i < COUNT_OF(endless); i++) {
        assert_false(reads(fixture, endless[i]));
        assert_non_null(strstr(fixture->error.data, "`exp`"));
    }
    assert_false(reads(fixture, "[]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(its_end_and_its_owner_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_token_is_said_and_not_shown, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
