/* Control records: one to every crm.forward[h] in one transaction, in force on each shard exactly once, for the whole
 * of the step that consumes them. Held rules are kept in `__meta`, so that they survive a restart. */
#ifndef ORIORI_FLOW_CONTROL_H
#define ORIORI_FLOW_CONTROL_H

#include "common/codec/internal_records.h"
#include "common/flow/worker.h"

struct control control_blank(void);
struct control control_born(const struct playbook *playbook); /* borrows; no activation */
/* What stands after the record; lists are in the arena, names borrow from the record. */
struct control control_after(const struct control *before, const struct forward *record, struct arena *arena);
/* A copy whose memory is the arena's. */
struct control control_copy(const struct control *control, struct arena *arena);
struct control control_of_meta(const struct meta *meta); /* borrows */
struct pauses control_pauses(const struct control *control);

#endif
