#include "common/base/hash.h"
#include "common/flow/batch.h"

#include <stdio.h>

/* R2: T = max(last T + 1 ms, wall), read once after load; with clock_input the wall is the shard's latest tick. */
static int64_t step_now(const struct worker *worker, const struct batch_shard *touched, int64_t wall_ms)
{
    int64_t now = worker->config.clock_input ? touched->control.tick_at : wall_ms;
    return now > touched->shard->clock ? now : touched->shard->clock + 1;
}

/* One letter is enough for a record of several events. */
static bool letter_written(const struct batch *batch, const struct item *item)
{
    for (const struct letter *letter = batch->letters; item->several && letter; letter = letter->next)
        if (letter->original == item->original)
            return true;
    return false;
}

/* What the engine refused becomes a dead letter of the same transaction (R6, R11). */
static void letters_add(struct worker *worker, struct batch *batch, const struct customer_visit *visit)
{
    for (size_t i = 0; i < visit->event_count; i++) {
        const struct event_result *result = &visit->result.results[i];
        bool lost = visit->items[i]->kind == ITEM_EVENT || result->reason == REASON_QUARANTINED; /* a credit too */
        if (result->verdict == VERDICT_DEAD && lost && !letter_written(batch, visit->items[i]))
            batch_letter_add(worker, batch, visit->items[i]->original, result->reason, result->field, SPAN_NONE);
    }
}

/* What the step means for other customers (R30) goes the forward road, also when their home is this shard. */
static void credits_add(struct worker *worker, struct batch *batch, const struct customer_visit *visit)
{
    for (const struct credit_out *credit = visit->result.credits; credit; credit = credit->next) {
        struct forward *forward = ARENA_NEW(&worker->arena, struct forward);
        struct outgoing *outgoing = ARENA_NEW(&worker->arena, struct outgoing);
        struct span referrer = credit->event.customer_id;
        forward->kind = FORWARD_CREDIT;
        forward->credit = credit->event;
        if (visit->event_count) { /* where it came from, for people: coordinates, no bytes; and its trace */
            const struct original *cause = visit->items[visit->event_count - 1]->original;
            forward->original = (struct original){.topic = cause->topic,
                                                  .partition = cause->partition,
                                                  .offset = cause->offset,
                                                  .timestamp = cause->timestamp};
            forward->original.headers =
                trace_headers(credit->event.trace, &worker->arena, &forward->original.header_count);
        }
        *outgoing = (struct outgoing){.customer_id = referrer, .forward = forward};
        outgoing->shard = (int32_t)hash_home_shard(referrer, (uint32_t)worker->config.shard_count);
        *batch->outgoing_end = outgoing;
        batch->outgoing_end = &outgoing->next;
    }
}

/* The state that is to blame, as a record of crm.state: whoever redrives the letter ends the quarantine. */
static void state_letter_add(struct worker *worker, struct batch *batch, const struct batch_shard *touched,
                             const struct customer_visit *visit)
{
    struct original *original = ARENA_NEW(&worker->arena, struct original);
    *original = (struct original){.topic = span_of(worker->config.state_topic),
                                  .partition = touched->shard->index,
                                  .offset = -1,
                                  .timestamp = touched->now,
                                  .key = visit->customer_id,
                                  .value = visit->state};
    batch_letter_add(worker, batch, original, REASON_QUARANTINED, NULL,
                     SPAN("the worker ended each time it visited this customer; redriven, he is visited again"));
}

static enum world decide_shard(struct worker *worker, struct batch *batch, struct batch_shard *touched)
{
    struct span customer;
    struct step_run *run = &touched->run;
    size_t wanted = run->visit_count;
    if (!step_run_decide(run, &worker->arena, &worker->config.engine, touched->shard->world, &touched->control,
                         touched->now, pace_sends_max(worker, touched->shard), &customer)) {
        char why[256];
        snprintf(why, sizeof(why),
                 "the stored state of customer %.*s is none that this program reads: damaged, or of a newer version",
                 (int)(customer.size < 128 ? customer.size : 128), customer.data);
        shard_stop(worker, touched->shard, why);
        return WORLD_RECOVER;
    }
    if (!pace_decided(worker, batch, touched, wanted - run->visit_count))
        return WORLD_AGAIN;
    for (size_t i = 0; i < run->visit_count; i++) {
        if (run->visits[i].quarantine && run->visits[i].result.changed)
            state_letter_add(worker, batch, touched, &run->visits[i]);
        letters_add(worker, batch, &run->visits[i]);
        credits_add(worker, batch, &run->visits[i]);
    }
    return WORLD_DONE;
}

/* Overflow is sticky and means a smaller batch; one record alone must pass. */
static bool too_much(struct worker *worker, const struct batch *batch)
{
    bool single = batch->record_count <= 1 && worker->batch_records <= 1;
    if (!worker->arena.overflow || single)
        return false;
    worker->batch_records = worker->batch_records > 1 ? worker->batch_records / 2 : 1;
    return true;
}

enum world flow_decide(struct worker *worker, struct batch *batch)
{
    int64_t wall_ms = clock_wall(worker->clock);
    for (size_t i = 0; i < batch->shard_count; i++) {
        struct batch_shard *touched = &batch->shards[i];
        touched->now = step_now(worker, touched, wall_ms);
        enum world outcome = decide_shard(worker, batch, touched);
        if (outcome != WORLD_DONE)
            return outcome;
    }
    return too_much(worker, batch) ? WORLD_AGAIN : WORLD_DONE;
}
