/* SHA-1 and SHA-256 by the examples that FIPS 180 gives, and SHA-1 of parts at every length around the blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/base/hash.h"

enum { LONGEST = 400, SHA1_SIZE = 20, SHA256_SIZE = 32 };

#define TWO_BLOCKS "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"

static void assert_hex(const unsigned char *digest, size_t size, const char *wanted)
{
    char hex[2 * SHA256_SIZE + 1] = "";
    for (size_t i = 0; i < size; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(hex, wanted);
}

static void the_standards_examples(void **state)
{
    (void)state;
    unsigned char digest[SHA256_SIZE];
    hash_sha1(&SPAN("abc"), 1, digest);
    assert_hex(digest, SHA1_SIZE, "a9993e364706816aba3e25717850c26c9cd0d89d");
    hash_sha1(&SPAN(TWO_BLOCKS), 1, digest);
    assert_hex(digest, SHA1_SIZE, "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    hash_sha1(NULL, 0, digest);
    assert_hex(digest, SHA1_SIZE, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    hash_sha256(SPAN("abc"), digest);
    assert_hex(digest, SHA256_SIZE, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hash_sha256(SPAN(TWO_BLOCKS), digest);
    assert_hex(digest, SHA256_SIZE, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void parts_are_the_whole_at_every_length(void **state)
{
    (void)state;
    char text[LONGEST];
    unsigned char wanted[SHA1_SIZE], found[SHA1_SIZE];
    for (size_t i = 0; i < LONGEST; i++)
        text[i] = (char)(i * 37 + 11);
    for (size_t size = 0; size <= LONGEST; size++) {
        const struct span parts[] = {{text, size / 3}, {NULL, 0}, {text + size / 3, size - size / 3}};
        hash_sha1(&(struct span){text, size}, 1, wanted);
        hash_sha1(parts, 3, found);
        assert_memory_equal(found, wanted, sizeof wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_standards_examples),
                                       cmocka_unit_test(parts_are_the_whole_at_every_length)};
    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
