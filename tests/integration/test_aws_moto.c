// The AWS room over libcurl against moto_server, which rebuilds every signature with botocore and
// checks permissions. with_moto.py starts it and hands over the endpoint and keys.
#include "dispatcher/ecr.h"
#include "dispatcher/iam.h"
#include "dispatcher/identity_proof.h"
#include "dispatcher/secrets_manager.h"
#include "dispatcher/ssm.h"
#include "dispatcher/sts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"

extern char **environ;

#define ACCOUNT "123456789012"

// One process-wide view of what with_moto.py gave.
static const char *
given(const struct environment *env, const char *name)
{
    const char *value = environment_get(env, name);
    if (value == NULL) {
        fail_msg("%s is not set: run this program by with_moto.py", name);
    }
    return value;
}

struct world {
    struct environment *given, *env;
    struct platform platform;
    struct http_client *http;
    struct aws_session *session;
    struct arena *arena;
};

static void
world_done(struct world *world)
{
    aws_session_free(world->session);
    http_client_free(world->http);
    environment_free(world->env);
    environment_free(world->given);
    arena_free(world->arena);
}

static void
world_open(struct world *world, const char *const *pairs, const struct aws_options *options)
{
    char *list[16] = {0};
    world->arena = arena_new();
    world->given = environment_new(environ);
    list[0] =
        arena_printf(world->arena, "AWS_ENDPOINT_URL=%s", given(world->given, "TEST_ENDPOINT"));
    list[1] = arena_printf(world->arena, "AWS_REGION=%s", given(world->given, "TEST_REGION"));
    // The rest is "NAME=TEST_VARIABLE": filled from what with_moto.py gave, or as it stands.
    for (size_t i = 0; pairs[i] != NULL; i++) {
        const char *value = strchr(pairs[i], '=') + 1;
        bool is_ours = strncmp(value, "TEST_", 5) == 0;
        list[i + 2] = arena_printf(world->arena, "%.*s%s", (int)(value - pairs[i]), pairs[i],
            is_ours ? given(world->given, value) : value);
    }
    world->env = environment_new(list);
    world->platform =
        (struct platform){.clock = &clock_system, .random = &random_system, .env = world->env};
    assert_success(http_client_new(&world->platform, NULL, &world->http));
    assert_success(aws_session_new(&world->platform, world->http, options, &world->session));
}

static const char *const admin[] = {
    "AWS_ACCESS_KEY_ID=TEST_KEY", "AWS_SECRET_ACCESS_KEY=TEST_SECRET", NULL};

static void
knows_who_it_is(void **state)
{
    (void)state;
    struct world world CLEANUP(world_done) = {0};
    struct sts_identity identity = {0};
    world_open(&world, admin, &(struct aws_options){.account = ACCOUNT});
    assert_success(sts_caller_identity(world.session, world.arena, &identity));
    assert_string_equal(identity.account, ACCOUNT);
    assert_string_equal(identity.arn, "arn:aws:iam::" ACCOUNT ":user/admin");
    assert_non_null(identity.user_id);
}

// Proves that the server looks at signatures at all.
static void
a_wrong_secret_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "AWS_ACCESS_KEY_ID=TEST_KEY", "AWS_SECRET_ACCESS_KEY=not-the-secret", NULL};
    struct world world CLEANUP(world_done) = {0};
    struct ssm_parameter *parameter = NULL;
    struct sts_identity identity = {0};
    world_open(&world, wrong, NULL);
    struct error *err = ssm_get(world.session, "/x", world.arena, &parameter);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CREDENTIALS);
    assert_string_equal(error_remote_of(err)->code, "SignatureDoesNotMatch");
    error_free(err);
    err = sts_caller_identity(world.session, world.arena, &identity);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CREDENTIALS);
    assert_string_equal(error_remote_of(err)->code, "SignatureDoesNotMatch");
    error_free(err);
}

