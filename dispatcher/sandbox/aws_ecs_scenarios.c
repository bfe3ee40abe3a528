// Scenarios: how the next deployments of a service, or the next tasks of a family, shall go. Told
// behind the API by POST /_sandbox/aws/ecs/scenario, used up one by one.
//
//     {"service": "shop-web",      of which service, "*": of any
//      "cluster": "production",    in which cluster; without it: in any
//      "scenario": "breaker-rollback",
//      "count": 1,                 how many deployments, "all"
//      "delay": "500ms",           how long the deployment takes
//      "exit_code": 3, "reason": "...", "log": ["..."], ...}
//
//     {"family": "migrate", "scenario": "exit", "exit_code": 1}     for RunTask
#include <string.h>

#include "aws_ecs_internal.h"
#include "dispatcher/memory.h"

#define MS_MAX (INT64_C(366) * 24 * 3600 * 1000)

static const struct {
    const char *name;
    enum ecs_course course;
    bool is_for_tasks;
} courses[] = {
    {"success", ECS_SUCCESS, false},
    {"breaker-rollback", ECS_BREAKER_ROLLBACK, false},
    {"rollback-failed", ECS_ROLLBACK_FAILED, false},
    {"superseded", ECS_SUPERSEDED, false},
    {"stopped", ECS_STOPPED, false},
    {"paused-hook", ECS_PAUSED_HOOK, false},
    {"no-deployment-found", ECS_NO_DEPLOYMENT, false},
    {"crash-loop", ECS_CRASH_LOOP, false},
    {"alarm", ECS_ALARM, false},
    {"unknown-status", ECS_UNKNOWN_STATUS, false},
    {"wrong-digest", ECS_WRONG_DIGEST, false},
    {"slow", ECS_SLOW, false},
    {"unhealthy-http", ECS_UNHEALTHY_HTTP, false},
    {"success", ECS_SUCCESS, true},
    {"exit", ECS_TASK_EXIT, true},
    {"not-started", ECS_TASK_NOT_STARTED, true},
    {"no-exit-code", ECS_TASK_NO_EXIT_CODE, true},
    {"no-capacity", ECS_TASK_NO_CAPACITY, true},
    {"hang", ECS_TASK_HANG, true},
};

static bool
fits(const char *pattern, const char *name)
{
    return fault_glob(pattern, name);
}

struct ecs_scenario *
sandbox_ecs_scenario_peek(
    struct ecs_state *ecs, const char *cluster, const char *subject, bool for_tasks)
{
    for (size_t i = 0; i < ecs->scenario_count; i++) {
        struct ecs_scenario *scenario = ecs->scenarios[i];
        if (scenario->left != 0 && scenario->is_for_tasks == for_tasks &&
            fits(scenario->cluster, cluster) && fits(scenario->subject, subject)) {
            return scenario;
        }
    }
    return NULL;
}

struct ecs_scenario *
sandbox_ecs_scenario_take(
    struct ecs_state *ecs, const char *cluster, const char *subject, bool for_tasks)
{
    struct ecs_scenario *scenario = sandbox_ecs_scenario_peek(ecs, cluster, subject, for_tasks);
    if (scenario != NULL && scenario->left > 0) {
        scenario->left--;
    }
    return scenario;
}

bool
sandbox_ecs_read_ms(const struct json *value, int64_t *out)
{
    int64_t ms = -1;
    if (json_is_int(value)) {
        ms = json_int(value, -1);
    } else if (json_str(value) == NULL || !fault_parse_duration(json_str(value), &ms)) {
        return false;
    }
    if (ms < 0 || ms > MS_MAX) {
        return false;
    }
    *out = ms;
    return true;
}

int64_t
sandbox_ecs_scenario_ms(const struct ecs_scenario *scenario, const char *option, int64_t fallback)
{
    int64_t ms = 0;
    return scenario != NULL && sandbox_ecs_read_ms(json_get(scenario->options, option), &ms)
               ? ms
               : fallback;
}

const char *
sandbox_ecs_scenario_text(
    const struct ecs_scenario *scenario, const char *option, const char *fallback)
{
    const char *text = scenario != NULL ? json_str(json_get(scenario->options, option)) : NULL;
    return text != NULL ? text : fallback;
}

struct ecs_ending
sandbox_ecs_scenario_ending(const struct ecs_scenario *scenario)
{
    const char *reason = sandbox_ecs_scenario_text(scenario, "reason", NULL);
    if (scenario->course == ECS_TASK_NOT_STARTED ||
        (reason != NULL && reason[0] == 'C' && strncmp(reason, "CannotPull", 10) == 0)) {
        const char *problem = reason != NULL ? reason
                                             : "CannotPullContainerError: pull image manifest has "
                                               "been retried 5 time(s): failed to resolve ref: "
                                               "not found";
        return (struct ecs_ending){.stop_code = "TaskFailedToStart",
            .stopped_reason = sandbox_ecs_scenario_text(scenario, "stopped_reason", problem),
            .container_reason = problem,
            .never_ran = true};
    }
    if (scenario->course == ECS_TASK_NO_EXIT_CODE) {
        return (struct ecs_ending){
            .stop_code = sandbox_ecs_scenario_text(scenario, "stop_code", "TerminationNotice"),
            .stopped_reason =
                sandbox_ecs_scenario_text(scenario, "stopped_reason", "Host terminated."),
            .container_reason = reason};
    }
    return (struct ecs_ending){
        .stop_code = sandbox_ecs_scenario_text(scenario, "stop_code", "EssentialContainerExited"),
        .stopped_reason = sandbox_ecs_scenario_text(
            scenario, "stopped_reason", "Essential container in task exited"),
        .container_reason = reason,
        .has_exit_code = !json_is_null(json_get(scenario->options, "exit_code")) ||
                         json_get(scenario->options, "exit_code") == NULL,
        .exit_code = json_int(json_get(scenario->options, "exit_code"), 1)};
}

