/* Decisions: which run is next, and what becomes of it (R2, R66 to R69). */
#include "common/engine/pass.h"

/* How long a held run sleeps before it looks again whether the operator has let go (R66). */
#define PAUSE_RETRY_MS (15 * MINUTE_MS)

/* ---- the values that were read ---- */

static struct named named_fact(const struct fact_values *values, enum fact fact)
{
    struct named named = {.name = span_of(fact_name(fact)), .integer = values->value[fact]};
    enum fact_type type = fact_type(fact);
    if (type == FACT_TEXT) {
        named.text = fact == FACT_campaign ? values->campaign : values->goal;
        named.type = span_empty(named.text) ? NAMED_NULL : NAMED_TEXT;
    } else if (values->value[fact] == FACT_ABSENT) {
        named.type = NAMED_NULL;
    } else if (type >= FACT_TIER && type <= FACT_SEGMENT) {
        named.type = NAMED_TEXT;
        enum dimension dimension = (enum dimension)(DIMENSION_TIER + (type - FACT_TIER));
        named.text = span_of(class_value_name(dimension, (int)values->value[fact]));
    } else {
        named.type = type == FACT_BOOLEAN ? NAMED_BOOLEAN : NAMED_INTEGER;
    }
    return named;
}

struct named_list decision_values(struct pass *pass, const struct rule *rule, const struct run *run)
{
    if (pass->world->counts != NULL || rule->facts_read == 0)
        return (struct named_list){NULL, 0};
    const struct fact_values *values = pass_values(pass, run, rule->facts_read);
    struct named *items = ARENA_ARRAY(pass->arena, struct named, (size_t)__builtin_popcountll(rule->facts_read));
    size_t count = 0;
    for (uint64_t left = rule->facts_read; left != 0; left &= left - 1)
        items[count++] = named_fact(values, (enum fact)__builtin_ctzll(left));
    return (struct named_list){items, count};
}

/* ---- one decision ---- */

void decision_publish(struct pass *pass, const struct run *run, enum outcome outcome, struct span detail, int64_t until,
                      struct named_list values)
{
    struct rule_counts *counts = pass->world->counts;
    if (counts != NULL && run->rule_index >= 0) {
        counts[run->rule_index].outcomes[outcome]++;
        pass->head.seq++; /* as if there were a record */
        return;
    }
    struct decision *decision = &pass_record(pass, RECORD_DECISION)->decision;
    decision->rule = run->rule;
    decision->key = run->key;
    decision->n = run->n;
    decision->outcome = outcome;
    decision->detail = detail;
    decision->due_at = run->due_at;
    decision->until = until;
    decision->values = values;
    decision->playbook_version = pass->playbook->version;
    decision->event_id = pass_event_id(pass);
}

/* The run goes on waiting: R68, R66. */
static bool run_waits(struct pass *pass, struct run *run, const struct verdict_guard *verdict)
{
    if (verdict->outcome == OUTCOME_DEFERRED) {
        run->state = RUN_DEFERRED;
        run->decide_at = verdict->until;
        return true;
    }
    if (verdict->outcome != OUTCOME_PAUSED)
        return false;
    run->decide_at = pass->now + PAUSE_RETRY_MS;
    return true;
}

static void decide(struct pass *pass, struct run *run)
{
    const struct rule *rule = &pass->playbook->rules[run->rule_index];
    const struct verdict_guard verdict = guards_check(pass, rule, run);
    bool held_before = run->state == RUN_HELD;
    if (verdict.outcome == OUTCOME_PAUSED)
        run->state = RUN_HELD;
    if (run_waits(pass, run, &verdict))
        runs_stir(&pass->runs, run);
    else
        runs_end(&pass->runs, run);
    const struct run decided = *run; /* what follows may move the array */
    if (verdict.outcome == OUTCOME_PAUSED && held_before)
        return; /* told once */
    decision_publish(pass, &decided, verdict.outcome, verdict.detail, verdict.until,
                     decision_values(pass, rule, &decided));
    if (verdict.outcome == OUTCOME_SENT)
        action_send(pass, rule, &decided, verdict.channel);
    if (decided.ended && rule->repeats)
        run_next_slot(pass, rule, &decided, verdict.outcome == OUTCOME_WHILE || verdict.outcome == OUTCOME_CANCELLED);
}

/* R2: timers due at exactly now wait for all events of now, but what this pass made belongs to its step. */
static bool run_due(const struct pass *pass, const struct run *run, bool fire)
{
    if (run->decide_at > pass->now || run->ended || run->rule_index < 0)
        return false;
    return run->decide_at < pass->now || fire || run->fresh;
}

/* The first that is due; whether others are, too. */
static struct run *next_due(struct pass *pass, bool fire, bool *ret_others)
{
    struct run *first = NULL, *end = pass->runs.waiting + pass->runs.waiting_count;
    *ret_others = false;
    for (struct run *run = pass->runs.waiting; run < end; run++) {
        if (!run_due(pass, run, fire))
            continue;
        *ret_others = first != NULL;
        if (first == NULL || run_before(pass, run, first))
            first = run;
    }
    return first;
}

/* A run that was decided is not due again at this instant: after the only one nothing is, unless its series made
 * another. */
void decisions_make(struct pass *pass, bool fire)
{
    bool others = pass->runs.first_at != NEVER && pass->runs.first_at <= pass->now;
    while (others) {
        uint32_t count = pass->runs.waiting_count;
        struct run *run = next_due(pass, fire, &others);
        if (run == NULL)
            return;
        decide(pass, run);
        others |= pass->runs.waiting_count != count;
    }
}
