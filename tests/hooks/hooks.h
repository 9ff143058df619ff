/* The test build of `oriori worker` (build/PRESET/tests/oriori, option ORIORI_TEST_HOOKS) harms itself where its
 * environment says so; README.md has the forms of ORIORI_FAULT and ORIORI_CRASH. The program `oriori` has none of this:
 * nothing in here is part of it. */
#ifndef ORIORI_TESTS_HOOKS_H
#define ORIORI_TESTS_HOOKS_H

#include "common/flow/worker.h"
#include "common/io/config.h"

/* Puts the hooks into the seams' call tables and into the flow's engine and formats, before worker_init; both seams
 * keep their contexts. One worker per process. Ends the process with 2 when an environment variable cannot be read. */
void hooks_install(const struct config *config, struct flow_config *flow, struct log *log, struct store *store);

/* The two halves: faults.c, crashes.c. */
void hooks_install_faults(const struct config *config, struct log *log, struct store *store);
void hooks_install_crashes(struct flow_config *flow);

/* One line on standard error, unbuffered, so that it is there whatever follows. */
void hooks_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void hooks_refuse(const char *variable, const char *text);

#endif
