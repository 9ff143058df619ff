/* SHA-1 of parts against the library's own, at every length around the blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/hash.h"

#include <sha1.h>

enum { LONGEST = 400 };

static void sha1_is_the_librarys_at_every_length(void **state)
{
    (void)state;
    unsigned char text[LONGEST], wanted[SHA1_DIGEST_LENGTH], found[SHA1_DIGEST_LENGTH];
    for (size_t i = 0; i < LONGEST; i++)
        text[i] = (unsigned char)(i * 37 + 11);
    for (size_t size = 0; size <= LONGEST; size++) {
        SHA1_CTX context;
        SHA1Init(&context);
        SHA1Update(&context, text, size);
        SHA1Final(wanted, &context);
        const char *at = (const char *)text;
        const struct span parts[] = {{at, size / 3}, {NULL, 0}, {at + size / 3, size - size / 3}};
        hash_sha1(parts, 3, found);
        assert_memory_equal(found, wanted, sizeof wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sha1_is_the_librarys_at_every_length)};
    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
