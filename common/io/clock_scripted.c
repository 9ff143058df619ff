#include "common/io/clock_scripted.h"

static int64_t scripted_wall(void *context)
{
    const struct clock_scripted *script = context;
    return script->wall_ms;
}

static int64_t scripted_monotonic(void *context)
{
    const struct clock_scripted *script = context;
    return script->monotonic_ms;
}

struct clock clock_scripted_open(struct clock_scripted *script)
{
    return (struct clock){.context = script, .wall_ms = scripted_wall, .monotonic_ms = scripted_monotonic};
}

void clock_scripted_move(struct clock_scripted *script, int64_t ms)
{
    script->wall_ms += ms;
    if (ms > 0)
        script->monotonic_ms += ms;
}
