// Step "migrate": a one-off task on the new image, with the service's network, before anything is
// rolled out. It is started once: its client token is made of the CI job and the digest, so that
// neither a killed process nor a re-run of the job migrates twice. Nothing can take it back.
#include <string.h>

#include "dispatcher/memory.h"
#include "one_off.h"
#include "target_ecs_internal.h"

enum {
    POLL_MS = 3000,
    LOST_MS = 5 * 60 * 1000,
    STOP_MS = 3 * 60 * 1000, // ECS kills what does not stop within two minutes
    TRIES_MAX = 20,
    REASON_MAX = 400,
    STARTED_BY_MAX = 128,
};

static struct deployment_target *
target_of(const struct deployment *d)
{
    for (size_t i = 0; i < d->targets.count; i++) {
        struct deployment_target *target = deployment_target_at(d, i);
        if (target->service >= 0 &&
            cstr_equal(
                deployment_service_at(d, (size_t)target->service)->name, d->migrate.service)) {
            return target;
        }
    }
    BUG_ON(true); // settings_resolve lets no other service through
}

static void
describe(const struct deployment *d, const struct deployment_step *step, struct buf *out)
{
    char limit[32];
    (void)step;
    clock_format_duration(d->migrate.timeout_ms, limit);
    buf_puts(out, "run '");
    for (size_t i = 0; i < d->migrate.command.count; i++) {
        buf_printf(out, "%s%s", i > 0 ? " " : "", d->migrate.command.items[i]);
    }
    buf_printf(out, "' once on the image of '%s', %s at most", d->migrate.service, limit);
}

// --- starting ------------------------------------------------------------------------------------

// The same revision that is rolled out afterwards: only one is registered a deployment.
static struct error *
choose_revision(
    const struct step_run *run, struct deployment_target *target, const struct ecs_service *service)
{
    struct deployment_migration *migrate = &run->deployment->migrate;
    bool is_ecs = strcmp(target->want.kind, target_ecs.kind) == 0;
    if (target->want.force_new_deployment) {
        TRY(target_ecs_check_forced(run, target, service->task_definition));
        migrate->task_definition = arena_dup(run->arena, service->task_definition);
        return NULL;
    }
    if (!is_ecs) { // the revisions of Express Mode are ECS' own: this one is for the task alone
        return target_ecs_revision(
            run, target, service->task_definition, &migrate->task_definition);
    }
    if (target->forward.revision == NULL) {
        TRY(target_ecs_revision(run, target, service->task_definition, &target->forward.revision));
    }
    migrate->task_definition = target->forward.revision;
    return NULL;
}

static struct error *
choose_container(const struct step_run *run, const struct deployment_target *target,
    struct arena *arena, const char **out)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct aws_session *aws = NULL;
    struct ecs_task_definition definition CLEANUP(ecs_task_definition_done) = {0};
    const char *name = NULL;
    TRY(provider_aws(run->context, run->deployment, &aws));
    TRY(ecs_task_definition_get(
        aws, run->deployment->migrate.task_definition, scratch, &definition));
    if (definition.arn == NULL) {
        return error_new(ERROR_CONFLICT, "task definition '%s' does not exist any more",
            run->deployment->migrate.task_definition);
    }
    TRY(ecs_task_definition_image(definition.document, target->want.container, &name, NULL));
    *out = arena_dup(arena, name);
    return NULL;
}

static struct str_list
copy_list(struct arena *arena, const struct str_list *list)
{
    const char **items = arena_array(arena, list->count, sizeof(*items));
    for (size_t i = 0; i < list->count; i++) {
        items[i] = arena_dup(arena, list->items[i]);
    }
    return (struct str_list){items, list->count};
}

// The same step, for what must live as long as the pace.
static struct step_run
keeping(const struct step_run *run)
{
    struct step_run kept = *run;
    kept.arena = pace_arena(run->context->pace);
    return kept;
}

static const char *
token_of(const struct step_run *run, const struct deployment_target *target, int try)
{
    const struct deployment *d = run->deployment;
    const struct deployment_service *service = deployment_service_at(d, (size_t)target->service);
    const char *const parts[] = {
        d->claim_key, service->digest, "migrate", arena_printf(run->arena, "%d", try)};
    return one_off_token(run->arena, parts, ARRAY_LENGTH(parts));
}

