// How an App Runner operation begins, goes on and ends, and what it writes to the service's logs.
// What calls begin one is aws_apprunner.c's.
#include <string.h>

#include "aws_apprunner_internal.h"
#include "aws_logs_internal.h"
#include "dispatcher/memory.h"

enum { STEPS_MAX = 4, SLOW_FACTOR = 10, DELAY_MS = 2000 };

struct step {
    int permille; // of the operation's time
    const char *status;
};

struct course {
    struct step steps[STEPS_MAX]; // one without a status ends them: nothing happens any more
};

#define BEGINS                                                                                     \
    {0, "PENDING"},                                                                                \
    {                                                                                              \
        100, "IN_PROGRESS"                                                                         \
    }
static const struct course success = {{BEGINS, {1000, "SUCCEEDED"}}};
static const struct course courses[APPRUNNER_COURSES] = {
    [APPRUNNER_ROLLBACK] = {{BEGINS, {500, "ROLLBACK_IN_PROGRESS"}, {1000, "ROLLBACK_SUCCEEDED"}}},
    [APPRUNNER_ROLLBACK_FAILED] = {{BEGINS, {500, "ROLLBACK_IN_PROGRESS"},
        {1000, "ROLLBACK_FAILED"}}},
    [APPRUNNER_FAILED] = {{BEGINS, {1000, "FAILED"}}},
    [APPRUNNER_UNKNOWN_STATUS] = {{BEGINS, {500, "?"}}},
    [APPRUNNER_STUCK] = {{BEGINS}},
};

static const struct step *
steps_of(const struct apprunner_operation *operation)
{
    const struct course *course = &courses[operation->course];
    return course->steps[0].status != NULL ? course->steps : success.steps;
}

static bool
deploys(const struct apprunner_operation *operation)
{
    return cstr_equal(operation->type, "CREATE_SERVICE") ||
           cstr_equal(operation->type, "UPDATE_SERVICE") ||
           cstr_equal(operation->type, "START_DEPLOYMENT");
}

// --- logs
// -----------------------------------------------------------------------------------------

static const char *
group_of(struct arena *arena, const struct apprunner_service *service, const char *which)
{
    return arena_printf(arena, "/aws/apprunner/%s/%s/%s", service->name, service->id, which);
}

static void say(struct sandbox *sandbox, const struct apprunner_service *service,
    const struct apprunner_operation *operation, int64_t at_ms, const char *format, ...)
    PRINTF_LIKE(5, 6);

// A line about the operation; without one, about the service.
static void
say(struct sandbox *sandbox, const struct apprunner_service *service,
    const struct apprunner_operation *operation, int64_t at_ms, const char *format, ...)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct buf text CLEANUP(buf_done) = BUF_INIT(16 * 1024);
    va_list args;
    va_start(args, format);
    buf_puts(&text, "[AppRunner] ");
    buf_vprintf(&text, format, args);
    va_end(args);
    const char *stream =
        operation != NULL ? arena_printf(arena, "deployment/%s", operation->id) : "events";
    sandbox_logs_put_at(
        sandbox, group_of(arena, service, "service"), stream, at_ms, buf_cstr(&text));
}

static void
say_application(struct sandbox *sandbox, const struct apprunner_service *service,
    const struct apprunner_operation *operation, int64_t at_ms)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const char *group = group_of(arena, service, "application");
    const char *stream = arena_printf(arena, "instance/%s", operation->id);
    for (size_t i = 0; i < json_count(operation->log); i++) {
        const char *line = json_str(json_at(operation->log, i));
        sandbox_logs_put_at(sandbox, group, stream, at_ms, line != NULL ? line : "");
    }
    if (operation->log == NULL) {
        sandbox_logs_put_at(sandbox, group, stream, at_ms,
            arena_printf(arena, "listening on port %s", sandbox_apprunner_port(service->settings)));
    }
}

