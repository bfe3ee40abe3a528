// What runs: the digests that ECS tells of the running tasks, against the one that was asked for. A
// task may call a multi-arch image by the digest of its platform.
#include <string.h>

#include "dispatcher/memory.h"
#include "target_ecs_internal.h"

static struct error *
running_tasks(const struct step_run *run, const struct deployment_target *target,
    struct arena *arena, struct ecs_task **tasks, size_t *count)
{
    struct aws_session *aws = NULL;
    struct str_list arns = {0};
    const struct ecs_task_filter filter = {
        .cluster = target_cluster(target),
        .service = target->want.service,
        .desired_status = "RUNNING",
    };
    TRY(provider_aws(run->context, run->deployment, &aws));
    struct error *err = ecs_tasks_list(aws, &filter, arena, &arns);
    if (aws_has_code(err, "ServiceNotFoundException")) { // the service itself is asked about next
        error_free(err);
        return NULL;
    }
    TRY(err);
    *tasks = arena_array(arena, arns.count, sizeof(**tasks));
    *count = arns.count;
    return arns.count > 0 ? ecs_tasks_describe(
                                aws, target_cluster(target), arns.items, arns.count, arena, *tasks)
                          : NULL;
}

static bool
is_running(const struct ecs_task *task)
{
    return task->arn != NULL && cstr_equal(task->last_status, "RUNNING") &&
           cstr_equal(task->desired_status, "RUNNING");
}

// "registry/repository" of the image, before tag and digest.
static bool
is_of_repository(const struct step_run *run, const struct deployment_target *target,
    const struct ecs_container *container)
{
    const struct deployment_service *service =
        deployment_service_at(run->deployment, (size_t)target->service);
    char *name CLEANUP(xfreep) = xasprintf("%s/%s", service->registry, service->repository);
    size_t len = strlen(name);
    return container->image != NULL && strncmp(container->image, name, len) == 0 &&
           (container->image[len] == ':' || container->image[len] == '@' ||
               container->image[len] == '\0');
}

const struct ecs_container *
target_ecs_container(
    const struct step_run *run, const struct deployment_target *target, const struct ecs_task *task)
{
    const struct ecs_container *found = NULL;
    for (size_t i = 0; i < task->container_count; i++) {
        const struct ecs_container *container = &task->containers[i];
        bool is_it = target->want.container != NULL
                         ? cstr_equal(container->name, target->want.container)
                         : task->container_count == 1 || is_of_repository(run, target, container);
        found = found == NULL && is_it ? container : found;
    }
    return found;
}

// What was pulled; an old agent does not say, but an image that is pinned can be nothing else.
static const char *
digest_of(const struct ecs_container *container)
{
    return container->digest != NULL ? container->digest : target_image_digest(container->image);
}

// --- counting ------------------------------------------------------------------------------------

struct tally {
    size_t running, matching;
    const char *other; // a digest that was not asked for
    bool is_silent;    // ECS does not tell some digest
};

struct index_memory {
    const char *known; // a platform of the image
};

static struct error *
is_same_image(const struct step_run *run, const struct deployment_target *target,
    const char *wanted, const char *seen, struct index_memory *memory, bool *out)
{
    struct registry_client *registry = NULL;
    *out = cstr_equal(seen, wanted) || cstr_equal(seen, memory->known);
    if (*out || seen == NULL || target->service < 0) {
        return NULL;
    }
    const struct deployment_service *service =
        deployment_service_at(run->deployment, (size_t)target->service);
    TRY(provider_registry(run->context, run->deployment, service->registry, &registry));
    struct error *err = registry_index_holds(registry, service->repository, wanted, seen, out);
    if (err != NULL) {
        return error_wrap(err, "ask whether '%s' belongs to '%s'", seen, wanted);
    }
    memory->known = *out ? seen : memory->known;
    return NULL;
}

static struct error *
count_tasks(const struct step_run *run, const struct deployment_target *target, const char *wanted,
    struct arena *arena, struct tally *out)
{
    struct ecs_task *tasks = NULL;
    size_t count = 0;
    struct index_memory memory = {0};
    TRY(running_tasks(run, target, arena, &tasks, &count));
    for (size_t i = 0; i < count; i++) {
        bool same = false;
        if (!is_running(&tasks[i])) {
            continue;
        }
        const struct ecs_container *container = target_ecs_container(run, target, &tasks[i]);
        const char *seen = container != NULL ? digest_of(container) : NULL;
        bool is_known_other = seen != NULL && cstr_equal(seen, out->other);
        if (!is_known_other) {
            TRY(is_same_image(run, target, wanted, seen, &memory, &same));
        }
        out->running++;
        out->matching += same ? 1 : 0;
        out->is_silent = out->is_silent || seen == NULL;
        out->other = !same && seen != NULL ? seen : out->other;
    }
    return NULL;
}

const char *
target_ecs_common_digest(const struct step_run *run, const struct deployment_target *target)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct ecs_task *tasks = NULL;
    size_t count = 0;
    const char *common = NULL;
    struct error *err = running_tasks(run, target, scratch, &tasks, &count);
    if (err != NULL) { // it is not needed: what is put back is then not compared
        error_free(err);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        const struct ecs_container *container = target_ecs_container(run, target, &tasks[i]);
        const char *seen = container != NULL ? digest_of(container) : NULL;
        if (!is_running(&tasks[i])) {
            continue;
        }
        if (seen == NULL || (common != NULL && strcmp(common, seen) != 0)) {
            return NULL;
        }
        common = seen;
    }
    return arena_dup(run->arena, common);
}

