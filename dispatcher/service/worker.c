// The threads that work on jobs: each leases a few that are due, decides or advances them, and
// otherwise sleeps until something is due or somebody wakes it. A lease is a row with an end; a
// thread beside them renews those that are held, because one look may take longer than a lease.
// Whoever dies leaves its leases to run out, and another worker, here or in another replica, goes
// on with the row (docs/decisions/0025). Storage that fails ends a worker: no effect may follow it.
#include "worker_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "feed_internal.h"

enum {
    WORKERS = 4, // where the settings do not say
    WORKERS_MAX = 64,
    HEADS_MAX = 2, // deciding one may ask GitHub, and the others should not wait for it
    IDLE_MS = 5000,
    NAP_MS = 20,
    RENEWALS = 4,             // within the time of a lease
    TRIM_MS = 60 * 60 * 1000, // what was not touched for so long is not ours
    GRACE_MS = 6 * 1000,      // what is being changed in a look may be answered meanwhile
    COURIERS = 4,             // sinks at a time, ...
    COURIERS_SHARED = 2,      // ... where each is a connection and other replicas have theirs
};

int64_t
worker_wall(const struct worker *worker)
{
    return clock_wall(worker->platform.clock);
}

// --- leases --------------------------------------------------------------------------------------

static void
copy_name(char *out, size_t size, const char *text)
{
    (void)snprintf(out, size, "%s", text);
}

static void
hold_all(struct worker *worker, struct queue_job *const jobs, size_t count)
{
    (void)pthread_mutex_lock(&worker->lock);
    for (size_t i = 0; i < count; i++) {
        struct held *held = &worker->held[worker->held_count++];
        copy_name(held->id, sizeof(held->id), jobs[i].id);
        copy_name(held->app, sizeof(held->app), jobs[i].app);
        copy_name(held->env, sizeof(held->env), jobs[i].env);
        held->fence = jobs[i].fence;
    }
    (void)pthread_mutex_unlock(&worker->lock);
}

void
worker_let_go(struct worker *worker, const char *id)
{
    (void)pthread_mutex_lock(&worker->lock);
    for (size_t i = 0; i < worker->held_count; i++) {
        if (cstr_equal(worker->held[i].id, id)) {
            worker->held[i] = worker->held[--worker->held_count];
            break;
        }
    }
    (void)pthread_mutex_unlock(&worker->lock);
}

static size_t
held_of(struct worker *worker, struct held out[WORKER_BATCH_MAX])
{
    (void)pthread_mutex_lock(&worker->lock);
    size_t count = worker->held_count;
    memcpy(out, worker->held, count * sizeof(*out));
    (void)pthread_mutex_unlock(&worker->lock);
    return count;
}

static struct error *
renew(struct worker_pool *pool, const struct held *held)
{
    int64_t until = clock_wall(service_platform(pool->service)->clock) + pool->lease_ms;
    const struct queue_job job = {
        .id = held->id, .app = held->app, .env = held->env, .fence = held->fence};
    struct error *err = queue_renew(pool->keeper_store, &job, until);
    if (err != NULL && error_kind(err) == ERROR_CONFLICT) { // ended or taken over meanwhile
        error_free(err);
        return NULL;
    }
    return err;
}

static struct error *
renew_all(struct worker_pool *pool)
{
    struct held held[WORKER_BATCH_MAX];
    for (size_t i = 0; i < pool->count; i++) {
        size_t count = held_of(&pool->workers[i], held);
        for (size_t k = 0; k < count; k++) {
            TRY(renew(pool, &held[k]));
        }
    }
    return NULL;
}

static void *
keep_leases(void *ctx)
{
    struct worker_pool *pool = ctx;
    const struct clock *clock = service_platform(pool->service)->clock;
    while (!atomic_load(&pool->stopped) || atomic_load(&pool->alive) > 0) {
        struct error *err = renew_all(pool);
        if (err != NULL) {
            service_fail(pool->service, err);
            return NULL;
        }
        worker_watches_trim(pool->watches, clock_mono(clock) - TRIM_MS);
        int64_t next = clock_mono(clock) + pool->lease_ms / RENEWALS;
        error_free(clock_sleep_until(clock, next, pool->keeper_wake));
    }
    return NULL;
}

// --- one worker ----------------------------------------------------------------------------------

struct error *
worker_give_back(struct worker *worker, struct queue_job *job)
{
    job->due_ms = worker_wall(worker);
    worker_let_go(worker, job->id);
    struct error *err = cstr_equal(job->state, "running") ? queue_park(worker->store, job)
                                                          : queue_hold(worker->store, job);
    return worker_forgive(worker, job, err);
}

// What was read before SIGHUP may be worth nothing any more: the App's key, and every secret that
// specs name.
static void
heed_settings(struct worker *worker)
{
    const struct setting_server *now = service_settings(worker->service);
    if (worker->settings != now) {
        worker->settings = now;
        deploy_context_forget(worker->context);
        deploy_courier_forget(worker->pool->courier);
    }
}

