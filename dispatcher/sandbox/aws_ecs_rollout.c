// What happens to a service in time: deployments begin, pass through their stages and succeed.
// Deterministic: the same clock gives the same story. How deployments fail is aws_ecs_failure.c.
#include <stdlib.h>
#include <string.h>

#include "aws_ecs_internal.h"
#include "dispatcher/memory.h"

enum { DELAY_MS = 2000, EVERY = 1000000, HOUR_MS = 3600000, STEPS_MAX = 100000 };

int64_t
sandbox_ecs_delay_ms(const struct sandbox *sandbox, const struct ecs_service *service)
{
    int64_t own = service != NULL ? service->delay_ms : -1;
    int64_t given = sandbox->options->rollout_delay;
    return own >= 0                           ? own
           : sandbox->aws->ecs->delay_ms >= 0 ? sandbox->aws->ecs->delay_ms
           : given > 0                        ? given
                                              : DELAY_MS;
}

bool
sandbox_ecs_deployment_is_over(const struct ecs_deployment *deployment)
{
    return deployment->finished_ms > 0;
}

// 19 digits, as ECS's own.
static unsigned long long
draw_number(const struct sandbox *sandbox)
{
    uint64_t number = 0;
    sandbox->platform->random->fill(sandbox->platform->random, &number, sizeof(number));
    return (number >> 2) | (UINT64_C(1) << 62);
}

// --- revisions and entries of `deployments` ------------------------------------------------------

static struct ecs_revision *
add_revision(struct sandbox *sandbox, struct ecs_service *service, int64_t now_ms)
{
    struct ecs_state *ecs = sandbox->aws->ecs;
    struct ecs_revision *revision = arena_alloc(ecs->arena, sizeof(*revision));
    *revision = (struct ecs_revision){.created_ms = now_ms,
        .arn = sandbox_ecs_arn(sandbox, "service-revision/%s/%s/%llu", service->cluster->name,
            service->name, draw_number(sandbox)),
        .definition = service->definition,
        .settings = service->settings,
        .express = service->express};
    revision->images = sandbox_ecs_images(sandbox, service->definition, &revision->problem);
    service->revisions =
        xrealloc(service->revisions, (service->revision_count + 1) * sizeof(struct ecs_revision *));
    service->revisions[service->revision_count++] = revision;
    return revision;
}

struct ecs_classic *
sandbox_ecs_classic_add(struct sandbox *sandbox, struct ecs_service *service,
    struct ecs_revision *revision, int64_t now_ms)
{
    struct ecs_state *ecs = sandbox->aws->ecs;
    struct ecs_classic *classic = arena_alloc(ecs->arena, sizeof(*classic));
    *classic = (struct ecs_classic){.revision = revision,
        .id = arena_printf(ecs->arena, "ecs-svc/%llu", draw_number(sandbox)),
        .created_ms = now_ms,
        .updated_ms = now_ms,
        .state = "IN_PROGRESS"};
    classic->reason = arena_printf(ecs->arena, "ECS deployment %s in progress.", classic->id);
    service->classics =
        xrealloc(service->classics, (service->classic_count + 1) * sizeof(struct ecs_classic *));
    memmove(service->classics + 1, service->classics,
        service->classic_count * sizeof(struct ecs_classic *));
    service->classics[0] = classic;
    service->classic_count++;
    return classic;
}

void
sandbox_ecs_classic_keep(struct ecs_service *service, struct ecs_classic *only)
{
    service->classics[0] = only;
    service->classic_count = 1;
}

static void
complete_classic(struct sandbox *sandbox, struct ecs_classic *classic, int64_t now_ms)
{
    classic->state = "COMPLETED";
    classic->reason =
        arena_printf(sandbox->aws->ecs->arena, "ECS deployment %s completed.", classic->id);
    classic->updated_ms = now_ms;
}

// --- a deployment --------------------------------------------------------------------------------

