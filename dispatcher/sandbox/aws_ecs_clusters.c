// Clusters, and the tags of everything that has an ARN.
#include <stdlib.h>
#include <string.h>

#include "aws_ecs_internal.h"
#include "dispatcher/memory.h"

enum { TAGS_MAX = 50 };

struct ecs_cluster *
sandbox_ecs_cluster_find(struct ecs_state *ecs, const char *name)
{
    int64_t at =
        sandbox_ecs_index(ecs->cluster_index, name != NULL ? sandbox_ecs_name_of(name) : "default");
    return at >= 0 ? ecs->clusters[at] : NULL;
}

struct ecs_cluster *
sandbox_ecs_cluster_of(struct aws_exchange *exchange)
{
    struct ecs_cluster *cluster = sandbox_ecs_cluster_find(
        exchange->sandbox->aws->ecs, sandbox_ecs_text(exchange, "cluster"));
    if (cluster == NULL) {
        sandbox_ecs_no_cluster(exchange);
    }
    return cluster;
}

struct ecs_cluster *
sandbox_ecs_cluster_add(struct sandbox *sandbox, const char *name)
{
    struct ecs_state *ecs = sandbox->aws->ecs;
    struct ecs_cluster *cluster = arena_alloc(ecs->arena, sizeof(*cluster));
    *cluster = (struct ecs_cluster){.name = arena_dup(ecs->arena, name),
        .arn = sandbox_ecs_arn(sandbox, "cluster/%s", name),
        .settings = sandbox_ecs_keep(ecs, json_make_object()),
        .tags = sandbox_ecs_keep(ecs, json_make_array()),
        .index = sandbox_ecs_keep(ecs, json_make_object())};
    ecs->clusters = xrealloc(ecs->clusters, (ecs->cluster_count + 1) * sizeof(*ecs->clusters));
    json_set_int(ecs->cluster_index, name, (int64_t)ecs->cluster_count);
    ecs->clusters[ecs->cluster_count++] = cluster;
    return cluster;
}

static int64_t
active_services(const struct ecs_cluster *cluster)
{
    int64_t count = 0;
    for (size_t i = 0; i < cluster->service_count; i++) {
        count += strcmp(cluster->services[i]->status, "ACTIVE") == 0;
    }
    return count;
}

static void
count_tasks(const struct ecs_task_list *tasks, int64_t *running, int64_t *pending)
{
    for (size_t i = 0; i < tasks->count; i++) {
        const char *status = sandbox_ecs_task_status(tasks->items[i]);
        *running += strcmp(status, "RUNNING") == 0;
        *pending += strcmp(status, "PENDING") == 0 || strcmp(status, "PROVISIONING") == 0;
    }
}

static struct json *
cluster_json(struct sandbox *sandbox, struct ecs_cluster *cluster, bool with_tags)
{
    struct json *item = json_clone(cluster->settings);
    int64_t running = 0, pending = 0, now = sandbox_now(sandbox);
    for (size_t i = 0; i < cluster->service_count; i++) {
        sandbox_ecs_service_advance(sandbox, cluster->services[i], now);
        count_tasks(&cluster->services[i]->live, &running, &pending);
    }
    for (size_t i = 0; i < cluster->tasks.count; i++) {
        sandbox_ecs_task_advance(sandbox, cluster->tasks.items[i], now);
    }
    count_tasks(&cluster->tasks, &running, &pending);
    json_set_str(item, "clusterArn", cluster->arn);
    json_set_str(item, "clusterName", cluster->name);
    json_set_str(item, "status", "ACTIVE");
    json_set_int(item, "registeredContainerInstancesCount", 0);
    json_set_int(item, "runningTasksCount", running);
    json_set_int(item, "pendingTasksCount", pending);
    json_set_int(item, "activeServicesCount", active_services(cluster));
    json_set(item, "statistics", json_make_array());
    json_set(item, "tags", with_tags ? json_clone(cluster->tags) : json_make_array());
    return item;
}

