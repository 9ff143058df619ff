/* What a registry's answers mean, and the client against a small HTTP server of this process. */
#include "common/base/check.h"
#include "common/codec/registry_reply.h"
#include "common/io/registry.h"
#include "common/io/schema_catalog.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- answers ---- */

#define RECORD                                                                                                         \
    "{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"O\\\",\\\"fields\\\":[{\\\"name\\\":\\\"order_id\\\",\\\"type\\\":" \
    "\\\"string\\\"}]}"

static void answers_mean_what_they_say(void **state)
{
    static const struct {
        enum registry_request request;
        long status;
        const char *body;
        enum registry_answer answer;
        const char *message;
    } rows[] = {
        {REGISTRY_SCHEMA, 200, "{\"schema\":\"{}\"}", REGISTRY_FOUND, ""},
        {REGISTRY_SCHEMA, 200, "{\"schema\":\"{}\",\"schemaType\":\"AVRO\",\"references\":[]}", REGISTRY_FOUND, ""},
        {REGISTRY_SCHEMA, 200, "{\"schema\":\"x\",\"schemaType\":\"PROTOBUF\"}", REGISTRY_REFUSED,
         "the schema is not Avro but PROTOBUF"},
        {REGISTRY_SCHEMA, 200, "{\"schema\":\"{}\",\"references\":[{\"name\":\"O\"}]}", REGISTRY_AWAY,
         "answers as no schema registry does"},
        {REGISTRY_SCHEMA, 200, "{\"schema\":\"{}\",\"references\":[{\"subject\":\"O\",\"version\":1}]}", REGISTRY_FOUND,
         ""},
        {REGISTRY_SCHEMA, 404, "{\"error_code\":40403,\"message\":\"No content\"}", REGISTRY_UNKNOWN, "No content"},
        {REGISTRY_SCHEMA, 404, "{\"error_code\":404,\"message\":\"HTTP 404\"}", REGISTRY_AWAY,
         "answers with HTTP status 404: HTTP 404"},
        {REGISTRY_SCHEMA, 404, "<html>", REGISTRY_AWAY, "answers with HTTP status 404"},
        {REGISTRY_SCHEMA, 200, "<html>", REGISTRY_AWAY, "answers as no schema registry does"},
        {REGISTRY_SCHEMA, 200, "{\"schema\":\"{", REGISTRY_AWAY, "answers as no schema registry does"},
        {REGISTRY_SCHEMA, 200, "[]", REGISTRY_AWAY, "answers as no schema registry does"},
        {REGISTRY_SCHEMA, 401, "{\"error_code\":401,\"message\":\"Unauthorized\"}", REGISTRY_AWAY,
         "answers with HTTP status 401: Unauthorized"},
        {REGISTRY_SCHEMA, 500, "{\"error_code\":50001,\"message\":\"store\"}", REGISTRY_AWAY,
         "answers with HTTP status 500: store"},
        {REGISTRY_SCHEMA, 503, "", REGISTRY_AWAY, "answers with HTTP status 503"},
        {REGISTRY_SCHEMA, 429, "{}", REGISTRY_AWAY, "answers with HTTP status 429"},
        {REGISTRY_VERSION, 404, "{\"error_code\":40401,\"message\":\"no subject\"}", REGISTRY_UNKNOWN, "no subject"},
        {REGISTRY_VERSION, 404, "{\"error_code\":40402,\"message\":\"no version\"}", REGISTRY_UNKNOWN, "no version"},
        {REGISTRY_VERSION, 200, "{\"id\":7,\"version\":2,\"schema\":\"{}\"}", REGISTRY_FOUND, ""},
        {REGISTRY_VERSION, 200, "{\"id\":7,\"schema\":\"{}\"}", REGISTRY_AWAY, "answers as no schema registry does"},
        {REGISTRY_REGISTER, 200, "{\"id\":7}", REGISTRY_FOUND, ""},
        {REGISTRY_REGISTER, 200, "{\"id\":-7}", REGISTRY_AWAY, "answers as no schema registry does"},
        {REGISTRY_REGISTER, 200, "{\"id\":4294967296}", REGISTRY_AWAY, "answers as no schema registry does"},
        {REGISTRY_REGISTER, 409, "{\"error_code\":409,\"message\":\"incompatible\"}", REGISTRY_REFUSED, "incompatible"},
        {REGISTRY_REGISTER, 409, "busy", REGISTRY_AWAY, "answers with HTTP status 409"},
        {REGISTRY_REGISTER, 422, "{\"error_code\":42201,\"message\":\"no schema\"}", REGISTRY_REFUSED, "no schema"},
        {REGISTRY_COMPATIBILITY, 200, "{\"is_compatible\":true}", REGISTRY_FOUND, ""},
        {REGISTRY_COMPATIBILITY, 200, "{\"is_compatible\":false,\"messages\":[\"m\"]}", REGISTRY_FOUND, "m"},
        {REGISTRY_COMPATIBILITY, 200, "{\"is_compatible\":1}", REGISTRY_AWAY, "answers as no schema registry does"},
    };
    struct arena arena;
    (void)state;
    arena_init(&arena, 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct registry_reply reply;
        registry_reply_read(rows[i].request, rows[i].status, span_of(rows[i].body), &arena, &reply);
        char text[400];
        snprintf(text, sizeof(text), "%.*s", (int)reply.message.size, reply.message.data);
        if (reply.answer != rows[i].answer || strcmp(text, rows[i].message) != 0)
            fail_msg("%ld %s: %d \"%s\"", rows[i].status, rows[i].body, (int)reply.answer, text);
    }
    arena_release(&arena);
}

