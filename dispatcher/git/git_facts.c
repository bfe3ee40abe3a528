// The facts about an app checkout: commit, branch, tags, what is changed, where it came from. Reads
// only; status looks at file times first and hashes what they leave open. History is
// git_history.c's.
#include "git_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/text.h"

enum { CHANGED_MAX = 10, TAGS_MAX = 100, NAME_MAX_BYTES = 250 };

static const char *
clean(struct arena *arena, struct str text, size_t max)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(2 * max);
    text_clean(text, max, &out);
    return arena_str(arena, buf_str(&out));
}

static struct error *
read_head(git_repository *repository, struct arena *arena, struct git_facts *facts, git_oid *head)
{
    git_reference *reference CLEANUP(git_reference_freep) = NULL;
    git_object *commit CLEANUP(git_object_freep) = NULL;
    int status = git_repository_head(&reference, repository);
    if (status == GIT_EUNBORNBRANCH || status == GIT_ENOTFOUND) {
        git_error_clear();
        return error_hint(
            error_new(ERROR_USAGE, "git repository '%s' has no commit yet", facts->root),
            "Commit the app, then deploy it.");
    }
    if (status != 0 || git_reference_peel(&commit, reference, GIT_OBJECT_COMMIT) != 0) {
        return error_hint(
            git_failed(ERROR_USAGE, "HEAD of git repository '%s' cannot be read", facts->root),
            "The clone is damaged or incomplete; clone it again.");
    }
    *head = *git_object_id(commit);
    char hex[GIT_HEX_SIZE];
    facts->sha = arena_dup(arena, git_oid_tostr(hex, sizeof(hex), head));
    if (git_reference_is_branch(reference) == 1) {
        facts->branch = clean(arena, str_of(git_reference_shorthand(reference)), NAME_MAX_BYTES);
    }
    return NULL;
}

struct tag_search {
    git_repository *repository;
    const git_oid *head;
    struct arena *arena;
    struct str_list *found;
};

static int
visit_tag(const char *name, git_oid *target, void *payload)
{
    struct tag_search *search = payload;
    git_object *object CLEANUP(git_object_freep) = NULL, *commit CLEANUP(git_object_freep) = NULL;
    bool here = git_oid_equal(target, search->head) != 0;
    if (!here && git_object_lookup(&object, search->repository, target, GIT_OBJECT_TAG) == 0 &&
        git_object_peel(&commit, object, GIT_OBJECT_COMMIT) == 0) {
        here = git_oid_equal(git_object_id(commit), search->head) != 0;
    }
    if (here && search->found->count < TAGS_MAX) {
        const char *stem = name + strlen("refs/tags/");
        search->found->items[search->found->count++] =
            clean(search->arena, str_of(stem), NAME_MAX_BYTES);
    }
    return 0;
}

static int
compare_names(const void *a, const void *b)
{
    const char *const *left = a, *const *right = b;
    return strcmp(*left, *right);
}

static struct error *
read_tags(
    git_repository *repository, const git_oid *head, struct arena *arena, struct git_facts *facts)
{
    facts->tags.items = arena_array(arena, TAGS_MAX, sizeof(*facts->tags.items));
    struct tag_search search = {repository, head, arena, &facts->tags};
    if (git_tag_foreach(repository, visit_tag, &search) != 0) {
        return git_failed(ERROR_USAGE, "tags of git repository '%s' cannot be read", facts->root);
    }
    git_error_clear(); // lookups of lightweight tags leave words behind
    qsort(facts->tags.items, facts->tags.count, sizeof(*facts->tags.items), compare_names);
    return NULL;
}

static void
status_list_freep(git_status_list **list)
{
    git_status_list_free(*list);
}

static void
index_freep(git_index **index)
{
    git_index_free(*index);
}

// A sparse checkout leaves files out on purpose; libgit2 reports them as deleted.
static bool
is_left_out(git_index *index, const git_status_entry *entry)
{
    if (entry->status != GIT_STATUS_WT_DELETED) {
        return false;
    }
    const git_index_entry *listed =
        git_index_get_bypath(index, entry->index_to_workdir->old_file.path, 0);
    return listed != NULL && (listed->flags_extended & GIT_INDEX_ENTRY_SKIP_WORKTREE) != 0;
}

static const char *
path_of(const git_status_entry *entry)
{
    const git_diff_delta *delta =
        entry->index_to_workdir != NULL ? entry->index_to_workdir : entry->head_to_index;
    return delta->new_file.path != NULL ? delta->new_file.path : delta->old_file.path;
}

static struct error *
read_changes(git_repository *repository, struct arena *arena, struct git_facts *facts)
{
    git_status_options options;
    BUG_ON(git_status_options_init(&options, GIT_STATUS_OPTIONS_VERSION) != 0);
    options.show = GIT_STATUS_SHOW_INDEX_AND_WORKDIR;
    options.flags = GIT_STATUS_OPT_INCLUDE_UNTRACKED | GIT_STATUS_OPT_DISABLE_PATHSPEC_MATCH;
    git_status_list *list CLEANUP(status_list_freep) = NULL;
    git_index *index CLEANUP(index_freep) = NULL;
    if (git_status_list_new(&list, repository, &options) != 0 ||
        git_repository_index(&index, repository) != 0) {
        return git_failed(
            ERROR_USAGE, "work tree of git repository '%s' cannot be read", facts->root);
    }
    facts->changed.items = arena_array(arena, CHANGED_MAX, sizeof(*facts->changed.items));
    for (size_t i = 0; i < git_status_list_entrycount(list); i++) {
        const git_status_entry *entry = git_status_byindex(list, i);
        if (entry->status == GIT_STATUS_CURRENT || is_left_out(index, entry)) {
            continue;
        }
        facts->dirty = true;
        if (facts->changed.count < CHANGED_MAX) {
            facts->changed.items[facts->changed.count++] =
                clean(arena, str_of(path_of(entry)), NAME_MAX_BYTES);
        }
    }
    return NULL;
}

// The URL as it was configured: no url.*.insteadOf, which only says how to reach it.
static void
read_remote(git_repository *repository, struct arena *arena, struct git_facts *facts)
{
    git_config *config CLEANUP(git_config_freep) = NULL, *frozen CLEANUP(git_config_freep) = NULL;
    const char *url = NULL;
    if (git_repository_config(&config, repository) == 0 &&
        git_config_snapshot(&frozen, config) == 0 &&
        git_config_get_string(&url, frozen, "remote.origin.url") == 0) {
        git_remote_describe(url, arena, &facts->remote_url, &facts->repository);
    }
    git_error_clear();
}

struct error *
git_facts_read(
    const struct platform *platform, const char *path, struct arena *arena, struct git_facts **out)
{
    git_repository *repository CLEANUP(git_repository_freep) = NULL;
    TRY(git_open_checkout(path, &repository));
    TRY(git_owner_check(platform, repository));
    struct git_facts *facts = arena_alloc(arena, sizeof(*facts));
    git_oid head;
    facts->root = git_root_of(repository, arena);
    facts->shallow = git_repository_is_shallow(repository) == 1;
    TRY(read_head(repository, arena, facts, &head));
    TRY(read_tags(repository, &head, arena, facts));
    TRY(read_changes(repository, arena, facts));
    read_remote(repository, arena, facts);
    *out = facts;
    return NULL;
}
