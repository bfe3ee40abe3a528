// ECS Express Mode: an image and two roles become a service that ECS manages. Under it are an
// ordinary task definition, service and canary deployments; on top is what the Express operations
// tell of them.
#include <string.h>

#include "aws_ecs_internal.h"
#include "dispatcher/memory.h"

enum { PORT = 80, CANARY_PERCENT = 5, BAKE_MINUTES = 3 };

// What an Express service is configured with, and keeps when an update does not name it.
static const char *const configured[] = {"executionRoleArn", "taskRoleArn", "cpu", "memory",
    "networkConfiguration", "healthCheckPath", "primaryContainer", "scalingTarget"};

static void
set_default(struct json *object, const char *key, struct json *value)
{
    if (json_get(object, key) == NULL) {
        json_set(object, key, value);
    } else {
        json_free(value);
    }
}

static struct json *
filled_scaling(const struct json *given)
{
    struct json *scaling = json_make_object();
    sandbox_ecs_copy(scaling, given, NULL, 0);
    set_default(scaling, "minTaskCount", json_make_int(1));
    set_default(scaling, "maxTaskCount", json_make_int(20));
    set_default(scaling, "autoScalingMetric", json_make_string("AVERAGE_CPU"));
    set_default(scaling, "autoScalingTargetValue", json_make_int(60));
    return scaling;
}

static struct json *
filled_container(
    struct arena *arena, const struct json *given, const char *cluster, const char *name)
{
    struct json *container = json_make_object();
    sandbox_ecs_copy(container, given, NULL, 0);
    set_default(container, "containerPort", json_make_int(PORT));
    if (json_get(container, "awsLogsConfiguration") == NULL) {
        struct json *logs = json_make_object();
        json_set_str(logs, "logGroup", arena_printf(arena, "/aws/ecs/%s/%s", cluster, name));
        json_set_str(logs, "logStreamPrefix", "ecs");
        json_set(container, "awsLogsConfiguration", logs);
    }
    return container;
}

// The configuration: what is given over what was, and defaults below both.
static struct json *
configuration_of(struct sandbox *sandbox, const struct json *given, const struct json *before,
    const char *cluster, const char *name)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct json *made = sandbox_ecs_keep(sandbox->aws->ecs, json_make_object());
    for (size_t i = 0; i < ARRAY_LENGTH(configured); i++) {
        const struct json *value = json_get(given, configured[i]);
        value = value != NULL ? value : json_get(before, configured[i]);
        if (value != NULL) {
            json_set(made, configured[i], json_clone(value));
        }
    }
    set_default(made, "cpu", json_make_string("256"));
    set_default(made, "memory", json_make_string("512"));
    set_default(made, "healthCheckPath", json_make_string("/ping"));
    json_set(made, "scalingTarget", filled_scaling(json_get(made, "scalingTarget")));
    json_set(made, "primaryContainer",
        filled_container(arena, json_get(made, "primaryContainer"), cluster, name));
    return made;
}

static struct json *
log_configuration(const struct sandbox *sandbox, const struct json *logs)
{
    struct json *log = json_make_object(), *options = json_make_object();
    json_set_str(log, "logDriver", "awslogs");
    json_set_str(options, "awslogs-group", json_str(json_get(logs, "logGroup")));
    json_set_str(options, "awslogs-region", sandbox_aws_region(sandbox));
    json_set_str(options, "awslogs-stream-prefix", json_str(json_get(logs, "logStreamPrefix")));
    json_set(log, "options", options);
    return log;
}

// The task definition that ECS makes of a configuration: one container, "Main".
static struct ecs_definition *
define(struct sandbox *sandbox, const char *family, const struct json *configuration)
{
    static const char *const copied[] = {
        "image", "command", "environment", "secrets", "repositoryCredentials"};
    static const char *const above[] = {"cpu", "memory", "executionRoleArn", "taskRoleArn"};
    const struct json *primary = json_get(configuration, "primaryContainer");
    struct json *document CLEANUP(json_freep) = json_make_object();
    struct json *container = json_make_object(), *containers = json_make_array();
    struct json *ports = json_make_array(), *port = json_make_object();
    struct json *kinds = json_make_array();
    json_set_str(container, "name", "Main");
    for (size_t i = 0; i < ARRAY_LENGTH(copied); i++) {
        if (json_get(primary, copied[i]) != NULL) {
            json_set(container, copied[i], json_clone(json_get(primary, copied[i])));
        }
    }
    json_set_int(port, "containerPort", json_int(json_get(primary, "containerPort"), PORT));
    json_set_str(port, "protocol", "tcp");
    json_append(ports, port);
    json_set(container, "portMappings", ports);
    json_set(container, "logConfiguration",
        log_configuration(sandbox, json_get(primary, "awsLogsConfiguration")));
    json_append(containers, container);
    json_append(kinds, json_make_string("FARGATE"));
    json_set_str(document, "family", family);
    json_set(document, "containerDefinitions", containers);
    json_set_str(document, "networkMode", "awsvpc");
    json_set(document, "requiresCompatibilities", kinds);
    for (size_t i = 0; i < ARRAY_LENGTH(above); i++) {
        json_set_str(document, above[i], json_str(json_get(configuration, above[i])));
    }
    return sandbox_ecs_definition_add(sandbox, document, "ecs.amazonaws.com");
}

