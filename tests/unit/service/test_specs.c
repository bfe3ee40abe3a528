// The documents of the infra repository: read whole, swapped whole, and in force for no longer than
// they may be.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "dispatcher/file.h"
#include "git_fixture.h"
#include "service_world.h"
#include "spec_set_internal.h"
#include "specs_internal.h"

#define CONFIG                                                                                     \
    "version: 1\nspecs: appspecs\nenvironments: [staging, production]\n"                           \
    "aws: {region: us-east-1, account: \"012345678901\"}\n"                                        \
    "registry: \"{account}.dkr.ecr.{region}.amazonaws.com\"\n"                                     \
    "workflow: {repo: acme/infra, file: deploy.yaml, ref: main}\n"
#define APP(name)                                                                                  \
    "name: " name "\nservices:\n  web:\n    expose: 8080\n"                                        \
    "deploy:\n  repository_id: 7\n  owner_id: 9919\n"                                              \
    "  environments:\n    staging:\n      allow: [{id: main, refs: [refs/heads/main]}]\n"

static const struct setting_secrets nothing_allowed = {.files = {0}};

static void
write_infra(const struct service *service)
{
    world_write(service, "infra/dispatcher.yaml", CONFIG);
    world_write(service, "infra/appspecs/payments.yaml", APP("payments"));
    world_write(service, "infra/appspecs/shop.yaml", APP("shop"));
}

static struct service *
infra_new(void)
{
    struct service *service = world_new();
    write_infra(service);
    service->settings.specs = temp_dir_path(service->directory, "infra");
    service->settings.specs_every_ms = 20;
    return service;
}

static void
infra_freep(struct service **service)
{
    char *specs = (char *)(uintptr_t)(*service)->settings.specs;
    specs_stop(*service);
    free(specs);
    world_freep(service);
}

static const struct spec_set *
hold(struct service *service)
{
    const char *why = NULL;
    const struct spec_set *set = specs_hold(service, &why);
    if (set == NULL) {
        fail_msg("no set: %s", why);
    }
    return set;
}

static struct specs_state
state_of(struct service *service, struct arena *arena)
{
    struct specs_state state = {0};
    specs_state(service, arena, &state);
    return state;
}

static void
settings_are_resolved_once(void **state)
{
    (void)state;
    struct service *service CLEANUP(infra_freep) = infra_new();
    const char *problem = NULL;
    assert_null(specs_start(service));
    const struct spec_set *set = hold(service);
    assert_int_equal(strlen(spec_set_commit(set)), 40);
    assert_int_equal(spec_set_apps(set)->count, 2);
    assert_string_equal(spec_set_apps(set)->items[0], "payments");
    assert_string_equal(spec_set_environments(set)->items[1], "production");
    const struct settings *settings = spec_set_settings(set, "payments", "staging", &problem);
    if (settings == NULL) {
        fail_msg("%s", problem != NULL ? problem : "no such app");
    }
    assert_null(problem);
    assert_string_equal(settings->env, "staging");
    assert_int_equal(settings->identity.repository_id, 7);
    assert_ptr_equal(spec_set_settings(set, "payments", "staging", &problem), settings);
    assert_ptr_not_equal(spec_set_settings(set, "payments", "production", &problem), settings);
    assert_non_null(strstr(spec_set_app(set, "shop")->path, "appspecs/shop.yaml"));
    assert_true(str_starts(spec_set_config(set)->text, STR("version: 1")));
    specs_release(set);
}

static void
what_is_not_there_is_no_problem(void **state)
{
    (void)state;
    struct service *service CLEANUP(infra_freep) = infra_new();
    const char *problem = "";
    assert_null(specs_start(service));
    const struct spec_set *set = hold(service);
    assert_null(spec_set_settings(set, "nobody", "staging", &problem));
    assert_null(problem);
    assert_null(spec_set_settings(set, "payments", "elsewhere", &problem));
    assert_null(problem);
    assert_null(spec_set_settings(set, "../dispatcher", "staging", &problem));
    assert_null(spec_set_settings(set, NULL, "staging", &problem));
    assert_null(spec_set_app(set, "nobody"));
    specs_release(set);
}

