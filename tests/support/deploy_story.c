// Builds a story's surroundings and drives deploy/ through its public calls.
#include "deploy_story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dispatcher/digest.h"
#include "dispatcher/drift.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "dispatcher/queue.h"
#include "git_fixture.h"
#include "temp_dir.h"

const char story_config[] = "version: 1\n"
                            "environments: [staging]\n"
                            "aws: {region: us-east-1}\n"
                            "registry: 127.0.0.1:5000\n"
                            "workflow:\n"
                            "  repo: octo/infra\n"
                            "  file: deploy-app.yaml\n"
                            "  ref: main\n"
                            "  inputs: {application: \"{app}\", environment: \"{env}\"}\n"
                            "  timeout: 30m\n"
                            "  queue_timeout: 20m\n";

#define SPEC_HEAD "title: Shop\nname: shop\nrepo: octo/shop\n"
const char story_spec[] = SPEC_HEAD "services:\n  web:\n    expose: 8080\n";
const char story_spec_two[] =
    SPEC_HEAD "services:\n  web:\n    expose: 8080\n  worker:\n    expose: 8081\n";

const char story_workflow[] =
    "name: deploy-app\n"
    "run-name: deploy ${{ inputs.distinct_id }}\n"
    "on:\n"
    "  workflow_dispatch:\n"
    "    inputs:\n"
    "      application: {required: true, type: string}\n"
    "      environment: {required: true, type: choice, options: [staging, production]}\n"
    "      distinct_id: {type: string}\n"
    "jobs: {}\n";

enum { ENV_MAX = 32 };

// The checkout is the same for every story of a program: made once, read only.
static struct git_fixture *checkout;

static void
remove_checkout(void)
{
    git_fixture_freep(&checkout);
}

static void
make_checkout(void)
{
    if (checkout != NULL) {
        return;
    }
    checkout = git_fixture_new();
    (void)atexit(remove_checkout);
    git_fixture_init(checkout, "shop");
    git_fixture_commit(checkout, "shop", "a", "1", "first");
    git_fixture_commit(checkout, "shop", "a", "2", "second <b>\"`|");
    git_fixture_commit(checkout, "shop", "a", "3", "third");
    git_run(checkout, "shop", "remote", "add", "origin", "https://github.com/octo/shop.git");
}

static void
set_up_world(struct story *story)
{
    story->world->workflow = story_workflow;
    story->world->digest = STORY_DIGEST;
    (void)world_parameter(story->world, STORY_PARAMETER, "v1", "deployed");
}

static const char *const base_env[] = {"AWS_ACCESS_KEY_ID=AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY=" STORY_AWS_SECRET, "GITHUB_TOKEN=" STORY_TOKEN, NULL};

struct story *
story_new(void)
{
    struct story *story = xcalloc(1, sizeof(*story));
    make_checkout();
    story->dir = temp_dir_new();
    story->specs = temp_dir_path(story->dir, "infra/appspecs");
    story->state_path = temp_dir_path(story->dir, "state.db");
    story->world = world_new();
    story->fake = fake_platform_new(base_env);
    story->arena = arena_new();
    story->config = story_config;
    story->app_spec = story_spec;
    buf_init(&story->events, 16 * 1024 * 1024);
    buf_init(&story->text, 1024 * 1024);
    story->request = (struct deploy_request){.app = "shop",
        .env = "staging",
        .version = "v2",
        .specs = story->specs,
        .checkout = git_fixture_path(checkout, "shop")};
    story_env(story, "HOME", story->dir);
    set_up_world(story);
    return story;
}

static void
forget_outcome(struct story *story)
{
    error_freep(&story->err);
    free(story->diagnostics);
    story->diagnostics = NULL;
    story->d = NULL;
    buf_reset(&story->events);
    buf_reset(&story->text);
}

void
story_free(struct story *story)
{
    if (story == NULL) {
        return;
    }
    forget_outcome(story);
    buf_done(&story->events);
    buf_done(&story->text);
    world_detach();
    world_free(story->world);
    fake_platform_free(story->fake);
    arena_free(story->arena);
    temp_dir_removep(&story->dir);
    git_fixture_freep(&story->own);
    free((char *)(uintptr_t)story->request.checkout);
    free(story->specs);
    free(story->state_path);
    free(story);
}

void
story_freep(struct story **story)
{
    story_free(*story);
    *story = NULL;
}

void
story_restart(struct story *story)
{
    const struct world_fault *faults = story->world->faults;
    const char *const *life = story->world->life;
    forget_outcome(story);
    memset(story->world, 0, sizeof(*story->world));
    story->world->faults = faults;
    story->world->life = life;
    set_up_world(story);
    static const char *const tails[] = {"", "-wal", "-shm", "-claims"};
    for (size_t i = 0; i < ARRAY_LENGTH(tails); i++) {
        char *path CLEANUP(xfreep) = xasprintf("%s%s", story->state_path, tails[i]);
        (void)unlink(path);
    }
}

