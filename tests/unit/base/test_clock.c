// Dates as text, and waiting on the real clock only as far as it is needed.
#include "dispatcher/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void
assert_date(bool (*parse)(const char *, int64_t *), const char *text, bool fine, int64_t expected)
{
    int64_t ms = 4711;
    print_message("%s\n", text != NULL ? text : "(NULL)");
    assert_int_equal(parse(text, &ms), fine);
    assert_int_equal(ms, fine ? expected : 4711);
}

static void
rfc3339_is_read(void **state)
{
    (void)state;
    assert_date(clock_parse_rfc3339, "1970-01-01T00:00:00Z", true, 0);
    assert_date(clock_parse_rfc3339, "2026-11-21T07:48:00Z", true, INT64_C(1795247280000));
    assert_date(clock_parse_rfc3339, "2026-11-21t07:48:00z", true, INT64_C(1795247280000));
    assert_date(clock_parse_rfc3339, "2026-11-21 07:48:00Z", true, INT64_C(1795247280000));
    assert_date(clock_parse_rfc3339, "2026-11-21T07:48:00.999999Z", true, INT64_C(1795247280000));
    assert_date(clock_parse_rfc3339, "2026-11-21T08:48:00+01:00", true, INT64_C(1795247280000));
    assert_date(clock_parse_rfc3339, "2026-11-21T02:18:00-0530", true, INT64_C(1795247280000));
    assert_date(clock_parse_rfc3339, "2024-02-29T00:00:00Z", true, INT64_C(1709164800000));
    assert_date(clock_parse_rfc3339, "2000-02-29T00:00:00Z", true, INT64_C(951782400000));
    assert_date(clock_parse_rfc3339, "2016-12-31T23:59:60Z", true, INT64_C(1483228800000)); // leap
    assert_date(clock_parse_rfc3339, "0000-03-01T00:00:00Z", true, INT64_C(-62162035200000));
    assert_date(clock_parse_rfc3339, "9999-12-31T23:59:59Z", true, INT64_C(253402300799000));
}

static void
what_is_no_rfc3339_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {NULL, "", "2026", "2026-11-21", "2026-11-21T07:48:00",
        "2026-11-21T07:48Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z",
        "2026-01-32T00:00:00Z", "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21T00:60:00Z",
        "2026-11-21T00:00:61Z", "2026-11-21T07:48:00+24:00", "2026-11-21T07:48:00+00:60",
        "2026-11-21T07:48:00.Z", "2026-11-21T07:48:00Zx", "2026-11-21T07:48:00+1",
        "2026-11-21T07:48:00+01", "26-11-21T07:48:00Z", "2026/11/21T07:48:00Z",
        "2026-11-21T7:48:00Z", " 2026-11-21T07:48:00Z", "1795247280"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        assert_date(clock_parse_rfc3339, bad[i], false, 0);
    }
}

static void
http_dates(void **state)
{
    (void)state;
    assert_date(clock_parse_http_date, "Sun, 06 Nov 1994 08:49:37 GMT", true,
        INT64_C(784111777000)); // the example of RFC 9110
    assert_date(
        clock_parse_http_date, "Sat, 21 Nov 2026 07:48:00 GMT", true, INT64_C(1795247280000));
    static const char *const bad[] = {NULL, "", "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37",
        "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun,06 Nov 1994 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06 Nov 1994 25:49:37 GMT", "30", "-5"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        assert_date(clock_parse_http_date, bad[i], false, 0);
    }
}

static void
assert_formatted(int64_t ms, const char *expected)
{
    char text[21];
    clock_format_rfc3339(ms, text);
    assert_string_equal(text, expected);
}

static void
rfc3339_is_written(void **state)
{
    (void)state;
    assert_formatted(0, "1970-01-01T00:00:00Z");
    assert_formatted(INT64_C(1795247280999), "2026-11-21T07:48:00Z");
    assert_formatted(-1, "1969-12-31T23:59:59Z");
    assert_formatted(-1000, "1969-12-31T23:59:59Z");
    assert_formatted(INT64_C(253402300799000), "9999-12-31T23:59:59Z");
    assert_formatted(INT64_C(253402300800000), "9999-12-31T23:59:59Z"); // no five-digit years
    assert_formatted(INT64_MAX, "9999-12-31T23:59:59Z");
}

// Every day of 600 years survives the way there and back.
static void
dates_survive_a_round_trip(void **state)
{
    (void)state;
    const int64_t day = 86400000;
    for (int64_t ms = -100 * 365 * day; ms < 500 * 365 * day; ms += 7 * day + 12345000) {
        char text[21];
        int64_t again = 0;
        clock_format_rfc3339(ms, text);
        assert_true(clock_parse_rfc3339(text, &again));
        assert_int_equal(again, ms);
    }
}

static void
durations(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{-5, "0s"}, {0, "0s"}, {1, "0.0s"}, {50, "0.1s"}, {400, "0.4s"}, {9949, "9.9s"},
        {9950, "10s"}, {45000, "45s"}, {59499, "59s"}, {59500, "1m 0s"}, {192000, "3m 12s"},
        {3599499, "59m 59s"}, {3599500, "1h 0m"}, {7500000, "2h 5m"}, {86400000, "1d 0h"},
        {273600000, "3d 4h"}, {INT64_C(100000) * 86400000, "100000d 0h"}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char text[32];
        clock_format_duration(cases[i].ms, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void
the_system_clock_runs(void **state)
{
    (void)state;
    int64_t wall = clock_wall(&clock_system);
    assert_true(wall > INT64_C(1600000000000) && wall < INT64_C(253402300799000));
    int64_t before = clock_mono(&clock_system);
    assert_null(clock_sleep_until(&clock_system, before + 20, NULL));
    assert_true(clock_mono(&clock_system) >= before + 20);
    assert_null(clock_sleep_until(&clock_system, before - 1000, NULL)); // already over
}

static void *
raise_cancel(void *ctx)
{
    cancel_raise(ctx, SIGTERM);
    return NULL;
}

static void
a_signal_ends_the_sleep(void **state)
{
    (void)state;
    struct cancel *cancel = cancel_new();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, raise_cancel, cancel), 0);
    int64_t hours = clock_mono(&clock_system) + 10 * 3600000;
    struct error *err CLEANUP(error_freep) = clock_sleep_until(&clock_system, hours, cancel);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
    assert_string_equal(error_message(err), "interrupted by signal 15");
    // A flag that is up ends also a sleep that would be over.
    struct error *again CLEANUP(error_freep) = clock_sleep_until(&clock_system, 0, cancel);
    assert_non_null(again);
    cancel_free(cancel);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc3339_is_read),
        cmocka_unit_test(what_is_no_rfc3339_is_refused),
        cmocka_unit_test(http_dates),
        cmocka_unit_test(rfc3339_is_written),
        cmocka_unit_test(dates_survive_a_round_trip),
        cmocka_unit_test(durations),
        cmocka_unit_test(the_system_clock_runs),
        cmocka_unit_test(a_signal_ends_the_sleep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
