// What the `deploy` block's values mean together: services it names, targets, rules, promotion.
// The organisation's floor is lint_policy.c's.
#include <string.h>

#include "resolve_internal.h"

bool
str_list_has(const struct str_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], text) == 0) {
            return true;
        }
    }
    return false;
}

const struct spec_service *
service_of(const struct spec_documents *documents, const char *key)
{
    const struct spec_service *services = documents->app.services.items;
    for (size_t i = 0; i < documents->app.services.count; i++) {
        if (strcmp(services[i].at.key, key) == 0) {
            return &services[i];
        }
    }
    return NULL;
}

const struct spec_environment *
environment_of(const struct spec_documents *documents, const char *environment)
{
    const struct object_list *list = &documents->app.deploy.environments;
    const struct spec_environment *items = list->items;
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(items[i].at.key, environment) == 0) {
            return &items[i];
        }
    }
    return NULL;
}

bool
environment_is_production(const struct spec_documents *documents, const char *environment)
{
    const struct str_list *listed = &documents->config.environments;
    return strcmp(environment, "production") == 0 ||
           (listed->count > 0 && strcmp(environment, listed->items[listed->count - 1]) == 0);
}

static void
check_service_exists(
    const struct spec_documents *documents, const struct yaml_node *at, const char *key)
{
    const struct spec_source *source = &documents->app_source;
    const struct object_list *list = &documents->app.services;
    if (service_of(documents, key) != NULL) {
        return;
    }
    const struct spec_service *services = list->items;
    const char **names = arena_array(source->arena, list->count + 1, sizeof(*names));
    for (size_t i = 0; i < list->count; i++) {
        names[i] = services[i].at.key;
    }
    spec_complain(source, DIAGNOSTIC_ERROR, "unknown-service", at,
        spec_did_you_mean(source, key, names), "service '%.80s' is not defined in 'services'", key);
}

static void
check_listed_service(const struct spec_documents *documents, const struct yaml_node *item)
{
    const struct spec_source *source = &documents->app_source;
    check_service_exists(documents, item, item->text);
    const struct spec_service *service = service_of(documents, item->text);
    if (service == NULL) {
        return;
    }
    const char *pin = service->image_tag != NULL ? "image_tag"
                      : service->image != NULL   ? "image"
                                                 : NULL;
    if (pin != NULL) {
        spec_complain(source, DIAGNOSTIC_ERROR, "pinned-service", item,
            "remove it from the list, or the pin from the service",
            "service '%.80s' has its own '%s': there is nothing to deploy", item->text, pin);
    }
}

// A list of services to deploy: each exists, none is pinned or stands twice.
static void
check_services(const struct spec_documents *documents, const struct yaml_node *list)
{
    const struct yaml_node *item = list != NULL && list->kind == YAML_SEQUENCE ? list->first : NULL;
    for (; item != NULL; item = item->next) {
        if (item->kind != YAML_SCALAR) {
            continue;
        }
        check_listed_service(documents, item);
        for (const struct yaml_node *other = list->first; other != item; other = other->next) {
            if (cstr_equal(yaml_text(other), item->text)) {
                spec_complain(&documents->app_source, DIAGNOSTIC_ERROR, "duplicate-value", item,
                    NULL, "service '%.80s' is listed twice", item->text);
                break;
            }
        }
    }
}

// Blocks that say their kind; what others inherit is known once they are merged.
static void
check_target_keys(const struct spec_documents *documents, const struct yaml_node *target)
{
    const char *kind = yaml_text(yaml_get(target, "kind"));
    unsigned bit = target_kind_bit(kind);
    const struct target_key *key = target_key_at(0);
    for (size_t i = 0; bit != 0 && key != NULL; key = target_key_at(++i)) {
        const struct yaml_node *at = target_key_node(target, key);
        if (at != NULL && (key->kinds & bit) == 0) {
            target_complain_unused(&documents->app_source, key, at, kind);
        }
    }
}

static void
check_targets(const struct spec_documents *documents, const struct yaml_node *block)
{
    check_target_keys(documents, yaml_get(block, "target"));
    check_target_keys(documents, yaml_get(yaml_get(block, "workers"), "target"));
    const struct yaml_node *targets = yaml_get(block, "targets");
    const struct yaml_node *key =
        targets != NULL && targets->kind == YAML_MAPPING ? targets->first : NULL;
    for (; key != NULL; key = key->next) {
        check_service_exists(documents, key, key->text);
        check_target_keys(documents, key->value);
    }
}

