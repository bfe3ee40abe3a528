// Everything that refuses before the first effect: exact sentence, hint and kind, and nothing done.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_story.h"
#include "dispatcher/memory.h"

#define SPEC "title: Shop\nname: shop\nrepo: octo/shop\n"
#define WEB "services:\n  web:\n    expose: 8080\n"
#define CONFIG                                                                                     \
    "version: 1\nenvironments: [staging]\naws: {region: us-east-1}\nregistry: 127.0.0.1:5000\n"

struct guard {
    const char *spec, *config, *workflow; // NULL: the usual one
    enum error_kind kind;
    const char *text, *hint;
};

static void
check_guard(const struct guard *guard)
{
    struct story *s CLEANUP(story_freep) = story_new();
    s->app_spec = guard->spec != NULL ? guard->spec : s->app_spec;
    s->config = guard->config != NULL ? guard->config : s->config;
    s->world->workflow = guard->workflow != NULL ? guard->workflow : s->world->workflow;
    story_deploy(s);
    story_expect_refused(s, guard->kind, guard->text, guard->hint);
    assert_false(story_has_journal(s));
}

static void
test_documents(void **state)
{
    (void)state;
    static const struct guard guards[] = {
        {.spec = SPEC "enabled: false\n" WEB,
            .kind = ERROR_DENIED,
            .text = "app 'shop' is disabled by 'enabled: false'",
            .hint = "Take the key out of its spec to deploy it again."},
        {.spec = SPEC "services:\n  web:\n    image_tag: v7\n    expose: 8080\n",
            .kind = ERROR_SPEC,
            .text = "app 'shop' has nothing to deploy: every service is pinned by 'image_tag' or "
                    "takes an external image",
            .hint = "Take 'image_tag' out of the service whose version dispatcher is to write."},
        {.spec = "title: Shop\nname: shop\nrepo: octo/other\n" WEB,
            .kind = ERROR_DENIED,
            .text = "app 'shop' belongs to 'octo/other', this is 'octo/shop'",
            .hint = "Only the repository that the spec names may deploy the app."},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(guards); i++) {
        check_guard(&guards[i]);
    }
}

#define DISPATCH "on:\n  workflow_dispatch:\n    inputs:\n"

static void
test_workflow(void **state)
{
    (void)state;
    static const struct guard guards[] = {
        {.workflow = "on: push\n",
            .kind = ERROR_SPEC,
            .text = "workflow 'deploy-app.yaml' has no 'workflow_dispatch' trigger",
            .hint = "Add 'workflow_dispatch:' under its 'on:'."},
        {.workflow = DISPATCH "      environment: {}\n",
            .kind = ERROR_SPEC,
            .text = "workflow 'deploy-app.yaml' declares no input 'application'",
            .hint = "Correct 'workflow.inputs' in dispatcher.yaml, or declare the input under "
                    "'on.workflow_dispatch.inputs'."},
        {.workflow = DISPATCH "      application: {}\n      environment: {}\n"
                              "      reason: {required: true}\n",
            .kind = ERROR_SPEC,
            .text = "workflow 'deploy-app.yaml' requires the input 'reason'",
            .hint = "Add it to 'workflow.inputs' in dispatcher.yaml."},
        {.workflow = DISPATCH "      application: {}\n"
                              "      environment: {type: choice, options: [production]}\n",
            .kind = ERROR_SPEC,
            .text = "workflow 'deploy-app.yaml' does not accept 'staging' for its input "
                    "'environment'",
            .hint = "Its 'options:' list the values that it accepts."},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(guards); i++) {
        check_guard(&guards[i]);
    }
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->workflow = NULL;
    story_deploy(s);
    story_expect_refused(s, ERROR_SPEC,
        "workflow 'deploy-app.yaml' is not in 'octo/infra' at 'main'",
        "Check 'workflow.repo', 'workflow.file' and 'workflow.ref'; GitHub also answers 'not "
        "found' when the token may not read the repository.");
}

