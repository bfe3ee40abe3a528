// What every call has in common: credentials, tries, limits, redirects, pages, errors, counting.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "github_fixture.h"
#include "github_internal.h"

#define RUN_URL GITHUB_REPO "/actions/runs/7"
#define RUN(status)                                                                                \
    "{\"id\":7,\"html_url\":\"https://github.com/octo/infra/actions/runs/7\",\"path\":\"p\","      \
    "\"event\":\"workflow_dispatch\",\"head_sha\":\"abc\",\"created_at\":\"2026-11-21T07:48:"      \
    "00Z\","                                                                                       \
    "\"status\":\"" status "\"}"
#define MESSAGE(text) "{\"message\":\"" text "\"}"
#define MINT_URL GITHUB_API "/app/installations/7/access_tokens"

static struct error *
get_run(struct github_fixture *f, struct github_run **run, bool *changed)
{
    return github_run_get(f->client, 7, f->arena, run, changed);
}

// The call must fail; the error's text is compared whole, the request's address left out.
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
        if (strstr(error_hint_of(err), hint) == NULL) {
            fail_msg("hint '%s' does not say '%s'", error_hint_of(err), hint);
        }
    }
    error_free(err);
}

static void
fails(const struct script_step *steps, size_t count, enum error_kind kind, const char *says,
    const char *hint)
{
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, count);
    struct github_run *run = NULL;
    bool changed = false;
    assert_failure(get_run(f, &run, &changed), kind, says, hint);
    assert_null(run);
    assert_false(changed);
    github_fixture_finish(f);
}

static void
succeeds(const struct script_step *steps, size_t count, struct github_fixture **out)
{
    struct github_fixture *f = github_fixture_token(steps, count);
    struct github_run *run = NULL;
    bool changed = false;
    struct error *err = get_run(f, &run, &changed);
    if (err != NULL) {
        fail_msg("%s", error_text(err));
    }
    assert_true(changed);
    assert_non_null(run);
    github_fixture_finish(f);
    *out = f;
}

// --- making one
// ------------------------------------------------------------------------------------

static void
bad_options_are_refused(void **state)
{
    (void)state;
    struct fake_platform *fake CLEANUP(fake_platform_freep) = fake_platform_new(NULL);
    struct secret *token CLEANUP(secret_freep) = secret_new(STR("ghp_x"));
    struct secret *junk CLEANUP(secret_freep) = secret_new(STR("not a key"));
    static const char *const apis[] = {"", "api.github.com", "ftp://api.github.com",
        "https://user:pw@api.github.com", "https://api.github.com?x=1"};
    static const char *const repositories[] = {
        "", "infra", "octo/", "/infra", "octo/infra/x", "octo/..", "octo/in fra", "octo/in\nfra"};
    struct github_client *client = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(apis); i++) {
        const struct github_options options = {
            .api = apis[i], .repository = "octo/infra", .token = token};
        assert_failure(github_client_new(&fake->platform, NULL, &options, &client), ERROR_INPUT,
            "address of GitHub's API", "GITHUB_API_URL");
    }
    for (size_t i = 0; i < ARRAY_LENGTH(repositories); i++) {
        const struct github_options options = {
            .api = GITHUB_API, .repository = repositories[i], .token = token};
        assert_failure(github_client_new(&fake->platform, NULL, &options, &client), ERROR_INPUT,
            "is not a repository", "owner/name");
    }
    const struct github_options none = {.api = GITHUB_API, .repository = "octo/infra"};
    assert_failure(github_client_new(&fake->platform, NULL, &none, &client), ERROR_CREDENTIALS,
        "no credentials for GitHub ('octo/infra')", "DEPLOYMENT_APP_ID");
    const struct github_options half = {
        .api = GITHUB_API, .repository = "octo/infra", .app_id = "1", .app_key = junk};
    assert_failure(github_client_new(&fake->platform, NULL, &half, &client), ERROR_CREDENTIALS,
        "private key of the GitHub App '1'", NULL);
    assert_null(client);
}

static void
an_enterprise_base_keeps_its_path(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = "https://ghe.example.org/api/v3/repos/octo/infra/actions/runs/7",
            .reply = RUN("queued")}};
    struct fake_platform *fake CLEANUP(fake_platform_freep) = fake_platform_new(NULL);
    struct script_transport *script CLEANUP(script_transport_freep) =
        script_transport_new(fake, steps, 1);
    struct http_client *http CLEANUP(http_client_freep) = NULL;
    assert_null(http_client_new(&fake->platform, NULL, &http));
    struct secret *token CLEANUP(secret_freep) = secret_new(STR("ghp_x"));
    const struct github_options options = {
        .api = "https://ghe.example.org/api/v3/", .repository = "octo/infra", .token = token};
    struct github_client *client CLEANUP(github_client_freep) = NULL;
    assert_null(github_client_new(&fake->platform, http, &options, &client));
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct github_run *run = NULL;
    bool changed = false;
    assert_null(github_run_get(client, 7, arena, &run, &changed));
    script_transport_finish(script);
}

// --- the frame, counting, conditional requests ---------------------------------------------------

