#include "common/io/registry.h"

#include "common/base/check.h"
#include "common/codec/json.h"
#include "common/codec/schema_link.h"
#include "common/io/http.h"

#include <curl/curl.h>
#include <stdlib.h>

enum {
    BODY_SIZE_MAX = 4 << 20, /* no schema is so large; a body that does not end must */
    REFERENCES_MAX = 64      /* of one schema, those of its references counted */
};

struct registry {
    const struct config *config;
    CURL *curl; /* keeps its connections */
    struct curl_slist *headers;
    char *addresses[REGISTRY_ADDRESSES_MAX]; /* without a slash at the end */
    size_t address_count;
    size_t answered;    /* index of the address that answered last */
    struct arena arena; /* of the answer in hand */
    struct buffer body, request, text;
    enum registry_answer last;
};

/* ---- one request to one address ---- */

static void set_up(struct registry *registry)
{
    const struct config *config = registry->config;
    CURL *curl = registry->curl;
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, registry->headers);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    if (config->registry_user[0]) {
        http_basic_auth(curl, config->registry_user, config->registry_password);
    } else if (config->registry_token[0]) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, config->registry_token);
    }
}

/* body NULL: GET, else POST. */
static void ask_address(struct registry *registry, enum registry_request request, const char *address, const char *path,
                        const struct buffer *body, struct registry_reply *ret_reply)
{
    CURL *curl = registry->curl;
    struct http_sink sink = {&registry->body, BODY_SIZE_MAX};
    struct buffer url = {0};
    long status = 0;
    buffer_reset(&registry->body);
    curl_easy_reset(curl);
    buffer_format(&url, "%s%s", address, path);
    http_prepare(curl, url.data, registry->config->registry_timeout_ms, registry->config->registry_ca, &sink);
    set_up(registry);
    if (body != NULL)
        http_post(curl, body);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK)
        registry_reply_read(request, status, buffer_span(&registry->body), &registry->arena, ret_reply);
    else
        *ret_reply = (struct registry_reply){.answer = REGISTRY_AWAY, .message = span_of(curl_easy_strerror(code))};
    buffer_release(&url);
}

/* ---- all addresses ---- */

static void note(struct registry *registry, const char *address, struct span message)
{
    if (span_empty(message))
        return;
    buffer_format(&registry->text, "%sthe schema registry %s: ", registry->text.size ? "; " : "", address);
    buffer_add_span(&registry->text, message);
}

/* The first answer that is one; each address that is away is said. */
static enum registry_answer ask(struct registry *registry, enum registry_request request, const char *path,
                                const struct buffer *body, struct registry_reply *ret_reply)
{
    size_t first = registry->answered;
    arena_reset(&registry->arena);
    buffer_reset(&registry->text);
    for (size_t i = 0; i < registry->address_count; i++) {
        size_t index = (first + i) % registry->address_count;
        ask_address(registry, request, registry->addresses[index], path, body, ret_reply);
        if (ret_reply->answer != REGISTRY_AWAY) {
            registry->answered = index;
            buffer_reset(&registry->text);
            note(registry, registry->addresses[index], ret_reply->message);
            break;
        }
        note(registry, registry->addresses[index], ret_reply->message);
    }
    registry->last = ret_reply->answer;
    return ret_reply->answer;
}

/* ---- the calls ---- */

static void add_subject(struct registry *registry, struct buffer *path, const char *subject)
{
    char *escaped = curl_easy_escape(registry->curl, subject, 0);
    CHECK(escaped != NULL);
    buffer_add_text(path, escaped);
    curl_free(escaped);
}

/* {"schema": "..."}: the schema is JSON within a text. Without schemaType, which means Avro to all registries. */
static const struct buffer *schema_request(struct registry *registry, struct span avsc)
{
    buffer_reset(&registry->request);
    buffer_add_text(&registry->request, "{\"schema\":");
    json_add_text(&registry->request, avsc);
    buffer_add_text(&registry->request, "}");
    return &registry->request;
}

static enum registry_answer ask_version(struct registry *registry, const char *subject, int32_t version,
                                        const char *query, struct registry_reply *ret_reply)
{
    struct buffer path = {0};
    buffer_add_text(&path, "/subjects/");
    add_subject(registry, &path, subject);
    if (version == REGISTRY_LATEST)
        buffer_add_text(&path, "/versions/latest");
    else
        buffer_format(&path, "/versions/%d", (int)version);
    buffer_add_text(&path, query);
    enum registry_answer answer = ask(registry, REGISTRY_VERSION, path.data, NULL, ret_reply);
    buffer_release(&path);
    return answer;
}

