#include "common/io/http.h"

#include "common/base/check.h"

#include <string.h>

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

/* The next line without its end; false: there is none. */
static bool next_line(const char **rest, struct span *ret_line)
{
    if (**rest == '\0')
        return false;
    size_t size = strcspn(*rest, "\r\n");
    *ret_line = (struct span){*rest, size};
    *rest += size + strspn(*rest + size, "\r\n");
    return true;
}

static bool is_blank(struct span line)
{
    return strspn(line.data, " \t") >= line.size;
}

/* RFC 9110, 5.1 and 5.5: a token, a colon, and text without controls. */
static bool is_header(struct span line)
{
    static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~";
    size_t size = strspn(line.data, token);
    if (size == 0 || size >= line.size || line.data[size] != ':')
        return false;
    for (size_t i = size + 1; i < line.size; i++)
        if ((unsigned char)line.data[i] < 0x20 || line.data[i] == 0x7f)
            return false;
    return strspn(line.data + size + 1, " ") + size + 1 < line.size; /* libcurl takes one without a value away */
}

bool http_headers_good(const char *lines)
{
    struct span line;
    while (next_line(&lines, &line))
        if (!is_blank(line) && !is_header(line))
            return false;
    return true;
}

struct curl_slist *http_headers(const char *first, const char *lines)
{
    struct curl_slist *list = curl_slist_append(NULL, first);
    struct buffer text = {0};
    struct span line;
    while (next_line(&lines, &line)) {
        if (is_blank(line))
            continue;
        buffer_reset(&text);
        buffer_add_span(&text, line);
        struct curl_slist *longer = curl_slist_append(list, text.data);
        CHECK(longer);
        list = longer;
    }
    buffer_release(&text);
    CHECK(list);
    return list;
}

void http_basic_auth(CURL *curl, const char *user, const char *password)
{
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    curl_easy_setopt(curl, CURLOPT_USERNAME, user);
    curl_easy_setopt(curl, CURLOPT_PASSWORD, password);
}
