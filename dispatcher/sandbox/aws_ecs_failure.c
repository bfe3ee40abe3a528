// Deployments that end otherwise than well: tasks that fail and the circuit breaker that counts
// them, rollbacks, stops, and what scenarios do halfway.
#include <string.h>

#include "aws_ecs_internal.h"
#include "dispatcher/memory.h"

enum { BACKOFF_MAX_MS = 60000, EVERY = 1000000 };

static void
set_status(struct ecs_deployment *deployment, int64_t now_ms, const char *status)
{
    deployment->status = status;
    deployment->shown_status = NULL;
    deployment->updated_ms = now_ms;
}

// Nothing of its own happens to it any more.
static void
quiet(struct ecs_deployment *deployment)
{
    deployment->stage_end_ms = ECS_NEVER;
    deployment->failure_ms = ECS_NEVER;
    deployment->interrupt_ms = ECS_NEVER;
    deployment->waiting_for = NULL;
}

static void
fail_classic(struct ecs_classic *classic, int64_t now_ms, const char *reason)
{
    classic->state = "FAILED";
    classic->reason = reason;
    classic->updated_ms = now_ms;
}

void
sandbox_ecs_deployment_stopped(
    struct sandbox *sandbox, struct ecs_deployment *deployment, int64_t now_ms, const char *reason)
{
    (void)sandbox;
    quiet(deployment);
    set_status(deployment, now_ms, "STOPPED");
    deployment->reason = reason;
    deployment->stopped_ms = now_ms;
    deployment->finished_ms = now_ms;
    if (deployment->service->current == deployment) {
        deployment->service->current = NULL;
    }
}

void
sandbox_ecs_rollback_start(struct sandbox *sandbox, struct ecs_deployment *deployment,
    int64_t now_ms, const char *status_reason, const char *classic_reason)
{
    struct ecs_service *service = deployment->service;
    fail_classic(deployment->classic, now_ms, classic_reason);
    if (service->completed == NULL) {
        sandbox_ecs_deployment_stopped(sandbox, deployment, now_ms, status_reason);
        return;
    }
    quiet(deployment);
    set_status(deployment, now_ms, "ROLLBACK_REQUESTED");
    deployment->reason = status_reason;
    deployment->rollback_reason = status_reason;
    deployment->rollback_to = service->completed;
    deployment->interrupt_ms = now_ms + deployment->delay_ms / 10;
}

static const char *
id_of_revision(const struct ecs_service *service, const struct ecs_revision *revision)
{
    for (size_t i = 0; i < service->classic_count; i++) {
        if (service->classics[i]->revision == revision) {
            return service->classics[i]->id;
        }
    }
    return "ecs-svc/0";
}

// The old revision gets an entry of its own in `deployments`, which takes over what still runs.
static void
go_back(struct sandbox *sandbox, struct ecs_deployment *deployment, int64_t now_ms)
{
    struct ecs_service *service = deployment->service;
    const char *former = id_of_revision(service, deployment->rollback_to);
    struct ecs_classic *classic =
        sandbox_ecs_classic_add(sandbox, service, deployment->rollback_to, now_ms);
    classic->reason = arena_printf(sandbox->aws->ecs->arena,
        "ECS deployment circuit breaker: rolling back to deploymentId %s.", former);
    set_status(deployment, now_ms, "ROLLBACK_IN_PROGRESS");
    deployment->rollback_ms = now_ms;
    deployment->rollback_classic = classic;
    deployment->production = 0;
    deployment->test = 0;
    sandbox_ecs_service_restore(sandbox, service, deployment->rollback_to);
    service->updated_ms = now_ms;
    sandbox_ecs_service_event(sandbox, service, now_ms,
        "(service %s) rolling back to deployment %s.", service->name, former);
    for (size_t i = 0; i < service->live.count; i++) {
        struct ecs_task *task = service->live.items[i];
        task->classic = task->revision == deployment->rollback_to ? classic : task->classic;
    }
    sandbox_ecs_capacity_retire_but(sandbox, service, classic, now_ms, EVERY);
    int64_t run_at =
        deployment->course == ECS_ROLLBACK_FAILED ? ECS_NEVER : now_ms + deployment->delay_ms / 5;
    sandbox_ecs_capacity_fit(sandbox, service, now_ms, run_at);
    deployment->interrupt_ms = now_ms + deployment->delay_ms * 4 / 10;
}

