// Service deployments of ECS: the record of one rollout that has an id of its own, its revisions,
// and the two ways to take part in it (ListServiceDeployments, DescribeServiceDeployments,
// DescribeServiceRevisions, StopServiceDeployment, ContinueServiceDeployment). Words that are not
// known here stay words: deploy/ goes on asking.
#include <stdlib.h>
#include <string.h>

#include "ecs_internal.h"

enum { ARNS_A_CALL = 20, SUMMARIES_A_PAGE = 100 };

// ServiceDeploymentStatus of the API model; what is not here is ECS_STATE_UNKNOWN.
static const struct {
    const char *status;
    enum ecs_state state;
    bool final;
} states[] = {
    {"PENDING", ECS_STATE_PENDING, false},
    {"IN_PROGRESS", ECS_STATE_RUNNING, false},
    {"SUCCESSFUL", ECS_STATE_SUCCEEDED, true},
    {"STOP_REQUESTED", ECS_STATE_STOPPING, false},
    {"STOPPED", ECS_STATE_STOPPED, true},
    {"ROLLBACK_REQUESTED", ECS_STATE_ROLLING_BACK, false},
    {"ROLLBACK_IN_PROGRESS", ECS_STATE_ROLLING_BACK, false},
    {"ROLLBACK_SUCCESSFUL", ECS_STATE_ROLLED_BACK, true},
    {"ROLLBACK_FAILED", ECS_STATE_ROLLBACK_FAILED, true},
};

enum ecs_state
ecs_state_of(const char *status)
{
    for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
        if (cstr_equal(status, states[i].status)) {
            return states[i].state;
        }
    }
    return ECS_STATE_UNKNOWN;
}

bool
ecs_state_is_final(enum ecs_state state)
{
    for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
        if (states[i].state == state) {
            return states[i].final;
        }
    }
    return false;
}

int
ecs_stage_rank(const char *stage)
{
    static const char *const stages[] = {"RECONCILE_SERVICE", "PRE_SCALE_UP", "SCALE_UP",
        "POST_SCALE_UP", "TEST_TRAFFIC_SHIFT", "POST_TEST_TRAFFIC_SHIFT",
        "PRE_PRODUCTION_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT",
        "BAKE_TIME", "CLEAN_UP"};
    for (size_t i = 0; i < ARRAY_LENGTH(stages); i++) {
        if (cstr_equal(stage, stages[i])) {
            return (int)i + 1;
        }
    }
    return 0;
}

// ---- one deployment

#define SHARE_FIELDS(type, at, prefix)                                                             \
    AWS_FIELD(type, at revision_arn, prefix "arn", AWS_LINE),                                      \
        AWS_FIELD(type, at requested, prefix "requestedTaskCount", AWS_INT),                       \
        AWS_FIELD(type, at running, prefix "runningTaskCount", AWS_INT),                           \
        AWS_FIELD(type, at pending, prefix "pendingTaskCount", AWS_INT),                           \
        AWS_FIELD(                                                                                 \
            type, at test_weight, prefix "requestedTestTrafficWeight", AWS_NUMBER, .absent = -1),  \
        AWS_FIELD(type, at production_weight, prefix "requestedProductionTrafficWeight",           \
            AWS_NUMBER, .absent = -1)

static const struct aws_field share_fields[] = {SHARE_FIELDS(struct ecs_share, , "")};
static const struct aws_table share_table = AWS_TABLE(struct ecs_share, share_fields);

static const struct aws_field hook_fields[] = {
    AWS_FIELD(struct ecs_hook, id, "hookId", AWS_LINE),
    AWS_FIELD(struct ecs_hook, type, "targetType", AWS_LINE),
    AWS_FIELD(struct ecs_hook, status, "status", AWS_LINE),
    AWS_FIELD(struct ecs_hook, target_arn, "targetArn", AWS_LINE),
    AWS_FIELD(struct ecs_hook, timeout_action, "timeoutAction", AWS_LINE),
    AWS_FIELD(struct ecs_hook, expires_ms, "expiresAt", AWS_TIME),
};
static const struct aws_table hook_table = AWS_TABLE(struct ecs_hook, hook_fields);

#define FIELD_OF(member, ...) AWS_FIELD(struct ecs_deployment, member, __VA_ARGS__)

