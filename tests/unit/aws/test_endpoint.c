// Where services are: every answer of botocore's own rules (vectors), the overrides, the refusals.
#include "aws_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"

static char *
endpoint_with(const char *const *env, const char *service, const char *region)
{
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    char *url = NULL;
    aws_fixture_start(aws, env, NULL, 0, NULL);
    assert_success(aws_endpoint_in(aws->session, service, region, &url));
    return url;
}

static void
agrees_with_botocore(void **state)
{
    (void)state;
    struct buf text CLEANUP(buf_done) = BUF_INIT(256 * 1024);
    struct str line, rest;
    size_t rows = 0;
    assert_success(file_read(TEST_SOURCE_DIR "/vectors/aws/endpoints.tsv", &text, NULL));
    rest = buf_str(&text);
    while (str_cut(rest, '\n', &line, &rest)) {
        if (line.ptr[0] == '#') {
            continue;
        }
        struct str service, region, fips, dual, url;
        assert_true(str_cut(line, '\t', &service, &url) && str_cut(url, '\t', &region, &url) &&
                    str_cut(url, '\t', &fips, &url) && str_cut(url, '\t', &dual, &url));
        const char *env[3] = {0};
        size_t count = 0;
        if (str_equal(fips, STR("1"))) {
            env[count++] = "AWS_USE_FIPS_ENDPOINT=true";
        }
        if (str_equal(dual, STR("1"))) {
            env[count++] = "AWS_USE_DUALSTACK_ENDPOINT=True";
        }
        char *name CLEANUP(xfreep) = str_dup(service);
        char *place CLEANUP(xfreep) = str_dup(region);
        char *expected CLEANUP(xfreep) = str_dup(url);
        char *actual CLEANUP(xfreep) = endpoint_with(env, name, place);
        assert_string_equal(actual, expected);
        rows++;
    }
    assert_int_equal(rows, 9 * 20 * 4);
}

static const char config[] = "[default]\n"
                             "endpoint_url = http://127.0.0.1:1/\n"
                             "services = local\n"
                             "[profile plain]\n"
                             "endpoint_url = http://127.0.0.1:1/\n"
                             "[profile fips]\n"
                             "use_fips_endpoint = true\n"
                             "[profile ignoring]\n"
                             "endpoint_url = http://127.0.0.1:1/\n"
                             "ignore_configured_endpoint_urls = true\n"
                             "[services local]\n"
                             "ssm =\n"
                             "  endpoint_url = http://127.0.0.1:2\n";

