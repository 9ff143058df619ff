/* An in-memory Kafka, faithful where exactly-once is decided: transactions whose end is written to each partition as a
 * marker of its own (taking an offset, possibly later than the commit's answer), the last stable offset, aborted
 * records that a read-committed reader skips, producer epochs and fencing, transaction timeouts, group generations with
 * stale members that still believe, committed offsets that are pending until their transaction ends, low watermarks,
 * compaction, and what is done to it from outside: changes of leader, retention, an unclean loss. Not in it: bytes on
 * a wire, retention by time, the coordinators' own changes of leader (a call that fails or lies stands for those).
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
    uint32_t deaf_polls;     /* a member that the group goes on without hears of it at one poll in about so many, and is
                                served as before until then (fetches do not wait for heartbeats); 0 = at the first */
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
/* For an auditor in the middle of a run: memory_cluster_read sees every committed record, also behind the last stable
 * offset. */
void memory_cluster_look_behind(struct memory_cluster *cluster, bool behind);
/* Offsets of the past, as a broker serves that has read a part of its log only. Must have been committed once. */
void memory_cluster_put_back(struct memory_cluster *cluster, const char *group, const char *topic, int32_t partition,
                             int64_t offset, struct span metadata);
/* The partition's leader is gone: for so many calls there is none, then for so many one that does not know yet how far
 * its followers are and shows its readers only what it knows. What no reader was shown and no producer was told may be
 * lost with the old one: a client that lives sends it again. Clean: nothing that was acknowledged is lost. */
void memory_cluster_change_leader(struct memory_cluster *cluster, const char *topic, int32_t partition,
                                  uint32_t leaderless, uint32_t catching_up);
/* Retention, or a tool's DeleteRecords: whatever lies before that offset is gone. */
void memory_cluster_expire(struct memory_cluster *cluster, const char *topic, int32_t partition, int64_t before);
/* An unclean election, or a disk: the records from that offset on are lost, acknowledged or not. */
void memory_cluster_truncate(struct memory_cluster *cluster, const char *topic, int32_t partition, int64_t end);
/* What of this was noticed by a client, since the beginning. */
struct memory_tally {
    uint64_t queued, resent, undelivered; /* records: no leader yet; lost with the old one and sent anew; commits */
    uint64_t refused;                     /* questions that a leader could not answer yet */
    uint64_t beyond_end;                  /* reads at an offset that the new leader did not show yet */
    uint64_t out_of_range;                /* readers whose next offset was gone */
};
const struct memory_tally *memory_cluster_tally(const struct memory_cluster *cluster);
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
