// Asking App Runner for a change: once the service takes one, at most once, and with the intent
// durable before. What it is busy with is waited for, or followed when it is our image.
//
// A request whose answer is lost stays an intent: the operations newer than the newest one before
// it tell whether it arrived (aws-rollout.md §2 row 8).
#include <string.h>

#include "dispatcher/memory.h"
#include "target_apprunner_internal.h"

enum { WHY_MAX = 300 };

// What is about to be asked for.
struct request {
    const struct step_run *run;
    const struct target_move *at;
    struct aws_session *aws;
    const struct apprunner_service *service;
    const struct apprunner_operation *operations; // newest first
    size_t operation_count;
    struct arena *arena;
    // Filled by the four kinds of change below.
    struct apprunner_update update; // of StartDeployment when source_json is NULL and it is code
    bool starts;                    // StartDeployment
    bool nothing;                   // it is so already
};

static bool
is_forward(const struct target_move *at)
{
    return at->move == &at->target->forward;
}

// --- the small steps that all requests share ---------------------------------------------------

struct error *
apprunner_queue(const struct step_run *run, struct deployment_move *move, const char *why)
{
    move->state = NULL;
    (void)target_set_text(run->arena, &move->status, "waiting");
    (void)target_set_text(run->arena, &move->progress, why);
    return NULL;
}

struct error *
apprunner_intend(const struct step_run *run, const struct target_move *at, struct aws_session *aws,
    const char *newest)
{
    at->move->state = "intent";
    at->move->asked_ms = clock_wall(run->context->platform->clock) + aws_clock_offset_ms(aws);
    at->move->earlier_id = newest != NULL ? arena_dup(run->arena, newest) : NULL;
    at->move->status = at->move->progress = at->move->id = NULL;
    return engine_save(run, "waiting", NULL);
}

static bool
is_throttled(const struct error *err)
{
    return aws_has_code(err, "ThrottlingException") ||
           aws_has_code(err, "TooManyRequestsException") || error_remote_of(err)->status == 429;
}

static const char *
text_of(const struct step_run *run, const struct error *err)
{
    char *text CLEANUP(xfreep) = error_text(err);
    return context_clean(run->arena, text, WHY_MAX);
}

struct error *
apprunner_answered(const struct step_run *run, const struct target_move *at, struct error *err,
    const struct apprunner_start *started)
{
    struct deployment_move *move = at->move;
    enum error_kind kind = err != NULL ? error_kind(err) : ERROR_UNKNOWN;
    if (err == NULL) {
        move->state = "sent";
        move->id =
            started->operation_id != NULL ? arena_dup(run->arena, started->operation_id) : NULL;
        return engine_save(run, "waiting", NULL);
    }
    if (kind == ERROR_CANCELLED || kind == ERROR_STORAGE) {
        return err; // the intent stands
    }
    if (kind == ERROR_CONFLICT || is_throttled(err)) {
        const char *why = kind == ERROR_CONFLICT
                              ? "App Runner says that the service takes no change now"
                              : "App Runner asks for fewer calls";
        error_free(err);
        TRY(apprunner_queue(run, move, why));
        return engine_save(run, "waiting", NULL);
    }
    if (error_remote_of(err)->request_left) {
        const char *why =
            arena_printf(run->arena, "looks whether the request arrived: %s", text_of(run, err));
        (void)target_set_text(run->arena, &move->progress, why);
        error_free(err);
        return NULL;
    }
    return err; // refused for good
}

// A request of before may be under way: that nothing can be read now does not end it.
struct error *
apprunner_cannot_see(const struct step_run *run, const struct target_move *at, struct error *err)
{
    if (error_kind(err) == ERROR_CANCELLED) {
        return err;
    }
    if (error_kind(err) != ERROR_UNAVAILABLE) {
        return error_wrap_as(
            ERROR_UNKNOWN, err, "whether App Runner took the request cannot be looked up");
    }
    const char *why = arena_printf(
        run->arena, "looks whether the request arrived, in vain: %s", text_of(run, err));
    (void)target_set_text(run->arena, &at->move->progress, why);
    error_free(err);
    return NULL;
}

