// Shared by the files about ECS: services that run tasks, be they Express Mode's or not
// (facts/aws-rollout.md §3.3, §5).
//
//     target_ecs.c          look, describe, begin
//     target_ecs_service.c  the service as it is
//     target_ecs_revision.c the task definition that is rolled out
//     target_ecs_variables.c  its container's variables
//     target_ecs_find.c     which service deployment is ours
//     target_ecs_follow.c   refresh, stop
//     target_ecs_classic.c  the same by the classic ids, without service deployments
//     target_ecs_halt.c     a rollback that stops what is under way
//     target_ecs_evidence.c why it fails
//     target_ecs_proof.c    what runs
//     target_ecs_inspect.c  what a rollout needs to be there
//     target_express.c      Express Mode; target_express_container.c: what is sent of it
#pragma once

#include "dispatcher/ecs.h"
#include "target_internal.h"

// Tags of the task definitions that we register.
#define TARGET_TAG_VERSION "dispatcher:version"
#define TARGET_TAG_DIGEST "dispatcher:digest"
#define TARGET_TAG_DEPLOYMENT "dispatcher:deployment"
#define TARGET_TAG_PROVEN "dispatcher:proven"

/// Where clocks may differ without anybody noticing: AWS takes signatures five minutes off.
enum { TARGET_CLOCK_SLACK_MS = 5 * 60 * 1000 };

// --- target_ecs_service.c ----------------------------------------------------------------------
const char *target_cluster(const struct deployment_target *target);
/// What is asked for in its cluster: the ARN of an Express service, else the name.
const char *target_service_name(const struct deployment_target *target);
/// After the last slash: "shop:41", "0123abc".
const char *target_short(const char *arn);
/// The platform's wall clock.
int64_t target_now_ms(const struct step_run *run, const struct aws_session *aws);
/// DescribeServices. out->arn NULL when there is no such service; a missing cluster is ERROR_SPEC.
NODISCARD struct error *target_ecs_describe(const struct step_run *run,
    const struct deployment_target *target, struct arena *arena, struct ecs_service *out);
/// The same for a service that must be there, ACTIVE, ours to update, and (unless allow_zero)
/// wanted to run.
NODISCARD struct error *target_ecs_service(const struct step_run *run,
    const struct deployment_target *target, struct arena *arena, struct ecs_service *out);
/// The row that new tasks belong to; NULL when there is none.
const struct ecs_classic *target_ecs_primary(const struct ecs_service *service);
/// Has everything come to rest on one revision?
bool target_ecs_is_settled(const struct ecs_service *service);
/// Digest of "…@sha256:…"; NULL when the image is not pinned.
const char *target_image_digest(const char *image);
/// "registry/repository@digest" of the service's image. ERROR_SPEC for a target built from source.
NODISCARD struct error *target_image(
    const struct step_run *run, const struct deployment_target *target, const char **out);

// --- target_ecs.c ------------------------------------------------------------------------------
/// What is not as it should be, for the plan.
void target_ecs_note_service(const struct step_run *run, const struct deployment_target *target,
    const struct ecs_service *service);
// A change is asked for in three parts, so that a killed process knows what it had done.
/// Writes down what is under way before we ask, and the intent.
NODISCARD struct error *target_ecs_intend(
    const struct step_run *run, const struct target_move *at, const struct ecs_service *before);
/// After the answer: the classic id and the platform's time, as far as `after` (may be NULL) shows
/// them. The move is "sent".
NODISCARD struct error *target_ecs_sent(
    const struct step_run *run, const struct target_move *at, const struct ecs_service *after);
/// Does the service show that the change has been asked for (after a lost answer, or on resume)?
/// `what`: the revision that is to be seen. True: the move is "sent".
NODISCARD struct error *target_ecs_was_asked(
    const struct step_run *run, const struct target_move *at, const char *what, bool *asked);
/// After an error of the request (consumed): NULL when `check`, as above, finds it done after all.
NODISCARD struct error *target_ecs_settle_doubt(const struct step_run *run,
    const struct target_move *at, const char *what,
    struct error *(*check)(
        const struct step_run *run, const struct target_move *at, const char *what, bool *asked),
    struct error *err);

// --- target_ecs_revision.c ---------------------------------------------------------------------
/// The task definition with the image pinned: the service's own when it has it already, the one
/// that an earlier process of this deployment registered, or a new one.
NODISCARD struct error *target_ecs_revision(const struct step_run *run,
    struct deployment_target *target, const char *current, const char **out);
/// ops->release: the newest of the family's last 50 revisions that was registered for this version
/// with this digest. Leaves it NULL also when they may not be listed.
NODISCARD struct error *target_ecs_release(
    const struct step_run *run, struct deployment_target *target);
/// `force_new_deployment`: does the image of the current revision mean our digest? ERROR_CONFLICT
/// when it does not.
NODISCARD struct error *target_ecs_check_forced(
    const struct step_run *run, struct deployment_target *target, const char *current);
/// Where a move back goes: `before`, or a pinned copy of it where its tag means another image now.
NODISCARD struct error *target_ecs_revision_before(
    const struct step_run *run, struct deployment_target *target, const char **out);

