// A job that began becomes a deployment in the journal, by the specs of this moment. Nothing has an
// effect before it is there, so that what fails here is tried again, and a worker that dies here
// leaves nothing but a running job without a deployment: the next one prepares it anew.
#include "worker_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"

enum {
    PATIENCE_MS = 5 * 60 * 1000, // for what is out of reach, from the job's start
    FIRST_WAIT_MS = 2000,
    WAIT_MAX_MS = 60 * 1000,
    SPECS_AGAIN_MS = 5 * 1000,
};

void
begin_request(struct beginning *b, struct begin_request *out)
{
    const struct setting_server *settings = service_settings(b->worker->service);
    const struct queue_job *job = b->job;
    const struct ask *ask = &b->ask;
    const bool rollback = cstr_equal(job->verb, "rollback");
    if (job->trace != NULL) {
        trace_parent(job->trace, job->id, out->traceparent);
    }
    out->given = (struct deploy_given){
        .id = job->id,
        .config = spec_set_config(b->set),
        .app_spec = spec_set_app(b->set, job->app),
        .specs = settings->specs != NULL ? settings->specs : settings->workflow_repo,
        .specs_commit = spec_set_commit(b->set),
        .github_api = settings->github_api,
        .github_app_id = settings->github_app_id,
        .github_app_key = settings->github_app_key,
        .sha = ask->sha,
        .ref = ask->ref,
        .event = ask->event,
        .repository = ask->repository,
        .actor = ask_requester(ask),
        .caller_url = ask->run_url,
        .claim_key = arena_printf(b->arena, "service/%s", job->id),
        .digests = ask->digests,
        .trace = job->trace != NULL ? out->traceparent : NULL,
        .accepted_ms = job->created_ms,
    };
    out->request = (struct deploy_request){
        .given = &out->given,
        .verb = job->verb,
        .app = job->app,
        .env = job->env,
        .from = rollback ? NULL : ask->from,
        .to = rollback ? ask->to : NULL,
        .because = ask->reason,
        .version = rollback ? NULL : job->version,
        .allow_stale = true, // the gate has decided that
    };
}

// --- what could not be prepared ------------------------------------------------------------------

static enum reason_code
code_of(enum error_kind kind)
{
    return kind == ERROR_SPEC       ? REASON_SPEC_INVALID
           : kind == ERROR_DENIED   ? REASON_NOT_ALLOWED
           : kind == ERROR_CONFLICT ? REASON_STATE
                                    : REASON_FAILED_TO_PREPARE;
}

static const char *
first_problem(struct diagnostics *diagnostics, struct arena *arena)
{
    diagnostics_sort(diagnostics);
    for (size_t i = 0; i < diagnostics_total(diagnostics); i++) {
        const struct diagnostic *one = diagnostics_at(diagnostics, i);
        if (one->severity == DIAGNOSTIC_ERROR) {
            return arena_printf(arena, "%s:%u: %s", one->file, one->span.line, one->message);
        }
    }
    return NULL;
}

static struct error *
end_unprepared(struct beginning *b, struct diagnostics *diagnostics, struct error *err)
{
    enum error_kind kind = error_kind(err);
    char *text CLEANUP(xfreep) = error_text(err);
    const char *problem = first_problem(diagnostics, b->arena);
    const char *hint = error_hint_of(err);
    const struct worker_ending ending = {
        .result = "failed",
        .code = code_of(kind),
        .exit_code = error_kind_exit_code(kind),
        .sentence = problem != NULL ? arena_printf(b->arena, "%s: %s", text, problem)
                    : hint != NULL  ? arena_printf(b->arena, "%s. %s", text, hint)
                                    : text,
    };
    error_free(err);
    return worker_end(b->worker, b->job, &ending, &b->ask);
}

// Twice as long each time, by how long it has been tried already: the count is no replica's own.
static struct error *
prepare_later(struct beginning *b, struct error *err)
{
    int64_t now = worker_wall(b->worker), tried = now - b->job->started_ms;
    int64_t wait = tried < FIRST_WAIT_MS ? FIRST_WAIT_MS
                   : tried > WAIT_MAX_MS ? WAIT_MAX_MS
                                         : tried;
    char *text CLEANUP(xfreep) = error_text(err);
    log_warn(b->worker->platform.log, "a deployment is prepared again later",
        F_STR("deployment", b->job->id), F_STR("problem", text), F_INT("wait_ms", wait));
    error_free(err);
    return worker_park(b->worker, b->job, now + wait);
}

