// What the end of a job writes, in one transaction: the job itself, what runs there from now on,
// the lock that a rollback leaves, and the audit entry. Decides no outcome.
#include "worker_internal.h"

#include "dispatcher/json.h"
#include "dispatcher/memory.h"
#include "dispatcher/secret.h"
#include "dispatcher/text.h"
#include "feed_internal.h"

enum { SENTENCE_MAX = 2000 };

// Everything that goes into the transaction.
struct ending {
    struct worker *worker;
    const struct queue_job *job;
    struct audit_entry entry;
    const struct queue_release *release; // NULL: nothing new runs
    struct queue_lock *lock;             // NULL: none
    struct arena *arena;
    int64_t now_ms;
};

static struct error *
write_ending(struct store *store, void *ctx)
{
    struct ending *e = ctx;
    TRY(queue_end(store, e->job, e->now_ms));
    if (e->release != NULL) {
        TRY(queue_release_add(store, e->release));
    }
    if (e->lock != NULL) {
        TRY(queue_lock_add(store, e->lock, e->now_ms, e->arena));
    }
    return audit_add(store, &e->entry, e->now_ms);
}

static struct error *
commit(struct ending *e)
{
    struct worker *worker = e->worker;
    struct store_op op = {.run = write_ending, .ctx = e};
    worker_let_go(worker, e->job->id);
    struct error *err = store_group(worker->store, &op, 1);
    if (err != NULL) {
        error_free(op.err);
        return err;
    }
    TRY(worker_forgive(worker, e->job, op.err));
    if (e->job->run_id != 0 && e->job->infra != NULL) {
        feed_forget(worker->service, e->job->infra, e->job->run_id);
    }
    worker_unwatch(worker->pool->watches, e->job->id);
    streams_wake(worker->service, e->job->id);
    workers_wake(worker->service); // the next of its lane
    return NULL;
}

static const char *
sentence_of(struct arena *arena, const char *text)
{
    struct buf clean CLEANUP(buf_done) = BUF_INIT(SENTENCE_MAX + 16);
    if (text == NULL) {
        return NULL;
    }
    text_clean(str_of(text), SENTENCE_MAX, &clean);
    secret_mask(&clean);
    return arena_dup(arena, buf_cstr(&clean));
}

static void
fill_entry(struct audit_entry *entry, const struct queue_job *job, const struct ask *ask)
{
    entry->app = job->app;
    entry->env = job->env;
    entry->deployment = job->id;
    entry->version = job->version;
    entry->actor = job->requester;
    entry->actor_id = ask_requester_id(ask);
    entry->repository_id = job->repository_id;
    entry->run_id = ask->claims.run_id;
    entry->run_attempt = ask->claims.run_attempt;
    entry->check_run_id = ask->claims.check_run_id;
    entry->rule = ask->rule;
    entry->request_id = ask->request_id;
    entry->spec_commit = ask->specs;
    entry->floor_commit = ask->specs;
}

struct error *
worker_end(struct worker *worker, struct queue_job *job, const struct worker_ending *ending,
    const struct ask *ask)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct ending e = {.worker = worker, .job = job, .arena = arena, .now_ms = worker_wall(worker)};
    job->result = ending->result;
    job->exit_code = ending->exit_code != 0 ? ending->exit_code : reason_code_exit(ending->code);
    job->code = reason_code_name(ending->code);
    job->reason = sentence_of(arena, ending->sentence);
    job->who = ending->who;
    fill_entry(&e.entry, job, ask);
    e.entry.kind = "decision";
    e.entry.verdict = "deny";
    e.entry.code = job->code;
    e.entry.reason = job->reason;
    log_info(worker->platform.log, "a job has ended without a deployment",
        F_STR("deployment", job->id), F_STR("code", job->code), F_STR("reason", job->reason));
    metric_add(worker->service, METRIC_FINISHED_BAD, 1);
    return commit(&e);
}

// --- the end of a deployment ---------------------------------------------------------------------

static const char *
digests_of(const struct deployment *d, struct arena *arena)
{
    struct pair_list list = {arena_array(arena, d->services.count + 1, sizeof(*list.items)), 0};
    for (size_t i = 0; i < d->services.count; i++) {
        const struct deployment_service *service = deployment_service_at(d, i);
        if (service->digest != NULL) {
            list.items[list.count++] = (struct pair){service->name, service->digest};
        }
    }
    const char *text = ask_digests(&list, arena);
    return text != NULL ? text : "{}";
}

// A rollback knows its version's commit only from the release that brought it.
static struct error *
sha_of(struct worker *worker, const struct deployment *d, const struct ask *ask,
    struct arena *arena, const char **out)
{
    struct queue_release *earlier = NULL;
    *out = d->sha != NULL ? d->sha : ask->sha;
    if (!cstr_equal(d->verb, "rollback")) {
        return NULL;
    }
    TRY(ask_release(worker->store, d->app, d->env, d->version, arena, &earlier));
    *out = earlier != NULL ? earlier->sha : ask->sha;
    return NULL;
}

