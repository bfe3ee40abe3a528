// What the service models refuse, with which words, and what they let pass.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "aws_model_internal.h"

struct example {
    const struct aws_model *model;
    const char *operation, *body;
    enum aws_flaw flaw;
    const char *text;
};

static void
checked(const struct example *example, bool lenient, enum aws_flaw flaw, const char *text)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct json *body CLEANUP(json_freep) = NULL;
    const char *said = NULL;
    struct error *err = json_parse(str_of(example->body), &json_limits_default, &body);
    assert_null(err);
    assert_int_equal(
        sandbox_aws_model_check(example->model, example->operation, body, lenient, arena, &said),
        flaw);
    if (text == NULL) {
        assert_null(said);
    } else {
        assert_non_null(said);
        assert_string_equal(said, text);
    }
}

#define ECS &sandbox_aws_model_ecs
#define FAILED "failed to satisfy constraint: Member must "
#define FOUND "1 validation error detected: "

static void
good_requests_pass(void **state)
{
    (void)state;
    static const struct example cases[] = {
        {ECS, "UpdateService",
            "{\"service\": \"web\", \"forceNewDeployment\": true, \"desiredCount\": 0, "
            "\"cluster\": null}",
            AWS_FLAW_NONE, NULL},
        {ECS, "RegisterTaskDefinition",
            "{\"family\": \"f\", \"containerDefinitions\": [{\"name\": \"a\", \"image\": \"b\", "
            "\"environment\": [{\"name\": \"X\", \"value\": \"\"}], \"logConfiguration\": "
            "{\"logDriver\": \"awslogs\", \"options\": {\"awslogs-group\": \"g\"}}}]}",
            AWS_FLAW_NONE, NULL},
        {ECS, "CreateService",
            "{\"serviceName\": \"w\", \"deploymentConfiguration\": {\"canaryConfiguration\": "
            "{\"canaryPercent\": 0.5, \"canaryBakeTimeInMinutes\": 1}, \"lifecycleHooks\": "
            "[{\"hookTargetArn\": \"x\", \"hookDetails\": {\"any\": [1]}}]}}",
            AWS_FLAW_NONE, NULL},
        {ECS, "ListServiceDeployments",
            "{\"service\": \"w\", \"createdAt\": {\"after\": 1790000000.25}}", AWS_FLAW_NONE, NULL},
        {&sandbox_aws_model_secretsmanager, "PutSecretValue",
            "{\"SecretId\": \"s\", \"SecretBinary\": \"AAEC\"}", AWS_FLAW_NONE, NULL},
        {ECS, "NotInTheModel", "{\"anything\": 1}", AWS_FLAW_NONE, NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        checked(&cases[i], false, AWS_FLAW_NONE, NULL);
    }
}

static void
bad_requests_are_refused_in_words(void **state)
{
    (void)state;
    static const struct example cases[] = {
        {ECS, "UpdateService", "{}", AWS_FLAW_MISSING,
            FOUND "Value null at 'service' " FAILED "not be null"},
        {ECS, "UpdateService", "{\"service\": null}", AWS_FLAW_MISSING,
            FOUND "Value null at 'service' " FAILED "not be null"},
        {ECS, "RegisterTaskDefinition",
            "{\"family\": \"f\", \"containerDefinitions\": [{}, {\"secrets\": [{\"name\": "
            "\"A\"}]}]}",
            AWS_FLAW_MISSING,
            FOUND "Value null at 'containerDefinitions.2.member.secrets.1.member.valueFrom' " FAILED
                  "not be null"},
        {ECS, "UpdateService", "{\"service\": \"w\", \"desired\": 1}", AWS_FLAW_UNKNOWN,
            "Unknown parameter in input: \"desired\""},
        {ECS, "RegisterTaskDefinition",
            "{\"family\": \"f\", \"containerDefinitions\": [{\"healthCheck\": {\"command\": [], "
            "\"retry\": 1}}]}",
            AWS_FLAW_UNKNOWN,
            "Unknown parameter in input: \"containerDefinitions.1.member.healthCheck.retry\""},
        {ECS, "UpdateService", "{\"service\": 7}", AWS_FLAW_TYPE,
            "service: NUMBER_VALUE can not be converted to a String"},
        {ECS, "UpdateService", "{\"service\": \"w\", \"desiredCount\": \"2\"}", AWS_FLAW_TYPE,
            "desiredCount: STRING_VALUE can not be converted to a Integer"},
        {ECS, "UpdateService", "{\"service\": \"w\", \"desiredCount\": 1.5}", AWS_FLAW_TYPE,
            "desiredCount: NUMBER_VALUE can not be converted to a Integer"},
        {ECS, "UpdateService", "{\"service\": \"w\", \"forceNewDeployment\": 1}", AWS_FLAW_TYPE,
            "forceNewDeployment: NUMBER_VALUE can not be converted to a Boolean"},
        {ECS, "DescribeServices", "{\"services\": \"w\"}", AWS_FLAW_TYPE,
            "services: STRING_VALUE can not be converted to a List"},
        {ECS, "DescribeServices", "{\"services\": [true]}", AWS_FLAW_TYPE,
            "services.1.member: TRUE_VALUE can not be converted to a String"},
        {ECS, "DescribeServices", "{\"services\": [null]}", AWS_FLAW_TYPE,
            "services.1.member: NULL_VALUE can not be converted to a String"},
        {ECS, "UpdateService", "{\"service\": \"w\", \"networkConfiguration\": []}", AWS_FLAW_TYPE,
            "networkConfiguration: Start of list can not be converted to a Structure"},
        {ECS, "ContinueServiceDeployment",
            "{\"serviceDeploymentArn\": \"a\", \"hookId\": \"h\", \"action\": \"STOP\"}",
            AWS_FLAW_VALUE,
            FOUND "Value 'STOP' at 'action' " FAILED "satisfy enum value set: [ROLLBACK, "
                  "CONTINUE]"},
        {&sandbox_aws_model_apprunner, "CreateService",
            "{\"ServiceName\": \"abc\", \"SourceConfiguration\": {}}", AWS_FLAW_VALUE,
            FOUND "Value at 'ServiceName' " FAILED "have length greater than or equal to 4"},
        {&sandbox_aws_model_apprunner, "ListOperations",
            "{\"ServiceArn\": \"arn:aws:apprunner:us-east-1:123456789012:service/shop/1\", "
            "\"MaxResults\": 21}",
            AWS_FLAW_VALUE,
            FOUND "Value at 'MaxResults' " FAILED "have value less than or equal to 20"},
        {&sandbox_aws_model_logs, "PutLogEvents",
            "{\"logGroupName\": \"g\", \"logStreamName\": \"s\", \"logEvents\": []}",
            AWS_FLAW_VALUE,
            FOUND "Value at 'logEvents' " FAILED "have length greater than or equal to 1"},
        {&sandbox_aws_model_secretsmanager, "PutSecretValue",
            "{\"SecretId\": \"s\", \"SecretBinary\": \"*\"}", AWS_FLAW_TYPE,
            "SecretBinary: STRING_VALUE can not be converted to a Blob"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        checked(&cases[i], false, cases[i].flaw, cases[i].text);
    }
}

// A task definition copied from a newer AWS may hold what the model does not know.
static void
lenient_lets_pass_what_is_newer_and_nothing_else(void **state)
{
    (void)state;
    static const struct example newer[] = {
        {ECS, "UpdateService", "{\"service\": \"w\", \"newer\": {\"x\": 1}}", AWS_FLAW_NONE, NULL},
        {ECS, "ContinueServiceDeployment",
            "{\"serviceDeploymentArn\": \"a\", \"hookId\": \"h\", \"action\": \"LATER\"}",
            AWS_FLAW_NONE, NULL},
    };
    static const struct example wrong[] = {
        {ECS, "UpdateService", "{\"newer\": 1}", AWS_FLAW_NONE, NULL},
        {ECS, "UpdateService", "{\"service\": 1}", AWS_FLAW_NONE, NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(newer); i++) {
        checked(&newer[i], true, AWS_FLAW_NONE, NULL);
    }
    checked(
        &wrong[0], true, AWS_FLAW_MISSING, FOUND "Value null at 'service' " FAILED "not be null");
    checked(
        &wrong[1], true, AWS_FLAW_TYPE, "service: NUMBER_VALUE can not be converted to a String");
}

static void
lengths_are_of_characters(void **state)
{
    (void)state;
    struct example four = {&sandbox_aws_model_apprunner, "CreateService",
        "{\"ServiceName\": \"\u00fc\u00fc\u00fc\u00fc\", \"SourceConfiguration\": {}}", 0, NULL};
    checked(&four, false, AWS_FLAW_NONE, NULL);
    four.body = "{\"ServiceName\": \"\u00fc\u00fc\u00fc\", \"SourceConfiguration\": {}}";
    checked(&four, false, AWS_FLAW_VALUE,
        FOUND "Value at 'ServiceName' " FAILED "have length greater than or equal to 4");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_requests_pass),
        cmocka_unit_test(bad_requests_are_refused_in_words),
        cmocka_unit_test(lenient_lets_pass_what_is_newer_and_nothing_else),
        cmocka_unit_test(lengths_are_of_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
