/* The tier table over its cells: which rows hold in each. Cells with the same rows are joined into boxes, so that a
 * hole is told once, as a person would say it. */
#include "common/base/check.h"
#include "workers/lint/lint.h"
#include "workers/lint/lint_cells.h"

#include <stdlib.h>

enum { BOXES_SHOWN = 12 };

struct table {
    struct lint *lint;
    struct cells *cells;
    uint64_t *rows; /* per cell: bit i = row i holds */
    bool *done;     /* told, or impossible */
    bool *possible;
};

static uint64_t rows_of(const struct playbook *playbook, const struct fact_values *values)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < playbook->tier_row_count; i++)
        rows |= (uint64_t)expression_true(&playbook->tier_rows[i].when, values) << i;
    return rows;
}

static bool table_init(struct table *table, struct lint *lint)
{
    struct fact_values values;
    *table = (struct table){.lint = lint, .cells = cells_new()};
    table->cells->never = lint->never;
    for (size_t i = 0; i < lint->playbook->tier_row_count; i++)
        cells_add(table->cells, &lint->playbook->tier_rows[i].when);
    if (!cells_build(table->cells, lint->playbook))
        return false;
    table->rows = calloc(table->cells->count, sizeof *table->rows);
    table->done = calloc(table->cells->count, sizeof *table->done);
    table->possible = calloc(table->cells->count, sizeof *table->possible);
    CHECK(table->rows != NULL && table->done != NULL && table->possible != NULL);
    for (size_t i = 0; i < table->cells->count; i++) {
        table->possible[i] = cells_customer(table->cells, i, &values);
        table->rows[i] = rows_of(lint->playbook, &values);
    }
    return true;
}

static void table_release(struct table *table)
{
    cells_free(table->cells);
    free(table->rows);
    free(table->done);
    free(table->possible);
}

/* ---- boxes ---- */

struct box {
    size_t first[FACT_COUNT], last[FACT_COUNT];
};

/* Calls for each cell of the box; false ends it. */
static bool box_walk(const struct cells *cells, const struct box *box, bool (*visit)(struct table *, size_t, uint64_t),
                     struct table *table, uint64_t rows)
{
    size_t at[FACT_COUNT];
    memcpy(at, box->first, sizeof at);
    for (;;) {
        size_t cell = 0, stride = 1, axis;
        for (axis = 0; axis < cells->axis_count; axis++) {
            cell += at[axis] * stride;
            stride *= cells->axes[axis].count;
        }
        if (!visit(table, cell, rows))
            return false;
        for (axis = 0; axis < cells->axis_count && at[axis] == box->last[axis]; axis++)
            at[axis] = box->first[axis];
        if (axis == cells->axis_count)
            return true;
        at[axis]++;
    }
}

/* An impossible cell may belong to any box: nobody is there to object. */
static bool fits(struct table *table, size_t cell, uint64_t rows)
{
    return !table->possible[cell] || (!table->done[cell] && table->rows[cell] == rows);
}

static bool finish(struct table *table, size_t cell, uint64_t rows)
{
    if (table->rows[cell] == rows)
        table->done[cell] = true;
    return true;
}

static bool empty(struct table *table, size_t cell, uint64_t rows)
{
    (void)rows;
    return !table->possible[cell];
}

/* Takes off the sides where nobody can be: "purchases >= 1", not "purchases >= 0". */
static void box_shrink(struct table *table, struct box *box)
{
    for (size_t i = 0; i < table->cells->axis_count; i++) {
        struct box slab = *box;
        for (slab.last[i] = box->first[i]; box->first[i] < box->last[i];
             slab.first[i] = slab.last[i] = ++box->first[i]) {
            if (!box_walk(table->cells, &slab, empty, table, 0))
                break;
        }
        for (slab.first[i] = slab.last[i] = box->last[i]; box->first[i] < box->last[i];
             slab.first[i] = slab.last[i] = --box->last[i]) {
            if (!box_walk(table->cells, &slab, empty, table, 0))
                break;
        }
    }
}

