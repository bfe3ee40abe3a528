// A SourceConfiguration with changes keeps everything that was not changed, known or not.
#include "dispatcher/apprunner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/arena.h"
#include "dispatcher/memory.h"

#define IMAGE(image, configuration, rest)                                                          \
    "{\"ImageRepository\":{\"ImageIdentifier\":\"" image "\"" configuration                        \
    ",\"ImageRepositoryType\":\"ECR\",\"tomorrow\":0.1}" rest "}"

static void
images_are_replaced_and_all_else_stays(void **state)
{
    (void)state;
    static struct pair environment[] = {{"B", "2"}, {"C", "ünï"}}, secrets[] = {{"A", "arn:s"}},
                       moved[] = {{"S", "plain"}};
    static const struct {
        const char *source;
        struct apprunner_source_change change;
        const char *result;
    } rows[] = {
        {IMAGE("r:1", "", ",\"AutoDeploymentsEnabled\":true"), {.image = "r@sha256:42"},
            IMAGE("r@sha256:42", "", ",\"AutoDeploymentsEnabled\":true")},
        {IMAGE("r:1", ",\"ImageConfiguration\":{\"Port\":\"80\",\"StartCommand\":\"run\"}",
             ",\"AutoDeploymentsEnabled\":true,\"AuthenticationConfiguration\":{\"AccessRoleArn\":"
             "\"arn:a\",\"new\":[1.5]}"),
            {.image = "r:2",
                .port = "8080",
                .access_role_arn = "arn:b",
                .auto_deploys = APPRUNNER_NO},
            IMAGE("r:2", ",\"ImageConfiguration\":{\"Port\":\"8080\",\"StartCommand\":\"run\"}",
                ",\"AutoDeploymentsEnabled\":false,\"AuthenticationConfiguration\":"
                "{\"AccessRoleArn\":\"arn:b\",\"new\":[1.5]}")},
        // Nothing given, nothing changed.
        {IMAGE(
             "r:1", ",\"ImageConfiguration\":{\"RuntimeEnvironmentVariables\":{\"A\":\"1\"}}", ""),
            {.image = NULL},
            IMAGE("r:1", ",\"ImageConfiguration\":{\"RuntimeEnvironmentVariables\":{\"A\":\"1\"}}",
                "")},
        // Variables are set one by one; A moves to the secrets.
        {IMAGE("r:1",
             ",\"ImageConfiguration\":{\"RuntimeEnvironmentVariables\":{\"A\":\"1\",\"B\":\"1\","
             "\"Z\":\"9\"}}",
             ""),
            {.environment = {environment, 2}, .secrets = {secrets, 1}},
            IMAGE("r:1",
                ",\"ImageConfiguration\":{\"RuntimeEnvironmentVariables\":{\"B\":\"2\",\"Z\":\"9\","
                "\"C\":\"ünï\"},\"RuntimeEnvironmentSecrets\":{\"A\":\"arn:s\"}}",
                "")},
        {IMAGE("r:1", ",\"ImageConfiguration\":{\"RuntimeEnvironmentSecrets\":{\"S\":\"arn:s\"}}",
             ""),
            {.environment = {moved, 1}, .start_command = "go", .auto_deploys = APPRUNNER_YES},
            IMAGE("r:1",
                ",\"ImageConfiguration\":{\"RuntimeEnvironmentSecrets\":{},\"StartCommand\":\"go\","
                "\"RuntimeEnvironmentVariables\":{\"S\":\"plain\"}}",
                ",\"AutoDeploymentsEnabled\":true")},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        const char *out = NULL;
        assert_success(apprunner_source_with_image(rows[i].source, &rows[i].change, arena, &out));
        assert_string_equal(out, rows[i].result);
    }
}

#define CODE(version, configuration, rest)                                                         \
    "{\"CodeRepository\":{\"RepositoryUrl\":\"https://github.com/o/"                               \
    "r\",\"SourceCodeVersion\":" version ",\"CodeConfiguration\":" configuration                   \
    ",\"SourceDirectory\":\"app\"}" rest "}"
