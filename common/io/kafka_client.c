#include "common/io/kafka_client.h"

#include "common/base/check.h"
#include "common/io/kafka_token.h"
#include "common/io/logger.h"

#include <stdio.h>
#include <string.h>

/* ---- codes ---- */

/* The one table. What is not here: kafka_error_world reads the error's flags, kafka_world says RECOVER. */
static const struct {
    rd_kafka_resp_err_t code;
    enum world world;
} worlds[] = {
    {RD_KAFKA_RESP_ERR_NO_ERROR, WORLD_DONE},

    /* nothing has happened, or the call goes on where it was when it is made again */
    {RD_KAFKA_RESP_ERR__TIMED_OUT, WORLD_AGAIN},
    {RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, WORLD_AGAIN},
    {RD_KAFKA_RESP_ERR__TRANSPORT, WORLD_AGAIN},
    {RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, WORLD_AGAIN},
    {RD_KAFKA_RESP_ERR__WAIT_COORD, WORLD_AGAIN},
    {RD_KAFKA_RESP_ERR__RESOLVE, WORLD_AGAIN},
    {RD_KAFKA_RESP_ERR__QUEUE_FULL, WORLD_AGAIN},
    {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, WORLD_AGAIN},
    {RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION, WORLD_AGAIN},
    {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, WORLD_AGAIN},
    {RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, WORLD_AGAIN},
    {RD_KAFKA_RESP_ERR_NOT_COORDINATOR, WORLD_AGAIN},
    {RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, WORLD_AGAIN},
    {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, WORLD_AGAIN},
    {RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE, WORLD_AGAIN}, /* a new leader does not know its high watermark yet */
    {RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH, WORLD_AGAIN},
    {RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH, WORLD_AGAIN},
    {RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, WORLD_AGAIN},
    {RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT, WORLD_AGAIN}, /* the previous owner's transaction is still open */

    /* our membership is over: a rebalance is on its way */
    {RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, WORLD_RECOVER},
    {RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, WORLD_RECOVER},
    {RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, WORLD_RECOVER},
    {RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST, WORLD_RECOVER},
    {RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED, WORLD_RECOVER},
    {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, WORLD_RECOVER},
    {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, WORLD_RECOVER},
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, WORLD_RECOVER},

    /* somebody else has our transactional id, or the broker ended our transaction */
    {RD_KAFKA_RESP_ERR__FENCED, WORLD_REPLACE},
    {RD_KAFKA_RESP_ERR__FATAL, WORLD_REPLACE},
    {RD_KAFKA_RESP_ERR__STATE, WORLD_REPLACE},
    {RD_KAFKA_RESP_ERR_PRODUCER_FENCED, WORLD_REPLACE},
    {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, WORLD_REPLACE},
    {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING, WORLD_REPLACE},
    {RD_KAFKA_RESP_ERR_INVALID_TXN_STATE, WORLD_REPLACE},
    {RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID, WORLD_REPLACE},
    {RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, WORLD_REPLACE},

    /* somebody must change something first */
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, WORLD_STOP},
    {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, WORLD_STOP},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, WORLD_STOP},
    {RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, WORLD_STOP},
    {RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, WORLD_STOP},
    {RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT, WORLD_STOP},
    {RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, WORLD_STOP},          /* two workers with one instance_id */
    {RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT, WORLD_STOP},     /* out of what the broker allows: refused for ever */
    {RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL, WORLD_STOP}, /* the group is another program's */
    {RD_KAFKA_RESP_ERR_INVALID_GROUP_ID, WORLD_STOP},
    {RD_KAFKA_RESP_ERR__AUTHENTICATION, WORLD_STOP},
    {RD_KAFKA_RESP_ERR__SSL, WORLD_STOP},
    {RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, WORLD_STOP},
    {RD_KAFKA_RESP_ERR__INVALID_ARG, WORLD_STOP},
    {RD_KAFKA_RESP_ERR__NOT_CONFIGURED, WORLD_STOP},
};

