// Semantic versions: the grammar and the order of semver.org 2.0.0.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "dispatcher/semver.h"

static void
test_grammar(void **state)
{
    (void)state;
    // The lists of semver.org's suggested regular expression, and a 'v' before some.
    static const char *const good[] = {"0.0.4", "1.2.3", "v1.2.3", "10.20.30",
        "1.1.2-prerelease+meta", "1.1.2+meta", "1.0.0-alpha", "1.0.0-alpha.beta", "1.0.0-alpha.1",
        "1.0.0-alpha.0valid", "1.0.0-alpha-a.b-c-somethinglong+build.1-aef.1-its-okay",
        "1.0.0-rc.1+build.1", "1.2.3-SNAPSHOT-123", "2.0.0+build.1848", "1.0.0-alpha+beta",
        "1.2.3----RC-SNAPSHOT.12.9.1--.12", "1.0.0+0.build.1-rc.10000aaa-kk-0.1",
        "v1.0.0-0A.is.legal", "99999999999999999999999.999999999999999999.99999999999999999"};
    static const char *const bad[] = {"", "v", "1", "1.2", "v1.2", "1.2.3.4", "1.2.3-0123",
        "1.2.3-0123.0123", "1.1.2+.123", "1.1.2+", "+invalid", "-invalid", "alpha", "1.0.0-",
        "1.0.0-alpha..1", "1.0.0-alpha.", "1.0.0+a.", "01.1.1", "1.01.1", "1.1.01", "1.2-SNAPSHOT",
        "1.2.3.DEV", "-1.0.3-gamma", "1.2.", "1.2.3.", ".1.2", "1..3", "1.2.3-a_b", "1.2.3+a+b",
        "V1.2.3", "vv1.2.3", " 1.2.3", "1.2.3 ", "1.2.3-\xc3\xa9"};
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        if (!semver_is_valid(str_of(good[i]))) {
            fail_msg("'%s' should be fine", good[i]);
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        if (semver_is_valid(str_of(bad[i]))) {
            fail_msg("'%s' should be refused", bad[i]);
        }
    }
}

static int
sign(int number)
{
    return (number > 0) - (number < 0);
}

// §11.2 and 11.4 have the third and the second half of this list.
static const char *const in_order[] = {"v0.0.0-0", "0.0.0", "v0.8.1", "v0.9.0", "v0.9.10",
    "v0.10.0", "1.0.0--", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta",
    "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0-rc.1.0", "1.0.0", "1.9.0", "1.10.0",
    "2.0.0", "2.1.0", "2.1.1", "18446744073709551615.0.0", "18446744073709551616.0.0-9",
    "18446744073709551616.0.0-10", "18446744073709551616.0.0-A", "18446744073709551616.0.0-a",
    "18446744073709551616.0.0"};

// Every pair: so also antisymmetric and transitive.
static void
test_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(in_order); i++) {
        assert_true(semver_is_valid(str_of(in_order[i])));
        for (size_t j = 0; j < ARRAY_LENGTH(in_order); j++) {
            int expected = (i > j) - (i < j);
            if (sign(semver_compare(str_of(in_order[i]), str_of(in_order[j]))) != expected) {
                fail_msg("'%s' and '%s' are out of order", in_order[i], in_order[j]);
            }
        }
    }
}

// §10: build metadata is ignored; the 'v' is no part of the version.
static void
test_what_counts_nothing(void **state)
{
    (void)state;
    assert_int_equal(semver_compare(STR("1.2.3"), STR("v1.2.3")), 0);
    assert_int_equal(semver_compare(STR("1.2.3+a"), STR("1.2.3+b")), 0);
    assert_int_equal(semver_compare(STR("1.2.3+20-1"), STR("1.2.3")), 0);
    assert_int_equal(semver_compare(STR("1.2.3-rc.1+a.b"), STR("1.2.3-rc.1")), 0);
    assert_true(semver_compare(STR("1.2.3-rc.1+z"), STR("1.2.3+a")) < 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grammar),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_what_counts_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
