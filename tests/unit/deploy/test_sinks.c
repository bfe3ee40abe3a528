// The settings' sinks into a deployment: which verbs tell, what placeholders become, what GitHub
// and PagerDuty are asked for, and that nothing of it stops a deployment.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_internal.h"
#include "deploy_story.h"
#include "dispatcher/json.h"
#include "dispatcher/memory.h"

#define HEAD                                                                                       \
    "version: 1\nenvironments: [staging, live]\nworkflow: {repo: octo/infra}\n"                    \
    "aws: {region: us-east-1}\n"
#define SHA "0123456789abcdef0123456789abcdef01234567"

// Settings of 'shop' and a deployment of it, as far as sinks_prepare looks at them.
struct fixture {
    struct arena *arena;
    struct fake_platform *fake;
    struct deploy_context context;
    struct preparation preparation;
    struct deployment *d;
};

static struct fixture
begin(const char *config, const char *env)
{
    static const char app[] = "name: shop\nrepo: octo/shop\nservices: {web: {}}\n";
    static const char *const none[] = {NULL};
    struct fixture f = {.arena = arena_new(), .fake = fake_platform_new(none)};
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    const char *text = arena_printf(f.arena, HEAD "%s", config);
    const struct spec_document config_document = {"dispatcher.yaml", str_of(text)};
    const struct spec_document document = {"shop.yaml", str_of(app)};
    settings_resolve(
        &config_document, &document, "shop", env, f.arena, diagnostics, &f.preparation.settings);
    if (f.preparation.settings == NULL) {
        fail_msg("%s", diagnostics_at(diagnostics, 0)->message);
    }
    f.context.platform = &f.fake->platform;
    f.d = deployment_new(f.arena);
    f.d->id = "d-1";
    f.d->app = "shop";
    f.d->verb = "deploy";
    f.d->env = f.preparation.settings->env;
    f.d->version = SHA;
    f.d->sha = SHA;
    f.preparation.deployment = f.d;
    f.preparation.arena = f.arena;
    return f;
}

static void
done(struct fixture *f)
{
    fake_platform_free(f->fake);
    arena_free(f->arena);
}

// The sinks by name, "a b".
static const char *
names_of(const struct fixture *f)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(4096);
    for (size_t i = 0; i < f->d->sinks.count; i++) {
        buf_printf(&text, "%s%s", i > 0 ? " " : "", deployment_sink_at(f->d, i)->name);
    }
    return arena_dup(f->arena, buf_cstr(&text));
}

static const char all_kinds[] =
    "notify:\n"
    "  sinks:\n"
    "    code: {kind: github, status: false}\n"
    "    deploys: {kind: slack, channel: \"#deploys-{env}\"}\n"
    "    posts: {kind: slack, webhook: \"ssm:/hook\"}\n"
    "    pages: {kind: pagerduty, region: eu, incidents: {outcomes: [failures]}}\n"
    "    hook: {kind: webhook, url: \"https://hooks.example.org/{app}/{version}\", secret: "
    "\"env:K\"}\n"
    "    near: {kind: webhook, url: \"http://127.0.0.1:8080/{region}/{sha}\"}\n"
    "  routes:\n"
    "    - {to: [code, posts, hook, near]}\n"
    "    - {to: [deploys, pages], outcomes: [failures, deployed]}\n"
    "  members: {ada@example.org: U012AB3CD}\n"
    "  environment_url: \"https://{subdomain}.example.org/{version}\"\n"
    "  private_hosts: [127.0.0.1]\n";

