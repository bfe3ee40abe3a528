// What surrounds a rollout: the migration before it, its order, the checks after it, and how a
// rollback behaves. Merged key by key; lists are the strongest layer's, as a whole.
#include <string.h>

#include "dispatcher/clock.h"
#include "dispatcher/memory.h"
#include "resolve_internal.h"

static void
resolve_time(struct resolve *resolve, const char *path, const char *fallback, int64_t *out)
{
    const struct spec_source *source = NULL;
    const struct yaml_node *node = resolve_find(resolve, path, NULL, &source);
    const char *text = node != NULL ? node->text : fallback;
    (void)clock_parse_duration(str_of(text), out); // decoding has checked it
    resolve_origin(resolve, path, text, source, node);
}

static void
resolve_number(struct resolve *resolve, const char *path, const char *fallback, int64_t *out)
{
    const struct spec_source *source = NULL;
    const struct yaml_node *node = resolve_find(resolve, path, NULL, &source);
    const char *text = node != NULL ? node->text : fallback;
    (void)str_to_int64(str_of(text), out); // decoding has checked it
    resolve_origin(resolve, path, text, source, node);
}

static struct str_list
resolve_list(struct resolve *resolve, const char *path, enum expand_mode mode)
{
    const struct spec_source *source = NULL;
    const struct yaml_node *node = resolve_find(resolve, path, NULL, &source);
    struct str_list out = {0};
    out.items = arena_array(resolve->arena, node != NULL ? node->count : 0, sizeof(*out.items));
    for (const struct yaml_node *at = node != NULL ? node->first : NULL; at != NULL;
         at = at->next) {
        const char *key = arena_printf(resolve->arena, "%s[%zu]", path, out.count);
        out.items[out.count] = resolve_expand(resolve, mode, at->text, NULL, source, at);
        resolve_origin(resolve, key, out.items[out.count++], source, at);
    }
    return out;
}

static const struct setting_service *
service_with_key(const struct settings *settings, const char *key)
{
    for (size_t i = 0; i < settings->service_count; i++) {
        if (strcmp(settings->services[i].key, key) == 0) {
            return &settings->services[i];
        }
    }
    return NULL;
}

// Without `service`: the only one that could be meant.
static const struct setting_service *
choose_migrated(struct resolve *resolve, const struct yaml_node *block)
{
    const struct settings *settings = resolve->settings;
    const struct spec_source *source = NULL;
    const struct yaml_node *node = resolve_find(resolve, "migrate.service", NULL, &source);
    const struct setting_service *only = NULL;
    size_t count = 0;
    if (node != NULL) {
        resolve_origin(resolve, "migrate.service", node->text, source, node);
        return service_with_key(settings, node->text); // lint knows that it exists
    }
    for (size_t i = 0; i < settings->service_count; i++) {
        only = settings->services[i].deployable ? &settings->services[i] : only;
        count += settings->services[i].deployable ? 1 : 0;
    }
    if (count != 1) {
        spec_complain(&resolve->documents->app_source, DIAGNOSTIC_ERROR, "missing-key", block,
            "say whose image and network the migration uses",
            "'migrate' needs 'service': %zu services are deployed", count);
        return NULL;
    }
    resolve_origin(resolve, "migrate.service", only->key, source, NULL);
    return only;
}

// A task is ECS's; App Runner has no such thing.
static void
check_migrated(const struct resolve *resolve, const struct setting_service *service,
    const struct yaml_node *block)
{
    const struct spec_source *source = &resolve->documents->app_source;
    unsigned kind = target_kind_bit(service->target.kind);
    if (!service->deployable) {
        spec_complain(source, DIAGNOSTIC_ERROR, "pinned-service", block, NULL,
            "'migrate' needs a service that is deployed; '%.80s' is not", service->key);
    } else if (!service->has_target) {
        spec_complain(source, DIAGNOSTIC_ERROR, "missing-key", block,
            "add 'target' or 'targets' to 'deploy'", "'migrate' needs a target for service '%.80s'",
            service->key);
    } else if (kind == TARGET_OF_APPRUNNER) {
        spec_complain(source, DIAGNOSTIC_ERROR, "bad-value", block,
            "run the migration elsewhere, or move the service to ECS",
            "'migrate' runs a task of ECS; service '%.80s' is on App Runner", service->key);
    }
}

