#include "common/base/check.h"
#include "common/flow/batch.h"

static struct batch_source *batch_source_of(struct worker *worker, struct batch *batch, struct source *source)
{
    for (size_t i = 0; i < batch->source_count; i++)
        if (batch->sources[i].source == source)
            return &batch->sources[i];
    CHECK(batch->source_count < worker->source_count);
    struct batch_source *moved = &batch->sources[batch->source_count++];
    *moved = (struct batch_source){.source = source, .from = source->next};
    moved->lane.rank = source->topic;
    moved->lane.partition = source->partition;
    return moved;
}

static void record_add(struct arena *arena, struct batch_source *moved, const struct original *original)
{
    if (moved->record_count == moved->record_capacity) {
        moved->record_capacity = moved->record_capacity ? moved->record_capacity * 2 : 32;
        const struct original **records = ARENA_ARRAY(arena, const struct original *, moved->record_capacity);
        if (moved->record_count)
            memcpy(records, moved->records, moved->record_count * sizeof(*records));
        moved->records = records;
    }
    moved->records[moved->record_count++] = original;
}

static struct span copy_or_null(struct arena *arena, struct span bytes)
{
    return bytes.data ? arena_copy(arena, bytes) : SPAN_NONE;
}

/* Keeps the record for the batch: what poll gives is gone with the next poll. */
static struct original *original_keep(struct arena *arena, const char *topic, const struct log_record *record)
{
    struct original *original = ARENA_NEW(arena, struct original);
    struct header *headers = ARENA_ARRAY(arena, struct header, record->header_count);
    for (size_t i = 0; i < record->header_count; i++)
        headers[i] = (struct header){copy_or_null(arena, record->headers[i].name),
                                     copy_or_null(arena, record->headers[i].value)};
    *original = (struct original){.topic = span_of(topic),
                                  .partition = record->partition,
                                  .offset = record->offset,
                                  .timestamp = record->timestamp,
                                  .key = copy_or_null(arena, record->key),
                                  .value = record->value_null ? SPAN_NONE : arena_copy(arena, record->value),
                                  .headers = headers,
                                  .header_count = record->header_count};
    return original;
}

static void record_take(struct worker *worker, struct batch *batch, const struct log_record *record)
{
    struct source *source = worker_source(worker, record->topic, record->partition);
    if (!source || source->next == LOG_OFFSET_NONE || record->offset < source->next)
        return; /* left over from an earlier assignment */
    struct batch_source *moved = batch_source_of(worker, batch, source);
    record_add(&worker->arena, moved, original_keep(&worker->arena, source_topic_name(worker, record->topic), record));
    moved->next = record->offset + 1;
    source->at_end = false;
    batch->record_count++;
    batch->bytes += record->key.size + record->value.size;
}

/* Has another worker gone on meanwhile? One that was paused for long still asks for what the others have consumed, and
 * what is consumed may be deleted: then nothing is lost. WORLD_DONE: it is so still, the records are gone. */
static enum world second_look(struct worker *worker, const struct source *source)
{
    struct log_offset now = {.topic = source->topic, .partition = source->partition};
    enum world outcome = log_committed(worker->log, &now, 1, worker->config.wait_pending_ms, &worker->arena);
    if (outcome == WORLD_DONE && now.offset == source->next)
        return WORLD_DONE;
    return outcome == WORLD_DONE || outcome == WORLD_AGAIN ? WORLD_RECOVER : outcome;
}

/* What was lost at the end, others will fill up again: then the offset is there once more, and nobody would notice that
 * it means something else. The shard's view is marked, so that the next owner stops too. */
static enum world mark_if_cut(struct worker *worker, const struct source *source)
{
    int64_t low, high;
    enum world outcome =
        log_watermarks(worker->log, source_topic_name(worker, source->topic), source->partition, &low, &high);
    if (outcome != WORLD_DONE)
        return outcome == WORLD_AGAIN ? WORLD_RECOVER : outcome;
    return source->next > high ? shard_mark_lost(worker, &worker->shards[source->shard]) : WORLD_DONE;
}

/* Its shard stops, or if it has none, the partition alone: the others run on. Going on behind the gap is for people to
 * decide. */
