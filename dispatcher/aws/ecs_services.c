// ECS clusters and services: what they are now, and the one change that a deployment makes
// (DescribeClusters, DescribeServices, UpdateService). Follows nothing.
#include <stdlib.h>
#include <string.h>

#include "ecs_internal.h"

enum { SERVICES_A_CALL = 10, CLUSTERS_A_CALL = 100 };

static const struct aws_field cluster_fields[] = {
    AWS_FIELD(struct ecs_cluster, arn, "clusterArn", AWS_LINE, .required = true),
    AWS_FIELD(struct ecs_cluster, name, "clusterName", AWS_LINE),
    AWS_FIELD(struct ecs_cluster, status, "status", AWS_LINE, .required = true),
    AWS_FIELD(struct ecs_cluster, services, "activeServicesCount", AWS_INT),
    AWS_FIELD(struct ecs_cluster, running_tasks, "runningTasksCount", AWS_INT),
    AWS_FIELD(struct ecs_cluster, pending_tasks, "pendingTasksCount", AWS_INT),
};
static const struct aws_table cluster_table = AWS_TABLE(struct ecs_cluster, cluster_fields);

struct error *
ecs_cluster_describe(
    struct aws_session *session, const char *cluster, struct arena *arena, struct ecs_cluster *out)
{
    const char *const names[] = {cluster != NULL ? cluster : "default"};
    const struct ecs_batch batch = {.call = {ECS_OPERATION("DescribeClusters")},
        .key = "clusters",
        .list = "clusters",
        .what = "cluster",
        .most = CLUSTERS_A_CALL,
        .table = &cluster_table};
    return ecs_describe(session, &batch, names, 1, arena, out);
}

static const struct aws_field classic_fields[] = {
    AWS_FIELD(struct ecs_classic, id, "id", AWS_LINE, .required = true),
    AWS_FIELD(struct ecs_classic, status, "status", AWS_LINE, .required = true),
    AWS_FIELD(struct ecs_classic, task_definition, "taskDefinition", AWS_LINE),
    AWS_FIELD(struct ecs_classic, rollout_state, "rolloutState", AWS_LINE),
    AWS_FIELD(struct ecs_classic, rollout_reason, "rolloutStateReason", AWS_LINE),
    AWS_FIELD(struct ecs_classic, desired, "desiredCount", AWS_INT),
    AWS_FIELD(struct ecs_classic, running, "runningCount", AWS_INT),
    AWS_FIELD(struct ecs_classic, pending, "pendingCount", AWS_INT),
    AWS_FIELD(struct ecs_classic, failed_tasks, "failedTasks", AWS_INT),
    AWS_FIELD(struct ecs_classic, created_ms, "createdAt", AWS_TIME),
    AWS_FIELD(struct ecs_classic, updated_ms, "updatedAt", AWS_TIME),
};
static const struct aws_table classic_table = AWS_TABLE(struct ecs_classic, classic_fields);

static const struct aws_field event_fields[] = {
    AWS_FIELD(struct ecs_event, id, "id", AWS_LINE),
    AWS_FIELD(struct ecs_event, message, "message", AWS_LINE),
    AWS_FIELD(struct ecs_event, created_ms, "createdAt", AWS_TIME),
};
static const struct aws_table event_table = AWS_TABLE(struct ecs_event, event_fields);