static void
conditional_requests_cost_nothing_when_nothing_changed(void **state)
{
    (void)state;
    static const char *const plain[] = {"Accept: application/vnd.github+json",
        "User-Agent: dispatcher/*", "X-GitHub-Api-Version: 2026-03-10",
        "Authorization: Bearer ghp_testtoken", "!If-None-Match", "!Content-Type", NULL};
    static const char *const weak[] = {"If-None-Match: W/\"a,b\"", NULL};
    static const char *const strong[] = {"If-None-Match: \"c\"", NULL};
    static const char *const tag_a[] = {"ETag: W/\"a,b\"", NULL};
    static const char *const tag_c[] = {"ETag: \"c\"", NULL};
    static const struct script_step steps[] = {
        {.url = RUN_URL, .headers = plain, .reply_headers = tag_a, .reply = RUN("queued")},
        {.url = RUN_URL, .headers = weak, .status = 304, .times = 2},
        {.url = RUN_URL, .headers = weak, .reply_headers = tag_c, .reply = RUN("completed")},
        {.url = RUN_URL, .headers = strong, .status = 404, .reply = MESSAGE("Not Found")},
        {.url = RUN_URL, .headers = plain, .reply = RUN("completed")},
        {.url = RUN_URL, .headers = plain, .reply = RUN("completed")},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) =
        github_fixture_token(steps, ARRAY_LENGTH(steps));
    struct github_run *run = NULL, *same = NULL;
    bool changed = false;
    assert_null(get_run(f, &run, &changed));
    assert_true(changed);
    same = run;
    for (int i = 0; i < 2; i++) {
        assert_null(get_run(f, &run, &changed));
        assert_false(changed);
        assert_ptr_equal(run, same);
    }
    assert_null(get_run(f, &run, &changed));
    assert_true(changed);
    assert_true(github_run_is_complete(run));
    assert_null(get_run(f, &run, &changed)); // 404
    assert_true(changed);
    assert_null(run);
    assert_null(get_run(f, &run, &changed)); // its tag is forgotten
    assert_non_null(run);
    assert_null(get_run(f, &run, &changed)); // an answer without a tag leaves none
    assert_int_equal(github_client_counters(f->client).sent, 7);
    assert_int_equal(github_client_counters(f->client).counted, 5);
    github_fixture_finish(f);
}

static void
an_answer_that_cannot_be_used_leaves_no_tag(void **state)
{
    (void)state;
    static const char *const none[] = {"!If-None-Match", NULL};
    static const char *const tag[] = {"ETag: \"x\"", NULL};
    static const char *const broken[] = {"{\"id\":7}",
        "{\"id\":8"
        "}",
        "[]", "nothing", "", "{\"id\":7,\"html_url\":1}"};
    for (size_t i = 0; i < ARRAY_LENGTH(broken); i++) {
        const struct script_step steps[] = {
            {.url = RUN_URL, .headers = none, .reply_headers = tag, .reply = broken[i]},
            {.url = RUN_URL, .headers = none, .reply = RUN("queued")},
        };
        struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 2);
        struct github_run *run = NULL;
        bool changed = false;
        assert_failure(
            get_run(f, &run, &changed), ERROR_UNAVAILABLE, "run 7 of 'octo/infra'", NULL);
        assert_null(get_run(f, &run, &changed));
        assert_non_null(run);
        github_fixture_finish(f);
    }
}

static void
not_modified_without_being_asked_is_no_answer(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.url = RUN_URL, .status = 304}};
    fails(steps, 1, ERROR_UNAVAILABLE, "HTTP 304", NULL);
}

static void
the_tag_cache_is_bounded(void **state)
{
    (void)state;
    static const char *const tag[] = {"ETag: \"x\"", NULL};
    static const struct script_step steps[] = {
        {.url_pattern = "*", .reply_headers = tag, .reply = "{}", .times = 3 * GITHUB_ETAG_MAX}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    for (int i = 0; i < 3 * GITHUB_ETAG_MAX; i++) {
        char path[32];
        (void)snprintf(path, sizeof(path), "/x/%d", i);
        struct github_call call = {.path = path, .conditional = true};
        struct http_response response CLEANUP(http_response_done) = {0};
        assert_null(github_send(f->client, &call, &response));
        github_etag_keep(f->client, &call, &response);
    }
    github_fixture_finish(f);
}

// --- what passes ---------------------------------------------------------------------------------

static void
transient_failures_are_tried_again(void **state)
{
    (void)state;
    static const struct script_step first[] = {
        {.failure = "connection reset", .request_left = true},
        {.failure = "connection refused"},
        {.status = 500, .reply = MESSAGE("Server Error")},
        {.status = 502, .reply = "<html>"},
        {.status = 503},
        {.status = 504},
        {.status = 408},
        {.takes_ms = 30001},
        {.status = 404, .reply = "<html>a proxy's</html>"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(first); i++) {
        struct script_step steps[] = {first[i], {.url = RUN_URL, .reply = RUN("queued")}};
        steps[0].url = RUN_URL;
        struct github_fixture *f CLEANUP(github_fixture_freep) = NULL;
        succeeds(steps, 2, &f);
        assert_int_equal(f->fake->sleep_count, 1);
        assert_int_equal(f->fake->sleeps[0], 375);
    }
}

static void
without_a_deadline_five_tries_are_enough(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = RUN_URL, .status = 502, .reply = MESSAGE("bad gateway"), .times = 5}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    struct github_run *run = NULL;
    bool changed = false;
    assert_failure(get_run(f, &run, &changed), ERROR_UNAVAILABLE,
        "gave up after 5 tries: GET https://api.github.com/repos/octo/infra/actions/runs/7: bad "
        "gateway (HTTP 502)",
        NULL);
    assert_int_equal(f->fake->sleep_count, 4);
    assert_int_equal(f->fake->sleeps[3], 3000);
    github_fixture_finish(f);
}

static void
with_a_deadline_tries_go_on_until_then(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = RUN_URL, .status = 502, .times = 22},
        {.url = RUN_URL, .reply = RUN("queued")},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 2);
    github_client_set_deadline(f->client, FAKE_MONO_START + 5 * 60 * 1000);
    struct github_run *run = NULL;
    bool changed = false;
    assert_null(get_run(f, &run, &changed));
    assert_int_equal(f->fake->sleeps[21], 15000); // capped
    github_fixture_finish(f);
}

