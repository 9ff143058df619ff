/* The text of redis.url, taken apart:
 *
 *     redis://[user[:password]@]host[:port][/database]                one server
 *     unix:/path/to/socket                                            one server
 *     redis-sentinel://[user[:password]@]host[:port],.../name[/database]   who the sentinels say is the master of
 * `name` redis-cluster://[user[:password]@]host[:port],...               the nodes of a cluster that are asked first
 *
 * rediss://, rediss-sentinel:// and rediss-cluster:// are the same over TLS. User and password are the data servers';
 * the sentinels' own are separate keys of the config. */
#ifndef ORIORI_IO_REDIS_URL_H
#define ORIORI_IO_REDIS_URL_H

#include "common/base/arena.h"

#include <stdbool.h>
#include <stddef.h>

enum redis_kind { REDIS_SINGLE, REDIS_SENTINEL, REDIS_CLUSTER };

enum { REDIS_SERVERS_MAX = 16 /* written in one URL; a cluster tells of its others itself */ };

struct redis_server {
    const char *host; /* NULL: a unix socket */
    const char *path;
    int port;
};

struct redis_url {
    enum redis_kind kind;
    bool tls;
    const char *user; /* "" = none */
    const char *password;
    struct redis_server servers[REDIS_SERVERS_MAX];
    size_t server_count;
    const char *name; /* REDIS_SENTINEL: of the master */
    int database;
};

/* What a URL must look like, for messages. */
#define REDIS_URL_EXPECTED                                                                                             \
    "expected redis://[user[:password]@]host[:port][/database], unix:/path, "                                          \
    "redis-sentinel://host[:port],.../name or redis-cluster://host[:port],..."

/* False: not of that form. Texts lie in the arena and end in NUL. */
bool redis_url_parse(const char *text, struct arena *arena, struct redis_url *ret_url);

/* What may be logged of a URL: all behind user and password. Borrows from it. */
const char *redis_url_shown(const char *text);

#endif
