#ifndef ORIORI_WORKERS_SIMULATE_SIMULATE_H
#define ORIORI_WORKERS_SIMULATE_SIMULATE_H

#include "common/base/zone.h"
#include "common/engine/record.h"
#include "common/playbook/playbook.h"

#include <stdio.h>

/* Who looks on while a simulation runs (`oriori report`): every record as it is made, the clock at the end, then each
 * customer's state. What is handed over is borrowed for the call. */
struct simulate_watch {
    void *context;
    void (*record)(void *context, const struct record *record);
    void (*end)(void *context, int64_t clock); /* NEVER = not one event and no --until */
    void (*state)(void *context, struct span customer_id, struct span state);
};

enum { HOT_SIZE_USUAL = 64 << 20 };

/* What `oriori simulate` was asked for (R83, R84). */
struct simulate_options {
    int64_t until; /* ms, inclusive; NEVER = the last line's clock */
    bool states;
    bool decisions;
    bool summary;                       /* only the summary */
    bool progress;                      /* a bar on standard error */
    size_t hot_size;                    /* memory for open states (hot.h), bytes; 0 = none */
    bool timing;                        /* what it cost, on standard error */
    const struct simulate_watch *watch; /* NULL = nobody */
};

struct simulate_result {
    int64_t dead_letter_count;
    bool output_failed;
};

/* Runs the lines of `in` through the engine; records go to `out`, dead letters to `errors`. */
struct simulate_result simulate_run(const struct simulate_options *options, const struct playbook *playbook,
                                    const struct zones *zones, FILE *in, FILE *out, FILE *errors);

#endif
