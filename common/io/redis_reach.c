#include "common/io/redis_reach.h"

#include "common/base/check.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    ROUNDS_MAX = 5, /* a forgotten script, a moved slot, a slot on its way: each costs one; more is a circle */
    AWAY_MS = 1000
};

int redis_slot_of(struct span tag)
{
    unsigned crc = 0;
    for (size_t i = 0; i < tag.size; i++) {
        crc ^= (unsigned)(unsigned char)tag.data[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc << 1 ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
    }
    return (int)(crc % REDIS_SLOTS);
}

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static enum world fail(struct redis_reach *reach, enum world world, const char *text)
{
    buffer_reset(&reach->error);
    buffer_format(&reach->error, "Redis at %s: %s", redis_url_shown(reach->config->redis_url), text);
    return world;
}

/* ---- nodes ---- */

static void name_node(struct redis_node *node, const char *host, int port)
{
    snprintf(node->host, sizeof(node->host), "%s", host);
    snprintf(node->shown, sizeof(node->shown), "%s:%d", node->host, port);
    node->connection.server = (struct redis_server){.host = node->host, .port = port};
    node->connection.shown = node->shown;
}

static struct redis_node *add_node(struct redis_reach *reach)
{
    struct redis_node *node = calloc(1, sizeof(*node));
    CHECK(node);
    node->connection.entry = &reach->entry;
    node->connection.error = &reach->error;
    reach->nodes[reach->node_count++] = node;
    return node;
}

/* -1: there were too many. A server that has left stays in the table: it may come back, and a process's life is short
 * beside that of so many addresses. */
static int node_at(struct redis_reach *reach, const char *host, int port)
{
    for (size_t i = 0; i < reach->node_count; i++)
        if (reach->nodes[i]->connection.server.port == port && strcmp(reach->nodes[i]->host, host) == 0)
            return (int)i;
    if (reach->node_count == REDIS_NODES_MAX)
        return -1;
    name_node(add_node(reach), host, port);
    return (int)reach->node_count - 1;
}

/* What was known of servers is not believed any more; another one is asked next time. */
static void forget(struct redis_reach *reach)
{
    reach->known = reach->url.kind == REDIS_SINGLE;
    reach->ask_first++;
}

static enum world connect_node(struct redis_reach *reach, struct redis_node *node)
{
    if (node->connection.context == NULL && node->away_until > monotonic_ms())
        return redis_fail(&node->connection, WORLD_AGAIN, "could not be reached a moment ago");
    enum world world = redis_connect(&node->connection);
    if (world == WORLD_AGAIN && reach->url.kind == REDIS_CLUSTER)
        node->away_until = monotonic_ms() + AWAY_MS;
    return world;
}

/* ---- sentinels ---- */

static enum world read_master(struct redis_reach *reach, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || !reply->element[0]->str || !reply->element[1]->str)
        return fail(reach, WORLD_AGAIN, "a sentinel knows no master of that name");
    struct redis_node *node = reach->nodes[0];
    const char *host = reply->element[0]->str;
    int port = atoi(reply->element[1]->str);
    if (strcmp(node->host, host) != 0 || node->connection.server.port != port)
        redis_disconnect(&node->connection);
    name_node(node, host, port);
    return WORLD_DONE;
}

static enum world ask_sentinel(struct redis_reach *reach, const struct redis_server *server)
{
    char shown[300];
    struct redis_connection sentinel = {
        .entry = &reach->sentinel_entry, .server = *server, .shown = shown, .error = &reach->error};
    redisReply *reply = NULL;
    snprintf(shown, sizeof(shown), "sentinel %s:%d", server->host, server->port);
    enum world world =
        redis_ask(&sentinel, (const char *[]){"SENTINEL", "get-master-addr-by-name", reach->url.name}, 3, &reply);
    if (world == WORLD_DONE)
        world = read_master(reach, reply);
    if (reply)
        freeReplyObject(reply);
    redis_disconnect(&sentinel);
    return world;
}

