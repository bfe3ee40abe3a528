// Services: names of repositories and parameters. What they run on is resolve_targets.c's.
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
        .context = from->context != NULL ? from->context : ".",
        .health_check_path = from->health_check_path != NULL ? from->health_check_path : "/health",
        .subdomain = from->subdomain != NULL ? from->subdomain : resolve->settings->subdomain,
        .expose = from->expose,
        .has_image = true,
        .target = {.source = "image", .is_public = true}};
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
