// The deployment's field tables: one place that says how it looks in the journal.
#include "dispatcher/deployment.h"

#include <string.h>

#include "dispatcher/str.h"
#include "target_internal.h"

#define S(type, member) FIELD(type, member, #member, FIELD_STR)
#define I(type, member) FIELD(type, member, #member, FIELD_INT)
#define B(type, member) FIELD(type, member, #member, FIELD_BOOL)

static const struct field service_fields[] = {
    S(struct deployment_service, name),
    B(struct deployment_service, no_image),
    S(struct deployment_service, version),
    S(struct deployment_service, source),
    B(struct deployment_service, build),
    S(struct deployment_service, dockerfile),
    S(struct deployment_service, context),
    S(struct deployment_service, registry),
    S(struct deployment_service, repository),
    S(struct deployment_service, parameter),
    S(struct deployment_service, digest),
    S(struct deployment_service, from_digest),
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
    S(struct deployment_commit, email),
    I(struct deployment_commit, pull),
    I(struct deployment_commit, time_ms),
};
static const struct field_table commit_table =
    FIELD_TABLE("commit", struct deployment_commit, commit_fields);

static const struct field sink_fields[] = {
    S(struct deployment_sink, name),
    S(struct deployment_sink, kind),
    FIELD(struct deployment_sink, outcomes, "outcomes", FIELD_LIST_STR),
    S(struct deployment_sink, token),
    S(struct deployment_sink, channel),
    B(struct deployment_sink, buttons),
    S(struct deployment_sink, url),
    S(struct deployment_sink, secret),
    S(struct deployment_sink, routing_key),
    S(struct deployment_sink, region),
    FIELD(struct deployment_sink, incidents, "incidents", FIELD_LIST_STR),
    FIELD(struct deployment_sink, private_hosts, "private_hosts", FIELD_LIST_STR),
    B(struct deployment_sink, to_private),
    B(struct deployment_sink, deployment),
    B(struct deployment_sink, status),
    B(struct deployment_sink, check),
    B(struct deployment_sink, comment),
};
static const struct field_table sink_table =
    FIELD_TABLE("sink", struct deployment_sink, sink_fields);

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

static const struct field move_fields[] = {
    S(struct deployment_move, revision),
    S(struct deployment_move, digest),
    S(struct deployment_move, state),
    I(struct deployment_move, asked_ms),
    S(struct deployment_move, earlier_id),
    S(struct deployment_move, id),
    S(struct deployment_move, classic_id),
    S(struct deployment_move, earlier_classic),
    S(struct deployment_move, status),
    S(struct deployment_move, stage),
    S(struct deployment_move, progress),
    B(struct deployment_move, halting),
    B(struct deployment_move, rolling_back),
    B(struct deployment_move, whole),
    S(struct deployment_move, hook),
    S(struct deployment_move, outcome),
    S(struct deployment_move, reason),
    I(struct deployment_move, refused_kind),
    I(struct deployment_move, ended_ms),
};
static const struct field_table move_table =
    FIELD_TABLE("move", struct deployment_move, move_fields);

static const struct field health_check_fields[] = {
    S(struct setting_health_check, protocol),
    S(struct setting_health_check, path),
    I(struct setting_health_check, interval_ms),
    I(struct setting_health_check, timeout_ms),
    I(struct setting_health_check, healthy),
    I(struct setting_health_check, unhealthy),
};
static const struct field_table health_check_table =
    FIELD_TABLE("health check", struct setting_health_check, health_check_fields);

static const struct field want_fields[] = {
    S(struct setting_target, kind),
    S(struct setting_target, cluster),
    S(struct setting_target, service),
    S(struct setting_target, container),
    B(struct setting_target, force_new_deployment),
    B(struct setting_target, allow_zero),
    S(struct setting_target, source),
    S(struct setting_target, connection),
    S(struct setting_target, repository_url),
    S(struct setting_target, branch),
    S(struct setting_target, source_directory),
    S(struct setting_target, runtime),
    S(struct setting_target, build),
    S(struct setting_target, start),
    S(struct setting_target, access_role),
    S(struct setting_target, instance_role),
    S(struct setting_target, vpc_connector),
    S(struct setting_target, auto_scaling),
    S(struct setting_target, execution_role),
    S(struct setting_target, infrastructure_role),
    S(struct setting_target, task_role),
    I(struct setting_target, port),
    I(struct setting_target, cpu),
    I(struct setting_target, memory),
    FIELD(struct setting_target, environment, "environment", FIELD_MAP_STR),
    FIELD(
        struct setting_target, environment_from_outputs, "environment_from_outputs", FIELD_MAP_STR),
    S(struct setting_target, outputs_file),
    S(struct setting_target, environment_file),
    FIELD(struct setting_target, secrets, "secrets", FIELD_MAP_STR),
    B(struct setting_target, has_health_check),
    FIELD(struct setting_target, health_check, "health_check", FIELD_OBJECT,
        .table = &health_check_table),
    B(struct setting_target, create),
    B(struct setting_target, has_public),
    B(struct setting_target, is_public),
};
const struct field_table deployment_want_table =
    FIELD_TABLE("target settings", struct setting_target, want_fields);

