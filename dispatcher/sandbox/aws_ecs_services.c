// Services: created, changed, described, deleted. Which changes start a deployment is said by the
// service's own API reference, member by member.
#include <stdlib.h>
#include <string.h>

#include "aws_ecs_internal.h"
#include "dispatcher/memory.h"

enum { DESCRIBED_MAX = 10, DEFAULT_PAGE = 10 };

struct ecs_service *
sandbox_ecs_service_find(struct sandbox *sandbox, struct ecs_cluster *cluster, const char *name)
{
    int64_t at = sandbox_ecs_index(cluster->index, sandbox_ecs_name_of(name));
    if (at < 0) {
        return NULL;
    }
    sandbox_ecs_service_advance(sandbox, cluster->services[at], sandbox_now(sandbox));
    return cluster->services[at];
}

struct ecs_service *
sandbox_ecs_service_by_arn(struct sandbox *sandbox, const char *arn, const char *kind)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct str rest = str_of(arn), cluster_name = {0}, name = {0};
    const char *start = arena_printf(arena, "arn:aws:ecs:%s:%s:%s/", sandbox_aws_region(sandbox),
        sandbox_aws_account(sandbox), kind);
    if (!str_starts(rest, str_of(start))) {
        return NULL;
    }
    rest = str_skip(rest, strlen(start));
    bool whole = str_cut(rest, '/', &cluster_name, &rest) && str_cut(rest, '/', &name, &rest);
    struct ecs_cluster *cluster =
        whole ? sandbox_ecs_cluster_find(sandbox->aws->ecs, arena_str(arena, cluster_name)) : NULL;
    return cluster != NULL ? sandbox_ecs_service_find(sandbox, cluster, arena_str(arena, name))
                           : NULL;
}

struct ecs_service *
sandbox_ecs_service_of(struct aws_exchange *exchange)
{
    struct ecs_cluster *cluster = sandbox_ecs_cluster_of(exchange);
    struct ecs_service *service = cluster != NULL
                                      ? sandbox_ecs_service_find(exchange->sandbox, cluster,
                                            sandbox_ecs_text(exchange, "service"))
                                      : NULL;
    if (cluster != NULL && service == NULL) {
        sandbox_ecs_no_service(exchange);
    }
    return service;
}

static struct json *
settings_of(const struct json *given)
{
    static const char *const beside[] = {"cluster", "serviceName", "taskDefinition", "desiredCount",
        "clientToken", "tags", "role", "service", "forceNewDeployment"};
    struct json *settings = json_make_object();
    struct json *configuration = json_make_object();
    sandbox_ecs_copy(settings, given, beside, ARRAY_LENGTH(beside));
    sandbox_ecs_copy(configuration, json_get(given, "deploymentConfiguration"), NULL, 0);
    if (json_get(configuration, "maximumPercent") == NULL) {
        json_set_int(configuration, "maximumPercent", 200);
    }
    if (json_get(configuration, "minimumHealthyPercent") == NULL) {
        json_set_int(configuration, "minimumHealthyPercent", 100);
    }
    if (json_get(configuration, "strategy") == NULL) {
        json_set_str(configuration, "strategy", "ROLLING");
    }
    if (json_get(configuration, "deploymentCircuitBreaker") == NULL) {
        struct json *breaker = json_make_object();
        json_set_bool(breaker, "enable", false);
        json_set_bool(breaker, "rollback", false);
        json_set(configuration, "deploymentCircuitBreaker", breaker);
    }
    json_set(settings, "deploymentConfiguration", configuration);
    if (json_get(settings, "launchType") == NULL &&
        json_get(settings, "capacityProviderStrategy") == NULL) {
        json_set_str(settings, "launchType", "EC2");
    }
    if (cstr_equal(json_str(json_get(settings, "launchType")), "FARGATE")) {
        if (json_get(settings, "platformVersion") == NULL) {
            json_set_str(settings, "platformVersion", "LATEST");
        }
        json_set_str(settings, "platformFamily", "Linux");
    }
    if (json_get(settings, "schedulingStrategy") == NULL) {
        json_set_str(settings, "schedulingStrategy", "REPLICA");
    }
    return settings;
}

