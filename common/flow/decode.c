#include "common/base/hash.h"
#include "common/flow/batch.h"

/* ---- one record ---- */

static void item_blank(struct item *item, const struct original *original)
{
    *item = (struct item){.offset = original->offset, .timestamp = original->timestamp, .original = original};
}

static void item_dead(struct item *item, enum reason reason, const char *field, struct span message)
{
    item->kind = ITEM_DEAD;
    item->reason = reason;
    item->field = field;
    item->message = message;
}

enum world item_read_input(const struct formats *formats, struct arena *arena, enum topic topic,
                           const struct original *original, int32_t shard_count, struct item *ret_item)
{
    enum reason reason = REASON_NONE;
    const char *field = NULL;
    struct span message = SPAN_NONE;
    item_blank(ret_item, original);
    enum world outcome = formats->event_read(formats->context, topic, original->value, arena, &ret_item->event, &reason,
                                             &field, &message);
    if (outcome != WORLD_DONE)
        return outcome;
    if (reason != REASON_NONE) {
        item_dead(ret_item, reason, field, message);
        return WORLD_DONE;
    }
    ret_item->kind = ITEM_EVENT;
    ret_item->home = (int32_t)hash_home_shard(ret_item->event.customer_id, (uint32_t)shard_count);
    return WORLD_DONE;
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

/* An input record on its second road: read anew from its original bytes, in the forward's place and time. */
static enum world read_forwarded_event(const struct formats *formats, struct arena *arena, const char *const *topics,
                                       struct item *item, int32_t shard_count)
{
    int64_t offset = item->offset, timestamp = item->timestamp;
    struct original *original = ARENA_NEW(arena, struct original);
    enum topic topic;
    *original = item->forward.original;
    item->original = original;
    if (!topic_index(topics, original->topic, &topic)) {
        item_dead(item, REASON_UNKNOWN_TOPIC, NULL, SPAN("forwarded from a topic that is no input of this worker"));
        return WORLD_DONE;
    }
    enum world outcome = item_read_input(formats, arena, topic, original, shard_count, item);
    item->offset = offset;
    item->timestamp = timestamp;
    return outcome;
}

enum world item_read_forward(const struct formats *formats, struct arena *arena, const char *const *topics,
                             const struct original *record, int32_t shard_count, struct item *ret_item)
{
    enum world outcome = WORLD_DONE;
    item_blank(ret_item, record);
    if (!forward_decode(record->value, arena, &ret_item->forward)) {
        item_dead(ret_item, REASON_UNDECODABLE, NULL, SPAN("no forward record"));
        return WORLD_DONE;
    }
    switch (ret_item->forward.kind) {
    case FORWARD_EVENT:
        outcome = read_forwarded_event(formats, arena, topics, ret_item, shard_count);
        break;
    case FORWARD_CREDIT:
        ret_item->kind = ITEM_CREDIT;
        ret_item->event = ret_item->forward.credit;
        ret_item->home = (int32_t)hash_home_shard(ret_item->event.customer_id, (uint32_t)shard_count);
        break;
    case FORWARD_PLAYBOOK:
        item_dead(ret_item, REASON_OUT_OF_RANGE, "playbook", SPAN("this version takes its playbook from its config"));
        break;
    default:
        ret_item->kind = ITEM_CONTROL;
        ret_item->home = record->partition;
        break;
    }
    if (outcome == WORLD_DONE && ret_item->kind != ITEM_DEAD && ret_item->home != record->partition)
        item_dead(ret_item, REASON_OUT_OF_RANGE, "customer_id", SPAN("forwarded to a shard that is not its home"));
    return outcome;
}

/* ---- the batch ---- */

static enum world decode_item(struct worker *worker, const struct batch_source *moved, struct item *item)
{
    const struct flow_config *config = &worker->config;
    const struct original *original = item->original;
    if (moved->source->topic == TOPIC_COUNT)
        return item_read_forward(&config->formats, &worker->arena, config->inputs, original, config->shard_count, item);
    return item_read_input(&config->formats, &worker->arena, (enum topic)moved->source->topic, original,
                           config->shard_count, item);
}

enum world flow_decode(struct worker *worker, struct batch *batch)
{
    for (size_t s = 0; s < batch->source_count; s++) {
        struct batch_source *moved = &batch->sources[s];
        for (size_t i = 0; i < moved->lane.count; i++) {
            enum world outcome = decode_item(worker, moved, &moved->lane.items[i]);
            if (outcome != WORLD_DONE)
                return outcome;
        }
    }
    return WORLD_DONE;
}
