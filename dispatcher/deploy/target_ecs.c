// Target "ecs": a service that ECS deploys itself. A revision of its task definition, with the
// image pinned to the digest, is rolled out by UpdateService, which is sent the revision and
// nothing else.
#include "target_ecs_internal.h"

#include <string.h>

#include "dispatcher/memory.h"

enum { READ_BACK_PAUSE_MS = 2000, READ_BACKS = 2 };

// --- looking -----------------------------------------------------------------------------------

static const char *
tag_of(const struct ecs_task_definition *definition, const char *key, struct arena *arena)
{
    for (size_t i = 0; i < json_count(definition->tags); i++) {
        const struct json *tag = json_at(definition->tags, i);
        if (cstr_equal(json_str(json_get(tag, "key")), key)) {
            return context_clean(arena, json_str(json_get(tag, "value")), 160);
        }
    }
    return NULL;
}

void
target_ecs_note_service(const struct step_run *run, const struct deployment_target *target,
    const struct ecs_service *service)
{
    bool is_rolling = strcmp(target->want.kind, target_ecs.kind) == 0 &&
                      (service->strategy == NULL || strcmp(service->strategy, "ROLLING") == 0);
    bool is_rollback = cstr_equal(run->deployment->verb, "rollback"); // whose plan says it
    if (service->current_deployment != NULL && !is_rollback) {
        deployment_note(run->deployment, run->arena,
            arena_printf(run->arena,
                "'%s': a deployment of service '%s' is under way; ours will supersede it",
                target->name, service->name));
    }
    if (is_rolling && !service->breaker_enabled) {
        deployment_note(run->deployment, run->arena,
            arena_printf(run->arena,
                "warning: '%s': the deployment circuit breaker of service '%s' is off, so a crash "
                "loop ends only at our own time limit",
                target->name, service->name));
    } else if (is_rolling && !service->breaker_rolls_back) {
        deployment_note(run->deployment, run->arena,
            arena_printf(run->arena,
                "'%s': the deployment circuit breaker of service '%s' does not roll back by itself",
                target->name, service->name));
    }
}

static const char *
describe_before(const struct step_run *run, const struct deployment_target *target, int64_t running)
{
    const char *version = target->before_version;
    return arena_printf(run->arena, "replaces %s (%s%s%s%lld task%s)", target_short(target->before),
        version != NULL ? "'" : "", version != NULL ? version : "", version != NULL ? "', " : "",
        (long long)running, running == 1 ? "" : "s");
}

// Which container is ours is settled here, once for all: an ambiguity must not show up half way.
static struct error *
look_at_definition(const struct step_run *run, struct deployment_target *target)
{
    struct aws_session *aws = NULL;
    struct ecs_task_definition definition CLEANUP(ecs_task_definition_done) = {0};
    const char *container = NULL, *image = NULL;
    TRY(provider_aws(run->context, run->deployment, &aws));
    TRY(ecs_task_definition_get(aws, target->before, run->arena, &definition));
    if (definition.arn == NULL) {
        return error_new(ERROR_CONFLICT, "task definition '%s' of service '%s' does not exist",
            target->before, target->want.service);
    }
    struct error *err =
        ecs_task_definition_image(definition.document, target->want.container, &container, &image);
    if (err != NULL) {
        return error_wrap(err, "service '%s'", target->want.service);
    }
    target->want.container = arena_dup(run->arena, container);
    target->before_version = tag_of(&definition, TARGET_TAG_VERSION, run->arena);
    target->before_digest = arena_dup(run->arena, target_image_digest(image));
    if (target->before_digest == NULL) {
        target->before_digest = target_ecs_common_digest(run, target);
    }
    return NULL;
}

static struct error *
look_at_service(
    const struct step_run *run, struct deployment_target *target, const struct ecs_service *service)
{
    if (service->task_definition == NULL) {
        return error_new(ERROR_CONFLICT, "service '%s' of cluster '%s' has no task definition",
            target->want.service, target_cluster(target));
    }
    target->arn = arena_dup(run->arena, service->arn);
    target->before = arena_dup(run->arena, service->task_definition);
    TRY(look_at_definition(run, target));
    target->note = describe_before(run, target, service->running);
    return NULL;
}

static struct error *
look(const struct step_run *run, struct deployment_target *target)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct ecs_service service = {0};
    if (target->service < 0) {
        const char *image = NULL;
        return target_image(run, target, &image);
    }
    TRY(target_ecs_service(run, target, scratch, &service));
    target_ecs_note_service(run, target, &service);
    return look_at_service(run, target, &service);
}

