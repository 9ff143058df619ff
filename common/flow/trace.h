/* Traces: an action continues the trace of the record that caused it, within one step. The context comes from the
 * record's header `traceparent` (a forwarded record carries its headers along) and goes, with a span of the action's
 * own, into the action's header. What a timer fires has no cause among the records of its step and starts no trace: the
 * context is not kept with a waiting run, for the state would have to hold it.
 *
 * The span's id is made of the action's id: the same in every try of a batch and in whatever a replay compares. Spans
 * are told of after the commit only, so that none speaks of an action that nobody can read. */
#ifndef ORIORI_FLOW_TRACE_H
#define ORIORI_FLOW_TRACE_H

#include "common/base/trace_context.h"
#include "common/codec/internal_records.h"
#include "common/engine/record.h"

struct batch;
struct customer_visit;
struct worker;

enum { TRACE_LINKS_MAX = 64 }; /* of one batch's span */

/* An action published. Borrowed for the call. */
struct trace_action {
    struct trace_context parent; /* the cause's span */
    struct trace_context own;
    const struct record *record;
    const char *topic;
    const struct original *cause;
};

/* Who is told; none of it may wait. */
struct trace_sink {
    void *context; /* NULL = nobody */
    void (*action)(void *context, const struct trace_action *action, int64_t began_ms, int64_t ended_ms);
    /* One batch, by the first sampled contexts among its records; not called when there is none. Times are UTC ms. */
    void (*batch)(void *context, const struct trace_context *links, size_t link_count, size_t record_count,
                  int64_t began_ms, int64_t ended_ms);
};

/* The action's place in the trace of its cause; false: its cause says none. */
bool trace_of(const struct customer_visit *visit, const struct record *record, struct trace_action *ret_action);

/* After the commit: tells the sink, if there is one. */
void trace_batch(const struct worker *worker, const struct batch *batch);

#endif
