// Tasks of ECS: lists, what became of them, and stopping one.
#include "dispatcher/ecs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_dialog.h"
#include "dispatcher/memory.h"

#define ARN "arn:aws:ecs:eu-west-1:012345678901:task/prod/"

static void
lists_ask_with_one_filter(void **state)
{
    (void)state;
    static const struct {
        struct ecs_task_filter filter;
        const char *body;
    } rows[] = {
        {{.cluster = "prod", .service = "web"},
            "{\"cluster\":\"prod\",\"serviceName\":\"web\",\"maxResults\":100}"},
        {{.started_by = "ecs-svc/1", .desired_status = "STOPPED", .max = 5},
            "{\"startedBy\":\"ecs-svc/1\",\"desiredStatus\":\"STOPPED\",\"maxResults\":5}"},
        {{.cluster = "prod", .family = "web"},
            "{\"cluster\":\"prod\",\"family\":\"web\",\"maxResults\":100}"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct aws_line_of lines[] = {
            ECS("ListTasks", rows[i].body, "{\"taskArns\":[\"" ARN "1\"]}")};
        struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
        struct str_list arns = {0};
        aws_dialog_open(&aws, lines, 1);
        assert_success(ecs_tasks_list(aws.session, &rows[i].filter, aws.arena, &arns));
        assert_int_equal(arns.count, 1);
        assert_string_equal(arns.items[0], ARN "1");
    }
}

static void
lists_read_all_pages_up_to_their_maximum(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        ECS("ListTasks", "{\"maxResults\":3}", "{\"taskArns\":[\"a\",\"b\"],\"nextToken\":\"n\"}"),
        ECS("ListTasks", "{\"maxResults\":3,\"nextToken\":\"n\"}",
            "{\"taskArns\":[\"c\",\"d\"],\"nextToken\":\"o\"}"),
        ECS("ListTasks", NULL, "{\"taskArns\":[]}"),
    };
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    const struct ecs_task_filter three = {.max = 3}, any = {.cluster = NULL};
    struct str_list arns = {0};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(ecs_tasks_list(aws.session, &three, aws.arena, &arns));
    assert_int_equal(arns.count, 3);
    assert_string_equal(arns.items[2], "c");
    assert_success(ecs_tasks_list(aws.session, &any, aws.arena, &arns));
    assert_int_equal(arns.count, 0);
}

static void
lists_that_fail_say_of_what(void **state)
{
    (void)state;
    static const struct {
        struct ecs_task_filter filter;
        const char *reply, *text;
        int status;
        enum error_kind kind;
    } rows[] = {
        {{.service = "web"}, "{}",
            "list the tasks of 'web' in cluster 'default': unusable answer: no 'taskArns' (HTTP "
            "200)",
            200, ERROR_UNAVAILABLE},
        {{.family = "web", .cluster = "prod"}, "{\"taskArns\":[7]}",
            "list the tasks of 'web' in cluster 'prod': unusable answer: 'taskArns' holds "
            "something else than names (HTTP 200)",
            200, ERROR_UNAVAILABLE},
        {{.cluster = "prod"}, "{\"__type\":\"ClusterNotFoundException\"}",
            "list the tasks in cluster 'prod': ecs ListTasks: ClusterNotFoundException (HTTP 400)",
            400, ERROR_REFUSED},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct aws_line_of lines[] = {
            ECS("ListTasks", NULL, rows[i].reply, .status = rows[i].status)};
        struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
        struct str_list arns = {0};
        aws_dialog_open(&aws, lines, 1);
        assert_failure(ecs_tasks_list(aws.session, &rows[i].filter, aws.arena, &arns), rows[i].kind,
            rows[i].text, NULL);
    }
}

static const char full[] =
    "{\"tasks\":[{\"taskArn\":\"" ARN "0a\",\"taskDefinitionArn\":\"td:7\",\"lastStatus\":"
    "\"STOPPED\",\"desiredStatus\":\"STOPPED\",\"stopCode\":\"EssentialContainerExited\","
    "\"stoppedReason\":\"Essential container in task exited\",\"startedBy\":\"ecs-svc/1\","
    "\"group\":\"service:web\",\"healthStatus\":\"UNHEALTHY\",\"createdAt\":1,\"startedAt\":2,"
    "\"stoppingAt\":3,\"stoppedAt\":4.004,\"containers\":[{\"name\":\"web\",\"image\":\"r:v1\","
    "\"imageDigest\":\"sha256:42\",\"lastStatus\":\"STOPPED\",\"reason\":\"OutOfMemoryError: "
    "killed\",\"exitCode\":137,\"healthStatus\":\"UNKNOWN\"},{\"name\":\"proxy\","
    "\"exitCode\":0},{\"name\":\"init\"}]}],"
    "\"failures\":[{\"arn\":\"" ARN "0b\",\"reason\":\"MISSING\"}]}";

