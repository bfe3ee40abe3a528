// A version that comes from another environment brings its images along: by digest, once, over what
// nobody else has put there; and what is refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "advance_story.h"
#include "dispatcher/digest.h"
#include "dispatcher/memory.h"

#define OTHER "sha256:0000000000000000000000000000000000000000000000000000000000000000"
#define HERE "/shop/production/web/version"
#define HOST "127.0.0.1:5000"
#define OCI "application/vnd.oci.image."
#define CONFIG_BLOB "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
#define LAYER_BLOB "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define MOUNTS "mount 2cf24dba from=shop-staging-web\nmount 44136fa3 from=shop-staging-web\n"
#define AFTER "'staging' ran it as 'v1'; it was removed since, as a lifecycle policy does. "

#define COMPARE "compare v0...v1?per_page=100&page=1\n" // for the release notes
#define CONFIG                                                                                     \
    "version: 1\n"                                                                                 \
    "environments: [staging, production]\n"                                                        \
    "aws: {region: us-east-1}\n"                                                                   \
    "registry: " HOST "\n"                                                                         \
    "workflow:\n"                                                                                  \
    "  repo: octo/infra\n"                                                                         \
    "  file: deploy-app.yaml\n"                                                                    \
    "  ref: main\n"                                                                                \
    "  inputs: {application: \"{app}\", environment: \"{env}\"}\n"

static const char manifest[] =
    "{\"schemaVersion\":2,\"mediaType\":\"" OCI "manifest.v1+json\",\"config\":{\"mediaType\":"
    "\"" OCI "config.v1+json\",\"digest\":\"sha256:" CONFIG_BLOB "\",\"size\":2},\"layers\":[{"
    "\"mediaType\":\"" OCI "layer.v1.tar+gzip\",\"digest\":\"sha256:" LAYER_BLOB "\",\"size\":5}]}";

static struct spec_document config = {"dispatcher.yaml", {0}}, app_spec = {"shop.yaml", {0}};
static struct pair digests[1];
static struct deploy_given given;
static char digest[SHA256_DIGEST_TEXT_SIZE];
static struct world_origin origin;

// 'v1' is in staging's repository alone, and runs there.
static void
set_up(struct story *s)
{
    unsigned char hash[SHA256_SIZE];
    sha256_of(str_of(manifest), hash);
    sha256_digest_text(hash, digest);
    origin = (struct world_origin){
        .repository = "shop-staging-web", .tag = "v1", .digest = digest, .manifest = manifest};
    s->world->origin = &origin;
    s->world->digest = NULL;
    (void)world_parameter(s->world, HERE, "v0", "deployed");
}

static struct story *
story_promoted(void)
{
    struct story *s = story_new();
    set_up(s);
    s->config = CONFIG;
    s->request.verb = "promote";
    s->request.env = "production";
    s->request.from = "staging";
    s->request.version = NULL;
    return s;
}

static struct story *
story_served(void)
{
    struct story *s = story_promoted();
    config.text = str_of(CONFIG);
    app_spec.text = str_of(story_spec);
    digests[0] = (struct pair){"web", digest};
    given = (struct deploy_given){.id = "d-0123456789abcdef",
        .config = &config,
        .app_spec = &app_spec,
        .specs = "octo/infra",
        .ref = "refs/heads/main",
        .repository = "octo/shop",
        .actor = "octocat",
        .claim_key = "service/d-0123456789abcdef",
        .digests = {digests, 1},
        .accepted_ms = FAKE_WALL_START - 60 * 1000};
    s->request.given = &given;
    s->request.version = "v1";
    free((char *)(uintptr_t)s->request.checkout);
    s->request.checkout = NULL;
    s->request.specs = "/nonexistent";
    return s;
}

static const char *
effects_of_copy(const struct story *s, const char *copied)
{
    return arena_printf(s->arena,
        COMPARE "%sput " HERE
                "=v1\npost main application=shop environment=production distinct_id=%s\n"
                "label " HERE ":2 deployed\n",
        copied, s->d->dispatch_id);
}

static size_t
count_of(const char *text, const char *word)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++) {
        count++;
    }
    return count;
}

static const struct deployment_service *
service_of(const struct story *s)
{
    return deployment_service_at(s->d, 0);
}

