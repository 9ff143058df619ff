#include "common/base/timestamp.h"

#include <stdio.h>

int64_t timestamp_days_from_civil(int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year; /* years begin in March, so that the leap day comes last */
    int64_t era = floor_div(y, 400);
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

void timestamp_civil_from_days(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day)
{
    int64_t shifted = days + 719468;
    int64_t era = floor_div(shifted, 146097);
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int month_from_march = (int)((5 * day_of_year + 2) / 153);
    *ret_day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    *ret_month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    *ret_year = year_of_era + era * 400 + (*ret_month <= 2);
}

struct cursor {
    const char *at;
    const char *end;
    bool bad;
};

static int64_t take_digits(struct cursor *c, int count)
{
    int64_t value = 0;
    for (int i = 0; i < count; i++) {
        if (c->at == c->end || *c->at < '0' || *c->at > '9') {
            c->bad = true;
            return 0;
        }
        value = value * 10 + (*c->at++ - '0');
    }
    return value;
}

static bool take_char(struct cursor *c, char wanted)
{
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

static void need_char(struct cursor *c, char wanted)
{
    if (!take_char(c, wanted))
        c->bad = true;
}

static int64_t take_fraction_ms(struct cursor *c)
{
    int64_t ms = 0;
    int digits = 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++, digits++)
        if (digits < 3)
            ms = ms * 10 + (*c->at - '0');
    if (digits == 0)
        c->bad = true;
    for (; digits < 3; digits++)
        ms *= 10;
    return ms;
}

static int64_t take_offset_ms(struct cursor *c)
{
    if (take_char(c, 'Z') || take_char(c, 'z'))
        return 0;
    bool minus = c->at < c->end && *c->at == '-';
    if (!minus && !(c->at < c->end && *c->at == '+'))
        c->bad = true;
    else
        c->at++;
    int64_t hours = take_digits(c, 2);
    take_char(c, ':');
    int64_t minutes = take_digits(c, 2);
    if (hours > 23 || minutes > 59)
        c->bad = true;
    int64_t offset = hours * HOUR_MS + minutes * MINUTE_MS;
    return minus ? -offset : offset;
}

static int days_of_month(int64_t year, int64_t month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

bool timestamp_parse(struct span text, int64_t *ret_ms)
{
    struct cursor c = {text.data, text.data + text.size, text.size == 0};
    int64_t year = take_digits(&c, 4);
    need_char(&c, '-');
    int64_t month = take_digits(&c, 2);
    need_char(&c, '-');
    int64_t day = take_digits(&c, 2);
    if (!take_char(&c, 'T') && !take_char(&c, 't'))
        need_char(&c, ' ');
    int64_t hour = take_digits(&c, 2);
    need_char(&c, ':');
    int64_t minute = take_digits(&c, 2);
    int64_t second = 0, fraction = 0;
    if (!c.bad && take_char(&c, ':')) {
        second = take_digits(&c, 2);
        if (take_char(&c, '.') || take_char(&c, ','))
            fraction = take_fraction_ms(&c);
    }
    int64_t offset = c.bad ? 0 : take_offset_ms(&c);
    if (c.bad || c.at != c.end || month < 1 || month > 12 || day < 1 || day > days_of_month(year, month))
        return false;
    if (hour > 23 || minute > 59 || second > 59)
        return false;
    *ret_ms = timestamp_days_from_civil(year, (int)month, (int)day) * DAY_MS + hour * HOUR_MS + minute * MINUTE_MS +
              second * SECOND_MS + fraction - offset;
    return true;
}

void timestamp_text(int64_t ms, char ret_text[TIMESTAMP_TEXT_SIZE])
{
    int64_t days = floor_div(ms, DAY_MS), rest = ms - days * DAY_MS, year;
    int month, day;
    timestamp_civil_from_days(days, &year, &month, &day);
    snprintf(ret_text, TIMESTAMP_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (int)(year % 100000), month, day,
             (int)(rest / HOUR_MS), (int)(rest / MINUTE_MS % 60), (int)(rest / SECOND_MS % 60), (int)(rest % 1000));
}

bool timestamp_read(struct span text, int64_t *ret_ms)
{
    int64_t ms = 0;
    size_t i = 0;
    for (; i < text.size && text.data[i] >= '0' && text.data[i] <= '9' && ms <= TIMESTAMP_MAX; i++)
        ms = ms * 10 + (text.data[i] - '0');
    if (text.size > 0 && i == text.size)
        *ret_ms = ms;
    else if (!timestamp_parse(text, ret_ms))
        return false;
    return *ret_ms >= 0 && *ret_ms <= TIMESTAMP_MAX;
}