static struct error *
work_on(struct worker *worker, struct queue_job *jobs, size_t count,
    struct error *(*what)(struct worker *, struct queue_job *, struct arena *))
{
    struct error *err = NULL;
    hold_all(worker, jobs, count);
    for (size_t i = 0; i < count && err == NULL; i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        heed_settings(worker);
        err = atomic_load(&worker->pool->stopped) ? worker_give_back(worker, &jobs[i])
                                                  : what(worker, &jobs[i], arena);
        worker_let_go(worker, jobs[i].id);
    }
    return err;
}

static struct error *
round_of(struct worker *worker, size_t *done)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct queue_job *jobs = NULL;
    size_t count = 0;
    heed_settings(worker); // the courier is told even where no job is
    TRY(queue_lease_running(worker->store, worker->owner, worker_wall(worker),
        worker->pool->lease_ms, WORKER_BATCH_MAX, arena, &jobs, &count));
    *done = count;
    TRY(work_on(worker, jobs, count, worker_look));
    if (atomic_load(&worker->pool->stopped)) {
        return NULL;
    }
    TRY(queue_lease_heads(worker->store, worker->owner, worker_wall(worker), worker->pool->lease_ms,
        HEADS_MAX, arena, &jobs, &count));
    *done += count;
    return work_on(worker, jobs, count, begin_head);
}

// Until what one of us parked is due; what others did is found within IDLE_MS.
static int64_t
idle_until(struct worker *worker)
{
    int64_t now = clock_mono(worker->platform.clock), wall = worker_wall(worker);
    int64_t due = worker_due_next(&worker->pool->dues, wall), wait = IDLE_MS;
    if (due != INT64_MAX && due - wall < wait) {
        wait = due - wall;
    }
    return now + (wait < NAP_MS ? NAP_MS : wait);
}

static void *
work(void *ctx)
{
    struct worker *worker = ctx;
    struct error *err = NULL;
    while (err == NULL && !atomic_load(&worker->pool->stopped)) {
        size_t done = 0;
        cancel_clear(worker->wake);
        err = round_of(worker, &done);
        if (err == NULL && done == 0 && !atomic_load(&worker->pool->stopped)) {
            error_free(clock_sleep_until(worker->platform.clock, idle_until(worker), worker->wake));
        }
    }
    (void)atomic_fetch_sub(&worker->pool->alive, 1);
    if (err != NULL) {
        service_fail(worker->service, err);
    }
    return NULL;
}

// Steps show on pages while a long look goes on.
static void
observe(void *ctx, const struct deploy_event *event)
{
    struct worker *worker = ctx;
    if (event->deployment->id != NULL) {
        streams_wake(worker->service, event->deployment->id);
    }
}

static struct error *
open_worker(struct worker_pool *pool, size_t index)
{
    struct service *service = pool->service;
    struct worker *worker = &pool->workers[index];
    struct http_client_options http = *service_http_options(service);
    http.give_up = pool->cut;
    *worker = (struct worker){
        .pool = pool,
        .service = service,
        .platform = *service_platform(service),
        .wake = cancel_new(),
        .owner = xasprintf("%s/%zu", service_replica(service), index),
        .observer = {observe, worker},
    };
    worker->platform.cancel = pool->halt;
    (void)pthread_mutex_init(&worker->lock, NULL);
    pool->count = index + 1;
    TRY(http_client_new(&worker->platform, &http, &worker->http));
    worker->settings = service_settings(service);
    const struct deploy_context_options options = {
        .platform = &worker->platform,
        .http = worker->http,
        .ca_file = http.ca_file,
        .proxy = http.proxy,
        .no_proxy = http.no_proxy,
        .state_path = service_settings(service)->state,
        .feed = feed_for_engine(service),
        .live = true,
        .observer = &worker->observer,
        .secrets = {service_secret_refusal, service},
    };
    worker->context = deploy_context_new(&options);
    return deploy_store(worker->context, &worker->store);
}

static void
close_worker(struct worker *worker)
{
    deploy_context_free(worker->context);
    http_client_free(worker->http);
    cancel_free(worker->wake);
    (void)pthread_mutex_destroy(&worker->lock);
    free(worker->owner);
}

// --- the pool ------------------------------------------------------------------------------------

static struct error *
start_thread(pthread_t *thread, void *(*run)(void *), void *ctx)
{
    int failed = pthread_create(thread, NULL, run, ctx);
    return failed == 0 ? NULL
                       : error_new(ERROR_STORAGE, "start a thread for jobs: %s", strerror(failed));
}

// A courier's context is its owner's: this one does nothing else.
static struct error *
start_courier(struct worker_pool *pool)
{
    const struct http_client_options *http = service_http_options(pool->service);
    const struct platform *platform = service_platform(pool->service);
    TRY(http_client_new(platform, http, &pool->courier_http));
    const struct deploy_context_options options = {
        .platform = platform,
        .http = pool->courier_http,
        .ca_file = http->ca_file,
        .proxy = http->proxy,
        .no_proxy = http->no_proxy,
        .state_path = service_settings(pool->service)->state,
        .secrets = {service_secret_refusal, pool->service},
    };
    pool->courier_context = deploy_context_new(&options);
    bool shared = store_path_is_shared(options.state_path);
    return deploy_courier_start(
        pool->courier_context, http, shared ? COURIERS_SHARED : COURIERS, &pool->courier);
}

