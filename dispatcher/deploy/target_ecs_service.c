// A service of ECS as it is: where it is, whether it may be rolled out from here, what is under
// way.
#include <string.h>

#include "dispatcher/memory.h"
#include "target_ecs_internal.h"

const char *
target_cluster(const struct deployment_target *target)
{
    return target->want.cluster != NULL ? target->want.cluster : "default";
}

const char *
target_service_name(const struct deployment_target *target)
{
    bool is_express = strcmp(target->want.kind, target_express.kind) == 0;
    return is_express && target->arn != NULL ? target->arn : target->want.service;
}

const char *
target_short(const char *arn)
{
    const char *slash = arn != NULL ? strrchr(arn, '/') : NULL;
    return slash != NULL ? slash + 1 : arn;
}

int64_t
target_now_ms(const struct step_run *run, const struct aws_session *aws)
{
    return clock_wall(run->context->platform->clock) + aws_clock_offset_ms(aws);
}

const char *
target_image_digest(const char *image)
{
    const char *at = image != NULL ? strrchr(image, '@') : NULL;
    return at != NULL ? at + 1 : NULL;
}

struct error *
target_image(const struct step_run *run, const struct deployment_target *target, const char **out)
{
    if (target->service < 0) {
        return error_hint(
            error_new(ERROR_SPEC, "'%s' is built from source code, which ECS does not take",
                target->name),
            "Give it an image, or a target of kind 'apprunner' with 'source: code'.");
    }
    const struct deployment_service *service =
        deployment_service_at(run->deployment, (size_t)target->service);
    BUG_ON(service->digest == NULL); // the push, or the snapshot, has set it
    *out = arena_printf(
        run->arena, "%s/%s@%s", service->registry, service->repository, service->digest);
    return NULL;
}

// --- the service -------------------------------------------------------------------------------

struct error *
target_ecs_describe(const struct step_run *run, const struct deployment_target *target,
    struct arena *arena, struct ecs_service *out)
{
    struct aws_session *aws = NULL;
    const char *name = target_service_name(target);
    TRY(provider_aws(run->context, run->deployment, &aws));
    struct error *err = ecs_services_describe(aws, target_cluster(target), &name, 1, arena, out);
    if (aws_has_code(err, "ClusterNotFoundException")) {
        error_free(err);
        const char *region = NULL;
        TRY(aws_region(aws, &region));
        return error_hint(error_new(ERROR_SPEC, "there is no active cluster '%s' in region '%s'",
                              target_cluster(target), region),
            "Check 'cluster' in the target of '%s', and 'aws.region' and 'aws.account'.",
            target->name);
    }
    return err;
}

static struct error *
refuse_controller(const struct deployment_target *target, const char *controller)
{
    struct error *err =
        error_new(ERROR_SPEC, "service '%s' of cluster '%s' is deployed by '%s', not by ECS itself",
            target->want.service, target_cluster(target), controller);
    return strcmp(controller, "CODE_DEPLOY") == 0
               ? error_hint(err, "ECS has blue/green deployments of its own: move the service to "
                                 "the controller 'ECS', or let CodeDeploy roll it out.")
               : error_hint(err, "Only services with the deployment controller 'ECS' can be rolled "
                                 "out and followed.");
}

static struct error *
refuse_management(const struct deployment_target *target, bool is_express)
{
    return is_express ? error_hint(error_new(ERROR_SPEC, "service '%s' is not one of Express Mode",
                                       target->want.service),
                            "Write 'kind: ecs' in its target.")
                      : error_hint(error_new(ERROR_SPEC,
                                       "service '%s' of cluster '%s' is one of Express Mode",
                                       target->want.service, target_cluster(target)),
                            "Write 'kind: ecs-express' in its target.");
}

static struct error *
check_service(const struct deployment_target *target, const struct ecs_service *service)
{
    bool is_express = strcmp(target->want.kind, target_express.kind) == 0;
    const char *controller = service->controller != NULL ? service->controller : "ECS";
    if (!cstr_equal(service->status, "ACTIVE")) {
        return error_hint(error_new(ERROR_SPEC, "service '%s' of cluster '%s' is %s",
                              target->want.service, target_cluster(target), service->status),
            "A service that was deleted stays visible for a while; create it anew, then deploy.");
    }
    if (strcmp(controller, "ECS") != 0) {
        return refuse_controller(target, controller);
    }
    if (cstr_equal(service->resource_management, "ECS") != is_express) {
        return refuse_management(target, is_express);
    }
    bool is_daemon = cstr_equal(service->scheduling, "DAEMON");
    if (service->desired == 0 && !is_daemon && !target->want.allow_zero) {
        return error_hint(
            error_new(ERROR_CONFLICT,
                "service '%s' of cluster '%s' is scaled to 0: nothing would run, so nothing could "
                "be proven",
                target->want.service, target_cluster(target)),
            "Scale it up first, or write 'allow_zero: true' in the target of '%s'.", target->name);
    }
    return NULL;
}

struct error *
target_ecs_service(const struct step_run *run, const struct deployment_target *target,
    struct arena *arena, struct ecs_service *out)
{
    TRY(target_ecs_describe(run, target, arena, out));
    if (out->arn == NULL) {
        return error_hint(error_new(ERROR_SPEC, "there is no service '%s' in cluster '%s'",
                              target->want.service, target_cluster(target)),
            "Create it first: only what runs in it is changed here.");
    }
    return check_service(target, out);
}

const struct ecs_classic *
target_ecs_primary(const struct ecs_service *service)
{
    for (size_t i = 0; i < service->classic_count; i++) {
        if (cstr_equal(service->classic[i].status, "PRIMARY")) {
            return &service->classic[i];
        }
    }
    return NULL;
}

bool
target_ecs_is_settled(const struct ecs_service *service)
{
    const struct ecs_classic *primary = target_ecs_primary(service);
    return service->current_deployment == NULL && service->classic_count == 1 && primary != NULL &&
           cstr_equal(primary->rollout_state, "COMPLETED");
}