/* ---- a server ---- */

struct route {
    const char *path;
    const char *body; /* NULL: the version is unknown */
};

struct server {
    struct MHD_Daemon *daemon;
    unsigned status; /* of every answer */
    const char *body;
    const struct route *routes; /* what they have not, status and body answer; the last has no path */
    unsigned requests;
    char authorization[200], path[200], posted[400];
    unsigned hang_ms;
};

#if MHD_VERSION >= 0x00097002
typedef enum MHD_Result mhd_result;
#else
typedef int mhd_result;
#endif

static mhd_result serve(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                        const char *version, const char *upload, size_t *upload_size, void **request)
{
    struct server *server = context;
    static int begun;
    (void)method, (void)version;
    if (*request == NULL) {
        *request = &begun;
        server->posted[0] = '\0';
        return MHD_YES;
    }
    if (*upload_size > 0) {
        strncat(server->posted, upload, *upload_size < 300 ? *upload_size : 300);
        *upload_size = 0;
        return MHD_YES;
    }
    const char *authorization = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
    snprintf(server->authorization, sizeof(server->authorization), "%s", authorization ? authorization : "none");
    snprintf(server->path, sizeof(server->path), "%s", url);
    server->requests++;
    for (unsigned waited = 0; waited < server->hang_ms; waited += 10) /* hangs, but not beyond the test's end */
        nanosleep(&(struct timespec){0, 10 * 1000000}, NULL);
    const struct route *route = server->routes;
    while (route && route->path && strcmp(route->path, url) != 0)
        route++;
    bool routed = route && route->path;
    const char *body = routed ? route->body : server->body;
    unsigned status = routed ? body ? 200 : 404 : server->status;
    body = body ? body : "{\"error_code\":40402,\"message\":\"no version\"}";
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(body), (void *)(uintptr_t)body, MHD_RESPMEM_PERSISTENT);
    mhd_result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* On a free port of loopback; *ret_url is its address. */
static void server_start(struct server *server, char ret_url[64])
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    server->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, serve, server,
                                      MHD_OPTION_SOCK_ADDR, &any, MHD_OPTION_END);
    assert_non_null(server->daemon);
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_LISTEN_FD);
    struct sockaddr_in bound;
    socklen_t size = sizeof(bound);
    assert_int_equal(getsockname(info->listen_fd, (struct sockaddr *)&bound, &size), 0);
    snprintf(ret_url, 64, "http://127.0.0.1:%d", ntohs(bound.sin_port));
}

static struct config config_of(const char *url)
{
    return (struct config){.registry_url = url,
                           .registry_user = "",
                           .registry_password = "",
                           .registry_token = "",
                           .registry_ca = "",
                           .registry_timeout_ms = 10000};
}

static struct registry *open_at(const struct config *config)
{
    struct buffer error = {0};
    struct registry *registry = registry_open(config, &error);
    assert_non_null(registry);
    buffer_release(&error);
    return registry;
}

/* ---- the client ---- */

