// Keys from the environment and the two files: all members, and what is refused.
#include "aws_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/memory.h"

static const struct aws_credentials *
credentials_of(struct aws_fixture *aws)
{
    const struct aws_credentials *credentials = NULL;
    assert_success(aws_credentials_get(aws->session, &credentials));
    return credentials;
}

static void
takes_the_environment(void **state)
{
    (void)state;
    static const char *const env[] = {"AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=secret-env",
        "AWS_SESSION_TOKEN=token-env", "AWS_ACCOUNT_ID=012345678901",
        "AWS_CREDENTIAL_EXPIRATION=2026-11-21T08:48:00Z", NULL};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    aws_fixture_start(aws, env, NULL, 0, NULL);
    const struct aws_credentials *found = credentials_of(aws);
    assert_string_equal(found->provider, "environment");
    assert_string_equal(found->access_key, "AKID");
    assert_string_equal(secret_expose(found->secret_key).ptr, "secret-env");
    assert_string_equal(secret_expose(found->session_token).ptr, "token-env");
    assert_string_equal(found->account, "012345678901");
    assert_int_equal(found->expires_ms, FAKE_WALL_START + 3600 * 1000);
}

static void
half_an_environment_is_an_error(void **state)
{
    (void)state;
    static const struct {
        const char *env[3], *message, *hint;
    } rows[] = {
        {{"AWS_ACCESS_KEY_ID=AKID"},
            "AWS credentials from 'environment': AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY "
            "is "
            "not",
            "Set both, or neither."},
        {{"AWS_SECRET_ACCESS_KEY=x", "AWS_ACCESS_KEY_ID="},
            "AWS credentials from 'environment': AWS_SECRET_ACCESS_KEY is set, AWS_ACCESS_KEY_ID "
            "is "
            "not",
            "Set both, or neither."},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        const struct aws_credentials *credentials = NULL;
        aws_fixture_start(aws, rows[i].env, NULL, 0, NULL);
        assert_failure(aws_credentials_get(aws->session, &credentials), ERROR_CREDENTIALS,
            rows[i].message, rows[i].hint);
    }
}

static void
expired_environment_is_an_error(void **state)
{
    (void)state;
    static const char *const expired[] = {"AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=secret",
        "AWS_CREDENTIAL_EXPIRATION=2026-11-21T07:47:59Z", NULL};
    static const char *const unreadable[] = {"AWS_ACCESS_KEY_ID=AKID",
        "AWS_SECRET_ACCESS_KEY=secret", "AWS_CREDENTIAL_EXPIRATION=tomorrow", NULL};
    const struct aws_credentials *credentials = NULL;
    struct aws_fixture *a CLEANUP(aws_fixture_freep) = aws_fixture_new();
    aws_fixture_start(a, expired, NULL, 0, NULL);
    assert_failure(aws_credentials_get(a->session, &credentials), ERROR_CREDENTIALS,
        "AWS credentials from 'environment': they expired at 2026-11-21T07:47:59Z",
        "Get new credentials: sign in again, or start the job again.");
    struct aws_fixture *b CLEANUP(aws_fixture_freep) = aws_fixture_new();
    aws_fixture_start(b, unreadable, NULL, 0, NULL);
    assert_failure(aws_credentials_get(b->session, &credentials), ERROR_CREDENTIALS,
        "AWS credentials from 'environment': AWS_CREDENTIAL_EXPIRATION 'tomorrow' is not a time",
        NULL);
}

static void
takes_the_files(void **state)
{
    (void)state;
    static const char *const env[] = {"AWS_PROFILE=dev", NULL};
    struct aws_fixture *a CLEANUP(aws_fixture_freep) = aws_fixture_new();
    aws_fixture_file(a, ".aws/config",
        "[profile dev]\naws_access_key_id = CONFIG\naws_secret_access_key = secret-config\n"
        "aws_account_id = 012345678901\n");
    aws_fixture_file(a, ".aws/credentials",
        "[dev]\naws_access_key_id = SHARED\naws_secret_access_key = secret-shared\n"
        "aws_session_token = token-shared\n");
    aws_fixture_start(a, env, NULL, 0, NULL);
    const struct aws_credentials *found = credentials_of(a);
    assert_string_equal(found->provider, "credentials-file");
    assert_string_equal(found->access_key, "SHARED");
    assert_string_equal(secret_expose(found->secret_key).ptr, "secret-shared");
    assert_string_equal(secret_expose(found->session_token).ptr, "token-shared");
    assert_string_equal(found->account, "012345678901");
    struct aws_fixture *b CLEANUP(aws_fixture_freep) = aws_fixture_new();
    aws_fixture_file(b, ".aws/config",
        "[profile dev]\naws_access_key_id = CONFIG\naws_secret_access_key = secret-config\n");
    aws_fixture_start(b, env, NULL, 0, NULL);
    found = credentials_of(b);
    assert_string_equal(found->provider, "config-file");
    assert_string_equal(found->access_key, "CONFIG");
    assert_null(found->session_token);
    assert_int_equal(found->expires_ms, 0);
}

static void
half_a_profile_is_an_error(void **state)
{
    (void)state;
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    const struct aws_credentials *credentials = NULL;
    aws_fixture_file(aws, ".aws/credentials", "[default]\naws_access_key_id = AKID\n");
    aws_fixture_start(aws, NULL, NULL, 0, NULL);
    char *text CLEANUP(xfreep) =
        xasprintf("AWS credentials from 'credentials-file': profile 'default' in "
                  "'%s/.aws/credentials': aws_access_key_id is set, aws_secret_access_key is not",
            aws->home);
    assert_failure(aws_credentials_get(aws->session, &credentials), ERROR_CREDENTIALS, text,
        "Set both, or neither.");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_environment),
        cmocka_unit_test(half_an_environment_is_an_error),
        cmocka_unit_test(expired_environment_is_an_error),
        cmocka_unit_test(takes_the_files),
        cmocka_unit_test(half_a_profile_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
