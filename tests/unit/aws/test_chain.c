// Which credentials win, what is said when there are none, when they are renewed, and whose account
// they belong to.
#include "aws_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/memory.h"

#define STS "https://sts.eu-west-1.amazonaws.com"
#define TASK_URL "http://169.254.170.2/creds"
#define ROLE "arn:aws:iam::012345678901:role/deploy"
#define LATER "2026-11-21T08:48:00Z"
#define SHA256_U "0bfe935e70c321c7ca3afc75ce0d0ca2f98b5422e008bb31c00c6d7f1f1c0ad6"
#define SHA1_U "51e69892ab49df85c6230ccc57f8e1d1606caccc"

static struct error *
give_token(void *ctx, const char *audience, struct secret **out)
{
    (void)ctx;
    (void)audience;
    *out = secret_new(STR("a.b.c"));
    return NULL;
}

static const struct aws_token_source oidc = {give_token, NULL};

// ---- precedence: everything is there, then one after the other is taken away

static const struct script_step by_oidc[] = {{.method = HTTP_POST,
    .url = STS,
    .reply = AWS_STS_ANSWER("AssumeRoleWithWebIdentity", "K", LATER)}};
static const struct script_step by_role[] = {
    {.method = HTTP_POST, .url = STS, .reply = AWS_STS_ANSWER("AssumeRole", "K", LATER)}};
static const struct script_step by_sso[] = {{.method = HTTP_GET,
    .url_pattern = "https://portal.sso.eu-west-1.amazonaws.com/*",
    .reply = "{\"roleCredentials\":{\"accessKeyId\":\"K\",\"secretAccessKey\":\"secret-k\","
             "\"sessionToken\":\"token-k\",\"expiration\":1795250880000}}"}};
static const struct script_step by_task[] = {
    {.method = HTTP_GET, .url = TASK_URL, .reply = AWS_KEYS_ANSWER("K", LATER)}};
static const struct script_step by_instance[] = {
    {.method = HTTP_PUT, .url_pattern = "*/latest/api/token", .reply = "T"},
    {.method = HTTP_GET, .url_pattern = "*/security-credentials/", .reply = "r"},
    {.method = HTTP_GET,
        .url_pattern = "*/security-credentials/r",
        .reply = AWS_KEYS_ANSWER("K", LATER)},
};

struct layer {
    const char *provider; // that wins when this layer is the highest
    const char *config, *shared, *env;
    const struct script_step *steps;
    size_t count;
};

