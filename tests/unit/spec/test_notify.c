// `notify`: which sink hears what (app × environment × places), what sinks are merged to, and every
// sentence about it that the golden files do not hold.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "dispatcher/spec.h"

struct fixture {
    struct arena *arena;
    struct diagnostics *diagnostics;
    struct settings *settings;
};

static void
release(struct fixture *f)
{
    diagnostics_free(f->diagnostics);
    arena_free(f->arena);
}

#define HEAD                                                                                       \
    "version: 1\nenvironments: [development, staging, live]\nworkflow: {repo: acme/infra}\n"

// The blocks of three places: dispatcher.yaml, `deploy`, and `deploy.environments.live`; NULL:
// none.
enum { ORGANISATION, DEPLOY, LIVE, PLACES };

static struct fixture
resolve(const char *const *places, const char *app, const char *env)
{
    struct fixture f = {.arena = arena_new(), .diagnostics = diagnostics_new()};
    const char *config = places[ORGANISATION] == NULL
                             ? HEAD
                             : arena_printf(f.arena, HEAD "notify: %s\n", places[ORGANISATION]);
    const char *text = arena_printf(f.arena,
        "name: %s\nrepo: acme/shop\nservices: {web: {}}\ndeploy:\n  via: workflow\n"
        "%s%s%s  environments:\n    live:\n      queue: all\n%s%s%s",
        app, places[DEPLOY] != NULL ? "  notify: " : "",
        places[DEPLOY] != NULL ? places[DEPLOY] : "", places[DEPLOY] != NULL ? "\n" : "",
        places[LIVE] != NULL ? "      notify: " : "", places[LIVE] != NULL ? places[LIVE] : "",
        places[LIVE] != NULL ? "\n" : "");
    const struct spec_document config_document = {"dispatcher.yaml", str_of(config)};
    const struct spec_document document = {"shop.yaml", str_of(text)};
    settings_resolve(&config_document, &document, app, env, f.arena, f.diagnostics, &f.settings);
    diagnostics_sort(f.diagnostics);
    return f;
}

static void
assert_resolved(const struct fixture *f)
{
    if (f->settings == NULL) {
        fail_msg("%s", diagnostics_at(f->diagnostics, 0)->message);
    }
}

// "deploys: failed deployed | audit: all"
static const char *
hearing_of(const struct fixture *f)
{
    const struct setting_notify *notify = &f->settings->notify;
    struct buf text CLEANUP(buf_done) = BUF_INIT(4096);
    for (size_t i = 0; i < notify->sink_count; i++) {
        buf_printf(&text, "%s%s:", i > 0 ? " | " : "", notify->sinks[i].name);
        for (size_t j = 0; j < notify->outcomes[i].count; j++) {
            buf_printf(&text, " %s", notify->outcomes[i].items[j]);
        }
        buf_puts(&text, notify->outcomes[i].count == 0 ? " all" : "");
    }
    return arena_dup(f->arena, buf_cstr(&text));
}

#define SINKS "sinks: {a: {kind: slack, channel: \"#a\"}, b: {kind: slack, channel: \"#b\"}}"
#define ROUTED(routes) "{" SINKS ", routes: [" routes "]}"

// What is heard in one environment of one app.
struct hearing {
    const char *places[PLACES];
    const char *app, *env, *heard;
};

static void
assert_heard(const struct hearing *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct fixture f CLEANUP(release) = resolve(cases[i].places, cases[i].app, cases[i].env);
        assert_resolved(&f);
        const char *heard = hearing_of(&f);
        if (strcmp(heard, cases[i].heard) != 0) {
            fail_msg("case %zu: '%s' instead of '%s'", i, heard, cases[i].heard);
        }
    }
}

