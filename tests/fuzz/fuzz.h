/* A fuzz target is one function over one input; libFuzzer calls it. The arena is made anew, so that reading past a
 * value is seen by the address sanitizer; the input is a copy of its own size for the same reason. */
#ifndef ORIORI_TESTS_FUZZ_FUZZ_H
#define ORIORI_TESTS_FUZZ_FUZZ_H

#include "common/base/arena.h"
#include "common/base/check.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline struct span fuzz_span(const uint8_t *data, size_t size)
{
    return (struct span){(const char *)data, size};
}

#endif
