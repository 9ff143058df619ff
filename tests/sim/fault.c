#include "tests/sim/fault.h"

/* Asks, passes the call on or not; ends the function with the fault's answer, or leaves `outcome`. `failure` is what
 * the call says when it fails: what its library's code would be sorted into. */
#define PASS(name, kind, failure, call)                                                                                \
    struct faults *faults = context;                                                                                   \
    if (faults->dead)                                                                                                  \
        return WORLD_STOP;                                                                                             \
    kind = faults->next(faults->context, name);                                                                        \
    faults->dead = kind == FAULT_DIE_BEFORE;                                                                           \
    if (faults->dead)                                                                                                  \
        return WORLD_STOP;                                                                                             \
    if (kind == FAULT_FAIL)                                                                                            \
        return failure;                                                                                                \
    enum world outcome = call;                                                                                         \
    if (faults->done)                                                                                                  \
        faults->done(faults->context, name, kind, outcome);                                                            \
    faults->dead = kind == FAULT_DIE_AFTER;                                                                            \
    if (faults->dead)                                                                                                  \
    return WORLD_STOP

#define THROUGH(name, failure, call)                                                                                   \
    do {                                                                                                               \
        enum fault_kind kind;                                                                                          \
        PASS(name, kind, failure, call);                                                                               \
        return kind == FAULT_LIE ? failure : outcome;                                                                  \
    } while (0)

/* What the group says is never lost: a client library keeps it until it is taken. */
static enum world poll_or_lie(struct faults *faults, enum fault_kind kind, int32_t timeout_ms,
                              struct log_event *ret_event)
{
    enum world outcome = log_poll(&faults->log, timeout_ms, ret_event);
    bool record = outcome == WORLD_DONE && ret_event->happening == LOG_RECORD;
    return kind == FAULT_LIE && record ? WORLD_RECOVER : outcome;
}

static enum world faulty_poll(void *context, int32_t timeout_ms, struct log_event *ret_event)
{
    enum fault_kind kind;
    PASS("log.poll", kind, WORLD_RECOVER, poll_or_lie(faults, kind, timeout_ms, ret_event));
    return outcome;
}

static enum world faulty_assign(void *context, const struct log_offset *offsets, size_t count)
{
    THROUGH("log.assign", WORLD_RECOVER, log_assign(&faults->log, offsets, count));
}

static enum world faulty_committed(void *context, struct log_offset *offsets, size_t count, int32_t timeout_ms,
                                   struct arena *arena)
{
    THROUGH("log.committed", WORLD_AGAIN, log_committed(&faults->log, offsets, count, timeout_ms, arena));
}

static enum world faulty_partition_count(void *context, const char *topic, int32_t *ret_count)
{
    THROUGH("log.partition_count", WORLD_AGAIN, log_partition_count(&faults->log, topic, ret_count));
}

static enum world faulty_watermarks(void *context, const char *topic, int32_t partition, int64_t *ret_low,
                                    int64_t *ret_high)
{
    THROUGH("log.watermarks", WORLD_AGAIN, log_watermarks(&faults->log, topic, partition, ret_low, ret_high));
}

static enum world faulty_offset_at(void *context, const char *topic, int32_t partition, int64_t timestamp,
                                   int64_t *ret_offset)
{
    THROUGH("log.offset_at", WORLD_AGAIN, log_offset_at(&faults->log, topic, partition, timestamp, ret_offset));
}

static enum world faulty_delete_records(void *context, const char *topic, int32_t partition, int64_t before_offset)
{
    THROUGH("log.delete_records", WORLD_AGAIN, log_delete_records(&faults->log, topic, partition, before_offset));
}

static enum world faulty_cluster_id(void *context, struct arena *arena, struct span *ret_id)
{
    THROUGH("log.cluster_id", WORLD_AGAIN, log_cluster_id(&faults->log, arena, ret_id));
}

static enum world faulty_producer_new(void *context, int32_t timeout_ms)
{
    THROUGH("log.producer_new", WORLD_AGAIN, log_producer_new(&faults->log, timeout_ms));
}

static enum world faulty_fence(void *context, struct span transactional_id, int32_t timeout_ms)
{
    THROUGH("log.fence", WORLD_AGAIN, log_fence(&faults->log, transactional_id, timeout_ms));
}

static enum world faulty_begin(void *context)
{
    THROUGH("log.begin", WORLD_RECOVER, log_begin(&faults->log));
}

static enum world faulty_produce(void *context, const struct log_message *message, int64_t *ret_ticket)
{
    ((struct faults *)context)->message = message;
    THROUGH("log.produce", WORLD_RECOVER, log_produce(&faults->log, message, ret_ticket));
}

static enum world faulty_send_offsets(void *context, const struct log_offset *offsets, size_t count)
{
    THROUGH("log.send_offsets", WORLD_RECOVER, log_send_offsets(&faults->log, offsets, count));
}

static enum world faulty_commit(void *context)
{
    THROUGH("log.commit", WORLD_REPLACE, log_commit(&faults->log));
}

static enum world faulty_abort(void *context)
{
    THROUGH("log.abort", WORLD_REPLACE, log_abort(&faults->log));
}

static enum world faulty_delivered_offset(void *context, int64_t ticket, int64_t *ret_offset)
{
    THROUGH("log.delivered_offset", WORLD_RECOVER, log_delivered_offset(&faults->log, ticket, ret_offset));
}

