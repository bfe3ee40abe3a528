// Signing in and staying so: the exact bodies, renewal by a clock that jumps, one new login after a
// refusal, and what is said when none of it works.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "vault_fixture.h"
#include "vault_internal.h"

#define LOGIN_JWT VAULT_ADDRESS "/v1/auth/jwt/login"
#define LOGIN_AWS VAULT_ADDRESS "/v1/auth/aws/login"
#define RENEW VAULT_ADDRESS "/v1/auth/token/renew-self"
#define READ VAULT_ADDRESS "/v1/kv/data/shop"
#define VALUE VAULT_KV_ANSWER("{\"key\":\"value-1\"}")
#define HOUR_MS (INT64_C(3600) * 1000)

static const char *const no_token[] = {
    "!X-Vault-Token", "X-Vault-Request: true", "Content-Type: application/json", NULL};
static const char *const with_1[] = {"X-Vault-Token: hvs.token-one", NULL};
static const char *const with_2[] = {"X-Vault-Token: hvs.token-two", NULL};
static const char *const namespaced[] = {"!X-Vault-Token", "X-Vault-Namespace: admin/team", NULL};

static const struct vault_options by_jwt = {.auth = VAULT_AUTH_JWT, .role = "deploy"};

static struct script_step
login_step(const char *number, const char *reply)
{
    static const char *const bodies[] = {
        VAULT_JWT_BODY("1"), VAULT_JWT_BODY("2"), VAULT_JWT_BODY("3")};
    return (struct script_step){.method = HTTP_POST,
        .url = LOGIN_JWT,
        .headers = no_token,
        .body = bodies[number[0] - '1'],
        .reply = reply};
}

static struct script_step
read_step(const char *const *headers)
{
    return (struct script_step){.url = READ, .headers = headers, .reply = VALUE};
}

static struct script_step
renew_step(const char *const *headers, const char *increment, const char *reply)
{
    return (struct script_step){
        .method = HTTP_POST, .url = RENEW, .headers = headers, .body = increment, .reply = reply};
}

static void
read_value(struct vault_fixture *v)
{
    struct secret *value CLEANUP(secret_freep) = NULL;
    assert_success(vault_kv_read(v->client, "kv/data/shop", "key", &value));
    assert_string_equal(secret_expose(value).ptr, "value-1");
}

static void
signs_in_by_jwt(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        login_step("1", VAULT_AUTH_ANSWER("hvs.token-one", "3600", "true")),
        read_step(with_1),
        read_step(with_1),
    };
    struct vault_fixture *v CLEANUP(vault_fixture_freep) = vault_fixture_new(steps, 3);
    vault_fixture_open(v, &by_jwt);
    read_value(v);
    read_value(v);
    assert_string_equal(v->audience, VAULT_ADDRESS);
    assert_int_equal(v->asked, 1);
    vault_fixture_finish(v);
}

static void
signs_in_by_aws(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = LOGIN_AWS,
            .headers = no_token,
            .body = VAULT_AWS_BODY,
            .reply = VAULT_AUTH_ANSWER("hvs.token-one", "3600", "true")},
        {.url = READ, .headers = with_1, .reply = VALUE},
    };
    struct vault_fixture *v CLEANUP(vault_fixture_freep) = vault_fixture_new(steps, 2);
    vault_fixture_open(
        v, &(struct vault_options){
               .auth = VAULT_AUTH_AWS, .role = "deploy", .server_id = "vault.example.org"});
    read_value(v);
    assert_string_equal(v->server_id, "vault.example.org");
    vault_fixture_finish(v);
}

