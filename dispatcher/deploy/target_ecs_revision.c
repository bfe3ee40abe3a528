// The task definition that a move rolls out: the service's own with the image pinned to the digest,
// registered at most once a deployment. Nothing in it is changed but the image and our tags.
#include <string.h>

#include "dispatcher/memory.h"
#include "target_ecs_internal.h"

enum { RECENT_REVISIONS = 10, RELEASE_REVISIONS = 50 };

static bool
has_tag(const struct ecs_task_definition *definition, const char *key, const char *value)
{
    for (size_t i = 0; i < json_count(definition->tags); i++) {
        const struct json *tag = json_at(definition->tags, i);
        if (cstr_equal(json_str(json_get(tag, "key")), key)) {
            return cstr_equal(json_str(json_get(tag, "value")), value);
        }
    }
    return false;
}

static struct error *
get_definition(const struct step_run *run, const char *name, struct aws_session **aws,
    struct ecs_task_definition *out)
{
    TRY(provider_aws(run->context, run->deployment, aws));
    TRY(ecs_task_definition_get(*aws, name, run->arena, out));
    if (out->arn == NULL) {
        return error_new(ERROR_CONFLICT, "task definition '%s' does not exist any more", name);
    }
    return NULL;
}

static struct error *
image_of(const struct ecs_task_definition *definition, const struct deployment_target *target,
    const char **out)
{
    struct error *err =
        ecs_task_definition_image(definition->document, target->want.container, NULL, out);
    return err != NULL ? error_wrap(err, "service '%s'", target->want.service) : NULL;
}

// --- one that there is ---------------------------------------------------------------------------

struct search {
    const char *family, *image;
    struct pair tag;
    size_t max; // of the newest revisions
};

// The newest of the family's revisions with this tag and exactly this image.
static struct error *
find_tagged(const struct step_run *run, const struct deployment_target *target,
    const struct search *search, const char **out)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct aws_session *aws = NULL;
    struct str_list revisions = {0};
    TRY(provider_aws(run->context, run->deployment, &aws));
    struct error *err =
        ecs_task_definition_list(aws, search->family, search->max, scratch, &revisions);
    if (aws_is_denied(err)) { // at worst one more revision that nobody uses
        error_free(err);
        return NULL;
    }
    TRY(err);
    for (size_t i = 0; i < revisions.count; i++) {
        struct ecs_task_definition found CLEANUP(ecs_task_definition_done) = {0};
        const char *its_image = NULL;
        TRY(ecs_task_definition_get(aws, revisions.items[i], scratch, &found));
        if (found.arn == NULL || !has_tag(&found, search->tag.key, search->tag.value)) {
            continue;
        }
        TRY(image_of(&found, target, &its_image));
        if (cstr_equal(its_image, search->image)) {
            *out = arena_dup(run->arena, found.arn);
            return NULL;
        }
    }
    return NULL;
}

// An earlier process of this deployment may have registered it and died before it wrote that down.
static struct error *
find_registered(const struct step_run *run, const struct deployment_target *target,
    const char *family, const char *image, const char **out)
{
    const struct search search = {
        family, image, {TARGET_TAG_DEPLOYMENT, run->deployment->id}, RECENT_REVISIONS};
    return find_tagged(run, target, &search, out);
}

// --- a new one -----------------------------------------------------------------------------------

static struct error *
make_body(const struct step_run *run, const struct deployment_target *target,
    const struct ecs_task_definition *from, const char *image, const char *version,
    struct json **out)
{
    struct pair tags[] = {
        {TARGET_TAG_DIGEST, target_image_digest(image)},
        {TARGET_TAG_DEPLOYMENT, run->deployment->id},
        {TARGET_TAG_VERSION, version},
    };
    const struct ecs_copy copy = {
        .from = from,
        .container = target->want.container,
        .image = image,
        .tags = {tags, version != NULL ? ARRAY_LENGTH(tags) : ARRAY_LENGTH(tags) - 1},
    };
    return ecs_task_definition_copy(&copy, out);
}

// The copy's container with the variables that the spec names.
static struct error *
set_variables(const struct step_run *run, const struct deployment_target *target, struct json *body)
{
    const struct json *old = json_get(body, "containerDefinitions");
    struct json *list CLEANUP(json_freep) = json_make_array();
    const char *name = NULL;
    TRY(ecs_task_definition_image(body, target->want.container, &name, NULL));
    for (size_t i = 0; i < json_count(old); i++) {
        struct json *container = json_clone(json_at(old, i));
        bool is_it = cstr_equal(json_str(json_get(container, "name")), name);
        json_append(list, container);
        if (is_it) {
            TRY(target_ecs_set_variables(run, target, container));
        }
    }
    json_set(body, "containerDefinitions", list);
    list = NULL;
    return NULL;
}

static bool
is_same(const struct json *a, const struct json *b)
{
    char *left CLEANUP(xfreep) = json_text(a), *right CLEANUP(xfreep) = json_text(b);
    return strcmp(left, right) == 0;
}

static const char *
version_of(const struct step_run *run, const struct deployment_target *target)
{
    const struct deployment_service *service =
        deployment_service_at(run->deployment, (size_t)target->service);
    return service->version != NULL ? service->version : run->deployment->version;
}

