// What has to be done once for all replicas, or by nobody's request: locks that expire, jobs that
// have waited too long, rows that are too old; on a second thread, because GitHub may hang, the
// poll and the sweep; on a third one, because AWS may, the look for drift. A leader job is a lease
// row: whoever has it does it, and when that replica dies another one has it within the lease.
#include "chores_internal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "ask_internal.h"
#include "dispatcher/memory.h"

enum {
    EVERY_MS = 5 * 1000,
    LEASE_MS = 30 * 1000,
    RETAIN_MS = 60 * 60 * 1000,
    EXPIRED_MAX = 200, // jobs of one round
    QUEUE_MAX_AGE_MS = 7 * 24 * 60 * 60 * 1000,
};

struct chore_keeper {
    struct service *service;
    atomic_bool stopped;
    struct cancel *wake;
    // The chores of the store.
    struct store *store;
    pthread_t thread;
    bool runs;
    int64_t retain_ms; // mono: when rows are dropped again
    char *commit;      // of the specs that held jobs were stirred for
    // Those that ask GitHub.
    struct cancel *away_wake;
    struct store *away_store;
    struct http_client *http;
    struct poller *poller;
    struct sweeper *sweeper;
    pthread_t away;
    bool away_runs;
    // The one that asks AWS.
    struct cancel *drift_wake;
    struct store *drift_store;
    struct http_client *drift_http;
    struct drifter *drifter;
    pthread_t drift;
    bool drift_runs;
};

static const struct clock *
clock_of(const struct chore_keeper *keeper)
{
    return service_platform(keeper->service)->clock;
}

// --- locks ---------------------------------------------------------------------------------------

struct expiring {
    struct arena *arena;
    int64_t now_ms;
    size_t count;
};

static struct error *
audit_lock(struct store *store, const struct queue_lock *lock, int64_t now_ms)
{
    const struct audit_entry entry = {.kind = "lock",
        .verdict = "done",
        .reason = "the lock has expired",
        .app = lock->app,
        .env = lock->env,
        .actor = lock->owner};
    return audit_add(store, &entry, now_ms);
}

// With the entries of the audit log that say so. All that nobody has released are looked at: at
// time 1 none of them had expired.
static struct error *
expire_locks(struct store *store, void *ctx)
{
    struct expiring *expiring = ctx;
    struct queue_lock *locks = NULL;
    size_t count = 0;
    TRY(queue_locks(store, false, 1, expiring->arena, &locks, &count));
    for (size_t i = 0; i < count; i++) {
        bool over = locks[i].expires_ms > 0 && locks[i].expires_ms <= expiring->now_ms;
        TRY(over ? audit_lock(store, &locks[i], expiring->now_ms) : NULL);
    }
    TRY(queue_locks_expire(store, expiring->now_ms, &expiring->count));
    return expiring->count > 0 ? queue_stir(store, NULL, NULL, expiring->now_ms) : NULL;
}

static struct error *
run_op(struct store *store, struct error *(*run)(struct store *, void *), void *ctx)
{
    struct store_op op = {.run = run, .ctx = ctx};
    struct error *err = store_group(store, &op, 1);
    if (err != NULL) {
        error_free(op.err);
        return err;
    }
    return op.err;
}

static struct error *
look_at_locks(struct chore_keeper *keeper)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct expiring expiring = {.arena = arena, .now_ms = clock_wall(clock_of(keeper))};
    TRY(run_op(keeper->store, expire_locks, &expiring));
    if (expiring.count > 0) {
        workers_wake(keeper->service);
    }
    return NULL;
}

// --- jobs that waited too long -------------------------------------------------------------------

struct overdue {
    struct queue_job *job;
    int64_t now_ms;
};

static struct error *
end_overdue(struct store *store, void *ctx)
{
    const struct overdue *overdue = ctx;
    const struct queue_job *job = overdue->job;
    const struct audit_entry entry = {.kind = "decision",
        .verdict = "deny",
        .code = job->code,
        .reason = job->reason,
        .app = job->app,
        .env = job->env,
        .deployment = job->id,
        .version = job->version,
        .actor = job->requester,
        .repository_id = job->repository_id};
    TRY(queue_end(store, job, overdue->now_ms));
    return audit_add(store, &entry, overdue->now_ms);
}

