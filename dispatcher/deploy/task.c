// A command that is run once beside a service: a one-off task of ECS with the task definition that
// the service runs now, in its network. Nothing is deployed, nothing is journalled, and what the
// task has done is never taken back (docs/decisions/0018-exit-codes-of-tasks.md).
#include <string.h>

#include "dispatcher/memory.h"
#include "one_off.h"
#include "running.h"

enum {
    POLL_MS = 3000,
    LOST_MS = 5 * 60 * 1000, // how long errors that pass are borne
    STOP_MS = 3 * 60 * 1000, // ECS kills what does not stop within two minutes
    REASON_MAX = 600,
};

struct running_task {
    struct step_run run; // of the view
    const struct deploy_task_request *request;
    const struct deployment_target *target;
    struct one_off task;
    const char *late; // why it was stopped, or NULL
    int64_t since_mono_ms, unseen_mono_ms;
    bool told_log;
};

static void
tell(const struct running_task *running, enum deploy_event_kind kind, const char *text)
{
    context_emit_text(running->run.context, running->run.deployment, kind,
        context_clean(running->run.arena, text, REASON_MAX));
}

static const char *
short_name(const char *arn)
{
    const char *slash = strrchr(arn, '/');
    return slash != NULL ? slash + 1 : arn;
}

static int64_t
now_ms(const struct running_task *running)
{
    return clock_mono(running->run.context->platform->clock);
}

// --- beside which service ------------------------------------------------------------------------

static struct error *
choose_target(struct running_task *running)
{
    const struct deployment *d = running->run.deployment;
    struct buf names CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    size_t count = 0;
    for (size_t i = 0; i < d->targets.count; i++) {
        const struct deployment_target *target = deployment_target_at(d, i);
        if (running_is_ecs(target)) {
            running->target = target;
            buf_printf(&names, "%s'%s'", count++ > 0 ? ", " : "", target->name);
        }
    }
    if (count == 1) {
        return NULL;
    }
    if (count > 1) {
        return error_hint(
            error_new(ERROR_USAGE, "beside which service of '%s' is it to run?", d->app),
            "Say which with --service: %s.", buf_cstr(&names));
    }
    struct error *err =
        running->request->service != NULL
            ? error_new(ERROR_USAGE, "'%s' of '%s' does not run on ECS in '%s'",
                  running->request->service, d->app, d->env)
            : error_new(ERROR_USAGE, "no service of '%s' runs on ECS in '%s'", d->app, d->env);
    return error_hint(err, "Only ECS runs one-off tasks; App Runner has none.");
}

static struct error *
choose_container(struct running_task *running)
{
    const struct step_run *run = &running->run;
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct ecs_task_definition definition CLEANUP(ecs_task_definition_done) = {0};
    struct aws_session *aws = NULL;
    const char *asked = running->request->container, *name = NULL;
    asked = asked != NULL ? asked : running->target->want.container;
    TRY(provider_aws(run->context, run->deployment, &aws));
    TRY(ecs_task_definition_get(aws, running->task.task_definition, scratch, &definition));
    if (definition.arn == NULL) {
        return error_new(ERROR_CONFLICT, "task definition '%s' does not exist any more",
            running->task.task_definition);
    }
    struct error *err = ecs_task_definition_image(definition.document, asked, &name, NULL);
    if (err != NULL) {
        return running->request->container != NULL ? error_wrap_as(ERROR_USAGE, err, "--container")
                                                   : err;
    }
    running->task.container = arena_dup(run->arena, name);
    return NULL;
}