int64_t
sandbox_ecs_desired(const struct json *given, int64_t fallback)
{
    int64_t desired = json_int(given, fallback);
    return desired < 0 ? 0 : desired > ECS_DESIRED_MAX ? ECS_DESIRED_MAX : desired;
}

struct ecs_service *
sandbox_ecs_service_add(struct sandbox *sandbox, struct ecs_cluster *cluster, const char *name,
    const struct json *settings)
{
    struct ecs_state *ecs = sandbox->aws->ecs;
    struct ecs_service *service = arena_alloc(ecs->arena, sizeof(*service));
    int64_t now = sandbox_now(sandbox);
    *service = (struct ecs_service){.cluster = cluster,
        .name = arena_dup(ecs->arena, name),
        .arn = sandbox_ecs_arn(sandbox, "service/%s/%s", cluster->name, name),
        .status = "ACTIVE",
        .settings = sandbox_ecs_keep(ecs, settings_of(settings)),
        .tags = sandbox_ecs_keep(ecs, json_make_array()),
        .created_ms = now,
        .updated_ms = now,
        .desired = sandbox_ecs_desired(json_get(settings, "desiredCount"), 0),
        .definition =
            sandbox_ecs_definition_find(ecs, json_str(json_get(settings, "taskDefinition"))),
        .next_ms = ECS_NEVER,
        .drained_ms = ECS_NEVER,
        .deferred_ms = ECS_NEVER,
        .delay_ms = -1,
        .bake_minute_ms = -1};
    sandbox_ecs_tags_set(ecs, &service->tags, json_get(settings, "tags"));
    if ((cluster->service_count & (cluster->service_count - 1)) == 0) { // grows by doubling
        size_t room = cluster->service_count == 0 ? 1 : 2 * cluster->service_count;
        cluster->services = xrealloc(cluster->services, room * sizeof(struct ecs_service *));
    }
    json_set_int(cluster->index, name, (int64_t)cluster->service_count);
    cluster->services[cluster->service_count++] = service;
    return service;
}

void
sandbox_ecs_service_event(
    struct sandbox *sandbox, struct ecs_service *service, int64_t at_ms, const char *format, ...)
{
    struct arena *arena = sandbox->aws->ecs->arena;
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    if (service->events == NULL) {
        service->events = arena_array(arena, ECS_EVENTS_MAX, sizeof(*service->events));
    }
    service->events[service->event_count++ % ECS_EVENTS_MAX] =
        (struct ecs_event){.id = sandbox_random(sandbox, arena, 16),
            .message = arena_str(arena, buf_str(&text)),
            .at_ms = at_ms};
}

// --- as JSON -------------------------------------------------------------------------------------

static struct json *
events_json(const struct ecs_service *service)
{
    struct json *list = json_make_array();
    size_t count = service->event_count < ECS_EVENTS_MAX ? service->event_count : ECS_EVENTS_MAX;
    for (size_t i = 0; i < count; i++) {
        const struct ecs_event *event =
            &service->events[(service->event_count - 1 - i) % ECS_EVENTS_MAX];
        struct json *item = json_make_object();
        json_set_str(item, "id", event->id);
        sandbox_ecs_set_time(item, "createdAt", event->at_ms);
        json_set_str(item, "message", event->message);
        json_append(list, item);
    }
    return list;
}

static void
copy_if_there(struct json *to, const struct json *from, const char *key)
{
    if (json_get(from, key) != NULL) {
        json_set(to, key, json_clone(json_get(from, key)));
    }
}

