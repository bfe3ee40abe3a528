// Asking App Runner: once, when the service takes a change; what an automatic deployment, a lost
// answer, a missing operation id, a refusal and a killed process lead to.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "runner_story.h"

#define WRITTEN "put /shop/staging/web/version=v2\n"
#define UPDATED WRITTEN "update shop-staging shop-staging-web@sha256:\n"
#define TAGGED                                                                                     \
    "tag shop-staging app=shop environment=staging version=v2 digest=sha256:6c3c624b58dbb\n"
#define RECORDED "label /shop/staging/web/version:2 deployed,proven,proven-0\n" TAGGED
#define PUT_BACK "put /shop/staging/web/version=v1\nlabel /shop/staging/web/version:3 deployed\n"
#define RESTORED "; parameter /shop/staging/web/version is restored ('v1' is back as version 3)"
#define FAILED "deploy 'shop' to 'staging': "
#define DENIED(action)                                                                             \
    "{\"__type\":\"AccessDeniedException\",\"Message\":\"User is not authorized to perform: "      \
    "apprunner:" action "\"}"

static const char *const slow[] = {
    "IN_PROGRESS", "IN_PROGRESS", "IN_PROGRESS", "IN_PROGRESS", "SUCCEEDED", NULL};

static size_t
count_of(const struct story *s, const char *text)
{
    size_t count = 0;
    for (const char *at = strstr(buf_cstr(&s->events), text); at != NULL;
         at = strstr(at + 1, text)) {
        count++;
    }
    return count;
}

// --- the service is busy -----------------------------------------------------------------------

static void
test_it_waits_for_another_operation(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = runner_story(RUNNER_SPEC, NULL);
    (void)world_runner_operation(s->world, runner_of(s), "UPDATE_SERVICE", slow);
    story_deploy(s);
    runner_expect_green(s);
    story_expect_effects(s, UPDATED RECORDED);
    assert_int_equal(runner_of(s)->operation_count, 2);
    // Said once, however often it was looked at.
    assert_int_equal(count_of(s, "waits for operation 00000001 (UPDATE_SERVICE)"), 1);
    assert_string_equal(s->d->notes.items[1],
        "an operation is in progress at App Runner service 'shop-staging': ours waits for it");
}

static void
test_waiting_has_an_end(void **state)
{
    (void)state;
    static const char *const endless[] = {"IN_PROGRESS", NULL};
    struct story *s CLEANUP(story_freep) =
        runner_story(RUNNER_SPEC "  rollout: {timeout: 5m}\n", NULL);
    (void)world_runner_operation(s->world, runner_of(s), "UPDATE_SERVICE", endless);
    story_deploy(s);
    story_expect(s, 6, "failed",
        FAILED "'web' was not begun within 5m 0s: waits for operation 00000001 (UPDATE_SERVICE) "
               "that is in progress there" RESTORED);
    story_expect_effects(s, WRITTEN PUT_BACK);
}

// The platform says in its answer that it is busy: the look was too early.
static void
test_busy_after_the_look(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = runner_story(RUNNER_SPEC, NULL);
    s->world->faults = (const struct world_fault[]){
        {"apprunner:UpdateService /", .times = 2, .kind = FAULT_STATUS, .status = 400,
            .body = "{\"__type\":\"InvalidStateException\",\"Message\":\"busy\"}"},
        {0}};
    story_deploy(s);
    runner_expect_green(s);
    story_expect_effects(s, UPDATED RECORDED);
}

static void
test_throttled(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = runner_story(RUNNER_SPEC, NULL);
    s->world->faults = (const struct world_fault[]){
        {"apprunner:UpdateService /", .times = 7, .kind = FAULT_STATUS, .status = 400,
            .body = "{\"__type\":\"ThrottlingException\",\"Message\":\"Rate exceeded\"}"},
        {"apprunner:ListOperations /", .from = 4, .times = 3, .kind = FAULT_STATUS, .status = 429,
            .body = "{\"__type\":\"ThrottlingException\",\"Message\":\"Rate exceeded\"}"},
        {0}};
    story_deploy(s);
    runner_expect_green(s);
    story_expect_effects(s, UPDATED RECORDED);
}

