// Taking a rollout back, so that no target is left half way: what still moves is stopped, what has
// moved goes back, and what runs then is looked at. One look a call; how far it has come is the
// pace's.
#include <string.h>

#include "dispatcher/memory.h"
#include "target_internal.h"

enum { REASON_MAX = 400 };

static int64_t
now_ms(const struct step_run *run)
{
    return clock_mono(run->context->platform->clock);
}

static void
set_restore(const struct step_run *run, struct deployment_target *target, const char *word,
    const char *note)
{
    target->restore = word;
    target->restore_note = note != NULL ? context_clean(run->arena, note, REASON_MAX) : NULL;
}

static bool
is_settled(const struct deployment_target *target)
{
    return target->restore != NULL && strcmp(target->restore, "failed") != 0 &&
           strcmp(target->restore, "unknown") != 0;
}

// "greeter:2" of a task definition's ARN; anything else as it is.
static const char *
short_revision(const char *revision)
{
    const char *slash = strrchr(revision, '/');
    return strncmp(revision, "arn:", 4) == 0 && slash != NULL ? slash + 1 : revision;
}

static const char *
name_before(const struct step_run *run, const struct deployment_target *target)
{
    const char *revision = short_revision(target->before);
    return target->before_version != NULL
               ? arena_printf(run->arena, "'%s' (%s)", target->before_version, revision)
               : revision;
}

// What was changed beside the version and is not taken back with it.
static const char *
what_stays(const struct step_run *run, const struct deployment_target *target)
{
    const char *source = target->back.whole ? NULL : target->source_changes;
    const char *other = target->other_changes;
    if (target->back.revision == NULL || (source == NULL && other == NULL)) {
        return "";
    }
    return arena_printf(run->arena, "; what else was changed stays: %s%s%s",
        source != NULL ? source : "", source != NULL && other != NULL ? ", " : "",
        other != NULL ? other : "");
}

// What runs again, seen with our own eyes.
static struct error *
confirm(const struct step_run *run, struct deployment_target *target)
{
    target->proven = false;
    if (target->before_digest == NULL) {
        set_restore(run, target, "restored",
            arena_printf(run->arena,
                "%s is back; its digest is not known, so it was not compared%s",
                name_before(run, target), what_stays(run, target)));
        return NULL;
    }
    TRY(target_ops_find(target->want.kind)->prove(run, target, target->before_digest));
    if (target->proven) {
        set_restore(run, target, "restored",
            arena_printf(
                run->arena, "%s runs again%s", name_before(run, target), what_stays(run, target)));
    } else {
        set_restore(run, target, "failed", target->proof);
    }
    target->proven = false; // of what was asked for
    return NULL;
}

// The move back of a target whose move forward has ended; false when it needs none.
static bool
needs_move_back(const struct step_run *run, struct deployment_target *target)
{
    const char *outcome = target->forward.outcome;
    if (target->before == NULL) {
        set_restore(run, target, "nothing", "nothing ran there before");
        return false;
    }
    if (cstr_equal(outcome, "superseded")) {
        set_restore(run, target, "superseded", target->forward.reason);
        return false;
    }
    // One that was stopped may stand half way.
    return cstr_equal(outcome, "succeeded") || cstr_equal(outcome, "failed") ||
           cstr_equal(outcome, "stopped") || cstr_equal(outcome, "rollback-failed");
}

static struct error *
stop_open(const struct step_run *run, struct deployment_target *target)
{
    const struct target_ops *ops = target_ops_find(target->want.kind);
    const struct target_move move = {target, &target->forward};
    if (target->forward.outcome != NULL || target->forward.rolling_back || ops->stop == NULL) {
        return NULL;
    }
    struct error *err = ops->stop(run, &move);
    if (err == NULL || error_kind(err) == ERROR_CANCELLED) {
        return err;
    }
    char *text CLEANUP(xfreep) = error_text(err); // it ends by itself, or the limit says so
    error_free(err);
    context_emit_text(run->context, run->deployment, DEPLOY_EVENT_WARNING,
        context_clean(run->arena,
            arena_printf(run->arena, "cannot stop '%s': %s", target->name, text), REASON_MAX));
    return NULL;
}

// One look at some moves; waits while one of them is open and there is time.
static struct error *
go_on(
    const struct step_run *run, struct target_move *moves, size_t count, struct step_result *result)
{
    const struct deploy_pace *pace = run->context->pace;
    int64_t since_ms = now_ms(run);
    size_t open = 0;
    if (count == 0) {
        return NULL;
    }
    TRY(rollout_advance(run, moves, count, &open));
    if (open > 0 && now_ms(run) < pace->back_mono_ms + run->deployment->rollout_timeout_ms) {
        result->outcome = STEP_WAIT;
        result->until_ms = since_ms + rollout_poll_ms(run);
    }
    return NULL;
}

