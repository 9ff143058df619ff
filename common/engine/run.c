/* How runs are made: keys, due times, series (R47 to R50). */
#include "common/base/check.h"
#include "common/engine/pass.h"

/* ---- keys (R47) ---- */

static struct span or_dash(struct span id)
{
    return span_empty(id) ? SPAN("-") : id; /* R48: customers without an order */
}

/* Most rules of one visit wait on one order, and their keys are two texts. */
static struct span order_key(struct pass *pass, struct order_key *made, struct span prefix, struct span order_id)
{
    bool same = made->order_id.data == order_id.data && made->order_id.size == order_id.size;
    if (!same || span_empty(made->key))
        *made = (struct order_key){order_id, pass_text(pass, prefix, or_dash(order_id), SPAN_NONE)};
    return made->key;
}

/* The key as a run may keep it; the next run is told of the same text. */
static struct span kept_key(struct pass *pass, struct span key)
{
    struct span kept = pass_run_text(pass, key);
    struct order_key *made = key.data == pass->cycle_key.key.data ? &pass->cycle_key : &pass->order_key;
    if (key.data == made->key.data)
        made->key = kept;
    return kept;
}

struct span run_key(struct pass *pass, const struct rule *rule, const struct occurrence *occurrence)
{
    switch (rule->once) {
    case ONCE_EVER:
        return SPAN("ever");
    case ONCE_CYCLE:
        return order_key(pass, &pass->cycle_key, SPAN("cycle:"), occurrence->order_id);
    case ONCE_ORDER:
        return order_key(pass, &pass->order_key, SPAN("order:"), occurrence->order_id);
    case ONCE_DELIVERY:
        return pass_text(pass, SPAN("delivery:"), occurrence->event_id, SPAN_NONE);
    case ONCE_RESPONSE:
        return pass_text(pass, SPAN("response:"), occurrence->answer_id, SPAN_NONE);
    case ONCE_CONCERN:
        return pass_text(pass, SPAN("concern:"), occurrence->concern, SPAN_NONE);
    case ONCE_FRIEND:
        return pass_text(pass, SPAN("referral:"), occurrence->friend_id, SPAN_NONE);
    case ONCE_DATE:
        return pass_text(pass, SPAN("date:"), occurrence->date, SPAN_NONE);
    case ONCE_TO:
        return pass_text(pass, pass_text(pass, SPAN("to:"), occurrence->value, SPAN(":")),
                         or_dash(occurrence->order_id), SPAN_NONE);
    }
    CHECK(!"a key of R47");
    return SPAN_NONE;
}

/* R48: runs whose key names no order belong to none, so that an order's cancellation does not touch them. */
static bool key_has_order(enum once once)
{
    return once != ONCE_RESPONSE && once != ONCE_CONCERN && once != ONCE_FRIEND && once != ONCE_DATE;
}

/* R48: a rule of once a cycle under its own key, or that of any live order of the cycle. */
static bool published_in_cycle(struct pass *pass, const struct rule *rule, struct span key, int32_t n)
{
    const struct runs *runs = &pass->runs;
    const struct figures *figures = &pass->figures;
    struct span order_id = SPAN_NONE; /* of a key from a playbook under which the rule's scope was not the cycle */
    span_starts(key, SPAN("cycle:"), &order_id);
    if (span_empty(order_id) && runs_used(runs, rule, key, n))
        return true;
    uint32_t i = runs_published_from(runs, rule, n, 0);
    for (; i < runs->published_count; i = runs_published_from(runs, rule, n, i + 1)) {
        struct span published = runs->published[i].order_id;
        if (runs->published[i].kind != KEY_CYCLE || span_empty(published))
            continue;
        if (span_equal(published, order_id) || pass_order_in_cycle(pass, published))
            return true;
    }
    if (runs_used_as_hash(runs, rule, key, n))
        return true;
    for (i = figures->cycle_first; i < figures->live_count && runs_may_use_hash(runs, rule, n); i++) {
        struct span id = pass_order_id(pass, figures->live[i]);
        if (runs_used_as_hash(runs, rule, pass_text(pass, SPAN("cycle:"), id, SPAN_NONE), n))
            return true;
    }
    return false;
}

bool run_published(struct pass *pass, const struct rule *rule, struct span key, int32_t n)
{
    if (rule->once != ONCE_CYCLE)
        return runs_used(&pass->runs, rule, key, n); /* R47 */
    return published_in_cycle(pass, rule, key, n);
}

bool run_used(struct pass *pass, const struct rule *rule, const struct run *run)
{
    if (runs_never_published(&pass->runs, rule, run->n))
        return false; /* three of four: no key need be read */
    bool answered = runs_used_answer(&pass->runs, rule, run); /* kept as the answer that the key names */
    return answered || run_published(pass, rule, run->key, run->n);
}

/* ---- times ---- */

int64_t run_delay(const struct pass *pass, const struct rule *rule, struct span order_id)
{
    switch (rule->delay.kind) {
    case DELAY_FIXED:
        return rule->delay.ms;
    case DELAY_EFFECT_AFTER:
        return order_effect_after(&pass->facts, pass->playbook, pass_order(pass, order_id));
    case DELAY_SUPPLY:
        return order_supply(&pass->facts, pass->playbook, pass_order(pass, order_id));
    }
    CHECK(!"a kind of delay");
    return 0;
}

