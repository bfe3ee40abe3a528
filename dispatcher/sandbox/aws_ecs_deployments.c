// Service deployments and service revisions as the API tells of them, and the two ways to
// intervene. How they move is aws_ecs_rollout.c.
#include <string.h>

#include "aws_ecs_internal.h"
#include "dispatcher/memory.h"

enum { DESCRIBED_MAX = 20, DEFAULT_PAGE = 20 };

static const char *
shown_status(const struct ecs_deployment *deployment)
{
    return deployment->shown_status != NULL ? deployment->shown_status : deployment->status;
}

struct ecs_deployment *
sandbox_ecs_deployment_find(struct sandbox *sandbox, const char *arn)
{
    const struct ecs_service *service =
        sandbox_ecs_service_by_arn(sandbox, arn, "service-deployment");
    for (size_t i = 0; service != NULL && i < service->deployment_count; i++) {
        if (strcmp(service->deployments[i]->arn, arn) == 0) {
            return service->deployments[i];
        }
    }
    return NULL;
}

static struct json *
summary_json(const struct ecs_deployment *deployment, const struct ecs_revision *revision,
    int64_t requested, bool is_target)
{
    struct ecs_counts counts = sandbox_ecs_capacity_count(deployment->service, NULL, revision);
    double production = is_target ? deployment->production : 100 - deployment->production;
    struct json *item = json_make_object();
    json_set_str(item, "arn", revision->arn);
    json_set_int(item, "requestedTaskCount", requested);
    json_set_int(item, "runningTaskCount", counts.running);
    json_set_int(item, "pendingTaskCount", counts.pending);
    if (deployment->stages != NULL && deployment->stages[0].name != NULL) {
        json_set_number(item, "requestedTestTrafficWeight",
            is_target ? deployment->test : 100 - deployment->test);
        json_set_number(item, "requestedProductionTrafficWeight", production);
    }
    return item;
}

static struct json *
hooks_json(const struct ecs_deployment *deployment)
{
    struct json *list = json_make_array();
    for (size_t i = 0; i < deployment->hook_count; i++) {
        const struct ecs_hook *hook = &deployment->hooks[i];
        if (hook->status != NULL) {
            struct json *item = json_make_object();
            json_set_str(item, "hookId", hook->id);
            json_set_str(item, "targetType", hook->pauses ? "PAUSE" : "AWS_LAMBDA");
            json_set_str(item, "targetArn", hook->target_arn);
            json_set_str(item, "status", hook->status);
            sandbox_ecs_set_time(item, "expiresAt", hook->expires_ms);
            json_set_str(item, "timeoutAction", hook->pauses ? hook->action : NULL);
            json_append(list, item);
        }
    }
    return list;
}

static const char *
monitor_status(const struct ecs_deployment *deployment, bool is_on, bool is_triggered)
{
    return !is_on                                       ? "DISABLED"
           : is_triggered                               ? "TRIGGERED"
           : sandbox_ecs_deployment_is_over(deployment) ? "MONITORING_COMPLETE"
                                                        : "MONITORING";
}

static void
set_monitors(struct json *item, const struct ecs_deployment *deployment)
{
    struct json *breaker = json_make_object(), *alarms = json_make_object();
    const struct json *given = json_get(deployment->configuration, "alarms");
    const struct json *names = json_get(given, "alarmNames");
    bool alarms_on = json_bool(json_get(given, "enable"), false) || deployment->triggered != NULL;
    json_set_str(breaker, "status",
        monitor_status(deployment, deployment->breaker_on, deployment->breaker_tripped));
    json_set_int(breaker, "failureCount", deployment->failures);
    json_set_int(breaker, "threshold", deployment->threshold);
    json_set(item, "deploymentCircuitBreaker", breaker);
    json_set_str(
        alarms, "status", monitor_status(deployment, alarms_on, deployment->triggered != NULL));
    if (alarms_on) {
        json_set(alarms, "alarmNames",
            names != NULL ? json_clone(names) : json_clone(deployment->triggered));
        json_set(alarms, "triggeredAlarmNames",
            deployment->triggered != NULL ? json_clone(deployment->triggered) : json_make_array());
    }
    json_set(item, "alarms", alarms);
}

