// App Runner and its logs in the world: services with operations that live by a script.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_world.h"
#include "dispatcher/json.h"
#include "dispatcher/memory.h"

#define ARN "arn:aws:apprunner:us-east-1:012345678901:service/"

static const char *const usual_life[] = {"PENDING", "IN_PROGRESS", "SUCCEEDED", NULL};

static void
set_text(char *slot, size_t size, const char *text)
{
    assert_true(strlen(text) < size);
    memcpy(slot, text, strlen(text) + 1);
}
#define SET(slot, text) set_text((slot), sizeof(slot), (text))

struct world_runner *
world_runner(struct world *world, const char *name, const char *source)
{
    assert_true(world->runner_count < WORLD_RUNNERS);
    struct world_runner *runner = &world->runners[world->runner_count++];
    SET(runner->name, name);
    (void)snprintf(runner->id, sizeof(runner->id), "%032zu", world->runner_count);
    SET(runner->source, source);
    SET(runner->source_before, source);
    runner->life = usual_life;
    return runner;
}

struct world_runner *
world_runner_find(struct world *world, const char *name)
{
    for (size_t i = 0; i < world->runner_count; i++) {
        if (strcmp(world->runners[i].name, name) == 0 && !world->runners[i].gone) {
            return &world->runners[i];
        }
    }
    return NULL;
}

static const char *
status_of(const struct world_runner_operation *operation)
{
    size_t at = 0;
    while (at < operation->looks && operation->life[at + 1] != NULL) {
        at++;
    }
    return operation->life[at];
}

