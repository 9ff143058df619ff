#include "common/engine/classes.h"

/* R43: every stage needs those below. */
enum growth growth_of(const struct figures *figures, const struct fact_values *values)
{
    enum growth growth = GROWTH_NONE;
    while (growth + 1 < GROWTH_COUNT && expression_true(&figures->playbook->growth_when[growth + 1], values))
        growth++;
    return growth;
}
