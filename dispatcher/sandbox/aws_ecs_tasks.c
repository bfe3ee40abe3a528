// Tasks as the API tells of them, and those that run by themselves (RunTask). Nothing is executed:
// a task runs for the sandbox's delay and exits with 0 unless a scenario says otherwise.
#include <string.h>

#include "aws_ecs_internal.h"
#include "dispatcher/memory.h"

enum {
    RUN_MAX = 10,
    TOKEN_BYTES = 64,
    STARTED_BY_BYTES = 128,
    DESCRIBED_MAX = 100,
    PAGE = 100,
    HOUR_MS = 3600000,
    KILLED = 137
};

// --- as JSON -------------------------------------------------------------------------------------

static const char *
last_status(struct sandbox *sandbox, const struct ecs_task *task)
{
    int64_t next = task->run_at_ms != ECS_NEVER ? task->run_at_ms : task->end_at_ms;
    bool waits = task->stopped_ms == 0 && task->started_ms == 0 && next != ECS_NEVER;
    return waits && sandbox_now(sandbox) < task->created_ms + (next - task->created_ms) / 3
               ? "PROVISIONING"
               : sandbox_ecs_task_status(task);
}

static void
set_end(struct json *item, const struct ecs_task *task, bool is_main)
{
    const struct ecs_ending *ending = &task->ending;
    if (task->stopped_ms == 0) {
        return;
    }
    if (ending->has_exit_code) {
        bool failed = ending->exit_code != 0;
        json_set_int(item, "exitCode", is_main ? ending->exit_code : (failed ? KILLED : 0));
    }
    json_set_str(item, "reason", is_main ? ending->container_reason : NULL);
}

static struct json *
container_json(
    struct sandbox *sandbox, const struct ecs_task *task, size_t number, const char *status)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct json *containers = json_get(task->definition->document, "containerDefinitions");
    const struct json *given = json_at(containers, number);
    bool is_main = given == sandbox_ecs_main_container(task->definition);
    struct json *item = json_make_object();
    json_set_str(item, "containerArn",
        arena_printf(arena, "arn:aws:ecs:%s:%s:container/%s/%s/%.8s%zu",
            sandbox_aws_region(sandbox), sandbox_aws_account(sandbox), task->cluster->name,
            task->id, task->id, number));
    json_set_str(item, "taskArn", task->arn);
    json_set_str(item, "name", json_str(json_get(given, "name")));
    json_set_str(item, "image", json_str(json_get(given, "image")));
    // Known once it was pulled.
    if (task->started_ms > 0 && task->wrong_digest != NULL && is_main) {
        json_set_str(item, "imageDigest", task->wrong_digest);
    } else if (task->started_ms > 0) {
        json_set_str(
            item, "imageDigest", json_str(json_get(json_at(task->images, number), "imageDigest")));
    }
    if (task->started_ms > 0) {
        json_set_str(item, "runtimeId", arena_printf(arena, "%s-%zu", task->id, number));
    }
    json_set_str(item, "lastStatus", status);
    set_end(item, task, is_main);
    json_set(item, "networkBindings", json_make_array());
    json_set(item, "networkInterfaces", json_make_array());
    bool checked = json_get(given, "healthCheck") != NULL && task->started_ms > 0;
    json_set_str(item, "healthStatus",
        !checked          ? "UNKNOWN"
        : task->is_faulty ? "UNHEALTHY"
                          : "HEALTHY");
    json_set_str(
        item, "cpu", arena_printf(arena, "%lld", (long long)json_int(json_get(given, "cpu"), 0)));
    return item;
}

static void
set_times(struct json *item, const struct ecs_task *task)
{
    sandbox_ecs_set_time(item, "createdAt", task->created_ms);
    if (task->started_ms > 0) {
        sandbox_ecs_set_time(item, "pullStartedAt", task->created_ms);
        sandbox_ecs_set_time(item, "pullStoppedAt", task->started_ms);
        sandbox_ecs_set_time(item, "startedAt", task->started_ms);
        sandbox_ecs_set_time(item, "connectivityAt", task->created_ms);
        json_set_str(item, "connectivity", "CONNECTED");
    }
    if (task->stopped_ms > 0) {
        sandbox_ecs_set_time(item, "stoppingAt", task->stopped_ms);
        sandbox_ecs_set_time(item, "executionStoppedAt", task->stopped_ms);
        sandbox_ecs_set_time(item, "stoppedAt", task->stopped_ms);
        json_set_str(item, "stopCode", task->ending.stop_code);
        json_set_str(item, "stoppedReason", task->ending.stopped_reason);
    }
}

