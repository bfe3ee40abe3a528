// Task definitions of ECS: read with tags, registered, listed newest first.
#include "dispatcher/ecs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_dialog.h"
#include "dispatcher/memory.h"

#define ARN "arn:aws:ecs:eu-west-1:012345678901:task-definition/"
#define DOCUMENT                                                                                   \
    "{\"taskDefinitionArn\":\"" ARN "web:7\",\"family\":\"web\",\"revision\":7,\"status\":"        \
    "\"ACTIVE\",\"cpu\":\"256\",\"new\":[0.1]}"

static void
a_definition_comes_with_its_tags(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        ECS("DescribeTaskDefinition", "{\"taskDefinition\":\"web\",\"include\":[\"TAGS\"]}",
            "{\"taskDefinition\":" DOCUMENT ",\"tags\":[{\"key\":\"a\",\"value\":\"b\"}]}"),
        ECS("DescribeTaskDefinition", NULL, "{\"taskDefinition\":" DOCUMENT ",\"tags\":[]}"),
    };
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct ecs_task_definition definition CLEANUP(ecs_task_definition_done) = {0};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(ecs_task_definition_get(aws.session, "web", aws.arena, &definition));
    assert_string_equal(definition.arn, ARN "web:7");
    assert_string_equal(definition.family, "web");
    assert_string_equal(definition.status, "ACTIVE");
    assert_int_equal(definition.revision, 7);
    char *document CLEANUP(xfreep) = json_text(definition.document);
    char *tags CLEANUP(xfreep) = json_text(definition.tags);
    assert_string_equal(document, DOCUMENT);
    assert_string_equal(tags, "[{\"key\":\"a\",\"value\":\"b\"}]");
    // What was there before is released.
    assert_success(ecs_task_definition_get(aws.session, "web", aws.arena, &definition));
    assert_null(definition.tags);
}

static void
no_definition_is_a_value(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        ECS("DescribeTaskDefinition", NULL,
            "{\"__type\":\"ClientException\",\"message\":\"Unable to describe task definition.\"}",
            .status = 400),
        ECS("DescribeTaskDefinition", NULL,
            "{\"__type\":\"ClientException\",\"message\":\"Something else.\"}", .status = 400),
    };
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct ecs_task_definition definition CLEANUP(ecs_task_definition_done) = {
        .arn = "before", .document = json_make_object()};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(ecs_task_definition_get(aws.session, "web:9", aws.arena, &definition));
    assert_null(definition.arn);
    assert_null(definition.document);
    assert_failure(ecs_task_definition_get(aws.session, "web:9", aws.arena, &definition),
        ERROR_REFUSED,
        "read task definition 'web:9': ecs DescribeTaskDefinition: ClientException: Something else "
        "(HTTP 400)",
        NULL);
}

static void
odd_definitions_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *reply, *problem;
    } rows[] = {
        {"{}", "no 'taskDefinition'"},
        {"{\"taskDefinition\":\"web\"}", "no 'taskDefinition'"},
        {"{\"taskDefinition\":{}}", "'taskDefinitionArn' is missing"},
        {"{\"taskDefinition\":{\"taskDefinitionArn\":\"a\",\"family\":\"f\",\"revision\":\"7\"}}",
            "'revision' is not a whole number"},
        {"{\"taskDefinition\":" DOCUMENT ",\"tags\":{\"a\":\"b\"}}", "'tags' is not a list"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct aws_line_of lines[] = {ECS("DescribeTaskDefinition", NULL, rows[i].reply)};
        struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
        struct ecs_task_definition definition = {0};
        char *text CLEANUP(xfreep) = xasprintf(
            "read task definition 'web': unusable answer: %s (HTTP 200)", rows[i].problem);
        aws_dialog_open(&aws, lines, 1);
        assert_failure(ecs_task_definition_get(aws.session, "web", aws.arena, &definition),
            ERROR_UNAVAILABLE, text, NULL);
        assert_null(definition.document);
    }
}

static void
registering_gives_the_revision(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        ECS("RegisterTaskDefinition", "{\"family\":\"web\",\"x\":0.1}", "{}", .status = 503),
        ECS("RegisterTaskDefinition", "{\"family\":\"web\",\"x\":0.1}",
            "{\"taskDefinition\":{\"taskDefinitionArn\":\"" ARN "web:8\"}}"),
        ECS("RegisterTaskDefinition", NULL, "{\"taskDefinition\":{}}"),
        ECS("RegisterTaskDefinition", NULL,
            "{\"__type\":\"ClientException\",\"message\":\"Role is not valid\"}", .status = 400),
    };
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct json *body CLEANUP(json_freep) = NULL;
    const char *arn = NULL;
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(json_parse(STR("{\"family\":\"web\",\"x\":0.1}"), &json_limits_default, &body));
    assert_success(ecs_task_definition_register(aws.session, body, aws.arena, &arn));
    assert_string_equal(arn, ARN "web:8");
    assert_failure(ecs_task_definition_register(aws.session, body, aws.arena, &arn),
        ERROR_UNAVAILABLE,
        "register a revision of task definition 'web': unusable answer: no "
        "'taskDefinition.taskDefinitionArn' (HTTP 200)",
        NULL);
    assert_failure(ecs_task_definition_register(aws.session, body, aws.arena, &arn), ERROR_REFUSED,
        "register a revision of task definition 'web': ecs RegisterTaskDefinition: "
        "ClientException: Role is not valid (HTTP 400)",
        NULL);
    assert_string_equal(arn, ARN "web:8");
}

