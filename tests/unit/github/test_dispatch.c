// Every row of protocols.md §3.6: what was seen on the wire, the class, and how many POSTs went
// out.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "github_fixture.h"
#include "github_internal.h"

#define POST_URL GITHUB_REPO "/actions/workflows/deploy-app.yaml/dispatches"
#define NEW_BODY "{\"ref\":\"main\",\"inputs\":{\"application\":\"shop\",\"distinct_id\":\"d-1\"}}"
#define DETAILS_BODY                                                                               \
    "{\"ref\":\"main\",\"inputs\":{\"application\":\"shop\",\"distinct_id\":\"d-1\"},"             \
    "\"return_run_details\":true}"
#define KNOWN                                                                                      \
    "{\"workflow_run_id\":9007199254740993,"                                                       \
    "\"run_url\":\"https://api.github.com/repos/octo/infra/actions/runs/9007199254740993\","       \
    "\"html_url\":\"https://github.com/octo/infra/actions/runs/9007199254740993\"}"
#define MESSAGE(text) "{\"message\":\"" text "\",\"documentation_url\":\"https://docs\"}"

static const char *const new_version[] = {"X-GitHub-Api-Version: 2026-03-10",
    "Accept: application/vnd.github+json", "User-Agent: dispatcher/*",
    "Authorization: Bearer ghp_testtoken", "Content-Type: application/json", NULL};
static const char *const old_version[] = {"X-GitHub-Api-Version: 2022-11-28", NULL};

static struct pair inputs[] = {{"application", "shop"}, {"distinct_id", "d-1"}};
static const struct github_dispatch dispatch = {"deploy-app.yaml", "main", {inputs, 2}};

static void
send(struct github_fixture *f, struct github_dispatch_result *out)
{
    if (f->client->date_ms == 0) {
        f->client->date_ms = FAKE_WALL_START - 5000; // GitHub's clock is five seconds behind ours
        f->client->date_mono_ms = f->fake->mono_ms;
    }
    github_dispatch_send(f->client, &dispatch, f->arena, out);
}

static void
assert_text(const struct error *err, const char *part)
{
    assert_non_null(err);
    char *text = error_text(err);
    if (strstr(text, part) == NULL) {
        fail_msg("'%s' does not say '%s'", text, part);
    }
    free(text);
}

static void
known_run(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.method = HTTP_POST,
        .url = POST_URL,
        .headers = new_version,
        .body = NEW_BODY,
        .must_be_once = true,
        .reply = KNOWN}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    struct github_dispatch_result result;
    send(f, &result);
    assert_int_equal(result.class, GITHUB_SENT_KNOWN);
    assert_null(result.error);
    assert_int_equal(result.run_id, INT64_C(9007199254740993));
    assert_string_equal(
        result.html_url, "https://github.com/octo/infra/actions/runs/9007199254740993");
    assert_int_equal(result.sent_at_ms, FAKE_WALL_START - 5000);
    assert_int_equal(result.posts, 1);
    assert_int_equal(f->fake->sleep_count, 0);
    github_fixture_finish(f);
}

// One answer, one POST, one class.
struct row {
    const char *name;
    int status;
    const char *reply;
    const char *const *headers;
    enum github_dispatch_class class;
    enum error_kind kind; // of the error, where there is one
    const char *says;
};

static const char *const retry_after[] = {"Retry-After: 30", NULL};
static const char *const exhausted[] = {"x-ratelimit-remaining: 0", "x-ratelimit-reset: 1795247400",
    "Date: Sat, 21 Nov 2026 07:48:00 GMT", NULL};
static const char *const permissions[] = {
    "X-Accepted-GitHub-Permissions: actions=write", "X-GitHub-Request-Id: AB:12", NULL};

