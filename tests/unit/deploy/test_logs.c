// Reading logs: which groups are asked for from when, and which of the answers are new.
#include <setjmp.h>
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
#define SPEC(deploy)                                                                               \
    "title: Shop\nname: shop\nservices:\n  web: {expose: 1}\n  api: {expose: 2}\ndeploy:\n" deploy
static const char ecs_spec[] =
    SPEC("  targets: {web: {kind: ecs, cluster: blue, service: \"{name}-{env}-{service}\"}}\n");
static const char worker_spec[] = SPEC(
    "  workers: {files: \"src/*.ts\", target: {kind: apprunner, source: code, connection: "
    "\"arn:aws:apprunner:eu-west-1:012345678901:connection/c/1\", start: \"run {worker}\"}}\n");

struct reading {
    struct aws_dialog aws;
    char *dir;
    struct http_client *http;
    struct deploy_context *context;
    struct diagnostics *diagnostics;
    struct deploy_logs_request logs;
    struct buf text;
    size_t stop_after; // lines; 0: never
    size_t lines;
    struct error *err;
};

static bool
take_lines(void *ctx, const struct deploy_log_line *lines, size_t count)
{
    struct reading *r = ctx;
    for (size_t i = 0; i < count; i++) {
        r->lines++;
        if (r->text.len < r->text.max - 1000) {
            buf_printf(&r->text, "%lld %s %s\n", (long long)(lines[i].ms - FAKE_WALL_START),
                lines[i].label, lines[i].text);
        }
    }
    return r->stop_after == 0 || r->lines < r->stop_after;
}

static void
take_note(void *ctx, const char *text)
{
    struct reading *r = ctx;
    buf_printf(&r->text, "note: %s\n", text);
}

static void
reading_open(struct reading *r, const char *spec, const struct aws_line_of *lines, size_t count)
{
    aws_dialog_open(&r->aws, lines, count);
    buf_init(&r->text, 64 * 1024);
    r->dir = temp_dir_new();
    char *appspecs CLEANUP(xfreep) = temp_dir_path(r->dir, "appspecs");
    char *app CLEANUP(xfreep) = temp_dir_path(r->dir, "appspecs/shop.yaml");
    char *organisation CLEANUP(xfreep) = temp_dir_path(r->dir, "dispatcher.yaml");
    assert_success(file_make_directories(appspecs));
    assert_success(file_write(app, str_of(spec), 0600));
    assert_success(file_write(organisation, str_of(config), 0600));
    const struct deploy_context_options options = {
        .platform = &r->aws.fixture->fake->platform, .http = r->aws.fixture->http};
    r->context = deploy_context_new(&options);
    r->diagnostics = diagnostics_new();
    r->logs.since_ms = 60 * 1000;
}

static void
reading_close(struct reading *r)
{
    deploy_context_free(r->context);
    diagnostics_free(r->diagnostics);
    error_free(r->err);
    buf_done(&r->text);
    aws_dialog_close(&r->aws);
    temp_dir_removep(&r->dir);
}

static void
read_logs(struct reading *r)
{
    char *organisation CLEANUP(xfreep) = temp_dir_path(r->dir, "dispatcher.yaml");
    const struct deploy_request request = {
        .app = "shop", .env = "staging", .config = organisation, .checkout = r->dir};
    const struct deploy_logs_observer observer = {take_lines, take_note, r};
    r->err = deploy_logs(r->context, &request, &r->logs, r->aws.arena, r->diagnostics, &observer);
}

static void
expect_failure(struct reading *r, enum error_kind kind, const char *text, const char *hint)
{
    read_logs(r);
    struct error *err = r->err;
    r->err = NULL;
    assert_failure(err, kind, text, hint);
}

// --- what ECS and CloudWatch say -----------------------------------------------------------------

#define SERVICE(more)                                                                              \
    "{\"services\":[{\"serviceArn\":\"arn:aws:ecs:eu-west-1:1:service/blue/shop-staging-web\","    \
    "\"serviceName\":\"shop-staging-web\",\"status\":\"ACTIVE\",\"desiredCount\":1,"               \
    "\"runningCount\":1,\"pendingCount\":0," more "}]}"
