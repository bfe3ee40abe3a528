// Starts a child in a process group of its own, hands its output over line by line, and ends the
// whole group when told to. Does not interpret output. Only async-signal-safe calls between fork
// and exec, since other threads hold locks.
#include "process_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dispatcher/buf.h"
#include "dispatcher/memory.h"
#include "dispatcher/process.h"

enum { GRACE_MS = 2000, POLL_MS = 50, LINE_MAX_BYTES = 64 * 1024 };

struct running {
    const struct process *process;
    pid_t pid;
    int fd;
    bool exited, open;
    int status;
    int64_t signalled_ms; // when the first signal went out; 0: none yet
    int signals;
    bool timed_out;
    struct buf line;
};

NORETURN static void
become(const struct process *process, char *const *arguments, int output)
{
    (void)setpgid(0, 0);
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    int input = open("/dev/null", O_RDONLY);
    if (input < 0 || dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0 ||
        chdir(process->directory) != 0) {
        _exit(126);
    }
    process_close_from(3);
    (void)execve("/usr/bin/env", arguments, process->environment);
    _exit(127);
}

// env(1) does the PATH lookup: "/usr/bin/env bash -e script".
static char **
with_env(const char *const *arguments)
{
    size_t count = 0;
    while (arguments[count] != NULL) {
        count++;
    }
    char **list = xcalloc(count + 2, sizeof(*list));
    list[0] = xstrdup("env");
    for (size_t i = 0; i < count; i++) {
        list[i + 1] = xstrdup(arguments[i]);
    }
    return list;
}

static void
free_list(char **list)
{
    for (char **at = list; *at != NULL; at++) {
        free(*at);
    }
    free(list);
}

static struct error *
start(struct running *running)
{
    int ends[2];
    if (pipe(ends) != 0) {
        return error_new(ERROR_STORAGE, "cannot make a pipe: %s", strerror(errno));
    }
    (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    (void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    char **arguments = with_env(running->process->arguments);
    pid_t pid = fork();
    if (pid == 0) {
        become(running->process, arguments, ends[1]);
    }
    free_list(arguments);
    (void)close(ends[1]);
    if (pid < 0) {
        (void)close(ends[0]);
        return error_new(ERROR_STORAGE, "cannot start a process: %s", strerror(errno));
    }
    (void)setpgid(pid, pid); // whoever is first
    running->pid = pid;
    running->fd = ends[0];
    running->open = true;
    return NULL;
}

static void
flush_line(struct running *running)
{
    struct str line = buf_str(&running->line);
    if (str_ends(line, STR("\r"))) {
        line.len--;
    }
    running->process->line(running->process->ctx, line);
    buf_reset(&running->line);
}

static void
take(struct running *running, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] == '\n') {
            flush_line(running);
        } else {
            if (running->line.len >= LINE_MAX_BYTES) {
                flush_line(running);
            }
            buf_putc(&running->line, bytes[i]);
        }
    }
}

static void
drain(struct running *running)
{
    char bytes[16 * 1024];
    while (running->open) {
        ssize_t count = read(running->fd, bytes, sizeof(bytes));
        if (count > 0) {
            take(running, bytes, (size_t)count);
        } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
            running->open = false;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

static void
escalate(struct running *running)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGKILL};
    const struct process *process = running->process;
    int64_t now = clock_mono(process->clock);
    bool late = process->deadline_ms != 0 && now >= process->deadline_ms;
    bool cancelled = cancel_signal(process->cancel) != 0;
    if (!late && !cancelled) {
        return;
    }
    running->timed_out = running->timed_out || (late && !cancelled && running->signals == 0);
    if (cancelled && process->is_forced(process->ctx)) {
        (void)kill(-running->pid, SIGKILL);
        return;
    }
    if (running->signals < 3 &&
        (running->signals == 0 || now - running->signalled_ms >= GRACE_MS)) {
        (void)kill(-running->pid, signals[running->signals++]);
        running->signalled_ms = now;
    }
}

static void
wait_for_more(const struct running *running)
{
    const struct process *process = running->process;
    bool watches_cancel = process->cancel != NULL && cancel_signal(process->cancel) == 0;
    struct pollfd fds[2] = {{.fd = running->open ? running->fd : -1, .events = POLLIN},
        {.fd = watches_cancel ? cancel_fd(process->cancel) : -1, .events = POLLIN}};
    (void)poll(fds, 2, POLL_MS);
}

static void
reap(struct running *running)
{
    int status = 0;
    if (!running->exited && waitpid(running->pid, &status, WNOHANG) == running->pid) {
        running->exited = true;
        running->status = status;
    }
}

struct error *
sandbox_process_run(const struct process *process, struct process_end *out)
{
    struct running running = {.process = process, .line = BUF_INIT(LINE_MAX_BYTES + 16)};
    TRY(start(&running));
    while (!running.exited) {
        wait_for_more(&running);
        drain(&running);
        escalate(&running);
        reap(&running);
    }
    drain(&running);
    if (running.line.len > 0) {
        flush_line(&running);
    }
    (void)close(running.fd);
    buf_done(&running.line);
    *out = (struct process_end){
        .exit_code = WIFEXITED(running.status) ? WEXITSTATUS(running.status)
                                               : 128 + WTERMSIG(running.status),
        .cancelled = cancel_signal(process->cancel) != 0,
        .timed_out = running.timed_out,
        .group = kill(-running.pid, 0) == 0 ? (int64_t)running.pid : 0,
    };
    return NULL;
}

void
sandbox_process_kill_group(int64_t group)
{
    if (group > 1) {
        (void)kill(-(pid_t)group, SIGKILL);
    }
}
