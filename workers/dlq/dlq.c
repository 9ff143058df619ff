/* `oriori dlq`: looks into crm.dead, sends records once more through the normal road, or puts letters away. */
#include "workers/subcommand.h"

#include "common/base/base64.h"
#include "common/base/check.h"
#include "common/codec/json.h"
#include "workers/dlq/redrive.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "usage: oriori dlq list|show|redrive|drop [PARTITION:OFFSET ...] [FILTER ...] [--config FILE]\n\n"
    "list     one line per letter: place, when, reason, field, the record's own place, message\n"
    "show     letters as JSON, with the record's bytes\n"
    "redrive  sends the records once more to the topics that they came from, in transactions; a letter that was\n"
    "         redriven or dropped is refused. Of a quarantined customer's state: his quarantine ends; redrive the\n"
    "         letters of his records after that one\n"
    "drop     puts letters away: they stay in the topic, marked\n\n"
    "  --reason WORD   undecodable, missing_field, future, too_late ...\n"
    "  --topic TOPIC   where the record came from: orders or crm.orders\n"
    "  --from TIME     written at or after; --to TIME: before; UTC ms, or ISO 8601 with an offset\n"
    "  --all           redrive, drop: every letter that waits; without it places or a filter must be given\n"
    "                  list, show: also letters that are done with\n"
    "  --force         redrive: also letters that were redriven or dropped before\n"
    "  --config FILE   the worker's config; without it defaults and the environment count\n\n"
    "example: oriori dlq redrive --reason unknown_schema --from 2024-03-01T00:00:00Z --config worker.yaml\n";

struct options {
    const char *config;
    const char *command;
    const char *topic; /* as given */
    struct letters_filter filter;
    bool all, force, help;
};

/* ---- showing ---- */

static const char *const fates[] = {"waits", "redriven", "dropped"};

static void print_line(const struct dead *dead)
{
    const struct dead_letter *letter = &dead->letter;
    char at[TIMESTAMP_TEXT_SIZE];
    timestamp_text(dead->at, at);
    printf("%d:%lld %s %s %s %.*s[%d]:%lld%s%s%.*s%s%.*s\n", (int)dead->partition, (long long)dead->offset, at,
           fates[dead->fate], reason_name(letter->reason), (int)letter->original.topic.size,
           letter->original.topic.data, (int)letter->original.partition, (long long)letter->original.offset,
           letter->truncated ? " (cut)" : "", letter->field.size ? " " : "", (int)letter->field.size,
           letter->field.data ? letter->field.data : "", letter->message.size ? " " : "", (int)letter->message.size,
           letter->message.data ? letter->message.data : "");
}

/* Text as text, bytes in base64 under another name. */
static void add_bytes(struct buffer *line, const char *name, struct span bytes)
{
    bool text = utf8_valid(bytes);
    buffer_format(line, ",\"%s%s\":", name, text || bytes.data == NULL ? "" : "_base64");
    if (bytes.data == NULL) {
        buffer_add_text(line, "null");
    } else if (text) {
        json_add_text(line, bytes);
    } else {
        buffer_add_char(line, '"');
        base64_add(line, bytes);
        buffer_add_char(line, '"');
    }
}

static void print_json(const struct dead *dead)
{
    const struct original *original = &dead->letter.original;
    struct buffer line = {0};
    char at[TIMESTAMP_TEXT_SIZE];
    timestamp_text(dead->at, at);
    buffer_format(&line, "{\"letter\":\"%d:%lld\",\"at\":\"%s\",\"fate\":\"%s\",\"reason\":\"%s\"",
                  (int)dead->partition, (long long)dead->offset, at, fates[dead->fate],
                  reason_name(dead->letter.reason));
    add_bytes(&line, "field", dead->letter.field);
    add_bytes(&line, "message", dead->letter.message);
    add_bytes(&line, "topic", original->topic);
    buffer_format(&line, ",\"partition\":%d,\"offset\":%lld,\"timestamp\":%lld,\"size\":%lld,\"truncated\":%s",
                  (int)original->partition, (long long)original->offset, (long long)original->timestamp,
                  (long long)dead->letter.size, dead->letter.truncated ? "true" : "false");
    add_bytes(&line, "key", original->key);
    add_bytes(&line, "value", original->value);
    buffer_add_text(&line, ",\"headers\":[");
    for (size_t i = 0; i < original->header_count; i++) {
        buffer_format(&line, "%s{\"name\":", i ? "," : "");
        json_add_text(&line, original->headers[i].name);
        add_bytes(&line, "value", original->headers[i].value);
        buffer_add_char(&line, '}');
    }
    buffer_add_text(&line, "]}\n");
    fwrite(line.data, 1, line.size, stdout);
    buffer_release(&line);
}