#define COUNTS "\"desiredCount\":1,\"runningCount\":1,\"pendingCount\":0"
#define DESCRIBE "{\"cluster\":\"blue\",\"services\":[\"shop-staging-web\"]}"
#define CONTAINER(name, prefix)                                                                    \
    "{\"name\":\"" name "\",\"image\":\"i\",\"logConfiguration\":{\"logDriver\":\"awslogs\","      \
    "\"options\":{\"awslogs-group\":\"/shop\"" prefix "}}}"
#define PREFIX ",\"awslogs-stream-prefix\":\"ecs\""
#define DEFINITION(containers)                                                                     \
    "{\"taskDefinition\":{\"taskDefinitionArn\":\"arn:web:7\",\"family\":\"web\",\"revision\":7,"  \
    "\"status\":\"ACTIVE\",\"containerDefinitions\":[" containers "]}}"
#define AT_REST                                                                                    \
    ECS("DescribeServices", DESCRIBE, SERVICE("\"taskDefinition\":\"arn:web:7\"")),                \
        ECS("DescribeTaskDefinition", NULL, DEFINITION(CONTAINER("web", PREFIX)))

#define FROM(stamp)                                                                                \
    "{\"logGroupName\":\"/shop\",\"logStreamNamePrefix\":\"ecs/web/\",\"startTime\":" stamp "}"
#define EVENT(stamp, stream, message)                                                              \
    "{\"timestamp\":" stamp ",\"logStreamName\":\"" stream "\",\"message\":\"" message "\"}"
// FAKE_WALL_START is 1795247280000; looks are 2 s apart.
#define NOW "1795247280000"

static void
late_equal_and_repeated_lines(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        AT_REST,
        LOGS("FilterLogEvents", FROM("1795247220000"),
            "{\"events\":[" EVENT("1795247230000", "ecs/web/1", "a") "," EVENT(
                "1795247230000", "ecs/web/1", "a") "]}"),
        // The newest minus 30 s, but never back.
        LOGS("FilterLogEvents", FROM("1795247220000"),
            "{\"events\":[" EVENT("1795247229000", "ecs/web/2", "late") "," EVENT(
                "1795247230000", "ecs/web/1", "a") "," EVENT("1795247230000", "ecs/web/1",
                "a") "," EVENT("1795247230000", "ecs/web/1", "a") "," EVENT("1795247281000",
                "ecs/web/1", "z") "," EVENT("1795247281000", "ecs/web/1", "b") "]}"),
        // A stamp from the future does not move the window: our clock does, from the last look.
        LOGS("FilterLogEvents", FROM("1795247251000"),
            "{\"events\":[" EVENT("1795247281000", "ecs/web/1", "z") "," EVENT("1795247281000",
                "ecs/web/1", "b") "," EVENT("1795247900000", "ecs/web/1", "tomorrow") "]}"),
        LOGS("FilterLogEvents", FROM("1795247254000"),
            "{\"events\":[" EVENT("1795247900000", "ecs/web/1", "tomorrow") "," EVENT(
                "1795247283000", "ecs/web/1", "today") "]}"),
    };
    struct reading r CLEANUP(reading_close) = {.stop_after = 8};
    reading_open(&r, ecs_spec, lines, ARRAY_LENGTH(lines));
    r.logs.follow = true;
    read_logs(&r);
    assert_success(r.err);
    assert_string_equal(buf_cstr(&r.text),
        "-50000 web/1 a\n-50000 web/1 a\n"
        "-51000 web/2 late\n-50000 web/1 a\n1000 web/1 z\n1000 web/1 b\n"
        "620000 web/1 tomorrow\n3000 web/1 today\n");
}

