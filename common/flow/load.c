#include "common/flow/batch.h"

/* The T that the step will have at least: what is due by then may be asked for now. */
static int64_t least_now(const struct worker *worker, const struct batch_shard *touched)
{
    int64_t now = worker->config.clock_input ? touched->control.tick_at : clock_wall(worker->clock);
    return now > touched->shard->clock ? now : touched->shard->clock + 1;
}

static void request_fill(struct worker *worker, const struct batch *batch, struct batch_shard *touched)
{
    struct step_run *run = &touched->run;
    step_run_control(run, &worker->arena, &touched->shard->control, &touched->control);
    sweep_take(worker, touched, batch->sweep_max);
    struct span *ids = ARENA_ARRAY(&worker->arena, struct span, run->visit_count + touched->sweep_count);
    for (size_t i = 0; i < run->visit_count; i++)
        ids[i] = run->visits[i].customer_id;
    for (size_t i = 0; i < touched->sweep_count; i++)
        ids[run->visit_count + i] = touched->sweep_ids[i];
    touched->load = (struct store_load){.shard = touched->shard->index,
                                        .ids = ids,
                                        .id_count = run->visit_count + touched->sweep_count,
                                        .due_before = least_now(worker, touched) + 1,
                                        .due_max = batch->timers_only && touched->sweeps ? 0 : batch->timers_max};
}

/* Without this check a view wiped since the last apply makes known customers look new, and the wrong state is committed
 * for good. */
static bool answer_is_ours(const struct worker *worker, const struct batch_shard *touched)
{
    const struct store_load *load = &touched->load;
    return span_equal(load->epoch, span_of(worker->epoch)) && load->pos == touched->shard->pos &&
           load->seq == touched->shard->seq;
}

static void answer_take(struct batch_shard *touched)
{
    struct step_run *run = &touched->run;
    const struct store_load *load = &touched->load;
    size_t own = load->id_count - touched->sweep_count;
    for (size_t i = 0; i < own; i++)
        run->visits[i].state = load->states[i];
    for (size_t i = 0; i < load->due_count; i++)
        step_run_add_timer(run, load->due_ids[i], load->due_states[i]);
    for (size_t i = 0; i < touched->sweep_count; i++) /* as if their timers were due */
        step_run_add_timer(run, touched->sweep_ids[i], load->states[own + i]);
}

/* A shard that came only for its timers and has none, and no customers to sweep, is no part of the batch: no step, no
 * transaction. */
static void untouched_drop(struct batch *batch)
{
    size_t kept = 0;
    for (size_t i = 0; i < batch->shard_count; i++) {
        struct batch_shard *touched = &batch->shards[i];
        if (touched->moved || touched->sweeps || touched->load.due_count > 0)
            batch->shards[kept++] = *touched;
        else
            touched->shard->next_wake_at = touched->load.next_wake_at;
    }
    batch->shard_count = kept;
}

/* One pod a day ahead would fire every timer early and freeze the shard for a day. */
static bool clocks_agree(struct worker *worker, int64_t server_ms)
{
    int64_t skew = clock_wall(worker->clock) - server_ms, most = worker->config.skew_max_ms;
    bool agree = worker->config.clock_input || most == 0 || (skew <= most && skew >= -most);
    if (!agree && !worker->skewed)
        worker_report(
            worker, REPORT_ERROR,
            "this machine's clock and the store's differ by %lld ms: the shards' clocks stand until they agree",
            (long long)skew);
    worker->skewed = !agree;
    return agree;
}

enum world flow_load(struct worker *worker, struct batch *batch)
{
    struct store_load *loads = ARENA_ARRAY(&worker->arena, struct store_load, batch->shard_count);
    int64_t server_ms;
    if (batch->shard_count == 0)
        return WORLD_DONE; /* only loose partitions moved */
    for (size_t i = 0; i < batch->shard_count; i++) {
        request_fill(worker, batch, &batch->shards[i]);
        loads[i] = batch->shards[i].load;
    }
    enum world outcome;
    FLOW_INSIST(worker, outcome, store_load(worker->store, loads, batch->shard_count, &worker->arena, &server_ms));
    if (outcome != WORLD_DONE)
        return outcome;
    if (!clocks_agree(worker, server_ms))
        return WORLD_AGAIN;
    for (size_t i = 0; i < batch->shard_count; i++) {
        batch->shards[i].load = loads[i];
        if (!answer_is_ours(worker, &batch->shards[i])) {
            worker_report(worker, REPORT_WARNING, "shard %d: the store's epoch, pos or seq is not ours: recovering",
                          (int)batch->shards[i].shard->index);
            return WORLD_RECOVER;
        }
        answer_take(&batch->shards[i]);
    }
    untouched_drop(batch);
    return WORLD_DONE;
}
