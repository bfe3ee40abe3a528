// Every request that github/ makes, judged by Prism with GitHub's own OpenAPI description.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "github_prism.h"

#define REPOSITORY GITHUB_PRISM_REPOSITORY

// --- the calls
// -------------------------------------------------------------------------------------

static struct pair inputs[] = {{"application", "shop"}, {"environment", "production"},
    {"distinct_id", "d-abcdefghijklmnopqrst-1"}};
static const struct github_dispatch dispatch = {"deploy-app.yaml", "main", {inputs, 3}};

static void
dispatching(void **state)
{
    struct github_prism *world = *state;
    struct github_dispatch_result result;
    github_dispatch_send(world->client, &dispatch, world->arena, &result);
    github_prism_succeed(result.error);
    if (world->filter.knows_details) {
        assert_int_equal(result.class, GITHUB_SENT_KNOWN);
        assert_int_equal(result.run_id, 1);
        assert_string_equal(result.html_url, "https://github.com/" REPOSITORY "/actions/runs/1");
        assert_int_equal(world->filter.posts, 1);
    } else {
        assert_int_equal(result.class, GITHUB_SENT_ANON);
        assert_int_equal(world->filter.last_status, 204);
        assert_int_equal(world->filter.posts, 2); // asked for details, then plainly
    }
    assert_int_equal(result.posts, world->filter.posts);
    assert_true(result.sent_at_ms > 0);
}

// Without a read before it, the dispatch itself has to find out what the server knows.
static void
dispatching_where_204_is_the_answer(void **state)
{
    struct github_prism *world = *state;
    if (strstr(world->contract, "2026") != NULL) {
        return; // declares 200 only
    }
    world->filter.prefer = "code=204";
    struct github_dispatch_result result;
    github_dispatch_send(world->client, &dispatch, world->arena, &result);
    github_prism_succeed(result.error);
    assert_int_equal(result.class, GITHUB_SENT_ANON);
}

// Validation is on: what is wrong does not pass.
static void
a_wrong_dispatch_is_refused(void **state)
{
    struct github_prism *world = *state;
    static struct pair many[26];
    static char names[26][4];
    for (size_t i = 0; i < 26; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "i%zu", i);
        many[i] = (struct pair){names[i], "x"};
    }
    world->filter.may_refuse = true;
    world->filter.knows_details = true; // let Prism judge all of it
    const struct github_dispatch wrong = {"deploy-app.yaml", "main", {many, 26}};
    struct github_dispatch_result result;
    github_dispatch_send(world->client, &wrong, world->arena, &result);
    assert_int_equal(result.class, GITHUB_AMBIGUOUS); // a 422, but not in GitHub's words
    assert_int_equal(world->filter.last_status, 422);
    github_prism_fail(result.error, "HTTP 422");
}

static void
reading_a_run(void **state)
{
    struct github_prism *world = *state;
    struct github_run *run = NULL;
    bool changed = false;
    github_prism_succeed(github_run_get(world->client, 30433642, world->arena, &run, &changed));
    assert_true(changed);
    assert_int_equal(run->id, 30433642);
    assert_string_equal(run->status, "queued");
    assert_null(run->conclusion);
    assert_true(run->created_ms > 0);
}

static void
listing_runs(void **state)
{
    struct github_prism *world = *state;
    struct github_run *runs = NULL;
    size_t count = 0;
    github_prism_succeed(github_runs_list(
        world->client, "deploy-app.yaml", 1577836800000, world->arena, &runs, &count));
    assert_int_equal(count, 1);
    assert_int_equal(runs[0].id, 30433642);
}

static void
listing_jobs(void **state)
{
    struct github_prism *world = *state;
    struct github_job *jobs = NULL;
    size_t count = 0;
    bool changed = false;
    github_prism_succeed(
        github_jobs_list(world->client, 29679449, world->arena, &jobs, &count, &changed));
    assert_int_equal(count, 1);
    assert_int_equal(jobs[0].id, 399444496);
    assert_int_equal(jobs[0].check_run_id, 399444496);
    assert_true(jobs[0].step_count > 0);
    assert_true(jobs[0].steps[0].started_ms > 0); // with an offset and a fraction
}

static void
reading_annotations(void **state)
{
    struct github_prism *world = *state;
    struct github_annotation *notes = NULL;
    size_t count = 0;
    github_prism_succeed(
        github_annotations(world->client, 399444496, world->arena, &notes, &count));
    assert_int_equal(count, 1);
    assert_string_equal(notes[0].level, "warning");
}

