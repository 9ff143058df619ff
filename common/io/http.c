#include "common/io/http.h"

static size_t take(char *data, size_t size, size_t count, void *context)
{
    const struct http_sink *sink = context;
    if (sink->body->size + size * count > sink->size_max)
        return 0; /* ends the transfer */
    buffer_add(sink->body, data, size * count);
    return size * count;
}

void http_prepare(CURL *curl, const char *url, int64_t timeout_ms, const char *ca, struct http_sink *sink)
{
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, sink);
    if (ca[0])
        curl_easy_setopt(curl, CURLOPT_CAINFO, ca);
}

void http_post(CURL *curl, const struct buffer *body)
{
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->data);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->size);
}

void http_basic_auth(CURL *curl, const char *user, const char *password)
{
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    curl_easy_setopt(curl, CURLOPT_USERNAME, user);
    curl_easy_setopt(curl, CURLOPT_PASSWORD, password);
}
