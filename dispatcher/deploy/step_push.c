// Step "push": the image of one service is in the registry under the version, with the digest that
// we computed. Never undone: an image that nothing points at does no harm.
#include <string.h>

#include "deploy_internal.h"
#include "dispatcher/ecr.h"
#include "dispatcher/memory.h"
#include "dispatcher/name.h"

static struct deployment_service *
service_of(const struct step_run *run)
{
    return deployment_service_at(run->deployment, (size_t)run->step->service);
}

static void
describe(const struct deployment *d, const struct deployment_step *step, struct buf *out)
{
    const struct deployment_service *service = deployment_service_at(d, (size_t)step->service);
    buf_printf(out, "%s %s to %s/%s:%s", service->from_digest != NULL ? "copy" : "push",
        service->source != NULL ? service->source : "the image", service->registry,
        service->repository, d->version);
}

static void
on_progress(void *ctx, const struct registry_progress *progress)
{
    const struct step_run *run = ctx;
    context_emit(run->context, &(struct deploy_event){.kind = DEPLOY_EVENT_PROGRESS,
                                   .deployment = run->deployment,
                                   .step = run->step,
                                   .part = progress});
}

// The version that runs now lends its layers, so that a fresh runner need not look for an image
// that might.
static struct str_list
earlier_images(const struct step_run *run, const struct deployment_service *service)
{
    const char *before = service->previous;
    if (before == NULL || !tag_is_valid(str_of(before)) ||
        cstr_equal(before, run->deployment->version)) {
        return (struct str_list){0};
    }
    const char **list = arena_array(run->arena, 1, sizeof(*list));
    list[0] = before;
    return (struct str_list){list, 1};
}

static struct error *
compression_of(const struct deployment *d, enum image_compression *out)
{
    if (image_compression_of(d->compression, out)) {
        return NULL;
    }
    return error_hint(error_new(ERROR_SPEC, "compression '%.40s' is not known", d->compression),
        "A newer dispatcher began this deployment; resume it with that one.");
}

static struct error *
create_repository(const struct step_run *run, const struct ecr_repository *repository)
{
    struct aws_session *aws = NULL;
    const struct ecr_create_options options = {.scan_on_push = run->deployment->scan_block != NULL};
    TRY(provider_aws(run->context, run->deployment, &aws));
    return ecr_create_repository(aws, repository, &options);
}

static const char *
push_note(const struct step_run *run, const struct registry_push_result *result)
{
    if (result->already_there) {
        return "everything was there already";
    }
    if (result->blobs_sent == 0 && result->blobs_mounted > 0) {
        return arena_printf(run->arena, "%lld blob%s mounted from '%s', %.19s…",
            (long long)result->blobs_mounted, result->blobs_mounted == 1 ? "" : "s",
            run->deployment->from_env != NULL ? run->deployment->from_env : "elsewhere",
            result->digest);
    }
    if (result->blobs_sent == 0) {
        return arena_printf(run->arena, "only the manifest was new, %.19s…", result->digest);
    }
    double kib = (double)result->bytes_sent / 1024.0;
    bool large = kib >= 1024.0;
    const char *rest = result->blobs_present > 0 ? arena_printf(run->arena, ", %lld already there",
                                                       (long long)result->blobs_present)
                                                 : "";
    return arena_printf(run->arena, "%.1f %s in %lld blob%s%s, %.19s…", large ? kib / 1024.0 : kib,
        large ? "MiB" : "KiB", (long long)result->blobs_sent, result->blobs_sent == 1 ? "" : "s",
        rest, result->digest);
}