static bool
is_over(const char *status)
{
    static const char *const ends[] = {
        "SUCCEEDED", "FAILED", "ROLLBACK_SUCCEEDED", "ROLLBACK_FAILED"};
    for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
        if (strcmp(status, ends[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool
is_busy(const struct world_runner *runner)
{
    for (size_t i = 0; i < runner->operation_count; i++) {
        if (!is_over(status_of(&runner->operations[i]))) {
            return true;
        }
    }
    return false;
}

struct world_runner_operation *
world_runner_operation(
    struct world *world, struct world_runner *runner, const char *type, const char *const *life)
{
    assert_true(runner->operation_count < WORLD_OPERATIONS);
    struct world_runner_operation *operation = &runner->operations[runner->operation_count++];
    memset(operation, 0, sizeof(*operation));
    char *id CLEANUP(xfreep) = xasprintf("%08zx-op-%s", runner->operation_count, runner->name);
    SET(operation->id, id);
    SET(operation->type, type);
    operation->life = life;
    operation->started_ms = world_now(world);
    return operation;
}

// --- answers -----------------------------------------------------------------------------------

static const char *
runner_status(const struct world_runner *runner)
{
    return runner->status != NULL ? runner->status
           : is_busy(runner)      ? "OPERATION_IN_PROGRESS"
                                  : "RUNNING";
}

static void
put_service(const struct world_runner *runner, struct world_reply *reply)
{
    buf_printf(&reply->body,
        "{\"ServiceArn\":\"" ARN "%s/%s\",\"ServiceId\":\"%s\",\"ServiceName\":\"%s\","
        "\"Status\":\"%s\",\"SourceConfiguration\":%s,\"CreatedAt\":1790000000.1,\"UpdatedAt\":"
        "1790000000.5,\"InstanceConfiguration\":{\"Cpu\":\"1024\",\"Memory\":\"2048\"},"
        "\"NetworkConfiguration\":{\"EgressConfiguration\":{\"EgressType\":\"DEFAULT\"},"
        "\"IngressConfiguration\":{\"IsPubliclyAccessible\":true}}%s%s}",
        runner->name, runner->id, runner->id, runner->name, runner_status(runner), runner->source,
        runner->health[0] != '\0' ? ",\"HealthCheckConfiguration\":" : "", runner->health);
}

static void
refuse(struct world_reply *reply, const char *code, const char *message)
{
    reply->status = 400;
    buf_printf(&reply->body, "{\"__type\":\"%s\",\"Message\":\"%s\"}", code, message);
}

// The platform's own way back, once it has come to its end.
static void
settle(struct world_runner *runner, struct world_runner_operation *operation)
{
    const char *status = status_of(operation);
    bool back = strcmp(status, "ROLLBACK_SUCCEEDED") == 0 || strcmp(status, "FAILED") == 0;
    if (back && !operation->settled && !runner->keeps_source) {
        SET(runner->source, runner->source_before);
    }
    operation->settled = operation->settled || is_over(status);
}

static void
list_operations(struct world *world, struct world_runner *runner, struct world_reply *reply)
{
    bool first = true;
    buf_puts(&reply->body, "{\"OperationSummaryList\":[");
    for (size_t i = runner->operation_count; i > 0; i--) {
        struct world_runner_operation *operation = &runner->operations[i - 1];
        if (operation->hidden > 0) {
            operation->hidden--;
            continue;
        }
        buf_printf(&reply->body, "%s{\"Id\":\"%s\",\"Type\":\"%s\",\"Status\":\"%s\",",
            first ? "" : ",", operation->id, operation->type, status_of(operation));
        buf_printf(&reply->body, "\"StartedAt\":%.3f,\"UpdatedAt\":%.3f}",
            (double)operation->started_ms / 1000.0, (double)world_now(world) / 1000.0);
        first = false;
        settle(runner, operation);
        operation->looks += is_over(status_of(operation)) ? 0 : 1;
    }
    buf_puts(&reply->body, "]}");
}

static void
put_started(struct world *world, const struct world_runner *runner,
    const struct world_runner_operation *operation, bool with_service, struct world_reply *reply)
{
    buf_puts(&reply->body, "{");
    if (with_service) {
        buf_puts(&reply->body, "\"Service\":");
        put_service(runner, reply);
    }
    if (!world->no_operation_id) {
        buf_printf(
            &reply->body, "%s\"OperationId\":\"%s\"", with_service ? "," : "", operation->id);
    }
    buf_puts(&reply->body, "}");
}

static void
take_source(struct world_runner *runner, const struct json *source)
{
    char *text CLEANUP(xfreep) = json_text(source);
    SET(runner->source_before, runner->source);
    SET(runner->source, text);
}

static const char *
image_of(const struct json *source)
{
    return json_str(json_path(source, "ImageRepository.ImageIdentifier"));
}

// What a request changes, for the list of effects: image, auto, and the names of variables.
static void
tell_source(struct world *world, const struct json *source)
{
    const struct json *automatic = json_get(source, "AutoDeploymentsEnabled");
    const char *image = image_of(source);
    const char *at = image != NULL ? strrchr(image, '/') + 1 : "code";
    world_effect(world, " %.24s%s", at, json_bool(automatic, true) ? " auto" : "");
}

static void
update(struct world *world, struct world_runner *runner, const struct json *body,
    struct world_reply *reply)
{
    const struct json *source = json_get(body, "SourceConfiguration");
    if (strcmp(runner_status(runner), "RUNNING") != 0) {
        refuse(reply, "InvalidStateException", "Service cannot be updated in the current state");
        return;
    }
    world_effect(world, "update %s", runner->name);
    if (source != NULL) {
        take_source(runner, source);
        tell_source(world, source);
    }
    if (json_get(body, "InstanceConfiguration") != NULL) {
        world_effect(world, " cpu=%s", json_str(json_path(body, "InstanceConfiguration.Cpu")));
    }
    world_effect(world, "\n");
    put_started(world, runner,
        world_runner_operation(world, runner, "UPDATE_SERVICE", runner->life), true, reply);
}

static void
start(struct world *world, struct world_runner *runner, struct world_reply *reply)
{
    if (strcmp(runner_status(runner), "RUNNING") != 0) {
        refuse(reply, "InvalidRequestException", "Deployment cannot be started now");
        return;
    }
    SET(runner->source_before, runner->source);
    world_effect(world, "start %s\n", runner->name);
    put_started(world, runner,
        world_runner_operation(world, runner, "START_DEPLOYMENT", runner->life), false, reply);
}

static void
create(struct world *world, const struct json *body, struct world_reply *reply)
{
    const struct json *source = json_get(body, "SourceConfiguration");
    const char *name = json_str(json_get(body, "ServiceName"));
    if (world_runner_find(world, name) != NULL) {
        refuse(reply, "InvalidRequestException", "Service with the provided name already exists");
        return;
    }
    char *text CLEANUP(xfreep) = json_text(source);
    char *whole CLEANUP(xfreep) = json_text(body);
    struct world_runner *runner = world_runner(world, name, text);
    runner->life = world->create_life != NULL ? world->create_life : usual_life;
    SET(world->created, whole);
    world_effect(world, "create %s", name);
    tell_source(world, source);
    world_effect(world, "\n");
    put_started(world, runner,
        world_runner_operation(world, runner, "CREATE_SERVICE", runner->life), true, reply);
}

static void
list_services(const struct world *world, struct world_reply *reply)
{
    bool first = true;
    buf_puts(&reply->body, "{\"ServiceSummaryList\":[");
    for (size_t i = 0; i < world->runner_count; i++) {
        const struct world_runner *runner = &world->runners[i];
        buf_printf(&reply->body,
            "%s{\"ServiceArn\":\"" ARN "%s/%s\",\"ServiceId\":\"%s\",\"ServiceName\":\"%s\","
            "\"Status\":\"%s\",\"CreatedAt\":1790000000,\"UpdatedAt\":1790000000}",
            first ? "" : ",", runner->name, runner->id, runner->id, runner->name,
            runner->gone ? "DELETED" : runner_status(runner));
        first = false;
    }
    buf_puts(&reply->body, "]}");
}

static struct world_runner *
find_by_arn(struct world *world, const char *arn)
{
    for (size_t i = 0; arn != NULL && i < world->runner_count; i++) {
        if (strstr(arn, world->runners[i].id) != NULL && !world->runners[i].gone) {
            return &world->runners[i];
        }
    }
    return NULL;
}

static void
list_tags(const struct world_runner *runner, struct world_reply *reply)
{
    buf_printf(&reply->body, "{\"Tags\":[%s]}", runner->tags);
}

static void
tag(struct world *world, struct world_runner *runner, const struct json *body)
{
    const struct json *tags = json_get(body, "Tags");
    world_effect(world, "tag %s", runner->name);
    for (size_t i = 0; i < json_count(tags); i++) {
        const struct json *one = json_at(tags, i);
        world_effect(world, " %s=%.20s", json_str(json_get(one, "Key")) + strlen("dispatcher:"),
            json_str(json_get(one, "Value")));
    }
    world_effect(world, "\n");
}

static void
act(struct world *world, const char *operation, struct world_runner *runner,
    const struct json *body, struct world_reply *reply)
{
    if (strcmp(operation, "DescribeService") == 0) {
        buf_puts(&reply->body, "{\"Service\":");
        put_service(runner, reply);
        buf_puts(&reply->body, "}");
    } else if (strcmp(operation, "ListOperations") == 0) {
        list_operations(world, runner, reply);
    } else if (strcmp(operation, "UpdateService") == 0) {
        update(world, runner, body, reply);
    } else if (strcmp(operation, "StartDeployment") == 0) {
        start(world, runner, reply);
    } else if (strcmp(operation, "ListTagsForResource") == 0) {
        list_tags(runner, reply);
    } else if (strcmp(operation, "TagResource") == 0) {
        tag(world, runner, body);
        buf_puts(&reply->body, "{}");
    } else {
        assert_string_equal(operation, "DeleteService");
        world_effect(world, "delete %s\n", runner->name);
        runner->gone = true;
        put_started(world, runner,
            world_runner_operation(world, runner, "DELETE_SERVICE", usual_life), true, reply);
    }
}

void
world_apprunner(
    struct world *world, const char *operation, const char *text, struct world_reply *reply)
{
    struct json *body CLEANUP(json_freep) = NULL;
    assert_null(json_parse(str_of(text), &json_limits_default, &body));
    const char *arn = json_str(json_get(body, "ServiceArn"));
    struct world_runner *runner =
        find_by_arn(world, arn != NULL ? arn : json_str(json_get(body, "ResourceArn")));
    reply->status = 200;
    if (strcmp(operation, "ListServices") == 0) {
        list_services(world, reply);
    } else if (strcmp(operation, "CreateService") == 0) {
        create(world, body, reply);
    } else if (runner == NULL) {
        refuse(reply, "ResourceNotFoundException", "it is not there");
    } else {
        act(world, operation, runner, body, reply);
    }
}

// --- logs --------------------------------------------------------------------------------------

static void
put_event(const struct world *world, const char *line, size_t index, struct world_reply *reply)
{
    struct json *message CLEANUP(json_freep) = json_make_string(line);
    char *quoted CLEANUP(xfreep) = json_text(message);
    buf_printf(&reply->body,
        "%s{\"logStreamName\":\"events\",\"timestamp\":%lld,\"message\":%s,\"eventId\":\"%zu\"}",
        index > 0 ? "," : "", (long long)world_now(world), quoted, index);
}

// A stream from its beginning; the same token once more is its end.
static void
read_stream(struct world *world, const struct json *body, struct world_reply *reply)
{
    bool is_read = json_get(body, "nextToken") != NULL;
    reply->status = 200;
    buf_puts(&reply->body, "{\"events\":[");
    for (size_t i = 0; !is_read && world->program_log != NULL && world->program_log[i] != NULL;
         i++) {
        put_event(world, world->program_log[i], i, reply);
    }
    buf_puts(&reply->body, "],\"nextForwardToken\":\"f/1\"}");
}

void
world_logs(struct world *world, const char *operation, const char *text, struct world_reply *reply)
{
    struct json *body CLEANUP(json_freep) = NULL;
    assert_null(json_parse(str_of(text), &json_limits_default, &body));
    if (strcmp(operation, "GetLogEvents") == 0) {
        read_stream(world, body, reply);
        return;
    }
    assert_string_equal(operation, "FilterLogEvents");
    const char *group = json_str(json_get(body, "logGroupName"));
    bool of_program = str_ends(str_of(group), STR("/application"));
    const char *const *lines = of_program ? world->program_log : world->service_log;
    if (lines == NULL) {
        refuse(reply, "ResourceNotFoundException", "The specified log group does not exist.");
        return;
    }
    reply->status = 200;
    buf_puts(&reply->body, "{\"events\":[");
    for (size_t i = 0; lines[i] != NULL; i++) {
        put_event(world, lines[i], i, reply);
    }
    buf_puts(&reply->body, "]}");
}
