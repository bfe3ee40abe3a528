// Runs: one run's fields, whole listings or none, cancelling.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "github_fixture.h"
#include "github_internal.h"

#define MESSAGE(text) "{\"message\":\"" text "\"}"
#define LIST_URL                                                                                   \
    GITHUB_REPO "/actions/workflows/deploy-app.yaml/runs?event=workflow_dispatch&per_page=100&"    \
                "created=%3E%3D2026-11-21T07%3A46%3A00Z"
#define ITEM(id)                                                                                   \
    "{\"id\":" #id ",\"html_url\":\"u\",\"path\":\"p\",\"event\":\"workflow_dispatch\","           \
    "\"head_sha\":\"s\",\"created_at\":\"2026-11-21T07:48:00Z\"}"

static const int64_t since = FAKE_WALL_START - 120 * 1000;

static void
assert_failure(struct error *err, enum error_kind kind, const char *says)
{
    assert_non_null(err);
    char *text = error_text(err);
    if (strstr(text, says) == NULL) {
        fail_msg("'%s' does not say '%s'", text, says);
    }
    free(text);
    assert_int_equal(error_kind(err), kind);
    error_free(err);
}

static void
every_field_is_read(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.url = GITHUB_REPO "/actions/runs/30433642",
        .reply = "{\"id\":30433642,\"run_attempt\":2,\"status\":\"completed\",\"conclusion\":"
                 "\"failure\",\"html_url\":\"https://github.com/octo/infra/actions/runs/30433642\","
                 "\"display_title\":\"deploy d-1 \\u001b\",\"path\":\".github/workflows/a.yaml\","
                 "\"head_branch\":\"main\",\"event\":\"workflow_dispatch\",\"head_sha\":\"abc\","
                 "\"actor\":{\"login\":\"app[bot]\"},\"created_at\":\"2026-11-21T07:48:00Z\","
                 "\"run_started_at\":\"2026-11-21T07:48:01Z\",\"updated_at\":"
                 "\"2026-11-21T07:48:02Z\",\"new_member\":{\"x\":[1]}}"}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    struct github_run *run = NULL;
    bool changed = false;
    assert_null(github_run_get(f->client, 30433642, f->arena, &run, &changed));
    assert_int_equal(run->id, 30433642);
    assert_int_equal(run->run_attempt, 2);
    assert_string_equal(run->status, "completed");
    assert_string_equal(run->conclusion, "failure");
    assert_string_equal(run->html_url, "https://github.com/octo/infra/actions/runs/30433642");
    assert_string_equal(run->display_title, "deploy d-1 \x1b"); // as sent
    assert_string_equal(run->path, ".github/workflows/a.yaml");
    assert_string_equal(run->head_branch, "main");
    assert_string_equal(run->event, "workflow_dispatch");
    assert_string_equal(run->head_sha, "abc");
    assert_string_equal(run->actor, "app[bot]");
    assert_int_equal(run->created_ms, FAKE_WALL_START);
    assert_int_equal(run->started_ms, FAKE_WALL_START + 1000);
    assert_int_equal(run->updated_ms, FAKE_WALL_START + 2000);
    assert_true(github_run_is_complete(run));
}

static void
nulls_and_absence_are_not_completion(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.url = GITHUB_REPO "/actions/runs/5",
        .reply = "{\"id\":5,\"status\":null,\"conclusion\":null,\"html_url\":\"u\",\"path\":\"p\","
                 "\"event\":\"e\",\"head_sha\":\"s\",\"head_branch\":null,\"actor\":null,"
                 "\"created_at\":\"2026-11-21T07:48:00Z\"}"}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    struct github_run *run = NULL;
    bool changed = false;
    assert_null(github_run_get(f->client, 5, f->arena, &run, &changed));
    assert_string_equal(run->status, "unknown");
    assert_null(run->conclusion);
    assert_string_equal(run->head_branch, "");
    assert_string_equal(run->actor, "");
    assert_string_equal(run->display_title, "");
    assert_int_equal(run->run_attempt, 1);
    assert_int_equal(run->started_ms, 0);
    assert_false(github_run_is_complete(run));
}

static void
only_completed_is_complete(void **state)
{
    (void)state;
    static const char *const others[] = {"queued", "requested", "pending", "waiting", "in_progress",
        "unknown", "something new", "Completed", ""};
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        const struct github_run run = {.status = others[i], .conclusion = "success"};
        assert_false(github_run_is_complete(&run));
    }
}

