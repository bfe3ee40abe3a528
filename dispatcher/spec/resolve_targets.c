// What services and workers run on: blocks merged key by key, maps name by name, for the kind that
// comes out. What a merged target lacks is resolve_target_rules.c's.
#include <string.h>

#include "dispatcher/clock.h"
#include "dispatcher/memory.h"
#include "resolve_internal.h"

enum { LAYERS = ARRAY_LENGTH(((struct target_layers *)NULL)->blocks) };

// One target while it is merged.
struct merge {
    struct resolve *resolve;
    const struct target_layers *layers;
    const struct spec_source *source;
    struct setting_target *out;
    const struct yaml_node *some;
};

static void
note_origin(struct merge *merge, const char *path, const char *value, const struct yaml_node *at)
{
    const char *key = arena_printf(merge->resolve->arena, "%s.%s", merge->layers->prefix, path);
    resolve_origin(merge->resolve, key, value, merge->source, at);
}

static const char *
expand(struct merge *merge, const struct target_key *key, const char *label,
    const struct yaml_node *node)
{
    enum expand_mode mode =
        key->mode == EXPAND_LATE && merge->layers->of_worker ? EXPAND_WORKER : key->mode;
    const char *text = resolve_expand(
        merge->resolve, mode, node->text, merge->layers->service, merge->source, node);
    const char *problem =
        key->check != NULL && !text_has_placeholder(text) ? key->check(text) : NULL;
    if (problem != NULL) {
        spec_complain(merge->source, DIAGNOSTIC_ERROR, "bad-value", node, NULL,
            "bad '%s' '%.80s': %s", label, text, problem);
    }
    return text;
}

static bool
is_named_before(
    const struct target_layers *layers, size_t layer, const char *path, const char *name)
{
    for (size_t i = 0; i < layer; i++) {
        const struct yaml_node *map = spec_node_at(layers->blocks[i], path);
        if (!spec_node_is_empty(yaml_get(map, name))) {
            return true;
        }
    }
    return false;
}

// Weakest layer first; a name stands where the strongest layer that says it comes.
static void
merge_map(struct merge *merge, const struct target_key *key)
{
    struct pair_list list = {0};
    size_t room = 0;
    for (size_t i = 0; i < LAYERS; i++) {
        const struct yaml_node *map = spec_node_at(merge->layers->blocks[i], key->path);
        room += map != NULL ? map->count : 0;
    }
    list.items = arena_array(merge->resolve->arena, room, sizeof(*list.items));
    for (size_t i = LAYERS; i-- > 0;) {
        const struct yaml_node *map = spec_node_at(merge->layers->blocks[i], key->path);
        for (const struct yaml_node *at = map != NULL ? map->first : NULL; at != NULL;
             at = at->next) {
            if (spec_node_is_empty(at->value) ||
                is_named_before(merge->layers, i, key->path, at->text)) {
                continue;
            }
            const char *value = expand(merge, key, at->text, at->value);
            list.items[list.count++] = (struct pair){at->text, value};
            const char *path = arena_printf(merge->resolve->arena, "%s.%s", key->path, at->text);
            note_origin(merge, path, value, at->value);
        }
    }
    memcpy((char *)merge->out + key->offset, &list, sizeof(list));
}

// Decoding has checked the form of numbers, durations and truths.
static void
merge_value(struct merge *merge, const struct target_key *key, const struct yaml_node *node)
{
    char *slot = (char *)merge->out + key->offset;
    const char *text = node->text;
    int64_t number = 0;
    bool truth = strcmp(node->text, "true") == 0;
    switch (key->form) {
    case TARGET_TEXT:
        text = expand(merge, key, key->path, node);
        memcpy(slot, &text, sizeof(text));
        break;
    case TARGET_NUMBER:
        (void)str_to_int64(str_of(text), &number);
        memcpy(slot, &number, sizeof(number));
        break;
    case TARGET_DURATION:
        (void)clock_parse_duration(str_of(text), &number);
        memcpy(slot, &number, sizeof(number));
        break;
    case TARGET_TRUTH:
        memcpy(slot, &truth, sizeof(truth));
        break;
    case TARGET_MAP:
        BUG_ON(true);
    }
    note_origin(merge, key->path, text, node);
}