static struct json *
switched(void)
{
    struct json *breaker = json_make_object();
    json_set_bool(breaker, "enable", true);
    json_set_bool(breaker, "rollback", true);
    return breaker;
}

static struct json *
canary(struct arena *arena, const char *name)
{
    struct json *made = json_make_object(), *canary = json_make_object();
    struct json *alarms = switched(), *names = json_make_array();
    json_set_str(made, "strategy", "CANARY");
    json_set_int(made, "bakeTimeInMinutes", BAKE_MINUTES);
    json_set_number(canary, "canaryPercent", CANARY_PERCENT);
    json_set_int(canary, "canaryBakeTimeInMinutes", BAKE_MINUTES);
    json_set(made, "canaryConfiguration", canary);
    json_set(made, "deploymentCircuitBreaker", switched());
    json_append(names, json_make_string(arena_printf(arena, "%s/rollback", name)));
    json_set(alarms, "alarmNames", names);
    json_set(made, "alarms", alarms);
    return made;
}

static struct json *
settings_of(
    struct arena *arena, const char *name, const char *definition, const struct json *configuration)
{
    struct json *settings = json_make_object(), *network = json_make_object();
    struct json *vpc = json_make_object();
    sandbox_ecs_copy(vpc, json_get(configuration, "networkConfiguration"), NULL, 0);
    set_default(vpc, "assignPublicIp", json_make_string("ENABLED"));
    set_default(vpc, "subnets", json_make_array());
    json_set(network, "awsvpcConfiguration", vpc);
    json_set(settings, "networkConfiguration", network);
    json_set(settings, "deploymentConfiguration", canary(arena, name));
    json_set_str(settings, "launchType", "FARGATE");
    json_set_str(settings, "taskDefinition", definition);
    json_set_int(settings, "desiredCount",
        json_int(json_path(configuration, "scalingTarget.minTaskCount"), 1));
    return settings;
}

// --- as JSON -------------------------------------------------------------------------------------

static struct json *
configuration_json(
    struct sandbox *sandbox, const struct ecs_service *service, const struct ecs_revision *revision)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct json *item = json_clone(revision->express), *paths = json_make_array();
    struct json *path = json_make_object();
    json_set_str(item, "serviceRevisionArn", revision->arn);
    json_set_str(path, "accessType", "PUBLIC");
    json_set_str(
        path, "endpoint", arena_printf(arena, "%s/apps/%s", sandbox->origin, service->name));
    json_append(paths, path);
    json_set(item, "ingressPaths", paths);
    sandbox_ecs_set_time(item, "createdAt", revision->created_ms);
    return item;
}

static struct json *
common_json(const struct ecs_service *service)
{
    struct json *item = json_make_object(), *status = json_make_object();
    json_set_str(status, "statusCode", service->status);
    json_set_str(item, "cluster", service->cluster->name);
    json_set_str(item, "serviceName", service->name);
    json_set_str(item, "serviceArn", service->arn);
    json_set(item, "status", status);
    sandbox_ecs_set_time(item, "createdAt", service->created_ms);
    sandbox_ecs_set_time(item, "updatedAt", service->updated_ms);
    return item;
}

static void
reply_service(struct aws_exchange *exchange, const struct ecs_service *service, bool with_tags)
{
    struct json *item = common_json(service), *active = json_make_array();
    struct json *body = json_make_object();
    json_set_str(item, "infrastructureRoleArn", service->infrastructure_role);
    if (service->current != NULL) {
        json_set_str(item, "currentDeployment", service->current->arn);
    }
    for (size_t i = service->classic_count; i > 0; i--) {
        const struct ecs_revision *revision = service->classics[i - 1]->revision;
        struct ecs_counts counts = sandbox_ecs_capacity_count(service, NULL, revision);
        if (revision->express != NULL && (i == 1 || counts.running + counts.pending > 0)) {
            json_append(active, configuration_json(exchange->sandbox, service, revision));
        }
    }
    json_set(item, "activeConfigurations", active);
    if (with_tags) {
        json_set(item, "tags", json_clone(service->tags));
    }
    json_set(body, "service", item);
    sandbox_reply_json(exchange->response, 200, body);
}

// --- operations ----------------------------------------------------------------------------------

