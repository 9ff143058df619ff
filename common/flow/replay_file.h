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

/* Who reads a run's records. */
struct replay_reader {
    void *context;
    /* A schema of a registry, as the export has it; before any record is read. False: *error says why not. */
    bool (*schema_add)(void *context, uint32_t id, struct span avsc, struct buffer *error);
    /* Every record in the order made. Both may be NULL. */
    void (*emit)(void *context, const struct record *record);
};

/* Of the config: topic names, world, engine and formats; S is taken from the run's `__meta` records. Which decisions
 * the run published (its config says) is told by their number. Where an export has schemas of a registry, so has what
 * the run wrote: its records' schema ids are that registry's, and are not compared. */
enum replay_outcome replay_file_run(FILE *in, const struct flow_config *config, const struct replay_reader *reader,
                                    struct replay_report *ret_report);

#endif