// From the strongest to the weakest.
static const struct layer layers[] = {
    {"oidc", "", "", "X=", by_oidc, 1},
    {"environment", "", "", "AWS_ACCESS_KEY_ID=K", NULL, 0},
    {"assume-role", "role_arn = " ROLE "\nsource_profile = src\n", "", "X=", by_role, 1},
    {"web-identity", "", "", "AWS_WEB_IDENTITY_TOKEN_FILE=", by_oidc, 1},
    {"sso", "sso_account_id = 1\nsso_role_name = r\nsso_region = eu-west-1\nsso_start_url = u\n",
        "", "X=", by_sso, 1},
    {"credentials-file", "", "aws_access_key_id = K\naws_secret_access_key = secret-k\n",
        "X=", NULL, 0},
    {"login", "login_session = u\n", "", "X=", NULL, 0},
    {"process", "credential_process = ", "", "X=", NULL, 0},
    {"config-file", "aws_access_key_id = K\naws_secret_access_key = secret-k\n", "", "X=", NULL, 0},
    {"container", "", "", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/creds", by_task, 1},
    {"instance", "", "", "X=", by_instance, 3},
};

static void
write_helper(const struct aws_fixture *aws)
{
    char *path CLEANUP(xfreep) = xasprintf("%s/helper", aws->home);
    aws_fixture_file(aws, "helper",
        "#!/bin/sh\necho "
        "'{\"Version\":1,\"AccessKeyId\":\"K\",\"SecretAccessKey\":\"secret-k\"}'\n");
    assert_int_equal(chmod(path, 0700), 0);
}

static void
write_layers(const struct aws_fixture *aws, size_t from, struct buf *config, struct buf *shared)
{
    buf_puts(config, "[default]\nregion = eu-west-1\n");
    buf_puts(
        shared, "[src]\naws_access_key_id = SRC\naws_secret_access_key = secret-src\n[default]\n");
    for (size_t i = from; i < ARRAY_LENGTH(layers); i++) {
        buf_puts(config, layers[i].config);
        if (strcmp(layers[i].provider, "process") == 0) {
            buf_printf(config, "%s/helper\n", aws->home);
        }
        buf_puts(shared, layers[i].shared);
    }
    aws_fixture_file(aws, ".aws/config", buf_cstr(config));
    aws_fixture_file(aws, ".aws/credentials", buf_cstr(shared));
    aws_fixture_file(aws, "token", "a.b.c");
    aws_fixture_file(aws, ".aws/sso/cache/" SHA1_U ".json",
        "{\"accessToken\":\"sso-token\",\"expiresAt\":\"2026-11-21T09:00:00Z\"}");
    aws_fixture_file(aws, ".aws/login/cache/" SHA256_U ".json",
        "{\"accessToken\":{\"accessKeyId\":\"K\",\"secretAccessKey\":\"secret-k\",\"sessionToken\":"
        "\"token-k\",\"accountId\":\"1\",\"expiresAt\":\"" LATER "\"}}");
    write_helper(aws);
}

static void
strongest_wins(void **state)
{
    (void)state;
    for (size_t from = 0; from < ARRAY_LENGTH(layers); from++) {
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        struct buf config CLEANUP(buf_done) = BUF_INIT(8192);
        struct buf shared CLEANUP(buf_done) = BUF_INIT(8192);
        const struct aws_credentials *found = NULL;
        char *file CLEANUP(xfreep) = xasprintf("AWS_WEB_IDENTITY_TOKEN_FILE=%s/token", aws->home);
        const char *env[ARRAY_LENGTH(layers) + 3] = {"AWS_ROLE_ARN=" ROLE, "PATH=/usr/bin:/bin"};
        for (size_t i = from, at = 2; i < ARRAY_LENGTH(layers); i++) {
            bool is_file = strcmp(layers[i].provider, "web-identity") == 0;
            env[at++] = is_file ? file : layers[i].env;
        }
        if (from <= 1) {
            env[0] = "AWS_SECRET_ACCESS_KEY=secret-env";
        }
        write_layers(aws, from, &config, &shared);
        const struct aws_options options = {.role_arn = from == 0 ? ROLE : NULL, .oidc = &oidc};
        aws_fixture_start(aws, env, layers[from].steps, layers[from].count, &options);
        assert_success(aws_credentials_get(aws->session, &found));
        assert_string_equal(found->provider, layers[from].provider);
        assert_string_equal(found->access_key, "K");
        aws_fixture_finish(aws);
    }
}

// ---- nothing found

static const char *const laptop[] = {"AWS_EC2_METADATA_DISABLED=true", NULL};
static const char *const job[] = {"AWS_EC2_METADATA_DISABLED=true", "GITHUB_ACTIONS=true", NULL};

static void
says_what_was_looked_at(void **state)
{
    (void)state;
    static const struct {
        const char *const *env;
        struct aws_options options;
        const char *first, *hint;
    } rows[] = {
        {laptop, {0}, "no 'aws.role' is configured",
            "Sign in ('aws sso login'), name a profile with AWS_PROFILE, or set AWS_ACCESS_KEY_ID "
            "and "
            "AWS_SECRET_ACCESS_KEY."},
        {job, {0}, "no 'aws.role' is configured",
            "Name the role to assume as 'aws.role' in dispatcher.yaml, and give the job "
            "'permissions: id-token: write'."},
        {job, {.oidc = &oidc}, "no 'aws.role' is configured",
            "Name the role to assume as 'aws.role' in dispatcher.yaml."},
        {job, {.role_arn = ROLE}, "this is no job that may ask for an OIDC token",
            "Give the job 'permissions: id-token: write', so that it can assume '" ROLE "'."},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        const struct aws_credentials *found = NULL;
        aws_fixture_start(aws, rows[i].env, NULL, 0, &rows[i].options);
        char *text CLEANUP(xfreep) = xasprintf(
            "no AWS credentials found (oidc: %s; environment: AWS_ACCESS_KEY_ID is not set; "
            "assume-role: profile 'default' has no role_arn; web-identity: "
            "AWS_WEB_IDENTITY_TOKEN_FILE is not set; sso: profile 'default' has no sso_role_name; "
            "credentials-file: no keys of profile 'default' in '%s/.aws/credentials'; login: "
            "profile 'default' has no login_session; process: "
            "profile "
            "'default' has no credential_process; config-file: no keys of profile 'default' in "
            "'%s/.aws/config'; container: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not set; "
            "instance: AWS_EC2_METADATA_DISABLED is true)",
            rows[i].first, aws->home, aws->home);
        assert_failure(
            aws_credentials_get(aws->session, &found), ERROR_CREDENTIALS, text, rows[i].hint);
        aws_fixture_finish(aws);
    }
}

static void
explains_itself(void **state)
{
    (void)state;
    static const char *const env[] = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/creds", NULL};
    static const char *const half[] = {"AWS_ACCESS_KEY_ID=AKIDSECRETISH", NULL};
    struct aws_fixture *a CLEANUP(aws_fixture_freep) = aws_fixture_new();
    struct aws_fixture *b CLEANUP(aws_fixture_freep) = aws_fixture_new();
    struct buf said CLEANUP(buf_done) = BUF_INIT(8192);
    aws_fixture_file(a, ".aws/config", "[default]\noutput = json\n");
    aws_fixture_start(a, env,
        (const struct script_step[]){{.method = HTTP_GET,
            .url = TASK_URL,
            .reply = AWS_KEYS_ANSWER("ASIAEXAMPLE1234", LATER)}},
        1, NULL);
    assert_success(aws_credentials_explain(a->session, &said));
    char *expected CLEANUP(xfreep) =
        xasprintf("oidc: no 'aws.role' is configured\n"
                  "environment: AWS_ACCESS_KEY_ID is not set\n"
                  "assume-role: profile 'default' has no role_arn\n"
                  "web-identity: AWS_WEB_IDENTITY_TOKEN_FILE is not set\n"
                  "sso: profile 'default' has no sso_role_name\n"
                  "credentials-file: no keys of profile 'default' in '%s/.aws/credentials'\n"
                  "login: profile 'default' has no login_session\n"
                  "process: profile 'default' has no credential_process\n"
                  "config-file: no keys of profile 'default' in '%s/.aws/config'\n"
                  "container: used, access key ending in '1234', until " LATER "\n"
                  "instance: not reached\n",
            a->home, a->home);
    assert_string_equal(buf_cstr(&said), expected);
    const struct aws_credentials *kept = NULL;
    assert_success(aws_credentials_get(a->session, &kept)); // nothing is fetched twice
    assert_string_equal(kept->access_key, "ASIAEXAMPLE1234");
    aws_fixture_start(b, half, NULL, 0, NULL);
    buf_reset(&said);
    assert_success(aws_credentials_explain(b->session, &said));
    assert_string_equal(buf_cstr(&said),
        "oidc: no 'aws.role' is configured\n"
        "environment: failed: AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not\n"
        "assume-role: not reached\nweb-identity: not reached\nsso: not reached\n"
        "credentials-file: not reached\nlogin: not reached\nprocess: not reached\nconfig-file: not "
        "reached\n"
        "container: not reached\ninstance: not reached\n");
}

// ---- renewal

enum { MINUTE = 60 * 1000 };

static const char *const task[] = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/creds", NULL};

static const char *
key_of(struct aws_fixture *aws)
{
    const struct aws_credentials *found = NULL;
    assert_success(aws_credentials_get(aws->session, &found));
    return found->access_key;
}

static void
renews_a_quarter_of_an_hour_early(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_GET, .url = TASK_URL, .reply = AWS_KEYS_ANSWER("ONE", LATER)},
        {.method = HTTP_GET,
            .url = TASK_URL,
            .reply = AWS_KEYS_ANSWER("TWO", "2026-11-21T09:48:00Z")},
    };
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    aws_fixture_start(aws, task, steps, 2, NULL);
    assert_string_equal(key_of(aws), "ONE");
    fake_platform_advance(aws->fake, 45 * MINUTE - 1);
    assert_string_equal(key_of(aws), "ONE");
    assert_int_equal(script_transport_request_count(aws->script), 1);
    fake_platform_advance(aws->fake, 1);
    assert_string_equal(key_of(aws), "TWO");
    assert_string_equal(key_of(aws), "TWO");
    aws_fixture_finish(aws);
}

