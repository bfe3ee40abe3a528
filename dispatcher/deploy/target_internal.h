// Targets: what the platforms that run services have in common, so that one loop drives them all.
//
// A target is *moved*: the platform is asked for a change (begin), the id that it created is
// followed to a terminal state (refresh), and then what runs is compared with the digest that was
// asked for (prove). Putting back is a move to what ran before. All of it is data in the deployment
// (struct deployment_move), so a killed process goes on with the id that it had.
//
//     targets.c           settings → targets; looking at all of them
//     target_kinds.c      the kinds there are
//     target_roles.c      for `verify`: are their roles there, and trust the platform?
//     rollout.c           the loop: begins within the limits, follows, says what changed
//     step_rollout.c      the step; rollout_back.c: its undo
//     target_ecs*.c       ECS; target_express.c: Express Mode, which is followed the same way
//     target_apprunner*.c App Runner
#pragma once

#include "deploy_internal.h"

// One target in one move. `move` is &target->forward or &target->back.
struct target_move {
    struct deployment_target *target;
    struct deployment_move *move;
};

struct target_ops {
    const char *kind;
    /// Reads what runs now: arn, before*, note. Changes nothing. What is missing or may not be read
    /// is an error with the subject, the permission and what to do.
    struct error *(*look)(const struct step_run *run, struct deployment_target *target);
    /// "roll out 'web' to service 'shop' of cluster 'blue'", for the plan.
    void (*describe)(
        const struct deployment *d, const struct deployment_target *target, struct buf *out);
    /// Asks for the change. Idempotent: with run->resumed and state "intent" it looks first whether
    /// an earlier process has asked already. Journals the intent (engine_save) before each effect.
    /// Leaves state "sent" (id as far as known) or "nothing".
    struct error *(*begin)(const struct step_run *run, const struct target_move *move);
    /// One look at all of these moves, which are of this kind and were begun, with as few requests
    /// as the API allows. Sets id, status, stage, progress, rolling_back, hook, outcome, reason. An
    /// error is about the look itself, not about a move.
    struct error *(*refresh)(
        const struct step_run *run, const struct target_move *moves, size_t count);
    /// What runs now against `digest`: running_digest, proven, proof. An error when it could not be
    /// read.
    struct error *(*prove)(
        const struct step_run *run, struct deployment_target *target, const char *digest);
    /// Asks the platform to give up this move and to go back by itself; `refresh` sees it end. NULL
    /// when the platform cannot.
    struct error *(*stop)(const struct step_run *run, const struct target_move *move);
    /// Collects why a move failed into target->evidence and move->reason. Best effort.
    void (*explain)(const struct step_run *run, const struct target_move *move);
    /// After the proof: marks the release on the platform, where that has a place for it. Best
    /// effort; NULL when it has none.
    void (*record)(const struct step_run *run, struct deployment_target *target);
    /// Going back, after look: sets forward.revision to what the platform has kept of the release
    /// that the deployment goes back to; leaves it NULL when there is none. NULL: keeps nothing.
    struct error *(*release)(const struct step_run *run, struct deployment_target *target);
    /// For `verify`, after look, whether that went well or not: what else a rollout needs on this
    /// platform. Reads only. NULL: nothing.
    void (*inspect)(const struct step_run *run, const struct deployment_target *target,
        struct findings *findings);
};

extern const struct target_ops target_ecs, target_express, target_apprunner;
extern const struct target_ops *const target_all_ops[]; // NULL-terminated
const struct target_ops *target_ops_find(const char *kind);

/// How target->want looks in the journal (deployment.c); targets.c expands what it lists.
extern const struct field_table deployment_want_table;

// --- targets.c ---------------------------------------------------------------------------------
/// Settings into d->targets, d->migrate, d->verify; needs d->services and their versions.
NODISCARD struct error *targets_prepare(
    struct deploy_context *context, const struct preparation *preparation);
/// Looks at every target (snapshot).
NODISCARD struct error *targets_look(
    struct deploy_context *context, const struct preparation *preparation);
/// The move's words, copied into the deployment's arena only when they changed: polls must not grow
/// it. True when something changed.
bool target_set_text(struct arena *arena, const char **member, const char *text);
/// The directory that files named by the target are in. ERROR_SPEC where it names one and there is
/// no such directory.
NODISCARD struct error *target_root(
    const struct step_run *run, const struct setting_target *want, const char **out);
/// Ends a move; the first outcome stands.
void target_end_move(const struct step_run *run, struct deployment_move *move, const char *outcome,
    const char *reason);
/// Was the platform asked for anything?
bool target_is_touched(const struct deployment_target *target);
/// Adds a sanitized line of evidence unless it stands there or there are enough.
void target_add_evidence(
    const struct step_run *run, struct deployment_target *target, const char *text);

// --- rollout.c ---------------------------------------------------------------------------------
/// Begins what may begin and looks once at what is under way; *open: how many have not ended.
NODISCARD struct error *rollout_advance(
    const struct step_run *run, struct target_move *moves, size_t count, size_t *open);
/// Milliseconds between two looks.
int64_t rollout_poll_ms(const struct step_run *run);

// --- step_rollout.c ----------------------------------------------------------------------------
enum { ROLLOUT_PROVE_MS = 120 * 1000 }; // how long what runs may differ; DISPATCHER_PROVE_MS

/// Compares what runs with what was asked for, once for each target that is not proven yet and has
/// a digest (forward.digest). *left: how many do not run it yet, *which: one of them.
NODISCARD struct error *rollout_prove(
    const struct step_run *run, size_t *left, const struct deployment_target **which);
/// The undo (rollout_back.c).
NODISCARD struct error *rollout_take_back(const struct step_run *run, struct step_result *result);
/// Interrupted: asks the platforms to give up where the spec says so (on_cancel: cancel). Returns
/// what becomes of the rollout, for the message.
const char *rollout_fate(const struct step_run *run);
/// Asks the platforms to give up what is under way, for `dispatcher cancel`. ERROR_USAGE when
/// nothing is.
NODISCARD struct error *rollout_stop(const struct step_run *run);

// --- workers.c, workers_orphans.c --------------------------------------------------------------
/// Entry points of the workers: what `files` finds in the checkout, or --workers. Sorted, and each
/// gives another name.
NODISCARD struct error *workers_find(
    struct deploy_context *context, const struct preparation *preparation, struct str_list *out);
/// Services on the platform that were workers of this app and have no entry point any more, into
/// d->orphans. Best effort: a warning when they cannot be listed.
NODISCARD struct error *workers_look_for_orphans(
    struct deploy_context *context, const struct preparation *preparation);
/// Deletes them if the spec says so, after the proof; waits for each to be gone. Best effort: only
/// an interruption is an error.
NODISCARD struct error *workers_remove_orphans(
    const struct step_run *run, struct step_result *result);
