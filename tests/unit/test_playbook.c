#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "common/playbook/playbook.h"

static struct buffer file_read(const char *path)
{
    struct buffer text = {0};
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    char chunk[4096];
    size_t size;
    while ((size = fread(chunk, 1, sizeof chunk, file)) > 0)
        buffer_add(&text, chunk, size);
    fclose(file);
    return text;
}

static struct playbook *default_playbook(void)
{
    struct buffer yaml = file_read(ORIORI_SOURCE_DIR "/schemas/playbook.yaml");
    struct playbook_errors errors = {0};
    struct playbook *playbook = playbook_compile(buffer_span(&yaml), "playbook.yaml", &errors);
    if (playbook == NULL)
        print_error("%s", errors.text.data);
    buffer_release(&yaml);
    buffer_release(&errors.text);
    return playbook;
}

static void default_playbook_compiles(void **state)
{
    (void)state;
    struct playbook *playbook = default_playbook();
    assert_non_null(playbook);
    playbook_free(playbook);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(default_playbook_compiles)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
