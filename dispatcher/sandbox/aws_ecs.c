// Front of the sandbox's ECS: its state, which operation is where, and the words all of them share.
// The clusters, task definitions, services, deployments and tasks have files of their own.
#include <stdlib.h>
#include <string.h>

#include "aws_ecs_internal.h"
#include "dispatcher/memory.h"

enum { TEXT_MAX = 64 * 1024, EFFECTS_MAX = 20000, NAME_BYTES = 255, PAGE_MAX = 100 };

void
sandbox_ecs_start(struct sandbox *sandbox)
{
    struct ecs_state *ecs = xcalloc(1, sizeof(*ecs));
    ecs->arena = arena_new();
    ecs->family_index = sandbox_ecs_keep(ecs, json_make_object());
    ecs->cluster_index = sandbox_ecs_keep(ecs, json_make_object());
    ecs->images = sandbox_ecs_keep(ecs, json_make_object());
    ecs->tokens = sandbox_ecs_keep(ecs, json_make_object());
    ecs->effects = sandbox_ecs_keep(ecs, json_make_array());
    ecs->delay_ms = -1;
    ecs->bake_minute_ms = -1;
    sandbox->aws->ecs = ecs;
}

static void
free_cluster(struct ecs_cluster *cluster)
{
    for (size_t i = 0; i < cluster->service_count; i++) {
        struct ecs_service *service = cluster->services[i];
        for (size_t k = 0; k < service->deployment_count; k++) {
            free(service->deployments[k]->sources);
            free(service->deployments[k]->stages);
            free(service->deployments[k]->hooks);
        }
        free(service->deployments);
        free(service->revisions);
        free(service->classics);
        free(service->live.items);
        free(service->stopped.items);
    }
    free(cluster->services);
    free(cluster->tasks.items);
}

void
sandbox_ecs_stop(struct sandbox *sandbox)
{
    struct ecs_state *ecs = sandbox->aws->ecs;
    if (ecs == NULL) {
        return;
    }
    for (size_t i = 0; i < ecs->family_count; i++) {
        free(ecs->families[i]->revisions);
    }
    for (size_t i = 0; i < ecs->cluster_count; i++) {
        free_cluster(ecs->clusters[i]);
    }
    for (size_t i = 0; i < ecs->kept_count; i++) {
        json_free(ecs->kept[i]);
    }
    free(ecs->kept);
    free(ecs->families);
    free(ecs->clusters);
    free(ecs->tasks.items);
    free(ecs->scenarios);
    arena_free(ecs->arena);
    free(ecs);
    sandbox->aws->ecs = NULL;
}

struct json *
sandbox_ecs_keep(struct ecs_state *ecs, struct json *tree)
{
    size_t count = ecs->kept_count;
    if ((count & (count - 1)) == 0) { // grows by doubling
        size_t room = count == 0 ? 1 : 2 * count;
        ecs->kept = xrealloc(ecs->kept, room * sizeof(*ecs->kept));
    }
    ecs->kept[ecs->kept_count++] = tree;
    return tree;
}

const char *
sandbox_ecs_arn(struct sandbox *sandbox, const char *format, ...)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    va_list args;
    buf_printf(
        &text, "arn:aws:ecs:%s:%s:", sandbox_aws_region(sandbox), sandbox_aws_account(sandbox));
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    return arena_str(sandbox->aws->ecs->arena, buf_str(&text));
}

const char *
sandbox_ecs_name_of(const char *text)
{
    const char *slash = text != NULL ? strrchr(text, '/') : NULL;
    return slash != NULL && strncmp(text, "arn:", 4) == 0 ? slash + 1 : text;
}

void
sandbox_ecs_set_time(struct json *object, const char *key, int64_t wall_ms)
{
    if (wall_ms > 0) {
        json_set_number(object, key, (double)wall_ms / 1000.0);
    }
}

