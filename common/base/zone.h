/* Time zones as tables. Core code must not read files, so io loads the system's tz database (TZif) into these tables
 * once at start and passes them in; everything here is pure and thread-safe.
 *
 * A local time is written as milliseconds "as if UTC" of the wall clock. */
#ifndef ORIORI_BASE_ZONE_H
#define ORIORI_BASE_ZONE_H

#include "common/base/span.h"

#include <stdint.h>

struct zone;  /* one zone's transitions and its rule for the years after them; owned by struct zones */
struct zones; /* all zones by name */

struct zones *zones_new(void);
void zones_free(struct zones *zones); /* NULL is fine */

/* Parses one TZif file's bytes (version 1 to 4, footer included) and keeps it under name. False: no valid TZif. */
bool zones_add(struct zones *zones, struct span name, struct span tzif);

/* NULL: no such zone. Names are case-sensitive, as the database spells them. */
const struct zone *zones_find(const struct zones *zones, struct span name);

bool zone_is(const struct zone *zone, struct span name); /* of that name */

/* The version of the tz database, as text ("2024a", or "" when unknown). */
struct span zones_version(const struct zones *zones);
void zones_set_version(struct zones *zones, struct span version);

/* UTC to wall clock. zone NULL = UTC. */
int64_t zone_local(const struct zone *zone, int64_t utc_ms);

/* What zone_local adds to an instant, ms, and the instant from which it may be another; INT64_MAX = never. */
int64_t zone_offset(const struct zone *zone, int64_t utc_ms, int64_t *ret_until);

/* Wall clock to UTC. In a gap the first instant after it; in an overlap the earlier of the two (R71). */
int64_t zone_utc(const struct zone *zone, int64_t local_ms);

#endif