// --- control -------------------------------------------------------------------------------------

static const char *
find_course(const struct json *order, bool for_tasks, enum ecs_course *out)
{
    const char *name = json_str(json_get(order, "scenario"));
    for (size_t i = 0; name != NULL && i < ARRAY_LENGTH(courses); i++) {
        if (courses[i].is_for_tasks == for_tasks && strcmp(courses[i].name, name) == 0) {
            *out = courses[i].course;
            return courses[i].name;
        }
    }
    return NULL;
}

static const char *
problem_of(struct arena *arena, const struct json *order)
{
    static const char *const durations[] = {"delay", "for", "bake_minute", "timeout"};
    const struct json *service = json_get(order, "service"), *family = json_get(order, "family");
    const struct json *count = json_get(order, "count");
    enum ecs_course course = ECS_SUCCESS;
    int64_t ms = 0;
    if ((json_str(service) == NULL) == (json_str(family) == NULL)) {
        return "one of 'service' and 'family' is needed, as text";
    }
    if (json_get(order, "cluster") != NULL && json_str(json_get(order, "cluster")) == NULL) {
        return "'cluster' is no text";
    }
    if (find_course(order, family != NULL, &course) == NULL) {
        return arena_printf(arena, "'scenario' is none that the sandbox has for %s",
            family != NULL ? "tasks" : "services");
    }
    if (count != NULL && !cstr_equal(json_str(count), "all") && json_int(count, 0) < 1) {
        return "'count' is neither a positive number nor \"all\"";
    }
    for (size_t i = 0; i < ARRAY_LENGTH(durations); i++) {
        const struct json *value = json_get(order, durations[i]);
        if (value != NULL && !sandbox_ecs_read_ms(value, &ms)) {
            return arena_printf(
                arena, "'%s' is no duration, as in \"500ms\" or \"2s\"", durations[i]);
        }
    }
    return NULL;
}

void
sandbox_ecs_control_scenario(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response)
{
    struct json *order CLEANUP(json_freep) = sandbox_request_json(request);
    struct ecs_state *ecs = sandbox->aws->ecs;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const char *problem = order != NULL ? problem_of(arena, order) : "not a JSON object";
    if (problem != NULL) {
        sandbox_reply_problem(response, 422, "%s", problem);
        return;
    }
    const char *service = json_str(json_get(order, "service"));
    const char *family = json_str(json_get(order, "family"));
    const char *cluster = json_str(json_get(order, "cluster"));
    bool all = cstr_equal(json_str(json_get(order, "count")), "all");
    struct ecs_scenario *scenario = arena_alloc(ecs->arena, sizeof(*scenario));
    *scenario = (struct ecs_scenario){.is_for_tasks = family != NULL,
        .cluster = cluster != NULL ? arena_dup(ecs->arena, cluster) : "*",
        .subject = arena_dup(ecs->arena, family != NULL ? family : service),
        .left = all ? -1 : json_int(json_get(order, "count"), 1),
        .options = sandbox_ecs_keep(ecs, json_clone(order))};
    (void)find_course(order, family != NULL, &scenario->course);
    response->status = 204;
    if (scenario->course == ECS_UNHEALTHY_HTTP &&
        json_bool(json_get(scenario->options, "now"), false)) {
        sandbox_ecs_apps_spoil_now(sandbox, scenario);
        return;
    }
    ecs->scenarios = xrealloc(ecs->scenarios, (ecs->scenario_count + 1) * sizeof(*ecs->scenarios));
    ecs->scenarios[ecs->scenario_count++] = scenario;
}

// {"service": NAME, "cluster": NAME, "delay": TIME, "bake_minute": TIME}; without a service: for
// all that have no pace of their own.
void
sandbox_ecs_control_pace(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response)
{
    struct ecs_state *ecs = sandbox->aws->ecs;
    struct json *order CLEANUP(json_freep) = sandbox_request_json(request);
    const struct json *delay = json_get(order, "delay"), *minute = json_get(order, "bake_minute");
    const char *name = json_str(json_get(order, "service"));
    int64_t delay_ms = -1, minute_ms = -1;
    if (order == NULL || (delay != NULL && !sandbox_ecs_read_ms(delay, &delay_ms)) ||
        (minute != NULL && !sandbox_ecs_read_ms(minute, &minute_ms))) {
        sandbox_reply_problem(
            response, 422, "'delay' and 'bake_minute' are durations, as in \"500ms\" or \"2s\"");
        return;
    }
    struct ecs_cluster *cluster =
        sandbox_ecs_cluster_find(ecs, json_str(json_get(order, "cluster")));
    struct ecs_service *service =
        name != NULL && cluster != NULL ? sandbox_ecs_service_find(sandbox, cluster, name) : NULL;
    if (name != NULL && service == NULL) {
        sandbox_reply_problem(response, 404, "there is no service '%s' in that cluster", name);
        return;
    }
    int64_t *slots[] = {service != NULL ? &service->delay_ms : &ecs->delay_ms,
        service != NULL ? &service->bake_minute_ms : &ecs->bake_minute_ms};
    *slots[0] = delay != NULL ? delay_ms : *slots[0];
    *slots[1] = minute != NULL ? minute_ms : *slots[1];
    response->status = 204;
}

struct json *
sandbox_ecs_scenarios_json(const struct ecs_state *ecs)
{
    struct json *list = json_make_array();
    for (size_t i = 0; i < ecs->scenario_count; i++) {
        struct json *item = json_clone(ecs->scenarios[i]->options);
        json_set_int(item, "left", ecs->scenarios[i]->left);
        json_append(list, item);
    }
    return list;
}
