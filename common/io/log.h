/* The log seam: all that the flow asks of Kafka. Behind it: log_kafka (librdkafka), log_memory (tests, embedded demo).
 *
 * One handle is one worker: one group consumer, one transactional producer, one group-less changelog reader. One
 * thread. A handle knows from its constructor: group id, transactional id, and the subscription, a list of topic names
 * whose index is `topic` below (its order is the topic rank of a step's merge; absent topics keep their index). Spans
 * that come out are borrowed until the next call of the same function, unless an arena was passed. Calls block at most
 * about the timeout passed or configured; then they return WORLD_AGAIN when nothing can have happened, WORLD_RECOVER or
 * WORLD_REPLACE when something may have. */
#ifndef ORIORI_IO_LOG_H
#define ORIORI_IO_LOG_H

#include "common/base/arena.h"
#include "common/base/span.h"
#include "common/io/world.h"

#include <stdint.h>

#define LOG_OFFSET_NONE      INT64_C(-1) /* never committed */
#define LOG_PARTITION_BY_KEY (-1)        /* (murmur2(key) & 0x7fffffff) % partitions; no key: any */
#define LOG_NO_TICKET        INT64_C(-1)

struct log_header {
    struct span name;
    struct span value;
};

struct log_record {
    int topic; /* index in the subscription; of a reader: -1 */
    int32_t partition;
    int64_t offset;
    int64_t timestamp; /* of the record, UTC ms; real time, never simulated */
    struct span key;
    struct span value;
    bool value_null; /* a tombstone; value is empty */
    const struct log_header *headers;
    size_t header_count;
};

struct log_partition {
    int topic;
    int32_t partition;
};

struct log_offset {
    int topic;
    int32_t partition;
    int64_t offset; /* next to read; LOG_OFFSET_NONE */
    struct span metadata;
};

enum log_happening {
    LOG_NOTHING, /* the timeout passed */
    LOG_RECORD,
    LOG_END,      /* at the end of `partition` (for a read-committed reader: the last stable offset) */
    LOG_ASSIGNED, /* the group gave us `partitions`, all of ours; nothing is read before log_assign */
    LOG_REVOKED,  /* all of ours are gone; no commit may follow (the group metadata is dropped) */
    LOG_BROKEN    /* `partition`'s next offset is gone (retention, truncation): reported once; stop its shard loudly */
};

struct log_event {
    enum log_happening happening;
    struct log_record record;
    struct log_partition partition;
    int64_t offset;                         /* LOG_END: the offset reached */
    const struct log_partition *partitions; /* LOG_ASSIGNED */
    size_t partition_count;
    int32_t generation; /* LOG_ASSIGNED: the group's, for people and epochs; never compared across epochs */
};

struct log_message {
    const char *topic; /* a name: also of topics outside the subscription */
    int32_t partition; /* or LOG_PARTITION_BY_KEY */
    int64_t timestamp; /* 0 = now */
    struct span key;   /* empty = none */
    struct span value;
    const struct log_header *headers;
    size_t header_count;
};

struct log_calls {
    /* ---- the group consumer ---- */
    /* One thing that happened, waiting up to timeout_ms (0 = do not wait). Must be called at least every second, also
     * while recovering. On LOG_ASSIGNED the implementation has assigned an empty list and taken the group metadata,
     * once; on LOG_REVOKED it has unassigned and dropped them. */
    enum world (*poll)(void *context, int32_t timeout_ms, struct log_event *ret_event);
    /* Replaces what is read: exactly these partitions from exactly these offsets. */
    enum world (*assign)(void *context, const struct log_offset *offsets, size_t count);
    /* Fills offset and metadata (in the arena) of each, read-committed: waits for an open transaction on them up to
     * timeout_ms, then WORLD_AGAIN. A partition whose answer has an error of its own fails the call; it is never shown
     * as "never committed". */
    enum world (*committed)(void *context, struct log_offset *offsets, size_t count, int32_t timeout_ms,
                            struct arena *arena);

    /* ---- topics ---- */
    enum world (*partition_count)(void *context, const char *topic, int32_t *ret_count); /* 0: no such topic */
    enum world (*watermarks)(void *context, const char *topic, int32_t partition, int64_t *ret_low, int64_t *ret_high);
    /* The end of a partition that is being read, as far as it is known without asking anybody; LOG_OFFSET_NONE = it is
     * not. For figures only. NULL: never known. */
    int64_t (*end)(void *context, int topic, int32_t partition);
    /* The first offset whose record is not older than timestamp; the high watermark when there is none. */
    enum world (*offset_at)(void *context, const char *topic, int32_t partition, int64_t timestamp,
                            int64_t *ret_offset);
    enum world (*delete_records)(void *context, const char *topic, int32_t partition, int64_t before_offset);
    enum world (*cluster_id)(void *context, struct arena *arena, struct span *ret_id);

