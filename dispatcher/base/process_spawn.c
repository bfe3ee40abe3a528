// Finds a program and starts it. Between fork and exec only async-signal-safe calls are made, since
// other threads may hold locks; what fails there comes back through a pipe.
#define _GNU_SOURCE // close_range, dup3, memfd_create, pipe2
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dispatcher/memory.h"
#include "process_internal.h"

enum { REPORT_FD = 3, DESCRIPTORS_MAX = 65536 };

// All that the child needs, made before the fork.
struct launch {
    const struct process_order *order;
    char *path;
    const char **environment;
    int in, out[2], err[2], report[2];
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
launch_done(struct launch *launch)
{
    free(launch->path);
    free(launch->environment);
    close_fd(&launch->in);
    for (int i = 0; i < 2; i++) {
        close_fd(&launch->out[i]);
        close_fd(&launch->err[i]);
        close_fd(&launch->report[i]);
    }
}

void
process_close_from(unsigned first)
{
    if (close_range(first, ~0U, 0) == 0) {
        return;
    }
    long limit = sysconf(_SC_OPEN_MAX); // a kernel before 5.9, or a filter
    unsigned end = limit > 0 && limit < DESCRIPTORS_MAX ? (unsigned)limit : DESCRIPTORS_MAX;
    for (unsigned fd = first; fd < end; fd++) {
        (void)close((int)fd);
    }
}

static bool
is_program(const char *path)
{
    struct stat about;
    return access(path, X_OK) == 0 && stat(path, &about) == 0 && S_ISREG(about.st_mode);
}

char *
process_find(const struct platform *platform, const char *name)
{
    if (strchr(name, '/') != NULL) {
        return xstrdup(name);
    }
    const char *list = env_get(platform, "PATH");
    struct str directory, rest = str_of(list != NULL ? list : "/usr/local/bin:/usr/bin:/bin");
    while (str_cut(rest, ':', &directory, &rest)) {
        char *path CLEANUP(xfreep) = xasprintf("%.*s/%s", STR_FMT(directory), name);
        if (path[0] == '/' && directory.len > 0 && is_program(path)) { // never from "here"
            char *found = path;
            path = NULL;
            return found;
        }
    }
    return NULL;
}

static bool
is_replaced(const char *entry, const char *const *variables)
{
    const char *equals = strchr(entry, '=');
    size_t len = equals != NULL ? (size_t)(equals - entry) + 1 : strlen(entry);
    for (; variables != NULL && *variables != NULL; variables++) {
        if (strncmp(entry, *variables, len) == 0) {
            return true;
        }
    }
    return false;
}

// The list is ours, its strings are the platform's and the order's.
static const char **
make_environment(const struct platform *platform, const char *const *variables)
{
    static char *const nothing[] = {NULL};
    char *const *all = platform->env != NULL ? environment_list(platform->env) : nothing;
    size_t count = 0, kept = 0;
    for (size_t i = 0; all[i] != NULL; i++) {
        count++;
    }
    for (size_t i = 0; variables != NULL && variables[i] != NULL; i++) {
        count++;
    }
    const char **list = xcalloc(count + 1, sizeof(*list));
    for (size_t i = 0; all[i] != NULL; i++) {
        if (!is_replaced(all[i], variables)) {
            list[kept++] = all[i];
        }
    }
    for (size_t i = 0; variables != NULL && variables[i] != NULL; i++) {
        list[kept++] = variables[i];
    }
    return list;
}

// A file in memory and not a pipe: written at once, whether the program reads it or not.
static struct error *
open_input(struct launch *launch)
{
    struct str rest = launch->order->input;
    launch->in = rest.len == 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC)
                               : memfd_create("input", MFD_CLOEXEC);
    while (launch->in >= 0 && rest.len > 0) {
        ssize_t count = write(launch->in, rest.ptr, rest.len);
        if (count < 0 && errno != EINTR) {
            break;
        }
        rest = str_skip(rest, count > 0 ? (size_t)count : 0);
    }
    if (launch->in < 0 || rest.len > 0) {
        return error_new(launch->order->kind, "make its input: %s", strerror(errno));
    }
    (void)lseek(launch->in, 0, SEEK_SET);
    return NULL;
}

