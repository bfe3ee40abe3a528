// Why a rollout fails: the reasons of containers before those of tasks, then the events of the
// service, then the last lines of the log. All of it is best effort: what cannot be read is left
// out, and the outcome does not depend on it.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/logs.h"
#include "dispatcher/memory.h"
#include "target_ecs_internal.h"

enum { TASKS_MAX = 100, TASKS_TOLD = 5, LOG_LINES = 5, LINE_MAX_BYTES = 300 };

// Told as it is found, not only at the end.
static void
tell(const struct step_run *run, const struct target_move *at, const char *text)
{
    size_t before = at->target->evidence.count;
    target_add_evidence(run, at->target, text);
    if (at->target->evidence.count > before) {
        context_emit_text(run->context, run->deployment, DEPLOY_EVENT_NOTE,
            arena_printf(
                run->arena, "'%s': %s", at->target->name, at->target->evidence.items[before]));
    }
}

// --- stopped tasks -------------------------------------------------------------------------------

static int
newest_first(const void *a, const void *b)
{
    int64_t left = ((const struct ecs_task *)a)->stopped_ms;
    int64_t right = ((const struct ecs_task *)b)->stopped_ms;
    return left > right ? -1 : left < right ? 1 : 0;
}

static bool
is_of_move(const struct deployment_move *move, const struct ecs_task *task)
{
    if (task->arn == NULL) {
        return false;
    }
    if (move->classic_id != NULL) {
        return cstr_equal(task->started_by, move->classic_id);
    }
    return cstr_equal(task->task_definition, move->revision) && task->created_ms >= move->asked_ms;
}

// Those of this deployment that failed, newest first; not those that a scale-in ended.
static struct error *
stopped_tasks(const struct step_run *run, const struct target_move *at, struct arena *arena,
    struct ecs_task **out, size_t *count)
{
    struct aws_session *aws = NULL;
    struct str_list arns = {0};
    struct ecs_task_filter filter = {.cluster = target_cluster(at->target),
        .desired_status = "STOPPED",
        .started_by = at->move->classic_id,
        .max = TASKS_MAX};
    filter.service = filter.started_by == NULL ? at->target->want.service : NULL;
    TRY(provider_aws(run->context, run->deployment, &aws));
    TRY(ecs_tasks_list(aws, &filter, arena, &arns));
    struct ecs_task *tasks = arena_array(arena, arns.count + 1, sizeof(*tasks));
    if (arns.count > 0) {
        TRY(ecs_tasks_describe(aws, filter.cluster, arns.items, arns.count, arena, tasks));
    }
    *count = 0;
    for (size_t i = 0; i < arns.count; i++) {
        if (is_of_move(at->move, &tasks[i])) {
            tasks[(*count)++] = tasks[i];
        }
    }
    qsort(tasks, *count, sizeof(*tasks), newest_first);
    *out = tasks;
    return NULL;
}

// "container 'web': CannotPullContainerError: …" or "container 'web' ended with exit code 1".
static const char *
say_container(struct arena *arena, const struct ecs_container *container)
{
    if (container->reason != NULL && container->has_exit_code) {
        return arena_printf(arena, "container '%s': %s (exit code %lld)", container->name,
            container->reason, (long long)container->exit_code);
    }
    if (container->reason != NULL) {
        return arena_printf(arena, "container '%s': %s", container->name, container->reason);
    }
    if (container->has_exit_code && container->exit_code != 0) {
        return arena_printf(arena, "container '%s' ended with exit code %lld", container->name,
            (long long)container->exit_code);
    }
    return NULL;
}

// Stopped because fewer are wanted, as every rollout does with old tasks: no sign of a failure.
static bool
is_scaled_away(const struct ecs_task *task)
{
    return task->stopped_reason != NULL &&
           str_starts(str_of(task->stopped_reason), STR("Scaling activity initiated by"));
}

