/* What Prometheus's own clients say about a process, under the names that everybody's dashboards know (process_*): no
 * prefix of ours. Read from /proc and the kernel at each call; what cannot be read is left out. */
#ifndef ORIORI_IO_PROCESS_STATS_H
#define ORIORI_IO_PROCESS_STATS_H

#include "common/base/buffer.h"

/* Appends to text. One thread. */
void process_stats_write(struct buffer *text);

#endif
