// What an app spec's values mean together: names, services, secrets (facts/appspec.md).
// The `deploy` block is lint_deploy.c's.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "spec_internal.h"

struct named {
    const char *name;
    const struct yaml_node *at;
};

static int
compare_named(const void *left, const void *right)
{
    const struct named *a = left, *b = right;
    int order = strcmp(a->name, b->name);
    return order != 0
               ? order
               : (a->at->span.line > b->at->span.line) - (a->at->span.line < b->at->span.line);
}

static const char *
service_name(const struct spec_service *service)
{
    return service->name != NULL ? service->name : service->at.key;
}

// Two services with one name would share a repository and a version parameter.
static void
check_service_names(const struct spec_source *source, const struct spec_app *app)
{
    const struct spec_service *services = app->services.items;
    size_t count = app->services.count;
    struct named *names = arena_array(source->arena, count, sizeof(*names));
    for (size_t i = 0; i < count; i++) {
        const struct yaml_node *key =
            spec_key_node(yaml_get(app->at.node, "services"), services[i].at.key);
        const struct yaml_node *own = yaml_get(services[i].at.node, "name");
        names[i] = (struct named){service_name(&services[i]), own != NULL ? own : key};
    }
    qsort(names, count, sizeof(*names), compare_named);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(names[i].name, names[i - 1].name) == 0) {
            spec_complain(source, DIAGNOSTIC_ERROR, "duplicate-value", names[i].at,
                arena_printf(source->arena, "the other on line %u", names[i - 1].at->span.line),
                "two services have the name '%.80s'", names[i].name);
        }
    }
}

static void
check_service_key(const struct spec_source *source, const struct spec_app *app,
    const struct spec_service *service)
{
    bool refused = check_key_name(service->at.key) != NULL; // the decoder has said so
    if (!refused && !name_is_valid(str_of(service->at.key)) &&
        yaml_get(service->at.node, "name") == NULL) {
        spec_complain(source, DIAGNOSTIC_ERROR, "bad-key",
            spec_key_node(yaml_get(app->at.node, "services"), service->at.key),
            "give the service a 'name'", "'%.80s' cannot be the name of a service: %s",
            service->at.key, check_name(service->at.key));
    }
}

static void
check_service_image(const struct spec_source *source, const struct spec_service *service)
{
    if (service->repository_arn != NULL && yaml_get(service->at.node, "image") == NULL) {
        spec_complain(source, DIAGNOSTIC_WARNING, "repository-arn-unused",
            spec_key_node(service->at.node, "repository_arn"), NULL,
            "'repository_arn' without 'image' in service '%.80s'", service->at.key);
    }
    if (cstr_equal(service->image_tag, "latest")) {
        spec_complain(source, DIAGNOSTIC_WARNING, "latest-tag",
            yaml_get(service->at.node, "image_tag"), "pin a version, or remove 'image_tag'",
            "'image_tag: latest' of service '%.80s' cannot be proven", service->at.key);
    }
}

static void
check_service_ports(const struct spec_source *source, const struct spec_service *service)
{
    const struct yaml_node *item = yaml_get(service->at.node, "ports");
    item = item != NULL && item->kind == YAML_SEQUENCE ? item->first : NULL;
    for (; item != NULL; item = item->next) {
        int64_t port = 0;
        const char *text = yaml_text(item);
        if (text != NULL && str_to_int64(str_of(text), &port) && port == service->expose) {
            spec_complain(source, DIAGNOSTIC_NOTE, "port-repeated", item, "harmless",
                "port %lld of service '%.80s' is exposed already", (long long)port,
                service->at.key);
        }
    }
}

static const struct spec_secret *
find_secret(const struct spec_app *app, const char *key)
{
    const struct spec_secret *secrets = app->secrets.items;
    for (size_t i = 0; i < app->secrets.count; i++) {
        if (strcmp(secrets[i].at.key, key) == 0) {
            return &secrets[i];
        }
    }
    return NULL;
}