/* The largest box from this cell that grows one axis after the other. */
static struct box box_grow(struct table *table, size_t cell)
{
    const struct cells *cells = table->cells;
    uint64_t rows = table->rows[cell];
    struct box box;
    for (size_t i = 0; i < cells->axis_count; i++)
        box.first[i] = box.last[i] = cells_part(cells, cell, i);
    for (size_t i = 0; i < cells->axis_count; i++) {
        struct box slab = box;
        while (box.first[i] > 0) {
            slab.first[i] = slab.last[i] = box.first[i] - 1;
            if (!box_walk(cells, &slab, fits, table, rows))
                break;
            box.first[i]--;
        }
        while (box.last[i] + 1 < cells->axes[i].count) {
            slab.first[i] = slab.last[i] = box.last[i] + 1;
            if (!box_walk(cells, &slab, fits, table, rows))
                break;
            box.last[i]++;
        }
    }
    box_walk(cells, &box, finish, table, rows);
    box_shrink(table, &box);
    return box;
}

/* ---- findings ---- */

static void rows_text(const struct playbook *playbook, uint64_t rows, struct buffer *text)
{
    bool first = true;
    for (size_t i = 0; i < playbook->tier_row_count; i++) {
        if (!(rows >> i & 1))
            continue;
        buffer_format(text, "%s%zu (%s)", first ? "" : " and ", i + 1,
                      class_value_name(DIMENSION_TIER, (int)playbook->tier_rows[i].tier));
        first = false;
    }
}

/* A customer who bought and is registered should have a row; that others have none is what prospect means. */
static enum lint_level hole_level(const struct cells *cells, const struct fact_values *values)
{
    bool known = !cells_has(cells, FACT_registered) || values->value[FACT_registered] == 1;
    bool bought = !cells_has(cells, FACT_purchases) || values->value[FACT_purchases] >= 1;
    return known && bought ? LINT_WARNING : LINT_NOTE;
}

static void say_box(struct table *table, size_t cell, const struct box *box)
{
    struct lint *lint = table->lint;
    struct buffer where = {0}, sample = {0}, rows = {0};
    struct fact_values values;
    const struct node *place = lint_top(lint, "tiers");
    cells_customer(table->cells, cell, &values);
    cells_describe_box(table->cells, box->first, box->last, &where);
    cells_describe(table->cells, &values, &sample);
    rows_text(lint->playbook, table->rows[cell], &rows);
    if (table->rows[cell] == 0)
        lint_say(lint, hole_level(table->cells, &values), place,
                 "tiers: no row holds, so prospect: %s; for example: %s", where.data, sample.data);
    else
        lint_say(lint, LINT_NOTE, place, "tiers: rows %s hold, the first wins: %s; for example: %s", rows.data,
                 where.data, sample.data);
    buffer_release(&where);
    buffer_release(&sample);
    buffer_release(&rows);
}

static bool wanted(uint64_t rows)
{
    return rows == 0 || (rows & (rows - 1)) != 0;
}

static void say_boxes(struct table *table)
{
    size_t told = 0, more = 0;
    for (size_t cell = 0; cell < table->cells->count; cell++) {
        if (!table->possible[cell] || table->done[cell] || !wanted(table->rows[cell]))
            continue;
        struct box box = box_grow(table, cell);
        if (++told > BOXES_SHOWN)
            more++;
        else
            say_box(table, cell, &box);
    }
    if (more > 0)
        lint_say(table->lint, LINT_WARNING, lint_top(table->lint, "tiers"),
                 "tiers: %zu more holes and overlaps of this kind", more);
}

static void say_counts(struct table *table)
{
    size_t holes = 0, overlaps = 0, people = 0;
    for (size_t i = 0; i < table->cells->count; i++) {
        people += table->possible[i];
        holes += table->possible[i] && table->rows[i] == 0;
        overlaps += table->possible[i] && table->rows[i] != 0 && wanted(table->rows[i]);
    }
    lint_say(table->lint, LINT_NOTE, lint_top(table->lint, "tiers"),
             "tiers: of %zu kinds of customers %zu are in no row, %zu in more than one", people, holes, overlaps);
}

