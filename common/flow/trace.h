/* Traces: an action continues the trace of the record that caused it, days later, too: the context of the record's
 * header `traceparent` (a forwarded record carries its headers along, a referral's credit its cause's context) goes into
 * the step as part of the event, is kept with the runs that the event makes (runs.h) and goes, with a span of the
 * action's own, into the header of what they send. Of a series the first slot alone carries it. What no event caused (a
 * date, a tier that time took away) starts no trace.
 *
 * Only sampled contexts are kept, and whether one is sampled is the record's own word, never this worker's config: the
 * state depends on the log alone. One that is not sampled is passed on by the step of its record only.
 *
 * The kept span is the parent, not a link: the conventions for messaging ask for links where a span has several causes
 * (a batch) and allow the creation context as parent where there is one; a message's header names one context, so that
 * what the mailer does joins the trace either way; and the span lasts as long as the send, not as long as the wait.
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
    const struct original *cause; /* the record of this step that led to it; NULL = a timer fired */
};

/* Who is told; none of it may wait. */
struct trace_sink {
    void *context; /* NULL = nobody */
    void (*action)(void *context, const struct trace_action *action, int64_t began_ms, int64_t ended_ms);
    /* One batch, by the first sampled contexts among its records; not called when there is none. Times are UTC ms. */
    void (*batch)(void *context, const struct trace_context *links, size_t link_count, size_t record_count,
                  int64_t began_ms, int64_t ended_ms);
};

/* The record's context as struct event keeps it, in the arena; "": it has none that may be followed, or not a sampled
 * one. */
struct span trace_of_record(const struct original *original, struct arena *arena);

/* The one header that carries a kept context, in the arena; *ret_count is 0 where none is kept. */
const struct header *trace_headers(struct span kept, struct arena *arena, size_t *ret_count);

/* The action's place in the trace of its cause; false: its cause says none. */
bool trace_of(const struct customer_visit *visit, const struct record *record, struct trace_action *ret_action);

/* After the commit: tells the sink, if there is one. */
void trace_batch(const struct worker *worker, const struct batch *batch);

#endif
