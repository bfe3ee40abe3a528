// Executing one job of a run: what its steps share. Belongs to the run's thread.
#pragma once

#include "expression_internal.h"
#include "github_internal.h"
#include "job_log_internal.h"

struct job_state {
    struct sandbox *sandbox;
    struct github_run *run;
    const struct workflow_job *plan;
    struct run_job *job;
    struct job_log log;
    struct arena *arena;
    char *workspace, *temp;
    struct json *env;      // variables of the job: workflow's, the job's, what GITHUB_ENV added
    struct json *contexts; // for expressions
    char *path;            // PATH with what GITHUB_PATH added
    bool failed, cancelled;
    int64_t *groups; // process groups that steps left behind
    size_t group_count;
};

/// A run:'s files and process. *conclusion is "success", "failure" or "cancelled".
void sandbox_step_run(
    struct job_state *state, const struct workflow_step *step, const char **conclusion);
/// actions/checkout.
void sandbox_step_checkout(
    struct job_state *state, const struct workflow_step *step, const char **conclusion);
struct expression_scope sandbox_job_scope(const struct job_state *state);
/// Expands each value of a mapping of the workflow into `out`; false after a failure was logged.
bool sandbox_job_expand_env(
    struct job_state *state, const struct yaml_node *node, struct json *out);
/// Variables that every step sees, GITHUB_* and AWS_*, below those of the workflow.
void sandbox_job_base_environment(const struct job_state *state, struct json *out);
/// Copies every member of `from`.
void sandbox_job_merge(struct json *into, const struct json *from);
/// github.* and, with inputs.* and vars.*, what `run-name:` may use.
struct json *sandbox_run_github_context(const struct github_run *run);
struct json *sandbox_run_contexts(const struct github_run *run);
struct json *sandbox_job_contexts(struct job_state *state, const struct json *needs);
/// Reads KEY=VALUE and KEY<<MARK files (GITHUB_ENV, GITHUB_OUTPUT).
void sandbox_job_read_pairs(struct str text, struct json *out);
bool sandbox_run_is_cancelled(const struct github_run *run);
/// False when the run was cancelled meanwhile.
bool sandbox_run_wait(const struct github_run *run, int64_t ms);
