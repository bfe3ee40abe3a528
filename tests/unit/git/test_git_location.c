// Git URLs of --specs: what each form means, and the reason each bad one is refused for.
#include "dispatcher/git.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void
good_forms_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *url, *path, *ref;
    } rows[] = {
        {"https://github.com/acme/infra.git", "https://github.com/acme/infra.git", "", NULL},
        {"https://github.com/acme/infra", "https://github.com/acme/infra", "", NULL},
        {"https://github.com/acme/infra.git/", "https://github.com/acme/infra.git", "", NULL},
        {"https://github.com/acme/infra.git?ref=main", "https://github.com/acme/infra.git", "",
            "main"},
        {"https://github.com/acme/infra.git//deploy/specs/?ref=release/1.2",
            "https://github.com/acme/infra.git", "deploy/specs", "release/1.2"},
        {"https://ghe.example.com:8443/acme/infra.git//x",
            "https://ghe.example.com:8443/acme/infra.git", "x", NULL},
        {"http://127.0.0.1:3000/acme/infra.git", "http://127.0.0.1:3000/acme/infra.git", "", NULL},
        {"file:///srv/infra.git//a?ref=refs/tags/v1", "file:///srv/infra.git", "a", "refs/tags/v1"},
        {"file:///srv/infra", "file:///srv/infra", "", NULL},
        {"/srv/infra.git", "/srv/infra.git", "", NULL},
        {"/srv/infra/.git//a/b?ref=0123456789012345678901234567890123456789", "/srv/infra/.git",
            "a/b", "0123456789012345678901234567890123456789"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct git_location *location = NULL;
        assert_true(git_location_is(rows[i].text));
        assert_null(git_location_parse(rows[i].text, arena, &location));
        assert_string_equal(location->url, rows[i].url);
        assert_string_equal(location->path, rows[i].path);
        if (rows[i].ref == NULL) {
            assert_null(location->ref);
        } else {
            assert_string_equal(location->ref, rows[i].ref);
        }
    }
}

static void
directories_are_not_locations(void **state)
{
    (void)state;
    static const char *const rows[] = {"", ".", "appspecs", "./infra.git", "../infra/appspecs",
        "/srv/infra", "/srv/infra/appspecs", "C:appspecs", "a:b"};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        assert_false(git_location_is(rows[i]));
    }
}

static void
bad_forms_are_refused_for_their_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"http://github.com/acme/infra.git",
            "git URL 'http://github.com/acme/infra.git' cannot be used: only https is safe to "
            "another host"},
        {"ssh://git@github.com/acme/infra.git", "git URL '…' cannot be used: ssh is not supported"},
        {"git@github.com:acme/infra.git", "git URL '…' cannot be used: ssh is not supported"},
        {"git://github.com/acme/infra.git",
            "git URL 'git://github.com/acme/infra.git' cannot be used: its form is not known"},
        {"file://host/infra.git",
            "git URL 'file://host/infra.git' cannot be used: its form is not known"},
        {"https://me:SECRET@github.com/acme/infra.git", "git URL with user info cannot be used"},
        {"https://github.com",
            "git URL 'https://github.com' cannot be used: it names no repository"},
        {"https://github.com/a/b.git//../x", "git URL 'https://github.com/a/b.git//../x' cannot be "
                                             "used: the path in it is not plain"},
        {"https://github.com/a/b.git//x//y", "git URL 'https://github.com/a/b.git//x//y' cannot be "
                                             "used: the path in it is not plain"},
        {"https://github.com/a/b.git?ref=",
            "git URL 'https://github.com/a/b.git?ref=' cannot be used: only '?ref=' may follow it"},
        {"https://github.com/a/b.git?branch=x",
            "git URL 'https://github.com/a/b.git?branch=x' cannot be used: only '?ref=' may follow "
            "it"},
        {"https://github.com/a/b.git?ref=x&token=y",
            "git URL 'https://github.com/a/b.git?ref=x&token=y' cannot be used: only '?ref=' may "
            "follow it"},
        {"https://github.com/a/b.git?ref=a..b",
            "git URL 'https://github.com/a/b.git?ref=a..b' cannot be used: its ref is not a valid "
            "name"},
        {"https://github.com/a/b.git?ref=x:y",
            "git URL 'https://github.com/a/b.git?ref=x:y' cannot be used: its ref is not a valid "
            "name"},
        {"https://github.com/a/b.git?ref=*", "git URL 'https://github.com/a/b.git?ref=*' cannot be "
                                             "used: its ref is not a valid name"},
        {"https://github.com/a/b\n.git",
            "git URL 'https://github.com/a/b .git' cannot be used: it holds control bytes"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct git_location *location = NULL;
        struct error *err CLEANUP(error_freep) = git_location_parse(rows[i].text, arena, &location);
        assert_true(git_location_is(rows[i].text));
        assert_non_null(err);
        assert_null(location);
        assert_int_equal(error_kind(err), ERROR_USAGE);
        assert_string_equal(error_message(err), rows[i].message);
        assert_non_null(error_hint_of(err));
    }
}

static void
a_location_that_is_too_long_is_refused(void **state)
{
    (void)state;
    static char text[8 * 1024] = "https://github.com/acme/";
    memset(text + strlen(text), 'x', sizeof(text) - strlen(text) - 1);
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct git_location *location = NULL;
    struct error *err CLEANUP(error_freep) = git_location_parse(text, arena, &location);
    assert_non_null(err);
    assert_true(str_ends(str_of(error_message(err)), STR("cannot be used: it is too long")));
    assert_true(strlen(error_message(err)) < 300);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_forms_are_taken_apart),
        cmocka_unit_test(directories_are_not_locations),
        cmocka_unit_test(bad_forms_are_refused_for_their_reason),
        cmocka_unit_test(a_location_that_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