static void
a_missing_permission_is_named(void **state)
{
    (void)state;
    static const char *const nobody[] = {
        "AWS_ACCESS_KEY_ID=TEST_NOBODY_KEY", "AWS_SECRET_ACCESS_KEY=TEST_NOBODY_SECRET", NULL};
    struct world world CLEANUP(world_done) = {0};
    struct ssm_parameter *parameter = NULL;
    world_open(&world, nobody, NULL);
    struct error *err = ssm_get(world.session, "/x", world.arena, &parameter);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CREDENTIALS);
    assert_int_equal(error_remote_of(err)->status, 403);
    assert_string_equal(error_hint_of(err),
        "Allow the action 'ssm:GetParameter' to the role in use; "
        "'dispatcher doctor' shows which one that is.");
    error_free(err);
}

static int64_t
put(struct world *world, const char *value, const char *description)
{
    int64_t version = 0;
    const struct ssm_put what = {
        .name = "/app/web/version", .value = value, .description = description, .overwrite = true};
    assert_success(ssm_put(world->session, &what, &version));
    return version;
}

static void
writes_and_reads_a_parameter(void **state)
{
    (void)state;
    struct world world CLEANUP(world_done) = {0};
    struct ssm_parameter *got = NULL;
    int64_t version = 0;
    world_open(&world, admin, NULL);
    assert_success(ssm_get(world.session, "/app/web/version", world.arena, &got));
    assert_null(got);
    const struct ssm_put create = {
        .name = "/app/web/version", .value = "grün \"v1\" & <x>", .description = "first"};
    assert_success(ssm_put(world.session, &create, &version));
    assert_int_equal(version, 1);
    struct error *err = ssm_put(world.session, &create, &version);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CONFLICT);
    assert_false(error_remote_of(err)->request_left);
    error_free(err);
    assert_int_equal(put(&world, "v2", "dispatcher d-1 epoch=1 prev=1"), 2);
    assert_success(ssm_get(world.session, "/app/web/version", world.arena, &got));
    assert_string_equal(got->name, "/app/web/version");
    assert_string_equal(got->value, "v2");
    assert_string_equal(got->type, "String");
    assert_int_equal(got->version, 2);
    int64_t age = clock_wall(&clock_system) - got->last_modified_ms;
    assert_true(age > -5000 && age < 60 * 1000);
}

static void
reads_the_history_in_pages(void **state)
{
    (void)state;
    struct world world CLEANUP(world_done) = {0};
    struct ssm_parameter *list = NULL;
    size_t count = 0;
    world_open(&world, admin, NULL);
    assert_success(ssm_history(world.session, "/not/there", 0, world.arena, &list, &count));
    assert_int_equal(count, 0);
    for (int i = 3; i <= 60; i++) {
        char *value = arena_printf(world.arena, "v%d", i);
        assert_int_equal(put(&world, value, value), i);
    }
    assert_success(ssm_history(world.session, "/app/web/version", 1, world.arena, &list, &count));
    assert_int_equal(count, 59);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(list[i].version, i + 2);
    }
    assert_string_equal(list[0].description, "dispatcher d-1 epoch=1 prev=1");
    assert_string_equal(list[58].value, "v60");
    assert_non_null(list[58].last_modified_user);
}

static size_t
labels_of(struct world *world, int64_t version)
{
    struct ssm_parameter *list = NULL;
    size_t count = 0;
    assert_success(
        ssm_history(world->session, "/app/web/version", version - 1, world->arena, &list, &count));
    assert_int_equal(list[0].version, version);
    return list[0].labels.count;
}

