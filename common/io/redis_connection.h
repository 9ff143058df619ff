/* One connection to one Redis: address, password, reconnect, pipelines of commands and scripts, and the one table that
 * sorts Redis's error replies into enum world. Blocking, one thread. Nothing here knows about customers. */
#ifndef ORIORI_IO_REDIS_CONNECTION_H
#define ORIORI_IO_REDIS_CONNECTION_H

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/io/config.h"
#include "common/io/world.h"

#include <hiredis/hiredis.h>

struct redis_script {
    const char *text;
    char sha[41]; /* filled on connect; "" = not loaded on this connection */
};

struct redis_address { /* of redis.url; texts in the connection's own memory */
    const char *host;  /* NULL: a unix socket */
    const char *path;
    const char *user;
    const char *password;
    int port;
    int database;
};

struct redis_connection {
    const struct config *config;
    struct redis_address address;
    const char *shown; /* the URL without its password */
    struct arena memory;
    redisContext *context; /* NULL = not connected */
    struct redis_script *scripts;
    size_t script_count;
    struct buffer error; /* a sentence about the last call that was not DONE */
};

/* One command of a pipeline. Arguments are borrowed until redis_run returns. */
struct redis_call {
    const char **arguments;
    size_t *sizes;
    int count, capacity;
    struct redis_script *script; /* NULL: a plain command. Else the arguments begin with the key count. */
    redisReply *reply;           /* after redis_run DONE: no error reply */
};

/* False: the URL or the config is wrong, see connection->error. Does not connect yet. */
bool redis_open(struct redis_connection *connection, const struct config *config, struct redis_script *scripts,
                size_t script_count);
void redis_close(struct redis_connection *connection);

/* What may be logged of a URL: all behind user and password. Borrows from it. */
const char *redis_url_shown(const char *url);

void redis_call_init(struct redis_call *call, struct arena *arena, int capacity, struct redis_script *script);
void redis_call_add(struct redis_call *call, struct span argument);
void redis_call_add_text(struct redis_call *call, const char *argument); /* borrowed */
void redis_call_add_integer(struct redis_call *call, struct arena *arena, int64_t argument);

/* Connects when there is no connection, sends all, reads all: one round trip (a script that the server has forgotten
 * costs a second one). Not DONE: the connection is dropped and whether any command ran is unknown. AGAIN: there was no
 * connection to be had, nothing ran. In both cases redis_calls_release frees the replies. */
enum world redis_run(struct redis_connection *connection, struct redis_call *calls, size_t count);
void redis_calls_release(struct redis_call *calls, size_t count);

#endif