static void
mount_audience_and_namespace_are_ours_to_choose(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.method = HTTP_POST,
            .url = VAULT_ADDRESS "/v1/auth/team%20a/github/login",
            .headers = namespaced,
            .body = "{\"jwt\":\"jwt-1\"}",
            .reply = VAULT_AUTH_ANSWER("hvs.token-one", "0", "false")},
        {.url = READ, .headers = with_1, .reply = VALUE, .times = 2},
    };
    struct vault_fixture *v CLEANUP(vault_fixture_freep) = vault_fixture_new(steps, 2);
    vault_fixture_open(v, &(struct vault_options){.auth = VAULT_AUTH_JWT,
                              .mount = "/team a/github/",
                              .namespace = "admin/team",
                              .audience = "https://octo.example"});
    read_value(v);
    fake_platform_advance(v->fake, 1000 * HOUR_MS); // a lease of 0 does not end
    read_value(v);
    assert_string_equal(v->audience, "https://octo.example");
    vault_fixture_finish(v);
}

// 3600 s: renewed from 2880 s on, not a millisecond before.
static void
renews_at_four_fifths(void **state)
{
    (void)state;
    const char *const hour = "{\"increment\":\"3600s\"}";
    const struct script_step steps[] = {
        login_step("1", VAULT_AUTH_ANSWER("hvs.token-one", "3600", "true")),
        read_step(with_1),
        read_step(with_1),
        renew_step(with_1, hour, VAULT_AUTH_ANSWER("hvs.token-one", "3600", "true")),
        read_step(with_1),
        read_step(with_1),
        renew_step(with_1, hour, VAULT_AUTH_ANSWER("hvs.token-one", "3600", "true")),
        read_step(with_1),
    };
    struct vault_fixture *v CLEANUP(vault_fixture_freep) =
        vault_fixture_new(steps, ARRAY_LENGTH(steps));
    vault_fixture_open(v, &by_jwt);
    read_value(v);
    fake_platform_advance(v->fake, HOUR_MS * 4 / 5 - 1);
    read_value(v);
    fake_platform_advance(v->fake, 1);
    read_value(v);
    fake_platform_advance(v->fake, HOUR_MS * 4 / 5 - 1);
    read_value(v);
    fake_platform_advance(v->fake, 1);
    read_value(v);
    assert_int_equal(v->asked, 1);
    vault_fixture_finish(v);
}

static void
signs_in_again_where_renewing_does_not_work(void **state)
{
    (void)state;
    static const char hour[] = "{\"increment\":\"3600s\"}";
    static const struct {
        const char *renewable, *renewed; // NULL: not even tried
        int status;
        unsigned times;
    } rows[] = {
        {"false", NULL, 0, 0},
        {"true", "{\"errors\":[\"permission denied\"]}", 403, 1},
        {"true", "{\"errors\":[\"lease is not renewable\"]}", 400, 1},
        {"true", "no json", 200, 1},
        {"true", "{\"auth\":{\"lease_duration\":0}}", 200, 1},
        {"true", "{\"errors\":[]}", 500, 3},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const bool never = rows[i].renewed == NULL;
        struct script_step steps[5] = {
            login_step("1", never ? VAULT_AUTH_ANSWER("hvs.token-one", "3600", "false")
                                  : VAULT_AUTH_ANSWER("hvs.token-one", "3600", "true")),
            read_step(with_1),
        };
        size_t count = 2;
        if (!never) {
            steps[count] = renew_step(with_1, hour, rows[i].renewed);
            steps[count].status = rows[i].status;
            steps[count++].times = rows[i].times;
        }
        steps[count++] = login_step("2", VAULT_AUTH_ANSWER("hvs.token-two", "3600", "true"));
        steps[count++] = read_step(with_2);
        struct vault_fixture *v CLEANUP(vault_fixture_freep) = vault_fixture_new(steps, count);
        vault_fixture_open(v, &by_jwt);
        read_value(v);
        fake_platform_advance(v->fake, HOUR_MS * 4 / 5);
        read_value(v);
        vault_fixture_finish(v);
    }
}

