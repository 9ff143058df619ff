#include "common/engine/window.h"

#include "common/base/check.h"

const struct zone *window_zone(const struct playbook *playbook, const struct zones *zones, struct span name,
                               const struct zone *before)
{
    if (zones == NULL)
        return NULL;
    if (before != NULL && zone_is(before, span_empty(name) ? playbook->time_zone : name))
        return before;
    const struct zone *zone = span_empty(name) ? NULL : zones_find(zones, name);
    return zone ? zone : zones_find(zones, playbook->time_zone);
}

int64_t window_day(const struct zone *zone, int64_t now)
{
    return floor_div(zone_local(zone, now), DAY_MS);
}

int64_t window_instant(const struct zone *zone, int64_t day, int64_t time_of_day_ms)
{
    return zone_utc(zone, day * DAY_MS + time_of_day_ms);
}

static int64_t time_of_day(int64_t local)
{
    return local - floor_div(local, DAY_MS) * DAY_MS;
}

bool window_open_then(const struct playbook *playbook, int64_t local)
{
    int64_t time = time_of_day(local);
    return playbook->window_start_ms <= time && time < playbook->window_end_ms; /* R71 */
}

bool window_open(const struct playbook *playbook, const struct zone *zone, int64_t now)
{
    return window_open_then(playbook, zone_local(zone, now));
}

/* When the clock was put back over the window's start, the earlier instant that shows it (R71) may be gone already:
 * what waits then goes by the wall clock as it runs on, so that a deferral always ends after now. */
static int64_t start_after(const struct playbook *playbook, const struct wall_clock *clock, int64_t day)
{
    int64_t ahead = day * DAY_MS + playbook->window_start_ms - clock->local;
    if (ahead > 0 && clock->now + ahead < clock->until)
        return clock->now + ahead; /* what shows it earlier is gone, if it was */
    int64_t start = window_instant(clock->zone, day, playbook->window_start_ms);
    if (start > clock->now)
        return start;
    return clock->now + (ahead > 0 ? ahead : 1);
}

int64_t window_next_start(const struct playbook *playbook, const struct wall_clock *clock)
{
    int64_t day = floor_div(clock->local, DAY_MS);
    if (time_of_day(clock->local) >= playbook->window_start_ms)
        day++;
    return start_after(playbook, clock, day);
}

int64_t window_next_day_start(const struct playbook *playbook, const struct wall_clock *clock)
{
    return start_after(playbook, clock, floor_div(clock->local, DAY_MS) + 1);
}

/* False: the year has no such day, for 29 February comes in leap years only (R62). */
static bool date_in_year(const struct calendar_date *date, int64_t year, int64_t *ret_day)
{
    int64_t year_again, local_day = timestamp_days_from_civil(year, date->month, date->day);
    int month_again, day_again;
    timestamp_civil_from_days(local_day, &year_again, &month_again, &day_again);
    *ret_day = local_day;
    return month_again == date->month && day_again == date->day;
}

/* Whether any zone's clock may show some time of the day after `after` and before `before` (NEVER: at all). */
static bool may_lie_between(int64_t local_day, int64_t after, int64_t before)
{
    int64_t day_ms = local_day * DAY_MS;
    return day_ms + 3 * DAY_MS > after && (before == NEVER || day_ms - 2 * DAY_MS < before);
}

int64_t window_next_date(const struct trigger *trigger, const struct zone *zone, int64_t now, int64_t *ret_day)
{
    int64_t year;
    int month, day;
    timestamp_civil_from_days(window_day(zone, now), &year, &month, &day);
    int64_t best = NEVER;
    /* from -1: a zone may be a day off near the new year; to 8: from 2096 to 2104 there is no leap day */
    for (int64_t ahead = -1; ahead <= 1 || (ahead <= 8 && best == NEVER); ahead++) {
        for (size_t i = 0; i < trigger->date_count; i++) {
            int64_t local_day;
            if (!date_in_year(&trigger->dates[i], year + ahead, &local_day) || !may_lie_between(local_day, now, best))
                continue;
            int64_t at = window_instant(zone, local_day, trigger->time_of_day_ms);
            if (at > now && (best == NEVER || at < best)) {
                best = at;
                *ret_day = local_day;
            }
        }
    }
    return best;
}
