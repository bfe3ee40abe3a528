// Workers: one App Runner service for each entry point, what the infra workflow is told of them,
// and services that lost theirs.
#define _XOPEN_SOURCE 700 // symlink
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "advance_story.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"

#define CONNECTION "arn:aws:apprunner:us-east-1:012345678901:connection/c/1"
#define SPEC                                                                                       \
    "title: Shop\nname: shop\nrepo: octo/shop\n"                                                   \
    "deploy:\n"                                                                                    \
    "  via: direct\n"                                                                              \
    "  workers:\n"                                                                                 \
    "    files: \"src/workers/*.ts\"\n"
#define TARGET                                                                                     \
    "    target:\n"                                                                                \
    "      kind: apprunner\n"                                                                      \
    "      source: code\n"                                                                         \
    "      start: bash start.sh {worker_file}\n"                                                   \
    "      runtime: NODEJS_22\n"
#define CREATE                                                                                     \
    "      create: true\n"                                                                         \
    "      branch: main\n"                                                                         \
    "      connection: " CONNECTION "\n"

/// SourceConfiguration of a worker.
#define SOURCE(file)                                                                               \
    "{\"CodeRepository\":{\"RepositoryUrl\":\"https://github.com/octo/shop\","                     \
    "\"SourceCodeVersion\":{\"Type\":\"BRANCH\",\"Value\":\"main\"},\"CodeConfiguration\":"        \
    "{\"ConfigurationSource\":\"API\",\"CodeConfigurationValues\":{\"Runtime\":\"NODEJS_22\","     \
    "\"StartCommand\":\"bash start.sh " file "\"}}},\"AutoDeploymentsEnabled\":false,"             \
    "\"AuthenticationConfiguration\":{\"ConnectionArn\":\"" CONNECTION "\"}}"

static void
put(struct story *s, const char *name)
{
    char *path CLEANUP(xfreep) = xasprintf("%s/%s", s->request.checkout, name);
    char *directory CLEANUP(xfreep) = xstrdup(path);
    *strrchr(directory, '/') = '\0';
    assert_null(file_make_directories(directory));
    assert_null(file_write(path, STR("//\n"), 0600));
}

static struct story *
worker_story(const char *spec, const char *const *files)
{
    struct story *s = story_new();
    s->app_spec = spec;
    s->request.allow_dirty = true;
    story_own_checkout(s);
    for (size_t i = 0; files[i] != NULL; i++) {
        put(s, files[i]);
    }
    return s;
}

#define FILES(...) ((const char *const[]){__VA_ARGS__, NULL})

static const char *
names_of(const struct story *s)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    buf_puts(&out, "");
    for (size_t i = 0; i < s->d->targets.count; i++) {
        const struct deployment_target *target = deployment_target_at(s->d, i);
        buf_printf(&out, "%s(%s)=%s ", target->name, target->worker, target->want.service);
    }
    return arena_dup(s->arena, buf_cstr(&out));
}

static void
test_each_is_rolled_out(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = worker_story(SPEC TARGET CREATE,
        FILES("src/workers/mail.ts", "src/workers/export.job.ts", "src/workers/read.me",
            "src/workers/deep/no.ts", "src/workers/.hidden.ts", "src/other.ts"));
    (void)world_runner(s->world, "shop-staging-mail", SOURCE("mail.ts"));
    story_deploy(s);
    story_expect(s, 0, "deployed", "'shop' v2 is deployed to 'staging'");
    story_expect_effects(s, "create shop-staging-export code\n"
                            "start shop-staging-mail\n"
                            "tag shop-staging-export app=shop environment=staging worker=export\n"
                            "tag shop-staging-mail app=shop environment=staging worker=mail\n");
    assert_string_equal(names_of(s), "export(src/workers/export.job.ts)=shop-staging-export "
                                     "mail(src/workers/mail.ts)=shop-staging-mail ");
    assert_non_null(strstr(s->world->created, "\"StartCommand\":\"bash start.sh export.job.ts\""));
    assert_non_null(strstr(s->world->created, "\"dispatcher:worker\",\"Value\":\"export\""));
}

