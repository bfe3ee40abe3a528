// GET /apps/SERVICE/any/path: what the running tasks of a service would answer. Traffic goes where
// the deployment sends it: by weight between two revisions, else to every task in turn. ?cluster=
// chooses among services of the same name.
#include <string.h>

#include "aws_ecs_internal.h"
#include "dispatcher/memory.h"

enum { SPREAD = 37 }; // prime to 100, so that weights are mixed within few requests

static struct ecs_service *
find(struct sandbox *sandbox, const char *cluster_name, const char *name)
{
    struct ecs_state *ecs = sandbox->aws->ecs;
    for (size_t i = 0; i < ecs->cluster_count; i++) {
        struct ecs_cluster *cluster = ecs->clusters[i];
        bool fits = cluster_name == NULL || strcmp(cluster_name, cluster->name) == 0;
        struct ecs_service *service =
            fits ? sandbox_ecs_service_find(sandbox, cluster, name) : NULL;
        if (service != NULL) {
            return service;
        }
    }
    return NULL;
}

// Of which revision may the task be that answers? NULL: any.
static const struct ecs_revision *
chosen_revision(const struct ecs_service *service)
{
    const struct ecs_deployment *deployment = service->current;
    if (deployment == NULL || deployment->stages == NULL || deployment->stages[0].name == NULL ||
        service->completed == NULL) {
        return NULL;
    }
    bool to_target = (double)(service->hits * SPREAD % 100) < deployment->production;
    return to_target ? deployment->target : service->completed;
}

static const struct ecs_task *
pick(const struct ecs_service *service, const struct ecs_revision *revision)
{
    int64_t count = 0;
    for (size_t i = 0; i < service->live.count; i++) {
        const struct ecs_task *task = service->live.items[i];
        count += task->started_ms > 0 && !task->is_faulty &&
                 (revision == NULL || task->revision == revision);
    }
    int64_t wanted = count > 0 ? service->hits % count : 0;
    for (size_t i = 0; i < service->live.count; i++) {
        const struct ecs_task *task = service->live.items[i];
        if (task->started_ms > 0 && !task->is_faulty &&
            (revision == NULL || task->revision == revision) && wanted-- == 0) {
            return task;
        }
    }
    return NULL;
}

static const char *
environment_of(const struct json *container)
{
    static const char *const names[] = {"VERSION", "APP_VERSION", "RELEASE_VERSION"};
    const struct json *list = json_get(container, "environment");
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        for (size_t k = 0; k < json_count(list); k++) {
            if (cstr_equal(json_str(json_get(json_at(list, k), "name")), names[i])) {
                return json_str(json_get(json_at(list, k), "value"));
            }
        }
    }
    return NULL;
}

static const char *
tag_of(const struct json *tags, const char *key)
{
    for (size_t i = 0; i < json_count(tags); i++) {
        if (cstr_equal(json_str(json_get(json_at(tags, i), "key")), key)) {
            return json_str(json_get(json_at(tags, i), "value"));
        }
    }
    return NULL;
}

// The image's tag, else what the environment or the task definition's tag "version" says.
static const char *
version_of(struct arena *arena, const struct ecs_definition *definition)
{
    const struct json *container = sandbox_ecs_main_container(definition);
    const char *image = json_str(json_get(container, "image"));
    struct str name = {0}, digest = {0};
    (void)str_cut(str_of(image), '@', &name, &digest);
    for (size_t i = name.len; i > 0 && name.ptr[i - 1] != '/'; i--) {
        if (name.ptr[i - 1] == ':') {
            return arena_str(arena, str_skip(name, i));
        }
    }
    const char *said = environment_of(container);
    return said != NULL ? said : tag_of(definition->tags, "version");
}

static const char *
digest_of(const struct ecs_task *task)
{
    const struct json *containers = json_get(task->definition->document, "containerDefinitions");
    const struct json *main_one = sandbox_ecs_main_container(task->definition);
    for (size_t i = 0; i < json_count(containers); i++) {
        if (json_at(containers, i) == main_one) {
            return task->wrong_digest != NULL
                       ? task->wrong_digest
                       : json_str(json_get(json_at(task->images, i), "imageDigest"));
        }
    }
    return NULL;
}

static bool
is_unhealthy(struct sandbox *sandbox, struct ecs_revision *revision)
{
    bool over =
        revision->unhealthy_until_ms > 0 && sandbox_now(sandbox) >= revision->unhealthy_until_ms;
    if (over || revision->unhealthy_left == 0) {
        return false;
    }
    if (revision->unhealthy_left > 0) {
        revision->unhealthy_left--;
    }
    return true;
}

void
sandbox_ecs_apps_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    const char *name = request->part_count > 1 ? request->parts[1] : "";
    struct ecs_service *service = find(sandbox, sandbox_request_query(request, "cluster"), name);
    if (service == NULL) {
        sandbox_reply_problem(response, 404, "the sandbox runs no service '%s'", name);
        return;
    }
    const struct ecs_task *task = pick(service, chosen_revision(service));
    task = task != NULL ? task : pick(service, NULL);
    service->hits++;
    struct json *body = json_make_object();
    json_set_str(body, "service", service->name);
    json_set_str(body, "cluster", service->cluster->name);
    if (task == NULL) {
        json_set_str(body, "status", "down");
        sandbox_reply_json(response, 503, body);
        return;
    }
    bool fails = is_unhealthy(sandbox, task->revision);
    json_set_str(body, "version", version_of(request->arena, task->definition));
    json_set_str(body, "digest", digest_of(task));
    json_set_str(body, "task", task->id);
    json_set_str(body, "status", fails ? "unhealthy" : "ok");
    sandbox_reply_json(response, fails ? 500 : 200, body);
}

// --- behind the API: what is unhealthy, and since when -------------------------------------------

void
sandbox_ecs_apps_spoil(
    struct ecs_revision *revision, const struct ecs_scenario *scenario, int64_t now_ms)
{
    int64_t lasts = sandbox_ecs_scenario_ms(scenario, "for", -1);
    revision->unhealthy_left = json_int(json_get(scenario->options, "requests"), -1);
    revision->unhealthy_until_ms = lasts >= 0 ? now_ms + lasts : 0;
}

void
sandbox_ecs_apps_spoil_now(struct sandbox *sandbox, const struct ecs_scenario *scenario)
{
    struct ecs_state *ecs = sandbox->aws->ecs;
    for (size_t i = 0; i < ecs->cluster_count; i++) {
        struct ecs_cluster *cluster = ecs->clusters[i];
        for (size_t k = 0; k < cluster->service_count; k++) {
            struct ecs_service *service = cluster->services[k];
            if (!fault_glob(scenario->cluster, cluster->name) ||
                !fault_glob(scenario->subject, service->name)) {
                continue;
            }
            sandbox_ecs_service_advance(sandbox, service, sandbox_now(sandbox));
            for (size_t m = 0; m < service->classic_count; m++) {
                sandbox_ecs_apps_spoil(
                    service->classics[m]->revision, scenario, sandbox_now(sandbox));
            }
        }
    }
}