void
story_env(struct story *story, const char *name, const char *value)
{
    const char *list[ENV_MAX + 1];
    size_t count = 0, len = strlen(name);
    char *own CLEANUP(xfreep) = value != NULL ? xasprintf("%s=%s", name, value) : NULL;
    for (char *const *at = environment_list(story->fake->env); *at != NULL; at++) {
        bool same = strncmp(*at, name, len) == 0 && (*at)[len] == '=';
        if (!same) {
            assert_true(count < ENV_MAX - 1);
            list[count++] = *at;
        }
    }
    if (own != NULL) {
        list[count++] = own;
    }
    list[count] = NULL;
    char *copies[ENV_MAX + 1] = {0};
    for (size_t i = 0; i < count; i++) {
        copies[i] = xstrdup(list[i]);
    }
    fake_platform_set_env(story->fake, (const char *const *)copies);
    for (size_t i = 0; i < count; i++) {
        free(copies[i]);
    }
}

const char *
story_commit(struct story *story, const char *revision)
{
    char *id CLEANUP(xfreep) = git_fixture_id(checkout, "shop", revision);
    return arena_dup(story->arena, id);
}

void
story_own_checkout(struct story *story)
{
    char *from CLEANUP(xfreep) = git_fixture_path(checkout, "shop");
    story->own = git_fixture_new();
    git_run(story->own, ".", "clone", "-q", from, "shop");
    git_run(story->own, "shop", "remote", "set-url", "origin", "https://github.com/octo/shop.git");
    free((char *)(uintptr_t)story->request.checkout);
    story->request.checkout = git_fixture_path(story->own, "shop");
}

void
story_git(struct story *story, const char *const *arguments)
{
    git_fixture_run(story->own, "shop", arguments);
}

static void
write_documents(const struct story *story)
{
    char *config CLEANUP(xfreep) = temp_dir_path(story->dir, "infra/dispatcher.yaml");
    char *spec CLEANUP(xfreep) = temp_dir_path(story->dir, "infra/appspecs/shop.yaml");
    assert_null(file_make_directories(story->specs));
    assert_null(file_write(config, str_of(story->config), 0600));
    assert_null(file_write(spec, str_of(story->app_spec), 0600));
}

static void
on_event(void *ctx, const struct deploy_event *event)
{
    struct story *story = ctx;
    struct json *object CLEANUP(json_freep) = deploy_event_json(event, FAKE_WALL_START);
    char *text CLEANUP(xfreep) = json_text(object);
    buf_puts(&story->events, text);
    buf_putc(&story->events, '\n');
}

// What a command opens and closes around its work.
struct session {
    struct http_client *http;
    struct deploy_context *context;
    struct deploy_observer observer;
    struct diagnostics *diagnostics;
};

static void
session_open(struct story *story, struct session *session)
{
    static const struct http_client_options options = {.user_agent = "test"};
    forget_outcome(story);
    world_attach(story->world, story->fake);
    session->observer = (struct deploy_observer){on_event, story};
    assert_null(http_client_new(&story->fake->platform, &options, &session->http));
    const struct deploy_context_options context = {
        .platform = &story->fake->platform,
        .http = session->http,
        .state_path = story->state_path,
        .live = story->live,
        .feed = story->feed,
        .observer = &session->observer,
    };
    session->context = deploy_context_new(&context);
    session->diagnostics = diagnostics_new();
}

static void
session_close(struct story *story, struct session *session)
{
    struct buf text = BUF_INIT(1024 * 1024);
    diagnostics_sort(session->diagnostics);
    diagnostics_print_text(session->diagnostics, false, &text);
    buf_puts(&text, "");
    story->diagnostics = buf_take(&text);
    diagnostics_free(session->diagnostics);
    deploy_context_free(session->context);
    http_client_free(session->http);
    cancel_clear(story->fake->cancel);
}

void
story_prepare(struct story *story)
{
    struct session session = {0};
    session_open(story, &session);
    write_documents(story);
    story->err = deploy_prepare(
        session.context, &story->request, story->arena, session.diagnostics, &story->d);
    session_close(story, &session);
}

void
story_deploy(struct story *story)
{
    struct session session = {0};
    session_open(story, &session);
    write_documents(story);
    story->err = deploy_prepare(
        session.context, &story->request, story->arena, session.diagnostics, &story->d);
    if (story->err == NULL) {
        story->err = deploy_run(session.context, story->d, story->arena);
    }
    session_close(story, &session);
}