static void
test_workflow_without_the_id(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->world->workflow = DISPATCH "      application: {}\n      environment: {}\n";
    story_prepare(s);
    assert_null(s->err);
    assert_null(s->d->id_input);
    assert_string_equal(s->d->notes.items[0],
        "workflow 'deploy-app.yaml' declares no input 'distinct_id': a lost answer cannot be "
        "matched to its run");
    story_expect_effects(s, "");
}

// --- credentials -------------------------------------------------------------------------------

static void
test_credentials(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    story_env(s, "GITHUB_TOKEN", NULL);
    story_deploy(s);
    story_expect_refused(s, ERROR_CREDENTIALS, "no GitHub credentials for 'octo/infra'",
        "Set DEPLOYMENT_APP_ID and DEPLOYMENT_APP_KEY, or GITHUB_TOKEN.");
    story_env(s, "DEPLOYMENT_APP_ID", "12345");
    story_deploy(s);
    story_expect_refused(s, ERROR_CREDENTIALS, "the GitHub App has an id but no key",
        "Set DEPLOYMENT_APP_KEY to the App's private key (PEM text or a path).");
    story_env(s, "DEPLOYMENT_APP_KEY", "/nowhere/key.pem");
    story_deploy(s);
    assert_int_equal(error_kind(s->err), ERROR_CREDENTIALS);
    story_env(s, "DEPLOYMENT_APP_ID", NULL);
    story_env(s, "GH_TOKEN", STORY_TOKEN);
    story_env(s, "AWS_ACCESS_KEY_ID", NULL);
    story_env(s, "AWS_SECRET_ACCESS_KEY", NULL);
    story_env(s, "AWS_EC2_METADATA_DISABLED", "true");
    story_deploy(s);
    assert_int_equal(error_kind(s->err), ERROR_CREDENTIALS);
    story_expect_effects(s, "");
}

static void
test_app_key_by_reference(void **state)
{
    (void)state;
    static const char config[] =
        CONFIG "workflow: {repo: octo/infra}\ngithub: {app_id: 7, app_key: \"env:MY_KEY\"}\n";
    struct story *s CLEANUP(story_freep) = story_new();
    s->config = config;
    story_deploy(s);
    story_expect_refused(s, ERROR_CREDENTIALS, "environment variable 'MY_KEY' is not set",
        "The configuration takes a secret from it; pass it in the workflow's 'env:'.");
    story_env(s, "MY_KEY", "no pem at all");
    story_deploy(s);
    assert_int_equal(error_kind(s->err), ERROR_CREDENTIALS);
    story_expect_effects(s, "");
}

static void
test_refused_reads(void **state)
{
    (void)state;
    static const struct {
        const char *match;
        int status;
        enum error_kind kind;
    } cases[] = {
        {"GET */contents/*", 401, ERROR_CREDENTIALS},
        {"GET */contents/*", 403, ERROR_CREDENTIALS},
        {"GET */contents/*", 500, ERROR_UNAVAILABLE},
        {"HEAD *", 401, ERROR_CREDENTIALS},
        {"HEAD *", 500, ERROR_UNAVAILABLE},
        {"ssm:GetParameter *", 500, ERROR_UNAVAILABLE},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct world_fault faults[] = {
            {.match = cases[i].match, .kind = FAULT_STATUS, .status = cases[i].status, .times = 99},
            {0}};
        struct story *s CLEANUP(story_freep) = story_new();
        s->world->faults = faults;
        story_deploy(s);
        assert_non_null(s->err);
        assert_int_equal(error_kind(s->err), cases[i].kind);
        story_expect_effects(s, "");
        assert_false(story_has_journal(s));
    }
}

// --- the image ---------------------------------------------------------------------------------

static void
test_image(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    const char *image = "oci:/nowhere";
    s->world->digest = NULL;
    story_deploy(s);
    story_expect_refused(s, ERROR_INPUT,
        "image '127.0.0.1:5000/shop-staging-web:v2' is not in the registry",
        "Give it with --image web=SOURCE, make it with --build, or push it first.");
    s->request.images = (struct str_list){&image, 1};
    story_deploy(s);
    assert_int_equal(error_kind(s->err), ERROR_INPUT);
    story_expect_effects(s, "");
}

