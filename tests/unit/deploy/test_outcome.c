// Every end of a run against every policy and every state of the parameter: exit code, result,
// sentence, and what was written in which order.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_story.h"
#include "dispatcher/memory.h"

#define PUT "put " STORY_PARAMETER "=v2\n"
#define BACK "put " STORY_PARAMETER "=v1\nlabel " STORY_PARAMETER ":3 deployed\n"
#define SAYS "deploy 'shop' to 'staging': "

static const char *
post_of(const struct story *s)
{
    return arena_printf(s->arena, "post main application=shop environment=staging distinct_id=%s\n",
        s->d->dispatch_id);
}

static void
expect_effects(const struct story *s, const char *before, const char *after)
{
    story_expect_effects(s, arena_printf(s->arena, "%s%s%s", before, post_of(s), after));
}

static void
test_success(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    story_deploy(s);
    story_expect(s, 0, "deployed", "'shop' v2 is deployed to 'staging'");
    expect_effects(s, PUT, "label " STORY_PARAMETER ":2 deployed\n");
    assert_true(s->d->run_id == WORLD_FIRST_RUN);
    assert_string_equal(s->d->run_url, STORY_RUN_URL);
    assert_string_equal(s->d->proof, "run succeeded; running digest not checked (no 'target:')");
    assert_false(s->d->proven);
    story_resume(s); // over: only loaded
    story_expect(s, 0, "deployed", "'shop' v2 is deployed to 'staging'");
}

// --- conclusion × on_failure × what happened to the parameter meanwhile ------------------------

enum meanwhile { QUIET, FOREIGN_WRITE, RESTORE_REFUSED, NOT_THERE_BEFORE, MEANWHILES };

static void
write_foreign(struct world *world)
{
    world_foreign_write(world, STORY_PARAMETER, "v9");
}

static const struct world_fault foreign_fault[] = {
    {.match = "GET */actions/runs/*", .kind = FAULT_HOOK, .hook = write_foreign}, {0}};
static const struct world_fault refused_fault[] = {
    {.match = "ssm:PutParameter *",
        .from = 2,
        .kind = FAULT_STATUS,
        .status = 400,
        .body = "{\"__type\":\"AccessDeniedException\",\"message\":\"not you\"}"},
    {0}};

static const struct world_fault *const faults_of[MEANWHILES] = {
    [FOREIGN_WRITE] = foreign_fault, [RESTORE_REFUSED] = refused_fault};

static const char *
restore_words(enum meanwhile meanwhile, bool keep)
{
    if (keep) {
        return meanwhile == NOT_THERE_BEFORE
                   ? "is NOT restored (on_failure: keep): it says 'v2' (version 1)"
                   : "is NOT restored (on_failure: keep): it says 'v2' (version 2)";
    }
    switch (meanwhile) {
    case QUIET:
        return "is restored ('v1' is back as version 3)";
    case FOREIGN_WRITE:
        return "is NOT restored ('v9' was written meanwhile as version 3 by "
               "arn:aws:iam::1:user/mallory)";
    case RESTORE_REFUSED:
        return "could NOT be restored to 'v1': it says 'v2' (version 2): write parameter "
               "'" STORY_PARAMETER "': ssm PutParameter: AccessDeniedException: not you (HTTP 400)";
    case NOT_THERE_BEFORE:
        return "is NOT restored (the parameter did not exist before): it says 'v2' (version 1)";
    case MEANWHILES:
        break;
    }
    return NULL;
}

static int
code_of(const char *conclusion, enum meanwhile meanwhile, bool keep)
{
    if (keep || meanwhile != QUIET) {
        return 8;
    }
    return strcmp(conclusion, "cancelled") == 0 ? 11 : 7;
}

