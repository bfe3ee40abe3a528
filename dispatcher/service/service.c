// `dispatcher serve`: starts the rooms in their order, waits to be told to reload or to end, and
// stops them in the reverse order. Handles no request itself.
#include "dispatcher/service.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "service_state_internal.h"

enum {
    LOOK_MS = 200,        // for SIGHUP
    TRIM_FIRST_MS = 3000, // of memory, once all is up
    TRIM_MS = 30 * 1000,
    DRAIN_MS = 4 * 1000,    // for requests that are being answered
    FILES_BESIDE = 512,     // descriptors for all that is no connection
    FRESHEN_MS = 60 * 1000, // between looks at the age of the keys
};

const struct platform *
service_platform(const struct service *service)
{
    return &service->platform;
}

const struct platform *
service_request_platform(const struct service *service)
{
    return &service->request_platform;
}

const char *
service_replica(const struct service *service)
{
    return service->replica;
}

const char *
service_origin(const struct service *service)
{
    return service->origin;
}

const struct http_client_options *
service_http_options(const struct service *service)
{
    return &service->http_options;
}

struct service_parts *
service_parts(struct service *service)
{
    return &service->parts;
}

bool
service_is_draining(const struct service *service)
{
    return atomic_load(&service->draining);
}

struct error *
service_store_open(struct service *service, struct store **out)
{
    return store_open(service->state, out);
}

void
service_fail(struct service *service, struct error *err)
{
    char *text = error_text(err);
    log_error(service->platform.log, "storage failed; nothing more is accepted or begun",
        F_STR("error", text));
    error_free(err);
    (void)pthread_mutex_lock(&service->lock);
    if (service->failure == NULL) {
        service->failure = text;
        text = NULL;
    }
    atomic_store(&service->failed, true);
    (void)pthread_mutex_unlock(&service->lock);
    free(text);
}

char *
service_failure(struct service *service)
{
    (void)pthread_mutex_lock(&service->lock);
    char *text = service->failure != NULL ? xstrdup(service->failure) : NULL;
    (void)pthread_mutex_unlock(&service->lock);
    return text;
}

// --- start ---------------------------------------------------------------------------------------

static void
name_replica(struct service *service)
{
    char host[128] = "", random[9];
    if (gethostname(host, sizeof(host) - 1) != 0) {
        host[0] = '\0';
    }
    random_hex(service->outer->random, 4, random);
    service->replica =
        xasprintf("%s-%ld-%s", host[0] != '\0' ? host : "host", (long)getpid(), random);
}

