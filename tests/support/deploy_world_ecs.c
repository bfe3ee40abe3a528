// ECS in the world: one service whose deployments live by a script. Knows nothing of deploy/.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_world.h"
#include "dispatcher/json.h"
#include "dispatcher/memory.h"

#define ARN "arn:aws:ecs:us-east-1:012345678901:"
#define FIRST_REVISION 41

static const char *const usual_life[] = {"PENDING", "IN_PROGRESS", "SUCCESSFUL", NULL};

static void
set_text(char *slot, size_t size, const char *text)
{
    assert_true(strlen(text) < size);
    memcpy(slot, text, strlen(text) + 1);
}
#define SET(slot, text) set_text((slot), sizeof(slot), (text))

static void
refuse(struct world_reply *reply, const char *code, const char *message)
{
    reply->status = 400;
    buf_printf(&reply->body, "{\"__type\":\"%s\",\"message\":\"%s\"}", code, message);
}

static double
seconds(int64_t ms)
{
    return (double)ms / 1000;
}

// "…/7" or "…:41": the number at the end.
static size_t
number_of(const char *arn)
{
    size_t at = strlen(arn), number = 0;
    while (at > 0 && arn[at - 1] >= '0' && arn[at - 1] <= '9') {
        at--;
    }
    for (; arn[at] != '\0'; at++) {
        number = number * 10 + (size_t)(arn[at] - '0');
    }
    return number;
}

// --- what there is -------------------------------------------------------------------------------

static struct world_ecs_deployment *
add_deployment(struct world *world, size_t revision, const char *const *life)
{
    struct world_ecs *ecs = &world->ecs;
    assert_true(ecs->deployment_count < WORLD_ROLLOUTS);
    struct world_ecs_deployment *deployment = &ecs->deployments[ecs->deployment_count++];
    *deployment = (struct world_ecs_deployment){.revision = revision,
        .revision_before = ecs->revision,
        .created_ms = world_now(world),
        .life = life};
    ecs->revision = revision;
    return deployment;
}

void
world_ecs_start(struct world *world, const char *image, const char *digest)
{
    static const char *const at_rest[] = {"SUCCESSFUL", NULL};
    struct world_ecs *ecs = &world->ecs;
    *ecs = (struct world_ecs){.desired = 2, .life = usual_life, .life_back = usual_life};
    SET(ecs->revisions[0].image, image);
    SET(ecs->revisions[0].tags, "{\"key\":\"dispatcher:version\",\"value\":\"v1\"}");
    SET(ecs->running, digest);
    ecs->revision_count = 1;
    ecs->revision = FIRST_REVISION;
    struct world_ecs_deployment *first = add_deployment(world, FIRST_REVISION, at_rest);
    first->created_ms -= INT64_C(3600) * 1000;
    first->settled = true;
    first->ended_ms = first->created_ms;
}

static struct world_ecs_revision *
revision_at(struct world *world, size_t number)
{
    size_t index = number - FIRST_REVISION;
    assert_true(number >= FIRST_REVISION && index < world->ecs.revision_count);
    return &world->ecs.revisions[index];
}

static const char *
status_of(const struct world_ecs_deployment *deployment)
{
    size_t at = 0;
    while (at < deployment->looks && deployment->life[at + 1] != NULL) {
        at++;
    }
    return deployment->life[at];
}

static bool
is_over(const struct world_ecs_deployment *deployment)
{
    const char *status = status_of(deployment);
    return strcmp(status, "SUCCESSFUL") == 0 || strcmp(status, "STOPPED") == 0 ||
           strcmp(status, "ROLLBACK_SUCCESSFUL") == 0 || strcmp(status, "ROLLBACK_FAILED") == 0;
}

static bool
goes_back(const char *status)
{
    return strncmp(status, "ROLLBACK_", strlen("ROLLBACK_")) == 0;
}

