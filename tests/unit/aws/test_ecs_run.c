// One task of one's own: the whole request, asking twice for one task, and the ways ECS says no.
#include "dispatcher/ecs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_dialog.h"
#include "dispatcher/memory.h"

#define TASK                                                                                       \
    "{\"tasks\":[{\"taskArn\":\"arn:aws:ecs:eu-west-1:012345678901:task/prod/0a\",\"lastStatus\":" \
    "\"PROVISIONING\"}],\"failures\":[]}"
#define FAILED "run task 'web:7' in cluster 'prod': "

static const struct ecs_task_request small = {
    .cluster = "prod", .task_definition = "web:7", .client_token = "token-1"};

static void
sends_what_was_asked_for(void **state)
{
    (void)state;
    static const char *command[] = {"./manage", "migrate --to ünï"};
    static struct pair environment[] = {{"MODE", "migrate"}};
    static struct pair tags[] = {{"release", "v1"}};
    static const struct {
        struct ecs_task_request request;
        const char *body;
    } rows[] = {
        {{.cluster = "prod", .task_definition = "web:7", .client_token = "token-1"},
            "{\"cluster\":\"prod\",\"taskDefinition\":\"web:7\",\"count\":1,"
            "\"clientToken\":\"token-1\"}"},
        {{.cluster = "prod",
             .task_definition = "web:7",
             .container = "web",
             .command = {command, 2},
             .environment = {environment, 1},
             .network_json = "{\"awsvpcConfiguration\":{\"subnets\":[\"s\"],\"new\":0.1}}",
             .launch_type = "FARGATE",
             .platform_version = "1.4.0",
             .started_by = "dispatcher/run-1",
             .client_token = "token-1",
             .tags = {tags, 1}},
            "{\"cluster\":\"prod\",\"taskDefinition\":\"web:7\",\"count\":1,"
            "\"networkConfiguration\":{\"awsvpcConfiguration\":{\"subnets\":[\"s\"],\"new\":0.1}},"
            "\"launchType\":\"FARGATE\",\"platformVersion\":\"1.4.0\",\"overrides\":"
            "{\"containerOverrides\":[{\"name\":\"web\",\"command\":[\"./manage\","
            "\"migrate --to ünï\"],\"environment\":[{\"name\":\"MODE\",\"value\":\"migrate\"}]}]},"
            "\"startedBy\":\"dispatcher/run-1\",\"clientToken\":\"token-1\","
            "\"tags\":[{\"key\":\"release\",\"value\":\"v1\"}]}"},
        // ECS refuses a launch type beside a capacity provider strategy.
        {{.cluster = "prod",
             .task_definition = "web:7",
             .capacity_json = "[{\"capacityProvider\":\"SPOT\"}]",
             .launch_type = "FARGATE",
             .client_token = "token-1"},
            "{\"cluster\":\"prod\",\"taskDefinition\":\"web:7\",\"count\":1,"
            "\"capacityProviderStrategy\":[{\"capacityProvider\":\"SPOT\"}],"
            "\"clientToken\":\"token-1\"}"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct aws_line_of lines[] = {ECS("RunTask", rows[i].body, TASK)};
        struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
        struct ecs_task_start start = {0};
        aws_dialog_open(&aws, lines, 1);
        assert_success(ecs_task_run(aws.session, &rows[i].request, aws.arena, &start));
        assert_string_equal(start.task.id, "0a");
        assert_string_equal(start.task.last_status, "PROVISIONING");
        assert_int_equal(start.earlier.count, 0);
    }
}

static void
a_lost_answer_is_asked_for_again_with_the_same_token(void **state)
{
    (void)state;
    static const char body[] = "{\"cluster\":\"prod\",\"taskDefinition\":\"web:7\",\"count\":1,"
                               "\"clientToken\":\"token-1\"}";
    static const struct aws_line_of lines[] = {
        ECS("RunTask", body, "", .status = 502), ECS("RunTask", body, TASK)};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct ecs_task_start start = {0};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(ecs_task_run(aws.session, &small, aws.arena, &start));
    assert_string_equal(start.task.id, "0a");
}

static void
a_token_of_another_request_gives_its_tasks(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        ECS("RunTask", NULL,
            "{\"__type\":\"ConflictException\",\"message\":\"in use\",\"resourceIds\":[\"x/0a\","
            "\"x/0b\"]}",
            .status = 400),
        ECS("RunTask", NULL, "{\"__type\":\"ConflictException\",\"message\":\"in use\"}",
            .status = 400),
        ECS("RunTask", NULL,
            "{\"__type\":\"ConflictException\",\"message\":\"in use\",\"resourceIds\":[]}",
            .status = 400),
    };
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct ecs_task_start start = {0};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(ecs_task_run(aws.session, &small, aws.arena, &start));
    assert_null(start.task.arn);
    assert_int_equal(start.earlier.count, 2);
    assert_string_equal(start.earlier.items[1], "x/0b");
    for (int i = 0; i < 2; i++) {
        assert_failure(ecs_task_run(aws.session, &small, aws.arena, &start), ERROR_CONFLICT,
            FAILED "its client token was used for another request: ecs RunTask: "
                   "ConflictException: in use (HTTP 400)",
            NULL);
    }
}