static void
test_routes_of_the_organisation(void **state)
{
    (void)state;
    static const struct hearing cases[] = {
        {{NULL}, "shop", "live", ""},
        {{"{}", "{}", "{}"}, "shop", "live", ""},
        {{"{" SINKS "}"}, "shop", "live", "a: all | b: all"},
        {{"{" SINKS ", routes: []}"}, "shop", "live", ""},
        {{ROUTED("{to: [b]}, {to: [a]}")}, "shop", "staging", "a: all | b: all"},
        {{ROUTED("{to: [a, b], environments: [live, staging]}")}, "shop", "staging",
            "a: all | b: all"},
        {{ROUTED("{to: [a, b], environments: [live]}")}, "shop", "staging", ""},
        {{ROUTED("{to: [a], apps: [\"pay*\"]}, {to: [b], apps: [shop]}")}, "payments", "live",
            "a: all"},
        {{ROUTED("{to: [a], apps: [\"pay*\"]}, {to: [b], apps: [shop]}")}, "shop", "live",
            "b: all"},
        {{ROUTED("{to: [a], apps: [pay, \"*-pay\"]}, {to: [b], apps: [\"s*p\"]}")}, "shop-2",
            "live", ""},
        {{ROUTED("{to: [a, b], apps: [\"*\"], environments: [live], outcomes: [started]}")}, "shop",
            "live", "a: started | b: started"},
        {{ROUTED("{to: [a, b], apps: [shop], environments: [staging]}")}, "shop", "live", ""},
        // Outcomes: together, each once, in their own order.
        {{ROUTED("{to: [a], outcomes: [deployed, started]}, {to: [b]}")}, "shop", "live",
            "a: started deployed | b: all"},
        {{ROUTED("{to: [a], outcomes: [failures]}, {to: [a, b], outcomes: [deployed, failed]}")},
            "shop", "live",
            "a: deployed failed restored not-restored unknown timed-out | b: deployed failed"},
        {{ROUTED("{to: [a, b], outcomes: [started]}, {to: [a]}")}, "shop", "live",
            "a: all | b: started"},
        {{ROUTED("{to: [a, b], outcomes: [started]}, {to: [a], outcomes: []}")}, "shop", "live",
            "a: started | b: started"},
        {{ROUTED("{to: [a, b], outcomes: [waiting, rolled-back, interrupted, cancelled, "
                 "superseded]}")},
            "shop", "live",
            "a: waiting rolled-back interrupted cancelled superseded | b: waiting rolled-back "
            "interrupted cancelled superseded"},
    };
    assert_heard(cases, ARRAY_LENGTH(cases));
}

// They add; a sink that is only changed does not hear more.
static void
test_routes_of_apps(void **state)
{
    (void)state;
    static const struct hearing cases[] = {
        {{ROUTED("{to: [a, b], outcomes: [failures]}"), "{sinks: {a: {channel: \"#x\"}}}"}, "shop",
            "live",
            "a: failed restored not-restored unknown timed-out | b: failed restored not-restored "
            "unknown timed-out"},
        {{ROUTED("{to: [a, b], outcomes: [failed]}"), "{routes: [{to: [a]}]}"}, "shop", "staging",
            "a: all | b: failed"},
        {{ROUTED("{to: [a, b], outcomes: [failed]}"),
             "{routes: [{to: [a], environments: [staging]}]}"},
            "shop", "live", "a: failed | b: failed"},
        {{ROUTED("{to: [a, b], outcomes: [failed]}"), "{routes: [{to: [a], outcomes: [deployed]}]}",
             "{routes: [{to: [b], outcomes: [started]}]}"},
            "shop", "live", "a: deployed failed | b: started failed"},
        {{ROUTED("{to: [a, b], outcomes: [failed]}"), "{routes: [{to: [a], outcomes: [deployed]}]}",
             "{routes: [{to: [b], outcomes: [started]}]}"},
            "shop", "staging", "a: deployed failed | b: failed"},
        // What an app adds hears everything, unless it writes routes.
        {{ROUTED("{to: [a]}, {to: [b], environments: [staging]}"),
             "{sinks: {c: {kind: slack, channel: \"#c\"}}}"},
            "shop", "live", "a: all | c: all"},
        {{ROUTED("{to: [a, b], outcomes: [failed]}"),
             "{sinks: {c: {kind: slack, channel: \"#c\"}}, routes: [{to: [c], outcomes: "
             "[started]}]}"},
            "shop", "live", "a: failed | b: failed | c: started"},
        {{ROUTED("{to: [a, b], outcomes: [failed]}"), NULL,
             "{sinks: {c: {kind: slack, channel: \"#c\"}}}"},
            "shop", "live", "a: failed | b: failed | c: all"},
        {{ROUTED("{to: [a, b], outcomes: [failed]}"), NULL,
             "{sinks: {c: {kind: slack, channel: \"#c\"}}}"},
            "shop", "staging", "a: failed | b: failed"},
        {{NULL, "{sinks: {c: {kind: slack, channel: \"#c\"}}}", "{sinks: {c: {channel: \"#d\"}}}"},
            "shop", "live", "c: all"},
    };
    assert_heard(cases, ARRAY_LENGTH(cases));
}

