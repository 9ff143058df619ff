/* The replay of crm.steps: a run, once more, through the same step (DESIGN.md 2). Given the step records and the input
 * and forward records that they name, it must give every transition, action, decision and state again, record by
 * record: that is the audit in tests, and how a bug report from production becomes a file (`oriori simulate --steps`).
 *
 * Shards are independent of each other: a referral's credit is a record of crm.forward like any other. A replay begins
 * at a shard's birth (seq 2), or, with states and control given by replay_state_set, anywhere. */
#ifndef ORIORI_FLOW_REPLAY_H
#define ORIORI_FLOW_REPLAY_H

#include "common/flow/control.h"
#include "common/flow/step_run.h"
#include "common/flow/worker.h"

/* Where the records come from: the first record of the partition at or after *offset and before `end`; false: none.
 * What it gives must live until the end of the step. *offset moves behind the record. */
struct replay_records {
    void *context;
    bool (*next)(void *context, struct span topic, int32_t partition, int64_t *offset, int64_t end,
                 struct original *ret_record);
};

struct replay_customer;

struct replay {
    struct formats formats;
    struct engine engine;
    const struct step_world *world; /* the config's own playbook, and zones */
    struct playbooks playbooks;     /* that one, and those added */
    const char *inputs[TOPIC_COUNT];
    const char *forward_topic;
    int32_t shard_count;
    struct replay_records records;
    struct arena arena;                /* of the step in hand */
    struct arena memory;               /* of the controls */
    struct control *controls;          /* per shard */
    int64_t *seqs;                     /* per shard: of the last step replayed; 0 = none */
    struct replay_customer *customers; /* hash table, open addressing */
    size_t customer_count, customer_capacity;
};

enum replay_fault {
    REPLAY_DONE,
    REPLAY_GAP,      /* the seq does not follow the one before */
    REPLAY_PLAYBOOK, /* the step was made with a playbook that is not in hand */
    REPLAY_SWITCH,   /* it was not made with the playbook that its shard's control records have put in force */
    REPLAY_RECORD,   /* a record cannot be read now that could be read then, or the other way about */
    REPLAY_STATE     /* the engine refused a state of its own */
};
const char *replay_fault_text(enum replay_fault fault);

void replay_init(struct replay *replay, const struct flow_config *config, struct replay_records records);
void replay_release(struct replay *replay);

/* A text of crm.playbook, for the steps that name it. False: it does not compile here; *error says why. */
bool replay_playbook_add(struct replay *replay, const struct playbook_entry *entry, struct buffer *error);

/* Runs one step; steps of one shard in the order of seq. The run and all it points to are valid until the next step. */
enum replay_fault replay_step(struct replay *replay, const struct step_log *step, struct step_run *ret_run);

/* A customer's present state; empty = not known. Borrowed until his next step. */
struct span replay_state(const struct replay *replay, struct span customer_id);
void replay_state_set(struct replay *replay, struct span customer_id, struct span state);
/* The next customer from *at (0 = the first), which moves behind him; in no order. False: no more. */
bool replay_customer_next(const struct replay *replay, size_t *at, struct span *ret_id, struct span *ret_state);
/* The index-th customer, in no order; false: no more. */
bool replay_customer_at(const struct replay *replay, size_t index, struct span *ret_id, struct span *ret_state);

#endif
