/* After an activation each customer of the shard is visited once under the new playbook, in the order of ids, a portion
 * in each step: his waiting runs follow their `on_change` (R81), his classes are read anew, his wake-up is set. How far
 * it has come is in `__meta`, so whoever owns the shard goes on from there. A customer who has a record or a timer
 * before the sweep reaches him is migrated by that visit, first of all (step.c), and the sweep changes nothing more.
 *
 * Neither the log nor the store has an order of ids. So crm.state[h] is read once, a part of it in each turn, for the
 * ids behind the cursor; the smallest LIST_MAX are kept and sorted, and it is read again when they are used up. The
 * store is not asked: a view that is wiped or falls back in the middle could hide customers, the log cannot. Who is new
 * since the switch needs no visit, so the list must be of this very activation and be begun under this ownership. One
 * shard at a time is swept by a worker. */
#include "common/base/check.h"
#include "common/flow/batch.h"

#include <stdlib.h>

enum {
    LIST_MAX = 1000000, /* ids kept: some tens of megabytes */
    READ_MAX = 2000     /* records of crm.state read in one turn: other records wait meanwhile */
};

static struct shard *swept_shard(const struct worker *worker)
{
    for (int32_t h = 0; h < worker->config.shard_count; h++)
        if (worker->shards[h].phase == SHARD_READY && worker->shards[h].control.sweeping)
            return &worker->shards[h];
    return NULL;
}

/* The list is of this activation, and was begun after the last recovery. */
static bool list_is_of(const struct worker *worker, const struct shard *shard)
{
    const struct sweep *sweep = &worker->sweep;
    return sweep->begun && sweep->shard == shard->index && sweep->epoch_count == worker->epoch_count &&
           sweep->activation == shard->control.activation;
}

static void list_begin(struct worker *worker, const struct shard *shard)
{
    struct sweep *sweep = &worker->sweep;
    arena_reset(&sweep->memory);
    arena_reset(&sweep->spare);
    sweep->begun = true;
    sweep->listed = sweep->cut = false;
    sweep->shard = shard->index;
    sweep->epoch_count = worker->epoch_count;
    sweep->activation = shard->control.activation;
    sweep->count = sweep->at = 0;
    sweep->next = LOG_OFFSET_NONE;
    sweep->end = shard->pos;
    sweep->retry_at = 0;
}

/* ---- the list ---- */

static int id_order(const void *left, const void *right)
{
    return span_compare(*(const struct span *)left, *(const struct span *)right);
}

/* Sorted, without doubles, and no more than the smallest LIST_MAX; what is kept moves to the spare arena. */
static void list_tidy(struct sweep *sweep)
{
    size_t kept = 0;
    if (sweep->count)
        qsort(sweep->ids, sweep->count, sizeof(*sweep->ids), id_order);
    for (size_t i = 0; i < sweep->count && kept < LIST_MAX; i++)
        if (kept == 0 || !span_equal(sweep->ids[kept - 1], sweep->ids[i]))
            sweep->ids[kept++] = sweep->ids[i];
    sweep->cut = sweep->cut || (kept == LIST_MAX && sweep->count > kept);
    for (size_t i = 0; i < kept; i++)
        sweep->ids[i] = arena_copy(&sweep->spare, sweep->ids[i]);
    struct arena spare = sweep->memory;
    sweep->memory = sweep->spare;
    sweep->spare = spare;
    arena_reset(&sweep->spare);
    sweep->count = kept;
}

static void list_add(struct sweep *sweep, struct span id)
{
    if (sweep->count == sweep->capacity) {
        sweep->capacity = sweep->capacity ? sweep->capacity * 2 : 1024;
        sweep->ids = realloc(sweep->ids, sweep->capacity * sizeof(*sweep->ids));
        CHECK(sweep->ids);
    }
    sweep->ids[sweep->count++] = arena_copy(&sweep->memory, id);
    if (sweep->count == 2 * (size_t)LIST_MAX)
        list_tidy(sweep);
}

