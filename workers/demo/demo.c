/* `oriori demo`: a file of events in simulated time. deploy/demo is the command for people; this is its engine room. */
#include "workers/demo/embedded.h"
#include "workers/demo/kafka_feed.h"
#include "workers/subcommand.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: oriori demo --config FILE --events FILE\n"
    "\n"
    "Plays events (JSON lines, in order of received_at) through the worker in simulated time: one tick per\n"
    "simulated 15 minutes, each waited for. With `log: memory` the worker runs in this process, and the\n"
    "topics are left as JSON lines in log_folder; with `log: kafka` a worker must run beside it. The config\n"
    "must say `demo: true` and `clock: input`.\n"
    "\n"
    "  --config FILE   the worker's config\n"
    "  --events FILE   the events; - = standard input\n"
    "\n"
    "example: mkdir run; printf 'demo: true\\nclock: input\\nlog: memory\\nlog_folder: .\\n' > run/config.yaml\n"
    "         deploy/demo-shop/generate.py --customers 100 | oriori demo --config run/config.yaml --events -\n"
    "         oriori customer list --from run\n";

struct options {
    const char *config;
    const char *events;
};

static volatile sig_atomic_t interrupted;

static void interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

/* ---- progress ---- */

struct progress {
    const struct flow_counts *counts; /* NULL: the worker is another process */
    bool terminal;
    uint64_t lines_printed;
};

static void date_print(FILE *out, int64_t at)
{
    char text[TIMESTAMP_TEXT_SIZE];
    timestamp_text(at, text);
    fprintf(out, "%.10s", text);
}

static void progress_print(const struct progress *progress, const struct feeder_counts *feeder)
{
    fputs(progress->terminal ? "\r  " : "  ", stderr);
    date_print(stderr, feeder->now);
    fprintf(stderr, "  %8llu events  %6llu customers", (unsigned long long)feeder->events,
            (unsigned long long)feeder->customers);
    if (progress->counts)
        fprintf(stderr, "  %8llu transitions  %8llu actions", (unsigned long long)progress->counts->transitions,
                (unsigned long long)progress->counts->actions);
    fputs(progress->terminal ? " " : "\n", stderr);
}

/* On a terminal one line that moves; elsewhere a line per simulated four weeks. */
static bool on_tick(void *context, const struct feeder_counts *feeder)
{
    struct progress *progress = context;
    uint64_t every = progress->terminal ? 96 : 96 * 28;
    if (feeder->ticks % every == 0)
        progress_print(progress, feeder);
    return !interrupted;
}

/* ---- the run ---- */

/* Plays the events into the sink, with a line of progress. */
static bool play(FILE *events, const struct feeder_sink *sink, const struct flow_counts *flow_counts)
{
    struct feeder_counts counts = {0};
    struct progress progress = {.counts = flow_counts, .terminal = isatty(STDERR_FILENO)};
    bool good = feeder_run(events, sink, on_tick, &progress, &counts);
    if (counts.ticks)
        progress_print(&progress, &counts);
    fputs("\n", stderr);
    if (counts.refused)
        fprintf(stderr, "demo: %llu lines of the input are no events of a known topic\n",
                (unsigned long long)counts.refused);
    return good && !interrupted;
}

static bool run_embedded(struct setup *setup, FILE *events)
{
    struct embedded embedded = {0};
    bool good = setup_world(setup) && setup_schemas(setup) && embedded_open(&embedded, setup);
    if (good) {
        struct feeder_sink sink = embedded_sink(&embedded);
        good = play(events, &sink, &embedded.worker.counts);
        good = embedded_save(&embedded, setup->config.log_folder) && good;
    }
    embedded_close(&embedded);
    return good;
}

static bool run_on_kafka(struct setup *setup, FILE *events)
{
    struct kafka_feed feed = {0};
    bool good = kafka_feed_open(&feed, setup);
    if (good) {
        struct feeder_sink sink = kafka_feed_sink(&feed);
        good = play(events, &sink, NULL);
    }
    kafka_feed_close(&feed);
    return good;
}

static bool may_play(const struct setup *setup, const char *path)
{
    if (setup->config.demo && setup->config.clock == CONFIG_CLOCK_INPUT)
        return true;
    fprintf(stderr, "demo: %s must say `demo: true` and `clock: input`\n", path);
    return false;
}

static bool run(const struct options *options)
{
    struct setup setup = {0};
    FILE *events = strcmp(options->events, "-") == 0 ? stdin : fopen(options->events, "r");
    if (!events) {
        fprintf(stderr, "demo: cannot read %s: %s\n", options->events, strerror(errno));
        return false;
    }
    bool good = setup_config(&setup, options->config) && may_play(&setup, options->config);
    if (good)
        good = setup.config.log == CONFIG_LOG_MEMORY ? run_embedded(&setup, events) : run_on_kafka(&setup, events);
    setup_close(&setup);
    if (events != stdin)
        fclose(events);
    return good;
}

/* EXIT_DONE, or what to exit with. */
static int options_read(int argc, char **argv, struct options *ret_options, bool *ret_help)
{
    static const struct option known[] = {{"config", required_argument, NULL, 'c'},
                                          {"events", required_argument, NULL, 'e'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "c:e:h", known, NULL)) != -1) {
        if (option == 'c')
            ret_options->config = optarg;
        else if (option == 'e')
            ret_options->events = optarg;
        else if (option == 'h')
            *ret_help = true;
        else
            return EXIT_USAGE;
    }
    if (!*ret_help && (!ret_options->config || !ret_options->events)) {
        fputs("demo: --config and --events are needed\n", stderr);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

int demo_main(int argc, char **argv)
{
    struct options options = {0};
    bool help = false;
    int status = options_read(argc, argv, &options, &help);
    if (status != EXIT_DONE || help) {
        fputs(usage, help ? stdout : stderr);
        return status;
    }
    struct sigaction action = {.sa_handler = interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return run(&options) ? EXIT_DONE : EXIT_FAILED;
}
