// What git knows: about the app checkout, and files of the infra repository at a ref (libgit2).
//
// Read-only; no hooks, no filters, no credential helpers; configuration outside the repository is
// ignored (protocols.md T65), but for 'safe.directory', which says whose checkouts are trusted.
// Each call opens its own handle; thread-safe.
#pragma once

#include "dispatcher/arena.h"
#include "dispatcher/error.h"
#include "dispatcher/field.h"
#include "dispatcher/platform.h"
#include "dispatcher/secret.h"

struct git_facts {
    const char *root;        // work tree
    const char *sha;         // full commit id at HEAD
    const char *branch;      // short name, NULL when detached
    struct str_list tags;    // names of tags that point at HEAD, peeled; sorted
    bool dirty;              // tracked files changed or staged, or untracked files not ignored
    struct str_list changed; // up to 10 of them, for the message; text cleaned
    const char *remote_url;  // of origin, without user info; NULL without a remote
    const char *repository;  // "owner/repo" read from it, or NULL
    bool shallow;
};

/// `path` is anywhere inside the checkout. ERROR_USAGE with a hint when it is no repository, has no
/// commit, or belongs to another user and is not listed in 'safe.directory'.
NODISCARD struct error *git_facts_read(
    const struct platform *platform, const char *path, struct arena *arena, struct git_facts **out);

/// Takes a remote's URL apart: https, ssh://, git@host:owner/repo, with or without ".git". `*url`
/// is the URL without user info, `*repository` is "owner/repo" or NULL for any other shape.
void git_remote_describe(
    const char *remote, struct arena *arena, const char **url, const char **repository);

enum git_relation { GIT_SAME, GIT_AHEAD, GIT_BEHIND, GIT_DIVERGED, GIT_UNRELATED_UNKNOWN };
/// How `commit` stands to `base`: AHEAD means base is an ancestor of commit. Each is a full or
/// abbreviated commit id or the name of a tag. A base that is not in the clone, or is cut off from
/// `commit` in a shallow one, is GIT_UNRELATED_UNKNOWN. `path` was accepted by git_facts_read.
NODISCARD struct error *git_relate(
    const char *path, const char *base, const char *commit, enum git_relation *out);

struct git_log_entry {
    const char *sha, *author, *subject; // author: the name; text cleaned
    const char *email;                  // of the author, cleaned; NULL when there is none
    int64_t time_ms;
};
/// Commits reachable from `to` and not from `from`, newest first, at most `max`; *complete tells
/// whether that was all. `from` unknown: count 0, *complete false. `path` as in git_relate.
NODISCARD struct error *git_commits(const char *path, const char *from, const char *to, size_t max,
    struct arena *arena, struct git_log_entry **out, size_t *count, bool *complete);

// A git URL as `--specs` takes it: https://host/owner/infra.git[//path][?ref=main]. Also file://
// and an absolute local path ending in .git.
struct git_location {
    const char *url;  // what git is given
    const char *path; // inside the repository, "" for the root
    const char *ref;  // branch, tag, full commit id or "refs/…"; NULL: HEAD
};
/// Also true for git URLs that git_location_parse refuses with a reason (ssh, user info).
bool git_location_is(const char *text);
NODISCARD struct error *git_location_parse(
    const char *text, struct arena *arena, struct git_location **out);

// How to reach a repository. All borrowed for the call.
struct git_access {
    const struct platform *platform; // clock and cancel
    const struct secret *token;      // sent to the URL's own host only; may be NULL
    const char *ca_file;             // authorities to trust, or NULL; the first of a process counts
    const char *proxy, *no_proxy;    // as in struct http_client_options
    int64_t deadline_ms;             // absolute mono time; 0: 120 s from now
};

struct git_files;
/// Fetches the ref (and nothing else) into a bare cache below `cache_directory` and opens its tree.
/// A full commit id that the cache has is not fetched again.
NODISCARD struct error *git_files_open(const struct git_location *location,
    const char *cache_directory, const struct git_access *access, struct git_files **out);
void git_files_close(struct git_files *files);
void git_files_closep(struct git_files **files);
/// Full commit id; owned by `files`.
const char *git_files_commit(const struct git_files *files);
/// Content of a blob up to `max` bytes, `path` from the repository's root; *found false when there
/// is none. A directory or a symbolic link is ERROR_INPUT: links are not followed.
NODISCARD struct error *git_files_read(
    struct git_files *files, const char *path, size_t max, struct buf *out, bool *found);
/// Names (no directories, no links) directly below `path` that end in `suffix`, sorted; none when
/// there is no such directory.
NODISCARD struct error *git_files_list(struct git_files *files, const char *path,
    const char *suffix, struct arena *arena, struct str_list *out);