static void
say_progress(struct sandbox *sandbox, const struct apprunner_service *service,
    const struct apprunner_operation *operation, int64_t at_ms)
{
    const struct json *ingress =
        json_path(service->settings, "NetworkConfiguration.IngressConfiguration");
    bool is_public = json_bool(json_get(ingress, "IsPubliclyAccessible"), true);
    const char *identifier = sandbox_apprunner_image_identifier(service->settings);
    say(sandbox, service, operation, at_ms, "%s",
        identifier != NULL ? "Starting to pull your application image."
                           : "Starting source code build.");
    if (operation->course == APPRUNNER_FAILED) {
        return;
    }
    say(sandbox, service, operation, at_ms, "%s",
        identifier != NULL ? "Successfully copied the image from ECR." : "Build succeeded.");
    say(sandbox, service, operation, at_ms,
        "Provisioning instances and deploying image for %s accessible service.",
        is_public ? "publicly" : "privately");
    say(sandbox, service, operation, at_ms, "Performing health check on path '/' and port '%s'.",
        sandbox_apprunner_port(service->settings));
    say_application(sandbox, service, operation, at_ms);
}

static const char *
reason_of(const struct apprunner_operation *operation)
{
    return operation->reason != NULL               ? operation->reason
           : operation->course == APPRUNNER_FAILED ? "Failed to copy the image from ECR"
                                                   : "Health check failed";
}

static void
say_failure(struct sandbox *sandbox, const struct apprunner_service *service,
    const struct apprunner_operation *operation, int64_t at_ms)
{
    if (operation->reason == NULL && operation->course != APPRUNNER_FAILED) {
        say(sandbox, service, operation, at_ms,
            "Health check failed on port '%s'. Check your configured port number. For more "
            "information, read the application logs.",
            sandbox_apprunner_port(service->settings));
    }
    say(sandbox, service, operation, at_ms, "Deployment with ID : %s failed. Failure reason : %s",
        operation->id, reason_of(operation));
}

// --- what becomes of the service
// -----------------------------------------------------------------

static void
come_back(struct apprunner_service *service, struct apprunner_operation *operation)
{
    service->status = operation->status_before;
    if (operation->before != NULL) {
        json_free(service->settings);
        service->settings = operation->before;
        operation->before = NULL;
    }
}

static void
succeed(struct sandbox *sandbox, struct apprunner_service *service,
    struct apprunner_operation *operation, int64_t at_ms)
{
    if (cstr_equal(operation->type, "PAUSE_SERVICE")) {
        service->status = "PAUSED";
    } else if (cstr_equal(operation->type, "DELETE_SERVICE")) {
        service->status = "DELETED";
        service->deleted_ms = at_ms;
    } else {
        service->status = "RUNNING";
    }
    if (deploys(operation)) {
        struct arena *arena = sandbox_apprunner_state(sandbox)->arena;
        service->image = arena_dup(arena, sandbox_apprunner_image_identifier(service->settings));
        service->digest = operation->digest;
        service->is_broken = false;
        service->unhealthy_left = 0;
    }
    if (operation->course == APPRUNNER_UNHEALTHY_HTTP) {
        sandbox_apprunner_spoil(sandbox, service, operation->order);
    }
}

static void begin_at(struct sandbox *sandbox, struct apprunner_service *service,
    struct apprunner_operation *operation, const struct apprunner_scenario *scenario,
    int64_t at_ms);

static struct apprunner_operation *
new_operation(struct sandbox *sandbox, const char *type, struct json *before)
{
    struct arena *arena = sandbox_apprunner_state(sandbox)->arena;
    struct apprunner_operation *operation = arena_alloc(arena, sizeof(*operation));
    operation->id = sandbox_random(sandbox, arena, 16);
    operation->type = type;
    operation->before = before;
    return operation;
}

static void
finish(struct sandbox *sandbox, struct apprunner_service *service,
    struct apprunner_operation *operation, int64_t at_ms)
{
    const char *status = operation->status;
    if (cstr_equal(status, "SUCCEEDED")) {
        succeed(sandbox, service, operation, at_ms);
    } else if (cstr_equal(status, "ROLLBACK_FAILED")) {
        service->status = operation->status_before;
        service->is_broken = true;
    } else {
        come_back(service, operation);
    }
    operation->ended_ms = at_ms;
    service->updated_ms = at_ms;
    service->current = NULL;
    say(sandbox, service, NULL, at_ms, "Service status is set to %s.", service->status);
    bool again = service->wants_deployment && cstr_equal(service->status, "RUNNING");
    service->wants_deployment = false;
    if (again) {
        begin_at(sandbox, service, new_operation(sandbox, "START_DEPLOYMENT", NULL), NULL, at_ms);
    }
}

