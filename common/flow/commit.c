#include "common/flow/batch.h"
#include "common/flow/control.h"

/* Every touched shard's crm.forward[h] is committed again with the new seq, moved or not: send_offsets without an
 * offset is a silent no-op, so a batch of timers alone would be unfenced. */
static size_t offsets_fill(struct worker *worker, const struct batch *batch, struct log_offset *offsets)
{
    size_t count = 0;
    for (size_t i = 0; i < batch->source_count; i++) {
        const struct batch_source *moved = &batch->sources[i];
        if (moved->source->topic != TOPIC_COUNT)
            offsets[count++] =
                (struct log_offset){moved->source->topic, moved->source->partition, moved->next, SPAN_NONE};
    }
    for (size_t i = 0; i < batch->shard_count; i++) {
        const struct batch_shard *touched = &batch->shards[i];
        const struct source *forward = worker_source(worker, TOPIC_COUNT, touched->shard->index);
        int64_t next = forward->next;
        for (size_t j = 0; j < batch->source_count; j++)
            if (batch->sources[j].source == forward)
                next = batch->sources[j].next;
        offsets[count++] = (struct log_offset){TOPIC_COUNT, touched->shard->index, next,
                                               seq_text(&worker->arena, touched->shard->seq + 1)};
    }
    return count;
}

/* ---- after the commit: what the batch has become ---- */

static void count_visit(struct flow_counts *counts, const struct customer_visit *visit)
{
    counts->timer_visits += visit->timer_only;
    counts->states += visit->result.changed;
    counts->unknown_time_zones += visit->result.unknown_time_zone_count;
    for (size_t i = 0; i < visit->event_count; i++)
        if (visit->items[i]->kind == ITEM_EVENT) /* a credit is no event (R84) */
            counts->verdicts[visit->result.results[i].verdict]++;
    for (const struct record *record = visit->result.records; record; record = record->next) {
        counts->transitions += record->type == RECORD_TRANSITION;
        counts->actions += record->type == RECORD_ACTION;
        counts->decisions += record->type == RECORD_DECISION;
    }
}

static void count_batch(struct flow_counts *counts, const struct batch *batch)
{
    counts->transactions++;
    counts->records += batch->record_count;
    counts->steps += batch->shard_count;
    for (const struct letter *letter = batch->letters; letter; letter = letter->next)
        counts->dead_letters++;
    for (const struct outgoing *out = batch->outgoing; out; out = out->next) {
        counts->forwarded_off_home += out->forward->kind == FORWARD_EVENT;
        counts->forwarded_credits += out->forward->kind == FORWARD_CREDIT;
    }
    for (size_t s = 0; s < batch->source_count; s++) {
        counts->without_events += batch->sources[s].without_events;
        for (size_t i = 0; i < batch->sources[s].lane.count; i++) {
            counts->undecodable += batch->sources[s].lane.items[i].kind == ITEM_DEAD;
            counts->controls += batch->sources[s].lane.items[i].kind == ITEM_CONTROL;
        }
    }
    for (size_t s = 0; s < batch->shard_count; s++)
        for (size_t i = 0; i < batch->shards[s].run.visit_count; i++)
            count_visit(counts, &batch->shards[s].run.visits[i]);
}

/* The playbook changes between two steps. One that is not in hand is read by the recovery: the shard waits for it. */
static void playbook_turn(struct worker *worker, struct shard *shard)
{
    char name[PLAYBOOK_SHORT_SIZE];
    const unsigned char *hash = shard->control.playbook_hash;
    if (memcmp(shard->world->playbook->hash, hash, sizeof(shard->control.playbook_hash)) == 0)
        return;
    worker_report(worker, REPORT_INFO, "shard %d: playbook %s (version %.*s, activation %lld) is in force from here on",
                  (int)shard->index, playbook_short(hash, name), (int)shard->control.playbook_version.size,
                  shard->control.playbook_version.data, (long long)shard->control.activation);
    shard->world = playbooks_find(&worker->playbooks, hash);
    if (shard->world)
        return;
    shard->phase = SHARD_WAITING;
    shard->retry_at = 0;
    worker->assign_stale = true;
}

static void adopt(struct worker *worker, struct batch *batch)
{
    for (size_t i = 0; i < batch->source_count; i++)
        batch->sources[i].source->next = batch->sources[i].next;
    for (size_t i = 0; i < batch->shard_count; i++) {
        struct batch_shard *touched = &batch->shards[i];
        struct shard *shard = touched->shard;
        struct control control = control_copy(&touched->control, &worker->arena); /* it may borrow from shard->memory */
        arena_reset(&shard->memory);
        shard->control = control_copy(&control, &shard->memory);
        shard->seq++;
        shard->clock = touched->now;
        pace_spend(worker, touched);
        sweep_advance(worker, touched);
        playbook_turn(worker, shard);
    }
    count_batch(&worker->counts, batch);
    measure_batch(worker, batch);
    trace_batch(worker, batch);
    worker->progress_at = clock_monotonic(worker->clock);
    batch_grow(worker, batch);
}

/* Where the last records of a shard lie that the view must know of. */
static enum world offsets_take(struct worker *worker, struct batch_shard *touched)
{
    enum world outcome = log_delivered_offset(worker->log, touched->meta_ticket, &touched->meta_offset);
    if (outcome == WORLD_DONE && touched->decision_ticket != LOG_NO_TICKET)
        outcome = log_delivered_offset(worker->log, touched->decision_ticket, &touched->decision_offset);
    return outcome;
}

enum world flow_commit(struct worker *worker, struct batch *batch)
{
    struct log_offset *offsets =
        ARENA_ARRAY(&worker->arena, struct log_offset, batch->source_count + batch->shard_count);
    size_t count = offsets_fill(worker, batch, offsets);
    enum world outcome;
    FLOW_INSIST(worker, outcome, log_send_offsets(worker->log, offsets, count));
    if (outcome != WORLD_DONE)
        return outcome;
    FLOW_INSIST(worker, outcome, log_commit(worker->log));
    if (outcome != WORLD_DONE)
        return outcome;
    for (size_t i = 0; i < batch->shard_count && outcome == WORLD_DONE; i++)
        outcome = offsets_take(worker, &batch->shards[i]);
    adopt(worker, batch);
    return outcome;
}