static const struct row rows[] = {
    {"anonymous", 204, NULL, NULL, GITHUB_SENT_ANON, 0, NULL},
    {"200 without body", 200, NULL, NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, "may have taken"},
    {"200 that is no JSON", 200, "<html>", NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, "unusable"},
    {"200 cut short", 200, "{\"workflow_run_id\":12", NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, ""},
    {"200 with a list", 200, "[1]", NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, "no run id"},
    {"id as text", 200,
        "{\"workflow_run_id\":\"12\",\"run_url\":\"https://api.github.com/repos/octo/infra/actions/"
        "runs/12\",\"html_url\":\"https://github.com/octo/infra/actions/runs/12\"}",
        NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, "no run id"},
    {"id zero", 200, "{\"workflow_run_id\":0}", NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, "no run id"},
    {"id negative", 200, "{\"workflow_run_id\":-3}", NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, ""},
    {"id a fraction", 200, "{\"workflow_run_id\":1.5}", NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, ""},
    {"id beyond 64 bits", 200, "{\"workflow_run_id\":99999999999999999999}", NULL, GITHUB_AMBIGUOUS,
        ERROR_UNKNOWN, ""},
    {"id twice", 200, "{\"workflow_run_id\":1,\"workflow_run_id\":2}", NULL, GITHUB_AMBIGUOUS,
        ERROR_UNKNOWN, ""},
    {"no addresses", 200, "{\"workflow_run_id\":12}", NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN,
        "run 12, but its addresses"},
    {"another repository", 200,
        "{\"workflow_run_id\":12,\"run_url\":\"https://api.github.com/repos/octo/other/actions/"
        "runs/12\",\"html_url\":\"https://github.com/octo/infra/actions/runs/12\"}",
        NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, "not of 'octo/infra'"},
    {"another owner that ends alike", 200,
        "{\"workflow_run_id\":12,\"run_url\":\"https://api.github.com/repos/xocto/infra/actions/"
        "runs/12\",\"html_url\":\"https://github.com/octo/infra/actions/runs/12\"}",
        NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, "not of 'octo/infra'"},
    {"another page", 200,
        "{\"workflow_run_id\":12,\"run_url\":\"https://api.github.com/repos/octo/infra/actions/"
        "runs/12\",\"html_url\":\"https://github.com/octo/other/actions/runs/12\"}",
        NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, "not of 'octo/infra'"},
    {"another id in the address", 200,
        "{\"workflow_run_id\":12,\"run_url\":\"https://api.github.com/repos/octo/infra/actions/"
        "runs/13\",\"html_url\":\"https://github.com/octo/infra/actions/runs/12\"}",
        NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, "not of 'octo/infra'"},
    {"case of the name differs", 200,
        "{\"workflow_run_id\":12,\"run_url\":\"https://api.github.com/repos/Octo/Infra/actions/"
        "runs/12\",\"html_url\":\"https://github.com/Octo/Infra/actions/runs/12\"}",
        NULL, GITHUB_SENT_KNOWN, 0, NULL},
    {"201", 201, KNOWN, NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, "HTTP 201"},
    {"202", 202, NULL, NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, "HTTP 202"},
    {"206", 206, KNOWN, NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, "HTTP 206"},
    {"301", 301, MESSAGE("Moved"), NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, "Moved"},
    {"302", 302, NULL, NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, "may have taken"},
    {"304", 304, NULL, NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, "may have taken"},
    {"307", 307, MESSAGE("Moved"), NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, "Moved"},
    {"401", 401, MESSAGE("Bad credentials"), NULL, GITHUB_REJECTED, ERROR_CREDENTIALS,
        "Bad credentials"},
    {"401 of a proxy", 401, "<html>", NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, "no explanation"},
    {"403 permission", 403, MESSAGE("Resource not accessible by integration"), permissions,
        GITHUB_REJECTED, ERROR_CREDENTIALS, "request AB:12"},
    {"403 of a proxy", 403, "denied by policy", NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, ""},
    {"403 with Retry-After", 403, MESSAGE("wait"), retry_after, GITHUB_LIMITED, ERROR_UNAVAILABLE,
        "wait"},
    {"403 quota", 403, MESSAGE("API rate limit exceeded"), exhausted, GITHUB_LIMITED,
        ERROR_UNAVAILABLE, "rate limit"},
    {"403 secondary", 403, MESSAGE("You have exceeded a secondary rate limit"), NULL,
        GITHUB_LIMITED, ERROR_UNAVAILABLE, "secondary"},
    {"429", 429, MESSAGE("slow down"), retry_after, GITHUB_LIMITED, ERROR_UNAVAILABLE, "slow down"},
    {"429 of a proxy", 429, "busy", NULL, GITHUB_LIMITED, ERROR_UNAVAILABLE, "no explanation"},
    {"404", 404, MESSAGE("Not Found"), NULL, GITHUB_REJECTED, ERROR_REFUSED, "Not Found"},
    {"404 of a proxy", 404, "nothing here", NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, ""},
    {"405", 405, MESSAGE("no"), NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, ""},
    {"408", 408, MESSAGE("timeout"), NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, "timeout"},
    {"409", 409, MESSAGE("conflict"), NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, "conflict"},
    {"422 ref", 422, MESSAGE("No ref found for: nope"), NULL, GITHUB_REJECTED, ERROR_REFUSED,
        "No ref found for: nope"},
    {"422 inputs", 422, MESSAGE("Unexpected inputs provided: [\\\"distinct_id\\\"]"), NULL,
        GITHUB_REJECTED, ERROR_REFUSED, "Unexpected inputs provided: [\"distinct_id\"]"},
    {"422 hostile words", 422, MESSAGE("a\\u001b[31m\\n::error::b"), NULL, GITHUB_REJECTED,
        ERROR_REFUSED, "a ::error::b"},
    {"422 of a proxy", 422, "{\"title\":\"Invalid request\"}", NULL, GITHUB_AMBIGUOUS,
        ERROR_UNKNOWN, ""},
    {"500", 500, MESSAGE("Server Error"), NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, "Server Error"},
    {"502", 502, "<html>", NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, "HTTP 502"},
    {"503 with Retry-After", 503, NULL, retry_after, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, "HTTP 503"},
    {"504", 504, NULL, NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, "HTTP 504"},
    {"600", 600, NULL, NULL, GITHUB_AMBIGUOUS, ERROR_UNKNOWN, ""},
};

