/* One seed of the simulation: bad times, then good ones, then the audit; and the table of the situations that all seeds
 * of a process have reached. */
#ifndef ORIORI_TESTS_SIM_CHAOS_H
#define ORIORI_TESTS_SIM_CHAOS_H

#include "tests/sim/world.h"

/* X(name, least per 1000 seeds, text); 0 = at least one in 10,000. A range that reaches less proves nothing, and fails.
 */
#define SITUATIONS(X)                                                                                                  \
    X(CALL_FAILED, 1000, "a call failed")                                                                              \
    X(COMMIT_FAILED, 20, "a commit's outcome was unknown, and it was aborted")                                         \
    X(COMMIT_UNKNOWN, 20, "a commit's outcome was unknown, and it was committed")                                      \
    X(SEND_REFUSED, 50, "a transaction's offsets were refused: stale generation, or fenced")                           \
    X(COMMIT_REFUSED, 20, "a commit was refused: fenced, or timed out")                                                \
    X(ZOMBIE_REFUSED, 20, "a worker stalled in its transaction, came back, and was refused")                           \
    X(ZOMBIE_PASSED, 100, "a worker stalled in its transaction, came back, and committed")                             \
    X(APPLY_UNKNOWN, 50, "an apply succeeded and said it failed")                                                      \
    X(APPLY_REFUSED, 50, "an apply was refused: another's epoch or pos")                                               \
    X(VIEW_NOT_OURS, 50, "a load found the view changed under it")                                                     \
    X(DEATH, 1000, "a worker died")                                                                                    \
    X(DEATH_IN_TRANSACTION, 100, "a worker died between produce and commit")                                           \
    X(DEATH_AFTER_COMMIT, 50, "a worker died between commit and apply")                                                \
    X(TAKEOVER_OPEN, 50, "a takeover met an open transaction of the owner before")                                     \
    X(TAKEOVER_FENCED, 20, "and fenced him")                                                                           \
    X(FORWARD_UNREADY, 100, "a forward went to a shard that nobody had ready")                                         \
    X(BIRTH_AGAIN, 20, "a birth was tried by a second worker")                                                         \
    X(BIRTH_REFUSED, 5, "a birth was refused: another was faster")                                                     \
    X(STALL, 1000, "a worker stalled while others went on")                                                            \
    X(STALL_IN_TRANSACTION, 200, "a worker stalled inside its transaction")                                            \
    X(STALL_BEFORE_COMMIT, 50, "a worker stalled between send_offsets and commit")                                     \
    X(STALL_IN_RECOVERY, 200, "a worker stalled inside its recovery")                                                  \
    X(WIPE, 500, "the store was wiped")                                                                                \
    X(WIPE_BEFORE_LOAD, 20, "the store was wiped between apply and the next load")                                     \
    X(WIPE_IN_RECOVERY, 100, "the store was wiped during a recovery")                                                  \
    X(FALL_BACK, 500, "the store lost its last writes")                                                                \
    X(COMPACTION, 500, "the changelog was compacted")                                                                  \
    X(COMPACTION_IN_RECOVERY, 20, "the changelog was compacted while a recovery read it")                              \
    X(LEAVE, 100, "a worker left the group in peace")                                                                  \
    X(CLOCK_JUMP, 200, "one worker's clock jumped")                                                                    \
    X(CLOCK_JUMP_IN_BATCH, 20, "one worker's clock jumped between load and decide")                                    \
    X(CLOCK_STOOD, 100, "one worker's clock stood")                                                                    \
    X(CLOCKS_DIFFER, 50, "a worker saw that its clock and the store's differ, and stood still")                        \
    X(ISOLATED, 5, "a record was isolated after its tries")                                                            \
    X(LEADER_CHANGED, 500, "a partition lost its leader and got another")                                              \
    X(LEADER_QUEUED, 20, "a record waited in its client for a leader")                                                 \
    X(LEADER_RESENT, 10, "a record was lost with the old leader and sent again")                                       \
    X(LEADER_UNDELIVERED, 5, "a commit ended without a leader for its records")                                        \
    X(LEADER_REFUSED, 50, "a question was refused: no leader, or one that does not know its end yet")                  \
    X(LEADER_BEHIND, 2, "a reader stood behind the end that the new leader showed")                                    \
    X(EXPIRED, 300, "consumed records of an input or of crm.forward expired")                                          \
    X(EXPIRED_UNDER, 0, "a worker that was left behind found its next offset expired")                                 \
    X(META_EVICTED, 100, "the store lost a shard's meta and kept its customers")                                       \
    X(ANSWER_LATE, 50, "the store did what it was asked after its client had given up")                                \
    X(AUDITED, 100, "the auditor looked in the middle of the bad times")                                               \
    X(POISON_MET, 100, "a customer ended the worker that visited him")                                                 \
    X(QUARANTINED, 20, "a customer was quarantined after his tries")                                                   \
    X(QUARANTINED_IN_SWEEP, 2, "a sweep met him, and went on behind him")                                              \
    X(MENDED, 20, "a mended worker took a quarantined customer back")                                                  \
    X(REAL_ENGINE, 200, "a world ran the real engine")                                                                 \
    X(DAYS_PASSED, 500, "days passed in a moment, so that timers were due")                                            \
    X(TRACED_TIMER, 50, "what a timer sent went on with the trace of a record of days before")                        \
    X(TRACED_CREDIT, 20, "a referral's credit brought its friend's trace")                                             \
    X(PACED, 100, "a world's workers read nothing for a while: a shard had sent its share")                            \
    X(CUT, 20, "and left timers for later in a step, as it had sent its share")                                        \
    X(ACTIVATED, 200, "a playbook was activated")                                                                      \
    X(SWITCHED, 200, "a shard switched to it")                                                                         \
    X(PLAYBOOK_LACKED, 2, "a shard waited for a playbook that was not there yet")                                      \
    X(SWEPT, 200, "a sweep came to its end")                                                                           \
    X(ACTIVATED_IN_SWEEP, 2, "a playbook was activated while a shard was swept")                                       \
    X(DEATH_IN_SWEEP, 2, "a worker died while it swept")                                                               \
    X(WIPE_IN_SWEEP, 2, "the store was wiped while somebody swept")