// What held it last is worth knowing.
static struct error *
end_job(struct chore_keeper *keeper, struct queue_job *job, struct arena *arena, int64_t now_ms)
{
    struct overdue overdue = {job, now_ms};
    job->reason =
        job->reason != NULL
            ? arena_printf(arena, "it waited longer than it may; the last reason: %s", job->reason)
            : "it waited longer than it may";
    job->result = "refused";
    job->code = reason_code_name(REASON_EXPIRED);
    job->exit_code = reason_code_exit(REASON_EXPIRED);
    struct error *err = run_op(keeper->store, end_overdue, &overdue);
    if (err != NULL && error_kind(err) == ERROR_CONFLICT) { // it is being decided by now
        error_free(err);
        return NULL;
    }
    TRY(err);
    metric_add(keeper->service, METRIC_FINISHED_BAD, 1);
    streams_wake(keeper->service, job->id);
    return NULL;
}

static struct error *
look_at_queue(struct chore_keeper *keeper)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    int64_t now = clock_wall(clock_of(keeper));
    int64_t max_age = service_settings(keeper->service)->queue_max_age_ms;
    const struct queue_filter filter = {.state = "queued",
        .until_ms = now - (max_age > 0 ? max_age : QUEUE_MAX_AGE_MS),
        .limit = EXPIRED_MAX,
        .oldest_first = true};
    struct queue_job *jobs = NULL;
    size_t count = 0;
    TRY(queue_list(keeper->store, &filter, arena, &jobs, &count));
    for (size_t i = 0; i < count; i++) {
        // Whoever decides it right now may begin it, under the very fence that was read here.
        TRY(jobs[i].owner == NULL ? end_job(keeper, &jobs[i], arena, now) : NULL);
    }
    if (count > 0) {
        workers_wake(keeper->service);
    }
    return NULL;
}

// --- rows that are too old -----------------------------------------------------------------------

static struct error *
retain(struct chore_keeper *keeper)
{
    const struct setting_server *settings = service_settings(keeper->service);
    const struct queue_retention retention = {
        .events_ms = settings->keep_events_ms,
        .deliveries_ms = settings->keep_deliveries_ms,
    };
    size_t count = 0;
    int64_t now = clock_mono(clock_of(keeper));
    if (now < keeper->retain_ms) {
        return NULL;
    }
    TRY(queue_retain(keeper->store, &retention, clock_wall(clock_of(keeper)), &count));
    keeper->retain_ms = count > 0 ? now : now + RETAIN_MS; // so many at a time
    if (count > 0) {
        log_info(
            service_platform(keeper->service)->log, "old rows are dropped", F_INT("rows", count));
    }
    return NULL;
}

// --- new specs -----------------------------------------------------------------------------------

// What is held may be held for what the specs said before. Each replica does it for its own: one
// that still has the older set may have decided since.
static struct error *
look_at_specs(struct chore_keeper *keeper)
{
    const char *why = NULL;
    const struct spec_set *set = specs_hold(keeper->service, &why);
    if (set == NULL) {
        return NULL;
    }
    bool same = cstr_equal(keeper->commit, spec_set_commit(set));
    if (!same) {
        free(keeper->commit);
        keeper->commit = xstrdup(spec_set_commit(set));
    }
    specs_release(set);
    if (!same) {
        TRY(queue_stir(keeper->store, NULL, NULL, clock_wall(clock_of(keeper))));
        workers_wake(keeper->service);
    }
    return NULL;
}

static struct error *
round_of(struct chore_keeper *keeper)
{
    bool leads = false;
    TRY(look_at_specs(keeper));
    TRY(queue_lead(keeper->store, "chores", service_replica(keeper->service),
        clock_wall(clock_of(keeper)), LEASE_MS, &leads));
    if (!leads) {
        return NULL;
    }
    TRY(look_at_locks(keeper));
    TRY(look_at_queue(keeper));
    TRY(untold_round(keeper->service, keeper->store));
    return retain(keeper);
}

// --- the threads ---------------------------------------------------------------------------------

static void *
work(void *ctx)
{
    struct chore_keeper *keeper = ctx;
    while (!atomic_load(&keeper->stopped)) {
        struct error *err = round_of(keeper);
        if (err != NULL) {
            service_fail(keeper->service, err);
            return NULL;
        }
        error_free(clock_sleep_until(
            clock_of(keeper), clock_mono(clock_of(keeper)) + EVERY_MS, keeper->wake));
    }
    return NULL;
}

