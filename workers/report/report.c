/* `oriori report`: which rules reach their goals (R82), and whether more of those who got the message did than of those
 * held out. */
#include "workers/subcommand.h"

#include "common/codec/json.h"
#include "workers/report/sources.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: oriori report [--config FILE | --from DIR | --events FILE] [OPTION ...]\n\n"
    "For each rule: how many of its messages reached the rule's goal within its time, how many of the runs held out "
    "did\n"
    "without one, and the difference with its 95% interval (one customer's runs count as dependent).\n\n"
    "  --config FILE    the worker's config: reads the topics transitions, actions, decisions and state\n"
    "  --from DIR       a folder that a demo or a run with log: memory left behind\n"
    "  --events FILE    events as JSON lines (- = standard input), run through the engine as `oriori simulate` does\n"
    "  --playbook FILE  the goals (and with --events the rules) of this playbook instead of the config's\n"
    "  --until TIME     with --events: go on to this time, inclusive (UTC ms, or ISO 8601 with an offset)\n"
    "  --json           one JSON object a line\n"
    "  --help           print this\n\n"
    "A run is counted once its goal's time is over. Facts are taken as they are known at the end: an order cancelled\n"
    "since was no purchase.\n\n"
    "example: deploy/demo-shop/generate.py --customers 500 | oriori report --events -\n";

struct options {
    const char *config, *folder, *events, *playbook;
    int64_t until;
    bool json;
};

/* ---- as text ---- */

static void print_goal(const struct outcome_line *line)
{
    char text[64] = "-";
    if (line->goal != NULL)
        snprintf(text, sizeof text, "%.*s %lldd", (int)line->goal->name.size, line->goal->name.data,
                 (long long)(line->goal->within_ms / DAY_MS));
    printf(" %-22s", text);
}

static void print_group(const struct outcome_line *line, const struct outcome_group *group)
{
    printf(" %8zu", group->runs);
    if (line->goal == NULL)
        printf(" %8s %8s %7s", "", "", "");
    else if (group->measured == 0)
        printf(" %8zu %8s %7s", group->measured, "-", "-");
    else
        printf(" %8zu %8zu %6.1f%%", group->measured, group->reached, 100 * group->rate);
}

static const char *verdict(const struct outcome_line *line)
{
    return line->low > 0 ? "more" : line->high < 0 ? "less" : "unclear";
}

static void print_line(const struct outcome_line *line)
{
    char name[64];
    snprintf(name, sizeof name, "%.*s%s%.*s", (int)line->rule.size, line->rule.data,
             span_empty(line->variant) ? "" : " / ", (int)line->variant.size,
             line->variant.data ? line->variant.data : "");
    printf("%-24s", name);
    print_goal(line);
    print_group(line, &line->sent);
    fputs("  |", stdout);
    print_group(line, &line->held_out);
    if (line->compared)
        printf("  |  %+6.1f (%+6.1f .. %+6.1f)  %s", 100 * line->difference, 100 * line->low, 100 * line->high,
               verdict(line));
    putchar('\n');
}

static void print_text(const struct outcome_line *lines, size_t count, int64_t clock, bool control)
{
    char at[TIMESTAMP_TEXT_SIZE] = "-";
    if (clock != NEVER)
        timestamp_text(clock, at);
    printf("Goals (R82) up to %s\n\n", at);
    printf("%-24s %-22s %8s %8s %8s %7s  |  %7s %8s %8s %7s  |  %s\n", "rule", "goal", "sent", "over", "reached",
           "rate", "held out", "over", "reached", "rate", "difference, points (95%)");
    for (size_t i = 0; i < count; i++)
        print_line(&lines[i]);
    puts("\nover: runs whose goal's time is over; only these count. unclear: the interval holds 0. Of twenty rules "
         "without"
         "\nany effect one shows \"more\" or \"less\" by chance. Held-out runs were not yet judged by the guards "
         "behind the"
         "\nholdout (once, cooldown, caps, reach), so a few of them could not have been sent.");
    if (!control)
        puts("There is no control group: decisions are not published (config `decisions: off`).");
}

/* ---- as JSON ---- */

static void add_group(struct buffer *text, const char *name, const struct outcome_line *line,
                      const struct outcome_group *group)
{
    buffer_format(text, ",\"%s\":{\"runs\":%zu", name, group->runs);
    if (line->goal != NULL)
        buffer_format(text, ",\"open\":%zu,\"unknown\":%zu,\"measured\":%zu,\"customers\":%zu,\"reached\":%zu",
                      group->open, group->unknown, group->measured, group->customers, group->reached);
    if (line->goal != NULL && group->measured > 0)
        buffer_format(text, ",\"rate\":%.6f,\"low\":%.6f,\"high\":%.6f", group->rate, group->low, group->high);
    buffer_add_char(text, '}');
}