static enum world faulty_reader_open(void *context, const char *topic, int32_t partition, int64_t offset)
{
    THROUGH("log.reader_open", WORLD_RECOVER, log_reader_open(&faults->log, topic, partition, offset));
}

static enum world faulty_reader_next(void *context, int32_t timeout_ms, struct log_event *ret_event)
{
    THROUGH("log.reader_next", WORLD_RECOVER, log_reader_next(&faults->log, timeout_ms, ret_event));
}

static void faulty_reader_close(void *context)
{
    struct faults *faults = context;
    if (!faults->dead)
        log_reader_close(&faults->log);
}

static const char *faulty_log_text(void *context)
{
    struct faults *faults = context;
    return faults->dead ? "dead" : log_error_text(&faults->log);
}

static void faulty_close(void *context)
{
    (void)context; /* the real ones are closed, or abandoned, by who made them */
}

static enum world faulty_take(void *context, int32_t shard, struct span epoch, struct span owner, struct span identity,
                              struct arena *arena, struct store_meta *ret_before)
{
    THROUGH("store.take", WORLD_RECOVER, store_take(&faults->store, shard, epoch, owner, identity, arena, ret_before));
}

static enum world faulty_meta(void *context, int32_t shard, struct arena *arena, struct store_meta *ret_meta)
{
    THROUGH("store.meta", WORLD_RECOVER, store_read_meta(&faults->store, shard, arena, ret_meta));
}

static enum world faulty_load(void *context, struct store_load *loads, size_t count, struct arena *arena,
                              int64_t *ret_server_ms)
{
    THROUGH("store.load", WORLD_RECOVER, store_load(&faults->store, loads, count, arena, ret_server_ms));
}

/* An apply that was refused is an answer like any other; who looks on must see it. */
static enum world apply_told(struct faults *faults, struct store_apply *applies, size_t count)
{
    enum world outcome = store_apply(&faults->store, applies, count);
    for (size_t i = 0; faults->done && outcome == WORLD_DONE && i < count; i++)
        if (!applies[i].applied)
            faults->done(faults->context, "store.apply.refused", FAULT_NONE, WORLD_DONE);
    return outcome;
}

static enum world faulty_apply(void *context, struct store_apply *applies, size_t count)
{
    THROUGH("store.apply", WORLD_RECOVER, apply_told(faults, applies, count));
}

static enum world faulty_drop(void *context, int32_t shard)
{
    THROUGH("store.drop", WORLD_RECOVER, store_drop(&faults->store, shard));
}

static enum world faulty_customer(void *context, int32_t shard, struct span customer_id, struct arena *arena,
                                  struct span *ret_state)
{
    THROUGH("store.customer", WORLD_RECOVER, store_customer(&faults->store, shard, customer_id, arena, ret_state));
}

static enum world faulty_history(void *context, int32_t shard, struct span customer_id, size_t max, struct arena *arena,
                                 struct span **ret_values, size_t *ret_count)
{
    THROUGH("store.history", WORLD_RECOVER,
            store_history(&faults->store, shard, customer_id, max, arena, ret_values, ret_count));
}

static enum world faulty_note_read(void *context, int32_t shard, struct span name, struct arena *arena,
                                   struct span *ret_text)
{
    THROUGH("store.note_read", WORLD_RECOVER, store_note_read(&faults->store, shard, name, arena, ret_text));
}

static enum world faulty_note_write(void *context, int32_t shard, struct span name, struct span text)
{
    THROUGH("store.note_write", WORLD_RECOVER, store_note_write(&faults->store, shard, name, text));
}

static enum world faulty_check(void *context)
{
    THROUGH("store.check", WORLD_AGAIN, store_check(&faults->store));
}

static const char *faulty_store_text(void *context)
{
    struct faults *faults = context;
    return faults->dead ? "dead" : store_error_text(&faults->store);
}

static const struct log_calls log_calls = {
    .poll = faulty_poll,
    .assign = faulty_assign,
    .committed = faulty_committed,
    .partition_count = faulty_partition_count,
    .watermarks = faulty_watermarks,
    .offset_at = faulty_offset_at,
    .delete_records = faulty_delete_records,
    .cluster_id = faulty_cluster_id,
    .producer_new = faulty_producer_new,
    .fence = faulty_fence,
    .begin = faulty_begin,
    .produce = faulty_produce,
    .send_offsets = faulty_send_offsets,
    .commit = faulty_commit,
    .abort = faulty_abort,
    .delivered_offset = faulty_delivered_offset,
    .reader_open = faulty_reader_open,
    .reader_next = faulty_reader_next,
    .reader_close = faulty_reader_close,
    .error_text = faulty_log_text,
    .close = faulty_close,
};

static const struct store_calls store_calls = {
    .take = faulty_take,
    .meta = faulty_meta,
    .load = faulty_load,
    .apply = faulty_apply,
    .drop = faulty_drop,
    .customer = faulty_customer,
    .history = faulty_history,
    .note_read = faulty_note_read,
    .note_write = faulty_note_write,
    .check = faulty_check,
    .error_text = faulty_store_text,
    .close = faulty_close,
};

struct log log_faulty(struct faults *faults)
{
    return (struct log){&log_calls, faults};
}

struct store store_faulty(struct faults *faults)
{
    return (struct store){&store_calls, faults};
}