static const char *
stage_name(const struct ecs_deployment *deployment)
{
    bool moves = strcmp(deployment->status, "IN_PROGRESS") == 0 ||
                 strcmp(deployment->status, "SUCCESSFUL") == 0;
    return deployment->stages != NULL && moves ? deployment->stages[deployment->stage].name : NULL;
}

struct json *
sandbox_ecs_deployment_json(struct sandbox *sandbox, const struct ecs_deployment *deployment)
{
    (void)sandbox;
    const struct ecs_service *service = deployment->service;
    struct json *item = json_make_object(), *sources = json_make_array();
    for (size_t i = 0; i < deployment->source_count; i++) {
        json_append(sources, summary_json(deployment, deployment->sources[i].revision,
                                 deployment->sources[i].requested, false));
    }
    json_set_str(item, "serviceDeploymentArn", deployment->arn);
    json_set_str(item, "serviceArn", service->arn);
    json_set_str(item, "clusterArn", service->cluster->arn);
    sandbox_ecs_set_time(item, "createdAt", deployment->created_ms);
    sandbox_ecs_set_time(item, "startedAt", deployment->started_ms);
    sandbox_ecs_set_time(item, "finishedAt", deployment->finished_ms);
    sandbox_ecs_set_time(item, "stoppedAt", deployment->stopped_ms);
    sandbox_ecs_set_time(item, "updatedAt", deployment->updated_ms);
    json_set(item, "sourceServiceRevisions", sources);
    json_set(item, "targetServiceRevision",
        summary_json(deployment, deployment->target, service->desired, true));
    json_set_str(item, "status", shown_status(deployment));
    json_set_str(item, "statusReason", deployment->reason);
    json_set_str(item, "lifecycleStage", stage_name(deployment));
    if (deployment->hook_count > 0) {
        json_set(item, "lifecycleHookDetails", hooks_json(deployment));
    }
    json_set(item, "deploymentConfiguration", json_clone(deployment->configuration));
    if (deployment->rollback_ms > 0) {
        struct json *rollback = json_make_object();
        json_set_str(rollback, "reason", deployment->rollback_reason);
        sandbox_ecs_set_time(rollback, "startedAt", deployment->rollback_ms);
        json_set_str(rollback, "serviceRevisionArn", deployment->rollback_to->arn);
        json_set(item, "rollback", rollback);
    }
    set_monitors(item, deployment);
    return item;
}

static struct json *
brief_json(const struct ecs_deployment *deployment)
{
    struct json *item = json_make_object();
    json_set_str(item, "serviceDeploymentArn", deployment->arn);
    json_set_str(item, "serviceArn", deployment->service->arn);
    json_set_str(item, "clusterArn", deployment->service->cluster->arn);
    sandbox_ecs_set_time(item, "startedAt", deployment->started_ms);
    sandbox_ecs_set_time(item, "createdAt", deployment->created_ms);
    sandbox_ecs_set_time(item, "finishedAt", deployment->finished_ms);
    json_set_str(item, "targetServiceRevisionArn", deployment->target->arn);
    json_set_str(item, "status", shown_status(deployment));
    json_set_str(item, "statusReason", deployment->reason);
    return item;
}

static bool
is_listed(const struct aws_exchange *exchange, const struct ecs_deployment *deployment)
{
    const struct json *statuses = json_get(exchange->body, "status");
    double created = (double)deployment->created_ms / 1000.0;
    bool fits = json_count(statuses) == 0;
    for (size_t i = 0; i < json_count(statuses); i++) {
        fits = fits || cstr_equal(json_str(json_at(statuses, i)), shown_status(deployment));
    }
    return fits && created >= json_number(json_path(exchange->body, "createdAt.after"), 0) &&
           created <= json_number(json_path(exchange->body, "createdAt.before"), 1e15);
}

