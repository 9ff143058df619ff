/* `oriori topics create|check|export`: makes the topics with their settings, says how they differ, or prints them. */
#include "workers/subcommand.h"

#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/io/kafka_client.h"
#include "common/io/logger.h"
#include "common/io/topic_plan.h"
#include "workers/topics/export.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SAMPLE_MAX = 1000, POLL_MS = 500, SEEN_AGAIN_MS = 50 };

static const char usage[] =
    "usage: oriori topics create [--config FILE]\n"
    "       oriori topics check  [--config FILE]\n"
    "       oriori topics export [--config FILE]\n\n"
    "create makes every topic that is missing, with its settings; it changes none that exists. check compares what\n"
    "there is with what the config asks for, and counts records that do not lie in their customer's home partition;\n"
    "it exits with 1 when the worker would not run well. export prints every topic's records as JSON lines (keys and\n"
    "values in base64): what `oriori simulate --steps` replays.\n\n"
    "  --config FILE   the worker's config; without it defaults and the environment count\n\n"
    "example: oriori topics create --config deploy/examples/worker.yaml\n";

struct job {
    struct config config;
    struct topic_plan plan[TOPIC_PLAN_SIZE];
    struct kafka_trouble trouble;
    rd_kafka_t *admin;
    rd_kafka_queue_t *queue;
    size_t fault_count; /* what makes the exit status 1 */
};

static int timeout_ms(const struct job *job)
{
    return (int)job->config.timeout_request_ms * 3;
}

static bool fail(struct job *job, const char *what, const char *why)
{
    fprintf(stderr, "oriori: %s: %s%s%s%s\n", what, why, job->trouble.text[0] ? " (" : "", job->trouble.text,
            job->trouble.text[0] ? ")" : "");
    return false;
}

/* ---- what is there ---- */

/* -1: no answer; 0: no such topic. */
static int partition_count(struct job *job, const char *name)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(job->admin, name, NULL);
    rd_kafka_resp_err_t code = rd_kafka_metadata(job->admin, 0, topic, &metadata, timeout_ms(job));
    rd_kafka_topic_destroy(topic);
    rd_kafka_poll(job->admin, 0);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        fail(job, name, rd_kafka_err2str(code));
        return -1;
    }
    int count = metadata->topics[0].err ? 0 : metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    return count;
}

/* ---- create ---- */

static rd_kafka_NewTopic_t *new_topic(const struct job *job, const struct topic_plan *plan)
{
    char text[256];
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(plan->name, plan->partitions, (int)job->config.topic_replication, text, sizeof(text));
    CHECK(topic);
    for (size_t i = 0; i < plan->setting_count; i++)
        CHECK(rd_kafka_NewTopic_set_config(topic, plan->settings[i].name, plan->settings[i].value) ==
              RD_KAFKA_RESP_ERR_NO_ERROR);
    return topic;
}

