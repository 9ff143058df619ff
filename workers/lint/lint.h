/* What a playbook says that its author cannot have meant. The compiler finds what is wrong (errors); lint finds what is
 * right and yet useless or surprising (warnings, notes). */
#ifndef ORIORI_WORKERS_LINT_H
#define ORIORI_WORKERS_LINT_H

#include "common/base/zone.h"
#include "common/playbook/node.h"
#include "common/playbook/playbook.h"

enum lint_level { LINT_NOTE, LINT_WARNING, LINT_ERROR, LINT_LEVEL_COUNT };

/* Which event kinds the shop's platforms ever send (bit 1 << enum event_kind); all by default. */
#define LINT_ALL_EVENTS (~UINT64_C(0))

struct lint {
    const struct playbook *playbook;
    struct span yaml; /* for lines and columns */
    const char *file_name;
    const struct zones *zones; /* NULL: names of zones are not checked */
    uint64_t events;
    enum lint_level least; /* what is below it is counted, not written */
    struct buffer text;    /* one line each */
    size_t counts[LINT_LEVEL_COUNT];
    /* the file's own nodes, for places; by index in the playbook */
    struct arena arena;
    const struct node *root, **rule_nodes, **row_nodes, **product_nodes;
    bool *dead;                /* by rule: its trigger never happens, which has been said */
    bool never[FACT_COUNT];    /* the fact stays 0, false or absent: no event, no product of this shop makes it */
    enum growth highest_stage; /* that anybody can reach */
};

/* Everything below: all findings into lint->text and counts. The caller fills the fields down to least, and calls
 * lint_release. */
void lint_run(struct lint *lint);
void lint_release(struct lint *lint);

void lint_tiers(struct lint *lint);
void lint_rules(struct lint *lint);
void lint_facts(struct lint *lint); /* lint->never: first of all */
void lint_shop(struct lint *lint);  /* phases, triggers and goals that the shop's events cannot reach */
void lint_products(struct lint *lint);
void lint_growth(struct lint *lint);                                                     /* sets lint->highest_stage */
enum fact lint_never_fact(const struct lint *lint, const struct expression *expression); /* FACT_COUNT: names none */
const char *lint_never_why(enum fact fact);             /* "this shop's events never make it" */
enum phase lint_highest_phase(const struct lint *lint); /* that this shop's events allow (R39, R40) */
void lint_times(struct lint *lint);                     /* caps, quiet hours, shelf life */

/* "file:line:column: level: message"; without a node (NULL) the place is left out. */
__attribute__((format(printf, 4, 5))) void lint_say(struct lint *lint, enum lint_level level, const struct node *node,
                                                    const char *format, ...);
/* "rule NAME: message", at the rule's key of this name when it has one. */
__attribute__((format(printf, 5, 6))) void lint_say_rule(struct lint *lint, enum lint_level level,
                                                         const struct rule *rule, const char *key, const char *format,
                                                         ...);
const struct node *lint_top(const struct lint *lint, const char *key); /* a key of the whole file; NULL: left out */

/* The tier table on a grid like "registered=true purchases=1,2,3 days_since_last_purchase=30,75,120": how many of its
 * points are in no row and in more than one, with each of them when `list`. False, with a sentence, on a bad grid. */
struct grid_result {
    size_t points, holes, overlaps;
};
bool lint_grid(const struct playbook *playbook, struct span grid, bool list, struct buffer *text,
               struct grid_result *ret_result, struct buffer *error);

#endif
