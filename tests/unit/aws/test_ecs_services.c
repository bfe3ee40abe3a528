// ECS clusters and services: what is asked, every member that is read, what is missing, and what no
// answer may say.
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
#define WEB                                                                                        \
    "{\"serviceArn\":\"" ARN "service/prod/web\",\"serviceName\":\"web\",\"status\":\"ACTIVE\","   \
    "\"desiredCount\":2,\"runningCount\":1}"

static const char full[] =
    "{\"services\":[{\"serviceArn\":\"" ARN "service/prod/web\",\"serviceName\":\"web\","
    "\"clusterArn\":\"" ARN "cluster/prod\",\"status\":\"ACTIVE\",\"desiredCount\":3,"
    "\"runningCount\":2,\"pendingCount\":1,\"launchType\":\"FARGATE\","
    "\"capacityProviderStrategy\":[{\"capacityProvider\":\"FARGATE_SPOT\",\"weight\":1}],"
    "\"platformVersion\":\"LATEST\",\"taskDefinition\":\"" ARN "task-definition/web:7\","
    "\"schedulingStrategy\":\"REPLICA\",\"resourceManagementType\":\"CUSTOMER\","
    "\"deploymentConfiguration\":{\"deploymentCircuitBreaker\":{\"enable\":true,"
    "\"rollback\":true},\"maximumPercent\":200,\"strategy\":\"BLUE_GREEN\"},"
    "\"deploymentController\":{\"type\":\"ECS\"},"
    "\"currentServiceDeployment\":\"" ARN "service-deployment/prod/web/d1\","
    "\"deployments\":[{\"id\":\"ecs-svc/1\",\"status\":\"PRIMARY\",\"taskDefinition\":\"" ARN
    "task-definition/web:7\",\"desiredCount\":3,\"pendingCount\":1,\"runningCount\":2,"
    "\"failedTasks\":4,\"createdAt\":1795290480.5,\"updatedAt\":1795290481,"
    "\"rolloutState\":\"IN_PROGRESS\",\"rolloutStateReason\":\"ECS deployment ecs-svc/1 in "
    "progress.\"},{\"id\":\"ecs-svc/0\",\"status\":\"ACTIVE\"}],"
    "\"events\":[{\"id\":\"e1\",\"createdAt\":10,\"message\":\"old\"},{\"id\":\"e2\","
    "\"createdAt\":20.25,\"message\":\"new\\u001b[31m\\nline\"}],"
    "\"networkConfiguration\":{\"awsvpcConfiguration\":{\"subnets\":[\"subnet-1\"],"
    "\"securityGroups\":[\"sg-1\"],\"assignPublicIp\":\"ENABLED\"}},"
    "\"newMember\":{\"x\":1}}],\"failures\":[]}";

static void
reads_every_member(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        ECS("DescribeServices", "{\"cluster\":\"prod\",\"services\":[\"web\"]}", full)};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct ecs_service web = {0};
    aws_dialog_open(&aws, lines, 1);
    assert_success(
        ecs_services_describe(aws.session, "prod", (const char *[]){"web"}, 1, aws.arena, &web));
    assert_string_equal(web.arn, ARN "service/prod/web");
    assert_string_equal(web.name, "web");
    assert_string_equal(web.cluster_arn, ARN "cluster/prod");
    assert_string_equal(web.status, "ACTIVE");
    assert_string_equal(web.task_definition, ARN "task-definition/web:7");
    assert_string_equal(web.controller, "ECS");
    assert_string_equal(web.strategy, "BLUE_GREEN");
    assert_string_equal(web.launch_type, "FARGATE");
    assert_string_equal(web.platform_version, "LATEST");
    assert_string_equal(web.scheduling, "REPLICA");
    assert_string_equal(web.resource_management, "CUSTOMER");
    assert_int_equal(web.desired, 3);
    assert_int_equal(web.running, 2);
    assert_int_equal(web.pending, 1);
    assert_true(web.breaker_enabled && web.breaker_rolls_back);
    assert_string_equal(web.current_deployment, ARN "service-deployment/prod/web/d1");
    assert_int_equal(web.classic_count, 2);
    assert_string_equal(web.classic[0].id, "ecs-svc/1");
    assert_string_equal(web.classic[0].status, "PRIMARY");
    assert_string_equal(web.classic[0].task_definition, ARN "task-definition/web:7");
    assert_string_equal(web.classic[0].rollout_state, "IN_PROGRESS");
    assert_string_equal(web.classic[0].rollout_reason, "ECS deployment ecs-svc/1 in progress.");
    assert_int_equal(web.classic[0].desired, 3);
    assert_int_equal(web.classic[0].running, 2);
    assert_int_equal(web.classic[0].pending, 1);
    assert_int_equal(web.classic[0].failed_tasks, 4);
    assert_int_equal(web.classic[0].created_ms, 1795290480500);
    assert_int_equal(web.classic[0].updated_ms, 1795290481000);
    assert_null(web.classic[1].rollout_state);
    assert_int_equal(web.event_count, 2);
    assert_string_equal(web.events[0].id, "e2");
    assert_string_equal(web.events[0].message, "new line");
    assert_int_equal(web.events[0].created_ms, 20250);
    assert_string_equal(web.events[1].message, "old");
    assert_string_equal(web.network_json,
        "{\"awsvpcConfiguration\":{\"subnets\":[\"subnet-1\"],\"securityGroups\":[\"sg-1\"],"
        "\"assignPublicIp\":\"ENABLED\"}}");
    assert_string_equal(
        web.capacity_json, "[{\"capacityProvider\":\"FARGATE_SPOT\",\"weight\":1}]");
}

