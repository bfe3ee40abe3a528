// Local time in named zones, around their changes of the clock.
#include "dispatcher/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_week_starts_on_monday),
        cmocka_unit_test(zones_and_summer_time),
        cmocka_unit_test(unknown_zones_are_not_utc),
        cmocka_unit_test(the_zone_of_the_process_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
