// Following service deployments by id, many with few requests: one DescribeServices for ten
// services of a cluster and one DescribeServiceDeployments for twenty. Only SUCCESSFUL is success;
// a word that is not known yet is asked about again (aws-rollout.md §3.3).
#include <string.h>

#include "dispatcher/memory.h"
#include "target_ecs_internal.h"

enum { SERVICES_A_CALL = 10, DEPLOYMENTS_A_CALL = 20, FIND_MS = 60 * 1000, TEXT_MAX = 400 };

// --- the services --------------------------------------------------------------------------------

static struct ecs_classic
keep_classic(struct arena *arena, const struct ecs_classic *row)
{
    struct ecs_classic kept = *row;
    kept.id = arena_dup(arena, row->id);
    kept.status = arena_dup(arena, row->status);
    kept.task_definition = arena_dup(arena, row->task_definition);
    kept.rollout_state = arena_dup(arena, row->rollout_state);
    kept.rollout_reason = arena_dup(arena, row->rollout_reason);
    return kept;
}

// Only what decides is kept: a service with its events is large.
static void
keep_sight(struct arena *arena, struct target_sight *sight, const struct ecs_service *service)
{
    const struct ecs_classic *primary = target_ecs_primary(service);
    sight->there = service->arn != NULL && cstr_equal(service->status, "ACTIVE");
    sight->status = service->arn != NULL ? arena_dup(arena, service->status) : "gone";
    sight->task_definition = arena_dup(arena, service->task_definition);
    sight->current = arena_dup(arena, service->current_deployment);
    sight->desired = service->desired;
    if (primary != NULL) {
        sight->primary = keep_classic(arena, primary);
    }
    for (size_t i = 0; i < service->classic_count; i++) {
        if (cstr_equal(service->classic[i].id, sight->at->move->classic_id)) {
            sight->own = keep_classic(arena, &service->classic[i]);
        }
    }
}

struct pass {
    const struct step_run *run;
    struct aws_session *aws;
    struct arena *arena; // of this look
    struct target_sight *sights;
    size_t count;
};

static struct error *
see_some(const struct pass *pass, struct target_sight *const *some, size_t count)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    const char *names[SERVICES_A_CALL];
    struct ecs_service *services = arena_array(scratch, count, sizeof(*services));
    for (size_t i = 0; i < count; i++) {
        names[i] = target_service_name(some[i]->at->target);
    }
    TRY(ecs_services_describe(
        pass->aws, target_cluster(some[0]->at->target), names, count, scratch, services));
    for (size_t i = 0; i < count; i++) {
        keep_sight(pass->arena, some[i], &services[i]);
        if (some[i]->there) {
            target_ecs_read_events(pass->run, some[i]->at, &services[i]);
        }
    }
    return NULL;
}

static struct error *
see_services(const struct pass *pass)
{
    for (size_t from = 0; from < pass->count; from++) {
        struct target_sight *some[SERVICES_A_CALL];
        size_t picked = 0;
        const char *cluster = target_cluster(pass->sights[from].at->target);
        for (size_t i = from; i < pass->count && picked < SERVICES_A_CALL; i++) {
            struct target_sight *sight = &pass->sights[i];
            if (sight->status == NULL && strcmp(target_cluster(sight->at->target), cluster) == 0) {
                some[picked++] = sight;
            }
        }
        if (pass->sights[from].status == NULL) {
            TRY(see_some(pass, some, picked));
        }
    }
    return NULL;
}

// --- one deployment ------------------------------------------------------------------------------

static bool
is_waiting(const struct ecs_hook *hook)
{
    return cstr_equal(hook->type, "PAUSE") && cstr_equal(hook->status, "AWAITING_ACTION");
}

const struct ecs_hook *
target_ecs_waiting_hook(const struct ecs_deployment *deployment)
{
    for (size_t i = 0; i < deployment->hook_count; i++) {
        if (is_waiting(&deployment->hooks[i])) {
            return &deployment->hooks[i];
        }
    }
    return NULL;
}

static void
put_hook(const struct ecs_hook *hook, struct buf *out)
{
    char until[21];
    if (hook == NULL) {
        return;
    }
    buf_puts(out, "; waits for 'dispatcher continue'");
    if (hook->expires_ms > 0) {
        clock_format_rfc3339(hook->expires_ms, until);
        buf_printf(out, " until %s, then %s", until,
            hook->timeout_action != NULL ? hook->timeout_action : "ROLLBACK");
    }
}

