/* `oriori produce`: JSON lines of R34 to Avro in an input topic, keyed and partitioned as the worker likes it. Also the
 * way to load existing customers (--backfill). */
#include "workers/subcommand.h"

#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/codec/avro_binary.h"
#include "common/codec/avro_write.h"
#include "common/codec/event_json.h"
#include "common/codec/json.h"
#include "common/io/kafka_client.h"
#include "workers/lifecycle/setup.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { FLUSH_MS = 60000, RETRY_MS = 50 };

static const char usage[] =
    "usage: oriori produce TOPIC [--backfill] [--config FILE] [FILE]\n\n"
    "Writes events to an input topic: one JSON object a line, from FILE or standard input. A line is an event's "
    "fields,\n"
    "or {\"topic\": ..., \"event\": {...}} as `oriori simulate` reads it; such a line's own topic counts, and TOPIC "
    "may\n"
    "then be `all`. Lines that are no event are named on standard error and left out (exit status 1).\n\n"
    "  --backfill      history: change customers, send nothing\n"
    "  --config FILE   the worker's config; without it defaults and the environment count\n\n"
    "example: echo '{\"kind\":\"PLACED\",\"event_id\":\"e1\",\"customer_id\":\"hanako\",\"order_id\":\"o1\",\n"
    "         \"occurred_at\":\"'$(date -u +%FT%TZ)'\",\"marketing_consent\":true,\"email_registered\":true,\n"
    "         \"lines\":[{\"sku\":\"TEA-1\",\"quantity\":1,\"unit_price\":1980}]}' | tr -d '\\n' |\n"
    "         oriori produce orders --config deploy/examples/worker.yaml\n";

struct options {
    const char *config;
    const char *topic;
    const char *file; /* NULL = standard input */
    bool backfill;
};

struct job {
    struct setup setup;
    struct kafka_trouble trouble;
    rd_kafka_t *producer;
    rd_kafka_topic_t *topics[TOPIC_COUNT];
    int32_t partitions[TOPIC_COUNT];  /* 0 = not asked yet */
    uint32_t schema_ids[TOPIC_COUNT]; /* a registry's; 0 = the fixed ones */
    bool topic_given;
    enum topic topic; /* of lines that do not say */
    bool backfill;
    struct arena arena; /* of the line in hand */
    struct buffer value;
    uint64_t line, written, refused, failed;
};

/* ---- Kafka ---- */

static void delivered(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    (void)client;
    struct job *job = (struct job *)((char *)opaque - offsetof(struct job, trouble));
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        job->written++;
        return;
    }
    if (job->failed++ == 0)
        fprintf(stderr, "oriori: %s: %s\n", rd_kafka_topic_name(message->rkt), rd_kafka_message_errstr(message));
}

static bool open_producer(struct job *job)
{
    struct buffer error = {0};
    rd_kafka_conf_t *conf = kafka_conf(&job->setup.config, CONFIG_CLIENT_PRODUCER, &job->trouble);
    kafka_set(conf, "enable.idempotence", "true"); /* a retry of librdkafka's writes nothing twice */
    kafka_set_integer(conf, "message.max.bytes", job->setup.config.topic_message_bytes_max);
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    job->producer = kafka_new(RD_KAFKA_PRODUCER, conf, &error);
    if (job->producer == NULL)
        fprintf(stderr, "oriori: %s\n", error.data);
    buffer_release(&error);
    return job->producer != NULL;
}

/* False: the topic is not there, or Kafka does not answer; said. */
static bool open_topic(struct job *job, enum topic topic)
{
    const char *name = job->setup.config.topic_inputs[topic];
    if (job->partitions[topic])
        return true;
    const struct rd_kafka_metadata *metadata;
    job->topics[topic] = rd_kafka_topic_new(job->producer, name, NULL);
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(job->producer, 0, job->topics[topic], &metadata, (int)job->setup.config.timeout_request_ms);
    rd_kafka_poll(job->producer, 0);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        code = metadata->topics[0].err;
        job->partitions[topic] = code ? 0 : metadata->topics[0].partition_cnt;
        rd_kafka_metadata_destroy(metadata);
    }
    if (job->partitions[topic])
        return setup_input_id(&job->setup, topic, &job->schema_ids[topic]);
    fprintf(stderr, "oriori: topic %s: %s%s%s\n", name, rd_kafka_err2str(code), job->trouble.text[0] ? ": " : "",
            job->trouble.text);
    rd_kafka_topic_destroy(job->topics[topic]);
    job->topics[topic] = NULL;
    return false;
}

/* When it arrived is a header: Kafka's own timestamp stays real time, because retention reads it. */
static rd_kafka_headers_t *received_header(int64_t received_at)
{
    if (received_at == NEVER)
        return NULL;
    char text[24];
    int size = snprintf(text, sizeof(text), "%lld", (long long)received_at);
    rd_kafka_headers_t *headers = rd_kafka_headers_new(1);
    rd_kafka_header_add(headers, "received_at", -1, text, size);
    return headers;
}

