// Opens the loopback port, starts the parts, serves until it is cancelled, and takes all down
// again. Never MHD's epoll thread (it stalls at 128 events, see libmicrohttpd's notes in docs): one
// thread a connection, so that a fault may wait without holding up anybody else.
#define _XOPEN_SOURCE 700 // realpath
#include "server_internal.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "dispatcher/url.h"

enum { CONNECTIONS_MAX = 1000, BACKLOG = 256 };

// "host:port" with a loopback IPv4 host.
static struct error *
parse_listen(const char *text, struct sockaddr_in *out)
{
    struct str host = {0}, rest = {0};
    int64_t port = 0;
    char name[64] = {0};
    bool good = str_cut(str_of(text), ':', &host, &rest) && host.len < sizeof(name) &&
                str_to_int64(rest, &port) && port >= 0 && port <= 65535;
    if (good) {
        memcpy(name, host.ptr, host.len);
        const char *address = strcmp(name, "localhost") == 0 ? "127.0.0.1" : name;
        out->sin_family = AF_INET;
        out->sin_port = htons((uint16_t)port);
        good = inet_pton(AF_INET, address, &out->sin_addr) == 1 &&
               (ntohl(out->sin_addr.s_addr) >> 24) == 127;
    }
    if (!good) {
        return error_hint(error_new(ERROR_USAGE, "cannot listen on '%s'", text),
            "The sandbox executes workflows, so it takes a loopback address only: 127.0.0.1:PORT.");
    }
    return NULL;
}

static struct error *
open_socket(struct sandbox *sandbox, int *ret_fd)
{
    const char *listen_text =
        sandbox->options->listen != NULL ? sandbox->options->listen : "127.0.0.1:0";
    struct sockaddr_in address = {0};
    TRY(parse_listen(listen_text, &address));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    BUG_ON(fd < 0);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    socklen_t size = sizeof(address);
    if (bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        struct error *err =
            error_new(ERROR_UNAVAILABLE, "cannot listen on '%s': %s", listen_text, strerror(errno));
        (void)close(fd);
        return err;
    }
    char name[INET_ADDRSTRLEN] = {0};
    (void)inet_ntop(AF_INET, &address.sin_addr, name, sizeof(name));
    sandbox->host = xasprintf("%s:%u", name, (unsigned)ntohs(address.sin_port));
    sandbox->origin = xasprintf("http://%s", sandbox->host);
    *ret_fd = fd;
    return NULL;
}

static struct error *
make_data(struct sandbox *sandbox)
{
    if (sandbox->options->data_directory != NULL) {
        TRY(file_make_directories(sandbox->options->data_directory));
        char *full = realpath(sandbox->options->data_directory, NULL);
        sandbox->data = full != NULL ? full : xstrdup(sandbox->options->data_directory);
    } else {
        const char *base = env_get(sandbox->platform, "TMPDIR");
        char *path = xasprintf("%s/dispatcher-sandbox-XXXXXX", base != NULL ? base : "/tmp");
        if (mkdtemp(path) == NULL) {
            struct error *err =
                error_new(ERROR_STORAGE, "cannot make '%s': %s", path, strerror(errno));
            free(path);
            return err;
        }
        sandbox->data = path;
    }
    char *spool CLEANUP(xfreep) = xasprintf("%s/spool", sandbox->data);
    return file_make_directories(spool);
}

// rm -r, without following links.
static void
remove_tree(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    if (directory == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        (void)unlinkat(parent, name, 0);
        return;
    }
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            remove_tree(fd, entry->d_name);
        }
    }
    (void)closedir(directory);
    (void)unlinkat(parent, name, AT_REMOVEDIR);
}

static struct error *
add_faults(struct sandbox *sandbox)
{
    for (size_t i = 0; i < sandbox->options->faults.count; i++) {
        struct fault_rule *rule = NULL;
        TRY(fault_rule_parse(sandbox->options->faults.items[i], &rule));
        (void)fault_set_add(&sandbox->faults, rule);
    }
    return NULL;
}

static struct error *
start_parts(struct sandbox *sandbox)
{
    TRY(add_faults(sandbox));
    TRY(sandbox_oidc_start(sandbox));
    TRY(sandbox_aws_start(sandbox));
    TRY(sandbox_registry_start(sandbox));
    TRY(sandbox_vault_start(sandbox));
    TRY(sandbox_slack_start(sandbox));
    TRY(sandbox_pagerduty_start(sandbox));
    TRY(sandbox_hooks_start(sandbox));
    return sandbox_github_start(sandbox);
}

