/* Shared by log_kafka.c (life, consumer), log_kafka_producer.c and log_kafka_topics.c (questions, reader). */
#ifndef ORIORI_IO_LOG_KAFKA_PRIVATE_H
#define ORIORI_IO_LOG_KAFKA_PRIVATE_H

#include "common/io/kafka_client.h"
#include "common/io/kafka_stats.h"
#include "common/io/log_kafka.h"

struct known_topic { /* a topic handle of the present producer */
    struct known_topic *next;
    rd_kafka_topic_t *handle;
    char name[]; /* NUL-terminated */
};

struct log_kafka {
    const struct config *config;
    const char *const *topics;
    size_t topic_count;
    struct kafka_trouble trouble;
    struct kafka_stats consumer_stats, producer_stats;
    bool away; /* no broker is reached */
    struct buffer error;
    bool worked; /* some call was answered: a refusal from now on may be a broker on its way down */

    rd_kafka_t *admin;

    /* the group consumer */
    rd_kafka_t *consumer;
    rd_kafka_consumer_group_metadata_t *group; /* of the present assignment; NULL = none */
    int32_t generation;
    bool revoked_waits, assigned_waits; /* callbacks ran, log_poll has not said so yet */
    struct log_partition *partitions;
    size_t partition_count;
    rd_kafka_message_t *message; /* what the last poll returned */
    struct arena headers;        /* of that message */

    /* the transactional producer */
    rd_kafka_t *producer;
    bool initialised; /* init_transactions is done */
    bool open;        /* a transaction is */
    struct known_topic *known;
    uint32_t transaction; /* counts begins: tells late delivery reports apart */
    int64_t *delivered;   /* offsets by ticket; -1 = no report with an offset */
    int64_t ticket_count;
    int64_t ticket_capacity;

    /* the reader */
    rd_kafka_t *reader;
    rd_kafka_topic_t *reader_topic; /* NULL = not open */
    int32_t reader_partition;
    rd_kafka_message_t *reader_message;
    struct arena reader_headers;
};

int64_t log_kafka_monotonic_ms(void);

/* The handle at the beginning of a call: what an earlier one said is over. */
static inline struct log_kafka *log_kafka_fresh(void *context)
{
    struct log_kafka *log = context;
    buffer_reset(&log->error);
    return log;
}

/* Keeps the sentence for error_text and gives the outcome back: `return log_kafka_fail(log, WORLD_AGAIN, "...")`. An
 * AGAIN becomes a STOP when Kafka refused us for good (password, certificate) before anything ever worked. */
__attribute__((format(printf, 3, 4))) enum world log_kafka_fail(struct log_kafka *log, enum world world,
                                                                const char *format, ...);
/* The same of a transactional call's error, which is destroyed; DONE for NULL. */
enum world log_kafka_fail_error(struct log_kafka *log, const char *what, rd_kafka_error_t *error);

/* Fills *ret_record from the message; spans borrow from it, headers live in the arena, which is reset. */
void log_kafka_record(const rd_kafka_message_t *message, int topic, struct arena *headers,
                      struct log_record *ret_record);

bool log_kafka_offset_gone(rd_kafka_resp_err_t code);

/* Has librdkafka's statistics delivered into the two above. */
void log_kafka_want_stats(rd_kafka_conf_t *conf);

/* log_kafka_producer.c */
void log_kafka_name_unwritable(struct log_kafka *log);
enum world log_kafka_producer_new(void *context, int32_t timeout_ms);
enum world log_kafka_fence(void *context, struct span transactional_id, int32_t timeout_ms);
enum world log_kafka_begin(void *context);
enum world log_kafka_produce(void *context, const struct log_message *message, int64_t *ret_ticket);
enum world log_kafka_send_offsets(void *context, const struct log_offset *offsets, size_t count);
enum world log_kafka_commit(void *context);
enum world log_kafka_abort(void *context);
enum world log_kafka_delivered_offset(void *context, int64_t ticket, int64_t *ret_offset);
void log_kafka_producer_drop(struct log_kafka *log);

/* log_kafka_topics.c */
enum world log_kafka_partition_count(void *context, const char *topic, int32_t *ret_count);
enum world log_kafka_watermarks(void *context, const char *topic, int32_t partition, int64_t *ret_low,
                                int64_t *ret_high);
enum world log_kafka_delete_records(void *context, const char *topic, int32_t partition, int64_t before_offset);
enum world log_kafka_cluster_id(void *context, struct arena *arena, struct span *ret_id);
enum world log_kafka_reader_open(void *context, const char *topic, int32_t partition, int64_t offset);
enum world log_kafka_reader_next(void *context, int32_t timeout_ms, struct log_event *ret_event);
void log_kafka_reader_close(void *context);

/* A membership counts from the poll that tells of it until the poll that ends it. One poll of the client may run both
 * callbacks, the revoke's and the next assignment's: until log_poll has told of both, the new group metadata would let
 * offsets of before through, for the broker checks the generation only. */
static inline bool log_kafka_believes(const struct log_kafka *log)
{
    return log->group != NULL && !log->revoked_waits && !log->assigned_waits;
}

#endif
