#include "common/base/sha1.h"

#include <sys/types.h>

#include <sha1.h>

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>
#include <stdatomic.h>
#include <stdbool.h>

#define WITH_EXTENSION __attribute__((target("sha,sse4.1")))

/* The message's next four words, in place of the oldest. at: of the 20 fours, from 4. */
WITH_EXTENSION static inline void schedule(__m128i words[4], int at)
{
    __m128i *oldest = &words[at % 4];
    __m128i mixed = _mm_xor_si128(_mm_sha1msg1_epu32(*oldest, words[(at + 1) % 4]), words[(at + 2) % 4]);
    *oldest = _mm_sha1msg2_epu32(mixed, words[(at + 3) % 4]);
}

/* The words a, b, c, d; e and what is added to it come with the message: sha1nexte takes it from the four rounds
 * before. */
struct sha1_work {
    __m128i abcd, before, words[4];
};

/* 20 rounds under one function, a constant of the instruction. first: of the five fours. */
#define TWENTY_ROUNDS(work, first, function)                                                                           \
    _Pragma("GCC unroll 5") for (int at = (first); at < (first) + 5; at++)                                             \
    {                                                                                                                  \
        if (at >= 4)                                                                                                   \
            schedule((work)->words, at);                                                                               \
        __m128i added = _mm_sha1nexte_epu32((work)->before, (work)->words[at % 4]);                                    \
        (work)->before = (work)->abcd;                                                                                 \
        (work)->abcd = _mm_sha1rnds4_epu32((work)->abcd, added, (function));                                           \
    }

WITH_EXTENSION static void block_by_extension(uint32_t state[5], const unsigned char *block)
{
    const __m128i big_endian = _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f);
    const __m128i abcd = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0x1b);
    const __m128i e = _mm_set_epi32((int)state[4], 0, 0, 0);
    /* sha1nexte turns the e of the block before left by 30: turned right by 30 it comes in as it is */
    const uint32_t turned = state[4] << 2 | state[4] >> 30;
    struct sha1_work work = {.abcd = abcd, .before = _mm_set_epi32((int)turned, 0, 0, 0)};
    for (int i = 0; i < 4; i++)
        work.words[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(block + 16 * i)), big_endian);
    TWENTY_ROUNDS(&work, 0, 0)
    TWENTY_ROUNDS(&work, 5, 1)
    TWENTY_ROUNDS(&work, 10, 2)
    TWENTY_ROUNDS(&work, 15, 3)
    _mm_storeu_si128((__m128i *)state, _mm_shuffle_epi32(_mm_add_epi32(work.abcd, abcd), 0x1b));
    state[4] = (uint32_t)_mm_extract_epi32(_mm_sha1nexte_epu32(work.before, e), 3);
}

static bool ask_for_extension(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSE4_1))
        return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}

static bool has_extension(void)
{
    static atomic_int known; /* 0 = not asked yet; whoever asks twice hears the same */
    int answer = atomic_load_explicit(&known, memory_order_relaxed);
    if (answer == 0) {
        answer = ask_for_extension() ? 1 : -1;
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    return answer > 0;
}

#else

#define has_extension()                  false
#define block_by_extension(state, block) ((void)0)

#endif

void sha1_block(uint32_t state[5], const unsigned char *block)
{
    if (has_extension())
        block_by_extension(state, block);
    else
        SHA1Transform(state, block);
}
