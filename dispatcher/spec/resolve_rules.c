// Who may deploy when, with the organisation's floor applied, and the origins of everything that
// `struct settings` does not carry. Evaluates nothing: that is deploy's and the service's.
#include <string.h>

#include "dispatcher/memory.h"
#include "resolve_internal.h"

// Without `events` a rule means these, as far as the floor allows them (orchestrators.md §2.3, 5).
static struct str_list
default_events(const struct resolve *resolve, const struct config_policy_env *floor)
{
    static const char *const usual[] = {"push", "workflow_dispatch"};
    bool narrowed = floor != NULL && yaml_get(floor->at.node, "events") != NULL;
    struct str_list out = {arena_array(resolve->arena, ARRAY_LENGTH(usual), sizeof(char *)), 0};
    for (size_t i = 0; i < ARRAY_LENGTH(usual); i++) {
        if (!narrowed || str_list_has(&floor->events, usual[i])) {
            out.items[out.count++] = usual[i];
        }
    }
    return out;
}

// The stricter of the two; in production a rule that says nothing means GitHub's own machines.
static const char *
runner_of(const struct resolve *resolve, const char *environment, const char *own,
    const struct config_policy_env *floor)
{
    if (floor != NULL && floor->runner != NULL && strcmp(floor->runner, "any") != 0) {
        return floor->runner;
    }
    if (own != NULL) {
        return own;
    }
    return environment_is_production(resolve->documents, environment) ? "github-hosted" : "any";
}

// What a rule writes and the floor does not allow is lint's error: it is left out here all the
// same.
static struct str_list
events_of(const struct resolve *resolve, const struct spec_allow *rule,
    const struct config_policy_env *floor)
{
    bool narrowed = floor != NULL && yaml_get(floor->at.node, "events") != NULL;
    if (yaml_get(rule->at.node, "events") == NULL) {
        return default_events(resolve, floor);
    }
    const struct str_list *own = &rule->events;
    struct str_list out = {arena_array(resolve->arena, own->count, sizeof(char *)), 0};
    for (size_t i = 0; i < own->count; i++) {
        if (!narrowed || str_list_has(&floor->events, own->items[i])) {
            out.items[out.count++] = own->items[i];
        }
    }
    return out;
}

void
resolve_allow(struct resolve *resolve, const struct spec_environment *environment)
{
    struct settings *settings = resolve->settings;
    const struct config_policy_env *floor = policy_of(resolve->documents, environment->at.key);
    const struct spec_allow *rules = environment->allow.items;
    size_t count = environment->branch != NULL ? 1 : environment->allow.count;
    settings->branch = environment->branch;
    settings->has_allow =
        environment->branch != NULL || spec_node_at(environment->at.node, "allow") != NULL;
    settings->allow = arena_array(resolve->arena, count, sizeof(*settings->allow));
    settings->allow_count = count;
    if (environment->branch != NULL) {
        const char **ref = arena_array(resolve->arena, 1, sizeof(*ref));
        ref[0] = arena_printf(resolve->arena, "refs/heads/%s", environment->branch);
        settings->allow[0] = (struct setting_allow){.id = "branch",
            .refs = {ref, 1},
            .events = default_events(resolve, floor),
            .runner = runner_of(resolve, environment->at.key, NULL, floor)};
        return;
    }
    for (size_t i = 0; i < count; i++) {
        settings->allow[i] = (struct setting_allow){.id = rules[i].id,
            .refs = rules[i].refs,
            .events = events_of(resolve, &rules[i], floor),
            .runner = runner_of(resolve, environment->at.key, rules[i].runner, floor),
            .teams = rules[i].actors.teams,
            .deny_bots = rules[i].actors.deny_bots};
    }
}

static void
resolve_windows(struct resolve *resolve, const struct spec_environment *environment)
{
    struct settings *settings = resolve->settings;
    const struct spec_window *windows = environment->windows.items;
    size_t count = environment->windows.count;
    settings->windows = arena_array(resolve->arena, count, sizeof(*settings->windows));
    settings->window_count = count;
    for (size_t i = 0; i < count; i++) {
        settings->windows[i] = (struct setting_window){.deny = windows[i].deny,
            .tz = windows[i].tz != NULL ? windows[i].tz : "UTC",
            .reason = windows[i].reason,
            .manual = windows[i].manual};
    }
}

void
resolve_rules(struct resolve *resolve)
{
    const struct spec_environment *environment =
        environment_of(resolve->documents, resolve->settings->env);
    if (environment != NULL) {
        resolve_allow(resolve, environment);
        resolve_windows(resolve, environment);
    }
}

// Every single value below a node, with its path: "verify[0].body.version".
static void
add_origins(struct resolve *resolve, const char *path, const struct spec_source *source,
    const struct yaml_node *node, enum expand_mode mode)
{
    if (node->kind == YAML_SCALAR) {
        const char *text = resolve_expand(resolve, mode, node->text, NULL, source, node);
        resolve_origin(resolve, path, text, source, node);
        return;
    }
    if (node->first == NULL) {
        resolve_origin(resolve, path, node->kind == YAML_SEQUENCE ? "[]" : "{}", source, node);
    }
    size_t index = 0;
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
        if (node->kind == YAML_MAPPING) {
            add_origins(resolve, arena_printf(resolve->arena, "%s.%s", path, child->text), source,
                child->value, mode);
        } else {
            add_origins(resolve, arena_printf(resolve->arena, "%s[%zu]", path, index++), source,
                child, mode);
        }
    }
}

void
resolve_rest(struct resolve *resolve)
{
    static const struct {
        const char *key;
        enum expand_mode mode;
    } rest[] = {
        {"branch", EXPAND_NOT},
        {"allow", EXPAND_NOT},
        {"github_environment", EXPAND_EARLY},
        {"promote_from", EXPAND_NOT},
        {"queue", EXPAND_NOT},
        {"approvals", EXPAND_NOT},
        {"windows", EXPAND_NOT},
        {"emergency", EXPAND_NOT},
        {"mode", EXPAND_NOT},
        {"repository_id", EXPAND_NOT},
        {"owner_id", EXPAND_NOT},
        {"workflow", EXPAND_NOT},
        {"via_workflow", EXPAND_NOT},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rest); i++) {
        const struct spec_source *source = NULL;
        const struct yaml_node *node = resolve_find(resolve, rest[i].key, NULL, &source);
        if (node != NULL) {
            const char *key =
                strcmp(rest[i].key, "workflow") == 0 ? "caller_workflow" : rest[i].key;
            add_origins(resolve, key, source, node, rest[i].mode);
        }
    }
    const struct config_policy_env *floor = policy_of(resolve->documents, resolve->settings->env);
    if (floor != NULL && floor->at.node != NULL) {
        add_origins(
            resolve, "policy", &resolve->documents->config_source, floor->at.node, EXPAND_NOT);
    }
}
