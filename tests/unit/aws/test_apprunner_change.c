// What changes App Runner services: exact requests, each sent once, and states that are in the way.
#include "dispatcher/apprunner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_dialog.h"
#include "dispatcher/memory.h"

#define STARTED                                                                                    \
    "{\"OperationId\":\"o1\",\"Service\":{\"ServiceArn\":\"a1\",\"Status\":"                       \
    "\"OPERATION_IN_PROGRESS\"}}"
#define BUSY_HINT                                                                                  \
    "Another operation runs, or the service is paused: wait for the one, or resume the other, "    \
    "then try again."

static struct pair environment[] = {{"A", "ünï"}}, secrets[] = {{"S", "arn:s"}},
                   tags[] = {{"team", "web"}};
static const struct apprunner_health_check check = {"HTTP", "/up", 10, 5, 1, 3};

static void
creating_sends_what_is_given_only(void **state)
{
    (void)state;
    static const struct {
        struct apprunner_create create;
        const char *body;
    } rows[] = {
        {{.name = "shop", .image = "r:1", .is_public_image = true},
            "{\"ServiceName\":\"shop\",\"SourceConfiguration\":{\"ImageRepository\":"
            "{\"ImageIdentifier\":\"r:1\",\"ImageRepositoryType\":\"ECR_PUBLIC\"},"
            "\"AutoDeploymentsEnabled\":false}}"},
        {{.name = "shop",
             .image = "r:1",
             .access_role_arn = "arn:a",
             .start_command = "run",
             .port = "8080",
             .environment = {environment, 1},
             .secrets = {secrets, 1},
             .cpu = "1024",
             .memory = "2048",
             .instance_role_arn = "arn:i",
             .health_check = &check,
             .auto_scaling_arn = "arn:scale",
             .vpc_connector_arn = "arn:v",
             .is_private = true,
             .tags = {tags, 1}},
            "{\"ServiceName\":\"shop\",\"SourceConfiguration\":{\"ImageRepository\":"
            "{\"ImageIdentifier\":\"r:1\",\"ImageRepositoryType\":\"ECR\",\"ImageConfiguration\":"
            "{\"Port\":\"8080\",\"StartCommand\":\"run\",\"RuntimeEnvironmentVariables\":"
            "{\"A\":\"ünï\"},\"RuntimeEnvironmentSecrets\":{\"S\":\"arn:s\"}}},"
            "\"AutoDeploymentsEnabled\":false,\"AuthenticationConfiguration\":"
            "{\"AccessRoleArn\":\"arn:a\"}},\"InstanceConfiguration\":{\"Cpu\":\"1024\","
            "\"Memory\":\"2048\",\"InstanceRoleArn\":\"arn:i\"},\"Tags\":[{\"Key\":\"team\","
            "\"Value\":\"web\"}],\"HealthCheckConfiguration\":{\"Protocol\":\"HTTP\",\"Path\":"
            "\"/up\",\"Interval\":10,\"Timeout\":5,\"HealthyThreshold\":1,"
            "\"UnhealthyThreshold\":3},\"AutoScalingConfigurationArn\":\"arn:scale\","
            "\"NetworkConfiguration\":{\"EgressConfiguration\":{\"EgressType\":\"VPC\","
            "\"VpcConnectorArn\":\"arn:v\"},\"IngressConfiguration\":{\"IsPubliclyAccessible\":"
            "false}}}"},
        {{.name = "shop",
             .kind = APPRUNNER_CODE,
             .repository_url = "https://github.com/o/r",
             .branch = "main",
             .source_directory = "app",
             .connection_arn = "arn:c",
             .auto_deploys = true},
            "{\"ServiceName\":\"shop\",\"SourceConfiguration\":{\"CodeRepository\":"
            "{\"RepositoryUrl\":\"https://github.com/o/r\",\"SourceCodeVersion\":{\"Type\":"
            "\"BRANCH\",\"Value\":\"main\"},\"CodeConfiguration\":{\"ConfigurationSource\":"
            "\"REPOSITORY\"},\"SourceDirectory\":\"app\"},\"AutoDeploymentsEnabled\":true,"
            "\"AuthenticationConfiguration\":{\"ConnectionArn\":\"arn:c\"}}}"},
        {{.name = "shop",
             .kind = APPRUNNER_CODE,
             .repository_url = "https://github.com/o/r",
             .branch = "main",
             .runtime = "PYTHON_3",
             .build_command = "make",
             .start_command = "run",
             .port = "8000",
             .environment = {environment, 1}},
            "{\"ServiceName\":\"shop\",\"SourceConfiguration\":{\"CodeRepository\":"
            "{\"RepositoryUrl\":\"https://github.com/o/r\",\"SourceCodeVersion\":{\"Type\":"
            "\"BRANCH\",\"Value\":\"main\"},\"CodeConfiguration\":{\"ConfigurationSource\":\"API\","
            "\"CodeConfigurationValues\":{\"Runtime\":\"PYTHON_3\",\"BuildCommand\":\"make\","
            "\"StartCommand\":\"run\",\"Port\":\"8000\",\"RuntimeEnvironmentVariables\":{\"A\":"
            "\"ünï\"}}}},\"AutoDeploymentsEnabled\":false}}"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct aws_line_of lines[] = {
            APPRUNNER("CreateService", rows[i].body, STARTED, .once = true)};
        struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
        struct apprunner_start start = {0};
        aws_dialog_open(&aws, lines, 1);
        assert_success(apprunner_create(aws.session, &rows[i].create, aws.arena, &start));
        assert_string_equal(start.arn, "a1");
        assert_string_equal(start.operation_id, "o1");
        assert_string_equal(start.status, "OPERATION_IN_PROGRESS");
    }
}

static void
creating_that_fails_names_the_service(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        APPRUNNER("CreateService", NULL,
            "{\"__type\":\"ServiceQuotaExceededException\",\"Message\":\"Limit reached.\"}",
            .status = 400, .once = true),
        APPRUNNER("CreateService", NULL, "{\"OperationId\":\"o\"}", .once = true),
    };
    const struct apprunner_create create = {.name = "shop", .image = "r:1"};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct apprunner_start start = {0};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_failure(apprunner_create(aws.session, &create, aws.arena, &start), ERROR_REFUSED,
        "create App Runner service 'shop': apprunner CreateService: ServiceQuotaExceededException: "
        "Limit reached (HTTP 400)",
        NULL);
    struct error *err = apprunner_create(aws.session, &create, aws.arena, &start);
    assert_true(error_remote_of(err)->request_left);
    assert_failure(err, ERROR_UNAVAILABLE,
        "create App Runner service 'shop': unusable answer: no 'Service.ServiceArn' (HTTP 200)",
        NULL);
    assert_null(start.arn);
}

