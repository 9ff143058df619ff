/* The clock seam (clock.h) on the machine's clocks. */
#ifndef ORIORI_IO_CLOCK_WALL_H
#define ORIORI_IO_CLOCK_WALL_H

#include "common/io/clock.h"

struct clock clock_wall_open(void);

#endif
