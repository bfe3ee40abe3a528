// Tasks of ECS: which there are, what became of them, and stopping one (ListTasks, DescribeTasks,
// StopTask). Starting one is ecs_run.c's.
#include <string.h>

#include "ecs_internal.h"

enum { TASKS_A_CALL = 100, TASKS_MAX = 1000 };

static const struct aws_field container_fields[] = {
    AWS_FIELD(struct ecs_container, name, "name", AWS_LINE, .required = true),
    AWS_FIELD(struct ecs_container, image, "image", AWS_LINE),
    AWS_FIELD(struct ecs_container, digest, "imageDigest", AWS_LINE),
    AWS_FIELD(struct ecs_container, last_status, "lastStatus", AWS_LINE),
    AWS_FIELD(struct ecs_container, reason, "reason", AWS_LINE),
    AWS_FIELD(struct ecs_container, exit_code, "exitCode", AWS_INT,
        .present_offset = offsetof(struct ecs_container, has_exit_code)),
    AWS_FIELD(struct ecs_container, health, "healthStatus", AWS_LINE),
};
static const struct aws_table container_table = AWS_TABLE(struct ecs_container, container_fields);

static const struct aws_field task_fields[] = {
    AWS_FIELD(struct ecs_task, arn, "taskArn", AWS_LINE, .required = true),
    AWS_FIELD(struct ecs_task, task_definition, "taskDefinitionArn", AWS_LINE),
    AWS_FIELD(struct ecs_task, last_status, "lastStatus", AWS_LINE, .required = true),
    AWS_FIELD(struct ecs_task, desired_status, "desiredStatus", AWS_LINE),
    AWS_FIELD(struct ecs_task, stop_code, "stopCode", AWS_LINE),
    AWS_FIELD(struct ecs_task, stopped_reason, "stoppedReason", AWS_LINE),
    AWS_FIELD(struct ecs_task, started_by, "startedBy", AWS_LINE),
    AWS_FIELD(struct ecs_task, group, "group", AWS_LINE),
    AWS_FIELD(struct ecs_task, health, "healthStatus", AWS_LINE),
    AWS_FIELD(struct ecs_task, created_ms, "createdAt", AWS_TIME),
    AWS_FIELD(struct ecs_task, started_ms, "startedAt", AWS_TIME),
    AWS_FIELD(struct ecs_task, stopping_ms, "stoppingAt", AWS_TIME),
    AWS_FIELD(struct ecs_task, stopped_ms, "stoppedAt", AWS_TIME),
    AWS_FIELD(struct ecs_task, containers, "containers", AWS_LIST, .table = &container_table,
        .count_offset = offsetof(struct ecs_task, container_count)),
};
const struct aws_table ecs_task_table = AWS_TABLE(struct ecs_task, task_fields);

void
ecs_task_settle(struct ecs_task *task)
{
    task->id = ecs_last_part(task->arn);
}

static struct error *
take_arns(const struct json *answer, size_t max, struct aws_list *list)
{
    const struct json *arns = json_get(answer, "taskArns");
    if (!json_is_array(arns)) {
        return aws_unusable("no 'taskArns'");
    }
    for (size_t i = 0; i < json_count(arns) && list->count < max; i++) {
        const char *arn = aws_line(list->arena, json_at(arns, i));
        if (arn == NULL) {
            return aws_unusable("'taskArns' holds something else than names");
        }
        *(const char **)aws_list_add(list) = arn;
    }
    return NULL;
}

static struct json *
list_body(const struct ecs_task_filter *filter, size_t max)
{
    struct json *body = json_make_object();
    json_set_str(body, "cluster", filter->cluster);
    json_set_str(body, "serviceName", filter->service);
    json_set_str(body, "startedBy", filter->started_by);
    json_set_str(body, "family", filter->family);
    json_set_str(body, "desiredStatus", filter->desired_status);
    json_set_int(body, "maxResults", (int64_t)(max < TASKS_A_CALL ? max : TASKS_A_CALL));
    return body;
}

static struct error *
explain_list(struct error *err, const struct ecs_task_filter *filter)
{
    const char *of = filter->service != NULL      ? filter->service
                     : filter->started_by != NULL ? filter->started_by
                     : filter->family != NULL     ? filter->family
                                                  : NULL;
    const char *cluster = filter->cluster != NULL ? filter->cluster : "default";
    return of != NULL ? error_wrap(err, "list the tasks of '%s' in cluster '%s'", of, cluster)
                      : error_wrap(err, "list the tasks in cluster '%s'", cluster);
}

struct error *
ecs_tasks_list(struct aws_session *session, const struct ecs_task_filter *filter,
    struct arena *arena, struct str_list *out)
{
    size_t max = filter->max > 0 ? filter->max : TASKS_MAX;
    struct aws_list list = {.arena = arena, .size = sizeof(const char *)};
    struct aws_pages pages CLEANUP(aws_pages_done) = {
        .call = {ECS_OPERATION("ListTasks"), .read = true},
        .body = list_body(filter, max),
        .token_key = "nextToken"};
    while (!pages.over && list.count < max) {
        struct json *answer CLEANUP(json_freep) = NULL;
        struct error *err = aws_pages_next(session, &pages, &answer);
        if (err == NULL) {
            err = take_arns(answer, max, &list);
        }
        if (err != NULL) {
            return explain_list(err, filter);
        }
    }
    *out = (struct str_list){list.items, list.count};
    return NULL;
}

struct error *
ecs_tasks_describe(struct aws_session *session, const char *cluster, const char *const *arns,
    size_t count, struct arena *arena, struct ecs_task *out)
{
    const struct ecs_batch batch = {.call = {ECS_OPERATION("DescribeTasks")},
        .cluster = cluster,
        .key = "tasks",
        .list = "tasks",
        .what = "task",
        .most = TASKS_A_CALL,
        .table = &ecs_task_table,
        .forgetful = true};
    TRY(ecs_describe(session, &batch, arns, count, arena, out));
    for (size_t i = 0; i < count; i++) {
        ecs_task_settle(&out[i]);
    }
    return NULL;
}

struct error *
ecs_task_stop(
    struct aws_session *session, const char *cluster, const char *task, const char *reason)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct json *answer CLEANUP(json_freep) = NULL;
    json_set_str(body, "cluster", cluster);
    json_set_str(body, "task", task);
    json_set_str(body, "reason", reason);
    const struct aws_call call = {ECS_OPERATION("StopTask"), .body = body, .idempotent = true};
    struct error *err = aws_call(session, &call, &answer);
    return err != NULL ? error_wrap(err, "stop task '%s'", task) : NULL;
}
