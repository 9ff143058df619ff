/* `oriori worker`: config in, seams opened, loop run, seams closed. All that it decides is when to end. */
#include "workers/subcommand.h"

#include "common/base/check.h"
#include "common/flow/metrics.h"
#include "common/io/clock_wall.h"
#include "common/io/log_kafka.h"
#include "common/io/logger.h"
#include "common/io/monitor.h"
#include "common/io/process_stats.h"
#include "common/io/redis_url.h"
#include "common/io/store_metered.h"
#include "common/io/store_redis.h"
#include "common/io/trace_exporter.h"
#include "workers/lifecycle/playbook_file.h"
#include "workers/lifecycle/setup.h"
#ifdef ORIORI_TEST_HOOKS
#include "tests/hooks/hooks.h"
#endif

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    REPEAT_FIRST_MS = 10000, /* the same trouble is said again after so long, then after twice as long each time ... */
    REPEAT_MOST_MS = 900000, /* ... and so long at the most */
    FORGET_MS = 120000,      /* what was not reported for so long is over: should it come back it is news */
    TROUBLES = 4,            /* kept apart: two that alternate are not news each time */
    PAUSE_MS = 100,          /* while backing off the group hears from us so often */
    REGISTER_AGAIN_MS = 1000,
    PROBE_AFTER_MS = 2000, /* nothing moved for so long: do the servers answer? */
    SHUTDOWN_SECONDS = 8,  /* SIGTERM to exit, at the most; Kubernetes gives 30, people less */
    STATUS_MS = 60000,     /* a line about how it goes */
    PICTURE_MS = 1000      /* what /metrics and /readyz show is at most so old */
};

static const char usage[] =
    "usage: oriori worker --config FILE\n\n"
    "Reads events from Kafka, moves customers, publishes transitions and actions, until SIGTERM or SIGINT: then it\n"
    "finishes the batch, commits, leaves the group and exits with 0 within 10 seconds. Kafka or Redis may be away at\n"
    "the start or later: it says so, less and less often, and tries again, however long. When they answer\n"
    "and still nothing moves for timeouts.progress (2m) it ends with 1, for whoever runs it to start it again.\n"
    "SIGHUP: looks at the config's playbook file; if its text has changed since, it is put in force on all shards, as\n"
    "by `oriori playbook activate`.\n\n"
    "  --config FILE   YAML; `oriori config reference` prints every key\n\n"
    "example: oriori worker --config deploy/examples/worker.yaml\n";

/* ---- signals and the watchdog ---- */

static volatile sig_atomic_t ending;  /* how often we were asked to end */
static volatile sig_atomic_t hung_up; /* we were asked to look at the playbook file */
static const struct worker *watched;  /* by the alarm; NULL while there is none */
static volatile int64_t turned_at;    /* monotonic ms of the last turn; before the first: of the start */
static int64_t silence_max_ms;

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND_MS + now.tv_nsec / 1000000;
}

static void on_end(int signal)
{
    (void)signal;
    if (++ending > 1) /* somebody is in a hurry: what is open is aborted by whoever comes next */
        _exit(EXIT_FAILED);
    alarm(SHUTDOWN_SECONDS);
}

static void on_hang_up(int signal)
{
    (void)signal;
    hung_up = 1;
}

static void say(const char *text)
{
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

static void die(const char *text, int status)
{
    say(text);
    _exit(status);
}

/* A turn that hangs (a call that never comes back) and turns that try for ever without a commit end the process: a
 * restart heals what waiting cannot. Only async-signal-safe calls in here; trouble always has a NUL. */
static void on_alarm(int signal)
{
    (void)signal;
    if (ending)
        die("oriori: the end took too long; what was open will be aborted\n", EXIT_DONE);
    int64_t last = watched ? watched->progress_at : turned_at;
    if (monotonic_ms() - last > silence_max_ms) {
        say("oriori: no progress for longer than timeouts.progress; ending; the last trouble: ");
        say(watched && watched->trouble[0] ? watched->trouble : "none");
        die("\n", EXIT_FAILED);
    }
    alarm((unsigned)(silence_max_ms / 1000));
}

static void install_signals(const struct config *config)
{
    silence_max_ms = config->timeout_progress_ms;
    turned_at = monotonic_ms();
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_end}, NULL);
    sigaction(SIGINT, &(struct sigaction){.sa_handler = on_end}, NULL);
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_alarm, .sa_flags = SA_RESTART}, NULL);
    sigaction(SIGHUP, &(struct sigaction){.sa_handler = on_hang_up, .sa_flags = SA_RESTART}, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL); /* ignored, as whoever started us may have left it, nobody hears how a child ended */
    alarm((unsigned)(silence_max_ms / 1000));
}

