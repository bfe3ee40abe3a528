// Files and refs of the repositories that the sandbox serves: through the git room for git
// repositories, straight from the work tree for plain directories.
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/file.h"
#include "dispatcher/git.h"
#include "dispatcher/memory.h"
#include "github_commits_internal.h"

enum { FILE_MAX = 1024 * 1024, FILES_MAX = 1000, REF_MAX = 4096, PACKED_MAX = 4 * 1024 * 1024 };

static const char workflows_path[] = ".github/workflows";

// The repository itself: "<work tree>/.git", or the directory when it is a bare one.
static const char *
git_directory(const struct github_repo *repo, struct arena *arena)
{
    const char *inner = arena_printf(arena, "%s/.git", repo->path);
    return file_exists(inner) ? inner : repo->path;
}

// The branch that HEAD names: what is checked out is what GitHub would show first.
const char *
sandbox_source_default_branch(const struct github_repo *repo, struct arena *arena)
{
    struct buf head CLEANUP(buf_done) = BUF_INIT(4096);
    bool found = false;
    if (!repo->is_git && repo->default_branch != NULL) {
        return repo->default_branch;
    }
    const char *path = arena_printf(arena, "%s/HEAD", git_directory(repo, arena));
    struct error *err CLEANUP(error_freep) = repo->is_git ? file_read(path, &head, &found) : NULL;
    struct str name = str_trim(buf_str(&head)), prefix = STR("ref: refs/heads/");
    return err == NULL && str_starts(name, prefix) ? arena_str(arena, str_skip(name, prefix.len))
                                                   : "main";
}

static bool
is_commit_text(struct str text)
{
    return text.len == 40;
}

// "<sha> refs/heads/main" among many.
static const char *
packed_ref(const char *directory, const char *ref, struct arena *arena)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(PACKED_MAX);
    struct str line = {0}, sha = {0}, name = {0}, rest = {0};
    bool found = false;
    const char *path = arena_printf(arena, "%s/packed-refs", directory);
    struct error *err CLEANUP(error_freep) = file_read(path, &text, &found);
    rest = err == NULL && found ? buf_str(&text) : (struct str){0};
    while (str_cut(rest, '\n', &line, &rest)) {
        if (str_cut(line, ' ', &sha, &name) && str_equal(name, str_of(ref)) &&
            is_commit_text(sha)) {
            return arena_str(arena, sha);
        }
    }
    return NULL;
}

const char *
sandbox_source_tip(const struct github_repo *repo, struct arena *arena)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(REF_MAX);
    bool found = false;
    const char *directory = git_directory(repo, arena);
    const char *ref =
        arena_printf(arena, "refs/heads/%s", sandbox_source_default_branch(repo, arena));
    const char *path = arena_printf(arena, "%s/%s", directory, ref);
    struct error *err CLEANUP(error_freep) = file_read(path, &text, &found);
    struct str sha = str_trim(buf_str(&text));
    return err == NULL && found && is_commit_text(sha) ? arena_str(arena, sha)
                                                       : packed_ref(directory, ref, arena);
}

static struct error *
open_at(const struct sandbox *sandbox, const struct github_repo *repo, const char *ref,
    struct arena *arena, struct git_files **out)
{
    const char *trunk = sandbox_source_default_branch(repo, arena);
    const char *full = arena_printf(arena, "refs/heads/%s", trunk);
    bool is_trunk = strcmp(ref, trunk) == 0 || strcmp(ref, full) == 0;
    // By its commit id nothing is fetched again, which a thousand dispatches notice.
    const char *tip = is_trunk ? sandbox_source_tip(repo, arena) : NULL;
    struct git_location location = {
        .url = git_directory(repo, arena), .path = "", .ref = tip != NULL ? tip : ref};
    struct git_access access = {.platform = sandbox->platform};
    const char *cache = arena_printf(arena, "%s/git", sandbox->data);
    return git_files_open(&location, cache, &access, out);
}

static bool
is_commit_id(const char *ref)
{
    return strlen(ref) == 40 && strspn(ref, "0123456789abcdef") == 40;
}

static bool
resolve_git(const struct sandbox *sandbox, const struct github_repo *repo, struct arena *arena,
    struct source_ref *ref)
{
    struct git_files *files CLEANUP(git_files_closep) = NULL;
    struct error *err CLEANUP(error_freep) = open_at(sandbox, repo, ref->full, arena, &files);
    if (err == NULL) {
        ref->sha = arena_dup(arena, git_files_commit(files));
    }
    return err == NULL;
}

