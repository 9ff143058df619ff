/* Records of the worker's own topics: what is taken and written is taken again. */
#include "common/codec/internal_records.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct buffer once = {0};
    struct forward forward;
    struct meta meta;
    struct step_log step;
    struct dead_letter letter;
    struct playbook_entry entry;
    struct span value = fuzz_span(data, size);
    arena_init(&arena, 0);
    if (forward_decode(value, &arena, &forward)) {
        forward_encode(&forward, &once);
        CHECK(forward_decode(buffer_span(&once), &arena, &forward));
    } else if (meta_decode(value, &arena, &meta)) {
        meta_encode(&meta, &once);
        CHECK(meta_decode(buffer_span(&once), &arena, &meta));
    } else if (step_log_decode(value, &arena, &step)) {
        step_log_encode(&step, &once);
        CHECK(step_log_decode(buffer_span(&once), &arena, &step));
    } else if (dead_letter_decode(value, &arena, &letter)) {
        dead_letter_encode(&letter, &once);
        CHECK(dead_letter_decode(buffer_span(&once), &arena, &letter));
    } else if (playbook_entry_decode(value, &arena, &entry)) {
        playbook_entry_encode(&entry, &once);
        CHECK(playbook_entry_decode(buffer_span(&once), &arena, &entry));
    }
    buffer_release(&once);
    arena_release(&arena);
    return 0;
}