static enum world find_by_sentinel(struct redis_reach *reach)
{
    enum world world = WORLD_AGAIN;
    for (size_t i = 0; i < reach->url.server_count && world == WORLD_AGAIN; i++)
        world = ask_sentinel(reach, &reach->url.servers[(reach->ask_first + i) % reach->url.server_count]);
    return world;
}

/* ---- a cluster's slots ---- */

/* One row of CLUSTER SLOTS: first, last, {host, port, ...} of the master, its replicas. A nil or empty host is the one
 * that was asked; "?" is unknown even there. */
static bool read_range(struct redis_reach *reach, const redisReply *row, const char *asked)
{
    if (row->type != REDIS_REPLY_ARRAY || row->elements < 3 || row->element[2]->type != REDIS_REPLY_ARRAY ||
        row->element[2]->elements < 2)
        return false;
    int64_t first = row->element[0]->integer, last = row->element[1]->integer;
    const char *host = row->element[2]->element[0]->str;
    int port = (int)row->element[2]->element[1]->integer;
    if (first < 0 || last >= REDIS_SLOTS)
        return false;
    int node = host && strcmp(host, "?") == 0 ? -1 : node_at(reach, host && host[0] ? host : asked, port);
    for (int64_t slot = first; slot <= last; slot++)
        reach->owners[slot] = (int16_t)node;
    return true;
}

static enum world read_slots(struct redis_reach *reach, const redisReply *reply, const char *asked)
{
    for (int slot = 0; slot < REDIS_SLOTS; slot++)
        reach->owners[slot] = -1;
    bool good = reply->type == REDIS_REPLY_ARRAY;
    for (size_t i = 0; good && i < reply->elements; i++)
        good = read_range(reach, reply->element[i], asked);
    return good ? WORLD_DONE : fail(reach, WORLD_AGAIN, "an unexpected answer to CLUSTER SLOTS");
}

static enum world ask_slots(struct redis_reach *reach, struct redis_node *node)
{
    redisReply *reply = NULL;
    enum world world = connect_node(reach, node);
    if (world == WORLD_DONE)
        world = redis_ask(&node->connection, (const char *[]){"CLUSTER", "SLOTS"}, 2, &reply);
    if (world == WORLD_DONE)
        world = read_slots(reach, reply, node->host);
    else if (strstr(reach->error.data, "cluster support disabled"))
        world = WORLD_STOP;
    if (reply)
        freeReplyObject(reply);
    return world;
}

static enum world find_by_cluster(struct redis_reach *reach)
{
    enum world world = WORLD_AGAIN;
    size_t count = reach->node_count;
    for (size_t i = 0; i < count && world == WORLD_AGAIN; i++)
        world = ask_slots(reach, reach->nodes[(reach->ask_first + i) % count]);
    return world;
}

static enum world find(struct redis_reach *reach)
{
    enum world world = WORLD_DONE;
    if (reach->known)
        return WORLD_DONE;
    if (reach->url.kind == REDIS_SENTINEL)
        world = find_by_sentinel(reach);
    if (reach->url.kind == REDIS_CLUSTER)
        world = find_by_cluster(reach);
    reach->known = world == WORLD_DONE;
    return world;
}

enum world redis_masters(struct redis_reach *reach, int ret_nodes[REDIS_NODES_MAX], size_t *ret_count)
{
    bool counted[REDIS_NODES_MAX] = {false};
    size_t count = 0;
    buffer_reset(&reach->error);
    enum world world = find(reach);
    if (world != WORLD_DONE) {
        forget(reach);
        return world;
    }
    if (reach->url.kind != REDIS_CLUSTER)
        ret_nodes[count++] = 0;
    else
        for (int slot = 0; slot < REDIS_SLOTS; slot++) {
            int node = reach->owners[slot];
            if (node >= 0 && !counted[node])
                ret_nodes[count++] = node;
            if (node >= 0)
                counted[node] = true;
        }
    *ret_count = count;
    return WORLD_DONE;
}

/* ---- a round: each call that has no reply to its server ---- */