/* The next part of crm.state[h]; listed when everything up to the shard's place at the list's begin was read. */
static enum world read_part(struct worker *worker, const struct shard *shard)
{
    struct sweep *sweep = &worker->sweep;
    for (int i = 0; i < READ_MAX && !sweep->listed; i++) {
        struct log_event event;
        enum world outcome;
        FLOW_INSIST(worker, outcome, log_reader_next(worker->log, worker->config.call_timeout_ms, &event));
        if (outcome != WORLD_DONE)
            return outcome;
        if (event.happening != LOG_RECORD && event.happening != LOG_END)
            return event.happening == LOG_BROKEN ? WORLD_RECOVER : WORLD_DONE;
        sweep->next = event.happening == LOG_RECORD ? event.record.offset + 1 : event.offset;
        if (event.happening == LOG_RECORD && span_compare(event.record.key, shard->control.swept) > 0 &&
            !span_equal(event.record.key, meta_key()))
            list_add(sweep, event.record.key);
        sweep->listed = sweep->next >= sweep->end;
        if (event.happening == LOG_END && !sweep->listed) { /* a marker is late, or a dead owner's transaction open */
            sweep->retry_at = clock_monotonic(worker->clock) + worker->config.backoff_ms;
            return WORLD_DONE;
        }
    }
    if (sweep->listed)
        list_tidy(sweep);
    worker->progress_at = clock_monotonic(worker->clock);
    return WORLD_DONE;
}

static enum world list_read_on(struct worker *worker, const struct shard *shard)
{
    const char *topic = worker->config.state_topic;
    struct sweep *sweep = &worker->sweep;
    enum world outcome = WORLD_DONE;
    int64_t high;
    if (sweep->next == LOG_OFFSET_NONE)
        FLOW_INSIST(worker, outcome, log_watermarks(worker->log, topic, shard->index, &sweep->next, &high));
    if (outcome != WORLD_DONE)
        return outcome;
    FLOW_INSIST(worker, outcome, log_reader_open(worker->log, topic, shard->index, sweep->next));
    if (outcome == WORLD_DONE)
        outcome = read_part(worker, shard);
    log_reader_close(worker->log);
    return outcome;
}

enum world flow_sweep(struct worker *worker, struct batch *batch)
{
    const struct shard *shard = swept_shard(worker);
    if (!shard || batch->noted)
        return WORLD_DONE;
    if (!list_is_of(worker, shard) || (worker->sweep.cut && worker->sweep.at == worker->sweep.count))
        list_begin(worker, shard);
    bool waits = worker->sweep.listed || clock_monotonic(worker->clock) < worker->sweep.retry_at;
    return waits ? WORLD_DONE : list_read_on(worker, shard);
}

int64_t sweep_idle(const struct worker *worker)
{
    const struct shard *shard = swept_shard(worker);
    int64_t left = worker->sweep.retry_at - clock_monotonic(worker->clock);
    if (!shard)
        return INT64_MAX;
    if (list_is_of(worker, shard) && !worker->sweep.listed)
        return left > 0 ? left : 0;
    return pace_wait(worker, shard);
}

/* ---- a step's portion ---- */

bool sweep_waits(const struct worker *worker, const struct shard *shard)
{
    return shard->phase == SHARD_READY && shard->control.sweeping && pace_lets(worker, shard) &&
           list_is_of(worker, shard) && worker->sweep.listed;
}

void sweep_take(struct worker *worker, struct batch_shard *touched, size_t most)
{
    const struct sweep *sweep = &worker->sweep;
    const struct control *before = &touched->shard->control;
    if (!touched->sweeps || memcmp(touched->control.playbook_hash, before->playbook_hash, 32) != 0) {
        touched->sweeps = false; /* this very step ends the playbook: the next one's sweep begins anew */
        return;
    }
    size_t left = sweep->count - sweep->at;
    touched->sweep_ids = sweep->ids + sweep->at;
    touched->sweep_count = left < most ? left : most;
    touched->control.sweeping = touched->sweep_count < left || sweep->cut;
    touched->control.swept = SPAN_NONE;
    if (touched->control.sweeping)
        touched->control.swept = touched->sweep_count ? touched->sweep_ids[touched->sweep_count - 1] : before->swept;
}

/* Those not visited come behind all who were: the cursor stands before the first of them. */
void sweep_cut(struct batch_shard *touched)
{
    size_t done = 0;
    if (!touched->sweeps)
        return;
    while (done < touched->sweep_count && step_run_find(&touched->run, touched->sweep_ids[done]))
        done++;
    if (done == touched->sweep_count)
        return;
    touched->sweep_count = done;
    touched->control.sweeping = true;
    touched->control.swept = done ? touched->sweep_ids[done - 1] : touched->shard->control.swept;
}

void sweep_advance(struct worker *worker, const struct batch_shard *touched)
{
    char name[PLAYBOOK_SHORT_SIZE];
    if (!touched->sweeps)
        return;
    worker->sweep.at += touched->sweep_count;
    worker->counts.swept += touched->sweep_count;
    if (touched->control.sweeping)
        return;
    worker->sweep.begun = false;
    worker_report(worker, REPORT_INFO, "shard %d: all its customers are under playbook %s now",
                  (int)touched->shard->index, playbook_short(touched->control.playbook_hash, name));
}
