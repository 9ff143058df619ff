/* `oriori map`: tries a mapping on a platform's message. */
#include "workers/subcommand.h"

#include "common/base/check.h"
#include "common/codec/event_json.h"
#include "common/io/data_file.h"
#include "common/io/mapping_file.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

enum { HEADERS_MAX = 32 };

static const char usage[] =
    "usage: oriori map test MAPPING SAMPLE.json [--header NAME=VALUE ...]\n"
    "       oriori map check MAPPING ...\n\n"
    "test   prints the events that the mapping makes of the message, one a line, as `oriori simulate` reads them; or\n"
    "       says what is wrong and where (exit status 1). A message that says nothing prints nothing.\n"
    "check  reads mappings and says what is wrong with them\n\n"
    "MAPPING is a file, or the name of a shipped one: shopify, eccube, amazon-ses, sendgrid, typeform, form, line.\n\n"
    "  --header NAME=VALUE   a header of the record, as the webhook bridge hands it on\n\n"
    "example: oriori map test shopify order.json --header X-Shopify-Topic=orders/create\n";

struct sample {
    struct buffer text;
    struct arena arena;
    struct header headers[HEADERS_MAX];
    size_t header_count;
};

/* The event as the worker would take it: of our own schema, with every field right. */
static bool print_event(const struct mapping *mapping, const struct mapped *mapped, struct arena *arena)
{
    struct buffer line = {0};
    struct event event;
    const char *field;
    enum reason reason = event_json_read_tree(mapped->topic, mapped->object, arena, &event, &field);
    buffer_format(&line, "{\"topic\":\"%s\",\"event\":", topic_name(mapped->topic));
    json_add(&line, mapped->object);
    buffer_add_text(&line, "}\n");
    if (reason == REASON_NONE)
        fwrite(line.data, 1, line.size, stdout);
    else
        fprintf(stderr, "%s:%d: the event is refused: %s%s%s\n  %s", mapping_file(mapping), mapped->line,
                reason_name(reason), field ? ": " : "", field ? field : "", line.data);
    buffer_release(&line);
    return reason == REASON_NONE;
}

static bool print_events(const struct mapping *mapping, struct sample *sample, const struct mapping_message *inner)
{
    struct mapped *mapped;
    struct mapping_fault fault;
    size_t count;
    enum reason reason = mapping_run(mapping, inner, &sample->arena, &mapped, &count, &fault);
    bool good = reason == REASON_NONE;
    if (!good)
        fprintf(stderr, "%.*s (%s)\n", (int)fault.message.size, fault.message.data, reason_name(reason));
    for (size_t i = 0; good && i < count; i++)
        good = print_event(mapping, &mapped[i], &sample->arena);
    if (good && count == 0)
        fputs("oriori: the message says nothing that the mapping wants\n", stderr);
    return good;
}

static bool test(const char *name, const char *path, struct sample *sample)
{
    struct buffer error = {0};
    struct mapping *mapping = mapping_file_open(name, &error);
    struct mapping_message message = {NULL, sample->headers, sample->header_count}, inner;
    bool good = false;
    fputs(error.data ? error.data : "", stderr);
    buffer_release(&error);
    if (mapping == NULL)
        return false;
    if (!file_read(path, &sample->text))
        fprintf(stderr, "oriori: cannot read %s: %s\n", path, strerror(errno));
    else if ((message.body = json_read(buffer_span(&sample->text), &sample->arena)) == NULL)
        fprintf(stderr, "oriori: %s is no JSON\n", path);
    else if (!mapping_takes(mapping, &message, &sample->arena, &inner))
        fprintf(stderr, "oriori: %s does not take this message: its own conditions (when) do not hold\n",
                mapping_file(mapping));
    else
        good = print_events(mapping, sample, &inner);
    mapping_free(mapping);
    return good;
}

static bool check(char **names)
{
    bool good = true;
    for (; *names; names++) {
        struct buffer error = {0};
        struct mapping *mapping = mapping_file_open(*names, &error);
        good = good && mapping != NULL;
        fputs(error.data ? error.data : "", stderr);
        buffer_release(&error);
        mapping_free(mapping);
    }
    return good;
}

static bool header_add(struct sample *sample, const char *text)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL || sample->header_count == HEADERS_MAX)
        return false;
    sample->headers[sample->header_count++] = (struct header){{text, (size_t)(equals - text)}, span_of(equals + 1)};
    return true;
}

/* EXIT_DONE: go on. */
static int options_read(int argc, char **argv, struct sample *sample, bool *ret_help)
{
    static const struct option known[] = {
        {"header", required_argument, NULL, 'H'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "H:h", known, NULL)) != -1) {
        if (option == 'h')
            *ret_help = true;
        else if (option != 'H' || !header_add(sample, optarg))
            return EXIT_USAGE;
    }
    return EXIT_DONE;
}

int map_main(int argc, char **argv)
{
    struct sample sample = {0};
    bool help = false;
    int status = options_read(argc, argv, &sample, &help);
    char **words = argv + optind;
    int count = argc - optind;
    arena_init(&sample.arena, 0);
    if (help)
        fputs(usage, stdout);
    else if (status == EXIT_DONE && count == 3 && strcmp(words[0], "test") == 0)
        status = test(words[1], words[2], &sample) ? EXIT_DONE : EXIT_FAILED;
    else if (status == EXIT_DONE && count >= 2 && strcmp(words[0], "check") == 0)
        status = check(words + 1) ? EXIT_DONE : EXIT_FAILED;
    else
        fputs(usage, stderr), status = EXIT_USAGE;
    buffer_release(&sample.text);
    arena_release(&sample.arena);
    return status;
}
