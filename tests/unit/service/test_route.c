// The table of routes: every address finds its handler and no other, whatever is in between.
#include "request_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void
finds(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path, *pattern, *key, *value;
    } rows[] = {
        {"GET", "/healthz", "/healthz", NULL, NULL},
        {"HEAD", "/healthz", "/healthz", NULL, NULL},
        {"POST", "/api/v1/deployments", "/api/v1/deployments", NULL, NULL},
        {"GET", "/api/v1/deployments/d-1", "/api/v1/deployments/{id}", "id", "d-1"},
        {"GET", "/api/v1/deployments/d-1/events", "/api/v1/deployments/{id}/events", "id", "d-1"},
        {"POST", "/api/v1/apps/a/environments/b/push", "/api/v1/apps/{app}/environments/{env}/push",
            "env", "b"},
        {"GET", "/api/v1/apps/a%2Fb", "/api/v1/apps/{app}", "app", "a/b"},
        {"GET", "/badges/shop/staging.svg", "/badges/{app}/{file}", "file", "staging.svg"},
        {"POST", "/hooks/github", "/hooks/github", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct route_match match = {0};
        route_find(rows[i].method, rows[i].path, arena, &match);
        assert_non_null(match.route);
        assert_string_equal(match.route->path, rows[i].pattern);
        if (rows[i].key != NULL) {
            const struct request request = {.params = match.params};
            assert_string_equal(request_param(&request, rows[i].key), rows[i].value);
        }
    }
}

static void
finds_nothing(void **state)
{
    (void)state;
    static const char *const paths[] = {"/healthz/", "//healthz", "/healthzz", "/api/v1",
        "/api/v1/deployments/", "/api/v1/deployments//events", "/api/v1/deployments/d-1/events/x",
        "/api/v1/apps/%zz", "/api/v1/apps/%00", "/api/v1/apps/%ff", "/api/v1/apps/a/../b",
        "/%68ealthz", "*", "healthz", "/api/v1/apps/%", "/api/v1/apps/%4"};
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct route_match match = {0};
        route_find("GET", paths[i], arena, &match);
        if (match.route != NULL || match.other_method) {
            fail_msg("'%s' found '%s'", paths[i], match.route != NULL ? match.route->path : "405");
        }
    }
}

static void
says_which_methods(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path, *allow;
    } rows[] = {
        {"DELETE", "/api/v1/deployments", "POST, GET, HEAD"},
        {"PUT", "/healthz", "GET, HEAD"},
        {"GET", "/hooks/github", "POST"},
        {"get", "/healthz", "GET, HEAD"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct route_match match = {0};
        route_find(rows[i].method, rows[i].path, arena, &match);
        assert_null(match.route);
        assert_true(match.other_method);
        assert_string_equal(match.allow, rows[i].allow);
    }
}

static void
every_route_that_changes_something_knows_who(void **state)
{
    (void)state;
    static const struct route_table *const tables[] = {&api_routes, &page_routes};
    for (size_t t = 0; t < ARRAY_LENGTH(tables); t++) {
        for (size_t i = 0; i < tables[t]->count; i++) {
            const struct route *route = &tables[t]->routes[i];
            // How a page looks is a cookie of whoever looks at it.
            bool looks = strcmp(route->path, "/theme") == 0;
            bool changes = strcmp(route->method, "GET") != 0 && !looks;
            if (changes && (route->who == ROUTE_ANYBODY || route->who == ROUTE_OPTIONAL)) {
                fail_msg("%s %s is open to anybody", route->method, route->path);
            }
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds),
        cmocka_unit_test(finds_nothing),
        cmocka_unit_test(says_which_methods),
        cmocka_unit_test(every_route_that_changes_something_knows_who),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
