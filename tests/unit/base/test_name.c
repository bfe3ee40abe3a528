// Which names may become part of a path, URL or parameter (T20).
#include "dispatcher/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char a63[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

static void
names(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "0", "payments", "web-shop-2", "a--b", a63};
    static const char *const bad[] = {
        "", "-a", "a-", "-", "A", "a_b", "a.b", "a/b", "..", "a b", "a\n", "ä", "a%2f", "{app}"};
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        assert_true(name_is_valid(str_of(good[i])));
        assert_null(name_check("app name", good[i]));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        assert_false(name_is_valid(str_of(bad[i])));
    }
    char a64[65] = {0};
    memset(a64, 'a', 64);
    assert_int_equal(strlen(a63), 63);
    assert_false(name_is_valid(str_of(a64)));
    assert_false(name_is_valid((struct str){"a\0b", 3}));
}

static void
a_bad_name_is_quoted_with_a_hint(void **state)
{
    (void)state;
    struct error *err CLEANUP(error_freep) = name_check("app name", "Pay_ments");
    assert_int_equal(error_kind(err), ERROR_USAGE);
    assert_string_equal(error_message(err), "app name 'Pay_ments' is not a valid name");
    assert_string_equal(error_hint_of(err), "Use lower-case letters, digits and '-', starting and "
                                            "ending with a letter or digit, 63 at most.");
    struct error *none CLEANUP(error_freep) = name_check("app name", NULL);
    assert_string_equal(error_message(none), "app name '' is not a valid name");
}

static void
repositories(void **state)
{
    (void)state;
    static const char *const good[] = {"a/b", "Acme-Org/infra.config_2", "a/.github", "1/2"};
    static const char *const bad[] = {"", "a", "a/", "/b", "a/b/c", "./b", "a/..", "a b/c", "a/b ",
        "a/b\n", "a/%2e", "https://x/y", "a//b"};
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        assert_true(repository_name_is_valid(str_of(good[i])));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        assert_false(repository_name_is_valid(str_of(bad[i])));
    }
    char longest[202];
    memset(longest, 'a', sizeof(longest));
    longest[100] = '/';
    assert_true(repository_name_is_valid((struct str){longest, 201}));
    assert_false(repository_name_is_valid((struct str){longest, 202}));
}

static void
tags(void **state)
{
    (void)state;
    static const char *const good[] = {"latest", "_x", "1.2.3-rc.1", "A_b"};
    static const char *const bad[] = {"", ".a", "-a", "a/b", "a:b", "a b", "ä", "a+b"};
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        assert_true(tag_is_valid(str_of(good[i])));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        assert_false(tag_is_valid(str_of(bad[i])));
    }
    char longest[129];
    memset(longest, 'a', sizeof(longest));
    assert_true(tag_is_valid((struct str){longest, 128}));
    assert_false(tag_is_valid((struct str){longest, 129}));
}

static void
digests(void **state)
{
    (void)state;
    char digest[] = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_true(digest_is_valid(str_of(digest)));
    assert_false(digest_is_valid((struct str){digest, 70}));
    digest[70] = 'G';
    assert_false(digest_is_valid(str_of(digest)));
    digest[70] = 'A';
    assert_false(digest_is_valid(str_of(digest)));
    assert_false(digest_is_valid(STR("")));
    assert_false(digest_is_valid(
        STR("sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(a_bad_name_is_quoted_with_a_hint),
        cmocka_unit_test(repositories),
        cmocka_unit_test(tags),
        cmocka_unit_test(digests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
