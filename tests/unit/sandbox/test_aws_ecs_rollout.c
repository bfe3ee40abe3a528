// Rollouts of the sandbox's ECS on a clock that jumps: which states follow each other when, what
// runs meanwhile, how each scenario ends. Calls go to the operations themselves, without HTTP.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "aws_ecs_internal.h"
#include "dispatcher/memory.h"
#include "fake_platform.h"
#include "registry_internal.h"

enum { DELAY = 1000 };

struct lab {
    struct fake_platform *fake;
    struct sandbox_options options;
    struct registry_state registry;
    struct sandbox sandbox;
    struct arena *arena;
    struct json *answers[256]; // freed at the end
    size_t answer_count;
    int status; // of the last call
};

static void
set_up(struct lab *lab)
{
    *lab = (struct lab){.fake = fake_platform_new(NULL), .arena = arena_new()};
    lab->options.rollout_delay = DELAY;
    lab->sandbox = (struct sandbox){.platform = &lab->fake->platform,
        .options = &lab->options,
        .registry = &lab->registry,
        .host = xstrdup("127.0.0.1:5000"),
        .origin = xstrdup("http://127.0.0.1:5000")};
    struct error *err = sandbox_aws_start(&lab->sandbox);
    assert_null(err);
}

static void
tear_down(struct lab *lab)
{
    for (size_t i = 0; i < lab->answer_count; i++) {
        json_free(lab->answers[i]);
    }
    sandbox_aws_stop(&lab->sandbox);
    free(lab->sandbox.host);
    free(lab->sandbox.origin);
    arena_free(lab->arena);
    fake_platform_free(lab->fake);
}

static struct json *
parsed(const char *text)
{
    struct json *value = NULL;
    struct error *err = json_parse(str_of(text), &json_limits_default, &value);
    assert_null(err);
    return value;
}

static const struct json *
keep(struct lab *lab, struct sandbox_response *response)
{
    struct json *answer = NULL;
    lab->status = response->status;
    if (response->body.len > 0) {
        answer = parsed(buf_cstr(&response->body));
        BUG_ON(lab->answer_count == ARRAY_LENGTH(lab->answers));
        lab->answers[lab->answer_count++] = answer;
    }
    sandbox_response_done(response);
    return answer;
}

// The answer of an operation; the caller borrows it. `format` is JSON with ' for ".
static const struct json *PRINTF_LIKE(3, 4)
    call(struct lab *lab, const char *operation, const char *format, ...)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    for (size_t i = 0; i < text.len; i++) {
        text.ptr[i] = text.ptr[i] == '\'' ? '"' : text.ptr[i];
    }
    struct json *body CLEANUP(json_freep) = parsed(buf_cstr(&text));
    struct sandbox_request request = {.arena = lab->arena};
    struct sandbox_response response = {0};
    struct aws_exchange exchange = {.sandbox = &lab->sandbox,
        .request = &request,
        .response = &response,
        .operation = operation,
        .body = body,
        .key = lab->sandbox.aws->own,
        .region = "us-east-1"};
    sandbox_ecs_handle(&exchange);
    return keep(lab, &response);
}

static void
control(struct lab *lab,
    void (*run)(struct sandbox *sandbox, const struct sandbox_request *request,
        struct sandbox_response *response),
    const char *text)
{
    struct sandbox_request request = {.arena = lab->arena};
    struct sandbox_response response = {0};
    buf_init(&request.body, 64 * 1024);
    buf_puts(&request.body, text);
    for (size_t i = 0; i < request.body.len; i++) {
        request.body.ptr[i] = request.body.ptr[i] == '\'' ? '"' : request.body.ptr[i];
    }
    run(&lab->sandbox, &request, &response);
    (void)keep(lab, &response);
    buf_done(&request.body);
    assert_in_range(lab->status, 200, 204);
}

static void
scenario(struct lab *lab, const char *text)
{
    control(lab, sandbox_ecs_control_scenario, text);
}

static const char *
text_at(const struct json *value, const char *path)
{
    return json_str(json_path(value, path));
}

// --- a world: cluster "prod", service "web" of image web:1, two tasks, at rest ------------------

static void
seed(struct lab *lab, const char *configuration)
{
    char *text CLEANUP(xfreep) =
        xasprintf("{'clusters': [{'name': 'prod', 'services': [{'name': 'web', 'desiredCount': 2, "
                  "'image': 'shop/web:1', 'deploymentConfiguration': %s}]}]}",
            configuration);
    control(lab, sandbox_ecs_control_seed, text);
}

static void
register_image(struct lab *lab, const char *image)
{
    (void)call(lab, "RegisterTaskDefinition",
        "{'family': 'web', 'containerDefinitions': [{'name': 'web', 'memory': 64, 'image': '%s'}]}",
        image);
    assert_int_equal(lab->status, 200);
}

// Starts a deployment of what the family "web" is now; its ARN, or NULL when none was started.
static const char *
deploy(struct lab *lab)
{
    const struct json *answer = call(lab, "UpdateService",
        "{'cluster': 'prod', 'service': 'web', 'taskDefinition': 'web', "
        "'forceNewDeployment': true}");
    assert_int_equal(lab->status, 200);
    return text_at(answer, "service.currentServiceDeployment");
}

static const struct json *
deployment(struct lab *lab, const char *arn)
{
    const struct json *answer =
        call(lab, "DescribeServiceDeployments", "{'serviceDeploymentArns': ['%s']}", arn);
    return json_at(json_get(answer, "serviceDeployments"), 0);
}

