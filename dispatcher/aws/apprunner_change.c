// What changes App Runner services (CreateService, UpdateService, StartDeployment, PauseService,
// ResumeService, DeleteService). Each starts an operation and is sent once; nothing here follows
// it.
#include <string.h>

#include "apprunner_internal.h"

static struct error *
read_start(const struct json *answer, struct arena *arena, struct apprunner_start *out)
{
    const struct json *service = json_get(answer, "Service");
    *out = (struct apprunner_start){
        .arn = aws_line(arena, json_get(service, "ServiceArn")),
        .operation_id = aws_line(arena, json_get(answer, "OperationId")),
        .status = aws_line(arena, json_get(service, "Status")),
    };
    return NULL;
}

static struct error *
busy(struct error *err, const char *what, const char *subject)
{
    err = error_wrap_as(ERROR_CONFLICT, err, "%s App Runner service '%s'", what, subject);
    return error_hint(err, "Another operation runs, or the service is paused: wait for the one, or "
                           "resume the other, then try again.");
}

static struct error *
change(struct aws_session *session, const struct aws_call *call, struct arena *arena,
    struct apprunner_start *out)
{
    struct json *answer CLEANUP(json_freep) = NULL;
    TRY(aws_call(session, call, &answer));
    return read_start(answer, arena, out);
}

// ---- create

static struct json *
image_source(const struct apprunner_create *create)
{
    struct json *repository = json_make_object(), *configuration = json_make_object();
    json_set_str(repository, "ImageIdentifier", create->image);
    json_set_str(repository, "ImageRepositoryType", create->is_public_image ? "ECR_PUBLIC" : "ECR");
    json_set_str(configuration, "Port", create->port);
    json_set_str(configuration, "StartCommand", create->start_command);
    apprunner_set_variables(configuration, &create->environment, &create->secrets);
    if (json_count(configuration) > 0) {
        json_set(repository, "ImageConfiguration", configuration);
    } else {
        json_free(configuration);
    }
    return repository;
}

static struct json *
code_configuration(const struct apprunner_create *create)
{
    struct json *configuration = json_make_object();
    bool by_file = create->runtime == NULL;
    json_set_str(configuration, "ConfigurationSource", by_file ? "REPOSITORY" : "API");
    if (!by_file) {
        struct json *values = json_make_object();
        json_set_str(values, "Runtime", create->runtime);
        json_set_str(values, "BuildCommand", create->build_command);
        json_set_str(values, "StartCommand", create->start_command);
        json_set_str(values, "Port", create->port);
        apprunner_set_variables(values, &create->environment, &create->secrets);
        json_set(configuration, "CodeConfigurationValues", values);
    }
    return configuration;
}

static struct json *
code_source(const struct apprunner_create *create)
{
    struct json *repository = json_make_object(), *version = json_make_object();
    json_set_str(version, "Type", "BRANCH");
    json_set_str(version, "Value", create->branch);
    json_set_str(repository, "RepositoryUrl", create->repository_url);
    json_set(repository, "SourceCodeVersion", version);
    json_set(repository, "CodeConfiguration", code_configuration(create));
    json_set_str(repository, "SourceDirectory", create->source_directory);
    return repository;
}

static struct json *
source_of(const struct apprunner_create *create)
{
    struct json *source = json_make_object(), *authentication = json_make_object();
    if (create->kind == APPRUNNER_IMAGE) {
        json_set(source, "ImageRepository", image_source(create));
    } else {
        json_set(source, "CodeRepository", code_source(create));
    }
    // Its default is true: a push by anybody would deploy.
    json_set_bool(source, "AutoDeploymentsEnabled", create->auto_deploys);
    json_set_str(authentication, "AccessRoleArn", create->access_role_arn);
    json_set_str(authentication, "ConnectionArn", create->connection_arn);
    if (json_count(authentication) > 0) {
        json_set(source, "AuthenticationConfiguration", authentication);
    } else {
        json_free(authentication);
    }
    return source;
}

static void
put_number(struct json *object, const char *key, int64_t number)
{
    if (number > 0) {
        json_set_int(object, key, number);
    }
}