bool
sandbox_ecs_is_name(const char *name)
{
    static const char legal[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    return name != NULL && name[0] != '\0' && strlen(name) <= NAME_BYTES &&
           strspn(name, legal) == strlen(name);
}

int64_t
sandbox_ecs_index(const struct json *index, const char *name)
{
    return name != NULL ? json_int(json_get(index, name), -1) : -1;
}

void
sandbox_ecs_reply_page(
    struct aws_exchange *exchange, const char *key, struct json *list, int64_t most)
{
    const char *token = sandbox_ecs_text(exchange, "nextToken");
    int64_t size = json_int(json_get(exchange->body, "maxResults"), most), from = 0;
    int64_t count = (int64_t)json_count(list);
    struct json *body = json_make_object(), *page = json_make_array();
    bool bad_token =
        token != NULL && (!str_to_int64(str_of(token), &from) || from < 0 || from > count);
    if (bad_token || size < 1 || size > PAGE_MAX) {
        json_free(body);
        json_free(page);
        json_free(list);
        sandbox_ecs_invalid(
            exchange, bad_token ? "Invalid token." : "MaxResults must be between 1 and 100.");
        return;
    }
    int64_t end = size < count - from ? from + size : count;
    for (int64_t i = from; i < end; i++) {
        json_append(page, json_clone(json_at(list, (size_t)i)));
    }
    json_set(body, key, page);
    if (end < count) {
        json_set_str(
            body, "nextToken", arena_printf(exchange->request->arena, "%lld", (long long)end));
    }
    json_free(list);
    sandbox_reply_json(exchange->response, 200, body);
}

struct json *
sandbox_ecs_failure(const char *arn, const char *reason)
{
    struct json *failure = json_make_object();
    json_set_str(failure, "arn", arn);
    json_set_str(failure, "reason", reason);
    return failure;
}

const char *
sandbox_ecs_text(const struct aws_exchange *exchange, const char *member)
{
    return json_str(json_get(exchange->body, member));
}

struct copy {
    struct json *to;
    const char *const *without;
    size_t count;
};

static void
copy_member(void *ctx, const char *key, const struct json *value)
{
    const struct copy *copy = ctx;
    for (size_t i = 0; i < copy->count; i++) {
        if (strcmp(copy->without[i], key) == 0) {
            return;
        }
    }
    json_set(copy->to, key, json_clone(value));
}

void
sandbox_ecs_copy(struct json *to, const struct json *from, const char *const *without, size_t count)
{
    struct copy copy = {.to = to, .without = without, .count = count};
    json_each(from, copy_member, &copy);
}

bool
sandbox_ecs_includes(const struct aws_exchange *exchange, const char *what)
{
    const struct json *include = json_get(exchange->body, "include");
    for (size_t i = 0; i < json_count(include); i++) {
        if (cstr_equal(json_str(json_at(include, i)), what)) {
            return true;
        }
    }
    return false;
}

void
sandbox_ecs_no_cluster(struct aws_exchange *exchange)
{
    sandbox_aws_json_problem(exchange->response, "ClusterNotFoundException", "Cluster not found.");
}

void
sandbox_ecs_no_service(struct aws_exchange *exchange)
{
    sandbox_aws_json_problem(exchange->response, "ServiceNotFoundException", "Service not found.");
}

static void
problem(struct aws_exchange *exchange, const char *code, const char *format, va_list args)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    buf_vprintf(&text, format, args);
    sandbox_aws_json_problem(exchange->response, code, "%s", buf_cstr(&text));
}

void
sandbox_ecs_invalid(struct aws_exchange *exchange, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    problem(exchange, "InvalidParameterException", format, args);
    va_end(args);
}

void
sandbox_ecs_client_problem(struct aws_exchange *exchange, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    problem(exchange, "ClientException", format, args);
    va_end(args);
}

// What a test counts: every call that changed something, with what it asked for.
static void
note_effect(struct aws_exchange *exchange)
{
    struct ecs_state *ecs = exchange->sandbox->aws->ecs;
    struct str name = str_of(exchange->operation);
    bool reads = str_starts(name, STR("Describe")) || str_starts(name, STR("List"));
    if (reads || exchange->response->status != 200 || json_count(ecs->effects) >= EFFECTS_MAX) {
        return;
    }
    struct json *effect = json_make_object();
    json_set_str(effect, "action", exchange->operation);
    json_set_int(effect, "time_ms", sandbox_now(exchange->sandbox));
    json_set_str(effect, "user", exchange->key->arn);
    json_set(effect, "request", json_clone(exchange->body));
    json_append(ecs->effects, effect);
}

