// What runs where, as the version parameters say it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_story.h"
#include "dispatcher/memory.h"
#include "fake_targets.h"

static void
expect_status(struct story *s, const char *text)
{
    story_status(s);
    assert_null(s->err);
    assert_string_equal(buf_cstr(&s->text), text);
}

static void
test_before_and_after(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    expect_status(s, "shop/staging/web v1 by arn:aws:iam::1:u/old in (null), deployed:\n");
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    const char *id = s->d->id;
    expect_status(
        s, arena_printf(s->arena,
               "shop/staging/web v2 by arn:aws:sts::1:assumed-role/deploy in %s, deployed:\n", id));
    world_foreign_write(s->world, STORY_PARAMETER, "v9");
    expect_status(s, "shop/staging/web v9 by arn:aws:iam::1:user/mallory in (null): no successful "
                     "run is recorded for this version; the last one was of 'v2';\n");
}

static void
test_pending(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "POST */dispatches", .kind = FAULT_RESET}, {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->faults = faults;
    story_deploy(s);
    const char *id = s->d->id;
    expect_status(s,
        arena_printf(s->arena,
            "shop/staging/web v2 by arn:aws:sts::1:assumed-role/deploy in %s: a deployment of this "
            "version did not come to an end that is known;\n",
            id));
}

static void
test_services_of_every_kind(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->app_spec = "title: Shop\nname: shop\nservices:\n  web: {expose: 1}\n  new: {expose: 2}\n"
                  "  fixed: {expose: 3, image_tag: v7}\n  mail: {expose: 4, image: \"axllent/"
                  "mailpit\"}\n  a: {expose: 5}\n  b: {expose: 6}\n  c: {expose: 7}\n  d: {expose: "
                  "8}\n  e: {expose: 9}\n";
    s->request.env = NULL; // all that dispatcher.yaml lists
    story_status(s);
    assert_null(s->err);
    assert_non_null(strstr(buf_cstr(&s->text), "shop/staging/new (null) by (null) in (null): the "
                                               "version parameter does not exist\n"));
    assert_non_null(strstr(
        buf_cstr(&s->text), "shop/staging/fixed v7 by (null) in (null): pinned by 'image_tag'\n"));
    assert_non_null(strstr(
        buf_cstr(&s->text), "shop/staging/mail (null) by (null) in (null): external image\n"));
}

static void
test_no_environment(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->config = "version: 1\naws: {region: us-east-1}\nworkflow: {repo: octo/infra}\n";
    s->request.env = NULL;
    story_status(s);
    story_expect_refused(s, ERROR_USAGE, "no environment was given",
        "Say which with --env, or list 'environments' in dispatcher.yaml.");
}

static void
test_cannot_be_read(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {{.match = "ssm:GetParameter *",
                                                    .kind = FAULT_STATUS,
                                                    .status = 400,
                                                    .body = "{\"__type\":\"AccessDeniedException\","
                                                            "\"message\":\"not you\"}"},
        {0}};
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->faults = faults;
    story_status(s);
    assert_non_null(s->err);
    assert_int_equal(error_kind(s->err), ERROR_CREDENTIALS);
    assert_string_equal(error_message(s->err), "status of 'shop' in 'staging'");
}

// --- what runs ---------------------------------------------------------------------------------

#define SPEC                                                                                       \
    "title: Shop\nname: shop\nrepo: octo/shop\nservices:\n  web:\n    expose: 8080\ndeploy:\n"     \
    "  target: {kind: ecs, cluster: blue, service: shop}\n"
#define ROW "shop/staging/web v1 by arn:aws:iam::1:u/old in d-1, deployed"

// 'v1' is what the parameter says and what was deployed.
static struct story *
story_with_target(const char *digest, const char *labels)
{
    static const char wrote[] = "dispatcher d-1 prev=0 digest=" FAKE_OLD_DIGEST;
    struct story *s = story_new();
    s->app_spec = SPEC;
    s->world->parameter_count = 0;
    struct world_parameter *p = world_parameter(s->world, STORY_PARAMETER, "v1", labels);
    memcpy(p->versions[0].description, wrote, sizeof(wrote));
    s->world->digest = FAKE_OLD_DIGEST;
    fake_targets_reset(s->world);
    fake_targets.digest = digest;
    return s;
}

static void
test_all_agree(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_with_target(FAKE_OLD_DIGEST, "deployed,proven");
    expect_status(s, ROW ", proven: runs: 2 of 2 tasks run it\n");
    story_expect_effects(s, "");
    assert_int_equal(fake_targets.moves, 0);
}

static void
test_something_else_runs(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_with_target(STORY_DIGEST, "deployed,proven");
    fake_targets.version = "v0";
    expect_status(s,
        ROW ", proven: it is set to 'v0', and the parameter says 'v1'; what runs is not, or not "
            "everywhere, what the parameter says; runs: 1 of 2 tasks runs it\n");
}

static void
test_what_may_not_be_read(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_with_target(STORY_DIGEST, "deployed");
    fake_targets.unreadable = ERROR_CREDENTIALS;
    expect_status(s, ROW ": runs: what runs cannot be read: ecs:DescribeServices is not allowed\n");
    fake_targets.unreadable = 0;
    fake_targets.unprovable = ERROR_UNAVAILABLE;
    expect_status(s, ROW ": runs: what runs cannot be read: ecs:DescribeTasks is not allowed\n");
}

static void
test_image_moved_or_gone(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_with_target(FAKE_OLD_DIGEST, "deployed");
    s->world->digest = STORY_DIGEST;
    expect_status(s,
        ROW ": its tag was moved: it is sha256:6c3c624b58db… in the registry now, and was deployed "
            "as sha256:111111111111…; runs: 2 of 2 tasks run it\n");
    s->world->digest = NULL;
    expect_status(
        s, ROW ": its image is not in the registry any more; runs: 2 of 2 tasks run it\n");
}

static void
test_registry_that_may_not_be_read(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "* /v2/*", .kind = FAULT_STATUS, .status = 403, .times = 99}, {0}};
    struct story *s CLEANUP(story_freep) = story_with_target(FAKE_OLD_DIGEST, "deployed");
    s->world->faults = faults;
    expect_status(s, ROW ": runs: 2 of 2 tasks run it\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_before_and_after),
        cmocka_unit_test(test_pending),
        cmocka_unit_test(test_services_of_every_kind),
        cmocka_unit_test(test_no_environment),
        cmocka_unit_test(test_cannot_be_read),
        cmocka_unit_test(test_all_agree),
        cmocka_unit_test(test_something_else_runs),
        cmocka_unit_test(test_what_may_not_be_read),
        cmocka_unit_test(test_image_moved_or_gone),
        cmocka_unit_test(test_registry_that_may_not_be_read),
    };
    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
