/* What every librdkafka handle of ours shares: its configuration, the callbacks that collect errors and log lines, and
 * the one table that sorts librdkafka's codes into enum world. */
#ifndef ORIORI_IO_KAFKA_CLIENT_H
#define ORIORI_IO_KAFKA_CLIENT_H

#include "common/base/buffer.h"
#include "common/io/config.h"
#include "common/io/world.h"

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

/* What librdkafka told us on the side; filled by callbacks in the thread that polls. One per owner, passed as the
 * opaque of its handles. */
struct kafka_trouble {
    const struct config *config; /* of the handle; lives longer */
    char text[512];              /* the last error, for people; "" = none since the last success */
    rd_kafka_resp_err_t refused; /* wrong password, certificate or version: trying again does not help */
    bool old_scram;              /* this librdkafka's SCRAM is one that Kafka 4 refuses */
    atomic_bool unauthorised;    /* a transaction failed for want of a right; set by librdkafka's thread */
};

/* A configuration with our defaults, the user's properties for that client, and trouble as the callbacks' opaque. The
 * caller adds what its role demands with kafka_set, then makes the handle. */
rd_kafka_conf_t *kafka_conf(const struct config *config, enum config_client client, struct kafka_trouble *trouble);

/* A property that we decide; a refusal is our error. */
void kafka_set(rd_kafka_conf_t *conf, const char *name, const char *value);
void kafka_set_integer(rd_kafka_conf_t *conf, const char *name, int64_t value);

/* Makes the handle; takes conf in any case. NULL and *error (a sentence): the configuration is wrong. */
rd_kafka_t *kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, struct buffer *error);

/* A handle without a group for questions about topics (metadata, true high watermarks, admin calls). */
rd_kafka_t *kafka_new_admin(const struct config *config, struct kafka_trouble *trouble, struct buffer *error);

/* Of a plain code, and of an error of the transactional calls (its flags say more than its code). */
enum world kafka_world(rd_kafka_resp_err_t code);
enum world kafka_error_world(const rd_kafka_error_t *error);

/* Runs an admin request that answers on `queue`: waits, checks the event's own error. NULL: *error says why, *ret_world
 * what kind; else the caller destroys the event. */
rd_kafka_event_t *kafka_admin_wait(rd_kafka_queue_t *queue, int timeout_ms, struct buffer *error,
                                   enum world *ret_world);

#endif