/* ---- reports ---- */

struct trouble {
    char text[512];
    int64_t first_at, last_at, said_at; /* monotonic ms; first_at 0 = an empty place */
    int64_t interval_ms, held_back;
};

struct reporter {
    struct trouble troubles[TROUBLES];
    char last[512]; /* what was said last */
};

/* librdkafka ends its words with how long it tried and how often: "(after 3ms in state CONNECT, 1 identical ...)". */
static size_t words_size(const char *text)
{
    const char *tail = strstr(text, " (after ");
    size_t size = tail ? (size_t)(tail - text) : strlen(text);
    return size < sizeof(((struct trouble *)NULL)->text) ? size : sizeof(((struct trouble *)NULL)->text) - 1;
}

/* The trouble of these words, or the place of the one that was reported longest ago, emptied. */
static struct trouble *trouble_of(struct reporter *reporter, const char *text, int64_t now)
{
    struct trouble *oldest = &reporter->troubles[0];
    size_t size = words_size(text);
    for (int i = 0; i < TROUBLES; i++) {
        struct trouble *trouble = &reporter->troubles[i];
        if (trouble->first_at && now - trouble->last_at < FORGET_MS && strlen(trouble->text) == size &&
            memcmp(trouble->text, text, size) == 0)
            return trouble;
        if (trouble->last_at < oldest->last_at)
            oldest = trouble;
    }
    *oldest = (struct trouble){.interval_ms = REPEAT_FIRST_MS};
    memcpy(oldest->text, text, size);
    return oldest;
}

/* The flow reports each failed try; people want to read a trouble once, and now and then that it still is one. */
static void report(void *context, enum report_level level, const char *text)
{
    static const enum config_level levels[] = {
        [REPORT_INFO] = CONFIG_LEVEL_INFO, [REPORT_WARNING] = CONFIG_LEVEL_WARN, [REPORT_ERROR] = CONFIG_LEVEL_ERROR};
    struct reporter *reporter = context;
    int64_t now = monotonic_ms();
    struct trouble *trouble = trouble_of(reporter, text, now);
    trouble->last_at = now;
    if (trouble->first_at && now - trouble->said_at < trouble->interval_ms) {
        trouble->held_back++;
        return;
    }
    snprintf(reporter->last, sizeof(reporter->last), "%s", text);
    if (trouble->first_at) {
        logger(levels[level], text, LOG_INTEGER("repeated", trouble->held_back),
               LOG_INTEGER("for_seconds", (now - trouble->first_at) / SECOND_MS));
        if (level != REPORT_INFO && (trouble->interval_ms *= 2) > REPEAT_MOST_MS)
            trouble->interval_ms = REPEAT_MOST_MS;
    } else {
        logger(levels[level], text);
        trouble->first_at = now;
    }
    trouble->said_at = now;
    trouble->held_back = 0;
}

static void log_status(const struct worker *worker, const char *message)
{
    const struct flow_counts *counts = &worker->counts;
    logger(CONFIG_LEVEL_INFO, message, LOG_INTEGER("records", counts->records),
           LOG_INTEGER("applied", counts->verdicts[VERDICT_APPLIED]), LOG_INTEGER("dead_letters", counts->dead_letters),
           LOG_INTEGER("transactions", counts->transactions), LOG_INTEGER("transitions", counts->transitions),
           LOG_INTEGER("actions", counts->actions), LOG_INTEGER("timer_visits", counts->timer_visits),
           LOG_INTEGER("off_home", counts->forwarded_off_home), LOG_INTEGER("recoveries", counts->recoveries),
           LOG_INTEGER("stopped_shards", counts->stopped_shards));
}

/* ---- the loop ---- */

/* While the flow backs off, or has sent its share, a turn returns at once. */
static void pause_when_backing_off(const struct worker *worker)
{
    int64_t until = worker->retry_at > worker->paced_until ? worker->retry_at : worker->paced_until;
    int64_t left = until ? until - monotonic_ms() : 0;
    if (left > PAUSE_MS)
        left = PAUSE_MS;
    if (left > 0)
        nanosleep(&(struct timespec){0, left * 1000000}, NULL);
}

