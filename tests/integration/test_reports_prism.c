// Every request that reports make on GitHub, judged by Prism with GitHub's own OpenAPI description.
// The trimmed descriptions lack some of the reads: those are skipped until they have them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/github_reports.h"
#include "github_prism.h"

#define SHA "6dcb09b5b57875f334f61aebed695e2e4193db5e"

static const struct github_deployment shop = {
    .ref = SHA,
    .task = "deploy",
    .environment = "production",
    .description = "shop a1b2c3",
    .payload_id = "d-1",
    .app = "shop",
    .is_production = true,
};

// What a description does not declare is neither right nor wrong.
static void
passes_where_declared(struct github_prism *prism, struct error *err)
{
    if (prism->filter.undeclared) {
        error_free(err);
        skip();
    }
    github_prism_succeed(err);
}

static void
making_a_deployment(void **state)
{
    struct github_prism *prism = *state;
    int64_t id = 0;
    github_prism_succeed(github_deployment_create(prism->client, &shop, prism->arena, &id));
    assert_int_equal(prism->filter.last_status, 201);
    assert_int_equal(id, 1);
}

static void
a_merge_instead_of_a_deployment(void **state)
{
    struct github_prism *prism = *state;
    prism->filter.prefer = "code=202";
    int64_t id = 0;
    github_prism_fail(github_deployment_create(prism->client, &shop, prism->arena, &id),
        "GitHub did something else and made nothing (HTTP 202");
    assert_int_equal(id, 0);
}

static void
looking_for_a_deployment(void **state)
{
    struct github_prism *prism = *state;
    int64_t id = -1;
    github_prism_succeed(github_deployment_find(prism->client, &shop, prism->arena, &id));
    assert_int_equal(prism->filter.last_status, 200);
    assert_int_equal(id, 0); // the example has another payload
}

static void
adding_statuses(void **state)
{
    struct github_prism *prism = *state;
    static const char *const states[] = {"in_progress", "success", "inactive"};
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        prism->filter.last_status = 0;
        const struct github_deployment_status status = {.state = states[i],
            .description = "deployed",
            .log_url = "https://ci.example.org/1",
            .environment_url = "https://shop.example.org",
            .environment = "production"};
        github_prism_succeed(github_deployment_status_add(prism->client, 42, &status));
        assert_int_equal(prism->filter.last_status, 201);
    }
}

static void
a_wrong_status_is_refused(void **state)
{
    struct github_prism *prism = *state;
    prism->filter.may_refuse = true;
    const struct github_deployment_status status = {.state = "deployed"};
    github_prism_fail(github_deployment_status_add(prism->client, 42, &status), "HTTP 422");
}

static void
reading_the_last_status(void **state)
{
    struct github_prism *prism = *state;
    prism->filter.may_be_undeclared = true;
    struct github_deployment_status *last = NULL;
    passes_where_declared(
        prism, github_deployment_status_last(prism->client, 42, prism->arena, &last));
    assert_string_equal(last->state, "success");
    assert_string_equal(last->environment, "production");
}

// The example is a deployment of somebody else's.
static void
retiring(void **state)
{
    struct github_prism *prism = *state;
    size_t count = 9;
    github_prism_succeed(
        github_deployment_retire(prism->client, &shop, 5000000000, prism->arena, &count));
    assert_int_equal(prism->filter.last_status, 200);
    assert_int_equal(count, 0);
}

static void
setting_a_commit_status(void **state)
{
    struct github_prism *prism = *state;
    const struct github_commit_status status = {
        "success", "dispatcher/shop", "deployed to production", "https://ci.example.org/1"};
    github_prism_succeed(github_commit_status_set(prism->client, SHA, &status));
    assert_int_equal(prism->filter.last_status, 201);
}

#define OUTPUT(annotations)                                                                        \
    "\"output\":{\"title\":\"deployed\",\"summary\":\"s\",\"text\":\"t\",\"annotations\":"         \
    "[" annotations "]}"
#define NOTE                                                                                       \
    "{\"path\":\"appspecs/shop.yaml\",\"start_line\":1,\"end_line\":1,\"annotation_level\":"       \
    "\"failure\",\"message\":\"m\",\"title\":\"t\"}"