// --- the proof -----------------------------------------------------------------------------------

static const char *
put_tally(const struct step_run *run, const struct tally *tally, const char *digest)
{
    size_t wrong = tally->running - tally->matching;
    if (tally->running == 0) {
        return "no task runs";
    }
    if (wrong == 0) {
        return arena_printf(run->arena, "%zu of %zu task%s run%s %s", tally->matching,
            tally->running, tally->running == 1 ? "" : "s", tally->running == 1 ? "s" : "", digest);
    }
    if (tally->other == NULL) {
        return arena_printf(
            run->arena, "ECS does not tell the digest of %zu of %zu tasks", wrong, tally->running);
    }
    return arena_printf(run->arena, "%zu of %zu task%s run%s %s instead of %s", wrong,
        tally->running, tally->running == 1 ? "" : "s", wrong == 1 ? "s" : "",
        context_clean(run->arena, tally->other, 100), digest);
}

// Nobody wants a task: all that there is to prove is what one would run.
static bool
is_empty_on_purpose(const struct deployment_target *target, const struct ecs_service *service,
    const struct tally *tally)
{
    return tally->running == 0 && service->desired == 0 && target->want.allow_zero &&
           !cstr_equal(service->scheduling, "DAEMON");
}

// Somebody set the service to something else after our rollout had ended.
static struct error *
check_still_ours(const struct step_run *run, const struct deployment_target *target,
    const struct ecs_service *service)
{
    const struct deployment_move *move =
        target->back.state != NULL ? &target->back : &target->forward;
    bool is_ecs = strcmp(target->want.kind, target_ecs.kind) == 0;
    if (!is_ecs || move->revision == NULL || !cstr_equal(move->outcome, "succeeded") ||
        cstr_equal(service->task_definition, move->revision)) {
        return NULL;
    }
    return error_new(ERROR_SUPERSEDED, "'%s': somebody set service '%s' to %s since", target->name,
        target->want.service,
        context_clean(run->arena, target_short(service->task_definition), 160));
}

static void
put_proof(const struct step_run *run, struct deployment_target *target, const struct tally *tally,
    const char *digest, const char *proof)
{
    const char *seen = tally->other != NULL ? tally->other : tally->running > 0 ? digest : NULL;
    (void)target_set_text(run->arena, &target->running_digest, seen);
    (void)target_set_text(
        run->arena, &target->proof, proof != NULL ? proof : put_tally(run, tally, digest));
}

// The tasks do not say it: the service may.
static struct error *
ask_service(const struct step_run *run, struct deployment_target *target, struct arena *arena,
    const struct tally *tally, const char **proof)
{
    struct ecs_service service = {0};
    TRY(target_ecs_describe(run, target, arena, &service));
    if (service.arn == NULL || !cstr_equal(service.status, "ACTIVE")) {
        *proof = arena_printf(arena, "service '%s' is %s", target->want.service,
            service.arn != NULL ? service.status : "gone");
        return NULL;
    }
    TRY(check_still_ours(run, target, &service));
    if (is_empty_on_purpose(target, &service, tally)) {
        target->proven = true;
        *proof = "no task is wanted, as 'allow_zero' says; the next one will run it";
    }
    return NULL;
}

struct error *
target_ecs_prove(const struct step_run *run, struct deployment_target *target, const char *digest)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct tally tally = {0};
    const char *proof = NULL;
    TRY(count_tasks(run, target, digest, scratch, &tally));
    target->proven = tally.running > 0 && tally.matching == tally.running;
    if (!target->proven) {
        TRY(ask_service(run, target, scratch, &tally, &proof));
    }
    put_proof(run, target, &tally, digest, proof);
    return NULL;
}

// Set to this revision already: nothing is to be done when that is what runs, and else a deployment
// of our own shows what keeps it from running.
struct error *
target_ecs_is_done(const struct step_run *run, struct deployment_target *target,
    const struct ecs_service *service, const char *digest, bool *done)
{
    *done = false;
    if (digest == NULL || !target_ecs_is_settled(service)) {
        return NULL;
    }
    TRY(target_ecs_prove(run, target, digest));
    *done = target->proven;
    target->proven = false; // the step proves it once more, aloud
    return NULL;
}

// The ledger on the platform: which revisions have been proven to run (aws-rollout.md §5.4).
void
target_ecs_record(const struct step_run *run, struct deployment_target *target)
{
    struct aws_session *aws = NULL;
    char stamp[21];
    if (target->want.force_new_deployment || target->forward.revision == NULL) {
        return; // its image is a tag, which says nothing tomorrow
    }
    clock_format_rfc3339(clock_wall(run->context->platform->clock), stamp);
    const struct pair tag = {TARGET_TAG_PROVEN, stamp};
    struct error *err = provider_aws(run->context, run->deployment, &aws);
    if (err == NULL) {
        err = ecs_tags_add(aws, target->forward.revision, &tag, 1);
    }
    if (err != NULL) {
        char *text CLEANUP(xfreep) = error_text(err);
        error_free(err);
        context_emit_text(run->context, run->deployment, DEPLOY_EVENT_WARNING,
            context_clean(run->arena,
                arena_printf(run->arena, "cannot mark %s as proven: %s",
                    target_short(target->forward.revision), text),
                400));
    }
}
