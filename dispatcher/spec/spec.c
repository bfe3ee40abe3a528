// The module's front: resolve, lint, and the two questions asked of dispatcher.yaml alone.
#include "dispatcher/spec.h"

#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "spec_internal.h"

static bool
env_is_fine(struct spec_documents *documents, const char *env)
{
    if (!name_is_valid(str_of(env))) {
        spec_complain(&documents->config_source, DIAGNOSTIC_ERROR, "unknown-environment", NULL,
            NULL, "'%.80s' cannot be an environment: %s", env, check_name(env));
        return false;
    }
    lint_environment_name(documents, &documents->config_source,
        spec_key_node(documents->config_root, "environments"), env);
    return true;
}

struct settings_source {
    struct spec_documents documents;
    const char *app;
    struct arena *arena;
    struct diagnostics *diagnostics;
    bool broken;
};

struct settings_source *
settings_source_new(const struct spec_document *config, const struct spec_document *app_spec,
    const char *app, struct arena *arena, struct diagnostics *diagnostics)
{
    struct settings_source *source = arena_alloc(arena, sizeof(*source));
    size_t before = diagnostics_count(diagnostics, DIAGNOSTIC_ERROR);
    source->app = app;
    source->arena = arena;
    source->diagnostics = diagnostics;
    documents_load_config(&source->documents, config, arena, diagnostics);
    documents_load_app(&source->documents, app_spec, arena, diagnostics);
    if (source->documents.app_root != NULL) {
        lint_app(&source->documents, app);
        lint_deploy(&source->documents);
    }
    lint_config(&source->documents);
    source->broken = diagnostics_count(diagnostics, DIAGNOSTIC_ERROR) > before;
    return source;
}

void
settings_source_resolve(struct settings_source *source, const char *env, struct settings **out)
{
    *out = NULL;
    size_t before = diagnostics_count(source->diagnostics, DIAGNOSTIC_ERROR);
    if (!env_is_fine(&source->documents, env) || source->broken ||
        diagnostics_count(source->diagnostics, DIAGNOSTIC_ERROR) > before) {
        return;
    }
    struct settings *settings =
        resolve_settings(&source->documents, source->app, env, source->arena);
    if (diagnostics_count(source->diagnostics, DIAGNOSTIC_ERROR) == before) {
        *out = settings;
    }
}

void
settings_resolve(const struct spec_document *config, const struct spec_document *app_spec,
    const char *app, const char *env, struct arena *arena, struct diagnostics *diagnostics,
    struct settings **out)
{
    struct settings_source *source = settings_source_new(config, app_spec, app, arena, diagnostics);
    settings_source_resolve(source, env, out);
}

void
config_specs_directory(const struct spec_document *config, struct arena *arena,
    struct diagnostics *diagnostics, const char **out)
{
    struct spec_documents *documents = arena_alloc(arena, sizeof(*documents));
    documents_load_config(documents, config, arena, diagnostics);
    *out = documents->config.specs != NULL ? documents->config.specs : "appspecs";
}

void
config_environments(const struct spec_document *config, struct arena *arena,
    struct diagnostics *diagnostics, struct str_list *out)
{
    struct spec_documents *documents = arena_alloc(arena, sizeof(*documents));
    documents_load_config(documents, config, arena, diagnostics);
    *out = documents->config.environments;
}

void
config_github(const struct spec_document *config, struct arena *arena,
    struct diagnostics *diagnostics, struct setting_github *out)
{
    struct spec_documents *documents = arena_alloc(arena, sizeof(*documents));
    documents_load_config(documents, config, arena, diagnostics);
    const struct config_github *github = &documents->config.github;
    *out =
        (struct setting_github){.api = github->api != NULL ? github->api : "https://api.github.com",
            .app_id = github->app_id,
            .app_key = github->app_key};
}