static void print_json(const struct outcome_line *line, int64_t clock)
{
    struct buffer text = {0};
    buffer_add_text(&text, "{\"type\":\"goal\",\"rule\":");
    json_add_text(&text, line->rule);
    buffer_add_text(&text, ",\"variant\":");
    if (span_empty(line->variant))
        buffer_add_text(&text, "null");
    else
        json_add_text(&text, line->variant);
    buffer_add_text(&text, ",\"goal\":");
    if (line->goal != NULL)
        json_add_text(&text, line->goal->name);
    else
        buffer_add_text(&text, "null");
    buffer_format(&text, ",\"within_ms\":%lld,\"clock\":%lld", line->goal ? (long long)line->goal->within_ms : 0,
                  clock == NEVER ? 0 : (long long)clock);
    add_group(&text, "sent", line, &line->sent);
    add_group(&text, "held_out", line, &line->held_out);
    if (line->compared)
        buffer_format(&text, ",\"difference\":%.6f,\"low\":%.6f,\"high\":%.6f", line->difference, line->low,
                      line->high);
    buffer_add_char(&text, '}');
    puts(text.data);
    buffer_release(&text);
}

static void print_lines(struct outcomes *outcomes, int64_t clock, bool json, bool control)
{
    struct arena memory;
    size_t count;
    arena_init(&memory, 0);
    struct outcome_line *lines = outcomes_count(outcomes, clock, &memory, &count);
    for (size_t i = 0; json && i < count; i++)
        print_json(&lines[i], clock);
    if (!json)
        print_text(lines, count, clock, control);
    arena_release(&memory);
}

/* ---- the command ---- */

static bool read_history(const struct options *options, struct setup *setup, struct outcomes *outcomes,
                         int64_t *ret_clock)
{
    if (options->folder != NULL)
        return source_folder(outcomes, setup, options->folder, ret_clock);
    if (options->events != NULL)
        return source_events(outcomes, setup, options->events, options->until, ret_clock);
    return source_topics(outcomes, setup, ret_clock);
}

static bool run(const struct options *options)
{
    struct setup setup;
    struct buffer path = {0};
    struct outcomes outcomes;
    int64_t clock;
    if (options->folder != NULL)
        buffer_format(&path, "%s/config.yaml", options->folder);
    bool good = setup_config(&setup, options->folder != NULL ? path.data : options->config);
    if (good && options->playbook != NULL)
        setup.config.playbook = options->playbook;
    good = good && setup_world(&setup);
    if (good) {
        outcomes_init(&outcomes, &setup.world);
        good = read_history(options, &setup, &outcomes, &clock);
        if (good && outcomes.unreadable)
            fprintf(stderr,
                    "oriori report: %zu states are none that this version can read; their runs are not counted\n",
                    outcomes.unreadable);
        if (good)
            print_lines(&outcomes, clock, options->json,
                        options->events != NULL || setup.config.decisions != CONFIG_DECISIONS_OFF);
        outcomes_release(&outcomes);
    }
    buffer_release(&path);
    setup_close(&setup);
    return good && fflush(stdout) == 0;
}

static bool read_time(const char *text, int64_t *ret_time)
{
    char *end;
    errno = 0;
    long long ms = strtoll(text, &end, 10);
    if (end != text && *end == '\0' && errno == 0)
        *ret_time = ms;
    else if (!timestamp_parse(span_of(text), ret_time))
        return false;
    return *ret_time >= 0 && *ret_time <= TIMESTAMP_MAX;
}

/* -1: go on; else the exit status. */
static int read_options(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'}, {"from", required_argument, NULL, 'f'},
        {"events", required_argument, NULL, 'e'}, {"playbook", required_argument, NULL, 'p'},
        {"until", required_argument, NULL, 'u'},  {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
    const char **texts[] = {
        ['c'] = &options->config, ['e'] = &options->events, ['f'] = &options->folder, ['p'] = &options->playbook};
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
        if (option == 'h')
            return fputs(usage, stdout), EXIT_DONE;
        if (option == 'j') {
            options->json = true;
        } else if (option == 'u') {
            if (!read_time(optarg, &options->until)) {
                fprintf(stderr, "oriori report: --until: \"%s\" is no time (UTC ms, or ISO 8601 with an offset)\n",
                        optarg);
                return EXIT_USAGE;
            }
        } else if (option != '?') {
            *texts[option] = optarg;
        } else {
            return fputs("try `oriori report --help`\n", stderr), EXIT_USAGE;
        }
    }
    bool clear = (options->folder != NULL) + (options->events != NULL) + (options->config != NULL) <= 1 ||
                 (options->config != NULL && options->events != NULL && options->folder == NULL);
    if (optind != argc)
        fprintf(stderr, "oriori report: expected options alone, found \"%s\" (a file of events: --events %s)\n",
                argv[optind], argv[optind]);
    else if (!clear)
        fputs("oriori report: expected one of --config, --from and --events (--events may have a --config)\n", stderr);
    else if (options->until != NEVER && options->events == NULL)
        fputs("oriori report: --until goes with --events\n", stderr);
    else
        return -1;
    return fputs("try `oriori report --help`\n", stderr), EXIT_USAGE;
}

int report_main(int argc, char **argv)
{
    struct options options = {.until = NEVER};
    int status = read_options(argc, argv, &options);
    if (status >= 0)
        return status;
    return run(&options) ? EXIT_DONE : EXIT_FAILED;
}
