/* The guards, in the order of R66; the first that fails is the outcome. R67 says which of them a class has. */
#include "common/base/hash.h"
#include "common/engine/pass.h"
#include "common/engine/window.h"

static const struct verdict_guard passes = {.outcome = OUTCOME_SENT, .until = NEVER};

static struct verdict_guard fails(enum outcome outcome, struct span detail)
{
    return (struct verdict_guard){.outcome = outcome, .detail = detail, .until = NEVER};
}

static struct verdict_guard deferred(struct span detail, int64_t until)
{
    return (struct verdict_guard){.outcome = OUTCOME_DEFERRED, .detail = detail, .until = until};
}

static bool held(const struct pass *pass, const struct rule *rule)
{
    const struct pauses *pauses = pass->world->pauses;
    if (pauses == NULL)
        return false;
    if (pauses->all_marketing && rule->class == CLASS_MARKETING)
        return true;
    for (size_t i = 0; i < pauses->rule_count; i++) {
        if (span_equal(pauses->rules[i], rule->name))
            return true;
    }
    return false;
}

/* ---- paused, backfill, conditions, while: every class ---- */

static struct verdict_guard check_conditions(struct pass *pass, const struct rule *rule, const struct run *run)
{
    if (rule->facts_read == 0)
        return passes;
    const struct fact_values *values = pass_values(pass, run, rule->facts_read);
    for (size_t i = 0; i < rule->condition_count; i++) {
        if (!expression_true(&rule->conditions[i], values))
            return fails(OUTCOME_CONDITION, rule->conditions[i].text);
    }
    if (rule->has_while && !expression_true(&rule->while_expression, values))
        return fails(OUTCOME_WHILE, rule->while_expression.text); /* R50 */
    return passes;
}

/* R78: an order placed after its cancellation arrived sends nothing, also where no condition asks whether it is live.
 */
static bool placed_void(const struct pass *pass, const struct rule *rule, const struct run *run)
{
    if (rule->trigger.kind != TRIGGER_EVENT || rule->once == ONCE_DELIVERY || rule->trigger.kinds >> EVENT_FAILED & 1)
        return false;
    uint32_t order = pass_order(pass, run->order_id);
    return order != FACT_NONE && order_void(&pass->facts.orders[order]);
}

static struct verdict_guard check_first(struct pass *pass, const struct rule *rule, const struct run *run)
{
    bool backfill = run->backfill_until != NEVER && run->due_at <= run->backfill_until; /* R7 */
    bool never_waits = backfill && run->backfill_until == INT64_MAX;
    if (held(pass, rule) && !never_waits)
        return fails(OUTCOME_PAUSED, SPAN_NONE);
    if (backfill)
        return fails(OUTCOME_BACKFILL, SPAN_NONE);
    const struct verdict_guard verdict = check_conditions(pass, rule, run);
    if (verdict.outcome == OUTCOME_SENT && placed_void(pass, rule, run))
        return fails(OUTCOME_CANCELLED, SPAN("order_void"));
    return verdict;
}

/* ---- marketing's own ---- */

/* R72: nothing but the rule's name and the customer's id decides it, so it is worked out once for as long as a state
 * stays open. */
static bool in_holdout(struct pass *pass, const struct rule *rule)
{
    if (rule->holdout == 0)
        return false;
    bool remembered = rule->index < HOLDOUTS_REMEMBERED;
    uint64_t bit = remembered ? UINT64_C(1) << rule->index : 0;
    if (pass->holdouts.known & bit)
        return (pass->holdouts.held_out & bit) != 0;
    bool out = hash_share(SPAN("holdout"), rule->name, pass->customer_id) < rule->holdout;
    pass->holdouts.known |= bit;
    pass->holdouts.held_out |= out ? bit : 0;
    return out;
}

static bool held_out(struct pass *pass, const struct rule *rule, struct span *ret_detail)
{
    if (pass->playbook->global_control > 0 &&
        hash_share(SPAN("holdout"), SPAN("*"), pass->customer_id) < pass->playbook->global_control) {
        *ret_detail = SPAN("global_control");
        return true;
    }
    *ret_detail = SPAN_NONE;
    return in_holdout(pass, rule);
}

