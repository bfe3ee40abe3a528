// App Runner from source code, services that are created, and what can be taken back of both.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "runner_story.h"

#define WRITTEN "put /shop/staging/web/version=v2\n"
#define PUT_BACK "put /shop/staging/web/version=v1\nlabel /shop/staging/web/version:3 deployed\n"
#define RESTORED "; parameter /shop/staging/web/version is restored ('v1' is back as version 3)"
#define FAILED "deploy 'shop' to 'staging': "
#define LOOK "look at target 'web': "
#define CODE_SPEC RUNNER_SPEC "    source: code\n"
#define LABELLED "label /shop/staging/web/version:2 deployed\n"
#define TAGGED "tag shop-staging app=shop environment=staging version=v2\n"

/// SourceConfiguration of code, with that start command.
#define CODE_SOURCE(start, automatic)                                                              \
    "{\"CodeRepository\":{\"RepositoryUrl\":\"https://github.com/octo/shop\","                     \
    "\"SourceCodeVersion\":{\"Type\":\"BRANCH\",\"Value\":\"main\"},\"CodeConfiguration\":"        \
    "{\"ConfigurationSource\":\"API\",\"CodeConfigurationValues\":{\"Runtime\":\"NODEJS_22\","     \
    "\"StartCommand\":\"" start "\"}}},\"AutoDeploymentsEnabled\":" automatic "}"

static struct story *
code_story(const char *spec, const char *source)
{
    static const char usual[] = CODE_SOURCE("node .", "false");
    return runner_story(spec, source != NULL ? source : usual);
}

static void
expect_built(const struct story *s)
{
    story_expect(s, 0, "deployed", "'shop' v2 is deployed to 'staging'");
    assert_false(runner_target(s)->proven);
    assert_string_equal(runner_target(s)->proof,
        "App Runner built and runs the head of branch 'main' (operation 00000001-op-shop-staging, "
        "SUCCEEDED); it does not tell which commit that was");
}

static void
test_the_head_is_built(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = code_story(CODE_SPEC, NULL);
    story_deploy(s);
    expect_built(s);
    story_expect_effects(s, WRITTEN "start shop-staging\n" LABELLED TAGGED);
}

// UpdateService builds by itself: there is no second request for the build.
static void
test_a_changed_command_is_one_update(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) =
        code_story(CODE_SPEC "    start: node app.js\n", CODE_SOURCE("node .", "true"));
    story_deploy(s);
    expect_built(s);
    story_expect_effects(s, WRITTEN "update shop-staging code\n" LABELLED TAGGED);
    assert_string_equal(runner_of(s)->source, CODE_SOURCE("node app.js", "false"));
    assert_string_equal(runner_target(s)->source_changes, "start command");
}

static const char *const rolled_back[] = {
    "IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCEEDED", NULL};
static const char *const failed[] = {"IN_PROGRESS", "FAILED", NULL};

static void
test_rolled_back_by_app_runner(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = code_story(CODE_SPEC, NULL);
    runner_of(s)->life = rolled_back;
    s->world->service_log = (const char *const[]){"[AppRunner] Failed to build.", NULL};
    story_deploy(s);
    story_expect(s, 7, "failed",
        FAILED "'web' was rolled back by the platform: Failed to build; 'web' is restored: branch "
               "'main' is back; its digest is not known, so it was not compared" RESTORED);
}

// Which commit runs after it is not told: nothing is claimed.
static void
test_a_failed_build_is_not_restored(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = code_story(CODE_SPEC, NULL);
    runner_of(s)->life = failed;
    story_deploy(s);
    story_expect(s, 8, "failed",
        FAILED "'web' failed: operation 00000001-op-shop-staging ended as FAILED; 'web' could NOT "
               "be restored: App Runner builds the head of 'main': revert there" RESTORED);
}

static void
heal(struct world *world)
{
    static const char *const good[] = {"IN_PROGRESS", "SUCCEEDED", NULL};
    world->runners[0].life = good;
}

// The configuration goes back, the commit cannot.
static void
test_a_failed_change_goes_back_as_far_as_it_can(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = code_story(CODE_SPEC "    start: node app.js\n", NULL);
    runner_of(s)->life = failed;
    runner_of(s)->keeps_source = true;
    s->world->faults = (const struct world_fault[]){
        {"apprunner:UpdateService /", .from = 2, .kind = FAULT_HOOK, .hook = heal}, {0}};
    story_deploy(s);
    story_expect(s, 8, "failed",
        FAILED "'web' failed: operation 00000001-op-shop-staging ended as FAILED; 'web' could NOT "
               "be restored: its configuration is as before, but App Runner builds the head of its "
               "branch: revert there" RESTORED);
    story_expect_effects(
        s, WRITTEN "update shop-staging code\nupdate shop-staging code\n" PUT_BACK);
    assert_string_equal(runner_of(s)->source, CODE_SOURCE("node .", "false"));
}