/* ---- references ---- */

/* The schemas that one schema takes types from, each once: so those that refer to each other come to an end. */
struct linked {
    struct arena arena;
    struct registry_reference references[REFERENCES_MAX];
    struct span texts[REFERENCES_MAX];
    size_t count;
};

static bool linked_add(struct linked *linked, const struct registry_reply *reply)
{
    for (size_t i = 0; i < reply->reference_count; i++) {
        const struct registry_reference *reference = &reply->references[i];
        size_t known = 0;
        while (known < linked->count && !(linked->references[known].version == reference->version &&
                                          span_equal(linked->references[known].subject, reference->subject)))
            known++;
        if (known == REFERENCES_MAX)
            return false;
        if (known < linked->count)
            continue;
        linked->references[linked->count++] =
            (struct registry_reference){arena_copy(&linked->arena, reference->subject), reference->version};
    }
    return true;
}

static enum registry_answer refuse(struct registry *registry, const char *why)
{
    buffer_reset(&registry->text);
    buffer_format(&registry->text, "the schema registry %s: the schema %s", registry->addresses[registry->answered],
                  why);
    return registry->last = REGISTRY_REFUSED;
}

/* Each reference is read, and what it brings along joins the list. Also those that were deleted softly: who reads needs
 * them as long as there are bytes. */
static enum registry_answer linked_read(struct registry *registry, struct linked *linked, size_t index)
{
    const struct registry_reference *reference = &linked->references[index];
    struct registry_reply reply;
    enum registry_answer answer =
        ask_version(registry, reference->subject.data, reference->version, "?deleted=true", &reply);
    if (answer == REGISTRY_UNKNOWN) {
        struct buffer why = {0};
        buffer_format(&why, "refers to version %d of %.200s, which the registry does not know", (int)reference->version,
                      reference->subject.data);
        answer = refuse(registry, why.data);
        buffer_release(&why);
    }
    if (answer != REGISTRY_FOUND)
        return answer;
    linked->texts[index] = arena_copy(&linked->arena, reply.schema);
    return linked_add(linked, &reply) ? answer : refuse(registry, "refers to too many others");
}

/* The reply's schema, whole: with the types of those that it refers to written into it. */
static enum registry_answer add_schema(struct registry *registry, const struct registry_reply *reply,
                                       struct buffer *ret_avsc)
{
    enum registry_answer answer = REGISTRY_FOUND;
    if (reply->reference_count == 0) {
        buffer_add_span(ret_avsc, reply->schema);
        return answer;
    }
    struct linked linked = {.count = 0};
    struct buffer why = {0}, whole = {0};
    arena_init(&linked.arena, 0);
    struct span root = arena_copy(&linked.arena, reply->schema); /* the next answer takes its place */
    if (!linked_add(&linked, reply))
        answer = refuse(registry, "refers to too many others");
    for (size_t i = 0; i < linked.count && answer == REGISTRY_FOUND; i++)
        answer = linked_read(registry, &linked, i);
    if (answer == REGISTRY_FOUND && !schema_link(root, linked.texts, linked.count, &linked.arena, &whole, &why))
        answer = refuse(registry, why.data);
    if (answer == REGISTRY_FOUND)
        buffer_add_span(ret_avsc, buffer_span(&whole));
    buffer_release(&whole);
    buffer_release(&why);
    arena_release(&linked.arena);
    return answer;
}

enum registry_answer registry_schema(struct registry *registry, uint32_t id, struct buffer *ret_avsc)
{
    char path[48];
    struct registry_reply reply;
    snprintf(path, sizeof(path), "/schemas/ids/%u", (unsigned)id);
    enum registry_answer answer = ask(registry, REGISTRY_SCHEMA, path, NULL, &reply);
    return answer == REGISTRY_FOUND ? add_schema(registry, &reply, ret_avsc) : answer;
}

enum registry_answer registry_version(struct registry *registry, const char *subject, int32_t version,
                                      struct buffer *ret_avsc)
{
    struct registry_reply reply;
    enum registry_answer answer = ask_version(registry, subject, version, "", &reply);
    return answer == REGISTRY_FOUND ? add_schema(registry, &reply, ret_avsc) : answer;
}