// --- it deploys by itself ----------------------------------------------------------------------

// The service is on the tag that we push, and App Runner has begun before we could ask.
static void
test_an_automatic_deployment_of_ours_is_followed(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) =
        runner_story(RUNNER_SPEC, RUNNER_SOURCE(RUNNER_REPOSITORY ":v2", "true"));
    (void)world_runner_operation(s->world, runner_of(s), "START_DEPLOYMENT", slow);
    story_deploy(s);
    runner_expect_green(s);
    story_expect_effects(s, WRITTEN RECORDED);
    assert_string_equal(runner_target(s)->forward.id, "00000001-op-shop-staging");
    assert_string_equal(runner_target(s)->proof,
        "App Runner service 'shop-staging' runs sha256:6c3c624b58db…, which the tag of its image "
        "means now, operation 00000001-op-shop-staging");
    assert_int_equal(
        count_of(s, "App Runner deploys this image by itself; operation 00000001-op-shop-staging"),
        1);
}

static void
test_an_automatic_deployment_that_fails(void **state)
{
    (void)state;
    static const char *const bad[] = {"IN_PROGRESS", "IN_PROGRESS", "IN_PROGRESS",
        "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCEEDED", NULL};
    struct story *s CLEANUP(story_freep) =
        runner_story(RUNNER_SPEC, RUNNER_SOURCE(RUNNER_REPOSITORY ":v2", "true"));
    (void)world_runner_operation(s->world, runner_of(s), "START_DEPLOYMENT", bad);
    story_deploy(s);
    // The tag means the new image, and something older runs: which, nobody can say.
    story_expect(s, 8, "failed",
        FAILED "'web' was rolled back by the platform: operation 00000001-op-shop-staging ended as "
               "ROLLBACK_SUCCEEDED; 'web' could NOT be restored: App Runner service 'shop-staging' "
               "went back to an earlier image of '" RUNNER_REPOSITORY
               ":v2': it does not tell which" RESTORED);
    assert_string_equal(runner_target(s)->forward.outcome, "rolled-back");
}

// Of another image, with other settings, or begun before our image was there: ours comes after it.
static void
test_others_are_waited_for(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *source, *type;
    } cases[] = {
        {RUNNER_SPEC, RUNNER_SOURCE(RUNNER_REPOSITORY ":v9", "true"), "START_DEPLOYMENT"},
        {RUNNER_SPEC "    port: 3000\n", RUNNER_SOURCE(RUNNER_REPOSITORY ":v2", "true"),
            "START_DEPLOYMENT"},
        {RUNNER_SPEC, RUNNER_SOURCE(RUNNER_REPOSITORY ":v2", "true"), "RESUME_SERVICE"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct story *s CLEANUP(story_freep) = runner_story(cases[i].spec, cases[i].source);
        s->world->tags = (const struct world_tag[]){{"v9", RUNNER_OLD_DIGEST}, {NULL, NULL}};
        (void)world_runner_operation(s->world, runner_of(s), cases[i].type, slow);
        story_deploy(s);
        runner_expect_green(s);
        story_expect_effects(s, UPDATED RECORDED);
    }
}

// --- what cannot be changed --------------------------------------------------------------------

struct refusal {
    const char *status, *spec, *source;
    enum error_kind kind;
    const char *text, *hint;
};

#define LOOK "look at target 'web': "
#define CODE_SOURCE                                                                                \
    "{\"CodeRepository\":{\"RepositoryUrl\":\"https://github.com/octo/"                            \
    "shop\",\"SourceCodeVersion\":"                                                                \
    "{\"Type\":\"BRANCH\",\"Value\":\"main\"},\"CodeConfiguration\":{\"ConfigurationSource\":"     \
    "\"REPOSITORY\"}},\"AutoDeploymentsEnabled\":false}"