static void
malformed_runs_are_no_answer(void **state)
{
    (void)state;
    static const char *const replies[] = {
        "{\"id\":6,\"html_url\":\"u\",\"path\":\"p\",\"event\":\"e\",\"head_sha\":\"s\","
        "\"created_at\":\"2026-11-21T07:48:00Z\"}", // another run
        "{\"id\":5,\"html_url\":\"u\",\"path\":\"p\",\"event\":\"e\",\"head_sha\":\"s\","
        "\"created_at\":\"yesterday\"}",
        "{\"id\":\"5\",\"html_url\":\"u\",\"path\":\"p\",\"event\":\"e\",\"head_sha\":\"s\","
        "\"created_at\":\"2026-11-21T07:48:00Z\"}",
        "{\"id\":5,\"status\":7,\"html_url\":\"u\",\"path\":\"p\",\"event\":\"e\","
        "\"head_sha\":\"s\",\"created_at\":\"2026-11-21T07:48:00Z\"}",
        "{\"id\":5,\"id\":5}", "[5]", "5", "null", "{", ""};
    for (size_t i = 0; i < ARRAY_LENGTH(replies); i++) {
        const struct script_step steps[] = {
            {.url = GITHUB_REPO "/actions/runs/5", .reply = replies[i]}};
        struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
        struct github_run *run = NULL;
        bool changed = false;
        assert_failure(github_run_get(f->client, 5, f->arena, &run, &changed), ERROR_UNAVAILABLE,
            "run 5 of 'octo/infra'");
        assert_null(run);
        github_fixture_finish(f);
    }
}

// --- lists
// -----------------------------------------------------------------------------------------

static void
all_pages_are_read_and_doubles_dropped(void **state)
{
    (void)state;
    static const char *const link_1[] = {
        "Link: <https://api.github.com/repositories/9/runs?page=2>; rel=\"next\", "
        "<https://api.github.com/repositories/9/runs?page=3>; rel=\"last\"",
        NULL};
    static const char *const link_2[] = {
        "Link: <https://api.github.com/repositories/9/runs?page=1>; rel=\"prev\", "
        "<https://api.github.com/repositories/9/runs?page=3>; rel=\"next\"",
        NULL};
    static const char *const link_3[] = {
        "Link: <https://api.github.com/repositories/9/runs?page=2>; rel=\"prev\"", NULL};
    static const struct script_step steps[] = {
        {.url = LIST_URL,
            .reply_headers = link_1,
            .reply = "{\"total_count\":4,\"workflow_runs\":[" ITEM(1) "," ITEM(2) "]}"},
        {.url = GITHUB_API "/repositories/9/runs?page=2",
            .reply_headers = link_2,
            .reply = "{\"total_count\":5,\"workflow_runs\":[" ITEM(2) "," ITEM(3) "]}"},
        {.url = GITHUB_API "/repositories/9/runs?page=3",
            .reply_headers = link_3,
            .reply = "{\"total_count\":5,\"workflow_runs\":[" ITEM(4) "]}"},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 3);
    struct github_run *runs = NULL;
    size_t count = 0;
    assert_null(github_runs_list(f->client, "deploy-app.yaml", since, f->arena, &runs, &count));
    assert_int_equal(count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(runs[i].id, (int64_t)i + 1);
    }
    github_fixture_finish(f);
}

static void
an_empty_list_is_a_list(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = LIST_URL, .reply = "{\"total_count\":0,\"workflow_runs\":[]}"}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    struct github_run *runs = NULL;
    size_t count = 7;
    assert_null(github_runs_list(f->client, "deploy-app.yaml", since, f->arena, &runs, &count));
    assert_int_equal(count, 0);
    github_fixture_finish(f);
}

