/* `oriori schema`: are the schemas still ones that the rest of the world can live with, and putting them into a
 * registry. What is promised for which schema is one table; the comparison is common/codec/schema_change.h. */
#include "workers/subcommand.h"

#include "common/base/check.h"
#include "common/codec/schema_change.h"
#include "common/io/data_file.h"
#include "workers/lifecycle/setup.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: oriori schema check --against registry|FOLDER [--config FILE]\n"
    "       oriori schema register [--config FILE]\n\n"
    "check compares the schemas of the config (or the shipped ones) with those of a registry, or of another release "
    "in\n"
    "a folder of .avsc files, and names each change that data or programs of before cannot bear: exit status 1.\n"
    "register puts the schemas of inputs and outputs into the registry, under TOPIC-value, and prints their ids.\n\n"
    "  --against registry   the latest version of each subject; FOLDER: files of the same names\n"
    "  --config FILE        the worker's config; without it defaults and the environment count\n\n"
    "example: oriori schema check --against tests/golden/0.1.0\n";

enum { FULL = SCHEMA_READS_BEFORE | SCHEMA_READ_BEFORE | SCHEMA_NAMES };

/* schemas/README.md says why. A schema without a topic is nobody's subject. */
static const struct schema_row {
    const char *file;
    const char *topic; /* by its short name; inputs may have another full name */
    bool input;
    unsigned promises;
} rows[] = {
    {"order.avsc", "orders", true, FULL},
    {"delivery.avsc", "deliveries", true, FULL},
    {"survey.avsc", "surveys", true, FULL},
    {"email_open.avsc", "email-opens", true, FULL},
    {"customer.avsc", "customers", true, FULL},
    {"action.avsc", "actions", false, FULL},
    {"transition.avsc", "transitions", false, FULL},
    {"decision.avsc", "decisions", false, FULL},
    {"dead_letter.avsc", "dead", false, FULL},
    {"forward.avsc", NULL, false, SCHEMA_UNCHANGED},
    {"forward_2.avsc", NULL, false, SCHEMA_UNCHANGED},
    {"meta.avsc", NULL, false, SCHEMA_UNCHANGED},
    {"meta_2.avsc", NULL, false, SCHEMA_UNCHANGED},
    {"playbook_entry.avsc", NULL, false, SCHEMA_UNCHANGED},
    {"step.avsc", NULL, false, SCHEMA_UNCHANGED},
    {"customer_state.avsc", NULL, false, SCHEMA_UNCHANGED},
};

struct job {
    struct setup setup;
    const char *against; /* "registry", or a folder */
    struct arena arena;
    size_t compared, changes;
    bool failed;
};

static const char *subject_of(struct job *job, const struct schema_row *row)
{
    enum topic topic;
    const char *name = row->input && topic_find(span_of(row->topic), &topic)
                           ? job->setup.config.topic_inputs[topic]
                           : config_topic(&job->setup.config, row->topic);
    struct buffer text = {0};
    buffer_format(&text, "%s-value", name);
    const char *kept = arena_copy(&job->arena, buffer_span(&text)).data;
    buffer_release(&text);
    return kept;
}

/* Each line with the file before it. */
static void print_lines(const char *file, const struct buffer *lines)
{
    for (const char *line = lines->size ? lines->data : ""; *line;) {
        size_t size = strcspn(line, "\n");
        printf("%s: %.*s\n", file, (int)size, line);
        line += size + (line[size] == '\n');
    }
}

static void compare(struct job *job, const struct schema_row *row, struct span before, struct span now,
                    unsigned promises)
{
    struct buffer lines = {0};
    job->changes += schema_changes(before, now, promises, &job->arena, &lines);
    job->compared++;
    print_lines(row->file, &lines);
    buffer_release(&lines);
}

static void check_folder(struct job *job, const struct schema_row *row, struct span now)
{
    struct buffer path = {0}, before = {0};
    buffer_format(&path, "%s/%s", job->against, row->file);
    if (file_read(path.data, &before))
        compare(job, row, buffer_span(&before), now, row->promises);
    else
        printf("%s: not in %s\n", row->file, job->against);
    buffer_release(&path);
    buffer_release(&before);
}

