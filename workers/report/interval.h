/* 95% intervals of a share of runs, and of the difference of two, where one customer may have several runs.
 *
 * Runs of one customer are not independent: ten tips to one eager reader are no ten readers. So each group counts with
 * an effective size: n divided by how much more its rate varies between customers than that of independent runs would
 * (the design effect; never taken as less than 1), and at a rate of 0 or 1, where nothing varies, with its number of
 * customers. With it: Wilson's interval for one share, Newcombe's (method 10) for a difference. Both stay honest for
 * few runs. */
#ifndef ORIORI_WORKERS_REPORT_INTERVAL_H
#define ORIORI_WORKERS_REPORT_INTERVAL_H

#include <stddef.h>

struct interval {
    double low, high;
};

/* One group while its customers are counted. */
struct share {
    size_t customers;
    double runs, reached;
    double squares_reached, squares_runs, products; /* sums over customers of r^2, n^2, r n */
};

void share_add(struct share *share, size_t runs, size_t reached); /* one customer's; runs > 0 */
double share_rate(const struct share *share);                     /* 0 without runs */
double share_effective_size(const struct share *share);
struct interval share_interval(const struct share *share); /* 0 .. 1 without runs */

/* Of rate(a) - rate(b); both must have runs. */
struct interval share_difference(const struct share *a, const struct share *b);

#endif
