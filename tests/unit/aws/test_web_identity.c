// Becoming a role with a token: the job's own, or a file; never signed, read anew for each renewal,
// and refusals that say what a trust policy has to match.
#include "aws_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/memory.h"

#define STS "https://sts.eu-west-1.amazonaws.com"
#define ROLE "arn:aws:iam::012345678901:role/deploy"
#define ENCODED "arn%3Aaws%3Aiam%3A%3A012345678901%3Arole%2Fdeploy"
#define ACTION "AssumeRoleWithWebIdentity"
#define FORM(name, token)                                                                          \
    "Action=" ACTION "&Version=2011-06-15&RoleArn=" ENCODED "&RoleSessionName=" name               \
    "&WebIdentityToken=" token
// {"alg":"none"}.{"sub":"repo:o/r:environment:production"}.sig
#define JWT "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyZXBvOm8vcjplbnZpcm9ubWVudDpwcm9kdWN0aW9uIn0.c2ln"

static const char *const is_unsigned[] = {
    "!Authorization", "!X-Amz-Date", "!X-Amz-Security-Token", NULL};

struct source {
    const char *token;
    unsigned asked;
};

static struct error *
give_token(void *ctx, const char *audience, struct secret **out)
{
    struct source *source = ctx;
    source->asked++;
    assert_string_equal(audience, "sts.amazonaws.com");
    if (source->token == NULL) {
        return error_new(ERROR_CREDENTIALS, "no token to be had");
    }
    *out = secret_new(str_of(source->token));
    return NULL;
}

static struct error *
get_by_oidc(struct aws_fixture *aws, struct source *source, const struct script_step *steps,
    size_t count, const struct aws_credentials **out)
{
    const struct aws_token_source oidc = {give_token, source};
    const struct aws_options options = {.region = "eu-west-1",
        .role_arn = ROLE,
        .role_session_name = "payments-production",
        .oidc = &oidc};
    // Keys of the environment do not win over the role that was asked for.
    static const char *const env[] = {
        "AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=secret-env", NULL};
    aws_fixture_start(aws, env, steps, count, &options);
    return aws_credentials_get(aws->session, out);
}

static void
becomes_the_role_of_the_spec(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = STS,
            .headers = is_unsigned,
            .body = FORM("payments-production", JWT),
            .reply = AWS_STS_ANSWER(ACTION, "JOB", "2026-11-21T08:48:00Z")},
    };
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    struct source source = {.token = JWT};
    const struct aws_credentials *found = NULL;
    assert_success(get_by_oidc(aws, &source, steps, 1, &found));
    assert_string_equal(found->provider, "oidc");
    assert_string_equal(found->access_key, "JOB");
    assert_string_equal(found->account, "012345678901");
    assert_int_equal(source.asked, 1);
    aws_fixture_finish(aws);
}

static void
says_what_the_trust_policy_must_allow(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *reply, *token, *error, *hint;
    } rows[] = {
        {403, AWS_STS_ERROR("AccessDenied", "Not authorized to perform sts:" ACTION), JWT,
            "AccessDenied: Not authorized to perform sts:" ACTION " (HTTP 403, request r-2)",
            "The trust policy of '" ROLE "' must allow the subject "
            "'repo:o/r:environment:production' and the audience 'sts.amazonaws.com'."},
        {403, AWS_STS_ERROR("AccessDenied", "no"), "not-a-jwt",
            "AccessDenied: no (HTTP 403, request r-2)",
            "The trust policy of '" ROLE
            "' must allow the subject of the token and the audience 'sts.amazonaws.com'."},
        {400, AWS_STS_ERROR("InvalidIdentityToken", "No OpenIDConnect provider found"), JWT,
            "InvalidIdentityToken: No OpenIDConnect provider found (HTTP 400, request r-2)",
            "The account of '" ROLE "' needs an IAM OIDC provider for the token's issuer, with the "
            "audience 'sts.amazonaws.com'."},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct script_step steps[] = {
            {.method = HTTP_POST, .url = STS, .status = rows[i].status, .reply = rows[i].reply}};
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        struct source source = {.token = rows[i].token};
        const struct aws_credentials *found = NULL;
        char *text CLEANUP(xfreep) =
            xasprintf("AWS credentials from 'oidc': assume role '" ROLE "': sts " ACTION ": %s",
                rows[i].error);
        assert_failure(
            get_by_oidc(aws, &source, steps, 1, &found), ERROR_CREDENTIALS, text, rows[i].hint);
        aws_fixture_finish(aws);
    }
}

