#include "common/codec/json.h"
#include "common/codec/event_json.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/event_ways.h"

/* What was read and is written is read again and written as the same text. */
static void round_trip(const struct json *value, struct arena *arena)
{
    struct buffer once = {0}, twice = {0};
    json_add(&once, value);
    const struct json *again = json_read(buffer_span(&once), arena);
    CHECK(again != NULL);
    json_add(&twice, again);
    CHECK(span_equal(buffer_span(&once), buffer_span(&twice)));
    buffer_release(&once);
    buffer_release(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct event event;
    int64_t received_at;
    const char *field;
    arena_init(&arena, 0);
    const struct json *value = json_read(fuzz_span(data, size), &arena);
    if (value != NULL)
        round_trip(value, &arena);
    if (event_json_read(fuzz_span(data, size), &arena, &event, &received_at, &field) == REASON_NONE)
        CHECK(event_validate(&event, &field) == REASON_NONE);
    CHECK(ways_agree(fuzz_span(data, size), &arena));
    arena_release(&arena);
    return 0;
}
