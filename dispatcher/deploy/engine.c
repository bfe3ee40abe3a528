// Drives a deployment step by step through the journal: intent durable before each effect, result
// after it. A step that waits gives control back: engine_drive sleeps then, for commands; the
// service comes back when it is due (advance.c). What an end means is outcome.c's.
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "notice_internal.h"
#include "target_internal.h"

static const char *
describe_note(const struct deployment_step *step)
{
    return step->note != NULL ? step->note : step->reason;
}

enum { DOCUMENT_MAX = 8 * 1024 * 1024 }; // what can be read again (json_limits_default)

static void
print_document(const struct deployment *d, struct buf *out)
{
    struct json *document CLEANUP(json_freep) = deployment_encode(d);
    json_print(document, false, out);
    secret_mask(out);
}

// Somebody else has taken the deployment over: nothing of ours may follow (queue.h, fences). To the
// steps it is as if the journal could not be written.
static struct error *
unsaved(struct deploy_context *context, const struct deployment *d, struct error *err)
{
    if (context->pace != NULL && error_kind(err) == ERROR_CONFLICT) {
        context->pace->is_fenced = true;
    }
    if (d->result != NULL) { // what is true does not depend on our disk
        return error_wrap_as(ERROR_STORAGE, err,
            "write the journal (the deployment itself ended as '%s', exit code %d)", d->result,
            (int)d->exit_code);
    }
    return error_wrap_as(ERROR_STORAGE, err, "write the journal");
}

// So that what has not changed since is not written again.
static void
note_written(struct deploy_context *context, const struct buf *text)
{
    if (context->pace != NULL) {
        sha256_of(buf_str(text), context->pace->written);
    }
}

static struct error *
save(struct deploy_context *context, const struct deployment *d, const struct store_step *step)
{
    struct store *store = NULL;
    TRY(deploy_store(context, &store));
    struct buf text CLEANUP(buf_done) = BUF_INIT(DOCUMENT_MAX);
    print_document(d, &text);
    TRY(buf_finish(&text, "deployment"));
    const struct store_deployment row = {
        .id = d->id,
        .app = d->app,
        .env = d->env,
        .version = d->version,
        .state = d->result != NULL ? "final" : "running",
        .result = d->result,
        .exit_code = (int)d->exit_code,
        .created_ms = d->created_ms,
        .updated_ms = clock_wall(context->platform->clock),
        .document = buf_cstr(&text),
    };
    note_written(context, &text);
    // What is told of this state is as durable as the state, and is told whatever comes after it.
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct notices notices = {0};
    notices_of(d, scratch, &notices);
    struct error *err =
        store_save_telling(store, &row, step, notices.items, notices.count, row.updated_ms);
    deploy_courier_wake(context->courier);
    return err != NULL ? unsaved(context, d, err) : NULL;
}

struct error *
engine_keep(struct deploy_context *context, const struct deployment *d)
{
    unsigned char hash[SHA256_SIZE];
    struct buf text CLEANUP(buf_done) = BUF_INIT(DOCUMENT_MAX);
    print_document(d, &text);
    sha256_of(buf_str(&text), hash);
    bool same = memcmp(hash, context->pace->written, sizeof(hash)) == 0;
    return same ? NULL : save(context, d, NULL);
}

static int
ordinal_of(const struct deployment *d, const struct deployment_step *step)
{
    return (int)(step - (const struct deployment_step *)d->steps.items);
}

struct error *
engine_save(const struct step_run *run, const char *state, const char *note)
{
    const struct store_step step = {
        .ordinal = ordinal_of(run->deployment, run->step),
        .name = run->step->name,
        .state = state,
        .note = note,
        .at_ms = clock_wall(run->context->platform->clock),
    };
    return save(run->context, run->deployment, &step);
}

static struct error *
enter(const struct step_run *run, const char *state)
{
    struct deployment_step *step = run->step;
    int64_t now = clock_wall(run->context->platform->clock);
    bool first = step->started_ms == 0, ended = strcmp(state, "intent") != 0;
    step->state = state;
    step->started_ms = first ? now : step->started_ms;
    step->ended_ms = ended ? now : 0;
    TRY(engine_save(run, state, describe_note(step)));
    context_emit(
        run->context, &(struct deploy_event){
                          .kind = DEPLOY_EVENT_STEP, .deployment = run->deployment, .step = step});
    return NULL;
}