static void
check_combination(const char *conclusion, enum meanwhile meanwhile, bool keep)
{
    struct story *s CLEANUP(story_freep) = story_new();
    bool cancelled = strcmp(conclusion, "cancelled") == 0;
    const char *completed = arena_printf(s->arena, "completed:%s", conclusion);
    const char *const life[] = {"in_progress", completed, NULL};
    s->world->life = life;
    s->world->faults = faults_of[meanwhile];
    s->world->parameter_count = meanwhile == NOT_THERE_BEFORE ? 0 : 1;
    s->request.on_failure = keep ? "keep" : NULL;
    story_deploy(s);
    const char *what = cancelled ? "was cancelled, by a person or by a newer run"
                                 : arena_printf(s->arena, "ended as '%s'", conclusion);
    story_expect(s, code_of(conclusion, meanwhile, keep), cancelled ? "cancelled" : "failed",
        arena_printf(s->arena, SAYS "run 29020317001 %s; parameter " STORY_PARAMETER " %s", what,
            restore_words(meanwhile, keep)));
    expect_effects(s, PUT, !keep && meanwhile == QUIET ? BACK : "");
    assert_int_equal(s->world->posts, 1);
}

static void
test_every_combination(void **state)
{
    (void)state;
    static const char *const conclusions[] = {"failure", "timed_out", "startup_failure", "stale",
        "cancelled", "skipped", "neutral", "action_required", "exploded"};
    for (size_t i = 0; i < ARRAY_LENGTH(conclusions); i++) {
        for (enum meanwhile meanwhile = QUIET; meanwhile < MEANWHILES; meanwhile++) {
            check_combination(conclusions[i], meanwhile, false);
            check_combination(conclusions[i], meanwhile, true);
        }
    }
}

static const char *const failing[] = {"in_progress", "completed:failure", NULL};

static void
test_refused_restore_names_the_way_out(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->life = failing;
    s->world->faults = refused_fault;
    story_deploy(s);
    assert_string_equal(s->d->hint, "Put it back by hand: aws ssm put-parameter --overwrite --name "
                                    "'" STORY_PARAMETER "' --value 'v1'.");
}

// The same value is there already: nothing to write, nothing to take back.
static void
test_nothing_to_write(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->request.version = "v1";
    story_deploy(s);
    story_expect(s, 0, "deployed", "'shop' v1 is deployed to 'staging'");
    expect_effects(s, "", "label " STORY_PARAMETER ":1 deployed\n");
    story_restart(s);
    s->world->life = failing;
    story_deploy(s);
    story_expect(s, 7, "failed", SAYS "run 29020317001 ended as 'failure'");
    expect_effects(s, "", "");
    // A step that failed took a time, too: pages must not let it go on.
    size_t failed = 0;
    for (size_t i = 0; i < s->d->steps.count; i++) {
        const struct deployment_step *step = deployment_step_at(s->d, i);
        if (step->state != NULL && strcmp(step->state, "failed") == 0) {
            failed++;
            assert_true(step->ended_ms > 0);
            assert_true(step->ended_ms >= step->started_ms);
        }
    }
    assert_int_equal(failed, 1);
}

// Somebody wrote while the run went: it may have rolled out either of the two.
static void
test_success_with_a_foreign_write(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->faults = foreign_fault;
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    assert_string_equal(s->d->proof,
        "run succeeded, but parameter " STORY_PARAMETER " was changed to 'v9' (version 3, by "
        "arn:aws:iam::1:user/mallory) meanwhile: which of the two it rolled out is not checked");
}

// What is recorded at the end never turns a success into anything else.
static void
test_label_refused(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "ssm:LabelParameterVersion *", .kind = FAULT_STATUS, .status = 400, .times = 9},
        {.match = "ssm:GetParameterHistory *", .kind = FAULT_STATUS, .status = 400, .times = 9},
        {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->faults = faults;
    story_deploy(s);
    story_expect(s, 0, "deployed", "'shop' v2 is deployed to 'staging'");
    expect_effects(s, PUT, "");
    assert_non_null(strstr(buf_cstr(&s->events), "cannot label parameter"));
}

static void
test_proven_by_the_infra_side(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    static const struct world_fault faults[] = {{0}};
    s->world->faults = faults;
    s->request.version = "v1";
    char *label = world_parameter_find(s->world, STORY_PARAMETER)->versions[0].labels[1];
    memcpy(label, "proven", sizeof("proven"));
    story_deploy(s);
    story_expect(s, 0, "deployed", "'shop' v1 is deployed to 'staging' and proven to run");
    assert_true(s->d->proven);
    assert_string_equal(s->d->proof, "the infra side proved that this digest runs");
}