static void
an_early_renewal_may_fail(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_GET, .url = TASK_URL, .reply = AWS_KEYS_ANSWER("ONE", LATER)},
        {.method = HTTP_GET, .url = TASK_URL, .status = 500, .times = 3},
        {.method = HTTP_GET, .url = TASK_URL, .status = 500, .times = 3},
        {.method = HTTP_GET, .url = TASK_URL, .status = 500, .reply = "down", .times = 3},
    };
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    const struct aws_credentials *found = NULL;
    aws_fixture_start(aws, task, steps, 4, NULL);
    assert_string_equal(key_of(aws), "ONE");
    fake_platform_advance(aws->fake, 46 * MINUTE);
    assert_string_equal(key_of(aws), "ONE");
    assert_string_equal(key_of(aws), "ONE"); // not asked again within a minute
    assert_int_equal(script_transport_request_count(aws->script), 4);
    fake_platform_advance(aws->fake, MINUTE);
    assert_string_equal(key_of(aws), "ONE");
    assert_int_equal(script_transport_request_count(aws->script), 7);
    fake_platform_advance(aws->fake, 4 * MINUTE);
    assert_failure(aws_credentials_get(aws->session, &found), ERROR_CREDENTIALS,
        "renew AWS credentials from 'container': 3 attempts: the container's credential endpoint "
        "refused: down (HTTP 500)",
        NULL);
    aws_fixture_finish(aws);
}

