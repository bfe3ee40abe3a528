// App Runner from images: what is asked for, how each end of the operation is told, and that
// nothing is green unless the digest in force is the one that was asked for.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "advance_story.h"
#include "dispatcher/memory.h"
#include "runner_story.h"

#define UPDATED "put /shop/staging/web/version=v2\nupdate shop-staging shop-staging-web@sha256:\n"
#define RECORDED                                                                                   \
    "label /shop/staging/web/version:2 deployed,proven,proven-0\n"                                 \
    "tag shop-staging app=shop environment=staging version=v2 digest=sha256:6c3c624b58dbb\n"
#define PUT_BACK "put /shop/staging/web/version=v1\nlabel /shop/staging/web/version:3 deployed\n"
#define RESTORED "; parameter /shop/staging/web/version is restored ('v1' is back as version 3)"

#define LIFE(...) ((const char *const[]){"PENDING", "IN_PROGRESS", __VA_ARGS__, NULL})

static const char *const reasons[] = {"11-29-2026 03:00:00 PM [AppRunner] Starting.",
    "11-29-2026 03:00:01 PM [AppRunner] Health check failed on protocol `HTTP`[Path: '/'].",
    "11-29-2026 03:00:02 PM [AppRunner] Deployment with ID : 1 failed.", NULL};

static void
test_the_image_and_nothing_else(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) =
        runner_story(RUNNER_SPEC, RUNNER_SOURCE(RUNNER_OLD_IMAGE, "true"));
    story_deploy(s);
    runner_expect_green(s);
    story_expect_effects(s, UPDATED RECORDED);
    assert_string_equal(runner_target(s)->proof,
        "App Runner service 'shop-staging' runs sha256:6c3c624b58db…, operation "
        "00000001-op-shop-staging");
    assert_string_equal(runner_target(s)->before, RUNNER_OLD_IMAGE);
    assert_string_equal(runner_target(s)->before_digest, RUNNER_OLD_DIGEST);
    assert_string_equal(runner_target(s)->note, "replaces " RUNNER_OLD_IMAGE " (RUNNING)");
    assert_string_equal(runner_of(s)->source, RUNNER_SOURCE(RUNNER_NEW_IMAGE, "false"));
    assert_string_equal(s->d->notes.items[1],
        "App Runner service 'shop-staging' deploys by itself on each push: the rollout turns that "
        "off");
    runner_expect_no_canary(s);
}

static void
test_what_the_spec_names_is_sent_along(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = runner_story(RUNNER_SPEC
        "    port: 3000\n    start: ./run\n    cpu: 2048\n    memory: 2048\n"
        "    environment: {A: \"1\", KEPT: other}\n"
        "    secrets: {B: \"arn:aws:ssm:us-east-1:012345678901:parameter/b\"}\n"
        "    health_check: {path: /up, interval: 5s}\n",
        NULL);
    story_deploy(s);
    runner_expect_green(s);
    story_expect_effects(s, "put /shop/staging/web/version=v2\n"
                            "update shop-staging shop-staging-web@sha256: cpu=2048\n" RECORDED);
    assert_non_null(strstr(runner_of(s)->source,
        "\"ImageConfiguration\":{\"Port\":\"3000\",\"RuntimeEnvironmentVariables\":{\"KEPT\":"
        "\"other\",\"A\":\"1\"},\"StartCommand\":\"./run\",\"RuntimeEnvironmentSecrets\":{\"B\":"));
    assert_string_equal(
        runner_target(s)->source_changes, "start command, port, environment, secrets");
    assert_string_equal(runner_target(s)->other_changes, "cpu, health check");
}

// A tag says which version ran; what it means is what can be compared.
static void
test_a_tag_is_replaced(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) =
        runner_story(RUNNER_SPEC, RUNNER_SOURCE(RUNNER_REPOSITORY ":v1", "false"));
    s->world->tags = (const struct world_tag[]){{"v1", RUNNER_OLD_DIGEST}, {NULL, NULL}};
    story_deploy(s);
    runner_expect_green(s);
    assert_string_equal(runner_target(s)->before_version, "v1");
    assert_string_equal(runner_target(s)->before_digest, RUNNER_OLD_DIGEST);
    assert_string_equal(runner_target(s)->note, "replaces 'v1' (RUNNING)");
}