static struct verdict_guard check_caps(const struct pass *pass, const struct rule *rule, const struct wall_clock *clock)
{
    const struct playbook *playbook = pass->playbook;
    const struct sends sends = runs_sends(&pass->runs, floor_div(clock->local, DAY_MS));
    if (sends.day < playbook->cap_day && sends.week < playbook->cap_week) /* R70 */
        return passes;
    if (rule->on_cap == ON_CAP_DROP)
        return fails(OUTCOME_CAPPED, SPAN_NONE);
    return deferred(SPAN("capped"), window_next_day_start(playbook, clock)); /* R69 */
}

static struct verdict_guard check_quiet(const struct pass *pass, const struct wall_clock *clock)
{
    if (window_open_then(pass->playbook, clock->local))
        return passes;
    return deferred(SPAN("quiet"), window_next_start(pass->playbook, clock)); /* R71 */
}

/* ---- reach (R75) ---- */

static bool insert_reachable(const struct pass *pass)
{
    if (pass->figures.subscription)
        return true;
    for (uint32_t i = 0; i < pass->figures.live_count; i++) {
        if (facts_unshipped(&pass->facts, pass->figures.live[i]))
            return true;
    }
    return false;
}

static bool reachable(const struct pass *pass, const struct rule *rule, enum channel channel)
{
    const struct figures *figures = &pass->figures;
    switch (channel) {
    case CHANNEL_LINE:
        return figures->registered_line && !figures->bounced_line;
    case CHANNEL_EMAIL: /* the shop has the order's address */
        return (figures->registered_email || rule->class == CLASS_TRANSACTIONAL) && !figures->bounced_email;
    case CHANNEL_INSERT:
        return insert_reachable(pass);
    default:
        return true;
    }
}

static struct verdict_guard check_reach(const struct pass *pass, const struct rule *rule)
{
    struct verdict_guard verdict = passes;
    for (size_t i = 0; i < rule->channel_count; i++) {
        if (reachable(pass, rule, rule->channels[i])) {
            verdict.channel = rule->channels[i];
            return verdict;
        }
    }
    return fails(OUTCOME_UNREACHABLE, SPAN_NONE);
}

/* ---- together ---- */

static bool cooling_down(const struct pass *pass, const struct rule *rule)
{
    if (rule->cooldown_ms <= 0)
        return false;
    int64_t last = runs_last_sent(&pass->runs, rule);
    return last != NEVER && pass->now - last < rule->cooldown_ms; /* R73 */
}

static struct verdict_guard check_marketing(struct pass *pass, const struct rule *rule)
{
    const struct wall_clock clock = pass_clock(pass);
    struct verdict_guard verdict = check_caps(pass, rule, &clock);
    return verdict.outcome == OUTCOME_SENT ? check_quiet(pass, &clock) : verdict;
}

struct verdict_guard guards_check(struct pass *pass, const struct rule *rule, const struct run *run)
{
    struct verdict_guard verdict = check_first(pass, rule, run);
    struct span detail;
    bool marketing = rule->class == CLASS_MARKETING;
    if (verdict.outcome != OUTCOME_SENT)
        return verdict;
    if (rule->shelf_life_ms != NEVER && pass->now - run->due_at > rule->shelf_life_ms)
        return fails(OUTCOME_STALE, SPAN_NONE); /* R74 */
    if (marketing && !pass->figures.consent)
        return fails(OUTCOME_CONSENT, SPAN_NONE);
    if (marketing && held_out(pass, rule, &detail))
        return fails(OUTCOME_HOLDOUT, detail);
    if (run_used(pass, rule, run))
        return fails(OUTCOME_ONCE, SPAN_NONE);
    if (rule->class == CLASS_INTERNAL) { /* R67: stale, erased, once */
        verdict.channel = rule->channel_count > 0 ? rule->channels[0] : CHANNEL_SERVICE;
        return verdict;
    }
    if (cooling_down(pass, rule))
        return fails(OUTCOME_COOLDOWN, SPAN_NONE);
    if (marketing) {
        verdict = check_marketing(pass, rule);
        if (verdict.outcome != OUTCOME_SENT)
            return verdict;
    }
    return check_reach(pass, rule);
}