static void
an_invalid_spec_denies_its_app_alone(void **state)
{
    (void)state;
    struct service *service CLEANUP(infra_freep) = infra_new();
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const char *problem = NULL;
    world_write(service, "infra/appspecs/shop.yaml", APP("shop") "  replica: 3\n");
    world_write(service, "infra/appspecs/Not An App.yaml", "name: x\n");
    world_write(service, "infra/appspecs/big.yaml", APP("big"));
    char *big CLEANUP(xfreep) = xcalloc(1, 70 * 1024);
    memset(big, '#', 70 * 1024 - 1);
    world_write(service, "infra/appspecs/huge.yaml", big);
    assert_null(specs_start(service));
    const struct spec_set *set = hold(service);
    assert_int_equal(spec_set_apps(set)->count, 4); // a name that nobody can ask for is none
    assert_null(spec_set_settings(set, "shop", "staging", &problem));
    assert_non_null(strstr(problem, "unknown key 'replica'"));
    assert_null(spec_set_settings(set, "huge", "staging", &problem));
    assert_non_null(strstr(problem, "huge.yaml"));
    assert_null(spec_set_app(set, "huge"));
    assert_non_null(spec_set_settings(set, "payments", "staging", &problem));
    specs_release(set);
    assert_int_equal(state_of(service, arena).broken, 2);
    assert_int_equal(state_of(service, arena).apps, 4);
}

#define SINK(keys)                                                                                 \
    "  notify:\n    sinks:\n      own: {kind: webhook, url: https://example.org/x, " keys "}\n"

static bool
is_denied(struct service *service, const char *app, const char *says)
{
    const char *problem = NULL;
    const struct spec_set *set = hold(service);
    bool denied = spec_set_settings(set, app, "staging", &problem) == NULL;
    if (denied && strstr(problem, says) == NULL) {
        fail_msg("'%s' does not say '%s'", problem, says);
    }
    specs_release(set);
    return denied;
}

static void
a_spec_that_names_secrets_of_the_machine_denies_its_app_alone(void **state)
{
    (void)state;
    struct service *service CLEANUP(infra_freep) = infra_new();
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const char *variables[] = {"SHOP_HOOK"}, *own[] = {"env:GITHUB_APP_KEY"};
    world_write(service, "infra/appspecs/shop.yaml", APP("shop") SINK("secret: env:SHOP_HOOK"));
    assert_null(specs_start(service));
    assert_true(
        is_denied(service, "shop", "'env:SHOP_HOOK' is not among the secrets that specs may name"));
    assert_false(is_denied(service, "payments", ""));
    assert_int_equal(state_of(service, arena).broken, 1);
    // Settings that are read again count for specs that were read before.
    specs_stop(service);
    service->settings.secrets.env = (struct str_list){variables, 1};
    service->settings.secrets.own = (struct str_list){own, 1};
    assert_null(specs_start(service));
    assert_false(is_denied(service, "shop", ""));
    // What is the service's own stays so.
    specs_stop(service);
    service->settings.secrets.env.items[0] = "GITHUB_APP_KEY";
    world_write(
        service, "infra/appspecs/shop.yaml", APP("shop") SINK("secret: env:GITHUB_APP_KEY"));
    assert_null(specs_start(service));
    assert_true(is_denied(service, "shop", "env:GITHUB_APP_KEY"));
}

static void
what_is_the_services_own_has_no_other_name(void **state)
{
    (void)state;
    struct service *service CLEANUP(infra_freep) = infra_new();
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    world_write(service, "run/app.pem", "key");
    world_write(service, "run/hook", "hook");
    char *key CLEANUP(xfreep) = temp_dir_path(service->directory, "run/app.pem");
    char *linked CLEANUP(xfreep) = temp_dir_path(service->directory, "run/linked");
    char *hard CLEANUP(xfreep) = temp_dir_path(service->directory, "run/hard");
    assert_int_equal(symlink(key, linked), 0);
    assert_int_equal(link(key, hard), 0);
    const char *files[] = {arena_printf(arena, "%s/run/*", service->directory)};
    const char *own[] = {arena_printf(arena, "file:%s", key)};
    service->settings.secrets = (struct setting_secrets){.files = {files, 1}, .own = {own, 1}};
    static const struct {
        const char *name;
        bool refused;
    } cases[] = {{"hook", false}, {"none", false}, {"app.pem", true}, {"linked", true},
        {"hard", true}, {"../run/hook", true}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const char *reference =
            arena_printf(arena, "file:%s/run/%s", service->directory, cases[i].name);
        const char *refusal = service_secret_refusal(service, reference, arena);
        assert_true((refusal != NULL) == cases[i].refused);
        if (refusal != NULL) { // in the same words, so that nothing is found out
            assert_string_equal(refusal, arena_printf(arena,
                                             "'%.200s' is not among the secrets that specs may "
                                             "name ('server.secrets' of the service)",
                                             reference));
        }
    }
}

