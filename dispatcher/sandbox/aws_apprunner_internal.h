// The sandbox's App Runner: services, and the operations that change them, one at a time each. All
// under the sandbox's lock, all in memory until the next reset.
//
// Time is not a thread: an operation knows when its next step is due, and whoever asks AWS anything
// lets all steps happen that are due by then (sandbox_apprunner_advance). A rollback brings the old
// configuration back, and no answer says why: that stands in the service's log group only.
//
// Protocol: the service model "apprunner" 2020-05-15, JSON 1.0, whose errors say "Message".
#pragma once

#include "aws_internal.h"

enum apprunner_course { // what a scenario makes of the next operation
    APPRUNNER_SUCCESS,
    APPRUNNER_ROLLBACK,
    APPRUNNER_ROLLBACK_FAILED,
    APPRUNNER_FAILED,
    APPRUNNER_NO_OPERATION_ID,
    APPRUNNER_AUTO_DEPLOY_RACE,
    APPRUNNER_SLOW,
    APPRUNNER_UNKNOWN_STATUS,
    APPRUNNER_STUCK,
    APPRUNNER_HIDDEN,
    APPRUNNER_HTML_500,
    APPRUNNER_UNHEALTHY_HTTP,
    APPRUNNER_COURSES,
};

struct apprunner_scenario {
    enum apprunner_course course;
    const char *service; // glob of names
    int64_t left;        // operations that it still applies to; -1: all
    struct json *order;  // as it was given
};

struct apprunner_operation {
    const char *id, *type, *status;
    enum apprunner_course course;
    const char *status_before; // of the service
    const char *reason;        // why it does not succeed, for the log; NULL: AWS's usual words
    const char *odd_status;    // what an unknown status is called
    struct json *passed;       // statuses that it has had, in their order
    struct json *log;          // lines that the application writes, or NULL
    const struct json *order;  // of its scenario, or NULL
    struct json *before;       // settings to come back to
    const char *digest;        // image that it brings; NULL: none, or not known
    int64_t created_ms, updated_ms, ended_ms; // 0: has not ended
    int64_t delay_ms;                         // from its start to its end
    size_t steps;                             // of its course, done so far
    bool is_hidden;                           // listed behind 25 others
};

struct apprunner_service {
    const char *name, *id, *arn, *url;
    const char *status;    // without an operation: RUNNING, PAUSED, CREATE_FAILED, DELETED
    struct json *settings; // the members of CreateService, with defaults
    struct json *tags;     // array
    const char *image;     // identifier of the image that runs; NULL: none, or code
    const char *digest;    // of that image; NULL: not known
    bool is_broken;        // neither old nor new runs: a rollback has failed
    bool wants_deployment; // the tracked tag was pushed during an operation
    int64_t created_ms, updated_ms, deleted_ms;
    int64_t unhealthy_left, unhealthy_until_ms; // GET /apps/NAME: -1 and 0 are for ever
    struct apprunner_operation **operations;    // oldest first
    size_t operation_count;
    struct apprunner_operation *current; // NULL: none is in progress
};

struct apprunner_state {
    struct arena *arena;
    struct apprunner_service **services; // deleted ones, too
    size_t service_count;
    struct apprunner_scenario **scenarios;
    size_t scenario_count;
    struct json *connections, *vpc_connectors, *scalings; // arrays, as answered
    int64_t delay_ms;                                     // -1: the sandbox's
};

// What an image identifier stands for.
struct apprunner_image {
    bool is_own; // of the sandbox's registry
    bool is_digest;
    const char *repository, *what; // "shop-web", a tag or digest
    const char *digest;            // NULL: not there, or not known
};

// --- aws_apprunner.c: the operations of the API on services
struct apprunner_state *sandbox_apprunner_state(struct sandbox *sandbox);
void sandbox_apprunner_handle(struct aws_exchange *exchange);
void sandbox_apprunner_forget(struct aws_state *aws);
/// By ARN, deleted ones too; NULL and an answer when there is none.
struct apprunner_service *sandbox_apprunner_service_of(struct aws_exchange *exchange);
/// By name, not deleted; NULL when there is none. What is due has happened.
struct apprunner_service *sandbox_apprunner_find(struct sandbox *sandbox, const char *name);
/// `settings` as in CreateService, copied; RUNNING, without an operation.
struct apprunner_service *sandbox_apprunner_add(
    struct sandbox *sandbox, const char *name, const struct json *settings);

