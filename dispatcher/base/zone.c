// Local time in a named zone, from the system's IANA database: TZif files (RFC 8536). The C library
// would do, but knows one zone at a time, the one of TZ, which threads share.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/clock.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"

enum {
    FILE_MAX = 256 * 1024,
    HEADER_SIZE = 44,
    TYPES_MAX = 256,
    DAY_S = 86400,
};

// When a part of the year begins, in the local time of the part before it.
struct change {
    enum { CHANGE_MONTH, CHANGE_JULIAN, CHANGE_DAY } form;
    int month, week, day;
    int64_t time_s;
};
// What holds after the last transition of the file.
struct rule {
    bool known, has_summer;
    int64_t standard_s, summer_s; // east of UTC
    struct change start, end;     // of summer time
};
struct clock_zone {
    size_t count, type_count;
    int64_t *at;         // transitions, ascending
    unsigned char *type; // that begins there
    int64_t offsets[TYPES_MAX];
    struct rule rule;
};

void
clock_zone_free(struct clock_zone *zone)
{
    if (zone != NULL) {
        free(zone->at);
        free(zone->type);
        free(zone);
    }
}

void
clock_zone_freep(struct clock_zone **zone)
{
    clock_zone_free(*zone);
    *zone = NULL;
}

// Letters, digits and "_+-/" as in the database; no way out of its directory.
static bool
is_zone_name(const char *zone)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/";
    return zone[0] != '\0' && zone[0] != '/' && strlen(zone) < 64 &&
           strspn(zone, allowed) == strlen(zone);
}

// --- the last line: POSIX.1-2017 §8.3, TZ -------------------------------------------------------

static bool
take_number(struct str *text, int64_t max, int64_t *out)
{
    size_t digits = 0;
    while (
        digits < text->len && digits < 4 && text->ptr[digits] >= '0' && text->ptr[digits] <= '9') {
        digits++;
    }
    if (!str_to_int64((struct str){text->ptr, digits}, out) || *out > max) {
        return false;
    }
    *text = str_skip(*text, digits);
    return true;
}

static bool
take_byte(struct str *text, char byte)
{
    if (text->len == 0 || text->ptr[0] != byte) {
        return false;
    }
    *text = str_skip(*text, 1);
    return true;
}

// [+-]hh[:mm[:ss]], up to a week as RFC 8536 §3.3.1 has it.
static bool
take_time(struct str *text, int64_t *out)
{
    int64_t hours = 0, minutes = 0, seconds = 0;
    bool negative = take_byte(text, '-');
    bool fine = (negative || take_byte(text, '+') || true) && take_number(text, 167, &hours);
    if (fine && take_byte(text, ':')) {
        fine = take_number(text, 59, &minutes);
        fine = fine && (!take_byte(text, ':') || take_number(text, 59, &seconds));
    }
    int64_t sum = hours * 3600 + minutes * 60 + seconds;
    *out = negative ? -sum : sum;
    return fine;
}

// "CET" or "<+0330>".
static bool
take_name(struct str *text)
{
    size_t len = 0;
    bool quoted = take_byte(text, '<');
    while (len < text->len &&
           (quoted ? text->ptr[len] != '>' : strchr("+-,0123456789", text->ptr[len]) == NULL)) {
        len++;
    }
    *text = str_skip(*text, len);
    return len > 0 && (!quoted || take_byte(text, '>'));
}

// "M3.5.0/2", "J60", "59"
static bool
take_change(struct str *text, struct change *out)
{
    int64_t month = 0, week = 0, day = 0;
    bool fine = false;
    if (take_byte(text, 'M')) {
        out->form = CHANGE_MONTH;
        fine = take_number(text, 12, &month) && month >= 1 && take_byte(text, '.') &&
               take_number(text, 5, &week) && week >= 1 && take_byte(text, '.') &&
               take_number(text, 6, &day);
    } else {
        out->form = take_byte(text, 'J') ? CHANGE_JULIAN : CHANGE_DAY;
        fine = take_number(text, 365, &day) && (out->form == CHANGE_DAY || day >= 1);
    }
    out->month = (int)month;
    out->week = (int)week;
    out->day = (int)day;
    out->time_s = 7200;
    return fine && (!take_byte(text, '/') || take_time(text, &out->time_s));
}

