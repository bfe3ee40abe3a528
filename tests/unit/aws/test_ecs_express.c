// Express services: what is read, an update that loses nothing, and creating one.
#include "dispatcher/ecs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_dialog.h"
#include "dispatcher/memory.h"

#define ARN "arn:aws:ecs:eu-west-1:012345678901:service/default/shop"
#define CONTAINER(image)                                                                           \
    "{\"image\":\"" image "\",\"containerPort\":8080,\"awsLogsConfiguration\":{\"logGroup\":"      \
    "\"/ecs/shop\",\"logStreamPrefix\":\"ecs\"},\"command\":[\"run\"],\"environment\":[{\"name\":" \
    "\"A\",\"value\":\"ünï\"}],\"secrets\":[{\"name\":\"S\",\"valueFrom\":\"arn:s\"}],"          \
    "\"memberOfTomorrow\":{\"x\":0.1}}"
#define CONFIGURATION(revision, container, created)                                                \
    "{\"serviceRevisionArn\":\"" revision "\",\"executionRoleArn\":\"arn:e\",\"taskRoleArn\":"     \
    "\"arn:t\",\"cpu\":\"256\",\"memory\":\"512\",\"healthCheckPath\":\"/up\","                    \
    "\"primaryContainer\":" container ",\"ingressPaths\":[{\"accessType\":\"PUBLIC\","             \
    "\"endpoint\":\"shop.ecs.eu-west-1.on.aws\"}],\"createdAt\":" created "}"
#define SERVICE(rest)                                                                              \
    "{\"service\":{\"cluster\":\"default\",\"serviceName\":\"shop\",\"serviceArn\":\"" ARN         \
    "\",\"infrastructureRoleArn\":\"arn:i\",\"status\":{\"statusCode\":\"ACTIVE\","                \
    "\"statusReason\":\"fine\"}," rest ",\"createdAt\":1,\"updatedAt\":2}}"
#define ACTIVE(list) "\"activeConfigurations\":[" list "]"

static void
reads_every_member(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        ECS("DescribeExpressGatewayService", "{\"serviceArn\":\"" ARN "\"}",
            SERVICE("\"currentDeployment\":\"d1\"," ACTIVE(CONFIGURATION("r1", CONTAINER("old:1"),
                "10") "," CONFIGURATION("r2", CONTAINER("new:1"), "20"))))};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct ecs_express shop = {0};
    aws_dialog_open(&aws, lines, 1);
    assert_success(ecs_express_describe(aws.session, ARN, aws.arena, &shop));
    assert_string_equal(shop.arn, ARN);
    assert_string_equal(shop.name, "shop");
    assert_string_equal(shop.cluster, "default");
    assert_string_equal(shop.status, "ACTIVE");
    assert_string_equal(shop.reason, "fine");
    assert_string_equal(shop.current_deployment, "d1");
    assert_string_equal(shop.infrastructure_role_arn, "arn:i");
    assert_int_equal(shop.created_ms, 1000);
    assert_int_equal(shop.updated_ms, 2000);
    assert_int_equal(shop.configuration_count, 2);
    const struct ecs_express_configuration *newest = &shop.configurations[0];
    assert_string_equal(newest->revision_arn, "r2");
    assert_string_equal(newest->image, "new:1");
    assert_int_equal(newest->port, 8080);
    assert_string_equal(newest->health_path, "/up");
    assert_string_equal(newest->cpu, "256");
    assert_string_equal(newest->memory, "512");
    assert_string_equal(newest->execution_role_arn, "arn:e");
    assert_string_equal(newest->task_role_arn, "arn:t");
    assert_string_equal(newest->log_group, "/ecs/shop");
    assert_string_equal(newest->log_prefix, "ecs");
    assert_int_equal(newest->endpoints.count, 1);
    assert_string_equal(newest->endpoints.items[0], "shop.ecs.eu-west-1.on.aws");
    assert_int_equal(newest->created_ms, 20000);
    assert_string_equal(newest->container_json, CONTAINER("new:1"));
    assert_string_equal(shop.configurations[1].image, "old:1");
}

