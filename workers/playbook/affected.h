/* Who is affected by a playbook: every customer of crm.state visited under it, as the sweep would, at this moment; and
 * nothing of it is written. What it cannot know: what happens between now and the sweep's visit. */
#ifndef ORIORI_WORKERS_PLAYBOOK_AFFECTED_H
#define ORIORI_WORKERS_PLAYBOOK_AFFECTED_H

#include "common/engine/step.h"
#include "common/io/config.h"

/* Reads all of crm.state (the newest state of each customer is kept in memory) and prints the counts. False, and said
 * on standard error: it cannot be read. */
bool affected_print(struct config *config, const struct step_world *world, int64_t now);

#endif
