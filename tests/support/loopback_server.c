// Sockets and threads below the tests of net/. Knows just enough HTTP to find the end of a request.
#include "loopback_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "dispatcher/arena.h"
#include "dispatcher/memory.h"

enum { CONNECTIONS_MAX = 256, REQUEST_MAX = 64 * 1024 * 1024 };

struct loopback_connection {
    struct loopback_server *server;
    pthread_t thread;
    int fd;
    size_t number;
};

struct loopback_server {
    void (*serve)(struct loopback_connection *connection, void *ctx);
    void *ctx;
    int listener;
    unsigned port;
    pthread_t acceptor;
    atomic_bool stopping;
    struct loopback_connection connections[CONNECTIONS_MAX];
    atomic_size_t connection_count, requests, posts;
    struct arena *arena; // of URLs; the test's thread only
};

static void *
serve_connection(void *ctx)
{
    struct loopback_connection *connection = ctx;
    connection->server->serve(connection, connection->server->ctx);
    (void)shutdown(connection->fd, SHUT_RDWR); // closed when the server is freed
    return NULL;
}

static void *
accept_connections(void *ctx)
{
    struct loopback_server *server = ctx;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        int fd = accept(server->listener, NULL, NULL);
        if (fd < 0 || atomic_load(&server->stopping)) {
            if (fd >= 0) {
                (void)close(fd);
            }
            return NULL;
        }
        struct loopback_connection *connection = &server->connections[i];
        *connection = (struct loopback_connection){.server = server, .fd = fd, .number = i + 1};
        atomic_store(&server->connection_count, i + 1);
        BUG_ON(pthread_create(&connection->thread, NULL, serve_connection, connection) != 0);
    }
    return NULL;
}

static struct loopback_server *
start(int listener, void (*serve)(struct loopback_connection *connection, void *ctx), void *ctx)
{
    struct loopback_server *server = xcalloc(1, sizeof(*server));
    server->serve = serve;
    server->ctx = ctx;
    server->listener = listener;
    server->arena = arena_new();
    BUG_ON(listen(listener, 64) != 0);
    BUG_ON(pthread_create(&server->acceptor, NULL, accept_connections, server) != 0);
    return server;
}

struct loopback_server *
loopback_server_new(void (*serve)(struct loopback_connection *connection, void *ctx), void *ctx)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    BUG_ON(fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0);
    BUG_ON(getsockname(fd, (struct sockaddr *)&address, &len) != 0);
    struct loopback_server *server = start(fd, serve, ctx);
    server->port = ntohs(address.sin_port);
    return server;
}

struct loopback_server *
loopback_server_new_unix(
    const char *path, void (*serve)(struct loopback_connection *connection, void *ctx), void *ctx)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    BUG_ON(strlen(path) >= sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    BUG_ON(fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0);
    return start(fd, serve, ctx);
}

void
loopback_server_free(struct loopback_server *server)
{
    if (server == NULL) {
        return;
    }
    atomic_store(&server->stopping, true);
    (void)shutdown(server->listener, SHUT_RDWR); // wakes accept()
    (void)pthread_join(server->acceptor, NULL);
    (void)close(server->listener);
    for (size_t i = 0; i < atomic_load(&server->connection_count); i++) {
        (void)shutdown(server->connections[i].fd, SHUT_RDWR);
        (void)pthread_join(server->connections[i].thread, NULL);
        (void)close(server->connections[i].fd);
    }
    arena_free(server->arena);
    free(server);
}

void
loopback_server_freep(struct loopback_server **server)
{
    loopback_server_free(*server);
    *server = NULL;
}

const char *
loopback_server_url(struct loopback_server *server, const char *path)
{
    return arena_printf(server->arena, "http://127.0.0.1:%u%s", server->port, path);
}

unsigned
loopback_server_port(const struct loopback_server *server)
{
    return server->port;
}

size_t
loopback_server_connections(const struct loopback_server *server)
{
    return atomic_load(&server->connection_count);
}

size_t
loopback_server_requests(const struct loopback_server *server)
{
    return atomic_load(&server->requests);
}

size_t
loopback_server_posts(const struct loopback_server *server)
{
    return atomic_load(&server->posts);
}

size_t
loopback_connection_number(const struct loopback_connection *connection)
{
    return connection->number;
}

bool
loopback_read_byte(struct loopback_connection *connection, char *out)
{
    return recv(connection->fd, out, 1, 0) == 1;
}

static bool
ends_with(const struct buf *text, const char *end)
{
    return str_ends(buf_str(text), str_of(end));
}

static bool
read_until(struct loopback_connection *connection, const char *end, struct buf *out)
{
    char byte = 0;
    while (!ends_with(out, end)) {
        if (!loopback_read_byte(connection, &byte)) {
            return false;
        }
        buf_putc(out, byte);
    }
    return true;
}

static bool
read_count(struct loopback_connection *connection, int64_t count, struct buf *out)
{
    char chunk[16 * 1024];
    while (count > 0) {
        size_t want = count < (int64_t)sizeof(chunk) ? (size_t)count : sizeof(chunk);
        ssize_t got = recv(connection->fd, chunk, want, 0);
        if (got <= 0) {
            return false;
        }
        buf_append(out, chunk, (size_t)got);
        count -= got;
    }
    return true;
}

static int64_t
content_length(struct str head)
{
    struct str line = {0}, name = {0}, value = {0};
    int64_t length = 0;
    while (str_cut(head, '\n', &line, &head)) {
        if (str_cut(line, ':', &name, &value) && str_equal_nocase(name, STR("Content-Length"))) {
            (void)str_to_int64(str_trim(value), &length);
        }
    }
    return length;
}

bool
loopback_receive(struct loopback_connection *connection, struct buf *request)
{
    buf_reset(request);
    if (!read_until(connection, "\r\n\r\n", request)) {
        return false;
    }
    bool chunked = str_contains(buf_str(request), STR("\r\nTransfer-Encoding: chunked"));
    bool whole = chunked ? read_until(connection, "\r\n0\r\n\r\n", request)
                         : read_count(connection, content_length(buf_str(request)), request);
    if (whole) {
        atomic_fetch_add(&connection->server->requests, 1);
        bool post = str_starts(buf_str(request), STR("POST "));
        atomic_fetch_add(&connection->server->posts, post ? 1 : 0);
    }
    return whole;
}

bool
loopback_send_bytes(struct loopback_connection *connection, const void *bytes, size_t len)
{
    struct str rest = {bytes, len};
    while (rest.len > 0) {
        ssize_t put = send(connection->fd, rest.ptr, rest.len, MSG_NOSIGNAL);
        if (put <= 0) {
            return false;
        }
        rest = str_skip(rest, (size_t)put);
    }
    return true;
}

bool
loopback_send(struct loopback_connection *connection, const char *text)
{
    return loopback_send_bytes(connection, text, strlen(text));
}

void
loopback_reset(struct loopback_connection *connection)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    // Replacing the last descriptor closes the connection; the number stays taken.
    int hole = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)dup2(hole, connection->fd);
    (void)close(hole);
}

void
loopback_wait_closed(struct loopback_connection *connection)
{
    char byte = 0;
    while (loopback_read_byte(connection, &byte)) {
    }
}

bool
loopback_is_open_after(struct loopback_connection *connection, int ms)
{
    struct pollfd ready = {.fd = connection->fd, .events = POLLIN};
    if (poll(&ready, 1, ms) == 0) {
        return true;
    }
    char byte = 0;
    return recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}
