// Precedence, key by key and layer by layer, and what the layers make of lists, targets and rules.
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

static struct fixture
resolve(const char *config, const char *app, const char *env)
{
    struct fixture f = {.arena = arena_new(), .diagnostics = diagnostics_new()};
    struct spec_document config_document = {"dispatcher.yaml", str_of(config)};
    struct spec_document app_document = {"shop.yaml", str_of(app)};
    settings_resolve(
        &config_document, &app_document, "shop", env, f.arena, f.diagnostics, &f.settings);
    diagnostics_sort(f.diagnostics);
    return f;
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

// The only diagnostic, and its message.
static void
assert_problem(const char *config, const char *app, const char *rule, const char *message)
{
    struct fixture f CLEANUP(release) = resolve(config, app, "production");
    assert_null(f.settings);
    assert_int_equal(diagnostics_total(f.diagnostics), 1);
    assert_string_equal(diagnostics_at(f.diagnostics, 0)->message, message);
    assert_string_equal(diagnostics_at(f.diagnostics, 0)->rule, rule);
}

#define APP "name: shop\nservices: {web: {}, job: {}}\n"
#define CONFIG "version: 1\nworkflow: {repo: acme/infra}\n"

static void
assert_value(
    const char *config, const char *app, const char *key, const char *value, const char *file)
{
    struct fixture f CLEANUP(release) = resolve(config, app, "production");
    if (f.settings == NULL) {
        fail_msg("%s: %s", key, diagnostics_at(f.diagnostics, 0)->message);
    }
    const struct setting_origin *found = origin(&f, key);
    assert_non_null(found);
    assert_string_equal(found->value, value);
    if (!cstr_equal(found->file, file)) {
        fail_msg("'%s' comes from '%s'", key, found->file);
    }
}

// Keys of `deploy`: default, deploy, deploy.environments.<env>; another environment counts nothing.
static void
test_keys_of_deploy(void **state)
{
    (void)state;
    static const struct {
        const char *key, *fallback, *weak, *strong;
    } cases[] = {
        {"version", "sha", "tag", "sha"},
        {"compression", "fast", "small", "zstd"},
        {"on_failure", "restore", "keep", "restore"},
        {"on_cancel", "leave", "cancel", "leave"},
        {"on_timeout", "leave", "cancel", "leave"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const char *key = cases[i].key;
        char *deploy CLEANUP(xfreep) = xasprintf(APP "deploy: {%s: %s}\n", key, cases[i].weak);
        char *both CLEANUP(xfreep) =
            xasprintf(APP "deploy: {%s: %s, environments: {production: {%s: %s}}}\n", key,
                cases[i].weak, key, cases[i].strong);
        char *other CLEANUP(xfreep) =
            xasprintf(APP "deploy: {environments: {staging: {%s: %s}}}\n", key, cases[i].weak);
        assert_value(CONFIG, APP, key, cases[i].fallback, NULL);
        assert_value(CONFIG, deploy, key, cases[i].weak, "shop.yaml");
        assert_value(CONFIG, both, key, cases[i].strong, "shop.yaml");
        assert_value(CONFIG, other, key, cases[i].fallback, NULL);
    }
}

// The maps of `build` are replaced as a whole.
static void
test_build(void **state)
{
    (void)state;
    static const char both[] =
        APP "deploy:\n  build: {platform: linux/amd64, args: {A: \"{app}-{version}\", B: b},\n"
            "    secrets: {npmrc: \"env:NPMRC\"}}\n"
            "  environments: {production: {build: {args: {C: c}}}}\n";
    static const char one[] =
        APP "deploy: {build: {args: {A: \"{app}-{version}\"}, secrets: {k: \"file:a b\"}}}\n";
    assert_value(CONFIG, both, "build.platform", "linux/amd64", "shop.yaml");
    assert_value(CONFIG, both, "build.args.C", "c", "shop.yaml");
    assert_value(CONFIG, both, "build.secrets.npmrc", "env:NPMRC", "shop.yaml");
    assert_value(CONFIG, one, "build.args.A", "shop-{version}", "shop.yaml");
    assert_value(CONFIG, one, "build.secrets.k", "file:a b", "shop.yaml");
    struct fixture f CLEANUP(release) = resolve(CONFIG, both, "production");
    assert_string_equal(f.settings->build_platform, "linux/amd64");
    assert_int_equal(f.settings->build_args.count, 1);
    assert_string_equal(f.settings->build_args.items[0].key, "C");
    assert_int_equal(f.settings->build_secrets.count, 1);
    struct fixture none CLEANUP(release) = resolve(CONFIG, APP, "production");
    assert_null(none.settings->build_platform);
    assert_int_equal(none.settings->build_args.count + none.settings->build_secrets.count, 0);
}

// Keys of dispatcher.yaml: default, the file, its env.<env>.
static void
test_keys_of_the_organisation(void **state)
{
    (void)state;
    static const struct {
        const char *key, *fallback, *form, *weak, *strong;
    } cases[] = {
        {"aws.region", NULL, "aws: {region: %s}", "us-east-1", "eu-west-1"},
        {"aws.account", NULL, "aws: {account: \"%s\"}", "012345678901", "210987654321"},
        {"aws.prefix", NULL, "aws: {prefix: %s}", "a", "b"},
        {"aws.role", NULL, "aws: {role: \"%s\"}", "arn:aws:iam::1:role/a", "arn:aws:iam::2:role/b"},
        {"registry", "{account}.dkr.ecr.{region}.amazonaws.com", "registry: \"%s\"", "a.example",
            "b.example:5000"},
        {"workflow.repo", NULL, "workflow: {repo: %s}", "acme/a", "acme/b"},
        {"workflow.file", "deploy-app.yaml", "workflow: {file: %s, repo: a/b}", "a.yaml", "b.yml"},
        {"workflow.ref", "main", "workflow: {ref: %s, repo: a/b}", "a", "b"},
        {"workflow.id_input", "distinct_id", "workflow: {id_input: %s, repo: a/b}", "a", "b"},
        {"workflow.timeout", "30m", "workflow: {timeout: %s, repo: a/b}", "1m", "2h"},
        {"workflow.queue_timeout", "30m", "workflow: {queue_timeout: %s, repo: a/b}", "1m", "1d"},
        {"vault.address", NULL, "vault: {address: \"%s\"}", "https://a.example",
            "https://b.example:8200"},
        {"vault.namespace", NULL, "vault: {namespace: %s}", "team/a", "team/b/"},
        {"vault.auth", NULL, "vault: {auth: %s}", "jwt", "aws"},
        {"vault.role", NULL, "vault: {role: %s}", "a", "b"},
        {"vault.mount", NULL, "vault: {mount: %s}", "a/jwt", "b"},
        {"vault.audience", NULL, "vault: {audience: \"%s\"}", "https://a", "b"},
        {"vault.server_id", NULL, "vault: {server_id: %s}", "a.example", "b"},
        {"vault.sts_region", NULL, "vault: {sts_region: %s}", "us-east-1", "eu-west-1"},
        {"services.web.repository", "shop-production-web", "repository: \"%s\"", "a/{service}",
            "b/{service}"},
        {"services.web.parameter", "/shop/production/web/version", "parameter: \"%s\"",
            "/a/{service}", "/b/{service}"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        const char *percent = strchr(cases[i].form, '%');
        struct str head = {cases[i].form, (size_t)(percent - cases[i].form)};
        const char *needs =
            strncmp(cases[i].form, "workflow", 8) == 0 ? "" : "workflow: {repo: a/b}\n";
        const char *weak = arena_printf(
            arena, "version: 1\n%s%.*s%s%s\n", needs, STR_FMT(head), cases[i].weak, percent + 2);
        const char *strong = arena_printf(arena, "%senv:\n  production: {%.*s%s%s}\n", weak,
            STR_FMT(head), cases[i].strong, percent + 2);
        const char *weak_value = cases[i].weak, *strong_value = cases[i].strong;
        if (strstr(weak_value, "{service}") != NULL) {
            weak_value = arena_printf(arena, "%.*sweb", (int)strcspn(weak_value, "{"), weak_value);
            strong_value =
                arena_printf(arena, "%.*sweb", (int)strcspn(strong_value, "{"), strong_value);
        }
        if (cases[i].fallback != NULL) {
            assert_value(CONFIG, APP, cases[i].key, cases[i].fallback, NULL);
        }
        assert_value(weak, APP, cases[i].key, weak_value, "dispatcher.yaml");
        assert_value(strong, APP, cases[i].key, strong_value, "dispatcher.yaml");
    }
}

static void
test_vault_knows_app_and_environment(void **state)
{
    (void)state;
    struct fixture f CLEANUP(release) = resolve(CONFIG
        "vault: {address: \"http://127.0.0.1:8200\", role: \"{app}-{env}\", namespace: "
        "\"ns/{env}\"}\n",
        APP, "production");
    assert_non_null(f.settings);
    assert_string_equal(f.settings->vault.address, "http://127.0.0.1:8200");
    assert_string_equal(f.settings->vault.role, "shop-production");
    assert_string_equal(f.settings->vault.namespace, "ns/production");
    assert_null(f.settings->vault.auth);
}

static void
test_inputs_replace_the_whole_map(void **state)
{
    (void)state;
    struct fixture f CLEANUP(release) =
        resolve("version: 1\nworkflow: {repo: a/b, inputs: {x: \"{app}\", y: \"{version}\"}}\n"
                "env: {production: {workflow: {inputs: {z: \"{env}-{service}\"}}}}\n",
            APP, "production");
    assert_non_null(f.settings);
    assert_int_equal(f.settings->workflow_inputs.count, 1);
    assert_string_equal(f.settings->workflow_inputs.items[0].key, "z");
    assert_string_equal(f.settings->workflow_inputs.items[0].value, "production-{service}");
}

static void
test_services(void **state)
{
    (void)state;
    static const char app[] =
        "name: shop\n"
        "services:\n"
        "  web: {name: front}\n"
        "  job: {}\n"
        "  pinned: {image_tag: v1}\n"
        "  proxy: {image: acme/proxy}\n"
        "deploy: {services: [web, job], environments: {production: {services: [job]}}}\n";
    struct fixture f CLEANUP(release) = resolve(CONFIG, app, "production");
    assert_non_null(f.settings);
    const struct setting_service *s = f.settings->services;
    assert_int_equal(f.settings->service_count, 4);
    assert_string_equal(s[0].name, "front");
    assert_string_equal(s[0].repository, "shop-production-front");
    assert_string_equal(s[0].parameter, "/shop/production/front/version");
    assert_false(s[0].deployable); // the environment lists only 'job'
    assert_true(s[1].deployable);
    assert_false(s[2].deployable);
    assert_null(s[2].parameter); // nothing to write
    assert_string_equal(s[2].repository, "shop-production-pinned");
    assert_false(s[3].deployable);
    assert_null(s[3].repository); // nothing to push
    struct fixture g CLEANUP(release) = resolve(CONFIG, app, "staging");
    assert_true(g.settings->services[0].deployable);
}

static void
test_targets_merge_key_by_key(void **state)
{
    (void)state;
    static const char app[] =
        "name: shop\n"
        "services: {web: {}, job: {}}\n"
        "deploy:\n"
        "  target: {kind: ecs, cluster: \"{name}-{env}\", service: \"{service}\", container: app}\n"
        "  targets:\n"
        "    job: {kind: apprunner, service: jobs, port: 3000}\n"
        "  environments:\n"
        "    production:\n"
        "      target: {cluster: big}\n"
        "      targets: {job: {port: 4000}}\n";
    struct fixture f CLEANUP(release) = resolve(CONFIG, app, "production");
    assert_non_null(f.settings);
    const struct setting_target *web = &f.settings->services[0].target;
    const struct setting_target *job = &f.settings->services[1].target;
    assert_true(f.settings->services[0].has_target);
    assert_string_equal(web->kind, "ecs");
    assert_string_equal(web->cluster, "big");
    assert_string_equal(web->service, "web");
    assert_string_equal(web->container, "app");
    assert_string_equal(job->kind, "apprunner");
    assert_string_equal(job->service, "jobs");
    assert_int_equal(job->port, 4000);
    assert_true(f.settings->has_target);
    assert_string_equal(f.settings->target.service, "{service}"); // known for each service only
    struct fixture g CLEANUP(release) = resolve(CONFIG, app, "staging");
    assert_string_equal(g.settings->services[0].target.cluster, "shop-staging");
    assert_int_equal(g.settings->services[1].target.port, 3000);
}

static void
test_image_scan_merges_key_by_key(void **state)
{
    (void)state;
    static const char app[] = APP "deploy:\n"
                                  "  image_scan: {block: high, on_missing: warn}\n"
                                  "  environments:\n"
                                  "    production: {image_scan: {block: medium, wait: 15m}}\n";
    struct fixture f CLEANUP(release) = resolve(CONFIG, app, "production");
    assert_non_null(f.settings);
    assert_string_equal(f.settings->scan_block, "medium");
    assert_string_equal(f.settings->scan_on_missing, "warn");
    assert_int_equal(f.settings->scan_wait_ms, 15 * 60 * 1000);
    assert_int_equal(origin(&f, "image_scan.block")->line, 6);
    assert_int_equal(origin(&f, "image_scan.on_missing")->line, 4);
    struct fixture g CLEANUP(release) = resolve(CONFIG, app, "staging");
    assert_string_equal(g.settings->scan_block, "high");
    assert_int_equal(g.settings->scan_wait_ms, 10 * 60 * 1000);
    assert_null(origin(&g, "image_scan.wait")->file);
    struct fixture none CLEANUP(release) = resolve(CONFIG, APP, "production");
    assert_null(none.settings->scan_block);
    assert_null(none.settings->scan_on_missing);
    assert_int_equal(none.settings->scan_wait_ms, 0);
    assert_null(origin(&none, "image_scan.on_missing"));
    assert_problem(CONFIG, APP "deploy: {environments: {production: {image_scan: {wait: 1m}}}}\n",
        "missing-key", "'image_scan' needs 'block'");
    assert_problem(
        CONFIG, APP "deploy: {image_scan: {}}\n", "missing-key", "'image_scan' needs 'block'");
    assert_problem(CONFIG, APP "deploy: {image_scan: {block: severe}}\n", "unknown-value",
        "'severe' is not a value of 'block'; known: 'critical', 'high', 'medium', 'low'");
    assert_problem(CONFIG, APP "deploy: {image_scan: {block: low, wait: 2d}}\n", "out-of-range",
        "'wait' is '2d', must be from 1s to 1d");
}

static void
test_branch_is_short_for_allow(void **state)
{
    (void)state;
    struct fixture f CLEANUP(release) = resolve(
        CONFIG, APP "deploy: {environments: {production: {branch: release/1}}}\n", "production");
    assert_true(f.settings->has_allow);
    assert_int_equal(f.settings->allow_count, 1);
    assert_string_equal(f.settings->allow[0].id, "branch");
    assert_int_equal(f.settings->allow[0].refs.count, 1);
    assert_string_equal(f.settings->allow[0].refs.items[0], "refs/heads/release/1");
    assert_int_equal(f.settings->allow[0].events.count, 2);
    assert_string_equal(f.settings->allow[0].events.items[0], "push");
    assert_string_equal(f.settings->allow[0].events.items[1], "workflow_dispatch");
    struct fixture g CLEANUP(release) =
        resolve(CONFIG, APP "deploy: {environments: {production: {allow: []}}}\n", "production");
    assert_true(g.settings->has_allow); // never
    assert_int_equal(g.settings->allow_count, 0);
    struct fixture h CLEANUP(release) = resolve(CONFIG, APP, "production");
    assert_false(h.settings->has_allow);
}

static void
test_the_floor_narrows_default_events(void **state)
{
    (void)state;
    struct fixture f CLEANUP(release) =
        resolve(CONFIG "policy: {production: {events: [workflow_dispatch, release]}}\n",
            APP "deploy: {environments: {production: {allow: [{id: a, refs: [refs/heads/main]}, "
                "{id: b, refs: [refs/tags/v1], events: [release]}]}}}\n",
            "production");
    assert_non_null(f.settings);
    assert_int_equal(f.settings->allow[0].events.count, 1);
    assert_string_equal(f.settings->allow[0].events.items[0], "workflow_dispatch");
    assert_int_equal(f.settings->allow[1].events.count, 1);
    assert_string_equal(f.settings->allow[1].events.items[0], "release");
}

static void
test_windows(void **state)
{
    (void)state;
    struct fixture f CLEANUP(release) = resolve(CONFIG,
        APP "deploy: {environments: {production: {windows: [{deny: \"Fri 15:00 - Mon 07:00\", "
            "reason: weekend}]}}}\n",
        "production");
    assert_int_equal(f.settings->window_count, 1);
    assert_string_equal(f.settings->windows[0].deny, "Fri 15:00 - Mon 07:00");
    assert_string_equal(f.settings->windows[0].tz, "UTC");
    assert_string_equal(f.settings->windows[0].reason, "weekend");
    assert_null(f.settings->windows[0].manual);
}

static void
test_registry_loses_its_scheme(void **state)
{
    (void)state;
    struct fixture f CLEANUP(release) =
        resolve(CONFIG "registry: http://127.0.0.1:5000\n", APP, "production");
    assert_string_equal(f.settings->registry, "127.0.0.1:5000");
}

// What credentials know is asked of them later.
static void
test_account_and_region_may_come_late(void **state)
{
    (void)state;
    struct fixture f CLEANUP(release) =
        resolve(CONFIG "aws: {role: \"arn:aws:iam::{account}:role/{app}\"}\n", APP, "production");
    assert_non_null(f.settings);
    const char *out = NULL;
    struct spec_context context = {.account = "012345678901", .region = "eu-west-1"};
    assert_null(spec_expand(f.settings, &context, f.settings->registry, f.arena, &out));
    assert_string_equal(out, "012345678901.dkr.ecr.eu-west-1.amazonaws.com");
    assert_null(spec_expand(f.settings, &context, f.settings->role, f.arena, &out));
    assert_string_equal(out, "arn:aws:iam::012345678901:role/shop");
    struct spec_context nothing = {0};
    struct error *err CLEANUP(error_freep) =
        spec_expand(f.settings, &nothing, f.settings->registry, f.arena, &out);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_SPEC);
}

static void
test_names_that_aws_would_refuse(void **state)
{
    (void)state;
    static const char *const parameters[] = {"version", "/aws/{service}", "/SSM-x/{service}",
        "/a//{service}", "/a/../{service}", "/{service}/", "/a b/{service}",
        "/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/{service}"};
    for (size_t i = 0; i < ARRAY_LENGTH(parameters); i++) {
        char *config CLEANUP(xfreep) = xasprintf(CONFIG "parameter: \"%s\"\n", parameters[i]);
        struct fixture f CLEANUP(release) = resolve(config, APP, "production");
        assert_null(f.settings);
        assert_string_equal(diagnostics_at(f.diagnostics, 0)->rule, "bad-value");
    }
    static const char *const repositories[] = {"/{service}", "{service}/", "A/{service}",
        "a//{service}", "../{service}", "{service}:x", "a..b/{service}", "-{service}"};
    for (size_t i = 0; i < ARRAY_LENGTH(repositories); i++) {
        char *config CLEANUP(xfreep) = xasprintf(CONFIG "repository: \"%s\"\n", repositories[i]);
        struct fixture f CLEANUP(release) = resolve(config, APP, "production");
        assert_null(f.settings);
        assert_string_equal(diagnostics_at(f.diagnostics, 0)->rule, "bad-value");
    }
}

static void
test_problems_of_the_two_together(void **state)
{
    (void)state;
    assert_problem(CONFIG "parameter: /{name}/{env}/version\n", APP, "duplicate-value",
        "services 'web' and 'job' have the same 'parameter' '/shop/production/version'");
    assert_problem(CONFIG "repository: \"{name}\"\n", APP, "duplicate-value",
        "services 'web' and 'job' have the same 'repository' 'shop'");
    assert_problem(CONFIG "repository: \"{prefix}/{service}\"\n", APP, "unset-placeholder",
        "placeholder '{prefix}' is not set");
    assert_problem(CONFIG "parameter: \"/{service}/{version}\"\n", APP, "late-placeholder",
        "placeholder '{version}' is not known here");
    assert_problem("version: 1\nworkflow: {repo: \"acme/{env}.{tag}\"}\n", APP, "late-placeholder",
        "placeholder '{tag}' is not known here");
    assert_problem("version: 1\naws: {prefix: \"{app}_{env}\"}\nworkflow: {repo: a/b}\n", APP,
        "bad-value",
        "bad 'aws.prefix' 'shop_production': must be 1 to 63 lower-case letters, digits and '-', "
        "starting and ending with a letter or digit");
    assert_problem("version: 1\n", APP, "missing-key", "'via: workflow' needs 'workflow.repo'");
    assert_problem("version: 1\n", APP "deploy: {via: direct}\n", "missing-key",
        "'via: direct' needs a target for every service");
    assert_problem("", "", "empty-document", "the file holds no document");
}

static void
test_bad_environment_names(void **state)
{
    (void)state;
    static const char *const names[] = {"", "../x", "a/b", "Production", "a b", "%2f"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct fixture f CLEANUP(release) = resolve(CONFIG, APP, names[i]);
        assert_null(f.settings);
        assert_string_equal(diagnostics_at(f.diagnostics, 0)->rule, "unknown-environment");
    }
}

static void
test_questions_of_dispatcher_yaml_alone(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    struct spec_document none = {"dispatcher.yaml", {0}};
    struct spec_document some = {
        "dispatcher.yaml", STR("version: 1\nspecs: apps\nenvironments: [a, b]\n")};
    const char *directory = NULL;
    struct str_list environments = {0};
    config_specs_directory(&none, arena, diagnostics, &directory);
    assert_string_equal(directory, "appspecs");
    config_environments(&none, arena, diagnostics, &environments);
    assert_int_equal(environments.count, 0);
    config_specs_directory(&some, arena, diagnostics, &directory);
    assert_string_equal(directory, "apps");
    config_environments(&some, arena, diagnostics, &environments);
    assert_int_equal(environments.count, 2);
    assert_string_equal(environments.items[1], "b");
    assert_int_equal(diagnostics_total(diagnostics), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_of_deploy),
        cmocka_unit_test(test_build),
        cmocka_unit_test(test_keys_of_the_organisation),
        cmocka_unit_test(test_vault_knows_app_and_environment),
        cmocka_unit_test(test_inputs_replace_the_whole_map),
        cmocka_unit_test(test_services),
        cmocka_unit_test(test_targets_merge_key_by_key),
        cmocka_unit_test(test_image_scan_merges_key_by_key),
        cmocka_unit_test(test_branch_is_short_for_allow),
        cmocka_unit_test(test_the_floor_narrows_default_events),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_registry_loses_its_scheme),
        cmocka_unit_test(test_account_and_region_may_come_late),
        cmocka_unit_test(test_names_that_aws_would_refuse),
        cmocka_unit_test(test_problems_of_the_two_together),
        cmocka_unit_test(test_bad_environment_names),
        cmocka_unit_test(test_questions_of_dispatcher_yaml_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
