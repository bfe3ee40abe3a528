// What the files of this room share: starting libgit2, opening a checkout, its errors as ours, and
// cleanup functions for its handles.
#pragma once

#include "dispatcher/git.h"
#include "git_library.h"

enum { GIT_HEX_SIZE = GIT_OID_HEXSZ + 1 };

/// Loads libgit2 and sets it up, once a process: no configuration from outside a repository, no
/// owner check of libgit2's own (git_owner_check is ours). Before anything else of libgit2.
NODISCARD struct error *git_start(void);

/// Our error with libgit2's last words, cleaned, as the innermost sentence.
struct error *git_failed(enum error_kind kind, const char *format, ...) PRINTF_LIKE(2, 3)
    __attribute__((returns_nonnull));

/// The repository that `path` is in, with a work tree.
NODISCARD struct error *git_open_checkout(const char *path, git_repository **out);
/// Its work tree without a slash at the end; in `arena`.
const char *git_root_of(git_repository *repository, struct arena *arena);
/// ERROR_USAGE when another user owns it and 'safe.directory' does not list it.
NODISCARD struct error *git_owner_check(
    const struct platform *platform, git_repository *repository);
/// Does `path` itself belong to us?
bool git_path_is_ours(const struct platform *platform, const char *path);

// Nothing to free is left alone: libgit2 may not be there.
void git_repository_freep(git_repository **repository);
void git_config_freep(git_config **config);
void git_object_freep(git_object **object);
void git_reference_freep(git_reference **reference);