// A connection is a descriptor, and the usual soft limit is lower than the connections we take.
static void
raise_files(const struct service *service)
{
    struct rlimit limit = {0};
    rlim_t wanted = (rlim_t)service_settings(service)->connections + FILES_BESIDE;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < wanted) {
        limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static struct error *
start_rooms(struct service *service)
{
    const struct setting_server *settings = service_settings(service);
    service->metrics = metrics_new();
    service->limiter = limiter_new();
    service->people = people_new();
    service->people_again = people_again_new();
    service->keys = keys_new(&service->request_platform, &service->http_options, settings->jwks);
    TRY(trace_start(service));
    TRY(wakeups_start(service));
    TRY(writer_start(service));
    TRY(specs_start(service));
    TRY(feed_start(service));
    TRY(workers_start(service));
    TRY(chores_start(service));
    TRY(sessions_start(service));
    TRY(streams_start(service));
    TRY(handlers_start(service));
    TRY(wakeups_listen(service));
    return listen_start(service);
}

static struct error *
announce(struct service *service)
{
    log_info(service->platform.log, "listening", F_STR("address", service->origin),
        F_STR("replica", service->replica));
    if (service->options->ready_file != NULL) {
        char *line CLEANUP(xfreep) = xasprintf("%s\n", service->origin);
        return file_write(service->options->ready_file, str_of(line), 0644);
    }
    return NULL;
}

// --- while it runs -------------------------------------------------------------------------------

static void
complain(struct service *service, const char *what, struct error *err)
{
    char *text CLEANUP(xfreep) = error_text(err);
    log_error(service->platform.log, what, F_STR("error", text));
    error_free(err);
}

static void
reload(struct service *service)
{
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    struct error *err = service_read_settings(service, diagnostics);
    if (err != NULL && diagnostics_total(diagnostics) > 0) {
        struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
        diagnostics_print_text(diagnostics, false, &text);
        log_error(service->platform.log, "the settings are wrong, so the old ones stay",
            F_STR("problems", buf_cstr(&text)));
    }
    if (err != NULL) {
        complain(service, "not reloaded, so the old settings stay", err);
        return;
    }
    keys_set_address(service->keys, service_settings(service)->jwks);
    people_forget(service->people); // whose organisation may be another one
    specs_stale(service);
    err = listen_reload(service);
    if (err != NULL) {
        complain(service, "the certificate cannot be used, so the old one stays", err);
        return;
    }
    log_info(service->platform.log, "reloaded", F_STR("config", service->options->config));
}

// What may take a while over the network, so that signals need not wait for it.
static void *
keep_up(void *ctx)
{
    struct service *service = ctx;
    const struct clock *clock = service->platform.clock;
    while (cancel_signal(service->stop) == 0) {
        keys_freshen(service->keys);
        struct error *err CLEANUP(error_freep) =
            clock_sleep_until(clock, clock_mono(clock) + FRESHEN_MS, service->stop);
    }
    return NULL;
}

// What was needed once (checking the database, a page of all apps) goes back to the system: malloc
// keeps it in one heap for each of many threads.
static void
trim_memory(struct service *service, int64_t *next_ms)
{
    int64_t now = clock_mono(service->outer->clock);
    if (now >= *next_ms) {
        *next_ms = now + TRIM_MS;
        (void)malloc_trim(0);
    }
}

static void
run(struct service *service)
{
    const struct platform *platform = service->outer;
    int64_t trim_ms = clock_mono(platform->clock) + TRIM_FIRST_MS;
    const int *asked = service->options->reload;
    int seen = asked != NULL ? *(const volatile int *)asked : 0;
    while (cancel_signal(platform->cancel) == 0) {
        int now = asked != NULL ? *(const volatile int *)asked : 0;
        if (now != seen) {
            seen = now;
            reload(service);
        }
        trim_memory(service, &trim_ms);
        struct error *err CLEANUP(error_freep) = clock_sleep_until(
            platform->clock, clock_mono(platform->clock) + LOOK_MS, platform->cancel);
    }
}

// --- the end -------------------------------------------------------------------------------------

// Nobody new, streams to another replica, answers out; meanwhile deployments are put down.
static void
drain(struct service *service)
{
    const struct platform *platform = service->outer;
    int64_t deadline = clock_mono(platform->clock) + DRAIN_MS;
    log_info(service->platform.log, "stopping", F_INT("signal", cancel_signal(platform->cancel)));
    atomic_store(&service->draining, true);
    cancel_clear(platform->cancel); // from here on it means: at once
    cancel_raise(service->stop, 15);
    wakeups_quiet(service);
    workers_quiet(service);
    chores_stop(service); // another replica goes on with them meanwhile
    streams_end(service);
    listen_drain(service, deadline);
    cancel_raise(service->request_stop, 15);
    listen_close(service); // a connection that stands may bring one more request at any moment
}

static void
stop_rooms(struct service *service)
{
    workers_stop(service);
    feed_stop(service);
    handlers_stop(service);
    writer_flush(service); // answers what is left, so that nothing is suspended any more
    streams_stop(service);
    listen_stop(service);
    streams_free(service);
    sessions_stop(service);
    specs_stop(service);
    writer_stop(service);
    wakeups_stop(service);
    trace_stop(service);
    keys_free(service->keys);
    people_free(service->people);
    people_again_free(service->people_again);
    limiter_free(service->limiter);
    metrics_free(service->metrics);
}

static struct error *
serve(struct service *service, struct diagnostics *diagnostics)
{
    TRY(service_read_settings(service, diagnostics));
    service->state = xstrdup(service_settings(service)->state);
    raise_files(service);
    struct error *err = start_rooms(service);
    if (err == NULL) {
        err = announce(service);
    }
    pthread_t upkeep;
    bool kept = err == NULL && pthread_create(&upkeep, NULL, keep_up, service) == 0;
    if (err == NULL) {
        run(service);
    }
    drain(service);
    if (kept) {
        (void)pthread_join(upkeep, NULL);
    }
    stop_rooms(service);
    return err;
}

struct error *
service_run(const struct platform *platform, const struct service_options *options,
    struct diagnostics *diagnostics)
{
    struct service service = {
        .outer = platform,
        .platform = *platform,
        .request_platform = *platform,
        .stop = cancel_new(),
        .request_stop = cancel_new(),
        .options = options,
        .http_options = {.ca_file = options->ca_file},
    };
    service.platform.cancel = service.stop;
    service.request_platform.cancel = service.request_stop;
    (void)pthread_mutex_init(&service.lock, NULL);
    name_replica(&service);
    struct error *err = serve(&service, diagnostics);
    service_forget_settings(&service);
    free(service.replica);
    free(service.origin);
    free(service.state);
    free(service.failure);
    (void)pthread_mutex_destroy(&service.lock);
    cancel_free(service.stop);
    cancel_free(service.request_stop);
    return err;
}
