// Ends who is too slow: libmicrohttpd's own limit starts anew with every byte, so one byte a second
// would hold a connection for ever (protocols.md T60). Looks twice a second at all deadlines. Also
// counts what all bodies that come in take together.
#include "listen_internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { LOOK_MS = 500 };

void
listen_phase(struct connection *connection, enum listen_phase phase, int64_t within_ms)
{
    struct listener *listener = connection->listener;
    int64_t now = clock_mono(listener->service->platform.clock);
    (void)pthread_mutex_lock(&listener->lock);
    connection->phase = phase;
    connection->deadline_ms = within_ms == LISTEN_NEVER ? LISTEN_NEVER : now + within_ms;
    (void)pthread_mutex_unlock(&listener->lock);
}

// Whoever sends a body has shown nothing yet that proves him, so all of them together have a limit.
// Small ones keep their room whatever the others send.
bool
listen_take_room(struct exchange *exchange, size_t more)
{
    struct listener *listener = exchange->listener;
    size_t len = exchange->body.len + more;
    size_t large = len > LISTEN_BODY_SMALL ? len - LISTEN_BODY_SMALL : 0;
    (void)pthread_mutex_lock(&listener->lock);
    size_t all = listener->large + large - exchange->body_large;
    bool has = all <= LISTEN_BODIES_MAX;
    if (has) {
        listener->large = all;
        exchange->body_large = large;
    }
    (void)pthread_mutex_unlock(&listener->lock);
    return has;
}

void
listen_give_room_back(struct exchange *exchange)
{
    struct listener *listener = exchange->listener;
    (void)pthread_mutex_lock(&listener->lock);
    listener->large -= exchange->body_large;
    exchange->body_large = 0;
    (void)pthread_mutex_unlock(&listener->lock);
}

bool
listen_is_old(struct connection *connection)
{
    struct listener *listener = connection->listener;
    (void)pthread_mutex_lock(&listener->lock);
    bool old = connection->old;
    (void)pthread_mutex_unlock(&listener->lock);
    return old;
}

static const char *
phrase_of(int status)
{
    return status == 408   ? "Request Timeout"
           : status == 503 ? "Service Unavailable\r\nRetry-After: 5"
                           : "Content Too Large";
}

// Called with the lock held, so that the descriptor is still the connection's.
static void
cut(struct connection *connection, int status)
{
    char line[128];
    connection->cut = true;
    if (!connection->listener->tls) {
        int len = snprintf(line, sizeof(line),
            "HTTP/1.1 %d %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status,
            phrase_of(status));
        ssize_t sent = send(connection->fd, line, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)sent;
    }
    (void)shutdown(connection->fd, SHUT_RDWR);
}

void
listen_cut(struct connection *connection, int status)
{
    struct listener *listener = connection->listener;
    (void)pthread_mutex_lock(&listener->lock);
    if (!connection->cut) {
        cut(connection, status);
    }
    (void)pthread_mutex_unlock(&listener->lock);
}

static void
look(struct listener *listener, int64_t now)
{
    (void)pthread_mutex_lock(&listener->lock);
    for (struct connection *c = listener->connections; c != NULL; c = c->next) {
        if (c->cut || now < c->deadline_ms) {
            continue;
        }
        if (c->phase == LISTEN_SEND) {
            c->cut = true; // an answer is half-way out: nothing may follow
            (void)shutdown(c->fd, SHUT_RDWR);
        } else {
            cut(c, 408);
        }
    }
    (void)pthread_mutex_unlock(&listener->lock);
}

// Without a connection, twice in a row: one that was being accepted when the daemon was replaced is
// there by the second look.
static bool
is_dead(struct serving *serving)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(serving->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    bool empty = info != NULL && info->num_connections == 0, before = serving->empty;
    serving->empty = empty;
    return empty && before;
}

// A replaced daemon goes away once its last connection has. Not under the lock, which what it calls
// takes.
static void
bury(struct listener *listener)
{
    struct serving dead = {.daemon = NULL};
    (void)pthread_mutex_lock(&listener->lock);
    for (size_t i = 0; i < listener->old_count && dead.daemon == NULL; i++) {
        if (is_dead(&listener->old[i])) {
            dead = listener->old[i];
            listener->old[i] = listener->old[--listener->old_count];
        }
    }
    (void)pthread_mutex_unlock(&listener->lock);
    if (dead.daemon != NULL) {
        listen_end(&dead);
    }
}

static void *
guard(void *ctx)
{
    struct listener *listener = ctx;
    const struct clock *clock = listener->service->platform.clock;
    while (cancel_signal(listener->stop) == 0) {
        struct error *err CLEANUP(error_freep) =
            clock_sleep_until(clock, clock_mono(clock) + LOOK_MS, listener->stop);
        look(listener, clock_mono(clock));
        bury(listener);
    }
    return NULL;
}

struct error *
listen_guard_start(struct listener *listener)
{
    listener->guarded = pthread_create(&listener->guard, NULL, guard, listener) == 0;
    return listener->guarded ? NULL : error_new(ERROR_UNAVAILABLE, "cannot start a thread");
}

void
listen_guard_stop(struct listener *listener)
{
    if (listener->guarded) {
        cancel_raise(listener->stop, 15);
        (void)pthread_join(listener->guard, NULL);
        listener->guarded = false;
    }
}
