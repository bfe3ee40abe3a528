// What a client can be made of.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "vault_fixture.h"
#include "vault_internal.h"

static void
addresses(void **state)
{
    (void)state;
    static const char *const good[] = {"https://vault.example.org", "https://10.0.0.7:8200/",
        "http://127.0.0.1:8200", "http://localhost:8200/vault", "https://[2001:db8::1]:8200"};
    static const struct {
        const char *address, *text, *hint;
    } bad[] = {
        {"", "Vault's address is not known",
            "Set VAULT_ADDR, or 'vault.address' in dispatcher.yaml."},
        {"http://vault.example.org", "Vault's address 'http://vault.example.org' is not https",
            "Plain http is for a Vault on this machine only."},
        {"http://127.0.0.1.example.org",
            "Vault's address 'http://127.0.0.1.example.org' is not "
            "https",
            "Plain http is for a Vault on this machine only."},
        {"https://user:canary@vault.example.org",
            "Vault's address holds a user name, a query or a fragment", NULL},
        {"https://vault.example.org/?token=canary",
            "Vault's address holds a user name, a query or a fragment", NULL},
        {"https://vault.example.org/#canary",
            "Vault's address holds a user name, a query or a fragment", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        struct vault_fixture *v CLEANUP(vault_fixture_freep) = vault_fixture_new(NULL, 0);
        vault_fixture_open(v, &(struct vault_options){.address = good[i], .token = v->token});
        assert_true(v->client->address[strlen(v->client->address) - 1] != '/');
    }
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct vault_fixture *v CLEANUP(vault_fixture_freep) = vault_fixture_new(NULL, 0);
        assert_failure(vault_fixture_try(v,
                           &(struct vault_options){.address = bad[i].address, .token = v->token}),
            ERROR_SPEC, bad[i].text, bad[i].hint);
    }
    static const char *const odd[] = {
        "unix:///run/vault.sock", "vault.example.org", "ftp://a", "x"};
    for (size_t i = 0; i < ARRAY_LENGTH(odd); i++) {
        struct vault_fixture *v CLEANUP(vault_fixture_freep) = vault_fixture_new(NULL, 0);
        struct error *err CLEANUP(error_freep) =
            vault_fixture_try(v, &(struct vault_options){.address = odd[i], .token = v->token});
        assert_int_equal(error_kind(err), ERROR_SPEC);
    }
}

static void
mounts(void **state)
{
    (void)state;
    static const char *const bad[] = {"/", "a//b", "..", "a/../b", "./a"};
    static const struct {
        enum vault_auth auth;
        const char *given, *used;
    } good[] = {
        {VAULT_AUTH_JWT, NULL, "jwt"},
        {VAULT_AUTH_AWS, NULL, "aws"},
        {VAULT_AUTH_AWS, "", "aws"},
        {VAULT_AUTH_JWT, "/github/", "github"},
        {VAULT_AUTH_JWT, "a/b", "a/b"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct vault_fixture *v CLEANUP(vault_fixture_freep) = vault_fixture_new(NULL, 0);
        struct error *err CLEANUP(error_freep) =
            vault_fixture_try(v, &(struct vault_options){.auth = VAULT_AUTH_JWT, .mount = bad[i]});
        assert_int_equal(error_kind(err), ERROR_SPEC);
        assert_null(v->client);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        struct vault_fixture *v CLEANUP(vault_fixture_freep) = vault_fixture_new(NULL, 0);
        vault_fixture_open(
            v, &(struct vault_options){.auth = good[i].auth, .mount = good[i].given});
        assert_string_equal(v->client->mount, good[i].used);
    }
}

static void
what_is_lacking_is_named(void **state)
{
    (void)state;
    static const struct {
        enum vault_auth auth;
        const char *text, *hint;
    } rows[] = {
        {VAULT_AUTH_TOKEN, "no token for Vault",
            "Set VAULT_TOKEN, or let 'vault.auth' in dispatcher.yaml be 'jwt' or 'aws'."},
        {VAULT_AUTH_AWS, "no AWS credentials for Vault's login",
            "Run 'dispatcher doctor' to see which credentials there are."},
        {VAULT_AUTH_JWT, "no OIDC token for Vault's login: this is no job that may ask for one",
            "Give the job (or the workflow) 'permissions: id-token: write', or set VAULT_TOKEN."},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct vault_fixture *v CLEANUP(vault_fixture_freep) = vault_fixture_new(NULL, 0);
        const struct vault_options options = {.address = VAULT_ADDRESS, .auth = rows[i].auth};
        assert_failure(vault_client_new(&v->fake->platform, v->http, &options, &v->client),
            ERROR_CREDENTIALS, rows[i].text, rows[i].hint);
    }
}

static void
a_namespace_cannot_break_out(void **state)
{
    (void)state;
    struct vault_fixture *v CLEANUP(vault_fixture_freep) = vault_fixture_new(NULL, 0);
    struct secret *value = NULL;
    vault_fixture_open(
        v, &(struct vault_options){.namespace = "a\r\nX-Vault-Token: b", .token = v->token});
    assert_failure(vault_kv_read(v->client, "kv/data/shop", "key", &value), ERROR_INPUT,
        "read 'kv/data/shop' from Vault: GET " VAULT_ADDRESS
        "/v1/kv/data/shop: a header holds control characters or is too long",
        NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(mounts),
        cmocka_unit_test(what_is_lacking_is_named),
        cmocka_unit_test(a_namespace_cannot_break_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