static bool show(const struct options *options, struct config *config, void (*print)(const struct dead *dead))
{
    struct letters letters;
    struct buffer error = {0};
    bool good = letters_read(&letters, config, &options->filter, &error);
    if (!good)
        fprintf(stderr, "oriori: %s\n", error.data);
    for (size_t i = 0; good && i < letters.count; i++)
        if (options->all || options->filter.place_count || letters.items[i].fate == LETTER_WAITS)
            print(&letters.items[i]);
    if (letters.unreadable)
        fprintf(stderr, "oriori: %zu records of the topic are no letters of this program\n", letters.unreadable);
    letters_release(&letters);
    buffer_release(&error);
    return good;
}

/* ---- doing ---- */

/* NULL: it may be redriven. */
static const char *objection(struct config *config, const struct dead *dead, bool force)
{
    const struct original *original = &dead->letter.original;
    bool customer = dead->letter.reason == REASON_QUARANTINED &&
                    span_equal(original->topic, span_of(config_topic(config, "state")));
    bool forward = dead->letter.reason == REASON_QUARANTINED &&
                   span_equal(original->topic, span_of(config_topic(config, "forward")));
    enum topic topic;
    if (!customer && !forward && !config_input(config, original->topic, &topic))
        return "its topic is no input of this config";
    if (dead->letter.truncated && !customer) /* his state is in crm.state */
        return "its record was cut: the letter does not hold all of it";
    if (dead->fate != LETTER_WAITS && !force)
        return dead->fate == LETTER_REDRIVEN ? "it was redriven before (--force sends it again)"
                                             : "it was dropped (--force sends it all the same)";
    return NULL;
}

/* A letter named by its place must be doable; by a filter, those that are done with are passed over. */
static size_t choose(const struct options *options, struct config *config, const struct letters *letters,
                     enum letter_fate fate, const struct dead **chosen, size_t *ret_refused)
{
    size_t count = 0;
    *ret_refused = 0;
    for (size_t i = 0; i < letters->count; i++) {
        const struct dead *dead = &letters->items[i];
        const char *why = fate == LETTER_REDRIVEN      ? objection(config, dead, options->force)
                          : dead->fate != LETTER_WAITS ? "it is done with"
                                                       : NULL;
        if (why == NULL) {
            chosen[count++] = dead;
        } else if (dead->fate == LETTER_WAITS || options->filter.place_count) {
            fprintf(stderr, "oriori: letter %d:%lld: refused: %s\n", (int)dead->partition, (long long)dead->offset,
                    why);
            (*ret_refused)++;
        }
    }
    return count;
}

static bool act(const struct options *options, struct config *config, enum letter_fate fate)
{
    struct redriver redriver;
    struct letters letters = {0};
    struct buffer error = {0};
    size_t count = 0, refused = 0, done = 0;
    const struct dead **chosen = NULL;
    bool good = redriver_open(&redriver, config, &error) && letters_read(&letters, config, &options->filter, &error);
    if (good) {
        chosen = calloc(letters.count + 1, sizeof(*chosen));
        CHECK(chosen);
        count = choose(options, config, &letters, fate, chosen, &refused);
        good = redriver_run(&redriver, chosen, count, fate, &done, &error);
    }
    if (!good)
        fprintf(stderr, "oriori: %s\n", error.data);
    if (letters.count < options->filter.place_count)
        fprintf(stderr, "oriori: %zu of the places named hold no letter\n",
                options->filter.place_count - letters.count);
    printf("%zu %s, %zu refused\n", done, fates[fate], refused);
    good = good && refused == 0 && letters.count >= options->filter.place_count;
    free(chosen);
    redriver_close(&redriver);
    letters_release(&letters);
    buffer_release(&error);
    return good;
}