static void
revisions_are_listed_newest_first(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        ECS("ListTaskDefinitions",
            "{\"familyPrefix\":\"web\",\"status\":\"ACTIVE\",\"sort\":\"DESC\",\"maxResults\":3}",
            "{\"taskDefinitionArns\":[\"" ARN "web-blue:4\",\"" ARN
            "web:9\"],\"nextToken\":\"n\"}"),
        ECS("ListTaskDefinitions",
            "{\"familyPrefix\":\"web\",\"status\":\"ACTIVE\",\"sort\":\"DESC\",\"maxResults\":3,"
            "\"nextToken\":\"n\"}",
            "{\"taskDefinitionArns\":[],\"nextToken\":\"m\"}"),
        ECS("ListTaskDefinitions",
            "{\"familyPrefix\":\"web\",\"status\":\"ACTIVE\",\"sort\":\"DESC\",\"maxResults\":3,"
            "\"nextToken\":\"m\"}",
            "{\"taskDefinitionArns\":[\"" ARN "web:8\",\"" ARN "web:3\",\"" ARN
            "web:1\"],\"nextToken\":\"o\"}"),
    };
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct str_list arns = {0};
    aws_dialog_open(&aws, lines, ARRAY_LENGTH(lines));
    assert_success(ecs_task_definition_list(aws.session, "web", 3, aws.arena, &arns));
    assert_int_equal(arns.count, 3);
    assert_string_equal(arns.items[0], ARN "web:9");
    assert_string_equal(arns.items[1], ARN "web:8");
    assert_string_equal(arns.items[2], ARN "web:3");
}

static void
lists_do_not_go_in_circles(void **state)
{
    (void)state;
    static const struct {
        const char *reply, *problem;
        unsigned times;
    } rows[] = {
        {"{\"taskDefinitionArns\":[],\"nextToken\":\"n\"}", "the same page twice", 2},
        {"{\"taskDefinitionArns\":[],\"nextToken\":7}", "'nextToken' is not a string", 1},
        {"{\"taskDefinitionArns\":[7]}", "'taskDefinitionArns' holds something else than names", 1},
        {"{}", "no 'taskDefinitionArns'", 1},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct aws_line_of lines[] = {
            ECS("ListTaskDefinitions", NULL, rows[i].reply, .times = rows[i].times)};
        struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
        struct str_list arns = {0};
        char *text CLEANUP(xfreep) = xasprintf("list the revisions of task definition 'web': "
                                               "unusable answer: %s (HTTP 200)",
            rows[i].problem);
        aws_dialog_open(&aws, lines, 1);
        assert_failure(ecs_task_definition_list(aws.session, "web", 500, aws.arena, &arns),
            ERROR_UNAVAILABLE, text, NULL);
    }
}

static void
lists_without_an_end_are_ended(void **state)
{
    (void)state;
    static const struct aws_line_of lines[] = {
        ECS("ListTaskDefinitions", NULL,
            "{\"taskDefinitionArns\":[\"" ARN "x:1\"],\"nextToken\":\"a\"}"),
        ECS("ListTaskDefinitions", NULL,
            "{\"taskDefinitionArns\":[\"" ARN "x:1\"],\"nextToken\":\"b\"}"),
    };
    struct aws_line_of many[100];
    for (size_t i = 0; i < ARRAY_LENGTH(many); i++) {
        many[i] = lines[i % 2];
    }
    struct aws_dialog aws CLEANUP(aws_dialog_close) = {0};
    struct str_list arns = {0};
    aws_dialog_open(&aws, many, ARRAY_LENGTH(many));
    assert_failure(ecs_task_definition_list(aws.session, "web", 5, aws.arena, &arns),
        ERROR_UNAVAILABLE,
        "list the revisions of task definition 'web': unusable answer: more than 100 pages "
        "(HTTP 200)",
        NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_definition_comes_with_its_tags),
        cmocka_unit_test(no_definition_is_a_value),
        cmocka_unit_test(odd_definitions_are_refused),
        cmocka_unit_test(registering_gives_the_revision),
        cmocka_unit_test(revisions_are_listed_newest_first),
        cmocka_unit_test(lists_do_not_go_in_circles),
        cmocka_unit_test(lists_without_an_end_are_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
