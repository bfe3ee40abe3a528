// Runs one program without a shell and collects what it writes: output and time are limited, and it
// gets the environment that we were given. Input is /dev/null; a helper that has to ask opens the
// terminal itself.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aws_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/text.h"

enum {
    TIME_LIMIT_MS = 60 * 1000, // somebody may have to type a code
    SLICE_MS = 50,
    STDERR_MAX = 16 * 1024,
    SHOWN_MAX = 300,
};

struct child {
    pid_t pid; // 0: none to wait for
    int out_fd, err_fd;
    int status;
};

static void
close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

static void
child_done(struct child *child)
{
    close_fd(&child->out_fd);
    close_fd(&child->err_fd);
    if (child->pid > 0) {
        (void)kill(child->pid, SIGKILL);
        while (waitpid(child->pid, &child->status, 0) < 0 && errno == EINTR) {
        }
    }
}

/// The program's path by PATH of the given environment; free(), NULL when there is none.
static char *
find_program(const struct platform *platform, const char *name)
{
    if (strchr(name, '/') != NULL) {
        return xstrdup(name);
    }
    const char *list = env_get(platform, "PATH");
    struct str directory, rest = str_of(list != NULL ? list : "/usr/local/bin:/usr/bin:/bin");
    while (str_cut(rest, ':', &directory, &rest)) {
        char *path CLEANUP(xfreep) = xasprintf("%.*s/%s", STR_FMT(directory), name);
        if (directory.len > 0 && access(path, X_OK) == 0) {
            char *found = path;
            path = NULL;
            return found;
        }
    }
    return NULL;
}

static struct error *
make_pipe(int fds[2])
{
    if (pipe(fds) != 0) {
        fds[0] = fds[1] = -1;
        return error_new(ERROR_CREDENTIALS, "pipe: %s", strerror(errno));
    }
    for (int i = 0; i < 2; i++) {
        (void)fcntl(fds[i], F_SETFD, FD_CLOEXEC);
    }
    (void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
    return NULL;
}

// The child starts as from a shell: signals that we ignore end it as usual.
static int
spawn_attributes(posix_spawnattr_t *attributes)
{
    sigset_t defaults;
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    (void)sigaddset(&defaults, SIGXFSZ);
    int failed = posix_spawnattr_init(attributes);
    failed = failed != 0 ? failed : posix_spawnattr_setsigdefault(attributes, &defaults);
    return failed != 0 ? failed : posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF);
}

static int
spawn(const char *path, char *const *argv, char *const *envp, const int writers[2], pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed != 0) {
        return failed;
    }
    failed = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    failed = failed != 0 ? failed
                         : posix_spawn_file_actions_adddup2(&actions, writers[0], STDOUT_FILENO);
    failed = failed != 0 ? failed
                         : posix_spawn_file_actions_adddup2(&actions, writers[1], STDERR_FILENO);
    failed = failed != 0 ? failed : spawn_attributes(&attributes);
    if (failed == 0) {
        failed = posix_spawn(pid, path, &actions, &attributes, argv, envp);
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return failed;
}

static struct error *
start(const struct platform *platform, char *const *argv, struct child *child)
{
    char *path CLEANUP(xfreep) = find_program(platform, argv[0]);
    if (path == NULL) {
        return error_new(ERROR_CREDENTIALS, "there is no program '%s' in PATH", argv[0]);
    }
    int out[2] = {-1, -1}, err[2] = {-1, -1};
    struct error *problem = make_pipe(out);
    if (problem == NULL) {
        problem = make_pipe(err);
    }
    child->out_fd = out[0];
    child->err_fd = err[0];
    pid_t pid = 0;
    if (problem == NULL) {
        int failed = spawn(
            path, argv, environment_list(platform->env), (const int[2]){out[1], err[1]}, &pid);
        problem = failed != 0 ? error_new(ERROR_CREDENTIALS, "run '%s': %s", path, strerror(failed))
                              : NULL;
        child->pid = failed != 0 ? 0 : pid;
    }
    close_fd(&out[1]);
    close_fd(&err[1]);
    return problem;
}

/// Reads what is there; closes at the end. true when something came.
static bool
drain(int *fd, struct buf *out)
{
    char chunk[4096];
    ssize_t got = read(*fd, chunk, sizeof(chunk));
    if (got > 0) {
        buf_append(out, chunk, (size_t)got);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        close_fd(fd);
    }
    return got > 0;
}

static bool
reap(struct child *child)
{
    if (child->pid > 0 && waitpid(child->pid, &child->status, WNOHANG) == child->pid) {
        child->pid = 0;
    }
    return child->pid == 0;
}

/// One turn: waits for output, or a slice of time. *done when the program has ended and all is
/// read.
static struct error *
turn(struct child *child, struct buf *out, struct buf *errors, bool *done)
{
    struct pollfd fds[2] = {
        {.fd = child->out_fd, .events = POLLIN}, {.fd = child->err_fd, .events = POLLIN}};
    bool ended = reap(child);
    (void)poll(fds, 2, ended ? 0 : SLICE_MS);
    bool came = child->out_fd >= 0 && fds[0].revents != 0 && drain(&child->out_fd, out);
    came = (child->err_fd >= 0 && fds[1].revents != 0 && drain(&child->err_fd, errors)) || came;
    if (out->failed) {
        return error_new(ERROR_CREDENTIALS, "it printed more than %zu bytes", out->max);
    }
    *done = ended && !came; // a grandchild may keep the pipes open for ever
    return NULL;
}

static struct error *
check_status(const struct child *child, const struct buf *errors)
{
    struct buf said CLEANUP(buf_done) = BUF_INIT(2 * SHOWN_MAX);
    text_clean(str_trim(buf_str(errors)), SHOWN_MAX, &said);
    const char *colon = said.len > 0 ? ": " : "";
    if (WIFSIGNALED(child->status)) {
        return error_new(ERROR_CREDENTIALS, "it was ended by signal %d%s%s",
            WTERMSIG(child->status), colon, buf_cstr(&said));
    }
    if (WEXITSTATUS(child->status) != 0) {
        return error_new(ERROR_CREDENTIALS, "it ended with status %d%s%s",
            WEXITSTATUS(child->status), colon, buf_cstr(&said));
    }
    return NULL;
}

struct error *
aws_run_process(const struct platform *platform, char *const *argv, struct buf *out)
{
    struct child child CLEANUP(child_done) = {.out_fd = -1, .err_fd = -1};
    struct buf errors CLEANUP(buf_wipe) = BUF_INIT(STDERR_MAX);
    int64_t deadline = clock_mono(platform->clock) + TIME_LIMIT_MS;
    bool done = false;
    TRY(start(platform, argv, &child));
    while (!done) {
        TRY(cancel_check(platform->cancel));
        if (clock_mono(platform->clock) >= deadline) {
            return error_new(ERROR_CREDENTIALS, "it did not end within %d s", TIME_LIMIT_MS / 1000);
        }
        TRY(turn(&child, out, &errors, &done));
    }
    return check_status(&child, &errors);
}
