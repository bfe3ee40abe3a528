// What is true when a deployment ends: takes back what must be taken back, and only then says how
// it ended. The exit codes are design.md §4's; this is the one place that chooses 7, 8, 9, 10
// and 11.
#include <stdlib.h>
#include <string.h>

#include "deploy_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/ssm.h"

enum { TIDY_MS = 5000 }; // what an interrupted process may still take (protocols.md F25)

static void
set_end(const struct step_run *run, const char *result, int exit_code)
{
    struct deployment *d = run->deployment;
    d->result = result;
    d->exit_code = exit_code;
    d->finished_ms = clock_wall(run->context->platform->clock);
}

void
outcome_triggered(const struct step_run *run)
{
    struct deployment *d = run->deployment;
    d->unfinished = "triggered";
    d->exit_code = error_kind_exit_code(ERROR_STILL_RUNNING);
    d->message = arena_printf(run->arena,
        "'%s' to '%s': run %lld was triggered and goes on; nothing is proven yet", d->app, d->env,
        (long long)d->run_id);
    d->hint = arena_printf(
        run->arena, "See %s; 'dispatcher resume %s' follows it to its end.", d->run_url, d->id);
}

void
outcome_succeeded(const struct step_run *run)
{
    struct deployment *d = run->deployment;
    set_end(run, "deployed", 0);
    d->message = arena_printf(run->arena, "'%s' %s is deployed to '%s'%s", d->app, d->version,
        d->env, d->proven ? " and proven to run" : "");
}

// --- undoing -----------------------------------------------------------------------------------

static struct error *
undo_step(const struct step_run *run, size_t index)
{
    struct step_run here = *run;
    here.step = deployment_step_at(run->deployment, index);
    const struct step_ops *ops = step_ops_find(here.step->kind);
    if (ops->undo == NULL || here.step->state == NULL || here.step->skip) {
        return NULL;
    }
    TRY(engine_save(&here, "undoing", NULL));
    struct error *err = ops->undo(&here);
    here.step->state = err == NULL ? "undone" : "undo-failed";
    if (err != NULL) {
        char *text CLEANUP(xfreep) = error_text(err);
        here.step->note = arena_dup(run->arena, text);
        error_free(err);
    }
    TRY(engine_save(&here, here.step->state, here.step->note));
    context_emit(run->context,
        &(struct deploy_event){
            .kind = DEPLOY_EVENT_STEP, .deployment = run->deployment, .step = here.step});
    return NULL;
}

// The saga backwards. Fails only when the journal does.
static struct error *
undo_all(const struct step_run *run)
{
    for (size_t i = run->deployment->steps.count; i > 0; i--) {
        TRY(undo_step(run, i - 1));
    }
    return NULL;
}

// Written, or nobody could find out whether it was.
static bool
is_touched(const struct deployment_service *service)
{
    return service->written_version != 0 || service->restore != NULL;
}

// Does every parameter say again what it said before (or never say anything else)?
static bool
is_all_restored(const struct deployment *d)
{
    for (size_t i = 0; i < d->services.count; i++) {
        const struct deployment_service *service = deployment_service_at(d, i);
        if (is_touched(service) && !cstr_equal(service->restore, "restored")) {
            return false;
        }
    }
    return true;
}

static bool
is_anything_written(const struct deployment *d)
{
    for (size_t i = 0; i < d->services.count; i++) {
        if (is_touched(deployment_service_at(d, i))) {
            return true;
        }
    }
    return false;
}

// "; version parameter restored", or why not.
static void
put_restore(const struct deployment *d, struct buf *out)
{
    for (size_t i = 0; i < d->services.count; i++) {
        const struct deployment_service *service = deployment_service_at(d, i);
        if (!is_touched(service)) {
            continue;
        }
        bool restored = cstr_equal(service->restore, "restored");
        const char *state = restored ? "is restored"
                            : cstr_equal(service->restore, "kept")
                                ? "is NOT restored (on_failure: keep)"
                            : cstr_equal(service->restore, "superseded") ? "is NOT restored"
                            : cstr_equal(service->restore, "nothing")    ? "is NOT restored"
                                                                         : "could NOT be restored";
        buf_printf(out, "; parameter %s %s", service->parameter, state);
        if (service->restore_note != NULL) {
            buf_printf(out, " (%s)", service->restore_note);
        }
    }
}

