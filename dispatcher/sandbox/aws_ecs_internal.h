// The sandbox's ECS: clusters, task definitions, services, their deployments and tasks. All under
// the sandbox's lock, all in memory: what is made lives in one arena until the next reset.
//
// Time is not a thread. Every service knows when something happens to it next (`next_ms`, wall
// milliseconds), and whoever looks at a service first lets everything happen that is due by then
// (sandbox_ecs_service_advance, aws_ecs_rollout.c). So the clock may jump, and a world of thousands
// of services that nobody asks about costs nothing.
//
// Protocol: the service model "ecs" 2014-11-13, JSON 1.1.
#pragma once

#include "aws_internal.h"

enum { ECS_EVENTS_MAX = 100, ECS_DESIRED_MAX = 5000 }; // per service
#define ECS_NEVER INT64_MAX

struct ecs_definition { // one revision of a task definition
    const char *arn, *family;
    int64_t revision, deregistered_ms;
    bool is_active;
    struct json *document; // as registered, with what the service adds
    struct json *tags;     // array
};

struct ecs_family {
    const char *name;
    struct ecs_definition **revisions; // number n at n - 1
    size_t count;
};

struct ecs_revision { // a service revision: what a deployment rolls out
    const char *arn;
    int64_t created_ms;
    struct ecs_definition *definition;
    struct json *images;        // [{containerName, image, imageDigest}], resolved when it was made
    const char *problem;        // why an image cannot be pulled, NULL: all can
    struct json *settings;      // what else the service was set to
    struct json *express;       // configuration of an Express service, or NULL
    int64_t unhealthy_left;     // so many requests of GET /apps/NAME answer 500; -1: all
    int64_t unhealthy_until_ms; // 0: no end
};

struct ecs_classic { // an entry of a service's `deployments`
    const char *id;  // "ecs-svc/1234567890123456789"
    struct ecs_revision *revision;
    int64_t created_ms, updated_ms, failed;
    const char *state, *reason; // rolloutState
};

enum ecs_course { // what a scenario makes of a deployment or a task
    ECS_SUCCESS,
    ECS_BREAKER_ROLLBACK,
    ECS_ROLLBACK_FAILED,
    ECS_SUPERSEDED,
    ECS_STOPPED,
    ECS_PAUSED_HOOK,
    ECS_NO_DEPLOYMENT,
    ECS_CRASH_LOOP,
    ECS_ALARM,
    ECS_UNKNOWN_STATUS,
    ECS_WRONG_DIGEST,
    ECS_SLOW,
    ECS_UNHEALTHY_HTTP,
    ECS_TASK_EXIT,
    ECS_TASK_NOT_STARTED,
    ECS_TASK_NO_EXIT_CODE,
    ECS_TASK_NO_CAPACITY,
    ECS_TASK_HANG,
    ECS_COURSES,
};

struct ecs_scenario {
    enum ecs_course course;
    const char *cluster, *subject; // names or "*"; the subject is a service or a family
    bool is_for_tasks;
    int64_t left; // deployments or tasks it still applies to; -1: all
    struct json *options;
};

// How a task that does not live on comes to its end.
struct ecs_ending {
    const char *stop_code, *stopped_reason, *container_reason;
    bool has_exit_code, never_ran;
    int64_t exit_code;
};

struct ecs_task {
    const char *id, *arn;
    struct ecs_cluster *cluster;
    struct ecs_service *service; // NULL: run by itself
    struct ecs_classic *classic;
    struct ecs_revision *revision; // NULL: run by itself
    struct ecs_definition *definition;
    const struct json *images; // as of the revision
    const struct ecs_scenario *scenario;
    struct json *request, *tags; // RunTask's: overrides, startedBy, ...
    const char *wrong_digest;
    struct ecs_ending ending;                   // once it has stopped, or how it will
    bool is_faulty;                             // will fail: takes no traffic
    int64_t created_ms, started_ms, stopped_ms; // 0: not yet
    int64_t run_at_ms, end_at_ms;               // when that is due
};

struct ecs_task_list {
    struct ecs_task **items;
    size_t count, room;
};