static void
test_inherit(void **state)
{
    (void)state;
    static const struct hearing cases[] = {
        {{ROUTED("{to: [a, b]}"), "{inherit: false}"}, "shop", "live", ""},
        {{ROUTED("{to: [a, b]}"), NULL, "{inherit: false}"}, "shop", "live", ""},
        {{ROUTED("{to: [a, b]}"), NULL, "{inherit: false}"}, "shop", "staging", "a: all | b: all"},
        {{ROUTED("{to: [a, b]}"), "{inherit: true}"}, "shop", "live", "a: all | b: all"},
        {{ROUTED("{to: [a, b]}"), "{inherit: false, routes: [{to: [b], outcomes: [failed]}]}"},
            "shop", "live", "b: failed"},
        {{ROUTED("{to: [a, b]}"), "{inherit: false, sinks: {b: {channel: \"#x\"}}}"}, "shop",
            "live", "b: all"},
        {{ROUTED("{to: [a, b]}"), "{inherit: false, routes: [{to: [a]}]}",
             "{routes: [{to: [b], outcomes: [failed]}]}"},
            "shop", "live", "a: all | b: failed"},
        {{ROUTED("{to: [a, b]}"), "{routes: [{to: [a], outcomes: [failed]}]}",
             "{inherit: false, routes: [{to: [b], outcomes: [failed]}]}"},
            "shop", "live", "b: failed"},
        {{"{" SINKS "}", "{inherit: false, routes: []}"}, "shop", "live", ""},
    };
    assert_heard(cases, ARRAY_LENGTH(cases));
}

static const struct setting_origin *
origin(const struct fixture *f, const char *key)
{
    for (size_t i = 0; i < f->settings->origin_count; i++) {
        if (strcmp(f->settings->origins[i].key, key) == 0) {
            return &f->settings->origins[i];
        }
    }
    return NULL;
}

static void
assert_origin(
    const struct fixture *f, const char *key, const char *value, const char *file, unsigned line)
{
    const struct setting_origin *found = origin(f, key);
    if (found == NULL) {
        fail_msg("no origin '%s'", key);
        return;
    }
    if (!cstr_equal(found->value, value) || !cstr_equal(found->file, file) || found->line != line) {
        fail_msg("'%s' is '%s' from %s:%u", key, found->value,
            found->file != NULL ? found->file : "nowhere", found->line);
    }
}

static const char full[] = "\n"
                           "  sinks:\n"
                           "    code: {kind: github, status: false}\n"
                           "    deploys: {kind: slack, channel: \"#deploys-{env}\"}\n"
                           "    pages: {kind: pagerduty}\n"
                           "    near: {kind: webhook, url: "
                           "\"http://127.0.0.1:8080/{app}/{version}\", secret: \"env:KEY\"}\n"
                           "    hook: {kind: webhook, url: \"https://a.corp.example.org/\"}\n"
                           "    far: {kind: webhook, url: \"https://example.org/{sha}\"}\n"
                           "  members: {ada@example.org: U012AB3CD, Bob: U0BOB0BOB}\n"
                           "  environment_url: \"https://{subdomain}.example.org/{version}\"\n"
                           "  private_hosts: [127.0.0.1, \"*.corp.example.org\"]";

static void
test_a_sink_of_each_kind(void **state)
{
    (void)state;
    struct fixture f CLEANUP(release) = resolve((const char *const[PLACES]){full}, "shop", "live");
    assert_resolved(&f);
    assert_int_equal(diagnostics_total(f.diagnostics), 0);
    const struct setting_sink *s = f.settings->notify.sinks;
    assert_int_equal(f.settings->notify.sink_count, 6);
    assert_string_equal(s[0].kind, "github");
    assert_true(s[0].deployment && s[0].comment && !s[0].status && !s[0].to_private);
    assert_string_equal(s[0].check, "auto");
    assert_null(s[0].token);
    assert_string_equal(s[1].kind, "slack");
    assert_string_equal(s[1].channel, "#deploys-live");
    assert_string_equal(s[1].token, "env:SLACK_BOT_TOKEN");
    assert_false(s[1].deployment || s[1].status || s[1].comment);
    assert_null(s[1].check);
    assert_null(s[1].webhook);
    assert_string_equal(s[2].routing_key, "env:PAGERDUTY_ROUTING_KEY");
    assert_string_equal(s[2].region, "us");
    assert_int_equal(s[2].incident_environments.count, 2);
    assert_string_equal(s[2].incident_environments.items[0], "production");
    assert_string_equal(s[2].incident_environments.items[1], "live");
    assert_int_equal(s[2].incident_outcomes.count, 4);
    assert_string_equal(s[2].incident_outcomes.items[0], "restored");
    assert_string_equal(s[2].incident_outcomes.items[3], "timed-out");
    assert_string_equal(s[3].url, "http://127.0.0.1:8080/shop/{version}");
    assert_string_equal(s[3].secret, "env:KEY");
    assert_true(s[3].to_private && s[4].to_private);
    assert_null(s[4].secret);
    assert_string_equal(s[5].url, "https://example.org/{sha}");
    assert_false(s[5].to_private);
    assert_string_equal(f.settings->notify.environment_url, "https://shop.example.org/{version}");
}

