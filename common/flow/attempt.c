/* A record that ends the process itself: a fault of ours, or memory, or a loop that the watchdog cuts. Whoever starts
 * next reads it again, for nothing was committed, and ends again: for ever, and on whichever worker the partition moves
 * to. So a young process begins with batches of one record and doubles them, and notes each in the store before it
 * decodes anything: first offset, records, how often, which process. The note is taken back as soon as the engine has
 * decided. A note of another process at the very offset where we begin is the proof that it ended in between: then as
 * many records go one by one, each with its count, and one that ended `record_tries` processes by itself is a dead
 * letter, unread; its offset is in no step's range, so that a replay does not meet it either.
 *
 * Only what runs between the two notes counts, decoding and deciding, so that an outage of Kafka condemns no record. A
 * lost note costs a try.
 *
 * Timers, and whom a sweep visits, have batches of their own in a young process, noted by their first customer, and
 * grow by themselves: one whose visit alone ended `record_tries` processes is quarantined (quarantine.h). A record that
 * was read each time, and ended the process in the engine, may be innocent of it: it is the first time a dead letter by
 * itself, which its customer is remembered for; when a second one ends so, it is he who is quarantined. */
#include "common/base/hash.h"
#include "common/flow/batch.h"
#include "common/flow/quarantine.h"

#include <inttypes.h>
#include <stdio.h>

static struct span note_name(const struct worker *worker, const struct source *source, struct arena *arena)
{
    char text[300];
    int size = snprintf(text, sizeof(text), "%s/%d", source_topic_name(worker, source->topic), (int)source->partition);
    return arena_copy(arena, (struct span){text, (size_t)size}); /* a topic's name has at most 249 bytes */
}

static int32_t note_shard(const struct worker *worker, const struct source *source)
{
    return source->partition % worker->config.shard_count;
}

static struct attempt attempt_parse(struct span text)
{
    char copy[128];
    struct attempt attempt = {.deciding = 0};
    snprintf(copy, sizeof(copy), "%.*s", (int)(text.size < 127 ? text.size : 127), text.data ? text.data : "");
    if (sscanf(copy, "%" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNx64 " %" SCNd64, &attempt.offset, &attempt.records,
               &attempt.count, &attempt.process, &attempt.deciding) >= 4)
        return attempt;
    return (struct attempt){.offset = LOG_OFFSET_NONE};
}

static enum world attempt_read(struct worker *worker, struct source *source)
{
    struct span text = SPAN_NONE;
    enum world outcome;
    FLOW_INSIST(worker, outcome,
                store_note_read(worker->store, note_shard(worker, source), note_name(worker, source, &worker->arena),
                                &worker->arena, &text));
    if (outcome != WORLD_DONE)
        return outcome;
    source->attempt = attempt_parse(text);
    source->attempt_known = true;
    return WORLD_DONE;
}

/* attempt NULL: taken back. *ret_noted on success only. */
static enum world note_attempt(struct worker *worker, int32_t shard, struct span name, const struct attempt *attempt,
                               struct attempt *ret_noted)
{
    char text[128] = "";
    enum world outcome;
    if (attempt)
        snprintf(text, sizeof(text), "%" PRId64 " %" PRId64 " %" PRId64 " %" PRIx64 " %" PRId64, attempt->offset,
                 attempt->records, attempt->count, attempt->process, attempt->deciding);
    FLOW_INSIST(worker, outcome, store_note_write(worker->store, shard, name, span_of(text)));
    if (outcome == WORLD_DONE)
        *ret_noted = attempt ? *attempt : (struct attempt){.offset = LOG_OFFSET_NONE};
    return outcome;
}

static enum world attempt_write(struct worker *worker, struct source *source, const struct attempt *attempt)
{
    return note_attempt(worker, note_shard(worker, source), note_name(worker, source, &worker->arena), attempt,
                        &source->attempt);
}

/* Another process began a batch exactly here and did not come to its decisions. */
static bool was_its_end(const struct worker *worker, const struct batch_source *moved)
{
    const struct attempt *attempt = &moved->source->attempt;
    return attempt->offset == moved->records[0]->offset && attempt->process != worker->config.token;
}

static struct attempt attempt_next(const struct worker *worker, const struct batch *batch)
{
    const struct batch_source *moved = &batch->sources[0];
    const struct attempt *before = &moved->source->attempt;
    struct attempt next = {moved->records[0]->offset, (int64_t)batch->record_count, 1, worker->config.token, 0};
    if (batch->record_count == 1 && before->records == 1 && before->offset == next.offset)
        next.count = before->count + (before->process != next.process); /* of one record alone, the blame is its own */
    return next;
}

