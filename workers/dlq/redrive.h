/* Redriving and dropping: each letter's record back into its input, each letter's mark into crm.dead, in transactions
 * under one transactional id of the application, so that of two operators at once one is fenced. */
#ifndef ORIORI_WORKERS_DLQ_REDRIVE_H
#define ORIORI_WORKERS_DLQ_REDRIVE_H

#include "common/io/kafka_client.h"
#include "workers/dlq/letters.h"

struct redriver {
    struct config *config;
    struct kafka_trouble trouble;
    rd_kafka_t *producer;
    char failure[512]; /* of a delivery */
};

/* Opens the producer and fences everyone else who redrives; read the letters only after it. False: *error says why. */
bool redriver_open(struct redriver *redriver, struct config *config, struct buffer *error);
void redriver_close(struct redriver *redriver);

/* All of the letters or none, in portions: *ret_done letters are done when it fails. fate: what to do with them. */
bool redriver_run(struct redriver *redriver, const struct dead *const *letters, size_t count, enum letter_fate fate,
                  size_t *ret_done, struct buffer *error);

#endif
