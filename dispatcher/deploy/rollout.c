// The loop that moves targets: begins as many as may be under way, looks at all of them with few
// requests, and says what changed. It decides nothing about the deployment: step_rollout.c does.
#include <string.h>

#include "dispatcher/memory.h"
#include "target_internal.h"

enum { POLL_MS = 10000, LOST_MS = 5 * 60 * 1000, REASON_MAX = 400 };

int64_t
rollout_poll_ms(const struct step_run *run)
{
    const struct platform *platform = run->context->platform;
    int64_t poll = context_tuning_ms(run->context, "DISPATCHER_POLL_MS", POLL_MS);
    // Jitter keeps many followers of one account from asking in step (aws-rollout.md §5.6).
    return poll - (int64_t)((double)(poll / 10) * random_unit(platform->random));
}

static bool
is_under_way(const struct deployment_move *move)
{
    return cstr_equal(move->state, "sent") && move->outcome == NULL;
}

static bool
is_waiting(const struct deployment_move *move)
{
    return move->outcome == NULL && !cstr_equal(move->state, "sent") &&
           !cstr_equal(move->state, "nothing");
}

static bool
is_failed(const struct deployment_move *move)
{
    return move->outcome != NULL && strcmp(move->outcome, "succeeded") != 0;
}

static bool
has_changed(const struct deployment_move *before, const struct deployment_move *now)
{
    return before->state != now->state || before->id != now->id || before->status != now->status ||
           before->stage != now->stage || before->progress != now->progress ||
           before->hook != now->hook || before->outcome != now->outcome ||
           before->reason != now->reason || before->rolling_back != now->rolling_back;
}

static void
tell(const struct step_run *run, const struct target_move *at)
{
    context_emit(run->context, &(struct deploy_event){.kind = DEPLOY_EVENT_TARGET,
                                   .deployment = run->deployment,
                                   .step = run->step,
                                   .target = at->target,
                                   .move = at->move});
}

// --- bad days ----------------------------------------------------------------------------------

// The platform answers again later, as a rule; what it does meanwhile goes on.
static struct error *
bear(const struct step_run *run, struct error *err)
{
    struct deploy_context *context = run->context;
    int64_t now = clock_mono(context->platform->clock);
    if (error_kind(err) != ERROR_UNAVAILABLE) {
        return error_kind(err) == ERROR_CANCELLED || error_kind(err) == ERROR_STORAGE
                   ? err
                   : error_wrap_as(ERROR_UNKNOWN, err, "the rollout cannot be followed any more");
    }
    if (context->pace->unseen_mono_ms == 0) {
        context->pace->unseen_mono_ms = now;
        char *text CLEANUP(xfreep) = error_text(err);
        context_emit_text(context, run->deployment, DEPLOY_EVENT_WARNING,
            context_clean(run->arena,
                arena_printf(run->arena, "cannot look at the rollout, trying on: %s", text),
                REASON_MAX));
    }
    if (now - context->pace->unseen_mono_ms < LOST_MS) {
        error_free(err);
        return NULL;
    }
    return error_wrap_as(ERROR_UNKNOWN, err, "the rollout cannot be followed any more");
}

// --- beginning ---------------------------------------------------------------------------------

static bool
is_ordered(const struct deployment *d, const struct deployment_target *target)
{
    for (size_t i = 0; target->service >= 0 && i < d->order.count; i++) {
        const char *name = deployment_service_at(d, (size_t)target->service)->name;
        if (strcmp(d->order.items[i], name) == 0) {
            return true;
        }
    }
    return false;
}

// Targets of `order:` stand first in the list and go one after the other; the rest go together.
static bool
must_wait(const struct step_run *run, const struct target_move *moves, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        bool ended = moves[i].move->outcome != NULL;
        if (!ended && is_ordered(run->deployment, moves[i].target)) {
            return true;
        }
    }
    return false;
}

// The platform may not take the change yet: then the move stays unbegun, says why, and is begun
// again at the next look.
static struct error *
begun(
    const struct step_run *run, const struct target_move *at, const struct deployment_move *before)
{
    if (cstr_equal(at->move->state, "nothing")) {
        target_end_move(run, at->move, "succeeded", NULL);
    }
    if (!has_changed(before, at->move)) {
        return NULL;
    }
    tell(run, at);
    return engine_save(run, "waiting", at->move->reason);
}