// What the status of now has done.
static void
settle(struct world *world, struct world_ecs_deployment *deployment)
{
    struct world_ecs *ecs = &world->ecs;
    const char *status = status_of(deployment);
    const char *image = revision_at(world, deployment->revision)->image;
    bool is_newest = deployment == &ecs->deployments[ecs->deployment_count - 1];
    if (goes_back(status) && is_newest) {
        ecs->revision = deployment->revision_before;
    }
    if (deployment->settled || !is_over(deployment)) {
        return;
    }
    deployment->settled = true;
    deployment->ended_ms = world_now(world);
    if (strcmp(status, "SUCCESSFUL") == 0 && is_newest) {
        const char *at = strchr(image, '@');
        SET(ecs->running, ecs->runs != NULL ? ecs->runs : at != NULL ? at + 1 : ecs->running);
        ecs->runs = ecs->runs_back;
    }
    if (strcmp(status, "STOPPED") == 0 && ecs->is_replaced) {
        ecs->is_replaced = false;
        deployment = add_deployment(world, FIRST_REVISION, usual_life);
    }
}

static void
look(struct world *world, struct world_ecs_deployment *deployment)
{
    settle(world, deployment);
    deployment->looks++;
}

// --- services and task definitions ---------------------------------------------------------------

static void
put_classic(struct world *world, const char *status, size_t number, struct world_reply *reply)
{
    const struct world_ecs_deployment *deployment = &world->ecs.deployments[number];
    const char *now = status_of(deployment);
    bool back = goes_back(now) && strcmp(status, "PRIMARY") == 0;
    const char *state = back             ? strcmp(now, "ROLLBACK_SUCCESSFUL") == 0 ? "COMPLETED"
                                           : strcmp(now, "ROLLBACK_FAILED") == 0   ? "FAILED"
                                                                                   : "IN_PROGRESS"
                        : goes_back(now) ? "FAILED"
                        : strcmp(now, "SUCCESSFUL") == 0 ? "COMPLETED"
                                                         : "IN_PROGRESS";
    size_t revision = back ? deployment->revision_before : deployment->revision;
    buf_printf(&reply->body,
        "{\"id\":\"ecs-svc/%zu\",\"status\":\"%s\",\"taskDefinition\":\"" ARN
        "task-definition/shop:%zu\",\"rolloutState\":\"%s\",\"rolloutStateReason\":\"tasks "
        "failed to start\",\"desiredCount\":2,\"runningCount\":1,\"createdAt\":%.3f}",
        back ? number + 100 : number, status, revision, state, seconds(deployment->created_ms));
}

// The newest is PRIMARY; once it goes back, the entry that takes over is.
static void
put_service(struct world *world, struct world_reply *reply)
{
    struct world_ecs *ecs = &world->ecs;
    size_t newest = ecs->deployment_count - 1;
    const struct world_ecs_deployment *deployment = &ecs->deployments[newest];
    bool is_back = goes_back(status_of(deployment)), over = is_over(deployment);
    buf_printf(&reply->body,
        "{\"serviceArn\":\"" ARN "service/blue/shop\",\"serviceName\":\"shop\",\"status\":\"%s\","
        "\"desiredCount\":%d,\"runningCount\":2,\"taskDefinition\":\"" ARN
        "task-definition/shop:%zu\",\"launchType\":\"FARGATE\",\"networkConfiguration\":{"
        "\"awsvpcConfiguration\":{\"subnets\":[\"subnet-1\"]}},\"deploymentController\":{\"type\":"
        "\"%s\"},\"deploymentConfiguration\":{\"deploymentCircuitBreaker\":{\"enable\":true,"
        "\"rollback\":true}},",
        ecs->status != NULL ? ecs->status : "ACTIVE", (int)ecs->desired, ecs->revision,
        ecs->controller != NULL ? ecs->controller : "ECS");
    if (!over && !ecs->is_hidden) {
        buf_printf(&reply->body,
            "\"currentServiceDeployment\":\"" ARN "service-deployment/blue/shop/%zu\",", newest);
    }
    buf_puts(&reply->body, "\"deployments\":[");
    put_classic(world, "PRIMARY", ecs->is_hidden ? 0 : newest, reply);
    if (is_back) {
        buf_putc(&reply->body, ',');
        put_classic(world, "ACTIVE", newest, reply);
    }
    buf_puts(&reply->body, "],\"events\":[]}");
}