enum situation {
#define X(name, least, text) SITUATION_##name,
    SITUATIONS(X)
#undef X
        SITUATION_COUNT
};

struct chaos {
    struct sim_world world;
    bool faults_on;
    bool large;                        /* a long history and few faults */
    uint64_t odds;                     /* one call in so many is hit, polls and produces ten times as seldom */
    int depth;                         /* stalls within stalls */
    bool stalled[SIM_WORKERS_MAX];     /* in the transaction it has open */
    bool births[SIM_WORKERS_MAX];      /* the transaction it has open is a birth */
    bool stepped[SIM_WORKERS_MAX];     /* it has a step */
    uint32_t tried[SIM_SHARDS];        /* which workers have tried to bear the shard */
    int late_variant, late_turns;      /* an activation whose text is not seen yet; 0 turns = none */
    uint64_t reached[SITUATION_COUNT]; /* over all seeds */
    struct flow_counts totals;         /* over all seeds */
};

/* Runs one seed with at most `turns_max` bad turns (0 = as many as the seed says). False: *ret_why says what is wrong.
 */
bool chaos_seed(struct chaos *chaos, uint64_t seed, int turns_max, FILE *trace, char ret_why[SIM_TEXT_SIZE]);
/* The fewest bad turns with which the seed still fails, found by halving: not the least there is, but a short one. */
int chaos_shrink(struct chaos *chaos, uint64_t seed);

/* Prints the table; how many situations were reached too seldom for that many seeds (0 for fewer than 1000). */
int chaos_report(const struct chaos *chaos, uint64_t seeds);

#endif
