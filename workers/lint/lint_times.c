/* Figures that do not go together: caps, quiet hours against shelf life, series against cooldown, and those of the
 * whole file. */
#include "common/base/check.h"
#include "workers/lint/lint.h"

/* R71: what falls due just after the window waits until it opens again. */
static void check_shelf(struct lint *lint, const struct rule *rule)
{
    const struct playbook *playbook = lint->playbook;
    int64_t wait = DAY_MS - (playbook->window_end_ms - playbook->window_start_ms);
    if (rule->class == CLASS_MARKETING && rule->shelf_life_ms != NEVER && rule->shelf_life_ms < wait) {
        lint_say_rule(lint, LINT_WARNING, rule, "shelf",
                      "its shelf life (%lld h) is shorter than the quiet hours (%lld h): due at night it is never sent",
                      (long long)(rule->shelf_life_ms / HOUR_MS), (long long)(wait / HOUR_MS));
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
        lint_say_rule(lint, LINT_ERROR, rule, "send_delay",
                      "its send_delay is as long as its shelf life: it would be sent after it expires");
    else if (rule->class == CLASS_MARKETING && delay % DAY_MS != 0 && window < DAY_MS)
        lint_say_rule(
            lint, LINT_WARNING, rule, "send_delay",
            "its send_delay leads out of the window: what is made late in the day is sent in the quiet hours");
}

/* R62 */
static void check_dates(struct lint *lint, const struct rule *rule)
{
    for (size_t i = 0; i < rule->trigger.date_count; i++) {
        const struct calendar_date *date = &rule->trigger.dates[i];
        if (date->month == 2 && date->day == 29)
            lint_say_rule(lint, LINT_NOTE, rule, "trigger", "on 02-29 it fires in leap years only");
    }
    int64_t at = rule->trigger.time_of_day_ms;
    const struct playbook *playbook = lint->playbook;
    bool open = at >= playbook->window_start_ms && at < playbook->window_end_ms;
    if (rule->trigger.kind == TRIGGER_CALENDAR && rule->class == CLASS_MARKETING && !open)
        lint_say_rule(lint, LINT_WARNING, rule, "trigger",
                      "its time of day is in the quiet hours: it goes when the window opens");
}

/* R56 */
static void check_unbroken(struct lint *lint, const struct rule *rule)
{
    if (rule->trigger.unbroken && rule->delay.kind == DELAY_FIXED && rule->delay.ms == 0)
        lint_say_rule(lint, LINT_NOTE, rule, "trigger", "unbroken says nothing without a delay");
}

/* R48: a date and a friend belong to no order, so that a key of the cycle is one for a whole life. */
static void check_once(struct lint *lint, const struct rule *rule)
{
    bool calendar = rule->trigger.kind == TRIGGER_CALENDAR, friend = rule->trigger.kind == TRIGGER_REFERRAL_CONVERTED;
    if (rule->once == ONCE_CYCLE && (calendar || friend))
        lint_say_rule(lint, LINT_WARNING, rule, "once",
                      "its runs belong to no order and so to no cycle: it goes out once in a life (once: %s?)",
                      calendar ? "date" : "friend");
}

/* R50: a series whose own pace is more than what the guards let through. */
static void check_series(struct lint *lint, const struct rule *rule)
{
    const struct playbook *playbook = lint->playbook;
    if (!rule->repeats)
        return;
    int64_t day = DAY_MS / rule->every_ms, week = 7 * DAY_MS / rule->every_ms;
    int64_t times = rule->times != 0 ? rule->times : INT64_MAX;
    bool outruns = (day > playbook->cap_day && times > playbook->cap_day) ||
                   (week > playbook->cap_week && times > playbook->cap_week);
    if (rule->class == CLASS_MARKETING && outruns)
        lint_say_rule(lint, LINT_WARNING, rule, "repeat",
                      "its series alone is due %lld times a week, of which the caps let %d through", (long long)week,
                      playbook->cap_week < 7 * playbook->cap_day ? playbook->cap_week : 7 * playbook->cap_day);
    if (rule->cooldown_ms > rule->every_ms && times > 1)
        lint_say_rule(lint, LINT_WARNING, rule, "cooldown",
                      "its cooldown is longer than every: the slots in between are never sent");
    if (times == 1)
        lint_say_rule(lint, LINT_NOTE, rule, "repeat", "it repeats once, so not at all");
}

/* A control of everybody, a variant of nobody. */
static void check_shares(struct lint *lint, const struct rule *rule)
{
    uint32_t from = 0;
    if (rule->class == CLASS_MARKETING && rule->holdout >= 10000)
        lint_say_rule(lint, LINT_WARNING, rule, "holdout", "its holdout is everybody");
    for (size_t i = 0; i < rule->variant_count; from = rule->variants[i++].until) {
        if (rule->variants[i].until == from)
            lint_say_rule(lint, LINT_WARNING, rule, "variants", "nobody gets its variant %.*s",
                          (int)rule->variants[i].name.size, rule->variants[i].name.data);
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
        lint_say_rule(lint, LINT_WARNING, rule, "priority",
                      "the caps starve it: %lld messages of its trigger go first, and %lld day(s) have %lld places",
                      (long long)before, (long long)days, (long long)places);
    }
}

/* The zone as the tz database would spell it: asia/tokyo, Tokyo. NULL: none. */
static const char *zone_meant(const struct zones *zones, struct span name, char buffer[128])
{
    static const char *const regions[] = {"",        "Asia/",    "Europe/",    "America/",
                                          "Africa/", "Pacific/", "Australia/", "Atlantic/"};
    char written[64];
    size_t size = name.size < sizeof written ? name.size : 0;
    for (size_t i = 0; i < size; i++) {
        bool first = i == 0 || strchr("/_-", name.data[i - 1]) != NULL;
        char letter = name.data[i];
        bool capital = letter >= 'A' && letter <= 'Z', small = letter >= 'a' && letter <= 'z';
        written[i] = first && small      ? (char)(letter - 'a' + 'A')
                     : !first && capital ? (char)(letter - 'A' + 'a')
                                         : letter;
    }
    for (size_t i = 0; i < COUNT_OF(regions) && size > 0; i++) {
        snprintf(buffer, 128, "%s%.*s", regions[i], (int)size, written);
        if (zones_find(zones, span_of(buffer)) != NULL)
            return buffer;
    }
    return NULL;
}

static void check_zone(struct lint *lint)
{
    struct span name = lint->playbook->time_zone;
    char buffer[128];
    if (lint->zones == NULL || zones_find(lint->zones, name) != NULL)
        return;
    const char *zone = zone_meant(lint->zones, name, buffer);
    lint_say(lint, LINT_ERROR, lint_top(lint, "time_zone"),
             "time_zone: expected a zone of the tz database like Asia/Tokyo, found \"%.*s\"%s%s", (int)name.size,
             name.data, zone ? "; nearest: " : "", zone ? zone : "");
}

/* A code that no order names would make `money` 0 for everybody (R32). */
static bool currency_known(struct span code)
{
    static const char codes[] = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD "
                                "BTN BWP BYN BZD CAD CDF CHF "
                                "CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP "
                                "GMD GNF GTQ GYD HKD HNL HTG "
                                "HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP "
                                "LKR LRD LSL LYD MAD MDL MGA "
                                "MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK "
                                "PHP PKR PLN PYG QAR RON RSD "
                                "RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND "
                                "TOP TRY TTD TWD TZS UAH UGX "
                                "USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG ";
    for (size_t i = 0; i + 4 < sizeof codes; i += 4) {
        if (memcmp(codes + i, code.data, 3) == 0)
            return true;
    }
    return false;
}

/* DOMAIN 3, R11, R29, R32: figures of the whole file. */
static void check_figures(struct lint *lint)
{
    const struct playbook *playbook = lint->playbook;
    if (!currency_known(playbook->currency))
        lint_say(lint, LINT_WARNING, lint_top(lint, "currency"),
                 "currency: expected a code of ISO 4217 like JPY, found \"%.*s\"", (int)playbook->currency.size,
                 playbook->currency.data);
    if (playbook->negative_nps >= playbook->positive_nps)
        lint_say(lint, LINT_WARNING, lint_top(lint, "reactions"),
                 "reactions: an nps of %d to %d is both positive and negative, so negative (R26)",
                 playbook->positive_nps, playbook->negative_nps);
    if (playbook->negative_satisfaction >= playbook->positive_satisfaction)
        lint_say(lint, LINT_WARNING, lint_top(lint, "reactions"),
                 "reactions: a satisfaction of %d to %d is both positive and negative, so negative (R26)",
                 playbook->positive_satisfaction, playbook->negative_satisfaction);
    if (playbook->facts_max < playbook->history_facts)
        lint_say(lint, LINT_ERROR, lint_top(lint, "history"),
                 "history: expected facts_max of at least facts (%lld), found %lld: customers would be full before "
                 "anything of theirs is folded",
                 (long long)playbook->history_facts, (long long)playbook->facts_max);
    if (playbook->lapse_ms == 0)
        lint_say(lint, LINT_WARNING, lint_top(lint, "lapse_days"),
                 "lapse_days: 0 begins a new cycle with every order of who has no subscription");
}

void lint_times(struct lint *lint)
{
    const struct playbook *playbook = lint->playbook;
    check_zone(lint);
    check_figures(lint);
    if (playbook->cap_week < playbook->cap_day)
        lint_say(lint, LINT_WARNING, lint_top(lint, "caps"),
                 "caps: day (%d) is more than week (%d), so it is never the one that bites", playbook->cap_day,
                 playbook->cap_week);
    if (playbook->global_control >= 10000)
        lint_say(lint, LINT_WARNING, lint_top(lint, "global_control"),
                 "global_control: 1 leaves everybody without marketing");
    for (size_t i = 0; i < playbook->rule_count; i++) {
        const struct rule *rule = &playbook->rules[i];
        check_shelf(lint, rule);
        check_caps(lint, rule);
        check_send_delay(lint, rule);
        check_dates(lint, rule);
        check_once(lint, rule);
        check_unbroken(lint, rule);
        check_series(lint, rule);
        check_shares(lint, rule);
    }
}
