// What is done with a deployment later: --no-wait, resolve, cancel, and re-runs of the CI job.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_story.h"
#include "dispatcher/memory.h"

#define PUT "put " STORY_PARAMETER "=v2\n"
#define LABEL "label " STORY_PARAMETER ":2 deployed\n"
#define SAYS "deploy 'shop' to 'staging': "
#define RESTORED "parameter " STORY_PARAMETER " is restored ('v1' is back as version 3)"

static const struct world_fault lost_request[] = {
    {.match = "POST */dispatches", .kind = FAULT_RESET}, {0}};

static void
expect_error(const struct story *s, enum error_kind kind, const char *text)
{
    assert_non_null(s->err);
    char *actual CLEANUP(xfreep) = error_text(s->err);
    assert_string_equal(actual, text);
    assert_int_equal(error_kind(s->err), kind);
}

// --- --no-wait ---------------------------------------------------------------------------------

static void
test_no_wait(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->request.no_wait = true;
    story_deploy(s);
    story_expect_open(s, 10, "triggered",
        "'shop' to 'staging': run 29020317001 was triggered and goes on; nothing is proven yet");
    assert_int_equal(s->world->runs[0].looks, 0);
    story_resume(s);
    story_expect(s, 0, "deployed", NULL);
    assert_int_equal(s->world->posts, 1);
}

// --- resolve -----------------------------------------------------------------------------------

static void
test_adopt(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->faults = lost_request;
    story_deploy(s);
    story_expect(s, 9, "unknown", NULL);
    struct world_run *other = world_run_add(s->world, "deploy d-another-1", world_now(s->world));
    story_resolve(s, 4711);
    expect_error(s, ERROR_USAGE, "run 4711 is not in 'octo/infra'");
    story_resolve(s, other->id); // shows another id
    assert_int_equal(error_kind(s->err), ERROR_USAGE);
    assert_string_equal(error_hint_of(s->err), "It is " STORY_RUN_URL ": 'deploy d-another-1'.");
    story_resume(s);
    story_expect(s, 9, "unknown", NULL);
    struct world_run *ours = world_run_add(
        s->world, arena_printf(s->arena, "deploy %s", s->d->dispatch_id), world_now(s->world));
    ours->hidden = 999;
    story_resolve(s, ours->id);
    story_expect(s, 0, "deployed", NULL);
    assert_true(s->d->run_id == ours->id);
    assert_string_equal(s->d->dispatch_state, "adopted");
    assert_int_equal(s->world->posts, 0);
    story_resolve(s, ours->id);
    assert_int_equal(error_kind(s->err), ERROR_USAGE); // leaves nothing to resolve
}

// Over already when it is adopted: the first look must not be answered with "not changed".
static void
test_adopt_what_is_over(void **state)
{
    (void)state;
    static const char *const over[] = {"completed:success", NULL};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->faults = lost_request;
    s->world->life = over;
    story_deploy(s);
    struct world_run *ours = world_run_add(
        s->world, arena_printf(s->arena, "deploy %s", s->d->dispatch_id), world_now(s->world));
    story_resolve(s, ours->id);
    story_expect(s, 0, "deployed", NULL);
}

static void
test_adopt_of_another_workflow(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->faults = lost_request;
    story_deploy(s);
    struct world_run *other = world_run_add(
        s->world, arena_printf(s->arena, "deploy %s", s->d->dispatch_id), world_now(s->world));
    memcpy(other->path, ".github/workflows/destroy.yaml", sizeof(".github/workflows/destroy.yaml"));
    story_resolve(s, other->id);
    assert_int_equal(error_kind(s->err), ERROR_USAGE);
}

static void
test_abandon(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->faults = lost_request;
    story_deploy(s);
    story_expect(s, 9, "unknown", NULL);
    story_resolve(s, 0);
    story_expect(
        s, 7, "failed", SAYS "declared as never run by 'dispatcher resolve --abandon'; " RESTORED);
    assert_string_equal(world_value(s->world, STORY_PARAMETER), "v1");
    const char *id = s->d->id;
    story_resolve(s, 0);
    expect_error(
        s, ERROR_USAGE, arena_printf(s->arena, "deployment '%s' leaves nothing to resolve", id));
}

// --- cancel ------------------------------------------------------------------------------------

static void
test_cancel(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->request.no_wait = true;
    story_deploy(s);
    story_cancel(s);
    assert_null(s->err);
    assert_true(s->world->runs[0].cancelled);
    story_resume(s);
    story_expect(s, 11, "cancelled",
        SAYS "run 29020317001 was cancelled, by a person or by a newer run; " RESTORED);
    const char *id = s->d->id;
    story_cancel(s);
    expect_error(s, ERROR_USAGE,
        arena_printf(s->arena, "the run of deployment '%s' is over: cancelled", id));
}

static void
test_cancel_without_a_run(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->faults = lost_request;
    story_deploy(s);
    const char *id = s->d->id;
    story_cancel(s);
    expect_error(s, ERROR_USAGE, arena_printf(s->arena, "deployment '%s' has no remote run", id));
}

// --- re-runs of the CI job ---------------------------------------------------------------------

static struct story *
story_in_ci(void)
{
    struct story *s = story_new();
    story_env(s, "GITHUB_ACTIONS", "true");
    story_env(s, "GITHUB_REPOSITORY", "octo/shop");
    story_env(s, "GITHUB_REPOSITORY_ID", "1");
    story_env(s, "GITHUB_RUN_ID", "4711");
    story_env(s, "GITHUB_JOB", "deploy");
    story_env(s, "GITHUB_RUN_ATTEMPT", "1");
    story_env(s, "GITHUB_SERVER_URL", "https://github.com");
    return s;
}

