// What has to be there before a rollout to ECS can go well, for `verify`: the cluster, enough
// tasks, the roles and the secrets that the task definition names, its log groups, and the
// permissions to follow. Reads only, and no value of a secret.
#include <string.h>

#include "dispatcher/logs.h"
#include "dispatcher/memory.h"
#include "dispatcher/secrets_manager.h"
#include "dispatcher/ssm.h"
#include "findings.h"
#include "target_ecs_internal.h"
#include "target_roles.h"

enum { SECRETS_MAX = 100, NAME_MAX_SHOWN = 300 };

struct inspection {
    const struct step_run *run;
    const struct deployment_target *target;
    struct findings *findings;
    struct aws_session *aws;
    const struct json *document;   // of the task definition
    size_t secrets, hidden, there; // named; may not be looked at; exist
};

static const char *
shown(const struct inspection *i, const char *text)
{
    return context_clean(i->run->arena, text, NAME_MAX_SHOWN);
}

static void
look_at_cluster(const struct inspection *i)
{
    struct ecs_cluster cluster = {0};
    const char *name = target_cluster(i->target);
    struct error *err = ecs_cluster_describe(i->aws, name, i->run->arena, &cluster);
    if (!findings_noted(i->findings, "cluster", err)) {
        return;
    }
    if (cluster.arn == NULL || !cstr_equal(cluster.status, "ACTIVE")) {
        findings_bad(i->findings, "cluster",
            arena_printf(i->run->arena, "cluster '%s' %s%s", name,
                cluster.arn == NULL ? "does not exist" : "is ",
                cluster.arn == NULL ? "" : cluster.status),
            "Check 'cluster' in the target, and 'aws.region' and 'aws.account'.", ERROR_SPEC);
        return;
    }
    findings_good(i->findings, "cluster",
        arena_printf(i->run->arena, "'%s' is ACTIVE, %lld tasks run", name,
            (long long)cluster.running_tasks));
}

static void
look_at_service(const struct inspection *i)
{
    struct ecs_service service = {0};
    struct arena *arena = i->run->arena;
    struct error *err = target_ecs_describe(i->run, i->target, arena, &service);
    if (!findings_passed(i->findings, "service", err) || service.arn == NULL) {
        return; // what is missing was said by the look
    }
    if (service.current_deployment != NULL) {
        findings_warn(i->findings, "service",
            arena_printf(arena, "a deployment of '%s' is under way", service.name),
            "A rollout now supersedes it.");
    } else if (service.running < service.desired) {
        findings_warn(i->findings, "service",
            arena_printf(arena, "'%s' runs %lld of %lld tasks", service.name,
                (long long)service.running, (long long)service.desired),
            "What keeps them from running keeps the next version from running, as a rule: see the "
            "service's events.");
    }
}

// --- the task definition -----------------------------------------------------------------------

static bool
is_fargate(const struct inspection *i)
{
    const struct json *list = json_get(i->document, "requiresCompatibilities");
    for (size_t k = 0; k < json_count(list); k++) {
        if (cstr_equal(json_str(json_at(list, k)), "FARGATE")) {
            return true;
        }
    }
    return false;
}

static void
look_at_roles(const struct inspection *i)
{
    const char *execution = json_str(json_get(i->document, "executionRoleArn"));
    const char *task = json_str(json_get(i->document, "taskRoleArn"));
    if (execution == NULL && (is_fargate(i) || i->secrets > 0)) {
        findings_bad(i->findings, "role",
            arena_printf(i->run->arena,
                "the task definition names no execution role, which %s needs",
                i->secrets > 0 ? "reading its secrets" : "pulling from ECR on Fargate"),
            "Give the task definition an 'executionRoleArn'.", ERROR_SPEC);
    } else if (execution == NULL && task == NULL) {
        findings_good(i->findings, "role", "the task definition names no role, and needs none");
    }
    const struct target_role roles[] = {
        {"execution role", execution, TARGET_ECS_TASKS}, {"task role", task, TARGET_ECS_TASKS}};
    target_roles_inspect(i->run, roles, ARRAY_LENGTH(roles), i->findings);
}

// arn:PARTITION:SERVICE:REGION:ACCOUNT:REST, at most six fields.
static size_t
split_arn(const char *text, struct str fields[6])
{
    struct str rest = str_of(text);
    size_t count = 0;
    while (count < 5 && str_cut(rest, ':', &fields[count], &rest)) {
        count++;
    }
    fields[count] = rest;
    return rest.len > 0 ? count + 1 : count;
}

// "…:secret:NAME-abcdef:json-key:stage:version": the last three are ECS' own.
static const char *
secret_arn(const struct inspection *i, const char *from)
{
    struct str part = {0}, rest = str_of(from);
    size_t length = 0;
    for (int field = 0; field < 7 && str_cut(rest, ':', &part, &rest); field++) {
        length = (size_t)(part.ptr + part.len - from);
    }
    return arena_str(i->run->arena, (struct str){from, length});
}

static struct error *
secret_exists(const struct inspection *i, const char *from, bool *out)
{
    struct str fields[6] = {{0}};
    size_t count = split_arn(from, fields);
    bool is_arn = count == 6 && str_equal(fields[0], STR("arn"));
    if (is_arn && str_equal(fields[2], STR("secretsmanager"))) {
        return secrets_manager_exists(i->aws, secret_arn(i, from), out);
    }
    if (is_arn && !str_equal(fields[2], STR("ssm"))) {
        return error_new(ERROR_SPEC, "'%s' is neither a secret nor a parameter", shown(i, from));
    }
    return ssm_exists(i->aws, from, is_arn ? arena_str(i->run->arena, fields[3]) : NULL, out);
}

