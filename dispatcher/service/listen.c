// Opens the port and gives it to libmicrohttpd: a few threads that poll (never its epoll thread,
// which stalls when exactly 128 events come at once). Drains and stops in the order that it needs:
// it aborts when it is stopped with a connection suspended.
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dispatcher/memory.h"
#include "listen_internal.h"

enum {
    HOST_MAX = 64,
    PORT_MAX = 8,
    THREADS = 2,
    BACKLOG = 1024,
    PER_ADDRESS_PART = 8,
    DRAIN_LOOK_MS = 20,
};

// "host:port", ":port", "[v6]:port" → both parts; free().
static bool
split_address(const char *text, char **host, char **port)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon[1] == '\0') {
        return false;
    }
    bool bracketed = text[0] == '[' && colon > text + 1 && colon[-1] == ']';
    struct str name = {text, (size_t)(colon - text)};
    if (bracketed) {
        name = (struct str){text + 1, name.len - 2};
    } else if (memchr(name.ptr, ':', name.len) != NULL) {
        return false;
    }
    *host = str_dup(name);
    *port = xstrdup(colon + 1);
    return true;
}

static int
open_address(const struct addrinfo *address)
{
    int on = 1, fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int saved = errno;
        (void)close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static struct error *
open_port(const char *text, int *out)
{
    char *host CLEANUP(xfreep) = NULL, *port CLEANUP(xfreep) = NULL;
    const struct addrinfo hints = {
        .ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;
    if (!split_address(text, &host, &port)) {
        return error_hint(error_new(ERROR_USAGE, "cannot listen on '%s'", text),
            "Write it as HOST:PORT, as in 127.0.0.1:8080 or [::]:8443.");
    }
    int failed = getaddrinfo(host[0] != '\0' ? host : NULL, port, &hints, &addresses);
    if (failed != 0) {
        return error_new(ERROR_USAGE, "cannot listen on '%s': %s", text, gai_strerror(failed));
    }
    int fd = -1;
    for (const struct addrinfo *a = addresses; a != NULL && fd < 0; a = a->ai_next) {
        fd = open_address(a);
    }
    int why = errno;
    freeaddrinfo(addresses);
    if (fd < 0) {
        return error_new(ERROR_UNAVAILABLE, "cannot listen on '%s': %s", text, strerror(why));
    }
    *out = fd;
    return NULL;
}

// What was bound, for the ready file and logs.
static char *
origin_of(int fd, bool tls)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);
    char host[HOST_MAX] = "", port[PORT_MAX] = "";
    (void)getsockname(fd, (struct sockaddr *)&address, &size);
    (void)getnameinfo((struct sockaddr *)&address, size, host, sizeof(host), port, sizeof(port),
        NI_NUMERICHOST | NI_NUMERICSERV);
    bool v6 = strchr(host, ':') != NULL;
    return xasprintf(
        "%s://%s%s%s:%s", tls ? "https" : "http", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

// Where all clients come through one address, a limit for one would be a limit for all.
static unsigned
per_address_limit(const struct listener *listener)
{
    const struct service *service = listener->service;
    const struct setting_server *settings = service_settings(service);
    bool behind_proxy = settings->proxy_addresses.count > 0 ||
                        strstr(service->origin, "//127.") != NULL ||
                        strstr(service->origin, "//[::1]") != NULL;
    return behind_proxy ? 0 : (unsigned)(settings->connections / PER_ADDRESS_PART) + 1;
}

static struct error *
start_daemon(struct listener *listener, struct serving *out)
{
    struct service *service = listener->service;
    unsigned flags = MHD_USE_POLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
                     (listener->tls ? MHD_USE_TLS : 0);
    struct str key = listener->key != NULL ? secret_expose(listener->key) : (struct str){0};
    union {
        const char *read;
        void *taken;
    } pem = {.read = key.ptr};
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, listener->certificate},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, pem.taken},
        {MHD_OPTION_END, 0, NULL},
    };
    if (!listener->tls) {
        tls[0].option = MHD_OPTION_END;
    }
    int fd = fcntl(listener->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        return error_new(
            ERROR_UNAVAILABLE, "cannot serve on '%s': %s", service->origin, strerror(errno));
    }
    out->quiet_fd = -1;
    out->empty = false;
    out->daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, listen_handle, listener, MHD_OPTION_LISTEN_SOCKET,
            fd, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS, MHD_OPTION_CONNECTION_LIMIT,
            (unsigned)service_settings(service)->connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
            per_address_limit(listener), MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)LISTEN_IDLE_S,
            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)LISTEN_MEMORY, MHD_OPTION_STRICT_FOR_CLIENT,
            1, MHD_OPTION_URI_LOG_CALLBACK, listen_uri, listener, MHD_OPTION_NOTIFY_COMPLETED,
            listen_completed, listener, MHD_OPTION_NOTIFY_CONNECTION, listen_notify, listener,
            MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
    if (out->daemon == NULL) { // it has closed its descriptor
        return error_hint(error_new(ERROR_UNAVAILABLE, "cannot serve on '%s'", service->origin),
            listener->tls ? "Are server.tls' certificate and key PEM files that belong together?"
                          : "Is the limit of open files (ulimit -n) above server.connections?");
    }
    return NULL;
}

static struct error *
read_tls(struct listener *listener)
{
    struct secret *certificate CLEANUP(secret_freep) = NULL, *key CLEANUP(secret_freep) = NULL;
    TRY(service_read_tls(listener->service, &certificate, &key));
    free(listener->certificate);
    secret_free(listener->key);
    listener->certificate = certificate != NULL ? str_dup(secret_expose(certificate)) : NULL;
    listener->key = secret_ref(key);
    return NULL;
}

