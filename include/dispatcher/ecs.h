// Elastic Container Service: services, task definitions, service deployments, tasks, Express Mode
// (facts/aws-rollout.md §3; API reference of ECS 2014-11-13).
//
//     struct ecs_service service;
//     TRY(ecs_services_describe(aws, "prod", (const char *[]){"web"}, 1, arena, &service));
//     TRY(ecs_service_update(aws, &(struct ecs_service_change){"prod", "web", revision}, arena,
//         &service));
//
// Names are borrowed for the call; what comes back lives in the arena that was given, made fit for
// one line, but for JSON that is to be handed on (`…_json`, `document`), which is as it came. Times
// are wall milliseconds, 0 when not said; counts are 0 when not said. Errors are aws_call's with
// what was asked in front; absence is a value where a function says so. Nothing here waits or
// judges: that is deploy/'s. Thread rule as aws.h.
#pragma once

#include "dispatcher/aws.h"

// --- clusters and services (ecs_services.c) ------------------------------------------------------

struct ecs_cluster {
    const char *arn, *name;
    const char *status; // ACTIVE | PROVISIONING | DEPROVISIONING | FAILED | INACTIVE | new words
    int64_t services, running_tasks, pending_tasks;
};
/// DescribeClusters. out->arn NULL when there is none of that name. `cluster` NULL: "default".
NODISCARD struct error *ecs_cluster_describe(
    struct aws_session *session, const char *cluster, struct arena *arena, struct ecs_cluster *out);

// A row of the classic `deployments` list.
struct ecs_classic {
    const char *id;     // "ecs-svc/0123456789"
    const char *status; // PRIMARY | ACTIVE | INACTIVE
    const char *task_definition;
    const char *rollout_state; // COMPLETED | FAILED | IN_PROGRESS; NULL: not said
    const char *rollout_reason;
    int64_t desired, running, pending, failed_tasks;
    int64_t created_ms, updated_ms;
};

struct ecs_event {
    const char *id, *message;
    int64_t created_ms;
};

struct ecs_service {
    const char *arn; // NULL: there is no such service
    const char *name, *cluster_arn;
    const char *status; // ACTIVE | DRAINING | INACTIVE
    const char *task_definition;
    const char *controller;          // ECS | CODE_DEPLOY | EXTERNAL; NULL: ECS
    const char *strategy;            // ROLLING | BLUE_GREEN | LINEAR | CANARY; NULL: ROLLING
    const char *launch_type;         // EC2 | FARGATE | …; NULL with a capacity provider strategy
    const char *platform_version;    // NULL: not said
    const char *scheduling;          // REPLICA | DAEMON; NULL: not said
    const char *resource_management; // CUSTOMER | ECS (Express Mode); NULL: CUSTOMER
    int64_t desired, running, pending;
    bool breaker_enabled, breaker_rolls_back;
    const char *current_deployment; // ARN of a service deployment under way, or NULL
    struct ecs_classic *classic;
    size_t classic_count;
    struct ecs_event *events; // newest first, at most 100
    size_t event_count;
    // For tasks of one's own beside the service: networkConfiguration and capacityProviderStrategy
    // as JSON text, NULL when the service has none.
    const char *network_json, *capacity_json;
};
/// DescribeServices, ten a call. out[i] belongs to names[i] (names or ARNs); its arn is NULL when
/// there is no such service. A missing cluster is ERROR_REFUSED (ClusterNotFoundException).
NODISCARD struct error *ecs_services_describe(struct aws_session *session, const char *cluster,
    const char *const *names, size_t count, struct arena *arena, struct ecs_service *out);

struct ecs_service_change {
    const char *cluster, *service;
    const char *task_definition; // NULL: as it is. Give a revision: a bare family is the latest
    bool force;                  // forceNewDeployment
};
/// UpdateService: the members above and nothing else, ever. With `force` it is sent once only
/// (a second one would start a second deployment): see ->request_left.
NODISCARD struct error *ecs_service_update(struct aws_session *session,
    const struct ecs_service_change *change, struct arena *arena, struct ecs_service *after);

// --- task definitions (ecs_task_definitions.c, ecs_copy.c) ---------------------------------------

struct ecs_task_definition {
    const char *arn, *family, *status; // arena; arn NULL: there is none of that name
    int64_t revision;
    struct json *document; // `taskDefinition` as it came; owned
    struct json *tags;     // the list beside it; owned, NULL when there was none
};
void ecs_task_definition_done(struct ecs_task_definition *definition);
/// DescribeTaskDefinition with its tags. `name`: family, family:revision or ARN. Initialize `out`
/// with {0}; release with ecs_task_definition_done.
NODISCARD struct error *ecs_task_definition_get(struct aws_session *session, const char *name,
    struct arena *arena, struct ecs_task_definition *out);