static void
reads_every_member(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        ECS("DescribeTasks", "{\"cluster\":\"prod\",\"tasks\":[\"0b\",\"0a\",\"0c\"]}", full)};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct ecs_task found[3] = {0};
    aws_dialog_open(&aws, lines, 1);
    assert_success(ecs_tasks_describe(
        aws.session, "prod", (const char *[]){"0b", "0a", "0c"}, 3, aws.arena, found));
    assert_null(found[0].arn);
    assert_null(found[2].arn); // not even a failure: forgotten
    assert_null(found[2].id);
    const struct ecs_task *one = &found[1];
    assert_string_equal(one->arn, ARN "0a");
    assert_string_equal(one->id, "0a");
    assert_string_equal(one->task_definition, "td:7");
    assert_string_equal(one->last_status, "STOPPED");
    assert_string_equal(one->desired_status, "STOPPED");
    assert_string_equal(one->stop_code, "EssentialContainerExited");
    assert_string_equal(one->stopped_reason, "Essential container in task exited");
    assert_string_equal(one->started_by, "ecs-svc/1");
    assert_string_equal(one->group, "service:web");
    assert_string_equal(one->health, "UNHEALTHY");
    assert_int_equal(one->created_ms, 1000);
    assert_int_equal(one->started_ms, 2000);
    assert_int_equal(one->stopping_ms, 3000);
    assert_int_equal(one->stopped_ms, 4004);
    assert_int_equal(one->container_count, 3);
    assert_string_equal(one->containers[0].name, "web");
    assert_string_equal(one->containers[0].image, "r:v1");
    assert_string_equal(one->containers[0].digest, "sha256:42");
    assert_string_equal(one->containers[0].last_status, "STOPPED");
    assert_string_equal(one->containers[0].reason, "OutOfMemoryError: killed");
    assert_string_equal(one->containers[0].health, "UNKNOWN");
    assert_true(one->containers[0].has_exit_code);
    assert_int_equal(one->containers[0].exit_code, 137);
    assert_true(one->containers[1].has_exit_code);
    assert_int_equal(one->containers[1].exit_code, 0);
    assert_false(one->containers[2].has_exit_code);
}

static void
asks_for_a_hundred_at_a_time(void **state)
{
    (void)state;
    const char *names[101];
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        names[i] = "t";
    }
    static const struct aws_line_of lines[] = {
        ECS("DescribeTasks", NULL, "{\"tasks\":[]}"),
        ECS("DescribeTasks", "{\"tasks\":[\"t\"]}",
            "{\"tasks\":[{\"taskArn\":\"x/t\",\"lastStatus\":\"RUNNING\"}]}"),
    };
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct ecs_task found[101] = {0};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(
        ecs_tasks_describe(aws.session, NULL, names, ARRAY_LENGTH(names), aws.arena, found));
    assert_null(found[99].arn);
    assert_string_equal(found[100].id, "t");
}

static void
odd_tasks_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *reply, *problem;
    } rows[] = {
        {"{\"tasks\":[{\"taskArn\":\"x/t\"}]}", "'tasks[0].lastStatus' is missing"},
        {"{\"tasks\":[{\"taskArn\":\"x/t\",\"lastStatus\":\"RUNNING\",\"containers\":[{}]}]}",
            "'tasks[0].containers[0].name' is missing"},
        {"{\"tasks\":[{\"taskArn\":\"x/t\",\"lastStatus\":\"RUNNING\",\"containers\":[{\"name\":"
         "\"a\",\"exitCode\":\"0\"}]}]}",
            "'tasks[0].containers[0].exitCode' is not a whole number"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct aws_line_of lines[] = {ECS("DescribeTasks", NULL, rows[i].reply)};
        struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
        struct ecs_task one = {0};
        char *text CLEANUP(xfreep) = xasprintf(
            "describe task 't' and 1 more: unusable answer: %s (HTTP 200)", rows[i].problem);
        aws_dialog_open(&aws, lines, 1);
        struct ecs_task two[2] = {one, one};
        assert_failure(
            ecs_tasks_describe(aws.session, NULL, (const char *[]){"t", "u"}, 2, aws.arena, two),
            ERROR_UNAVAILABLE, text, NULL);
    }
}

static void
a_task_is_stopped_with_a_reason(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        ECS("StopTask", "{\"cluster\":\"prod\",\"task\":\"t\",\"reason\":\"too late\"}", "{}"),
        ECS("StopTask", "{\"task\":\"t\"}",
            "{\"__type\":\"InvalidParameterException\",\"message\":\"The referenced task was not "
            "found.\"}",
            .status = 400),
    };
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(ecs_task_stop(aws.session, "prod", "t", "too late"));
    assert_failure(ecs_task_stop(aws.session, NULL, "t", NULL), ERROR_REFUSED,
        "stop task 't': ecs StopTask: InvalidParameterException: The referenced task was not found "
        "(HTTP 400)",
        NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_ask_with_one_filter),
        cmocka_unit_test(lists_read_all_pages_up_to_their_maximum),
        cmocka_unit_test(lists_that_fail_say_of_what),
        cmocka_unit_test(reads_every_member),
        cmocka_unit_test(asks_for_a_hundred_at_a_time),
        cmocka_unit_test(odd_tasks_are_refused),
        cmocka_unit_test(a_task_is_stopped_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