static void
what_ecs_could_not_do_is_an_error(void **state)
{
    (void)state;
    static const struct {
        const char *reply, *text, *hint;
        int status;
        enum error_kind kind;
    } rows[] = {
        {"{\"tasks\":[],\"failures\":[{\"arn\":\"i-1\",\"reason\":\"RESOURCE:MEMORY\"}]}",
            FAILED "RESOURCE:MEMORY for 'i-1' (HTTP 200)",
            "No instance of the cluster has that much of it left: make room, or ask for less in "
            "the task definition.",
            200, ERROR_REFUSED},
        {"{\"tasks\":[],\"failures\":[{\"reason\":\"AGENT\",\"detail\":\"line\\ntwo\"}]}",
            FAILED "AGENT: line two (HTTP 200)", "The ECS agent of that instance is not connected.",
            200, ERROR_REFUSED},
        {"{\"tasks\":[],\"failures\":[{}]}", FAILED "a failure without a reason (HTTP 200)", NULL,
            200, ERROR_REFUSED},
        {"{\"tasks\":[],\"failures\":[{\"reason\":\"MISSING\"}]}",
            FAILED "MISSING: nowhere to run it (HTTP 200)", NULL, 200, ERROR_REFUSED},
        {"{\"tasks\":[],\"failures\":[]}",
            FAILED "unusable answer: 0 tasks instead of one (HTTP 200)", NULL, 200,
            ERROR_UNAVAILABLE},
        {"{\"tasks\":[{\"taskArn\":\"a\",\"lastStatus\":\"b\"},{\"taskArn\":\"c\",\"lastStatus\":"
         "\"d\"}]}",
            FAILED "unusable answer: 2 tasks instead of one (HTTP 200)", NULL, 200,
            ERROR_UNAVAILABLE},
        {"{\"tasks\":[{\"taskArn\":7}]}",
            FAILED "unusable answer: 'tasks[0].taskArn' is not a string (HTTP 200)", NULL, 200,
            ERROR_UNAVAILABLE},
        {"{\"__type\":\"BlockedException\",\"message\":\"Account blocked.\"}",
            FAILED "ecs RunTask: BlockedException: Account blocked (HTTP 400)", NULL, 400,
            ERROR_REFUSED},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct aws_line_of lines[] = {
            ECS("RunTask", NULL, rows[i].reply, .status = rows[i].status)};
        struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
        struct ecs_task_start start = {0};
        aws_dialog_open(&aws, lines, 1);
        assert_failure(ecs_task_run(aws.session, &small, aws.arena, &start), rows[i].kind,
            rows[i].text, rows[i].hint);
        assert_null(start.task.arn);
    }
}

static void
requests_that_could_run_twice_are_not_sent(void **state)
{
    (void)state;
    static const struct {
        struct ecs_task_request request;
        enum error_kind kind;
        const char *text;
    } rows[] = {
        {{.cluster = "prod", .task_definition = "web:7"}, ERROR_BUG,
            FAILED "a client token of 0 bytes"},
        {{.cluster = "prod",
             .task_definition = "web:7",
             .client_token =
                 "0123456789012345678901234567890123456789012345678901234567890123456789"},
            ERROR_BUG, FAILED "a client token of 70 bytes"},
        {{.cluster = "prod",
             .task_definition = "web:7",
             .client_token = "t",
             .started_by =
                 "0123456789012345678901234567890123456789012345678901234567890123456789012345"
                 "6789012345678901234567890123456789012345678901234567890123456789"},
            ERROR_BUG, FAILED "'startedBy' of 140 bytes"},
        {{.cluster = "prod", .task_definition = "web:7", .client_token = "t", .network_json = "{"},
            ERROR_INPUT,
            FAILED "read the network configuration: unusable answer: JSON, line 1 column 1: string "
                   "or '}' expected near end of file"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
        struct ecs_task_start start = {0};
        aws_dialog_open(&aws, NULL, 0);
        assert_failure(ecs_task_run(aws.session, &rows[i].request, aws.arena, &start), rows[i].kind,
            rows[i].text, NULL);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_what_was_asked_for),
        cmocka_unit_test(a_lost_answer_is_asked_for_again_with_the_same_token),
        cmocka_unit_test(a_token_of_another_request_gives_its_tasks),
        cmocka_unit_test(what_ecs_could_not_do_is_an_error),
        cmocka_unit_test(requests_that_could_run_twice_are_not_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
