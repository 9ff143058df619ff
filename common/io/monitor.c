#include "common/io/monitor.h"

#include "common/base/check.h"
#include "common/io/logger.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

struct monitor {
    struct MHD_Daemon *daemon;
    int64_t silence_max_ms;
    int64_t (*monotonic_ms)(void);
    pthread_mutex_t lock; /* of all below */
    struct buffer metrics, trouble;
    struct buffer texts;                /* the playbooks', one behind the other */
    struct monitor_playbook *playbooks; /* whose texts are offsets into that */
    struct monitor_shard *shards;
    size_t playbook_count, shard_count;
    bool ready, started;
    int64_t progress_at, published_at;
};

/* libmicrohttpd 0.9.71 changed the handlers' type from int. */
#if MHD_VERSION >= 0x00097002
typedef enum MHD_Result mhd_result;
#else
typedef int mhd_result;
#endif

/* What is answered, beside the status. */
struct reply {
    struct buffer body;
    char playbook[MONITOR_NAME_SIZE]; /* for the header; "" = none */
};

static bool alive(const struct monitor *monitor)
{
    int64_t now = monitor->monotonic_ms();
    return now - monitor->published_at <= monitor->silence_max_ms &&
           now - monitor->progress_at <= monitor->silence_max_ms;
}

/* ---- the playbook ---- */

static unsigned reply_playbook(const struct monitor *monitor, size_t index, struct reply *reply)
{
    const struct monitor_playbook *playbook = &monitor->playbooks[index];
    memcpy(reply->playbook, playbook->name, sizeof(reply->playbook));
    buffer_add_span(&reply->body, playbook->text);
    return MHD_HTTP_OK;
}

static unsigned reply_list(const struct monitor *monitor, struct reply *reply)
{
    buffer_add_text(&reply->body, "the shards served here do not run one playbook: an activation is on its way\n");
    for (size_t i = 0; i < monitor->shard_count; i++)
        buffer_format(&reply->body, "shard %-4d %s  /playbook?shard=%d\n", (int)monitor->shards[i].shard,
                      monitor->playbooks[monitor->shards[i].playbook].name, (int)monitor->shards[i].shard);
    return MHD_HTTP_MULTIPLE_CHOICES;
}

/* shard: as the request says, NULL = of all. */
static unsigned answer_playbook(const struct monitor *monitor, const char *shard, struct reply *reply)
{
    char *end = NULL;
    long wanted = shard ? strtol(shard, &end, 10) : -1;
    if (shard && (end == shard || *end)) {
        buffer_add_text(&reply->body, "write /playbook?shard=N\n");
        return MHD_HTTP_BAD_REQUEST;
    }
    for (size_t i = 0; shard && i < monitor->shard_count; i++)
        if (monitor->shards[i].shard == wanted)
            return reply_playbook(monitor, monitor->shards[i].playbook, reply);
    if (shard || monitor->playbook_count == 0) {
        buffer_add_text(&reply->body, shard ? "that shard is not served here\n" : "nothing is known yet\n");
        return MHD_HTTP_NOT_FOUND;
    }
    for (size_t i = 1; i < monitor->shard_count; i++)
        if (monitor->shards[i].playbook != monitor->shards[0].playbook)
            return reply_list(monitor, reply);
    return reply_playbook(monitor, monitor->shard_count ? monitor->shards[0].playbook : 0, reply);
}