static void
put_health(struct json *object, const struct apprunner_health_check *check)
{
    json_set_str(object, "Protocol", check->protocol);
    json_set_str(object, "Path", check->path);
    put_number(object, "Interval", check->interval);
    put_number(object, "Timeout", check->timeout);
    put_number(object, "HealthyThreshold", check->healthy);
    put_number(object, "UnhealthyThreshold", check->unhealthy);
}

static void
put_egress(struct json *network, const char *vpc_connector_arn)
{
    struct json *egress = json_make_object();
    json_set_str(egress, "EgressType", "VPC");
    json_set_str(egress, "VpcConnectorArn", vpc_connector_arn);
    json_set(network, "EgressConfiguration", egress);
}

static void
put_network(struct json *body, const struct apprunner_create *create)
{
    if (create->vpc_connector_arn == NULL && !create->is_private) {
        return;
    }
    struct json *network = json_make_object();
    if (create->vpc_connector_arn != NULL) {
        put_egress(network, create->vpc_connector_arn);
    }
    if (create->is_private) {
        struct json *ingress = json_make_object();
        json_set_bool(ingress, "IsPubliclyAccessible", false);
        json_set(network, "IngressConfiguration", ingress);
    }
    json_set(body, "NetworkConfiguration", network);
}

static void
put_instance(struct json *body, const struct apprunner_create *create)
{
    struct json *instance = json_make_object();
    json_set_str(instance, "Cpu", create->cpu);
    json_set_str(instance, "Memory", create->memory);
    json_set_str(instance, "InstanceRoleArn", create->instance_role_arn);
    if (json_count(instance) > 0) {
        json_set(body, "InstanceConfiguration", instance);
    } else {
        json_free(instance);
    }
}

static struct json *
create_body(const struct apprunner_create *create)
{
    struct json *body = json_make_object();
    json_set_str(body, "ServiceName", create->name);
    json_set(body, "SourceConfiguration", source_of(create));
    put_instance(body, create);
    if (create->tags.count > 0) {
        struct json *tags = json_make_array();
        for (size_t i = 0; i < create->tags.count; i++) {
            struct json *tag = json_make_object();
            json_set_str(tag, "Key", create->tags.items[i].key);
            json_set_str(tag, "Value", create->tags.items[i].value);
            json_append(tags, tag);
        }
        json_set(body, "Tags", tags);
    }
    if (create->health_check != NULL) {
        struct json *check = json_make_object();
        put_health(check, create->health_check);
        json_set(body, "HealthCheckConfiguration", check);
    }
    json_set_str(body, "AutoScalingConfigurationArn", create->auto_scaling_arn);
    put_network(body, create);
    return body;
}

struct error *
apprunner_create(struct aws_session *session, const struct apprunner_create *create,
    struct arena *arena, struct apprunner_start *out)
{
    struct json *body CLEANUP(json_freep) = create_body(create);
    struct apprunner_start start = {0};
    const struct aws_call call = {APPRUNNER_OPERATION("CreateService"), .body = body};
    struct error *err = change(session, &call, arena, &start);
    if (err == NULL && start.arn == NULL) {
        err = aws_unusable("no 'Service.ServiceArn'");
    }
    if (err != NULL) {
        return error_wrap(err, "create App Runner service '%s'", create->name);
    }
    *out = start;
    return NULL;
}

// ---- update

/// The configuration as it is, to be changed; an empty object when there is none.
static struct error *
open_json(const char *text, const char *what, struct json **out)
{
    *out = text == NULL ? json_make_object() : NULL;
    struct error *err = text != NULL ? json_parse(str_of(text), &json_limits_default, out) : NULL;
    return err != NULL ? error_wrap_as(ERROR_INPUT, err, "read '%s'", what) : NULL;
}

