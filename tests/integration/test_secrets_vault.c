// The Vault room over libcurl against Vault's own dev server, which with_vault.py starts and fills.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/memory.h"
#include "dispatcher/vault.h"

extern char **environ;

struct world {
    struct environment *given;
    struct platform platform;
    struct http_client *http;
    struct vault_client *vault;
    struct arena *arena;
    unsigned logins;
};

static const char *
given(const struct world *world, const char *name)
{
    const char *value = environment_get(world->given, name);
    if (value == NULL) {
        fail_msg("%s is not set: run this program by with_vault.py", name);
    }
    return value;
}

static void
world_done(struct world *world)
{
    vault_client_free(world->vault);
    http_client_free(world->http);
    environment_free(world->given);
    arena_free(world->arena);
}

static struct error *
give_jwt(void *ctx, const char *audience, struct secret **out)
{
    struct world *world = ctx;
    world->logins++;
    assert_string_equal(audience, given(world, "TEST_VAULT_AUDIENCE"));
    *out = secret_new(str_of(given(world, "TEST_VAULT_JWT")));
    return NULL;
}

static void
world_start(struct world *world)
{
    world->arena = arena_new();
    world->given = environment_new(environ);
    world->platform =
        (struct platform){.clock = &clock_system, .random = &random_system, .env = world->given};
    assert_success(http_client_new(&world->platform, NULL, &world->http));
}

static void
open_with_token(struct world *world, const char *text)
{
    struct secret *token CLEANUP(secret_freep) = secret_new(str_of(text));
    const struct vault_options options = {
        .address = given(world, "TEST_VAULT_ADDR"), .token = token};
    assert_success(vault_client_new(&world->platform, world->http, &options, &world->vault));
}

static void
open_with_jwt(struct world *world, const char *role)
{
    const struct vault_jwt_source jwt = {give_jwt, world};
    const struct vault_options options = {.address = given(world, "TEST_VAULT_ADDR"),
        .auth = VAULT_AUTH_JWT,
        .role = role,
        .audience = given(world, "TEST_VAULT_AUDIENCE"),
        .jwt = &jwt};
    assert_success(vault_client_new(&world->platform, world->http, &options, &world->vault));
}

static void
expect_secret(struct world *world, const char *path, const char *key, const char *value)
{
    struct secret *secret CLEANUP(secret_freep) = NULL;
    assert_success(vault_kv_read(world->vault, path, key, &secret));
    assert_string_equal(secret_expose(secret).ptr, value);
}

/// The error's whole text starts so; `status` is what Vault answered.
static void
expect_refusal(struct world *world, const char *path, int status, const char *start)
{
    struct secret *secret = NULL;
    struct error *err CLEANUP(error_freep) = vault_kv_read(world->vault, path, "key", &secret);
    assert_non_null(err);
    char *text CLEANUP(xfreep) = error_text(err);
    if (strncmp(text, start, strlen(start)) != 0) {
        fail_msg("'%s' does not start with '%s'", text, start);
    }
    assert_int_equal(error_remote_of(err)->status, status);
    assert_int_equal(error_kind(err), status == 200 ? ERROR_UNAVAILABLE : ERROR_CREDENTIALS);
}

static void
reads_by_token(void **state)
{
    (void)state;
    struct world world CLEANUP(world_done) = {0};
    struct vault_identity who = {0};
    world_start(&world);
    open_with_token(&world, given(&world, "TEST_VAULT_ROOT"));
    expect_secret(&world, "secret/data/shop", "key", "from vault \xc3\xa9");
    expect_secret(&world, "secret/data/shop", "number", "7");
    assert_success(vault_identity_get(world.vault, world.arena, &who));
    assert_int_equal(who.policies.count, 1);
    assert_string_equal(who.policies.items[0], "root");
    assert_int_equal(who.left_ms, 0);
}

static void
signs_in_by_jwt_and_renews(void **state)
{
    (void)state;
    struct world world CLEANUP(world_done) = {0};
    struct vault_identity who = {0};
    world_start(&world);
    open_with_jwt(&world, "deploy");
    expect_secret(&world, "secret/data/shop", "key", "from vault \xc3\xa9");
    assert_success(vault_identity_get(world.vault, world.arena, &who));
    assert_non_null(who.name);
    assert_true(who.left_ms > 0 && who.left_ms <= 2000);
    // A lease of 2 s: due after 1.6 s, and alive then only by being renewed.
    assert_success(clock_sleep_until(&clock_system, clock_mono(&clock_system) + 1700, NULL));
    expect_secret(&world, "secret/data/shop", "number", "7");
    assert_int_equal(world.logins, 1);
    assert_success(clock_sleep_until(&clock_system, clock_mono(&clock_system) + 2500, NULL));
    expect_secret(&world, "secret/data/shop", "number", "7");
    assert_int_equal(world.logins, 2);
}

static void
refusals(void **state)
{
    (void)state;
    struct world world CLEANUP(world_done) = {0};
    world_start(&world);
    open_with_jwt(&world, "deploy");
    expect_refusal(&world, "secret/data/forbidden", 403,
        "read 'secret/data/forbidden' from Vault: role 'deploy' may not read "
        "'secret/data/forbidden': ");
    expect_refusal(&world, "secret/data/none", 404,
        "read 'secret/data/none' from Vault: there is no secret at 'secret/data/none': ");
    expect_refusal(&world, "secret/data/gone", 0,
        "read 'secret/data/gone' from Vault: version 1 of 'secret/data/gone' was deleted at 20");
    expect_refusal(&world, "kv1/data/shop", 200,
        "read 'kv1/data/shop' from Vault: unusable answer: no 'data.data'");
}

static void
a_token_that_is_none(void **state)
{
    (void)state;
    struct world world CLEANUP(world_done) = {0};
    world_start(&world);
    open_with_token(&world, "hvs.not-a-token-of-this-server");
    expect_refusal(&world, "secret/data/shop", 403,
        "read 'secret/data/shop' from Vault: the token in VAULT_TOKEN may not read "
        "'secret/data/shop': ");
}

static void
a_role_that_is_none(void **state)
{
    (void)state;
    struct world world CLEANUP(world_done) = {0};
    world_start(&world);
    open_with_jwt(&world, "nobody");
    expect_refusal(&world, "secret/data/shop", 400,
        "read 'secret/data/shop' from Vault: no token for Vault: sign in to Vault at '");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_by_token),
        cmocka_unit_test(signs_in_by_jwt_and_renews),
        cmocka_unit_test(refusals),
        cmocka_unit_test(a_token_that_is_none),
        cmocka_unit_test(a_role_that_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