static void
look_at_secret(struct inspection *i, const char *name, const char *from)
{
    bool found = false;
    struct error *err = secret_exists(i, from, &found);
    i->secrets++;
    if (aws_is_denied(err)) { // it is the execution role that reads them
        error_free(err);
        i->hidden++;
        return;
    }
    if (!findings_passed(i->findings, "secret", err) || found) {
        i->there += found ? 1 : 0;
        return;
    }
    findings_bad(i->findings, "secret",
        arena_printf(i->run->arena, "'%s' is to come from %s, which does not exist", shown(i, name),
            shown(i, from)),
        "Create it, or take it out of the task definition: no task starts without it.", ERROR_SPEC);
}

static void
look_at_secrets(struct inspection *i)
{
    const struct json *containers = json_get(i->document, "containerDefinitions");
    for (size_t k = 0; k < json_count(containers); k++) {
        const struct json *secrets = json_get(json_at(containers, k), "secrets");
        for (size_t n = 0; n < json_count(secrets) && i->secrets < SECRETS_MAX; n++) {
            const struct json *one = json_at(secrets, n);
            const char *name = json_str(json_get(one, "name"));
            const char *from = json_str(json_get(one, "valueFrom"));
            if (name != NULL && from != NULL) {
                look_at_secret(i, name, from);
            }
        }
    }
    if (i->hidden > 0) {
        findings_warn(i->findings, "secret",
            arena_printf(i->run->arena,
                "%zu of %zu secrets of the task definition may not be looked at with these "
                "credentials",
                i->hidden, i->secrets),
            "Allow secretsmanager:DescribeSecret and ssm:GetParameter to have them checked; the "
            "execution role is what reads them.");
    }
    if (i->there > 0) {
        findings_good(i->findings, "secret",
            arena_printf(i->run->arena, "%zu of %zu secrets of the task definition exist", i->there,
                i->secrets));
    }
}

static bool
makes_group(const struct inspection *i, const char *container)
{
    const struct json *containers = json_get(i->document, "containerDefinitions");
    for (size_t k = 0; k < json_count(containers); k++) {
        const struct json *one = json_at(containers, k);
        const struct json *options = json_path(one, "logConfiguration.options");
        if (cstr_equal(json_str(json_get(one, "name")), container)) {
            return cstr_equal(json_str(json_get(options, "awslogs-create-group")), "true");
        }
    }
    return false;
}

static void
look_at_log(const struct inspection *i, const struct ecs_log_target *log)
{
    struct logs_page page = {0};
    const struct logs_query query = {.region = log->region,
        .group = log->group,
        .start_ms = target_now_ms(i->run, i->aws),
        .max_events = 1};
    struct error *err = logs_filter(i->aws, &query, i->run->arena, &page);
    if (!findings_noted(i->findings, "log", err)) {
        return;
    }
    if (page.found) {
        findings_good(i->findings, "log",
            arena_printf(i->run->arena, "'%s' writes to %s", shown(i, log->container),
                shown(i, log->group)));
    } else if (!makes_group(i, log->container)) {
        findings_bad(i->findings, "log",
            arena_printf(i->run->arena, "log group '%s' of container '%s' does not exist",
                shown(i, log->group), shown(i, log->container)),
            "Create it: a task whose log group is missing does not start.", ERROR_SPEC);
    }
}

static void
look_at_definition(struct inspection *i)
{
    struct ecs_task_definition definition CLEANUP(ecs_task_definition_done) = {0};
    struct ecs_log_target *logs = NULL;
    size_t count = 0;
    struct error *err =
        ecs_task_definition_get(i->aws, i->target->before, i->run->arena, &definition);
    if (!findings_passed(i->findings, "definition", err) || definition.arn == NULL) {
        return;
    }
    i->document = definition.document;
    look_at_secrets(i);
    look_at_roles(i);
    ecs_task_definition_log_targets(i->document, i->run->arena, &logs, &count);
    for (size_t k = 0; k < count; k++) {
        look_at_log(i, &logs[k]);
    }
}

// Without these a rollout is followed in another way, which sees less.
static void
look_at_permissions(const struct inspection *i)
{
    struct ecs_deployment_summary *list = NULL;
    size_t count = 0;
    const struct ecs_deployment_query query = {
        .cluster = target_cluster(i->target), .service = target_service_name(i->target), .max = 1};
    struct error *err = ecs_deployments_list(i->aws, &query, i->run->arena, &list, &count);
    if (aws_is_denied(err) || aws_has_code(err, "UnsupportedFeatureException")) {
        error_free(err);
        findings_warn(i->findings, "permission",
            "ecs:ListServiceDeployments is not allowed: a rollout is followed by the classic "
            "deployment ids, and a rollback is seen late",
            "Allow ecs:ListServiceDeployments, ecs:DescribeServiceDeployments and "
            "ecs:DescribeServiceRevisions.");
        return;
    }
    if (findings_noted(i->findings, "permission", err)) {
        findings_good(i->findings, "permission",
            "services, task definitions and service deployments may be read");
    }
}

void
target_ecs_inspect(
    const struct step_run *run, const struct deployment_target *target, struct findings *findings)
{
    struct inspection inspection = {.run = run, .target = target, .findings = findings};
    if (!findings_passed(
            findings, "aws", provider_aws(run->context, run->deployment, &inspection.aws))) {
        return;
    }
    look_at_cluster(&inspection);
    look_at_service(&inspection);
    look_at_permissions(&inspection);
    if (target->before != NULL && strstr(target->before, "task-definition/") != NULL) {
        look_at_definition(&inspection);
    }
}
