/* The view follows the log, after the commit: if the epoch is mine and pos is where I left it. Whatever goes wrong here
 * is healed by the recovery, from crm.state. */
#include "common/flow/batch.h"

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
        writes_fill(worker, touched);
        shard->pos = touched->apply.pos;
        applies[i] = touched->apply;
    }
    FLOW_INSIST(worker, outcome, store_apply(worker->store, applies, batch->shard_count));
    for (size_t i = 0; i < batch->shard_count && outcome == WORLD_DONE; i++)
        if (!applies[i].applied)
            outcome = WORLD_RECOVER;
    return outcome;
}
