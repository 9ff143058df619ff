/* A record that ends the process itself: a fault of ours, or memory, or a loop that the watchdog cuts. Whoever starts
 * next reads it again, for nothing was committed, and ends again: for ever, and on whichever worker the partition moves
 * to. So a young process begins with batches of one record and doubles them, and notes each in the store before it
 * decodes anything: first offset, records, how often, which process. The note is taken back as soon as the engine has
 * decided. A note of another process at the very offset where we begin is the proof that it ended in between: then as
 * many records go one by one, each with its count, and one that ended `record_tries` processes by itself is a dead
 * letter, unread; its offset is in no step's range, so that a replay does not meet it either.
 *
 * Only what runs between the two notes counts, decoding and deciding, so that an outage of Kafka condemns no record. A
 * lost note costs a try. Timers of customers without a record stay out of noted batches, for their fault is no
 * record's. */
#include "common/flow/batch.h"

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
    struct attempt attempt;
    snprintf(copy, sizeof(copy), "%.*s", (int)(text.size < 127 ? text.size : 127), text.data ? text.data : "");
    if (sscanf(copy, "%" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNx64, &attempt.offset, &attempt.records, &attempt.count,
               &attempt.process) == 4)
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

/* *attempt NULL: taken back. */
static enum world attempt_write(struct worker *worker, struct source *source, const struct attempt *attempt)
{
    char text[128] = "";
    enum world outcome;
    if (attempt)
        snprintf(text, sizeof(text), "%" PRId64 " %" PRId64 " %" PRId64 " %" PRIx64, attempt->offset, attempt->records,
                 attempt->count, attempt->process);
    FLOW_INSIST(worker, outcome,
                store_note_write(worker->store, note_shard(worker, source), note_name(worker, source, &worker->arena),
                                 span_of(text)));
    if (outcome == WORLD_DONE)
        source->attempt = attempt ? *attempt : (struct attempt){.offset = LOG_OFFSET_NONE};
    return outcome;
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
    struct attempt next = {moved->records[0]->offset, (int64_t)batch->record_count, 1, worker->config.token};
    if (batch->record_count == 1 && before->records == 1 && before->offset == next.offset)
        next.count = before->count + (before->process != next.process); /* of one record alone, the blame is its own */
    return next;
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
    batch->isolated = next.count > worker->config.record_tries;
    if (!batch->isolated)
        return attempt_write(worker, batch->sources[0].source, &next);
    worker_report(worker, REPORT_ERROR, "%s[%d] offset %lld has ended the process %lld times: it becomes a dead letter",
                  source_topic_name(worker, batch->sources[0].source->topic), (int)batch->sources[0].source->partition,
                  (long long)next.offset, (long long)worker->config.record_tries);
    return WORLD_DONE;
}

/* The isolated record's note stays until another takes its place: should we end before the commit it still counts. */
enum world flow_survived(struct worker *worker, struct batch *batch)
{
    return batch->noted && !batch->isolated ? attempt_write(worker, batch->sources[0].source, NULL) : WORLD_DONE;
}

void batch_grow(struct worker *worker, const struct batch *batch)
{
    size_t most = worker->config.batch_records_max;
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