static struct error *
fill_update(const struct apprunner_update *update, struct json *body)
{
    const struct apprunner_service *current = update->current;
    json_set_str(body, "ServiceArn", current->arn);
    TRY(aws_set_json(body, "SourceConfiguration", update->source_json, "'SourceConfiguration'"));
    if (update->cpu != NULL || update->memory != NULL || update->instance_role_arn != NULL) {
        struct json *instance = NULL;
        TRY(open_json(current->instance_json, "InstanceConfiguration", &instance));
        json_set_str(instance, "Cpu", update->cpu);
        json_set_str(instance, "Memory", update->memory);
        json_set_str(instance, "InstanceRoleArn", update->instance_role_arn);
        json_set(body, "InstanceConfiguration", instance);
    }
    json_set_str(body, "AutoScalingConfigurationArn", update->auto_scaling_arn);
    if (update->health_check != NULL) {
        struct json *check = NULL;
        TRY(open_json(current->health_json, "HealthCheckConfiguration", &check));
        put_health(check, update->health_check);
        json_set(body, "HealthCheckConfiguration", check);
    }
    if (update->vpc_connector_arn != NULL) {
        struct json *network = NULL;
        TRY(open_json(current->network_json, "NetworkConfiguration", &network));
        put_egress(network, update->vpc_connector_arn);
        json_set(body, "NetworkConfiguration", network);
    }
    return NULL;
}

struct error *
apprunner_update(struct aws_session *session, const struct apprunner_update *update,
    struct arena *arena, struct apprunner_start *out)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    const struct aws_call call = {APPRUNNER_OPERATION("UpdateService"), .body = body};
    struct apprunner_start start = {0};
    struct error *err = fill_update(update, body);
    if (err == NULL) {
        err = change(session, &call, arena, &start);
    }
    if (aws_has_code(err, "InvalidStateException")) {
        return busy(err, "update", update->current->name);
    }
    if (err != NULL) {
        return error_wrap(err, "update App Runner service '%s'", update->current->name);
    }
    start.arn = start.arn != NULL ? start.arn : arena_dup(arena, update->current->arn);
    *out = start;
    return NULL;
}

// ---- what needs an ARN only

struct act {
    struct aws_call call;
    const char *what; // "pause"
    /// The model has no InvalidStateException for it: a service that is busy or paused is an
    /// InvalidRequestException like any other, and only its state tells which it was.
    bool hides_state;
};

static bool
is_in_the_way(
    struct aws_session *session, const struct act *act, const char *arn, const struct error *err)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct apprunner_service service = {0};
    if (!act->hides_state || !aws_has_code(err, "InvalidRequestException")) {
        return aws_has_code(err, "InvalidStateException");
    }
    struct error *unknown CLEANUP(error_freep) = apprunner_describe(session, arn, arena, &service);
    return unknown == NULL &&
           (service.state == APPRUNNER_SERVICE_BUSY || service.state == APPRUNNER_SERVICE_PAUSED);
}

static struct error *
send_act(struct aws_session *session, const struct act *act, const char *arn, struct arena *arena,
    struct apprunner_start *out)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct aws_call call = act->call;
    struct apprunner_start start = {0};
    json_set_str(body, "ServiceArn", arn);
    call.body = body;
    struct error *err = change(session, &call, arena, &start);
    if (is_in_the_way(session, act, arn, err)) {
        return busy(err, act->what, arn);
    }
    if (err != NULL) {
        return error_wrap(err, "%s App Runner service '%s'", act->what, arn);
    }
    start.arn = start.arn != NULL ? start.arn : arena_dup(arena, arn);
    *out = start;
    return NULL;
}

struct error *
apprunner_start_deployment(
    struct aws_session *session, const char *arn, struct arena *arena, struct apprunner_start *out)
{
    const struct act act = {{APPRUNNER_OPERATION("StartDeployment")}, "deploy to", true};
    return send_act(session, &act, arn, arena, out);
}

struct error *
apprunner_pause(
    struct aws_session *session, const char *arn, struct arena *arena, struct apprunner_start *out)
{
    const struct act act = {{APPRUNNER_OPERATION("PauseService")}, "pause", false};
    return send_act(session, &act, arn, arena, out);
}

struct error *
apprunner_resume(
    struct aws_session *session, const char *arn, struct arena *arena, struct apprunner_start *out)
{
    const struct act act = {{APPRUNNER_OPERATION("ResumeService")}, "resume", false};
    return send_act(session, &act, arn, arena, out);
}

struct error *
apprunner_delete(
    struct aws_session *session, const char *arn, struct arena *arena, struct apprunner_start *out)
{
    const struct act act = {{APPRUNNER_OPERATION("DeleteService")}, "delete", false};
    return send_act(session, &act, arn, arena, out);
}