static void
set_origin(struct json *item, const struct ecs_task *task)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct json *settings = task->service != NULL ? task->service->settings : task->request;
    const char *launch = json_str(json_get(settings, "launchType"));
    const char *group = json_str(json_get(task->request, "group"));
    json_set_str(item, "launchType", launch != NULL ? launch : "EC2");
    if (cstr_equal(launch, "FARGATE")) {
        json_set_str(item, "platformVersion", "1.4.0");
        json_set_str(item, "platformFamily", "Linux");
    }
    if (task->service != NULL) {
        json_set_str(item, "group", arena_printf(arena, "service:%s", task->service->name));
        json_set_str(item, "startedBy", task->classic->id);
    } else {
        json_set_str(item, "group",
            group != NULL ? group : arena_printf(arena, "family:%s", task->definition->family));
        json_set_str(item, "startedBy", json_str(json_get(task->request, "startedBy")));
    }
}

struct json *
sandbox_ecs_task_json(struct sandbox *sandbox, const struct ecs_task *task, bool with_tags)
{
    const struct json *document = task->definition->document;
    const struct json *containers = json_get(document, "containerDefinitions");
    const struct json *overrides = json_get(task->request, "overrides");
    const char *status = last_status(sandbox, task);
    struct json *item = json_make_object(), *list = json_make_array();
    for (size_t i = 0; i < json_count(containers); i++) {
        bool waits = strcmp(status, "PROVISIONING") == 0;
        json_append(list, container_json(sandbox, task, i, waits ? "PENDING" : status));
    }
    json_set(item, "attachments", json_make_array());
    json_set_str(item, "clusterArn", task->cluster->arn);
    json_set(item, "containers", list);
    json_set_str(item, "cpu", json_str(json_get(document, "cpu")));
    json_set_str(item, "memory", json_str(json_get(document, "memory")));
    json_set_str(item, "desiredStatus", task->stopped_ms > 0 ? "STOPPED" : "RUNNING");
    json_set_str(item, "lastStatus", status);
    json_set_str(item, "healthStatus", "UNKNOWN");
    if (overrides != NULL) {
        json_set(item, "overrides", json_clone(overrides));
    } else {
        struct json *none = json_make_object();
        json_set(none, "containerOverrides", json_make_array());
        json_set(item, "overrides", none);
    }
    json_set_str(item, "taskArn", task->arn);
    json_set_str(item, "taskDefinitionArn", task->definition->arn);
    json_set_int(item, "version", 1 + (task->started_ms > 0) + (task->stopped_ms > 0));
    set_origin(item, task);
    set_times(item, task);
    if (with_tags && task->tags != NULL) {
        json_set(item, "tags", json_clone(task->tags));
    }
    return item;
}

// --- RunTask -------------------------------------------------------------------------------------

// The same request, whatever its token.
static char *
request_text(const struct json *body)
{
    static const char *const beside[] = {"clientToken"};
    struct json *rest CLEANUP(json_freep) = json_make_object();
    sandbox_ecs_copy(rest, body, beside, ARRAY_LENGTH(beside));
    return json_text(rest);
}

static void
reply_tasks(struct aws_exchange *exchange, const struct json *arns)
{
    struct ecs_state *ecs = exchange->sandbox->aws->ecs;
    struct json *body = json_make_object(), *list = json_make_array();
    for (size_t i = 0; i < json_count(arns); i++) {
        struct ecs_task *task = sandbox_ecs_task_find(ecs, json_str(json_at(arns, i)));
        BUG_ON(task == NULL);
        json_append(list, sandbox_ecs_task_json(exchange->sandbox, task, true));
    }
    json_set(body, "tasks", list);
    json_set(body, "failures", json_make_array());
    sandbox_reply_json(exchange->response, 200, body);
}

static void
reply_conflict(struct aws_exchange *exchange, const struct json *arns)
{
    struct json *body = json_make_object();
    json_set_str(body, "__type", "ConflictException");
    json_set_str(body, "message",
        "The specified client token is already in use with a different RunTask request.");
    json_set(body, "resourceIds", json_clone(arns));
    sandbox_reply_json(exchange->response, 400, body);
    sandbox_reply_header(exchange->response, "x-amzn-ErrorType", "ConflictException");
}