static void
describe_services(struct world *world, struct world_reply *reply)
{
    struct world_ecs *ecs = &world->ecs;
    if (ecs->status != NULL && strcmp(ecs->status, "NO_CLUSTER") == 0) {
        refuse(reply, "ClusterNotFoundException", "Cluster not found.");
        return;
    }
    if (ecs->status != NULL && strcmp(ecs->status, "MISSING") == 0) {
        buf_puts(&reply->body, "{\"services\":[],\"failures\":[{\"arn\":\"" ARN
                               "service/blue/shop\",\"reason\":\"MISSING\"}]}");
        return;
    }
    buf_puts(&reply->body, "{\"failures\":[],\"services\":[");
    put_service(world, reply);
    buf_puts(&reply->body, "]}");
    if (ecs->is_classic && ecs->deployment_count > 1) {
        look(world, &ecs->deployments[ecs->deployment_count - 1]);
    }
}

static void
update_service(struct world *world, const struct json *body, struct world_reply *reply)
{
    struct world_ecs *ecs = &world->ecs;
    const char *wanted = json_str(json_get(body, "taskDefinition"));
    size_t revision = wanted != NULL ? number_of(wanted) : ecs->revision;
    bool force = json_bool(json_get(body, "forceNewDeployment"), false);
    world_effect(world, "update shop:%zu%s\n", revision, force ? " force" : "");
    bool is_first = ecs->deployment_count == 1;
    (void)add_deployment(world, revision, is_first ? ecs->life : ecs->life_back);
    buf_puts(&reply->body, "{\"service\":");
    put_service(world, reply);
    buf_putc(&reply->body, '}');
}

static void
describe_definition(struct world *world, const struct json *body, struct world_reply *reply)
{
    size_t number = number_of(json_str(json_get(body, "taskDefinition")));
    const struct world_ecs_revision *revision = revision_at(world, number);
    buf_printf(&reply->body,
        "{\"taskDefinition\":{\"taskDefinitionArn\":\"" ARN "task-definition/shop:%zu\","
        "\"family\":\"shop\",\"revision\":%zu,\"status\":\"ACTIVE\",\"newerThanUs\":{\"a\":[1]},"
        "\"containerDefinitions\":[{\"name\":\"web\",\"image\":\"%s\",\"logConfiguration\":{"
        "\"logDriver\":\"awslogs\",\"options\":{\"awslogs-group\":\"/shop\","
        "\"awslogs-stream-prefix\":\"app\"}}}]},\"tags\":[%s]}",
        number, number, revision->image, revision->tags);
}

static void
register_definition(struct world *world, const struct json *body, struct world_reply *reply)
{
    struct world_ecs *ecs = &world->ecs;
    assert_true(ecs->revision_count < WORLD_REVISIONS);
    struct world_ecs_revision *revision = &ecs->revisions[ecs->revision_count++];
    const struct json *container = json_at(json_get(body, "containerDefinitions"), 0);
    char *tags CLEANUP(xfreep) = json_text(json_get(body, "tags"));
    SET(revision->image, json_str(json_get(container, "image")));
    tags[strlen(tags) - 1] = '\0'; // the list's own brackets
    SET(revision->tags, tags + 1);
    assert_true(json_is_object(json_get(body, "newerThanUs")));
    assert_null(json_get(body, "revision"));
    size_t number = FIRST_REVISION + ecs->revision_count - 1;
    world_effect(world, "register shop:%zu\n", number);
    buf_printf(&reply->body,
        "{\"taskDefinition\":{\"taskDefinitionArn\":\"" ARN
        "task-definition/shop:%zu\",\"family\":\"shop\",\"status\":\"ACTIVE\"}}",
        number);
}

