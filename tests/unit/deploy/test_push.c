// Getting the image there: pushed, present, created, refused; and which registry is spoken to how.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_story.h"
#include "dispatcher/memory.h"

#define ECR "012345678901.dkr.ecr.us-east-1.amazonaws.com"
#define CONFIG_HEAD "version: 1\nenvironments: [staging]\n"
#define CONFIG_WORKFLOW                                                                            \
    "workflow:\n  repo: octo/infra\n  file: deploy-app.yaml\n"                                     \
    "  inputs: {application: \"{app}\", environment: \"{env}\"}\n"

static const char ecr_config[] = CONFIG_HEAD "aws: {region: us-east-1}\nregistry: " ECR
                                             "\ncreate_repository: true\n" CONFIG_WORKFLOW;

static struct story *
story_to_push(void)
{
    struct story *s = story_new();
    const char **images = arena_array(s->arena, 1, sizeof(*images));
    images[0] = story_layout(s);
    s->request.images = (struct str_list){images, 1};
    s->world->digest = NULL;
    return s;
}

static void
expect_pushed(const struct story *s, const char *before)
{
    story_expect(s, 0, "deployed", NULL);
    assert_string_equal(s->d->id_input, "distinct_id");
    story_expect_effects(s,
        arena_printf(s->arena,
            "%spush %s\nput " STORY_PARAMETER "=v2\npost main application=shop environment=staging "
            "distinct_id=%s\nlabel " STORY_PARAMETER ":2 deployed\n",
            before, s->world->pushed, s->d->dispatch_id));
    assert_string_equal(
        ((struct deployment_service *)s->d->services.items)[0].digest, s->world->pushed);
}

static void
test_pushed(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_to_push();
    story_deploy(s);
    expect_pushed(s, "");
    assert_non_null(strstr(buf_cstr(&s->events), "\"event\":\"image\""));
    assert_non_null(strstr(buf_cstr(&s->events), "\"event\":\"progress\""));
    assert_non_null(strstr(buf_cstr(&s->events), "\"what\":\"sent\",\"part\":"));
    assert_non_null(strstr(buf_cstr(&s->events), "\"what\":\"manifest\""));
}

// The journal carries it, so that a resumed push makes the same bytes.
static void
test_compression_is_part_of_the_deployment(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_to_push();
    s->app_spec = arena_printf(s->arena, "%sdeploy:\n  compression: small\n", story_spec);
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    assert_string_equal(s->d->compression, "small");
    assert_non_null(strstr(buf_cstr(&s->events), "\"compression\":\"small\""));
    story_restart(s);
    s->app_spec = story_spec;
    s->world->digest = NULL;
    story_deploy(s);
    assert_string_equal(s->d->compression, "fast");
}

static void
test_present(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_to_push();
    s->world->digest = STORY_DIGEST;
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    assert_string_equal(s->world->pushed, "");
}

static void
test_push_fails(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "PUT */manifests/*", .kind = FAULT_STATUS, .status = 500, .times = 99}, {0}};
    struct story *s CLEANUP(story_freep) = story_to_push();
    s->world->faults = faults;
    story_deploy(s);
    assert_int_equal(s->d->exit_code, 12);
    assert_string_equal(s->d->result, "failed");
    story_expect_effects(s, "");
}

static void
test_source_disappears(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "PUT */uploads/*", .kind = FAULT_RESET, .times = 99}, {0}};
    struct story *s CLEANUP(story_freep) = story_to_push();
    s->world->faults = faults;
    story_deploy(s);
    assert_int_equal(s->d->exit_code, 12);
    story_expect_effects(s, "");
}

static void
test_killed_while_pushing(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_to_push();
    for (int64_t at = 1; at < 500; at++) {
        story_restart(s);
        s->world->digest = NULL;
        s->world->pushed[0] = '\0';
        if (!story_deploy_and_die(s, at)) {
            return;
        }
        s->world->digest = s->world->pushed[0] != '\0' ? s->world->pushed : NULL;
        if (!story_has_journal(s)) {
            continue;
        }
        story_resume(s);
        if (cstr_equal(s->d->result, "unknown")) { // the intent to dispatch was all it left
            assert_int_equal(s->world->posts, 0);
            continue;
        }
        story_expect(s, 0, "deployed", NULL);
        assert_int_equal(s->world->posts, 1);
    }
    fail_msg("it never came to its end");
}

// --- ECR ---------------------------------------------------------------------------------------

static void
test_ecr(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_to_push();
    s->config = ecr_config;
    s->world->no_repository = true;
    story_deploy(s);
    expect_pushed(s, "create repository\n");
}