// The longest life of a token is near when a renewal gives less than half: the next is a login.
static void
a_renewal_that_gives_little_is_the_last(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        login_step("1", VAULT_AUTH_ANSWER("hvs.token-one", "3600", "true")),
        read_step(with_1),
        renew_step(with_1, "{\"increment\":\"3600s\"}",
            VAULT_AUTH_ANSWER("hvs.token-one", "1000", "true")),
        read_step(with_1),
        read_step(with_1),
        login_step("2", VAULT_AUTH_ANSWER("hvs.token-two", "3600", "true")),
        read_step(with_2),
    };
    struct vault_fixture *v CLEANUP(vault_fixture_freep) =
        vault_fixture_new(steps, ARRAY_LENGTH(steps));
    vault_fixture_open(v, &by_jwt);
    read_value(v);
    fake_platform_advance(v->fake, HOUR_MS * 4 / 5);
    read_value(v);
    fake_platform_advance(v->fake, 799 * 1000);
    read_value(v);
    fake_platform_advance(v->fake, 1000);
    read_value(v);
    vault_fixture_finish(v);
}

static void
an_expired_token_is_not_renewed(void **state)
{
    (void)state;
    const struct script_step steps[] = {
        login_step("1", VAULT_AUTH_ANSWER("hvs.token-one", "3600", "true")),
        read_step(with_1),
        login_step("2", VAULT_AUTH_ANSWER("hvs.token-two", "3600", "true")),
        read_step(with_2),
    };
    struct vault_fixture *v CLEANUP(vault_fixture_freep) =
        vault_fixture_new(steps, ARRAY_LENGTH(steps));
    vault_fixture_open(v, &by_jwt);
    read_value(v);
    fake_platform_advance(v->fake, HOUR_MS);
    read_value(v);
    vault_fixture_finish(v);
}

// While Vault's logins are down a token that lives is used, and its end is the end.
static void
a_living_token_is_kept_while_nothing_works(void **state)
{
    (void)state;
    struct script_step down = login_step("2", "");
    struct script_step down_again = login_step("3", "");
    down.status = 502;
    down.times = 3;
    down_again.status = 502;
    down_again.times = 3;
    const struct script_step steps[] = {
        login_step("1", VAULT_AUTH_ANSWER("hvs.token-one", "3600", "false")),
        read_step(with_1),
        down,
        read_step(with_1),
        read_step(with_1), // no other try for half a minute
        down_again,
    };
    struct vault_fixture *v CLEANUP(vault_fixture_freep) =
        vault_fixture_new(steps, ARRAY_LENGTH(steps));
    struct secret *value = NULL;
    vault_fixture_open(v, &by_jwt);
    read_value(v);
    fake_platform_advance(v->fake, HOUR_MS * 4 / 5);
    read_value(v);
    fake_platform_advance(v->fake, 20 * 1000);
    read_value(v);
    fake_platform_advance(v->fake, HOUR_MS);
    assert_failure(vault_kv_read(v->client, "kv/data/shop", "key", &value), ERROR_UNAVAILABLE,
        "read 'kv/data/shop' from Vault: sign in to Vault at '" VAULT_ADDRESS
        "' as role 'deploy': no answer of Vault's (HTTP 502)",
        NULL);
    vault_fixture_finish(v);
}

static void
a_refused_token_is_replaced_once(void **state)
{
    (void)state;
    struct script_step refused = read_step(with_1), refused_again = read_step(with_2);
    refused.status = 403;
    refused.reply = "{\"errors\":[\"permission denied\"]}";
    refused_again.status = 403;
    refused_again.reply = refused.reply;
    const struct script_step steps[] = {
        login_step("1", VAULT_AUTH_ANSWER("hvs.token-one", "3600", "true")),
        read_step(with_1),
        refused,
        login_step("2", VAULT_AUTH_ANSWER("hvs.token-two", "3600", "true")),
        read_step(with_2),
        refused_again,
        login_step("3", VAULT_AUTH_ANSWER("hvs.token-two", "3600", "true")),
        refused_again,
    };
    struct vault_fixture *v CLEANUP(vault_fixture_freep) =
        vault_fixture_new(steps, ARRAY_LENGTH(steps));
    struct secret *value = NULL;
    vault_fixture_open(v, &by_jwt);
    read_value(v);
    read_value(v);
    assert_failure(vault_kv_read(v->client, "kv/data/shop", "key", &value), ERROR_CREDENTIALS,
        "read 'kv/data/shop' from Vault: role 'deploy' may not read 'kv/data/shop': permission "
        "denied (HTTP 403)",
        "Give it a policy that allows 'read' on 'kv/data/shop'; a wrong namespace is refused in "
        "the same way.");
    vault_fixture_finish(v);
}