struct ecs_copy {
    const struct ecs_task_definition *from;
    const char *container; // NULL: the only container, or the only essential one
    const char *image;
    struct pair_list tags; // added, or put in place of those of the same key
};
/// The body of RegisterTaskDefinition that makes the same again with another image. Lossless: every
/// member is handed on as it came, also those nobody here knows, but for the nine that only
/// Describe returns; tags come from beside, without AWS' own ("aws:"). Pure. ERROR_SPEC with the
/// containers there are when `container` names none of them, or must be named.
NODISCARD struct error *ecs_task_definition_copy(const struct ecs_copy *copy, struct json **body);
/// Name and image of the container that `container` means to ecs_copy, borrowed from the document;
/// same errors. Either output may be NULL. Pure.
NODISCARD struct error *ecs_task_definition_image(
    const struct json *document, const char *container, const char **name, const char **image);
/// Names of the containers, in order. Pure.
struct str_list ecs_task_definition_containers(const struct json *document, struct arena *arena);
/// RegisterTaskDefinition; *arn with the new revision. Repeated after a lost answer: at worst a
/// revision that nobody uses is left.
NODISCARD struct error *ecs_task_definition_register(
    struct aws_session *session, const struct json *body, struct arena *arena, const char **arn);
/// ListTaskDefinitions: ARNs of the family's ACTIVE revisions, newest first, at most `max`.
NODISCARD struct error *ecs_task_definition_list(struct aws_session *session, const char *family,
    size_t max, struct arena *arena, struct str_list *out);

/// TagResource; `arn` of a task definition, service, task, …
NODISCARD struct error *ecs_tags_add(
    struct aws_session *session, const char *arn, const struct pair *tags, size_t count);
/// ListTagsForResource.
NODISCARD struct error *ecs_tags_get(
    struct aws_session *session, const char *arn, struct arena *arena, struct pair_list *out);

// Where a container's output goes when its log driver is awslogs.
struct ecs_log_target {
    const char *container;
    const char *group;  // log group
    const char *prefix; // awslogs-stream-prefix; NULL: streams are named by Docker ids
    const char *region; // NULL: the session's
};
/// One entry for each container that logs to CloudWatch. Pure.
void ecs_task_definition_log_targets(
    const struct json *document, struct arena *arena, struct ecs_log_target **out, size_t *count);
/// The log driver of a container ("awslogs", "splunk", …); NULL when it has none, or is none. Pure.
const char *ecs_task_definition_log_driver(
    const struct json *document, const char *container, struct arena *arena);
// Where one container of one task writes.
struct ecs_log_stream {
    const char *group, *name; // name: "prefix/container/task-id"
    const char *region;       // NULL: the session's
};
/// False when it cannot be known: another driver, no prefix, no such container. `task` is an id or
/// an ARN. Pure.
bool ecs_task_log_stream(const struct json *document, const char *container, const char *task,
    struct arena *arena, struct ecs_log_stream *out);

// --- service deployments (ecs_deployments.c) -----------------------------------------------------

enum ecs_state {
    ECS_STATE_UNKNOWN, // a word that is not known yet: go on asking; never success
    ECS_STATE_PENDING,
    ECS_STATE_RUNNING,
    ECS_STATE_SUCCEEDED, // the only success
    ECS_STATE_STOPPING,
    ECS_STATE_STOPPED,
    ECS_STATE_ROLLING_BACK, // ROLLBACK_REQUESTED too: it has failed already
    ECS_STATE_ROLLED_BACK,
    ECS_STATE_ROLLBACK_FAILED,
};
/// Of a ServiceDeploymentStatus; NULL is ECS_STATE_UNKNOWN.
enum ecs_state ecs_state_of(const char *status);
/// Will it never change again?
bool ecs_state_is_final(enum ecs_state state);
/// Position of a lifecycle stage in the order of stages (RECONCILE_SERVICE 1 … CLEAN_UP), because
/// polls can skip some; 0 for NULL and for words that are not known.
int ecs_stage_rank(const char *stage);

// A service revision's share in a deployment.
struct ecs_share {
    const char *revision_arn; // NULL: not said
    int64_t requested, running, pending;
    double test_weight, production_weight; // percent of the traffic; -1: not said
};