static void
test_apprunner_yaml_says_everything(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = code_story(CODE_SPEC "    start: node app.js\n",
        "{\"CodeRepository\":{\"RepositoryUrl\":\"https://github.com/octo/shop\","
        "\"SourceCodeVersion\":{\"Type\":\"BRANCH\",\"Value\":\"main\"},\"CodeConfiguration\":"
        "{\"ConfigurationSource\":\"REPOSITORY\"}}}");
    story_deploy(s);
    story_expect_refused(s, ERROR_SPEC,
        LOOK "the App Runner service takes commands, port, runtime and variables from "
             "apprunner.yaml in its repository",
        NULL);
}

// Wherever it dies: the build is asked for once.
static void
test_a_build_killed_at_every_tick(void **state)
{
    (void)state;
    bool died = true;
    for (int64_t at = 1; died; at++) {
        struct story *s CLEANUP(story_freep) = code_story(CODE_SPEC, NULL);
        died = story_deploy_and_die(s, at);
        s->world->crash_at = 0;
        if (!died || !story_has_journal(s)) {
            continue;
        }
        story_resume(s);
        expect_built(s);
        assert_int_equal(runner_of(s)->operation_count, 1);
    }
}

// --- creating ----------------------------------------------------------------------------------

#define CREATE_SPEC RUNNER_SPEC "    create: true\n    access_role: " RUNNER_ROLE "\n"

static struct story *
empty_story(const char *spec)
{
    struct story *s = story_new();
    s->app_spec = spec;
    return s;
}

static void
test_an_image_service_is_created(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = empty_story(CREATE_SPEC
        "    port: 3000\n    cpu: 1024\n    memory: 2048\n    public: false\n"
        "    instance_role: arn:aws:iam::012345678901:role/run\n"
        "    vpc_connector: arn:aws:apprunner:us-east-1:012345678901:vpcconnector/v/1/a\n"
        "    auto_scaling: "
        "arn:aws:apprunner:us-east-1:012345678901:autoscalingconfiguration/a/1/a\n"
        "    environment: {A: \"1\"}\n"
        "    secrets: {B: \"arn:aws:ssm:us-east-1:012345678901:parameter/b\"}\n"
        "    health_check: {protocol: http, path: /up, interval: 5s, timeout: 2s, healthy: 1, "
        "unhealthy: 5}\n");
    story_deploy(s);
    runner_expect_green(s);
    story_expect_effects(s, WRITTEN
        "create shop-staging shop-staging-web@sha256:\n"
        "label /shop/staging/web/version:2 deployed,proven,proven-0\n"
        "tag shop-staging app=shop environment=staging version=v2 digest=sha256:6c3c624b58dbb\n");
    assert_string_equal(s->world->created,
        "{\"ServiceName\":\"shop-staging\",\"SourceConfiguration\":{\"ImageRepository\":{"
        "\"ImageIdentifier\":\"" RUNNER_NEW_IMAGE "\",\"ImageRepositoryType\":\"ECR\","
        "\"ImageConfiguration\":{\"Port\":\"3000\",\"RuntimeEnvironmentVariables\":{\"A\":\"1\"},"
        "\"RuntimeEnvironmentSecrets\":{\"B\":\"arn:aws:ssm:us-east-1:012345678901:parameter/"
        "b\"}}},"
        "\"AutoDeploymentsEnabled\":false,\"AuthenticationConfiguration\":{\"AccessRoleArn\":"
        "\"" RUNNER_ROLE "\"}},\"InstanceConfiguration\":{\"Cpu\":\"1024\",\"Memory\":\"2048\","
        "\"InstanceRoleArn\":\"arn:aws:iam::012345678901:role/run\"},\"Tags\":[{\"Key\":"
        "\"dispatcher:app\",\"Value\":\"shop\"},{\"Key\":\"dispatcher:environment\",\"Value\":"
        "\"staging\"}],\"HealthCheckConfiguration\":{\"Protocol\":\"HTTP\",\"Path\":\"/up\","
        "\"Interval\":5,\"Timeout\":2,\"HealthyThreshold\":1,\"UnhealthyThreshold\":5},"
        "\"AutoScalingConfigurationArn\":\"arn:aws:apprunner:us-east-1:012345678901:"
        "autoscalingconfiguration/a/1/a\",\"NetworkConfiguration\":{\"EgressConfiguration\":{"
        "\"EgressType\":\"VPC\",\"VpcConnectorArn\":\"arn:aws:apprunner:us-east-1:012345678901:"
        "vpcconnector/v/1/a\"},\"IngressConfiguration\":{\"IsPubliclyAccessible\":false}}}");
}

