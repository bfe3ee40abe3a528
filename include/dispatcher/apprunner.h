// App Runner: services, their source, and the operations that change them (facts/aws-rollout.md §3;
// API reference of App Runner 2020-05-15).
//
//     TRY(apprunner_find(aws, "shop-web", arena, &arn));
//     TRY(apprunner_describe(aws, arn, arena, &service));
//     TRY(apprunner_source_with_image(service.source_json, &change, arena, &source));
//     TRY(apprunner_update(aws, &(struct apprunner_update){&service, source}, arena, &started));
//     … apprunner_operations_list until started.operation_id is final
//
// The service going back to RUNNING says nothing: it does so after an automatic rollback too. Only
// the operation tells. Names are borrowed for the call; what comes back lives in the arena, made
// fit for one line, but for `…_json`, which is as it came and may hold values of environment
// variables: not for logs. Times are wall milliseconds, 0 when not said. Errors are aws_call's with
// what was asked in front. What changes a service is sent once: see ->request_left. Thread rule as
// aws.h.
#pragma once

#include "dispatcher/aws.h"

// --- services (apprunner.c) ----------------------------------------------------------------------

enum apprunner_service_state {
    APPRUNNER_SERVICE_UNKNOWN, // a word that is not known yet
    APPRUNNER_SERVICE_RUNNING,
    APPRUNNER_SERVICE_BUSY,   // OPERATION_IN_PROGRESS: takes no other
    APPRUNNER_SERVICE_PAUSED, // takes no new version before it is resumed
    APPRUNNER_SERVICE_CREATE_FAILED,
    APPRUNNER_SERVICE_DELETE_FAILED,
    APPRUNNER_SERVICE_DELETED,
};
enum apprunner_service_state apprunner_service_state_of(const char *status);

enum apprunner_kind { APPRUNNER_IMAGE, APPRUNNER_CODE };

struct apprunner_service {
    const char *arn; // NULL: there is none
    const char *id, *name;
    const char *url; // host name; NULL for a private service
    const char *status;
    enum apprunner_service_state state; // of `status`
    enum apprunner_kind kind;           // cannot change
    bool auto_deploys;                  // true unless it says false (the service's default)
    const char *port;                   // text, as App Runner has it; NULL: 8080
    const char *start_command;          // NULL: the image's, or in apprunner.yaml
    // image
    const char *image, *image_repository_type; // ECR | ECR_PUBLIC
    const char *access_role_arn;
    // code
    const char *repository_url, *branch, *source_directory;
    const char *configuration_source; // REPOSITORY (apprunner.yaml) | API
    const char *runtime, *build_command;
    const char *connection_arn;
    const char *cpu, *memory, *instance_role_arn;
    const char *vpc_connector_arn; // NULL: the internet
    bool is_public;                // true unless it says false
    int64_t created_ms, updated_ms;
    // As they came: SourceConfiguration, InstanceConfiguration, HealthCheckConfiguration,
    // NetworkConfiguration; the latter three NULL when not said.
    const char *source_json, *instance_json, *health_json, *network_json;
};
/// DescribeService; out->arn NULL when there is none (ResourceNotFoundException).
NODISCARD struct error *apprunner_describe(struct aws_session *session, const char *arn,
    struct arena *arena, struct apprunner_service *out);

struct apprunner_summary {
    const char *arn, *id, *name, *url, *status;
    enum apprunner_service_state state;
    int64_t created_ms, updated_ms;
};
/// ListServices, all pages.
NODISCARD struct error *apprunner_list(struct aws_session *session, struct arena *arena,
    struct apprunner_summary **out, size_t *count);
/// The ARN of the service of that name (one that is not deleted), or NULL. App Runner looks up by
/// ARN only: this reads the pages of ListServices until it is found.
NODISCARD struct error *apprunner_find(
    struct aws_session *session, const char *name, struct arena *arena, const char **arn);

/// "/aws/apprunner/<name>/<id>/service" (what App Runner did) or "…/application" (what the program
/// wrote). Pure.
const char *apprunner_log_group(
    const char *name, const char *id, bool of_application, struct arena *arena);

// --- tags (apprunner_tags.c) ---------------------------------------------------------------------

/// ListTagsForResource: name → value.
NODISCARD struct error *apprunner_tags_list(
    struct aws_session *session, const char *arn, struct arena *arena, struct pair_list *out);
/// TagResource: sets these, the others stay.
NODISCARD struct error *apprunner_tag(
    struct aws_session *session, const char *arn, const struct pair_list *tags);

// --- the source (apprunner_source.c), pure -------------------------------------------------------

enum apprunner_choice { APPRUNNER_KEEP, APPRUNNER_YES, APPRUNNER_NO };

// What is NULL or empty stays as it is. Variables that are named are set, the others stay; one that
// moves between environment and secrets leaves its old place.
struct apprunner_source_change {
    const char *image;           // image only: ImageIdentifier
    const char *access_role_arn; // image only
    const char *branch;          // the rest of code
    const char *build_command;
    const char *runtime;
    const char *connection_arn;
    const char *start_command, *port; // both kinds
    struct pair_list environment;     // name → value
    struct pair_list secrets;         // name → ARN of a parameter or secret
    enum apprunner_choice auto_deploys;
};
/// The whole SourceConfiguration with an image and what else is given, everything else as it came.
/// ERROR_SPEC when the source is code: App Runner cannot change that.
NODISCARD struct error *apprunner_source_with_image(const char *source_json,
    const struct apprunner_source_change *change, struct arena *arena, const char **out);
