// The system clock, waiting on it, and dates as text. The only reader of time.
#include "dispatcher/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "dispatcher/str.h"

static int64_t
read_clock(clockid_t id)
{
    struct timespec now = {0};
    (void)clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t
system_wall(const struct clock *clock)
{
    (void)clock;
    return read_clock(CLOCK_REALTIME);
}

static int64_t
system_mono(const struct clock *clock)
{
    (void)clock;
    return read_clock(CLOCK_MONOTONIC);
}

static struct error *
system_sleep_until(const struct clock *clock, int64_t mono_ms, struct cancel *cancel)
{
    for (;;) {
        TRY(cancel_check(cancel));
        int64_t left = mono_ms - system_mono(clock);
        if (left <= 0) {
            return NULL;
        }
        struct pollfd wake = {.fd = cancel != NULL ? cancel_fd(cancel) : -1, .events = POLLIN};
        int wait = left > 60000 ? 60000 : (int)left;
        (void)poll(&wake, 1, wait); // EINTR and time-outs are both seen by the loop
    }
}

const struct clock clock_system = {system_wall, system_mono, system_sleep_until};

int64_t
clock_wall(const struct clock *clock)
{
    return clock->wall_ms(clock);
}

int64_t
clock_mono(const struct clock *clock)
{
    return clock->mono_ms(clock);
}

struct error *
clock_sleep_until(const struct clock *clock, int64_t mono_ms, struct cancel *cancel)
{
    return clock->sleep_until(clock, mono_ms, cancel);
}

// Days since 1970-01-01 of a date of the proleptic Gregorian calendar, and back
// (Howard Hinnant's "chrono-compatible low-level date algorithms").
static int64_t
days_from_civil(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2 ? 1 : 0;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

void
clock_format_rfc3339(int64_t wall_ms, char out[21])
{
    int64_t before = wall_ms < 0 && wall_ms % 1000 != 0 ? 1 : 0; // division rounds towards 1970
    time_t seconds = (time_t)(wall_ms / 1000 - before);
    struct tm utc = {0};
    (void)gmtime_r(&seconds, &utc);
    if (strftime(out, 21, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0) {
        memcpy(out, "9999-12-31T23:59:59Z", 21);
    }
}

// Reads `count` digits at *at.
static bool
take_digits(const char **at, int count, int64_t *out)
{
    int64_t value = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (**at < '0' || **at > '9') {
            return false;
        }
        value = value * 10 + (**at - '0');
    }
    *out = value;
    return true;
}

static bool
take(const char **at, char byte)
{
    if (**at != byte) {
        return false;
    }
    (*at)++;
    return true;
}

struct civil {
    int64_t year, month, day, hour, minute, second;
};

static int64_t
days_in_month(int64_t year, int64_t month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

static bool
civil_to_ms(const struct civil *civil, int64_t *out)
{
    if (civil->month < 1 || civil->month > 12 || civil->day < 1 ||
        civil->day > days_in_month(civil->year, civil->month) || civil->hour > 23 ||
        civil->minute > 59 || civil->second > 60) {
        return false;
    }
    int64_t days = days_from_civil(civil->year, civil->month, civil->day);
    *out = ((days * 24 + civil->hour) * 60 + civil->minute) * 60000 + civil->second * 1000;
    return true;
}

static bool
take_time(const char **at, struct civil *civil)
{
    return take_digits(at, 2, &civil->hour) && take(at, ':') &&
           take_digits(at, 2, &civil->minute) && take(at, ':') &&
           take_digits(at, 2, &civil->second);
}

// "Z", "z", "+05:30" or "-05:30" (also without the colon); minutes east of UTC.
static bool
take_offset(const char **at, int64_t *minutes)
{
    *minutes = 0;
    if (take(at, 'Z') || take(at, 'z')) {
        return true;
    }
    bool west = **at == '-';
    int64_t hours = 0, rest = 0;
    if (!(west ? take(at, '-') : take(at, '+')) || !take_digits(at, 2, &hours)) {
        return false;
    }
    (void)take(at, ':');
    if (!take_digits(at, 2, &rest) || hours > 23 || rest > 59) {
        return false;
    }
    *minutes = (hours * 60 + rest) * (west ? -1 : 1);
    return true;
}

bool
clock_parse_rfc3339(const char *text, int64_t *wall_ms)
{
    const char *at = text != NULL ? text : "";
    struct civil civil = {0};
    bool date = take_digits(&at, 4, &civil.year) && take(&at, '-') &&
                take_digits(&at, 2, &civil.month) && take(&at, '-') &&
                take_digits(&at, 2, &civil.day) &&
                (take(&at, 'T') || take(&at, 't') || take(&at, ' ')) && take_time(&at, &civil);
    if (!date) {
        return false;
    }
    int64_t digit = 0;
    if (take(&at, '.')) {
        if (!take_digits(&at, 1, &digit)) {
            return false;
        }
        while (*at >= '0' && *at <= '9') {
            at++;
        }
    }
    int64_t offset = 0, ms = 0;
    if (!take_offset(&at, &offset) || *at != '\0' || !civil_to_ms(&civil, &ms)) {
        return false;
    }
    *wall_ms = ms - offset * 60000;
    return true;
}

bool
clock_parse_http_date(const char *text, int64_t *wall_ms)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const char *at = text != NULL ? strchr(text, ',') : NULL;
    struct civil civil = {0};
    if (at == NULL || at != text + 3) {
        return false;
    }
    at++;
    if (!take(&at, ' ') || !take_digits(&at, 2, &civil.day) || !take(&at, ' ')) {
        return false;
    }
    for (int i = 0; i < 12; i++) {
        if (strncmp(at, months + i * 3, 3) == 0) {
            civil.month = i + 1;
        }
    }
    if (civil.month == 0) {
        return false;
    }
    at += 3;
    return take(&at, ' ') && take_digits(&at, 4, &civil.year) && take(&at, ' ') &&
           take_time(&at, &civil) && strcmp(at, " GMT") == 0 && civil_to_ms(&civil, wall_ms);
}

bool
clock_parse_duration(struct str text, int64_t *ms)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    int64_t number = 0, product = 0;
    if (text.len < 2 || text.ptr[0] == '-' ||
        !str_to_int64((struct str){text.ptr, text.len - 1}, &number)) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(units); i++) {
        if (units[i].unit == text.ptr[text.len - 1]) {
            bool fits = !__builtin_mul_overflow(number, units[i].ms, &product);
            *ms = fits ? product : *ms;
            return fits;
        }
    }
    return false;
}

void
clock_format_duration(int64_t ms, char out[32])
{
    long long seconds = ms > 0 ? (long long)(ms + 500) / 1000 : 0;
    if (ms > 0 && ms < 9950) {
        (void)snprintf(out, 32, "%lld.%llds", (long long)((ms + 50) / 1000),
            (long long)((ms + 50) / 100 % 10));
    } else if (seconds < 60) {
        (void)snprintf(out, 32, "%llds", seconds);
    } else if (seconds < 3600) {
        (void)snprintf(out, 32, "%lldm %llds", seconds / 60, seconds % 60);
    } else if (seconds < 86400) {
        (void)snprintf(out, 32, "%lldh %lldm", seconds / 3600, seconds / 60 % 60);
    } else {
        (void)snprintf(out, 32, "%lldd %lldh", seconds / 86400, seconds / 3600 % 24);
    }
}