static const char *
newest_id(struct story *story, struct deploy_context *context)
{
    struct store *store = NULL;
    struct store_deployment *rows = NULL;
    size_t count = 0;
    assert_null(deploy_store(context, &store));
    assert_null(store_list(store, &(struct store_filter){0}, story->arena, &rows, &count));
    return count > 0 ? rows[0].id : NULL;
}

const char *
story_newest(struct story *story)
{
    struct session session = {0};
    session_open(story, &session);
    const char *id = newest_id(story, session.context);
    session_close(story, &session);
    return id;
}

bool
story_has_journal(struct story *story)
{
    return story_newest(story) != NULL;
}

static const char *
chosen_id(struct story *story, struct deploy_context *context)
{
    return story->id != NULL ? story->id : newest_id(story, context);
}

void
story_resume(struct story *story)
{
    struct session session = {0};
    session_open(story, &session);
    story->err =
        deploy_resume(session.context, chosen_id(story, session.context), story->arena, &story->d);
    session_close(story, &session);
}

void
story_begin(struct story *story)
{
    struct session session = {0};
    session_open(story, &session);
    write_documents(story);
    story->err = deploy_prepare(
        session.context, &story->request, story->arena, session.diagnostics, &story->d);
    if (story->err == NULL) {
        story->err = deploy_begin(session.context, story->d, story->arena);
    }
    session_close(story, &session);
}

void
story_advance(struct story *story, struct deploy_pace *pace)
{
    struct session session = {0};
    session_open(story, &session);
    struct store *store = NULL;
    const char *id = chosen_id(story, session.context);
    assert_null(deploy_store(session.context, &store));
    store_set_fence(store, story->fence != 0 ? id : NULL, story->fence);
    story->advanced = (struct deploy_advanced){0};
    story->err = deploy_advance(session.context, id, pace, story->arena, &story->advanced);
    story->d = story->advanced.deployment;
    session_close(story, &session);
}

void
story_resolve(struct story *story, int64_t run_id)
{
    struct session session = {0};
    session_open(story, &session);
    story->err = deploy_resolve(
        session.context, chosen_id(story, session.context), run_id, story->arena, &story->d);
    session_close(story, &session);
}

void
story_cancel(struct story *story)
{
    struct session session = {0};
    session_open(story, &session);
    story->err =
        deploy_cancel(session.context, chosen_id(story, session.context), story->arena, &story->d);
    session_close(story, &session);
}

void
story_status(struct story *story)
{
    struct session session = {0};
    struct deploy_status_row *rows = NULL;
    size_t count = 0;
    session_open(story, &session);
    write_documents(story);
    story->err = deploy_status(
        session.context, &story->request, story->arena, session.diagnostics, &rows, &count);
    for (size_t i = 0; story->err == NULL && i < count; i++) {
        const struct deploy_status_row *row = &rows[i];
        buf_printf(&story->text, "%s/%s/%s %s by %s in %s%s%s:", row->app, row->env, row->service,
            row->version, row->by, row->deployment, row->labelled ? ", deployed" : "",
            row->proven ? ", proven" : "");
        for (size_t k = 0; k < row->drifts.count; k++) {
            buf_printf(&story->text, " %s;", row->drifts.items[k]);
        }
        buf_printf(&story->text, "%s%s%s%s\n", row->note != NULL ? " " : "",
            row->note != NULL ? row->note : "", row->target != NULL ? " runs: " : "",
            row->target != NULL ? row->target->seen : "");
    }
    session_close(story, &session);
}

void
story_drift(struct story *story, struct deploy_drift_lane *lanes, size_t count)
{
    struct session session = {0};
    session_open(story, &session);
    story->err = deploy_drift(session.context, lanes, count, story->arena);
    session_close(story, &session);
}

void
story_doctor(struct story *story)
{
    static const char *const signs[] = {
        [DOCTOR_GOOD] = "+", [DOCTOR_WARNING] = "!", [DOCTOR_BAD] = "-"};
    struct session session = {0};
    struct doctor_finding *list = NULL;
    size_t count = 0;
    session_open(story, &session);
    write_documents(story);
    deploy_doctor(
        session.context, &story->request, story->arena, session.diagnostics, &list, &count);
    for (size_t i = 0; i < count; i++) {
        buf_printf(&story->text, "%s %s: %s", signs[list[i].verdict], list[i].area, list[i].text);
        buf_printf(&story->text, list[i].fix != NULL ? " => %s" : "%s",
            list[i].fix != NULL ? list[i].fix : "");
        buf_printf(&story->text, list[i].exit_code != 0 ? " (%d)\n" : "\n", list[i].exit_code);
    }
    session_close(story, &session);
}