struct ecs_stage {
    const char *name;        // NULL: a rolling deployment's only one
    double test, production; // traffic weights of the target at its end
    int64_t ms;
    bool scales_up, cleans_up;
};

struct ecs_hook {
    const char *id, *stage, *target_arn;
    bool pauses;
    const char *status; // NULL: not reached yet
    const char *action; // what happens when it times out
    int64_t timeout_ms, expires_ms;
};

struct ecs_source { // a service revision that ran when the deployment began
    struct ecs_revision *revision;
    int64_t requested;
};

struct ecs_deployment {
    const char *arn;
    struct ecs_service *service;
    struct ecs_revision *target;
    struct ecs_source *sources;
    size_t source_count;
    struct ecs_classic *classic;
    struct json *configuration;
    struct ecs_scenario *scenario; // NULL: as it comes
    enum ecs_course course;
    const char *status, *reason;
    int64_t created_ms, started_ms, finished_ms, stopped_ms, updated_ms;
    const char *shown_status; // instead of `status`, or NULL
    int64_t delay_ms;         // how long it takes without bake times
    struct ecs_stage *stages;
    size_t stage_count, stage; // the one it is in
    double test, production;   // weights now
    struct ecs_hook *hooks;
    size_t hook_count;
    struct ecs_hook *waiting_for;
    int64_t stage_end_ms, interrupt_ms, failure_ms, failure_every_ms;
    struct ecs_ending failing; // how its tasks fail, where failure_every_ms is set
    bool breaker_on, breaker_rolls_back, breaker_tripped;
    int64_t failures, threshold;
    const struct json *triggered; // alarm names, or NULL
    const char *rollback_reason;
    int64_t rollback_ms;
    struct ecs_revision *rollback_to;
    struct ecs_classic *rollback_classic;
};

struct ecs_event {
    const char *id, *message;
    int64_t at_ms;
};

struct ecs_service {
    struct ecs_cluster *cluster;
    const char *name, *arn, *status; // ACTIVE, DRAINING, INACTIVE
    struct json *settings;           // members of CreateService, unknown ones too
    struct json *tags;               // array
    int64_t created_ms, updated_ms, desired;
    const char *creator, *token; // clientToken of its creation
    struct ecs_definition *definition;
    struct ecs_revision *completed; // the last one that was rolled out
    struct ecs_deployment **deployments;
    size_t deployment_count;
    struct ecs_deployment *current;  // the one under way
    struct ecs_deployment *stopping; // superseded, STOP_REQUESTED
    struct ecs_revision **revisions;
    size_t revision_count;
    struct ecs_classic **classics; // PRIMARY first
    size_t classic_count;
    struct ecs_task_list live, stopped;
    struct ecs_event *events; // a ring of up to ECS_EVENTS_MAX
    size_t event_count;
    int64_t next_ms;
    int64_t delay_ms, bake_minute_ms; // -1: the sandbox's
    int64_t drained_ms;               // when DRAINING ends
    int64_t deferred_ms;              // when a deployment begins that was held back
    struct json *express;             // configuration of an Express service, or NULL
    const char *infrastructure_role;
    int64_t hits; // GET /apps/NAME
};

struct ecs_cluster {
    const char *name, *arn;
    struct json *settings, *tags;
    struct ecs_service **services;
    size_t service_count;
    struct json *index;         // name → number in `services`
    struct ecs_task_list tasks; // run by themselves
};

struct ecs_state {
    struct arena *arena;
    struct json **kept; // trees to free at the reset
    size_t kept_count;
    struct ecs_family **families;
    size_t family_count;
    struct json *family_index; // name → number
    struct ecs_cluster **clusters;
    size_t cluster_count;
    struct json *cluster_index;
    struct ecs_task_list tasks; // all; a task's id ends with its number here
    struct ecs_scenario **scenarios;
    size_t scenario_count;
    struct json *images;              // reference → digest or null, told by a seed
    struct json *effects;             // calls that changed something, in order
    struct json *tokens;              // clientToken → {request, tasks}
    int64_t delay_ms, bake_minute_ms; // -1: the sandbox's
};

