// `rollback`: which release it goes back to, what it refuses, and both ways of getting there.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_story.h"
#include "dispatcher/memory.h"
#include "fake_targets.h"

#define HEAD "title: Shop\nname: shop\nrepo: octo/shop\nservices:\n  web:\n    expose: 8080\n"
#define DIRECT HEAD "deploy:\n  via: direct\n  target: {kind: ecs, cluster: blue, service: shop}\n"
#define SAYS "roll back 'shop' in 'staging': "

static void
release(struct world *world, const char *value, const char *description, const char *labels)
{
    struct world_parameter *p = world_parameter(world, STORY_PARAMETER, value, labels);
    memcpy(p->versions[p->count - 1].description, description, strlen(description) + 1);
}

// 'v3' over a failed 'v2' over a proven 'v1'.
static void
fill(struct story *s)
{
    s->world->parameter_count = 0;
    release(s->world, "v1", "dispatcher d-1 prev=0 digest=" STORY_DIGEST, "proven-0");
    release(s->world, "v2", "dispatcher d-2 prev=1 digest=" STORY_DIGEST, "");
    release(s->world, "v3", "dispatcher d-3 prev=2 digest=" STORY_DIGEST, "deployed");
}

static struct story *
story_of(const char *spec)
{
    struct story *s = story_new();
    s->app_spec = spec;
    s->request.verb = "rollback";
    s->request.version = NULL;
    s->request.because = "checkout is 'slow'\x1b[31m";
    free((char *)(uintptr_t)s->request.checkout);
    s->request.checkout = xstrdup(s->dir);
    fill(s);
    fake_targets_reset(s->world);
    fake_targets.version = "v3";
    return s;
}

static void
test_directly(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(DIRECT);
    story_deploy(s);
    story_expect(s, 0, "deployed", "'shop' v1 is back in 'staging' and proven to run");
    story_expect_effects(s,
        "put " STORY_PARAMETER "=v1\nmove web forward v1\nlabel " STORY_PARAMETER
        ":4 deployed,proven,proven-0\n");
    assert_string_equal(s->d->replaces, "v3");
    assert_string_equal(s->d->because, "checkout is 'slow'\x1b[31m");
    assert_string_equal(world_parameter_find(s->world, STORY_PARAMETER)->versions[3].description,
        arena_printf(s->arena,
            "dispatcher %s prev=3 digest=" STORY_DIGEST
            " rollback of=v3 reason='checkout is 'slow''",
            s->d->id));
}

// What was left once is not gone back to, and in the end there is nothing.
static void
test_twice(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(DIRECT);
    release(
        s->world, "v4", "dispatcher d-4 prev=3 digest=" STORY_DIGEST, "deployed,proven,proven-1");
    release(s->world, "v5", "dispatcher d-5 prev=4 digest=" STORY_DIGEST, "");
    story_deploy(s);
    story_expect(s, 0, "deployed", "'shop' v4 is back in 'staging' and proven to run");
    story_deploy(s);
    story_expect(s, 0, "deployed", "'shop' v1 is back in 'staging' and proven to run");
    s->world->effects[0] = '\0';
    story_deploy(s);
    story_expect_refused(s, ERROR_USAGE, "'shop' has no proven release before 'v1' in 'staging'",
        "There is 'v4' (proven, but a rollback has left it, 2026-11-21), 'v5' (never proven, "
        "2026-11-21), 'v3' (never proven, 2026-11-21), 'v2' (never proven, 2026-11-21). Say which "
        "with --to, if you know that it was well.");
}

static void
test_by_the_workflow(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(HEAD);
    story_deploy(s);
    story_expect(s, 0, "deployed", "'shop' v1 is back in 'staging'");
    story_expect_effects(
        s, arena_printf(s->arena,
               "put " STORY_PARAMETER "=v1\npost main application=shop environment=staging "
               "distinct_id=%s\nlabel " STORY_PARAMETER ":4 deployed\n",
               s->d->dispatch_id));
}

static void
test_a_run_that_fails(void **state)
{
    (void)state;
    static const char *const life[] = {"in_progress", "completed:failure", NULL};
    struct story *s CLEANUP(story_freep) = story_of(HEAD);
    s->world->life = life;
    story_deploy(s);
    story_expect(s, 7, "failed",
        SAYS "run 29020317001 ended as 'failure'; parameter " STORY_PARAMETER
             " is restored ('v3' is back as version 5)");
}

static void
test_to_a_given_one(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(DIRECT);
    s->request.to = "v2";
    story_deploy(s);
    story_expect(s, 0, "deployed", "'shop' v2 is back in 'staging' and proven to run");
    assert_string_equal(
        s->d->notes.items[0], "warning: no release 'v2' of 'web' is known to be proven");
    s->request.to = "v2";
    s->world->effects[0] = '\0';
    story_deploy(s);
    story_expect_refused(s, ERROR_USAGE, "'v2' is the version that 'staging' is set to already",
        "'dispatcher rollout shop --env staging' rolls it out again.");
    s->request.to = "not a tag";
    story_deploy(s);
    story_expect_refused(s, ERROR_USAGE, "version 'not a tag' cannot be an image tag", NULL);
}