static struct json *
classic_json(const struct ecs_service *service, const struct ecs_classic *classic, bool is_primary)
{
    static const char *const copied[] = {"launchType", "capacityProviderStrategy",
        "platformVersion", "platformFamily", "networkConfiguration"};
    struct ecs_counts counts = sandbox_ecs_capacity_count(service, classic, NULL);
    struct json *item = json_make_object();
    json_set_str(item, "id", classic->id);
    json_set_str(item, "status", is_primary ? "PRIMARY" : "ACTIVE");
    json_set_str(item, "taskDefinition", classic->revision->definition->arn);
    json_set_int(item, "desiredCount",
        is_primary                              ? service->desired
        : strcmp(classic->state, "FAILED") == 0 ? 0
                                                : counts.running + counts.pending);
    json_set_int(item, "pendingCount", counts.pending);
    json_set_int(item, "runningCount", counts.running);
    json_set_int(item, "failedTasks", classic->failed);
    sandbox_ecs_set_time(item, "createdAt", classic->created_ms);
    sandbox_ecs_set_time(item, "updatedAt", classic->updated_ms);
    for (size_t i = 0; i < ARRAY_LENGTH(copied); i++) {
        copy_if_there(item, classic->revision->settings, copied[i]);
    }
    json_set_str(item, "rolloutState", classic->state);
    json_set_str(item, "rolloutStateReason", classic->reason);
    return item;
}

static void
append_revision(
    struct json *list, const struct ecs_service *service, const struct ecs_revision *revision)
{
    struct ecs_counts counts = sandbox_ecs_capacity_count(service, NULL, revision);
    bool is_target = service->classic_count > 0 && service->classics[0]->revision == revision;
    struct json *item = json_make_object();
    json_set_str(item, "arn", revision->arn);
    json_set_int(
        item, "requestedTaskCount", is_target ? service->desired : counts.running + counts.pending);
    json_set_int(item, "runningTaskCount", counts.running);
    json_set_int(item, "pendingTaskCount", counts.pending);
    json_append(list, item);
}

static struct json *
current_revisions(const struct ecs_service *service)
{
    struct json *list = json_make_array();
    for (size_t i = 0; i < service->classic_count; i++) {
        bool seen = false;
        for (size_t k = 0; k < i; k++) {
            seen = seen || service->classics[k]->revision == service->classics[i]->revision;
        }
        if (!seen) {
            append_revision(list, service, service->classics[i]->revision);
        }
    }
    return list;
}

struct json *
sandbox_ecs_service_json(struct sandbox *sandbox, const struct ecs_service *service, bool with_tags)
{
    (void)sandbox;
    static const char *const lists[] = {
        "loadBalancers", "serviceRegistries", "placementConstraints", "placementStrategy"};
    struct json *item = json_clone(service->settings), *deployments = json_make_array();
    struct ecs_counts counts = sandbox_ecs_capacity_count(service, NULL, NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        if (json_get(item, lists[i]) == NULL) {
            json_set(item, lists[i], json_make_array());
        }
    }
    for (size_t i = 0; i < service->classic_count; i++) {
        json_append(deployments, classic_json(service, service->classics[i], i == 0));
    }
    json_set_str(item, "serviceArn", service->arn);
    json_set_str(item, "serviceName", service->name);
    json_set_str(item, "clusterArn", service->cluster->arn);
    json_set_str(item, "status", service->status);
    json_set_int(item, "desiredCount", service->desired);
    json_set_int(item, "runningCount", counts.running);
    json_set_int(item, "pendingCount", counts.pending);
    json_set_str(
        item, "taskDefinition", service->definition != NULL ? service->definition->arn : NULL);
    json_set(item, "deployments", deployments);
    json_set(item, "events", events_json(service));
    sandbox_ecs_set_time(item, "createdAt", service->created_ms);
    json_set_str(item, "createdBy", service->creator);
    if (service->current != NULL) {
        json_set_str(item, "currentServiceDeployment", service->current->arn);
    }
    json_set(item, "currentServiceRevisions", current_revisions(service));
    json_set_str(item, "resourceManagementType", service->express != NULL ? "ECS" : "CUSTOMER");
    if (with_tags) {
        json_set(item, "tags", json_clone(service->tags));
    }
    return item;
}

