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
    struct buffer metrics, playbook, trouble;
    bool ready, started;
    int64_t progress_at, published_at;
};

/* libmicrohttpd 0.9.71 changed the handlers' type from int. */
#if MHD_VERSION >= 0x00097002
typedef enum MHD_Result mhd_result;
#else
typedef int mhd_result;
#endif

static bool alive(const struct monitor *monitor)
{
    int64_t now = monitor->monotonic_ms();
    return now - monitor->published_at <= monitor->silence_max_ms &&
           now - monitor->progress_at <= monitor->silence_max_ms;
}

/* Fills body, returns the status. Under the lock. */
static unsigned answer(const struct monitor *monitor, const char *path, struct buffer *body)
{
    if (strcmp(path, "/metrics") == 0) {
        buffer_add_span(body, buffer_span(&monitor->metrics));
        return MHD_HTTP_OK;
    }
    if (strcmp(path, "/playbook") == 0) {
        buffer_add_span(body, buffer_span(&monitor->playbook));
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
                               const char *method, struct buffer *body)
{
    bool read = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    bool level = strcmp(path, "/loglevel") == 0;
    if (!read && !(level && strcmp(method, "PUT") == 0))
        return MHD_HTTP_METHOD_NOT_ALLOWED;
    if (level)
        return answer_level(connection, !read, body);
    pthread_mutex_lock(&monitor->lock);
    unsigned status = answer(monitor, path, body);
    pthread_mutex_unlock(&monitor->lock);
    return status;
}

/* Called once for the head, again for each piece of a body, which nobody wants here, and then to answer. */
static mhd_result handle(void *context, struct MHD_Connection *connection, const char *path, const char *method,
                         const char *version, const char *upload, size_t *upload_size, void **state)
{
    struct monitor *monitor = context;
    struct buffer body = {0};
    (void)version;
    (void)upload;
    if (*state == NULL || *upload_size) {
        *state = monitor; /* not NULL is all that counts */
        *upload_size = 0;
        return MHD_YES;
    }
    unsigned status = answer_request(monitor, connection, path, method, &body);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body.size, body.data ? body.data : "", MHD_RESPMEM_MUST_COPY);
    buffer_release(&body);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
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
    buffer_release(&monitor->playbook);
    buffer_release(&monitor->trouble);
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
    buffer_reset(&monitor->playbook);
    buffer_add_span(&monitor->playbook, picture->playbook);
    buffer_reset(&monitor->trouble);
    buffer_add_span(&monitor->trouble, picture->trouble);
    monitor->ready = picture->ready;
    monitor->started |= picture->started;
    monitor->progress_at = picture->progress_at;
    monitor->published_at = monitor->monotonic_ms();
    pthread_mutex_unlock(&monitor->lock);
}