static const struct json *
service(struct lab *lab)
{
    const struct json *answer =
        call(lab, "DescribeServices", "{'cluster': 'prod', 'services': ['web']}");
    return json_at(json_get(answer, "services"), 0);
}

static void
advance(struct lab *lab, int64_t ms)
{
    fake_platform_advance(lab->fake, ms);
}

// Every status it has until it rests, each once, as "A B C".
static const char *
statuses(struct lab *lab, const char *arn, const char *member)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    char last[64] = "";
    struct ecs_deployment *one = sandbox_ecs_deployment_find(&lab->sandbox, arn);
    assert_non_null(one);
    for (int i = 0; i < 2000; i++) {
        struct json *now CLEANUP(json_freep) = sandbox_ecs_deployment_json(&lab->sandbox, one);
        const char *status = json_str(json_get(now, member));
        if (status != NULL && strcmp(status, last) != 0) {
            buf_printf(&text, "%s%s", text.len > 0 ? " " : "", status);
            (void)snprintf(last, sizeof(last), "%s", status);
        }
        advance(lab, DELAY / 50);
        (void)sandbox_ecs_deployment_find(&lab->sandbox, arn);
    }
    return arena_str(lab->arena, buf_str(&text));
}

static const struct json *
tasks(struct lab *lab, const char *status)
{
    const struct json *listed = call(lab, "ListTasks",
        "{'cluster': 'prod', 'serviceName': 'web', 'desiredStatus': '%s'}", status);
    const struct json *arns = json_get(listed, "taskArns");
    if (json_count(arns) == 0) {
        return NULL;
    }
    char *text CLEANUP(xfreep) = json_text(arns);
    return json_get(call(lab, "DescribeTasks", "{'cluster': 'prod', 'tasks': %s}", text), "tasks");
}

// "image image" of what runs, by container.
static const char *
running_images(struct lab *lab)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(4096);
    const struct json *list = tasks(lab, "RUNNING");
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *task = json_at(list, i);
        if (cstr_equal(text_at(task, "lastStatus"), "RUNNING")) {
            buf_printf(&text, "%s%s", text.len > 0 ? " " : "",
                text_at(json_at(json_get(task, "containers"), 0), "image"));
        }
    }
    return arena_str(lab->arena, buf_str(&text));
}

static void
assert_text(const char *seen, const char *wanted)
{
    assert_non_null(seen);
    assert_string_equal(seen, wanted);
}

static const char breaker[] = "{'deploymentCircuitBreaker': {'enable': true, 'rollback': true}}";

// --- success
// --------------------------------------------------------------------------------------

static void
a_deployment_replaces_one_task_at_a_time(void **state)
{
    (void)state;
    struct lab lab;
    set_up(&lab);
    seed(&lab, "{}");
    assert_text(running_images(&lab), "shop/web:1 shop/web:1");
    register_image(&lab, "shop/web:2");
    const char *arn = deploy(&lab);
    assert_text(text_at(deployment(&lab, arn), "status"), "PENDING");
    advance(&lab, DELAY / 10);
    assert_text(text_at(deployment(&lab, arn), "status"), "IN_PROGRESS");
    assert_text(running_images(&lab), "shop/web:1 shop/web:1");
    // 20 % + 60 % / 2 of the stage
    advance(&lab, DELAY / 2);
    assert_text(running_images(&lab), "shop/web:1 shop/web:2");
    advance(&lab, DELAY / 2 - 1);
    assert_text(text_at(deployment(&lab, arn), "status"), "IN_PROGRESS");
    assert_text(running_images(&lab), "shop/web:2 shop/web:2");
    const struct json *classics = json_get(service(&lab), "deployments");
    assert_int_equal(json_count(classics), 2);
    assert_text(text_at(json_at(classics, 0), "status"), "PRIMARY");
    assert_text(text_at(json_at(classics, 0), "rolloutState"), "IN_PROGRESS");
    advance(&lab, DELAY / 10 + 1);
    const struct json *done = deployment(&lab, arn);
    assert_text(text_at(done, "status"), "SUCCESSFUL");
    assert_int_equal(json_int(json_path(done, "targetServiceRevision.runningTaskCount"), 0), 2);
    assert_true(
        json_number(json_get(done, "finishedAt"), 0) > json_number(json_get(done, "startedAt"), 0));
    const struct json *rest = service(&lab);
    assert_null(json_get(rest, "currentServiceDeployment"));
    assert_int_equal(json_count(json_get(rest, "deployments")), 1);
    assert_text(text_at(json_at(json_get(rest, "deployments"), 0), "rolloutState"), "COMPLETED");
    assert_text(text_at(rest, "taskDefinition"),
        "arn:aws:ecs:us-east-1:123456789012:task-definition/web:2");
    assert_text(
        text_at(json_at(tasks(&lab, "STOPPED"), 0), "stopCode"), "ServiceSchedulerInitiated");
    tear_down(&lab);
}

static void
only_some_changes_start_a_deployment(void **state)
{
    (void)state;
    static const struct {
        const char *change;
        bool starts;
    } cases[] = {
        {"'desiredCount': 3", false},
        {"'deploymentConfiguration': {'maximumPercent': 150}", false},
        {"'enableExecuteCommand': true", false},
        {"'taskDefinition': 'web:1'", false},
        {"'taskDefinition': 'web:1', 'forceNewDeployment': true", true},
        {"'taskDefinition': 'web:2'", true},
        {"'taskDefinition': 'web'", true},
        {"'platformVersion': '1.4.0'", true},
        {"'networkConfiguration': {'awsvpcConfiguration': {'subnets': ['subnet-1']}}", true},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct lab lab;
        set_up(&lab);
        seed(&lab, "{}");
        register_image(&lab, "shop/web:2");
        const struct json *answer = call(
            &lab, "UpdateService", "{'cluster': 'prod', 'service': 'web', %s}", cases[i].change);
        assert_int_equal(lab.status, 200);
        const struct json *list =
            json_get(call(&lab, "ListServiceDeployments", "{'cluster': 'prod', 'service': 'web'}"),
                "serviceDeployments");
        assert_int_equal(json_count(list), cases[i].starts ? 2 : 1);
        assert_int_equal(json_get(json_get(answer, "service"), "currentServiceDeployment") != NULL,
            cases[i].starts);
        tear_down(&lab);
    }
}

