#include "common/flow/trace.h"

#include "common/flow/batch.h"

static bool context_of(const struct original *original, struct trace_context *ret_context)
{
    for (size_t i = 0; i < original->header_count; i++)
        if (span_equal(original->headers[i].name, SPAN("traceparent")))
            return trace_context_parse(original->headers[i].value, ret_context);
    return false;
}

struct span trace_of_record(const struct original *original, struct arena *arena)
{
    struct trace_context context;
    if (!context_of(original, &context) || !context.sampled)
        return SPAN_NONE;
    unsigned char *bytes = arena_take(arena, TRACE_KEPT_SIZE);
    trace_context_keep(&context, bytes);
    return (struct span){(const char *)bytes, TRACE_KEPT_SIZE};
}

const struct header *trace_headers(struct span kept, struct arena *arena, size_t *ret_count)
{
    struct trace_context context;
    *ret_count = trace_context_kept(kept, &context);
    if (*ret_count == 0)
        return NULL;
    struct header *header = ARENA_NEW(arena, struct header);
    char *text = arena_take(arena, TRACE_TEXT_SIZE + 1);
    trace_context_text(&context, text);
    *header = (struct header){SPAN("traceparent"), {text, TRACE_TEXT_SIZE}};
    return header;
}

/* The record of the step whose event the action names; NULL = none, a timer fired. */
static const struct original *cause_of(const struct customer_visit *visit, const struct record *record)
{
    struct span event_id = record->action.event_id;
    for (size_t i = visit->event_count; !span_empty(event_id) && i-- > 0;) {
        const struct item *item = visit->items[i];
        if (span_equal(visit->events[i].event_id, event_id))
            return item->kind == ITEM_CREDIT ? &item->forward.original : item->original;
    }
    return NULL;
}

bool trace_of(const struct customer_visit *visit, const struct record *record, struct trace_action *ret_action)
{
    struct trace_action action = {.record = record, .cause = cause_of(visit, record)};
    if (!trace_context_kept(record->action.trace, &action.parent) &&
        !(action.cause && context_of(action.cause, &action.parent)))
        return false;
    action.own = action.parent;
    memcpy(action.own.span_id, record->action.action_id.bytes, TRACE_SPAN_ID_SIZE);
    *ret_action = action;
    return true;
}

/* Times of the wall: the batch's monotonic ones, seen from now. */
struct times {
    int64_t began_ms, ended_ms;
};

static void tell_visit(const struct worker *worker, const struct customer_visit *visit, struct times times)
{
    const struct trace_sink *sink = &worker->config.trace;
    for (const struct record *record = visit->result.records; record; record = record->next) {
        struct trace_action action;
        if (record->type != RECORD_ACTION || !trace_of(visit, record, &action) || !action.own.sampled)
            continue;
        action.topic = worker->config.actions_topic;
        sink->action(sink->context, &action, times.began_ms, times.ended_ms);
    }
}

static size_t links_of(const struct batch *batch, struct trace_context *links)
{
    size_t count = 0;
    for (size_t s = 0; s < batch->source_count; s++)
        for (size_t i = 0; i < batch->sources[s].record_count && count < TRACE_LINKS_MAX; i++)
            if (context_of(batch->sources[s].records[i], &links[count]) && links[count].sampled)
                count++;
    return count;
}

void trace_batch(const struct worker *worker, const struct batch *batch)
{
    const struct trace_sink *sink = &worker->config.trace;
    struct trace_context links[TRACE_LINKS_MAX];
    if (!sink->context)
        return;
    int64_t now = clock_wall(worker->clock);
    struct times times = {now - (clock_monotonic(worker->clock) - batch->begun_at), now};
    for (size_t s = 0; s < batch->shard_count; s++)
        for (size_t i = 0; i < batch->shards[s].run.visit_count; i++)
            tell_visit(worker, &batch->shards[s].run.visits[i], times);
    size_t count = links_of(batch, links);
    if (count)
        sink->batch(sink->context, links, count, batch->record_count, times.began_ms, times.ended_ms);
}