int64_t run_due_at(const struct pass *pass, const struct rule *rule, int64_t anchor_at, struct span order_id,
                   int32_t slots)
{
    int64_t due_at = anchor_at + run_delay(pass, rule, order_id) + slots * rule->every_ms;
    return due_at < STATE_TIME_LEAST ? STATE_TIME_LEAST : due_at > STATE_TIME_MOST ? STATE_TIME_MOST : due_at;
}

bool run_before(const struct pass *pass, const struct run *a, const struct run *b)
{
    const struct rule *rules = pass->playbook->rules;
    int32_t priority_a = rules[a->rule_index].priority, priority_b = rules[b->rule_index].priority;
    if (priority_a != priority_b)
        return priority_a > priority_b;
    if (a->rule_index != b->rule_index)
        return a->rule_index < b->rule_index;
    int order = span_compare(a->key, b->key);
    return order != 0 ? order < 0 : a->n < b->n;
}

/* ---- making runs ---- */

struct run *run_waiting(struct pass *pass, const struct rule *rule)
{
    struct run *waiting = pass->runs.waiting;
    uint32_t count = pass->runs.waiting_count;
    for (uint32_t i = 0; i < count; i++) {
        if (waiting[i].rule_index == rule->index && !waiting[i].ended)
            return &waiting[i];
    }
    return NULL;
}

/* R50: a run takes the place of the one that waits under its key, a slot that of the series' waiting slot. Silently. */
static void replace_waiting(struct pass *pass, const struct rule *rule, struct span key)
{
    struct run *waiting = pass->runs.waiting;
    uint32_t count = pass->runs.waiting_count;
    for (uint32_t i = 0; i < count; i++) {
        struct run *run = &waiting[i];
        if (run->rule_index == rule->index && (rule->repeats || span_equal(run->key, key)))
            runs_end(&pass->runs, run);
    }
}

/* R7: what hangs on a backfill fact never waits; of a series only the slots that were due when the fact arrived. */
static void run_backfill(const struct pass *pass, const struct rule *rule, struct run *run,
                         const struct occurrence *occurrence)
{
    run->backfill_until = NEVER;
    if (!occurrence->backfill)
        return;
    if (rule->repeats) {
        run->backfill_until = occurrence->arrived_at;
        return;
    }
    run->backfill_until = INT64_MAX;
    if (run->decide_at > pass->now)
        run->decide_at = pass->now; /* in the anchor's own step, with the true due_at */
}

void run_silence(struct pass *pass, const struct rule *rule, struct run *run, const struct occurrence *occurrence)
{
    if (!occurrence->backfill || run->backfill_until != NEVER)
        return;
    run_backfill(pass, rule, run, occurrence);
    if (run->due_at > run->backfill_until)
        return; /* a slot that comes after the arrival */
    run->decide_at = run->decide_at > pass->now ? pass->now : run->decide_at;
    run->fresh = true;
    runs_stir(&pass->runs, run);
}

static void run_place(struct pass *pass, const struct rule *rule, struct run *run, const struct occurrence *occurrence,
                      int32_t m)
{
    run->order_id = key_has_order(rule->once) ? pass_run_text(pass, occurrence->order_id) : SPAN_NONE;
    run->anchor_at = occurrence->anchor_at;
    run->due_at = run_due_at(pass, rule, run->anchor_at, occurrence->order_id, run->n - m);
    run->decide_at = run->due_at;
    run->state = RUN_WAITING;
    run->fresh = true;
    bool has_cause = rule->trigger.kind != TRIGGER_CALENDAR; /* a date has none */
    run->trace = has_cause ? pass_run_text(pass, pass_trace(pass)) : SPAN_NONE;
    run_backfill(pass, rule, run, occurrence);
}

static void run_make(struct pass *pass, const struct rule *rule, const struct occurrence *occurrence, struct span key,
                     int32_t n, int32_t m)
{
    struct run *run = runs_add(&pass->runs, pass->arena);
    run->rule_index = rule->index;
    run->rule = rule->name;
    run->key = kept_key(pass, key);
    run->n = n;
    run->has_response = occurrence->has_response;
    run->survey = occurrence->survey;
    run->response = occurrence->response;
    run_place(pass, rule, run, occurrence, m);
    runs_stir(&pass->runs, run);
}

bool run_series_continues(struct pass *pass, const struct track *track)
{
    if (span_empty(track->order_id))
        return pass->figures.live_count == pass->figures.cycle_first; /* still without an order: `cycle:-` */
    return pass_order_in_cycle(pass, track->order_id);
}

/* Whether the rule's slots are numbered on for ever, whatever orders they belong to: a rotation's are (R62), and those
 * of the one key `ever`. */
static bool counts_for_ever(const struct rule *rule)
{
    return rule->content_count > 0 || rule->once == ONCE_EVER;
}

