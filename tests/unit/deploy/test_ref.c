// Which environment a branch or a tag leads to, and which version is older by its number.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_story.h"
#include "dispatcher/memory.h"

#define APP "title: Shop\nname: shop\nrepo: octo/shop\nservices:\n  web: {expose: 3000}\n"
#define ENVIRONMENTS(list) APP "deploy: {environments: {" list "}}\n"
#define CONFIG                                                                                     \
    "version: 1\nenvironments: [development, staging, production]\naws: {region: us-east-1}\n"     \
    "registry: registry.example.test\nworkflow: {repo: octo/infra}\n"
#define USUAL                                                                                      \
    "staging: {branch: main}, development: {branch: \"dev\"}, production: {version: tag, allow: "  \
    "[{id: release, refs: [\"refs/tags/v*\"], events: [push]}]}"

static struct story *
begin(const char *spec)
{
    struct story *s = story_new();
    story_own_checkout(s);
    story_git(s, (const char *const[]){"checkout", "-q", "-B", "main", NULL});
    s->config = CONFIG;
    s->app_spec = spec;
    s->request.env = NULL;
    return s;
}

static void
expect_environment(struct story *s, const char *env, const char *note)
{
    story_prepare(s);
    if (s->err != NULL) {
        char *text = error_text(s->err);
        fail_msg("%s", text);
    }
    assert_string_equal(s->d->env, env);
    assert_string_equal(s->d->notes.items[0], note);
}

static void
from_the_branch(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = begin(ENVIRONMENTS(USUAL));
    expect_environment(s, "staging", "environment 'staging': branch 'main' deploys there");
    // What is given counts, also against the branch.
    s->request.env = "development";
    story_prepare(s);
    assert_non_null(s->err);
    assert_int_equal(error_kind(s->err), ERROR_DENIED);
}

static void
from_the_tags(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = begin(ENVIRONMENTS(USUAL));
    story_git(s, (const char *const[]){"tag", "nightly", NULL});
    story_git(s, (const char *const[]){"tag", "v1.2.0", NULL});
    // A branch is where somebody works; only a detached commit stands for its tags.
    expect_environment(s, "staging", "environment 'staging': branch 'main' deploys there");
    story_git(s, (const char *const[]){"checkout", "-q", "--detach", NULL});
    expect_environment(s, "production", "environment 'production': tag 'v1.2.0' deploys there");
}

static void
from_the_job(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = begin(ENVIRONMENTS(USUAL));
    story_env(s, "GITHUB_ACTIONS", "true");
    story_env(s, "GITHUB_REPOSITORY", "octo/shop");
    story_env(s, "GITHUB_EVENT_NAME", "push");
    story_env(s, "GITHUB_REF", "refs/tags/v9"); // and not what is checked out
    expect_environment(s, "production", "environment 'production': tag 'v9' deploys there");
    story_env(s, "GITHUB_REF", "refs/pull/7/merge");
    story_env(s, "GITHUB_EVENT_NAME", "pull_request");
    story_prepare(s);
    story_expect_refused(s, ERROR_USAGE,
        "no environment was given, and 'refs/pull/7/merge' by event 'pull_request' deploys 'shop' "
        "to none",
        "Say which with --env: 'development', 'staging', 'production'; 'branch' and 'allow' of an "
        "environment in the spec say what deploys there by itself.");
    story_env(s, "GITHUB_REF", "refs/heads/main"); // the event counts, too
    story_prepare(s);
    story_expect_refused(s, ERROR_USAGE,
        "no environment was given, and branch 'main' by event 'pull_request' deploys 'shop' to "
        "none",
        NULL);
}

