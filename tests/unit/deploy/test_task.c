// One-off tasks beside a service: exactly what is asked of ECS, and what each end of it means.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "aws_dialog.h"
#include "dispatcher/deploy.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "temp_dir.h"

static const char config[] = "version: 1\nenvironments: [staging]\naws: {region: eu-west-1}\n"
                             "workflow: {repo: octo/infra}\n";
static const char spec[] =
    "title: Shop\nname: shop\nservices:\n  web: {expose: 1}\n  api: {expose: 2}\ndeploy:\n"
    "  targets:\n    web: {kind: ecs, cluster: blue, service: web}\n"
    "    api: {kind: ecs-express, service: api}\n";

struct story {
    struct aws_dialog aws;
    char *dir;
    struct deploy_context *context;
    struct deploy_observer observer;
    struct diagnostics *diagnostics;
    struct deploy_task_request request;
    struct deploy_task task;
    struct buf text;
};

static void
take_event(void *ctx, const struct deploy_event *event)
{
    struct story *s = ctx;
    static const char *const names[] = {[DEPLOY_EVENT_OUTPUT] = "output",
        [DEPLOY_EVENT_NOTE] = "note",
        [DEPLOY_EVENT_WARNING] = "warning"};
    buf_printf(&s->text, "%s: %s\n", names[event->kind], event->text);
}

static void
story_open(struct story *s, const struct aws_line_of *lines, size_t count)
{
    static const char *words[] = {"bin/migrate", "--all"};
    aws_dialog_open(&s->aws, lines, count);
    buf_init(&s->text, 64 * 1024);
    s->dir = temp_dir_new();
    char *appspecs CLEANUP(xfreep) = temp_dir_path(s->dir, "appspecs");
    char *app CLEANUP(xfreep) = temp_dir_path(s->dir, "appspecs/shop.yaml");
    char *organisation CLEANUP(xfreep) = temp_dir_path(s->dir, "dispatcher.yaml");
    assert_success(file_make_directories(appspecs));
    assert_success(file_write(app, str_of(spec), 0600));
    assert_success(file_write(organisation, str_of(config), 0600));
    s->observer = (struct deploy_observer){take_event, s};
    const struct deploy_context_options options = {.platform = &s->aws.fixture->fake->platform,
        .http = s->aws.fixture->http,
        .observer = &s->observer};
    s->context = deploy_context_new(&options);
    s->diagnostics = diagnostics_new();
    s->request.service = "web";
    s->request.command = (struct str_list){words, ARRAY_LENGTH(words)};
    s->request.timeout_ms = 60 * 1000;
}

static void
story_close(struct story *s)
{
    deploy_context_free(s->context);
    diagnostics_free(s->diagnostics);
    buf_done(&s->text);
    aws_dialog_close(&s->aws);
    temp_dir_removep(&s->dir);
}

static struct error *
story_run(struct story *s)
{
    char *organisation CLEANUP(xfreep) = temp_dir_path(s->dir, "dispatcher.yaml");
    const struct deploy_request request = {.app = "shop", .env = "staging", .config = organisation};
    return deploy_task_run(
        s->context, &request, &s->request, s->aws.arena, s->diagnostics, &s->task);
}

// --- what ECS says -------------------------------------------------------------------------------

#define NETWORK "{\"awsvpcConfiguration\":{\"subnets\":[\"subnet-1\"]}}"
#define SERVICE(more)                                                                              \
    "{\"services\":[{\"serviceArn\":\"arn:aws:ecs:eu-west-1:1:service/blue/web\","                 \
    "\"serviceName\":\"web\",\"status\":\"ACTIVE\",\"taskDefinition\":\"arn:td/web:7\","           \
    "\"desiredCount\":1,\"runningCount\":1,\"pendingCount\":0,\"launchType\":\"FARGATE\","         \
    "\"platformVersion\":\"1.4.0\",\"networkConfiguration\":" NETWORK more "}]}"
#define DESCRIBE "{\"cluster\":\"blue\",\"services\":[\"web\"]}"
#define DEFINITION                                                                                 \
    "{\"taskDefinition\":{\"taskDefinitionArn\":\"arn:td/web:7\",\"family\":\"web\","              \
    "\"revision\":7,\"status\":\"ACTIVE\",\"containerDefinitions\":[{\"name\":\"web\","            \
    "\"image\":\"i\"},{\"name\":\"proxy\",\"image\":\"p\",\"essential\":false}]}}"