static void
resolve_migrate(struct resolve *resolve)
{
    struct settings *settings = resolve->settings;
    struct setting_migrate *migrate = &settings->migrate;
    const struct spec_source *source = NULL;
    const struct yaml_node *block = resolve_find(resolve, "migrate", NULL, &source);
    if (block == NULL) {
        return;
    }
    settings->has_migrate = true;
    migrate->command = resolve_list(resolve, "migrate.command", EXPAND_LATE);
    resolve_time(resolve, "migrate.timeout", "10m", &migrate->timeout_ms);
    if (migrate->command.count == 0) {
        spec_complain(source, DIAGNOSTIC_ERROR, "missing-key", block,
            "add 'command: [program, argument]'", "'migrate' needs 'command'");
    }
    const struct setting_service *service = choose_migrated(resolve, block);
    if (service != NULL) {
        migrate->service = service->key;
        check_migrated(resolve, service, block);
    }
}

static void
verify_origin(struct resolve *resolve, size_t index, const char *key, const char *value,
    const struct spec_source *source, const struct yaml_node *at)
{
    resolve_origin(
        resolve, arena_printf(resolve->arena, "verify[%zu].%s", index, key), value, source, at);
}

static void
resolve_check(struct resolve *resolve, const struct spec_source *source,
    const struct yaml_node *from, size_t index, struct setting_verify *out)
{
    const struct yaml_node *url = yaml_get(from, "url"), *expect = spec_node_at(from, "expect");
    const struct yaml_node *within = spec_node_at(from, "within"),
                           *body = spec_node_at(from, "body");
    out->url = resolve_expand(resolve, EXPAND_LATE, url->text, NULL, source, url);
    verify_origin(resolve, index, "url", out->url, source, url);
    const char *problem = text_has_placeholder(out->url) ? NULL : check_url(out->url);
    if (problem != NULL) {
        spec_complain(source, DIAGNOSTIC_ERROR, "bad-value", url, NULL, "bad 'url' '%.80s': %s",
            out->url, problem);
    }
    const char *status = expect != NULL ? expect->text : "200";
    (void)str_to_int64(str_of(status), &out->expect);
    verify_origin(resolve, index, "expect", status, source, expect);
    const char *time = within != NULL ? within->text : "5m";
    (void)clock_parse_duration(str_of(time), &out->within_ms);
    verify_origin(resolve, index, "within", time, source, within);
    out->body.items =
        arena_array(resolve->arena, body != NULL ? body->count : 0, sizeof(struct pair));
    for (const struct yaml_node *at = body != NULL ? body->first : NULL; at != NULL;
         at = at->next) {
        if (spec_node_is_empty(at->value)) {
            continue;
        }
        const char *value =
            resolve_expand(resolve, EXPAND_LATE, at->value->text, NULL, source, at->value);
        out->body.items[out->body.count++] = (struct pair){at->text, value};
        verify_origin(resolve, index, arena_printf(resolve->arena, "body.%s", at->text), value,
            source, at->value);
    }
}

static void
resolve_verify(struct resolve *resolve)
{
    struct settings *settings = resolve->settings;
    const struct spec_source *source = NULL;
    const struct yaml_node *list = resolve_find(resolve, "verify", NULL, &source);
    settings->verify =
        arena_array(resolve->arena, list != NULL ? list->count : 0, sizeof(*settings->verify));
    for (const struct yaml_node *at = list != NULL ? list->first : NULL; at != NULL;
         at = at->next) {
        size_t index = settings->verify_count++;
        resolve_check(resolve, source, at, index, &settings->verify[index]);
    }
    if (list != NULL && list->count == 0) {
        resolve_origin(resolve, "verify", "[]", source, list);
    }
}

// Environments alone say how they are rolled back.
static void
resolve_rollback(struct resolve *resolve)
{
    struct settings *settings = resolve->settings;
    const struct spec_source *source = &resolve->documents->app_source;
    const struct yaml_node *environment = resolve->layers[LAYER_ENVIRONMENT];
    const struct yaml_node *lock = spec_node_at(environment, "rollback.lock");
    const struct yaml_node *keep = spec_node_at(environment, "rollback.keep");
    settings->rollback_lock = lock != NULL && strcmp(lock->text, "true") == 0;
    resolve_origin(
        resolve, "rollback.lock", settings->rollback_lock ? "true" : "false", source, lock);
    (void)str_to_int64(str_of(keep != NULL ? keep->text : "10"), &settings->rollback_keep);
    resolve_origin(resolve, "rollback.keep", keep != NULL ? keep->text : "10", source, keep);
}

void
resolve_steps(struct resolve *resolve)
{
    struct setting_rollout *rollout = &resolve->settings->rollout;
    resolve_migrate(resolve);
    resolve_number(resolve, "rollout.parallel", "4", &rollout->parallel);
    rollout->order = resolve_list(resolve, "rollout.order", EXPAND_NOT);
    resolve_time(resolve, "rollout.timeout", "30m", &rollout->timeout_ms);
    resolve_verify(resolve);
    resolve_rollback(resolve);
}
