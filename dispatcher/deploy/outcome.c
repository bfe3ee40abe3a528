// What is true when a deployment ends: takes back what must be taken back, and only then says how
// it ended. The exit codes are design.md §4's; this is the one place that chooses 7, 8, 9, 10
// and 11.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "dispatcher/ssm.h"
#include "target_internal.h"

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
    if (cstr_equal(d->verb, "prove")) {
        d->message = arena_printf(
            run->arena, "'%s' %s is proven to run in '%s'", d->app, d->version, d->env);
        return;
    }
    d->message = arena_printf(run->arena, "'%s' %s is %s '%s'%s", d->app, d->version,
        cstr_equal(d->verb, "rollback")  ? "back in"
        : cstr_equal(d->verb, "rollout") ? "rolled out to"
                                         : "deployed to",
        d->env, d->proven ? " and proven to run" : "");
}

// --- undoing -----------------------------------------------------------------------------------

// One more signal does not stop the taking back, a second one does: `resume` goes on with it then.
// In a service a signal is for all that it does.
static bool
goes_on(const struct deploy_context *context)
{
    struct deploy_pace *pace = context->pace;
    bool again = !pace->is_advanced && !pace->undo_disturbed;
    if (again) {
        pace->undo_disturbed = true;
        cancel_clear(context->platform->cancel);
    }
    return again;
}

static struct error *
undo_patiently(const struct step_run *here, const struct step_ops *ops, struct step_result *result)
{
    struct deploy_context *context = here->context;
    struct error *err = ops->undo(here, result);
    if (err != NULL && cancel_signal(context->platform->cancel) != 0 && goes_on(context)) {
        error_free(err);
        *result = (struct step_result){0};
        err = ops->undo(here, result);
    }
    return err;
}

static struct error *
undone(struct step_run *here)
{
    const char *note = NULL;
    bool restored = standing_is_restored(here->deployment, here->step, &note);
    here->step->state = restored ? "undone" : "undo-failed";
    here->step->note = note;
    TRY(engine_save(here, here->step->state, here->step->note));
    context_emit(here->context,
        &(struct deploy_event){
            .kind = DEPLOY_EVENT_STEP, .deployment = here->deployment, .step = here->step});
    return NULL;
}

static struct error *
undo_step(const struct step_run *run, size_t index)
{
    struct step_run here = *run;
    struct deploy_pace *pace = run->context->pace;
    struct step_result result = {0};
    here.step = deployment_step_at(run->deployment, index);
    const struct step_ops *ops = step_ops_find(here.step->kind);
    if (ops->undo == NULL || here.step->state == NULL || here.step->skip ||
        !standing_is_touched(run->deployment, here.step)) {
        return NULL;
    }
    if (!pace->undo_begun) {
        TRY(engine_save(&here, "undoing", NULL));
        pace->undo_begun = true;
    }
    struct error *err = undo_patiently(&here, ops, &result);
    if (err != NULL && cancel_signal(run->context->platform->cancel) != 0) {
        return err;
    }
    pace->waits = err == NULL && result.outcome == STEP_WAIT;
    pace->until_ms = result.until_ms;
    error_free(err); // the service and the target say it in their own words
    return pace->waits ? NULL : undone(&here);
}

// The saga backwards, until a step has to wait (pace->waits). Fails when the journal does, or when
// it is interrupted.
static struct error *
undo_all(const struct step_run *run)
{
    struct deploy_pace *pace = run->context->pace;
    if (!pace->undoing) {
        pace->undoing = true;
        pace->resumed = run->resumed;
        pace->undo_left = run->deployment->steps.count;
    }
    while (pace->undo_left > 0) {
        TRY(undo_step(run, pace->undo_left - 1));
        if (pace->waits) {
            return NULL;
        }
        pace->undo_begun = false;
        pace->restores = 0;
        pace->back = BACK_NEW;
        pace->undo_left--;
    }
    return NULL;
}

// --- the ends ----------------------------------------------------------------------------------

static const char *
verb_text(const struct deployment *d)
{
    return cstr_equal(d->verb, "rollout")    ? "roll out"
           : cstr_equal(d->verb, "rollback") ? "roll back"
           : cstr_equal(d->verb, "prove")    ? "prove"
                                             : "deploy";
}

static const char *
place_text(const struct deployment *d)
{
    return cstr_equal(d->verb, "rollback") || cstr_equal(d->verb, "prove") ? "in" : "to";
}

