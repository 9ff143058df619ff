#include "common/io/redis_connection.h"

#include "common/base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

/* ---- outcomes ---- */

/* By the first word of an error reply. What is not here may pass: RECOVER. */
static const struct {
    const char *word;
    enum world world;
    const char *explanation;
} errors[] = {
    {"NOAUTH", WORLD_STOP, "a password is needed: set redis.password_file"},
    {"WRONGPASS", WORLD_STOP, "the user or password is wrong"},
    {"NOPERM", WORLD_STOP, "the user lacks a right"},
    {"ERR ACL failure in script", WORLD_STOP, "the user lacks a right"}, /* the same in a script, by version */
    {"ERR The user executing the script can't", WORLD_STOP,
     "the user lacks a right that a script needs, ACL LOG names it"},
    {"MOVED", WORLD_STOP, "this is a Redis Cluster: write redis-cluster:// in redis.url"},
    {"CROSSSLOT", WORLD_STOP, "two shards met in one command"},
    {"READONLY", WORLD_RECOVER, "it is a replica"},
    {"CLUSTERDOWN", WORLD_RECOVER, "the cluster does not serve this slot now"},
    {"TRYAGAIN", WORLD_RECOVER, "the slot is on its way to another server"},
    {"LOADING", WORLD_RECOVER, "it is still starting"},
};

enum world redis_fail(struct redis_connection *connection, enum world world, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    buffer_reset(connection->error);
    buffer_format(connection->error, "Redis at %s: %s", connection->shown, text);
    redis_disconnect(connection);
    return world;
}

enum world redis_fail_reply(struct redis_connection *connection, const char *text)
{
    for (size_t i = 0; i < COUNT_OF(errors); i++)
        if (strncmp(text, errors[i].word, strlen(errors[i].word)) == 0)
            return redis_fail(connection, errors[i].world, "%s (%s)", errors[i].explanation, text);
    return redis_fail(connection, WORLD_RECOVER, "%s", text);
}

/* ---- connecting ---- */

/* One command while connecting; nothing of a pipeline has run yet, so what may pass is AGAIN. */
static enum world greet(struct redis_connection *connection, const char **arguments, int count, redisReply **ret_reply)
{
    size_t sizes[4];
    CHECK(count <= (int)COUNT_OF(sizes));
    for (int i = 0; i < count; i++)
        sizes[i] = strlen(arguments[i]);
    redisReply *reply = redisCommandArgv(connection->context, count, arguments, sizes);
    if (reply == NULL)
        return redis_fail(connection, WORLD_AGAIN, "%s", connection->context->errstr);
    if (reply->type != REDIS_REPLY_ERROR) {
        *ret_reply = reply;
        return WORLD_DONE;
    }
    enum world world = redis_fail_reply(connection, reply->str) == WORLD_STOP ? WORLD_STOP : WORLD_AGAIN;
    freeReplyObject(reply);
    return world;
}

static enum world greet_only(struct redis_connection *connection, const char **arguments, int count)
{
    redisReply *reply = NULL;
    enum world world = greet(connection, arguments, count, &reply);
    if (world == WORLD_DONE)
        freeReplyObject(reply);
    return world;
}

static enum world authenticate(struct redis_connection *connection)
{
    const struct redis_entry *entry = connection->entry;
    if (entry->password[0] == '\0')
        return WORLD_DONE;
    if (entry->user[0] == '\0')
        return greet_only(connection, (const char *[]){"AUTH", entry->password}, 2);
    return greet_only(connection, (const char *[]){"AUTH", entry->user, entry->password}, 3);
}

static enum world select_database(struct redis_connection *connection)
{
    if (connection->entry->database == 0)
        return WORLD_DONE;
    char number[16];
    snprintf(number, sizeof(number), "%d", connection->entry->database);
    return greet_only(connection, (const char *[]){"SELECT", number}, 2);
}

enum world redis_load_scripts(struct redis_connection *connection)
{
    enum world world = WORLD_DONE;
    for (size_t i = 0; i < connection->entry->script_count && world == WORLD_DONE; i++) {
        struct redis_script *script = &connection->entry->scripts[i];
        redisReply *reply = NULL;
        world = greet(connection, (const char *[]){"SCRIPT", "LOAD", script->text}, 3, &reply);
        if (world != WORLD_DONE)
            break;
        snprintf(script->sha, sizeof(script->sha), "%s", reply->str ? reply->str : "");
        freeReplyObject(reply);
    }
    return world;
}

