/* `oriori consume`: a topic's records for people and scripts, read committed, without a group. */
#include "workers/subcommand.h"

#include "common/base/check.h"
#include "common/codec/internal_records.h"
#include "common/codec/json.h"
#include "common/codec/record_json.h"
#include "common/flow/quarantine.h"
#include "common/io/topic_reader.h"
#include "workers/lifecycle/setup.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char usage[] =
    "usage: oriori consume TOPIC [--from beginning|end] [--follow] [--json] [--config FILE]\n\n"
    "Prints a topic's records, read committed. TOPIC may be short (actions) or full (crm.actions).\n\n"
    "  --from beginning   all there is, then ends; --follow goes on\n"
    "  --from end         what comes from now on, until Ctrl-C (the default)\n"
    "  --json             only the record, one JSON object a line; else time, place and key before it\n"
    "  --config FILE      the worker's config; without it defaults and the environment count\n\n"
    "example: oriori consume actions --from beginning --json --config deploy/examples/worker.yaml\n";

struct options {
    const char *config;
    const char *topic;
    bool from_beginning, follow, json;
};

struct job {
    struct setup setup;
    const char *topic;
    bool json, states, follow;
    bool told;          /* that the registry is away */
    struct arena arena; /* of the record in hand */
    struct buffer line;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
    (void)signal;
    interrupted = 1;
}

/* ---- a record as text ---- */

/* crm.state holds blobs of the engine's own form: shown as the `state` record of R84. */
static bool add_state(struct job *job, const rd_kafka_message_t *message)
{
    struct span key = {message->key, message->key_len}, value = {message->payload, message->len};
    if (key.size == 1 && key.data[0] == '\0')
        return schema_set_json_write(job->setup.schemas, value, &job->line);
    struct customer_report report;
    if (!step_report(&job->setup.world, &job->arena, key, quarantine_seen(value), (int64_t)time(NULL) * 1000, &report))
        return false;
    report_json_write(key, &report, &job->line);
    return true;
}

/* `formats: json`, `actions_format: json`, a platform's own message; Avro in the wire format begins with a 0. */
static bool add_json(struct job *job, struct span value)
{
    const struct json *json = value.size > 0 && value.data[0] != '\0' ? json_read(value, &job->arena) : NULL;
    if (json == NULL || json->type != JSON_KIND_OBJECT)
        return false;
    json_add(&job->line, json);
    return true;
}

static bool add_value(struct job *job, struct span value)
{
    if (add_json(job, value))
        return true;
    const struct schema_set *schemas = setup_schemas_of(&job->setup, job->topic, value);
    if (schemas == NULL && !job->told) {
        fprintf(stderr, "oriori: %s\n", schema_catalog_trouble(job->setup.catalog));
        job->told = true;
    }
    return schemas != NULL && schema_set_json_write(schemas, value, &job->line);
}

static void add_escaped(struct buffer *line, struct span bytes)
{
    if (utf8_valid(bytes)) {
        json_add_text(line, bytes);
        return;
    }
    buffer_add_text(line, "\"0x");
    for (size_t i = 0; i < bytes.size; i++)
        buffer_format(line, "%02x", (unsigned char)bytes.data[i]);
    buffer_add_char(line, '"');
}

static void add_place(struct job *job, const rd_kafka_message_t *message)
{
    rd_kafka_timestamp_type_t type;
    char at[TIMESTAMP_TEXT_SIZE];
    timestamp_text(rd_kafka_message_timestamp(message, &type), at);
    buffer_format(&job->line, "%s %d:%lld ", at, message->partition, (long long)message->offset);
    add_escaped(&job->line, (struct span){message->key, message->key_len});
    buffer_add_char(&job->line, ' ');
}

/* What no schema of ours reads is shown as it is: another program's record, or one of the reasons for crm.dead. */
static void print_record(void *context, const rd_kafka_message_t *message)
{
    struct job *job = context;
    struct span value = {message->payload, message->len};
    buffer_reset(&job->line);
    arena_reset(&job->arena);
    if (!job->json)
        add_place(job, message);
    if (!(job->states ? add_state(job, message) : add_value(job, value))) {
        buffer_add_text(&job->line, "{\"unreadable\":");
        add_escaped(&job->line, value);
        buffer_add_char(&job->line, '}');
    }
    buffer_add_char(&job->line, '\n');
    fwrite(job->line.data, 1, job->line.size, stdout);
}

/* ---- reading ---- */

static bool read_all(struct job *job, bool from_beginning)
{
    struct topic_reader reader;
    struct buffer error = {0};
    bool good = topic_reader_open(&reader, &job->setup.config, job->topic, from_beginning, &error);
    while (good && !interrupted && (job->follow || !topic_reader_ended(&reader))) {
        good = topic_reader_run(&reader, print_record, job, &error);
        if (fflush(stdout) != 0)
            break; /* nobody listens any more */
    }
    if (!good)
        fprintf(stderr, "oriori: %s\n", error.data);
    topic_reader_close(&reader);
    buffer_release(&error);
    return good;
}

/* ---- the command ---- */

/* The full name; an input may have one of its own. */
static const char *full_name(struct config *config, const char *name)
{
    enum topic topic;
    if (topic_find(span_of(name), &topic))
        return config->topic_inputs[topic];
    if (strncmp(name, config->topic_prefix, strlen(config->topic_prefix)) == 0)
        return name;
    return config_topic(config, name);
}

static bool consume(const struct options *options)
{
    struct job job = {.json = options->json, .follow = options->follow || !options->from_beginning};
    arena_init(&job.arena, 0);
    bool good = setup_config(&job.setup, options->config) && setup_schemas(&job.setup);
    if (good) {
        job.topic = full_name(&job.setup.config, options->topic);
        job.states = strcmp(job.topic, config_topic(&job.setup.config, "state")) == 0;
        good = !job.states || setup_world(&job.setup);
    }
    good = good && read_all(&job, options->from_beginning);
    buffer_release(&job.line);
    arena_release(&job.arena);
    setup_close(&job.setup);
    return good;
}

static bool options_read(int argc, char **argv, struct options *ret_options, bool *ret_help)
{
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'}, {"from", required_argument, NULL, 'f'},
        {"follow", no_argument, NULL, 'F'},       {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "c:f:Fjh", known, NULL)) != -1) {
        switch (option) {
        case 'c':
            ret_options->config = optarg;
            break;
        case 'f':
            ret_options->from_beginning = strcmp(optarg, "beginning") == 0;
            if (!ret_options->from_beginning && strcmp(optarg, "end") != 0)
                return false;
            break;
        case 'F':
            ret_options->follow = true;
            break;
        case 'j':
            ret_options->json = true;
            break;
        case 'h':
            *ret_help = true;
            return true;
        default:
            return false;
        }
    }
    ret_options->topic = optind + 1 == argc ? argv[optind] : NULL;
    return ret_options->topic != NULL;
}

int consume_main(int argc, char **argv)
{
    struct options options = {0};
    bool help = false;
    if (!options_read(argc, argv, &options, &help)) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (help) {
        fputs(usage, stdout);
        return EXIT_DONE;
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return consume(&options) ? EXIT_DONE : EXIT_FAILED;
}