// The environments worth resolving: those listed, else those that the app itself names.
static void
lint_each_environment(struct spec_documents *documents, const char *app, struct arena *arena)
{
    const struct str_list *listed = &documents->config.environments;
    for (size_t i = 0; i < listed->count; i++) {
        (void)resolve_settings(documents, app, listed->items[i], arena);
    }
    const struct object_list *own = &documents->app.deploy.environments;
    const struct spec_environment *items = own->items;
    for (size_t i = 0; listed->count == 0 && i < own->count; i++) {
        (void)resolve_settings(documents, app, items[i].at.key, arena);
    }
}

void
spec_lint_app(const struct spec_document *config, const struct spec_document *app_spec,
    const char *app, struct diagnostics *diagnostics)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct diagnostics *of_config CLEANUP(diagnostics_freep) = diagnostics_new();
    struct spec_documents *documents = arena_alloc(arena, sizeof(*documents));
    size_t before = diagnostics_count(diagnostics, DIAGNOSTIC_ERROR);
    // What is wrong with dispatcher.yaml itself is said when that file is linted, not per app.
    documents_load_config(documents, config, arena, of_config);
    documents_load_app(documents, app_spec, arena, diagnostics);
    if (documents->app_root == NULL) {
        return;
    }
    lint_app(documents, app);
    lint_deploy(documents);
    bool fine = diagnostics_count(diagnostics, DIAGNOSTIC_ERROR) == before &&
                diagnostics_count(of_config, DIAGNOSTIC_ERROR) == 0;
    if (fine && documents->config_root != NULL) {
        documents->config_source.diagnostics = diagnostics;
        lint_each_environment(documents, app, arena);
    }
}

void
spec_lint_config(const struct spec_document *config, struct diagnostics *diagnostics)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct spec_documents *documents = arena_alloc(arena, sizeof(*documents));
    documents_load_config(documents, config, arena, diagnostics);
    if (documents->config_root != NULL) {
        lint_config(documents);
    } else if (config->text.len == 0) {
        spec_complain(&documents->config_source, DIAGNOSTIC_ERROR, "empty-document", NULL, NULL,
            "the file holds no document");
    }
}

struct late {
    const struct settings *settings;
    const struct spec_context *context;
};

static const char *
lookup_late(const void *ctx, struct str word)
{
    const struct late *late = ctx;
    const struct settings *settings = late->settings;
    const struct spec_context *context = late->context;
    const struct {
        const char *word, *value;
    } known[] = {
        {"version", context->version},
        {"digest", context->digest},
        {"sha", context->sha},
        {"tag", context->tag},
        {"service", context->service},
        {"account", settings->account != NULL ? settings->account : context->account},
        {"region", settings->region != NULL ? settings->region : context->region},
        {"prefix", settings->prefix},
        {"subdomain", settings->subdomain},
        {"worker", context->worker},
        {"worker_file", context->worker_file},
        {"app", settings->app},
        {"name", settings->name},
        {"env", settings->env},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        if (str_equal(word, str_of(known[i].word))) {
            return known[i].value;
        }
    }
    return NULL;
}

struct error *
spec_expand(const struct settings *settings, const struct spec_context *context,
    const char *template, struct arena *arena, const char **out)
{
    struct late late = {settings, context};
    size_t at = 0;
    struct str word = {0};
    while (placeholder_next(template, &at, &word)) {
        if (placeholder_is_known(word) && lookup_late(&late, word) == NULL) {
            return error_new(ERROR_SPEC, "placeholder '{%.*s}' of '%.200s' has no value",
                STR_FMT(word), template);
        }
    }
    const char *expanded = placeholder_expand(template, arena, lookup_late, &late);
    if (expanded == NULL) {
        return error_new(ERROR_SPEC, "'%.200s' has more than 64 KiB once expanded", template);
    }
    *out = expanded;
    return NULL;
}

const struct setting_service *
settings_service(const struct settings *settings, const char *key)
{
    for (size_t i = 0; i < settings->service_count; i++) {
        if (strcmp(settings->services[i].key, key) == 0) {
            return &settings->services[i];
        }
    }
    return NULL;
}