static const struct aws_field deployment_fields[] = {
    FIELD_OF(arn, "serviceDeploymentArn", AWS_LINE, .required = true),
    FIELD_OF(service_arn, "serviceArn", AWS_LINE),
    FIELD_OF(cluster_arn, "clusterArn", AWS_LINE),
    FIELD_OF(status, "status", AWS_LINE, .required = true),
    FIELD_OF(reason, "statusReason", AWS_LINE),
    FIELD_OF(stage, "lifecycleStage", AWS_LINE),
    FIELD_OF(strategy, "deploymentConfiguration.strategy", AWS_LINE),
    FIELD_OF(bake_minutes, "deploymentConfiguration.bakeTimeInMinutes", AWS_INT),
    FIELD_OF(created_ms, "createdAt", AWS_TIME),
    FIELD_OF(started_ms, "startedAt", AWS_TIME),
    FIELD_OF(finished_ms, "finishedAt", AWS_TIME),
    FIELD_OF(stopped_ms, "stoppedAt", AWS_TIME),
    FIELD_OF(updated_ms, "updatedAt", AWS_TIME),
    SHARE_FIELDS(struct ecs_deployment, target., "targetServiceRevision."),
    FIELD_OF(sources, "sourceServiceRevisions", AWS_LIST, .table = &share_table,
        .count_offset = offsetof(struct ecs_deployment, source_count)),
    FIELD_OF(breaker.status, "deploymentCircuitBreaker.status", AWS_LINE),
    FIELD_OF(breaker.failures, "deploymentCircuitBreaker.failureCount", AWS_INT),
    FIELD_OF(breaker.threshold, "deploymentCircuitBreaker.threshold", AWS_INT),
    FIELD_OF(rollback.reason, "rollback.reason", AWS_LINE),
    FIELD_OF(rollback.revision_arn, "rollback.serviceRevisionArn", AWS_LINE),
    FIELD_OF(rollback.started_ms, "rollback.startedAt", AWS_TIME),
    FIELD_OF(alarm_status, "alarms.status", AWS_LINE),
    FIELD_OF(alarms_triggered, "alarms.triggeredAlarmNames", AWS_LINES),
    FIELD_OF(hooks, "lifecycleHookDetails", AWS_LIST, .table = &hook_table,
        .count_offset = offsetof(struct ecs_deployment, hook_count)),
};
static const struct aws_table deployment_table =
    AWS_TABLE(struct ecs_deployment, deployment_fields);

struct error *
ecs_deployments_describe(struct aws_session *session, const char *const *arns, size_t count,
    struct arena *arena, struct ecs_deployment *out)
{
    const struct ecs_batch batch = {.call = {ECS_OPERATION("DescribeServiceDeployments")},
        .key = "serviceDeploymentArns",
        .list = "serviceDeployments",
        .what = "service deployment",
        .most = ARNS_A_CALL,
        .table = &deployment_table};
    TRY(ecs_describe(session, &batch, arns, count, arena, out));
    for (size_t i = 0; i < count; i++) {
        out[i].state = ecs_state_of(out[i].status);
    }
    return NULL;
}

// ---- revisions

static const struct aws_field image_fields[] = {
    AWS_FIELD(struct ecs_revision_image, container, "containerName", AWS_LINE),
    AWS_FIELD(struct ecs_revision_image, image, "image", AWS_LINE),
    AWS_FIELD(struct ecs_revision_image, digest, "imageDigest", AWS_LINE),
};
static const struct aws_table image_table = AWS_TABLE(struct ecs_revision_image, image_fields);

static const struct aws_field revision_fields[] = {
    AWS_FIELD(struct ecs_revision, arn, "serviceRevisionArn", AWS_LINE, .required = true),
    AWS_FIELD(struct ecs_revision, task_definition, "taskDefinition", AWS_LINE),
    AWS_FIELD(struct ecs_revision, created_ms, "createdAt", AWS_TIME),
    AWS_FIELD(struct ecs_revision, images, "containerImages", AWS_LIST, .table = &image_table,
        .count_offset = offsetof(struct ecs_revision, image_count)),
};
static const struct aws_table revision_table = AWS_TABLE(struct ecs_revision, revision_fields);

struct error *
ecs_revisions_describe(struct aws_session *session, const char *const *arns, size_t count,
    struct arena *arena, struct ecs_revision *out)
{
    const struct ecs_batch batch = {.call = {ECS_OPERATION("DescribeServiceRevisions")},
        .key = "serviceRevisionArns",
        .list = "serviceRevisions",
        .what = "service revision",
        .most = ARNS_A_CALL,
        .table = &revision_table};
    return ecs_describe(session, &batch, arns, count, arena, out);
}

// ---- the list

struct summaries {
    struct ecs_deployment_summary *items;
    size_t count;
};

static const struct aws_field summary_fields[] = {
    AWS_FIELD(
        struct ecs_deployment_summary, arn, "serviceDeploymentArn", AWS_LINE, .required = true),
    AWS_FIELD(struct ecs_deployment_summary, status, "status", AWS_LINE, .required = true),
    AWS_FIELD(struct ecs_deployment_summary, reason, "statusReason", AWS_LINE),
    AWS_FIELD(
        struct ecs_deployment_summary, target_revision_arn, "targetServiceRevisionArn", AWS_LINE),
    AWS_FIELD(struct ecs_deployment_summary, created_ms, "createdAt", AWS_TIME),
    AWS_FIELD(struct ecs_deployment_summary, started_ms, "startedAt", AWS_TIME),
    AWS_FIELD(struct ecs_deployment_summary, finished_ms, "finishedAt", AWS_TIME),
};
static const struct aws_table summary_table =
    AWS_TABLE(struct ecs_deployment_summary, summary_fields);
