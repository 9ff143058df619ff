#include "workers/dlq/redrive.h"

#include <stdio.h>

enum { PORTION = 500, RETRY_MS = 20, CALL_MS = 30000 };

static void delivered(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct redriver *redriver = (struct redriver *)((char *)opaque - offsetof(struct redriver, trouble));
    (void)client;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR && redriver->failure[0] == '\0')
        snprintf(redriver->failure, sizeof(redriver->failure), "%s: %s", rd_kafka_topic_name(message->rkt),
                 rd_kafka_err2str(message->err));
}

/* True: fine. Retriable errors of the transactional calls are tried again by the caller's loop; here they are few. */
static bool check(struct redriver *redriver, rd_kafka_error_t *failed, const char *what, struct buffer *error)
{
    if (failed == NULL)
        return true;
    buffer_format(error, "%s: %s%s%s", what, rd_kafka_error_string(failed), redriver->trouble.text[0] ? ": " : "",
                  redriver->trouble.text);
    rd_kafka_error_destroy(failed);
    return false;
}

bool redriver_open(struct redriver *redriver, struct config *config, struct buffer *error)
{
    char id[300];
    *redriver = (struct redriver){.config = config};
    rd_kafka_conf_t *conf = kafka_conf(config, CONFIG_CLIENT_PRODUCER, &redriver->trouble);
    snprintf(id, sizeof(id), "%s-dlq", config->application_id);
    kafka_set(conf, "transactional.id", id);
    kafka_set_integer(conf, "transaction.timeout.ms", 60000);
    kafka_set_integer(conf, "message.max.bytes", config->topic_message_bytes_max + 65536);
    kafka_set(conf, "partitioner", "murmur2_random");
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    redriver->producer = kafka_new(RD_KAFKA_PRODUCER, conf, error);
    return redriver->producer != NULL &&
           check(redriver, rd_kafka_init_transactions(redriver->producer, CALL_MS), "init_transactions", error);
}

void redriver_close(struct redriver *redriver)
{
    if (redriver->producer)
        rd_kafka_destroy(redriver->producer);
}

/* Takes headers in any case. */
static bool record_send(struct redriver *redriver, const char *topic, int32_t partition, struct span key,
                        struct span value, rd_kafka_headers_t *headers, struct buffer *error)
{
    rd_kafka_resp_err_t code;
    while (
        (code = rd_kafka_producev(redriver->producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                                  RD_KAFKA_V_KEY(key.data, key.size), RD_KAFKA_V_VALUE((void *)value.data, value.size),
                                  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_HEADERS(headers),
                                  RD_KAFKA_V_END)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        rd_kafka_poll(redriver->producer, RETRY_MS);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    rd_kafka_headers_destroy(headers);
    buffer_format(error, "%s: %s", topic, rd_kafka_err2str(code));
    return false;
}

/* The record as it was: topic, partition, key, value and headers; and a header that says where it comes from. */
static bool send_original(struct redriver *redriver, const struct dead *dead, struct buffer *error)
{
    const struct original *original = &dead->letter.original;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(original->header_count + 1);
    char topic[256], from[48];
    snprintf(topic, sizeof(topic), "%.*s", (int)original->topic.size, original->topic.data);
    snprintf(from, sizeof(from), "%d:%lld", (int)dead->partition, (long long)dead->offset);
    for (size_t i = 0; i < original->header_count; i++) {
        const struct header *header = &original->headers[i];
        if (!span_equal(header->name, SPAN("redriven_from")))
            rd_kafka_header_add(headers, header->name.data, (ssize_t)header->name.size, header->value.data,
                                (ssize_t)header->value.size);
    }
    rd_kafka_header_add(headers, "redriven_from", -1, from, -1);
    return record_send(redriver, topic, original->partition, original->key, original->value, headers, error);
}

/* The state of a quarantined customer is where it was, in crm.state: his home shard is told that he is to be visited.
 */
static bool send_release(struct redriver *redriver, const struct dead *dead, struct buffer *error)
{
    const struct original *original = &dead->letter.original;
    const char *topic = config_topic(redriver->config, "forward");
    struct buffer value = {0};
    forward_encode(&(struct forward){.kind = FORWARD_RELEASE, .rule = original->key}, &value);
    bool good = record_send(redriver, topic, original->partition, original->key, buffer_span(&value),
                            rd_kafka_headers_new(1), error);
    buffer_release(&value);
    return good;
}

static bool send_again(struct redriver *redriver, const struct dead *dead, struct buffer *error)
{
    bool customer = span_equal(dead->letter.original.topic, span_of(config_topic(redriver->config, "state")));
    return customer ? send_release(redriver, dead, error) : send_original(redriver, dead, error);
}

static bool send_mark(struct redriver *redriver, const struct dead *dead, enum letter_fate fate, struct buffer *error)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(2);
    char letter[48];
    snprintf(letter, sizeof(letter), "%d:%lld", (int)dead->partition, (long long)dead->offset);
    rd_kafka_header_add(headers, "letter", -1, letter, -1);
    rd_kafka_header_add(headers, "mark", -1, fate == LETTER_DROPPED ? "dropped" : "redriven", -1);
    return record_send(redriver, config_topic(redriver->config, "dead"), dead->partition, dead->key, SPAN_NONE, headers,
                       error);
}

static bool run_portion(struct redriver *redriver, const struct dead *const *letters, size_t count,
                        enum letter_fate fate, struct buffer *error)
{
    bool good = check(redriver, rd_kafka_begin_transaction(redriver->producer), "begin", error);
    for (size_t i = 0; good && i < count; i++)
        good = (fate == LETTER_DROPPED || send_again(redriver, letters[i], error)) &&
               send_mark(redriver, letters[i], fate, error);
    good = good && check(redriver, rd_kafka_commit_transaction(redriver->producer, CALL_MS), "commit", error);
    if (!good) {
        rd_kafka_error_t *ignored = rd_kafka_abort_transaction(redriver->producer, CALL_MS);
        if (ignored)
            rd_kafka_error_destroy(ignored);
        if (redriver->failure[0])
            buffer_format(error, " (%s)", redriver->failure);
    }
    return good;
}

bool redriver_run(struct redriver *redriver, const struct dead *const *letters, size_t count, enum letter_fate fate,
                  size_t *ret_done, struct buffer *error)
{
    for (*ret_done = 0; *ret_done < count;) {
        size_t portion = count - *ret_done < PORTION ? count - *ret_done : PORTION;
        if (!run_portion(redriver, letters + *ret_done, portion, fate, error))
            return false;
        *ret_done += portion;
    }
    return true;
}
