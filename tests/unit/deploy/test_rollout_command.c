// `rollout`: the infra side takes what the parameters say, writes none of them, and leaves its
// proof as labels.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_story.h"
#include "dispatcher/memory.h"
#include "fake_targets.h"

#define SPEC                                                                                       \
    "title: Shop\nname: shop\nrepo: octo/shop\nservices:\n  web:\n    expose: 8080\ndeploy:\n"
#define TARGET "  target: {kind: ecs, cluster: blue, service: shop}\n"

static struct story *
story_of(const char *spec)
{
    struct story *s = story_new();
    s->app_spec = spec;
    s->request.verb = "rollout";
    s->request.version = NULL;
    free((char *)(uintptr_t)s->request.checkout);
    s->request.checkout = xstrdup(s->dir); // no checkout is needed
    fake_targets_reset(s->world);
    return s;
}

static void
test_rolled_out(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(SPEC TARGET);
    world_foreign_write(s->world, STORY_PARAMETER, "v2"); // the app's side
    fake_targets.late = 1;
    story_deploy(s);
    story_expect(s, 0, "deployed", "'shop' v2 is rolled out to 'staging' and proven to run");
    story_expect_effects(
        s, "move web forward v2\nlabel " STORY_PARAMETER ":2 deployed,proven,proven-0\n");
    assert_string_equal(s->d->proof, "2 of 2 tasks run it");
    assert_string_equal(
        s->d->services.count == 1 ? deployment_service_at(s->d, 0)->digest : "", STORY_DIGEST);
    assert_int_equal(s->d->steps.count, 2);
    assert_null(s->d->sha);
    assert_int_equal(fake_targets.records, 1);
}

static void
test_same_again(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(SPEC TARGET);
    story_deploy(s);
    story_expect(s, 0, "deployed", "'shop' v1 is rolled out to 'staging' and proven to run");
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    story_expect_effects(s,
        "move web forward v1\nlabel " STORY_PARAMETER
        ":1 deployed,proven,proven-0\nmove web forward v1\nlabel " STORY_PARAMETER
        ":1 deployed,proven,proven-0\n");
}

static void
test_fails_and_goes_back(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(SPEC TARGET);
    world_foreign_write(s->world, STORY_PARAMETER, "v2");
    fake_targets.ends = "failed";
    story_deploy(s);
    story_expect(s, 7, "failed",
        "roll out 'shop' to 'staging': 'web' failed: tasks failed to start; 'web' is restored: "
        "'v1' "
        "(shop:41) runs again; parameter " STORY_PARAMETER " still says 'v2'");
    story_expect_effects(s, "move web forward v2\nmove web back shop:41\n");
}

static void
test_plan(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(
        SPEC TARGET "  verify: [{url: \"https://shop.example.org/health\", body: {version: "
                    "\"{version}\"}}]\n");
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    story_prepare(s);
    assert_null(s->err);
    deploy_plan_text(s->d, &text);
    assert_string_equal(buf_cstr(&text),
        "shop v1 to staging\n"
        "  1. roll out 'web' to service 'shop'; follow it to the end, 30m 0s at most\n"
        "     replaces 'shop:41'\n"
        "  2. check that 'https://shop.example.org/health' answers HTTP 200 with version 'v1' "
        "within 5m 0s\n"
        "     what answers must be well, too\n"
        "  3. label the parameter version 'deployed', and 'proven' where the digest is seen to "
        "run\n"
        "     a proven release can be gone back to\n");
    story_expect_effects(s, "");
    assert_false(story_has_journal(s));
}

static void
test_refusals(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(SPEC TARGET);
    s->world->parameter_count = 0;
    story_deploy(s);
    story_expect_refused(s, ERROR_SPEC, "parameter '" STORY_PARAMETER "' does not exist",
        "'dispatcher deploy shop --env staging' in the app's repository writes it.");
    (void)world_parameter(s->world, STORY_PARAMETER, "no tag!", "");
    story_deploy(s);
    story_expect_refused(s, ERROR_SPEC,
        "parameter '" STORY_PARAMETER "' says 'no tag!', which cannot be an image tag", NULL);
    s->world->parameter_count = 0;
    (void)world_parameter(s->world, STORY_PARAMETER, "v3", "");
    s->world->digest = NULL;
    story_deploy(s);
    story_expect_refused(s, ERROR_INPUT,
        "image '127.0.0.1:5000/shop-staging-web:v3' is not in the registry",
        "It was never pushed, or a lifecycle policy has removed it since: deploy the version again "
        "from the app's repository.");
    s->world->digest = STORY_DIGEST;
    s->app_spec = "title: Shop\nname: shop\nrepo: octo/shop\nservices:\n  web:\n    expose: 8080\n";
    story_deploy(s);
    story_expect_refused(s, ERROR_SPEC, "app 'shop' has no 'target' in 'staging'",
        "Add 'deploy.target' to its spec: that is what is rolled out.");
}

static void
test_in_a_job(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(SPEC TARGET);
    story_env(s, "GITHUB_ACTIONS", "true");
    story_env(s, "GITHUB_RUN_ID", "77");
    story_env(s, "GITHUB_JOB", "deploy");
    story_env(s, "GITHUB_REPOSITORY", "octo/infra"); // not the app's, and that is fine
    story_env(s, "GITHUB_REPOSITORY_ID", "5");
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    assert_string_equal(s->d->claim_key, "5/77/deploy/shop/staging/rollout");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rolled_out),
        cmocka_unit_test(test_same_again),
        cmocka_unit_test(test_fails_and_goes_back),
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_in_a_job),
    };
    return cmocka_run_group_tests_name("rollout command", tests, NULL, NULL);
}
