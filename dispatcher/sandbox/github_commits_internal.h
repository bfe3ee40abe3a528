// Commits of a repository that an order described (no git behind it), or of the git repository.
#pragma once

#include "github_internal.h"

struct github_commit {
    const char *sha, *message, *name, *email, *login; // login NULL: nobody that GitHub knows
    int64_t time_ms;
    const size_t *parents; // indexes of earlier ones
    size_t parent_count;
};

struct github_commits {
    struct arena *arena;
    struct github_commit *list; // parents before children
    size_t count;
    struct json *index;    // sha → place in the list
    struct json *branches; // name → sha
};

/// Place of a full commit id, or of a branch's tip; false when it is none of them.
bool sandbox_commits_find(const struct github_commits *commits, const char *text, size_t *out);

enum commits_standing { COMMITS_IDENTICAL, COMMITS_AHEAD, COMMITS_BEHIND, COMMITS_DIVERGED };
struct commits_comparison {
    enum commits_standing standing;
    const size_t *ahead; // of head and not of base, oldest first
    size_t ahead_count, behind_count;
    bool has_ancestor;
    size_t ancestor; // the newest common one
};
/// Pure; results live in the arena.
void sandbox_commits_compare(const struct github_commits *commits, size_t base, size_t head,
    struct arena *arena, struct commits_comparison *out);
/// All that the tip is made of, itself included, oldest first; in the arena.
const size_t *sandbox_commits_history(
    const struct github_commits *commits, size_t tip, struct arena *arena, size_t *count);
/// The commits of a git repository that a comparison of two of them needs, as if by order;
/// *found false when one is not there. The ancestor is there by its id alone.
NODISCARD struct error *sandbox_commits_of_git(const struct github_repo *repo, const char *base,
    const char *head, struct github_commits **out, bool *found);
struct github_commits *sandbox_commits_new(void);
void sandbox_commits_free(struct github_commits *commits);
void sandbox_commits_freep(struct github_commits **commits);
/// Copies; `parents` are places. False when the sha is there already.
bool sandbox_commits_add(struct github_commits *commits, const struct github_commit *commit);