// True when the token has been used: answered.
static bool
was_run(struct aws_exchange *exchange, const char *token)
{
    const struct json *known =
        token != NULL ? json_get(exchange->sandbox->aws->ecs->tokens, token) : NULL;
    if (known == NULL) {
        return false;
    }
    char *text CLEANUP(xfreep) = request_text(exchange->body);
    if (strcmp(text, json_str(json_get(known, "request"))) == 0) {
        reply_tasks(exchange, json_get(known, "tasks"));
    } else {
        reply_conflict(exchange, json_get(known, "tasks"));
    }
    return true;
}

static void
plan_end(struct ecs_task *task, const char *problem, int64_t delay_ms)
{
    const struct ecs_scenario *scenario = task->scenario;
    enum ecs_course course = scenario != NULL ? scenario->course : ECS_SUCCESS;
    int64_t lasts = sandbox_ecs_scenario_ms(scenario, "delay", delay_ms);
    task->run_at_ms = task->created_ms + lasts / 4;
    task->end_at_ms = task->created_ms + lasts;
    if (problem != NULL) {
        task->ending = (struct ecs_ending){.stop_code = "TaskFailedToStart",
            .stopped_reason = problem,
            .container_reason = problem,
            .never_ran = true};
    } else if (course == ECS_TASK_HANG) {
        task->end_at_ms = ECS_NEVER;
    } else if (course == ECS_SUCCESS) {
        task->ending = (struct ecs_ending){.stop_code = "EssentialContainerExited",
            .stopped_reason = "Essential container in task exited",
            .has_exit_code = true};
    } else {
        task->ending = sandbox_ecs_scenario_ending(scenario);
    }
    if (task->ending.never_ran) {
        task->run_at_ms = ECS_NEVER;
    }
}

static struct ecs_task *
run_one(struct aws_exchange *exchange, struct ecs_cluster *cluster,
    struct ecs_definition *definition, struct json *request)
{
    struct sandbox *sandbox = exchange->sandbox;
    const char *problem = NULL;
    struct ecs_task *task =
        sandbox_ecs_task_add(sandbox, cluster, definition, sandbox_now(sandbox));
    task->scenario =
        sandbox_ecs_scenario_take(sandbox->aws->ecs, cluster->name, definition->family, true);
    task->request = request;
    task->tags = sandbox_ecs_keep(sandbox->aws->ecs, json_make_array());
    sandbox_ecs_tags_set(sandbox->aws->ecs, &task->tags, json_get(request, "tags"));
    task->images = sandbox_ecs_images(sandbox, definition, &problem);
    plan_end(task, problem, sandbox_ecs_delay_ms(sandbox, NULL));
    sandbox_ecs_task_list_add(&cluster->tasks, task);
    return task;
}

// A scenario may leave no room: failures in a good answer.
static bool
has_no_room(struct aws_exchange *exchange, const struct ecs_cluster *cluster,
    const struct ecs_definition *definition, int64_t count)
{
    struct ecs_state *ecs = exchange->sandbox->aws->ecs;
    const struct ecs_scenario *scenario =
        sandbox_ecs_scenario_peek(ecs, cluster->name, definition->family, true);
    if (scenario == NULL || scenario->course != ECS_TASK_NO_CAPACITY) {
        return false;
    }
    (void)sandbox_ecs_scenario_take(ecs, cluster->name, definition->family, true);
    struct json *body = json_make_object(), *failures = json_make_array();
    for (int64_t i = 0; i < count; i++) {
        json_append(failures,
            sandbox_ecs_failure(
                sandbox_ecs_arn(exchange->sandbox, "container-instance/%s/%s", cluster->name,
                    sandbox_random(exchange->sandbox, exchange->request->arena, 16)),
                sandbox_ecs_scenario_text(scenario, "reason", "RESOURCE:MEMORY")));
    }
    json_set(body, "tasks", json_make_array());
    json_set(body, "failures", failures);
    sandbox_reply_json(exchange->response, 200, body);
    return true;
}

