// Local time in named zones, around their changes of the clock.
#include "dispatcher/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "dispatcher/file.h"
#include "dispatcher/memory.h"

enum { DAY = 24 * 60 };

static void
assert_minute(const char *utc, const char *zone, int expected)
{
    int64_t ms = 0;
    int minute = -1;
    print_message("%s %s\n", utc, zone);
    assert_true(clock_parse_rfc3339(utc, &ms));
    assert_true(clock_week_minute(ms, zone, &minute));
    assert_int_equal(minute, expected);
}

static void
the_week_starts_on_monday(void **state)
{
    (void)state;
    assert_minute("2026-11-16T00:00:00Z", "UTC", 0);
    assert_minute("2026-11-16T00:01:59Z", "UTC", 1);
    assert_minute("2026-11-22T23:59:59Z", "UTC", 7 * DAY - 1);
    assert_minute("1970-01-01T00:00:00Z", "UTC", 3 * DAY); // a Thursday
}

static void
zones_and_summer_time(void **state)
{
    (void)state;
    assert_minute("2026-01-16T12:00:00Z", "Europe/Berlin", 4 * DAY + 13 * 60);
    assert_minute("2026-07-17T12:00:00Z", "Europe/Berlin", 4 * DAY + 14 * 60);
    // The hour that is skipped, and the one that comes twice.
    assert_minute("2026-03-29T00:59:00Z", "Europe/Berlin", 6 * DAY + 119);
    assert_minute("2026-03-29T01:00:00Z", "Europe/Berlin", 6 * DAY + 180);
    assert_minute("2026-10-25T00:30:00Z", "Europe/Berlin", 6 * DAY + 150);
    assert_minute("2026-10-25T01:30:00Z", "Europe/Berlin", 6 * DAY + 150);
    // Another day there, in both directions.
    assert_minute("2026-11-16T02:00:00Z", "America/New_York", 6 * DAY + 21 * 60);
    assert_minute("2026-11-15T23:30:00Z", "Asia/Kolkata", 5 * 60);
}

static void
unknown_zones_are_not_utc(void **state)
{
    (void)state;
    static const char *const unknown[] = {"", "Mars/Olympus", "/etc/localtime",
        "../../../etc/hosts", "Europe/Berlin ", "Europe", "America", "CET-1;", ":UTC",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
    for (size_t i = 0; i < ARRAY_LENGTH(unknown); i++) {
        int minute = 4711;
        assert_false(clock_week_minute(0, unknown[i], &minute));
        assert_int_equal(minute, 4711);
    }
}

static void
the_zone_of_the_process_stays(void **state)
{
    (void)state;
    int minute = 0;
    assert_int_equal(setenv("TZ", "Asia/Tokyo", 1), 0);
    assert_true(clock_week_minute(0, "Europe/Berlin", &minute));
    assert_string_equal(getenv("TZ"), "Asia/Tokyo");
    assert_int_equal(unsetenv("TZ"), 0);
    assert_true(clock_week_minute(0, "Europe/Berlin", &minute));
    assert_null(getenv("TZ"));
}

static int
minute_by_libc(int64_t seconds)
{
    struct tm local = {0};
    time_t at = (time_t)seconds;
    assert_non_null(localtime_r(&at, &local));
    return ((local.tm_wday + 6) % 7 * 24 + local.tm_hour) * 60 + local.tm_min;
}

// Every zone of the database against the C library: each third day's odd hour from 1950 to 2090,
// and every odd quarter of an hour of a year; past 2037 only the rule at the end of the file is
// left.
static void
as_the_c_library_has_it(void **state)
{
    (void)state;
    struct buf table CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    assert_null(file_read("/usr/share/zoneinfo/tzdata.zi", &table, NULL));
    struct str rest = buf_str(&table), line = {0}, name_text = {0};
    size_t zones = 0;
    while (str_cut(rest, '\n', &line, &rest)) {
        bool named = str_starts(line, STR("Z "));
        (void)str_cut(str_skip(line, named ? 2 : 0), ' ', &name_text, &line);
        char *name CLEANUP(xfreep) = str_dup(name_text);
        struct clock_zone *zone CLEANUP(clock_zone_freep) = named ? clock_zone_read(name) : NULL;
        if (zone == NULL) {
            continue;
        }
        zones++;
        assert_int_equal(setenv("TZ", name, 1), 0);
        tzset();
        for (int64_t at = INT64_C(-631152000); at < INT64_C(3786912000); at += 17 * 86400 + 3677) {
            if (clock_zone_week_minute(zone, at * 1000) != minute_by_libc(at)) {
                fail_msg("%s at %lld", name, (long long)at);
            }
        }
        for (int64_t at = INT64_C(1767225600); at < INT64_C(1798761600); at += 6300) {
            if (clock_zone_week_minute(zone, at * 1000 + 999) != minute_by_libc(at)) {
                fail_msg("%s at %lld", name, (long long)at);
            }
        }
    }
    assert_int_equal(unsetenv("TZ"), 0);
    tzset();
    assert_true(zones >= 300);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_week_starts_on_monday),
        cmocka_unit_test(zones_and_summer_time),
        cmocka_unit_test(unknown_zones_are_not_utc),
        cmocka_unit_test(the_zone_of_the_process_stays),
        cmocka_unit_test(as_the_c_library_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