static const struct refusal refusals[] = {
    {"PAUSED", RUNNER_SPEC, NULL, ERROR_CONFLICT,
        LOOK "App Runner service 'shop-staging' is paused: it takes no new version",
        "Resume it first (aws apprunner resume-service --service-arn " RUNNER_ARN
        "); it is not resumed unasked, because a paused service costs nothing and a running one "
        "does."},
    {"CREATE_FAILED", RUNNER_SPEC, NULL, ERROR_CONFLICT,
        LOOK "App Runner service 'shop-staging' could not be created (CREATE_FAILED) and takes no "
             "new version",
        NULL},
    {"DELETE_FAILED", RUNNER_SPEC, NULL, ERROR_CONFLICT,
        LOOK "App Runner service 'shop-staging' is half deleted (DELETE_FAILED)", NULL},
    {"DELETED", RUNNER_SPEC, NULL, ERROR_SPEC,
        LOOK "App Runner service 'shop-staging' does not exist in 'us-east-1'",
        "Check 'service', 'region' and the account of the credentials; or set 'create: true' in "
        "the target of 'web' and it is made."},
    {NULL, RUNNER_SPEC, CODE_SOURCE, ERROR_SPEC,
        LOOK "App Runner service 'shop-staging' is made from code, and the spec says 'source: "
             "image'",
        "App Runner cannot change that: correct 'source' in the target of 'web', or name a service "
        "of another name and let it be created."},
};

static void
test_refused_before_anything_is_done(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(refusals); i++) {
        struct story *s CLEANUP(story_freep) = runner_story(refusals[i].spec, refusals[i].source);
        runner_of(s)->status = refusals[i].status;
        story_deploy(s);
        story_expect_refused(s, refusals[i].kind, refusals[i].text, refusals[i].hint);
        assert_false(story_has_journal(s));
    }
}

static void
test_bad_names(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) =
        runner_story(RUNNER_SPEC "  environments: {staging: {target: {service: "
                                 "a-name-that-is-longer-than-forty-characters-are}}}\n",
            NULL);
    story_deploy(s);
    story_expect_refused(s, ERROR_SPEC,
        LOOK "'a-name-that-is-longer-than-forty-characters-are' cannot be the name of an App "
             "Runner service: it is too long",
        "Names are 4 to 40 letters, digits, '-' and '_'.");
}

// An ARN is as good as a name, and needs no permission to list.
static void
test_by_its_arn(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = runner_story(
        RUNNER_SPEC "  environments: {staging: {target: {service: \"" RUNNER_ARN "\"}}}\n", NULL);
    s->world->faults =
        (const struct world_fault[]){{"apprunner:ListServices /", .times = 99, .kind = FAULT_STATUS,
                                         .status = 400, .body = DENIED("ListServices")},
            {0}};
    story_deploy(s);
    runner_expect_green(s);
    runner_of(s)->gone = true;
    story_prepare(s);
    char *text CLEANUP(xfreep) = error_text(s->err);
    assert_string_equal(
        text, LOOK "App Runner service '" RUNNER_ARN "' does not exist in 'us-east-1'");
    assert_string_equal(error_hint_of(s->err),
        "Check the ARN in the target of 'web' and the account of the credentials.");
}

// It was paused after the plan was made.
static void
test_paused_meanwhile(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = runner_story(RUNNER_SPEC, NULL);
    s->world->faults = (const struct world_fault[]){
        {"apprunner:DescribeService /", .from = 2, .times = 9, .kind = FAULT_STATUS, .status = 200,
            .body = "{\"Service\":{\"ServiceArn\":\"" RUNNER_ARN "\",\"ServiceId\":\"1\","
                    "\"ServiceName\":\"shop-staging\",\"Status\":\"PAUSED\","
                    "\"SourceConfiguration\":" RUNNER_SOURCE(RUNNER_OLD_IMAGE, "false") "}}"},
        {0}};
    story_deploy(s);
    story_expect(s, 6, "failed",
        FAILED "'web' failed: App Runner service 'shop-staging' is paused: it takes no new "
               "version" RESTORED);
    story_expect_effects(s, WRITTEN PUT_BACK);
}

// --- no permission, no sense -------------------------------------------------------------------

struct fault_case {
    const char *match;
    unsigned from;
    int status;
    const char *body;
    int exit_code; // 0: refused before the journal
    enum error_kind kind;
    const char *text, *hint;
    const char *effects;
};