static struct ecs_deployment *
add_deployment(struct sandbox *sandbox, struct ecs_service *service, int64_t now_ms)
{
    struct ecs_state *ecs = sandbox->aws->ecs;
    struct ecs_deployment *deployment = arena_alloc(ecs->arena, sizeof(*deployment));
    const struct json *configuration = json_get(service->settings, "deploymentConfiguration");
    *deployment = (struct ecs_deployment){.service = service,
        .arn = sandbox_ecs_arn(sandbox, "service-deployment/%s/%s/%s", service->cluster->name,
            service->name, sandbox_random(sandbox, ecs->arena, 10)),
        .configuration = sandbox_ecs_keep(
            ecs, configuration != NULL ? json_clone(configuration) : json_make_object()),
        .status = "PENDING",
        .created_ms = now_ms,
        .updated_ms = now_ms,
        .stage_end_ms = ECS_NEVER,
        .interrupt_ms = ECS_NEVER,
        .failure_ms = ECS_NEVER,
        .threshold = sandbox_ecs_breaker_threshold(service->desired)};
    service->deployments = xrealloc(
        service->deployments, (service->deployment_count + 1) * sizeof(struct ecs_deployment *));
    service->deployments[service->deployment_count++] = deployment;
    return deployment;
}

static void
add_source(struct ecs_deployment *deployment, struct ecs_revision *revision, int64_t requested)
{
    deployment->sources = xrealloc(
        deployment->sources, (deployment->source_count + 1) * sizeof(*deployment->sources));
    deployment->sources[deployment->source_count++] =
        (struct ecs_source){.revision = revision, .requested = requested};
}

static void
set_breaker(struct ecs_deployment *deployment)
{
    const struct json *breaker = json_get(deployment->configuration, "deploymentCircuitBreaker");
    deployment->breaker_on = json_bool(json_get(breaker, "enable"), false);
    deployment->breaker_rolls_back = json_bool(json_get(breaker, "rollback"), false);
    if (deployment->course == ECS_BREAKER_ROLLBACK || deployment->course == ECS_ROLLBACK_FAILED) {
        deployment->breaker_on = true;
        deployment->breaker_rolls_back = true;
    }
    deployment->breaker_on = deployment->breaker_on && deployment->course != ECS_CRASH_LOOP;
}

// Do its tasks fail, and how often?
static void
set_failing(struct ecs_deployment *deployment)
{
    bool by_scenario = deployment->course == ECS_BREAKER_ROLLBACK ||
                       deployment->course == ECS_ROLLBACK_FAILED ||
                       deployment->course == ECS_CRASH_LOOP;
    if (deployment->target->problem != NULL) {
        deployment->failing = (struct ecs_ending){.stop_code = "TaskFailedToStart",
            .stopped_reason = deployment->target->problem,
            .container_reason = deployment->target->problem,
            .never_ran = true};
    } else if (by_scenario) {
        deployment->failing = sandbox_ecs_scenario_ending(deployment->scenario);
    } else {
        return;
    }
    int64_t every = deployment->delay_ms * 8 / 10 / deployment->threshold;
    deployment->failure_every_ms = every > 0 ? every : 1;
}

// One that is under way makes room.
static void
supersede(struct sandbox *sandbox, struct ecs_service *service, struct ecs_deployment *by)
{
    struct ecs_deployment *former = service->current;
    service->current = NULL;
    if (former == NULL) {
        return;
    }
    if (service->stopping != NULL) {
        sandbox_ecs_deployment_stopped(
            sandbox, service->stopping, by->created_ms, service->stopping->reason);
    }
    struct ecs_counts counts = sandbox_ecs_capacity_count(service, NULL, former->target);
    if (former->target != service->completed && counts.running + counts.pending > 0) {
        add_source(by, former->target, counts.running + counts.pending);
    }
    former->status = "STOP_REQUESTED";
    former->shown_status = NULL;
    former->reason = arena_printf(sandbox->aws->ecs->arena,
        "Service deployment was stopped because of a newer service deployment: %s.", by->arn);
    former->updated_ms = by->created_ms;
    former->stage_end_ms = ECS_NEVER;
    former->failure_ms = ECS_NEVER;
    former->waiting_for = NULL;
    former->interrupt_ms = by->created_ms + former->delay_ms / 10;
    service->stopping = former;
}

static bool
is_held_back(struct ecs_service *service, const struct ecs_scenario *scenario, int64_t now_ms)
{
    if (scenario == NULL || scenario->course != ECS_NO_DEPLOYMENT) {
        return false;
    }
    int64_t lasts = sandbox_ecs_scenario_ms(scenario, "for", -1);
    service->deferred_ms = lasts >= 0 ? now_ms + lasts : ECS_NEVER;
    return true;
}

