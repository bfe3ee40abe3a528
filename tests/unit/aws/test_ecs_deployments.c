// Service deployments of ECS: states as a table, every member that is read, lists, and the two ways
// to take part.
#include "dispatcher/ecs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_dialog.h"
#include "dispatcher/memory.h"

#define ARN "arn:aws:ecs:eu-west-1:012345678901:"
#define D1 ARN "service-deployment/prod/web/d1"
#define R1 ARN "service-revision/prod/web/1"

static void
only_successful_is_success(void **state)
{
    (void)state;
    static const struct {
        const char *status;
        enum ecs_state state;
        bool final;
    } rows[] = {
        {"PENDING", ECS_STATE_PENDING, false},
        {"IN_PROGRESS", ECS_STATE_RUNNING, false},
        {"SUCCESSFUL", ECS_STATE_SUCCEEDED, true},
        {"STOP_REQUESTED", ECS_STATE_STOPPING, false},
        {"STOPPED", ECS_STATE_STOPPED, true},
        {"ROLLBACK_REQUESTED", ECS_STATE_ROLLING_BACK, false},
        {"ROLLBACK_IN_PROGRESS", ECS_STATE_ROLLING_BACK, false},
        {"ROLLBACK_SUCCESSFUL", ECS_STATE_ROLLED_BACK, true},
        {"ROLLBACK_FAILED", ECS_STATE_ROLLBACK_FAILED, true},
        {"successful", ECS_STATE_UNKNOWN, false},
        {"SUCCESSFUL_EARLY", ECS_STATE_UNKNOWN, false},
        {"", ECS_STATE_UNKNOWN, false},
        {NULL, ECS_STATE_UNKNOWN, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        assert_int_equal(ecs_state_of(rows[i].status), rows[i].state);
        assert_true(ecs_state_is_final(rows[i].state) == rows[i].final);
    }
    assert_false(ecs_state_is_final((enum ecs_state)99));
}

static void
stages_have_an_order(void **state)
{
    (void)state;
    static const char *const stages[] = {"RECONCILE_SERVICE", "PRE_SCALE_UP", "SCALE_UP",
        "POST_SCALE_UP", "TEST_TRAFFIC_SHIFT", "POST_TEST_TRAFFIC_SHIFT",
        "PRODUCTION_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT", "BAKE_TIME", "CLEAN_UP"};
    int last = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(stages); i++) {
        assert_true(ecs_stage_rank(stages[i]) > last);
        last = ecs_stage_rank(stages[i]);
    }
    assert_int_equal(ecs_stage_rank(NULL), 0);
    assert_int_equal(ecs_stage_rank("LUNCH"), 0);
}

static const char full[] =
    "{\"serviceDeployments\":[{\"serviceDeploymentArn\":\"" D1 "\",\"serviceArn\":\"" ARN
    "service/prod/web\",\"clusterArn\":\"" ARN "cluster/prod\",\"createdAt\":10,"
    "\"startedAt\":11.5,\"finishedAt\":12,\"stoppedAt\":13,\"updatedAt\":14,"
    "\"sourceServiceRevisions\":[{\"arn\":\"" R1 "\",\"requestedTaskCount\":3,"
    "\"runningTaskCount\":2,\"pendingTaskCount\":1,\"requestedTestTrafficWeight\":0,"
    "\"requestedProductionTrafficWeight\":94.9},{}],"
    "\"targetServiceRevision\":{\"arn\":\"" ARN "service-revision/prod/web/2\","
    "\"requestedTaskCount\":4,\"runningTaskCount\":5,\"pendingTaskCount\":6,"
    "\"requestedProductionTrafficWeight\":5.1},"
    "\"status\":\"ROLLBACK_IN_PROGRESS\",\"statusReason\":\"alarm\\nrang\","
    "\"lifecycleStage\":\"BAKE_TIME\","
    "\"lifecycleHookDetails\":[{\"hookId\":\"h1\",\"targetType\":\"PAUSE\","
    "\"status\":\"AWAITING_ACTION\",\"expiresAt\":99,\"timeoutAction\":\"ROLLBACK\"},"
    "{\"targetType\":\"TOMORROW\",\"targetArn\":\"arn:x\"}],"
    "\"deploymentConfiguration\":{\"strategy\":\"CANARY\",\"bakeTimeInMinutes\":3,"
    "\"canaryConfiguration\":{\"canaryPercent\":5.1}},"
    "\"rollback\":{\"reason\":\"alarms\",\"startedAt\":12.5,\"serviceRevisionArn\":\"" R1 "\"},"
    "\"deploymentCircuitBreaker\":{\"status\":\"TRIGGERED\",\"failureCount\":3,\"threshold\":3},"
    "\"alarms\":{\"status\":\"TRIGGERED\",\"alarmNames\":[\"a\",\"b\"],"
    "\"triggeredAlarmNames\":[\"b\"]}}],\"failures\":[{\"arn\":\"d2\",\"reason\":\"MISSING\"}]}";

