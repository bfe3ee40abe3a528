// POST /_sandbox/aws/ACTION: which action is whose. What an action does stands in the service's
// own file.
#include <string.h>

#include "aws_apprunner_internal.h"
#include "aws_ecs_internal.h"
#include "aws_logs_internal.h"

// {"mode": "strict"}, or "lenient": members newer than our models pass.
static void
set_models(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response)
{
    struct json *order CLEANUP(json_freep) = sandbox_request_json(request);
    const char *mode = json_str(json_get(order, "mode"));
    bool is_lenient = cstr_equal(mode, "lenient");
    if (!is_lenient && !cstr_equal(mode, "strict")) {
        sandbox_reply_problem(response, 422, "'mode' is neither 'strict' nor 'lenient'");
        return;
    }
    sandbox->aws->is_lenient = is_lenient;
    response->status = 204;
}

bool
sandbox_aws_control(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response)
{
    static const struct {
        const char *path;
        void (*run)(struct sandbox *sandbox, const struct sandbox_request *request,
            struct sandbox_response *response);
    } actions[] = {
        {"apprunner/scenario", sandbox_apprunner_control_scenario},
        {"apprunner/seed", sandbox_apprunner_control_seed},
        {"deny", sandbox_aws_control_deny},
        {"ecs/pace", sandbox_ecs_control_pace},
        {"ecs/scenario", sandbox_ecs_control_scenario},
        {"ecs/seed", sandbox_ecs_control_seed},
        {"iam", sandbox_iam_control},
        {"logs", sandbox_logs_control},
        {"models", set_models},
        {"scan", sandbox_ecr_control_scan},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(actions); i++) {
        if (sandbox_request_match(request, 2, actions[i].path)) {
            actions[i].run(sandbox, request, response);
            return true;
        }
    }
    return false;
}
