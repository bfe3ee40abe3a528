// What a build reads from this machine: Dockerfile and context inside the work tree, secrets
// wherever the spec says, each looked at before a builder is started.
#define _XOPEN_SOURCE 700 // realpath
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build_internal.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "dispatcher/secret.h"

enum {
    SECRET_MAX = 500 * 1024, // BuildKit's own limit
    MASKED_LINES_MAX = 200,
    MASKED_MIN = 6,
};

static bool
is_inside(const char *path, const char *root)
{
    size_t len = strlen(root);
    return strcmp(root, "/") == 0 ||
           (strncmp(path, root, len) == 0 && (path[len] == '/' || path[len] == '\0'));
}

// Absolute, all links followed, and still in the work tree.
static struct error *
find_path(const struct build_order *order, const char *what, const char *path, struct arena *arena,
    const char **out)
{
    char *joined CLEANUP(xfreep) = xasprintf("%s/%s", order->directory, path);
    char *real CLEANUP(xfreep) = realpath(joined, NULL);
    if (real == NULL) {
        return error_hint(error_new(ERROR_INPUT, "%s '%s': %s", what, path, strerror(errno)),
            "'dockerfile' and 'context' of the service are paths from the checkout '%s'.",
            order->directory);
    }
    char *root CLEANUP(xfreep) = realpath(order->root, NULL);
    if (root == NULL || !is_inside(real, root)) {
        return error_hint(error_new(ERROR_INPUT, "%s '%s' leads out of the work tree '%s'", what,
                              path, order->root),
            "Only what the repository holds is built; copy it there, or correct the spec.");
    }
    *out = arena_dup(arena, real);
    return NULL;
}

static struct error *
check_kind(const char *what, const char *path, const char *real, bool is_directory)
{
    struct stat about;
    bool fine =
        stat(real, &about) == 0 && (is_directory ? S_ISDIR(about.st_mode) : S_ISREG(about.st_mode));
    return fine ? NULL
                : error_new(ERROR_INPUT, "%s '%s' is not a %s", what, path,
                      is_directory ? "directory" : "file");
}

struct error *
build_place_find(const struct build_order *order, struct arena *arena, struct build_place *out)
{
    TRY(find_path(order, "Dockerfile", order->dockerfile, arena, &out->dockerfile));
    TRY(check_kind("Dockerfile", order->dockerfile, out->dockerfile, false));
    TRY(find_path(order, "build context", order->context, arena, &out->context));
    return check_kind("build context", order->context, out->context, true);
}

// A build may print what it was given: each line of it is masked from here on.
static void
mask(struct str bytes)
{
    struct str line = {0};
    for (int i = 0; i < MASKED_LINES_MAX && str_cut(bytes, '\n', &line, &bytes); i++) {
        line = str_trim(line);
        if (line.len >= MASKED_MIN) {
            secret_free(secret_new(line));
        }
    }
}

static struct error *
variable_option(const struct platform *platform, const struct pair *secret, const char *name,
    struct arena *arena, const char **out)
{
    const char *value = env_get(platform, name);
    if (value == NULL) {
        return error_hint(error_new(ERROR_CREDENTIALS,
                              "build secret '%s': variable '%s' is not set", secret->key, name),
            "Set it where dispatcher runs; 'deploy.build.secrets' asks for it.");
    }
    mask(str_of(value));
    *out = arena_printf(arena, "id=%s,env=%s", secret->key, name);
    return NULL;
}

// Builders read the option as a line of comma-separated values.
static struct error *
file_option(const struct build_order *order, const struct pair *secret, const char *path,
    struct arena *arena, const char **out)
{
    struct buf bytes CLEANUP(buf_wipe) = BUF_INIT(SECRET_MAX);
    char *joined CLEANUP(xfreep) =
        path[0] == '/' ? xstrdup(path) : xasprintf("%s/%s", order->directory, path);
    char *real CLEANUP(xfreep) = realpath(joined, NULL);
    if (real == NULL) {
        return error_new(
            ERROR_CREDENTIALS, "build secret '%s': '%s': %s", secret->key, path, strerror(errno));
    }
    if (strpbrk(real, ",\"") != NULL) {
        return error_hint(
            error_new(ERROR_CREDENTIALS,
                "build secret '%s': '%s' has a comma or a quote in its path", secret->key, path),
            "Builders cannot be given such a path; rename the file.");
    }
    struct error *err = file_read(real, &bytes, NULL);
    if (err != NULL) {
        return error_wrap_as(ERROR_CREDENTIALS, err, "build secret '%s'", secret->key);
    }
    mask(buf_str(&bytes));
    *out = arena_printf(arena, "id=%s,src=%s", secret->key, real);
    return NULL;
}

struct error *
build_secret_option(const struct platform *platform, const struct build_order *order,
    const struct pair *secret, struct arena *arena, const char **out)
{
    struct str reference = str_of(secret->value);
    if (str_starts(reference, STR("env:"))) {
        return variable_option(platform, secret, secret->value + strlen("env:"), arena, out);
    }
    BUG_ON(!str_starts(reference, STR("file:"))); // the spec's check
    return file_option(order, secret, secret->value + strlen("file:"), arena, out);
}