static void
one_answer_one_class(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct row *row = &rows[i];
        const struct script_step steps[] = {{.method = HTTP_POST,
            .url = POST_URL,
            .must_be_once = true,
            .status = row->status,
            .reply_headers = row->headers,
            .reply = row->reply}};
        struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
        struct github_dispatch_result result;
        send(f, &result);
        struct error *err CLEANUP(error_freep) = result.error;
        if (result.class != row->class || result.posts != 1) {
            fail_msg("%s: class %d, %d posts", row->name, (int)result.class, result.posts);
        }
        if (row->says == NULL) {
            assert_null(err);
        } else {
            assert_int_equal(error_kind(err), row->kind);
            assert_text(err, row->says);
            assert_int_equal(error_remote_of(err)->status, row->status);
        }
        github_fixture_finish(f);
    }
}

static void
the_missing_permission_is_named(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.method = HTTP_POST,
        .url = POST_URL,
        .must_be_once = true,
        .status = 403,
        .reply_headers = permissions,
        .reply = MESSAGE("Resource not accessible by integration")}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    struct github_dispatch_result result;
    send(f, &result);
    struct error *err CLEANUP(error_freep) = result.error;
    assert_string_equal(
        error_hint_of(err), "The token lacks a permission; GitHub asks for 'actions=write'.");
    char *text = error_text(err);
    assert_string_equal(text,
        "dispatch of 'deploy-app.yaml' at 'main' in 'octo/infra': POST "
        "https://api.github.com/repos/octo/infra/actions/workflows/deploy-app.yaml/dispatches: "
        "Resource not accessible by integration (HTTP 403, request AB:12)");
    free(text);
}

// --- what broke on the way -----------------------------------------------------------------------

static void
lost_answers_are_ambiguous(void **state)
{
    (void)state;
    static const struct script_step cases[] = {
        {.failure = "connection reset", .request_left = true},
        {.failure = "timed out", .failure_code = "timeout", .request_left = true},
        {.failure = "the answer is too long", .failure_code = "cap", .request_left = true},
        {.takes_ms = 31000},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct script_step step = cases[i];
        step.method = HTTP_POST;
        step.url = POST_URL;
        step.must_be_once = true;
        struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(&step, 1);
        struct github_dispatch_result result;
        send(f, &result);
        struct error *err CLEANUP(error_freep) = result.error;
        assert_int_equal(result.class, GITHUB_AMBIGUOUS);
        assert_int_equal(error_kind(err), ERROR_UNKNOWN);
        assert_int_equal(result.posts, 1);
        assert_int_equal(result.sent_at_ms, FAKE_WALL_START - 5000);
        github_fixture_finish(f);
    }
}

