// GetSecretValue: exact requests, both kinds of value, every refusal, and no value in any error.
#include "dispatcher/secrets_manager.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"

#define URL "https://secretsmanager.eu-west-1.amazonaws.com"
#define ARN "arn:aws:secretsmanager:us-west-2:012345678901:secret:shop/key-AbCdEf"

static const char *const keys[] = {
    "AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=secret-env", "AWS_REGION=eu-west-1", NULL};
static const char *const asked[] = {"X-Amz-Target: secretsmanager.GetSecretValue",
    "Content-Type: application/x-amz-json-1.1",
    "Authorization: AWS4-HMAC-SHA256 Credential=AKID/20261121/eu-west-1/secretsmanager/*", NULL};
static const char *const asked_elsewhere[] = {
    "Authorization: AWS4-HMAC-SHA256 Credential=AKID/20261121/us-west-2/secretsmanager/*", NULL};

static struct error *
get(const struct script_step *step, const char *id, const char *stage, struct secret **out)
{
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    aws_fixture_start(aws, keys, step, step != NULL ? 1 : 0, NULL);
    struct error *err = secrets_manager_get(aws->session, id, stage, out);
    aws_fixture_finish(aws);
    return err;
}

static void
reads_values(void **state)
{
    (void)state;
    static const struct {
        const char *id, *stage;
        struct script_step step;
        const char *value;
        size_t len;
    } rows[] = {
        {"shop/key", NULL,
            {.method = HTTP_POST,
                .url = URL,
                .headers = asked,
                .body = "{\"SecretId\":\"shop/key\"}",
                .reply = "{\"ARN\":\"a\",\"Name\":\"shop/key\",\"SecretString\":\"caf\\u00e9\"}"},
            "caf\xc3\xa9", 5},
        {"shop/key", "AWSPREVIOUS",
            {.method = HTTP_POST,
                .url = URL,
                .headers = asked,
                .body = "{\"SecretId\":\"shop/key\",\"VersionStage\":\"AWSPREVIOUS\"}",
                .reply = "{\"SecretString\":\"old\",\"SecretBinary\":\"AAEC\"}"},
            "old", 3},
        {ARN, NULL,
            {.method = HTTP_POST,
                .url = "https://secretsmanager.us-west-2.amazonaws.com",
                .headers = asked_elsewhere,
                .body = "{\"SecretId\":\"" ARN "\"}",
                .reply = "{\"SecretBinary\":\"AAEC/w==\"}"},
            "\0\1\2\xff", 4},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct secret *value CLEANUP(secret_freep) = NULL;
        assert_success(get(&rows[i].step, rows[i].id, rows[i].stage, &value));
        assert_int_equal(secret_expose(value).len, rows[i].len);
        assert_memory_equal(secret_expose(value).ptr, rows[i].value, rows[i].len);
    }
}

static void
odd_answers_are_refused_unquoted(void **state)
{
    (void)state;
    static const struct {
        const char *reply, *what;
        enum error_kind kind;
    } rows[] = {
        {"{}", "unusable answer: neither 'SecretString' nor 'SecretBinary' (HTTP 200)",
            ERROR_UNAVAILABLE},
        {"{\"SecretString\":{\"canary\":1}}",
            "unusable answer: neither 'SecretString' nor 'SecretBinary' (HTTP 200)",
            ERROR_UNAVAILABLE},
        {"{\"SecretBinary\":\"canary!!\"}",
            "unusable answer: 'SecretBinary' is not base64 of at most 64 KiB (HTTP 200)",
            ERROR_UNAVAILABLE},
        {"{\"SecretString\":\"\"}", "the secret is empty", ERROR_CREDENTIALS},
        {"{\"SecretBinary\":\"\"}", "the secret is empty", ERROR_CREDENTIALS},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct script_step step = {.method = HTTP_POST, .url = URL, .reply = rows[i].reply};
        struct secret *value = NULL;
        char text[200];
        (void)snprintf(text, sizeof(text), "read secret 'shop/key': %s", rows[i].what);
        assert_failure(get(&step, "shop/key", NULL, &value), rows[i].kind, text, NULL);
        assert_null(value);
    }
}

