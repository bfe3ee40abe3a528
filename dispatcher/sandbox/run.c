// Runs as objects: created by a dispatch, duplicated by a test, cancelled, finished, freed.
// Executing them is runner.c.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "runner_internal.h"

enum { STACK_BYTES = 512 * 1024, LOG_MAX = 16 * 1024 * 1024 };

static void
init_step(struct run_step *step, const char *name, int64_t number)
{
    step->name = xstrdup(name);
    step->status = "queued";
    step->number = number;
}

// "Set up job", the file's steps, "Complete job".
static void
init_job(struct github_run *run, struct run_job *job, const struct workflow_job *plan)
{
    struct github_state *github = run->sandbox->github;
    job->id = sandbox_github_next_id(github);
    job->check_id = job->id;
    job->key = xstrdup(plan->key);
    job->name = xstrdup(plan->name);
    job->status = "queued";
    job->created_ms = run->created_ms;
    buf_init(&job->log, LOG_MAX);
    job->step_count = plan->step_count + 2;
    job->steps = xcalloc(job->step_count, sizeof(*job->steps));
    init_step(&job->steps[0], "Set up job", 1);
    for (size_t i = 0; i < plan->step_count; i++) {
        init_step(&job->steps[i + 1], sandbox_workflow_step_label(&plan->steps[i], run->arena),
            (int64_t)i + 2);
    }
    init_step(&job->steps[job->step_count - 1], "Complete job", (int64_t)job->step_count);
}

// run-name: with github.*, inputs.* and vars.*; without it the workflow's name.
static char *
title_of(const struct github_run *run)
{
    struct json *contexts CLEANUP(json_freep) = sandbox_run_contexts(run);
    struct expression_scope scope = {.contexts = contexts, .arena = run->arena};
    const char *title = run->name;
    struct error *err CLEANUP(error_freep) =
        run->workflow->run_name != NULL
            ? sandbox_expression_expand(&scope, run->workflow->run_name, &title)
            : NULL;
    return xstrdup(err == NULL && title[0] != '\0' ? title : run->name);
}

static void
start_thread(struct github_run *run)
{
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    run->thread_started = pthread_create(&run->thread, &attributes, sandbox_runner_main, run) == 0;
    (void)pthread_attr_destroy(&attributes);
    if (!run->thread_started) {
        sandbox_run_finish(run, "startup_failure");
    }
}

// A job that needs others is queued once they are done (runner.c).
static void
tell_created(struct github_run *run)
{
    sandbox_webhook_run(run, "requested");
    for (size_t i = 0; i < run->job_count; i++) {
        if (run->workflow->jobs[i].needs.count == 0) {
            sandbox_webhook_job(run, &run->jobs[i], "queued");
        }
    }
}

struct github_run *
sandbox_run_create(struct sandbox *sandbox, const struct run_order *order)
{
    struct github_state *github = sandbox->github;
    struct github_run *run = xcalloc(1, sizeof(*run));
    run->sandbox = sandbox;
    run->repo = order->repo;
    run->id = sandbox_github_next_id(github);
    run->number = ++order->file->runs;
    run->attempt = 1;
    run->workflow_id = order->file->id;
    run->file = xstrdup(order->file->name);
    run->name = xstrdup(order->workflow->name);
    run->branch = xstrdup(order->ref.name);
    run->ref = xstrdup(order->ref.full);
    run->sha = xstrdup(order->ref.sha);
    run->commit_message = xasprintf("Commit %.12s", order->ref.sha);
    run->actor = xstrdup(order->actor);
    run->event = "workflow_dispatch";
    run->delays = sandbox->options->delays;
    run->status = run->delays.pending > 0 ? "pending" : "queued";
    run->created_ms = sandbox_now(sandbox);
    run->started_ms = run->created_ms;
    run->updated_ms = run->created_ms;
    run->visible_ms = run->created_ms + run->delays.visible;
    run->forced = github->next_conclusion;
    github->next_conclusion = NULL;
    run->arena = order->arena;
    run->workflow = order->workflow;
    run->inputs = order->inputs;
    run->cancel = cancel_new();
    run->title = title_of(run);
    run->jobs = xcalloc(run->workflow->job_count + 1, sizeof(*run->jobs));
    for (size_t i = 0; i < run->workflow->job_count; i++) {
        init_job(run, &run->jobs[i], &run->workflow->jobs[i]);
    }
    run->job_count = run->workflow->job_count;
    github->runs = xrealloc(github->runs, (github->run_count + 1) * sizeof(*github->runs));
    github->runs[github->run_count++] = run;
    tell_created(run);
    if (!sandbox_auto_takes(run)) {
        start_thread(run);
    }
    return run;
}

