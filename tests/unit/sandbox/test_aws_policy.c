// Session policies: what is read, what is refused with which words, and what they let pass.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "aws_internal.h"
#include "dispatcher/memory.h"

#define ARN "arn:aws:ecr:us-east-1:123456789012:repository/"

static struct json *
read_policy(const char *text)
{
    struct json *policy = NULL;
    const char *problem = sandbox_policy_read(text, &policy);
    assert_null(problem);
    assert_non_null(policy);
    return policy;
}

static void
a_push_to_one_repository_is_all_it_allows(void **state)
{
    (void)state;
    struct json *policy CLEANUP(json_freep) = read_policy(
        "{\"Version\":\"2012-10-17\",\"Statement\":["
        "{\"Effect\":\"Allow\",\"Action\":\"ecr:GetAuthorizationToken\",\"Resource\":\"*\"},"
        "{\"Effect\":\"Allow\",\"Action\":[\"ecr:Put*\",\"ecr:initiatelayerupload\"],"
        "\"Resource\":[\"" ARN "shop-web\",\"" ARN "shop-?pi\"]}]}");
    static const struct {
        const char *action, *resource;
        bool allowed;
    } cases[] = {
        {"ecr:GetAuthorizationToken", "*", true},
        {"ecr:PutImage", ARN "shop-web", true},
        {"ECR:PUTIMAGE", ARN "shop-web", true},
        {"ecr:InitiateLayerUpload", ARN "shop-api", true},
        {"ecr:PutImage", ARN "shop-webs", false},
        {"ecr:PutImage", ARN "shop-wex", false},
        {"ecr:PutImage", ARN "SHOP-WEB", false},
        {"ecr:PutImage", "*", false},
        {"ecr:DescribeImages", ARN "shop-web", false},
        {"ssm:PutParameter", ARN "shop-web", false},
        {"ecr:GetAuthorizationTokens", "*", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_int_equal(
            sandbox_policy_allows(policy, cases[i].action, cases[i].resource), cases[i].allowed);
    }
}

static void
a_deny_wins_wherever_it_stands(void **state)
{
    (void)state;
    struct json *policy CLEANUP(json_freep) = read_policy(
        "{\"Statement\":["
        "{\"Effect\":\"Deny\",\"Action\":\"ecr:BatchDeleteImage\",\"Resource\":\"*\"},"
        "{\"Effect\":\"Allow\",\"NotAction\":\"iam:*\",\"NotResource\":\"" ARN "secret\"}]}");
    assert_true(sandbox_policy_allows(policy, "ecr:PutImage", ARN "open"));
    assert_false(sandbox_policy_allows(policy, "ecr:PutImage", ARN "secret"));
    assert_false(sandbox_policy_allows(policy, "iam:PassRole", "*"));
    assert_false(sandbox_policy_allows(policy, "ecr:BatchDeleteImage", ARN "open"));
}

static void
one_statement_needs_no_list(void **state)
{
    (void)state;
    struct json *policy CLEANUP(json_freep) = read_policy(
        "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"s3:Get?\",\"Resource\":\"*\"}}");
    assert_true(sandbox_policy_allows(policy, "s3:GetX", "*"));
    assert_false(sandbox_policy_allows(policy, "s3:Get", "*"));
}

static void
what_is_no_policy_is_refused(void **state)
{
    (void)state;
    static const char *const syntax[] = {
        "{}",
        "{\"Statement\":[]}",
        "{\"Statement\":[{\"Effect\":\"allow\",\"Action\":\"*\",\"Resource\":\"*\"}]}",
        "{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\"}]}",
        "{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[],\"Resource\":\"*\"}]}",
        "{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[1],\"Resource\":\"*\"}]}",
        "{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"a\",\"NotAction\":\"b\","
        "\"Resource\":\"*\"}]}",
        "{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"},1]}",
    };
    struct json *policy = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(syntax); i++) {
        assert_string_equal(sandbox_policy_read(syntax[i], &policy), "Syntax errors in policy.");
    }
    assert_string_equal(
        sandbox_policy_read("{\"Statement\":", &policy), "This policy contains invalid Json");
    assert_string_equal(sandbox_policy_read("[]", &policy), "This policy contains invalid Json");
    assert_string_equal(
        sandbox_policy_read("{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\","
                            "\"Resource\":\"*\",\"Condition\":{}}]}",
            &policy),
        "the sandbox does not look at conditions of session policies");
    char long_text[2100];
    memset(long_text, ' ', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    assert_non_null(strstr(sandbox_policy_read(long_text, &policy), "less than or equal to 2048"));
    assert_null(policy);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_push_to_one_repository_is_all_it_allows),
        cmocka_unit_test(a_deny_wins_wherever_it_stands),
        cmocka_unit_test(one_statement_needs_no_list),
        cmocka_unit_test(what_is_no_policy_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
