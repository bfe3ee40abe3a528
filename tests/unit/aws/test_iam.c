// One role: the form, where it goes and for which region it is signed, answers that cannot be used;
// and trust policies, friendly and not.
#include "dispatcher/iam.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/memory.h"

#define IAM "https://iam.amazonaws.com"
#define ECS_TASKS "ecs-tasks.amazonaws.com"
#define ANSWER(inner)                                                                              \
    "<GetRoleResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\n  <GetRoleResult>\n"   \
    "    <Role>" inner "</Role>\n  </GetRoleResult>\n  <ResponseMetadata><RequestId>x</RequestId>" \
    "</ResponseMetadata></GetRoleResponse>"
#define NAMES                                                                                      \
    "<Path>/service/</Path><Arn>arn:aws:iam::012345678901:role/service/pull</Arn>"                 \
    "<RoleName>pull</RoleName>"
#define POLICY(text) "<AssumeRolePolicyDocument>" text "</AssumeRolePolicyDocument>"
#define FAULT(code, message)                                                                       \
    "<ErrorResponse "                                                                              \
    "xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type>"               \
    "<Code>" code "</Code><Message>" message "</Message></Error><RequestId>r-2</RequestId>"        \
    "</ErrorResponse>"

static const char *const keys[] = {"AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=secret-env",
    "AWS_REGION=eu-central-1", "AWS_MAX_ATTEMPTS=1", NULL};
static const char *const is_signed[] = {"Authorization: *AKID/20261121/us-east-1/iam/aws4_request*",
    "Content-Type: application/x-www-form-urlencoded; charset=utf-8", NULL};

static void
reads_a_role(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.method = HTTP_POST,
        .url = IAM,
        .headers = is_signed,
        .body = "Action=GetRole&Version=2010-05-08&RoleName=pull",
        .reply =
            ANSWER(NAMES POLICY("\n  %7B%22Statement%22%3A%20%5B%5D%2C%22a%22%3A%22+%22%7d"))}};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct iam_role role = {0};
    aws_fixture_start(aws, keys, steps, 1, NULL);
    assert_success(
        iam_role_get(aws->session, "arn:aws:iam::012345678901:role/service/pull", arena, &role));
    assert_string_equal(role.arn, "arn:aws:iam::012345678901:role/service/pull");
    assert_string_equal(role.name, "pull");
    assert_string_equal(role.path, "/service/");
    assert_string_equal(role.trust_json, "{\"Statement\": [],\"a\":\"+\"}");
    aws_fixture_finish(aws);
}

// Each partition has its endpoint, and a region that it is signed for.
static void
is_signed_for_its_partition(void **state)
{
    (void)state;
    static const struct {
        const char *region, *url, *headers[2], *fips;
    } rows[] = {
        {"AWS_REGION=cn-northwest-1", "https://iam.cn-north-1.amazonaws.com.cn",
            {"Authorization: *AKID/20261121/cn-north-1/iam/aws4_request*"}, NULL},
        {"AWS_REGION=us-gov-east-1", "https://iam.us-gov.amazonaws.com",
            {"Authorization: *AKID/20261121/us-gov-west-1/iam/aws4_request*"}, NULL},
        {"AWS_REGION=eu-west-1", "https://iam-fips.amazonaws.com",
            {"Authorization: *AKID/20261121/us-east-1/iam/aws4_request*"},
            "AWS_USE_FIPS_ENDPOINT=true"},
        {"AWS_REGION=cn-north-1", "https://iam-fips.amazonaws.com.cn",
            {"Authorization: *AKID/20261121/cn-northwest-1/iam/aws4_request*"},
            "AWS_USE_FIPS_ENDPOINT=true"},
        {"AWS_REGION=eu-west-1", "http://127.0.0.1:9",
            {"Authorization: *AKID/20261121/us-east-1/iam/aws4_request*"},
            "AWS_ENDPOINT_URL_IAM=http://127.0.0.1:9"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const char *const env[] = {keys[0], keys[1], rows[i].region, rows[i].fips, NULL};
        const struct script_step steps[] = {{.method = HTTP_POST,
            .url = rows[i].url,
            .headers = rows[i].headers,
            .body = "Action=GetRole&Version=2010-05-08&RoleName=a%2Bb%3D%2C.%40-_",
            .reply = ANSWER(NAMES POLICY("%7B%7D"))}};
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct iam_role role = {0};
        aws_fixture_start(aws, env, steps, 1, NULL);
        assert_success(iam_role_get(aws->session, "a+b=,.@-_", arena, &role));
        assert_string_equal(role.trust_json, "{}");
        aws_fixture_finish(aws);
    }
}

static void
there_may_be_none(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.method = HTTP_POST,
        .url = IAM,
        .status = 404,
        .reply = FAULT("NoSuchEntity", "The role with name pull cannot be found.")}};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct iam_role role = {.arn = "left from before"};
    aws_fixture_start(aws, keys, steps, 1, NULL);
    assert_success(iam_role_get(aws->session, "pull", arena, &role));
    assert_null(role.arn);
    aws_fixture_finish(aws);
}