static const struct ecs_task *
tell_tasks(const struct step_run *run, const struct target_move *at, struct arena *arena,
    const struct ecs_task *tasks, size_t count)
{
    const struct ecs_task *failed = NULL;
    for (size_t i = 0; i < count && i < TASKS_TOLD; i++) {
        for (size_t k = 0; !is_scaled_away(&tasks[i]) && k < tasks[i].container_count; k++) {
            const char *text = say_container(arena, &tasks[i].containers[k]);
            if (text != NULL) {
                tell(run, at, text);
                failed = failed == NULL ? &tasks[i] : failed;
            }
        }
    }
    for (size_t i = 0; i < count && i < TASKS_TOLD; i++) {
        if (tasks[i].stopped_reason != NULL && !is_scaled_away(&tasks[i])) {
            tell(run, at, arena_printf(arena, "task stopped: %s", tasks[i].stopped_reason));
            failed = failed == NULL ? &tasks[i] : failed;
        }
    }
    return failed;
}

// --- logs ----------------------------------------------------------------------------------------

static struct error *
tell_log(const struct step_run *run, const struct target_move *at, struct arena *arena,
    const struct ecs_task *task)
{
    struct aws_session *aws = NULL;
    struct ecs_task_definition definition CLEANUP(ecs_task_definition_done) = {0};
    struct logs_page page = {0};
    struct ecs_log_stream log = {0};
    const struct ecs_container *container = target_ecs_container(run, at->target, task);
    TRY(provider_aws(run->context, run->deployment, &aws));
    TRY(ecs_task_definition_get(aws, task->task_definition, arena, &definition));
    if (definition.arn == NULL || container == NULL ||
        !ecs_task_log_stream(definition.document, container->name, task->arn, arena, &log)) {
        return NULL;
    }
    const struct logs_query query = {.region = log.region,
        .group = log.group,
        .streams = {&log.name, 1},
        .max_events = LOG_LINES,
        .newest = true};
    TRY(logs_filter(aws, &query, arena, &page));
    for (size_t i = 0; i < page.count; i++) {
        tell(run, at, arena_printf(arena, "log: %.*s", LINE_MAX_BYTES, page.events[i].message));
    }
    return NULL;
}

static void
collect(const struct step_run *run, const struct target_move *at)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct ecs_task *tasks = NULL;
    size_t count = 0;
    struct error *err = stopped_tasks(run, at, scratch, &tasks, &count);
    if (err == NULL) {
        const struct ecs_task *failed = tell_tasks(run, at, scratch, tasks, count);
        if (failed != NULL && failed->task_definition != NULL) {
            err = tell_log(run, at, scratch, failed);
        }
    }
    if (err != NULL) {
        log_debug(run->context->platform->log, "evidence not read",
            F_STR("target", at->target->name), F_STR("problem", error_message(err)));
        error_free(err);
    }
}

void
target_ecs_early(const struct step_run *run, const struct target_move *at, int64_t failures)
{
    if (failures > at->move->failures) {
        at->move->failures = failures;
        collect(run, at);
    }
}

// --- events --------------------------------------------------------------------------------------

static bool
is_trouble(const char *message)
{
    static const char *const words[] = {"unable", "failed", "unhealthy", "error", "rolling back"};
    for (size_t i = 0; message != NULL && i < ARRAY_LENGTH(words); i++) {
        if (strstr(message, words[i]) != NULL) {
            return true;
        }
    }
    return false;
}

// Events newer than the last one that was looked at, and not older than the move.
static size_t
count_new(const struct deployment_move *move, const struct ecs_service *service)
{
    for (size_t i = 0; i < service->event_count; i++) {
        const struct ecs_event *event = &service->events[i];
        if (cstr_equal(event->id, move->event) || event->created_ms < move->asked_ms) {
            return i;
        }
    }
    return service->event_count;
}

// Without a circuit breaker nobody counts failures: the events are what changes. The tasks of one
// that tells of trouble say more than it does.
void
target_ecs_read_events(
    const struct step_run *run, const struct target_move *at, const struct ecs_service *service)
{
    size_t fresh = count_new(at->move, service);
    bool is_first = true;
    for (size_t i = 0; i < fresh; i++) {
        if (is_trouble(service->events[i].message)) {
            if (is_first) {
                collect(run, at);
            }
            is_first = false;
            tell(run, at, service->events[i].message);
        }
    }
    if (fresh > 0) {
        at->move->event = arena_dup(run->arena, service->events[0].id);
    }
}

void
target_ecs_explain(const struct step_run *run, const struct target_move *at)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct ecs_service service = {0};
    collect(run, at);
    struct error *err = target_ecs_describe(run, at->target, scratch, &service);
    if (err == NULL && service.arn != NULL) {
        target_ecs_read_events(run, at, &service);
    }
    error_free(err);
}
