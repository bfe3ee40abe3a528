// Both documents into the effective settings of one app in one environment: precedence and
// placeholders of single values (spec-format.md, "Precedence"). Services, targets, rules and the
// steps of a rollout are resolve_*.c's.
#include <string.h>

#include "dispatcher/clock.h"
#include "dispatcher/memory.h"
#include "resolve_internal.h"

// One single value: where it may stand, what it is without, where it goes.
struct setting {
    const char *key, *deploy_path, *config_path, *fallback;
    enum expand_mode mode;
    size_t offset;                           // a const char * of struct settings
    const char *(*check)(const char *value); // once it is expanded
};

#define SETTING(member) .offset = offsetof(struct settings, member)
// The order matters: {account}, {region} and {prefix} are placeholders of what follows them.
static const struct setting texts[] = {
    {"via", "via", NULL, "workflow", EXPAND_NOT, SETTING(via)},
    {"version", "version", NULL, "sha", EXPAND_NOT, SETTING(version_from)},
    {"compression", "compression", NULL, "fast", EXPAND_NOT, SETTING(compression)},
    {"on_failure", "on_failure", NULL, "restore", EXPAND_NOT, SETTING(on_failure)},
    {"on_cancel", "on_cancel", NULL, "leave", EXPAND_NOT, SETTING(on_cancel)},
    {"on_timeout", "on_timeout", NULL, "leave", EXPAND_NOT, SETTING(on_timeout)},
    {"stale", "stale", NULL, "reject", EXPAND_NOT, SETTING(stale)},
    {"build.platform", "build.platform", NULL, NULL, EXPAND_NOT, SETTING(build_platform)},
    {"aws.region", "region", "aws.region", NULL, EXPAND_NOT, SETTING(region)},
    {"aws.account", NULL, "aws.account", NULL, EXPAND_NOT, SETTING(account)},
    {"aws.prefix", NULL, "aws.prefix", NULL, EXPAND_EARLY, SETTING(prefix), check_name},
    {"aws.role", NULL, "aws.role", NULL, EXPAND_PLACE, SETTING(role), check_arn},
    {"registry", NULL, "registry", "{account}.dkr.ecr.{region}.amazonaws.com", EXPAND_PLACE,
        SETTING(registry), check_registry},
    {"github.api", NULL, "github.api", "https://api.github.com", EXPAND_NOT, SETTING(github_api)},
    {"github.app_id", NULL, "github.app_id", NULL, EXPAND_NOT, SETTING(github_app_id)},
    {"github.app_key", NULL, "github.app_key", NULL, EXPAND_NOT, SETTING(github_app_key)},
    {"vault.address", NULL, "vault.address", NULL, EXPAND_NOT, SETTING(vault.address)},
    {"vault.namespace", NULL, "vault.namespace", NULL, EXPAND_EARLY, SETTING(vault.namespace),
        check_vault_mount},
    {"vault.auth", NULL, "vault.auth", NULL, EXPAND_NOT, SETTING(vault.auth)},
    {"vault.role", NULL, "vault.role", NULL, EXPAND_EARLY, SETTING(vault.role), check_visible},
    {"vault.mount", NULL, "vault.mount", NULL, EXPAND_NOT, SETTING(vault.mount)},
    {"vault.audience", NULL, "vault.audience", NULL, EXPAND_NOT, SETTING(vault.audience)},
    {"vault.server_id", NULL, "vault.server_id", NULL, EXPAND_NOT, SETTING(vault.server_id)},
    {"vault.sts_region", NULL, "vault.sts_region", NULL, EXPAND_NOT, SETTING(vault.sts_region)},
    {"workflow.repo", NULL, "workflow.repo", NULL, EXPAND_EARLY, SETTING(workflow_repo),
        check_repo},
    {"workflow.file", NULL, "workflow.file", "deploy-app.yaml", EXPAND_EARLY,
        SETTING(workflow_file), check_workflow_file},
    {"workflow.ref", NULL, "workflow.ref", "main", EXPAND_EARLY, SETTING(workflow_ref),
        check_branch},
    {"workflow.id_input", NULL, "workflow.id_input", "distinct_id", EXPAND_NOT,
        SETTING(workflow_id_input)},
};