static void
a_missing_permission_is_named(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.method = HTTP_POST,
        .url = IAM,
        .status = 403,
        .reply = FAULT("AccessDenied",
            "User: arn:aws:iam::012345678901:user/ci is not authorized to perform: iam:GetRole on "
            "resource: role pull because no identity-based policy allows the iam:GetRole action")}};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct iam_role role = {0};
    aws_fixture_start(aws, keys, steps, 1, NULL);
    struct error *err = iam_role_get(aws->session, "pull", arena, &role);
    assert_true(aws_is_denied(err));
    assert_failure(err, ERROR_CREDENTIALS,
        "look for role 'pull': iam GetRole: AccessDenied: User: arn:aws:iam::012345678901:user/ci "
        "is not authorized to perform: iam:GetRole on resource: role pull because no "
        "identity-based policy allows the iam:GetRole action (HTTP 403, request r-2)",
        "Allow the action 'iam:GetRole' to the role in use; 'dispatcher doctor' shows which one "
        "that is.");
    aws_fixture_finish(aws);
}

static void
unusable_answers(void **state)
{
    (void)state;
    static const struct {
        const char *reply, *error;
    } rows[] = {
        {ANSWER(NAMES), "unusable answer: no "
                        "'GetRoleResponse/GetRoleResult/Role/AssumeRolePolicyDocument' in it"},
        {ANSWER(POLICY("%7B%7D")),
            "unusable answer: no 'GetRoleResponse/GetRoleResult/Role/Arn' in it"},
        {ANSWER(NAMES POLICY("%7")), "unusable answer: the trust policy is not percent-encoded"},
        {ANSWER(NAMES POLICY("%zz")), "unusable answer: the trust policy is not percent-encoded"},
        {ANSWER(NAMES POLICY("%00")), "unusable answer: the trust policy is not percent-encoded"},
        {ANSWER(NAMES POLICY("%5B%5D")), "unusable answer: the trust policy is not an object"},
        {"{}", "unusable answer: XML: text outside the document"},
        {"", "unusable answer: no 'GetRoleResponse/GetRoleResult/Role/Arn' in it"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct script_step steps[] = {
            {.method = HTTP_POST, .url = IAM, .reply = rows[i].reply}};
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct iam_role role = {0};
        char *text CLEANUP(xfreep) =
            xasprintf("look for role 'pull': iam GetRole: %s", rows[i].error);
        aws_fixture_start(aws, keys, steps, 1, NULL);
        assert_failure(
            iam_role_get(aws->session, "pull", arena, &role), ERROR_UNAVAILABLE, text, NULL);
        assert_null(role.arn);
    }
}

// Too deep for a policy, and not JSON at all: the words are the parser's.
static void
unusable_policies(void **state)
{
    (void)state;
    static const char *const policies[] = {"no", "%7B%22a%22",
        "%7B%22a%22:[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]%7D", "%7B%22a%22:1,%22a%22:2%7D",
        "%7B%7D%7B%7D", "%7B%22a%22:%22%ff%22%7D"};
    for (size_t i = 0; i < ARRAY_LENGTH(policies); i++) {
        char *reply CLEANUP(xfreep) = xasprintf(ANSWER(NAMES POLICY("%s")), policies[i]);
        const struct script_step steps[] = {{.method = HTTP_POST, .url = IAM, .reply = reply}};
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct iam_role role = {0};
        aws_fixture_start(aws, keys, steps, 1, NULL);
        struct error *err = iam_role_get(aws->session, "pull", arena, &role);
        char *text CLEANUP(xfreep) = err != NULL ? error_text(err) : xstrdup("no error");
        assert_ptr_equal(strstr(text, "look for role 'pull': iam GetRole: trust policy: "), text);
        assert_int_equal(error_kind(err), ERROR_UNAVAILABLE);
        error_free(err);
        assert_null(role.trust_json);
    }
}

static void
names_are_checked_before(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "a b", "a/b", "arn:aws:iam::012345678901:user/x",
        "arn:aws:iam::012345678901:role/", "arn:aws:iam::012345678901:role/x&Action=DeleteRole",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct iam_role role = {0};
        char *text CLEANUP(xfreep) =
            xasprintf("'%s' is neither the name nor the ARN of a role", bad[i]);
        aws_fixture_start(aws, keys, NULL, 0, NULL);
        assert_failure(iam_role_get(aws->session, bad[i], arena, &role), ERROR_SPEC, text,
            "An ARN reads like 'arn:aws:iam::012345678901:role/name'.");
    }
}