void
sandbox_ecs_list_deployments(struct aws_exchange *exchange)
{
    const struct ecs_service *service = sandbox_ecs_service_of(exchange);
    if (service == NULL) {
        return;
    }
    struct json *list = json_make_array();
    for (size_t i = service->deployment_count; i > 0; i--) {
        if (is_listed(exchange, service->deployments[i - 1])) {
            json_append(list, brief_json(service->deployments[i - 1]));
        }
    }
    sandbox_ecs_reply_page(exchange, "serviceDeployments", list, DEFAULT_PAGE);
}

static bool
check_arns(struct aws_exchange *exchange, const char *member)
{
    size_t count = json_count(json_get(exchange->body, member));
    if (count == 0 || count > DESCRIBED_MAX) {
        sandbox_ecs_invalid(
            exchange, "%s must have between 1 and %d elements.", member, DESCRIBED_MAX);
        return false;
    }
    return true;
}

void
sandbox_ecs_describe_deployments(struct aws_exchange *exchange)
{
    const struct json *arns = json_get(exchange->body, "serviceDeploymentArns");
    if (!check_arns(exchange, "serviceDeploymentArns")) {
        return;
    }
    struct json *body = json_make_object(), *list = json_make_array();
    struct json *failures = json_make_array();
    for (size_t i = 0; i < json_count(arns); i++) {
        const char *arn = json_str(json_at(arns, i));
        const struct ecs_deployment *deployment =
            sandbox_ecs_deployment_find(exchange->sandbox, arn);
        if (deployment != NULL) {
            json_append(list, sandbox_ecs_deployment_json(exchange->sandbox, deployment));
        } else {
            json_append(failures, sandbox_ecs_failure(arn, "MISSING"));
        }
    }
    json_set(body, "serviceDeployments", list);
    json_set(body, "failures", failures);
    sandbox_reply_json(exchange->response, 200, body);
}

// A container that asks for no consistency has no digest of its own here.
static struct json *
images_json(const struct ecs_revision *revision)
{
    static const char *const digest[] = {"imageDigest"};
    const struct json *containers =
        json_get(revision->definition->document, "containerDefinitions");
    struct json *list = json_make_array();
    for (size_t i = 0; i < json_count(revision->images); i++) {
        const struct json *consistency = json_get(json_at(containers, i), "versionConsistency");
        bool is_pinned = !cstr_equal(json_str(consistency), "disabled");
        struct json *item = json_make_object();
        sandbox_ecs_copy(item, json_at(revision->images, i), digest, is_pinned ? 0 : 1);
        json_append(list, item);
    }
    return list;
}

static struct json *
revision_json(const struct ecs_service *service, const struct ecs_revision *revision)
{
    static const char *const copied[] = {"capacityProviderStrategy", "launchType",
        "platformVersion", "platformFamily", "loadBalancers", "serviceRegistries",
        "networkConfiguration", "serviceConnectConfiguration", "volumeConfigurations",
        "vpcLatticeConfigurations"};
    struct json *item = json_make_object();
    json_set_str(item, "serviceRevisionArn", revision->arn);
    json_set_str(item, "serviceArn", service->arn);
    json_set_str(item, "clusterArn", service->cluster->arn);
    json_set_str(item, "taskDefinition", revision->definition->arn);
    for (size_t i = 0; i < ARRAY_LENGTH(copied); i++) {
        const struct json *value = json_get(revision->settings, copied[i]);
        if (value != NULL) {
            json_set(item, copied[i], json_clone(value));
        }
    }
    json_set(item, "containerImages", images_json(revision));
    json_set_bool(item, "guardDutyEnabled", false);
    sandbox_ecs_set_time(item, "createdAt", revision->created_ms);
    return item;
}

