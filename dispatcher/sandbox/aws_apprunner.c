// App Runner's API on services: who may begin which operation when, and what is answered. How
// operations go on is aws_apprunner_operation.c; the shapes are aws_apprunner_shape.c.
#include <stdlib.h>
#include <string.h>

#include "aws_apprunner_internal.h"
#include "dispatcher/memory.h"

struct rule { // when an operation may begin
    const char *type;
    const char *from[2]; // statuses of the service
    const char *code;    // of the refusal
};

static const struct rule update_rule = {
    "UPDATE_SERVICE", {"RUNNING", "CREATE_FAILED"}, "InvalidStateException"};
static const struct rule deploy_rule = { // the model has no InvalidStateException for it
    "START_DEPLOYMENT", {"RUNNING", NULL}, "InvalidRequestException"};
static const struct rule pause_rule = {"PAUSE_SERVICE", {"RUNNING", NULL}, "InvalidStateException"};
static const struct rule resume_rule = {
    "RESUME_SERVICE", {"PAUSED", NULL}, "InvalidStateException"};
static const struct rule delete_rules[] = {
    {"DELETE_SERVICE", {"RUNNING", "CREATE_FAILED"}, "InvalidStateException"},
    {"DELETE_SERVICE", {"PAUSED", NULL}, "InvalidStateException"}};

struct apprunner_state *
sandbox_apprunner_state(struct sandbox *sandbox)
{
    struct aws_state *aws = sandbox->aws;
    if (aws->apprunner == NULL) {
        aws->apprunner = xcalloc(1, sizeof(*aws->apprunner));
        aws->apprunner->arena = arena_new();
        aws->apprunner->connections = json_make_array();
        aws->apprunner->vpc_connectors = json_make_array();
        aws->apprunner->scalings = json_make_array();
        aws->apprunner->delay_ms = -1;
    }
    return aws->apprunner;
}

static void
forget_service(struct apprunner_service *service)
{
    for (size_t i = 0; i < service->operation_count; i++) {
        json_free(service->operations[i]->passed);
        json_free(service->operations[i]->log);
        json_free(service->operations[i]->before);
    }
    free(service->operations);
    json_free(service->settings);
    json_free(service->tags);
}

void
sandbox_apprunner_forget(struct aws_state *aws)
{
    struct apprunner_state *state = aws->apprunner;
    if (state == NULL) {
        return;
    }
    for (size_t i = 0; i < state->service_count; i++) {
        forget_service(state->services[i]);
    }
    for (size_t i = 0; i < state->scenario_count; i++) {
        json_free(state->scenarios[i]->order);
    }
    free(state->services);
    free(state->scenarios);
    json_free(state->connections);
    json_free(state->vpc_connectors);
    json_free(state->scalings);
    arena_free(state->arena);
    free(state);
    aws->apprunner = NULL;
}

// --- finding and adding
// ---------------------------------------------------------------------------

static struct apprunner_service *
find_by_name(struct sandbox *sandbox, const char *name)
{
    const struct apprunner_state *state = sandbox_apprunner_state(sandbox);
    for (size_t i = 0; i < state->service_count; i++) {
        struct apprunner_service *service = state->services[i];
        if (strcmp(service->name, name) == 0 && !cstr_equal(service->status, "DELETED")) {
            return service;
        }
    }
    return NULL;
}

struct apprunner_service *
sandbox_apprunner_find(struct sandbox *sandbox, const char *name)
{
    sandbox_apprunner_advance(sandbox);
    return find_by_name(sandbox, name);
}

struct apprunner_service *
sandbox_apprunner_service_of(struct aws_exchange *exchange)
{
    const struct apprunner_state *state = sandbox_apprunner_state(exchange->sandbox);
    const char *arn = json_str(json_get(exchange->body, "ServiceArn"));
    for (size_t i = 0; i < state->service_count; i++) {
        if (strcmp(state->services[i]->arn, arn) == 0) {
            return state->services[i];
        }
    }
    sandbox_aws_problem(exchange, "ResourceNotFoundException",
        "Service with the provided 'ServiceArn' does not exist: %s", arn);
    return NULL;
}

