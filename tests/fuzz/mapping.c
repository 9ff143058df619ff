/* The input is a mapping's YAML, a zero byte, and a message: the one is compiled, and reads the other. */
#include "common/codec/input.h"
#include "tests/fuzz/fuzz.h"

static void read_message(struct mapping *mapping, struct span message)
{
    static const struct header headers[] = {{SPAN("x-topic"), SPAN("orders/create")}};
    struct input input = {.form = INPUT_JSON, .mappings = &mapping, .mapping_count = 1};
    struct original original = {.value = message, .headers = headers, .header_count = 1};
    struct input_events events;
    struct arena arena;
    const char *field;
    struct span words;
    arena_init(&arena, 0);
    if (input_read(&input, TOPIC_ORDERS, &original, &arena, &events, &field, &words) == REASON_NONE)
        for (size_t i = 0; i < events.count; i++)
            CHECK(event_validate(&events.events[i], &field) == REASON_NONE);
    arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct playbook_errors errors = {0};
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    size_t yaml = zero ? (size_t)(zero - data) : size;
    struct mapping *mapping = mapping_compile(fuzz_span(data, yaml), "fuzz.yaml", &errors);
    CHECK((mapping == NULL) == (errors.count > 0));
    if (mapping != NULL && zero != NULL)
        read_message(mapping, fuzz_span(zero + 1, size - yaml - 1));
    mapping_free(mapping);
    buffer_release(&errors.text);
    return 0;
}