void
sandbox_ecs_describe_revisions(struct aws_exchange *exchange)
{
    const struct json *arns = json_get(exchange->body, "serviceRevisionArns");
    if (!check_arns(exchange, "serviceRevisionArns")) {
        return;
    }
    struct json *body = json_make_object(), *list = json_make_array();
    struct json *failures = json_make_array();
    for (size_t i = 0; i < json_count(arns); i++) {
        const char *arn = json_str(json_at(arns, i));
        const struct ecs_service *service =
            sandbox_ecs_service_by_arn(exchange->sandbox, arn, "service-revision");
        struct json *found = NULL;
        for (size_t k = 0; service != NULL && found == NULL && k < service->revision_count; k++) {
            bool fits = strcmp(service->revisions[k]->arn, arn) == 0;
            found = fits ? revision_json(service, service->revisions[k]) : NULL;
        }
        if (found != NULL) {
            json_append(list, found);
        } else {
            json_append(failures, sandbox_ecs_failure(arn, "MISSING"));
        }
    }
    json_set(body, "serviceRevisions", list);
    json_set(body, "failures", failures);
    sandbox_reply_json(exchange->response, 200, body);
}

// --- interventions -------------------------------------------------------------------------------

/// The deployment of the call; NULL and an answer when there is none.
static struct ecs_deployment *
deployment_of(struct aws_exchange *exchange)
{
    struct ecs_deployment *deployment = sandbox_ecs_deployment_find(
        exchange->sandbox, sandbox_ecs_text(exchange, "serviceDeploymentArn"));
    if (deployment == NULL) {
        sandbox_aws_json_problem(exchange->response, "ServiceDeploymentNotFoundException",
            "Service deployment not found.");
    }
    return deployment;
}

static void
reply_arn(struct aws_exchange *exchange, const struct ecs_deployment *deployment)
{
    struct json *body = json_make_object();
    json_set_str(body, "serviceDeploymentArn", deployment->arn);
    sandbox_ecs_service_schedule(deployment->service);
    sandbox_reply_json(exchange->response, 200, body);
}

void
sandbox_ecs_stop_deployment(struct aws_exchange *exchange)
{
    struct ecs_deployment *deployment = deployment_of(exchange);
    const char *kind = sandbox_ecs_text(exchange, "stopType");
    if (deployment == NULL) {
        return;
    }
    if (kind != NULL && strcmp(kind, "ROLLBACK") != 0) {
        sandbox_ecs_invalid(exchange, "The stopType '%s' is not supported.", kind);
        return;
    }
    if (strcmp(deployment->status, "IN_PROGRESS") != 0 &&
        strcmp(deployment->status, "PENDING") != 0) {
        sandbox_aws_json_problem(exchange->response, "ConflictException",
            "The service deployment cannot be stopped because its status is %s.",
            deployment->status);
        return;
    }
    sandbox_ecs_rollback_start(exchange->sandbox, deployment, sandbox_now(exchange->sandbox),
        "Service deployment rolled back because of a stop request.",
        "ECS deployment failed: stopped by a user.");
    reply_arn(exchange, deployment);
}

void
sandbox_ecs_continue_deployment(struct aws_exchange *exchange)
{
    struct ecs_deployment *deployment = deployment_of(exchange);
    const char *id = sandbox_ecs_text(exchange, "hookId");
    const char *action = sandbox_ecs_text(exchange, "action");
    if (deployment == NULL) {
        return;
    }
    struct ecs_hook *hook = deployment->waiting_for;
    if (hook == NULL || !cstr_equal(hook->id, id)) {
        sandbox_aws_json_problem(exchange->response,
            hook == NULL ? "ConflictException" : "InvalidParameterException",
            hook == NULL ? "The service deployment is not waiting at a lifecycle hook."
                         : "The lifecycle hook was not found.");
        return;
    }
    int64_t now = sandbox_now(exchange->sandbox);
    if (cstr_equal(action, "ROLLBACK")) {
        hook->status = "FAILED";
        sandbox_ecs_rollback_start(exchange->sandbox, deployment, now,
            "Service deployment rolled back because of a lifecycle hook.",
            "ECS deployment failed: lifecycle hook asked for a rollback.");
    } else {
        hook->status = "SUCCEEDED";
        sandbox_ecs_deployment_resume(exchange->sandbox, deployment, now);
    }
    reply_arn(exchange, deployment);
}