// While a deployment goes on, two task definitions have running tasks; what they share is asked
// once.
static void
two_task_definitions(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        ECS("DescribeServices", DESCRIBE,
            SERVICE("\"taskDefinition\":\"arn:web:8\",\"deployments\":[{\"id\":\"ecs-svc/2\","
                    "\"status\":\"PRIMARY\"," COUNTS
                    ",\"taskDefinition\":\"arn:web:8\"},{\"id\":\"ecs-svc/1\","
                    "\"status\":\"ACTIVE\"," COUNTS ",\"taskDefinition\":\"arn:web:7\"}]")),
        ECS("DescribeTaskDefinition", "{\"taskDefinition\":\"arn:web:8\",\"include\":[\"TAGS\"]}",
            DEFINITION(CONTAINER("web", PREFIX) "," CONTAINER("loose", ""))),
        ECS("DescribeTaskDefinition", "{\"taskDefinition\":\"arn:web:7\",\"include\":[\"TAGS\"]}",
            DEFINITION(CONTAINER("web", PREFIX) "," CONTAINER("old", PREFIX))),
        LOGS("FilterLogEvents", FROM("1795247220000"),
            "{\"events\":[" EVENT("1795247270000", "ecs/web/0123456789", "two") "]}"),
        LOGS("FilterLogEvents", "{\"logGroupName\":\"/shop\",\"startTime\":1795247220000}",
            "{\"events\":[" EVENT("1795247260000", "docker", "one") "]}"),
        LOGS("FilterLogEvents",
            "{\"logGroupName\":\"/shop\",\"logStreamNamePrefix\":\"ecs/old/\",\"startTime\":"
            "1795247220000}",
            "{\"events\":[" EVENT("1795247270000", "ecs/old/1", "three") "]}"),
    };
    struct reading r CLEANUP(reading_close) = {0};
    reading_open(&r, ecs_spec, lines, ARRAY_LENGTH(lines));
    read_logs(&r);
    assert_success(r.err);
    assert_string_equal(buf_cstr(&r.text), "-20000 web/loose/docker one\n"
                                           "-10000 web/web/01234567 two\n"
                                           "-10000 web/old/1 three\n");
}

static char *
many_events(int64_t from_ms, size_t count)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(4 * 1024 * 1024);
    buf_puts(&text, "{\"events\":[");
    for (size_t i = 0; i < count; i++) {
        buf_printf(&text,
            "%s{\"timestamp\":%lld,\"logStreamName\":\"ecs/web/1\",\"message\":\"m%zu\"}",
            i > 0 ? "," : "", (long long)(from_ms + (int64_t)(i / 10)), i);
    }
    buf_puts(&text, "],\"nextToken\":\"there is more\"}");
    return xstrdup(buf_cstr(&text));
}

// More than one look can hold: the newest first, and then, without waiting, from where it ended.
static void
more_than_a_look_can_hold(void **state)
{
    (void)state;
    char *first CLEANUP(xfreep) = many_events(INT64_C(1795247230000), 10001);
    char *second CLEANUP(xfreep) = many_events(INT64_C(1795247281000), 10001);
    const struct aws_line_of lines[] = {
        AT_REST,
        LOGS("FilterLogEvents", FROM("1795247220000"), first),
        LOGS("FilterLogEvents", NULL, "{\"events\":[]}"),
        LOGS("FilterLogEvents", FROM("1795247230000"), second),
        LOGS("FilterLogEvents", FROM("1795247281999"),
            "{\"events\":[" EVENT("1795247281999", "ecs/web/1", "m9999") "," EVENT(
                "1795247282000", "ecs/web/1", "m10000") "]}"),
    };
    struct reading r CLEANUP(reading_close) = {.stop_after = 20001};
    reading_open(&r, ecs_spec, lines, ARRAY_LENGTH(lines));
    r.logs.follow = true;
    read_logs(&r);
    assert_success(r.err);
    assert_int_equal(r.lines, 20001);
    assert_int_equal(r.aws.fixture->fake->sleep_count, 1);
    assert_true(str_starts(buf_str(&r.text),
        STR("note: 'web' has written more than can be shown: only the newest 10000 lines are\n"
            "-50000 web/1 m1\n")));
}

