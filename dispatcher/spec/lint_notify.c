// What a `notify` block means by itself: keys of sinks, routes and the sinks they name. What sinks
// lack once they are merged is resolve_notify.c's.
#include <string.h>

#include "dispatcher/memory.h"
#include "resolve_internal.h"

// One block, and the maps of sinks that its routes may name: its own first.
struct block {
    const struct spec_documents *documents;
    const struct spec_source *source;
    const struct yaml_node *node;
    const struct yaml_node *known[NOTIFY_PLACES];
    const char *environment; // that it belongs to, or NULL
};

static const struct yaml_node *
items_of(const struct yaml_node *list)
{
    return list != NULL && list->kind == YAML_SEQUENCE ? list->first : NULL;
}

static const struct yaml_node *
keys_of(const struct yaml_node *map)
{
    return map != NULL && map->kind == YAML_MAPPING ? map->first : NULL;
}

static void
check_environments(const struct block *block, const struct yaml_node *list)
{
    for (const struct yaml_node *item = items_of(list); item != NULL; item = item->next) {
        if (yaml_text(item) != NULL) {
            lint_environment_name(block->documents, block->source, item, item->text);
        }
    }
}

static void
check_sink(const struct block *block, const struct yaml_node *name)
{
    const struct yaml_node *sink = name->value;
    const char *kind = yaml_text(yaml_get(sink, "kind"));
    unsigned bit = notify_kind_bit(kind);
    const struct notify_key *key = notify_key_at(0);
    for (size_t i = 0; bit != 0 && key != NULL; key = notify_key_at(++i)) {
        const struct yaml_node *at = notify_key_node(sink, key);
        if (at != NULL && (key->kinds & bit) == 0) {
            notify_complain_unused(block->source, key, at, kind);
        }
    }
    const struct yaml_node *webhook = spec_key_node(sink, "webhook");
    bool direct = spec_key_node(sink, "channel") != NULL || spec_key_node(sink, "token") != NULL;
    if (webhook != NULL && direct && (bit == 0 || bit == NOTIFY_BY_SLACK)) {
        spec_complain(block->source, DIAGNOSTIC_ERROR, "webhook-and-channel", webhook,
            "an incoming webhook has its own channel",
            "'webhook' stands beside 'channel' or 'token' in sink '%.80s'", name->text);
    }
    check_environments(block, yaml_get(yaml_get(sink, "incidents"), "environments"));
}

// Nothing is known of a dispatcher.yaml that cannot be read, and that is said elsewhere.
static bool
is_known(const struct block *block, const char *name)
{
    if (block->documents->config_root == NULL && block->documents->config_source.text.len > 0) {
        return true;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(block->known); i++) {
        if (spec_key_node(block->known[i], name) != NULL) {
            return true;
        }
    }
    return false;
}

static void
complain_unknown(const struct block *block, const struct yaml_node *item)
{
    size_t room = 1, count = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(block->known); i++) {
        room += block->known[i] != NULL ? block->known[i]->count : 0;
    }
    const char **names = arena_array(block->source->arena, room, sizeof(*names));
    for (size_t i = 0; i < ARRAY_LENGTH(block->known); i++) {
        const struct yaml_node *key = keys_of(block->known[i]);
        for (; key != NULL; key = key->next) {
            names[count++] = key->text;
        }
    }
    spec_complain(block->source, DIAGNOSTIC_ERROR, "unknown-sink", item,
        spec_did_you_mean(block->source, item->text, names), "no sink '%.80s' is defined",
        item->text);
}

static void
check_route(const struct block *block, const struct yaml_node *route)
{
    static const char *const lists[] = {"to", "outcomes", "environments", "apps"};
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        const struct yaml_node *list = yaml_get(route, lists[i]);
        if (list != NULL && list->kind == YAML_SEQUENCE && list->first == NULL) {
            spec_complain(block->source, DIAGNOSTIC_WARNING, "route-unused", list,
                "remove the route, or the key", "the route never counts: '%s' is empty", lists[i]);
        }
    }
    for (const struct yaml_node *item = items_of(yaml_get(route, "to")); item != NULL;
         item = item->next) {
        if (yaml_text(item) != NULL && check_name(item->text) == NULL &&
            !is_known(block, item->text)) {
            complain_unknown(block, item);
        }
    }
    const struct yaml_node *environments = yaml_get(route, "environments");
    const struct yaml_node *own = items_of(environments);
    check_environments(block, environments);
    while (own != NULL && !cstr_equal(yaml_text(own), block->environment)) {
        own = own->next;
    }
    if (block->environment != NULL && items_of(environments) != NULL && own == NULL) {
        spec_complain(block->source, DIAGNOSTIC_WARNING, "route-unused", environments,
            "remove 'environments', or move the route to 'deploy'",
            "the route never counts: it belongs to environment '%.80s'", block->environment);
    }
}