static void
test_origins(void **state)
{
    (void)state;
    struct fixture f CLEANUP(release) = resolve(
        (const char *const[PLACES]){full,
            "{sinks: {deploys: {channel: \"#shop\"}}, members: {Bob: U111111111}, routes: "
            "[{to: [pages], outcomes: [failed, started]}]}",
            "{sinks: {pages: {region: eu, incidents: {outcomes: [failures]}}}, inherit: false, "
            "routes: [{to: [pages, deploys], outcomes: [unknown, started]}]}"},
        "shop", "live");
    assert_resolved(&f);
    assert_origin(&f, "notify.sinks.deploys.kind", "slack", "dispatcher.yaml", 7);
    assert_origin(&f, "notify.sinks.deploys.channel", "#shop", "shop.yaml", 6);
    assert_origin(&f, "notify.sinks.deploys.token", "env:SLACK_BOT_TOKEN", NULL, 0);
    assert_origin(&f, "notify.sinks.deploys.outcomes", "started, unknown", "shop.yaml", 10);
    assert_origin(&f, "notify.sinks.pages.region", "eu", "shop.yaml", 10);
    assert_origin(&f, "notify.sinks.pages.incidents.environments", "production, live", NULL, 0);
    assert_origin(&f, "notify.sinks.pages.incidents.outcomes",
        "failed, restored, not-restored, unknown, timed-out", "shop.yaml", 10);
    assert_origin(&f, "notify.members.ada@example.org", "U012AB3CD", "dispatcher.yaml", 12);
    assert_origin(&f, "notify.members.Bob", "U111111111", "shop.yaml", 6);
    assert_origin(
        &f, "notify.environment_url", "https://shop.example.org/{version}", "dispatcher.yaml", 13);
    assert_origin(&f, "notify.verbs", "deploy, rollback", NULL, 0);
    assert_null(origin(&f, "notify.sinks.code.kind")); // no route leads there
    struct fixture g CLEANUP(release) = resolve((const char *const[PLACES]){full}, "shop", "live");
    assert_origin(&g, "notify.sinks.code.outcomes", "all", NULL, 0);
    struct fixture none CLEANUP(release) =
        resolve((const char *const[PLACES]){NULL}, "shop", "live");
    for (size_t i = 0; i < none.settings->origin_count; i++) {
        assert_false(strncmp(none.settings->origins[i].key, "notify", 6) == 0);
    }
}

// The environment over `deploy` over dispatcher.yaml, each key by itself.
static void
test_keys_are_merged(void **state)
{
    (void)state;
    static const char organisation[] =
        "{sinks: {p: {kind: pagerduty, region: eu, routing_key: \"env:A\", incidents: "
        "{environments: "
        "[staging], outcomes: [unknown]}}, h: {kind: webhook, url: \"https://a.example.org\", "
        "secret: "
        "\"env:A\"}, g: {kind: github, check: never, deployment: false, token: \"env:T\"}}}";
    static const char deploy[] =
        "{sinks: {p: {routing_key: \"env:B\", incidents: {environments: []}}, h: {url: "
        "\"https://b.example.org\"}, g: {check: always, comment: false}}}";
    static const char live[] =
        "{sinks: {p: {incidents: {outcomes: []}}, h: {url: \"https://c.example.org\"}, g: "
        "{deployment: true}}}";
    struct fixture f CLEANUP(release) =
        resolve((const char *const[PLACES]){organisation, deploy, live}, "shop", "live");
    assert_resolved(&f);
    assert_int_equal(diagnostics_total(f.diagnostics), 0);
    const struct setting_sink *s = f.settings->notify.sinks;
    assert_string_equal(s[0].region, "eu");
    assert_string_equal(s[0].routing_key, "env:B");
    assert_int_equal(s[0].incident_environments.count, 0); // empty, and not the default
    assert_int_equal(s[0].incident_outcomes.count, 0);
    assert_string_equal(s[1].url, "https://c.example.org");
    assert_string_equal(s[1].secret, "env:A");
    assert_true(s[2].deployment && s[2].status && !s[2].comment);
    assert_string_equal(s[2].check, "always");
    assert_string_equal(s[2].token, "env:T");
    struct fixture g CLEANUP(release) =
        resolve((const char *const[PLACES]){organisation, deploy, live}, "shop", "staging");
    assert_resolved(&g);
    s = g.settings->notify.sinks;
    assert_int_equal(s[0].incident_outcomes.count, 1);
    assert_string_equal(s[1].url, "https://b.example.org");
    assert_false(s[2].deployment);
}

