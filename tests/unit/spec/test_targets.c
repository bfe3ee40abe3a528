// What a rollout reads from the settings: targets of each kind, workers, and the steps around it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "dispatcher/spec.h"
#include "golden.h"

enum { TEXT_MAX = 64 * 1024 };

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
resolve(const char *config, const char *app, const char *stem, const char *env)
{
    struct fixture f = {.arena = arena_new(), .diagnostics = diagnostics_new()};
    struct spec_document config_document = {"dispatcher.yaml", str_of(config)};
    struct spec_document app_document = {"app.yaml", str_of(app)};
    settings_resolve(
        &config_document, &app_document, stem, env, f.arena, f.diagnostics, &f.settings);
    diagnostics_sort(f.diagnostics);
    return f;
}

static struct fixture
resolve_shop(const char *app, const char *env)
{
    return resolve("version: 1\nworkflow: {repo: acme/infra}\n"
                   "aws: {region: us-east-1, account: \"012345678901\", prefix: acme}\n",
        app, "shop", env);
}

// One of the repository's examples.
static struct fixture
resolve_example(const char *stem, const char *env)
{
    struct buf config CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct buf path CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    buf_printf(&path, "../../appspecs/%s.yaml", stem);
    golden_read("../../appspecs/dispatcher.yaml", &config);
    golden_read(buf_cstr(&path), &text);
    struct fixture f = resolve(buf_cstr(&config), buf_cstr(&text), stem, env);
    if (f.settings == NULL) {
        fail_msg("%s: %s", stem, diagnostics_at(f.diagnostics, 0)->message);
    }
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
    fail_msg("no origin '%s'", key);
    return NULL;
}

static void
assert_pair(const struct pair_list *list, size_t index, const char *key, const char *value)
{
    assert_true(index < list->count);
    assert_string_equal(list->items[index].key, key);
    assert_string_equal(list->items[index].value, value);
}

static void
test_swasthx(void **state)
{
    (void)state;
    struct fixture f CLEANUP(release) = resolve_example("swasthx-backend", "qa");
    const struct setting_service *web = &f.settings->services[0];
    assert_string_equal(f.settings->region, "ap-south-1"); // elsewhere than the organisation
    assert_string_equal(f.settings->registry, "012345678901.dkr.ecr.ap-south-1.amazonaws.com");
    assert_string_equal(web->target.kind, "apprunner");
    assert_string_equal(web->target.service, "swasthx-backend-qa");
    assert_string_equal(web->target.source, "image");
    assert_int_equal(web->target.port, 3000);
    assert_true(web->has_image);
    assert_false(web->target.create);
    assert_false(web->target.has_public);
    assert_true(web->target.is_public);
    assert_false(web->target.has_health_check);
    assert_null(web->target.health_check.path); // not written, so not sent
    assert_int_equal(web->target.cpu + web->target.memory, 0);
    assert_string_equal(web->health_check_path, "/health");
    assert_int_equal(web->expose, 3000);
    assert_string_equal(f.settings->branch, "qa");
    assert_false(f.settings->rollback_lock);
    assert_int_equal(f.settings->rollback_keep, 10);
    assert_false(f.settings->has_migrate);
    assert_int_equal(f.settings->verify_count, 0);
}