// --- aws_ecs.c: the state, and words that all share
void sandbox_ecs_start(struct sandbox *sandbox);
void sandbox_ecs_stop(struct sandbox *sandbox);
void sandbox_ecs_handle(struct aws_exchange *exchange);
struct json *sandbox_ecs_state_json(struct sandbox *sandbox);
/// The state owns the tree from now on, until the next reset.
struct json *sandbox_ecs_keep(struct ecs_state *ecs, struct json *tree);
/// "arn:aws:ecs:REGION:ACCOUNT:..." in the arena of the state.
const char *sandbox_ecs_arn(struct sandbox *sandbox, const char *format, ...) PRINTF_LIKE(2, 3);
/// What follows the last '/' or ':' of an ARN; the text itself when it is none.
const char *sandbox_ecs_name_of(const char *arn_or_name);
/// Sets epoch seconds with a fraction, as ECS does; nothing for 0.
void sandbox_ecs_set_time(struct json *object, const char *key, int64_t wall_ms);
/// Up to 255 letters, digits, '-' and '_', as clusters, families and services are named.
bool sandbox_ecs_is_name(const char *name);
int64_t sandbox_ecs_index(const struct json *index, const char *name); // -1: not there
/// A list under `key`, a page of it by maxResults and nextToken; answers, and owns `list`.
void sandbox_ecs_reply_page(
    struct aws_exchange *exchange, const char *key, struct json *list, int64_t most);
struct json *sandbox_ecs_failure(const char *arn, const char *reason);
const char *sandbox_ecs_text(const struct aws_exchange *exchange, const char *member);
/// Is it among the call's `include`?
bool sandbox_ecs_includes(const struct aws_exchange *exchange, const char *what);
/// Copies members, but for those that are named.
void sandbox_ecs_copy(
    struct json *to, const struct json *from, const char *const *without, size_t count);
/// Unhappy answers in AWS's words.
void sandbox_ecs_no_cluster(struct aws_exchange *exchange);
void sandbox_ecs_no_service(struct aws_exchange *exchange);
void sandbox_ecs_invalid(struct aws_exchange *exchange, const char *format, ...) PRINTF_LIKE(2, 3);
void sandbox_ecs_client_problem(struct aws_exchange *exchange, const char *format, ...)
    PRINTF_LIKE(2, 3);

// --- aws_ecs_clusters.c
struct ecs_cluster *sandbox_ecs_cluster_add(struct sandbox *sandbox, const char *name);
/// By name or ARN; NULL means "default"; NULL when there is none.
struct ecs_cluster *sandbox_ecs_cluster_find(struct ecs_state *ecs, const char *name);
/// The cluster of the call's `cluster`; NULL and an answer when there is none.
struct ecs_cluster *sandbox_ecs_cluster_of(struct aws_exchange *exchange);
void sandbox_ecs_create_cluster(struct aws_exchange *exchange);
void sandbox_ecs_describe_clusters(struct aws_exchange *exchange);
void sandbox_ecs_list_clusters(struct aws_exchange *exchange);
/// Adds tags or replaces those with the same key: *tags is another list then.
void sandbox_ecs_tags_set(struct ecs_state *ecs, struct json **tags, const struct json *given);
void sandbox_ecs_tag_resource(struct aws_exchange *exchange);
void sandbox_ecs_untag_resource(struct aws_exchange *exchange);
void sandbox_ecs_list_tags(struct aws_exchange *exchange);

// --- aws_ecs_task_definitions.c
/// "family", "family:revision" or ARN; a family alone is its latest ACTIVE revision. NULL when
/// there is none.
struct ecs_definition *sandbox_ecs_definition_find(struct ecs_state *ecs, const char *name);
/// Takes the members of a RegisterTaskDefinition; the input is copied.
struct ecs_definition *sandbox_ecs_definition_add(
    struct sandbox *sandbox, const struct json *input, const char *registered_by);