struct apprunner_service *
sandbox_apprunner_add(struct sandbox *sandbox, const char *name, const struct json *settings)
{
    struct apprunner_state *state = sandbox_apprunner_state(sandbox);
    struct arena *arena = state->arena;
    struct apprunner_service *service = arena_alloc(arena, sizeof(*service));
    struct apprunner_image image;
    int64_t now = sandbox_now(sandbox);
    sandbox_apprunner_image(sandbox, arena, sandbox_apprunner_image_identifier(settings), &image);
    *service = (struct apprunner_service){.name = arena_dup(arena, name),
        .id = sandbox_random(sandbox, arena, 16),
        .status = "RUNNING",
        .settings = json_clone(settings),
        .tags = json_make_array(),
        .image = arena_dup(arena, sandbox_apprunner_image_identifier(settings)),
        .digest = image.digest,
        .created_ms = now,
        .updated_ms = now};
    service->arn = arena_printf(arena, "arn:aws:apprunner:%s:%s:service/%s/%s",
        sandbox_aws_region(sandbox), sandbox_aws_account(sandbox), name, service->id);
    service->url =
        arena_printf(arena, "%.10s.%s.awsapprunner.com", service->id, sandbox_aws_region(sandbox));
    state->services =
        xrealloc(state->services, (state->service_count + 1) * sizeof(struct apprunner_service *));
    state->services[state->service_count++] = service;
    return service;
}

// --- beginning an operation
// -----------------------------------------------------------------------

static bool
may_begin(const struct apprunner_service *service, const struct rule *rule)
{
    const char *status = sandbox_apprunner_status(service);
    return cstr_equal(status, rule->from[0]) ||
           (rule->from[1] != NULL && cstr_equal(status, rule->from[1]));
}

static void
refuse(
    struct aws_exchange *exchange, const struct apprunner_service *service, const struct rule *rule)
{
    sandbox_aws_problem(exchange, rule->code,
        "Service '%s' cannot take %s in the current state: %s.", service->name, rule->type,
        sandbox_apprunner_status(service));
}

// A deployment that a push has started gets in before the call: of the image that the call would
// bring, or of what was set before.
static void
begin_race(struct aws_exchange *exchange, struct apprunner_service *service,
    const struct apprunner_scenario *scenario)
{
    bool is_other = cstr_equal(json_str(json_get(scenario->order, "image")), "other");
    const char *problem = NULL;
    struct json *settings = is_other ? NULL
                                     : sandbox_apprunner_settings(exchange->sandbox,
                                           service->settings, exchange->body, &problem);
    if (settings != NULL) {
        json_free(service->settings);
        service->settings = settings;
    }
    struct apprunner_operation *operation =
        sandbox_apprunner_begin(exchange->sandbox, service, "START_DEPLOYMENT", NULL, NULL);
    operation->delay_ms = sandbox_apprunner_ms(scenario->order, "delay", operation->delay_ms);
}

static void
reply_html(struct aws_exchange *exchange)
{
    sandbox_reply_reset(exchange->response);
    sandbox_reply_text(exchange->response, 500, "text/html",
        STR("<html><body><b>Http/1.1 Internal Server Error</b></body></html>"));
}

// May the operation begin? Takes the scenario that is planned for it. false: it was answered.
static bool
prepare(struct aws_exchange *exchange, struct apprunner_service *service, const struct rule *rule,
    struct apprunner_scenario **scenario)
{
    if (!may_begin(service, rule)) {
        refuse(exchange, service, rule);
        return false;
    }
    *scenario = sandbox_apprunner_scenario_take(
        sandbox_apprunner_state(exchange->sandbox), service->name, false);
    if (*scenario == NULL) {
        return true;
    }
    bool starts = json_bool(json_get((*scenario)->order, "started"), false);
    if ((*scenario)->course == APPRUNNER_AUTO_DEPLOY_RACE) {
        begin_race(exchange, service, *scenario);
        refuse(exchange, service, rule);
        return false;
    }
    if ((*scenario)->course == APPRUNNER_HTML_500 && !starts) {
        reply_html(exchange);
        return false;
    }
    return true;
}

static void
reply(struct aws_exchange *exchange, const struct apprunner_service *service,
    const struct apprunner_operation *operation, const struct apprunner_scenario *scenario)
{
    struct json *body = json_make_object();
    if (!cstr_equal(exchange->operation, "StartDeployment")) {
        json_set(body, "Service", sandbox_apprunner_service_json(exchange->sandbox, service));
    }
    if (scenario == NULL || scenario->course != APPRUNNER_NO_OPERATION_ID) {
        json_set_str(body, "OperationId", operation->id);
    }
    sandbox_reply_json(exchange->response, 200, body);
    if (scenario != NULL && scenario->course == APPRUNNER_HTML_500) {
        reply_html(exchange);
    }
}

static void
begin(struct aws_exchange *exchange, struct apprunner_service *service, const struct rule *rule)
{
    struct apprunner_scenario *scenario = NULL;
    if (prepare(exchange, service, rule, &scenario)) {
        const struct apprunner_operation *operation =
            sandbox_apprunner_begin(exchange->sandbox, service, rule->type, scenario, NULL);
        reply(exchange, service, operation, scenario);
    }
}

static void
begin_by_rule(struct aws_exchange *exchange, const struct rule *rule)
{
    struct apprunner_service *service = sandbox_apprunner_service_of(exchange);
    if (service != NULL) {
        begin(exchange, service, rule);
    }
}