static void
expect_copied(const struct story *s)
{
    story_expect(s, 0, "deployed", "'shop' v1 is deployed to 'production'");
    story_expect_effects(s, effects_of_copy(s, arena_printf(s->arena, MOUNTS "push %s\n", digest)));
    assert_string_equal(service_of(s)->digest, digest);
    assert_string_equal(service_of(s)->source,
        arena_printf(s->arena, "docker://" HOST "/shop-staging-web@%s", digest));
    assert_string_equal(s->d->from_env, "staging");
    assert_string_equal(s->d->verb, "deploy");
    assert_string_equal(s->d->notes.items[0], "'v1' is promoted from 'staging'");
    const struct deployment_step *push = deployment_step_at(s->d, 0);
    assert_string_equal(push->name, "push web");
    assert_string_equal(push->state, "done");
    assert_string_equal(
        push->note, arena_printf(s->arena, "2 blobs mounted from 'staging', %.19s…", digest));
}

static void
test_copied_by_a_service(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_served();
    story_deploy_in_calls(s);
    expect_copied(s);
}

// Without a service it is the same code: only where version and digest stand is another.
static void
test_copied_by_a_command(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_promoted();
    story_deploy(s);
    expect_copied(s);
    assert_non_null(strstr(buf_cstr(&s->events), "2 blobs mounted from 'staging'"));
    assert_string_equal(
        s->d->notes.items[1], "warning: 'v1' of 'web' is not known to be proven in 'staging'");
}

// The release does not say which image it was: the version's is taken, and its digest kept.
static void
test_digest_is_not_known(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_served();
    given.digests.count = 0;
    story_deploy_in_calls(s);
    expect_copied(s);
}

static void
test_plan(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_served();
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    story_prepare(s);
    assert_null(s->err);
    deploy_plan_text(s->d, &text);
    const char *line = arena_printf(s->arena,
        "  1. copy docker://" HOST "/shop-staging-web@%s to " HOST "/shop-production-web:v1\n"
        "     not in this registry's repository; 'staging' has it as %.19s…\n",
        digest, digest);
    assert_non_null(strstr(buf_cstr(&text), line));
    story_expect_effects(s, COMPARE);
}

// The release there had a service that is not deployed here.
static void
test_fewer_services(void **state)
{
    (void)state;
    struct pair both[] = {{"web", digest}, {"worker", OTHER}};
    struct story *s CLEANUP(story_freep) = story_served();
    given.digests = (struct pair_list){both, 2};
    story_deploy_in_calls(s);
    expect_copied(s);
}

// --- what is here already ------------------------------------------------------------------------

static void
test_there_already(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_served();
    s->world->digest = digest;
    origin.gone = true; // nobody asks
    story_deploy_in_calls(s);
    story_expect(s, 0, "deployed", NULL);
    story_expect_effects(s, effects_of_copy(s, ""));
    assert_null(service_of(s)->source);
}

static void
test_another_image_is_there(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_served();
    s->world->digest = OTHER;
    for (int known = 1; known >= 0; known--) {
        given.digests.count = (size_t)known;
        story_deploy(s);
        story_expect_refused(s, ERROR_CONFLICT,
            arena_printf(s->arena,
                "image '" HOST "/shop-production-web:v1' is " OTHER ", in 'staging' it is %s",
                digest),
            "Nothing is put over it. Remove that tag, if nothing runs from it, or deploy a new "
            "version.");
        assert_false(story_has_journal(s));
    }
}

static void
test_one_repository(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_served();
    config.text = str_of(CONFIG "repository: \"{name}-{service}\"\n");
    story_deploy(s);
    story_expect_refused(s, ERROR_INPUT, "image '" HOST "/shop-web:v1' is not in the registry",
        arena_printf(s->arena,
            "'staging' ran it from this very repository as %s; it was removed since, as a "
            "lifecycle policy does. Deploy the version once more from the app's repository.",
            digest));
    s->world->digest = digest;
    story_deploy_in_calls(s);
    story_expect(s, 0, "deployed", NULL);
    story_expect_effects(s, effects_of_copy(s, ""));
}

static void
tag_another(struct world *world)
{
    world->digest = OTHER;
}

// Between the plan and the push somebody else takes the tag.
static void
test_tagged_meanwhile(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {"HEAD /v2/shop-production-web/manifests/v1", .from = 2, .kind = FAULT_HOOK,
            .hook = tag_another},
        {0}};
    struct story *s CLEANUP(story_freep) = story_served();
    s->world->faults = faults;
    story_deploy_in_calls(s);
    story_expect(s, 6, "failed", NULL);
    story_expect_effects(s, COMPARE);
    assert_string_equal(s->world->digest, OTHER);
    assert_non_null(strstr(s->d->message,
        arena_printf(s->arena, "the tag names " OTHER ", 'staging' has %s", digest)));
}

