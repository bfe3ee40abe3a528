// POST /_sandbox/aws/apprunner/scenario and /seed: what the next operations shall come to, and
// services that are there from the beginning. Both are used as ECS's are.
//
//     {"service": "shop-*",        of which services; without it: of any
//      "scenario": "rollback",
//      "count": 1,                 how many operations, "all"
//      "automatic": false,         of those that a push starts, not of calls
//      "delay": "500ms",           how long the operation takes
//      "reason": "...", "log": ["..."], "status": "...", "image": "other", "started": true, ...}
#include <string.h>

#include "aws_apprunner_internal.h"
#include "aws_ecs_internal.h"
#include "dispatcher/memory.h"

enum { SERVICES_MAX = 10000, DURATION_MAX_MS = 7 * 24 * 60 * 60 * 1000 };

static const char *const courses[APPRUNNER_COURSES] = {
    [APPRUNNER_SUCCESS] = "success",
    [APPRUNNER_ROLLBACK] = "rollback",
    [APPRUNNER_ROLLBACK_FAILED] = "rollback-failed",
    [APPRUNNER_FAILED] = "failed",
    [APPRUNNER_NO_OPERATION_ID] = "no-operation-id",
    [APPRUNNER_AUTO_DEPLOY_RACE] = "auto-deploy-race",
    [APPRUNNER_SLOW] = "slow",
    [APPRUNNER_UNKNOWN_STATUS] = "unknown-status",
    [APPRUNNER_STUCK] = "stuck",
    [APPRUNNER_HIDDEN] = "hidden",
    [APPRUNNER_HTML_500] = "html-500",
    [APPRUNNER_UNHEALTHY_HTTP] = "unhealthy-http",
};

static enum apprunner_course
find_course(const char *name)
{
    int course = 0;
    while (course < APPRUNNER_COURSES && !cstr_equal(courses[course], name)) {
        course++;
    }
    return (enum apprunner_course)course;
}

int64_t
sandbox_apprunner_ms(const struct json *order, const char *key, int64_t fallback)
{
    int64_t ms = 0;
    return sandbox_ecs_read_ms(json_get(order, key), &ms) && ms <= DURATION_MAX_MS ? ms : fallback;
}

static bool
is_duration(const struct json *order, const char *key)
{
    return json_get(order, key) == NULL || sandbox_apprunner_ms(order, key, -1) >= 0;
}

static const char *
problem_of(const struct json *order, enum apprunner_course course)
{
    const struct json *count = json_get(order, "count"), *service = json_get(order, "service");
    if (course == APPRUNNER_COURSES) {
        return "'scenario' is none that the sandbox has for App Runner";
    }
    if (service != NULL && json_str(service) == NULL) {
        return "'service' is no text";
    }
    if (count != NULL && !cstr_equal(json_str(count), "all") && json_int(count, 0) < 1) {
        return "'count' is neither a positive number nor \"all\"";
    }
    return is_duration(order, "delay") && is_duration(order, "for")
               ? NULL
               : "'delay' and 'for' are durations, as in \"500ms\" or \"2s\"";
}

static void
spoil_now(struct sandbox *sandbox, const struct apprunner_scenario *scenario)
{
    const struct apprunner_state *state = sandbox_apprunner_state(sandbox);
    for (size_t i = 0; i < state->service_count; i++) {
        if (fault_glob(scenario->service, state->services[i]->name)) {
            sandbox_apprunner_spoil(sandbox, state->services[i], scenario->order);
        }
    }
}

void
sandbox_apprunner_control_scenario(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response)
{
    struct json *order CLEANUP(json_freep) = sandbox_request_json(request);
    const char *service = json_str(json_get(order, "service"));
    enum apprunner_course course = find_course(json_str(json_get(order, "scenario")));
    bool all = cstr_equal(json_str(json_get(order, "count")), "all");
    const char *problem = problem_of(order, course);
    if (problem != NULL) {
        sandbox_reply_problem(response, 422, "%s", problem);
        return;
    }
    struct apprunner_state *state = sandbox_apprunner_state(sandbox);
    struct apprunner_scenario *scenario = arena_alloc(state->arena, sizeof(*scenario));
    *scenario = (struct apprunner_scenario){.course = course,
        .service = arena_dup(state->arena, service != NULL ? service : "*"),
        .left = all ? -1 : json_int(json_get(order, "count"), 1),
        .order = json_clone(order)};
    if (course == APPRUNNER_UNHEALTHY_HTTP && json_bool(json_get(order, "now"), false)) {
        spoil_now(sandbox, scenario);
        scenario->left = 0;
    }
    state->scenarios = xrealloc(
        state->scenarios, (state->scenario_count + 1) * sizeof(struct apprunner_scenario *));
    state->scenarios[state->scenario_count++] = scenario;
    response->status = 204;
}

// --- seed
// -----------------------------------------------------------------------------------------