#define TASK(status, more)                                                                         \
    "{\"tasks\":[{\"taskArn\":\"arn:task/blue/0123\",\"taskDefinitionArn\":\"arn:td/web:7\","      \
    "\"lastStatus\":\"" status "\",\"desiredStatus\":\"RUNNING\"" more "}],\"failures\":[]}"
#define ENDED(container) TASK("STOPPED", ",\"startedAt\":1795247281,\"containers\":[" container "]")
#define LOOK(reply) ECS("DescribeTasks", NULL, reply)
#define BEGUN                                                                                      \
    ECS("DescribeServices", DESCRIBE, SERVICE("")), ECS("DescribeTaskDefinition", NULL, DEFINITION)
#define STARTED                                                                                    \
    BEGUN, ECS("RunTask", NULL, TASK("PROVISIONING", "")), LOOK(TASK("PENDING", "")),              \
        ECS("DescribeTaskDefinition", NULL, DEFINITION)
#define STOP(why)                                                                                  \
    ECS("StopTask",                                                                                \
        "{\"cluster\":\"blue\",\"task\":\"arn:task/blue/0123\",\"reason\":\"" why "\"}", "{}")
#define SAID                                                                                       \
    "note: task 0123 of 'web:7' is started\n"                                                      \
    "note: what container 'web' writes cannot be shown: it does not log to CloudWatch with "       \
    "'awslogs' and a stream prefix\n"

static void
beside_the_service(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        STARTED,
        LOOK(ENDED("{\"name\":\"proxy\",\"exitCode\":1},{\"name\":\"web\",\"exitCode\":0}")),
    };
    struct story s CLEANUP(story_close) = {0};
    story_open(&s, lines, ARRAY_LENGTH(lines));
    assert_success(story_run(&s));
    assert_string_equal(s.task.outcome, "succeeded");
    assert_string_equal(s.task.task, "arn:task/blue/0123");
    assert_null(s.task.reason);
    assert_string_equal(buf_cstr(&s.text), SAID);
    const struct script_request *asked = script_transport_request(s.aws.fixture->script, 2);
    const char *token = strstr(buf_cstr(&asked->body), "\"clientToken\":\"");
    assert_non_null(token);
    token += strlen("\"clientToken\":\"");
    char *body CLEANUP(xfreep) = xasprintf(
        "{\"cluster\":\"blue\",\"taskDefinition\":\"arn:td/web:7\",\"count\":1,"
        "\"networkConfiguration\":" NETWORK ",\"launchType\":\"FARGATE\","
        "\"platformVersion\":\"1.4.0\",\"overrides\":{\"containerOverrides\":[{\"name\":\"web\","
        "\"command\":[\"bin/migrate\",\"--all\"]}]},\"startedBy\":\"dispatcher/task/%.32s\","
        "\"clientToken\":\"%.32s\"}",
        token, token);
    assert_string_equal(buf_cstr(&asked->body), body);
}

static const struct {
    const char *container, *outcome, *reason;
    enum error_kind kind;
} ends[] = {
    {ENDED("{\"name\":\"web\",\"exitCode\":3}"), "failed", "it ended with exit code 3",
        ERROR_NOT_RESTORED},
    {ENDED("{\"name\":\"web\",\"exitCode\":137,\"reason\":\"OutOfMemoryError\"}"), "failed",
        "it ended with exit code 137: OutOfMemoryError", ERROR_NOT_RESTORED},
    {ENDED("{\"name\":\"web\"}"), "failed", "it ended without an exit code", ERROR_NOT_RESTORED},
    // Another container's code is not the command's.
    {ENDED("{\"name\":\"proxy\",\"exitCode\":0},{\"name\":\"web\"}"), "failed",
        "it ended without an exit code", ERROR_NOT_RESTORED},
    {TASK("STOPPED", ",\"stopCode\":\"TaskFailedToStart\",\"stoppedReason\":\"no image\","
                     "\"containers\":[{\"name\":\"web\"}]"),
        "not-started", "it could not be started: no image", ERROR_REFUSED},
    {"{\"tasks\":[],\"failures\":[{\"arn\":\"arn:task/blue/0123\",\"reason\":\"MISSING\"}]}",
        "unknown", "ECS knows no task 'arn:task/blue/0123' any more", ERROR_UNKNOWN},
};

