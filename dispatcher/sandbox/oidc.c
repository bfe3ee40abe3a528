// The Actions OIDC issuer: discovery, keys, and the endpoint that jobs ask for their tokens
// (facts/github-notify-credentials.md §3). Claims come from whoever granted the request token.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/jwt.h"
#include "dispatcher/memory.h"
#include "sandbox_internal.h"

enum { LIFETIME_S = 300, NOT_BEFORE_S = 600 };

struct oidc_grant {
    char *token;
    struct json *claims;
};

struct oidc_state {
    struct secret *pem;
    struct jwt_key *key;
    char *issuer, *kid;
    struct oidc_grant *grants;
    size_t grant_count;
};

struct error *
sandbox_oidc_start(struct sandbox *sandbox)
{
    struct oidc_state *oidc = xcalloc(1, sizeof(*oidc));
    sandbox->oidc = oidc;
    oidc->issuer = xasprintf("%s/oidc", sandbox->origin);
    char kid[33];
    random_hex(sandbox->platform->random, 16, kid);
    oidc->kid = xstrdup(kid);
    TRY(jwt_key_generate_pem(&oidc->pem));
    return jwt_key_from_pem(oidc->pem, &oidc->key);
}

void
sandbox_oidc_stop(struct sandbox *sandbox)
{
    struct oidc_state *oidc = sandbox->oidc;
    if (oidc == NULL) {
        return;
    }
    for (size_t i = 0; i < oidc->grant_count; i++) {
        free(oidc->grants[i].token);
        json_free(oidc->grants[i].claims);
    }
    free(oidc->grants);
    jwt_key_free(oidc->key);
    secret_free(oidc->pem);
    free(oidc->issuer);
    free(oidc->kid);
    free(oidc);
    sandbox->oidc = NULL;
}

const char *
sandbox_oidc_grant(struct sandbox *sandbox, struct json *claims)
{
    struct oidc_state *oidc = sandbox->oidc;
    char random[41];
    random_hex(sandbox->platform->random, 20, random);
    oidc->grants = xrealloc(oidc->grants, (oidc->grant_count + 1) * sizeof(*oidc->grants));
    oidc->grants[oidc->grant_count] =
        (struct oidc_grant){.token = xasprintf("idtoken_%s", random), .claims = claims};
    return oidc->grants[oidc->grant_count++].token;
}

char *
sandbox_oidc_request_url(const struct sandbox *sandbox)
{
    return xasprintf("%s/token?api-version=2.0", sandbox->oidc->issuer);
}

static struct error *
mint(struct sandbox *sandbox, const struct json *granted, const char *audience,
    struct secret **token)
{
    struct oidc_state *oidc = sandbox->oidc;
    struct json *claims CLEANUP(json_freep) = json_clone(granted);
    int64_t now = sandbox_now(sandbox) / 1000;
    char jti[33];
    random_hex(sandbox->platform->random, 16, jti);
    json_set_str(claims, "iss", oidc->issuer);
    json_set_str(claims, "aud", audience);
    json_set_str(claims, "jti", jti);
    json_set_int(claims, "iat", now);
    json_set_int(claims, "nbf", now - NOT_BEFORE_S);
    json_set_int(claims, "exp", now + LIFETIME_S);
    // The header needs a `kid`, which jwt_sign_rs256 does not write: one key, so none is needed.
    return jwt_sign_rs256(oidc->key, claims, token);
}

static void
answer_token(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    struct oidc_state *oidc = sandbox->oidc;
    const char *bearer = sandbox_request_bearer(request);
    const struct json *claims = NULL;
    for (size_t i = 0; bearer != NULL && i < oidc->grant_count; i++) {
        if (strcmp(oidc->grants[i].token, bearer) == 0) {
            claims = oidc->grants[i].claims;
        }
    }
    if (claims == NULL) {
        sandbox_reply_problem(response, 401, "the request token is not one of this issuer's");
        return;
    }
    const char *audience = sandbox_request_query(request, "audience");
    if (audience == NULL || audience[0] == '\0') {
        audience = arena_printf(request->arena, "https://github.com/%s",
            json_str(json_get(claims, "repository_owner")));
    }
    struct secret *token CLEANUP(secret_freep) = NULL;
    struct error *err CLEANUP(error_freep) = mint(sandbox, claims, audience, &token);
    if (err != NULL) {
        sandbox_reply_problem(response, 500, "%s", error_message(err));
        return;
    }
    struct json *body = json_make_object();
    json_set_int(body, "count", (int64_t)secret_expose(token).len);
    json_set_str(body, "value", secret_expose(token).ptr);
    sandbox_reply_json(response, 200, body);
}

