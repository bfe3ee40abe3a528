// The workers of an app: one for each entry point that a pattern finds in its checkout, or those
// that the infra workflow was told (--workers).
//
// The pattern is a spec's, and the checkout anybody's: nothing outside of it is read, symbolic
// links are not followed, and what is found is capped.
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dispatcher/memory.h"
#include "target_internal.h"

enum {
    FOUND_MAX = 500,
    SEEN_MAX = 200000, // entries of directories
    DEPTH_MAX = 40,
    SHOWN_MAX = 120,
    REQUEST_MAX = 256 * 1024,
};

struct walk {
    const char *pattern; // as written, for messages
    const char *root;
    struct arena *arena;
    const char **found; // relative to the root
    size_t count, seen;
};

// --- walking -----------------------------------------------------------------------------------

static const char *
join(const struct walk *walk, const char *directory, struct str name)
{
    return directory[0] != '\0' ? arena_printf(walk->arena, "%s/%.*s", directory, STR_FMT(name))
                                : arena_str(walk->arena, name);
}

// What is there, by itself and not by what a link points at; 0: nothing.
static mode_t
mode_of(const struct walk *walk, const char *path)
{
    struct stat status;
    char *full CLEANUP(xfreep) = xasprintf("%s/%s", walk->root, path);
    return lstat(full, &status) == 0 ? status.st_mode : 0;
}

static struct error *walk_into(
    struct walk *walk, const char *directory, struct str pattern, unsigned depth);

static struct error *
add_file(struct walk *walk, const char *path)
{
    for (size_t i = 0; i < walk->count; i++) {
        if (strcmp(walk->found[i], path) == 0) {
            return NULL; // '**' has more than one way to it
        }
    }
    if (walk->count >= FOUND_MAX) {
        return error_hint(error_new(ERROR_INPUT, "'%s' finds more than %d entry points",
                              walk->pattern, (int)FOUND_MAX),
            "Narrow 'deploy.workers.files'.");
    }
    walk->found[walk->count++] = path;
    return NULL;
}

// One entry against the first part of the pattern; `rest` is what comes after it.
static struct error *
try_entry(struct walk *walk, const char *path, struct str rest, unsigned depth)
{
    mode_t mode = mode_of(walk, path);
    if (rest.len == 0) {
        return S_ISREG(mode) ? add_file(walk, path) : NULL;
    }
    return S_ISDIR(mode) ? walk_into(walk, path, rest, depth + 1) : NULL;
}

static struct error *
check_effort(struct walk *walk)
{
    if (++walk->seen <= SEEN_MAX) {
        return NULL;
    }
    return error_hint(error_new(ERROR_INPUT, "'%s' makes us look at more than %d files",
                          walk->pattern, (int)SEEN_MAX),
        "Begin it with a directory.");
}