/* Each text borrows from monitor->texts, which must not grow any more. */
static void playbooks_copy(struct monitor *monitor, const struct monitor_picture *picture)
{
    size_t playbooks_size = picture->playbook_count * sizeof(*picture->playbooks), offset = 0;
    size_t shards_size = picture->shard_count * sizeof(*picture->shards);
    monitor->playbooks = realloc(monitor->playbooks, playbooks_size + 1);
    monitor->shards = realloc(monitor->shards, shards_size + 1);
    CHECK(monitor->playbooks && monitor->shards);
    buffer_reset(&monitor->texts);
    for (size_t i = 0; i < picture->playbook_count; i++)
        buffer_add_span(&monitor->texts, picture->playbooks[i].text);
    for (size_t i = 0; i < picture->playbook_count; i++) {
        monitor->playbooks[i] = picture->playbooks[i];
        monitor->playbooks[i].text.data = monitor->texts.data + offset;
        offset += picture->playbooks[i].text.size;
    }
    if (shards_size)
        memcpy(monitor->shards, picture->shards, shards_size);
    monitor->playbook_count = picture->playbook_count;
    monitor->shard_count = picture->shard_count;
}

/* Fills body, returns the status. Under the lock. */
static unsigned answer(const struct monitor *monitor, const char *path, struct buffer *body)
{
    if (strcmp(path, "/metrics") == 0) {
        buffer_add_span(body, buffer_span(&monitor->metrics));
        return MHD_HTTP_OK;
    }
    bool good;
    if (strcmp(path, "/healthz") == 0)
        good = alive(monitor);
    else if (strcmp(path, "/readyz") == 0)
        good = monitor->ready && alive(monitor);
    else if (strcmp(path, "/startupz") == 0)
        good = monitor->started;
    else {
        buffer_add_text(body, "there is /metrics, /healthz, /readyz, /startupz, /playbook and /loglevel\n");
        return MHD_HTTP_NOT_FOUND;
    }
    buffer_add_text(body, good ? "ok\n" : "not ok\n");
    if (!good && monitor->trouble.size) {
        buffer_add_span(body, buffer_span(&monitor->trouble));
        buffer_add_char(body, '\n');
    }
    return good ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

/* ---- the log's level ---- */

static bool from_this_machine(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *peer = info ? info->client_addr : NULL;
    if (!peer)
        return false;
    if (peer->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)peer)->sin_addr.s_addr) >> 24 == 127;
    const struct in6_addr *address = &((const struct sockaddr_in6 *)peer)->sin6_addr;
    return peer->sa_family == AF_INET6 &&
           (IN6_IS_ADDR_LOOPBACK(address) || (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == 127));
}

static unsigned level_change(struct MHD_Connection *connection, struct buffer *body)
{
    enum config_level level;
    const char *wanted = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "level");
    if (!from_this_machine(connection)) {
        buffer_add_text(body, "the level is changed from this machine only\n");
        return MHD_HTTP_FORBIDDEN;
    }
    if (!wanted || !logger_level_find(wanted, &level)) {
        buffer_add_text(body, "write /loglevel?level=debug, info, warn or error\n");
        return MHD_HTTP_BAD_REQUEST;
    }
    logger_level_set(level);
    return MHD_HTTP_OK;
}

static unsigned answer_level(struct MHD_Connection *connection, bool change, struct buffer *body)
{
    unsigned status = change ? level_change(connection, body) : MHD_HTTP_OK;
    if (status == MHD_HTTP_OK)
        buffer_format(body, "%s\n", logger_level_name(logger_level()));
    return status;
}

/* ---- a request ---- */

static unsigned answer_request(struct monitor *monitor, struct MHD_Connection *connection, const char *path,
                               const char *method, struct reply *reply)
{
    bool read = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    bool level = strcmp(path, "/loglevel") == 0;
    if (!read && !(level && strcmp(method, "PUT") == 0))
        return MHD_HTTP_METHOD_NOT_ALLOWED;
    if (level)
        return answer_level(connection, !read, &reply->body);
    const char *shard = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "shard");
    pthread_mutex_lock(&monitor->lock);
    unsigned status =
        strcmp(path, "/playbook") == 0 ? answer_playbook(monitor, shard, reply) : answer(monitor, path, &reply->body);
    pthread_mutex_unlock(&monitor->lock);
    return status;
}