// --- operations of the API
// ------------------------------------------------------------------------

static bool
is_name(const char *name)
{
    static const char legal[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    return strspn(name, legal) == strlen(name) && name[0] != '-' && name[0] != '_';
}

static void
create_service(struct aws_exchange *exchange)
{
    static const struct rule rule = {
        "CREATE_SERVICE", {"CREATE_FAILED", NULL}, "InvalidStateException"};
    const char *name = json_str(json_get(exchange->body, "ServiceName")), *problem = NULL;
    const struct json *tags = json_get(exchange->body, "Tags");
    struct json *settings CLEANUP(json_freep) =
        sandbox_apprunner_settings(exchange->sandbox, NULL, exchange->body, &problem);
    if (!is_name(name)) {
        problem = "The service name is invalid.";
    } else if (find_by_name(exchange->sandbox, name) != NULL) {
        problem = "Service with the provided name already exists.";
    }
    if (problem != NULL) {
        sandbox_aws_problem(exchange, "InvalidRequestException", "%s", problem);
        return;
    }
    struct apprunner_service *service = sandbox_apprunner_add(exchange->sandbox, name, settings);
    service->status = "CREATE_FAILED"; // until the operation has succeeded
    service->image = service->digest = NULL;
    if (json_is_array(tags)) {
        json_free(service->tags);
        service->tags = json_clone(tags);
    }
    begin(exchange, service, &rule);
    if (service->operation_count == 0) { // a scenario answered instead
        forget_service(service);
        sandbox_apprunner_state(exchange->sandbox)->service_count--;
    }
}

static void
update_service(struct aws_exchange *exchange)
{
    struct apprunner_service *service = sandbox_apprunner_service_of(exchange);
    struct apprunner_scenario *scenario = NULL;
    const char *problem = NULL;
    if (service == NULL || !prepare(exchange, service, &update_rule, &scenario)) {
        return;
    }
    struct json *settings =
        sandbox_apprunner_settings(exchange->sandbox, service->settings, exchange->body, &problem);
    if (settings == NULL) {
        sandbox_aws_problem(exchange, "InvalidRequestException", "%s", problem);
        return;
    }
    struct json *before = service->settings;
    service->settings = settings;
    const struct apprunner_operation *operation =
        sandbox_apprunner_begin(exchange->sandbox, service, update_rule.type, scenario, before);
    reply(exchange, service, operation, scenario);
}

static void
describe_service(struct aws_exchange *exchange)
{
    const struct apprunner_service *service = sandbox_apprunner_service_of(exchange);
    if (service != NULL) {
        struct json *body = json_make_object();
        json_set(body, "Service", sandbox_apprunner_service_json(exchange->sandbox, service));
        sandbox_reply_json(exchange->response, 200, body);
    }
}

static void
start_deployment(struct aws_exchange *exchange)
{
    begin_by_rule(exchange, &deploy_rule);
}

static void
pause_service(struct aws_exchange *exchange)
{
    begin_by_rule(exchange, &pause_rule);
}

static void
resume_service(struct aws_exchange *exchange)
{
    begin_by_rule(exchange, &resume_rule);
}

static void
delete_service(struct aws_exchange *exchange)
{
    struct apprunner_service *service = sandbox_apprunner_service_of(exchange);
    if (service != NULL) {
        bool is_paused = cstr_equal(sandbox_apprunner_status(service), "PAUSED");
        begin(exchange, service, &delete_rules[is_paused]);
    }
}

void
sandbox_apprunner_handle(struct aws_exchange *exchange)
{
    static const struct aws_operation operations[] = {
        {"CreateService", create_service},
        {"DescribeService", describe_service},
        {"UpdateService", update_service},
        {"StartDeployment", start_deployment},
        {"ListOperations", sandbox_apprunner_list_operations},
        {"ListServices", sandbox_apprunner_list_services},
        {"PauseService", pause_service},
        {"ResumeService", resume_service},
        {"DeleteService", delete_service},
        {"CreateConnection", sandbox_apprunner_create_connection},
        {"ListConnections", sandbox_apprunner_list_connections},
        {"CreateVpcConnector", sandbox_apprunner_create_vpc_connector},
        {"DescribeVpcConnector", sandbox_apprunner_describe_vpc_connector},
        {"ListVpcConnectors", sandbox_apprunner_list_vpc_connectors},
        {"CreateAutoScalingConfiguration", sandbox_apprunner_create_scaling},
        {"ListTagsForResource", sandbox_apprunner_list_tags},
        {"TagResource", sandbox_apprunner_tag_resource},
        {"UntagResource", sandbox_apprunner_untag_resource},
    };
    sandbox_aws_run(exchange, operations, ARRAY_LENGTH(operations));
}