static void
what_is_not_said_stays_empty(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {ECS("DescribeServices",
        "{\"services\":[\"" ARN "service/prod/web\"]}", "{\"services\":[" WEB "]}")};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct ecs_service web = {0};
    aws_dialog_open(&aws, lines, 1);
    assert_success(ecs_services_describe(
        aws.session, NULL, (const char *[]){ARN "service/prod/web"}, 1, aws.arena, &web));
    assert_string_equal(web.name, "web");
    assert_null(web.controller);
    assert_null(web.strategy);
    assert_null(web.current_deployment);
    assert_null(web.network_json);
    assert_null(web.capacity_json);
    assert_false(web.breaker_enabled || web.breaker_rolls_back);
    assert_int_equal(web.classic_count, 0);
    assert_int_equal(web.event_count, 0);
}

static void
asks_for_ten_at_a_time_and_tells_who_is_missing(void **state)
{
    (void)state;
    static const char *const names[] = {
        "a", "web", "c", "d", "e", "f", "g", "h", "i", "j", "web2", "l"};
    static const struct aws_line_of lines[] = {
        ECS("DescribeServices",
            "{\"cluster\":\"prod\",\"services\":[\"a\",\"web\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\","
            "\"i\",\"j\"]}",
            "{\"services\":[" WEB "],\"failures\":["
            "{\"arn\":\"x\",\"reason\":\"MISSING\"},{\"arn\":\"x\",\"reason\":\"MISSING\"},"
            "{\"arn\":\"x\",\"reason\":\"MISSING\"},{\"arn\":\"x\",\"reason\":\"MISSING\"},"
            "{\"arn\":\"x\",\"reason\":\"MISSING\"},{\"arn\":\"x\",\"reason\":\"MISSING\"},"
            "{\"arn\":\"x\",\"reason\":\"MISSING\"},{\"arn\":\"x\",\"reason\":\"MISSING\"},"
            "{\"arn\":\"x\",\"reason\":\"MISSING\"}]}"),
        ECS("DescribeServices", "{\"cluster\":\"prod\",\"services\":[\"web2\",\"l\"]}",
            "{\"services\":[{\"serviceArn\":\"" ARN "service/web2\",\"serviceName\":\"web2\","
            "\"status\":\"DRAINING\",\"desiredCount\":0,\"runningCount\":0}],\"failures\":["
            "{\"arn\":\"" ARN "service/l\",\"reason\":\"MISSING\"}]}")};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct ecs_service found[12] = {0};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(
        ecs_services_describe(aws.session, "prod", names, ARRAY_LENGTH(names), aws.arena, found));
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (i == 1 || i == 10) {
            assert_string_equal(found[i].name, names[i]);
        } else {
            assert_null(found[i].arn);
        }
    }
    assert_string_equal(found[10].status, "DRAINING");
}