static void report_created(struct job *job, const struct topic_plan *plan, const rd_kafka_topic_result_t *result)
{
    rd_kafka_resp_err_t code = rd_kafka_topic_result_error(result);
    const char *what = "created";
    if (code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        what = "exists";
    else if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        what = "FAILED";
    printf("%-8s %-20s %3d partitions  %s\n", what, plan->name, plan->partitions, plan->text);
    if (strcmp(what, "FAILED") == 0) {
        const char *why = rd_kafka_topic_result_error_string(result);
        fail(job, plan->name, why ? why : rd_kafka_err2str(code));
        job->fault_count++;
    }
}

static bool create_missing(struct job *job)
{
    rd_kafka_NewTopic_t *topics[TOPIC_PLAN_SIZE];
    for (size_t i = 0; i < TOPIC_PLAN_SIZE; i++)
        topics[i] = new_topic(job, &job->plan[i]);
    rd_kafka_CreateTopics(job->admin, topics, TOPIC_PLAN_SIZE, NULL, job->queue);
    struct buffer error = {0};
    enum world world;
    rd_kafka_event_t *event = kafka_admin_wait(job->queue, timeout_ms(job), &error, &world);
    rd_kafka_poll(job->admin, 0); /* its error callback */
    if (event) {
        size_t count;
        const rd_kafka_topic_result_t **results =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
        for (size_t i = 0; i < count && i < TOPIC_PLAN_SIZE; i++)
            report_created(job, &job->plan[i], results[i]);
        rd_kafka_event_destroy(event);
    } else {
        fail(job, "creating topics", error.data);
    }
    rd_kafka_NewTopic_destroy_array(topics, TOPIC_PLAN_SIZE);
    buffer_release(&error);
    return event != NULL;
}

/* The controller's yes comes before the brokers know: who asks one of them at once may hear of no such topic. */
static void wait_until_seen(struct job *job)
{
    int64_t polls = timeout_ms(job) / SEEN_AGAIN_MS;
    for (size_t i = 0; i < TOPIC_PLAN_SIZE && job->fault_count == 0; i++) {
        int count;
        while ((count = partition_count(job, job->plan[i].name)) == 0 && polls-- > 0)
            nanosleep(&(struct timespec){.tv_nsec = SEEN_AGAIN_MS * 1000000L}, NULL);
        if (count == 0) {
            fail(job, job->plan[i].name,
                 "created, but the broker still knows of no such topic; ask again: `topics check`");
            job->fault_count++;
        }
    }
}

static void explain_shards(const struct config *config)
{
    printf("\nS = %lld shards: each customer has a home shard, murmur2(customer_id) mod S. The internal topics have\n"
           "exactly S partitions, at most S workers share the load, and S can never change. Inputs keyed by\n"
           "customer_id (partitioner murmur2, as Java's) with S partitions are read without a detour; any other\n"
           "key or count is correct as well, but each record takes one hop more through %sforward.\n",
           (long long)config->shards, config->topic_prefix);
}

/* ---- check: partitions ---- */

static void fault(struct job *job, const char *name, const char *text)
{
    printf("%-20s FAULT: %s\n", name, text);
    job->fault_count++;
}

static void check_partitions(struct job *job, const struct topic_plan *plan, int count)
{
    char text[160];
    if (count == 0 && plan->optional) {
        printf("%-20s absent, and optional\n", plan->name);
    } else if (count == 0) {
        fault(job, plan->name, "there is no such topic; `oriori topics create` makes it");
    } else if (plan->role == TOPIC_INTERNAL && count != plan->partitions) {
        bool of_shards = plan->partitions == job->config.shards;
        snprintf(text, sizeof(text), "%d partitions, but %s%d; neither can be changed", count,
                 of_shards ? "S = " : "it must have ", plan->partitions);
        fault(job, plan->name, text);
    } else if (plan->role == TOPIC_INPUT && count != job->config.shards) {
        printf("%-20s %d partitions, not S = %lld: correct, but every record is forwarded\n", plan->name, count,
               (long long)job->config.shards);
    }
}

/* ---- check: settings ---- */

static const char *setting_found(const rd_kafka_ConfigResource_t *resource, const char *name)
{
    size_t count;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0)
            return rd_kafka_ConfigEntry_value(entries[i]);
    return NULL;
}

/* A difference is a fault where a promise hangs on it: internal topics must not lose what is still needed. */
static void compare_settings(struct job *job, const struct topic_plan *plan, const rd_kafka_ConfigResource_t *resource)
{
    for (size_t i = 0; i < plan->setting_count; i++) {
        const char *name = plan->settings[i].name, *wanted = plan->settings[i].value;
        const char *found = setting_found(resource, name);
        if (found == NULL || strcmp(found, wanted) == 0)
            continue;
        char text[256];
        snprintf(text, sizeof(text), "%s is %s, the config asks for %s", name, found, wanted);
        bool matters = strcmp(name, "cleanup.policy") == 0 || strncmp(name, "retention.", 10) == 0 ||
                       strcmp(name, "max.message.bytes") == 0;
        if (plan->role == TOPIC_INTERNAL && matters)
            fault(job, plan->name, text);
        else
            printf("%-20s %s\n", plan->name, text);
    }
}

static void check_settings(struct job *job, const struct topic_plan *plan)
{
    rd_kafka_ConfigResource_t *request = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, plan->name);
    rd_kafka_DescribeConfigs(job->admin, &request, 1, NULL, job->queue);
    struct buffer error = {0};
    enum world world;
    rd_kafka_event_t *event = kafka_admin_wait(job->queue, timeout_ms(job), &error, &world);
    size_t count = 0;
    const rd_kafka_ConfigResource_t **found =
        event ? rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &count) : NULL;
    if (count == 1 && rd_kafka_ConfigResource_error(found[0]) == RD_KAFKA_RESP_ERR_NO_ERROR)
        compare_settings(job, plan, found[0]);
    else
        printf("%-20s its settings cannot be read: %s\n", plan->name,
               count ? rd_kafka_ConfigResource_error_string(found[0]) : error.data);
    if (event)
        rd_kafka_event_destroy(event);
    rd_kafka_ConfigResource_destroy(request);
    buffer_release(&error);
}

/* ---- check: are records at home? ---- */

struct sample {
    int64_t seen;
    int64_t off_home;
};