static void
reply_service(struct aws_exchange *exchange, struct ecs_service *service)
{
    struct json *body = json_make_object();
    json_set(body, "service", sandbox_ecs_service_json(exchange->sandbox, service, true));
    sandbox_reply_json(exchange->response, 200, body);
}

// --- operations ----------------------------------------------------------------------------------

static bool
check_wishes(struct aws_exchange *exchange, const struct ecs_definition *definition)
{
    const char *kind = json_str(json_path(exchange->body, "deploymentController.type"));
    int64_t desired = json_int(json_get(exchange->body, "desiredCount"), 0);
    if (desired < 0 || desired > ECS_DESIRED_MAX) {
        sandbox_ecs_invalid(
            exchange, "desiredCount must be between 0 and %d.", (int)ECS_DESIRED_MAX);
    } else if (kind != NULL && strcmp(kind, "ECS") != 0) {
        sandbox_ecs_invalid(exchange, "the sandbox has no deployment controller '%s'", kind);
    } else if (definition == NULL) {
        sandbox_ecs_client_problem(exchange, "TaskDefinition not found.");
    } else if (!definition->is_active && sandbox_ecs_text(exchange, "taskDefinition") != NULL) {
        sandbox_ecs_client_problem(exchange, "TaskDefinition is inactive");
    } else {
        return true;
    }
    return false;
}

// A service that is gone leaves its name.
static bool
is_taken(const struct ecs_service *service)
{
    return service != NULL && strcmp(service->status, "INACTIVE") != 0;
}

void
sandbox_ecs_create_service(struct aws_exchange *exchange)
{
    struct sandbox *sandbox = exchange->sandbox;
    const char *name = sandbox_ecs_text(exchange, "serviceName");
    struct ecs_cluster *cluster = sandbox_ecs_cluster_of(exchange);
    if (cluster == NULL) {
        return;
    }
    const char *wanted = sandbox_ecs_text(exchange, "taskDefinition");
    if (!sandbox_ecs_is_name(name)) {
        sandbox_ecs_invalid(exchange, "Invalid service name: %s", name != NULL ? name : "");
        return;
    }
    if (!check_wishes(exchange, sandbox_ecs_definition_find(sandbox->aws->ecs, wanted))) {
        return;
    }
    const char *token = sandbox_ecs_text(exchange, "clientToken");
    struct ecs_service *former = sandbox_ecs_service_find(sandbox, cluster, name);
    if (is_taken(former) && token != NULL && cstr_equal(former->token, token)) {
        reply_service(exchange, former);
        return;
    }
    if (is_taken(former)) {
        sandbox_ecs_invalid(exchange, "Creation of service was not idempotent.");
        return;
    }
    struct ecs_service *service = sandbox_ecs_service_add(sandbox, cluster, name, exchange->body);
    service->token = token != NULL ? arena_dup(sandbox->aws->ecs->arena, token) : NULL;
    service->creator = arena_dup(sandbox->aws->ecs->arena, exchange->key->arn);
    sandbox_ecs_deployment_start(sandbox, service, sandbox_now(sandbox));
    sandbox_ecs_service_schedule(service);
    reply_service(exchange, service);
}

static bool
differs(const struct json *settings, const struct json *body, const char *member)
{
    const struct json *given = json_get(body, member), *known = json_get(settings, member);
    if (given == NULL) {
        return false;
    }
    char *left CLEANUP(xfreep) = json_text(given);
    char *right CLEANUP(xfreep) = known != NULL ? json_text(known) : xstrdup("");
    return strcmp(left, right) != 0;
}

// Members that the API reference says start a deployment.
static const char *const rolled_out[] = {"networkConfiguration", "platformVersion", "loadBalancers",
    "serviceRegistries", "serviceConnectConfiguration", "volumeConfigurations",
    "vpcLatticeConfigurations"};