#define ALLOW(action)                                                                              \
    "Allow the action 'apprunner:" action "' to the role in use; 'dispatcher doctor' shows which " \
    "one that is."

static const struct fault_case faults[] = {
    {"apprunner:ListServices /", 1, 400, DENIED("ListServices"), 0, ERROR_CREDENTIALS,
        "list the App Runner services", ALLOW("ListServices"), ""},
    {"apprunner:DescribeService /", 1, 400, DENIED("DescribeService"), 0, ERROR_CREDENTIALS,
        "App Runner service", ALLOW("DescribeService"), ""},
    {"apprunner:ListOperations /", 1, 400, DENIED("ListOperations"), 4, ERROR_CREDENTIALS,
        "list the operations of App Runner service", ALLOW("ListOperations"), WRITTEN PUT_BACK},
    {"apprunner:UpdateService /", 1, 400, DENIED("UpdateService"), 4, ERROR_CREDENTIALS,
        "update App Runner service 'shop-staging'", ALLOW("UpdateService"), WRITTEN PUT_BACK},
    {"apprunner:UpdateService /", 1, 400,
        "{\"__type\":\"InvalidRequestException\",\"Message\":\"Image does not exist\"}", 12,
        ERROR_REFUSED, "Image does not exist", NULL, WRITTEN PUT_BACK},
    {"apprunner:ListServices /", 1, 500, "<html><body>Internal</body></html>", 0, ERROR_UNAVAILABLE,
        "list the App Runner services", NULL, ""},
    {"apprunner:DescribeService /", 1, 200, "{\"Service\":{\"Status\":7}}", 0, ERROR_UNAVAILABLE,
        "App Runner service", NULL, ""},
    {"apprunner:ListServices /", 1, 200, "{\"ServiceSummaryList\":{}}", 0, ERROR_UNAVAILABLE,
        "list the App Runner services", NULL, ""},
};

static void
test_each_call_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(faults); i++) {
        const struct fault_case *c = &faults[i];
        struct story *s CLEANUP(story_freep) = runner_story(RUNNER_SPEC, NULL);
        s->world->faults = (const struct world_fault[]){
            {c->match, .from = c->from, .times = 99, .kind = FAULT_STATUS, .status = c->status,
                .body = c->body},
            {0}};
        print_message("%s %d\n", c->match, c->status);
        story_deploy(s);
        char *text CLEANUP(xfreep) = s->err != NULL ? error_text(s->err) : xstrdup(s->d->message);
        assert_non_null(strstr(text, c->text));
        if (c->exit_code == 0) {
            assert_non_null(s->err);
            assert_int_equal(error_kind(s->err), c->kind);
        } else {
            story_expect(s, c->exit_code, "failed", NULL);
            assert_non_null(strstr(text, RESTORED));
        }
        const char *hint = s->err != NULL ? error_hint_of(s->err) : s->d->hint;
        assert_true(c->hint == NULL || cstr_equal(hint, c->hint));
        story_expect_effects(s, c->effects);
    }
}

// --- a lost answer, a missing id ---------------------------------------------------------------

static void
test_an_answer_without_an_id(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = runner_story(RUNNER_SPEC, NULL);
    s->world->no_operation_id = true;
    // An older one of the same type is not ours.
    (void)world_runner_operation(
        s->world, runner_of(s), "UPDATE_SERVICE", (const char *const[]){"SUCCEEDED", NULL});
    story_deploy(s);
    runner_expect_green(s);
    assert_string_equal(runner_target(s)->forward.id, "00000002-op-shop-staging");
    assert_string_equal(runner_target(s)->forward.earlier_id, "00000001-op-shop-staging");
}

