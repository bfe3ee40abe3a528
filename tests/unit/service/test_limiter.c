// Token buckets: the burst, the refill, when to come again, and many names at once.
#include "service_state_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void
burst_then_rate(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new();
    const struct limiter_rule rule = {.per_minute = 120, .burst = 10};
    int64_t now = 1000, retry_s = 0;
    for (int i = 0; i < 10; i++) {
        assert_true(limiter_take(limiter, "a", &rule, now, &retry_s));
    }
    assert_false(limiter_take(limiter, "a", &rule, now, &retry_s));
    assert_int_equal(retry_s, 1);
    assert_false(limiter_take(limiter, "a", &rule, now + 499, &retry_s));
    assert_true(limiter_take(limiter, "a", &rule, now + 500, &retry_s)); // two a second
    assert_false(limiter_take(limiter, "a", &rule, now + 501, &retry_s));
    assert_true(limiter_take(limiter, "b", &rule, now, &retry_s)); // of its own
    limiter_free(limiter);
}

static void
a_minute_gives_a_minutes_worth(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new();
    const struct limiter_rule rule = {.per_minute = 60, .burst = 60};
    int64_t retry_s = 0, taken = 0;
    for (int64_t now = 0; now < 120 * 1000; now += 10) {
        taken += limiter_take(limiter, "a", &rule, now, &retry_s);
    }
    // The burst, and what two minutes bring; asking often neither gains nor loses any.
    assert_in_range(taken, 60 + 118, 60 + 120);
    limiter_free(limiter);
}

static void
never_more_than_the_burst(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new();
    const struct limiter_rule rule = {.per_minute = 600, .burst = 3};
    int64_t retry_s = 0, taken = 0;
    assert_true(limiter_take(limiter, "a", &rule, 0, &retry_s));
    for (int i = 0; i < 10; i++) {
        taken += limiter_take(limiter, "a", &rule, INT64_C(86400000) * 300, &retry_s);
    }
    assert_int_equal(taken, 3);
    limiter_free(limiter);
}

static void
names_of_strangers(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new();
    const struct limiter_rule rule = {.per_minute = 60, .burst = 2};
    int64_t retry_s = 0;
    for (int i = 0; i < 100000; i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "peer/10.%d.%d.%d", i >> 16, (i >> 8) & 255, i & 255);
        assert_true(limiter_take(limiter, name, &rule, 1000, &retry_s));
    }
    limiter_free(limiter);
}

static void
looking_takes_none(void **state)
{
    (void)state;
    struct limiter *limiter = limiter_new();
    const struct limiter_rule rule = {.per_minute = 60, .burst = 1};
    int64_t retry_s = 0;
    for (int i = 0; i < 3; i++) {
        assert_true(limiter_has(limiter, "a", &rule, 0, &retry_s));
    }
    assert_true(limiter_take(limiter, "a", &rule, 0, &retry_s));
    assert_false(limiter_has(limiter, "a", &rule, 500, &retry_s));
    assert_int_equal(retry_s, 1);
    assert_true(limiter_has(limiter, "b", &rule, 500, &retry_s));
    assert_true(limiter_has(limiter, "a", &rule, 1000, &retry_s));
    limiter_free(limiter);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(burst_then_rate),
        cmocka_unit_test(a_minute_gives_a_minutes_worth),
        cmocka_unit_test(never_more_than_the_burst),
        cmocka_unit_test(looking_takes_none),
        cmocka_unit_test(names_of_strangers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
