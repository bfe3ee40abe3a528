// App Runner services and operations as they are: every member, pages, states, odd answers.
#include "dispatcher/apprunner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_dialog.h"
#include "dispatcher/memory.h"

#define ARN "arn:aws:apprunner:eu-west-1:012345678901:service/shop/0a1b"
#define NETWORK                                                                                    \
    "{\"EgressConfiguration\":{\"EgressType\":\"VPC\",\"VpcConnectorArn\":\"arn:v\"},"             \
    "\"IngressConfiguration\":{\"IsPubliclyAccessible\":false}}"
#define INSTANCE "{\"Cpu\":\"1024\",\"Memory\":\"2048\",\"InstanceRoleArn\":\"arn:r\"}"
#define SERVICE(source, rest)                                                                      \
    "{\"Service\":{\"ServiceName\":\"shop\",\"ServiceId\":\"0a1b\",\"ServiceArn\":\"" ARN          \
    "\",\"Status\":\"RUNNING\",\"CreatedAt\":1,\"UpdatedAt\":2.5,\"SourceConfiguration\":" source  \
        rest "}}"
#define IMAGE_SOURCE                                                                               \
    "{\"ImageRepository\":{\"ImageIdentifier\":\"x.dkr.ecr.eu-west-1.amazonaws.com/shop:v1\","     \
    "\"ImageConfiguration\":{\"Port\":\"8080\",\"StartCommand\":\"run\","                          \
    "\"RuntimeEnvironmentVariables\":{\"A\":\"\\n1\"}},\"ImageRepositoryType\":\"ECR\"},"          \
    "\"AutoDeploymentsEnabled\":false,\"AuthenticationConfiguration\":{\"AccessRoleArn\":"         \
    "\"arn:a\"}}"
#define CODE_SOURCE                                                                                \
    "{\"CodeRepository\":{\"RepositoryUrl\":\"https://github.com/o/r\",\"SourceCodeVersion\":"     \
    "{\"Type\":\"BRANCH\",\"Value\":\"main\"},\"CodeConfiguration\":{\"ConfigurationSource\":"     \
    "\"API\",\"CodeConfigurationValues\":{\"Runtime\":\"PYTHON_3\",\"BuildCommand\":\"make\","     \
    "\"StartCommand\":\"serve\",\"Port\":\"8000\"}},\"SourceDirectory\":\"app\"},"                 \
    "\"AuthenticationConfiguration\":{\"ConnectionArn\":\"arn:c\"}}"

static void
reads_a_service_made_from_an_image(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        APPRUNNER("DescribeService", "{\"ServiceArn\":\"" ARN "\"}",
            SERVICE(IMAGE_SOURCE,
                ",\"InstanceConfiguration\":" INSTANCE ",\"NetworkConfiguration\":" NETWORK
                ",\"HealthCheckConfiguration\":{\"Protocol\":\"TCP\",\"Interval\":5}"))};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct apprunner_service shop = {0};
    aws_dialog_open(&aws, lines, 1);
    assert_success(apprunner_describe(aws.session, ARN, aws.arena, &shop));
    assert_string_equal(shop.arn, ARN);
    assert_string_equal(shop.id, "0a1b");
    assert_string_equal(shop.name, "shop");
    assert_null(shop.url);
    assert_string_equal(shop.status, "RUNNING");
    assert_int_equal(shop.state, APPRUNNER_SERVICE_RUNNING);
    assert_int_equal(shop.kind, APPRUNNER_IMAGE);
    assert_false(shop.auto_deploys);
    assert_string_equal(shop.port, "8080");
    assert_string_equal(shop.start_command, "run");
    assert_string_equal(shop.image, "x.dkr.ecr.eu-west-1.amazonaws.com/shop:v1");
    assert_string_equal(shop.image_repository_type, "ECR");
    assert_string_equal(shop.access_role_arn, "arn:a");
    assert_null(shop.repository_url);
    assert_string_equal(shop.cpu, "1024");
    assert_string_equal(shop.memory, "2048");
    assert_string_equal(shop.instance_role_arn, "arn:r");
    assert_string_equal(shop.vpc_connector_arn, "arn:v");
    assert_false(shop.is_public);
    assert_int_equal(shop.created_ms, 1000);
    assert_int_equal(shop.updated_ms, 2500);
    assert_string_equal(shop.source_json, IMAGE_SOURCE);
    assert_string_equal(shop.instance_json, INSTANCE);
    assert_string_equal(shop.network_json, NETWORK);
    assert_string_equal(shop.health_json, "{\"Protocol\":\"TCP\",\"Interval\":5}");
}

