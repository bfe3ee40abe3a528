// Files of a repository at one commit: a bare cache per URL, and blobs read out of it with caps.
// Nothing is checked out, so neither links nor filters of the repository can do anything.
#include "git_fetch_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"

enum { NAMES_MAX = 10 * 1000 };

struct git_files {
    git_repository *repository;
    git_object *tree;
    char commit[GIT_HEX_SIZE];
};

void
git_files_close(struct git_files *files)
{
    if (files != NULL) {
        git_object_free(files->tree);
        git_repository_free(files->repository);
        free(files);
    }
}

void
git_files_closep(struct git_files **files)
{
    git_files_close(*files);
    *files = NULL;
}

const char *
git_files_commit(const struct git_files *files)
{
    return files->commit;
}

// One directory a URL, named by its hash: a URL has bytes that no file name may have.
static char *
cache_path(const char *directory, const char *url)
{
    char hash[SHA256_HEX_SIZE];
    sha256_hex(str_of(url), hash);
    return xasprintf("%s/%.32s.git", directory, hash);
}

// What another user could have put there is not used: its configuration would be ours.
static struct error *
check_ours(const struct platform *platform, const char *path)
{
    if (git_path_is_ours(platform, path)) {
        return NULL;
    }
    return error_hint(error_new(ERROR_STORAGE, "cache '%s' belongs to another user", path),
        "Remove it, or set XDG_CACHE_HOME to a directory of your own.");
}

// The cache needs none, and libgit2 1.5 leaks 20 KB for each entry that it matches on a fetch.
static int
forget_configuration(git_repository *repository)
{
    git_config *none CLEANUP(git_config_freep) = NULL;
    int status = git_config_new(&none);
    return status == 0 ? git_repository_set_config(repository, none) : status;
}

static struct error *
open_cache(
    const struct platform *platform, const char *directory, const char *url, git_repository **out)
{
    char *path CLEANUP(xfreep) = cache_path(directory, url);
    TRY(file_make_directories(directory));
    TRY(check_ours(platform, directory));
    int status = git_repository_open_bare(out, path);
    if (status == GIT_ENOTFOUND) {
        status = git_repository_init(out, path, 1);
    }
    status = status == 0 ? forget_configuration(*out) : status;
    if (status != 0) {
        return error_hint(git_failed(ERROR_STORAGE, "cache '%s' cannot be opened", path),
            "It can be removed safely; it is made again.");
    }
    struct error *err = check_ours(platform, path);
    if (err != NULL) {
        git_repository_free(*out);
        *out = NULL;
    }
    return err;
}

struct error *
git_files_open(const struct git_location *location, const char *cache_directory,
    const struct git_access *access, struct git_files **out)
{
    TRY(git_start());
    struct git_files *files CLEANUP(git_files_closep) = xcalloc(1, sizeof(*files));
    git_oid id;
    TRY(open_cache(access->platform, cache_directory, location->url, &files->repository));
    TRY(git_fetch(location, access, files->repository, &id));
    git_object *commit CLEANUP(git_object_freep) = NULL;
    if (git_object_lookup(&commit, files->repository, &id, GIT_OBJECT_COMMIT) != 0 ||
        git_object_peel(&files->tree, commit, GIT_OBJECT_TREE) != 0) {
        return git_failed(ERROR_STORAGE, "commit fetched from '%s'", location->url);
    }
    (void)git_oid_tostr(files->commit, sizeof(files->commit), &id);
    *out = files;
    files = NULL;
    return NULL;
}

static void
entry_freep(git_tree_entry **entry)
{
    git_tree_entry_free(*entry);
}

static void
odb_freep(git_odb **odb)
{
    git_odb_free(*odb);
}

static struct error *
damaged(const char *path)
{
    return error_hint(git_failed(ERROR_STORAGE, "'%s' cannot be read from the git cache", path),
        "The cache can be removed safely; it is made again.");
}

