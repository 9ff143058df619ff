/* All pairs of faults on the commit path: in a small history two calls, each in turn, fail, succeed but say that they
 * failed, or kill their worker before or after; the second one whenever it comes, also in the recovery from the first
 * or in the next worker's life. */
#ifndef ORIORI_TESTS_SIM_PAIRS_H
#define ORIORI_TESTS_SIM_PAIRS_H

#include <stdbool.h>
#include <stdio.h>

struct pairs_tally {
    unsigned long passed, failed;
};

/* The history of `seed`, one worker, restarted under the same transactional id or another one. */
void pairs_run(unsigned long seed, bool real, bool stable_ids, struct pairs_tally *tally);
/* One pair once more, with all calls and reports on `trace`. */
bool pairs_replay(const char *name, FILE *trace);

#endif
