/* A customer's blob as Redis or crm.state gives it: refused, or good for a step, whose own blob is then good too. */
#include "common/engine/step.h"
#include "common/io/data_file.h"
#include "tests/fuzz/fuzz.h"

static struct step_world *world(void)
{
    static struct step_world made;
    if (made.playbook == NULL) {
        struct buffer text = {0};
        struct playbook_errors errors = {0};
        CHECK(file_read(ORIORI_SOURCE_DIR "/schemas/playbook.yaml", &text));
        made.playbook = playbook_compile(buffer_span(&text), "playbook.yaml", &errors);
        made.zones = zones_new();
        CHECK(made.playbook != NULL);
        buffer_release(&text);
    }
    return &made;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct visit_result result, again;
    struct customer_report report;
    int64_t wake_at;
    arena_init(&arena, 64 << 20);
    struct visit visit = {.customer_id = SPAN("c1"), .state = fuzz_span(data, size), .now = INT64_C(1709222400000)};
    bool good = size > 0 && step_wake_at(world(), &arena, visit.customer_id, visit.state, &wake_at);
    if (good && step_report(world(), &arena, visit.customer_id, visit.state, visit.now, &report) &&
        step_visit(world(), &arena, &visit, &result) && result.changed) {
        visit.state = result.state;
        CHECK(step_visit(world(), &arena, &visit, &again));
    }
    arena_release(&arena);
    return 0;
}
