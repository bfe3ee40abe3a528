// The context's life, the journal's place, and telling the observer.
#include <stdlib.h>
#include <string.h>

#include "deploy_internal.h"
#include "dispatcher/build.h"
#include "dispatcher/memory.h"
#include "dispatcher/text.h"

enum { EVENT_MAX = 8 * 1024 * 1024 };

// Every secret that the environment holds is masked before anything can be said, not only once a
// client is opened with it.
static void
mask_environment(const struct platform *platform)
{
    static const char *const names[] = {"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
        "GITHUB_TOKEN", "GH_TOKEN", "DISPATCHER_REGISTRY_PASSWORD", "DISPATCHER_SPECS_TOKEN",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "VAULT_TOKEN", "SLACK_BOT_TOKEN", "SLACK_WEBHOOK_URL",
        "SLACK_SIGNING_SECRET", "PAGERDUTY_ROUTING_KEY"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        const char *value = env_get(platform, names[i]);
        if (value != NULL) {
            secret_free(secret_new(str_of(value)));
        }
    }
    const char *key = env_get(platform, "DEPLOYMENT_APP_KEY");
    if (str_contains(str_of(key), STR("-----BEGIN"))) { // else it names a file
        secret_free(secret_new(str_of(key)));
    }
}

struct deploy_context *
deploy_context_new(const struct deploy_context_options *options)
{
    struct deploy_context *context = xcalloc(1, sizeof(*context));
    context->platform = options->platform;
    mask_environment(options->platform);
    context->http = options->http;
    context->ca_file = options->ca_file;
    context->proxy = options->proxy;
    context->no_proxy = options->no_proxy;
    context->state_path = options->state_path != NULL ? xstrdup(options->state_path) : NULL;
    context->live = options->live;
    context->feed = options->feed;
    context->observer = options->observer;
    context->secret_rule = options->secrets;
    return context;
}

void
context_leave(struct deploy_context *context, const char *leftovers)
{
    if (leftovers == NULL) {
        return;
    }
    size_t count = context->leftover_count + 1;
    context->leftovers = xrealloc(context->leftovers, count * sizeof(*context->leftovers));
    context->leftovers[context->leftover_count++] = xstrdup(leftovers);
}

void
context_tidy(struct deploy_context *context)
{
    for (size_t i = 0; i < context->leftover_count; i++) {
        build_remove(context->leftovers[i]);
        free(context->leftovers[i]);
    }
    free(context->leftovers);
    context->leftovers = NULL;
    context->leftover_count = 0;
}

void
deploy_context_free(struct deploy_context *context)
{
    if (context == NULL) {
        return;
    }
    context_tidy(context);
    apprunner_memory_free(context->apprunner);
    registry_client_free(context->registry);
    github_client_free(context->github);
    github_client_free(context->reports);
    free(context->reports_of);
    github_client_free(context->history);
    free(context->history_of);
    free(context->scope);
    free(context->aws_scope);
    free(context->github_scope);
    secret_reference_forget(context);
    aws_session_free(context->aws);
    store_close(context->store);
    free(context->registry_host);
    free(context->state_path);
    free(context);
}

void
deploy_context_freep(struct deploy_context **context)
{
    deploy_context_free(*context);
    *context = NULL;
}

// spec-format.md "Where state lives".
static char *
default_state_path(const struct platform *platform)
{
    const char *given = env_get(platform, "DISPATCHER_STATE");
    const char *state_home = env_get(platform, "XDG_STATE_HOME");
    const char *home = env_get(platform, "HOME");
    if (given != NULL && strcmp(given, "sqlite:") != 0) { // that is SQLite at the usual place
        return xstrdup(given);
    }
    if (state_home != NULL && state_home[0] == '/') { // XDG: relative paths are to be ignored
        return xasprintf("%s/dispatcher/state.db", state_home);
    }
    return home != NULL ? xasprintf("%s/.local/state/dispatcher/state.db", home) : NULL;
}