static bool
parse_rule(struct str text, struct rule *out)
{
    int64_t west_s = 0;
    if (!take_name(&text) || !take_time(&text, &west_s)) {
        return false;
    }
    out->standard_s = -west_s;
    out->summer_s = out->standard_s + 3600;
    if (text.len == 0) {
        return true;
    }
    out->has_summer = true;
    if (!take_name(&text)) {
        return false;
    }
    if (text.len > 0 && text.ptr[0] != ',') {
        if (!take_time(&text, &west_s)) {
            return false;
        }
        out->summer_s = -west_s;
    }
    return take_byte(&text, ',') && take_change(&text, &out->start) && take_byte(&text, ',') &&
           take_change(&text, &out->end) && text.len == 0;
}

// --- the file ------------------------------------------------------------------------------------

static int64_t
number_at(const char *bytes, size_t size)
{
    uint64_t value = (unsigned char)bytes[0] >= 0x80 ? UINT64_MAX : 0;
    for (size_t i = 0; i < size; i++) {
        value = value << 8 | (unsigned char)bytes[i];
    }
    return (int64_t)value;
}

struct counts {
    size_t isut, isstd, leap, time, type, chars;
};

// Sizes of a block whose times have `size` bytes; 0 when it does not begin with a header.
static size_t
block_size(struct str text, size_t size, struct counts *out)
{
    if (text.len < HEADER_SIZE || !str_starts(text, STR("TZif"))) {
        return 0;
    }
    size_t *const fields[] = {
        &out->isut, &out->isstd, &out->leap, &out->time, &out->type, &out->chars};
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++) {
        int64_t count = number_at(text.ptr + 20 + 4 * i, 4);
        if (count < 0 || count > FILE_MAX) {
            return 0;
        }
        *fields[i] = (size_t)count;
    }
    size_t whole = HEADER_SIZE + out->time * (size + 1) + out->type * 6 + out->chars +
                   out->leap * (size + 4) + out->isstd + out->isut;
    return whole <= text.len && out->type >= 1 && out->type <= TYPES_MAX ? whole : 0;
}

static bool
read_block(struct str text, const struct counts *counts, struct clock_zone *zone)
{
    const char *times = text.ptr + HEADER_SIZE, *types = times + counts->time * 8;
    const char *infos = types + counts->time;
    zone->count = counts->time;
    zone->type_count = counts->type;
    zone->at = xcalloc(counts->time + 1, sizeof(*zone->at));
    zone->type = xcalloc(counts->time + 1, 1);
    for (size_t i = 0; i < counts->time; i++) {
        zone->at[i] = number_at(times + 8 * i, 8);
        zone->type[i] = (unsigned char)types[i];
        if (zone->type[i] >= counts->type || (i > 0 && zone->at[i] <= zone->at[i - 1])) {
            return false;
        }
    }
    for (size_t i = 0; i < counts->type; i++) {
        zone->offsets[i] = number_at(infos + 6 * i, 4);
    }
    return true;
}

// The second block has 64-bit times; the line behind it says what comes after the last.
static bool
read_zone(struct str text, struct clock_zone *zone)
{
    struct counts counts = {0};
    size_t first = block_size(text, 4, &counts);
    if (first == 0 || text.ptr[4] < '2') {
        return false;
    }
    text = str_skip(text, first);
    size_t second = block_size(text, 8, &counts);
    if (second == 0 || !read_block(text, &counts, zone)) {
        return false;
    }
    struct str line = str_trim(str_skip(text, second));
    zone->rule.known = line.len > 0 && parse_rule(line, &zone->rule);
    return line.len == 0 || zone->rule.known;
}

