// Remote URLs in every form that people have, and with secrets in every place that people put them.
#include "dispatcher/git.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct row {
    const char *remote, *url, *repository;
};

static void
check(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        const char *url = NULL, *repository = "unset";
        git_remote_describe(rows[i].remote, arena, &url, &repository);
        assert_string_equal(url, rows[i].url);
        if (rows[i].repository == NULL) {
            assert_null(repository);
        } else {
            assert_non_null(repository);
            assert_string_equal(repository, rows[i].repository);
        }
    }
}

static void
names_the_repository(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"https://github.com/acme/shop", "https://github.com/acme/shop", "acme/shop"},
        {"https://github.com/acme/shop.git", "https://github.com/acme/shop.git", "acme/shop"},
        {"https://github.com/acme/shop/", "https://github.com/acme/shop/", "acme/shop"},
        {"https://ghe.example.com:8443/acme/my.site.git",
            "https://ghe.example.com:8443/acme/my.site.git", "acme/my.site"},
        {"http://127.0.0.1:8080/acme/shop.git", "http://127.0.0.1:8080/acme/shop.git", "acme/shop"},
        {"ssh://git@github.com/acme/shop.git", "ssh://github.com/acme/shop.git", "acme/shop"},
        {"ssh://git@ssh.github.com:443/acme/shop", "ssh://ssh.github.com:443/acme/shop",
            "acme/shop"},
        {"git@github.com:acme/shop.git", "github.com:acme/shop.git", "acme/shop"},
        {"git@ghe.example.com:acme/shop", "ghe.example.com:acme/shop", "acme/shop"},
        {"ghe:acme/shop", "ghe:acme/shop", "acme/shop"},
        {"git@github.com:/acme/shop.git", "github.com:/acme/shop.git", "acme/shop"},
        {"git://github.com/acme/shop.git", "git://github.com/acme/shop.git", "acme/shop"},
        {"https://github.com/Acme-Org/Shop_1", "https://github.com/Acme-Org/Shop_1",
            "Acme-Org/Shop_1"},
    };
    check(rows, ARRAY_LENGTH(rows));
}

static void
other_shapes_name_none(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"/srv/git/shop.git", "/srv/git/shop.git", NULL},
        {"../shop", "../shop", NULL},
        {"file:///srv/acme/shop.git", "file:///srv/acme/shop.git", NULL},
        {"https://gitlab.example.com/group/sub/shop.git",
            "https://gitlab.example.com/group/sub/shop.git", NULL},
        {"https://github.com/acme", "https://github.com/acme", NULL},
        {"https://github.com/acme/..", "https://github.com/acme/..", NULL},
        {"https://github.com/../shop", "https://github.com/../shop", NULL},
        {"https://github.com/acme/.git", "https://github.com/acme/.git", NULL},
        {"https://github.com//shop", "https://github.com//shop", NULL},
        {"https://github.com/acme/sh%6fp", "https://github.com/acme/sh%6fp", NULL},
        {"https://github.com", "https://github.com/", NULL},
        {"", "", NULL},
        {"ext::sh -c true", "ext::sh -c true", NULL},
    };
    check(rows, ARRAY_LENGTH(rows));
}

static void
secrets_and_controls_are_taken_out(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"https://x-access-token:ghs_SECRET@github.com/acme/shop.git",
            "https://github.com/acme/shop.git", "acme/shop"},
        {"https://ghp_SECRET@github.com/acme/shop", "https://github.com/acme/shop", "acme/shop"},
        {"https://me:SEC/R@ET@github.com/acme/shop", "https://github.com/acme/shop", "acme/shop"},
        {"https://github.com/acme/shop?token=SECRET#x", "https://github.com/acme/shop",
            "acme/shop"},
        {"ssh://me:SECRET@host/acme/shop", "ssh://host/acme/shop", "acme/shop"},
        {"me:SECRET@host:acme/shop", "host:acme/shop", "acme/shop"},
        {"weird::https://me:SECRET@host/acme/shop", "host/acme/shop", NULL},
        {"https://github.com/acme/shop\x1b[31m\n::error::x",
            "https://github.com/acme/shop ::error::x", NULL},
    };
    check(rows, ARRAY_LENGTH(rows));
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        assert_null(strstr(rows[i].url, "SEC"));
    }
}

static void
an_endless_remote_is_cut(void **state)
{
    (void)state;
    static char remote[100 * 1024] = "https://github.com/acme/";
    memset(remote + strlen(remote), 'x', sizeof(remote) - strlen(remote) - 1);
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const char *url = NULL, *repository = "unset";
    git_remote_describe(remote, arena, &url, &repository);
    assert_null(repository);
    assert_true(strlen(url) <= 2056);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_the_repository),
        cmocka_unit_test(other_shapes_name_none),
        cmocka_unit_test(secrets_and_controls_are_taken_out),
        cmocka_unit_test(an_endless_remote_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