/// What ECS would refuse, in its words; NULL: nothing.
const char *sandbox_ecs_definition_problem(struct arena *arena, const struct json *input);
/// "family:3"
const char *sandbox_ecs_definition_name(struct arena *arena, const struct ecs_definition *one);
/// The first essential container, else the first; NULL for a definition without any.
const struct json *sandbox_ecs_main_container(const struct ecs_definition *definition);
void sandbox_ecs_register_definition(struct aws_exchange *exchange);
void sandbox_ecs_describe_definition(struct aws_exchange *exchange);
void sandbox_ecs_list_definitions(struct aws_exchange *exchange);
void sandbox_ecs_deregister_definition(struct aws_exchange *exchange);

// --- aws_ecs_images.c
/// Digests of the definition's images as of now: [{containerName, image, imageDigest}]. *problem
/// (in the state's arena) says why one of them cannot be pulled.
struct json *sandbox_ecs_images(
    struct sandbox *sandbox, const struct ecs_definition *definition, const char **problem);
/// Made up, but always the same for the same text: "sha256:...", in the state's arena.
const char *sandbox_ecs_made_digest(struct ecs_state *ecs, const char *text);

// --- aws_ecs_services.c
/// By name or ARN, with everything done that is due; NULL when there is none.
struct ecs_service *sandbox_ecs_service_find(
    struct sandbox *sandbox, struct ecs_cluster *cluster, const char *name);
/// "arn:aws:ecs:REGION:ACCOUNT:KIND/CLUSTER/SERVICE[/ID]" → the service, with everything done that
/// is due; NULL when there is none.
struct ecs_service *sandbox_ecs_service_by_arn(
    struct sandbox *sandbox, const char *arn, const char *kind);
/// The service of the call's `cluster` and `service`; NULL and an answer when there is none.
struct ecs_service *sandbox_ecs_service_of(struct aws_exchange *exchange);
/// A count of tasks that a service may have; `fallback` where none is given.
int64_t sandbox_ecs_desired(const struct json *given, int64_t fallback);
/// `settings`: members of a CreateService, copied. Starts no deployment.
struct ecs_service *sandbox_ecs_service_add(struct sandbox *sandbox, struct ecs_cluster *cluster,
    const char *name, const struct json *settings);
void sandbox_ecs_service_event(struct sandbox *sandbox, struct ecs_service *service, int64_t at_ms,
    const char *format, ...) PRINTF_LIKE(4, 5);
/// Back to what the revision was, as far as a deployment rolls it out.
void sandbox_ecs_service_restore(
    struct sandbox *sandbox, struct ecs_service *service, struct ecs_revision *revision);
void sandbox_ecs_create_service(struct aws_exchange *exchange);
void sandbox_ecs_update_service(struct aws_exchange *exchange);
void sandbox_ecs_describe_services(struct aws_exchange *exchange);
void sandbox_ecs_list_services(struct aws_exchange *exchange);
void sandbox_ecs_delete_service(struct aws_exchange *exchange);
struct json *sandbox_ecs_service_json(
    struct sandbox *sandbox, const struct ecs_service *service, bool with_tags);
void sandbox_ecs_drain_service(struct sandbox *sandbox, struct ecs_service *service);

// --- aws_ecs_rollout.c: what happens to a service in time
/// Lets happen what is due at `now_ms`.
void sandbox_ecs_service_advance(
    struct sandbox *sandbox, struct ecs_service *service, int64_t now_ms);
/// Everything that is due anywhere.
void sandbox_ecs_advance_all(struct sandbox *sandbox);
/// Works out `next_ms` again.
void sandbox_ecs_service_schedule(struct ecs_service *service);
/// Starts rolling out what the service is set to; supersedes one that is under way. A scenario may
/// say that none shall start, or later.
void sandbox_ecs_deployment_start(
    struct sandbox *sandbox, struct ecs_service *service, int64_t now_ms);
/// The service is where a deployment would bring it, without one (seed).
void sandbox_ecs_service_settle(
    struct sandbox *sandbox, struct ecs_service *service, int64_t now_ms);
bool sandbox_ecs_deployment_is_over(const struct ecs_deployment *deployment);
/// From its hook on, which has been answered.
void sandbox_ecs_deployment_resume(
    struct sandbox *sandbox, struct ecs_deployment *deployment, int64_t now_ms);
