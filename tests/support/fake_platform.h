// A platform for tests: a clock that jumps instead of sleeping, randomness that repeats, and an
// environment from a list.
//
//     struct fake_platform *fake CLEANUP(fake_platform_freep) = fake_platform_new(env);
//     code_under_test(&fake->platform);
//     assert_int_equal(fake->sleep_count, 2);
//     assert_int_equal(fake->sleeps[0], 1000); // milliseconds that were asked for
//
// A sleep first looks at the cancel flag, as the real clock does, then moves both clocks to its
// end. `cancel_at_ms` raises the flag when the mono clock passes it, so a signal in the middle of a
// wait is one assignment. Not thread-safe.
#pragma once

#include "dispatcher/platform.h"

enum {
    FAKE_SLEEPS_MAX = 4096,
    FAKE_MONO_START = 1000 * 1000, // a machine that has been up for a while
};

// 2026-11-21T07:48:00Z
#define FAKE_WALL_START INT64_C(1795247280000)

struct fake_platform;

struct fake_clock {
    struct clock base;
    struct fake_platform *owner;
};

struct fake_random {
    struct random_source base;
    struct fake_platform *owner;
};

struct fake_platform {
    struct platform platform; // hand out its address; transport and log are the test's to set
    struct fake_clock clock;
    struct fake_random random;
    struct environment *env;
    struct cancel *cancel;

    int64_t wall_ms, mono_ms; // free to change
    int64_t cancel_at_ms;     // 0: never
    int cancel_signal;        // what is raised then, SIGTERM unless changed
    int64_t sleeps[FAKE_SLEEPS_MAX];
    size_t sleep_count; // sleeps that had to wait, those that were cancelled included

    bool random_is_fixed; // every draw gives `random_fixed`
    double random_fixed;  // in [0, 1)
    uint64_t random_state;
};

/// `env`: NAME=VALUE strings, NULL-terminated; NULL: nothing is set.
struct fake_platform *fake_platform_new(const char *const *env);
void fake_platform_free(struct fake_platform *fake);
void fake_platform_freep(struct fake_platform **fake);
/// Moves both clocks forward; raises the cancel flag on the way if it is due.
void fake_platform_advance(struct fake_platform *fake, int64_t ms);
/// From here on random_unit() gives exactly `unit`.
void fake_platform_fix_random(struct fake_platform *fake, double unit);
/// Replaces the environment.
void fake_platform_set_env(struct fake_platform *fake, const char *const *env);