static void
nothing_is_asked_for_no_names(void **state)
{
    (void)state;
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    aws_dialog_open(&aws, NULL, 0);
    assert_success(ecs_services_describe(aws.session, "prod", NULL, 0, aws.arena, NULL));
}

static void
no_answer_may_say_just_anything(void **state)
{
    (void)state;
#define SERVICE(rest)                                                                              \
    "{\"services\":[{\"serviceArn\":\"" ARN "service/web\",\"serviceName\":\"web\"," rest "}]}"
#define COUNTS "\"status\":\"ACTIVE\",\"desiredCount\":1,\"runningCount\":1"
    static const struct {
        const char *reply, *problem;
    } rows[] = {
        {"{}", "it says nothing of service 'web'"},
        {"{\"services\":[],\"failures\":[]}", "it says nothing of service 'web'"},
        {"{\"services\":{}}", "'services' is not a list"},
        {"{\"services\":[7]}", "'services' holds no objects"},
        {"{\"services\":[{}]}", "'services[0].serviceArn' is missing"},
        {"{\"services\":[{\"serviceArn\":\"\"}]}", "'services[0].serviceArn' is empty"},
        {"{\"services\":[" WEB ",{\"serviceArn\":7}]}", "'services[1].serviceArn' is not a string"},
        {SERVICE("\"desiredCount\":1,\"runningCount\":1"), "'services[0].status' is missing"},
        {SERVICE("\"status\":\"ACTIVE\",\"desiredCount\":\"1\",\"runningCount\":1"),
            "'services[0].desiredCount' is not a whole number"},
        {SERVICE("\"status\":\"ACTIVE\",\"desiredCount\":1"),
            "'services[0].runningCount' is missing"},
        {SERVICE(COUNTS ",\"deploymentController\":\"CODE_DEPLOY\""),
            "'services[0].deploymentController.type' has no object around it"},
        {SERVICE(COUNTS ",\"deploymentConfiguration\":{\"deploymentCircuitBreaker\":"
                        "{\"enable\":\"yes\"}}"),
            "'services[0].deploymentConfiguration.deploymentCircuitBreaker.enable' is not true or "
            "false"},
        {SERVICE(COUNTS ",\"deployments\":[{\"id\":\"a\",\"status\":\"PRIMARY\"},{\"id\":\"b\"}]"),
            "'services[0].deployments[1].status' is missing"},
        {SERVICE(COUNTS ",\"events\":[{\"createdAt\":\"today\"}]"),
            "'services[0].events[0].createdAt' is not a time"},
        {SERVICE(COUNTS ",\"events\":[{\"createdAt\":1e300}]"),
            "'services[0].events[0].createdAt' is not a time"},
        {SERVICE(COUNTS ",\"networkConfiguration\":\"x\""),
            "'services[0].networkConfiguration' is not an object or a list"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct aws_line_of lines[] = {ECS("DescribeServices", NULL, rows[i].reply)};
        struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
        struct ecs_service web = {.name = "untouched"};
        char *text CLEANUP(xfreep) =
            xasprintf("look into cluster 'prod': describe service 'web': unusable answer: %s%s",
                rows[i].problem, " (HTTP 200)");
        aws_dialog_open(&aws, lines, 1);
        assert_failure(
            ecs_services_describe(aws.session, "prod", (const char *[]){"web"}, 1, aws.arena, &web),
            ERROR_UNAVAILABLE, text, NULL);
        assert_string_equal(web.name, "untouched");
    }
}

static void
refusals_name_their_subject(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *reply, *text, *hint;
        enum error_kind kind;
        bool denied;
    } rows[] = {
        {400, "{\"__type\":\"ClusterNotFoundException\",\"message\":\"Cluster not found.\"}",
            "look into cluster 'prod': describe service 'web': ecs DescribeServices: "
            "ClusterNotFoundException: Cluster not found (HTTP 400)",
            NULL, ERROR_REFUSED, false},
        {400, AWS_DENIED("ecs:DescribeServices"),
            "look into cluster 'prod': describe service 'web': ecs DescribeServices: "
            "AccessDeniedException: User: arn:aws:iam::012345678901:user/u is not authorized to "
            "perform: ecs:DescribeServices on resource: * (HTTP 400)",
            AWS_DENIED_HINT("ecs:DescribeServices"), ERROR_CREDENTIALS, true},
        {200, "{\"failures\":[{\"arn\":\"x/web\",\"reason\":\"ACCESS\",\"detail\":\"no\"}]}",
            "look into cluster 'prod': describe service 'web': ACCESS for 'x/web': no (HTTP 200)",
            NULL, ERROR_REFUSED, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct aws_line_of lines[] = {
            ECS("DescribeServices", NULL, rows[i].reply, .status = rows[i].status)};
        struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
        struct ecs_service web = {0};
        aws_dialog_open(&aws, lines, 1);
        struct error *err =
            ecs_services_describe(aws.session, "prod", (const char *[]){"web"}, 1, aws.arena, &web);
        assert_true(aws_is_denied(err) == rows[i].denied);
        assert_failure(err, rows[i].kind, rows[i].text, rows[i].hint);
    }
    assert_false(aws_is_denied(NULL));
}

// moto, and load balancers in front of AWS.
static void
a_page_of_html_is_an_outage(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        ECS("DescribeServices", NULL, "<!DOCTYPE html><html><p>oops", 500, .times = 5)};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct ecs_service web = {0};
    aws_dialog_open(&aws, lines, 1);
    struct error *err =
        ecs_services_describe(aws.session, NULL, (const char *[]){"web"}, 1, aws.arena, &web);
    assert_int_equal(error_kind(err), ERROR_UNAVAILABLE);
    char *text CLEANUP(xfreep) = error_text(err);
    assert_non_null(strstr(text, "an HTML page instead of an answer"));
    error_free(err);
}