static bool find_world(rd_kafka_resp_err_t code, enum world *ret_world)
{
    for (size_t i = 0; i < COUNT_OF(worlds); i++) {
        if (worlds[i].code == code) {
            *ret_world = worlds[i].world;
            return true;
        }
    }
    return false;
}

enum world kafka_world(rd_kafka_resp_err_t code)
{
    enum world world = WORLD_RECOVER;
    find_world(code, &world);
    return world;
}

/* The flags go before the code: a timed-out commit is retriable, a fenced producer is fatal whatever the code. A STOP
 * of the table goes before the flags: an abortable error for want of a right would be aborted and tried for ever. */
enum world kafka_error_world(const rd_kafka_error_t *error)
{
    enum world world = WORLD_DONE;
    if (error == NULL)
        return WORLD_DONE;
    bool known = find_world(rd_kafka_error_code(error), &world);
    if (known && world == WORLD_STOP)
        return WORLD_STOP;
    if (rd_kafka_error_is_fatal(error))
        return WORLD_REPLACE;
    if (rd_kafka_error_txn_requires_abort(error))
        return WORLD_RECOVER;
    if (rd_kafka_error_is_retriable(error))
        return WORLD_AGAIN;
    return known && world == WORLD_RECOVER ? WORLD_RECOVER : WORLD_REPLACE; /* unknown: do as if fatal */
}

/* ---- callbacks ---- */

static void error_callback(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
    (void)client;
    struct kafka_trouble *trouble = opaque;
    if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || trouble->text[0] == '\0') /* it only repeats the others' */
        snprintf(trouble->text, sizeof(trouble->text), "%s", reason);
    if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION && trouble->old_scram && strstr(trouble->text, "2.6.1") == NULL)
        snprintf(trouble->text, sizeof(trouble->text),
                 "%.256s; the password may be right: SCRAM of librdkafka %s is refused by Kafka 4, which needs 2.6.1 "
                 "or newer",
                 reason, rd_kafka_version_str());
    if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL ||
        code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE)
        trouble->refused = (rd_kafka_resp_err_t)code;
}

/* librdkafka's own lines are for looking closely: what matters comes back as an outcome and is said once, at the top.
 */
static void log_callback(const rd_kafka_t *client, int level, const char *facility, const char *line)
{
    struct kafka_trouble *trouble = rd_kafka_opaque(client);
    if (trouble && strcmp(facility, "TXNERR") == 0 && strstr(line, "AUTHORIZATION_FAILED"))
        trouble->unauthorised = true; /* the calls that follow only say "erroneous state" */
    logger(CONFIG_LEVEL_DEBUG, "librdkafka", LOG_INTEGER("level", level), LOG_TEXT("facility", facility),
           LOG_TEXT("client", rd_kafka_name(client)), LOG_TEXT("line", line));
}

/* ---- handles ---- */

void kafka_set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK) {
        fprintf(stderr, "oriori: %s\n", text);
        CHECK(!"a librdkafka property of ours");
    }
}

void kafka_set_integer(rd_kafka_conf_t *conf, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)value);
    kafka_set(conf, name, text);
}

/* Our defaults, which the user's properties may override; measured on a real Apache Kafka (DESIGN.md 5). */
static const struct {
    enum config_client client;
    const char *name;
    const char *value;
} defaults[] = {
    {CONFIG_CLIENT_BOTH, "socket.nagle.disable", "true"},                /* small requests, one after the other */
    {CONFIG_CLIENT_BOTH, "reconnect.backoff.max.ms", "2000"},            /* a broker's restart is noticed soon */
    {CONFIG_CLIENT_BOTH, "topic.metadata.refresh.interval.ms", "30000"}, /* new partitions too */
    {CONFIG_CLIENT_BOTH, "log.connection.close", "false"},
    {CONFIG_CLIENT_CONSUMER, "session.timeout.ms", "6000"},
    {CONFIG_CLIENT_CONSUMER, "heartbeat.interval.ms", "1000"},
    {CONFIG_CLIENT_CONSUMER, "max.poll.interval.ms", "60000"},
    {CONFIG_CLIENT_CONSUMER, "fetch.wait.max.ms", "25"},
    {CONFIG_CLIENT_CONSUMER, "fetch.error.backoff.ms", "100"},
    {CONFIG_CLIENT_CONSUMER, "queued.min.messages", "100000"}, /* less than a second of traffic stalls fetching */
    {CONFIG_CLIENT_CONSUMER, "queued.max.messages.kbytes", "65536"},
    {CONFIG_CLIENT_PRODUCER, "linger.ms", "5"},
    {CONFIG_CLIENT_PRODUCER, "batch.num.messages", "20000"},
    /* a transaction begun right after a commit meets CONCURRENT_TRANSACTIONS and waits this long */
    {CONFIG_CLIENT_PRODUCER, "retry.backoff.ms", "10"},
};

