/* Where a report's history comes from: a run's folder, the topics of a running system, or events run through the
 * engine. Each hands its records to the outcomes, closes them, hands over the states, and says where the history ends.
 */
#ifndef ORIORI_WORKERS_REPORT_SOURCES_H
#define ORIORI_WORKERS_REPORT_SOURCES_H

#include "workers/lifecycle/setup.h"
#include "workers/report/outcomes.h"

/* One record of the type as JSON (R85); what is none is passed over. The arena is the caller's to reset. */
void source_take_json(struct outcomes *outcomes, enum record_type type, struct span line, struct arena *arena);

/* False: why not was said on standard error. *ret_clock: UTC ms; NEVER = nothing has happened yet. */
bool source_folder(struct outcomes *outcomes, struct setup *setup, const char *folder, int64_t *ret_clock);
bool source_topics(struct outcomes *outcomes, struct setup *setup, int64_t *ret_clock);
bool source_events(struct outcomes *outcomes, struct setup *setup, const char *file, int64_t until, int64_t *ret_clock);

#endif