static void
test_kaapi(void **state)
{
    (void)state;
    struct fixture f CLEANUP(release) = resolve_example("kaapi", "production");
    const struct settings *s = f.settings;
    assert_string_equal(s->services[0].target.cluster, "kaapi-production-cluster");
    assert_string_equal(s->services[0].target.service, "kaapi-production-service");
    assert_string_equal(s->services[0].target.container, "backend");
    assert_false(s->services[0].target.force_new_deployment);
    assert_null(s->services[0].target.health_check.path); // the load balancer's own
    assert_true(s->has_migrate);
    assert_string_equal(s->migrate.service, "backend");
    assert_int_equal(s->migrate.command.count, 5);
    assert_string_equal(s->migrate.command.items[4], "head");
    assert_int_equal(s->migrate.timeout_ms, 600000);
    assert_int_equal(s->verify_count, 1);
    assert_string_equal(s->verify[0].url,
        "https://kaapi.example.org/api/v1/utils/health/"); // {subdomain}: the name
    assert_int_equal(s->verify[0].expect, 200);
    assert_int_equal(s->verify[0].within_ms, 300000);
    assert_true(s->rollback_lock);
    assert_string_equal(s->version_from, "tag");
    assert_int_equal(s->rollout.parallel, 4);
    assert_int_equal(s->rollout.order.count, 0);
    assert_int_equal(s->rollout.timeout_ms, 1800000);
    struct fixture g CLEANUP(release) = resolve_example("kaapi", "staging");
    assert_string_equal(g.settings->version_from, "sha");
    assert_string_equal(g.settings->services[0].target.cluster, "kaapi-staging-cluster");
}

static void
test_backend_api(void **state)
{
    (void)state;
    struct fixture f CLEANUP(release) = resolve_example("backend-api", "production");
    const struct setting_target *target = &f.settings->services[0].target;
    assert_true(target->create);
    assert_int_equal(target->cpu, 1024);
    assert_int_equal(target->memory, 2048);
    assert_string_equal(
        target->instance_role, "arn:aws:iam::210987654321:role/AppRunnerInstanceRole");
    assert_int_equal(target->environment.count, 3);
    assert_pair(&target->environment, 0, "VAULT_ADDR", "http://192.0.2.119:8200");
    assert_true(target->has_health_check);
    assert_string_equal(target->health_check.protocol, "http");
    assert_string_equal(target->health_check.path, "/api/health");
    assert_int_equal(target->health_check.interval_ms, 10000);
    assert_int_equal(target->health_check.timeout_ms, 5000);
    assert_int_equal(target->health_check.healthy, 1);
    assert_int_equal(target->health_check.unhealthy, 5);
    assert_int_equal(f.settings->verify_count, 3);
    assert_string_equal(
        f.settings->verify[0].url, "https://backend-api.example.org/api/health/live");
    assert_int_equal(f.settings->verify[0].within_ms, 120000);
    assert_int_equal(f.settings->services[0].expose, 5000);
}

static void
test_my_app(void **state)
{
    (void)state;
    struct fixture f CLEANUP(release) = resolve_example("my-app", "staging");
    assert_string_equal(f.settings->via, "workflow");
    assert_string_equal(f.settings->services[0].target.cluster, "my-app-staging");
    assert_string_equal(f.settings->services[0].target.service, "my-app-staging-web");
    assert_null(f.settings->services[0].target.container);
    assert_string_equal(f.settings->subdomain, "mine");
    assert_string_equal(f.settings->services[0].subdomain, "mine");
    assert_false(f.settings->has_workers);
}

static void
test_monorepo_api(void **state)
{
    (void)state;
    struct fixture f CLEANUP(release) = resolve_example("monorepo-api", "production");
    const struct setting_workers *workers = &f.settings->workers;
    const struct setting_target *target = &workers->target;
    assert_int_equal(f.settings->service_count, 0);
    assert_true(f.settings->has_workers);
    assert_string_equal(workers->files, "apps/api/src/workers/*.ts");
    assert_false(workers->remove_orphans);
    assert_null(workers->workflow_input);
    assert_string_equal(target->source, "code");
    assert_string_equal(target->service, "monorepo-api-production-{worker}");
    assert_string_equal(target->start, "bash apps/api/scripts/start-worker.sh {worker_file}");
    assert_string_equal(target->runtime, "NODEJS_22");
    assert_true(target->has_public);
    assert_false(target->is_public);
    assert_string_equal(target->environment_file, ".env.workers");
    assert_string_equal(target->outputs_file, "infra/aws/outputs.json");
    assert_pair(&target->environment_from_outputs, 0, "DB_HOST", "aurora_endpoint");
    assert_pair(&target->secrets, 0, "DB_PASSWORD",
        "arn:aws:secretsmanager:us-east-1:210987654321:secret:monorepo-api/production/"
        "database:password::");
    assert_string_equal(f.settings->branch, "main");
    assert_int_equal(f.settings->rollout.parallel, 10);
    assert_null(origin(&f, "workers.target.service")->file);
}