static void
a_signal_in_mid_air_is_ambiguous(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST, .url = POST_URL, .must_be_once = true, .takes_ms = 2000}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    f->fake->cancel_at_ms = f->fake->mono_ms + 1000;
    struct github_dispatch_result result;
    send(f, &result);
    struct error *err CLEANUP(error_freep) = result.error;
    assert_int_equal(result.class, GITHUB_AMBIGUOUS);
    assert_int_equal(result.posts, 1);
}

static void
a_signal_before_is_not_sent(void **state)
{
    (void)state;
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(NULL, 0);
    cancel_raise(f->fake->cancel, 15);
    struct github_dispatch_result result;
    send(f, &result);
    struct error *err CLEANUP(error_freep) = result.error;
    assert_int_equal(result.class, GITHUB_NOT_SENT);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
    assert_int_equal(result.posts, 0);
}

static void
what_never_left_is_tried_three_times(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.method = HTTP_POST,
        .url = POST_URL,
        .must_be_once = true,
        .failure = "connection refused",
        .times = 3}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    struct github_dispatch_result result;
    send(f, &result);
    struct error *err CLEANUP(error_freep) = result.error;
    assert_int_equal(result.class, GITHUB_NOT_SENT);
    assert_int_equal(result.posts, 0);
    assert_int_equal(error_kind(err), ERROR_UNAVAILABLE);
    assert_text(err, "dispatch of 'deploy-app.yaml' not sent");
    assert_int_equal(f->fake->sleep_count, 2);
    assert_int_equal(f->fake->sleeps[0], 375);
    assert_int_equal(f->fake->sleeps[1], 750);
    assert_int_equal(github_client_counters(f->client).sent, 0);
    github_fixture_finish(f);
}

static void
never_left_then_sent(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST, .url = POST_URL, .must_be_once = true, .failure = "refused"},
        {.method = HTTP_POST, .url = POST_URL, .must_be_once = true, .reply = KNOWN},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 2);
    struct github_dispatch_result result;
    send(f, &result);
    assert_int_equal(result.class, GITHUB_SENT_KNOWN);
    assert_int_equal(result.posts, 1);
    github_fixture_finish(f);
}

static void
never_left_then_lost(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST, .url = POST_URL, .must_be_once = true, .failure = "refused"},
        {.method = HTTP_POST,
            .url = POST_URL,
            .must_be_once = true,
            .failure = "reset",
            .request_left = true},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 2);
    struct github_dispatch_result result;
    send(f, &result);
    struct error *err CLEANUP(error_freep) = result.error;
    assert_int_equal(result.class, GITHUB_AMBIGUOUS);
    assert_int_equal(result.posts, 1);
    github_fixture_finish(f);
}

// --- stepping down -------------------------------------------------------------------------------

static void
unknown_version_steps_down_once(void **state)
{
    (void)state;
    static const int refusals[] = {400, 410};
    for (size_t i = 0; i < ARRAY_LENGTH(refusals); i++) {
        const struct script_step steps[] = {
            {.method = HTTP_POST,
                .url = POST_URL,
                .headers = new_version,
                .body = NEW_BODY,
                .must_be_once = true,
                .status = refusals[i],
                .reply = MESSAGE("unsupported version")},
            {.method = HTTP_POST,
                .url = POST_URL,
                .headers = old_version,
                .body = DETAILS_BODY,
                .must_be_once = true,
                .times = 2,
                .reply = KNOWN},
        };
        struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 2);
        struct github_dispatch_result result;
        send(f, &result);
        assert_int_equal(result.class, GITHUB_SENT_KNOWN);
        assert_int_equal(result.posts, 2);
        send(f, &result); // remembered
        assert_int_equal(result.class, GITHUB_SENT_KNOWN);
        assert_int_equal(result.posts, 1);
        github_fixture_finish(f);
    }
}

