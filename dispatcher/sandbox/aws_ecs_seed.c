// A whole world in one request: POST /_sandbox/aws/ecs/seed.
//
//     {"images": {"registry.example.org/shop/web:1.0": "sha256:...",   known without a registry
//                 "registry.example.org/shop/web:9.9": null},          cannot be pulled
//      "task_definitions": [{"family": ..., "containerDefinitions": [...]}],
//      "clusters": [{"name": "production", "services": [
//          {"name": "shop-web", "desiredCount": 2,        members of CreateService
//           "taskDefinition": {"family": ...}}]}]}        registered first, or a name
//
// Services are at rest: their tasks run already. "image" alone makes a task definition with one
// container of the service's name.
#include <string.h>

#include "aws_ecs_internal.h"
#include "dispatcher/memory.h"

enum { SERVICES_MAX = 20000 };

struct seeding {
    struct sandbox *sandbox;
    struct arena *arena;
    const char *problem;
    int64_t clusters, services;
};

static void
take_image(void *ctx, const char *key, const struct json *value)
{
    struct seeding *seeding = ctx;
    if (json_str(value) == NULL && !json_is_null(value)) {
        seeding->problem =
            arena_printf(seeding->arena, "'images': '%s' has neither a digest nor null", key);
        return;
    }
    json_set(seeding->sandbox->aws->ecs->images, key, json_clone(value));
}

static struct json *
one_container(const char *name, const char *image)
{
    struct json *document = json_make_object(), *list = json_make_array();
    struct json *container = json_make_object();
    json_set_str(container, "name", name);
    json_set_str(container, "image", image);
    json_set_int(container, "memory", 128);
    json_append(list, container);
    json_set_str(document, "family", name);
    json_set(document, "containerDefinitions", list);
    return document;
}

static struct ecs_definition *
register_one(struct seeding *seeding, const struct json *document)
{
    seeding->problem = sandbox_ecs_definition_problem(seeding->arena, document);
    return seeding->problem == NULL
               ? sandbox_ecs_definition_add(seeding->sandbox, document, "sandbox")
               : NULL;
}

static struct ecs_definition *
definition_for(struct seeding *seeding, const char *name, const struct json *given)
{
    const struct json *wanted = json_get(given, "taskDefinition");
    const char *image = json_str(json_get(given, "image"));
    if (json_is_object(wanted)) {
        return register_one(seeding, wanted);
    }
    if (wanted == NULL && image != NULL) {
        struct json *document CLEANUP(json_freep) = one_container(name, image);
        return register_one(seeding, document);
    }
    return sandbox_ecs_definition_find(seeding->sandbox->aws->ecs, json_str(wanted));
}

static void
seed_service(struct seeding *seeding, struct ecs_cluster *cluster, const struct json *given)
{
    static const char *const beside[] = {"name", "image", "delay", "bake_minute"};
    struct sandbox *sandbox = seeding->sandbox;
    const char *name = json_str(json_get(given, "name"));
    if (!sandbox_ecs_is_name(name)) {
        seeding->problem = "a service has no 'name' of letters, digits, - and _";
        return;
    }
    if (sandbox_ecs_index(cluster->index, name) >= 0) {
        seeding->problem =
            arena_printf(seeding->arena, "'%s' has a service '%s'", cluster->name, name);
        return;
    }
    struct ecs_definition *definition = definition_for(seeding, name, given);
    if (definition == NULL || seeding->services >= SERVICES_MAX) {
        seeding->problem = arena_printf(seeding->arena, "service '%s': %s", name,
            definition != NULL         ? "too many services"
            : seeding->problem != NULL ? seeding->problem
                                       : "there is no such task definition");
        return;
    }
    struct json *settings CLEANUP(json_freep) = json_make_object();
    sandbox_ecs_copy(settings, given, beside, ARRAY_LENGTH(beside));
    json_set_str(settings, "taskDefinition", definition->arn);
    if (json_get(settings, "desiredCount") == NULL) {
        json_set_int(settings, "desiredCount", 1);
    }
    struct ecs_service *service = sandbox_ecs_service_add(sandbox, cluster, name, settings);
    service->creator = "sandbox";
    (void)sandbox_ecs_read_ms(json_get(given, "delay"), &service->delay_ms);
    (void)sandbox_ecs_read_ms(json_get(given, "bake_minute"), &service->bake_minute_ms);
    sandbox_ecs_service_settle(sandbox, service, sandbox_now(sandbox));
    seeding->services++;
}

static void
seed_cluster(struct seeding *seeding, const struct json *given)
{
    const char *name = json_str(json_get(given, "name"));
    const struct json *services = json_get(given, "services");
    if (!sandbox_ecs_is_name(name)) {
        seeding->problem = "a cluster has no 'name' of letters, digits, - and _";
        return;
    }
    struct ecs_cluster *cluster = sandbox_ecs_cluster_find(seeding->sandbox->aws->ecs, name);
    cluster = cluster != NULL ? cluster : sandbox_ecs_cluster_add(seeding->sandbox, name);
    seeding->clusters++;
    for (size_t i = 0; i < json_count(services) && seeding->problem == NULL; i++) {
        seed_service(seeding, cluster, json_at(services, i));
    }
}

void
sandbox_ecs_control_seed(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response)
{
    struct json *order CLEANUP(json_freep) = sandbox_request_json(request);
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct seeding seeding = {
        .sandbox = sandbox, .arena = arena, .problem = order != NULL ? NULL : "not a JSON object"};
    const struct json *definitions = json_get(order, "task_definitions");
    const struct json *clusters = json_get(order, "clusters");
    json_each(json_get(order, "images"), take_image, &seeding);
    for (size_t i = 0; i < json_count(definitions) && seeding.problem == NULL; i++) {
        (void)register_one(&seeding, json_at(definitions, i));
    }
    for (size_t i = 0; i < json_count(clusters) && seeding.problem == NULL; i++) {
        seed_cluster(&seeding, json_at(clusters, i));
    }
    if (seeding.problem != NULL) {
        sandbox_reply_problem(response, 422, "%s", seeding.problem);
        return;
    }
    struct json *body = json_make_object();
    json_set_int(body, "clusters", seeding.clusters);
    json_set_int(body, "services", seeding.services);
    sandbox_reply_json(response, 201, body);
}