static struct error *
start_threads(struct worker_pool *pool)
{
    TRY(service_store_open(pool->service, &pool->keeper_store));
    TRY(start_thread(&pool->keeper, keep_leases, pool));
    pool->keeper_runs = true;
    for (size_t i = 0; i < pool->count; i++) {
        (void)atomic_fetch_add(&pool->alive, 1);
        struct error *err = start_thread(&pool->workers[i].thread, work, &pool->workers[i]);
        if (err != NULL) {
            (void)atomic_fetch_sub(&pool->alive, 1);
            return err;
        }
        pool->workers[i].runs = true;
    }
    return NULL;
}

// Shorter where a test kills workers again and again, and does not want to wait for each.
static int64_t
lease_of(const struct service *service)
{
    int64_t value = 0;
    const char *text = env_get(service_platform(service), "DISPATCHER_LEASE_MS");
    bool usable = text != NULL && str_to_int64(str_of(text), &value) && value >= 1000;
    return usable ? value : WORKER_LEASE_MS;
}

static size_t
size_of(const struct service *service)
{
    int64_t wanted = service_settings(service)->workers;
    return wanted <= 0 ? WORKERS : wanted > WORKERS_MAX ? WORKERS_MAX : (size_t)wanted;
}

struct error *
workers_start(struct service *service)
{
    struct worker_pool *pool = xcalloc(1, sizeof(*pool));
    size_t count = size_of(service);
    pool->service = service;
    pool->lease_ms = lease_of(service);
    pool->halt = cancel_new();
    pool->cut = cancel_new();
    pool->keeper_wake = cancel_new();
    pool->watches = worker_watches_new();
    pool->ancestry = begin_memory_new();
    pool->workers = xcalloc(count, sizeof(*pool->workers));
    (void)pthread_mutex_init(&pool->dues.lock, NULL);
    struct error *err = NULL;
    for (size_t i = 0; i < count && err == NULL; i++) {
        err = open_worker(pool, i);
    }
    service_parts(service)->workers = pool; // the feed, which runs already, wakes who is there
    err = err == NULL ? start_courier(pool) : err;
    err = err == NULL ? start_threads(pool) : err;
    if (err != NULL) {
        workers_stop(service);
    }
    return err;
}

// Looks end at their next request, and what only asks is cut off; what may change something has its
// time, so that no answer is cut off that matters. Then it is put down as after a kill.
void
workers_quiet(struct service *service)
{
    struct worker_pool *pool = service_parts(service)->workers;
    if (pool == NULL || atomic_load(&pool->stopped)) {
        return;
    }
    const struct clock *clock = service_platform(service)->clock;
    pool->cut_ms = clock_mono(clock) + GRACE_MS;
    feed_quiet(service); // it wakes us
    atomic_store(&pool->stopped, true);
    cancel_raise(pool->halt, 1);
    workers_wake(service);
}

static void
wait_for_workers(struct worker_pool *pool)
{
    const struct clock *clock = service_platform(pool->service)->clock;
    while (atomic_load(&pool->alive) > 0 && clock_mono(clock) < pool->cut_ms) {
        error_free(clock_sleep_until(clock, clock_mono(clock) + NAP_MS, NULL));
    }
    cancel_raise(pool->cut, 1);
}

static void
join_all(struct worker_pool *pool)
{
    for (size_t i = 0; i < pool->count; i++) {
        if (pool->workers[i].runs) {
            (void)pthread_join(pool->workers[i].thread, NULL);
        }
    }
    cancel_raise(pool->keeper_wake, 1);
    if (pool->keeper_runs) {
        (void)pthread_join(pool->keeper, NULL);
    }
}

void
workers_stop(struct service *service)
{
    struct worker_pool *pool = service_parts(service)->workers;
    if (pool == NULL) {
        return;
    }
    workers_quiet(service);
    wait_for_workers(pool);
    join_all(pool);
    service_parts(service)->workers = NULL;
    deploy_courier_free(pool->courier);
    deploy_context_free(pool->courier_context);
    http_client_free(pool->courier_http);
    for (size_t i = 0; i < pool->count; i++) {
        close_worker(&pool->workers[i]);
    }
    store_close(pool->keeper_store);
    (void)pthread_mutex_destroy(&pool->dues.lock);
    worker_watches_free(pool->watches);
    begin_memory_free(pool->ancestry);
    cancel_free(pool->keeper_wake);
    cancel_free(pool->halt);
    cancel_free(pool->cut);
    free(pool->workers);
    free(pool);
}

void
workers_wake(struct service *service)
{
    struct worker_pool *pool = service_parts(service)->workers;
    for (size_t i = 0; pool != NULL && i < pool->count; i++) {
        cancel_raise(pool->workers[i].wake, 1);
    }
}

void
workers_state(struct service *service, struct workers_state *out)
{
    struct worker_pool *pool = service_parts(service)->workers;
    *out = (struct workers_state){0};
    if (pool != NULL) {
        out->threads = pool->count;
        out->alive = atomic_load(&pool->alive);
    }
}
