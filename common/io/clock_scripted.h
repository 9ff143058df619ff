/* A clock that stands still until it is told to move: tests, and the simulation. One may drift from another by having
 * its own `wall_ms`; monotonic time follows the wall's forward moves only. */
#ifndef ORIORI_IO_CLOCK_SCRIPTED_H
#define ORIORI_IO_CLOCK_SCRIPTED_H

#include "common/io/clock.h"

struct clock_scripted {
    int64_t wall_ms;
    int64_t monotonic_ms;
};

struct clock clock_scripted_open(struct clock_scripted *script); /* borrows the script */
void clock_scripted_move(struct clock_scripted *script, int64_t ms);

#endif
