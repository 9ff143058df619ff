/* Home shards (DESIGN.md 2): a record is applied here only when its partition's number is its customer's home shard and
 * that shard is ours; all else goes to crm.forward[home], also when this worker owns that home: the result must not
 * depend on who owns what. */
#include "common/flow/batch.h"

static void forward_add(struct worker *worker, struct batch *batch, const struct item *item)
{
    struct forward *forward = ARENA_NEW(&worker->arena, struct forward);
    struct outgoing *outgoing = ARENA_NEW(&worker->arena, struct outgoing);
    forward->kind = FORWARD_EVENT;
    forward->original = *item->original;
    *outgoing = (struct outgoing){.shard = item->home, .customer_id = item->event.customer_id, .forward = forward};
    *batch->outgoing_end = outgoing;
    batch->outgoing_end = &outgoing->next;
}

/* A record of several events goes once to each of their homes. */
static bool forwarded_already(const struct lane *lane, const struct item *item)
{
    for (const struct item *before = item; before-- > lane->items && before->original == item->original;)
        if (before->away && before->home == item->home)
            return true;
    return false;
}

static void route_item(struct worker *worker, struct batch *batch, struct batch_source *moved, struct item *item)
{
    const struct source *source = moved->source;
    if (item->kind == ITEM_DEAD) {
        batch_letter_add(worker, batch, item->original, item->reason, item->field, item->message);
        return;
    }
    if (source->topic == TOPIC_COUNT || item->home == source->shard)
        return;
    if (!forwarded_already(&moved->lane, item))
        forward_add(worker, batch, item);
    item->away = true;
}

static void merge_shard(struct worker *worker, struct batch *batch, struct batch_shard *touched)
{
    struct lane *lanes = ARENA_ARRAY(&worker->arena, struct lane, batch->source_count);
    size_t count = 0;
    for (size_t i = 0; i < batch->source_count; i++)
        if (batch->sources[i].source->shard == touched->shard->index)
            lanes[count++] = batch->sources[i].lane;
    step_run_merge(&touched->run, &worker->arena, lanes, count);
    step_run_group(&touched->run, &worker->arena, worker->config.batch_timers_max * (touched->sweeps ? 2 : 1));
}

bool shard_timers_due(const struct worker *worker, const struct shard *shard)
{
    return shard->phase == SHARD_READY && shard->next_wake_at != NEVER && pace_lets(worker, shard) &&
           shard->next_wake_at <= shard_now(worker, shard);
}

struct batch_shard *batch_shard_of(struct worker *worker, struct batch *batch, int32_t shard)
{
    for (size_t i = 0; i < batch->shard_count; i++)
        if (batch->shards[i].shard->index == shard)
            return &batch->shards[i];
    struct batch_shard *touched = &batch->shards[batch->shard_count++];
    *touched = (struct batch_shard){.shard = &worker->shards[shard]};
    return touched;
}

/* Without records: a batch of timers alone is one shard's. */
static bool may_join(const struct batch *batch)
{
    return !batch->timers_only || batch->shard_count == 0;
}

enum world flow_route(struct worker *worker, struct batch *batch)
{
    for (size_t s = 0; s < batch->source_count; s++) {
        struct batch_source *moved = &batch->sources[s];
        for (size_t i = 0; i < moved->lane.count; i++)
            route_item(worker, batch, moved, &moved->lane.items[i]);
        if (moved->source->shard >= 0)
            batch_shard_of(worker, batch, moved->source->shard)->moved = true;
    }
    for (int32_t h = 0; h < worker->config.shard_count; h++) {
        if (batch->timers_max > 0 && may_join(batch) && shard_timers_due(worker, &worker->shards[h]))
            batch_shard_of(worker, batch, h);
        if (batch->sweep_max > 0 && may_join(batch) && sweep_waits(worker, &worker->shards[h]))
            batch_shard_of(worker, batch, h)->sweeps = true;
    }
    for (size_t i = 0; i < batch->shard_count; i++)
        merge_shard(worker, batch, &batch->shards[i]);
    return WORLD_DONE;
}
