// Credentials by the cached token of 'aws sso login': both kinds of profile, and each way to be
// signed out.
#include "aws_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/memory.h"

// Of "corp" and of "https://corp.awsapps.com/start", by sha1sum.
#define SHA1_CORP "ee0bfd2552fbd840c02cc48b6e823320543c450f"
#define SHA1_START_URL "a51746d4aa793ae07b25e90c3a5db96fc7832bd7"
#define PORTAL                                                                                     \
    "https://portal.sso.eu-central-1.amazonaws.com/federation/credentials?role_name=Deploy%20er&"  \
    "account_id=012345678901"
#define TOKEN "{\"accessToken\":\"sso-token-1\",\"expiresAt\":\"2026-11-21T09:00:00Z\"}"
#define ANSWER                                                                                     \
    "{\"roleCredentials\":{\"accessKeyId\":\"SSO\",\"secretAccessKey\":\"secret-sso\","            \
    "\"sessionToken\":\"token-sso\",\"expiration\":1795250880000}}"

static const char by_session[] =
    "[default]\nsso_session = corp\nsso_account_id = 012345678901\nsso_role_name = Deploy er\n"
    "[sso-session corp]\nsso_region = eu-central-1\n"
    "sso_start_url = https://corp.awsapps.com/start\n";
static const char legacy[] =
    "[default]\nsso_account_id = 012345678901\nsso_role_name = Deploy er\n"
    "sso_region = eu-central-1\nsso_start_url = https://corp.awsapps.com/start\n";

static const char *const shows_token[] = {
    "x-amz-sso_bearer_token: sso-token-1", "!Authorization", NULL};
static const struct script_step good[] = {
    {.method = HTTP_GET, .url = PORTAL, .headers = shows_token, .reply = ANSWER}};

static char *
cache_path(const char *name)
{
    return xasprintf(".aws/sso/cache/%s.json", name);
}