static void
short_lived_ones_are_not_due_at_once(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.method = HTTP_GET,
        .url = TASK_URL,
        .reply = AWS_KEYS_ANSWER("ONE", "2026-11-21T08:03:00Z")}};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    aws_fixture_start(aws, task, steps, 1, NULL);
    assert_string_equal(key_of(aws), "ONE");
    fake_platform_advance(aws->fake, 7 * MINUTE);
    assert_string_equal(key_of(aws), "ONE");
    assert_int_equal(script_transport_request_count(aws->script), 1);
}

static void
renewal_stays_with_its_provider(void **state)
{
    (void)state;
    static const char *const env[] = {"AWS_ACCESS_KEY_ID=K", "AWS_SECRET_ACCESS_KEY=secret-env",
        "AWS_CREDENTIAL_EXPIRATION=" LATER, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/creds", NULL};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    const struct aws_credentials *found = NULL;
    aws_fixture_start(aws, env, NULL, 0, NULL);
    assert_string_equal(key_of(aws), "K");
    fake_platform_advance(aws->fake, 59 * MINUTE);
    assert_string_equal(key_of(aws), "K"); // good until the end: there is nothing newer
    fake_platform_advance(aws->fake, MINUTE);
    assert_failure(aws_credentials_get(aws->session, &found), ERROR_CREDENTIALS,
        "renew AWS credentials from 'environment': they expired at " LATER,
        "Get new credentials: sign in again, or start the job again.");
}

// ---- whose account

#define IDENTITY(account)                                                                          \
    "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::" account               \
    ":user/u</Arn><UserId>AIDA</UserId><Account>" account                                          \
    "</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"

static const char *const plain_keys[] = {
    "AWS_ACCESS_KEY_ID=K", "AWS_SECRET_ACCESS_KEY=secret-env", "AWS_REGION=eu-west-1", NULL};
static const char *const keys_with_account[] = {"AWS_ACCESS_KEY_ID=K",
    "AWS_SECRET_ACCESS_KEY=secret-env", "AWS_REGION=eu-west-1", "AWS_ACCOUNT_ID=111111111111",
    NULL};
static const char differs[] =
    "AWS credentials from 'environment' belong to account '111111111111', "
    "the configuration wants '222222222222'";
static const char differs_hint[] =
    "Use credentials of account '222222222222', or correct 'aws.account' in dispatcher.yaml.";

static void
asks_for_the_account_once(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.method = HTTP_POST,
        .url = STS,
        .body = "Action=GetCallerIdentity&Version=2011-06-15",
        .reply = IDENTITY("222222222222")}};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    aws_fixture_start(aws, plain_keys, steps, 1, &(struct aws_options){.account = "222222222222"});
    assert_string_equal(key_of(aws), "K");
    assert_string_equal(key_of(aws), "K");
    aws_fixture_finish(aws);
}