/* Says once that all of ours is served, and once more after each time it was not. */
static void note_ready(const struct worker *worker, bool *was_ready)
{
    bool ready = worker_ready(worker);
    if (ready && !*was_ready) {
        int owned = 0;
        for (int32_t h = 0; h < worker->config.shard_count; h++)
            owned += worker->shards[h].phase == SHARD_READY;
        logger(CONFIG_LEVEL_INFO, "ready", LOG_INTEGER("shards", owned), LOG_INTEGER("generation", worker->generation));
    }
    *was_ready = ready;
}

/* What the HTTP thread is shown, and the memory for making it. */
struct window {
    struct monitor *monitor; /* NULL: nobody looks */
    struct buffer text;
    bool started;
    struct monitor_playbook *playbooks; /* S + 1 */
    struct monitor_shard *shards;       /* S */
};

static void window_open(struct window *window, struct monitor *monitor, int32_t shard_count)
{
    *window = (struct window){.monitor = monitor};
    window->playbooks = calloc((size_t)shard_count + 1, sizeof(*window->playbooks));
    window->shards = calloc((size_t)shard_count, sizeof(*window->shards));
    CHECK(window->playbooks && window->shards);
}

static void window_close(struct window *window)
{
    buffer_release(&window->text);
    free(window->playbooks);
    free(window->shards);
}

/* Its index; added when it is not there yet. */
static size_t picture_playbook(const struct worker *worker, struct window *window, const struct step_world *world,
                               size_t *count)
{
    char name[PLAYBOOK_SHORT_SIZE];
    _Static_assert((int)PLAYBOOK_SHORT_SIZE == (int)MONITOR_NAME_SIZE, "the same names");
    playbook_short(world->playbook->hash, name);
    for (size_t i = 0; i < *count; i++)
        if (memcmp(window->playbooks[i].name, name, sizeof(name)) == 0)
            return i;
    struct monitor_playbook *added = &window->playbooks[(*count)++];
    memcpy(added->name, name, sizeof(name));
    added->text = worker_playbook_text(worker, world);
    return *count - 1;
}

/* The playbooks that ready shards run; of none ready the config's own, if it is one. */
static void picture_playbooks(const struct worker *worker, struct window *window, struct monitor_picture *picture)
{
    picture->playbooks = window->playbooks;
    picture->shards = window->shards;
    for (int32_t h = 0; h < worker->config.shard_count; h++)
        if (worker->shards[h].phase == SHARD_READY)
            window->shards[picture->shard_count++] = (struct monitor_shard){
                h, picture_playbook(worker, window, worker->shards[h].world, &picture->playbook_count)};
    if (picture->shard_count == 0 && !worker->config.playbook_refusal)
        picture_playbook(worker, window, worker->config.world, &picture->playbook_count);
}

static void publish_picture(const struct worker *worker, struct window *window)
{
    if (!window->monitor)
        return;
    struct clock *clock = worker->clock;
    bool ready = worker_ready(worker);
    struct buffer *text = &window->text;
    window->started = window->started || ready;
    buffer_reset(text);
    metrics_write(worker, ORIORI_VERSION, clock_wall(clock), text);
    store_metered_write(worker->store, text);
    log_kafka_stats_write(worker->log, text);
    trace_exporter_write(worker->config.trace.context, text);
    process_stats_write(text);
    struct monitor_picture picture = {.metrics = buffer_span(text),
                                      .trouble = span_of(ready ? "" : worker->trouble),
                                      .ready = ready,
                                      .started = window->started,
                                      .progress_at = worker->progress_at};
    picture_playbooks(worker, window, &picture);
    monitor_publish(window->monitor, &picture);
}

/* A server that does not answer is waited for, however long: ending the process would only move the wait into whoever
 * starts it again. Asked only while nothing moves; a server that answers leaves the watchdog as it is. */
static void excuse_outage(struct worker *worker, const struct registry *registry, int64_t *probe_at)
{
    int64_t low, high;
    if (turned_at - worker->progress_at < PROBE_AFTER_MS || turned_at < *probe_at)
        return;
    *probe_at = turned_at + PROBE_AFTER_MS;
    if ((registry && registry_is_away(registry)) || store_check(worker->store) != WORLD_DONE ||
        log_watermarks(worker->log, worker->config.state_topic, 0, &low, &high) != WORLD_DONE)
        worker->progress_at = monotonic_ms();
}