static const struct apprunner_service current = {
    .arn = "a1",
    .name = "shop",
    .instance_json = "{\"Cpu\":\"1024\",\"Memory\":\"2048\",\"InstanceRoleArn\":\"arn:i\"}",
    .health_json = "{\"Protocol\":\"TCP\",\"Path\":\"/\",\"Interval\":5,\"Timeout\":2}",
    .network_json = "{\"EgressConfiguration\":{\"EgressType\":\"DEFAULT\"},"
                    "\"IngressConfiguration\":{\"IsPubliclyAccessible\":true},\"IpAddressType\":"
                    "\"IPV4\"}",
};

static void
an_update_builds_on_what_is_there(void **state)
{
    (void)state;
    static const struct apprunner_health_check faster = {.interval = 1};
    static const struct apprunner_service bare = {.arn = "a1", .name = "shop"};
    static const struct {
        struct apprunner_update update;
        const char *body;
    } rows[] = {
        {{.current = &current, .source_json = "{\"ImageRepository\":{\"x\":0.1}}"},
            "{\"ServiceArn\":\"a1\",\"SourceConfiguration\":{\"ImageRepository\":{\"x\":0.1}}}"},
        {{.current = &current,
             .memory = "4096",
             .health_check = &faster,
             .auto_scaling_arn = "arn:scale",
             .vpc_connector_arn = "arn:v"},
            "{\"ServiceArn\":\"a1\",\"InstanceConfiguration\":{\"Cpu\":\"1024\",\"Memory\":"
            "\"4096\",\"InstanceRoleArn\":\"arn:i\"},\"AutoScalingConfigurationArn\":\"arn:scale\","
            "\"HealthCheckConfiguration\":{\"Protocol\":\"TCP\",\"Path\":\"/\",\"Interval\":1,"
            "\"Timeout\":2},\"NetworkConfiguration\":{\"EgressConfiguration\":{\"EgressType\":"
            "\"VPC\",\"VpcConnectorArn\":\"arn:v\"},\"IngressConfiguration\":"
            "{\"IsPubliclyAccessible\":true},\"IpAddressType\":\"IPV4\"}}"},
        {{.current = &bare, .cpu = "512", .health_check = &faster},
            "{\"ServiceArn\":\"a1\",\"InstanceConfiguration\":{\"Cpu\":\"512\"},"
            "\"HealthCheckConfiguration\":{\"Interval\":1}}"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct aws_line_of lines[] = {
            APPRUNNER("UpdateService", rows[i].body, STARTED, .once = true)};
        struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
        struct apprunner_start start = {0};
        aws_dialog_open(&aws, lines, 1);
        assert_success(apprunner_update(aws.session, &rows[i].update, aws.arena, &start));
        assert_string_equal(start.operation_id, "o1");
        assert_string_equal(start.arn, "a1");
    }
}

static void
an_update_without_an_operation_id_is_one_too(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        APPRUNNER("UpdateService", NULL, "{}", .once = true)};
    const struct apprunner_update update = {.current = &current, .cpu = "512"};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct apprunner_start start = {0};
    aws_dialog_open(&aws, lines, 1);
    assert_success(apprunner_update(aws.session, &update, aws.arena, &start));
    assert_null(start.operation_id);
    assert_null(start.status);
    assert_string_equal(start.arn, "a1");
}

