/* What runs hang on without any event of their own: facts that are re-read after every step (R49) and the calendar's
 * dates (R62). */
#include "common/base/check.h"
#include "common/engine/pass.h"
#include "common/engine/window.h"

#include <stdio.h>

/* ---- facts (R49) ---- */

static const struct figure_instant *anchor_instant(const struct figures *figures, enum anchor_fact anchor)
{
    switch (anchor) {
    case ANCHOR_FIRST_DELIVERY:
        return &figures->first_delivery;
    case ANCHOR_FIRST_PURCHASE_EVER:
        return &figures->first_purchase;
    case ANCHOR_FIRST_PURCHASE_OF_CYCLE:
        return &figures->cycle_purchase;
    case ANCHOR_LAST_PURCHASE:
        return &figures->last_purchase;
    case ANCHOR_EFFECT_FELT:
        return &figures->effect_felt;
    case ANCHOR_SUBSCRIPTION_SINCE:
        return &figures->subscription_since;
    }
    CHECK(!"an anchor of R49");
    return NULL;
}

/* The anchors that were read, and which of them there are now. */
struct anchors {
    uint32_t present; /* set of enum anchor_fact */
    struct occurrence occurrences[ANCHOR_COUNT];
};

static void anchor_read(struct pass *pass, enum anchor_fact anchor, struct anchors *anchors)
{
    const struct figure_instant *instant = anchor_instant(&pass->figures, anchor);
    if (instant->at == NEVER)
        return;
    bool of_cycle = anchor == ANCHOR_EFFECT_FELT || anchor == ANCHOR_SUBSCRIPTION_SINCE; /* R48 */
    anchors->present |= 1u << anchor;
    anchors->occurrences[anchor] = (struct occurrence){
        .anchor_at = instant->at,
        .backfill = instant->backfill,
        .arrived_at = instant->backfill ? runs_arrival(&pass->runs, instant->hash) : NEVER,
        .order_id = of_cycle ? pass_cycle_order(pass) : pass_order_id(pass, instant->order),
    };
}

static void anchor_gone(struct pass *pass, struct track *track, struct run *run)
{
    if (track)
        track->gone = true;
    if (run == NULL)
        return;
    runs_end(&pass->runs, run);
    const struct run gone = *run;
    decision_publish(pass, &gone, OUTCOME_CANCELLED, SPAN("anchor_gone"), NEVER, (struct named_list){NULL, 0});
}

static bool track_same(const struct track *track, const struct occurrence *occurrence)
{
    return !track->gone && track->at == occurrence->anchor_at && span_equal(track->order_id, occurrence->order_id);
}

/* Most rules published nothing yet, so that no key need be put together. */
static bool was_published(struct pass *pass, const struct rule *rule, const struct occurrence *occurrence)
{
    if (runs_never_published(&pass->runs, rule, 1))
        return false;
    return run_published(pass, rule, run_key(pass, rule, occurrence), 1);
}

/* R49: another anchor than the track's. Waits: it follows. Decided: again only when the anchor is another and nothing
 * was published. False: something was, which other live orders may change (R48). */
static bool anchor_single(struct pass *pass, const struct rule *rule, struct track *track, struct run *run,
                          const struct occurrence *occurrence)
{
    if (run)
        run_move(pass, rule, track, run, occurrence);
    else if (!was_published(pass, rule, occurrence))
        run_begin(pass, rule, track, occurrence);
    else
        return false;
    return true;
}

/* R50: another anchor than the track's. None before, or one of another cycle: the series is triggered. Else the anchor
 * has moved: m stays, the waiting slot moves, and a series that is over is not woken. An anchor without an order was of
 * the cycle that the customer's first order begins. */
static void anchor_series(struct pass *pass, const struct rule *rule, struct track *track, struct run *run,
                          const struct occurrence *occurrence)
{
    bool first_cycle = track && span_empty(track->order_id) && pass->figures.cycle == 1;
    if (track == NULL || track->gone || !(first_cycle || run_series_continues(pass, track))) {
        if (run)
            run_trigger(pass, rule, occurrence);
        else
            run_begin(pass, rule, track, occurrence);
    } else if (run) {
        run_move(pass, rule, track, run, occurrence);
    } else {
        run_track_anchor(pass, rule, track, occurrence);
    }
}

/* R30: the order that a reward hangs on is gone, or no longer names this customer. */
static void referral_read(struct pass *pass, const struct rule *rule)
{
    struct occurrence withdrawn = {.friend_id = pass->event->credit.friend_id};
    struct span key = run_key(pass, rule, &withdrawn);
    for (uint32_t i = 0; i < pass->runs.waiting_count; i++) {
        struct run *run = &pass->runs.waiting[i];
        if (!run->ended && run->rule_index == rule->index && span_equal(run->key, key))
            anchor_gone(pass, NULL, run);
    }
}

