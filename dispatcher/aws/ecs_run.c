// One task of one's own (RunTask): with a client token, so that asking again after a lost answer is
// the same task and not a second migration of a database. Waits for nothing.
#include <string.h>

#include "ecs_internal.h"

enum { CLIENT_TOKEN_MAX = 64, STARTED_BY_MAX = 128 };

static struct error *
check_request(const struct ecs_task_request *request)
{
    size_t token = request->client_token != NULL ? strlen(request->client_token) : 0;
    size_t started_by = request->started_by != NULL ? strlen(request->started_by) : 0;
    // Ours to get right: without a token a repeated call would be a second task.
    if (token == 0 || token > CLIENT_TOKEN_MAX) {
        return error_new(ERROR_BUG, "a client token of %zu bytes", token);
    }
    if (started_by > STARTED_BY_MAX) {
        return error_new(ERROR_BUG, "'startedBy' of %zu bytes", started_by);
    }
    return NULL;
}

static void
set_overrides(struct json *body, const struct ecs_task_request *request)
{
    if (request->container == NULL) {
        return;
    }
    struct json *overrides = json_make_object();
    struct json *list = json_make_array(), *container = json_make_object();
    json_set_str(container, "name", request->container);
    if (request->command.count > 0) {
        aws_set_strings(container, "command", request->command.items, request->command.count);
    }
    if (request->environment.count > 0) {
        json_set(container, "environment", ecs_pairs(&request->environment, "name", "value"));
    }
    json_append(list, container);
    json_set(overrides, "containerOverrides", list);
    json_set(body, "overrides", overrides);
}

static struct error *
fill_body(const struct ecs_task_request *request, struct json *body)
{
    json_set_str(body, "cluster", request->cluster);
    json_set_str(body, "taskDefinition", request->task_definition);
    json_set_int(body, "count", 1);
    TRY(aws_set_json(
        body, "networkConfiguration", request->network_json, "the network configuration"));
    TRY(aws_set_json(body, "capacityProviderStrategy", request->capacity_json,
        "the capacity provider strategy"));
    if (request->capacity_json == NULL) {
        json_set_str(body, "launchType", request->launch_type);
    }
    json_set_str(body, "platformVersion", request->platform_version);
    set_overrides(body, request);
    json_set_str(body, "startedBy", request->started_by);
    json_set_str(body, "clientToken", request->client_token);
    if (request->tags.count > 0) {
        json_set(body, "tags", ecs_pairs(&request->tags, "key", "value"));
    }
    return NULL;
}

struct started {
    struct ecs_task *tasks;
    size_t count;
};
static const struct aws_field started_fields[] = {
    AWS_FIELD(struct started, tasks, "tasks", AWS_LIST, .table = &ecs_task_table,
        .count_offset = offsetof(struct started, count)),
};
static const struct aws_table started_table = AWS_TABLE(struct started, started_fields);

static struct error *
explain_failure(struct error *err)
{
    const char *reason = error_remote_of(err)->code;
    if (reason != NULL && strncmp(reason, "RESOURCE:", 9) == 0) {
        return error_hint(err, "No instance of the cluster has that much of it left: make room, or "
                               "ask for less in the task definition.");
    }
    if (cstr_equal(reason, "AGENT")) {
        return error_hint(err, "The ECS agent of that instance is not connected.");
    }
    return err;
}

// What failed is told with HTTP 200 and an empty list of tasks.
static struct error *
read_started(const struct json *answer, struct arena *arena, struct ecs_task_start *out)
{
    struct started started = {0};
    size_t missing = 0;
    struct error *err = ecs_failure(answer, &missing);
    if (err != NULL) {
        return explain_failure(err);
    }
    TRY(aws_read(answer, &started_table, arena, &started));
    if (missing > 0) {
        return error_remote(
            error_new(ERROR_REFUSED, "MISSING: nowhere to run it"), 200, "MISSING", NULL, false);
    }
    if (started.count != 1) {
        return aws_unusable("%zu tasks instead of one", started.count);
    }
    *out = (struct ecs_task_start){.task = started.tasks[0]};
    ecs_task_settle(&out->task);
    return NULL;
}

struct earlier {
    struct str_list arns;
};
static const struct aws_field earlier_fields[] = {
    AWS_FIELD(struct earlier, arns, "resourceIds", AWS_LINES, .required = true),
};
static const struct aws_table earlier_table = AWS_TABLE(struct earlier, earlier_fields);

/// A ConflictException that names tasks is an answer; any other stays the error it is.
static struct error *
take_conflict(
    struct error *err, const struct json *refusal, struct arena *arena, struct ecs_task_start *out)
{
    struct earlier earlier = {0};
    if (!aws_has_code(err, "ConflictException")) {
        return err;
    }
    struct error *unreadable CLEANUP(error_freep) =
        aws_read(refusal, &earlier_table, arena, &earlier);
    if (unreadable != NULL || earlier.arns.count == 0) {
        return error_wrap_as(ERROR_CONFLICT, err, "its client token was used for another request");
    }
    error_free(err);
    *out = (struct ecs_task_start){.earlier = earlier.arns};
    return NULL;
}

struct error *
ecs_task_run(struct aws_session *session, const struct ecs_task_request *request,
    struct arena *arena, struct ecs_task_start *out)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct json *answer CLEANUP(json_freep) = NULL;
    struct json *refusal CLEANUP(json_freep) = NULL;
    const struct aws_call call = {
        ECS_OPERATION("RunTask"), .body = body, .idempotent = true, .refusal = &refusal};
    struct error *err = check_request(request);
    if (err == NULL) {
        err = fill_body(request, body);
    }
    if (err == NULL) {
        err = aws_call(session, &call, &answer);
        err = err == NULL ? read_started(answer, arena, out)
                          : take_conflict(err, refusal, arena, out);
    }
    return err != NULL ? error_wrap(err, "run task '%s' in cluster '%s'", request->task_definition,
                             request->cluster != NULL ? request->cluster : "default")
                       : NULL;
}