// A key that the kind does not take is worth a word where it was written for this target alone and
// lint has not said so; what a shared block holds for other targets is not.
static void
leave_out(struct merge *merge, const struct target_key *key, bool for_kind)
{
    for (size_t i = 0; i < LAYERS; i++) {
        const struct yaml_node *block = merge->layers->blocks[i];
        const struct yaml_node *at = target_key_node(block, key);
        if (at == NULL || !merge->layers->own[i] || spec_node_is_empty(at->value)) {
            continue;
        }
        if (!for_kind) {
            bool code = key->sources == TARGET_OF_CODE;
            spec_complain(merge->source, DIAGNOSTIC_WARNING, "target-key-unused", at,
                code ? "add 'source: code'" : NULL, "'%s' has no meaning with 'source: %s'",
                key->path, merge->out->source);
        } else if (spec_node_at(block, "kind") == NULL) {
            target_complain_unused(merge->source, key, at, merge->out->kind);
        }
    }
}

static const struct yaml_node *
strongest(const struct target_layers *layers, const char *path)
{
    const struct yaml_node *node = NULL;
    for (size_t i = 0; node == NULL && i < LAYERS; i++) {
        node = spec_node_at(layers->blocks[i], path);
    }
    return node;
}

static void
merge_key(struct merge *merge, const struct target_key *key)
{
    const struct yaml_node *node = strongest(merge->layers, key->path);
    unsigned kind = target_kind_bit(merge->out->kind);
    unsigned source = strcmp(merge->out->source, "code") == 0 ? TARGET_OF_CODE : TARGET_OF_IMAGE;
    if (node == NULL) {
        return;
    }
    merge->some = merge->some != NULL ? merge->some : node;
    if (merge->out->kind == NULL) {
        return;
    }
    if ((key->kinds & kind) == 0 || (key->sources & source) == 0) {
        leave_out(merge, key, (key->kinds & kind) == 0);
    } else if (key->form == TARGET_MAP) {
        merge_map(merge, key);
    } else {
        merge_value(merge, key, node);
    }
}

bool
target_merge(struct resolve *resolve, const struct target_layers *layers,
    struct setting_target *out, const struct yaml_node **some)
{
    struct merge merge = {.resolve = resolve,
        .layers = layers,
        .source = &resolve->documents->app_source,
        .out = out};
    *out = (struct setting_target){.source = "image", .is_public = true};
    const struct yaml_node *kind = strongest(layers, "kind");
    if (kind != NULL) {
        out->kind = kind->text;
        merge.some = kind;
        note_origin(&merge, "kind", out->kind, kind);
    }
    for (size_t i = 0; target_key_at(i) != NULL; i++) {
        merge_key(&merge, target_key_at(i));
    }
    bool takes_checks = target_kind_bit(out->kind) == TARGET_OF_APPRUNNER ||
                        target_kind_bit(out->kind) == TARGET_OF_EXPRESS;
    out->has_health_check = takes_checks && strongest(layers, "health_check") != NULL;
    out->has_public =
        target_kind_bit(out->kind) == TARGET_OF_APPRUNNER && strongest(layers, "public") != NULL;
    *some = merge.some;
    return merge.some != NULL;
}

static struct target_layers
layers_for(const struct resolve *resolve, const struct setting_service *service)
{
    const struct yaml_node *environment = resolve->layers[LAYER_ENVIRONMENT];
    const struct yaml_node *deploy = resolve->layers[LAYER_DEPLOY];
    struct target_layers layers = {
        .blocks = {NULL, spec_node_at(environment, "target"), NULL, spec_node_at(deploy, "target")},
        .own = {true, true, true, true},
        .prefix = "target"};
    if (service != NULL) {
        layers.blocks[0] = yaml_get(yaml_get(environment, "targets"), service->key);
        layers.blocks[2] = yaml_get(yaml_get(deploy, "targets"), service->key);
        layers.own[1] = layers.own[3] = false;
        layers.service = service->name;
        layers.prefix = arena_printf(resolve->arena, "services.%s.target", service->key);
    }
    return layers;
}