    /* ---- the transactional producer ---- */
    /* Drops the producer there is, makes one with the handle's transactional id, init_transactions. To be called before
     * the first begin. */
    enum world (*producer_new)(void *context, int32_t timeout_ms);
    /* Fences whoever uses that transactional id and aborts what he has open (init_transactions on a throw-away
     * producer). Never the handle's own. */
    enum world (*fence)(void *context, struct span transactional_id, int32_t timeout_ms);
    enum world (*begin)(void *context);
    /* Queues one message; all bytes are copied. A full queue is served and tried again inside, never dropped.
     * ret_ticket (may be NULL) names the message for delivered_offset. */
    enum world (*produce)(void *context, const struct log_message *message, int64_t *ret_ticket);
    /* With the group metadata of the present assignment; without any: WORLD_RECOVER. count > 0 (none is a silent,
     * unfenced no-op in Kafka: a CHECK). */
    enum world (*send_offsets)(void *context, const struct log_offset *offsets, size_t count);
    /* Flushes and commits. Outcome unknown = WORLD_REPLACE. A message whose delivery failed = not committed. */
    enum world (*commit)(void *context);
    enum world (*abort)(void *context); /* fine when nothing is open */
    /* Where a message of the transaction just committed lies; valid until the next begin. A delivery report without an
     * offset: WORLD_RECOVER. */
    enum world (*delivered_offset)(void *context, int64_t ticket, int64_t *ret_offset);

    /* ---- the reader: group-less, read-committed, one partition at a time ---- */
    enum world (*reader_open)(void *context, const char *topic, int32_t partition, int64_t offset);
    enum world (*reader_next)(void *context, int32_t timeout_ms,
                              struct log_event *ret_event); /* RECORD, END, NOTHING, BROKEN */
    void (*reader_close)(void *context);                    /* fine when none is open */

    const char *(*error_text)(
        void *context);           /* of the last call that was not WORLD_DONE; borrowed until the next call */
    void (*close)(void *context); /* leaves the group (dynamic members), frees the handle */
};

struct log {
    const struct log_calls *calls;
    void *context;
};

WORLD_MUST_USE static inline enum world log_poll(struct log *log, int32_t timeout_ms, struct log_event *ret_event)
{
    return log->calls->poll(log->context, timeout_ms, ret_event);
}

WORLD_MUST_USE static inline enum world log_assign(struct log *log, const struct log_offset *offsets, size_t count)
{
    return log->calls->assign(log->context, offsets, count);
}

WORLD_MUST_USE static inline enum world log_committed(struct log *log, struct log_offset *offsets, size_t count,
                                                      int32_t timeout_ms, struct arena *arena)
{
    return log->calls->committed(log->context, offsets, count, timeout_ms, arena);
}

WORLD_MUST_USE static inline enum world log_partition_count(struct log *log, const char *topic, int32_t *ret_count)
{
    return log->calls->partition_count(log->context, topic, ret_count);
}

WORLD_MUST_USE static inline enum world log_watermarks(struct log *log, const char *topic, int32_t partition,
                                                       int64_t *ret_low, int64_t *ret_high)
{
    return log->calls->watermarks(log->context, topic, partition, ret_low, ret_high);
}

static inline int64_t log_end(const struct log *log, int topic, int32_t partition)
{
    return log->calls->end ? log->calls->end(log->context, topic, partition) : LOG_OFFSET_NONE;
}

WORLD_MUST_USE static inline enum world log_offset_at(struct log *log, const char *topic, int32_t partition,
                                                      int64_t timestamp, int64_t *ret_offset)
{
    return log->calls->offset_at(log->context, topic, partition, timestamp, ret_offset);
}

WORLD_MUST_USE static inline enum world log_delete_records(struct log *log, const char *topic, int32_t partition,
                                                           int64_t before_offset)
{
    return log->calls->delete_records(log->context, topic, partition, before_offset);
}

WORLD_MUST_USE static inline enum world log_cluster_id(struct log *log, struct arena *arena, struct span *ret_id)
{
    return log->calls->cluster_id(log->context, arena, ret_id);
}

WORLD_MUST_USE static inline enum world log_producer_new(struct log *log, int32_t timeout_ms)
{
    return log->calls->producer_new(log->context, timeout_ms);
}

WORLD_MUST_USE static inline enum world log_fence(struct log *log, struct span transactional_id, int32_t timeout_ms)
{
    return log->calls->fence(log->context, transactional_id, timeout_ms);
}

WORLD_MUST_USE static inline enum world log_begin(struct log *log)
{
    return log->calls->begin(log->context);
}

WORLD_MUST_USE static inline enum world log_produce(struct log *log, const struct log_message *message,
                                                    int64_t *ret_ticket)
{
    return log->calls->produce(log->context, message, ret_ticket);
}

WORLD_MUST_USE static inline enum world log_send_offsets(struct log *log, const struct log_offset *offsets,
                                                         size_t count)
{
    return log->calls->send_offsets(log->context, offsets, count);
}

WORLD_MUST_USE static inline enum world log_commit(struct log *log)
{
    return log->calls->commit(log->context);
}

WORLD_MUST_USE static inline enum world log_abort(struct log *log)
{
    return log->calls->abort(log->context);
}

WORLD_MUST_USE static inline enum world log_delivered_offset(struct log *log, int64_t ticket, int64_t *ret_offset)
{
    return log->calls->delivered_offset(log->context, ticket, ret_offset);
}

WORLD_MUST_USE static inline enum world log_reader_open(struct log *log, const char *topic, int32_t partition,
                                                        int64_t offset)
{
    return log->calls->reader_open(log->context, topic, partition, offset);
}

WORLD_MUST_USE static inline enum world log_reader_next(struct log *log, int32_t timeout_ms,
                                                        struct log_event *ret_event)
{
    return log->calls->reader_next(log->context, timeout_ms, ret_event);
}

static inline void log_reader_close(struct log *log)
{
    log->calls->reader_close(log->context);
}

static inline const char *log_error_text(struct log *log)
{
    return log->calls->error_text(log->context);
}

static inline void log_close(struct log *log)
{
    if (log->context)
        log->calls->close(log->context);
    log->context = NULL;
}

#endif
