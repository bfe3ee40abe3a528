// Randomness and the environment.
#include "dispatcher/platform.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void
count_up(const struct random_source *source, void *out, size_t len)
{
    (void)source;
    for (size_t i = 0; i < len; i++) {
        ((unsigned char *)out)[i] = (unsigned char)(i + 0xf0);
    }
}

static void
all_ones(const struct random_source *source, void *out, size_t len)
{
    (void)source;
    memset(out, 0xff, len);
}

static void
all_zero(const struct random_source *source, void *out, size_t len)
{
    (void)source;
    memset(out, 0, len);
}

static void
random_numbers(void **state)
{
    (void)state;
    assert_true(random_unit(&(struct random_source){all_zero}) >= 0);
    assert_true(random_unit(&(struct random_source){all_zero}) <= 0);
    assert_true(random_unit(&(struct random_source){all_ones}) < 1.0); // never 1
    assert_true(random_unit(&(struct random_source){all_ones}) > 0.999999);
    char hex[9] = "xxxxxxxx";
    random_hex(&(struct random_source){count_up}, 3, hex);
    assert_string_equal(hex, "f0f0f0"); // one byte a draw
    random_hex(&(struct random_source){all_zero}, 0, hex);
    assert_string_equal(hex, "");
}

static void
the_kernel_has_randomness(void **state)
{
    (void)state;
    unsigned char a[1000] = {0}, b[1000] = {0}, zero[1000] = {0};
    random_system.fill(&random_system, a, sizeof(a));
    random_system.fill(&random_system, b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    assert_memory_not_equal(a + 900, zero, 100); // filled to its end
    for (int i = 0; i < 1000; i++) {
        double unit = random_unit(&random_system);
        assert_true(unit >= 0 && unit < 1);
    }
}

static void
the_environment_is_a_copy(void **state)
{
    (void)state;
    char name[] = "NAME=value", empty[] = "EMPTY=", equals[] = "OPT=a=b", bare[] = "BARE";
    char *list[] = {name, empty, equals, bare, NULL};
    struct environment *env = environment_new(list);
    memcpy(name, "XXXX", 4); // later changes do not show
    list[0] = NULL;
    struct platform platform = {.env = env};
    assert_string_equal(env_get(&platform, "NAME"), "value");
    assert_string_equal(env_get(&platform, "OPT"), "a=b");
    assert_null(env_get(&platform, "EMPTY"));
    assert_null(env_get(&platform, "BARE"));
    assert_null(env_get(&platform, "NAM"));
    assert_null(env_get(&platform, "NAMES"));
    assert_null(env_get(&platform, ""));
    assert_string_equal(environment_list(env)[0], "NAME=value");
    assert_string_equal(environment_list(env)[3], "BARE");
    assert_null(environment_list(env)[4]);
    environment_free(env);
}

static void
no_environment_at_all(void **state)
{
    (void)state;
    assert_null(environment_get(NULL, "PATH"));
    struct environment *env = environment_new(NULL);
    assert_null(environment_get(env, "PATH"));
    assert_null(environment_list(env)[0]);
    environment_free(env);
    environment_free(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_numbers),
        cmocka_unit_test(the_kernel_has_randomness),
        cmocka_unit_test(the_environment_is_a_copy),
        cmocka_unit_test(no_environment_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
