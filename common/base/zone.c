/* A zone is the list of instants at which its offset changed, and for the years after the list the POSIX rule of TZif's
 * footer ("EST5EDT,M3.2.0,M11.1.0"). RFC 8536 is the format's source. Leap seconds do not exist here, as in Unix time.
 */
#include "common/base/zone.h"

#include "common/base/check.h"
#include "common/base/timestamp.h"

#include <stdlib.h>

enum { ZONE_TRANSITIONS_MAX = 4096, ZONE_TYPES_MAX = 256, OFFSET_MAX_S = 26 * 3600 };

/* When in the year a POSIX rule changes. */
enum rule_day { DAY_JULIAN, DAY_OF_YEAR, DAY_OF_MONTH };
struct rule_date {
    enum rule_day kind;
    int month, week, day;
    int64_t time_s; /* local, may be negative or over 24 h (version 3) */
};

struct posix_rule {
    bool present;
    bool daylight;      /* two offsets a year */
    int64_t standard_s; /* east of UTC */
    int64_t daylight_s;
    struct rule_date start, end;
};

struct zone {
    char *name;
    int64_t *at_s;     /* UTC; ascending */
    int32_t *offset_s; /* from at_s[i] on */
    size_t count;
    int32_t first_offset_s; /* before all of them */
    struct posix_rule rule;
};

struct zones {
    struct zone *zones; /* by name */
    size_t count, capacity;
    char version[32];
};

/* ---- TZif ---- */

struct cursor {
    const unsigned char *data;
    size_t size;
    bool bad; /* sticky: read past the end */
};

static const unsigned char *cursor_take(struct cursor *cursor, size_t size)
{
    static const unsigned char zeros[16];
    if (size > cursor->size) {
        cursor->bad = true;
        return size <= sizeof zeros ? zeros : NULL;
    }
    const unsigned char *data = cursor->data;
    cursor->data += size;
    cursor->size -= size;
    return data;
}

static uint64_t big_endian(const unsigned char *data, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | data[i];
    return value;
}

struct header {
    int version;
    size_t is_ut, is_std, leaps, times, types, letters;
};

static bool header_read(struct cursor *cursor, struct header *header)
{
    const unsigned char *magic = cursor_take(cursor, 5);
    if (cursor->bad || memcmp(magic, "TZif", 4) != 0 || cursor_take(cursor, 15) == NULL || cursor->bad)
        return false;
    header->version = magic[4] == 0 ? 1 : magic[4] - '0';
    size_t *const counts[] = {&header->is_ut, &header->is_std, &header->leaps,
                              &header->times, &header->types,  &header->letters};
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        *counts[i] = big_endian(cursor_take(cursor, 4), 4);
    return !cursor->bad && header->version >= 1 && header->version <= 9 && header->types >= 1 &&
           header->types <= ZONE_TYPES_MAX && header->times <= ZONE_TRANSITIONS_MAX && header->letters <= 4096 &&
           header->leaps <= 4096 && header->is_ut <= ZONE_TYPES_MAX && header->is_std <= ZONE_TYPES_MAX;
}

static size_t block_size(const struct header *header, size_t time_size)
{
    return header->times * (time_size + 1) + header->types * 6 + header->letters + header->leaps * (time_size + 4) +
           header->is_std + header->is_ut;
}

static bool types_read(const unsigned char *types, size_t count, int32_t offsets[ZONE_TYPES_MAX])
{
    for (size_t i = 0; i < count; i++) {
        offsets[i] = (int32_t)(uint32_t)big_endian(types + 6 * i, 4);
        if (offsets[i] < -OFFSET_MAX_S || offsets[i] > OFFSET_MAX_S)
            return false;
    }
    return true;
}