static struct error *
open_pipes(struct launch *launch)
{
    if (pipe2(launch->out, O_CLOEXEC) != 0 || pipe2(launch->err, O_CLOEXEC) != 0 ||
        pipe2(launch->report, O_CLOEXEC) != 0) {
        return error_new(launch->order->kind, "make a pipe: %s", strerror(errno));
    }
    (void)fcntl(launch->out[0], F_SETFL, O_NONBLOCK);
    (void)fcntl(launch->err[0], F_SETFL, O_NONBLOCK);
    return NULL;
}

// It starts as from a shell: signals that we ignore or block end it as usual.
static void
reset_signals(void)
{
    static const int signals[] = {SIGPIPE, SIGXFSZ, SIGHUP, SIGINT, SIGTERM};
    for (size_t i = 0; i < ARRAY_LENGTH(signals); i++) {
        (void)signal(signals[i], SIG_DFL);
    }
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool
take_descriptors(const struct launch *launch)
{
    int report = launch->report[1];
    if (dup2(launch->in, STDIN_FILENO) < 0 || dup2(launch->out[1], STDOUT_FILENO) < 0 ||
        dup2(launch->err[1], STDERR_FILENO) < 0 ||
        (report != REPORT_FD && dup3(report, REPORT_FD, O_CLOEXEC) < 0)) {
        return false;
    }
    process_close_from(REPORT_FD + 1);
    return true;
}

NORETURN static void
become(const struct launch *launch)
{
    const struct process_order *order = launch->order;
    if (!order->on_terminal) {
        (void)setpgid(0, 0);
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM); // nobody would follow it
    reset_signals();
    if (order->umask != 0) {
        (void)umask(order->umask);
    }
    int report = launch->report[1];
    if (take_descriptors(launch)) {
        report = REPORT_FD;
        if (order->directory == NULL || chdir(order->directory) == 0) {
            // execve takes the strings as they are; its type is older than const.
            (void)execve(launch->path, (char *const *)(const void *)order->argv,
                (char *const *)(const void *)launch->environment);
        }
    }
    int failure = errno;
    (void)!write(report, &failure, sizeof(failure));
    _exit(127);
}

/// 0 when the program runs now, else the errno of what failed.
static int
read_report(struct launch *launch)
{
    int failure = 0;
    ssize_t got = 0;
    close_fd(&launch->report[1]);
    do {
        got = read(launch->report[0], &failure, sizeof(failure));
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof(failure) ? failure : 0;
}

static struct error *
start(struct launch *launch, struct process_child *child)
{
    pid_t pid = fork();
    if (pid == 0) {
        become(launch);
    }
    int failure = pid < 0 ? errno : 0;
    if (pid > 0) {
        if (!launch->order->on_terminal) {
            (void)setpgid(pid, pid); // whoever is first
        }
        child->pid = pid;
        failure = read_report(launch);
    }
    if (failure != 0) {
        return error_new(launch->order->kind, "run '%s': %s", launch->path, strerror(failure));
    }
    child->out_fd = launch->out[0];
    child->err_fd = launch->err[0];
    launch->out[0] = launch->err[0] = -1;
    return NULL;
}

struct error *
process_spawn(
    const struct platform *platform, const struct process_order *order, struct process_child *child)
{
    struct launch launch CLEANUP(launch_done) = {
        .order = order, .in = -1, .out = {-1, -1}, .err = {-1, -1}, .report = {-1, -1}};
    launch.path = process_find(platform, order->argv[0]);
    if (launch.path == NULL) {
        return error_new(order->kind, "there is no program '%s' in PATH", order->argv[0]);
    }
    launch.environment = make_environment(platform, order->variables);
    TRY(open_input(&launch));
    TRY(open_pipes(&launch));
    return start(&launch, child);
}
