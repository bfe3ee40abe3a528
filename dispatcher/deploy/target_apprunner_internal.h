// Shared by the target_apprunner*.c files: App Runner as a platform of targets (aws-rollout.md
// §3.2, §3.3, §5).
//
//     target_apprunner.c          look, describe, and what the plan says
//     target_apprunner_config.c   settings → what is sent
//     target_apprunner_begin.c    asks for the change, or waits until the service takes one
//     target_apprunner_create.c   asks for a service that does not exist
//     target_apprunner_follow.c   follows the operation by its id; proves what runs
//     target_apprunner_explain.c  why it failed, from the service's own log; marks the release
//     target_apprunner_memory.c   what one process remembers, and its pace
//
// Values of environment variables are never journaled: each of these reads the service again.
#pragma once

#include "dispatcher/apprunner.h"
#include "target_internal.h"

enum { APPRUNNER_FIND_MS = 60 * 1000 };

/// "012345678901.dkr.ecr.us-east-1.amazonaws.com/shop:v2": its parts, in the arena.
struct apprunner_image {
    const char *host, *repository;
    const char *tag;    // NULL when there is none
    const char *digest; // NULL when it is not pinned
};
struct apprunner_image apprunner_image_parse(const char *identifier, struct arena *arena);

// --- target_apprunner_memory.c -----------------------------------------------------------------
/// The session, once it is this call's turn: App Runner does not publish its limits, so a process
/// keeps to a few calls a second.
NODISCARD struct error *apprunner_turn(const struct step_run *run, struct aws_session **out);
/// The services of the account and region, listed once for a process's look; borrowed.
NODISCARD struct error *apprunner_listed(
    const struct step_run *run, struct apprunner_summary **out, size_t *count);
/// What the source of a service was before this process first changed it. Values of variables are
/// in it: it is kept in memory only, and wiped.
void apprunner_remember(const struct step_run *run, const char *arn, const char *source_json);
const char *apprunner_remembered(const struct step_run *run, const char *arn);

// --- target_apprunner.c ------------------------------------------------------------------------
/// DescribeService of the target; ERROR_SPEC when there is none any more.
NODISCARD struct error *apprunner_look_at(const struct step_run *run,
    const struct deployment_target *target, struct arena *arena, struct apprunner_service *out);
/// What an image identifier means now; *digest NULL when the registry does not have it.
NODISCARD struct error *apprunner_image_digest(
    const struct step_run *run, const char *identifier, struct arena *arena, const char **digest);
bool apprunner_is_code(const struct deployment_target *target);
/// A paused service, or one that never came to life. ERROR_CONFLICT with what to do.
NODISCARD struct error *apprunner_check_state(const struct apprunner_service *service);
/// Name of the service for people; from its ARN when that is how the spec names it.
const char *apprunner_name(const struct deployment_target *target, struct arena *arena);

// --- target_apprunner_config.c -----------------------------------------------------------------
// What an update of a service would send.
struct apprunner_plan {
    struct apprunner_update update; // `current` and `source_json` always set
    struct apprunner_health_check health;
    bool changes; // it differs from what the service has
    // What it changes beside the image: of the source, and of the rest: "environment, port"; or
    // NULL.
    const char *source_changes, *other_changes;
};
/// `image`: identifier to run, NULL for a code source. Reads the files that the settings name.
NODISCARD struct error *apprunner_plan_make(const struct step_run *run,
    const struct deployment_target *target, const struct apprunner_service *service,
    const char *image, struct arena *arena, struct apprunner_plan *out);
/// A request that makes the service. ERROR_SPEC says what is missing.
NODISCARD struct error *apprunner_create_make(const struct step_run *run,
    const struct deployment_target *target, const char *image, struct arena *arena,
    struct apprunner_create *out, struct apprunner_health_check *health);
/// The same check before anything is changed.
NODISCARD struct error *apprunner_create_check(
    const struct step_run *run, const struct deployment_target *target);

/// Whose the service is, for people and for the search of services without a worker; and once
/// something was rolled out, the version and its digest.
void apprunner_tags_make(const struct step_run *run, const struct deployment_target *target,
    struct arena *arena, struct pair_list *out);

// --- target_apprunner_begin.c ------------------------------------------------------------------
struct error *apprunner_begin(const struct step_run *run, const struct target_move *at);
/// Leaves the move to be begun later, and says why.
struct error *apprunner_queue(
    const struct step_run *run, struct deployment_move *move, const char *why);
/// The intent is durable before the request: state, asked_ms, earlier_id.
NODISCARD struct error *apprunner_intend(const struct step_run *run, const struct target_move *at,
    struct aws_session *aws, const char *newest);
/// What follows from the answer to the request (err is consumed).
struct error *apprunner_answered(const struct step_run *run, const struct target_move *at,
    struct error *err, const struct apprunner_start *started);
/// An earlier request may have arrived, and `err` (consumed) is why that cannot be looked up now.
struct error *apprunner_cannot_see(
    const struct step_run *run, const struct target_move *at, struct error *err);
/// Nothing shows that an earlier request has arrived: waits on, asks again, or gives up.
/// *again: ask.
struct error *apprunner_doubt(
    const struct step_run *run, const struct target_move *at, bool *again);

// --- target_apprunner_create.c -----------------------------------------------------------------
struct error *apprunner_begin_create(const struct step_run *run, const struct target_move *at);

// --- target_apprunner_follow.c -----------------------------------------------------------------
struct error *apprunner_refresh(
    const struct step_run *run, const struct target_move *moves, size_t count);
struct error *apprunner_prove(
    const struct step_run *run, struct deployment_target *target, const char *digest);
/// Operations of the service, newest first, down to and including `until_id` where that is known.
NODISCARD struct error *apprunner_operations(const struct step_run *run, const char *arn,
    const char *until_id, struct arena *arena, struct apprunner_operation **out, size_t *count);
/// The operation that this move's request made, among those newer than move->earlier_id; NULL when
/// none can be. `service` may be NULL: nothing is compared with it then.
const struct apprunner_operation *apprunner_own_operation(const struct target_move *at,
    const struct apprunner_service *service, const struct apprunner_operation *list, size_t count);

// --- target_apprunner_explain.c ----------------------------------------------------------------
void apprunner_explain(const struct step_run *run, const struct target_move *at);
/// The reason from the service's log into move->reason and the target's evidence. Best effort.
void apprunner_read_reason(const struct step_run *run, const struct target_move *at);
void apprunner_record(const struct step_run *run, struct deployment_target *target);
