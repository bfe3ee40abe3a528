// App Runner's answers: a service, lists of services and operations in pages of at most 20.
#include <string.h>

#include "aws_apprunner_internal.h"

enum { PAGE_MAX = 20, HIDING_COUNT = 25, START_MAX = 1000000 };

void
sandbox_apprunner_set_time(struct json *object, const char *key, int64_t wall_ms)
{
    if (wall_ms > 0) {
        json_set_number(object, key, (double)wall_ms / 1000.0);
    }
}

static struct json *
summary_json(const struct apprunner_service *service)
{
    struct json *item = json_make_object();
    bool is_public =
        json_bool(json_path(service->settings,
                      "NetworkConfiguration.IngressConfiguration.IsPubliclyAccessible"),
            true);
    json_set_str(item, "ServiceName", service->name);
    json_set_str(item, "ServiceId", service->id);
    json_set_str(item, "ServiceArn", service->arn);
    json_set_str(item, "ServiceUrl", is_public ? service->url : NULL);
    sandbox_apprunner_set_time(item, "CreatedAt", service->created_ms);
    sandbox_apprunner_set_time(item, "UpdatedAt", service->updated_ms);
    json_set_str(item, "Status", sandbox_apprunner_status(service));
    return item;
}

struct json *
sandbox_apprunner_service_json(struct sandbox *sandbox, const struct apprunner_service *service)
{
    static const char *const members[] = {"SourceConfiguration", "InstanceConfiguration",
        "EncryptionConfiguration", "HealthCheckConfiguration", "NetworkConfiguration",
        "ObservabilityConfiguration"};
    struct json *item = summary_json(service);
    sandbox_apprunner_set_time(item, "DeletedAt", service->deleted_ms);
    for (size_t i = 0; i < ARRAY_LENGTH(members); i++) {
        const struct json *value = json_get(service->settings, members[i]);
        if (value != NULL) {
            json_set(item, members[i], json_clone(value));
        }
    }
    const char *scaling = json_str(json_get(service->settings, "AutoScalingConfigurationArn"));
    json_set(item, "AutoScalingConfigurationSummary",
        json_clone(sandbox_apprunner_scaling(sandbox, scaling)));
    return item;
}

// NextToken is the number of the first item of the next page.
void
sandbox_apprunner_reply_page(
    struct aws_exchange *exchange, const char *key, struct json *list, int64_t most)
{
    const char *token = json_str(json_get(exchange->body, "NextToken"));
    int64_t size = json_int(json_get(exchange->body, "MaxResults"), most), start = 0;
    size = size < most ? size : most;
    if (token != NULL && (!str_to_int64(str_of(token), &start) || start < 1 || start > START_MAX)) {
        json_free(list);
        sandbox_aws_problem(exchange, "InvalidRequestException", "Invalid NextToken");
        return;
    }
    struct json *page = json_make_array(), *body = json_make_object();
    int64_t count = (int64_t)json_count(list);
    for (int64_t i = start; i < count && i < start + size; i++) {
        json_append(page, json_clone(json_at(list, (size_t)i)));
    }
    json_free(list);
    json_set(body, key, page);
    if (start + size < count) {
        json_set_str(body, "NextToken",
            arena_printf(exchange->request->arena, "%lld", (long long)(start + size)));
    }
    sandbox_reply_json(exchange->response, 200, body);
}

void
sandbox_apprunner_list_services(struct aws_exchange *exchange)
{
    const struct apprunner_state *state = sandbox_apprunner_state(exchange->sandbox);
    struct json *list = json_make_array();
    for (size_t i = 0; i < state->service_count; i++) {
        if (!cstr_equal(state->services[i]->status, "DELETED")) {
            json_append(list, summary_json(state->services[i]));
        }
    }
    sandbox_apprunner_reply_page(exchange, "ServiceSummaryList", list, PAGE_MAX);
}

static struct json *
operation_json(const struct apprunner_service *service, const struct apprunner_operation *operation)
{
    struct json *item = json_make_object();
    json_set_str(item, "Id", operation->id);
    json_set_str(item, "Type", operation->type);
    json_set_str(item, "Status", operation->status);
    json_set_str(item, "TargetArn", service->arn);
    sandbox_apprunner_set_time(item, "StartedAt", operation->created_ms);
    sandbox_apprunner_set_time(item, "EndedAt", operation->ended_ms);
    sandbox_apprunner_set_time(item, "UpdatedAt", operation->updated_ms);
    return item;
}

// Operations that are over before anybody looks, so that an older one is on the second page.
static void
add_newer_ones(const struct apprunner_service *service, const struct apprunner_operation *operation,
    struct arena *arena, struct json *list)
{
    for (int i = HIDING_COUNT; i > 0; i--) {
        int64_t at = operation->created_ms + i;
        struct apprunner_operation newer = {
            .id = arena_printf(
                arena, "%c%.29s%02x", operation->id[0] == '0' ? '1' : '0', operation->id, i),
            .type = i % 2 == 0 ? "RESUME_SERVICE" : "PAUSE_SERVICE",
            .status = "SUCCEEDED",
            .created_ms = at,
            .ended_ms = at,
            .updated_ms = at};
        json_append(list, operation_json(service, &newer));
    }
}

void
sandbox_apprunner_list_operations(struct aws_exchange *exchange)
{
    const struct apprunner_service *service = sandbox_apprunner_service_of(exchange);
    if (service == NULL) {
        return;
    }
    struct json *list = json_make_array();
    for (size_t i = service->operation_count; i > 0; i--) {
        const struct apprunner_operation *operation = service->operations[i - 1];
        if (operation->is_hidden) {
            add_newer_ones(service, operation, exchange->request->arena, list);
        }
        json_append(list, operation_json(service, operation));
    }
    sandbox_apprunner_reply_page(exchange, "OperationSummaryList", list, PAGE_MAX);
}

struct json *
sandbox_apprunner_state_json(struct sandbox *sandbox)
{
    const struct apprunner_state *state = sandbox->aws->apprunner;
    struct json *list = json_make_array(), *body = json_make_object();
    sandbox_apprunner_advance(sandbox);
    for (size_t i = 0; state != NULL && i < state->service_count; i++) {
        const struct apprunner_service *service = state->services[i];
        struct json *item = summary_json(service), *operations = json_make_array();
        for (size_t k = 0; k < service->operation_count; k++) {
            struct json *operation = operation_json(service, service->operations[k]);
            json_set(operation, "Passed", json_clone(service->operations[k]->passed));
            json_append(operations, operation);
        }
        json_set_str(item, "RunningDigest", service->digest);
        json_set_str(item, "RunningImage", service->image);
        json_set_bool(item, "Broken", service->is_broken);
        json_set(item, "Operations", operations);
        json_append(list, item);
    }
    json_set(body, "services", list);
    return body;
}
