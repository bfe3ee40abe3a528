// Sizes, bars and spinners, to the character.
#include "human.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
assert_size(int64_t bytes, const char *expected)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(64);
    human_size(bytes, &text);
    assert_string_equal(buf_cstr(&text), expected);
}

static void
sizes(void **state)
{
    (void)state;
    assert_size(0, "0 B");
    assert_size(-5, "0 B");
    assert_size(1023, "1023 B");
    assert_size(1024, "1.0 KiB");
    assert_size(1024 * 1024 - 1, "1.0 MiB"); // never "1024.0 KiB"
    assert_size(29779558, "28.4 MiB");
    assert_size(INT64_C(1) << 40, "1.0 TiB");
    assert_size(INT64_MAX, "8.0 EiB");
}

static void
several_numbers_share_a_unit(void **state)
{
    (void)state;
    struct buf text CLEANUP(buf_done) = BUF_INIT(64);
    size_t unit = human_unit(29779558);
    assert_string_equal(human_unit_name(unit), "MiB");
    human_in_unit(52429, unit, &text);
    assert_string_equal(buf_cstr(&text), "0.1");
    buf_reset(&text);
    human_in_unit(-1, human_unit(1023), &text);
    assert_string_equal(buf_cstr(&text), "0");
    assert_string_equal(human_unit_name(99), "EiB");
}

static void
a_hundred_percent_only_at_the_end(void **state)
{
    (void)state;
    assert_int_equal(human_percent(0, 1000), 0);
    assert_int_equal(human_percent(-1, 1000), 0);
    assert_int_equal(human_percent(430, 1000), 43);
    assert_int_equal(human_percent(9999999, 10000000), 99);
    assert_int_equal(human_percent(1000, 1000), 100);
    assert_int_equal(human_percent(2000, 1000), 100);
    assert_int_equal(human_percent(5, 0), 0);
    assert_int_equal(human_percent(INT64_MAX - 1, INT64_MAX), 99);
}

static void
assert_bar(int64_t done, int64_t total, size_t cells, bool utf8, const char *expected)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(512);
    human_bar(done, total, cells, utf8, &text);
    assert_string_equal(buf_cstr(&text), expected);
}

static void
a_bar_is_full_only_at_the_end(void **state)
{
    (void)state;
    assert_bar(430, 1000, 10, true, "[████░░░░░░]");
    assert_bar(430, 1000, 10, false, "[####......]");
    assert_bar(999, 1000, 10, false, "[#########.]");
    assert_bar(1000, 1000, 10, false, "[##########]");
    assert_bar(2000, 1000, 4, false, "[####]");
    assert_bar(-1, 1000, 4, false, "[....]");
    assert_bar(1, 0, 4, false, "[....]");
}

static void
assert_seconds(int64_t ms, const char *expected)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(64);
    human_seconds(ms, &text);
    assert_string_equal(buf_cstr(&text), expected);
}

static void
what_is_left_is_told_in_whole_seconds(void **state)
{
    (void)state;
    assert_seconds(-5, "0s");
    assert_seconds(1999, "1s");
    assert_seconds(9949, "9s");
    assert_seconds(9950, "10s");
    assert_seconds(192000, "3m 12s");
}

static void
a_spinner_turns_ten_times_a_second(void **state)
{
    (void)state;
    assert_string_equal(human_spinner(0, true), "⠋");
    assert_string_equal(human_spinner(99, true), "⠋");
    assert_string_equal(human_spinner(100, true), "⠙");
    assert_string_equal(human_spinner(1000, true), "⠋");
    assert_string_equal(human_spinner(300, false), "\\");
    assert_string_equal(human_spinner(400, false), "|");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(several_numbers_share_a_unit),
        cmocka_unit_test(a_hundred_percent_only_at_the_end),
        cmocka_unit_test(a_bar_is_full_only_at_the_end),
        cmocka_unit_test(what_is_left_is_told_in_whole_seconds),
        cmocka_unit_test(a_spinner_turns_ten_times_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
