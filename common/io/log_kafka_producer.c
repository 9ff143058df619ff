/* The transactional producer. Every outcome comes from kafka_error_world; a call that may be made again is made again
 * here until the transaction's own time is over, so the loop sees AGAIN only where nothing has begun. */
#include "common/io/log_kafka_private.h"

#include "common/base/check.h"

#include <stdlib.h>
#include <string.h>

enum { INTERNAL_ROOM = 65536 }; /* internal records carry an input record and its coordinates */

/* The message's opaque: which transaction, which ticket. A report that comes late must not speak for another one. */
static void *opaque_of(const struct log_kafka *log, int64_t ticket)
{
    return (void *)(uintptr_t)((uint64_t)log->transaction << 32 | (uint32_t)(ticket + 1));
}

/* Without a delivery callback the flush inside commit sleeps in 10 ms steps. Failed deliveries need no note of ours:
 * the transaction is abortable then and commit says so. */
static void delivery_callback(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    (void)client;
    struct log_kafka *log = (struct log_kafka *)((char *)opaque - offsetof(struct log_kafka, trouble));
    uint64_t mark = (uintptr_t)message->_private;
    int64_t ticket = (int64_t)(uint32_t)mark - 1;
    if (ticket >= 0 && (uint32_t)(mark >> 32) == log->transaction && ticket < log->ticket_count)
        log->delivered[ticket] = message->err ? -1 : message->offset;
}

static rd_kafka_t *new_producer(struct log_kafka *log, const char *transactional_id, struct buffer *error)
{
    const struct config *config = log->config;
    rd_kafka_conf_t *conf = kafka_conf(config, CONFIG_CLIENT_PRODUCER, &log->trouble);
    kafka_set(conf, "transactional.id", transactional_id);
    kafka_set_integer(conf, "transaction.timeout.ms", config->timeout_transaction_ms);
    kafka_set_integer(conf, "message.max.bytes", config->topic_message_bytes_max + INTERNAL_ROOM);
    kafka_set(conf, "partitioner", "murmur2_random"); /* Java's; librdkafka's own default is CRC32 */
    rd_kafka_conf_set_dr_msg_cb(conf, delivery_callback);
    log_kafka_want_stats(conf);
    return kafka_new(RD_KAFKA_PRODUCER, conf, error);
}