/* A command to the shard: a tick, a playbook, a pause, a resume. It carries nothing that its sender has not read and
 * compiled, so a process that ends beside it, time after time, ends of something else; and as a dead letter it would
 * leave this shard under another playbook than all others. */
static bool is_command(struct worker *worker, const struct batch_source *moved)
{
    struct forward forward;
    return moved->source->topic == TOPIC_COUNT && forward_decode(moved->records[0]->value, &worker->arena, &forward) &&
           forward.kind >= FORWARD_TICK && forward.kind <= FORWARD_RESUME;
}

enum world flow_attempt(struct worker *worker, struct batch *batch)
{
    if (!worker->young || batch->source_count == 0)
        return WORLD_DONE;
    for (size_t i = 0; i < batch->source_count; i++) {
        struct source *source = batch->sources[i].source;
        enum world outcome = source->attempt_known ? WORLD_DONE : attempt_read(worker, source);
        if (outcome != WORLD_DONE)
            return outcome;
        if (was_its_end(worker, &batch->sources[i]) && source->attempt.records > worker->singles)
            worker->singles = source->attempt.records;
    }
    if (worker->singles > 0 && batch->record_count > 1) {
        worker->batch_records = 1;
        return WORLD_AGAIN;
    }
    struct attempt next = attempt_next(worker, batch);
    batch->noted = true;
    batch->timers_max = batch->sweep_max = 0; /* their fault would be no record's */
    batch->isolated = next.count > worker->config.record_tries && !is_command(worker, &batch->sources[0]);
    batch->suspected = batch->isolated && batch->sources[0].source->attempt.deciding;
    if (!batch->isolated)
        return attempt_write(worker, batch->sources[0].source, &next);
    worker_report(worker, REPORT_ERROR, "%s[%d] offset %lld has ended the process %lld times: it becomes a dead letter",
                  source_topic_name(worker, batch->sources[0].source->topic), (int)batch->sources[0].source->partition,
                  (long long)next.offset, (long long)worker->config.record_tries);
    return WORLD_DONE;
}

/* ---- after load: whom the engine is to visit is known ---- */

/* The only customer of a noted batch of one record; NULL: none, or several. */
static struct customer_visit *only_visit(const struct batch *batch, struct batch_shard **ret_touched)
{
    struct customer_visit *visit = NULL;
    for (size_t i = 0; i < batch->shard_count; i++)
        for (size_t j = 0; j < batch->shards[i].run.visit_count; j++) {
            if (visit)
                return NULL;
            visit = &batch->shards[i].run.visits[j];
            *ret_touched = &batch->shards[i];
        }
    return visit;
}

/* What it said to the shard, to others, to its customer: as if it had not been read. */
static void record_dies(struct worker *worker, struct batch *batch)
{
    batch->outgoing = NULL;
    batch->outgoing_end = &batch->outgoing;
    batch->letters = NULL;
    batch->letters_end = &batch->letters;
    for (size_t i = 0; i < batch->shard_count; i++) {
        batch->shards[i].control = batch->shards[i].shard->control;
        batch->shards[i].run.visit_count = 0;
    }
    batch_letter_add(worker, batch, batch->sources[0].records[0], REASON_QUARANTINED, NULL,
                     SPAN("the worker ended each time it tried this record"));
}

static bool may_be_blamed(const struct customer_visit *visit)
{
    return visit && !span_empty(visit->state) && !quarantine_holds(visit->state);
}

static void quarantine(struct worker *worker, struct customer_visit *visit)
{
    visit->quarantine = true;
    worker_report(worker, REPORT_ERROR, "customer %.*s has ended the process time after time: he is quarantined",
                  (int)(visit->customer_id.size < 128 ? visit->customer_id.size : 128), visit->customer_id.data);
}

/* The record, or its customer when another one of his died before it? The note names that one, for this process may end
 * before it commits, and the next must not count the same record twice. */
static enum world record_blame(struct worker *worker, struct batch *batch)
{
    struct batch_shard *touched = NULL;
    struct customer_visit *visit = only_visit(batch, &touched);
    struct buffer name = {0}, self = {0};
    struct span before = SPAN_NONE;
    enum world outcome = WORLD_DONE;
    if (may_be_blamed(visit)) {
        const struct batch_source *moved = &batch->sources[0];
        buffer_format(&name, "/customer/%.*s", (int)visit->customer_id.size, visit->customer_id.data);
        buffer_format(&self, "%s/%d %lld", source_topic_name(worker, moved->source->topic),
                      (int)moved->source->partition, (long long)moved->from);
        FLOW_INSIST(worker, outcome,
                    store_note_read(worker->store, touched->shard->index, buffer_span(&name), &worker->arena, &before));
    }
    if (!span_empty(before) && !span_equal(before, buffer_span(&self))) {
        quarantine(worker, visit);
        batch->isolated = false; /* its step reads it, and finds him quarantined */
    } else if (outcome == WORLD_DONE) {
        if (name.size)
            FLOW_INSIST(worker, outcome,
                        store_note_write(worker->store, touched->shard->index, buffer_span(&name), buffer_span(&self)));
        record_dies(worker, batch);
    }
    buffer_release(&name);
    buffer_release(&self);
    return outcome;
}

