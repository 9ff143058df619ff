/* Which Redis server a command goes to: the one of the URL, the master that the sentinels name, or the owner of the
 * slot in a cluster. Follows failovers and moved slots: whatever goes wrong forgets what was known about servers, and
 * the next call finds out anew. It promises no more than the seam: the view may have lost its last writes by then, and
 * the loads' check of epoch, pos and seq is what notices. */
#ifndef ORIORI_IO_REDIS_REACH_H
#define ORIORI_IO_REDIS_REACH_H

#include "common/io/config.h"
#include "common/io/redis_connection.h"

enum { REDIS_SLOTS = 16384, REDIS_NODES_MAX = 256 /* masters of a cluster; Redis advises against a thousand nodes */ };

struct redis_node {
    struct redis_connection connection;
    char host[256];
    char shown[272];
    int64_t away_until; /* monotonic ms: it could not be reached just now, and not every shard shall wait for it */
    bool waiting;       /* replies are on their way */
};

struct redis_reach {
    const struct config *config;
    struct arena memory;
    struct redis_url url;
    struct redis_entry entry, sentinel_entry;
    struct redis_tls *tls;
    struct redis_node *nodes[REDIS_NODES_MAX];
    size_t node_count;
    int16_t owners[REDIS_SLOTS]; /* node by slot, -1 = unknown; cluster only */
    bool known;                  /* where the master is, or the slots are */
    size_t ask_first;            /* which sentinel or node is asked next */
    struct buffer error;         /* a sentence about the last call that was not DONE */
};

/* CRC-16 (XMODEM) of what stands between the first braces of a key, mod 16384. */
int redis_slot_of(struct span tag);

/* False: the URL or the config is wrong, see reach->error. Does not connect yet. Close it in both cases. */
bool redis_open(struct redis_reach *reach, const struct config *config, struct redis_script *scripts,
                size_t script_count);
void redis_close(struct redis_reach *reach);

/* Finds the servers, connects where needed, sends all, reads all: one round trip, the servers side by side (a forgotten
 * script, a moved slot cost another one for the calls concerned). Calls of one slot keep their order, but one may run
 * although an earlier one was refused. Not DONE: whether any command ran is unknown. AGAIN: there was no server to be
 * had, nothing ran. In both cases redis_calls_release frees the replies. */
WORLD_MUST_USE enum world redis_run(struct redis_reach *reach, struct redis_call *calls, size_t count);

/* The nodes that hold the view, for what must be asked of each (a call of slot -1 names its node). Finds them first. */
WORLD_MUST_USE enum world redis_masters(struct redis_reach *reach, int ret_nodes[REDIS_NODES_MAX], size_t *ret_count);

#endif