static void
updates_that_fail_say_why(void **state)
{
    (void)state;
    static const struct {
        const char *reply, *text, *hint;
        int status;
        enum error_kind kind;
        bool left;
    } rows[] = {
        {"{\"__type\":\"InvalidStateException\",\"Message\":\"Not RUNNING.\"}",
            "update App Runner service 'shop': apprunner UpdateService: InvalidStateException: Not "
            "RUNNING (HTTP 400)",
            BUSY_HINT, 400, ERROR_CONFLICT, false},
        {"{\"__type\":\"InvalidRequestException\",\"Message\":\"Bad port.\"}",
            "update App Runner service 'shop': apprunner UpdateService: InvalidRequestException: "
            "Bad port (HTTP 400)",
            NULL, 400, ERROR_REFUSED, false},
        {"{\"__type\":\"InternalServiceErrorException\"}",
            "update App Runner service 'shop': apprunner UpdateService: "
            "InternalServiceErrorException (HTTP 500)",
            NULL, 500, ERROR_UNAVAILABLE, true},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct aws_line_of lines[] = {APPRUNNER(
            "UpdateService", NULL, rows[i].reply, .status = rows[i].status, .once = true)};
        const struct apprunner_update update = {.current = &current, .cpu = "512"};
        struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
        struct apprunner_start start = {0};
        aws_dialog_open(&aws, lines, 1);
        struct error *err = apprunner_update(aws.session, &update, aws.arena, &start);
        assert_true(error_remote_of(err)->request_left == rows[i].left);
        assert_failure(err, rows[i].kind, rows[i].text, rows[i].hint);
    }
    const struct apprunner_update broken = {.current = &current, .source_json = "{"};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct apprunner_start start = {0};
    aws_dialog_open(&aws, NULL, 0);
    struct error *err = apprunner_update(aws.session, &broken, aws.arena, &start);
    assert_int_equal(error_kind(err), ERROR_INPUT);
    error_free(err);
}

static void
a_deployment_starts_once(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {APPRUNNER(
        "StartDeployment", "{\"ServiceArn\":\"a1\"}", "{\"OperationId\":\"o7\"}", .once = true)};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct apprunner_start start = {0};
    aws_dialog_open(&aws, lines, 1);
    assert_success(apprunner_start_deployment(aws.session, "a1", aws.arena, &start));
    assert_string_equal(start.operation_id, "o7");
    assert_string_equal(start.arn, "a1");
}