/* Called once for the head, again for each piece of a body, which nobody wants here, and then to answer. */
static mhd_result handle(void *context, struct MHD_Connection *connection, const char *path, const char *method,
                         const char *version, const char *upload, size_t *upload_size, void **state)
{
    struct monitor *monitor = context;
    struct reply reply = {0};
    (void)version;
    (void)upload;
    if (*state == NULL || *upload_size) {
        *state = monitor; /* not NULL is all that counts */
        *upload_size = 0;
        return MHD_YES;
    }
    unsigned status = answer_request(monitor, connection, path, method, &reply);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(reply.body.size, reply.body.data ? reply.body.data : "", MHD_RESPMEM_MUST_COPY);
    buffer_release(&reply.body);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
    if (reply.playbook[0])
        MHD_add_response_header(response, "Oriori-Playbook", reply.playbook);
    mhd_result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* "host:port" or "[v6]:port" into an address to bind; false with the reason in error. */
static bool resolve(const char *address, struct sockaddr_storage *ret_address, struct buffer *error)
{
    const char *colon = strrchr(address, ':');
    size_t size = colon ? (size_t)(colon - address) : 0;
    char host[128];
    bool bracketed = size >= 2 && address[0] == '[' && colon[-1] == ']';
    if (!colon || size == 0 || size - 2 * bracketed >= sizeof host) {
        buffer_format(error, "\"%s\" is no address to listen on: write host:port, such as 127.0.0.1:9464", address);
        return false;
    }
    memcpy(host, address + bracketed, size - 2 * bracketed);
    host[size - 2 * bracketed] = '\0';
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found;
    int failure = getaddrinfo(host, colon + 1, &hints, &found);
    if (failure != 0) {
        buffer_format(error, "cannot listen on \"%s\": %s", address, gai_strerror(failure));
        return false;
    }
    CHECK(found->ai_addrlen <= sizeof *ret_address);
    memcpy(ret_address, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return true;
}

struct monitor *monitor_open(const char *address, int64_t silence_max_ms, int64_t (*monotonic_ms)(void),
                             struct buffer *error)
{
    struct sockaddr_storage where = {0};
    if (!resolve(address, &where, error))
        return NULL;
    struct monitor *monitor = calloc(1, sizeof *monitor);
    CHECK(monitor);
    monitor->silence_max_ms = silence_max_ms;
    monitor->monotonic_ms = monotonic_ms;
    monitor->progress_at = monitor->published_at = monotonic_ms();
    pthread_mutex_init(&monitor->lock, NULL);
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | (where.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0);
    monitor->daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, handle, monitor, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&where,
                         MHD_OPTION_CONNECTION_LIMIT, 32u, MHD_OPTION_CONNECTION_TIMEOUT, 10u, MHD_OPTION_END);
    if (monitor->daemon)
        return monitor;
    buffer_format(error, "cannot listen on %s: is the port taken, or not yours to use?", address);
    monitor_close(monitor);
    return NULL;
}

void monitor_close(struct monitor *monitor)
{
    if (!monitor)
        return;
    if (monitor->daemon)
        MHD_stop_daemon(monitor->daemon);
    pthread_mutex_destroy(&monitor->lock);
    buffer_release(&monitor->metrics);
    buffer_release(&monitor->trouble);
    buffer_release(&monitor->texts);
    free(monitor->playbooks);
    free(monitor->shards);
    free(monitor);
}

int monitor_port(const struct monitor *monitor)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(monitor->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info ? info->port : 0;
}

void monitor_publish(struct monitor *monitor, const struct monitor_picture *picture)
{
    pthread_mutex_lock(&monitor->lock);
    buffer_reset(&monitor->metrics);
    buffer_add_span(&monitor->metrics, picture->metrics);
    playbooks_copy(monitor, picture);
    buffer_reset(&monitor->trouble);
    buffer_add_span(&monitor->trouble, picture->trouble);
    monitor->ready = picture->ready;
    monitor->started |= picture->started;
    monitor->progress_at = picture->progress_at;
    monitor->published_at = monitor->monotonic_ms();
    pthread_mutex_unlock(&monitor->lock);
}
