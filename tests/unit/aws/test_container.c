// The container's credential endpoint: where it may be, the token it wants, and how often we ask.
#include "aws_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/memory.h"

#define ANSWER AWS_KEYS_ANSWER("TASK", "2026-11-21T13:48:00Z")

static struct error *
get(struct aws_fixture *aws, const char *const *env, const struct script_step *steps, size_t count,
    const struct aws_credentials **out)
{
    aws_fixture_start(aws, env, steps, count, NULL);
    return aws_credentials_get(aws->session, out);
}

static const char *const no_token[] = {"Accept: application/json", "!Authorization", NULL};
static const char *const relative[] = {
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/uuid",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1/ignored", NULL};

static void
asks_the_fixed_address(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.method = HTTP_GET,
        .url = "http://169.254.170.2/v2/credentials/uuid",
        .headers = no_token,
        .reply = ANSWER}};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    const struct aws_credentials *found = NULL;
    assert_success(get(aws, relative, steps, 1, &found));
    assert_string_equal(found->provider, "container");
    assert_string_equal(found->access_key, "TASK");
    assert_string_equal(secret_expose(found->session_token).ptr, "token-TASK");
    assert_int_equal(found->expires_ms, FAKE_WALL_START + 6 * 3600 * 1000);
    const struct script_request *sent = script_transport_request(aws->script, 0);
    assert_true(sent->allow_plain);
    assert_int_equal(sent->deadline_ms, FAKE_MONO_START + 2000);
    aws_fixture_finish(aws);
}

static void
checks_the_host(void **state)
{
    (void)state;
    static const char *const allowed[] = {"https://anywhere.example/x?y=z", "http://localhost:1/x",
        "http://127.9.9.9/x", "http://[::1]/x", "http://169.254.170.2/x",
        "http://169.254.170.23/v1", "http://[fd00:ec2::23]/v1"};
    static const char *const refused[] = {"http://anywhere.example/", "http://169.254.169.254/",
        "http://169.254.170.2.evil.example/", "http://10.0.0.1/", "https://user:pw@x.example/"};
    for (size_t i = 0; i < ARRAY_LENGTH(allowed); i++) {
        const struct script_step steps[] = {
            {.method = HTTP_GET, .url = allowed[i], .reply = ANSWER}};
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        const struct aws_credentials *found = NULL;
        char *pair CLEANUP(xfreep) = xasprintf("AWS_CONTAINER_CREDENTIALS_FULL_URI=%s", allowed[i]);
        assert_success(get(aws, (const char *[]){pair, NULL}, steps, 1, &found));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        const struct aws_credentials *found = NULL;
        char *pair CLEANUP(xfreep) = xasprintf("AWS_CONTAINER_CREDENTIALS_FULL_URI=%s", refused[i]);
        struct error *err = get(aws, (const char *[]){pair, NULL}, NULL, 0, &found);
        assert_non_null(err);
        assert_int_equal(error_kind(err), ERROR_CREDENTIALS);
        assert_string_equal(error_hint_of(err),
            "AWS_CONTAINER_CREDENTIALS_FULL_URI must be https, or http on loopback, 169.254.170.2, "
            "169.254.170.23 or [fd00:ec2::23].");
        char *text CLEANUP(xfreep) = error_text(err);
        assert_non_null(strstr(text, "credentials are not fetched from 'http"));
        assert_null(strstr(text, "user:pw"));
        error_free(err);
    }
}

static const char *const token_file_wins[] = {"Authorization: Basic from the file", NULL};
static const char *const token_rotated[] = {"Authorization: rotated", NULL};
static const char *const token_direct[] = {"Authorization: direct", NULL};

