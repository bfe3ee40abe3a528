// The deployment's field tables: one place that says how it looks in the journal.
#include "dispatcher/deployment.h"

#include <string.h>

#define S(type, member) FIELD(type, member, #member, FIELD_STR)
#define I(type, member) FIELD(type, member, #member, FIELD_INT)
#define B(type, member) FIELD(type, member, #member, FIELD_BOOL)

static const struct field service_fields[] = {
    S(struct deployment_service, name),
    S(struct deployment_service, source),
    B(struct deployment_service, build),
    S(struct deployment_service, dockerfile),
    S(struct deployment_service, context),
    S(struct deployment_service, registry),
    S(struct deployment_service, repository),
    S(struct deployment_service, parameter),
    S(struct deployment_service, digest),
    B(struct deployment_service, present),
    B(struct deployment_service, no_repository),
    S(struct deployment_service, previous),
    I(struct deployment_service, previous_version),
    I(struct deployment_service, written_version),
    S(struct deployment_service, parameter_type),
    B(struct deployment_service, unsettled),
    S(struct deployment_service, says),
    S(struct deployment_service, restore),
    S(struct deployment_service, restore_note),
};
static const struct field_table service_table =
    FIELD_TABLE("service", struct deployment_service, service_fields);

static const struct field commit_fields[] = {
    S(struct deployment_commit, sha),
    S(struct deployment_commit, author),
    S(struct deployment_commit, subject),
    I(struct deployment_commit, time_ms),
};
static const struct field_table commit_table =
    FIELD_TABLE("commit", struct deployment_commit, commit_fields);

static const struct field failure_fields[] = {
    S(struct deployment_failure, job),
    S(struct deployment_failure, job_url),
    S(struct deployment_failure, step),
    FIELD(struct deployment_failure, annotations, "annotations", FIELD_LIST_STR),
    S(struct deployment_failure, log_tail),
};
static const struct field_table failure_table =
    FIELD_TABLE("failure", struct deployment_failure, failure_fields);

static const struct field job_step_fields[] = {
    S(struct deployment_job_step, name),
    S(struct deployment_job_step, status),
    S(struct deployment_job_step, conclusion),
};
static const struct field_table job_step_table =
    FIELD_TABLE("job step", struct deployment_job_step, job_step_fields);

static const struct field job_fields[] = {
    S(struct deployment_job, name),
    S(struct deployment_job, status),
    S(struct deployment_job, conclusion),
    S(struct deployment_job, url),
    I(struct deployment_job, started_ms),
    I(struct deployment_job, completed_ms),
    FIELD(struct deployment_job, steps, "steps", FIELD_LIST_OBJECT, .table = &job_step_table),
};
static const struct field_table job_table = FIELD_TABLE("job", struct deployment_job, job_fields);

static const struct field step_fields[] = {
    S(struct deployment_step, name),
    S(struct deployment_step, kind),
    FIELD(struct deployment_step, service, "service", FIELD_INT, .required = true),
    S(struct deployment_step, reason),
    B(struct deployment_step, skip),
    S(struct deployment_step, state),
    S(struct deployment_step, note),
    I(struct deployment_step, started_ms),
    I(struct deployment_step, ended_ms),
};
static const struct field_table step_table =
    FIELD_TABLE("step", struct deployment_step, step_fields);