static void
put_alarms(const struct ecs_deployment *deployment, struct buf *out)
{
    for (size_t i = 0; i < deployment->alarms_triggered.count; i++) {
        buf_printf(
            out, "%s'%s'", i == 0 ? "; in alarm: " : ", ", deployment->alarms_triggered.items[i]);
    }
}

// "2 of 4 tasks run; 5% of the traffic; 1 of 3 failures that the circuit breaker allows".
static const char *
progress_of(struct arena *arena, const struct target_sight *sight, const struct ecs_deployment *now)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    int64_t wanted = now->target.requested > 0 ? now->target.requested : sight->desired;
    double weight = now->target.production_weight;
    buf_printf(&text, "%lld of %lld task%s run%s", (long long)now->target.running,
        (long long)wanted, wanted == 1 ? "" : "s", wanted == 1 ? "s" : "");
    if (weight > 0 && weight < 100) {
        buf_printf(&text, "; %g%% of the traffic", weight);
    }
    if (now->breaker.failures > 0 && now->breaker.threshold > 0) {
        buf_printf(&text, "; %lld of the %lld failures that trip the circuit breaker",
            (long long)now->breaker.failures, (long long)now->breaker.threshold);
    } else if (now->breaker.failures > 0) {
        buf_printf(&text, "; %lld failed", (long long)now->breaker.failures);
    }
    if (cstr_equal(now->stage, "BAKE_TIME") && now->bake_minutes > 0) {
        buf_printf(&text, "; is watched for %lld min", (long long)now->bake_minutes);
    }
    put_alarms(now, &text);
    put_hook(target_ecs_waiting_hook(now), &text);
    return arena_str(arena, buf_str(&text));
}

// STOPPED has three causes: another deployment came after it, the circuit breaker (or an alarm)
// ended it without a rollback, or somebody stopped it.
static struct error *
end_stopped(
    const struct pass *pass, const struct target_sight *sight, const struct ecs_deployment *now)
{
    const char *newer = NULL;
    struct deployment_move *move = sight->at->move;
    TRY(target_ecs_successor(pass->run, pass->aws, sight, now, &newer));
    bool tripped = cstr_equal(now->breaker.status, "TRIGGERED") || now->alarms_triggered.count > 0;
    if (newer != NULL) {
        target_end_move(pass->run, move, "superseded", newer);
    } else {
        target_end_move(pass->run, move, tripped ? "failed" : "stopped", now->reason);
    }
    return NULL;
}

static struct error *
end_move(
    const struct pass *pass, const struct target_sight *sight, const struct ecs_deployment *now)
{
    struct deployment_move *move = sight->at->move;
    const char *why = now->rollback.reason != NULL ? now->rollback.reason : now->reason;
    if (move->halting && ecs_state_is_final(now->state)) {
        target_ecs_end_halt(pass->run, sight->at, now);
        return NULL;
    }
    switch (now->state) {
    case ECS_STATE_SUCCEEDED:
        target_end_move(pass->run, move, "succeeded", NULL);
        return NULL;
    case ECS_STATE_ROLLED_BACK:
        target_end_move(pass->run, move, "rolled-back", why);
        return NULL;
    case ECS_STATE_ROLLBACK_FAILED:
        target_end_move(pass->run, move, "rollback-failed", why);
        return NULL;
    case ECS_STATE_STOPPED:
        return end_stopped(pass, sight, now);
    case ECS_STATE_UNKNOWN: // a new word: our own time limit ends it at last
    case ECS_STATE_PENDING:
    case ECS_STATE_RUNNING:
    case ECS_STATE_STOPPING:
    case ECS_STATE_ROLLING_BACK:
        return NULL;
    }
    return NULL;
}

static struct error *
apply(const struct pass *pass, const struct target_sight *sight, const struct ecs_deployment *now)
{
    struct deployment_move *move = sight->at->move;
    struct arena *keep = pass->run->arena;
    if (now->arn == NULL) {
        target_end_move(pass->run, move, "unknown",
            arena_printf(pass->arena, "ECS knows no service deployment '%s' any more", move->id));
        return NULL;
    }
    bool is_final = ecs_state_is_final(now->state);
    const struct ecs_hook *hook = is_final ? NULL : target_ecs_waiting_hook(now);
    (void)target_set_text(keep, &move->status, now->status);
    (void)target_set_text(keep, &move->stage, now->stage);
    (void)target_set_text(keep, &move->progress, progress_of(pass->arena, sight, now));
    (void)target_set_text(keep, &move->hook, hook != NULL ? hook->id : NULL);
    if (now->state == ECS_STATE_ROLLING_BACK) {
        move->rolling_back = true;
        const char *why = now->rollback.reason != NULL ? now->rollback.reason : now->reason;
        (void)target_set_text(keep, &move->reason, why != NULL ? why : move->reason);
    }
    if (!is_final) {
        target_ecs_early(pass->run, sight->at, now->breaker.failures);
    }
    return end_move(pass, sight, now);
}