static void
shows_the_token(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_GET,
            .url = "http://169.254.170.23/v1",
            .headers = token_file_wins,
            .reply = ANSWER},
        {.method = HTTP_GET,
            .url = "http://169.254.170.23/v1",
            .headers = token_rotated,
            .reply = ANSWER},
    };
    static const struct script_step direct_steps[] = {{.method = HTTP_GET,
        .url = "http://169.254.170.23/v1",
        .headers = token_direct,
        .reply = ANSWER}};
    static const char *const direct[] = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/v1",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN=direct", NULL};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    const struct aws_credentials *found = NULL;
    char *file CLEANUP(xfreep) =
        xasprintf("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=%s/t", aws->home);
    const char *const env[] = {direct[0], direct[1], file, NULL};
    bool changed = true;
    aws_fixture_file(aws, "t", "Basic from the file");
    assert_success(get(aws, env, steps, 2, &found));
    aws_fixture_file(aws, "t", "rotated");
    assert_success(aws_credentials_renew(aws->session, &changed));
    assert_false(changed); // the endpoint gave the same keys
    aws_fixture_finish(aws);
    struct aws_fixture *other CLEANUP(aws_fixture_freep) = aws_fixture_new();
    assert_success(get(other, direct, direct_steps, 1, &found));
    aws_fixture_finish(other);
}

static void
refuses_line_ends_in_the_token(void **state)
{
    (void)state;
    static const char *const contents[] = {"a\r\nHost: evil", "a\n", "", "a\rb"};
    for (size_t i = 0; i < ARRAY_LENGTH(contents); i++) {
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        const struct aws_credentials *found = NULL;
        char *file CLEANUP(xfreep) =
            xasprintf("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=%s/t", aws->home);
        char *hint CLEANUP(xfreep) = xasprintf("Remove line ends from %s/t.", aws->home);
        char *text CLEANUP(xfreep) =
            xasprintf("AWS credentials from 'container': the container's authorization token is %s",
                contents[i][0] == '\0' ? "empty" : "not one line of text");
        aws_fixture_file(aws, "t", contents[i]);
        assert_failure(get(aws, (const char *[]){relative[0], file, NULL}, NULL, 0, &found),
            ERROR_CREDENTIALS, text, hint);
    }
}

static void
asks_three_times(void **state)
{
    (void)state;
    static const struct script_step recovers[] = {
        {.method = HTTP_GET, .url_pattern = "*", .status = 500, .reply = "busy"},
        {.method = HTTP_GET, .url_pattern = "*", .takes_ms = 3000},
        {.method = HTTP_GET, .url_pattern = "*", .reply = ANSWER},
    };
    static const struct script_step gives_up[] = {
        {.method = HTTP_GET, .url_pattern = "*", .status = 403, .reply = "no\r\nrole", .times = 3}};
    struct aws_fixture *a CLEANUP(aws_fixture_freep) = aws_fixture_new();
    const struct aws_credentials *found = NULL;
    assert_success(get(a, relative, recovers, 3, &found));
    assert_int_equal(a->fake->sleep_count, 2);
    assert_int_equal(a->fake->sleeps[1], 1000);
    aws_fixture_finish(a);
    struct aws_fixture *b CLEANUP(aws_fixture_freep) = aws_fixture_new();
    assert_failure(get(b, relative, gives_up, 1, &found), ERROR_CREDENTIALS,
        "AWS credentials from 'container': 3 attempts: the container's credential endpoint "
        "refused: "
        "no  role (HTTP 403)",
        NULL);
    aws_fixture_finish(b);
}

static void
unusable_answers(void **state)
{
    (void)state;
    static const struct {
        const char *reply, *error;
    } rows[] = {
        {"{}", "'AccessKeyId' or 'SecretAccessKey' is missing"},
        {"{\"AccessKeyId\":\"\",\"SecretAccessKey\":\"x\"}",
            "'AccessKeyId' or 'SecretAccessKey' is missing"},
        {"{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"x\",\"Expiration\":\"soon\"}",
            "'Expiration' is not a time"},
        {"<html>", "unusable answer: JSON, line 1 column 1: invalid token"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct script_step steps[] = {
            {.method = HTTP_GET, .url_pattern = "*", .reply = rows[i].reply}};
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        const struct aws_credentials *found = NULL;
        char *text CLEANUP(xfreep) = xasprintf("AWS credentials from 'container': the container's "
                                               "credential endpoint gave no usable credentials: %s",
            rows[i].error);
        assert_failure(get(aws, relative, steps, 1, &found), ERROR_CREDENTIALS, text, NULL);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_the_fixed_address),
        cmocka_unit_test(checks_the_host),
        cmocka_unit_test(shows_the_token),
        cmocka_unit_test(refuses_line_ends_in_the_token),
        cmocka_unit_test(asks_three_times),
        cmocka_unit_test(unusable_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