static void
test_express_api(void **state)
{
    (void)state;
    struct fixture f CLEANUP(release) = resolve_example("express-api", "staging");
    const struct setting_target *target = &f.settings->services[0].target;
    assert_string_equal(target->kind, "ecs-express");
    assert_null(target->cluster);
    assert_string_equal(target->health_check.path, "/health"); // the service's, as written
    assert_false(target->has_health_check);
    assert_string_equal(
        target->execution_role, "arn:aws:iam::012345678901:role/ecsTaskExecutionRole");
}

// A worker's placeholders are known for each entry point.
static void
test_names_of_workers(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    assert_string_equal(spec_worker_name("apps/api/src/workers/mail.ts", arena), "mail");
    assert_string_equal(spec_worker_name("workers/mail.worker.ts", arena), "mail");
    assert_string_equal(spec_worker_name("mail", arena), "mail");
    assert_null(spec_worker_name("workers/.hidden.ts", arena));
    assert_null(spec_worker_name("workers/", arena));
    assert_string_equal(spec_worker_file("apps/api/src/workers/mail.worker.ts"), "mail.worker.ts");
    assert_string_equal(spec_worker_file("mail.ts"), "mail.ts");
    struct fixture f CLEANUP(release) = resolve_example("monorepo-api", "production");
    const struct setting_target *target = &f.settings->workers.target;
    struct spec_context context = {.worker = "mail", .worker_file = "mail.ts"};
    const char *out = NULL;
    assert_null(spec_expand(f.settings, &context, target->service, f.arena, &out));
    assert_string_equal(out, "monorepo-api-production-mail");
    assert_null(spec_expand(f.settings, &context, target->start, f.arena, &out));
    assert_string_equal(out, "bash apps/api/scripts/start-worker.sh mail.ts");
    struct error *err CLEANUP(error_freep) = spec_expand(
        f.settings, &(struct spec_context){.version = "1"}, target->service, f.arena, &out);
    assert_non_null(err);
    assert_string_equal(error_message(err),
        "placeholder '{worker}' of 'monorepo-api-production-{worker}' has no value");
}

#define WEB "name: shop\nrepo: acme/shop\nservices: {web: {health_check_path: /up}, job: {}}\n"

// Four layers, strongest first: the environment's `targets`, its `target`, those of `deploy`.
static void
test_maps_merge_name_by_name(void **state)
{
    (void)state;
    static const char app[] =
        WEB "deploy:\n"
            "  target: {kind: ecs, cluster: c, service: \"{service}\", environment: {A: 1, B: 1, "
            "C: 1, D: 1}}\n"
            "  targets: {web: {environment: {B: 2, C: 2, D: 2, E: 2}}}\n"
            "  environments:\n"
            "    production:\n"
            "      target: {environment: {C: 3, D: 3}}\n"
            "      targets: {web: {environment: {D: \"{version}-{service}-{env}\"}, secrets: "
            "{S: \"arn:aws:ssm:{region}:{account}:parameter/{prefix}\"}}}\n";
    struct fixture f CLEANUP(release) = resolve_shop(app, "production");
    assert_non_null(f.settings);
    const struct pair_list *web = &f.settings->services[0].target.environment;
    assert_int_equal(web->count, 5);
    assert_pair(web, 0, "A", "1");
    assert_pair(web, 1, "B", "2");
    assert_pair(web, 2, "E", "2");
    assert_pair(web, 3, "C", "3");
    assert_pair(web, 4, "D", "{version}-web-production");
    assert_pair(&f.settings->services[0].target.secrets, 0, "S",
        "arn:aws:ssm:us-east-1:012345678901:parameter/acme");
    const struct pair_list *job = &f.settings->services[1].target.environment;
    assert_int_equal(job->count, 4);
    assert_pair(job, 0, "A", "1");
    assert_pair(job, 2, "C", "3");
    assert_int_equal(origin(&f, "services.web.target.environment.C")->line, 9);
    assert_int_equal(origin(&f, "services.web.target.environment.A")->line, 5);
    struct fixture g CLEANUP(release) = resolve_shop(app, "staging");
    assert_int_equal(g.settings->services[0].target.environment.count, 5);
    assert_int_equal(g.settings->services[0].target.secrets.count, 0);
}