static bool
starts_deployment(const struct ecs_service *service, const struct json *body)
{
    bool starts = json_bool(json_get(body, "forceNewDeployment"), false);
    for (size_t i = 0; i < ARRAY_LENGTH(rolled_out); i++) {
        starts = starts || differs(service->settings, body, rolled_out[i]);
    }
    return starts;
}

void
sandbox_ecs_service_restore(
    struct sandbox *sandbox, struct ecs_service *service, struct ecs_revision *revision)
{
    struct json *settings = json_make_object();
    sandbox_ecs_copy(settings, service->settings, rolled_out, ARRAY_LENGTH(rolled_out));
    for (size_t i = 0; i < ARRAY_LENGTH(rolled_out); i++) {
        copy_if_there(settings, revision->settings, rolled_out[i]);
    }
    service->settings = sandbox_ecs_keep(sandbox->aws->ecs, settings);
    service->definition = revision->definition;
    service->express = revision->express;
}

static void
overlay(void *ctx, const char *key, const struct json *value)
{
    struct json *into = ctx;
    if (strcmp(key, "deploymentConfiguration") == 0) {
        struct json *merged = json_clone(json_get(into, key));
        sandbox_ecs_copy(merged, value, NULL, 0);
        json_set(into, key, merged);
    } else if (!json_is_null(value)) {
        json_set(into, key, json_clone(value));
    }
}

static struct json *
changed_settings(const struct ecs_service *service, const struct json *body)
{
    static const char *const beside[] = {
        "cluster", "service", "taskDefinition", "desiredCount", "forceNewDeployment"};
    struct json *settings = json_clone(service->settings), *given = json_make_object();
    sandbox_ecs_copy(given, body, beside, ARRAY_LENGTH(beside));
    json_each(given, overlay, settings);
    json_free(given);
    return settings;
}

void
sandbox_ecs_update_service(struct aws_exchange *exchange)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct ecs_service *service = sandbox_ecs_service_of(exchange);
    if (service == NULL) {
        return;
    }
    if (strcmp(service->status, "ACTIVE") != 0) {
        sandbox_aws_json_problem(
            exchange->response, "ServiceNotActiveException", "Service was not ACTIVE.");
        return;
    }
    const struct json *body = exchange->body;
    if (service->express != NULL && (json_get(body, "deploymentConfiguration") != NULL ||
                                        json_get(body, "loadBalancers") != NULL)) {
        sandbox_ecs_invalid(exchange, "The deployment configuration and load balancers of a "
                                      "service that Amazon ECS manages cannot be updated.");
        return;
    }
    const char *wanted = sandbox_ecs_text(exchange, "taskDefinition");
    struct ecs_definition *definition = wanted != NULL
                                            ? sandbox_ecs_definition_find(sandbox->aws->ecs, wanted)
                                            : service->definition;
    if (!check_wishes(exchange, definition)) {
        return;
    }
    int64_t now = sandbox_now(sandbox);
    bool starts = starts_deployment(service, body) || definition != service->definition;
    service->settings = sandbox_ecs_keep(sandbox->aws->ecs, changed_settings(service, body));
    service->desired = sandbox_ecs_desired(json_get(body, "desiredCount"), service->desired);
    service->definition = definition;
    service->updated_ms = now;
    if (starts) {
        sandbox_ecs_deployment_start(sandbox, service, now);
    } else if (json_get(body, "desiredCount") != NULL) {
        sandbox_ecs_capacity_fit(
            sandbox, service, now, now + sandbox_ecs_delay_ms(sandbox, service) / 4);
    }
    sandbox_ecs_service_schedule(service);
    reply_service(exchange, service);
}