static void
a_change_is_seen_and_the_old_set_lives_on(void **state)
{
    (void)state;
    struct service *service CLEANUP(infra_freep) = infra_new();
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const char *problem = NULL;
    service->settings.specs_every_ms = 3600 * 1000;
    assert_null(specs_start(service));
    const struct spec_set *before = hold(service);
    world_write(service, "infra/appspecs/new-one.yaml", APP("new-one"));
    specs_stale(service);
    world_until(service, state_of(service, arena).apps == 3);
    const struct spec_set *after = hold(service);
    assert_string_not_equal(spec_set_commit(after), spec_set_commit(before));
    assert_int_equal(spec_set_apps(before)->count, 2);
    assert_non_null(spec_set_settings(before, "shop", "staging", &problem)); // still whole
    assert_non_null(spec_set_settings(after, "new-one", "staging", &problem));
    specs_release(before);
    specs_release(after);
}

static void
an_invalid_config_leaves_the_last_good_set_in_force(void **state)
{
    (void)state;
    struct service *service CLEANUP(infra_freep) = infra_new();
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const char *problem = NULL;
    assert_null(specs_start(service));
    const struct spec_set *before = hold(service);
    world_write(service, "infra/dispatcher.yaml", CONFIG "policyy: {}\n");
    specs_stale(service);
    world_until(service, state_of(service, arena).invalid != NULL);
    assert_non_null(strstr(state_of(service, arena).invalid, "unknown key 'policyy'"));
    const struct spec_set *after = hold(service);
    assert_ptr_equal(after, before);
    assert_non_null(spec_set_settings(after, "shop", "staging", &problem));
    specs_release(after);
    specs_release(before);
    write_infra(service);
    specs_stale(service);
    world_until(service, state_of(service, arena).invalid == NULL);
}

static void
specs_that_are_too_old_allow_nothing(void **state)
{
    (void)state;
    struct service *service CLEANUP(infra_freep) = infra_new();
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const char *why = NULL;
    service->settings.specs_max_age_ms = 400;
    assert_null(specs_start(service));
    specs_release(hold(service));
    char *config CLEANUP(xfreep) = temp_dir_path(service->directory, "infra/dispatcher.yaml");
    assert_int_equal(remove(config), 0);
    specs_stale(service);
    world_until(service, state_of(service, arena).problem != NULL);
    assert_non_null(strstr(state_of(service, arena).problem, "does not exist"));
    world_until(service, specs_hold(service, &why) == NULL);
    assert_non_null(strstr(why, "could not be read for too long"));
    write_infra(service);
    specs_stale(service);
    world_until(service, state_of(service, arena).problem == NULL);
    specs_release(hold(service));
}

static void
nothing_is_allowed_before_the_first_reading(void **state)
{
    (void)state;
    struct service *service CLEANUP(infra_freep) = infra_new();
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const char *why = NULL;
    assert_null(specs_hold(service, &why));
    assert_string_equal(why, "the specs were not read yet");
    char *config CLEANUP(xfreep) = temp_dir_path(service->directory, "infra/dispatcher.yaml");
    assert_int_equal(remove(config), 0);
    assert_null(specs_start(service)); // the service starts all the same
    assert_null(specs_hold(service, &why));
    assert_non_null(state_of(service, arena).problem);
    assert_null(state_of(service, arena).commit);
    specs_stop(service);
    world_write(service, "infra/dispatcher.yaml", CONFIG "policyy: {}\n");
    assert_null(specs_start(service));
    assert_null(specs_hold(service, &why));
    assert_string_equal(
        why, "dispatcher.yaml of the infra repository is invalid, so nothing is allowed");
}

// --- git -----------------------------------------------------------------------------------------