static void
reads_every_member(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        ECS("DescribeServiceDeployments", "{\"serviceDeploymentArns\":[\"d2\",\"" D1 "\"]}", full)};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct ecs_deployment found[2] = {0};
    aws_dialog_open(&aws, lines, 1);
    assert_success(
        ecs_deployments_describe(aws.session, (const char *[]){"d2", D1}, 2, aws.arena, found));
    assert_null(found[0].arn);
    assert_int_equal(found[0].state, ECS_STATE_UNKNOWN);
    const struct ecs_deployment *one = &found[1];
    assert_string_equal(one->arn, D1);
    assert_string_equal(one->service_arn, ARN "service/prod/web");
    assert_string_equal(one->cluster_arn, ARN "cluster/prod");
    assert_string_equal(one->status, "ROLLBACK_IN_PROGRESS");
    assert_int_equal(one->state, ECS_STATE_ROLLING_BACK);
    assert_string_equal(one->reason, "alarm rang");
    assert_string_equal(one->stage, "BAKE_TIME");
    assert_string_equal(one->strategy, "CANARY");
    assert_int_equal(one->bake_minutes, 3);
    assert_int_equal(one->created_ms, 10000);
    assert_int_equal(one->started_ms, 11500);
    assert_int_equal(one->finished_ms, 12000);
    assert_int_equal(one->stopped_ms, 13000);
    assert_int_equal(one->updated_ms, 14000);
    assert_string_equal(one->target.revision_arn, ARN "service-revision/prod/web/2");
    assert_int_equal(one->target.requested, 4);
    assert_int_equal(one->target.running, 5);
    assert_int_equal(one->target.pending, 6);
    assert_true(one->target.production_weight > 5.09 && one->target.production_weight < 5.11);
    assert_true(one->target.test_weight < -0.9);
    assert_int_equal(one->source_count, 2);
    assert_string_equal(one->sources[0].revision_arn, R1);
    assert_true(one->sources[0].production_weight > 94.8);
    assert_true(one->sources[0].test_weight > -0.1 && one->sources[0].test_weight < 0.1);
    assert_null(one->sources[1].revision_arn);
    assert_true(one->sources[1].production_weight < -0.9);
    assert_string_equal(one->breaker.status, "TRIGGERED");
    assert_int_equal(one->breaker.failures, 3);
    assert_int_equal(one->breaker.threshold, 3);
    assert_string_equal(one->rollback.reason, "alarms");
    assert_string_equal(one->rollback.revision_arn, R1);
    assert_int_equal(one->rollback.started_ms, 12500);
    assert_string_equal(one->alarm_status, "TRIGGERED");
    assert_int_equal(one->alarms_triggered.count, 1);
    assert_string_equal(one->alarms_triggered.items[0], "b");
    assert_int_equal(one->hook_count, 2);
    assert_string_equal(one->hooks[0].id, "h1");
    assert_string_equal(one->hooks[0].type, "PAUSE");
    assert_string_equal(one->hooks[0].status, "AWAITING_ACTION");
    assert_string_equal(one->hooks[0].timeout_action, "ROLLBACK");
    assert_int_equal(one->hooks[0].expires_ms, 99000);
    assert_null(one->hooks[1].id);
    assert_string_equal(one->hooks[1].type, "TOMORROW");
    assert_string_equal(one->hooks[1].target_arn, "arn:x");
}

