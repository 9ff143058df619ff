/* The worker's numbers as Prometheus text: the one table of what is measured (metrics.c), documented by its own HELP
 * lines and by deploy/README.md. Label values are bounded: topics, shards, verdicts, reasons, outcomes, steps, and at
 * most MEASURE_RULES rules; never ids or anything else that comes with an event. */
#ifndef ORIORI_FLOW_METRICS_H
#define ORIORI_FLOW_METRICS_H

#include "common/flow/worker.h"

/* Appends the whole exposition to text. version is this program's; wall_ms is now. Asks no server anything. */
void metrics_write(const struct worker *worker, const char *version, int64_t wall_ms, struct buffer *text);

/* Its part by rule. */
void metrics_write_rules(const struct flow_measures *measures, struct buffer *text);

/* The name of the step of that index in the loop's list; NULL behind the last (loop.c). */
const char *metrics_step_name(size_t index);

#endif
