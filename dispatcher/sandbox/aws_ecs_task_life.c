// Tasks begin, run and end. Who decides that they do is elsewhere: a service's rollout
// (aws_ecs_rollout.c) or RunTask (aws_ecs_tasks.c). What its containers say goes to their log
// streams, as the awslogs driver does: PREFIX/CONTAINER/TASK-ID.
#include <string.h>

#include "aws_ecs_internal.h"
#include "aws_logs_internal.h"
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

// --- what its containers say
// ----------------------------------------------------------------------

static void PRINTF_LIKE(5, 6) say(struct sandbox *sandbox, const struct ecs_task *task,
    size_t container, int64_t at_ms, const char *format, ...)
{
    const struct json *list = json_get(task->definition->document, "containerDefinitions");
    const struct json *given = json_at(list, container);
    const struct json *log = json_get(given, "logConfiguration");
    const struct json *options = json_get(log, "options");
    const char *group = json_str(json_get(options, "awslogs-group"));
    const char *prefix = json_str(json_get(options, "awslogs-stream-prefix"));
    const char *name = json_str(json_get(given, "name"));
    if (!cstr_equal(json_str(json_get(log, "logDriver")), "awslogs") || group == NULL ||
        name == NULL) {
        return;
    }
    struct buf text CLEANUP(buf_done) = BUF_INIT(256 * 1024);
    struct buf stream CLEANUP(buf_done) = BUF_INIT(4096);
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    // Without a prefix the driver names the stream after the container's own id.
    buf_printf(&stream, "%s%s%s%s%s", prefix != NULL ? prefix : "", prefix != NULL ? "/" : "",
        prefix != NULL ? name : "", prefix != NULL ? "/" : "", task->id);
    sandbox_logs_put_at(sandbox, group, buf_cstr(&stream), at_ms, buf_cstr(&text));
}

static const struct json *
override_of(const struct ecs_task *task, const char *container, const char *member)
{
    const struct json *list = json_path(task->request, "overrides.containerOverrides");
    for (size_t i = 0; i < json_count(list); i++) {
        if (cstr_equal(json_str(json_get(json_at(list, i), "name")), container)) {
            return json_get(json_at(list, i), member);
        }
    }
    return NULL;
}

static void
say_start(struct sandbox *sandbox, const struct ecs_task *task, int64_t at_ms)
{
    const struct json *containers = json_get(task->definition->document, "containerDefinitions");
    for (size_t i = 0; i < json_count(containers); i++) {
        const struct json *container = json_at(containers, i);
        const char *name = json_str(json_get(container, "name"));
        const struct json *command = override_of(task, name, "command");
        command = command != NULL ? command : json_get(container, "command");
        say(sandbox, task, i, at_ms, "%s: starting %s", name,
            json_str(json_get(container, "image")));
        if (json_count(command) > 0) {
            char *text CLEANUP(xfreep) = json_text(command);
            say(sandbox, task, i, at_ms, "%s: command %s", name, text);
        }
    }
}

static size_t
main_number(const struct ecs_task *task)
{
    const struct json *containers = json_get(task->definition->document, "containerDefinitions");
    const struct json *main_one = sandbox_ecs_main_container(task->definition);
    for (size_t i = 0; i < json_count(containers); i++) {
        if (json_at(containers, i) == main_one) {
            return i;
        }
    }
    return 0;
}

// The scenario's lines are the last that are heard of it.
static void
say_end(struct sandbox *sandbox, const struct ecs_task *task, int64_t at_ms)
{
    const struct ecs_ending *ending = &task->ending;
    const struct json *lines =
        task->scenario != NULL ? json_get(task->scenario->options, "log") : NULL;
    size_t number = main_number(task);
    if (task->started_ms == 0) {
        return; // it never ran
    }
    for (size_t i = 0; i < json_count(lines); i++) {
        const char *line = json_str(json_at(lines, i));
        say(sandbox, task, number, at_ms, "%s", line != NULL ? line : "");
    }
    if (lines == NULL && ending->has_exit_code && ending->exit_code != 0) {
        say(sandbox, task, number, at_ms, "fatal: %s (exit code %lld)",
            ending->container_reason != NULL ? ending->container_reason : "giving up",
            (long long)ending->exit_code);
    }
}

void
sandbox_ecs_task_start(struct sandbox *sandbox, struct ecs_task *task, int64_t at_ms)
{
    task->started_ms = at_ms;
    task->run_at_ms = ECS_NEVER;
    say_start(sandbox, task, at_ms);
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
    say_end(sandbox, task, at_ms);
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