// The runner's disk dies with it: the second attempt has an empty journal.
static void
forget_journal(struct story *s)
{
    s->state_path[strlen(s->state_path) - 1]++;
}

static void
test_rerun_adopts_what_still_goes(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_in_ci();
    s->request.no_wait = true;
    story_deploy(s);
    assert_string_equal(s->d->caller_url, "https://github.com/octo/shop/actions/runs/4711");
    s->request.no_wait = false;
    forget_journal(s);
    story_env(s, "GITHUB_RUN_ATTEMPT", "2");
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    assert_int_equal(s->world->posts, 1);
    assert_true(s->d->run_id == WORLD_FIRST_RUN);
}

static void
test_rerun_of_a_success(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_in_ci();
    story_deploy(s);
    forget_journal(s);
    story_env(s, "GITHUB_RUN_ATTEMPT", "2");
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    assert_int_equal(s->world->posts, 1);
}

// Meanwhile another version was deployed: the old success proves nothing about now.
static void
test_rerun_after_another_deployment(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_in_ci();
    story_deploy(s);
    world_foreign_write(s->world, STORY_PARAMETER, "v3");
    forget_journal(s);
    story_env(s, "GITHUB_RUN_ATTEMPT", "2");
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    assert_int_equal(s->world->posts, 2);
    assert_int_equal(s->d->dispatch_try, 2);
    assert_true(s->d->run_id == WORLD_FIRST_RUN + 1);
}

static void
test_rerun_of_a_failure(void **state)
{
    (void)state;
    static const char *const failing[] = {"completed:failure", NULL};
    struct story *s CLEANUP(story_freep) = story_in_ci();
    s->world->life = failing;
    story_deploy(s);
    story_expect(s, 7, "failed", NULL);
    const char *first = s->d->dispatch_id;
    forget_journal(s);
    story_env(s, "GITHUB_RUN_ATTEMPT", "2");
    story_deploy(s);
    story_expect(s, 7, "failed", NULL);
    assert_int_equal(s->world->posts, 2);
    assert_int_equal(s->d->dispatch_try, 2);
    assert_string_not_equal(s->d->dispatch_id, first);
    assert_memory_equal(s->d->dispatch_id, first, strlen(first) - 1);
}

static void
test_rerun_cannot_look(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {{.match = "GET */runs?*",
                                                    .kind = FAULT_STATUS,
                                                    .body = "{\"total_count\":4000,"
                                                            "\"workflow_runs\":[]}",
                                                    .status = 200,
                                                    .times = 99},
        {0}};
    struct story *s CLEANUP(story_freep) = story_in_ci();
    s->world->faults = faults;
    story_env(s, "GITHUB_RUN_ATTEMPT", "2");
    story_deploy(s);
    story_expect(s, 12, "failed", NULL);
    assert_string_equal(s->d->hint, "A re-run must know what its earlier attempts have started. "
                                    "Start a new workflow run instead of re-running this one.");
    assert_int_equal(s->world->posts, 0);
    assert_string_equal(world_value(s->world, STORY_PARAMETER), "v1");
}

// The same job calls twice, in one attempt: the id was used, and the journal knows.
static void
test_second_call_of_one_job(void **state)
{
    (void)state;
    static const char *const failing[] = {"completed:failure", NULL};
    struct story *s CLEANUP(story_freep) = story_in_ci();
    s->world->life = failing;
    s->world->listing_lag = 999; // no listing helps
    story_deploy(s);
    story_expect(s, 7, "failed", NULL);
    story_deploy(s);
    story_expect(s, 7, "failed", NULL);
    assert_int_equal(s->world->posts, 2);
    assert_int_equal(s->d->dispatch_try, 2);
    s->world->runs[1].gone = true; // somebody deleted it: its id stays used
    story_deploy(s);
    story_expect(s, 7, "failed", NULL);
    assert_int_equal(s->d->dispatch_try, 3);
}

static void
test_second_call_after_an_open_question(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_in_ci();
    s->world->faults = lost_request;
    story_deploy(s);
    story_expect(s, 9, "unknown", NULL);
    const char *id = s->d->id;
    s->world->effects[0] = '\0';
    story_deploy(s);
    story_expect_refused(s, ERROR_CONFLICT,
        arena_printf(s->arena,
            "whether deployment '%s' of the same CI job has started a run is not known", id),
        arena_printf(s->arena,
            "'dispatcher resume %s' looks for the run; 'dispatcher resolve %s' settles it.", id,
            id));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_wait),
        cmocka_unit_test(test_adopt),
        cmocka_unit_test(test_adopt_what_is_over),
        cmocka_unit_test(test_adopt_of_another_workflow),
        cmocka_unit_test(test_abandon),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_without_a_run),
        cmocka_unit_test(test_rerun_adopts_what_still_goes),
        cmocka_unit_test(test_rerun_of_a_success),
        cmocka_unit_test(test_rerun_after_another_deployment),
        cmocka_unit_test(test_rerun_of_a_failure),
        cmocka_unit_test(test_rerun_cannot_look),
        cmocka_unit_test(test_second_call_of_one_job),
        cmocka_unit_test(test_second_call_after_an_open_question),
    };
    return cmocka_run_group_tests_name("resume", tests, NULL, NULL);
}