static enum world direct(struct redis_reach *reach, struct redis_call *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (calls[i].reply || calls[i].asking || calls[i].slot < 0)
            continue;
        calls[i].node = reach->url.kind == REDIS_CLUSTER ? reach->owners[calls[i].slot] : 0;
        if (calls[i].node < 0)
            return fail(reach, WORLD_AGAIN, "no server of the cluster has a shard's slot now");
    }
    return WORLD_DONE;
}

static bool is_wanted(const struct redis_call *calls, size_t count, size_t node)
{
    for (size_t i = 0; i < count; i++)
        if (calls[i].reply == NULL && calls[i].node == (int)node)
            return true;
    return false;
}

static enum world exchange(struct redis_reach *reach, struct redis_call *calls, size_t count)
{
    enum world world = WORLD_DONE;
    for (size_t n = 0; n < reach->node_count && world == WORLD_DONE; n++)
        if (is_wanted(calls, count, n))
            world = connect_node(reach, reach->nodes[n]);
    for (size_t n = 0; n < reach->node_count && world == WORLD_DONE; n++) {
        reach->nodes[n]->waiting = is_wanted(calls, count, n);
        if (reach->nodes[n]->waiting)
            world = redis_send(&reach->nodes[n]->connection, calls, count, (int)n);
    }
    for (size_t n = 0; n < reach->node_count && world == WORLD_DONE; n++) {
        if (!reach->nodes[n]->waiting)
            continue;
        world = redis_receive(&reach->nodes[n]->connection, calls, count, (int)n);
        reach->nodes[n]->waiting = false;
    }
    for (size_t n = 0; n < reach->node_count; n++) { /* replies that nobody will read */
        if (reach->nodes[n]->waiting)
            redis_disconnect(&reach->nodes[n]->connection);
        reach->nodes[n]->waiting = false;
    }
    return world;
}

/* ---- replies ---- */

static bool begins(const redisReply *reply, const char *word)
{
    return reply && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, word, strlen(word)) == 0;
}

/* "MOVED 3999 host:port", "ASK 3999 host:port"; an empty host is the one that answered. */
static enum world redirect(struct redis_reach *reach, struct redis_call *call)
{
    const struct redis_node *from = reach->nodes[call->node];
    const char *to = strrchr(call->reply->str, ' '), *colon = strrchr(call->reply->str, ':');
    char host[sizeof(from->host)];
    if (to == NULL || colon == NULL || colon < to || call->slot < 0)
        return fail(reach, WORLD_RECOVER, call->reply->str);
    snprintf(host, sizeof(host), "%.*s", (int)(colon - to - 1), to + 1);
    int node = node_at(reach, host[0] ? host : from->host, atoi(colon + 1));
    if (node < 0)
        return fail(reach, WORLD_STOP, "more servers than one process can know; a restart forgets those that left");
    call->asking = begins(call->reply, "ASK ");
    call->node = node;
    if (!call->asking)
        reach->owners[call->slot] = (int16_t)node;
    return WORLD_DONE;
}

/* What an error reply makes of a call: it goes again, for it has not run, or it has failed. */
static enum world sort_error(struct redis_reach *reach, struct redis_call *call, bool *ret_reload)
{
    struct redis_node *node = reach->nodes[call->node];
    enum world world = WORLD_DONE;
    if (begins(call->reply, "NOSCRIPT"))
        *ret_reload = true;
    else if (reach->url.kind == REDIS_CLUSTER && (begins(call->reply, "MOVED ") || begins(call->reply, "ASK ")))
        world = redirect(reach, call);
    else
        return redis_fail_reply(&node->connection, call->reply->str);
    freeReplyObject(call->reply);
    call->reply = NULL;
    return world;
}

