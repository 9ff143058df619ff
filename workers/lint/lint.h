/* What a playbook says that its author cannot have meant. The compiler finds what is wrong (errors); lint finds what is
 * right and yet useless or surprising (warnings, notes). */
#ifndef ORIORI_WORKERS_LINT_H
#define ORIORI_WORKERS_LINT_H

#include "common/base/zone.h"
#include "common/playbook/playbook.h"

enum lint_level { LINT_NOTE, LINT_WARNING, LINT_ERROR, LINT_LEVEL_COUNT };

/* Which event kinds the shop's platforms ever send (bit 1 << enum event_kind); all by default. */
#define LINT_ALL_EVENTS (~UINT64_C(0))

struct lint {
    const struct playbook *playbook;
    struct span yaml; /* for line numbers */
    const char *file_name;
    const struct zones *zones; /* NULL: names of zones are not checked */
    uint64_t events;
    enum lint_level least; /* what is below it is counted, not written */
    struct buffer text;    /* one line each */
    size_t counts[LINT_LEVEL_COUNT];
    int *rule_lines, *row_lines; /* by index in the playbook */
};

/* Everything below: all findings into lint->text and counts. The caller fills the fields down to least, and calls
 * lint_release. */
void lint_run(struct lint *lint);
void lint_release(struct lint *lint);

void lint_tiers(struct lint *lint);
void lint_rules(struct lint *lint);
void lint_shop(struct lint *lint); /* phases, triggers and channels that the shop's events cannot reach */
enum phase lint_highest_phase(const struct lint *lint); /* that this shop's events allow (R39, R40) */
void lint_times(struct lint *lint);                     /* caps, quiet hours, shelf life */

/* "file:line: level: message"; line 0 is left out. */
__attribute__((format(printf, 4, 5))) void lint_say(struct lint *lint, enum lint_level level, int line,
                                                    const char *format, ...);

/* The tier table on a grid like "registered=true purchases=1,2,3 days_since_last_purchase=30,75,120": how many of its
 * points are in no row and in more than one, with each of them when `list`. False, with a sentence, on a bad grid. */
struct grid_result {
    size_t points, holes, overlaps;
};
bool lint_grid(const struct playbook *playbook, struct span grid, bool list, struct buffer *text,
               struct grid_result *ret_result, struct buffer *error);

#endif