static void
keep_all(const struct step_run *run)
{
    for (size_t i = 0; i < run->deployment->services.count; i++) {
        struct deployment_service *service = deployment_service_at(run->deployment, i);
        if (service->written_version != 0 && service->restore == NULL) {
            service->restore = "kept";
        }
    }
}

// --- the ends ----------------------------------------------------------------------------------

static void
set_message(const struct step_run *run, const struct error *err, bool with_restore)
{
    struct deployment *d = run->deployment;
    char *text CLEANUP(xfreep) = error_text(err);
    struct buf message CLEANUP(buf_done) = BUF_INIT(256 * 1024);
    buf_printf(&message, "deploy '%s' to '%s': %s", d->app, d->env, text);
    if (with_restore) {
        put_restore(d, &message);
    }
    secret_mask(&message);
    d->message = arena_str(run->arena, buf_str(&message));
    d->hint = arena_dup(run->arena, error_hint_of(err));
}

// Best effort: a reader of the parameter sees that its newest version is not settled.
static void
label_pending(const struct step_run *run)
{
    struct aws_session *aws = NULL;
    for (size_t i = 0; i < run->deployment->services.count; i++) {
        const struct deployment_service *service = deployment_service_at(run->deployment, i);
        if (service->written_version == 0) {
            continue;
        }
        struct error *err = provider_aws(run->context, run->deployment, &aws);
        if (err == NULL) {
            err = ssm_label(aws, service->parameter, service->written_version, "pending");
        }
        error_free(err);
    }
}

static bool
is_sent(const struct deployment *d)
{
    return cstr_equal(d->dispatch_state, "intent") || cstr_equal(d->dispatch_state, "sent") ||
           cstr_equal(d->dispatch_state, "adopted") || cstr_equal(d->dispatch_state, "unknown");
}

// Which code is true: 8 whenever a parameter does not say what it said before.
static enum error_kind
kind_of_end(const struct deployment *d, enum error_kind cause)
{
    bool ran = d->run_id != 0;
    if (!is_all_restored(d)) {
        return ERROR_NOT_RESTORED;
    }
    if (cause == ERROR_SUPERSEDED) {
        return ERROR_SUPERSEDED;
    }
    return ran || (cause == ERROR_REFUSED && d->dispatch_state != NULL) ? ERROR_RESTORED : cause;
}

// Definite failure: everything is taken back that may be, then the code says whether it was.
static struct error *
end_failed(const struct step_run *run, struct error *err)
{
    struct deployment *d = run->deployment;
    enum error_kind cause = error_kind(err);
    char *text CLEANUP(xfreep) = error_text(err);
    d->ending_kind = (int64_t)cause + 1;
    d->ending_text = arena_dup(run->arena, text);
    d->ending_hint = arena_dup(run->arena, error_hint_of(err));
    struct error *storage = engine_save(run, "failed", run->step->note);
    if (storage == NULL && d->run_id != 0 && cstr_equal(d->on_failure, "keep")) {
        keep_all(run);
    } else if (storage == NULL) {
        storage = undo_all(run);
    }
    if (storage == NULL) {
        set_message(run, err, is_anything_written(d));
        set_end(run, cause == ERROR_SUPERSEDED ? "cancelled" : "failed",
            error_kind_exit_code(kind_of_end(d, cause)));
    }
    error_free(err);
    return storage;
}

struct error *
outcome_continue(const struct step_run *run)
{
    const struct deployment *d = run->deployment;
    enum error_kind kind = (enum error_kind)(d->ending_kind - 1);
    struct error *err = error_new(kind, "%s", d->ending_text != NULL ? d->ending_text : "failed");
    if (d->ending_hint != NULL) {
        err = error_hint(err, "%s", d->ending_hint);
    }
    return end_failed(run, err);
}

