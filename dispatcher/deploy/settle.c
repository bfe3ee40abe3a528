// What somebody asks of a deployment from outside: to end the uncertainty of one whose run is not
// known, to end one that goes on, and to set one aside.
#include <string.h>

#include "dispatcher/memory.h"
#include "target_internal.h"

enum { LOOK_MS = 10 * 1000 };

static struct deployment_step *
find_step(const struct deployment *d, const char *kind)
{
    for (size_t i = 0; i < d->steps.count; i++) {
        if (strcmp(deployment_step_at(d, i)->kind, kind) == 0) {
            return deployment_step_at(d, i);
        }
    }
    BUG_ON(true);
}

// The operator says that it never ran: the parameters go back, as after a definite refusal.
static struct error *
abandon(struct deploy_context *context, struct deployment *d, struct arena *arena)
{
    const struct step_run run = {
        .context = context, .deployment = d, .arena = arena, .step = find_step(d, "trigger")};
    d->dispatch_state = "rejected";
    engine_reopen(d);
    return engine_fail(
        &run, error_new(ERROR_REFUSED, "declared as never run by 'dispatcher resolve --abandon'"));
}

// A slip of the finger must not make us report somebody else's run.
static struct error *
check_adoption(
    struct deploy_context *context, struct deployment *d, int64_t run_id, struct arena *arena)
{
    struct github_client *github = NULL;
    struct github_run *seen = NULL;
    bool changed = false;
    TRY(provider_github(context, d, &github));
    TRY(github_run_get(github, run_id, arena, &seen, &changed));
    if (seen == NULL) {
        return error_hint(
            error_new(ERROR_USAGE, "run %lld is not in '%s'", (long long)run_id, d->workflow_repo),
            "RUN is the number at the end of the run's URL.");
    }
    if (!reconcile_may_be_ours(d, seen)) {
        return error_hint(error_new(ERROR_USAGE, "run %lld is not of '%s' at '%s' for id %s",
                              (long long)run_id, d->workflow_file, d->workflow_ref, d->dispatch_id),
            "It is %s: '%s'.", seen->html_url, context_clean(arena, seen->display_title, 200));
    }
    return NULL;
}

struct error *
deploy_resolve(struct deploy_context *context, const char *id, int64_t run_id, struct arena *arena,
    struct deployment **out)
{
    struct store_claim *held CLEANUP(store_claim_releasep) = NULL;
    struct deployment *d = NULL;
    TRY(deploy_load(context, id, arena, &d));
    TRY(engine_claim(context, d->id, &held));
    TRY(deploy_load(context, d->id, arena, &d));
    bool is_ending = d->ending_kind != 0; // refused for certain: `resume` takes the rest back
    if (!engine_is_open(d) || is_ending || d->run_id != 0 || d->dispatch_state == NULL) {
        return error_hint(
            error_new(ERROR_USAGE, "deployment '%s' leaves nothing to resolve", d->id),
            "Only one that ended 'unknown' (exit 9) at its trigger does; see 'dispatcher "
            "history'.");
    }
    if (run_id == 0) {
        TRY(abandon(context, d, arena));
    } else {
        TRY(check_adoption(context, d, run_id, arena));
        engine_reopen(d);
        d->run_id = run_id;
        d->dispatch_state = "adopted";
        d->wait_started_ms = clock_wall(context->platform->clock);
        d->run_url = arena_printf(
            arena, "%s/%s/actions/runs/%lld", d->github_web, d->workflow_repo, (long long)run_id);
        TRY(engine_drive(context, d, arena));
    }
    TRY(engine_finish(context, d));
    *out = d;
    return NULL;
}

// So that deploy_advance ends it before anything is sent, and knows why the run ends after.
static struct error *
note_cancel(struct deploy_context *context, const char *id, struct arena *arena)
{
    struct store_claim *held CLEANUP(store_claim_releasep) = NULL;
    struct deployment *d = NULL;
    TRY(engine_claim(context, id, &held));
    TRY(deploy_load(context, id, arena, &d));
    if (d->result != NULL || d->cancel_requested) {
        return NULL;
    }
    d->cancel_requested = true;
    return engine_write(context, d);
}