static const struct aws_field service_fields[] = {
    AWS_FIELD(struct ecs_service, arn, "serviceArn", AWS_LINE, .required = true),
    AWS_FIELD(struct ecs_service, name, "serviceName", AWS_LINE, .required = true),
    AWS_FIELD(struct ecs_service, cluster_arn, "clusterArn", AWS_LINE),
    AWS_FIELD(struct ecs_service, status, "status", AWS_LINE, .required = true),
    AWS_FIELD(struct ecs_service, task_definition, "taskDefinition", AWS_LINE),
    AWS_FIELD(struct ecs_service, controller, "deploymentController.type", AWS_LINE),
    AWS_FIELD(struct ecs_service, strategy, "deploymentConfiguration.strategy", AWS_LINE),
    AWS_FIELD(struct ecs_service, launch_type, "launchType", AWS_LINE),
    AWS_FIELD(struct ecs_service, platform_version, "platformVersion", AWS_LINE),
    AWS_FIELD(struct ecs_service, scheduling, "schedulingStrategy", AWS_LINE),
    AWS_FIELD(struct ecs_service, resource_management, "resourceManagementType", AWS_LINE),
    AWS_FIELD(struct ecs_service, desired, "desiredCount", AWS_INT, .required = true),
    AWS_FIELD(struct ecs_service, running, "runningCount", AWS_INT, .required = true),
    AWS_FIELD(struct ecs_service, pending, "pendingCount", AWS_INT),
    AWS_FIELD(struct ecs_service, breaker_enabled,
        "deploymentConfiguration.deploymentCircuitBreaker.enable", AWS_BOOL),
    AWS_FIELD(struct ecs_service, breaker_rolls_back,
        "deploymentConfiguration.deploymentCircuitBreaker.rollback", AWS_BOOL),
    AWS_FIELD(struct ecs_service, current_deployment, "currentServiceDeployment", AWS_LINE),
    AWS_FIELD(struct ecs_service, classic, "deployments", AWS_LIST, .table = &classic_table,
        .count_offset = offsetof(struct ecs_service, classic_count)),
    AWS_FIELD(struct ecs_service, events, "events", AWS_LIST, .table = &event_table,
        .count_offset = offsetof(struct ecs_service, event_count)),
    AWS_FIELD(struct ecs_service, network_json, "networkConfiguration", AWS_JSON),
    AWS_FIELD(struct ecs_service, capacity_json, "capacityProviderStrategy", AWS_JSON),
};
const struct aws_table ecs_service_table = AWS_TABLE(struct ecs_service, service_fields);

static int
newer_first(const void *a, const void *b)
{
    int64_t left = ((const struct ecs_event *)a)->created_ms;
    int64_t right = ((const struct ecs_event *)b)->created_ms;
    return left > right ? -1 : left < right ? 1 : 0;
}

// ECS sends them in this order, but nothing promises it.
static void
settle(struct ecs_service *service)
{
    if (service->event_count > 1) {
        qsort(service->events, service->event_count, sizeof(*service->events), newer_first);
    }
}

struct error *
ecs_services_describe(struct aws_session *session, const char *cluster, const char *const *names,
    size_t count, struct arena *arena, struct ecs_service *out)
{
    const struct ecs_batch batch = {.call = {ECS_OPERATION("DescribeServices")},
        .cluster = cluster,
        .key = "services",
        .list = "services",
        .what = "service",
        .most = SERVICES_A_CALL,
        .table = &ecs_service_table};
    struct error *err = ecs_describe(session, &batch, names, count, arena, out);
    if (err != NULL) {
        return cluster != NULL ? error_wrap(err, "look into cluster '%s'", cluster) : err;
    }
    for (size_t i = 0; i < count; i++) {
        settle(&out[i]);
    }
    return NULL;
}

static struct error *
read_updated(const struct json *answer, struct arena *arena, struct ecs_service *out)
{
    struct ecs_service service = {0};
    const struct json *object = json_get(answer, "service");
    if (object == NULL) {
        return aws_unusable("no 'service'");
    }
    TRY(aws_read(object, &ecs_service_table, arena, &service));
    settle(&service);
    *out = service;
    return NULL;
}

struct error *
ecs_service_update(struct aws_session *session, const struct ecs_service_change *change,
    struct arena *arena, struct ecs_service *after)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct json *answer CLEANUP(json_freep) = NULL;
    json_set_str(body, "cluster", change->cluster);
    json_set_str(body, "service", change->service);
    json_set_str(body, "taskDefinition", change->task_definition);
    if (change->force) {
        json_set_bool(body, "forceNewDeployment", true);
    }
    const struct aws_call call = {
        ECS_OPERATION("UpdateService"), .body = body, .idempotent = !change->force};
    struct error *err = aws_call(session, &call, &answer);
    if (err == NULL) {
        err = read_updated(answer, arena, after);
    }
    return err != NULL ? error_wrap(err, "update service '%s' in cluster '%s'", change->service,
                             change->cluster != NULL ? change->cluster : "default")
                       : NULL;
}