static void
test_image_arguments(void **state)
{
    (void)state;
    static const char *const none[] = {"oci:/a"};
    static const char *const unknown[] = {"wab=oci:/a"};
    static const char *const twice[] = {"web=oci:/a", "web=oci:/b"};
    static const char *const pinned[] = {"fixed=oci:/a"};
    static const struct {
        const char *const *images;
        size_t count;
        const char *text;
    } cases[] = {
        {none, 1, "image 'oci:/a' does not say for which service"},
        {unknown, 1, "app 'shop' has no service 'wab'"},
        {twice, 2, "two images for service 'web'"},
        {pinned, 1, "service 'fixed' is not deployable: 'image_tag' pins its version"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct story *s CLEANUP(story_freep) = story_new();
        const char *images[2] = {
            cases[i].images[0], cases[i].count > 1 ? cases[i].images[1] : NULL};
        s->app_spec = SPEC "services:\n  web: {expose: 1}\n  worker: {expose: 2}\n"
                           "  fixed: {expose: 3, image_tag: v7}\n";
        s->request.images = (struct str_list){images, cases[i].count};
        story_deploy(s);
        story_expect_refused(s, ERROR_USAGE, cases[i].text, NULL);
    }
}

// --- the checkout ------------------------------------------------------------------------------

static void
test_dirty(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    story_own_checkout(s);
    story_git(s, (const char *const[]){"rm", "-q", "--cached", "a", NULL});
    story_deploy(s);
    story_expect_refused(s, ERROR_USAGE, "the work tree is dirty: 'a' is changed",
        "Commit the change, or pass --allow-dirty to deploy what the image holds anyway.");
    s->request.allow_dirty = true;
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    assert_string_equal(s->d->notes.items[0], "deployed from a dirty work tree (--allow-dirty)");
}

static void
test_repository(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    story_own_checkout(s);
    story_git(s, (const char *const[]){"remote", "remove", "origin", NULL});
    story_deploy(s);
    story_expect_refused(s, ERROR_DENIED,
        "app 'shop' belongs to 'octo/shop', but this checkout has no remote 'origin' that says "
        "whose it is",
        "Run this in a clone of the app's repository.");
    story_env(s, "GITHUB_ACTIONS", "true");
    story_env(s, "GITHUB_REPOSITORY", "octo/fork");
    story_deploy(s);
    story_expect_refused(
        s, ERROR_DENIED, "app 'shop' belongs to 'octo/shop', this is 'octo/fork'", NULL);
    s->app_spec = "title: Shop\nname: shop\n" WEB;
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    assert_string_equal(s->d->notes.items[0], "ownership not checked: the spec names no 'repo'");
}

// --- the version -------------------------------------------------------------------------------

static void
test_version(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->request.version = "no/tag";
    story_deploy(s);
    story_expect_refused(s, ERROR_USAGE, "version 'no/tag' cannot be an image tag",
        "Use letters, digits, '_', '.' and '-', 128 at most (OCI distribution 1.1).");
    s->request.version = NULL;
    story_prepare(s);
    assert_null(s->err);
    assert_string_equal(s->d->version, story_commit(s, "HEAD"));
}

static void
test_version_from_tag(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    story_own_checkout(s);
    s->app_spec = SPEC WEB "deploy: {version: tag}\n";
    s->request.version = NULL;
    story_git(s, (const char *const[]){"tag", "latest", NULL});
    story_deploy(s);
    story_expect_refused(s, ERROR_USAGE,
        arena_printf(s->arena, "no version tag points at HEAD (%.12s)", story_commit(s, "HEAD")),
        "The spec says 'version: tag': tag the commit (git tag v1.2.3), or pass --version.");
    story_git(s, (const char *const[]){"tag", "v1.2.3-rc.1", NULL});
    story_prepare(s);
    assert_null(s->err);
    assert_string_equal(s->d->version, "v1.2.3-rc.1");
    story_git(s, (const char *const[]){"tag", "v1.2.3", NULL});
    story_deploy(s);
    story_expect_refused(s, ERROR_USAGE,
        "two version tags point at HEAD: 'v1.2.3' and 'v1.2.3-rc.1'",
        "Say which one with --version.");
}

// --- staleness ---------------------------------------------------------------------------------

static void
set_deployed(struct story *s, const char *version)
{
    s->world->parameter_count = 0;
    (void)world_parameter(s->world, STORY_PARAMETER, version, "deployed");
}

static void
test_stale(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->request.version = story_commit(s, "HEAD~1");
    set_deployed(s, story_commit(s, "HEAD"));
    const char *relation = arena_printf(s->arena, "'%.12s' is older than ", s->request.version);
    const char *refusal = arena_printf(
        s->arena, "%s'%.12s', which 'shop' in 'staging' is on", relation, story_commit(s, "HEAD"));
    story_deploy(s);
    story_expect_refused(s, ERROR_CONFLICT, refusal, "Pass --allow-stale to go back on purpose.");
    s->app_spec = SPEC WEB "deploy: {environments: {staging: {stale: warn}}}\n";
    story_prepare(s);
    assert_null(s->err);
    assert_non_null(strstr(s->d->notes.items[0], "warning: "));
    s->app_spec = SPEC WEB "deploy: {environments: {staging: {stale: allow}}}\n";
    story_prepare(s);
    assert_null(s->err);
    s->app_spec = story_spec;
    s->request.allow_stale = true;
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    assert_non_null(strstr(s->d->notes.items[0], relation));
}

// Versions are tags: they have a history, too.
static void
test_stale_tag(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    story_own_checkout(s);
    story_git(s, (const char *const[]){"tag", "v1.0.0", "HEAD~2", NULL});
    story_git(s, (const char *const[]){"tag", "v1.1.0", "HEAD~1", NULL});
    set_deployed(s, "v1.1.0");
    s->request.version = "v1.0.0";
    story_deploy(s);
    story_expect_refused(s, ERROR_CONFLICT,
        "'v1.0.0' is older than 'v1.1.0', which 'shop' in 'staging' is on", NULL);
    set_deployed(s, "v1.0.0");
    s->request.version = "v1.1.0";
    story_prepare(s);
    assert_null(s->err);
    assert_int_equal(s->d->commits.count, 1);
}

// The second service must not go back either.
static void
test_stale_second_service(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->app_spec = story_spec_two;
    s->request.version = story_commit(s, "HEAD~1");
    set_deployed(s, story_commit(s, "HEAD~2"));
    (void)world_parameter(s->world, STORY_SECOND, story_commit(s, "HEAD"), "deployed");
    story_deploy(s);
    assert_non_null(s->err);
    assert_int_equal(error_kind(s->err), ERROR_CONFLICT);
    story_expect_effects(s, "");
}

static void
test_history_is_told(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->request.version = NULL;
    set_deployed(s, story_commit(s, "HEAD~2"));
    story_prepare(s);
    assert_null(s->err);
    assert_int_equal(s->d->commits.count, 2);
    assert_true(s->d->commits_complete);
    set_deployed(s, "1234567890123456789012345678901234567890");
    story_prepare(s);
    assert_null(s->err);
    assert_string_equal(
        s->d->notes.items[0], "staleness not checked: the deployed version is not in this clone");
}

// --- rules and windows -------------------------------------------------------------------------

static void
test_allow(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->app_spec = SPEC WEB "deploy: {environments: {staging: {allow: [{id: r, refs: "
                           "[\"refs/tags/v*\"], events: [push]}]}}}\n";
    story_deploy(s);
    story_expect_refused(s, ERROR_DENIED,
        "'shop' may not be deployed to 'staging' from 'refs/heads/main'",
        "The spec's 'allow' rules for this environment say which refs and events may.");
    story_env(s, "GITHUB_ACTIONS", "true");
    story_env(s, "GITHUB_REPOSITORY", "octo/shop");
    story_env(s, "GITHUB_REF", "refs/tags/v1");
    story_env(s, "GITHUB_EVENT_NAME", "workflow_dispatch");
    story_deploy(s);
    story_expect_refused(s, ERROR_DENIED,
        "'shop' may not be deployed to 'staging' from 'refs/tags/v1' by event "
        "'workflow_dispatch'",
        NULL);
    story_env(s, "GITHUB_EVENT_NAME", "push");
    story_prepare(s);
    assert_null(s->err);
}

// '*' stays inside a segment, and a list without refs or events is "never".
static void
test_allow_is_closed(void **state)
{
    (void)state;
    static const struct {
        const char *rule, *refused;
    } cases[] = {
        {"refs: [\"refs/heads/*\"]", "'shop' may not be deployed to 'staging' from "
                                     "'refs/heads/feature/x' by event 'push'"},
        {"refs: []", "'shop' may not be deployed to 'staging' from 'refs/heads/feature/x' by event "
                     "'push'"},
        {"refs: [\"refs/heads/**\"], events: []", "'shop' may not be deployed to 'staging' from "
                                                  "'refs/heads/feature/x' by event 'push'"},
        {"refs: [\"refs/heads/**\"]", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct story *s CLEANUP(story_freep) = story_new();
        char *spec CLEANUP(xfreep) = xasprintf(
            SPEC WEB "deploy: {environments: {staging: {allow: [{id: r, %s}]}}}\n", cases[i].rule);
        s->app_spec = spec;
        story_env(s, "GITHUB_ACTIONS", "true");
        story_env(s, "GITHUB_REPOSITORY", "octo/shop");
        story_env(s, "GITHUB_REF", "refs/heads/feature/x");
        story_env(s, "GITHUB_EVENT_NAME", "push");
        if (cases[i].refused != NULL) {
            story_deploy(s);
            story_expect_refused(s, ERROR_DENIED, cases[i].refused,
                "The spec's 'allow' rules for this environment say which refs and events may.");
        } else {
            story_prepare(s);
            assert_null(s->err);
        }
    }
}

static void
test_windows(void **state)
{
    (void)state;
    static const struct guard guards[] = {
        {.spec = SPEC WEB "deploy: {environments: {staging: {windows: [{deny: \"Fri 15:00 - Mon "
                          "07:00\", reason: weekend}]}}}\n",
            .kind = ERROR_DENIED, // FAKE_WALL_START is a Saturday
            .text = "'shop' is not deployed to 'staging' now: window 'Fri 15:00 - Mon 07:00' "
                    "(UTC), weekend",
            .hint = "Wait until it ends."},
    };
    check_guard(&guards[0]);
    struct story *s CLEANUP(story_freep) = story_new();
    s->app_spec = SPEC WEB "deploy: {environments: {staging: {windows: [{deny: \"Mon 00:00 - Tue "
                           "00:00\"}]}}}\n";
    story_prepare(s);
    assert_null(s->err);
}

// --- the journal -------------------------------------------------------------------------------

static void
test_journal_cannot_be_written(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    free(s->state_path);
    s->state_path = xstrdup("/proc/no/state.db");
    story_deploy(s);
    assert_non_null(s->err);
    assert_int_equal(error_kind(s->err), ERROR_STORAGE);
    story_expect_effects(s, "");
}

static void
test_plan_has_no_effect(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    story_prepare(s);
    assert_null(s->err);
    story_expect_effects(s, "");
    assert_int_equal(s->d->steps.count, 5);
    assert_false(story_has_journal(s));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_workflow),
        cmocka_unit_test(test_workflow_without_the_id),
        cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_app_key_by_reference),
        cmocka_unit_test(test_refused_reads),
        cmocka_unit_test(test_image),
        cmocka_unit_test(test_image_arguments),
        cmocka_unit_test(test_dirty),
        cmocka_unit_test(test_repository),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_version_from_tag),
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_stale_tag),
        cmocka_unit_test(test_stale_second_service),
        cmocka_unit_test(test_history_is_told),
        cmocka_unit_test(test_allow),
        cmocka_unit_test(test_allow_is_closed),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_journal_cannot_be_written),
        cmocka_unit_test(test_plan_has_no_effect),
    };
    return cmocka_run_group_tests_name("guards", tests, NULL, NULL);
}
