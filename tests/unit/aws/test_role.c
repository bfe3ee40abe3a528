// Profiles that become roles: chains of source profiles, credential sources, loops, and refusals.
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
#define ROLE_A "arn:aws:iam::012345678901:role/a"
#define ENCODED_A "arn%3Aaws%3Aiam%3A%3A012345678901%3Arole%2Fa"

static const char *const profile_a[] = {"AWS_PROFILE=a", "AWS_REGION=eu-west-1", NULL};
static const char *const profile_a_with_keys[] = {"AWS_PROFILE=a", "AWS_REGION=eu-west-1",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/creds", NULL};

static const char *const signed_by_src[] = {
    "Authorization: *Credential=SRC/20261121/eu-west-1/sts*",
    "Content-Type: application/x-www-form-urlencoded; charset=utf-8", "!X-Amz-Target",
    "!X-Amz-Security-Token", NULL};
static const char *const signed_by_b[] = {
    "Authorization: *Credential=ROLEB/20261121/*", "X-Amz-Security-Token: token-ROLEB", NULL};
static const char *const signed_by_container[] = {
    "Authorization: *Credential=TASK/20261121/*", NULL};

static void
assumes_with_a_source_profile(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = STS,
            .headers = signed_by_src,
            .body = "Action=AssumeRole&Version=2011-06-15&RoleArn=" ENCODED_A
                    "&RoleSessionName=me%40work&ExternalId=a%20b%26c&DurationSeconds=1800",
            .reply = AWS_STS_ANSWER("AssumeRole", "ROLEA", "2026-11-21T08:48:00Z")},
    };
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    const struct aws_credentials *found = NULL;
    aws_fixture_file(aws, ".aws/config",
        "[profile a]\nrole_arn = " ROLE_A "\nsource_profile = src\nrole_session_name = me@work\n"
        "external_id = a b&c\nduration_seconds = 1800\n");
    aws_fixture_file(aws, ".aws/credentials",
        "[src]\naws_access_key_id = SRC\naws_secret_access_key = secret-src\n");
    aws_fixture_start(aws, profile_a, steps, 1, NULL);
    assert_success(aws_credentials_get(aws->session, &found));
    assert_string_equal(found->provider, "assume-role");
    assert_string_equal(found->access_key, "ROLEA");
    assert_string_equal(secret_expose(found->secret_key).ptr, "secret-ROLEA");
    assert_string_equal(secret_expose(found->session_token).ptr, "token-ROLEA");
    assert_string_equal(found->account, "012345678901");
    assert_int_equal(found->expires_ms, FAKE_WALL_START + 3600 * 1000);
    aws_fixture_finish(aws);
}

static void
assumes_through_a_chain(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = STS,
            .headers = signed_by_src,
            .body_pattern = "*role%2Fb*",
            .reply = AWS_STS_ANSWER("AssumeRole", "ROLEB", "2026-11-21T08:48:00Z")},
        {.method = HTTP_POST,
            .url = STS,
            .headers = signed_by_b,
            .body_pattern = "*role%2Fa*",
            .reply = AWS_STS_ANSWER("AssumeRole", "ROLEA", "2026-11-21T08:48:00Z")},
    };
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    const struct aws_credentials *found = NULL;
    aws_fixture_file(aws, ".aws/config",
        "[profile a]\nrole_arn = " ROLE_A "\nsource_profile = b\n"
        "[profile b]\nrole_arn = arn:aws:iam::012345678901:role/b\nsource_profile = src\n"
        "[profile src]\naws_access_key_id = SRC\naws_secret_access_key = secret-src\n");
    aws_fixture_start(aws, profile_a, steps, 2, NULL);
    assert_success(aws_credentials_get(aws->session, &found));
    assert_string_equal(found->access_key, "ROLEA");
    aws_fixture_finish(aws);
}

static void
may_hold_its_own_keys(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = STS,
            .headers = signed_by_src,
            .reply = AWS_STS_ANSWER("AssumeRole", "ROLEA", "2026-11-21T08:48:00Z")},
    };
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    const struct aws_credentials *found = NULL;
    aws_fixture_file(aws, ".aws/config",
        "[profile a]\nrole_arn = " ROLE_A "\nsource_profile = a\n"
        "aws_access_key_id = SRC\naws_secret_access_key = secret-src\n");
    aws_fixture_start(aws, profile_a, steps, 1, NULL);
    assert_success(aws_credentials_get(aws->session, &found));
    assert_string_equal(found->access_key, "ROLEA");
    aws_fixture_finish(aws);
}

static void
assumes_with_a_credential_source(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_GET,
            .url = "http://169.254.170.2/v2/creds",
            .reply = AWS_KEYS_ANSWER("TASK", "2026-11-21T13:48:00Z")},
        {.method = HTTP_POST,
            .url = STS,
            .headers = signed_by_container,
            .reply = AWS_STS_ANSWER("AssumeRole", "ROLEA", "2026-11-21T08:48:00Z")},
    };
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    const struct aws_credentials *found = NULL;
    aws_fixture_file(aws, ".aws/config",
        "[profile a]\nrole_arn = " ROLE_A "\ncredential_source = EcsContainer\n");
    aws_fixture_start(aws, profile_a_with_keys, steps, 2, NULL);
    assert_success(aws_credentials_get(aws->session, &found));
    assert_string_equal(found->access_key, "ROLEA");
    aws_fixture_finish(aws);
}

