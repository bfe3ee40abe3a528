// What the spec's targets are called on their platforms: for commands that look at what runs, or do
// something beside it, and deploy nothing.
//
//     TRY(running_open(context, request, "web", arena, diagnostics, &running));
//     TRY(running_ecs_service(&run, deployment_target_at(running.deployment, 0), arena, &service));
//
// The deployment is a view: it has the app, the environment, whom to be there, and the targets with
// their names; it has no id and is never journalled. Lives in the arena.
#pragma once

#include "dispatcher/ecs.h"
#include "target_internal.h"

struct running {
    struct deployment *deployment;
    const char *note; // why the workers are not among the targets, or NULL
};
/// The targets of the app in the request's environment: those of all services and, where the
/// request's checkout shows which there are, of the workers; or that of `service` alone, the key of
/// a service or the name of a worker. ERROR_USAGE for one that the app does not have, ERROR_SPEC
/// when there is no target.
NODISCARD struct error *running_open(struct deploy_context *context,
    const struct deploy_request *request, const char *service, struct arena *arena,
    struct diagnostics *diagnostics, struct running *out);

/// Is it a service of ECS, be it Express Mode's or not?
bool running_is_ecs(const struct deployment_target *target);
/// DescribeServices of a target of ECS. ERROR_SPEC when there is none of its name.
NODISCARD struct error *running_ecs_service(const struct step_run *run,
    const struct deployment_target *target, struct arena *arena, struct ecs_service *out);
/// ARN of a target of App Runner. ERROR_SPEC when there is none of its name.
NODISCARD struct error *running_apprunner_arn(const struct step_run *run,
    const struct deployment_target *target, struct arena *arena, const char **out);