static enum world record_suspect(struct worker *worker, struct batch *batch)
{
    struct batch_shard *touched;
    struct source *source = batch->sources[0].source;
    if (batch->suspected)
        return record_blame(worker, batch);
    if (batch->isolated || batch->record_count > 1 || !only_visit(batch, &touched))
        return WORLD_DONE;
    struct attempt read = source->attempt;
    read.deciding = 1;
    return attempt_write(worker, source, &read);
}

/* ---- timers ---- */

#define TIMERS_NOTE SPAN("/timers") /* no topic's name begins so */

static enum world timers_read(struct worker *worker, struct shard *shard)
{
    struct span text = SPAN_NONE;
    enum world outcome;
    if (shard->timers_known)
        return WORLD_DONE;
    FLOW_INSIST(worker, outcome, store_note_read(worker->store, shard->index, TIMERS_NOTE, &worker->arena, &text));
    if (outcome != WORLD_DONE)
        return outcome;
    shard->timers = attempt_parse(text);
    shard->timers_known = true;
    return WORLD_DONE;
}

/* In the order of their times the same customer comes first again, unless a record has moved him: that costs a try. */
static enum world timers_suspect(struct worker *worker, struct batch *batch)
{
    struct batch_shard *touched = &batch->shards[0];
    struct customer_visit *visits = touched->run.visits;
    int64_t count = (int64_t)touched->run.visit_count;
    if (count == 0) /* the end of a sweep */
        return WORLD_DONE;
    enum world outcome = timers_read(worker, touched->shard);
    if (outcome != WORLD_DONE)
        return outcome;
    const struct attempt *before = &touched->shard->timers;
    int64_t first = (int64_t)(hash_xxh64(visits[0].customer_id) >> 1);
    struct attempt next = {first, count, 1, worker->config.token, 1};
    bool again = before->offset == first && before->process != worker->config.token;
    if (again && before->records > worker->timer_singles)
        worker->timer_singles = before->records;
    if (worker->timer_singles > 0 && count > 1) {
        worker->timer_batch = 1;
        return WORLD_AGAIN;
    }
    if (count == 1 && before->records == 1 && before->offset == first)
        next.count = before->count + again;
    if (next.count > worker->config.record_tries && may_be_blamed(&visits[0])) {
        quarantine(worker, &visits[0]);
        return WORLD_DONE;
    }
    batch->noted = true;
    return note_attempt(worker, touched->shard->index, TIMERS_NOTE, &next, &touched->shard->timers);
}

enum world flow_suspect(struct worker *worker, struct batch *batch)
{
    if (batch->timers_only)
        return batch->shard_count > 0 ? timers_suspect(worker, batch) : WORLD_DONE;
    return batch->noted ? record_suspect(worker, batch) : WORLD_DONE;
}

/* The isolated record's note stays until another takes its place: should we end before the commit it still counts. */
enum world flow_survived(struct worker *worker, struct batch *batch)
{
    if (!batch->noted || batch->isolated)
        return WORLD_DONE;
    if (!batch->timers_only)
        return attempt_write(worker, batch->sources[0].source, NULL);
    struct shard *shard = batch->shards[0].shard;
    return note_attempt(worker, shard->index, TIMERS_NOTE, NULL, &shard->timers);
}

/* ---- growing up ---- */

static void timers_grow(struct worker *worker, const struct batch *batch)
{
    worker->timer_singles -= worker->timer_singles > 0 ? (int64_t)batch->shards[0].run.visit_count : 0;
    if (worker->timer_singles > 0)
        return;
    worker->timer_batch *= 2;
    worker->young_timers = worker->timer_batch < worker->config.batch_timers_max;
}

void batch_grow(struct worker *worker, const struct batch *batch)
{
    size_t most = worker->config.batch_records_max;
    if (batch->timers_only) {
        timers_grow(worker, batch);
        return;
    }
    if (!worker->young) {
        worker->batch_records += worker->batch_records < most;
        return;
    }
    if (batch->record_count == 0)
        return;
    worker->singles -= worker->singles > 0 ? (int64_t)batch->record_count : 0;
    if (worker->singles > 0)
        return;
    worker->batch_records *= 2;
    worker->young = worker->batch_records < most;
    if (!worker->young)
        worker->batch_records = most;
}