static bool event_send(struct job *job, const struct event *event, const struct event_unread *unread, struct span key,
                       int64_t received_at)
{
    if (!open_topic(job, event->topic))
        return false;
    buffer_reset(&job->value);
    event_avro_write(event, unread, &job->value);
    if (job->schema_ids[event->topic])
        wire_header_set(&job->value, job->schema_ids[event->topic]);
    int32_t partition = (int32_t)hash_home_shard(key, (uint32_t)job->partitions[event->topic]);
    rd_kafka_headers_t *headers = received_header(received_at);
    rd_kafka_resp_err_t code;
    while ((code = rd_kafka_producev(job->producer, RD_KAFKA_V_RKT(job->topics[event->topic]),
                                     RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_KEY(key.data, key.size),
                                     RD_KAFKA_V_VALUE(job->value.data, job->value.size),
                                     RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_HEADERS(headers),
                                     RD_KAFKA_V_END)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        rd_kafka_poll(job->producer, RETRY_MS);
    rd_kafka_poll(job->producer, 0);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    if (headers)
        rd_kafka_headers_destroy(headers);
    fprintf(stderr, "oriori: line %llu: %s\n", (unsigned long long)job->line, rd_kafka_err2str(code));
    job->failed++;
    return true;
}

/* ---- lines ---- */

static void refuse(struct job *job, enum reason reason, const char *field)
{
    fprintf(stderr, "oriori: line %llu: %s%s%s\n", (unsigned long long)job->line, reason_name(reason),
            field ? ": " : "", field ? field : "");
    job->refused++;
}

/* False: nothing more can be done (Kafka away, no such topic). */
static bool line_send(struct job *job, struct span line)
{
    struct event event;
    int64_t received_at = NEVER;
    const char *field = NULL;
    const struct json *root = json_read_marking(line, &job->arena);
    bool wrapped = root && root->type == JSON_KIND_OBJECT && json_member(root, SPAN("event"));
    enum reason reason;
    if (wrapped)
        reason = event_json_read(line, &job->arena, &event, &received_at, &field);
    else if (job->topic_given)
        reason = event_json_read_bare(job->topic, line, &job->arena, &event, &field);
    else
        reason = REASON_MISSING_FIELD, field = "topic";
    if (reason != REASON_NONE) {
        refuse(job, reason, field);
        return true;
    }
    event.backfill = event.backfill || job->backfill;
    const struct json *key = wrapped ? json_member(root, SPAN("key")) : NULL;
    bool own_key = key && key->type == JSON_KIND_TEXT && key->text.size; /* for trying what a wrong key does */
    struct event_unread unread = event_unread_of(wrapped ? json_member(root, SPAN("event")) : root);
    return event_send(job, &event, &unread, own_key ? key->text : event.customer_id, received_at);
}

static bool send_all(struct job *job, FILE *in)
{
    char *text = NULL;
    size_t capacity = 0;
    ssize_t size;
    bool good = true;
    while (good && (size = getline(&text, &capacity, in)) >= 0) {
        job->line++;
        while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r'))
            size--;
        arena_reset(&job->arena);
        struct span line = event_json_line((struct span){text, (size_t)size}, job->line);
        if (!span_empty(line))
            good = line_send(job, line);
    }
    free(text);
    return good;
}

/* ---- the command ---- */

static bool flush(struct job *job)
{
    if (rd_kafka_flush(job->producer, FLUSH_MS) == RD_KAFKA_RESP_ERR_NO_ERROR && job->failed == 0)
        return true;
    int left = rd_kafka_outq_len(job->producer);
    fprintf(stderr, "oriori: %llu records failed, %d are not confirmed%s%s\n", (unsigned long long)job->failed, left,
            job->trouble.text[0] ? ": " : "", job->trouble.text);
    return false;
}

static bool topic_of(const struct config *config, const char *name, enum topic *ret_topic)
{
    return config_input(config, span_of(name), ret_topic) || topic_find(span_of(name), ret_topic);
}

static bool job_open(struct job *job, const struct options *options)
{
    bool good = setup_config(&job->setup, options->config) && setup_registry(&job->setup);
    job->backfill = options->backfill;
    job->topic_given = strcmp(options->topic, "all") != 0;
    if (good && job->topic_given && !topic_of(&job->setup.config, options->topic, &job->topic)) {
        fprintf(stderr, "oriori: \"%s\" is no input topic: orders, deliveries, surveys, email-opens, customers, all\n",
                options->topic);
        good = false;
    }
    return good && open_producer(job);
}

static void job_close(struct job *job)
{
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        if (job->topics[topic])
            rd_kafka_topic_destroy(job->topics[topic]);
    if (job->producer)
        rd_kafka_destroy(job->producer);
    buffer_release(&job->value);
    arena_release(&job->arena);
    setup_close(&job->setup);
}

static bool produce(const struct options *options)
{
    struct job job = {0};
    arena_init(&job.arena, 0);
    FILE *in = options->file ? fopen(options->file, "r") : stdin;
    if (in == NULL)
        fprintf(stderr, "oriori: cannot read %s: %s\n", options->file, strerror(errno));
    bool good = in && job_open(&job, options) && send_all(&job, in);
    good = job.producer && flush(&job) && good;
    if (job.producer)
        fprintf(stderr, "%llu event%s written%s", (unsigned long long)job.written, job.written == 1 ? "" : "s",
                job.refused ? ", " : "\n");
    if (job.refused)
        fprintf(stderr, "%llu line%s refused\n", (unsigned long long)job.refused, job.refused == 1 ? "" : "s");
    good = good && job.refused == 0;
    if (in && in != stdin)
        fclose(in);
    job_close(&job);
    return good;
}

int produce_main(int argc, char **argv)
{
    static const struct option known[] = {{"backfill", no_argument, NULL, 'b'},
                                          {"config", required_argument, NULL, 'c'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    struct options options = {0};
    int option;
    while ((option = getopt_long(argc, argv, "bc:h", known, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return EXIT_DONE;
        }
        if (option == 'b')
            options.backfill = true;
        else if (option == 'c')
            options.config = optarg;
        else
            return fputs(usage, stderr), EXIT_USAGE;
    }
    if (argc - optind < 1 || argc - optind > 2) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    options.topic = argv[optind];
    options.file = argv[optind + 1]; /* argv ends in NULL */
    return produce(&options) ? EXIT_DONE : EXIT_FAILED;
}
