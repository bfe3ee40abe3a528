// Runs the real git in a temporary directory. Its environment is made from nothing, so that neither
// the machine's configuration nor the build's shows in a test.
#define _XOPEN_SOURCE 700 // nftw
#include "git_fixture.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dispatcher/file.h"
#include "dispatcher/memory.h"

enum { ARGUMENTS_MAX = 24, OUTPUT_MAX = 4096 };

struct git_fixture *
git_fixture_new(void)
{
    struct git_fixture *fixture = xcalloc(1, sizeof(*fixture));
    fixture->root = xstrdup("/tmp/dispatcher-git-XXXXXX");
    assert_non_null(mkdtemp(fixture->root));
    return fixture;
}

static int
remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void
git_fixture_free(struct git_fixture *fixture)
{
    if (fixture != NULL) {
        (void)nftw(fixture->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        free(fixture->root);
        free(fixture);
    }
}

void
git_fixture_freep(struct git_fixture **fixture)
{
    git_fixture_free(*fixture);
    *fixture = NULL;
}

char *
git_fixture_path(const struct git_fixture *fixture, const char *name)
{
    return xasprintf("%s/%s", fixture->root, name);
}

void
git_fixture_write(const struct git_fixture *fixture, const char *name, const char *content)
{
    char *path CLEANUP(xfreep) = git_fixture_path(fixture, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    assert_null(file_make_directories(path));
    *slash = '/';
    assert_null(file_write(path, str_of(content), 0644));
}

// In the child: never returns.
static void
execute(const struct git_fixture *fixture, const char *repository, const char *const *arguments,
    int output)
{
    char *directory = git_fixture_path(fixture, repository);
    char *date = xasprintf("%d +0000", 1790000000 + 60 * fixture->commits);
    char *environment[] = {xasprintf("HOME=%s", fixture->root), xasprintf("PATH=/usr/bin:/bin"),
        xasprintf("GIT_CONFIG_NOSYSTEM=1"), xasprintf("GIT_AUTHOR_NAME=Ada Author"),
        xasprintf("GIT_AUTHOR_EMAIL=ada@example.com"), xasprintf("GIT_COMMITTER_NAME=Carl"),
        xasprintf("GIT_COMMITTER_EMAIL=carl@example.com"), xasprintf("GIT_AUTHOR_DATE=%s", date),
        xasprintf("GIT_COMMITTER_DATE=%s", date), NULL};
    char *command[ARGUMENTS_MAX + 6] = {xstrdup("git"), xstrdup("-c"),
        xstrdup("protocol.file.allow=always"), xstrdup("-c"), xstrdup("gc.auto=0")};
    for (size_t i = 0; arguments[i] != NULL && i < ARGUMENTS_MAX; i++) {
        command[5 + i] = xstrdup(arguments[i]);
    }
    if (chdir(directory) == 0 && dup2(output, STDOUT_FILENO) >= 0) {
        (void)execve("/usr/bin/git", command, environment);
    }
    _exit(127);
}

static void
run(const struct git_fixture *fixture, const char *repository, const char *const *arguments,
    struct buf *output)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        execute(fixture, repository, arguments, ends[1]);
    }
    assert_true(child > 0);
    (void)close(ends[1]);
    char chunk[512];
    ssize_t got = 0;
    while ((got = read(ends[0], chunk, sizeof(chunk))) > 0) {
        buf_append(output, chunk, (size_t)got);
    }
    (void)close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fail_msg("git %s %s failed in %s", arguments[0], arguments[1] != NULL ? arguments[1] : "",
            repository);
    }
}

void
git_fixture_run(
    const struct git_fixture *fixture, const char *repository, const char *const *arguments)
{
    struct buf output CLEANUP(buf_done) = BUF_INIT(64 * OUTPUT_MAX);
    run(fixture, repository, arguments, &output);
}

void
git_fixture_init(struct git_fixture *fixture, const char *repository)
{
    git_run(fixture, ".", "init", "-q", "-b", "main", repository);
}

void
git_fixture_commit(struct git_fixture *fixture, const char *repository, const char *file,
    const char *content, const char *subject)
{
    char *name CLEANUP(xfreep) = xasprintf("%s/%s", repository, file);
    git_fixture_write(fixture, name, content);
    fixture->commits++;
    git_run(fixture, repository, "add", "-A");
    git_run(fixture, repository, "commit", "-q", "-m", subject);
}

char *
git_fixture_id(const struct git_fixture *fixture, const char *repository, const char *revision)
{
    struct buf output CLEANUP(buf_done) = BUF_INIT(OUTPUT_MAX);
    run(fixture, repository, (const char *const[]){"rev-parse", "--verify", revision, NULL},
        &output);
    return str_dup(str_trim(buf_str(&output)));
}