// --- trust -------------------------------------------------------------------------------------

#define TRUST(statements) "{\"Version\":\"2012-10-17\",\"Statement\":" statements "}"
#define ALLOW(principal, action)                                                                   \
    "{\"Effect\":\"Allow\",\"Principal\":" principal ",\"Action\":" action "}"
#define DENY(principal, action)                                                                    \
    "{\"Effect\":\"Deny\",\"Principal\":" principal ",\"Action\":" action "}"
#define TASKS "{\"Service\":\"" ECS_TASKS "\"}"
#define ASSUME "\"sts:AssumeRole\""
#define ONLY_IF ",\"Condition\":{\"StringEquals\":{\"aws:SourceAccount\":\"012345678901\"}}}"

static const struct {
    const char *trust;
    enum iam_trust expected;
} trusts[] = {
    {TRUST("[" ALLOW(TASKS, ASSUME) "]"), IAM_TRUST_YES},
    {TRUST(ALLOW(TASKS, ASSUME)), IAM_TRUST_YES},
    {TRUST("[" ALLOW("{\"Service\":[\"ec2.amazonaws.com\",\"" ECS_TASKS "\"]}",
         "[\"sts:TagSession\"," ASSUME "]") "]"),
        IAM_TRUST_YES},
    {TRUST("[" ALLOW("\"*\"", "\"sts:*\"") "]"), IAM_TRUST_YES},
    {TRUST("[" ALLOW("{\"Service\":\"*\"}", "\"*\"") "]"), IAM_TRUST_YES},
    {TRUST("[" ALLOW("{\"AWS\":\"*\"}", "\"STS:assumer*\"") "]"), IAM_TRUST_YES},
    {TRUST("[" ALLOW(TASKS, "\"sts:Assume?ole\"") "]"), IAM_TRUST_YES},
    {TRUST("[{\"Effect\":\"Allow\",\"Principal\":" TASKS ",\"NotAction\":\"sts:TagSession\"}]"),
        IAM_TRUST_YES},
    {TRUST(
         "[{\"Effect\":\"Allow\",\"Principal\":" TASKS ",\"Action\":" ASSUME ",\"Condition\":{}}]"),
        IAM_TRUST_YES},
    // Others, or something else.
    {TRUST("[" ALLOW("{\"Service\":\"ec2.amazonaws.com\"}", ASSUME) "]"), IAM_TRUST_NO},
    {TRUST("[" ALLOW("{\"Service\":\"x" ECS_TASKS "\"}", ASSUME) "]"), IAM_TRUST_NO},
    {TRUST("[" ALLOW("{\"Service\":\"" ECS_TASKS ".cn\"}", ASSUME) "]"), IAM_TRUST_NO},
    {TRUST("[" ALLOW("{\"Service\":\"*.amazonaws.com\"}", ASSUME) "]"), IAM_TRUST_NO},
    {TRUST("[" ALLOW("{\"AWS\":\"" ECS_TASKS "\"}", ASSUME) "]"), IAM_TRUST_NO},
    {TRUST("[" ALLOW("\"" ECS_TASKS "\"", ASSUME) "]"), IAM_TRUST_NO},
    {TRUST("[" ALLOW(TASKS, "\"sts:AssumeRoleWithWebIdentity\"") "]"), IAM_TRUST_NO},
    {TRUST("[" ALLOW(TASKS, "\"sts:TagSession\"") "]"), IAM_TRUST_NO},
    {TRUST("[{\"Effect\":\"Allow\",\"Principal\":" TASKS ",\"NotAction\":\"sts:Assume*\"}]"),
        IAM_TRUST_NO},
    {TRUST("[{\"Effect\":\"Allow\",\"Principal\":" TASKS "}]"), IAM_TRUST_NO},
    {TRUST("[{\"Effect\":\"Allow\",\"Action\":" ASSUME "}]"), IAM_TRUST_NO},
    {TRUST("[{\"Effect\":\"allow\",\"Principal\":" TASKS ",\"Action\":" ASSUME "}]"), IAM_TRUST_NO},
    // Denied.
    {TRUST("[" ALLOW(TASKS, ASSUME) "," DENY(TASKS, ASSUME) "]"), IAM_TRUST_NO},
    {TRUST("[" DENY("\"*\"", "\"sts:*\"") "," ALLOW(TASKS, ASSUME) "]"), IAM_TRUST_NO},
    {TRUST("[" ALLOW(TASKS, ASSUME) "," DENY("{\"AWS\":\"*\"}", "[\"*\"]") "]"), IAM_TRUST_NO},
    {TRUST("[" ALLOW(TASKS, ASSUME) ",{\"Effect\":\"Deny\",\"NotPrincipal\":{\"AWS\":\"a\"},"
                                    "\"Action\":" ASSUME "}]"),
        IAM_TRUST_NO},
    {TRUST("[" ALLOW(TASKS, ASSUME) ",{\"Effect\":\"Deny\",\"NotPrincipal\":" TASKS
                                    ",\"Action\":" ASSUME "}]"),
        IAM_TRUST_YES},
    {TRUST("[" ALLOW(TASKS, ASSUME) "," DENY("{\"Service\":\"ec2.amazonaws.com\"}", ASSUME) "]"),
        IAM_TRUST_YES},
    // Conditions.
    {TRUST("[{\"Effect\":\"Allow\",\"Principal\":" TASKS ",\"Action\":" ASSUME ONLY_IF "]"),
        IAM_TRUST_CONDITIONAL},
    {TRUST("[{\"Effect\":\"Allow\",\"Principal\":" TASKS ",\"Action\":" ASSUME ONLY_IF
           "," ALLOW(TASKS, ASSUME) "]"),
        IAM_TRUST_YES},
    {TRUST("[" ALLOW(
         TASKS, ASSUME) ",{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":" ASSUME ONLY_IF "]"),
        IAM_TRUST_CONDITIONAL},
    {TRUST("[{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":" ASSUME ONLY_IF "]"),
        IAM_TRUST_NO},
    {TRUST("[{\"Effect\":\"Allow\",\"Principal\":" TASKS ",\"Action\":" ASSUME
           ",\"Condition\":\"what\"}]"),
        IAM_TRUST_CONDITIONAL},
    // No policies.
    {NULL, IAM_TRUST_NO},
    {"", IAM_TRUST_NO},
    {"null", IAM_TRUST_NO},
    {"[]", IAM_TRUST_NO},
    {"{}", IAM_TRUST_NO},
    {TRUST("7"), IAM_TRUST_NO},
    {TRUST("[7,null,\"x\",[]," ALLOW("7", "7") "," ALLOW("[\"*\"]", "{\"a\":\"*\"}") "]"),
        IAM_TRUST_NO},
    {TRUST("[{\"Effect\":{},\"Principal\":" TASKS ",\"Action\":" ASSUME "}]"), IAM_TRUST_NO},
    {TRUST("[" ALLOW("{\"Service\":{\"a\":\"*\"}}", ASSUME) "]"), IAM_TRUST_NO},
    {TRUST("[" ALLOW("{\"Service\":[[\"*\"],7,null]}", ASSUME) "]"), IAM_TRUST_NO},
    {TRUST("[" ALLOW(TASKS, "[[\"*\"],7,null]") "]"), IAM_TRUST_NO},
    {TRUST("[" ALLOW(TASKS, "\"\"") "]"), IAM_TRUST_NO},
    {TRUST("[" ALLOW(TASKS, "\"***********************************************x\"") "]"),
        IAM_TRUST_NO},
};

static void
trust_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(trusts); i++) {
        enum iam_trust found = iam_trusts(trusts[i].trust, ECS_TASKS);
        if (found != trusts[i].expected) {
            fail_msg("row %zu is %d: %s", i, (int)found, trusts[i].trust);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_role),
        cmocka_unit_test(is_signed_for_its_partition),
        cmocka_unit_test(there_may_be_none),
        cmocka_unit_test(a_missing_permission_is_named),
        cmocka_unit_test(unusable_answers),
        cmocka_unit_test(unusable_policies),
        cmocka_unit_test(names_are_checked_before),
        cmocka_unit_test(trust_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
