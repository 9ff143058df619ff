/* An in-memory Kafka, faithful where exactly-once is decided: transactions whose end is written to each partition as a
 * marker of its own (taking an offset, possibly later than the commit's answer), the last stable offset, aborted
 * records that a read-committed reader skips, producer epochs and fencing, transaction timeouts, group generations with
 * stale members that still believe, committed offsets that are pending until their transaction ends, low watermarks,
 * compaction. Not in it: bytes on a wire, retention by time, leader change.
 *
 * One cluster is shared by any number of handles (workers) of one thread. A call never blocks: what would wait is
 * WORLD_AGAIN or LOG_NOTHING. Time comes from the cluster's clock. Every run with the same calls is the same. */
#ifndef ORIORI_IO_LOG_MEMORY_H
#define ORIORI_IO_LOG_MEMORY_H

#include "common/io/clock.h"
#include "common/io/log.h"

#include <stdio.h>

struct memory_cluster;

struct memory_cluster_config {
    const char *cluster_id;
    const struct clock *clock;      /* borrowed; the brokers' time */
    int64_t session_timeout_ms;     /* a member silent for longer is out of the group; 0 = never */
    int64_t transaction_timeout_ms; /* an open transaction older than this is aborted, its producer fenced; 0 = never */
    uint32_t marker_lag_max; /* markers come up to this many calls after the end of the transaction; 0 = at once */
    uint64_t seed;           /* of the lags and of the order in which poll serves partitions; 0 = in turn */
};

struct memory_cluster *memory_cluster_new(const struct memory_cluster_config *config);
void memory_cluster_free(struct memory_cluster *cluster); /* and all handles, also abandoned ones */
void memory_cluster_topic_add(struct memory_cluster *cluster, const char *name, int32_t partition_count);

struct log_memory_config {
    const char *group;
    const char *transactional_id;
    const char *const *topics; /* the subscription */
    size_t topic_count;
};
struct log log_memory_open(struct memory_cluster *cluster, const struct log_memory_config *config);
/* The process is gone without a goodbye: the handle is dead, its member stays in the group until the session ends, its
 * transaction stays open until it is fenced or times out. */
void log_memory_abandon(struct log *log);

/* ---- the others' side: producers upstream, readers, auditors ---- */

/* A plain producer: outside any transaction, visible at once. Returns the offset. */
int64_t memory_cluster_append(struct memory_cluster *cluster, const struct log_message *message);

/* The next record at or after *offset, *offset moving behind it; false: none (read_committed: below the last stable
 * offset; aborted records are skipped. Else everything there is, open and aborted too). */
bool memory_cluster_read(const struct memory_cluster *cluster, const char *topic, int32_t partition,
                         bool read_committed, int64_t *offset, struct log_record *ret_record);
int32_t memory_cluster_partition_count(const struct memory_cluster *cluster, const char *topic);
void memory_cluster_watermarks(const struct memory_cluster *cluster, const char *topic, int32_t partition,
                               int64_t *ret_low, int64_t *ret_stable, int64_t *ret_high);
/* LOG_OFFSET_NONE when never committed. Pending commits do not show. */
int64_t memory_cluster_committed(const struct memory_cluster *cluster, const char *group, const char *topic,
                                 int32_t partition, struct span *ret_metadata);
void memory_cluster_forget_committed(struct memory_cluster *cluster, const char *group, const char *topic,
                                     int32_t partition); /* offsets expired, or a tool reset them */
/* Removes every record below the last stable offset that a later committed one of the same key replaces. */
void memory_cluster_compact(struct memory_cluster *cluster, const char *topic);
/* All markers that are still on their way are written. */
void memory_cluster_settle(struct memory_cluster *cluster);
/* Every topic's committed records as JSON lines, one file per topic (`<topic>.jsonl`), key and value in base64. False
 * with errno when the folder cannot be written. */
bool memory_cluster_save(const struct memory_cluster *cluster, const char *folder);
/* All of it as one file, each line with its topic: the form of `oriori topics export` (common/flow/README.md). */
bool memory_cluster_export(const struct memory_cluster *cluster, const char *path);

#endif