static bool ends_sample(const rd_kafka_message_t *message)
{
    return message == NULL || message->err != RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* The last records of one partition, judged by their keys, which should be customer ids. */
static void sample_partition(struct job *job, rd_kafka_topic_t *topic, int32_t partition, struct sample *sample)
{
    if (rd_kafka_consume_start(topic, partition, RD_KAFKA_OFFSET_TAIL(SAMPLE_MAX)) != 0)
        return;
    rd_kafka_message_t *message = NULL;
    for (int i = 0; i < SAMPLE_MAX; i++) {
        message = rd_kafka_consume(topic, partition, POLL_MS);
        if (ends_sample(message))
            break;
        struct span key = {message->key, message->key_len};
        sample->seen++;
        sample->off_home +=
            span_empty(key) || hash_home_shard(key, (uint32_t)job->config.shards) != (uint32_t)partition;
        rd_kafka_message_destroy(message);
        message = NULL;
    }
    if (message)
        rd_kafka_message_destroy(message);
    rd_kafka_consume_stop(topic, partition);
}

static void check_home(struct job *job, rd_kafka_t *reader, const struct topic_plan *plan)
{
    struct sample sample = {0};
    int64_t off_home_partitions = 0;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(reader, plan->name, NULL);
    for (int32_t partition = 0; partition < job->config.shards; partition++) {
        int64_t before = sample.off_home;
        sample_partition(job, topic, partition, &sample);
        off_home_partitions += sample.off_home > before;
    }
    rd_kafka_topic_destroy(topic);
    printf("%-20s %lld of the last %lld records are off home, in %lld of %lld partitions%s\n", plan->name,
           (long long)sample.off_home, (long long)sample.seen, (long long)off_home_partitions,
           (long long)job->config.shards,
           sample.off_home ? ": is the producer's key the customer_id, its partitioner murmur2?" : "");
}

static rd_kafka_t *new_reader(struct job *job, struct buffer *error)
{
    rd_kafka_conf_t *conf = kafka_conf(&job->config, CONFIG_CLIENT_CONSUMER, &job->trouble);
    kafka_set(conf, "enable.auto.commit", "false");
    kafka_set(conf, "enable.partition.eof", "true");
    kafka_set(conf, "queued.min.messages", "1000");
    return kafka_new(RD_KAFKA_CONSUMER, conf, error);
}

static bool check_all(struct job *job)
{
    struct buffer error = {0};
    rd_kafka_t *reader = new_reader(job, &error);
    buffer_release(&error);
    if (reader == NULL)
        return false;
    for (size_t i = 0; i < TOPIC_PLAN_SIZE; i++) {
        const struct topic_plan *plan = &job->plan[i];
        int count = partition_count(job, plan->name);
        if (count < 0) {
            rd_kafka_destroy(reader);
            return false;
        }
        check_partitions(job, plan, count);
        if (count > 0)
            check_settings(job, plan);
        if (plan->role == TOPIC_INPUT && count == job->config.shards)
            check_home(job, reader, plan);
    }
    rd_kafka_destroy(reader);
    if (job->fault_count == 0)
        printf("all topics are as the config asks, or good enough\n");
    return true;
}

/* ---- the command ---- */

static bool job_open(struct job *job, const char *path)
{
    struct buffer errors = {0};
    bool good = config_load(&job->config, path, &errors);
    if (good) {
        logger_init(job->config.level, job->config.format);
        topic_plan_fill(&job->config, job->plan);
        job->admin = kafka_new_admin(&job->config, &job->trouble, &errors);
        good = job->admin != NULL;
    }
    if (good)
        job->queue = rd_kafka_queue_new(job->admin);
    else
        fprintf(stderr, "%s%s", errors.data, errors.data[errors.size - 1] == '\n' ? "" : "\n");
    buffer_release(&errors);
    return good;
}

static void job_close(struct job *job)
{
    if (job->queue)
        rd_kafka_queue_destroy(job->queue);
    if (job->admin)
        rd_kafka_destroy(job->admin);
    config_release(&job->config);
}

int topics_main(int argc, char **argv)
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
        if (option != 'c') {
            fputs(usage, stderr);
            return EXIT_USAGE;
        }
        path = optarg;
    }
    const char *verb = optind + 1 == argc ? argv[optind] : "";
    bool create = strcmp(verb, "create") == 0, export = strcmp(verb, "export") == 0;
    if (!create && !export && strcmp(verb, "check") != 0) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    struct job job = {0};
    bool good = job_open(&job, path);
    if (good)
        good = create ? create_missing(&job) : export ? topics_export(&job.config, stdout) : check_all(&job);
    if (good && create) {
        wait_until_seen(&job);
        explain_shards(&job.config);
    }
    job_close(&job);
    return good && job.fault_count == 0 ? EXIT_DONE : EXIT_FAILED;
}
