// Borrowed text views.
#include "dispatcher/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"

static void
comparing(void **state)
{
    (void)state;
    assert_true(str_equal(STR("a"), STR("a")));
    assert_false(str_equal(STR("a"), STR("A")));
    assert_false(str_equal(STR("a"), STR("ab")));
    assert_true(str_equal(STR(""), (struct str){0}));
    assert_true(str_equal(str_of(NULL), STR("")));
    assert_true(str_equal_nocase(STR("ETag"), STR("eTAG")));
    assert_false(str_equal_nocase(STR("ETag"), STR("ETagx")));
    assert_false(str_equal_nocase(STR("[x"), STR("{x"))); // only letters have a case
    assert_true(cstr_equal(NULL, NULL));
    assert_false(cstr_equal(NULL, ""));
    assert_false(cstr_equal("", NULL));
    assert_true(cstr_equal("x", "x"));
}

static void
parts(void **state)
{
    (void)state;
    assert_true(str_starts(STR("abc"), STR("ab")));
    assert_true(str_starts(STR("abc"), STR("")));
    assert_false(str_starts(STR("ab"), STR("abc")));
    assert_true(str_ends(STR("abc"), STR("bc")));
    assert_true(str_ends(STR("abc"), STR("")));
    assert_false(str_ends(STR("bc"), STR("abc")));
    assert_true(str_contains(STR("abc"), STR("b")));
    assert_true(str_contains(STR("abc"), STR("abc")));
    assert_true(str_contains(STR(""), STR("")));
    assert_false(str_contains(STR("abc"), STR("abcd")));
    assert_false(str_contains((struct str){0}, STR("a")));
    assert_true(str_equal(str_trim(STR(" \t\r\na b\n ")), STR("a b")));
    assert_int_equal(str_trim(STR(" \n")).len, 0);
    assert_true(str_equal(str_skip(STR("abc"), 1), STR("bc")));
    assert_int_equal(str_skip(STR("abc"), 9).len, 0);
    assert_null(str_skip((struct str){0}, 1).ptr);
}

static void
cutting(void **state)
{
    (void)state;
    struct str head = {0}, rest = STR("a::b:");
    const char *const expected[] = {"a", "", "b"};
    for (size_t i = 0; i < 3; i++) {
        assert_true(str_cut(rest, ':', &head, &rest));
        assert_true(str_equal(head, str_of(expected[i])));
    }
    assert_false(str_cut(rest, ':', &head, &rest)); // a separator at the end starts nothing new
    assert_true(str_equal(head, STR("b")));         // untouched
    assert_true(str_cut(STR("whole"), ':', &head, &rest));
    assert_true(str_equal(head, STR("whole")));
    assert_int_equal(rest.len, 0);
    assert_false(str_cut((struct str){0}, ':', &head, &rest));
}

static void
numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool fine;
        int64_t value;
    } cases[] = {{"0", true, 0}, {"-0", true, 0}, {"007", true, 7}, {"-12", true, -12},
        {"9223372036854775807", true, INT64_MAX}, {"9223372036854775808", false, 0},
        {"-9223372036854775808", true, INT64_MIN}, {"-9223372036854775809", false, 0},
        {"99999999999999999999999", false, 0}, {"", false, 0}, {"-", false, 0}, {"+1", false, 0},
        {" 1", false, 0}, {"1 ", false, 0}, {"1.0", false, 0}, {"0x10", false, 0},
        {"1e3", false, 0}, {"--1", false, 0}, {"\xc2\xb2", false, 0}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        int64_t value = 4711;
        assert_int_equal(str_to_int64(str_of(cases[i].text), &value), cases[i].fine);
        assert_int_equal(value, cases[i].fine ? cases[i].value : 4711);
    }
    int64_t value = 4711;
    assert_false(str_to_int64((struct str){"1\0002", 3}, &value));
}

static void
utf8(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {{"", true}, {"ascii", true}, {"\xc3\xa4", true}, {"\xe2\x82\xac", true},
        {"\xf0\x9f\x98\x80", true}, {"\xf4\x8f\xbf\xbf", true}, {"\xee\x80\x80", true},
        {"\xc3", false}, {"\xe2\x82", false}, {"\xf0\x9f\x98", false}, {"\x80", false},
        {"\xc0\xaf", false}, {"\xc1\xbf", false}, {"\xe0\x9f\xbf", false},
        {"\xf0\x8f\xbf\xbf", false}, {"\xed\xa0\x80", false}, {"\xed\xbf\xbf", false},
        {"\xf4\x90\x80\x80", false}, {"\xf5\x80\x80\x80", false}, {"\xff", false},
        {"\xc3\x28", false}, {"a\xe2\x28\xa1", false}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_int_equal(str_is_utf8(str_of(cases[i].text)), cases[i].valid);
    }
}

static void
distances(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        size_t distance;
    } cases[] = {{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "ABC", 0},
        {"abc", "abd", 1}, {"abc", "ab", 1}, {"abc", "xabc", 1}, {"replica", "replicas", 1},
        {"evn", "env", 1}, {"EVN", "env", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_int_equal(str_distance(str_of(cases[i].a), str_of(cases[i].b)), cases[i].distance);
        assert_int_equal(str_distance(str_of(cases[i].b), str_of(cases[i].a)), cases[i].distance);
    }
    char huge[100];
    memset(huge, 'x', sizeof(huge));
    assert_int_equal(str_distance((struct str){huge, sizeof(huge)}, STR("x")), sizeof(huge));
    assert_int_equal(str_distance((struct str){huge, 64}, (struct str){huge, 63}), 1);
}

static void
closest(void **state)
{
    (void)state;
    static const char *const names[] = {"deploy", "plan", "status", "spec lint", NULL};
    assert_string_equal(str_closest(STR("deplyo"), names), "deploy");
    assert_string_equal(str_closest(STR("stats"), names), "status");
    assert_string_equal(str_closest(STR("PLAN"), names), "plan");
    assert_null(str_closest(STR("frobnicate"), names));
    assert_null(str_closest(STR("x"), names));
    assert_null(str_closest(STR("deploy"), NULL));
    static const char *const none[] = {NULL};
    assert_null(str_closest(STR("deploy"), none));
    // Of two that are equally close the first one is meant.
    static const char *const twins[] = {"cat", "car", NULL};
    assert_string_equal(str_closest(STR("caz"), twins), "cat");
}

static void
copies(void **state)
{
    (void)state;
    char *copy CLEANUP(xfreep) = str_dup((struct str){"abcdef", 3});
    assert_string_equal(copy, "abc");
    char *empty CLEANUP(xfreep) = str_dup((struct str){0});
    assert_string_equal(empty, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparing),
        cmocka_unit_test(parts),
        cmocka_unit_test(cutting),
        cmocka_unit_test(numbers),
        cmocka_unit_test(utf8),
        cmocka_unit_test(distances),
        cmocka_unit_test(closest),
        cmocka_unit_test(copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
