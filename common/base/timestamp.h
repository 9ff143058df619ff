/* Instants are UTC milliseconds since 1970 in an int64_t; NEVER means none. A day is 24 h (RULINGS.md, head). */
#ifndef ORIORI_BASE_TIMESTAMP_H
#define ORIORI_BASE_TIMESTAMP_H

#include "common/base/span.h"

#include <stdint.h>

#define SECOND_MS     INT64_C(1000)
#define MINUTE_MS     (60 * SECOND_MS)
#define HOUR_MS       (60 * MINUTE_MS)
#define DAY_MS        (24 * HOUR_MS)
#define NEVER         INT64_MIN          /* no such instant */
#define TIMESTAMP_MAX (INT64_C(1) << 47) /* R86: event times are 0 .. 2^47 */

/* floor(a / b), b > 0: days of negative spans are -1, -2 ... (R6, R35). */
static inline int64_t floor_div(int64_t a, int64_t b)
{
    int64_t quotient = a / b;
    return quotient - (a % b < 0);
}

/* Days since 1970-01-01 of a proleptic Gregorian date, and back. month and day count from 1. */
int64_t timestamp_days_from_civil(int64_t year, int month, int day);
void timestamp_civil_from_days(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day);

/* ISO 8601 date and time with an offset ("2024-01-31T09:00:00.123+09:00", "...Z"; seconds and fraction optional; more
 * than three digits of fraction are cut). False when the text is anything else; a time without an offset is refused. */
bool timestamp_parse(struct span text, int64_t *ret_ms);

/* A person's argument: UTC ms, or ISO 8601 as above. False also for what is not 0 .. TIMESTAMP_MAX. */
bool timestamp_read(struct span text, int64_t *ret_ms);

enum { TIMESTAMP_TEXT_SIZE = 32 };
/* "2024-01-31T00:00:00.123Z" */
void timestamp_text(int64_t ms, char ret_text[TIMESTAMP_TEXT_SIZE]);

#endif