static void
asks_for_twenty_at_a_time(void **state)
{
    (void)state;
    const char *names[21];
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        names[i] = i == 20 ? "last" : "d";
    }
    static const struct aws_line_of lines[] = {
        ECS("DescribeServiceDeployments",
            "{\"serviceDeploymentArns\":[\"d\",\"d\",\"d\",\"d\",\"d\",\"d\",\"d\",\"d\",\"d\","
            "\"d\",\"d\",\"d\",\"d\",\"d\",\"d\",\"d\",\"d\",\"d\",\"d\",\"d\"]}",
            "{\"serviceDeployments\":[{\"serviceDeploymentArn\":\"x/d\",\"status\":\"PENDING\"}]}"),
        ECS("DescribeServiceDeployments", "{\"serviceDeploymentArns\":[\"last\"]}",
            "{\"serviceDeployments\":[{\"serviceDeploymentArn\":\"x/last\",\"status\":"
            "\"NEW_WORD\"}]}"),
    };
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct ecs_deployment found[21] = {0};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(
        ecs_deployments_describe(aws.session, names, ARRAY_LENGTH(names), aws.arena, found));
    assert_string_equal(found[19].arn, "x/d");
    assert_string_equal(found[20].arn, "x/last");
    assert_string_equal(found[20].status, "NEW_WORD");
    assert_int_equal(found[20].state, ECS_STATE_UNKNOWN);
}

static void
odd_deployments_are_refused(void **state)
{
    (void)state;
#define ONE(rest) "{\"serviceDeployments\":[{\"serviceDeploymentArn\":\"x/d\"" rest "}]}"
    static const struct {
        const char *reply, *problem;
    } rows[] = {
        {"{}", "it says nothing of service deployment 'd'"},
        {ONE(""), "'serviceDeployments[0].status' is missing"},
        {ONE(",\"status\":7"), "'serviceDeployments[0].status' is not a string"},
        {ONE(",\"status\":\"PENDING\",\"targetServiceRevision\":[]"),
            "'serviceDeployments[0].targetServiceRevision.arn' has no object around it"},
        {ONE(",\"status\":\"PENDING\",\"targetServiceRevision\":{\"runningTaskCount\":1.5}"),
            "'serviceDeployments[0].targetServiceRevision.runningTaskCount' is not a whole number"},
        {ONE(",\"status\":\"PENDING\",\"sourceServiceRevisions\":"
             "[{\"requestedTestTrafficWeight\":\"all\"}]"),
            "'serviceDeployments[0].sourceServiceRevisions[0].requestedTestTrafficWeight' is not a "
            "number"},
        {ONE(",\"status\":\"PENDING\",\"alarms\":{\"triggeredAlarmNames\":[1]}"),
            "'serviceDeployments[0].alarms.triggeredAlarmNames' holds something else than "
            "strings"},
        {ONE(",\"status\":\"PENDING\",\"alarms\":{\"triggeredAlarmNames\":\"a\"}"),
            "'serviceDeployments[0].alarms.triggeredAlarmNames' is not a list"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct aws_line_of lines[] = {ECS("DescribeServiceDeployments", NULL, rows[i].reply)};
        struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
        struct ecs_deployment one = {0};
        char *text CLEANUP(xfreep) = xasprintf(
            "describe service deployment 'd': unusable answer: %s (HTTP 200)", rows[i].problem);
        aws_dialog_open(&aws, lines, 1);
        assert_failure(
            ecs_deployments_describe(aws.session, (const char *[]){"d"}, 1, aws.arena, &one),
            ERROR_UNAVAILABLE, text, NULL);
        assert_null(one.arn);
    }
}

static void
revisions_name_their_images(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        ECS("DescribeServiceRevisions", "{\"serviceRevisionArns\":[\"" R1 "\"]}",
            "{\"serviceRevisions\":[{\"serviceRevisionArn\":\"" R1
            "\",\"taskDefinition\":\"td:7\",\"createdAt\":5,\"containerImages\":["
            "{\"containerName\":\"web\",\"image\":\"repo:v1\",\"imageDigest\":\"sha256:42\"},"
            "{\"containerName\":\"proxy\",\"image\":\"p:1\"}]}]}"),
        ECS("DescribeServiceRevisions", "{\"serviceRevisionArns\":[\"" R1 "\"]}",
            "{\"failures\":[{\"arn\":\"" R1 "\",\"reason\":\"MISSING\"}]}"),
    };
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct ecs_revision one = {0};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(ecs_revisions_describe(aws.session, (const char *[]){R1}, 1, aws.arena, &one));
    assert_string_equal(one.arn, R1);
    assert_string_equal(one.task_definition, "td:7");
    assert_int_equal(one.created_ms, 5000);
    assert_int_equal(one.image_count, 2);
    assert_string_equal(one.images[0].container, "web");
    assert_string_equal(one.images[0].image, "repo:v1");
    assert_string_equal(one.images[0].digest, "sha256:42");
    assert_null(one.images[1].digest);
    assert_success(ecs_revisions_describe(aws.session, (const char *[]){R1}, 1, aws.arena, &one));
    assert_null(one.arn);
}