static void
say_step(struct sandbox *sandbox, const struct apprunner_service *service,
    const struct apprunner_operation *operation, int64_t at_ms)
{
    const char *status = operation->status;
    if (!deploys(operation)) {
        return;
    }
    if (cstr_equal(status, "IN_PROGRESS")) {
        say_progress(sandbox, service, operation, at_ms);
    } else if (cstr_equal(status, "ROLLBACK_IN_PROGRESS") || cstr_equal(status, "FAILED")) {
        say_failure(sandbox, service, operation, at_ms);
    } else if (cstr_equal(status, "ROLLBACK_SUCCEEDED")) {
        say(sandbox, service, operation, at_ms, "Rolled back to the previous version.");
    } else if (cstr_equal(status, "ROLLBACK_FAILED")) {
        say(sandbox, service, operation, at_ms, "Failed to roll back to the previous version.");
    } else if (cstr_equal(status, "SUCCEEDED")) {
        say(sandbox, service, operation, at_ms,
            "Health check is successful. Routing traffic to application.");
        say(sandbox, service, operation, at_ms, "Deployment with ID : %s succeeded.",
            operation->id);
    }
}

// Lets happen what is due.
static void
advance_service(struct sandbox *sandbox, struct apprunner_service *service, int64_t now_ms)
{
    while (service->current != NULL) {
        struct apprunner_operation *operation = service->current;
        size_t next = operation->steps;
        const struct step *steps = steps_of(operation);
        if (next == STEPS_MAX || steps[next].status == NULL) {
            return; // for ever
        }
        int64_t due = operation->created_ms + operation->delay_ms * steps[next].permille / 1000;
        if (due > now_ms) {
            return;
        }
        bool is_odd = strcmp(steps[next].status, "?") == 0;
        operation->status = is_odd ? operation->odd_status : steps[next].status;
        operation->steps++;
        operation->updated_ms = due;
        json_append(operation->passed, json_make_string(operation->status));
        say_step(sandbox, service, operation, due);
        if (steps[next].permille == 1000) {
            finish(sandbox, service, operation, due);
        }
    }
}

void
sandbox_apprunner_advance(struct sandbox *sandbox)
{
    struct apprunner_state *state = sandbox->aws->apprunner;
    int64_t now = sandbox_now(sandbox);
    for (size_t i = 0; state != NULL && i < state->service_count; i++) {
        advance_service(sandbox, state->services[i], now);
    }
}

const char *
sandbox_apprunner_status(const struct apprunner_service *service)
{
    return service->current != NULL ? "OPERATION_IN_PROGRESS" : service->status;
}

// --- beginning
// ------------------------------------------------------------------------------------

struct apprunner_scenario *
sandbox_apprunner_scenario_take(
    struct apprunner_state *state, const char *service, bool is_automatic)
{
    for (size_t i = 0; i < state->scenario_count; i++) {
        struct apprunner_scenario *scenario = state->scenarios[i];
        bool wants = json_bool(json_get(scenario->order, "automatic"), false);
        if (scenario->left != 0 && wants == is_automatic &&
            fault_glob(scenario->service, service)) {
            scenario->left -= scenario->left > 0;
            return scenario;
        }
    }
    return NULL;
}

static void
follow_scenario(struct apprunner_state *state, struct apprunner_operation *operation,
    const struct apprunner_scenario *scenario)
{
    const struct json *order = scenario->order;
    const struct json *log = json_get(order, "log");
    const char *odd = json_str(json_get(order, "status"));
    operation->course = scenario->course;
    operation->reason = arena_dup(state->arena, json_str(json_get(order, "reason")));
    operation->odd_status = arena_dup(state->arena, odd != NULL ? odd : "QUARANTINED");
    operation->log = json_is_array(log) ? json_clone(log) : NULL;
    operation->is_hidden = scenario->course == APPRUNNER_HIDDEN;
    if (scenario->course == APPRUNNER_SLOW) {
        operation->delay_ms *= SLOW_FACTOR;
    }
    operation->delay_ms = sandbox_apprunner_ms(order, "delay", operation->delay_ms);
    operation->order = order;
}