static void
describe(const struct deployment *d, const struct deployment_target *target, struct buf *out)
{
    (void)d;
    if (target->halts != NULL) {
        buf_printf(out, "stop what is being deployed to service '%s' of cluster '%s'",
            target->want.service, target_cluster(target));
    } else if (target->want.force_new_deployment) {
        buf_printf(out, "start the tasks of '%s' anew in service '%s' of cluster '%s'",
            target->name, target->want.service, target_cluster(target));
    } else {
        buf_printf(out, "roll out '%s' to service '%s' of cluster '%s'", target->name,
            target->want.service, target_cluster(target));
    }
}

// --- asking ------------------------------------------------------------------------------------

struct error *
target_ecs_intend(
    const struct step_run *run, const struct target_move *at, const struct ecs_service *before)
{
    struct aws_session *aws = NULL;
    struct deployment_move *move = at->move;
    const struct ecs_classic *primary = target_ecs_primary(before);
    TRY(provider_aws(run->context, run->deployment, &aws));
    move->earlier_id = arena_dup(run->arena, before->current_deployment);
    move->earlier_classic = primary != NULL ? arena_dup(run->arena, primary->id) : NULL;
    move->asked_ms = target_now_ms(run, aws);
    move->state = "intent";
    return engine_save(run, "waiting", NULL);
}

// The new deployment as the service shows it; NULL while it shows none.
static const struct ecs_classic *
find_new(
    const struct deployment_move *move, const char *revision, const struct ecs_service *service)
{
    const struct ecs_classic *primary = target_ecs_primary(service);
    bool is_new = primary != NULL && !cstr_equal(primary->id, move->earlier_classic);
    bool is_ours = is_new && (revision == NULL || cstr_equal(primary->task_definition, revision));
    return is_ours ? primary : NULL;
}

static struct error *
take_new(const struct step_run *run, struct deployment_move *move, const struct ecs_classic *found)
{
    if (found != NULL) {
        move->classic_id = arena_dup(run->arena, found->id);
        move->asked_ms = found->created_ms > 0 ? found->created_ms : move->asked_ms;
    }
    move->state = "sent";
    return engine_save(run, "waiting", NULL);
}

struct error *
target_ecs_sent(
    const struct step_run *run, const struct target_move *at, const struct ecs_service *after)
{
    // What an Express service is moved to is no task definition.
    bool is_ecs = strcmp(at->target->want.kind, target_ecs.kind) == 0;
    const char *revision = is_ecs ? at->move->revision : NULL;
    return take_new(run, at->move, after != NULL ? find_new(at->move, revision, after) : NULL);
}

// One that has come and gone already: rolled back, as a rule. Without the permission to list them
// it cannot be seen.
static struct error *
find_ended(const struct step_run *run, const struct target_move *at, bool *found)
{
    struct aws_session *aws = NULL;
    struct target_sight sight = {.at = at};
    TRY(provider_aws(run->context, run->deployment, &aws));
    TRY(target_ecs_find(run, aws, &sight, 1));
    *found = at->move->id != NULL;
    return NULL;
}

struct error *
target_ecs_was_asked(
    const struct step_run *run, const struct target_move *at, const char *revision, bool *asked)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct ecs_service service = {0};
    bool ended = false;
    TRY(target_ecs_describe(run, at->target, scratch, &service));
    const struct ecs_classic *found = find_new(at->move, revision, &service);
    if (found == NULL) {
        TRY(find_ended(run, at, &ended));
    }
    *asked = found != NULL || ended;
    return *asked ? take_new(run, at->move, found) : NULL;
}

// A lost answer is looked into: what has not shown after two looks was not done.
struct error *
target_ecs_settle_doubt(const struct step_run *run, const struct target_move *at, const char *what,
    struct error *(*check)(
        const struct step_run *run, const struct target_move *at, const char *what, bool *asked),
    struct error *err)
{
    const struct platform *platform = run->context->platform;
    int64_t pause = context_tuning_ms(run->context, "DISPATCHER_READ_BACK_MS", READ_BACK_PAUSE_MS);
    bool asked = false;
    if (error_kind(err) == ERROR_CANCELLED || !error_remote_of(err)->request_left) {
        return err;
    }
    for (int reads = 0; reads < READ_BACKS && !asked; reads++) {
        struct error *unread = clock_sleep_until(
            platform->clock, clock_mono(platform->clock) + pause, platform->cancel);
        if (unread == NULL) {
            unread = check(run, at, what, &asked);
        }
        if (unread != NULL) {
            error_free(err);
            bool is_told =
                error_kind(unread) == ERROR_CANCELLED || error_kind(unread) == ERROR_STORAGE;
            return is_told ? unread
                           : error_wrap_as(ERROR_UNKNOWN, unread,
                                 "whether service '%s' was changed is unknown",
                                 at->target->want.service);
        }
    }
    if (asked) {
        error_free(err);
        return NULL;
    }
    return err;
}

