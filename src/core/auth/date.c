/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/auth/date.h"

enum { DAY_S = 86400 };

/* Days before month m (0-11) of a year that is none of leap. */
static const uint16_t MONTH_START[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};

static bool is_leap(uint64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days from 1970-01-01 to the first day of a year. */
static uint64_t year_start(uint64_t year)
{
    uint64_t y = year - 1;
    return (year - 1970) * 365 + (y / 4 - y / 100 + y / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400);
}

static uint64_t month_days(uint64_t year, uint64_t month)
{
    uint64_t n = (uint64_t)MONTH_START[month] - MONTH_START[month - 1];
    return month == 2 && is_leap(year) ? n + 1 : n;
}

/* n digits at the front of *s, then `sep` (0: none); bounds are the caller's. */
static bool take_digits(struct alk_span *s, size_t n, char sep, uint64_t *ret)
{
    size_t all = sep == 0 ? n : n + 1;
    if (s->n < all || !alk_span_u64(alk_span_head(*s, n), 9999, ret) ||
        (sep != 0 && s->p[n] != (uint8_t)sep)) {
        return false;
    }
    *s = alk_span_tail(*s, all);
    return true;
}

static bool take_day(struct alk_span *s, uint64_t *ret_days)
{
    uint64_t year = 0, month = 0, day = 0;
    if (!take_digits(s, 4, '-', &year) || !take_digits(s, 2, '-', &month) ||
        !take_digits(s, 2, 0, &day)) {
        return false;
    }
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > month_days(year, month)) {
        return false;
    }
    *ret_days =
        year_start(year) + MONTH_START[month - 1] + (month > 2 && is_leap(year) ? 1 : 0) + day - 1;
    return true;
}

/* "Z", "+02:00", "-05:30": seconds east of UTC. */
static bool take_zone(struct alk_span *s, int64_t *ret)
{
    if (s->n == 1 && (s->p[0] == 'Z' || s->p[0] == 'z')) {
        *s = alk_span_tail(*s, 1);
        *ret = 0;
        return true;
    }
    if (s->n == 0 || (s->p[0] != '+' && s->p[0] != '-')) {
        return false;
    }
    int64_t sign = s->p[0] == '+' ? 1 : -1;
    uint64_t hour = 0, minute = 0;
    *s = alk_span_tail(*s, 1);
    if (!take_digits(s, 2, ':', &hour) || !take_digits(s, 2, 0, &minute) || hour > 23 ||
        minute > 59) {
        return false;
    }
    *ret = sign * (int64_t)(hour * 3600 + minute * 60);
    return true;
}

/* "hh:mm:ss", a fraction that is skipped, and the zone [RFC 3339 §5.6]. */
static bool take_time(struct alk_span *s, int64_t *ret_s)
{
    uint64_t hour = 0, minute = 0, second = 0;
    if (!take_digits(s, 2, ':', &hour) || !take_digits(s, 2, ':', &minute) ||
        !take_digits(s, 2, 0, &second) || hour > 23 || minute > 59 || second > 59) {
        return false;
    }
    if (s->n > 0 && s->p[0] == '.') {
        size_t n = 1;
        while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9') {
            n++;
        }
        if (n == 1) {
            return false;
        }
        *s = alk_span_tail(*s, n);
    }
    int64_t east = 0;
    if (!take_zone(s, &east)) {
        return false;
    }
    *ret_s = (int64_t)(hour * 3600 + minute * 60 + second) - east;
    return true;
}

alk_err alk_date_parse(struct alk_span text, uint64_t *ret_unix_s)
{
    struct alk_span s = alk_span_trim(text);
    uint64_t days = 0;
    int64_t in_day = 0;
    if (!take_day(&s, &days)) {
        return ALK_E_INVALID;
    }
    if (s.n > 0) {
        if (s.p[0] != 'T' && s.p[0] != 't' && s.p[0] != ' ') {
            return ALK_E_INVALID;
        }
        s = alk_span_tail(s, 1);
        if (!take_time(&s, &in_day)) {
            return ALK_E_INVALID;
        }
    }
    int64_t unix_s = (int64_t)(days * DAY_S) + in_day;
    if (s.n > 0 || unix_s < 0 || unix_s > (int64_t)ALK_DATE_MAX) {
        return ALK_E_INVALID;
    }
    *ret_unix_s = (uint64_t)unix_s;
    return ALK_OK;
}

/* Seconds in one of a unit; 0: no unit. */
static uint64_t unit_seconds(uint8_t unit)
{
    switch (unit) {
    case 's':
        return 1;
    case 'm':
        return 60;
    case 'h':
        return 3600;
    case 'd':
        return DAY_S;
    case 'w':
        return 7 * DAY_S;
    default:
        return 0;
    }
}

alk_err alk_date_parse_expiry(struct alk_span text, uint64_t now_unix_s, uint64_t *ret_unix_s)
{
    struct alk_span s = alk_span_trim(text);
    uint64_t at = 0, n = 0;
    if (alk_span_is(s, "never")) {
        *ret_unix_s = 0;
        return ALK_OK;
    }
    uint64_t unit = s.n < 2 ? 0 : unit_seconds(s.p[s.n - 1]);
    if (unit > 0 && alk_span_u64(alk_span_head(s, s.n - 1), ALK_DATE_MAX / unit, &n)) {
        at = now_unix_s + n * unit;
    } else if (alk_date_parse(s, &at) != ALK_OK) {
        return ALK_E_INVALID;
    }
    if (at <= now_unix_s || at > ALK_DATE_MAX) {
        return ALK_E_INVALID;
    }
    *ret_unix_s = at;
    return ALK_OK;
}

static void put_digits(char *dst, size_t width, uint64_t v)
{
    for (size_t i = width; i > 0; i--) {
        dst[i - 1] = (char)('0' + v % 10);
        v /= 10;
    }
}

/* "YYYY-MM-DDThh:mm:ss": 19 characters, without a zero. */
static void put_date(char *dst, uint64_t unix_s)
{
    uint64_t days = unix_s / DAY_S, in_day = unix_s % DAY_S;
    uint64_t year = 1970 + days / 366; /* never too late */
    while (year_start(year + 1) <= days) {
        year++;
    }
    days -= year_start(year);
    uint64_t month = 1;
    while (days >= month_days(year, month)) {
        days -= month_days(year, month);
        month++;
    }
    memcpy(dst, "0000-00-00T00:00:00", 19);
    put_digits(dst, 4, year);
    put_digits(dst + 5, 2, month);
    put_digits(dst + 8, 2, days + 1);
    put_digits(dst + 11, 2, in_day / 3600);
    put_digits(dst + 14, 2, in_day / 60 % 60);
    put_digits(dst + 17, 2, in_day % 60);
}

void alk_date_format(uint64_t unix_s, char ret[static ALK_DATE_SIZE])
{
    put_date(ret, unix_s < ALK_DATE_MAX ? unix_s : ALK_DATE_MAX);
    memcpy(ret + 19, "Z", 2);
}

void alk_date_format_ms(uint64_t unix_ms, char ret[static ALK_DATE_SIZE])
{
    uint64_t max = ALK_DATE_MAX * (uint64_t)1000 + 999;
    uint64_t ms = unix_ms < max ? unix_ms : max;
    put_date(ret, ms / 1000);
    ret[19] = '.';
    put_digits(ret + 20, 3, ms % 1000);
    memcpy(ret + 23, "Z", 2);
}
