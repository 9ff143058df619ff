/* Tokens for Kafka's OAUTHBEARER (RFC 7628): from a file that somebody keeps fresh (a projected service account token,
 * a sidecar's), or from a token endpoint by client credentials (RFC 6749, 4.4). librdkafka asks for one in its
 * background thread when it needs one, and again after four fifths of its life; one that cannot be had is said like a
 * wrong password, and asked for again ten seconds later. */
#ifndef ORIORI_IO_KAFKA_TOKEN_H
#define ORIORI_IO_KAFKA_TOKEN_H

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/base/span.h"
#include "common/io/config.h"

#include <librdkafka/rdkafka.h>

struct kafka_token {
    struct span text;      /* a JWT; in the arena */
    struct span principal; /* its `sub`; in the arena */
    int64_t expires_ms;    /* its `exp`, in ms since 1970 */
};

/* Takes the figures out of a JWT (RFC 7519); who signed it is the broker's affair. Text around it is cut. False: *error
 * is a sentence that does not show the token. */
bool kafka_token_read(struct span text, struct arena *arena, struct kafka_token *ret_token, struct buffer *error);

/* Of the file or the endpoint that the config names. */
bool kafka_token_get(const struct config *config, struct arena *arena, struct kafka_token *ret_token,
                     struct buffer *error);

/* Makes handles of conf ask here, when the config names a source; else nothing. Their opaque is a struct kafka_trouble
 * that names the config. */
void kafka_token_serve(rd_kafka_conf_t *conf, const struct config *config);

/* After the handle is made: its background thread answers, so that no poll of ours has to. */
void kafka_token_begin(rd_kafka_t *client);

#endif
