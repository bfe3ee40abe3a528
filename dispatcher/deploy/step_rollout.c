// Step "rollout": every target is moved to the new revision, followed by the id that the platform
// gave, and proven to run the digest that was asked for. Its undo is rollout_back.c's.
#include <string.h>

#include "dispatcher/memory.h"
#include "target_internal.h"

enum { REASON_MAX = 400 };

static struct target_move *
moves_of(const struct step_run *run)
{
    struct deployment *d = run->deployment;
    struct target_move *moves = arena_array(run->arena, d->targets.count, sizeof(*moves));
    for (size_t i = 0; i < d->targets.count; i++) {
        struct deployment_target *target = deployment_target_at(d, i);
        moves[i] = (struct target_move){target, &target->forward};
    }
    return moves;
}

static void
describe(const struct deployment *d, const struct deployment_step *step, struct buf *out)
{
    (void)step;
    for (size_t i = 0; i < d->targets.count; i++) {
        const struct deployment_target *target = deployment_target_at(d, i);
        buf_puts(out, i > 0 ? "\n     " : "");
        target_ops_find(target->want.kind)->describe(d, target, out);
    }
    char limit[32];
    clock_format_duration(d->rollout_timeout_ms, limit);
    buf_printf(out, "%sfollow %s to the end, %s at most", d->targets.count > 1 ? "\n     " : "; ",
        d->targets.count > 1 ? "all" : "it", limit);
}

static int64_t
now_ms(const struct step_run *run)
{
    return clock_mono(run->context->platform->clock);
}

// An interval lasts from look to look: what a look takes (many targets) does not add to it.
static void
wait_more(const struct step_run *run, int64_t since_ms, struct step_result *out)
{
    out->outcome = STEP_WAIT;
    out->until_ms = since_ms + rollout_poll_ms(run);
}

// --- the time limit ----------------------------------------------------------------------------

static const struct deployment_target *
first_open(const struct deployment *d)
{
    for (size_t i = 0; i < d->targets.count; i++) {
        const struct deployment_target *target = deployment_target_at(d, i);
        if (target->forward.outcome == NULL) {
            return target;
        }
    }
    return deployment_target_at(d, 0);
}

static bool
is_any_touched(const struct deployment *d)
{
    for (size_t i = 0; i < d->targets.count; i++) {
        if (target_is_touched(deployment_target_at(d, i))) {
            return true;
        }
    }
    return false;
}

static struct error *
too_late(const struct step_run *run)
{
    const struct deployment *d = run->deployment;
    const struct deployment_target *target = first_open(d);
    const struct deployment_move *move = &target->forward;
    char text[32];
    clock_format_duration(d->rollout_timeout_ms, text);
    const char *status = move->status != NULL ? move->status : "not begun";
    if (!is_any_touched(d)) { // waited for our turn, and nothing is under way that could go on
        return error_hint(error_new(ERROR_CONFLICT, "'%s' was not begun within %s: %s",
                              target->name, text, move->progress != NULL ? move->progress : status),
            "Nothing was rolled out. Try again when that has ended.");
    }
    struct error *err =
        error_new(ERROR_STILL_RUNNING, "'%s' is still '%s'%s%s%s%s after %s", target->name, status,
            move->stage != NULL ? " at " : "", move->stage != NULL ? move->stage : "",
            move->progress != NULL ? ", " : "", move->progress != NULL ? move->progress : "", text);
    return error_hint(err,
        "It goes on. 'dispatcher resume %s' follows it; 'dispatcher rollback %s --env %s --reason "
        "TEXT' takes it back.",
        d->id, d->app, d->env);
}

static struct error *
check_time(const struct step_run *run)
{
    struct deployment *d = run->deployment;
    struct deploy_context *context = run->context;
    if (context->pace->rollout_mono_ms == 0) {
        context->pace->rollout_mono_ms = now_ms(run);
    }
    if (now_ms(run) - context->pace->rollout_mono_ms < d->rollout_timeout_ms) {
        return NULL;
    }
    struct error *late = too_late(run);
    if (!cstr_equal(d->on_timeout, "cancel") || error_kind(late) == ERROR_CONFLICT) {
        return late;
    }
    char *text CLEANUP(xfreep) = error_text(late);
    error_free(late);
    return error_new(ERROR_REFUSED, "out of time: %s", text); // the undo stops it
}