// What is followed by this process: made anew by each. It lives as long as the pace, which the
// deployment's arena may not.
static struct error *
take_up(const struct step_run *run, const struct deployment_target *target)
{
    const struct deployment_migration *migrate = &run->deployment->migrate;
    struct arena *arena = pace_arena(run->context->pace);
    struct one_off *task = arena_alloc(arena, sizeof(*task));
    *task = (struct one_off){
        .cluster = arena_dup(arena, target_cluster(target)),
        .task_definition = arena_dup(arena, migrate->task_definition),
        .command = copy_list(arena, &migrate->command),
        .task = arena_dup(arena, migrate->task),
    };
    TRY(choose_container(run, target, arena, &task->container));
    run->context->pace->one_off = task;
    run->context->pace->one_off_mono_ms = clock_mono(run->context->platform->clock);
    return NULL;
}

// The token belongs to a task of an earlier attempt of the same CI job. One that has failed, or
// that nobody knows any more, is not in the way of another.
static struct error *
look_at_earlier(const struct step_run *run, struct one_off *task, bool *usable)
{
    struct one_off earlier = *task;
    *usable = false;
    if (task->found.count == 0) {
        return NULL;
    }
    earlier.task = task->found.items[task->found.count - 1];
    earlier.has_log = true; // its lines are not of this try
    const struct step_run kept = keeping(run);
    TRY(one_off_look(&kept, &earlier));
    if (cstr_equal(earlier.outcome, "failed") || cstr_equal(earlier.outcome, "unknown")) {
        return NULL;
    }
    *usable = true;
    task->task = earlier.task;
    context_emit_text(run->context, run->deployment, DEPLOY_EVENT_NOTE,
        arena_printf(run->arena,
            "task %s of an earlier attempt of this CI job %s: it is not run again",
            target_short(task->task), earlier.outcome != NULL ? "has migrated" : "is at it"));
    return NULL;
}

static struct error *
start_once(const struct step_run *run, const struct deployment_target *target, struct one_off *task)
{
    bool usable = false;
    for (int try = 1; try <= TRIES_MAX; try++) {
        task->client_token = arena_dup(pace_arena(run->context->pace), token_of(run, target, try));
        const struct step_run kept = keeping(run);
        TRY(one_off_start(&kept, task));
        if (task->task != NULL) {
            return NULL;
        }
        TRY(look_at_earlier(run, task, &usable));
        if (usable) {
            return NULL;
        }
    }
    return error_new(
        ERROR_CONFLICT, "%d attempts of this CI job have failed to migrate", (int)TRIES_MAX);
}

// A refusal is definite: there is no task, and what is to be restored may be. Unless an earlier
// request is `open`: then only ECS' own word about the task is, since it knows the token.
static struct error *
not_started(struct deployment_migration *migrate, bool open, struct error *err)
{
    enum error_kind kind = error_kind(err);
    if (kind == ERROR_CANCELLED) {
        return err;
    }
    if (error_remote_of(err)->request_left || (open && kind != ERROR_REFUSED)) {
        return error_wrap_as(ERROR_UNKNOWN, err, "whether the one-off task was started is unknown");
    }
    migrate->state = "failed";
    return error_wrap(err, "the one-off task could not be started");
}

static struct error *
begin(const struct step_run *run, struct deployment_target *target)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct deployment_migration *migrate = &run->deployment->migrate;
    struct ecs_service service = {0};
    bool open = cstr_equal(migrate->state, "intent");
    TRY(target_ecs_service(run, target, scratch, &service));
    if (migrate->task_definition == NULL) {
        TRY(choose_revision(run, target, &service));
    }
    TRY(take_up(run, target));
    struct one_off *task = run->context->pace->one_off;
    struct arena *arena = pace_arena(run->context->pace);
    one_off_use_service(task, &service, arena);
    task->started_by =
        arena_printf(arena, "dispatcher/%.*s", STARTED_BY_MAX - 16, run->deployment->id);
    migrate->state = "intent";
    TRY(engine_save(run, "waiting", NULL));
    struct error *err = start_once(run, target, task);
    if (err != NULL) {
        return not_started(migrate, open, err);
    }
    migrate->task = arena_dup(run->arena, task->task);
    migrate->state = "running";
    migrate->started_ms = clock_wall(run->context->platform->clock);
    return engine_save(run, "waiting", NULL);
}

// --- following -----------------------------------------------------------------------------------

static int64_t
now_ms(const struct step_run *run)
{
    return clock_mono(run->context->platform->clock);
}

static void
wait_more(const struct step_run *run, const struct one_off *task, struct step_result *out)
{
    int64_t poll = now_ms(run) + context_tuning_ms(run->context, "DISPATCHER_POLL_MS", POLL_MS);
    out->outcome = STEP_WAIT;
    out->until_ms = task->drain_mono_ms != 0 ? task->drain_mono_ms : poll;
}

