// Tasks begin, run and end. Who decides that they do is elsewhere: a service's rollout
// (aws_ecs_rollout.c) or RunTask (aws_ecs_tasks.c).
#include <string.h>

#include "aws_ecs_internal.h"
#include "dispatcher/memory.h"

enum { ID_BYTES = 12 };

void
sandbox_ecs_task_list_add(struct ecs_task_list *list, struct ecs_task *task)
{
    if (list->count == list->room) {
        list->room = list->room == 0 ? 4 : 2 * list->room;
        list->items = xrealloc(list->items, list->room * sizeof(struct ecs_task *));
    }
    list->items[list->count++] = task;
}

static void
list_remove(struct ecs_task_list *list, const struct ecs_task *task)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i] != task) {
            list->items[kept++] = list->items[i];
        }
    }
    list->count = kept;
}

// An id's last 8 digits are the task's number, so that it is found without a search.
struct ecs_task *
sandbox_ecs_task_find(struct ecs_state *ecs, const char *name)
{
    const char *id = sandbox_ecs_name_of(name);
    size_t number = 0;
    if (id == NULL || strlen(id) != 2 * ID_BYTES + 8) {
        return NULL;
    }
    for (const char *at = id + 2 * ID_BYTES; *at != '\0'; at++) {
        const char *digit = strchr("0123456789abcdef", *at);
        if (digit == NULL) {
            return NULL;
        }
        number = number * 16 + (size_t)(digit - "0123456789abcdef");
    }
    struct ecs_task *task = number < ecs->tasks.count ? ecs->tasks.items[number] : NULL;
    return task != NULL && strcmp(task->id, id) == 0 ? task : NULL;
}

struct ecs_task *
sandbox_ecs_task_add(struct sandbox *sandbox, struct ecs_cluster *cluster,
    struct ecs_definition *definition, int64_t now_ms)
{
    struct ecs_state *ecs = sandbox->aws->ecs;
    struct ecs_task *task = arena_alloc(ecs->arena, sizeof(*task));
    const char *id = arena_printf(
        ecs->arena, "%s%08zx", sandbox_random(sandbox, ecs->arena, ID_BYTES), ecs->tasks.count);
    *task = (struct ecs_task){.id = id,
        .arn = sandbox_ecs_arn(sandbox, "task/%s/%s", cluster->name, id),
        .cluster = cluster,
        .definition = definition,
        .created_ms = now_ms,
        .run_at_ms = ECS_NEVER,
        .end_at_ms = ECS_NEVER};
    sandbox_ecs_task_list_add(&ecs->tasks, task);
    return task;
}

const char *
sandbox_ecs_task_status(const struct ecs_task *task)
{
    return task->stopped_ms > 0 ? "STOPPED" : task->started_ms > 0 ? "RUNNING" : "PENDING";
}

void
sandbox_ecs_task_start(struct sandbox *sandbox, struct ecs_task *task, int64_t at_ms)
{
    (void)sandbox;
    task->started_ms = at_ms;
    task->run_at_ms = ECS_NEVER;
}

void
sandbox_ecs_task_end(
    struct sandbox *sandbox, struct ecs_task *task, int64_t at_ms, const struct ecs_ending *ending)
{
    (void)sandbox;
    if (task->stopped_ms > 0) {
        return;
    }
    task->ending = *ending;
    task->stopped_ms = at_ms;
    task->run_at_ms = ECS_NEVER;
    task->end_at_ms = ECS_NEVER;
    if (task->service != NULL) {
        list_remove(&task->service->live, task);
        sandbox_ecs_task_list_add(&task->service->stopped, task);
    }
}

void
sandbox_ecs_task_advance(struct sandbox *sandbox, struct ecs_task *task, int64_t now_ms)
{
    if (task->stopped_ms == 0 && task->run_at_ms <= now_ms) {
        sandbox_ecs_task_start(sandbox, task, task->run_at_ms);
    }
    if (task->stopped_ms == 0 && task->end_at_ms <= now_ms) {
        struct ecs_ending ending = task->ending;
        sandbox_ecs_task_end(sandbox, task, task->end_at_ms, &ending);
    }
}