void log_kafka_producer_drop(struct log_kafka *log)
{
    for (struct known_topic *topic = log->known; topic;) {
        struct known_topic *next = topic->next;
        rd_kafka_topic_destroy(topic->handle);
        free(topic);
        topic = next;
    }
    log->known = NULL;
    if (log->producer) {
        rd_kafka_purge(log->producer,
                       RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
        rd_kafka_poll(log->producer, 0);
        rd_kafka_destroy(log->producer);
    }
    log->producer = NULL;
    log->initialised = log->open = false;
}

/* After an AGAIN the same producer goes on where init_transactions was. */
enum world log_kafka_producer_new(void *context, int32_t timeout_ms)
{
    struct log_kafka *log = log_kafka_fresh(context);
    if (log->producer && log->initialised)
        log_kafka_producer_drop(log);
    if (log->producer == NULL) {
        struct buffer error = {0};
        log->producer = new_producer(log, log->config->transactional_id, &error);
        if (log->producer == NULL)
            log_kafka_fail(log, WORLD_STOP, "%s", error.data);
        buffer_release(&error);
        if (log->producer == NULL)
            return WORLD_STOP;
    }
    enum world world =
        log_kafka_fail_error(log, "init_transactions", rd_kafka_init_transactions(log->producer, timeout_ms));
    if (world == WORLD_DONE)
        log->initialised = log->worked = true;
    else if (world != WORLD_AGAIN)
        log_kafka_producer_drop(log);
    return world;
}

enum world log_kafka_fence(void *context, struct span transactional_id, int32_t timeout_ms)
{
    struct log_kafka *log = log_kafka_fresh(context);
    struct buffer error = {0}, id = {0};
    buffer_add_span(&id, transactional_id);
    CHECK(strcmp(id.data, log->config->transactional_id) != 0);
    rd_kafka_t *fencer = new_producer(log, id.data, &error);
    enum world world = WORLD_DONE;
    if (fencer == NULL)
        world = log_kafka_fail(log, WORLD_STOP, "%s", error.data);
    else
        world = log_kafka_fail_error(log, "fencing the previous owner", rd_kafka_init_transactions(fencer, timeout_ms));
    if (fencer)
        rd_kafka_destroy(fencer);
    buffer_release(&error);
    buffer_release(&id);
    return world;
}

enum world log_kafka_begin(void *context)
{
    struct log_kafka *log = log_kafka_fresh(context);
    if (log->producer == NULL || !log->initialised)
        return log_kafka_fail(log, WORLD_REPLACE, "no producer");
    CHECK(!log->open);
    enum world world = log_kafka_fail_error(log, "begin_transaction", rd_kafka_begin_transaction(log->producer));
    if (world != WORLD_DONE)
        return world == WORLD_AGAIN ? WORLD_AGAIN : WORLD_REPLACE;
    log->open = true;
    log->transaction++;
    log->ticket_count = 0;
    return WORLD_DONE;
}

/* ---- messages ---- */

/* The first message to a topic that the producer does not know yet would wait up to a second for the next look at the
 * metadata: ask at once. When this fails the message merely waits. */
static rd_kafka_topic_t *known_topic(struct log_kafka *log, const char *name)
{
    for (struct known_topic *topic = log->known; topic; topic = topic->next)
        if (strcmp(topic->name, name) == 0)
            return topic->handle;
    size_t size = strlen(name) + 1;
    struct known_topic *topic = calloc(1, sizeof(*topic) + size);
    CHECK(topic);
    memcpy(topic->name, name, size);
    topic->handle = rd_kafka_topic_new(log->producer, name, NULL);
    CHECK(topic->handle);
    topic->next = log->known;
    log->known = topic;
    const struct rd_kafka_metadata *metadata;
    if (rd_kafka_metadata(log->producer, 0, topic->handle, &metadata, (int)log->config->timeout_request_ms) ==
        RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_metadata_destroy(metadata);
    return topic->handle;
}

static bool describe_refused(const struct log_kafka *log, const struct known_topic *topic)
{
    const struct rd_kafka_metadata *metadata;
    if (rd_kafka_metadata(log->producer, 0, topic->handle, &metadata, (int)log->config->timeout_request_ms) !=
        RD_KAFKA_RESP_ERR_NO_ERROR)
        return false;
    bool refused = metadata->topic_cnt == 1 && metadata->topics[0].err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    rd_kafka_metadata_destroy(metadata);
    return refused;
}

static int64_t new_ticket(struct log_kafka *log)
{
    if (log->ticket_count == log->ticket_capacity) {
        log->ticket_capacity = log->ticket_capacity ? 2 * log->ticket_capacity : 64;
        log->delivered = realloc(log->delivered, (size_t)log->ticket_capacity * sizeof(*log->delivered));
        CHECK(log->delivered);
    }
    log->delivered[log->ticket_count] = -1;
    return log->ticket_count++;
}

static rd_kafka_headers_t *new_headers(const struct log_message *message)
{
    if (message->header_count == 0)
        return NULL;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(message->header_count);
    for (size_t i = 0; i < message->header_count; i++)
        rd_kafka_header_add(headers, message->headers[i].name.data, (ssize_t)message->headers[i].name.size,
                            message->headers[i].value.data, (ssize_t)message->headers[i].value.size);
    return headers;
}

/* An empty value is a value (Kafka's null would be a tombstone); an empty key is none. */
static rd_kafka_resp_err_t produce_once(struct log_kafka *log, rd_kafka_topic_t *topic,
                                        const struct log_message *message, rd_kafka_headers_t *headers, void *opaque)
{
    const void *key = message->key.size ? message->key.data : NULL;
    const void *value = message->value.size ? message->value.data : "";
    int32_t partition = message->partition == LOG_PARTITION_BY_KEY ? RD_KAFKA_PARTITION_UA : message->partition;
    if (headers)
        return rd_kafka_producev(log->producer, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(partition),
                                 RD_KAFKA_V_KEY(key, message->key.size),
                                 RD_KAFKA_V_VALUE((void *)value, message->value.size),
                                 RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_TIMESTAMP(message->timestamp),
                                 RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
    return rd_kafka_producev(
        log->producer, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_KEY(key, message->key.size),
        RD_KAFKA_V_VALUE((void *)value, message->value.size), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_TIMESTAMP(message->timestamp), RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
}

/* A transaction that fails for want of a right does not say on what. A topic that may not even be described is known
 * for sure; of the others it is one that was written to. */
void log_kafka_name_unwritable(struct log_kafka *log)
{
    bool sure = false;
    if (!log->trouble.unauthorised || log->producer == NULL || strstr(log->error.data, "; no right"))
        return;
    for (int pass = 0; pass < 2 && !sure; pass++) {
        for (const struct known_topic *topic = log->known; topic; topic = topic->next) {
            bool refused = pass == 1 || describe_refused(log, topic);
            if (refused)
                buffer_format(&log->error, "%s%s",
                              strstr(log->error.data, "; no right") ? ", "
                              : pass                                ? "; no right to write to one of "
                                                                    : "; no right on ",
                              topic->name);
            sure = sure || refused;
        }
    }
}

static enum world fail_produce(struct log_kafka *log, const struct log_message *message, rd_kafka_resp_err_t code)
{
    enum world world = kafka_world(code);
    char text[256] = "";
    if (code == RD_KAFKA_RESP_ERR__FATAL) /* the code says only that there was one */
        rd_kafka_fatal_error(log->producer, text, sizeof(text));
    return log_kafka_fail(log, world == WORLD_AGAIN ? WORLD_RECOVER : world, "produce to %s[%d], %zu bytes: %s",
                          message->topic, message->partition, message->value.size,
                          text[0] ? text : rd_kafka_err2str(code));
}

/* A full queue is served until there is room; the transaction's time bounds it. */
enum world log_kafka_produce(void *context, const struct log_message *message, int64_t *ret_ticket)
{
    struct log_kafka *log = log_kafka_fresh(context);
    CHECK(log->open);
    rd_kafka_topic_t *topic = known_topic(log, message->topic);
    rd_kafka_headers_t *headers = new_headers(message);
    int64_t ticket = ret_ticket ? new_ticket(log) : LOG_NO_TICKET;
    int64_t deadline = log_kafka_monotonic_ms() + log->config->timeout_transaction_ms;
    rd_kafka_resp_err_t code;
    while ((code = produce_once(log, topic, message, headers, opaque_of(log, ticket))) ==
               RD_KAFKA_RESP_ERR__QUEUE_FULL &&
           log_kafka_monotonic_ms() < deadline)
        rd_kafka_poll(log->producer, 10);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (headers)
            rd_kafka_headers_destroy(headers);
        return fail_produce(log, message, code);
    }
    if (ret_ticket)
        *ret_ticket = ticket;
    return WORLD_DONE;
}

enum world log_kafka_delivered_offset(void *context, int64_t ticket, int64_t *ret_offset)
{
    struct log_kafka *log = log_kafka_fresh(context);
    CHECK(ticket >= 0 && ticket < log->ticket_count);
    if (log->delivered[ticket] < 0)
        return log_kafka_fail(log, WORLD_RECOVER, "a delivery report without an offset");
    *ret_offset = log->delivered[ticket];
    return WORLD_DONE;
}

/* ---- offsets, commit, abort ---- */

/* The list frees the metadata with free(): it must be ours by malloc. */
static rd_kafka_topic_partition_list_t *offset_list(const struct log_kafka *log, const struct log_offset *offsets,
                                                    size_t count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++) {
        CHECK(offsets[i].offset >= 0);
        rd_kafka_topic_partition_t *element =
            rd_kafka_topic_partition_list_add(list, log->topics[offsets[i].topic], offsets[i].partition);
        element->offset = offsets[i].offset;
        if (offsets[i].metadata.size == 0)
            continue;
        element->metadata = malloc(offsets[i].metadata.size);
        CHECK(element->metadata);
        memcpy(element->metadata, offsets[i].metadata.data, offsets[i].metadata.size);
        element->metadata_size = offsets[i].metadata.size;
    }
    return list;
}

static int remaining_ms(int64_t deadline)
{
    int64_t left = deadline - log_kafka_monotonic_ms();
    return left > 100 ? (int)left : 100;
}

enum world log_kafka_send_offsets(void *context, const struct log_offset *offsets, size_t count)
{
    struct log_kafka *log = log_kafka_fresh(context);
    CHECK(log->open && count > 0);
    if (!log_kafka_believes(log))
        return log_kafka_fail(log, WORLD_RECOVER, "the assignment was revoked");
    rd_kafka_topic_partition_list_t *list = offset_list(log, offsets, count);
    int64_t deadline = log_kafka_monotonic_ms() + log->config->timeout_transaction_ms;
    enum world world;
    do {
        world = log_kafka_fail_error(
            log, "send_offsets_to_transaction",
            rd_kafka_send_offsets_to_transaction(log->producer, list, log->group, remaining_ms(deadline)));
    } while (world == WORLD_AGAIN && log_kafka_monotonic_ms() < deadline);
    rd_kafka_topic_partition_list_destroy(list);
    return world == WORLD_AGAIN ? WORLD_RECOVER : world;
}

/* Nobody knows the outcome of a commit that does not answer in time: a new producer finishes or aborts it. */
enum world log_kafka_commit(void *context)
{
    struct log_kafka *log = log_kafka_fresh(context);
    CHECK(log->open);
    int64_t deadline = log_kafka_monotonic_ms() + log->config->timeout_transaction_ms;
    enum world world;
    do {
        world = log_kafka_fail_error(log, "commit_transaction",
                                     rd_kafka_commit_transaction(log->producer, remaining_ms(deadline)));
    } while (world == WORLD_AGAIN && log_kafka_monotonic_ms() < deadline);
    if (world != WORLD_DONE)
        return world == WORLD_AGAIN ? WORLD_REPLACE : world;
    log->open = false;
    log->trouble.text[0] = '\0';
    return WORLD_DONE;
}

enum world log_kafka_abort(void *context)
{
    struct log_kafka *log = log_kafka_fresh(context);
    if (!log->open)
        return WORLD_DONE;
    log->open = false;
    int64_t deadline = log_kafka_monotonic_ms() + log->config->timeout_transaction_ms;
    enum world world;
    do {
        world = log_kafka_fail_error(log, "abort_transaction",
                                     rd_kafka_abort_transaction(log->producer, remaining_ms(deadline)));
    } while (world == WORLD_AGAIN && log_kafka_monotonic_ms() < deadline);
    return world == WORLD_AGAIN || world == WORLD_RECOVER ? WORLD_REPLACE : world;
}