// --- aws_apprunner_settings.c
/// Settings as `request` would have them: `old` (NULL: none) with what it names replaced, defaults
/// filled in. NULL and *problem for what App Runner does not take.
struct json *sandbox_apprunner_settings(struct sandbox *sandbox, const struct json *old,
    const struct json *request, const char **problem);
const char *sandbox_apprunner_image_identifier(const struct json *settings); // NULL: code
void sandbox_apprunner_image(struct sandbox *sandbox, struct arena *arena, const char *identifier,
    struct apprunner_image *out);
bool sandbox_apprunner_auto_deploys(const struct json *settings);
/// Where the application listens: "8080".
const char *sandbox_apprunner_port(const struct json *settings);

// --- aws_apprunner_operation.c: how an operation begins, goes on and ends
/// Takes the next scenario of the service, or of deployments that a push starts; NULL: as usual.
struct apprunner_scenario *sandbox_apprunner_scenario_take(
    struct apprunner_state *state, const char *service, bool is_automatic);
/// Begins an operation of a service that has none. `before` (NULL: none, taken over): settings that
/// a rollback comes back to.
struct apprunner_operation *sandbox_apprunner_begin(struct sandbox *sandbox,
    struct apprunner_service *service, const char *type, const struct apprunner_scenario *scenario,
    struct json *before);
/// Everything that is due anywhere.
void sandbox_apprunner_advance(struct sandbox *sandbox);
/// A tag was pushed to the sandbox's registry, or moved there.
void sandbox_apprunner_pushed(struct sandbox *sandbox, const char *repository, const char *tag);
/// The status as DescribeService has it.
const char *sandbox_apprunner_status(const struct apprunner_service *service);

// --- aws_apprunner_shape.c: answers
struct json *sandbox_apprunner_service_json(
    struct sandbox *sandbox, const struct apprunner_service *service);
void sandbox_apprunner_list_services(struct aws_exchange *exchange);
void sandbox_apprunner_list_operations(struct aws_exchange *exchange);
/// A page of `list` (taken over), which holds at most `most` items.
void sandbox_apprunner_reply_page(
    struct aws_exchange *exchange, const char *key, struct json *list, int64_t most);
void sandbox_apprunner_set_time(struct json *object, const char *key, int64_t wall_ms);
/// All services with what runs in them.
struct json *sandbox_apprunner_state_json(struct sandbox *sandbox);

// --- aws_apprunner_parts.c: what services are connected with
/// The summary of a scaling configuration; NULL: no such ARN. A NULL ARN is the default one.
const struct json *sandbox_apprunner_scaling(struct sandbox *sandbox, const char *arn);
/// Is there a connection of that ARN which somebody completed?
bool sandbox_apprunner_is_connected(struct sandbox *sandbox, const char *arn);
/// `arn` NULL: one of its own.
void sandbox_apprunner_connection_add(struct sandbox *sandbox, const char *name, const char *arn,
    const char *provider, const char *status);
void sandbox_apprunner_create_connection(struct aws_exchange *exchange);
void sandbox_apprunner_list_connections(struct aws_exchange *exchange);
void sandbox_apprunner_create_vpc_connector(struct aws_exchange *exchange);
void sandbox_apprunner_describe_vpc_connector(struct aws_exchange *exchange);
void sandbox_apprunner_list_vpc_connectors(struct aws_exchange *exchange);
void sandbox_apprunner_create_scaling(struct aws_exchange *exchange);
void sandbox_apprunner_list_tags(struct aws_exchange *exchange);
void sandbox_apprunner_tag_resource(struct aws_exchange *exchange);
void sandbox_apprunner_untag_resource(struct aws_exchange *exchange);

// --- aws_apprunner_apps.c
/// From now on what runs answers 500, as the order says: "requests" so often, "for" so long.
void sandbox_apprunner_spoil(
    struct sandbox *sandbox, struct apprunner_service *service, const struct json *order);

// --- aws_apprunner_control.c
/// A duration of an order: milliseconds, or text as in "500ms".
int64_t sandbox_apprunner_ms(const struct json *order, const char *key, int64_t fallback);
/// POST /_sandbox/aws/apprunner/scenario
void sandbox_apprunner_control_scenario(struct sandbox *sandbox,
    const struct sandbox_request *request, struct sandbox_response *response);
/// POST /_sandbox/aws/apprunner/seed
void sandbox_apprunner_control_seed(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response);
