// Hints from and to the other replicas of a shared database: a connection of its own hears what
// they tell (something is due, a deployment has new events) and tells them what happened here, so
// that nobody waits for the next look round. Nothing depends on it: a connection that is gone is
// taken up again after a pause, and whoever would have been woken looks by itself meanwhile.
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "service_internal.h"

enum {
    ID_MAX = 64,
    TOLD_MAX = 256,           // deployments of one round; more than that are found by a look
    GATHER_MS = 20,           // hints that come close together are one
    QUIET_MS = 60 * 1000,     // between two looks at a connection that says nothing
    AGAIN_MS = 500,           // after a connection broke; doubled each time, ...
    AGAIN_MAX_MS = 30 * 1000, // ... up to this
};

struct wakeups {
    struct service *service;
    struct store *store; // of the thread; NULL: there is no connection
    bool runs;
    pthread_t thread;
    struct cancel *wake; // something is to be told, or it is the end
    atomic_bool listens;
    int64_t again_ms; // the next pause

    pthread_mutex_t lock; // of all that follows
    bool stopping, deaf;
    char told[TOLD_MAX][ID_MAX];
    size_t count;
};

static const struct clock *
clock_of(const struct wakeups *wakeups)
{
    return service_platform(wakeups->service)->clock;
}

// --- hearing -------------------------------------------------------------------------------------

// Whoever may connect may tell us anything: it costs a look, and no more.
static void
hear(void *ctx, const char *about)
{
    struct wakeups *wakeups = ctx;
    (void)pthread_mutex_lock(&wakeups->lock);
    if (!wakeups->deaf && about[0] == '\0') {
        workers_wake(wakeups->service);
    } else if (!wakeups->deaf) {
        streams_hear(wakeups->service, about);
    }
    (void)pthread_mutex_unlock(&wakeups->lock);
}

// --- telling -------------------------------------------------------------------------------------

static size_t
take_told(struct wakeups *wakeups, char out[TOLD_MAX][ID_MAX], bool *stopping)
{
    (void)pthread_mutex_lock(&wakeups->lock);
    size_t count = wakeups->count;
    memcpy(out, wakeups->told, count * sizeof(out[0]));
    wakeups->count = 0;
    *stopping = wakeups->stopping;
    (void)pthread_mutex_unlock(&wakeups->lock);
    return count;
}

static struct error *
tell_all(struct wakeups *wakeups, bool *stopping)
{
    char told[TOLD_MAX][ID_MAX];
    size_t count = take_told(wakeups, told, stopping);
    for (size_t i = 0; i < count && wakeups->store != NULL; i++) {
        TRY(store_tell(wakeups->store, told[i]));
    }
    return NULL;
}

void
wakeups_tell(struct service *service, const char *deployment)
{
    struct wakeups *wakeups = service_parts(service)->wakeups;
    if (wakeups == NULL || strlen(deployment) >= ID_MAX) {
        return;
    }
    (void)pthread_mutex_lock(&wakeups->lock);
    size_t at = 0;
    while (at < wakeups->count && strcmp(wakeups->told[at], deployment) != 0) {
        at++;
    }
    if (at == wakeups->count && at < TOLD_MAX) {
        memcpy(wakeups->told[wakeups->count++], deployment, strlen(deployment) + 1);
        cancel_raise(wakeups->wake, 1);
    }
    (void)pthread_mutex_unlock(&wakeups->lock);
}

// --- the connection ------------------------------------------------------------------------------

static struct error *
connect_again(struct wakeups *wakeups)
{
    struct store *store CLEANUP(store_closep) = NULL;
    TRY(service_store_open(wakeups->service, &store));
    TRY(store_listen(store));
    wakeups->store = store;
    store = NULL;
    wakeups->again_ms = AGAIN_MS;
    atomic_store(&wakeups->listens, true);
    hear(wakeups, ""); // what was told meanwhile is lost
    return NULL;
}

