// App Runner from images: what is asked for, how each end of the operation is told, and that
// nothing is green unless the digest in force is the one that was asked for.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_story.h"
#include "dispatcher/memory.h"

#define OLD_DIGEST "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define REPOSITORY "127.0.0.1:5000/shop-staging-web"
#define ROLE "arn:aws:iam::012345678901:role/pull"

static const char spec[] = "title: Shop\nname: shop\nrepo: octo/shop\n"
                           "services:\n  web:\n    expose: 8080\n"
                           "deploy:\n"
                           "  via: direct\n"
                           "  target:\n"
                           "    kind: apprunner\n"
                           "    service: \"{name}-{env}\"\n";

static const char old_source[] =
    "{\"ImageRepository\":{\"ImageIdentifier\":\"" REPOSITORY "@" OLD_DIGEST "\","
    "\"ImageRepositoryType\":\"ECR\",\"ImageConfiguration\":{\"Port\":\"8080\","
    "\"RuntimeEnvironmentVariables\":{\"KEPT\":\"canary-of-variables\"}}},"
    "\"AutoDeploymentsEnabled\":true,"
    "\"AuthenticationConfiguration\":{\"AccessRoleArn\":\"" ROLE "\"}}";

static struct story *
begin(const char *text)
{
    struct story *s = story_new();
    s->app_spec = text;
    (void)world_runner(s->world, "shop-staging", old_source);
    return s;
}

static struct world_runner *
runner(struct story *s)
{
    return world_runner_find(s->world, "shop-staging");
}

static const struct deployment_target *
target(const struct story *s)
{
    return deployment_target_at(s->d, 0);
}

#define NEW_IMAGE REPOSITORY "@" STORY_DIGEST
#define UPDATED "put /shop/staging/web/version=v2\nupdate shop-staging shop-staging-web@sha256:\n"
#define SERVICE_ARN                                                                                \
    "arn:aws:apprunner:us-east-1:012345678901:service/shop-staging/"                               \
    "00000000000000000000000000000001"
#define RESTORED "; parameter /shop/staging/web/version is restored ('v1' is back as version 3)"

static void
expect_green(const struct story *s)
{
    assert_null(s->err);
    assert_string_equal(s->d->result, "deployed");
    assert_int_equal(s->d->exit_code, 0);
    assert_true(target(s)->proven);
    assert_string_equal(target(s)->running_digest, STORY_DIGEST);
}

static void
test_image_is_rolled_out(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = begin(spec);
    story_deploy(s);
    expect_green(s);
    story_expect_effects(s, UPDATED "label /shop/staging/web/version:2 deployed\n");
    assert_string_equal(target(s)->proof,
        "App Runner service 'shop-staging' runs sha256:6c3c624b58db…, operation "
        "00000001-op-shop-staging");
    assert_string_equal(target(s)->before, REPOSITORY "@" OLD_DIGEST);
    assert_string_equal(target(s)->note, "replaces " REPOSITORY "@" OLD_DIGEST " (RUNNING)");
    // The whole source, with the image changed and nothing else but the automatic deployments.
    assert_string_equal(runner(s)->source,
        "{\"ImageRepository\":{\"ImageIdentifier\":\"" NEW_IMAGE "\","
        "\"ImageRepositoryType\":\"ECR\",\"ImageConfiguration\":{\"Port\":\"8080\","
        "\"RuntimeEnvironmentVariables\":{\"KEPT\":\"canary-of-variables\"}}},"
        "\"AutoDeploymentsEnabled\":false,"
        "\"AuthenticationConfiguration\":{\"AccessRoleArn\":\"" ROLE "\"}}");
}

static void
test_rolled_back_by_the_platform(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = begin(spec);
    runner(s)->life = (const char *const[]){
        "PENDING", "IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCEEDED", NULL};
    s->world->service_log = (const char *const[]){"11-29-2026 03:00:00 PM [AppRunner] Starting.",
        "11-29-2026 03:00:01 PM [AppRunner] Health check failed on protocol `HTTP`[Path: '/'].",
        "11-29-2026 03:00:02 PM [AppRunner] Deployment with ID : 1 failed.", NULL};
    s->world->program_log = (const char *const[]){"listening", "panic: no database", NULL};
    story_deploy(s);
    story_expect(s, 7, "failed",
        "deploy 'shop' to 'staging': 'web' was rolled back by the platform: Health check failed on "
        "protocol `HTTP`[Path: '/']; 'web' is restored: " REPOSITORY "@" OLD_DIGEST
        " runs again" RESTORED);
    assert_int_equal(target(s)->evidence.count, 3);
    assert_string_equal(target(s)->evidence.items[0], "the program: panic: no database");
    assert_string_equal(target(s)->evidence.items[2], "App Runner: Deployment with ID : 1 failed");
    story_expect_effects(s, UPDATED "put /shop/staging/web/version=v1\n"
                                    "label /shop/staging/web/version:3 deployed\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_image_is_rolled_out),
        cmocka_unit_test(test_rolled_back_by_the_platform)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
