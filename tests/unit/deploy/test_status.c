// What runs where, as the version parameters say it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_story.h"
#include "dispatcher/memory.h"

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
    expect_status(s, "shop/staging/web v1 by arn:aws:iam::1:u/old in (null), labelled: (null)\n");
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    const char *id = s->d->id;
    expect_status(s,
        arena_printf(s->arena,
            "shop/staging/web v2 by arn:aws:sts::1:assumed-role/deploy in %s, labelled: (null)\n",
            id));
    world_foreign_write(s->world, STORY_PARAMETER, "v9");
    expect_status(s, "shop/staging/web v9 by arn:aws:iam::1:user/mallory in (null): no successful "
                     "run is recorded for this version\n");
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
            "version did not come to an end that is known\n",
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_before_and_after),
        cmocka_unit_test(test_pending),
        cmocka_unit_test(test_services_of_every_kind),
        cmocka_unit_test(test_no_environment),
        cmocka_unit_test(test_cannot_be_read),
    };
    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
