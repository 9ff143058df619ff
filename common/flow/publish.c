/* Everything a batch says, into one open transaction: records, states, forwards, dead letters, steps, and for each
 * touched shard `__meta`, last in its partition of crm.state. */
#include "common/base/check.h"
#include "common/base/uuid.h"
#include "common/codec/avro_binary.h"
#include "common/flow/batch.h"
#include "common/flow/quarantine.h"

static enum world emit_message(struct worker *worker, struct log_message message, int64_t *ret_ticket)
{
    enum world outcome;
    message.value = buffer_span(&worker->buffer);
    FLOW_INSIST(worker, outcome, log_produce(worker->log, &message, ret_ticket));
    buffer_reset(&worker->buffer);
    return outcome;
}

static enum world emit(struct worker *worker, const char *topic, int32_t partition, struct span key,
                       int64_t *ret_ticket)
{
    return emit_message(worker, (struct log_message){.topic = topic, .partition = partition, .key = key}, ret_ticket);
}

/* ---- a customer ---- */

bool flow_decision_wanted(enum decisions_published published, const struct decision *decision)
{
    switch (published) {
    case DECISIONS_OFF:
        return false;
    case DECISIONS_ALL:
        return true;
    default: /* sent, or held back by a guard; not: its condition did not hold, its reason is gone, or it is history
                imported, of which every run says `backfill` */
        return decision->outcome != OUTCOME_BACKFILL && decision->outcome != OUTCOME_CONDITION &&
               decision->outcome != OUTCOME_WHILE && decision->outcome != OUTCOME_CANCELLED &&
               decision->outcome != OUTCOME_RULE_REMOVED && decision->outcome != OUTCOME_DROPPED;
    }
}

static const char *record_topic(const struct worker *worker, const struct record *record)
{
    switch (record->type) {
    case RECORD_TRANSITION:
        return worker->config.transitions_topic;
    case RECORD_ACTION:
        return worker->config.actions_topic;
    default:
        return flow_decision_wanted(worker->config.decisions, &record->decision) ? worker->config.decisions_topic
                                                                                 : NULL;
    }
}

/* What a mailer needs before it reads the value: the id to dedupe by, what the value is, and whose trace it goes on. */
static enum world emit_action(struct worker *worker, const char *topic, const struct customer_visit *visit,
                              const struct record *record)
{
    char id[UUID_TEXT_SIZE + 1];
    uuid_text(&record->action.action_id, id);
    char trace[TRACE_TEXT_SIZE + 1];
    struct log_header headers[3] = {{SPAN("action_id"), span_of(id)}, {SPAN("schema"), SPAN("action")}};
    size_t header_count = 2;
    struct trace_action traced;
    if (trace_of(visit, record, &traced)) {
        trace_context_text(&traced.own, trace);
        headers[header_count++] = (struct log_header){SPAN("traceparent"), span_of(trace)};
    }
    return emit_message(worker,
                        (struct log_message){.topic = topic,
                                             .partition = LOG_PARTITION_BY_KEY,
                                             .key = record->customer_id,
                                             .headers = headers,
                                             .header_count = header_count},
                        NULL);
}

static enum world emit_decision(struct worker *worker, struct batch_shard *touched, const struct customer_visit *visit,
                                const struct record *record)
{
    history_keep(worker, touched, visit, record);
    return emit(worker, worker->config.decisions_topic, LOG_PARTITION_BY_KEY, record->customer_id,
                &touched->decision_ticket);
}

static enum world emit_record(struct worker *worker, struct batch_shard *touched, const struct customer_visit *visit,
                              const struct record *record, const char *topic)
{
    switch (record->type) {
    case RECORD_ACTION:
        return emit_action(worker, topic, visit, record);
    case RECORD_DECISION:
        return emit_decision(worker, touched, visit, record);
    default:
        return emit(worker, topic, LOG_PARTITION_BY_KEY, record->customer_id, NULL);
    }
}

static enum world publish_visit(struct worker *worker, struct batch_shard *touched, const struct customer_visit *visit)
{
    const struct formats *formats = &worker->config.formats;
    enum world outcome = WORLD_DONE;
    for (const struct record *record = visit->result.records; record && outcome == WORLD_DONE; record = record->next) {
        const char *topic = record_topic(worker, record);
        if (!topic)
            continue;
        formats->record_write(formats->context, record, &worker->buffer);
        outcome = emit_record(worker, touched, visit, record, topic);
    }
    history_end_erased(worker, touched, visit);
    if (outcome == WORLD_DONE && visit->result.changed) {
        touched->state_count++;
        buffer_add_span(&worker->buffer, visit->result.state);
        outcome = emit(worker, worker->config.state_topic, touched->shard->index, visit->customer_id, NULL);
    }
    return outcome;
}

/* ---- a shard ---- */

