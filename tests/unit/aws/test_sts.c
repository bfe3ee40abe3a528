// Who am I: the form, the answer, and answers that cannot be used. Roles are in test_role.c and
// test_web_identity.c.
#include "dispatcher/sts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/memory.h"

#define STS "https://sts.cn-north-1.amazonaws.com.cn"
#define ANSWER(inner)                                                                              \
    "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"              \
    "<GetCallerIdentityResult>" inner "</GetCallerIdentityResult>"                                 \
    "<ResponseMetadata><RequestId>x</RequestId></ResponseMetadata></GetCallerIdentityResponse>"

static const char *const keys[] = {
    "AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=secret-env", "AWS_REGION=cn-north-1", NULL};
static const char *const is_signed[] = {
    "Authorization: *AKID/20261121/cn-north-1/sts/aws4_request*",
    "Content-Type: application/x-www-form-urlencoded; charset=utf-8", NULL};

static void
knows_who_it_is(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.method = HTTP_POST,
        .url = STS,
        .headers = is_signed,
        .body = "Action=GetCallerIdentity&Version=2011-06-15",
        .reply = ANSWER("<Arn>arn:aws-cn:sts::012345678901:assumed-role/r/s</Arn>"
                        "<UserId>AROA:s</UserId><Account>012345678901</Account>")}};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct sts_identity identity = {0};
    aws_fixture_start(aws, keys, steps, 1, NULL);
    assert_success(sts_caller_identity(aws->session, arena, &identity));
    assert_string_equal(identity.account, "012345678901");
    assert_string_equal(identity.arn, "arn:aws-cn:sts::012345678901:assumed-role/r/s");
    assert_string_equal(identity.user_id, "AROA:s");
    aws_fixture_finish(aws);
}

static void
unusable_answers(void **state)
{
    (void)state;
    static const struct {
        const char *reply, *error;
    } rows[] = {
        {ANSWER("<Arn>a</Arn><UserId>u</UserId>"),
            "unusable answer: no 'GetCallerIdentityResponse/GetCallerIdentityResult/Account' in "
            "it"},
        {"{}", "unusable answer: XML: text outside the document"},
        {"", "unusable answer: no 'GetCallerIdentityResponse/GetCallerIdentityResult/Account' in "
             "it"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct script_step steps[] = {
            {.method = HTTP_POST, .url = STS, .reply = rows[i].reply}};
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct sts_identity identity = {0};
        char *text CLEANUP(xfreep) = xasprintf("sts GetCallerIdentity: %s", rows[i].error);
        aws_fixture_start(aws, keys, steps, 1, NULL);
        assert_failure(
            sts_caller_identity(aws->session, arena, &identity), ERROR_UNAVAILABLE, text, NULL);
        assert_null(identity.account);
    }
}

static void
narrows_a_role(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.method = HTTP_POST,
        .url = STS,
        .headers = is_signed,
        .body = "Action=AssumeRole&Version=2011-06-15"
                "&RoleArn=arn%3Aaws-cn%3Aiam%3A%3A012345678901%3Arole%2Fpush"
                "&RoleSessionName=dispatcher-shop-production&DurationSeconds=900"
                "&Policy=%7B%22Version%22%3A%222012-10-17%22%7D",
        .reply = AWS_STS_ANSWER("AssumeRole", "PUSH", "2026-11-21T08:03:00Z")}};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    struct aws_credentials found CLEANUP(aws_credentials_done) = {0};
    const struct sts_narrowed narrowed = {
        .role = "arn:aws-cn:iam::012345678901:role/push",
        .session_name = "dispatcher-shop-production",
        .policy = "{\"Version\":\"2012-10-17\"}",
        .seconds = 900,
    };
    aws_fixture_start(aws, keys, steps, 1, NULL);
    assert_success(sts_narrowed_credentials(aws->session, &narrowed, &found));
    assert_string_equal(found.access_key, "PUSH");
    assert_string_equal(secret_expose(found.session_token).ptr, "token-PUSH");
    assert_int_equal(found.expires_ms, FAKE_WALL_START + 900 * 1000);
    aws_fixture_finish(aws);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_who_it_is),
        cmocka_unit_test(unusable_answers),
        cmocka_unit_test(narrows_a_role),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
