// Following an operation of App Runner by its id to its end, and proving what runs then. A service
// that is RUNNING again says nothing: it is so after an automatic rollback, too (aws-rollout.md
// §3.3).
#include <string.h>

#include "dispatcher/memory.h"
#include "target_apprunner_internal.h"

enum { PAGES_MAX = 20, SKEW_MS = 30 * 1000 };

struct error *
apprunner_operations(const struct step_run *run, const char *arn, const char *until_id,
    struct arena *arena, struct apprunner_operation **out, size_t *count)
{
    struct aws_session *aws = NULL;
    const struct apprunner_operation_query query = {
        .service_arn = arn, .until_id = until_id, .max_pages = until_id != NULL ? PAGES_MAX : 1};
    TRY(apprunner_turn(run, &aws));
    return apprunner_operations_list(aws, &query, arena, out, count);
}

// --- which one is ours -------------------------------------------------------------------------

static bool
may_be_own(const struct target_move *at, const struct apprunner_service *service,
    const struct apprunner_operation *operation)
{
    bool code = apprunner_is_code(at->target), created = at->target->before == NULL;
    bool of_kind = cstr_equal(operation->type, created ? "CREATE_SERVICE" : "UPDATE_SERVICE") ||
                   (code && !created && cstr_equal(operation->type, "START_DEPLOYMENT"));
    bool in_time =
        operation->started_ms == 0 || operation->started_ms + SKEW_MS >= at->move->asked_ms;
    // While it is under way the service says what it is about. Afterwards it may say what it was
    // before.
    bool other = service != NULL && !code && !apprunner_operation_is_final(operation->state) &&
                 !cstr_equal(service->image, at->move->revision);
    return of_kind && in_time && !other;
}

const struct apprunner_operation *
apprunner_own_operation(const struct target_move *at, const struct apprunner_service *service,
    const struct apprunner_operation *list, size_t count)
{
    const struct apprunner_operation *oldest = NULL;
    for (size_t i = 0; i < count && !cstr_equal(list[i].id, at->move->earlier_id); i++) {
        if (may_be_own(at, service, &list[i])) {
            oldest = &list[i];
        }
    }
    return oldest;
}

static const struct apprunner_operation *
find_id(const char *id, const struct apprunner_operation *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].id, id) == 0) {
            return &list[i];
        }
    }
    return NULL;
}

// --- what became of it -------------------------------------------------------------------------

// All ends there are. What is not here goes on, whatever App Runner calls it: only SUCCEEDED is
// success.
static const struct {
    enum apprunner_operation_state state;
    const char *outcome;
} ends[] = {
    {APPRUNNER_OPERATION_SUCCEEDED, "succeeded"},
    {APPRUNNER_OPERATION_FAILED, "failed"},
    {APPRUNNER_OPERATION_ROLLED_BACK, "rolled-back"},
    {APPRUNNER_OPERATION_ROLLBACK_FAILED, "rollback-failed"},
};

static const char *
outcome_of(enum apprunner_operation_state state)
{
    for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
        if (ends[i].state == state) {
            return ends[i].outcome;
        }
    }
    return NULL;
}

// A source that is back is not the code that ran before.
static void
end_of_code(const struct step_run *run, const struct target_move *at, const char *id)
{
    if (at->move == &at->target->back) {
        target_end_move(run, at->move, "failed",
            arena_printf(run->arena, "its configuration is as before, but App Runner builds the "
                                     "head of its branch: revert there"));
        return;
    }
    at->target->proof = arena_printf(run->arena,
        "App Runner built and runs %s (operation %s, SUCCEEDED); it does not tell which commit "
        "that was",
        at->move->revision, id);
    target_end_move(run, at->move, "succeeded", NULL);
}

static void
take(const struct step_run *run, const struct target_move *at,
    const struct apprunner_operation *operation)
{
    struct deployment_move *move = at->move;
    const char *outcome = outcome_of(operation->state);
    (void)target_set_text(run->arena, &move->status, operation->status);
    if (operation->state == APPRUNNER_OPERATION_ROLLING_BACK && !move->rolling_back) {
        move->rolling_back = true;
        apprunner_read_reason(run, at);
    }
    if (outcome == NULL) {
        return;
    }
    if (operation->state == APPRUNNER_OPERATION_SUCCEEDED) {
        if (apprunner_is_code(at->target)) {
            end_of_code(run, at, operation->id);
        }
        target_end_move(run, move, outcome, NULL);
        return;
    }
    if (!move->rolling_back || move->reason == NULL) {
        apprunner_read_reason(run, at);
    }
    const char *reason = move->reason != NULL ? move->reason
                                              : arena_printf(run->arena, "operation %s ended as %s",
                                                    operation->id, operation->status);
    target_end_move(run, move, outcome, reason);
}

static int64_t
age_of(const struct step_run *run, const struct deployment_move *move, struct aws_session *aws)
{
    return clock_wall(run->context->platform->clock) + aws_clock_offset_ms(aws) - move->asked_ms;
}

// The operation is not listed (yet), or nobody said which one it is.
static void
miss(const struct step_run *run, const struct target_move *at, struct aws_session *aws)
{
    struct deployment_move *move = at->move;
    int64_t limit = context_tuning_ms(run->context, "DISPATCHER_FIND_MS", APPRUNNER_FIND_MS);
    if (age_of(run, move, aws) < limit) {
        (void)target_set_text(run->arena, &move->status, "not listed yet");
        return;
    }
    target_end_move(run, move, "unknown",
        move->id != NULL
            ? arena_printf(run->arena, "App Runner does not list operation %s", move->id)
            : "App Runner took the request but named no operation, and lists none that can be it");
}