const struct yaml_node *
resolve_find(const struct resolve *resolve, const char *deploy_path, const char *config_path,
    const struct spec_source **source)
{
    for (size_t i = 0; i < ARRAY_LENGTH(resolve->layers); i++) {
        bool app_side = i == LAYER_ENVIRONMENT || i == LAYER_DEPLOY;
        const char *path = app_side ? deploy_path : config_path;
        const struct yaml_node *node = path != NULL ? spec_node_at(resolve->layers[i], path) : NULL;
        if (node != NULL) {
            *source =
                app_side ? &resolve->documents->app_source : &resolve->documents->config_source;
            return node;
        }
    }
    *source = &resolve->documents->config_source;
    return NULL;
}

void
resolve_origin(struct resolve *resolve, const char *key, const char *value,
    const struct spec_source *source, const struct yaml_node *at)
{
    struct settings *settings = resolve->settings;
    if (settings->origin_count == resolve->origin_capacity) {
        size_t capacity = resolve->origin_capacity == 0 ? 64 : 2 * resolve->origin_capacity;
        struct setting_origin *more = arena_array(resolve->arena, capacity, sizeof(*more));
        if (settings->origin_count > 0) {
            memcpy(more, settings->origins, settings->origin_count * sizeof(*more));
        }
        settings->origins = more;
        resolve->origin_capacity = capacity;
    }
    settings->origins[settings->origin_count++] = (struct setting_origin){.key = key,
        .value = value,
        .file = at != NULL ? source->file : NULL,
        .line = at != NULL ? at->span.line : 0};
}

struct lookup {
    const struct settings *settings;
    const char *service;
};

static const char *
lookup_early(const void *ctx, struct str word)
{
    const struct lookup *lookup = ctx;
    const struct settings *settings = lookup->settings;
    const struct {
        const char *word, *value;
    } known[] = {
        {"app", settings->app},
        {"name", settings->name},
        {"env", settings->env},
        {"subdomain", settings->subdomain},
        {"region", settings->region},
        {"account", settings->account},
        {"prefix", settings->prefix},
        {"service", lookup->service},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        if (str_equal(word, str_of(known[i].word))) {
            return known[i].value;
        }
    }
    return NULL;
}

static bool
may_stay(enum expand_mode mode, struct str word)
{
    bool place = str_equal(word, STR("account")) || str_equal(word, STR("region"));
    bool deployment = str_equal(word, STR("version")) || str_equal(word, STR("sha")) ||
                      str_equal(word, STR("tag"));
    bool late = str_equal(word, STR("digest")) || str_equal(word, STR("service"));
    return (mode >= EXPAND_PLACE && place) || (mode >= EXPAND_DEPLOYMENT && deployment) ||
           (mode >= EXPAND_LATE && late) ||
           (mode == EXPAND_WORKER &&
               (str_equal(word, STR("worker")) || str_equal(word, STR("worker_file"))));
}

static void
complain_unset(const struct resolve *resolve, const struct spec_source *source,
    const struct yaml_node *at, struct str word)
{
    bool aws = str_equal(word, STR("account")) || str_equal(word, STR("region")) ||
               str_equal(word, STR("prefix"));
    const char *help = aws ? arena_printf(resolve->arena, "set 'aws.%.*s' in %s", STR_FMT(word),
                                 resolve->documents->config_source.file)
                           : NULL;
    spec_complain(source, DIAGNOSTIC_ERROR, aws ? "unset-placeholder" : "late-placeholder", at,
        help, aws ? "placeholder '{%.*s}' is not set" : "placeholder '{%.*s}' is not known here",
        STR_FMT(word));
}

const char *
resolve_expand(const struct resolve *resolve, enum expand_mode mode, const char *text,
    const char *service, const struct spec_source *source, const struct yaml_node *at)
{
    if (mode == EXPAND_NOT || strchr(text, '{') == NULL) {
        return text;
    }
    struct lookup lookup = {resolve->settings, service};
    const char *expanded = placeholder_expand(text, resolve->arena, lookup_early, &lookup);
    if (expanded == NULL) {
        spec_complain(source, DIAGNOSTIC_ERROR, "bad-value", at, NULL,
            "the value has more than 64 KiB once its placeholders are replaced");
        return "";
    }
    size_t from = 0;
    struct str word = {0};
    while (placeholder_next(expanded, &from, &word)) {
        if (placeholder_is_known(word) && !may_stay(mode, word)) {
            complain_unset(resolve, source, at, word);
        }
    }
    return expanded;
}

