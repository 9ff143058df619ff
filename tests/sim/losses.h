/* What exactly once does not cover: a Kafka that loses what it acknowledged, or deletes what was not read yet; a Redis
 * that evicts. Each in runs of its own, and what is promised there still:
 *
 *   - nobody crashes, and no worker ends because of it, to be started again for ever (but: a Redis whose policy is not
 *     noeviction is refused, by name);
 *   - the shard that was hit stops and says why, also when all workers are started anew; a hit partition that belongs
 * to no shard is left out alone, and that is said;
 *   - all other shards run on to the end, and their steps, states and views are right.
 *
 * What cannot be noticed, and is not promised: a partition of an input that lost its end and has grown past the offset
 * that was to be read before anybody read it (librdkafka 2.0 does not compare leader epochs); the same of crm.state
 * while nobody wrote to it. */
#ifndef ORIORI_TESTS_SIM_LOSSES_H
#define ORIORI_TESTS_SIM_LOSSES_H

#include <stdbool.h>
#include <stdint.h>

struct losses_tally {
    unsigned long passed, failed;
    unsigned long hit[8]; /* by kind of loss */
};

/* Every kind of loss in one world of that seed. Prints what fails. */
void losses_run(uint64_t seed, struct losses_tally *tally);
/* False: a kind never came about. Prints the counts. */
bool losses_report(const struct losses_tally *tally);

#endif