static void
a_desired_count_is_reached_without_a_deployment(void **state)
{
    (void)state;
    struct lab lab;
    set_up(&lab);
    seed(&lab, "{}");
    (void)call(&lab, "UpdateService", "{'cluster': 'prod', 'service': 'web', 'desiredCount': 4}");
    assert_int_equal(json_int(json_get(service(&lab), "pendingCount"), -1), 2);
    advance(&lab, DELAY);
    assert_int_equal(json_int(json_get(service(&lab), "runningCount"), -1), 4);
    (void)call(&lab, "UpdateService", "{'cluster': 'prod', 'service': 'web', 'desiredCount': 0}");
    assert_int_equal(json_int(json_get(service(&lab), "runningCount"), -1), 0);
    const char *arn = deploy(&lab); // nothing to start is a success
    assert_text(statuses(&lab, arn, "status"), "PENDING IN_PROGRESS SUCCESSFUL");
    tear_down(&lab);
}

static void
stages_pass_in_order(void **state)
{
    (void)state;
    static const char tail[] = "POST_PRODUCTION_TRAFFIC_SHIFT BAKE_TIME CLEAN_UP";
    static const char head[] =
        "PRE_SCALE_UP SCALE_UP POST_SCALE_UP TEST_TRAFFIC_SHIFT POST_TEST_TRAFFIC_SHIFT "
        "PRODUCTION_TRAFFIC_SHIFT";
    static const char *const configurations[] = {
        "{'strategy': 'BLUE_GREEN', 'bakeTimeInMinutes': 2}",
        "{'strategy': 'LINEAR', 'bakeTimeInMinutes': 1, "
        "'linearConfiguration': {'stepPercent': 50.0, 'stepBakeTimeInMinutes': 1}}",
        "{'strategy': 'CANARY', 'bakeTimeInMinutes': 3, "
        "'canaryConfiguration': {'canaryPercent': 5.0, 'canaryBakeTimeInMinutes': 3}}",
    };
    static const int bakes[] = {2, 2, 6}; // tenths of the delay
    for (size_t i = 0; i < ARRAY_LENGTH(configurations); i++) {
        struct lab lab;
        set_up(&lab);
        seed(&lab, configurations[i]);
        register_image(&lab, "shop/web:2");
        int64_t start = lab.fake->wall_ms;
        const char *arn = deploy(&lab);
        const struct ecs_deployment *one = sandbox_ecs_deployment_find(&lab.sandbox, arn);
        char *wanted CLEANUP(xfreep) = xasprintf("%s %s", head, tail);
        assert_text(statuses(&lab, arn, "lifecycleStage"), wanted);
        assert_text(text_at(deployment(&lab, arn), "status"), "SUCCESSFUL");
        int64_t took = one->finished_ms - start - DELAY / 10 * (11 + bakes[i]);
        assert_in_range(took + 20, 0, 20); // stages are whole milliseconds
        tear_down(&lab);
    }
}

static void
a_canary_gets_its_share_of_the_traffic(void **state)
{
    (void)state;
    struct lab lab;
    set_up(&lab);
    seed(&lab, "{'strategy': 'CANARY', 'canaryConfiguration': "
               "{'canaryPercent': 20.0, 'canaryBakeTimeInMinutes': 100}}");
    register_image(&lab, "shop/web:2");
    const char *arn = deploy(&lab);
    advance(&lab, 2 * DELAY); // well within the canary's bake time
    const struct json *now = deployment(&lab, arn);
    assert_text(text_at(now, "lifecycleStage"), "PRODUCTION_TRAFFIC_SHIFT");
    assert_true(
        json_number(json_path(now, "targetServiceRevision.requestedProductionTrafficWeight"), -1) ==
        20.0);
    assert_int_equal(json_int(json_get(service(&lab), "runningCount"), 0), 4);
    int served[2] = {0};
    for (int i = 0; i < 100; i++) {
        const char *parts[] = {"apps", "web"};
        struct sandbox_request request = {
            .arena = lab.arena, .parts = parts, .part_count = 2, .query = ""};
        struct sandbox_response response = {0};
        sandbox_ecs_apps_handle(&lab.sandbox, &request, &response);
        assert_int_equal(response.status, 200);
        struct json *body CLEANUP(json_freep) = parsed(buf_cstr(&response.body));
        served[strcmp(text_at(body, "version"), "2") == 0]++;
        sandbox_response_done(&response);
    }
    assert_int_equal(served[0], 80);
    assert_int_equal(served[1], 20);
    tear_down(&lab);
}

// --- failure
// --------------------------------------------------------------------------------------

static void
the_breakers_threshold_is_half_of_the_tasks(void **state)
{
    (void)state;
    static const int64_t cases[][2] = {
        {0, 3}, {1, 3}, {5, 3}, {6, 3}, {7, 4}, {25, 13}, {399, 200}, {400, 200}, {5000, 200}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_int_equal(sandbox_ecs_breaker_threshold(cases[i][0]), cases[i][1]);
    }
}

