// Jobs, steps and annotations, and when a list of jobs may be conditional.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "github_fixture.h"
#include "github_internal.h"

#define MESSAGE(text) "{\"message\":\"" text "\"}"
#define JOBS_URL GITHUB_REPO "/actions/runs/7/jobs?filter=latest&per_page=100"
#define NOTES_URL GITHUB_REPO "/check-runs/4/annotations?per_page=100"

static const char *const tag[] = {"ETag: \"j\"", NULL};
static const char *const asked[] = {"If-None-Match: \"j\"", NULL};
static const char *const not_asked[] = {"!If-None-Match", NULL};

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
jobs_and_steps_are_read(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = JOBS_URL,
            .headers = not_asked,
            .reply_headers = tag,
            .reply =
                "{\"total_count\":2,\"jobs\":[{\"id\":11,\"name\":\"deploy\",\"status\":"
                "\"completed\",\"conclusion\":\"failure\",\"html_url\":\"https://h\","
                "\"check_run_url\":\"https://api.github.com/repos/octo/infra/check-runs/44\","
                "\"started_at\":\"2026-11-21T07:48:00Z\",\"completed_at\":\"2026-11-21T07:49:00Z\","
                "\"steps\":[{\"name\":\"apply\",\"status\":\"completed\",\"conclusion\":"
                "\"failure\","
                "\"number\":3,\"started_at\":\"2026-11-21T07:48:10Z\",\"completed_at\":"
                "\"2026-11-21T07:48:20Z\"},{\"name\":\"later\",\"status\":\"queued\","
                "\"conclusion\":null,\"number\":4,\"started_at\":null,\"completed_at\":null}]},"
                "{\"id\":12,\"name\":\"after\",\"status\":\"queued\",\"conclusion\":null,"
                "\"html_url\":null,\"check_run_url\":\"https://x/check-runs/zz\"}]}"},
        {.url = JOBS_URL, .headers = asked, .status = 304},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 2);
    struct github_job *jobs = NULL;
    size_t count = 0;
    bool changed = false;
    assert_null(github_jobs_list(f->client, 7, f->arena, &jobs, &count, &changed));
    assert_true(changed);
    assert_int_equal(count, 2);
    assert_int_equal(jobs[0].id, 11);
    assert_string_equal(jobs[0].name, "deploy");
    assert_string_equal(jobs[0].conclusion, "failure");
    assert_int_equal(jobs[0].check_run_id, 44);
    assert_int_equal(jobs[0].started_ms, FAKE_WALL_START);
    assert_int_equal(jobs[0].completed_ms, FAKE_WALL_START + 60000);
    assert_int_equal(jobs[0].step_count, 2);
    assert_string_equal(jobs[0].steps[0].name, "apply");
    assert_int_equal(jobs[0].steps[0].number, 3);
    assert_int_equal(jobs[0].steps[0].started_ms, FAKE_WALL_START + 10000);
    assert_int_equal(jobs[0].steps[0].completed_ms, FAKE_WALL_START + 20000);
    assert_null(jobs[0].steps[1].conclusion);
    assert_int_equal(jobs[0].steps[1].started_ms, 0);
    assert_null(jobs[1].html_url);
    assert_int_equal(jobs[1].check_run_id, 0);
    assert_int_equal(jobs[1].step_count, 0);
    struct github_job *same = jobs;
    assert_null(github_jobs_list(f->client, 7, f->arena, &jobs, &count, &changed));
    assert_false(changed);
    assert_ptr_equal(jobs, same);
    assert_int_equal(count, 2);
    github_fixture_finish(f);
}

// A job on the second page may change while the first page stays the same.
static void
several_pages_are_never_conditional(void **state)
{
    (void)state;
    static const char *const next[] = {"ETag: \"j\"",
        "Link: <https://api.github.com/repositories/9/jobs?page=2>; rel=\"next\"", NULL};
    static const struct script_step steps[] = {
        {.url = JOBS_URL,
            .headers = not_asked,
            .reply_headers = next,
            .reply = "{\"jobs\":[{\"id\":1,\"name\":\"a\"}]}"},
        {.url = GITHUB_API "/repositories/9/jobs?page=2",
            .headers = not_asked,
            .reply_headers = tag,
            .reply = "{\"jobs\":[{\"id\":2,\"name\":\"b\"}]}"},
        {.url = JOBS_URL, .headers = not_asked, .reply = "{\"jobs\":[{\"id\":1,\"name\":\"a\"}]}"},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 3);
    struct github_job *jobs = NULL;
    size_t count = 0;
    bool changed = false;
    assert_null(github_jobs_list(f->client, 7, f->arena, &jobs, &count, &changed));
    assert_int_equal(count, 2);
    assert_string_equal(jobs[1].name, "b");
    assert_null(github_jobs_list(f->client, 7, f->arena, &jobs, &count, &changed));
    assert_int_equal(count, 1);
    github_fixture_finish(f);
}