static void
test_an_answer_without_an_id_and_no_operation(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = runner_story(RUNNER_SPEC, NULL);
    s->world->no_operation_id = true;
    s->world->faults = (const struct world_fault[]){
        {"apprunner:ListOperations /", .from = 2, .times = 99, .kind = FAULT_STATUS, .status = 200,
            .body = "{\"OperationSummaryList\":[]}"},
        {0}};
    story_deploy(s);
    story_expect(s, 9, "unknown",
        FAILED "'web' what became of it is not known: App Runner took the request but named no "
               "operation, and lists none that can be it");
    story_expect_effects(s, UPDATED "label /shop/staging/web/version:2 pending\n");
    s->world->faults = NULL; // later it is listed after all
    story_resume(s);
    runner_expect_green(s);
    story_expect_effects(s, UPDATED "label /shop/staging/web/version:2 pending\n" RECORDED);
}

static void
test_a_lost_answer_is_found(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = runner_story(RUNNER_SPEC, NULL);
    s->world->faults =
        (const struct world_fault[]){{"apprunner:UpdateService /", .kind = FAULT_LOST}, {0}};
    story_deploy(s);
    runner_expect_green(s);
    story_expect_effects(s, UPDATED RECORDED); // asked once
}

// And nothing can be read either: that is no end, and the request is not sent again.
static void
test_a_lost_answer_and_an_outage(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = runner_story(RUNNER_SPEC, NULL);
    s->world->faults =
        (const struct world_fault[]){{"apprunner:UpdateService /", .kind = FAULT_LOST},
            {"apprunner:DescribeService /", .from = 3, .times = 17, .kind = FAULT_STATUS,
                .status = 503, .body = "<html>busy</html>"},
            {0}};
    story_deploy(s);
    runner_expect_green(s);
    story_expect_effects(s, UPDATED RECORDED);
}

static void
test_a_lost_answer_and_no_permission_to_look(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = runner_story(RUNNER_SPEC, NULL);
    s->world->faults =
        (const struct world_fault[]){{"apprunner:UpdateService /", .kind = FAULT_LOST},
            {"apprunner:DescribeService /", .from = 3, .times = 99, .kind = FAULT_STATUS,
                .status = 400, .body = DENIED("DescribeService")},
            {0}};
    story_deploy(s);
    story_expect(s, 9, "unknown", NULL);
    assert_non_null(
        strstr(s->d->message, "whether App Runner took the request cannot be looked up"));
    assert_string_equal(s->d->hint, ALLOW("DescribeService"));
    story_expect_effects(s, UPDATED "label /shop/staging/web/version:2 pending\n");
    s->world->faults = NULL;
    story_resume(s);
    runner_expect_green(s);
    assert_int_equal(runner_of(s)->operation_count, 1);
}

static void
test_a_lost_request_is_not_sent_again(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = runner_story(RUNNER_SPEC, NULL);
    s->world->faults =
        (const struct world_fault[]){{"apprunner:UpdateService /", .kind = FAULT_RESET}, {0}};
    story_deploy(s);
    story_expect(s, 9, "unknown",
        FAILED "'web' what became of it is not known: App Runner was asked, its answer was lost, "
               "and it lists no operation that shows that the request arrived");
    story_expect_effects(s, WRITTEN "label /shop/staging/web/version:2 pending\n");
    story_resume(s); // asked for by hand: it never arrived, so it is asked for
    runner_expect_green(s);
    story_expect_effects(s, WRITTEN "label /shop/staging/web/version:2 pending\n"
                                    "update shop-staging shop-staging-web@sha256:\n" RECORDED);
}

static void
test_a_server_error_may_have_done_it(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = runner_story(RUNNER_SPEC, NULL);
    s->world->faults = (const struct world_fault[]){
        {"apprunner:UpdateService /", .kind = FAULT_STATUS, .status = 500,
            .body = "<html><body><h1>500</h1></body></html>"},
        {0}};
    story_deploy(s);
    assert_int_equal(s->d->exit_code, 9);
    story_expect_effects(s, WRITTEN "label /shop/staging/web/version:2 pending\n");
}

static void
test_an_operation_that_vanishes(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = runner_story(RUNNER_SPEC, NULL);
    s->world->faults = (const struct world_fault[]){
        {"apprunner:ListOperations /", .from = 2, .times = 99, .kind = FAULT_STATUS, .status = 200,
            .body = "{\"OperationSummaryList\":[]}"},
        {0}};
    story_deploy(s);
    story_expect(s, 9, "unknown",
        FAILED "'web' what became of it is not known: App Runner does not list operation "
               "00000001-op-shop-staging");
}

