// The life of a run, one thread each: waiting as the delays say, then its jobs in the order of
// their needs, one after the other, then its conclusion.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "process_internal.h"
#include "runner_internal.h"

bool
sandbox_run_is_cancelled(const struct github_run *run)
{
    return cancel_signal(run->cancel) != 0;
}

bool
sandbox_run_wait(const struct github_run *run, int64_t ms)
{
    const struct clock *clock = run->sandbox->platform->clock;
    if (ms <= 0) {
        return !sandbox_run_is_cancelled(run);
    }
    struct error *err CLEANUP(error_freep) =
        clock_sleep_until(clock, clock_mono(clock) + ms, run->cancel);
    return err == NULL;
}

static void
set_status(struct github_run *run, const char *status)
{
    struct sandbox *sandbox = run->sandbox;
    (void)pthread_mutex_lock(&sandbox->lock);
    sandbox_run_set_status(run, status);
    (void)pthread_mutex_unlock(&sandbox->lock);
}

static void
start_step(struct job_state *state, struct run_step *step)
{
    (void)pthread_mutex_lock(&state->sandbox->lock);
    step->status = "in_progress";
    step->started_ms = sandbox_now(state->sandbox);
    state->log.step = step->name;
    (void)pthread_mutex_unlock(&state->sandbox->lock);
}

static void
end_step(struct job_state *state, struct run_step *step, const char *conclusion)
{
    (void)pthread_mutex_lock(&state->sandbox->lock);
    step->status = "completed";
    step->conclusion = conclusion;
    step->completed_ms = sandbox_now(state->sandbox);
    if (step->started_ms == 0) {
        step->started_ms = step->completed_ms;
    }
    state->run->updated_ms = step->completed_ms;
    (void)pthread_mutex_unlock(&state->sandbox->lock);
}

// env: of workflow, job and step over what GITHUB_ENV has added; false: an expression failed.
static bool
set_step_env(struct job_state *state, const struct workflow_step *step)
{
    struct json *env = json_clone(state->env);
    json_set(state->contexts, "env", json_clone(env));
    bool good = sandbox_job_expand_env(state, step->env, env);
    json_set(state->contexts, "env", env);
    return good;
}

static void
run_uses(struct job_state *state, const struct workflow_step *step, const char **conclusion)
{
    if (str_starts(str_of(step->uses), STR("actions/checkout@"))) {
        sandbox_step_checkout(state, step, conclusion);
        return;
    }
    sandbox_job_log_put(
        &state->log, "##[warning]The sandbox runs no actions: '%s' is passed over.", step->uses);
    *conclusion = "skipped";
}

static bool
may_fail(struct job_state *state, const struct workflow_step *step)
{
    struct expression_scope scope = sandbox_job_scope(state);
    const char *text = NULL;
    struct error *err CLEANUP(error_freep) =
        sandbox_expression_expand(&scope, step->may_fail != NULL ? step->may_fail : "false", &text);
    return err == NULL && strcmp(text, "true") == 0;
}

static void
note_outcome(struct job_state *state, const struct workflow_step *step, const char *outcome,
    const char *conclusion)
{
    if (step->id == NULL) {
        return;
    }
    struct json *steps = json_clone(json_get(state->contexts, "steps"));
    const struct json *known = json_get(steps, step->id);
    struct json *entry = known != NULL ? json_clone(known) : json_make_object();
    json_set_str(entry, "outcome", outcome);
    json_set_str(entry, "conclusion", conclusion);
    json_set(steps, step->id, entry);
    json_set(state->contexts, "steps", steps);
}

static void
do_step(struct job_state *state, const struct workflow_step *step, struct run_step *record)
{
    bool wanted = false;
    const char *outcome = "failure";
    struct expression_scope scope = sandbox_job_scope(state);
    bool good = set_step_env(state, step);
    struct error *err CLEANUP(error_freep) =
        sandbox_expression_condition(&scope, step->condition, &wanted);
    if (err == NULL && !wanted) {
        end_step(state, record, "skipped");
        note_outcome(state, step, "skipped", "skipped");
        return;
    }
    start_step(state, record);
    if (err != NULL) {
        sandbox_job_log_put(&state->log, "##[error]%s", error_message(err));
    } else if (good && step->uses != NULL) {
        run_uses(state, step, &outcome);
    } else if (good) {
        sandbox_step_run(state, step, &outcome);
    }
    bool forgiven = strcmp(outcome, "failure") == 0 && may_fail(state, step);
    const char *conclusion = forgiven ? "success" : outcome;
    note_outcome(state, step, outcome, conclusion);
    state->failed = state->failed || strcmp(conclusion, "failure") == 0;
    end_step(state, record, conclusion);
}