static void
reading_a_log(void **state)
{
    struct github_prism *world = *state;
    const char *text = NULL;
    const struct github_log_part last = {.lines = 1};
    github_prism_succeed(github_job_log_tail(world->client, 399444496, &last, world->arena, &text));
    assert_int_equal(world->filter.last_status, 302);
    assert_string_equal(text, "2020-01-20T17:42:41.0000000Z two\n");
}

static void
cancelling(void **state)
{
    struct github_prism *world = *state;
    github_prism_succeed(github_run_cancel(world->client, 30433642));
    assert_int_equal(world->filter.last_status, 202);
}

static void
cancelling_what_has_finished(void **state)
{
    struct github_prism *world = *state;
    world->filter.prefer = "code=409";
    world->filter.may_refuse = true;
    github_prism_succeed(github_run_cancel(world->client, 30433642));
    assert_int_equal(world->filter.last_status, 409);
}

// GitHub's example of a file is no workflow; that the request is right is what counts.
static void
reading_a_workflow(void **state)
{
    struct github_prism *world = *state;
    world->filter.prefer = "example=response-if-content-is-a-file";
    struct github_workflow *workflow = NULL;
    github_prism_fail(github_workflow_read(
                          world->client, "deploy-app.yaml", "feature/a b", world->arena, &workflow),
        "workflow 'deploy-app.yaml' of '" REPOSITORY "'");
    assert_int_equal(world->filter.last_status, 200);
}

static void
reading_a_workflows_state(void **state)
{
    struct github_prism *world = *state;
    const char *text = NULL;
    github_prism_succeed(
        github_workflow_state(world->client, "deploy-app.yaml", world->arena, &text));
    assert_string_equal(text, "active");
}

static void
an_app_that_may_not(void **state)
{
    struct github_prism *world = *state;
    struct github_client *client CLEANUP(github_client_freep) = github_prism_client(world, true);
    struct secret *token CLEANUP(secret_freep) = NULL;
    github_prism_fail(
        github_client_token(client, &token), "may not start workflows of '" REPOSITORY "'");
    assert_int_equal(world->filter.last_status, 200);
}

// Finds the installation, mints, asks who it is and what is left.
static void
an_app(void **state)
{
    struct github_prism *world = *state;
    world->filter.grants = "{\"actions\":\"write\",\"contents\":\"read\",\"checks\":\"read\"}";
    struct github_client *client CLEANUP(github_client_freep) = github_prism_client(world, true);
    struct secret *token CLEANUP(secret_freep) = NULL;
    github_prism_succeed(github_client_token(client, &token));
    assert_int_equal(world->filter.last_status, 201);
    assert_true(secret_expose(token).len > 0);
    struct github_self self;
    github_prism_succeed(github_self(client, world->arena, &self));
    assert_string_equal(self.login, "octoapp");
    assert_int_equal(self.quota_limit, 5000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            dispatching, github_prism_dispatching, github_prism_tear_down),
        cmocka_unit_test_setup_teardown(
            dispatching_where_204_is_the_answer, github_prism_dispatching, github_prism_tear_down),
        cmocka_unit_test_setup_teardown(
            a_wrong_dispatch_is_refused, github_prism_dispatching, github_prism_tear_down),
        cmocka_unit_test_setup_teardown(
            reading_a_run, github_prism_dispatching, github_prism_tear_down),
        cmocka_unit_test_setup_teardown(
            listing_runs, github_prism_dispatching, github_prism_tear_down),
        cmocka_unit_test_setup_teardown(
            listing_jobs, github_prism_dispatching, github_prism_tear_down),
        cmocka_unit_test_setup_teardown(
            reading_annotations, github_prism_dispatching, github_prism_tear_down),
        cmocka_unit_test_setup_teardown(
            reading_a_log, github_prism_dispatching, github_prism_tear_down),
        cmocka_unit_test_setup_teardown(
            cancelling, github_prism_dispatching, github_prism_tear_down),
        cmocka_unit_test_setup_teardown(
            cancelling_what_has_finished, github_prism_dispatching, github_prism_tear_down),
        cmocka_unit_test_setup_teardown(
            reading_a_workflow, github_prism_dispatching, github_prism_tear_down),
        cmocka_unit_test_setup_teardown(
            reading_a_workflows_state, github_prism_dispatching, github_prism_tear_down),
        cmocka_unit_test_setup_teardown(
            an_app_that_may_not, github_prism_dispatching, github_prism_tear_down),
        cmocka_unit_test_setup_teardown(an_app, github_prism_dispatching, github_prism_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
