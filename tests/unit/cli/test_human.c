// Sizes, bars and spinners, to the character.
#include "human.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "dispatcher/text.h"

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
assert_progress(struct progress progress, size_t width, bool utf8, const char *expected)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(512);
    human_progress(&progress, width, utf8, &text);
    assert_string_equal(buf_cstr(&text), expected);
    assert_true(text_width(buf_str(&text)) <= width);
}

static void
a_bar_gives_up_its_parts_as_the_width_shrinks(void **state)
{
    (void)state;
    struct progress half = {12897485, 29779558, 36700160};
    assert_progress(
        half, 100, true, "[████████████░░░░░░░░░░░░░░░░░░] 43% 12.3/28.4 MiB 35.0 MiB/s");
    assert_progress(half, 45, true, "[██████░░░░░░░░] 43% 12.3/28.4 MiB 35.0 MiB/s");
    assert_progress(half, 45, false, "[######........] 43% 12.3/28.4 MiB 35.0 MiB/s");
    assert_progress(half, 30, true, "43% 12.3/28.4 MiB 35.0 MiB/s");
    assert_progress(half, 27, true, "43% 12.3/28.4 MiB");
    assert_progress(half, 10, true, "43%");
}

static void
a_bar_is_full_only_at_the_end(void **state)
{
    (void)state;
    assert_progress((struct progress){999, 1000, 0}, 30, false, "[############.] 99% 999/1000 B");
    assert_progress((struct progress){1000, 1000, 0}, 31, false, "[############] 100% 1000/1000 B");
    assert_progress((struct progress){9999999, 10000000, 0}, 17, false, "99% 9.5/9.5 MiB");
    assert_progress((struct progress){0, 1000, 0}, 29, false, "[...............] 0% 0/1000 B");
    assert_progress((struct progress){2000, 1000, 0}, 20, false, "100% 1000/1000 B");
    assert_progress((struct progress){-1, 1000, 0}, 14, false, "0% 0/1000 B");
}

static void
without_a_total_only_what_is_done_is_shown(void **state)
{
    (void)state;
    assert_progress((struct progress){2048, 0, 1024}, 40, true, "2.0 KiB 1.0 KiB/s");
    assert_progress((struct progress){2048, 0, 1024}, 10, true, "2.0 KiB");
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
        cmocka_unit_test(a_bar_gives_up_its_parts_as_the_width_shrinks),
        cmocka_unit_test(a_bar_is_full_only_at_the_end),
        cmocka_unit_test(without_a_total_only_what_is_done_is_shown),
        cmocka_unit_test(a_spinner_turns_ten_times_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
