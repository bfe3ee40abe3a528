// A service for the tests of its working half: what service.c, people.c, writer.c, stream.c,
// metrics.c and trace.c would be, as small as a test needs it. Included by one test program each,
// which is linked with the parts that it tests and with these instead of the others.
//
//     struct service *service CLEANUP(world_freep) = world_new();
//     service->settings.specs = "…";
//     assert_null(specs_start(service));
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/file.h"
#include "dispatcher/http.h"
#include "dispatcher/memory.h"
#include "service_internal.h"
#include "temp_dir.h"

struct service {
    struct platform platform;
    struct cancel *cancel;
    struct setting_server settings, again; // `again`: once they were read a second time
    atomic_bool is_again;
    struct http_client_options http;
    struct service_parts parts;
    struct secret *app_key;
    char *directory, *state;
    struct store *store; // the writer's, and the test's
    pthread_mutex_t writing;
    char *failure;  // what service_fail was told
    char heard[64]; // the deployment that another replica spoke of last
    struct str_list teams;
    bool teams_unknown, strangers_are_many;
    atomic_int asked_teams, streams, spans;
    // What GitHub says of two commits, and how often it was asked.
    enum deploy_ancestry ancestry;
    atomic_int asked_ancestry;
    atomic_llong counters[METRIC_COUNT];
};

static const struct clock *world_clock = &clock_system; // of the next one
static struct service *world_now; // the engine's functions are given no service

static inline struct service *
world_new(void)
{
    struct service *service = xcalloc(1, sizeof(*service));
    service->cancel = cancel_new();
    service->platform = (struct platform){
        .clock = world_clock, .random = &random_system, .env = NULL, .cancel = service->cancel};
    service->directory = temp_dir_new();
    char *path CLEANUP(xfreep) = temp_dir_path(service->directory, "state.db");
    service->state = xasprintf("sqlite:%s", path);
    service->settings.state = service->state;
    (void)pthread_mutex_init(&service->writing, NULL);
    assert_null(store_open(service->state, &service->store));
    world_now = service;
    return service;
}

static inline void
world_freep(struct service **service)
{
    struct service *gone = *service;
    store_close(gone->store);
    secret_free(gone->app_key);
    cancel_free(gone->cancel);
    (void)pthread_mutex_destroy(&gone->writing);
    temp_dir_removep(&gone->directory);
    free(gone->state);
    free(gone->failure);
    free(gone);
}

const struct platform *
service_platform(const struct service *service)
{
    return &service->platform;
}

const struct setting_server *
service_settings(const struct service *service)
{
    return atomic_load(&service->is_again) ? &service->again : &service->settings;
}

// As SIGHUP has it: the same settings, and every secret may be another one.
static inline void
world_read_again(struct service *service)
{
    service->again = service->settings;
    atomic_store(&service->is_again, true);
}

const char *
service_replica(const struct service *service)
{
    (void)service;
    return "host-7-abc";
}

const struct http_client_options *
service_http_options(const struct service *service)
{
    return &service->http;
}

struct secret *
service_app_key(struct service *service)
{
    return secret_ref(service->app_key);
}

void
service_fail(struct service *service, struct error *err)
{
    (void)pthread_mutex_lock(&service->writing);
    free(service->failure);
    service->failure = error_text(err);
    (void)pthread_mutex_unlock(&service->writing);
    error_free(err);
}

bool
auth_may_note(struct service *service, const struct policy_claims *claims)
{
    (void)claims;
    return !service->strangers_are_many;
}

static inline bool
world_failed_with(struct service *service, const char *says)
{
    (void)pthread_mutex_lock(&service->writing);
    bool has = service->failure != NULL && strstr(service->failure, says) != NULL;
    (void)pthread_mutex_unlock(&service->writing);
    return has;
}

struct service_parts *
service_parts(struct service *service)
{
    return &service->parts;
}

struct error *
service_store_open(struct service *service, struct store **out)
{
    return store_open(service->state, out);
}

struct error *
people_teams(struct service *service, const char *login, struct arena *arena, struct str_list *out,
    bool *known)
{
    (void)login;
    (void)arena;
    (void)atomic_fetch_add(&service->asked_teams, 1);
    *known = !service->teams_unknown;
    *out = service->teams_unknown ? (struct str_list){0} : service->teams;
    return NULL;
}

bool
people_teams_now(
    struct service *service, const char *login, struct arena *arena, struct policy_actor *out)
{
    error_free(people_teams(service, login, arena, &out->teams, &out->teams_known));
    return true;
}

static struct error *
run_in_vain(struct store *store, void *ctx)
{
    const struct store_op *op = ctx;
    error_free(op->run(store, op->ctx));
    return error_new(ERROR_USAGE, "once more");
}

// Each twice, the first time undone, as it may be on a shared database.
struct error *
writer_do(struct service *service, struct store_op *op)
{
    struct store_op first = {.run = run_in_vain, .ctx = op};
    (void)pthread_mutex_lock(&service->writing);
    error_free(store_group(service->store, &first, 1));
    error_free(first.err);
    struct error *err = store_group(service->store, op, 1);
    (void)pthread_mutex_unlock(&service->writing);
    if (err != NULL) {
        error_free(op->err);
        return err;
    }
    return op->err;
}

void
streams_wake(struct service *service, const char *deployment)
{
    (void)deployment;
    (void)atomic_fetch_add(&service->streams, 1);
}

void
streams_hear(struct service *service, const char *deployment)
{
    (void)pthread_mutex_lock(&service->writing);
    (void)snprintf(service->heard, sizeof(service->heard), "%s", deployment);
    (void)pthread_mutex_unlock(&service->writing);
}

void
metric_add(struct service *service, enum metric_counter counter, int64_t amount)
{
    (void)atomic_fetch_add(&service->counters[counter], (long long)amount);
}

void
trace_add(struct service *service, const struct trace_span *span)
{
    (void)span;
    (void)atomic_fetch_add(&service->spans, 1);
}

void
trace_parent(const char *trace, const char *deployment, char out[56])
{
    (void)deployment;
    (void)snprintf(out, 56, "00-%s-0123456789abcdef-01", trace);
}

// --- asserting -----------------------------------------------------------------------------------

static inline void
assert_failure(struct error *err, enum error_kind kind, const char *says)
{
    assert_non_null(err);
    char *text = error_text(err);
    if (strstr(text, says) == NULL) {
        fail_msg("'%s' does not say '%s'", text, says);
    }
    free(text);
    assert_int_equal(error_kind(err), kind);
    error_free(err);
}

static inline void
world_write(const struct service *service, const char *name, const char *content)
{
    char *path CLEANUP(xfreep) = temp_dir_path(service->directory, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    assert_null(file_make_directories(path));
    *slash = '/';
    assert_null(file_write(path, str_of(content), 0600));
}

/// Waits until `is` holds, for thirty seconds at most.
#define world_until(service, is)                                                                   \
    do {                                                                                           \
        int64_t world_end_ = clock_mono(&clock_system) + 30 * 1000;                                \
        while (!(is) && clock_mono(&clock_system) < world_end_) {                                  \
            error_free(clock_sleep_until(&clock_system, clock_mono(&clock_system) + 5, NULL));     \
        }                                                                                          \
        if (!(is)) {                                                                               \
            fail_msg("it never came: %s", #is);                                                    \
        }                                                                                          \
    } while (0)