static struct error *
refresh_one(const struct step_run *run, const struct target_move *at)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct deployment_move *move = at->move;
    struct apprunner_operation *list = NULL;
    struct aws_session *aws = NULL;
    size_t count = 0;
    const char *until = move->id != NULL ? move->id : move->earlier_id;
    TRY(apprunner_operations(run, at->target->arn, until, scratch, &list, &count));
    TRY(provider_aws(run->context, run->deployment, &aws));
    const struct apprunner_operation *operation =
        move->id != NULL ? find_id(move->id, list, count)
                         : apprunner_own_operation(at, NULL, list, count);
    if (operation == NULL) {
        miss(run, at, aws);
        return NULL;
    }
    (void)target_set_text(run->arena, &move->id, operation->id);
    take(run, at, operation);
    return NULL;
}

struct error *
apprunner_refresh(const struct step_run *run, const struct target_move *moves, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct error *err = refresh_one(run, &moves[i]);
        if (err != NULL) {
            return error_wrap(err, "look at '%s'", moves[i].target->name);
        }
    }
    return NULL;
}

// --- the proof ---------------------------------------------------------------------------------

static const char *
short_digest(const struct step_run *run, const char *digest)
{
    return digest != NULL ? arena_printf(run->arena, "%.19s…", digest) : "an unknown digest";
}

static bool
is_change(const struct apprunner_operation *operation)
{
    static const char *const types[] = {"UPDATE_SERVICE", "START_DEPLOYMENT", "CREATE_SERVICE"};
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        if (cstr_equal(operation->type, types[i])) {
            return true;
        }
    }
    return false;
}

// The newest one that decided what runs.
static const struct apprunner_operation *
last_change(const struct apprunner_operation *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_change(&list[i])) {
            return &list[i];
        }
    }
    return NULL;
}

// Something newer than ours has put another image there: that is not for us to take back.
static void
give_up_to(const struct step_run *run, struct deployment_target *target,
    const struct apprunner_service *service, const struct apprunner_operation *last)
{
    struct deployment_move *move = &target->forward;
    move->outcome = "superseded";
    (void)target_set_text(run->arena, &move->reason,
        arena_printf(run->arena, "operation %s (%s) put '%s' there since", last->id, last->type,
            service->image));
}

// What is compared: the digest in force, that the service runs, and that what put it there has
// succeeded.
static void
judge(const struct step_run *run, struct deployment_target *target,
    const struct apprunner_service *service, const struct apprunner_operation *last,
    const char *digest)
{
    const struct deployment_move *move =
        target->back.revision != NULL ? &target->back : &target->forward;
    bool same = cstr_equal(target->running_digest, digest);
    bool pinned = service->image != NULL && strchr(service->image, '@') != NULL;
    bool runs = service->state == APPRUNNER_SERVICE_RUNNING;
    bool ours = last == NULL || move->id == NULL || strcmp(last->id, move->id) == 0;
    // Taken back by App Runner: the operation that failed is the last one, and the image is what
    // ran before it.
    bool taken_back = digest != target->forward.digest || move == &target->back;
    bool ended_well = last == NULL || last->state == APPRUNNER_OPERATION_SUCCEEDED ||
                      (taken_back && apprunner_operation_is_final(last->state));
    // It went back from one image of a tag to another one of the same tag: only it knows to which.
    bool indistinct = taken_back && !pinned && cstr_equal(service->image, target->forward.revision);
    target->proven = same && runs && ended_well && !indistinct;
    if (!same) {
        target->proof = arena_printf(run->arena, "App Runner service '%s' is on %s ('%s')",
            service->name, short_digest(run, target->running_digest), service->image);
    } else if (indistinct) {
        target->proof = arena_printf(run->arena,
            "App Runner service '%s' went back to an earlier image of '%s': it does not tell which",
            service->name, service->image);
    } else if (!runs) {
        target->proof = arena_printf(
            run->arena, "App Runner service '%s' is %s", service->name, service->status);
    } else if (!ended_well) {
        target->proof = arena_printf(run->arena,
            "the last operation of App Runner service '%s' is %s", service->name, last->status);
    } else {
        target->proof =
            arena_printf(run->arena, "App Runner service '%s' runs %s%s%s%s", service->name,
                short_digest(run, digest), pinned ? "" : ", which the tag of its image means now",
                last != NULL ? ", operation " : "", last != NULL ? last->id : "");
    }
    bool superseded = !same && !ours && !taken_back;
    if (superseded) {
        give_up_to(run, target, service, last);
    }
}

struct error *
apprunner_prove(const struct step_run *run, struct deployment_target *target, const char *digest)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct apprunner_service service = {0};
    struct apprunner_operation *list = NULL;
    const char *running = NULL;
    size_t count = 0;
    target->proven = false;
    TRY(apprunner_look_at(run, target, scratch, &service));
    TRY(apprunner_operations(run, service.arn, NULL, scratch, &list, &count));
    if (service.image == NULL) {
        target->proof = "it is not made from an image any more";
        return NULL;
    }
    TRY(apprunner_image_digest(run, service.image, scratch, &running));
    (void)target_set_text(run->arena, &target->running_digest, running);
    judge(run, target, &service, last_change(list, count), digest);
    return NULL;
}
