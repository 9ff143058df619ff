#include "common/io/redis_connection.h"

#include "common/base/check.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum { REDIS_PORT = 6379 };

/* ---- outcomes ---- */

/* By the first word of an error reply. What is not here may pass: RECOVER. */
static const struct {
    const char *word;
    const char *explanation;
} stops[] = {
    {"NOAUTH", "a password is needed: set redis.password_file"},
    {"WRONGPASS", "the user or password is wrong"},
    {"NOPERM", "the user lacks a right"},
    {"MOVED", "this is a Redis Cluster, which this version does not follow"},
    {"CROSSSLOT", "this is a Redis Cluster, which this version does not follow"},
};

static enum world fail(struct redis_connection *connection, enum world world, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum world fail(struct redis_connection *connection, enum world world, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    buffer_reset(&connection->error);
    buffer_format(&connection->error, "Redis at %s: %s", connection->shown, text);
    if (connection->context)
        redisFree(connection->context);
    connection->context = NULL;
    return world;
}

static enum world fail_reply(struct redis_connection *connection, const char *text)
{
    for (size_t i = 0; i < COUNT_OF(stops); i++)
        if (strncmp(text, stops[i].word, strlen(stops[i].word)) == 0)
            return fail(connection, WORLD_STOP, "%s (%s)", stops[i].explanation, text);
    return fail(connection, WORLD_RECOVER, "%s", text);
}

/* ---- the address ---- */

static const char *keep(struct redis_connection *connection, const char *text, size_t size)
{
    return arena_copy(&connection->memory, (struct span){text, size}).data;
}

/* user:password@, user@ or :password@; returns what follows it. */
static const char *parse_credentials(struct redis_connection *connection, const char *text)
{
    const char *at = strrchr(text, '@');
    if (at == NULL)
        return text;
    const char *colon = memchr(text, ':', (size_t)(at - text));
    const char *end = colon ? colon : at;
    connection->address.user = keep(connection, text, (size_t)(end - text));
    if (colon)
        connection->address.password = keep(connection, colon + 1, (size_t)(at - colon - 1));
    return at + 1;
}

static bool parse_number(const char *text, const char *end, int max, int *ret_number)
{
    char *stop;
    long number = strtol(text, &stop, 10);
    if (stop != end || stop == text || number < 0 || number > max)
        return false;
    *ret_number = (int)number;
    return true;
}

/* host[:port][/database]; an IPv6 address stands in brackets. */
static bool parse_host(struct redis_connection *connection, const char *text)
{
    struct redis_address *address = &connection->address;
    const char *slash = strchr(text, '/');
    const char *end = slash ? slash : text + strlen(text);
    const char *bracket = text[0] == '[' ? memchr(text, ']', (size_t)(end - text)) : NULL;
    const char *from = bracket ? bracket : text;
    const char *colon = memchr(from, ':', (size_t)(end - from));
    const char *host_end = bracket ? bracket : colon ? colon : end;
    address->port = REDIS_PORT;
    address->host = keep(connection, text + (bracket != NULL), (size_t)(host_end - text - (bracket != NULL)));
    if (address->host[0] == '\0' || (colon && !parse_number(colon + 1, end, 65535, &address->port)))
        return false;
    return slash == NULL || slash[1] == '\0' ||
           parse_number(slash + 1, slash + strlen(slash), 1 << 20, &address->database);
}

static bool parse_url(struct redis_connection *connection, const char *url)
{
    struct redis_address *address = &connection->address;
    if (strncmp(url, "unix:", 5) == 0 && url[5]) {
        url += strncmp(url, "unix://", 7) == 0 ? 7 : 5;
        address->path = keep(connection, url, strlen(url));
        return true;
    }
    return strncmp(url, "redis://", 8) == 0 && parse_host(connection, parse_credentials(connection, url + 8));
}

const char *redis_url_shown(const char *url)
{
    const char *at = strrchr(url, '@');
    return at ? at + 1 : url;
}

bool redis_open(struct redis_connection *connection, const struct config *config, struct redis_script *scripts,
                size_t script_count)
{
    *connection = (struct redis_connection){.config = config, .scripts = scripts, .script_count = script_count};
    signal(SIGPIPE, SIG_IGN); /* hiredis writes without MSG_NOSIGNAL: a Redis that went away would end the process */
    arena_init(&connection->memory, 0);
    connection->shown = redis_url_shown(config->redis_url);
    connection->address.user = connection->address.password = "";
    if (strncmp(config->redis_url, "rediss://", 9) == 0) {
        fail(connection, WORLD_STOP, "TLS is not built in");
        return false;
    }
    if (!parse_url(connection, config->redis_url)) {
        fail(connection, WORLD_STOP, "expected redis://[user[:password]@]host[:port][/database] or unix:/path");
        return false;
    }
    if (config->redis_user[0])
        connection->address.user = config->redis_user;
    if (config->redis_password[0])
        connection->address.password = config->redis_password;
    return true;
}

void redis_close(struct redis_connection *connection)
{
    if (connection->context)
        redisFree(connection->context);
    connection->context = NULL;
    buffer_release(&connection->error);
    arena_release(&connection->memory);
}

/* ---- connecting ---- */

static struct timeval timeout_of(const struct config *config)
{
    return (struct timeval){config->redis_timeout_ms / 1000, config->redis_timeout_ms % 1000 * 1000};
}

/* One command while connecting; its reply's text in *ret_text, when asked for. */
static enum world greet(struct redis_connection *connection, const char **arguments, const size_t *sizes, int count,
                        char *ret_text, size_t capacity)
{
    redisReply *reply = redisCommandArgv(connection->context, count, arguments, sizes);
    if (reply == NULL)
        return fail(connection, WORLD_AGAIN, "%s", connection->context->errstr);
    enum world world = WORLD_DONE;
    if (reply->type == REDIS_REPLY_ERROR)
        world = fail_reply(connection, reply->str) == WORLD_STOP ? WORLD_STOP : WORLD_AGAIN;
    else if (ret_text)
        snprintf(ret_text, capacity, "%s", reply->str ? reply->str : "");
    freeReplyObject(reply);
    return world;
}

static enum world greet_texts(struct redis_connection *connection, const char **arguments, int count, char *ret_text,
                              size_t capacity)
{
    size_t sizes[4];
    CHECK(count <= (int)COUNT_OF(sizes));
    for (int i = 0; i < count; i++)
        sizes[i] = strlen(arguments[i]);
    return greet(connection, arguments, sizes, count, ret_text, capacity);
}

static enum world authenticate(struct redis_connection *connection)
{
    const struct redis_address *address = &connection->address;
    if (address->password[0] == '\0')
        return WORLD_DONE;
    if (address->user[0] == '\0')
        return greet_texts(connection, (const char *[]){"AUTH", address->password}, 2, NULL, 0);
    return greet_texts(connection, (const char *[]){"AUTH", address->user, address->password}, 3, NULL, 0);
}

static enum world select_database(struct redis_connection *connection)
{
    if (connection->address.database == 0)
        return WORLD_DONE;
    char number[16];
    snprintf(number, sizeof(number), "%d", connection->address.database);
    return greet_texts(connection, (const char *[]){"SELECT", number}, 2, NULL, 0);
}

static enum world load_scripts(struct redis_connection *connection)
{
    enum world world = WORLD_DONE;
    for (size_t i = 0; i < connection->script_count && world == WORLD_DONE; i++) {
        struct redis_script *script = &connection->scripts[i];
        world = greet_texts(connection, (const char *[]){"SCRIPT", "LOAD", script->text}, 3, script->sha,
                            sizeof(script->sha));
    }
    return world;
}

static enum world connect_now(struct redis_connection *connection)
{
    const struct redis_address *address = &connection->address;
    struct timeval timeout = timeout_of(connection->config);
    connection->context = address->host ? redisConnectWithTimeout(address->host, address->port, timeout)
                                        : redisConnectUnixWithTimeout(address->path, timeout);
    CHECK(connection->context);
    if (connection->context->err)
        return fail(connection, WORLD_AGAIN, "%s", connection->context->errstr);
    redisSetTimeout(connection->context, timeout);
    if (address->host)
        redisEnableKeepAlive(connection->context); /* on a unix socket it would fail and break the context */
    connection->context->reader->maxbuf = 0; /* keep the read buffer between replies: a fifth of the cost otherwise */
    enum world world = authenticate(connection);
    if (world == WORLD_DONE)
        world = select_database(connection);
    return world == WORLD_DONE ? load_scripts(connection) : world;
}

/* ---- calls ---- */

void redis_call_init(struct redis_call *call, struct arena *arena, int capacity, struct redis_script *script)
{
    int head = script ? 2 : 0; /* EVALSHA and the hash */
    *call = (struct redis_call){.count = head, .capacity = capacity + head, .script = script};
    call->arguments = ARENA_ARRAY(arena, const char *, (size_t)call->capacity);
    call->sizes = ARENA_ARRAY(arena, size_t, (size_t)call->capacity);
}

void redis_call_add(struct redis_call *call, struct span argument)
{
    CHECK(call->count < call->capacity);
    call->arguments[call->count] = argument.data ? argument.data : "";
    call->sizes[call->count++] = argument.size;
}

void redis_call_add_text(struct redis_call *call, const char *argument)
{
    redis_call_add(call, span_of(argument));
}

void redis_call_add_integer(struct redis_call *call, struct arena *arena, int64_t argument)
{
    char text[24];
    int size = snprintf(text, sizeof(text), "%lld", (long long)argument);
    redis_call_add(call, arena_copy(arena, (struct span){text, (size_t)size}));
}

static void append(struct redis_connection *connection, struct redis_call *call)
{
    if (call->script) {
        call->arguments[0] = "EVALSHA";
        call->sizes[0] = 7;
        call->arguments[1] = call->script->sha;
        call->sizes[1] = strlen(call->script->sha);
    }
    CHECK(redisAppendCommandArgv(connection->context, call->count, call->arguments, call->sizes) == REDIS_OK);
}

static bool forgotten(const redisReply *reply)
{
    return reply && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOSCRIPT", 8) == 0;
}

/* Sends and reads the calls that have no reply yet. */
static enum world run_pending(struct redis_connection *connection, struct redis_call *calls, size_t count)
{
    bool *sent = calloc(count + 1, sizeof(*sent));
    CHECK(sent);
    for (size_t i = 0; i < count; i++)
        if ((sent[i] = calls[i].reply == NULL))
            append(connection, &calls[i]);
    bool good = true;
    for (size_t i = 0; i < count && good; i++)
        good = !sent[i] || redisGetReply(connection->context, (void **)&calls[i].reply) == REDIS_OK;
    free(sent);
    return good ? WORLD_DONE : fail(connection, WORLD_RECOVER, "%s", connection->context->errstr);
}

/* A server that was restarted or flushed knows no script: those calls did not run, so they may be sent again. */
static enum world rerun_forgotten(struct redis_connection *connection, struct redis_call *calls, size_t count)
{
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        if (!forgotten(calls[i].reply))
            continue;
        freeReplyObject(calls[i].reply);
        calls[i].reply = NULL;
        any = true;
    }
    if (!any)
        return WORLD_DONE;
    if (load_scripts(connection) != WORLD_DONE)
        return WORLD_RECOVER; /* some calls of the pipeline may have run */
    return run_pending(connection, calls, count);
}

enum world redis_run(struct redis_connection *connection, struct redis_call *calls, size_t count)
{
    buffer_reset(&connection->error);
    enum world world = connection->context ? WORLD_DONE : connect_now(connection);
    if (world == WORLD_DONE)
        world = run_pending(connection, calls, count);
    if (world == WORLD_DONE)
        world = rerun_forgotten(connection, calls, count);
    for (size_t i = 0; i < count && world == WORLD_DONE; i++)
        if (calls[i].reply->type == REDIS_REPLY_ERROR)
            world = fail_reply(connection, calls[i].reply->str);
    return world;
}

void redis_calls_release(struct redis_call *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (calls[i].reply)
            freeReplyObject(calls[i].reply);
        calls[i].reply = NULL;
    }
}