static struct error *
visit(struct walk *walk, DIR *open, const char *directory, struct str pattern, unsigned depth)
{
    struct str part = {0}, rest = {0};
    (void)str_cut(pattern, '/', &part, &rest);
    bool any_depth = str_equal(part, STR("**"));
    char *glob CLEANUP(xfreep) = str_dup(any_depth ? STR("*") : part);
    for (struct dirent *entry = readdir(open); entry != NULL; entry = readdir(open)) {
        TRY(check_effort(walk));
        if (fnmatch(glob, entry->d_name, FNM_PERIOD | FNM_NOESCAPE) != 0 ||
            strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        const char *path = join(walk, directory, str_of(entry->d_name));
        if (!any_depth) {
            TRY(try_entry(walk, path, rest, depth));
        } else if (S_ISDIR(mode_of(walk, path))) {
            TRY(walk_into(walk, path, pattern, depth + 1));
        }
    }
    return any_depth && rest.len > 0 ? walk_into(walk, directory, rest, depth + 1) : NULL;
}

static struct error *
walk_into(struct walk *walk, const char *directory, struct str pattern, unsigned depth)
{
    struct str part = {0}, rest = {0};
    (void)str_cut(pattern, '/', &part, &rest);
    bool wild = false;
    for (size_t i = 0; i < part.len; i++) {
        wild = wild || strchr("*?[", part.ptr[i]) != NULL;
    }
    if (depth > DEPTH_MAX) {
        return error_new(
            ERROR_INPUT, "'%s' leads more than %d directories deep", walk->pattern, (int)DEPTH_MAX);
    }
    if (!wild) {
        return try_entry(walk, join(walk, directory, part), rest, depth);
    }
    char *full CLEANUP(xfreep) = xasprintf("%s/%s", walk->root, directory);
    DIR *open = opendir(full);
    if (open == NULL) {
        return error_new(ERROR_INPUT, "directory '%s': %s", full, strerror(errno));
    }
    struct error *err = visit(walk, open, directory, pattern, depth);
    (void)closedir(open);
    return err;
}

static int
by_name(const void *a, const void *b)
{
    const char *const *left = a, *const *right = b;
    return strcmp(*left, *right);
}

// The spec's tables refuse these as well: this is where it would hurt.
static struct error *
check_pattern(const char *pattern)
{
    struct str part = {0}, rest = str_of(pattern);
    bool outside = pattern[0] == '/' || pattern[0] == '\0';
    while (str_cut(rest, '/', &part, &rest)) {
        outside = outside || part.len == 0 || str_equal(part, STR(".."));
    }
    return outside ? error_new(ERROR_SPEC, "'%.120s' is not a pattern inside the checkout", pattern)
                   : NULL;
}

static struct error *
from_checkout(const struct preparation *p, struct str_list *out)
{
    if (p->deployment->served) {
        return error_hint(error_new(ERROR_SPEC,
                              "the service has no checkout that the workers of "
                              "'%s' could be found in",
                              p->settings->app),
            "Deploy an app with 'deploy.workers' from a job of its repository.");
    }
    struct walk walk = {.pattern = p->settings->workers.files,
        .root = p->deployment->files_root,
        .arena = p->arena,
        .found = arena_array(p->arena, FOUND_MAX, sizeof(const char *))};
    TRY(check_pattern(walk.pattern));
    struct error *err = walk_into(&walk, "", str_of(walk.pattern), 0);
    if (err != NULL) {
        return error_wrap(err, "look for workers in '%s'", walk.root);
    }
    if (walk.count == 0) {
        bool here = cstr_equal(p->deployment->verb, "deploy");
        return error_hint(error_new(ERROR_INPUT, "no entry point of a worker matches '%s' in '%s'",
                              walk.pattern, walk.root),
            here ? "Check 'deploy.workers.files'."
                 : "Give the names of the workers with --workers, or the app's checkout with "
                   "--checkout.");
    }
    qsort(walk.found, walk.count, sizeof(*walk.found), by_name);
    *out = (struct str_list){walk.found, walk.count};
    return NULL;
}

// --- what the infra workflow was told ----------------------------------------------------------

static struct error *
from_request(const struct preparation *p, struct str_list *out)
{
    static const char hint[] = "It is what the input 'workers.workflow_input' holds: "
                               "'[\"mail\",\"export\"]'.";
    const struct json_limits limits = {.max_bytes = REQUEST_MAX, .max_depth = 4};
    struct json *list CLEANUP(json_freep) = NULL;
    struct error *err = json_parse(str_of(p->request->workers), &limits, &list);
    if (err != NULL) {
        return error_hint(error_wrap_as(ERROR_USAGE, err, "--workers is not a JSON list"), hint);
    }
    size_t count = json_count(list);
    const char **names = arena_array(p->arena, count, sizeof(*names));
    if (!json_is_array(list) || count == 0 || count > FOUND_MAX) {
        return error_hint(
            error_new(ERROR_USAGE, "--workers is not a JSON list of 1 to %d names", (int)FOUND_MAX),
            hint);
    }
    for (size_t i = 0; i < count; i++) {
        const char *name = json_str(json_at(list, i));
        if (name == NULL) {
            return error_hint(
                error_new(ERROR_USAGE, "--workers: item %zu is not a text", i + 1), hint);
        }
        names[i] = arena_dup(p->arena, name);
    }
    qsort(names, count, sizeof(*names), by_name);
    *out = (struct str_list){names, count};
    return NULL;
}

static bool
names_the_file(const struct setting_target *want)
{
    for (size_t i = 0; i < deployment_want_table.count; i++) {
        const struct field *field = &deployment_want_table.fields[i];
        const char *text = NULL;
        if (field->kind == FIELD_STR) {
            memcpy(&text, (const char *)want + field->offset, sizeof(text));
        }
        if (text != NULL && strstr(text, "{worker_file}") != NULL) {
            return true;
        }
    }
    return false;
}

// A bare name does not say which file it was.
static struct error *
check_bare(const struct preparation *p, const struct str_list *items)
{
    for (size_t i = 0; i < items->count; i++) {
        if (names_the_file(&p->settings->workers.target) && strchr(items->items[i], '.') == NULL) {
            return error_hint(
                error_new(ERROR_USAGE,
                    "worker '%s': the target names {worker_file}, and --workers gives only a name",
                    context_clean(p->arena, items->items[i], SHOWN_MAX)),
                "Give the app's checkout with --checkout instead, or file names.");
        }
    }
    return NULL;
}

// --- both --------------------------------------------------------------------------------------

static bool
is_plain(const char *name)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    return name != NULL && name[0] != '-' && strspn(name, letters) == strlen(name);
}

static struct error *
check_names(const struct preparation *p, const struct str_list *files)
{
    const char **names = arena_array(p->arena, files->count, sizeof(*names));
    for (size_t i = 0; i < files->count; i++) {
        const char *file = context_clean(p->arena, files->items[i], SHOWN_MAX);
        names[i] = spec_worker_name(files->items[i], p->arena);
        if (!is_plain(names[i])) {
            return error_hint(
                error_new(ERROR_INPUT, "entry point '%s' gives no usable name of a worker", file),
                "What stands before its first dot becomes part of a service's name: letters, "
                "digits, '-' and '_'. Rename it, or narrow 'deploy.workers.files'.");
        }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(names[k], names[i]) == 0) {
                return error_hint(
                    error_new(ERROR_INPUT, "'%s' and '%s' are both worker '%s'",
                        context_clean(p->arena, files->items[k], SHOWN_MAX), file, names[i]),
                    "Rename one of them, or narrow 'deploy.workers.files'.");
            }
        }
    }
    return NULL;
}

struct error *
workers_find(struct deploy_context *context, const struct preparation *p, struct str_list *out)
{
    (void)context;
    bool told = p->request->workers != NULL;
    struct str_list found = {0};
    TRY(told ? from_request(p, &found) : from_checkout(p, &found));
    TRY(check_names(p, &found));
    if (told) {
        TRY(check_bare(p, &found));
    }
    *out = found;
    return NULL;
}