static void
refusals_name_the_fix(void **state)
{
    (void)state;
    static const char kms[] = "Allow 'kms:Decrypt' on the key that the secret is encrypted with.";
    static const struct {
        const char *reply, *what, *hint;
    } rows[] = {
        {"{\"__type\":\"ResourceNotFoundException\",\"Message\":\"Secrets Manager can't find the "
         "specified secret.\"}",
            "ResourceNotFoundException: Secrets Manager can't find the specified secret (HTTP 400)",
            "Check the name, the region and the account; a secret that was never given a value is "
            "not found either."},
        {"{\"__type\":\"DecryptionFailure\",\"Message\":\"no\"}",
            "DecryptionFailure: no (HTTP 400)", kms},
        {"{\"__type\":\"InvalidRequestException\",\"Message\":\"You can't perform this operation "
         "on the secret because it was marked for deletion.\"}",
            "InvalidRequestException: You can't perform this operation on the secret because it "
            "was marked for deletion (HTTP 400)",
            "A secret that is scheduled for deletion has to be restored first."},
        {"{\"__type\":\"AccessDeniedException\",\"Message\":\"User: x is not authorized to "
         "perform: secretsmanager:GetSecretValue on resource: shop/key\"}",
            "AccessDeniedException: User: x is not authorized to perform: "
            "secretsmanager:GetSecretValue on resource: shop/key (HTTP 400)",
            "Allow the action 'secretsmanager:GetSecretValue' to the role in use; 'dispatcher "
            "doctor' shows which one that is."},
        {"{\"__type\":\"AccessDeniedException\",\"Message\":\"Access to KMS is not allowed\"}",
            "AccessDeniedException: Access to KMS is not allowed (HTTP 400)", kms},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct script_step step = {
            .method = HTTP_POST, .url = URL, .status = 400, .reply = rows[i].reply};
        struct secret *value = NULL;
        char text[400];
        (void)snprintf(text, sizeof(text),
            "read secret 'shop/key': secretsmanager GetSecretValue: %s", rows[i].what);
        assert_failure(get(&step, "shop/key", NULL, &value), ERROR_CREDENTIALS, text, rows[i].hint);
        assert_null(value);
    }
}

static void
is_asked_again_while_the_service_is_troubled(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST, .url = URL, .status = 500, .reply = "<html>"},
        {.method = HTTP_POST, .url = URL, .failure = "connection reset", .request_left = true},
        {.method = HTTP_POST,
            .url = URL,
            .status = 400,
            .reply = "{\"__type\":\"InternalServiceError\"}"},
    };
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    struct secret *value = NULL;
    aws_fixture_start(aws, keys, steps, ARRAY_LENGTH(steps), NULL);
    struct error *err CLEANUP(error_freep) =
        secrets_manager_get(aws->session, "shop/key", NULL, &value);
    assert_non_null(err);
    assert_string_equal(error_remote_of(err)->code, "InternalServiceError");
    aws_fixture_finish(aws);
}

static void
bad_names_are_not_sent(void **state)
{
    (void)state;
    struct secret *value = NULL;
    assert_failure(
        get(NULL, "", NULL, &value), ERROR_INPUT, "a secret's name has 1 to 2048 bytes", NULL);
    assert_failure(get(NULL, "arn:aws:x", NULL, &value), ERROR_INPUT,
        "read secret 'arn:aws:x': 'arn:aws:x' is not the ARN of a secret", NULL);
    assert_failure(get(NULL, "arn:aws:secretsmanager:evil.example/:1:secret:a", NULL, &value),
        ERROR_INPUT,
        "read secret 'arn:aws:secretsmanager:evil.example/:1:secret:a': 'evil.example/' (from the "
        "secret's ARN) is not an AWS region",
        "A region reads like 'us-east-1'.");
}

static void
looks_for_a_secret(void **state)
{
    (void)state;
    static const char *const described[] = {"X-Amz-Target: secretsmanager.DescribeSecret", NULL};
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = URL,
            .headers = described,
            .body = "{\"SecretId\":\"shop/key\"}",
            .reply = "{\"Name\":\"shop/key\"}"},
        {.method = HTTP_POST,
            .url = URL,
            .reply = "{\"Name\":\"shop/key\",\"DeletedDate\":1795247280}"},
        {.method = HTTP_POST,
            .url = URL,
            .status = 400,
            .reply = "{\"__type\":\"ResourceNotFoundException\"}"},
        {.method = HTTP_POST,
            .url = URL,
            .status = 400,
            .reply = "{\"__type\":\"AccessDeniedException\",\"Message\":\"not you\"}"},
    };
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    bool found = false;
    aws_fixture_start(aws, keys, steps, ARRAY_LENGTH(steps), NULL);
    assert_success(secrets_manager_exists(aws->session, "shop/key", &found));
    assert_true(found);
    assert_success(secrets_manager_exists(aws->session, "shop/key", &found));
    assert_false(found); // scheduled for deletion
    found = true;
    assert_success(secrets_manager_exists(aws->session, "shop/key", &found));
    assert_false(found);
    assert_failure(secrets_manager_exists(aws->session, "shop/key", &found), ERROR_CREDENTIALS,
        "look for secret 'shop/key': secretsmanager DescribeSecret: AccessDeniedException: not you "
        "(HTTP 400)",
        "Allow the action 'secretsmanager:DescribeSecret' to the role in use; 'dispatcher doctor' "
        "shows which "
        "one that is.");
    aws_fixture_finish(aws);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_values),
        cmocka_unit_test(odd_answers_are_refused_unquoted),
        cmocka_unit_test(refusals_name_the_fix),
        cmocka_unit_test(is_asked_again_while_the_service_is_troubled),
        cmocka_unit_test(bad_names_are_not_sent),
        cmocka_unit_test(looks_for_a_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
