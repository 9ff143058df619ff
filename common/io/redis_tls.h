/* TLS for a Redis connection: hiredis carries the bytes (hiredis_ssl, from 1.0 on), OpenSSL is asked here, because
 * hiredis's own helper does not check that the certificate names the host.
 *
 * Compiled in where pkg-config finds hiredis_ssl (Debian 13; not Debian 12, whose hiredis is 0.14). Elsewhere
 * redis_tls_new says so in a sentence and the others are never reached. */
#ifndef ORIORI_IO_REDIS_TLS_H
#define ORIORI_IO_REDIS_TLS_H

#include "common/base/buffer.h"
#include "common/io/config.h"

#include <hiredis/hiredis.h>

struct redis_tls;

/* redis.tls_ca ("" = the system's), redis.tls_certificate and redis.tls_key ("" = none of our own). NULL: *error is a
 * sentence. */
struct redis_tls *redis_tls_new(const struct config *config, struct buffer *error);
void redis_tls_free(struct redis_tls *tls); /* NULL-safe */

/* The handshake on a connected context, and whether the certificate is that of `host`. False: *error is a sentence and
 * *ret_refused says that trying again does not help (a certificate is wrong). */
bool redis_tls_begin(struct redis_tls *tls, redisContext *context, const char *host, struct buffer *error,
                     bool *ret_refused);

#endif