/// An entry of `deployments` that becomes PRIMARY.
struct ecs_classic *sandbox_ecs_classic_add(struct sandbox *sandbox, struct ecs_service *service,
    struct ecs_revision *revision, int64_t now_ms);
/// All entries of `deployments` go but this one.
void sandbox_ecs_classic_keep(struct ecs_service *service, struct ecs_classic *only);
int64_t sandbox_ecs_delay_ms(const struct sandbox *sandbox, const struct ecs_service *service);

// --- aws_ecs_failure.c: deployments that end otherwise
/// A task of a deployment whose tasks fail does so; the circuit breaker counts.
void sandbox_ecs_failure_next(
    struct sandbox *sandbox, struct ecs_deployment *deployment, int64_t now_ms);
/// Goes back to the last completed revision; without one it stops.
void sandbox_ecs_rollback_start(struct sandbox *sandbox, struct ecs_deployment *deployment,
    int64_t now_ms, const char *status_reason, const char *classic_reason);
/// ROLLBACK_REQUESTED → ROLLBACK_IN_PROGRESS → its end.
void sandbox_ecs_rollback_next(
    struct sandbox *sandbox, struct ecs_deployment *deployment, int64_t now_ms);
void sandbox_ecs_deployment_stopped(
    struct sandbox *sandbox, struct ecs_deployment *deployment, int64_t now_ms, const char *reason);
/// What its scenario does to it halfway.
void sandbox_ecs_interrupt(
    struct sandbox *sandbox, struct ecs_deployment *deployment, int64_t now_ms);

// --- aws_ecs_capacity.c: how many tasks of what run
/// The tasks of the deployment's target begin, and will run before `within_ms` is over.
void sandbox_ecs_capacity_start(
    struct sandbox *sandbox, struct ecs_deployment *deployment, int64_t now_ms, int64_t within_ms);
/// One task of the deployment's target begins.
struct ecs_task *sandbox_ecs_capacity_add(struct sandbox *sandbox, struct ecs_service *service,
    struct ecs_classic *classic, int64_t now_ms, int64_t run_at_ms);
/// Up to `most` tasks that do (`of`) or do not (`but`) belong to an entry of `deployments` stop.
void sandbox_ecs_capacity_retire_of(struct sandbox *sandbox, struct ecs_service *service,
    const struct ecs_classic *of, int64_t now_ms, int64_t most);
void sandbox_ecs_capacity_retire_but(struct sandbox *sandbox, struct ecs_service *service,
    const struct ecs_classic *but, int64_t now_ms, int64_t most);
/// Those that do not run yet never will.
void sandbox_ecs_capacity_drop_pending(struct sandbox *sandbox, struct ecs_service *service,
    const struct ecs_classic *of, int64_t now_ms);
/// More or fewer tasks of the PRIMARY entry, up to the desired count.
void sandbox_ecs_capacity_fit(
    struct sandbox *sandbox, struct ecs_service *service, int64_t now_ms, int64_t run_at_ms);
struct ecs_counts {
    int64_t running, pending;
};
/// Live tasks of an entry of `deployments`, of a revision, or of all (both NULL).
struct ecs_counts sandbox_ecs_capacity_count(const struct ecs_service *service,
    const struct ecs_classic *classic, const struct ecs_revision *revision);

// --- aws_ecs_stages.c: which stages a deployment passes through, and its hooks
void sandbox_ecs_plan_stages(struct sandbox *sandbox, struct ecs_deployment *deployment);
/// Half of the desired tasks, at least 3, at most 200.
int64_t sandbox_ecs_breaker_threshold(int64_t desired);

// --- aws_ecs_deployments.c
struct ecs_deployment *sandbox_ecs_deployment_find(struct sandbox *sandbox, const char *arn);
struct json *sandbox_ecs_deployment_json(
    struct sandbox *sandbox, const struct ecs_deployment *deployment);