// --- refused -------------------------------------------------------------------------------------

static void
test_gone(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_served();
    origin.gone = true;
    story_deploy(s);
    story_expect_refused(s, ERROR_INPUT,
        arena_printf(s->arena,
            "image of 'web' from 'staging': image 'docker://" HOST
            "/shop-staging-web@%s': manifest "
            "'%s' is not in repository 'shop-staging-web' of registry '" HOST "'",
            digest, digest),
        AFTER "Deploy the version to 'staging' once more from the app's repository, or promote "
              "another one.");
    assert_false(story_has_journal(s));
}

static void
test_may_not_read(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {"GET /v2/shop-staging-web/*", .times = 9, .status = 403, .body = "{}"}, {0}};
    struct story *s CLEANUP(story_freep) = story_served();
    s->world->faults = faults;
    story_deploy(s);
    assert_int_equal(error_kind_exit_code(ERROR_CREDENTIALS), 4);
    story_expect_refused(s, ERROR_CREDENTIALS,
        arena_printf(s->arena,
            "image of 'web' from 'staging': image 'docker://" HOST
            "/shop-staging-web@%s': manifest '%s': denied (HTTP 403)",
            digest, digest),
        "Whoever deploys to 'production' must be allowed to read repository 'shop-staging-web' of "
        "'" HOST "'.");
    assert_false(story_has_journal(s));
}

static void
test_may_not_push(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {"POST /v2/shop-production-web/blobs/uploads/*", .times = 9, .status = 403, .body = "{}"},
        {0}};
    struct story *s CLEANUP(story_freep) = story_served();
    s->world->faults = faults;
    story_deploy_in_calls(s);
    story_expect(s, 4, "failed", NULL);
    story_expect_effects(s, COMPARE);
    assert_int_equal(s->world->posts, 0);
    assert_non_null(strstr(s->d->message, "push image '" HOST "/shop-production-web:v1'"));
}

// --- the order, without a service ----------------------------------------------------------------

static void
test_order(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_promoted();
    s->config = "version: 1\nenvironments: [dev, staging, production]\naws: {region: us-east-1}\n"
                "registry: " HOST "\nworkflow: {repo: octo/infra, file: deploy-app.yaml}\n";
    s->app_spec = arena_printf(s->arena,
        "%sdeploy: {environments: {production: {promote_from: {environment: staging, soak: "
        "2h}}}}\n",
        story_spec);
    s->request.from = "dev";
    story_prepare(s);
    story_expect_refused(s, ERROR_DENIED,
        "'shop' is promoted to 'production' from 'staging', not from 'dev'",
        "The spec's 'promote_from' of 'production' says so.");
    s->request.from = "production";
    story_prepare(s);
    story_expect_refused(
        s, ERROR_USAGE, "a promotion leads to another environment than 'production'", NULL);
    s->request.from = "staging";
    story_prepare(s);
    assert_non_null(s->err);
    assert_int_equal(error_kind(s->err), ERROR_DENIED);
    assert_non_null(strstr(error_message(s->err), "'v1' stays in 'staging' until "));
    s->request.version = "v7";
    story_prepare(s);
    story_expect_refused(
        s, ERROR_INPUT, "version 'v7' of 'web' was never in 'staging'", "Deploy it there first.");
}

// --- a rollback ----------------------------------------------------------------------------------

// 'v1' is to be gone back to, and lifecycle rules took its image away here.
static void
test_rollback_brings_it_back(void **state)
{
    (void)state;
    for (int served = 0; served < 2; served++) {
        struct story *s CLEANUP(story_freep) = served ? story_served() : story_promoted();
        s->world->parameter_count = 0;
        struct world_parameter *here = world_parameter(s->world, HERE, "v1", "proven-0");
        (void)snprintf(here->versions[0].description, sizeof(here->versions[0].description),
            "dispatcher d-1 prev=0 digest=%s", digest);
        world_foreign_write(s->world, HERE, "v2");
        s->request.verb = "rollback";
        s->request.from = NULL;
        s->request.version = NULL;
        s->request.because = "checkout is slow";
        given.digests.count = 0;
        s->world->effects[0] = '\0';
        story_deploy(s);
        story_expect(s, 0, "deployed", "'shop' v1 is back in 'production'");
        assert_int_equal(count_of(s->world->effects, "mount "), 2);
        assert_int_equal(count_of(s->world->effects, "push "), 1);
        assert_string_equal(s->world->pushed, digest);
        assert_string_equal(service_of(s)->digest, digest);
        assert_string_equal(world_value(s->world, HERE), "v1");
        assert_string_equal(
            s->d->notes.items[0], "the image of 'web' is brought back from 'staging'");
    }
}