static enum world publish_step(struct worker *worker, const struct batch *batch, const struct batch_shard *touched)
{
    const struct step_world *world = touched->shard->world;
    const struct step_run *run = &touched->run;
    struct span *timers = ARENA_ARRAY(&worker->arena, struct span, run->visit_count);
    struct step_range *ranges = ARENA_ARRAY(&worker->arena, struct step_range, batch->source_count);
    struct step_log step = {.shard = touched->shard->index,
                            .seq = touched->shard->seq + 1,
                            .now = touched->now,
                            .tz_version = zones_version(world->zones),
                            .timer_customers = timers,
                            .ranges = ranges};
    memcpy(step.playbook_hash, world->playbook->hash, sizeof(step.playbook_hash));
    for (size_t i = 0; i < run->visit_count; i++)
        if (run->visits[i].quarantine)
            timers[step.timer_customer_count++] = quarantine_name(run->visits[i].customer_id, &worker->arena);
        else if (run->visits[i].timer_only)
            timers[step.timer_customer_count++] = run->visits[i].customer_id;
    for (size_t i = 0; i < batch->source_count; i++) {
        const struct batch_source *moved = &batch->sources[i];
        if (moved->source->shard == touched->shard->index && !batch->isolated) /* unread: no part of any step */
            ranges[step.range_count++] = (struct step_range){span_of(source_topic_name(worker, moved->source->topic)),
                                                             moved->source->partition, moved->from, moved->next};
    }
    step_log_encode(&step, &worker->buffer);
    return emit(worker, worker->config.steps_topic, touched->shard->index, SPAN_NONE, NULL);
}

/* Where the shard's sources stand after this batch. */
static void meta_move(struct worker *worker, const struct batch *batch, struct meta *meta)
{
    for (size_t i = 0; i < batch->source_count; i++) {
        const struct batch_source *moved = &batch->sources[i];
        if (moved->source->shard != meta->shard)
            continue;
        if (moved->source->topic == TOPIC_COUNT)
            meta->forward_next = moved->next;
        for (size_t j = 0; j < meta->input_count; j++)
            if (span_equal(meta->inputs[j].topic, span_of(source_topic_name(worker, moved->source->topic))))
                ((struct input_offset *)meta->inputs)[j].next = moved->next;
    }
}

static enum world publish_meta(struct worker *worker, const struct batch *batch, struct batch_shard *touched)
{
    struct meta meta;
    shard_meta(worker, touched->shard, touched->shard->seq + 1, touched->now, &touched->control, &worker->arena, &meta);
    meta_move(worker, batch, &meta);
    meta_encode(&meta, &worker->buffer);
    touched->meta = arena_copy(&worker->arena, buffer_span(&worker->buffer));
    return emit(worker, worker->config.state_topic, touched->shard->index, meta_key(), &touched->meta_ticket);
}

static enum world publish_shard(struct worker *worker, const struct batch *batch, struct batch_shard *touched)
{
    enum world outcome = WORLD_DONE;
    touched->decision_ticket = LOG_NO_TICKET;
    for (size_t i = 0; i < touched->run.visit_count && outcome == WORLD_DONE; i++)
        outcome = publish_visit(worker, touched, &touched->run.visits[i]);
    if (outcome == WORLD_DONE)
        outcome = publish_step(worker, batch, touched);
    if (outcome == WORLD_DONE)
        outcome = publish_meta(worker, batch, touched);
    return outcome;
}

/* ---- the batch ---- */

void batch_letter_add(struct worker *worker, struct batch *batch, const struct original *original, enum reason reason,
                      const char *field, struct span message)
{
    struct letter *letter = ARENA_NEW(&worker->arena, struct letter);
    *letter = (struct letter){.original = original, .reason = reason, .field = field, .message = message};
    *batch->letters_end = letter;
    batch->letters_end = &letter->next;
}

static enum world publish_letters(struct worker *worker, const struct batch *batch)
{
    enum world outcome = WORLD_DONE;
    for (const struct letter *letter = batch->letters; letter && outcome == WORLD_DONE; letter = letter->next) {
        struct dead_letter dead = dead_letter_of(letter->original, letter->reason, letter->field, letter->message,
                                                 worker->config.dead_value_max);
        dead_letter_encode(&dead, &worker->buffer);
        if (worker->config.formats.letter_schema_id)
            wire_header_set(&worker->buffer, worker->config.formats.letter_schema_id);
        outcome = emit(worker, worker->config.dead_topic, LOG_PARTITION_BY_KEY, letter->original->key, NULL);
    }
    return outcome;
}

static enum world publish_outgoing(struct worker *worker, const struct batch *batch)
{
    enum world outcome = WORLD_DONE;
    for (const struct outgoing *out = batch->outgoing; out && outcome == WORLD_DONE; out = out->next) {
        forward_encode(out->forward, &worker->buffer);
        outcome = emit(worker, worker->config.forward_topic, out->shard, out->customer_id, NULL);
    }
    return outcome;
}

enum world flow_publish(struct worker *worker, struct batch *batch)
{
    batch->begun_at = clock_monotonic(worker->clock);
    enum world outcome;
    buffer_reset(&worker->buffer);
    FLOW_INSIST(worker, outcome, log_begin(worker->log));
    for (size_t i = 0; i < batch->shard_count && outcome == WORLD_DONE; i++)
        outcome = publish_shard(worker, batch, &batch->shards[i]);
    if (outcome == WORLD_DONE)
        outcome = publish_letters(worker, batch);
    if (outcome == WORLD_DONE)
        outcome = publish_outgoing(worker, batch);
    return outcome;
}