static void
old_enterprise_server_steps_down_twice(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = POST_URL,
            .headers = new_version,
            .must_be_once = true,
            .status = 400,
            .reply = MESSAGE("unsupported version")},
        {.method = HTTP_POST,
            .url = POST_URL,
            .headers = old_version,
            .body = DETAILS_BODY,
            .must_be_once = true,
            .status = 422,
            .reply = MESSAGE(
                "Invalid request.\\n\\n\\\"return_run_details\\\" is not a permitted key.")},
        {.method = HTTP_POST,
            .url = POST_URL,
            .headers = old_version,
            .body = NEW_BODY,
            .must_be_once = true,
            .status = 204},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 3);
    struct github_dispatch_result result;
    send(f, &result);
    assert_int_equal(result.class, GITHUB_SENT_ANON);
    assert_int_equal(result.posts, 3);
    assert_null(result.error);
    github_fixture_finish(f);
}

static void
the_last_step_down_may_still_be_refused(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = POST_URL,
            .must_be_once = true,
            .times = 2,
            .status = 400,
            .reply = MESSAGE("Problems parsing JSON")},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    struct github_dispatch_result result;
    send(f, &result);
    struct error *err CLEANUP(error_freep) = result.error;
    assert_int_equal(result.class, GITHUB_REJECTED);
    assert_int_equal(result.posts, 2);
    assert_text(err, "Problems parsing JSON");
    github_fixture_finish(f);
}

static void
stepping_down_does_not_cover_a_lost_answer(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = POST_URL,
            .must_be_once = true,
            .status = 400,
            .reply = MESSAGE("unsupported version")},
        {.method = HTTP_POST, .url = POST_URL, .must_be_once = true, .status = 502},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 2);
    struct github_dispatch_result result;
    send(f, &result);
    struct error *err CLEANUP(error_freep) = result.error;
    assert_int_equal(result.class, GITHUB_AMBIGUOUS);
    assert_int_equal(result.posts, 2);
    github_fixture_finish(f);
}

// --- time, limits, pace --------------------------------------------------------------------------

static void
githubs_clock_is_learnt_first(void **state)
{
    (void)state;
    static const char *const date[] = {"Date: Sat, 21 Nov 2026 07:40:00 GMT", NULL};
    static const struct script_step steps[] = {
        {.url = GITHUB_API "/rate_limit", .reply_headers = date, .reply = "{}"},
        {.method = HTTP_POST, .url = POST_URL, .must_be_once = true, .reply = KNOWN},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 2);
    struct github_dispatch_result result;
    github_dispatch_send(f->client, &dispatch, f->arena, &result);
    assert_int_equal(result.class, GITHUB_SENT_KNOWN);
    assert_int_equal(result.sent_at_ms, FAKE_WALL_START - 8 * 60 * 1000);
    github_fixture_finish(f);
}

static void
unreachable_before_the_dispatch_is_not_sent(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = GITHUB_API "/rate_limit", .failure = "no such host", .times = 5}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    struct github_dispatch_result result;
    github_dispatch_send(f->client, &dispatch, f->arena, &result);
    struct error *err CLEANUP(error_freep) = result.error;
    assert_int_equal(result.class, GITHUB_NOT_SENT);
    assert_int_equal(result.posts, 0);
    assert_text(err, "gave up after 5 tries");
    github_fixture_finish(f);
}

static void
a_limit_met_while_learning_the_time_is_a_limit(void **state)
{
    (void)state;
    static const char *const hour[] = {
        "Retry-After: 3600", "Date: Sat, 21 Nov 2026 07:48:00 GMT", NULL};
    static const struct script_step steps[] = {
        {.url = GITHUB_API "/rate_limit", .status = 429, .reply_headers = hour}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    struct github_dispatch_result result;
    github_dispatch_send(f->client, &dispatch, f->arena, &result);
    struct error *err CLEANUP(error_freep) = result.error;
    assert_int_equal(result.class, GITHUB_LIMITED);
    assert_int_equal(result.posts, 0);
    assert_int_equal(result.not_before_ms, FAKE_MONO_START + 3600 * 1000);
    github_fixture_finish(f);
}

static void
what_never_left_is_not_tried_past_the_deadline(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST, .url = POST_URL, .must_be_once = true, .failure = "refused"}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    github_client_set_deadline(f->client, FAKE_MONO_START + 100);
    struct github_dispatch_result result;
    send(f, &result);
    struct error *err CLEANUP(error_freep) = result.error;
    assert_int_equal(result.class, GITHUB_NOT_SENT);
    assert_text(err, "too late");
    assert_text(err, "refused");
    github_fixture_finish(f);
}