#define MAIN "{\"Type\":\"BRANCH\",\"Value\":\"main\"}"
#define BY_FILE "{\"ConfigurationSource\":\"REPOSITORY\"}"
#define BY_API(values) "{\"ConfigurationSource\":\"API\",\"CodeConfigurationValues\":" values "}"

static void
code_is_changed_and_all_else_stays(void **state)
{
    (void)state;
    static struct pair environment[] = {{"B", "2"}};
    static const struct {
        const char *source;
        struct apprunner_source_change change;
        const char *result;
    } rows[] = {
        {CODE(MAIN, BY_FILE, ""), {.branch = "release"},
            CODE("{\"Type\":\"BRANCH\",\"Value\":\"release\"}", BY_FILE, "")},
        {CODE(MAIN, BY_FILE, ""), {.auto_deploys = APPRUNNER_NO, .connection_arn = "arn:c"},
            CODE(MAIN, BY_FILE,
                ",\"AutoDeploymentsEnabled\":false,\"AuthenticationConfiguration\":"
                "{\"ConnectionArn\":\"arn:c\"}")},
        {CODE(MAIN,
             BY_API("{\"Runtime\":\"PYTHON_3\",\"StartCommand\":\"old\","
                    "\"RuntimeEnvironmentVariables\":{\"A\":\"1\"},\"tomorrow\":true}"),
             ""),
            {.start_command = "new",
                .build_command = "make",
                .port = "8000",
                .runtime = "PYTHON_311",
                .environment = {environment, 1}},
            CODE(MAIN,
                BY_API("{\"Runtime\":\"PYTHON_311\",\"StartCommand\":\"new\","
                       "\"RuntimeEnvironmentVariables\":{\"A\":\"1\",\"B\":\"2\"},\"tomorrow\":"
                       "true,\"BuildCommand\":\"make\",\"Port\":\"8000\"}"),
                "")},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        const char *out = NULL;
        assert_success(apprunner_source_with_code(rows[i].source, &rows[i].change, arena, &out));
        assert_string_equal(out, rows[i].result);
    }
}

static void
what_app_runner_would_not_do_is_refused(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct apprunner_source_change image = {.image = "r:2"}, branch = {.branch = "main"},
                                         command = {.start_command = "go"};
    const char *out = NULL;
    static const char kind_hint[] = "App Runner cannot change that: name another service, or "
                                    "delete this one and create it again.";
    assert_failure(apprunner_source_with_image(CODE(MAIN, BY_FILE, ""), &image, arena, &out),
        ERROR_SPEC, "the App Runner service is not made from an image", kind_hint);
    assert_failure(apprunner_source_with_code(IMAGE("r:1", "", ""), &branch, arena, &out),
        ERROR_SPEC, "the App Runner service is not made from code", kind_hint);
    assert_failure(apprunner_source_with_code(CODE(MAIN, BY_FILE, ""), &command, arena, &out),
        ERROR_SPEC,
        "the App Runner service takes commands, port, runtime and variables from apprunner.yaml in "
        "its repository",
        "Change them there, or let the service take its configuration from the API.");
    assert_failure(apprunner_source_with_image("{", &image, arena, &out), ERROR_INPUT,
        "read 'SourceConfiguration': unusable answer: JSON, line 1 column 1: string or '}' "
        "expected near end of file",
        NULL);
    assert_failure(
        apprunner_source_with_image("{\"ImageRepository\":\"r:1\"}", &image, arena, &out),
        ERROR_SPEC, "the App Runner service is not made from an image", kind_hint);
    assert_null(out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_are_replaced_and_all_else_stays),
        cmocka_unit_test(code_is_changed_and_all_else_stays),
        cmocka_unit_test(what_app_runner_would_not_do_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