// A channel with a token, or an incoming webhook: as the stronger place has it.
static void
test_slack_has_one_way(void **state)
{
    (void)state;
    static const struct {
        const char *places[PLACES];
        const char *token, *channel, *webhook;
    } cases[] = {
        {{"{sinks: {s: {kind: slack, channel: \"#a\"}}}"}, "env:SLACK_BOT_TOKEN", "#a", NULL},
        {{"{sinks: {s: {kind: slack, channel: C012AB3CD, token: \"ssm:/t\"}}}"}, "ssm:/t",
            "C012AB3CD", NULL},
        {{"{sinks: {s: {kind: slack, webhook: \"env:W\"}}}"}, NULL, NULL, "env:W"},
        {{"{sinks: {s: {kind: slack, channel: \"#a\", token: \"env:T\"}}}",
             "{sinks: {s: {webhook: \"env:W\"}}}"},
            NULL, NULL, "env:W"},
        {{"{sinks: {s: {kind: slack, webhook: \"env:W\"}}}", "{sinks: {s: {channel: \"#b\"}}}"},
            "env:SLACK_BOT_TOKEN", "#b", NULL},
        {{"{sinks: {s: {kind: slack, channel: \"#a\"}}}", "{sinks: {s: {webhook: \"env:W\"}}}",
             "{sinks: {s: {token: \"env:T\"}}}"},
            "env:T", "#a", NULL},
        {{"{sinks: {s: {kind: slack, token: \"env:T\"}}}", "{sinks: {s: {channel: \"#b\"}}}"},
            "env:T", "#b", NULL},
        // Another kind has another meaning for the key.
        {{"{sinks: {s: {kind: github, token: \"env:T\"}}}", "{sinks: {s: {webhook: \"env:W\"}}}"},
            "env:T", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct fixture f CLEANUP(release) = resolve(cases[i].places, "shop", "live");
        assert_resolved(&f);
        const struct setting_sink *s = &f.settings->notify.sinks[0];
        if (!cstr_equal(s->token, cases[i].token) || !cstr_equal(s->channel, cases[i].channel) ||
            !cstr_equal(s->webhook, cases[i].webhook)) {
            fail_msg("case %zu: token '%s', channel '%s', webhook '%s'", i, s->token, s->channel,
                s->webhook);
        }
    }
}

static void
test_the_rest(void **state)
{
    (void)state;
    struct fixture f CLEANUP(release) = resolve(
        (const char *const[PLACES]){
            "{members: {a: U111111111, b: U222222222}, verbs: [prove], environment_url: "
            "\"https://a.example.org\"}",
            "{members: {b: U333333333, c: U444444444}, environment_url: "
            "\"http://127.0.0.1:1/{tag}\"}",
            "{members: {c: U555555555}, environment_url: \"https://{env}.example.org\"}"},
        "shop", "live");
    assert_resolved(&f);
    const struct setting_notify *notify = &f.settings->notify;
    static const char *const members[][2] = {
        {"a", "U111111111"}, {"b", "U333333333"}, {"c", "U555555555"}};
    assert_int_equal(notify->members.count, ARRAY_LENGTH(members));
    for (size_t i = 0; i < ARRAY_LENGTH(members); i++) {
        assert_string_equal(notify->members.items[i].key, members[i][0]);
        assert_string_equal(notify->members.items[i].value, members[i][1]);
    }
    assert_string_equal(notify->environment_url, "https://live.example.org");
    assert_int_equal(notify->verbs.count, 1);
    assert_string_equal(notify->verbs.items[0], "prove");
    struct fixture none CLEANUP(release) =
        resolve((const char *const[PLACES]){NULL}, "shop", "live");
    assert_int_equal(none.settings->notify.verbs.count, 2);
    assert_string_equal(none.settings->notify.verbs.items[0], "deploy");
    assert_string_equal(none.settings->notify.verbs.items[1], "rollback");
    assert_null(none.settings->notify.environment_url);
    struct fixture mute CLEANUP(release) =
        resolve((const char *const[PLACES]){"{verbs: []}"}, "shop", "live");
    assert_int_equal(mute.settings->notify.verbs.count, 0);
}

static void
test_production(void **state)
{
    (void)state;
    static const struct {
        const char *config, *env;
        bool is_production;
    } cases[] = {
        {"version: 1\nworkflow: {repo: a/b}\n", "production", true},
        {"version: 1\nworkflow: {repo: a/b}\n", "live", false},
        {HEAD, "live", true},
        {HEAD, "staging", false},
        {"version: 1\nenvironments: [production, mirror]\nworkflow: {repo: a/b}\n", "production",
            true},
        {"version: 1\nenvironments: [production, mirror]\nworkflow: {repo: a/b}\n", "mirror", true},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
        const struct spec_document config = {"dispatcher.yaml", str_of(cases[i].config)};
        const struct spec_document app = {"shop.yaml", STR("name: shop\nservices: {web: {}}\n")};
        struct settings *settings = NULL;
        settings_resolve(&config, &app, "shop", cases[i].env, arena, diagnostics, &settings);
        assert_non_null(settings);
        assert_true(settings->is_production == cases[i].is_production);
    }
}

// The only diagnostic there is: its rule, file, sentence and help.
static void
assert_said(const char *const *places, enum diagnostic_severity severity, const char *rule,
    const char *file, const char *message, const char *help)
{
    struct fixture f CLEANUP(release) = resolve(places, "shop", "live");
    if (diagnostics_total(f.diagnostics) != 1) {
        struct buf out CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
        diagnostics_print_text(f.diagnostics, false, &out);
        fail_msg(
            "%s: %zu diagnostics:\n%s", message, diagnostics_total(f.diagnostics), buf_cstr(&out));
    }
    const struct diagnostic *item = diagnostics_at(f.diagnostics, 0);
    assert_string_equal(item->message, message);
    assert_string_equal(item->rule, rule);
    assert_string_equal(item->file, file);
    assert_int_equal(item->severity, severity);
    if (!cstr_equal(item->help, help)) {
        fail_msg("%s: help '%s'", message, item->help);
    }
    assert_true((f.settings == NULL) == (severity == DIAGNOSTIC_ERROR));
}

#define LISTED "the organisation may list its host in 'private_hosts'"

// What the organisation writes, seen from an app.
static void
test_sentences(void **state)
{
    (void)state;
    static const struct {
        const char *places[PLACES];
        enum diagnostic_severity severity;
        const char *rule, *file, *message, *help;
    } cases[] = {
        {{"{sinks: {h: {kind: webhook}}}"}, DIAGNOSTIC_ERROR, "missing-key", "dispatcher.yaml",
            "sink 'h' of kind 'webhook' needs 'url'", "add 'url: https://…'"},
        {{"{sinks: {h: {kind: webhook, url: \"https://{region}.example.org/\"}}}"},
            DIAGNOSTIC_ERROR, "late-placeholder", "dispatcher.yaml",
            "the host of 'url' is not known before the deployment: 'https://{region}.example.org/'",
            NULL},
        {{"{sinks: {h: {kind: webhook, url: \"https://example.org/{digest}\"}}}"}, DIAGNOSTIC_ERROR,
            "late-placeholder", "dispatcher.yaml", "placeholder '{digest}' is not known here",
            NULL},
        {{"{sinks: {h: {kind: webhook, url: \"https://example.org/{digst}\"}}}"}, DIAGNOSTIC_ERROR,
            "unknown-placeholder", "dispatcher.yaml", "unknown placeholder '{digst}' in 'url'",
            "did you mean 'digest'?"},
        {{"{sinks: {s: {kind: slack, channel: \"#{prefix}\"}}}"}, DIAGNOSTIC_ERROR,
            "unset-placeholder", "dispatcher.yaml", "placeholder '{prefix}' is not set",
            "set 'aws.prefix' in dispatcher.yaml"},
        {{"{sinks: {s: {kind: slack, channel: \"#{version}\"}}}"}, DIAGNOSTIC_ERROR,
            "late-placeholder", "dispatcher.yaml", "placeholder '{version}' is not known here",
            NULL},
        {{"{environment_url: \"https://{service}.example.org\"}"}, DIAGNOSTIC_ERROR,
            "late-placeholder", "dispatcher.yaml", "placeholder '{service}' is not known here",
            NULL},
        {{"{environment_url: \"http://{version}.example.org\"}"}, DIAGNOSTIC_ERROR, "bad-value",
            "dispatcher.yaml",
            "bad 'environment_url' 'http://{version}.example.org': must be https (plain http only "
            "on "
            "loopback)",
            NULL},
        {{"{sinks: {h: {kind: webhook, url: \"http://10.0.0.1/\"}}, private_hosts: [10.0.0.1]}"},
            DIAGNOSTIC_ERROR, "bad-value", "dispatcher.yaml",
            "bad 'url' 'http://10.0.0.1/': must be https (plain http only on loopback)", NULL},
        // An app names no private host; the organisation's list is for its webhooks as well.
        {{"{private_hosts: [a.example.org]}",
             "{sinks: {h: {kind: webhook, url: \"https://10.0.0.1/\"}}}"},
            DIAGNOSTIC_ERROR, "bad-value", "shop.yaml",
            "bad 'url' 'https://10.0.0.1/': must name a host, not an address", LISTED},
        {{NULL, "{private_hosts: [10.0.0.1]}"}, DIAGNOSTIC_ERROR, "unknown-key", "shop.yaml",
            "unknown key 'private_hosts' in 'notify'", NULL},
        {{"{sinks: {s: {kind: slack}}}", "{sinks: {s: {channel: \"#a\", url: \"https://a\"}}}"},
            DIAGNOSTIC_WARNING, "sink-key-unused", "shop.yaml",
            "'url' has no meaning for a sink of kind 'slack'", "only for 'webhook'"},
        {{"{sinks: {s: {kind: slack, token: \"env:A\"}}}",
             "{sinks: {s: {webhook: \"env:W\", channel: \"#a\"}}}"},
            DIAGNOSTIC_ERROR, "webhook-and-channel", "shop.yaml",
            "'webhook' stands beside 'channel' or 'token' in sink 's'",
            "an incoming webhook has its own channel"},
        {{"{sinks: {s: {kind: slack, channel: \"#a\"}}}", "{routes: [{to: [other]}]}"},
            DIAGNOSTIC_ERROR, "unknown-sink", "shop.yaml", "no sink 'other' is defined", NULL},
        {{"{sinks: {deploys: {kind: slack, channel: \"#a\"}}}", NULL, "{routes: [{to: [deploy]}]}"},
            DIAGNOSTIC_ERROR, "unknown-sink", "shop.yaml", "no sink 'deploy' is defined",
            "did you mean 'deploys'?"},
        {{"{sinks: {deploys: {kind: slack, channel: \"#a\"}}}", NULL,
             "{routes: [{to: [Deploys]}]}"},
            DIAGNOSTIC_ERROR, "bad-value", "shop.yaml",
            "bad 'to' 'Deploys': must be 1 to 63 lower-case letters, digits and '-', starting and "
            "ending with a letter or digit",
            NULL},
        {{NULL, "{sinks: [a]}"}, DIAGNOSTIC_ERROR, "wrong-type", "shop.yaml",
            "'sinks' must be a block with one key for each sink, not a list", NULL},
        {{NULL, "{sinks: {a: \"#a\"}}"}, DIAGNOSTIC_ERROR, "wrong-type", "shop.yaml",
            "'sink' must be a block of keys, not text in quotes", NULL},
        {{NULL, "{routes: {to: [a]}}"}, DIAGNOSTIC_ERROR, "wrong-type", "shop.yaml",
            "'routes' must be a list, not a block", NULL},
        {{NULL, "[]"}, DIAGNOSTIC_ERROR, "wrong-type", "shop.yaml",
            "'notify' must be a block of keys, not a list", NULL},
        {{NULL, "{environment_url: \"https://u:pw@example.org\"}"}, DIAGNOSTIC_ERROR,
            "literal-secret", "shop.yaml", "'environment_url' holds a literal secret",
            "use a reference: env:VAR, file:PATH, ssm:/path, secretsmanager:ID#key, "
            "vault:mount/data/path#key"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_said(cases[i].places, cases[i].severity, cases[i].rule, cases[i].file,
            cases[i].message, cases[i].help);
    }
}

// Sinks that no route reaches, as each place sees them.
static void
test_unreached_sinks(void **state)
{
    (void)state;
    static const char added[] = "{sinks: {c: {kind: slack, channel: \"#c\"}}, routes: [{to: [a]}]}";
    static const char unreached[] = "no route leads to sink 'c'";
    static const char help[] = "name it in a route's 'to'";
    assert_said((const char *const[PLACES]){ROUTED("{to: [a, b]}"), added}, DIAGNOSTIC_WARNING,
        "sink-unused", "shop.yaml", unreached, help);
    assert_said((const char *const[PLACES]){ROUTED("{to: [a, b]}"), NULL, added},
        DIAGNOSTIC_WARNING, "sink-unused", "shop.yaml", unreached, help);
    assert_said((const char *const[PLACES]){ROUTED("{to: [a]}"), "{routes: [{to: [b]}]}"},
        DIAGNOSTIC_WARNING, "sink-unused", "dispatcher.yaml", "no route leads to sink 'b'", help);
    static const char *const fine[][PLACES] = {
        {ROUTED("{to: [a, b]}"), added, "{routes: [{to: [c]}]}"}, // the environment's reaches it
        {"{" SINKS ", routes: []}", "{routes: [{to: [b]}]}"},     // for apps to choose from
        {ROUTED("{to: [a, b]}"), "{sinks: {a: {channel: \"#x\"}}, routes: []}"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(fine); i++) {
        struct fixture f CLEANUP(release) = resolve(fine[i], "shop", "live");
        assert_resolved(&f);
        assert_int_equal(diagnostics_total(f.diagnostics), 0);
    }
}

// The spec alone says whose repository it is.
static void
test_github_needs_a_repository(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    const struct spec_document config = {
        "dispatcher.yaml", STR(HEAD "notify: {sinks: {code: {kind: github}, s: {kind: slack, "
                                    "channel: \"#a\"}}}\n")};
    const struct spec_document app = {"shop.yaml", STR("name: shop\nservices: {web: {}}\n")};
    struct settings *settings = NULL;
    settings_resolve(&config, &app, "shop", "live", arena, diagnostics, &settings);
    assert_non_null(settings);
    assert_int_equal(settings->notify.sink_count, 1);
    assert_string_equal(settings->notify.sinks[0].name, "s");
    assert_int_equal(settings->notify.outcomes[0].count, 0);
    assert_int_equal(diagnostics_total(diagnostics), 1);
    const struct diagnostic *item = diagnostics_at(diagnostics, 0);
    assert_int_equal(item->severity, DIAGNOSTIC_WARNING);
    assert_string_equal(
        item->message, "the spec names no 'repo': sink 'code' of kind 'github' is left out");
    assert_string_equal(item->help, "add 'repo: owner/repository'");
    assert_int_equal(item->span.line, 1);
}

// A list of `count` things made of one form, in brackets or braces.
static const char *
many(struct arena *arena, const char *head, const char *form, size_t count, const char *tail)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    buf_puts(&text, head);
    for (size_t i = 0; i < count; i++) {
        const char *number = strchr(form, '%');
        buf_printf(
            &text, "%s%.*s%zu%s", i > 0 ? ", " : "", (int)(number - form), form, i, number + 1);
    }
    buf_puts(&text, tail);
    assert_false(text.failed);
    return arena_dup(arena, buf_cstr(&text));
}

static void
test_limits(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    static const char sink[] = "s%: {kind: slack, channel: \"#a\"}";
    static const char other[] = "t%: {kind: slack, channel: \"#a\"}";
    static const char route[] = "{to: [s0], outcomes: [started], apps: [a%]}";
    static const char member[] = "m%: U12345678";
    const char *twenty = many(arena, "{sinks: {", sink, 20, "}}");
    struct fixture f CLEANUP(release) =
        resolve((const char *const[PLACES]){twenty}, "shop", "live");
    assert_resolved(&f);
    assert_int_equal(f.settings->notify.sink_count, 20);
    assert_said((const char *const[PLACES]){many(arena, "{sinks: {", sink, 21, "}}")},
        DIAGNOSTIC_ERROR, "out-of-range", "dispatcher.yaml",
        "'sinks' has 21 entries, must have at most 20", NULL);
    assert_said((const char *const[PLACES]){twenty, many(arena, "{sinks: {", other, 1, "}}")},
        DIAGNOSTIC_ERROR, "out-of-range", "shop.yaml",
        "21 sinks would hear of 'live', must be at most 20", NULL);
    const char *one = "{sinks: {s0: {kind: slack, channel: \"#a\"}}, routes: [";
    struct fixture g CLEANUP(release) =
        resolve((const char *const[PLACES]){many(arena, one, route, 50, "]}")}, "a49", "live");
    assert_resolved(&g);
    assert_string_equal(hearing_of(&g), "s0: started");
    assert_said((const char *const[PLACES]){many(arena, one, route, 51, "]}")}, DIAGNOSTIC_ERROR,
        "out-of-range", "dispatcher.yaml", "'routes' has 51 entries, must have at most 50", NULL);
    struct fixture h CLEANUP(release) =
        resolve((const char *const[PLACES]){many(arena, "{members: {", member, 500, "}}"),
                    "{members: {x: U87654321}}"},
            "shop", "live");
    assert_resolved(&h);
    assert_int_equal(h.settings->notify.members.count, 501);
    assert_said((const char *const[PLACES]){many(arena, "{members: {", member, 501, "}}")},
        DIAGNOSTIC_ERROR, "out-of-range", "dispatcher.yaml",
        "'members' has 501 entries, must have at most 500", NULL);
}

static void
test_words(void **state)
{
    (void)state;
    static const char *const words[] = {"started", "waiting", "deployed", "rolled-back", "failed",
        "restored", "not-restored", "unknown", "timed-out", "interrupted", "cancelled",
        "superseded"};
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        assert_string_equal(spec_outcomes[i], words[i]);
    }
    assert_null(spec_outcomes[ARRAY_LENGTH(words)]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes_of_the_organisation),
        cmocka_unit_test(test_routes_of_apps),
        cmocka_unit_test(test_inherit),
        cmocka_unit_test(test_a_sink_of_each_kind),
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_keys_are_merged),
        cmocka_unit_test(test_slack_has_one_way),
        cmocka_unit_test(test_the_rest),
        cmocka_unit_test(test_production),
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_unreached_sinks),
        cmocka_unit_test(test_github_needs_a_repository),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
