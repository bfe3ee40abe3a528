// One commit's documents, immutable but for what is resolved out of them when it is first asked
// for. Reads nothing and says nothing: specs.c does.
#include "spec_set_internal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"

enum {
    SHOWN_MAX = 3,      // problems of one spec that are told
    RESOLVED_MAX = 32,  // environments of one app that are kept: a caller may ask for any name
    PROBLEM_MAX = 4096, // bytes
};

// (app, env), resolved.
struct resolved {
    struct resolved *next;
    const char *env;
    struct settings *settings; // NULL: see `problem`
    const char *problem;
};

// Of one app. The documents are read once for all of its environments: the trees are most of what
// it costs.
struct resolved_list {
    struct resolved *first;
    size_t count;
    struct settings_source *source;
    struct diagnostics *diagnostics;
};

struct spec_set {
    atomic_int references;
    struct arena *arena;
    const char *commit;
    struct spec_document config;
    struct spec_app *apps;
    size_t app_count;
    struct str_list names, environments;

    // Guarded by `lock`; what was resolved once is not changed again.
    pthread_mutex_t lock;
    struct resolved_list *resolved; // by app
};

static const char *
describe(struct diagnostics *diagnostics, struct arena *arena)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(PROBLEM_MAX);
    size_t shown = 0;
    diagnostics_sort(diagnostics);
    for (size_t i = 0; i < diagnostics_total(diagnostics) && shown < SHOWN_MAX; i++) {
        const struct diagnostic *one = diagnostics_at(diagnostics, i);
        if (one->severity == DIAGNOSTIC_ERROR) {
            buf_printf(&text, "%s%.200s:%u: %.400s", shown > 0 ? "; " : "", one->file,
                one->span.line, one->message);
            shown++;
        }
    }
    size_t errors = diagnostics_count(diagnostics, DIAGNOSTIC_ERROR);
    if (errors > shown) {
        buf_printf(&text, "; and %zu more", errors - shown);
    }
    return arena_dup(arena, buf_cstr(&text));
}

const char *
spec_set_refuse(const struct spec_reading *reading, const struct setting_secrets *secrets)
{
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    spec_lint_config(&reading->config, diagnostics);
    if (diagnostics_count(diagnostics, DIAGNOSTIC_ERROR) == 0) {
        spec_lint_served_config(&reading->config, secrets, diagnostics);
    }
    if (diagnostics_count(diagnostics, DIAGNOSTIC_ERROR) == 0) {
        return NULL;
    }
    return describe(diagnostics, reading->arena);
}

static bool
is_same(const struct spec_document *a, const struct spec_document *b)
{
    return cstr_equal(a->path, b->path) && str_equal(a->text, b->text);
}

static const char *
find_problem(
    const struct spec_set *set, const struct spec_app *app, const struct setting_secrets *secrets)
{
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    if (app->unreadable != NULL) {
        return app->unreadable;
    }
    spec_lint_app(&set->config, &app->document, app->name, diagnostics);
    if (diagnostics_count(diagnostics, DIAGNOSTIC_ERROR) == 0) {
        spec_lint_served_app(&set->config, &app->document, secrets, diagnostics);
    }
    if (diagnostics_count(diagnostics, DIAGNOSTIC_ERROR) == 0) {
        return NULL;
    }
    return describe(diagnostics, set->arena);
}

static void
check_apps(
    struct spec_set *set, const struct setting_secrets *secrets, const struct spec_set *before)
{
    bool same_config = before != NULL && is_same(&before->config, &set->config);
    for (size_t i = 0; i < set->app_count; i++) {
        struct spec_app *app = &set->apps[i];
        const struct spec_app *old = same_config ? spec_set_find(before, app->name) : NULL;
        bool unchanged = old != NULL && app->unreadable == NULL && old->unreadable == NULL &&
                         is_same(&old->document, &app->document);
        app->problem =
            unchanged ? arena_dup(set->arena, old->problem) : find_problem(set, app, secrets);
    }
}

struct spec_set *
spec_set_new(struct spec_reading *reading, const struct setting_secrets *secrets,
    const struct spec_set *before)
{
    struct spec_set *set = xcalloc(1, sizeof(*set));
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    atomic_init(&set->references, 1);
    (void)pthread_mutex_init(&set->lock, NULL);
    set->arena = reading->arena;
    set->commit = reading->commit;
    set->config = reading->config;
    set->apps = reading->apps;
    set->app_count = reading->app_count;
    reading->arena = NULL;
    config_environments(&set->config, set->arena, diagnostics, &set->environments);
    set->names.items = arena_array(set->arena, set->app_count + 1, sizeof(*set->names.items));
    for (size_t i = 0; i < set->app_count; i++) {
        set->names.items[set->names.count++] = set->apps[i].name;
    }
    set->resolved = arena_array(set->arena, set->app_count + 1, sizeof(*set->resolved));
    check_apps(set, secrets, before);
    return set;
}

