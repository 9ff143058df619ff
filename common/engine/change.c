/* Another playbook while runs wait (R81). */
#include "common/engine/pass.h"

static void run_end(struct pass *pass, struct run *run, enum outcome outcome)
{
    runs_end(&pass->runs, run);
    struct track *track = run->rule_index < 0 ? NULL : runs_track(&pass->runs, run->rule_index);
    if (track)
        track->ended = true; /* a series does not go on behind a slot that was dropped */
    decision_publish(pass, run, outcome, SPAN_NONE, NEVER, (struct named_list){NULL, 0});
}

static void run_recompute(struct pass *pass, const struct rule *rule, struct run *run)
{
    const struct track *track = runs_track(&pass->runs, run->rule_index);
    int32_t m = rule->repeats && track ? track->m : run->n;
    bool waiting = run->state == RUN_WAITING;
    run->due_at = run_due_at(pass, rule, run->anchor_at, run->order_id, run->n - m);
    if (waiting || run->decide_at < run->due_at)
        run->decide_at = run->due_at;
    runs_stir(&pass->runs, run);
}

void playbook_change(struct pass *pass)
{
    if (pass->runs.playbook == pass->playbook->mark)
        return;
    pass->runs.playbook = pass->playbook->mark;
    for (uint32_t i = 0; i < pass->runs.waiting_count; i++) {
        struct run *run = &pass->runs.waiting[i];
        if (run->rule_index < 0) {
            run_end(pass, run, OUTCOME_RULE_REMOVED);
            continue;
        }
        const struct rule *rule = &pass->playbook->rules[run->rule_index];
        if (rule->on_change == ON_CHANGE_DROP)
            run_end(pass, run, OUTCOME_DROPPED);
        else if (rule->on_change == ON_CHANGE_RECOMPUTE)
            run_recompute(pass, rule, run);
    }
}