// --- target_ecs_variables.c --------------------------------------------------------------------
/// The plain variables that the spec names, from all of its sources.
NODISCARD struct error *target_variables(const struct step_run *run,
    const struct deployment_target *target, struct arena *arena, struct pair_list *out);
/// Sets what the spec names in `environment` and `secrets` of a container; the rest stays.
NODISCARD struct error *target_ecs_set_variables(
    const struct step_run *run, const struct deployment_target *target, struct json *container);

// --- target_express_container.c ----------------------------------------------------------------
/// The container that runs what CreateExpressGatewayService calls primaryContainer.
#define TARGET_EXPRESS_CONTAINER "Main"
/// Port and variables that the spec names, in all active configurations alike. Did the newest
/// change?
NODISCARD struct error *target_express_apply(const struct step_run *run,
    const struct deployment_target *target, struct arena *arena, struct ecs_express *express,
    bool *changed);
/// Port and variables of before, where a rollout may have changed them.
NODISCARD struct error *target_express_apply_before(const struct step_run *run,
    const struct deployment_target *target, struct arena *arena, struct ecs_express *express);
/// The image of before, by its digest: a tag may mean another one today.
NODISCARD struct error *target_express_image_before(
    const struct step_run *run, const struct deployment_target *target, const char **out);

// --- target_ecs_find.c -------------------------------------------------------------------------
// What one look saw of one move.
struct target_sight {
    const struct target_move *at;
    bool there;                  // the service is, and is ACTIVE
    const char *status;          // of the service
    const char *task_definition; // that it is set to
    const char *current;         // service deployment under way
    int64_t desired;
    struct ecs_classic primary, own; // id NULL: none
    bool use_classic;                // this time
};
/// Finds the ids of those that have none yet.
NODISCARD struct error *target_ecs_find(
    const struct step_run *run, struct aws_session *aws, struct target_sight *sights, size_t count);
/// Is there a service deployment of the move's service that is newer than `deployment`? In words.
NODISCARD struct error *target_ecs_successor(const struct step_run *run, struct aws_session *aws,
    const struct target_sight *sight, const struct ecs_deployment *deployment, const char **out);
/// May service deployments not be read, here or at all? Says so once.
bool target_ecs_is_unreadable(const struct step_run *run, const struct error *err);

// --- target_ecs_follow.c -----------------------------------------------------------------------
NODISCARD struct error *target_ecs_refresh(
    const struct step_run *run, const struct target_move *moves, size_t count);
NODISCARD struct error *target_ecs_stop(const struct step_run *run, const struct target_move *at);
/// The PAUSE hook that the deployment stands at, or NULL.
const struct ecs_hook *target_ecs_waiting_hook(const struct ecs_deployment *deployment);

// --- target_ecs_classic.c ----------------------------------------------------------------------
void target_ecs_apply_classic(const struct step_run *run, const struct target_sight *sight);

// --- target_ecs_halt.c -------------------------------------------------------------------------
/// Rollback: sets target->halts when stopping what is under way leads to the release, and the note.
NODISCARD struct error *target_ecs_look_for_halt(
    const struct step_run *run, struct deployment_target *target);
/// Asks for that. *asked false: it may not be stopped, and the move is as new.
NODISCARD struct error *target_ecs_halt(
    const struct step_run *run, const struct target_move *at, bool *asked);
/// It has come to an end: rolled back is what was wanted, anything else leaves the move as new.
void target_ecs_end_halt(
    const struct step_run *run, const struct target_move *at, const struct ecs_deployment *now);

// --- target_ecs_evidence.c ---------------------------------------------------------------------
/// While it goes on: looks for stopped tasks when more have failed than before.
void target_ecs_early(const struct step_run *run, const struct target_move *at, int64_t failures);
/// Service events since the last look that tell of trouble.
void target_ecs_read_events(
    const struct step_run *run, const struct target_move *at, const struct ecs_service *service);
void target_ecs_explain(const struct step_run *run, const struct target_move *at);

// --- target_ecs_inspect.c ----------------------------------------------------------------------
#define TARGET_ECS_TASKS "ecs-tasks.amazonaws.com" // whom the roles of tasks trust
void target_ecs_inspect(
    const struct step_run *run, const struct deployment_target *target, struct findings *findings);

// --- target_ecs_proof.c ------------------------------------------------------------------------
NODISCARD struct error *target_ecs_prove(
    const struct step_run *run, struct deployment_target *target, const char *digest);
/// At rest, and `digest` is proven to run: a move to it has nothing to do. target->proven is left
/// false, for the step to prove it aloud.
NODISCARD struct error *target_ecs_is_done(const struct step_run *run,
    struct deployment_target *target, const struct ecs_service *service, const char *digest,
    bool *done);
void target_ecs_record(const struct step_run *run, struct deployment_target *target);
/// The container of the target in a task of it; NULL when it cannot be told.
const struct ecs_container *target_ecs_container(const struct step_run *run,
    const struct deployment_target *target, const struct ecs_task *task);
/// The digest that all running tasks have in common; NULL when there is none. Best effort.
const char *target_ecs_common_digest(
    const struct step_run *run, const struct deployment_target *target);