// A key that the kind does not take is absent, whoever wrote it; a shared block may serve two
// kinds.
static void
test_kinds_take_their_keys(void **state)
{
    (void)state;
    static const char app[] = WEB
        "deploy:\n"
        "  target: {cluster: c, service: \"{service}\", port: 80, container: x, allow_zero: true,\n"
        "    connection: \"arn:aws:apprunner:r:1:connection/x\", access_role: "
        "\"arn:aws:iam::1:role/x\",\n"
        "    health_check: {path: /h, interval: 7s}, create: true, public: false,\n"
        "    execution_role: \"arn:aws:iam::1:role/e\", infrastructure_role: "
        "\"arn:aws:iam::1:role/i\"}\n"
        "  targets: {web: {kind: ecs}, job: {kind: apprunner, source: code}}\n"
        "  environments: {production: {targets: {web: {kind: ecs-express}}}}\n";
    struct fixture f CLEANUP(release) = resolve_shop(app, "staging");
    assert_non_null(f.settings);
    assert_int_equal(diagnostics_total(f.diagnostics), 0);
    const struct setting_target *web = &f.settings->services[0].target;
    assert_string_equal(web->container, "x");
    assert_true(web->allow_zero);
    assert_false(web->create);
    assert_int_equal(web->port, 0);
    assert_false(web->has_public || web->has_health_check);
    assert_null(web->health_check.path);
    const struct setting_target *job = &f.settings->services[1].target;
    assert_null(job->cluster);
    assert_null(job->container);
    assert_false(job->allow_zero);
    assert_null(job->access_role); // an image's
    assert_non_null(job->connection);
    assert_true(job->create && job->has_public && !job->is_public);
    assert_string_equal(job->health_check.path, "/h");
    assert_int_equal(job->health_check.interval_ms, 7000);
    assert_false(f.settings->services[1].has_image);
    assert_true(f.settings->services[0].has_image);
    assert_false(f.settings->has_target); // no kind of its own
    struct fixture g CLEANUP(release) = resolve_shop(app, "production");
    web = &g.settings->services[0].target;
    assert_string_equal(web->cluster, "c");
    assert_null(web->container);
    assert_int_equal(web->port, 80);
    assert_true(web->create);
    assert_int_equal(web->health_check.interval_ms, 0);
    assert_non_null(web->infrastructure_role);
}

// "force_new_deployment" and the rest of the truths can be taken back by an environment.
static void
test_truths_merge(void **state)
{
    (void)state;
    static const char app[] =
        WEB "deploy:\n"
            "  target: {kind: ecs, cluster: c, service: s, force_new_deployment: true, allow_zero: "
            "true}\n"
            "  environments: {production: {target: {force_new_deployment: false}}}\n";
    struct fixture f CLEANUP(release) = resolve_shop(app, "staging");
    assert_true(f.settings->services[0].target.force_new_deployment);
    struct fixture g CLEANUP(release) = resolve_shop(app, "production");
    assert_false(g.settings->services[0].target.force_new_deployment);
    assert_true(g.settings->services[0].target.allow_zero);
    assert_int_equal(origin(&g, "services.web.target.force_new_deployment")->line, 6);
}