// One call of the step: to its end, or until it waits.
static struct error *
run_step(const struct step_run *run)
{
    const struct step_ops *ops = step_ops_find(run->step->kind);
    struct deploy_pace *pace = run->context->pace;
    struct step_result result = {0};
    BUG_ON(ops == NULL);
    TRY(ops->run(run, &result));
    pace->waits = result.outcome == STEP_WAIT;
    pace->until_ms = result.until_ms;
    if (pace->waits) {
        return NULL;
    }
    run->step->note = result.note != NULL ? result.note : run->step->note;
    return enter(run, result.outcome == STEP_SKIPPED ? "skipped" : "done");
}

static bool
is_over(const struct deployment_step *step)
{
    return cstr_equal(step->state, "done") || cstr_equal(step->state, "skipped");
}

// Archives of builds are large, and following may take long.
static bool
needs_leftovers(const struct deployment_step *step)
{
    return strcmp(step->kind, "build") == 0 || strcmp(step->kind, "push") == 0;
}

// Enters the step, unless we come back to it after a wait.
static struct error *
begin_step(struct step_run *run, size_t index)
{
    struct deploy_pace *pace = run->context->pace;
    if (pace->step == index + 1) {
        run->resumed = pace->resumed;
        return NULL;
    }
    run->resumed = run->step->state != NULL;
    pace->step = index + 1;
    pace->resumed = run->resumed;
    return enter(run, run->step->skip ? "skipped" : "intent");
}

// Shutting down is no end: whoever comes next goes on where we stop, as after a crash, but knowing
// what we know.
static struct error *
put_down(const struct step_run *run, struct error *err)
{
    run->step->state = "waiting";
    struct error *storage = engine_save(run, "waiting", "put down");
    if (storage != NULL) {
        error_free(err);
    }
    return storage != NULL ? storage : err;
}

static struct error *
step_failed(const struct step_run *run, struct error *err)
{
    struct deploy_pace *pace = run->context->pace;
    pace_drop_step(pace);
    return pace->is_advanced && error_kind(err) == ERROR_CANCELLED ? put_down(run, err)
                                                                   : outcome_failed(run, err);
}

static struct error *
triggered(const struct step_run *run)
{
    outcome_triggered(run);
    struct error *err = save(run->context, run->deployment, NULL);
    return err != NULL ? outcome_failed(run, err) : NULL;
}

// Asked for by deploy_cancel, before anything was sent: taken back, which a signal would not be.
static struct error *
cancelled(const struct step_run *run)
{
    pace_drop_step(run->context->pace);
    return outcome_failed(run, error_new(ERROR_CANCELLED, "cancelled on request"));
}

static struct error *
go(struct step_run *run)
{
    struct deployment *d = run->deployment;
    struct deploy_pace *pace = run->context->pace;
    for (size_t i = 0; i < d->steps.count; i++) {
        run->step = deployment_step_at(d, i);
        if (!needs_leftovers(run->step)) {
            context_tidy(run->context);
        }
        if (is_over(run->step)) {
            continue;
        }
        if (d->served && d->cancel_requested && !standing_is_sent(d)) {
            return cancelled(run);
        }
        if (d->no_wait && run->step->skip && strcmp(run->step->kind, "follow") == 0) {
            return triggered(run);
        }
        struct error *err = begin_step(run, i);
        if (err == NULL && !run->step->skip) {
            err = run_step(run);
        }
        if (err != NULL) {
            return step_failed(run, err);
        }
        if (pace->waits) {
            return NULL;
        }
    }
    outcome_succeeded(run);
    return save(run->context, d, NULL);
}

struct error *
engine_go(struct deploy_context *context, struct deployment *d, struct deploy_pace *pace,
    struct arena *arena)
{
    struct step_run run = {.context = context, .deployment = d, .arena = arena};
    struct error *err = NULL;
    struct deploy_pace *before = context->pace;
    context->pace = pace;
    pace->waits = false;
    if (d->ending_kind != 0) {
        run.step = deployment_step_at(d, d->steps.count - 1);
        // What a dead process was about to ask for is looked for first.
        run.resumed = !pace->undoing || pace->resumed;
        err = outcome_continue(&run);
    } else {
        if (pace->step == 0) {
            build_forget(d);
        }
        err = go(&run);
    }
    context->pace = before;
    return err;
}

static struct deployment_step *
step_at_work(const struct deployment *d, const struct deploy_pace *pace)
{
    return deployment_step_at(d, pace->step > 0 ? pace->step - 1 : d->steps.count - 1);
}