static void
test_image_is_gone_or_another(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(DIRECT);
    s->world->digest = NULL;
    story_deploy(s);
    story_expect_refused(s, ERROR_INPUT,
        "image '127.0.0.1:5000/shop-staging-web:v1' is not in the registry",
        "It was never pushed, or a lifecycle policy has removed it since: deploy the version again "
        "from the app's repository.");
    s->world->digest = FAKE_OLD_DIGEST;
    story_deploy(s);
    story_expect_refused(s, ERROR_CONFLICT,
        "image '127.0.0.1:5000/shop-staging-web:v1' is " FAKE_OLD_DIGEST
        " now, 'v1' was deployed as " STORY_DIGEST,
        "The tag was moved since. Push the image of before under a version of its own and deploy "
        "that, or go back to another release with --to.");
}

static void
test_nothing_there(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(DIRECT);
    s->world->parameter_count = 0;
    story_deploy(s);
    story_expect_refused(s, ERROR_SPEC, "parameter '" STORY_PARAMETER "' does not exist",
        "Nothing was deployed there yet, so there is nothing to go back to.");
    release(s->world, "v1", "by hand", "");
    story_deploy(s);
    story_expect_refused(s, ERROR_USAGE, "'shop' has no proven release before 'v1' in 'staging'",
        "Its parameter '" STORY_PARAMETER "' has held no other version.");
}

static void
test_rules_do_not_hold_it_back(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) =
        story_of(DIRECT "  environments:\n    staging:\n      branch: release\n      windows: "
                        "[{deny: \"Mon 00:00 - Sun 23:59\", tz: UTC, reason: never}]\n"
                        "      rollback: {lock: true}\n");
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    assert_int_equal(s->d->notes.count, 2);
    assert_string_equal(
        s->d->notes.items[0], "a rollback waits for no window and asks no 'allow' rule");
    assert_string_equal(s->d->notes.items[1], "'rollback.lock' locks nothing in this version: the "
                                              "next deployment replaces what is rolled "
                                              "back to");
}

static void
test_two_services(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(
        "title: Shop\nname: shop\nrepo: octo/shop\nservices:\n  web:\n    expose: 8080\n  worker:\n"
        "    expose: 8081\ndeploy:\n  via: direct\n  targets:\n"
        "    web: {kind: ecs, cluster: blue, service: shop-web}\n"
        "    worker: {kind: ecs, cluster: blue, service: shop-worker}\n");
    release(s->world, "v4", "dispatcher d-4 prev=3", "proven,proven-1");
    release(s->world, "v5", "dispatcher d-5 prev=4", "");
    (void)world_parameter(s->world, STORY_SECOND, "v1", "proven-0");
    (void)world_parameter(s->world, STORY_SECOND, "v4", ""); // it was not well there
    (void)world_parameter(s->world, STORY_SECOND, "v5", "");
    story_deploy(s);
    story_expect(s, 0, "deployed", "'shop' v1 is back in 'staging' and proven to run");
}

// Killed wherever it may be, it is written and dispatched once, with the reason, and ends the same.
static void
test_killed_everywhere(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(HEAD);
    int64_t at = 1;
    for (; at < 2000; at++) {
        story_restart(s);
        fill(s);
        if (!story_deploy_and_die(s, at)) {
            break;
        }
        if (!story_has_journal(s)) {
            story_expect_effects(s, "");
            continue;
        }
        story_resume(s);
        bool undecidable = cstr_equal(s->d->result, "unknown") && s->world->posts == 0;
        if (undecidable) { // nobody can know whether the dispatch had left
            assert_int_equal(s->d->exit_code, 9);
            continue;
        }
        story_expect(s, 0, "deployed", "'shop' v1 is back in 'staging'");
        const struct world_parameter *p = world_parameter_find(s->world, STORY_PARAMETER);
        assert_int_equal(s->world->posts, 1);
        assert_int_equal(p->count, 4);
        assert_string_equal(p->versions[3].value, "v1");
        assert_string_equal(p->versions[3].labels[0], "deployed");
        assert_non_null(strstr(p->versions[3].description, " rollback of=v3 reason='checkout is "));
    }
    assert_true(at > 40 && at < 2000);
}

static void
test_plan(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(DIRECT);
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    story_prepare(s);
    assert_null(s->err);
    deploy_plan_text(s->d, &text);
    assert_string_equal(buf_cstr(&text),
        "shop v1 to staging, back from v3\n"
        "  1. write 'v1' to parameter " STORY_PARAMETER "\n"
        "     replaces 'v3'\n"
        "  2. roll out 'web' to service 'shop'; follow it to the end, 30m 0s at most\n"
        "     replaces 'shop:41'\n"
        "  3. label the parameter version 'deployed', and 'proven' where the digest is seen to "
        "run\n"
        "     a proven release can be gone back to\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_directly),
        cmocka_unit_test(test_twice),
        cmocka_unit_test(test_by_the_workflow),
        cmocka_unit_test(test_a_run_that_fails),
        cmocka_unit_test(test_to_a_given_one),
        cmocka_unit_test(test_image_is_gone_or_another),
        cmocka_unit_test(test_nothing_there),
        cmocka_unit_test(test_rules_do_not_hold_it_back),
        cmocka_unit_test(test_two_services),
        cmocka_unit_test(test_killed_everywhere),
        cmocka_unit_test(test_plan),
    };
    return cmocka_run_group_tests_name("rollback", tests, NULL, NULL);
}
