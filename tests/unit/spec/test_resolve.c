// settings_resolve: conventions, precedence, placeholders, origins.
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
};

static struct fixture
resolve(const char *config, const char *app, const char *stem, const char *env)
{
    struct fixture f = {.arena = arena_new(), .diagnostics = diagnostics_new()};
    struct spec_document config_document = {"dispatcher.yaml", str_of(config)};
    struct spec_document app_document = {"appspecs/app.yaml", str_of(app)};
    settings_resolve(
        &config_document, &app_document, stem, env, f.arena, f.diagnostics, &f.settings);
    diagnostics_sort(f.diagnostics);
    return f;
}

static void
done(struct fixture *f)
{
    diagnostics_free(f->diagnostics);
    arena_free(f->arena);
}

static void
assert_text(const struct fixture *f, const char *expected)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    diagnostics_print_text(f->diagnostics, false, &text);
    assert_string_equal(buf_cstr(&text), expected);
}

static const struct setting_origin *
origin(const struct fixture *f, const char *key)
{
    for (size_t i = 0; i < f->settings->origin_count; i++) {
        if (strcmp(f->settings->origins[i].key, key) == 0) {
            return &f->settings->origins[i];
        }
    }
    fail_msg("no origin '%s'", key);
    return NULL;
}

static const char minimal_app[] = "name: web-shop\n"
                                  "repo: acme/web-shop\n"
                                  "services:\n"
                                  "  web: {}\n";

static void
test_conventions_of_the_hosting_service(void **state)
{
    (void)state;
    struct fixture f =
        resolve("version: 1\nworkflow: {repo: acme/infra}\n", minimal_app, "web-shop", "staging");
    assert_text(&f, "");
    assert_non_null(f.settings);
    const struct settings *s = f.settings;
    assert_string_equal(s->app, "web-shop");
    assert_string_equal(s->name, "web-shop");
    assert_string_equal(s->title, "web-shop");
    assert_string_equal(s->repo, "acme/web-shop");
    assert_true(s->enabled);
    assert_string_equal(s->via, "workflow");
    assert_string_equal(s->version_from, "sha");
    assert_string_equal(s->on_failure, "restore");
    assert_string_equal(s->on_cancel, "leave");
    assert_string_equal(s->on_timeout, "leave");
    assert_string_equal(s->stale, "reject");
    assert_string_equal(s->compression, "fast");
    assert_string_equal(s->workflow_repo, "acme/infra");
    assert_string_equal(s->workflow_file, "deploy-app.yaml");
    assert_string_equal(s->workflow_ref, "main");
    assert_string_equal(s->workflow_id_input, "distinct_id");
    assert_int_equal(s->workflow_timeout_ms, 1800000);
    assert_int_equal(s->workflow_queue_timeout_ms, 1800000);
    assert_int_equal(s->workflow_inputs.count, 2);
    assert_string_equal(s->workflow_inputs.items[0].key, "application");
    assert_string_equal(s->workflow_inputs.items[0].value, "web-shop");
    assert_string_equal(s->workflow_inputs.items[1].key, "environment");
    assert_string_equal(s->workflow_inputs.items[1].value, "staging");
    assert_string_equal(s->registry, "{account}.dkr.ecr.{region}.amazonaws.com");
    assert_null(s->account);
    assert_null(s->region);
    assert_string_equal(s->github_api, "https://api.github.com");
    assert_int_equal(s->service_count, 1);
    assert_string_equal(s->services[0].repository, "web-shop-staging-web");
    assert_string_equal(s->services[0].parameter, "/web-shop/staging/web/version");
    assert_string_equal(s->services[0].dockerfile, "./Dockerfile");
    assert_true(s->services[0].deployable);
    assert_false(s->has_target);
    assert_false(s->has_allow);
    assert_null(origin(&f, "workflow.file")->file);
    assert_string_equal(origin(&f, "workflow.repo")->file, "dispatcher.yaml");
    assert_int_equal(origin(&f, "workflow.repo")->line, 2);
    done(&f);
}