static void
no_service_is_a_value(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        ECS("DescribeExpressGatewayService", NULL, "{\"__type\":\"ResourceNotFoundException\"}",
            .status = 400),
        ECS("DescribeExpressGatewayService", NULL,
            "{\"service\":{\"serviceArn\":\"a\",\"status\":\"ACTIVE\"}}"),
        ECS("DescribeExpressGatewayService", NULL, "{}"),
        ECS("DescribeExpressGatewayService", NULL,
            SERVICE(ACTIVE("{\"primaryContainer\":{\"containerPort\":80}}"))),
    };
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct ecs_express shop = {.name = "before"};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(ecs_express_describe(aws.session, "a", aws.arena, &shop));
    assert_null(shop.arn);
    assert_null(shop.name);
    static const char *const problems[] = {
        "'status.statusCode' has no object around it",
        "no 'service'",
        "'activeConfigurations[0].primaryContainer.image' is missing",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(problems); i++) {
        char *text CLEANUP(xfreep) =
            xasprintf("describe Express service 'a': unusable answer: %s (HTTP 200)", problems[i]);
        assert_failure(ecs_express_describe(aws.session, "a", aws.arena, &shop), ERROR_UNAVAILABLE,
            text, NULL);
    }
}

static void
an_update_sends_the_container_with_another_image(void **state)
{
    (void)state;
    // Two configurations that agree but for the image may both be active.
    static const struct aws_line_of lines[] = {
        ECS("DescribeExpressGatewayService", NULL,
            SERVICE(ACTIVE(CONFIGURATION("r1", CONTAINER("old:1"), "10") "," CONFIGURATION(
                "r2", CONTAINER("older:1"), "5")))),
        ECS("UpdateExpressGatewayService",
            "{\"serviceArn\":\"" ARN "\",\"primaryContainer\":" CONTAINER("new@sha256:42") "}",
            SERVICE(
                "\"targetConfiguration\":" CONFIGURATION("r3", CONTAINER("new@sha256:42"), "30")),
            .once = true)};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct ecs_express shop = {0}, after = {0};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(ecs_express_describe(aws.session, ARN, aws.arena, &shop));
    assert_success(ecs_express_update(aws.session, &shop, "new@sha256:42", aws.arena, &after));
    assert_int_equal(after.configuration_count, 1);
    assert_string_equal(after.configurations[0].revision_arn, "r3");
    assert_string_equal(after.configurations[0].image, "new@sha256:42");
    assert_null(after.current_deployment);
}

static void
an_update_waits_for_one_truth(void **state)
{
    (void)state;
    static struct ecs_express_configuration two[] = {
        {.container_json = "{\"image\":\"a\",\"containerPort\":80}"},
        {.container_json = "{\"image\":\"b\",\"containerPort\":81}"}};
    static struct ecs_express_configuration broken[] = {{.container_json = "{"}};
    static struct ecs_express_configuration bare[] = {{.image = "a"}};
    const struct ecs_express differing = {
        .arn = "a", .configurations = two, .configuration_count = 2};
    const struct ecs_express none = {.arn = "a"};
    const struct ecs_express without = {
        .arn = "a", .configurations = bare, .configuration_count = 1};
    const struct ecs_express unreadable = {
        .arn = "a", .configurations = broken, .configuration_count = 1};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct ecs_express after = {0};
    aws_dialog_open(&aws, NULL, 0);
    assert_failure(ecs_express_update(aws.session, &differing, "x", aws.arena, &after),
        ERROR_CONFLICT,
        "update Express service 'a': two configurations are active that differ in more than the "
        "image",
        "Wait until the deployment under way is over, then try again.");
    assert_failure(ecs_express_update(aws.session, &none, "x", aws.arena, &after), ERROR_CONFLICT,
        "update Express service 'a': it has no active configuration", NULL);
    assert_failure(ecs_express_update(aws.session, &without, "x", aws.arena, &after),
        ERROR_CONFLICT, "update Express service 'a': it has no active configuration", NULL);
    assert_failure(ecs_express_update(aws.session, &unreadable, "x", aws.arena, &after),
        ERROR_INPUT,
        "update Express service 'a': read 'primaryContainer': unusable answer: JSON, line 1 column "
        "1: string or '}' expected near end of file",
        NULL);
}