static bool
check_run(struct aws_exchange *exchange, const struct ecs_definition *definition, int64_t count)
{
    const char *mode =
        definition != NULL ? json_str(json_get(definition->document, "networkMode")) : NULL;
    if (definition == NULL) {
        sandbox_ecs_client_problem(exchange, "TaskDefinition not found.");
    } else if (!definition->is_active) {
        sandbox_ecs_client_problem(exchange, "TaskDefinition is inactive");
    } else if (count < 1 || count > RUN_MAX) {
        sandbox_ecs_invalid(exchange, "Count must be between 1 and %d.", RUN_MAX);
    } else if (str_of(sandbox_ecs_text(exchange, "clientToken")).len > TOKEN_BYTES ||
               str_of(sandbox_ecs_text(exchange, "startedBy")).len > STARTED_BY_BYTES) {
        sandbox_ecs_invalid(exchange, "clientToken has up to %d characters, startedBy up to %d.",
            TOKEN_BYTES, STARTED_BY_BYTES);
    } else if (cstr_equal(mode, "awsvpc") &&
               json_path(exchange->body, "networkConfiguration.awsvpcConfiguration") == NULL) {
        sandbox_ecs_invalid(exchange,
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.");
    } else {
        return true;
    }
    return false;
}

void
sandbox_ecs_run_task(struct aws_exchange *exchange)
{
    struct ecs_state *ecs = exchange->sandbox->aws->ecs;
    struct ecs_cluster *cluster = sandbox_ecs_cluster_of(exchange);
    if (cluster == NULL) {
        return;
    }
    struct ecs_definition *definition =
        sandbox_ecs_definition_find(ecs, sandbox_ecs_text(exchange, "taskDefinition"));
    int64_t count = json_int(json_get(exchange->body, "count"), 1);
    const char *token = sandbox_ecs_text(exchange, "clientToken");
    const char *key = token != NULL
                          ? arena_printf(exchange->request->arena, "%s/%s", cluster->name, token)
                          : NULL;
    if (was_run(exchange, key) || !check_run(exchange, definition, count) ||
        has_no_room(exchange, cluster, definition, count)) {
        return;
    }
    struct json *request = sandbox_ecs_keep(ecs, json_clone(exchange->body));
    struct json *arns = sandbox_ecs_keep(ecs, json_make_array());
    for (int64_t i = 0; i < count; i++) {
        const struct ecs_task *task = run_one(exchange, cluster, definition, request);
        json_append(arns, json_make_string(task->arn));
    }
    if (key != NULL) {
        struct json *used = json_make_object();
        char *text CLEANUP(xfreep) = request_text(exchange->body);
        json_set_str(used, "request", text);
        json_set(used, "tasks", json_clone(arns));
        json_set(ecs->tokens, key, used);
    }
    reply_tasks(exchange, arns);
}

// --- the others ----------------------------------------------------------------------------------

/// A task of this cluster with all done that is due, NULL when there is none.
static struct ecs_task *
find_in(struct sandbox *sandbox, const struct ecs_cluster *cluster, const char *name)
{
    struct ecs_task *task = sandbox_ecs_task_find(sandbox->aws->ecs, name);
    int64_t now = sandbox_now(sandbox);
    if (task == NULL || task->cluster != cluster) {
        return NULL;
    }
    if (task->service != NULL) {
        sandbox_ecs_service_advance(sandbox, task->service, now);
    } else {
        sandbox_ecs_task_advance(sandbox, task, now);
    }
    return task->stopped_ms > 0 && task->stopped_ms + HOUR_MS < now ? NULL : task;
}

void
sandbox_ecs_stop_task(struct aws_exchange *exchange)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct ecs_cluster *cluster = sandbox_ecs_cluster_of(exchange);
    if (cluster == NULL) {
        return;
    }
    struct ecs_task *task = find_in(sandbox, cluster, sandbox_ecs_text(exchange, "task"));
    if (task == NULL) {
        sandbox_ecs_invalid(exchange, "The referenced task was not found.");
        return;
    }
    const char *reason = sandbox_ecs_text(exchange, "reason");
    struct ecs_ending ending = {.stop_code = "UserInitiated",
        .stopped_reason =
            arena_dup(sandbox->aws->ecs->arena, reason != NULL ? reason : "Task stopped by user"),
        .has_exit_code = task->started_ms > 0,
        .exit_code = KILLED};
    int64_t now = sandbox_now(sandbox);
    struct ecs_service *service = task->service;
    bool stood_alone = service == NULL || task->stopped_ms > 0;
    bool is_primary = !stood_alone && task->classic == service->classics[0];
    sandbox_ecs_task_end(sandbox, task, now, &ending);
    if (is_primary) {
        sandbox_ecs_capacity_fit(
            sandbox, service, now, now + sandbox_ecs_delay_ms(sandbox, service) / 4);
        sandbox_ecs_service_schedule(service);
    }
    struct json *body = json_make_object();
    json_set(body, "task", sandbox_ecs_task_json(sandbox, task, true));
    sandbox_reply_json(exchange->response, 200, body);
}