static bool
resolve_plain(const struct github_repo *repo, struct arena *arena, struct source_ref *ref)
{
    char hash[41];
    size_t place = 0;
    if (repo->commits != NULL) {
        bool known = sandbox_commits_find(repo->commits, ref->full, &place);
        ref->sha = known ? repo->commits->list[place].sha : NULL;
        return known;
    }
    sha1_hex(str_of(repo->path), hash);
    ref->sha = arena_dup(arena, hash);
    return strcmp(ref->full, "refs/heads/main") == 0;
}

struct error *
sandbox_source_resolve(const struct sandbox *sandbox, const struct github_repo *repo,
    const char *ref, struct arena *arena, struct source_ref *out, bool *found)
{
    static const char *const spaces[] = {"refs/heads/", "refs/tags/"};
    *found = false;
    if (ref[0] == '\0' || is_commit_id(ref)) {
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(spaces) && !*found; i++) {
        size_t len = strlen(spaces[i]);
        bool is_full = strncmp(ref, "refs/", 5) == 0;
        if (is_full && (strncmp(ref, spaces[i], len) != 0 || ref[len] == '\0')) {
            continue;
        }
        struct source_ref result = {.name = is_full ? ref + len : ref};
        result.full = arena_printf(arena, "%s%s", spaces[i], result.name);
        *found = repo->is_git ? resolve_git(sandbox, repo, arena, &result)
                              : resolve_plain(repo, arena, &result);
        *out = *found ? result : *out;
    }
    return NULL;
}

// Relative, and without a part that climbs.
static bool
is_inside(const char *path)
{
    struct str part = {0}, rest = str_of(path);
    if (path[0] == '/' || path[0] == '\0') {
        return false;
    }
    while (str_cut(rest, '/', &part, &rest)) {
        if (str_equal(part, STR("..")) || str_equal(part, STR(".git"))) {
            return false;
        }
    }
    return true;
}

struct error *
sandbox_source_read(const struct sandbox *sandbox, const struct github_repo *repo, const char *ref,
    const char *path, struct buf *out, bool *found)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    *found = false;
    if (!is_inside(path)) {
        return NULL;
    }
    if (!repo->is_git) {
        const char *full = arena_printf(arena, "%s/%s", repo->path, path);
        struct error *err CLEANUP(error_freep) = file_read(full, out, found);
        *found = *found && err == NULL; // a directory reads as absent
        return NULL;
    }
    struct git_files *files CLEANUP(git_files_closep) = NULL;
    TRY(open_at(sandbox, repo, ref, arena, &files));
    return git_files_read(files, path, FILE_MAX, out, found);
}

static int
compare_names(const void *a, const void *b)
{
    const char *const *left = a, *const *right = b;
    return strcmp(*left, *right);
}

static bool
is_yaml(const char *name)
{
    return str_ends(str_of(name), STR(".yml")) || str_ends(str_of(name), STR(".yaml"));
}

static void
list_directory(const char *path, struct arena *arena, struct str_list *out)
{
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return;
    }
    for (struct dirent *entry = readdir(directory); entry != NULL && out->count < FILES_MAX;
         entry = readdir(directory)) {
        if (is_yaml(entry->d_name)) {
            out->items[out->count++] = arena_dup(arena, entry->d_name);
        }
    }
    (void)closedir(directory);
}

static struct error *
list_git(const struct sandbox *sandbox, const struct github_repo *repo, const char *ref,
    struct arena *arena, struct str_list *out)
{
    static const char *const suffixes[] = {".yml", ".yaml"};
    struct git_files *files CLEANUP(git_files_closep) = NULL;
    TRY(open_at(sandbox, repo, ref, arena, &files));
    for (size_t i = 0; i < ARRAY_LENGTH(suffixes); i++) {
        struct str_list some = {0};
        TRY(git_files_list(files, workflows_path, suffixes[i], arena, &some));
        for (size_t k = 0; k < some.count && out->count < FILES_MAX; k++) {
            out->items[out->count++] = some.items[k];
        }
    }
    return NULL;
}

struct error *
sandbox_source_workflows(const struct sandbox *sandbox, const struct github_repo *repo,
    const char *ref, struct arena *arena, struct str_list *out)
{
    struct str_list list = {.items = arena_array(arena, FILES_MAX, sizeof(*list.items))};
    if (repo->is_git) {
        TRY(list_git(sandbox, repo, ref, arena, &list));
    } else {
        list_directory(arena_printf(arena, "%s/%s", repo->path, workflows_path), arena, &list);
    }
    qsort(list.items, list.count, sizeof(*list.items), compare_names);
    *out = list;
    return NULL;
}
