// ECR's control API: which hosts are registries, the login token, what is there and what is not.
#include "dispatcher/ecr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/memory.h"

#define URL "https://api.ecr.eu-west-1.amazonaws.com"
#define TARGET "X-Amz-Target: AmazonEC2ContainerRegistry_V20150921."

static const char *const keys[] = {
    "AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=secret-env", "AWS_REGION=eu-west-1", NULL};

static void
knows_registry_hosts(void **state)
{
    (void)state;
    static const struct {
        const char *host, *region; // NULL: not one
    } rows[] = {
        {"012345678901.dkr.ecr.us-east-1.amazonaws.com", "us-east-1"},
        {"012345678901.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"},
        {"012345678901.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1"},
        {"012345678901.dkr.ecr.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"},
        {"012345678901.dkr-ecr.eu-west-1.on.aws", "eu-west-1"},
        {"012345678901.dkr-ecr-fips.us-east-1.on.aws", "us-east-1"},
        {"012345678901.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "cn-north-1"},
        {"012345678901.dkr.ecr.us-iso-east-1.c2s.ic.gov", "us-iso-east-1"},
        {"012345678901.dkr.ecr.us-east-1.amazonaws.com:443", NULL},
        {"012345678901.dkr.ecr.us-east-1.amazonaws.com.evil.example", NULL},
        {"012345678901.dkr.ecr.us-east-1.evil.amazonaws.com", NULL},
        {"12345.dkr.ecr.us-east-1.amazonaws.com", NULL},
        {"x12345678901.dkr.ecr.us-east-1.amazonaws.com", NULL},
        {"012345678901.dkr.ecr..amazonaws.com", NULL},
        {"012345678901.dkr.ecr.US-EAST-1.amazonaws.com", NULL},
        {"public.ecr.aws", NULL},
        {"localhost:5000", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        const char *account = NULL, *region = NULL;
        assert_int_equal(
            ecr_host_parse(rows[i].host, arena, &account, &region), rows[i].region != NULL);
        assert_int_equal(ecr_host_parse(rows[i].host, arena, NULL, NULL), rows[i].region != NULL);
        if (rows[i].region == NULL) {
            assert_null(account);
            assert_null(region);
        } else {
            assert_string_equal(account, "012345678901");
            assert_string_equal(region, rows[i].region);
        }
    }
}

static const char *const to_token[] = {TARGET "GetAuthorizationToken",
    "Authorization: *AKID/20261121/us-east-1/ecr/aws4_request*", NULL};

static void
logs_in_where_the_registry_is(void **state)
{
    (void)state;
    // "AWS:pass:word"
    static const struct script_step steps[] = {{.method = HTTP_POST,
        .url = "https://api.ecr.us-east-1.amazonaws.com",
        .headers = to_token,
        .body = "{}",
        .reply = "{\"authorizationData\":[{\"authorizationToken\":\"QVdTOnBhc3M6d29yZA==\","
                 "\"expiresAt\":1795290480.5,\"proxyEndpoint\":\"https://x\"}]}"}};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    struct ecr_login login CLEANUP(ecr_login_done) = {0};
    aws_fixture_start(aws, keys, steps, 1, NULL);
    assert_success(ecr_login(aws->session, "012345678901.dkr.ecr.us-east-1.amazonaws.com", &login));
    assert_string_equal(login.user, "AWS");
    assert_string_equal(secret_expose(login.password).ptr, "pass:word");
    assert_int_equal(login.expires_ms, FAKE_WALL_START + 12 * 3600 * 1000 + 500);
    aws_fixture_finish(aws);
}

static void
refuses_odd_tokens(void **state)
{
    (void)state;
    static const struct {
        const char *reply, *error;
    } rows[] = {
        {"{}", "unusable answer: no 'authorizationToken'"},
        {"{\"authorizationData\":[]}", "unusable answer: no 'authorizationToken'"},
        {"{\"authorizationData\":[{\"authorizationToken\":\"QVdT\"}]}",
            "unusable answer: 'authorizationToken' is not a user and a password"},
        {"{\"authorizationData\":[{\"authorizationToken\":\"QVdTOg==\"}]}",
            "unusable answer: 'authorizationToken' is not a user and a password"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct script_step steps[] = {
            {.method = HTTP_POST, .url = URL, .reply = rows[i].reply}};
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        struct ecr_login login = {0};
        char *text CLEANUP(xfreep) = xasprintf("log in to 'localhost:1': %s", rows[i].error);
        aws_fixture_start(aws, keys, steps, 1, NULL);
        assert_failure(
            ecr_login(aws->session, "localhost:1", &login), ERROR_UNAVAILABLE, text, NULL);
        assert_null(login.user);
    }
}

static const struct ecr_repository app_web = {.account = "012345678901", .name = "app-web"};
static const char *const to_describe[] = {TARGET "DescribeImages", NULL};

static void
finds_a_digest_or_not(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *reply, *digest;
        bool repository;
    } rows[] = {
        {200,
            "{\"imageDetails\":[{\"imageDigest\":\"sha256:abc\",\"imageTags\":[\"v1\"],"
            "\"imageStatus\":\"ACTIVE\"}]}",
            "sha256:abc", true},
        {200, "{\"imageDetails\":[{\"imageDigest\":\"sha256:abc\"}]}", "sha256:abc", true},
        {400, "{\"__type\":\"ImageNotFoundException\"}", NULL, true},
        {400, "{\"__type\":\"RepositoryNotFoundException\"}", NULL, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct script_step steps[] = {{.method = HTTP_POST,
            .url = URL,
            .headers = to_describe,
            .body = "{\"registryId\":\"012345678901\",\"repositoryName\":\"app-web\","
                    "\"imageIds\":[{\"imageTag\":\"v1\"}]}",
            .status = rows[i].status,
            .reply = rows[i].reply}};
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        const char *digest = "untouched";
        bool repository = !rows[i].repository;
        aws_fixture_start(aws, keys, steps, 1, NULL);
        assert_success(ecr_image_digest(aws->session, &app_web, "v1", arena, &digest, &repository));
        assert_int_equal(repository, rows[i].repository);
        if (rows[i].digest == NULL) {
            assert_null(digest);
        } else {
            assert_string_equal(digest, rows[i].digest);
        }
        aws_fixture_finish(aws);
    }
}

static void
an_image_may_be_of_no_use(void **state)
{
    (void)state;
    static const struct {
        const char *reply, *error, *hint;
        enum error_kind kind;
    } rows[] = {
        {"{\"imageDetails\":[{\"imageDigest\":\"sha256:abc\",\"imageStatus\":\"ARCHIVED\"}]}",
            "the image is ARCHIVED and cannot be pulled",
            "Restore it with 'aws ecr update-image-storage-class', or deploy another version.",
            ERROR_REFUSED},
        {"{\"imageDetails\":[]}", "unusable answer: no 'imageDigest'", NULL, ERROR_UNAVAILABLE},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct script_step steps[] = {
            {.method = HTTP_POST, .url = URL, .reply = rows[i].reply}};
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        const char *digest = "untouched";
        char *text CLEANUP(xfreep) = xasprintf("look up image 'app-web:v1': %s", rows[i].error);
        aws_fixture_start(aws, keys, steps, 1, NULL);
        assert_failure(ecr_image_digest(aws->session, &app_web, "v1", arena, &digest, NULL),
            rows[i].kind, text, rows[i].hint);
        assert_string_equal(digest, "untouched");
    }
}

// In the registry's own region, whatever the session's is.
static void
looks_where_the_repository_is(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = "https://api.ecr.us-east-1.amazonaws.com",
            .body = "{\"repositoryName\":\"app-web\",\"imageIds\":[{\"imageTag\":\"v1\"}]}",
            .reply = "{\"imageDetails\":[{\"imageDigest\":\"sha256:abc\"}]}"},
        {.method = HTTP_POST,
            .url = "https://api.ecr.us-east-1.amazonaws.com",
            .body = "{\"repositoryName\":\"app-web\"}",
            .reply = "{}"},
    };
    static const struct ecr_repository there = {.region = "us-east-1", .name = "app-web"};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const char *digest = NULL;
    aws_fixture_start(aws, keys, steps, 2, NULL);
    assert_success(ecr_image_digest(aws->session, &there, "v1", arena, &digest, NULL));
    assert_string_equal(digest, "sha256:abc");
    assert_success(ecr_create_repository(aws->session, &there, &(struct ecr_create_options){0}));
    aws_fixture_finish(aws);
}

static const char *const to_create[] = {TARGET "CreateRepository", NULL};

static void
creates_a_repository_once(void **state)
{
    (void)state;
    static const struct ecr_repository bad = {.name = "BAD"};
    const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = URL,
            .headers = to_create,
            .body = "{\"registryId\":\"012345678901\",\"repositoryName\":\"app-web\"}",
            .failure = "reset",
            .request_left = true},
        {.method = HTTP_POST,
            .url = URL,
            .headers = to_create,
            .status = 400,
            .reply = "{\"__type\":\"RepositoryAlreadyExistsException\"}"},
        {.method = HTTP_POST,
            .url = URL,
            .headers = to_create,
            .status = 400,
            .reply = "{\"__type\":\"InvalidParameterException\",\"message\":\"bad name\"}"},
    };
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    const struct ecr_create_options plain = {0};
    aws_fixture_start(aws, keys, steps, 3, NULL);
    assert_success(ecr_create_repository(aws->session, &app_web, &plain));
    assert_failure(ecr_create_repository(aws->session, &bad, &plain), ERROR_REFUSED,
        "create repository 'BAD': ecr CreateRepository: InvalidParameterException: bad name (HTTP "
        "400)",
        NULL);
    aws_fixture_finish(aws);
}

static void
creates_a_repository_that_scans(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.method = HTTP_POST,
        .url = URL,
        .headers = to_create,
        .body = "{\"registryId\":\"012345678901\",\"repositoryName\":\"app-web\","
                "\"imageScanningConfiguration\":{\"scanOnPush\":true}}",
        .reply = "{\"repository\":{}}"}};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    const struct ecr_create_options options = {.scan_on_push = true};
    aws_fixture_start(aws, keys, steps, 1, NULL);
    assert_success(ecr_create_repository(aws->session, &app_web, &options));
    aws_fixture_finish(aws);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_registry_hosts),
        cmocka_unit_test(logs_in_where_the_registry_is),
        cmocka_unit_test(refuses_odd_tokens),
        cmocka_unit_test(finds_a_digest_or_not),
        cmocka_unit_test(an_image_may_be_of_no_use),
        cmocka_unit_test(looks_where_the_repository_is),
        cmocka_unit_test(creates_a_repository_once),
        cmocka_unit_test(creates_a_repository_that_scans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