static void
a_breaker_counts_and_goes_back(void **state)
{
    (void)state;
    struct lab lab;
    set_up(&lab);
    seed(&lab, breaker);
    const char *before =
        text_at(json_at(json_get(service(&lab), "currentServiceRevisions"), 0), "arn");
    const char *old_id = text_at(json_at(json_get(service(&lab), "deployments"), 0), "id");
    register_image(&lab, "shop/web:2");
    scenario(&lab, "{'service': 'web', 'scenario': 'breaker-rollback', 'exit_code': 3, "
                   "'reason': 'no database'}");
    const char *arn = deploy(&lab);
    advance(&lab, DELAY / 2);
    const struct json *half = deployment(&lab, arn);
    assert_text(text_at(half, "status"), "IN_PROGRESS");
    assert_int_equal(json_int(json_path(half, "deploymentCircuitBreaker.failureCount"), -1), 1);
    assert_text(text_at(half, "deploymentCircuitBreaker.status"), "MONITORING");
    assert_text(running_images(&lab), "shop/web:1 shop/web:1 shop/web:2 shop/web:2");
    assert_text(statuses(&lab, arn, "status"),
        "IN_PROGRESS ROLLBACK_REQUESTED ROLLBACK_IN_PROGRESS ROLLBACK_SUCCESSFUL");
    const struct json *end = deployment(&lab, arn);
    assert_int_equal(json_int(json_path(end, "deploymentCircuitBreaker.failureCount"), -1), 3);
    assert_text(text_at(end, "deploymentCircuitBreaker.status"), "TRIGGERED");
    assert_text(text_at(end, "rollback.serviceRevisionArn"), before);
    assert_true(strstr(text_at(end, "rollback.reason"), "circuit breaker") != NULL);
    assert_text(running_images(&lab), "shop/web:1 shop/web:1");
    const struct json *rest = service(&lab);
    const struct json *classic = json_at(json_get(rest, "deployments"), 0);
    assert_int_equal(json_count(json_get(rest, "deployments")), 1);
    assert_string_not_equal(text_at(classic, "id"), old_id); // an entry of its own
    assert_text(text_at(classic, "rolloutState"), "COMPLETED");
    assert_text(text_at(rest, "taskDefinition"),
        "arn:aws:ecs:us-east-1:123456789012:task-definition/web:1");
    const struct json *failed = json_at(tasks(&lab, "STOPPED"), 0);
    const struct json *container = json_at(json_get(failed, "containers"), 0);
    assert_text(text_at(failed, "stopCode"), "EssentialContainerExited");
    assert_int_equal(json_int(json_get(container, "exitCode"), -1), 3);
    assert_text(text_at(container, "reason"), "no database");
    tear_down(&lab);
}