static void
takes_both_kinds_of_profile(void **state)
{
    (void)state;
    static const struct {
        const char *config, *cache;
    } rows[] = {
        {by_session, SHA1_CORP},
        {legacy, SHA1_START_URL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        const struct aws_credentials *found = NULL;
        char *path CLEANUP(xfreep) = cache_path(rows[i].cache);
        aws_fixture_file(aws, ".aws/config", rows[i].config);
        aws_fixture_file(aws, path, TOKEN);
        aws_fixture_start(aws, NULL, good, 1, NULL);
        assert_success(aws_credentials_get(aws->session, &found));
        assert_string_equal(found->provider, "sso");
        assert_string_equal(found->access_key, "SSO");
        assert_string_equal(secret_expose(found->secret_key).ptr, "secret-sso");
        assert_string_equal(secret_expose(found->session_token).ptr, "token-sso");
        assert_string_equal(found->account, "012345678901");
        assert_int_equal(found->expires_ms, FAKE_WALL_START + 3600 * 1000);
        aws_fixture_finish(aws);
    }
}

static void
says_how_to_sign_in(void **state)
{
    (void)state;
    static const char login[] = "Run 'aws sso login --profile default'.";
    static const struct {
        const char *token, *error;
    } rows[] = {
        {NULL, "SSO token: nobody has signed in to 'corp' here"},
        {"{\"accessToken\":\"t\",\"expiresAt\":\"2026-11-21T07:48:00Z\"}",
            "the SSO sign-in of profile 'default' expired at 2026-11-21T07:48:00Z"},
        {"{\"accessToken\":\"t\"}", "cached SSO token of profile 'default': 'accessToken' or "
                                    "'expiresAt' is missing"},
        {"[]", "cached SSO token of profile 'default': 'accessToken' or 'expiresAt' is missing"},
        {"{",
            "cached SSO token of profile 'default': unusable answer: JSON, line 1 column 1: string "
            "or '}' expected near end of file"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        const struct aws_credentials *found = NULL;
        char *path CLEANUP(xfreep) = cache_path(SHA1_CORP);
        char *text CLEANUP(xfreep) = xasprintf("AWS credentials from 'sso': %s", rows[i].error);
        aws_fixture_file(aws, ".aws/config", by_session);
        if (rows[i].token != NULL) {
            aws_fixture_file(aws, path, rows[i].token);
        }
        aws_fixture_start(aws, NULL, NULL, 0, NULL);
        assert_failure(aws_credentials_get(aws->session, &found), ERROR_CREDENTIALS, text, login);
    }
}

static void
tells_what_the_portal_said(void **state)
{
    (void)state;
    static const char *const denied_type[] = {"x-amzn-errortype: ForbiddenException", NULL};
    static const struct {
        struct script_step step;
        enum error_kind kind;
        const char *error, *hint;
    } rows[] = {
        {{.method = HTTP_GET,
             .url = PORTAL,
             .status = 401,
             .reply = "{\"message\":\"Session token not found or invalid\"}"},
            ERROR_CREDENTIALS,
            "role 'Deploy er' of account '012345678901' by SSO: Session token not found or invalid "
            "(HTTP 401)",
            "Run 'aws sso login --profile default'."},
        {{.method = HTTP_GET,
             .url = PORTAL,
             .status = 403,
             .reply_headers = denied_type,
             .reply = "{\"message\":\"No access\"}"},
            ERROR_CREDENTIALS,
            "role 'Deploy er' of account '012345678901' by SSO: ForbiddenException: No access "
            "(HTTP "
            "403)",
            NULL},
        {{.method = HTTP_GET, .url = PORTAL, .reply = "{\"roleCredentials\":{}}"},
            ERROR_UNAVAILABLE, "unusable answer: no keys for role 'Deploy er' in profile 'default'",
            NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        const struct aws_credentials *found = NULL;
        char *path CLEANUP(xfreep) = cache_path(SHA1_CORP);
        char *text CLEANUP(xfreep) = xasprintf("AWS credentials from 'sso': %s", rows[i].error);
        aws_fixture_file(aws, ".aws/config", by_session);
        aws_fixture_file(aws, path, TOKEN);
        aws_fixture_start(aws, NULL, &rows[i].step, 1, NULL);
        assert_failure(aws_credentials_get(aws->session, &found), rows[i].kind, text, rows[i].hint);
    }
}

static void
refuses_broken_profiles(void **state)
{
    (void)state;
    static const struct {
        const char *config;
        enum error_kind kind;
        const char *error, *hint;
    } rows[] = {
        {"[default]\nsso_account_id = 1\nsso_start_url = u\nsso_region = eu-west-1\n",
            ERROR_CREDENTIALS, "profile 'default' lacks 'sso_role_name' for SSO",
            "Run 'aws configure sso'."},
        {"[default]\nsso_session = gone\nsso_account_id = 1\nsso_role_name = r\n",
            ERROR_CREDENTIALS, "profile 'default': there is no sso-session 'gone'",
            "Add the section '[sso-session gone]' to the AWS config file."},
        {"[default]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\nsso_region = a-1\n"
         "[sso-session s]\nsso_region = b-1\nsso_start_url = u\n",
            ERROR_CREDENTIALS, "profile 'default' and sso-session 's' differ in 'sso_region'",
            "Remove the key from the profile."},
        {"[default]\nsso_account_id = 1\nsso_role_name = r\nsso_region = evil.example/\n"
         "sso_start_url = u\n",
            ERROR_INPUT, "'evil.example/' (from 'sso_region') is not an AWS region",
            "A region reads like 'us-east-1'."},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        const struct aws_credentials *found = NULL;
        char *text CLEANUP(xfreep) = xasprintf("AWS credentials from 'sso': %s", rows[i].error);
        aws_fixture_file(aws, ".aws/config", rows[i].config);
        aws_fixture_start(aws, NULL, NULL, 0, NULL);
        assert_failure(aws_credentials_get(aws->session, &found), rows[i].kind, text, rows[i].hint);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_both_kinds_of_profile),
        cmocka_unit_test(says_how_to_sign_in),
        cmocka_unit_test(tells_what_the_portal_said),
        cmocka_unit_test(refuses_broken_profiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