/* A row that never holds, or never first. */
static void say_dead_rows(struct table *table)
{
    const struct playbook *playbook = table->lint->playbook;
    for (size_t row = 0; row < playbook->tier_row_count; row++) {
        bool holds = false, wins = false;
        for (size_t i = 0; i < table->cells->count; i++) {
            uint64_t rows = table->possible[i] ? table->rows[i] : 0;
            holds = holds || (rows >> row & 1);
            wins = wins || (rows & -rows) == UINT64_C(1) << row;
        }
        const char *name = class_value_name(DIMENSION_TIER, (int)playbook->tier_rows[row].tier);
        enum fact fact = lint_never_fact(table->lint, &playbook->tier_rows[row].when);
        if (!holds && fact != FACT_COUNT)
            lint_say(table->lint, LINT_WARNING, table->lint->row_nodes[row],
                     "tiers: row %zu (%s) can never hold: it needs %s, and %s", row + 1, name, fact_name(fact),
                     lint_never_why(fact));
        else if (!holds)
            lint_say(table->lint, LINT_WARNING, table->lint->row_nodes[row], "tiers: row %zu (%s) can never hold",
                     row + 1, name);
        else if (!wins)
            lint_say(table->lint, LINT_WARNING, table->lint->row_nodes[row],
                     "tiers: row %zu (%s) never wins: rows above it take everybody", row + 1, name);
    }
}

/* R43: a stage needs those before it, so what contradicts them is never reached, nor is what comes after it. */
static bool stage_reachable(struct lint *lint, int stage)
{
    struct fact_values values;
    bool reached = false;
    struct cells *cells = cells_new();
    cells->never = lint->never;
    for (int i = GROWTH_PURCHASER; i <= stage; i++)
        cells_add(cells, &lint->playbook->growth_when[i]);
    bool built = cells_build(cells, lint->playbook);
    for (size_t cell = 0; built && cell < cells->count && !reached; cell++) {
        reached = cells_customer(cells, cell, &values);
        for (int i = GROWTH_PURCHASER; i <= stage && reached; i++)
            reached = expression_true(&lint->playbook->growth_when[i], &values);
    }
    cells_free(cells);
    return !built || reached; /* too many kinds of customers to tell */
}

static void say_stage(struct lint *lint, int stage, bool first)
{
    const char *name = class_value_name(DIMENSION_GROWTH, stage);
    const struct node *node = node_find(lint_top(lint, "growth"), name);
    enum fact fact = lint_never_fact(lint, &lint->playbook->growth_when[stage]);
    if (!first)
        lint_say(lint, LINT_WARNING, node, "growth: %s can never be reached, as the stage before it cannot", name);
    else if (fact != FACT_COUNT)
        lint_say(lint, LINT_WARNING, node, "growth: %s can never be reached: it needs %s, and %s", name,
                 fact_name(fact), lint_never_why(fact));
    else
        lint_say(lint, LINT_WARNING, node,
                 "growth: %s can never be reached: its condition contradicts those before it, or itself", name);
}

void lint_growth(struct lint *lint)
{
    int stage = GROWTH_PURCHASER;
    while (stage < GROWTH_COUNT && stage_reachable(lint, stage))
        stage++;
    lint->highest_stage = (enum growth)(stage - 1);
    for (int first = stage; stage < GROWTH_COUNT; stage++)
        say_stage(lint, stage, stage == first);
}

void lint_tiers(struct lint *lint)
{
    struct table table;
    if (table_init(&table, lint)) {
        say_counts(&table);
        say_dead_rows(&table);
        say_boxes(&table);
    } else {
        lint_say(lint, LINT_WARNING, lint_top(lint, "tiers"),
                 "tiers: more than %d kinds of customers; holes and overlaps are not looked for", CELLS_MAX);
    }
    table_release(&table);
}
