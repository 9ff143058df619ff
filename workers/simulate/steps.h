/* `oriori simulate --steps FILE`: the audit of an exported run. */
#ifndef ORIORI_WORKERS_SIMULATE_STEPS_H
#define ORIORI_WORKERS_SIMULATE_STEPS_H

#include "common/base/zone.h"
#include "common/playbook/playbook.h"

#include <stdio.h>

/* Replays the run and compares; prints what it says on standard output, every record before it unless summary. config:
 * the run's own, for its mappings, formats and names of topics; NULL: Avro and JSON of our own schemas under the
 * default names. A registry is not asked: its schemas are in the export. Returns the exit status: EXIT_DONE only when
 * all is equal. */
int steps_run(FILE *in, const char *config, const struct playbook *playbook, const struct zones *zones, bool summary);

#endif