static struct error *
prepare(struct running_task *running)
{
    const struct step_run *run = &running->run;
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct ecs_service service = {0};
    char hex[33];
    TRY(running_ecs_service(run, running->target, scratch, &service));
    if (service.task_definition == NULL) {
        return error_new(ERROR_REFUSED, "service '%s' has no task definition: '%s' deploys it",
            running->target->want.service,
            service.controller != NULL ? service.controller : "something else");
    }
    random_hex(run->context->platform->random, 16, hex);
    running->task = (struct one_off){
        .cluster =
            running->target->want.cluster != NULL ? running->target->want.cluster : "default",
        .task_definition = arena_dup(run->arena, service.task_definition),
        .command = running->request->command,
        .started_by = arena_printf(run->arena, "dispatcher/task/%s", hex),
        .client_token = arena_dup(run->arena, hex), // a lost answer is asked for again, once more
    };
    one_off_use_service(&running->task, &service, run->arena);
    if (service.classic_count > 1 || service.current_deployment != NULL) {
        tell(running, DEPLOY_EVENT_NOTE,
            arena_printf(scratch,
                "'%s' is being deployed: the task runs on '%s', which is rolled out",
                running->target->name, short_name(service.task_definition)));
    }
    return choose_container(running);
}

// --- its life ------------------------------------------------------------------------------------

// A request that has left may have been heard.
static struct error *
not_started(const struct one_off *task, struct error *err)
{
    if (!error_remote_of(err)->request_left) {
        return error_wrap(err, "the task could not be started");
    }
    static const char unknown[] = "whether the task was started is not known";
    err = error_kind(err) == ERROR_CANCELLED ? error_wrap(err, "%s", unknown)
                                             : error_wrap_as(ERROR_UNKNOWN, err, "%s", unknown);
    return error_hint(err, "'aws ecs list-tasks --cluster %s --started-by %s' shows it if it was.",
        task->cluster, task->started_by);
}

static struct error *
start(struct running_task *running, struct deploy_task *out)
{
    struct one_off *task = &running->task;
    struct error *err = one_off_start(&running->run, task);
    if (err != NULL) {
        return not_started(task, err);
    }
    if (task->task == NULL) { // the token is ours alone
        return error_new(ERROR_UNAVAILABLE, "ECS says that the task was started before");
    }
    out->task = task->task;
    out->started_ms = clock_wall(running->run.context->platform->clock);
    running->since_mono_ms = now_ms(running);
    tell(running, DEPLOY_EVENT_NOTE,
        arena_printf(running->run.arena, "task %s of '%s' is started", short_name(task->task),
            short_name(task->task_definition)));
    return NULL;
}

// Its lines may be elsewhere.
static void
tell_log(struct running_task *running)
{
    const struct one_off *task = &running->task;
    if (!running->told_log && task->has_log && task->log_stream == NULL) {
        tell(running, DEPLOY_EVENT_NOTE,
            arena_printf(running->run.arena,
                "what container '%s' writes cannot be shown: it does not log to CloudWatch with "
                "'awslogs' and a stream prefix",
                task->container));
    }
    running->told_log = running->told_log || task->has_log;
}

static struct error *
check_time(struct running_task *running)
{
    int64_t followed = now_ms(running) - running->since_mono_ms;
    int64_t limit_ms = running->request->timeout_ms;
    char limit[32];
    if (running->task.outcome != NULL || followed < limit_ms) {
        return NULL;
    }
    clock_format_duration(limit_ms, limit);
    if (running->late == NULL) {
        running->late = arena_printf(
            running->run.arena, "it was stopped because it had not ended after %s", limit);
        tell(running, DEPLOY_EVENT_WARNING,
            arena_printf(
                running->run.arena, "the task has not ended after %s: it is stopped", limit));
        return one_off_stop(&running->run, &running->task, "dispatcher: out of time");
    }
    if (followed >= limit_ms + STOP_MS) {
        running->task.outcome = "unknown";
        running->task.reason = "ECS was told to stop it, and it has not stopped";
    }
    return NULL;
}

// It goes on meanwhile, and ECS answers again later, as a rule.
static struct error *
bear(struct running_task *running, struct error *err)
{
    if (err == NULL || error_kind(err) == ERROR_CANCELLED) {
        return err;
    }
    if (running->unseen_mono_ms == 0) {
        char *text CLEANUP(xfreep) = error_text(err);
        tell(running, DEPLOY_EVENT_WARNING, text);
        running->unseen_mono_ms = now_ms(running);
    }
    if (error_kind(err) != ERROR_UNAVAILABLE ||
        now_ms(running) - running->unseen_mono_ms >= LOST_MS) {
        return error_hint(error_wrap_as(ERROR_UNKNOWN, err, "task %s cannot be followed any more",
                              short_name(running->task.task)),
            "It may go on: 'aws ecs describe-tasks --cluster %s --tasks %s' shows it.",
            running->task.cluster, short_name(running->task.task));
    }
    error_free(err);
    return NULL;
}