// --- how it ended ------------------------------------------------------------------------------

static const struct deployment_target *
find_outcome(const struct deployment *d, const char *outcome)
{
    for (size_t i = 0; i < d->targets.count; i++) {
        const struct deployment_target *target = deployment_target_at(d, i);
        if (cstr_equal(target->forward.outcome, outcome)) {
            return target;
        }
    }
    return NULL;
}

// Worst first: what is unknown decides, then what is broken.
static const struct deployment_target *
find_failure(const struct deployment *d)
{
    static const char *const outcomes[] = {
        "unknown", "rollback-failed", "failed", "rolled-back", "stopped", "superseded"};
    for (size_t i = 0; i < ARRAY_LENGTH(outcomes); i++) {
        const struct deployment_target *found = find_outcome(d, outcomes[i]);
        if (found != NULL) {
            return found;
        }
    }
    return NULL;
}

static struct error *
failure_of(const struct deployment *d, const struct deployment_target *target)
{
    static const struct {
        const char *outcome;
        enum error_kind kind;
        const char *text;
    } words[] = {
        {"unknown", ERROR_UNKNOWN, "what became of it is not known"},
        {"rollback-failed", ERROR_REFUSED, "failed, and the platform could not roll it back"},
        {"failed", ERROR_REFUSED, "failed"},
        {"rolled-back", ERROR_REFUSED, "was rolled back by the platform"},
        {"stopped", ERROR_SUPERSEDED, "was stopped"},
        {"superseded", ERROR_SUPERSEDED, "was superseded by another deployment"},
    };
    const struct deployment_move *move = &target->forward;
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        if (!cstr_equal(words[i].outcome, move->outcome)) {
            continue;
        }
        enum error_kind kind = words[i].kind;
        if (move->refused_kind != 0 && !is_any_touched(d)) {
            kind = (enum error_kind)(move->refused_kind - 1);
        }
        struct error *err = error_new(kind, "'%s' %s%s%s", target->name, words[i].text,
            move->reason != NULL ? ": " : "", move->reason != NULL ? move->reason : "");
        return target->evidence.count > 0 ? error_hint(err, "%s", target->evidence.items[0]) : err;
    }
    return error_new(ERROR_BUG, "target '%s' ended as '%s'", target->name, move->outcome);
}

static void
explain_all(const struct step_run *run)
{
    for (size_t i = 0; i < run->deployment->targets.count; i++) {
        struct deployment_target *target = deployment_target_at(run->deployment, i);
        const char *outcome = target->forward.outcome;
        bool failed = outcome != NULL && strcmp(outcome, "succeeded") != 0;
        if (failed && target->forward.refused_kind == 0) {
            const struct target_move move = {target, &target->forward};
            target_ops_find(target->want.kind)->explain(run, &move);
        }
    }
}

// --- the proof ---------------------------------------------------------------------------------

// Tasks of before may still be on their way out, so one look does not decide.
struct error *
rollout_prove(const struct step_run *run, size_t *left, const struct deployment_target **which)
{
    *left = 0;
    for (size_t i = 0; i < run->deployment->targets.count; i++) {
        struct deployment_target *target = deployment_target_at(run->deployment, i);
        if (target->proven || target->forward.digest == NULL) {
            continue; // source code: nobody can say
        }
        TRY(target_ops_find(target->want.kind)->prove(run, target, target->forward.digest));
        if (!target->proven) {
            *which = target;
            (*left)++;
        } else {
            context_emit(run->context, &(struct deploy_event){.kind = DEPLOY_EVENT_TARGET,
                                           .deployment = run->deployment,
                                           .step = run->step,
                                           .target = target,
                                           .move = &target->forward});
        }
    }
    return NULL;
}