// A refusal ends the move: nothing was changed there. What may have arrived is not decided here.
static struct error *
begin(const struct step_run *run, const struct target_move *at)
{
    const struct target_ops *ops = target_ops_find(at->target->want.kind);
    const struct deployment_move before = *at->move;
    struct error *err = ops->begin(run, at);
    if (err == NULL) {
        return begun(run, at, &before);
    }
    enum error_kind kind = error_kind(err);
    if (kind == ERROR_CANCELLED || kind == ERROR_STORAGE || kind == ERROR_UNKNOWN ||
        kind == ERROR_BUG || cstr_equal(at->move->state, "sent")) {
        return error_wrap(err, "roll out '%s'", at->target->name);
    }
    if (cstr_equal(before.state, "intent")) { // somebody may have asked before: not refused yet
        return bear(run, error_wrap(err, "roll out '%s'", at->target->name));
    }
    char *text CLEANUP(xfreep) = error_text(err);
    at->move->refused_kind = (int64_t)kind + 1;
    at->move->state = NULL;
    target_end_move(run, at->move, "failed", text);
    if (run->deployment->ending_hint == NULL && error_hint_of(err) != NULL) {
        target_add_evidence(run, at->target, error_hint_of(err));
    }
    error_free(err);
    tell(run, at);
    return engine_save(run, "waiting", at->move->reason);
}

static bool
is_any_failed(const struct target_move *moves, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_failed(moves[i].move)) {
            return true;
        }
    }
    return false;
}

// Forward, nothing more is begun once one has failed; back, each goes for itself.
static bool
is_held_back(const struct target_move *moves, size_t count, size_t index)
{
    bool forward = moves[index].move == &moves[index].target->forward;
    return forward && is_any_failed(moves, count);
}

static struct error *
begin_some(const struct step_run *run, struct target_move *moves, size_t count)
{
    size_t under_way = 0;
    for (size_t i = 0; i < count; i++) {
        under_way += is_under_way(moves[i].move) ? 1 : 0;
    }
    for (size_t i = 0; i < count; i++) {
        bool forward = moves[i].move == &moves[i].target->forward;
        if (!is_waiting(moves[i].move) || under_way >= (size_t)run->deployment->parallel ||
            is_held_back(moves, count, i) || (forward && must_wait(run, moves, i))) {
            continue;
        }
        TRY(begin(run, &moves[i]));
        under_way += is_under_way(moves[i].move) ? 1 : 0;
    }
    return NULL;
}

// --- looking -----------------------------------------------------------------------------------

static struct error *
look_at_kind(const struct step_run *run, const struct target_ops *ops, struct target_move *moves,
    size_t count)
{
    size_t picked = 0;
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct target_move *some = arena_array(scratch, count, sizeof(*some));
    for (size_t i = 0; i < count; i++) {
        if (is_under_way(moves[i].move) && target_ops_find(moves[i].target->want.kind) == ops) {
            some[picked++] = moves[i];
        }
    }
    if (picked == 0) {
        return NULL;
    }
    struct error *err = ops->refresh(run, some, picked);
    if (err != NULL) {
        return bear(run, err);
    }
    run->context->pace->unseen_mono_ms = 0;
    return NULL;
}

struct error *
rollout_advance(const struct step_run *run, struct target_move *moves, size_t count, size_t *open)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct deployment_move *before = arena_array(scratch, count, sizeof(*before));
    bool changed = false;
    TRY(begin_some(run, moves, count));
    for (size_t i = 0; i < count; i++) {
        before[i] = *moves[i].move;
    }
    for (size_t i = 0; target_all_ops[i] != NULL; i++) {
        TRY(look_at_kind(run, target_all_ops[i], moves, count));
    }
    *open = 0;
    for (size_t i = 0; i < count; i++) {
        bool may_begin = is_waiting(moves[i].move) && !is_held_back(moves, count, i);
        *open += is_under_way(moves[i].move) || may_begin ? 1 : 0;
        if (has_changed(&before[i], moves[i].move)) {
            changed = true;
            tell(run, &moves[i]);
        }
    }
    return changed ? engine_save(run, "waiting", NULL) : NULL;
}
