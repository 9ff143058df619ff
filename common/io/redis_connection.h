/* One connection to one Redis server: connecting, the greeting, sending and reading a pipeline of commands and scripts.
 * Blocking, one thread. Which server that is, and what an error reply means, is redis_reach's matter; nothing here
 * knows about customers. */
#ifndef ORIORI_IO_REDIS_CONNECTION_H
#define ORIORI_IO_REDIS_CONNECTION_H

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/io/redis_tls.h"
#include "common/io/redis_url.h"
#include "common/io/world.h"

#include <hiredis/hiredis.h>

struct redis_script {
    const char *text;
    char sha[41]; /* filled on the first connect: a server computes it from the text, so all agree */
};

/* How to come in: the same for all data servers, another one for sentinels. Borrowed by the connections. */
struct redis_entry {
    const char *user; /* "" = none */
    const char *password;
    int database;
    struct redis_tls *tls; /* NULL = plain */
    int64_t timeout_ms;    /* of a connect, and of each wait for an answer */
    struct redis_script *scripts;
    size_t script_count;
    bool must_be_master; /* ROLE is asked, and another one is not served by */
};

struct redis_connection {
    const struct redis_entry *entry;
    struct redis_server server; /* texts borrowed */
    const char *shown;          /* how messages name it */
    redisContext *context;      /* NULL = not connected */
    struct buffer *error;       /* the owner's: a sentence about the last call that was not DONE */
};

/* One command of a pipeline. Arguments are borrowed until the pipeline has run. */
struct redis_call {
    const char **arguments;
    size_t *sizes;
    int count, capacity;
    struct redis_script *script; /* NULL: a plain command. Else the arguments begin with the key count. */
    int slot;                    /* of its keys' hash tag, redis_slot_of; -1 = it has no keys */
    int node;                    /* which server: filled by redis_reach; with slot -1 the caller may name it */
    bool asking;                 /* this time at a server that is just taking the slot over */
    redisReply *reply;           /* NULL = has not run, as far as known. After redis_run DONE: no error reply */
};

void redis_call_init(struct redis_call *call, struct arena *arena, int capacity, struct redis_script *script);
void redis_call_add(struct redis_call *call, struct span argument);
void redis_call_add_text(struct redis_call *call, const char *argument); /* borrowed */
void redis_call_add_integer(struct redis_call *call, struct arena *arena, int64_t argument);
void redis_calls_release(struct redis_call *calls, size_t count);

/* TCP or socket, TLS, AUTH, SELECT, SCRIPT LOAD, ROLE; nothing when it stands already. AGAIN: not to be had now. */
WORLD_MUST_USE enum world redis_connect(struct redis_connection *connection);
void redis_disconnect(struct redis_connection *connection);

/* A server that was restarted or flushed knows no script: again. */
WORLD_MUST_USE enum world redis_load_scripts(struct redis_connection *connection);

/* Of a connected one: writes the calls of this node that have no reply, then reads their replies. Two calls, so that
 * several servers work at once. RECOVER: disconnected, and whether any of them ran is unknown. */
WORLD_MUST_USE enum world redis_send(struct redis_connection *connection, struct redis_call *calls, size_t count,
                                     int node);
WORLD_MUST_USE enum world redis_receive(struct redis_connection *connection, struct redis_call *calls, size_t count,
                                        int node);

/* One command of texts, alone; *ret_reply is no error and the caller's to free. */
WORLD_MUST_USE enum world redis_ask(struct redis_connection *connection, const char **arguments, int count,
                                    redisReply **ret_reply);

/* Disconnects and keeps a sentence. */
enum world redis_fail(struct redis_connection *connection, enum world world, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What an error reply means, by its first word; disconnects. */
enum world redis_fail_reply(struct redis_connection *connection, const char *text);

#endif