// Its image as of now. One that is not there ends in failure, whatever was planned.
static void
take_image(struct sandbox *sandbox, const struct apprunner_service *service,
    struct apprunner_operation *operation)
{
    struct arena *arena = sandbox_apprunner_state(sandbox)->arena;
    struct apprunner_image image;
    sandbox_apprunner_image(
        sandbox, arena, sandbox_apprunner_image_identifier(service->settings), &image);
    operation->digest = image.digest;
    if (image.is_own && image.digest == NULL) {
        operation->course = APPRUNNER_FAILED;
        operation->reason =
            arena_printf(arena, "Failed to pull your application image '%s': it does not exist.",
                sandbox_apprunner_image_identifier(service->settings));
    }
}

static void
begin_at(struct sandbox *sandbox, struct apprunner_service *service,
    struct apprunner_operation *operation, const struct apprunner_scenario *scenario, int64_t at_ms)
{
    struct apprunner_state *state = sandbox_apprunner_state(sandbox);
    int64_t given = sandbox->options->rollout_delay;
    operation->status_before = service->status;
    operation->created_ms = operation->updated_ms = at_ms;
    operation->delay_ms = state->delay_ms >= 0 ? state->delay_ms : given > 0 ? given : DELAY_MS;
    if (scenario != NULL) {
        follow_scenario(state, operation, scenario);
    }
    bool rolls_back =
        operation->course == APPRUNNER_ROLLBACK || operation->course == APPRUNNER_ROLLBACK_FAILED;
    if (deploys(operation)) {
        take_image(sandbox, service, operation);
    }
    // There is nothing to come back to, or nothing that was rolled out. What was seeded runs.
    if (rolls_back && (!deploys(operation) || cstr_equal(operation->type, "CREATE_SERVICE"))) {
        operation->course = APPRUNNER_FAILED;
        operation->reason = operation->reason != NULL ? operation->reason : "Health check failed";
    }
    service->operations = xrealloc(
        service->operations, (service->operation_count + 1) * sizeof(struct apprunner_operation *));
    service->operations[service->operation_count++] = operation;
    service->current = operation;
    service->updated_ms = at_ms;
    operation->status = steps_of(operation)[0].status;
    operation->steps = 1;
    operation->passed = json_make_array();
    json_append(operation->passed, json_make_string(operation->status));
    say(sandbox, service, NULL, at_ms, "Service status is set to OPERATION_IN_PROGRESS.");
    if (deploys(operation)) {
        say(sandbox, service, NULL, at_ms, "Deployment with ID : %s started.", operation->id);
    }
}

struct apprunner_operation *
sandbox_apprunner_begin(struct sandbox *sandbox, struct apprunner_service *service,
    const char *type, const struct apprunner_scenario *scenario, struct json *before)
{
    struct apprunner_operation *operation = new_operation(sandbox, type, before);
    begin_at(sandbox, service, operation, scenario, sandbox_now(sandbox));
    return operation;
}

void
sandbox_apprunner_pushed(struct sandbox *sandbox, const char *repository, const char *tag)
{
    struct apprunner_state *state = sandbox->aws->apprunner;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    sandbox_apprunner_advance(sandbox);
    for (size_t i = 0; state != NULL && i < state->service_count; i++) {
        struct apprunner_service *service = state->services[i];
        const char *identifier = sandbox_apprunner_image_identifier(service->settings);
        struct apprunner_image image;
        sandbox_apprunner_image(sandbox, arena, identifier, &image);
        bool tracks = image.is_own && !image.is_digest &&
                      strcmp(image.repository, repository) == 0 && strcmp(image.what, tag) == 0 &&
                      sandbox_apprunner_auto_deploys(service->settings);
        if (tracks && service->current != NULL) {
            service->wants_deployment = true;
        } else if (tracks && cstr_equal(service->status, "RUNNING")) {
            (void)sandbox_apprunner_begin(sandbox, service, "START_DEPLOYMENT",
                sandbox_apprunner_scenario_take(state, service->name, true), NULL);
        }
    }
}