static void
list_definitions(struct world *world, struct world_reply *reply)
{
    buf_puts(&reply->body, "{\"taskDefinitionArns\":[");
    for (size_t i = world->ecs.revision_count; i > 0; i--) {
        buf_printf(&reply->body, "%s\"" ARN "task-definition/shop:%zu\"",
            i < world->ecs.revision_count ? "," : "", FIRST_REVISION + i - 1);
    }
    buf_puts(&reply->body, "]}");
}

// --- deployments ---------------------------------------------------------------------------------

static void
put_deployment(struct world *world, size_t number, struct world_reply *reply)
{
    const struct world_ecs_deployment *deployment = &world->ecs.deployments[number];
    const char *status = status_of(deployment);
    buf_printf(&reply->body,
        "{\"serviceDeploymentArn\":\"" ARN
        "service-deployment/blue/shop/%zu\",\"serviceArn\":\"" ARN
        "service/blue/shop\",\"clusterArn\":\"" ARN
        "cluster/blue\",\"status\":\"%s\",\"createdAt\":%.3f,\"targetServiceRevisionArn\":\"" ARN
        "service-revision/blue/shop/%zu\",\"targetServiceRevision\":{\"arn\":\"" ARN
        "service-revision/blue/shop/%zu\",\"requestedTaskCount\":2,\"runningTaskCount\":1}",
        number, status, seconds(deployment->created_ms), number, number);
    if (deployment->settled) {
        buf_printf(&reply->body, ",\"finishedAt\":%.3f", seconds(deployment->ended_ms));
    }
    if (goes_back(status)) {
        buf_puts(&reply->body, ",\"rollback\":{\"reason\":\"tasks failed to start\"}");
    }
    if (strcmp(status, "STOPPED") == 0) {
        buf_puts(&reply->body, ",\"statusReason\":\"somebody stopped it\"");
    }
    if (world->ecs.extra != NULL && (number > 0 || world->ecs.is_told_of_all)) {
        buf_puts(&reply->body, world->ecs.extra);
    }
    buf_putc(&reply->body, '}');
}

static void
list_deployments(struct world *world, const struct json *body, struct world_reply *reply)
{
    struct world_ecs *ecs = &world->ecs;
    double after = json_number(json_path(body, "createdAt.after"), 0);
    const char *between = "";
    buf_puts(&reply->body, "{\"serviceDeployments\":[");
    for (size_t i = ecs->deployment_count; i > 0 && !ecs->is_hidden; i--) {
        if (seconds(ecs->deployments[i - 1].created_ms) >= after) {
            buf_puts(&reply->body, between);
            put_deployment(world, i - 1, reply);
            between = ",";
        }
    }
    buf_puts(&reply->body, "]}");
}

static void
describe_deployments(struct world *world, const struct json *body, struct world_reply *reply)
{
    const struct json *arns = json_get(body, "serviceDeploymentArns");
    buf_puts(&reply->body, "{\"failures\":[],\"serviceDeployments\":[");
    for (size_t i = 0; i < json_count(arns); i++) {
        size_t number = number_of(json_str(json_at(arns, i)));
        assert_true(number < world->ecs.deployment_count);
        buf_puts(&reply->body, i > 0 ? "," : "");
        put_deployment(world, number, reply);
        look(world, &world->ecs.deployments[number]);
    }
    buf_puts(&reply->body, "]}");
}

static void
describe_revisions(struct world *world, const struct json *body, struct world_reply *reply)
{
    const struct json *arns = json_get(body, "serviceRevisionArns");
    buf_puts(&reply->body, "{\"failures\":[],\"serviceRevisions\":[");
    for (size_t i = 0; i < json_count(arns); i++) {
        size_t number = number_of(json_str(json_at(arns, i)));
        buf_printf(&reply->body,
            "%s{\"serviceRevisionArn\":\"%s\",\"taskDefinition\":\"" ARN
            "task-definition/shop:%zu\"}",
            i > 0 ? "," : "", json_str(json_at(arns, i)), world->ecs.deployments[number].revision);
    }
    buf_puts(&reply->body, "]}");
}

