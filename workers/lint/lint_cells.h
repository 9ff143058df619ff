/* The space of all customers, cut into cells by the comparisons of some expressions: inside a cell no comparison
 * changes, so one customer of each cell answers for all of it. This makes lint's findings exact, not sampled.
 *
 * Facts that are compared with one another (purchases >= settle_purchases) share their cuts, and each cut has as many
 * neighbouring values as facts are so linked: every order among them occurs. Cells that no customer can be in (a trial
 * order without an order) are left out by cells_customer. */
#ifndef ORIORI_WORKERS_LINT_CELLS_H
#define ORIORI_WORKERS_LINT_CELLS_H

#include "common/playbook/playbook.h"

enum { CELLS_MAX = 1 << 20 };

/* One fact and its cells. Text facts: texts[i]; all else: low[i] .. high[i], of which customer[i] is shown. */
struct axis {
    enum fact fact;
    size_t count;
    int64_t *low, *high, *customer; /* FACT_ABSENT = nobody knows */
    struct span *texts;
};

struct cells {
    struct axis axes[FACT_COUNT];
    size_t axis_count;
    size_t count;
    /* while it is built */
    bool named[FACT_COUNT];
    int64_t *cuts[FACT_COUNT];
    size_t cut_count[FACT_COUNT];
    int linked_with[FACT_COUNT]; /* itself: with nobody */
    struct span *texts[FACT_COUNT];
    size_t text_count[FACT_COUNT];
    const struct playbook *playbook;
    const bool *never; /* by fact: nobody has it (lint->never); NULL: all may be */
};

struct cells *cells_new(void);
void cells_free(struct cells *cells);
void cells_add(struct cells *cells, const struct expression *expression);
void cells_add_fact(struct cells *cells, enum fact fact);
void cells_add_cut(struct cells *cells, enum fact fact,
                   int64_t at); /* what is below, and what is not, in other cells */
bool cells_has(const struct cells *cells, enum fact fact);

/* Cuts the space; false: more than CELLS_MAX cells. Nothing may be added afterwards. */
bool cells_build(struct cells *cells, const struct playbook *playbook);

/* The index of an axis's cell within a cell, and back. */
size_t cells_part(const struct cells *cells, size_t cell, size_t axis);
size_t cells_stride(const struct cells *cells, size_t axis);

/* Whether a customer of the cell may have so much of the fact. */
bool cells_can_be(const struct cells *cells, size_t cell, enum fact fact, int64_t least);

/* The days since the first delivery from which on the phase is beyond activate (R40). */
int64_t cells_acclimate_days(const struct playbook *playbook);

/* A customer of the cell; false: there can be none. Facts without an axis are absent. */
bool cells_customer(const struct cells *cells, size_t cell, struct fact_values *ret_values);

/* "purchases = 1, subscription = true": the facts of the axes as this customer has them. */
void cells_describe(const struct cells *cells, const struct fact_values *values, struct buffer *text);
/* "purchases >= 1, subscription = true": a box of cells, axes that it spans whole left out. */
void cells_describe_box(const struct cells *cells, const size_t first[], const size_t last[], struct buffer *text);

/* "true", "lapsed", "12", "absent". */
void fact_value_text(enum fact fact, int64_t value, struct buffer *text);

#endif
