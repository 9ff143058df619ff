/* The process's window: /metrics, /healthz, /readyz, /startupz, /playbook, /loglevel over HTTP (libmicrohttpd, a thread
 * of its own). The worker's one thread publishes a finished picture now and then; a request only copies the newest one,
 * so that nobody who looks can hold up the flow.
 *
 * Alive is judged here, at the time of the question, from the age of the newest picture and of the last progress in it:
 * a worker that hangs publishes nothing, and that is what /healthz must show.
 *
 * /playbook is the text that all shards served here run. While an activation spreads they may differ: then the answer
 * is 300 and a list of shards, hashes and addresses, so that no script takes one shard's text for the worker's;
 * /playbook?shard=N is the text of one. A header Oriori-Playbook names the hash.
 *
 * The one thing that can be changed is the log's level: `PUT /loglevel?level=debug`, and only by who asks from this
 * machine itself (a loopback address: in Kubernetes, `kubectl port-forward` or `exec`). */
#ifndef ORIORI_IO_MONITOR_H
#define ORIORI_IO_MONITOR_H

#include "common/base/buffer.h"
#include "common/base/span.h"

#include <stdint.h>

struct monitor;

enum { MONITOR_NAME_SIZE = 13 };
struct monitor_playbook {
    char name[MONITOR_NAME_SIZE]; /* its hash's beginning, in hex */
    struct span text;
};
struct monitor_shard {
    int32_t shard;
    size_t playbook; /* index */
};

struct monitor_picture {
    struct span metrics; /* Prometheus text */
    struct span trouble; /* why not ready, for people; "" = nothing to say */
    /* Each one once; the first is shown while no shard is served. */
    const struct monitor_playbook *playbooks;
    size_t playbook_count;
    const struct monitor_shard *shards; /* those that are served, in order */
    size_t shard_count;
    bool ready;          /* every shard of ours serves */
    bool started;        /* was ready once, or has been told that nothing is ours */
    int64_t progress_at; /* monotonic ms of the last progress */
};

/* Listens on "host:port" ("127.0.0.1:9464", "[::1]:0"; port 0 = any, see monitor_port). silence_max_ms: /healthz fails
 * when the newest picture, or the progress that it tells of, is older. NULL with the reason in *error. now is asked
 * from the server's thread: it must be safe there. */
struct monitor *monitor_open(const char *address, int64_t silence_max_ms, int64_t (*monotonic_ms)(void),
                             struct buffer *error);
void monitor_close(struct monitor *monitor); /* NULL is fine */
int monitor_port(const struct monitor *monitor);

/* Copies the picture. Any thread; never waits for a reader longer than a copy. */
void monitor_publish(struct monitor *monitor, const struct monitor_picture *picture);

#endif