static void
test_a_pinned_image_has_its_version_in_a_tag(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = runner_story(RUNNER_SPEC, NULL);
    (void)snprintf(runner_of(s)->tags, sizeof(runner_of(s)->tags), "%s",
        "{\"Key\":\"dispatcher:version\",\"Value\":\"v1\"},"
        "{\"Key\":\"dispatcher:digest\",\"Value\":\"" RUNNER_OLD_DIGEST "\"}");
    story_prepare(s);
    assert_null(s->err);
    assert_string_equal(runner_target(s)->before_version, "v1");
    (void)snprintf(runner_of(s)->tags, sizeof(runner_of(s)->tags), "%s",
        "{\"Key\":\"dispatcher:version\",\"Value\":\"v1\"},"
        "{\"Key\":\"dispatcher:digest\",\"Value\":\"" STORY_DIGEST "\"}");
    story_prepare(s); // somebody has changed the image since: the tag is of another one
    assert_null(runner_target(s)->before_version);
}

static void
test_nothing_to_do(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) =
        runner_story(RUNNER_SPEC, RUNNER_SOURCE(RUNNER_NEW_IMAGE, "false"));
    (void)world_runner_operation(s->world, runner_of(s), "UPDATE_SERVICE", LIFE("SUCCEEDED"));
    runner_of(s)->operations[0].looks = 9;
    story_deploy(s);
    runner_expect_green(s);
    story_expect_effects(s, "put /shop/staging/web/version=v2\n" RECORDED);
    assert_string_equal(runner_target(s)->forward.state, "nothing");
}

// The configuration says our image, and what was to put it there has failed.
static void
test_a_failed_operation_is_not_trusted(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) =
        runner_story(RUNNER_SPEC, RUNNER_SOURCE(RUNNER_NEW_IMAGE, "false"));
    runner_of(s)->keeps_source = true;
    (void)world_runner_operation(s->world, runner_of(s), "UPDATE_SERVICE", LIFE("FAILED"));
    runner_of(s)->operations[0].looks = 9;
    story_deploy(s);
    runner_expect_green(s);
    story_expect_effects(s, UPDATED RECORDED);
}

// --- how it ends -------------------------------------------------------------------------------

struct ending {
    const char *name;
    const char *const *life;
    bool keeps_source;
    int exit_code;
    const char *message, *effects;
};

#define FAILED "deploy 'shop' to 'staging': 'web' "
#define WHY "Health check failed on protocol `HTTP`[Path: '/']"
#define BACK_BY_US UPDATED "update shop-staging shop-staging-web@sha256:\n" PUT_BACK

static const struct ending endings[] = {
    {"rolled back", LIFE("ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCEEDED"), false, 7,
        FAILED "was rolled back by the platform: " WHY "; 'web' is restored: " RUNNER_OLD_IMAGE
               " runs again" RESTORED,
        UPDATED PUT_BACK},
    {"rolled back at once", LIFE("ROLLBACK_SUCCEEDED"), false, 7,
        FAILED "was rolled back by the platform: " WHY "; 'web' is restored: " RUNNER_OLD_IMAGE
               " runs again" RESTORED,
        UPDATED PUT_BACK},
    // It says that it went back, and the configuration says otherwise: not believed.
    {"rolled back, they say", LIFE("ROLLBACK_SUCCEEDED"), true, 8,
        FAILED "was rolled back by the platform: " WHY
               "; 'web' could NOT be restored: App Runner service 'shop-staging' is on "
               "sha256:6c3c624b58db… ('" RUNNER_NEW_IMAGE "')" RESTORED,
        UPDATED PUT_BACK},
    {"failed, old image", LIFE("FAILED"), false, 7,
        FAILED "failed: " WHY "; 'web' is restored: " RUNNER_OLD_IMAGE " runs again" RESTORED,
        UPDATED PUT_BACK},
    {"failed, new image", LIFE("FAILED"), true, 7,
        FAILED "failed: " WHY "; 'web' is restored: " RUNNER_OLD_IMAGE " runs again" RESTORED,
        BACK_BY_US},
    {"rollback failed", LIFE("ROLLBACK_IN_PROGRESS", "ROLLBACK_FAILED"), true, 7,
        FAILED "failed, and the platform could not roll it back: " WHY
               "; 'web' is restored: " RUNNER_OLD_IMAGE " runs again" RESTORED,
        BACK_BY_US},
};