/* The registry's latest of an input is its writer's, who may call his record what he likes: it must be read, no more.
 */
static void check_registry(struct job *job, const struct schema_row *row, struct span now)
{
    struct buffer before = {0};
    if (row->topic == NULL)
        return;
    const char *subject = subject_of(job, row);
    enum registry_answer answer = registry_version(job->setup.registry, subject, REGISTRY_LATEST, &before);
    if (answer == REGISTRY_FOUND) {
        unsigned promises = row->input ? SCHEMA_READS_BEFORE : row->promises;
        compare(job, row, buffer_span(&before), now, promises);
    } else if (answer == REGISTRY_UNKNOWN) {
        printf("%s: %s is not registered\n", row->file, subject);
    } else {
        fprintf(stderr, "oriori: %s: %s\n", subject, registry_text(job->setup.registry));
        job->failed = true;
    }
    buffer_release(&before);
}

static void register_row(struct job *job, const struct schema_row *row, struct span avsc)
{
    uint32_t id;
    if (row->topic == NULL)
        return;
    const char *subject = subject_of(job, row);
    if (registry_register(job->setup.registry, subject, avsc, &id) == REGISTRY_FOUND) {
        printf("%s %s %u\n", row->file, subject, (unsigned)id);
        return;
    }
    fprintf(stderr, "oriori: %s: %s\n", subject, registry_text(job->setup.registry));
    job->failed = true;
}

static void run_rows(struct job *job, void (*run)(struct job *, const struct schema_row *, struct span))
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buffer avsc = {0};
        if (setup_schema_file(&job->setup, rows[i].file, &avsc)) {
            run(job, &rows[i], buffer_span(&avsc));
        } else {
            fprintf(stderr, "oriori: cannot read the schema %s\n", rows[i].file);
            job->failed = true;
        }
        buffer_release(&avsc);
    }
}

static bool needs_registry(const struct job *job)
{
    if (job->setup.registry == NULL)
        fputs("oriori: the config names no registry (registry.url)\n", stderr);
    return job->setup.registry != NULL;
}

static bool check(struct job *job)
{
    bool registry = strcmp(job->against, "registry") == 0;
    if (registry && !needs_registry(job))
        return false;
    run_rows(job, registry ? check_registry : check_folder);
    if (job->compared == 0 && !job->failed) {
        fprintf(stderr, "oriori: nothing to compare with in %s\n", job->against);
        return false;
    }
    printf("%zu schemas compared, %zu incompatible changes\n", job->compared, job->changes);
    return job->changes == 0 && !job->failed;
}

static bool run(const char *verb, const char *against, const char *config)
{
    struct job job = {.against = against};
    arena_init(&job.arena, 0);
    bool good = setup_config(&job.setup, config) && setup_registry(&job.setup);
    if (good && strcmp(verb, "check") == 0) {
        good = check(&job);
    } else if (good) {
        good = needs_registry(&job);
        if (good)
            run_rows(&job, register_row);
        good = good && !job.failed;
    }
    setup_close(&job.setup);
    arena_release(&job.arena);
    return good;
}

int schema_main(int argc, char **argv)
{
    static const struct option known[] = {{"against", required_argument, NULL, 'a'},
                                          {"config", required_argument, NULL, 'c'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    const char *against = NULL, *config = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "a:c:h", known, NULL)) != -1) {
        if (option == 'h')
            return fputs(usage, stdout), EXIT_DONE;
        if (option == 'a')
            against = optarg;
        else if (option == 'c')
            config = optarg;
        else
            return fputs(usage, stderr), EXIT_USAGE;
    }
    const char *verb = argc - optind == 1 ? argv[optind] : "";
    bool checks = strcmp(verb, "check") == 0;
    if ((!checks && strcmp(verb, "register") != 0) || checks != (against != NULL))
        return fputs(usage, stderr), EXIT_USAGE;
    return run(verb, against, config) ? EXIT_DONE : EXIT_FAILED;
}