static enum registry_answer post_schema(struct registry *registry, enum registry_request request, const char *before,
                                        const char *subject, const char *after, struct span avsc,
                                        struct registry_reply *ret_reply)
{
    struct buffer path = {0};
    buffer_add_text(&path, before);
    add_subject(registry, &path, subject);
    buffer_add_text(&path, after);
    enum registry_answer answer = ask(registry, request, path.data, schema_request(registry, avsc), ret_reply);
    buffer_release(&path);
    return answer;
}

enum registry_answer registry_register(struct registry *registry, const char *subject, struct span avsc,
                                       uint32_t *ret_id)
{
    struct registry_reply reply;
    enum registry_answer answer =
        post_schema(registry, REGISTRY_REGISTER, "/subjects/", subject, "/versions", avsc, &reply);
    if (answer == REGISTRY_FOUND)
        *ret_id = reply.id;
    return answer;
}

enum registry_answer registry_lookup(struct registry *registry, const char *subject, struct span avsc, uint32_t *ret_id)
{
    struct registry_reply reply;
    enum registry_answer answer = post_schema(registry, REGISTRY_VERSION, "/subjects/", subject, "", avsc, &reply);
    if (answer == REGISTRY_FOUND)
        *ret_id = reply.id;
    return answer;
}

enum registry_answer registry_compatible(struct registry *registry, const char *subject, struct span avsc,
                                         bool *ret_compatible)
{
    struct registry_reply reply;
    enum registry_answer answer = post_schema(registry, REGISTRY_COMPATIBILITY, "/compatibility/subjects/", subject,
                                              "/versions/latest?verbose=true", avsc, &reply);
    if (answer == REGISTRY_FOUND)
        *ret_compatible = reply.compatible;
    return answer;
}

const char *registry_text(const struct registry *registry)
{
    return registry->text.data != NULL ? registry->text.data : "";
}

bool registry_is_away(const struct registry *registry)
{
    return registry->last == REGISTRY_AWAY;
}

/* ---- life ---- */

static bool add_address(struct registry *registry, struct span word, struct buffer *error)
{
    while (word.size > 0 && word.data[word.size - 1] == '/')
        word.size--;
    bool http = word.size > 7 && memcmp(word.data, "http://", 7) == 0;
    bool https = word.size > 8 && memcmp(word.data, "https://", 8) == 0;
    if (!http && !https)
        buffer_format(error, "registry.url: \"%.*s\" is no http:// or https:// address", (int)word.size, word.data);
    else if (registry->address_count == REGISTRY_ADDRESSES_MAX)
        buffer_format(error, "registry.url: more than %d addresses", REGISTRY_ADDRESSES_MAX);
    else
        registry->addresses[registry->address_count++] = strndup(word.data, word.size);
    return error->size == 0;
}

struct registry *registry_open(const struct config *config, struct buffer *error)
{
    const char *words = config->registry_url;
    if (words[0] == '\0')
        return NULL;
    struct registry *registry = calloc(1, sizeof(*registry));
    CHECK(registry != NULL && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    registry->config = config;
    arena_init(&registry->arena, 0);
    registry->curl = curl_easy_init();
    CHECK(registry->curl != NULL);
    registry->headers = curl_slist_append(NULL, "Accept: application/vnd.schemaregistry.v1+json, application/json");
    registry->headers = curl_slist_append(registry->headers, "Content-Type: application/vnd.schemaregistry.v1+json");
    bool good = true;
    while (good && *(words += strspn(words, " ")) != '\0') {
        size_t size = strcspn(words, " ");
        good = add_address(registry, (struct span){words, size}, error);
        words += size;
    }
    if (good && registry->address_count > 0)
        return registry;
    if (good)
        buffer_add_text(error, "registry.url: no address");
    registry_close(registry);
    return NULL;
}

void registry_close(struct registry *registry)
{
    if (registry == NULL)
        return;
    for (size_t i = 0; i < registry->address_count; i++)
        free(registry->addresses[i]);
    curl_slist_free_all(registry->headers);
    curl_easy_cleanup(registry->curl);
    buffer_release(&registry->body);
    buffer_release(&registry->request);
    buffer_release(&registry->text);
    arena_release(&registry->arena);
    free(registry);
    curl_global_cleanup();
}