static void
a_limit_tells_when_to_come_back_and_sends_nothing_before(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = POST_URL,
            .must_be_once = true,
            .status = 403,
            .reply_headers = retry_after,
            .reply = MESSAGE("secondary rate limit")},
        {.method = HTTP_POST, .url = POST_URL, .must_be_once = true, .reply = KNOWN},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 2);
    struct github_dispatch_result result;
    send(f, &result);
    assert_int_equal(result.class, GITHUB_LIMITED);
    assert_int_equal(result.not_before_ms, FAKE_MONO_START + 30000);
    assert_int_equal(github_client_not_before(f->client), FAKE_MONO_START + 30000);
    error_free(result.error);
    fake_platform_advance(f->fake, 29999);
    send(f, &result);
    assert_int_equal(result.class, GITHUB_LIMITED);
    assert_int_equal(result.posts, 0);
    assert_text(result.error, "nothing was sent");
    error_free(result.error);
    fake_platform_advance(f->fake, 1);
    send(f, &result);
    assert_int_equal(result.class, GITHUB_SENT_KNOWN);
    assert_int_equal(result.posts, 1);
    github_fixture_finish(f);
}

static void
two_dispatches_are_a_second_apart(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST, .url = POST_URL, .must_be_once = true, .times = 2, .reply = KNOWN}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    struct github_dispatch_result result;
    send(f, &result);
    fake_platform_advance(f->fake, 300);
    send(f, &result);
    assert_int_equal(f->fake->sleep_count, 1);
    assert_int_equal(f->fake->sleeps[0], 700);
    github_fixture_finish(f);
}

// The second is waited for where the caller asks for it, and is not waited for once more.
static void
what_takes_time_is_done_before(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST, .url = POST_URL, .must_be_once = true, .times = 3, .reply = KNOWN}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    struct github_dispatch_result result;
    send(f, &result);
    fake_platform_advance(f->fake, 300);
    assert_null(github_dispatch_ready(f->client));
    assert_int_equal(f->fake->sleep_count, 1);
    assert_int_equal(f->fake->sleeps[0], 700);
    send(f, &result);
    assert_int_equal(f->fake->sleep_count, 1);
    send(f, &result); // one that was not asked for waits by itself
    assert_int_equal(f->fake->sleep_count, 2);
    assert_int_equal(f->fake->sleeps[1], 1000);
    github_fixture_finish(f);
}

static void
a_deadline_never_cuts_a_post_short(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.method = HTTP_POST,
        .url = POST_URL,
        .must_be_once = true,
        .takes_ms = 20000,
        .reply = KNOWN}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    struct github_dispatch_result result;
    github_client_set_deadline(f->client, FAKE_MONO_START + 100);
    send(f, &result);
    assert_int_equal(result.class, GITHUB_SENT_KNOWN);
    send(f, &result); // past it nothing is sent
    struct error *err CLEANUP(error_freep) = result.error;
    assert_int_equal(result.class, GITHUB_NOT_SENT);
    assert_int_equal(result.posts, 0);
    assert_text(err, "no time was left");
    github_fixture_finish(f);
}

static void
odd_file_names_are_encoded(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.method = HTTP_POST,
        .url = GITHUB_REPO "/actions/workflows/a%20b%2F..%3F.yml/dispatches",
        .must_be_once = true,
        .body = "{\"ref\":\"main\",\"inputs\":{}}",
        .status = 204}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    f->client->date_ms = 1;
    const struct github_dispatch odd = {.file = "a b/..?.yml", .ref = "main"};
    struct github_dispatch_result result;
    github_dispatch_send(f->client, &odd, f->arena, &result);
    assert_int_equal(result.class, GITHUB_SENT_ANON);
    github_fixture_finish(f);
}