/* Up to 2.6.0 SCRAM appends the client's nonce twice, which Kafka 4 calls invalid credentials. */
static bool has_old_scram(const rd_kafka_conf_t *conf)
{
    char mechanism[32] = "";
    size_t size = sizeof(mechanism);
    return rd_kafka_version() < 0x020601ff &&
           rd_kafka_conf_get(conf, "sasl.mechanisms", mechanism, &size) == RD_KAFKA_CONF_OK &&
           strncmp(mechanism, "SCRAM", 5) == 0;
}

rd_kafka_conf_t *kafka_conf(const struct config *config, enum config_client client, struct kafka_trouble *trouble)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    kafka_set(conf, "client.id", config->transactional_id);
    for (size_t i = 0; i < COUNT_OF(defaults); i++)
        if (defaults[i].client == CONFIG_CLIENT_BOTH || defaults[i].client == client)
            kafka_set(conf, defaults[i].name, defaults[i].value);
    trouble->config = config;
    rd_kafka_conf_set_opaque(conf, trouble);
    kafka_token_serve(conf, config);
    rd_kafka_conf_set_error_cb(conf, error_callback);
    rd_kafka_conf_set_log_cb(conf, log_callback);
    for (const struct config_property *p = config->kafka; p; p = p->next)
        if (p->client == CONFIG_CLIENT_BOTH)
            kafka_set(conf, p->name, p->value); /* checked when the config was loaded */
    for (const struct config_property *p = config->kafka; p; p = p->next)
        if (p->client != CONFIG_CLIENT_BOTH && p->client == client)
            kafka_set(conf, p->name, p->value);
    trouble->old_scram = has_old_scram(conf);
    return conf;
}

/* Unset, the property reads as no text at all. */
static bool has_servers(const rd_kafka_conf_t *conf)
{
    size_t size = 0;
    return rd_kafka_conf_get(conf, "bootstrap.servers", NULL, &size) == RD_KAFKA_CONF_OK && size > 1;
}

rd_kafka_t *kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, struct buffer *error)
{
    char text[256];
    if (!has_servers(conf)) {
        buffer_add_text(error, "the config names no Kafka: set kafka.bootstrap.servers");
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rd_kafka_t *client = rd_kafka_new(type, conf, text, sizeof(text));
    if (client == NULL) {
        buffer_format(error, "Kafka's configuration is refused: %s", text);
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    kafka_token_begin(client);
    return client;
}

/* read_uncommitted, because a read-committed handle is told the last stable offset as the high watermark. */
rd_kafka_t *kafka_new_admin(const struct config *config, struct kafka_trouble *trouble, struct buffer *error)
{
    rd_kafka_conf_t *conf = kafka_conf(config, CONFIG_CLIENT_BOTH, trouble);
    kafka_set(conf, "isolation.level", "read_uncommitted");
    return kafka_new(RD_KAFKA_CONSUMER, conf, error);
}

rd_kafka_event_t *kafka_admin_wait(rd_kafka_queue_t *queue, int timeout_ms, struct buffer *error, enum world *ret_world)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms);
    if (event == NULL) {
        buffer_add_text(error, "no answer");
        *ret_world = WORLD_AGAIN;
        return NULL;
    }
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return event;
    buffer_add_text(error, rd_kafka_event_error_string(event));
    *ret_world = kafka_world(code);
    rd_kafka_event_destroy(event);
    return NULL;
}