static const struct field target_fields[] = {
    S(struct deployment_target, name),
    FIELD(struct deployment_target, service, "service", FIELD_INT, .required = true),
    S(struct deployment_target, worker),
    FIELD(struct deployment_target, want, "want", FIELD_OBJECT, .table = &deployment_want_table),
    S(struct deployment_target, arn),
    S(struct deployment_target, before),
    S(struct deployment_target, before_digest),
    S(struct deployment_target, before_version),
    B(struct deployment_target, before_auto),
    S(struct deployment_target, branch),
    S(struct deployment_target, source_changes),
    S(struct deployment_target, other_changes),
    S(struct deployment_target, note),
    S(struct deployment_target, halts),
    FIELD(struct deployment_target, forward, "forward", FIELD_OBJECT, .table = &move_table),
    FIELD(struct deployment_target, back, "back", FIELD_OBJECT, .table = &move_table),
    FIELD(struct deployment_target, evidence, "evidence", FIELD_LIST_STR),
    S(struct deployment_target, running_digest),
    B(struct deployment_target, proven),
    S(struct deployment_target, proof),
    S(struct deployment_target, restore),
    S(struct deployment_target, restore_note),
};
static const struct field_table target_table =
    FIELD_TABLE("target", struct deployment_target, target_fields);

static const struct field migration_fields[] = {
    S(struct deployment_migration, service),
    FIELD(struct deployment_migration, command, "command", FIELD_LIST_STR),
    I(struct deployment_migration, timeout_ms),
    S(struct deployment_migration, task_definition),
    S(struct deployment_migration, task),
    S(struct deployment_migration, state),
    B(struct deployment_migration, has_exit_code),
    I(struct deployment_migration, exit_code),
    S(struct deployment_migration, reason),
    I(struct deployment_migration, started_ms),
    I(struct deployment_migration, ended_ms),
};
static const struct field_table migration_table =
    FIELD_TABLE("migration", struct deployment_migration, migration_fields);

static const struct field check_fields[] = {
    S(struct deployment_check, url),
    I(struct deployment_check, expect),
    I(struct deployment_check, within_ms),
    FIELD(struct deployment_check, body, "body", FIELD_MAP_STR),
    I(struct deployment_check, attempts),
    S(struct deployment_check, state),
    S(struct deployment_check, seen),
};
static const struct field_table check_table =
    FIELD_TABLE("check", struct deployment_check, check_fields);

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

static const struct field vault_fields[] = {
    S(struct setting_vault, address),
    S(struct setting_vault, namespace),
    S(struct setting_vault, auth),
    S(struct setting_vault, role),
    S(struct setting_vault, mount),
    S(struct setting_vault, audience),
    S(struct setting_vault, server_id),
    S(struct setting_vault, sts_region),
};
static const struct field_table vault_table =
    FIELD_TABLE("vault", struct setting_vault, vault_fields);

static const struct field deployment_fields[] = {
    FIELD(struct deployment, id, "id", FIELD_STR, .required = true),
    S(struct deployment, verb),
    S(struct deployment, via),
    S(struct deployment, because),
    S(struct deployment, replaces),
    FIELD(struct deployment, app, "app", FIELD_STR, .required = true),
    S(struct deployment, name),
    S(struct deployment, title),
    FIELD(struct deployment, env, "env", FIELD_STR, .required = true),
    FIELD(struct deployment, version, "version", FIELD_STR, .required = true),
    S(struct deployment, from_env),
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
    B(struct deployment, served),
    I(struct deployment, accepted_ms),
    S(struct deployment, diff),
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
    FIELD(struct deployment, vault, "vault", FIELD_OBJECT, .table = &vault_table),
    S(struct deployment, workflow_repo),
    S(struct deployment, workflow_file),
    S(struct deployment, workflow_ref),
    S(struct deployment, id_input),
    B(struct deployment, id_in_run_name),
    FIELD(struct deployment, inputs, "inputs", FIELD_MAP_STR),
    S(struct deployment, claim_key),
    B(struct deployment, has_target),
    FIELD(struct deployment, services, "services", FIELD_LIST_OBJECT, .table = &service_table),
    FIELD(struct deployment, targets, "targets", FIELD_LIST_OBJECT, .table = &target_table),
    S(struct deployment, files_root),
    I(struct deployment, parallel),
    FIELD(struct deployment, order, "order", FIELD_LIST_STR),
    I(struct deployment, rollout_timeout_ms),
    FIELD(struct deployment, orphans, "orphans", FIELD_LIST_STR),
    B(struct deployment, remove_orphans),
    S(struct deployment, workers_input),
    FIELD(struct deployment, migrate, "migrate", FIELD_OBJECT, .table = &migration_table),
    FIELD(struct deployment, verify, "verify", FIELD_LIST_OBJECT, .table = &check_table),
    I(struct deployment, keep),
    FIELD(struct deployment, commits, "commits", FIELD_LIST_OBJECT, .table = &commit_table),
    B(struct deployment, commits_complete),
    FIELD(struct deployment, warnings, "warnings", FIELD_LIST_STR),
    FIELD(struct deployment, notes, "notes", FIELD_LIST_STR),
    FIELD(struct deployment, sinks, "sinks", FIELD_LIST_OBJECT, .table = &sink_table),
    FIELD(struct deployment, members, "members", FIELD_MAP_STR),
    S(struct deployment, environment_url),
    B(struct deployment, is_production),
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

struct deployment_sink *
deployment_sink_at(const struct deployment *deployment, size_t index)
{
    return (struct deployment_sink *)deployment->sinks.items + index;
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

struct deployment_target *
deployment_target_at(const struct deployment *deployment, size_t index)
{
    return (struct deployment_target *)deployment->targets.items + index;
}

struct deployment_check *
deployment_check_at(const struct deployment *deployment, size_t index)
{
    return (struct deployment_check *)deployment->verify.items + index;
}

bool
deployment_is_direct(const struct deployment *d)
{
    return cstr_equal(d->via, "direct") || cstr_equal(d->verb, "rollout") ||
           cstr_equal(d->verb, "prove");
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
