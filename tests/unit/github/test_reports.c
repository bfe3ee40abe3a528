// What the reporting calls have in common: the token they ask for, what is tried once and what
// again, and what a refusal tells a person to do.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/github_reports.h"
#include "github_fixture.h"

#define MESSAGE(text) "{\"message\":\"" text "\"}"
#define MINT_URL GITHUB_API "/app/installations/7/access_tokens"
#define COMMENT_URL GITHUB_REPO "/issues/4/comments"
#define EDIT_URL GITHUB_REPO "/issues/comments/9"
#define STATUS_URL GITHUB_REPO "/statuses/abc"

static const struct github_commit_status green = {
    "success", "dispatcher/shop", "deployed", "https://l"};

static void
assert_failure(struct error *err, enum error_kind kind, const char *says, const char *hint)
{
    assert_non_null(err);
    char *text = error_text(err);
    if (strstr(text, says) == NULL) {
        fail_msg("'%s' does not say '%s'", text, says);
    }
    free(text);
    assert_int_equal(error_kind(err), kind);
    if (hint != NULL) {
        assert_non_null(error_hint_of(err));
        assert_string_equal(error_hint_of(err), hint);
    }
    error_free(err);
}

// --- the token of an App -------------------------------------------------------------------------

static void
what_is_granted_is_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *granted, *body;
    } cases[] = {
        {"{\"actions\":\"write\",\"contents\":\"write\",\"deployments\":\"write\",\"statuses\":"
         "\"write\",\"checks\":\"write\",\"pull_requests\":\"write\",\"issues\":\"write\"}",
            "{\"repositories\":[\"infra\"],\"permissions\":{\"deployments\":\"write\",\"statuses\":"
            "\"write\",\"checks\":\"write\",\"pull_requests\":\"write\"}}"},
        {"{\"deployments\":\"read\",\"checks\":\"read\",\"statuses\":\"write\"}",
            "{\"repositories\":[\"infra\"],\"permissions\":{\"statuses\":\"write\"}}"},
        {"{\"pull_requests\":\"admin\"}",
            "{\"repositories\":[\"infra\"],\"permissions\":{\"pull_requests\":\"write\"}}"},
        {"null", "{\"repositories\":[\"infra\"],\"permissions\":{\"deployments\":\"write\"}}"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char installation[512];
        (void)snprintf(
            installation, sizeof(installation), "{\"id\":7,\"permissions\":%s}", cases[i].granted);
        const struct script_step steps[] = {
            {.url = GITHUB_REPO "/installation", .reply = installation},
            {.method = HTTP_POST,
                .url = MINT_URL,
                .body = cases[i].body,
                .status = 201,
                .reply = "{\"token\":\"ghs_one\"}"},
        };
        struct github_fixture *f CLEANUP(github_fixture_freep) =
            github_fixture_reports(steps, 2, true);
        struct secret *token CLEANUP(secret_freep) = NULL;
        assert_null(github_client_token(f->client, &token));
        github_fixture_finish(f);
    }
}

// No permission in the request would mean all of them in the token.
static void
an_app_that_may_report_nothing(void **state)
{
    (void)state;
    static const char *const granted[] = {"{}", "{\"actions\":\"write\",\"metadata\":\"read\"}",
        "{\"deployments\":\"read\",\"statuses\":\"read\"}"};
    for (size_t i = 0; i < ARRAY_LENGTH(granted); i++) {
        char installation[256];
        (void)snprintf(
            installation, sizeof(installation), "{\"id\":7,\"permissions\":%s}", granted[i]);
        const struct script_step steps[] = {
            {.url = GITHUB_REPO "/installation", .reply = installation}};
        struct github_fixture *f CLEANUP(github_fixture_freep) =
            github_fixture_reports(steps, 1, true);
        struct secret *token = NULL;
        assert_failure(github_client_token(f->client, &token), ERROR_CREDENTIALS,
            "the App may not report on 'octo/infra'",
            "Give the App the repository permissions that the reports need ('Deployments', 'Commit "
            "statuses', 'Checks', 'Pull requests': read and write), and have an owner accept "
            "them.");
        assert_null(token);
        github_fixture_finish(f);
    }
}