static void
overrides_in_order(void **state)
{
    (void)state;
    static const struct {
        const char *env[4], *service, *url;
    } rows[] = {
        {{NULL}, "ssm", "http://127.0.0.1:2"},
        {{NULL}, "sts", "http://127.0.0.1:1"},
        {{"AWS_ENDPOINT_URL_CLOUDWATCH_LOGS=http://127.0.0.1:4"}, "logs", "http://127.0.0.1:4"},
        {{"AWS_ENDPOINT_URL_ECS=http://127.0.0.1:5"}, "ecs", "http://127.0.0.1:5"},
        {{"AWS_ENDPOINT_URL_IAM=http://127.0.0.1:7"}, "iam", "http://127.0.0.1:7"},
        {{"AWS_ENDPOINT_URL_APPRUNNER=http://127.0.0.1:6"}, "apprunner", "http://127.0.0.1:6"},
        {{"AWS_PROFILE=plain"}, "ssm", "http://127.0.0.1:1"},
        {{"AWS_ENDPOINT_URL=http://127.0.0.1:3//"}, "ssm", "http://127.0.0.1:3"},
        {{"AWS_ENDPOINT_URL=http://127.0.0.1:3", "AWS_ENDPOINT_URL_SSM=https://x.example/base/"},
            "ssm", "https://x.example/base"},
        {{"AWS_ENDPOINT_URL=http://127.0.0.1:3", "AWS_ENDPOINT_URL_SSM=https://x.example"}, "ecr",
            "http://127.0.0.1:3"},
        {{"AWS_ENDPOINT_URL=http://127.0.0.1:3", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true"}, "ssm",
            "https://ssm.us-east-1.amazonaws.com"},
        {{"AWS_PROFILE=ignoring"}, "ssm", "https://ssm.us-east-1.amazonaws.com"},
        {{"AWS_PROFILE=fips"}, "ssm", "https://ssm-fips.us-east-1.amazonaws.com"},
        {{"AWS_PROFILE=fips", "AWS_USE_FIPS_ENDPOINT=false"}, "ssm",
            "https://ssm.us-east-1.amazonaws.com"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        char *url CLEANUP(xfreep) = NULL;
        aws_fixture_file(aws, ".aws/config", config);
        aws_fixture_start(aws, rows[i].env, NULL, 0, &(struct aws_options){.region = "us-east-1"});
        assert_success(aws_endpoint(aws->session, rows[i].service, &url));
        assert_string_equal(url, rows[i].url);
    }
}

static void
refuses_contradictions(void **state)
{
    (void)state;
    static const struct {
        const char *env[4], *message, *hint;
    } rows[] = {
        {{"AWS_ENDPOINT_URL=https://x.example", "AWS_USE_FIPS_ENDPOINT=true"},
            "AWS_ENDPOINT_URL cannot be combined with FIPS endpoints",
            "Unset one of the two: the endpoint URL or AWS_USE_FIPS_ENDPOINT."},
        {{"AWS_ENDPOINT_URL_SSM=https://x.example", "AWS_USE_DUALSTACK_ENDPOINT=true"},
            "AWS_ENDPOINT_URL_<SERVICE> cannot be combined with dual-stack endpoints",
            "Unset one of the two: the endpoint URL or AWS_USE_DUALSTACK_ENDPOINT."},
        {{"AWS_ENDPOINT_URL=https://user:pw@x.example"},
            "AWS endpoint from AWS_ENDPOINT_URL: user information and a query have no place in it",
            NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        char *url = NULL;
        aws_fixture_start(aws, rows[i].env, NULL, 0, &(struct aws_options){.region = "us-east-1"});
        assert_failure(
            aws_endpoint(aws->session, "ssm", &url), ERROR_INPUT, rows[i].message, rows[i].hint);
        assert_null(url);
    }
}

static void
region_in_order(void **state)
{
    (void)state;
    static const struct {
        const char *env[4], *option, *region;
    } rows[] = {
        {{"AWS_REGION=b-1", "AWS_DEFAULT_REGION=c-1"}, "a-1", "a-1"},
        {{"AWS_REGION=b-1", "AWS_DEFAULT_REGION=c-1"}, NULL, "b-1"},
        {{"AWS_REGION=", "AWS_DEFAULT_REGION=c-1"}, "", "c-1"},
        {{NULL}, NULL, "d-1"},
        {{"AWS_PROFILE=shared"}, NULL, "e-1"},
        {{"AWS_DEFAULT_PROFILE=shared"}, NULL, "e-1"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        const char *region = NULL;
        aws_fixture_file(
            aws, ".aws/config", "[default]\nregion = d-1\n[profile shared]\nregion = f-1\n");
        aws_fixture_file(aws, ".aws/credentials", "[shared]\nregion = e-1\n");
        aws_fixture_start(
            aws, rows[i].env, NULL, 0, &(struct aws_options){.region = rows[i].option});
        assert_success(aws_region(aws->session, &region));
        assert_string_equal(region, rows[i].region);
    }
}

static void
region_may_be_missing_or_bad(void **state)
{
    (void)state;
    static const char hint[] =
        "Set 'aws.region' in dispatcher.yaml, or AWS_REGION, or 'region' in the AWS profile.";
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    const char *region = NULL;
    aws_fixture_start(aws, (const char *[]){"AWS_EC2_METADATA_DISABLED=true", NULL}, NULL, 0, NULL);
    for (int i = 0; i < 2; i++) {
        assert_failure(
            aws_region(aws->session, &region), ERROR_CREDENTIALS, "no AWS region found", hint);
    }
    struct aws_fixture *bad CLEANUP(aws_fixture_freep) = aws_fixture_new();
    aws_fixture_start(
        bad, (const char *[]){"AWS_REGION=us-east-1.evil.example#", NULL}, NULL, 0, NULL);
    assert_failure(aws_region(bad->session, &region), ERROR_INPUT,
        "'us-east-1.evil.example#' (from AWS_REGION) is not an AWS region",
        "A region reads like 'us-east-1'.");
}

static const char *const asks_for_token[] = {"x-aws-ec2-metadata-token-ttl-seconds: 21600", NULL};
static const char *const shows_token[] = {"x-aws-ec2-metadata-token: TOKEN==", NULL};

static void
region_of_the_instance(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_PUT,
            .url = "http://169.254.169.254/latest/api/token",
            .headers = asks_for_token,
            .reply = "TOKEN=="},
        {.method = HTTP_GET,
            .url = "http://169.254.169.254/latest/meta-data/placement/region",
            .headers = shows_token,
            .reply = "ap-south-1\n"},
    };
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    const char *region = NULL;
    aws_fixture_start(aws, NULL, steps, ARRAY_LENGTH(steps), NULL);
    for (int i = 0; i < 2; i++) {
        assert_success(aws_region(aws->session, &region));
        assert_string_equal(region, "ap-south-1");
    }
    aws_fixture_finish(aws);
}

static void
attempts_setting(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "AWS_MAX_ATTEMPTS=0", "AWS_MAX_ATTEMPTS=-1", "AWS_MAX_ATTEMPTS=many"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        char *text CLEANUP(xfreep) =
            xasprintf("'%s' is not a number of attempts", strchr(bad[i], '=') + 1);
        assert_failure(aws_fixture_try(aws, (const char *[]){bad[i], NULL}, NULL, 0, NULL),
            ERROR_INPUT, text, "Set AWS_MAX_ATTEMPTS to 1 or more, or leave it out.");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_botocore),
        cmocka_unit_test(overrides_in_order),
        cmocka_unit_test(refuses_contradictions),
        cmocka_unit_test(region_in_order),
        cmocka_unit_test(region_may_be_missing_or_bad),
        cmocka_unit_test(region_of_the_instance),
        cmocka_unit_test(attempts_setting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
