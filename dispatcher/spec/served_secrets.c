// Which secrets what is read from the infra repository may name where a service deploys: those of
// its machine only as its operator lists them, and never its own. Looks at words, opens nothing.
#include <string.h>

#include "dispatcher/memory.h"
#include "resolve_internal.h"

static const char *
after(const char *reference, const char *kind)
{
    size_t len = strlen(kind);
    return strncmp(reference, kind, len) == 0 ? reference + len : NULL;
}

// One spelling of a path: absolute, and nothing in it that leads up or nowhere.
static bool
is_plain_path(const char *path)
{
    struct str rest = str_skip(str_of(path), 1), segment = {0};
    if (path[0] != '/' || path[strlen(path) - 1] == '/') {
        return false;
    }
    while (str_cut(rest, '/', &segment, &rest)) {
        if (segment.len == 0 || str_equal(segment, STR(".")) || str_equal(segment, STR(".."))) {
            return false;
        }
    }
    return true;
}

static bool
is_listed_file(const struct str_list *patterns, const char *path)
{
    for (size_t i = 0; i < patterns->count; i++) {
        if (environments_match(patterns->items[i], path)) {
            return is_plain_path(path);
        }
    }
    return false;
}

const char *
spec_secret_refusal(
    const struct setting_secrets *allowed, const char *reference, struct arena *arena)
{
    const char *name = after(reference, "env:"), *path = after(reference, "file:");
    bool listed = name != NULL   ? str_list_has(&allowed->env, name)
                  : path != NULL ? is_listed_file(&allowed->files, path)
                                 : true; // a store, which asks for credentials itself
    if (listed && !str_list_has(&allowed->own, reference)) {
        return NULL;
    }
    return arena_printf(arena,
        "'%.200s' is not among the secrets that specs may name ('server.secrets' of the service)",
        reference);
}

// --- in the documents ----------------------------------------------------------------------------

struct look {
    const struct spec_source *source;
    const struct setting_secrets *allowed;
    const struct object_list *merged_over; // sinks of the organisation; NULL: these are they
};

static void
check_reference(const struct look *look, const struct yaml_node *at, const char *reference)
{
    const char *refusal = reference != NULL
                              ? spec_secret_refusal(look->allowed, reference, look->source->arena)
                              : NULL;
    if (refusal != NULL) {
        spec_complain(look->source, DIAGNOSTIC_ERROR, "secret-not-allowed", at,
            SPEC_SECRET_ALLOWED_BY, "%s", refusal);
    }
}

static bool
is_known(const struct object_list *sinks, const char *name)
{
    const struct spec_sink *items = sinks != NULL ? sinks->items : NULL;
    for (size_t i = 0; sinks != NULL && i < sinks->count; i++) {
        if (cstr_equal(items[i].at.key, name)) {
            return true;
        }
    }
    return false;
}

// What a sink takes where it says nothing, and no wider place may have said it.
static const char *
unsaid(const struct look *look, const struct spec_sink *sink)
{
    bool slack = cstr_equal(sink->kind, "slack"), pages = cstr_equal(sink->kind, "pagerduty");
    if (is_known(look->merged_over, sink->at.key)) {
        return NULL;
    }
    if (slack && sink->token == NULL && sink->webhook == NULL) {
        return SPEC_SLACK_TOKEN;
    }
    return pages && sink->routing_key == NULL ? SPEC_PAGERDUTY_KEY : NULL;
}

static void
check_sinks(const struct look *look, const struct object_list *sinks)
{
    const struct spec_sink *items = sinks->items;
    for (size_t i = 0; i < sinks->count; i++) {
        const struct spec_sink *sink = &items[i];
        const struct {
            const char *key, *value;
        } references[] = {{"token", sink->token}, {"webhook", sink->webhook},
            {"secret", sink->secret}, {"routing_key", sink->routing_key}};
        for (size_t j = 0; j < ARRAY_LENGTH(references); j++) {
            const struct yaml_node *at = spec_node_at(sink->at.node, references[j].key);
            check_reference(look, at, references[j].value);
        }
        check_reference(look, sink->at.node, unsaid(look, sink));
    }
}

// Most specs have no sinks of their own, and parsing costs; a key may be written with escapes.
static bool
may_have_sinks(const struct spec_document *document)
{
    return str_contains(document->text, STR("sinks")) ||
           memchr(document->text.ptr, '\\', document->text.len) != NULL;
}

void
spec_lint_served_config(const struct spec_document *config, const struct setting_secrets *allowed,
    struct diagnostics *diagnostics)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct spec_documents *documents = arena_alloc(arena, sizeof(*documents));
    if (config->text.len == 0 || !may_have_sinks(config)) {
        return;
    }
    documents_load_config(documents, config, arena, diagnostics);
    const struct look look = {.source = &documents->config_source, .allowed = allowed};
    check_sinks(&look, &documents->config.notify.sinks);
}

void
spec_lint_served_app(const struct spec_document *config, const struct spec_document *app_spec,
    const struct setting_secrets *allowed, struct diagnostics *diagnostics)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct diagnostics *of_config CLEANUP(diagnostics_freep) = diagnostics_new();
    struct spec_documents *documents = arena_alloc(arena, sizeof(*documents));
    if (!may_have_sinks(app_spec)) {
        return;
    }
    documents_load_config(documents, config, arena, of_config);
    documents_load_app(documents, app_spec, arena, diagnostics);
    const struct spec_deploy *deploy = &documents->app.deploy;
    const struct spec_environment *environments = deploy->environments.items;
    struct look look = {.source = &documents->app_source,
        .allowed = allowed,
        .merged_over = &documents->config.notify.sinks};
    check_sinks(&look, &deploy->behaviour.notify.sinks);
    for (size_t i = 0; i < deploy->environments.count; i++) {
        // An environment's sink is merged over that of `deploy`, too, which was looked at.
        const struct object_list *own = &environments[i].behaviour.notify.sinks;
        check_sinks(&look, own);
    }
}