static struct error *
fail(const struct step_run *run, const char *state, enum error_kind kind)
{
    const struct deployment_migration *migrate = &run->deployment->migrate;
    run->deployment->migrate.state = state;
    return error_hint(error_new(kind, "the one-off task of '%s' %s: %s", migrate->service,
                          kind == ERROR_UNKNOWN ? "is lost" : "failed", migrate->reason),
        "It was task %s, of %s.", target_short(migrate->task),
        target_short(migrate->task_definition));
}

static struct error *
end(const struct step_run *run, const struct one_off *task, struct step_result *out)
{
    struct deployment_migration *migrate = &run->deployment->migrate;
    bool is_late = migrate->reason != NULL;
    char took[32];
    migrate->has_exit_code = task->has_exit_code;
    migrate->exit_code = task->exit_code;
    migrate->ended_ms = clock_wall(run->context->platform->clock);
    if (strcmp(task->outcome, "succeeded") == 0) {
        migrate->reason = NULL;
        migrate->state = "succeeded";
        clock_format_duration(migrate->ended_ms - migrate->started_ms, took);
        out->outcome = STEP_DONE;
        out->note = arena_printf(run->arena, "exit code 0 after %s", took);
        return NULL;
    }
    migrate->reason = is_late ? arena_printf(run->arena, "%s; %s", migrate->reason, task->reason)
                              : arena_dup(run->arena, task->reason);
    return strcmp(task->outcome, "failed") == 0 ? fail(run, "failed", ERROR_REFUSED)
                                                : fail(run, "unknown", ERROR_UNKNOWN);
}

static struct error *
check_time(const struct step_run *run, const struct one_off *task)
{
    struct deployment_migration *migrate = &run->deployment->migrate;
    int64_t followed = now_ms(run) - run->context->pace->one_off_mono_ms;
    char limit[32];
    if (followed < migrate->timeout_ms) {
        return NULL;
    }
    if (migrate->reason == NULL) {
        clock_format_duration(migrate->timeout_ms, limit);
        migrate->reason =
            arena_printf(run->arena, "it was stopped: it had not ended after %s", limit);
        struct error *err = one_off_stop(run, task, "dispatcher: out of time");
        return err != NULL
                   ? error_wrap_as(ERROR_UNKNOWN, err,
                         "the one-off task had not ended after %s and cannot be stopped", limit)
                   : NULL;
    }
    if (followed >= migrate->timeout_ms + STOP_MS) {
        migrate->reason = arena_printf(run->arena, "%s, and still has not", migrate->reason);
        return fail(run, "unknown", ERROR_UNKNOWN);
    }
    return NULL;
}

// ECS answers again later, as a rule; the task goes on meanwhile.
static struct error *
bear(const struct step_run *run, struct error *err)
{
    struct deploy_context *context = run->context;
    enum error_kind kind = error_kind(err);
    if (kind == ERROR_CANCELLED || kind == ERROR_STORAGE) {
        return err;
    }
    if (context->pace->unseen_mono_ms == 0) {
        context->pace->unseen_mono_ms = now_ms(run);
    }
    if (kind != ERROR_UNAVAILABLE || now_ms(run) - context->pace->unseen_mono_ms >= LOST_MS) {
        return error_wrap_as(ERROR_UNKNOWN, err, "the one-off task cannot be followed any more");
    }
    error_free(err);
    return NULL;
}

static struct error *
follow(const struct step_run *run, struct step_result *out)
{
    struct one_off *task = run->context->pace->one_off;
    const struct step_run kept = keeping(run);
    struct error *err = one_off_look(&kept, task);
    if (err != NULL) {
        TRY(bear(run, err));
    } else {
        run->context->pace->unseen_mono_ms = 0;
    }
    if (task->outcome != NULL) {
        return end(run, task, out);
    }
    TRY(check_time(run, task));
    wait_more(run, task, out);
    return NULL;
}

static struct error *
run_migrate(const struct step_run *run, struct step_result *out)
{
    struct deployment_migration *migrate = &run->deployment->migrate;
    struct deployment_target *target = target_of(run->deployment);
    if (cstr_equal(migrate->state, "failed") && migrate->task != NULL) {
        return fail(run, "failed", ERROR_REFUSED);
    }
    if (migrate->task == NULL) {
        TRY(begin(run, target));
    }
    if (run->context->pace->one_off == NULL) {
        TRY(take_up(run, target));
    }
    migrate->state = "running";
    return follow(run, out);
}

const struct step_ops step_migrate = {"migrate", describe, run_migrate, NULL};
