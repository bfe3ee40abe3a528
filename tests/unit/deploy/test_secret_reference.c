// References into secrets: where each kind is read, once, by whose credentials; what is said when
// it is not there; and that a value is masked from then on and quoted nowhere.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "deploy_internal.h"
#include "dispatcher/digest.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "findings.h"
#include "dispatcher/vault.h"
#include "script_transport.h"
#include "temp_dir.h"
#include "vault_fixture.h"

#define SSM "https://ssm.eu-west-1.amazonaws.com"
#define MANAGER "https://secretsmanager.eu-west-1.amazonaws.com"
#define READ "/v1/kv/data/shop"
#define JOB_URL "https://run.actions.example/t?api-version=2.0"
#define AWS_KEYS                                                                                   \
    "AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=secret-env", "AWS_REGION=eu-west-1",          \
        "HOME=/nonexistent"

static const char *const keys[] = {AWS_KEYS, "MY_SECRET=from-the-environment", NULL};

struct scene {
    struct fake_platform *fake;
    struct script_transport *script;
    struct http_client *http;
    struct deploy_context *context;
    struct arena *arena;
    struct deployment *deployment;
    struct secret *secret;
};

static void
scene_open(
    struct scene *scene, const char *const *env, const struct script_step *steps, size_t count)
{
    scene->arena = arena_new();
    scene->fake = fake_platform_new(env);
    fake_platform_fix_random(scene->fake, 0.5);
    scene->script = script_transport_new(scene->fake, steps, count);
    assert_success(http_client_new(&scene->fake->platform, NULL, &scene->http));
    const struct deploy_context_options options = {
        .platform = &scene->fake->platform, .http = scene->http};
    scene->context = deploy_context_new(&options);
    scene->deployment = deployment_new(scene->arena);
    scene->deployment->app = "shop";
    scene->deployment->env = "staging";
}

static void
scene_done(struct scene *scene)
{
    secret_free(scene->secret);
    deploy_context_free(scene->context);
    http_client_free(scene->http);
    script_transport_free(scene->script);
    fake_platform_free(scene->fake);
    arena_free(scene->arena);
}

static struct error *
read_reference(struct scene *scene, const char *reference)
{
    secret_free(scene->secret);
    scene->secret = NULL;
    return secret_reference_read(scene->context, scene->deployment, reference, &scene->secret);
}

/// Reads it twice: the world is asked once, and what came is masked.
static void
expect_secret(struct scene *scene, const char *reference, const char *value)
{
    struct buf shown CLEANUP(buf_done) = BUF_INIT(4096);
    assert_success(read_reference(scene, reference));
    assert_string_equal(secret_expose(scene->secret).ptr, value);
    assert_success(read_reference(scene, reference));
    assert_string_equal(secret_expose(scene->secret).ptr, value);
    buf_printf(&shown, "<%s>", value);
    secret_mask(&shown);
    assert_string_equal(buf_cstr(&shown), "<***>");
    script_transport_finish(scene->script);
}

static void
from_here(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    struct scene scene CLEANUP(scene_done) = {0};
    char *path CLEANUP(xfreep) = temp_dir_path(dir, "key");
    char *reference CLEANUP(xfreep) = xasprintf("file:%s", path);
    char *missing CLEANUP(xfreep) = xasprintf("file:%s/none", dir);
    scene_open(&scene, keys, NULL, 0);
    assert_success(file_write(path, STR("\n from-a-file \n"), 0600));
    expect_secret(&scene, "env:MY_SECRET", "from-the-environment");
    expect_secret(&scene, reference, "from-a-file");
    assert_failure(read_reference(&scene, "env:NONE"), ERROR_CREDENTIALS,
        "environment variable 'NONE' is not set",
        "The configuration takes a secret from it; pass it in the workflow's 'env:'.");
    struct error *err CLEANUP(error_freep) = read_reference(&scene, missing);
    assert_int_equal(error_kind(err), ERROR_CREDENTIALS);
    assert_failure(read_reference(&scene, "canary-literal"), ERROR_SPEC,
        "a secret reference is of no known form",
        "Use 'env:VARIABLE', 'file:PATH', 'ssm:/path', 'secretsmanager:ID#key' or "
        "'vault:mount/data/path#key'.");
}

static const char *
refuses_variables(void *ctx, const char *reference, struct arena *arena)
{
    (void)ctx;
    return str_starts(str_of(reference), STR("env:")) ? arena_dup(arena, "not that one") : NULL;
}