#define BRIEF(name, status, created)                                                               \
    "{\"serviceDeploymentArn\":\"" name "\",\"status\":\"" status "\",\"createdAt\":" created "}"

static void
lists_are_newest_first_over_all_pages(void **state)
{
    (void)state;
    static const char *const statuses[] = {"PENDING", "IN_PROGRESS", NULL};
    static const struct aws_line_of lines[] = {
        ECS("ListServiceDeployments",
            "{\"service\":\"web\",\"cluster\":\"prod\",\"status\":[\"PENDING\",\"IN_PROGRESS\"],"
            "\"createdAt\":{\"after\":1795290480},\"maxResults\":100}",
            "{\"serviceDeployments\":[" BRIEF("d1", "IN_PROGRESS",
                "10") ","
                      "{\"serviceDeploymentArn\":\"d3\",\"status\":\"PENDING\",\"createdAt\":30,"
                      "\"startedAt\":31,\"finishedAt\":32,\"targetServiceRevisionArn\":\"r3\","
                      "\"statusReason\":\"why\"}],\"nextToken\":\"n\"}"),
        ECS("ListServiceDeployments",
            "{\"service\":\"web\",\"cluster\":\"prod\",\"status\":[\"PENDING\",\"IN_PROGRESS\"],"
            "\"createdAt\":{\"after\":1795290480},\"maxResults\":100,\"nextToken\":\"n\"}",
            "{\"serviceDeployments\":[" BRIEF("d2", "ODD", "20") "]}"),
    };
    const struct ecs_deployment_query query = {"prod", "web", 1795290480999, statuses, 0};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct ecs_deployment_summary *list = NULL;
    size_t count = 0;
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(ecs_deployments_list(aws.session, &query, aws.arena, &list, &count));
    assert_int_equal(count, 3);
    assert_string_equal(list[0].arn, "d3");
    assert_int_equal(list[0].state, ECS_STATE_PENDING);
    assert_string_equal(list[0].reason, "why");
    assert_string_equal(list[0].target_revision_arn, "r3");
    assert_int_equal(list[0].created_ms, 30000);
    assert_int_equal(list[0].started_ms, 31000);
    assert_int_equal(list[0].finished_ms, 32000);
    assert_string_equal(list[1].arn, "d2");
    assert_int_equal(list[1].state, ECS_STATE_UNKNOWN);
    assert_string_equal(list[2].arn, "d1");
}

static void
lists_stop_at_their_maximum(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        ECS("ListServiceDeployments", "{\"service\":\"web\",\"maxResults\":2}",
            "{\"serviceDeployments\":[" BRIEF("d1", "STOPPED", "1") "," BRIEF(
                "d2", "STOPPED", "2") "," BRIEF("d3", "STOPPED", "3") "],\"nextToken\":\"n\"}"),
    };
    const struct ecs_deployment_query query = {.service = "web", .max = 2};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct ecs_deployment_summary *list = NULL;
    size_t count = 0;
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(ecs_deployments_list(aws.session, &query, aws.arena, &list, &count));
    assert_int_equal(count, 2);
}

