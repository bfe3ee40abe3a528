// A temporary directory in which the real git makes repositories, with fixed names and dates and no
// configuration from outside.
//
//     struct git_fixture *git CLEANUP(git_fixture_freep) = git_fixture_new();
//     git_fixture_init(git, "app");
//     git_fixture_commit(git, "app", "file", "content", "subject");
//     git_run(git, "app", "tag", "v1");
//
// Any failure fails the running test. Not thread-safe.
#pragma once

#include <stdbool.h>

struct git_fixture {
    char *root;  // also HOME
    int commits; // each commit is a minute later than the one before
};

struct git_fixture *git_fixture_new(void);
void git_fixture_free(struct git_fixture *fixture);
void git_fixture_freep(struct git_fixture **fixture);

/// Absolute path of `name` inside; free().
char *git_fixture_path(const struct git_fixture *fixture, const char *name);
/// Writes a file, with the directories above it.
void git_fixture_write(const struct git_fixture *fixture, const char *name, const char *content);
/// A repository on branch main without commits.
void git_fixture_init(struct git_fixture *fixture, const char *repository);
/// Writes `file` and commits everything.
void git_fixture_commit(struct git_fixture *fixture, const char *repository, const char *file,
    const char *content, const char *subject);
/// Full id that `revision` names; free().
char *git_fixture_id(
    const struct git_fixture *fixture, const char *repository, const char *revision);

/// Runs git in the directory `repository`; arguments end with NULL.
void git_fixture_run(
    const struct git_fixture *fixture, const char *repository, const char *const *arguments);
#define git_run(fixture, repository, ...)                                                          \
    git_fixture_run((fixture), (repository), (const char *const[]){__VA_ARGS__, NULL})