static void
test_it_cannot_be_followed(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = runner_story(RUNNER_SPEC, NULL);
    s->world->faults = (const struct world_fault[]){
        {"apprunner:ListOperations /", .from = 2, .times = 999, .kind = FAULT_STATUS, .status = 400,
            .body = DENIED("ListOperations")},
        {0}};
    story_deploy(s);
    assert_int_equal(s->d->exit_code, 9);
    assert_non_null(strstr(s->d->message, "the rollout cannot be followed any more"));
    assert_string_equal(s->d->hint, ALLOW("ListOperations"));
}

// --- killed ------------------------------------------------------------------------------------

static size_t
count_updates(const struct story *s)
{
    size_t count = 0;
    for (const char *at = strstr(s->world->effects, "update "); at != NULL;
         at = strstr(at + 1, "update ")) {
        count++;
    }
    return count;
}

// Wherever it dies, one resume brings it to the same end, and the service is asked once.
static void
test_killed_at_every_tick(void **state)
{
    (void)state;
    bool died = true;
    for (int64_t at = 1; died; at++) {
        struct story *s CLEANUP(story_freep) = runner_story(RUNNER_SPEC, NULL);
        died = story_deploy_and_die(s, at);
        s->world->crash_at = 0;
        if (!died || !story_has_journal(s)) {
            continue;
        }
        story_resume(s);
        if (s->d->exit_code != 0) {
            print_error("killed at tick %lld\n", (long long)at);
        }
        runner_expect_green(s);
        assert_int_equal(count_updates(s), 1);
        assert_string_equal(runner_of(s)->source, RUNNER_SOURCE(RUNNER_NEW_IMAGE, "false"));
    }
}

static void
test_killed_while_it_goes_back(void **state)
{
    (void)state;
    static const char *const bad[] = {"IN_PROGRESS", "ROLLBACK_SUCCEEDED", NULL};
    bool died = true;
    for (int64_t at = 1; died; at += 3) {
        struct story *s CLEANUP(story_freep) = runner_story(RUNNER_SPEC, NULL);
        runner_of(s)->life = bad;
        died = story_deploy_and_die(s, at);
        s->world->crash_at = 0;
        if (!died || !story_has_journal(s)) {
            continue;
        }
        story_resume(s);
        story_expect(s, 7, "failed", NULL);
        assert_string_equal(runner_of(s)->source, RUNNER_SOURCE(RUNNER_OLD_IMAGE, "false"));
        assert_string_equal(world_value(s->world, STORY_PARAMETER), "v1");
        assert_int_equal(count_updates(s), 1);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_waits_for_another_operation),
        cmocka_unit_test(test_waiting_has_an_end),
        cmocka_unit_test(test_busy_after_the_look),
        cmocka_unit_test(test_throttled),
        cmocka_unit_test(test_an_automatic_deployment_of_ours_is_followed),
        cmocka_unit_test(test_an_automatic_deployment_that_fails),
        cmocka_unit_test(test_others_are_waited_for),
        cmocka_unit_test(test_refused_before_anything_is_done),
        cmocka_unit_test(test_bad_names),
        cmocka_unit_test(test_by_its_arn),
        cmocka_unit_test(test_paused_meanwhile),
        cmocka_unit_test(test_each_call_refused),
        cmocka_unit_test(test_an_answer_without_an_id),
        cmocka_unit_test(test_an_answer_without_an_id_and_no_operation),
        cmocka_unit_test(test_a_lost_answer_is_found),
        cmocka_unit_test(test_a_lost_answer_and_an_outage),
        cmocka_unit_test(test_a_lost_answer_and_no_permission_to_look),
        cmocka_unit_test(test_a_lost_request_is_not_sent_again),
        cmocka_unit_test(test_a_server_error_may_have_done_it),
        cmocka_unit_test(test_an_operation_that_vanishes),
        cmocka_unit_test(test_it_cannot_be_followed),
        cmocka_unit_test(test_killed_at_every_tick),
        cmocka_unit_test(test_killed_while_it_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
