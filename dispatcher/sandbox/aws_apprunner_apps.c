// GET /apps/SERVICE/any/path: what runs in App Runner answers, whatever is being rolled out. Other
// services are ECS's (aws_ecs_apps.c), and all of them with ?cluster=.
#include <string.h>

#include "aws_apprunner_internal.h"

static bool
is_unhealthy(struct sandbox *sandbox, struct apprunner_service *service)
{
    bool is_over =
        service->unhealthy_until_ms > 0 && sandbox_now(sandbox) >= service->unhealthy_until_ms;
    if (service->is_broken) {
        return true;
    }
    if (is_over || service->unhealthy_left == 0) {
        return false;
    }
    service->unhealthy_left -= service->unhealthy_left > 0;
    return true;
}

static const char *
version_of(struct arena *arena, const char *identifier)
{
    struct str name = {0}, digest = {0};
    (void)str_cut(str_of(identifier), '@', &name, &digest);
    for (size_t i = name.len; i > 0 && name.ptr[i - 1] != '/'; i--) {
        if (name.ptr[i - 1] == ':') {
            return arena_str(arena, str_skip(name, i));
        }
    }
    return NULL;
}

// While a service is paused or has never come up, nobody answers.
static bool
is_down(const struct apprunner_service *service)
{
    const char *status =
        service->current != NULL ? service->current->status_before : service->status;
    return cstr_equal(status, "PAUSED") || cstr_equal(status, "CREATE_FAILED");
}

static void
answer(struct sandbox *sandbox, struct apprunner_service *service, struct arena *arena,
    struct sandbox_response *response)
{
    struct json *body = json_make_object();
    json_set_str(body, "service", service->name);
    if (is_down(service)) {
        json_set_str(body, "status", "down");
        sandbox_reply_json(response, 503, body);
        return;
    }
    bool fails = is_unhealthy(sandbox, service);
    json_set_str(body, "version", version_of(arena, service->image));
    json_set_str(body, "digest", service->digest);
    json_set_str(body, "status", fails ? "unhealthy" : "ok");
    sandbox_reply_json(response, fails ? 500 : 200, body);
}

void
sandbox_aws_apps_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    const char *name = request->part_count > 1 ? request->parts[1] : "";
    struct apprunner_service *service = sandbox_request_query(request, "cluster") == NULL
                                            ? sandbox_apprunner_find(sandbox, name)
                                            : NULL;
    if (service != NULL) {
        answer(sandbox, service, request->arena, response);
    } else {
        sandbox_ecs_apps_handle(sandbox, request, response);
    }
}

void
sandbox_apprunner_spoil(
    struct sandbox *sandbox, struct apprunner_service *service, const struct json *order)
{
    int64_t lasts = sandbox_apprunner_ms(order, "for", -1);
    service->unhealthy_left = json_int(json_get(order, "requests"), -1);
    service->unhealthy_until_ms = lasts >= 0 ? sandbox_now(sandbox) + lasts : 0;
}