static const char *
put_blob(struct story *story, const char *dir, const char *content)
{
    unsigned char hash[SHA256_SIZE];
    char *digest = arena_alloc(story->arena, SHA256_DIGEST_TEXT_SIZE);
    sha256_of(str_of(content), hash);
    sha256_digest_text(hash, digest);
    assert_null(file_write(
        arena_printf(story->arena, "%s/blobs/sha256/%s", dir, digest + strlen("sha256:")),
        str_of(content), 0600));
    return digest;
}

#define OCI "application/vnd.oci.image."

const char *
story_layout(struct story *story)
{
    struct arena *arena = story->arena;
    const char *dir = arena_printf(arena, "%s/layout", story->dir);
    assert_null(file_make_directories(arena_printf(arena, "%s/blobs/sha256", dir)));
    const char *layer = put_blob(story, dir, "hello");
    const char *config = arena_printf(arena,
        "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":"
        "["
        "\"%s\"]}}",
        layer);
    const char *manifest = arena_printf(arena,
        "{\"schemaVersion\":2,\"mediaType\":\"" OCI "manifest.v1+json\",\"config\":{\"mediaType\":"
        "\"" OCI "config.v1+json\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[{\"mediaType\":"
        "\"" OCI "layer.v1.tar\",\"digest\":\"%s\",\"size\":5}]}",
        put_blob(story, dir, config), strlen(config), layer);
    const char *index = arena_printf(arena,
        "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" OCI "manifest.v1+json\","
        "\"digest\":\"%s\",\"size\":%zu}]}",
        put_blob(story, dir, manifest), strlen(manifest));
    assert_null(file_write(arena_printf(arena, "%s/index.json", dir), str_of(index), 0600));
    assert_null(file_write(arena_printf(arena, "%s/oci-layout", dir),
        STR("{\"imageLayoutVersion\":\"1.0.0\"}"), 0600));
    return arena_printf(arena, "oci:%s", dir);
}

static bool
die(struct story *story, int64_t at, void (*act)(struct story *story))
{
    story->world->ticks = 0;
    story->world->crash_at = at;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        act(story);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == WORLD_CRASH_EXIT);
    story->world->crash_at = 0;
    return WEXITSTATUS(status) == WORLD_CRASH_EXIT;
}

bool
story_deploy_and_die(struct story *story, int64_t at)
{
    return die(story, at, story_deploy);
}

bool
story_resume_and_die(struct story *story, int64_t at)
{
    return die(story, at, story_resume);
}

static void
show(const struct story *story)
{
    char *text CLEANUP(xfreep) = story->err != NULL ? error_text(story->err) : xstrdup("none");
    print_error("error: %s\ndiagnostics: %s\n", text, story->diagnostics);
    if (story->d != NULL) {
        print_error("result %s unfinished %s exit %d\nmessage: %s\nhint: %s\n", story->d->result,
            story->d->unfinished, (int)story->d->exit_code, story->d->message, story->d->hint);
    }
    print_error("effects:\n%s", story->world->effects);
}

static void
expect(const struct story *story, bool holds, const char *what)
{
    if (!holds) {
        show(story);
        fail_msg("%s", what);
    }
}

static void
expect_end(const struct story *story, int exit_code, const char *message)
{
    expect(story, story->err == NULL && story->d != NULL, "an outcome, not an error");
    if (story->d->exit_code != exit_code ||
        (message != NULL && !cstr_equal(story->d->message, message))) {
        show(story);
        print_error("expected exit %d: %s\n", exit_code, message);
        fail_msg("another end");
    }
}

void
story_expect(const struct story *story, int exit_code, const char *result, const char *message)
{
    expect_end(story, exit_code, message);
    expect(story, cstr_equal(story->d->result, result), "another result");
}

void
story_expect_open(
    const struct story *story, int exit_code, const char *unfinished, const char *message)
{
    expect_end(story, exit_code, message);
    expect(story, story->d->result == NULL && cstr_equal(story->d->unfinished, unfinished),
        "another state");
}

void
story_expect_effects(const struct story *story, const char *effects)
{
    if (strcmp(story->world->effects, effects) != 0) {
        show(story);
        print_error("expected effects:\n%s", effects);
        fail_msg("other effects");
    }
}

void
story_expect_refused(
    const struct story *story, enum error_kind kind, const char *text, const char *hint)
{
    expect(story, story->err != NULL, "an error");
    char *actual CLEANUP(xfreep) = error_text(story->err);
    if (strcmp(actual, text) != 0 || error_kind(story->err) != kind ||
        (hint != NULL && !cstr_equal(error_hint_of(story->err), hint))) {
        show(story);
        print_error("kind %s, hint: %s\nexpected %s: %s\nhint: %s\n",
            error_kind_name(error_kind(story->err)), error_hint_of(story->err),
            error_kind_name(kind), text, hint);
        fail_msg("another refusal");
    }
    story_expect_effects(story, "");
}