static void
a_deadline_of_now_makes_a_single_try(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.url = RUN_URL, .status = 502}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    github_client_set_deadline(f->client, FAKE_MONO_START);
    struct github_run *run = NULL;
    bool changed = false;
    assert_failure(get_run(f, &run, &changed), ERROR_UNAVAILABLE, "HTTP 502", NULL);
    assert_int_equal(f->fake->sleep_count, 0);
    github_fixture_finish(f);
}

static void
a_signal_ends_the_waiting(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.url = RUN_URL, .status = 502}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    f->fake->cancel_at_ms = FAKE_MONO_START + 100;
    struct github_run *run = NULL;
    bool changed = false;
    assert_failure(get_run(f, &run, &changed), ERROR_CANCELLED, "", NULL);
    github_fixture_finish(f);
}

// --- limits --------------------------------------------------------------------------------------

static const char *const retry_after[] = {"Retry-After: 3", NULL};

static void
limits_are_waited_out(void **state)
{
    (void)state;
    static const char *const quota[] = {"x-ratelimit-remaining: 0", "x-ratelimit-reset: 1795247310",
        "Date: Sat, 21 Nov 2026 07:48:10 GMT", NULL};
    static const char *const stale[] = {"x-ratelimit-remaining: 0", "x-ratelimit-reset: 1795240000",
        "Date: Sat, 21 Nov 2026 07:48:10 GMT", NULL};
    static const char *const date[] = {
        "Retry-After: Sat, 21 Nov 2026 07:48:20 GMT", "Date: Sat, 21 Nov 2026 07:48:10 GMT", NULL};
    static const struct {
        int status;
        const char *const *headers;
        const char *reply;
        int64_t wait_ms;
    } cases[] = {
        {403, retry_after, MESSAGE("x"), 3000},
        {429, retry_after, MESSAGE("x"), 3000},
        {429, retry_after, "<html>", 3000},
        {503, retry_after, NULL, 3000},
        {403, quota, MESSAGE("API rate limit exceeded for installation"), 21000},
        {429, quota, MESSAGE("x"), 21000},
        {403, stale, MESSAGE("x"), 1000}, // the window is over: not at once all the same
        {429, date, MESSAGE("x"), 10000},
        {403, NULL, MESSAGE("You have exceeded a secondary rate limit."), 60000},
        {403, NULL, MESSAGE("You have triggered an abuse detection mechanism"), 60000},
        {429, NULL, NULL, 60000},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct script_step steps[] = {
            {.url = RUN_URL,
                .status = cases[i].status,
                .reply_headers = cases[i].headers,
                .reply = cases[i].reply},
            {.url = RUN_URL, .reply = RUN("queued")},
        };
        struct github_fixture *f CLEANUP(github_fixture_freep) = NULL;
        succeeds(steps, 2, &f);
        assert_int_equal(f->fake->mono_ms - FAKE_MONO_START, cases[i].wait_ms);
    }
}

static void
secondary_limits_double(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = RUN_URL, .status = 403, .reply = MESSAGE("secondary rate limit"), .times = 7},
        {.url = RUN_URL, .reply = RUN("queued"), .times = 1},
        {.url = RUN_URL, .status = 429},
        {.url = RUN_URL, .reply = RUN("queued")},
    };
    static const int64_t minutes[] = {1, 2, 4, 8, 16, 16, 16, 1};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 4);
    github_client_set_deadline(f->client, INT64_MAX);
    struct github_run *run = NULL;
    bool changed = false;
    assert_null(get_run(f, &run, &changed));
    assert_null(get_run(f, &run, &changed)); // a success starts the count anew
    assert_int_equal(f->fake->sleep_count, 8);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(f->fake->sleeps[i], minutes[i] * 60 * 1000);
    }
    github_fixture_finish(f);
}

