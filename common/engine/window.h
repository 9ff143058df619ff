/* Local days and the sending window (R62, R69 to R71). A local day is the number of its date since 1970-01-01. */
#ifndef ORIORI_ENGINE_WINDOW_H
#define ORIORI_ENGINE_WINDOW_H

#include "common/base/zone.h"
#include "common/playbook/playbook.h"

/* The customer's zone: the named one, else the playbook's default (R33); NULL (= UTC) when the database lacks both.
 * before: the zone that he had, NULL = none; it is not looked for when it is that one. */
const struct zone *window_zone(const struct playbook *playbook, const struct zones *zones, struct span name,
                               const struct zone *before);

int64_t window_day(const struct zone *zone, int64_t now);

/* The instant at which a local day's wall clock shows time_of_day_ms (gaps and overlaps as R71 says). */
int64_t window_instant(const struct zone *zone, int64_t day, int64_t time_of_day_ms);

/* R71: marketing may go out at now. */
bool window_open(const struct playbook *playbook, const struct zone *zone, int64_t now);
bool window_open_then(const struct playbook *playbook, int64_t local); /* the same of the wall clock there */

/* A zone's wall clock. Until an instant behind now it runs on as it does now (zone_offset). */
struct wall_clock {
    const struct zone *zone;
    int64_t now, local; /* what it shows now, as if UTC */
    int64_t until;
};

/* The next start of the window after now: where a message held by the quiet hours waits. */
int64_t window_next_start(const struct playbook *playbook, const struct wall_clock *clock);

/* The start of the next local day's window: where a capped message waits (R69). */
int64_t window_next_day_start(const struct playbook *playbook, const struct wall_clock *clock);

/* The first instant after now at which one of the trigger's dates comes (R62), and that date's local day. 02-29 comes
 * in leap years only. */
int64_t window_next_date(const struct trigger *trigger, const struct zone *zone, int64_t now, int64_t *ret_day);

#endif
