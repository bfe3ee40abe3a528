// A signed GetCallerIdentity for Vault, byte for byte; the signatures are botocore 1.43.11's.
#include "dispatcher/identity_proof.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"

#define FORM                                                                                       \
    "{\"Content-Type\":[\"application/x-www-form-urlencoded; charset=utf-8\"],"                    \
    "\"Content-Length\":[\"43\"],"
#define SCOPE(region)                                                                              \
    "\"Authorization\":[\"AWS4-HMAC-SHA256 Credential=AKID/20261121/" region "/sts/aws4_request, "
#define SIGNED "SignedHeaders=content-length;content-type;host;x-amz-date"

static const char *const lasting[] = {
    "AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=secret-env", "AWS_REGION=eu-west-1", NULL};
// An endpoint of ours is none of the receiver's.
static const char *const passing[] = {"AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=secret-env",
    "AWS_SESSION_TOKEN=token-env", "AWS_REGION=eu-west-1", "AWS_ENDPOINT_URL=http://127.0.0.1:4566",
    NULL};

static void
signs_what_vault_will_send(void **state)
{
    (void)state;
    static const struct {
        const char *const *env;
        const char *server_id, *region, *url, *headers;
    } rows[] = {
        {lasting, "vault.example.org", NULL, "https://sts.amazonaws.com/",
            FORM "\"Host\":[\"sts.amazonaws.com\"],"
                 "\"X-Vault-AWS-IAM-Server-ID\":[\"vault.example.org\"],"
                 "\"X-Amz-Date\":[\"20261121T074800Z\"]," SCOPE("us-east-1") SIGNED
            ";x-vault-aws-iam-server-id, "
            "Signature=60014d2083f7fd13fe2f64236b1ef08c907f70797ab7c3ea05c71944e8238ef8\"]}"},
        {passing, "vault.example.org", NULL, "https://sts.amazonaws.com/",
            FORM "\"Host\":[\"sts.amazonaws.com\"],"
                 "\"X-Vault-AWS-IAM-Server-ID\":[\"vault.example.org\"],"
                 "\"X-Amz-Date\":[\"20261121T074800Z\"],"
                 "\"X-Amz-Security-Token\":[\"token-env\"]," SCOPE("us-east-1") SIGNED
            ";x-amz-security-token;x-vault-aws-iam-server-id, "
            "Signature=674ae7d2898a65a6e02ae0ecc29ca207aed2d54ce11918f55921ca261ac14cef\"]}"},
        {passing, NULL, "eu-west-1", "https://sts.eu-west-1.amazonaws.com/",
            FORM "\"Host\":[\"sts.eu-west-1.amazonaws.com\"],"
                 "\"X-Amz-Date\":[\"20261121T074800Z\"],"
                 "\"X-Amz-Security-Token\":[\"token-env\"]," SCOPE("eu-west-1") SIGNED
            ";x-amz-security-token, "
            "Signature=90b103a67f1c2a321cef3c4e003b34bbe9df76ede1d84b1ef3822e7e71ebe50b\"]}"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        struct aws_identity_proof proof CLEANUP(aws_identity_proof_done) = {0};
        aws_fixture_start(aws, rows[i].env, NULL, 0, NULL);
        assert_success(
            aws_sign_caller_identity(aws->session, rows[i].server_id, rows[i].region, &proof));
        assert_string_equal(proof.method, "POST");
        assert_string_equal(proof.url, rows[i].url);
        assert_string_equal(proof.body, "Action=GetCallerIdentity&Version=2011-06-15");
        assert_string_equal(secret_expose(proof.headers).ptr, rows[i].headers);
        aws_fixture_finish(aws); // nothing was sent
    }
}

static void
every_partition_has_its_own_place(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn/"},
        {"us-gov-west-1", "https://sts.us-gov-west-1.amazonaws.com/"},
        {"eusc-de-east-1", "https://sts.eusc-de-east-1.amazonaws.eu/"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        struct aws_identity_proof proof CLEANUP(aws_identity_proof_done) = {0};
        aws_fixture_start(aws, passing, NULL, 0, NULL);
        assert_success(aws_sign_caller_identity(aws->session, NULL, rows[i][0], &proof));
        assert_string_equal(proof.url, rows[i][1]);
    }
}

static void
refuses_what_would_break_out(void **state)
{
    (void)state;
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    struct aws_identity_proof proof = {0};
    aws_fixture_start(aws, lasting, NULL, 0, NULL);
    assert_failure(aws_sign_caller_identity(aws->session, "a\r\nb: c", NULL, &proof), ERROR_INPUT,
        "the server id of Vault's AWS login holds control characters", NULL);
    assert_failure(aws_sign_caller_identity(aws->session, NULL, "evil.example/", &proof),
        ERROR_INPUT, "'evil.example/' (from 'vault.sts_region') is not an AWS region",
        "A region reads like 'us-east-1'.");
    assert_null(proof.headers);
}

static void
needs_credentials(void **state)
{
    (void)state;
    static const char *const nothing[] = {"AWS_EC2_METADATA_DISABLED=true", NULL};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    struct aws_identity_proof proof = {0};
    aws_fixture_start(aws, nothing, NULL, 0, NULL);
    struct error *err CLEANUP(error_freep) =
        aws_sign_caller_identity(aws->session, NULL, NULL, &proof);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CREDENTIALS);
    assert_null(proof.url);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_what_vault_will_send),
        cmocka_unit_test(every_partition_has_its_own_place),
        cmocka_unit_test(refuses_what_would_break_out),
        cmocka_unit_test(needs_credentials),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