static struct error *
start_daemon(struct sandbox *sandbox, int fd, struct MHD_Daemon **out)
{
    unsigned flags = MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_ITC |
                     MHD_USE_SUPPRESS_DATE_NO_CLOCK;
    *out = MHD_start_daemon(flags, 0, NULL, NULL, sandbox_connection_handle, sandbox,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_URI_LOG_CALLBACK, sandbox_connection_uri, sandbox, MHD_OPTION_NOTIFY_COMPLETED,
        sandbox_connection_completed, sandbox, MHD_OPTION_NOTIFY_CONNECTION,
        sandbox_connection_notify, sandbox, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)(64 * 1024),
        MHD_OPTION_END);
    if (*out == NULL) {
        (void)close(fd);
        return error_new(ERROR_UNAVAILABLE, "cannot serve on '%s'", sandbox->host);
    }
    return NULL;
}

static struct error *
announce(
    struct sandbox *sandbox, void (*ready)(void *ctx, const struct sandbox_ready *what), void *ctx)
{
    (void)pthread_mutex_lock(&sandbox->lock);
    struct json *addresses CLEANUP(json_freep) = sandbox_ready_addresses(sandbox);
    (void)pthread_mutex_unlock(&sandbox->lock);
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    sandbox_ready_environment(addresses, &text);
    TRY(buf_finish(&text, "environment of the sandbox"));
    if (sandbox->options->ready_file != NULL) {
        TRY(file_write(sandbox->options->ready_file, buf_str(&text), 0600));
    }
    if (ready != NULL) {
        struct sandbox_ready what = {sandbox->origin, addresses, buf_str(&text)};
        ready(ctx, &what);
    }
    return NULL;
}

static void
wait_for_cancel(const struct platform *platform)
{
    while (cancel_signal(platform->cancel) == 0) {
        struct error *err CLEANUP(error_freep) = clock_sleep_until(
            platform->clock, clock_mono(platform->clock) + 3600000, platform->cancel);
    }
}

static struct error *
serve(
    struct sandbox *sandbox, void (*ready)(void *ctx, const struct sandbox_ready *what), void *ctx)
{
    int fd = -1;
    struct MHD_Daemon *daemon = NULL;
    TRY(make_data(sandbox));
    TRY(open_socket(sandbox, &fd));
    struct error *err = start_parts(sandbox);
    if (err != NULL) {
        (void)close(fd);
        return err;
    }
    TRY(start_daemon(sandbox, fd, &daemon));
    err = announce(sandbox, ready, ctx);
    if (err == NULL) {
        wait_for_cancel(sandbox->platform);
    }
    cancel_raise(sandbox->stop, 15); // ends waiting faults and every run
    sandbox_github_stop(sandbox);
    MHD_stop_daemon(daemon);
    return err;
}

struct error *
sandbox_run(const struct platform *platform, const struct sandbox_options *options,
    void (*ready)(void *ctx, const struct sandbox_ready *what), void *ctx)
{
    TRY(server_library_load("the sandbox"));
    struct sandbox sandbox = {.platform = platform, .options = options, .stop = cancel_new()};
    (void)pthread_mutex_init(&sandbox.lock, NULL);
    struct error *err = serve(&sandbox, ready, ctx);
    sandbox_github_stop(&sandbox);
    sandbox_github_free(&sandbox);
    sandbox_registry_stop(&sandbox);
    sandbox_vault_stop(&sandbox);
    sandbox_slack_stop(&sandbox);
    sandbox_pagerduty_stop(&sandbox);
    sandbox_hooks_stop(&sandbox);
    sandbox_aws_stop(&sandbox);
    sandbox_oidc_stop(&sandbox);
    sandbox_control_done(&sandbox);
    if (sandbox.data != NULL && options->data_directory == NULL) {
        remove_tree(AT_FDCWD, sandbox.data);
    }
    free(sandbox.data);
    free(sandbox.host);
    free(sandbox.origin);
    cancel_free(sandbox.stop);
    (void)pthread_mutex_destroy(&sandbox.lock);
    return err;
}