void
sandbox_ecs_describe_tasks(struct aws_exchange *exchange)
{
    struct ecs_cluster *cluster = sandbox_ecs_cluster_of(exchange);
    const struct json *names = json_get(exchange->body, "tasks");
    if (cluster == NULL) {
        return;
    }
    if (json_count(names) == 0 || json_count(names) > DESCRIBED_MAX) {
        sandbox_ecs_invalid(exchange, json_count(names) == 0 ? "Tasks cannot be empty."
                                                             : "Tasks cannot have more than 100 "
                                                               "elements.");
        return;
    }
    struct json *body = json_make_object(), *list = json_make_array();
    struct json *failures = json_make_array();
    bool with_tags = sandbox_ecs_includes(exchange, "TAGS");
    for (size_t i = 0; i < json_count(names); i++) {
        const char *name = json_str(json_at(names, i));
        const struct ecs_task *task = find_in(exchange->sandbox, cluster, name);
        if (task != NULL) {
            json_append(list, sandbox_ecs_task_json(exchange->sandbox, task, with_tags));
        } else {
            json_append(failures,
                sandbox_ecs_failure(sandbox_ecs_arn(exchange->sandbox, "task/%s/%s", cluster->name,
                                        name != NULL ? sandbox_ecs_name_of(name) : ""),
                    "MISSING"));
        }
    }
    json_set(body, "tasks", list);
    json_set(body, "failures", failures);
    sandbox_reply_json(exchange->response, 200, body);
}

struct filter {
    struct json *list;
    const char *family, *started_by, *launch;
    bool stopped;
    int64_t now;
};

static void
take_tasks(const struct filter *filter, const struct ecs_task_list *tasks)
{
    for (size_t i = 0; i < tasks->count; i++) {
        const struct ecs_task *task = tasks->items[i];
        const struct json *settings =
            task->service != NULL ? task->service->settings : task->request;
        const char *started_by = task->service != NULL
                                     ? task->classic->id
                                     : json_str(json_get(task->request, "startedBy"));
        const char *launch = json_str(json_get(settings, "launchType"));
        bool fits =
            (task->stopped_ms > 0) == filter->stopped &&
            (task->stopped_ms == 0 || task->stopped_ms + HOUR_MS >= filter->now) &&
            (filter->family == NULL || strcmp(filter->family, task->definition->family) == 0) &&
            (filter->started_by == NULL || cstr_equal(filter->started_by, started_by)) &&
            (filter->launch == NULL ||
                strcmp(filter->launch, launch != NULL ? launch : "EC2") == 0);
        if (fits) {
            json_append(filter->list, json_make_string(task->arn));
        }
    }
}

static void
take_service(struct sandbox *sandbox, const struct filter *filter, struct ecs_service *service)
{
    sandbox_ecs_service_advance(sandbox, service, filter->now);
    take_tasks(filter, &service->live);
    take_tasks(filter, &service->stopped);
}

void
sandbox_ecs_list_tasks(struct aws_exchange *exchange)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct ecs_cluster *cluster = sandbox_ecs_cluster_of(exchange);
    const char *service_name = sandbox_ecs_text(exchange, "serviceName");
    const char *status = sandbox_ecs_text(exchange, "desiredStatus");
    if (cluster == NULL) {
        return;
    }
    struct filter filter = {.family = sandbox_ecs_text(exchange, "family"),
        .started_by = sandbox_ecs_text(exchange, "startedBy"),
        .launch = sandbox_ecs_text(exchange, "launchType"),
        .stopped = cstr_equal(status, "STOPPED"),
        .now = sandbox_now(sandbox)};
    if (filter.started_by != NULL && (filter.family != NULL || service_name != NULL)) {
        sandbox_ecs_invalid(exchange, "cannot specify startedBy with another filter");
        return;
    }
    struct ecs_service *only =
        service_name != NULL ? sandbox_ecs_service_find(sandbox, cluster, service_name) : NULL;
    if (service_name != NULL && only == NULL) {
        sandbox_ecs_no_service(exchange);
        return;
    }
    filter.list = json_make_array();
    bool none = cstr_equal(status, "PENDING"); // ECS never desires that
    if (only != NULL && !none) {
        take_service(sandbox, &filter, only);
    }
    for (size_t i = 0; only == NULL && !none && i < cluster->service_count; i++) {
        take_service(sandbox, &filter, cluster->services[i]);
    }
    for (size_t i = 0; only == NULL && !none && i < cluster->tasks.count; i++) {
        sandbox_ecs_task_advance(sandbox, cluster->tasks.items[i], filter.now);
    }
    if (only == NULL && !none) {
        take_tasks(&filter, &cluster->tasks);
    }
    sandbox_ecs_reply_page(exchange, "taskArns", filter.list, PAGE);
}
