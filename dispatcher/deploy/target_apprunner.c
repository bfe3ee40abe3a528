// App Runner as a platform of targets: what runs there now, and what stands in the way. Changes
// nothing. The rest is in target_apprunner_*.c.
#include <string.h>

#include "dispatcher/ecr.h"
#include "dispatcher/memory.h"
#include "target_apprunner_internal.h"
#include "target_roles.h"

enum { NAME_MIN = 4, NAME_MAX_BYTES = 40 };

bool
apprunner_is_code(const struct deployment_target *target)
{
    return cstr_equal(target->want.source, "code");
}

static bool
is_arn(const char *text)
{
    return strncmp(text, "arn:", 4) == 0;
}

// arn:aws:apprunner:us-east-1:012345678901:service/NAME/ID
const char *
apprunner_name(const struct deployment_target *target, struct arena *arena)
{
    const char *text = target->want.service;
    const char *head = is_arn(text) ? strstr(text, ":service/") : NULL;
    struct str name = str_of(head != NULL ? head + strlen(":service/") : text), rest = {0};
    (void)str_cut(name, '/', &name, &rest);
    return arena_str(arena, name);
}

// --- what an identifier means ------------------------------------------------------------------

struct error *
apprunner_image_digest(
    const struct step_run *run, const char *identifier, struct arena *arena, const char **digest)
{
    struct apprunner_image image = apprunner_image_parse(identifier, arena);
    struct ecr_repository repository = {.name = image.repository};
    const char *tag = image.tag != NULL ? image.tag : "latest";
    struct aws_session *aws = NULL;
    struct registry_client *client = NULL;
    if (image.digest != NULL) {
        *digest = image.digest;
        return NULL;
    }
    if (ecr_host_parse(image.host, arena, &repository.account, &repository.region)) {
        TRY(provider_aws(run->context, run->deployment, &aws));
        return ecr_image_digest(aws, &repository, tag, arena, digest, NULL);
    }
    TRY(provider_registry(run->context, run->deployment, image.host, &client));
    return registry_manifest_digest(client, image.repository, tag, arena, digest);
}

// --- finding it --------------------------------------------------------------------------------