static void
what_a_spec_names_is_read_as_the_rule_says(void **state)
{
    (void)state;
    struct scene scene CLEANUP(scene_done) = {0};
    scene_open(&scene, keys, NULL, 0);
    // Our own word first, so that it is known already.
    expect_secret(&scene, "env:MY_SECRET", "from-the-environment");
    struct secret *secret CLEANUP(secret_freep) = NULL;
    assert_success(secret_reference_of_spec(
        scene.context, scene.deployment, "env:MY_SECRET", &secret)); // no rule: a command's
    secret_free(secret);
    secret = NULL;
    scene.context->secret_rule = (struct deploy_secret_rule){refuses_variables, NULL};
    assert_failure(
        secret_reference_of_spec(scene.context, scene.deployment, "env:MY_SECRET", &secret),
        ERROR_CREDENTIALS, "not that one",
        "To have it told: keep it in ssm:, secretsmanager: or vault:, or have whoever runs the "
        "service list it in 'server.secrets' of its own file.");
    assert_null(secret);
}

static void
from_parameter_store(void **state)
{
    (void)state;
    static const char *const get[] = {"X-Amz-Target: AmazonSSM.GetParameter", NULL};
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = SSM,
            .headers = get,
            .body = "{\"Name\":\"/shop/key:3\",\"WithDecryption\":true}",
            .reply = "{\"Parameter\":{\"Name\":\"/shop/key\",\"Type\":\"SecureString\",\"Value\":"
                     "\"from-ssm\",\"Version\":3}}"},
    };
    static const struct script_step none[] = {{.method = HTTP_POST,
        .url = SSM,
        .status = 400,
        .reply = "{\"__type\":\"ParameterNotFound\"}"}};
    struct scene scene CLEANUP(scene_done) = {0};
    struct scene empty CLEANUP(scene_done) = {0};
    scene_open(&scene, keys, steps, 1);
    expect_secret(&scene, "ssm:/shop/key:3", "from-ssm");
    scene_open(&empty, keys, none, 1);
    assert_failure(read_reference(&empty, "ssm:/shop/key"), ERROR_CREDENTIALS,
        "parameter '/shop/key' does not exist",
        "Create it as a SecureString, in the region and account that 'dispatcher doctor' shows.");
}