static void
reads_a_service_made_from_code(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {APPRUNNER("DescribeService", NULL,
        SERVICE(CODE_SOURCE, ",\"ServiceUrl\":\"shop.eu-west-1.awsapprunner.com\""))};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct apprunner_service shop = {0};
    aws_dialog_open(&aws, lines, 1);
    assert_success(apprunner_describe(aws.session, ARN, aws.arena, &shop));
    assert_int_equal(shop.kind, APPRUNNER_CODE);
    assert_string_equal(shop.url, "shop.eu-west-1.awsapprunner.com");
    assert_string_equal(shop.repository_url, "https://github.com/o/r");
    assert_string_equal(shop.branch, "main");
    assert_string_equal(shop.source_directory, "app");
    assert_string_equal(shop.configuration_source, "API");
    assert_string_equal(shop.runtime, "PYTHON_3");
    assert_string_equal(shop.build_command, "make");
    assert_string_equal(shop.start_command, "serve");
    assert_string_equal(shop.port, "8000");
    assert_string_equal(shop.connection_arn, "arn:c");
    assert_null(shop.image);
    assert_null(shop.instance_json);
    assert_null(shop.health_json);
    // What App Runner takes for granted.
    assert_true(shop.auto_deploys);
    assert_true(shop.is_public);
}

static void
no_service_is_a_value_and_odd_ones_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *reply, *problem;
    } rows[] = {
        {"{}", "no 'Service'"},
        {"{\"Service\":7}", "not a JSON object"},
        {"{\"Service\":{\"ServiceArn\":\"a\"}}", "'ServiceId' is missing"},
        {SERVICE("{}", ""),
            "'SourceConfiguration' has neither 'ImageRepository' nor 'CodeRepository'"},
        {SERVICE("[]", ""), "'SourceConfiguration.AutoDeploymentsEnabled' has no object around it"},
        {SERVICE("{\"ImageRepository\":{},\"CodeRepository\":{}}", ""),
            "'SourceConfiguration' has an image and code"},
        {SERVICE("{\"ImageRepository\":{}}", ""),
            "no 'SourceConfiguration.ImageRepository.ImageIdentifier'"},
        {SERVICE("{\"AutoDeploymentsEnabled\":\"no\",\"ImageRepository\":{}}", ""),
            "'SourceConfiguration.AutoDeploymentsEnabled' is not true or false"},
        {SERVICE(IMAGE_SOURCE, ",\"InstanceConfiguration\":{\"Cpu\":1024}"),
            "'InstanceConfiguration.Cpu' is not a string"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct aws_line_of lines[] = {APPRUNNER("DescribeService", NULL, rows[i].reply)};
        struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
        struct apprunner_service shop = {.name = "untouched"};
        char *text CLEANUP(xfreep) = xasprintf(
            "describe App Runner service 'a': unusable answer: %s (HTTP 200)", rows[i].problem);
        aws_dialog_open(&aws, lines, 1);
        assert_failure(
            apprunner_describe(aws.session, "a", aws.arena, &shop), ERROR_UNAVAILABLE, text, NULL);
        assert_string_equal(shop.name, "untouched");
    }
    static const struct aws_line_of gone[] = {
        APPRUNNER("DescribeService", NULL,
            "{\"__type\":\"ResourceNotFoundException\",\"Message\":\"Service cannot be found\"}",
            .status = 400),
        APPRUNNER("DescribeService", NULL,
            "{\"__type\":\"InvalidRequestException\",\"Message\":\"Not an ARN.\"}", .status = 400),
    };
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct apprunner_service shop = {.arn = "before"};
    aws_dialog_open(&aws, gone, ARRAY_LENGTH(gone));
    assert_success(apprunner_describe(aws.session, "a", aws.arena, &shop));
    assert_null(shop.arn);
    // App Runner calls it "Message", with a capital.
    assert_failure(apprunner_describe(aws.session, "a", aws.arena, &shop), ERROR_REFUSED,
        "describe App Runner service 'a': apprunner DescribeService: InvalidRequestException: Not "
        "an ARN (HTTP 400)",
        NULL);
}