// After the first operation the service takes a good one.
static void
heal(struct world *world)
{
    static const char *const good[] = {"IN_PROGRESS", "SUCCEEDED", NULL};
    world->runners[0].life = good;
}

static void
go_through_bad_ends(void (*deploy)(struct story *story))
{
    for (size_t i = 0; i < ARRAY_LENGTH(endings); i++) {
        struct story *s CLEANUP(story_freep) = runner_story(RUNNER_SPEC, NULL);
        print_message("%s\n", endings[i].name);
        runner_of(s)->life = endings[i].life;
        runner_of(s)->keeps_source = endings[i].keeps_source;
        s->world->service_log = reasons;
        s->world->program_log = (const char *const[]){"listening", "panic: no database", NULL};
        s->world->faults = (const struct world_fault[]){
            {"apprunner:UpdateService /", .from = 2, .kind = FAULT_HOOK, .hook = heal}, {0}};
        deploy(s);
        story_expect(s, endings[i].exit_code, "failed", endings[i].message);
        story_expect_effects(s, endings[i].effects);
        assert_string_equal(runner_target(s)->evidence.items[0], "the program: panic: no database");
        assert_string_equal(s->d->hint, "the program: panic: no database");
        assert_false(s->d->proven);
        assert_false(runner_target(s)->proven);
        runner_expect_no_canary(s);
    }
}

static void
test_every_bad_end(void **state)
{
    (void)state;
    go_through_bad_ends(story_deploy);
}

static void
test_every_bad_end_in_calls(void **state)
{
    (void)state;
    go_through_bad_ends(story_deploy_in_calls);
}

// --- going back --------------------------------------------------------------------------------

static const char *const failing[] = {"IN_PROGRESS", "FAILED", NULL};

static struct story *
story_that_goes_back(const char *spec, const char *source)
{
    static const struct world_tag tags[] = {{"v1", RUNNER_OLD_DIGEST}, {NULL, NULL}};
    static const struct world_fault faults[] = {
        {"apprunner:UpdateService /", .from = 2, .kind = FAULT_HOOK, .hook = heal}, {0}};
    struct story *s = runner_story(spec, source);
    runner_of(s)->life = failing;
    runner_of(s)->keeps_source = true;
    s->world->tags = tags;
    s->world->faults = faults;
    return s;
}

// Tag, variables, automatic deployments: all as it was.
static void
test_the_whole_source_goes_back(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) =
        story_that_goes_back(RUNNER_SPEC "    environment: {KEPT: other, NEW: \"1\"}\n",
            RUNNER_SOURCE(RUNNER_REPOSITORY ":v1", "true"));
    story_deploy(s);
    story_expect(s, 7, "failed",
        FAILED "failed: operation 00000001-op-shop-staging ended as FAILED; 'web' is restored: "
               "'v1' (" RUNNER_REPOSITORY ":v1) runs again" RESTORED);
    story_expect_effects(s, UPDATED "update shop-staging shop-staging-web:v1 auto\n" PUT_BACK);
    assert_string_equal(runner_of(s)->source, RUNNER_SOURCE(RUNNER_REPOSITORY ":v1", "true"));
}

static void
move_tag(struct world *world)
{
    static const struct world_tag tags[] = {{"v1", STORY_DIGEST}, {NULL, NULL}};
    world->tags = tags;
}

// The tag of before means the new image by now: the old one is named by its digest.
static void
test_a_tag_that_was_moved(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) =
        story_that_goes_back(RUNNER_SPEC, RUNNER_SOURCE(RUNNER_REPOSITORY ":v1", "false"));
    s->world->faults = (const struct world_fault[]){
        {"apprunner:UpdateService /", .kind = FAULT_HOOK, .hook = move_tag},
        {"apprunner:UpdateService /", .from = 2, .kind = FAULT_HOOK, .hook = heal}, {0}};
    story_deploy(s);
    story_expect(s, 7, "failed",
        FAILED "failed: operation 00000001-op-shop-staging ended as FAILED; 'web' is restored: "
               "'v1' (" RUNNER_REPOSITORY ":v1) runs again" RESTORED);
    assert_string_equal(runner_of(s)->source, RUNNER_SOURCE(RUNNER_OLD_IMAGE, "false"));
}