static void
resolve_text(struct resolve *resolve, const struct setting *setting)
{
    const struct spec_source *source = NULL;
    const struct yaml_node *node =
        resolve_find(resolve, setting->deploy_path, setting->config_path, &source);
    const char *text = node != NULL ? node->text : setting->fallback;
    if (text == NULL) {
        return;
    }
    text = resolve_expand(resolve, setting->mode, text, NULL, source, node);
    const char *problem =
        setting->check != NULL && !text_has_placeholder(text) ? setting->check(text) : NULL;
    if (problem != NULL) {
        spec_complain(source, DIAGNOSTIC_ERROR, "bad-value", node, NULL, "bad '%s' '%.80s': %s",
            setting->key, text, problem);
    }
    resolve_origin(resolve, setting->key, text, source, node);
    memcpy((char *)resolve->settings + setting->offset, &text, sizeof(text));
}

static void
resolve_duration(
    struct resolve *resolve, const char *key, bool is_deploy, const char *fallback, int64_t *out)
{
    const struct spec_source *source = NULL;
    const struct yaml_node *node =
        resolve_find(resolve, is_deploy ? key : NULL, is_deploy ? NULL : key, &source);
    const char *text = node != NULL ? node->text : fallback;
    (void)clock_parse_duration(str_of(text), out); // decoding has checked it
    resolve_origin(resolve, key, text, source, node);
}

// The gate is there when any layer has a part of it; what it blocks must then be said.
static void
resolve_image_scan(struct resolve *resolve)
{
    static const struct setting parts[] = {
        {"image_scan.block", "image_scan.block", NULL, NULL, EXPAND_NOT, SETTING(scan_block)},
        {"image_scan.on_missing", "image_scan.on_missing", NULL, "fail", EXPAND_NOT,
            SETTING(scan_on_missing)},
    };
    const struct spec_source *source = NULL;
    const struct yaml_node *gate = resolve_find(resolve, "image_scan", NULL, &source);
    if (gate == NULL) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        resolve_text(resolve, &parts[i]);
    }
    resolve_duration(resolve, "image_scan.wait", true, "10m", &resolve->settings->scan_wait_ms);
    if (resolve->settings->scan_block == NULL) {
        spec_complain(source, DIAGNOSTIC_ERROR, "missing-key", gate,
            "add 'block: critical', 'high', 'medium' or 'low'", "'image_scan' needs 'block'");
    }
}

static void
add_input(struct resolve *resolve, const char *name, const char *value,
    const struct spec_source *source, const struct yaml_node *at)
{
    struct pair_list *inputs = &resolve->settings->workflow_inputs;
    value = resolve_expand(resolve, EXPAND_LATE, value, NULL, source, at);
    inputs->items[inputs->count++] = (struct pair){name, value};
    resolve_origin(
        resolve, arena_printf(resolve->arena, "workflow.inputs.%s", name), value, source, at);
}

static void
resolve_inputs(struct resolve *resolve)
{
    const struct spec_source *source = NULL;
    const struct yaml_node *node = resolve_find(resolve, NULL, "workflow.inputs", &source);
    size_t room = node != NULL ? node->count : 2;
    resolve->settings->workflow_inputs.items =
        arena_array(resolve->arena, room, sizeof(struct pair));
    if (node == NULL) {
        add_input(resolve, "application", "{app}", source, NULL);
        add_input(resolve, "environment", "{env}", source, NULL);
        return;
    }
    for (const struct yaml_node *key = node->first; key != NULL; key = key->next) {
        if (!spec_node_is_empty(key->value)) {
            add_input(resolve, key->text, key->value->text, source, key->value);
        }
    }
}

// One of the maps of `build`: the strongest layer's, as a whole.
static void
resolve_build(
    struct resolve *resolve, const char *path, enum expand_mode mode, struct pair_list *out)
{
    const struct spec_source *source = NULL;
    const struct yaml_node *node = resolve_find(resolve, path, NULL, &source);
    const struct yaml_node *key = node != NULL ? node->first : NULL;
    out->items = arena_array(resolve->arena, node != NULL ? node->count : 0, sizeof(*out->items));
    for (; key != NULL; key = key->next) {
        if (spec_node_is_empty(key->value)) {
            continue;
        }
        const char *value =
            resolve_expand(resolve, mode, key->value->text, NULL, source, key->value);
        out->items[out->count++] = (struct pair){key->text, value};
        resolve_origin(resolve, arena_printf(resolve->arena, "%s.%s", path, key->text), value,
            source, key->value);
    }
}