static void
words_become_states(void **state)
{
    (void)state;
    static const struct {
        const char *status;
        enum apprunner_service_state state;
    } services[] = {
        {"RUNNING", APPRUNNER_SERVICE_RUNNING},
        {"OPERATION_IN_PROGRESS", APPRUNNER_SERVICE_BUSY},
        {"PAUSED", APPRUNNER_SERVICE_PAUSED},
        {"CREATE_FAILED", APPRUNNER_SERVICE_CREATE_FAILED},
        {"DELETE_FAILED", APPRUNNER_SERVICE_DELETE_FAILED},
        {"DELETED", APPRUNNER_SERVICE_DELETED},
        {"SLEEPING", APPRUNNER_SERVICE_UNKNOWN},
        {NULL, APPRUNNER_SERVICE_UNKNOWN},
    };
    static const struct {
        const char *status;
        enum apprunner_operation_state state;
        bool final;
    } operations[] = {
        {"PENDING", APPRUNNER_OPERATION_PENDING, false},
        {"IN_PROGRESS", APPRUNNER_OPERATION_RUNNING, false},
        {"SUCCEEDED", APPRUNNER_OPERATION_SUCCEEDED, true},
        {"FAILED", APPRUNNER_OPERATION_FAILED, true},
        {"ROLLBACK_IN_PROGRESS", APPRUNNER_OPERATION_ROLLING_BACK, false},
        {"ROLLBACK_SUCCEEDED", APPRUNNER_OPERATION_ROLLED_BACK, true},
        {"ROLLBACK_FAILED", APPRUNNER_OPERATION_ROLLBACK_FAILED, true},
        {"DONE", APPRUNNER_OPERATION_UNKNOWN, false},
        {"", APPRUNNER_OPERATION_UNKNOWN, false},
        {NULL, APPRUNNER_OPERATION_UNKNOWN, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(services); i++) {
        assert_int_equal(apprunner_service_state_of(services[i].status), services[i].state);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(operations); i++) {
        assert_int_equal(apprunner_operation_state_of(operations[i].status), operations[i].state);
        assert_true(apprunner_operation_is_final(operations[i].state) == operations[i].final);
    }
}

#define SUMMARY(name, arn, status)                                                                 \
    "{\"ServiceName\":\"" name "\",\"ServiceArn\":\"" arn                                          \
    "\",\"ServiceId\":\"i\",\"Status\":\"" status "\",\"CreatedAt\":1,\"UpdatedAt\":2}"

static const struct aws_line_of two_pages[] = {
    APPRUNNER("ListServices", "{\"MaxResults\":20}",
        "{\"ServiceSummaryList\":[" SUMMARY("shop", "a1", "DELETED") "," SUMMARY(
            "other", "a2", "RUNNING") "],\"NextToken\":\"n\"}"),
    APPRUNNER("ListServices", "{\"MaxResults\":20,\"NextToken\":\"n\"}",
        "{\"ServiceSummaryList\":[" SUMMARY("shop", "a3", "PAUSED") "],\"NextToken\":\"\"}"),
};

static void
all_pages_are_listed(void **state)
{
    (void)state;
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct apprunner_summary *list = NULL;
    size_t count = 0;
    aws_dialog_open(&aws, two_pages, ARRAY_LENGTH(two_pages));
    assert_success(apprunner_list(aws.session, aws.arena, &list, &count));
    assert_int_equal(count, 3);
    assert_string_equal(list[2].arn, "a3");
    assert_string_equal(list[2].name, "shop");
    assert_string_equal(list[2].id, "i");
    assert_int_equal(list[2].state, APPRUNNER_SERVICE_PAUSED);
    assert_int_equal(list[0].state, APPRUNNER_SERVICE_DELETED);
    assert_int_equal(list[1].created_ms, 1000);
    assert_int_equal(list[1].updated_ms, 2000);
}

static void
a_name_is_looked_for_on_every_page(void **state)
{
    (void)state;
    static const struct {
        const char *name, *arn;
        size_t pages;
    } rows[] = {{"shop", "a3", 2}, {"other", "a2", 1}, {"nobody", NULL, 2}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
        const char *arn = "before";
        aws_dialog_open(&aws, two_pages, rows[i].pages);
        assert_success(apprunner_find(aws.session, rows[i].name, aws.arena, &arn));
        if (rows[i].arn == NULL) {
            assert_null(arn);
        } else {
            assert_string_equal(arn, rows[i].arn);
        }
    }
}

static void
lists_that_say_nothing_are_no_lists(void **state)
{
    (void)state;
    static const struct {
        const char *reply, *problem;
        unsigned times;
    } rows[] = {
        {"{}", "'ServiceSummaryList' is missing", 1},
        {"{\"ServiceSummaryList\":[{\"ServiceArn\":\"a\"}]}",
            "'ServiceSummaryList[0].ServiceName' is missing", 1},
        {"{\"ServiceSummaryList\":[],\"NextToken\":\"n\"}", "the same page twice", 2},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct aws_line_of lines[] = {
            APPRUNNER("ListServices", NULL, rows[i].reply, .times = rows[i].times)};
        char *text CLEANUP(xfreep) = xasprintf(
            "look for App Runner service 'shop': unusable answer: %s (HTTP 200)", rows[i].problem);
        struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
        const char *arn = "before";
        aws_dialog_open(&aws, lines, 1);
        assert_failure(
            apprunner_find(aws.session, "shop", aws.arena, &arn), ERROR_UNAVAILABLE, text, NULL);
        assert_string_equal(arn, "before");
    }
    static const struct aws_line_of denied[] = {
        APPRUNNER("ListServices", NULL, AWS_DENIED("apprunner:ListServices"), .status = 400)};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct apprunner_summary *list = NULL;
    size_t count = 0;
    aws_dialog_open(&aws, denied, 1);
    struct error *err = apprunner_list(aws.session, aws.arena, &list, &count);
    assert_true(aws_is_denied(err));
    assert_string_equal(error_hint_of(err), AWS_DENIED_HINT("apprunner:ListServices"));
    error_free(err);
}

static void
log_groups_have_the_id(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    assert_string_equal(
        apprunner_log_group("shop", "0a1b", false, arena), "/aws/apprunner/shop/0a1b/service");
    assert_string_equal(
        apprunner_log_group("shop", "0a1b", true, arena), "/aws/apprunner/shop/0a1b/application");
}

#define OPERATION(id, status)                                                                      \
    "{\"Id\":\"" id "\",\"Type\":\"UPDATE_SERVICE\",\"Status\":\"" status                          \
    "\",\"StartedAt\":1,\"EndedAt\":2,\"UpdatedAt\":3}"
#define OPERATIONS(list) "{\"OperationSummaryList\":[" list "]"

static void
operations_are_read_until_one_is_found(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        APPRUNNER("ListOperations", "{\"ServiceArn\":\"a\",\"MaxResults\":20}",
            OPERATIONS(OPERATION("o4", "IN_PROGRESS") "," OPERATION(
                "o3", "SUCCEEDED")) ",\"NextToken\":\"n\"}"),
        APPRUNNER("ListOperations", "{\"ServiceArn\":\"a\",\"MaxResults\":20,\"NextToken\":\"n\"}",
            OPERATIONS(OPERATION("o2", "ROLLBACK_SUCCEEDED") "," OPERATION(
                "o1", "PAINTED_BLUE")) ",\"NextToken\":\"m\"}"),
    };
    static const struct {
        struct apprunner_operation_query query;
        size_t pages, count;
    } rows[] = {
        {{"a", "o3", 0}, 1, 2},
        {{"a", "o1", 0}, 2, 4},
        {{"a", NULL, 2}, 2, 4},
        {{"a", "gone", 1}, 1, 2},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
        struct apprunner_operation *list = NULL;
        size_t count = 0;
        aws_dialog_open(&aws, lines, rows[i].pages);
        assert_success(
            apprunner_operations_list(aws.session, &rows[i].query, aws.arena, &list, &count));
        assert_int_equal(count, rows[i].count);
        assert_string_equal(list[0].id, "o4");
        assert_string_equal(list[0].type, "UPDATE_SERVICE");
        assert_int_equal(list[0].state, APPRUNNER_OPERATION_RUNNING);
        assert_int_equal(list[1].started_ms, 1000);
        assert_int_equal(list[1].ended_ms, 2000);
        assert_int_equal(list[1].updated_ms, 3000);
        if (count == 4) {
            assert_int_equal(list[2].state, APPRUNNER_OPERATION_ROLLED_BACK);
            assert_string_equal(list[3].status, "PAINTED_BLUE");
            assert_int_equal(list[3].state, APPRUNNER_OPERATION_UNKNOWN);
        }
    }
}