static void
waits_for_the_issuers_keys(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = STS,
            .status = 400,
            .reply = AWS_STS_ERROR("InvalidIdentityToken",
                "Couldn't retrieve verification key from your identity provider")},
        {.method = HTTP_POST,
            .url = STS,
            .status = 400,
            .reply = AWS_STS_ERROR("IDPCommunicationError", "x")},
        {.method = HTTP_POST,
            .url = STS,
            .reply = AWS_STS_ANSWER(ACTION, "JOB", "2026-11-21T08:48:00Z")},
    };
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    struct source source = {.token = JWT};
    const struct aws_credentials *found = NULL;
    assert_success(get_by_oidc(aws, &source, steps, 3, &found));
    assert_int_equal(source.asked, 1);
    aws_fixture_finish(aws);
}

static void
fetches_a_new_token_when_it_expired(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = STS,
            .status = 400,
            .reply = AWS_STS_ERROR("ExpiredTokenException", "Token must be used within 5 minutes")},
        {.method = HTTP_POST,
            .url = STS,
            .reply = AWS_STS_ANSWER(ACTION, "JOB", "2026-11-21T08:48:00Z")},
    };
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    struct source source = {.token = JWT};
    const struct aws_credentials *found = NULL;
    assert_success(get_by_oidc(aws, &source, steps, 2, &found));
    assert_int_equal(source.asked, 2);
    aws_fixture_finish(aws);
}

static void
never_falls_back_to_other_credentials(void **state)
{
    (void)state;
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    struct source source = {.token = NULL};
    const struct aws_credentials *found = NULL;
    assert_failure(get_by_oidc(aws, &source, NULL, 0, &found), ERROR_CREDENTIALS,
        "AWS credentials from 'oidc': no token to be had", NULL);
}

static void
unusable_answers(void **state)
{
    (void)state;
    static const struct {
        const char *reply, *error;
    } rows[] = {
        {"<html>", "unusable answer: XML: it ends inside an element"},
        {"<" ACTION "Response></" ACTION "Response>",
            "unusable answer: no '" ACTION "Response/" ACTION
            "Result/Credentials/AccessKeyId' in it"},
        {AWS_STS_ANSWER(ACTION, "JOB", "soon"), "unusable answer: 'soon' is not a time"},
        {AWS_STS_ANSWER(ACTION, "", "2026-11-21T08:48:00Z"),
            "unusable answer: no '" ACTION "Response/" ACTION
            "Result/Credentials/AccessKeyId' in it"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct script_step steps[] = {
            {.method = HTTP_POST, .url = STS, .reply = rows[i].reply}};
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        struct source source = {.token = JWT};
        const struct aws_credentials *found = NULL;
        char *text CLEANUP(xfreep) =
            xasprintf("AWS credentials from 'oidc': assume role '" ROLE "': sts " ACTION ": %s",
                rows[i].error);
        assert_failure(get_by_oidc(aws, &source, steps, 1, &found), ERROR_UNAVAILABLE, text, NULL);
    }
}

static void
reads_the_token_file_each_time(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = STS,
            .headers = is_unsigned,
            .body = FORM("pod", "token.one"),
            .reply = AWS_STS_ANSWER(ACTION, "ONE", "2026-11-21T08:48:00Z")},
        {.method = HTTP_POST,
            .url = STS,
            .headers = is_unsigned,
            .body = FORM("pod", "token.two"),
            .reply = AWS_STS_ANSWER(ACTION, "TWO", "2026-11-21T09:48:00Z")},
    };
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    const struct aws_credentials *found = NULL;
    char *file CLEANUP(xfreep) = xasprintf("AWS_WEB_IDENTITY_TOKEN_FILE=%s/token", aws->home);
    const char *const env[] = {
        file, "AWS_ROLE_ARN=" ROLE, "AWS_ROLE_SESSION_NAME=pod", "AWS_REGION=eu-west-1", NULL};
    aws_fixture_file(aws, "token", "token.one\n");
    aws_fixture_start(aws, env, steps, 2, NULL);
    assert_success(aws_credentials_get(aws->session, &found));
    assert_string_equal(found->provider, "web-identity");
    assert_string_equal(found->access_key, "ONE");
    aws_fixture_file(aws, "token", "token.two");
    fake_platform_advance(aws->fake, 51 * 60 * 1000);
    assert_success(aws_credentials_get(aws->session, &found));
    assert_string_equal(found->access_key, "TWO");
    aws_fixture_finish(aws);
}