static void
granted_later_is_asked_for_later(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = GITHUB_REPO "/installation",
            .reply = "{\"id\":7,\"permissions\":{\"statuses\":\"write\"}}"},
        {.method = HTTP_POST,
            .url = MINT_URL,
            .body = "{\"repositories\":[\"infra\"],\"permissions\":{\"statuses\":\"write\"}}",
            .status = 201,
            .reply = "{\"token\":\"ghs_one\",\"permissions\":{\"statuses\":\"write\"}}"},
        {.url = GITHUB_REPO "/installation",
            .reply = "{\"id\":7,\"permissions\":{\"checks\":\"write\",\"statuses\":\"write\"}}"},
        {.method = HTTP_POST,
            .url = MINT_URL,
            .body = "{\"repositories\":[\"infra\"],\"permissions\":{\"statuses\":\"write\","
                    "\"checks\":\"write\"}}",
            .status = 201,
            .reply = "{\"token\":\"ghs_two\"}"},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_reports(steps, 4, true);
    struct secret *one CLEANUP(secret_freep) = NULL, *two CLEANUP(secret_freep) = NULL;
    assert_null(github_client_token(f->client, &one));
    fake_platform_advance(f->fake, 50 * 60 * 1000);
    assert_null(github_client_token(f->client, &two));
    github_fixture_finish(f);
}

static void
granted_no_longer(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = GITHUB_REPO "/installation",
            .reply = "{\"id\":7,\"permissions\":{\"statuses\":\"write\",\"checks\":\"write\"}}"},
        {.method = HTTP_POST,
            .url = MINT_URL,
            .body_pattern = "*statuses*checks*",
            .status = 422,
            .reply = MESSAGE("The permissions requested are not granted to this installation.")},
        {.method = HTTP_POST,
            .url = MINT_URL,
            .body = "{\"repositories\":[\"infra\"],\"permissions\":{\"deployments\":\"write\"}}",
            .status = 422,
            .reply = MESSAGE("The permissions requested are not granted to this installation.")},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_reports(steps, 3, true);
    struct secret *token = NULL;
    assert_failure(github_client_token(f->client, &token), ERROR_CREDENTIALS,
        "token of the App for 'octo/infra'",
        "Give the App 'Deployments: read and write' on 'octo/infra', and have an owner accept it.");
    github_fixture_finish(f);
}

// --- once, or again ------------------------------------------------------------------------------

static struct error *
comment(struct github_fixture *f, int64_t *id)
{
    return github_comment_create(f->client, 4, "hello", f->arena, id);
}

// Whatever may have arrived is not sent a second time, however long there is time.
static void
creating_is_tried_once(void **state)
{
    (void)state;
    static const char *const later[] = {"Retry-After: 1", NULL};
    static const struct {
        struct script_step step;
        bool left;
        int status;
    } cases[] = {
        {{.failure = "connection reset", .request_left = true}, true, 0},
        {{.failure = "no answer in time", .failure_code = "timeout", .request_left = true}, true,
            0},
        {{.failure = "connection refused"}, false, 0},
        {{.status = 500, .reply = MESSAGE("Server Error")}, true, 500},
        {{.status = 502, .reply = "<html>"}, true, 502},
        {{.status = 503, .reply_headers = later}, true, 503},
        {{.status = 408}, true, 408},
        {{.status = 404, .reply = "<html>a proxy's own</html>"}, true, 404},
        {{.status = 304}, true, 304},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct script_step step = cases[i].step;
        step.method = HTTP_POST;
        step.url = COMMENT_URL;
        step.must_be_once = true;
        struct github_fixture *f CLEANUP(github_fixture_freep) =
            github_fixture_reports(&step, 1, false);
        github_client_set_deadline(f->client, clock_mono(f->fake->platform.clock) + 60 * 60 * 1000);
        int64_t id = -1;
        struct error *err = comment(f, &id);
        assert_int_equal(error_remote_of(err)->request_left, cases[i].left);
        assert_int_equal(error_remote_of(err)->status, cases[i].status);
        assert_failure(err, ERROR_UNAVAILABLE, "comment on pull request 4 of 'octo/infra': ", NULL);
        assert_int_equal(id, -1);
        assert_int_equal(github_client_counters(f->client).sent, cases[i].left ? 1 : 0);
        github_fixture_finish(f);
    }
}