// botocore: "[A-Za-z0-9][A-Za-z0-9-_]{3,39}".
static struct error *
check_name(const struct deployment_target *target)
{
    const char *name = target->want.service;
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    static const char more[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t length = strlen(name);
    if (is_arn(name) || (length >= NAME_MIN && length <= NAME_MAX_BYTES &&
                            strchr(letters, name[0]) != NULL && strspn(name, more) == length)) {
        return NULL;
    }
    return error_hint(
        error_new(ERROR_SPEC, "'%.120s' cannot be the name of an App Runner service%s", name,
            length > NAME_MAX_BYTES ? ": it is too long" : ""),
        "Names are %d to %d letters, digits, '-' and '_'%s.", NAME_MIN, NAME_MAX_BYTES,
        target->worker != NULL ? "; shorten 'workers.target.service' or the entry point's file name"
                               : "");
}

static struct error *
find(const struct step_run *run, struct deployment_target *target)
{
    const char *name = target->want.service;
    struct apprunner_summary *list = NULL;
    size_t count = 0;
    if (is_arn(name)) {
        target->arn = name;
        return NULL;
    }
    TRY(apprunner_listed(run, &list, &count));
    for (size_t i = 0; i < count; i++) {
        // A name is free again once its service is deleted, and is listed for a while.
        if (strcmp(list[i].name, name) == 0 && list[i].state != APPRUNNER_SERVICE_DELETED) {
            target->arn = arena_dup(run->arena, list[i].arn);
            return NULL;
        }
    }
    return NULL;
}

static struct error *
absent(const struct step_run *run, const struct deployment_target *target)
{
    const struct deployment *d = run->deployment;
    bool by_name = !is_arn(target->want.service);
    return error_hint(error_new(ERROR_SPEC, "App Runner service '%s' does not exist%s%s%s",
                          target->want.service, d->region != NULL ? " in '" : "",
                          d->region != NULL ? d->region : "", d->region != NULL ? "'" : ""),
        by_name ? "Check 'service', 'region' and the account of the credentials; or set 'create: "
                  "true' in the target of '%s' and it is made."
                : "Check the ARN in the target of '%s' and the account of the credentials.",
        target->name);
}

struct error *
apprunner_look_at(const struct step_run *run, const struct deployment_target *target,
    struct arena *arena, struct apprunner_service *out)
{
    struct aws_session *aws = NULL;
    TRY(apprunner_turn(run, &aws));
    TRY(apprunner_describe(aws, target->arn, arena, out));
    bool gone = out->arn == NULL || out->state == APPRUNNER_SERVICE_DELETED;
    return gone ? absent(run, target) : NULL;
}

// --- may it be changed? ------------------------------------------------------------------------

static struct error *
check_kind(const struct deployment_target *target, const struct apprunner_service *service)
{
    bool code = apprunner_is_code(target), is_code = service->kind == APPRUNNER_CODE;
    if (code == is_code) {
        return NULL;
    }
    return error_hint(error_new(ERROR_SPEC,
                          "App Runner service '%s' is made from %s, and the spec says 'source: %s'",
                          service->name, is_code ? "code" : "an image", target->want.source),
        "App Runner cannot change that: correct 'source' in the target of '%s', or name a service "
        "of another name and let it be created.",
        target->name);
}

struct error *
apprunner_check_state(const struct apprunner_service *service)
{
    if (service->state == APPRUNNER_SERVICE_PAUSED) {
        return error_hint(
            error_new(ERROR_CONFLICT, "App Runner service '%s' is paused: it takes no new version",
                service->name),
            "Resume it first (aws apprunner resume-service --service-arn %s); it is not resumed "
            "unasked, because a paused service costs nothing and a running one does.",
            service->arn);
    }
    if (service->state == APPRUNNER_SERVICE_CREATE_FAILED) {
        return error_hint(
            error_new(ERROR_CONFLICT,
                "App Runner service '%s' could not be created (CREATE_FAILED) and takes no "
                "new version",
                service->name),
            "Its log group '/aws/apprunner/%s/%s/service' says why. Delete it (aws apprunner "
            "delete-service --service-arn %s) and deploy again.",
            service->name, service->id, service->arn);
    }
    if (service->state == APPRUNNER_SERVICE_DELETE_FAILED) {
        return error_hint(
            error_new(ERROR_CONFLICT, "App Runner service '%s' is half deleted (DELETE_FAILED)",
                service->name),
            "Delete it again, or ask AWS support.");
    }
    return NULL;
}

// --- what runs now -----------------------------------------------------------------------------

// A pinned image does not show its version: what rolled it out left that as a tag.
static const char *
version_of(const struct step_run *run, const char *arn, const char *digest)
{
    struct aws_session *aws = NULL;
    struct pair_list tags = {0};
    const char *version = NULL;
    bool same = false;
    struct error *err = apprunner_turn(run, &aws);
    if (err == NULL) {
        err = apprunner_tags_list(aws, arn, run->arena, &tags);
    }
    error_free(err); // it stays without a name then
    for (size_t i = 0; i < tags.count; i++) {
        const struct pair *tag = &tags.items[i];
        same =
            same || (strcmp(tag->key, "dispatcher:digest") == 0 && cstr_equal(tag->value, digest));
        version = strcmp(tag->key, "dispatcher:version") == 0 ? tag->value : version;
    }
    return same ? version : NULL;
}

static void
take_before(const struct step_run *run, struct deployment_target *target,
    const struct apprunner_service *service)
{
    struct arena *arena = run->arena;
    target->before_auto = service->auto_deploys;
    if (service->kind == APPRUNNER_CODE) {
        target->before = arena_printf(arena, "branch '%s'", service->branch);
        return;
    }
    struct apprunner_image image = apprunner_image_parse(service->image, arena);
    target->before = arena_dup(arena, service->image);
    target->before_version =
        image.digest != NULL ? version_of(run, service->arn, image.digest) : image.tag;
    // Without it nothing is compared after going back, and that is said.
    struct error *err = apprunner_image_digest(run, service->image, arena, &target->before_digest);
    if (err != NULL) {
        target->before_digest = NULL;
        error_free(err);
    }
}

static void
take_notes(const struct step_run *run, struct deployment_target *target,
    const struct apprunner_service *service)
{
    struct deployment *d = run->deployment;
    struct arena *arena = run->arena;
    target->note = arena_printf(arena, "replaces %s (%s)",
        target->before_version != NULL ? arena_printf(arena, "'%s'", target->before_version)
                                       : target->before,
        service->status);
    if (service->auto_deploys) {
        deployment_note(d, arena,
            arena_printf(arena,
                "App Runner service '%s' deploys by itself on each push: the "
                "rollout turns that off",
                service->name));
    }
    if (service->state == APPRUNNER_SERVICE_BUSY) {
        deployment_note(d, arena,
            arena_printf(arena,
                "an operation is in progress at App Runner service '%s': ours "
                "waits for it",
                service->name));
    } else if (service->state == APPRUNNER_SERVICE_UNKNOWN) {
        deployment_note(d, arena,
            arena_printf(arena,
                "App Runner service '%s' is in state '%s', which is not known "
                "here: the rollout waits until it runs",
                service->name, service->status));
    }
    if (target->want.has_public && target->want.is_public != service->is_public) {
        deployment_note(d, arena,
            arena_printf(arena,
                "App Runner service '%s' is %s, the spec says otherwise: a rollout "
                "does not change that",
                service->name, service->is_public ? "public" : "private"));
    }
    bool other = service->kind == APPRUNNER_CODE && target->want.branch == NULL &&
                 target->branch != NULL && !cstr_equal(target->branch, service->branch);
    if (other) {
        deployment_note(d, arena,
            arena_printf(arena, "App Runner service '%s' builds branch '%s', not '%s'",
                service->name, service->branch, target->branch));
    }
}

// The files are read and the request is made once before anything is changed: what is wrong with
// them is said now.
static struct error *
rehearse(const struct step_run *run, const struct deployment_target *target,
    const struct apprunner_service *service)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct apprunner_plan plan = {0};
    struct apprunner_create create = {0};
    if (cstr_equal(run->deployment->verb, "prove")) {
        return NULL; // sends nothing, and may run where the files are not
    }
    struct apprunner_health_check health = {0};
    return service != NULL
               ? apprunner_plan_make(run, target, service, service->image, scratch, &plan)
               : apprunner_create_make(run, target, NULL, scratch, &create, &health);
}