static void
end_rollback(struct sandbox *sandbox, struct ecs_deployment *deployment, int64_t now_ms)
{
    struct ecs_service *service = deployment->service;
    struct ecs_classic *classic = deployment->rollback_classic;
    bool fails = deployment->course == ECS_ROLLBACK_FAILED;
    quiet(deployment);
    set_status(deployment, now_ms, fails ? "ROLLBACK_FAILED" : "ROLLBACK_SUCCESSFUL");
    deployment->finished_ms = now_ms;
    service->current = NULL;
    sandbox_ecs_classic_keep(service, classic);
    if (fails) {
        deployment->reason = sandbox_ecs_scenario_text(deployment->scenario, "rollback_reason",
            "Service deployment rollback failed: tasks of the previous revision failed to start.");
        fail_classic(classic, now_ms, "ECS deployment circuit breaker: tasks failed to start.");
        return;
    }
    classic->state = "COMPLETED";
    classic->reason =
        arena_printf(sandbox->aws->ecs->arena, "ECS deployment %s completed.", classic->id);
    classic->updated_ms = now_ms;
    sandbox_ecs_service_event(sandbox, service, now_ms,
        "(service %s) (deployment %s) deployment completed.", service->name, classic->id);
    sandbox_ecs_service_event(
        sandbox, service, now_ms, "(service %s) has reached a steady state.", service->name);
}

void
sandbox_ecs_rollback_next(
    struct sandbox *sandbox, struct ecs_deployment *deployment, int64_t now_ms)
{
    if (strcmp(deployment->status, "ROLLBACK_REQUESTED") == 0) {
        go_back(sandbox, deployment, now_ms);
    } else {
        end_rollback(sandbox, deployment, now_ms);
    }
}

static void
trip_breaker(struct sandbox *sandbox, struct ecs_deployment *deployment, int64_t now_ms)
{
    static const char reason[] = "ECS deployment circuit breaker: tasks failed to start.";
    struct ecs_service *service = deployment->service;
    deployment->breaker_tripped = true;
    sandbox_ecs_service_event(sandbox, service, now_ms,
        "(service %s) (deployment %s) deployment failed: tasks failed to start.", service->name,
        deployment->classic->id);
    if (!deployment->breaker_rolls_back) {
        sandbox_ecs_capacity_retire_of(sandbox, service, deployment->classic, now_ms, EVERY);
        fail_classic(deployment->classic, now_ms, reason);
        sandbox_ecs_deployment_stopped(sandbox, deployment, now_ms,
            "Service deployment stopped because the circuit breaker threshold was exceeded.");
    } else if (service->completed == NULL) {
        // No deployment to go back to: it starts no more tasks, and stays as it is.
        sandbox_ecs_capacity_retire_of(sandbox, service, deployment->classic, now_ms, EVERY);
        fail_classic(deployment->classic, now_ms, reason);
        quiet(deployment);
        deployment->updated_ms = now_ms;
    } else {
        sandbox_ecs_rollback_start(sandbox, deployment, now_ms,
            "Service deployment rolled back because the circuit breaker threshold was exceeded.",
            reason);
    }
}

// What keeps failing is tried ever more rarely.
static int64_t
next_failure(const struct ecs_deployment *deployment, int64_t now_ms)
{
    int64_t doublings = deployment->failures / deployment->threshold;
    int64_t wait = deployment->failure_every_ms << (doublings < 10 ? doublings : 10);
    int64_t most = deployment->failure_every_ms > BACKOFF_MAX_MS ? deployment->failure_every_ms
                                                                 : BACKOFF_MAX_MS;
    return now_ms + (wait < most ? wait : most);
}

void
sandbox_ecs_failure_next(struct sandbox *sandbox, struct ecs_deployment *deployment, int64_t now_ms)
{
    struct ecs_service *service = deployment->service;
    struct ecs_task *task = NULL;
    for (size_t i = 0; task == NULL && i < service->live.count; i++) {
        bool is_own = service->live.items[i]->classic == deployment->classic;
        task = is_own ? service->live.items[i] : NULL;
    }
    deployment->failure_ms = next_failure(deployment, now_ms);
    if (task == NULL) {
        return; // scaled to nothing
    }
    if (task->started_ms == 0 && !deployment->failing.never_ran) {
        sandbox_ecs_task_start(sandbox, task, now_ms);
    }
    sandbox_ecs_task_end(sandbox, task, now_ms, &deployment->failing);
    deployment->failures++;
    deployment->classic->failed++;
    deployment->updated_ms = now_ms;
    sandbox_ecs_service_event(sandbox, service, now_ms, "(service %s) (task %s) failed: %s",
        service->name, task->id,
        deployment->failing.container_reason != NULL ? deployment->failing.container_reason
                                                     : deployment->failing.stopped_reason);
    if (deployment->breaker_on && deployment->failures >= deployment->threshold) {
        trip_breaker(sandbox, deployment, now_ms);
        return;
    }
    deployment->failure_ms = next_failure(deployment, now_ms);
    int64_t run_at =
        deployment->failing.never_ran ? ECS_NEVER : now_ms + (deployment->failure_ms - now_ms) / 2;
    struct ecs_task *next =
        sandbox_ecs_capacity_add(sandbox, service, deployment->classic, now_ms, run_at);
    next->is_faulty = true;
    next->scenario = deployment->scenario;
}