static void
complain_undefined(const struct spec_source *source, const struct spec_app *app,
    const struct yaml_node *at, const char *name)
{
    const struct spec_secret *secrets = app->secrets.items;
    const char **names = arena_array(source->arena, app->secrets.count + 1, sizeof(*names));
    for (size_t i = 0; i < app->secrets.count; i++) {
        names[i] = secrets[i].at.key;
    }
    spec_complain(source, DIAGNOSTIC_ERROR, "undefined-secret", at,
        spec_did_you_mean(source, name, names), "secret '%.80s' is not defined in 'secrets'", name);
}

static void
check_secret_key(const struct spec_source *source, const struct spec_secret *secret,
    const struct spec_env_secret *use)
{
    const struct yaml_node *at = yaml_get(use->at.node, "key");
    if (use->secret_key == NULL) {
        return;
    }
    if (cstr_equal(secret->type, "string")) {
        spec_complain(source, DIAGNOSTIC_WARNING, "secret-key-unused", at, NULL,
            "'key' of a secret of type 'string': '%.80s'", secret->at.key);
    } else if (secret->keys.count > 0 && !str_list_has(&secret->keys, use->secret_key)) {
        spec_complain(source, DIAGNOSTIC_WARNING, "undefined-secret-key", at, NULL,
            "secret '%.80s' lists no key '%.80s'", secret->at.key, use->secret_key);
    }
}

static void
check_service_secrets(const struct spec_source *source, const struct spec_app *app,
    const struct spec_service *service)
{
    const struct spec_env_secret *uses = service->secrets.items;
    for (size_t i = 0; i < service->secrets.count; i++) {
        const char *name = uses[i].name != NULL ? uses[i].name : uses[i].at.key;
        const struct spec_secret *secret = find_secret(app, name);
        if (secret != NULL) {
            check_secret_key(source, secret, &uses[i]);
            continue;
        }
        const struct yaml_node *at = yaml_get(uses[i].at.node, "name");
        const struct yaml_node *map = yaml_get(service->at.node, "secrets");
        complain_undefined(source, app, at != NULL ? at : spec_key_node(map, uses[i].at.key), name);
    }
}

static void
check_stem(const struct spec_source *source, const struct spec_app *app, const char *stem)
{
    if (!name_is_valid(str_of(stem))) {
        spec_complain(source, DIAGNOSTIC_ERROR, "bad-file-name", NULL, NULL,
            "the file stem '%.80s' cannot name an app: %s", stem, check_name(stem));
    } else if (app->name != NULL && strcmp(app->name, stem) != 0) {
        spec_complain(source, DIAGNOSTIC_WARNING, "stem-mismatch", yaml_get(app->at.node, "name"),
            "whoever writes '/stem/…' misses the parameter that '/name/…' is read from",
            "name '%.80s' differs from the file stem '%.80s'", app->name, stem);
    }
}

static bool
has_workers(const struct spec_documents *documents)
{
    const struct spec_environment *items = documents->app.deploy.environments.items;
    bool found = documents->app.deploy.behaviour.workers.at.node != NULL;
    for (size_t i = 0; i < documents->app.deploy.environments.count; i++) {
        found = found || items[i].behaviour.workers.at.node != NULL;
    }
    return found;
}

void
lint_app(struct spec_documents *documents, const char *stem)
{
    const struct spec_source *source = &documents->app_source;
    const struct spec_app *app = &documents->app;
    check_stem(source, app, stem);
    if (documents->app_root->kind != YAML_MAPPING) {
        return; // decoding has said all there is to say
    }
    const struct yaml_node *map = spec_node_at(documents->app_root, "services");
    bool none = map == NULL || (map->kind == YAML_MAPPING && map->count == 0);
    if (none && !has_workers(documents)) {
        spec_complain(source, DIAGNOSTIC_WARNING, "no-services", documents->app_root, NULL,
            "the app has no 'services'");
    }
    check_service_names(source, app);
    const struct spec_service *services = app->services.items;
    for (size_t i = 0; i < app->services.count; i++) {
        check_service_key(source, app, &services[i]);
        check_service_image(source, &services[i]);
        check_service_ports(source, &services[i]);
        check_service_secrets(source, app, &services[i]);
    }
}
