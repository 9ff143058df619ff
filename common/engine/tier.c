#include "common/engine/classes.h"

/* The first row that holds wins; none = prospect (DOMAIN.md 3). */
enum tier tier_of(const struct figures *figures, const struct fact_values *values)
{
    const struct playbook *playbook = figures->playbook;
    for (size_t i = 0; i < playbook->tier_row_count; i++)
        if (expression_true(&playbook->tier_rows[i].when, values))
            return playbook->tier_rows[i].tier;
    return TIER_PROSPECT;
}

bool tier_returns(const struct playbook *playbook, enum tier from, enum tier to)
{
    return (playbook->returned_from >> from & 1) && (playbook->returned_to >> to & 1); /* R38 */
}
