// Following by the classic list of `deployments`, for credentials that may not read service
// deployments: its id is PRIMARY and COMPLETED, or it failed (aws-rollout.md §3.3, "Fallback").
// What took its place tells whether it was rolled back.
#include <string.h>

#include "target_ecs_internal.h"

static const char *
before_of(const struct target_sight *sight)
{
    const struct deployment_target *target = sight->at->target;
    return sight->at->move == &target->forward ? target->before : target->forward.revision;
}

// The one that we asked for, when the answer to UpdateService did not show it.
static void
take_primary(const struct step_run *run, const struct target_sight *sight)
{
    struct deployment_move *move = sight->at->move;
    const struct ecs_classic *primary = &sight->primary;
    bool is_ours = primary->id != NULL && !cstr_equal(primary->id, move->earlier_classic) &&
                   cstr_equal(primary->task_definition, move->revision);
    if (move->classic_id == NULL && is_ours) {
        move->classic_id = arena_dup(run->arena, primary->id);
    }
}

static void
put_counts(const struct step_run *run, const struct target_sight *sight)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    const struct ecs_classic *own = &sight->own;
    const char *failed = own->failed_tasks > 0
                             ? arena_printf(scratch, "; %lld failed", (long long)own->failed_tasks)
                             : "";
    (void)target_set_text(run->arena, &sight->at->move->progress,
        arena_printf(scratch, "%lld of %lld tasks run%s", (long long)own->running,
            (long long)own->desired, failed));
    (void)target_set_text(run->arena, &sight->at->move->status, own->rollout_state);
}

// Another deployment is PRIMARY: back to the revision of before, or somebody's own.
static void
follow_other(const struct step_run *run, const struct target_sight *sight)
{
    struct deployment_move *move = sight->at->move;
    const struct ecs_classic *primary = &sight->primary;
    const char *why =
        sight->own.rollout_reason != NULL ? sight->own.rollout_reason : primary->rollout_reason;
    bool is_rollback = cstr_equal(primary->task_definition, before_of(sight)) &&
                       !cstr_equal(primary->task_definition, move->revision);
    if (!is_rollback) {
        target_end_move(run, move, "superseded",
            arena_printf(run->arena, "deployment '%s' to %s came after it", primary->id,
                target_short(primary->task_definition)));
        return;
    }
    move->rolling_back = true;
    (void)target_set_text(run->arena, &move->reason, why != NULL ? why : move->reason);
    if (cstr_equal(primary->rollout_state, "COMPLETED")) {
        target_end_move(run, move, "rolled-back", NULL);
    } else if (cstr_equal(primary->rollout_state, "FAILED")) {
        target_end_move(run, move, "rollback-failed", NULL);
    }
}

void
target_ecs_apply_classic(const struct step_run *run, const struct target_sight *sight)
{
    struct deployment_move *move = sight->at->move;
    take_primary(run, sight);
    if (move->classic_id == NULL || sight->primary.id == NULL) {
        return;
    }
    if (sight->own.id != NULL) {
        put_counts(run, sight);
        target_ecs_early(run, sight->at, sight->own.failed_tasks);
    }
    if (!cstr_equal(sight->primary.id, move->classic_id)) {
        follow_other(run, sight);
    } else if (cstr_equal(sight->primary.rollout_state, "COMPLETED")) {
        target_end_move(run, move, "succeeded", NULL);
    } else if (cstr_equal(sight->primary.rollout_state, "FAILED")) {
        target_end_move(run, move, "failed", sight->primary.rollout_reason);
    }
}