void
sandbox_ecs_create_cluster(struct aws_exchange *exchange)
{
    static const char *const beside[] = {"clusterName", "tags"};
    struct ecs_state *ecs = exchange->sandbox->aws->ecs;
    const char *name = sandbox_ecs_text(exchange, "clusterName");
    name = name != NULL ? name : "default";
    if (!sandbox_ecs_is_name(name)) {
        sandbox_ecs_invalid(exchange, "Invalid identifier: %s", name);
        return;
    }
    struct ecs_cluster *cluster = sandbox_ecs_cluster_find(ecs, name);
    if (cluster == NULL) {
        cluster = sandbox_ecs_cluster_add(exchange->sandbox, name);
        sandbox_ecs_copy(cluster->settings, exchange->body, beside, ARRAY_LENGTH(beside));
        sandbox_ecs_tags_set(ecs, &cluster->tags, json_get(exchange->body, "tags"));
    }
    struct json *body = json_make_object();
    json_set(body, "cluster", cluster_json(exchange->sandbox, cluster, true));
    sandbox_reply_json(exchange->response, 200, body);
}

void
sandbox_ecs_describe_clusters(struct aws_exchange *exchange)
{
    struct ecs_state *ecs = exchange->sandbox->aws->ecs;
    const struct json *names = json_get(exchange->body, "clusters");
    struct json *body = json_make_object(), *list = json_make_array();
    struct json *failures = json_make_array();
    bool with_tags = sandbox_ecs_includes(exchange, "TAGS");
    size_t count = names != NULL ? json_count(names) : 1;
    for (size_t i = 0; i < count; i++) {
        const char *name = names != NULL ? json_str(json_at(names, i)) : "default";
        struct ecs_cluster *cluster = sandbox_ecs_cluster_find(ecs, name);
        if (cluster != NULL) {
            json_append(list, cluster_json(exchange->sandbox, cluster, with_tags));
        } else {
            json_append(
                failures, sandbox_ecs_failure(sandbox_ecs_arn(exchange->sandbox, "cluster/%s",
                                                  sandbox_ecs_name_of(name != NULL ? name : "")),
                              "MISSING"));
        }
    }
    json_set(body, "clusters", list);
    json_set(body, "failures", failures);
    sandbox_reply_json(exchange->response, 200, body);
}

void
sandbox_ecs_list_clusters(struct aws_exchange *exchange)
{
    const struct ecs_state *ecs = exchange->sandbox->aws->ecs;
    struct json *list = json_make_array();
    for (size_t i = 0; i < ecs->cluster_count; i++) {
        json_append(list, json_make_string(ecs->clusters[i]->arn));
    }
    sandbox_ecs_reply_page(exchange, "clusterArns", list, 100);
}

// --- tags ----------------------------------------------------------------------------------------

static bool
has_key(const struct json *tags, const char *key)
{
    for (size_t i = 0; i < json_count(tags); i++) {
        if (cstr_equal(json_str(json_get(json_at(tags, i), "key")), key)) {
            return true;
        }
    }
    return false;
}

void
sandbox_ecs_tags_set(struct ecs_state *ecs, struct json **tags, const struct json *given)
{
    struct json *merged = json_make_array();
    for (size_t i = 0; i < json_count(*tags); i++) {
        const struct json *tag = json_at(*tags, i);
        const char *key = json_str(json_get(tag, "key"));
        if (key != NULL && !has_key(given, key)) {
            json_append(merged, json_clone(tag));
        }
    }
    for (size_t i = 0; i < json_count(given); i++) {
        json_append(merged, json_clone(json_at(given, i)));
    }
    *tags = sandbox_ecs_keep(ecs, merged);
}

