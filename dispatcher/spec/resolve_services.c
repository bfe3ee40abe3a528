// Services and what they run on: names of repositories and parameters, merged targets.
#include <string.h>

#include "dispatcher/memory.h"
#include "resolve_internal.h"

// An OCI repository name (distribution 1.1): segments of [a-z0-9] joined by '.', '_', '__', '-'s.
static bool
repository_is_valid(const char *text)
{
    size_t len = strlen(text);
    bool after_separator = true;
    for (size_t i = 0; i < len; i++) {
        bool plain = (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9');
        if (!plain && strchr("._-/", text[i]) == NULL) {
            return false;
        }
        bool run = (text[i] == '-' || text[i] == '_') && i > 0 && text[i - 1] == text[i];
        if (!plain && after_separator && !run) {
            return false;
        }
        after_separator = !plain;
    }
    return len > 0 && len <= 256 && !after_separator;
}

// An SSM parameter below nobody's reserved prefix (protocols.md T20; AWS: 15 levels, 1011 bytes).
static bool
parameter_is_valid(const char *text)
{
    static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/";
    size_t len = strlen(text), levels = 0;
    if (text[0] != '/' || len > 900 || strspn(text, set) != len) {
        return false;
    }
    struct str rest = str_of(text + 1), level = {0};
    while (str_cut(rest, '/', &level, &rest)) {
        if (level.len == 0 || str_equal(level, STR(".")) || str_equal(level, STR(".."))) {
            return false;
        }
        bool first = levels++ == 0;
        if (first &&
            ((level.len >= 3 && str_equal_nocase((struct str){level.ptr, 3}, STR("aws"))) ||
                (level.len >= 3 && str_equal_nocase((struct str){level.ptr, 3}, STR("ssm"))))) {
            return false;
        }
    }
    return levels > 0 && levels <= 15 && text[len - 1] != '/';
}

static const char *
expand_name(struct resolve *resolve, const char *key, const char *fallback,
    const struct setting_service *service, bool (*is_valid)(const char *text))
{
    const struct spec_source *source = NULL;
    const struct yaml_node *node = resolve_find(resolve, NULL, key, &source);
    const char *text = node != NULL ? node->text : fallback;
    size_t before = diagnostics_count(source->diagnostics, DIAGNOSTIC_ERROR);
    text = resolve_expand(resolve, EXPAND_EARLY, text, service->name, source, node);
    bool complained = diagnostics_count(source->diagnostics, DIAGNOSTIC_ERROR) > before;
    if (!complained && !is_valid(text)) {
        spec_complain(source, DIAGNOSTIC_ERROR, "bad-value", node, NULL,
            "'%s' of service '%.80s' would be '%.200s', which AWS does not accept", key,
            service->key, text);
    }
    resolve_origin(resolve, arena_printf(resolve->arena, "services.%s.%s", service->key, key), text,
        source, node);
    return text;
}

static bool
is_listed(const struct yaml_node *list, const char *key)
{
    const struct yaml_node *item = list != NULL ? list->first : NULL;
    while (item != NULL && !cstr_equal(yaml_text(item), key)) {
        item = item->next;
    }
    return list == NULL || item != NULL;
}

// Two services must not write one parameter or push to one repository.
static void
check_collisions(struct resolve *resolve, const char *key, bool of_parameter)
{
    const struct settings *settings = resolve->settings;
    const struct spec_source *source = NULL;
    const struct yaml_node *at = resolve_find(resolve, NULL, key, &source);
    const struct setting_service *a = NULL; // the deployable one before
    for (size_t i = 0; i < settings->service_count; i++) {
        const struct setting_service *b = &settings->services[i];
        if (!b->deployable) {
            continue;
        }
        const char *first = a == NULL ? "" : of_parameter ? a->parameter : a->repository;
        const char *second = of_parameter ? b->parameter : b->repository;
        if (a != NULL && strcmp(first, second) == 0) {
            spec_complain(source, DIAGNOSTIC_ERROR, "duplicate-value", at, "use '{service}' in it",
                "services '%.80s' and '%.80s' have the same '%s' '%.200s'", a->key, b->key, key,
                first);
        }
        a = b;
    }
}

static void
resolve_service(struct resolve *resolve, const struct spec_service *from,
    const struct yaml_node *list, struct setting_service *out)
{
    *out = (struct setting_service){.key = from->at.key,
        .name = from->name != NULL ? from->name : from->at.key,
        .image = from->image,
        .image_tag = from->image_tag,
        .dockerfile = from->dockerfile != NULL ? from->dockerfile : "./Dockerfile",
        .context = from->context != NULL ? from->context : "."};
    out->deployable =
        from->image == NULL && from->image_tag == NULL && is_listed(list, from->at.key);
    if (from->image_tag == NULL) {
        out->parameter = expand_name(
            resolve, "parameter", "/{name}/{env}/{service}/version", out, parameter_is_valid);
    }
    if (from->image == NULL) {
        out->repository =
            expand_name(resolve, "repository", "{name}-{env}-{service}", out, repository_is_valid);
    }
}

void
resolve_services(struct resolve *resolve)
{
    const struct object_list *from = &resolve->documents->app.services;
    const struct spec_service *items = from->items;
    struct settings *settings = resolve->settings;
    const struct spec_source *source = NULL;
    const struct yaml_node *list = resolve_find(resolve, "services", NULL, &source);
    settings->services = arena_array(resolve->arena, from->count, sizeof(*settings->services));
    settings->service_count = from->count;
    for (size_t i = 0; i < from->count; i++) {
        struct setting_service *out = &settings->services[i];
        resolve_service(resolve, &items[i], list, out);
        const char *key = arena_printf(resolve->arena, "services.%s.deployable", out->key);
        resolve_origin(resolve, key, out->deployable ? "true" : "false", source, list);
    }
    check_collisions(resolve, "parameter", true);
    check_collisions(resolve, "repository", false);
}

static const struct {
    const char *key;
    size_t offset;
    bool is_port;
} target_keys[] = {
    {"kind", offsetof(struct setting_target, kind), false},
    {"cluster", offsetof(struct setting_target, cluster), false},
    {"service", offsetof(struct setting_target, service), false},
    {"container", offsetof(struct setting_target, container), false},
    {"port", offsetof(struct setting_target, port), true},
    {"access_role", offsetof(struct setting_target, access_role), false},
    {"source", offsetof(struct setting_target, source), false},
    {"connection", offsetof(struct setting_target, connection), false},
    {"start", offsetof(struct setting_target, start), false},
};

// Candidates of one service, strongest first; the same blocks without a service for `target`.
struct target_layers {
    const struct yaml_node *blocks[4];
    const char *service; // NULL: for all
    const char *prefix;  // of the origins
};

static struct target_layers
layers_for(const struct resolve *resolve, const struct setting_service *service)
{
    const struct yaml_node *environment = resolve->layers[LAYER_ENVIRONMENT];
    const struct yaml_node *deploy = resolve->layers[LAYER_DEPLOY];
    struct target_layers layers = {
        .blocks = {NULL, spec_node_at(environment, "target"), NULL, spec_node_at(deploy, "target")},
        .prefix = "target"};
    if (service != NULL) {
        layers.blocks[0] = yaml_get(yaml_get(environment, "targets"), service->key);
        layers.blocks[2] = yaml_get(yaml_get(deploy, "targets"), service->key);
        layers.service = service->name;
        layers.prefix = arena_printf(resolve->arena, "services.%s.target", service->key);
    }
    return layers;
}

static bool
merge_target(
    struct resolve *resolve, const struct target_layers *layers, struct setting_target *out)
{
    const struct spec_source *source = &resolve->documents->app_source;
    const struct yaml_node *some = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(target_keys); i++) {
        const struct yaml_node *node = NULL;
        for (size_t j = 0; node == NULL && j < ARRAY_LENGTH(layers->blocks); j++) {
            node = spec_node_at(layers->blocks[j], target_keys[i].key);
        }
        if (node == NULL) {
            continue;
        }
        some = some != NULL ? some : node;
        const char *text =
            resolve_expand(resolve, EXPAND_LATE, node->text, layers->service, source, node);
        if (target_keys[i].is_port) {
            (void)str_to_int64(str_of(text), &out->port); // decoding has checked it
        } else {
            memcpy((char *)out + target_keys[i].offset, &text, sizeof(text));
        }
        resolve_origin(resolve,
            arena_printf(resolve->arena, "%s.%s", layers->prefix, target_keys[i].key), text, source,
            node);
    }
    if (some != NULL && out->kind == NULL) {
        spec_complain(source, DIAGNOSTIC_ERROR, "missing-key", some, "add 'kind: ecs'",
            "the target lacks the key 'kind'");
    }
    return some != NULL;
}