static void
refuses_broken_profiles(void **state)
{
    (void)state;
    static const char correct[] = "Correct the profile in the AWS config file.";
    static const struct {
        const char *config, *message, *hint;
    } rows[] = {
        {"[profile a]\nrole_arn = " ROLE_A "\n",
            "profile 'a': neither source_profile nor credential_source with role_arn '" ROLE_A "'",
            correct},
        {"[profile a]\nrole_arn = " ROLE_A
         "\nsource_profile = b\ncredential_source = Environment\n",
            "profile 'a': both source_profile and credential_source with role_arn '" ROLE_A "'",
            correct},
        {"[profile a]\nrole_arn = " ROLE_A "\nsource_profile = gone\n",
            "profile 'a': there is no source_profile 'gone'", correct},
        {"[profile a]\nrole_arn = " ROLE_A "\nsource_profile = a\n",
            "profile 'a': source_profile leads in a circle to 'a'", correct},
        {"[profile a]\nrole_arn = " ROLE_A "\nsource_profile = b\n"
         "[profile b]\nrole_arn = " ROLE_A "\nsource_profile = a\n",
            "source_profile 'b': profile 'b': source_profile leads in a circle to 'a'", correct},
        {"[profile a]\nrole_arn = " ROLE_A "\nsource_profile = b\n[profile b]\noutput = x\n",
            "profile 'a': no credentials in source_profile 'b'", correct},
        {"[profile a]\nrole_arn = " ROLE_A "\ncredential_source = Laptop\n",
            "profile 'a': unknown credential_source 'Laptop'", correct},
        {"[profile a]\nrole_arn = " ROLE_A "\ncredential_source = Environment\n",
            "profile 'a': credential_source 'Environment': AWS_ACCESS_KEY_ID is not set", NULL},
        {"[profile a]\nrole_arn = " ROLE_A "\nsource_profile = b\nmfa_serial = arn:mfa\n",
            "profile 'a' asks for an MFA code",
            "Get the credentials first: eval \"$(aws configure export-credentials --profile a "
            "--format env)\"."},
        {"[profile a]\nrole_arn = role/a\nsource_profile = b\n"
         "[profile b]\naws_access_key_id = SRC\naws_secret_access_key = secret-src\n",
            "'role/a' is not the ARN of a role",
            "It reads like 'arn:aws:iam::012345678901:role/name'."},
        {"[profile a]\nrole_arn = " ROLE_A "\nsource_profile = b\nrole_session_name = a b\n"
         "[profile b]\naws_access_key_id = SRC\naws_secret_access_key = secret-src\n",
            "'a b' is not a role session name", "It has 2 to 64 letters, digits or '_+=,.@-'."},
        {"[profile a]\nrole_arn = " ROLE_A "\nsource_profile = b\nduration_seconds = 60\n"
         "[profile b]\naws_access_key_id = SRC\naws_secret_access_key = secret-src\n",
            "'60' is not a duration of a role session",
            "'duration_seconds' is a number from 900 to 43200."},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        const struct aws_credentials *found = NULL;
        char *text CLEANUP(xfreep) =
            xasprintf("AWS credentials from 'assume-role': %s", rows[i].message);
        aws_fixture_file(aws, ".aws/config", rows[i].config);
        aws_fixture_start(aws, profile_a, NULL, 0, NULL);
        assert_failure(
            aws_credentials_get(aws->session, &found), ERROR_CREDENTIALS, text, rows[i].hint);
    }
}

static void
ends_a_long_chain(void **state)
{
    (void)state;
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    struct buf config CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    const struct aws_credentials *found = NULL;
    buf_puts(&config, "[profile a]\nrole_arn = " ROLE_A "\nsource_profile = p0\n");
    for (int i = 0; i < 50; i++) {
        buf_printf(
            &config, "[profile p%d]\nrole_arn = " ROLE_A "\nsource_profile = p%d\n", i, i + 1);
    }
    aws_fixture_file(aws, ".aws/config", buf_cstr(&config));
    aws_fixture_start(aws, profile_a, NULL, 0, NULL);
    struct error *err = aws_credentials_get(aws->session, &found);
    assert_non_null(err);
    char *text CLEANUP(xfreep) = error_text(err);
    assert_non_null(strstr(text, "too many source profiles before 'p8'"));
    error_free(err);
}

static void
a_profile_that_is_named_must_exist(void **state)
{
    (void)state;
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    const struct aws_credentials *found = NULL;
    char *hint CLEANUP(xfreep) = NULL;
    aws_fixture_start(aws, profile_a, NULL, 0, NULL);
    hint = xasprintf("Correct AWS_PROFILE, or add the profile to '%s/.aws/config'.", aws->home);
    assert_failure(aws_credentials_get(aws->session, &found), ERROR_CREDENTIALS,
        "AWS credentials from 'assume-role': there is no AWS profile 'a'", hint);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(assumes_with_a_source_profile),
        cmocka_unit_test(assumes_through_a_chain),
        cmocka_unit_test(may_hold_its_own_keys),
        cmocka_unit_test(assumes_with_a_credential_source),
        cmocka_unit_test(refuses_broken_profiles),
        cmocka_unit_test(ends_a_long_chain),
        cmocka_unit_test(a_profile_that_is_named_must_exist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
