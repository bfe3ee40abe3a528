// See the header.
#include "vault_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/memory.h"

static struct error *
give_jwt(void *ctx, const char *audience, struct secret **out)
{
    struct vault_fixture *vault = ctx;
    vault->asked++;
    vault->audience = arena_dup(vault->arena, audience);
    if (vault->source_fails != NULL) {
        return error_new(ERROR_CREDENTIALS, "%s", vault->source_fails);
    }
    *out = secret_new(str_of(arena_printf(vault->arena, "jwt-%u", vault->asked)));
    return NULL;
}

static struct error *
give_proof(void *ctx, const char *server_id, struct vault_identity_proof *out)
{
    struct vault_fixture *vault = ctx;
    vault->asked++;
    vault->server_id = arena_dup(vault->arena, server_id);
    if (vault->source_fails != NULL) {
        return error_new(ERROR_CREDENTIALS, "%s", vault->source_fails);
    }
    *out = (struct vault_identity_proof){
        .method = "POST",
        .url = xstrdup("https://sts.amazonaws.com/"),
        .body = xstrdup("Action=GetCallerIdentity&Version=2011-06-15"),
        .headers = secret_new(STR("{\"Host\":[\"sts.amazonaws.com\"]}")),
    };
    return NULL;
}

struct vault_fixture *
vault_fixture_new(const struct script_step *steps, size_t count)
{
    struct vault_fixture *vault = xcalloc(1, sizeof(*vault));
    vault->arena = arena_new();
    vault->fake = fake_platform_new(NULL);
    fake_platform_fix_random(vault->fake, 0.5);
    vault->script = script_transport_new(vault->fake, steps, count);
    vault->token = secret_new(STR(VAULT_TOKEN_TEXT));
    vault->jwt = (struct vault_jwt_source){give_jwt, vault};
    vault->aws = (struct vault_proof_source){give_proof, vault};
    assert_success(http_client_new(&vault->fake->platform, NULL, &vault->http));
    return vault;
}

void
vault_fixture_free(struct vault_fixture *vault)
{
    if (vault == NULL) {
        return;
    }
    vault_client_free(vault->client);
    http_client_free(vault->http);
    script_transport_free(vault->script);
    fake_platform_free(vault->fake);
    secret_free(vault->token);
    arena_free(vault->arena);
    free(vault);
}

void
vault_fixture_freep(struct vault_fixture **vault)
{
    vault_fixture_free(*vault);
    *vault = NULL;
}

struct error *
vault_fixture_try(struct vault_fixture *vault, const struct vault_options *options)
{
    struct vault_options full = *options;
    full.address = full.address != NULL ? full.address : VAULT_ADDRESS;
    full.aws = full.aws != NULL ? full.aws : &vault->aws;
    full.jwt = full.jwt != NULL ? full.jwt : &vault->jwt;
    return vault_client_new(&vault->fake->platform, vault->http, &full, &vault->client);
}

void
vault_fixture_open(struct vault_fixture *vault, const struct vault_options *options)
{
    assert_success(vault_fixture_try(vault, options));
}

void
vault_fixture_finish(const struct vault_fixture *vault)
{
    script_transport_finish(vault->script);
}
