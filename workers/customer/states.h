/* All customers' newest states: from the changelog of a running system, or from the folder of a run. */
#ifndef ORIORI_CUSTOMER_STATES_H
#define ORIORI_CUSTOMER_STATES_H

#include "workers/lifecycle/setup.h"

#include <jansson.h>

struct states {
    json_t *by_id; /* customer id -> state, base64; erased customers keep their tombstone */
    int64_t clock; /* the latest T of all shards, UTC ms; NEVER = none yet */
};

/* False when something is wrong and has been said. Release in any case. */
bool states_read_topic(struct setup *setup, struct states *ret_states);
bool states_read_folder(struct setup *setup, const char *folder, struct states *ret_states);
void states_release(struct states *states);

/* The customer's state, in the arena; empty = not known. */
struct span states_of(const struct states *states, struct span id, struct arena *arena);

/* The instant to show states at: `at`; when it is NEVER now, or the shards' own clock where that follows the input. */
int64_t states_instant(const struct setup *setup, int64_t clock, int64_t at);

/* `oriori customer list`: a `state` record (R85) of each as of states_instant, in the order of ids, bytewise. */
bool states_list(struct setup *setup, const struct states *states, int64_t at);

#endif