#define OUTAGE "{\"message\":\"try later\"}"

static void
an_outage_is_borne(void **state)
{
    (void)state;
    const struct aws_line_of lines[] = {
        AT_REST,
        LOGS("FilterLogEvents", NULL, OUTAGE, .status = 503, .times = 5),
        LOGS("FilterLogEvents", FROM("1795247220000"),
            "{\"events\":[" EVENT("1795247281000", "ecs/web/1", "back") "]}"),
    };
    struct reading r CLEANUP(reading_close) = {.stop_after = 1};
    reading_open(&r, ecs_spec, lines, ARRAY_LENGTH(lines));
    r.logs.follow = true;
    read_logs(&r);
    assert_success(r.err);
    assert_non_null(strstr(buf_cstr(&r.text), "note: trying again: search log group '/shop': "));
    assert_non_null(strstr(buf_cstr(&r.text), "1000 web/1 back\n"));
}

// Five minutes, counted from the first answer that did not come.
static void
but_not_for_ever(void **state)
{
    (void)state;
    enum { ROUNDS = 37 }; // of five requests, about eight seconds each
    const struct aws_line_of lines[] = {
        AT_REST,
        LOGS("FilterLogEvents", NULL, OUTAGE, .status = 503, .times = 5 * ROUNDS),
    };
    struct reading r CLEANUP(reading_close) = {0};
    reading_open(&r, ecs_spec, lines, ARRAY_LENGTH(lines));
    r.logs.follow = true;
    read_logs(&r);
    assert_non_null(r.err);
    assert_int_equal(error_kind(r.err), ERROR_UNAVAILABLE);
    int64_t took = r.aws.fixture->fake->mono_ms - FAKE_MONO_START;
    assert_in_range(took, 5 * 60 * 1000, 6 * 60 * 1000);
}

static void
without_follow_an_outage_is_an_error(void **state)
{
    (void)state;
    const struct aws_line_of lines[] = {
        AT_REST,
        LOGS("FilterLogEvents", NULL, OUTAGE, .status = 503, .times = 5),
    };
    struct reading r CLEANUP(reading_close) = {0};
    reading_open(&r, ecs_spec, lines, ARRAY_LENGTH(lines));
    read_logs(&r);
    assert_non_null(r.err);
    assert_int_equal(error_kind(r.err), ERROR_UNAVAILABLE);
    assert_string_equal(error_message(r.err), "search log group '/shop'");
    assert_string_equal(buf_cstr(&r.text), "");
}

// A group that does not exist yet is said once; a signal ends the waiting.
static void
a_group_is_waited_for(void **state)
{
    (void)state;
    static const char missing[] =
        "{\"__type\":\"ResourceNotFoundException\",\"message\":\"no group\"}";
    const struct aws_line_of lines[] = {
        AT_REST,
        LOGS("FilterLogEvents", FROM("1795247220000"), missing, .status = 400, .times = 3),
    };
    struct reading r CLEANUP(reading_close) = {0};
    reading_open(&r, ecs_spec, lines, ARRAY_LENGTH(lines));
    r.logs.follow = true;
    r.aws.fixture->fake->cancel_at_ms = FAKE_MONO_START + 5000;
    read_logs(&r);
    assert_int_equal(error_kind(r.err), ERROR_CANCELLED);
    assert_string_equal(
        buf_cstr(&r.text), "note: log group '/shop' does not exist yet: waiting for it\n");
}

// --- App Runner ----------------------------------------------------------------------------------

#define WORKER_ARN "arn:aws:apprunner:eu-west-1:012345678901:service/shop-staging-mail/0a1b"
#define LIST(arn)                                                                                  \
    "{\"ServiceSummaryList\":[{\"ServiceName\":\"shop-staging-mail\",\"ServiceId\":\"0a1b\","      \
    "\"ServiceArn\":\"" arn "\",\"Status\":\"RUNNING\"}]}"

