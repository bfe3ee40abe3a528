// Variables of a container, as ECS writes them: lists of {name, value} and {name, valueFrom}. What
// the spec names is set; everything else stays as and where it is.
#include <string.h>

#include "dispatcher/memory.h"
#include "environment_internal.h"
#include "target_ecs_internal.h"

struct list {
    const char *key, *value_key;             // "environment", "value"
    const struct pair_list *wanted, *others; // `others`: of the other list
};

static const char *
find(const struct pair_list *pairs, const char *name)
{
    for (size_t i = 0; name != NULL && i < pairs->count; i++) {
        if (strcmp(pairs->items[i].key, name) == 0) {
            return pairs->items[i].value;
        }
    }
    return NULL;
}

static bool
has_entry(const struct json *entries, const char *name)
{
    for (size_t i = 0; i < json_count(entries); i++) {
        if (cstr_equal(json_str(json_get(json_at(entries, i), "name")), name)) {
            return true;
        }
    }
    return false;
}

static struct json *
make_entry(const struct list *list, const char *name, const char *value)
{
    struct json *entry = json_make_object();
    json_set_str(entry, "name", name);
    json_set_str(entry, list->value_key, value);
    return entry;
}

// A variable that is plain now and was a secret before (or the reverse) may not stand in both.
static void
merge(struct json *container, const struct list *list)
{
    const struct json *old = json_get(container, list->key);
    struct json *entries = json_make_array();
    for (size_t i = 0; i < json_count(old); i++) {
        const struct json *entry = json_at(old, i);
        const char *name = json_str(json_get(entry, "name"));
        const char *value = find(list->wanted, name);
        if (value != NULL) {
            json_append(entries, make_entry(list, name, value));
        } else if (find(list->others, name) == NULL) {
            json_append(entries, json_clone(entry));
        }
    }
    for (size_t i = 0; i < list->wanted->count; i++) {
        const struct pair *pair = &list->wanted->items[i];
        if (!has_entry(entries, pair->key)) {
            json_append(entries, make_entry(list, pair->key, pair->value));
        }
    }
    if (old != NULL || json_count(entries) > 0) {
        json_set(container, list->key, entries);
    } else {
        json_free(entries);
    }
}

struct error *
target_variables(const struct step_run *run, const struct deployment_target *target,
    struct arena *arena, struct pair_list *out)
{
    const struct setting_target *want = &target->want;
    const char *root = NULL;
    bool has_any = want->environment.count > 0 || want->environment_from_outputs.count > 0 ||
                   want->environment_file != NULL;
    *out = (struct pair_list){0};
    TRY(target_root(run, want, &root));
    struct error *err = has_any ? environment_collect(root, want, arena, out) : NULL;
    return err != NULL ? error_wrap(err, "environment of '%s'", target->name) : NULL;
}

struct error *
target_ecs_set_variables(
    const struct step_run *run, const struct deployment_target *target, struct json *container)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct pair_list plain = {0};
    TRY(target_variables(run, target, scratch, &plain));
    const struct pair_list *secrets = &target->want.secrets;
    merge(container, &(struct list){"environment", "value", &plain, secrets});
    merge(container, &(struct list){"secrets", "valueFrom", secrets, &plain});
    return NULL;
}