static void
none_and_several(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = begin(APP);
    story_prepare(s);
    story_expect_refused(
        s, ERROR_USAGE, "no environment was given, and branch 'main' deploys 'shop' to none", NULL);
    s->app_spec = ENVIRONMENTS("staging: {branch: main}, production: {branch: main}");
    story_prepare(s);
    story_expect_refused(s, ERROR_USAGE,
        "no environment was given, and branch 'main' deploys 'shop' to 2: 'staging', 'production'",
        "Say which with --env.");
    s->app_spec = ENVIRONMENTS(USUAL);
    story_git(s, (const char *const[]){"checkout", "-q", "--detach", NULL});
    story_prepare(s);
    story_expect_refused(
        s, ERROR_USAGE, "no environment was given, and this commit deploys 'shop' to none", NULL);
    // Two tags that lead to two environments.
    s->app_spec = ENVIRONMENTS("staging: {allow: [{id: a, refs: [\"refs/tags/rc-*\"]}]}, "
                               "production: {allow: [{id: b, refs: [\"refs/tags/v*\"]}]}");
    story_git(s, (const char *const[]){"tag", "rc-1", NULL});
    story_git(s, (const char *const[]){"tag", "v1", NULL});
    story_prepare(s);
    story_expect_refused(s, ERROR_USAGE,
        "no environment was given, and tag 'v1' deploys 'shop' to 2: 'staging', 'production'",
        NULL);
}

// Whoever named no environment is told which one an error is about.
static void
errors_name_it(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = begin(ENVIRONMENTS(USUAL));
    s->request.images = (struct str_list){(const char *[]){"nobody=oci:x"}, 1};
    story_prepare(s);
    assert_non_null(s->err);
    assert_string_equal(error_message(s->err), "environment 'staging'");
}

// --- older by number -----------------------------------------------------------------------------

#define TAGGED ENVIRONMENTS("staging: {version: tag}")

static void
set_deployed(struct story *s, const char *version)
{
    s->world->parameter_count = 0;
    (void)world_parameter(s->world, STORY_PARAMETER, version, "deployed");
}

static void
older_by_number(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = begin(TAGGED);
    s->request.env = "staging";
    s->request.version = "v0.9.0";
    set_deployed(s, "v0.10.0"); // which is in no clone
    story_prepare(s);
    story_expect_refused(s, ERROR_CONFLICT,
        "'v0.9.0' is older than 'v0.10.0', which 'shop' in 'staging' is on",
        "Pass --allow-stale to go back on purpose.");
    s->request.allow_stale = true;
    story_prepare(s);
    assert_null(s->err);
    s->request.allow_stale = false;
    s->request.version = "v0.11.0";
    story_prepare(s);
    assert_null(s->err);
    assert_string_equal(s->d->notes.items[0],
        "staleness checked by version only: the deployed one is not in this clone");
    s->request.version = "v0.10.0-rc.1";
    story_prepare(s);
    assert_non_null(s->err);
    assert_int_equal(error_kind(s->err), ERROR_CONFLICT);
}

// An older number on a newer commit is older all the same, and a newer one on an older commit is
// not newer.
static void
number_and_history(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = begin(TAGGED);
    s->request.env = "staging";
    story_git(s, (const char *const[]){"tag", "v1.1.0", "HEAD~1", NULL});
    story_git(s, (const char *const[]){"tag", "v1.0.9", "HEAD", NULL});
    set_deployed(s, "v1.1.0");
    s->request.version = "v1.0.9";
    story_prepare(s);
    story_expect_refused(s, ERROR_CONFLICT,
        "'v1.0.9' is older than 'v1.1.0', which 'shop' in 'staging' is on", NULL);
    set_deployed(s, "v1.0.9");
    s->request.version = "v1.1.0";
    story_prepare(s);
    story_expect_refused(s, ERROR_CONFLICT,
        "'v1.1.0' is older than 'v1.0.9', which 'shop' in 'staging' is on", NULL);
}

// Where versions are commits, a number is only a name.
static void
numbers_of_commits(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = begin(APP);
    s->request.env = "staging";
    s->request.version = "v0.9.0";
    set_deployed(s, "v0.10.0");
    story_prepare(s);
    assert_null(s->err);
    assert_string_equal(
        s->d->notes.items[0], "staleness not checked: the deployed version is not in this clone");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_the_branch),
        cmocka_unit_test(from_the_tags),
        cmocka_unit_test(from_the_job),
        cmocka_unit_test(none_and_several),
        cmocka_unit_test(errors_name_it),
        cmocka_unit_test(older_by_number),
        cmocka_unit_test(number_and_history),
        cmocka_unit_test(numbers_of_commits),
    };
    return cmocka_run_group_tests_name("ref", tests, NULL, NULL);
}