// A signal while we slept.
static struct error *
disturbed(struct deploy_context *context, struct deployment *d, struct deploy_pace *pace,
    struct arena *arena, struct error *err)
{
    const struct step_run run = {.context = context,
        .deployment = d,
        .step = step_at_work(d, pace),
        .arena = arena,
        .resumed = pace->resumed};
    context->pace = pace;
    pace->waits = false;
    err = d->ending_kind != 0 ? outcome_interrupted(&run, err) : step_failed(&run, err);
    context->pace = NULL;
    return err;
}

// To the end, sleeping through the waits; `pace->waits`: there is one to begin with.
static struct error *
drive(struct deploy_context *context, struct deployment *d, struct deploy_pace *pace,
    struct arena *arena)
{
    const struct platform *platform = context->platform;
    while (pace->waits) {
        struct error *err = clock_sleep_until(platform->clock, pace->until_ms, platform->cancel);
        if (err == NULL) {
            TRY(engine_go(context, d, pace, arena));
        } else {
            TRY(disturbed(context, d, pace, arena, err));
        }
    }
    return NULL;
}

struct error *
engine_drive(struct deploy_context *context, struct deployment *d, struct arena *arena)
{
    struct deploy_pace *pace CLEANUP(deploy_pace_freep) = deploy_pace_new();
    pace->apprunner = context->apprunner; // what the plan has listed
    context->apprunner = NULL;
    TRY(engine_go(context, d, pace, arena));
    return drive(context, d, pace, arena);
}

struct error *
engine_fail(const struct step_run *run, struct error *err)
{
    struct deploy_context *context = run->context;
    struct deploy_pace *pace CLEANUP(deploy_pace_freep) = deploy_pace_new();
    context->pace = pace;
    err = outcome_failed(run, err);
    context->pace = NULL;
    return err != NULL ? err : drive(context, run->deployment, pace, run->arena);
}

struct error *
engine_write(struct deploy_context *context, const struct deployment *d)
{
    return save(context, d, NULL);
}

// The claim is an OS lock: it ends with this process, however that ends.
struct error *
engine_claim(struct deploy_context *context, const char *id, struct store_claim **out)
{
    struct store *store = NULL;
    TRY(deploy_store(context, &store));
    TRY(store_claim(store, id, out));
    if (*out == NULL) {
        return error_hint(error_new(ERROR_CONFLICT, "another process is at work on '%s'", id),
            "'dispatcher watch %s' shows what it does.", id);
    }
    return NULL;
}

// Two processes of one CI job would make the same dispatch ids: the second one has to wait.
static struct error *
claim_job(struct deploy_context *context, const struct deployment *d, struct arena *arena,
    struct store_claim **out)
{
    const char *name = dispatch_id_make(arena, d->claim_key, 0);
    struct error *err = engine_claim(context, name, out);
    if (err != NULL && error_kind(err) == ERROR_CONFLICT) {
        error_free(err);
        return error_hint(
            error_new(ERROR_CONFLICT,
                "another process of this CI job deploys '%s' to '%s' right now", d->app, d->env),
            "Wait for it to end; 'dispatcher history %s' shows it.", d->app);
    }
    return err;
}

struct error *
engine_finish(struct deploy_context *context, struct deployment *d)
{
    provider_count(context, d);
    TRY(save(context, d, NULL));
    if (d->result != NULL && cstr_equal(d->run_conclusion, "success") &&
        d->run_completed_ms > d->run_started_ms) {
        struct error *err = store_add_duration(
            context->store, d->id, d->app, d->env, d->run_completed_ms - d->run_started_ms);
        if (err != NULL) { // a figure for later estimates: the outcome does not depend on it
            log_warn(
                context->platform->log, "duration not kept", F_STR("problem", error_message(err)));
            error_free(err);
        }
    }
    context_emit(context, &(struct deploy_event){.kind = DEPLOY_EVENT_FINISHED, .deployment = d});
    return NULL;
}

static bool
tells_end(const struct store_event *event)
{
    return str_starts(str_of(event->json), STR("{\"event\":\"finished\""));
}

struct error *
engine_tell_end(struct deploy_context *context, const struct deployment *d, struct arena *arena)
{
    struct store *store = NULL;
    struct store_event *events = NULL;
    size_t count = 0;
    TRY(deploy_store(context, &store));
    TRY(store_events(store, d->id, 0, arena, &events, &count));
    for (size_t i = count; i-- > 0;) {
        if (tells_end(&events[i])) {
            return NULL;
        }
    }
    context_emit(context, &(struct deploy_event){.kind = DEPLOY_EVENT_FINISHED, .deployment = d});
    return NULL;
}

