// How many tasks of which revision a service has: more of the new, fewer of the old.
#include <string.h>

#include "aws_ecs_internal.h"
#include "dispatcher/memory.h"

// Containers whose digest is not pinned are looked up anew for each task.
static bool
is_pinned(const struct ecs_definition *definition)
{
    const struct json *containers = json_get(definition->document, "containerDefinitions");
    for (size_t i = 0; i < json_count(containers); i++) {
        const struct json *consistency = json_get(json_at(containers, i), "versionConsistency");
        if (cstr_equal(json_str(consistency), "disabled")) {
            return false;
        }
    }
    return true;
}

struct ecs_task *
sandbox_ecs_capacity_add(struct sandbox *sandbox, struct ecs_service *service,
    struct ecs_classic *classic, int64_t now_ms, int64_t run_at_ms)
{
    struct ecs_revision *revision = classic->revision;
    struct ecs_task *task =
        sandbox_ecs_task_add(sandbox, service->cluster, revision->definition, now_ms);
    const char *problem = NULL;
    task->service = service;
    task->classic = classic;
    task->revision = revision;
    task->images = is_pinned(revision->definition)
                       ? revision->images
                       : sandbox_ecs_images(sandbox, revision->definition, &problem);
    task->tags = service->tags;
    task->run_at_ms = run_at_ms;
    sandbox_ecs_task_list_add(&service->live, task);
    return task;
}

static void
start_event(struct sandbox *sandbox, struct ecs_service *service, int64_t now_ms, size_t from)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(4096);
    size_t count = service->live.count - from;
    for (size_t i = from; i < service->live.count && i < from + 10; i++) {
        buf_printf(&text, " (task %s)", service->live.items[i]->id);
    }
    if (count > 0) {
        sandbox_ecs_service_event(sandbox, service, now_ms,
            "(service %s) has started %zu tasks:%s.", service->name, count, buf_cstr(&text));
    }
}

void
sandbox_ecs_capacity_start(
    struct sandbox *sandbox, struct ecs_deployment *deployment, int64_t now_ms, int64_t within_ms)
{
    struct ecs_service *service = deployment->service;
    size_t from = service->live.count;
    bool fails = deployment->failure_every_ms > 0;
    for (int64_t i = 0; i < service->desired; i++) {
        int64_t run_at = now_ms + within_ms * (20 + 60 * (i + 1) / service->desired) / 100;
        if (fails) {
            run_at = deployment->failing.never_ran ? ECS_NEVER
                                                   : now_ms + deployment->failure_every_ms / 2;
        }
        struct ecs_task *task =
            sandbox_ecs_capacity_add(sandbox, service, deployment->classic, now_ms, run_at);
        task->is_faulty = fails;
        task->scenario = fails ? deployment->scenario : NULL;
        if (deployment->course == ECS_WRONG_DIGEST) {
            task->wrong_digest = sandbox_ecs_scenario_text(deployment->scenario, "digest",
                sandbox_ecs_made_digest(sandbox->aws->ecs, deployment->arn));
        }
    }
    start_event(sandbox, service, now_ms, from);
}

static void
retire(struct sandbox *sandbox, struct ecs_task *task, int64_t now_ms)
{
    struct ecs_service *service = task->service;
    const struct ecs_ending ending = {.stop_code = "ServiceSchedulerInitiated",
        .stopped_reason = arena_printf(sandbox->aws->ecs->arena,
            "Scaling activity initiated by (deployment %s)", service->classics[0]->id),
        .has_exit_code = task->started_ms > 0,
        .exit_code = 0};
    sandbox_ecs_service_event(sandbox, service, now_ms,
        "(service %s) has stopped 1 running tasks: (task %s).", service->name, task->id);
    sandbox_ecs_task_end(sandbox, task, now_ms, &ending);
}

void
sandbox_ecs_capacity_retire_of(struct sandbox *sandbox, struct ecs_service *service,
    const struct ecs_classic *of, int64_t now_ms, int64_t most)
{
    for (size_t i = 0; i < service->live.count && most > 0;) {
        struct ecs_task *task = service->live.items[i];
        if (task->classic == of) {
            retire(sandbox, task, now_ms); // the next one has its place now
            most--;
        } else {
            i++;
        }
    }
}

void
sandbox_ecs_capacity_retire_but(struct sandbox *sandbox, struct ecs_service *service,
    const struct ecs_classic *but, int64_t now_ms, int64_t most)
{
    for (size_t i = 0; i < service->live.count && most > 0;) {
        struct ecs_task *task = service->live.items[i];
        if (task->classic != but) {
            retire(sandbox, task, now_ms);
            most--;
        } else {
            i++;
        }
    }
}

void
sandbox_ecs_capacity_drop_pending(struct sandbox *sandbox, struct ecs_service *service,
    const struct ecs_classic *of, int64_t now_ms)
{
    for (size_t i = 0; i < service->live.count;) {
        struct ecs_task *task = service->live.items[i];
        if (task->classic == of && task->started_ms == 0) {
            retire(sandbox, task, now_ms);
        } else {
            i++;
        }
    }
}

struct ecs_counts
sandbox_ecs_capacity_count(const struct ecs_service *service, const struct ecs_classic *classic,
    const struct ecs_revision *revision)
{
    struct ecs_counts counts = {0};
    for (size_t i = 0; i < service->live.count; i++) {
        const struct ecs_task *task = service->live.items[i];
        if ((classic == NULL || task->classic == classic) &&
            (revision == NULL || task->revision == revision)) {
            counts.running += task->started_ms > 0;
            counts.pending += task->started_ms == 0;
        }
    }
    return counts;
}

void
sandbox_ecs_capacity_fit(
    struct sandbox *sandbox, struct ecs_service *service, int64_t now_ms, int64_t run_at_ms)
{
    struct ecs_classic *primary = service->classic_count > 0 ? service->classics[0] : NULL;
    if (primary == NULL) {
        return;
    }
    struct ecs_counts counts = sandbox_ecs_capacity_count(service, primary, NULL);
    int64_t missing = service->desired - counts.running - counts.pending;
    size_t from = service->live.count;
    for (int64_t i = 0; i < missing; i++) {
        (void)sandbox_ecs_capacity_add(sandbox, service, primary, now_ms, run_at_ms);
    }
    start_event(sandbox, service, now_ms, from);
    if (missing < 0) {
        sandbox_ecs_capacity_retire_of(sandbox, service, primary, now_ms, -missing);
    }
}