struct clock_zone *
clock_zone_read(const char *name)
{
    struct clock_zone *zone CLEANUP(clock_zone_freep) = xcalloc(1, sizeof(*zone));
    struct buf text CLEANUP(buf_done) = BUF_INIT(FILE_MAX);
    if (strcmp(name, "UTC") == 0) {
        zone->rule.known = true; // wherever there is no database
    } else if (!is_zone_name(name)) {
        return NULL;
    } else {
        char *path CLEANUP(xfreep) = xasprintf("/usr/share/zoneinfo/%s", name);
        struct error *err CLEANUP(error_freep) = file_read(path, &text, NULL);
        if (err != NULL || !read_zone(buf_str(&text), zone)) {
            return NULL;
        }
    }
    struct clock_zone *out = zone;
    zone = NULL;
    return out;
}

// --- a point in time -----------------------------------------------------------------------------

static int64_t
floor_div(int64_t value, int64_t by)
{
    return value / by - (value % by < 0 ? 1 : 0);
}

static bool
is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

// Days from 1970-01-01 to the first of January.
static int64_t
days_before(int64_t year)
{
    int64_t past = year - 1;
    return past * 365 + floor_div(past, 4) - floor_div(past, 100) + floor_div(past, 400) - 719162;
}

static int64_t
year_of(int64_t days)
{
    int64_t year = 1970 + floor_div(days, 366);
    while (days_before(year + 1) <= days) {
        year++;
    }
    return year;
}

static int64_t
days_of_change(const struct change *change, int64_t year)
{
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
    int leap = is_leap(year) ? 1 : 0;
    int64_t start = days_before(year);
    if (change->form == CHANGE_DAY) {
        return start + change->day;
    }
    if (change->form == CHANGE_JULIAN) { // the 29th of February is never counted
        return start + change->day - 1 + (change->day >= 60 ? leap : 0);
    }
    int64_t first = start + before[change->month - 1] + (change->month > 2 ? leap : 0);
    int64_t next = start + before[change->month] + (change->month >= 2 ? leap : 0);
    int64_t weekday = ((first + 4) % 7 + 7) % 7; // Sunday: 0
    int64_t day = first + (change->day - weekday + 7) % 7 + (change->week - 1) * 7;
    return day < next ? day : day - 7; // the fifth may be the last
}

static int64_t
offset_by_rule(const struct rule *rule, int64_t seconds)
{
    if (!rule->has_summer) {
        return rule->standard_s;
    }
    int64_t year = year_of(floor_div(seconds + rule->standard_s, DAY_S));
    int64_t start =
        days_of_change(&rule->start, year) * DAY_S + rule->start.time_s - rule->standard_s;
    int64_t end = days_of_change(&rule->end, year) * DAY_S + rule->end.time_s - rule->summer_s;
    bool summer = start < end ? seconds >= start && seconds < end
                              : seconds >= start || seconds < end; // south of the equator
    return summer ? rule->summer_s : rule->standard_s;
}

static int64_t
offset_at(const struct clock_zone *zone, int64_t seconds)
{
    if (zone->rule.known && (zone->count == 0 || seconds >= zone->at[zone->count - 1])) {
        return offset_by_rule(&zone->rule, seconds);
    }
    size_t low = 0, high = zone->count; // the last transition at or before it
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->at[middle] <= seconds) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return zone->offsets[low > 0 ? zone->type[low - 1] : 0];
}

int
clock_zone_week_minute(const struct clock_zone *zone, int64_t wall_ms)
{
    int64_t seconds = floor_div(wall_ms, 1000);
    int64_t local = seconds + offset_at(zone, seconds);
    int64_t day = floor_div(local, DAY_S);
    int64_t weekday = ((day + 3) % 7 + 7) % 7; // Monday: 0; the epoch was a Thursday
    return (int)(weekday * 1440 + (local - day * DAY_S) / 60);
}

bool
clock_week_minute(int64_t wall_ms, const char *zone, int *out)
{
    struct clock_zone *read CLEANUP(clock_zone_freep) = clock_zone_read(zone);
    if (read == NULL) {
        return false;
    }
    *out = clock_zone_week_minute(read, wall_ms);
    return true;
}
