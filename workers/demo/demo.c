/* `oriori demo`: a file of events in simulated time. deploy/demo is the command for people; this is its engine room. */
#include "common/base/check.h"
#include "common/io/config.h"
#include "common/io/zones_load.h"
#include "workers/demo/embedded.h"
#include "workers/demo/feeder.h"
#include "workers/subcommand.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: oriori demo --config FILE --events FILE\n"
    "\n"
    "Plays events (JSON lines, in order of received_at) through the worker in simulated time: one tick per\n"
    "simulated 15 minutes, each waited for. With `log: memory` the worker runs in this process, and the\n"
    "topics are left as JSON lines in log_folder. The config must say `demo: true` and `clock: input`.\n"
    "\n"
    "  --config FILE   the worker's config\n"
    "  --events FILE   the events; - = standard input\n"
    "\n"
    "example: deploy/demo-shop/generate.py --customers 100 | oriori demo --config build/demo/config.yaml --events -\n";

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

/* ---- what the run needs ---- */

struct setting {
    struct config config;
    struct playbook *playbook;
    struct zones *zones;
    struct step_world world;
};

static bool read_file(const char *path, struct buffer *ret_bytes)
{
    FILE *file = fopen(path, "rb");
    char part[65536];
    size_t size;
    if (!file)
        return false;
    while ((size = fread(part, 1, sizeof(part), file)) > 0)
        buffer_add(ret_bytes, part, size);
    bool good = !ferror(file);
    fclose(file);
    return good;
}

static bool playbook_open(struct setting *setting)
{
    struct buffer yaml = {0};
    struct playbook_errors errors = {0};
    if (!read_file(setting->config.playbook, &yaml))
        fprintf(stderr, "demo: cannot read the playbook \"%s\": %s\n", setting->config.playbook, strerror(errno));
    else
        setting->playbook = playbook_compile(buffer_span(&yaml), setting->config.playbook, &errors);
    if (errors.count)
        fputs(errors.text.data, stderr);
    buffer_release(&yaml);
    buffer_release(&errors.text);
    return setting->playbook != NULL;
}

static bool setting_open(struct setting *setting, const char *config_path)
{
    struct buffer errors = {0};
    char zones_error[ZONES_ERROR_SIZE] = "";
    bool good = config_load(&setting->config, config_path, &errors);
    if (!good)
        fputs(errors.data ? errors.data : "demo: the config cannot be used\n", stderr);
    buffer_release(&errors);
    if (good && (!setting->config.demo || setting->config.clock != CONFIG_CLOCK_INPUT)) {
        fprintf(stderr, "demo: %s must say `demo: true` and `clock: input`\n", config_path);
        good = false;
    }
    if (!good || !playbook_open(setting))
        return false;
    setting->zones = zones_load(setting->config.zones, zones_error);
    if (!setting->zones)
        fprintf(stderr, "demo: %s\n", zones_error);
    setting->world = (struct step_world){.playbook = setting->playbook, .zones = setting->zones};
    return setting->zones != NULL;
}

static void setting_close(struct setting *setting)
{
    playbook_free(setting->playbook);
    zones_free(setting->zones);
    config_release(&setting->config);
}

/* ---- the run ---- */

static bool run_embedded(struct setting *setting, FILE *events)
{
    struct embedded embedded = {0};
    struct feeder_counts counts = {0};
    bool good = embedded_open(&embedded, &setting->config, &setting->world);
    if (good) {
        struct feeder_sink sink = embedded_sink(&embedded);
        struct progress progress = {.counts = &embedded.worker.counts, .terminal = isatty(STDERR_FILENO)};
        good = feeder_run(events, &sink, on_tick, &progress, &counts);
        progress_print(&progress, &counts);
        fputs("\n", stderr);
        if (counts.refused)
            fprintf(stderr, "demo: %llu lines of the input are no events of a known topic\n",
                    (unsigned long long)counts.refused);
        good = embedded_save(&embedded, setting->config.log_folder) && good;
    }
    embedded_close(&embedded);
    return good && !interrupted;
}

static bool run(const struct options *options)
{
    struct setting setting = {0};
    FILE *events = strcmp(options->events, "-") == 0 ? stdin : fopen(options->events, "r");
    if (!events) {
        fprintf(stderr, "demo: cannot read %s: %s\n", options->events, strerror(errno));
        return false;
    }
    bool good = setting_open(&setting, options->config);
    if (good && setting.config.log != CONFIG_LOG_MEMORY) {
        fputs("demo: only `log: memory` so far\n", stderr);
        good = false;
    }
    good = good && run_embedded(&setting, events);
    setting_close(&setting);
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