static void
test_patterns(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *names;
    } cases[] = {
        {"    files: \"src/**/*.ts\"\n", "b c d "},
        {"    files: \"src/w?/*.ts\"\n", "c "},
        {"    files: \"src/w[0-9]/c.ts\"\n", "c "},
        {"    files: src/b.ts\n", "b "},
        {"    files: \"**/d.ts\"\n", "d "},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char *spec CLEANUP(xfreep) = xasprintf("%s%s%s",
            "title: Shop\nname: shop\nrepo: octo/shop\ndeploy:\n  via: direct\n"
            "  workers:\n",
            cases[i].spec, TARGET CREATE);
        struct story *s CLEANUP(story_freep) =
            worker_story(spec, FILES("a.ts", "src/b.ts", "src/w1/c.ts", "src/w1/e/d.ts"));
        struct buf names CLEANUP(buf_done) = BUF_INIT(1024);
        story_prepare(s);
        if (s->err != NULL) {
            print_error("%s: %s\n", cases[i].spec, s->diagnostics);
        }
        assert_null(s->err);
        for (size_t k = 0; k < s->d->targets.count; k++) {
            buf_printf(&names, "%s ", deployment_target_at(s->d, k)->name);
        }
        assert_string_equal(buf_cstr(&names), cases[i].names);
    }
}

static void
expect_refusal(struct story *s, enum error_kind kind, const char *text)
{
    story_deploy(s);
    assert_non_null(s->err);
    char *actual CLEANUP(xfreep) = error_text(s->err);
    if (strstr(actual, text) == NULL) {
        print_error("%s\n", actual);
    }
    assert_non_null(strstr(actual, text));
    assert_int_equal(error_kind(s->err), kind);
    story_expect_effects(s, "");
}

static void
test_what_cannot_be_a_worker(void **state)
{
    (void)state;
    struct story *none CLEANUP(story_freep) = worker_story(SPEC TARGET CREATE, FILES("src/a.ts"));
    expect_refusal(none, ERROR_INPUT, "no entry point of a worker matches 'src/workers/*.ts' in '");
    struct story *two CLEANUP(story_freep) =
        worker_story(SPEC TARGET CREATE, FILES("src/workers/mail.ts", "src/workers/mail.test.ts"));
    expect_refusal(two, ERROR_INPUT,
        "'src/workers/mail.test.ts' and 'src/workers/mail.ts' are both worker 'mail'");
    struct story *odd CLEANUP(story_freep) =
        worker_story(SPEC TARGET CREATE, FILES("src/workers/a b.ts"));
    expect_refusal(
        odd, ERROR_INPUT, "entry point 'src/workers/a b.ts' gives no usable name of a worker");
    struct story *longer CLEANUP(story_freep) =
        worker_story(SPEC TARGET CREATE, FILES("src/workers/abcdefghijklmnopqrstuvwxyz0123.ts"));
    expect_refusal(longer, ERROR_SPEC,
        "look at target 'abcdefghijklmnopqrstuvwxyz0123': 'shop-staging-"
        "abcdefghijklmnopqrstuvwxyz0123' cannot be the name of an App Runner service: it is too "
        "long");
    assert_non_null(strstr(error_hint_of(longer->err), "shorten 'workers.target.service' or the"));
}

// A link leads anywhere: neither a file nor a directory behind one is an entry point.
static void
test_links_are_not_followed(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) =
        worker_story(SPEC TARGET CREATE, FILES("src/workers/mail.ts", "lib/x.ts"));
    char *file CLEANUP(xfreep) = xasprintf("%s/src/workers/x.ts", s->request.checkout);
    assert_int_equal(symlink("../../lib/x.ts", file), 0);
    story_prepare(s);
    assert_null(s->err);
    assert_int_equal(s->d->targets.count, 1);
    struct story *through CLEANUP(story_freep) =
        worker_story(SPEC TARGET CREATE, FILES("lib/x.ts"));
    char *directory CLEANUP(xfreep) = xasprintf("%s/src", through->request.checkout);
    assert_null(file_make_directories(directory));
    char *link CLEANUP(xfreep) = xasprintf("%s/workers", directory);
    assert_int_equal(symlink("../lib", link), 0);
    expect_refusal(through, ERROR_INPUT, "no entry point of a worker matches");
}

static void
test_too_many(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) =
        worker_story(SPEC TARGET CREATE, FILES("src/workers/a.ts"));
    for (int i = 0; i < 501; i++) {
        char *name CLEANUP(xfreep) = xasprintf("src/workers/w%d.ts", i);
        put(s, name);
    }
    expect_refusal(s, ERROR_INPUT, "'src/workers/*.ts' finds more than 500 entry points");
}

