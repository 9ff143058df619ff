/* A histogram of durations over one fixed row of bounds, from 0.1 ms to an hour: enough for a Redis round trip and for
 * a timer after an outage, and the same for all, so that what is exported stays bounded. */
#ifndef ORIORI_BASE_HISTOGRAM_H
#define ORIORI_BASE_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BOUNDS = 18 };
extern const double histogram_bounds[HISTOGRAM_BOUNDS]; /* seconds, ascending; a value equal to a bound is within it */

struct histogram {                         /* zeroed = empty */
    uint64_t counts[HISTOGRAM_BOUNDS + 1]; /* not cumulative; the last is beyond all bounds */
    double sum;                            /* seconds */
};

void histogram_observe(struct histogram *histogram, double seconds); /* below 0 counts as 0: a clock was set back */
uint64_t histogram_count(const struct histogram *histogram);

#endif