#define SERVICE_IN(status)                                                                         \
    "{\"Service\":{\"ServiceName\":\"shop\",\"ServiceId\":\"i\",\"ServiceArn\":\"a1\",\"Status\":" \
    "\"" status "\",\"SourceConfiguration\":{\"ImageRepository\":{\"ImageIdentifier\":\"r:1\"}}}}"

// The model of StartDeployment has no error for it.
static void
a_deployment_that_is_refused_asks_for_the_state(void **state)
{
    (void)state;
    static const char refusal[] =
        "{\"__type\":\"InvalidRequestException\",\"Message\":\"Cannot be deployed.\"}";
    static const struct {
        const char *described;
        int status;
        enum error_kind kind;
    } rows[] = {
        {SERVICE_IN("OPERATION_IN_PROGRESS"), 200, ERROR_CONFLICT},
        {SERVICE_IN("PAUSED"), 200, ERROR_CONFLICT},
        {SERVICE_IN("RUNNING"), 200, ERROR_REFUSED},
        {SERVICE_IN("NEW_STATE"), 200, ERROR_REFUSED},
        {AWS_DENIED("apprunner:DescribeService"), 400, ERROR_REFUSED},
        {"{\"__type\":\"ResourceNotFoundException\"}", 400, ERROR_REFUSED},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct aws_line_of lines[] = {
            APPRUNNER("StartDeployment", NULL, refusal, .status = 400, .once = true),
            APPRUNNER("DescribeService", "{\"ServiceArn\":\"a1\"}", rows[i].described,
                .status = rows[i].status)};
        struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
        struct apprunner_start start = {0};
        aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
        assert_failure(apprunner_start_deployment(aws.session, "a1", aws.arena, &start),
            rows[i].kind,
            "deploy to App Runner service 'a1': apprunner StartDeployment: "
            "InvalidRequestException: Cannot be deployed (HTTP 400)",
            rows[i].kind == ERROR_CONFLICT ? BUSY_HINT : NULL);
    }
}

static void
pausing_resuming_and_deleting(void **state)
{
    (void)state;
    static const char in_the_way[] = "{\"__type\":\"InvalidStateException\",\"Message\":\"No.\"}";
    static const struct {
        struct error *(*act)(struct aws_session *session, const char *arn, struct arena *arena,
            struct apprunner_start *out);
        struct aws_line_of good, bad;
        const char *text;
    } rows[] = {
        {apprunner_pause,
            APPRUNNER("PauseService", "{\"ServiceArn\":\"a1\"}", STARTED, .once = true),
            APPRUNNER("PauseService", NULL, in_the_way, .status = 400, .once = true),
            "pause App Runner service 'a1': apprunner PauseService: InvalidStateException: No "
            "(HTTP 400)"},
        {apprunner_resume,
            APPRUNNER("ResumeService", "{\"ServiceArn\":\"a1\"}", STARTED, .once = true),
            APPRUNNER("ResumeService", NULL, in_the_way, .status = 400, .once = true),
            "resume App Runner service 'a1': apprunner ResumeService: InvalidStateException: No "
            "(HTTP 400)"},
        {apprunner_delete,
            APPRUNNER("DeleteService", "{\"ServiceArn\":\"a1\"}", STARTED, .once = true),
            APPRUNNER("DeleteService", NULL, in_the_way, .status = 400, .once = true),
            "delete App Runner service 'a1': apprunner DeleteService: InvalidStateException: No "
            "(HTTP 400)"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct aws_line_of lines[] = {rows[i].good, rows[i].bad};
        struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
        struct apprunner_start start = {0};
        aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
        assert_success(rows[i].act(aws.session, "a1", aws.arena, &start));
        assert_string_equal(start.operation_id, "o1");
        assert_failure(rows[i].act(aws.session, "a1", aws.arena, &start), ERROR_CONFLICT,
            rows[i].text, BUSY_HINT);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creating_sends_what_is_given_only),
        cmocka_unit_test(creating_that_fails_names_the_service),
        cmocka_unit_test(an_update_builds_on_what_is_there),
        cmocka_unit_test(an_update_without_an_operation_id_is_one_too),
        cmocka_unit_test(updates_that_fail_say_why),
        cmocka_unit_test(a_deployment_starts_once),
        cmocka_unit_test(a_deployment_that_is_refused_asks_for_the_state),
        cmocka_unit_test(pausing_resuming_and_deleting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
