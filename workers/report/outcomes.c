#include "workers/report/outcomes.h"

#include "common/base/check.h"
#include "common/base/hash.h"
#include "workers/report/interval.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 1024 };
enum outcome_known { KNOWN_NOT, KNOWN_READ, KNOWN_ERASED };

struct run_kept {
    uint32_t customer, rule, variant; /* numbers of the names; variant NAME_NONE = none */
    bool held_out;
    bool reached;
    uint64_t key; /* hash of key and n */
    int64_t at;
};

struct move_kept {
    uint32_t customer;
    enum dimension dimension;
    int to;
    int64_t at;
};

void outcomes_init(struct outcomes *outcomes, const struct step_world *world)
{
    *outcomes = (struct outcomes){.world = world};
    arena_init(&outcomes->memory, 0);
    arena_init(&outcomes->scratch, 0);
}

void outcomes_release(struct outcomes *outcomes)
{
    names_release(&outcomes->customers);
    names_release(&outcomes->rules);
    names_release(&outcomes->variants);
    arena_release(&outcomes->memory);
    arena_release(&outcomes->scratch);
    free(outcomes->runs);
    free(outcomes->moves);
    free(outcomes->first_runs);
    free(outcomes->known);
    *outcomes = (struct outcomes){0};
}

/* ---- what is collected ---- */

static void *with_room(void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    *capacity = *capacity ? 2 * *capacity : FIRST_CAPACITY;
    items = realloc(items, *capacity * size);
    CHECK(items != NULL);
    return items;
}

static uint64_t key_hash(struct span key, int32_t n)
{
    return hash_xxh64(key) ^ ((uint64_t)(uint32_t)n * UINT64_C(0x9e3779b97f4a7c15));
}

void outcomes_add(struct outcomes *outcomes, const struct outcome_run *run)
{
    struct arena *memory = &outcomes->memory;
    outcomes->runs = with_room(outcomes->runs, outcomes->run_count, &outcomes->run_capacity, sizeof *outcomes->runs);
    outcomes->runs[outcomes->run_count++] = (struct run_kept){
        .customer = names_add(&outcomes->customers, memory, run->customer_id),
        .rule = names_add(&outcomes->rules, memory, run->rule),
        .variant = span_empty(run->variant) ? NAME_NONE : names_add(&outcomes->variants, memory, run->variant),
        .held_out = run->held_out,
        .key = key_hash(run->key, run->n),
        .at = run->at};
}

static bool goal_names(const struct goal *goal, enum dimension dimension, int to)
{
    enum dimension named;
    int value;
    return goal->within_ms && goal_is_class(goal->name, &named, &value) && named == dimension && value == to;
}

void outcomes_add_transition(struct outcomes *outcomes, struct span customer_id, enum dimension dimension, int to,
                             int64_t effective_at)
{
    const struct playbook *playbook = outcomes->world->playbook;
    bool wanted = false;
    for (size_t i = 0; i < playbook->rule_count && !wanted; i++)
        wanted = goal_names(&playbook->rules[i].goal, dimension, to);
    if (!wanted)
        return;
    outcomes->moves =
        with_room(outcomes->moves, outcomes->move_count, &outcomes->move_capacity, sizeof *outcomes->moves);
    uint32_t customer = names_add(&outcomes->customers, &outcomes->memory, customer_id);
    outcomes->moves[outcomes->move_count++] = (struct move_kept){customer, dimension, to, effective_at};
}

static void add_send(struct outcomes *outcomes, struct span customer_id, const struct action *action)
{
    outcomes_add(outcomes, &(struct outcome_run){customer_id, action->rule, action->key, action->variant, action->n,
                                                 false, action->made_at});
}

void outcomes_add_record(struct outcomes *outcomes, const struct record *record)
{
    const struct transition *transition = &record->transition;
    const struct decision *decision = &record->decision;
    if (record->type == RECORD_TRANSITION && transition->direction != DIRECTION_DOWN)
        outcomes_add_transition(outcomes, record->customer_id, transition->dimension, transition->to,
                                transition->effective_at);
    else if (record->type == RECORD_ACTION && record->action.kind == ACTION_SEND)
        add_send(outcomes, record->customer_id, &record->action);
    else if (record->type == RECORD_DECISION && decision->outcome == OUTCOME_HOLDOUT)
        outcomes_add(outcomes, &(struct outcome_run){record->customer_id, decision->rule, decision->key, SPAN_NONE,
                                                     decision->n, true, record->at});
}

/* ---- which runs reached their goal ---- */

