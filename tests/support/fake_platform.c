// The platform of tests. Never waits, never reads the machine's clock, randomness or environment.
#include "fake_platform.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"

static int64_t
fake_wall(const struct clock *clock)
{
    return ((const struct fake_clock *)clock)->owner->wall_ms;
}

static int64_t
fake_mono(const struct clock *clock)
{
    return ((const struct fake_clock *)clock)->owner->mono_ms;
}

void
fake_platform_advance(struct fake_platform *fake, int64_t ms)
{
    int64_t end = fake->mono_ms + ms;
    if (fake->cancel_at_ms != 0 && end >= fake->cancel_at_ms) {
        int64_t until = fake->cancel_at_ms > fake->mono_ms ? fake->cancel_at_ms : fake->mono_ms;
        ms = until - fake->mono_ms;
        fake->cancel_at_ms = 0;
        cancel_raise(fake->cancel, fake->cancel_signal);
    }
    fake->mono_ms += ms;
    fake->wall_ms += ms;
}

static struct error *
fake_sleep_until(const struct clock *clock, int64_t mono_ms, struct cancel *cancel)
{
    struct fake_platform *fake = ((const struct fake_clock *)clock)->owner;
    TRY(cancel_check(cancel));
    if (mono_ms <= fake->mono_ms) {
        return NULL;
    }
    BUG_ON(fake->sleep_count == FAKE_SLEEPS_MAX); // a loop that never ends
    fake->sleeps[fake->sleep_count++] = mono_ms - fake->mono_ms;
    fake_platform_advance(fake, mono_ms - fake->mono_ms);
    if (cancel != NULL) {
        TRY(cancel_check(cancel));
    }
    if (fake->mono_ms < mono_ms) { // raised on the way, but this sleeper does not listen
        fake_platform_advance(fake, mono_ms - fake->mono_ms);
    }
    return NULL;
}

// SplitMix64 (Steele, Lea, Flood 2014): the same sequence in every run.
static uint64_t
next_random(struct fake_platform *fake)
{
    fake->random_state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mixed = fake->random_state;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

static void
fake_fill(const struct random_source *source, void *out, size_t len)
{
    struct fake_platform *fake = ((const struct fake_random *)source)->owner;
    char *at = out;
    while (len > 0) {
        uint64_t bits =
            fake->random_is_fixed ? (uint64_t)(fake->random_fixed * 0x1p64) : next_random(fake);
        size_t part = len < sizeof(bits) ? len : sizeof(bits);
        memcpy(at, &bits, part);
        at += part;
        len -= part;
    }
}

void
fake_platform_fix_random(struct fake_platform *fake, double unit)
{
    BUG_ON(unit < 0 || unit >= 1);
    fake->random_is_fixed = true;
    fake->random_fixed = unit;
}

void
fake_platform_set_env(struct fake_platform *fake, const char *const *env)
{
    size_t count = 0;
    while (env != NULL && env[count] != NULL) {
        count++;
    }
    char **list = xcalloc(count + 1, sizeof(*list));
    for (size_t i = 0; i < count; i++) {
        list[i] = xstrdup(env[i]);
    }
    environment_free(fake->env);
    fake->env = environment_new(list);
    fake->platform.env = fake->env;
    for (size_t i = 0; i < count; i++) {
        free(list[i]);
    }
    free(list);
}

struct fake_platform *
fake_platform_new(const char *const *env)
{
    struct fake_platform *fake = xcalloc(1, sizeof(*fake));
    fake->clock = (struct fake_clock){{fake_wall, fake_mono, fake_sleep_until}, fake};
    fake->random = (struct fake_random){{fake_fill}, fake};
    fake->cancel = cancel_new();
    fake->cancel_signal = SIGTERM;
    fake->wall_ms = FAKE_WALL_START;
    fake->mono_ms = FAKE_MONO_START;
    fake->platform = (struct platform){
        .clock = &fake->clock.base,
        .random = &fake->random.base,
        .cancel = fake->cancel,
    };
    fake_platform_set_env(fake, env);
    return fake;
}

void
fake_platform_free(struct fake_platform *fake)
{
    if (fake != NULL) {
        environment_free(fake->env);
        cancel_free(fake->cancel);
        free(fake);
    }
}

void
fake_platform_freep(struct fake_platform **fake)
{
    fake_platform_free(*fake);
    *fake = NULL;
}
