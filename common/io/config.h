/* The config of every subcommand: one YAML file, every key of one documented table (config.c), every key overridable by
 * an environment variable (redis.url by ORIORI_REDIS_URL), secrets also from files (redis.password_file).
 *
 * An unknown key, a wrong type, an unreadable file is an error that names file, line and key and the nearest valid
 * name; all errors of a file are reported at once. Life-cycle: config_load, then read, then config_release. All texts
 * belong to the config and end in NUL. */
#ifndef ORIORI_IO_CONFIG_H
#define ORIORI_IO_CONFIG_H

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/engine/event.h"

#include <stdbool.h>
#include <stdint.h>

enum config_log { CONFIG_LOG_KAFKA, CONFIG_LOG_MEMORY };
enum config_clock { CONFIG_CLOCK_WALL, CONFIG_CLOCK_INPUT };
enum config_decisions { CONFIG_DECISIONS_OFF, CONFIG_DECISIONS_SENT_AND_BLOCKED, CONFIG_DECISIONS_ALL };
enum config_level { CONFIG_LEVEL_DEBUG, CONFIG_LEVEL_INFO, CONFIG_LEVEL_WARN, CONFIG_LEVEL_ERROR };
enum config_format { CONFIG_FORMAT_AUTO, CONFIG_FORMAT_JSON, CONFIG_FORMAT_TEXT };
enum config_input { CONFIG_INPUT_AVRO, CONFIG_INPUT_JSON, CONFIG_INPUT_AUTO };
enum config_output { CONFIG_OUTPUT_AVRO, CONFIG_OUTPUT_JSON };
enum config_registered { CONFIG_REGISTERED, CONFIG_REGISTERED_LOCAL };
enum config_actions { CONFIG_ACTIONS_LIVE, CONFIG_ACTIONS_SHADOW };
enum config_start { CONFIG_START_EARLIEST, CONFIG_START_LATEST, CONFIG_START_TIMESTAMP };

/* A librdkafka property that passes through. */
enum config_client { CONFIG_CLIENT_BOTH, CONFIG_CLIENT_PRODUCER, CONFIG_CLIENT_CONSUMER };
struct config_property {
    struct config_property *next;
    enum config_client client;
    const char *name;
    const char *value;
};

struct config {
    const char *application_id;
    int64_t shards; /* S */
    bool demo;
    enum config_log log;
    const char *log_folder; /* CONFIG_LOG_MEMORY: the topics as JSON lines */
    enum config_clock clock;
    const char *start; /* as written */
    enum config_start start_kind;
    int64_t start_ms; /* CONFIG_START_TIMESTAMP */
    const char *playbook;
    bool playbook_watch;
    const char *schemas;
    const char *zones;
    enum config_decisions decisions;
    enum config_actions actions;
    enum config_output actions_format;
    const char *group_id;         /* default: application_id */
    const char *instance_id;      /* "" = dynamic membership */
    const char *transactional_id; /* default: application_id + "-" + host name */

    const char *topic_prefix;
    const char *topic_inputs[TOPIC_COUNT]; /* full names */
    enum config_input input_forms[TOPIC_COUNT];
    const char *input_mappings[TOPIC_COUNT]; /* paths and names, a blank between */
    int64_t topic_partitions;                /* of inputs; 0 = S */
    int64_t topic_replication;               /* -1 = the broker's default */
    int64_t topic_message_bytes_max;         /* the largest input record; internal topics allow 64 KiB more */
    int64_t topic_forward_keep_ms;           /* of consumed records; 0 = for ever */
    int64_t topic_retention_ms;              /* inputs, outputs, crm.steps; -1 = for ever */

    const char *registry_url; /* addresses, blanks between; "" = none */
    enum config_registered registry_outputs;
    const char *registry_user;
    const char *registry_password;
    const char *registry_token;
    const char *registry_ca; /* "" = the system's */
    int64_t registry_timeout_ms;
    const char *oauth_token_file; /* "" = none */
    const char *oauth_url;        /* "" = none */
    const char *oauth_client_id;
    const char *oauth_client_secret;
    const char *oauth_scope;
    const char *oauth_ca; /* "" = the system's */
    int64_t oauth_timeout_ms;

    const char *redis_url;
    const char *redis_user;
    const char *redis_password;
    const char *redis_sentinel_user;
    const char *redis_sentinel_password;
    const char *redis_tls_ca; /* paths of PEM files; "" = the system's, none, none */
    const char *redis_tls_certificate;
    const char *redis_tls_key;
    int64_t redis_timeout_ms;
    int64_t redis_history; /* decisions kept of a customer; 0 = none */

    int64_t sends_per_second; /* and shard; 0 = no cap */

    int64_t batch_records;
    int64_t batch_bytes;
    int64_t batch_wait_ms;
    int64_t batch_timers; /* customers visited for timers, per shard and batch */

    int64_t timeout_transaction_ms;
    int64_t timeout_request_ms;  /* one call on Kafka outside of a transaction */
    int64_t timeout_progress_ms; /* no progress for so long while there is work: exit (watchdog) */

    const char *monitor_listen; /* "" = no HTTP */

    const char *tracing_endpoint; /* "" = no spans */
    const char *tracing_headers;  /* lines "Name: value", checked; a secret */
    const char *tracing_ca;       /* "" = the system's */
    int64_t tracing_sample_percent;

    enum config_level level;
    enum config_format format;

    const struct config_property *kafka; /* in the order written */

    struct arena arena;
};

/* False when anything is wrong: all that was found is in *errors, one line each. path NULL = defaults and environment
 * only. The caller releases *config in both cases. */
bool config_load(struct config *config, const char *path, struct buffer *errors);
void config_release(struct config *config);

/* A line for each variable ORIORI_... that nobody reads, with the nearest that a key has: a mistake mostly, but not for
 * certain ours, so it is no error. */
void config_environment_doubts(struct buffer *ret_lines);

/* prefix + name: "crm.actions"; for inputs the configured name. In the config's own memory. */
const char *config_topic(struct config *config, const char *name);

/* What a playbook is put in force for: "application_id/S/topics.prefix". In the config's own memory. */
const char *config_application(struct config *config);

/* Which input has that configured name? False: none. */
bool config_input(const struct config *config, struct span name, enum topic *ret_topic);

/* The table of keys, as YAML with comments: what `oriori config reference` prints. */
void config_reference(struct buffer *ret_text);

/* Every key and property with the value in force, whoever gave it: YAML that config_load takes; secrets and passwords
 * in URLs are masked. What `oriori config show` prints. */
void config_show(const struct config *config, struct buffer *ret_text);

#endif