// A refusal made nothing: what was wrong is put right, and it is asked again.
static void
refusals_that_make_nothing_are_answered(void **state)
{
    (void)state;
    static const char *const later[] = {"Retry-After: 7", NULL};
    static const char *const moved[] = {
        "Location: https://api.github.com/repos/octo/renamed/issues/4/comments", NULL};
    static const char *const old[] = {"X-GitHub-Api-Version: 2022-11-28", NULL};
    static const struct {
        struct script_step refusal;
        const char *url;
        const char *const *headers;
        int64_t after_ms;
    } cases[] = {
        {{.status = 400, .reply = MESSAGE("unknown version")}, COMMENT_URL, old, 0},
        {{.status = 403, .reply_headers = later, .reply = MESSAGE("secondary rate limit")},
            COMMENT_URL, NULL, 7000},
        {{.status = 429, .reply_headers = later}, COMMENT_URL, NULL, 7000},
        {{.status = 307, .reply_headers = moved},
            GITHUB_API "/repos/octo/renamed/issues/4/comments", NULL, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct script_step steps[2] = {cases[i].refusal, {.url = cases[i].url,
                                                             .headers = cases[i].headers,
                                                             .status = 201,
                                                             .reply = "{\"id\":12}"}};
        steps[0].url = COMMENT_URL;
        for (size_t j = 0; j < 2; j++) {
            steps[j].method = HTTP_POST;
            steps[j].body = "{\"body\":\"hello\"}";
            steps[j].must_be_once = true;
        }
        struct github_fixture *f CLEANUP(github_fixture_freep) =
            github_fixture_reports(steps, 2, false);
        int64_t id = -1;
        assert_null(comment(f, &id));
        assert_int_equal(id, 12);
        assert_int_equal(script_transport_request(f->script, 1)->sent_mono_ms -
                             script_transport_request(f->script, 0)->sent_mono_ms,
            cases[i].after_ms);
        github_fixture_finish(f);
    }
}

static void
a_refused_token_is_renewed_once(void **state)
{
    (void)state;
    static const char *const one[] = {"Authorization: Bearer ghs_one", NULL};
    static const char *const two[] = {"Authorization: Bearer ghs_two", NULL};
    static const struct script_step steps[] = {
        {.url = GITHUB_REPO "/installation",
            .reply = "{\"id\":7,\"permissions\":{\"pull_requests\":\"write\"}}"},
        {.method = HTTP_POST, .url = MINT_URL, .status = 201, .reply = "{\"token\":\"ghs_one\"}"},
        {.method = HTTP_POST,
            .url = COMMENT_URL,
            .must_be_once = true,
            .headers = one,
            .status = 401,
            .reply = MESSAGE("Bad credentials")},
        {.url = GITHUB_REPO "/installation",
            .reply = "{\"id\":7,\"permissions\":{\"pull_requests\":\"write\"}}"},
        {.method = HTTP_POST, .url = MINT_URL, .status = 201, .reply = "{\"token\":\"ghs_two\"}"},
        {.method = HTTP_POST,
            .url = COMMENT_URL,
            .must_be_once = true,
            .headers = two,
            .status = 401,
            .reply = MESSAGE("Bad credentials")},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_reports(steps, 6, true);
    int64_t id = -1;
    assert_failure(comment(f, &id), ERROR_CREDENTIALS, "Bad credentials", NULL);
    github_fixture_finish(f);
}

static void
a_limit_beyond_the_deadline_is_told(void **state)
{
    (void)state;
    static const char *const later[] = {"Retry-After: 60", NULL};
    static const struct script_step steps[] = {{.method = HTTP_POST,
        .url = COMMENT_URL,
        .must_be_once = true,
        .status = 403,
        .reply_headers = later,
        .reply = MESSAGE("You have exceeded a secondary rate limit")}};
    struct github_fixture *f CLEANUP(github_fixture_freep) =
        github_fixture_reports(steps, 1, false);
    int64_t now = clock_mono(f->fake->platform.clock), id = -1;
    github_client_set_deadline(f->client, now);
    assert_failure(comment(f, &id), ERROR_UNAVAILABLE, "GitHub limits the rate of requests", NULL);
    assert_int_equal(github_client_not_before(f->client), now + 60000);
    // And the next one does not even leave.
    struct error *err = comment(f, &id);
    assert_false(error_remote_of(err)->request_left);
    assert_failure(err, ERROR_UNAVAILABLE, "GitHub limits the rate of requests", NULL);
    github_fixture_finish(f);
}

// Saying the same again is harmless.
static void
changing_is_repeated_until_the_deadline(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_PATCH,
            .url = EDIT_URL,
            .failure = "connection reset",
            .request_left = true},
        {.method = HTTP_PATCH, .url = EDIT_URL, .status = 502},
        {.method = HTTP_PATCH,
            .url = EDIT_URL,
            .body = "{\"body\":\"hello\"}",
            .reply = "{\"id\":9}"},
        {.method = HTTP_POST, .url = STATUS_URL, .status = 503},
        {.method = HTTP_POST,
            .url = STATUS_URL,
            .body = "{\"state\":\"success\",\"context\":\"dispatcher/shop\",\"description\":"
                    "\"deployed\",\"target_url\":\"https://l\"}",
            .status = 201,
            .reply = "{\"id\":1}"},
        {.method = HTTP_POST, .url = STATUS_URL, .status = 503},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) =
        github_fixture_reports(steps, 6, false);
    assert_null(github_comment_update(f->client, 9, "hello"));
    assert_null(github_commit_status_set(f->client, "abc", &green));
    fake_platform_advance(f->fake, 1000);
    github_client_set_deadline(f->client, clock_mono(f->fake->platform.clock));
    assert_failure(github_commit_status_set(f->client, "abc", &green), ERROR_UNAVAILABLE,
        "status 'dispatcher/shop' of commit 'abc' of 'octo/infra': ", NULL);
    github_fixture_finish(f);
}

