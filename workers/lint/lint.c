#define _GNU_SOURCE /* vasprintf */
#include "workers/lint/lint.h"

#include "common/base/check.h"
#include "common/io/zones_load.h"
#include "workers/subcommand.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>

static const char *const level_names[] = {"note", "warning", "error"};

static void say(struct lint *lint, enum lint_level level, const struct node *node, const struct rule *rule,
                const char *format, va_list arguments)
{
    char *message = NULL;
    lint->counts[level]++;
    if (level < lint->least)
        return;
    CHECK(vasprintf(&message, format, arguments) >= 0);
    buffer_add_text(&lint->text, lint->file_name);
    if (node != NULL)
        buffer_format(&lint->text, ":%d:%d", node->line, node->column);
    buffer_format(&lint->text, ": %s: ", level_names[level]);
    if (rule != NULL)
        buffer_format(&lint->text, "rule %.*s: ", (int)rule->name.size, rule->name.data);
    buffer_format(&lint->text, "%s\n", message);
    free(message);
}

void lint_say(struct lint *lint, enum lint_level level, const struct node *node, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(lint, level, node, NULL, format, arguments);
    va_end(arguments);
}

void lint_say_rule(struct lint *lint, enum lint_level level, const struct rule *rule, const char *key,
                   const char *format, ...)
{
    const struct node *whole = lint->rule_nodes[rule->index], *node = node_find(whole, key);
    va_list arguments;
    va_start(arguments, format);
    say(lint, level, node ? node : whole, rule, format, arguments);
    va_end(arguments);
}

const struct node *lint_top(const struct lint *lint, const char *key)
{
    return node_find(lint->root, key);
}

/* ---- places ---- */

static void ignore(void *context, int line, int column, const char *message)
{
    (void)context, (void)line, (void)column, (void)message; /* the compiler has told it all */
}

/* The items of a list in the file; of rules those of the playbook's strategy (R61). */
static const struct node **items_of(struct lint *lint, const struct node *list, size_t count)
{
    const struct node **items = ARENA_ARRAY(&lint->arena, const struct node *, count + 1);
    size_t index = 0;
    for (const struct node *item = list ? list->first : NULL; item != NULL && index < count; item = item->next) {
        const struct node *strategy = node_find(item, "strategy");
        if (strategy == NULL || span_equal(strategy->text, lint->playbook->strategy))
            items[index++] = item;
    }
    return items;
}

/* The compiled playbook keeps no places; the file is read once more for them. */
static void find_places(struct lint *lint)
{
    const struct playbook *playbook = lint->playbook;
    arena_init(&lint->arena, 0);
    lint->root = node_parse(&lint->arena, lint->yaml, ignore, NULL);
    lint->rule_nodes = items_of(lint, lint_top(lint, "rules"), playbook->rule_count);
    lint->row_nodes = items_of(lint, node_find(lint_top(lint, "tiers"), "rows"), playbook->tier_row_count);
    lint->dead = ARENA_ARRAY(&lint->arena, bool, playbook->rule_count + 1);
    lint->product_nodes = items_of(lint, lint_top(lint, "products"), playbook->product_count);
}

void lint_run(struct lint *lint)
{
    find_places(lint);
    lint_facts(lint);
    lint_times(lint);
    lint_products(lint);
    lint_growth(lint);
    lint_shop(lint);
    lint_tiers(lint);
    lint_rules(lint);
}

void lint_release(struct lint *lint)
{
    buffer_release(&lint->text);
    arena_release(&lint->arena);
}

/* ---- the subcommand ---- */

static const char usage[] =
    "usage: oriori lint [OPTION ...] PLAYBOOK\n"
    "\n"
    "Checks a playbook: what is wrong with it (errors), what it cannot have meant (warnings), and what its tables do\n"
    "(notes: customers in no row of the tier table, or in several). Exit status 0, or 1 with errors.\n"
    "\n"
    "  --events LIST    what the shop's platforms send, topics or kinds: orders,SHIPPED,surveys (default: everything)\n"
    "  --grid GRID      the tier table on a grid of your own, instead of the checks\n"
    "  --quiet          no notes\n"
    "  --strict         exit status 1 with warnings too\n"
    "  --help           print this\n"
    "\n"
    "example:\n"
    "  oriori lint schemas/playbook.yaml\n"
    "  oriori lint --grid 'registered=true purchases=1,2,3 days_since_last_purchase=30,75,120' schemas/playbook.yaml\n";

struct options {
    const char *path, *grid;
    uint64_t events;
    bool quiet, strict;
};

static bool file_read(const char *path, struct buffer *text)
{
    char chunk[16384];
    size_t size;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    while ((size = fread(chunk, 1, sizeof chunk, file)) > 0 && text->size <= NODE_FILE_SIZE_MAX)
        buffer_add(text, chunk, size);
    int error = ferror(file) ? errno : 0;
    fclose(file);
    errno = error;
    return error == 0;
}