static void
test_ecr_by_the_credentials_account(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_to_push();
    s->config = CONFIG_HEAD CONFIG_WORKFLOW;
    story_env(s, "AWS_REGION", "us-east-1");
    story_deploy(s);
    expect_pushed(s, "");
    assert_string_equal(((struct deployment_service *)s->d->services.items)[0].registry, ECR);
}

static void
test_ecr_without_the_repository(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_to_push();
    s->config = CONFIG_HEAD "aws: {region: us-east-1}\nregistry: " ECR "\n" CONFIG_WORKFLOW;
    s->world->no_repository = true;
    story_deploy(s);
    story_expect_refused(s, ERROR_SPEC,
        "look for image '" ECR "/shop-staging-web:v2': repository 'shop-staging-web' does not "
        "exist in '" ECR "'",
        "Create it, or set 'create_repository: true' in dispatcher.yaml.");
}

// It goes between the snapshot and the push.
static void
lose_repository(struct world *world)
{
    world->no_repository = true;
}

static const struct world_fault repository_goes[] = {
    {.match = "* /v2/*", .kind = FAULT_HOOK, .hook = lose_repository}, {0}};

static void
test_ecr_repository_goes(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_to_push();
    s->config = ecr_config;
    s->world->faults = repository_goes;
    story_deploy(s);
    expect_pushed(s, "create repository\n");
}

static void
test_ecr_repository_goes_and_may_not_be_made(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_to_push();
    s->config = CONFIG_HEAD "aws: {region: us-east-1}\nregistry: " ECR "\n" CONFIG_WORKFLOW;
    s->world->faults = repository_goes;
    story_deploy(s);
    assert_int_equal(s->d->exit_code, 12);
    assert_string_equal(s->d->result, "failed");
    assert_string_equal(s->d->hint, "Create the repository 'shop-staging-web', or set "
                                    "'create_repository: true' in dispatcher.yaml.");
    story_expect_effects(s, "");
}

// Another registry's missing repository is not ours to make.
static void
test_other_registry_without_the_repository(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_to_push();
    s->world->faults = repository_goes;
    story_deploy(s);
    assert_int_equal(s->d->exit_code, 12);
    assert_string_equal(
        s->d->hint, "Create the repository first; this registry does not do it itself.");
    story_expect_effects(s, "");
}

static void
test_ecr_plan_says_so(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_to_push();
    s->config = ecr_config;
    s->world->no_repository = true;
    story_prepare(s);
    assert_null(s->err);
    assert_string_equal(((struct deployment_step *)s->d->steps.items)[0].reason,
        "not in the registry; create repository 'shop-staging-web' first");
    story_expect_effects(s, "");
}

// The registry's password is renewed when it is refused in the middle.
static void
test_ecr_password_expires(void **state)
{
    (void)state;
    static const char *const basic[] = {"WWW-Authenticate: Basic realm=\"ecr\"", NULL};
    static const struct world_fault faults[] = {
        {.match = "PUT */manifests/*", .kind = FAULT_STATUS, .status = 401, .headers = basic}, {0}};
    struct story *s CLEANUP(story_freep) = story_to_push();
    s->config = ecr_config;
    s->world->faults = faults;
    story_deploy(s);
    expect_pushed(s, "");
}

// --- other credentials -------------------------------------------------------------------------

static void
test_registry_password(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_to_push();
    story_env(s, "DISPATCHER_REGISTRY_USER", "someone");
    story_env(s, "DISPATCHER_REGISTRY_PASSWORD", "a-password-of-the-registry");
    story_deploy(s);
    expect_pushed(s, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pushed),
        cmocka_unit_test(test_compression_is_part_of_the_deployment),
        cmocka_unit_test(test_present),
        cmocka_unit_test(test_push_fails),
        cmocka_unit_test(test_source_disappears),
        cmocka_unit_test(test_killed_while_pushing),
        cmocka_unit_test(test_ecr),
        cmocka_unit_test(test_ecr_by_the_credentials_account),
        cmocka_unit_test(test_ecr_without_the_repository),
        cmocka_unit_test(test_ecr_repository_goes),
        cmocka_unit_test(test_ecr_repository_goes_and_may_not_be_made),
        cmocka_unit_test(test_other_registry_without_the_repository),
        cmocka_unit_test(test_ecr_plan_says_so),
        cmocka_unit_test(test_ecr_password_expires),
        cmocka_unit_test(test_registry_password),
    };
    return cmocka_run_group_tests_name("push", tests, NULL, NULL);
}
