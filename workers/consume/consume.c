/* `oriori consume`: a topic's records for people and scripts, read committed, without a group. */
#include "workers/subcommand.h"

#include "common/base/check.h"
#include "common/codec/internal_records.h"
#include "common/codec/json.h"
#include "common/codec/record_json.h"
#include "common/io/kafka_client.h"
#include "workers/lifecycle/setup.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { POLL_MS = 100, BATCH = 1000 };

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
    struct kafka_trouble trouble;
    const char *topic;
    bool json, states;
    bool follow;
    rd_kafka_t *consumer;
    rd_kafka_topic_t *handle;
    rd_kafka_queue_t *queue;
    int32_t partitions, ended; /* ended: partitions whose end was reached */
    struct arena arena;
    struct buffer line;
    bool failed;
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
    if (!step_report(&job->setup.world, &job->arena, key, value, (int64_t)time(NULL) * 1000, &report))
        return false;
    report_json_write(key, &report, &job->line);
    return true;
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
static void print_record(struct job *job, const rd_kafka_message_t *message)
{
    struct span value = {message->payload, message->len};
    buffer_reset(&job->line);
    arena_reset(&job->arena);
    if (!job->json)
        add_place(job, message);
    if (!(job->states ? add_state(job, message) : schema_set_json_write(job->setup.schemas, value, &job->line))) {
        buffer_add_text(&job->line, "{\"unreadable\":");
        add_escaped(&job->line, value);
        buffer_add_char(&job->line, '}');
    }
    buffer_add_char(&job->line, '\n');
    fwrite(job->line.data, 1, job->line.size, stdout);
}

/* ---- reading ---- */

static void take_message(struct job *job, rd_kafka_message_t *message)
{
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        print_record(job, message);
    else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        job->ended++;
    else if (kafka_world(message->err) != WORLD_AGAIN) {
        fprintf(stderr, "oriori: %s: %s\n", job->topic, rd_kafka_message_errstr(message));
        job->failed = true;
    }
    rd_kafka_message_destroy(message);
}

/* An end counts once per partition: a follower passes it again and again, but does not count. */
static void read_all(struct job *job)
{
    rd_kafka_message_t *messages[BATCH];
    while (!interrupted && !job->failed && (job->follow || job->ended < job->partitions)) {
        ssize_t count = rd_kafka_consume_batch_queue(job->queue, POLL_MS, messages, BATCH);
        for (ssize_t i = 0; i < count; i++)
            take_message(job, messages[i]);
        rd_kafka_poll(job->consumer, 0);
        if (fflush(stdout) != 0)
            break; /* nobody listens any more */
    }
}

static bool open_consumer(struct job *job)
{
    struct buffer error = {0};
    rd_kafka_conf_t *conf = kafka_conf(&job->setup.config, CONFIG_CLIENT_CONSUMER, &job->trouble);
    kafka_set(conf, "isolation.level", "read_committed");
    kafka_set(conf, "enable.auto.commit", "false");
    kafka_set(conf, "enable.partition.eof", "true");
    kafka_set(conf, "auto.offset.reset", "earliest"); /* retention may be quicker than we are */
    job->consumer = kafka_new(RD_KAFKA_CONSUMER, conf, &error);
    if (job->consumer == NULL)
        fprintf(stderr, "oriori: %s\n", error.data);
    buffer_release(&error);
    return job->consumer != NULL;
}

static bool ask_partitions(struct job *job)
{
    const struct rd_kafka_metadata *metadata;
    job->handle = rd_kafka_topic_new(job->consumer, job->topic, NULL);
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(job->consumer, 0, job->handle, &metadata, (int)job->setup.config.timeout_request_ms);
    rd_kafka_poll(job->consumer, 0);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        code = metadata->topics[0].err;
        job->partitions = code ? 0 : metadata->topics[0].partition_cnt;
        rd_kafka_metadata_destroy(metadata);
    }
    if (job->partitions == 0)
        fprintf(stderr, "oriori: topic %s: %s%s%s\n", job->topic, rd_kafka_err2str(code),
                job->trouble.text[0] ? ": " : "", job->trouble.text);
    return job->partitions > 0;
}

static bool start_reading(struct job *job, bool from_beginning)
{
    int64_t from = from_beginning ? RD_KAFKA_OFFSET_BEGINNING : RD_KAFKA_OFFSET_END;
    job->queue = rd_kafka_queue_new(job->consumer);
    for (int32_t partition = 0; partition < job->partitions; partition++)
        if (rd_kafka_consume_start_queue(job->handle, partition, from, job->queue) != 0)
            return false;
    return true;
}

static void close_consumer(struct job *job)
{
    for (int32_t partition = 0; job->queue && partition < job->partitions; partition++)
        rd_kafka_consume_stop(job->handle, partition);
    if (job->queue)
        rd_kafka_queue_destroy(job->queue);
    if (job->handle)
        rd_kafka_topic_destroy(job->handle);
    if (job->consumer)
        rd_kafka_destroy(job->consumer);
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
    good = good && open_consumer(&job) && ask_partitions(&job) && start_reading(&job, options->from_beginning);
    if (good)
        read_all(&job);
    close_consumer(&job);
    buffer_release(&job.line);
    arena_release(&job.arena);
    setup_close(&job.setup);
    return good && !job.failed;
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
