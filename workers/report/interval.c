#include "workers/report/interval.h"

#include <math.h>

#define Z_95 1.959963984540054

void share_add(struct share *share, size_t runs, size_t reached)
{
    double n = (double)runs, r = (double)reached;
    share->customers++;
    share->runs += n;
    share->reached += r;
    share->squares_reached += r * r;
    share->squares_runs += n * n;
    share->products += r * n;
}

double share_rate(const struct share *share)
{
    return share->runs > 0 ? share->reached / share->runs : 0;
}

/* The variance of the rate as a ratio of sums over customers, who are what is drawn. */
static double variance_between(const struct share *share)
{
    double p = share_rate(share), m = (double)share->customers;
    double residuals = share->squares_reached - 2 * p * share->products + p * p * share->squares_runs;
    return residuals / (share->runs * share->runs) * m / (m - 1);
}

double share_effective_size(const struct share *share)
{
    double p = share_rate(share);
    if (share->customers < 2 || p <= 0 || p >= 1)
        return (double)share->customers;
    double size = p * (1 - p) / fmax(variance_between(share), 1e-300);
    return fmin(size, share->runs);
}

struct interval share_interval(const struct share *share)
{
    double n = share_effective_size(share), p = share_rate(share), z2 = Z_95 * Z_95;
    if (n <= 0)
        return (struct interval){0, 1};
    double middle = (p + z2 / (2 * n)) / (1 + z2 / n);
    double half = Z_95 / (1 + z2 / n) * sqrt(p * (1 - p) / n + z2 / (4 * n * n));
    return (struct interval){fmax(0, middle - half), fmin(1, middle + half)};
}

struct interval share_difference(const struct share *a, const struct share *b)
{
    double p = share_rate(a), q = share_rate(b), difference = p - q;
    struct interval of_a = share_interval(a), of_b = share_interval(b);
    return (struct interval){difference - hypot(p - of_a.low, of_b.high - q),
                             difference + hypot(of_a.high - p, q - of_b.low)};
}