struct ecs_hook {
    const char *id;     // NULL: not said; needed to continue
    const char *type;   // AWS_LAMBDA | PAUSE | new words
    const char *status; // AWAITING_ACTION | IN_PROGRESS | SUCCEEDED | FAILED | TIMED_OUT | …
    const char *target_arn;
    const char *timeout_action; // what ECS does at expires_ms: ROLLBACK | CONTINUE
    int64_t expires_ms;
};

struct ecs_deployment {
    const char *arn, *service_arn, *cluster_arn;
    const char *status, *reason;
    enum ecs_state state; // of `status`
    const char *stage;    // lifecycle stage, or NULL
    const char *strategy; // NULL: ROLLING
    int64_t bake_minutes;
    int64_t created_ms, started_ms, finished_ms, stopped_ms, updated_ms;
    struct ecs_share target;
    struct ecs_share *sources;
    size_t source_count;
    struct {
        const char *status; // TRIGGERED | MONITORING | MONITORING_COMPLETE | DISABLED; NULL
        int64_t failures, threshold;
    } breaker;
    struct {
        const char *reason, *revision_arn; // NULL: no rollback
        int64_t started_ms;
    } rollback;
    const char *alarm_status;         // as breaker.status
    struct str_list alarms_triggered; // names
    struct ecs_hook *hooks;
    size_t hook_count;
};

// What ListServiceDeployments says of one.
struct ecs_deployment_summary {
    const char *arn, *status, *reason;
    enum ecs_state state;
    const char *target_revision_arn; // NULL: not said
    int64_t created_ms, started_ms, finished_ms;
};
struct ecs_deployment_query {
    const char *cluster, *service;
    int64_t created_after_ms;    // 0: any
    const char *const *statuses; // NULL-terminated ServiceDeploymentStatus words; NULL: any
    size_t max;                  // 0: 100
};
/// Newest first. AccessDenied and UnsupportedFeatureException are errors that aws_is_denied and
/// aws_has_code tell apart.
NODISCARD struct error *ecs_deployments_list(struct aws_session *session,
    const struct ecs_deployment_query *query, struct arena *arena,
    struct ecs_deployment_summary **out, size_t *count);
/// DescribeServiceDeployments, twenty a call. out[i] belongs to arns[i]; its arn is NULL when ECS
/// knows none of that name (it forgets after 90 days).
NODISCARD struct error *ecs_deployments_describe(struct aws_session *session,
    const char *const *arns, size_t count, struct arena *arena, struct ecs_deployment *out);

struct ecs_revision_image {
    const char *container, *image;
    const char *digest; // "sha256:…"; NULL while ECS has not resolved it
};
struct ecs_revision {
    const char *arn; // NULL: ECS knows none of that name
    const char *task_definition;
    int64_t created_ms;
    struct ecs_revision_image *images;
    size_t image_count;
};
/// DescribeServiceRevisions, twenty a call; as ecs_deployments_describe.
NODISCARD struct error *ecs_revisions_describe(struct aws_session *session, const char *const *arns,
    size_t count, struct arena *arena, struct ecs_revision *out);

/// StopServiceDeployment with stopType ROLLBACK. ERROR_CONFLICT when it cannot be stopped (over, or
/// stopping already): describe it.
NODISCARD struct error *ecs_deployment_stop(struct aws_session *session, const char *arn);
/// ContinueServiceDeployment for a hook that waits: go on, or roll back.
NODISCARD struct error *ecs_deployment_continue(
    struct aws_session *session, const char *arn, const char *hook_id, bool roll_back);

// --- tasks (ecs_tasks.c, ecs_run.c) --------------------------------------------------------------

struct ecs_task_filter {
    const char *cluster;
    // One of these at most; started_by must be alone with desired_status.
    const char *service, *started_by, *family;
    const char *desired_status; // RUNNING | PENDING | STOPPED; NULL: RUNNING. Stopped tasks are
                                // known for an hour
    size_t max;                 // 0: 1000
};
/// ListTasks: ARNs, all pages up to `max`.
NODISCARD struct error *ecs_tasks_list(struct aws_session *session,
    const struct ecs_task_filter *filter, struct arena *arena, struct str_list *out);