static enum world partition_broken(struct worker *worker, const struct log_partition *partition)
{
    struct source *source = worker_source(worker, partition->topic, partition->partition);
    const char *name = source_topic_name(worker, partition->topic);
    char why[160];
    if (!source || source->next == LOG_OFFSET_NONE)
        return WORLD_DONE; /* left over from an earlier assignment */
    enum world outcome = second_look(worker, source);
    if (outcome == WORLD_DONE && source->shard >= 0)
        outcome = mark_if_cut(worker, source);
    if (outcome != WORLD_DONE)
        return outcome;
    snprintf(why, sizeof(why), "%s[%d]: the next offset %lld is gone (retention or truncation)", name,
             (int)partition->partition, (long long)source->next);
    worker->recover = true;
    if (source->shard >= 0) {
        shard_stop(worker, &worker->shards[source->shard], why);
        return WORLD_DONE;
    }
    source->broken = true;
    worker->counts.stopped_partitions++;
    worker_report(worker, REPORT_ERROR, "%s; this partition is not read any more", why);
    return WORLD_DONE;
}

static void end_note(struct worker *worker, const struct log_partition *partition)
{
    struct source *source = worker_source(worker, partition->topic, partition->partition);
    if (source)
        source->at_end = true;
}

/* False: the batch is over, or there is none. */
static bool happening_take(struct worker *worker, struct batch *batch, const struct log_event *event)
{
    switch (event->happening) {
    case LOG_RECORD:
        record_take(worker, batch, &event->record);
        return true;
    case LOG_END:
        end_note(worker, &event->partition);
        return true;
    case LOG_ASSIGNED:
    case LOG_REVOKED:
        worker_note_group(worker, event);
        return false;
    case LOG_BROKEN: /* flow_fetch has seen to it */
    case LOG_NOTHING:
        break;
    }
    return false;
}

static bool batch_full(const struct worker *worker, const struct batch *batch)
{
    return batch->record_count >= worker->batch_records || batch->bytes >= worker->config.batch_bytes_max;
}

/* A process young in timers visits them, and whom a sweep visits, in batches of their own, every other one: a fault is
 * then theirs alone. What is due goes before a sweep. */
static void timers_plan(struct worker *worker, struct batch *batch)
{
    bool due = false, sweeps = false;
    for (int32_t h = 0; h < worker->config.shard_count; h++) {
        due = due || shard_timers_due(worker, &worker->shards[h]);
        sweeps = sweeps || sweep_waits(worker, &worker->shards[h]);
    }
    batch->timers_only = worker->young_timers && worker->timers_turn && (due || sweeps);
    batch->timers_max = worker->young_timers ? 0 : worker->config.batch_timers_max;
    if (batch->timers_only)
        batch->timers_max = worker->timer_batch;
    batch->sweep_max = batch->timers_only && due ? 0 : batch->timers_max;
    worker->timers_turn = !batch->timers_only;
}

enum world flow_fetch(struct worker *worker, struct batch *batch)
{
    int32_t wait_ms = batch->wait_ms;
    int64_t begun_at = clock_monotonic(worker->clock);
    batch->sources = ARENA_ARRAY(&worker->arena, struct batch_source, worker->source_count);
    batch->shards = ARENA_ARRAY(&worker->arena, struct batch_shard, worker->config.shard_count);
    timers_plan(worker, batch);
    while (!batch->timers_only && !batch->unread) {
        struct log_event event;
        enum world outcome = log_poll(worker->log, wait_ms, &event);
        if (outcome == WORLD_AGAIN)
            return WORLD_DONE;
        if (outcome == WORLD_DONE && event.happening == LOG_BROKEN)
            outcome = partition_broken(worker, &event.partition);
        if (outcome != WORLD_DONE)
            return outcome;
        if (!happening_take(worker, batch, &event) || batch_full(worker, batch))
            break;
        int64_t left = worker->config.batch_wait_ms - (clock_monotonic(worker->clock) - begun_at);
        if (batch->record_count == 0)
            left = 0; /* an end of a partition was told: do not wait a second time */
        if (left < 0)
            break;
        wait_ms = (int32_t)left;
    }
    if (worker->recover || !worker->assigned) /* revoked in the middle: what was fetched is nobody's */
        batch->record_count = batch->source_count = 0;
    return WORLD_DONE;
}