static void
throttling_is_waited_for(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        ECS("UpdateService", NULL,
            "{\"__type\":\"ThrottlingException\",\"message\":\"Rate exceeded\"}", .status = 400,
            .once = true, .times = 2),
        ECS("UpdateService", NULL, "{\"service\":" WEB "}", .once = true)};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct ecs_service web = {0};
    const struct ecs_service_change change = {"prod", "web", "web:8", true};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(ecs_service_update(aws.session, &change, aws.arena, &web));
    assert_int_equal(web.running, 1);
}

static void
an_update_sends_what_is_named_and_nothing_else(void **state)
{
    (void)state;
    static const struct {
        struct ecs_service_change change;
        const char *body;
    } rows[] = {
        {{"prod", "web", "web:8", false},
            "{\"cluster\":\"prod\",\"service\":\"web\",\"taskDefinition\":\"web:8\"}"},
        {{NULL, "web", NULL, true}, "{\"service\":\"web\",\"forceNewDeployment\":true}"},
        {{"prod", "web", "web:8", true},
            "{\"cluster\":\"prod\",\"service\":\"web\",\"taskDefinition\":\"web:8\","
            "\"forceNewDeployment\":true}"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        // Only what may be done twice may be asked for twice.
        const struct aws_line_of lines[] = {ECS(
            "UpdateService", rows[i].body, "{\"service\":" WEB "}", .once = rows[i].change.force)};
        struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
        struct ecs_service web = {0};
        aws_dialog_open(&aws, lines, 1);
        assert_success(ecs_service_update(aws.session, &rows[i].change, aws.arena, &web));
        assert_string_equal(web.status, "ACTIVE");
        assert_int_equal(web.desired, 2);
    }
}

static void
an_update_that_was_lost_says_so(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *reply, *text, *hint;
        enum error_kind kind;
        bool left;
    } rows[] = {
        {503, "{}",
            "update service 'web' in cluster 'default': ecs UpdateService: no error code in the "
            "answer (HTTP 503)",
            NULL, ERROR_UNAVAILABLE, true},
        {200, "{}",
            "update service 'web' in cluster 'default': unusable answer: no 'service' (HTTP 200)",
            NULL, ERROR_UNAVAILABLE, true},
        {200, "{", NULL, NULL, ERROR_UNAVAILABLE, true},
        {400, "{\"__type\":\"ServiceNotActiveException\",\"message\":\"Service was not ACTIVE.\"}",
            "update service 'web' in cluster 'default': ecs UpdateService: "
            "ServiceNotActiveException: Service was not ACTIVE (HTTP 400)",
            NULL, ERROR_REFUSED, false},
        {400, AWS_DENIED("iam:PassRole"), NULL, AWS_DENIED_HINT("iam:PassRole"), ERROR_CREDENTIALS,
            false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct aws_line_of lines[] = {
            ECS("UpdateService", NULL, rows[i].reply, .status = rows[i].status, .once = true)};
        struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
        struct ecs_service web = {0};
        const struct ecs_service_change change = {NULL, "web", NULL, true};
        aws_dialog_open(&aws, lines, 1);
        struct error *err = ecs_service_update(aws.session, &change, aws.arena, &web);
        assert_non_null(err);
        assert_true(error_remote_of(err)->request_left == rows[i].left);
        char *text CLEANUP(xfreep) = error_text(err);
        assert_failure(err, rows[i].kind, rows[i].text != NULL ? rows[i].text : text, rows[i].hint);
        assert_null(web.arn);
    }
}

static void
clusters_are_there_or_not(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        ECS("DescribeClusters", "{\"clusters\":[\"prod\"]}",
            "{\"clusters\":[{\"clusterArn\":\"" ARN "cluster/prod\",\"clusterName\":\"prod\","
            "\"status\":\"ACTIVE\",\"activeServicesCount\":4,\"runningTasksCount\":9,"
            "\"pendingTasksCount\":1}]}"),
        ECS("DescribeClusters", "{\"clusters\":[\"default\"]}",
            "{\"clusters\":[],\"failures\":[{\"arn\":\"" ARN
            "cluster/default\",\"reason\":\"MISSING\"}]}")};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct ecs_cluster prod = {0}, none = {.name = "x"};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(ecs_cluster_describe(aws.session, "prod", aws.arena, &prod));
    assert_string_equal(prod.arn, ARN "cluster/prod");
    assert_string_equal(prod.name, "prod");
    assert_string_equal(prod.status, "ACTIVE");
    assert_int_equal(prod.services, 4);
    assert_int_equal(prod.running_tasks, 9);
    assert_int_equal(prod.pending_tasks, 1);
    assert_success(ecs_cluster_describe(aws.session, NULL, aws.arena, &none));
    assert_null(none.arn);
}