static struct error *
look(const struct step_run *run, struct deployment_target *target)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct apprunner_service service = {0};
    TRY(check_name(target));
    TRY(find(run, target));
    if (target->arn == NULL && !target->want.create) {
        return absent(run, target);
    }
    if (target->arn == NULL) {
        target->note = "the service does not exist yet";
        return rehearse(run, target, NULL);
    }
    TRY(apprunner_look_at(run, target, scratch, &service));
    TRY(check_kind(target, &service));
    TRY(apprunner_check_state(&service));
    take_before(run, target, &service);
    take_notes(run, target, &service);
    return rehearse(run, target, &service);
}

static void
describe(const struct deployment *d, const struct deployment_target *target, struct buf *out)
{
    bool alone = d->targets.count == 1, code = apprunner_is_code(target);
    if (target->worker != NULL) {
        buf_printf(out, "%s worker '%s' (%s) %s App Runner service '%s'",
            target->arn != NULL ? "roll out" : "start", target->name, target->worker,
            target->arn != NULL ? "to" : "as new", target->want.service);
    } else if (target->arn != NULL) {
        buf_printf(out, "%s '%s' to App Runner service '%s'",
            code ? "build and roll out" : "roll out", target->name, target->want.service);
    } else {
        buf_printf(
            out, "create App Runner service '%s' for '%s'", target->want.service, target->name);
    }
    if (!alone && target->note != NULL && target->arn != NULL) {
        buf_printf(out, ", %s", target->note);
    }
}

// What the spec names is what a rollout sets; what it does not name stays as it is.
static void
inspect(
    const struct step_run *run, const struct deployment_target *target, struct findings *findings)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    const struct setting_target *want = &target->want;
    struct apprunner_service service = {0};
    struct error *err =
        target->arn != NULL ? apprunner_look_at(run, target, scratch, &service) : NULL;
    if (err != NULL) {
        error_free(err); // the look has said so
        return;
    }
    const struct target_role roles[] = {
        {"access role", want->access_role != NULL ? want->access_role : service.access_role_arn,
            "build.apprunner.amazonaws.com"},
        {"instance role",
            want->instance_role != NULL ? want->instance_role : service.instance_role_arn,
            "tasks.apprunner.amazonaws.com"},
    };
    target_roles_inspect(run, roles, ARRAY_LENGTH(roles), findings);
}

const struct target_ops target_apprunner = {
    .kind = "apprunner",
    .look = look,
    .describe = describe,
    .begin = apprunner_begin,
    .refresh = apprunner_refresh,
    .prove = apprunner_prove,
    .stop = NULL, // an operation of App Runner cannot be taken back (apprunner-roadmap#49)
    .explain = apprunner_explain,
    .record = apprunner_record,
    .inspect = inspect,
};
