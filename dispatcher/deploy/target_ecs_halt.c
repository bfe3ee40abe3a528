// A rollback while a deployment is under way. When that one started from the release which is
// wanted, stopping it is the shortest way back: ECS does the rest, and nothing new is deployed
// (aws-rollout.md §4 "One-click rollback"). Else, or where it may not be stopped, the release is
// rolled out like any other.
#include <string.h>

#include "dispatcher/memory.h"
#include "target_ecs_internal.h"

static const char *
digest_in(const struct deployment_target *target, const struct ecs_revision *revision)
{
    for (size_t i = 0; i < revision->image_count; i++) {
        const struct ecs_revision_image *image = &revision->images[i];
        if (revision->image_count == 1 || cstr_equal(image->container, target->want.container)) {
            return image->digest != NULL ? image->digest : target_image_digest(image->image);
        }
    }
    return NULL;
}

/// Digest of the release that the deployment goes back to when it is stopped; NULL: none.
static struct error *
read_source(struct aws_session *aws, const struct deployment_target *target, const char *id,
    struct arena *arena, const char **digest)
{
    struct ecs_deployment now = {0};
    struct ecs_revision revision = {0};
    *digest = NULL;
    TRY(ecs_deployments_describe(aws, &id, 1, arena, &now));
    bool goes_on = now.state == ECS_STATE_PENDING || now.state == ECS_STATE_RUNNING;
    if (now.arn == NULL || !goes_on || now.source_count != 1 ||
        now.sources[0].revision_arn == NULL) {
        return NULL;
    }
    TRY(ecs_revisions_describe(aws, &now.sources[0].revision_arn, 1, arena, &revision));
    *digest = revision.arn != NULL ? digest_in(target, &revision) : NULL;
    return NULL;
}

struct error *
target_ecs_look_for_halt(const struct step_run *run, struct deployment_target *target)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct aws_session *aws = NULL;
    struct ecs_service service = {0};
    const char *digest = NULL;
    const struct deployment *d = run->deployment;
    const char *wanted = deployment_service_at(d, (size_t)target->service)->digest;
    TRY(provider_aws(run->context, d, &aws));
    TRY(target_ecs_describe(run, target, scratch, &service));
    if (service.current_deployment == NULL) {
        return NULL;
    }
    struct error *err = read_source(aws, target, service.current_deployment, scratch, &digest);
    if (err != NULL && !target_ecs_is_unreadable(run, err)) {
        return err;
    }
    error_free(err);
    if (digest != NULL && cstr_equal(digest, wanted)) {
        target->halts = arena_dup(run->arena, service.current_deployment);
        target->note = arena_printf(run->arena,
            "stops the deployment that is under way: ECS goes back to '%s' by itself", d->version);
    } else {
        target->note = arena_printf(run->arena,
            "%s, over a deployment that is under way and did not start from it", target->note);
    }
    return NULL;
}

static void
forget(struct deployment_target *target, struct deployment_move *move)
{
    target->halts = NULL;
    *move = (struct deployment_move){.revision = move->revision, .digest = move->digest};
}

static void
warn(const struct step_run *run, const struct deployment_target *target, const char *why)
{
    context_emit_text(run->context, run->deployment, DEPLOY_EVENT_WARNING,
        context_clean(run->arena,
            arena_printf(run->arena, "'%s': '%s' is rolled out anew: %s", target->name,
                run->deployment->version, why),
            400));
}

struct error *
target_ecs_halt(const struct step_run *run, const struct target_move *at, bool *asked)
{
    struct deployment_target *target = at->target;
    struct deployment_move *move = at->move;
    move->digest = deployment_service_at(run->deployment, (size_t)target->service)->digest;
    move->id = target->halts;
    move->halting = true;
    move->state = "intent";
    TRY(engine_save(run, "waiting", NULL));
    struct error *err = target_ecs_stop(run, at);
    // A lost answer is no doubt: how the deployment goes on shows whether it was stopped.
    bool in_doubt = err != NULL && error_remote_of(err)->request_left;
    *asked = err == NULL || in_doubt;
    if (err != NULL && error_kind(err) == ERROR_CANCELLED) {
        return err;
    }
    if (*asked) {
        move->state = "sent";
    } else {
        char *text CLEANUP(xfreep) = error_text(err);
        forget(target, move);
        warn(run, target, text);
    }
    error_free(err);
    return engine_save(run, "waiting", NULL);
}

void
target_ecs_end_halt(
    const struct step_run *run, const struct target_move *at, const struct ecs_deployment *now)
{
    if (now->state == ECS_STATE_ROLLED_BACK) {
        target_end_move(run, at->move, "succeeded", NULL);
        return;
    }
    forget(at->target, at->move); // begun anew at the next look
    warn(run, at->target,
        arena_printf(run->arena, "the deployment that was to be stopped ended as %s", now->status));
}
