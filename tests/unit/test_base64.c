#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/base64.h"
#include "common/base/check.h"

/* RFC 4648, section 10, and all byte values. */
static void texts_of_the_standard_go_both_ways(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    struct arena arena;
    arena_init(&arena, 0);
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        struct buffer text = {0};
        struct span bytes;
        base64_add(&text, span_of(pairs[i][0]));
        assert_true(span_equal(buffer_span(&text), span_of(pairs[i][1])));
        assert_true(base64_read(span_of(pairs[i][1]), &arena, &bytes));
        assert_true(span_equal(bytes, span_of(pairs[i][0])));
        buffer_release(&text);
    }
    arena_release(&arena);
}

static void every_byte_survives(void **state)
{
    (void)state;
    char all[256];
    struct arena arena;
    arena_init(&arena, 0);
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    for (size_t size = 250; size <= 256; size++) {
        struct buffer text = {0};
        struct span bytes;
        base64_add(&text, (struct span){all, size});
        assert_true(base64_read(buffer_span(&text), &arena, &bytes));
        assert_true(span_equal(bytes, (struct span){all, size}));
        buffer_release(&text);
    }
    arena_release(&arena);
}

static void other_texts_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"Z", "Zg=", "Zg", "Z===", "Zg==Zg==", "Zm 9", "Zm9v\n", "Z-9v", "===="};
    struct arena arena;
    struct span bytes;
    arena_init(&arena, 0);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(base64_read(span_of(bad[i]), &arena, &bytes));
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_of_the_standard_go_both_ways),
        cmocka_unit_test(every_byte_survives),
        cmocka_unit_test(other_texts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