static const struct field deployment_fields[] = {
    FIELD(struct deployment, id, "id", FIELD_STR, .required = true),
    FIELD(struct deployment, app, "app", FIELD_STR, .required = true),
    S(struct deployment, name),
    S(struct deployment, title),
    FIELD(struct deployment, env, "env", FIELD_STR, .required = true),
    FIELD(struct deployment, version, "version", FIELD_STR, .required = true),
    S(struct deployment, repository),
    S(struct deployment, sha),
    S(struct deployment, tag),
    S(struct deployment, branch),
    S(struct deployment, specs),
    S(struct deployment, specs_commit),
    S(struct deployment, actor),
    S(struct deployment, caller_url),
    S(struct deployment, on_failure),
    S(struct deployment, on_cancel),
    S(struct deployment, on_timeout),
    I(struct deployment, timeout_ms),
    I(struct deployment, queue_timeout_ms),
    B(struct deployment, no_wait),
    I(struct deployment, created_ms),
    B(struct deployment, dirty),
    S(struct deployment, checkout),
    S(struct deployment, work_tree),
    S(struct deployment, build_platform),
    FIELD(struct deployment, build_args, "build_args", FIELD_MAP_STR),
    FIELD(struct deployment, build_secrets, "build_secrets", FIELD_MAP_STR),
    S(struct deployment, region),
    S(struct deployment, account),
    S(struct deployment, role),
    B(struct deployment, create_repository),
    S(struct deployment, scan_block),
    S(struct deployment, scan_on_missing),
    I(struct deployment, scan_wait_ms),
    S(struct deployment, compression),
    S(struct deployment, github_api),
    S(struct deployment, github_web),
    S(struct deployment, github_app_id),
    S(struct deployment, github_app_key),
    S(struct deployment, workflow_repo),
    S(struct deployment, workflow_file),
    S(struct deployment, workflow_ref),
    S(struct deployment, id_input),
    B(struct deployment, id_in_run_name),
    FIELD(struct deployment, inputs, "inputs", FIELD_MAP_STR),
    S(struct deployment, claim_key),
    B(struct deployment, has_target),
    FIELD(struct deployment, services, "services", FIELD_LIST_OBJECT, .table = &service_table),
    FIELD(struct deployment, commits, "commits", FIELD_LIST_OBJECT, .table = &commit_table),
    B(struct deployment, commits_complete),
    FIELD(struct deployment, notes, "notes", FIELD_LIST_STR),
    FIELD(struct deployment, steps, "steps", FIELD_LIST_OBJECT, .table = &step_table),
    S(struct deployment, dispatch_id),
    I(struct deployment, dispatch_try),
    S(struct deployment, dispatch_state),
    I(struct deployment, dispatched_at_ms),
    I(struct deployment, run_id),
    S(struct deployment, run_url),
    S(struct deployment, run_status),
    S(struct deployment, run_conclusion),
    I(struct deployment, run_started_ms),
    I(struct deployment, run_completed_ms),
    I(struct deployment, wait_started_ms),
    B(struct deployment, cancel_requested),
    FIELD(struct deployment, jobs, "jobs", FIELD_LIST_OBJECT, .table = &job_table),
    FIELD(struct deployment, failure, "failure", FIELD_OBJECT, .table = &failure_table),
    S(struct deployment, result),
    I(struct deployment, exit_code),
    B(struct deployment, proven),
    S(struct deployment, proof),
    S(struct deployment, message),
    S(struct deployment, hint),
    I(struct deployment, ending_kind),
    I(struct deployment, ending_signal),
    S(struct deployment, ending_text),
    S(struct deployment, ending_hint),
    S(struct deployment, unfinished),
    I(struct deployment, finished_ms),
    I(struct deployment, quota_requests),
};
static const struct field_table deployment_table =
    FIELD_TABLE("deployment", struct deployment, deployment_fields);

struct deployment *
deployment_new(struct arena *arena)
{
    return arena_alloc(arena, sizeof(struct deployment));
}

struct json *
deployment_encode(const struct deployment *deployment)
{
    return json_encode(&deployment_table, deployment);
}

struct error *
deployment_decode(struct str json, struct arena *arena, struct deployment **out)
{
    struct json *document CLEANUP(json_freep) = NULL;
    struct deployment *deployment = deployment_new(arena);
    struct error *err = json_parse(json, &json_limits_default, &document);
    if (err == NULL) {
        err = json_decode(document, &deployment_table, arena, deployment);
    }
    if (err != NULL) {
        return error_wrap_as(ERROR_STORAGE, err, "read the deployment from the journal");
    }
    *out = deployment;
    return NULL;
}

struct deployment_service *
deployment_service_at(const struct deployment *deployment, size_t index)
{
    return (struct deployment_service *)deployment->services.items + index;
}

struct deployment_step *
deployment_step_at(const struct deployment *deployment, size_t index)
{
    return (struct deployment_step *)deployment->steps.items + index;
}

void
deployment_note(struct deployment *deployment, struct arena *arena, const char *text)
{
    struct str_list *notes = &deployment->notes;
    for (size_t i = 0; i < notes->count; i++) {
        if (strcmp(notes->items[i], text) == 0) {
            return;
        }
    }
    const char **longer = arena_array(arena, notes->count + 1, sizeof(*longer));
    if (notes->count > 0) {
        memcpy(longer, notes->items, notes->count * sizeof(*longer));
    }
    longer[notes->count] = arena_dup(arena, text);
    *notes = (struct str_list){longer, notes->count + 1};
}