static struct error *
follow(struct running_task *running)
{
    const struct platform *platform = running->run.context->platform;
    int64_t pause = context_tuning_ms(running->run.context, "DISPATCHER_POLL_MS", POLL_MS);
    for (;;) {
        struct error *err = one_off_look(&running->run, &running->task);
        tell_log(running);
        running->unseen_mono_ms = err == NULL ? 0 : running->unseen_mono_ms;
        TRY(bear(running, err));
        TRY(bear(running, check_time(running)));
        if (running->task.outcome != NULL) {
            return NULL;
        }
        int64_t drain_ms = running->task.drain_mono_ms;
        int64_t next = drain_ms != 0 ? drain_ms : now_ms(running) + pause;
        TRY(clock_sleep_until(platform->clock, next, platform->cancel));
    }
}

// The first signal: the task ends with the command that started it, unless it is to go on. The flag
// is lowered for the one request, and up again for the exit code.
static struct error *
interrupted(struct running_task *running, struct error *err)
{
    struct cancel *cancel = running->run.context->platform->cancel;
    const char *id = short_name(running->task.task), *cluster = running->task.cluster;
    int signal = cancel_signal(cancel);
    if (running->request->leave) {
        return error_hint(error_wrap(err, "task %s goes on", id),
            "'aws ecs stop-task --cluster %s --task %s' stops it.", cluster, id);
    }
    cancel_clear(cancel);
    struct error *stop = one_off_stop(&running->run, &running->task, "dispatcher: interrupted");
    cancel_raise(cancel, signal);
    if (stop == NULL) {
        return error_wrap(err, "task %s was told to stop", id);
    }
    char *why CLEANUP(xfreep) = error_text(stop);
    error_free(stop);
    return error_hint(error_wrap(err, "task %s could not be stopped: %s", id, why),
        "'aws ecs stop-task --cluster %s --task %s' stops it.", cluster, id);
}

// --- its end -------------------------------------------------------------------------------------

// What a task that failed has done stays done: nothing here can take it back.
static void
conclude(const struct running_task *running, struct deploy_task *out)
{
    const struct one_off *task = &running->task;
    struct arena *arena = running->run.arena;
    out->outcome = task->outcome;
    out->has_exit_code = task->has_exit_code;
    out->exit_code = task->exit_code;
    out->ended_ms = clock_wall(running->run.context->platform->clock);
    if (strcmp(task->outcome, "succeeded") == 0) {
        return;
    }
    bool is_unknown = strcmp(task->outcome, "failed") != 0;
    bool never_ran = !is_unknown && !task->has_exit_code && task->never_started;
    out->outcome = never_ran ? "not-started" : task->outcome;
    out->kind = is_unknown ? ERROR_UNKNOWN : never_ran ? ERROR_REFUSED : ERROR_NOT_RESTORED;
    out->reason = running->late != NULL ? arena_printf(arena, "%s; %s", running->late, task->reason)
                                        : task->reason;
}

struct error *
deploy_task_run(struct deploy_context *context, const struct deploy_request *request,
    const struct deploy_task_request *task, struct arena *arena, struct diagnostics *diagnostics,
    struct deploy_task *out)
{
    struct running view = {0};
    struct deploy_task result = {0};
    TRY(running_open(context, request, task->service, arena, diagnostics, &view));
    struct running_task running = {
        .run = {.context = context, .arena = arena, .deployment = view.deployment},
        .request = task,
    };
    TRY(choose_target(&running));
    TRY(prepare(&running));
    result.service = running.target->name;
    result.task_definition = running.task.task_definition;
    TRY(start(&running, &result));
    struct error *err = follow(&running);
    if (err != NULL) {
        return error_kind(err) == ERROR_CANCELLED ? interrupted(&running, err) : err;
    }
    conclude(&running, &result);
    *out = result;
    return NULL;
}