void
resolve_targets(struct resolve *resolve)
{
    struct settings *settings = resolve->settings;
    const struct yaml_node *environment = resolve->layers[LAYER_ENVIRONMENT];
    const struct yaml_node *deploy = resolve->layers[LAYER_DEPLOY];
    bool common =
        spec_node_at(environment, "target") != NULL || spec_node_at(deploy, "target") != NULL;
    if (common) {
        struct target_layers layers = layers_for(resolve, NULL);
        settings->has_target = merge_target(resolve, &layers, &settings->target);
    }
    const struct yaml_node *workers = spec_node_at(environment, "workers");
    workers = workers != NULL ? workers : spec_node_at(deploy, "workers");
    bool lacking = false;
    for (size_t i = 0; i < settings->service_count; i++) {
        struct setting_service *service = &settings->services[i];
        if (service->deployable) {
            struct target_layers layers = layers_for(resolve, service);
            service->has_target = merge_target(resolve, &layers, &service->target);
            lacking = lacking || !service->has_target;
        }
    }
    if (cstr_equal(settings->via, "direct") && lacking && workers == NULL) {
        const struct spec_source *source = NULL;
        const struct yaml_node *via = resolve_find(resolve, "via", NULL, &source);
        spec_complain(source, DIAGNOSTIC_ERROR, "missing-key", via,
            "add 'target' or 'targets' to 'deploy'",
            "'via: direct' needs a target for every service");
    }
}
