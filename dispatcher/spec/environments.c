// Which refs may deploy where: patterns, as those of `allow`, and the environments that accept a
// ref.
#include <string.h>

#include "dispatcher/memory.h"
#include "resolve_internal.h"

enum { PATTERN_MAX_BYTES = 256 }; // check_ref_pattern

// Places of a pattern that the text read so far may have led to.
struct places {
    bool at[PATTERN_MAX_BYTES + 1];
};

// A wildcard may stand for nothing.
static void
enter(struct places *places, const char *pattern, size_t len, size_t place)
{
    places->at[place] = true;
    while (place < len && pattern[place] == '*') {
        place += pattern[place + 1] == '*' ? 2 : 1;
        places->at[place] = true;
    }
}

static struct places
step(const struct places *from, const char *pattern, size_t len, char byte)
{
    struct places to = {0};
    for (size_t i = 0; i < len; i++) {
        if (!from->at[i]) {
            continue;
        }
        bool wild = pattern[i] == '*';
        if (wild && (pattern[i + 1] == '*' || byte != '/')) {
            enter(&to, pattern, len, i);
        } else if (!wild && pattern[i] == byte) {
            enter(&to, pattern, len, i + 1);
        }
    }
    return to;
}

// In time linear in the text (orchestrators.md §2.3, rule 6).
bool
environments_match(const char *pattern, const char *text)
{
    size_t len = strlen(pattern);
    struct places places = {0};
    if (len > PATTERN_MAX_BYTES) {
        return false;
    }
    enter(&places, pattern, len, 0);
    for (; *text != '\0'; text++) {
        places = step(&places, pattern, len, *text);
    }
    return places.at[len];
}

bool
settings_rule_accepts(const struct setting_allow *rule, const struct setting_trigger *trigger)
{
    bool by_ref = false;
    for (size_t i = 0; i < rule->refs.count; i++) {
        by_ref = by_ref || environments_match(rule->refs.items[i], trigger->ref);
    }
    return by_ref && (trigger->event == NULL || str_list_has(&rule->events, trigger->event));
}

static bool
environment_accepts(struct spec_documents *documents, const struct spec_environment *environment,
    const struct setting_trigger *trigger, struct arena *arena)
{
    struct settings settings = {.env = environment->at.key};
    struct resolve resolve = {.documents = documents, .arena = arena, .settings = &settings};
    resolve_allow(&resolve, environment);
    for (size_t i = 0; i < settings.allow_count; i++) {
        if (settings_rule_accepts(&settings.allow[i], trigger)) {
            return true;
        }
    }
    return false;
}

// In promotion order; without a list, as they stand in the spec.
static struct str_list
names_in_order(const struct spec_documents *documents, struct arena *arena)
{
    const struct str_list *listed = &documents->config.environments;
    const struct object_list *own = &documents->app.deploy.environments;
    const struct spec_environment *items = own->items;
    struct str_list out = {arena_array(arena, listed->count + own->count, sizeof(*out.items)), 0};
    for (size_t i = 0; i < listed->count; i++) {
        out.items[out.count++] = listed->items[i];
    }
    for (size_t i = 0; listed->count == 0 && i < own->count; i++) {
        out.items[out.count++] = items[i].at.key;
    }
    return out;
}

void
settings_environments_for_ref(const struct spec_document *config,
    const struct spec_document *app_spec, const struct setting_trigger *trigger,
    struct arena *arena, struct diagnostics *diagnostics, struct str_list *out)
{
    struct spec_documents *documents = arena_alloc(arena, sizeof(*documents));
    size_t before = diagnostics_count(diagnostics, DIAGNOSTIC_ERROR);
    *out = (struct str_list){0};
    documents_load_config(documents, config, arena, diagnostics);
    documents_load_app(documents, app_spec, arena, diagnostics);
    if (documents->app_root != NULL) {
        lint_deploy(documents);
    }
    if (diagnostics_count(diagnostics, DIAGNOSTIC_ERROR) > before) {
        return;
    }
    struct str_list names = names_in_order(documents, arena);
    out->items = arena_array(arena, names.count, sizeof(*out->items));
    for (size_t i = 0; i < names.count; i++) {
        const struct spec_environment *environment = environment_of(documents, names.items[i]);
        if (environment != NULL && environment_accepts(documents, environment, trigger, arena)) {
            out->items[out->count++] = names.items[i];
        }
    }
}