/* ---- the command ---- */

static bool option_take(struct options *options, int option)
{
    switch (option) {
    case 'a':
        options->all = true;
        return true;
    case 'c':
        options->config = optarg;
        return true;
    case 'f':
        return timestamp_read(span_of(optarg), &options->filter.from);
    case 'F':
        options->force = true;
        return true;
    case 'h':
        options->help = true;
        return true;
    case 'r':
        options->filter.reason = optarg;
        return true;
    case 't':
        options->topic = optarg;
        return true;
    case 'T':
        return timestamp_read(span_of(optarg), &options->filter.to);
    default:
        return false;
    }
}

static bool options_read(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {{"all", no_argument, NULL, 'a'},
                                          {"config", required_argument, NULL, 'c'},
                                          {"from", required_argument, NULL, 'f'},
                                          {"force", no_argument, NULL, 'F'},
                                          {"help", no_argument, NULL, 'h'},
                                          {"reason", required_argument, NULL, 'r'},
                                          {"topic", required_argument, NULL, 't'},
                                          {"to", required_argument, NULL, 'T'},
                                          {NULL, 0, NULL, 0}};
    int option;
    *options = (struct options){.filter = {.from = NEVER, .to = NEVER}};
    while ((option = getopt_long(argc, argv, "ac:f:Fhr:t:T:", known, NULL)) != -1)
        if (!option_take(options, option))
            return false;
    if (options->help)
        return true;
    if (optind == argc)
        return false;
    options->command = argv[optind];
    options->filter.places = (const char *const *)argv + optind + 1;
    options->filter.place_count = (size_t)(argc - optind - 1);
    for (size_t i = 0; i < options->filter.place_count; i++)
        if (strspn(options->filter.places[i], "0123456789:") != strlen(options->filter.places[i]))
            return false;
    return true;
}

static bool narrowed(const struct options *options)
{
    const struct letters_filter *filter = &options->filter;
    return options->all || filter->place_count || filter->reason || options->topic || filter->from != NEVER ||
           filter->to != NEVER;
}

static bool reason_known(const char *name)
{
    for (int reason = REASON_NONE + 1; name && reason < REASON_COUNT; reason++)
        if (strcmp(reason_name((enum reason)reason), name) == 0)
            return true;
    return name == NULL;
}

static int run(struct options *options, struct config *config)
{
    enum topic topic;
    bool doing = strcmp(options->command, "redrive") == 0 || strcmp(options->command, "drop") == 0;
    options->filter.topic = options->topic;
    if (options->topic && topic_find(span_of(options->topic), &topic))
        options->filter.topic = config->topic_inputs[topic];
    if (strcmp(options->command, "list") == 0)
        return show(options, config, print_line) ? EXIT_DONE : EXIT_FAILED;
    if (strcmp(options->command, "show") == 0)
        return show(options, config, print_json) ? EXIT_DONE : EXIT_FAILED;
    if (!doing || !narrowed(options)) {
        fputs(doing ? "oriori: name letters, a filter, or --all\n" : usage, stderr);
        return EXIT_USAGE;
    }
    return act(options, config, options->command[0] == 'd' ? LETTER_DROPPED : LETTER_REDRIVEN) ? EXIT_DONE
                                                                                               : EXIT_FAILED;
}

int dlq_main(int argc, char **argv)
{
    struct options options;
    struct config config;
    struct buffer errors = {0};
    if (!options_read(argc, argv, &options) || !reason_known(options.filter.reason)) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (options.help) {
        fputs(usage, stdout);
        return EXIT_DONE;
    }
    int status = config_load(&config, options.config, &errors) ? run(&options, &config) : EXIT_FAILED;
    fputs(errors.data ? errors.data : "", stderr);
    buffer_release(&errors);
    config_release(&config);
    return status;
}