static void
refuses_another_account(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST, .url = STS, .reply = IDENTITY("111111111111"), .times = 2}};
    const struct aws_options options = {.account = "222222222222"};
    const struct aws_credentials *found = NULL;
    struct aws_fixture *a CLEANUP(aws_fixture_freep) = aws_fixture_new();
    aws_fixture_start(a, plain_keys, steps, 1, &options);
    for (int i = 0; i < 2; i++) {
        assert_failure(
            aws_credentials_get(a->session, &found), ERROR_CREDENTIALS, differs, differs_hint);
    }
    assert_null(found);
    struct aws_fixture *b CLEANUP(aws_fixture_freep) = aws_fixture_new();
    aws_fixture_start(b, keys_with_account, NULL, 0, &options);
    assert_failure(
        aws_credentials_get(b->session, &found), ERROR_CREDENTIALS, differs, differs_hint);
}

static void
an_unreachable_sts_is_no_obstacle(void **state)
{
    (void)state;
    static const struct script_step down[] = {
        {.method = HTTP_POST, .url = STS, .failure = "no route to host", .times = 5}};
    static const struct script_step wrong_key[] = {{.method = HTTP_POST,
        .url = STS,
        .status = 403,
        .reply = AWS_STS_ERROR("InvalidClientTokenId", "The token is invalid.")}};
    const struct aws_options options = {.account = "222222222222"};
    const struct aws_credentials *found = NULL;
    struct aws_fixture *a CLEANUP(aws_fixture_freep) = aws_fixture_new();
    aws_fixture_start(a, plain_keys, down, 1, &options);
    assert_string_equal(key_of(a), "K");
    assert_string_equal(key_of(a), "K");
    aws_fixture_finish(a);
    struct aws_fixture *b CLEANUP(aws_fixture_freep) = aws_fixture_new();
    aws_fixture_start(b, plain_keys, wrong_key, 1, &options);
    assert_failure(aws_credentials_get(b->session, &found), ERROR_CREDENTIALS,
        "sts GetCallerIdentity: InvalidClientTokenId: The token is invalid (HTTP 403, request r-2)",
        "Run 'dispatcher doctor' to see which credentials are used.");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strongest_wins),
        cmocka_unit_test(says_what_was_looked_at),
        cmocka_unit_test(explains_itself),
        cmocka_unit_test(renews_a_quarter_of_an_hour_early),
        cmocka_unit_test(an_early_renewal_may_fail),
        cmocka_unit_test(short_lived_ones_are_not_due_at_once),
        cmocka_unit_test(renewal_stays_with_its_provider),
        cmocka_unit_test(asks_for_the_account_once),
        cmocka_unit_test(refuses_another_account),
        cmocka_unit_test(an_unreachable_sts_is_no_obstacle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