static void
test_each_kind(void **state)
{
    (void)state;
    struct fixture f CLEANUP(done) = begin(all_kinds, "live");
    sinks_prepare(&f.context, &f.preparation);
    assert_string_equal(names_of(&f), "code deploys posts pages hook near");
    assert_int_equal(f.d->notes.count, 0);
    const struct deployment_sink *code = deployment_sink_at(f.d, 0);
    assert_string_equal(code->kind, "github");
    assert_true(code->deployment && code->comment && !code->status && !code->check);
    assert_int_equal(code->outcomes.count, 0);
    assert_null(code->token);
    const struct deployment_sink *deploys = deployment_sink_at(f.d, 1);
    assert_string_equal(deploys->channel, "#deploys-live");
    assert_string_equal(deploys->token, "env:SLACK_BOT_TOKEN");
    assert_null(deploys->url);
    assert_int_equal(deploys->outcomes.count, 6);
    assert_string_equal(deploys->outcomes.items[0], "deployed");
    assert_string_equal(deploys->outcomes.items[5], "timed-out");
    assert_false(deploys->deployment || deploys->status || deploys->comment || deploys->check);
    const struct deployment_sink *posts = deployment_sink_at(f.d, 2);
    assert_string_equal(posts->url, "ssm:/hook");
    assert_null(posts->token);
    assert_null(posts->channel);
    const struct deployment_sink *pages = deployment_sink_at(f.d, 3);
    assert_string_equal(pages->routing_key, "env:PAGERDUTY_ROUTING_KEY");
    assert_string_equal(pages->region, "eu");
    assert_int_equal(pages->incidents.count, 5);
    assert_string_equal(pages->incidents.items[0], "failed");
    const struct deployment_sink *hook = deployment_sink_at(f.d, 4);
    assert_string_equal(hook->url, "https://hooks.example.org/shop/" SHA);
    assert_string_equal(hook->secret, "env:K");
    assert_false(hook->to_private);
    const struct deployment_sink *near = deployment_sink_at(f.d, 5);
    assert_string_equal(near->url, "http://127.0.0.1:8080/us-east-1/" SHA);
    assert_true(near->to_private);
    assert_string_equal(f.d->environment_url, "https://shop.example.org/" SHA);
    assert_int_equal(f.d->members.count, 1);
    assert_string_equal(f.d->members.items[0].value, "U012AB3CD");
    assert_true(f.d->is_production);
}

// As another process reads it from the journal.
static void
test_the_journal_holds_them(void **state)
{
    (void)state;
    struct fixture f CLEANUP(done) = begin(all_kinds, "live");
    sinks_prepare(&f.context, &f.preparation);
    struct json *json CLEANUP(json_freep) = deployment_encode(f.d);
    struct buf text CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    json_print(json, false, &text);
    struct deployment *again = NULL;
    assert_null(deployment_decode(buf_str(&text), f.arena, &again));
    assert_int_equal(again->sinks.count, 6);
    assert_string_equal(deployment_sink_at(again, 1)->channel, "#deploys-live");
    assert_int_equal(deployment_sink_at(again, 1)->outcomes.count, 6);
    assert_int_equal(deployment_sink_at(again, 3)->incidents.count, 5);
    assert_true(deployment_sink_at(again, 5)->to_private);
    assert_true(deployment_sink_at(again, 0)->deployment && again->is_production);
    assert_string_equal(again->members.items[0].key, "ada@example.org");
    assert_string_equal(again->environment_url, "https://shop.example.org/" SHA);
}

