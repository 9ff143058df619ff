/* The tier table on a grid that a person names: the articles' own check, point by point. */
#include "common/base/check.h"
#include "common/playbook/expression_op.h"
#include "workers/lint/lint.h"
#include "workers/lint/lint_cells.h"

enum { AXES_MAX = 16, VALUES_MAX = 64, POINTS_MAX = 1000000 };

struct grid_axis {
    enum fact fact;
    int64_t values[VALUES_MAX];
    size_t count;
};

static struct span word_take(struct span *rest, const char *ends)
{
    size_t size = 0;
    while (size < rest->size && strchr(ends, rest->data[size]) == NULL)
        size++;
    struct span word = {rest->data, size};
    rest->data += size;
    rest->size -= size;
    return word;
}

/* The value as a condition would spell it: `fact = value` compiled, its literal taken. */
static bool value_parse(struct arena *arena, enum fact fact, struct span value, int64_t *ret_value,
                        struct buffer *error)
{
    struct buffer text = {0};
    struct expression expression;
    struct expression_error wrong = {0};
    buffer_format(&text, "%s = %.*s", fact_name(fact), (int)value.size, value.data);
    bool good = expression_compile(arena, buffer_span(&text), NULL, &expression, &wrong) && expression.op_count == 1 &&
                !expression.ops[0].with_fact && fact_type(fact) != FACT_TEXT;
    if (good)
        *ret_value = expression.ops[0].numbers[0];
    else
        buffer_format(error, "grid: expected a value of %s, found \"%.*s\"", fact_name(fact), (int)value.size,
                      value.data);
    buffer_release(&text);
    buffer_release(&wrong.message);
    return good;
}

static bool axis_parse(struct arena *arena, struct span *rest, struct grid_axis *axis, struct buffer *error)
{
    struct span name = word_take(rest, "= ");
    axis->count = 0;
    if (!fact_find(name, &axis->fact) || rest->size == 0 || rest->data[0] != '=') {
        buffer_format(error, "grid: expected fact=value,value, found \"%.*s\"", (int)name.size, name.data);
        return false;
    }
    while (rest->size > 0 && (rest->data[0] == '=' || rest->data[0] == ',')) {
        rest->data++, rest->size--;
        struct span value = word_take(rest, ", ");
        if (axis->count == VALUES_MAX || !value_parse(arena, axis->fact, value, &axis->values[axis->count++], error))
            return false;
    }
    return true;
}

static bool grid_parse(struct arena *arena, struct span grid, struct grid_axis axes[AXES_MAX], size_t *ret_count,
                       struct buffer *error)
{
    size_t points = 1;
    for (*ret_count = 0;; (*ret_count)++) {
        while (grid.size > 0 && grid.data[0] == ' ')
            grid.data++, grid.size--;
        if (grid.size == 0)
            return true;
        if (*ret_count == AXES_MAX || !axis_parse(arena, &grid, &axes[*ret_count], error))
            return false;
        points *= axes[*ret_count].count;
        if (points > POINTS_MAX) {
            buffer_add_text(error, "grid: expected at most 1000000 points, found more");
            return false;
        }
    }
}

static void point_text(const struct grid_axis *axes, size_t count, const struct fact_values *values, size_t rows,
                       struct buffer *text)
{
    buffer_format(text, "%s:", rows == 0 ? "no row" : "more than one row");
    for (size_t i = 0; i < count; i++) {
        buffer_format(text, " %s=", fact_name(axes[i].fact));
        fact_value_text(axes[i].fact, values->value[axes[i].fact], text);
    }
    buffer_add_char(text, '\n');
}

bool lint_grid(const struct playbook *playbook, struct span grid, bool list, struct buffer *text,
               struct grid_result *ret_result, struct buffer *error)
{
    struct arena arena;
    struct grid_axis axes[AXES_MAX];
    size_t count = 0, points = 1;
    arena_init(&arena, 0);
    bool good = grid_parse(&arena, grid, axes, &count, error);
    arena_release(&arena);
    if (!good)
        return false;
    for (size_t i = 0; i < count; i++)
        points *= axes[i].count;
    *ret_result = (struct grid_result){.points = points};
    for (size_t point = 0; point < points; point++) {
        struct fact_values values = {.campaign = SPAN_NONE};
        size_t rest = point, rows = 0;
        for (size_t i = 0; i < count; i++, rest /= axes[i - 1].count)
            values.value[axes[i].fact] = axes[i].values[rest % axes[i].count];
        for (size_t i = 0; i < playbook->tier_row_count; i++)
            rows += expression_true(&playbook->tier_rows[i].when, &values);
        ret_result->holes += rows == 0;
        ret_result->overlaps += rows > 1;
        if (list && rows != 1)
            point_text(axes, count, &values, rows, text);
    }
    return true;
}
