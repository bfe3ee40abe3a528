// What dispatcher.yaml's values mean together: the list of environments and who refers to it.
#include <string.h>

#include "spec_internal.h"

void
lint_environment_name(const struct spec_documents *documents, const struct spec_source *source,
    const struct yaml_node *at, const char *name)
{
    const struct str_list *known = &documents->config.environments;
    if (known->count == 0) {
        return; // nothing is listed, so nothing is wrong
    }
    if (str_list_has(known, name)) {
        return;
    }
    const char **names = arena_array(source->arena, known->count + 1, sizeof(*names));
    memcpy(names, known->items, known->count * sizeof(*names));
    const char *help = spec_did_you_mean(source, name, names);
    spec_complain(source, DIAGNOSTIC_ERROR, "unknown-environment", at, help,
        "environment '%.80s' is not listed in 'environments' of %s", name,
        documents->config_source.file);
}

static void
check_map_of_environments(struct spec_documents *documents, const struct yaml_node *map)
{
    if (map == NULL || map->kind != YAML_MAPPING) {
        return;
    }
    for (const struct yaml_node *key = map->first; key != NULL; key = key->next) {
        if (strcmp(key->text, "owners") != 0) {
            lint_environment_name(documents, &documents->config_source, key, key->text);
        }
    }
}

static void
check_list(const struct spec_documents *documents)
{
    const struct yaml_node *list = spec_node_at(documents->config_root, "environments");
    const struct yaml_node *item = list != NULL && list->kind == YAML_SEQUENCE ? list->first : NULL;
    for (; item != NULL; item = item->next) {
        for (const struct yaml_node *other = list->first; other != item; other = other->next) {
            if (cstr_equal(yaml_text(other), yaml_text(item))) {
                spec_complain(&documents->config_source, DIAGNOSTIC_ERROR, "duplicate-value", item,
                    NULL, "environment '%.80s' is listed twice", item->text);
                break;
            }
        }
    }
}

void
lint_config(struct spec_documents *documents)
{
    check_list(documents);
    check_map_of_environments(documents, spec_node_at(documents->config_root, "env"));
    check_map_of_environments(documents, spec_node_at(documents->config_root, "policy"));
    lint_policy_events(documents);
    lint_notify_config(documents);
    lint_server(documents);
}
