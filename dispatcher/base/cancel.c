// The cancellation flag: an eventfd beside an atomic, both safe in a signal handler.
#include "dispatcher/cancel.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dispatcher/memory.h"

struct cancel {
    atomic_int signal;
    int fd;
};

struct cancel *
cancel_new(void)
{
    struct cancel *cancel = xmalloc(sizeof(*cancel));
    atomic_init(&cancel->signal, 0);
    cancel->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    BUG_ON(cancel->fd < 0);
    return cancel;
}

void
cancel_free(struct cancel *cancel)
{
    if (cancel != NULL) {
        (void)close(cancel->fd);
        free(cancel);
    }
}

void
cancel_raise(struct cancel *cancel, int signal)
{
    atomic_store(&cancel->signal, signal);
    uint64_t one = 1;
    ssize_t written = write(cancel->fd, &one, sizeof(one));
    (void)written;
}

int
cancel_signal(const struct cancel *cancel)
{
    return cancel != NULL ? atomic_load(&cancel->signal) : 0;
}

int
cancel_fd(const struct cancel *cancel)
{
    return cancel->fd;
}

void
cancel_clear(struct cancel *cancel)
{
    atomic_store(&cancel->signal, 0);
    uint64_t count = 0;
    ssize_t got = read(cancel->fd, &count, sizeof(count));
    (void)got;
}

struct error *
cancel_check(const struct cancel *cancel)
{
    int signal = cancel_signal(cancel);
    return signal == 0 ? NULL : error_new(ERROR_CANCELLED, "interrupted by signal %d", signal);
}
