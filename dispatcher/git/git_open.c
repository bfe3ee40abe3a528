// Starting libgit2, opening checkouts, and who may own them. The owner check is ours, because
// libgit2's refuses in several ways and reads 'safe.directory' only together with the rest of the
// user's configuration, which must not count here. Facts are git_facts.c's.
#include "git_fetch_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "dispatcher/text.h"

enum { MESSAGE_MAX = 400, TRUST_FILES_MAX = 3 };

void
git_repository_freep(git_repository **repository)
{
    if (*repository != NULL) {
        git_repository_free(*repository);
    }
}

void
git_config_freep(git_config **config)
{
    if (*config != NULL) {
        git_config_free(*config);
    }
}

void
git_object_freep(git_object **object)
{
    if (*object != NULL) {
        git_object_free(*object);
    }
}

void
git_reference_freep(git_reference **reference)
{
    if (*reference != NULL) {
        git_reference_free(*reference);
    }
}

static void
start(void)
{
    // Sparse checkouts (also the checkout action's) set this one; libgit2 refuses what it is not
    // told.
    static const char *extensions[] = {"worktreeconfig"};
    static const int levels[] = {GIT_CONFIG_LEVEL_PROGRAMDATA, GIT_CONFIG_LEVEL_SYSTEM,
        GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL};
    BUG_ON(git_libgit2_init() < 0);
    for (size_t i = 0; i < ARRAY_LENGTH(levels); i++) {
        BUG_ON(git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "") != 0);
    }
    BUG_ON(git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0) != 0);
    BUG_ON(git_libgit2_opts(GIT_OPT_SET_EXTENSIONS, extensions, ARRAY_LENGTH(extensions)) != 0);
    git_stream_register_sockets();
}

struct error *
git_start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT; // libgit2's own state is as global as this
    TRY(git_library_load());
    (void)pthread_once(&once, start);
    return NULL;
}

struct error *
git_failed(enum error_kind kind, const char *format, ...)
{
    const git_error *last = git_error_last();
    struct buf words CLEANUP(buf_done) = BUF_INIT(2 * MESSAGE_MAX);
    struct buf text CLEANUP(buf_done) = BUF_INIT(4 * MESSAGE_MAX);
    text_clean(str_of(last != NULL ? last->message : "no reason given"), MESSAGE_MAX, &words);
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    git_error_clear();
    return error_new(kind, "%s: %s", buf_cstr(&text), buf_cstr(&words));
}

static struct error *
refuse_open(const char *path, int status)
{
    if (status == GIT_ENOTFOUND) {
        git_error_clear();
        return error_hint(error_new(ERROR_USAGE, "'%s' is not in a git repository", path),
            "Run this in the app repository's checkout.");
    }
    return error_hint(git_failed(ERROR_USAGE, "git repository at '%s' cannot be opened", path),
        "Repositories with SHA-256 objects or damaged configuration cannot be read; "
        "clone it again.");
}

struct error *
git_open_checkout(const char *path, git_repository **out)
{
    TRY(git_start());
    git_repository *repository CLEANUP(git_repository_freep) = NULL;
    int status = git_repository_open_ext(&repository, path, 0, NULL);
    if (status != 0) {
        return refuse_open(path, status);
    }
    if (git_repository_workdir(repository) == NULL) {
        return error_hint(error_new(ERROR_USAGE, "git repository at '%s' has no work tree", path),
            "Name a checkout, not a bare repository.");
    }
    *out = repository;
    repository = NULL;
    return NULL;
}

const char *
git_root_of(git_repository *repository, struct arena *arena)
{
    struct str root = str_of(git_repository_workdir(repository));
    root.len -= root.len > 1 && str_ends(root, STR("/"));
    return arena_str(arena, root);
}

// Like git: root also trusts the user who called sudo.
bool
git_path_is_ours(const struct platform *platform, const char *path)
{
    struct stat status;
    if (lstat(path, &status) != 0) {
        return false;
    }
    uid_t user = geteuid();
    int64_t caller = -1;
    if (user == 0 && !str_to_int64(str_of(env_get(platform, "SUDO_UID")), &caller)) {
        caller = -1;
    }
    return status.st_uid == user || (int64_t)status.st_uid == caller;
}

struct trust {
    const char *root;
    bool trusted;
};

// git-config(1) safe.directory: "*" is everything, "dir/*" what is below, an empty value forgets
// what came before.
static int
weigh_trust(const git_config_entry *entry, void *payload)
{
    struct trust *trust = payload;
    struct str value = str_of(entry->value), root = str_of(trust->root);
    if (value.len == 0) {
        trust->trusted = false;
        return 0;
    }
    if (value.len > 1 && str_ends(value, STR("/"))) {
        value.len--;
    }
    struct str above = {value.ptr, value.len - 1}; // "dir/*" without the star
    bool below = str_ends(value, STR("/*")) && str_starts(root, above);
    if (str_equal(value, STR("*")) || str_equal(value, root) || below) {
        trust->trusted = true;
    }
    return 0;
}

static bool
safe_directory_lists(const struct platform *platform, const char *root)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const char *home = env_get(platform, "HOME"), *xdg = env_get(platform, "XDG_CONFIG_HOME");
    const char *files[TRUST_FILES_MAX] = {"/etc/gitconfig"};
    if (xdg != NULL) {
        files[1] = arena_printf(arena, "%s/git/config", xdg);
    } else if (home != NULL) {
        files[1] = arena_printf(arena, "%s/.config/git/config", home);
    }
    files[2] = home != NULL ? arena_printf(arena, "%s/.gitconfig", home) : NULL;

    struct trust trust = {.root = root};
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        git_config *config CLEANUP(git_config_freep) = NULL;
        if (files[i] != NULL && file_exists(files[i]) &&
            git_config_open_ondisk(&config, files[i]) == 0) {
            (void)git_config_get_multivar_foreach(
                config, "safe.directory", NULL, weigh_trust, &trust);
        }
    }
    git_error_clear();
    return trust.trusted;
}

struct error *
git_owner_check(const struct platform *platform, git_repository *repository)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const char *root = git_root_of(repository, arena);
    const char *directory = git_repository_path(repository);
    if ((git_path_is_ours(platform, root) && git_path_is_ours(platform, directory)) ||
        safe_directory_lists(platform, root)) {
        return NULL;
    }
    return error_hint(error_new(ERROR_USAGE, "git repository '%s' belongs to another user", root),
        "Run 'git config --global --add safe.directory %s' if you trust it, or run as its owner.",
        root);
}
