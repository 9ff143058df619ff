/* Folders of playbooks, each beside the exact words that it must be answered with: broken/ by the compiler, doubtful/
 * by lint. And the table of the articles' five rows on their own grid. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/check.h"
#include "common/io/zones_load.h"
#include "workers/lint/lint.h"
#include "workers/subcommand.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define FOLDER ORIORI_SOURCE_DIR "/tests/playbooks/"

static struct buffer file_read(const char *path)
{
    struct buffer text = {0};
    FILE *file = fopen(path, "rb");
    char chunk[4096];
    size_t size;
    if (file == NULL)
        fail_msg("cannot read %s", path);
    while ((size = fread(chunk, 1, sizeof chunk, file)) > 0)
        buffer_add(&text, chunk, size);
    fclose(file);
    return text;
}

static struct playbook *compile_file(const char *path, const char *name, struct buffer *yaml, struct buffer *text,
                                     size_t *count)
{
    struct playbook_errors errors = {0};
    *yaml = file_read(path);
    struct playbook *playbook = playbook_compile(buffer_span(yaml), name, &errors);
    assert_int_equal(playbook == NULL, errors.count > 0);
    *text = errors.text;
    *count = errors.count;
    return playbook;
}

/* What `oriori lint --quiet` prints. */
static struct buffer answer_of(const char *path, const char *name)
{
    struct buffer yaml, text;
    size_t count;
    char error[ZONES_ERROR_SIZE];
    struct playbook *playbook = compile_file(path, name, &yaml, &text, &count);
    if (playbook == NULL) {
        buffer_format(&text, "%s: errors %zu\n", name, count);
    } else {
        struct zones *zones = zones_load(NULL, error);
        struct lint lint = {.playbook = playbook,
                            .yaml = buffer_span(&yaml),
                            .file_name = name,
                            .zones = zones,
                            .events = LINT_ALL_EVENTS,
                            .least = LINT_WARNING};
        lint_run(&lint);
        buffer_add_span(&text, buffer_span(&lint.text));
        buffer_format(&text, "%s: errors %zu, warnings %zu, notes %zu\n", name, lint.counts[LINT_ERROR],
                      lint.counts[LINT_WARNING], lint.counts[LINT_NOTE]);
        lint_release(&lint);
        zones_free(zones);
    }
    playbook_free(playbook);
    buffer_release(&yaml);
    return text;
}

static size_t check_folder(const char *folder, bool compiles)
{
    size_t count = 0;
    DIR *entries = opendir(folder);
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        char path[512], expected_path[512];
        size_t size = strlen(entry->d_name);
        if (size < 5 || strcmp(entry->d_name + size - 5, ".yaml") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        snprintf(expected_path, sizeof expected_path, "%s/%.*s.expected", folder, (int)(size - 5), entry->d_name);
        struct buffer expected = file_read(expected_path), answer = answer_of(path, entry->d_name);
        if (!span_equal(buffer_span(&expected), buffer_span(&answer)))
            fail_msg("%s\nexpected:\n%s\nfound:\n%s", entry->d_name, expected.data, answer.data);
        assert_int_equal(strstr(answer.data, ", notes ") != NULL, compiles);
        buffer_release(&expected);
        buffer_release(&answer);
        count++;
    }
    closedir(entries);
    return count;
}

static void broken_playbooks_say_why(void **state)
{
    (void)state;
    assert_true(check_folder(FOLDER "broken", false) >= 80);
}

static void doubtful_playbooks_are_doubted(void **state)
{
    (void)state;
    assert_true(check_folder(FOLDER "doubtful", true) >= 28);
}

static void default_playbook_passes(void **state)
{
    (void)state;
    struct buffer answer = answer_of(ORIORI_SOURCE_DIR "/schemas/playbook.yaml", "playbook.yaml");
    assert_string_equal(answer.data, "playbook.yaml: errors 0, warnings 0, notes 7\n");
    buffer_release(&answer);
}

/* [001]: 39 of the 90 points are in no row, 9 in two. */
static void five_rows_of_the_article(void **state)
{
    static const char grid[] =
        "registered=true purchases=1,2,3 days_since_last_purchase=30,75,120 subscription=true,false "
        "positive_reactions=0,1,2,3,4";
    struct buffer yaml, errors, text = {0}, error = {0};
    struct grid_result result;
    size_t count, lines = 0;
    (void)state;
    struct playbook *playbook =
        compile_file(FOLDER "seed-five-rows.yaml", "seed-five-rows.yaml", &yaml, &errors, &count);
    assert_non_null(playbook);
    assert_true(lint_grid(playbook, span_of(grid), true, &text, &result, &error));
    assert_int_equal(result.points, 90);
    assert_int_equal(result.holes, 39);
    assert_int_equal(result.overlaps, 9);
    for (size_t i = 0; i < text.size; i++)
        lines += text.data[i] == '\n';
    assert_int_equal(lines, 39 + 9);
    assert_false(lint_grid(playbook, SPAN("purchases=one"), false, &text, &result, &error));
    assert_false(lint_grid(playbook, SPAN("purchase=1"), false, &text, &result, &error));
    playbook_free(playbook);
    buffer_release(&yaml);
    buffer_release(&errors);
    buffer_release(&text);
    buffer_release(&error);
}