static void
check_behaviour(const struct spec_documents *documents, const struct yaml_node *block)
{
    check_services(documents, yaml_get(block, "services"));
    check_services(documents, yaml_get(yaml_get(block, "rollout"), "order"));
    check_targets(documents, block);
    const struct yaml_node *service = yaml_get(yaml_get(block, "migrate"), "service");
    if (yaml_text(service) != NULL) {
        check_service_exists(documents, service, service->text);
    }
}

// "a pattern without a literal prefix is a lint error for production" (orchestrators.md §2.3, 6)
static void
check_open_pattern(const struct spec_documents *documents, const struct yaml_node *refs)
{
    const struct yaml_node *item = refs != NULL && refs->kind == YAML_SEQUENCE ? refs->first : NULL;
    for (; item != NULL; item = item->next) {
        const char *text = yaml_text(item);
        bool open = text != NULL && (str_starts(str_of(text), STR("refs/heads/*")) ||
                                        str_starts(str_of(text), STR("refs/tags/*")));
        if (open) {
            spec_complain(&documents->app_source, DIAGNOSTIC_ERROR, "open-pattern", item,
                "start the pattern with a literal, like refs/tags/v*",
                "'%.80s' lets every ref deploy to production", text);
        }
    }
}

static void
check_allow(const struct spec_documents *documents, const struct spec_environment *environment)
{
    const struct spec_source *source = &documents->app_source;
    const struct spec_allow *rules = environment->allow.items;
    const struct config_policy_env *floor = policy_of(documents, environment->at.key);
    for (size_t i = 0; i < environment->allow.count; i++) {
        const struct yaml_node *rule = rules[i].at.node;
        for (size_t j = 0; j < i; j++) {
            if (rules[i].id != NULL && cstr_equal(rules[i].id, rules[j].id)) {
                spec_complain(source, DIAGNOSTIC_ERROR, "duplicate-value", yaml_get(rule, "id"),
                    NULL, "two rules have the id '%.80s'", rules[i].id);
                break;
            }
        }
        lint_events(source, yaml_get(rule, "events"), floor != NULL ? &floor->events : NULL);
        if (strcmp(environment->at.key, "production") == 0) {
            check_open_pattern(documents, yaml_get(rule, "refs"));
        }
    }
    const struct yaml_node *branch = spec_key_node(environment->at.node, "branch");
    if (branch != NULL && spec_key_node(environment->at.node, "allow") != NULL) {
        spec_complain(source, DIAGNOSTIC_ERROR, "branch-and-allow", branch,
            "write it as a rule of 'allow'", "'branch' stands beside 'allow'");
    }
}

static size_t
position(const struct str_list *list, const char *text)
{
    size_t at = 0;
    while (at < list->count && strcmp(list->items[at], text) != 0) {
        at++;
    }
    return at;
}

static void
check_promotion(const struct spec_documents *documents, const struct spec_environment *environment)
{
    const char *from = environment->promote_from.environment;
    const struct str_list *order = &documents->config.environments;
    if (from == NULL) {
        return;
    }
    const struct yaml_node *at = yaml_get(environment->promote_from.at.node, "environment");
    lint_environment_name(documents, &documents->app_source, at, from);
    size_t source_at = position(order, from), target_at = position(order, environment->at.key);
    bool same = strcmp(from, environment->at.key) == 0;
    if (same || (target_at < source_at && source_at < order->count)) {
        spec_complain(&documents->app_source, DIAGNOSTIC_ERROR, "promotion-order", at, NULL,
            "'%.80s' cannot be promoted from '%.80s', which does not come before it",
            environment->at.key, from);
    }
}

void
lint_deploy(struct spec_documents *documents)
{
    const struct spec_deploy *deploy = &documents->app.deploy;
    if (deploy->at.node == NULL) {
        return;
    }
    check_behaviour(documents, deploy->at.node);
    lint_owner(documents);
    lint_pins(documents);
    lint_notify_app(documents);
    const struct spec_environment *items = deploy->environments.items;
    const struct yaml_node *map = yaml_get(deploy->at.node, "environments");
    for (size_t i = 0; i < deploy->environments.count; i++) {
        lint_environment_name(documents, &documents->app_source,
            spec_key_node(map, items[i].at.key), items[i].at.key);
        check_behaviour(documents, items[i].at.node);
        check_allow(documents, &items[i]);
        check_promotion(documents, &items[i]);
        lint_floor(documents, &items[i]);
        lint_served(documents, &items[i]);
    }
}