struct error *
target_ecs_revision(const struct step_run *run, struct deployment_target *target,
    const char *current, const char **out)
{
    struct aws_session *aws = NULL;
    struct ecs_task_definition now CLEANUP(ecs_task_definition_done) = {0};
    struct json *body CLEANUP(json_freep) = NULL;
    const char *image = NULL, *found = NULL;
    TRY(target_image(run, target, &image));
    TRY(get_definition(run, current, &aws, &now));
    TRY(make_body(run, target, &now, image, version_of(run, target), &body));
    TRY(set_variables(run, target, body));
    if (is_same(json_get(body, "containerDefinitions"),
            json_get(now.document, "containerDefinitions"))) {
        *out = arena_dup(run->arena, now.arn);
        return NULL;
    }
    if (run->resumed) {
        TRY(find_registered(run, target, now.family, image, &found));
    }
    if (found == NULL) {
        TRY(ecs_task_definition_register(aws, body, run->arena, &found));
    }
    *out = found;
    return NULL;
}

struct error *
target_ecs_release(const struct step_run *run, struct deployment_target *target)
{
    struct aws_session *aws = NULL;
    struct ecs_task_definition current CLEANUP(ecs_task_definition_done) = {0};
    struct search search = {
        .tag = {TARGET_TAG_VERSION, version_of(run, target)}, .max = RELEASE_REVISIONS};
    if (target->want.force_new_deployment) { // its task definition stays as it is
        return target_ecs_look_for_halt(run, target);
    }
    TRY(target_image(run, target, &search.image));
    TRY(get_definition(run, target->before, &aws, &current));
    search.family = current.family;
    TRY(find_tagged(run, target, &search, &target->forward.revision));
    if (target->forward.revision != NULL) {
        target->note = arena_printf(
            run->arena, "%s by %s again", target->note, target_short(target->forward.revision));
    }
    return target_ecs_look_for_halt(run, target);
}

// --- a tag in place of a digest ------------------------------------------------------------------

// *digest NULL when it is not there, or not in a registry that we know.
static struct error *
resolve(const struct step_run *run, const struct deployment_target *target, const char *image,
    const char **digest)
{
    const struct deployment_service *service =
        deployment_service_at(run->deployment, (size_t)target->service);
    struct registry_reference *reference = NULL;
    struct registry_client *registry = NULL;
    *digest = NULL;
    struct error *err = registry_reference_parse(image, run->arena, &reference);
    if (err != NULL) { // "nginx" is for the runtime to complete
        error_free(err);
        return NULL;
    }
    if (reference->digest != NULL) {
        *digest = reference->digest;
        return NULL;
    }
    if (!cstr_equal(reference->host, service->registry)) {
        return NULL;
    }
    TRY(provider_registry(run->context, run->deployment, service->registry, &registry));
    return registry_manifest_digest(registry, reference->repository,
        reference->tag != NULL ? reference->tag : "latest", run->arena, digest);
}

struct error *
target_ecs_check_forced(
    const struct step_run *run, struct deployment_target *target, const char *current)
{
    struct aws_session *aws = NULL;
    struct ecs_task_definition definition CLEANUP(ecs_task_definition_done) = {0};
    const char *wanted = NULL, *image = NULL, *digest = NULL;
    TRY(target_image(run, target, &wanted));
    TRY(get_definition(run, current, &aws, &definition));
    TRY(image_of(&definition, target, &image));
    struct error *err = resolve(run, target, image, &digest);
    if (err != NULL) {
        return error_wrap(err, "ask what image '%s' is", image);
    }
    if (cstr_equal(digest, target_image_digest(wanted))) {
        return NULL;
    }
    return error_hint(
        error_new(ERROR_CONFLICT, "task definition '%s' runs image '%s', which is %s, not '%s'",
            target_short(current), context_clean(run->arena, image, 300),
            digest != NULL ? context_clean(run->arena, digest, 100) : "not in our registry",
            target_image_digest(wanted)),
        "With 'force_new_deployment' the task definition stays as it is: let its image be a tag "
        "that this version is pushed to, or take the key out, and the image is pinned.");
}

// Since 2024 ECS resolves a tag when a deployment begins: rolling `before` out again would run
// whatever the tag means today (aws-rollout.md §3.3, "Tag → digest").
struct error *
target_ecs_revision_before(
    const struct step_run *run, struct deployment_target *target, const char **out)
{
    struct aws_session *aws = NULL;
    struct ecs_task_definition definition CLEANUP(ecs_task_definition_done) = {0};
    struct json *body CLEANUP(json_freep) = NULL;
    struct registry_reference *reference = NULL;
    const char *image = NULL, *means = NULL, *found = NULL;
    *out = target->before;
    if (target->before_digest == NULL || target->service < 0) {
        return NULL;
    }
    TRY(get_definition(run, target->before, &aws, &definition));
    TRY(image_of(&definition, target, &image));
    if (target_image_digest(image) != NULL) {
        return NULL;
    }
    TRY(resolve(run, target, image, &means));
    if (means == NULL || strcmp(means, target->before_digest) == 0) {
        return NULL;
    }
    TRY(registry_reference_parse(image, run->arena, &reference));
    const char *pinned = arena_printf(
        run->arena, "%s/%s@%s", reference->host, reference->repository, target->before_digest);
    TRY(find_registered(run, target, definition.family, pinned, &found));
    if (found == NULL) {
        TRY(make_body(run, target, &definition, pinned, target->before_version, &body));
        TRY(ecs_task_definition_register(aws, body, run->arena, &found));
    }
    *out = found;
    return NULL;
}