static void
from_secrets_manager(void **state)
{
    (void)state;
    static const struct {
        const char *reference, *reply, *value;
    } rows[] = {
        {"secretsmanager:shop", "{\"SecretString\":\"the whole\"}", "the whole"},
        {"secretsmanager:shop", "{\"SecretString\":\"{\\\"a\\\":1}\"}", "{\"a\":1}"},
        {"secretsmanager:shop#a key", "{\"SecretString\":\"{\\\"a key\\\":\\\"value-a\\\"}\"}",
            "value-a"},
        {"secretsmanager:shop#a", "{\"SecretBinary\":\"eyJhIjoiYmluYXJ5In0=\"}", "binary"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct script_step step = {.method = HTTP_POST,
            .url = MANAGER,
            .body = "{\"SecretId\":\"shop\"}",
            .reply = rows[i].reply};
        struct scene scene CLEANUP(scene_done) = {0};
        scene_open(&scene, keys, &step, 1);
        expect_secret(&scene, rows[i].reference, rows[i].value);
    }
}

static void
keys_that_are_not_there(void **state)
{
    (void)state;
    static const struct {
        const char *reply, *text, *hint;
    } rows[] = {
        {"{\"SecretString\":\"canary, plain\"}",
            "read secret 'shop': it is no JSON object, so it has no key 'a'", NULL},
        {"{\"SecretString\":\"[\\\"canary\\\"]\"}",
            "read secret 'shop': it is no JSON object, so it has no key 'a'", NULL},
        {"{\"SecretString\":\"{\\\"b\\\":\\\"canary\\\"}\"}",
            "read secret 'shop': there is no key 'a' in it",
            "The reference names the key after '#'."},
        {"{\"SecretString\":\"{\\\"a\\\":{\\\"b\\\":\\\"canary\\\"}}\"}",
            "read secret 'shop': key 'a' holds no text", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct script_step step = {
            .method = HTTP_POST, .url = MANAGER, .reply = rows[i].reply, .times = 2};
        struct scene scene CLEANUP(scene_done) = {0};
        scene_open(&scene, keys, &step, 1);
        assert_failure(read_reference(&scene, "secretsmanager:shop#a"), ERROR_CREDENTIALS,
            rows[i].text, rows[i].hint);
        // A failure is not kept: the next look may find it mended.
        struct error *err CLEANUP(error_freep) = read_reference(&scene, "secretsmanager:shop#a");
        assert_non_null(err);
        script_transport_finish(scene.script);
    }
}

// The standard variables go before the file, and a token before every login.
static void
from_vault_with_a_token(void **state)
{
    (void)state;
    static const char *const env[] = {"VAULT_ADDR=https://env.example.org",
        "VAULT_NAMESPACE=env-ns", "VAULT_TOKEN=" VAULT_TOKEN_TEXT, NULL};
    static const char *const only_token[] = {"VAULT_TOKEN=" VAULT_TOKEN_TEXT, NULL};
    static const char *const from_env[] = {
        "X-Vault-Token: " VAULT_TOKEN_TEXT, "X-Vault-Namespace: env-ns", NULL};
    static const char *const from_file[] = {
        "X-Vault-Token: " VAULT_TOKEN_TEXT, "X-Vault-Namespace: file-ns", NULL};
    static const struct {
        const char *const *env;
        struct script_step step;
    } rows[] = {
        {env, {.url = "https://env.example.org" READ,
                  .headers = from_env,
                  .reply = VAULT_KV_ANSWER("{\"key\":\"from-vault\"}")}},
        {only_token, {.url = "https://file.example.org" READ,
                         .headers = from_file,
                         .reply = VAULT_KV_ANSWER("{\"key\":\"from-vault\"}")}},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct scene scene CLEANUP(scene_done) = {0};
        scene_open(&scene, rows[i].env, &rows[i].step, 1);
        scene.deployment->vault = (struct setting_vault){.address = "https://file.example.org",
            .namespace = "file-ns",
            .auth = "jwt",
            .role = "deploy"};
        expect_secret(&scene, "vault:kv/data/shop#key", "from-vault");
    }
}

static void
from_vault_with_the_jobs_token(void **state)
{
    (void)state;
    static const char *const env[] = {"GITHUB_ACTIONS=true",
        "ACTIONS_ID_TOKEN_REQUEST_URL=" JOB_URL, "ACTIONS_ID_TOKEN_REQUEST_TOKEN=requesttoken",
        NULL};
    static const char *const bearer[] = {"Authorization: bearer requesttoken", NULL};
    static const char *const vault[] = {"X-Vault-Token: hvs.token-one", NULL};
    static const struct script_step steps[] = {
        {.url = JOB_URL "&audience=https%3A%2F%2Fvault.example.org%2Faud",
            .headers = bearer,
            .reply = "{\"value\":\"eyJ.e-_J.sig\"}"},
        {.method = HTTP_POST,
            .url = "https://vault.example.org/v1/auth/github/login",
            .body = "{\"role\":\"deploy\",\"jwt\":\"eyJ.e-_J.sig\"}",
            .reply = VAULT_AUTH_ANSWER("hvs.token-one", "3600", "true")},
        {.url = "https://vault.example.org" READ,
            .headers = vault,
            .reply = VAULT_KV_ANSWER("{\"key\":\"from-vault\"}")},
    };
    struct scene scene CLEANUP(scene_done) = {0};
    scene_open(&scene, env, steps, ARRAY_LENGTH(steps));
    scene.deployment->vault = (struct setting_vault){.address = "https://vault.example.org",
        .auth = "jwt",
        .role = "deploy",
        .mount = "github",
        .audience = "https://vault.example.org/aud"};
    expect_secret(&scene, "vault:kv/data/shop#key", "from-vault");
}

// The proof is the one of tests/unit/aws/test_identity_proof.c, in base64.
static void
from_vault_with_our_aws_identity(void **state)
{
    (void)state;
    static const char headers[] =
        "{\"Content-Type\":[\"application/x-www-form-urlencoded; charset=utf-8\"],"
        "\"Content-Length\":[\"43\"],\"Host\":[\"sts.amazonaws.com\"],"
        "\"X-Vault-AWS-IAM-Server-ID\":[\"vault.example.org\"],"
        "\"X-Amz-Date\":[\"20261121T074800Z\"],"
        "\"Authorization\":[\"AWS4-HMAC-SHA256 Credential=AKID/20261121/us-east-1/sts/"
        "aws4_request, SignedHeaders=content-length;content-type;host;x-amz-date;"
        "x-vault-aws-iam-server-id, "
        "Signature=60014d2083f7fd13fe2f64236b1ef08c907f70797ab7c3ea05c71944e8238ef8\"]}";
    struct buf encoded CLEANUP(buf_done) = BUF_INIT(4096);
    base64_encode(str_of(headers), &encoded);
    char *body CLEANUP(xfreep) =
        xasprintf("{\"role\":\"deploy\",\"iam_http_request_method\":\"POST\",\"iam_request_url\":"
                  "\"aHR0cHM6Ly9zdHMuYW1hem9uYXdzLmNvbS8=\",\"iam_request_body\":"
                  "\"QWN0aW9uPUdldENhbGxlcklkZW50aXR5JlZlcnNpb249MjAxMS0wNi0xNQ==\","
                  "\"iam_request_headers\":\"%s\"}",
            buf_cstr(&encoded));
    const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = "https://vault.example.org/v1/auth/aws/login",
            .body = body,
            .reply = VAULT_AUTH_ANSWER("hvs.token-one", "3600", "true")},
        {.url = "https://vault.example.org" READ,
            .reply = VAULT_KV_ANSWER("{\"key\":\"from-vault\"}")},
    };
    struct scene scene CLEANUP(scene_done) = {0};
    scene_open(&scene, keys, steps, ARRAY_LENGTH(steps));
    scene.deployment->vault = (struct setting_vault){.address = "https://vault.example.org",
        .auth = "aws",
        .role = "deploy",
        .server_id = "vault.example.org"};
    expect_secret(&scene, "vault:kv/data/shop#key", "from-vault");
}

