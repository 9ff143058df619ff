/* Records to items. One record is one item, but for a platform's message that says several things: an item for each,
 * with the same original; then the record is forwarded once to each home that is not this one, and whatever is wrong
 * with a part of it makes one dead letter of the whole. */
#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/flow/batch.h"

/* ---- one record ---- */

static struct item *item_of(struct arena *arena, struct lane *lane, const struct original *record)
{
    struct item *item = lane_add(arena, lane);
    *item = (struct item){.offset = record->offset, .timestamp = record->timestamp, .original = record};
    return item;
}

static void item_dead(struct item *item, enum reason reason, const char *field, struct span message)
{
    item->kind = ITEM_DEAD;
    item->reason = reason;
    item->field = field;
    item->message = message;
}

/* place: the record as it was read; original: the one that it carries, or the same. only: take the events of this home
 * alone, -1 = all. *ret_strangers: how many were left out. */
static enum world read_events(const struct formats *formats, struct arena *arena, enum topic topic,
                              const struct original *place, const struct original *original, int32_t shard_count,
                              int32_t only, struct lane *lane, size_t *ret_strangers)
{
    struct reading reading = {.message = SPAN("")};
    struct span trace = trace_of_record(original, arena);
    *ret_strangers = 0;
    enum world outcome = formats->event_read(formats->context, topic, original, arena, &reading);
    if (outcome != WORLD_DONE)
        return outcome;
    if (reading.reason != REASON_NONE) {
        struct item *item = item_of(arena, lane, place);
        item->original = original;
        item_dead(item, reading.reason, reading.field, reading.message);
        return WORLD_DONE;
    }
    for (size_t i = 0; i < reading.count; i++) {
        int32_t home = (int32_t)hash_home_shard(reading.events[i].customer_id, (uint32_t)shard_count);
        if (only >= 0 && home != only) {
            (*ret_strangers)++;
            continue;
        }
        struct item *item = item_of(arena, lane, place);
        item->kind = ITEM_EVENT;
        item->original = original;
        item->event = reading.events[i];
        item->event.trace = trace;
        item->home = home;
        item->several = reading.count > 1;
    }
    return WORLD_DONE;
}

enum world lane_read_input(const struct formats *formats, struct arena *arena, enum topic topic,
                           const struct original *original, int32_t shard_count, struct lane *lane)
{
    size_t strangers;
    return read_events(formats, arena, topic, original, original, shard_count, -1, lane, &strangers);
}

static bool topic_index(const char *const *topics, struct span name, enum topic *ret_topic)
{
    for (int i = 0; i < TOPIC_COUNT; i++)
        if (topics[i] && span_equal(span_of(topics[i]), name)) {
            *ret_topic = (enum topic)i;
            return true;
        }
    return false;
}

static void add_dead(struct arena *arena, struct lane *lane, const struct original *place,
                     const struct original *original, enum reason reason, const char *field, struct span message)
{
    struct item *item = item_of(arena, lane, place);
    item->original = original;
    item_dead(item, reason, field, message);
}

/* An input record on its second road: read anew from its original bytes, in the forward's place and time. */
static enum world read_forwarded_event(const struct formats *formats, struct arena *arena, const char *const *topics,
                                       const struct original *record, const struct forward *forward,
                                       int32_t shard_count, struct lane *lane)
{
    struct original *original = ARENA_NEW(arena, struct original);
    size_t count = lane->count, strangers;
    enum topic topic;
    *original = forward->original;
    if (!topic_index(topics, original->topic, &topic)) {
        add_dead(arena, lane, record, original, REASON_UNKNOWN_TOPIC, NULL,
                 SPAN("forwarded from a topic that is no input of this worker"));
        return WORLD_DONE;
    }
    enum world outcome =
        read_events(formats, arena, topic, record, original, shard_count, record->partition, lane, &strangers);
    if (outcome == WORLD_DONE && lane->count == count) /* also when a mapping has changed: never lost in silence */
        add_dead(arena, lane, record, original, REASON_OUT_OF_RANGE, strangers ? "customer_id" : NULL,
                 strangers ? SPAN("forwarded to a shard that is not its home")
                           : SPAN("forwarded, but this worker's mappings find no event in it"));
    return outcome;
}

enum world lane_read_forward(const struct formats *formats, struct arena *arena, const char *const *topics,
                             const struct original *record, int32_t shard_count, struct lane *lane)
{
    struct forward forward;
    if (!forward_decode(record->value, arena, &forward)) {
        add_dead(arena, lane, record, record, REASON_UNDECODABLE, NULL, SPAN("no forward record"));
        return WORLD_DONE;
    }
    if (forward.kind == FORWARD_EVENT)
        return read_forwarded_event(formats, arena, topics, record, &forward, shard_count, lane);
    struct item *item = item_of(arena, lane, record);
    item->forward = forward;
    item->home = record->partition;
    if (forward.kind == FORWARD_CREDIT) {
        item->kind = ITEM_CREDIT;
        item->event = forward.credit;
        item->event.trace = trace_of_record(&forward.original, arena);
        item->home = (int32_t)hash_home_shard(item->event.customer_id, (uint32_t)shard_count);
    } else {
        item->kind = ITEM_CONTROL;
        if (forward.kind == FORWARD_RELEASE)
            item->home = (int32_t)hash_home_shard(forward.rule, (uint32_t)shard_count);
    }
    if (item->home != record->partition)
        item_dead(item, REASON_OUT_OF_RANGE, "customer_id", SPAN("forwarded to a shard that is not its home"));
    return WORLD_DONE;
}

/* ---- the batch ---- */

static enum world decode_record(struct worker *worker, struct batch_source *moved, const struct original *record,
                                bool isolated)
{
    const struct flow_config *config = &worker->config;
    size_t count = moved->lane.count;
    enum world outcome = WORLD_DONE;
    if (isolated)
        add_dead(&worker->arena, &moved->lane, record, record, REASON_QUARANTINED, NULL,
                 SPAN("the worker ended each time it tried this record"));
    else if (moved->source->topic == TOPIC_COUNT)
        outcome = lane_read_forward(&config->formats, &worker->arena, config->inputs, record, config->shard_count,
                                    &moved->lane);
    else
        outcome = lane_read_input(&config->formats, &worker->arena, (enum topic)moved->source->topic, record,
                                  config->shard_count, &moved->lane);
    moved->without_events += moved->lane.count == count;
    return outcome;
}

/* What is needed to read a record is away: the batch will be read again, and no process ended here. */
static enum world put_off(struct worker *worker, struct batch *batch)
{
    const struct formats *formats = &worker->config.formats;
    enum world outcome = flow_survived(worker, batch);
    if (outcome != WORLD_DONE)
        return outcome;
    worker_report(worker, REPORT_WARNING, "decode: %s", formats->trouble ? formats->trouble(formats->context) : "");
    return WORLD_AGAIN;
}

enum world flow_decode(struct worker *worker, struct batch *batch)
{
    for (size_t s = 0; s < batch->source_count; s++) {
        struct batch_source *moved = &batch->sources[s];
        for (size_t i = 0; i < moved->record_count; i++) {
            enum world outcome = decode_record(worker, moved, moved->records[i], batch->isolated && !batch->suspected);
            if (outcome == WORLD_AGAIN)
                return put_off(worker, batch);
            if (outcome != WORLD_DONE)
                return outcome;
        }
    }
    return WORLD_DONE;
}