static void *
work_away(void *ctx)
{
    struct chore_keeper *keeper = ctx;
    while (!atomic_load(&keeper->stopped)) {
        int64_t next = INT64_MAX;
        struct error *err = poll_round(keeper->poller, &next);
        err = err == NULL ? sweep_round(keeper->sweeper, &next) : err;
        if (err != NULL) {
            service_fail(keeper->service, err);
            return NULL;
        }
        error_free(clock_sleep_until(clock_of(keeper), next, keeper->away_wake));
    }
    return NULL;
}

static void *
work_drift(void *ctx)
{
    struct chore_keeper *keeper = ctx;
    while (!atomic_load(&keeper->stopped)) {
        int64_t next = INT64_MAX;
        struct error *err = drift_round(keeper->drifter, &next);
        if (err != NULL) {
            service_fail(keeper->service, err);
            return NULL;
        }
        error_free(clock_sleep_until(clock_of(keeper), next, keeper->drift_wake));
    }
    return NULL;
}

static struct error *
start_thread(pthread_t *thread, void *(*run)(void *), struct chore_keeper *keeper, bool *runs)
{
    int failed = pthread_create(thread, NULL, run, keeper);
    *runs = failed == 0;
    return failed == 0
               ? NULL
               : error_new(ERROR_STORAGE, "start a thread for chores: %s", strerror(failed));
}

static struct error *
start(struct chore_keeper *keeper)
{
    struct service *service = keeper->service;
    TRY(service_store_open(service, &keeper->store));
    TRY(service_store_open(service, &keeper->away_store));
    TRY(http_client_new(service_platform(service), service_http_options(service), &keeper->http));
    keeper->poller = poll_new(service, keeper->http, keeper->away_store);
    keeper->sweeper = sweep_new(service, keeper->http, keeper->away_store);
    TRY(service_store_open(service, &keeper->drift_store));
    TRY(http_client_new(
        service_platform(service), service_http_options(service), &keeper->drift_http));
    keeper->drifter = drift_new(service, keeper->drift_http, keeper->drift_store);
    TRY(start_thread(&keeper->thread, work, keeper, &keeper->runs));
    TRY(start_thread(&keeper->away, work_away, keeper, &keeper->away_runs));
    return start_thread(&keeper->drift, work_drift, keeper, &keeper->drift_runs);
}

struct error *
chores_start(struct service *service)
{
    struct chore_keeper *keeper = xcalloc(1, sizeof(*keeper));
    keeper->service = service;
    keeper->wake = cancel_new();
    keeper->away_wake = cancel_new();
    keeper->drift_wake = cancel_new();
    service_parts(service)->chores = keeper;
    struct error *err = start(keeper);
    if (err != NULL) {
        chores_stop(service);
    }
    return err;
}

// Another replica goes on with it at its next look. What cannot be given back runs out.
static void
give_back(struct chore_keeper *keeper)
{
    struct error *err = queue_lead_end(keeper->store, service_replica(keeper->service));
    if (err != NULL) {
        char *text CLEANUP(xfreep) = error_text(err);
        log_warn(service_platform(keeper->service)->log, "leader jobs are not given back",
            F_STR("problem", text));
        error_free(err);
    }
}

void
chores_stop(struct service *service)
{
    struct chore_keeper *keeper = service_parts(service)->chores;
    if (keeper == NULL) {
        return;
    }
    atomic_store(&keeper->stopped, true);
    cancel_raise(keeper->wake, 1);
    cancel_raise(keeper->away_wake, 1);
    cancel_raise(keeper->drift_wake, 1);
    if (keeper->runs) {
        (void)pthread_join(keeper->thread, NULL);
    }
    if (keeper->away_runs) {
        (void)pthread_join(keeper->away, NULL);
    }
    if (keeper->drift_runs) {
        (void)pthread_join(keeper->drift, NULL);
    }
    if (keeper->store != NULL) {
        give_back(keeper);
    }
    service_parts(service)->chores = NULL;
    poll_free(keeper->poller);
    sweep_free(keeper->sweeper);
    drift_free(keeper->drifter);
    http_client_free(keeper->drift_http);
    http_client_free(keeper->http);
    store_close(keeper->drift_store);
    store_close(keeper->away_store);
    store_close(keeper->store);
    cancel_free(keeper->drift_wake);
    cancel_free(keeper->away_wake);
    cancel_free(keeper->wake);
    free(keeper->commit);
    free(keeper);
}