static void
a_regional_sts_is_signed_for(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = "https://vault.example.org/v1/auth/aws/login",
            // https://sts.eu-central-1.amazonaws.com/
            .body_pattern = "{\"iam_http_request_method\":\"POST\",\"iam_request_url\":"
                            "\"aHR0cHM6Ly9zdHMuZXUtY2VudHJhbC0xLmFtYXpvbmF3cy5jb20v\",*",
            .reply = VAULT_AUTH_ANSWER("hvs.token-one", "3600", "true")},
        {.url = "https://vault.example.org" READ,
            .reply = VAULT_KV_ANSWER("{\"key\":\"from-vault\"}")},
    };
    struct scene scene CLEANUP(scene_done) = {0};
    scene_open(&scene, keys, steps, ARRAY_LENGTH(steps));
    scene.deployment->vault = (struct setting_vault){
        .address = "https://vault.example.org", .auth = "aws", .sts_region = "eu-central-1"};
    expect_secret(&scene, "vault:kv/data/shop#key", "from-vault");
}

static void
a_vault_that_cannot_be_asked(void **state)
{
    (void)state;
    static const struct {
        struct setting_vault vault;
        const char *text, *hint;
        enum error_kind kind;
    } rows[] = {
        {{0}, "Vault's address is not known",
            "Set VAULT_ADDR, or 'vault.address' in dispatcher.yaml.", ERROR_SPEC},
        {{.address = "https://vault.example.org"}, "no token for Vault",
            "Set VAULT_TOKEN, or let 'vault.auth' in dispatcher.yaml be 'jwt' or 'aws'.",
            ERROR_CREDENTIALS},
        {{.address = "https://vault.example.org", .auth = "jwt"},
            "no OIDC token for Vault's login: this is no job that may ask for one",
            "Give the job (or the workflow) 'permissions: id-token: write', or set VAULT_TOKEN.",
            ERROR_CREDENTIALS},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct scene scene CLEANUP(scene_done) = {0};
        scene_open(&scene, keys, NULL, 0);
        scene.deployment->vault = rows[i].vault;
        assert_failure(read_reference(&scene, "vault:kv/data/shop#key"), rows[i].kind, rows[i].text,
            rows[i].hint);
    }
    struct scene scene CLEANUP(scene_done) = {0};
    scene_open(&scene, keys, NULL, 0);
    assert_failure(read_reference(&scene, "vault:kv/data/shop"), ERROR_SPEC,
        "secret reference 'vault:kv/data/shop' names no key",
        "Write it as 'vault:mount/data/path#key'.");
}