static void
labels_move(void **state)
{
    (void)state;
    struct world world CLEANUP(world_done) = {0};
    world_open(&world, admin, NULL);
    assert_success(ssm_label(world.session, "/app/web/version", 2, "deployed"));
    assert_int_equal(labels_of(&world, 2), 1);
    assert_success(ssm_label(world.session, "/app/web/version", 3, "deployed"));
    assert_int_equal(labels_of(&world, 2), 0);
    assert_int_equal(labels_of(&world, 3), 1);
    assert_failure(ssm_label(world.session, "/app/web/version", 3, "aws-mine"), ERROR_REFUSED,
        "label version 3 of parameter '/app/web/version' as 'aws-mine': Parameter Store does not "
        "take this label",
        "A label starts with a letter and neither with 'aws' nor with 'ssm'.");
    const char *names[] = {"deployed", "proven", "proven-0"};
    const struct str_list three = {names, 3}, two = {names + 1, 2};
    assert_success(ssm_labels(world.session, "/app/web/version", 3, &three));
    assert_int_equal(labels_of(&world, 3), 3);
    assert_success(ssm_unlabel(world.session, "/app/web/version", 3, &two));
    assert_int_equal(labels_of(&world, 3), 1);
    assert_success(ssm_unlabel(world.session, "/app/web/version", 3, &two));
}

static void
finds_images(void **state)
{
    (void)state;
    struct world world CLEANUP(world_done) = {0};
    static const struct ecr_repository filled = {ACCOUNT, NULL, "filled"},
                                       missing = {NULL, NULL, "missing"};
    const struct ecr_create_options options = {.scan_on_push = true};
    const char *digest = "untouched";
    bool repository = false;
    world_open(&world, admin, NULL);
    assert_success(
        ecr_image_digest(world.session, &filled, "v1", world.arena, &digest, &repository));
    assert_string_equal(digest, given(world.given, "TEST_IMAGE_DIGEST"));
    assert_true(repository);
    assert_success(
        ecr_image_digest(world.session, &filled, "v2", world.arena, &digest, &repository));
    assert_null(digest);
    assert_true(repository);
    assert_success(
        ecr_image_digest(world.session, &missing, "v1", world.arena, &digest, &repository));
    assert_null(digest);
    assert_false(repository);
    assert_success(ecr_create_repository(world.session, &missing, &options));
    assert_success(ecr_create_repository(world.session, &missing, &options));
    assert_success(
        ecr_image_digest(world.session, &missing, "v1", world.arena, &digest, &repository));
    assert_null(digest);
    assert_true(repository);
}

// moto finds the same in every image that it is asked to scan.
static void
scans_an_image(void **state)
{
    (void)state;
    struct world world CLEANUP(world_done) = {0};
    struct ecr_scan scan = {0};
    enum ecr_scan_start start = ECR_START_AUTOMATIC;
    world_open(&world, admin, NULL);
    const struct ecr_image image = {
        {ACCOUNT, NULL, "filled"}, given(world.given, "TEST_IMAGE_DIGEST")};
    assert_success(ecr_scan_findings(world.session, &image, world.arena, &scan));
    assert_int_equal(scan.state, ECR_SCAN_NONE);
    assert_success(ecr_start_scan(world.session, &image, &start));
    assert_int_equal(start, ECR_START_DONE);
    assert_success(ecr_start_scan(world.session, &image, &start));
    assert_int_equal(start, ECR_START_LIMITED);
    assert_success(ecr_scan_findings(world.session, &image, world.arena, &scan));
    assert_int_equal(scan.state, ECR_SCAN_DONE);
    assert_string_equal(scan.status, "COMPLETE");
    assert_int_equal(scan.counts[ECR_HIGH], 1);
    assert_int_equal(scan.worst_count, 1);
    assert_string_equal(scan.worst[0].name, "CVE-9999-9999");
}

static void
logs_in_to_the_registry(void **state)
{
    (void)state;
    struct world world CLEANUP(world_done) = {0};
    struct ecr_login login CLEANUP(ecr_login_done) = {0};
    world_open(&world, admin, NULL);
    assert_success(ecr_login(world.session, ACCOUNT ".dkr.ecr.us-east-1.amazonaws.com", &login));
    assert_string_equal(login.user, "AWS");
    assert_true(secret_expose(login.password).len > 0);
    assert_int_not_equal(login.expires_ms, 0);
}