// A token of this very call is none that has ended: asking for another would change nothing.
static void
a_fresh_token_that_is_refused_lacks_permission(void **state)
{
    (void)state;
    struct script_step refused = read_step(with_1);
    refused.status = 403;
    refused.reply = "{\"errors\":[\"permission denied\"]}";
    const struct script_step steps[] = {
        login_step("1", VAULT_AUTH_ANSWER("hvs.token-one", "3600", "true")),
        refused,
    };
    struct vault_fixture *v CLEANUP(vault_fixture_freep) = vault_fixture_new(steps, 2);
    struct secret *value = NULL;
    vault_fixture_open(v, &by_jwt);
    struct error *err CLEANUP(error_freep) =
        vault_kv_read(v->client, "kv/data/shop", "key", &value);
    assert_int_equal(error_kind(err), ERROR_CREDENTIALS);
    vault_fixture_finish(v);
}

#define SIGN_IN "no token for Vault: sign in to Vault at '" VAULT_ADDRESS "' as role 'deploy': "

static void
a_refused_login_says_what_to_check(void **state)
{
    (void)state;
    static const char jwt_hint[] = "Check in 'auth/jwt' that the role's bound audience is "
                                   "'" VAULT_ADDRESS "' and that its bound claims fit this job.";
    static const char aws_hint[] =
        "Check the role's bound principal in 'auth/aws', 'vault.server_id', and whether that mount "
        "asks for a regional STS ('vault.sts_region').";
    static const struct {
        enum vault_auth auth;
        int status;
        const char *reply, *text, *hint;
    } rows[] = {
        {VAULT_AUTH_JWT, 400,
            "{\"errors\":[\"error validating token: invalid audience (aud) claim in jwt-1\"]}",
            SIGN_IN "error validating token: invalid audience (aud) claim in jwt-1 (HTTP 400)",
            jwt_hint},
        {VAULT_AUTH_JWT, 403, "{\"errors\":[\"permission denied\"]}",
            SIGN_IN "permission denied (HTTP 403)", jwt_hint},
        {VAULT_AUTH_JWT, 404, "{\"errors\":[]}", SIGN_IN "not found (HTTP 404)", jwt_hint},
        {VAULT_AUTH_AWS, 400, "{\"errors\":[\"IAM principal does not belong to the role\"]}",
            SIGN_IN "IAM principal does not belong to the role (HTTP 400)", aws_hint},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct script_step step = {.method = HTTP_POST,
            .url = rows[i].auth == VAULT_AUTH_AWS ? LOGIN_AWS : LOGIN_JWT,
            .status = rows[i].status,
            .reply = rows[i].reply};
        struct vault_fixture *v CLEANUP(vault_fixture_freep) = vault_fixture_new(&step, 1);
        struct secret *value = NULL;
        char text[600];
        (void)snprintf(text, sizeof(text), "read 'kv/data/shop' from Vault: %s", rows[i].text);
        vault_fixture_open(v, &(struct vault_options){.auth = rows[i].auth, .role = "deploy"});
        assert_failure(vault_kv_read(v->client, "kv/data/shop", "key", &value), ERROR_CREDENTIALS,
            text, rows[i].hint);
        vault_fixture_finish(v);
    }
}