static void
answer_discovery(struct sandbox *sandbox, struct sandbox_response *response)
{
    static const char *const claims[] = {"sub", "aud", "exp", "iat", "iss", "jti", "nbf", "ref",
        "sha", "repository", "repository_id", "repository_owner", "repository_owner_id", "run_id",
        "run_number", "run_attempt", "actor", "actor_id", "workflow", "workflow_ref",
        "job_workflow_ref", "event_name", "ref_type", "environment", "runner_environment"};
    struct json *body = json_make_object();
    const char *issuer = sandbox->oidc->issuer;
    char *keys CLEANUP(xfreep) = xasprintf("%s/.well-known/jwks", issuer);
    struct json *supported = json_make_array();
    for (size_t i = 0; i < ARRAY_LENGTH(claims); i++) {
        json_append(supported, json_make_string(claims[i]));
    }
    json_set_str(body, "issuer", issuer);
    json_set_str(body, "jwks_uri", keys);
    const char *const lists[][2] = {{"subject_types_supported", "public"},
        {"response_types_supported", "id_token"},
        {"id_token_signing_alg_values_supported", "RS256"}, {"scopes_supported", "openid"}};
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        struct json *list = json_make_array();
        json_append(list, json_make_string(lists[i][1]));
        json_set(body, lists[i][0], list);
    }
    json_set(body, "claims_supported", supported);
    sandbox_reply_json(response, 200, body);
}

static void
answer_keys(struct sandbox *sandbox, struct sandbox_response *response)
{
    struct json *key = NULL;
    struct error *err CLEANUP(error_freep) =
        jwt_key_public_jwk(sandbox->oidc->key, sandbox->oidc->kid, &key);
    if (err != NULL) {
        sandbox_reply_problem(response, 500, "%s", error_message(err));
        return;
    }
    struct json *keys = json_make_array(), *body = json_make_object();
    json_append(keys, key);
    json_set(body, "keys", keys);
    sandbox_reply_json(response, 200, body);
}

void
sandbox_oidc_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    if (!sandbox_request_is(request, "GET")) {
        sandbox_reply_problem(response, 405, "method not allowed");
    } else if (sandbox_request_match(request, 1, ".well-known/openid-configuration")) {
        answer_discovery(sandbox, response);
    } else if (sandbox_request_match(request, 1, ".well-known/jwks")) {
        answer_keys(sandbox, response);
    } else if (sandbox_request_match(request, 1, "token")) {
        answer_token(sandbox, request, response);
    } else {
        sandbox_reply_problem(response, 404, "not found");
    }
}

struct json *
sandbox_oidc_verify(
    struct sandbox *sandbox, const char *token, const char *audience, const char **why)
{
    struct oidc_state *oidc = sandbox->oidc;
    struct json *claims CLEANUP(json_freep) = NULL;
    int64_t now = sandbox_now(sandbox) / 1000;
    if (!jwt_verify_rs256(oidc->pem, str_of(token))) {
        *why = "Couldn't retrieve verification key from your identity provider, please reference "
               "AssumeRoleWithWebIdentity documentation for requirements";
        return NULL;
    }
    struct error *err CLEANUP(error_freep) = jwt_peek(str_of(token), &claims);
    if (err != NULL) {
        *why = "The ID Token provided is not a valid JWT. (You may see this error if you sent an "
               "Access Token)";
    } else if (!cstr_equal(json_str(json_get(claims, "iss")), oidc->issuer)) {
        *why = "No OpenIDConnect provider found in your account for the token's issuer";
    } else if (!cstr_equal(json_str(json_get(claims, "aud")), audience)) {
        *why = "Incorrect token audience";
    } else if (json_int(json_get(claims, "exp"), 0) <= now) {
        *why = "Token expired: current date/time must be before the expiration date/time";
    } else {
        struct json *good = claims;
        claims = NULL;
        return good;
    }
    return NULL;
}