static struct error *
send(const struct step_run *run, const struct target_move *at, const struct ecs_service *before,
    bool force)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct aws_session *aws = NULL;
    struct ecs_service after = {0};
    const struct ecs_service_change change = {
        .cluster = target_cluster(at->target),
        .service = at->target->want.service,
        .task_definition = at->move->revision,
        .force = force,
    };
    TRY(provider_aws(run->context, run->deployment, &aws));
    TRY(target_ecs_intend(run, at, before));
    struct error *err = ecs_service_update(aws, &change, scratch, &after);
    return err != NULL
               ? target_ecs_settle_doubt(run, at, at->move->revision, target_ecs_was_asked, err)
               : target_ecs_sent(run, at, &after);
}

// --- forward -----------------------------------------------------------------------------------

// Somebody changed it between the plan and now: theirs is what runs before, and what is copied.
static struct error *
look_again(
    const struct step_run *run, struct deployment_target *target, const struct ecs_service *service)
{
    if (cstr_equal(service->task_definition, target->before)) {
        return NULL;
    }
    context_emit_text(run->context, run->deployment, DEPLOY_EVENT_WARNING,
        arena_printf(run->arena, "'%s' runs %s now, no longer %s as planned", target->name,
            target_short(service->task_definition), target_short(target->before)));
    target->forward.revision = NULL;
    return look_at_service(run, target, service);
}

static struct error *
begin_forward(
    const struct step_run *run, const struct target_move *at, const struct ecs_service *service)
{
    struct deployment_target *target = at->target;
    struct deployment_move *move = at->move;
    bool done = false, halted = false;
    if (target->halts != NULL) {
        TRY(target_ecs_halt(run, at, &halted));
    }
    if (halted) {
        return NULL;
    }
    TRY(look_again(run, target, service));
    move->digest = deployment_service_at(run->deployment, (size_t)target->service)->digest;
    if (target->want.force_new_deployment) {
        TRY(target_ecs_check_forced(run, target, service->task_definition));
        move->revision = arena_dup(run->arena, service->task_definition);
        return send(run, at, service, true);
    }
    if (move->revision == NULL) {
        TRY(target_ecs_revision(run, target, service->task_definition, &move->revision));
    }
    bool same = cstr_equal(move->revision, service->task_definition);
    if (same) {
        TRY(target_ecs_is_done(run, target, service, move->digest, &done));
    }
    if (done) {
        move->state = "nothing";
        return engine_save(run, "waiting", NULL);
    }
    return send(run, at, service, same);
}

// --- back --------------------------------------------------------------------------------------

// What somebody else has set it to since is not ours to take back.
static bool
is_somebody_elses(const struct deployment_target *target, const struct ecs_service *service)
{
    return !cstr_equal(service->task_definition, target->forward.revision) &&
           !cstr_equal(service->task_definition, target->before) &&
           !cstr_equal(service->task_definition, target->back.revision);
}

static struct error *
begin_back(
    const struct step_run *run, const struct target_move *at, const struct ecs_service *service)
{
    struct deployment_target *target = at->target;
    struct deployment_move *move = at->move;
    bool done = false;
    if (is_somebody_elses(target, service)) {
        move->state = "nothing";
        target_end_move(run, move, "superseded",
            arena_printf(run->arena, "somebody set the service to %s since",
                target_short(service->task_definition)));
        return engine_save(run, "waiting", NULL);
    }
    TRY(target_ecs_revision_before(run, target, &move->revision));
    bool same = cstr_equal(move->revision, service->task_definition);
    if (same) {
        TRY(target_ecs_is_done(run, target, service, move->digest, &done));
    }
    if (done) {
        move->state = "nothing";
        return engine_save(run, "waiting", NULL);
    }
    return send(run, at, service, same);
}

static struct error *
begin(const struct step_run *run, const struct target_move *at)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct ecs_service service = {0};
    bool asked = false;
    if (at->move->halting) { // killed before the answer: stopping twice is the same
        TRY(target_ecs_halt(run, at, &asked));
    } else if (cstr_equal(at->move->state, "intent")) {
        TRY(target_ecs_was_asked(run, at, at->move->revision, &asked));
    }
    if (asked) {
        return NULL;
    }
    TRY(target_ecs_service(run, at->target, scratch, &service));
    return at->move == &at->target->forward && at->move->state == NULL
               ? begin_forward(run, at, &service)
           : at->move == &at->target->forward
               ? send(run, at, &service, cstr_equal(at->move->revision, service.task_definition))
               : begin_back(run, at, &service);
}

const struct target_ops target_ecs = {
    .kind = "ecs",
    .look = look,
    .describe = describe,
    .begin = begin,
    .refresh = target_ecs_refresh,
    .prove = target_ecs_prove,
    .stop = target_ecs_stop,
    .explain = target_ecs_explain,
    .record = target_ecs_record,
    .release = target_ecs_release,
    .inspect = target_ecs_inspect,
};