/* A topic's name stands for all its kinds. */
static bool event_add(struct span word, uint64_t *events)
{
    enum topic topic;
    enum event_kind kind;
    bool whole = topic_find(word, &topic), found = false;
    for (int i = 0; i < EVENT_KIND_COUNT; i++) {
        for (int t = 0; t < TOPIC_COUNT; t++) {
            struct span name = span_of(event_kind_name((enum event_kind)i));
            if (!event_kind_find((enum topic)t, name, &kind) || (int)kind != i)
                continue;
            if (whole ? t == (int)topic : span_equal(word, name)) {
                *events |= UINT64_C(1) << i;
                found = true;
            }
        }
    }
    if (whole && topic == TOPIC_SURVEYS) { /* has no kinds (R34) */
        *events |= UINT64_C(1) << EVENT_RESPONSE;
        found = true;
    }
    return found;
}

static bool events_parse(const char *list, uint64_t *ret_events)
{
    *ret_events = 0;
    while (*list != '\0') {
        struct span word = {list, strcspn(list, ",")};
        if (!event_add(word, ret_events)) {
            fprintf(stderr, "oriori lint: --events: expected a topic or an event kind, found \"%.*s\"\n",
                    (int)word.size, word.data);
            return false;
        }
        list += word.size + (list[word.size] == ',');
    }
    return true;
}

/* -1: go on; else the exit status. */
static int options_parse(int argc, char **argv, struct options *options)
{
    static const struct option names[] = {
        {"events", required_argument, NULL, 'e'}, {"grid", required_argument, NULL, 'g'},
        {"quiet", no_argument, NULL, 'q'},        {"strict", no_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
    *options = (struct options){.events = LINT_ALL_EVENTS};
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "h", names, NULL)) != -1;) {
        switch (option) {
        case 'e':
            if (!events_parse(optarg, &options->events))
                return EXIT_USAGE;
            break;
        case 'g':
            options->grid = optarg;
            break;
        case 'q':
            options->quiet = true;
            break;
        case 's':
            options->strict = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return EXIT_DONE;
        default:
            return EXIT_USAGE;
        }
    }
    if (optind + 1 != argc) {
        fputs("oriori lint: expected one PLAYBOOK; `oriori lint --help` says more\n", stderr);
        return EXIT_USAGE;
    }
    options->path = argv[optind];
    return -1;
}

static int run_grid(const struct playbook *playbook, const struct options *options)
{
    struct buffer text = {0}, error = {0};
    struct grid_result result;
    bool good = lint_grid(playbook, span_of(options->grid), !options->quiet, &text, &result, &error);
    if (good)
        printf("%s%zu points: %zu in no row, %zu in more than one\n", text.data ? text.data : "", result.points,
               result.holes, result.overlaps);
    else
        fprintf(stderr, "oriori lint: %s\n", error.data ? error.data : "grid: expected fact=value,value");
    buffer_release(&text);
    buffer_release(&error);
    return good ? EXIT_DONE : EXIT_USAGE;
}

static int run_checks(const struct playbook *playbook, struct span yaml, const struct options *options)
{
    char no_zones[ZONES_ERROR_SIZE];
    struct zones *zones = zones_load(NULL, no_zones);
    struct lint lint = {.playbook = playbook,
                        .yaml = yaml,
                        .file_name = options->path,
                        .zones = zones,
                        .events = options->events,
                        .least = options->quiet ? LINT_WARNING : LINT_NOTE};
    lint_run(&lint);
    fwrite(lint.text.data ? lint.text.data : "", 1, lint.text.size, stdout);
    printf("%s: errors %zu, warnings %zu, notes %zu\n", options->path, lint.counts[LINT_ERROR],
           lint.counts[LINT_WARNING], lint.counts[LINT_NOTE]);
    bool failed = lint.counts[LINT_ERROR] > 0 || (options->strict && lint.counts[LINT_WARNING] > 0);
    lint_release(&lint);
    zones_free(zones);
    return failed ? EXIT_FAILED : EXIT_DONE;
}

int lint_main(int argc, char **argv)
{
    struct options options;
    struct buffer yaml = {0};
    struct playbook_errors errors = {0};
    int status = options_parse(argc, argv, &options);
    if (status >= 0)
        return status;
    if (!file_read(options.path, &yaml)) {
        fprintf(stderr, "oriori lint: %s: %s\n", options.path, strerror(errno));
        buffer_release(&yaml);
        return EXIT_FAILED;
    }
    struct playbook *playbook = playbook_compile(buffer_span(&yaml), options.path, &errors);
    if (playbook == NULL) {
        fwrite(errors.text.data, 1, errors.text.size, stdout);
        printf("%s: errors %zu\n", options.path, errors.count);
        status = EXIT_FAILED;
    } else if (options.grid != NULL) {
        status = run_grid(playbook, &options);
    } else {
        status = run_checks(playbook, buffer_span(&yaml), &options);
    }
    playbook_free(playbook);
    buffer_release(&errors.text);
    buffer_release(&yaml);
    return status;
}