// --- an App's token ------------------------------------------------------------------------------

#define INSTALLATION                                                                               \
    {                                                                                              \
        .url = GITHUB_REPO "/installation",                                                        \
        .reply = "{\"id\":7,\"permissions\":{\"actions\":\"write\",\"contents\":\"read\"}}"        \
    }
#define MINT(name)                                                                                 \
    {                                                                                              \
        .method = HTTP_POST, .url = GITHUB_API "/app/installations/7/access_tokens",               \
        .status = 201, .reply = "{\"token\":\"" name "\",\"expires_at\":\"2026-11-21T08:48:00Z\"}" \
    }

static void
an_expired_token_is_renewed_once(void **state)
{
    (void)state;
    static const char *const first[] = {"Authorization: Bearer ghs_first", NULL};
    static const char *const second[] = {"Authorization: Bearer ghs_second", NULL};
    static const struct script_step steps[] = {
        INSTALLATION,
        MINT("ghs_first"),
        {.method = HTTP_POST,
            .url = POST_URL,
            .headers = first,
            .must_be_once = true,
            .status = 401,
            .reply = MESSAGE("Bad credentials")},
        MINT("ghs_second"),
        {.method = HTTP_POST,
            .url = POST_URL,
            .headers = second,
            .must_be_once = true,
            .status = 401,
            .reply = MESSAGE("Bad credentials")},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) =
        github_fixture_app(steps, ARRAY_LENGTH(steps));
    struct github_dispatch_result result;
    send(f, &result);
    struct error *err CLEANUP(error_freep) = result.error;
    assert_int_equal(result.class, GITHUB_REJECTED);
    assert_int_equal(error_kind(err), ERROR_CREDENTIALS);
    assert_int_equal(result.posts, 2);
    github_fixture_finish(f);
}

static void
a_lost_answer_while_minting_is_not_a_lost_dispatch(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        INSTALLATION,
        {.method = HTTP_POST,
            .url = GITHUB_API "/app/installations/7/access_tokens",
            .failure = "reset",
            .request_left = true,
            .times = 5},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_app(steps, 2);
    struct github_dispatch_result result;
    send(f, &result);
    struct error *err CLEANUP(error_freep) = result.error;
    assert_int_equal(result.class, GITHUB_NOT_SENT);
    assert_int_equal(result.posts, 0);
    github_fixture_finish(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_run),
        cmocka_unit_test(one_answer_one_class),
        cmocka_unit_test(the_missing_permission_is_named),
        cmocka_unit_test(lost_answers_are_ambiguous),
        cmocka_unit_test(a_signal_in_mid_air_is_ambiguous),
        cmocka_unit_test(a_signal_before_is_not_sent),
        cmocka_unit_test(what_never_left_is_tried_three_times),
        cmocka_unit_test(never_left_then_sent),
        cmocka_unit_test(never_left_then_lost),
        cmocka_unit_test(unknown_version_steps_down_once),
        cmocka_unit_test(old_enterprise_server_steps_down_twice),
        cmocka_unit_test(the_last_step_down_may_still_be_refused),
        cmocka_unit_test(stepping_down_does_not_cover_a_lost_answer),
        cmocka_unit_test(githubs_clock_is_learnt_first),
        cmocka_unit_test(unreachable_before_the_dispatch_is_not_sent),
        cmocka_unit_test(a_limit_met_while_learning_the_time_is_a_limit),
        cmocka_unit_test(what_never_left_is_not_tried_past_the_deadline),
        cmocka_unit_test(a_limit_tells_when_to_come_back_and_sends_nothing_before),
        cmocka_unit_test(two_dispatches_are_a_second_apart),
        cmocka_unit_test(what_takes_time_is_done_before),
        cmocka_unit_test(a_deadline_never_cuts_a_post_short),
        cmocka_unit_test(odd_file_names_are_encoded),
        cmocka_unit_test(an_expired_token_is_renewed_once),
        cmocka_unit_test(a_lost_answer_while_minting_is_not_a_lost_dispatch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