static struct error *
not_prepared(struct beginning *b, struct diagnostics *diagnostics, struct error *err)
{
    enum error_kind kind = error_kind(err);
    int64_t tried = worker_wall(b->worker) - b->job->started_ms;
    if (kind == ERROR_STORAGE) {
        return err;
    }
    if (kind == ERROR_CANCELLED) { // we are stopping
        error_free(err);
        return worker_park(b->worker, b->job, worker_wall(b->worker));
    }
    if (kind == ERROR_UNAVAILABLE && tried < PATIENCE_MS) {
        return prepare_later(b, err);
    }
    return end_unprepared(b, diagnostics, err);
}

// --- what was prepared ---------------------------------------------------------------------------

// A card's buttons are worth showing where somebody listens to them.
static void
add_buttons(struct beginning *b, struct deployment *d)
{
    bool listens = service_settings(b->worker->service)->slack_signing_secret != NULL;
    for (size_t i = 0; listens && i < d->sinks.count; i++) {
        struct deployment_sink *sink = deployment_sink_at(d, i);
        sink->buttons = sink->buttons || cstr_equal(sink->kind, "slack");
    }
}

static void
add_notes(struct beginning *b, struct deployment *d, const struct str_list *warnings)
{
    if (b->ask.emergency) {
        deployment_note(d, b->arena,
            arena_printf(b->arena, "EMERGENCY by %s: %s", b->job->requester, b->ask.reason));
    }
    d->warnings = warnings != NULL ? *warnings : d->warnings;
    for (size_t i = 0; warnings != NULL && i < warnings->count; i++) {
        deployment_note(d, b->arena, warnings->items[i]);
    }
    if (b->ask.specs != NULL && !cstr_equal(b->ask.specs, d->specs_commit)) {
        deployment_note(d, b->arena,
            arena_printf(b->arena, "accepted by the specs of %.12s, deployed by those of %.12s",
                b->ask.specs, d->specs_commit != NULL ? d->specs_commit : "?"));
    }
}

static struct error *
journal(struct beginning *b, struct deployment *d, const struct str_list *warnings)
{
    struct worker *worker = b->worker;
    TRY(begin_diff(worker->store, b->job, b->arena, &d->diff));
    add_buttons(b, d);
    add_notes(b, d, warnings);
    deploy_mask_sinks(worker->context, d);
    store_set_fence(worker->store, b->job->id, b->job->fence);
    struct error *err = deploy_begin(worker->context, d, b->arena);
    store_set_fence(worker->store, NULL, 0);
    return err;
}

static struct error *
prepare(struct beginning *b, const struct str_list *warnings, bool *ready)
{
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    struct begin_request request = {0};
    struct deployment *d = NULL;
    begin_request(b, &request);
    struct error *err =
        request.given.app_spec != NULL
            ? deploy_prepare(b->worker->context, &request.request, b->arena, diagnostics, &d)
            : error_new(ERROR_SPEC, "there is no app '%s' any more", b->job->app);
    err = err == NULL ? journal(b, d, warnings) : err;
    if (err != NULL) {
        return not_prepared(b, diagnostics, err);
    }
    *ready = true;
    return NULL;
}

struct error *
begin_prepare(struct worker *worker, struct queue_job *job, const struct str_list *warnings,
    struct arena *arena, bool *ready)
{
    struct beginning b = {.worker = worker, .job = job, .arena = arena};
    const char *why = NULL;
    TRY(ask_read(job->request, arena, &b.ask));
    if (job->cancel) {
        const struct worker_ending ending = {.result = "cancelled",
            .code = REASON_CANCELLED,
            .sentence = job->reason != NULL ? job->reason : "cancelled before it began",
            .who = job->who};
        return worker_end(worker, job, &ending, &b.ask);
    }
    b.set = specs_hold(worker->service, &why);
    if (b.set == NULL) {
        return worker_park(worker, job, worker_wall(worker) + SPECS_AGAIN_MS);
    }
    struct error *err = prepare(&b, warnings, ready);
    specs_release(b.set);
    return err;
}