// What beside the source was changed stays, and that is said.
static void
test_the_rest_stays(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) =
        story_that_goes_back(RUNNER_SPEC "    cpu: 2048\n", NULL);
    story_deploy(s);
    story_expect(s, 7, "failed",
        FAILED "failed: operation 00000001-op-shop-staging ended as FAILED; 'web' is "
               "restored: " RUNNER_OLD_IMAGE
               " runs again; what else was changed stays: cpu" RESTORED);
}

// Values of variables are not in the journal: a process that did not change them cannot put them
// back, and says so.
static void
test_another_process_goes_back(void **state)
{
    (void)state;
    bool died = true;
    size_t told = 0;
    for (int64_t at = 1; died; at += 5) {
        struct story *s CLEANUP(story_freep) =
            story_that_goes_back(RUNNER_SPEC "    environment: {NEW: \"1\"}\n", NULL);
        died = story_deploy_and_die(s, at);
        s->world->crash_at = 0;
        if (!died || !story_has_journal(s)) {
            continue;
        }
        story_resume(s);
        story_expect(s, 7, "failed", NULL);
        bool stays = strstr(s->d->message, "what else was changed stays: environment") != NULL;
        bool has = strstr(runner_of(s)->source, "\"NEW\"") != NULL;
        assert_int_equal(stays, has);
        assert_non_null(strstr(runner_of(s)->source, RUNNER_OLD_IMAGE));
        told += stays ? 1 : 0;
    }
    assert_true(told > 0);
}

// SUCCEEDED, and yet not ours: no digest but the one asked for is green.
static void
take_over(struct world *world)
{
    static const char theirs[] = RUNNER_SOURCE(RUNNER_REPOSITORY ":v9", "false");
    struct world_runner *runner = &world->runners[0];
    static const char *const done[] = {"SUCCEEDED", NULL};
    if (strstr(runner->source, ":v9") == NULL) {
        memcpy(runner->source, theirs, sizeof(theirs));
        (void)world_runner_operation(world, runner, "UPDATE_SERVICE", done);
    }
}

static void
test_somebody_else_takes_over(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = runner_story(RUNNER_SPEC, NULL);
    s->world->tags = (const struct world_tag[]){{"v9", RUNNER_OLD_DIGEST}, {NULL, NULL}};
    // look, begin, prove
    s->world->faults =
        (const struct world_fault[]){{"apprunner:DescribeService /", .from = 3, .times = 9,
                                         .kind = FAULT_HOOK, .hook = take_over},
            {0}};
    story_deploy(s);
    story_expect(s, 11, "cancelled",
        FAILED "was superseded by another deployment: operation 00000002-op-shop-staging "
               "(UPDATE_SERVICE) put '" RUNNER_REPOSITORY
               ":v9' there since; 'web' is NOT restored: "
               "operation 00000002-op-shop-staging (UPDATE_SERVICE) put '" RUNNER_REPOSITORY
               ":v9' there since" RESTORED);
    story_expect_effects(s, UPDATED PUT_BACK);
}

// The operation has succeeded, and the service does not say so (yet).
static void
revert(struct world *world)
{
    static const char old[] = RUNNER_SOURCE(RUNNER_OLD_IMAGE, "false");
    memcpy(world->runners[0].source, old, sizeof(old));
}

static void
test_success_without_the_digest(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = runner_story(RUNNER_SPEC, NULL);
    s->world->faults = (const struct world_fault[]){
        {"apprunner:DescribeService /", .from = 3, .times = 99, .kind = FAULT_HOOK, .hook = revert},
        {0}};
    story_deploy(s);
    story_expect(s, 7, "failed",
        "deploy 'shop' to 'staging': 'web' does not run what was asked for: App Runner service "
        "'shop-staging' is on sha256:111111111111… ('" RUNNER_OLD_IMAGE
        "'); 'web' is restored: " RUNNER_OLD_IMAGE " runs again" RESTORED);
    story_expect_effects(s, UPDATED PUT_BACK);
}

// Words that nobody knows yet are waited out, never taken for success.
static void
test_unknown_words(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) =
        runner_story(RUNNER_SPEC "  rollout: {timeout: 5m}\n", NULL);
    runner_of(s)->life = LIFE("SUCCEEDED_PARTIALLY");
    story_deploy(s);
    story_expect_open(s, 10, "timeout",
        "deploy 'shop' to 'staging': 'web' is still 'SUCCEEDED_PARTIALLY' after 5m 0s");
    story_expect_effects(s, UPDATED "label /shop/staging/web/version:2 pending\n");
}