/* The transitions of a data block whose size was checked. */
static bool block_read(struct zone *zone, const unsigned char *block, const struct header *header, size_t time_size)
{
    int32_t offsets[ZONE_TYPES_MAX];
    const unsigned char *indexes = block + header->times * time_size;
    if (!types_read(indexes + header->times, header->types, offsets))
        return false;
    zone->at_s = calloc(header->times + 1, sizeof *zone->at_s);
    zone->offset_s = calloc(header->times + 1, sizeof *zone->offset_s);
    CHECK(zone->at_s != NULL && zone->offset_s != NULL);
    zone->first_offset_s = offsets[0];
    for (size_t i = 0; i < header->times; i++) {
        uint64_t raw = big_endian(block + i * time_size, time_size);
        int64_t at = time_size == 4 ? (int32_t)(uint32_t)raw : (int64_t)raw;
        if (indexes[i] >= header->types || (i > 0 && at <= zone->at_s[i - 1]))
            return false;
        zone->at_s[i] = at;
        zone->offset_s[i] = offsets[indexes[i]];
    }
    zone->count = header->times;
    return true;
}

/* ---- the POSIX rule of the footer ---- */

static bool text_name(struct cursor *text)
{
    size_t size = 0;
    if (text->size > 0 && text->data[0] == '<') {
        const unsigned char *end = memchr(text->data, '>', text->size);
        return end != NULL && cursor_take(text, (size_t)(end - text->data) + 1) != NULL;
    }
    while (size < text->size && ((text->data[size] | 32) >= 'a' && (text->data[size] | 32) <= 'z'))
        size++;
    cursor_take(text, size);
    return size >= 3;
}

static bool text_is(struct cursor *text, char c)
{
    if (text->size == 0 || text->data[0] != (unsigned char)c)
        return false;
    cursor_take(text, 1);
    return true;
}

static bool text_number(struct cursor *text, int least, int most, int *ret_number)
{
    int number = 0, digits = 0;
    while (text->size > 0 && text->data[0] >= '0' && text->data[0] <= '9' && digits < 4) {
        number = number * 10 + *cursor_take(text, 1) - '0';
        digits++;
    }
    *ret_number = number;
    return digits > 0 && number >= least && number <= most;
}

/* [+-]hh[:mm[:ss]] */
static bool text_time(struct cursor *text, int64_t *ret_s)
{
    int hours = 0, minutes = 0, seconds = 0;
    bool negative = text_is(text, '-');
    if (!negative)
        text_is(text, '+');
    if (!text_number(text, 0, 167, &hours) || (text_is(text, ':') && !text_number(text, 0, 59, &minutes)) ||
        (text_is(text, ':') && !text_number(text, 0, 59, &seconds)))
        return false;
    int64_t s = hours * INT64_C(3600) + minutes * 60 + seconds;
    *ret_s = negative ? -s : s;
    return true;
}

static bool text_date(struct cursor *text, struct rule_date *date)
{
    bool good;
    date->time_s = 2 * 3600;
    if (text_is(text, 'M')) {
        date->kind = DAY_OF_MONTH;
        good = text_number(text, 1, 12, &date->month) && text_is(text, '.') && text_number(text, 1, 5, &date->week) &&
               text_is(text, '.') && text_number(text, 0, 6, &date->day);
    } else if (text_is(text, 'J')) {
        date->kind = DAY_JULIAN;
        good = text_number(text, 1, 365, &date->day);
    } else {
        date->kind = DAY_OF_YEAR;
        good = text_number(text, 0, 365, &date->day);
    }
    return good && (!text_is(text, '/') || text_time(text, &date->time_s));
}

static bool posix_read(struct cursor text, struct posix_rule *rule)
{
    int64_t west;
    if (!text_name(&text) || !text_time(&text, &west) || west < -OFFSET_MAX_S || west > OFFSET_MAX_S)
        return false;
    *rule = (struct posix_rule){.present = true, .standard_s = -west, .daylight_s = -west + 3600};
    if (text.size == 0)
        return true;
    if (!text_name(&text))
        return false;
    if (text.size > 0 && text.data[0] != ',') {
        if (!text_time(&text, &west) || west < -OFFSET_MAX_S || west > OFFSET_MAX_S)
            return false;
        rule->daylight_s = -west;
    }
    rule->daylight = true;
    return text_is(&text, ',') && text_date(&text, &rule->start) && text_is(&text, ',') &&
           text_date(&text, &rule->end) && text.size == 0;
}