static struct error *
prove(const struct step_run *run, int64_t since_ms, struct step_result *out)
{
    struct deploy_context *context = run->context;
    const struct deployment_target *which = NULL;
    size_t left = 0;
    if (context->pace->prove_mono_ms == 0) {
        context->pace->prove_mono_ms = now_ms(run);
    }
    struct error *err = rollout_prove(run, &left, &which);
    if (err != NULL) {
        bool is_told = error_kind(err) == ERROR_CANCELLED || error_kind(err) == ERROR_SUPERSEDED;
        return is_told ? err : error_wrap_as(ERROR_UNKNOWN, err, "what runs now could not be read");
    }
    if (left == 0) {
        out->outcome = STEP_DONE;
        out->note = arena_printf(run->arena, "%zu of %zu", run->deployment->targets.count,
            run->deployment->targets.count);
        return NULL;
    }
    int64_t limit = context_tuning_ms(context, "DISPATCHER_PROVE_MS", ROLLOUT_PROVE_MS);
    if (now_ms(run) - context->pace->prove_mono_ms < limit) {
        wait_more(run, since_ms, out);
        return NULL;
    }
    return error_new(ERROR_REFUSED, "'%s' does not run what was asked for: %s", which->name,
        which->proof != NULL ? which->proof : "no running task was found");
}

static struct error *
run_rollout(const struct step_run *run, struct step_result *out)
{
    struct deployment *d = run->deployment;
    int64_t since_ms = now_ms(run);
    size_t open = 0;
    TRY(rollout_advance(run, moves_of(run), d->targets.count, &open));
    const struct deployment_target *failed = find_failure(d);
    bool conclude = open == 0 || (failed != NULL && !cstr_equal(d->on_failure, "keep"));
    if (failed != NULL && conclude) {
        explain_all(run);
        return failure_of(d, failed);
    }
    if (open > 0) {
        TRY(check_time(run));
        wait_more(run, since_ms, out);
        return NULL;
    }
    return prove(run, since_ms, out);
}

// --- stopping ----------------------------------------------------------------------------------

struct error *
rollout_stop(const struct step_run *run)
{
    struct deployment *d = run->deployment;
    size_t asked = 0;
    for (size_t i = 0; i < d->targets.count; i++) {
        struct deployment_target *target = deployment_target_at(d, i);
        const struct target_ops *ops = target_ops_find(target->want.kind);
        const struct target_move move = {target, &target->forward};
        if (!cstr_equal(target->forward.state, "sent") || target->forward.outcome != NULL) {
            continue;
        }
        if (ops->stop == NULL) {
            return error_hint(
                error_new(ERROR_USAGE, "the rollout of '%s' cannot be stopped", target->name),
                "Its platform finishes what it has begun; 'dispatcher rollback' goes back then.");
        }
        TRY(ops->stop(run, &move));
        asked++;
    }
    if (asked == 0) {
        return error_new(ERROR_USAGE, "deployment '%s' has no rollout under way", d->id);
    }
    return NULL;
}

// Has every target that was asked for anything come to its end?
static bool
is_over(const struct deployment *d)
{
    for (size_t i = 0; i < d->targets.count; i++) {
        if (deployment_target_at(d, i)->forward.outcome == NULL) {
            return false;
        }
    }
    return d->targets.count > 0;
}

const char *
rollout_fate(const struct step_run *run)
{
    struct deployment *d = run->deployment;
    if (is_over(d)) {
        return "the rollout is over, and was not proven and checked to the end";
    }
    if (cstr_equal(d->migrate.state, "running") || cstr_equal(d->migrate.state, "intent")) {
        return "the one-off task goes on";
    }
    if (!cstr_equal(d->on_cancel, "cancel")) {
        return "the rollout goes on";
    }
    struct error *err = rollout_stop(run);
    bool asked = err == NULL;
    error_free(err);
    d->cancel_requested = asked;
    return asked ? "the rollout was asked to stop and to go back"
                 : "the rollout could not be asked to stop and goes on";
}

const struct step_ops step_rollout = {"rollout", describe, run_rollout, rollout_take_back};