static bool
leads_to(const struct yaml_node *block, const char *name)
{
    for (const struct yaml_node *route = items_of(yaml_get(block, "routes")); route != NULL;
         route = route->next) {
        const struct yaml_node *item = items_of(yaml_get(route, "to"));
        for (; item != NULL; item = item->next) {
            if (cstr_equal(yaml_text(item), name)) {
                return true;
            }
        }
    }
    return false;
}

// Of an app's blocks, those of its environments may lead to a sink of `deploy`. An empty list says
// that the narrower places choose.
static bool
is_reached(const struct block *block, const char *name)
{
    const struct object_list *list = &block->documents->app.deploy.environments;
    const struct spec_environment *items = list->items;
    bool of_deploy = block->node == block->documents->app.deploy.behaviour.notify.at.node;
    const struct yaml_node *routes = spec_node_at(block->node, "routes");
    bool open = routes == NULL || (routes->first == NULL && block->environment == NULL);
    bool found = open || leads_to(block->node, name);
    for (size_t i = 0; of_deploy && i < list->count; i++) {
        found = found || leads_to(items[i].behaviour.notify.at.node, name);
    }
    return found;
}

// Sinks that the block adds; those that it only changes are the wider place's to reach.
static void
check_reach(const struct block *block, const struct yaml_node *name)
{
    for (size_t i = 1; i < ARRAY_LENGTH(block->known); i++) {
        if (spec_key_node(block->known[i], name->text) != NULL) {
            return;
        }
    }
    if (!is_reached(block, name->text)) {
        spec_complain(block->source, DIAGNOSTIC_WARNING, "sink-unused", name,
            "name it in a route's 'to'", "no route leads to sink '%.80s'", name->text);
    }
}

static void
check_block(const struct block *block)
{
    const struct yaml_node *name = keys_of(block->known[0]);
    for (; name != NULL; name = name->next) {
        check_sink(block, name);
        check_reach(block, name);
    }
    const struct yaml_node *route = items_of(yaml_get(block->node, "routes"));
    for (; route != NULL; route = route->next) {
        check_route(block, route);
    }
}

void
lint_notify_config(const struct spec_documents *documents)
{
    const struct yaml_node *node = documents->config.notify.at.node;
    const struct yaml_node *sinks = yaml_get(node, "sinks");
    const struct block block = {documents, &documents->config_source, node, {sinks}, NULL};
    check_block(&block);
    for (const struct yaml_node *name = keys_of(sinks); name != NULL; name = name->next) {
        if (spec_key_node(name->value, "kind") == NULL) {
            spec_complain(&documents->config_source, DIAGNOSTIC_ERROR, "missing-key", name,
                "add 'kind: github', 'slack', 'pagerduty' or 'webhook'",
                "sink '%.80s' lacks the key 'kind'", name->text);
        }
    }
}

void
lint_notify_app(const struct spec_documents *documents)
{
    const struct spec_source *source = &documents->app_source;
    const struct yaml_node *deploy = documents->app.deploy.behaviour.notify.at.node;
    const struct yaml_node *common = yaml_get(deploy, "sinks");
    const struct yaml_node *wider = yaml_get(documents->config.notify.at.node, "sinks");
    const struct object_list *list = &documents->app.deploy.environments;
    const struct spec_environment *items = list->items;
    const struct block shared = {documents, source, deploy, {common, wider}, NULL};
    check_block(&shared);
    for (size_t i = 0; i < list->count; i++) {
        const struct yaml_node *node = items[i].behaviour.notify.at.node;
        const struct block own = {
            documents, source, node, {yaml_get(node, "sinks"), common, wider}, items[i].at.key};
        check_block(&own);
    }
}
