/* The audit of an exported run (README.md, "The export"): every step again, and what it makes compared with what the
 * run wrote, record by record. The whole file is held in memory. */
#ifndef ORIORI_FLOW_REPLAY_FILE_H
#define ORIORI_FLOW_REPLAY_FILE_H

#include "common/flow/worker.h"

#include <stdio.h>

enum { REPLAY_TEXT_SIZE = 512 };

struct replay_report {
    uint64_t lines, steps;
    uint64_t transitions, actions, decisions, states; /* made by the replay, and written by the run */
    char text[REPLAY_TEXT_SIZE];                      /* the first difference, or what cannot be read; a sentence */
};

enum replay_outcome { REPLAY_EQUAL, REPLAY_DIFFERS, REPLAY_UNREADABLE };

/* Of the config: topic names, world, engine and formats; S is taken from the run's `__meta` records. Which decisions
 * the run published (its config says) is told by their number. emit (may be NULL) gets every record in the order made.
 */
enum replay_outcome replay_file_run(FILE *in, const struct flow_config *config,
                                    void (*emit)(void *context, const struct record *record), void *context,
                                    struct replay_report *ret_report);

#endif
