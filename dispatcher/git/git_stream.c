// Sockets for libgit2 that obey a deadline and a cancel flag. libgit2 1.5 has no timeouts: a server
// that accepts and then says nothing would hold a deployment for ever. TLS is still libgit2's, on
// top.
#include "git_fetch_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dispatcher/memory.h"

enum { LOOK_MS = 1000 }; // a jumped clock is noticed this often

struct socket_stream {
    git_stream base; // first: libgit2 hands this back
    struct git_patience *patience;
    char *host, *port;
    int fd;
};

// libgit2 passes no context to constructors, and fetches of several threads must not share one.
static _Thread_local struct git_patience *patience_of_thread;

void
git_stream_use(struct git_patience *patience)
{
    patience_of_thread = patience;
}

bool
git_patience_lasts(struct git_patience *patience)
{
    if (patience->ended == NULL) {
        patience->ended = cancel_check(patience->platform->cancel);
    }
    if (patience->ended == NULL && clock_mono(patience->platform->clock) >= patience->deadline_ms) {
        patience->ended = error_new(ERROR_UNAVAILABLE, "no answer in time");
    }
    return patience->ended == NULL;
}

static int
failed(const char *what)
{
    (void)git_error_set_str(GIT_ERROR_NET, what);
    return -1;
}

static int
wait_for(struct socket_stream *stream, short events)
{
    struct cancel *cancel = stream->patience->platform->cancel;
    while (git_patience_lasts(stream->patience)) {
        int64_t left =
            stream->patience->deadline_ms - clock_mono(stream->patience->platform->clock);
        struct pollfd list[] = {{.fd = stream->fd, .events = events},
            {.fd = cancel != NULL ? cancel_fd(cancel) : -1, .events = POLLIN}};
        int ready = poll(list, ARRAY_LENGTH(list), left < LOOK_MS ? (int)left : LOOK_MS);
        if (ready > 0 && list[0].revents != 0) {
            return 0;
        }
        if (ready < 0 && errno != EINTR) {
            return failed("waiting for the server failed");
        }
    }
    return failed("gave up waiting for the server");
}

static int
connect_address(struct socket_stream *stream, const struct addrinfo *address)
{
    stream->fd = socket(
        address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, address->ai_protocol);
    if (stream->fd < 0) {
        return failed("cannot open a socket");
    }
    if (connect(stream->fd, address->ai_addr, address->ai_addrlen) == 0) {
        return 0;
    }
    if (errno != EINPROGRESS) {
        return failed(strerror(errno));
    }
    if (wait_for(stream, POLLOUT) != 0) {
        return -1;
    }
    int reason = 0;
    socklen_t size = sizeof(reason);
    if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &reason, &size) != 0 || reason != 0) {
        return failed(strerror(reason));
    }
    return 0;
}

static int
stream_close(git_stream *base)
{
    struct socket_stream *stream = (struct socket_stream *)base;
    if (stream->fd >= 0) {
        (void)close(stream->fd);
        stream->fd = -1;
    }
    return 0;
}

static int
stream_connect(git_stream *base)
{
    struct socket_stream *stream = (struct socket_stream *)base;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    if (getaddrinfo(stream->host, stream->port, &hints, &list) != 0) {
        return failed("the server's name has no address");
    }
    int status = failed("the server's name has no address");
    for (const struct addrinfo *at = list; at != NULL && status != 0; at = at->ai_next) {
        if (!git_patience_lasts(stream->patience)) {
            break;
        }
        (void)stream_close(base);
        status = connect_address(stream, at);
    }
    freeaddrinfo(list);
    return status;
}

static ssize_t
stream_read(git_stream *base, void *out, size_t size)
{
    struct socket_stream *stream = (struct socket_stream *)base;
    for (;;) {
        if (!git_patience_lasts(stream->patience)) {
            return failed("gave up waiting for the server");
        }
        ssize_t got = recv(stream->fd, out, size, 0);
        if (got >= 0) {
            return got;
        }
        if (errno != EAGAIN && errno != EINTR) {
            return failed(strerror(errno));
        }
        if (wait_for(stream, POLLIN) != 0) {
            return -1;
        }
    }
}

static ssize_t
stream_write(git_stream *base, const char *bytes, size_t len, int flags)
{
    struct socket_stream *stream = (struct socket_stream *)base;
    (void)flags;
    for (;;) {
        ssize_t sent = send(stream->fd, bytes, len, MSG_NOSIGNAL);
        if (sent >= 0) {
            return sent;
        }
        if (errno != EAGAIN && errno != EINTR) {
            return failed(strerror(errno));
        }
        if (wait_for(stream, POLLOUT) != 0) {
            return -1;
        }
    }
}

static void
stream_free(git_stream *base)
{
    struct socket_stream *stream = (struct socket_stream *)base;
    (void)stream_close(base);
    free(stream->host);
    free(stream->port);
    free(stream);
}

static bool
is_peer(const struct git_peer *peer, const char *host, const char *port)
{
    return peer->host != NULL && str_equal_nocase(str_of(peer->host), str_of(host)) &&
           strcmp(peer->port, port) == 0;
}

static int
stream_new(git_stream **out, const char *host, const char *port)
{
    if (patience_of_thread == NULL) {
        return failed("no connection is expected here");
    }
    if (!is_peer(&patience_of_thread->server, host, port) &&
        !is_peer(&patience_of_thread->proxy, host, port)) {
        patience_of_thread->led_astray = true;
        return failed("redirects to another server are not followed");
    }
    struct socket_stream *stream = xcalloc(1, sizeof(*stream));
    stream->base = (git_stream){.version = GIT_STREAM_VERSION,
        .connect = stream_connect,
        .read = stream_read,
        .write = stream_write,
        .close = stream_close,
        .free = stream_free};
    stream->patience = patience_of_thread;
    stream->host = xstrdup(host);
    stream->port = xstrdup(port);
    stream->fd = -1;
    *out = &stream->base;
    return 0;
}

void
git_stream_register_sockets(void)
{
    git_stream_registration sockets = {.version = GIT_STREAM_VERSION, .init = stream_new};
    BUG_ON(git_stream_register(GIT_STREAM_STANDARD, &sockets) != 0);
}