struct error *
apprunner_doubt(const struct step_run *run, const struct target_move *at, bool *again)
{
    int64_t limit = context_tuning_ms(run->context, "DISPATCHER_FIND_MS", APPRUNNER_FIND_MS);
    struct aws_session *aws = NULL;
    TRY(provider_aws(run->context, run->deployment, &aws));
    int64_t now = clock_wall(run->context->platform->clock) + aws_clock_offset_ms(aws);
    *again = false;
    if (now - at->move->asked_ms < limit) {
        (void)target_set_text(run->arena, &at->move->status, "waiting");
        (void)target_set_text(
            run->arena, &at->move->progress, "looks for the operation that was asked for");
        return NULL;
    }
    if (run->resumed) { // the process that meant to ask died before it did
        *again = true;
        return NULL;
    }
    target_end_move(run, at->move, "unknown",
        "App Runner was asked, its answer was lost, and it lists no operation that shows that the "
        "request arrived");
    return NULL;
}

// --- what to ask for ---------------------------------------------------------------------------

static const struct apprunner_operation *
newest_of(const struct request *r)
{
    return r->operation_count > 0 ? &r->operations[0] : NULL;
}

static bool
is_well(const struct request *r)
{
    const struct apprunner_operation *last = newest_of(r);
    return last == NULL || last->state == APPRUNNER_OPERATION_SUCCEEDED;
}

static void
take_changes(struct request *r, const struct apprunner_plan *plan)
{
    r->update = plan->update;
    r->at->target->source_changes = arena_dup(r->run->arena, plan->source_changes);
    r->at->target->other_changes = arena_dup(r->run->arena, plan->other_changes);
}

static struct error *
forward_image(struct request *r, struct apprunner_plan *plan)
{
    struct deployment_move *move = r->at->move;
    TRY(apprunner_plan_make(r->run, r->at->target, r->service, move->revision, r->arena, plan));
    take_changes(r, plan);
    // A failed operation may have left a configuration that does not run.
    r->nothing = !plan->changes && is_well(r);
    return NULL;
}

static struct error *
forward_code(struct request *r, struct apprunner_plan *plan)
{
    TRY(apprunner_plan_make(r->run, r->at->target, r->service, NULL, r->arena, plan));
    take_changes(r, plan);
    r->at->move->revision = arena_printf(r->run->arena, "the head of branch '%s'",
        r->at->target->want.branch != NULL ? r->at->target->want.branch : r->service->branch);
    r->starts = !plan->changes; // UpdateService builds and deploys by itself
    return NULL;
}

// Somebody else's since: it is not ours to take back.
static bool
is_foreign(const struct request *r)
{
    const struct deployment_target *target = r->at->target;
    return !cstr_equal(r->service->image, target->forward.revision) &&
           !cstr_equal(r->service->image, target->before);
}

// The tag of before may mean another image by now.
static const char *
image_before(struct request *r)
{
    const struct deployment_target *target = r->at->target;
    struct apprunner_image image = apprunner_image_parse(target->before, r->arena);
    const char *means = NULL;
    if (target->before_digest == NULL || image.digest != NULL) {
        return target->before;
    }
    struct error *err = apprunner_image_digest(r->run, target->before, r->arena, &means);
    bool same = err == NULL && cstr_equal(means, target->before_digest);
    error_free(err);
    return same ? target->before
                : arena_printf(r->run->arena, "%s/%s@%s", image.host, image.repository,
                      target->before_digest);
}

// The whole source as it was, where this process has it; else as it is now, with the image of
// before: values of variables are not in the journal.
static struct error *
back_image(struct request *r)
{
    const struct deployment_target *target = r->at->target;
    const char *source = apprunner_remembered(r->run, target->arn);
    const char *image = image_before(r);
    if (is_foreign(r)) {
        target_end_move(r->run, r->at->move, "superseded",
            arena_printf(r->run->arena, "it runs '%s', which is neither ours nor what ran before",
                r->service->image));
        return NULL;
    }
    r->at->move->revision = image;
    const struct apprunner_source_change none = {0};
    const struct apprunner_source_change change = {
        .image = image,
        .auto_deploys = target->before_auto ? APPRUNNER_YES : APPRUNNER_NO,
    };
    const char *now = NULL;
    r->update = (struct apprunner_update){.current = r->service};
    TRY(apprunner_source_with_image(r->service->source_json, &none, r->arena, &now));
    TRY(apprunner_source_with_image(source != NULL ? source : r->service->source_json, &change,
        r->arena, &r->update.source_json));
    r->nothing = cstr_equal(r->service->image, image) &&
                 (source == NULL || strcmp(now, r->update.source_json) == 0);
    r->at->move->whole = source != NULL;
    return NULL;
}