static void
set_message(const struct step_run *run, const struct error *err, bool with_restore)
{
    struct deployment *d = run->deployment;
    char *text CLEANUP(xfreep) = error_text(err);
    struct buf message CLEANUP(buf_done) = BUF_INIT(256 * 1024);
    buf_printf(&message, "%s '%s' %s '%s': %s", verb_text(d), d->app, place_text(d), d->env, text);
    if (with_restore) {
        standing_put(d, &message);
    }
    d->message = context_masked(run->arena, buf_cstr(&message));
    const char *hint = error_hint_of(err);
    d->hint = hint != NULL ? context_masked(run->arena, hint) : NULL;
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

// Which code is true: 8 whenever a parameter does not say what it said before, 9 when even that is
// not known.
static int
exit_code_of(const struct deployment *d, enum error_kind cause)
{
    enum error_kind kind = cause;
    if (standing_is_any(d, "unknown")) {
        kind = ERROR_UNKNOWN;
    } else if (!standing_is_all_restored(d, cause == ERROR_SUPERSEDED)) {
        kind = ERROR_NOT_RESTORED;
    } else if (cause == ERROR_CANCELLED && d->ending_signal > 0) {
        return 128 + (int)d->ending_signal;
    } else if (cause == ERROR_UNKNOWN) { // of a write, and found out since: nothing is changed
        kind = ERROR_UNAVAILABLE;
    } else if (cause != ERROR_SUPERSEDED) {
        bool ran = standing_has_run(d) || (cause == ERROR_REFUSED && d->dispatch_state != NULL);
        kind = ran ? ERROR_RESTORED : cause;
    }
    return error_kind_exit_code(kind);
}

static void
hint_by_hand(const struct step_run *run)
{
    struct deployment *d = run->deployment;
    for (size_t i = 0; i < d->services.count; i++) {
        const struct deployment_service *service = deployment_service_at(d, i);
        const char *ours = arena_printf(
            run->arena, "'%s' (version %lld)", d->version, (long long)service->written_version);
        bool stands = cstr_equal(service->says, ours);
        if (!cstr_equal(service->restore, "failed") || !stands || service->previous == NULL) {
            continue;
        }
        bool is_plain = tag_is_valid(str_of(service->previous)); // for a shell, too
        d->hint = is_plain ? arena_printf(run->arena,
                                 "Put it back by hand: aws ssm put-parameter --overwrite --name "
                                 "'%s' --value '%s'.",
                                 service->parameter, service->previous)
                           : arena_printf(run->arena,
                                 "Put it back by hand: parameter '%s' had the right value in "
                                 "version %lld.",
                                 service->parameter, (long long)service->previous_version);
        return;
    }
}

// Interrupted while taking back: the ending stands in the journal, and resume goes on with it.
static void
leave_ending(const struct step_run *run, const struct error *err)
{
    struct deployment *d = run->deployment;
    int signal = cancel_signal(run->context->platform->cancel);
    cancel_clear(run->context->platform->cancel);
    set_message(run, err, false);
    d->message = arena_printf(
        run->arena, "%s; interrupted while the version parameters were being restored", d->message);
    d->hint = arena_printf(run->arena, "'dispatcher resume %s' restores them.", d->id);
    d->unfinished = "interrupted";
    d->exit_code = 128 + signal;
}

static void
close_ending(const struct step_run *run, const struct error *err)
{
    struct deployment *d = run->deployment;
    enum error_kind cause = error_kind(err);
    bool stopped = cause == ERROR_SUPERSEDED || cause == ERROR_CANCELLED;
    set_message(run, err, true);
    set_end(run,
        standing_is_any(d, "unknown") ? "unknown"
        : stopped                     ? "cancelled"
                                      : "failed",
        exit_code_of(d, cause));
    if (cause == ERROR_CANCELLED) {
        d->hint = "Nothing was triggered.";
    }
    if (standing_is_any(d, "unknown")) {
        d->hint = arena_printf(run->arena, "%s'dispatcher resume %s' looks again.",
            standing_has_run(d) ? "" : "Nothing was triggered. ", d->id);
    }
    hint_by_hand(run);
}

// The journal cannot be written: what it does not say stands in the hint.
static struct error *
hint_unsaved(const struct step_run *run, struct error *err)
{
    const struct deployment *d = run->deployment;
    if (d->run_id != 0) {
        return error_hint(err,
            "Run %lld was started: %s. 'dispatcher resume %s' follows it to its end.",
            (long long)d->run_id, d->run_url, d->id);
    }
    if (standing_has_run(d)) {
        return error_hint(err,
            "The rollout of '%s' in '%s' was begun. 'dispatcher resume %s' follows it to its end.",
            d->app, d->env, d->id);
    }
    if (standing_is_sent(d)) {
        return error_hint(err,
            "Whether a run was started is not known: look at %s/%s/actions. 'dispatcher resume "
            "%s' looks for it.",
            d->github_web, d->workflow_repo, d->id);
    }
    for (size_t i = 0; i < d->services.count; i++) {
        const struct deployment_service *service = deployment_service_at(d, i);
        if (version_is_touched(service) && !cstr_equal(service->restore, "restored")) {
            return error_hint(err,
                "Nothing was triggered, but parameter '%s' %s %s. 'dispatcher resume %s' goes on "
                "from there.",
                service->parameter, service->says != NULL ? "says" : "may say",
                service->says != NULL ? service->says : d->version, d->id);
        }
    }
    return error_hint(
        err, "Nothing more was done. 'dispatcher resume %s' goes on from there.", d->id);
}

// `err` (consumed) is what went wrong before the journal did.
static struct error *
unrecorded(const struct step_run *run, struct error *storage, struct error *err)
{
    char *text CLEANUP(xfreep) = error_text(err);
    error_free(err);
    return hint_unsaved(run, error_wrap(storage, "%s '%s' %s '%s': %s; this could not be recorded",
                                 verb_text(run->deployment), run->deployment->app,
                                 place_text(run->deployment), run->deployment->env, text));
}

// Definite failure, already journaled as one: everything is taken back that may be, then the code
// says whether it was. Consumes `err`.
static struct error *
end_failed(const struct step_run *run, struct error *err)
{
    struct deployment *d = run->deployment;
    struct deploy_pace *pace = run->context->pace;
    struct error *stop = NULL;
    if (!pace->is_advanced && !pace->undoing) {
        cancel_clear(run->context->platform->cancel); // from here on we tidy up
    }
    if (standing_has_run(d) && cstr_equal(d->on_failure, "keep")) {
        standing_keep(d);
    } else {
        stop = undo_all(run);
    }
    if (stop == NULL && pace->waits) {
        error_free(err);
        return NULL; // engine_go comes back by outcome_continue
    }
    if (stop == NULL) {
        close_ending(run, err);
    } else if (error_kind(stop) == ERROR_STORAGE) {
        return unrecorded(run, stop, err);
    } else if (pace->is_advanced) {
        error_free(err);
        return stop; // it stands in the journal, and is gone on with
    } else {
        leave_ending(run, err);
        error_free(stop);
    }
    error_free(err);
    return NULL;
}

// What had gone wrong, as the journal has it.
static struct error *
ending_of(const struct deployment *d)
{
    enum error_kind kind = (enum error_kind)(d->ending_kind - 1);
    struct error *err = error_new(kind, "%s", d->ending_text != NULL ? d->ending_text : "failed");
    return d->ending_hint != NULL ? error_hint(err, "%s", d->ending_hint) : err;
}

struct error *
outcome_continue(const struct step_run *run)
{
    return end_failed(run, ending_of(run->deployment));
}

struct error *
outcome_interrupted(const struct step_run *run, struct error *err)
{
    error_free(err);
    if (goes_on(run->context)) {
        return outcome_continue(run);
    }
    struct error *ending CLEANUP(error_freep) = ending_of(run->deployment);
    leave_ending(run, ending);
    return NULL;
}

static struct error *
end_unknown(const struct step_run *run, struct error *err)
{
    label_pending(run);
    set_message(run, err, false);
    set_end(run, "unknown", error_kind_exit_code(ERROR_UNKNOWN));
    if (run->deployment->hint == NULL) {
        run->deployment->hint =
            arena_printf(run->arena, "'dispatcher resume %s' looks again.", run->deployment->id);
    }
    error_free(err);
    return NULL;
}

// What is known of what was begun, for one that nobody looks at any more.
static const char *
fate_aside(const struct step_run *run, const char *seen)
{
    const struct deployment *d = run->deployment;
    if (d->run_id != 0) {
        return arena_printf(run->arena, "run %lld %s: %s", (long long)d->run_id, seen,
            d->run_url != NULL ? d->run_url : "its URL is not known");
    }
    if (standing_has_run(d)) {
        return "its rollout was begun, and how it ended was not looked at";
    }
    return standing_is_sent(d) ? "whether a run was started is not known" : "nothing was triggered";
}

void
outcome_set_aside(const struct step_run *run, const char *why, const char *seen)
{
    struct deployment *d = run->deployment;
    set_end(run, "unknown", error_kind_exit_code(ERROR_UNKNOWN));
    d->message = arena_printf(run->arena, "%s '%s' %s '%s': %s; %s", verb_text(d), d->app,
        place_text(d), d->env, why, fate_aside(run, seen));
    d->hint = arena_printf(
        run->arena, "'dispatcher resume %s' goes on with it and says how it ended.", d->id);
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

// What becomes of the remote run when we are interrupted.
static const char *
settle_fate(const struct step_run *run)
{
    struct deployment *d = run->deployment;
    struct github_client *github = NULL;
    if (cstr_equal(d->run_status, "completed")) {
        return arena_printf(run->arena, "the remote run is over (%s)", d->run_conclusion);
    }
    if (!cstr_equal(d->on_cancel, "cancel")) {
        return "the remote run goes on";
    }
    struct error *err = provider_github(run->context, d, &github);
    if (err == NULL) {
        int64_t now = clock_mono(run->context->platform->clock);
        github_client_set_deadline(github, now + TIDY_MS);
        err = github_run_cancel(github, d->run_id);
    }
    d->cancel_requested = err == NULL;
    error_free(err);
    return d->cancel_requested ? "the remote run was asked to stop"
                               : "the remote run could not be asked to stop and goes on";
}

// Interrupted after something was sent: nothing is taken back blindly (protocols.md F25).
static struct error *
end_interrupted(const struct step_run *run, struct error *err)
{
    struct deployment *d = run->deployment;
    int signal = cancel_signal(run->context->platform->cancel);
    cancel_clear(run->context->platform->cancel);
    const char *fate = d->run_id != 0        ? settle_fate(run)
                       : standing_has_run(d) ? rollout_fate(run)
                                             : "whether a run was started is not known yet";
    d->message = arena_printf(run->arena, "%s '%s' %s '%s': interrupted by signal %d; %s%s%s",
        verb_text(d), d->app, place_text(d), d->env, signal, fate, d->run_url != NULL ? ": " : "",
        d->run_url != NULL ? d->run_url : "");
    d->hint = arena_printf(run->arena, "'dispatcher resume %s' follows it to its end.", d->id);
    d->unfinished = "interrupted";
    d->exit_code = signal != 0 ? 128 + signal : error_kind_exit_code(ERROR_CANCELLED);
    error_free(err);
    return NULL;
}

// What is to be taken back is journaled together with the failure: a crash in between must find an
// ending, not a step to try again.
static void
begin_ending(const struct step_run *run, const struct error *err)
{
    struct deployment *d = run->deployment;
    char *text CLEANUP(xfreep) = error_text(err);
    const char *hint = error_hint_of(err);
    d->ending_kind = (int64_t)error_kind(err) + 1;
    d->ending_text = context_masked(run->arena, text);
    d->ending_hint = hint != NULL ? context_masked(run->arena, hint) : NULL;
    d->ending_signal = cancel_signal(run->context->platform->cancel);
}

// Is this the end of the deployment, whatever comes later? Once a run may exist, only its own
// conclusion is: missing credentials or an outage say nothing about it.
static bool
is_definite(const struct deployment *d, enum error_kind kind)
{
    // A rollout refuses only once one of its targets has ended; what still moves is stopped then.
    bool concluded = d->run_id != 0
                         ? d->run_conclusion != NULL && cstr_equal(d->run_status, "completed")
                         : d->dispatch_state == NULL;
    return !standing_is_sent(d) ||
           (concluded && (kind == ERROR_REFUSED || kind == ERROR_SUPERSEDED));
}

struct error *
outcome_failed(const struct step_run *run, struct error *err)
{
    struct deployment *d = run->deployment;
    enum error_kind kind = error_kind(err);
    if (kind == ERROR_STORAGE) { // fail-stop: nothing external may follow (protocols.md C20)
        return hint_unsaved(run, err);
    }
    bool definite = is_definite(d, kind);
    if (definite) {
        begin_ending(run, err);
    }
    run->step->state = definite && kind != ERROR_CANCELLED ? "failed" : "waiting";
    run->step->ended_ms =
        strcmp(run->step->state, "failed") == 0 ? clock_wall(run->context->platform->clock) : 0;
    run->step->note = context_masked(run->arena, error_message(err));
    struct error *storage = engine_save(run, run->step->state, run->step->note);
    if (storage != NULL) {
        return unrecorded(run, storage, err);
    }
    context_emit(run->context,
        &(struct deploy_event){.kind = DEPLOY_EVENT_STEP, .deployment = d, .step = run->step});
    if (definite) {
        return end_failed(run, err);
    }
    return kind == ERROR_CANCELLED       ? end_interrupted(run, err)
           : kind == ERROR_STILL_RUNNING ? end_waiting(run, err)
                                         : end_unknown(run, err);
}
