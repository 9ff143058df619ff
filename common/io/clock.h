/* The clock seam. Behind it: clock_wall (the system's), clock_scripted (tests: stands still until told). */
#ifndef ORIORI_IO_CLOCK_H
#define ORIORI_IO_CLOCK_H

#include "common/base/timestamp.h"

struct clock {
    void *context;
    int64_t (*wall_ms)(void *context);      /* UTC ms; may jump */
    int64_t (*monotonic_ms)(void *context); /* for deadlines and backoff only; never back */
};

static inline int64_t clock_wall(const struct clock *clock)
{
    return clock->wall_ms(clock->context);
}

static inline int64_t clock_monotonic(const struct clock *clock)
{
    return clock->monotonic_ms(clock->context);
}

#endif