static void
every_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
        const struct aws_line_of lines[] = {STARTED, LOOK(ends[i].container)};
        struct story s CLEANUP(story_close) = {0};
        story_open(&s, lines, ARRAY_LENGTH(lines));
        assert_success(story_run(&s));
        assert_string_equal(s.task.outcome, ends[i].outcome);
        assert_string_equal(s.task.reason, ends[i].reason);
        assert_int_equal(s.task.kind, ends[i].kind);
    }
}

static void
out_of_time(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        STARTED,
        LOOK(TASK("RUNNING", "")),
        STOP("dispatcher: out of time"),
        LOOK(TASK("DEPROVISIONING", "")),
        LOOK(ENDED("{\"name\":\"web\",\"exitCode\":0}")),
    };
    struct story s CLEANUP(story_close) = {0};
    story_open(&s, lines, ARRAY_LENGTH(lines));
    s.request.timeout_ms = 3000;
    assert_success(story_run(&s));
    // It was told to stop, and said 0: that it had come to its end by itself just then.
    assert_string_equal(s.task.outcome, "succeeded");
    assert_non_null(
        strstr(buf_cstr(&s.text), "warning: the task has not ended after 3.0s: it is stopped\n"));
}

static void
what_does_not_stop_is_unknown(void **state)
{
    (void)state;
    const struct aws_line_of lines[] = {
        STARTED,
        LOOK(TASK("RUNNING", "")),
        STOP("dispatcher: out of time"),
        ECS("DescribeTasks", NULL, TASK("STOPPING", ""), .times = 60),
    };
    struct story s CLEANUP(story_close) = {0};
    story_open(&s, lines, ARRAY_LENGTH(lines));
    s.request.timeout_ms = 3000;
    assert_success(story_run(&s));
    assert_string_equal(s.task.outcome, "unknown");
    assert_int_equal(s.task.kind, ERROR_UNKNOWN);
    assert_string_equal(s.task.reason,
        "it was stopped because it had not ended after 3.0s; ECS was told to stop it, and it has "
        "not stopped");
}

#define OUTAGE "{\"message\":\"try later\"}"

static void
a_start_that_may_have_been_heard(void **state)
{
    (void)state;
    const struct aws_line_of lines[] = {
        BEGUN,
        ECS("RunTask", NULL, OUTAGE, .status = 503, .times = 3),
    };
    struct story s CLEANUP(story_close) = {0};
    story_open(&s, lines, ARRAY_LENGTH(lines));
    struct error *err = story_run(&s);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_UNKNOWN);
    assert_string_equal(error_message(err), "whether the task was started is not known");
    assert_true(str_starts(str_of(error_hint_of(err)),
        STR("'aws ecs list-tasks --cluster blue --started-by dispatcher/task/")));
    error_free(err);
}

static void
a_start_that_is_refused(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        BEGUN,
        ECS("RunTask", NULL,
            "{\"tasks\":[],\"failures\":[{\"reason\":\"Capacity is unavailable at this time\"}]}"),
    };
    struct story s CLEANUP(story_close) = {0};
    story_open(&s, lines, ARRAY_LENGTH(lines));
    struct error *err = story_run(&s);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_REFUSED);
    assert_string_equal(error_message(err), "the task could not be started");
    error_free(err);
}

static void
interrupted_with(struct story *s, const char *text, const char *hint)
{
    s->aws.fixture->fake->cancel_at_ms = FAKE_MONO_START + 2000;
    s->aws.fixture->fake->cancel_signal = SIGINT;
    struct error *err = story_run(s);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
    assert_string_equal(error_message(err), text);
    if (hint != NULL) {
        assert_string_equal(error_hint_of(err), hint);
    }
    error_free(err);
    assert_int_equal(cancel_signal(s->aws.fixture->fake->cancel), SIGINT); // for the exit code
}