static int compare_runs(const void *left, const void *right)
{
    const struct run_kept *a = left, *b = right;
    if (a->customer != b->customer)
        return a->customer < b->customer ? -1 : 1;
    if (a->rule != b->rule)
        return a->rule < b->rule ? -1 : 1;
    if (a->held_out != b->held_out)
        return a->held_out ? 1 : -1;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

static int compare_moves(const void *left, const void *right)
{
    const struct move_kept *a = left, *b = right;
    return (a->customer > b->customer) - (a->customer < b->customer);
}

static bool same_run(const struct run_kept *a, const struct run_kept *b)
{
    return a->customer == b->customer && a->rule == b->rule && a->held_out == b->held_out && a->key == b->key;
}

/* A held-out run's key is not used up (R47): the next trigger decides the same run again. The first time counts. */
static void drop_repeated(struct outcomes *outcomes)
{
    size_t kept = 0;
    for (size_t i = 0; i < outcomes->run_count; i++)
        if (kept == 0 || !same_run(&outcomes->runs[i], &outcomes->runs[kept - 1]))
            outcomes->runs[kept++] = outcomes->runs[i];
    outcomes->run_count = kept;
}

static const struct goal *goal_of(const struct outcomes *outcomes, const struct run_kept *run)
{
    const struct rule *rule = playbook_rule(outcomes->world->playbook, outcomes->rules.items[run->rule]);
    return rule != NULL && rule->goal.within_ms ? &rule->goal : NULL;
}

/* The first of the customer's moves, which are sorted by customer. */
static size_t first_move(const struct outcomes *outcomes, uint32_t customer)
{
    size_t low = 0, high = outcomes->move_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (outcomes->moves[middle].customer < customer)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool moved_in_time(const struct outcomes *outcomes, const struct run_kept *run, const struct goal *goal)
{
    for (size_t i = first_move(outcomes, run->customer);
         i < outcomes->move_count && outcomes->moves[i].customer == run->customer; i++) {
        const struct move_kept *move = &outcomes->moves[i];
        if (goal_names(goal, move->dimension, move->to) && move->at > run->at && move->at <= run->at + goal->within_ms)
            return true;
    }
    return false;
}

static bool is_class_goal(const struct goal *goal)
{
    enum dimension dimension;
    int value;
    return goal_is_class(goal->name, &dimension, &value);
}

void outcomes_close(struct outcomes *outcomes)
{
    size_t customers = outcomes->customers.count;
    if (outcomes->run_count)
        qsort(outcomes->runs, outcomes->run_count, sizeof *outcomes->runs, compare_runs);
    if (outcomes->move_count)
        qsort(outcomes->moves, outcomes->move_count, sizeof *outcomes->moves, compare_moves);
    drop_repeated(outcomes);
    outcomes->first_runs = calloc(customers + 1, sizeof *outcomes->first_runs);
    outcomes->known = calloc(customers + 1, sizeof *outcomes->known);
    CHECK(outcomes->first_runs != NULL && outcomes->known != NULL);
    for (size_t i = 0, customer = 0; customer <= customers; customer++) {
        while (i < outcomes->run_count && outcomes->runs[i].customer < customer)
            i++;
        outcomes->first_runs[customer] = i;
    }
    for (size_t i = 0; i < outcomes->run_count; i++) {
        const struct goal *goal = goal_of(outcomes, &outcomes->runs[i]);
        if (goal != NULL && is_class_goal(goal))
            outcomes->runs[i].reached = moved_in_time(outcomes, &outcomes->runs[i], goal);
    }
}

static void judge_runs(struct outcomes *outcomes, uint32_t customer, const struct goal_facts *facts)
{
    for (size_t i = outcomes->first_runs[customer]; i < outcomes->first_runs[customer + 1]; i++) {
        struct run_kept *run = &outcomes->runs[i];
        const struct goal *goal = goal_of(outcomes, run);
        if (goal != NULL && !is_class_goal(goal))
            run->reached = goal_happened(facts, goal->name, run->at, run->at + goal->within_ms);
    }
}

void outcomes_add_state(struct outcomes *outcomes, struct span customer_id, struct span state)
{
    struct goal_facts facts;
    uint32_t customer = names_find(&outcomes->customers, customer_id);
    if (customer == NAME_NONE)
        return; /* nothing was ever meant for him */
    if (!goal_facts_read(outcomes->world, &outcomes->scratch, state, &facts)) {
        outcomes->unreadable++;
        outcomes->known[customer] = KNOWN_NOT;
    } else {
        outcomes->known[customer] = facts.erased ? KNOWN_ERASED : KNOWN_READ;
        judge_runs(outcomes, customer, &facts);
    }
    arena_reset(&outcomes->scratch);
}

/* ---- counting ---- */

/* The runs that one group of a line takes. */
struct selection {
    uint32_t rule, variant;
    bool held_out;
    const struct goal *goal;
    int64_t clock;
};

static bool selected(const struct selection *selection, const struct run_kept *run)
{
    return run->rule == selection->rule && run->held_out == selection->held_out &&
           (run->held_out || run->variant == selection->variant);
}

static void count_customer(const struct outcomes *outcomes, const struct selection *selection, uint32_t customer,
                           struct outcome_group *group, struct share *share)
{
    size_t measured = 0, reached = 0;
    for (size_t i = outcomes->first_runs[customer]; i < outcomes->first_runs[customer + 1]; i++) {
        const struct run_kept *run = &outcomes->runs[i];
        if (!selected(selection, run))
            continue;
        group->runs++;
        if (selection->goal == NULL)
            continue;
        if (outcomes->known[customer] != KNOWN_READ)
            group->unknown++;
        else if (run->at + selection->goal->within_ms > selection->clock)
            group->open++;
        else {
            measured++;
            reached += run->reached;
        }
    }
    group->measured += measured;
    group->reached += reached;
    if (measured)
        share_add(share, measured, reached);
}

static struct outcome_group count_group(const struct outcomes *outcomes, const struct selection *selection,
                                        struct share *ret_share)
{
    struct outcome_group group = {0};
    *ret_share = (struct share){0};
    for (uint32_t customer = 0; customer < outcomes->customers.count; customer++)
        count_customer(outcomes, selection, customer, &group, ret_share);
    struct interval interval = share_interval(ret_share);
    group.customers = ret_share->customers;
    group.rate = share_rate(ret_share);
    group.low = interval.low;
    group.high = interval.high;
    return group;
}

static struct outcome_line count_line(const struct outcomes *outcomes, struct span rule_name, uint32_t rule,
                                      uint32_t variant, int64_t clock)
{
    const struct rule *known = playbook_rule(outcomes->world->playbook, rule_name);
    struct share sent, held_out;
    struct outcome_line line = {.rule = rule_name,
                                .variant = variant == NAME_NONE ? SPAN_NONE : outcomes->variants.items[variant],
                                .goal = known != NULL && known->goal.within_ms ? &known->goal : NULL};
    struct selection selection = {rule, variant, false, line.goal, clock};
    line.sent = count_group(outcomes, &selection, &sent);
    selection.held_out = true;
    line.held_out = count_group(outcomes, &selection, &held_out);
    line.compared = sent.customers > 0 && held_out.customers > 0;
    if (line.compared) {
        struct interval interval = share_difference(&sent, &held_out);
        line.difference = line.sent.rate - line.held_out.rate;
        line.low = interval.low;
        line.high = interval.high;
    }
    return line;
}

struct counting {
    struct outcomes *outcomes;
    int64_t clock;
    struct outcome_line *lines;
    size_t count;
};

/* The rule's lines: one for each variant that was sent or that the playbook has, one without when there is none. */
static void count_rule(struct counting *counting, struct span name)
{
    struct outcomes *outcomes = counting->outcomes;
    uint32_t rule = names_find(&outcomes->rules, name);
    bool plain = false;
    unsigned char *seen = ARENA_ARRAY(&outcomes->scratch, unsigned char, (size_t)outcomes->variants.count + 1);
    for (size_t i = 0; i < outcomes->run_count; i++) {
        const struct run_kept *run = &outcomes->runs[i];
        if (run->rule == rule && !run->held_out && run->variant == NAME_NONE)
            plain = true;
        else if (run->rule == rule && !run->held_out)
            seen[run->variant] = 1;
    }
    size_t before = counting->count;
    for (uint32_t variant = 0; variant < outcomes->variants.count; variant++)
        if (seen[variant])
            counting->lines[counting->count++] = count_line(outcomes, name, rule, variant, counting->clock);
    if (plain || counting->count == before)
        counting->lines[counting->count++] = count_line(outcomes, name, rule, NAME_NONE, counting->clock);
}

struct outcome_line *outcomes_count(struct outcomes *outcomes, int64_t clock, struct arena *memory, size_t *ret_count)
{
    const struct playbook *playbook = outcomes->world->playbook;
    size_t most = (playbook->rule_count + outcomes->rules.count) * ((size_t)outcomes->variants.count + 1);
    struct counting counting = {outcomes, clock, ARENA_ARRAY(memory, struct outcome_line, most), 0};
    for (size_t i = 0; i < playbook->rule_count; i++)
        if (playbook->rules[i].goal.within_ms || names_find(&outcomes->rules, playbook->rules[i].name) != NAME_NONE)
            count_rule(&counting, playbook->rules[i].name);
    for (uint32_t i = 0; i < outcomes->rules.count; i++)
        if (playbook_rule(playbook, outcomes->rules.items[i]) == NULL)
            count_rule(&counting, outcomes->rules.items[i]);
    arena_reset(&outcomes->scratch);
    *ret_count = counting.count;
    return counting.lines;
}