static void
absurd_waits_are_capped(void **state)
{
    (void)state;
    static const char *const absurd[][4] = {
        {"Retry-After: 99999999999", NULL},
        {"Retry-After: 99999999999999999999999", NULL},
        {"x-ratelimit-remaining: 0", "x-ratelimit-reset: 9223372036854775807", NULL},
        {"x-ratelimit-remaining: 0", "x-ratelimit-reset: 99999999999", NULL},
        {"x-ratelimit-remaining: 0", "x-ratelimit-reset: -5", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(absurd); i++) {
        const struct script_step steps[] = {
            {.url = RUN_URL, .status = 403, .reply = MESSAGE("x"), .reply_headers = absurd[i]},
            {.url = RUN_URL, .reply = RUN("queued")},
        };
        struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 2);
        github_client_set_deadline(f->client, INT64_MAX);
        struct github_run *run = NULL;
        bool changed = false;
        assert_null(get_run(f, &run, &changed));
        int64_t waited = f->fake->mono_ms - FAKE_MONO_START;
        assert_true(waited >= 1000 && waited <= 65 * 60 * 1000);
    }
}

static void
a_limit_beyond_the_deadline_fails_at_once_and_bars_the_next_call(void **state)
{
    (void)state;
    static const char *const hour[] = {"Retry-After: 3600", NULL};
    static const struct script_step steps[] = {
        {.url = RUN_URL, .status = 403, .reply = MESSAGE("quota gone"), .reply_headers = hour}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    struct github_run *run = NULL;
    bool changed = false;
    assert_failure(get_run(f, &run, &changed), ERROR_UNAVAILABLE,
        "the next try would be in 1h 0m, too late: GET "
        "https://api.github.com/repos/octo/infra/actions/runs/7: quota gone (HTTP 403)",
        "quota");
    assert_failure(
        get_run(f, &run, &changed), ERROR_UNAVAILABLE, "GitHub limits the rate of requests", "App");
    assert_int_equal(github_client_not_before(f->client), FAKE_MONO_START + 3600 * 1000);
    assert_int_equal(script_transport_request_count(f->script), 1);
    github_fixture_finish(f);
}

// --- what does not pass --------------------------------------------------------------------------

static void
refusals_are_final(void **state)
{
    (void)state;
    static const char *const sso[] = {"X-GitHub-SSO: required; url=https://x", NULL};
    static const char *const accepted[] = {"X-Accepted-GitHub-Permissions: actions=read\x01", NULL};
    static const struct {
        int status;
        const char *const *headers;
        const char *reply;
        enum error_kind kind;
        const char *says, *hint;
    } cases[] = {
        {401, NULL, MESSAGE("Bad credentials"), ERROR_CREDENTIALS, "Bad credentials (HTTP 401)",
            "expired, revoked"},
        {403, NULL, MESSAGE("Resource not accessible by integration"), ERROR_CREDENTIALS,
            "Resource not accessible", "this call needs 'actions: read'"},
        {403, accepted, MESSAGE("no"), ERROR_CREDENTIALS, "no (HTTP 403)",
            "this call needs 'actions: read'"},
        {403, sso, MESSAGE("no"), ERROR_CREDENTIALS, "no (HTTP 403)", "single sign-on"},
        {422, NULL,
            "{\"message\":\"Validation Failed\",\"errors\":[{\"resource\":\"R\",\"field\":\"ref\","
            "\"code\":\"missing\"},\"plain words\",{\"message\":\"own words\"},7]}",
            ERROR_REFUSED, "Validation Failed: 'ref' missing, plain words, own words (HTTP 422)",
            NULL},
        {422, NULL, "{\"message\":\"A\",\"errors\":\"as text\"}", ERROR_REFUSED,
            "A: as text (HTTP 422)", NULL},
        {422, NULL, "{\"message\":\"\\u202e\\u001b]0;x\\u0007::error::y\\r\\nz\"}", ERROR_REFUSED,
            "runs/7: ::error::y  z (HTTP 422)", NULL},
        {409, NULL, NULL, ERROR_REFUSED, "no explanation from GitHub (HTTP 409)", NULL},
        {451, NULL, MESSAGE("blocked"), ERROR_REFUSED, "blocked (HTTP 451)", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct script_step steps[] = {{.url = RUN_URL,
            .status = cases[i].status,
            .reply_headers = cases[i].headers,
            .reply = cases[i].reply}};
        fails(steps, 1, cases[i].kind, cases[i].says, cases[i].hint);
    }
}

static void
long_words_are_cut(void **state)
{
    (void)state;
    char reply[4096] = "{\"message\":\"";
    memset(reply + strlen(reply), 'x', 3000);
    memcpy(reply + strlen("{\"message\":\"") + 3000, "\"}", sizeof("\"}"));
    const struct script_step steps[] = {{.url = RUN_URL, .status = 422, .reply = reply}};
    fails(steps, 1, ERROR_REFUSED, "xxx… (HTTP 422)", NULL);
}

static void
an_old_server_is_spoken_to_in_its_version(void **state)
{
    (void)state;
    static const char *const new_version[] = {"X-GitHub-Api-Version: 2026-03-10", NULL};
    static const char *const old_version[] = {"X-GitHub-Api-Version: 2022-11-28", NULL};
    static const struct script_step steps[] = {
        {.url = RUN_URL, .headers = new_version, .status = 400, .reply = MESSAGE("version")},
        {.url = RUN_URL, .headers = old_version, .reply = RUN("queued"), .times = 2},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 2);
    struct github_run *run = NULL;
    bool changed = false;
    assert_null(get_run(f, &run, &changed));
    assert_null(get_run(f, &run, &changed));
    github_fixture_finish(f);
}

static void
a_400_of_another_cause_keeps_the_version(void **state)
{
    (void)state;
    static const char *const new_version[] = {"X-GitHub-Api-Version: 2026-03-10", NULL};
    static const char *const old_version[] = {"X-GitHub-Api-Version: 2022-11-28", NULL};
    static const struct script_step steps[] = {
        {.url = RUN_URL, .headers = new_version, .status = 400, .reply = MESSAGE("bad")},
        {.url = RUN_URL, .headers = old_version, .status = 400, .reply = MESSAGE("bad")},
        {.url = RUN_URL, .headers = new_version, .reply = RUN("queued")},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 3);
    struct github_run *run = NULL;
    bool changed = false;
    assert_failure(get_run(f, &run, &changed), ERROR_REFUSED, "bad (HTTP 400)", "API version");
    assert_null(get_run(f, &run, &changed));
    github_fixture_finish(f);
}

// --- redirects -----------------------------------------------------------------------------------

static void
a_renamed_repository_is_followed_and_remembered(void **state)
{
    (void)state;
    static const char *const auth[] = {"Authorization: Bearer ghp_testtoken", NULL};
    static const int statuses[] = {301, 302, 307, 308};
    static const char *const by_id[] = {
        "Location: https://api.github.com/repositories/99/actions/runs/7", NULL};
    for (size_t i = 0; i < ARRAY_LENGTH(statuses); i++) {
        const struct script_step steps[] = {
            {.url = RUN_URL, .status = statuses[i], .reply_headers = by_id, .reply = MESSAGE("m")},
            {.url = GITHUB_API "/repositories/99",
                .headers = auth,
                .reply = "{\"full_name\":\"new/place\"}"},
            {.url = GITHUB_API "/repos/new/place/actions/runs/7",
                .headers = auth,
                .reply = RUN("queued"),
                .times = 2},
        };
        struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 3);
        struct github_run *run = NULL;
        bool changed = false;
        assert_null(get_run(f, &run, &changed));
        assert_null(get_run(f, &run, &changed));
        assert_string_equal(github_client_repository(f->client), "new/place");
        github_fixture_finish(f);
    }
}

static void
a_new_name_in_the_location_is_taken(void **state)
{
    (void)state;
    static const char *const location[] = {"Location: /repos/new/place/actions/runs/7", NULL};
    static const struct script_step steps[] = {
        {.url = RUN_URL, .status = 301, .reply_headers = location},
        {.url = GITHUB_API "/repos/new/place/actions/runs/7", .reply = RUN("queued")},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = NULL;
    succeeds(steps, 2, &f);
    assert_string_equal(github_client_repository(f->client), "new/place");
}

static void
credentials_go_nowhere_else(void **state)
{
    (void)state;
    static const char *const elsewhere[][2] = {
        {"Location: https://evil.example/repos/octo/infra/actions/runs/7", NULL},
        {"Location: http://api.github.com/repos/octo/infra/actions/runs/7", NULL},
        {"Location: https://api.github.com:8443/repos/octo/infra/actions/runs/7", NULL},
        {"Location: https://api.github.com.evil.example/repos/x/y", NULL},
        {"Location: //evil.example/x", NULL},
        {"Location: https://x@api.github.com/repos/octo/infra", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(elsewhere); i++) {
        const struct script_step steps[] = {
            {.url = RUN_URL, .status = 307, .reply_headers = elsewhere[i]}};
        fails(steps, 1, ERROR_UNAVAILABLE, "redirected away from the API; not followed",
            "never sent elsewhere");
    }
}

static void
circles_end(void **state)
{
    (void)state;
    static const char *const self[] = {"Location: " RUN_URL, NULL};
    static const struct script_step steps[] = {
        {.url = RUN_URL, .status = 301, .reply_headers = self, .times = 4}};
    fails(steps, 1, ERROR_UNAVAILABLE, "redirected too often", NULL);
}

static void
a_redirect_to_nowhere_is_no_answer(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.url = RUN_URL, .status = 301}};
    fails(steps, 1, ERROR_UNAVAILABLE, "HTTP 301", NULL);
}

static void
an_unreadable_new_name_is_refused(void **state)
{
    (void)state;
    static const char *const by_id[] = {
        "Location: https://api.github.com/repositories/99/actions/runs/7", NULL};
    static const char *const names[] = {"{}", "{\"full_name\":\"../..\"}", "{\"full_name\":7}"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        const struct script_step steps[] = {
            {.url = RUN_URL, .status = 301, .reply_headers = by_id},
            {.url = GITHUB_API "/repositories/99", .reply = names[i]},
        };
        fails(steps, 2, ERROR_UNAVAILABLE, "its new name cannot be read", NULL);
    }
}

// --- an App --------------------------------------------------------------------------------------

#define APP_JWT "Authorization: Bearer eyJ*.*.*"

static const char *const jwt[] = {APP_JWT, NULL};

static void
assert_jwt_times(const struct github_fixture *f, size_t index, int64_t now_ms)
{
    const struct script_request *request = script_transport_request(f->script, index);
    const char *value = http_headers_get(&request->headers, "Authorization");
    struct json *claims CLEANUP(json_freep) = NULL;
    assert_null(jwt_peek(str_of(value + strlen("Bearer ")), &claims));
    assert_int_equal(json_int(json_get(claims, "iat"), 0), now_ms / 1000 - 60);
    assert_int_equal(json_int(json_get(claims, "exp"), 0), now_ms / 1000 + 540);
    assert_string_equal(json_str(json_get(claims, "iss")), "Iv1.app");
}

static void
an_app_asks_for_one_repository_and_no_more_than_it_needs(void **state)
{
    (void)state;
    static const char *const bearer[] = {"Authorization: Bearer ghs_1_abc.def.ghi", NULL};
    static const struct {
        const char *granted, *body;
    } cases[] = {
        {"{\"actions\":\"write\",\"contents\":\"write\",\"checks\":\"read\",\"metadata\":\"read\","
         "\"administration\":\"write\"}",
            "{\"repositories\":[\"infra\"],\"permissions\":{\"actions\":\"write\",\"contents\":"
            "\"read\",\"checks\":\"read\"}}"},
        {"{\"actions\":\"write\",\"metadata\":\"read\"}",
            "{\"repositories\":[\"infra\"],\"permissions\":{\"actions\":\"write\"}}"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char installation[512];
        (void)snprintf(
            installation, sizeof(installation), "{\"id\":7,\"permissions\":%s}", cases[i].granted);
        const struct script_step steps[] = {
            {.url = GITHUB_REPO "/installation", .headers = jwt, .reply = installation},
            {.method = HTTP_POST,
                .url = MINT_URL,
                .headers = jwt,
                .body = cases[i].body,
                .status = 201,
                .reply =
                    "{\"token\":\"ghs_1_abc.def.ghi\",\"expires_at\":\"2026-11-21T08:48:00Z\"}"},
            {.url = RUN_URL, .headers = bearer, .reply = RUN("queued")},
        };
        struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_app(steps, 3);
        struct github_run *run = NULL;
        bool changed = false;
        assert_null(get_run(f, &run, &changed));
        assert_jwt_times(f, 0, FAKE_WALL_START);
        struct secret *token CLEANUP(secret_freep) = NULL;
        assert_null(github_client_token(f->client, &token));
        assert_string_equal(secret_expose(token).ptr, "ghs_1_abc.def.ghi");
        github_fixture_finish(f);
    }
}

#define INSTALLATION                                                                               \
    {                                                                                              \
        .url = GITHUB_REPO "/installation",                                                        \
        .reply = "{\"id\":7,\"permissions\":{\"actions\":\"write\",\"contents\":\"read\"}}"        \
    }
#define MINT(name, end)                                                                            \
    {                                                                                              \
        .method = HTTP_POST, .url = MINT_URL, .status = 201,                                       \
        .reply = "{\"token\":\"" name "\",\"expires_at\":\"" end "\"}"                             \
    }

static void
tokens_are_renewed_in_time(void **state)
{
    (void)state;
    static const char *const one[] = {"Authorization: Bearer ghs_one", NULL};
    static const char *const two[] = {"Authorization: Bearer ghs_two", NULL};
    static const struct {
        const char *expires;
        int64_t minutes;
    } cases[] = {
        {"2026-11-21T08:48:00Z", 48}, // 80 % of an hour comes before 50 minutes
        {"2026-11-21T07:58:00Z", 8},
        {"2026-11-21T09:48:00Z", 48}, // nothing lives longer than an hour
        {"not a time", 48},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char reply[256];
        (void)snprintf(reply, sizeof(reply), "{\"token\":\"ghs_one\",\"expires_at\":\"%s\"}",
            cases[i].expires);
        const struct script_step steps[] = {
            INSTALLATION,
            {.method = HTTP_POST, .url = MINT_URL, .status = 201, .reply = reply},
            {.url = RUN_URL, .headers = one, .reply = RUN("queued"), .times = 2},
            MINT("ghs_two", "2026-11-21T10:00:00Z"),
            {.url = RUN_URL, .headers = two, .reply = RUN("queued")},
        };
        struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_app(steps, 5);
        struct github_run *run = NULL;
        bool changed = false;
        assert_null(get_run(f, &run, &changed));
        fake_platform_advance(f->fake, cases[i].minutes * 60 * 1000 - 1);
        assert_null(get_run(f, &run, &changed));
        fake_platform_advance(f->fake, 1);
        assert_null(get_run(f, &run, &changed));
        github_fixture_finish(f);
    }
}

static void
an_old_token_serves_while_renewing_fails(void **state)
{
    (void)state;
    static const char *const one[] = {"Authorization: Bearer ghs_one", NULL};
    static const struct script_step steps[] = {
        INSTALLATION,
        MINT("ghs_one", "2026-11-21T08:48:00Z"),
        {.url = RUN_URL, .headers = one, .reply = RUN("queued")},
        {.method = HTTP_POST, .url = MINT_URL, .status = 502, .times = 5},
        {.url = RUN_URL, .headers = one, .reply = RUN("queued")},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_app(steps, 5);
    struct github_run *run = NULL;
    bool changed = false;
    assert_null(get_run(f, &run, &changed));
    fake_platform_advance(f->fake, 48 * 60 * 1000);
    assert_null(get_run(f, &run, &changed));
    github_fixture_finish(f);
}

static void
a_401_renews_once_then_fails(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        INSTALLATION,
        MINT("ghs_one", "2026-11-21T08:48:00Z"),
        {.url = RUN_URL, .status = 401, .reply = MESSAGE("Bad credentials")},
        MINT("ghs_two", "2026-11-21T08:48:00Z"),
        {.url = RUN_URL, .reply = RUN("queued")},
        {.url = RUN_URL, .status = 401, .reply = MESSAGE("Bad credentials")},
        MINT("ghs_three", "2026-11-21T08:48:00Z"),
        {.url = RUN_URL, .status = 401, .reply = MESSAGE("Bad credentials")},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_app(steps, 8);
    struct github_run *run = NULL;
    bool changed = false;
    assert_null(get_run(f, &run, &changed));
    assert_failure(get_run(f, &run, &changed), ERROR_CREDENTIALS, "Bad credentials",
        "App's id and private key");
    github_fixture_finish(f);
}

static void
a_clock_that_is_off_is_corrected_by_githubs(void **state)
{
    (void)state;
    static const char *const date[] = {"Date: Sat, 21 Nov 2026 07:00:00 GMT", NULL};
    static const struct script_step steps[] = {
        {.url = GITHUB_REPO "/installation",
            .status = 401,
            .reply_headers = date,
            .reply = MESSAGE("'Expiration time' claim ('exp') is too far in the future")},
        INSTALLATION,
        MINT("ghs_one", "2026-11-21T08:00:00Z"),
        {.url = RUN_URL, .reply = RUN("queued")},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_app(steps, 4);
    struct github_run *run = NULL;
    bool changed = false;
    assert_null(get_run(f, &run, &changed));
    assert_jwt_times(f, 0, FAKE_WALL_START);
    assert_jwt_times(f, 1, FAKE_WALL_START - 48 * 60 * 1000);
    github_fixture_finish(f);
}

static void
what_is_wrong_with_an_app_is_said(void **state)
{
    (void)state;
    static const char *const date[] = {"Date: Sat, 21 Nov 2026 07:48:00 GMT", NULL};
    static const struct {
        int status;
        const char *reply, *says, *hint;
        enum error_kind kind;
    } cases[] = {
        {401, MESSAGE("A JSON web token could not be decoded"), "could not be decoded",
            "belong together", ERROR_CREDENTIALS},
        {404, MESSAGE("Not Found"), "the App is not installed on 'octo/infra'", "Install it",
            ERROR_CREDENTIALS},
        {200, "{\"id\":7,\"suspended_at\":\"2026-01-01T00:00:00Z\"}", "is suspended", "unsuspend",
            ERROR_CREDENTIALS},
        {200, "{\"id\":7,\"permissions\":{\"actions\":\"read\"}}", "may not start workflows",
            "Actions: read and write", ERROR_CREDENTIALS},
        {200, "{\"id\":7,\"permissions\":{}}", "may not start workflows", NULL, ERROR_CREDENTIALS},
        {200, "{\"id\":0}", "the answer has no id", NULL, ERROR_UNAVAILABLE},
        {200, "{\"id\":\"7\"}", "the answer has no id", NULL, ERROR_UNAVAILABLE},
        {200, "[]", "the answer has no id", NULL, ERROR_UNAVAILABLE},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct script_step steps[] = {{.url = GITHUB_REPO "/installation",
            .status = cases[i].status,
            .reply_headers = date,
            .reply = cases[i].reply}};
        struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_app(steps, 1);
        struct secret *token = NULL;
        assert_failure(
            github_client_token(f->client, &token), cases[i].kind, cases[i].says, cases[i].hint);
        assert_null(token);
        github_fixture_finish(f);
    }
}

static void
asked_for_too_much_asks_for_less_then_tells(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        INSTALLATION,
        {.method = HTTP_POST,
            .url = MINT_URL,
            .body_pattern = "*contents*",
            .status = 422,
            .reply = MESSAGE("The permissions requested are not granted to this installation.")},
        {.method = HTTP_POST,
            .url = MINT_URL,
            .body = "{\"repositories\":[\"infra\"],\"permissions\":{\"actions\":\"write\"}}",
            .status = 422,
            .reply = MESSAGE("The permissions requested are not granted to this installation.")},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_app(steps, 3);
    struct secret *token = NULL;
    assert_failure(github_client_token(f->client, &token), ERROR_CREDENTIALS,
        "token of the App for 'octo/infra'", "Actions: read and write");
    github_fixture_finish(f);
}

static void
useless_mint_answers(void **state)
{
    (void)state;
    static const char *const replies[] = {"{}", "[]", "{\"token\":\"\"}", "{\"token\":7}"};
    for (size_t i = 0; i < ARRAY_LENGTH(replies); i++) {
        const struct script_step steps[] = {
            INSTALLATION,
            {.method = HTTP_POST, .url = MINT_URL, .status = 201, .reply = replies[i]},
        };
        struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_app(steps, 2);
        struct secret *token = NULL;
        assert_failure(github_client_token(f->client, &token), ERROR_UNAVAILABLE,
            "the answer holds none", NULL);
        github_fixture_finish(f);
    }
}

static void
an_installation_that_went_is_looked_for_again(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        INSTALLATION,
        {.method = HTTP_POST, .url = MINT_URL, .status = 404, .reply = MESSAGE("Not Found")},
        INSTALLATION,
        MINT("ghs_one", "2026-11-21T08:48:00Z"),
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_app(steps, 4);
    struct secret *token CLEANUP(secret_freep) = NULL;
    assert_failure(github_client_token(f->client, &token), ERROR_CREDENTIALS,
        "installation on 'octo/infra' is gone", "Install the App");
    assert_null(github_client_token(f->client, &token));
    github_fixture_finish(f);
}

static void
half_a_token_is_not_shown(void **state)
{
    (void)state;
    static const char *const replies[] = {"{\"token\":\"ghs_canary", "ghs_canary",
        "{\"token\":\"ghs_canary\",\"token\":\"ghs_canary\"}", "{\"token\":ghs_canary}"};
    for (size_t i = 0; i < ARRAY_LENGTH(replies); i++) {
        const struct script_step steps[] = {
            INSTALLATION,
            {.method = HTTP_POST, .url = MINT_URL, .status = 201, .reply = replies[i]},
        };
        struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_app(steps, 2);
        struct secret *token = NULL;
        struct error *err CLEANUP(error_freep) = github_client_token(f->client, &token);
        assert_non_null(err);
        char *text = error_text(err);
        assert_null(strstr(text, "canary"));
        free(text);
    }
}

static void
a_moved_repository_is_minted_for_by_id(void **state)
{
    (void)state;
    static const char *const by_id[] = {
        "Location: https://api.github.com/repositories/99/installation", NULL};
    static const struct script_step steps[] = {
        {.url = GITHUB_REPO "/installation", .status = 301, .reply_headers = by_id},
        {.url = GITHUB_API "/repositories/99/installation", .headers = jwt, .reply = "{\"id\":7}"},
        {.method = HTTP_POST,
            .url = MINT_URL,
            .body = "{\"repository_ids\":[99],\"permissions\":{\"actions\":\"write\"}}",
            .status = 201,
            .reply = "{\"token\":\"ghs_one\"}"},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_app(steps, 3);
    struct secret *token CLEANUP(secret_freep) = NULL;
    assert_null(github_client_token(f->client, &token));
    github_fixture_finish(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(an_enterprise_base_keeps_its_path),
        cmocka_unit_test(conditional_requests_cost_nothing_when_nothing_changed),
        cmocka_unit_test(an_answer_that_cannot_be_used_leaves_no_tag),
        cmocka_unit_test(not_modified_without_being_asked_is_no_answer),
        cmocka_unit_test(the_tag_cache_is_bounded),
        cmocka_unit_test(transient_failures_are_tried_again),
        cmocka_unit_test(without_a_deadline_five_tries_are_enough),
        cmocka_unit_test(with_a_deadline_tries_go_on_until_then),
        cmocka_unit_test(a_deadline_of_now_makes_a_single_try),
        cmocka_unit_test(a_signal_ends_the_waiting),
        cmocka_unit_test(limits_are_waited_out),
        cmocka_unit_test(secondary_limits_double),
        cmocka_unit_test(absurd_waits_are_capped),
        cmocka_unit_test(a_limit_beyond_the_deadline_fails_at_once_and_bars_the_next_call),
        cmocka_unit_test(refusals_are_final),
        cmocka_unit_test(long_words_are_cut),
        cmocka_unit_test(an_old_server_is_spoken_to_in_its_version),
        cmocka_unit_test(a_400_of_another_cause_keeps_the_version),
        cmocka_unit_test(a_renamed_repository_is_followed_and_remembered),
        cmocka_unit_test(a_new_name_in_the_location_is_taken),
        cmocka_unit_test(credentials_go_nowhere_else),
        cmocka_unit_test(circles_end),
        cmocka_unit_test(a_redirect_to_nowhere_is_no_answer),
        cmocka_unit_test(an_unreadable_new_name_is_refused),
        cmocka_unit_test(an_app_asks_for_one_repository_and_no_more_than_it_needs),
        cmocka_unit_test(tokens_are_renewed_in_time),
        cmocka_unit_test(an_old_token_serves_while_renewing_fails),
        cmocka_unit_test(a_401_renews_once_then_fails),
        cmocka_unit_test(a_clock_that_is_off_is_corrected_by_githubs),
        cmocka_unit_test(what_is_wrong_with_an_app_is_said),
        cmocka_unit_test(asked_for_too_much_asks_for_less_then_tells),
        cmocka_unit_test(useless_mint_answers),
        cmocka_unit_test(an_installation_that_went_is_looked_for_again),
        cmocka_unit_test(half_a_token_is_not_shown),
        cmocka_unit_test(a_moved_repository_is_minted_for_by_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