/* R62, R17: notes are counted in the .expected files, here are their words. */
static void r62_notes_of_a_leap_day_and_of_a_covered_pattern(void **state)
{
    struct buffer yaml, errors;
    size_t count;
    (void)state;
    struct playbook *playbook = compile_file(FOLDER "doubtful/leap-day-and-products.yaml", "p", &yaml, &errors, &count);
    assert_non_null(playbook);
    struct lint lint = {.playbook = playbook,
                        .yaml = buffer_span(&yaml),
                        .file_name = "p",
                        .events = LINT_ALL_EVENTS,
                        .least = LINT_NOTE};
    lint_run(&lint);
    assert_non_null(strstr(lint.text.data, "note: rule leap: on 02-29 it fires in leap years only\n"));
    assert_non_null(strstr(lint.text.data, "note: product teapot is never found: \"TEA-*\" (tea) before it matches all "
                                           "of \"TEA-POT-*\"\n"));
    assert_null(strstr(lint.text.data, "product trial"));
    lint_release(&lint);
    playbook_free(playbook);
    buffer_release(&yaml);
    buffer_release(&errors);
}

static size_t warnings_with(uint64_t events, const char *sentence)
{
    struct buffer yaml, errors;
    size_t count;
    struct playbook *playbook = compile_file(ORIORI_SOURCE_DIR "/schemas/playbook.yaml", "p", &yaml, &errors, &count);
    struct lint lint = {
        .playbook = playbook, .yaml = buffer_span(&yaml), .file_name = "p", .events = events, .least = LINT_WARNING};
    lint_run(&lint);
    assert_int_equal(strstr(lint.text.data ? lint.text.data : "", sentence) != NULL, true);
    count = lint.counts[LINT_WARNING];
    lint_release(&lint);
    playbook_free(playbook);
    buffer_release(&yaml);
    buffer_release(&errors);
    return count;
}

/* R39: a shop without any delivery facts ends at affirm. */
static void r39_lint_tells_a_shop_without_deliveries(void **state)
{
    uint64_t deliveries = UINT64_C(1) << EVENT_SHIPPED | UINT64_C(1) << EVENT_DELIVERED;
    (void)state;
    assert_true(warnings_with(~deliveries, "phase activate can never be reached") > 10);
    warnings_with(~deliveries, "rule habit_reminder: can never fire: no customer of this shop reaches the phase");
    assert_int_equal(warnings_with(~(UINT64_C(1) << EVENT_DELIVERED), ""), 0); /* SHIPPED is enough (R16) */
    assert_int_equal(warnings_with(~(UINT64_C(1) << EVENT_FAILED), "rule delivery_trouble: can never fire"), 1);
}

/* What no event makes: stages, rows and goals that turn on it, and each rule once, for its trigger or its conditions.
 */
static void a_shop_of_orders_and_deliveries_alone(void **state)
{
    uint64_t events = UINT64_C(1) << EVENT_PLACED | UINT64_C(1) << EVENT_DELIVERED | UINT64_C(1) << EVENT_FAILED;
    (void)state;
    size_t count = warnings_with(events, "growth: audience can never be reached: it needs clicks_60d, and no event of "
                                         "this shop makes that");
    warnings_with(events, "growth: fan can never be reached, as the stage before it cannot");
    warnings_with(events, "tiers: row 1 (partner) can never hold: it needs positive_reactions");
    warnings_with(events, "rule assess_survey: its goal response can never be reached in this shop");
    warnings_with(events, "rule recognition: can never fire: nobody reaches its stage");
    warnings_with(events, "rule lapse_survey: can never fire: its conditions need responses, and no event of this shop "
                          "makes that");
    assert_int_equal(warnings_with(events | UINT64_C(1) << EVENT_CANCELLED, ""), count);
    assert_true(warnings_with(events | UINT64_C(1) << EVENT_RESPONSE, "") < count - 20);
}