static const char *
secret_of(struct world *world, const char *id, const char *stage, size_t *len)
{
    struct secret *value CLEANUP(secret_freep) = NULL;
    assert_success(secrets_manager_get(world->session, id, stage, &value));
    *len = secret_expose(value).len;
    return arena_str(world->arena, secret_expose(value));
}

static void
reads_secrets(void **state)
{
    (void)state;
    struct world world CLEANUP(world_done) = {0};
    struct secret *none = NULL;
    size_t len = 0;
    world_open(&world, admin, NULL);
    assert_string_equal(secret_of(&world, "shop/text", NULL, &len), "{\"key\": \"second\"}");
    assert_string_equal(
        secret_of(&world, "shop/text", "AWSPREVIOUS", &len), "{\"key\": \"first\"}");
    assert_memory_equal(secret_of(&world, "shop/binary", NULL, &len), "\0\1\xff", 3);
    assert_int_equal(len, 3);
    struct error *err = secrets_manager_get(world.session, "shop/none", NULL, &none);
    assert_non_null(err);
    assert_string_equal(error_remote_of(err)->code, "ResourceNotFoundException");
    assert_int_equal(error_kind(err), ERROR_CREDENTIALS);
    error_free(err);
}

// moto knows the role by name only, as IAM does, and checks that the request is signed for IAM.
static void
reads_roles_and_whom_they_trust(void **state)
{
    (void)state;
    static const char tasks[] = "ecs-tasks.amazonaws.com";
    struct world world CLEANUP(world_done) = {0};
    struct iam_role role = {0};
    world_open(&world, admin, NULL);
    assert_success(
        iam_role_get(world.session, given(world.given, "TEST_TASK_ROLE"), world.arena, &role));
    assert_string_equal(role.arn, "arn:aws:iam::" ACCOUNT ":role/service/puller");
    assert_string_equal(role.name, "puller");
    assert_string_equal(role.path, "/service/");
    assert_int_equal(iam_trusts(role.trust_json, tasks), IAM_TRUST_CONDITIONAL);
    assert_int_equal(iam_trusts(role.trust_json, "ecs.amazonaws.com"), IAM_TRUST_NO);
    assert_success(iam_role_get(world.session, "deployer", world.arena, &role));
    assert_int_equal(iam_trusts(role.trust_json, tasks), IAM_TRUST_YES); // it trusts everybody
    assert_success(iam_role_get(world.session, "nobody-made-it", world.arena, &role));
    assert_null(role.arn);
}

static void
a_role_may_be_forbidden(void **state)
{
    (void)state;
    static const char *const nobody[] = {
        "AWS_ACCESS_KEY_ID=TEST_NOBODY_KEY", "AWS_SECRET_ACCESS_KEY=TEST_NOBODY_SECRET", NULL};
    static const char *const wrong[] = {
        "AWS_ACCESS_KEY_ID=TEST_KEY", "AWS_SECRET_ACCESS_KEY=not-the-secret", NULL};
    struct world world CLEANUP(world_done) = {0}, other CLEANUP(world_done) = {0};
    struct iam_role role = {0};
    world_open(&world, nobody, NULL);
    struct error *err = iam_role_get(world.session, "deployer", world.arena, &role);
    assert_true(aws_is_denied(err));
    assert_string_equal(error_hint_of(err),
        "Allow the action 'iam:GetRole' to the role in use; 'dispatcher doctor' shows which one "
        "that is.");
    error_free(err);
    world_open(&other, wrong, NULL);
    err = iam_role_get(other.session, "deployer", other.arena, &role);
    assert_true(aws_has_code(err, "SignatureDoesNotMatch"));
    error_free(err);
}

static void
decrypts_a_secure_parameter(void **state)
{
    (void)state;
    struct world world CLEANUP(world_done) = {0};
    struct ssm_parameter *got = NULL;
    world_open(&world, admin, NULL);
    assert_success(ssm_get(world.session, "/shop/secure", world.arena, &got));
    assert_string_equal(got->type, "SecureString");
    assert_string_equal(got->value, "kept");
}

