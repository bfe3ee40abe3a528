// The facts of a verified request in place of documents, checkout and environment: what is read,
// what is refused, what goes into the deployment.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_story.h"
#include "dispatcher/memory.h"

#define PUT "put " STORY_PARAMETER "=v2\n"
#define OTHER "sha256:0000000000000000000000000000000000000000000000000000000000000000"
#define SHA "3333333333333333333333333333333333333333"
#define OLD "1111111111111111111111111111111111111111"
#define TRACE "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
#define COMPARE "compare v1..." SHA "?per_page=100&page=1\n"

static struct spec_document config = {"dispatcher.yaml", {0}}, app_spec = {"shop.yaml", {0}};
static struct pair digests[] = {{"web", STORY_DIGEST}};
static struct deploy_given given;

// What a job's environment and a checkout would say is somebody else's.
static struct story *
story_given(void)
{
    static const char *const lies[][2] = {{"GITHUB_ACTIONS", "true"},
        {"GITHUB_REPOSITORY", "evil/shop"}, {"GITHUB_REPOSITORY_ID", "666"},
        {"GITHUB_REF", "refs/heads/evil"}, {"GITHUB_RUN_ID", "666"}, {"GITHUB_ACTOR", "mallory"},
        {"GITHUB_RUN_ATTEMPT", "2"}, {"GITHUB_API_URL", "https://evil.example.org"},
        {"GITHUB_SERVER_URL", "https://evil.example.org"}};
    struct story *s = story_new();
    for (size_t i = 0; i < ARRAY_LENGTH(lies); i++) {
        story_env(s, lies[i][0], lies[i][1]);
    }
    config.text = str_of(story_config);
    app_spec.text = str_of(story_spec);
    given = (struct deploy_given){.id = "d-0123456789abcdef",
        .config = &config,
        .app_spec = &app_spec,
        .specs = "octo/infra",
        .specs_commit = "5555555555555555555555555555555555555555",
        .sha = SHA,
        .ref = "refs/heads/main",
        .event = "push",
        .repository = "octo/shop",
        .actor = "octocat",
        .caller_url = "https://github.com/octo/shop/actions/runs/7",
        .claim_key = "service/d-0123456789abcdef",
        .digests = {digests, 1},
        .accepted_ms = FAKE_WALL_START - 60 * 1000};
    s->request.given = &given;
    free((char *)(uintptr_t)s->request.checkout);
    s->request.checkout = NULL;
    s->request.specs = "/nonexistent";
    digests[0] = (struct pair){"web", STORY_DIGEST};
    return s;
}

static void
test_facts(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_given();
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    const struct deployment *d = s->d;
    assert_string_equal(d->id, "d-0123456789abcdef");
    assert_string_equal(d->verb, "deploy");
    assert_string_equal(d->version, "v2");
    assert_string_equal(d->sha, SHA);
    assert_string_equal(d->branch, "main");
    assert_null(d->tag);
    assert_string_equal(d->repository, "octo/shop");
    assert_string_equal(d->actor, "octocat");
    assert_string_equal(d->caller_url, "https://github.com/octo/shop/actions/runs/7");
    assert_string_equal(d->claim_key, "service/d-0123456789abcdef");
    assert_string_equal(d->specs, "octo/infra");
    assert_string_equal(d->specs_commit, "5555555555555555555555555555555555555555");
    assert_string_equal(d->github_api, "https://api.github.com");
    assert_string_equal(d->github_web, "https://github.com");
    assert_true(d->served);
    assert_true(d->accepted_ms == FAKE_WALL_START - 60 * 1000);
    assert_true(d->created_ms >= FAKE_WALL_START);
    assert_int_equal(s->world->posts, 1);
}

// Whoever may write specs does not choose where the service's key is used, nor which file is one.
static void
test_github_is_the_service_s(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_given();
    char *evil CLEANUP(xfreep) = xasprintf("%sgithub: {api: https://evil.example.org, app_id: 666, "
                                           "app_key: \"env:AWS_SECRET_ACCESS_KEY\"}\n",
        story_config);
    config.text = str_of(evil);
    given.github_api = "https://api.github.com";
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    assert_string_equal(s->d->github_api, "https://api.github.com");
    assert_string_equal(s->d->github_web, "https://github.com");
    assert_null(s->d->github_app_id);
    assert_null(s->d->github_app_key);
}

// --- the images --------------------------------------------------------------------------------

#define IMAGE "image '127.0.0.1:5000/shop-staging-web:v2' "