static void the_next_address_is_asked(void **state)
{
    struct server away = {.status = 503, .body = "no"}, good = {.status = 200, .body = "{\"schema\":\"{}\"}"};
    char away_url[64], good_url[64], both[160];
    (void)state;
    server_start(&away, away_url);
    server_start(&good, good_url);
    snprintf(both, sizeof(both), "http://127.0.0.1:1 %s/ %s//", away_url, good_url);
    struct config config = config_of(both);
    struct registry *registry = open_at(&config);
    struct buffer avsc = {0};
    assert_int_equal(registry_schema(registry, 5, &avsc), REGISTRY_FOUND);
    assert_string_equal(avsc.data, "{}");
    assert_string_equal(registry_text(registry), "");
    assert_string_equal(good.path, "/schemas/ids/5");
    assert_int_equal(registry_schema(registry, 6, &avsc), REGISTRY_FOUND);
    assert_int_equal(away.requests, 1); /* who answered is asked first */
    good.status = 500;
    good.body = "{\"error_code\":50001,\"message\":\"store\"}";
    assert_int_equal(registry_schema(registry, 7, &avsc), REGISTRY_AWAY);
    assert_true(registry_is_away(registry));
    char expected[400];
    snprintf(expected, sizeof(expected),
             "the schema registry %s: answers with HTTP status 500: store; the schema registry http://127.0.0.1:1: "
             "Couldn't connect to server; the schema registry %s: answers with HTTP status 503",
             good_url, away_url);
    assert_string_equal(registry_text(registry), expected);
    buffer_release(&avsc);
    registry_close(registry);
    MHD_stop_daemon(away.daemon);
    MHD_stop_daemon(good.daemon);
}

static void a_server_that_hangs_is_away(void **state)
{
    struct server slow = {.status = 200, .body = "{\"schema\":\"{}\"}", .hang_ms = 1500};
    char url[64];
    (void)state;
    server_start(&slow, url);
    struct config config = config_of(url);
    config.registry_timeout_ms = 50;
    struct registry *registry = open_at(&config);
    struct buffer avsc = {0};
    assert_int_equal(registry_schema(registry, 5, &avsc), REGISTRY_AWAY);
    assert_non_null(strstr(registry_text(registry), "Timeout was reached"));
    buffer_release(&avsc);
    registry_close(registry);
    MHD_stop_daemon(slow.daemon);
}

static void secrets_are_sent_and_never_shown(void **state)
{
    struct server server = {.status = 401, .body = "{\"error_code\":401,\"message\":\"no\"}"};
    char url[64];
    (void)state;
    server_start(&server, url);
    struct config config = config_of(url);
    struct buffer avsc = {0};
    struct registry *registry = open_at(&config);
    assert_int_equal(registry_schema(registry, 1, &avsc), REGISTRY_AWAY);
    assert_string_equal(server.authorization, "none");
    registry_close(registry);
    config.registry_user = "me";
    config.registry_password = "secret";
    registry = open_at(&config);
    assert_int_equal(registry_schema(registry, 1, &avsc), REGISTRY_AWAY);
    assert_string_equal(server.authorization, "Basic bWU6c2VjcmV0");
    assert_null(strstr(registry_text(registry), "secret"));
    registry_close(registry);
    config.registry_user = "";
    config.registry_token = "abc.def";
    registry = open_at(&config);
    assert_int_equal(registry_schema(registry, 1, &avsc), REGISTRY_AWAY);
    assert_string_equal(server.authorization, "Bearer abc.def");
    assert_null(strstr(registry_text(registry), "abc"));
    registry_close(registry);
    buffer_release(&avsc);
    MHD_stop_daemon(server.daemon);
}

static void subjects_are_registered_and_asked(void **state)
{
    struct server server = {.status = 200, .body = "{\"id\":12,\"version\":3,\"schema\":\"{}\"}"};
    char url[64];
    uint32_t id = 0;
    bool compatible = true;
    struct buffer avsc = {0};
    (void)state;
    server_start(&server, url);
    struct config config = config_of(url);
    struct registry *registry = open_at(&config);
    assert_int_equal(registry_register(registry, "a/b-value", SPAN("{\"x\": 1}"), &id), REGISTRY_FOUND);
    assert_int_equal(id, 12);
    assert_string_equal(server.posted, "{\"schema\":\"{\\\"x\\\": 1}\"}");
    assert_string_equal(server.path, "/subjects/a/b-value/versions"); /* as the server unescapes %2F */
    assert_int_equal(registry_lookup(registry, "s", SPAN("{}"), &id), REGISTRY_FOUND);
    assert_string_equal(server.path, "/subjects/s");
    assert_int_equal(registry_version(registry, "s", REGISTRY_LATEST, &avsc), REGISTRY_FOUND);
    assert_string_equal(server.path, "/subjects/s/versions/latest");
    assert_int_equal(registry_version(registry, "s", 4, &avsc), REGISTRY_FOUND);
    assert_string_equal(server.path, "/subjects/s/versions/4");
    server.body = "{\"is_compatible\":false,\"messages\":[\"field x\"]}";
    assert_int_equal(registry_compatible(registry, "s", SPAN("{}"), &compatible), REGISTRY_FOUND);
    assert_false(compatible);
    assert_non_null(strstr(registry_text(registry), "field x"));
    buffer_release(&avsc);
    registry_close(registry);
    MHD_stop_daemon(server.daemon);
}