/* Cut anywhere, a playbook is refused or taken, never a crash. */
static void cut_playbooks(void **state)
{
    struct buffer yaml = file_read(ORIORI_SOURCE_DIR "/schemas/playbook.yaml");
    (void)state;
    for (size_t size = 0; size < yaml.size; size += 97) {
        struct playbook_errors errors = {0};
        playbook_free(playbook_compile((struct span){yaml.data, size}, "cut", &errors));
        buffer_release(&errors.text);
    }
    buffer_release(&yaml);
}

/* The subcommand's exit status, its words thrown away. */
static int status_of(const char *option, const char *path)
{
    char *argv[] = {"lint", (char *)(option ? option : path), (char *)(option ? path : NULL), NULL};
    int argc = 1 + (option != NULL) + (path != NULL), out = dup(1), error = dup(2), none = open("/dev/null", O_WRONLY);
    fflush(stdout);
    dup2(none, 1), dup2(none, 2);
    int status = lint_main(argc, argv);
    fflush(stdout);
    dup2(out, 1), dup2(error, 2);
    close(out), close(error), close(none);
    return status;
}

static void exit_status_for_scripts(void **state)
{
    static const char good[] = ORIORI_SOURCE_DIR "/schemas/playbook.yaml";
    (void)state;
    assert_int_equal(status_of(NULL, good), 0);
    assert_int_equal(status_of("--strict", good), 0);
    assert_int_equal(status_of("--help", NULL), 0);
    assert_int_equal(status_of(NULL, FOLDER "doubtful/did-not-open.yaml"), 0);
    assert_int_equal(status_of("--strict", FOLDER "doubtful/did-not-open.yaml"), 1);
    assert_int_equal(status_of(NULL, FOLDER "doubtful/unknown-zone.yaml"), 1);
    assert_int_equal(status_of(NULL, FOLDER "broken/share.yaml"), 1);
    assert_int_equal(status_of(NULL, FOLDER "no-such-file.yaml"), 1);
    assert_int_equal(status_of(NULL, NULL), 2);
    assert_int_equal(status_of("--loud", good), 2);
    assert_int_equal(status_of("--events=orders,PARCELS", good), 2);
    assert_int_equal(status_of("--events=orders,SHIPPED,surveys,customers", good), 0);
    assert_int_equal(status_of("--grid=purchases", good), 2);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17;
    return *state;
}

/* Bytes changed, pieces doubled and cut out: refused or taken, and what is taken can be linted. MUTATIONS=n for more.
 */
static void mutated_playbooks(void **state)
{
    static const char letters[] = "{}[]:,-#&*!|>'\"%@` \n0123456789()<=adnort_~";
    struct buffer seed = file_read(FOLDER "seed-five-rows.yaml"), text = {0};
    const char *more = getenv("MUTATIONS");
    uint64_t random = UINT64_C(20261122);
    size_t taken = 0;
    (void)state;
    for (long i = 0, rounds = more != NULL ? atol(more) : 1000; i < rounds; i++) {
        struct playbook_errors errors = {0};
        buffer_reset(&text);
        buffer_add_span(&text, buffer_span(&seed));
        for (uint64_t edits = next_random(&random) % 4 + 1; edits > 0; edits--) {
            size_t at = next_random(&random) % text.size, other = next_random(&random) % text.size;
            size_t size = next_random(&random) % 24;
            size = size < text.size - (at > other ? at : other) ? size : text.size - (at > other ? at : other);
            if (next_random(&random) % 3 == 0)
                memmove(text.data + at, text.data + other, size);
            else
                text.data[at] = letters[next_random(&random) % (sizeof letters - 1)];
        }
        struct playbook *playbook = playbook_compile(buffer_span(&text), "mutated", &errors);
        assert_int_equal(playbook == NULL, errors.count > 0);
        if (playbook != NULL) {
            struct lint lint = {
                .playbook = playbook, .yaml = buffer_span(&text), .file_name = "mutated", .events = LINT_ALL_EVENTS};
            lint_run(&lint);
            lint_release(&lint);
            taken++;
        }
        playbook_free(playbook);
        buffer_release(&errors.text);
    }
    assert_true(taken > 0);
    buffer_release(&seed);
    buffer_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_playbooks_say_why),
        cmocka_unit_test(doubtful_playbooks_are_doubted),
        cmocka_unit_test(r62_notes_of_a_leap_day_and_of_a_covered_pattern),
        cmocka_unit_test(default_playbook_passes),
        cmocka_unit_test(five_rows_of_the_article),
        cmocka_unit_test(r39_lint_tells_a_shop_without_deliveries),
        cmocka_unit_test(a_shop_of_orders_and_deliveries_alone),
        cmocka_unit_test(cut_playbooks),
        cmocka_unit_test(exit_status_for_scripts),
        cmocka_unit_test(mutated_playbooks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