// "default" is made for whoever asks for it first.
static struct ecs_cluster *
cluster_for(struct aws_exchange *exchange)
{
    struct sandbox *sandbox = exchange->sandbox;
    const char *name = sandbox_ecs_text(exchange, "cluster");
    struct ecs_cluster *cluster = sandbox_ecs_cluster_find(sandbox->aws->ecs, name);
    if (cluster == NULL && (name == NULL || strcmp(name, "default") == 0)) {
        cluster = sandbox_ecs_cluster_add(sandbox, "default");
    }
    if (cluster == NULL) {
        sandbox_ecs_no_cluster(exchange);
    }
    return cluster;
}

void
sandbox_ecs_express_create(struct aws_exchange *exchange)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct ecs_state *ecs = sandbox->aws->ecs;
    struct arena *arena = exchange->request->arena;
    const char *name = sandbox_ecs_text(exchange, "serviceName");
    struct ecs_cluster *cluster = cluster_for(exchange);
    if (cluster == NULL) {
        return;
    }
    name =
        name != NULL ? name : arena_printf(arena, "express-%s", sandbox_random(sandbox, arena, 4));
    struct ecs_service *former = sandbox_ecs_service_find(sandbox, cluster, name);
    if (!sandbox_ecs_is_name(name)) {
        sandbox_ecs_invalid(exchange, "Invalid service name: %s", name);
        return;
    }
    if (former != NULL && strcmp(former->status, "INACTIVE") != 0) {
        sandbox_ecs_invalid(exchange, "Creation of service was not idempotent.");
        return;
    }
    struct json *configuration =
        configuration_of(sandbox, exchange->body, NULL, cluster->name, name);
    const char *family = arena_printf(arena, "%s-%s", cluster->name, name);
    const struct ecs_definition *definition = define(sandbox, family, configuration);
    struct json *settings CLEANUP(json_freep) =
        settings_of(arena, name, definition->arn, configuration);
    if (json_get(exchange->body, "tags") != NULL) {
        json_set(settings, "tags", json_clone(json_get(exchange->body, "tags")));
    }
    struct ecs_service *service = sandbox_ecs_service_add(sandbox, cluster, name, settings);
    service->creator = arena_dup(ecs->arena, exchange->key->arn);
    service->express = configuration;
    service->infrastructure_role =
        arena_dup(ecs->arena, sandbox_ecs_text(exchange, "infrastructureRoleArn"));
    sandbox_ecs_deployment_start(sandbox, service, sandbox_now(sandbox));
    sandbox_ecs_service_schedule(service);
    reply_service(exchange, service, true);
}

/// The Express service of the call's `serviceArn`, with `missing` as the error's code.
static struct ecs_service *
service_of(struct aws_exchange *exchange, const char *missing)
{
    const char *arn = sandbox_ecs_text(exchange, "serviceArn");
    struct ecs_service *service = sandbox_ecs_service_by_arn(exchange->sandbox, arn, "service");
    if (service == NULL) {
        sandbox_aws_json_problem(exchange->response, missing, "Service not found.");
    } else if (service->express == NULL) {
        sandbox_ecs_invalid(exchange, "The service is not an Express service: %s", service->name);
        service = NULL;
    }
    return service;
}

void
sandbox_ecs_express_describe(struct aws_exchange *exchange)
{
    const struct ecs_service *service = service_of(exchange, "ResourceNotFoundException");
    if (service != NULL) {
        reply_service(exchange, service, sandbox_ecs_includes(exchange, "TAGS"));
    }
}

void
sandbox_ecs_express_update(struct aws_exchange *exchange)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct ecs_service *service = service_of(exchange, "ServiceNotFoundException");
    if (service == NULL) {
        return;
    }
    if (strcmp(service->status, "ACTIVE") != 0) {
        sandbox_aws_json_problem(
            exchange->response, "ServiceNotActiveException", "Service was not ACTIVE.");
        return;
    }
    struct json *configuration = configuration_of(
        sandbox, exchange->body, service->express, service->cluster->name, service->name);
    service->express = configuration;
    service->definition = define(sandbox, service->definition->family, configuration);
    service->desired = sandbox_ecs_desired(
        json_path(exchange->body, "scalingTarget.minTaskCount"), service->desired);
    sandbox_ecs_deployment_start(sandbox, service, sandbox_now(sandbox));
    sandbox_ecs_service_schedule(service);
    struct json *body = json_make_object(), *item = common_json(service);
    if (service->classic_count > 0) {
        json_set(item, "targetConfiguration",
            configuration_json(sandbox, service, service->classics[0]->revision));
    }
    json_set(body, "service", item);
    sandbox_reply_json(exchange->response, 200, body);
}

void
sandbox_ecs_express_delete(struct aws_exchange *exchange)
{
    struct ecs_service *service = service_of(exchange, "ServiceNotFoundException");
    if (service == NULL) {
        return;
    }
    if (strcmp(service->status, "ACTIVE") != 0) {
        sandbox_aws_json_problem(
            exchange->response, "ServiceNotActiveException", "Service was not ACTIVE.");
        return;
    }
    sandbox_ecs_drain_service(exchange->sandbox, service);
    reply_service(exchange, service, true);
}
