// A graph of commits, and how two of them stand to each other. Speaks no HTTP.
#include "github_commits_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/git.h"
#include "dispatcher/memory.h"

enum { GIT_COMMITS_MAX = 1000 };

struct github_commits *
sandbox_commits_new(void)
{
    struct github_commits *commits = xcalloc(1, sizeof(*commits));
    commits->arena = arena_new();
    commits->index = json_make_object();
    commits->branches = json_make_object();
    return commits;
}

void
sandbox_commits_free(struct github_commits *commits)
{
    if (commits != NULL) {
        arena_free(commits->arena);
        json_free(commits->index);
        json_free(commits->branches);
        free(commits->list);
        free(commits);
    }
}

void
sandbox_commits_freep(struct github_commits **commits)
{
    sandbox_commits_free(*commits);
    *commits = NULL;
}

bool
sandbox_commits_find(const struct github_commits *commits, const char *text, size_t *out)
{
    const char *prefix = "refs/heads/";
    if (commits == NULL || text == NULL) {
        return false;
    }
    const char *name = strncmp(text, prefix, strlen(prefix)) == 0 ? text + strlen(prefix) : text;
    const char *tip = json_str(json_get(commits->branches, name));
    int64_t place = json_int(json_get(commits->index, tip != NULL ? tip : text), -1);
    if (place < 0) {
        return false;
    }
    *out = (size_t)place;
    return true;
}

bool
sandbox_commits_add(struct github_commits *commits, const struct github_commit *commit)
{
    struct arena *arena = commits->arena;
    if (json_get(commits->index, commit->sha) != NULL) {
        return false;
    }
    size_t *parents = arena_array(arena, commit->parent_count + 1, sizeof(*parents));
    for (size_t i = 0; i < commit->parent_count; i++) {
        parents[i] = commit->parents[i];
    }
    if ((commits->count & (commits->count - 1)) == 0) { // grows by doubling
        size_t room = commits->count == 0 ? 1 : 2 * commits->count;
        commits->list = xrealloc(commits->list, room * sizeof(*commits->list));
    }
    commits->list[commits->count] = (struct github_commit){.sha = arena_dup(arena, commit->sha),
        .message = arena_dup(arena, commit->message),
        .name = arena_dup(arena, commit->name),
        .email = arena_dup(arena, commit->email),
        .login = commit->login != NULL ? arena_dup(arena, commit->login) : NULL,
        .time_ms = commit->time_ms,
        .parents = parents,
        .parent_count = commit->parent_count};
    json_set_int(commits->index, commit->sha, (int64_t)commits->count++);
    return true;
}

// All that `from` is made of, itself included: parents stand before children.
static bool *
history_of(const struct github_commits *commits, size_t from, struct arena *arena)
{
    bool *in = arena_array(arena, commits->count, sizeof(*in));
    in[from] = true;
    for (size_t i = from + 1; i-- > 0;) {
        for (size_t k = 0; in[i] && k < commits->list[i].parent_count; k++) {
            in[commits->list[i].parents[k]] = true;
        }
    }
    return in;
}

const size_t *
sandbox_commits_history(
    const struct github_commits *commits, size_t tip, struct arena *arena, size_t *count)
{
    const bool *in = history_of(commits, tip, arena);
    size_t *list = arena_array(arena, commits->count, sizeof(*list));
    *count = 0;
    for (size_t i = 0; i < commits->count; i++) {
        if (in[i]) {
            list[(*count)++] = i;
        }
    }
    return list;
}

void
sandbox_commits_compare(const struct github_commits *commits, size_t base, size_t head,
    struct arena *arena, struct commits_comparison *out)
{
    const bool *of_base = history_of(commits, base, arena);
    const bool *of_head = history_of(commits, head, arena);
    size_t *ahead = arena_array(arena, commits->count, sizeof(*ahead));
    struct commits_comparison result = {.ahead = ahead};
    for (size_t i = 0; i < commits->count; i++) {
        if (of_head[i] && !of_base[i]) {
            ahead[result.ahead_count++] = i;
        } else if (of_base[i] && !of_head[i]) {
            result.behind_count++;
        } else if (of_base[i]) {
            result.has_ancestor = true;
            result.ancestor = i;
        }
    }
    bool leads = result.ahead_count > 0, trails = result.behind_count > 0;
    result.standing = leads && trails ? COMMITS_DIVERGED
                      : leads         ? COMMITS_AHEAD
                      : trails        ? COMMITS_BEHIND
                                      : COMMITS_IDENTICAL;
    *out = result;
}

// Newest first, as git lists them, onto the common ancestor: a line, which is enough to count.
static void
add_line(struct github_commits *commits, const struct git_log_entry *entries, size_t count)
{
    size_t parent = 0;
    for (size_t i = count; i-- > 0;) {
        const struct github_commit commit = {.sha = entries[i].sha,
            .message = entries[i].subject,
            .name = entries[i].author,
            .email = entries[i].email != NULL ? entries[i].email : "",
            .time_ms = entries[i].time_ms,
            .parents = &parent,
            .parent_count = 1};
        (void)sandbox_commits_add(commits, &commit);
        parent = commits->count - 1;
    }
}

struct error *
sandbox_commits_of_git(const struct github_repo *repo, const char *base, const char *head,
    struct github_commits **out, bool *found)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct git_log_entry *ahead = NULL, *behind = NULL;
    size_t ahead_count = 0, behind_count = 0;
    bool complete = false;
    enum git_relation relation = GIT_UNRELATED_UNKNOWN;
    TRY(git_relate(repo->path, base, head, &relation));
    *found = relation != GIT_UNRELATED_UNKNOWN;
    if (!*found) {
        return NULL;
    }
    TRY(git_commits(
        repo->path, base, head, GIT_COMMITS_MAX, arena, &ahead, &ahead_count, &complete));
    TRY(git_commits(
        repo->path, head, base, GIT_COMMITS_MAX, arena, &behind, &behind_count, &complete));
    struct github_commits *commits = sandbox_commits_new();
    const char *ancestor = behind_count == 0  ? base
                           : ahead_count == 0 ? head
                                              : "0000000000000000000000000000000000000000";
    const struct github_commit root = {
        .sha = ancestor, .message = "", .name = "git", .email = "git@example.org"};
    (void)sandbox_commits_add(commits, &root);
    add_line(commits, ahead, ahead_count);
    add_line(commits, behind, behind_count);
    *out = commits;
    return NULL;
}