static void
do_steps(struct job_state *state)
{
    for (size_t i = 0; i < state->plan->step_count; i++) {
        // A politely cancelled job still runs its always() steps, with a cancel flag of its own.
        if (sandbox_run_is_cancelled(state->run)) {
            state->cancelled = true;
        }
        (void)pthread_mutex_lock(&state->sandbox->lock);
        bool forced = state->run->is_forced;
        if (state->cancelled && !forced) {
            cancel_clear(state->run->cancel);
        }
        (void)pthread_mutex_unlock(&state->sandbox->lock);
        if (forced) {
            end_step(state, &state->job->steps[i + 1], "cancelled");
            continue;
        }
        do_step(state, &state->plan->steps[i], &state->job->steps[i + 1]);
        if (sandbox_run_is_cancelled(state->run)) {
            state->cancelled = true;
        }
    }
}

static struct error *
make_directories(struct job_state *state)
{
    state->workspace = arena_printf(state->arena, "%s/runs/%lld/%s/workspace", state->sandbox->data,
        (long long)state->run->id, state->plan->key);
    state->temp = arena_printf(state->arena, "%s/runs/%lld/%s/temp", state->sandbox->data,
        (long long)state->run->id, state->plan->key);
    TRY(file_make_directories(state->workspace));
    return file_make_directories(state->temp);
}

// A job with `permissions: id-token: write` can ask the issuer for tokens about itself.
static void
grant_id_token(struct job_state *state)
{
    const struct github_run *run = state->run;
    struct json *claims = json_make_object();
    char *subject CLEANUP(xfreep) =
        state->plan->environment != NULL
            ? xasprintf("repo:%s:environment:%s", run->repo->full, state->plan->environment)
            : xasprintf("repo:%s:ref:%s", run->repo->full, run->ref);
    char *workflow CLEANUP(xfreep) =
        xasprintf("%s/.github/workflows/%s@%s", run->repo->full, run->file, run->ref);
    static const char *const copied[] = {"repository", "repository_owner", "repository_id",
        "repository_owner_id", "ref", "ref_type", "sha", "event_name", "actor", "run_id",
        "run_number", "run_attempt", "workflow"};
    const struct json *github = json_get(state->contexts, "github");
    for (size_t i = 0; i < ARRAY_LENGTH(copied); i++) {
        json_set_str(claims, copied[i], json_str(json_get(github, copied[i])));
    }
    json_set_str(claims, "sub", subject);
    json_set_str(claims, "workflow_ref", workflow);
    json_set_str(claims, "job_workflow_ref", workflow);
    json_set_str(claims, "environment", state->plan->environment);
    json_set_str(claims, "runner_environment", "self-hosted");
    json_set_str(claims, "repository_visibility", "private");
    (void)pthread_mutex_lock(&state->sandbox->lock);
    const char *token = sandbox_oidc_grant(state->sandbox, claims);
    (void)pthread_mutex_unlock(&state->sandbox->lock);
    char *url CLEANUP(xfreep) = sandbox_oidc_request_url(state->sandbox);
    json_set_str(state->env, "ACTIONS_ID_TOKEN_REQUEST_URL", url);
    json_set_str(state->env, "ACTIONS_ID_TOKEN_REQUEST_TOKEN", token);
    sandbox_job_log_mask(&state->log, token);
}

