// The fake platform keeps its promises: no waiting, exact records, cancellation in mid-sleep.
#include "fake_platform.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void
sleeping_moves_both_clocks(void **state)
{
    (void)state;
    struct fake_platform *fake CLEANUP(fake_platform_freep) = fake_platform_new(NULL);
    const struct clock *clock = fake->platform.clock;
    assert_int_equal(clock_wall(clock), FAKE_WALL_START);
    assert_int_equal(clock_mono(clock), FAKE_MONO_START);
    assert_null(clock_sleep_until(clock, FAKE_MONO_START + 1800000, fake->cancel));
    assert_null(clock_sleep_until(clock, FAKE_MONO_START, fake->cancel));
    assert_int_equal(clock_wall(clock), FAKE_WALL_START + 1800000);
    assert_int_equal(clock_mono(clock), FAKE_MONO_START + 1800000);
    assert_int_equal(fake->sleep_count, 1);
    assert_int_equal(fake->sleeps[0], 1800000);
    char text[21];
    clock_format_rfc3339(FAKE_WALL_START, text);
    assert_string_equal(text, "2026-11-21T07:48:00Z");
}

static void
a_signal_ends_a_sleep(void **state)
{
    (void)state;
    struct fake_platform *fake CLEANUP(fake_platform_freep) = fake_platform_new(NULL);
    const struct clock *clock = fake->platform.clock;
    fake->cancel_at_ms = FAKE_MONO_START + 400;
    fake->cancel_signal = SIGINT;
    struct error *err CLEANUP(error_freep) =
        clock_sleep_until(clock, FAKE_MONO_START + 1000, fake->cancel);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
    assert_int_equal(cancel_signal(fake->cancel), SIGINT);
    assert_int_equal(clock_mono(clock), FAKE_MONO_START + 400);
    // Who does not listen sleeps on.
    assert_null(clock_sleep_until(clock, FAKE_MONO_START + 900, NULL));
    assert_int_equal(clock_mono(clock), FAKE_MONO_START + 900);
}

static void
a_deaf_sleeper_sleeps_through_a_signal(void **state)
{
    (void)state;
    struct fake_platform *fake CLEANUP(fake_platform_freep) = fake_platform_new(NULL);
    fake->cancel_at_ms = FAKE_MONO_START + 400;
    assert_null(clock_sleep_until(fake->platform.clock, FAKE_MONO_START + 1000, NULL));
    assert_int_equal(fake->mono_ms, FAKE_MONO_START + 1000);
    assert_int_equal(fake->wall_ms, FAKE_WALL_START + 1000);
    assert_int_equal(cancel_signal(fake->cancel), SIGTERM);
    assert_int_equal(fake->sleep_count, 1);
}

static void
randomness_repeats(void **state)
{
    (void)state;
    struct fake_platform *a CLEANUP(fake_platform_freep) = fake_platform_new(NULL);
    struct fake_platform *b CLEANUP(fake_platform_freep) = fake_platform_new(NULL);
    char first[33], second[33], other[33];
    random_hex(a->platform.random, 16, first);
    random_hex(a->platform.random, 16, second);
    random_hex(b->platform.random, 16, other);
    assert_string_equal(first, other);
    assert_string_not_equal(first, second);
    fake_platform_fix_random(a, 0.5);
    assert_true(random_unit(a->platform.random) == 0.5);
    fake_platform_fix_random(a, 0);
    assert_true(random_unit(a->platform.random) == 0);
}

static void
the_environment_is_the_list(void **state)
{
    (void)state;
    static const char *const first[] = {"AWS_REGION=eu-west-1", "EMPTY=", NULL};
    static const char *const second[] = {"HOME=/home/me", NULL};
    struct fake_platform *fake CLEANUP(fake_platform_freep) = fake_platform_new(first);
    assert_string_equal(env_get(&fake->platform, "AWS_REGION"), "eu-west-1");
    assert_null(env_get(&fake->platform, "EMPTY"));
    assert_null(env_get(&fake->platform, "HOME"));
    fake_platform_set_env(fake, second);
    assert_null(env_get(&fake->platform, "AWS_REGION"));
    assert_string_equal(env_get(&fake->platform, "HOME"), "/home/me");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sleeping_moves_both_clocks),
        cmocka_unit_test(a_signal_ends_a_sleep),
        cmocka_unit_test(a_deaf_sleeper_sleeps_through_a_signal),
        cmocka_unit_test(randomness_repeats),
        cmocka_unit_test(the_environment_is_the_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