static void
scenarios_end_as_they_say(void **state)
{
    (void)state;
    static const struct {
        const char *scenario, *statuses, *images;
    } cases[] = {
        {"'success'", "PENDING IN_PROGRESS SUCCESSFUL", "shop/web:2 shop/web:2"},
        {"'breaker-rollback'",
            "PENDING IN_PROGRESS ROLLBACK_REQUESTED ROLLBACK_IN_PROGRESS ROLLBACK_SUCCESSFUL",
            "shop/web:1 shop/web:1"},
        {"'rollback-failed'",
            "PENDING IN_PROGRESS ROLLBACK_REQUESTED ROLLBACK_IN_PROGRESS ROLLBACK_FAILED",
            "shop/web:1 shop/web:1"},
        {"'superseded'", "PENDING IN_PROGRESS STOP_REQUESTED STOPPED", "shop/web:1 shop/web:1"},
        {"'stopped'", "PENDING IN_PROGRESS STOPPED", "shop/web:1 shop/web:2"},
        {"'alarm', 'alarms': ['errors']",
            "PENDING IN_PROGRESS ROLLBACK_REQUESTED ROLLBACK_IN_PROGRESS ROLLBACK_SUCCESSFUL",
            "shop/web:1 shop/web:1"},
        {"'unknown-status'", "PENDING IN_PROGRESS HELD_FOR_REVIEW", "shop/web:2 shop/web:2"},
        {"'unknown-status', 'status': 'NAPPING', 'for': '3s'",
            "PENDING IN_PROGRESS NAPPING IN_PROGRESS SUCCESSFUL", "shop/web:2 shop/web:2"},
        {"'paused-hook'", "PENDING IN_PROGRESS", "shop/web:2 shop/web:2"},
        {"'paused-hook', 'timeout': '2s'",
            "PENDING IN_PROGRESS ROLLBACK_REQUESTED ROLLBACK_IN_PROGRESS ROLLBACK_SUCCESSFUL",
            "shop/web:1 shop/web:1"},
        {"'paused-hook', 'timeout': '2s', 'timeout_action': 'CONTINUE'",
            "PENDING IN_PROGRESS SUCCESSFUL", "shop/web:2 shop/web:2"},
        {"'wrong-digest'", "PENDING IN_PROGRESS SUCCESSFUL", "shop/web:2 shop/web:2"},
        {"'slow'", "PENDING IN_PROGRESS SUCCESSFUL", "shop/web:2 shop/web:2"},
        {"'unhealthy-http'", "PENDING IN_PROGRESS SUCCESSFUL", "shop/web:2 shop/web:2"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct lab lab;
        set_up(&lab);
        seed(&lab, "{}");
        register_image(&lab, "shop/web:2");
        char *text CLEANUP(xfreep) =
            xasprintf("{'service': 'w*', 'scenario': %s}", cases[i].scenario);
        scenario(&lab, text);
        assert_text(statuses(&lab, deploy(&lab), "status"), cases[i].statuses);
        assert_text(running_images(&lab), cases[i].images);
        // It was for one deployment; the next one goes well, whatever the former left.
        assert_text(statuses(&lab, deploy(&lab), "status"), "PENDING IN_PROGRESS SUCCESSFUL");
        assert_text(running_images(&lab), "shop/web:2 shop/web:2");
        tear_down(&lab);
    }
}

static void
a_crash_loop_without_a_breaker_goes_on_for_ever(void **state)
{
    (void)state;
    struct lab lab;
    set_up(&lab);
    seed(&lab, breaker);
    register_image(&lab, "shop/web:2");
    scenario(&lab, "{'service': 'web', 'scenario': 'crash-loop'}");
    const char *arn = deploy(&lab);
    advance(&lab, 10 * DELAY);
    const struct json *then = deployment(&lab, arn);
    assert_text(text_at(then, "status"), "IN_PROGRESS");
    assert_text(text_at(then, "deploymentCircuitBreaker.status"), "DISABLED");
    int64_t failures = json_int(json_path(then, "deploymentCircuitBreaker.failureCount"), 0);
    assert_in_range(failures, 4, 40);
    advance(&lab, INT64_C(24) * 3600 * 1000); // a day
    const struct json *later = deployment(&lab, arn);
    assert_text(text_at(later, "status"), "IN_PROGRESS");
    // Once a minute at most: nobody's memory fills up.
    assert_in_range(json_int(json_path(later, "deploymentCircuitBreaker.failureCount"), 0),
        failures + 1000, failures + 24 * 60 + 30);
    tear_down(&lab);
}

static void
a_breaker_needs_something_to_go_back_to(void **state)
{
    (void)state;
    struct lab lab;
    set_up(&lab);
    (void)call(&lab, "CreateCluster", "{'clusterName': 'prod'}");
    register_image(&lab, "shop/web:1");
    scenario(&lab, "{'service': 'web', 'scenario': 'breaker-rollback', 'count': 'all'}");
    const char *arn = text_at(call(&lab, "CreateService",
                                  "{'cluster': 'prod', 'serviceName': 'web', "
                                  "'taskDefinition': 'web', 'desiredCount': 1}"),
        "service.currentServiceDeployment");
    assert_text(statuses(&lab, arn, "status"), "PENDING IN_PROGRESS"); // it stalls
    assert_text(text_at(deployment(&lab, arn), "deploymentCircuitBreaker.status"), "TRIGGERED");
    const struct json *classic = json_at(json_get(service(&lab), "deployments"), 0);
    assert_text(text_at(classic, "rolloutState"), "FAILED");
    assert_int_equal(json_int(json_get(classic, "failedTasks"), 0), 3);
    tear_down(&lab);

    set_up(&lab);
    seed(&lab, "{'deploymentCircuitBreaker': {'enable': true, 'rollback': false}}");
    register_image(&lab, "127.0.0.1:5000/absent:1");
    assert_text(statuses(&lab, deploy(&lab), "status"), "PENDING IN_PROGRESS STOPPED");
    tear_down(&lab);
}

static void
an_image_that_is_not_in_the_registry_cannot_be_pulled(void **state)
{
    (void)state;
    static const char *const absent[] = {"127.0.0.1:5000/absent:1", "localhost:5000/absent",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/absent:1", "told/absent:1"};
    for (size_t i = 0; i < ARRAY_LENGTH(absent); i++) {
        struct lab lab;
        set_up(&lab);
        seed(&lab, breaker);
        control(&lab, sandbox_ecs_control_seed, "{'images': {'told/absent:1': null}}");
        register_image(&lab, absent[i]);
        const char *arn = deploy(&lab);
        assert_text(statuses(&lab, arn, "status"),
            "PENDING IN_PROGRESS ROLLBACK_REQUESTED ROLLBACK_IN_PROGRESS ROLLBACK_SUCCESSFUL");
        const struct json *task = json_at(tasks(&lab, "STOPPED"), 0);
        const struct json *container = json_at(json_get(task, "containers"), 0);
        assert_text(text_at(task, "stopCode"), "TaskFailedToStart");
        assert_int_equal(
            strncmp(text_at(container, "reason"), "CannotPullContainerError: ", 26), 0);
        assert_true(strstr(text_at(container, "reason"), absent[i]) != NULL);
        assert_null(json_get(container, "exitCode"));
        assert_null(json_get(container, "imageDigest"));
        tear_down(&lab);
    }
}

static void
digests_are_those_of_the_time_of_the_deployment(void **state)
{
    (void)state;
    static const char one[] =
        "sha256:1111111111111111111111111111111111111111111111111111111111111111";
    static const char two[] =
        "sha256:2222222222222222222222222222222222222222222222222222222222222222";
    struct lab lab;
    set_up(&lab);
    struct registry_repo *repo = sandbox_registry_create(&lab.sandbox, "shop/web");
    json_set(repo->manifests, one, json_make_object());
    json_set(repo->manifests, two, json_make_object());
    json_set_str(repo->tags, "latest", one);
    seed(&lab, "{}");
    register_image(&lab, "127.0.0.1:5000/shop/web");
    (void)statuses(&lab, deploy(&lab), "status");
    json_set_str(repo->tags, "latest", two);
    advance(&lab, DELAY);
    const struct json *container =
        json_at(json_get(json_at(tasks(&lab, "RUNNING"), 0), "containers"), 0);
    assert_text(text_at(container, "imageDigest"), one);
    // A rollback brings the digest back that was rolled out, not what the tag says now.
    scenario(&lab, "{'service': 'web', 'scenario': 'alarm'}");
    const char *arn = deploy(&lab);
    const struct json *target =
        json_at(json_get(call(&lab, "DescribeServiceRevisions", "{'serviceRevisionArns': ['%s']}",
                             text_at(deployment(&lab, arn), "targetServiceRevision.arn")),
                    "serviceRevisions"),
            0);
    assert_text(text_at(json_at(json_get(target, "containerImages"), 0), "imageDigest"), two);
    (void)statuses(&lab, arn, "status");
    container = json_at(json_get(json_at(tasks(&lab, "RUNNING"), 0), "containers"), 0);
    assert_text(text_at(container, "imageDigest"), one);
    sandbox_registry_reset(&lab.sandbox);
    tear_down(&lab);
}

static void
a_newer_deployment_supersedes(void **state)
{
    (void)state;
    struct lab lab;
    set_up(&lab);
    seed(&lab, "{}");
    register_image(&lab, "shop/web:2");
    const char *first = deploy(&lab);
    advance(&lab, DELAY * 7 / 10); // some of its tasks run
    register_image(&lab, "shop/web:3");
    const char *second = deploy(&lab);
    assert_text(text_at(deployment(&lab, first), "status"), "STOP_REQUESTED");
    assert_int_equal(json_count(json_get(deployment(&lab, second), "sourceServiceRevisions")), 2);
    assert_text(statuses(&lab, second, "status"), "PENDING IN_PROGRESS SUCCESSFUL");
    const struct json *end = deployment(&lab, first);
    assert_text(text_at(end, "status"), "STOPPED");
    assert_true(strstr(text_at(end, "statusReason"), second) != NULL);
    assert_text(running_images(&lab), "shop/web:3 shop/web:3");
    tear_down(&lab);
}

static void
a_deployment_may_come_late_or_never(void **state)
{
    (void)state;
    struct lab lab;
    set_up(&lab);
    seed(&lab, "{}");
    register_image(&lab, "shop/web:2");
    scenario(&lab, "{'service': 'web', 'scenario': 'no-deployment-found', 'for': '5s'}");
    assert_null(deploy(&lab));
    advance(&lab, 4999);
    assert_null(json_get(service(&lab), "currentServiceDeployment"));
    advance(&lab, 1);
    const char *arn = text_at(service(&lab), "currentServiceDeployment");
    assert_text(statuses(&lab, arn, "status"), "PENDING IN_PROGRESS SUCCESSFUL");
    scenario(&lab, "{'service': 'web', 'scenario': 'no-deployment-found'}");
    assert_null(deploy(&lab));
    advance(&lab, INT64_C(3600) * 1000);
    assert_int_equal(json_count(json_get(call(&lab, "ListServiceDeployments",
                                             "{'cluster': 'prod', 'service': 'web'}"),
                         "serviceDeployments")),
        2);
    tear_down(&lab);
}

// --- interventions
// ---------------------------------------------------------------------------------

static void
a_hook_waits_for_an_answer(void **state)
{
    (void)state;
    static const char *const actions[] = {"CONTINUE", "ROLLBACK"};
    static const char *const ends[] = {
        "IN_PROGRESS SUCCESSFUL", "ROLLBACK_REQUESTED ROLLBACK_IN_PROGRESS ROLLBACK_SUCCESSFUL"};
    for (size_t i = 0; i < ARRAY_LENGTH(actions); i++) {
        struct lab lab;
        set_up(&lab);
        seed(&lab, "{'strategy': 'BLUE_GREEN', 'lifecycleHooks': [{'targetType': 'PAUSE', "
                   "'lifecycleStages': ['POST_TEST_TRAFFIC_SHIFT'], "
                   "'timeoutConfiguration': {'timeoutInMinutes': 60, 'action': 'ROLLBACK'}}]}");
        register_image(&lab, "shop/web:2");
        const char *arn = deploy(&lab);
        advance(&lab, 30 * 60000);
        const struct json *now = deployment(&lab, arn);
        const struct json *hook = json_at(json_get(now, "lifecycleHookDetails"), 0);
        assert_text(text_at(now, "lifecycleStage"), "POST_TEST_TRAFFIC_SHIFT");
        assert_text(text_at(hook, "status"), "AWAITING_ACTION");
        assert_text(text_at(hook, "timeoutAction"), "ROLLBACK");
        const struct json *answer = call(&lab, "ContinueServiceDeployment",
            "{'serviceDeploymentArn': '%s', 'hookId': 'other', 'action': 'CONTINUE'}", arn);
        assert_text(text_at(answer, "__type"), "InvalidParameterException");
        (void)call(&lab, "ContinueServiceDeployment",
            "{'serviceDeploymentArn': '%s', 'hookId': '%s', 'action': '%s'}", arn,
            text_at(hook, "hookId"), actions[i]);
        assert_int_equal(lab.status, 200);
        assert_text(statuses(&lab, arn, "status"), ends[i]);
        answer = call(&lab, "ContinueServiceDeployment",
            "{'serviceDeploymentArn': '%s', 'hookId': '%s', 'action': 'CONTINUE'}", arn,
            text_at(hook, "hookId"));
        assert_text(text_at(answer, "__type"), "ConflictException");
        tear_down(&lab);
    }
}

static void
a_stop_goes_back(void **state)
{
    (void)state;
    struct lab lab;
    set_up(&lab);
    seed(&lab, "{}");
    register_image(&lab, "shop/web:2");
    const char *arn = deploy(&lab);
    advance(&lab, DELAY / 2);
    const struct json *answer = call(
        &lab, "StopServiceDeployment", "{'serviceDeploymentArn': '%s', 'stopType': 'ABORT'}", arn);
    assert_text(text_at(answer, "__type"), "InvalidParameterException");
    answer = call(&lab, "StopServiceDeployment", "{'serviceDeploymentArn': '%s'}", arn);
    assert_text(text_at(answer, "serviceDeploymentArn"), arn);
    assert_text(statuses(&lab, arn, "status"),
        "ROLLBACK_REQUESTED ROLLBACK_IN_PROGRESS ROLLBACK_SUCCESSFUL");
    assert_text(running_images(&lab), "shop/web:1 shop/web:1");
    answer = call(&lab, "StopServiceDeployment", "{'serviceDeploymentArn': '%s'}", arn);
    assert_text(text_at(answer, "__type"), "ConflictException");
    answer = call(&lab, "StopServiceDeployment", "{'serviceDeploymentArn': '%s/x'}", arn);
    assert_text(text_at(answer, "__type"), "ServiceDeploymentNotFoundException");
    tear_down(&lab);
}

// --- tasks by themselves
// ---------------------------------------------------------------------------

static const struct json *
run_task(struct lab *lab, const char *more)
{
    return call(lab, "RunTask", "{'cluster': 'prod', 'taskDefinition': 'web' %s}", more);
}

static const struct json *
task_after(struct lab *lab, const struct json *answer, int64_t ms)
{
    const char *arn = text_at(json_at(json_get(answer, "tasks"), 0), "taskArn");
    advance(lab, ms);
    return json_at(
        json_get(call(lab, "DescribeTasks", "{'cluster': 'prod', 'tasks': ['%s']}", arn), "tasks"),
        0);
}

static void
tasks_end_as_their_scenario_says(void **state)
{
    (void)state;
    static const struct {
        const char *scenario, *status, *code, *reason;
        int64_t exit_code; // -1: none
    } cases[] = {
        {"'success'", "STOPPED", "EssentialContainerExited", "Essential container in task exited",
            0},
        {"'exit', 'exit_code': 7", "STOPPED", "EssentialContainerExited",
            "Essential container in task exited", 7},
        {"'not-started', 'reason': 'ResourceInitializationError: no secret'", "STOPPED",
            "TaskFailedToStart", "ResourceInitializationError: no secret", -1},
        {"'no-exit-code'", "STOPPED", "TerminationNotice", "Host terminated.", -1},
        {"'hang'", "RUNNING", NULL, NULL, -1},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct lab lab;
        set_up(&lab);
        seed(&lab, "{}");
        char *text CLEANUP(xfreep) =
            xasprintf("{'family': 'web', 'scenario': %s}", cases[i].scenario);
        scenario(&lab, text);
        const struct json *answer = run_task(&lab, "");
        assert_text(text_at(json_at(json_get(answer, "tasks"), 0), "lastStatus"), "PROVISIONING");
        const struct json *task = task_after(&lab, answer, INT64_C(600) * 1000);
        const struct json *container = json_at(json_get(task, "containers"), 0);
        assert_text(text_at(task, "lastStatus"), cases[i].status);
        assert_true(cstr_equal(text_at(task, "stopCode"), cases[i].code));
        assert_true(cstr_equal(text_at(task, "stoppedReason"), cases[i].reason));
        assert_int_equal(json_int(json_get(container, "exitCode"), -1), cases[i].exit_code);
        tear_down(&lab);
    }
}

static void
a_token_runs_once(void **state)
{
    (void)state;
    struct lab lab;
    set_up(&lab);
    seed(&lab, "{}");
    static const char same[] = ", 'clientToken': 'abc', 'count': 2";
    const struct json *first = run_task(&lab, same), *again = run_task(&lab, same);
    char *left CLEANUP(xfreep) =
        json_text(json_get(json_at(json_get(first, "tasks"), 1), "taskArn"));
    char *right CLEANUP(xfreep) =
        json_text(json_get(json_at(json_get(again, "tasks"), 1), "taskArn"));
    assert_string_equal(left, right);
    const struct json *other = run_task(&lab, ", 'clientToken': 'abc', 'count': 1");
    assert_int_equal(lab.status, 400);
    assert_text(text_at(other, "__type"), "ConflictException");
    assert_int_equal(json_count(json_get(other, "resourceIds")), 2);
    assert_int_equal(json_count(json_get(run_task(&lab, ", 'clientToken': 'abd'"), "tasks")), 1);
    const struct json *listed = call(&lab, "ListTasks", "{'cluster': 'prod', 'family': 'web'}");
    assert_int_equal(json_count(json_get(listed, "taskArns")), 5); // two of the service
    tear_down(&lab);
}

static void
no_room_is_a_failure_in_a_good_answer(void **state)
{
    (void)state;
    struct lab lab;
    set_up(&lab);
    seed(&lab, "{}");
    scenario(&lab, "{'family': '*', 'scenario': 'no-capacity'}");
    const struct json *answer = run_task(&lab, ", 'clientToken': 'abc', 'count': 2");
    assert_int_equal(lab.status, 200);
    assert_int_equal(json_count(json_get(answer, "tasks")), 0);
    assert_int_equal(json_count(json_get(answer, "failures")), 2);
    assert_text(text_at(json_at(json_get(answer, "failures"), 0), "reason"), "RESOURCE:MEMORY");
    answer = run_task(&lab, ", 'clientToken': 'abc', 'count': 2"); // there is room now
    assert_int_equal(json_count(json_get(answer, "tasks")), 2);
    tear_down(&lab);
}

static void
a_stopped_task_of_a_service_is_replaced(void **state)
{
    (void)state;
    struct lab lab;
    set_up(&lab);
    seed(&lab, "{}");
    const char *arn = text_at(json_at(tasks(&lab, "RUNNING"), 0), "taskArn");
    const struct json *stopped = json_get(
        call(&lab, "StopTask", "{'cluster': 'prod', 'task': '%s', 'reason': 'because'}", arn),
        "task");
    assert_text(text_at(stopped, "stopCode"), "UserInitiated");
    assert_text(text_at(stopped, "stoppedReason"), "because");
    assert_int_equal(json_int(json_get(service(&lab), "pendingCount"), -1), 1);
    advance(&lab, DELAY);
    assert_text(running_images(&lab), "shop/web:1 shop/web:1");
    advance(&lab, INT64_C(3600) * 1000 + 1); // told of for an hour
    const struct json *gone =
        call(&lab, "DescribeTasks", "{'cluster': 'prod', 'tasks': ['%s']}", arn);
    assert_text(text_at(json_at(json_get(gone, "failures"), 0), "reason"), "MISSING");
    tear_down(&lab);
}

static void
a_deleted_service_drains(void **state)
{
    (void)state;
    struct lab lab;
    set_up(&lab);
    seed(&lab, "{}");
    (void)call(&lab, "DeleteService", "{'cluster': 'prod', 'service': 'web'}");
    assert_int_equal(lab.status, 400); // it is above 0
    (void)call(&lab, "DeleteService", "{'cluster': 'prod', 'service': 'web', 'force': true}");
    assert_text(text_at(service(&lab), "status"), "DRAINING");
    assert_int_equal(json_int(json_get(service(&lab), "runningCount"), -1), 0);
    advance(&lab, DELAY);
    assert_text(text_at(service(&lab), "status"), "INACTIVE");
    const struct json *answer = call(
        &lab, "UpdateService", "{'cluster': 'prod', 'service': 'web', 'forceNewDeployment': true}");
    assert_text(text_at(answer, "__type"), "ServiceNotActiveException");
    tear_down(&lab);
}

static void
what_is_too_long_or_too_many_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *operation, *body, *code;
    } cases[] = {
        {"RunTask",
            "{'cluster': 'prod', 'taskDefinition': 'web', 'clientToken': "
            "'0123456789012345678901234567890123456789012345678901234567890123x'}",
            "InvalidParameterException"},
        {"RunTask", "{'cluster': 'prod', 'taskDefinition': 'web', 'count': 11}",
            "InvalidParameterException"},
        {"RunTask", "{'cluster': 'prod', 'taskDefinition': 'web:9'}", "ClientException"},
        {"RunTask", "{'cluster': 'test', 'taskDefinition': 'web'}", "ClusterNotFoundException"},
        {"ListTasks", "{'cluster': 'prod', 'maxResults': 101}", "InvalidParameterException"},
        {"ListTasks", "{'cluster': 'prod', 'nextToken': '77'}", "InvalidParameterException"},
        {"ListTasks", "{'cluster': 'prod', 'serviceName': 'x'}", "ServiceNotFoundException"},
        {"DescribeTasks", "{'cluster': 'prod', 'tasks': []}", "InvalidParameterException"},
        {"UpdateService", "{'cluster': 'prod', 'service': 'web', 'desiredCount': 5001}",
            "InvalidParameterException"},
        {"UpdateService", "{'cluster': 'prod', 'service': 'web', 'taskDefinition': 'web:2'}",
            "ClientException"},
        {"DescribeServiceDeployments", "{'serviceDeploymentArns': []}",
            "InvalidParameterException"},
        {"DeregisterTaskDefinition", "{'taskDefinition': 'web'}", "InvalidParameterException"},
    };
    struct lab lab;
    set_up(&lab);
    seed(&lab, "{}");
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct json *answer = call(&lab, cases[i].operation, "%s", cases[i].body);
        assert_int_equal(lab.status, 400);
        assert_text(text_at(answer, "__type"), cases[i].code);
    }
    assert_int_equal(json_count(lab.sandbox.aws->ecs->effects), 0);
    tear_down(&lab);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deployment_replaces_one_task_at_a_time),
        cmocka_unit_test(only_some_changes_start_a_deployment),
        cmocka_unit_test(a_desired_count_is_reached_without_a_deployment),
        cmocka_unit_test(stages_pass_in_order),
        cmocka_unit_test(a_canary_gets_its_share_of_the_traffic),
        cmocka_unit_test(the_breakers_threshold_is_half_of_the_tasks),
        cmocka_unit_test(a_breaker_counts_and_goes_back),
        cmocka_unit_test(scenarios_end_as_they_say),
        cmocka_unit_test(a_crash_loop_without_a_breaker_goes_on_for_ever),
        cmocka_unit_test(a_breaker_needs_something_to_go_back_to),
        cmocka_unit_test(an_image_that_is_not_in_the_registry_cannot_be_pulled),
        cmocka_unit_test(digests_are_those_of_the_time_of_the_deployment),
        cmocka_unit_test(a_newer_deployment_supersedes),
        cmocka_unit_test(a_deployment_may_come_late_or_never),
        cmocka_unit_test(a_hook_waits_for_an_answer),
        cmocka_unit_test(a_stop_goes_back),
        cmocka_unit_test(tasks_end_as_their_scenario_says),
        cmocka_unit_test(a_token_runs_once),
        cmocka_unit_test(no_room_is_a_failure_in_a_good_answer),
        cmocka_unit_test(a_stopped_task_of_a_service_is_replaced),
        cmocka_unit_test(a_deleted_service_drains),
        cmocka_unit_test(what_is_too_long_or_too_many_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