// arn:aws:ecs:REGION:ACCOUNT:KIND/...
static struct json **
tags_of(struct aws_exchange *exchange, const char *arn)
{
    struct ecs_state *ecs = exchange->sandbox->aws->ecs;
    struct str kind = {0}, rest = str_of(arn), part = {0};
    for (int i = 0; i < 5; i++) {
        (void)str_cut(rest, ':', &part, &rest);
    }
    (void)str_cut(rest, '/', &kind, &rest);
    if (str_equal(kind, STR("cluster"))) {
        struct ecs_cluster *cluster = sandbox_ecs_cluster_find(ecs, arn);
        return cluster != NULL ? &cluster->tags : NULL;
    }
    if (str_equal(kind, STR("task-definition"))) {
        struct ecs_definition *definition = sandbox_ecs_definition_find(ecs, arn);
        return definition != NULL ? &definition->tags : NULL;
    }
    if (str_equal(kind, STR("task"))) {
        struct ecs_task *task = sandbox_ecs_task_find(ecs, arn);
        return task != NULL ? &task->tags : NULL;
    }
    struct str name = {0};
    (void)str_cut(rest, '/', &name, &rest);
    struct ecs_cluster *cluster =
        sandbox_ecs_cluster_find(ecs, arena_str(exchange->request->arena, name));
    struct ecs_service *service = str_equal(kind, STR("service")) && cluster != NULL
                                      ? sandbox_ecs_service_find(exchange->sandbox, cluster, arn)
                                      : NULL;
    return service != NULL ? &service->tags : NULL;
}

static struct json **
tags_of_call(struct aws_exchange *exchange)
{
    const char *arn = sandbox_ecs_text(exchange, "resourceArn");
    if (arn == NULL || strncmp(arn, "arn:aws:ecs:", strlen("arn:aws:ecs:")) != 0) {
        sandbox_ecs_invalid(exchange, "Invalid arn syntax: %s", arn != NULL ? arn : "");
        return NULL;
    }
    struct json **tags = tags_of(exchange, arn);
    if (tags == NULL) {
        sandbox_ecs_invalid(exchange, "The specified resource is not found. Specify a valid "
                                      "resource ARN and try again.");
    }
    return tags;
}

void
sandbox_ecs_tag_resource(struct aws_exchange *exchange)
{
    struct json **tags = tags_of_call(exchange);
    const struct json *given = json_get(exchange->body, "tags");
    if (tags == NULL) {
        return;
    }
    if (json_count(*tags) + json_count(given) > TAGS_MAX) {
        sandbox_ecs_invalid(exchange, "The maximum number of tags is %d.", TAGS_MAX);
        return;
    }
    sandbox_ecs_tags_set(exchange->sandbox->aws->ecs, tags, given);
    sandbox_reply_json(exchange->response, 200, json_make_object());
}

void
sandbox_ecs_untag_resource(struct aws_exchange *exchange)
{
    struct json **tags = tags_of_call(exchange);
    const struct json *keys = json_get(exchange->body, "tagKeys");
    if (tags == NULL) {
        return;
    }
    struct json *kept = json_make_array();
    for (size_t i = 0; i < json_count(*tags); i++) {
        const struct json *tag = json_at(*tags, i);
        bool goes = false;
        for (size_t k = 0; k < json_count(keys); k++) {
            goes = goes || cstr_equal(json_str(json_at(keys, k)), json_str(json_get(tag, "key")));
        }
        if (!goes) {
            json_append(kept, json_clone(tag));
        }
    }
    *tags = sandbox_ecs_keep(exchange->sandbox->aws->ecs, kept);
    sandbox_reply_json(exchange->response, 200, json_make_object());
}

void
sandbox_ecs_list_tags(struct aws_exchange *exchange)
{
    struct json **tags = tags_of_call(exchange);
    if (tags != NULL) {
        struct json *body = json_make_object();
        json_set(body, "tags", json_clone(*tags));
        sandbox_reply_json(exchange->response, 200, body);
    }
}