/* Whether a series triggered anew goes on with this one's numbers (R50: within its key's scope). */
static bool series_counts_on(struct pass *pass, const struct rule *rule, const struct track *track,
                             struct span order_id)
{
    if (counts_for_ever(rule) || span_equal(track->order_id, order_id))
        return true;
    return rule->once == ONCE_CYCLE && run_series_continues(pass, track);
}

/* The highest slot decided in the scope; 0 = none. */
static int32_t series_last(struct pass *pass, const struct rule *rule, struct span order_id)
{
    int32_t last = 0;
    for (uint32_t i = 0; i < pass->runs.tracks_count; i++) {
        const struct track *track = &pass->runs.tracks[i];
        if (track->rule_index == rule->index && track->n > last && series_counts_on(pass, rule, track, order_id))
            last = track->n;
    }
    return last < SLOT_MAX ? last : SLOT_MAX - 1;
}

static void past_keep(struct pass *pass, const struct rule *rule, const struct track *old)
{
    for (uint32_t i = 0; i < pass->runs.tracks_count; i++) {
        struct track *past = &pass->runs.tracks[i];
        if (past->past && past->rule_index == old->rule_index && span_equal(past->order_id, old->order_id)) {
            past->n = old->n > past->n ? old->n : past->n;
            return;
        }
    }
    struct track *past = runs_track_add(&pass->runs, pass->arena, rule);
    *past = *old;
    past->past = true;
}

/* The rule's track, from now on on this anchor. What it says of the order before is kept, and under another one nothing
 * is decided yet: that order may be void tomorrow, and must not leave its slots behind. Only what counts for ever goes
 * along, as the order that it began with may be folded. */
struct track *run_track_anchor(struct pass *pass, const struct rule *rule, struct track *track,
                               const struct occurrence *occurrence)
{
    if (track == NULL) {
        track = runs_track_add(&pass->runs, pass->arena, rule);
    } else if (track->n > 0 && !span_equal(track->order_id, occurrence->order_id)) {
        const struct track old = *track;
        past_keep(pass, rule, &old);
        track = runs_track(&pass->runs, rule->index); /* which may have moved */
        if (!counts_for_ever(rule))
            track->n = 0;
    }
    track->at = occurrence->anchor_at;
    track->order_id = pass_run_text(pass, occurrence->order_id);
    track->gone = false;
    return track;
}

static void series_begin(struct pass *pass, const struct rule *rule, struct track *track,
                         const struct occurrence *occurrence, struct span key)
{
    int32_t last = series_last(pass, rule, occurrence->order_id);
    track = run_track_anchor(pass, rule, track, occurrence);
    track->m = last + 1;
    track->ended = rule->times > 0 && track->m > rule->times;
    if (!track->ended)
        run_make(pass, rule, occurrence, key, track->m, track->m);
}

void run_begin(struct pass *pass, const struct rule *rule, struct track *track, const struct occurrence *occurrence)
{
    struct span key = run_key(pass, rule, occurrence);
    if (rule->repeats) {
        series_begin(pass, rule, track, occurrence, key);
        return;
    }
    run_track_anchor(pass, rule, track, occurrence);
    run_make(pass, rule, occurrence, key, 1, 1);
}

void run_trigger(struct pass *pass, const struct rule *rule, const struct occurrence *occurrence)
{
    struct span key = run_key(pass, rule, occurrence);
    replace_waiting(pass, rule, key);
    if (rule->repeats)
        series_begin(pass, rule, runs_track(&pass->runs, rule->index), occurrence, key);
    else
        run_make(pass, rule, occurrence, key, 1, 1);
}

void run_move(struct pass *pass, const struct rule *rule, struct track *track, struct run *run,
              const struct occurrence *occurrence)
{
    track = run_track_anchor(pass, rule, track, occurrence);
    run->key = kept_key(pass, run_key(pass, rule, occurrence));
    run_place(pass, rule, run, occurrence, rule->repeats ? track->m : 1);
    runs_stir(&pass->runs, run);
}

void run_next_slot(struct pass *pass, const struct rule *rule, const struct run *slot, bool over)
{
    struct track *track = runs_track(&pass->runs, slot->rule_index);
    if (track == NULL) { /* the rule did not repeat when this run was made */
        track = runs_track_add(&pass->runs, pass->arena, rule);
        track->at = slot->anchor_at;
        track->order_id = slot->order_id;
        track->m = slot->n;
    }
    track->n = slot->n;
    track->ended = over || (rule->times > 0 && slot->n >= rule->times);
    if (track->ended)
        return;
    struct run next = *slot;
    next.n = slot->n + 1;
    next.due_at = run_due_at(pass, rule, slot->anchor_at, slot->order_id, next.n - track->m);
    next.decide_at = next.due_at;
    if (next.n > SLOT_MAX || next.due_at == STATE_TIME_LEAST || next.due_at == STATE_TIME_MOST) { /* a damaged state */
        track->ended = true;
        return;
    }
    next.state = RUN_WAITING;
    next.trace = SPAN_NONE; /* what caused the series caused its first slot; a year of letters is not one trace */
    next.fresh = true;
    next.ended = false;
    *runs_add(&pass->runs, pass->arena) = next;
    runs_stir(&pass->runs, &next);
}