struct error *
deploy_state_path(const struct platform *platform, char **out)
{
    *out = default_state_path(platform);
    return *out != NULL
               ? NULL
               : error_hint(error_new(ERROR_STORAGE, "no place for the journal: HOME is not set"),
                     "Set DISPATCHER_STATE to a file path.");
}

struct error *
deploy_store(struct deploy_context *context, struct store **out)
{
    if (context->store == NULL) {
        if (context->state_path == NULL) {
            TRY(deploy_state_path(context->platform, &context->state_path));
        }
        TRY(store_open(context->state_path, &context->store));
    }
    *out = context->store;
    return NULL;
}

struct error *
deploy_load(
    struct deploy_context *context, const char *id, struct arena *arena, struct deployment **out)
{
    struct store *store = NULL;
    struct store_deployment *row = NULL;
    TRY(deploy_store(context, &store));
    TRY(store_find(store, id, arena, &row));
    if (row == NULL) {
        return error_hint(error_new(ERROR_USAGE, "there is no deployment '%.80s'", id),
            "'dispatcher history' lists the deployments that this machine knows.");
    }
    return deployment_decode(str_of(row->document), arena, out);
}

int64_t
context_tuning_ms(const struct deploy_context *context, const char *name, int64_t fallback)
{
    int64_t value = 0;
    const char *text = env_get(context->platform, name);
    bool usable = text != NULL && str_to_int64(str_of(text), &value) && value > 0;
    return usable ? value : fallback;
}

// "##[" is an old workflow command wherever it stands in a line (actions/runner ActionCommand.cs).
void
context_disarm(const char *text, struct buf *out)
{
    static const char command[] = "##[";
    for (const char *at = strstr(text, command); at != NULL; at = strstr(text, command)) {
        buf_append(out, text, (size_t)(at - text));
        buf_puts(out, "## [");
        text = at + strlen(command);
    }
    buf_puts(out, text);
}

const char *
context_masked(struct arena *arena, const char *text)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    context_disarm(text, &out);
    secret_mask(&out);
    return arena_str(arena, buf_str(&out));
}

const char *
context_clean(struct arena *arena, const char *text, size_t max)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(max + 16);
    if (text == NULL) {
        return NULL;
    }
    text_clean(str_of(text), max, &out);
    return context_masked(arena, buf_cstr(&out));
}

// Every event but those of an upload and a builder's output is also kept, so that `watch` can
// follow from another terminal.
static void
keep_event(struct deploy_context *context, const struct deploy_event *event)
{
    bool upload = event->kind == DEPLOY_EVENT_IMAGE || event->kind == DEPLOY_EVENT_PROGRESS;
    bool passing = upload || event->kind == DEPLOY_EVENT_OUTPUT;
    if (context->store == NULL || passing || event->deployment->id == NULL) {
        return;
    }
    int64_t now = clock_wall(context->platform->clock);
    struct json *object CLEANUP(json_freep) = deploy_event_json(event, now);
    struct buf text CLEANUP(buf_done) = BUF_INIT(EVENT_MAX);
    json_print(object, false, &text);
    secret_mask(&text);
    struct error *err = buf_finish(&text, "event");
    if (err == NULL) {
        err = store_add_event(context->store, event->deployment->id, buf_cstr(&text), now);
    }
    if (err != NULL) { // nothing depends on it: the journal itself is store_save
        char *problem CLEANUP(xfreep) = error_text(err);
        log_warn(context->platform->log, "event not kept", F_STR("problem", problem));
        error_free(err);
    }
}

// Kept first: whoever observes may tell others to read it.
void
context_emit(struct deploy_context *context, const struct deploy_event *event)
{
    keep_event(context, event);
    if (context->observer != NULL) {
        context->observer->event(context->observer->ctx, event);
    }
}

void
context_emit_text(struct deploy_context *context, const struct deployment *deployment,
    enum deploy_event_kind kind, const char *text)
{
    context_emit(
        context, &(struct deploy_event){.kind = kind, .deployment = deployment, .text = text});
}