static const struct aws_field summaries_fields[] = {
    AWS_FIELD(struct summaries, items, "serviceDeployments", AWS_LIST, .table = &summary_table,
        .count_offset = offsetof(struct summaries, count), .required = true),
};
static const struct aws_table summaries_table = AWS_TABLE(struct summaries, summaries_fields);

static struct json *
query_body(const struct ecs_deployment_query *query, size_t max)
{
    struct json *body = json_make_object();
    json_set_str(body, "service", query->service);
    json_set_str(body, "cluster", query->cluster);
    if (query->statuses != NULL) {
        size_t count = 0;
        while (query->statuses[count] != NULL) {
            count++;
        }
        aws_set_strings(body, "status", query->statuses, count);
    }
    if (query->created_after_ms > 0) {
        struct json *created = json_make_object();
        // Whole seconds, rounded down: ECS' own times may have no fraction.
        json_set_int(created, "after", query->created_after_ms / 1000);
        json_set(body, "createdAt", created);
    }
    json_set_int(body, "maxResults", (int64_t)(max < SUMMARIES_A_PAGE ? max : SUMMARIES_A_PAGE));
    return body;
}

static struct error *
list_pages(struct aws_session *session, struct aws_pages *pages, size_t max, struct aws_list *list)
{
    while (!pages->over && list->count < max) {
        struct json *answer CLEANUP(json_freep) = NULL;
        struct summaries page = {0};
        TRY(aws_pages_next(session, pages, &answer));
        TRY(aws_read(answer, &summaries_table, list->arena, &page));
        for (size_t i = 0; i < page.count && list->count < max; i++) {
            struct ecs_deployment_summary *slot = aws_list_add(list);
            *slot = page.items[i];
            slot->state = ecs_state_of(slot->status);
        }
    }
    return NULL;
}

static int
newer_first(const void *a, const void *b)
{
    int64_t left = ((const struct ecs_deployment_summary *)a)->created_ms;
    int64_t right = ((const struct ecs_deployment_summary *)b)->created_ms;
    return left > right ? -1 : left < right ? 1 : 0;
}

struct error *
ecs_deployments_list(struct aws_session *session, const struct ecs_deployment_query *query,
    struct arena *arena, struct ecs_deployment_summary **out, size_t *count)
{
    size_t max = query->max > 0 ? query->max : SUMMARIES_A_PAGE;
    struct aws_list list = {.arena = arena, .size = sizeof(struct ecs_deployment_summary)};
    struct aws_pages pages CLEANUP(aws_pages_done) = {
        .call = {ECS_OPERATION("ListServiceDeployments"), .read = true},
        .body = query_body(query, max),
        .token_key = "nextToken"};
    struct error *err = list_pages(session, &pages, max, &list);
    if (err != NULL) {
        return error_wrap(err, "list the deployments of service '%s'", query->service);
    }
    if (list.count > 1) {
        qsort(list.items, list.count, list.size, newer_first);
    }
    *out = list.items;
    *count = list.count;
    return NULL;
}

// ---- taking part

struct error *
ecs_deployment_stop(struct aws_session *session, const char *arn)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct json *answer CLEANUP(json_freep) = NULL;
    json_set_str(body, "serviceDeploymentArn", arn);
    json_set_str(body, "stopType", "ROLLBACK");
    const struct aws_call call = {
        ECS_OPERATION("StopServiceDeployment"), .body = body, .idempotent = true};
    struct error *err = aws_call(session, &call, &answer);
    if (err != NULL && aws_has_code(err, "ConflictException")) {
        return error_wrap_as(ERROR_CONFLICT, err, "stop service deployment '%s'", arn);
    }
    return err != NULL ? error_wrap(err, "stop service deployment '%s'", arn) : NULL;
}

struct error *
ecs_deployment_continue(
    struct aws_session *session, const char *arn, const char *hook_id, bool roll_back)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct json *answer CLEANUP(json_freep) = NULL;
    json_set_str(body, "serviceDeploymentArn", arn);
    json_set_str(body, "hookId", hook_id);
    json_set_str(body, "action", roll_back ? "ROLLBACK" : "CONTINUE");
    const struct aws_call call = {
        ECS_OPERATION("ContinueServiceDeployment"), .body = body, .idempotent = true};
    struct error *err = aws_call(session, &call, &answer);
    return err != NULL
               ? error_wrap(err, "continue service deployment '%s' at hook '%s'", arn, hook_id)
               : NULL;
}
