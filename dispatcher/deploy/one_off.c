// One-off tasks: RunTask with a service's network, the log while it runs, and what its end means
// (aws-rollout.md §5.8). Knows nothing of what the task is for.
#include "one_off.h"

#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/log_sanitize.h"
#include "dispatcher/logs.h"
#include "dispatcher/memory.h"

enum { REASON_MAX = 400, ENTRY_MAX = 16 * 1024 * 1024, DRAIN_MS = 2000 };

const char *
one_off_token(struct arena *arena, const char *const *parts, size_t count)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    char hex[SHA256_HEX_SIZE];
    for (size_t i = 0; i < count; i++) {
        buf_puts(&text, parts[i]);
        buf_putc(&text, '\n');
    }
    sha256_hex(buf_str(&text), hex);
    return arena_dup(arena, hex);
}

void
one_off_use_service(struct one_off *task, const struct ecs_service *service, struct arena *arena)
{
    task->network_json = arena_dup(arena, service->network_json);
    task->capacity_json = arena_dup(arena, service->capacity_json);
    task->launch_type = arena_dup(arena, service->launch_type);
    task->platform_version = arena_dup(arena, service->platform_version);
}

struct error *
one_off_start(const struct step_run *run, struct one_off *task)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct aws_session *aws = NULL;
    struct ecs_task_start start = {0};
    bool has_override = task->command.count > 0 || task->environment.count > 0;
    const struct ecs_task_request request = {
        .cluster = task->cluster,
        .task_definition = task->task_definition,
        .container = has_override ? task->container : NULL,
        .command = task->command,
        .environment = task->environment,
        .network_json = task->network_json,
        .capacity_json = task->capacity_json,
        .launch_type = task->launch_type,
        .platform_version = task->platform_version,
        .started_by = task->started_by,
        .client_token = task->client_token,
    };
    TRY(provider_aws(run->context, run->deployment, &aws));
    TRY(ecs_task_run(aws, &request, scratch, &start));
    task->task = arena_dup(run->arena, start.task.arn);
    const char **found = arena_array(run->arena, start.earlier.count, sizeof(*found));
    for (size_t i = 0; i < start.earlier.count; i++) {
        found[i] = arena_dup(run->arena, start.earlier.items[i]);
    }
    task->found = (struct str_list){found, start.earlier.count};
    return NULL;
}

// --- the log -------------------------------------------------------------------------------------

static struct error *
find_log(const struct step_run *run, struct aws_session *aws, struct one_off *task)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct ecs_task_definition definition CLEANUP(ecs_task_definition_done) = {0};
    struct ecs_log_stream log = {0};
    if (task->has_log) {
        return NULL;
    }
    TRY(ecs_task_definition_get(aws, task->task_definition, scratch, &definition));
    task->has_log = true;
    if (definition.arn != NULL &&
        ecs_task_log_stream(definition.document, task->container, task->task, scratch, &log)) {
        task->log_group = arena_dup(run->arena, log.group);
        task->log_stream = arena_dup(run->arena, log.name);
        task->log_region = arena_dup(run->arena, log.region);
    }
    return NULL;
}

// An entry may have several lines, and each may try to be a command.
static void
tell_entry(const struct step_run *run, struct arena *arena, const char *entry)
{
    struct buf clean CLEANUP(buf_done) = BUF_INIT(ENTRY_MAX);
    log_sanitize_text(str_of(entry), &clean);
    struct str line = {0}, rest = buf_str(&clean);
    do {
        (void)str_cut(rest, '\n', &line, &rest);
        context_emit(run->context, &(struct deploy_event){.kind = DEPLOY_EVENT_OUTPUT,
                                       .deployment = run->deployment,
                                       .step = run->step,
                                       .text = context_masked(arena, arena_str(arena, line))});
    } while (rest.len > 0);
}

static struct error *
read_log(const struct step_run *run, struct aws_session *aws, struct one_off *task)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct logs_page page = {0};
    TRY(find_log(run, aws, task));
    if (task->log_stream == NULL) {
        return NULL; // another driver: its lines are elsewhere
    }
    const struct logs_stream stream = {.region = task->log_region,
        .group = task->log_group,
        .name = task->log_stream,
        .token = task->log_token};
    do {
        struct logs_stream at = stream;
        at.token = task->log_token;
        TRY(logs_stream_read(aws, &at, scratch, &page));
        for (size_t i = 0; i < page.count; i++) {
            tell_entry(run, scratch, page.events[i].message);
        }
        if (page.token != NULL && !cstr_equal(page.token, task->log_token)) {
            task->log_token = arena_dup(run->arena, page.token);
        }
    } while (page.more && page.count > 0);
    return NULL;
}