static struct error *
send_image(const struct step_run *run, const struct deployment_service *service,
    struct registry_push_result *result)
{
    struct image_source *source = NULL;
    struct image *image CLEANUP(image_closep) = NULL;
    struct registry_client *client = NULL;
    enum image_compression compression = IMAGE_COMPRESSION_FAST;
    TRY(compression_of(run->deployment, &compression));
    TRY(image_source_parse(service->source, run->arena, &source));
    struct source_access access = {0};
    provider_source(run->context, run->deployment, service->registry, &access);
    TRY(image_open(source, &access.image, &image));
    TRY(provider_registry(run->context, run->deployment, service->registry, &client));
    context_emit(run->context, &(struct deploy_event){.kind = DEPLOY_EVENT_IMAGE,
                                   .deployment = run->deployment,
                                   .step = run->step,
                                   .text = service->source,
                                   .image = image});
    struct step_run here = *run;
    const struct registry_push order = {
        .repository = service->repository,
        .tag = run->deployment->version,
        .image = image,
        .compression = compression,
        .previous = earlier_images(run, service),
        .progress = on_progress,
        .progress_ctx = &here,
    };
    return registry_push_image(client, &order, run->arena, result);
}

// A promotion: the digest that ran elsewhere arrives, or nothing does. What an earlier process has
// tagged already is not sent again, and what somebody else has tagged meanwhile is not replaced.
static struct error *
copy_image(const struct step_run *run, const struct deployment_service *service,
    struct registry_push_result *result)
{
    struct registry_client *client = NULL;
    const char *there = NULL, *wanted = service->from_digest;
    TRY(provider_registry(run->context, run->deployment, service->registry, &client));
    TRY(registry_manifest_digest(
        client, service->repository, run->deployment->version, run->arena, &there));
    if (there == NULL) {
        TRY(send_image(run, service, result));
        there = result->digest;
    } else {
        *result = (struct registry_push_result){.digest = there, .already_there = true};
    }
    if (strcmp(there, wanted) == 0) {
        return NULL;
    }
    return error_hint(
        error_new(ERROR_CONFLICT, "the tag names %s, '%s' has %s", there,
            run->deployment->from_env != NULL ? run->deployment->from_env : "its origin", wanted),
        "Nothing is put over it. Remove that tag, if nothing runs from it, or deploy a new "
        "version.");
}

static struct error *
send(const struct step_run *run, const struct deployment_service *service,
    struct registry_push_result *result)
{
    return service->from_digest != NULL ? copy_image(run, service, result)
                                        : send_image(run, service, result);
}

// The plan knows whether the repository is there; one that was may be gone by now.
static struct error *
send_to_ecr(const struct step_run *run, const struct deployment_service *service,
    const struct ecr_repository *repository, struct registry_push_result *result)
{
    if (service->no_repository) { // and may be created, or the snapshot had refused
        TRY(create_repository(run, repository));
    }
    struct error *err = send(run, service, result);
    if (err == NULL || !cstr_equal(error_remote_of(err)->code, "NAME_UNKNOWN")) {
        return err;
    }
    if (!run->deployment->create_repository) {
        return error_hint(err,
            "Create the repository '%s', or set 'create_repository: true' in dispatcher.yaml.",
            repository->name);
    }
    error_free(err);
    TRY(create_repository(run, repository));
    return send(run, service, result);
}

static struct error *
push(const struct step_run *run, struct step_result *out)
{
    struct deployment_service *service = service_of(run);
    struct ecr_repository repository = {0};
    struct registry_push_result result = {0};
    TRY(provider_ecr_repository(service, run->arena, &repository)
            ? send_to_ecr(run, service, &repository, &result)
            : send(run, service, &result));
    service->digest = result.digest;
    out->outcome = STEP_DONE;
    out->note = push_note(run, &result);
    return NULL;
}

static struct error *
run_push(const struct step_run *run, struct step_result *out)
{
    const struct deployment_service *service = service_of(run);
    struct error *err = push(run, out);
    if (err != NULL) {
        return error_wrap(err, "push image '%s/%s:%s'", service->registry, service->repository,
            run->deployment->version);
    }
    return NULL;
}

const struct step_ops step_push = {"push", describe, run_push, NULL};
