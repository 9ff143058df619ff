/* The view follows the log, after the commit: if the epoch is mine and pos is where I left it. Whatever goes wrong here
 * is healed by the recovery, from crm.state. */
#include "common/flow/batch.h"

#include <stdio.h>

static void writes_fill(struct worker *worker, struct batch_shard *touched)
{
    struct store_write *writes = ARENA_ARRAY(&worker->arena, struct store_write, touched->run.visit_count);
    struct store_apply *apply = &touched->apply;
    int64_t wake_at = touched->load.next_wake_at;
    for (size_t i = 0; i < touched->run.visit_count; i++) {
        const struct customer_visit *visit = &touched->run.visits[i];
        const struct visit_result *result = &visit->result;
        if (span_empty(result->state) || !(result->changed || visit->due))
            continue; /* unchanged; a due one is written all the same: his entry in the index was spent or stale */
        writes[apply->write_count++] = (struct store_write){visit->customer_id, result->state, result->wake_at};
        if (result->wake_at != NEVER && (wake_at == NEVER || result->wake_at < wake_at))
            wake_at = result->wake_at;
    }
    apply->writes = writes;
    touched->shard->next_wake_at = wake_at;
}

/* A log never ends before where it ended once, unless it lost records: an unclean leader election, or a topic made anew
 * under the worker. The customers' records come right before `__meta`, or with a zombie's between them. */
static bool changelog_was_cut(const struct batch_shard *touched)
{
    return touched->meta_offset - (int64_t)touched->state_count < touched->shard->pos;
}

enum world shard_mark_lost(struct worker *worker, const struct shard *shard)
{
    struct store_apply apply = {.shard = shard->index,
                                .epoch = span_of(worker->epoch),
                                .pos_expected = shard->pos,
                                .pos = POS_OF_A_LOST_LOG,
                                .seq = shard->seq};
    enum world outcome;
    FLOW_INSIST(worker, outcome, store_apply(worker->store, &apply, 1));
    return outcome == WORLD_DONE && !apply.applied ? WORLD_RECOVER : outcome;
}

/* The view is the only one left that knows it: it is marked, so that the next owner does not read what came in the lost
 * records' place. */
static void cut_mark(struct worker *worker, struct batch_shard *touched)
{
    char why[200];
    snprintf(why, sizeof(why),
             "crm.state[%d] was cut: this step lies at %lld, the one before ended at %lld (unclean leader election, or "
             "the topic was made anew): records were lost",
             (int)touched->shard->index, (long long)touched->meta_offset, (long long)touched->shard->pos);
    touched->apply.pos = POS_OF_A_LOST_LOG;
    touched->apply.seq = touched->shard->seq - 1;
    touched->apply.last = SPAN_NONE;
    shard_stop(worker, touched->shard, why);
}

enum world flow_apply(struct worker *worker, struct batch *batch)
{
    struct store_apply *applies = ARENA_ARRAY(&worker->arena, struct store_apply, batch->shard_count);
    enum world outcome;
    if (batch->shard_count == 0)
        return WORLD_DONE;
    for (size_t i = 0; i < batch->shard_count; i++) {
        struct batch_shard *touched = &batch->shards[i];
        struct shard *shard = touched->shard;
        touched->apply = (struct store_apply){.shard = shard->index,
                                              .epoch = span_of(worker->epoch),
                                              .pos_expected = shard->pos,
                                              .pos = touched->meta_offset + 1,
                                              .seq = shard->seq,
                                              .last = touched->meta};
        if (changelog_was_cut(touched))
            cut_mark(worker, touched);
        else {
            writes_fill(worker, touched);
            history_apply(worker, touched);
        }
        shard->pos = touched->apply.pos;
        applies[i] = touched->apply;
    }
    FLOW_INSIST(worker, outcome, store_apply(worker->store, applies, batch->shard_count));
    for (size_t i = 0; i < batch->shard_count && outcome == WORLD_DONE; i++)
        if (!applies[i].applied)
            outcome = WORLD_RECOVER;
        else
            history_applied(&batch->shards[i]);
    return outcome;
}
