/* The first byte chooses the topic; the rest is a record's value. */
#include "common/codec/schema_set.h"
#include "common/io/data_file.h"
#include "tests/fuzz/fuzz.h"

static bool read_schema(void *context, const char *file_name, struct buffer *buffer)
{
    struct buffer path = {0};
    (void)context;
    buffer_format(&path, ORIORI_SOURCE_DIR "/schemas/%s", file_name);
    bool good = file_read(path.data, buffer);
    buffer_release(&path);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct schema_set *set;
    struct buffer text = {0};
    struct arena arena;
    struct event event;
    const char *field;
    if (set == NULL) {
        struct buffer error = {0};
        set = schema_set_new();
        CHECK(schema_set_load(set, read_schema, NULL, &error));
    }
    if (size == 0)
        return 0;
    arena_init(&arena, 0);
    struct span value = fuzz_span(data + 1, size - 1);
    if (schema_set_read_event(set, (enum topic)(data[0] % TOPIC_COUNT), value, &arena, &event, &field) == REASON_NONE)
        CHECK(event_validate(&event, &field) == REASON_NONE);
    schema_set_json_write(set, value, &text);
    buffer_release(&text);
    arena_release(&arena);
    return 0;
}