struct error *
listen_start(struct service *service)
{
    struct listener *listener = xcalloc(1, sizeof(*listener));
    listener->service = service;
    listener->fd = -1;
    listener->stop = cancel_new();
    (void)pthread_mutex_init(&listener->lock, NULL);
    service->listener = listener;
    const struct setting_server *settings = service_settings(service);
    const char *address =
        service->options->listen != NULL ? service->options->listen : settings->listen;
    TRY(server_library_load("the service"));
    TRY(read_tls(listener));
    TRY(open_port(address, &listener->fd));
    listener->tls = listener->certificate != NULL;
    service->origin = origin_of(listener->fd, listener->tls);
    TRY(listen_guard_start(listener));
    return start_daemon(listener, &listener->now);
}

static void
accept_no_more(struct serving *serving)
{
    if (serving->quiet_fd < 0) {
        serving->quiet_fd = MHD_quiesce_daemon(serving->daemon);
    }
}

// What it gave back is in use until it has stopped.
void
listen_end(struct serving *serving)
{
    accept_no_more(serving);
    MHD_stop_daemon(serving->daemon);
    if (serving->quiet_fd >= 0) {
        (void)close(serving->quiet_fd);
    }
    serving->daemon = NULL;
}

// Its connections end with their answers.
static void
retire(struct listener *listener, const struct serving *fresh)
{
    accept_no_more(&listener->now);
    (void)pthread_mutex_lock(&listener->lock);
    for (struct connection *c = listener->connections; c != NULL; c = c->next) {
        c->old = true;
    }
    listener->old[listener->old_count++] = listener->now;
    listener->now = *fresh;
    (void)pthread_mutex_unlock(&listener->lock);
}

static bool
has_room(struct listener *listener)
{
    (void)pthread_mutex_lock(&listener->lock);
    bool has = listener->old_count < ARRAY_LENGTH(listener->old);
    (void)pthread_mutex_unlock(&listener->lock);
    return has;
}

struct error *
listen_reload(struct service *service)
{
    struct listener *listener = service->listener;
    struct serving fresh = {.daemon = NULL};
    TRY(read_tls(listener));
    if (!listener->tls || listener->certificate == NULL) {
        return NULL; // plain stays plain until it is started again
    }
    if (!has_room(listener)) {
        return error_hint(error_new(ERROR_CONFLICT, "too many replaced certificates are in use"),
            "They go once their connections have ended; reload again then.");
    }
    TRY(start_daemon(listener, &fresh));
    retire(listener, &fresh);
    streams_end(service);
    return NULL;
}

static size_t
active(struct listener *listener)
{
    (void)pthread_mutex_lock(&listener->lock);
    size_t count = listener->active;
    (void)pthread_mutex_unlock(&listener->lock);
    return count;
}

void
listen_drain(struct service *service, int64_t deadline_ms)
{
    struct listener *listener = service->listener;
    const struct clock *clock = service->platform.clock;
    if (listener == NULL || listener->now.daemon == NULL) {
        return;
    }
    accept_no_more(&listener->now);
    while (active(listener) > 0 && clock_mono(clock) < deadline_ms) {
        struct error *err CLEANUP(error_freep) =
            clock_sleep_until(clock, clock_mono(clock) + DRAIN_LOOK_MS, service->outer->cancel);
        if (err != NULL) {
            return; // told again to end: at once then
        }
    }
}

bool
listen_enter(struct listener *listener)
{
    (void)pthread_mutex_lock(&listener->lock);
    bool may = !listener->closed;
    listener->running += may;
    (void)pthread_mutex_unlock(&listener->lock);
    return may;
}

void
listen_leave(struct listener *listener)
{
    (void)pthread_mutex_lock(&listener->lock);
    listener->running--;
    (void)pthread_mutex_unlock(&listener->lock);
}

static size_t
close_for_requests(struct listener *listener)
{
    (void)pthread_mutex_lock(&listener->lock);
    listener->closed = true;
    size_t running = listener->running;
    (void)pthread_mutex_unlock(&listener->lock);
    return running;
}

void
listen_close(struct service *service)
{
    struct listener *listener = service->listener;
    const struct clock *clock = service->platform.clock;
    while (listener != NULL && close_for_requests(listener) > 0) {
        error_free(clock_sleep_until(clock, clock_mono(clock) + DRAIN_LOOK_MS, NULL));
    }
}

void
listen_stop(struct service *service)
{
    struct listener *listener = service->listener;
    if (listener == NULL) {
        return;
    }
    listen_guard_stop(listener);
    for (size_t i = 0; i < listener->old_count; i++) {
        listen_end(&listener->old[i]);
    }
    if (listener->now.daemon != NULL) {
        listen_end(&listener->now);
    }
    if (listener->fd >= 0) {
        (void)close(listener->fd);
    }
    free(listener->certificate);
    secret_free(listener->key);
    cancel_free(listener->stop);
    (void)pthread_mutex_destroy(&listener->lock);
    free(listener);
    service->listener = NULL;
}

size_t
listen_connections(const struct service *service)
{
    struct listener *listener = service->listener;
    (void)pthread_mutex_lock(&listener->lock);
    size_t count = listener->connection_count;
    (void)pthread_mutex_unlock(&listener->lock);
    return count;
}