// The size first, so that a huge blob is never unpacked.
static struct error *
read_blob(struct git_files *files, const git_oid *id, const char *path, size_t max, struct buf *out)
{
    git_odb *odb CLEANUP(odb_freep) = NULL;
    git_object *object CLEANUP(git_object_freep) = NULL;
    size_t size = 0;
    git_object_t type = GIT_OBJECT_INVALID;
    if (git_repository_odb(&odb, files->repository) != 0 ||
        git_odb_read_header(&size, &type, odb, id) != 0) {
        return damaged(path);
    }
    if (size > max) {
        return error_new(ERROR_INPUT, "'%s' is larger than %zu bytes", path, max);
    }
    if (git_object_lookup(&object, files->repository, id, GIT_OBJECT_BLOB) != 0) {
        return damaged(path);
    }
    const git_blob *blob = (const git_blob *)object;
    buf_append(out, git_blob_rawcontent(blob), (size_t)git_blob_rawsize(blob));
    return buf_finish(out, path);
}

struct error *
git_files_read(struct git_files *files, const char *path, size_t max, struct buf *out, bool *found)
{
    git_tree_entry *entry CLEANUP(entry_freep) = NULL;
    const git_tree *tree = (const git_tree *)files->tree;
    int status = path[0] != '\0' ? git_tree_entry_bypath(&entry, tree, path) : GIT_ENOTFOUND;
    if (status == GIT_ENOTFOUND) {
        git_error_clear();
        *found = false;
        return NULL;
    }
    if (status != 0) {
        return damaged(path);
    }
    git_filemode_t mode = git_tree_entry_filemode(entry);
    if (mode == GIT_FILEMODE_LINK) {
        return error_hint(error_new(ERROR_INPUT, "'%s' is a symbolic link", path),
            "Links in a repository are not followed; commit the file itself.");
    }
    if (mode == GIT_FILEMODE_TREE || mode == GIT_FILEMODE_COMMIT) {
        return error_new(ERROR_INPUT, "'%s' is a directory, not a file", path);
    }
    TRY(read_blob(files, git_tree_entry_id(entry), path, max, out));
    *found = true;
    return NULL;
}

static bool
is_listed(const git_tree_entry *entry, const char *suffix)
{
    git_filemode_t mode = git_tree_entry_filemode(entry);
    return (mode == GIT_FILEMODE_BLOB || mode == GIT_FILEMODE_BLOB_EXECUTABLE) &&
           str_ends(str_of(git_tree_entry_name(entry)), str_of(suffix));
}

static int
compare_names(const void *a, const void *b)
{
    const char *const *left = a, *const *right = b;
    return strcmp(*left, *right);
}

static struct error *
find_tree(struct git_files *files, const char *path, git_object **out)
{
    git_tree_entry *entry CLEANUP(entry_freep) = NULL;
    if (path[0] == '\0') {
        return git_object_dup(out, files->tree) == 0 ? NULL : damaged(path);
    }
    int status = git_tree_entry_bypath(&entry, (const git_tree *)files->tree, path);
    if (status == GIT_ENOTFOUND ||
        (status == 0 && git_tree_entry_filemode(entry) != GIT_FILEMODE_TREE)) {
        git_error_clear();
        return NULL;
    }
    if (status != 0 || git_tree_entry_to_object(out, files->repository, entry) != 0) {
        return damaged(path);
    }
    return NULL;
}

struct error *
git_files_list(struct git_files *files, const char *path, const char *suffix, struct arena *arena,
    struct str_list *out)
{
    git_object *object CLEANUP(git_object_freep) = NULL;
    TRY(find_tree(files, path, &object));
    const git_tree *tree = (const git_tree *)object;
    size_t total = tree != NULL ? git_tree_entrycount(tree) : 0;
    if (total > NAMES_MAX) {
        return error_new(ERROR_INPUT, "'%s' holds more than %d names", path, (int)NAMES_MAX);
    }
    struct str_list list = {.items = arena_array(arena, total + 1, sizeof(*list.items))};
    for (size_t i = 0; i < total; i++) {
        const git_tree_entry *entry = git_tree_entry_byindex(tree, i);
        if (is_listed(entry, suffix)) {
            list.items[list.count++] = arena_dup(arena, git_tree_entry_name(entry));
        }
    }
    qsort(list.items, list.count, sizeof(*list.items), compare_names);
    *out = list;
    return NULL;
}
