/* All records of a topic, read committed, without a group: for people, exports and checks. */
#ifndef ORIORI_IO_TOPIC_READER_H
#define ORIORI_IO_TOPIC_READER_H

#include "common/io/kafka_client.h"

struct topic_reader {
    const struct config *config;
    const char *topic;
    struct kafka_trouble trouble;
    rd_kafka_t *consumer;
    rd_kafka_topic_t *handle;
    rd_kafka_queue_t *queue;
    int32_t partition_count;
    int32_t ended_count; /* partitions whose end was reached */
    int64_t ended_at;    /* the offset of the end reached last: before an open transaction, if there is one */
};

/* From the first or from behind the last record. False: *error is a sentence; close in any case. Borrows the texts. */
bool topic_reader_open(struct topic_reader *reader, const struct config *config, const char *topic, bool from_beginning,
                       struct buffer *error);

/* Hands at most about a thousand records to take, waiting a little for the first; records of one partition in order.
 * False: *error says why. */
bool topic_reader_run(struct topic_reader *reader, void (*take)(void *context, const rd_kafka_message_t *message),
                      void *context, struct buffer *error);

/* Every partition's end was reached. */
bool topic_reader_ended(const struct topic_reader *reader);

void topic_reader_close(struct topic_reader *reader);

/* All of the above at once: hands every record that is there now to take. False: *error says why. */
bool topic_read(const struct config *config, const char *topic,
                void (*take)(void *context, const rd_kafka_message_t *message), void *context, struct buffer *error);
/* The same, and how far one could read: ended_at, of a topic of one partition. */
bool topic_read_to(const struct config *config, const char *topic,
                   void (*take)(void *context, const rd_kafka_message_t *message), void *context, int64_t *ret_end,
                   struct buffer *error);

#endif