// The log is told as far as it can be read: what the task is worth does not hang on it.
static struct error *
follow_log(const struct step_run *run, struct aws_session *aws, struct one_off *task)
{
    struct error *err = read_log(run, aws, task);
    if (err == NULL || error_kind(err) == ERROR_CANCELLED) {
        return err;
    }
    if (aws_is_denied(err)) { // once is enough
        char *text CLEANUP(xfreep) = error_text(err);
        context_emit_text(run->context, run->deployment, DEPLOY_EVENT_WARNING,
            context_clean(run->arena,
                arena_printf(run->arena, "the task's log cannot be read: %s", text), REASON_MAX));
        task->has_log = true;
        task->log_stream = NULL;
    }
    error_free(err);
    return NULL;
}

// --- its end -------------------------------------------------------------------------------------

static const struct ecs_container *
container_of(const struct one_off *task, const struct ecs_task *seen)
{
    for (size_t i = 0; i < seen->container_count; i++) {
        if (cstr_equal(seen->containers[i].name, task->container)) {
            return &seen->containers[i];
        }
    }
    return seen->container_count == 1 ? &seen->containers[0] : NULL;
}

// The reason of a container beats the task's (aws-rollout.md §2.15).
static const char *
why(const struct step_run *run, const struct ecs_task *seen, const struct ecs_container *container)
{
    const char *inner = container != NULL ? container->reason : NULL;
    const char *outer = seen->stopped_reason != NULL ? seen->stopped_reason : seen->stop_code;
    if (inner != NULL && outer != NULL && strcmp(inner, outer) != 0) {
        return arena_printf(run->arena, "%s (%s)", inner, outer);
    }
    return inner != NULL ? inner : outer;
}

static void
end_failed(const struct step_run *run, struct one_off *task, const struct ecs_task *seen,
    const struct ecs_container *container)
{
    const char *cause = why(run, seen, container);
    const char *what = "it ended without an exit code";
    if (task->has_exit_code) {
        what = arena_printf(run->arena, "it ended with exit code %lld", (long long)task->exit_code);
    } else if (cstr_equal(seen->stop_code, "TaskFailedToStart")) {
        what = "it could not be started";
        task->never_started = seen->started_ms == 0;
    }
    task->outcome = "failed";
    task->reason = context_clean(run->arena,
        arena_printf(
            run->arena, "%s%s%s", what, cause != NULL ? ": " : "", cause != NULL ? cause : ""),
        REASON_MAX);
}

// Only an exit code of 0 is success: a task that was stopped, or never started, has none.
static void
end(const struct step_run *run, struct one_off *task, const struct ecs_task *seen)
{
    const struct ecs_container *container = container_of(task, seen);
    task->has_exit_code = container != NULL && container->has_exit_code;
    task->exit_code = task->has_exit_code ? container->exit_code : 0;
    if (task->has_exit_code && task->exit_code == 0) {
        task->outcome = "succeeded";
    } else {
        end_failed(run, task, seen, container);
    }
}

// CloudWatch shows the last lines a moment after the task has ended.
static void
drain_log(const struct step_run *run, struct one_off *task)
{
    int64_t pause = context_tuning_ms(run->context, "DISPATCHER_LOG_DRAIN_MS", DRAIN_MS);
    task->verdict = task->outcome;
    task->outcome = NULL;
    task->drain_mono_ms = clock_mono(run->context->platform->clock) + pause;
}

static struct error *
end_log(const struct step_run *run, struct aws_session *aws, struct one_off *task)
{
    if (clock_mono(run->context->platform->clock) < task->drain_mono_ms) {
        return NULL;
    }
    TRY(follow_log(run, aws, task));
    task->outcome = task->verdict;
    return NULL;
}

struct error *
one_off_look(const struct step_run *run, struct one_off *task)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct aws_session *aws = NULL;
    struct ecs_task seen = {0};
    TRY(provider_aws(run->context, run->deployment, &aws));
    if (task->verdict != NULL) {
        return end_log(run, aws, task);
    }
    TRY(ecs_tasks_describe(aws, task->cluster, &task->task, 1, scratch, &seen));
    TRY(follow_log(run, aws, task));
    if (seen.arn == NULL) {
        task->outcome = "unknown";
        task->reason = arena_printf(run->arena, "ECS knows no task '%s' any more", task->task);
    } else if (cstr_equal(seen.last_status, "STOPPED")) {
        end(run, task, &seen);
        if (task->log_stream != NULL) {
            drain_log(run, task);
        }
    }
    return NULL;
}

struct error *
one_off_stop(const struct step_run *run, const struct one_off *task, const char *reason)
{
    struct aws_session *aws = NULL;
    TRY(provider_aws(run->context, run->deployment, &aws));
    return ecs_task_stop(aws, task->cluster, task->task, reason);
}