static struct error *
end_unknown(const struct step_run *run, struct error *err)
{
    label_pending(run);
    set_message(run, err, false);
    set_end(run, "unknown", error_kind_exit_code(ERROR_UNKNOWN));
    if (run->deployment->run_id != 0) { // the run is known: resume may still see its end
        run->deployment->result = NULL;
        run->deployment->unfinished = "unknown";
    }
    error_free(err);
    return NULL;
}

static struct error *
end_waiting(const struct step_run *run, struct error *err)
{
    label_pending(run);
    set_message(run, err, false);
    run->deployment->unfinished = "timeout";
    run->deployment->exit_code = error_kind_exit_code(ERROR_STILL_RUNNING);
    error_free(err);
    return NULL;
}

// Interrupted before anything was sent: what was written goes back at once. Afterwards nothing is
// taken back blindly; the run goes on, or is cancelled where the spec says so.
static struct error *
end_interrupted(const struct step_run *run, struct error *err)
{
    struct deployment *d = run->deployment;
    const struct platform *platform = run->context->platform;
    int signal = cancel_signal(platform->cancel);
    int exit_code = signal != 0 ? 128 + signal : error_kind_exit_code(ERROR_CANCELLED);
    cancel_clear(platform->cancel);
    if (!is_sent(d)) {
        TRY(end_failed(run, err));
        bool clean = d->exit_code != error_kind_exit_code(ERROR_NOT_RESTORED);
        d->exit_code = clean ? exit_code : d->exit_code;
        d->result = "cancelled";
        d->hint = "Nothing was triggered.";
        return NULL;
    }
    const char *fate = "the remote run goes on";
    if (cstr_equal(d->on_cancel, "cancel") && d->run_id != 0) {
        struct github_client *github = NULL;
        struct error *problem = provider_github(run->context, d, &github);
        if (problem == NULL) {
            github_client_set_deadline(github, clock_mono(platform->clock) + TIDY_MS);
            problem = github_run_cancel(github, d->run_id);
        }
        d->cancel_requested = problem == NULL;
        fate = problem == NULL ? "the remote run was asked to stop"
                               : "the remote run could not be asked to stop and goes on";
        error_free(problem);
    }
    d->message =
        arena_printf(run->arena, "deploy '%s' to '%s': interrupted by signal %d; %s%s%s", d->app,
            d->env, signal, d->run_id != 0 ? fate : "whether a run was started is not known yet",
            d->run_url != NULL ? ": " : "", d->run_url != NULL ? d->run_url : "");
    d->hint = arena_printf(run->arena, "'dispatcher resume %s' follows it to its end.", d->id);
    d->unfinished = "interrupted";
    d->exit_code = exit_code;
    error_free(err);
    return NULL;
}

struct error *
outcome_failed(const struct step_run *run, struct error *err)
{
    struct deployment *d = run->deployment;
    enum error_kind kind = error_kind(err);
    if (kind == ERROR_STORAGE) { // fail-stop: nothing external may follow (protocols.md C20)
        return err;
    }
    run->step->state =
        kind == ERROR_CANCELLED || kind == ERROR_STILL_RUNNING ? "waiting" : "failed";
    run->step->note = arena_dup(run->arena, error_message(err));
    struct error *storage = engine_save(run, run->step->state, run->step->note);
    if (storage != NULL) {
        error_free(err);
        return storage;
    }
    context_emit(run->context,
        &(struct deploy_event){.kind = DEPLOY_EVENT_STEP, .deployment = d, .step = run->step});
    if (kind == ERROR_CANCELLED) {
        return end_interrupted(run, err);
    }
    if (kind == ERROR_UNKNOWN) {
        return end_unknown(run, err);
    }
    if (kind == ERROR_STILL_RUNNING) {
        return end_waiting(run, err);
    }
    return end_failed(run, err);
}