static void
test_a_code_service_is_created(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = empty_story(CODE_SPEC
        "    create: true\n    connection: "
        "arn:aws:apprunner:us-east-1:012345678901:connection/c/1\n"
        "    branch: main\n    runtime: NODEJS_22\n    build: npm ci\n    start: node .\n");
    story_deploy(s);
    expect_built(s);
    assert_non_null(strstr(s->world->created,
        "{\"CodeRepository\":{\"RepositoryUrl\":\"https://github.com/octo/shop\","
        "\"SourceCodeVersion\":{\"Type\":\"BRANCH\",\"Value\":\"main\"},\"CodeConfiguration\":{"
        "\"ConfigurationSource\":\"API\",\"CodeConfigurationValues\":{\"Runtime\":\"NODEJS_22\","
        "\"BuildCommand\":\"npm ci\",\"StartCommand\":\"node .\"}}},\"AutoDeploymentsEnabled\":"
        "false,\"AuthenticationConfiguration\":{\"ConnectionArn\":"));
}

static void
test_what_is_missing_is_said_before(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *text, *hint;
    } cases[] = {
        {CODE_SPEC "    create: true\n    branch: main\n"
                   "    connection: arn:aws:apprunner:us-east-1:012345678901:connection/c/1\n"
                   "    port: 3000\n",
            LOOK
            "App Runner service 'shop-staging' does not exist, and to create it the spec lacks "
            "'runtime'",
            "Set 'runtime' of the target of 'web': without one apprunner.yaml in the repository "
            "says "
            "everything, and port and variables of the spec would have no effect."},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct story *s CLEANUP(story_freep) = empty_story(cases[i].spec);
        story_deploy(s);
        story_expect_refused(s, ERROR_SPEC, cases[i].text, cases[i].hint);
    }
}

static void
test_a_registry_that_app_runner_cannot_reach(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = empty_story(CREATE_SPEC);
    char *config CLEANUP(xfreep) = xasprintf("%s", story_config);
    char *at = strstr(config, "127.0.0.1:5000");
    memcpy(at, "ghcr.io       ", strlen("127.0.0.1:5000"));
    s->config = config;
    story_deploy(s);
    story_expect_refused(
        s, ERROR_SPEC, LOOK "App Runner cannot pull from registry 'ghcr.io'", NULL);
}

static void
test_a_service_that_does_not_come_to_life(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = empty_story(CREATE_SPEC);
    s->world->create_life = failed;
    s->world->service_log =
        (const char *const[]){"[AppRunner] Failed to pull image. Access denied by role.", NULL};
    story_deploy(s);
    story_expect(s, 8, "failed",
        FAILED "'web' failed: Failed to pull image. Access denied by role; 'web' is NOT restored: "
               "nothing ran there before" RESTORED);
    story_expect_effects(s, WRITTEN "create shop-staging shop-staging-web@sha256:\n" PUT_BACK);
}

static void
test_a_lost_answer_to_create(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = empty_story(CREATE_SPEC);
    s->world->faults =
        (const struct world_fault[]){{"apprunner:CreateService /", .kind = FAULT_LOST}, {0}};
    story_deploy(s);
    runner_expect_green(s);
    assert_int_equal(s->world->runner_count, 1);
}

static void
test_a_lost_answer_to_create_and_an_outage(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = empty_story(CREATE_SPEC);
    s->world->faults =
        (const struct world_fault[]){{"apprunner:CreateService /", .kind = FAULT_LOST},
            {"apprunner:ListServices /", .from = 2, .times = 17, .kind = FAULT_STATUS,
                .status = 503, .body = "<html>busy</html>"},
            {0}};
    story_deploy(s);
    runner_expect_green(s);
    assert_int_equal(s->world->runner_count, 1);
}

static void
test_creation_killed_at_every_tick(void **state)
{
    (void)state;
    bool died = true;
    for (int64_t at = 1; died; at += 2) {
        struct story *s CLEANUP(story_freep) = empty_story(CREATE_SPEC);
        died = story_deploy_and_die(s, at);
        s->world->crash_at = 0;
        if (!died || !story_has_journal(s)) {
            continue;
        }
        story_resume(s);
        runner_expect_green(s);
        assert_int_equal(s->world->runner_count, 1);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_head_is_built),
        cmocka_unit_test(test_a_changed_command_is_one_update),
        cmocka_unit_test(test_rolled_back_by_app_runner),
        cmocka_unit_test(test_a_failed_build_is_not_restored),
        cmocka_unit_test(test_a_failed_change_goes_back_as_far_as_it_can),
        cmocka_unit_test(test_apprunner_yaml_says_everything),
        cmocka_unit_test(test_a_build_killed_at_every_tick),
        cmocka_unit_test(test_an_image_service_is_created),
        cmocka_unit_test(test_a_code_service_is_created),
        cmocka_unit_test(test_what_is_missing_is_said_before),
        cmocka_unit_test(test_a_registry_that_app_runner_cannot_reach),
        cmocka_unit_test(test_a_service_that_does_not_come_to_life),
        cmocka_unit_test(test_a_lost_answer_to_create),
        cmocka_unit_test(test_a_lost_answer_to_create_and_an_outage),
        cmocka_unit_test(test_creation_killed_at_every_tick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