static enum world sort_replies(struct redis_reach *reach, struct redis_call *calls, size_t count, bool *ret_pending)
{
    bool reload[REDIS_NODES_MAX] = {false};
    enum world world = WORLD_DONE;
    *ret_pending = false;
    for (size_t i = 0; i < count && world == WORLD_DONE; i++) {
        if (calls[i].reply->type != REDIS_REPLY_ERROR)
            continue;
        world = sort_error(reach, &calls[i], &reload[calls[i].node]);
        *ret_pending = true;
    }
    for (size_t n = 0; n < reach->node_count && world == WORLD_DONE; n++)
        if (reload[n])
            world = redis_load_scripts(&reach->nodes[n]->connection);
    return world;
}

enum world redis_run(struct redis_reach *reach, struct redis_call *calls, size_t count)
{
    bool pending = true;
    buffer_reset(&reach->error);
    enum world world = find(reach);
    for (int round = 0; pending && world == WORLD_DONE; round++) {
        world = round < ROUNDS_MAX ? direct(reach, calls, count)
                                   : fail(reach, WORLD_RECOVER, "sent from one server to another, and on and on");
        if (world == WORLD_DONE)
            world = exchange(reach, calls, count);
        if (world == WORLD_DONE)
            world = sort_replies(reach, calls, count, &pending);
        if (world == WORLD_AGAIN && round > 0)
            world = WORLD_RECOVER; /* some calls may have run */
        if (pending && round == 0 && world == WORLD_DONE && reach->url.kind == REDIS_CLUSTER)
            reach->known = false; /* one slot has moved: others may have; asked before the next call */
    }
    if (world != WORLD_DONE)
        forget(reach);
    return world;
}

/* ---- life ---- */

static void set_entries(struct redis_reach *reach, struct redis_script *scripts, size_t script_count)
{
    const struct config *config = reach->config;
    const struct redis_url *url = &reach->url;
    reach->entry = (struct redis_entry){
        .user = config->redis_user[0] ? config->redis_user : url->user,
        .password = config->redis_password[0] ? config->redis_password : url->password,
        .database = url->database,
        .tls = reach->tls,
        .timeout_ms = config->redis_timeout_ms,
        .scripts = scripts,
        .script_count = script_count,
        .must_be_master = url->kind == REDIS_SENTINEL,
    };
    reach->sentinel_entry = (struct redis_entry){
        .user = config->redis_sentinel_user,
        .password = config->redis_sentinel_password,
        .tls = reach->tls,
        .timeout_ms = config->redis_timeout_ms,
    };
}

static void add_first_nodes(struct redis_reach *reach)
{
    const struct redis_url *url = &reach->url;
    if (url->kind == REDIS_CLUSTER) {
        for (size_t i = 0; i < url->server_count; i++)
            node_at(reach, url->servers[i].host, url->servers[i].port);
        return;
    }
    struct redis_node *node = add_node(reach);
    if (url->kind == REDIS_SINGLE) {
        node->connection.server = url->servers[0];
        node->connection.shown = redis_url_shown(reach->config->redis_url);
        reach->known = true;
    }
}

bool redis_open(struct redis_reach *reach, const struct config *config, struct redis_script *scripts,
                size_t script_count)
{
    struct buffer why = {0};
    *reach = (struct redis_reach){.config = config};
    signal(SIGPIPE, SIG_IGN); /* hiredis writes without MSG_NOSIGNAL: a Redis that went away would end the process */
    arena_init(&reach->memory, 0);
    if (!redis_url_parse(config->redis_url, &reach->memory, &reach->url)) {
        fail(reach, WORLD_STOP, REDIS_URL_EXPECTED);
        return false;
    }
    if (reach->url.tls && (reach->tls = redis_tls_new(config, &why)) == NULL) {
        fail(reach, WORLD_STOP, why.data);
        buffer_release(&why);
        return false;
    }
    set_entries(reach, scripts, script_count);
    add_first_nodes(reach);
    return true;
}

void redis_close(struct redis_reach *reach)
{
    for (size_t i = 0; i < reach->node_count; i++) {
        redis_disconnect(&reach->nodes[i]->connection);
        free(reach->nodes[i]);
    }
    reach->node_count = 0;
    redis_tls_free(reach->tls);
    reach->tls = NULL;
    buffer_release(&reach->error);
    arena_release(&reach->memory);
}