void
sandbox_run_cancel(struct github_run *run, bool forced)
{
    if (strcmp(run->status, "completed") == 0) {
        return;
    }
    run->cancel_asked = true;
    run->is_forced = run->is_forced || forced;
    cancel_raise(run->cancel, 2);
}

void
sandbox_run_finish(struct github_run *run, const char *conclusion)
{
    if (!run->is_set && strcmp(run->status, "completed") != 0) {
        run->status = "completed";
        run->conclusion = conclusion;
        run->updated_ms = sandbox_now(run->sandbox);
        sandbox_webhook_run(run, "completed");
    }
}

void
sandbox_run_set_status(struct github_run *run, const char *status)
{
    bool starts = strcmp(status, "in_progress") == 0;
    if (run->is_set) {
        return;
    }
    run->status = status;
    run->updated_ms = sandbox_now(run->sandbox);
    if (starts) {
        run->started_ms = run->updated_ms;
        sandbox_webhook_run(run, status);
    }
}

void
sandbox_run_job_start(struct github_run *run, size_t index)
{
    struct run_job *job = &run->jobs[index];
    if (run->workflow->jobs[index].needs.count > 0) {
        sandbox_webhook_job(run, job, "queued");
    }
    job->status = "in_progress";
    job->started_ms = sandbox_now(run->sandbox);
    sandbox_webhook_job(run, job, "in_progress");
}

// Steps that did not come to their turn end with the job.
void
sandbox_run_job_end(struct github_run *run, struct run_job *job, const char *conclusion)
{
    job->status = "completed";
    job->conclusion = conclusion;
    job->completed_ms = sandbox_now(run->sandbox);
    for (size_t i = 0; i < job->step_count; i++) {
        struct run_step *step = &job->steps[i];
        if (strcmp(step->status, "completed") != 0) {
            step->status = "completed";
            step->conclusion = strcmp(conclusion, "cancelled") == 0 ? "cancelled" : "skipped";
            step->completed_ms = job->completed_ms;
            step->started_ms = step->started_ms != 0 ? step->started_ms : job->completed_ms;
        }
    }
    sandbox_webhook_job(run, job, "completed");
}

static void
free_job(struct run_job *job)
{
    for (size_t i = 0; i < job->step_count; i++) {
        free(job->steps[i].name);
    }
    for (size_t i = 0; i < job->annotation_count; i++) {
        free(job->annotations[i].level);
        free(job->annotations[i].title);
        free(job->annotations[i].message);
        free(job->annotations[i].path);
    }
    free(job->steps);
    free(job->annotations);
    free(job->key);
    free(job->name);
    buf_done(&job->log);
}

void
sandbox_run_free(struct github_run *run)
{
    for (size_t i = 0; i < run->job_count; i++) {
        free_job(&run->jobs[i]);
    }
    free(run->jobs);
    free(run->file);
    free(run->name);
    free(run->title);
    free(run->branch);
    free(run->ref);
    free(run->sha);
    free(run->commit_message);
    free(run->actor);
    json_free(run->inputs);
    arena_free(run->arena);
    cancel_free(run->cancel);
    free(run);
}