struct error *
deploy_cancel(
    struct deploy_context *context, const char *id, struct arena *arena, struct deployment **out)
{
    struct deployment *d = NULL;
    struct github_client *github = NULL;
    TRY(deploy_load(context, id, arena, &d));
    if (d->served) {
        place_enter(context, d);
        TRY(note_cancel(context, d->id, arena));
    }
    if (d->served && !standing_has_run(d)) {
        *out = d;
        return NULL;
    }
    if (deployment_is_direct(d) && d->targets.count > 0) {
        const struct step_run run = {.context = context, .deployment = d, .arena = arena};
        TRY(rollout_stop(&run));
        *out = d;
        return NULL;
    }
    if (d->run_id == 0) {
        return error_hint(error_new(ERROR_USAGE, "deployment '%s' has no remote run", d->id),
            "Interrupt the process that is at work on it instead.");
    }
    if (cstr_equal(d->run_status, "completed")) {
        return error_hint(error_new(ERROR_USAGE, "the run of deployment '%s' is over: %s", d->id,
                              d->run_conclusion != NULL ? d->run_conclusion : "completed"),
            "See %s.", d->run_url);
    }
    TRY(provider_github(context, d, &github));
    TRY(github_run_cancel(github, d->run_id));
    *out = d;
    return NULL;
}

// --- one that nobody looks at any more -----------------------------------------------------------

static const char *
seen_of(const struct github_run *run, struct arena *arena)
{
    if (github_run_is_complete(run)) {
        const char *conclusion = context_clean(arena, run->conclusion, 40);
        return arena_printf(arena, "is over (%s), but was not followed to its end",
            conclusion != NULL ? conclusion : "without a conclusion");
    }
    return arena_printf(
        arena, "was '%s' when it was last seen", context_clean(arena, run->status, 40));
}

// One look at the run by its number, and no other request: what this deployment does to workers is
// not done again. Whatever goes wrong is said.
static const char *
look_once(struct deploy_context *context, const struct deployment *d, struct arena *arena)
{
    struct github_client *github = NULL;
    struct github_run *run = NULL;
    bool changed = true;
    if (d->run_id == 0) {
        return "";
    }
    struct error *err = provider_github(context, d, &github);
    if (err == NULL) {
        github_client_set_deadline(github, clock_mono(context->platform->clock) + LOOK_MS);
        err = github_run_get(github, d->run_id, arena, &run, &changed);
    }
    if (err != NULL) {
        log_warn(context->platform->log, "a run cannot be looked at", F_STR("deployment", d->id),
            F_STR("problem", error_message(err)));
        error_free(err);
        return "could not be looked at";
    }
    return run != NULL ? seen_of(run, arena)
           : changed   ? "is not there any more"
                       : "has not changed since it was last looked at";
}

struct error *
deploy_set_aside(struct deploy_context *context, const char *id, const char *why,
    struct arena *arena, struct deployment **out)
{
    struct store_claim *held CLEANUP(store_claim_releasep) = NULL;
    struct store *store = NULL;
    struct store_deployment *row = NULL;
    struct deployment *d = NULL;
    *out = NULL;
    TRY(engine_claim(context, id, &held));
    TRY(deploy_store(context, &store));
    TRY(store_find(store, id, arena, &row));
    if (row == NULL) {
        return NULL;
    }
    TRY(deployment_decode(str_of(row->document), arena, &d));
    *out = d;
    if (d->result != NULL || d->unfinished != NULL) {
        return engine_tell_end(context, d, arena);
    }
    place_enter(context, d);
    const struct step_run run = {.context = context, .deployment = d, .arena = arena};
    outcome_set_aside(&run, why, look_once(context, d, arena));
    return engine_finish(context, d);
}
