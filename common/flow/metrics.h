/* The worker's numbers as Prometheus text: the one table of what is measured (metrics.c), documented by its own HELP
 * lines and by deploy/README.md. Label values are bounded: topics, shards, verdicts, reasons; never ids or rules typed
 * by users. */
#ifndef ORIORI_FLOW_METRICS_H
#define ORIORI_FLOW_METRICS_H

#include "common/flow/worker.h"

/* Appends the whole exposition to text. version is this program's; wall_ms is now. */
void metrics_write(const struct worker *worker, const char *version, int64_t wall_ms, struct buffer *text);

#endif