/// The same for a code source. ERROR_SPEC when it is an image, or when commands, port, runtime or
/// variables are given and the service takes them from apprunner.yaml in the repository.
NODISCARD struct error *apprunner_source_with_code(const char *source_json,
    const struct apprunner_source_change *change, struct arena *arena, const char **out);

// --- changes (apprunner_change.c) ----------------------------------------------------------------

struct apprunner_health_check {
    const char *protocol; // TCP | HTTP; NULL: App Runner's default
    const char *path;
    int64_t interval, timeout;  // seconds, 1 to 20; 0: default
    int64_t healthy, unhealthy; // checks in a row; 0: default
};

struct apprunner_start {
    const char *arn;          // of the service
    const char *operation_id; // NULL: App Runner did not say (some updates): list the operations
    const char *status;       // of the service in the answer; NULL: not said
};

struct apprunner_create {
    const char *name;
    enum apprunner_kind kind;
    // image
    const char *image;
    bool is_public_image;        // public.ecr.aws
    const char *access_role_arn; // needed for a private one
    // code
    const char *repository_url, *branch, *source_directory;
    const char *connection_arn;
    const char *runtime, *build_command; // NULL runtime: apprunner.yaml in the repository decides
    // both
    const char *start_command, *port;
    struct pair_list environment, secrets;
    const char *cpu, *memory, *instance_role_arn;
    const struct apprunner_health_check *health_check; // NULL: default (TCP)
    const char *auto_scaling_arn;
    const char *vpc_connector_arn; // NULL: the internet
    bool is_private;               // reached from inside the VPC only
    bool auto_deploys;             // a push by anybody deploys
    struct pair_list tags;
};
/// CreateService.
NODISCARD struct error *apprunner_create(struct aws_session *session,
    const struct apprunner_create *create, struct arena *arena, struct apprunner_start *out);

struct apprunner_update {
    const struct apprunner_service *current; // as described: what is sent is built on it
    const char *source_json; // whole, from apprunner_source_with_…; NULL: not sent
    // Sent only when given, on top of what `current` has in the same configuration.
    const char *cpu, *memory, *instance_role_arn;
    const struct apprunner_health_check *health_check;
    const char *auto_scaling_arn;
    const char *vpc_connector_arn;
};
/// UpdateService. ERROR_CONFLICT when the service is not in a state to be changed
/// (InvalidStateException): an operation runs, or it is paused.
NODISCARD struct error *apprunner_update(struct aws_session *session,
    const struct apprunner_update *update, struct arena *arena, struct apprunner_start *out);
/// StartDeployment: the newest commit, or the image its tag means now. ERROR_CONFLICT when App
/// Runner refuses it for the service's state.
NODISCARD struct error *apprunner_start_deployment(
    struct aws_session *session, const char *arn, struct arena *arena, struct apprunner_start *out);
/// PauseService, ResumeService, DeleteService. ERROR_CONFLICT as above.
NODISCARD struct error *apprunner_pause(
    struct aws_session *session, const char *arn, struct arena *arena, struct apprunner_start *out);
NODISCARD struct error *apprunner_resume(
    struct aws_session *session, const char *arn, struct arena *arena, struct apprunner_start *out);
NODISCARD struct error *apprunner_delete(
    struct aws_session *session, const char *arn, struct arena *arena, struct apprunner_start *out);

// --- operations (apprunner_operations.c) ---------------------------------------------------------

enum apprunner_operation_state {
    APPRUNNER_OPERATION_UNKNOWN, // a word that is not known yet: go on asking; never success
    APPRUNNER_OPERATION_PENDING,
    APPRUNNER_OPERATION_RUNNING,
    APPRUNNER_OPERATION_SUCCEEDED, // the only success
    APPRUNNER_OPERATION_FAILED,
    APPRUNNER_OPERATION_ROLLING_BACK,
    APPRUNNER_OPERATION_ROLLED_BACK,
    APPRUNNER_OPERATION_ROLLBACK_FAILED,
};
enum apprunner_operation_state apprunner_operation_state_of(const char *status);
/// Will it never change again?
bool apprunner_operation_is_final(enum apprunner_operation_state state);

struct apprunner_operation {
    const char *id;
    const char *type; // CREATE_SERVICE | UPDATE_SERVICE | START_DEPLOYMENT | PAUSE_SERVICE | …
    const char *status;
    enum apprunner_operation_state state;
    int64_t started_ms, ended_ms, updated_ms;
};
struct apprunner_operation_query {
    const char *service_arn;
    const char *until_id; // stop after the page that has it; NULL: none
    size_t max_pages;     // of 20; 0: 5
};
/// ListOperations, newest first.
NODISCARD struct error *apprunner_operations_list(struct aws_session *session,
    const struct apprunner_operation_query *query, struct arena *arena,
    struct apprunner_operation **out, size_t *count);
