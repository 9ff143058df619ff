/* A quarantined customer: his timer or his stored state ended the process again and again (attempt.c). His state in
 * crm.state and in the view is then his old one behind a mark: still true and whole, but without a wake-up, no engine
 * is asked about it, and each record of his is a dead letter. A FORWARD_RELEASE in his shard takes the mark off. */
#ifndef ORIORI_FLOW_QUARANTINE_H
#define ORIORI_FLOW_QUARANTINE_H

#include "common/base/arena.h"
#include "common/base/span.h"

bool quarantine_holds(struct span state);
/* The state before the quarantine; borrows. Only of one that holds. */
struct span quarantine_inside(struct span state);
/* The state whether held or not, for whoever only shows it. */
struct span quarantine_seen(struct span state);
/* state: not empty; a customer without one has nothing that could be to blame. */
struct span quarantine_of(struct span state, struct arena *arena);

/* How crm.steps names whom a step quarantined: among its timer customers, behind a byte that no id has. */
struct span quarantine_name(struct span customer_id, struct arena *arena);
/* True: *name was such a name, and is the id now. */
bool quarantine_named(struct span *name);

#endif