// One of two fails: the other, which was rolled out, is not claimed to be back.
static void
test_one_fails(void **state)
{
    (void)state;
    static const char *const bad[] = {"IN_PROGRESS", "IN_PROGRESS", "IN_PROGRESS",
        "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCEEDED", NULL};
    struct story *s CLEANUP(story_freep) =
        worker_story(SPEC TARGET, FILES("src/workers/mail.ts", "src/workers/export.ts"));
    (void)world_runner(s->world, "shop-staging-export", SOURCE("export.ts"));
    (void)world_runner(s->world, "shop-staging-mail", SOURCE("mail.ts"));
    s->world->runners[1].life = bad;
    story_deploy(s);
    story_expect(s, 8, "failed",
        "deploy 'shop' to 'staging': 'mail' was rolled back by the platform: operation "
        "00000001-op-shop-staging-mail ended as ROLLBACK_SUCCEEDED; 'export' could NOT be "
        "restored: App Runner builds the head of 'main': revert there; 'mail' is restored: branch "
        "'main' is back; its digest is not known, so it was not compared");
    story_expect_effects(s, "start shop-staging-export\nstart shop-staging-mail\n");
}

// --- orphans -----------------------------------------------------------------------------------

#define OURS(worker)                                                                               \
    "{\"Key\":\"dispatcher:app\",\"Value\":\"shop\"},{\"Key\":\"dispatcher:environment\","         \
    "\"Value\":\"staging\"},{\"Key\":\"dispatcher:worker\",\"Value\":\"" worker "\"}"

static struct story *
orphan_story(const char *spec)
{
    struct story *s = worker_story(spec, FILES("src/workers/mail.ts"));
    (void)world_runner(s->world, "shop-staging-mail", SOURCE("mail.ts"));
    struct world_runner *lost = world_runner(s->world, "shop-staging-lost", SOURCE("lost.ts"));
    (void)snprintf(lost->tags, sizeof(lost->tags), "%s", OURS("lost"));
    (void)world_runner(s->world, "shop-staging-like", SOURCE("like.ts"));
    struct world_runner *old = world_runner(s->world, "shop-old", SOURCE("old.ts"));
    (void)snprintf(old->tags, sizeof(old->tags), "%s", OURS("old"));
    struct world_runner *other = world_runner(s->world, "shop-staging-oth", SOURCE("oth.ts"));
    (void)snprintf(other->tags, sizeof(other->tags), "%s",
        "{\"Key\":\"dispatcher:app\",\"Value\":\"shop-staging\"}");
    (void)world_runner(s->world, "unrelated", SOURCE("x.ts"));
    return s;
}

static void
test_orphans_are_reported(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = orphan_story(SPEC TARGET);
    struct buf plan CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    assert_int_equal(s->d->orphans.count, 3);
    assert_string_equal(s->d->orphans.items[0], "shop-staging-lost");
    assert_string_equal(s->d->orphans.items[1], "shop-staging-like");
    assert_string_equal(s->d->orphans.items[2], "shop-old");
    deploy_plan_text(s->d, &plan);
    assert_non_null(strstr(buf_cstr(&plan),
        "note: App Runner service 'shop-staging-lost' has no worker any more: it is left alone "
        "('workers.remove_orphans: true' deletes it)"));
    assert_non_null(strstr(buf_cstr(&plan),
        "note: App Runner service 'shop-staging-like' has no worker any more: it is taken for one "
        "by its name only and is left alone"));
    assert_null(strstr(s->world->effects, "delete"));
}

static void
remove_orphans(void (*deploy)(struct story *story))
{
    struct story *s CLEANUP(story_freep) = orphan_story(SPEC "    remove_orphans: true\n" TARGET);
    deploy(s);
    story_expect(s, 0, "deployed", NULL);
    story_expect_effects(s, "start shop-staging-mail\n"
                            "tag shop-staging-mail app=shop environment=staging worker=mail\n"
                            "delete shop-staging-lost\ndelete shop-old\n");
    assert_non_null(world_runner_find(s->world, "shop-staging-like"));
    static const char *const names[] = {"shop-staging-lost", "shop-old"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) { // the last of the notes
        assert_string_equal(s->d->notes.items[s->d->notes.count - 2 + i],
            arena_printf(s->arena,
                "App Runner service '%s', which had no worker any more, is deleted", names[i]));
    }
}

static void
test_orphans_are_removed_on_request(void **state)
{
    (void)state;
    remove_orphans(story_deploy);
}

static void
test_orphans_are_removed_in_calls(void **state)
{
    (void)state;
    remove_orphans(story_deploy_in_calls);
}

static void
test_a_failed_rollout_removes_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {"IN_PROGRESS", "ROLLBACK_SUCCEEDED", NULL};
    struct story *s CLEANUP(story_freep) = orphan_story(SPEC "    remove_orphans: true\n" TARGET);
    s->world->runners[0].life = bad;
    story_deploy(s);
    assert_int_equal(s->d->exit_code, 7);
    story_expect_effects(s, "start shop-staging-mail\n");
}

