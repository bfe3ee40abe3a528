// What the service decides by: identity, promotion, approvals and rules with the organisation's
// floor applied, and its own settings.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/buf.h"
#include "dispatcher/spec.h"

struct fixture {
    struct arena *arena;
    struct diagnostics *diagnostics;
    struct settings *settings;
    struct setting_server *server;
};

static void
assert_silent(const struct fixture *f)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    diagnostics_print_text(f->diagnostics, false, &text);
    assert_string_equal(buf_cstr(&text), "");
}

static struct fixture
resolve(const char *config, const char *deploy, const char *env)
{
    struct fixture f = {.arena = arena_new(), .diagnostics = diagnostics_new()};
    const char *app = arena_printf(f.arena,
        "name: web-shop\nrepo: acme/web-shop\nprogram: checkout\nservices: {web: {}}\n%s", deploy);
    struct spec_document config_document = {"dispatcher.yaml", str_of(config)};
    struct spec_document app_document = {"appspecs/web-shop.yaml", str_of(app)};
    settings_resolve(
        &config_document, &app_document, "web-shop", env, f.arena, f.diagnostics, &f.settings);
    assert_silent(&f);
    assert_non_null(f.settings);
    return f;
}

static struct fixture
serve(const char *config)
{
    struct fixture f = {.arena = arena_new(), .diagnostics = diagnostics_new()};
    struct spec_document document = {"dispatcher.yaml", str_of(config)};
    settings_server(&document, f.arena, f.diagnostics, &f.server);
    return f;
}

static void
done(struct fixture *f)
{
    diagnostics_free(f->diagnostics);
    arena_free(f->arena);
}

static void
assert_list(const struct str_list *list, const char *expected)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(1024);
    for (size_t i = 0; i < list->count; i++) {
        buf_printf(&text, "%s%s", i > 0 ? " " : "", list->items[i]);
    }
    assert_string_equal(buf_cstr(&text), expected);
}

#define CONFIG "version: 1\nenvironments: [staging, production]\nworkflow: {repo: acme/infra}\n"

static void
test_identity(void **state)
{
    (void)state;
    struct fixture f = resolve(CONFIG "policy: {owners: [7, 9919]}\n",
        "deploy:\n"
        "  mode: audit\n"
        "  repository_id: 123456789\n"
        "  owner_id: 9919\n"
        "  workflow: .github/workflows/deploy.yaml\n"
        "  via_workflow:\n"
        "    {ref_to: acme/infra/.github/workflows/app.yaml, refs: [refs/tags/v1, "
        "refs/heads/main]}\n"
        "  environments:\n"
        "    staging: {github_environment: \"{env}-eu\", queue: latest}\n",
        "staging");
    const struct setting_identity *identity = &f.settings->identity;
    assert_int_equal(identity->repository_id, 123456789);
    assert_int_equal(identity->owner_id, 9919);
    assert_list(&identity->owners, "7 9919");
    assert_string_equal(identity->mode, "audit");
    assert_string_equal(identity->workflow, ".github/workflows/deploy.yaml");
    assert_string_equal(identity->via_workflow, "acme/infra/.github/workflows/app.yaml");
    assert_list(&identity->via_refs, "refs/tags/v1 refs/heads/main");
    assert_string_equal(identity->github_environment, "staging-eu");
    assert_int_equal(identity->floor_events.count, 0);
    assert_null(identity->floor_runner);
    assert_string_equal(f.settings->program, "checkout");
    assert_true(f.settings->queue_latest);
    done(&f);
}

static void
test_without_a_word(void **state)
{
    (void)state;
    struct fixture f = resolve(CONFIG, "", "production");
    assert_int_equal(f.settings->identity.repository_id, 0);
    assert_string_equal(f.settings->identity.mode, "enforce");
    assert_null(f.settings->identity.github_environment);
    assert_null(f.settings->promote_from.environment);
    assert_int_equal(f.settings->approvals.count, 0);
    assert_int_equal(f.settings->approvals.valid_for_ms, 4 * 3600000);
    assert_false(f.settings->queue_latest);
    assert_false(f.settings->has_allow);
    done(&f);
}

