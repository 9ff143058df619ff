/* What a schema registry may answer: which request, a status, a body. A schema that it gives is compiled and compared
 * as a writer's would be. */
#include "common/codec/registry_reply.h"
#include "common/codec/schema_change.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const long statuses[] = {200, 404, 409, 422, 401, 500};
    struct registry_reply reply;
    struct arena arena;
    struct buffer lines = {0};
    if (size < 2)
        return 0;
    arena_init(&arena, 64 << 20);
    registry_reply_read((enum registry_request)(data[0] % 4), statuses[data[1] % COUNT_OF(statuses)],
                        fuzz_span(data + 2, size - 2), &arena, &reply);
    CHECK(reply.answer != REGISTRY_AWAY || reply.message.size > 0);
    CHECK(reply.message.size < 600);
    if (reply.answer == REGISTRY_FOUND && reply.schema.size > 0) {
        CHECK(schema_changes(reply.schema, reply.schema, SCHEMA_UNCHANGED, &arena, &lines) <= 1);
        schema_changes(reply.schema, fuzz_span(data + 2, size - 2), 15, &arena, &lines);
        schema_changes(fuzz_span(data + 2, size - 2), reply.schema, 15, &arena, &lines);
    }
    buffer_release(&lines);
    arena_release(&arena);
    return 0;
}