static void
a_page_that_is_gone_fails_the_list(void **state)
{
    (void)state;
    static const char *const next[] = {
        "Link: <https://api.github.com/repositories/9/jobs?page=2>; rel=\"next\"", NULL};
    static const struct script_step steps[] = {
        {.url = JOBS_URL, .reply_headers = next, .reply = "{\"jobs\":[{\"id\":1,\"name\":\"a\"}]}"},
        {.url = GITHUB_API "/repositories/9/jobs?page=2", .status = 404, .reply = MESSAGE("gone")},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 2);
    struct github_job *jobs = NULL;
    size_t count = 0;
    bool changed = false;
    assert_failure(github_jobs_list(f->client, 7, f->arena, &jobs, &count, &changed),
        ERROR_UNAVAILABLE, "page 2 is gone");
    github_fixture_finish(f);
}

static void
malformed_jobs_are_no_answer(void **state)
{
    (void)state;
    static const char *const replies[] = {"{}", "[]", "{\"jobs\":{}}", "{\"jobs\":[7]}",
        "{\"jobs\":[{\"id\":1}]}", "{\"jobs\":[{\"id\":1,\"name\":\"a\",\"steps\":[{}]}]}",
        "{\"jobs\":[{\"id\":\"1\",\"name\":\"a\"}]}"};
    for (size_t i = 0; i < ARRAY_LENGTH(replies); i++) {
        const struct script_step steps[] = {
            {.url = JOBS_URL, .headers = not_asked, .reply_headers = tag, .reply = replies[i]},
            {.url = JOBS_URL, .headers = not_asked, .status = 404, .reply = MESSAGE("Not Found")},
        };
        struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 2);
        struct github_job *jobs = NULL;
        size_t count = 3;
        bool changed = false;
        assert_failure(github_jobs_list(f->client, 7, f->arena, &jobs, &count, &changed),
            ERROR_UNAVAILABLE, "jobs of run 7 of 'octo/infra'");
        assert_int_equal(count, 3);
        assert_null(github_jobs_list(f->client, 7, f->arena, &jobs, &count, &changed)); // 404
        assert_int_equal(count, 0);
        assert_true(changed);
        github_fixture_finish(f);
    }
}

static void
annotations_are_read(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.url = NOTES_URL,
        .reply = "[{\"path\":\"main.tf\",\"start_line\":12,\"annotation_level\":\"failure\","
                 "\"title\":\"t\",\"message\":\"m\"},{\"path\":\".github\",\"start_line\":1,"
                 "\"annotation_level\":null,\"title\":null,\"message\":null}]"}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    struct github_annotation *notes = NULL;
    size_t count = 0;
    assert_null(github_annotations(f->client, 4, f->arena, &notes, &count));
    assert_int_equal(count, 2);
    assert_string_equal(notes[0].path, "main.tf");
    assert_int_equal(notes[0].line, 12);
    assert_string_equal(notes[0].level, "failure");
    assert_string_equal(notes[0].title, "t");
    assert_string_equal(notes[0].message, "m");
    assert_string_equal(notes[1].level, "notice");
    assert_string_equal(notes[1].message, "");
}

static void
annotations_that_may_not_be_read_are_none(void **state)
{
    (void)state;
    static const int statuses[] = {403, 404};
    for (size_t i = 0; i < ARRAY_LENGTH(statuses); i++) {
        const struct script_step steps[] = {{.url = NOTES_URL,
            .status = statuses[i],
            .reply = MESSAGE("Resource not accessible by personal access token")}};
        struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
        struct github_annotation *notes = NULL;
        size_t count = 9;
        assert_null(github_annotations(f->client, 4, f->arena, &notes, &count));
        assert_int_equal(count, 0);
        github_fixture_finish(f);
    }
}

static void
other_failures_of_annotations_are_told(void **state)
{
    (void)state;
    static const struct script_step cases[] = {
        {.url = NOTES_URL, .reply = "{}"},
        {.url = NOTES_URL, .reply = "[7]"},
        {.url = NOTES_URL, .status = 502, .times = 5},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(&cases[i], 1);
        struct github_annotation *notes = NULL;
        size_t count = 0;
        assert_failure(github_annotations(f->client, 4, f->arena, &notes, &count),
            ERROR_UNAVAILABLE, "annotations of check run 4");
        github_fixture_finish(f);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_and_steps_are_read),
        cmocka_unit_test(several_pages_are_never_conditional),
        cmocka_unit_test(a_page_that_is_gone_fails_the_list),
        cmocka_unit_test(malformed_jobs_are_no_answer),
        cmocka_unit_test(annotations_are_read),
        cmocka_unit_test(annotations_that_may_not_be_read_are_none),
        cmocka_unit_test(other_failures_of_annotations_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