// What the journal keeps: where and as whom, by name.
static void
the_journal_holds_references(void **state)
{
    (void)state;
    static const struct script_step step = {.url = "https://vault.example.org" READ,
        .reply = VAULT_KV_ANSWER("{\"key\":\"canary-value\"}")};
    static const char *const env[] = {"VAULT_TOKEN=" VAULT_TOKEN_TEXT, NULL};
    struct scene scene CLEANUP(scene_done) = {0};
    struct deployment *again = NULL;
    scene_open(&scene, env, &step, 1);
    *scene.deployment = (struct deployment){.id = "d1",
        .app = "shop",
        .env = "staging",
        .version = "v2",
        .github_app_key = "vault:kv/data/shop#key",
        .vault = {.address = "https://vault.example.org",
            .namespace = "ns",
            .auth = "jwt",
            .role = "r",
            .mount = "m",
            .audience = "a",
            .server_id = "s",
            .sts_region = "us-east-1"}};
    assert_success(read_reference(&scene, "vault:kv/data/shop#key"));
    struct json *object CLEANUP(json_freep) = deployment_encode(scene.deployment);
    char *text CLEANUP(xfreep) = json_text(object);
    assert_non_null(strstr(text,
        "\"vault\":{\"address\":\"https://vault.example.org\",\"namespace\":\"ns\",\"auth\":"
        "\"jwt\",\"role\":\"r\",\"mount\":\"m\",\"audience\":\"a\",\"server_id\":\"s\","
        "\"sts_region\":\"us-east-1\"}"));
    assert_null(strstr(text, "canary"));
    assert_success(deployment_decode(str_of(text), scene.arena, &again));
    assert_string_equal(again->vault.sts_region, "us-east-1");
    assert_string_equal(again->github_app_key, "vault:kv/data/shop#key");
}

// --- what the doctor says of them ----------------------------------------------------------------

static void
expect_findings(struct scene *scene, const char *reference, const char *text)
{
    struct findings findings = {0};
    struct buf out CLEANUP(buf_done) = BUF_INIT(8192);
    scene->deployment->github_app_key = reference;
    findings_init(&findings, scene->arena);
    doctor_secrets(scene->context, scene->deployment, &findings);
    const struct doctor_finding *found = findings.list;
    for (size_t i = 0; i < findings.count; i++) {
        buf_printf(&out, "%c %s: %s%s%s", "+!-"[found[i].verdict], found[i].area, found[i].text,
            found[i].fix != NULL ? " => " : "", found[i].fix != NULL ? found[i].fix : "");
        if (found[i].verdict == DOCTOR_BAD) {
            buf_printf(&out, " (%d)", found[i].exit_code);
        }
        buf_putc(&out, '\n');
    }
    assert_string_equal(buf_cstr(&out), text);
    script_transport_finish(scene->script);
}

#define LOOKUP "https://vault.example.org/v1/auth/token/lookup-self"
#define SIGNED_IN                                                                                  \
    "{\"data\":{\"display_name\":\"jwt-octo\",\"policies\":[\"default\",\"shop\"],\"ttl\":3540}}"