static void
test_rollback_finds_it_nowhere(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_promoted();
    s->world->parameter_count = 0;
    struct world_parameter *here = world_parameter(s->world, HERE, "v1", "proven-0");
    (void)snprintf(here->versions[0].description, sizeof(here->versions[0].description),
        "dispatcher d-1 prev=0 digest=%s", digest);
    world_foreign_write(s->world, HERE, "v2");
    s->request.verb = "rollback";
    s->request.from = NULL;
    s->request.because = "checkout is slow";
    origin.gone = true;
    story_prepare(s);
    story_expect_refused(
        s, ERROR_INPUT, "image '" HOST "/shop-production-web:v1' is not in the registry", NULL);
}

// --- killed anywhere -----------------------------------------------------------------------------

// Whoever goes on copies what is not there yet, tags once and dispatches once at most.
static void
test_killed_anywhere(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_served();
    int64_t at = 1, copies = 0;
    for (; at < 2000; at++) {
        story_restart(s);
        set_up(s);
        if (!story_deploy_and_die(s, at)) {
            break;
        }
        if (!story_has_journal(s)) {
            assert_null(strstr(s->world->effects, "push"));
            continue;
        }
        bool undecided = s->world->posts == 0;
        story_resume(s);
        assert_true(s->world->posts <= 1);
        assert_int_equal(count_of(s->world->effects, "push "), 1);
        assert_int_equal(count_of(s->world->effects, "WRITTEN TO THE ORIGIN"), 0);
        assert_string_equal(s->world->pushed, digest);
        if (cstr_equal(s->d->result, "unknown")) { // between the intent and the dispatch
            assert_true(undecided);
            continue;
        }
        story_expect(s, 0, "deployed", NULL);
        assert_string_equal(service_of(s)->digest, digest);
        assert_string_equal(world_value(s->world, HERE), "v1");
        copies++;
    }
    assert_true(at > 50 && at < 2000 && copies > 30);
    print_message("killed at %lld places\n", (long long)at - 1);
}

// The service shuts down while it copies: nothing has failed, and the next one goes on.
static void
test_put_down_while_it_copies(void **state)
{
    (void)state;
    static const char *const places[] = {"POST /v2/shop-production-web/blobs/uploads/*",
        "PUT /v2/shop-production-web/manifests/v1", "HEAD /v2/shop-production-web/manifests/*"};
    for (size_t i = 0; i < 2 * ARRAY_LENGTH(places); i++) {
        struct world_fault faults[] = {{.match = places[i / 2],
                                           .from = i / 2 == 2 ? 2 : 1,
                                           .kind = i % 2 == 0 ? FAULT_SIGNAL : FAULT_LATE_SIGNAL},
            {0}};
        struct story *s CLEANUP(story_freep) = story_served();
        struct deploy_pace *pace CLEANUP(pace_of_test_freep) = deploy_pace_new();
        s->world->faults = faults;
        story_begin(s);
        assert_null(s->err);
        story_advance(s, pace);
        assert_int_equal(s->world->hits[0], faults[0].from);
        assert_int_equal(error_kind(s->err), ERROR_CANCELLED);
        assert_int_equal(s->world->posts, 0);
        cancel_clear(s->fake->cancel);
        (void)story_advance_to_the_end(s, false);
        story_expect(s, 0, "deployed", NULL);
        assert_int_equal(count_of(s->world->effects, "push "), 1);
        assert_string_equal(service_of(s)->digest, digest);
        assert_int_equal(s->world->posts, 1);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copied_by_a_service),
        cmocka_unit_test(test_copied_by_a_command),
        cmocka_unit_test(test_digest_is_not_known),
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_fewer_services),
        cmocka_unit_test(test_there_already),
        cmocka_unit_test(test_another_image_is_there),
        cmocka_unit_test(test_one_repository),
        cmocka_unit_test(test_tagged_meanwhile),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_may_not_read),
        cmocka_unit_test(test_may_not_push),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_rollback_brings_it_back),
        cmocka_unit_test(test_rollback_finds_it_nowhere),
        cmocka_unit_test(test_killed_anywhere),
        cmocka_unit_test(test_put_down_while_it_copies),
    };
    return cmocka_run_group_tests_name("promote", tests, NULL, NULL);
}