static void
the_default_branch_is_read_by_commit(void **state)
{
    (void)state;
    struct service *service CLEANUP(world_freep) = world_new();
    struct git_fixture *git CLEANUP(git_fixture_freep) = git_fixture_new();
    git_fixture_init(git, "infra.git");
    git_fixture_write(git, "infra.git/dispatcher.yaml", CONFIG);
    git_fixture_commit(git, "infra.git", "appspecs/payments.yaml", APP("payments"), "one");
    char *first CLEANUP(xfreep) = git_fixture_id(git, "infra.git", "HEAD");
    char *path CLEANUP(xfreep) = git_fixture_path(git, "infra.git");
    char *cache CLEANUP(xfreep) = xasprintf("XDG_CACHE_HOME=%s/cache", service->directory);
    char *const env[] = {cache, NULL};
    struct environment *environment = environment_new(env);
    service->platform.env = environment;
    service->settings.specs = path;
    struct specs_reader reader = {.service = service, .platform = &service->platform};
    struct spec_reading reading = {0};
    assert_null(specs_read(&reader, NULL, &reading));
    assert_string_equal(reading.commit, first);
    assert_int_equal(reading.app_count, 1);
    assert_string_equal(reading.apps[0].name, "payments");
    assert_string_equal(reading.apps[0].document.path, "appspecs/payments.yaml");
    assert_null(spec_set_refuse(&reading, &nothing_allowed));
    arena_free(reading.arena);
    assert_null(specs_read(&reader, first, &reading)); // nothing new: nothing is read
    assert_null(reading.arena);
    git_fixture_commit(git, "infra.git", "appspecs/shop.yaml", APP("shop"), "two");
    assert_null(specs_read(&reader, first, &reading));
    assert_int_equal(reading.app_count, 2);
    arena_free(reading.arena);
    git_run(git, "infra.git", "rm", "-q", "dispatcher.yaml");
    git_run(git, "infra.git", "commit", "-q", "-m", "three");
    assert_failure(specs_read(&reader, first, &reading), ERROR_SPEC, "does not exist");
    specs_reader_done(&reader);
    environment_free(environment);
}

// 500 apps in 4 environments: everything is resolved in seconds, and reading again what has not
// changed looks at no spec.
static void
many_apps_are_cheap(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    static const char *const envs[] = {"staging", "production"};
    struct spec_reading reading = {.arena = arena, .commit = "c1", .app_count = 500};
    reading.config = (struct spec_document){"dispatcher.yaml", STR(CONFIG)};
    reading.apps = arena_array(arena, 500, sizeof(*reading.apps));
    for (size_t i = 0; i < 500; i++) {
        const char *name = arena_printf(arena, "app-%03zu", i);
        const char *text = arena_printf(arena, APP("%s"), name);
        reading.apps[i] = (struct spec_app){
            .name = name, .document = {arena_printf(arena, "%s.yaml", name), str_of(text)}};
    }
    int64_t start = clock_mono(&clock_system);
    const struct spec_set *set = spec_set_new(&reading, &nothing_allowed, NULL);
    for (size_t i = 0; i < 500 * ARRAY_LENGTH(envs); i++) {
        const char *problem = NULL;
        assert_non_null(
            spec_set_settings(set, spec_set_apps(set)->items[i / 2], envs[i % 2], &problem));
    }
    int64_t took = clock_mono(&clock_system) - start;
    print_message("500 apps checked, 1,000 settings resolved: %lld ms\n", (long long)took);
    assert_true(took < 60 * 1000); // a second, where nothing slows it down
    specs_release(set);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_resolved_once),
        cmocka_unit_test(what_is_not_there_is_no_problem),
        cmocka_unit_test(an_invalid_spec_denies_its_app_alone),
        cmocka_unit_test(a_spec_that_names_secrets_of_the_machine_denies_its_app_alone),
        cmocka_unit_test(what_is_the_services_own_has_no_other_name),
        cmocka_unit_test(a_change_is_seen_and_the_old_set_lives_on),
        cmocka_unit_test(an_invalid_config_leaves_the_last_good_set_in_force),
        cmocka_unit_test(specs_that_are_too_old_allow_nothing),
        cmocka_unit_test(nothing_is_allowed_before_the_first_reading),
        cmocka_unit_test(the_default_branch_is_read_by_commit),
        cmocka_unit_test(many_apps_are_cheap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