static bool footer_read(struct cursor *cursor, struct posix_rule *rule)
{
    if (cursor->size == 0 || cursor->data[0] != '\n')
        return false;
    const unsigned char *end = memchr(cursor->data + 1, '\n', cursor->size - 1);
    if (end == NULL)
        return false;
    struct cursor text = {cursor->data + 1, (size_t)(end - cursor->data) - 1, false};
    return text.size == 0 || posix_read(text, rule);
}

static bool tzif_read(struct cursor cursor, struct zone *zone)
{
    struct header header;
    if (!header_read(&cursor, &header))
        return false;
    const unsigned char *block = cursor_take(&cursor, block_size(&header, 4));
    if (cursor.bad)
        return false;
    if (header.version == 1)
        return block_read(zone, block, &header, 4);
    if (!header_read(&cursor, &header))
        return false;
    block = cursor_take(&cursor, block_size(&header, 8));
    return !cursor.bad && block_read(zone, block, &header, 8) && footer_read(&cursor, &zone->rule);
}

/* ---- the set ---- */

struct zones *zones_new(void)
{
    struct zones *zones = calloc(1, sizeof *zones);
    CHECK(zones != NULL);
    return zones;
}

static void zone_release(struct zone *zone)
{
    free(zone->name);
    free(zone->at_s);
    free(zone->offset_s);
}

void zones_free(struct zones *zones)
{
    for (size_t i = 0; zones != NULL && i < zones->count; i++)
        zone_release(&zones->zones[i]);
    if (zones != NULL)
        free(zones->zones);
    free(zones);
}