/* ---- references ---- */

#define SCHEMA(text, references) "{\"schema\":\"" text "\",\"id\":1,\"version\":1,\"references\":[" references "]}"
#define REFERS(subject, version) "{\"name\":\"x\",\"subject\":\"" subject "\",\"version\":" version "}"
#define TYPE(name, type)                                                                                               \
    "{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"" name "\\\",\\\"fields\\\":[{\\\"name\\\":\\\"f\\\","              \
    "\\\"type\\\":" type "}]}"

static void references_are_read_and_end(void **state)
{
    static const struct route routes[] = {
        {"/schemas/ids/1", SCHEMA(TYPE("A", "\\\"B\\\""), REFERS("b", "3"))},
        {"/subjects/b/versions/3", SCHEMA(TYPE("B", "\\\"C\\\""), REFERS("c", "-1") "," REFERS("a", "1"))},
        {"/subjects/c/versions/latest", SCHEMA(TYPE("C", "\\\"int\\\""), REFERS("b", "3"))}, /* in a circle */
        {"/subjects/a/versions/1", SCHEMA(TYPE("A", "\\\"B\\\""), REFERS("b", "3"))},
        {"/schemas/ids/2", SCHEMA(TYPE("A", "\\\"B\\\""), REFERS("gone", "7"))},
        {"/subjects/gone/versions/7", NULL},
        {"/schemas/ids/3", SCHEMA(TYPE("D", "\\\"Z\\\""), REFERS("b", "3"))},
        {"/schemas/ids/4", SCHEMA(TYPE("A", "\\\"B\\\""), REFERS("away", "1"))},
        {NULL, NULL},
    };
    static const char *const refused[] = {
        [2] = "refers to version 7 of gone, which the registry does not know",
        [3] = "names a type that neither it nor what it refers to defines: Z",
    };
    struct server server = {.status = 503, .body = "", .routes = routes};
    struct buffer avsc = {0};
    char url[64], expected[300];
    (void)state;
    server_start(&server, url);
    struct config config = config_of(url);
    struct registry *registry = open_at(&config);
    assert_int_equal(registry_schema(registry, 1, &avsc), REGISTRY_FOUND);
    assert_string_equal(
        avsc.data, "{\"type\":\"record\",\"name\":\"t1\",\"fields\":[{\"name\":\"f\",\"type\":{\"type\":\"record\","
                   "\"name\":\"t2\",\"fields\":[{\"name\":\"f\",\"type\":{\"type\":\"record\",\"name\":\"t3\","
                   "\"fields\":[{\"name\":\"f\",\"type\":\"int\"}]}}]}}]}");
    assert_int_equal(server.requests, 4);
    buffer_reset(&avsc);
    for (uint32_t id = 2; id < COUNT_OF(refused); id++) {
        assert_int_equal(registry_schema(registry, id, &avsc), REGISTRY_REFUSED);
        snprintf(expected, sizeof(expected), "the schema registry %s: the schema %s", url, refused[id]);
        assert_string_equal(registry_text(registry), expected);
    }
    assert_int_equal(registry_schema(registry, 4, &avsc),
                     REGISTRY_AWAY); /* half a schema is none, and no dead letter */
    assert_int_equal(avsc.size, 0);
    buffer_release(&avsc);
    registry_close(registry);
    MHD_stop_daemon(server.daemon);
}