// Consumes `err`.
static void
lose(struct wakeups *wakeups, struct error *err)
{
    const struct platform *platform = service_platform(wakeups->service);
    char *text CLEANUP(xfreep) = error_text(err);
    log_warn(platform->log, "hints of other replicas are not heard", F_STR("problem", text));
    error_free(err);
    atomic_store(&wakeups->listens, false);
    store_closep(&wakeups->store);
    int64_t pause = wakeups->again_ms / 2 +
                    (int64_t)((double)wakeups->again_ms * random_unit(platform->random) / 2.0);
    wakeups->again_ms = wakeups->again_ms * 2 < AGAIN_MAX_MS ? wakeups->again_ms * 2 : AGAIN_MAX_MS;
    error_free(
        clock_sleep_until(clock_of(wakeups), clock_mono(clock_of(wakeups)) + pause, wakeups->wake));
}

static bool
is_deaf(struct wakeups *wakeups)
{
    (void)pthread_mutex_lock(&wakeups->lock);
    bool is = wakeups->deaf;
    (void)pthread_mutex_unlock(&wakeups->lock);
    return is;
}

static struct error *
round_of(struct wakeups *wakeups, bool *stopping)
{
    cancel_clear(wakeups->wake);
    TRY(tell_all(wakeups, stopping));
    if (*stopping) {
        return NULL;
    }
    if (wakeups->store == NULL && is_deaf(wakeups)) { // the end is near, and connecting takes time
        error_free(clock_sleep_until(clock_of(wakeups), INT64_MAX, wakeups->wake));
        return NULL;
    }
    TRY(wakeups->store == NULL ? connect_again(wakeups) : NULL);
    TRY(store_hear(wakeups->store, QUIET_MS, wakeups->wake, hear, wakeups));
    error_free(
        clock_sleep_until(clock_of(wakeups), clock_mono(clock_of(wakeups)) + GATHER_MS, NULL));
    return NULL;
}

static void *
work(void *ctx)
{
    struct wakeups *wakeups = ctx;
    bool stopping = false;
    while (!stopping) {
        struct error *err = round_of(wakeups, &stopping);
        if (err != NULL && !stopping) {
            lose(wakeups, err);
        } else {
            error_free(err);
        }
    }
    return NULL;
}

// --- its life ------------------------------------------------------------------------------------

struct error *
wakeups_start(struct service *service)
{
    if (!store_path_is_shared(service_settings(service)->state)) {
        return NULL;
    }
    struct wakeups *wakeups = xcalloc(1, sizeof(*wakeups));
    wakeups->service = service;
    wakeups->again_ms = AGAIN_MS;
    wakeups->wake = cancel_new();
    (void)pthread_mutex_init(&wakeups->lock, NULL);
    service_parts(service)->wakeups = wakeups;
    return NULL;
}

struct error *
wakeups_listen(struct service *service)
{
    struct wakeups *wakeups = service_parts(service)->wakeups;
    if (wakeups == NULL) {
        return NULL;
    }
    TRY(connect_again(wakeups));
    int failed = pthread_create(&wakeups->thread, NULL, work, wakeups);
    wakeups->runs = failed == 0;
    return failed == 0 ? NULL
                       : error_new(ERROR_STORAGE, "start a thread for hints: %s", strerror(failed));
}

bool
wakeups_are_heard(struct service *service)
{
    struct wakeups *wakeups = service_parts(service)->wakeups;
    return wakeups != NULL && atomic_load(&wakeups->listens);
}

void
wakeups_quiet(struct service *service)
{
    struct wakeups *wakeups = service_parts(service)->wakeups;
    if (wakeups != NULL) {
        (void)pthread_mutex_lock(&wakeups->lock);
        wakeups->deaf = true;
        (void)pthread_mutex_unlock(&wakeups->lock);
    }
}

void
wakeups_stop(struct service *service)
{
    struct wakeups *wakeups = service_parts(service)->wakeups;
    if (wakeups == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&wakeups->lock);
    wakeups->stopping = true;
    (void)pthread_mutex_unlock(&wakeups->lock);
    cancel_raise(wakeups->wake, 1);
    if (wakeups->runs) {
        (void)pthread_join(wakeups->thread, NULL);
    }
    service_parts(service)->wakeups = NULL;
    store_close(wakeups->store);
    cancel_free(wakeups->wake);
    (void)pthread_mutex_destroy(&wakeups->lock);
    free(wakeups);
}