void
sandbox_ecs_deployment_start(struct sandbox *sandbox, struct ecs_service *service, int64_t now_ms)
{
    struct ecs_scenario *scenario =
        sandbox_ecs_scenario_take(sandbox->aws->ecs, service->cluster->name, service->name, false);
    service->updated_ms = now_ms;
    if (is_held_back(service, scenario, now_ms)) {
        return;
    }
    struct ecs_deployment *deployment = add_deployment(sandbox, service, now_ms);
    deployment->scenario = scenario;
    deployment->course = scenario != NULL ? scenario->course : ECS_SUCCESS;
    int64_t delay = sandbox_ecs_delay_ms(sandbox, service);
    deployment->delay_ms = sandbox_ecs_scenario_ms(
        scenario, "delay", deployment->course == ECS_SLOW ? 10 * delay : delay);
    if (service->completed != NULL) {
        add_source(deployment, service->completed, service->desired);
    }
    supersede(sandbox, service, deployment);
    deployment->target = add_revision(sandbox, service, now_ms);
    deployment->classic = sandbox_ecs_classic_add(sandbox, service, deployment->target, now_ms);
    if (deployment->course == ECS_UNHEALTHY_HTTP) {
        sandbox_ecs_apps_spoil(deployment->target, scenario, now_ms);
    }
    set_breaker(deployment);
    set_failing(deployment);
    sandbox_ecs_plan_stages(sandbox, deployment);
    deployment->stage_end_ms = now_ms + deployment->delay_ms / 10; // of PENDING
    service->current = deployment;
}

void
sandbox_ecs_service_settle(struct sandbox *sandbox, struct ecs_service *service, int64_t now_ms)
{
    int64_t then = now_ms - HOUR_MS;
    struct ecs_deployment *deployment = add_deployment(sandbox, service, then);
    deployment->delay_ms = sandbox_ecs_delay_ms(sandbox, service);
    deployment->target = add_revision(sandbox, service, then);
    deployment->classic = sandbox_ecs_classic_add(sandbox, service, deployment->target, then);
    set_breaker(deployment);
    complete_classic(sandbox, deployment->classic, then);
    deployment->status = "SUCCESSFUL";
    deployment->started_ms = then;
    deployment->finished_ms = then;
    deployment->production = 100;
    service->completed = deployment->target;
    for (int64_t i = 0; i < service->desired; i++) {
        struct ecs_task *task =
            sandbox_ecs_capacity_add(sandbox, service, deployment->classic, then, ECS_NEVER);
        sandbox_ecs_task_start(sandbox, task, then);
    }
    sandbox_ecs_service_event(
        sandbox, service, then, "(service %s) has reached a steady state.", service->name);
    sandbox_ecs_service_schedule(service);
}

// --- its stages ----------------------------------------------------------------------------------

// The first hook of this stage that nobody has answered yet; functions answer at once.
static struct ecs_hook *
next_hook(struct ecs_deployment *deployment, const char *stage)
{
    for (size_t i = 0; stage != NULL && i < deployment->hook_count; i++) {
        struct ecs_hook *hook = &deployment->hooks[i];
        if (hook->status == NULL && strcmp(hook->stage, stage) == 0) {
            if (hook->pauses) {
                return hook;
            }
            hook->status = "SUCCEEDED";
        }
    }
    return NULL;
}

static void
begin_stage_work(struct sandbox *sandbox, struct ecs_deployment *deployment, int64_t now_ms)
{
    const struct ecs_stage *stage = &deployment->stages[deployment->stage];
    struct ecs_service *service = deployment->service;
    deployment->stage_end_ms = now_ms + stage->ms;
    if (stage->scales_up) {
        int64_t most = json_int(json_get(deployment->configuration, "maximumPercent"), 200);
        int64_t least = json_int(json_get(deployment->configuration, "minimumHealthyPercent"), 100);
        if (most <= 100 && deployment->stages[0].name == NULL) { // room first
            sandbox_ecs_capacity_retire_but(sandbox, service, deployment->classic, now_ms,
                service->desired - (service->desired * least + 99) / 100);
        }
        sandbox_ecs_capacity_start(sandbox, deployment, now_ms, stage->ms);
        if (deployment->failure_every_ms > 0 && service->desired > 0) {
            deployment->stage_end_ms = ECS_NEVER;
            deployment->failure_ms = now_ms + deployment->failure_every_ms;
        }
    }
    if (stage->cleans_up) {
        sandbox_ecs_capacity_retire_but(sandbox, service, deployment->classic, now_ms, EVERY);
    }
}

