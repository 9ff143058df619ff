#include "common/flow/measure.h"

#include "common/base/check.h"
#include "common/flow/batch.h"

#include <stdlib.h>

static double seconds(int64_t ms)
{
    return (double)ms / SECOND_MS;
}

void measure_release(struct flow_measures *measures)
{
    free(measures->rules);
    measures->rules = NULL;
}

/* ---- rules ---- */

static void name_copy(char *ret_name, struct span name)
{
    size_t size = name.size < MEASURE_NAME_SIZE - 1 ? name.size : MEASURE_NAME_SIZE - 1;
    if (size)
        memcpy(ret_name, name.data, size);
    ret_name[size] = '\0';
}

/* The last place is for all that come when the others are taken. */
static struct rule_measure *rule_of(struct flow_measures *measures, struct span rule)
{
    char name[MEASURE_NAME_SIZE];
    if (!measures->rules) {
        measures->rules = calloc(MEASURE_RULES + 1, sizeof(*measures->rules));
        CHECK(measures->rules);
        name_copy(measures->rules[MEASURE_RULES].name, SPAN("other"));
    }
    name_copy(name, rule);
    for (size_t i = 0; i < measures->rule_count; i++)
        if (strcmp(measures->rules[i].name, name) == 0)
            return &measures->rules[i];
    if (measures->rule_count == MEASURE_RULES)
        return &measures->rules[MEASURE_RULES];
    memcpy(measures->rules[measures->rule_count].name, name, sizeof(name));
    return &measures->rules[measures->rule_count++];
}

void measure_record(struct flow_measures *measures, const struct record *record)
{
    switch (record->type) {
    case RECORD_TRANSITION:
        measures->moves[record->transition.dimension]++;
        return;
    case RECORD_DECISION:
        rule_of(measures, record->decision.rule)->outcomes[record->decision.outcome]++;
        return;
    case RECORD_ACTION:
        if (record->action.kind == ACTION_SEND)
            rule_of(measures, record->action.rule)->sent++;
        else
            rule_of(measures, record->action.rule)->revoked++;
        return;
    }
}

/* ---- a batch ---- */

static void measure_visit(struct flow_measures *measures, const struct customer_visit *visit)
{
    for (size_t i = 0; i < visit->event_count; i++)
        if (visit->items[i]->kind == ITEM_EVENT)
            measures->events[visit->items[i]->event.topic][visit->result.results[i].verdict]++;
    for (const struct record *record = visit->result.records; record; record = record->next)
        measure_record(measures, record);
}

/* What was due before this step was due since the shard's earliest wake-up that was not yet visited. */
static void measure_shard(struct flow_measures *measures, const struct batch_shard *touched)
{
    int64_t due_at = touched->shard->next_wake_at; /* apply, which comes later, sets the next one */
    if (touched->load.due_count > 0 && due_at > 0 && due_at != NEVER)
        histogram_observe(&measures->timers_late, seconds(touched->now - due_at));
    for (size_t i = 0; i < touched->run.visit_count; i++)
        measure_visit(measures, &touched->run.visits[i]);
}

void measure_batch(struct worker *worker, const struct batch *batch)
{
    struct flow_measures *measures = &worker->measures;
    histogram_observe(&measures->transaction, seconds(clock_monotonic(worker->clock) - batch->begun_at));
    for (const struct letter *letter = batch->letters; letter; letter = letter->next)
        measures->letters[letter->reason]++;
    for (size_t i = 0; i < batch->source_count; i++) {
        const struct batch_source *moved = &batch->sources[i];
        if (moved->record_count)
            moved->source->read_at = moved->records[moved->record_count - 1]->timestamp;
    }
    for (size_t i = 0; i < batch->shard_count; i++)
        measure_shard(measures, &batch->shards[i]);
}

void measure_applied(struct worker *worker, int64_t began_ms)
{
    histogram_observe(&worker->measures.batch, seconds(clock_monotonic(worker->clock) - began_ms));
}

/* ---- recovery ---- */

void measure_recovery(struct worker *worker)
{
    struct flow_measures *measures = &worker->measures;
    if (measures->recovering_since == 0 || worker->recover)
        return;
    for (int32_t h = 0; h < worker->config.shard_count; h++)
        if (worker->shards[h].phase == SHARD_WAITING)
            return;
    histogram_observe(&measures->recovery, seconds(clock_monotonic(worker->clock) - measures->recovering_since));
    measures->recovering_since = 0;
}