struct ecs_container {
    const char *name, *image;
    const char *digest; // "sha256:…" of what runs; NULL before it was pulled
    const char *last_status, *reason;
    bool has_exit_code;
    int64_t exit_code;
    const char *health; // HEALTHY | UNHEALTHY | UNKNOWN; NULL
};
struct ecs_task {
    const char *arn; // NULL: ECS knows none of that name (stopped more than an hour ago)
    const char *id;  // last part of the ARN
    const char *task_definition;
    const char *last_status, *desired_status;
    const char *stop_code; // TaskFailedToStart | EssentialContainerExited | …; NULL: not said
    const char *stopped_reason;
    const char *started_by, *group;
    const char *health;
    int64_t created_ms, started_ms, stopping_ms, stopped_ms;
    struct ecs_container *containers;
    size_t container_count;
};
/// DescribeTasks, a hundred a call. out[i] belongs to arns[i] (ids or ARNs).
NODISCARD struct error *ecs_tasks_describe(struct aws_session *session, const char *cluster,
    const char *const *arns, size_t count, struct arena *arena, struct ecs_task *out);

struct ecs_task_request {
    const char *cluster, *task_definition;
    const char *container;        // whose command is replaced; NULL: no override
    struct str_list command;      // with `container`
    struct pair_list environment; // with `container`: added to the container's own
    const char *network_json;     // as ecs_service's; NULL: none
    const char *capacity_json;    // wins over launch_type, as ECS refuses both
    const char *launch_type, *platform_version;
    const char *started_by;   // ≤ 128
    const char *client_token; // 1 to 64 characters; same token and same request: same task
    struct pair_list tags;
};
struct ecs_task_start {
    struct ecs_task task; // arn NULL: nothing was started now, see `earlier`
    /// ConflictException: ARNs of the tasks that an earlier, different request with this token
    /// started.
    struct str_list earlier;
};
/// RunTask, one task. Repeated after lost answers: the token makes it one task. What ECS says it
/// could not do (`failures`, with HTTP 200) is ERROR_REFUSED naming the reason ("RESOURCE:MEMORY").
NODISCARD struct error *ecs_task_run(struct aws_session *session,
    const struct ecs_task_request *request, struct arena *arena, struct ecs_task_start *out);
/// StopTask; `reason` is what people will read in stoppedReason.
NODISCARD struct error *ecs_task_stop(
    struct aws_session *session, const char *cluster, const char *task, const char *reason);

// --- Express Mode (ecs_express.c) ----------------------------------------------------------------

struct ecs_express_configuration {
    const char *revision_arn;
    const char *image;
    int64_t port; // 0: not said
    const char *health_path, *cpu, *memory;
    const char *execution_role_arn, *task_role_arn;
    const char *log_group, *log_prefix;
    struct str_list endpoints; // "shop-web.ecs.eu-west-1.on.aws"
    int64_t created_ms;
    const char *container_json; // primaryContainer as it came
};
struct ecs_express {
    const char *arn; // NULL: there is none of that name
    const char *name, *cluster;
    const char *status, *reason;    // ACTIVE | DRAINING | INACTIVE
    const char *current_deployment; // ARN of a service deployment; NULL unless one is under way
    const char *infrastructure_role_arn;
    int64_t created_ms, updated_ms;
    struct ecs_express_configuration *configurations; // newest first; two while deploying
    size_t configuration_count;
};
/// DescribeExpressGatewayService.
NODISCARD struct error *ecs_express_describe(
    struct aws_session *session, const char *arn, struct arena *arena, struct ecs_express *out);
/// UpdateExpressGatewayService with serviceArn and primaryContainer only: that of the newest
/// configuration in `current`, with another image. Sent once. `after` has the new configuration
/// alone. ERROR_CONFLICT while two configurations are active that differ in more than the image.
NODISCARD struct error *ecs_express_update(struct aws_session *session,
    const struct ecs_express *current, const char *image, struct arena *arena,
    struct ecs_express *after);

struct ecs_express_create {
    const char *name;                                         // NULL: ECS makes one
    const char *cluster;                                      // NULL: "default"
    const char *execution_role_arn, *infrastructure_role_arn; // required
    const char *task_role_arn;
    const char *image;
    int64_t port;                           // 0: ECS' default, 80
    const char *health_path, *cpu, *memory; // NULL: ECS' defaults (/ping, 256, 512)
    struct str_list command;
    struct pair_list environment;
    struct pair_list secrets;           // name → ARN
    const char *log_group, *log_prefix; // both or none
    struct str_list subnets, security_groups;
    int64_t min_tasks, max_tasks; // 0: ECS' defaults
    struct pair_list tags;
};
/// CreateExpressGatewayService; sent once.
NODISCARD struct error *ecs_express_create(struct aws_session *session,
    const struct ecs_express_create *create, struct arena *arena, struct ecs_express *out);