static void
take_setting(void *ctx, const char *key, const struct json *value)
{
    if (!json_is_null(value)) {
        json_set(ctx, key, json_clone(value));
    }
}

// A CreateService of {"name", "image", "auto_deploy", "private", "settings"}.
static struct json *
request_of(struct sandbox *sandbox, const struct json *order)
{
    const char *image = json_str(json_get(order, "image"));
    struct json *request = json_make_object();
    if (image != NULL) {
        struct json *source = json_make_object(), *repository = json_make_object();
        struct json *access = json_make_object();
        bool is_public = strncmp(image, "public.ecr.aws/", strlen("public.ecr.aws/")) == 0;
        sandbox_iam_ensure(sandbox, "apprunner-ecr", "build.apprunner.amazonaws.com");
        char *role CLEANUP(xfreep) =
            xasprintf("arn:aws:iam::%s:role/apprunner-ecr", sandbox_aws_account(sandbox));
        json_set_str(repository, "ImageIdentifier", image);
        json_set_str(repository, "ImageRepositoryType", is_public ? "ECR_PUBLIC" : "ECR");
        json_set(source, "ImageRepository", repository);
        json_set_bool(
            source, "AutoDeploymentsEnabled", json_bool(json_get(order, "auto_deploy"), false));
        json_set_str(access, "AccessRoleArn", is_public ? NULL : role);
        json_set(source, "AuthenticationConfiguration", access);
        json_set(request, "SourceConfiguration", source);
    }
    if (json_bool(json_get(order, "private"), false)) {
        struct json *network = json_make_object(), *ingress = json_make_object();
        json_set_bool(ingress, "IsPubliclyAccessible", false);
        json_set(network, "IngressConfiguration", ingress);
        json_set(request, "NetworkConfiguration", network);
    }
    json_each(json_get(order, "settings"), take_setting, request);
    return request;
}

static const char *
seed_service(struct sandbox *sandbox, const struct json *order)
{
    static const char *const statuses[] = {"RUNNING", "PAUSED", "CREATE_FAILED"};
    const char *name = json_str(json_get(order, "name")), *problem = NULL;
    const char *asked = json_str(json_get(order, "status")), *status = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(statuses); i++) {
        bool fits = cstr_equal(asked != NULL ? asked : "RUNNING", statuses[i]);
        status = fits ? statuses[i] : status;
    }
    if (name == NULL || status == NULL) {
        return name == NULL ? "a service has no 'name'"
                            : "'status' is neither RUNNING, PAUSED nor CREATE_FAILED";
    }
    if (sandbox_apprunner_find(sandbox, name) != NULL) {
        return "a service of that name is there already";
    }
    struct json *request CLEANUP(json_freep) = request_of(sandbox, order);
    if (!json_is_object(json_get(request, "SourceConfiguration"))) {
        return "a service has neither 'image' nor 'settings' with a SourceConfiguration";
    }
    struct json *settings CLEANUP(json_freep) =
        sandbox_apprunner_settings(sandbox, NULL, request, &problem);
    if (settings == NULL) {
        return problem;
    }
    struct apprunner_service *service = sandbox_apprunner_add(sandbox, name, settings);
    service->status = status;
    return NULL;
}

static const char *
seed_connection(struct sandbox *sandbox, const struct json *order)
{
    const char *name = json_str(json_get(order, "name"));
    if (name == NULL) {
        return "a connection has no 'name'";
    }
    sandbox_apprunner_connection_add(
        sandbox, name, json_str(json_get(order, "arn")), "GITHUB", "AVAILABLE");
    return NULL;
}

// {"delay", "connections": [{"name", "arn"}], "services": [...]}; what came before a problem stays.
void
sandbox_apprunner_control_seed(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response)
{
    struct json *order CLEANUP(json_freep) = sandbox_request_json(request);
    const struct json *connections = json_get(order, "connections");
    const struct json *services = json_get(order, "services");
    struct apprunner_state *state = sandbox_apprunner_state(sandbox);
    const char *problem = order == NULL                  ? "the order is no object"
                          : !is_duration(order, "delay") ? "'delay' is no duration, as in \"2s\""
                          : state->service_count + json_count(services) > SERVICES_MAX
                              ? "too many services"
                              : NULL;
    for (size_t i = 0; problem == NULL && i < json_count(connections); i++) {
        problem = seed_connection(sandbox, json_at(connections, i));
    }
    for (size_t i = 0; problem == NULL && i < json_count(services); i++) {
        problem = seed_service(sandbox, json_at(services, i));
    }
    if (problem != NULL) {
        sandbox_reply_problem(response, 422, "%s", problem);
        return;
    }
    state->delay_ms = sandbox_apprunner_ms(order, "delay", state->delay_ms);
    struct json *body = json_make_object();
    json_set_int(body, "services", (int64_t)json_count(services));
    json_set_int(body, "connections", (int64_t)json_count(connections));
    sandbox_reply_json(response, 201, body);
}