static void
logins_without_a_token_are_none(void **state)
{
    (void)state;
    static const char *const replies[] = {"{}", "{\"auth\":null}", "{\"auth\":{}}",
        "{\"auth\":{\"client_token\":\"\"}}", "{\"auth\":{\"client_token\":7}}",
        "{\"auth\":[\"canary-token\"]}", "{\"wrap_info\":{\"token\":\"canary-token\"}}"};
    for (size_t i = 0; i < ARRAY_LENGTH(replies); i++) {
        const struct script_step step = login_step("1", replies[i]);
        struct vault_fixture *v CLEANUP(vault_fixture_freep) = vault_fixture_new(&step, 1);
        struct secret *value = NULL;
        vault_fixture_open(v, &by_jwt);
        assert_failure(vault_kv_read(v->client, "kv/data/shop", "key", &value), ERROR_UNAVAILABLE,
            "read 'kv/data/shop' from Vault: sign in to Vault at '" VAULT_ADDRESS
            "' as role 'deploy': unusable answer: no 'auth.client_token'",
            NULL);
    }
}

static void
odd_leases_do_no_harm(void **state)
{
    (void)state;
    static const char *const leases[] = {
        "-5", "9223372036854775807", "\"3600\"", "null", "1e300", "{}"};
    for (size_t i = 0; i < ARRAY_LENGTH(leases); i++) {
        char reply[300];
        (void)snprintf(reply, sizeof(reply),
            "{\"auth\":{\"client_token\":\"hvs.token-one\",\"lease_duration\":%s,"
            "\"renewable\":\"yes\"}}",
            leases[i]);
        const struct script_step steps[] = {login_step("1", reply), read_step(with_1)};
        struct vault_fixture *v CLEANUP(vault_fixture_freep) = vault_fixture_new(steps, 2);
        vault_fixture_open(v, &by_jwt);
        read_value(v);
        vault_fixture_finish(v);
    }
}

static void
what_the_source_says_is_the_reason(void **state)
{
    (void)state;
    struct vault_fixture *v CLEANUP(vault_fixture_freep) = vault_fixture_new(NULL, 0);
    struct secret *value = NULL;
    v->source_fails = "the runner is on strike";
    vault_fixture_open(v, &by_jwt);
    assert_failure(vault_kv_read(v->client, "kv/data/shop", "key", &value), ERROR_CREDENTIALS,
        "read 'kv/data/shop' from Vault: " SIGN_IN "the runner is on strike", NULL);
}

static void
a_signal_ends_it(void **state)
{
    (void)state;
    struct script_step down = login_step("1", "");
    down.status = 500;
    struct vault_fixture *v CLEANUP(vault_fixture_freep) = vault_fixture_new(&down, 1);
    struct secret *value = NULL;
    v->fake->cancel_at_ms = v->fake->mono_ms + 1;
    vault_fixture_open(v, &by_jwt);
    struct error *err CLEANUP(error_freep) =
        vault_kv_read(v->client, "kv/data/shop", "key", &value);
    assert_int_equal(error_kind(err), ERROR_CANCELLED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_in_by_jwt),
        cmocka_unit_test(signs_in_by_aws),
        cmocka_unit_test(mount_audience_and_namespace_are_ours_to_choose),
        cmocka_unit_test(renews_at_four_fifths),
        cmocka_unit_test(signs_in_again_where_renewing_does_not_work),
        cmocka_unit_test(a_renewal_that_gives_little_is_the_last),
        cmocka_unit_test(an_expired_token_is_not_renewed),
        cmocka_unit_test(a_living_token_is_kept_while_nothing_works),
        cmocka_unit_test(a_refused_token_is_replaced_once),
        cmocka_unit_test(a_fresh_token_that_is_refused_lacks_permission),
        cmocka_unit_test(a_refused_login_says_what_to_check),
        cmocka_unit_test(logins_without_a_token_are_none),
        cmocka_unit_test(odd_leases_do_no_harm),
        cmocka_unit_test(what_the_source_says_is_the_reason),
        cmocka_unit_test(a_signal_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