/* Where the name stands or would stand. */
static size_t zones_place(const struct zones *zones, struct span name)
{
    size_t low = 0, high = zones->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (span_compare(span_of(zones->zones[middle].name), name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool zones_add(struct zones *zones, struct span name, struct span tzif)
{
    struct zone zone = {.name = NULL};
    if (!tzif_read((struct cursor){(const unsigned char *)tzif.data, tzif.size, false}, &zone)) {
        zone_release(&zone);
        return false;
    }
    zone.name = strndup(name.data, name.size);
    CHECK(zone.name != NULL);
    size_t place = zones_place(zones, name);
    if (place < zones->count && span_equal(span_of(zones->zones[place].name), name)) {
        zone_release(&zones->zones[place]); /* the last one of a name counts */
        zones->zones[place] = zone;
        return true;
    }
    if (zones->count == zones->capacity) {
        zones->capacity = zones->capacity ? zones->capacity * 2 : 64;
        zones->zones = realloc(zones->zones, zones->capacity * sizeof *zones->zones);
        CHECK(zones->zones != NULL);
    }
    memmove(&zones->zones[place + 1], &zones->zones[place], (zones->count - place) * sizeof *zones->zones);
    zones->zones[place] = zone;
    zones->count++;
    return true;
}

const struct zone *zones_find(const struct zones *zones, struct span name)
{
    size_t place = zones_place(zones, name);
    return place < zones->count && span_equal(span_of(zones->zones[place].name), name) ? &zones->zones[place] : NULL;
}

struct span zones_version(const struct zones *zones)
{
    return span_of(zones->version);
}

void zones_set_version(struct zones *zones, struct span version)
{
    size_t size = version.size < sizeof zones->version - 1 ? version.size : sizeof zones->version - 1;
    memcpy(zones->version, version.data ? version.data : "", size);
    zones->version[size] = '\0';
}

/* ---- the rule's two instants of a year ---- */

static bool leap_year(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* The local midnight's day number (days since 1970). */
static int64_t rule_day(const struct rule_date *date, int64_t year)
{
    int64_t new_year = timestamp_days_from_civil(year, 1, 1);
    if (date->kind == DAY_OF_YEAR)
        return new_year + date->day;
    if (date->kind == DAY_JULIAN) /* February 29 is never counted */
        return new_year + date->day - 1 + (leap_year(year) && date->day >= 60);
    int64_t first = timestamp_days_from_civil(year, date->month, 1);
    int64_t next = date->month == 12 ? timestamp_days_from_civil(year + 1, 1, 1)
                                     : timestamp_days_from_civil(year, date->month + 1, 1);
    int64_t weekday = floor_div(first + 4, 7) * 7; /* 1970-01-01 was a Thursday: day 4, Sunday being 0 */
    int64_t day = first + (date->day - (first + 4 - weekday) + 7) % 7 + 7 * (date->week - 1);
    return day < next ? day : day - 7; /* week 5 = the last */
}

static int64_t rule_start_s(const struct posix_rule *rule, int64_t year)
{
    return rule_day(&rule->start, year) * 86400 + rule->start.time_s - rule->standard_s;
}

static int64_t rule_end_s(const struct posix_rule *rule, int64_t year)
{
    return rule_day(&rule->end, year) * 86400 + rule->end.time_s - rule->daylight_s;
}

static int64_t year_of(int64_t s)
{
    int64_t year;
    int month, day;
    timestamp_civil_from_days(floor_div(s, 86400), &year, &month, &day);
    return year;
}

/* The last change of the rule at or before s; a change may lie in the year beside the one that UTC says. */
static int64_t rule_offset(const struct posix_rule *rule, int64_t s)
{
    int64_t best = INT64_MIN, offset = rule->standard_s, year = year_of(s);
    if (!rule->daylight)
        return rule->standard_s;
    for (int64_t y = year - 1; y <= year + 1; y++) {
        int64_t start = rule_start_s(rule, y), end = rule_end_s(rule, y);
        if (end <= s && end >= best) {
            best = end;
            offset = rule->standard_s;
        }
        /* "All year daylight" is written as an end that meets the next start: the start wins the tie. */
        if (start <= s && start >= best) {
            best = start;
            offset = rule->daylight_s;
        }
    }
    return offset;
}

/* The first transition of the list after s. */
static size_t first_after(const struct zone *zone, int64_t s)
{
    size_t low = 0, high = zone->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (zone->at_s[middle] <= s)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int64_t offset_at(const struct zone *zone, int64_t s)
{
    size_t after = first_after(zone, s);
    if (after == zone->count && zone->rule.present)
        return rule_offset(&zone->rule, s);
    return after == 0 ? zone->first_offset_s : zone->offset_s[after - 1];
}

int64_t zone_local(const struct zone *zone, int64_t utc_ms)
{
    return zone == NULL ? utc_ms : utc_ms + offset_at(zone, floor_div(utc_ms, SECOND_MS)) * SECOND_MS;
}

bool zone_is(const struct zone *zone, struct span name)
{
    return span_equal(span_of(zone->name), name);
}

/* The next instant after s at which the offset may change; INT64_MAX: none. */
static int64_t next_change(const struct zone *zone, int64_t s)
{
    size_t after = first_after(zone, s);
    if (after < zone->count)
        return zone->at_s[after];
    int64_t best = INT64_MAX;
    if (!zone->rule.daylight)
        return best;
    int64_t year = year_of(s);
    for (int64_t y = year - 1; y <= year + 1; y++) {
        int64_t start = rule_start_s(&zone->rule, y), end = rule_end_s(&zone->rule, y);
        best = start > s && start < best ? start : best;
        best = end > s && end < best ? end : best;
    }
    return best;
}

int64_t zone_offset(const struct zone *zone, int64_t utc_ms, int64_t *ret_until)
{
    int64_t s = floor_div(utc_ms, SECOND_MS), until = zone == NULL ? INT64_MAX : next_change(zone, s);
    *ret_until = until > INT64_MAX / SECOND_MS ? INT64_MAX : until * SECOND_MS;
    return zone == NULL ? 0 : offset_at(zone, s) * SECOND_MS;
}

/* A local time can only be meant with an offset that was in force within OFFSET_MAX_S of it. Of the instants that show
 * this wall clock the earliest counts (overlap, R71). None: a gap, and its end is the first instant after it. */
int64_t zone_utc(const struct zone *zone, int64_t local_ms)
{
    if (zone == NULL)
        return local_ms;
    int64_t local_s = floor_div(local_ms, SECOND_MS), rest = local_ms - local_s * SECOND_MS;
    for (int64_t from = local_s - OFFSET_MAX_S;;) {
        int64_t until = next_change(zone, from); /* from here to there the offset is constant */
        int64_t utc = local_s - offset_at(zone, from);
        if (utc < from) /* R71: the clock jumped over it */
            return from * SECOND_MS;
        if (utc < until)
            return utc * SECOND_MS + rest;
        from = until;
    }
}