static void
test_workers_merge(void **state)
{
    (void)state;
    static const char app[] = "name: shop\n"
                              "deploy:\n"
                              "  target: {kind: ecs, cluster: c, service: s}\n"
                              "  workers:\n"
                              "    files: \"w/*.ts\"\n"
                              "    workflow_input: workers\n"
                              "    target: {kind: apprunner, source: code, start: \"run "
                              "{worker}\", environment: {A: 1}}\n"
                              "  environments:\n"
                              "    production:\n"
                              "      workers: {remove_orphans: true, target: {environment: {B: "
                              "\"{worker_file}\"}, port: 1}}\n";
    struct fixture f CLEANUP(release) = resolve_shop(app, "production");
    assert_non_null(f.settings);
    assert_int_equal(diagnostics_total(f.diagnostics), 0);
    const struct setting_workers *workers = &f.settings->workers;
    assert_true(workers->remove_orphans);
    assert_string_equal(workers->files, "w/*.ts");
    assert_string_equal(workers->workflow_input, "workers");
    assert_string_equal(workers->target.start, "run {worker}");
    assert_null(workers->target.cluster); // nothing of `target`
    assert_pair(&workers->target.environment, 0, "A", "1");
    assert_pair(&workers->target.environment, 1, "B", "{worker_file}");
    assert_int_equal(workers->target.port, 1);
    struct fixture g CLEANUP(release) = resolve_shop(app, "staging");
    assert_false(g.settings->workers.remove_orphans);
    assert_int_equal(g.settings->workers.target.environment.count, 1);
    // Through the workflow the infra side knows what workers run on.
    struct fixture h CLEANUP(release) = resolve_shop(
        "name: shop\ndeploy: {workers: {files: \"w/*.ts\", workflow_input: x}}\n", "qa");
    assert_non_null(h.settings);
    assert_true(h.settings->has_workers);
    assert_null(h.settings->workers.target.kind);
}

static void
test_steps_merge(void **state)
{
    (void)state;
    static const char app[] = WEB
        "deploy:\n"
        "  target: {kind: ecs, cluster: c, service: s}\n"
        "  migrate: {service: web, command: [migrate, \"{version}\", \"{env}\"]}\n"
        "  rollout: {parallel: 2, order: [job, web]}\n"
        "  verify: [{url: \"https://{subdomain}.x/{version}\", body: {version: \"{version}\", n: "
        "1}}]\n"
        "  environments:\n"
        "    production:\n"
        "      migrate: {timeout: 1h}\n"
        "      rollout: {timeout: 2h, order: [web]}\n"
        "      verify: [{url: \"https://a.x\", expect: 204, within: 7s}, {url: \"https://b.x\"}]\n"
        "      rollback: {keep: 3}\n"
        "    qa: {verify: []}\n";
    struct fixture f CLEANUP(release) = resolve_shop(app, "production");
    assert_non_null(f.settings);
    const struct settings *s = f.settings;
    assert_string_equal(s->migrate.service, "web");
    assert_string_equal(s->migrate.command.items[1], "{version}");
    assert_string_equal(s->migrate.command.items[2], "production");
    assert_int_equal(s->migrate.timeout_ms, 3600000);
    assert_int_equal(s->rollout.parallel, 2);
    assert_int_equal(s->rollout.timeout_ms, 7200000);
    assert_int_equal(s->rollout.order.count, 1);
    assert_string_equal(s->rollout.order.items[0], "web");
    assert_int_equal(s->verify_count, 2);
    assert_int_equal(s->verify[0].expect, 204);
    assert_int_equal(s->verify[0].within_ms, 7000);
    assert_int_equal(s->verify[1].within_ms, 300000);
    assert_int_equal(s->rollback_keep, 3);
    assert_int_equal(origin(&f, "migrate.timeout")->line, 11);
    assert_int_equal(origin(&f, "migrate.command[0]")->line, 6);
    assert_int_equal(origin(&f, "verify[0].expect")->line, 13);
    struct fixture g CLEANUP(release) = resolve_shop(app, "staging");
    assert_string_equal(g.settings->verify[0].url, "https://shop.x/{version}");
    assert_pair(&g.settings->verify[0].body, 0, "version", "{version}");
    assert_pair(&g.settings->verify[0].body, 1, "n", "1");
    assert_int_equal(g.settings->rollout.order.count, 2);
    struct fixture h CLEANUP(release) = resolve_shop(app, "qa");
    assert_int_equal(h.settings->verify_count, 0); // an environment may ask for none
}