void
sandbox_ecs_handle(struct aws_exchange *exchange)
{
    static const struct aws_operation operations[] = {
        {"CreateCluster", sandbox_ecs_create_cluster},
        {"DescribeClusters", sandbox_ecs_describe_clusters},
        {"ListClusters", sandbox_ecs_list_clusters},
        {"RegisterTaskDefinition", sandbox_ecs_register_definition},
        {"DescribeTaskDefinition", sandbox_ecs_describe_definition},
        {"ListTaskDefinitions", sandbox_ecs_list_definitions},
        {"DeregisterTaskDefinition", sandbox_ecs_deregister_definition},
        {"CreateService", sandbox_ecs_create_service},
        {"UpdateService", sandbox_ecs_update_service},
        {"DescribeServices", sandbox_ecs_describe_services},
        {"ListServices", sandbox_ecs_list_services},
        {"DeleteService", sandbox_ecs_delete_service},
        {"ListServiceDeployments", sandbox_ecs_list_deployments},
        {"DescribeServiceDeployments", sandbox_ecs_describe_deployments},
        {"DescribeServiceRevisions", sandbox_ecs_describe_revisions},
        {"StopServiceDeployment", sandbox_ecs_stop_deployment},
        {"ContinueServiceDeployment", sandbox_ecs_continue_deployment},
        {"RunTask", sandbox_ecs_run_task},
        {"StopTask", sandbox_ecs_stop_task},
        {"DescribeTasks", sandbox_ecs_describe_tasks},
        {"ListTasks", sandbox_ecs_list_tasks},
        {"TagResource", sandbox_ecs_tag_resource},
        {"UntagResource", sandbox_ecs_untag_resource},
        {"ListTagsForResource", sandbox_ecs_list_tags},
        {"CreateExpressGatewayService", sandbox_ecs_express_create},
        {"DescribeExpressGatewayService", sandbox_ecs_express_describe},
        {"UpdateExpressGatewayService", sandbox_ecs_express_update},
        {"DeleteExpressGatewayService", sandbox_ecs_express_delete},
    };
    sandbox_aws_run(exchange, operations, ARRAY_LENGTH(operations));
    note_effect(exchange);
}

static struct json *
service_state(struct sandbox *sandbox, const struct ecs_service *service)
{
    struct json *item = sandbox_ecs_service_json(sandbox, service, true);
    struct json *deployments = json_make_array(), *tasks = json_make_array();
    for (size_t i = 0; i < service->deployment_count; i++) {
        json_append(deployments, sandbox_ecs_deployment_json(sandbox, service->deployments[i]));
    }
    for (size_t i = 0; i < service->live.count; i++) {
        json_append(tasks, sandbox_ecs_task_json(sandbox, service->live.items[i], false));
    }
    json_set(item, "serviceDeployments", deployments);
    json_set(item, "tasks", tasks);
    json_set_int(item, "stoppedTasks", (int64_t)service->stopped.count);
    return item;
}

static struct json *
cluster_state(struct sandbox *sandbox, const struct ecs_cluster *cluster)
{
    struct json *item = json_make_object(), *services = json_make_array();
    struct json *tasks = json_make_array();
    for (size_t i = 0; i < cluster->service_count; i++) {
        json_append(services, service_state(sandbox, cluster->services[i]));
    }
    for (size_t i = 0; i < cluster->tasks.count; i++) {
        json_append(tasks, sandbox_ecs_task_json(sandbox, cluster->tasks.items[i], true));
    }
    json_set_str(item, "name", cluster->name);
    json_set(item, "services", services);
    json_set(item, "tasks", tasks);
    return item;
}

struct json *
sandbox_ecs_state_json(struct sandbox *sandbox)
{
    struct ecs_state *ecs = sandbox->aws->ecs;
    struct json *state = json_make_object(), *clusters = json_make_array();
    struct json *families = json_make_object();
    sandbox_ecs_advance_all(sandbox);
    for (size_t i = 0; i < ecs->cluster_count; i++) {
        json_append(clusters, cluster_state(sandbox, ecs->clusters[i]));
    }
    for (size_t i = 0; i < ecs->family_count; i++) {
        json_set_int(families, ecs->families[i]->name, (int64_t)ecs->families[i]->count);
    }
    json_set(state, "clusters", clusters);
    json_set(state, "task_definitions", families);
    json_set(state, "scenarios", sandbox_ecs_scenarios_json(ecs));
    json_set(state, "effects", json_clone(ecs->effects));
    return state;
}
