// The instance metadata service: version 2 first, version 1 by its rules, and never a long wait.
#include "aws_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/memory.h"

#define BASE "http://169.254.169.254/latest/"
#define ROLES BASE "meta-data/iam/security-credentials/"
#define ANSWER AWS_KEYS_ANSWER("INSTANCE", "2026-11-21T13:48:00Z")

static const char *const asks_token[] = {
    "x-aws-ec2-metadata-token-ttl-seconds: 21600", "!Authorization", NULL};
static const char *const shows_token[] = {"x-aws-ec2-metadata-token: TOK", NULL};
static const char *const no_token[] = {"!x-aws-ec2-metadata-token", NULL};

static void
uses_version_2(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_PUT, .url = BASE "api/token", .headers = asks_token, .reply = "TOK"},
        {.method = HTTP_GET, .url = ROLES, .headers = shows_token, .reply = "my-role\nother\n"},
        {.method = HTTP_GET, .url = ROLES "my-role", .headers = shows_token, .reply = ANSWER},
    };
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    const struct aws_credentials *found = NULL;
    aws_fixture_start(aws, NULL, steps, 3, NULL);
    assert_success(aws_credentials_get(aws->session, &found));
    assert_string_equal(found->provider, "instance");
    assert_string_equal(found->access_key, "INSTANCE");
    for (size_t i = 0; i < 3; i++) {
        const struct script_request *sent = script_transport_request(aws->script, i);
        assert_int_equal(sent->deadline_ms - sent->sent_mono_ms, 1000);
        assert_true(sent->allow_plain);
    }
    aws_fixture_finish(aws);
}

static void
falls_back_to_version_1(void **state)
{
    (void)state;
    static const struct script_step refusals[] = {
        {.method = HTTP_PUT, .url = BASE "api/token", .status = 403},
        {.method = HTTP_PUT, .url = BASE "api/token", .status = 404},
        {.method = HTTP_PUT, .url = BASE "api/token", .status = 405},
        {.method = HTTP_PUT, .url = BASE "api/token", .takes_ms = 1001}, // hop limit 1
    };
    for (size_t i = 0; i < ARRAY_LENGTH(refusals); i++) {
        const struct script_step steps[] = {
            refusals[i],
            {.method = HTTP_GET, .url = ROLES, .headers = no_token, .reply = "r"},
            {.method = HTTP_GET, .url = ROLES "r", .headers = no_token, .reply = ANSWER},
        };
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        const struct aws_credentials *found = NULL;
        aws_fixture_start(aws, NULL, steps, 3, NULL);
        assert_success(aws_credentials_get(aws->session, &found));
        assert_string_equal(found->access_key, "INSTANCE");
        aws_fixture_finish(aws);
    }
}

struct absence {
    const char *const *env;
    struct script_step steps[3];
    size_t count;
    const char *why;
};

static const char *const off[] = {"AWS_EC2_METADATA_DISABLED=TRUE", NULL};
static const char *const no_version_1[] = {"AWS_EC2_METADATA_V1_DISABLED=true", NULL};

static void
is_absent_for_a_reason(void **state)
{
    (void)state;
    static const struct absence rows[] = {
        {off, {{0}}, 0, "AWS_EC2_METADATA_DISABLED is true"},
        {NULL, {{.method = HTTP_PUT, .url = BASE "api/token", .failure = "no route to host"}}, 1,
            "no instance metadata service answers"},
        {no_version_1, {{.method = HTTP_PUT, .url = BASE "api/token", .status = 404}}, 1,
            "the instance metadata service gave no session token, and version 1 is off"},
        {NULL, {{.method = HTTP_PUT, .url = BASE "api/token", .status = 500}}, 1,
            "the instance metadata service answered HTTP 500"},
        {NULL,
            {{.method = HTTP_PUT, .url = BASE "api/token", .reply = "TOK"},
                {.method = HTTP_GET, .url = ROLES, .status = 404}},
            2, "the instance metadata service has no 'iam/security-credentials/' (HTTP 404)"},
        {NULL,
            {{.method = HTTP_PUT, .url = BASE "api/token", .reply = "TOK"},
                {.method = HTTP_GET, .url = ROLES, .reply = "../../user-data"}},
            2, "the instance metadata service names no role"},
        {NULL,
            {{.method = HTTP_PUT, .url = BASE "api/token", .reply = "TOK"},
                {.method = HTTP_GET, .url = ROLES, .takes_ms = 1001}},
            2, "no instance metadata service answers"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        struct buf why CLEANUP(buf_done) = BUF_INIT(4096);
        struct aws_credentials found = {0};
        aws_fixture_start(aws, rows[i].env, rows[i].steps, rows[i].count, NULL);
        const struct aws_load load = {.session = aws->session, .profile = "default", .why = &why};
        assert_success(aws_load_instance(&load, &found));
        assert_null(found.access_key);
        assert_string_equal(buf_cstr(&why), rows[i].why);
        assert_int_equal(aws->fake->sleep_count, 0);
        aws_fixture_finish(aws);
    }
}

static void
is_found_elsewhere(void **state)
{
    (void)state;
    static const struct {
        const char *env[3], *url;
    } rows[] = {
        {{"AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:1338/"},
            "http://127.0.0.1:1338/latest/api/token"},
        {{"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=ipv6"},
            "http://[fd00:ec2::254]/latest/api/token"},
        {{"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=IPv4"}, BASE "api/token"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct script_step steps[] = {
            {.method = HTTP_PUT, .url = rows[i].url, .failure = "connection refused"}};
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        struct buf why CLEANUP(buf_done) = BUF_INIT(4096);
        char *out = NULL;
        aws_fixture_start(aws, rows[i].env, steps, 1, NULL);
        assert_success(aws_instance_metadata(aws->session, "placement/region", &why, &out));
        assert_null(out);
        aws_fixture_finish(aws);
    }
}

static void
says_when_the_role_is_broken(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_PUT, .url = BASE "api/token", .reply = "TOK"},
        {.method = HTTP_GET, .url = ROLES, .reply = "r"},
        {.method = HTTP_GET,
            .url = ROLES "r",
            .reply =
                "{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"EC2 cannot assume\"}"},
    };
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    const struct aws_credentials *found = NULL;
    aws_fixture_start(aws, NULL, steps, 3, NULL);
    assert_failure(aws_credentials_get(aws->session, &found), ERROR_CREDENTIALS,
        "AWS credentials from 'instance': the instance metadata service gave no usable "
        "credentials: "
        "'AccessKeyId' or 'SecretAccessKey' is missing",
        NULL);
}

// An instance hands out old keys while its metadata service is troubled; the service decides.
static void
expired_keys_of_an_instance_are_tried(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_PUT, .url = BASE "api/token", .reply = "TOK"},
        {.method = HTTP_GET, .url = ROLES, .reply = "r"},
        {.method = HTTP_GET,
            .url = ROLES "r",
            .reply = AWS_KEYS_ANSWER("OLD", "2026-11-21T07:00:00Z")},
    };
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    const struct aws_credentials *found = NULL;
    aws_fixture_start(aws, NULL, steps, 3, NULL);
    assert_success(aws_credentials_get(aws->session, &found));
    assert_string_equal(found->access_key, "OLD");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uses_version_2),
        cmocka_unit_test(falls_back_to_version_1),
        cmocka_unit_test(is_absent_for_a_reason),
        cmocka_unit_test(is_found_elsewhere),
        cmocka_unit_test(says_when_the_role_is_broken),
        cmocka_unit_test(expired_keys_of_an_instance_are_tried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
