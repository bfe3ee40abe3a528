// One look at a running job: its deployment goes on until it waits, ends, or somebody else has it.
// Decides nothing about the deployment: the engine does.
#include "worker_internal.h"

#include <stdlib.h>

#include "dispatcher/memory.h"
#include "feed_internal.h"

enum {
    SOON_MS = 50,
    AGAIN_MS = 5 * 1000,    // somebody else is at it, or a cancellation has no run yet
    TROUBLE_MS = 30 * 1000, // the engine could not even look
};

struct error *
worker_forgive(struct worker *worker, const struct queue_job *job, struct error *err)
{
    if (err == NULL || error_kind(err) != ERROR_CONFLICT) {
        return err;
    }
    log_info(worker->platform.log, "somebody else has the job now", F_STR("deployment", job->id),
        F_STR("owner", worker->owner));
    error_free(err);
    return NULL;
}

void
worker_note_due(struct worker_pool *pool, int64_t due_ms)
{
    worker_due_add(&pool->dues, due_ms, clock_wall(service_platform(pool->service)->clock));
}

struct error *
worker_park(struct worker *worker, struct queue_job *job, int64_t due_ms)
{
    struct watch *watch =
        worker_watch(worker->pool->watches, job->id, clock_mono(worker->platform.clock));
    job->due_ms = due_ms;
    watch->parked_due_ms = due_ms;
    watch->fence = job->fence;
    worker_watch_done(worker->pool->watches, watch);
    worker_let_go(worker, job->id);
    TRY(worker_forgive(worker, job, queue_park(worker->store, job)));
    worker_note_due(worker->pool, due_ms);
    streams_wake(worker->service, job->id);
    return NULL;
}

// GitHub is asked once a process; asking again is harmless.
static struct error *
pass_cancellation_on(
    struct worker *worker, struct watch *watch, const struct queue_job *job, struct arena *arena)
{
    struct deployment *d = NULL;
    if (!job->cancel || watch->cancelled) {
        return NULL;
    }
    struct error *err = deploy_cancel(worker->context, job->id, arena, &d);
    if (err ==
        NULL) { // with nothing sent yet it is noted, and a run that comes is still to be told
        watch->cancelled = d->run_id != 0 || cstr_equal(d->via, "direct");
        return NULL;
    }
    if (error_kind(err) == ERROR_STORAGE) {
        return err;
    }
    if (error_kind(err) != ERROR_USAGE) { // no run yet, or none any more
        char *text CLEANUP(xfreep) = error_text(err);
        log_warn(worker->platform.log, "a run is not cancelled yet", F_STR("deployment", job->id),
            F_STR("problem", text));
    }
    error_free(err);
    return NULL;
}

// Somebody woke the job, or nobody here knows why it is due: then its run is worth a request. A
// look whose time has come by itself brings no news, and costs one only now and then.
static void
expect_news(struct worker *worker, const struct watch *watch, const struct queue_job *job)
{
    bool news = worker_watch_is_news(watch, job, worker_wall(worker));
    if (job->run_id != 0 && job->infra != NULL && (news || feed_may_glance(worker->service))) {
        feed_expect(worker->service, job->infra, job->run_id);
    }
}

static void
take_facts(struct queue_job *job, const struct deployment *d)
{
    job->version = d->version != NULL ? d->version : job->version;
    job->run_id = d->run_id;
    job->infra = d->run_id != 0 ? d->workflow_repo : job->infra;
}

static int64_t
due_of(struct worker *worker, const struct queue_job *job, const struct watch *watch,
    const struct deploy_advanced *advanced)
{
    int64_t now = worker_wall(worker), wait = WORKER_FAR_MS;
    if (advanced->until_ms != INT64_MAX) {
        wait = advanced->until_ms - clock_mono(worker->platform.clock);
    }
    wait = wait < SOON_MS ? SOON_MS : wait > WORKER_FAR_MS ? WORKER_FAR_MS : wait;
    if (job->cancel && !watch->cancelled && wait > AGAIN_MS) {
        wait = AGAIN_MS;
    }
    bool missed = job->run_id != 0 && feed_is_expected(worker->service, job->infra, job->run_id);
    return now + (missed ? SOON_MS : wait);
}

