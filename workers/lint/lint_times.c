/* Where the guards alone keep a rule from its customers: caps, quiet hours against shelf life. */
#include "common/base/check.h"
#include "workers/lint/lint.h"

static void say_name(struct lint *lint, const struct rule *rule, const char *text)
{
    lint_say(lint, LINT_WARNING, lint->rule_lines[rule->index], "rule %.*s: %s", (int)rule->name.size, rule->name.data,
             text);
}

/* R71: what falls due just after the window waits until it opens again. */
static void check_shelf(struct lint *lint, const struct rule *rule)
{
    const struct playbook *playbook = lint->playbook;
    int64_t wait = DAY_MS - (playbook->window_end_ms - playbook->window_start_ms);
    if (rule->class == CLASS_MARKETING && rule->shelf_life_ms != NEVER && rule->shelf_life_ms < wait) {
        struct buffer text = {0};
        buffer_format(&text,
                      "its shelf life (%lld h) is shorter than the quiet hours (%lld h): due at night it is never sent",
                      (long long)(rule->shelf_life_ms / HOUR_MS), (long long)(wait / HOUR_MS));
        say_name(lint, rule, text.data);
        buffer_release(&text);
    }
}

static bool same_moment(const struct trigger *a, const struct trigger *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case TRIGGER_EVENT:
        return (a->kinds & b->kinds) == a->kinds;
    case TRIGGER_RESPONSE:
        return (a->purposes & b->purposes) == a->purposes;
    case TRIGGER_ENTERS:
    case TRIGGER_REACHES:
        return a->dimension == b->dimension && a->value == b->value;
    case TRIGGER_ANCHOR:
        return a->anchor == b->anchor;
    case TRIGGER_CALENDAR:
        return false;
    default:
        return true;
    }
}

static int64_t delay_of(const struct playbook *playbook, const struct rule *rule)
{
    return rule->delay.kind == DELAY_EFFECT_AFTER ? playbook->effect_after_ms
           : rule->delay.kind == DELAY_SUPPLY     ? playbook->supply_ms
                                                  : rule->delay.ms;
}

/* R68: what goes out later must go out before it expires, and a customer sleeps then like now. */
static void check_send_delay(struct lint *lint, const struct rule *rule)
{
    const struct playbook *playbook = lint->playbook;
    int64_t delay = rule->send_delay_ms, window = playbook->window_end_ms - playbook->window_start_ms;
    if (delay > 0 && rule->shelf_life_ms != NEVER && delay >= rule->shelf_life_ms)
        lint_say(lint, LINT_ERROR, lint->rule_lines[rule->index],
                 "rule %.*s: its send_delay is as long as its shelf life: it would be sent after it expires",
                 (int)rule->name.size, rule->name.data);
    else if (rule->class == CLASS_MARKETING && delay % DAY_MS != 0 && window < DAY_MS)
        say_name(lint, rule,
                 "its send_delay leads out of the window: what is made late in the day is sent in the quiet hours");
}

/* R62 */
static void check_dates(struct lint *lint, const struct rule *rule)
{
    for (size_t i = 0; i < rule->trigger.date_count; i++) {
        const struct calendar_date *date = &rule->trigger.dates[i];
        if (date->month == 2 && date->day == 29)
            lint_say(lint, LINT_NOTE, lint->rule_lines[rule->index], "rule %.*s: on 02-29 it fires in leap years only",
                     (int)rule->name.size, rule->name.data);
    }
}

/* How many messages of the other rule go before this one's in the span of time in which this one may still be sent. */
static int64_t sends_before(const struct playbook *playbook, const struct rule *rule, const struct rule *other,
                            int64_t until)
{
    int64_t delay = delay_of(playbook, other), from = delay_of(playbook, rule);
    bool first = other->priority > rule->priority || (other->priority == rule->priority && other->index < rule->index);
    if (other->class != CLASS_MARKETING || !first || !same_moment(&rule->trigger, &other->trigger) || delay > until)
        return 0;
    if (!other->repeats)
        return delay >= from;
    int64_t sends = (until - delay) / other->every_ms + 1;
    sends -= delay < from ? (from - delay + other->every_ms - 1) / other->every_ms : 0;
    return other->times != 0 && sends > other->times ? other->times : sends > 0 ? sends : 0;
}

/* R69, R70: the days within the shelf life have so many places; if as many messages of one and the same trigger go
 * first, this one is never sent to anybody who gets them all. */
static void check_caps(struct lint *lint, const struct rule *rule)
{
    const struct playbook *playbook = lint->playbook;
    if (rule->class != CLASS_MARKETING || rule->shelf_life_ms == NEVER)
        return;
    int64_t waits = rule->on_cap == ON_CAP_DROP ? 0 : rule->shelf_life_ms; /* dropped at once: only today counts */
    int64_t days = waits / DAY_MS + 1, places = days * playbook->cap_day, weeks = (days + 6) / 7;
    places = places < weeks * playbook->cap_week ? places : weeks * playbook->cap_week;
    int64_t until = delay_of(playbook, rule) + waits, before = 0;
    for (size_t i = 0; i < playbook->rule_count; i++)
        before += &playbook->rules[i] == rule ? 0 : sends_before(playbook, rule, &playbook->rules[i], until);
    if (before >= places) {
        struct buffer text = {0};
        buffer_format(&text,
                      "the caps starve it: %lld messages of its trigger go first, and %lld day(s) have %lld places",
                      (long long)before, (long long)days, (long long)places);
        say_name(lint, rule, text.data);
        buffer_release(&text);
    }
}

void lint_times(struct lint *lint)
{
    const struct playbook *playbook = lint->playbook;
    if (playbook->cap_week < playbook->cap_day)
        lint_say(lint, LINT_WARNING, 0, "caps: day (%d) is more than week (%d), so it is never the one that bites",
                 playbook->cap_day, playbook->cap_week);
    if (playbook->global_control >= 10000)
        lint_say(lint, LINT_WARNING, 0, "global_control: 1 leaves everybody without marketing");
    if (lint->zones != NULL && zones_find(lint->zones, playbook->time_zone) == NULL)
        lint_say(lint, LINT_ERROR, 0, "time_zone: expected a zone of the tz database like Asia/Tokyo, found \"%.*s\"",
                 (int)playbook->time_zone.size, playbook->time_zone.data);
    for (size_t i = 0; i < playbook->rule_count; i++) {
        const struct rule *rule = &playbook->rules[i];
        check_shelf(lint, rule);
        check_caps(lint, rule);
        check_send_delay(lint, rule);
        check_dates(lint, rule);
        if (rule->class == CLASS_MARKETING && rule->holdout >= 10000)
            say_name(lint, rule, "its holdout is everybody");
    }
}