/* Each refers to the next, for ever. */
static void references_without_end_are_refused(void **state)
{
    static char bodies[70][200], paths[70][40];
    static struct route routes[71];
    struct server server = {.status = 503, .body = "", .routes = routes};
    struct buffer avsc = {0};
    char url[64];
    (void)state;
    for (int i = 0; i < 70; i++) {
        snprintf(paths[i], sizeof(paths[i]), i ? "/subjects/s/versions/%d" : "/schemas/ids/%d", i ? i : 9);
        snprintf(bodies[i], sizeof(bodies[i]), SCHEMA(TYPE("A%d", "\\\"A%d\\\""), REFERS("s", "%d")), i, i + 1, i + 1);
        routes[i] = (struct route){paths[i], bodies[i]};
    }
    server_start(&server, url);
    struct config config = config_of(url);
    struct registry *registry = open_at(&config);
    assert_int_equal(registry_schema(registry, 9, &avsc), REGISTRY_REFUSED);
    assert_non_null(strstr(registry_text(registry), "refers to too many others"));
    assert_int_equal(server.requests, 65);
    buffer_release(&avsc);
    registry_close(registry);
    MHD_stop_daemon(server.daemon);
}

static void addresses_are_checked(void **state)
{
    static const struct {
        const char *url, *error;
    } rows[] = {
        {"ftp://x", "registry.url: \"ftp://x\" is no http:// or https:// address"},
        {"http://", "registry.url: \"http:\" is no http:// or https:// address"},
        {" ", "registry.url: no address"},
        {"http://1 http://2 http://3 http://4 http://5 http://6 http://7 http://8 http://9",
         "registry.url: more than 8 addresses"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buffer error = {0};
        struct config config = config_of(rows[i].url);
        assert_null(registry_open(&config, &error));
        assert_string_equal(error.data, rows[i].error);
        buffer_release(&error);
    }
}

/* ---- the catalog ---- */

/* The budget of a batch's questions is a matter of time, and a machine may be slow: a second batch then. */
static void need_done(struct schema_catalog *catalog, uint32_t id, struct span *ret_why)
{
    enum world outcome = schema_catalog_need(catalog, id, ret_why);
    if (outcome == WORLD_AGAIN)
        outcome = schema_catalog_need(catalog, id, ret_why);
    assert_int_equal(outcome, WORLD_DONE);
}

static void an_id_is_asked_for_once(void **state)
{
    struct server server = {.status = 200, .body = "{\"schema\":\"" RECORD "\"}"};
    char url[64];
    struct span why;
    (void)state;
    server_start(&server, url);
    struct config config = config_of(url);
    struct registry *registry = open_at(&config);
    struct schema_set *set = schema_set_new();
    struct schema_catalog *catalog = schema_catalog_new(registry, set);
    for (int i = 0; i < 3; i++)
        need_done(catalog, 101, &why);
    assert_true(schema_set_has(set, 101) && span_empty(why));
    assert_int_equal(server.requests, 1);

    server.status = 404;
    server.body = "{\"error_code\":40403,\"message\":\"no such id\"}";
    for (uint32_t id = 40; id > 0; id--)
        need_done(catalog, id % 4 + 1, &why);
    assert_non_null(strstr(why.data, "no such id"));
    assert_int_equal(server.requests, 5);
    schema_catalog_expire(catalog); /* too soon to forget */
    need_done(catalog, 2, &why);
    assert_int_equal(server.requests, 5);

    server.status = 200;
    server.body = "{\"schema\":\"\\\"string\\\"\"}";
    need_done(catalog, 9, &why);
    assert_string_equal(why.data, "schema 9 of the registry: the schema is not of a record");

    server.status = 503;
    schema_catalog_expire(catalog); /* another batch */
    for (int i = 0; i < 2; i++)
        assert_int_equal(schema_catalog_need(catalog, 10, &why), WORLD_AGAIN);
    assert_non_null(strstr(schema_catalog_trouble(catalog), "HTTP status 503"));
    assert_int_equal(server.requests, 8);
    need_done(catalog, 101, &why); /* what is known needs nobody */

    schema_catalog_free(catalog);
    schema_set_free(set);
    registry_close(registry);
    MHD_stop_daemon(server.daemon);
}

int main(void)
{
    setenv("no_proxy", "127.0.0.1", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_mean_what_they_say),
        cmocka_unit_test(the_next_address_is_asked),
        cmocka_unit_test(a_server_that_hangs_is_away),
        cmocka_unit_test(secrets_are_sent_and_never_shown),
        cmocka_unit_test(subjects_are_registered_and_asked),
        cmocka_unit_test(addresses_are_checked),
        cmocka_unit_test(an_id_is_asked_for_once),
        cmocka_unit_test(references_are_read_and_end),
        cmocka_unit_test(references_without_end_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
