// What an Express service is sent: the container that it has, with another image, and with the port
// and the variables that the spec names. On the way back, with those of before.
#include <string.h>

#include "dispatcher/memory.h"
#include "target_ecs_internal.h"

static struct error *
edit_container(const struct step_run *run, const struct deployment_target *target,
    struct arena *arena, const char **text)
{
    struct json *container CLEANUP(json_freep) = NULL;
    if (*text == NULL) {
        return NULL;
    }
    struct error *err = json_parse(str_of(*text), &json_limits_default, &container);
    if (err != NULL) {
        return error_wrap(err, "read 'primaryContainer' of '%s'", target->want.service);
    }
    if (target->want.port > 0) {
        json_set_int(container, "containerPort", target->want.port);
    }
    TRY(target_ecs_set_variables(run, target, container));
    char *edited CLEANUP(xfreep) = json_text(container);
    *text = arena_dup(arena, edited);
    return NULL;
}

// The container with the port and the variables that the spec names. All of them alike: the client
// refuses two configurations that differ in more than the image.
struct error *
target_express_apply(const struct step_run *run, const struct deployment_target *target,
    struct arena *arena, struct ecs_express *express, bool *changed)
{
    const char *before = express->configurations[0].container_json;
    struct json *plain CLEANUP(json_freep) = NULL;
    *changed = false;
    if (before == NULL) {
        return NULL;
    }
    TRY(json_parse(str_of(before), &json_limits_default, &plain));
    for (size_t i = 0; i < express->configuration_count; i++) {
        TRY(edit_container(run, target, arena, &express->configurations[i].container_json));
    }
    char *text CLEANUP(xfreep) = json_text(plain);
    *changed = strcmp(text, express->configurations[0].container_json) != 0;
    return NULL;
}

// --- the way back ------------------------------------------------------------------------------

// The image of before, by its digest: a tag may mean another one today.
struct error *
target_express_image_before(
    const struct step_run *run, const struct deployment_target *target, const char **out)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct aws_session *aws = NULL;
    struct ecs_revision revision = {0};
    struct registry_reference *image = NULL;
    const char *text = NULL;
    TRY(provider_aws(run->context, run->deployment, &aws));
    TRY(ecs_revisions_describe(aws, &target->before, 1, scratch, &revision));
    for (size_t i = 0; i < revision.image_count; i++) {
        bool is_it = revision.image_count == 1 ||
                     cstr_equal(revision.images[i].container, TARGET_EXPRESS_CONTAINER);
        text = is_it ? revision.images[i].image : text;
    }
    if (text == NULL) {
        return error_new(ERROR_REFUSED, "ECS does not tell the image of revision '%s'",
            target_short(target->before));
    }
    struct error *err = registry_reference_parse(text, scratch, &image);
    if (err == NULL && target->before_digest != NULL) {
        text = arena_printf(
            scratch, "%s/%s@%s", image->host, image->repository, target->before_digest);
    }
    error_free(err);
    *out = arena_dup(run->arena, text);
    return NULL;
}

static void
take_list(struct json *container, const struct json *from, const char *key)
{
    const struct json *list = json_get(from, key);
    if (list != NULL || json_get(container, key) != NULL) {
        json_set(container, key, list != NULL ? json_clone(list) : json_make_array());
    }
}

// Port and variables of before, which stand in the task definition of that revision.
static struct error *
take_back(struct arena *arena, const struct json *old, const char **text)
{
    struct json *container CLEANUP(json_freep) = NULL;
    const struct json *mapping = json_at(json_get(old, "portMappings"), 0);
    if (*text == NULL) {
        return NULL;
    }
    TRY(json_parse(str_of(*text), &json_limits_default, &container));
    take_list(container, old, "environment");
    take_list(container, old, "secrets");
    if (json_is_int(json_get(mapping, "containerPort"))) {
        json_set(container, "containerPort", json_clone(json_get(mapping, "containerPort")));
    }
    char *edited CLEANUP(xfreep) = json_text(container);
    *text = arena_dup(arena, edited);
    return NULL;
}

static const struct json *
primary_of(const struct json *document)
{
    const struct json *list = json_get(document, "containerDefinitions");
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *one = json_at(list, i);
        if (json_count(list) == 1 ||
            cstr_equal(json_str(json_get(one, "name")), TARGET_EXPRESS_CONTAINER)) {
            return one;
        }
    }
    return NULL;
}

struct error *
target_express_apply_before(const struct step_run *run, const struct deployment_target *target,
    struct arena *arena, struct ecs_express *express)
{
    struct aws_session *aws = NULL;
    struct ecs_revision revision = {0};
    struct ecs_task_definition definition CLEANUP(ecs_task_definition_done) = {0};
    const struct setting_target *want = &target->want;
    bool has_more = want->port > 0 || want->environment.count > 0 || want->secrets.count > 0 ||
                    want->environment_from_outputs.count > 0 || want->environment_file != NULL;
    if (!has_more) {
        return NULL; // nothing but the image was changed
    }
    TRY(provider_aws(run->context, run->deployment, &aws));
    TRY(ecs_revisions_describe(aws, &target->before, 1, arena, &revision));
    if (revision.task_definition != NULL) {
        TRY(ecs_task_definition_get(aws, revision.task_definition, arena, &definition));
    }
    const struct json *old = definition.arn != NULL ? primary_of(definition.document) : NULL;
    for (size_t i = 0; old != NULL && i < express->configuration_count; i++) {
        TRY(take_back(arena, old, &express->configurations[i].container_json));
    }
    return NULL;
}