// Values that only the merged, expanded text shows to be wrong.
static void
test_expanded_values_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *key, *message;
    } cases[] = {
        {"instance_role: \"{name}\"",
            "bad 'instance_role' 'shop': must be an ARN, like arn:aws:iam::012345678901:role/name"},
        {"environment_file: \"/{env}\"",
            "bad 'environment_file' '/qa': must be a path inside the repository: relative, without "
            "'..'"},
        {"outputs_file: \"{version}.json\"", "placeholder '{version}' is not known here"},
        {"environment: {A: \"{worker}\"}", "placeholder '{worker}' is not known here"},
        {"service: \"{worker_file}\"", "placeholder '{worker_file}' is not known here"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct buf app CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
        buf_printf(&app,
            "name: shop\nservices: {web: {}}\ndeploy: {target: {kind: apprunner, %s%s}}\n",
            strncmp(cases[i].key, "service", 7) == 0 ? "" : "service: s, ", cases[i].key);
        struct fixture f CLEANUP(release) = resolve_shop(buf_cstr(&app), "qa");
        assert_null(f.settings);
        assert_string_equal(diagnostics_at(f.diagnostics, 0)->message, cases[i].message);
    }
}

static void
test_long_maps_are_refused(void **state)
{
    (void)state;
    struct buf app CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    buf_puts(&app, "name: shop\nservices: {web: {}}\ndeploy:\n  target:\n    kind: ecs\n"
                   "    cluster: c\n    service: s\n    environment:\n");
    for (int i = 0; i < 200; i++) {
        buf_printf(&app, "      A%d: x\n", i);
    }
    struct fixture f CLEANUP(release) = resolve_shop(buf_cstr(&app), "qa");
    assert_non_null(f.settings);
    assert_int_equal(f.settings->services[0].target.environment.count, 200);
    buf_puts(&app, "      B: x\n");
    struct fixture g CLEANUP(release) = resolve_shop(buf_cstr(&app), "qa");
    assert_null(g.settings);
    assert_string_equal(diagnostics_at(g.diagnostics, 0)->message,
        "'environment' has 201 entries, must have at most 200");
    struct buf many CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    buf_puts(&many, "name: shop\nservices:\n");
    for (int i = 0; i < 301; i++) {
        buf_printf(&many, "  s%d: {}\n", i);
    }
    struct fixture h CLEANUP(release) = resolve_shop(buf_cstr(&many), "qa");
    assert_null(h.settings);
    assert_string_equal(diagnostics_at(h.diagnostics, 0)->message,
        "'services' has 301 entries, must have at most 300");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_swasthx),
        cmocka_unit_test(test_kaapi),
        cmocka_unit_test(test_backend_api),
        cmocka_unit_test(test_my_app),
        cmocka_unit_test(test_monorepo_api),
        cmocka_unit_test(test_express_api),
        cmocka_unit_test(test_names_of_workers),
        cmocka_unit_test(test_maps_merge_name_by_name),
        cmocka_unit_test(test_kinds_take_their_keys),
        cmocka_unit_test(test_truths_merge),
        cmocka_unit_test(test_workers_merge),
        cmocka_unit_test(test_steps_merge),
        cmocka_unit_test(test_expanded_values_are_checked),
        cmocka_unit_test(test_long_maps_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
