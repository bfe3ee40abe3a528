// `prove`: another tool rolled out. Green only when the digest that was asked for is what runs.
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
    "title: Shop\nname: shop\nrepo: octo/shop\nservices:\n  web:\n    expose: 8080\ndeploy:\n"     \
    "  target: {kind: ecs, cluster: blue, service: shop}\n"
#define SAYS "prove 'shop' in 'staging': "
#define OTHER_DIGEST "sha256:2222222222222222222222222222222222222222222222222222222222222222"

// Parameter 'v2' over a proven 'v1' of FAKE_OLD_DIGEST.
static struct story *
story_of(const char *running)
{
    struct story *s = story_new();
    s->app_spec = SPEC;
    s->request.verb = "prove";
    s->request.version = NULL;
    free((char *)(uintptr_t)s->request.checkout);
    s->request.checkout = xstrdup(s->dir); // no checkout is needed
    s->world->parameter_count = 0;
    struct world_parameter *p = world_parameter(s->world, STORY_PARAMETER, "v1", "proven-0");
    static const char wrote[] = "dispatcher d-1 prev=0 digest=" FAKE_OLD_DIGEST;
    memcpy(p->versions[0].description, wrote, sizeof(wrote));
    world_foreign_write(s->world, STORY_PARAMETER, "v2");
    fake_targets_reset(s->world);
    fake_targets.digest = running;
    return s;
}

static void
test_runs(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(STORY_DIGEST);
    fake_targets.late = 3;
    story_deploy(s);
    story_expect(s, 0, "deployed", "'shop' v2 is proven to run in 'staging'");
    story_expect_effects(s, "label " STORY_PARAMETER ":2 deployed,proven,proven-1\n");
    assert_true(s->d->proven);
    assert_string_equal(s->d->proof, "2 of 2 tasks run it");
    assert_int_equal(fake_targets.moves, 0);
    assert_int_equal(fake_targets.records, 0); // its task definition is the other tool's
    assert_null(deployment_target_at(s->d, 0)->before);
    assert_int_equal(s->d->notes.count, 0);
}

static void
test_the_release_before_runs(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(FAKE_OLD_DIGEST);
    story_deploy(s);
    story_expect(s, 7, "failed",
        SAYS "'web' does not run 'v2': 1 of 2 tasks runs it; 'v1', proven before, runs");
    story_expect_effects(s, "");
    assert_false(s->d->proven);
    assert_int_equal(s->fake->mono_ms - FAKE_MONO_START >= 5 * 60 * 1000, 1);
}

static void
test_something_else_runs(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(OTHER_DIGEST);
    s->request.timeout_ms = 60 * 1000;
    story_deploy(s);
    story_expect(s, 8, "failed", SAYS "'web' does not run 'v2': 1 of 2 tasks runs it");
    assert_string_equal(s->d->hint, "'dispatcher status shop --env staging' shows what runs; "
                                    "'dispatcher rollback shop --env staging --reason TEXT' goes "
                                    "back.");
    story_expect_effects(s, "");
}

static void
test_cannot_be_read(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(STORY_DIGEST);
    fake_targets.unprovable = ERROR_CREDENTIALS;
    story_deploy(s);
    story_expect(
        s, 4, "failed", SAYS "what runs could not be read: ecs:DescribeTasks is not allowed");
    fake_targets.unprovable = ERROR_UNAVAILABLE;
    story_deploy(s);
    story_expect(
        s, 12, "failed", SAYS "what runs could not be read: ecs:DescribeTasks is not allowed");
    story_expect_effects(s, "");
    assert_non_null(strstr(buf_cstr(&s->events), "cannot look at what runs, trying on"));
    fake_targets.unreadable = ERROR_CREDENTIALS;
    story_deploy(s);
    story_expect_refused(
        s, ERROR_CREDENTIALS, "look at target 'web': ecs:DescribeServices is not allowed", NULL);
}

static void
test_expected_digest(void **state)
{
    (void)state;
    const char *digests[] = {STORY_DIGEST};
    struct story *s CLEANUP(story_freep) = story_of(STORY_DIGEST);
    s->request.expect = (struct str_list){digests, 1};
    s->world->digest = NULL; // the registry does not say
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    s->world->digest = OTHER_DIGEST;
    s->world->effects[0] = '\0';
    story_deploy(s);
    story_expect_refused(s, ERROR_CONFLICT,
        "version 'v2' of 'web' is " OTHER_DIGEST " in the registry, not " STORY_DIGEST,
        "The parameter says another version than the one that was rolled out.");
    digests[0] = "web=" OTHER_DIGEST;
    story_deploy(s);
    story_expect(s, 8, "failed", NULL);
    digests[0] = "sha256:abc";
    story_deploy(s);
    story_expect_refused(s, ERROR_USAGE, "'sha256:abc' is no digest", NULL);
}

static void
test_only_some(void **state)
{
    (void)state;
    const char *names[] = {"mail"};
    struct story *s CLEANUP(story_freep) = story_of(STORY_DIGEST);
    s->request.only = (struct str_list){names, 1};
    story_deploy(s);
    story_expect_refused(s, ERROR_USAGE, "app 'shop' has no service 'mail' that is deployed", NULL);
    names[0] = "web";
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    assert_int_equal(s->d->services.count, 1);
}

static void
test_interrupted(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(STORY_DIGEST);
    fake_targets.late = 5;
    s->fake->cancel_at_ms = s->fake->mono_ms + 15 * 1000;
    story_deploy(s);
    assert_null(s->err);
    assert_int_equal(s->d->exit_code, 143);
    story_expect_effects(s, "");
}

static void
test_checks_belong_to_the_proof(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(STORY_DIGEST);
    s->app_spec = SPEC "  verify: [{url: \"https://shop.example.org/health\"}]\n";
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    story_prepare(s);
    assert_null(s->err);
    deploy_plan_text(s->d, &text);
    assert_string_equal(buf_cstr(&text),
        "shop v2 to staging\n"
        "  1. look whether 'web' runs " STORY_DIGEST "\n"
        "     another tool has rolled out; within 5m 0s it must run\n"
        "  2. check that 'https://shop.example.org/health' answers HTTP 200 within 5m 0s\n"
        "     what answers must be well, too\n"
        "  3. label the parameter version 'deployed', and 'proven' where the digest is seen to "
        "run\n"
        "     a proven release can be gone back to\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_the_release_before_runs),
        cmocka_unit_test(test_something_else_runs),
        cmocka_unit_test(test_cannot_be_read),
        cmocka_unit_test(test_expected_digest),
        cmocka_unit_test(test_only_some),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_checks_belong_to_the_proof),
    };
    return cmocka_run_group_tests_name("prove", tests, NULL, NULL);
}