static void
test_verbs(void **state)
{
    (void)state;
    static const struct {
        const char *verbs, *verb, *names;
    } cases[] = {
        {"", "deploy", "s"},
        {"", "rollback", "s"},
        {"", "rollout", ""},
        {"", "prove", ""},
        {", verbs: [prove, rollout]", "deploy", ""},
        {", verbs: [prove, rollout]", "rollout", "s"},
        {", verbs: [prove, rollout]", "prove", "s"},
        {", verbs: []", "deploy", ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char *config CLEANUP(xfreep) =
            xasprintf("notify: {sinks: {s: {kind: slack, channel: \"#a\"}}, environment_url: "
                      "\"https://example.org\"%s}\n",
                cases[i].verbs);
        struct fixture f CLEANUP(done) = begin(config, "staging");
        f.d->verb = cases[i].verb;
        sinks_prepare(&f.context, &f.preparation);
        assert_string_equal(names_of(&f), cases[i].names);
        assert_string_equal(f.d->environment_url, "https://example.org"); // for reports by hand
        assert_false(f.d->is_production);
    }
}

// Without it GitHub would go on showing the version that a rollback has left.
static void
test_commit_of_a_rollback(void **state)
{
    (void)state;
    static const struct {
        const char *sha, *version, *expected;
    } cases[] = {
        {NULL, SHA, SHA},
        {NULL, "v1.2.3", NULL},
        {SHA, "v1.2.3", SHA},
        {NULL, NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct fixture f CLEANUP(done) = begin("", "staging");
        f.d->verb = "rollback";
        f.d->sha = cases[i].sha;
        f.d->version = cases[i].version;
        sinks_prepare(&f.context, &f.preparation);
        if (cases[i].expected == NULL) {
            assert_null(f.d->sha);
        } else {
            assert_string_equal(f.d->sha, cases[i].expected);
        }
    }
}

static void
test_incidents(void **state)
{
    (void)state;
    static const struct {
        const char *incidents, *env;
        size_t count;
    } cases[] = {
        {"", "live", 4},
        {"", "staging", 0},
        {", incidents: {environments: [staging]}", "live", 0},
        {", incidents: {environments: [staging], outcomes: [unknown]}", "staging", 1},
        {", incidents: {environments: []}", "live", 0},
        {", incidents: {outcomes: []}", "live", 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char *config CLEANUP(xfreep) =
            xasprintf("notify: {sinks: {p: {kind: pagerduty%s}}}\n", cases[i].incidents);
        struct fixture f CLEANUP(done) = begin(config, cases[i].env);
        sinks_prepare(&f.context, &f.preparation);
        assert_string_equal(names_of(&f), "p");
        assert_int_equal(deployment_sink_at(f.d, 0)->incidents.count, cases[i].count);
    }
}

static void
test_check_runs(void **state)
{
    (void)state;
    static const struct {
        const char *sink, *app_id, *env[3];
        bool check;
    } cases[] = {
        {"", NULL, {NULL}, false},
        {"", NULL, {"GITHUB_TOKEN=x"}, false},
        {"", "7", {NULL}, true},
        {"", NULL, {"DEPLOYMENT_APP_ID=7"}, true},
        {"", NULL, {"GITHUB_ACTIONS=true", "GITHUB_TOKEN=x"}, true},
        {"", NULL, {"GITHUB_ACTIONS=false"}, false},
        {", check: auto", NULL, {"GITHUB_ACTIONS=true"}, true},
        {", check: never", "7", {"GITHUB_ACTIONS=true"}, false},
        {", check: always", NULL, {NULL}, true},
        {", token: \"env:T\"", "7", {"GITHUB_ACTIONS=true"}, false},
        {", token: \"env:T\", check: always", NULL, {NULL}, true},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char *config CLEANUP(xfreep) =
            xasprintf("notify: {sinks: {code: {kind: github%s}}}\n", cases[i].sink);
        struct fixture f CLEANUP(done) = begin(config, "staging");
        fake_platform_set_env(f.fake, cases[i].env);
        f.d->github_app_id = cases[i].app_id;
        sinks_prepare(&f.context, &f.preparation);
        assert_string_equal(names_of(&f), "code");
        if (deployment_sink_at(f.d, 0)->check != cases[i].check) {
            fail_msg("case %zu", i);
        }
    }
}

// A deployment goes on without a sink whose address it cannot make, and says so.
static void
test_what_has_no_value(void **state)
{
    (void)state;
    static const char config[] =
        "notify: {sinks: {a: {kind: webhook, url: \"https://example.org/{tag}\"}, b: {kind: slack, "
        "channel: \"#b\"}}, environment_url: \"https://{tag}.example.org\"}\n";
    static const struct {
        const char *tag, *names, *environment_url;
    } cases[] = {
        {NULL, "b", NULL},
        {"evil.example/", "b", NULL},
        {"me@evil.example", "b", NULL},
        {"v1.2.3", "a b", "https://v1.2.3.example.org"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct fixture f CLEANUP(done) = begin(config, "staging");
        f.d->tag = cases[i].tag;
        sinks_prepare(&f.context, &f.preparation);
        assert_string_equal(names_of(&f), cases[i].names);
        assert_true(cstr_equal(f.d->environment_url, cases[i].environment_url));
        if (cases[i].environment_url != NULL) {
            assert_int_equal(f.d->notes.count, 0);
            continue;
        }
        assert_int_equal(f.d->notes.count, 2);
        assert_string_equal(f.d->notes.items[0],
            "'notify.environment_url' is left out: placeholder '{tag}' of "
            "'https://{tag}.example.org' has no value");
        assert_string_equal(f.d->notes.items[1],
            "sink 'a' is left out: placeholder '{tag}' of 'https://example.org/{tag}' has no "
            "value");
    }
}

// By the way that a command takes.
static void
test_prepared(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->config = arena_printf(s->arena,
        "%snotify: {sinks: {hook: {kind: webhook, url: "
        "\"https://example.org/{version}/{sha}\"}}}\n",
        story_config);
    story_prepare(s);
    assert_null(s->err);
    assert_int_equal(s->d->sinks.count, 1);
    assert_string_equal(deployment_sink_at(s->d, 0)->url,
        arena_printf(s->arena, "https://example.org/v2/%s", story_commit(s, "HEAD")));
    assert_true(s->d->is_production); // the only environment is the last one
    story_expect_effects(s, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind),
        cmocka_unit_test(test_the_journal_holds_them),
        cmocka_unit_test(test_verbs),
        cmocka_unit_test(test_commit_of_a_rollback),
        cmocka_unit_test(test_incidents),
        cmocka_unit_test(test_check_runs),
        cmocka_unit_test(test_what_has_no_value),
        cmocka_unit_test(test_prepared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
