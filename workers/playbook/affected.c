#include "workers/playbook/affected.h"

#include "common/flow/batch.h"
#include "common/flow/replay.h"
#include "common/io/topic_reader.h"
#include "workers/simulate/tally.h"

#include <stdio.h>

struct affected {
    const struct step_world *world;
    struct replay states; /* its table of customers is all that is used */
    struct tally tally;
    int64_t customers, erased, unreadable, changed_class, sending;
    int64_t waiting_before, waiting_after;
    struct arena arena; /* of one customer */
};

/* ---- the newest state of each ---- */

static void take(void *context, const rd_kafka_message_t *message)
{
    struct affected *affected = context;
    struct span key = {message->key, message->key_len}, value = {message->payload, message->len};
    if (!span_empty(key) && !span_empty(value) && !span_equal(key, meta_key()))
        replay_state_set(&affected->states, key, value);
}

static bool states_read(struct config *config, struct affected *affected)
{
    struct buffer error = {0};
    bool good = topic_read(config, config_topic(config, "state"), take, affected, &error);
    if (!good)
        fprintf(stderr, "oriori: %s\n", error.data);
    buffer_release(&error);
    return good;
}

/* ---- the sweep's visit ---- */

static void records_count(struct affected *affected, const struct record *record)
{
    bool moved = false, sends = false;
    for (; record; record = record->next) {
        tally_record(&affected->tally, record);
        moved = moved || record->type == RECORD_TRANSITION;
        sends = sends || (record->type == RECORD_ACTION && record->action.kind == ACTION_SEND);
    }
    affected->changed_class += moved;
    affected->sending += sends;
}

static void customer_visit_try(struct affected *affected, struct span id, struct span state, int64_t now)
{
    struct customer_report before, after;
    struct visit_result result;
    struct visit visit = {.customer_id = id, .state = state, .now = now, .fire_now = true};
    arena_reset(&affected->arena);
    affected->customers++;
    if (!step_report(affected->world, &affected->arena, id, state, now, &before) ||
        !step_visit(affected->world, &affected->arena, &visit, &result) ||
        !step_report(affected->world, &affected->arena, id, result.state, now, &after)) {
        affected->unreadable++;
        return;
    }
    affected->erased += before.erased;
    affected->waiting_before += (int64_t)before.waiting_count;
    affected->waiting_after += (int64_t)after.waiting_count;
    records_count(affected, result.records);
}

/* ---- the report ---- */

static void print_transitions(const struct tally *tally)
{
    for (int d = 0; d < DIMENSION_COUNT; d++)
        for (int from = -1; from < CLASS_VALUES_MAX; from++)
            for (int to = 0; to < CLASS_VALUES_MAX; to++) {
                long long count = (long long)tally->transitions[d][from + 1][to];
                if (count)
                    printf("  %-8s %s > %s: %lld\n", dimension_name((enum dimension)d),
                           from < 0 ? "none" : class_value_name((enum dimension)d, from),
                           class_value_name((enum dimension)d, to), count);
            }
}

static void print_rules(const struct tally *tally)
{
    for (size_t i = 0; i < tally->rule_count; i++) {
        const struct tally_rule *rule = &tally->rules[i];
        printf("  %.*s:", (int)rule->name.size, rule->name.data);
        for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++)
            if (rule->outcomes[outcome])
                printf(" %s %lld", outcome_name((enum outcome)outcome), (long long)rule->outcomes[outcome]);
        putchar('\n');
    }
}

static void print(const struct affected *affected)
{
    printf("%lld customers (%lld erased); visited now, under this playbook:\n", (long long)affected->customers,
           (long long)affected->erased);
    printf("classes change for %lld\n", (long long)affected->changed_class);
    print_transitions(&affected->tally);
    printf("runs that wait: %lld before, %lld after\n", (long long)affected->waiting_before,
           (long long)affected->waiting_after);
    printf("decisions at once (messages to %lld customers):%s\n", (long long)affected->sending,
           affected->tally.rule_count ? "" : " none");
    print_rules(&affected->tally);
    if (affected->tally.revokes)
        printf("revoked: %lld\n", (long long)affected->tally.revokes);
    if (affected->unreadable)
        printf("UNREADABLE states: %lld\n", (long long)affected->unreadable);
}

bool affected_print(struct config *config, const struct step_world *world, int64_t now)
{
    struct affected affected = {.world = world};
    struct flow_config flow = flow_config_default();
    struct span id, state;
    flow.world = world;
    replay_init(&affected.states, &flow, (struct replay_records){0});
    tally_init(&affected.tally);
    arena_init(&affected.arena, 0);
    bool good = states_read(config, &affected);
    for (size_t i = 0; good && replay_customer_next(&affected.states, &i, &id, &state);)
        customer_visit_try(&affected, id, state, now);
    if (good)
        print(&affected);
    arena_release(&affected.arena);
    tally_release(&affected.tally);
    replay_release(&affected.states);
    return good;
}