static void
stop_deployment(struct world *world, const struct json *body, struct world_reply *reply)
{
    static const char *const going_back[] = {
        "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL", NULL};
    size_t number = number_of(json_str(json_get(body, "serviceDeploymentArn")));
    struct world_ecs_deployment *deployment = &world->ecs.deployments[number];
    if (is_over(deployment)) {
        refuse(reply, "ConflictException", "It is over.");
        return;
    }
    world_effect(world, "stop deployment %zu\n", number);
    deployment->life = going_back;
    deployment->looks = 0;
    buf_puts(&reply->body, "{}");
}

static void
continue_deployment(struct world *world, const struct json *body, struct world_reply *reply)
{
    size_t number = number_of(json_str(json_get(body, "serviceDeploymentArn")));
    world_effect(world, "continue %zu %s %s\n", number, json_str(json_get(body, "hookId")),
        json_str(json_get(body, "action")));
    buf_puts(&reply->body, "{}");
}

// --- tasks ---------------------------------------------------------------------------------------

static void
list_tasks(struct world *world, const struct json *body, struct world_reply *reply)
{
    bool stopped = strcmp(json_str(json_get(body, "desiredStatus")), "STOPPED") == 0;
    int64_t count = stopped ? (world->ecs.failure != NULL ? 2 : 0) : world->ecs.desired;
    buf_puts(&reply->body, "{\"taskArns\":[");
    for (int64_t i = 0; i < count; i++) {
        buf_printf(&reply->body, "%s\"" ARN "task/blue/%s%d\"", i > 0 ? "," : "",
            stopped ? "stopped" : "running", (int)i);
    }
    buf_puts(&reply->body, "]}");
}

static void
put_task(struct world *world, const char *arn, struct world_reply *reply)
{
    const struct world_ecs *ecs = &world->ecs;
    bool stopped = strstr(arn, "/stopped") != NULL;
    size_t newest = ecs->deployment_count - 1;
    buf_printf(&reply->body,
        "{\"taskArn\":\"%s\",\"startedBy\":\"ecs-svc/%zu\",\"taskDefinitionArn\":\"" ARN
        "task-definition/shop:%zu\",\"lastStatus\":\"%s\",\"desiredStatus\":\"%s\",",
        arn, newest, ecs->deployments[newest].revision, stopped ? "STOPPED" : "RUNNING",
        stopped ? "STOPPED" : "RUNNING");
    if (stopped && strstr(arn, "/stopped1") != NULL) { // an old one that is not wanted any more
        buf_puts(&reply->body, "\"stopCode\":\"ServiceSchedulerInitiated\",\"stoppedReason\":"
                               "\"Scaling activity initiated by (deployment ecs-svc/1)\","
                               "\"containers\":[{\"name\":\"web\",\"exitCode\":143}]}");
    } else if (stopped) {
        buf_printf(&reply->body,
            "\"containers\":[%s],\"stoppedReason\":\"Essential container in "
            "task exited\"}",
            ecs->failure);
    } else {
        buf_printf(&reply->body,
            "\"containers\":[{\"name\":\"web\",\"imageDigest\":\"%s\",\"lastStatus\":\"RUNNING\"}]"
            "}",
            ecs->running);
    }
}

// The one-off task: "PROVISIONING", "RUNNING", then its end.
static void
put_one_off(struct world *world, struct world_reply *reply)
{
    struct world_ecs *ecs = &world->ecs;
    const char *end = ecs->task_looks >= 2 || ecs->task_stopped ? ecs->task_end : NULL;
    buf_puts(&reply->body, "{\"taskArn\":\"" ARN "task/blue/oneoff\",\"taskDefinitionArn\":\"" ARN
                           "task-definition/shop:42\",\"desiredStatus\":\"RUNNING\",");
    if (end != NULL) {
        buf_printf(&reply->body, "\"lastStatus\":\"STOPPED\",%s}", end);
    } else {
        buf_printf(&reply->body, "\"lastStatus\":\"%s\",\"containers\":[{\"name\":\"web\"}]}",
            ecs->task_looks == 0 ? "PROVISIONING" : "RUNNING");
    }
}