// A commit cannot be chosen: what can be taken back is the configuration.
static struct error *
back_code(struct request *r)
{
    const char *source = apprunner_remembered(r->run, r->at->target->arn);
    const char *now = NULL, *before = NULL;
    const struct apprunner_source_change none = {0};
    TRY(apprunner_source_with_code(r->service->source_json, &none, r->arena, &now));
    if (source != NULL) {
        TRY(apprunner_source_with_code(source, &none, r->arena, &before));
    }
    if (before == NULL || strcmp(before, now) == 0) {
        target_end_move(r->run, r->at->move, "failed",
            arena_printf(r->run->arena, "App Runner builds the head of '%s': revert there",
                r->service->branch));
        return NULL;
    }
    r->update = (struct apprunner_update){.current = r->service, .source_json = before};
    return NULL;
}

static struct error *
make_change(struct request *r, struct apprunner_plan *plan)
{
    bool code = r->service->kind == APPRUNNER_CODE;
    if (is_forward(r->at)) {
        return code ? forward_code(r, plan) : forward_image(r, plan);
    }
    return code ? back_code(r) : back_image(r);
}

// --- the service is busy -----------------------------------------------------------------------

static bool
is_deployment(const struct apprunner_operation *operation)
{
    return cstr_equal(operation->type, "START_DEPLOYMENT") ||
           cstr_equal(operation->type, "UPDATE_SERVICE");
}

// Did it begin before the registry had our image? Then it is of another one.
static bool
is_too_old(const struct request *r, const struct apprunner_operation *operation)
{
    const struct deployment *d = r->run->deployment;
    const struct deployment_service *service =
        deployment_service_at(d, (size_t)r->at->target->service);
    return !service->present && operation->started_ms != 0 &&
           operation->started_ms < d->created_ms + aws_clock_offset_ms(r->aws);
}

// Is it our image that is being deployed, by App Runner itself after the push or by anybody? Only
// the image counts here: settings that differ need a request of ours.
static struct error *
is_ours_already(struct request *r, const struct apprunner_operation *operation, bool *ours)
{
    const struct deployment_move *move = r->at->move;
    struct apprunner_plan plan = {0};
    const char *digest = NULL;
    *ours = false;
    if (!is_forward(r->at) || r->service->kind != APPRUNNER_IMAGE || move->digest == NULL ||
        operation == NULL || !is_deployment(operation) || is_too_old(r, operation) ||
        apprunner_operation_is_final(operation->state)) {
        return NULL;
    }
    TRY(apprunner_plan_make(r->run, r->at->target, r->service, r->service->image, r->arena, &plan));
    struct error *err = apprunner_image_digest(r->run, r->service->image, r->arena, &digest);
    if (err != NULL) {
        digest = NULL;
        error_free(err);
    }
    *ours = plan.source_changes == NULL && plan.other_changes == NULL &&
            cstr_equal(digest, move->digest);
    return NULL;
}

static struct error *
adopt(struct request *r, const struct apprunner_operation *operation)
{
    const struct step_run *run = r->run;
    struct deployment_move *move = r->at->move;
    const char *text = arena_printf(run->arena,
        "'%s': App Runner deploys this image by itself; operation %s is followed, and its "
        "automatic deployments stay as they are until the next rollout",
        r->at->target->name, operation->id);
    move->state = "sent";
    move->id = arena_dup(run->arena, operation->id);
    move->revision = arena_dup(run->arena, r->service->image);
    move->asked_ms = operation->started_ms;
    move->progress = NULL;
    deployment_note(run->deployment, run->arena, text);
    context_emit_text(run->context, run->deployment, DEPLOY_EVENT_NOTE, text);
    return engine_save(run, "waiting", NULL);
}

