/* What our requests over libcurl share. The caller owns the handle, and adds what is its own: headers, who it is. */
#ifndef ORIORI_IO_HTTP_H
#define ORIORI_IO_HTTP_H

#include "common/base/buffer.h"

#include <curl/curl.h>

/* Where an answer's body goes; one that is larger than size_max bytes ends the transfer. */
struct http_sink {
    struct buffer *body;
    size_t size_max;
};

/* A GET of url, http or https, that may take so many ms. ca: a file of certificates (PEM); "" = the system's. The sink
 * must live until the request is done. */
void http_prepare(CURL *curl, const char *url, int64_t timeout_ms, const char *ca, struct http_sink *sink);
void http_post(CURL *curl, const struct buffer *body); /* a POST instead; the body must live as long */
/* Lines "Name: value" as a list of headers, with first before them; blank lines are passed over. The caller frees it.
 */
struct curl_slist *http_headers(const char *first, const char *lines);
bool http_headers_good(const char *lines); /* is each line that is not blank a header? */
void http_basic_auth(CURL *curl, const char *user, const char *password);

#endif