void
sandbox_ecs_deployment_resume(
    struct sandbox *sandbox, struct ecs_deployment *deployment, int64_t now_ms)
{
    struct ecs_hook *hook = next_hook(deployment, deployment->stages[deployment->stage].name);
    deployment->waiting_for = hook;
    deployment->updated_ms = now_ms;
    if (hook != NULL) {
        hook->status = "AWAITING_ACTION";
        hook->expires_ms = now_ms + hook->timeout_ms;
        deployment->stage_end_ms = hook->expires_ms;
    } else {
        begin_stage_work(sandbox, deployment, now_ms);
    }
}

static void
enter_stage(struct sandbox *sandbox, struct ecs_deployment *deployment, int64_t now_ms)
{
    const struct ecs_stage *stage = &deployment->stages[deployment->stage];
    deployment->test = stage->test;
    deployment->production = stage->production;
    sandbox_ecs_deployment_resume(sandbox, deployment, now_ms);
}

static void
begin(struct sandbox *sandbox, struct ecs_deployment *deployment, int64_t now_ms)
{
    deployment->status = "IN_PROGRESS";
    deployment->started_ms = now_ms;
    if (deployment->course == ECS_ALARM || deployment->course == ECS_STOPPED ||
        deployment->course == ECS_SUPERSEDED || deployment->course == ECS_UNKNOWN_STATUS) {
        deployment->interrupt_ms = now_ms + deployment->delay_ms / 2;
    }
    enter_stage(sandbox, deployment, now_ms);
}

static void
succeed(struct sandbox *sandbox, struct ecs_deployment *deployment, int64_t now_ms)
{
    struct ecs_service *service = deployment->service;
    sandbox_ecs_capacity_retire_but(sandbox, service, deployment->classic, now_ms, EVERY);
    deployment->status = "SUCCESSFUL";
    deployment->updated_ms = now_ms;
    deployment->finished_ms = now_ms;
    deployment->production = 100;
    deployment->stage_end_ms = ECS_NEVER;
    deployment->interrupt_ms = ECS_NEVER;
    service->completed = deployment->target;
    service->current = NULL;
    complete_classic(sandbox, deployment->classic, now_ms);
    sandbox_ecs_classic_keep(service, deployment->classic);
    sandbox_ecs_service_event(sandbox, service, now_ms,
        "(service %s) (deployment %s) deployment completed.", service->name,
        deployment->classic->id);
    sandbox_ecs_service_event(
        sandbox, service, now_ms, "(service %s) has reached a steady state.", service->name);
}

// The time of a stage, or of its hook, is over.
static void
end_stage(struct sandbox *sandbox, struct ecs_deployment *deployment, int64_t now_ms)
{
    struct ecs_hook *hook = deployment->waiting_for;
    if (strcmp(deployment->status, "PENDING") == 0) {
        begin(sandbox, deployment, now_ms);
    } else if (hook != NULL && strcmp(hook->action, "CONTINUE") == 0) {
        hook->status = "TIMED_OUT";
        sandbox_ecs_deployment_resume(sandbox, deployment, now_ms);
    } else if (hook != NULL) {
        hook->status = "TIMED_OUT";
        sandbox_ecs_rollback_start(sandbox, deployment, now_ms,
            "Service deployment rolled back because a lifecycle hook timed out.",
            "ECS deployment failed: lifecycle hook timed out.");
    } else if (deployment->stage + 1 < deployment->stage_count) {
        deployment->stage++;
        enter_stage(sandbox, deployment, now_ms);
    } else {
        succeed(sandbox, deployment, now_ms);
    }
}

// --- time ----------------------------------------------------------------------------------------

static int64_t
earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t
deployment_next(const struct ecs_deployment *deployment)
{
    return earlier(
        deployment->stage_end_ms, earlier(deployment->interrupt_ms, deployment->failure_ms));
}