static bool was_hung_up(void)
{
    bool was = hung_up;
    hung_up = 0;
    return was;
}

static void run(struct worker *worker, const struct setup *setup, struct playbook_file *file, struct window *window)
{
    int64_t probe_at = 0;
    uint64_t transactions = 0;
    int64_t status_at = monotonic_ms() + STATUS_MS, picture_at = 0;
    int32_t wait_ms = 0;
    bool was_ready = false;
    while (!ending && !worker_ended(worker)) {
        wait_ms = worker_turn(worker, wait_ms);
        turned_at = monotonic_ms();
        note_ready(worker, &was_ready);
        excuse_outage(worker, setup->registry, &probe_at);
        playbook_file_turn(file, worker, turned_at, was_hung_up());
        if (setup->catalog && worker->counts.transactions != transactions)
            schema_catalog_expire(setup->catalog);
        transactions = worker->counts.transactions;
        if (turned_at >= picture_at) {
            publish_picture(worker, window);
            picture_at = turned_at + PICTURE_MS;
        }
        pause_when_backing_off(worker);
        if (turned_at >= status_at) {
            log_status(worker, "status");
            status_at = turned_at + STATUS_MS;
        }
    }
}

/* Whoever waits for a server is no reason for the watchdog, nor for whoever asks /healthz; /readyz says what for. */
static void show_waiting(struct worker *worker, struct window *window, const char *what_for)
{
    turned_at = worker->progress_at = monotonic_ms();
    snprintf(worker->trouble, sizeof(worker->trouble), "%s", what_for);
    publish_picture(worker, window);
}

/* A registry gives the ids of what is written: without them nothing can begin. False: it says no, or we are to end. */
static bool wait_for_output_ids(struct setup *setup, struct reporter *reporter, struct worker *worker,
                                struct window *window)
{
    const char *subject;
    for (;;) {
        enum registry_answer answer = setup_register_outputs(setup, &subject);
        if (answer == REGISTRY_FOUND) {
            worker->config.formats.letter_schema_id = setup->output_ids[SETUP_DEAD];
            worker->trouble[0] = '\0';
            return true;
        }
        struct buffer text = {0};
        buffer_format(&text, "start: schema of %s: %s", subject, registry_text(setup->registry));
        bool ends = answer != REGISTRY_AWAY || ending;
        if (ends && !ending)
            logger(CONFIG_LEVEL_ERROR, "stopped", LOG_TEXT("reason", text.data));
        else
            report(reporter, REPORT_WARNING, text.data);
        show_waiting(worker, window, text.data);
        buffer_release(&text);
        if (ends)
            return false;
        nanosleep(&(struct timespec){REGISTER_AGAIN_MS / 1000, 0}, NULL);
    }
}

static int serve(struct worker *worker, struct setup *setup, const char *config_path, const struct reporter *reporter,
                 struct window *window)
{
    struct playbook_file file;
    playbook_file_init(&file, "/proc/self/exe", setup->playbook_path.data, config_path,
                       config_application(&setup->config), setup->config.playbook_watch, setup->file_hash);
    watched = worker;
    run(worker, setup, &file, window);
    watched = NULL;
    alarm(SHUTDOWN_SECONDS);
    playbook_file_release(&file);
    bool failed = worker_ended(worker);
    log_status(worker, "ending");
    if (failed && strncmp(reporter->last, worker->trouble, sizeof(reporter->last) - 1) == 0)
        logger(CONFIG_LEVEL_ERROR, "stopped"); /* its reason was the last line */
    else if (failed)
        logger(CONFIG_LEVEL_ERROR, "stopped", LOG_TEXT("reason", worker->trouble));
    return failed ? EXIT_FAILED : EXIT_DONE;
}