/* A sentinel's word may be older than the failover, and a master that comes back is one until it is told otherwise. */
static enum world check_role(struct redis_connection *connection)
{
    redisReply *reply = NULL;
    if (!connection->entry->must_be_master)
        return WORLD_DONE;
    enum world world = greet(connection, (const char *[]){"ROLE"}, 1, &reply);
    if (world != WORLD_DONE)
        return world;
    bool master = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
                  reply->element[0]->type == REDIS_REPLY_STRING && strcmp(reply->element[0]->str, "master") == 0;
    freeReplyObject(reply);
    return master ? WORLD_DONE : redis_fail(connection, WORLD_AGAIN, "it is not a master now");
}

static enum world begin_tls(struct redis_connection *connection)
{
    struct buffer why = {0};
    bool refused = false;
    enum world world = WORLD_DONE;
    if (connection->entry->tls &&
        !redis_tls_begin(connection->entry->tls, connection->context, connection->server.host, &why, &refused))
        world = redis_fail(connection, refused ? WORLD_STOP : WORLD_AGAIN, "%s", why.data ? why.data : "no TLS");
    buffer_release(&why);
    return world;
}

enum world redis_connect(struct redis_connection *connection)
{
    const struct redis_server *server = &connection->server;
    const int64_t ms = connection->entry->timeout_ms;
    struct timeval timeout = {ms / 1000, ms % 1000 * 1000};
    if (connection->context)
        return WORLD_DONE;
    connection->context = server->host ? redisConnectWithTimeout(server->host, server->port, timeout)
                                       : redisConnectUnixWithTimeout(server->path, timeout);
    CHECK(connection->context);
    if (connection->context->err)
        return redis_fail(connection, WORLD_AGAIN, "%s", connection->context->errstr);
    redisSetTimeout(connection->context, timeout);
    if (server->host)
        redisEnableKeepAlive(connection->context); /* on a unix socket it would fail and break the context */
    connection->context->reader->maxbuf = 0; /* keep the read buffer between replies: a fifth of the cost otherwise */
    enum world (*const steps[])(struct redis_connection *) = {begin_tls, authenticate, select_database, check_role,
                                                              redis_load_scripts};
    enum world world = WORLD_DONE;
    for (size_t i = 0; i < COUNT_OF(steps) && world == WORLD_DONE; i++)
        world = steps[i](connection);
    return world;
}

void redis_disconnect(struct redis_connection *connection)
{
    if (connection->context)
        redisFree(connection->context);
    connection->context = NULL;
}

enum world redis_ask(struct redis_connection *connection, const char **arguments, int count, redisReply **ret_reply)
{
    enum world world = redis_connect(connection);
    return world == WORLD_DONE ? greet(connection, arguments, count, ret_reply) : world;
}

/* ---- calls ---- */

void redis_call_init(struct redis_call *call, struct arena *arena, int capacity, struct redis_script *script)
{
    int head = script ? 2 : 0; /* EVALSHA and the hash */
    *call = (struct redis_call){.count = head, .capacity = capacity + head, .script = script, .slot = -1};
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

void redis_calls_release(struct redis_call *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (calls[i].reply)
            freeReplyObject(calls[i].reply);
        calls[i].reply = NULL;
    }
}

static void append(struct redis_connection *connection, struct redis_call *call)
{
    if (call->asking)
        CHECK(redisAppendCommand(connection->context, "ASKING") == REDIS_OK);
    if (call->script) {
        call->arguments[0] = "EVALSHA";
        call->sizes[0] = 7;
        call->arguments[1] = call->script->sha;
        call->sizes[1] = strlen(call->script->sha);
    }
    CHECK(redisAppendCommandArgv(connection->context, call->count, call->arguments, call->sizes) == REDIS_OK);
}

static bool concerns(const struct redis_call *call, int node)
{
    return call->reply == NULL && call->node == node;
}

enum world redis_send(struct redis_connection *connection, struct redis_call *calls, size_t count, int node)
{
    for (size_t i = 0; i < count; i++)
        if (concerns(&calls[i], node))
            append(connection, &calls[i]);
    for (int written = 0; !written;)
        if (redisBufferWrite(connection->context, &written) != REDIS_OK)
            return redis_fail(connection, WORLD_RECOVER, "%s", connection->context->errstr);
    return WORLD_DONE;
}

static bool receive(struct redis_connection *connection, struct redis_call *call)
{
    redisReply *asked = NULL;
    bool good = !call->asking || redisGetReply(connection->context, (void **)&asked) == REDIS_OK;
    if (asked)
        freeReplyObject(asked); /* an error shows in the reply that follows */
    return good && redisGetReply(connection->context, (void **)&call->reply) == REDIS_OK;
}

enum world redis_receive(struct redis_connection *connection, struct redis_call *calls, size_t count, int node)
{
    for (size_t i = 0; i < count; i++)
        if (concerns(&calls[i], node) && !receive(connection, &calls[i]))
            return redis_fail(connection, WORLD_RECOVER, "%s", connection->context->errstr);
    return WORLD_DONE;
}
