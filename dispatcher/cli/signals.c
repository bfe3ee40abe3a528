// The signal handlers and the one piece of state that they need. Nothing here waits or prints.
//
// They are installed even where the signals came ignored (a background job of a script): a CI job
// that is cancelled signals those too, and a deployment must hear of it.
#include "signals.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

#include "dispatcher/cancel.h"

enum { PATIENCE = 3 }; // the signal that ends the process

// A handler takes no argument: the flag, the count and the terminal have to be here.
static struct {
    _Atomic(struct cancel *) cancel;
    atomic_int count;
    atomic_int cursor_fd;
    int reloads; // how often SIGHUP came
} state = {.cursor_fd = -1};

static void
on_signal(int signal)
{
    int saved = errno;
    struct cancel *cancel = atomic_load(&state.cancel);
    if (cancel == NULL || atomic_fetch_add(&state.count, 1) + 1 >= PATIENCE) {
        static const char show[] = "\x1b[?25h\n";
        int fd = atomic_load(&state.cursor_fd);
        if (fd >= 0) {
            ssize_t put = write(fd, show, sizeof(show) - 1);
            (void)put;
        }
        _exit(128 + signal);
    }
    cancel_raise(cancel, signal);
    errno = saved;
}

static void
handle(int signal, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    (void)sigaction(signal, &action, NULL);
}

void
signals_start(struct cancel *cancel)
{
    atomic_store(&state.count, 0);
    atomic_store(&state.cancel, cancel);
    handle(SIGINT, on_signal);
    handle(SIGTERM, on_signal);
}

void
signals_stop(void)
{
    handle(SIGINT, SIG_DFL);
    handle(SIGTERM, SIG_DFL);
    handle(SIGHUP, SIG_DFL);
    atomic_store(&state.cancel, NULL);
}

static void
on_hangup(int signal)
{
    (void)signal;
    state.reloads++;
}

const int *
signals_reloads(void)
{
    handle(SIGHUP, on_hangup);
    return &state.reloads;
}

void
signals_cursor_hidden(int fd)
{
    atomic_store(&state.cursor_fd, fd);
}