static int run_on(struct setup *setup, const char *config_path, struct log *log, struct store *store,
                  struct trace_exporter *exporter, struct monitor *monitor)
{
    struct reporter reporter = {0};
    struct flow_config flow = setup_flow(setup);
    struct clock clock = clock_wall_open();
    struct worker worker;
    struct window window;
    int status;
    flow.report = report;
    flow.report_context = &reporter;
    flow.trace = trace_exporter_sink(exporter);
#ifdef ORIORI_TEST_HOOKS /* the test build alone: build/PRESET/tests/oriori */
    hooks_install(&setup->config, &flow, log, store);
#endif
    worker_init(&worker, &flow, log, store, &clock);
    memcpy(worker.file_hash, setup->file_hash, sizeof(worker.file_hash));
    window_open(&window, monitor, worker.config.shard_count);
    if (wait_for_output_ids(setup, &reporter, &worker, &window))
        status = serve(&worker, setup, config_path, &reporter, &window);
    else
        status = ending ? EXIT_DONE : EXIT_FAILED;
    window_close(&window);
    worker_release(&worker);
    return status;
}

/* NULL and *error stays empty: none is wanted. */
static struct monitor *open_monitor(const struct config *config, struct buffer *error)
{
    if (config->monitor_listen[0] == '\0')
        return NULL;
    return monitor_open(config->monitor_listen, config->timeout_progress_ms, monotonic_ms, error);
}

/* On the exporter's thread. */
static void warn_of_spans(const char *reason, uint64_t lost)
{
    logger(CONFIG_LEVEL_WARN, "the collector does not take spans; nothing waits for it", LOG_TEXT("reason", reason),
           LOG_INTEGER("lost", lost));
}

/* NULL: nobody wants spans. */
static struct trace_exporter *open_exporter(const struct config *config)
{
    if (config->tracing_endpoint[0] == '\0')
        return NULL;
    return trace_exporter_open(&(struct trace_exporter_options){.endpoint = config->tracing_endpoint,
                                                                .headers = config->tracing_headers,
                                                                .ca = config->tracing_ca,
                                                                .service = config->application_id,
                                                                .version = ORIORI_VERSION,
                                                                .instance = config->transactional_id,
                                                                .group = config->group_id,
                                                                .sample_percent = config->tracing_sample_percent,
                                                                .warn = warn_of_spans});
}

static int open_and_run(struct setup *setup, const char *config_path)
{
    struct monitor *monitor = NULL;
    struct log log = {0};
    struct store store = {0};
    struct buffer error = {0};
    int status = EXIT_FAILED;
    if (setup->config.log == CONFIG_LOG_MEMORY)
        buffer_add_text(&error, "log: memory is one process with its feeder: use `oriori demo`");
    else if (log_kafka_open(&setup->config, setup->subscription, COUNT_OF(setup->subscription), &log, &error) ==
                 WORLD_DONE &&
             store_redis_open(&setup->config, &store, &error) == WORLD_DONE) {
        store_metered_open(&store);
        monitor = open_monitor(&setup->config, &error);
    }
    if (error.size == 0) {
        logger(CONFIG_LEVEL_INFO, "starting", LOG_TEXT("version", ORIORI_VERSION),
               LOG_TEXT("application", setup->config.application_id), LOG_INTEGER("shards", setup->config.shards),
               LOG_TEXT("transactional_id", setup->config.transactional_id),
               LOG_TEXT("redis", redis_url_shown(setup->config.redis_url)));
        struct trace_exporter *exporter = open_exporter(&setup->config);
        status = run_on(setup, config_path, &log, &store, exporter, monitor);
        trace_exporter_close(exporter);
    }
    if (error.size)
        fprintf(stderr, "oriori: %s\n", error.data);
    buffer_release(&error);
    monitor_close(monitor);
    log_close(&log); /* a dynamic member leaves the group here */
    store_close(&store);
    return status;
}

static void warn_of_environment(void)
{
    struct buffer lines = {0};
    config_environment_doubts(&lines);
    for (char *line = lines.data, *end; line && (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        logger(CONFIG_LEVEL_WARN, line);
    }
    buffer_release(&lines);
}

static bool setup_all(struct setup *setup, const char *path)
{
    if (!setup_config(setup, path))
        return false;
    warn_of_environment();
    return setup_world_or_wait(setup) && setup_schemas(setup);
}

int worker_main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    const char *path = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return EXIT_DONE;
        }
        if (option != 'c')
            path = NULL;
        else
            path = optarg;
    }
    if (path == NULL || optind != argc) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    struct setup setup;
    int status = EXIT_FAILED;
    if (setup_all(&setup, path)) {
        install_signals(&setup.config);
        status = open_and_run(&setup, path);
    }
    setup_close(&setup);
    return status;
}