static void
a_secret_may_be_forbidden(void **state)
{
    (void)state;
    static const char *const nobody[] = {
        "AWS_ACCESS_KEY_ID=TEST_NOBODY_KEY", "AWS_SECRET_ACCESS_KEY=TEST_NOBODY_SECRET", NULL};
    struct world world CLEANUP(world_done) = {0};
    struct secret *none = NULL;
    world_open(&world, nobody, NULL);
    struct error *err = secrets_manager_get(world.session, "shop/text", NULL, &none);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CREDENTIALS);
    assert_string_equal(error_hint_of(err),
        "Allow the action 'secretsmanager:GetSecretValue' to the role in use; 'dispatcher doctor' "
        "shows which one that is.");
    error_free(err);
}

static void
copy_header(void *ctx, const char *name, const struct json *values)
{
    struct http_headers *headers = ctx;
    assert_int_equal(json_count(values), 1);
    if (strcmp(name, "Content-Length") != 0) { // the transport writes it itself
        http_headers_add(headers, name, json_str(json_at(values, 0)));
    }
}

/// What STS answers when a third party sends the proof; `body` as it likes.
static int
send_proof(struct world *world, const struct aws_identity_proof *proof, const char *body,
    struct http_response *response)
{
    struct json *list CLEANUP(json_freep) = NULL;
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    assert_success(json_parse(secret_expose(proof->headers), &json_limits_default, &list));
    json_each(list, copy_header, &headers);
    const struct http_request request = {.method = HTTP_POST,
        .url = given(world->given, "TEST_ENDPOINT"),
        .headers = &headers,
        .body = str_of(body)};
    assert_success(http_send(world->http, &request, response));
    return response->status;
}

static void
proves_who_it_is_to_others(void **state)
{
    (void)state;
    struct world world CLEANUP(world_done) = {0};
    struct aws_identity_proof proof CLEANUP(aws_identity_proof_done) = {0};
    struct http_response answer CLEANUP(http_response_done) = {0};
    world_open(&world, admin, NULL);
    assert_success(aws_sign_caller_identity(world.session, "vault.example.org", NULL, &proof));
    assert_int_equal(send_proof(&world, &proof, proof.body, &answer), 200);
    assert_true(str_contains(buf_str(&answer.body), STR("arn:aws:iam::" ACCOUNT ":user/admin")));
    assert_int_equal(
        send_proof(&world, &proof, "Action=GetSessionToken&Version=2011-06-15", &answer), 403);
}

static struct error *
fake_token(void *ctx, const char *audience, struct secret **out)
{
    unsigned *asked = ctx;
    (*asked)++;
    assert_string_equal(audience, "sts.amazonaws.com");
    *out = secret_new(STR("eyJhbGciOiJub25lIn0.eyJzdWIiOiJyZXBvOm8vciJ9.c2ln"));
    return NULL;
}

// moto fails on any unsigned request while it checks signatures, so it is told to let one action
// through; all after that one are checked again.
static void
let_one_action_through(const struct world *world)
{
    char *url CLEANUP(xfreep) =
        xasprintf("%s/moto-api/reset-auth", given(world->given, "TEST_ENDPOINT"));
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    struct http_response response CLEANUP(http_response_done) = {0};
    http_headers_add(&headers, "Content-Type", "text/plain");
    const struct http_request request = {
        .method = HTTP_POST, .url = url, .headers = &headers, .body = STR("1")};
    assert_success(http_send(world->http, &request, &response));
    assert_int_equal(response.status, 200);
}

