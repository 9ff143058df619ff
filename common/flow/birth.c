/* A shard is born by one transaction: `__meta` with seq 1, and committed offsets for all its sources. And what birth,
 * publish and recovery share about `__meta`. */
#include "common/flow/batch.h"
#include "common/flow/control.h"

#include <stdio.h>

struct span meta_key(void)
{
    return (struct span){"\0", 1}; /* ids cannot contain it */
}

struct span seq_text(struct arena *arena, int64_t seq)
{
    char text[32];
    int size = snprintf(text, sizeof(text), "seq=%lld", (long long)seq);
    return arena_copy(arena, (struct span){text, (size_t)size});
}

bool seq_parse(struct span text, int64_t *ret_seq)
{
    int64_t seq = 0;
    if (text.size < 5 || text.size > 4 + 18 || memcmp(text.data, "seq=", 4) != 0)
        return false;
    for (size_t i = 4; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        seq = seq * 10 + (text.data[i] - '0');
    }
    *ret_seq = seq;
    return true;
}

void shard_meta(const struct worker *worker, const struct shard *shard, int64_t seq, int64_t now,
                const struct control *control, struct arena *arena, struct meta *ret_meta)
{
    struct input_offset *inputs = ARENA_ARRAY(arena, struct input_offset, worker->source_count + 1);
    *ret_meta = (struct meta){.shard = shard->index,
                              .seq = seq,
                              .clock = now,
                              .playbook_version = control->playbook_version,
                              .shard_count = worker->config.shard_count,
                              .application_id = worker->config.application_id,
                              .cluster_id = worker->cluster_id,
                              .inputs = inputs,
                              .pause_marketing = control->pause_marketing,
                              .paused_rules = control->rules,
                              .paused_rule_count = control->rule_count,
                              .activation = control->activation,
                              .sweeping = control->sweeping,
                              .swept = control->swept};
    memcpy(ret_meta->playbook_hash, control->playbook_hash, sizeof(ret_meta->playbook_hash));
    for (size_t i = 0; i < worker->source_count; i++) {
        const struct source *source = &worker->sources[i];
        if (source->shard != shard->index)
            continue;
        if (source->topic == TOPIC_COUNT)
            ret_meta->forward_next = source->next;
        else
            inputs[ret_meta->input_count++] = (struct input_offset){span_of(source_topic_name(worker, source->topic)),
                                                                    source->partition, source->next};
    }
}

enum world source_start(struct worker *worker, const struct source *source, int64_t *ret_offset)
{
    const char *topic = source_topic_name(worker, source->topic);
    int64_t low, high;
    enum world outcome = log_watermarks(worker->log, topic, source->partition, &low, &high);
    if (outcome != WORLD_DONE)
        return outcome;
    *ret_offset = low;
    if (source->topic == TOPIC_COUNT)
        return WORLD_DONE; /* forwards are never skipped */
    if (worker->config.start == START_LATEST)
        *ret_offset = high;
    if (worker->config.start == START_TIMESTAMP)
        outcome = log_offset_at(worker->log, topic, source->partition, worker->config.start_ms, ret_offset);
    return outcome;
}

static enum world birth_starts(struct worker *worker, const struct shard *shard, struct log_offset *offsets,
                               size_t *ret_count)
{
    size_t count = 0;
    for (size_t i = 0; i < worker->source_count; i++) {
        struct source *source = &worker->sources[i];
        if (source->shard != shard->index)
            continue;
        enum world outcome;
        FLOW_INSIST(worker, outcome, source_start(worker, source, &source->next));
        if (outcome != WORLD_DONE)
            return outcome;
        struct span metadata = source->topic == TOPIC_COUNT ? seq_text(&worker->arena, 1) : SPAN_NONE;
        offsets[count++] = (struct log_offset){source->topic, source->partition, source->next, metadata};
    }
    *ret_count = count;
    return WORLD_DONE;
}