static void
test_another_digest(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_given();
    digests[0].value = OTHER;
    story_deploy(s);
    story_expect_refused(s, ERROR_CONFLICT, IMAGE "is " STORY_DIGEST ", " OTHER " was pushed",
        "Somebody pushed another image under this version since. Push again, or deploy what is "
        "there now.");
    assert_false(story_has_journal(s));
}

static void
test_useless_digests(void **state)
{
    (void)state;
    static const struct {
        struct pair pair;
        const char *text;
    } cases[] = {
        {{"web", "latest"}, "'latest' is no digest"},
        {{"wep", STORY_DIGEST}, "app 'shop' has no service 'wep' that is deployed"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct story *s CLEANUP(story_freep) = story_given();
        digests[0] = cases[i].pair;
        story_deploy(s);
        story_expect_refused(s, ERROR_USAGE, cases[i].text, NULL);
    }
}

static void
test_image_is_missing(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_given();
    s->world->digest = NULL;
    story_deploy(s);
    story_expect_refused(s, ERROR_INPUT, IMAGE "is not in the registry",
        "The app's repository pushes it there before it asks.");
}

static void
test_pushes_nothing(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_given();
    const char *image = story_layout(s);
    s->request.images = (struct str_list){&image, 1};
    story_deploy(s);
    story_expect_refused(s, ERROR_USAGE, "the service pushes no images: the app's job does", NULL);
    s->request.images = (struct str_list){0};
    s->request.verb = "rollout";
    story_deploy(s);
    story_expect_refused(s, ERROR_USAGE, "the service does not do 'rollout'", NULL);
}

// --- the version -------------------------------------------------------------------------------

static void
test_version_of_ref(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_given();
    const char *by_tag = arena_printf(s->arena, "%sdeploy:\n  version: tag\n", story_spec);
    s->request.version = NULL;
    story_prepare(s);
    assert_null(s->err);
    assert_string_equal(s->d->version, SHA);
    s->world->effects[0] = '\0';
    app_spec.text = str_of(by_tag);
    story_prepare(s);
    story_expect_refused(s, ERROR_USAGE, "no version was given for 'shop'", NULL);
    given.ref = "refs/tags/v2.0.0";
    story_prepare(s);
    assert_null(s->err);
    assert_string_equal(s->d->version, "v2.0.0");
    assert_string_equal(s->d->tag, "v2.0.0");
    assert_null(s->d->branch);
    s->world->effects[0] = '\0';
    given.ref = "refs/tags/nightly";
    story_prepare(s);
    story_expect_refused(s, ERROR_USAGE, "no version was given for 'shop'", NULL);
    s->request.version = "v2:evil";
    story_prepare(s);
    story_expect_refused(s, ERROR_USAGE, "version 'v2:evil' cannot be an image tag", NULL);
}

static const char two_environments[] =
    "version: 1\n"
    "environments: [staging, production]\n"
    "aws: {region: us-east-1}\n"
    "registry: 127.0.0.1:5000\n"
    "workflow:\n"
    "  repo: octo/infra\n"
    "  file: deploy-app.yaml\n"
    "  ref: main\n"
    "  inputs: {application: \"{app}\", environment: \"{env}\"}\n";

static void
test_promote(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_given();
    (void)world_parameter(s->world, "/shop/production/web/version", "v0", "deployed");
    config.text = str_of(two_environments);
    s->request.from = "staging";
    s->request.verb = "promote";
    s->request.env = "production";
    s->request.version = NULL;
    story_deploy(s);
    story_expect(s, 0, "deployed", "'shop' v1 is deployed to 'production'");
    assert_string_equal(s->d->verb, "deploy");
    assert_string_equal(s->d->notes.items[0], "'v1' is promoted from 'staging'");
    assert_string_equal(world_value(s->world, "/shop/production/web/version"), "v1");
    given.id = "d-0123456789abcdee";
    s->request.from = "production";
    s->request.env = "staging"; // is on v1 already, and so is the other
    story_deploy(s);
    story_expect(s, 0, "deployed", "'shop' v1 is deployed to 'staging'");
}

static void
test_promote_what_is_not_one(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_given();
    config.text = str_of(two_environments);
    app_spec.text = str_of(story_spec_two);
    s->request.from = "staging";
    s->request.verb = "promote";
    s->request.env = "production";
    s->request.version = NULL;
    story_prepare(s);
    story_expect_refused(s, ERROR_INPUT,
        "version of environment 'staging': parameter '" STORY_SECOND "' does not exist",
        "Deploy 'shop' to 'staging' first.");
    (void)world_parameter(s->world, STORY_SECOND, "v7", "deployed");
    story_prepare(s);
    story_expect_refused(s, ERROR_CONFLICT,
        "version of environment 'staging': the services of 'shop' in 'staging' are on 'v1' and on "
        "'v7'",
        "Say which version is to be promoted.");
}

static void
test_rollback(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_given();
    struct world_parameter *parameter = world_parameter_find(s->world, STORY_PARAMETER);
    memcpy(parameter->versions[0].labels[1], "proven", sizeof("proven"));
    world_foreign_write(s->world, STORY_PARAMETER, "v2");
    given.digests = (struct pair_list){0};
    s->request.verb = "rollback";
    s->request.version = NULL;
    s->request.because = "checkout is slow";
    app_spec.text = str_of(arena_printf(s->arena,
        "%sdeploy: {environments: {staging: {branch: main, rollback: {lock: true}}}}\n",
        story_spec));
    story_deploy(s);
    story_expect(s, 0, "deployed", "'shop' v1 is back in 'staging'");
    assert_string_equal(world_value(s->world, STORY_PARAMETER), "v1");
    assert_string_equal(s->d->replaces, "v2");
    assert_string_equal(s->d->actor, "octocat");
    assert_int_equal(s->d->notes.count, 0); // locks and rules are the service's
}

// --- the trace ---------------------------------------------------------------------------------

static const char traced_workflow[] = "on:\n"
                                      "  workflow_dispatch:\n"
                                      "    inputs:\n"
                                      "      application: {type: string}\n"
                                      "      environment: {type: string}\n"
                                      "      distinct_id: {type: string}\n"
                                      "      traceparent: {type: string}\n"
                                      "run-name: deploy ${{ inputs.distinct_id }}\n"
                                      "jobs: {}\n";

static void
test_trace(void **state)
{
    (void)state;
    for (int declared = 0; declared < 2; declared++) {
        struct story *s CLEANUP(story_freep) = story_given();
        given.trace = TRACE;
        s->world->workflow = declared == 1 ? traced_workflow : story_workflow;
        story_deploy(s);
        story_expect(s, 0, "deployed", NULL);
        bool sent = strstr(s->world->runs[0].inputs, "traceparent=" TRACE) != NULL ||
                    strstr(s->world->effects, "traceparent=" TRACE) != NULL;
        assert_int_equal(sent, declared);
    }
}

// --- what is new -------------------------------------------------------------------------------

static const char comparison[] =
    "{\"status\":\"ahead\",\"ahead_by\":2,\"behind_by\":0,\"total_commits\":2,\"commits\":["
    "{\"sha\":\"" OLD "\",\"commit\":{\"message\":\"one (#7)\",\"author\":{\"name\":\"A\"}}},"
    "{\"sha\":\"" SHA "\",\"commit\":{\"message\":\"two \\u001b[31m\",\"author\":{\"name\":\"B\"}}}"
    "]}";

static void
test_commits(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_given();
    s->world->comparison = comparison;
    story_prepare(s);
    assert_null(s->err);
    assert_string_equal(s->world->effects, COMPARE);
    assert_int_equal(s->d->commits.count, 2);
    assert_true(s->d->commits_complete);
    const struct deployment_commit *commits = s->d->commits.items;
    assert_string_equal(commits[0].sha, SHA);
    assert_null(strchr(commits[0].subject, '\x1b'));
    assert_string_equal(commits[1].author, "A");
    assert_int_equal(commits[1].pull, 7);
    assert_int_equal(s->d->notes.count, 0);
}

static void
test_commits_are_not_known(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_given();
    story_prepare(s);
    assert_null(s->err);
    assert_int_equal(s->d->commits.count, 0);
    assert_string_equal(s->d->notes.items[0], "what is new is not known: GitHub shows not both of "
                                              "'v1' and '" SHA "' in 'octo/shop'");
}

// What the service opens for a question.
struct question {
    struct http_client *http;
    struct deploy_context *context;
};

static void
ask(struct story *s, struct question *question)
{
    static const struct http_client_options options = {.user_agent = "test"};
    world_attach(s->world, s->fake);
    assert_null(http_client_new(&s->fake->platform, &options, &question->http));
    const struct deploy_context_options context = {
        .platform = &s->fake->platform, .http = question->http, .state_path = s->state_path};
    question->context = deploy_context_new(&context);
}

static void
answered(struct question *question)
{
    deploy_context_free(question->context);
    http_client_free(question->http);
}

// --- how two commits stand ---------------------------------------------------------------------

static void
test_ancestry(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum deploy_ancestry expected;
    } cases[] = {
        {"{\"status\":\"ahead\",\"ahead_by\":1,\"behind_by\":0,\"total_commits\":1}",
            DEPLOY_ANCESTRY_NEWER},
        {"{\"status\":\"behind\",\"ahead_by\":0,\"behind_by\":1,\"total_commits\":0}",
            DEPLOY_ANCESTRY_OLDER},
        {"{\"status\":\"diverged\",\"ahead_by\":1,\"behind_by\":1,\"total_commits\":1}",
            DEPLOY_ANCESTRY_DIVERGED},
        {"{\"status\":\"identical\",\"ahead_by\":0,\"behind_by\":0,\"total_commits\":0}",
            DEPLOY_ANCESTRY_SAME},
        {NULL, DEPLOY_ANCESTRY_UNKNOWN},
        {"{\"status\":\"odd\"}", DEPLOY_ANCESTRY_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct story *s CLEANUP(story_freep) = story_given();
        enum deploy_ancestry seen = DEPLOY_ANCESTRY_SAME;
        const char *why = NULL;
        struct question question = {0};
        s->world->comparison = cases[i].body;
        ask(s, &question);
        assert_null(deploy_ancestry(question.context, &s->request,
            &(struct deploy_range){"octo/shop", OLD, SHA}, s->arena, &seen, &why));
        assert_int_equal(seen, cases[i].expected);
        assert_int_equal(why != NULL, seen == DEPLOY_ANCESTRY_UNKNOWN);
        assert_string_equal(s->world->effects, "compare " OLD "..." SHA "?per_page=1&page=2\n");
        s->world->effects[0] = '\0';
        assert_null(deploy_ancestry(question.context, &s->request,
            &(struct deploy_range){"octo/shop", SHA, SHA}, s->arena, &seen, &why));
        assert_int_equal(seen, DEPLOY_ANCESTRY_SAME);
        assert_string_equal(s->world->effects, ""); // nobody is asked
        answered(&question);
    }
}

static void
place_of(struct story *s, struct deploy_place *place)
{
    struct diagnostics *diagnostics = diagnostics_new();
    struct question question = {0};
    ask(s, &question);
    assert_null(deploy_place(question.context, &s->request, s->arena, diagnostics, place));
    answered(&question);
    diagnostics_free(diagnostics);
}

static void
test_place(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_given();
    struct deploy_place place = {0};
    app_spec.text = str_of(story_spec_two);
    place_of(s, &place);
    assert_string_equal(place.registry, "127.0.0.1:5000");
    assert_string_equal(place.region, "us-east-1");
    assert_null(place.account);
    assert_null(place.role);
    assert_int_equal(place.repositories.count, 2);
    assert_string_equal(place.repositories.items[0].key, "web");
    assert_string_equal(place.repositories.items[0].value, "shop-staging-web");
    assert_string_equal(place.repositories.items[1].value, "shop-staging-worker");
    config.text = str_of("version: 1\nenvironments: [staging]\n"
                         "registry: 012345678901.dkr.ecr.eu-west-1.amazonaws.com\n"
                         "aws: {role: \"arn:aws:iam::012345678901:role/push\"}\n"
                         "workflow: {repo: octo/infra, file: deploy-app.yaml, ref: main}\n");
    place_of(s, &place);
    assert_string_equal(place.region, "eu-west-1");
    assert_string_equal(place.account, "012345678901");
    assert_string_equal(place.role, "arn:aws:iam::012345678901:role/push");
    assert_int_equal(s->world->requests, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_github_is_the_service_s),
        cmocka_unit_test(test_another_digest),
        cmocka_unit_test(test_useless_digests),
        cmocka_unit_test(test_image_is_missing),
        cmocka_unit_test(test_pushes_nothing),
        cmocka_unit_test(test_version_of_ref),
        cmocka_unit_test(test_promote),
        cmocka_unit_test(test_promote_what_is_not_one),
        cmocka_unit_test(test_rollback),
        cmocka_unit_test(test_trace),
        cmocka_unit_test(test_commits),
        cmocka_unit_test(test_commits_are_not_known),
        cmocka_unit_test(test_ancestry),
        cmocka_unit_test(test_place),
    };
    return cmocka_run_group_tests_name("given", tests, NULL, NULL);
}
