#include "common/playbook/playbook.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct playbook_errors errors = {0};
    struct playbook *playbook = playbook_compile(fuzz_span(data, size), "fuzz.yaml", &errors);
    CHECK((playbook == NULL) == (errors.count > 0));
    playbook_free(playbook);
    buffer_release(&errors.text);
    return 0;
}