static void
odd_operations_are_refused(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        APPRUNNER("ListOperations", NULL, "{\"OperationSummaryList\":[{\"Id\":\"o\"}]}"),
        APPRUNNER("ListOperations", NULL, "<html><body>oops", .status = 500, .times = 5),
    };
    const struct apprunner_operation_query query = {.service_arn = "a"};
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct apprunner_operation *list = NULL;
    size_t count = 0;
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_failure(apprunner_operations_list(aws.session, &query, aws.arena, &list, &count),
        ERROR_UNAVAILABLE,
        "list the operations of App Runner service 'a': unusable answer: "
        "'OperationSummaryList[0].Status' is missing (HTTP 200)",
        NULL);
    struct error *err = apprunner_operations_list(aws.session, &query, aws.arena, &list, &count);
    assert_int_equal(error_kind(err), ERROR_UNAVAILABLE);
    error_free(err);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_service_made_from_an_image),
        cmocka_unit_test(reads_a_service_made_from_code),
        cmocka_unit_test(no_service_is_a_value_and_odd_ones_are_refused),
        cmocka_unit_test(words_become_states),
        cmocka_unit_test(all_pages_are_listed),
        cmocka_unit_test(a_name_is_looked_for_on_every_page),
        cmocka_unit_test(lists_that_say_nothing_are_no_lists),
        cmocka_unit_test(log_groups_have_the_id),
        cmocka_unit_test(operations_are_read_until_one_is_found),
        cmocka_unit_test(odd_operations_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