static void
creating_sends_what_is_given_only(void **state)
{
    (void)state;
    static const char *command[] = {"run"}, *subnets[] = {"subnet-1", "subnet-2"},
                      *groups[] = {"sg-1"};
    static struct pair environment[] = {{"A", "1"}}, secrets[] = {{"S", "arn:s"}},
                       tags[] = {{"release", "v1"}};
    static const struct {
        struct ecs_express_create create;
        const char *body;
    } rows[] = {
        {{.execution_role_arn = "arn:e", .infrastructure_role_arn = "arn:i", .image = "r:1"},
            "{\"executionRoleArn\":\"arn:e\",\"infrastructureRoleArn\":\"arn:i\","
            "\"primaryContainer\":{\"image\":\"r:1\"}}"},
        {{.name = "shop",
             .cluster = "prod",
             .execution_role_arn = "arn:e",
             .infrastructure_role_arn = "arn:i",
             .task_role_arn = "arn:t",
             .image = "r:1",
             .port = 8080,
             .health_path = "/up",
             .cpu = "256",
             .memory = "512",
             .command = {command, 1},
             .environment = {environment, 1},
             .secrets = {secrets, 1},
             .log_group = "/ecs/shop",
             .log_prefix = "ecs",
             .subnets = {subnets, 2},
             .security_groups = {groups, 1},
             .min_tasks = 1,
             .max_tasks = 3,
             .tags = {tags, 1}},
            "{\"executionRoleArn\":\"arn:e\",\"infrastructureRoleArn\":\"arn:i\","
            "\"serviceName\":\"shop\",\"cluster\":\"prod\",\"healthCheckPath\":\"/up\","
            "\"primaryContainer\":{\"image\":\"r:1\",\"containerPort\":8080,"
            "\"awsLogsConfiguration\":{\"logGroup\":\"/ecs/shop\",\"logStreamPrefix\":\"ecs\"},"
            "\"command\":[\"run\"],\"environment\":[{\"name\":\"A\",\"value\":\"1\"}],"
            "\"secrets\":[{\"name\":\"S\",\"valueFrom\":\"arn:s\"}]},\"taskRoleArn\":\"arn:t\","
            "\"networkConfiguration\":{\"securityGroups\":[\"sg-1\"],\"subnets\":[\"subnet-1\","
            "\"subnet-2\"]},\"cpu\":\"256\",\"memory\":\"512\",\"scalingTarget\":"
            "{\"minTaskCount\":1,\"maxTaskCount\":3},\"tags\":[{\"key\":\"release\",\"value\":"
            "\"v1\"}]}"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct aws_line_of lines[] = {ECS("CreateExpressGatewayService", rows[i].body,
            SERVICE(ACTIVE(CONFIGURATION("r1", CONTAINER("r:1"), "10"))), .once = true)};
        struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
        struct ecs_express shop = {0};
        aws_dialog_open(&aws, lines, 1);
        assert_success(ecs_express_create(aws.session, &rows[i].create, aws.arena, &shop));
        assert_string_equal(shop.arn, ARN);
    }
}

static void
a_role_that_may_not_be_passed_is_named(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {ECS("CreateExpressGatewayService", NULL,
        AWS_DENIED("iam:PassRole"), .status = 400, .once = true)};
    const struct ecs_express_create create = {
        .execution_role_arn = "arn:e", .infrastructure_role_arn = "arn:i", .image = "r:1"};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct ecs_express shop = {0};
    aws_dialog_open(&aws, lines, 1);
    assert_failure(ecs_express_create(aws.session, &create, aws.arena, &shop), ERROR_CREDENTIALS,
        "create Express service 'r:1': ecs CreateExpressGatewayService: AccessDeniedException: "
        "User: arn:aws:iam::012345678901:user/u is not authorized to perform: iam:PassRole on "
        "resource: * (HTTP 400)",
        AWS_DENIED_HINT("iam:PassRole"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_member),
        cmocka_unit_test(no_service_is_a_value),
        cmocka_unit_test(an_update_sends_the_container_with_another_image),
        cmocka_unit_test(an_update_waits_for_one_truth),
        cmocka_unit_test(creating_sends_what_is_given_only),
        cmocka_unit_test(a_role_that_may_not_be_passed_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