static void
describe_tasks(struct world *world, const struct json *body, struct world_reply *reply)
{
    const struct json *arns = json_get(body, "tasks");
    buf_puts(&reply->body, "{\"failures\":[],\"tasks\":[");
    for (size_t i = 0; i < json_count(arns); i++) {
        const char *arn = json_str(json_at(arns, i));
        buf_puts(&reply->body, i > 0 ? "," : "");
        if (strstr(arn, "oneoff") != NULL) {
            put_one_off(world, reply);
            world->ecs.task_looks++;
        } else {
            put_task(world, arn, reply);
        }
    }
    buf_puts(&reply->body, "]}");
}

// The same token is the same task.
static void
run_task(struct world *world, const struct json *body, struct world_reply *reply)
{
    struct world_ecs *ecs = &world->ecs;
    const char *token = json_str(json_get(body, "clientToken"));
    assert_non_null(token);
    if (ecs->task_refusal != NULL) {
        buf_printf(
            &reply->body, "{\"tasks\":[],\"failures\":[{\"reason\":\"%s\"}]}", ecs->task_refusal);
        return;
    }
    if (ecs->token[0] == '\0') {
        SET(ecs->token, token);
        world_effect(
            world, "run shop:%zu\n", number_of(json_str(json_get(body, "taskDefinition"))));
    }
    assert_string_equal(ecs->token, token);
    buf_puts(&reply->body, "{\"failures\":[],\"tasks\":[");
    put_one_off(world, reply);
    buf_puts(&reply->body, "]}");
}

static void
stop_task(struct world *world, struct world_reply *reply)
{
    world_effect(world, "stop task\n");
    world->ecs.task_stopped = true;
    buf_puts(&reply->body, "{\"task\":");
    put_one_off(world, reply);
    buf_putc(&reply->body, '}');
}

// --- the front -----------------------------------------------------------------------------------

static void
serve(
    struct world *world, const char *operation, const struct json *body, struct world_reply *reply)
{
    static const struct {
        const char *name;
        void (*plain)(struct world *world, struct world_reply *reply);
        void (*with_body)(struct world *world, const struct json *body, struct world_reply *reply);
    } operations[] = {
        {"DescribeServices", describe_services, NULL},
        {"UpdateService", NULL, update_service},
        {"DescribeTaskDefinition", NULL, describe_definition},
        {"RegisterTaskDefinition", NULL, register_definition},
        {"ListTaskDefinitions", list_definitions, NULL},
        {"ListServiceDeployments", NULL, list_deployments},
        {"DescribeServiceDeployments", NULL, describe_deployments},
        {"DescribeServiceRevisions", NULL, describe_revisions},
        {"StopServiceDeployment", NULL, stop_deployment},
        {"ContinueServiceDeployment", NULL, continue_deployment},
        {"ListTasks", NULL, list_tasks},
        {"DescribeTasks", NULL, describe_tasks},
        {"RunTask", NULL, run_task},
        {"StopTask", stop_task, NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(operations); i++) {
        if (strcmp(operations[i].name, operation) != 0) {
            continue;
        }
        if (operations[i].plain != NULL) {
            operations[i].plain(world, reply);
        } else {
            operations[i].with_body(world, body, reply);
        }
        return;
    }
    assert_string_equal(operation, "TagResource");
    world_effect(world, "tag %s\n", strrchr(json_str(json_get(body, "resourceArn")), '/') + 1);
    buf_puts(&reply->body, "{}");
}

void
world_ecs(struct world *world, const char *operation, const char *text, struct world_reply *reply)
{
    struct json *body CLEANUP(json_freep) = NULL;
    assert_null(json_parse(str_of(text), &json_limits_default, &body));
    reply->status = 200;
    if (world->ecs.is_classic && strstr(operation, "ServiceDeployments") != NULL) {
        refuse(reply, "AccessDeniedException", "User is not authorized to perform this");
        return;
    }
    serve(world, operation, body, reply);
}