const struct spec_set *
spec_set_ref(const struct spec_set *set)
{
    // Whoever holds a set holds it unchanged: only the count moves.
    struct spec_set *counted = (struct spec_set *)(uintptr_t)set;
    (void)atomic_fetch_add(&counted->references, 1);
    return set;
}

void
specs_release(const struct spec_set *set)
{
    struct spec_set *counted = (struct spec_set *)(uintptr_t)set;
    if (counted == NULL || atomic_fetch_sub(&counted->references, 1) != 1) {
        return;
    }
    for (size_t i = 0; i < counted->app_count; i++) {
        diagnostics_free(counted->resolved[i].diagnostics);
    }
    (void)pthread_mutex_destroy(&counted->lock);
    arena_free(counted->arena);
    free(counted);
}

const char *
spec_set_commit(const struct spec_set *set)
{
    return set->commit;
}

const struct spec_document *
spec_set_config(const struct spec_set *set)
{
    return &set->config;
}

const struct str_list *
spec_set_apps(const struct spec_set *set)
{
    return &set->names;
}

const struct str_list *
spec_set_environments(const struct spec_set *set)
{
    return &set->environments;
}

size_t
spec_set_broken(const struct spec_set *set)
{
    size_t count = 0;
    for (size_t i = 0; i < set->app_count; i++) {
        count += set->apps[i].problem != NULL ? 1 : 0;
    }
    return count;
}

static int
compare_names(const void *key, const void *item)
{
    return strcmp(key, ((const struct spec_app *)item)->name);
}

const struct spec_app *
spec_set_find(const struct spec_set *set, const char *app)
{
    if (app == NULL || set->app_count == 0) {
        return NULL;
    }
    return bsearch(app, set->apps, set->app_count, sizeof(*set->apps), compare_names);
}

const struct spec_document *
spec_set_app(const struct spec_set *set, const char *app)
{
    const struct spec_app *found = spec_set_find(set, app);
    return found != NULL && found->unreadable == NULL ? &found->document : NULL;
}

static bool
is_environment(const struct spec_set *set, const char *env)
{
    for (size_t i = 0; i < set->environments.count; i++) {
        if (cstr_equal(set->environments.items[i], env)) {
            return true;
        }
    }
    return set->environments.count == 0 && name_is_valid(str_of(env));
}

static void
resolve(struct spec_set *set, const struct spec_app *app, struct resolved *out)
{
    struct resolved_list *list = &set->resolved[app - set->apps];
    if (list->source == NULL) {
        list->diagnostics = diagnostics_new();
        list->source = settings_source_new(
            &set->config, &app->document, app->name, set->arena, list->diagnostics);
    }
    settings_source_resolve(list->source, out->env, &out->settings);
    if (out->settings == NULL) {
        out->problem = describe(list->diagnostics, set->arena);
    }
}

// Under the lock: once resolved it is everybody's.
static const struct resolved *
resolved_of(struct spec_set *set, const struct spec_app *app, const char *env)
{
    struct resolved_list *list = &set->resolved[app - set->apps];
    for (struct resolved *one = list->first; one != NULL; one = one->next) {
        if (cstr_equal(one->env, env)) {
            return one;
        }
    }
    if (list->count >= RESOLVED_MAX) {
        return NULL;
    }
    struct resolved *made = arena_alloc(set->arena, sizeof(*made));
    made->env = arena_dup(set->arena, env);
    resolve(set, app, made);
    made->next = list->first;
    list->first = made;
    list->count++;
    return made;
}

const struct settings *
spec_set_settings(
    const struct spec_set *set, const char *app, const char *env, const char **problem)
{
    const struct spec_app *found = spec_set_find(set, app);
    *problem = found != NULL ? found->problem : NULL;
    if (found == NULL || found->problem != NULL || !is_environment(set, env)) {
        return NULL;
    }
    struct spec_set *resolving = (struct spec_set *)(uintptr_t)set;
    (void)pthread_mutex_lock(&resolving->lock);
    const struct resolved *resolved = resolved_of(resolving, found, env);
    (void)pthread_mutex_unlock(&resolving->lock);
    *problem = resolved != NULL ? resolved->problem : NULL;
    return resolved != NULL ? resolved->settings : NULL;
}
