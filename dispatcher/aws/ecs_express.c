// ECS Express Mode: a service made from an image and two roles, whose parts ECS owns
// (Create-, Describe- and UpdateExpressGatewayService). An update sends back the container as it is
// with another image: what it left out would be lost. Follows nothing.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "ecs_internal.h"

static const struct aws_field endpoint_fields[] = {
    {.path = "endpoint", .kind = AWS_LINE, .required = true}};
static const struct aws_table endpoint_table = {sizeof(const char *), endpoint_fields, 1};

#define FIELD_OF(member, ...) AWS_FIELD(struct ecs_express_configuration, member, __VA_ARGS__)

static const struct aws_field configuration_fields[] = {
    FIELD_OF(revision_arn, "serviceRevisionArn", AWS_LINE),
    FIELD_OF(image, "primaryContainer.image", AWS_LINE, .required = true),
    FIELD_OF(port, "primaryContainer.containerPort", AWS_INT),
    FIELD_OF(health_path, "healthCheckPath", AWS_LINE),
    FIELD_OF(cpu, "cpu", AWS_LINE),
    FIELD_OF(memory, "memory", AWS_LINE),
    FIELD_OF(execution_role_arn, "executionRoleArn", AWS_LINE),
    FIELD_OF(task_role_arn, "taskRoleArn", AWS_LINE),
    FIELD_OF(log_group, "primaryContainer.awsLogsConfiguration.logGroup", AWS_LINE),
    FIELD_OF(log_prefix, "primaryContainer.awsLogsConfiguration.logStreamPrefix", AWS_LINE),
    FIELD_OF(endpoints.items, "ingressPaths", AWS_LIST, .table = &endpoint_table,
        .count_offset = offsetof(struct ecs_express_configuration, endpoints.count)),
    FIELD_OF(created_ms, "createdAt", AWS_TIME),
    FIELD_OF(container_json, "primaryContainer", AWS_JSON),
};
static const struct aws_table configuration_table =
    AWS_TABLE(struct ecs_express_configuration, configuration_fields);

static const struct aws_field express_fields[] = {
    AWS_FIELD(struct ecs_express, arn, "serviceArn", AWS_LINE, .required = true),
    AWS_FIELD(struct ecs_express, name, "serviceName", AWS_LINE),
    AWS_FIELD(struct ecs_express, cluster, "cluster", AWS_LINE),
    AWS_FIELD(struct ecs_express, status, "status.statusCode", AWS_LINE, .required = true),
    AWS_FIELD(struct ecs_express, reason, "status.statusReason", AWS_LINE),
    AWS_FIELD(struct ecs_express, current_deployment, "currentDeployment", AWS_LINE),
    AWS_FIELD(struct ecs_express, infrastructure_role_arn, "infrastructureRoleArn", AWS_LINE),
    AWS_FIELD(struct ecs_express, created_ms, "createdAt", AWS_TIME),
    AWS_FIELD(struct ecs_express, updated_ms, "updatedAt", AWS_TIME),
    AWS_FIELD(struct ecs_express, configurations, "activeConfigurations", AWS_LIST,
        .table = &configuration_table,
        .count_offset = offsetof(struct ecs_express, configuration_count)),
};
static const struct aws_table express_table = AWS_TABLE(struct ecs_express, express_fields);

static int
newer_first(const void *a, const void *b)
{
    int64_t left = ((const struct ecs_express_configuration *)a)->created_ms;
    int64_t right = ((const struct ecs_express_configuration *)b)->created_ms;
    return left > right ? -1 : left < right ? 1 : 0;
}

/// The answer to an update has the one configuration it aims at, under another name.
static struct error *
read_express(const struct json *answer, struct arena *arena, struct ecs_express *out)
{
    const struct json *service = json_get(answer, "service");
    const struct json *target = json_get(service, "targetConfiguration");
    struct ecs_express read = {0};
    if (service == NULL) {
        return aws_unusable("no 'service'");
    }
    TRY(aws_read(service, &express_table, arena, &read));
    if (!json_is_null(target)) {
        read.configurations = arena_alloc(arena, sizeof(*read.configurations));
        read.configuration_count = 1;
        TRY(aws_read(target, &configuration_table, arena, read.configurations));
    }
    if (read.configuration_count > 1) {
        qsort(read.configurations, read.configuration_count, sizeof(*read.configurations),
            newer_first);
    }
    *out = read;
    return NULL;
}

struct error *
ecs_express_describe(
    struct aws_session *session, const char *arn, struct arena *arena, struct ecs_express *out)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct json *answer CLEANUP(json_freep) = NULL;
    json_set_str(body, "serviceArn", arn);
    const struct aws_call call = {
        ECS_OPERATION("DescribeExpressGatewayService"), .body = body, .read = true};
    struct error *err = aws_call(session, &call, &answer);
    if (aws_has_code(err, "ResourceNotFoundException")) {
        error_free(err);
        *out = (struct ecs_express){0};
        return NULL;
    }
    if (err == NULL) {
        err = read_express(answer, arena, out);
    }
    return err != NULL ? error_wrap(err, "describe Express service '%s'", arn) : NULL;
}

// ---- update

/// The container with another image; `image` NULL: without any, to compare the rest.
static struct error *
container_with(const char *container_json, const char *image, struct json **out)
{
    struct json *container CLEANUP(json_freep) = NULL;
    struct error *err = json_parse(str_of(container_json), &json_limits_default, &container);
    if (err != NULL) {
        return error_wrap_as(ERROR_INPUT, err, "read 'primaryContainer'");
    }
    json_set_str(container, "image", image != NULL ? image : "");
    *out = container;
    container = NULL;
    return NULL;
}

