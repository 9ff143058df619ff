#include "common/io/redis_tls.h"

#ifdef ORIORI_REDIS_TLS

#include "common/base/check.h"

#include <arpa/inet.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>
#include <string.h>

struct redis_tls {
    SSL_CTX *context;
};

static const char *last_error(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    return text ? text : "unknown reason";
}

static bool load_files(struct redis_tls *tls, const struct config *config, struct buffer *error)
{
    const char *ca = config->redis_tls_ca, *certificate = config->redis_tls_certificate, *key = config->redis_tls_key;
    ERR_clear_error();
    if (ca[0] ? SSL_CTX_load_verify_locations(tls->context, ca, NULL) != 1
              : SSL_CTX_set_default_verify_paths(tls->context) != 1)
        buffer_format(error, "redis.tls_ca: cannot read %s: %s", ca[0] ? ca : "the system's", last_error());
    else if (certificate[0] && SSL_CTX_use_certificate_chain_file(tls->context, certificate) != 1)
        buffer_format(error, "redis.tls_certificate: cannot read %s: %s", certificate, last_error());
    else if (key[0] && SSL_CTX_use_PrivateKey_file(tls->context, key, SSL_FILETYPE_PEM) != 1)
        buffer_format(error, "redis.tls_key: cannot read %s: %s", key, last_error());
    else
        return true;
    return false;
}

struct redis_tls *redis_tls_new(const struct config *config, struct buffer *error)
{
    struct redis_tls *tls = calloc(1, sizeof(*tls));
    CHECK(tls);
    redisInitOpenSSL();
    tls->context = SSL_CTX_new(TLS_client_method());
    CHECK(tls->context);
    SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    if (load_files(tls, config, error))
        return tls;
    redis_tls_free(tls);
    return NULL;
}

void redis_tls_free(struct redis_tls *tls)
{
    if (tls == NULL)
        return;
    SSL_CTX_free(tls->context);
    free(tls);
}

/* The name is checked within the handshake: an address by its number, a name also told to the server. */
static bool expect_host(SSL *ssl, const char *host)
{
    struct in6_addr number;
    if (inet_pton(AF_INET, host, &number) == 1 || inet_pton(AF_INET6, host, &number) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

bool redis_tls_begin(struct redis_tls *tls, redisContext *context, const char *host, struct buffer *error,
                     bool *ret_refused)
{
    SSL *ssl = SSL_new(tls->context);
    CHECK(ssl && expect_host(ssl, host));
    ERR_clear_error();
    bool good = redisInitiateSSL(context, ssl) == REDIS_OK;
    *ret_refused = false;
    if (good)
        return true; /* the context owns it now */
    long verdict = SSL_get_verify_result(ssl);
    *ret_refused = verdict != X509_V_OK;
    if (*ret_refused)
        buffer_format(error, "its certificate is refused: %s", X509_verify_cert_error_string(verdict));
    else
        buffer_format(error, "no TLS with it: %s", context->errstr);
    SSL_free(ssl);
    return false;
}

#else

struct redis_tls *redis_tls_new(const struct config *config, struct buffer *error)
{
    (void)config;
    buffer_format(
        error,
        "TLS to Redis is not in this build: it needs hiredis_ssl (hiredis 1.0 or newer, Debian 13), here is %d.%d.%d",
        HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
    return NULL;
}

void redis_tls_free(struct redis_tls *tls)
{
    (void)tls;
}

bool redis_tls_begin(struct redis_tls *tls, redisContext *context, const char *host, struct buffer *error,
                     bool *ret_refused)
{
    (void)tls, (void)context, (void)host, (void)error;
    *ret_refused = true;
    return false;
}

#endif
