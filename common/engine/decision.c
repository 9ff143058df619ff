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

static struct named_list decision_values(struct pass *pass, const struct rule *rule, const struct run *run)
{
    if (rule->facts_read == 0)
        return (struct named_list){NULL, 0};
    const struct fact_values *values = pass_values(pass, run, rule->facts_read);
    struct named *items = ARENA_ARRAY(pass->arena, struct named, (size_t)__builtin_popcountll(rule->facts_read));
    size_t count = 0;
    for (uint64_t left = rule->facts_read; left != 0; left &= left - 1)
        items[count++] = named_fact(values, (enum fact)__builtin_ctzll(left));
    return (struct named_list){items, count};
}

/* ---- one decision ---- */

/* False: somebody wants the record. */
static bool decision_count(struct pass *pass, const struct run *run, enum outcome outcome)
{
    struct rule_counts *counts = pass->world->counts;
    if (counts == NULL || run->rule_index < 0)
        return false;
    counts[run->rule_index].outcomes[outcome]++;
    pass->head.seq++; /* as if there were a record */
    return true;
}

void decision_publish(struct pass *pass, const struct run *run, enum outcome outcome, struct span detail, int64_t until,
                      struct named_list values)
{
    if (decision_count(pass, run, outcome))
        return;
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
    if (verdict.outcome == OUTCOME_PAUSED && held_before)
        return; /* told once */
    if (!decision_count(pass, run, verdict.outcome))
        decision_publish(pass, run, verdict.outcome, verdict.detail, verdict.until, decision_values(pass, rule, run));
    if (verdict.outcome == OUTCOME_SENT)
        action_send(pass, rule, run, verdict.channel);
    if (run->ended && rule->repeats) /* which may move the array, and the run with it */
        run_next_slot(pass, rule, run, verdict.outcome == OUTCOME_WHILE || verdict.outcome == OUTCOME_CANCELLED);
}

/* R2: timers due at exactly now wait for all events of now, but what this pass made belongs to its step. */
static bool run_due(const struct pass *pass, const struct run *run, bool fire)
{
    return run->rule_index >= 0 && (run->decide_at < pass->now || fire || run->fresh);
}

/* The places of those that are due; before first_at none of the others is. */
static uint32_t due_find(struct pass *pass, bool fire, uint32_t *places)
{
    const struct run *waiting = pass->runs.waiting;
    uint32_t found = 0, count = pass->runs.waiting_count;
    int64_t others_at = INT64_MAX;
    for (uint32_t i = 0; i < count; i++) {
        int64_t at = waiting[i].decide_at;
        if (at <= pass->now && run_due(pass, &waiting[i], fire))
            places[found++] = i;
        else
            others_at = at < others_at ? at : others_at;
    }
    pass->runs.first_at = others_at == INT64_MAX ? NEVER : others_at;
    return found;
}

/* Of those at the places the first in the order of R2, taken out of them. */
static struct run *due_take(const struct pass *pass, uint32_t *places, uint32_t *count)
{
    struct run *waiting = pass->runs.waiting;
    uint32_t first = 0;
    for (uint32_t i = 1; i < *count; i++) {
        if (run_before(pass, &waiting[places[i]], &waiting[places[first]]))
            first = i;
    }
    struct run *run = &waiting[places[first]];
    places[first] = places[--*count];
    return run;
}

static bool any_due(const struct pass *pass)
{
    return pass->runs.first_at != NEVER && pass->runs.first_at <= pass->now;
}

/* A slot that a late series makes may be due before the others that are: then these are looked for again. */
void decisions_make(struct pass *pass, bool fire)
{
    uint32_t *places = NULL, room = 0;
    while (any_due(pass)) {
        if (room < pass->runs.waiting_count) { /* a late series makes thousands: not an array for each */
            room = 2 * pass->runs.waiting_count;
            places = arena_take_raw(pass->arena, room * sizeof *places);
        }
        uint32_t count = due_find(pass, fire, places);
        if (count == 0)
            return;
        do
            decide(pass, due_take(pass, places, &count));
        while (count > 0 && !any_due(pass));
    }
}