void sandbox_ecs_list_deployments(struct aws_exchange *exchange);
void sandbox_ecs_describe_deployments(struct aws_exchange *exchange);
void sandbox_ecs_describe_revisions(struct aws_exchange *exchange);
void sandbox_ecs_stop_deployment(struct aws_exchange *exchange);
void sandbox_ecs_continue_deployment(struct aws_exchange *exchange);

// --- aws_ecs_task_life.c: tasks begin, run and end
struct ecs_task *sandbox_ecs_task_add(struct sandbox *sandbox, struct ecs_cluster *cluster,
    struct ecs_definition *definition, int64_t now_ms);
void sandbox_ecs_task_start(struct sandbox *sandbox, struct ecs_task *task, int64_t at_ms);
/// Ends it as `ending` says; moves it from the live to the stopped ones of its service.
void sandbox_ecs_task_end(
    struct sandbox *sandbox, struct ecs_task *task, int64_t at_ms, const struct ecs_ending *ending);
/// A task that runs by itself: what is due.
void sandbox_ecs_task_advance(struct sandbox *sandbox, struct ecs_task *task, int64_t now_ms);
void sandbox_ecs_task_list_add(struct ecs_task_list *list, struct ecs_task *task);
const char *sandbox_ecs_task_status(const struct ecs_task *task);

/// By id or ARN, in any cluster; NULL when there is none.
struct ecs_task *sandbox_ecs_task_find(struct ecs_state *ecs, const char *name);

// --- aws_ecs_tasks.c
struct json *sandbox_ecs_task_json(
    struct sandbox *sandbox, const struct ecs_task *task, bool with_tags);
void sandbox_ecs_run_task(struct aws_exchange *exchange);
void sandbox_ecs_stop_task(struct aws_exchange *exchange);
void sandbox_ecs_describe_tasks(struct aws_exchange *exchange);
void sandbox_ecs_list_tasks(struct aws_exchange *exchange);

// --- aws_ecs_scenarios.c
/// The scenario that the next deployment of the service takes, used up; NULL: none.
struct ecs_scenario *sandbox_ecs_scenario_take(
    struct ecs_state *ecs, const char *cluster, const char *subject, bool for_tasks);
/// The same, left in place.
struct ecs_scenario *sandbox_ecs_scenario_peek(
    struct ecs_state *ecs, const char *cluster, const char *subject, bool for_tasks);
/// POST /_sandbox/aws/ecs/scenario
void sandbox_ecs_control_scenario(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response);
struct json *sandbox_ecs_scenarios_json(const struct ecs_state *ecs);
/// "500ms", or a number of milliseconds, up to a year; false and *out untouched for anything else.
bool sandbox_ecs_read_ms(const struct json *value, int64_t *out);
int64_t sandbox_ecs_scenario_ms(
    const struct ecs_scenario *scenario, const char *option, int64_t fallback);
const char *sandbox_ecs_scenario_text(
    const struct ecs_scenario *scenario, const char *option, const char *fallback);
/// How the tasks of such a scenario end, in the words that were given or AWS's own.
struct ecs_ending sandbox_ecs_scenario_ending(const struct ecs_scenario *scenario);

/// POST /_sandbox/aws/ecs/pace: how long deployments take.
void sandbox_ecs_control_pace(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response);

// --- aws_ecs_express.c
void sandbox_ecs_express_create(struct aws_exchange *exchange);
void sandbox_ecs_express_describe(struct aws_exchange *exchange);
void sandbox_ecs_express_update(struct aws_exchange *exchange);
void sandbox_ecs_express_delete(struct aws_exchange *exchange);

// --- aws_ecs_apps.c
/// The revision answers 500 for a while, as the scenario's `requests` and `for` say.
void sandbox_ecs_apps_spoil(
    struct ecs_revision *revision, const struct ecs_scenario *scenario, int64_t now_ms);
/// The same for all that runs of the services that the scenario names.
void sandbox_ecs_apps_spoil_now(struct sandbox *sandbox, const struct ecs_scenario *scenario);

// --- aws_ecs_seed.c
/// POST /_sandbox/aws/ecs/seed
void sandbox_ecs_control_seed(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response);