static struct error *
wait_for(struct request *r)
{
    const struct apprunner_operation *operation = newest_of(r);
    bool ours = false;
    TRY(is_ours_already(r, operation, &ours));
    if (ours) {
        return adopt(r, operation);
    }
    bool known = operation != NULL && !apprunner_operation_is_final(operation->state);
    const char *why =
        known
            ? arena_printf(r->arena, "waits for operation %.8s (%s) that is in progress there",
                  operation->id, operation->type != NULL ? operation->type : "of unknown type")
            : arena_printf(r->arena, "waits until the service is no longer %s", r->service->status);
    return apprunner_queue(r->run, r->at->move, why);
}

// --- asking ------------------------------------------------------------------------------------

static struct error *
send(struct request *r)
{
    const struct step_run *run = r->run;
    const struct apprunner_operation *last = newest_of(r);
    struct apprunner_start started = {0};
    TRY(apprunner_intend(run, r->at, r->aws, last != NULL ? last->id : NULL));
    apprunner_remember(run, r->service->arn, r->service->source_json);
    TRY(apprunner_turn(run, &r->aws));
    struct error *err =
        r->starts ? apprunner_start_deployment(r->aws, r->service->arn, r->arena, &started)
                  : apprunner_update(r->aws, &r->update, r->arena, &started);
    return apprunner_answered(run, r->at, err, &started);
}

// An intent of before: has it arrived? *again: no, and it may be asked anew.
static struct error *
look_for_it(struct request *r, bool *again)
{
    struct deployment_move *move = r->at->move;
    const struct apprunner_operation *found =
        apprunner_own_operation(r->at, r->service, r->operations, r->operation_count);
    *again = false;
    if (found == NULL) {
        return apprunner_doubt(r->run, r->at, again);
    }
    move->state = "sent";
    move->id = arena_dup(r->run->arena, found->id);
    move->progress = NULL;
    return engine_save(r->run, "waiting", NULL);
}

static struct error *
ask(struct request *r)
{
    struct apprunner_plan plan = {0}; // the request borrows from it
    if (r->service->state != APPRUNNER_SERVICE_RUNNING) {
        TRY(apprunner_check_state(r->service));
        return wait_for(r);
    }
    TRY(make_change(r, &plan));
    if (r->at->move->outcome != NULL) {
        return NULL;
    }
    if (r->nothing) {
        r->at->move->state = "nothing";
        r->at->move->progress = NULL;
        return NULL;
    }
    return send(r);
}

// Where an image is to go to is known once it is pushed. It is pinned: a tag can be moved while it
// is deployed, and what is pinned can be proven.
static void
aim(const struct step_run *run, const struct target_move *at)
{
    const struct deployment *d = run->deployment;
    if (!is_forward(at) || apprunner_is_code(at->target) || at->move->revision != NULL) {
        return;
    }
    const struct deployment_service *service =
        deployment_service_at(d, (size_t)at->target->service);
    at->move->digest = service->digest;
    at->move->revision = arena_printf(
        run->arena, "%s/%s@%s", service->registry, service->repository, service->digest);
}

static struct error *
read_all(
    struct request *r, struct apprunner_service *service, struct apprunner_operation **operations)
{
    TRY(provider_aws(r->run->context, r->run->deployment, &r->aws));
    TRY(apprunner_look_at(r->run, r->at->target, r->arena, service));
    return apprunner_operations(
        r->run, service->arn, r->at->move->earlier_id, r->arena, operations, &r->operation_count);
}

struct error *
apprunner_begin(const struct step_run *run, const struct target_move *at)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct apprunner_service service = {0};
    struct apprunner_operation *operations = NULL;
    bool asked = cstr_equal(at->move->state, "intent"), again = true;
    struct request request = {.run = run, .at = at, .service = &service, .arena = scratch};
    aim(run, at);
    if (at->target->arn == NULL) {
        return apprunner_begin_create(run, at);
    }
    struct error *err = read_all(&request, &service, &operations);
    if (err != NULL) {
        return asked ? apprunner_cannot_see(run, at, err) : err;
    }
    request.operations = operations;
    if (asked) {
        TRY(look_for_it(&request, &again));
    }
    return again ? ask(&request) : NULL;
}