// The runner of a rule: what the floor says, else what the rule says, else GitHub's own machines in
// production.
static void
test_runners(void **state)
{
    (void)state;
    static const struct {
        const char *floor, *rule, *env, *expected;
    } cases[] = {
        {"", "", "staging", "any"},
        {"", "", "production", "github-hosted"},
        {"", "any", "production", "any"},
        {"", "self-hosted", "production", "self-hosted"},
        {"github-hosted", "", "staging", "github-hosted"},
        {"github-hosted", "github-hosted", "staging", "github-hosted"},
        {"any", "self-hosted", "staging", "self-hosted"},
        {"self-hosted", "", "production", "self-hosted"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        const char *floor =
            cases[i].floor[0] == '\0'
                ? ""
                : arena_printf(arena, "policy: {%s: {runner: %s}}\n", cases[i].env, cases[i].floor);
        const char *runner =
            cases[i].rule[0] == '\0' ? "" : arena_printf(arena, ", runner: %s", cases[i].rule);
        struct fixture f = resolve(arena_printf(arena, CONFIG "%s", floor),
            arena_printf(arena,
                "deploy: {environments: {%s: {allow: [{id: a, refs: [refs/heads/main]%s}]}}}\n",
                cases[i].env, runner),
            cases[i].env);
        assert_string_equal(f.settings->allow[0].runner, cases[i].expected);
        done(&f);
    }
}

static void
test_rules(void **state)
{
    (void)state;
    struct fixture f = resolve(CONFIG "policy: {production: {events: [push, release]}}\n",
        "deploy:\n"
        "  environments:\n"
        "    production:\n"
        "      allow:\n"
        "        - {id: a, refs: [refs/heads/main]}\n"
        "        - {id: b, refs: [\"refs/tags/v*\"], events: [release],\n"
        "           actors: {teams: [deployers, ops], deny_bots: true}}\n",
        "production");
    assert_int_equal(f.settings->allow_count, 2);
    assert_list(&f.settings->allow[0].events, "push"); // the usual two, as far as the floor allows
    assert_false(f.settings->allow[0].deny_bots);
    assert_int_equal(f.settings->allow[0].teams.count, 0);
    assert_list(&f.settings->allow[1].events, "release");
    assert_list(&f.settings->allow[1].teams, "deployers ops");
    assert_true(f.settings->allow[1].deny_bots);
    assert_true(f.settings->identity.floor_has_events);
    assert_list(&f.settings->identity.floor_events, "push release");
    done(&f);
}

static void
test_approvals(void **state)
{
    (void)state;
    static const struct {
        const char *floor, *own;
        int64_t count, valid_for_s;
        const char *teams;
        bool self, exempt;
    } cases[] = {
        {"", "count: 2, teams: [a], self: true, valid_for: 1h, rollback_exempt: true", 2, 3600, "a",
            true, true},
        {"count: 1", "", 1, 14400, "", false, false},
        {"count: 1", "count: 3", 3, 14400, "", false, false},
        {"count: 2, teams: [a, b], valid_for: 1h", "count: 2, valid_for: 30m, teams: [b]", 2, 1800,
            "b", false, false},
        {"count: 2, teams: [a, b], valid_for: 1h", "count: 2", 2, 3600, "a b", false, false},
        {"count: 1, self: true, rollback_exempt: true", "self: true, rollback_exempt: true", 1,
            14400, "", true, true},
        // a key that the floor does not write does not bind
        {"count: 1", "count: 1, rollback_exempt: true, valid_for: 1d", 1, 86400, "", false, true},
        // nobody's approval is asked for by the floor
        {"count: 0", "count: 1, self: true", 1, 14400, "", true, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct fixture f = resolve(
            arena_printf(arena, CONFIG "policy: {staging: {approvals: {%s}}}\n", cases[i].floor),
            arena_printf(
                arena, "deploy: {environments: {staging: {approvals: {%s}}}}\n", cases[i].own),
            "staging");
        const struct setting_approvals *approvals = &f.settings->approvals;
        assert_int_equal(approvals->count, cases[i].count);
        assert_int_equal(approvals->valid_for_ms, cases[i].valid_for_s * 1000);
        assert_list(&approvals->teams, cases[i].teams);
        assert_int_equal(approvals->self, cases[i].self);
        assert_int_equal(approvals->rollback_exempt, cases[i].exempt);
        done(&f);
    }
}

// The floor holds where the spec has no word of the environment at all.
static void
test_floor_of_a_silent_spec(void **state)
{
    (void)state;
    struct fixture f =
        resolve(CONFIG "policy: {production: {approvals: {count: 2, teams: [a], valid_for: 1h}}}\n",
            "deploy: {on_failure: keep}\n", "production");
    assert_int_equal(f.settings->approvals.count, 2);
    assert_list(&f.settings->approvals.teams, "a");
    assert_int_equal(f.settings->approvals.valid_for_ms, 3600000);
    done(&f);
}

static void
test_promotion_and_emergency(void **state)
{
    (void)state;
    struct fixture f = resolve(CONFIG,
        "deploy:\n"
        "  environments:\n"
        "    production:\n"
        "      promote_from: {environment: staging, soak: 30m, same_digest: true}\n"
        "      emergency: {teams: [devops, sre]}\n",
        "production");
    assert_string_equal(f.settings->promote_from.environment, "staging");
    assert_int_equal(f.settings->promote_from.soak_ms, 1800000);
    assert_true(f.settings->promote_from.same_digest);
    assert_list(&f.settings->emergency_teams, "devops sre");
    assert_false(f.settings->queue_latest);
    done(&f);
}

static void
test_server_by_default(void **state)
{
    (void)state;
    struct fixture f = serve("version: 1\nserver: {url: https://dispatcher.example.org}\n");
    assert_silent(&f);
    assert_non_null(f.server);
    assert_string_equal(f.server->listen, "127.0.0.1:8080");
    assert_string_equal(f.server->url, "https://dispatcher.example.org");
    assert_null(f.server->tls_certificate);
    assert_string_equal(f.server->state, "sqlite:");
    assert_int_equal(f.server->state_connections, 4);
    assert_null(f.server->specs);
    assert_int_equal(f.server->specs_every_ms, 60000);
    assert_int_equal(f.server->specs_max_age_ms, 3600000);
    assert_string_equal(f.server->issuer, "https://token.actions.githubusercontent.com");
    assert_string_equal(f.server->audience, "https://dispatcher.example.org");
    assert_string_equal(
        f.server->jwks, "https://token.actions.githubusercontent.com/.well-known/jwks");
    assert_null(f.server->organization);
    assert_int_equal(f.server->admins.count, 0);
    assert_int_equal(f.server->webhook_secrets.count, 0);
    assert_int_equal(f.server->workers, 4);
    assert_int_equal(f.server->connections, 4096);
    assert_int_equal(f.server->rate, 120);
    assert_int_equal(f.server->queue_limit, 100);
    assert_int_equal(f.server->queue_max_age_ms, INT64_C(604800000));
    assert_int_equal(f.server->drift_interval_ms, 600000);
    assert_int_equal(f.server->poll_ms, 60000);
    assert_int_equal(f.server->keep_events_ms, INT64_C(34560000000));
    assert_int_equal(f.server->keep_deliveries_ms, INT64_C(604800000));
    assert_null(f.server->otlp);
    assert_false(f.server->proxy);
    assert_string_equal(f.server->github_api, "https://api.github.com");
    done(&f);
}

static void
test_server_as_written(void **state)
{
    (void)state;
    struct fixture f = serve("version: 1\n"
                             "workflow: {repo: acme/infra}\n"
                             "github: {api: https://ghe.example.org/api/v3, app_id: 12, app_key: "
                             "\"env:KEY\"}\n"
                             "state: {url: \"postgresql:///d\", connections: 9}\n"
                             "server:\n"
                             "  listen: \"[::1]:8443\"\n"
                             "  url: https://d.example.org\n"
                             "  tls: {certificate: c.pem, key: k.pem}\n"
                             "  specs: /srv/infra\n"
                             "  issuer: https://ghe.example.org/_services/token\n"
                             "  audience: us\n"
                             "  organization: acme\n"
                             "  admins: [devops]\n"
                             "  webhook_secrets: [\"env:A\", \"env:B\"]\n"
                             "  slack_signing_secret: env:S\n"
                             "  oauth: {client_id: Iv1, client_secret: env:O}\n"
                             "  proxy_auth: {header: X-User, addresses: [\"::1\"]}\n"
                             "  drift_interval: off\n"
                             "  retention: {events: 30d}\n"
                             "  push_role: arn:aws:iam::012345678901:role/push\n");
    assert_silent(&f);
    assert_string_equal(f.server->listen, "[::1]:8443");
    assert_string_equal(f.server->tls_certificate, "c.pem");
    assert_string_equal(f.server->tls_key, "k.pem");
    assert_string_equal(f.server->state, "postgresql:///d");
    assert_int_equal(f.server->state_connections, 9);
    assert_string_equal(f.server->specs, "/srv/infra");
    assert_string_equal(f.server->audience, "us");
    assert_string_equal(f.server->jwks, "https://ghe.example.org/_services/token/.well-known/jwks");
    assert_string_equal(f.server->organization, "acme");
    assert_list(&f.server->admins, "devops");
    assert_list(&f.server->webhook_secrets, "env:A env:B");
    assert_string_equal(f.server->slack_signing_secret, "env:S");
    assert_string_equal(f.server->oauth_client_id, "Iv1");
    assert_string_equal(f.server->oauth_client_secret, "env:O");
    assert_string_equal(f.server->proxy_header, "X-User");
    assert_list(&f.server->proxy_addresses, "::1");
    assert_int_equal(f.server->drift_interval_ms, 0);
    assert_int_equal(f.server->keep_events_ms, INT64_C(2592000000));
    assert_int_equal(f.server->keep_deliveries_ms, INT64_C(604800000));
    assert_string_equal(f.server->push_role, "arn:aws:iam::012345678901:role/push");
    assert_string_equal(f.server->github_api, "https://ghe.example.org/api/v3");
    assert_string_equal(f.server->github_app_id, "12");
    assert_string_equal(f.server->github_app_key, "env:KEY");
    assert_string_equal(f.server->workflow_repo, "acme/infra");
    done(&f);
}

static void
test_no_server(void **state)
{
    (void)state;
    static const char *const configs[] = {
        "version: 1\n", "version: 1\nserver: {}\n", "version: 1\nserver: {rate: 5}\n", ""};
    for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
        struct fixture f = serve(configs[i]);
        assert_null(f.server);
        assert_int_equal(diagnostics_count(f.diagnostics, DIAGNOSTIC_ERROR), 1);
        assert_string_equal(diagnostics_at(f.diagnostics, 0)->rule, "missing-key");
        done(&f);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_without_a_word),
        cmocka_unit_test(test_runners),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_approvals),
        cmocka_unit_test(test_floor_of_a_silent_spec),
        cmocka_unit_test(test_promotion_and_emergency),
        cmocka_unit_test(test_server_by_default),
        cmocka_unit_test(test_server_as_written),
        cmocka_unit_test(test_no_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