// --- what a 403 says -----------------------------------------------------------------------------

static struct error *
call_deployment(struct github_fixture *f)
{
    static const struct github_deployment d = {
        .ref = "abc", .task = "t", .environment = "e", .payload_id = "d"};
    int64_t id = 0;
    return github_deployment_create(f->client, &d, f->arena, &id);
}

static struct error *
call_status(struct github_fixture *f)
{
    return github_commit_status_set(f->client, "abc", &green);
}

static struct error *
call_comment(struct github_fixture *f)
{
    int64_t id = 0;
    return comment(f, &id);
}

static struct error *
call_check(struct github_fixture *f)
{
    int64_t id = 0;
    return github_check_create(f->client, "{}", f->arena, &id);
}

static void
a_missing_permission_is_named(void **state)
{
    (void)state;
    static const char *const accepted[] = {"X-Accepted-GitHub-Permissions: something=write", NULL};
    static const struct {
        struct error *(*call)(struct github_fixture *f);
        const char *hint;
    } cases[] = {
        {call_deployment, "Give the job 'permissions: deployments: write', or a token of your own "
                          "that permission."},
        {call_status, "Give the job 'permissions: statuses: write', or a token of your own that "
                      "permission."},
        {call_comment, "Give the job 'permissions: pull-requests: write', or a token of your own "
                       "that permission."},
        {call_check, "Give the job 'permissions: checks: write'. A personal token makes no check "
                     "runs: only a GitHub App and the GITHUB_TOKEN of a job do."},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct script_step steps[] = {{.method = HTTP_POST,
            .url_pattern = GITHUB_REPO "/*",
            .any_once = true,
            .status = 403,
            .reply_headers = accepted,
            .reply = MESSAGE("Resource not accessible by integration")}};
        struct github_fixture *f CLEANUP(github_fixture_freep) =
            github_fixture_reports(steps, 1, false);
        assert_failure(cases[i].call(f), ERROR_CREDENTIALS,
            "Resource not accessible by integration (HTTP 403", cases[i].hint);
        github_fixture_finish(f);
    }
}

static void
an_apps_missing_permission_is_named(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = GITHUB_REPO "/installation",
            .reply = "{\"id\":7,\"permissions\":{\"statuses\":\"write\"}}"},
        {.method = HTTP_POST, .url = MINT_URL, .status = 201, .reply = "{\"token\":\"ghs_one\"}"},
        {.method = HTTP_POST,
            .url = GITHUB_REPO "/check-runs",
            .must_be_once = true,
            .status = 403,
            .reply = MESSAGE("Resource not accessible by integration")},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_reports(steps, 3, true);
    assert_failure(call_check(f), ERROR_CREDENTIALS, "make a check run of 'octo/infra'",
        "Give the App the repository permission 'checks: write', and have an owner accept it.");
    github_fixture_finish(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_granted_is_asked_for),
        cmocka_unit_test(an_app_that_may_report_nothing),
        cmocka_unit_test(granted_later_is_asked_for_later),
        cmocka_unit_test(granted_no_longer),
        cmocka_unit_test(creating_is_tried_once),
        cmocka_unit_test(refusals_that_make_nothing_are_answered),
        cmocka_unit_test(a_refused_token_is_renewed_once),
        cmocka_unit_test(a_limit_beyond_the_deadline_is_told),
        cmocka_unit_test(changing_is_repeated_until_the_deadline),
        cmocka_unit_test(a_missing_permission_is_named),
        cmocka_unit_test(an_apps_missing_permission_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