void
sandbox_ecs_service_schedule(struct ecs_service *service)
{
    int64_t next = earlier(service->drained_ms, service->deferred_ms);
    for (size_t i = 0; i < service->live.count; i++) {
        const struct ecs_task *task = service->live.items[i];
        next = earlier(next, earlier(task->run_at_ms, task->end_at_ms));
    }
    if (service->current != NULL) {
        next = earlier(next, deployment_next(service->current));
    }
    if (service->stopping != NULL) {
        next = earlier(next, service->stopping->interrupt_ms);
    }
    service->next_ms = next;
}

// In a rolling deployment each new task that runs takes the place of an old one.
static void
task_runs(struct sandbox *sandbox, struct ecs_task *task, int64_t now_ms)
{
    struct ecs_service *service = task->service;
    const struct ecs_deployment *deployment = service->current;
    sandbox_ecs_task_start(sandbox, task, now_ms);
    if (deployment != NULL && deployment->stages[0].name == NULL &&
        task->classic == deployment->classic && !task->is_faulty) {
        sandbox_ecs_capacity_retire_but(sandbox, service, deployment->classic, now_ms, 1);
    }
}

static void
move_tasks(struct sandbox *sandbox, struct ecs_service *service, int64_t now_ms)
{
    for (size_t i = 0; i < service->live.count; i++) {
        struct ecs_task *task = service->live.items[i];
        if (task->run_at_ms <= now_ms) {
            task_runs(sandbox, task, now_ms);
            return; // the list may be another; the next one is due at once
        }
    }
}

static void
move_deployment(struct sandbox *sandbox, struct ecs_deployment *deployment, int64_t now_ms)
{
    bool goes_back = strncmp(deployment->status, "ROLLBACK", strlen("ROLLBACK")) == 0;
    if (deployment->interrupt_ms <= now_ms) {
        if (goes_back) {
            sandbox_ecs_rollback_next(sandbox, deployment, now_ms);
        } else {
            sandbox_ecs_interrupt(sandbox, deployment, now_ms);
        }
    } else if (deployment->failure_ms <= now_ms) {
        sandbox_ecs_failure_next(sandbox, deployment, now_ms);
    } else if (deployment->stage_end_ms <= now_ms) {
        end_stage(sandbox, deployment, now_ms);
    }
}

static void
happen(struct sandbox *sandbox, struct ecs_service *service, int64_t now_ms)
{
    if (service->drained_ms <= now_ms) {
        service->drained_ms = ECS_NEVER;
        service->status = "INACTIVE";
        return;
    }
    if (service->deferred_ms <= now_ms) {
        service->deferred_ms = ECS_NEVER;
        sandbox_ecs_deployment_start(sandbox, service, now_ms);
        return;
    }
    if (service->stopping != NULL && service->stopping->interrupt_ms <= now_ms) {
        struct ecs_deployment *former = service->stopping;
        service->stopping = NULL;
        sandbox_ecs_deployment_stopped(sandbox, former, now_ms, former->reason);
    }
    move_tasks(sandbox, service, now_ms);
    if (service->current != NULL) {
        move_deployment(sandbox, service->current, now_ms);
    }
}

void
sandbox_ecs_service_advance(struct sandbox *sandbox, struct ecs_service *service, int64_t now_ms)
{
    // Bounded, so that a clock that jumps by years cannot hold the lock for long.
    for (int i = 0; i < STEPS_MAX && service->next_ms <= now_ms; i++) {
        happen(sandbox, service, service->next_ms);
        sandbox_ecs_service_schedule(service);
    }
}

void
sandbox_ecs_advance_all(struct sandbox *sandbox)
{
    struct ecs_state *ecs = sandbox->aws->ecs;
    int64_t now = sandbox_now(sandbox);
    for (size_t i = 0; i < ecs->cluster_count; i++) {
        struct ecs_cluster *cluster = ecs->clusters[i];
        for (size_t k = 0; k < cluster->service_count; k++) {
            sandbox_ecs_service_advance(sandbox, cluster->services[k], now);
        }
        for (size_t k = 0; k < cluster->tasks.count; k++) {
            sandbox_ecs_task_advance(sandbox, cluster->tasks.items[k], now);
        }
    }
}