static void
token_file_problems(void **state)
{
    (void)state;
    static const struct {
        const char *content, *role, *error, *hint;
    } rows[] = {
        {NULL, "AWS_ROLE_ARN=" ROLE,
            "web identity token: open '%s/token': No such file or directory", NULL},
        {" \n", "AWS_ROLE_ARN=" ROLE, "web identity token: '%s/token' is empty", NULL},
        {"t", "AWS_ROLE_ARN=", "there is a web identity token '%s/token', but no role",
            "Set AWS_ROLE_ARN, or 'role_arn' in the profile."},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        const struct aws_credentials *found = NULL;
        char *file CLEANUP(xfreep) = xasprintf("AWS_WEB_IDENTITY_TOKEN_FILE=%s/token", aws->home);
        if (rows[i].content != NULL) {
            aws_fixture_file(aws, "token", rows[i].content);
        }
        aws_fixture_start(aws, (const char *[]){file, rows[i].role, NULL}, NULL, 0, NULL);
        const char *mark = strstr(rows[i].error, "%s");
        char *text CLEANUP(xfreep) = xasprintf("AWS credentials from 'web-identity': %.*s%s%s",
            (int)(mark - rows[i].error), rows[i].error, aws->home, mark + 2);
        assert_failure(
            aws_credentials_get(aws->session, &found), ERROR_CREDENTIALS, text, rows[i].hint);
    }
}

static void
a_profile_may_name_the_token_file(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = STS,
            .headers = is_unsigned,
            .body = FORM("dispatcher", "t.o.k"),
            .reply = AWS_STS_ANSWER(ACTION, "ONE", "2026-11-21T08:48:00Z")},
    };
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    const struct aws_credentials *found = NULL;
    char *config CLEANUP(xfreep) = xasprintf("[default]\nregion = eu-west-1\nrole_arn = " ROLE
                                             "\nweb_identity_token_file = %s/token\n",
        aws->home);
    aws_fixture_file(aws, ".aws/config", config);
    aws_fixture_file(aws, "token", "t.o.k");
    aws_fixture_start(aws, NULL, steps, 1, NULL);
    assert_success(aws_credentials_get(aws->session, &found));
    assert_string_equal(found->provider, "web-identity");
    aws_fixture_finish(aws);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(becomes_the_role_of_the_spec),
        cmocka_unit_test(says_what_the_trust_policy_must_allow),
        cmocka_unit_test(waits_for_the_issuers_keys),
        cmocka_unit_test(fetches_a_new_token_when_it_expired),
        cmocka_unit_test(never_falls_back_to_other_credentials),
        cmocka_unit_test(unusable_answers),
        cmocka_unit_test(reads_the_token_file_each_time),
        cmocka_unit_test(token_file_problems),
        cmocka_unit_test(a_profile_may_name_the_token_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