// A look that failed as such: nothing was changed by it.
static struct error *
look_failed(struct worker *worker, struct queue_job *job, struct error *err)
{
    enum error_kind kind = error_kind(err);
    if (kind == ERROR_STORAGE) {
        return err;
    }
    char *text CLEANUP(xfreep) = error_text(err);
    int64_t wait = kind == ERROR_CONFLICT ? AGAIN_MS : TROUBLE_MS;
    if (kind == ERROR_CANCELLED) { // we are stopping: whoever comes next goes on
        wait = 0;
    } else if (kind != ERROR_CONFLICT) {
        log_error(worker->platform.log, "a deployment is not followed",
            F_STR("deployment", job->id), F_STR("problem", text));
    }
    error_free(err);
    return worker_park(worker, job, worker_wall(worker) + wait);
}

static struct error *
advance(struct worker *worker, struct queue_job *job, struct watch *watch, struct arena *arena)
{
    struct deploy_advanced advanced = {0};
    TRY(pass_cancellation_on(worker, watch, job, arena));
    expect_news(worker, watch, job);
    store_set_fence(worker->store, job->id, job->fence);
    struct error *err = deploy_advance(worker->context, job->id, watch->pace, arena, &advanced);
    store_set_fence(worker->store, NULL, 0);
    deploy_courier_wake(worker->pool->courier);
    if (err != NULL) {
        return look_failed(worker, job, err);
    }
    take_facts(job, advanced.deployment);
    return advanced.ended ? worker_finish(worker, job, advanced.deployment, arena)
                          : worker_park(worker, job, due_of(worker, job, watch, &advanced));
}

static struct error *
go_on(struct worker *worker, struct queue_job *job, struct arena *arena)
{
    struct watch_table *watches = worker->pool->watches;
    struct watch *watch = worker_watch(watches, job->id, clock_mono(worker->platform.clock));
    struct error *err = advance(worker, job, watch, arena);
    worker_watch_done(watches, watch);
    return err;
}

static const struct worker_ending never_begun = {
    .result = "refused",
    .code = REASON_QUARANTINED,
    .sentence = "working on it ended without a word three times, before anything was triggered",
};

// Whatever took three workers down is not tried again: what is known of it is its end.
static struct error *
set_aside(struct worker *worker, struct queue_job *job, struct arena *arena)
{
    struct deployment *d = NULL;
    struct ask ask = {0};
    log_error(worker->platform.log, "a job is set aside: working on it ended without a word",
        F_STR("deployment", job->id), F_INT("attempts", job->attempts));
    store_set_fence(worker->store, job->id, job->fence);
    struct error *err = deploy_set_aside(
        worker->context, job->id, "working on it ended without a word three times", arena, &d);
    store_set_fence(worker->store, NULL, 0);
    deploy_courier_wake(worker->pool->courier);
    if (err != NULL) {
        return look_failed(worker, job, err);
    }
    if (d == NULL) {
        TRY(ask_read(job->request, arena, &ask));
        return worker_end(worker, job, &never_begun, &ask);
    }
    take_facts(job, d);
    return worker_finish(worker, job, d, arena);
}

struct error *
worker_look(struct worker *worker, struct queue_job *job, struct arena *arena)
{
    struct store_deployment *row = NULL;
    if (job->attempts > 0) {
        metric_add(worker->service, METRIC_ADOPTED, 1);
        log_warn(worker->platform.log, "a job is adopted from a worker that went away",
            F_STR("deployment", job->id), F_INT("attempts", job->attempts));
    }
    if (job->attempts >= QUEUE_WORN) {
        return set_aside(worker, job, arena);
    }
    TRY(store_find(worker->store, job->id, arena, &row));
    bool ready = row != NULL;
    if (!ready) { // it began, and was not written down as a deployment yet
        TRY(begin_prepare(worker, job, NULL, arena, &ready));
    }
    return ready ? go_on(worker, job, arena) : NULL;
}
