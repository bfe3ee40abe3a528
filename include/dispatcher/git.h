// What git knows: about the app checkout, and files of the infra repository at a ref (libgit2).
//
// Read-only; no hooks, no filters, global configuration ignored (protocols.md T65). Each call opens
// its own handle; thread-safe.
#pragma once

#include "dispatcher/arena.h"
#include "dispatcher/error.h"
#include "dispatcher/field.h"
#include "dispatcher/platform.h"
#include "dispatcher/secret.h"

struct git_facts {
    const char *root;         // work tree
    const char *sha;          // full commit id at HEAD
    const char *branch;       // short name, NULL when detached
    struct str_list tags;     // names of tags that point at HEAD, peeled
    bool dirty;               // tracked files changed or staged, or untracked files not ignored
    struct str_list changed;  // up to 10 of them, for the message
    const char *remote_url;   // of origin, without user info; NULL without a remote
    const char *repository;   // "owner/repo" read from it, or NULL
    bool shallow;
};

/// `path` is anywhere inside the checkout. ERROR_USAGE with a hint when it is no repository, has no
/// commit, or belongs to another user (libraries.md).
NODISCARD struct error *git_facts_read(const char *path, struct arena *arena,
    struct git_facts **out);

enum git_relation { GIT_SAME, GIT_AHEAD, GIT_BEHIND, GIT_DIVERGED, GIT_UNRELATED_UNKNOWN };
/// How `commit` stands to `base`: AHEAD means base is an ancestor of commit. A base that is not in
/// the clone (shallow, or no such object) is GIT_UNRELATED_UNKNOWN.
NODISCARD struct error *git_relate(const char *path, const char *base, const char *commit,
    enum git_relation *out);

struct git_commit {
    const char *sha, *author, *subject; // author name only; text cleaned
    int64_t time_ms;
};
/// Commits reachable from `to` and not from `from`, newest first, at most `max`; *complete tells
/// whether that was all. `from` unknown: count 0, *complete false.
NODISCARD struct error *git_commits(const char *path, const char *from, const char *to, size_t max,
    struct arena *arena, struct git_commit **out, size_t *count, bool *complete);

// A git URL as `--specs` takes it: https://host/owner/infra.git[//path][?ref=main]. Also file:// and
// an absolute local path ending in .git.
struct git_location {
    const char *url;  // what git is given
    const char *path; // inside the repository, "" for the root
    const char *ref;  // branch, tag or full commit; NULL: HEAD
};
bool git_location_is(const char *text);
NODISCARD struct error *git_location_parse(const char *text, struct arena *arena,
    struct git_location **out);

struct git_files;
/// Fetches the ref into a bare cache below `cache_directory` and opens its tree. `token` may be NULL.
NODISCARD struct error *git_files_open(const struct git_location *location,
    const char *cache_directory, const struct secret *token, const char *ca_file,
    struct git_files **out);
void git_files_close(struct git_files *files);
void git_files_closep(struct git_files **files);
/// Full commit id; owned by `files`.
const char *git_files_commit(const struct git_files *files);
/// Content of a blob up to `max` bytes; *found false when there is none. Symbolic links are not followed.
NODISCARD struct error *git_files_read(struct git_files *files, const char *path, size_t max,
    struct buf *out, bool *found);
/// Names (no directories) directly below `path` that end in `suffix`, sorted.
NODISCARD struct error *git_files_list(struct git_files *files, const char *path,
    const char *suffix, struct arena *arena, struct str_list *out);