static const char *
without_scheme(const char *registry)
{
    const char *separator = strstr(registry, "://");
    return separator != NULL ? separator + 3 : registry;
}

static void
resolve_identity(struct resolve *resolve)
{
    const struct spec_app *app = &resolve->documents->app;
    const struct spec_source *source = &resolve->documents->app_source;
    struct settings *settings = resolve->settings;
    settings->name = app->name;
    settings->title = app->title != NULL ? app->title : app->name;
    settings->repo = app->repo;
    settings->enabled = app->enabled;
    settings->subdomain = app->subdomain != NULL ? app->subdomain : app->name;
    const struct yaml_node *root = resolve->documents->app_root;
    resolve_origin(resolve, "name", app->name, source, yaml_get(root, "name"));
    resolve_origin(resolve, "title", settings->title, source, spec_node_at(root, "title"));
    if (app->repo != NULL) {
        resolve_origin(resolve, "repo", app->repo, source, yaml_get(root, "repo"));
    }
    resolve_origin(
        resolve, "enabled", app->enabled ? "true" : "false", source, spec_node_at(root, "enabled"));
}

static void
check_workflow_repo(struct resolve *resolve)
{
    const struct settings *settings = resolve->settings;
    if (cstr_equal(settings->via, "workflow") && settings->workflow_repo == NULL) {
        spec_complain(&resolve->documents->config_source, DIAGNOSTIC_ERROR, "missing-key", NULL,
            "add 'workflow: {repo: owner/infra}'", "'via: workflow' needs 'workflow.repo'");
    }
}

static const struct yaml_node *
child_of(const struct yaml_node *root, const char *map, const char *key)
{
    const struct yaml_node *node = yaml_get(yaml_get(root, map), key);
    return spec_node_is_empty(node) ? NULL : node;
}

struct settings *
resolve_settings(
    struct spec_documents *documents, const char *app, const char *env, struct arena *arena)
{
    struct settings *settings = arena_alloc(arena, sizeof(*settings));
    settings->app = arena_dup(arena, app);
    settings->env = arena_dup(arena, env);
    struct resolve resolve = {.documents = documents, .arena = arena, .settings = settings};
    const struct yaml_node *deploy = spec_node_at(documents->app_root, "deploy");
    resolve.layers[LAYER_ENVIRONMENT] = child_of(deploy, "environments", env);
    resolve.layers[LAYER_DEPLOY] = deploy;
    resolve.layers[LAYER_CONFIG_ENV] = child_of(documents->config_root, "env", env);
    resolve.layers[LAYER_CONFIG] = documents->config_root;

    resolve_identity(&resolve);
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        resolve_text(&resolve, &texts[i]);
    }
    settings->registry = without_scheme(settings->registry);
    settings->create_repository = documents->config.create_repository;
    resolve_origin(&resolve, "create_repository", settings->create_repository ? "true" : "false",
        &documents->config_source, spec_node_at(documents->config_root, "create_repository"));
    resolve_inputs(&resolve);
    resolve_build(&resolve, "build.args", EXPAND_LATE, &settings->build_args);
    resolve_build(&resolve, "build.secrets", EXPAND_NOT, &settings->build_secrets);
    resolve_duration(&resolve, "workflow.timeout", false, "30m", &settings->workflow_timeout_ms);
    resolve_duration(
        &resolve, "workflow.queue_timeout", false, "30m", &settings->workflow_queue_timeout_ms);
    resolve_image_scan(&resolve);
    check_workflow_repo(&resolve);
    settings->is_production = environment_is_production(documents, env);
    resolve_rules(&resolve);
    resolve_policy(&resolve);
    resolve_services(&resolve);
    resolve_targets(&resolve);
    resolve_workers(&resolve);
    target_check_needs(&resolve);
    resolve_steps(&resolve);
    resolve_notify(&resolve);
    resolve_rest(&resolve);
    return settings;
}