static void
test_orphans_that_cannot_be_looked_at(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = orphan_story(SPEC "    remove_orphans: true\n" TARGET);
    s->world->faults = (const struct world_fault[]){
        {"apprunner:ListTagsForResource /", .times = 99, .kind = FAULT_STATUS, .status = 400,
            .body = "{\"__type\":\"AccessDeniedException\",\"Message\":\"no\"}"},
        {0}};
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    assert_null(strstr(s->world->effects, "delete"));
    assert_non_null(strstr(buf_cstr(&s->events), "apprunner:ListTagsForResource"));
}

// --- the infra workflow ------------------------------------------------------------------------

#define WITH_SERVICE                                                                               \
    "title: Shop\nname: shop\nrepo: octo/shop\nservices:\n  web: {expose: 8080}\n"                 \
    "deploy:\n"                                                                                    \
    "  targets: {web: {kind: apprunner, service: shop-web, source: code}}\n"                       \
    "  workers:\n"                                                                                 \
    "    files: \"src/workers/*.ts\"\n"                                                            \
    "    workflow_input: workers\n"

static void
test_the_workflow_is_told(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) =
        worker_story(WITH_SERVICE TARGET, FILES("src/workers/b.ts", "src/workers/a.ts"));
    char *workflow CLEANUP(xfreep) = xasprintf("%.*s      workers: {type: string}\n%s",
        (int)(strstr(story_workflow, "jobs:") - story_workflow), story_workflow,
        strstr(story_workflow, "jobs:"));
    s->world->workflow = workflow;
    story_deploy(s);
    assert_null(s->err);
    assert_non_null(strstr(s->world->runs[0].inputs, " workers=[\"a\",\"b\"] "));
}

static struct story *
rollout_story(const char *target, const char *workers)
{
    char *spec CLEANUP(xfreep) = xasprintf("%s%s", WITH_SERVICE, target);
    struct story *s = worker_story(NULL, FILES("x"));
    s->app_spec = arena_dup(s->arena, spec);
    s->request.verb = "rollout";
    s->request.version = NULL;
    s->request.workers = workers;
    (void)world_runner(s->world, "shop-web", SOURCE("web.ts"));
    (void)world_runner(s->world, "shop-staging-a", SOURCE("a.ts"));
    return s;
}

#define BARE_TARGET "    target: {kind: apprunner, source: code}\n"

static void
test_the_infra_side_rolls_out_what_it_was_told(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = rollout_story(BARE_TARGET, "[\"a\"]");
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    assert_non_null(strstr(s->world->effects, "start shop-web\nstart shop-staging-a\n"));
}

static void
test_bad_lists(void **state)
{
    (void)state;
    static const struct {
        const char *list, *text;
    } cases[] = {
        {"a,b", "--workers is not a JSON list"},
        {"[]", "--workers is not a JSON list of 1 to 500 names"},
        {"{\"a\":1}", "--workers is not a JSON list of 1 to 500 names"},
        {"[1]", "--workers: item 1 is not a text"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct story *s CLEANUP(story_freep) = rollout_story(BARE_TARGET, cases[i].list);
        expect_refusal(s, ERROR_USAGE, cases[i].text);
    }
    struct story *bare CLEANUP(story_freep) = rollout_story(TARGET, "[\"a\"]");
    expect_refusal(bare, ERROR_USAGE,
        "worker 'a': the target names {worker_file}, and --workers gives only a name");
    struct story *odd CLEANUP(story_freep) = rollout_story(BARE_TARGET, "[\"a b\"]");
    expect_refusal(odd, ERROR_INPUT, "gives no usable name of a worker");
    struct story *none CLEANUP(story_freep) = rollout_story(BARE_TARGET, NULL);
    expect_refusal(none, ERROR_INPUT, "no entry point of a worker matches");
    assert_string_equal(error_hint_of(none->err),
        "Give the names of the workers with --workers, or the app's checkout with --checkout.");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_is_rolled_out),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_what_cannot_be_a_worker),
        cmocka_unit_test(test_links_are_not_followed),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_one_fails),
        cmocka_unit_test(test_orphans_are_reported),
        cmocka_unit_test(test_orphans_are_removed_on_request),
        cmocka_unit_test(test_orphans_are_removed_in_calls),
        cmocka_unit_test(test_a_failed_rollout_removes_nothing),
        cmocka_unit_test(test_orphans_that_cannot_be_looked_at),
        cmocka_unit_test(test_the_workflow_is_told),
        cmocka_unit_test(test_the_infra_side_rolls_out_what_it_was_told),
        cmocka_unit_test(test_bad_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