static void
a_worker_by_its_name(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        APPRUNNER("ListServices", NULL, LIST(WORKER_ARN)),
        LOGS("FilterLogEvents",
            "{\"logGroupName\":\"/aws/apprunner/shop-staging-mail/0a1b/application\",\"startTime\":"
            "1795247220000}",
            "{\"events\":[" EVENT(NOW, "instance/9f8e7d6c5b4a", "sent") "]}"),
    };
    struct reading r CLEANUP(reading_close) = {0};
    reading_open(&r, worker_spec, lines, ARRAY_LENGTH(lines));
    r.logs.service = "mail";
    read_logs(&r);
    assert_success(r.err);
    assert_string_equal(buf_cstr(&r.text), "0 mail/9f8e7d6c sent\n");
}

static void
what_app_runner_says_of_a_service(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        APPRUNNER("ListServices", NULL, LIST(WORKER_ARN)),
        LOGS("FilterLogEvents",
            "{\"logGroupName\":\"/aws/apprunner/shop-staging-mail/0a1b/service\",\"startTime\":"
            "1795247220000}",
            "{\"events\":[" EVENT(NOW, "events", "Deployment failed.") "]}"),
    };
    struct reading r CLEANUP(reading_close) = {0};
    reading_open(&r, worker_spec, lines, ARRAY_LENGTH(lines));
    r.logs.service = "mail";
    r.logs.platform = true;
    read_logs(&r);
    assert_success(r.err);
    assert_string_equal(buf_cstr(&r.text), "0 mail/events Deployment failed.\n");
}

static void
names_that_lead_nowhere(void **state)
{
    (void)state;
    static const struct aws_line_of none[] = {
        APPRUNNER("ListServices", NULL, LIST("arn:aws:apprunner:eu-west-1:1:service/other"))};
    static const struct aws_line_of other[] = {
        APPRUNNER("ListServices", NULL, "{\"ServiceSummaryList\":[]}")};
    {
        struct reading r CLEANUP(reading_close) = {.logs.service = "mail"};
        reading_open(&r, worker_spec, none, 1);
        expect_failure(&r, ERROR_SPEC,
            "logs of 'mail': 'arn:aws:apprunner:eu-west-1:1:service/other' is no ARN of a service "
            "of App Runner",
            NULL);
    }
    {
        struct reading r CLEANUP(reading_close) = {.logs.service = "maul"};
        reading_open(&r, worker_spec, other, 1);
        expect_failure(&r, ERROR_SPEC,
            "logs of 'maul': there is no service 'shop-staging-maul' in App Runner",
            "It would be the one of worker 'maul'; is that its name?");
    }
    {
        struct reading r CLEANUP(reading_close) = {.logs.service = "api"};
        reading_open(&r, ecs_spec, NULL, 0);
        expect_failure(&r, ERROR_SPEC, "service 'api' of 'shop' has no 'target' in 'staging'",
            "Say where it runs with 'deploy.target' or 'deploy.targets' in its spec.");
    }
}

// Nobody has said which workers there are, and nothing else has a target.
static void
workers_without_a_checkout(void **state)
{
    (void)state;
    struct reading r CLEANUP(reading_close) = {0};
    reading_open(&r, worker_spec, NULL, 0);
    expect_failure(&r, ERROR_SPEC, "app 'shop' has no 'target' in 'staging'",
        "Name one of its workers with --service, or give the app's checkout with --checkout.");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(late_equal_and_repeated_lines),
        cmocka_unit_test(two_task_definitions),
        cmocka_unit_test(more_than_a_look_can_hold),
        cmocka_unit_test(an_outage_is_borne),
        cmocka_unit_test(but_not_for_ever),
        cmocka_unit_test(without_follow_an_outage_is_an_error),
        cmocka_unit_test(a_group_is_waited_for),
        cmocka_unit_test(a_worker_by_its_name),
        cmocka_unit_test(what_app_runner_says_of_a_service),
        cmocka_unit_test(names_that_lead_nowhere),
        cmocka_unit_test(workers_without_a_checkout),
    };
    return cmocka_run_group_tests_name("logs", tests, NULL, NULL);
}