static void
set_up(struct job_state *state, const struct json *needs)
{
    struct run_step *first = &state->job->steps[0];
    const struct pair_list *secrets = &state->sandbox->options->secrets;
    start_step(state, first);
    for (size_t i = 0; i < secrets->count; i++) {
        sandbox_job_log_mask(&state->log, secrets->items[i].value);
    }
    sandbox_job_log_put(&state->log, "Current runner: dispatcher sandbox");
    sandbox_job_log_put(&state->log, "Job name: %s", state->job->name);
    struct error *err CLEANUP(error_freep) = make_directories(state);
    if (err != NULL) {
        sandbox_job_log_put(&state->log, "##[error]%s", error_message(err));
        state->failed = true;
    }
    state->contexts = sandbox_job_contexts(state, needs);
    if (state->plan->id_token) {
        grant_id_token(state);
    }
    bool good = sandbox_job_expand_env(state, state->run->workflow->env, state->env);
    json_set(state->contexts, "env", json_clone(state->env));
    good = good && sandbox_job_expand_env(state, state->plan->env, state->env);
    if (state->plan->unsupported != NULL) {
        char *text CLEANUP(xfreep) =
            xasprintf("The sandbox cannot run a job with '%s'.", state->plan->unsupported);
        sandbox_job_log_put(&state->log, "##[error]%s", text);
        sandbox_job_log_annotate(&state->log, "failure", ".github", 1, "", text);
        good = false;
    }
    state->failed = state->failed || !good;
    end_step(state, first, state->failed ? "failure" : "success");
}

static const char *
job_result(const struct job_state *state)
{
    return state->cancelled ? "cancelled" : state->failed ? "failure" : "success";
}

static struct json *
job_outputs(struct job_state *state)
{
    struct json *entry = json_make_object(), *outputs = json_make_object();
    (void)sandbox_job_expand_env(state, state->plan->outputs, outputs);
    json_set(entry, "outputs", outputs);
    json_set_str(entry, "result", job_result(state));
    return entry;
}

static void
end_job(struct github_run *run, struct run_job *job, const char *conclusion)
{
    (void)pthread_mutex_lock(&run->sandbox->lock);
    sandbox_run_job_end(run, job, conclusion);
    (void)pthread_mutex_unlock(&run->sandbox->lock);
}

static void
start_job(struct github_run *run, size_t index)
{
    (void)pthread_mutex_lock(&run->sandbox->lock);
    sandbox_run_job_start(run, index);
    (void)pthread_mutex_unlock(&run->sandbox->lock);
}

static void
free_state(struct job_state *state)
{
    for (size_t i = 0; i < state->group_count; i++) {
        sandbox_process_kill_group(state->groups[i]);
    }
    free(state->groups);
    free(state->path);
    free(state->log.stop_token);
    json_free(state->log.masks);
    json_free(state->env);
    json_free(state->contexts);
    arena_free(state->arena);
}

// Returns {"result": ..., "outputs": ...} for the jobs that need this one.
static struct json *
do_job(struct github_run *run, size_t index, const struct json *needs)
{
    const char *path = env_get(run->sandbox->platform, "PATH");
    struct job_state state = {.sandbox = run->sandbox,
        .run = run,
        .plan = &run->workflow->jobs[index],
        .job = &run->jobs[index],
        .log = {.run = run, .job = &run->jobs[index], .masks = json_make_array()},
        .arena = arena_new(),
        .env = json_make_object(),
        .path = xstrdup(path != NULL ? path : "/usr/local/bin:/usr/bin:/bin")};
    start_job(run, index);
    set_up(&state, needs);
    do_steps(&state);
    struct run_step *last = &state.job->steps[state.job->step_count - 1];
    if (!state.cancelled) {
        start_step(&state, last);
        sandbox_job_log_put(&state.log, "Cleaning up orphan processes");
        end_step(&state, last, "success");
    }
    struct json *entry = job_outputs(&state);
    end_job(run, state.job, job_result(&state));
    free_state(&state);
    return entry;
}

static bool
needs_are_done(const struct workflow_job *job, const struct json *done)
{
    for (size_t i = 0; i < job->needs.count; i++) {
        if (json_get(done, job->needs.items[i]) == NULL) {
            return false;
        }
    }
    return true;
}

// The job's `if:`, asked with what its needs came to.
static bool
job_is_wanted(const struct github_run *run, const struct workflow_job *job,
    const struct json *needs, struct error **err)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct json *contexts CLEANUP(json_freep) = sandbox_run_contexts(run);
    json_set(contexts, "needs", json_clone(needs));
    struct expression_scope scope = {
        .contexts = contexts, .arena = arena, .cancelled = sandbox_run_is_cancelled(run)};
    for (size_t i = 0; i < job->needs.count; i++) {
        const char *result = json_str(json_get(json_get(needs, job->needs.items[i]), "result"));
        scope.failed = scope.failed || !cstr_equal(result, "success");
    }
    bool wanted = false;
    *err = sandbox_expression_condition(&scope, job->condition, &wanted);
    return wanted;
}