static void
the_doctor_asks_vault(void **state)
{
    (void)state;
    static const char *const env[] = {
        "VAULT_ADDR=https://vault.example.org", "VAULT_TOKEN=" VAULT_TOKEN_TEXT, NULL};
    static const struct script_step good = {.url = "https://vault.example.org" READ,
        .reply = VAULT_KV_ANSWER("{\"key\":\"canary-value\"}")};
    static const struct script_step refused = {.url = "https://vault.example.org" READ,
        .status = 403,
        .reply = "{\"errors\":[\"permission denied\"]}"};
    static const struct {
        struct script_step lookup, read;
        size_t count;
        const char *text;
    } rows[] = {
        {{.url = LOOKUP, .reply = SIGNED_IN}, good, 2,
            "+ vault: signed in as 'jwt-octo', policies default, shop, for 59m 0s\n"
            "+ secret: github.app_key: 'vault:kv/data/shop#key' can be read\n"},
        {{.url = LOOKUP, .status = 403, .reply = "{\"errors\":[\"permission denied\"]}"}, refused,
            2,
            "! vault: Vault does not say what the token may do => A token without the policy "
            "'default' is fine; one that has expired is refused in the same way.\n"
            "- secret: read 'kv/data/shop' from Vault: the token in VAULT_TOKEN may not read "
            "'kv/data/shop': permission denied (HTTP 403) => Give it a policy that allows 'read' "
            "on "
            "'kv/data/shop'; an expired token and a wrong namespace are refused in the same way. "
            "(4)\n"},
        {{.url = LOOKUP, .failure = "connection refused", .times = 5}, good, 1,
            "- vault: ask Vault at 'https://vault.example.org' about our token: GET " LOOKUP
            ": connection refused, after 5 attempts in 0.4s => an upstream service could not be "
            "reached or did not answer usefully (12)\n"},
        {{.url = LOOKUP, .status = 503, .reply = "{\"errors\":[\"Vault is sealed\"]}", .times = 5},
            good, 1,
            "- vault: ask Vault at 'https://vault.example.org' about our token: Vault is sealed "
            "(HTTP 503) => Whoever runs Vault has to unseal it; 'vault status' shows its state. "
            "(12)\n"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct script_step steps[] = {rows[i].lookup, rows[i].read};
        struct scene scene CLEANUP(scene_done) = {0};
        scene_open(&scene, env, steps, rows[i].count);
        expect_findings(&scene, "vault:kv/data/shop#key", rows[i].text);
    }
}

static void
the_doctor_asks_aws(void **state)
{
    (void)state;
    static const struct {
        const char *reference;
        struct script_step step;
        const char *text;
    } rows[] = {
        {"secretsmanager:shop",
            {.method = HTTP_POST, .url = MANAGER, .reply = "{\"SecretString\":\"canary\"}"},
            "+ secret: github.app_key: 'secretsmanager:shop' can be read\n"},
        {"secretsmanager:shop",
            {.method = HTTP_POST,
                .url = MANAGER,
                .status = 400,
                .reply = "{\"__type\":\"AccessDeniedException\",\"Message\":\"no\"}"},
            "- secret: read secret 'shop': secretsmanager GetSecretValue: AccessDeniedException: "
            "no "
            "(HTTP 400) => Allow the action 'secretsmanager:GetSecretValue' to the role in use; "
            "'dispatcher doctor' shows which one that is. (4)\n"},
        {"ssm:/k",
            {.method = HTTP_POST,
                .url = SSM,
                .times = 2,
                .reply = "{\"Parameter\":{\"Name\":\"/k\",\"Type\":\"SecureString\",\"Value\":"
                         "\"canary\",\"Version\":1}}"},
            "+ secret: github.app_key: 'ssm:/k' can be read\n"},
        {"ssm:/k",
            {.method = HTTP_POST,
                .url = SSM,
                .times = 2,
                .reply = "{\"Parameter\":{\"Name\":\"/k\",\"Type\":\"String\",\"Value\":"
                         "\"canary\",\"Version\":1}}"},
            "! secret: github.app_key: 'ssm:/k' is a plain String => Make it a SecureString: a "
            "String is shown to all who may read parameters.\n"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct scene scene CLEANUP(scene_done) = {0};
        scene_open(&scene, keys, &rows[i].step, 1);
        expect_findings(&scene, rows[i].reference, rows[i].text);
    }
}

static void
the_doctor_leaves_what_is_not_used(void **state)
{
    (void)state;
    static const char *const env[] = {"DEPLOYMENT_APP_KEY=/some/file", NULL};
    struct scene scene CLEANUP(scene_done) = {0};
    scene_open(&scene, env, NULL, 0);
    expect_findings(&scene, "vault:kv/data/shop#key", "");
    expect_findings(&scene, NULL, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_here),
        cmocka_unit_test(what_a_spec_names_is_read_as_the_rule_says),
        cmocka_unit_test(from_parameter_store),
        cmocka_unit_test(from_secrets_manager),
        cmocka_unit_test(keys_that_are_not_there),
        cmocka_unit_test(from_vault_with_a_token),
        cmocka_unit_test(from_vault_with_the_jobs_token),
        cmocka_unit_test(from_vault_with_our_aws_identity),
        cmocka_unit_test(a_regional_sts_is_signed_for),
        cmocka_unit_test(a_vault_that_cannot_be_asked),
        cmocka_unit_test(the_journal_holds_references),
        cmocka_unit_test(the_doctor_asks_vault),
        cmocka_unit_test(the_doctor_asks_aws),
        cmocka_unit_test(the_doctor_leaves_what_is_not_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