// While a deployment is under way the newest configuration may be about to be rolled back. That
// matters only when it is more than another image.
static struct error *
check_agreement(const struct ecs_express *current)
{
    struct json *first CLEANUP(json_freep) = NULL;
    if (current->configuration_count == 0 || current->configurations[0].container_json == NULL) {
        return error_new(ERROR_CONFLICT, "it has no active configuration");
    }
    TRY(container_with(current->configurations[0].container_json, NULL, &first));
    char *text CLEANUP(xfreep) = json_text(first);
    for (size_t i = 1; i < current->configuration_count; i++) {
        struct json *other CLEANUP(json_freep) = NULL;
        TRY(container_with(current->configurations[i].container_json, NULL, &other));
        char *other_text CLEANUP(xfreep) = json_text(other);
        if (strcmp(text, other_text) != 0) {
            return error_hint(
                error_new(ERROR_CONFLICT,
                    "two configurations are active that differ in more than the image"),
                "Wait until the deployment under way is over, then try again.");
        }
    }
    return NULL;
}

static struct error *
send_update(struct aws_session *session, const struct ecs_express *current, const char *image,
    struct arena *arena, struct ecs_express *after)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct json *answer CLEANUP(json_freep) = NULL;
    struct json *container = NULL;
    TRY(check_agreement(current));
    TRY(container_with(current->configurations[0].container_json, image, &container));
    json_set_str(body, "serviceArn", current->arn);
    json_set(body, "primaryContainer", container);
    const struct aws_call call = {ECS_OPERATION("UpdateExpressGatewayService"), .body = body};
    TRY(aws_call(session, &call, &answer));
    return read_express(answer, arena, after);
}

struct error *
ecs_express_update(struct aws_session *session, const struct ecs_express *current,
    const char *image, struct arena *arena, struct ecs_express *after)
{
    struct error *err = send_update(session, current, image, arena, after);
    return err != NULL ? error_wrap(err, "update Express service '%s'", current->arn) : NULL;
}

// ---- create

static struct json *
container_of(const struct ecs_express_create *create)
{
    struct json *container = json_make_object();
    json_set_str(container, "image", create->image);
    if (create->port > 0) {
        json_set_int(container, "containerPort", create->port);
    }
    if (create->log_group != NULL) {
        struct json *logs = json_make_object();
        json_set_str(logs, "logGroup", create->log_group);
        json_set_str(logs, "logStreamPrefix", create->log_prefix);
        json_set(container, "awsLogsConfiguration", logs);
    }
    if (create->command.count > 0) {
        aws_set_strings(container, "command", create->command.items, create->command.count);
    }
    if (create->environment.count > 0) {
        json_set(container, "environment", ecs_pairs(&create->environment, "name", "value"));
    }
    if (create->secrets.count > 0) {
        json_set(container, "secrets", ecs_pairs(&create->secrets, "name", "valueFrom"));
    }
    return container;
}

static void
set_scale(struct json *body, const struct ecs_express_create *create)
{
    struct json *scaling = json_make_object();
    if (create->min_tasks > 0) {
        json_set_int(scaling, "minTaskCount", create->min_tasks);
    }
    if (create->max_tasks > 0) {
        json_set_int(scaling, "maxTaskCount", create->max_tasks);
    }
    if (json_count(scaling) > 0) {
        json_set(body, "scalingTarget", scaling);
    } else {
        json_free(scaling);
    }
}

static void
set_network(struct json *body, const struct ecs_express_create *create)
{
    const struct str_list *groups = &create->security_groups, *subnets = &create->subnets;
    if (groups->count == 0 && subnets->count == 0) {
        return;
    }
    struct json *network = json_make_object();
    if (groups->count > 0) {
        aws_set_strings(network, "securityGroups", groups->items, groups->count);
    }
    if (subnets->count > 0) {
        aws_set_strings(network, "subnets", subnets->items, subnets->count);
    }
    json_set(body, "networkConfiguration", network);
}

static struct json *
create_body(const struct ecs_express_create *create)
{
    struct json *body = json_make_object();
    json_set_str(body, "executionRoleArn", create->execution_role_arn);
    json_set_str(body, "infrastructureRoleArn", create->infrastructure_role_arn);
    json_set_str(body, "serviceName", create->name);
    json_set_str(body, "cluster", create->cluster);
    json_set_str(body, "healthCheckPath", create->health_path);
    json_set(body, "primaryContainer", container_of(create));
    json_set_str(body, "taskRoleArn", create->task_role_arn);
    set_network(body, create);
    json_set_str(body, "cpu", create->cpu);
    json_set_str(body, "memory", create->memory);
    set_scale(body, create);
    if (create->tags.count > 0) {
        json_set(body, "tags", ecs_pairs(&create->tags, "key", "value"));
    }
    return body;
}

struct error *
ecs_express_create(struct aws_session *session, const struct ecs_express_create *create,
    struct arena *arena, struct ecs_express *out)
{
    struct json *body CLEANUP(json_freep) = create_body(create);
    struct json *answer CLEANUP(json_freep) = NULL;
    const struct aws_call call = {ECS_OPERATION("CreateExpressGatewayService"), .body = body};
    struct error *err = aws_call(session, &call, &answer);
    if (err == NULL) {
        err = read_express(answer, arena, out);
    }
    return err != NULL ? error_wrap(err, "create Express service '%s'",
                             create->name != NULL ? create->name : create->image)
                       : NULL;
}
