#include "common/flow/batch.h"

static void mark_drop_oldest(struct shard *shard)
{
    shard->mark_count--;
    memmove(shard->marks, shard->marks + 1, shard->mark_count * sizeof(shard->marks[0]));
}

/* A restart forgets the marks: then what is old is only kept a while longer. */
static void mark_add(struct shard *shard, int64_t now, int64_t offset, int64_t keep_ms)
{
    const struct trim_mark *last = shard->mark_count ? &shard->marks[shard->mark_count - 1] : NULL;
    if (last && (now - last->at < keep_ms / TRIM_MARKS || last->offset == offset))
        return;
    if (shard->mark_count == TRIM_MARKS)
        mark_drop_oldest(shard);
    shard->marks[shard->mark_count++] = (struct trim_mark){now, offset};
}

static void shard_trim(struct worker *worker, struct shard *shard, int64_t now)
{
    const struct trim_mark *oldest = &shard->marks[0];
    if (shard->mark_count == 0 || now - oldest->at < worker->config.forward_keep_ms)
        return;
    enum world outcome = log_delete_records(worker->log, worker->config.forward_topic, shard->index, oldest->offset);
    if (outcome != WORLD_DONE)
        worker_report(worker, REPORT_WARNING, "shard %d: its consumed forwards cannot be deleted just now: %s",
                      (int)shard->index, log_error_text(worker->log));
    mark_drop_oldest(shard); /* also after a failure: the next mark deletes these too */
}

void worker_trim(struct worker *worker)
{
    int64_t now = clock_monotonic(worker->clock);
    for (int32_t h = 0; worker->config.forward_keep_ms > 0 && h < worker->config.shard_count; h++) {
        struct shard *shard = &worker->shards[h];
        const struct source *source = shard->phase == SHARD_READY ? worker_source(worker, TOPIC_COUNT, h) : NULL;
        if (!source || source->next == LOG_OFFSET_NONE)
            continue;
        shard_trim(worker, shard, now);
        mark_add(shard, now, source->next, worker->config.forward_keep_ms);
    }
}
