#include "common/io/redis_url.h"

#include "common/base/check.h"

#include <stdlib.h>
#include <string.h>

enum { REDIS_PORT = 6379, SENTINEL_PORT = 26379, DATABASE_MAX = 1 << 20 };

static const struct {
    const char *scheme;
    enum redis_kind kind;
    bool tls;
} schemes[] = {
    {"redis://", REDIS_SINGLE, false},
    {"rediss://", REDIS_SINGLE, true},
    {"redis-sentinel://", REDIS_SENTINEL, false},
    {"rediss-sentinel://", REDIS_SENTINEL, true},
    {"redis-cluster://", REDIS_CLUSTER, false},
    {"rediss-cluster://", REDIS_CLUSTER, true},
};

static const char *keep(struct arena *arena, const char *text, const char *end)
{
    return arena_copy(arena, (struct span){text, (size_t)(end - text)}).data;
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

/* user:password@, user@ or :password@; returns what follows it. */
static const char *parse_credentials(const char *text, struct arena *arena, struct redis_url *url)
{
    const char *at = strrchr(text, '@');
    if (at == NULL)
        return text;
    const char *colon = memchr(text, ':', (size_t)(at - text));
    url->user = keep(arena, text, colon ? colon : at);
    if (colon)
        url->password = keep(arena, colon + 1, at);
    return at + 1;
}

/* host[:port]; an IPv6 address stands in brackets. */
static bool parse_server(const char *text, const char *end, int port, struct arena *arena, struct redis_server *server)
{
    const char *bracket = text[0] == '[' ? memchr(text, ']', (size_t)(end - text)) : NULL;
    const char *from = bracket ? bracket : text;
    const char *colon = memchr(from, ':', (size_t)(end - from));
    server->port = port;
    server->host = keep(arena, text + (bracket != NULL), bracket ? bracket : colon ? colon : end);
    return server->host[0] && (colon == NULL || parse_number(colon + 1, end, 65535, &server->port));
}

static bool parse_servers(const char *text, const char *end, struct arena *arena, struct redis_url *url)
{
    int port = url->kind == REDIS_SENTINEL ? SENTINEL_PORT : REDIS_PORT;
    for (;;) {
        const char *comma = memchr(text, ',', (size_t)(end - text)), *stop = comma ? comma : end;
        if (url->server_count == REDIS_SERVERS_MAX || (comma && url->kind == REDIS_SINGLE) ||
            !parse_server(text, stop, port, arena, &url->servers[url->server_count++]))
            return false;
        if (comma == NULL)
            return true;
        text = comma + 1;
    }
}

/* What stands behind the servers, from its slash on: /database, or /name[/database]; a cluster has only one. */
static bool parse_tail(const char *text, struct arena *arena, struct redis_url *url)
{
    if (url->kind == REDIS_SENTINEL) {
        const char *name = text + (text[0] == '/'), *slash = strchr(name, '/');
        url->name = keep(arena, name, slash ? slash : name + strlen(name));
        if (url->name[0] == '\0')
            return false;
        text = slash ? slash : "";
    }
    if (text[0] == '\0' || text[1] == '\0')
        return true;
    return url->kind != REDIS_CLUSTER && parse_number(text + 1, text + strlen(text), DATABASE_MAX, &url->database);
}

bool redis_url_parse(const char *text, struct arena *arena, struct redis_url *ret_url)
{
    *ret_url = (struct redis_url){.user = "", .password = "", .name = ""};
    if (strncmp(text, "unix:", 5) == 0 && text[5]) {
        text += strncmp(text, "unix://", 7) == 0 ? 7 : 5;
        ret_url->servers[ret_url->server_count++].path = keep(arena, text, text + strlen(text));
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        size_t size = strlen(schemes[i].scheme);
        if (strncmp(text, schemes[i].scheme, size) != 0)
            continue;
        ret_url->kind = schemes[i].kind;
        ret_url->tls = schemes[i].tls;
        text = parse_credentials(text + size, arena, ret_url);
        const char *end = text + strcspn(text, "/");
        return parse_servers(text, end, arena, ret_url) && parse_tail(end, arena, ret_url);
    }
    return false;
}

const char *redis_url_shown(const char *text)
{
    const char *at = strrchr(text, '@');
    return at ? at + 1 : text;
}