static bool
is_open(const struct deployment_target *target)
{
    return cstr_equal(target->forward.state, "sent") && target->forward.outcome == NULL;
}

// What still moves forward is stopped, and ends.
static struct error *
end_forward(const struct step_run *run, struct step_result *result)
{
    struct deployment *d = run->deployment;
    struct target_move *moves = arena_array(run->arena, d->targets.count, sizeof(*moves));
    size_t count = 0;
    for (size_t i = 0; i < d->targets.count; i++) {
        struct deployment_target *target = deployment_target_at(d, i);
        if (is_open(target)) {
            moves[count++] = (struct target_move){target, &target->forward};
        }
    }
    return go_on(run, moves, count, result);
}

static struct error *
stop_forward(const struct step_run *run)
{
    struct deploy_pace *pace = run->context->pace;
    pace->rollout_mono_ms = pace->unseen_mono_ms = 0;
    for (size_t i = 0; i < run->deployment->targets.count; i++) {
        struct deployment_target *target = deployment_target_at(run->deployment, i);
        if (is_open(target)) {
            TRY(stop_open(run, target));
        }
    }
    pace->back = BACK_STOPPING;
    pace->back_mono_ms = now_ms(run);
    return NULL;
}

static bool
is_to_go_back(const struct deployment_target *target)
{
    return target_is_touched(target) && !is_settled(target) && target->forward.outcome != NULL;
}

// Where to, of all that has moved.
static void
turn_round(const struct step_run *run)
{
    struct deploy_pace *pace = run->context->pace;
    for (size_t i = run->deployment->targets.count; i > 0; i--) {
        struct deployment_target *target = deployment_target_at(run->deployment, i - 1);
        if (is_to_go_back(target) && needs_move_back(run, target)) {
            target->proven = false; // what was asked for is left now
            target->back.revision = target->before;
            target->back.digest = target->before_digest;
        }
    }
    pace->back = BACK_MOVING;
    pace->back_mono_ms = now_ms(run);
}

static struct error *
move_back(const struct step_run *run, struct step_result *result)
{
    struct deployment *d = run->deployment;
    struct target_move *moves = arena_array(run->arena, d->targets.count, sizeof(*moves));
    size_t count = 0;
    for (size_t i = d->targets.count; i > 0; i--) {
        struct deployment_target *target = deployment_target_at(d, i - 1);
        if (is_to_go_back(target) && target->back.revision != NULL) {
            moves[count++] = (struct target_move){target, &target->back};
        }
    }
    return go_on(run, moves, count, result);
}

// Forward to an end, then back to one.
static struct error *
take_back(const struct step_run *run, struct step_result *result)
{
    const struct deploy_pace *pace = run->context->pace;
    if (pace->back == BACK_NEW) {
        TRY(stop_forward(run));
    }
    if (pace->back == BACK_STOPPING) {
        TRY(end_forward(run, result));
        if (result->outcome == STEP_WAIT) {
            return NULL;
        }
        turn_round(run);
    }
    return move_back(run, result);
}

static struct error *
settle(const struct step_run *run, struct deployment_target *target)
{
    const struct deployment_move *move =
        target->back.revision != NULL ? &target->back : &target->forward;
    if (move == &target->back && move->outcome == NULL && move->state == NULL) {
        set_restore(run, target, "failed",
            arena_printf(run->arena, "going back could not be begun%s%s",
                move->progress != NULL ? ": " : "", move->progress != NULL ? move->progress : ""));
        return NULL;
    }
    if (move->outcome == NULL || strcmp(move->outcome, "unknown") == 0) {
        set_restore(run, target, "unknown",
            move->reason != NULL ? move->reason : "it had not come to an end when we stopped");
        return NULL;
    }
    if (move == &target->back && strcmp(move->outcome, "superseded") == 0) {
        set_restore(run, target, "superseded", move->reason);
        return NULL;
    }
    if (move == &target->back && strcmp(move->outcome, "succeeded") != 0) {
        set_restore(run, target, "failed", move->reason != NULL ? move->reason : move->outcome);
        return NULL;
    }
    return confirm(run, target);
}

struct error *
rollout_take_back(const struct step_run *run, struct step_result *result)
{
    struct deployment *d = run->deployment;
    struct error *err = take_back(run, result);
    if (err == NULL && result->outcome == STEP_WAIT) {
        return NULL;
    }
    for (size_t i = 0; i < d->targets.count; i++) {
        struct deployment_target *target = deployment_target_at(d, i);
        if (!target_is_touched(target) || is_settled(target)) {
            continue;
        }
        if (err == NULL) {
            err = settle(run, target);
        }
        if (err != NULL) {
            char *text CLEANUP(xfreep) = error_text(err);
            set_restore(run, target, "unknown", text);
        }
    }
    return err;
}