static void referrals_read(struct pass *pass)
{
    for (size_t i = 0; i < pass->playbook->rule_count; i++) {
        if (pass->playbook->rules[i].trigger.kind == TRIGGER_REFERRAL_CONVERTED)
            referral_read(pass, &pass->playbook->rules[i]);
    }
}

/* An anchor that is the track's needs nothing, unless an edit made it a backfill fact. False: the track names another
 * one still. */
static bool anchor_follow(struct pass *pass, const struct rule *rule, struct track *track, bool present,
                          const struct occurrence *occurrence)
{
    if (!present && track == NULL)
        return true;
    bool same = present && track != NULL && track_same(track, occurrence);
    if (same && !occurrence->backfill)
        return true;
    struct run *run = run_waiting(pass, rule);
    if (same && run)
        run_silence(pass, rule, run, occurrence);
    else if (!present)
        anchor_gone(pass, track, run);
    else if (!same && rule->repeats)
        anchor_series(pass, rule, track, run, occurrence);
    else if (!same)
        return anchor_single(pass, rule, track, run, occurrence);
    return true;
}

/* Where runs_track finds the track of each rule, by the rule's place; FACT_NONE = nowhere. */
static uint32_t *track_places(const struct pass *pass)
{
    const struct runs *runs = &pass->runs;
    size_t size = pass->playbook->rule_count * sizeof(uint32_t);
    uint32_t *places = memset(arena_take_raw(pass->arena, size), 0xff, size);
    for (uint32_t i = runs->tracks_count; i-- > 0;) /* of two the first */
        if (!runs->tracks[i].past && runs->tracks[i].rule_index >= 0)
            places[runs->tracks[i].rule_index] = i;
    return places;
}

static void anchors_follow(struct pass *pass, uint32_t moved)
{
    const struct playbook *playbook = pass->playbook;
    const uint32_t *places = track_places(pass);
    struct anchors anchors;
    anchors.present = 0;
    for (uint32_t left = moved; left != 0; left &= left - 1)
        anchor_read(pass, (enum anchor_fact)__builtin_ctz(left), &anchors);
    for (size_t i = 0; i < playbook->anchored_count; i++) {
        const struct rule_anchor *anchored = &playbook->anchored[i];
        uint32_t anchor = 1u << anchored->anchor, place = places[anchored->place];
        if (!(moved & anchor))
            continue;
        struct track *track = place == FACT_NONE ? NULL : &pass->runs.tracks[place];
        if (!anchor_follow(pass, &playbook->rules[anchored->place], track, (anchors.present & anchor) != 0,
                           &anchors.occurrences[anchored->anchor]))
            pass->anchors_settled &= ~anchor;
    }
}

/* Reading them twice does nothing the second time, but for what changed between: the figures that they are read from,
 * the used keys that folding drops (R11), or the playbook. */
void anchors_read(struct pass *pass)
{
    if (pass->event != NULL && pass->change.credit_ended)
        referrals_read(pass);
    uint32_t moved = ANCHORS_ALL & ~pass->anchors_stand;
    if (moved == 0)
        return;
    pass->anchors_settled |= moved;
    anchors_follow(pass, moved);
    pass->anchors_stand = ANCHORS_ALL;
}

/* ---- the calendar (R62) ---- */

static bool conditions_hold(struct pass *pass, const struct rule *rule)
{
    const struct fact_values *values = pass_values(pass, NULL, rule->facts_read);
    for (size_t i = 0; i < rule->condition_count; i++) {
        if (!expression_true(&rule->conditions[i], values))
            return false;
    }
    return true;
}

static struct span date_text(struct pass *pass, int64_t day)
{
    int64_t year;
    int month, day_of_month;
    timestamp_civil_from_days(day, &year, &month, &day_of_month);
    char *text = arena_take(pass->arena, 32);
    int size = snprintf(text, 32, "%04d-%02d-%02d", (int)year, month, day_of_month);
    return (struct span){text, (size_t)size};
}

/* A run of another date that has not come yet waits no longer: the customer's zone has changed. False: the date has a
 * run. */
static bool date_wanted(struct pass *pass, const struct rule *rule, struct span key, int64_t at)
{
    bool wanted = true;
    for (uint32_t i = 0; i < pass->runs.waiting_count; i++) {
        struct run *run = &pass->runs.waiting[i];
        if (run->ended || run->rule_index != rule->index || run->state != RUN_WAITING || run->due_at <= pass->now)
            continue;
        if (span_equal(run->key, key)) {
            wanted = false;
            run->anchor_at = run->due_at = run->decide_at = at;
            runs_stir(&pass->runs, run);
        } else {
            runs_end(&pass->runs, run);
        }
    }
    return wanted;
}

