#include "common/io/kafka_token.h"

#include "common/base/base64.h"
#include "common/base/check.h"
#include "common/codec/json.h"
#include "common/io/data_file.h"
#include "common/io/http.h"
#include "common/io/kafka_client.h"

#include <errno.h>
#include <string.h>

enum { ANSWER_SIZE_MAX = 1 << 20 };

/* ---- a JWT ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span without_blanks(struct span text)
{
    while (text.size > 0 && is_blank(text.data[0]))
        text = (struct span){text.data + 1, text.size - 1};
    while (text.size > 0 && is_blank(text.data[text.size - 1]))
        text.size--;
    return text;
}

/* The claims stand between the first dot and the second, in base64 with the URL's letters and without padding. */
static bool claims_of(struct span text, struct arena *arena, struct span *ret_json)
{
    const char *first = memchr(text.data, '.', text.size);
    if (first == NULL)
        return false;
    size_t rest = text.size - (size_t)(first + 1 - text.data);
    const char *second = memchr(first + 1, '.', rest);
    if (second == NULL)
        return false;
    struct buffer plain = {0};
    for (const char *p = first + 1; p < second; p++)
        buffer_add_char(&plain, *p == '-' ? '+' : *p == '_' ? '/' : *p);
    while (plain.size % 4)
        buffer_add_char(&plain, '=');
    bool good = base64_read(buffer_span(&plain), arena, ret_json);
    buffer_release(&plain);
    return good;
}

bool kafka_token_read(struct span text, struct arena *arena, struct kafka_token *ret_token, struct buffer *error)
{
    struct span bytes = {0};
    text = without_blanks(text);
    const struct json *claims = text.size > 0 && claims_of(text, arena, &bytes) ? json_read(bytes, arena) : NULL;
    if (claims == NULL || claims->type != JSON_KIND_OBJECT) {
        buffer_add_text(error, "it is no JWT (three parts with dots between, the second JSON in base64url)");
        return false;
    }
    const struct json *subject = json_part_of(claims, SPAN("sub"), JSON_KIND_TEXT);
    const struct json *expires = json_part_of(claims, SPAN("exp"), JSON_KIND_INTEGER);
    if (expires == NULL || expires->integer < 0 || expires->integer > INT64_MAX / 1000) {
        buffer_add_text(error, "the JWT has no `exp` in whole seconds, so that nobody knows how long it holds");
        return false;
    }
    *ret_token = (struct kafka_token){arena_copy(arena, text), subject ? subject->text : SPAN("oriori"),
                                      expires->integer * 1000};
    return true;
}

/* ---- where it comes from ---- */

static bool token_of_file(const struct config *config, struct arena *arena, struct kafka_token *ret_token,
                          struct buffer *error)
{
    struct buffer text = {0}, why = {0};
    errno = 0;
    bool good = file_read(config->oauth_token_file, &text);
    if (!good)
        buffer_add_text(&why, strerror(errno));
    else
        good = kafka_token_read(buffer_span(&text), arena, ret_token, &why);
    if (!good) {
        buffer_format(error, "oauth.token_file %s: ", config->oauth_token_file);
        buffer_add_span(error, buffer_span(&why));
    }
    buffer_release(&text);
    buffer_release(&why);
    return good;
}

static void make_form(CURL *curl, const char *scope, struct buffer *ret_form)
{
    buffer_add_text(ret_form, "grant_type=client_credentials");
    if (scope[0] == '\0')
        return;
    char *escaped = curl_easy_escape(curl, scope, 0);
    CHECK(escaped != NULL);
    buffer_format(ret_form, "&scope=%s", escaped);
    curl_free(escaped);
}

/* The answer's text is not shown: it may hold a token. */
static bool read_answer(struct span answer, long status, struct arena *arena, struct kafka_token *ret_token,
                        struct buffer *error)
{
    const struct json *body = json_read(answer, arena);
    const struct json *token = json_part_of(body, SPAN("access_token"), JSON_KIND_TEXT);
    if (status == 200 && token)
        return kafka_token_read(token->text, arena, ret_token, error);
    const struct json *why = json_part_of(body, SPAN("error"), JSON_KIND_TEXT);
    buffer_format(error, "HTTP status %ld", status);
    if (why) {
        buffer_add_text(error, ", ");
        buffer_add_span(error, why->text);
    } else if (status == 200) {
        buffer_add_text(error, " without an access_token");
    }
    return false;
}

static bool token_of_endpoint(const struct config *config, struct arena *arena, struct kafka_token *ret_token,
                              struct buffer *error)
{
    struct buffer form = {0}, answer = {0}, why = {0};
    struct http_sink sink = {&answer, ANSWER_SIZE_MAX};
    long status = 0;
    CURL *curl = curl_easy_init();
    CHECK(curl != NULL);
    make_form(curl, config->oauth_scope, &form);
    http_prepare(curl, config->oauth_url, config->oauth_timeout_ms, config->oauth_ca, &sink);
    http_basic_auth(curl, config->oauth_client_id, config->oauth_client_secret);
    http_post(curl, &form);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    bool good = code == CURLE_OK && read_answer(buffer_span(&answer), status, arena, ret_token, &why);
    if (!good) {
        buffer_format(error, "oauth.url %s: %s", config->oauth_url, code == CURLE_OK ? "" : curl_easy_strerror(code));
        buffer_add_span(error, buffer_span(&why));
    }
    curl_easy_cleanup(curl);
    buffer_release(&form);
    buffer_release(&answer);
    buffer_release(&why);
    return good;
}

static bool has_source(const struct config *config)
{
    return config->oauth_token_file[0] || config->oauth_url[0];
}

bool kafka_token_get(const struct config *config, struct arena *arena, struct kafka_token *ret_token,
                     struct buffer *error)
{
    if (config->oauth_token_file[0])
        return token_of_file(config, arena, ret_token, error);
    return token_of_endpoint(config, arena, ret_token, error);
}

/* ---- librdkafka asks ---- */

static void refresh(rd_kafka_t *client, const char *unused, void *opaque)
{
    (void)unused;
    const struct kafka_trouble *trouble = opaque;
    struct kafka_token token;
    struct arena arena;
    struct buffer text = {0}, principal = {0}, error = {0};
    char why[256] = "";
    arena_init(&arena, 0);
    bool good = kafka_token_get(trouble->config, &arena, &token, &error);
    if (good) {
        buffer_add_span(&text, token.text);
        buffer_add_span(&principal, token.principal);
        good = rd_kafka_oauthbearer_set_token(client, text.data, token.expires_ms, principal.data, NULL, 0, why,
                                              sizeof(why)) == RD_KAFKA_RESP_ERR_NO_ERROR;
        if (!good)
            buffer_format(&error, "the token for Kafka is refused: %s", why);
    }
    if (!good)
        rd_kafka_oauthbearer_set_token_failure(client, error.data);
    buffer_release(&text);
    buffer_release(&principal);
    buffer_release(&error);
    arena_release(&arena);
}

void kafka_token_serve(rd_kafka_conf_t *conf, const struct config *config)
{
    if (!has_source(config))
        return;
    CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK); /* before there are threads */
    rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, refresh);
    rd_kafka_conf_enable_sasl_queue(conf, 1);
}

void kafka_token_begin(rd_kafka_t *client)
{
    const struct kafka_trouble *trouble = rd_kafka_opaque(client);
    if (!has_source(trouble->config))
        return;
    rd_kafka_error_t *error = rd_kafka_sasl_background_callbacks_enable(client);
    CHECK(error == NULL); /* the queue is there: kafka_token_serve asked for it */
}