static enum world birth_transaction(struct worker *worker, const struct shard *shard, const struct log_offset *offsets,
                                    size_t count, struct span value, int64_t *ret_offset)
{
    struct log_message message = {
        .topic = worker->config.state_topic, .partition = shard->index, .key = meta_key(), .value = value};
    int64_t ticket = LOG_NO_TICKET;
    enum world outcome;
    FLOW_INSIST(worker, outcome, log_begin(worker->log));
    if (outcome == WORLD_DONE)
        FLOW_INSIST(worker, outcome, log_produce(worker->log, &message, &ticket));
    if (outcome == WORLD_DONE)
        FLOW_INSIST(worker, outcome, log_send_offsets(worker->log, offsets, count));
    if (outcome == WORLD_DONE)
        FLOW_INSIST(worker, outcome, log_commit(worker->log));
    if (outcome == WORLD_DONE)
        outcome = log_delivered_offset(worker->log, ticket, ret_offset);
    return outcome;
}

/* Without a playbook that people have chosen: the shard waits for one. Where there is no other cluster's life to go on
 * with, nothing in crm.playbook, nobody is served by waiting. */
static enum world birth_refuse(struct worker *worker, struct shard *shard)
{
    int64_t low, high;
    enum world outcome;
    FLOW_INSIST(worker, outcome, log_watermarks(worker->log, worker->config.playbook_topic, 0, &low, &high));
    if (outcome != WORLD_DONE)
        return outcome;
    if (low == high) {
        worker_report(worker, REPORT_ERROR, "no shard can be born: %s; and %s holds no other playbook",
                      worker->config.playbook_refusal, worker->config.playbook_topic);
        return WORLD_STOP;
    }
    snprintf(shard->trouble, sizeof(shard->trouble), "it is not born yet, and cannot be: %s",
             worker->config.playbook_refusal);
    worker_report(worker, REPORT_WARNING, "shard %d waits: %s", (int)shard->index, shard->trouble);
    worker->progress_at = clock_monotonic(worker->clock); /* for people: the watchdog's restart would mend nothing */
    return WORLD_AGAIN;
}

enum world shard_birth(struct worker *worker, struct shard *shard)
{
    if (worker->config.playbook_refusal)
        return birth_refuse(worker, shard);
    struct log_offset *offsets = ARENA_ARRAY(&worker->arena, struct log_offset, worker->source_count);
    size_t count = 0;
    int64_t offset;
    struct meta meta;
    struct control control = control_born(worker->config.world->playbook);
    enum world outcome = worker_playbook_keep(worker);
    if (outcome == WORLD_DONE)
        outcome = birth_starts(worker, shard, offsets, &count);
    if (outcome != WORLD_DONE)
        return outcome;
    shard_meta(worker, shard, 1, 0, &control, &worker->arena, &meta);
    buffer_reset(&worker->buffer);
    meta_encode(&meta, &worker->buffer);
    struct span value = arena_copy(&worker->arena, buffer_span(&worker->buffer));
    outcome = birth_transaction(worker, shard, offsets, count, value, &offset);
    if (outcome != WORLD_DONE)
        return outcome;
    struct store_apply apply = {.shard = shard->index,
                                .epoch = span_of(worker->epoch),
                                .pos_expected = STORE_POS_NONE,
                                .pos = offset + 1,
                                .seq = 1,
                                .last = value};
    FLOW_INSIST(worker, outcome, store_apply(worker->store, &apply, 1));
    if (outcome == WORLD_DONE && !apply.applied)
        outcome = WORLD_RECOVER;
    shard->seq = 1;
    shard->pos = offset + 1;
    shard->clock = 0;
    shard->world = worker->config.world;
    worker->playbook_was_file = true;
    shard->control = control_copy(&control, &shard->memory);
    shard->next_wake_at = NEVER;
    if (outcome == WORLD_DONE)
        outcome = history_adopt(worker, shard, &(struct store_place){.next = STORE_POS_NONE});
    worker->counts.births += outcome == WORLD_DONE;
    worker->progress_at = clock_monotonic(worker->clock);
    return outcome;
}
