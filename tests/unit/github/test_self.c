// What `doctor` learns about the credentials.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "github_fixture.h"

#define QUOTA "{\"resources\":{\"core\":{\"limit\":5000,\"remaining\":4999,\"reset\":1795250880}}}"
#define MESSAGE(text) "{\"message\":\"" text "\"}"

static const char *const date[] = {"Date: Sat, 21 Nov 2026 07:47:00 GMT", NULL};

static void
a_classic_token(void **state)
{
    (void)state;
    static const char *const scopes[] = {"X-OAuth-Scopes: repo, workflow", NULL};
    static const struct script_step steps[] = {
        {.url = GITHUB_API "/user", .reply_headers = scopes, .reply = "{\"login\":\"octocat\"}"},
        {.url = GITHUB_API "/rate_limit", .reply_headers = date, .reply = QUOTA},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 2);
    struct github_self self;
    assert_null(github_self(f->client, f->arena, &self));
    assert_string_equal(self.kind, "token");
    assert_string_equal(self.login, "octocat");
    assert_int_equal(self.permissions.count, 2);
    assert_string_equal(self.permissions.items[0].key, "repo");
    assert_string_equal(self.permissions.items[1].key, "workflow");
    assert_string_equal(self.permissions.items[1].value, "scope");
    assert_int_equal(self.quota_limit, 5000);
    assert_int_equal(self.quota_remaining, 4999);
    assert_int_equal(self.quota_reset_ms, FAKE_WALL_START + 3600 * 1000);
    assert_int_equal(self.server_time_ms, FAKE_WALL_START - 60 * 1000);
    github_fixture_finish(f);
}

static void
an_actions_token_without_a_user_and_a_server_without_limits(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = GITHUB_API "/user",
            .status = 403,
            .reply = MESSAGE("Resource not accessible by integration")},
        {.url = GITHUB_API "/rate_limit",
            .status = 404,
            .reply_headers = date,
            .reply = MESSAGE("Rate limiting is not enabled.")},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 2);
    struct github_self self;
    assert_null(github_self(f->client, f->arena, &self));
    assert_null(self.login);
    assert_int_equal(self.permissions.count, 0);
    assert_int_equal(self.quota_limit, 0);
    github_fixture_finish(f);
}

static void
a_bad_token_is_told(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = GITHUB_API "/user", .status = 401, .reply = MESSAGE("Bad credentials")}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    struct github_self self;
    struct error *err CLEANUP(error_freep) = github_self(f->client, f->arena, &self);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CREDENTIALS);
}

static void
an_app_and_what_its_token_may_do(void **state)
{
    (void)state;
    static const char *const jwt[] = {"Authorization: Bearer eyJ*", NULL};
    static const char *const token[] = {"Authorization: Bearer ghs_t*", NULL};
    static const struct script_step steps[] = {
        {.url = GITHUB_API "/app", .headers = jwt, .reply = "{\"slug\":\"deployer\"}"},
        {.url = GITHUB_REPO "/installation",
            .headers = jwt,
            .reply = "{\"id\":7,\"permissions\":{\"actions\":\"write\"}}"},
        {.method = HTTP_POST,
            .url = GITHUB_API "/app/installations/7/access_tokens",
            .status = 201,
            .reply = "{\"token\":\"ghs_token\",\"permissions\":{\"actions\":\"write\","
                     "\"metadata\":\"read\"}}"},
        {.url = GITHUB_API "/rate_limit", .headers = token, .reply = QUOTA},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_app(steps, 4);
    struct github_self self;
    assert_null(github_self(f->client, f->arena, &self));
    assert_string_equal(self.kind, "app");
    assert_string_equal(self.login, "deployer");
    assert_int_equal(self.permissions.count, 2);
    assert_string_equal(self.permissions.items[1].key, "metadata");
    assert_string_equal(self.permissions.items[1].value, "read");
    github_fixture_finish(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_classic_token),
        cmocka_unit_test(an_actions_token_without_a_user_and_a_server_without_limits),
        cmocka_unit_test(a_bad_token_is_told),
        cmocka_unit_test(an_app_and_what_its_token_may_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