static void
a_list_that_is_not_whole_is_no_list(void **state)
{
    (void)state;
    static const char *const next[] = {
        "Link: <https://api.github.com/repositories/9/runs?page=2>; rel=\"next\"", NULL};
    static const char *const foreign[] = {
        "Link: <https://evil.example/runs?page=2>; rel=\"next\"", NULL};
    static const char *const reset[] = {NULL};
    static const struct {
        struct script_step steps[2];
        size_t count;
        enum error_kind kind;
        const char *says;
    } cases[] = {
        {{{.url = LIST_URL, .reply = "{\"total_count\":2,\"workflow_runs\":[" ITEM(1) "]}"}}, 1,
            ERROR_UNAVAILABLE, "only 1 of 2 runs were listed"},
        {{{.url = LIST_URL, .reply = "{\"total_count\":1001,\"workflow_runs\":[]}"}}, 1,
            ERROR_UNAVAILABLE, "1001 runs are more than GitHub lists (1000)"},
        {{{.url = LIST_URL, .reply = "{\"workflow_runs\":[]}"}}, 1, ERROR_UNAVAILABLE,
            "no list of runs"},
        {{{.url = LIST_URL, .reply = "{\"total_count\":0}"}}, 1, ERROR_UNAVAILABLE,
            "no list of runs"},
        {{{.url = LIST_URL, .reply = "{\"total_count\":1,\"workflow_runs\":[{}]}"}}, 1,
            ERROR_UNAVAILABLE, "unusable answer"},
        {{{.url = LIST_URL, .reply = "{\"total_count\":1,\"workflow_runs\":[7]}"}}, 1,
            ERROR_UNAVAILABLE, "unusable answer"},
        {{{.url = LIST_URL,
             .reply_headers = foreign,
             .reply = "{\"total_count\":1,\"workflow_runs\":[" ITEM(1) "]}"}},
            1, ERROR_UNAVAILABLE, "the next page is not of this API"},
        {{{.url = LIST_URL,
              .reply_headers = next,
              .reply = "{\"total_count\":2,\"workflow_runs\":[" ITEM(1) "]}"},
             {.url = GITHUB_API "/repositories/9/runs?page=2",
                 .status = 502,
                 .reply_headers = reset,
                 .times = 5}},
            2, ERROR_UNAVAILABLE, "gave up after 5 tries"},
        {{{.url = LIST_URL, .status = 404, .reply = MESSAGE("Not Found")}}, 1, ERROR_REFUSED,
            "the workflow is not there"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct github_fixture *f CLEANUP(github_fixture_freep) =
            github_fixture_token(cases[i].steps, cases[i].count);
        struct github_run *runs = NULL;
        size_t count = 0;
        assert_failure(
            github_runs_list(f->client, "deploy-app.yaml", since, f->arena, &runs, &count),
            cases[i].kind, cases[i].says);
        assert_null(runs);
        github_fixture_finish(f);
    }
}

static void
endless_pages_end(void **state)
{
    (void)state;
    static const char *const again[] = {"Link: <" LIST_URL ">; rel=\"next\"", NULL};
    static const struct script_step steps[] = {{.url = LIST_URL,
        .reply_headers = again,
        .times = 11,
        .reply = "{\"total_count\":1,\"workflow_runs\":[" ITEM(1) "]}"}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    struct github_run *runs = NULL;
    size_t count = 0;
    assert_failure(github_runs_list(f->client, "deploy-app.yaml", since, f->arena, &runs, &count),
        ERROR_UNAVAILABLE, "more than 11 pages");
    github_fixture_finish(f);
}

// --- cancelling ----------------------------------------------------------------------------------

static void
cancelling_twice_is_fine(void **state)
{
    (void)state;
    static const struct {
        struct script_step step;
        enum error_kind kind;
        const char *says;
    } cases[] = {
        {{.status = 202, .reply = "{}"}, 0, NULL},
        {{.status = 409, .reply = MESSAGE("Cannot cancel a workflow run that is completed.")}, 0,
            NULL},
        {{.status = 404, .reply = MESSAGE("Not Found")}, ERROR_REFUSED, "it is not there"},
        {{.status = 403, .reply = MESSAGE("no")}, ERROR_CREDENTIALS,
            "cancel run 7 of 'octo/infra'"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct script_step step = cases[i].step;
        step.method = HTTP_POST;
        step.url = GITHUB_REPO "/actions/runs/7/cancel";
        step.no_body = true;
        struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(&step, 1);
        struct error *err = github_run_cancel(f->client, 7);
        if (cases[i].says == NULL) {
            assert_null(err);
        } else {
            assert_failure(err, cases[i].kind, cases[i].says);
        }
        github_fixture_finish(f);
    }
}

static void
cancelling_survives_a_hiccup(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST, .url = GITHUB_REPO "/actions/runs/7/cancel", .status = 502},
        {.method = HTTP_POST, .url = GITHUB_REPO "/actions/runs/7/cancel", .status = 202},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 2);
    assert_null(github_run_cancel(f->client, 7));
    github_fixture_finish(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_is_read),
        cmocka_unit_test(nulls_and_absence_are_not_completion),
        cmocka_unit_test(only_completed_is_complete),
        cmocka_unit_test(malformed_runs_are_no_answer),
        cmocka_unit_test(all_pages_are_read_and_doubles_dropped),
        cmocka_unit_test(an_empty_list_is_a_list),
        cmocka_unit_test(a_list_that_is_not_whole_is_no_list),
        cmocka_unit_test(endless_pages_end),
        cmocka_unit_test(cancelling_twice_is_fine),
        cmocka_unit_test(cancelling_survives_a_hiccup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