static void
resolve_service_target(struct resolve *resolve, struct setting_service *service)
{
    struct target_layers layers = layers_for(resolve, service);
    const struct spec_service *written = service_of(resolve->documents, service->key);
    const struct yaml_node *some = NULL;
    service->has_target = target_merge(resolve, &layers, &service->target, &some);
    if (!service->has_target) {
        return;
    }
    bool takes_path =
        (target_kind_bit(service->target.kind) & (TARGET_OF_APPRUNNER | TARGET_OF_EXPRESS)) != 0;
    if (takes_path && service->target.health_check.path == NULL) {
        service->target.health_check.path = written->health_check_path;
    }
    service->has_image = strcmp(service->target.source, "code") != 0;
    target_check(resolve, &layers, &service->target, some);
}

void
resolve_targets(struct resolve *resolve)
{
    struct settings *settings = resolve->settings;
    struct target_layers layers = layers_for(resolve, NULL);
    const struct yaml_node *some = NULL;
    bool used = false;
    for (size_t i = 0; i < settings->service_count; i++) {
        struct setting_service *service = &settings->services[i];
        if (service->deployable) {
            resolve_service_target(resolve, service);
            used = true;
        }
    }
    settings->has_target = target_merge(resolve, &layers, &settings->target, &some);
    if (settings->has_target && settings->target.kind == NULL) {
        settings->has_target = false; // `targets` say the rest, or there is nothing to say it for
        if (!used) {
            target_check(resolve, &layers, &settings->target, some);
        }
    }
}

static void
resolve_worker_target(struct resolve *resolve)
{
    struct setting_workers *workers = &resolve->settings->workers;
    const struct yaml_node *some = NULL;
    struct target_layers layers = {
        .blocks = {spec_node_at(resolve->layers[LAYER_ENVIRONMENT], "workers.target"),
            spec_node_at(resolve->layers[LAYER_DEPLOY], "workers.target")},
        .own = {true, true, true, true},
        .prefix = "workers.target",
        .of_worker = true};
    if (!target_merge(resolve, &layers, &workers->target, &some)) {
        return;
    }
    if (workers->target.service == NULL && workers->target.kind != NULL) {
        workers->target.service = resolve_expand(resolve, EXPAND_WORKER, "{name}-{env}-{worker}",
            NULL, &resolve->documents->app_source, NULL);
        resolve_origin(resolve, "workers.target.service", workers->target.service,
            &resolve->documents->app_source, NULL);
    }
    target_check(resolve, &layers, &workers->target, some);
}

// A single value of `workers`, or NULL.
static const char *
worker_value(struct resolve *resolve, const char *path)
{
    const struct spec_source *source = NULL;
    const struct yaml_node *node = resolve_find(resolve, path, NULL, &source);
    if (node == NULL) {
        return NULL;
    }
    resolve_origin(resolve, path, node->text, source, node);
    return node->text;
}

void
resolve_workers(struct resolve *resolve)
{
    struct setting_workers *workers = &resolve->settings->workers;
    const struct spec_source *source = NULL;
    const struct yaml_node *block = resolve_find(resolve, "workers", NULL, &source);
    workers->target = (struct setting_target){.source = "image", .is_public = true};
    if (block == NULL) {
        return;
    }
    resolve->settings->has_workers = true;
    workers->files = worker_value(resolve, "workers.files");
    workers->remove_orphans = cstr_equal(worker_value(resolve, "workers.remove_orphans"), "true");
    workers->workflow_input = worker_value(resolve, "workers.workflow_input");
    if (workers->files == NULL) {
        spec_complain(source, DIAGNOSTIC_ERROR, "missing-key", block,
            "add 'files: \"src/workers/*.ts\"'", "'workers' needs 'files'");
    }
    resolve_worker_target(resolve);
}