static void
tags_are_added_and_read(void **state)
{
    (void)state;
    static const struct pair pairs[] = {{"release", "v1 ü"}, {"empty", ""}};
    static const struct aws_line_of lines[] = {
        ECS("TagResource",
            "{\"resourceArn\":\"" ARN "task-definition/web:7\",\"tags\":[{\"key\":\"release\","
            "\"value\":\"v1 ü\"},{\"key\":\"empty\",\"value\":\"\"}]}",
            "{}"),
        ECS("ListTagsForResource", "{\"resourceArn\":\"r\"}",
            "{\"tags\":[{\"key\":\"a\",\"value\":\"b\"},{\"key\":\"c\"}]}"),
        ECS("ListTagsForResource", "{\"resourceArn\":\"r\"}", "{\"tags\":[{\"value\":\"b\"}]}")};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct pair_list tags = {0};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(
        ecs_tags_add(aws.session, ARN "task-definition/web:7", pairs, ARRAY_LENGTH(pairs)));
    assert_success(ecs_tags_get(aws.session, "r", aws.arena, &tags));
    assert_int_equal(tags.count, 2);
    assert_string_equal(tags.items[0].key, "a");
    assert_string_equal(tags.items[0].value, "b");
    assert_string_equal(tags.items[1].key, "c");
    assert_null(tags.items[1].value);
    assert_failure(ecs_tags_get(aws.session, "r", aws.arena, &tags), ERROR_UNAVAILABLE,
        "read the tags of 'r': unusable answer: 'tags[0].key' is missing (HTTP 200)", NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_member),
        cmocka_unit_test(what_is_not_said_stays_empty),
        cmocka_unit_test(asks_for_ten_at_a_time_and_tells_who_is_missing),
        cmocka_unit_test(nothing_is_asked_for_no_names),
        cmocka_unit_test(no_answer_may_say_just_anything),
        cmocka_unit_test(refusals_name_their_subject),
        cmocka_unit_test(a_page_of_html_is_an_outage),
        cmocka_unit_test(throttling_is_waited_for),
        cmocka_unit_test(an_update_sends_what_is_named_and_nothing_else),
        cmocka_unit_test(an_update_that_was_lost_says_so),
        cmocka_unit_test(clusters_are_there_or_not),
        cmocka_unit_test(tags_are_added_and_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