static void
sound_alarm(struct sandbox *sandbox, struct ecs_deployment *deployment, int64_t now_ms)
{
    const struct json *names = json_get(deployment->scenario->options, "alarms");
    if (names == NULL) {
        names = json_path(deployment->configuration, "alarms.alarmNames");
    }
    if (names == NULL) {
        struct json *made = sandbox_ecs_keep(sandbox->aws->ecs, json_make_array());
        json_append(made, json_make_string("sandbox-alarm"));
        names = made;
    }
    deployment->triggered = names;
    const char *reason = arena_printf(sandbox->aws->ecs->arena,
        "Service deployment rolled back because a CloudWatch alarm was triggered: %s.",
        json_str(json_at(names, 0)) != NULL ? json_str(json_at(names, 0)) : "");
    sandbox_ecs_rollback_start(
        sandbox, deployment, now_ms, reason, "ECS deployment failed: alarm detected.");
}

static void
let_supersede(struct sandbox *sandbox, struct ecs_deployment *deployment, int64_t now_ms)
{
    struct ecs_service *service = deployment->service;
    const char *wanted = sandbox_ecs_scenario_text(deployment->scenario, "task_definition", NULL);
    struct ecs_definition *other = sandbox_ecs_definition_find(sandbox->aws->ecs, wanted);
    if (other == NULL && service->completed != NULL) {
        other = service->completed->definition;
    }
    service->definition = other != NULL ? other : service->definition;
    sandbox_ecs_deployment_start(sandbox, service, now_ms);
}

// A status of another age, for a while or for ever.
static void
show_unknown(struct ecs_deployment *deployment, int64_t now_ms)
{
    int64_t lasts = sandbox_ecs_scenario_ms(deployment->scenario, "for", -1);
    if (deployment->shown_status != NULL) {
        deployment->shown_status = NULL;
        deployment->interrupt_ms = ECS_NEVER;
        return;
    }
    deployment->shown_status =
        sandbox_ecs_scenario_text(deployment->scenario, "status", "HELD_FOR_REVIEW");
    deployment->updated_ms = now_ms;
    deployment->interrupt_ms = lasts >= 0 ? now_ms + lasts : ECS_NEVER;
    bool ends = lasts >= 0 && deployment->stage_end_ms != ECS_NEVER;
    deployment->stage_end_ms = ends ? deployment->stage_end_ms + lasts : ECS_NEVER;
}

void
sandbox_ecs_interrupt(struct sandbox *sandbox, struct ecs_deployment *deployment, int64_t now_ms)
{
    deployment->interrupt_ms = ECS_NEVER;
    switch (deployment->course) {
    case ECS_ALARM:
        sound_alarm(sandbox, deployment, now_ms);
        break;
    case ECS_STOPPED:
        sandbox_ecs_capacity_drop_pending(
            sandbox, deployment->service, deployment->classic, now_ms);
        fail_classic(deployment->classic, now_ms, "ECS deployment was stopped.");
        sandbox_ecs_deployment_stopped(sandbox, deployment, now_ms,
            sandbox_ecs_scenario_text(
                deployment->scenario, "reason", "Service deployment was stopped by a user."));
        break;
    case ECS_SUPERSEDED:
        let_supersede(sandbox, deployment, now_ms);
        break;
    case ECS_UNKNOWN_STATUS:
        show_unknown(deployment, now_ms);
        break;
    case ECS_SUCCESS:
    case ECS_BREAKER_ROLLBACK:
    case ECS_ROLLBACK_FAILED:
    case ECS_PAUSED_HOOK:
    case ECS_NO_DEPLOYMENT:
    case ECS_CRASH_LOOP:
    case ECS_WRONG_DIGEST:
    case ECS_SLOW:
    case ECS_UNHEALTHY_HTTP:
    case ECS_TASK_EXIT:
    case ECS_TASK_NOT_STARTED:
    case ECS_TASK_NO_EXIT_CODE:
    case ECS_TASK_NO_CAPACITY:
    case ECS_TASK_HANG:
    case ECS_COURSES:
        break;
    }
}