static const char full_config[] = "version: 1\n"
                                  "environments: [development, staging, production]\n"
                                  "aws:\n"
                                  "  region: us-east-1\n"
                                  "  account: \"012345678901\"\n"
                                  "  prefix: kaapi\n"
                                  "  role: \"arn:aws:iam::{account}:role/{app}-{env}-deploy\"\n"
                                  "workflow:\n"
                                  "  repo: acme/infra\n"
                                  "  inputs: {application: \"{app}\", sha: \"{sha}\"}\n"
                                  "env:\n"
                                  "  production:\n"
                                  "    aws: {account: \"210987654321\"}\n"
                                  "    workflow: {file: deploy-production.yaml, timeout: 1h}\n";

static void
test_environment_overrides_the_rest(void **state)
{
    (void)state;
    struct fixture f = resolve(full_config, minimal_app, "web-shop", "production");
    assert_text(&f, "");
    assert_string_equal(f.settings->account, "210987654321");
    assert_string_equal(f.settings->region, "us-east-1");
    assert_string_equal(
        f.settings->role, "arn:aws:iam::210987654321:role/web-shop-production-deploy");
    assert_string_equal(f.settings->registry, "210987654321.dkr.ecr.us-east-1.amazonaws.com");
    assert_string_equal(f.settings->workflow_file, "deploy-production.yaml");
    assert_int_equal(f.settings->workflow_timeout_ms, 3600000);
    assert_string_equal(f.settings->workflow_inputs.items[1].value, "{sha}");
    assert_int_equal(origin(&f, "aws.account")->line, 13);
    assert_int_equal(origin(&f, "aws.region")->line, 4);
    assert_int_equal(origin(&f, "workflow.timeout")->line, 14);
    done(&f);

    struct fixture g = resolve(full_config, minimal_app, "web-shop", "staging");
    assert_string_equal(g.settings->account, "012345678901");
    assert_string_equal(g.settings->workflow_file, "deploy-app.yaml");
    done(&g);
}

static void
test_unknown_environment_is_listed(void **state)
{
    (void)state;
    struct fixture f = resolve(full_config, minimal_app, "web-shop", "prodution");
    assert_null(f.settings);
    assert_text(&f,
        "dispatcher.yaml:2:1: error: environment 'prodution' is not listed in 'environments' of "
        "dispatcher.yaml\n"
        "    2 | environments: [development, staging, production]\n"
        "      | ^~~~~~~~~~~~ did you mean 'production'?\n");
    done(&f);
}

static void
test_workflow_repo_is_required(void **state)
{
    (void)state;
    struct fixture f = resolve("", minimal_app, "web-shop", "staging");
    assert_null(f.settings);
    assert_text(&f, "dispatcher.yaml: error: 'via: workflow' needs 'workflow.repo'\n"
                    "      | add 'workflow: {repo: owner/infra}'\n");
    done(&f);
}

static void
test_late_placeholders(void **state)
{
    (void)state;
    struct fixture f = resolve(full_config, minimal_app, "web-shop", "staging");
    const char *out = NULL;
    struct spec_context context = {.sha = "abc"};
    assert_null(spec_expand(f.settings, &context, "{app}/{sha}/{region}", f.arena, &out));
    assert_string_equal(out, "web-shop/abc/us-east-1");
    struct error *err CLEANUP(error_freep) =
        spec_expand(f.settings, &context, "v{tag}", f.arena, &out);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_SPEC);
    assert_string_equal(error_message(err), "placeholder '{tag}' of 'v{tag}' has no value");
    done(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conventions_of_the_hosting_service),
        cmocka_unit_test(test_environment_overrides_the_rest),
        cmocka_unit_test(test_unknown_environment_is_listed),
        cmocka_unit_test(test_workflow_repo_is_required),
        cmocka_unit_test(test_late_placeholders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
