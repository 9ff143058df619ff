/* A cap of sends per second and shard (`sends_per_second`), so that a storm (an outage's timers, a resume, a long input
 * to catch up with) does not flood the mailer. It is a brake on the worker's pace, not a rule of the business: nothing
 * is decided otherwise for it, only later, as by a slower machine, and `stale` and the caps of R70 judge at that later
 * T. The log and `crm.steps` know nothing of it, so a replay needs not to.
 *
 * Each shard has a credit: it grows by the cap each second, to one second's worth at the most, and each committed send
 * takes one from it. While it is used up the shard's timers and sweep wait, and the worker reads no input: the log has
 * no way to read all but one shard's. A step's visits for timers end when the credit is spent. What records bring
 * cannot be cut, so a batch of records that sends more than the credit and a second's worth is dropped, and a smaller
 * one read. So in any s seconds a shard publishes at most (s + 2) x cap, and what one customer's visit sends.
 *
 * The credit is this process's: whoever takes a shard over begins with none, which costs a moment and no burst. */
#include "common/flow/batch.h"

enum { WHOLE = 1000 /* of a send */ };

static int64_t cap_of(const struct worker *worker)
{
    return worker->config.sends_per_second;
}

static void credit_grow(const struct worker *worker, struct shard *shard, int64_t now)
{
    struct pace *pace = &shard->pace;
    int64_t most = cap_of(worker) * WHOLE;
    if (pace->at)
        pace->credit += (now - pace->at) * cap_of(worker); /* a cap per second = thousandths per ms */
    if (pace->credit > most)
        pace->credit = most;
    pace->at = now;
}

int64_t pace_wait(const struct worker *worker, const struct shard *shard)
{
    if (cap_of(worker) == 0 || shard->phase != SHARD_READY || shard->pace.credit > 0)
        return 0;
    return -shard->pace.credit / cap_of(worker) + 1;
}

int64_t pace_turn(struct worker *worker)
{
    int64_t now = clock_monotonic(worker->clock), wait = 0;
    worker->paced_until = 0;
    if (cap_of(worker) == 0)
        return 0;
    for (int32_t h = 0; h < worker->config.shard_count; h++) {
        struct shard *shard = &worker->shards[h];
        if (shard->phase != SHARD_READY)
            continue;
        credit_grow(worker, shard, now);
        if (pace_wait(worker, shard) > wait)
            wait = pace_wait(worker, shard);
    }
    if (worker->paced_at)
        worker->counts.paced_ms += (uint64_t)(now - worker->paced_at);
    worker->paced_at = wait ? now : 0;
    worker->paced_until = wait ? now + wait : 0;
    return wait;
}

bool pace_lets(const struct worker *worker, const struct shard *shard)
{
    return pace_wait(worker, shard) == 0;
}

int64_t pace_sends_max(const struct worker *worker, const struct shard *shard)
{
    if (cap_of(worker) == 0)
        return STEP_SENDS_ANY;
    return shard->pace.credit > 0 ? (shard->pace.credit + WHOLE - 1) / WHOLE : 0;
}

bool pace_decided(struct worker *worker, const struct batch *batch, struct batch_shard *touched, size_t cut)
{
    int64_t most = pace_sends_max(worker, touched->shard) + cap_of(worker), sends = (int64_t)touched->run.send_count;
    if (cap_of(worker) == 0)
        return true;
    if (touched->moved && sends > most && batch->record_count > 1) {
        worker->batch_records = batch->record_count * (size_t)most / (size_t)sends;
        if (worker->batch_records == 0)
            worker->batch_records = 1;
        worker->shrunk = true;
        return false;
    }
    if (cut == 0)
        return true;
    worker->counts.paced_steps++;
    sweep_cut(touched);
    touched->load.next_wake_at = touched->now; /* some of those due then are still */
    return true;
}

void pace_spend(struct worker *worker, const struct batch_shard *touched)
{
    if (cap_of(worker) > 0)
        touched->shard->pace.credit -= (int64_t)touched->run.send_count * WHOLE;
}