void
sandbox_ecs_describe_services(struct aws_exchange *exchange)
{
    struct ecs_cluster *cluster = sandbox_ecs_cluster_of(exchange);
    const struct json *names = json_get(exchange->body, "services");
    if (cluster == NULL) {
        return;
    }
    if (json_count(names) == 0 || json_count(names) > DESCRIBED_MAX) {
        sandbox_ecs_invalid(exchange, json_count(names) == 0
                                          ? "Services cannot be empty."
                                          : "Services cannot have more than 10 elements.");
        return;
    }
    struct json *body = json_make_object(), *list = json_make_array();
    struct json *failures = json_make_array();
    bool with_tags = sandbox_ecs_includes(exchange, "TAGS");
    for (size_t i = 0; i < json_count(names); i++) {
        const char *name = json_str(json_at(names, i));
        const struct ecs_service *service =
            name != NULL ? sandbox_ecs_service_find(exchange->sandbox, cluster, name) : NULL;
        if (service != NULL) {
            json_append(list, sandbox_ecs_service_json(exchange->sandbox, service, with_tags));
        } else {
            json_append(
                failures, sandbox_ecs_failure(
                              sandbox_ecs_arn(exchange->sandbox, "service/%s/%s", cluster->name,
                                  name != NULL ? sandbox_ecs_name_of(name) : ""),
                              "MISSING"));
        }
    }
    json_set(body, "services", list);
    json_set(body, "failures", failures);
    sandbox_reply_json(exchange->response, 200, body);
}

static bool
is_listed(const struct aws_exchange *exchange, const struct ecs_service *service)
{
    static const char *const members[] = {"launchType", "schedulingStrategy"};
    for (size_t i = 0; i < ARRAY_LENGTH(members); i++) {
        const char *wanted = sandbox_ecs_text(exchange, members[i]);
        if (wanted != NULL &&
            !cstr_equal(wanted, json_str(json_get(service->settings, members[i])))) {
            return false;
        }
    }
    const char *managed = sandbox_ecs_text(exchange, "resourceManagementType");
    bool by_ecs = service->express != NULL;
    return is_taken(service) && (managed == NULL || (strcmp(managed, "ECS") == 0) == by_ecs);
}

void
sandbox_ecs_list_services(struct aws_exchange *exchange)
{
    struct ecs_cluster *cluster = sandbox_ecs_cluster_of(exchange);
    if (cluster == NULL) {
        return;
    }
    struct json *list = json_make_array();
    for (size_t i = 0; i < cluster->service_count; i++) {
        sandbox_ecs_service_advance(
            exchange->sandbox, cluster->services[i], sandbox_now(exchange->sandbox));
        if (is_listed(exchange, cluster->services[i])) {
            json_append(list, json_make_string(cluster->services[i]->arn));
        }
    }
    sandbox_ecs_reply_page(exchange, "serviceArns", list, DEFAULT_PAGE);
}

void
sandbox_ecs_drain_service(struct sandbox *sandbox, struct ecs_service *service)
{
    int64_t now = sandbox_now(sandbox);
    if (service->current != NULL) {
        sandbox_ecs_deployment_stopped(
            sandbox, service->current, now, "Service deployment stopped: the service is deleted.");
    }
    service->stopping = NULL;
    service->deferred_ms = ECS_NEVER;
    service->desired = 0;
    sandbox_ecs_capacity_retire_but(sandbox, service, NULL, now, INT64_MAX);
    service->status = "DRAINING";
    service->drained_ms = now + sandbox_ecs_delay_ms(sandbox, service) / 4;
    sandbox_ecs_service_schedule(service);
}

void
sandbox_ecs_delete_service(struct aws_exchange *exchange)
{
    struct ecs_service *service = sandbox_ecs_service_of(exchange);
    if (service == NULL) {
        return;
    }
    if (strcmp(service->status, "INACTIVE") == 0) {
        sandbox_ecs_no_service(exchange);
        return;
    }
    if (service->desired > 0 && !json_bool(json_get(exchange->body, "force"), false)) {
        sandbox_ecs_invalid(exchange, "The service cannot be stopped while it is scaled above 0.");
        return;
    }
    sandbox_ecs_drain_service(exchange->sandbox, service);
    reply_service(exchange, service);
}
