// Every finding of the doctor, good and bad, with its fix and the exit code a deployment would
// have.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_story.h"
#include "dispatcher/jwt.h"
#include "dispatcher/memory.h"

static void
expect_line(const struct story *s, const char *line)
{
    char *whole CLEANUP(xfreep) = xasprintf("%s\n", line);
    if (strstr(buf_cstr(&s->text), whole) == NULL) {
        fail_msg("'%s' is not said in\n%s", line, buf_cstr(&s->text));
    }
}

static void
expect_no_bad(const struct story *s)
{
    assert_false(str_starts(buf_str(&s->text), STR("- ")));
    assert_null(strstr(buf_cstr(&s->text), "\n- "));
}

static void
test_all_is_well(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->request.version = NULL;
    story_doctor(s);
    expect_line(s, "+ environment: nothing unusual is set");
    expect_line(s, arena_printf(s->arena, "+ journal: %s can be written", s->state_path));
    expect_line(s, arena_printf(s->arena, "+ checkout: octo/shop at %.12s would be version '%s'",
                       story_commit(s, "HEAD"), story_commit(s, "HEAD")));
    expect_line(s, "+ github: signed in as token someone, 4999 of 5000 requests left");
    expect_line(s, "+ github: the clocks agree");
    expect_line(s, "+ workflow: deploy-app.yaml in octo/infra at main takes our inputs");
    expect_line(s, "+ aws: arn:aws:iam::012345678901:user/deployer in us-east-1");
    expect_line(s, "+ parameter: " STORY_PARAMETER " says 'v1'");
    expect_line(s, "+ registry: 127.0.0.1:5000/shop-staging-web can be read and has this version");
    expect_no_bad(s);
    story_expect_effects(s, "");
}

static void
test_environment(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    story_env(s, "HTTPS_PROXY", "http://me:secret@proxy:3128");
    story_env(s, "AWS_PROFILE", "work");
    story_env(s, "DISPATCHER_STATE", "postgresql://me:secret@db/d");
    story_doctor(s);
    expect_line(s, "+ environment: HTTPS_PROXY=(set), AWS_PROFILE=work, DISPATCHER_STATE=(set)");
}

static void
test_app(void **state)
{
    (void)state;
    struct secret *pem CLEANUP(secret_freep) = NULL;
    struct story *s CLEANUP(story_freep) = story_new();
    assert_null(jwt_key_generate_pem(&pem));
    story_env(s, "DEPLOYMENT_APP_ID", "12345");
    story_env(s, "DEPLOYMENT_APP_KEY", secret_expose(pem).ptr);
    s->world->is_app = true;
    story_doctor(s);
    expect_line(s, "+ github: signed in as app deployer, 4999 of 5000 requests left");
    expect_no_bad(s);
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
}

static void
test_workflow_hides_the_id(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->workflow = "on:\n  workflow_dispatch:\n    inputs:\n      application: {}\n"
                         "      environment: {}\n";
    story_doctor(s);
    expect_line(s,
        "! workflow: its runs do not show the dispatch id: after a lost answer the run may not be "
        "found, and the deployment ends as unknown (exit code 9) => Declare the input "
        "'distinct_id' and put it into the name: run-name: … (${{ inputs.distinct_id }}).");
}

static void
test_workflow_is_disabled(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {{.match = "GET */deploy-app.yaml",
                                                    .kind = FAULT_STATUS,
                                                    .status = 200,
                                                    .body = "{\"state\":\"disabled_manually\"}"},
        {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->faults = faults;
    story_doctor(s);
    expect_line(s, "- workflow: the workflow is 'disabled_manually' => Enable it on the Actions "
                   "page of the infra repository. (7)");
}

static void
test_clock(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->github_ahead_ms = 10 * 60 * 1000;
    story_doctor(s);
    expect_line(s, "! github: this machine's clock is 10m 0s behind => Correct the clock (NTP); "
                   "dispatcher corrects its signatures meanwhile.");
}

static void
test_nothing_works(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "GET *", .kind = FAULT_STATUS, .status = 401, .times = 99},
        {.match = "sts:*", .kind = FAULT_STATUS, .status = 403, .times = 99}, {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->faults = faults;
    story_doctor(s);
    assert_non_null(strstr(buf_cstr(&s->text), "- github: "));
    assert_non_null(strstr(buf_cstr(&s->text), "- workflow: "));
    assert_non_null(strstr(buf_cstr(&s->text), "- aws: "));
    assert_non_null(strstr(buf_cstr(&s->text), "! aws: credential chain:\n"));
    assert_non_null(strstr(buf_cstr(&s->text), " (4)\n"));
}

static void
test_no_credentials(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    story_env(s, "GITHUB_TOKEN", NULL);
    story_doctor(s);
    expect_line(s, "- github: no GitHub credentials for 'octo/infra' => Set DEPLOYMENT_APP_ID and "
                   "DEPLOYMENT_APP_KEY, or GITHUB_TOKEN. (4)");
}

static void
test_shallow_checkout(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    story_own_checkout(s);
    story_git(s, (const char *const[]){"update-ref", "refs/heads/side", "HEAD", NULL});
    const char *shallow = arena_printf(s->arena, "%s/.git/shallow", s->request.checkout);
    FILE *file = fopen(shallow, "we");
    assert_non_null(file);
    (void)fprintf(file, "%s\n", story_commit(s, "HEAD"));
    (void)fclose(file);
    story_doctor(s);
    expect_line(s, "! checkout: this is a shallow clone: a stale commit cannot be noticed => Use "
                   "'fetch-depth: 0' with actions/checkout.");
}

static void
test_broken_spec(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->app_spec = "title: [\n";
    story_doctor(s);
    assert_non_null(strstr(buf_cstr(&s->text), "- spec: "));
    assert_non_null(strstr(buf_cstr(&s->text), "(3)\n"));
    assert_null(strstr(buf_cstr(&s->text), "github"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_is_well),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_app),
        cmocka_unit_test(test_workflow_hides_the_id),
        cmocka_unit_test(test_workflow_is_disabled),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_nothing_works),
        cmocka_unit_test(test_no_credentials),
        cmocka_unit_test(test_shallow_checkout),
        cmocka_unit_test(test_broken_spec),
    };
    return cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
}