static void
interrupted(void **state)
{
    (void)state;
    static const char by_hand[] = "'aws ecs stop-task --cluster blue --task 0123' stops it.";
    static const struct aws_line_of stops[] = {STARTED, STOP("dispatcher: interrupted")};
    static const struct aws_line_of leaves[] = {STARTED};
    static const struct aws_line_of denied[] = {
        STARTED, ECS("StopTask", NULL, AWS_DENIED("ecs:StopTask"), .status = 400)};
    {
        struct story s CLEANUP(story_close) = {0};
        story_open(&s, stops, ARRAY_LENGTH(stops));
        interrupted_with(&s, "task 0123 was told to stop", NULL);
    }
    {
        struct story s CLEANUP(story_close) = {.request.leave = true};
        story_open(&s, leaves, ARRAY_LENGTH(leaves));
        interrupted_with(&s, "task 0123 goes on", by_hand);
    }
    {
        struct story s CLEANUP(story_close) = {0};
        story_open(&s, denied, ARRAY_LENGTH(denied));
        s.aws.fixture->fake->cancel_at_ms = FAKE_MONO_START + 2000;
        struct error *err = story_run(&s);
        assert_non_null(err);
        assert_int_equal(error_kind(err), ERROR_CANCELLED);
        assert_true(
            str_starts(str_of(error_message(err)), STR("task 0123 could not be stopped: ")));
        assert_string_equal(error_hint_of(err), by_hand);
        error_free(err);
    }
}

static void
an_outage_is_borne_for_five_minutes(void **state)
{
    (void)state;
    const struct aws_line_of comes_back[] = {
        STARTED,
        ECS("DescribeTasks", NULL, OUTAGE, .status = 503, .times = 5),
        LOOK(ENDED("{\"name\":\"web\",\"exitCode\":0}")),
    };
    // Fewer requests a look once the client's quota of retries is used up.
    const struct aws_line_of stays[] = {
        STARTED, ECS("DescribeTasks", NULL, OUTAGE, .status = 503, .times = 136)};
    {
        struct story s CLEANUP(story_close) = {0};
        story_open(&s, comes_back, ARRAY_LENGTH(comes_back));
        assert_success(story_run(&s));
        assert_string_equal(s.task.outcome, "succeeded");
    }
    {
        struct story s CLEANUP(story_close) = {0};
        story_open(&s, stays, ARRAY_LENGTH(stays));
        s.request.timeout_ms = 60 * 60 * 1000;
        struct error *err = story_run(&s);
        assert_non_null(err);
        assert_int_equal(error_kind(err), ERROR_UNKNOWN);
        assert_string_equal(error_message(err), "task 0123 cannot be followed any more");
        error_free(err);
        assert_true(s.aws.fixture->fake->mono_ms - FAKE_MONO_START >= 5 * 60 * 1000);
    }
}

static void
beside_what_is_to_be_said(void **state)
{
    (void)state;
    struct story s CLEANUP(story_close) = {0};
    story_open(&s, NULL, 0);
    s.request.service = NULL;
    assert_failure(story_run(&s), ERROR_USAGE, "beside which service of 'shop' is it to run?",
        "Say which with --service: 'web', 'api'.");
}

static void
while_it_is_being_deployed(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        ECS("DescribeServices", DESCRIBE, SERVICE(",\"currentServiceDeployment\":\"arn:d/1\"")),
        ECS("DescribeTaskDefinition", NULL, DEFINITION),
        ECS("RunTask", NULL, TASK("PROVISIONING", "")),
        LOOK(ENDED("{\"name\":\"web\",\"exitCode\":0}")),
        ECS("DescribeTaskDefinition", NULL, DEFINITION),
    };
    struct story s CLEANUP(story_close) = {0};
    story_open(&s, lines, ARRAY_LENGTH(lines));
    assert_success(story_run(&s));
    assert_string_equal(buf_cstr(&s.text),
        "note: 'web' is being deployed: the task runs on 'web:7', which is rolled out\n" SAID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beside_the_service),
        cmocka_unit_test(every_end),
        cmocka_unit_test(out_of_time),
        cmocka_unit_test(what_does_not_stop_is_unknown),
        cmocka_unit_test(a_start_that_may_have_been_heard),
        cmocka_unit_test(a_start_that_is_refused),
        cmocka_unit_test(interrupted),
        cmocka_unit_test(an_outage_is_borne_for_five_minutes),
        cmocka_unit_test(beside_what_is_to_be_said),
        cmocka_unit_test(while_it_is_being_deployed),
    };
    return cmocka_run_group_tests_name("task", tests, NULL, NULL);
}