struct error *
engine_begin(struct deploy_context *context, struct deployment *d, struct arena *arena,
    struct store_claim **job)
{
    struct store *store = NULL;
    TRY(claim_job(context, d, arena, job));
    TRY(earlier_check(context, d, arena));
    TRY(deploy_store(context, &store));
    struct buf text CLEANUP(buf_done) = BUF_INIT(DOCUMENT_MAX);
    print_document(d, &text);
    TRY(buf_finish(&text, "deployment"));
    const struct store_deployment row = {.id = d->id,
        .app = d->app,
        .env = d->env,
        .version = d->version,
        .state = "running",
        .created_ms = d->created_ms,
        .updated_ms = d->created_ms,
        .document = buf_cstr(&text)};
    struct notices notices = {0};
    notices_of(d, arena, &notices);
    TRY(store_insert_telling(store, &row, notices.items, notices.count, d->created_ms));
    deploy_courier_wake(context->courier);
    context_emit(context, &(struct deploy_event){.kind = DEPLOY_EVENT_STARTED, .deployment = d});
    return NULL;
}

struct error *
deploy_run(struct deploy_context *context, struct deployment *d, struct arena *arena)
{
    struct store_claim *held CLEANUP(store_claim_releasep) = NULL;
    struct store_claim *job CLEANUP(store_claim_releasep) = NULL;
    TRY(engine_claim(context, d->id, &held));
    TRY(engine_begin(context, d, arena, &job));
    TRY(engine_drive(context, d, arena));
    return engine_finish(context, d);
}

// --no-wait left the rest of the plan for now.
static void
wait_after_all(struct deployment *d)
{
    for (size_t i = 0; d->no_wait && i < d->steps.count; i++) {
        struct deployment_step *step = deployment_step_at(d, i);
        bool rest = strcmp(step->kind, "follow") == 0 || strcmp(step->kind, "record") == 0;
        step->skip = step->skip && !rest;
    }
    d->no_wait = false;
}

bool
engine_is_open(const struct deployment *d)
{
    return d->result == NULL || cstr_equal(d->result, "unknown");
}

void
engine_reopen(struct deployment *d)
{
    for (size_t i = 0; i < d->targets.count; i++) {
        struct deployment_target *target = deployment_target_at(d, i);
        bool is_unknown = cstr_equal(target->forward.outcome, "unknown");
        target->forward.outcome = is_unknown ? NULL : target->forward.outcome;
    }
    d->result = NULL;
    d->unfinished = NULL;
    d->message = NULL;
    d->hint = NULL;
    d->exit_code = 0;
    d->finished_ms = 0;
}

struct error *
engine_clear_to_send(struct deploy_context *context, const struct deployment *d,
    struct arena *arena, struct store_claim **job)
{
    if (d->ending_kind != 0 || d->run_id != 0 || d->dispatch_state != NULL) {
        return NULL;
    }
    TRY(claim_job(context, d, arena, job));
    return earlier_check(context, d, arena);
}

struct error *
deploy_resume(
    struct deploy_context *context, const char *id, struct arena *arena, struct deployment **out)
{
    struct store_claim *held CLEANUP(store_claim_releasep) = NULL;
    struct store_claim *job CLEANUP(store_claim_releasep) = NULL;
    struct deployment *d = NULL;
    TRY(deploy_load(context, id, arena, &d));
    if (engine_is_open(d)) {
        TRY(engine_claim(context, d->id, &held));
        TRY(deploy_load(context, d->id, arena, &d)); // again: the owner may have ended it just now
    }
    if (engine_is_open(d)) {
        TRY(engine_clear_to_send(context, d, arena, &job));
        engine_reopen(d);
        wait_after_all(d);
        context_emit(
            context, &(struct deploy_event){.kind = DEPLOY_EVENT_STARTED, .deployment = d});
        TRY(engine_drive(context, d, arena));
        TRY(engine_finish(context, d));
    }
    *out = d;
    return NULL;
}

struct error *
deploy_prepare(struct deploy_context *context, const struct deploy_request *request,
    struct arena *arena, struct diagnostics *diagnostics, struct deployment **out)
{
    struct preparation preparation = {0};
    TRY(prepare_locally(context, request, arena, diagnostics, &preparation));
    TRY(prepare_about(&preparation, snapshot_take(context, &preparation)));
    provider_count(context, preparation.deployment);
    sinks_prepare(context, &preparation);
    plan_make(preparation.deployment, arena);
    *out = preparation.deployment;
    return NULL;
}