static const char *
deployment_detail(
    const struct deployment *d, const struct ask *ask, bool locked, struct arena *arena)
{
    struct json *detail CLEANUP(json_freep) = json_make_object();
    json_set_str(detail, "verb", ask->verb);
    json_set_str(detail, "result", d->result != NULL ? d->result : d->unfinished);
    json_set_int(detail, "exit_code", d->exit_code);
    json_set_bool(detail, "proven", d->proven);
    json_set_str(detail, "replaces", d->replaces);
    json_set_str(detail, "because", ask->reason);
    json_set_str(detail, "infra", d->workflow_repo);
    json_set_int(detail, "infra_run_id", d->run_id);
    json_set_str(detail, "specs_commit", d->specs_commit);
    if (ask->emergency) {
        json_set_bool(detail, "emergency", true);
    }
    if (locked) {
        json_set_bool(detail, "locks", true);
    }
    char *text CLEANUP(xfreep) = json_text(detail);
    return arena_dup(arena, text);
}

// What a rollback leaves, so that the next deployment does not undo it.
static struct queue_lock *
lock_of(const struct queue_job *job, const struct deployment *d, const struct ask *ask,
    struct arena *arena)
{
    bool wanted =
        cstr_equal(d->verb, "rollback") && cstr_equal(d->result, "deployed") && ask->rollback_lock;
    if (!wanted) {
        return NULL;
    }
    struct queue_lock *lock = arena_alloc(arena, sizeof(*lock));
    *lock = (struct queue_lock){
        .scope = "target",
        .app = job->app,
        .env = job->env,
        .level = "lock",
        .reason = sentence_of(arena, arena_printf(arena, "rolled back from %s: %s",
                                         d->replaces != NULL ? d->replaces : "another version",
                                         ask->reason != NULL ? ask->reason : "no reason given")),
        .owner = job->requester,
        .on_release = "run",
    };
    return lock;
}

static void
fill_job(struct queue_job *job, const struct deployment *d, struct arena *arena)
{
    bool cancelled = cstr_equal(d->result, "cancelled");
    job->result = d->result != NULL ? d->result : "unknown";
    bool aside = job->attempts >= QUEUE_WORN && cstr_equal(job->result, "unknown");
    job->exit_code = d->exit_code;
    job->code = cancelled ? reason_code_name(REASON_CANCELLED)
                : aside   ? reason_code_name(REASON_QUARANTINED)
                          : NULL;
    job->who = cancelled ? job->who : NULL; // whoever asked for it
    job->reason = sentence_of(arena, d->message);
}

static void
count_and_trace(struct worker *worker, const struct queue_job *job, const struct deployment *d)
{
    bool good = cstr_equal(d->result, "deployed");
    int64_t now = worker_wall(worker);
    metric_add(worker->service, good ? METRIC_FINISHED_GOOD : METRIC_FINISHED_BAD, 1);
    metric_add(worker->service, METRIC_GITHUB_COUNTED, d->quota_requests);
    for (size_t i = 0; i < d->steps.count && job->trace != NULL; i++) {
        const struct deployment_step *step = deployment_step_at(d, i);
        const struct trace_span span = {.trace = job->trace,
            .name = step->name,
            .deployment = job->id,
            .start_ms = step->started_ms,
            .end_ms = step->ended_ms,
            .error = cstr_equal(step->state, "failed") ? step->note : NULL};
        if (step->started_ms != 0 && step->ended_ms != 0) {
            trace_add(worker->service, &span);
        }
    }
    if (job->trace != NULL) {
        const struct trace_span root = {.trace = job->trace,
            .name = "deployment",
            .deployment = job->id,
            .start_ms = job->created_ms,
            .end_ms = now,
            .error = good ? NULL : d->message};
        trace_add(worker->service, &root);
    }
    log_info(worker->platform.log, "a deployment has ended", F_STR("deployment", job->id),
        F_STR("app", job->app), F_STR("env", job->env),
        F_STR("result", d->result != NULL ? d->result : d->unfinished),
        F_INT("exit_code", d->exit_code));
}

struct error *
worker_finish(
    struct worker *worker, struct queue_job *job, const struct deployment *d, struct arena *arena)
{
    struct ask ask = {0};
    const char *sha = NULL;
    TRY(ask_read(job->request, arena, &ask));
    TRY(sha_of(worker, d, &ask, arena, &sha));
    struct ending e = {.worker = worker, .job = job, .arena = arena, .now_ms = worker_wall(worker)};
    const struct queue_release release = {
        .app = job->app,
        .env = job->env,
        .version = d->version,
        .digests = digests_of(d, arena),
        .sha = sha,
        .deployment = job->id,
        .since_ms = d->finished_ms != 0 ? d->finished_ms : e.now_ms,
    };
    e.release = cstr_equal(d->result, "deployed") && d->version != NULL ? &release : NULL;
    e.lock = lock_of(job, d, &ask, arena);
    fill_job(job, d, arena);
    fill_entry(&e.entry, job, &ask);
    e.entry.kind = "deployment";
    e.entry.verdict = "done";
    e.entry.code = job->code;
    e.entry.reason = job->reason;
    e.entry.digest = release.digests;
    e.entry.spec_commit = d->specs_commit;
    e.entry.detail = deployment_detail(d, &ask, e.lock != NULL, arena);
    count_and_trace(worker, job, d);
    return commit(&e);
}
