// An event is in the journal before anybody is told of it: whoever is told may tell others to read.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_internal.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "fake_platform.h"
#include "temp_dir.h"

struct reader {
    const char *path;
    size_t told, found; // events that the journal held when the last one was told
};

static void
on_event(void *ctx, const struct deploy_event *event)
{
    struct reader *reader = ctx;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct store *store CLEANUP(store_closep) = NULL;
    struct store_event *events = NULL;
    assert_null(store_open(reader->path, &store));
    assert_null(store_events(store, event->deployment->id, 0, arena, &events, &reader->found));
    reader->told++;
}

static void
an_event_is_kept_before_it_is_told(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *path CLEANUP(xfreep) = temp_dir_path(dir, "state.db");
    struct fake_platform *fake = fake_platform_new(NULL);
    struct reader reader = {.path = path};
    struct deploy_observer observer = {on_event, &reader};
    struct deploy_context *context = deploy_context_new(&(struct deploy_context_options){
        .platform = &fake->platform, .state_path = path, .observer = &observer});
    struct store *store = NULL;
    struct deployment *d = deployment_new(arena);
    d->id = "d-0001";
    assert_null(deploy_store(context, &store));
    const struct store_deployment row = {.id = d->id,
        .app = "payments",
        .env = "staging",
        .version = "v1",
        .state = "running",
        .created_ms = 1,
        .updated_ms = 1,
        .document = "{}"};
    assert_null(store_insert(store, &row));
    context_emit_text(context, d, DEPLOY_EVENT_NOTE, "one");
    assert_int_equal(reader.told, 1);
    assert_int_equal(reader.found, 1);
    context_emit_text(context, d, DEPLOY_EVENT_WARNING, "two");
    assert_int_equal(reader.found, 2);
    context_emit_text(context, d, DEPLOY_EVENT_OUTPUT, "of a builder"); // is told only
    assert_int_equal(reader.told, 3);
    assert_int_equal(reader.found, 2);
    deploy_context_free(context);
    fake_platform_free(fake);
}

static const char *
read_key(struct deploy_context *context, const char *reference, struct arena *arena)
{
    struct secret *secret CLEANUP(secret_freep) = NULL;
    assert_null(deploy_secret(context, reference, &secret));
    return arena_str(arena, secret_expose(secret));
}

static void
what_is_forgotten_is_read_again_by_new_clients(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *path CLEANUP(xfreep) = temp_dir_path(dir, "key");
    const char *reference = arena_printf(arena, "file:%s", path);
    static const char *const environment[] = {"GITHUB_TOKEN=a token of the environment", NULL};
    struct fake_platform *fake = fake_platform_new(environment);
    struct deploy_context *context =
        deploy_context_new(&(struct deploy_context_options){.platform = &fake->platform});
    struct deployment *d = deployment_new(arena);
    struct github_client *github = NULL, *history = NULL, *reports = NULL;
    d->github_api = "https://api.github.com";
    d->workflow_repo = d->repository = "acme/infra";
    assert_null(provider_github(context, d, &github));
    assert_null(provider_history(context, d, "acme/shop", &history));
    assert_null(provider_reports(context, d, NULL, &reports));
    assert_null(file_write(path, STR("the old key"), 0600));
    assert_string_equal(read_key(context, reference, arena), "the old key");
    assert_null(file_write(path, STR("the new key"), 0600));
    assert_string_equal(read_key(context, reference, arena), "the old key");
    deploy_context_forget(context);
    assert_null(context->github);
    assert_null(context->history);
    assert_null(context->reports);
    assert_string_equal(read_key(context, reference, arena), "the new key");
    assert_null(provider_github(context, d, &github));
    assert_null(provider_history(context, d, "acme/shop", &history));
    assert_null(provider_reports(context, d, NULL, &reports));
    deploy_context_free(context);
    fake_platform_free(fake);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_kept_before_it_is_told),
        cmocka_unit_test(what_is_forgotten_is_read_again_by_new_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
