/* Faults at the seams: a log and a store that pass every call on to the real ones, but ask first. A call may fail, may
 * succeed and say that it failed (the answer was lost), or be the last one of its process. After that the handles are
 * dead: every call is WORLD_STOP and nothing reaches the world. */
#ifndef ORIORI_TESTS_SIM_FAULT_H
#define ORIORI_TESTS_SIM_FAULT_H

#include "common/io/log.h"
#include "common/io/store.h"

enum fault_kind { FAULT_NONE, FAULT_FAIL, FAULT_LIE, FAULT_DIE_BEFORE, FAULT_DIE_AFTER, FAULT_KIND_COUNT };

struct faults {
    void *context;
    enum fault_kind (*next)(void *context, const char *call); /* asked once per call; "log.commit" */
    /* Told what the real one answered, after it did; NULL = nobody asks. */
    void (*done)(void *context, const char *call, enum fault_kind kind, enum world outcome);
    bool dead;
    const struct log_message *message; /* of the log.produce in hand, while it is asked about */
    struct log log;                    /* the real ones */
    struct store store;
};

struct log log_faulty(struct faults *faults);
struct store store_faulty(struct faults *faults);

#endif