/* Waits for the first date after the instant. Returns that date's time. */
static int64_t date_wait(struct pass *pass, const struct rule *rule, int64_t after)
{
    int64_t day;
    int64_t at = window_next_date(&rule->trigger, pass_zone(pass), after, &day);
    if (at == NEVER)
        return at;
    struct occurrence occurrence = {.anchor_at = at, .date = date_text(pass, day)};
    if (date_wanted(pass, rule, run_key(pass, rule, &occurrence), at))
        run_trigger(pass, rule, &occurrence);
    return at;
}

/* The conditions begin to hold. When a date is just now, its run is made due, as the timers of an instant come after
 * its events (R2); and the next one's, so that there is a run as long as the conditions hold. */
static void dates_begin(struct pass *pass, const struct rule *rule)
{
    if (date_wait(pass, rule, pass->now - 1) == pass->now)
        date_wait(pass, rule, pass->now);
}

static void dates_drop(struct pass *pass, const struct rule *rule)
{
    for (uint32_t i = 0; i < pass->runs.waiting_count; i++) {
        struct run *run = &pass->runs.waiting[i];
        if (run->rule_index == rule->index && run->state == RUN_WAITING)
            runs_end(&pass->runs, run); /* R62: no decision. Once deferred it is a run like any other (R68) */
    }
}

/* The run of the next date; NULL = the conditions did not hold until now. Runs that were deferred are others. */
static const struct run *date_run(const struct pass *pass, const struct rule *rule)
{
    const struct run *last = NULL;
    for (uint32_t i = 0; i < pass->runs.waiting_count; i++) {
        const struct run *run = &pass->runs.waiting[i];
        bool waits = !run->ended && run->rule_index == rule->index && run->state != RUN_DEFERRED;
        if (waits && (last == NULL || run->due_at > last->due_at))
            last = run;
    }
    return last;
}

/* Only an order or a customer event can change the zone; and a mail's that takes the place of a customer event (R9). */
static bool names_zone(const struct event *event, const struct fold_change *change)
{
    switch (event->topic) {
    case TOPIC_ORDERS:
    case TOPIC_CUSTOMERS:
        return true;
    case TOPIC_EMAIL_OPENS:
        return change->edits;
    default:
        return false;
    }
}

static bool zone_stands(struct pass *pass)
{
    if (pass->event == NULL || !names_zone(pass->event, &pass->change))
        return true;
    return pass->dates_zone_known && pass->dates_zone == pass_zone(pass);
}

/* Days that go by are all that a quiet pass can find changed. */
static bool reads_days(uint64_t facts)
{
    return (facts & facts_of_days) != 0;
}

static void dates_read(struct pass *pass, const struct rule *rule, bool quiet, bool zone_same)
{
    const struct run *run = date_run(pass, rule);
    bool to_come = run != NULL && run->due_at > pass->now;
    if (quiet && (run == NULL || to_come) && !reads_days(rule->facts_read))
        return;
    if (!conditions_hold(pass, rule))
        dates_drop(pass, rule);
    else if (run == NULL)
        dates_begin(pass, rule);
    else if (!to_come || !zone_same)
        date_wait(pass, rule, pass->now);
}

/* When the first run of a date is due that is to come, or that has come and waits still. */
static int64_t dates_due_at(const struct pass *pass)
{
    int64_t at = INT64_MAX;
    for (size_t i = 0; i < pass->playbook->dated.count; i++) {
        const struct run *run = date_run(pass, &pass->playbook->rules[pass->playbook->dated.places[i]]);
        if (run != NULL && run->due_at < at)
            at = run->due_at;
    }
    return at;
}

/* Quiet is a pass in which no fact that the conditions name, no class and not the playbook is another one than when
 * this was read last. A run that waits for a date to come then goes on waiting, and who had none has none: before a
 * date is decided the next one's run is made. So there is nothing to do until the first date comes, unless the customer
 * moved. */
void calendar_read(struct pass *pass, bool quiet)
{
    const struct playbook *playbook = pass->playbook;
    bool zone_same = zone_stands(pass);
    quiet |= pass->dates_at != NEVER && !(pass->dates_stale & playbook->dated_facts) && !pass->another_playbook;
    quiet &= zone_same;
    if (quiet && pass->dates_at != NEVER && pass->now < pass->dates_at && !reads_days(playbook->dated_facts))
        return;
    for (size_t i = 0; i < playbook->dated.count; i++)
        dates_read(pass, &playbook->rules[playbook->dated.places[i]], quiet, zone_same);
    if (!zone_same) {
        pass->dates_zone = pass_zone(pass);
        pass->dates_zone_known = true;
    }
    pass->dates_at = dates_due_at(pass);
    pass->dates_stale = 0;
}