#define CHECK(annotations)                                                                         \
    "{\"name\":\"deploy shop\",\"head_sha\":\"" SHA "\",\"external_id\":\"d-1\",\"status\":"       \
    "\"completed\",\"conclusion\":\"failure\",\"completed_at\":\"2026-11-21T07:48:00Z\","          \
    "\"details_url\":\"https://ci.example.org/1\"," OUTPUT(annotations) "}"

static void
making_a_check_run(void **state)
{
    struct github_prism *prism = *state;
    int64_t id = 0;
    github_prism_succeed(github_check_create(prism->client, CHECK(NOTE), prism->arena, &id));
    assert_int_equal(prism->filter.last_status, 201);
    assert_int_equal(id, 4);
}

static void
changing_a_check_run(void **state)
{
    struct github_prism *prism = *state;
    github_prism_succeed(github_check_update(prism->client, 4, CHECK("")));
    assert_int_equal(prism->filter.last_status, 200);
    github_prism_succeed(github_check_update(prism->client, 4, CHECK(NOTE)));
}

static void
looking_for_a_check_run(void **state)
{
    struct github_prism *prism = *state;
    prism->filter.may_be_undeclared = true;
    int64_t id = -1;
    passes_where_declared(
        prism, github_check_find(prism->client, SHA, "mighty_readme", "", prism->arena, &id));
    assert_int_equal(prism->filter.last_status, 200);
}

static void
finding_pull_requests(void **state)
{
    struct github_prism *prism = *state;
    int64_t *numbers = NULL;
    size_t count = 9;
    github_prism_succeed(github_commit_pulls(prism->client, SHA, prism->arena, &numbers, &count));
    assert_int_equal(prism->filter.last_status, 200);
    assert_int_equal(count, 0); // the example is of octocat/Hello-World
}

static void
commenting(void **state)
{
    struct github_prism *prism = *state;
    int64_t id = 0;
    github_prism_succeed(github_comment_create(prism->client, 1347, "hello", prism->arena, &id));
    assert_int_equal(prism->filter.last_status, 201);
    assert_int_equal(id, 1);
}

static void
looking_for_a_comment(void **state)
{
    struct github_prism *prism = *state;
    prism->filter.may_be_undeclared = true;
    int64_t id = -1;
    passes_where_declared(
        prism, github_comment_find(prism->client, 1347, "Me too", prism->arena, &id));
    assert_int_equal(id, 1);
}

static void
changing_a_comment(void **state)
{
    struct github_prism *prism = *state;
    prism->filter.may_be_undeclared = true;
    passes_where_declared(prism, github_comment_update(prism->client, 1, "other"));
    assert_int_equal(prism->filter.last_status, 200);
}

static void
an_app_asks_for_what_reports_need(void **state)
{
    struct github_prism *prism = *state;
    prism->filter.grants = "{\"deployments\":\"write\",\"statuses\":\"write\",\"checks\":\"write\","
                           "\"pull_requests\":\"write\"}";
    struct github_client *client CLEANUP(github_client_freep) = github_prism_client(prism, true);
    struct secret *token CLEANUP(secret_freep) = NULL;
    github_prism_succeed(github_client_token(client, &token));
    assert_int_equal(prism->filter.last_status, 201);
}

#define REPORT(name)                                                                               \
    cmocka_unit_test_setup_teardown(name, github_prism_reporting, github_prism_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        REPORT(making_a_deployment),
        REPORT(a_merge_instead_of_a_deployment),
        REPORT(looking_for_a_deployment),
        REPORT(adding_statuses),
        REPORT(a_wrong_status_is_refused),
        REPORT(reading_the_last_status),
        REPORT(retiring),
        REPORT(setting_a_commit_status),
        REPORT(making_a_check_run),
        REPORT(changing_a_check_run),
        REPORT(looking_for_a_check_run),
        REPORT(finding_pull_requests),
        REPORT(commenting),
        REPORT(looking_for_a_comment),
        REPORT(changing_a_comment),
        REPORT(an_app_asks_for_what_reports_need),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