static void
becomes_the_role_with_the_jobs_token(void **state)
{
    (void)state;
    static const char *const nothing[] = {NULL};
    struct world world CLEANUP(world_done) = {0};
    struct environment *env = environment_new(environ);
    unsigned asked = 0;
    const struct aws_token_source source = {fake_token, &asked};
    const struct aws_options options = {.role_arn = given(env, "TEST_ROLE"),
        .role_session_name = "payments-production",
        .oidc = &source,
        .account = ACCOUNT};
    struct sts_identity identity = {0};
    struct ssm_parameter *parameter = NULL;
    world_open(&world, nothing, &options);
    let_one_action_through(&world);
    assert_success(sts_caller_identity(world.session, world.arena, &identity));
    assert_string_equal(
        identity.arn, "arn:aws:sts::" ACCOUNT ":assumed-role/deployer/payments-production");
    assert_success(ssm_get(world.session, "/app/web/version", world.arena, &parameter));
    assert_non_null(parameter);
    assert_int_equal(asked, 1);
    const struct aws_credentials *credentials = NULL;
    assert_success(aws_credentials_get(world.session, &credentials));
    assert_string_equal(credentials->provider, "oidc");
    assert_string_equal(credentials->account, ACCOUNT);
    int64_t left = credentials->expires_ms - clock_wall(&clock_system);
    assert_true(left > 50 * 60 * 1000 && left < 70 * 60 * 1000);
    environment_free(env);
}

static void
becomes_the_role_of_a_profile(void **state)
{
    (void)state;
    struct aws_fixture *home CLEANUP(aws_fixture_freep) = aws_fixture_new();
    struct environment *env = environment_new(environ);
    char *config CLEANUP(xfreep) =
        xasprintf("[profile deployer]\nrole_arn = %s\nsource_profile = admin\n"
                  "role_session_name = by-profile\nduration_seconds = 900\n",
            given(env, "TEST_ROLE"));
    char *credentials CLEANUP(xfreep) =
        xasprintf("[admin]\naws_access_key_id = %s\naws_secret_access_key = %s\n",
            given(env, "TEST_KEY"), given(env, "TEST_SECRET"));
    char *home_pair CLEANUP(xfreep) = xasprintf("HOME=%s", home->home);
    aws_fixture_file(home, ".aws/config", config);
    aws_fixture_file(home, ".aws/credentials", credentials);
    const char *const pairs[] = {home_pair, "AWS_PROFILE=deployer", NULL};
    struct world world CLEANUP(world_done) = {0};
    struct sts_identity identity = {0};
    world_open(&world, pairs, NULL);
    assert_success(sts_caller_identity(world.session, world.arena, &identity));
    assert_string_equal(identity.arn, "arn:aws:sts::" ACCOUNT ":assumed-role/deployer/by-profile");
    environment_free(env);
}

static void
another_account_is_refused(void **state)
{
    (void)state;
    struct world world CLEANUP(world_done) = {0};
    struct ssm_parameter *parameter = NULL;
    world_open(&world, admin, &(struct aws_options){.account = "210987654321"});
    assert_failure(ssm_get(world.session, "/app/web/version", world.arena, &parameter),
        ERROR_CREDENTIALS,
        "read parameter '/app/web/version': AWS credentials from 'environment' belong to account "
        "'" ACCOUNT "', the configuration wants '210987654321'",
        "Use credentials of account '210987654321', or correct 'aws.account' in dispatcher.yaml.");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_who_it_is),
        cmocka_unit_test(a_wrong_secret_is_refused),
        cmocka_unit_test(a_missing_permission_is_named),
        cmocka_unit_test(writes_and_reads_a_parameter),
        cmocka_unit_test(reads_the_history_in_pages),
        cmocka_unit_test(labels_move),
        cmocka_unit_test(finds_images),
        cmocka_unit_test(scans_an_image),
        cmocka_unit_test(logs_in_to_the_registry),
        cmocka_unit_test(reads_secrets),
        cmocka_unit_test(reads_roles_and_whom_they_trust),
        cmocka_unit_test(a_role_may_be_forbidden),
        cmocka_unit_test(decrypts_a_secure_parameter),
        cmocka_unit_test(a_secret_may_be_forbidden),
        cmocka_unit_test(proves_who_it_is_to_others),
        cmocka_unit_test(becomes_the_role_with_the_jobs_token),
        cmocka_unit_test(becomes_the_role_of_a_profile),
        cmocka_unit_test(another_account_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