static struct json *
skip_job(struct github_run *run, size_t index, const char *conclusion)
{
    struct json *entry = json_make_object();
    end_job(run, &run->jobs[index], conclusion);
    json_set_str(entry, "result", conclusion);
    json_set(entry, "outputs", json_make_object());
    return entry;
}

static struct json *
job_or_skip(struct github_run *run, size_t index, const struct json *needs)
{
    struct error *err CLEANUP(error_freep) = NULL;
    bool wanted = job_is_wanted(run, &run->workflow->jobs[index], needs, &err);
    if (err != NULL) {
        return skip_job(run, index, "failure");
    }
    if (sandbox_run_is_cancelled(run)) {
        return skip_job(run, index, "cancelled");
    }
    return wanted ? do_job(run, index, needs) : skip_job(run, index, "skipped");
}

static const char *
conclusion_of(const struct github_run *run, const struct json *done, bool cancelled)
{
    const char *result = "skipped";
    for (size_t i = 0; i < run->workflow->job_count; i++) {
        const char *one = json_str(json_get(json_get(done, run->workflow->jobs[i].key), "result"));
        if (cstr_equal(one, "failure")) {
            return "failure";
        }
        cancelled = cancelled || cstr_equal(one, "cancelled");
        result = cstr_equal(one, "success") ? "success" : result;
    }
    return cancelled ? "cancelled" : result;
}

static const char *
do_jobs(struct github_run *run)
{
    struct json *done CLEANUP(json_freep) = json_make_object();
    bool moved = true, cancelled = false;
    while (moved) {
        moved = false;
        for (size_t i = 0; i < run->workflow->job_count; i++) {
            const struct workflow_job *job = &run->workflow->jobs[i];
            if (json_get(done, job->key) == NULL && needs_are_done(job, done)) {
                (void)pthread_mutex_lock(&run->sandbox->lock);
                cancelled = run->cancel_asked;
                if (cancelled) {
                    cancel_raise(run->cancel, 2); // may have been lowered for always() steps
                }
                (void)pthread_mutex_unlock(&run->sandbox->lock);
                json_set(done, job->key, job_or_skip(run, i, done));
                moved = true;
            }
        }
    }
    if (json_count(done) < run->workflow->job_count) {
        return "startup_failure"; // needs in a circle
    }
    (void)pthread_mutex_lock(&run->sandbox->lock);
    cancelled = run->cancel_asked;
    (void)pthread_mutex_unlock(&run->sandbox->lock);
    return conclusion_of(run, done, cancelled);
}

// What a test asked for instead: nothing is executed.
static const char *
forced_result(struct github_run *run)
{
    static const char *const of_jobs[] = {
        "success", "failure", "cancelled", "skipped", "timed_out", "neutral"};
    const char *of_job = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(of_jobs); i++) {
        of_job = strcmp(of_jobs[i], run->forced) == 0 ? of_jobs[i] : of_job;
    }
    for (size_t i = 0; i < run->job_count; i++) {
        start_job(run, i);
        end_job(run, &run->jobs[i], of_job != NULL ? of_job : "skipped");
    }
    return run->forced;
}

static const char *
live(struct github_run *run)
{
    const struct sandbox_delays *delays = &run->delays;
    if (!sandbox_run_wait(run, delays->visible)) {
        return "cancelled";
    }
    if (delays->pending > 0) {
        set_status(run, "pending");
        if (!sandbox_run_wait(run, delays->pending)) {
            return "cancelled";
        }
    }
    set_status(run, "queued");
    if (!sandbox_run_wait(run, delays->queued)) {
        return "cancelled";
    }
    set_status(run, "in_progress");
    if (!sandbox_run_wait(run, delays->running)) {
        return "cancelled";
    }
    return run->forced != NULL ? forced_result(run) : do_jobs(run);
}

void *
sandbox_runner_main(void *arg)
{
    struct github_run *run = arg;
    struct sandbox *sandbox = run->sandbox;
    const char *conclusion = live(run);
    for (size_t i = 0; i < run->job_count; i++) {
        if (strcmp(run->jobs[i].status, "completed") != 0) {
            end_job(run, &run->jobs[i], "cancelled");
        }
    }
    (void)pthread_mutex_lock(&sandbox->lock);
    sandbox_run_finish(run, conclusion);
    (void)pthread_mutex_unlock(&sandbox->lock);
    return NULL;
}