static void
what_is_not_allowed_or_not_there_is_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *reply;
        bool denied, unsupported;
        enum error_kind kind;
        const char *text, *hint;
    } rows[] = {
        {AWS_DENIED("ecs:ListServiceDeployments"), true, false, ERROR_CREDENTIALS,
            "list the deployments of service 'web': ecs ListServiceDeployments: "
            "AccessDeniedException: User: arn:aws:iam::012345678901:user/u is not authorized to "
            "perform: ecs:ListServiceDeployments on resource: * (HTTP 400)",
            AWS_DENIED_HINT("ecs:ListServiceDeployments")},
        {"{\"__type\":\"com.amazonaws.ecs#AccessDeniedException\"}", true, false, ERROR_CREDENTIALS,
            "list the deployments of service 'web': ecs ListServiceDeployments: "
            "AccessDeniedException (HTTP 400)",
            AWS_DENIED_HINT("ecs:ListServiceDeployments")},
        {"{\"__type\":\"AccessDeniedException\",\"message\":\"not authorized to perform: \"}", true,
            false, ERROR_CREDENTIALS,
            "list the deployments of service 'web': ecs ListServiceDeployments: "
            "AccessDeniedException: not authorized to perform: (HTTP 400)",
            AWS_DENIED_HINT("ecs:ListServiceDeployments")},
        {"{\"__type\":\"UnsupportedFeatureException\",\"message\":\"not here\"}", false, true,
            ERROR_REFUSED,
            "list the deployments of service 'web': ecs ListServiceDeployments: "
            "UnsupportedFeatureException: not here (HTTP 400)",
            NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct aws_line_of lines[] = {
            ECS("ListServiceDeployments", NULL, rows[i].reply, .status = 400)};
        const struct ecs_deployment_query query = {.service = "web"};
        struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
        struct ecs_deployment_summary *list = NULL;
        size_t count = 0;
        aws_dialog_open(&aws, lines, 1);
        struct error *err = ecs_deployments_list(aws.session, &query, aws.arena, &list, &count);
        assert_true(aws_is_denied(err) == rows[i].denied);
        assert_true(aws_has_code(err, "UnsupportedFeatureException") == rows[i].unsupported);
        assert_failure(err, rows[i].kind, rows[i].text, rows[i].hint);
    }
}

static void
stopping_means_rolling_back(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        ECS("StopServiceDeployment",
            "{\"serviceDeploymentArn\":\"" D1 "\",\"stopType\":\"ROLLBACK\"}", "{}"),
        ECS("StopServiceDeployment", NULL,
            "{\"__type\":\"ConflictException\",\"message\":\"It is over.\"}", .status = 400),
        ECS("StopServiceDeployment", NULL, "{\"__type\":\"ServiceDeploymentNotFoundException\"}",
            .status = 400),
    };
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(ecs_deployment_stop(aws.session, D1));
    assert_failure(ecs_deployment_stop(aws.session, "d"), ERROR_CONFLICT,
        "stop service deployment 'd': ecs StopServiceDeployment: ConflictException: It is over "
        "(HTTP 400)",
        NULL);
    assert_failure(ecs_deployment_stop(aws.session, "d"), ERROR_REFUSED,
        "stop service deployment 'd': ecs StopServiceDeployment: "
        "ServiceDeploymentNotFoundException (HTTP 400)",
        NULL);
}

static void
hooks_are_continued_or_rolled_back(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        ECS("ContinueServiceDeployment",
            "{\"serviceDeploymentArn\":\"d\",\"hookId\":\"h\",\"action\":\"CONTINUE\"}", "{}"),
        ECS("ContinueServiceDeployment",
            "{\"serviceDeploymentArn\":\"d\",\"hookId\":\"h\",\"action\":\"ROLLBACK\"}", "{}"),
        ECS("ContinueServiceDeployment", NULL,
            "{\"__type\":\"InvalidParameterException\",\"message\":\"No such hook.\"}",
            .status = 400),
    };
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(ecs_deployment_continue(aws.session, "d", "h", false));
    assert_success(ecs_deployment_continue(aws.session, "d", "h", true));
    assert_failure(ecs_deployment_continue(aws.session, "d", "h", true), ERROR_REFUSED,
        "continue service deployment 'd' at hook 'h': ecs ContinueServiceDeployment: "
        "InvalidParameterException: No such hook (HTTP 400)",
        NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_successful_is_success),
        cmocka_unit_test(stages_have_an_order),
        cmocka_unit_test(reads_every_member),
        cmocka_unit_test(asks_for_twenty_at_a_time),
        cmocka_unit_test(odd_deployments_are_refused),
        cmocka_unit_test(revisions_name_their_images),
        cmocka_unit_test(lists_are_newest_first_over_all_pages),
        cmocka_unit_test(lists_stop_at_their_maximum),
        cmocka_unit_test(what_is_not_allowed_or_not_there_is_told_apart),
        cmocka_unit_test(stopping_means_rolling_back),
        cmocka_unit_test(hooks_are_continued_or_rolled_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