static struct error *
see_some_deployments(const struct pass *pass, struct target_sight *const *some, size_t count)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    const char *ids[DEPLOYMENTS_A_CALL];
    struct ecs_deployment *now = arena_array(scratch, count, sizeof(*now));
    for (size_t i = 0; i < count; i++) {
        ids[i] = some[i]->at->move->id;
    }
    struct error *err = ecs_deployments_describe(pass->aws, ids, count, scratch, now);
    if (err != NULL && target_ecs_is_unreadable(pass->run, err)) {
        for (size_t i = 0; i < count; i++) {
            some[i]->use_classic = true;
        }
        error_free(err);
        return NULL;
    }
    TRY(err);
    for (size_t i = 0; i < count; i++) {
        TRY(apply(pass, some[i], &now[i]));
    }
    return NULL;
}

static struct error *
see_deployments(const struct pass *pass)
{
    struct target_sight *some[DEPLOYMENTS_A_CALL];
    size_t picked = 0;
    for (size_t i = 0; i < pass->count; i++) {
        struct target_sight *sight = &pass->sights[i];
        if (sight->there && !sight->use_classic && sight->at->move->id != NULL) {
            some[picked++] = sight;
        }
        if (picked > 0 && (picked == DEPLOYMENTS_A_CALL || i + 1 == pass->count)) {
            TRY(see_some_deployments(pass, some, picked));
            picked = 0;
        }
    }
    return NULL;
}

// --- the look ------------------------------------------------------------------------------------

// Asked for, and nothing began: that is never success (aws-rollout.md §5.2).
static void
give_up_search(const struct step_run *run, const struct target_sight *sight)
{
    struct deployment_move *move = sight->at->move;
    int64_t now = clock_mono(run->context->platform->clock);
    int64_t limit = context_tuning_ms(run->context, "DISPATCHER_FIND_MS", FIND_MS);
    if (move->sought_mono_ms == 0) {
        move->sought_mono_ms = now;
    }
    if (now - move->sought_mono_ms >= limit) {
        char text[32];
        clock_format_duration(limit, text);
        target_end_move(run, move, "unknown",
            arena_printf(run->arena,
                "no deployment of service '%s' was found within %s after it was asked for",
                sight->at->target->want.service, text));
    }
}

static void
conclude(const struct step_run *run, const struct target_sight *sight)
{
    struct deployment_move *move = sight->at->move;
    if (move->state == NULL) { // to be begun anew
        return;
    }
    if (!sight->there) {
        target_end_move(run, move, "failed",
            arena_printf(run->arena, "service '%s' of cluster '%s' is %s",
                sight->at->target->want.service, target_cluster(sight->at->target), sight->status));
        return;
    }
    if (sight->use_classic) {
        target_ecs_apply_classic(run, sight);
    }
    bool is_lost = sight->use_classic ? move->classic_id == NULL : move->id == NULL;
    if (is_lost && move->outcome == NULL) {
        give_up_search(run, sight);
    }
}

struct error *
target_ecs_refresh(const struct step_run *run, const struct target_move *moves, size_t count)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct pass pass = {.run = run, .arena = scratch, .count = count};
    pass.sights = arena_array(scratch, count, sizeof(*pass.sights));
    for (size_t i = 0; i < count; i++) {
        pass.sights[i].at = &moves[i];
    }
    TRY(provider_aws(run->context, run->deployment, &pass.aws));
    TRY(see_services(&pass));
    TRY(target_ecs_find(run, pass.aws, pass.sights, count));
    TRY(see_deployments(&pass));
    for (size_t i = 0; i < count; i++) {
        conclude(run, &pass.sights[i]);
    }
    return NULL;
}

// --- asking for another end ----------------------------------------------------------------------

struct error *
target_ecs_stop(const struct step_run *run, const struct target_move *at)
{
    struct aws_session *aws = NULL;
    if (at->move->id == NULL) {
        return error_hint(
            error_new(ERROR_REFUSED, "no service deployment is known that could be stopped"),
            "Only service deployments can be stopped: allow 'ecs:ListServiceDeployments' to the "
            "role.");
    }
    TRY(provider_aws(run->context, run->deployment, &aws));
    struct error *err = ecs_deployment_stop(aws, at->move->id);
    if (err != NULL && error_kind(err) == ERROR_CONFLICT) { // over, or stopping: refresh sees it
        error_free(err);
        return NULL;
    }
    return err;
}