static void
test_exploding_parameters_value(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->life = failing;
    s->world->parameter_count = 0;
    (void)world_parameter(s->world, STORY_PARAMETER, "\x1b[31mv0\n::error::x", "deployed");
    story_deploy(s);
    story_expect(s, 7, "failed",
        SAYS "run 29020317001 ended as 'failure'; parameter " STORY_PARAMETER
             " is restored ('v0 ::error::x' is back as version 3)");
    assert_string_equal(world_value(s->world, STORY_PARAMETER), "\x1b[31mv0\n::error::x");
}

// --- the failing part of the run ---------------------------------------------------------------

static const char failed_jobs[] =
    "{\"total_count\":2,\"jobs\":["
    "{\"id\":1,\"name\":\"plan\",\"status\":\"completed\",\"conclusion\":\"success\",\"steps\":[]},"
    "{\"id\":2,\"name\":\"roll out\",\"status\":\"completed\",\"conclusion\":\"failure\","
    "\"html_url\":\"https://github.com/octo/infra/actions/runs/1/job/2\","
    "\"check_run_url\":\"https://api.github.com/repos/octo/infra/check-runs/77\","
    "\"steps\":[{\"name\":\"check out\",\"status\":\"completed\",\"conclusion\":\"success\","
    "\"number\":1},{\"name\":\"terraform apply\",\"status\":\"completed\",\"conclusion\":"
    "\"failure\",\"number\":2}]}]}";

static void
test_failing_job_is_told(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->life = failing;
    s->world->jobs = failed_jobs;
    s->world->annotations =
        "[{\"annotation_level\":\"failure\",\"message\":\"Process completed with exit code 1.\"},"
        "{\"annotation_level\":\"warning\",\"message\":\"old action\"}]";
    s->world->log = "2026-11-21T07:48:01.0000000Z Error: no capacity\n";
    story_deploy(s);
    story_expect(s, 7, "failed",
        SAYS "run 29020317001 ended as 'failure': job 'roll out' failed at step 'terraform "
             "apply'; parameter " STORY_PARAMETER " is restored ('v1' is back as version 3)");
    assert_string_equal(s->d->failure.job, "roll out");
    assert_string_equal(s->d->failure.step, "terraform apply");
    assert_int_equal(s->d->failure.annotations.count, 1);
    assert_string_equal(s->d->failure.annotations.items[0], "Process completed with exit code 1.");
    assert_non_null(strstr(s->d->failure.log_tail, "Error: no capacity"));
}

// Explaining is best effort: none of it decides the outcome.
static void
test_failing_job_cannot_be_read(void **state)
{
    (void)state;
    static const char *const matches[] = {
        "GET */jobs?*", "GET */check-runs/*", "GET */actions/jobs/*"};
    for (size_t i = 0; i < ARRAY_LENGTH(matches); i++) {
        struct story *s CLEANUP(story_freep) = story_new();
        const struct world_fault faults[] = {
            {.match = matches[i], .times = 99, .kind = FAULT_STATUS, .status = 500}, {0}};
        s->world->life = failing;
        s->world->jobs = failed_jobs;
        s->world->faults = faults;
        story_deploy(s);
        story_expect(s, 7, "failed", NULL);
        expect_effects(s, PUT, BACK);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_success),
        cmocka_unit_test(test_every_combination),
        cmocka_unit_test(test_refused_restore_names_the_way_out),
        cmocka_unit_test(test_nothing_to_write),
        cmocka_unit_test(test_success_with_a_foreign_write),
        cmocka_unit_test(test_label_refused),
        cmocka_unit_test(test_proven_by_the_infra_side),
        cmocka_unit_test(test_exploding_parameters_value),
        cmocka_unit_test(test_failing_job_is_told),
        cmocka_unit_test(test_failing_job_cannot_be_read),
    };
    return cmocka_run_group_tests_name("outcome", tests, NULL, NULL);
}