static void
test_not_ready_to_be_proven(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = runner_story(RUNNER_SPEC, NULL);
    story_env(s, "DISPATCHER_PROVE_MS", "60000");
    s->world->faults = (const struct world_fault[]){
        {"apprunner:DescribeService /", .from = 3, .times = 9, .kind = FAULT_STATUS, .status = 200,
            .body = "{\"Service\":{\"ServiceArn\":\"" RUNNER_ARN "\",\"ServiceId\":\"1\","
                    "\"ServiceName\":\"shop-staging\",\"Status\":\"SHINY\",\"SourceConfiguration\":"
                    "{\"ImageRepository\":{\"ImageIdentifier\":\"" RUNNER_NEW_IMAGE
                    "\",\"ImageRepositoryType\":\"ECR\"}}}}"},
        {0}};
    story_deploy(s);
    story_expect(s, 7, "failed",
        "deploy 'shop' to 'staging': 'web' does not run what was asked for: App Runner service "
        "'shop-staging' is SHINY; 'web' is restored: " RUNNER_OLD_IMAGE " runs again" RESTORED);
}

// --- the log -----------------------------------------------------------------------------------

static void
test_no_reason_is_told_as_such(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = runner_story(RUNNER_SPEC, NULL);
    runner_of(s)->life = LIFE("ROLLBACK_SUCCEEDED");
    story_deploy(s); // there is no such log group
    story_expect(s, 7, "failed",
        FAILED "was rolled back by the platform: operation 00000001-op-shop-staging ended as "
               "ROLLBACK_SUCCEEDED; 'web' is restored: " RUNNER_OLD_IMAGE " runs again" RESTORED);
    assert_int_equal(runner_target(s)->evidence.count, 0);
}

static void
test_a_log_that_may_not_be_read(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = runner_story(RUNNER_SPEC, NULL);
    runner_of(s)->life = LIFE("ROLLBACK_SUCCEEDED");
    s->world->faults = (const struct world_fault[]){
        {"logs:FilterLogEvents /", .times = 9, .kind = FAULT_STATUS, .status = 400,
            .body = "{\"__type\":\"AccessDeniedException\",\"message\":\"User is not authorized to "
                    "perform: logs:FilterLogEvents\"}"},
        {0}};
    story_deploy(s);
    assert_int_equal(s->d->exit_code, 7);
    assert_non_null(strstr(s->d->hint, "its log could not be read: "));
    assert_non_null(strstr(s->d->hint, "Allow the action 'logs:FilterLogEvents'"));
}

static void
test_hostile_lines(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = runner_story(RUNNER_SPEC, NULL);
    runner_of(s)->life = LIFE("ROLLBACK_SUCCEEDED");
    s->world->service_log =
        (const char *const[]){"::error::fail\x1b[31m " STORY_TOKEN "\r\n::set-output::x", NULL};
    story_deploy(s);
    assert_int_equal(s->d->exit_code, 7);
    assert_null(strchr(s->d->message, '\x1b'));
    assert_null(strchr(s->d->message, '\n'));
    assert_null(strstr(s->d->message, STORY_TOKEN));
    assert_non_null(strstr(s->d->message, "fail"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_image_and_nothing_else),
        cmocka_unit_test(test_what_the_spec_names_is_sent_along),
        cmocka_unit_test(test_a_tag_is_replaced),
        cmocka_unit_test(test_a_pinned_image_has_its_version_in_a_tag),
        cmocka_unit_test(test_nothing_to_do),
        cmocka_unit_test(test_a_failed_operation_is_not_trusted),
        cmocka_unit_test(test_every_bad_end),
        cmocka_unit_test(test_every_bad_end_in_calls),
        cmocka_unit_test(test_the_whole_source_goes_back),
        cmocka_unit_test(test_a_tag_that_was_moved),
        cmocka_unit_test(test_the_rest_stays),
        cmocka_unit_test(test_another_process_goes_back),
        cmocka_unit_test(test_somebody_else_takes_over),
        cmocka_unit_test(test_success_without_the_digest),
        cmocka_unit_test(test_unknown_words),
        cmocka_unit_test(test_not_ready_to_be_proven),
        cmocka_unit_test(test_no_reason_is_told_as_such),
        cmocka_unit_test(test_a_log_that_may_not_be_read),
        cmocka_unit_test(test_hostile_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
